"""The price graph (D-DAG): sources, agents, populations, functions, constraints, and one loss at the end."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray, GraphError, float64_scope
from hurwicz.valuations.numbers import Numbers, numbers

if TYPE_CHECKING:
    import networkx

    from hurwicz.prices.graph_loss import SystemLoss

Kind = Literal["source", "agent", "population", "function", "loss", "equality", "inequality"]


@dataclass(frozen=True)
class Node:
    """One node of a price graph."""

    name: str
    kind: Kind
    inputs: tuple[str, ...] = ()
    function: Any = None
    shape: tuple[int, ...] = ()
    data: Float64[FloatArray, "..."] | None = None


class PriceGraph:
    """A directed acyclic graph from data and actions to one scalar system loss S; prices are minus its gradients.

    Every method that adds a node returns the node's name, to be used as an input of later nodes.

    Example:
        >>> graph = PriceGraph()
        >>> target = graph.source("target", 10.0)
        >>> agents = [graph.agent(name) for name in ("a", "b")]
        >>> total = graph.function("total", lambda a, b: a + b, agents)
        >>> miss = graph.loss("miss", lambda total, target: (total - target) ** 2, [total, target])
        >>> graph.compile().value({"a": 3.0, "b": 4.0})
        9.0
    """

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        self._compiled: SystemLoss | None = None

    @property
    def nodes(self) -> Mapping[str, Node]:
        """The nodes by name, in the order in which they were added."""
        return dict(self._nodes)

    def _add(self, node: Node) -> str:
        if not node.name:
            raise GraphError(f"a node's name: expected a non-empty string, got {node.name!r}")
        if node.name in self._nodes:
            raise GraphError(
                f"node {node.name!r} is there twice (as {self._nodes[node.name].kind} and as {node.kind}); give each its own name"
            )
        if node.kind in ("function", "loss", "equality", "inequality"):
            if not callable(node.function):
                raise GraphError(f"{node.kind} {node.name!r}: expected a JAX function, got {node.function!r}")
            if not node.inputs:
                raise GraphError(f"{node.kind} {node.name!r} has no inputs; name the nodes that feed it")
        self._nodes[node.name] = node
        self._compiled = None
        return node.name

    def source(self, name: str, data: Numbers) -> str:
        """Data: a constant that can be changed between runs without compiling again."""
        return self._add(Node(name, "source", data=numbers(data, f"source {name!r}")))

    def agent(self, name: str, shape: Sequence[int] = (), *, inputs: Sequence[str] = ()) -> str:
        """An agent's action of the given shape; the values of ``inputs`` are told to the agent."""
        return self._add(Node(name, "agent", tuple(inputs), shape=tuple(int(n) for n in shape)))

    def population(self, name: str, size: int, shape: Sequence[int] = (), *, inputs: Sequence[str] = ()) -> str:
        """The actions of ``size`` agents as one array of shape ``(size, *shape)``."""
        if size < 1:
            raise GraphError(f"population {name!r}: expected at least one member, got {size}; leave an empty population out of the graph")
        return self._add(Node(name, "population", tuple(inputs), shape=(int(size), *(int(n) for n in shape))))

    def function(self, name: str, function: Any, inputs: Sequence[str]) -> str:
        """A JAX function of other nodes' values, given in the order of ``inputs``."""
        return self._add(Node(name, "function", tuple(inputs), function))

    def loss(self, name: str, function: Any, inputs: Sequence[str]) -> str:
        """The system loss S: a JAX function with a scalar value. Exactly one a graph."""
        return self._add(Node(name, "loss", tuple(inputs), function))

    def equality(self, name: str, function: Any, inputs: Sequence[str]) -> str:
        """A hard constraint g = 0 (elementwise); its multipliers are prices."""
        return self._add(Node(name, "equality", tuple(inputs), function))

    def inequality(self, name: str, function: Any, inputs: Sequence[str]) -> str:
        """A hard constraint g <= 0 (elementwise); its multipliers are prices, >= 0."""
        return self._add(Node(name, "inequality", tuple(inputs), function))

    @classmethod
    def from_loss(
        cls,
        function: Callable[..., Any],
        shapes: Mapping[str, Sequence[int]],
        *,
        data: Mapping[str, Numbers] | None = None,
    ) -> PriceGraph:
        """The graph of a plain JAX loss ``function(actions)``, or ``function(actions, data)`` where ``data`` is given.

        Example:
            >>> PriceGraph.from_loss(lambda x: (x["a"] - 1.0) ** 2, {"a": ()}).compile().value({"a": 3.0})
            4.0
        """
        graph = cls()
        sources = [graph.source(name, value) for name, value in (data or {}).items()]
        agents = [graph.agent(name, shape) for name, shape in shapes.items()]

        def loss(*values: Any) -> Any:
            actions = dict(zip(agents, values, strict=False))
            return function(actions, dict(zip(sources, values[len(agents) :], strict=True))) if sources else function(actions)

        graph.loss("loss" if "loss" not in graph._nodes else "system loss", loss, [*agents, *sources])
        return graph

    def network(self) -> networkx.DiGraph:
        """The graph as a networkx ``DiGraph``, nodes carrying their ``kind``.

        Raises:
            GraphError: an input that no node has, or a cycle (named).
        """
        import networkx as nx

        network = nx.DiGraph()
        for node in self._nodes.values():
            network.add_node(node.name, kind=node.kind)
        for node in self._nodes.values():
            for source in node.inputs:
                if source not in self._nodes:
                    near = difflib.get_close_matches(source, self._nodes, n=1)
                    hint = f"; did you mean {near[0]!r}?" if near else f"; the nodes are {sorted(self._nodes)}"
                    raise GraphError(f"{node.kind} {node.name!r}: input {source!r} is not a node of the graph{hint}")
                network.add_edge(source, node.name)
        try:
            cycle = nx.find_cycle(network)
        except nx.NetworkXNoCycle:
            return network
        path = " -> ".join([edge[0] for edge in cycle] + [cycle[-1][1]])
        raise GraphError(f"the graph must be acyclic, and this is a cycle: {path}; cut it at one of its edges")

    def compile(self) -> SystemLoss:
        """Validate the graph and compile it; the result is kept until a node is added.

        Raises:
            GraphError: a cycle, a missing node, no or several losses, a loss that is not a scalar, an agent that does not
                reach the loss, a function that is not JAX code, or an integer where a price must pass; the node is named.
        """
        if self._compiled is None:
            from hurwicz.prices.graph_loss import SystemLoss

            order, shapes = self._validate()
            self._compiled = SystemLoss(self._nodes, order, shapes)
        return self._compiled

    def _validate(self) -> tuple[list[str], dict[str, tuple[int, ...]]]:
        import jax
        import jax.numpy as jnp
        import networkx as nx

        network = self.network()
        losses = [node.name for node in self._nodes.values() if node.kind == "loss"]
        if len(losses) != 1:
            raise GraphError(
                f"a price graph needs exactly one loss, and this one has {len(losses)}{': ' + ', '.join(losses) if losses else ''}"
            )
        agents = [node.name for node in self._nodes.values() if node.kind in ("agent", "population")]
        if not agents:
            raise GraphError("a price graph needs at least one agent or population; add one with agent() or population()")
        ends = [node.name for node in self._nodes.values() if node.kind in ("loss", "equality", "inequality")]
        for end in ends:
            if network.out_degree(end):
                kind = self._nodes[end].kind
                raise GraphError(f"{kind} {end!r} feeds {sorted(network.successors(end))}; nothing may come after it: make it a function")
        # An agent's action is a leaf of the price: what feeds an agent carries no price.
        priced = nx.DiGraph(network)
        priced.remove_edges_from([(u, v) for u, v in network.edges if self._nodes[v].kind in ("agent", "population")])
        reach_end = set(ends).union(*(nx.ancestors(priced, end) for end in ends))
        for agent in agents:
            if agent not in reach_end:
                raise GraphError(f"agent {agent!r} never reaches the loss, so it would have no price; connect it or leave it out")
        carries_price = set(agents).union(*(nx.descendants(priced, agent) for agent in agents)) & reach_end

        order = list(nx.lexicographical_topological_sort(network, key=list(self._nodes).index))
        values: dict[str, Any] = {}
        with float64_scope():
            for name in order:
                node = self._nodes[name]
                if node.function is None:
                    shape = node.shape if node.data is None else node.data.shape
                    values[name] = jax.ShapeDtypeStruct(shape, jnp.float64)  # type: ignore[no-untyped-call]
                    continue
                try:
                    values[name] = jax.eval_shape(node.function, *(values[source] for source in node.inputs))
                except Exception as error:
                    came = ", ".join(f"{source}: {values[source].shape}" for source in node.inputs)
                    why = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
                    raise GraphError(f"{node.kind} {name!r} does not evaluate as JAX code on ({came}): {why}") from error
                if not hasattr(values[name], "shape"):
                    raise GraphError(f"{node.kind} {name!r}: expected one array as its value, got {type(values[name]).__name__}")
                if name in carries_price and not jnp.issubdtype(values[name].dtype, jnp.floating):
                    raise GraphError(
                        f"{node.kind} {name!r} has values of type {values[name].dtype}: no price can pass it; return floating point"
                    )
                if node.kind == "loss" and values[name].shape != ():
                    raise GraphError(f"loss {name!r}: expected a scalar, got an array of shape {values[name].shape}; sum it")
        return order, {name: tuple(value.shape) for name, value in values.items()}

    def mermaid(self) -> str:
        """The graph as Mermaid text (agents round, data slanted, constraints six-sided, the loss a double circle)."""
        from hurwicz.prices.graph_drawing import mermaid

        return mermaid(self)

    def svg(self) -> str:
        """The graph as an SVG drawing, layered from data and agents to the loss."""
        from hurwicz.prices.graph_drawing import svg

        return svg(self)


def as_actions(
    values: Mapping[str, Numbers], shapes: Mapping[str, tuple[int, ...]], what: str = "actions"
) -> dict[str, Float64[FloatArray, "..."]]:
    """``values`` as float64 arrays of the agents' shapes, or one clear error."""
    unknown = sorted(set(values) - set(shapes))
    missing = sorted(set(shapes) - set(values))
    if unknown or missing:
        raise GraphError(f"{what}: expected the agents {sorted(shapes)}; unknown {unknown}, missing {missing}")
    return {name: numbers(np.asarray(values[name]), f"{what} of {name!r}", shape=shape) for name, shape in shapes.items()}
