"""Bayes–Nash equilibria in strategies that rise with the type, over a continuum of types and bids: the iterations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray, InputError
from hurwicz.equilibria.monotone_games import MonotoneGame
from hurwicz.equilibria.strategies import MonotoneStrategy

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(3)
_NODES, _WEIGHTS = 0.5 * (_NODES + 1.0), 0.5 * _WEIGHTS


@dataclass(frozen=True)
class Iterate:
    """Bids of every group at its knots, the gain of a best response, the rounds behind, the profile that left least to gain
    and what it left, how far bids moved in the last round, and for how many rounds no less was left by a tenth.
    """

    bids: tuple[Any, ...]
    gain: float
    round: int
    best: tuple[Any, ...] | None = None
    gain_of_best: float = float("inf")
    change: float = float("inf")
    stalled: int = 0


def _rising(bids: Float64[FloatArray, "knots"]) -> Float64[FloatArray, "knots"]:
    return np.maximum.accumulate(bids)


def smooth(
    game: MonotoneGame, group: int, bids: Float64[FloatArray, "knots"], laws: Sequence[MonotoneStrategy], degree: int
) -> Float64[FloatArray, "knots"]:
    """The rising polynomial of that degree nearest to ``bids`` over the types that have a chance, going on straight over the others."""
    values = game.values[group]
    chance = game.interim(group, bids, laws).share > 1e-6
    if chance.sum() < degree + 2:
        return bids
    inside = values[chance]
    fit = np.polynomial.Chebyshev.fit(inside, bids[chance], degree, domain=[inside[0], inside[-1]])
    near = np.clip(values, inside[0], inside[-1])
    slope = fit.deriv()
    ends = np.where(values < inside[0], slope(inside[0]), slope(inside[-1]))
    return _rising(np.clip(fit(near) + ends * (values - near), game.low, game.high))


@dataclass(frozen=True)
class BestResponse:
    """beta <- (1 - damping) beta + damping P BR(beta): everyone answers at once, smoothed by P, and goes part of the way.

    The best response differentiates the rivals' distribution: a ripple of width h in their bids comes back 1/h times as large. P, the
    least-squares polynomial of a low degree over the types that have a chance, lets no such ripple through.

    Args:
        damping: share of the way that is gone, in (0, 1].
        degree: of the polynomial; ``None`` for the bare best response, which rarely converges.
    """

    damping: float = 0.5
    degree: int | None = 4
    name: str = "smoothed best response"

    def __post_init__(self) -> None:
        """Refuse a step that does not move or overshoots."""
        if not 0.0 < self.damping <= 1.0 or (self.degree is not None and self.degree < 1):
            raise InputError(f"BestResponse: expected 0 < damping <= 1 and degree >= 1, got damping={self.damping}, degree={self.degree}")

    def init(self, game: MonotoneGame) -> Iterate:
        """The game's start."""
        return Iterate(tuple(game.start), np.inf, 0)

    def step(self, game: MonotoneGame, state: Iterate) -> Iterate:
        """One answer of everybody; the gain is that of the profile answered."""
        laws = game.laws(state.bids)
        answers = [game.response(g, own, laws) for g, own in enumerate(state.bids)]
        gain = max(a[1] for a in answers)
        stalled = 0 if gain < 0.9 * state.gain_of_best else state.stalled + 1
        if gain < state.gain_of_best:
            state = Iterate(state.bids, state.gain, state.round, best=state.bids, gain_of_best=gain)
        moved = []
        for g, (own, (answer, _)) in enumerate(zip(state.bids, answers, strict=True)):
            aim = answer if self.degree is None else smooth(game, g, _rising(answer), laws, self.degree)
            moved.append(game.with_outsiders(g, own + self.damping * (aim - own)))
        return Iterate(tuple(moved), gain, state.round + 1, best=state.best, gain_of_best=state.gain_of_best, stalled=stalled)

    def residual(self, game: MonotoneGame, state: Iterate) -> float:
        """Smallest, over the profiles answered, of the largest gain."""
        del game
        return state.gain_of_best

    def terminate(self, game: MonotoneGame, state: Iterate) -> bool:
        """Once ten rounds have not bettered the best profile by a tenth: it may cycle, and the best profile of a cycle is kept."""
        del game
        return state.stalled >= 10

    def figures(self, game: MonotoneGame, state: Iterate) -> dict[str, float]:
        """None besides."""
        del game, state
        return {}

    def result(self, game: MonotoneGame, state: Iterate) -> tuple[Float64[FloatArray, "_knots"], ...]:
        """The bids that left least to gain."""
        del game
        return state.best or state.bids


@dataclass(frozen=True)
class EnvelopeIteration:
    """beta(v) <- T^{-1}(v q(v) - u(v)), q(v) = X(beta(v)), u(v) = max_b u(v_low, b) + ∫ q: the envelope theorem, solved for the bid.

    Along an equilibrium u' = q (Myerson 1981; Milgrom and Segal 2002, Theorem 2), so that the share a type gets fixes what it pays, and
    what it pays fixes its bid. No derivative of a rival's distribution is taken, hence errors do not grow from round to round. For
    symmetric rules in which payments rise with the bid; bidders who are told apart need :class:`BestResponse` or a grid.
    """

    name: str = "envelope iteration"

    def init(self, game: MonotoneGame) -> Iterate:
        """The game's start."""
        if len(game.groups) != 1 or game.side(0) < 0.0:
            raise InputError("EnvelopeIteration: expected identical buyers, got agents that the rule or the prior tells apart, or sellers")
        return Iterate(tuple(game.start), np.inf, 0)

    def step(self, game: MonotoneGame, state: Iterate) -> Iterate:
        """One solve of the envelope condition."""
        values, own = game.values[0], state.bids[0]
        laws = game.laws(state.bids)
        width = np.diff(values)
        inner = values[:-1, None] + width[:, None] * _NODES
        share = game.interim(0, laws[game.groups[0][0]](inner.ravel()), laws).share.reshape(inner.shape)
        at = game.interim(0, own, laws)
        lowest = game.interim(0, np.linspace(game.low, own[-1], 65), laws)
        floor = float(np.max(values[0] * lowest.share - lowest.payment))
        utility = floor + np.concatenate([[0.0], np.cumsum((share @ _WEIGHTS) * width)])
        pays = values * at.share - utility
        served = at.share > 1e-300
        paying, free = self._bid_that_pays(game, pays, own, laws)
        # who gets nothing makes no bid that costs something
        bids = np.where(served, np.maximum(paying, game.least(0)), np.minimum(own, free))
        moved = _rising(np.clip(bids, game.low, game.high))
        return Iterate((moved,), np.inf, state.round + 1, change=float(np.abs(moved - own).max()))

    def _bid_that_pays(
        self, game: MonotoneGame, pays: Float64[FloatArray, "knots"], own: Float64[FloatArray, "knots"], laws: Sequence[MonotoneStrategy]
    ) -> tuple[Float64[FloatArray, "knots"], float]:
        """T^{-1}, on a grid through the present bids and a finer one in each cell that matters; and the highest bid that costs nothing."""
        more = [[game.least(0)], 0.5 * (own[1:] + own[:-1]), np.linspace(game.low, game.high, 65)]
        points = np.unique(np.concatenate([own, *more]))
        payment = np.maximum.accumulate(game.interim(0, points, laws).payment)
        place = np.clip(np.searchsorted(payment, pays, side="left") - 1, 0, len(points) - 2)
        near = points[place][:, None] + (points[place + 1] - points[place])[:, None] * np.linspace(0.0, 1.0, 17)
        finer = np.maximum.accumulate(game.interim(0, near.ravel(), laws).payment.reshape(near.shape), axis=1)
        cell = np.clip((finer < pays[:, None]).sum(axis=1) - 1, 0, 15)
        rows = np.arange(len(pays))
        low, high = finer[rows, cell], finer[rows, cell + 1]
        share = np.where(high > low, (pays - low) / np.where(high > low, high - low, 1.0), 1.0)
        paying = near[rows, cell] + np.clip(share, 0.0, 1.0) * (near[rows, cell + 1] - near[rows, cell])
        return np.asarray(paying), float(points[max(int(np.searchsorted(payment, 0.0, side="right")) - 1, 0)])

    def residual(self, game: MonotoneGame, state: Iterate) -> float:
        """Largest gain of a best response to the present profile."""
        return game.response(0, state.bids[0], game.laws(state.bids))[1]

    def terminate(self, game: MonotoneGame, state: Iterate) -> bool:
        """Bids that no longer move."""
        return state.change <= 1e-7 * (game.high - game.low)

    def figures(self, game: MonotoneGame, state: Iterate) -> dict[str, float]:
        """``change``: how far any bid moved in the last round."""
        del game
        return {"change": state.change}

    def result(self, game: MonotoneGame, state: Iterate) -> tuple[Float64[FloatArray, "_knots"], ...]:
        """The bids."""
        del game
        return state.bids
