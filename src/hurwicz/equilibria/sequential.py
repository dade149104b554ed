"""Sequential first-price auctions: one item a round, one unit of demand each, solved from the last round backwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray, InputError, Solution, Status
from hurwicz.typespaces import DensityPrior, Interval, Uniform


@dataclass(frozen=True)
class SequentialEquilibrium:
    """Bids round by round.

    Attributes:
        values: knots.
        bids: beta_k at the knots, one row a round.
        mean_prices: E[beta_k of the winner of round k].
        epsilon: largest gain, in any round and at any knot, of bidding once as another type would and then returning to the
            equilibrium, given that the last winner's type is among the upper nine tenths; by the one-shot deviation principle nothing
            longer gains more than that a round.
    """

    values: Float64[np.ndarray, "knots"]
    bids: Float64[np.ndarray, "rounds knots"]
    mean_prices: Float64[np.ndarray, "rounds"]
    epsilon: float


def sequential_first_price(
    bidders: int, items: int, *, prior: DensityPrior | None = None, knots: int = 401, progress: Callable[[int, float], None] | None = None
) -> Solution[SequentialEquilibrium]:
    """The symmetric equilibrium of ``items`` first-price auctions in a row, winners leaving, the winning bids announced.

    beta_k(v) = E[beta_{k+1}(Y) | Y < v], Y the highest of the rivals left in round k, beta_{K+1}(v) = v: a bidder bids what it expects to
    pay next. Then every deviation is tried: with m rivals left whose types lie below y, a type v that bids as z gets
    F(z)^m (v - beta_k(z)) + ∫_z^y W_{k+1}(v | x) dF^m(x), over F(y)^m.

    Args:
        bidders: n, more than ``items``.
        items: K, at least 1.
        prior: of each value; uniform on [0, 1] if omitted.
        knots: values at which bids are found.
        progress: called with the round and the largest gain found in it.

    Raises:
        InputError: as many items as bidders, or a prior that is not on an interval.

    Example:
        >>> found = sequential_first_price(4, 2).value
        >>> [round(float(np.interp(0.9, found.values, b)), 3) for b in found.bids]  # (n - K) v / (n - k + 1)
        [0.45, 0.6]

    Source:
        R. J. Weber, Multiple-object auctions (1983); Krishna, Auction Theory, chapter 15.
    """
    if not 1 <= items < bidders:
        raise InputError(f"sequential_first_price: expected 1 <= items < bidders, got {items} items and {bidders} bidders")
    law = Uniform(Interval(0.0, 1.0)) if prior is None else prior
    if not isinstance(law.space, Interval) or knots < 11:
        raise InputError("sequential_first_price: expected a prior on an interval with a distribution function, and at least 11 knots")
    values = np.linspace(law.space.low, law.space.high, knots)
    level = np.clip(np.asarray(law.cdf(values)), 0.0, 1.0)
    bids = np.empty((items, knots))
    after = values
    for k in range(items, 0, -1):
        bids[k - 1] = after = _mean_below(after, values, law, bidders - k)
    mean_prices = np.asarray([_mean_of_order(bids[k - 1], values, law, bidders, k) for k in range(1, items + 1)])
    epsilon = 0.0
    later: FloatArray = np.zeros((knots, knots))  # W(v | y): what type v expects where the rivals left lie below y
    for k in range(items, 0, -1):
        power = level ** (bidders - k)
        step = np.diff(power)
        # integral over x from the lowest type to y of W(v | x) dF^m(x), for every v and y
        lost = np.concatenate([np.zeros((knots, 1)), np.cumsum(0.5 * (later[:, 1:] + later[:, :-1]) * step, axis=1)], axis=1)
        worth = power * (values[:, None] - bids[k - 1]) - lost  # less what does not depend on z
        best = np.maximum.accumulate(worth, axis=1)  # over z <= y
        own = np.minimum(np.arange(knots)[:, None], np.arange(knots)[None, :])
        played = np.take_along_axis(worth, own, axis=1)
        reached = power > 0.0
        here = reached & (level >= 0.1)
        gain = float(((best - played)[:, here] / power[here]).max())
        epsilon = max(epsilon, gain)
        later = np.where(reached, (played + lost) / np.where(reached, power, 1.0), np.maximum(values[:, None] - bids[k - 1], 0.0))
        if progress is not None:
            progress(k, gain)
    value = SequentialEquilibrium(values, bids, mean_prices, epsilon)
    return Solution(value, Status.EQUILIBRIUM, {"rounds": items, "residual": epsilon})


def _mean_below(
    function: Float64[FloatArray, "knots"], values: Float64[FloatArray, "knots"], law: DensityPrior, rivals: int
) -> Float64[FloatArray, "knots"]:
    """E[function(Y) | Y < v] at every knot, Y the highest of ``rivals`` values: sixteen cells between neighbouring knots."""
    fine = np.linspace(values[0], values[-1], 16 * (len(values) - 1) + 1)
    power = np.clip(np.asarray(law.cdf(fine)), 0.0, 1.0) ** rivals
    middle = np.interp(0.5 * (fine[1:] + fine[:-1]), values, function)
    total = np.concatenate([[0.0], np.cumsum(middle * np.diff(power))])[::16]
    upto = power[::16]
    return np.asarray(np.where(upto > 0.0, total / np.where(upto > 0.0, upto, 1.0), function[0]))


def _mean_of_order(
    function: Float64[FloatArray, "knots"], values: Float64[FloatArray, "knots"], law: DensityPrior, bidders: int, rank: int
) -> float:
    """E[function(V_(rank))], the rank-th highest of ``bidders`` values."""
    from scipy.stats import binom

    fine = np.linspace(values[0], values[-1], 20 * (len(values) - 1) + 1)
    upto = binom.cdf(rank - 1, bidders, 1.0 - np.clip(np.asarray(law.cdf(fine)), 0.0, 1.0))
    middle = np.interp(0.5 * (fine[1:] + fine[:-1]), values, function)
    return float(middle @ np.diff(upto))
