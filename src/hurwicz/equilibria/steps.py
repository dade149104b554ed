"""Rules that answer a continuum of bids in steps: clocks, rounded bids, lists of admissible prices."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray
from hurwicz.mechanisms import SingleParameterMechanism

_FINE, _FEW, _MANY, _MOST = 2049, 96, 384, 400


def bids_told_apart(
    mechanism: SingleParameterMechanism, bid_range: tuple[float, float] | None = None, *, seed: int = 0
) -> dict[str, Float64[FloatArray, "_bids"]] | None:
    """One bid for each step of the rule, for every agent; ``None`` where the rule does not answer in steps.

    Every agent's bids go over a fine grid against random bids of the others. Neighbouring bids that are answered alike are not told
    apart. A rule in steps has hardly more of them against four times as many rivals' bids; a price set by a rival has four times as many.

    Args:
        mechanism: with type spaces on intervals.
        bid_range: smallest and largest bid; the span of the type spaces if omitted.
        seed: of the rivals' bids.

    Example:
        >>> from hurwicz.mechanisms import dutch_clock, second_price
        >>> bids_told_apart(dutch_clock(2, decrement=0.25))["bidder 1"].round(2).tolist()
        [0.12, 0.37, 0.62, 0.87, 1.0]
        >>> bids_told_apart(second_price(2)) is None
        True
    """
    ends = [np.asarray(space.grid(2), dtype=np.float64) for space in mechanism.type_spaces.values()]
    low, high = bid_range or (min(float(e.min()) for e in ends), max(float(e.max()) for e in ends))
    fine = np.linspace(low, high, _FINE)
    rng = np.random.default_rng([seed, 17])
    rivals = rng.uniform(low, high, size=(_MANY, len(mechanism.agents)))
    out = {}
    for k, name in enumerate(mechanism.agents):
        few = _changes(mechanism, k, fine, rivals[:_FEW])
        if few.sum() > _MOST:
            return None
        many = few | _changes(mechanism, k, fine, rivals[_FEW:])
        if many.sum() > 1.25 * few.sum() + 2.0:
            return None
        edges = np.flatnonzero(many)
        first, last = np.concatenate([[0], edges + 1]), np.concatenate([edges, [_FINE - 1]])
        out[name] = 0.5 * (fine[first] + fine[last])
    return out


def _changes(
    mechanism: SingleParameterMechanism, agent: int, fine: Float64[FloatArray, "bids"], rivals: Float64[FloatArray, "draws agents"]
) -> np.ndarray:
    """Between which neighbouring bids the answer changes, against any of the rivals' bids."""
    profile = np.repeat(rivals, len(fine), axis=0)
    profile[:, agent] = np.tile(fine, len(rivals))
    slack = 1e-12 * (1.0 + float(np.abs(fine).max()))
    answers = (y[:, agent].reshape(len(rivals), len(fine)) for y in mechanism.decide(profile))
    return np.asarray(np.logical_or(*(np.any(np.abs(np.diff(y, axis=1)) > slack, axis=0) for y in answers)))
