"""The problems of the paper's appendix C against their closed forms."""

from __future__ import annotations

import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from hurwicz._foundation import DivergedError, Status
from hurwicz.prices import (
    Accelerated,
    Anderson,
    Box,
    Broyden,
    DeclaredAgent,
    GradientResponse,
    PopulationAgent,
    PriceGraph,
    PriceNewton,
    Proximal,
    SharingADMM,
    coordinate,
    total_loss,
)
from hurwicz.valuations import Quadratic, ZeroCost

sys.path.insert(0, str(Path(__file__).parent))
from markets import C3, C4, crowd, quadratics, target_graph

CONVERGENT = [PriceNewton(), Anderson(), Broyden(), SharingADMM(), Accelerated(), Proximal(), GradientResponse()]


@pytest.mark.parametrize(
    ("dynamics", "lam", "target", "optimum"),
    [(dynamics, C4, 7.461, 2.511271624) for dynamics in CONVERGENT]
    # A condition number of 140 would cost the two plain first-order methods thousands of rounds.
    + [(dynamics, C3, 10.0, 6.993006993) for dynamics in CONVERGENT if not isinstance(dynamics, GradientResponse | Proximal)],
    ids=lambda value: type(value).__name__,
)
def test_heterogeneous_agents_reach_the_closed_form(dynamics, lam, target, optimum):
    problem, agents = target_graph(5, target).compile(), quadratics(lam)
    solution = coordinate(problem, agents, dynamics=dynamics)
    assert solution.status is Status.OPTIMUM
    assert total_loss(problem, solution.value.actions, agents) == pytest.approx(optimum, abs=2e-9)
    inverse = 1 / np.array(lam)
    for k, agent in enumerate(agents):
        x = float(solution.value.actions[agent.name])
        assert x == pytest.approx(target * inverse[k] / (1 + inverse.sum()), abs=1e-5)
        assert float(solution.value.prices[agent.name]) == pytest.approx(2 * lam[k] * x, abs=1e-5)


def test_c1_a_free_agent_does_all_the_work():
    graph = PriceGraph.from_loss(lambda x: (x["1"] + x["2"] - 2.0) ** 2, {"1": (), "2": ()})
    agents = [DeclaredAgent("1", Quadratic(), 0.5), DeclaredAgent("2", ZeroCost(), 0.0)]
    for dynamics in (None, PriceNewton(), Accelerated(), GradientResponse(0.1)):
        solution = coordinate(graph, agents, start={"1": 1.0, "2": -1.0}, dynamics=dynamics)
        assert dynamics is not None or (solution.value.rounds <= 4 and solution.value.system_loss < 1e-18)
        assert float(solution.value.actions["1"]) == pytest.approx(0.0, abs=1e-6)
        assert float(solution.value.actions["2"]) == pytest.approx(2.0, abs=1e-6)


def test_c5_the_saddle_is_named_and_left():
    graph = PriceGraph.from_loss(lambda x: (x["1"] + x["2"] - 10.0) ** 2 + 0.5 * x["1"] * x["2"], {"1": (), "2": ()})
    agents = [DeclaredAgent(name, ZeroCost(), 0.0, Box(0.0, 10.0)) for name in ("1", "2")]
    for dynamics in (None, Proximal(), GradientResponse(0.05), Anderson()):
        solution = coordinate(graph, agents, dynamics=dynamics)
        assert solution.status is Status.LOCAL_OPTIMUM
        (saddle,) = solution.value.saddles
        assert [float(x) for x in saddle.values()] == pytest.approx([40 / 9, 40 / 9], abs=1e-6)
        assert sorted(float(x) for x in solution.value.actions.values()) == pytest.approx([0.0, 10.0], abs=1e-6)
        assert solution.value.system_loss == pytest.approx(0.0, abs=1e-9)
        assert solution.value.second_order.smallest == pytest.approx(2.0, abs=1e-3)
    stay = coordinate(graph, agents, escape_saddles=False)
    assert stay.status is Status.SADDLE
    assert stay.value.system_loss + 0 == pytest.approx(100 / 9, abs=1e-6)
    assert stay.value.second_order.smallest == pytest.approx(-0.5, abs=1e-6)


def test_c7_the_step_limit_is_where_theory_says():
    problem = crowd(100, 10.0).compile()
    agents = [PopulationAgent("crowd", Quadratic(), np.full(100, 0.01))]
    limit = 1 / 100.01
    # From equal actions only the steepest direction moves, by 1 - 2 eta (N + lam) = -.98 a round.
    start = {"crowd": np.ones(100)}
    below = coordinate(problem, agents, dynamics=GradientResponse(0.99 * limit), start=start, tol=1e-8, max_rounds=1000)
    assert total_loss(problem, below.value.actions, agents) == pytest.approx(100 * 0.01 / 100.01, rel=1e-9)
    assert below.value.rounds == pytest.approx(np.log(1e-8) / np.log(0.98), rel=0.05)
    with pytest.raises(DivergedError, match="gradient response"):
        coordinate(problem, agents, dynamics=GradientResponse(1.01 * limit), start=start)
    with pytest.raises(DivergedError):
        coordinate(problem, agents, dynamics=GradientResponse(1.1), start=start)


def test_c8_planning_with_a_cost_that_is_a_tenth_too_high():
    plan = np.full(100, 10.0 / (100 + 0.11))
    agents = [PopulationAgent("crowd", Quadratic(), np.full(100, 0.1))]
    assert total_loss(crowd(100, 10.0), {"crowd": plan}, agents) == pytest.approx(0.0999010967, abs=1e-10)
    believed = coordinate(crowd(100, 10.0), [agents[0].with_theta(np.full(100, 0.11))])
    assert believed.value.actions["crowd"] == pytest.approx(plan, abs=1e-9)


@pytest.mark.slow
def test_c10_the_papers_minimum_is_local_and_the_global_one_is_found():
    graph = PriceGraph.from_loss(lambda x: (x["1"] + x["2"] - 5) ** 2 + 0.5 * jnp.sin(4 * jnp.pi * x["2"]), {"1": (), "2": ()}).compile()
    agents = [DeclaredAgent(name, Quadratic(), 0.1) for name in ("1", "2")]
    papers = coordinate(graph, agents, dynamics=GradientResponse(0.01), tol=1e-7)
    assert papers.status is Status.LOCAL_OPTIMUM
    assert total_loss(graph, papers.value.actions, agents) == pytest.approx(1.121352, abs=1e-6)
    # Exhaustive in two dimensions: the best x1 for every x2 is in closed form.
    x2 = np.linspace(-5, 10, 600_001)
    x1 = (5 - x2) / 1.1
    best = ((x1 + x2 - 5) ** 2 + 0.5 * np.sin(4 * np.pi * x2) + 0.1 * (x1**2 + x2**2)).min()
    assert best == pytest.approx(0.6905, abs=1e-4)
    for seed in (1, 2):
        several = coordinate(graph, agents, starts=60, seed=seed)
        assert total_loss(graph, several.value.actions, agents) == pytest.approx(best, abs=1e-7)
        assert several.status is Status.LOCAL_OPTIMUM
        assert several.stats["certificate"] is None


def test_c14_a_wrong_belief_about_one_cost():
    problem = target_graph(5, 7.461).compile()
    truth, believed = quadratics([0.3, *C4[1:]]), quadratics(C4)
    plan = coordinate(problem, believed).value
    obeyed = total_loss(problem, plan.actions, truth)
    # Paid the planned prices, agent 1 acts on its own cost instead.
    acted = {**plan.actions, "1": plan.prices["1"] / (2 * 0.3)}
    # 4.7765 in print, from a run that had not quite converged.
    assert obeyed == pytest.approx(2.511271624 + 0.2 * float(plan.actions["1"]) ** 2, abs=1e-8)
    assert obeyed == pytest.approx(4.7765, abs=1e-3)
    assert float(plan.actions["1"]) == pytest.approx(3.3655, abs=1e-3)
    assert float(acted["1"]) == pytest.approx(float(plan.actions["1"]) / 3, abs=1e-8)
