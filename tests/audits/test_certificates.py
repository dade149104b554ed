"""Proofs by form, bounds along lines, brackets by branch and bound, each with a rule that it must not certify."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hurwicz._foundation import InputError
from hurwicz.audits import Effort, Verdict, audit, regret_bracket, replay
from hurwicz.mechanisms import clarke_pivot, groves, single_parameter
from hurwicz.mechanisms.single_item import all_pay, first_price, second_price
from hurwicz.settings.forms import AffineMaximiser

SMALL = Effort(profiles=80, deviations=11, refinements=1, steps=12, seconds=30.0)


def one(mechanism, **more):
    (finding,) = audit(mechanism, ["DSIC"], effort=SMALL, **more)
    if finding.witness is not None:
        assert replay(mechanism, finding) == pytest.approx(finding.witness.gain, rel=1e-12)
    return finding


class Formed:
    """A mechanism with a declared form put beside it."""

    def __init__(self, mechanism, form):
        self.inner, self.form = mechanism, form

    def __getattr__(self, name):
        return getattr(self.inner, name)


@pytest.mark.parametrize("make", [groves, clarke_pivot])
def test_groves_mechanisms_are_proved_by_form(make):
    mechanism = replace(make(3), form=None)
    found = one(Formed(mechanism, AffineMaximiser(dict.fromkeys(mechanism.agents, 1.0))))
    assert found.verdict is Verdict.PROVED
    assert found.method == "by form: Groves' form"
    assert "given the declared form" in found.reason
    assert one(mechanism).verdict is Verdict.NOT_REFUTED  # without the declaration a search proves nothing


def test_what_follows_from_a_proof_is_proved():
    mechanism = clarke_pivot(2)
    formed = Formed(mechanism, AffineMaximiser(dict.fromkeys(mechanism.agents, 1.0)))
    dsic, bic, ex_post = audit(formed, ["DSIC", "BIC", "ex_post_IC"], effort=SMALL)
    assert dsic.verdict is bic.verdict is ex_post.verdict is Verdict.PROVED
    assert bic.method.startswith("follows from DSIC")
    assert "given the declared form" in bic.reason
    (alone,) = audit(formed, ["BIC"], effort=SMALL)
    assert alone.verdict is Verdict.PROVED
    bad = first_price(2)
    bad_form = Formed(bad, AffineMaximiser(dict.fromkeys(bad.agents, 1.0)))
    assert [f.verdict for f in audit(bad_form, ["DSIC", "BIC"], effort=SMALL)] == [Verdict.REFUTED, Verdict.REFUTED]


def weighted_second_price(weights):
    """b_i w_i is highest wins, and pays the bid at which it would still have won: an affine maximiser."""

    def rule(bids):
        scores = bids * weights
        wins = (np.arange(bids.shape[1]) == scores.argmax(axis=1)[:, None]) * 1.0
        return wins, wins * np.sort(scores, axis=1)[:, [-2]] / weights

    return single_parameter("weighted", rule, len(weights))


def test_affine_maximisers_need_their_own_weights():
    weights = np.array([1.0, 2.0, 0.5])
    mechanism = weighted_second_price(weights)
    names = mechanism.agents
    found = one(Formed(mechanism, AffineMaximiser(dict(zip(names, weights.tolist(), strict=True)))))
    assert found.verdict is Verdict.PROVED
    assert "affine maximiser" in found.method
    wrong = one(Formed(mechanism, AffineMaximiser(dict.fromkeys(names, 1.0))))
    assert wrong.verdict is Verdict.NOT_REFUTED
    assert "declared form does not hold" in wrong.reason
    with pytest.raises(InputError, match="a weight for every agent"):
        one(Formed(mechanism, AffineMaximiser({names[0]: 1.0})))
    with pytest.raises(InputError, match="above 0"):
        AffineMaximiser({"a": 0.0})


def test_a_false_declaration_does_not_save_first_price():
    mechanism = first_price(2)
    assert one(Formed(mechanism, AffineMaximiser(dict.fromkeys(mechanism.agents, 1.0)))).verdict is Verdict.REFUTED


def test_lines_bound_the_gain_of_every_own_type():
    found = one(replace(second_price(3), form=None))
    assert found.verdict is Verdict.NOT_REFUTED
    low, high = found.effort["bracket"]
    assert low == 0.0
    assert high < 1e-6  # constant between jumps, so nothing is left between the points
    assert 0.0 < found.effort["left_out"] < 1e-7
    assert found.effort["identity_gap"] < 1e-8
    assert "along" in found.reason
    assert "rises with its report" in found.reason


def smooth(exponent, wrong=0.0):
    """x = b^exponent, paid by the identity: t = b x - b^(exponent + 1) / (exponent + 1); and a little wrong."""
    return single_parameter("smooth", lambda b: (b**exponent, b ** (exponent + 1) * exponent / (exponent + 1) * (1.0 + wrong)), 1)


def test_smooth_rules_get_a_bracket_that_holds_the_truth():
    found = one(smooth(2.0))
    low, high = found.effort["bracket"]
    assert low <= found.effort["tolerance"]
    assert 0.0 < high < 0.1  # of the order of the distance of the points
    assert one(smooth(2.0, wrong=0.01)).verdict is Verdict.REFUTED


def test_payments_that_are_no_integral_show_as_a_gap():
    from hurwicz.audits.evaluation import Evaluator
    from hurwicz.audits.myerson import lines_of

    def gap(mechanism):
        e = Evaluator(mechanism, SMALL, seed=0)
        e.probe()
        e.scale = 1.0
        return lines_of(e, 8)

    assert gap(smooth(1.0)).identity_gap == pytest.approx(0.0, abs=1e-12)
    off = gap(smooth(1.0, wrong=0.2))
    assert off.identity_gap == pytest.approx(0.1, abs=0.01)  # a tenth too much at report 1, less what the bracket leaves open
    assert off.gain_found > 0.005
    assert off.gain_possible >= off.gain_found
    falling = gap(single_parameter("falling", lambda b: (1.0 - b, 0.0 * b), 1))
    assert not falling.monotone
    assert falling.gain_possible == np.inf
    assert "falls" in falling.said()
    assert gap(all_pay(2)).gain_found > 0.5


def test_brackets_hold_the_regret_and_close():
    # u = theta x - t with x = b, t = c b^2: the best report is theta / 2c, the gain (theta - 2 c theta)^2 / 4c, largest at theta = 1
    for c, true in ((0.5, 0.0), (0.75, 0.25 / 3.0)):
        rule = single_parameter("quadratic", lambda b, c=c: (b, c * b * b), 2)
        speed = {"bidder 1": 2.0, "bidder 2": 0.0, "type": 1.0}
        found = regret_bracket(rule, "bidder 1", speed, gap=0.01)
        assert found.status == "closed"
        assert found.gain_found <= true + 1e-12 <= found.gain_possible + 1e-12
        assert found.gain_possible - found.gain_found <= 0.01
        types = {n: np.array([v]) for n, v in found.profile.items()}
        outcome = rule.outcome({**found.profile, "bidder 1": found.misreport})
        truth = rule.outcome(found.profile)
        gain = rule.value("bidder 1", outcome, types["bidder 1"][0]) - outcome.payments["bidder 1"]
        gain -= rule.value("bidder 1", truth, types["bidder 1"][0]) - truth.payments["bidder 1"]
        assert gain == pytest.approx(found.gain_found, abs=1e-12)
    assert "regret of bidder 1: in [" in str(found)
    assert regret_bracket(rule, "bidder 1", speed, gap=1e-6, most=100).status == "boxes spent"
    tighter = regret_bracket(rule, "bidder 1", speed, gap=1e-6, most=5000)
    assert tighter.gain_possible < regret_bracket(rule, "bidder 1", speed, gap=1e-6, most=100).gain_possible


def test_brackets_use_vectors_and_the_mechanisms_own_constants():
    rule = single_parameter("quadratic", lambda b: (b, 0.5 * b * b), 1)
    owned = Formed(rule, None)
    owned.lipschitz = {"bidder 1": 1.0, "type": 1.0}
    assert regret_bracket(owned, "bidder 1", gap=0.02).status == "closed"


def test_rules_that_move_faster_than_they_say_are_found_out():
    with pytest.raises(InputError, match="a rule that jumps has no such constant"):
        regret_bracket(second_price(2), "bidder 1", 1.0)
    with pytest.raises(InputError, match="got none"):
        regret_bracket(second_price(2), "bidder 1")
    with pytest.raises(InputError, match="wrong or missing for"):
        regret_bracket(second_price(2), "bidder 1", {"bidder 1": 1.0, "type": -1.0, "bidder 2": 0.0})
    with pytest.raises(InputError, match="an agent among"):
        regret_bracket(second_price(2), "nobody", 1.0)
