"""Payments on a grid against their definitions, and the direct form before a search for lies."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest

from hurwicz._foundation import InputError
from hurwicz.formats import MatpowerCase, packaged_case
from hurwicz.prices.dispatch import (
    RULES,
    DispatchMechanism,
    DispatchModel,
    coordinate,
    explain_price,
    reference_optimum,
)
from hurwicz.prices.dispatch.costs import unit_costs
from hurwicz.typespaces import FinitePrior

sys.path.insert(0, str(Path(__file__).parent))
from grids import grid, random_grid

VOLL = 10_000.0


def without(case: MatpowerCase, row: int) -> MatpowerCase:
    status = case.gen.status.copy()
    status[row] = 0.0
    return dataclasses.replace(case, gen=dataclasses.replace(case.gen, status=status))


@pytest.mark.parametrize("name", ["case200_activ", "random"])
def test_clarke_is_the_pivot_payment(name: str) -> None:
    case = packaged_case(name) if name != "random" else random_grid(11, ["quadratic", "linear"], tight=1.1)
    result = coordinate(case, payments=["clarke"], value_of_lost_load=VOLL)
    costs = unit_costs(case, result.network.unit_rows)
    checked = 0
    for k, unit in enumerate(result.network.units):
        if result.actions[unit] < 1e-3 or unit in result.pivotal or checked >= 8:
            continue
        own = costs[k].at(result.actions[unit])
        alone = reference_optimum(without(case, int(result.network.unit_rows[k]))).objective
        assert result.transfers["clarke"][unit] == pytest.approx(alone - (result.objective - own), abs=1e-6 * result.objective)
        checked += 1
    assert checked >= 2


def test_clarke_is_the_integral_of_the_price_along_the_path() -> None:
    case = grid(
        [0.0, 60.0, 60.0],
        [(1, 0.0, 80.0, "2 0 0 3 0.02 10 0"), (2, 0.0, 90.0, "2 0 0 3 0.05 12 0"), (3, 0.0, 90.0, "2 0 0 3 0.08 14 0")],
        [(1, 2, 0.1, 0.0), (2, 3, 0.1, 0.0), (1, 3, 0.1, 0.0)],
    )
    result = coordinate(case, payments=["clarke"], value_of_lost_load=VOLL)
    x = result.actions["gen 1 @ bus 1"]
    nodes, weights = np.polynomial.legendre.leggauss(4)
    integral = 0.0
    for node, weight in zip((nodes + 1) / 2 * x, weights / 2 * x, strict=True):
        held = dataclasses.replace(case.gen, pmin=np.array([node, 0.0, 0.0]), pmax=np.array([node, 90.0, 90.0]))
        integral += weight * coordinate(dataclasses.replace(case, gen=held)).prices[1]
    assert result.transfers["clarke"]["gen 1 @ bus 1"] == pytest.approx(integral, rel=1e-8)


@pytest.mark.parametrize(
    ("name", "pivotal"), [("case14_ieee", "gen 1 @ bus 1"), ("case30_as", "gen 1 @ bus 1"), ("case118_ieee", "gen 5 @ bus 10")]
)
def test_four_rules_and_who_is_pivotal(name: str, pivotal: str) -> None:
    result = coordinate(packaged_case(name), payments=RULES, value_of_lost_load=VOLL, samples=4)
    assert result.pivotal == (pivotal,)
    assert set(result.transfers) == set(RULES)
    net = result.network
    for unit, output in result.actions.items():
        price = result.prices[int(net.buses[net.unit_bus[net.units.index(unit)]])]
        assert result.transfers["linear"][unit] == pytest.approx(price * output, abs=1e-6)
        assert result.transfers["own_path"][unit] >= VOLL * abs(output) - 1e-2
        assert result.transfers["clarke"][unit] <= result.transfers["own_path"][unit] + 1e-2
        assert all(result.payments[rule][unit] == -result.transfers[rule][unit] for rule in RULES)
    scale = max(abs(v) for v in result.transfers["expected_externality"].values())
    assert sum(result.transfers["expected_externality"].values()) == pytest.approx(0.0, abs=1e-12 * scale * len(result.actions))
    # Clarke never pays less than the price for what is produced, where minimum outputs are zero
    if np.all(net.pmin == 0):
        assert all(result.transfers["clarke"][u] >= result.transfers["linear"][u] - 1e-3 for u in result.actions)


def test_value_of_lost_load_is_asked_for_and_sets_the_payment() -> None:
    case = packaged_case("case14_ieee")
    with pytest.raises(InputError, match=r"without gen 1 @ bus 1 demand cannot be met.*value_of_lost_load"):
        coordinate(case, payments=["clarke"])
    with pytest.raises(InputError, match="own_path"):
        coordinate(case, payments=["own_path"])
    with pytest.raises(InputError, match="positive"):
        coordinate(case, payments=["clarke"], value_of_lost_load=-1.0)
    low, high = (coordinate(case, payments=["clarke"], value_of_lost_load=v).transfers["clarke"]["gen 1 @ bus 1"] for v in (1e4, 2e4))
    assert high - low == pytest.approx(1e4 * 200.0, rel=1e-6)  # of 259 MW, 59 can come from bus 2
    cheap = coordinate(case, payments=["clarke"], value_of_lost_load=5.0)
    assert "raise it" in cheap.notes[-1]


def test_price_taken_apart() -> None:
    result = coordinate(packaged_case("case118_ieee"))
    for unit in ("gen 5 @ bus 10", "gen 30 @ bus 69", "gen 54 @ bus 116"):
        if unit not in result.actions:
            continue
        rows = explain_price(result, unit, reference_bus=69)
        assert rows[0]["what"] == "bus 69"
        assert sum(row["contribution"] for row in rows[:-1]) == pytest.approx(rows[-1]["contribution"], abs=1e-9)
        rest = next(row for row in rows if row["part"] == "rest")
        assert abs(rest["contribution"]) < 1e-6
        assert {row["what"] for row in rows if row["part"] == "congestion"} == {f"{b['line']} ({b['binds']})" for b in result.binding}
    with pytest.raises(InputError, match="units in service"):
        explain_price(result, "gen 99")
    with pytest.raises(InputError, match="reference_bus"):
        explain_price(result, "gen 5 @ bus 10", reference_bus=9999)


def test_direct_form_pays_what_the_coordination_pays() -> None:
    case = packaged_case("case14_ieee")
    prior = FinitePrior([0.8, 1.0, 1.25])
    result = coordinate(case, payments=["linear", "clarke", "own_path"], value_of_lost_load=VOLL)
    model = DispatchModel(case, value_of_lost_load=VOLL, prior=prior)
    for rule in ("linear", "clarke", "own_path"):
        mechanism = DispatchMechanism(model, rule)
        outcome = mechanism.outcome(dict.fromkeys(mechanism.agents, 1.0))
        for agent in mechanism.agents:
            assert outcome.payments[agent] == pytest.approx(result.payments[rule][agent], abs=1e-3)
            assert float(outcome.allocation[agent]) == pytest.approx(result.actions[agent], abs=1e-6)
        assert mechanism.welfare(outcome, dict.fromkeys(mechanism.agents, 1.0)) == pytest.approx(-result.objective, abs=1e-3)
    with pytest.raises(InputError, match="linear"):
        DispatchMechanism(model, "first_price")


def utility(mechanism: DispatchMechanism, agent: str, true: float, report: float, others: dict[str, float]) -> float:
    outcome = mechanism.outcome({**others, agent: report})
    return mechanism.value(agent, outcome, true) - outcome.payments[agent]


def test_lies_pay_under_linear_prices_and_not_under_clarke_or_agv() -> None:
    case = packaged_case("case30_as")
    grid_of_types = [0.8, 1.0, 1.25]
    model = DispatchModel(case, value_of_lost_load=VOLL, prior=FinitePrior(grid_of_types))
    gains = dict.fromkeys(RULES, 0.0)
    for rule in ("linear", "clarke"):
        mechanism = DispatchMechanism(model, rule)
        for seed in range(3):
            rng = np.random.default_rng(seed)
            others = {name: float(rng.choice(grid_of_types)) for name in mechanism.agents}
            for agent in mechanism.agents:
                truth = utility(mechanism, agent, others[agent], others[agent], others)
                for report in grid_of_types:
                    gains[rule] = max(gains[rule], utility(mechanism, agent, others[agent], report, others) - truth)
    assert gains["linear"] > 1.0
    assert gains["clarke"] < 1e-2
    model = DispatchModel(packaged_case("case14_ieee"), value_of_lost_load=VOLL, prior=FinitePrior(grid_of_types))
    agv = DispatchMechanism(model, "expected_externality")
    agent = agv.agents[1]
    profiles, weights = model._profiles(agv._unit[agent])
    expected = {}
    for report in grid_of_types:
        reports = {name: profiles[:, k].copy() for k, name in enumerate(agv.agents)} | {agent: np.full(len(weights), report)}
        found = agv.outcomes(reports)
        values = agv.values(agent, found, np.full(len(weights), 1.0))
        own = model.others_expected(agv._unit[agent], report)
        expected[report] = float(weights @ values) + own * len(agv.agents) / (len(agv.agents) - 1) * (1 - 1 / len(agv.agents))
    assert expected[1.0] >= max(expected.values()) - 1e-6
    outcome = agv.outcome(dict.fromkeys(agv.agents, 1.0))
    assert sum(outcome.payments.values()) == pytest.approx(0.0, abs=1e-9)
    assert model.sampling_error == 0.0
