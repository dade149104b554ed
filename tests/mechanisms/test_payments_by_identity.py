"""Payments by Myerson's identity from an allocation alone, against closed forms, and what the auditor proves of them."""

from __future__ import annotations

import numpy as np
import pytest

from hurwicz._foundation import InputError, NotConvergedError, ShapeError
from hurwicz.audits import Effort, Verdict, audit
from hurwicz.mechanisms import CriticalRule, second_price, second_price_procurement, single_parameter
from hurwicz.typespaces import FinitePrior, Interval, Uniform

UNIT = Interval(0.0, 1.0)
SMALL = Effort(profiles=16, deviations=9, refinements=1, steps=8, max_nodes=64, samples=256, seconds=30.0)


def highest(bids):
    return (bids == bids.max(axis=1, keepdims=True)).astype(float)


def lowest(bids):
    return (bids == bids.min(axis=1, keepdims=True)).astype(float)


def staircase(bids):
    return np.floor(4.0 * bids) / 4.0


def area_below_the_staircase(bids):
    k = np.floor(4.0 * bids)
    return k * (k - 1.0) / 32.0 + (bids - k / 4.0) * k / 4.0


def of_the_rest(bids):
    return bids[:, ::-1] + 0.1


CLOSED = {
    "second price": (highest, [1.0, 1.0, 1.0], lambda b: highest(b) * np.sort(b, axis=1)[:, [1]]),
    "second price procurement": (lowest, [-1.0, -1.0, -1.0], lambda b: -lowest(b) * np.sort(b, axis=1)[:, [1]]),
    "cubic": (lambda b: b**3, [1.0], lambda b: 0.75 * b**4),
    "root": (lambda b: np.sqrt(b), [1.0], lambda b: b**1.5 / 3.0),
    "staircase": (staircase, [1.0], lambda b: b * staircase(b) - area_below_the_staircase(b)),
    "a jump, then a slope": (lambda b: b * (b > 0.3), [1.0], lambda b: (b > 0.3) * (b**2 - (b**2 - 0.09) / 2.0)),
    "shares of what is bid": (
        lambda b: b / (b + of_the_rest(b)),
        [1.0, 1.0],
        lambda b: b**2 / (b + of_the_rest(b)) - b + of_the_rest(b) * np.log((b + of_the_rest(b)) / of_the_rest(b)),
    ),
}


@pytest.mark.parametrize("name", CLOSED)
def test_payments_are_those_of_the_closed_form(name):
    allocate, sides, closed = CLOSED[name]
    rule = CriticalRule(allocate, np.asarray(sides), {str(k): UNIT for k in range(len(sides))})
    bids = np.random.default_rng(0).random((300, len(sides)))
    shares, paid = rule(bids)
    assert np.array_equal(shares, allocate(bids))
    assert np.abs(paid - closed(bids)).max() < 1e-12


def test_ties_and_ends():
    rule = CriticalRule(lambda b: highest(b) / highest(b).sum(axis=1, keepdims=True), np.ones(2), {"a": UNIT, "b": UNIT})
    bids = np.asarray([[0.4, 0.4], [0.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    assert rule(bids)[1] == pytest.approx(np.asarray([[0.2, 0.2], [0.0, 0.0], [0.5, 0.5], [0.0, 0.0]]), abs=1e-12)


def test_a_monotone_rule_of_ones_own_is_proved_truthful_on_an_interval():
    names = ("DSIC", "ex_post_IR", "weak_budget_balance")
    mine = single_parameter("mine", highest, 2, payments="critical")
    assert [f.verdict.value for f in audit(mine, names, effort=SMALL)] == ["proved"] * 3
    assert audit(mine, ["DSIC"], effort=SMALL)[0].method == "by form: payment identity"
    tender = single_parameter("tender", lowest, 2, sides=[-1.0] * 2, payments="critical")
    assert [f.verdict.value for f in audit(tender, names, effort=SMALL)] == ["proved", "proved", "refuted"]


def test_a_rule_that_is_not_monotone_is_refuted_whatever_is_declared():
    def second_highest_wins(bids):
        return np.eye(bids.shape[1])[np.argsort(bids, axis=1)[:, -2]]

    found = audit(single_parameter("second", second_highest_wins, 3, payments="critical"), ["DSIC", "monotonicity"], effort=SMALL)
    assert [f.verdict for f in found] == [Verdict.REFUTED, Verdict.REFUTED]


def test_other_beliefs_take_their_own_ends():
    auction = single_parameter("mine", highest, 2, payments="critical").with_prior(Uniform(Interval(0.5, 2.0)))
    peer = second_price(2, prior=Uniform(Interval(0.5, 2.0)))
    tender = single_parameter("mine", lowest, 2, sides=[-1.0, -1.0], payments="critical").with_prior(Uniform(Interval(0.5, 2.0)))
    other = second_price_procurement(2, prior=Uniform(Interval(0.5, 2.0)), value=5.0)
    bids = np.random.default_rng(1).uniform(0.5, 2.0, (50, 2))
    assert auction.decide(bids)[1] == pytest.approx(peer.decide(bids)[1], abs=1e-12)
    assert tender.decide(bids)[1] == pytest.approx(other.decide(bids)[1], abs=1e-12)
    assert (
        audit(single_parameter("mine", highest, 2, prior=FinitePrior([0.0, 0.5, 1.0]), payments="critical"), ["DSIC"])[0].verdict
        is Verdict.PROVED
    )


def test_bad_input():
    with pytest.raises(InputError, match="payments to be one of"):
        single_parameter("mine", highest, 2, payments="myerson")
    with pytest.raises(ShapeError, match="shares alone"):
        single_parameter("mine", lambda b: (highest(b), b), 2, payments="critical").decide(np.zeros((3, 2)))
    with pytest.raises(ShapeError, match="from the rule, got ndarray"):
        single_parameter("mine", highest, 2).decide(np.zeros((3, 2)))
    rough = CriticalRule(lambda b: 0.5 * b + 0.5 * np.floor(1e5 * b) / 1e5, np.ones(1), {"a": UNIT})
    with pytest.raises(NotConvergedError, match="neither a staircase nor smooth"):
        rough(np.asarray([[0.9]]))
