"""Strategies from types to bids, and the distribution of the bids that they lead to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
from jaxtyping import Float64
from numpy.typing import ArrayLike

from hurwicz._foundation import FloatArray, InputError, float64_array
from hurwicz.typespaces import DensityPrior


@runtime_checkable
class BidLaw(Protocol):
    """How a rival's bid is distributed, as far as anybody else can tell."""

    @property
    def atomless(self) -> bool:
        """True where no bid has positive probability."""
        ...

    @property
    def knots(self) -> Float64[FloatArray, "knots"]:
        """Bids between which the distribution has no atom and no kink, ascending."""
        ...

    def below(self, bids: Float64[FloatArray, "bids"]) -> Float64[FloatArray, "bids"]:
        """P(bid < b)."""
        ...

    def at(self, bids: Float64[FloatArray, "bids"]) -> Float64[FloatArray, "bids"]:
        """P(bid = b)."""
        ...

    def nodes(
        self, cuts: Float64[FloatArray, "cuts"], count: int
    ) -> tuple[Float64[FloatArray, "cuts nodes"], Float64[FloatArray, "cuts nodes"]]:
        """Bids and weights with sum(weights * f(bids)) ~ E[f(bid)], no cell of them straddling the cut of its row."""
        ...

    def quantile(self, levels: Float64[FloatArray, "*shape"]) -> Float64[FloatArray, "*shape"]:
        """The bid at a level of the distribution: what a uniform draw turns into a draw of bids."""
        ...


class MonotoneStrategy:
    """A pure strategy that rises with the type (or stays level): linear between knots.

    beta(v) for v on knots, linear in between; the bid's distribution is P(beta(V) < b) = F(beta^{-1}(b)).

    Args:
        values: knots, strictly ascending; they span the prior's interval.
        bids: beta at the knots, never falling.
        prior: of the type; an interval with a distribution function.

    Raises:
        InputError: knots out of order, bids that fall, or a prior without a distribution function.

    Example:
        >>> from hurwicz.typespaces import Interval, Uniform
        >>> half = MonotoneStrategy([0.0, 1.0], [0.0, 0.5], Uniform(Interval(0.0, 1.0)))
        >>> float(half(np.array([0.8]))[0]), half.below(np.array([0.1, 0.7])).tolist()
        (0.4, [0.2, 1.0])
    """

    def __init__(self, values: ArrayLike, bids: ArrayLike, prior: DensityPrior) -> None:
        self.values: Float64[FloatArray, "knots"] = float64_array(values, "strategy values", shape=(None,))
        self.bids: Float64[FloatArray, "knots"] = float64_array(bids, "strategy bids", shape=self.values.shape)
        if len(self.values) < 2 or bool(np.any(np.diff(self.values) <= 0.0)):
            raise InputError("MonotoneStrategy: expected at least two knots in strictly ascending order; sort them and drop doubles")
        if bool(np.any(np.diff(self.bids) < 0.0)):
            where = int(np.argmax(np.diff(self.bids) < 0.0))
            raise InputError(f"MonotoneStrategy: expected bids that never fall, got a fall after value {self.values[where]:.6g}")
        if not callable(getattr(prior, "cdf", None)):
            raise InputError(f"MonotoneStrategy: expected a prior on an interval with a distribution function, got {prior!r}")
        self.prior = prior
        level = np.flatnonzero(np.diff(self.bids) == 0.0)
        self._levels = np.unique(self.bids[level])
        # One value a bid, for inverting: the lowest and the highest value that bids it.
        first = np.concatenate([[True], np.diff(self.bids) > 0.0])
        last = np.concatenate([np.diff(self.bids) > 0.0, [True]])
        self._steps: Float64[FloatArray, "steps"] = self.bids[first]
        self._lowest: Float64[FloatArray, "steps"] = self.values[first]
        self._highest: Float64[FloatArray, "steps"] = self.values[last]

    def __call__(self, types: Float64[FloatArray, "*shape"]) -> Float64[FloatArray, "*shape"]:
        """beta(types)."""
        return np.asarray(np.interp(types, self.values, self.bids))

    @property
    def atomless(self) -> bool:
        """True where no two types bid the same."""
        return len(self._levels) == 0

    @property
    def knots(self) -> Float64[FloatArray, "knots"]:
        """Bids at the knots."""
        return self._steps

    def _inverse(self, bids: Float64[FloatArray, "*shape"], *, highest: bool) -> Float64[FloatArray, "*shape"]:
        """The lowest (or highest) value that bids at least (at most) b."""
        place = np.searchsorted(self._steps, bids, side="right") - 1
        here = np.clip(place, 0, len(self._steps) - 1)
        exact = (place >= 0) & (self._steps[here] == bids)
        ahead = np.clip(here + 1, 0, len(self._steps) - 1)
        rise = np.where(ahead > here, self._steps[ahead] - self._steps[here], 1.0)
        share = np.clip((bids - self._steps[here]) / rise, 0.0, 1.0)
        between = self._highest[here] + share * np.where(ahead > here, self._lowest[ahead] - self._highest[here], 0.0)
        out = np.where(exact, self._highest[here] if highest else self._lowest[here], between)
        return np.asarray(np.where(bids < self._steps[0], self.values[0], np.where(bids > self._steps[-1], self.values[-1], out)))

    def below(self, bids: Float64[FloatArray, "bids"]) -> Float64[FloatArray, "bids"]:
        """P(beta(V) < b)."""
        return np.asarray(self.prior.cdf(self._inverse(bids, highest=False)))

    def at(self, bids: Float64[FloatArray, "bids"]) -> Float64[FloatArray, "bids"]:
        """P(beta(V) = b)."""
        if self.atomless:
            return np.zeros_like(bids)
        return np.asarray(self.prior.cdf(self._inverse(bids, highest=True)) - self.prior.cdf(self._inverse(bids, highest=False)))

    def nodes(
        self, cuts: Float64[FloatArray, "cuts"], count: int
    ) -> tuple[Float64[FloatArray, "cuts nodes"], Float64[FloatArray, "cuts nodes"]]:
        """Two Gauss–Legendre nodes a cell of values; cells end at about ``count`` / 2 of the knots and at the cut's inverse."""
        edges = self.cell_edges(count)
        cut = np.stack(self.values_that_bid(cuts), axis=1)
        cells = np.sort(np.concatenate([np.broadcast_to(edges, (len(cuts), len(edges))), cut], axis=1), axis=1)
        values, weights = self.gauss(cells[:, :-1], cells[:, 1:])
        return self(values).reshape(len(cuts), -1), weights.reshape(len(cuts), -1)

    def cell_edges(self, count: int) -> Float64[FloatArray, "edges"]:
        """About ``count`` / 2 of the knots, both ends among them."""
        chosen = np.unique(np.linspace(0, len(self.values) - 1, max(count // 2, 2)).round().astype(int))
        return np.asarray(self.values[chosen])

    def values_that_bid(self, bids: Float64[FloatArray, "bids"]) -> tuple[Float64[FloatArray, "bids"], Float64[FloatArray, "bids"]]:
        """The lowest value that bids at least, and the highest that bids at most, each of ``bids``."""
        return self._inverse(bids, highest=False), self._inverse(bids, highest=True)

    def gauss(
        self, low: Float64[FloatArray, "*cells"], high: Float64[FloatArray, "*cells"]
    ) -> tuple[Float64[FloatArray, "*cells 2"], Float64[FloatArray, "*cells 2"]]:
        """Two Gauss–Legendre nodes in each cell of values, and weights that add up to the cell's probability."""
        width, offset = high - low, 0.5 / np.sqrt(3.0)
        values = np.stack([low + (0.5 - offset) * width, low + (0.5 + offset) * width], axis=-1)
        density = self.prior.pdf(values)
        total = density.sum(axis=-1, keepdims=True)
        mass = np.asarray(self.prior.cdf(high) - self.prior.cdf(low))
        return values, mass[..., None] * np.where(total > 0.0, density / np.where(total > 0.0, total, 1.0), 0.5)

    def quantile(self, levels: Float64[FloatArray, "*shape"]) -> Float64[FloatArray, "*shape"]:
        """beta(F^{-1}(level)), F tabulated on a fine grid."""
        fine = np.unique(np.concatenate([self.values, np.linspace(self.values[0], self.values[-1], 4001)]))
        return self(np.asarray(np.interp(levels, np.asarray(self.prior.cdf(fine)), fine)))


@dataclass(frozen=True)
class MixedStrategy:
    """A probability for each bid of a grid, for each type of a list.

    Attributes:
        types: the types.
        weights: their probabilities, summing to 1.
        bids: grid, strictly ascending.
        probabilities: sigma(b | v), rows summing to 1.

    Example:
        >>> coin = MixedStrategy(np.array([1.0]), np.array([1.0]), np.array([0.0, 0.5]), np.array([[0.5, 0.5]]))
        >>> coin.mean.tolist(), coin.at(np.array([0.5])).tolist()
        ([0.25], [0.5])
    """

    types: Float64[np.ndarray, "types"]
    weights: Float64[np.ndarray, "types"]
    bids: Float64[np.ndarray, "bids"]
    probabilities: Float64[np.ndarray, "types bids"]

    def __post_init__(self) -> None:
        """Refuse what is no distribution."""
        if bool(np.any(np.diff(self.bids) <= 0.0)):
            raise InputError("MixedStrategy: expected bids in strictly ascending order")
        sums = self.probabilities.sum(axis=1)
        if bool(np.any(self.probabilities < 0.0)) or bool(np.any(np.abs(sums - 1.0) > 1e-9)) or abs(float(self.weights.sum()) - 1.0) > 1e-9:
            raise InputError("MixedStrategy: expected probabilities >= 0 that sum to 1 for each type, and weights that sum to 1")

    @property
    def mean(self) -> Float64[np.ndarray, "types"]:
        """The mean bid of each type."""
        return np.asarray(self.probabilities @ self.bids)

    @property
    def mass(self) -> Float64[np.ndarray, "bids"]:
        """P(bid = b) on the grid."""
        return np.asarray(self.weights @ self.probabilities)

    @property
    def atomless(self) -> bool:
        """False: every bid is one of a list."""
        return False

    @property
    def knots(self) -> Float64[np.ndarray, "bids"]:
        """The grid."""
        return self.bids

    def below(self, bids: Float64[FloatArray, "bids"]) -> Float64[FloatArray, "bids"]:
        """P(bid < b)."""
        return np.concatenate([[0.0], np.cumsum(self.mass)])[np.searchsorted(self.bids, bids, side="left")]

    def at(self, bids: Float64[FloatArray, "bids"]) -> Float64[FloatArray, "bids"]:
        """P(bid = b)."""
        place = np.clip(np.searchsorted(self.bids, bids), 0, len(self.bids) - 1)
        return np.asarray(np.where(self.bids[place] == bids, self.mass[place], 0.0))

    def nodes(
        self, cuts: Float64[FloatArray, "cuts"], count: int
    ) -> tuple[Float64[FloatArray, "cuts nodes"], Float64[FloatArray, "cuts nodes"]]:
        """The bids that are made, with their probabilities: exact, whatever ``count`` is."""
        del count
        made = np.flatnonzero(self.mass > 0.0)
        shape = (len(cuts), len(made))
        return np.broadcast_to(self.bids[made], shape), np.broadcast_to(self.mass[made], shape)

    def quantile(self, levels: Float64[FloatArray, "*shape"]) -> Float64[FloatArray, "*shape"]:
        """The bid at a level of the distribution."""
        return self.bids[np.minimum(np.searchsorted(np.cumsum(self.mass), levels, side="right"), len(self.bids) - 1)]


Strategy: TypeAlias = MonotoneStrategy | MixedStrategy
