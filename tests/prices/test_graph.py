"""The price graph: prices against finite differences, every malformed graph named, drawings."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hurwicz._foundation import GraphError, NotFiniteError, ShapeError
from hurwicz.prices import PriceGraph
from hurwicz.prices.graph_drawing import place


def small() -> PriceGraph:
    graph = PriceGraph()
    graph.source("target", 7.0)
    graph.agent("a")
    graph.population("b", 3, (2,))
    graph.function("supply", lambda b: b.sum(axis=0), ["b"])
    graph.function("mixed", lambda a, s: jnp.sin(a) * s[0] + s[1] ** 2, ["a", "supply"])
    graph.loss("miss", lambda m, a, t: (m - t) ** 2 + 0.1 * a**4, ["mixed", "a", "target"])
    return graph


def test_prices_are_minus_the_gradient():
    loss = small().compile()
    rng = np.random.default_rng(0)
    x = loss.unflatten(rng.normal(size=loss.size))
    flat, prices = loss.flatten(x), loss.flatten(loss.prices(x))
    h = 1e-6
    for k in range(loss.size):
        move = h * np.eye(loss.size)[k]
        slope = (loss.value(loss.unflatten(flat + move)) - loss.value(loss.unflatten(flat - move))) / (2 * h)
        assert prices[k] == pytest.approx(-slope, rel=1e-6, abs=1e-6)
    direction = loss.unflatten(rng.normal(size=loss.size))
    ahead, behind = (loss.prices(loss.unflatten(flat + s * h * loss.flatten(direction))) for s in (1, -1))
    bend = loss.hessian_vector(x, direction)
    for name in loss.agents:
        assert bend[name] == pytest.approx(-(ahead[name] - behind[name]) / (2 * h), rel=1e-5, abs=1e-6)


def test_data_change_without_compiling_again():
    loss = small().compile()
    x = {"a": 1.0, "b": np.ones((3, 2))}
    first = loss.value(x)
    before = loss._compiled["nodes"]._cache_size()
    assert loss.value(x, {"target": 0.0}) != first
    assert loss.value(x) == first
    assert loss._compiled["nodes"]._cache_size() == before
    with pytest.raises(GraphError, match="unknown sources"):
        loss.value(x, {"tarjet": 0.0})
    with pytest.raises(NotFiniteError, match="source 'target'"):
        loss.value(x, {"target": np.inf})


def test_a_plain_loss_with_data():
    graph = PriceGraph.from_loss(lambda x, data: (x["a"] - data["t"]) ** 2, {"a": ()}, data={"t": 2.0})
    assert graph.compile().value({"a": 5.0}) == 9.0
    assert graph.compile().value({"a": 5.0}, {"t": 5.0}) == 0.0


def built(*steps) -> PriceGraph:
    graph = PriceGraph()
    for method, *arguments in steps:
        getattr(graph, method)(*arguments)
    return graph


AGENT = ("agent", "a")
LOSS = ("loss", "l", lambda a: a**2, ["a"])


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([AGENT, ("function", "f", lambda a, g: a + g, ["a", "g"]), ("function", "g", lambda f: f, ["f"]), LOSS], "cycle: .*f -> g|g -> f"),
        ([AGENT, ("loss", "l", lambda b: b, ["aa"])], "did you mean 'a'"),
        ([AGENT], "exactly one loss, and this one has 0"),
        ([AGENT, LOSS, ("loss", "k", lambda a: a, ["a"])], "has 2: l, k"),
        ([("source", "s", 1.0), ("loss", "l", lambda s: s, ["s"])], "at least one agent"),
        ([AGENT, ("agent", "b"), LOSS], "agent 'b' never reaches the loss"),
        ([AGENT, ("loss", "l", lambda a: jnp.stack([a, a]), ["a"])], "expected a scalar, got an array of shape"),
        (
            [AGENT, ("function", "f", lambda a: jnp.round(a).astype(int), ["a"]), ("loss", "l", lambda f: f * 1.0, ["f"])],
            "function 'f' has values of type int",
        ),
        (
            [AGENT, ("function", "f", lambda a: float(a), ["a"]), ("loss", "l", lambda f: f, ["f"])],
            "function 'f' does not evaluate as JAX code",
        ),
        (
            [("agent", "a", (3,)), ("function", "f", lambda a: a @ jnp.ones(2), ["a"]), ("loss", "l", lambda f: f, ["f"])],
            "function 'f' does not evaluate",
        ),
        ([AGENT, LOSS, ("function", "f", lambda last: last, ["l"])], "nothing may come after it"),
        ([AGENT, ("function", "f", lambda a: {"x": a}, ["a"]), ("loss", "l", lambda f: f["x"], ["f"])], "expected one array"),
    ],
)
def test_malformed_graphs_are_named(steps, message):
    with pytest.raises(GraphError, match=message):
        built(*steps).compile()


def test_nodes_are_checked_when_added():
    graph = built(AGENT)
    with pytest.raises(GraphError, match="'a' is there twice"):
        graph.source("a", 1.0)
    with pytest.raises(NotFiniteError, match="source 's': expected finite"):
        graph.source("s", [1.0, np.nan])
    with pytest.raises(GraphError, match="at least one member, got 0"):
        graph.population("p", 0)
    with pytest.raises(GraphError, match="expected a JAX function"):
        graph.function("f", 3, ["a"])
    with pytest.raises(GraphError, match="no inputs"):
        graph.loss("l", lambda: 0.0, [])


def test_a_price_that_is_nan_names_the_node():
    graph = built(AGENT, ("function", "root", jnp.sqrt, ["a"]), ("loss", "l", lambda r: r**2, ["root"]))
    with pytest.raises(NotFiniteError, match="function 'root' has a value that is NaN"):
        graph.compile().prices({"a": -1.0})
    with pytest.raises(NotFiniteError, match="function 'root' has a derivative with respect to 'a'"):
        graph.compile().prices({"a": 0.0})


def test_actions_of_a_wrong_shape_or_name():
    loss = small().compile()
    with pytest.raises(ShapeError, match="actions of 'b'"):
        loss.value({"a": 1.0, "b": np.ones(3)})
    with pytest.raises(GraphError, match=r"unknown \['c'\], missing \['b'\]"):
        loss.value({"a": 1.0, "c": 1.0})


def test_drawings():
    graph = small()
    graph.inequality("cap & more", lambda s: s - 3.0, ["supply"])
    root = ET.fromstring(graph.svg())
    words = {element.text for element in root.iter() if element.text and element.text.strip()}
    assert {"target", "a", "b × 3", "supply", "mixed", "miss", "cap & more ≤ 0"} <= words
    assert graph.svg() == graph.svg()
    text = graph.mermaid()
    assert text.startswith("flowchart LR")
    assert text.count("-->") == 7
    assert 'n1("a")' in text


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10**6), size=st.integers(2, 12))
def test_no_edge_runs_behind_a_node(seed, size):
    rng = np.random.default_rng(seed)
    graph = PriceGraph()
    names = []
    for k in range(size):
        inputs = [name for name in names if rng.random() < 0.4]
        name = "n" * int(rng.integers(1, 9)) + str(k)
        if inputs and rng.random() < 0.7:
            graph.function(name, lambda *parts: sum(parts), inputs)
        else:
            graph.agent(name, inputs=inputs)
        names.append(name)
    graph.loss("loss", lambda *parts: sum(parts), names)
    drawing = place(graph)
    assert set(drawing.routes) == {(source, target) for target, node in graph.nodes.items() for source in node.inputs}
    for edge, route in drawing.routes.items():
        for (x0, y0), (x1, y1) in itertools.pairwise(route):
            for name, (x, y) in drawing.at.items():
                # A stretch stays in the rectangle that its ends span, the curve in a gutter too.
                across = max(x0, x1) > x - drawing.widths[name] / 2 + 1e-9 and min(x0, x1) < x + drawing.widths[name] / 2 - 1e-9
                along = max(y0, y1) > y - 0.17 and min(y0, y1) < y + 0.17
                assert not (across and along), (edge, name)
    boxes = sorted(drawing.at.values())
    assert all(a[0] != b[0] or b[1] - a[1] >= 0.6 for a, b in itertools.pairwise(boxes))


def test_an_edge_over_two_layers_goes_round_the_node_between():
    graph = PriceGraph()
    graph.agent("a")
    graph.function("f", lambda a: 2.0 * a, ["a"])
    graph.loss("loss", lambda a, f: (a - f) ** 2, ["a", "f"])
    drawing = place(graph)
    assert max(abs(y - drawing.at["f"][1]) for _, y in drawing.routes["a", "loss"]) >= 0.6
    assert len(drawing.routes["a", "f"]) == 4
