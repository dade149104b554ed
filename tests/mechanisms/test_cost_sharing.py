"""Sharing a cost: closed forms, every order of arrival, every set, and the equilibrium of the serial rule."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hurwicz._foundation import InputError
from hurwicz.audits import Verdict, audit, replay
from hurwicz.mechanisms import marginal_cost_sharing, moulin_shapley, serial_cost_sharing, serial_shares, shapley_shares
from hurwicz.typespaces import FinitePrior, Interval, Uniform

WIDE = Uniform(Interval(0.0, 3.0))


def test_airport_shares() -> None:
    """S. C. Littlechild and G. Owen (1973): each stretch of the runway is shared by those who need it."""
    expected = {"a": 1 / 3, "b": 5 / 6, "c": 11 / 6}
    need = {"a": 1.0, "b": 2.0, "c": 3.0}
    by_list = shapley_shares(["a", "b", "c"], [1.0, 2.0, 3.0])
    by_function = shapley_shares(["a", "b", "c"], lambda s: max((need[x] for x in s), default=0.0))
    assert by_list == pytest.approx(expected, abs=1e-12)
    assert by_function == pytest.approx(expected, abs=1e-12)


@given(st.lists(st.floats(0.0, 5.0), min_size=16, max_size=16))
@settings(deadline=None, max_examples=20)
def test_shapley_shares_are_means_over_orders_of_arrival(costs: list[float]) -> None:
    names = ["a", "b", "c", "d"]
    table = {frozenset(n for k, n in enumerate(names) if s >> k & 1): (costs[s] if s else 0.0) for s in range(16)}
    mean = dict.fromkeys(names, 0.0)
    for order in itertools.permutations(names):
        for k, name in enumerate(order):
            mean[name] += (table[frozenset(order[: k + 1])] - table[frozenset(order[:k])]) / math.factorial(4)
    assert shapley_shares(names, lambda s: table[s]) == pytest.approx(mean, abs=1e-9)


@pytest.mark.parametrize("k", [2, 3, 6])
def test_moulin_shapley_loses_up_to_a_harmonic_number(k: int) -> None:
    """Values just below 1, 1/2, ..., 1/k for a fixed cost of 1: everybody drops out and H_k - 1 is lost (5/6 for k = 3)."""
    below = 1e-6
    values = 1.0 / np.arange(1, k + 1) - below
    mechanism = moulin_shapley(k, cost=1.0)
    shares, _ = mechanism.decide(values[None])
    assert not shares.any()
    best = mechanism.welfare_bounds({n: values[[i]] for i, n in enumerate(mechanism.agents)})[0]
    harmonic = (1.0 / np.arange(1, k + 1)).sum()
    assert best == pytest.approx(harmonic - 1.0 - k * below, abs=1e-12)
    if k == 3:
        assert best == pytest.approx(5 / 6, abs=1e-5)


@given(st.lists(st.floats(0.0, 3.0), min_size=4, max_size=4))
@settings(deadline=None, max_examples=40)
def test_the_cost_is_covered_and_no_welfare_loss_exceeds_the_bound(values: list[float]) -> None:
    bids = np.asarray(values)[None]
    for mechanism in (moulin_shapley(4, prior=WIDE, cost=1.0), moulin_shapley(4, prior=WIDE, cost=[0.3, 0.5, 1.0, 1.0])):
        shares, paid = mechanism.decide(bids)
        profile = {n: bids[:, i] for i, n in enumerate(mechanism.agents)}
        cost = -mechanism.planner_values(mechanism.outcomes(profile))[0]
        assert paid.sum() == pytest.approx(cost, abs=1e-12)
        best = mechanism.welfare_bounds(profile)[0]
        assert best - ((bids * shares).sum() - cost) <= 25 / 12 - 1 + 1e-9


@given(st.lists(st.integers(0, 12).map(lambda k: k / 6.0), min_size=3, max_size=3))
@settings(deadline=None, max_examples=40)
def test_served_sets_by_brute_force(values: list[float]) -> None:
    """Moulin: the union of all sets that can bear their shares. Marginal cost: the greatest net value, VCG payments."""
    names = ["a", "b", "c"]

    def cost(members: frozenset[str]) -> float:
        return 0.8 * math.sqrt(len(members)) + (0.3 if "c" in members else 0.0)

    value = dict(zip(names, values, strict=True))
    sets = [frozenset(s) for r in range(4) for s in itertools.combinations(names, r)]

    def shares_of(members: frozenset[str]) -> dict[str, float]:
        return shapley_shares(sorted(members), cost) if members else {}

    bearable = [s for s in sets if all(value[n] >= share - 1e-12 for n, share in shares_of(s).items())]
    union = frozenset().union(*bearable)
    mechanism = moulin_shapley(names, prior=WIDE, cost=cost)
    outcome = mechanism.outcome(value)
    assert {n for n in names if outcome.allocation[n] > 0.5} == union
    assert {n: t for n, t in outcome.payments.items() if n in union} == pytest.approx(shares_of(union), abs=1e-9)

    def best(present: dict[str, float]) -> float:
        return max(sum(present.get(n, 0.0) for n in s) - cost(s) for s in sets)

    pivotal = marginal_cost_sharing(names, prior=WIDE, cost=cost)
    served = pivotal.outcome(value)
    for n in names:
        others = {m: v for m, v in value.items() if m != n}
        expected = value[n] * float(served.allocation[n]) - (best(value) - best(others))
        assert served.payments[n] == pytest.approx(expected, abs=1e-9)


@given(st.lists(st.floats(0.0, 1.0), min_size=3, max_size=3))
@settings(deadline=None, max_examples=30)
def test_serial_demands_are_an_equilibrium_of_the_serial_rule(types: list[float]) -> None:
    """No agent of the direct mechanism's demands would rather ask for another amount under Moulin and Shenker's shares."""
    mechanism = serial_cost_sharing(3, power=2.0, scale=0.5)
    theta = np.asarray(types)
    demand, paid = (part[0] for part in mechanism.decide(theta[None]))

    def cost(total: float) -> float:
        return 0.5 * total**2

    np.testing.assert_allclose(serial_shares(demand, cost), paid, atol=1e-12)
    assert paid.sum() == pytest.approx(cost(float(demand.sum())), abs=1e-12)
    for i in range(3):
        for amount in np.linspace(0.0, 1.2, 61):
            other = demand.copy()
            other[i] = amount
            assert theta[i] * amount - serial_shares(other, cost)[i] <= theta[i] * demand[i] - paid[i] + 1e-9


@pytest.mark.parametrize("power", [1.5, 2.0, 3.0])
def test_a_single_agent_of_serial_sharing_is_efficient(power: float) -> None:
    mechanism = serial_cost_sharing(1, power=power, scale=0.7)
    amounts = np.linspace(0.0, 2.0, 200_001)
    net = 0.6 * amounts - 0.7 * amounts**power
    assert float(mechanism.outcome({"agent 1": 0.6}).allocation["agent 1"]) == pytest.approx(amounts[net.argmax()], abs=2e-5)


def test_verdicts_on_finite_types() -> None:
    coarse = FinitePrior([0.0, 0.25, 0.5, 0.75, 1.0])
    for mechanism in (moulin_shapley(3, prior=coarse), serial_cost_sharing(3, prior=coarse), marginal_cost_sharing(3, prior=coarse)):
        verdicts = {f.property: f.verdict for f in audit(mechanism, ["DSIC", "BIC", "ex_post_IR"], effort="quick")}
        assert set(verdicts.values()) == {Verdict.PROVED}, mechanism.name
    deficit, loss = audit(marginal_cost_sharing(3, prior=coarse), ["planner_IR"]) + audit(moulin_shapley(3, prior=coarse), ["efficiency"])
    assert deficit.verdict is Verdict.REFUTED
    assert loss.verdict is Verdict.REFUTED
    assert replay(marginal_cost_sharing(3, prior=coarse), deficit) == pytest.approx(1.0)


def test_shares_that_rise_with_the_set_would_be_manipulable() -> None:
    """Negative control: without submodularity the mechanism is refused, and for good reason."""
    from hurwicz.mechanisms import single_parameter

    def rising(bids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # alone .2 each, together 1 each
        both = (bids >= 1.0).all(axis=1, keepdims=True)
        alone = bids >= 0.2
        first = alone & (np.cumsum(alone, axis=1) == 1)
        served = np.where(both, 1.0, first.astype(float))
        return served, served * np.where(both, 1.0, 0.2)

    (finding,) = audit(single_parameter("rising", rising, 2, prior=FinitePrior([0.1, 0.5, 1.0])), ["DSIC"])
    assert finding.verdict is Verdict.REFUTED


def test_bad_demands_and_costs_are_refused() -> None:
    with pytest.raises(InputError, match="at least 0"):
        serial_shares(np.array([1.0, -1.0]), lambda q: q)
    with pytest.raises(InputError, match="power"):
        serial_cost_sharing(2, power=1.0)
    with pytest.raises(InputError, match="at least 0"):
        serial_cost_sharing(2, prior=Uniform(Interval(-1.0, 1.0)))
