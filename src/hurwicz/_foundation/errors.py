"""The errors of the library, in one hierarchy.

::

    HurwiczError
    ├── InputError            what you gave cannot be used (command line: exit code 2); also a ValueError
    │   ├── GraphError        a price graph that is cyclic, incomplete or has no scalar loss
    │   ├── ShapeError        an array of the wrong shape
    │   ├── NotFiniteError    NaN or infinity where a finite number is needed
    │   ├── FormatError       a data file that cannot be read (carries file and line)
    │   ├── ScenarioError     a scenario with a mistake (carries file and line)
    │   └── InfeasibleError   a well-formed problem that has no feasible point
    ├── AgentError            an agent raised, answered badly or never answered (carries its name)
    ├── SolverError           a method did not finish (command line: exit code 3; carries what it reached)
    │   ├── NotConvergedError the step limit came first
    │   └── DivergedError     the iterates left every bound
    └── MissingExtraError     an optional dependency is not installed (names the extra)

Every message says what was expected, what came, and what to do.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any


class HurwiczError(Exception):
    """Root of every error that the library raises on purpose."""


class InputError(HurwiczError, ValueError):
    """What was given cannot be used: the message says what was expected instead."""


class GraphError(InputError):
    """A price graph that is cyclic, incomplete, or has no single scalar loss."""


class ShapeError(InputError):
    """An array whose shape is not the one that its place needs."""


class NotFiniteError(InputError):
    """NaN or infinity where a finite number is needed."""


class InfeasibleError(InputError):
    """A well-formed problem without a feasible point (more load than capacity, say)."""


class _LocatedError(InputError):
    """An input error with a place: ``path:line: message``."""

    def __init__(self, message: str, *, path: str | Path | None = None, line: int | None = None) -> None:
        self.message = message
        self.path = None if path is None else str(path)
        self.line = line
        place = ":".join(str(part) for part in (self.path, line) if part is not None)
        super().__init__(f"{place}: {message}" if place else message)


class FormatError(_LocatedError):
    """A data file that cannot be read; ``path`` and ``line`` say where."""


class ScenarioError(_LocatedError):
    """A scenario file with a mistake; ``path`` and ``line`` say where."""


class AgentError(HurwiczError):
    """An agent raised, answered with the wrong shape or NaN, or did not answer in time."""

    def __init__(self, message: str, *, agent: str) -> None:
        self.agent = agent
        super().__init__(f"agent {agent!r}: {message}")


class SolverError(HurwiczError):
    """A method stopped without what it was asked for; ``reached`` holds what it had."""

    def __init__(self, message: str, *, reached: Any = None) -> None:
        self.reached = reached
        super().__init__(message)


class NotConvergedError(SolverError):
    """The step limit came before the tolerance."""


class DivergedError(SolverError):
    """The iterates grew without bound; the message names the method and the remedy."""


class MissingExtraError(HurwiczError):
    """An optional dependency is not installed; the message names the extra to install."""
