"""Satisficing, explanations of prices, tracking."""

from __future__ import annotations

import itertools

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hurwicz._foundation import GraphError, InputError, Status
from hurwicz.prices import (
    DeclaredAgent,
    GradientResponse,
    Offer,
    PopulationAgent,
    PriceGraph,
    SatisficingAgent,
    Tracker,
    coordinate,
    explain,
    satisfice,
    total_loss,
)
from hurwicz.valuations import Power, Quadratic

C4 = [0.1, 0.5, 0.2, 0.4, 0.6]


def target_graph(names, target=7.461) -> PriceGraph:
    graph = PriceGraph()
    source = graph.source("target", target)
    agents = [graph.agent(name) for name in names]
    total = graph.function("total", lambda *x: sum(x), agents)
    graph.loss("miss", lambda s, t: (s - t) ** 2, [total, source])
    return graph


FIVE = ("1", "2", "3", "4", "5")
AGENTS = [DeclaredAgent(name, Quadratic(), lam) for name, lam in zip(FIVE, C4, strict=True)]


def test_c4_with_effort_costs_is_not_monotone_for_several_agents():
    problem = target_graph(FIVE).compile()
    dear, dearer = (satisfice(problem, AGENTS, marginal, step=0.05) for marginal in (0.041, 0.044))
    assert dear.status is dearer.status is Status.SATISFICED
    assert dear.value.loss == pytest.approx(3.477, abs=5e-4)
    assert dearer.value.loss == pytest.approx(3.452, abs=5e-4)
    assert dear.value.residual_loss == pytest.approx(dear.value.loss - 2.511271624, abs=1e-8)
    assert [int(dear.value.effort[name]) for name in FIVE] == [7, 4, 5, 4, 4]


@given(low=st.floats(1e-6, 1.0), factor=st.floats(1.0, 50.0), lam=st.floats(0.05, 2.0))
@settings(deadline=None, max_examples=15)
def test_one_agents_effort_falls_and_its_residual_loss_rises_with_the_cost_of_effort(low, factor, lam):
    graph = ONE
    agent = DeclaredAgent("1", Quadratic(), lam)
    less, more = (satisfice(graph, [agent], marginal, step=0.1, start={"1": 10.0}) for marginal in (low, low * factor))
    assert more.value.effort["1"] <= less.value.effort["1"]
    assert more.value.residual_loss >= less.value.residual_loss - 1e-12
    # The rule by hand: stop at the first T where the gain of the next step is at most kappa'.
    x, steps = 10.0, 0
    while True:
        price = -2 * (x - 2.0)
        ahead = x + 0.1 * (price - 2 * lam * x)
        if price * (ahead - x) - lam * (ahead**2 - x**2) <= low:
            break
        x, steps = ahead, steps + 1
    assert int(less.value.effort["1"]) == steps
    assert float(less.value.actions["1"]) == pytest.approx(x, abs=1e-12)


ONE = target_graph(("1",), 2.0).compile()


def test_rising_effort_cost_and_populations():
    graph = PriceGraph.from_loss(lambda x: (x["p"].sum() - 5.0) ** 2, {"p": (3,)})
    found = satisfice(graph, [PopulationAgent("p", Power(4.0), np.array([0.1, 1.0, 5.0]))], lambda taken: 1e-3 * (1 + taken), step=0.02)
    assert found.status is Status.SATISFICED
    assert found.value.effort["p"].shape == (3,)
    assert len(set(found.value.effort["p"].tolist())) > 1
    assert found.value.residual_loss > 0


def test_inner_search_within_one_offer():
    lazy = SatisficingAgent(DeclaredAgent("a", Quadratic(), 0.5), 1e-9, inner_step=0.3)
    assert float(lazy.respond(Offer(price=np.array(2.0)))) == pytest.approx(2.0, abs=1e-3)
    with pytest.raises(InputError, match="inner_step"):
        SatisficingAgent(DeclaredAgent("a", Quadratic(), 0.5), 0.1).respond(Offer(price=np.array(2.0)))
    with pytest.raises(InputError, match="none given for"):
        satisfice(ONE, [DeclaredAgent("1", Quadratic(), 1.0)], {"2": 0.1}, step=0.1)


def layered() -> PriceGraph:
    graph = PriceGraph()
    graph.agent("a", (2,))
    graph.agent("b")
    graph.function("f", lambda a: jnp.sin(a).sum(), ["a"])
    graph.function("g", lambda a, b: a[0] * b + a[1] ** 2, ["a", "b"])
    graph.function("h", lambda f, g: f * g, ["f", "g"])
    graph.loss("l", lambda h, f, b: h**2 + f + b**2, ["h", "f", "b"])
    return graph


def test_paths_and_cuts_sum_to_the_price():
    graph = layered()
    actions = {"a": [0.3, -0.7], "b": 1.1}
    price = graph.compile().prices(actions)
    for agent in ("a", "b"):
        found = explain(graph, actions, agent)
        assert found.price == pytest.approx(price[agent])
        assert sum(part for _, part in found.paths) == pytest.approx(price[agent])
        leaving = [part for source, _, part in found.edges if source == agent]
        into_loss = [part for _, target, part in found.edges if target == "l"]
        assert sum(leaving) == pytest.approx(price[agent])
        assert sum(into_loss) == pytest.approx(price[agent])
        for source, target, part in found.edges:
            through = [p for nodes, p in found.paths if (source, target) in itertools.pairwise(nodes)]
            assert sum(through) == pytest.approx(part)
        assert found.table().count("\n") == len(found.paths)
    assert {nodes for nodes, _ in explain(graph, actions, "a").paths} == {
        ("a", "f", "l"),
        ("a", "f", "h", "l"),
        ("a", "g", "h", "l"),
    }


def test_explanations_of_many_paths_keep_their_edges():
    found = explain(layered(), {"a": [0.3, -0.7], "b": 1.1}, "a", max_paths=2)
    assert found.paths == []
    assert sum(part for source, _, part in found.edges if source == "a") == pytest.approx(found.price)
    with pytest.raises(GraphError, match="'c' is not an agent"):
        explain(layered(), {"a": [0.3, -0.7], "b": 1.1}, "c")


def test_a_constraints_multiplier_is_part_of_the_price():
    graph = PriceGraph()
    graph.agent("a")
    graph.loss("l", lambda a: a**2, ["a"])
    graph.equality("demand", lambda a: a - 3.0, ["a"])
    solution = coordinate(graph, [DeclaredAgent("a", Quadratic(), 1.0)])
    found = explain(graph, solution.value.actions, "a", multipliers=solution.value.multipliers)
    assert float(found.price) == pytest.approx(float(solution.value.prices["a"]), abs=1e-6)
    assert {nodes: round(float(part), 5) for nodes, part in found.paths} == {("a", "l"): -6.0, ("a", "demand"): 12.0}


def test_c15_a_moving_target_is_tracked_warm():
    tracker = Tracker(target_graph(FIVE), AGENTS)
    assert sum(float(x) for x in tracker.run().value.actions.values()) == pytest.approx(7.461 * 9.548872 / 10, abs=1e-5)
    tracker.update({"target": 10.0})
    after = tracker.run()
    assert sum(float(x) for x in after.value.actions.values()) == pytest.approx(9.548872, abs=1e-6)
    small = Tracker(target_graph(FIVE), AGENTS, dynamics=GradientResponse())
    cold = small.run().value.rounds
    small.update({"target": 7.462})
    assert small.run().value.rounds < cold


def test_agents_leave_enter_and_return():
    tracker = Tracker(target_graph(FIVE), AGENTS)
    everyone = tracker.run().value.actions
    tracker.leave("1")
    without = tracker.run().value.actions
    inverse = 1 / np.array(C4[1:])
    assert float(without["1"]) == 0.0
    assert float(without["3"]) == pytest.approx(7.461 * 5.0 / (1 + inverse.sum()), abs=1e-8)
    tracker.enter(AGENTS[0])
    back = tracker.run().value.actions
    for name in FIVE:
        assert float(back[name]) == pytest.approx(float(everyone[name]), abs=1e-8)
    with pytest.raises(GraphError, match="no agent '9'"):
        tracker.leave("9")
    with pytest.raises(GraphError, match="is here already"):
        tracker.enter(AGENTS[0])
    with pytest.raises(GraphError, match="no node for '6'"):
        tracker.enter(DeclaredAgent("6", Quadratic(), 1.0))


def test_agents_nobody_knew_of():
    tracker = Tracker(target_graph, AGENTS[:2])
    tracker.run()
    tracker.enter(DeclaredAgent("new", Quadratic(), 0.25))
    solution = tracker.run()
    agents = [*AGENTS[:2], DeclaredAgent("new", Quadratic(), 0.25)]
    exact = coordinate(target_graph(("1", "2", "new")), agents)
    assert tracker.present == ("1", "2", "new")
    for name in tracker.present:
        assert float(solution.value.actions[name]) == pytest.approx(float(exact.value.actions[name]), abs=1e-8)
    assert total_loss(target_graph(tracker.present), solution.value.actions, agents) < 7.461**2
