"""The logit path: from everybody bidding at random to an equilibrium, followed by Newton's method."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray, InputError
from hurwicz.equilibria.games import FiniteGame, uniform_profile
from hurwicz.equilibria.grid_responses import GridTables, logit_condition, logit_profile
from hurwicz.equilibria.sealed_bids import SealedBidGame

GridGame: TypeAlias = SealedBidGame | FiniteGame
_NEWTON, _EXACT = 8, 1e-11
_SHORTEST, _STRAIGHT = 1e-9, 0.9


@dataclass(frozen=True)
class PathPoint:
    """Where the path has been followed to.

    Attributes:
        point: P(bid = b) of every group, one group after another, and log lambda.
        tangent: direction of the path there, length 1.
        length: of the next step.
        gain: most that any type gains at the profile that left least to gain.
        best: that profile.
        lost: no step however short stayed on the path, or it led back to where it began.
    """

    point: Float64[FloatArray, "unknowns"] = field(repr=False)
    tangent: Float64[FloatArray, "unknowns"] = field(repr=False)
    length: float
    gain: float
    best: Any = field(repr=False)
    lost: bool = False


@dataclass(frozen=True)
class LogitPath:
    """Logit quantal response equilibria from lambda = 0 on, where every action is as likely as any other, towards Nash as lambda grows.

    sigma(b | v) ∝ exp(lambda u(v, b; m)),    m(b) = sum_v w_v sigma(b | v)

    An equilibrium of sealed bids is known by the distribution m of every group's bids alone: the path is followed in as many numbers as
    there are bids, whatever the number of types, by predictor steps along its tangent and Newton corrections; it may turn back in lambda on
    its way. A profile on it leaves no type more than log(number of bids) / lambda to gain. For games whose tables fit into memory.

    Args:
        start: lambda at the first point, relative to the range of utilities.
        end: lambda at which to stop, relative to the same.
        longest: longest step, in log lambda where the path is straight; a shorter one stays on a path that turns where a longer jumps off.

    Source:
        R. D. McKelvey and T. R. Palfrey, Quantal response equilibria for normal form games, Games and Economic Behavior 10 (1995); T. L.
        Turocy, A dynamic homotopy interpretation of the logistic quantal response equilibrium correspondence, GEB 51 (2005).
    """

    start: float = 0.1
    end: float = 1e9
    longest: float = 0.3
    name: str = "logit path"

    def __post_init__(self) -> None:
        """Refuse an empty path."""
        if not (0.0 < self.start < self.end and self.longest > 0.0):
            raise InputError(
                f"LogitPath: expected 0 < start < end and longest > 0, got start={self.start}, end={self.end}, longest={self.longest}"
            )

    def init(self, game: GridGame) -> PathPoint:
        """The quantal response equilibrium of the first lambda, by Newton's method from even chances."""
        grid = game.grid_tables
        even = uniform_profile(game)
        masses = np.concatenate([w @ p for w, p in zip(game.weights, even, strict=True)])
        point = np.append(masses, np.log(self.start / self._scale(game)))
        for _ in range(_NEWTON):
            left, slope = logit_condition(grid, point)
            point[:-1] -= np.linalg.solve(slope[:, :-1], left)
        ahead = np.zeros(len(point))
        ahead[-1] = 1.0
        gain, profile = self._profile(game, point)
        return PathPoint(point, _tangent(grid, point, ahead), self.longest, gain, profile)

    def step(self, game: GridGame, state: PathPoint) -> PathPoint:
        """One step along the path: as long as corrections allow."""
        grid, length = game.grid_tables, state.length
        while length > _SHORTEST:
            found = _corrected(grid, state.point + length * state.tangent, state.tangent)
            # A correction longer than the step itself, or a direction that turns sharply, has fallen onto another branch.
            if found is not None and np.linalg.norm(found[0] - state.point) < 2.0 * length:
                point, rounds = found
                tangent = _tangent(grid, point, state.tangent)
                if tangent @ state.tangent > _STRAIGHT:
                    gain, profile = self._profile(game, point)
                    ahead = min(1.6 * length, self.longest) if rounds <= 3 else length
                    better = {"gain": gain, "best": profile} if gain < state.gain else {}
                    back = bool(point[-1] < np.log(self.start / self._scale(game)))
                    return replace(state, point=point, tangent=tangent, length=ahead, lost=back, **better)
            length *= 0.5
        return replace(state, lost=True)

    def residual(self, game: GridGame, state: PathPoint) -> float:
        """Most that any type gains at the best profile so far."""
        del game
        return state.gain

    def terminate(self, game: GridGame, state: PathPoint) -> bool:
        """At the end of the path, or off it."""
        return state.lost or bool(state.point[-1] > np.log(self.end / self._scale(game)))

    def figures(self, game: GridGame, state: PathPoint) -> dict[str, float]:
        """``rate``: lambda."""
        del game
        return {"rate": float(np.exp(state.point[-1]))}

    def result(self, game: GridGame, state: PathPoint) -> list[Float64[FloatArray, "_types _actions"]]:
        """The profile that left least to gain."""
        del game
        return list(state.best)

    @staticmethod
    def _scale(game: GridGame) -> float:
        """Range of utilities of a type when everybody bids at random."""
        spread = max(float(np.ptp(u, axis=1).max()) for u in game.utilities(uniform_profile(game)))
        return spread if spread > 0.0 else 1.0

    @staticmethod
    def _profile(game: GridGame, point: Float64[FloatArray, "unknowns"]) -> tuple[float, Any]:
        masses = np.split(point[:-1], np.cumsum(game.sizes)[:-1])
        return logit_profile(game.grid_tables, masses, float(np.exp(point[-1])))


def _solve(matrix: Float64[FloatArray, "unknowns unknowns"], right: Float64[FloatArray, "unknowns"]) -> Float64[FloatArray, "unknowns"]:
    try:
        return np.asarray(np.linalg.solve(matrix, right))
    except np.linalg.LinAlgError:
        return np.asarray(np.linalg.lstsq(matrix, right, rcond=None)[0])


def _tangent(
    grid: GridTables, point: Float64[FloatArray, "unknowns"], before: Float64[FloatArray, "unknowns"]
) -> Float64[FloatArray, "unknowns"]:
    """Direction of the path at a point of it, length 1, onward from ``before``."""
    _, slope = logit_condition(grid, point)
    tangent = _solve(np.vstack([slope, before]), np.append(np.zeros(len(slope)), 1.0))
    return np.asarray(tangent / np.linalg.norm(tangent))


def _corrected(
    grid: GridTables, point: Float64[FloatArray, "unknowns"], tangent: Float64[FloatArray, "unknowns"]
) -> tuple[Float64[FloatArray, "unknowns"], int] | None:
    """Newton's method back to the path, across the tangent; ``None`` where it does not contract."""
    before = np.inf
    for k in range(_NEWTON):
        left, slope = logit_condition(grid, point)
        off = float(np.abs(left).max())
        if off < _EXACT:
            return point, k
        if not off < 0.9 * before:
            return None
        before = off
        point = point - _solve(np.vstack([slope, tangent]), np.append(left, 0.0))
    return None
