"""Clocks run with strategies against their direct forms, and the direct forms against sealed bids."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hurwicz._foundation import AgentError, InputError
from hurwicz.audits import Verdict, audit
from hurwicz.mechanisms import (
    clock_prices,
    dutch_clock,
    english_clock,
    first_price,
    make,
    run_dutch_clock,
    run_english_clock,
    second_price,
)
from hurwicz.typespaces import FinitePrior

ties = st.sampled_from(["lottery", "order"])
values = st.lists(st.integers(0, 20).map(lambda k: k / 20), min_size=1, max_size=4)


def truthful(value):
    return lambda clock: clock.price <= value


@settings(deadline=None, max_examples=80)
@given(values, ties, st.sampled_from([0.0, 0.3]), st.sampled_from([0.05, 0.1, 0.25]))
def test_the_clocks_run_as_their_direct_forms(types, way, reserve, step):
    names = [f"bidder {k + 1}" for k in range(len(types))]
    strategies = {name: truthful(value) for name, value in zip(names, types, strict=True)}
    english = run_english_clock(strategies, start=reserve, increment=step, ties=way)
    direct = english_clock(len(types), reserve=reserve, increment=step, ties=way).outcome(dict(zip(names, types, strict=True)))
    assert english.allocation == pytest.approx({n: float(x) for n, x in direct.allocation.items()})
    assert english.payments == pytest.approx(dict(direct.payments))
    dutch = run_dutch_clock(strategies, start=1.0, decrement=step, reserve=reserve, ties=way)
    direct = dutch_clock(len(types), reserve=reserve, decrement=step, ties=way).outcome(dict(zip(names, types, strict=True)))
    assert dutch.allocation == pytest.approx({n: float(x) for n, x in direct.allocation.items()})
    assert dutch.payments == pytest.approx(dict(direct.payments))


def test_the_transcript_tells_the_story():
    run = run_english_clock({"ann": truthful(0.25), "bob": truthful(0.3), "eve": truthful(0.1)}, increment=0.1)
    assert [(r.price, r.active, r.said_yes) for r in run.transcript] == [
        (0.0, ("ann", "bob", "eve"), ("ann", "bob", "eve")),
        (0.1, ("ann", "bob", "eve"), ("ann", "bob", "eve")),
        (0.2, ("ann", "bob", "eve"), ("ann", "bob")),
        (0.3, ("ann", "bob"), ("bob",)),
    ]
    assert (run.price, run.payments["bob"]) == (0.3, 0.3)
    assert run_dutch_clock({"ann": truthful(-1.0)}, decrement=0.5).price is None
    assert run_english_clock({"ann": truthful(0.2)}, start=0.3).price is None


def test_a_strategy_may_look_at_who_is_left():
    def stays_while_two_rivals_do(clock):
        return len(clock.active) > 2 or not clock.history

    run = run_english_clock({"ann": stays_while_two_rivals_do, "bob": truthful(0.9), "eve": truthful(0.35)}, increment=0.1)
    assert run.allocation["bob"] == 1.0
    assert run.price == 0.5  # ann and eve leave together, at the price after eve's last


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(0.0, 1.0), min_size=2, max_size=4))
def test_fine_clocks_are_sealed_bids(bids):
    profile = np.asarray([bids])
    for clock, sealed in (
        (english_clock(len(bids), increment=1e-4), second_price(len(bids))),
        (dutch_clock(len(bids), decrement=1e-4), first_price(len(bids))),
    ):
        assert clock.decide(profile)[1].sum() == pytest.approx(sealed.decide(profile)[1].sum(), abs=2e-4)


def test_the_gain_from_leaving_early_is_half_a_step_at_most():
    for way, share in (("lottery", 0.5), ("order", 1.0)):
        for step in (0.25, 0.1):
            mechanism = english_clock(2, prior=FinitePrior(np.linspace(0.0, 1.0, 41)), increment=step, ties=way)
            (finding,) = audit(mechanism, ["DSIC"], effort="quick")
            assert finding.verdict is Verdict.REFUTED
            assert finding.witness is not None
            assert finding.witness.gain == pytest.approx(share * step)
    assert audit(english_clock(3), ["ex_post_IR"], effort="quick")[0].verdict is Verdict.NOT_REFUTED


def test_the_dutch_clock_is_refuted_as_first_price_is():
    found = {f.property: f.verdict for f in audit(dutch_clock(2), ["DSIC", "BIC", "ex_post_IR"], effort="quick")}
    assert found == {"DSIC": Verdict.REFUTED, "BIC": Verdict.REFUTED, "ex_post_IR": Verdict.NOT_REFUTED}


def test_prices_have_no_rounding_in_them():
    assert clock_prices("english_clock", 0.0, 0.1, 1.0).tolist() == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    assert clock_prices("english_clock", 1e6, 0.01, 1e6 + 0.025).tolist() == [1000000.0, 1000000.01, 1000000.02, 1000000.03]


def raises(clock):
    raise RuntimeError("no answer")


@pytest.mark.parametrize(
    ("run", "error", "say"),
    [
        (lambda: run_english_clock({}), InputError, "at least one bidder"),
        (lambda: run_english_clock({"a": truthful(1.0)}, increment=0.0), InputError, "increment"),
        (lambda: run_english_clock({"a": truthful(1.0)}, ties="coin"), InputError, "ties"),
        (lambda: run_dutch_clock({"a": truthful(1.0)}, start=0.2, reserve=0.5), InputError, "at least the reserve"),
        (lambda: run_dutch_clock({"a": truthful(1.0)}, decrement=1e-9), InputError, "larger one"),
        (lambda: run_english_clock({"a": raises}), AgentError, "RuntimeError"),
        (lambda: run_english_clock({"a": lambda clock: 0.7}), AgentError, "True or False"),
        (lambda: make("english_clock", 2, increment=-1.0), InputError, "step of the clock"),
    ],
)
def test_bad_input_is_refused(run, error, say):
    with pytest.raises(error, match=say):
        run()


def test_bidders_who_never_leave_are_told(monkeypatch):
    from hurwicz.mechanisms import clock_auctions

    monkeypatch.setattr(clock_auctions, "_MOST_ROUNDS", 50)
    with pytest.raises(InputError, match="still in"):
        run_english_clock({"a": lambda clock: True, "b": lambda clock: True})
