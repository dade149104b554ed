"""Collocation: strategies as polynomials whose first-order conditions hold at many types at once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray, InputError
from hurwicz.equilibria.learning import RegretMatching
from hurwicz.equilibria.monotone import BestResponse
from hurwicz.equilibria.monotone_games import MonotoneGame
from hurwicz.equilibria.sealed_bids import sealed_bid_game

_PULL = 20.0


@dataclass(frozen=True)
class Fit:
    """Coefficients of every group, the damping of Levenberg and Marquardt, and the best profile so far.

    Attributes:
        coefficients: of Chebyshev polynomials on each group's interval, one group after another.
        degree: present degree.
        damping: lambda.
        loss: sum of squared first-order conditions.
        best: bids that left least to gain, or as good as least and closer to the conditions.
        gain: what they left.
        stalled: rounds in a row without progress.
        loss_of_best: sum of squared conditions of the best profile.
    """

    coefficients: Any
    degree: int
    damping: float
    loss: float
    best: tuple[Any, ...] = field(repr=False)
    gain: float
    stalled: int = 0
    loss_of_best: float = float("inf")


@dataclass(frozen=True)
class Collocation:
    """Levenberg–Marquardt on the first-order conditions, beta a polynomial in each group's type.

    min sum over types v of [ (u(v, beta(v) + h) - u(v, beta(v) - h)) / 2h ]², u(v, b) = v X(b) - T(b), and the squared distance of the
    keenest type's bid to its best. The degree rises by steps, each starting from the last. For agents whom the rule or the prior tells
    apart, where rounds of best responses cycle.

    Args:
        degree: of the polynomials in the end.
        width: h as a share of the range of bids.
        rounds: rounds of :class:`BestResponse` to start from.
    """

    degree: int = 15
    width: float = 1e-3
    rounds: int = 12
    name: str = "collocation of first-order conditions"

    def __post_init__(self) -> None:
        """Refuse what makes no polynomial."""
        if self.degree < 2 or not 0.0 < self.width < 0.1 or self.rounds < 1:
            raise InputError(
                f"Collocation: expected degree >= 2, 0 < width < 0.1 and rounds >= 1, got {self.degree}, {self.width} and {self.rounds}"
            )

    def init(self, game: MonotoneGame) -> Fit:
        """The better of a few rounds of smoothed best responses and of regret matching on a coarse grid, fitted by cubics."""
        first = BestResponse(damping=0.3, degree=3)
        state = first.init(game)
        for _ in range(self.rounds):
            state = first.step(game, state)
        starts = [first.result(game, state), self._learned(game)]
        degree = min(3, self.degree)
        fits: list[tuple[float, tuple[Any, ...], Any]] = []
        for bids in starts:
            parts = [
                np.polynomial.chebyshev.chebfit(self._place(v[first:]), b[first:], degree)
                for v, b, first in zip(game.values, bids, game.entrants, strict=True)
            ]
            coefficients = np.asarray(np.concatenate(parts), dtype=np.float64)
            fitted = tuple(self._bids(game, coefficients, degree))
            fits.append((gains(game, fitted), fitted, coefficients))
        gain, best, coefficients = min(fits, key=lambda fit: fit[0])
        return Fit(coefficients, degree, 1e-3, self._loss(game, coefficients, degree), best, gain)

    @staticmethod
    def _learned(game: MonotoneGame) -> tuple[Float64[FloatArray, "_knots"], ...]:
        """Mean bids of 300 rounds of regret matching on 40 values and 81 bids an agent, at the game's knots."""
        coarse = sealed_bid_game(game.mechanism, types=40, bids=81, bid_range=(game.low, game.high), route=game.route)
        learner = RegretMatching()
        play = learner.init(coarse)
        for _ in range(300):
            play = learner.step(coarse, play)
        out = []
        for members, values in zip(game.groups, game.values, strict=True):
            g = coarse.belongs[members[0]]
            out.append(np.maximum.accumulate(np.interp(values, coarse.types[g], play.mean[g] @ coarse.bids[g])))
        return tuple(out)

    def step(self, game: MonotoneGame, state: Fit) -> Fit:
        """One Levenberg–Marquardt step; one more of degree where the last has nothing left to give."""
        base = self._conditions(game, state.coefficients, state.degree)
        count = len(state.coefficients)
        jacobian = np.empty((len(base), count))
        nudge = 1e-6 * (game.high - game.low)
        for k in range(count):
            moved = state.coefficients.copy()
            moved[k] += nudge
            jacobian[:, k] = (self._conditions(game, moved, state.degree) - base) / nudge
        normal, slope = jacobian.T @ jacobian, jacobian.T @ base
        damping, stalled = state.damping, state.stalled + 1
        coefficients, loss = state.coefficients, state.loss
        for _ in range(8):
            trial = coefficients - np.linalg.solve(normal + damping * np.diag(np.diag(normal) + 1e-12), slope)
            reached = self._loss(game, trial, state.degree)
            if reached < loss:
                stalled = stalled if reached > 0.9 * loss else 0
                coefficients, loss, damping = trial, reached, max(0.2 * damping, 1e-12)
                break
            damping *= 5.0
        else:
            stalled = 3
        bids = tuple(self._bids(game, coefficients, state.degree))
        gain = gains(game, bids)
        out = replace(state, coefficients=coefficients, loss=loss, damping=min(damping, 1e6), stalled=stalled)
        # Gains are of the second order in the bids: of profiles that leave about the same, the one closer to the conditions is better.
        if gain < 0.5 * state.gain or (gain < 2.0 * state.gain and loss < state.loss_of_best):
            out = replace(out, best=bids, gain=gain, loss_of_best=loss)
        if stalled < 3 or state.degree >= self.degree:
            return out
        degree = min(state.degree + 3, self.degree)
        padded = np.concatenate([np.pad(c, (0, degree - state.degree)) for c in np.split(coefficients, len(game.groups))])
        return replace(out, coefficients=padded, degree=degree, damping=1e-3, loss=self._loss(game, padded, degree), stalled=0)

    def residual(self, game: MonotoneGame, state: Fit) -> float:
        """What the best profile so far leaves to gain."""
        del game
        return state.gain

    def terminate(self, game: MonotoneGame, state: Fit) -> bool:
        """Three rounds without progress at the last degree."""
        del game
        return state.stalled >= 3 and state.degree >= self.degree

    def figures(self, game: MonotoneGame, state: Fit) -> dict[str, float]:
        """``degree`` and the sum of squared first-order conditions, ``loss``."""
        del game
        return {"degree": float(state.degree), "loss": state.loss}

    def result(self, game: MonotoneGame, state: Fit) -> tuple[Float64[FloatArray, "_knots"], ...]:
        """The bids that left least to gain."""
        del game
        return state.best

    @staticmethod
    def _place(values: Float64[FloatArray, "knots"]) -> Float64[FloatArray, "knots"]:
        return np.asarray(2.0 * (values - values[0]) / (values[-1] - values[0]) - 1.0)

    def _bids(
        self, game: MonotoneGame, coefficients: Float64[FloatArray, "coefficients"], degree: int
    ) -> list[Float64[FloatArray, "_knots"]]:
        parts = np.split(coefficients, len(game.groups))
        assert all(len(c) == degree + 1 for c in parts)
        curves = []
        for g, (values, own) in enumerate(zip(game.values, parts, strict=True)):
            curve = game.start[g].copy()
            curve[game.entrants[g] :] = np.polynomial.chebyshev.chebval(self._place(values[game.entrants[g] :]), own)
            curves.append(game.with_outsiders(g, curve))
        return curves

    def _conditions(
        self, game: MonotoneGame, coefficients: Float64[FloatArray, "coefficients"], degree: int
    ) -> Float64[FloatArray, "conditions"]:
        bids = self._bids(game, coefficients, degree)
        laws = game.laws(bids)
        h = self.width * (game.high - game.low)
        out = []
        for g, own in enumerate(bids):
            least, last = game.entrants[g] + 1, len(own) - 2
            rows = np.unique(np.linspace(least, last, min(last - least + 1, 4 * self.degree)).round().astype(int))
            keenest = 0 if game.side(g) < 0 else len(own) - 1
            values, at = game.side(g) * game.values[g][rows], own[rows]
            high, low = np.minimum(at + h, game.high), np.maximum(at - h, game.least(g))
            rivals = [law.knots[::4] for k, law in enumerate(laws) if k != game.groups[g][0]]
            ends = [law.knots[[0, -1]] for k, law in enumerate(laws) if k != game.groups[g][0]]
            points = np.concatenate([*rivals, *ends, own[[0, -1]]])
            found = game.interim(g, np.concatenate([low, high, points]), laws)
            share, payment = (x[len(at) : 2 * len(at)] - x[: len(at)] for x in (found.share, found.payment))
            # No difference across a rival's keenest bid, where the slope breaks.
            if game.side(g) > 0:
                clear = np.clip((max(float(r[1]) for r in ends) - high) / h, 0.0, 1.0)
            else:
                clear = np.clip((low - min(float(r[0]) for r in ends)) / h, 0.0, 1.0)
            out.append(clear * (values * share - payment) / np.maximum(high - low, 1e-12))
            # Beyond a rival's last bid the slope is the same everywhere and leads nowhere; the distance to the best bid does.
            count = 2 * len(at)
            table = np.outer(np.append(values, game.side(g) * game.values[g][keenest]), found.share[count:]) - found.payment[count:]
            out.append(np.asarray([_PULL * (own[keenest] - points[int(table[-1].argmax())]) / (game.high - game.low)]))
            # Of the second order near an equilibrium, and what calls back a type that has no chance where it could have one.
            at_own = 0.5 * (values * (found.share[: len(at)] + found.share[len(at) : count]))
            at_own -= 0.5 * (found.payment[: len(at)] + found.payment[len(at) : count])
            out.append(_PULL * np.maximum(table[:-1].max(axis=1) - at_own, 0.0) / (game.high - game.low))
        return np.concatenate(out)

    def _loss(self, game: MonotoneGame, coefficients: Float64[FloatArray, "coefficients"], degree: int) -> float:
        return float((self._conditions(game, coefficients, degree) ** 2).sum())


def gains(game: MonotoneGame, bids: tuple[Any, ...]) -> float:
    """Largest gain of a best response of any group to a profile."""
    laws = game.laws(bids)
    return max(game.response(g, own, laws)[1] for g, own in enumerate(bids))
