"""The compiled system loss S(x): its value, its prices -dS/dx, its curvature, its hard constraints."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Float64

from hurwicz._foundation import FloatArray, GraphError, NotFiniteError, float64_scope
from hurwicz.prices.graph import Node, as_actions
from hurwicz.prices.waist import FlatProgram, Waist, affine_values, find_waist
from hurwicz.valuations.numbers import Numbers, numbers


class Terms(NamedTuple):
    """What S is evaluated with besides the actions: source data, constraint multipliers, penalty weight."""

    data: dict[str, Float64[FloatArray, "..."]]
    multipliers: dict[str, Float64[FloatArray, "..."]]
    penalty: float


class SystemLoss:
    """S(x) of a price graph, compiled once; numpy in and out, float64 throughout. Made by ``PriceGraph.compile``.

    Attributes:
        agents: action shapes by agent name.
        size: number n of action coordinates in all.
    """

    def __init__(self, nodes: Mapping[str, Node], order: list[str], shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.nodes = dict(nodes)
        self.order = tuple(order)
        self.node_shapes = dict(shapes)
        self.agents = {name: node.shape for name, node in nodes.items() if node.kind in ("agent", "population")}
        self.populations = frozenset(name for name, node in nodes.items() if node.kind == "population")
        self.sources = {name: node.data for name, node in nodes.items() if node.data is not None}
        self.loss_name = next(name for name, node in nodes.items() if node.kind == "loss")
        self.constraints = {name: node.kind for name, node in nodes.items() if node.kind in ("equality", "inequality")}
        self._slices: dict[str, slice] = {}
        start = 0
        for name, shape in self.agents.items():
            stop = start + int(np.prod(shape, dtype=int))
            self._slices[name] = slice(start, stop)
            start = stop
        self.size = start

    # --- vectors and dictionaries -------------------------------------------------------------------------------------------------

    def slice_of(self, agent: str) -> slice:
        """Where an agent's coordinates lie in the flat vector."""
        return self._slices[agent]

    def layout_of(self, agent: str) -> tuple[slice, int, int]:
        """Where an agent's coordinates lie, how many members it has (1 if it is no population), and the coordinates of each."""
        where = self._slices[agent]
        members = self.agents[agent][0] if agent in self.populations else 1
        return where, members, (where.stop - where.start) // members

    def flatten(self, actions: Mapping[str, Numbers]) -> Float64[FloatArray, "{self.size}"]:
        """All agents' actions as one vector of length ``size``."""
        checked = as_actions(actions, self.agents)
        return np.concatenate([checked[name].ravel() for name in self.agents])

    def unflatten(self, vector: Numbers) -> dict[str, Float64[FloatArray, "..."]]:
        """A vector of length ``size`` as actions by agent."""
        flat = numbers(vector, "actions", shape=(self.size,), finite=False)
        return {name: flat[self._slices[name]].reshape(shape) for name, shape in self.agents.items()}

    # --- evaluation ---------------------------------------------------------------------------------------------------------------

    def evaluate(self, actions: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
        """Every node's value (traceable by JAX)."""
        values: dict[str, Any] = {}
        for name in self.order:
            node = self.nodes[name]
            if node.function is not None:
                values[name] = node.function(*(values[source] for source in node.inputs))
            else:
                values[name] = data[name] if node.kind == "source" else actions[name]
        return values

    def pieces(self, flat: Float[Any, "dims"]) -> dict[str, Any]:
        """A flat vector as actions by agent (traceable)."""
        return {name: flat[self._slices[name]].reshape(shape) for name, shape in self.agents.items()}

    def augmented(self, flat: Float[Any, "dims"], terms: Terms) -> Float[Any, ""]:
        """S plus the augmented Lagrangian of the hard constraints (S itself where there are none); traceable."""
        import jax.numpy as jnp

        values = self.evaluate(self.pieces(flat), terms.data)
        total = values[self.loss_name]
        for name, kind in self.constraints.items():
            gap, multiplier = values[name], terms.multipliers[name]
            if kind == "equality":
                total = total + (multiplier * gap).sum() + 0.5 * terms.penalty * (gap**2).sum()
            else:
                total = total + ((jnp.maximum(multiplier + terms.penalty * gap, 0.0) ** 2 - multiplier**2) / (2.0 * terms.penalty)).sum()
        return total

    @cached_property
    def _compiled(self) -> dict[str, Any]:
        import jax

        slope = jax.grad(self.augmented)

        def bend(flat: Any, direction: Any, terms: Terms) -> Any:
            return jax.jvp(lambda x: slope(x, terms), (flat,), (direction,))[1]

        def nodes(flat: Any, terms: Terms) -> Any:
            return self.evaluate(self.pieces(flat), terms.data)

        def system(flat: Any, terms: Terms) -> Any:
            return self.evaluate(self.pieces(flat), terms.data)[self.loss_name]

        return {
            "system_hessian": jax.jit(jax.hessian(system)),
            "value_and_slope": jax.jit(jax.value_and_grad(self.augmented)),
            "bend": jax.jit(bend),
            "hessian": jax.jit(jax.hessian(self.augmented)),
            "nodes": jax.jit(nodes),
        }

    def terms(
        self,
        data: Mapping[str, Numbers] | None = None,
        multipliers: Mapping[str, Float64[FloatArray, "..."]] | None = None,
        penalty: float = 1.0,
    ) -> Terms:
        """Checked data (the sources' own where not overridden) with multipliers (0 if not given) and penalty."""
        unknown = sorted(set(data or {}) - set(self.sources))
        if unknown:
            raise GraphError(f"data: unknown sources {unknown}; the graph has {sorted(self.sources)}")
        checked: dict[str, FloatArray] = {}
        for name, value in self.sources.items():
            given = value if data is None or name not in data else data[name]
            checked[name] = numbers(given, f"source {name!r}", shape=value.shape)
        zeros = {name: np.zeros(self.node_shapes[name]) for name in self.constraints}
        return Terms(checked, {**zeros, **(multipliers or {})}, float(penalty))

    def call(self, piece: str, *arguments: Any) -> Any:
        """One compiled piece in float64: ``value_and_slope``, ``bend``, ``hessian`` or ``nodes``."""
        with float64_scope():
            return self._compiled[piece](*arguments)

    def system_hessian(self, flat: Float64[FloatArray, "dims"], terms: Terms) -> Float64[FloatArray, "dims dims"]:
        """The Hessian of S alone, shape (size, size)."""
        return np.asarray(self.call("system_hessian", flat, terms), dtype=np.float64)

    def node_values(
        self, actions: Mapping[str, Numbers], data: Mapping[str, Numbers] | None = None
    ) -> dict[str, Float64[FloatArray, "..."]]:
        """The value of every node."""
        values = self.call("nodes", self.flatten(actions), self.terms(data))
        return {name: np.asarray(value, dtype=np.float64) for name, value in values.items()}

    def value(self, actions: Mapping[str, Numbers], data: Mapping[str, Numbers] | None = None) -> float:
        """S at ``actions``, money; constraints and costs are not in it."""
        return float(self.node_values(actions, data)[self.loss_name])

    def prices(self, actions: Mapping[str, Numbers], data: Mapping[str, Numbers] | None = None) -> dict[str, Float64[FloatArray, "..."]]:
        """p_i = -dS/dx_i at ``actions``, by agent, in money per unit of action.

        Raises:
            NotFiniteError: a price is NaN or infinite; the node it comes from is named.
        """
        if self.constraints:
            raise GraphError("prices of a graph with hard constraints contain their multipliers; take them from coordinate()")
        flat, terms = self.flatten(actions), self.terms(data)
        _, slope = self.call("value_and_slope", flat, terms)
        return self.unflatten(-self.check_slope(np.asarray(slope), flat, terms))

    def check_slope(
        self, slope: Float64[FloatArray, "dims"], flat: Float64[FloatArray, "dims"], terms: Terms
    ) -> Float64[FloatArray, "dims"]:
        """``slope`` itself if finite; else ``NotFiniteError`` naming the first node whose value or derivative is not."""
        if np.all(np.isfinite(slope)):
            return slope
        raise NotFiniteError(self._first_bad_node(flat, terms))

    def _first_bad_node(self, flat: Float64[FloatArray, "dims"], terms: Terms) -> str:
        import jax
        import jax.numpy as jnp

        with float64_scope():
            values = self.evaluate(self.pieces(jnp.asarray(flat)), {name: jnp.asarray(value) for name, value in terms.data.items()})
            for name in self.order:
                node = self.nodes[name]
                if not np.all(np.isfinite(np.asarray(values[name]))):
                    return f"{node.kind} {name!r} has a value that is NaN or infinite at these actions; check its formula and its domain"
                if node.function is None:
                    continue
                out, pull = jax.vjp(node.function, *(values[source] for source in node.inputs))
                for source, part in zip(node.inputs, pull(jnp.ones_like(out)), strict=True):
                    if part.dtype != jax.dtypes.float0 and not np.all(np.isfinite(np.asarray(part))):
                        return (
                            f"{node.kind} {name!r} has a derivative with respect to {source!r} that is NaN or infinite at these actions: "
                            "no price can pass it; smooth it there, or start elsewhere"
                        )
        return "a price is NaN or infinite though every node's value and derivative is finite: the products overflow; rescale the loss"

    def hessian_vector(
        self, actions: Mapping[str, Numbers], direction: Mapping[str, Numbers], data: Mapping[str, Numbers] | None = None
    ) -> dict[str, Float64[FloatArray, "..."]]:
        """d²S/dx² at ``actions`` applied to ``direction``."""
        return self.unflatten(np.asarray(self.call("bend", self.flatten(actions), self.flatten(direction), self.terms(data))))

    @cached_property
    def affine_constraints(self) -> bool:
        """True where every hard constraint is affine in the actions, by structure."""
        for name in self.constraints:
            with float64_scope():
                program = FlatProgram(
                    lambda flat, terms, name=name: self.evaluate(self.pieces(flat), terms.data)[name], np.zeros(self.size), self.terms()
                )
            if program.outputs[0] not in affine_values(program, program.inputs[0])[1]:
                return False
        return True

    @cached_property
    def waist(self) -> Waist | None:
        """The narrowest aggregate y = A x + b with S(x) = f(y), or ``None`` where nothing narrower than the actions is affine in them."""
        with float64_scope():
            return find_waist(self.augmented, self.size, self.terms())
