"""One protocol for every search for an equilibrium, and the one loop that drives it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias, TypeVar, runtime_checkable

import numpy as np

from hurwicz._foundation import InputError, Solution, Status

Progress: TypeAlias = Callable[[int, float], None]
Game = TypeVar("Game", contravariant=True)
State = TypeVar("State")
Profile = TypeVar("Profile", covariant=True)


@runtime_checkable
class Dynamics(Protocol[Game, State, Profile]):
    """A rule from what everybody does to what everybody does next."""

    @property
    def name(self) -> str:
        """What the field calls it."""
        ...

    def init(self, game: Game) -> State:
        """Where it starts."""
        ...

    def step(self, game: Game, state: State) -> State:
        """One round."""
        ...

    def residual(self, game: Game, state: State) -> float:
        """How far from done, in the units that ``tolerance`` is compared with."""
        ...

    def terminate(self, game: Game, state: State) -> bool:
        """True where further rounds would change nothing, whatever the residual is."""
        ...

    def figures(self, game: Game, state: State) -> Mapping[str, float]:
        """Further figures of a look, for the trace."""
        ...

    def result(self, game: Game, state: State) -> Profile:
        """What has been found."""
        ...


def drive(
    game: Game,
    dynamics: Dynamics[Game, State, Profile],
    *,
    steps: int,
    tolerance: float,
    every: int = 1,
    progress: Progress | None = None,
) -> Solution[Profile]:
    """Run ``dynamics`` until its residual is at most ``tolerance``, it has nothing more to give, or ``steps`` rounds are over.

    Args:
        game: what is played.
        dynamics: the rule.
        steps: most rounds, at least 1.
        tolerance: residual at which to stop.
        every: rounds between two looks at the residual.
        progress: called with the round and the residual at each look.

    Returns:
        The profile; ``stats`` has ``rounds``, ``residual``, ``seconds``, ``dynamics`` the dynamics' own figures, and the
        ``trace``: one mapping a look.

    Raises:
        InputError: no round allowed.

    Example:
        >>> from hurwicz.equilibria import FiniteGame, Hedge
        >>> pennies = FiniteGame([[[1.0, -1.0], [-1.0, 1.0]], [[-1.0, 1.0], [1.0, -1.0]]])
        >>> drive(pennies, Hedge(), steps=500, tolerance=0.05, every=10).status.ok
        True
    """
    if steps < 1 or every < 1:
        raise InputError(f"{dynamics.name}: expected steps >= 1 and every >= 1, got steps={steps}, every={every}")
    began = time.perf_counter()
    state = dynamics.init(game)
    trace: list[dict[str, float]] = []
    status, residual, done = Status.STEP_LIMIT, float("inf"), 0
    for done in range(1, steps + 1):
        state = dynamics.step(game, state)
        if done % every and done != steps:
            continue
        residual = dynamics.residual(game, state)
        trace.append({"round": done, "residual": residual, **dynamics.figures(game, state)})
        if progress is not None:
            progress(done, residual)
        if not np.isfinite(residual):
            status = Status.NOT_FINITE
            break
        if residual <= tolerance:
            status = Status.EQUILIBRIUM
        if status.ok or dynamics.terminate(game, state):
            break
    stats: dict[str, Any] = {
        "dynamics": dynamics.name,
        "rounds": done,
        "residual": residual,
        "seconds": time.perf_counter() - began,
        **dynamics.figures(game, state),
        "trace": trace,
    }
    return Solution(dynamics.result(game, state), status, stats)
