"""Learning: fictitious play and no-regret dynamics, for matrix games and Bayesian games alike."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray, InputError
from hurwicz.equilibria.games import InterimGame, MixedProfile, exploitability, uniform_profile


@dataclass(frozen=True)
class Play:
    """Where learning stands.

    Attributes:
        profile: what is played now.
        mean: average of what has been played (weighted as the dynamics says).
        total: cumulative interim utility of each action for each type.
        earned: cumulative interim utility of what was played, for each type.
        memory: the dynamics' own.
        round: rounds played.
    """

    profile: Any
    mean: Any
    total: Any
    earned: Any
    memory: Any = None
    round: int = 0


def cce_gap(play: Play) -> float:
    """How far the history of play is from a coarse correlated equilibrium.

    max over players and types of max_a (1/T) sum_t u_i(a, sigma_-i^t) - (1/T) sum_t u_i(sigma^t): the average external regret. The joint
    distribution of play (not the product of the averages) is an epsilon-coarse correlated equilibrium for epsilon equal to it.
    """
    return max(
        float((total.max(axis=1) - earned).max()) / max(play.round, 1) for total, earned in zip(play.total, play.earned, strict=True)
    )


class _Learner:
    """What the dynamics here share: the bookkeeping of a round."""

    name: str

    def _begin(self, game: InterimGame, memory: Any = None) -> Play:
        profile = uniform_profile(game)
        zero = [np.zeros_like(p) for p in profile]
        return Play(profile, [p.copy() for p in profile], zero, [np.zeros(len(p)) for p in profile], memory)

    @staticmethod
    def _record(state: Play, tables: list[Float64[FloatArray, "_types _actions"]]) -> Play:
        total = [t + u for t, u in zip(state.total, tables, strict=True)]
        earned = [e + (p * u).sum(axis=1) for e, p, u in zip(state.earned, state.profile, tables, strict=True)]
        return replace(state, total=total, earned=earned, round=state.round + 1)

    @staticmethod
    def _look(game: InterimGame, state: Play) -> tuple[float, MixedProfile]:
        both = [(exploitability(game, p), p) for p in (state.mean, state.profile)]
        return min(both, key=lambda pair: pair[0])

    def residual(self, game: InterimGame, state: Play) -> float:
        """Smaller exploitability of the average and the present profile."""
        return self._look(game, state)[0]

    def terminate(self, game: InterimGame, state: Play) -> bool:
        """Never: there is always more to learn."""
        del game, state
        return False

    def figures(self, game: InterimGame, state: Play) -> dict[str, float]:
        """``regret``: the average external regret of play so far (:func:`cce_gap`)."""
        del game
        return {"regret": cce_gap(state)}

    def result(self, game: InterimGame, state: Play) -> list[Float64[FloatArray, "_types _actions"]]:
        """The less exploitable of the average and the present profile."""
        return [np.asarray(p) for p in self._look(game, state)[1]]


def _averaged(mean: Any, profile: Any, share: float) -> list[Float64[FloatArray, "_types _actions"]]:
    return [m + share * (p - m) for m, p in zip(mean, profile, strict=True)]


@dataclass(frozen=True)
class FictitiousPlay(_Learner):
    """Everybody answers best to the average of what the others have played (Brown 1951).

    Its average converges in two-player zero-sum games (Robinson 1951) and in potential games; elsewhere it may cycle.

    Args:
        recency: weight of round t is t^recency: 0 for the plain average, more to forget the beginning sooner.
    """

    recency: float = 0.0
    name: str = "fictitious play"

    def init(self, game: InterimGame) -> Play:
        """Everybody mixes evenly."""
        return self._begin(game)

    def step(self, game: InterimGame, state: Play) -> Play:
        """One best response to the average."""
        tables = game.utilities(state.mean)
        answer = []
        for u in tables:
            pure = np.zeros_like(u)
            pure[np.arange(len(u)), u.argmax(axis=1)] = 1.0
            answer.append(pure)
        state = self._record(replace(state, profile=answer), tables)
        return replace(state, mean=_averaged(state.mean, answer, (1.0 + self.recency) / (state.round + 1.0 + self.recency)))


@dataclass(frozen=True)
class Hedge(_Learner):
    """sigma(a) ∝ exp(eta_t × cumulative utility of a): multiplicative weights (Littlestone and Warmuth 1994; Freund and Schapire 1997).

    Average external regret falls as sqrt(log(actions) / rounds) × the range of payoffs, whatever the others do. For auctions on grids this
    is dual averaging with entropy, whose play itself comes close to Bayes–Nash equilibria (Bichler, Fichtl and Oberlechner 2023).

    Args:
        rate: eta_t = rate / sqrt(t) / scale, scale the range of utilities seen so far; 2 if omitted (4 with ``recency``).
        recency: weight of round t is t^recency. Above 0 it finds equilibria of auctions sooner, and the bound on regret is of the
            weighted sum.
    """

    rate: float | None = None
    recency: float = 0.0
    name: str = "Hedge"

    def __post_init__(self) -> None:
        """Refuse a rate that does not learn."""
        if (self.rate is not None and not self.rate > 0.0) or self.recency < 0.0:
            raise InputError(f"Hedge: expected rate > 0 and recency >= 0, got rate={self.rate}, recency={self.recency}")

    def init(self, game: InterimGame) -> Play:
        """Everybody mixes evenly; nothing is known of the scale."""
        start = self._begin(game)
        return replace(start, memory=(start.total, 0.0, 0.0))

    def step(self, game: InterimGame, state: Play) -> Play:
        """Play, hear what every action would have earned, reweigh."""
        tables = game.utilities(state.profile)
        played = state.profile
        state = self._record(state, tables)
        weighted, mass, scale = state.memory
        weight = float(state.round) ** self.recency
        weighted, mass = [w + weight * u for w, u in zip(weighted, tables, strict=True)], mass + weight
        scale = max(scale, max(float(np.ptp(u, axis=1).max()) for u in tables))
        rate = (self.rate or (4.0 if self.recency else 2.0)) / max(scale, 1e-300)
        # eta × the weighted mean × sqrt(t): for recency 0 exactly eta / sqrt(t) × the sum.
        speed = rate * np.sqrt(state.round) / mass
        nxt = []
        for w in weighted:
            power = speed * (w - w.max(axis=1, keepdims=True))
            e = np.exp(power)
            nxt.append(e / e.sum(axis=1, keepdims=True))
        mean = _averaged(state.mean, played, weight / mass)
        return replace(state, profile=nxt, mean=mean, memory=(weighted, mass, scale))


@dataclass(frozen=True)
class RegretMatching(_Learner):
    """sigma(a) ∝ max(regret of a, 0): play what one wishes to have played (Hart and Mas-Colell 2000), with their sums kept positive (RM+).

    Average external regret falls as the root of actions / rounds; with ``plus`` (Tammelin 2014) usually much sooner.

    Args:
        plus: cut negative regrets to zero as they accumulate, and weigh the average linearly.
    """

    plus: bool = True
    name: str = "regret matching"

    def init(self, game: InterimGame) -> Play:
        """Everybody mixes evenly and regrets nothing."""
        start = self._begin(game)
        return replace(start, memory=[np.zeros_like(p) for p in start.profile])

    def step(self, game: InterimGame, state: Play) -> Play:
        """Play, regret, reweigh."""
        tables = game.utilities(state.profile)
        played = state.profile
        state = self._record(state, tables)
        regrets, nxt = [], []
        for r, u, p in zip(state.memory, tables, played, strict=True):
            r = r + u - (p * u).sum(axis=1, keepdims=True)
            r = np.maximum(r, 0.0) if self.plus else r
            positive = np.maximum(r, 0.0)
            total = positive.sum(axis=1, keepdims=True)
            nxt.append(np.where(total > 0.0, positive / np.where(total > 0.0, total, 1.0), 1.0 / p.shape[1]))
            regrets.append(r)
        share = 2.0 / (state.round + 1.0) if self.plus else 1.0 / state.round
        return replace(state, profile=nxt, mean=_averaged(state.mean, played, share), memory=regrets)
