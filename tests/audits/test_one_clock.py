"""An audit keeps to its time as a whole, says what did not fit, and stops where it is told to."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from hurwicz._foundation import InputError
from hurwicz.audits import Effort, Threads, Verdict, audit
from hurwicz.audits.evaluation import Evaluator
from hurwicz.audits.executors import chunks_as_done
from hurwicz.audits.judging import Judging
from hurwicz.mechanisms import second_price
from hurwicz.mechanisms.optimal import optimal_auction


def slow(mechanism, seconds=0.02):
    """The same rule, which takes a while for every call."""
    rule = mechanism.rule

    def late(bids):
        time.sleep(seconds)
        return rule(bids)

    return replace(mechanism, rule=late)


def test_one_clock_ends_all_properties_and_what_did_not_fit_says_so():
    effort = Effort(profiles=500, seconds=0.4, in_all=0.8)
    findings = audit(slow(second_price(20)), effort=effort)
    unlooked = [f for f in findings if f.reason.startswith("not looked at: the 0.8 seconds of the whole audit were over")]
    assert unlooked
    for finding in findings:
        assert finding.verdict is not Verdict.PROVED
        if finding.verdict is Verdict.NOT_REFUTED:
            assert finding.effort["cut_by_time_limit"]
    assert all(f.effort == {"cut_by_time_limit": True} and f.value is None for f in unlooked)


def test_a_form_that_was_not_looked_at_for_everybody_proves_nothing():
    effort = Effort(profiles=16, refinements=0, seconds=0.5, in_all=1.0)
    (finding,) = audit(slow(second_price(20), 0.1), ["DSIC"], effort=effort)
    assert finding.verdict is Verdict.NOT_REFUTED
    assert "the declared form had been looked at for" in finding.reason
    (finding,) = audit(slow(optimal_auction(3), 0.05), ["DSIC"], effort=effort)
    assert finding.verdict is Verdict.NOT_REFUTED
    assert "the time limit came when lines of" in finding.reason
    assert audit(second_price(3), ["DSIC"], effort="quick")[0].verdict is Verdict.PROVED


def test_the_whole_has_a_limit_of_its_own_or_four_times_that_of_a_property():
    assert Effort(seconds=5.0).whole == 20.0
    assert Effort(seconds=5.0, in_all=7.0).whole == 7.0
    with pytest.raises(InputError, match="in_all above 0"):
        Effort(in_all=0.0)
    e = Evaluator(second_price(2), Effort(seconds=5.0, in_all=3.0), seed=0)
    assert e.afresh()._limit <= 1.0  # a third of what is left
    assert Evaluator(second_price(2), Effort(seconds=5.0), seed=0).afresh()._limit == 5.0


def test_threads_that_are_interrupted_end_at_their_next_outcome():
    e = Evaluator(slow(second_price(3), 0.01), Effort(profiles=100_000, seconds=60.0), seed=0)
    e.probe()
    judging = Judging(e, None, None, None, None)
    work = chunks_as_done(judging, [0, 5, 6], Threads(2))
    begun = time.perf_counter()
    judging.stop()
    with pytest.raises(InterruptedError):
        next(work)
    assert time.perf_counter() - begun < 30.0


def test_pairs_and_stories_that_the_clock_came_before_are_not_spoken_for():
    effort = Effort(profiles=16, deviations=5, seconds=0.3, in_all=0.9)
    unlike, stories = audit(slow(second_price(12)), ["anonymity", "credible"], effort=effort)
    assert unlike.verdict is Verdict.NOT_REFUTED
    assert "before all pairs of the 12 agents" in unlike.reason
    assert "confidence" not in unlike.reason
    assert stories.verdict is Verdict.NOT_REFUTED or stories.value > 0.0
    assert stories.effort["cut_by_time_limit"]
