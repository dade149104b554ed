"""Who is served where bids are ranked: shares by rank, ties broken as stated, payments by rank."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import InputError, NotFiniteError
from hurwicz.mechanisms._arguments import ends, number
from hurwicz.settings import JointPrior

Reserves: TypeAlias = float | Mapping[str, float]
Ranked: TypeAlias = Float64[np.ndarray, "batch agents"]
OfRank: TypeAlias = Callable[[Ranked], tuple[Ranked, Ranked]]


def reserves_of(mechanism: str, reserve: Reserves, names: Sequence[str]) -> Float64[np.ndarray, " agents"]:
    """One reserve for everybody, or one an agent; 0 for who is not named.

    Raises:
        InputError: below 0, not finite, or of an unknown agent.

    Example:
        >>> reserves_of("second_price", {"b": 0.5}, ["a", "b"]).tolist()
        [0.0, 0.5]
    """
    if isinstance(reserve, Mapping):
        unknown = sorted(set(reserve) - set(names))
        if unknown:
            raise InputError(f"{mechanism}: expected reserves for agents among {list(names)}, got some for {unknown}")
        return np.asarray([number(mechanism, "reserve", reserve.get(name, 0.0)) for name in names])
    return np.full(len(names), number(mechanism, "reserve", reserve))


def admitted(bids: Ranked, reserves: Float64[np.ndarray, " agents"]) -> Ranked:
    """The bids, minus infinity where they are below the reserve.

    Raises:
        NotFiniteError: NaN or infinity among the bids.
    """
    if not bool(np.isfinite(bids).all()):
        row, column = np.argwhere(~np.isfinite(bids))[0]
        raise NotFiniteError(f"expected finite bids, got {bids[row, column]} from agent {column + 1} in profile {row}")
    return np.asarray(np.where(bids >= reserves, bids, -np.inf))


def shares_of_one(scores: Ranked, ties: str) -> Ranked:
    """One item to the highest score: shared equally among equals (``"lottery"``), or to the first of them (``"order"``)."""
    best = scores.max(axis=1, keepdims=True)
    if ties == "order":
        wins = np.arange(scores.shape[1]) == scores.argmax(axis=1)[:, None]
        return np.asarray(wins & np.isfinite(best), dtype=np.float64)
    top = (scores == best) & np.isfinite(best)
    return np.asarray(top / np.maximum(top.sum(axis=1, keepdims=True), 1), dtype=np.float64)


def best_rival(scores: Ranked) -> Ranked:
    """For each agent the highest score of the others; minus infinity where there are none."""
    agents = scores.shape[1]
    out = np.full(scores.shape, -np.inf)
    running = np.full(len(scores), -np.inf)
    for i in range(agents):
        out[:, i] = running
        running = np.maximum(running, scores[:, i])
    running = np.full(len(scores), -np.inf)
    for i in reversed(range(agents)):
        out[:, i] = np.maximum(out[:, i], running)
        running = np.maximum(running, scores[:, i])
    return out


def by_rank(scores: Ranked, of_rank: OfRank, ties: str) -> tuple[Ranked, Ranked]:
    """Shares and payments that depend on rank alone.

    Args:
        scores: minus infinity for who is not admitted; such agents get and pay nothing.
        of_rank: scores in decreasing order → (share, payment) of each rank.
        ties: ``"lottery"``: equals share the ranks that they hold; ``"order"``: the first of them holds the best.

    Example:
        >>> def one_item_at_second_price(sorted_scores):
        ...     share = np.zeros_like(sorted_scores)
        ...     share[:, 0] = 1.0
        ...     return share, share * sorted_scores[:, [1]]
        >>> by_rank(np.array([[0.5, 0.9, 0.9]]), one_item_at_second_price, "lottery")[0].tolist()
        [[0.0, 0.5, 0.5]]
    """
    order = np.argsort(-scores, axis=1, kind="stable")
    ranked = np.take_along_axis(scores, order, axis=1)
    out = []
    for amounts in of_rank(ranked):
        shared = _shared(ranked, amounts) if ties == "lottery" else amounts
        back = np.zeros(scores.shape)
        np.put_along_axis(back, order, np.where(np.isfinite(ranked), shared, 0.0), axis=1)
        out.append(back)
    return out[0], out[1]


def _shared(ranked: Ranked, amounts: Ranked) -> Ranked:
    """Amounts of ranks, averaged over ranks of equal score; untouched where no scores are equal."""
    same = ranked[:, 1:] == ranked[:, :-1]
    tied = np.flatnonzero((same & np.isfinite(ranked[:, 1:])).any(axis=1))
    if not len(tied):
        return amounts
    out = np.array(amounts, dtype=np.float64)
    rows, agents = ranked[tied], ranked.shape[1]
    index = np.arange(agents)
    new = np.concatenate([np.ones((len(rows), 1), dtype=bool), rows[:, 1:] != rows[:, :-1]], axis=1)
    first = np.maximum.accumulate(np.where(new, index, 0), axis=1)
    end = np.concatenate([new[:, 1:], np.ones((len(rows), 1), dtype=bool)], axis=1)
    last = np.minimum.accumulate(np.where(end, index, agents)[:, ::-1], axis=1)[:, ::-1]
    for rank in range(agents):  # a sum within each group: one of everything before would round
        alone = first[:, rank] == last[:, rank]
        group = (index >= first[:, [rank]]) & (index <= last[:, [rank]])
        mean = np.where(group, amounts[tied], 0.0).sum(axis=1) / (last[:, rank] - first[:, rank] + 1)
        out[tied, rank] = np.where(alone, amounts[tied, rank], mean)
    return out


def at_least(scores: Ranked, floor: float) -> Ranked:
    """Scores, the floor where they are lower or not there: the seller's own bid."""
    return np.asarray(np.maximum(scores, floor))


def shuts_out(prior: JointPrior, reserves: Float64[np.ndarray, " agents"]) -> bool:
    """Whether some agent's positive type is below its reserve, so that an item may stay unsold that somebody wants."""
    for space, reserve in zip(prior.spaces.values(), reserves, strict=True):
        if space.size is None:
            low, high = ends(space)
            if reserve > max(low, 0.0) and high > 0.0:
                return True
        elif bool(np.any((space.grid(0) > 0.0) & (space.grid(0) < reserve))):
            return True
    return False
