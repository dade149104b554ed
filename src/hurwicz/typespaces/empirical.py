"""Beliefs taken from data: every observed type, as often as it was observed."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float64, Int64, Shaped
from numpy.typing import ArrayLike, NDArray

from hurwicz._foundation import FloatArray, InputError, ShapeError, float64_array
from hurwicz.typespaces.priors import FinitePrior
from hurwicz.typespaces.spaces import Finite, TypeSpace


class Empirical:
    """The distribution of a sample.

    P(theta = v) = (number of observations equal to v) / (number of observations): repeated values become atoms.

    Args:
        data: observations, shape (observations,) for numbers or (observations, dims) for vectors.

    Raises:
        InputError: no observations, or something that is no number.
        NotFiniteError: NaN or infinity among them.

    Example:
        >>> prior = Empirical([3.0, 1.0, 1.0, 2.0])
        >>> prior.space.grid(0).tolist(), prior.probabilities.tolist()
        ([1.0, 2.0, 3.0], [0.5, 0.25, 0.25])
        >>> prior.cdf(np.array([0.5, 1.0, 2.5])).tolist(), prior.ppf(np.array([0.5, 0.6])).tolist()
        ([0.0, 0.5, 0.75], [1.0, 2.0])
    """

    def __init__(self, data: ArrayLike) -> None:
        observed = float64_array(data, "Empirical data")
        if observed.ndim not in (1, 2):
            raise ShapeError(f"Empirical data: expected shape (observations,) or (observations, dims), got {observed.shape}")
        if not observed.size:
            raise InputError("Empirical data: expected at least one observation, got none")
        values, counts = np.unique(observed, axis=0, return_counts=True)
        self.observations = len(observed)
        self.counts: Int64[np.ndarray, "types"] = counts.astype(np.int64)
        self._prior = FinitePrior(Finite(values), counts / len(observed))

    @property
    def space(self) -> TypeSpace:
        """The observed types, each once, in increasing order."""
        return self._prior.space

    @property
    def probabilities(self) -> Float64[FloatArray, "types"]:
        """Frequency of each type."""
        return self._prior.probabilities

    @property
    def mean(self) -> Any:
        """The sample mean."""
        return self._prior.mean

    def sample(self, rng: np.random.Generator, size: int) -> Shaped[NDArray[Any], "{size} *type"]:
        """``size`` draws with replacement (the bootstrap)."""
        return self._prior.sample(rng, size)

    def quadrature(self, order: int) -> tuple[Shaped[NDArray[Any], "points *type"], Float64[FloatArray, "points"]]:
        """All types with their frequencies: exact, whatever ``order`` is."""
        return self._prior.quadrature(order)

    def cdf(self, values: Float64[FloatArray, "*shape"]) -> Float64[FloatArray, "*shape"]:
        """Fraction of observations at most ``values``; numbers only."""
        below = np.concatenate([[0], np.cumsum(self.counts)]) / self.observations
        return np.asarray(below[np.searchsorted(self._numbers(), values, side="right")], dtype=np.float64)

    def ppf(self, quantiles: Float64[FloatArray, "*shape"]) -> Float64[FloatArray, "*shape"]:
        """The least observation with at least a fraction ``quantiles`` of all at or below it; numbers only."""
        types, reached = self._numbers(), np.cumsum(self.counts) / self.observations
        return np.asarray(types[np.minimum(np.searchsorted(reached, quantiles, side="left"), len(types) - 1)], dtype=np.float64)

    def _numbers(self) -> Float64[FloatArray, "types"]:
        types = self._prior.space.grid(0)
        if types.ndim != 1:
            raise InputError(f"Empirical: distribution function and quantiles are for numbers, got vectors of {types.shape[1]}")
        return types
