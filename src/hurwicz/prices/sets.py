"""Action sets X_i: where an agent may act."""

from __future__ import annotations

import abc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray, InputError, float64_scope
from hurwicz.valuations.family import AnyArray, namespace
from hurwicz.valuations.numbers import Numbers, numbers


class ActionSet(abc.ABC):
    """A closed convex set with a Euclidean projection; every method takes one action or a population (leading axes)."""

    @abc.abstractmethod
    def project(self, x: AnyArray) -> AnyArray:
        """The nearest point of the set."""

    def interval(self) -> tuple[Float64[FloatArray, "*#action"], Float64[FloatArray, "*#action"]] | None:
        """(lower, upper) where the set is a product of intervals, else ``None``."""
        return None

    def contains(self, x: Numbers, atol: float = 1e-9) -> bool:
        """True where ``x`` is within ``atol`` of the set.

        Example:
            >>> Box(0.0, 1.0).contains(1.5)
            False
        """
        point = np.asarray(x, dtype=np.float64)
        return bool(np.max(np.abs(np.asarray(self.project(point)) - point), initial=0.0) <= atol)


@dataclass(frozen=True, eq=False)
class Box(ActionSet):
    """{x : lower <= x <= upper}, elementwise; infinite ends allowed.

    Example:
        >>> float(Box(0.0, 2.0).project(np.array(3.0)))
        2.0
    """

    lower: Any = -np.inf
    upper: Any = np.inf

    def __post_init__(self) -> None:
        lower = numbers(self.lower, "Box: lower", finite=False)
        upper = numbers(self.upper, "Box: upper", finite=False)
        if np.any(np.isnan(lower)) or np.any(np.isnan(upper)):
            raise InputError("Box: expected numbers or infinities as bounds, got NaN")
        try:
            crossed = lower > upper
        except ValueError as error:
            raise InputError(f"Box: bounds of shapes {lower.shape} and {upper.shape} do not go together") from error
        if np.any(crossed):
            raise InputError(f"Box: expected lower <= upper, got lower {self.lower!r} and upper {self.upper!r}")
        object.__setattr__(self, "lower", lower)
        object.__setattr__(self, "upper", upper)

    def project(self, x: AnyArray) -> AnyArray:
        """Clip."""
        return namespace(x).clip(x, self.lower, self.upper)

    def interval(self) -> tuple[Float64[FloatArray, "*#action"], Float64[FloatArray, "*#action"]]:
        """The bounds."""
        return self.lower, self.upper


@dataclass(frozen=True)
class WholeSpace(ActionSet):
    """All of R^k.

    Example:
        >>> WholeSpace().contains([1e9, -1e9])
        True
    """

    def project(self, x: AnyArray) -> AnyArray:
        """The identity."""
        return x

    def interval(self) -> tuple[Float64[FloatArray, "*#action"], Float64[FloatArray, "*#action"]]:
        """Infinite bounds."""
        return np.asarray(-np.inf), np.asarray(np.inf)


@dataclass(frozen=True)
class Simplex(ActionSet):
    """{x >= 0, sum x = total} on the last axis (Held, Wolfe and Crowder 1974, by sorting).

    Example:
        >>> Simplex().project(np.array([2.0, 0.0])).tolist()
        [1.0, 0.0]
    """

    total: float = 1.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.total) and self.total > 0):
            raise InputError(f"Simplex: expected a positive finite total, got {self.total!r}")

    def project(self, x: AnyArray) -> AnyArray:
        """max(x - nu, 0) with nu such that the sum is ``total``."""
        xp = namespace(x)
        ordered = xp.flip(xp.sort(x, axis=-1), axis=-1)
        count = xp.arange(1, x.shape[-1] + 1)
        levels = (xp.cumsum(ordered, axis=-1) - self.total) / count
        kept = (ordered > levels).sum(axis=-1, keepdims=True)
        return xp.maximum(x - xp.take_along_axis(levels, kept - 1, axis=-1), 0.0)


@dataclass(frozen=True, eq=False)
class Ball(ActionSet):
    """{x : |x - centre| <= radius} in the Euclidean norm of the last axis.

    Example:
        >>> Ball(1.0).project(np.array([3.0, 4.0])).round(6).tolist()
        [0.6, 0.8]
    """

    radius: float = 1.0
    centre: Any = 0.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.radius) and self.radius > 0):
            raise InputError(f"Ball: expected a positive finite radius, got {self.radius!r}")
        object.__setattr__(self, "centre", numbers(self.centre, "Ball: centre"))

    def project(self, x: AnyArray) -> AnyArray:
        """Formula: centre + (x - centre) min(1, radius / |x - centre|)."""
        xp = namespace(x)
        away = x - self.centre
        if away.ndim == 0:
            return self.centre + xp.clip(away, -self.radius, self.radius)
        length = xp.sqrt((away * away).sum(axis=-1, keepdims=True))
        return self.centre + away * xp.minimum(1.0, self.radius / xp.maximum(length, 1e-300))


@dataclass(frozen=True)
class Projection(ActionSet):
    """The convex set whose Euclidean projection is ``function`` (a JAX function of one action).

    Example:
        >>> import jax.numpy as jnp
        >>> halfspace = Projection(lambda x: x - jnp.maximum(x.sum() - 1.0, 0.0) / x.size)
        >>> halfspace.contains([0.4, 0.4])
        True
    """

    function: Callable[[AnyArray], AnyArray]

    def project(self, x: AnyArray) -> AnyArray:
        """``function(x)``, in float64."""
        if namespace(x) is not np:
            return self.function(x)
        with float64_scope():
            return np.asarray(self.function(x), dtype=np.float64)
