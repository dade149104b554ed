"""What a solver returns: a value, a status that can be read, and figures of the run."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Status(enum.Enum):
    """How a run ended; ``status.message`` names cause and remedy, ``status.ok`` says if it may be used."""

    OPTIMUM = "optimum"
    LOCAL_OPTIMUM = "local optimum"
    STATIONARY_POINT = "stationary point"
    SADDLE = "saddle"
    SATISFICED = "satisficed"
    EQUILIBRIUM = "equilibrium"
    STEP_LIMIT = "step limit"
    DIVERGED = "diverged"
    NOT_FINITE = "not finite"
    AGENT_FAILED = "agent failed"

    @property
    def ok(self) -> bool:
        """True where the value is what was asked for, and not merely how far the run got."""
        return self in _OK

    @property
    def message(self) -> str:
        """One sentence: what this status claims, or the cause and the remedy."""
        return _MESSAGES[self]


_OK = frozenset({Status.OPTIMUM, Status.LOCAL_OPTIMUM, Status.STATIONARY_POINT, Status.SATISFICED, Status.EQUILIBRIUM})
_MESSAGES = {
    Status.OPTIMUM: "a global optimum: first-order conditions hold to the tolerance and convexity (or a bound) certifies it",
    Status.LOCAL_OPTIMUM: "a local optimum: first- and second-order conditions hold; nothing is claimed about other basins",
    Status.STATIONARY_POINT: "a stationary point: first-order conditions hold to the tolerance; nothing more is claimed",
    Status.SADDLE: "a saddle: stationary, but a feasible direction of negative curvature lowers the loss; escape it",
    Status.SATISFICED: "every agent stopped where one more step of effort was not worth its cost",
    Status.EQUILIBRIUM: "an equilibrium: nobody gains more by a strategy of its own than the stats say; others may exist beside it",
    Status.STEP_LIMIT: "the step limit came before the tolerance; raise the limit, loosen the tolerance, or change the dynamics",
    Status.DIVERGED: "the iterates grow without bound; shorten the step, add damping, or use price Newton",
    Status.NOT_FINITE: "a NaN or an infinity appeared; check the data and the domain of the loss",
    Status.AGENT_FAILED: "an agent failed and the planner was told to stop; the stats name it",
}


@dataclass(frozen=True)
class Solution(Generic[T]):
    """A result as data.

    Attributes:
        value: what was computed (its type is the solver's).
        status: how the run ended.
        stats: figures of the run: rounds, residuals, seconds, ...
    """

    value: T
    status: Status
    stats: dict[str, Any] = field(default_factory=dict)
