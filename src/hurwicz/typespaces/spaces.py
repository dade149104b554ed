"""Sets of private types: what an agent may be, and hence what it may report.

Types travel in batches: an array whose leading axis counts profiles, ``(batch,)`` for scalar types, ``(batch, dims)`` for vectors.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64, Shaped
from numpy.typing import ArrayLike, NDArray

from hurwicz._foundation import FloatArray, InputError, float64_array


@runtime_checkable
class TypeSpace(Protocol):
    """A set of types that can be enumerated or searched."""

    @property
    def size(self) -> int | None:
        """Number of types; ``None`` where there is a continuum."""
        ...

    def contains(self, value: Any) -> bool:
        """True where ``value`` is one of the types."""
        ...

    def clip(self, values: Shaped[NDArray[Any], "batch *type"]) -> Shaped[NDArray[Any], "batch *type"]:
        """The nearest types to a batch of values."""
        ...

    def grid(self, points: int) -> Shaped[NDArray[Any], "types *type"]:
        """Types that cover the set, at most about ``points`` per dimension; a finite set gives all of its types."""
        ...

    def sample(self, rng: np.random.Generator, size: int) -> Shaped[NDArray[Any], "{size} *type"]:
        """``size`` types drawn uniformly."""
        ...


def _key(value: Any) -> Any:
    return tuple(np.ravel(value).tolist()) if isinstance(value, np.ndarray | np.floating) else value


class Finite:
    """A finite list of types, in the order given.

    Args:
        values: the types: numbers, vectors of one length, or any objects (names, tuples).

    Raises:
        InputError: no types, or one type twice.

    Example:
        >>> space = Finite([0.1, 0.5, 1.0])
        >>> space.size, space.contains(0.5), space.grid(2)
        (3, True, array([0.1, 0.5, 1. ]))
    """

    def __init__(self, values: Iterable[Any]) -> None:
        listed = list(values)
        if not listed:
            raise InputError("Finite type space: expected at least one type, got none")
        try:
            array: NDArray[Any] = np.asarray(listed, dtype=np.float64)
        except (TypeError, ValueError):
            array = np.empty(len(listed), dtype=object)
            for k, value in enumerate(listed):  # one by one: numpy would unpack tuples
                array[k] = value
        else:
            array = float64_array(array, "Finite type space")
        self._keys = frozenset(_key(value) for value in array)
        if len(self._keys) != len(array):
            raise InputError(f"Finite type space: expected different types, got one twice in {listed!r}")
        self.values: Shaped[NDArray[Any], "types *type"] = array
        self.values.setflags(write=False)

    @property
    def size(self) -> int | None:
        """Number of types."""
        return len(self.values)

    def contains(self, value: Any) -> bool:
        """True where ``value`` equals one of the types."""
        try:
            given = value if self.values.dtype == object else np.asarray(value, dtype=np.float64)
            alike = self.values.dtype == object or given.shape == self.values.shape[1:]
            return bool(alike and _key(given) in self._keys)
        except (TypeError, ValueError):  # no number, or nothing that can be compared
            return False

    def clip(self, values: Shaped[NDArray[Any], "batch *type"]) -> Shaped[NDArray[Any], "batch *type"]:
        """The nearest type to each value by its largest component (numbers only; other types are returned as they are)."""
        if self.values.dtype == object:
            return values
        given = np.asarray(values, dtype=np.float64)
        flat = self.values.reshape(len(self.values), -1)
        gaps = np.abs(given.reshape(len(given), 1, -1) - flat[None]).max(axis=2)
        nearest: NDArray[Any] = self.values[np.argmin(gaps, axis=1)]
        return nearest

    def grid(self, points: int) -> Shaped[NDArray[Any], "types *type"]:  # noqa: ARG002 - a finite set has one grid
        """All types, whatever ``points`` is."""
        return self.values

    def sample(self, rng: np.random.Generator, size: int) -> Shaped[NDArray[Any], "{size} *type"]:
        """``size`` types drawn uniformly with replacement."""
        return self.values[rng.integers(len(self.values), size=size)]

    def __repr__(self) -> str:
        return f"Finite({list(self.values)!r})"


@dataclass(frozen=True)
class Interval:
    """All numbers from ``low`` to ``high``.

    Args:
        low: smallest type.
        high: largest type, above ``low``.

    Raises:
        InputError: an empty or unbounded interval.

    Example:
        >>> space = Interval(0.1, 1.0)
        >>> space.contains(0.3), space.contains(2.0)
        (True, False)
        >>> space.grid(4)
        array([0.1, 0.4, 0.7, 1. ])
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        """Refuse an interval with nothing in it."""
        if not (np.isfinite(self.low) and np.isfinite(self.high) and self.low < self.high):
            raise InputError(f"Interval: expected finite low < high, got low={self.low}, high={self.high}")

    @property
    def size(self) -> int | None:
        """``None``: a continuum."""
        return None

    def contains(self, value: Any) -> bool:
        """True where ``low <= value <= high``."""
        try:
            number = float(value)
        except (TypeError, ValueError):
            return False
        return self.low <= number <= self.high

    def clip(self, values: Shaped[NDArray[Any], "*shape"]) -> Float64[FloatArray, "*shape"]:
        """The nearest types to ``values``."""
        return np.clip(np.asarray(values, dtype=np.float64), self.low, self.high)

    def grid(self, points: int) -> Float64[FloatArray, "types"]:
        """``points`` equally spaced types, ends included (geometric where the interval spans more than a factor 30)."""
        if points < 2:
            return np.asarray([0.5 * (self.low + self.high)])
        if self.low > 0.0 and self.high / self.low > 30.0:
            out = np.geomspace(self.low, self.high, points)
        else:
            out = np.linspace(self.low, self.high, points)
        out[0], out[-1] = self.low, self.high
        return out

    def sample(self, rng: np.random.Generator, size: int) -> Float64[FloatArray, "{size}"]:
        """``size`` types drawn uniformly."""
        return rng.uniform(self.low, self.high, size=size)


class Box:
    """All vectors between ``low`` and ``high``, component by component.

    Args:
        low: smallest components, shape (dims,).
        high: largest components, shape (dims,).

    Raises:
        InputError: empty or unbounded.
        ShapeError: ends of different shapes.

    Example:
        >>> space = Box([0.0, 1.0], [1.0, 3.0])
        >>> space.contains([0.5, 2.0]), space.grid(2).shape
        (True, (4, 2))
    """

    def __init__(self, low: ArrayLike, high: ArrayLike) -> None:
        self.low: Float64[FloatArray, "dims"] = float64_array(low, "Box low", shape=(None,))
        self.high: Float64[FloatArray, "dims"] = float64_array(high, "Box high", shape=self.low.shape)
        if not len(self.low) or bool(np.any(self.low > self.high)):
            raise InputError(f"Box: expected low <= high in every one of at least one component, got low={low!r}, high={high!r}")

    @property
    def size(self) -> int | None:
        """``None``: a continuum."""
        return None

    @property
    def dims(self) -> int:
        """Number of components."""
        return len(self.low)

    def contains(self, value: Any) -> bool:
        """True where every component lies between its ends."""
        try:
            vector = np.asarray(value, dtype=np.float64)
        except (TypeError, ValueError):
            return False
        return vector.shape == self.low.shape and bool(np.all((self.low <= vector) & (vector <= self.high)))

    def clip(self, values: Shaped[NDArray[Any], "batch {self.dims}"]) -> Float64[FloatArray, "batch {self.dims}"]:
        """The nearest types to ``values``, component by component."""
        return np.clip(np.asarray(values, dtype=np.float64), self.low, self.high)

    def grid(self, points: int) -> Float64[FloatArray, "types {self.dims}"]:
        """The product of ``points`` equally spaced values a component, shape (points ** dims, dims)."""
        axes = [
            np.linspace(a, b, points) if points > 1 and a < b else np.asarray([0.5 * (a + b)])
            for a, b in zip(self.low, self.high, strict=True)
        ]
        return np.stack([m.ravel() for m in np.meshgrid(*axes, indexing="ij")], axis=1)

    def sample(self, rng: np.random.Generator, size: int) -> Float64[FloatArray, "{size} {self.dims}"]:
        """``size`` vectors drawn uniformly."""
        return rng.uniform(self.low, self.high, size=(size, len(self.low)))

    def __repr__(self) -> str:
        return f"Box({self.low.tolist()}, {self.high.tolist()})"


def same_space(one: TypeSpace, two: TypeSpace) -> bool:
    """Whether two spaces hold the same types, in the same order where they are finite.

    Example:
        >>> same_space(Interval(0.0, 1.0), Interval(0.0, 1.0)), same_space(Interval(0.0, 1.0), Box([0.0], [1.0]))
        (True, False)
    """
    if isinstance(one, Finite) and isinstance(two, Finite):
        return len(one.values) == len(two.values) and bool(np.all(one.values == two.values))
    if isinstance(one, Interval | Box) and isinstance(two, Interval | Box):
        return type(one) is type(two) and np.array_equal(one.low, two.low) and np.array_equal(one.high, two.high)
    return one == two
