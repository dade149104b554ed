"""The planner's loss as a function of the one number through which a population meets it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from jaxtyping import Float64, Shaped
from numpy.typing import NDArray

from hurwicz._foundation import FloatArray, InputError, NotFiniteError, float64_scope

Numbers: TypeAlias = float | int | np.number[Any] | Shaped[NDArray[Any], "..."] | Sequence[Any]


@runtime_checkable
class AggregateLoss(Protocol):
    """A strictly convex f(y) of the aggregate y = sum_i a_i x_i; every method works on arrays of y in float64."""

    def value(self, y: Numbers) -> Float64[FloatArray, "..."]:
        """f(y)."""
        ...

    def gradient(self, y: Numbers) -> Float64[FloatArray, "..."]:
        """f'(y); the price of a unit of the aggregate is its negative."""
        ...

    def curvature(self, y: Numbers) -> Float64[FloatArray, "..."]:
        """f''(y)."""
        ...


@dataclass(frozen=True)
class QuadraticLoss:
    """f(y) = weight (y - target)².

    Args:
        target: Y, in units of the aggregate.
        weight: money per squared unit, positive.

    Raises:
        NotFiniteError: a NaN or an infinity.
        InputError: weight <= 0.

    Example:
        >>> float(QuadraticLoss(target=10.0).gradient(9.0))
        -2.0

    Source: the paper, eq. of experiment C.2.
    """

    target: float
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.target) and np.isfinite(self.weight)):
            raise NotFiniteError(f"QuadraticLoss: expected finite target and weight, got {self.target} and {self.weight}")
        if self.weight <= 0:
            raise InputError(f"QuadraticLoss: expected weight > 0, got {self.weight}; without it there is no price")

    def value(self, y: Numbers) -> Float64[FloatArray, "..."]:
        """f(y) = weight (y - target)²."""
        return np.asarray(self.weight * (np.asarray(y, dtype=np.float64) - self.target) ** 2)

    def gradient(self, y: Numbers) -> Float64[FloatArray, "..."]:
        """2 weight (y - target)."""
        return np.asarray(2.0 * self.weight * (np.asarray(y, dtype=np.float64) - self.target))

    def curvature(self, y: Numbers) -> Float64[FloatArray, "..."]:
        """2 weight."""
        return np.full(np.shape(y), 2.0 * self.weight)


@dataclass(frozen=True)
class ShiftedLoss:
    """f(y + shift): the loss that the others face when somebody supplies ``shift``.

    Args:
        loss: f.
        shift: units of the aggregate.

    Example:
        >>> float(ShiftedLoss(QuadraticLoss(target=10.0), 4.0).value(5.0))
        1.0
    """

    loss: AggregateLoss
    shift: float

    def value(self, y: Numbers) -> Float64[FloatArray, "..."]:
        """f(y + shift)."""
        return self.loss.value(np.asarray(y, dtype=np.float64) + self.shift)

    def gradient(self, y: Numbers) -> Float64[FloatArray, "..."]:
        """f'(y + shift)."""
        return self.loss.gradient(np.asarray(y, dtype=np.float64) + self.shift)

    def curvature(self, y: Numbers) -> Float64[FloatArray, "..."]:
        """f''(y + shift)."""
        return self.loss.curvature(np.asarray(y, dtype=np.float64) + self.shift)


class SmoothLoss:
    """f(y) from a strictly convex JAX function of one number; derivatives by JAX, in float64 whatever the process uses.

    Args:
        function: y -> f(y), scalar to scalar, in JAX operations.

    Example:
        >>> import jax.numpy as jnp
        >>> f = SmoothLoss(lambda y: jnp.cosh(y - 3.0))
        >>> float(f.gradient(3.0)), float(f.curvature(3.0))
        (0.0, 1.0)
    """

    def __init__(self, function: Callable[[Any], Any]) -> None:
        import jax

        self.function = function
        first = jax.grad(function)
        with float64_scope():
            self._value = jax.jit(jax.vmap(function))
            self._gradient = jax.jit(jax.vmap(first))
            self._curvature = jax.jit(jax.vmap(jax.grad(first)))

    def _call(self, compiled: Callable[[Any], Any], y: Numbers) -> Float64[FloatArray, "..."]:
        points = np.asarray(y, dtype=np.float64)
        padded = np.zeros(1 << max(0, points.size - 1).bit_length())  # few different shapes, so that JAX compiles few times
        padded[: points.size] = points.reshape(-1)
        padded[points.size :] = padded[0]
        with float64_scope():
            out: FloatArray = np.array(compiled(padded), dtype=np.float64)[: points.size].reshape(points.shape)
        return out

    def value(self, y: Numbers) -> Float64[FloatArray, "..."]:
        """f(y)."""
        return self._call(self._value, y)

    def gradient(self, y: Numbers) -> Float64[FloatArray, "..."]:
        """f'(y)."""
        return self._call(self._gradient, y)

    def curvature(self, y: Numbers) -> Float64[FloatArray, "..."]:
        """f''(y)."""
        return self._call(self._curvature, y)
