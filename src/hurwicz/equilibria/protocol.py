"""One protocol for every search for an equilibrium, and the one loop that drives it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol, TypeAlias, TypeVar, runtime_checkable

import numpy as np

from hurwicz._foundation import InputError, Solution, SolverError, Status
from hurwicz.mechanisms import SingleParameterMechanism

Progress: TypeAlias = Callable[[int, float], None]
Game = TypeVar("Game", contravariant=True)
State = TypeVar("State")
Profile = TypeVar("Profile", covariant=True)


class OutOfTimeError(SolverError):
    """The rule was asked after the deadline: what ends a round in the middle."""


def within(mechanism: SingleParameterMechanism, deadline: float) -> SingleParameterMechanism:
    """The mechanism, its rule raising :class:`OutOfTimeError` instead of answering from ``deadline`` (``time.perf_counter()``) on."""
    if deadline == math.inf:
        return mechanism
    rule = mechanism.rule

    def timed(bids: Any) -> Any:
        if time.perf_counter() >= deadline:
            raise OutOfTimeError(f"{mechanism.name}: time is up; allow more seconds")
        return rule(bids)

    return replace(mechanism, rule=timed)


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
    deadline: float = math.inf,
) -> Solution[Profile]:
    """Run ``dynamics`` until its residual is at most ``tolerance``, it has nothing more to give, or rounds or time are over.

    Args:
        game: what is played.
        dynamics: the rule.
        steps: most rounds, at least 1.
        tolerance: residual at which to stop.
        every: rounds between two looks at the residual.
        progress: called with the round and the residual at each look.
        deadline: ``time.perf_counter()`` at which to stop; within a round where the game's rule is one of :func:`within`.

    Returns:
        The profile; ``stats`` has ``rounds``, ``residual`` (at the last look), ``seconds``, ``dynamics`` the dynamics' own figures,
        ``stopped`` (``"tolerance"``, ``"step limit"``, ``"time limit"``, ``"not finite"`` or ``"nothing more to give"``), and the
        ``trace``: one mapping a look.

    Raises:
        InputError: no round allowed.
        OutOfTimeError: the deadline came before the first round.

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
    status, residual, done, stopped = Status.STEP_LIMIT, float("inf"), 0, "step limit"
    try:
        for k in range(1, steps + 1):
            state = dynamics.step(game, state)
            done = k
            late = time.perf_counter() >= deadline
            if not done % every or done == steps or late:
                residual = dynamics.residual(game, state)
                trace.append({"round": done, "residual": residual, **dynamics.figures(game, state)})
                if progress is not None:
                    progress(done, residual)
                if not np.isfinite(residual):
                    status, stopped = Status.NOT_FINITE, "not finite"
                elif residual <= tolerance:
                    status, stopped = Status.EQUILIBRIUM, "tolerance"
                elif dynamics.terminate(game, state):
                    stopped = "nothing more to give"
                elif late:
                    stopped = "time limit"
                if stopped != "step limit":
                    break
    except OutOfTimeError:
        stopped = "time limit"
    stats: dict[str, Any] = {
        "dynamics": dynamics.name,
        "rounds": done,
        "residual": residual,
        "seconds": time.perf_counter() - began,
        "stopped": stopped,
        **dynamics.figures(game, state),
        "trace": trace,
    }
    return Solution(dynamics.result(game, state), status, stats)
