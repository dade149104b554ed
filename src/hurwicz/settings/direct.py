"""A direct mechanism in its setting: the one shape that the auditor takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from hurwicz.typespaces import TypeSpace


@dataclass(frozen=True)
class Outcome:
    """What a mechanism decides for one profile of reports.

    Attributes:
        allocation: agent name → action or share (array).
        payments: agent name → what the agent pays the mechanism (negative: it receives).
    """

    allocation: Mapping[str, NDArray[np.float64]]
    payments: Mapping[str, float]


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
