"""Equilibria known in closed form, for values of U[0, 1] unless said otherwise: what the solvers are checked against."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64
from numpy.typing import ArrayLike

from hurwicz._foundation import FloatArray, InputError


def first_price_bids(values: ArrayLike, bidders: int) -> Float64[FloatArray, "*shape"]:
    """beta(v) = (n - 1) v / n (Vickrey 1961).

    Example:
        >>> float(first_price_bids(0.9, 3))
        0.6
    """
    return np.asarray((bidders - 1) / bidders * np.asarray(values, dtype=np.float64))


def all_pay_bids(values: ArrayLike, bidders: int) -> Float64[FloatArray, "*shape"]:
    """beta(v) = (n - 1) v^n / n (Krishna, Auction Theory, section 3.2).

    Example:
        >>> float(all_pay_bids(1.0, 2))
        0.5
    """
    return np.asarray((bidders - 1) / bidders * np.asarray(values, dtype=np.float64) ** bidders)


def discriminatory_bids(values: ArrayLike, bidders: int, units: int) -> Float64[FloatArray, "*shape"]:
    """beta(v) = E[Y_k | Y_k < v], Y_k the k-th highest of n - 1 rivals; a/(a+b) I_v(a+1, b) / I_v(a, b) with a = n - k, b = k.

    I is the regularised incomplete beta function: P(Y_k < v) = I_v(n - k, k) (Krishna, Auction Theory, section 13.5).

    Args:
        values: v.
        bidders: n, more than ``units``.
        units: k.

    Raises:
        InputError: at least as many units as bidders: nobody need bid anything.

    Example:
        >>> round(float(discriminatory_bids(1.0, 4, 2)), 12)  # E[Y_2] of three
        0.5
    """
    if not 1 <= units < bidders:
        raise InputError(f"discriminatory_bids: expected 1 <= units < bidders, got {units} units and {bidders} bidders")
    from scipy.special import betainc

    v, a, b = np.asarray(values, dtype=np.float64), bidders - units, units
    below = betainc(a, b, v)
    return np.asarray(np.where(below > 0.0, a / (a + b) * betainc(a + 1, b, v) / np.where(below > 0.0, below, 1.0), 0.0))


def chatterjee_samuelson_bids(values: ArrayLike, costs: ArrayLike) -> tuple[Float64[FloatArray, "*values"], Float64[FloatArray, "*costs"]]:
    """The linear equilibrium of the ½-double auction: the buyer bids 2 v / 3 + 1 / 12, the seller asks 2 c / 3 + 1 / 4.

    One of a continuum of equilibria; it reaches the second best, gains of 9/64 (Chatterjee and Samuelson 1983; Myerson and Satterthwaite
    1983). Where v < 1/4 or c > 3/4 there is no trade and any bid that brings none is as good.

    Example:
        >>> bid, ask = chatterjee_samuelson_bids(0.5, 0.5)
        >>> round(float(bid), 6), round(float(ask), 6)
        (0.416667, 0.583333)
    """
    v, c = np.asarray(values, dtype=np.float64), np.asarray(costs, dtype=np.float64)
    return np.asarray(2.0 * v / 3.0 + 1.0 / 12.0), np.asarray(2.0 * c / 3.0 + 0.25)


def asymmetric_uniform_bids(values: ArrayLike, own: float, other: float) -> Float64[FloatArray, "*shape"]:
    """First price, U[0, w] against U[0, w']: beta(v) = (1 - sqrt(1 - k v²)) / (k v), k = 1/w² - 1/w'² (Griesmer, Levitan, Shubik 1967).

    Written as v / (1 + sqrt(1 - k v²)), which is exact at k = 0 (both alike: half the value) and at v = 0.

    Args:
        values: v in [0, ``own``].
        own: w, the highest value of the bidder.
        other: w', that of its rival.

    Raises:
        InputError: a highest value that is not above 0.

    Example:
        >>> round(float(asymmetric_uniform_bids(2.0, 2.0, 1.0)), 6)  # both end at w w' / (w + w')
        0.666667
    """
    if not (own > 0.0 and other > 0.0):
        raise InputError(f"asymmetric_uniform_bids: expected highest values above 0, got {own} and {other}")
    v = np.asarray(values, dtype=np.float64)
    return np.asarray(v / (1.0 + np.sqrt(np.maximum(1.0 - (1.0 / own**2 - 1.0 / other**2) * v**2, 0.0))))


def sequential_first_price_bids(values: ArrayLike, bidders: int, items: int, round_: int) -> Float64[FloatArray, "*shape"]:
    """beta_k(v) = (n - K) / (n - k + 1) v in round k of K, one unit of demand each (Weber 1983).

    Example:
        >>> float(sequential_first_price_bids(0.9, 3, 2, 1))
        0.3
    """
    return np.asarray((bidders - items) / (bidders - round_ + 1) * np.asarray(values, dtype=np.float64))
