"""Prices integrated along a path of one agent's action, with a stated error."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from numpy.typing import ArrayLike

from hurwicz._foundation import FloatArray, InputError, NotConvergedError, NotFiniteError, ShapeError, float64_array

PriceOf = Callable[[Float64[FloatArray, "*action"]], ArrayLike]


@dataclass(frozen=True)
class PathIntegral:
    """Money collected along a path.

    Attributes:
        value: the integral of price · dx.
        error: estimate of its error: the difference to the rule of one node less, summed over the pieces.
        evaluations: how often the price was asked for.
    """

    value: float
    error: float
    evaluations: int


def path_integral(
    price_of: PriceOf,
    start: ArrayLike,
    stop: ArrayLike,
    *,
    breakpoints: Sequence[float] = (),
    order: int = 8,
    tolerance: float = 1e-10,
    limit: int = 400,
) -> PathIntegral:
    """The price integrated from ``start`` to ``stop`` along the straight line.

    ∫_0^1 p(start + s (stop - start)) · (stop - start) ds, by Gauss–Legendre on the pieces between the breakpoints; the piece
    with the largest error is halved until the sum of the errors is below ``tolerance`` times max(1, ∫ |p · dx|).

    Args:
        price_of: action → price, both of the action's shape.
        start: where the path begins (the opt-out action).
        stop: where it ends.
        breakpoints: places in (0, 1) along the path where the price has kinks; others are found by halving, at a cost.
        order: nodes a piece, at least 3; compared with one node less for the error.
        tolerance: error wanted, relative to max(1, ∫ |p · dx|).
        limit: most pieces.

    Returns:
        The integral, its error estimate, and the number of price evaluations.

    Raises:
        InputError: order below 3 or a breakpoint outside [0, 1].
        ShapeError: a price of another shape than the action.
        NotFiniteError: a price that is NaN or infinite.
        NotConvergedError: still above the tolerance with ``limit`` pieces.

    Example:
        >>> round(path_integral(lambda x: 2.0 * (5.0 - x), 0.0, 3.0).value, 12)
        21.0
    """
    a = np.asarray(float64_array(start, "start"))
    b = float64_array(stop, "stop", shape=a.shape)
    if order < 3:
        raise InputError(f"path_integral: expected order >= 3 (the error estimate compares it with one node less), got {order}")
    cuts = sorted({0.0, 1.0, *(float(s) for s in breakpoints)})
    if cuts[0] < 0.0 or cuts[-1] > 1.0:
        raise InputError(f"path_integral: expected breakpoints in [0, 1] along the path, got {list(breakpoints)}")
    direction = b - a
    fine, coarse = np.polynomial.legendre.leggauss(order), np.polynomial.legendre.leggauss(order - 1)
    evaluations = 0

    def slope(s: float) -> float:
        nonlocal evaluations
        evaluations += 1
        here = a + s * direction
        price = np.asarray(price_of(here), dtype=np.float64)
        if price.shape != here.shape:
            raise ShapeError(f"price_of: expected a price of the action's shape {here.shape}, got {price.shape}")
        if not bool(np.all(np.isfinite(price))):
            raise NotFiniteError(f"price_of: expected finite prices along the path, got {price} at action {here}")
        return float(np.sum(price * direction))

    def piece(left: float, right: float) -> tuple[float, float, float, float, float]:
        half, middle = 0.5 * (right - left), 0.5 * (left + right)
        heights = np.asarray([slope(middle + half * t) for t in fine[0]])
        value = float(half * (fine[1] @ heights))
        rough = float(half * sum(w * slope(middle + half * t) for t, w in zip(*coarse, strict=True)))
        return left, right, value, abs(value - rough), float(half * (fine[1] @ np.abs(heights)))

    if not bool(np.any(direction)):
        return PathIntegral(0.0, 0.0, 0)
    pieces = [piece(left, right) for left, right in itertools.pairwise(cuts)]
    while True:
        error = sum(p[3] for p in pieces)
        if error <= tolerance * max(1.0, sum(p[4] for p in pieces)):
            return PathIntegral(float(sum(p[2] for p in pieces)), float(error), evaluations)
        if len(pieces) >= limit:
            value = float(sum(p[2] for p in pieces))
            raise NotConvergedError(
                f"path_integral: error {error:.3g} is above the tolerance with {limit} pieces; "
                "give the breakpoints of the price, or loosen the tolerance",
                reached=PathIntegral(value, float(error), evaluations),
            )
        worst = max(range(len(pieces)), key=lambda k: pieces[k][3])
        left, right, *_ = pieces.pop(worst)
        middle = 0.5 * (left + right)
        pieces += [piece(left, middle), piece(middle, right)]
