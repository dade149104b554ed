"""Assignments from an order of bids: filled up one after another, and improved by exchanges."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int64

from hurwicz.mechanisms.combinatorial.packing import Packing

_BETTER = 1e-9  # of the welfare: what counts as a gain


def filled(packing: Packing, order: Int64[np.ndarray, " bids"], allowed: Bool[np.ndarray, " bids"], kept: Sequence[int]) -> list[int]:
    """``kept`` and whatever fits beside it, in ``order``."""
    chosen = list(kept)
    free = allowed.copy()
    many = packing.several
    left = packing.supply[packing.supply > 1] - many[chosen].sum(axis=0)
    if chosen:
        free &= ~packing.conflicts[chosen].any(axis=0)
        free[chosen] = False
    for j in order[free[order]]:
        if free[j] and (not len(left) or bool((many[j] <= left).all())):
            chosen.append(int(j))
            free &= ~packing.conflicts[j]
            left = left - many[j]
    return chosen


def improved(
    packing: Packing, chosen: list[int], order: Int64[np.ndarray, " bids"], allowed: Bool[np.ndarray, " bids"], tries: int = 12
) -> list[int]:
    """Local search: a bid pushes out those it conflicts with, the rest is filled up again, as long as that gains."""
    value = packing.total(chosen)
    while True:
        lost = packing.prices[chosen] @ packing.conflicts[chosen] if chosen else np.zeros(packing.size)
        gain = np.where(allowed, packing.prices - lost, -np.inf)
        gain[chosen] = -np.inf
        for j in np.argsort(-gain)[:tries]:
            if gain[j] == -np.inf:
                return chosen
            kept = [k for k in chosen if not packing.conflicts[j, k]]
            kept = _within(packing, int(j), kept)
            other = filled(packing, order, allowed, kept)
            if packing.total(other) > value * (1 + _BETTER):
                chosen, value = other, packing.total(other)
                break
        else:
            return chosen


def _within(packing: Packing, bid: int, kept: list[int]) -> list[int]:
    """``bid`` and those of ``kept``, dearest first, for whom units are left."""
    many, supply = packing.several, packing.supply[packing.supply > 1]
    if not len(supply):
        return [*kept, bid]
    left = supply - many[bid]
    staying = [bid]
    for k in sorted(kept, key=lambda k: -packing.prices[k]):
        if bool((many[k] <= left).all()):
            staying.append(k)
            left = left - many[k]
    return staying
