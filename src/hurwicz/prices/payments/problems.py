"""What a payment rule needs to know of an allocation problem, for a batch of type profiles at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64, Shaped
from numpy.typing import NDArray

from hurwicz._foundation import FloatArray, InputError

# One array an agent, with the batch in front; types may be numbers, vectors or names.
Types = Sequence[Shaped[NDArray[Any], "batch ..."]]


@runtime_checkable
class AllocationProblem(Protocol):
    """Minimise L(x) = S(x) + sum_i C_i(x_i; theta_i) with the types known (they are reports).

    Actions are arrays of shape (batch, agents) or (batch, agents, k); types are one array per agent, each with the batch in front.
    Costs are counted net of the opt-out action: C_i(o_i) = 0.
    """

    @property
    def agents(self) -> tuple[str, ...]:
        """Names, in the order of the actions."""
        ...

    @property
    def opt_out(self) -> Float64[FloatArray, "agents *action"]:
        """o, the actions of those who stay out."""
        ...

    @property
    def accuracy(self) -> float:
        """Error of losses at the solutions, in money; 0 for closed forms (rounding is the caller's business)."""
        ...

    def solve(self, types: Types) -> Float64[FloatArray, "batch agents *action"]:
        """x* for every profile."""
        ...

    def solve_holding(
        self, agent: int, held: Float64[FloatArray, "batch *action"], types: Types
    ) -> Float64[FloatArray, "batch agents *action"]:
        """Actions where ``agent`` does ``held`` and the others re-optimise."""
        ...

    def system_loss(self, actions: Float64[FloatArray, "batch agents *action"]) -> Float64[FloatArray, "batch"]:
        """S."""
        ...

    def price(self, actions: Float64[FloatArray, "batch agents *action"]) -> Float64[FloatArray, "batch agents *action"]:
        """-dS/dx."""
        ...

    def cost(
        self, agent: int, actions: Float64[FloatArray, "batch *action"], types: Shaped[NDArray[Any], "batch *type"]
    ) -> Float64[FloatArray, "batch"]:
        """C_i of one agent's actions."""
        ...

    def kinks(
        self, agent: int, start: Float64[FloatArray, "batch *action"], stop: Float64[FloatArray, "batch *action"], types: Types
    ) -> Float64[FloatArray, "batch kinks"]:
        """Fractions in [0, 1] of the path of ``agent`` where its price may have kinks as the others re-optimise."""
        ...

    def loss_bound(self, actions: Float64[FloatArray, "batch agents *action"], types: Types) -> Float64[FloatArray, "batch"]:
        """A certified lower bound on the least L of each profile, met by L at the optimum; minus infinity where there is none."""
        ...


def total_cost(
    problem: AllocationProblem, actions: Float64[FloatArray, "batch agents *action"], types: Types, *, without: int | None = None
) -> Float64[FloatArray, "batch"]:
    """sum_i C_i, less one agent's where asked.

    Example:
        >>> from hurwicz.prices.payments import QuadraticAggregate
        >>> total_cost(QuadraticAggregate(4.0, 2), np.array([[1.0, 2.0]]), [np.array([0.5]), np.array([1.0])], without=0)
        array([4.])
    """
    out: FloatArray = np.zeros(len(actions))
    for i in range(len(problem.agents)):
        if i != without:
            out = out + problem.cost(i, actions[:, i], types[i])
    return out


def total_loss(
    problem: AllocationProblem, actions: Float64[FloatArray, "batch agents *action"], types: Types
) -> Float64[FloatArray, "batch"]:
    """L = S + sum_i C_i.

    Example:
        >>> from hurwicz.prices.payments import QuadraticAggregate
        >>> total_loss(QuadraticAggregate(4.0, 2), np.array([[1.0, 2.0]]), [np.array([0.5]), np.array([1.0])])  # 1 + 0.5 + 4
        array([5.5])
    """
    return problem.system_loss(actions) + total_cost(problem, actions, types)


def named_agents(agents: int | Sequence[str]) -> tuple[str, ...]:
    """Names as given, or ``agent 1`` … ``agent N``."""
    names = tuple(f"agent {k + 1}" for k in range(agents)) if isinstance(agents, int) else tuple(agents)
    if not names or len(set(names)) != len(names):
        raise InputError(f"agents: expected at least one agent and different names, got {agents!r}")
    return names
