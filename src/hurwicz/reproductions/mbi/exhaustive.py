"""A certificate for C.10: the global minimum of a rippled loss in the plane, by exhausting it with bounds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray, InputError, NotConvergedError

_ROUNDING = 1e-12  # far above what float64 loses in the few operations of one bound


@dataclass(frozen=True)
class Certificate:
    """The global minimum, and what proves it.

    Attributes:
        point: the minimiser.
        value: L there.
        radius: outside of |x| <= radius L exceeds L(0).
        cells: cells that were bounded below and excluded, or kept.
        hull: box (lower, upper) that holds every point with L <= value.
        curvature: least eigenvalue of the Hessian anywhere in the hull, > 0: one stationary point there, and it is the minimum.
    """

    point: Float64[FloatArray, "2"]
    value: float
    radius: float
    cells: int
    hull: Float64[FloatArray, "2 2"]
    curvature: float


@dataclass(frozen=True)
class RippledLoss:
    """L = (x1 + x2 - Y)² + lambda (x1² + x2²) + a sin(w x2).

    Args:
        target: Y.
        weight: lambda > 0.
        amplitude: a >= 0.
        frequency: w.
    """

    target: float
    weight: float
    amplitude: float
    frequency: float

    def value(self, x: Float64[FloatArray, "*points 2"]) -> Float64[FloatArray, "*points"]:
        """L at points x."""
        ripple = self.amplitude * np.sin(self.frequency * x[..., 1])
        return np.asarray(np.square(x.sum(axis=-1) - self.target) + self.weight * np.square(x).sum(axis=-1) + ripple)

    def gradient(self, x: Float64[FloatArray, "*points 2"]) -> Float64[FloatArray, "*points 2"]:
        """Gradient of L at points x."""
        common = 2.0 * (x.sum(axis=-1) - self.target)
        ripple = self.amplitude * self.frequency * np.cos(self.frequency * x[..., 1])
        return np.stack([common + 2.0 * self.weight * x[..., 0], common + 2.0 * self.weight * x[..., 1] + ripple], axis=-1)

    def hessian(self, x: Float64[FloatArray, "2"]) -> Float64[FloatArray, "2 2"]:
        """The 2×2 Hessian of L at one point."""
        bend = -self.amplitude * self.frequency**2 * math.sin(self.frequency * float(x[1]))
        return np.array([[2.0 + 2.0 * self.weight, 2.0], [2.0, 2.0 + 2.0 * self.weight + bend]])

    def floor(self, centre: Float64[FloatArray, "*points 2"], half: float) -> Float64[FloatArray, "*points"]:
        """A lower bound of L on squares: L(c) - |grad L(c)|·h - a w² h² / 2; the convex part bends up, the ripple at most by a w²."""
        slope = np.abs(self.gradient(centre)).sum(axis=-1) * half
        bound: FloatArray = self.value(centre) - slope - 0.5 * self.amplitude * self.frequency**2 * half**2 - _ROUNDING
        return bound

    def least_curvature(self, lower: float, upper: float) -> float:
        """Least Hessian eigenvalue over lower <= x2 <= upper (x1 does not enter)."""
        low, high = sorted((self.frequency * lower, self.frequency * upper))
        crest = math.ceil((low - math.pi / 2) / (2 * math.pi)) * 2 * math.pi + math.pi / 2
        most = 1.0 if crest <= high else max(math.sin(low), math.sin(high))
        corner = 2.0 + 2.0 * self.weight - self.amplitude * self.frequency**2 * most
        return float(np.linalg.eigvalsh(np.array([[2.0 + 2.0 * self.weight, 2.0], [2.0, corner]]))[0])


def global_minimum(loss: RippledLoss, *, max_cells: int = 4_000_000) -> Certificate:
    """The certified global minimum over the whole plane.

    Outside of |x|² <= (L(0) + a) / lambda the loss exceeds L(0) already. Inside, squares are split in four until what is left lies where L
    is strictly convex; there Newton's method finds the only stationary point, which is then the global minimum.

    Raises:
        InputError: lambda <= 0: the plane cannot be cut down to a bounded part.
        NotConvergedError: more than ``max_cells`` squares.

    Example:
        >>> found = global_minimum(RippledLoss(5.0, 0.1, 0.5, 4 * math.pi))
        >>> round(found.value, 6), found.curvature > 0
        (0.690483, True)

    Source: branch and bound with centred forms (A. Neumaier, "Interval methods for systems of equations", 1990, ch. 2).
    """
    if not loss.weight > 0:
        raise InputError(f"weight: expected lambda > 0, got {loss.weight}")
    best_point = np.zeros(2)
    best = float(loss.value(best_point))
    reach = math.sqrt((best + loss.amplitude) / loss.weight)
    centres, half, cells = np.zeros((1, 2)), reach, 0
    quarters = np.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
    while True:
        cells += len(centres)
        if cells > max_cells:
            raise NotConvergedError(f"the search kept more than {max_cells} cells; allow more", reached=best)
        values = loss.value(centres)
        at = int(np.argmin(values))
        if values[at] < best:
            best, best_point = float(values[at]), centres[at]
        kept = centres[loss.floor(centres, half) <= best]
        hull = np.array([kept.min(axis=0) - half, kept.max(axis=0) + half])
        curvature = loss.least_curvature(float(hull[0, 1]), float(hull[1, 1]))
        if curvature > 0:
            break
        half /= 2
        centres = (kept[:, None, :] + half * quarters).reshape(-1, 2)
    point = best_point
    for _ in range(50):
        step = np.linalg.solve(loss.hessian(point), loss.gradient(point))
        point = point - step
        if np.abs(step).max() < 1e-14:
            break
    if not np.all((hull[0] <= point) & (point <= hull[1])):
        raise NotConvergedError("Newton's method left the hull of what the bounds kept", reached=point)
    return Certificate(point, float(loss.value(point)), reach, cells, hull, curvature)
