"""Smooth cost families: quadratic, power, polynomial."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray, InputError
from hurwicz.valuations.family import AnyArray, CostFamily, namespace
from hurwicz.valuations.numbers import numbers


@dataclass(frozen=True)
class Quadratic(CostFamily):
    """C(x; theta) = sum_k theta_k (x_k - centre)² + linear x_k.

    Args:
        linear: money per unit of action.
        centre: action at which the quadratic part vanishes.

    With ``linear = centre = 0`` this is the paper's lambda_i x_i² (section 4).

    Example:
        >>> float(Quadratic()(np.array(3.0), 0.5))
        4.5
    """

    linear: float = 0.0
    centre: float = 0.0

    def term(self, x: AnyArray, theta: AnyArray) -> AnyArray:
        """Formula: theta (x - centre)² + linear x."""
        x = namespace(x, theta).asarray(x)
        return theta * (x - self.centre) ** 2 + self.linear * x

    def gradient(self, x: AnyArray, theta: AnyArray) -> AnyArray:
        """2 theta (x - centre) + linear."""
        return 2.0 * theta * (x - self.centre) + self.linear

    def curvature(self, x: AnyArray, theta: AnyArray) -> AnyArray:
        """2 theta."""
        return 2.0 * theta + 0.0 * x

    def check(self, theta: AnyArray, owner: str) -> None:
        """Finite, theta >= 0."""
        values = numbers(theta, f"{owner}: type")
        if np.any(values < 0):
            raise InputError(f"{owner}: a quadratic cost needs theta >= 0, got {values.min():g}; a negative one is not convex")

    def interval_response(
        self, price: AnyArray, weight: AnyArray, anchor: AnyArray, theta: AnyArray, lower: AnyArray, upper: AnyArray
    ) -> Float64[FloatArray, "..."]:
        """(2 theta centre + price - linear + weight anchor) / (2 theta + weight), clipped; an end where that is 0/0."""
        slope = 2.0 * theta + weight
        push = price - self.linear + 2.0 * theta * self.centre + weight * anchor
        slope, push = np.broadcast_arrays(slope, push)
        with np.errstate(divide="ignore", invalid="ignore"):
            inside = push / slope
        # No curvature at all: the answer is an end, and any point when the push is nil; the anchor is then as good as another.
        inside = np.where(slope > 0, inside, np.where(push > 0, np.inf, np.where(push < 0, -np.inf, anchor)))
        return np.asarray(np.clip(inside, lower, upper))


@dataclass(frozen=True)
class ZeroCost(Quadratic):
    """C = 0 whatever the type: an agent that takes the end of its set that the price points to.

    Example:
        >>> float(ZeroCost()(np.array(3.0), 0.0))
        0.0
    """

    def term(self, x: AnyArray, theta: AnyArray) -> AnyArray:
        """0."""
        return super().term(x, 0.0 * theta)

    def gradient(self, x: AnyArray, theta: AnyArray) -> AnyArray:
        """0."""
        return 0.0 * x * (0.0 * theta + 1.0)

    def curvature(self, x: AnyArray, theta: AnyArray) -> AnyArray:
        """0."""
        return 0.0 * x * (0.0 * theta + 1.0)

    def interval_response(
        self, price: AnyArray, weight: AnyArray, anchor: AnyArray, theta: AnyArray, lower: AnyArray, upper: AnyArray
    ) -> Float64[FloatArray, "..."]:
        """Formula: anchor + price / weight, clipped; an end where the weight is 0."""
        return super().interval_response(price, weight, anchor, 0.0 * theta, lower, upper)


@dataclass(frozen=True)
class Power(CostFamily):
    """C(x; theta) = sum_k theta_k |x_k|^exponent, exponent > 1.

    Example:
        >>> float(Power(4.0)(np.array(2.0), 0.5))
        8.0
    """

    exponent: float

    def __post_init__(self) -> None:
        if not self.exponent > 1:
            raise InputError(f"Power: expected an exponent above 1 (convex with a slope at 0), got {self.exponent!r}")

    def term(self, x: AnyArray, theta: AnyArray) -> AnyArray:
        """Formula: theta |x|^exponent."""
        return theta * namespace(x, theta).abs(x) ** self.exponent

    def gradient(self, x: AnyArray, theta: AnyArray) -> AnyArray:
        """Formula: theta exponent |x|^(exponent - 1) sign x."""
        xp = namespace(x, theta)
        return theta * self.exponent * xp.abs(x) ** (self.exponent - 1.0) * xp.sign(x)

    def curvature(self, x: AnyArray, theta: AnyArray) -> AnyArray:
        """Formula: theta exponent (exponent - 1) |x|^(exponent - 2)."""
        xp = namespace(x, theta)
        size = xp.abs(x) if self.exponent >= 2 else xp.maximum(xp.abs(x), 1e-300)
        return theta * self.exponent * (self.exponent - 1.0) * size ** (self.exponent - 2.0)

    def check(self, theta: AnyArray, owner: str) -> None:
        """Finite, theta >= 0."""
        values = numbers(theta, f"{owner}: type")
        if np.any(values < 0):
            raise InputError(f"{owner}: a power cost needs theta >= 0, got {values.min():g}; a negative one is not convex")

    def interval_response(
        self, price: AnyArray, weight: AnyArray, anchor: AnyArray, theta: AnyArray, lower: AnyArray, upper: AnyArray
    ) -> Float64[FloatArray, "..."] | None:
        """sign(p) (|p| / (theta exponent))^(1 / (exponent - 1)), clipped, for a linear price; else no closed form."""
        del anchor
        if np.any(weight != 0) or np.any(theta == 0):
            return None
        size = (np.abs(price) / (theta * self.exponent)) ** (1.0 / (self.exponent - 1.0))
        return np.asarray(np.clip(np.sign(price) * size, lower, upper))


@dataclass(frozen=True)
class Polynomial(CostFamily):
    """C(x; theta) = sum_k theta_k x^k for one scalar action; theta = (c0, c1, ..., cK) on the last axis.

    Example:
        >>> float(Polynomial()(np.array(2.0), np.array([1.0, 0.0, 3.0])))
        13.0
    """

    def term(self, x: AnyArray, theta: AnyArray) -> AnyArray:
        """Horner's scheme on the last axis of theta."""
        return _horner(x, theta, 0)

    def gradient(self, x: AnyArray, theta: AnyArray) -> AnyArray:
        """Derivative of the polynomial."""
        return _horner(x, theta, 1)

    def curvature(self, x: AnyArray, theta: AnyArray) -> AnyArray:
        """Second derivative of the polynomial."""
        return _horner(x, theta, 2)

    def check(self, theta: AnyArray, owner: str) -> None:
        """Finite, at least one coefficient."""
        values = numbers(theta, f"{owner}: polynomial coefficients")
        if values.ndim < 1 or values.shape[-1] == 0:
            raise InputError(f"{owner}: a polynomial cost needs its coefficients (c0, c1, ...) on the last axis, got shape {values.shape}")

    def spread(self, theta: AnyArray, ndim: int) -> AnyArray:
        """The last axis holds coefficients; the others are already the members'."""
        del ndim
        return theta

    def interval_response(
        self, price: AnyArray, weight: AnyArray, anchor: AnyArray, theta: AnyArray, lower: AnyArray, upper: AnyArray
    ) -> Float64[FloatArray, "..."] | None:
        """Closed form up to degree 2."""
        if theta.shape[-1] > 3:
            return None
        linear = theta[..., 1] if theta.shape[-1] > 1 else np.zeros(theta.shape[:-1])
        square = theta[..., 2] if theta.shape[-1] > 2 else np.zeros(theta.shape[:-1])
        if np.any(2.0 * square + weight < 0):
            return None
        return Quadratic().interval_response(price - linear, weight, anchor, square, lower, upper)


def _horner(x: AnyArray, theta: AnyArray, derivative: int) -> AnyArray:
    xp = namespace(x, theta)
    x, theta = xp.asarray(x), xp.asarray(theta)
    total = xp.zeros(np.broadcast_shapes(x.shape, theta.shape[:-1]), dtype=xp.result_type(x, theta))
    for power in range(theta.shape[-1] - 1, derivative - 1, -1):
        factor = float(np.prod([power - j for j in range(derivative)]))
        total = total * x + factor * theta[..., power]
    return total
