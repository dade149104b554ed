"""Values of several units that decrease from one to the next: vectors theta_1 >= theta_2 >= ... >= theta_d."""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Shaped
from numpy.typing import NDArray

from hurwicz._foundation import FloatArray, InputError
from hurwicz.typespaces.priors import Prior
from hurwicz.typespaces.spaces import Finite, Interval, TypeSpace


@dataclass(frozen=True)
class DecreasingMarginals:
    """All vectors high >= theta_1 >= ... >= theta_d >= low: what one more unit is worth.

    Args:
        dims: number of units valued.
        low: least value of a unit.
        high: greatest value, above ``low``.

    Raises:
        InputError: no units, or an empty or unbounded interval.

    Example:
        >>> space = DecreasingMarginals(2)
        >>> space.contains([0.9, 0.4]), space.contains([0.4, 0.9]), space.grid(3).tolist()
        (True, False, [[0.0, 0.0], [0.5, 0.0], [0.5, 0.5], [1.0, 0.0], [1.0, 0.5], [1.0, 1.0]])
    """

    dims: int
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a space with nothing in it."""
        if self.dims < 1 or not (np.isfinite(self.low) and np.isfinite(self.high) and self.low < self.high):
            raise InputError(f"DecreasingMarginals: expected dims >= 1 and finite low < high, got {self.dims}, {self.low}, {self.high}")

    @property
    def size(self) -> int | None:
        """``None``: a continuum."""
        return None

    def contains(self, value: Any) -> bool:
        """True where the components decrease (or stay) and lie between the ends."""
        try:
            vector = np.asarray(value, dtype=np.float64)
        except (TypeError, ValueError):
            return False
        return vector.shape == (self.dims,) and bool(
            np.all(vector <= self.high) and np.all(vector >= self.low) and np.all(np.diff(vector) <= 0.0)
        )

    def clip(self, values: Shaped[NDArray[Any], "*batch {self.dims}"]) -> Float64[FloatArray, "*batch {self.dims}"]:
        """Components between the ends, each at most the one before it."""
        return np.asarray(np.minimum.accumulate(np.clip(np.asarray(values, dtype=np.float64), self.low, self.high), axis=-1))

    def grid(self, points: int) -> Float64[FloatArray, "types {self.dims}"]:
        """All decreasing vectors of ``points`` equally spaced values."""
        axis = np.linspace(self.low, self.high, points) if points > 1 else np.asarray([0.5 * (self.low + self.high)])
        rising = itertools.combinations_with_replacement(range(len(axis)), self.dims)
        return np.asarray(axis[np.asarray(sorted(row[::-1] for row in rising))], dtype=np.float64)

    def sample(self, rng: np.random.Generator, size: int) -> Float64[FloatArray, "{size} {self.dims}"]:
        """``size`` vectors drawn uniformly."""
        return np.asarray(-np.sort(-rng.uniform(self.low, self.high, size=(size, self.dims)), axis=1))


class SortedDraws:
    """Marginal values that are independent draws of one prior, sorted: theta_k the k-th highest of ``dims`` draws.

    Draws of U[low, high] give the uniform distribution on :class:`DecreasingMarginals`.

    Args:
        draw: prior of one draw, over numbers.
        dims: number of units valued, at least 1.

    Raises:
        InputError: fewer than one unit, or a prior that is not over numbers.

    Example:
        >>> from hurwicz.typespaces import Uniform
        >>> SortedDraws(Uniform(Interval(0.0, 1.0)), 2).mean.round(6).tolist()
        [0.666667, 0.333333]
    """

    def __init__(self, draw: Prior, dims: int) -> None:
        ends = draw.space.grid(2)
        if dims < 1 or ends.ndim != 1 or ends.dtype == object:
            raise InputError(f"SortedDraws: expected a prior over numbers and dims >= 1, got one over {draw.space!r} and {dims}")
        self.draw = draw
        self.dims = dims
        if draw.space.size is not None:
            self._exact = self._sorted_rule(1)
            self._space: TypeSpace = Finite(self._exact[0])
        else:
            assert isinstance(draw.space, Interval)
            self._space = DecreasingMarginals(dims, draw.space.low, draw.space.high)

    @property
    def space(self) -> TypeSpace:
        """Decreasing vectors; a finite list of them where the draws are finite."""
        return self._space

    @functools.cached_property
    def mean(self) -> Float64[FloatArray, "dims"]:
        """E[theta], of each order statistic: exact for finite draws, else by quadrature in their distribution function."""
        points, weights = self._exact if self._space.size is not None else self.quadrature(32)
        return np.asarray(weights @ points, dtype=np.float64)

    def sample(self, rng: np.random.Generator, size: int) -> Float64[FloatArray, "{size} {self.dims}"]:
        """``size`` independent vectors."""
        drawn = np.asarray(self.draw.sample(rng, size * self.dims), dtype=np.float64).reshape(size, self.dims)
        return -np.sort(-drawn, axis=1)

    def quadrature(self, order: int) -> tuple[Float64[FloatArray, "points {self.dims}"], Float64[FloatArray, "points"]]:
        """The product rule on draws in decreasing order: each by the prior cut below the one before it."""
        if self._space.size is not None:
            return self._exact
        return self._nested(order)

    def _sorted_rule(self, order: int) -> tuple[Float64[FloatArray, "points {self.dims}"], Float64[FloatArray, "points"]]:
        nodes, mass = self.draw.quadrature(order)
        sorter = np.argsort(-np.asarray(nodes, dtype=np.float64), kind="stable")
        nodes, mass = np.asarray(nodes, dtype=np.float64)[sorter], mass[sorter]
        rows = list(itertools.combinations_with_replacement(range(len(nodes)), self.dims))
        index = np.asarray(rows)
        ways = np.asarray([math.factorial(self.dims) / math.prod(math.factorial(row.count(k)) for k in set(row)) for row in rows])
        return nodes[index], ways * np.prod(mass[index], axis=1)

    def _nested(self, order: int) -> tuple[Float64[FloatArray, "points {self.dims}"], Float64[FloatArray, "points"]]:
        # on the simplex theta_1 > theta_2 > ... the density is d! f(theta_1) ... f(theta_d): Gauss-Legendre in nested unit cubes
        pdf = getattr(self.draw, "pdf", None)
        assert isinstance(self.draw.space, Interval)
        low, high = self.draw.space.low, self.draw.space.high
        if pdf is None:
            return self._sorted_rule(order)
        nodes, weights = np.polynomial.legendre.leggauss(order)
        cube = np.asarray(list(itertools.product(0.5 * (nodes + 1.0), repeat=self.dims)))
        mass = np.prod(np.asarray(list(itertools.product(0.5 * weights, repeat=self.dims))), axis=1)
        points = low + (high - low) * np.cumprod(cube, axis=1)
        spans = np.concatenate([np.full((len(cube), 1), high - low), points[:, :-1] - low], axis=1)
        mass = mass * np.prod(spans, axis=1) * np.prod(pdf(points), axis=1)
        return points, mass / mass.sum()
