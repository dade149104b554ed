"""Local refinement of a candidate: pattern search over reals in a box, many starts at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hurwicz._foundation import FloatArray

Objective = Callable[[FloatArray, NDArray[np.int64]], FloatArray]
_LEAST_STEP = 1e-7


def pattern_search(
    objective: Objective,
    starts: FloatArray,
    low: FloatArray,
    high: FloatArray,
    *,
    steps: int,
    span: float = 0.25,
    grain: float = 0.0,
    stop: Callable[[], bool] | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Climb from every start at once: try each coordinate up and down, keep what is better, halve the step where nothing is.

    Args:
        objective: points (batch, dims) and the start that each belongs to (batch,) → values (batch,).
        starts: points (starts, dims) in the box.
        low: lower ends, shape (dims,) or (starts, dims).
        high: upper ends.
        steps: rounds of tries.
        span: first step as a part of the box; the search ends below 1e-7 of it.
        grain: improvements up to this are noise.
        stop: asked before every round; ends the search early (a time limit).

    Returns:
        Best points and values found.
    """
    count, dims = starts.shape
    rows = np.arange(count)
    best = np.clip(starts, low, high)
    value = objective(best, rows)
    width = np.broadcast_to(high - low, best.shape)
    step = np.full(count, span)
    for _ in range(steps):
        if stop is not None and stop():
            break
        tries = np.repeat(best[None], 2 * dims, axis=0)
        for d in range(dims):
            tries[2 * d, :, d] += step * width[:, d]
            tries[2 * d + 1, :, d] -= step * width[:, d]
        tries = np.clip(tries, low, high)
        values = objective(tries.reshape(-1, dims), np.tile(rows, 2 * dims)).reshape(2 * dims, count)
        winner = np.argmax(values, axis=0)
        better = values[winner, rows] > value + grain
        best = np.where(better[:, None], tries[winner, rows], best)
        value = np.where(better, values[winner, rows], value)
        step = np.where(better, np.minimum(1.5 * step, span), 0.5 * step)
        if float(step.max()) < _LEAST_STEP:
            break
    return best, value


def shortened(value: float, digits: int, way: int = 0) -> float:
    """A number in so many significant digits: the nearest, or the next below (``way`` -1) or above (1).

    Example:
        >>> shortened(0.99996, 3), shortened(0.99996, 3, -1), shortened(0.18219, 2, 1)
        (1.0, 0.999, 0.19)
    """
    near = round_significant(value, digits)
    if way == 0 or value == 0.0 or (near - value) * way >= 0.0:
        return near
    step = 10.0 ** (np.floor(np.log10(abs(value))) - digits + 1)
    return round_significant(near + way * float(step), digits)


def round_significant(value: float, digits: int) -> float:
    """A number cut to so many significant digits.

    Example:
        >>> round_significant(0.18219178, 3)
        0.182
    """
    return float(f"{value:.{digits}g}")


def digits_of(value: float) -> int:
    """Significant digits that a number needs, 12 at most.

    Example:
        >>> digits_of(0.5), digits_of(0.182), digits_of(0.50001)
        (1, 3, 5)
    """
    return next((k for k in range(1, 12) if round_significant(value, k) == value), 12)
