"""Local refinement of a candidate: pattern search over reals in a box, many starts at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hurwicz._foundation import FloatArray

Objective = Callable[[FloatArray], FloatArray]


def pattern_search(
    objective: Objective, starts: FloatArray, low: FloatArray, high: FloatArray, *, steps: int, span: float = 0.25
) -> tuple[FloatArray, FloatArray]:
    """Climb from every start at once: try each coordinate up and down, keep what is better, halve the step where nothing is.

    Args:
        objective: points (batch, dims) → values (batch,).
        starts: points (starts, dims) in the box.
        low: lower ends, shape (dims,) or (starts, dims).
        high: upper ends.
        steps: rounds of tries.
        span: first step as a part of the box.

    Returns:
        Best points and values found.
    """
    best = np.clip(starts, low, high)
    value = objective(best)
    width = np.broadcast_to(high - low, best.shape)
    step = np.full(len(best), span)
    dims = best.shape[1]
    for _ in range(steps):
        tries = []
        for d in range(dims):
            for sign in (1.0, -1.0):
                moved = best.copy()
                moved[:, d] += sign * step * width[:, d]
                tries.append(np.clip(moved, low, high))
        values = objective(np.concatenate(tries)).reshape(2 * dims, len(best))
        winner = np.argmax(values, axis=0)
        rows = np.arange(len(best))
        better = values[winner, rows] > value
        best = np.where(better[:, None], np.stack(tries)[winner, rows], best)
        value = np.where(better, values[winner, rows], value)
        step = np.where(better, np.minimum(1.5 * step, span), 0.5 * step)
        if float(step.max()) < 1e-12:
            break
    return best, value


def round_significant(value: float, digits: int) -> float:
    """A number cut to so many significant digits.

    Example:
        >>> round_significant(0.18219178, 3)
        0.182
    """
    return float(f"{value:.{digits}g}")
