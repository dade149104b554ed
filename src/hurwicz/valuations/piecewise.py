"""Piecewise linear costs: block bids, step supply curves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray, InputError
from hurwicz.valuations.family import AnyArray, CostFamily, namespace
from hurwicz.valuations.numbers import numbers


@dataclass(frozen=True)
class PiecewiseLinear(CostFamily):
    """C(x; theta) with slope theta_k between breakpoints k and k+1, C(breakpoints[0]) = 0; the end pieces go on for ever.

    Args:
        breakpoints: K+1 increasing actions.

    theta holds the K slopes, non-decreasing, on its last axis; the action is a scalar.

    Example:
        >>> cost = PiecewiseLinear((0.0, 1.0, 3.0))
        >>> float(cost(np.array(2.0), np.array([1.0, 4.0])))
        5.0
    """

    breakpoints: tuple[float, ...]

    def __post_init__(self) -> None:
        points = numbers(self.breakpoints, "PiecewiseLinear: breakpoints", shape=(None,))
        if points.size < 2 or np.any(np.diff(points) <= 0):
            raise InputError(f"PiecewiseLinear: expected at least two increasing breakpoints, got {self.breakpoints!r}")
        object.__setattr__(self, "breakpoints", tuple(float(point) for point in points))

    def term(self, x: AnyArray, theta: AnyArray) -> AnyArray:
        """sum_k slope_k times the length of piece k that lies below x."""
        xp = namespace(x, theta)
        low, high = self._ends(xp)
        x = xp.asarray(x)[..., None]
        forward = xp.clip(x, low, high) - low
        # Left of the first breakpoint the first piece goes on, with a negative length.
        before = xp.minimum(x[..., 0] - self.breakpoints[0], 0.0)
        return (forward * theta).sum(axis=-1) + before * theta[..., 0]

    def gradient(self, x: AnyArray, theta: AnyArray) -> AnyArray:
        """The slope of the piece that x lies in (at a breakpoint: of the piece to its right)."""
        xp = namespace(x, theta)
        inner = xp.asarray(self.breakpoints[1:-1])
        steps = xp.diff(theta, axis=-1)
        return theta[..., 0] + (steps * (xp.asarray(x)[..., None] >= inner)).sum(axis=-1)

    def curvature(self, x: AnyArray, theta: AnyArray) -> AnyArray:
        """0 inside every piece."""
        return 0.0 * x * (0.0 * theta[..., 0] + 1.0)

    def check(self, theta: AnyArray, owner: str) -> None:
        """K finite, non-decreasing slopes."""
        values = numbers(theta, f"{owner}: slopes")
        pieces = len(self.breakpoints) - 1
        if values.ndim < 1 or values.shape[-1] != pieces:
            raise InputError(f"{owner}: expected {pieces} slopes on the last axis, one a piece, got shape {values.shape}")
        if np.any(np.diff(values, axis=-1) < 0):
            raise InputError(f"{owner}: slopes must not decrease from piece to piece (the cost would not be convex), got {values.tolist()}")

    def spread(self, theta: AnyArray, ndim: int) -> AnyArray:
        """The last axis holds slopes; the others are already the members'."""
        del ndim
        return theta

    def interval_response(
        self, price: AnyArray, weight: AnyArray, anchor: AnyArray, theta: AnyArray, lower: AnyArray, upper: AnyArray
    ) -> Float64[FloatArray, "..."]:
        """The best of the pieces' own best points: on piece k, anchor + (price - slope_k) / weight, clipped to the piece."""
        low, high = self._ends(np)
        low = np.concatenate([[-np.inf], low[1:]])
        low = np.clip(low, np.asarray(lower)[..., None], np.asarray(upper)[..., None])
        high = np.clip(high, np.asarray(lower)[..., None], np.asarray(upper)[..., None])
        wide = [np.asarray(value, dtype=np.float64)[..., None] for value in (price, weight, anchor)]
        candidates = _linear_response(wide[0], wide[1], wide[2], theta, low, high)
        with np.errstate(invalid="ignore"):
            gain = self.term(candidates, np.asarray(theta)[..., None, :]) - wide[0] * candidates + wide[1] / 2 * (candidates - wide[2]) ** 2
        # An infinite candidate is a piece that the price drags on for ever: no finite point is as good.
        best = np.argmin(np.where(np.isinf(candidates), -np.inf, gain), axis=-1)
        return np.asarray(np.take_along_axis(candidates, best[..., None], axis=-1)[..., 0])

    def _ends(self, xp: AnyArray) -> tuple[AnyArray, AnyArray]:
        points = self.breakpoints
        return xp.asarray((points[0], *points[1:-1])), xp.asarray((*points[1:-1], np.inf))


def _linear_response(
    price: AnyArray, weight: AnyArray, anchor: AnyArray, slope: AnyArray, lower: AnyArray, upper: AnyArray
) -> Float64[FloatArray, "..."]:
    """Formula: argmin over [lower, upper] of slope x - price x + weight/2 (x - anchor)²."""
    push = price - slope
    with np.errstate(divide="ignore", invalid="ignore"):
        inside = np.where(weight > 0, anchor + push / weight, np.where(push > 0, np.inf, np.where(push < 0, -np.inf, anchor)))
    return np.asarray(np.clip(inside, lower, upper))
