"""Mechanisms that serve or leave out: monotone, paid at critical values found by bisection, individually rational, blind to names."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hurwicz._foundation import InputError
from hurwicz.mechanisms import (
    SingleParameterMechanism,
    marginal_cost_sharing,
    mcafee,
    moulin_shapley,
    posted_price_trade,
    scored_second_price,
    shared_budget,
    single_parameter,
    trade_reduction,
    vcg_double_auction,
    vickrey_tasks,
)


def _root(members: frozenset[str]) -> float:
    return 0.6 * math.sqrt(len(members))


MECHANISMS: dict[str, Callable[[], SingleParameterMechanism]] = {
    "moulin fixed": lambda: moulin_shapley(4, cost=1.0),
    "moulin airport": lambda: moulin_shapley(4, cost=[0.2, 0.5, 0.5, 0.9]),
    "moulin table": lambda: moulin_shapley(4, cost=_root),
    "marginal fixed": lambda: marginal_cost_sharing(4, cost=1.0),
    "marginal table": lambda: marginal_cost_sharing(4, cost=_root),
    "posted price": lambda: posted_price_trade(5, price=0.4, ties="order"),
    "mcafee": lambda: mcafee(6),
    "mcafee, more sellers": lambda: mcafee(5, buyers=2),
    "trade reduction": lambda: trade_reduction(6),
    "vcg double auction": lambda: vcg_double_auction(5),
    "vickrey": lambda: vickrey_tasks(4, tasks=2, ties="order"),
    "vickrey with a worth": lambda: vickrey_tasks(4, tasks=3, worth=0.6, ties="order"),
    "scored": lambda: scored_second_price(4, weight=0.6, ties="order"),
    "scored with a ceiling": lambda: scored_second_price(4, reputation=[1.0, 0.8, 0.8, 0.1], ceiling=0.7, ties="order"),
    "shared budget": lambda: shared_budget(4, needs=[1.0, 2.0, 3.0, 2.0], budget=4.0),
    "shared budget, one too large": lambda: shared_budget(4, needs=[1.0, 1.0, 2.0, 5.0], budget=2.5),
}
CONTROLS = {"pays its bid", "not monotone"}
GRID = st.integers(0, 10).map(lambda k: k / 10.0)


def profiles(size: int) -> st.SearchStrategy[list[float]]:
    """Bids with many ties, and bids at large."""
    return st.lists(GRID, min_size=size, max_size=size) | st.lists(st.floats(0.0, 1.0, width=32), min_size=size, max_size=size)


def critical(mechanism: SingleParameterMechanism, bids: np.ndarray, i: int) -> float:
    """The last bid with which agent i is still served, by repeated section between its own and the bid that can never do better."""
    inside, outside = bids[i], (-1e-9 if mechanism.sides[i] > 0 else 1.0 + 1e-9)
    for _ in range(6):
        told = np.repeat(bids[None], 65, axis=0)
        told[:, i] = np.linspace(inside, outside, 65)
        served = mechanism.decide(told)[0][:, i] > 0.5
        last = int(np.flatnonzero(served).max())
        if last == 64:
            return float(outside)
        inside, outside = told[last, i], told[last + 1, i]
    return float(inside)


def check(mechanism: SingleParameterMechanism, bids: np.ndarray) -> None:
    shares, paid = mechanism.decide(bids[None])
    assert set(np.unique(shares)) <= {0.0, 1.0}
    utility = mechanism.sides * bids * shares[0] - paid[0]
    assert utility.min() >= -1e-9
    assert np.abs(np.where(shares[0] == 0.0, paid[0], 0.0)).max() == 0.0
    for i in range(len(bids)):
        better = bids.copy()
        better[i] = 1.0 if mechanism.sides[i] > 0 else 0.0
        if shares[0, i]:
            assert mechanism.decide(better[None])[0][0, i] == 1.0, "monotone"
            assert paid[0, i] == pytest.approx(mechanism.sides[i] * critical(mechanism, bids, i), abs=1e-8)


@pytest.mark.parametrize("name", MECHANISMS)
@given(data=st.data())
@settings(deadline=None, max_examples=20)
def test_paid_at_the_critical_value(name: str, data: st.DataObject) -> None:
    mechanism = MECHANISMS[name]()
    check(mechanism, np.asarray(data.draw(profiles(len(mechanism.agents)))))


@pytest.mark.parametrize("name", MECHANISMS)
def test_all_alike(name: str) -> None:
    """Everybody at the same number, at both ends and between."""
    mechanism = MECHANISMS[name]()
    for level in (0.0, 0.3, 0.5, 1.0):
        check(mechanism, np.full(len(mechanism.agents), level))


def test_the_check_sees_a_payment_of_ones_own_bid() -> None:
    def first_price(bids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        wins = (np.arange(bids.shape[1]) == bids.argmax(axis=1)[:, None]).astype(float)
        return wins, wins * bids

    with pytest.raises(AssertionError):
        check(single_parameter("first price", first_price, 3), np.array([0.2, 0.8, 0.5]))


def test_the_check_sees_a_rule_that_is_not_monotone() -> None:
    def middle_wins(bids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        wins = (bids == np.median(bids, axis=1, keepdims=True)).astype(float)
        return wins, wins * bids.min(axis=1, keepdims=True)

    with pytest.raises(AssertionError, match="monotone"):
        check(single_parameter("median", middle_wins, 3), np.array([0.2, 0.8, 0.5]))


SYMMETRIC = {
    "moulin fixed": ([0, 1, 2, 3], lambda: moulin_shapley(4)),
    "marginal fixed": ([0, 1, 2, 3], lambda: marginal_cost_sharing(4)),
    "vickrey lottery": ([0, 1, 2, 3], lambda: vickrey_tasks(4, tasks=2)),
    "posted price lottery": ([0, 1], lambda: posted_price_trade(4)),
    "vcg double auction lottery": ([0, 1], lambda: vcg_double_auction(4, ties="lottery")),
    "scored lottery": ([0, 1, 2, 3], lambda: scored_second_price(4, reputation=[0.7] * 4)),
}


@pytest.mark.parametrize("name", SYMMETRIC)
@given(data=st.data())
@settings(deadline=None, max_examples=20)
def test_names_do_not_matter(name: str, data: st.DataObject) -> None:
    movable, build = SYMMETRIC[name]
    mechanism = build()
    bids = np.asarray(data.draw(profiles(len(mechanism.agents))))
    order = np.arange(len(bids))
    order[movable] = data.draw(st.permutations(movable))
    shares, paid = mechanism.decide(bids[None])
    moved_shares, moved_paid = mechanism.decide(bids[order][None])
    np.testing.assert_allclose(moved_shares[0], shares[0][order], atol=1e-12)
    np.testing.assert_allclose(moved_paid[0], paid[0][order], atol=1e-12)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: moulin_shapley(3, cost=-1.0), "cost"),
        (lambda: moulin_shapley(3, cost=float("nan")), "cost"),
        (lambda: moulin_shapley(3, cost=[1.0, 2.0]), "cost"),
        (lambda: moulin_shapley(3, cost=lambda s: float(len(s) ** 2)), "submodular"),
        (lambda: moulin_shapley(3, cost=lambda s: -float(len(s))), "nondecreasing"),
        (lambda: moulin_shapley(3, cost=lambda s: 1.0), "nobody"),
        (lambda: moulin_shapley(20, cost=lambda s: 1.0 * bool(s)), "at most 14"),
        (lambda: posted_price_trade(2, buyers=2), "seller"),
        (lambda: posted_price_trade(2, buyers=0), "buyers"),
        (lambda: posted_price_trade(2, price=float("inf")), "price"),
        (lambda: posted_price_trade(2, ties="coin"), "ties"),
        (lambda: mcafee(["a", "a"]), "more than once"),
        (lambda: mcafee(1), "at least 2"),
        (lambda: vickrey_tasks(2, tasks=0), "tasks"),
        (lambda: vickrey_tasks(2, tasks=1.5), "tasks"),
        (lambda: scored_second_price(2, reputation=[0.5, 1.5]), "reputations"),
        (lambda: scored_second_price(2, weight=0.0), "weight"),
        (lambda: shared_budget(2, needs=[1.0, 0.0]), "needs"),
        (lambda: shared_budget(2, budget=0.0), "budget"),
    ],
)
def test_bad_arguments_say_what_was_expected(build: Callable[[], object], message: str) -> None:
    with pytest.raises(Exception, match=message) as refused:
        build()
    assert (
        isinstance(refused.value, InputError)
        or "beartype" in type(refused.value).__module__
        or "jaxtyping" in type(refused.value).__module__
    )


@pytest.mark.parametrize("name", MECHANISMS)
def test_nan_and_negative_bids_are_refused(name: str) -> None:
    mechanism = MECHANISMS[name]()
    for wrong in (float("nan"), -0.1, 1.1):
        with pytest.raises(InputError, match="expected a report"):
            mechanism.outcome({agent: wrong if k == 0 else 0.5 for k, agent in enumerate(mechanism.agents)})
