"""The planner against bisection, linear algebra, a general solver and the supply curve."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from hurwicz._foundation import Status
from hurwicz.prices import (
    Accelerated,
    Anderson,
    Box,
    Broyden,
    DeclaredAgent,
    PopulationAgent,
    PriceGraph,
    PriceNewton,
    Simplex,
    coordinate,
)
from hurwicz.valuations import PiecewiseLinear, Power, Quadratic


@pytest.mark.parametrize("dynamics", [PriceNewton(), Broyden(), Anderson()], ids=lambda d: type(d).__name__)
def test_capacities_and_quartic_costs_against_bisection(dynamics):
    rng = np.random.default_rng(3)
    theta, cap = rng.uniform(0.1, 2, 200), rng.uniform(0.05, 0.5, 200)
    graph = PriceGraph.from_loss(lambda x: (x["p"].sum() - 20.0) ** 2 / 200, {"p": (200,)}).compile()
    agents = [DeclaredAgent("p", Power(4.0), theta, Box(0.0, cap), shape=(200,))]
    solution = coordinate(graph, agents, dynamics=dynamics)
    low, high = 0.0, 1.0
    for _ in range(200):
        price = 0.5 * (low + high)
        answer = np.minimum((price / (4 * theta)) ** (1 / 3), cap)
        low, high = (price, high) if price < -2 * (answer.sum() - 20) / 200 else (low, price)
    assert solution.value.actions["p"] == pytest.approx(answer, abs=1e-7)
    assert solution.status is Status.OPTIMUM
    assert solution.value.rounds <= (15 if isinstance(dynamics, PriceNewton) else 100)


def markets():
    graph = PriceGraph()
    held, wanted = graph.source("matrix", np.eye(2, 6)), graph.source("goal", np.ones(2))
    agents = graph.population("p", 6)
    mixed = graph.function("mixed", lambda a, x: a @ x, [held, agents])
    graph.loss("miss", lambda y, g: ((y - g) ** 2).sum(), [mixed, wanted])
    return graph.compile()


MARKETS = markets()


@given(seed=st.integers(0, 10_000))
@settings(deadline=None, max_examples=8)
def test_random_quadratic_markets_against_linear_algebra(seed):
    rng = np.random.default_rng(seed)
    matrix, goal, theta = rng.normal(size=(2, 6)), rng.normal(size=2), rng.uniform(0.05, 3, 6)
    solution = coordinate(MARKETS, [PopulationAgent("p", Quadratic(), theta)], data={"matrix": matrix, "goal": goal})
    exact = np.linalg.solve(2 * matrix.T @ matrix + 2 * np.diag(theta), 2 * matrix.T @ goal)
    assert solution.value.actions["p"] == pytest.approx(exact, abs=1e-8)
    assert solution.stats["waist"] == 2
    assert solution.value.rounds <= 4


def test_vector_agents_on_mixed_sets_against_a_solver():
    matrix = jnp.asarray([[2.0, 0.5], [0.5, 1.0]])
    graph = PriceGraph.from_loss(lambda x: jnp.sum((x["u"] + x["v"] - jnp.array([1.0, 0.4])) ** 2), {"u": (2,), "v": (2,)}).compile()
    agents = [
        DeclaredAgent("u", lambda x, t: t * x @ matrix @ x, 0.3, Box(-0.2, 0.4), shape=(2,)),
        DeclaredAgent("v", Quadratic(), 0.5, Simplex(0.5), shape=(2,)),
    ]
    found = minimize(
        lambda z: ((z[:2] + z[2:] - [1.0, 0.4]) ** 2).sum() + 0.3 * z[:2] @ np.asarray(matrix) @ z[:2] + 0.5 * (z[2:] ** 2).sum(),
        np.full(4, 0.25),
        bounds=[(-0.2, 0.4)] * 2 + [(0, None)] * 2,
        constraints={"type": "eq", "fun": lambda z: z[2:].sum() - 0.5},
        options={"ftol": 1e-15},
    )
    for dynamics in (PriceNewton(), Accelerated()):
        solution = coordinate(graph, agents, dynamics=dynamics)
        assert graph.flatten(solution.value.actions) == pytest.approx(found.x, abs=1e-6)


def test_linear_and_piecewise_linear_costs_jump_and_are_still_coordinated():
    graph = PriceGraph.from_loss(lambda x: 5 * (sum(x.values()) - 7.461) ** 2, {str(k): () for k in range(4)})
    step = [DeclaredAgent(str(k), Quadratic(linear=float(k + 1)), 0.0, Box(0, 3)) for k in range(4)]
    solution = coordinate(graph, step)
    # The marginal supplier is the third: 10 (7.461 - total) = 3.
    assert [float(x) for x in solution.value.actions.values()] == pytest.approx([3, 3, 7.461 - 0.3 - 6, 0], abs=1e-7)
    blocks = [DeclaredAgent(str(k), PiecewiseLinear((0.0, 1.0, 2.0)), [1.0 + k, 4.0 + k], Box(0, 2)) for k in range(4)]
    solution = coordinate(graph, blocks)
    # Price 4: every first block (1, 2, 3, 4) and the cheapest second block meet there; 10 (7.461 - total) = price.
    total = sum(float(x) for x in solution.value.actions.values())
    price = 10 * (7.461 - total)
    for k in range(4):
        x = float(solution.value.actions[str(k)])
        below, above = ((1.0 + k) if x <= 1 + 1e-7 else 4.0 + k), ((1.0 + k) if x < 1 - 1e-7 else 4.0 + k)
        assert x <= 1e-7 or below <= price + 1e-5
        assert x >= 2 - 1e-7 or above >= price - 1e-5
