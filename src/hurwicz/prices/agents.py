"""Agents that answer offers: declared costs, populations, and the sealed handle that is all a planner sees."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Mapping
from typing import Any, final

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray, InputError, NotFiniteError, ShapeError, float64_scope
from hurwicz.prices.best_response import check_offer, compiled_cost, derivatives, respond_by_search, respond_in_closed_form
from hurwicz.prices.offer import Offer, Respondent
from hurwicz.prices.sets import ActionSet, WholeSpace
from hurwicz.valuations import CostFamily
from hurwicz.valuations.numbers import Numbers, numbers


class _CostlyAgent:
    """What one agent and a population have in common: a private cost, a private type, a set, and answers."""

    _batched = False

    def __init__(
        self,
        name: str,
        cost: Any,
        theta: Any,
        actions: Any,
        opt_out: Numbers | None,
        *,
        shape: tuple[int, ...],
        inputs_in_cost: bool,
    ) -> None:
        if not name or not isinstance(name, str):
            raise InputError(f"an agent's name: expected a non-empty string, got {name!r}")
        if not callable(cost):
            raise InputError(
                f"agent {name!r}: expected a cost, a family such as Quadratic() or a JAX function cost(x, theta), got {cost!r}; "
                "an agent that costs nothing takes ZeroCost()"
            )
        actions = WholeSpace() if actions is None else actions
        if not isinstance(actions, ActionSet):
            raise InputError(f"agent {name!r}: expected an action set such as Box(0, 1), got {actions!r}")
        self.name = name
        self.shape = tuple(int(n) for n in shape)
        self.cost = cost
        self.actions = actions
        self.inputs_in_cost = inputs_in_cost
        self.opt_out = (
            np.zeros(self.shape) if opt_out is None else np.broadcast_to(numbers(opt_out, f"agent {name!r}: opt-out"), self.shape).copy()
        )
        self.theta = self._checked_type(theta)
        interval = actions.interval()
        if interval is not None:
            try:
                fits = np.broadcast_shapes(self.shape, *(end.shape for end in interval)) == self.shape
            except ValueError:
                fits = False
            if not fits:
                raise ShapeError(
                    f"agent {name!r}: bounds of shapes {[end.shape for end in interval]} do not fit actions of shape {self.shape}"
                )

    def _checked_type(self, theta: Any) -> Any:
        import jax

        owner = f"agent {self.name!r}"
        if isinstance(self.cost, CostFamily):
            self.cost.check(theta, owner)
            return self.cost.spread(np.asarray(theta, dtype=np.float64), len(self.shape))
        leaves = jax.tree.leaves(theta)
        for leaf in leaves:
            if isinstance(leaf, (int, float, np.ndarray, np.generic, jax.Array)):
                numbers(leaf, f"{owner}: type")
        return jax.tree.map(lambda leaf: np.asarray(leaf, dtype=np.float64), theta)

    def with_theta(self, theta: Any) -> Any:
        """The same agent with another type (a report, say)."""
        other = copy.copy(self)
        other.theta = other._checked_type(theta)
        return other

    def respond(self, offer: Offer, inputs: Mapping[str, Any] | None = None) -> Float64[FloatArray, "*action"]:
        """The private best response to ``offer``, or the private projected gradient step that it asks for.

        Args:
            offer: price schedule; its arrays have the action's shape.
            inputs: values of the graph nodes that feed the agent.

        Returns:
            An action in the agent's set.
        """
        price, weight, anchor = check_offer(self.name, self.shape, offer)
        inputs = dict(inputs or {})
        if offer.step is not None:
            slope = self.marginal_cost(anchor, inputs)
            return np.asarray(self.actions.project(anchor + offer.step * (price - slope)), dtype=np.float64)
        answer = None if self.inputs_in_cost else respond_in_closed_form(self.cost, self.theta, self.actions, price, weight, anchor)
        if answer is None:
            answer = respond_by_search(
                self.cost, self.theta, self.actions, price, weight, anchor, inputs, batched=self._batched, takes_inputs=self.inputs_in_cost
            )
        answer = np.broadcast_to(np.asarray(answer, dtype=np.float64), self.shape)
        if not np.all(np.isfinite(answer)):
            raise NotFiniteError(
                f"agent {self.name!r}: no finite best response to this offer (the cost is flat or falling on an unbounded set); "
                "bound its set, or let the planner offer a weight > 0"
            )
        return answer

    def respond_with_slope(
        self, offer: Offer, inputs: Mapping[str, Any] | None = None
    ) -> tuple[Float64[FloatArray, "*action"], Float64[FloatArray, "*action"]]:
        """The best response and its derivative with respect to the price, elementwise (interval sets, separable costs)."""
        answer = self.respond(offer, inputs)
        _, weight, _ = check_offer(self.name, self.shape, offer)
        interval = self.actions.interval()
        separable = isinstance(self.cost, CostFamily) or len(self.shape) == int(self._batched)
        if interval is None or not separable or offer.step is not None:
            raise InputError(f"agent {self.name!r}: a slope is told for separable costs on interval sets and best responses only")
        _, curvature = derivatives(self.cost, self.theta, dict(inputs or {}), batched=self._batched, takes_inputs=self.inputs_in_cost)
        bend = curvature(answer) + weight
        inside = (answer > interval[0]) & (answer < interval[1]) & (bend > 0)
        return answer, np.where(inside, 1.0 / np.where(bend > 0, bend, 1.0), 0.0)

    def marginal_cost(self, action: Numbers, inputs: Mapping[str, Any] | None = None) -> Float64[FloatArray, "*action"]:
        """Formula: grad C_i at ``action`` (private)."""
        gradient, _ = derivatives(self.cost, self.theta, dict(inputs or {}), batched=self._batched, takes_inputs=self.inputs_in_cost)
        point = numbers(action, f"agent {self.name!r}: action", shape=self.shape)
        return np.broadcast_to(gradient(point), self.shape)

    def costs_at(self, action: Numbers, inputs: Mapping[str, Any] | None = None) -> Float64[FloatArray, "*members"]:
        """C_i at ``action``, one number a member (private)."""
        point = numbers(action, f"agent {self.name!r}: action", shape=self.shape)
        if isinstance(self.cost, CostFamily):
            term = np.asarray(self.cost.term(point, self.theta), dtype=np.float64)
            return np.asarray(np.broadcast_to(term, self.shape).sum(axis=tuple(range(int(self._batched), len(self.shape)))))
        with float64_scope():
            pieces = compiled_cost(self.cost, self._batched, self.inputs_in_cost)
            return np.asarray(pieces["value"](point, self.theta, dict(inputs or {})), dtype=np.float64)

    def cost_at(self, action: Numbers, inputs: Mapping[str, Any] | None = None) -> float:
        """C_i at ``action``, summed over members (private: a planner never has it)."""
        return float(self.costs_at(action, inputs).sum())


@final
class DeclaredAgent(_CostlyAgent):
    """One agent whose cost C(x; theta) is written down, and whose best response is derived from it.

    Args:
        name: unique within a problem.
        cost: a ``CostFamily`` or a JAX function ``cost(x, theta) -> scalar``.
        theta: the private type.
        actions: the set X_i; all of space if omitted.
        opt_out: the action o_i taken outside the mechanism; need not lie in the set; zeros if omitted.
        shape: shape of the action.
        inputs_in_cost: the cost is ``cost(x, theta, inputs)``, inputs being the values of the graph nodes that feed the agent.

    Example:
        >>> from hurwicz.valuations import Quadratic
        >>> agent = DeclaredAgent("baker", Quadratic(), 0.5)
        >>> float(agent.respond(Offer(price=np.array(3.0))))
        3.0
    """

    def __init__(
        self,
        name: str,
        cost: Any,
        theta: Any,
        actions: Any = None,
        opt_out: Numbers | None = None,
        *,
        shape: tuple[int, ...] = (),
        inputs_in_cost: bool = False,
    ) -> None:
        super().__init__(name, cost, theta, actions, opt_out, shape=shape, inputs_in_cost=inputs_in_cost)


@final
class PopulationAgent(_CostlyAgent):
    """N agents as one node: arrays of types in, arrays of actions out, every member answering for itself.

    Args:
        name: of the population.
        cost: a ``CostFamily`` or a JAX function of one member, ``cost(x, theta) -> scalar``.
        theta: types, leading axis N (or a tree of such arrays).
        actions: one set for all, or a ``Box`` with bounds of shape (N, *member_shape).
        opt_out: actions taken outside the mechanism; zeros if omitted.
        size: N; taken from ``theta`` if omitted.
        member_shape: shape of one member's action.

    Example:
        >>> from hurwicz.valuations import Quadratic
        >>> homes = PopulationAgent("homes", Quadratic(), np.array([0.5, 1.0]))
        >>> homes.respond(Offer(price=np.array([2.0, 2.0]))).tolist()
        [2.0, 1.0]
    """

    _batched = True

    def __init__(
        self,
        name: str,
        cost: Any,
        theta: Any,
        actions: Any = None,
        opt_out: Numbers | None = None,
        *,
        size: int | None = None,
        member_shape: tuple[int, ...] = (),
    ) -> None:
        import jax

        leading: set[int | None] = {int(np.shape(leaf)[0]) if np.ndim(leaf) else None for leaf in jax.tree.leaves(theta)}
        if size is None:
            counts = {count for count in leading if count is not None}
            if len(counts) != 1:
                raise ShapeError(
                    f"population {name!r}: its size is not clear from types with leading axes {sorted(map(str, leading))}; give size="
                )
            size = counts.pop()
        if size < 1:
            raise InputError(f"population {name!r}: expected at least one member, got {size}; leave an empty population out of the graph")
        if leading - {None, size}:
            raise ShapeError(f"population {name!r}: expected types with a leading axis of {size}, got {sorted(map(str, leading))}")
        spread = jax.tree.map(lambda leaf: np.broadcast_to(leaf, (size,)) if np.ndim(leaf) == 0 else leaf, theta)
        super().__init__(name, cost, spread, actions, opt_out, shape=(size, *member_shape), inputs_in_cost=False)

    def aggregate(self, price: Numbers) -> tuple[Float64[FloatArray, "*action"], Float64[FloatArray, "*action"]]:
        """(sum of best responses to one common price, its slope): what a planner with a scalar waist learns of a population.

        Example:
            >>> from hurwicz.valuations import Quadratic
            >>> homes = PopulationAgent("homes", Quadratic(), np.array([0.5, 1.0]))
            >>> tuple(float(part) for part in homes.aggregate(2.0))
            (3.0, 1.5)
        """
        offer = Offer(price=np.broadcast_to(numbers(price, "price", shape=self.shape[1:]), self.shape))
        answer, slope = self.respond_with_slope(offer)
        return np.asarray(answer.sum(axis=0)), np.asarray(slope.sum(axis=0))


class SealedAgent:
    """Name, shape, respond: nothing else can be reached from here. Made by ``seal``."""

    __slots__ = ("__weakref__", "_name", "_shape")

    def __init__(self, name: str, shape: tuple[int, ...]) -> None:
        self._name = name
        self._shape = shape

    @property
    def name(self) -> str:
        """Unique within a problem."""
        return self._name

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the action."""
        return self._shape

    def respond(self, offer: Offer, inputs: Mapping[str, Any]) -> Float64[FloatArray, "*action"]:
        """The agent's answer."""
        return _SEALED[self].respond(offer, inputs)


# The agent is kept here and not on its handle, so that no attribute, slot or closure of the handle leads to it.
_SEALED: weakref.WeakKeyDictionary[SealedAgent, Respondent] = weakref.WeakKeyDictionary()


def seal(agent: Respondent) -> SealedAgent:
    """A handle on ``agent`` with ``name``, ``shape`` and ``respond`` and nothing else.

    It keeps honest code from reading a cost by accident; against hostile code in the same process use ``isolate``.

    Example:
        >>> from hurwicz.valuations import Quadratic
        >>> handle = seal(DeclaredAgent("baker", Quadratic(), 0.5))
        >>> hasattr(handle, "theta"), hasattr(handle, "cost")
        (False, False)
    """
    handle = SealedAgent(agent.name, tuple(agent.shape))
    _SEALED[handle] = agent
    return handle
