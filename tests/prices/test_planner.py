"""What a run says and refuses: round limits, failures, certificates, progress, bad arguments."""

from __future__ import annotations

import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from hurwicz._foundation import GraphError, InputError, NotConvergedError, NotFiniteError, Status
from hurwicz.prices import Accelerated, DeclaredAgent, GradientResponse, PriceGraph, coordinate
from hurwicz.valuations import Quadratic

sys.path.insert(0, str(Path(__file__).parent))
from markets import C3, C4, quadratics, target_graph


def test_the_round_limit_is_reported_with_what_was_reached():
    with pytest.raises(NotConvergedError, match="20 rounds") as caught:
        coordinate(target_graph(5, 7.461), quadratics(C4), dynamics=GradientResponse(0.005), max_rounds=20)
    reached = caught.value.reached
    assert reached.status is Status.STEP_LIMIT
    assert reached.value.rounds == 20
    returned = coordinate(target_graph(5, 7.461), quadratics(C4), dynamics=GradientResponse(0.005), max_rounds=20, raise_on_failure=False)
    assert returned.value.actions["1"] == reached.value.actions["1"]


def test_a_nan_price_stops_the_run_and_names_the_node():
    graph = PriceGraph()
    graph.agent("a")
    graph.function("depth", lambda a: jnp.log(a), ["a"])
    graph.loss("l", lambda d: d**2, ["depth"])
    with pytest.raises(NotFiniteError, match="function 'depth'"):
        coordinate(graph, [DeclaredAgent("a", Quadratic(), 1.0)], start={"a": -1.0})


def test_optimum_is_not_said_without_a_certificate():
    graph = PriceGraph.from_loss(lambda x: jnp.log(jnp.cosh(x["a"] - 1.0)), {"a": ()})
    agents = [DeclaredAgent("a", Quadratic(), 0.3)]
    assert coordinate(graph, agents).status is Status.LOCAL_OPTIMUM
    assert coordinate(graph, agents, convex=True).status is Status.OPTIMUM
    plain = PriceGraph.from_loss(lambda x: (x["a"] - 1.0) ** 2, {"a": ()})
    assert coordinate(plain, agents).status is Status.OPTIMUM
    assert coordinate(plain, agents, costs_convex=False).status is Status.LOCAL_OPTIMUM
    assert coordinate(plain, agents, convex=False).status is Status.LOCAL_OPTIMUM


def test_agents_that_see_upstream_nodes():
    graph = PriceGraph()
    graph.source("weather", 3.0)
    graph.function("sun", lambda w: 2 * w, ["weather"])
    graph.agent("a", inputs=["sun"])
    graph.loss("l", lambda a: (a - 1.0) ** 2, ["a"])
    agent = DeclaredAgent("a", lambda x, theta, inputs: theta * (x - inputs["sun"]) ** 2, 1.0, inputs_in_cost=True)
    for weather in (3.0, 1.0):
        solution = coordinate(graph, [agent], data={"weather": weather})
        assert float(solution.value.actions["a"]) == pytest.approx((1 + 2 * weather) / 2, abs=1e-8)


def test_nothing_compiles_again_round_by_round_or_run_by_run():
    problem = target_graph(5, 7.461).compile()
    coordinate(problem, quadratics(C4), dynamics=Accelerated())
    sizes = {name: piece._cache_size() for name, piece in problem._compiled.items()}
    coordinate(problem, quadratics(C3), dynamics=Accelerated(), data={"target": 9.0})
    assert {name: piece._cache_size() for name, piece in problem._compiled.items()} == sizes
    assert sizes["value_and_slope"] == 1


def test_progress_is_told():
    seen = []
    coordinate(target_graph(5, 7.461), quadratics(C4), progress=lambda rounds, residual: seen.append((rounds, residual)))
    assert [rounds for rounds, _ in seen] == sorted({rounds for rounds, _ in seen})
    assert seen[-1][1] <= 1e-9


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"tol": 0.0}, InputError, "tol"),
        ({"max_rounds": 0}, InputError, "max_rounds"),
        ({"start": {"1": 0.0}}, GraphError, "start: expected the agents"),
        ({"data": {"target": np.nan}}, NotFiniteError, "source 'target'"),
        ({"data": {"goal": 1.0}}, GraphError, "unknown sources"),
        ({"on_failure": "retry"}, InputError, "on_failure"),
    ],
)
def test_bad_arguments_are_named(change, error, message):
    with pytest.raises(error, match=message):
        coordinate(target_graph(5, 7.461), quadratics(C4), **change)


def test_agents_and_graph_must_match():
    with pytest.raises(GraphError, match=r"unknown \['6'\], missing \['5'\]"):
        coordinate(target_graph(5, 7.461), [*quadratics(C4)[:4], DeclaredAgent("6", Quadratic(), 1.0)])
    with pytest.raises(GraphError, match="two agents are called '1'"):
        coordinate(target_graph(5, 7.461), [*quadratics(C4), quadratics(C4)[0]])
    with pytest.raises(GraphError, match="agent '1' has actions of shape"):
        coordinate(target_graph(1, 1.0), [DeclaredAgent("1", Quadratic(), 1.0, shape=(2,))])
