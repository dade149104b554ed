"""Second-order test on the critical cone, against the Hessians and bounds that the planner is not told."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hurwicz._foundation import Status
from hurwicz.prices import Box, DeclaredAgent, PopulationAgent, PriceGraph, Proximal, coordinate
from hurwicz.prices.curvature import reveal_curvature, second_order_test
from hurwicz.prices.exchange import Exchange
from hurwicz.valuations import Power, Quadratic, ZeroCost


def exchange_of(graph, agents):
    loss = graph.compile()
    return Exchange(loss, agents, loss.terms(), max_rounds=1000)


def quadratic_graph(matrix, linear):
    return PriceGraph.from_loss(lambda x: 0.5 * x["p"] @ matrix @ x["p"] + linear @ x["p"], {"p": (len(linear),)})


def test_answers_reveal_curvature_and_bounds():
    rng = np.random.default_rng(0)
    theta = rng.uniform(0.2, 3, 4)
    x = np.array([0.5, 1.0, 0.0, 0.7])
    # Prices are chosen so that x is the answer: agent 1 is pushed against its upper bound, agent 2 rests at its lower one.
    slope = 4 * theta * x**3
    price = slope + np.array([0.0, 2.0, 0.0, 0.0])
    graph = PriceGraph()
    graph.population("p", 4)
    graph.loss("l", lambda a: -price @ a, ["p"])
    agents = [PopulationAgent("p", Power(4.0), theta, Box(0.0, np.array([9.0, 1.0, 9.0, 9.0])))]
    found = reveal_curvature(exchange_of(graph, agents), x, weight=1.0)
    assert found.free.tolist() == [True, False, False, True]
    assert found.side.tolist() == [0.0, 0.0, 1.0, 0.0]
    for (member, own), index in zip(found.blocks, range(4), strict=True):
        if found.free[index]:
            assert own[0, 0] == pytest.approx(12 * theta[index] * x[index] ** 2, rel=1e-5)
        assert member.tolist() == [index]


@given(seed=st.integers(0, 10_000))
@settings(deadline=None, max_examples=20)
def test_status_against_brute_force_over_the_cone(seed):
    rng = np.random.default_rng(seed)
    n = 3
    matrix = rng.normal(size=(n, n))
    matrix = matrix + matrix.T
    # At 0, inside for the first coordinate, at a bound that does not push for the others.
    lower = np.array([-1.0, 0.0, 0.0])
    graph = quadratic_graph(matrix, np.zeros(n))
    agents = [DeclaredAgent("p", ZeroCost(), 0.0, Box(lower, 1.0), shape=(n,))]
    found = second_order_test(exchange_of(graph, agents), np.zeros(n))
    directions = rng.normal(size=(20_000, n))
    directions[:, 1:] = np.abs(directions[:, 1:])
    directions[:2000, 1] = directions[2000:4000, 2] = 0.0
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    least = np.einsum("ki,ij,kj->k", directions, matrix, directions).min()
    if least < -1e-2:
        assert found.status is Status.SADDLE
        assert found.direction @ matrix @ found.direction < 0
        assert np.all(found.direction[1:] >= -1e-9)
    elif least > 1e-2:
        assert found.status is Status.LOCAL_OPTIMUM


def test_the_agents_own_curvature_counts():
    # S alone is a saddle at 0; with the costs it is a minimum.
    matrix = np.diag([1.0, -0.5])
    for theta, status in ((0.1, Status.SADDLE), (1.0, Status.LOCAL_OPTIMUM)):
        agents = [DeclaredAgent("p", Quadratic(), theta, shape=(2,))]
        found = second_order_test(exchange_of(quadratic_graph(matrix, np.zeros(2)), agents), np.zeros(2))
        assert found.status is status
        assert found.smallest == pytest.approx(-0.5 + 2 * theta, abs=1e-6)


def test_a_bound_that_pushes_hides_negative_curvature():
    # x = 1 minimises -x² + ... only because the bound pushes: the cone is {0} there.
    graph = quadratic_graph(np.array([[-2.0]]), np.array([-1.0]))
    solution = coordinate(graph, [DeclaredAgent("p", ZeroCost(), 0.0, Box(-1.0, 1.0), shape=(1,))], dynamics=Proximal())
    assert float(solution.value.actions["p"][0]) == pytest.approx(1.0)
    assert solution.status is Status.LOCAL_OPTIMUM


def test_a_flat_direction_is_only_stationary():
    graph = quadratic_graph(np.diag([1.0, 0.0]), np.zeros(2))
    agents = [DeclaredAgent("p", ZeroCost(), 0.0, Box(-1.0, 1.0), shape=(2,))]
    assert second_order_test(exchange_of(graph, agents), np.zeros(2)).status is Status.STATIONARY_POINT


def test_large_problems_use_lanczos():
    rng = np.random.default_rng(1)
    bend = rng.uniform(0.5, 2.0, 450)
    bend[17] = -0.3
    graph = PriceGraph()
    graph.population("p", 450)
    graph.loss("l", lambda x: 0.5 * (bend * x**2).sum(), ["p"])
    agents = [PopulationAgent("p", ZeroCost(), np.zeros(450), Box(-1.0, 1.0))]
    found = second_order_test(exchange_of(graph, agents), np.zeros(450))
    assert found.status is Status.SADDLE
    assert found.smallest == pytest.approx(-0.3, abs=1e-6)
    assert abs(found.direction[17]) == pytest.approx(1.0, abs=1e-4)
