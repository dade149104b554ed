"""Hard constraints: multipliers against a QP solver's duals, infeasibility named."""

from __future__ import annotations

import cvxpy
import jax.numpy as jnp
import numpy as np
import pytest

from hurwicz._foundation import NotConvergedError, Status
from hurwicz.prices import Accelerated, Box, DeclaredAgent, PopulationAgent, PriceGraph, PriceNewton, coordinate
from hurwicz.valuations import Power, Quadratic


def market(cap: float) -> PriceGraph:
    graph = PriceGraph()
    p = graph.population("p", 6)
    graph.loss("rough", lambda x: 0.05 * ((x[1:] - x[:-1]) ** 2).sum(), [p])
    demand = graph.source("demand", 6.0)
    graph.equality("balance", lambda x, d: x.sum() - d, [p, demand])
    graph.inequality("line", lambda x: jnp.stack([x[:3].sum() - cap, x[0] - x[5] - 4.0]), [p])
    return graph


@pytest.mark.parametrize("dynamics", [None, PriceNewton(), Accelerated()], ids=["default", "newton", "accelerated"])
def test_multipliers_are_the_solvers_duals(dynamics):
    theta = np.array([0.2, 0.5, 1.0, 2.0, 1.5, 0.7])
    solution = coordinate(market(3.0), [PopulationAgent("p", Quadratic(), theta, Box(0.0, 5.0))], dynamics=dynamics, tol=1e-10)
    x = cvxpy.Variable(6)
    balance, line = cvxpy.sum(x) == 6.0, cvxpy.hstack([cvxpy.sum(x[:3]) - 3.0, x[0] - x[5] - 4.0]) <= 0
    cost = 0.05 * cvxpy.sum_squares(x[1:] - x[:-1]) + cvxpy.sum(cvxpy.multiply(theta, x**2))
    cvxpy.Problem(cvxpy.Minimize(cost), [balance, line, x >= 0, x <= 5]).solve(solver="CLARABEL")
    assert solution.status is Status.OPTIMUM
    assert solution.value.actions["p"] == pytest.approx(x.value, abs=1e-6)
    assert float(solution.value.multipliers["balance"]) == pytest.approx(float(balance.dual_value), abs=1e-5)
    assert solution.value.multipliers["line"] == pytest.approx(line.dual_value, abs=1e-5)
    assert solution.value.violation <= 1e-7
    assert solution.value.prices["p"] == pytest.approx(2 * theta * solution.value.actions["p"], abs=1e-5)
    if dynamics is None:
        assert solution.value.rounds <= 12


def test_nonlinear_constraint_and_costs_against_the_kkt_conditions():
    graph = PriceGraph()
    for name in ("a", "b"):
        graph.agent(name)
    graph.loss("l", lambda a, b: (a + b - 4.0) ** 2, ["a", "b"])
    graph.inequality("disc", lambda a, b: a**2 + b**2 - 1.0, ["a", "b"])
    agents = [DeclaredAgent("a", Power(4.0), 0.3), DeclaredAgent("b", Quadratic(), 0.2)]
    solution = coordinate(graph, agents)
    a, b = (float(solution.value.actions[name]) for name in ("a", "b"))
    nu = float(solution.value.multipliers["disc"])
    assert a**2 + b**2 == pytest.approx(1.0, abs=1e-7)
    assert nu > 0
    assert 2 * (a + b - 4) + 1.2 * a**3 + 2 * nu * a == pytest.approx(0.0, abs=1e-5)
    assert 2 * (a + b - 4) + 0.4 * b + 2 * nu * b == pytest.approx(0.0, abs=1e-5)


def test_a_ball_and_a_line_against_the_kkt_conditions():
    theta = np.array([0.1, 0.5, 1.0, 0.3, 0.2, 0.7])
    graph = PriceGraph()
    p = graph.population("p", 6)
    graph.loss("miss", lambda x: (x.sum() - 6.0) ** 2, [p])
    graph.inequality("ball", lambda x: (x**2).sum() - 2.0, [p])
    graph.equality("split", lambda x: x[0] - x[1] - 0.1, [p])
    solution = coordinate(graph, [PopulationAgent("p", Quadratic(), theta)])
    # The problem is convex, so that a point that meets the KKT conditions is the optimum.
    x = solution.value.actions["p"]
    nu, mu = float(solution.value.multipliers["ball"]), float(solution.value.multipliers["split"])
    assert solution.status is Status.OPTIMUM
    assert nu > 0
    assert (x**2).sum() == pytest.approx(2.0, abs=1e-8)
    assert x[0] - x[1] == pytest.approx(0.1, abs=1e-8)
    slope = 2 * (x.sum() - 6.0) + 2 * (theta + nu) * x + mu * np.array([1.0, -1, 0, 0, 0, 0])
    assert np.abs(slope).max() < 1e-5
    assert solution.value.rounds <= 60


def test_a_slack_constraint_has_no_price():
    solution = coordinate(market(50.0), [PopulationAgent("p", Quadratic(), np.ones(6), Box(0.0, 5.0))])
    assert solution.value.multipliers["line"].tolist() == [0.0, 0.0]


def test_constraints_without_a_common_point_are_named():
    graph = PriceGraph()
    graph.agent("a")
    graph.loss("l", lambda a: 0.1 * a**2, ["a"])
    graph.equality("demand", lambda a: a - 5.0, ["a"])
    with pytest.raises(NotConvergedError, match=r"violation of 3|no common point|rounds ended"):
        coordinate(graph, [DeclaredAgent("a", Quadratic(), 1.0, Box(0.0, 2.0))], max_rounds=500)


@pytest.mark.parametrize("convex", [None, True])
@pytest.mark.parametrize(
    ("kind", "outside"),
    [("inequality", lambda a, b: 1.0 - a**2 - b**2), ("equality", lambda a, b: a**2 + b**2 - 1.0)],
    ids=["disc", "circle"],
)
def test_no_optimum_is_claimed_on_a_set_that_is_not_convex(kind, outside, convex):
    """S is convex, its set is not: (1, 0) is the nearest point to (.5, 0), and nothing proves that it is."""
    graph = PriceGraph()
    graph.agent("a")
    graph.agent("b")
    graph.loss("miss", lambda a, b: (a - 0.5) ** 2 + b**2, ["a", "b"])
    getattr(graph, kind)("outside", outside, ["a", "b"])
    agents = [DeclaredAgent(name, Quadratic(), 0.01) for name in "ab"]
    solution = coordinate(graph, agents, start={"a": 1.0, "b": 0.3}, convex=convex)
    assert solution.status is Status.LOCAL_OPTIMUM
    assert solution.stats["certificate"] is None
    assert float(solution.value.actions["a"]) == pytest.approx(1.0, abs=1e-6)
    assert solution.value.violation <= 1e-6
