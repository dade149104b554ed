"""Budgets: never exceeded, critical payments by a second route, and the approximation that is claimed, by brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hurwicz._foundation import InputError
from hurwicz.audits import Verdict, audit
from hurwicz.mechanisms import budget_feasible, proportional_winners, shared_budget
from hurwicz.typespaces import FinitePrior, Interval, Uniform

COARSE = FinitePrior([0.0, 0.2, 0.5, 0.7, 1.0])
COVERS = [["a", "b"], ["b", "c"], ["c"], ["a", "d"]]
TENTHS = st.integers(0, 10).map(lambda k: k / 10.0)
COSTS = st.lists(TENTHS, min_size=4, max_size=4) | st.lists(st.floats(0.0, 1.0), min_size=4, max_size=4)


def covered(chosen: tuple[int, ...], covers: list[list[str]], worth: dict[str, float]) -> float:
    return sum(worth[e] for e in {e for i in chosen for e in covers[i]})


def best_for(costs: np.ndarray, budget: float, covers: list[list[str]], worth: dict[str, float]) -> float:
    sets = [s for r in range(len(costs) + 1) for s in itertools.combinations(range(len(costs)), r)]
    return max(covered(s, covers, worth) for s in sets if costs[list(s)].sum() <= budget + 1e-12)


@pytest.mark.parametrize("covers", [None, COVERS])
@given(costs=COSTS, budget=st.sampled_from([0.3, 1.0, 2.5]))
@settings(deadline=None, max_examples=40)
def test_the_budget_is_kept_and_the_value_is_the_part_that_is_claimed(
    covers: list[list[str]] | None, costs: list[float], budget: float
) -> None:
    given_costs = np.asarray(costs)
    lists = [[str(k)] for k in range(4)] if covers is None else covers
    elements = list(dict.fromkeys(e for s in lists for e in s))
    worth = dict(zip(elements, (1.0, 0.5, 2.0, 0.7), strict=False))
    mechanism = budget_feasible(4, budget=budget, covers=covers, worth=list(worth.values()))
    shares, paid = (part[0] for part in mechanism.decide(given_costs[None]))
    alone = 0.4 if covers else 1.0 / 3.0
    star = shares * 0.0
    able = [i for i in range(4) if given_costs[i] <= budget]
    if able:
        star[max(able, key=lambda i: (covered((i,), lists, worth), -i))] = 1.0
    greedy = np.round((shares - alone * star) / (1.0 - alone)).astype(int)
    np.testing.assert_allclose(shares, (1.0 - alone) * greedy + alone * star, atol=1e-12)
    # the two draws keep the budget each
    greedy_paid = (-paid - alone * budget * star) / (1.0 - alone)
    assert greedy_paid.sum() <= budget + 1e-9
    assert np.all(greedy_paid >= given_costs * greedy - 1e-9)
    chosen = tuple(np.flatnonzero(greedy).tolist())
    expected = (1.0 - alone) * covered(chosen, lists, worth) + alone * covered(tuple(np.flatnonzero(star).tolist()), lists, worth)
    best = best_for(given_costs, budget, lists, worth)
    assert expected >= best / (7.91 if covers else 3.0) - 1e-9


@pytest.mark.parametrize("covers", [None, COVERS])
@given(costs=COSTS)
@settings(deadline=None, max_examples=20)
def test_payments_are_the_integral_of_the_shares(covers: list[list[str]] | None, costs: list[float]) -> None:
    """Myerson's identity: paid = c x(c) + the integral of x above c; x is a step function, so its steps are found by section."""
    mechanism = budget_feasible(4, budget=1.0, covers=covers)
    base = np.asarray(costs)
    shares, paid = (part[0] for part in mechanism.decide(base[None]))
    for i in range(4):
        points = np.linspace(base[i], 1.0 + 1e-9, 4001)
        told = np.repeat(base[None], len(points), axis=0)
        told[:, i] = points
        x = mechanism.decide(told)[0][:, i]
        assert np.all(np.diff(x) <= 1e-12)
        area = float(((x[1:] + x[:-1]) * 0.5 * np.diff(points)).sum())
        assert -paid[i] == pytest.approx(base[i] * shares[i] + area, abs=1e-3)


@given(COSTS)
@settings(deadline=None, max_examples=30)
def test_equal_values_follow_singers_proportional_share(costs: list[float]) -> None:
    """n agents alike: the k lowest with c_k <= B/k, each paid min(B/k, c_(k+1))."""
    given_costs = np.asarray(costs)
    order = np.sort(given_costs)
    k = max((j for j in range(1, 5) if order[j - 1] <= 1.0 / j), default=0)
    taken, paid = proportional_winners(given_costs, np.ones(4), 1.0)
    assert taken.sum() == k
    price = min(1.0 / k, order[k] if k < 4 else np.inf) if k else 0.0
    np.testing.assert_allclose(paid[taken], price, atol=1e-12)


@given(
    st.lists(TENTHS, min_size=5, max_size=5) | st.lists(st.floats(0.0, 1.0), min_size=5, max_size=5),
    st.lists(st.sampled_from([1.0, 1.5, 2.0, 3.5]), min_size=5, max_size=5),
    st.sampled_from([2.0, 4.0, 6.0]),
)
@settings(deadline=None, max_examples=60)
def test_a_shared_budget_is_kept_and_half_of_the_knapsack(values: list[float], needs: list[float], budget: float) -> None:
    theta, size = np.asarray(values), np.asarray(needs)
    shares, paid = (part[0] for part in shared_budget(5, needs=needs, budget=budget).decide(theta[None]))
    sets = [list(s) for r in range(6) for s in itertools.combinations(range(5), r)]
    best = max(theta[s].sum() for s in sets if size[s].sum() <= budget)
    assert (shares * size).sum() <= budget + 1e-9
    assert (shares * theta).sum() >= 0.5 * best - 1e-12
    assert (theta * shares - paid).min() >= -1e-12
    assert paid.min() >= 0.0


def test_verdicts_on_finite_types() -> None:
    for mechanism in (
        budget_feasible(3, prior=COARSE),
        budget_feasible(4, prior=COARSE, covers=COVERS, budget=1.2),
        budget_feasible(4, prior=COARSE, worth=[1.0, 2.0, 3.0, 0.5]),
        shared_budget(4, prior=COARSE, needs=[1.0, 2.0, 3.0, 2.0], budget=4.0),
        shared_budget(3, prior=COARSE),
    ):
        assert {f.verdict for f in audit(mechanism, ["DSIC", "ex_post_IR"], effort="quick")} == {Verdict.PROVED}


def test_single_agents_and_nobody_who_can_be_afforded() -> None:
    outcome = budget_feasible(1, budget=0.5).outcome({"agent 1": 0.2})
    assert outcome.payments["agent 1"] == pytest.approx(-0.5)
    too_dear = budget_feasible(2, budget=0.5).outcome({"agent 1": 0.9, "agent 2": 0.8})
    assert [float(x) for x in too_dear.allocation.values()] == [0.0, 0.0]
    assert list(too_dear.payments.values()) == [0.0, 0.0]


def test_bad_budgets_are_refused() -> None:
    for build in (
        lambda: budget_feasible(2, budget=0.0),
        lambda: budget_feasible(2, budget=float("nan")),
        lambda: budget_feasible(2, covers=[["a"]]),
        lambda: budget_feasible(2, covers=[["a"], []]),
        lambda: budget_feasible(2, worth=[1.0, -1.0]),
        lambda: shared_budget(2, needs=[1.0]),
        lambda: shared_budget(2, budget=-1.0),
    ):
        with pytest.raises(InputError):
            build()
    with pytest.raises(InputError, match="expected a report"):
        shared_budget(2, prior=Uniform(Interval(0.0, 1.0))).outcome({"agent 1": -1.0, "agent 2": 0.5})
