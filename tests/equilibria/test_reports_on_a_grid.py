"""Equilibria of any mechanism in its reports: certified by brute force, against closed forms and an equation, and bad input."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from hurwicz._foundation import InputError, Status
from hurwicz.equilibria import RegretMatching, bayes_nash, report_equilibrium
from hurwicz.mechanisms import (
    SingleParameterMechanism,
    contract_net,
    core_selecting_auction,
    first_price,
    make,
    multi_unit_uniform_price,
    multi_unit_vickrey,
    registry,
    second_price,
)
from hurwicz.settings import CARA, CRRA, ExpectedUtility, RiskAttitude
from hurwicz.typespaces import CorrelatedPrior, FinitePrior, Independent, Interval, SortedDraws, TruncatedNormal, Uniform

LOCAL = {"global": ["AB"], "left": ["A"], "right": ["B"]}


class Power(RiskAttitude):
    """u(w) = sign(w) |w|^(1 - r): constant relative aversion with nothing else in the purse."""

    def __init__(self, aversion: float) -> None:
        self.power = 1.0 - aversion

    def utility(self, wealth: np.ndarray) -> np.ndarray:
        return np.asarray(np.sign(wealth) * np.abs(wealth) ** self.power)

    def wealth(self, utility: np.ndarray) -> np.ndarray:
        return np.asarray(np.sign(utility) * np.abs(utility) ** (1.0 / self.power))


def left_to_gain(mechanism: Any, found: Any) -> float:
    """The largest gain of any type, profile by profile with the mechanism's single outcomes; no tables."""
    names = list(mechanism.agents)
    worst = 0.0
    for name in names:
        others = [n for n in names if n != name]
        for t, own in enumerate(found.types[name]):
            worth = np.zeros(len(found.reports[name]))
            for told in itertools.product(*(range(len(found.reports[n])) for n in others)):
                chance = np.prod([found.weights[n] @ found.strategies[n][:, r] for n, r in zip(others, told, strict=True)])
                if chance == 0.0:
                    continue
                for r, report in enumerate(found.reports[name]):
                    profile = {n: found.reports[n][k] for n, k in zip(others, told, strict=True)} | {name: report}
                    outcome = mechanism.outcome({n: np.asarray(v).tolist() for n, v in profile.items()})
                    worth[r] += chance * (mechanism.value(name, outcome, own) - outcome.payments[name])
            worst = max(worst, float(worth.max() - found.strategies[name][t] @ worth))
    return worst


@pytest.mark.parametrize(
    "mechanism",
    [
        core_selecting_auction(list(LOCAL), prior=FinitePrior([[0.0], [0.5], [1.0]]), interests=LOCAL),
        multi_unit_uniform_price(2, prior=SortedDraws(FinitePrior([0.2, 0.6, 1.0]), 2)),
        contract_net(2, prior=FinitePrior([[0.3, 0.2], [0.9, 0.5], [1.0, 0.0]])),
    ],
    ids=lambda m: m.name,
)
def test_the_certificate_by_brute_force(mechanism: Any) -> None:
    found = report_equilibrium(mechanism, tolerance=1e-3)
    assert found.status is Status.EQUILIBRIUM
    assert found.value.epsilon <= found.stats["tolerance"]
    assert left_to_gain(mechanism, found.value) == pytest.approx(found.value.epsilon, abs=1e-12)


def test_the_certificate_of_what_is_no_equilibrium() -> None:
    mechanism = core_selecting_auction(list(LOCAL), prior=FinitePrior([[0.0], [0.5], [1.0]]), interests=LOCAL)
    bad = report_equilibrium(mechanism, tolerance=1e-12, steps=1, dynamics=RegretMatching())
    assert bad.status is Status.STEP_LIMIT
    assert bad.value.epsilon > 1e-3
    assert left_to_gain(mechanism, bad.value) == pytest.approx(bad.value.epsilon, abs=1e-12)
    assert "step limit" in bad.stats["why"]


@pytest.mark.parametrize("name", ["core_selecting_auction", "multi_unit_uniform_price", "contract_net", "combinatorial_pay_as_bid"])
def test_a_continuum_is_put_on_a_grid_and_it_is_said_so(name: str) -> None:
    mechanism = make(name, 3 if name == "core_selecting_auction" else 2)
    found = bayes_nash(mechanism, types=3, tolerance=1e-3)
    assert found.status.ok
    assert "3 cells a component, as types are continuous" in found.stats["kind"]
    assert found.value.gridded == tuple(mechanism.agents)
    for weights in found.value.weights.values():
        assert weights.sum() == pytest.approx(1.0, abs=1e-12)
    assert "on a grid" in found.value.certificate


SEVERAL_NUMBERS = [name for name, entry in registry().items() if not isinstance(entry.make(max(2, entry.least)), SingleParameterMechanism)]


@pytest.mark.parametrize("name", SEVERAL_NUMBERS)
def test_every_mechanism_of_several_numbers_has_one_within_the_tolerance(name: str) -> None:
    """And where the truth is claimed to be dominant, it is the truth that is found."""
    mechanism: Any = make(name, max(2, registry()[name].least))
    found = report_equilibrium(mechanism, types=3, tolerance=1e-3)
    assert found.status.ok, found.stats
    assert found.value.epsilon <= found.stats["tolerance"]
    if any(claim.property == "DSIC" and claim.holds for claim in mechanism.guarantees):
        assert found.stats["dynamics"] == "truth"


def test_truth_where_it_is_dominant() -> None:
    for mechanism in (multi_unit_vickrey(2), ExpectedUtility(second_price(2), CARA(3.0))):
        found = report_equilibrium(mechanism, types=4)
        assert found.stats["dynamics"] == "truth"
        assert found.value.epsilon <= 1e-12
        assert np.array_equal(found.value.strategies["bidder 1"], np.eye(len(found.value.types["bidder 1"])))


def test_the_continuous_equilibrium_of_one_number_each() -> None:
    """First price of two U[0, 1]: half the value, revenue 1/3, nothing lost; regret matching on reports as the sealed-bid search has it."""
    found = report_equilibrium(first_price(2), types=40, reports=81, tolerance=1e-3).value
    values = np.linspace(0.1, 0.9, 9)
    assert np.abs(found.bid("bidder 1", values) - values / 2).max() < 0.03
    assert found.revenue == pytest.approx(1 / 3, abs=0.02)
    assert found.ratio is not None
    assert found.ratio > 0.98


@pytest.mark.parametrize(("agents", "aversion"), [(2, 0.5), (2, 0.0), (2, 0.8), (3, 0.5)])
def test_risk_averse_bidders_of_first_price_in_closed_form(agents: int, aversion: float) -> None:
    """With u = w^(1 - r) and U[0, 1], b = (n - 1) / (n - 1 + 1 - r) v."""
    grid = 30 if agents == 2 else 14
    found = bayes_nash(ExpectedUtility(first_price(agents), Power(aversion)), types=grid, bids=2 * grid + 1, tolerance=1e-3)
    assert found.status.ok
    values = np.linspace(0.2, 0.95, 6)
    expected = (agents - 1) / (agents - aversion) * values
    assert np.abs(found.value.bid("bidder 1", values) - expected).max() < 2.0 / grid
    neutral = (agents - 1) / agents * values
    if aversion == 0.5:
        assert float((found.value.bid("bidder 1", values) - neutral)[-3:].min()) > 0.5 / grid


@pytest.mark.parametrize("attitude", [CARA(3.0), CRRA(2.0, endowment=1.5)], ids=["CARA", "CRRA"])
def test_risk_averse_bidders_of_first_price_by_the_equation(attitude: RiskAttitude) -> None:
    """b'(v) = u(v - b) / (v u'(v - b)) for two bidders with U[0, 1]."""

    def slope(v: float, b: np.ndarray) -> list[float]:
        step = 1e-6
        wealth = np.array([v - b[0], v - b[0] + step, v - b[0] - step])
        u = attitude.utility(wealth)
        return [float(u[0] / (v * (u[1] - u[2]) / (2 * step)))]

    values = np.array([0.25, 0.5, 0.75, 0.95])
    solved = solve_ivp(slope, (1e-3, 1.0), [0.5e-3], t_eval=values, rtol=1e-9, atol=1e-10).y[0]
    found = bayes_nash(ExpectedUtility(first_price(2), attitude), types=40, bids=81, tolerance=1e-3)
    assert found.status.ok
    assert np.abs(found.value.bid("bidder 2", values) - solved).max() < 0.03
    assert 1 / 3 < found.value.revenue < 1.0  # aversion raises bids


def test_revenue_and_welfare_of_a_lottery_are_in_money() -> None:
    """Risk neutrality through the wrapper: the figures of the mechanism itself."""
    bare = report_equilibrium(second_price(2), types=20).value
    wrapped = report_equilibrium(ExpectedUtility([(0.5, second_price(2)), (0.5, second_price(2))], CARA(0.0)), types=20).value
    assert wrapped.revenue == pytest.approx(bare.revenue, abs=1e-12)
    assert bare.welfare == pytest.approx(sum(bare.weights["bidder 1"] @ bare.types["bidder 1"] for _ in range(2)) / 2 + 1 / 6, abs=0.02)


def test_correlated_types_and_those_of_several_laws() -> None:
    joint = CorrelatedPrior({"bidder 1": [0.0, 0.0, 1.0, 1.0], "bidder 2": [0.0, 1.0, 0.0, 1.0]}, [0.4, 0.1, 0.1, 0.4])
    found = report_equilibrium(
        first_price(2, prior=joint), reports={"bidder 1": [0.0, 0.25, 0.5], "bidder 2": [0.0, 0.25, 0.5]}, tolerance=1e-3
    )
    assert found.status.ok
    law = Independent([TruncatedNormal(0.0, 1.0, mean=0.3, sd=0.2), Uniform(Interval(0.0, 2.0))])
    mixed = report_equilibrium(make("combinatorial_vcg", 2, prior=law, interests=["A", "B"]), types=4).value
    assert len(mixed.types["bidder 1"]) == 16
    exact = np.outer(np.diff(law.components[0].cdf(np.linspace(0, 1, 5))), np.full(4, 0.25)).ravel()  # type: ignore[attr-defined]
    np.testing.assert_allclose(np.sort(mixed.weights["bidder 1"]), np.sort(exact), atol=1e-12)


def test_no_time_is_said_and_bad_input_refused() -> None:
    short = report_equilibrium(make("multi_unit_discriminatory", 2), types=6, tolerance=1e-9, time_limit=1e-6)
    assert short.status is Status.STEP_LIMIT
    assert "time limit" in short.stats["why"]
    assert short.value.epsilon > 0.0
    with pytest.raises(InputError, match="at least 2 cells"):
        report_equilibrium(first_price(2), types=1)
    with pytest.raises(InputError, match="types that are numbers"):
        report_equilibrium(multi_unit_vickrey(2), reports=5)
    with pytest.raises(InputError, match="tolerance above 0"):
        report_equilibrium(first_price(2), tolerance=0.0)
    with pytest.raises(InputError, match="time limit above 0"):
        report_equilibrium(first_price(2), time_limit=0.0)
    with pytest.raises(InputError, match="at most 5,000,000 entries, 4 agents with 60 reports or more make"):
        report_equilibrium(first_price(4), types=60)
    with pytest.raises(InputError, match=r"contract net: a table of reports holds .* 12 agents with 4 reports or more"):
        report_equilibrium(contract_net(12))
