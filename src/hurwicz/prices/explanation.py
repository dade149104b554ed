"""Why an agent has the price it has: the price, split over the nodes and edges that its gradient came through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray, GraphError, float64_scope
from hurwicz.prices.graph import PriceGraph
from hurwicz.prices.graph_loss import SystemLoss
from hurwicz.valuations.numbers import Numbers


@dataclass(frozen=True)
class Explanation:
    """An agent's price -dS/dx_i, split.

    Attributes:
        agent: whose.
        price: the whole, of the action's shape.
        edges: (source, target, part of the price that came through this edge); the parts over the edges that leave any one
            cut between agent and loss sum to the price.
        paths: (nodes from agent to loss, part that came along this path); the parts sum to the price. Empty where
            there are more paths than asked for.
    """

    agent: str
    price: Float64[FloatArray, "*action"]
    edges: list[tuple[str, str, Float64[FloatArray, "*action"]]]
    paths: list[tuple[tuple[str, ...], Float64[FloatArray, "*action"]]]

    def share(self, part: Float64[FloatArray, "*action"]) -> float:
        """A part's share of the price, by its component along it: shares over a cut sum to 1 (0/0 is 0)."""
        whole = float(np.sum(self.price * self.price))
        return float(np.sum(part * self.price)) / whole if whole > 0 else 0.0

    def table(self) -> str:
        """The split as text, largest part first; a vector's parts as their component along the price.

        Example:
            >>> graph = PriceGraph.from_loss(lambda x: (x["a"] - 3.0) ** 2, {"a": ()})
            >>> print(explain(graph, {"a": 1.0}, "a").table())
            price of a: 4
                   4   100.0 %  a → loss
        """
        rows = self.paths or [((source, target), part) for source, target, part in self.edges]
        size = float(np.linalg.norm(self.price))
        head = f"{float(self.price):.6g}" if np.ndim(self.price) == 0 else f"vector of length {size:.6g}"
        lines = [f"price of {self.agent}: {head}"]
        for nodes, part in sorted(rows, key=lambda row: -abs(self.share(row[1]))):
            along = float(part) if np.ndim(part) == 0 else self.share(part) * size
            lines.append(f"{along:>8.4g}  {100 * self.share(part):>6.1f} %  {' → '.join(nodes)}")
        return "\n".join(lines)


def explain(
    problem: PriceGraph | SystemLoss,
    actions: Mapping[str, Numbers],
    agent: str,
    *,
    data: Mapping[str, Numbers] | None = None,
    multipliers: Mapping[str, Numbers] | None = None,
    max_paths: int = 200,
) -> Explanation:
    """Split agent i's price over the graph: each edge by its own vector–Jacobian product.

    With adjoints a_v = dS/dv (a_loss = 1; a constraint's is its multiplier), the part through the edge (u, v) is
    -(du/dx_i)ᵀ (dv/du)ᵀ a_v, and the part along a path is minus the product of its Jacobians.

    Args:
        problem: the price graph or its compiled loss.
        actions: by agent.
        agent: whose price.
        data: values that replace those of sources.
        multipliers: of the hard constraints, as ``coordinate`` reports them.
        max_paths: paths are listed where there are at most so many.

    Example:
        >>> graph = PriceGraph.from_loss(lambda x: (x["a"] - 3.0) ** 2, {"a": ()})
        >>> explain(graph, {"a": 1.0}, "a").price.tolist()
        4.0
    """
    import jax
    import jax.numpy as jnp

    loss = problem.compile() if isinstance(problem, PriceGraph) else problem
    if agent not in loss.agents:
        raise GraphError(f"explain: {agent!r} is not an agent of the graph; it has {sorted(loss.agents)}")
    values_np = loss.node_values(actions, data)
    with float64_scope():
        values = {name: jnp.asarray(value) for name, value in values_np.items()}
        pulls = {name: jax.vjp(node.function, *(values[s] for s in node.inputs))[1] for name, node in loss.nodes.items() if node.function}
        ends = {loss.loss_name: jnp.asarray(1.0)}
        for name in loss.constraints:
            given = (multipliers or {}).get(name)
            ends[name] = jnp.zeros(loss.node_shapes[name]) if given is None else jnp.asarray(given, dtype=jnp.float64)
        # From the agent on, through functions only: other agents' actions are held.
        reached = {agent}
        for name in loss.order:
            if loss.nodes[name].function and any(source in reached for source in loss.nodes[name].inputs):
                reached.add(name)
        adjoint = {name: ends.get(name, jnp.zeros(values[name].shape)) for name in loss.order}
        parts: dict[tuple[str, str], jax.Array] = {}
        for name in reversed(loss.order):
            if name not in pulls:
                continue
            for source, part in zip(loss.nodes[name].inputs, pulls[name](adjoint[name]), strict=True):
                if part.dtype == jax.dtypes.float0:
                    continue
                adjoint[source] = adjoint[source] + part
                if source in reached:
                    parts[source, name] = parts.get((source, name), 0.0) + part

        def to_agent(node: str, cotangent: jax.Array) -> jax.Array:
            """(dnode/dx_agent)ᵀ cotangent."""
            held = {node: cotangent}
            for name in reversed(loss.order):
                if name in held and name in pulls:
                    for source, part in zip(loss.nodes[name].inputs, pulls[name](held.pop(name)), strict=True):
                        if source in reached:
                            held[source] = held[source] + part if source in held else part
            return held.get(agent, jnp.zeros(values[agent].shape))

        edges = [(source, target, np.asarray(-to_agent(source, part), dtype=np.float64)) for (source, target), part in parts.items()]
        edges.sort(key=lambda edge: (loss.order.index(edge[0]), loss.order.index(edge[1])))
        paths: list[tuple[tuple[str, ...], FloatArray]] = []

        def walk(node: str, tail: tuple[str, ...], cotangent: jax.Array) -> None:
            if len(paths) > max_paths:
                return
            if node == agent:
                paths.append(((agent, *tail), np.asarray(-cotangent, dtype=np.float64)))
                return
            through: dict[str, jax.Array] = {}
            for source, part in zip(loss.nodes[node].inputs, pulls[node](cotangent), strict=True):
                if source in reached:
                    through[source] = through.get(source, 0.0) + part
            for source, part in through.items():
                walk(source, (node, *tail), part)

        for end, weight in ends.items():
            if end in reached:
                walk(end, (), weight)
        price = np.asarray(-adjoint[agent], dtype=np.float64)
    return Explanation(agent, price, edges, paths if len(paths) <= max_paths else [])
