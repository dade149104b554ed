"""A direct mechanism in its setting: the one shape that the auditor takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64, Shaped
from numpy.typing import NDArray

from hurwicz._foundation import FloatArray
from hurwicz.typespaces import TypeSpace


@dataclass(frozen=True)
class Outcome:
    """What a mechanism decides for one profile of reports.

    Attributes:
        allocation: agent name → action or share (array).
        payments: agent name → what the agent pays the mechanism (negative: it receives).
    """

    allocation: Mapping[str, Float64[FloatArray, "*action"]]
    payments: Mapping[str, float]


@dataclass(frozen=True)
class Outcomes:
    """A batch of outcomes: every array has the batch as its leading axis.

    Attributes:
        allocation: agent name → actions or shares, shape (batch, ...).
        payments: agent name → payments to the mechanism, shape (batch,).
    """

    allocation: Mapping[str, Float64[FloatArray, "batch *action"]]
    payments: Mapping[str, Float64[FloatArray, "batch"]]

    def one(self, index: int) -> Outcome:
        """The outcome at ``index`` of the batch."""
        return Outcome(
            allocation={name: np.asarray(x[index]) for name, x in self.allocation.items()},
            payments={name: float(t[index]) for name, t in self.payments.items()},
        )


@runtime_checkable
class DirectMechanism(Protocol):
    """Agents report types; the mechanism answers with an outcome. Utility is ``value(i, outcome, true type) - payment``."""

    @property
    def agents(self) -> Sequence[str]:
        """Names of the agents, in the order of every profile."""
        ...

    @property
    def type_spaces(self) -> Mapping[str, TypeSpace]:
        """Agent name → the set of types it may report."""
        ...

    def outcome(self, reports: Mapping[str, Any]) -> Outcome:
        """Allocation and payments for one profile of reports."""
        ...

    def value(self, agent: str, outcome: Outcome, true_type: Any) -> float:
        """v_i(outcome; theta_i), counted net of opting out, before payments."""
        ...

    def welfare(self, outcome: Outcome, true_types: Mapping[str, Any]) -> float:
        """Total value created, the planner's included (for prices: minus the global loss)."""
        ...


@runtime_checkable
class BatchedDirectMechanism(DirectMechanism, Protocol):
    """A direct mechanism that also answers many profiles at once; the auditor uses this where it is present.

    Optional members, used where present: ``planner_value(outcome)`` (the planner's own gain before payments, batched),
    ``planner_is_indifferent`` (true where that is 0 at every outcome),
    ``welfare_bound(true_types)`` (a certified upper bound on welfare, batched), ``accuracy`` (error of payments and
    values in money, where they are computed numerically) and ``prior``.
    """

    def outcomes(self, reports: Mapping[str, Shaped[NDArray[Any], "batch *type"]]) -> Outcomes:
        """Outcomes of a batch of profiles: agent name → reports with the batch as leading axis."""
        ...

    def values(self, agent: str, outcomes: Outcomes, true_types: Shaped[NDArray[Any], "batch *type"]) -> Float64[FloatArray, "batch"]:
        """v_i for every outcome of the batch, shape (batch,)."""
        ...

    def welfares(self, outcomes: Outcomes, true_types: Mapping[str, Shaped[NDArray[Any], "batch *type"]]) -> Float64[FloatArray, "batch"]:
        """Welfare of every outcome of the batch, shape (batch,)."""
        ...
