"""What bidders feel and how their values move: utilities, discounting, drift and first distributions of batched auctions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float64

from hurwicz._foundation import InputError

Utility: TypeAlias = Callable[[Float[Array, "..."]], Float[Array, "..."]]


def constant_absolute_risk(aversion: float) -> Utility:
    """u(g) = (1 - exp(-k g)) / (1 - exp(-k)): constant absolute risk aversion k, scaled so that u(0) = 0 and u(1) = 1.

    k > 0 shuns risk (concave), k < 0 seeks it (convex), k = 0 is the gain itself. Smooth for every gain, negative ones included, and
    bounded on [-1, 1], where the gains of an auction with values and bids in [0, 1) lie.

    Args:
        aversion: k, per unit of money.

    Returns:
        u, a JAX function of the gain.

    Raises:
        InputError: an aversion that is not finite.

    Example:
        >>> shun, seek = constant_absolute_risk(2.0), constant_absolute_risk(-2.0)
        >>> round(float(shun(jnp.asarray(0.5))), 3), round(float(seek(jnp.asarray(0.5))), 3)
        (0.731, 0.269)

    Source: Pratt, "Risk aversion in the small and in the large" (1964). That bidders of the published experiments feel so is reconstructed.
    """
    if not np.isfinite(aversion):
        raise InputError(f"constant absolute risk: expected a finite aversion, got {aversion}")
    if abs(aversion) < 1e-9:
        return lambda gain: gain  # the quotient would lose its digits; u differs from g by at most k / 8
    scale = float(np.expm1(-aversion))
    return lambda gain: jnp.expm1(-aversion * gain) / scale


def hyperbolic_discount(rounds: int, impatience: float = 1.0) -> Float64[np.ndarray, " rounds"]:
    """d_h = 1 / (1 + k h): the weight of a gain in round h, seen from round 0.

    Weights count from the beginning of the auction, so that a bidder's plan stays its plan: the time-inconsistent preferences of the
    psychological literature, where every round discounts anew, are another game.

    Args:
        rounds: H.
        impatience: k >= 0.

    Raises:
        InputError: a negative impatience.

    Example:
        >>> hyperbolic_discount(3).round(3).tolist()
        [1.0, 0.5, 0.333]

    Source: Mazur, "An adjusting procedure for studying delayed reinforcement" (1987).
    """
    if not (np.isfinite(impatience) and impatience >= 0.0):
        raise InputError(f"hyperbolic discount: expected an impatience >= 0, got {impatience}")
    return np.asarray(1.0 / (1.0 + impatience * np.arange(rounds)))


def gaussian_drift(grid: int, factor: float, sigma: float) -> Float64[np.ndarray, "grid grid"]:
    """w(v' | v) proportional to exp(-(factor v - v')^2 / (2 sigma^2)) over the grid of values.

    Args:
        grid: values are 0, 1/grid, .., (grid - 1)/grid.
        factor: by which a value is multiplied in expectation; values gather at the top where it passes 1.
        sigma: standard deviation, above 0, in units of value.

    Returns:
        Rows v that sum to 1 over v'.

    Raises:
        InputError: a sigma that is not above 0.

    Example:
        >>> gaussian_drift(4, 1.2, 0.2).sum(axis=1).round(12).tolist()
        [1.0, 1.0, 1.0, 1.0]

    Source: Corecco et al. (arXiv 2510.21442), appendix on batched auctions; that v is the value and not its index is reconstructed.
    """
    if not (np.isfinite(factor) and np.isfinite(sigma) and sigma > 0.0):
        raise InputError(f"drift of values: expected a finite factor and sigma > 0, got {factor} and {sigma}")
    values = np.arange(grid) / grid
    exponent = -((factor * values[:, None] - values[None, :]) ** 2) / (2.0 * sigma**2)
    # where factor v passes the grid by many sigmas every weight would underflow
    weights = np.exp(exponent - exponent.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def geometric_values(grid: int, ratio: float = 0.9) -> Float64[np.ndarray, " grid"]:
    """mu_0(v) proportional to ratio^(100 v): the share of a value falls by ``ratio`` per hundredth, whatever the grid.

    Args:
        grid: number of values.
        ratio: in (0, 1].

    Raises:
        InputError: a ratio outside (0, 1].

    Example:
        >>> shares = geometric_values(100)
        >>> round(float(shares[1] / shares[0]), 3)
        0.9

    Source: Corecco et al. (arXiv 2510.21442); that the exponent is the index on the paper's grid of 100 is reconstructed.
    """
    if not 0.0 < ratio <= 1.0:
        raise InputError(f"geometric values: expected a ratio in (0, 1], got {ratio}")
    shares = ratio ** (100.0 * np.arange(grid) / grid)
    return np.asarray(shares / shares.sum())
