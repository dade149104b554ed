"""Types turned round: the law of ``about - theta``, which makes a buyer's values of a seller's costs and the other way about."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from jaxtyping import Float64, Shaped
from numpy.typing import NDArray

from hurwicz._foundation import FloatArray, InputError
from hurwicz.typespaces.continuous import Mixture
from hurwicz.typespaces.correlated import CorrelatedPrior
from hurwicz.typespaces.priors import DensityPrior, FinitePrior, Prior, ProductPrior, Uniform
from hurwicz.typespaces.spaces import Box, Finite, Interval, TypeSpace

_ROUNDING = 1e-12


def mirrored(prior: Prior, about: float = 0.0) -> Prior:
    """The law of ``about - theta`` for theta drawn from ``prior``; mirrored twice about one number, a law is itself again.

    Args:
        prior: over numbers or vectors of them (of which every component is turned round).
        about: where what is a value becomes a cost of 0.

    Raises:
        InputError: types that are no numbers, or an ``about`` that is not finite.

    Example:
        >>> costs = mirrored(Uniform(Interval(2.0, 5.0)), about=6.0)
        >>> costs.space, costs.mean
        (Interval(low=1.0, high=4.0), 2.5)
    """
    if not np.isfinite(about):
        raise InputError(f"mirrored: expected a finite number to mirror about, got {about!r}")
    if isinstance(prior, Uniform):
        return Uniform(_numbers(prior.space, about))
    if isinstance(prior, Mixture):
        return Mixture([mirrored(part, about) for part in prior.components], prior.weights)
    if prior.space.size is not None:
        values, mass = prior.quadrature(1)
        if values.dtype == object:
            raise InputError(f"mirrored: expected types that are numbers, got {prior.space!r}")
        return FinitePrior((about - values)[::-1], mass[::-1])
    if isinstance(prior, Mirrored | MirroredDraws) and prior.about == about:
        return prior.prior
    if isinstance(prior, DensityPrior) and isinstance(prior.space, Interval):
        return Mirrored(prior, about)
    return MirroredDraws(prior, about)


def mirrored_jointly(prior: ProductPrior | CorrelatedPrior, about: float = 0.0) -> ProductPrior | CorrelatedPrior:
    """Everybody's types turned round about one number; agents who share a prior still do.

    Example:
        >>> both = CorrelatedPrior({"a": [0.0, 1.0], "b": [0.0, 1.0]}, [0.5, 0.5])
        >>> mirrored_jointly(both, about=1.0).profiles["a"].tolist()
        [1.0, 0.0]
    """
    if isinstance(prior, CorrelatedPrior):
        turned = {name: about - np.asarray(types, dtype=np.float64) for name, types in prior.profiles.items()}
        return CorrelatedPrior(turned, prior.probabilities)
    made = {id(marginal): mirrored(marginal, about) for marginal in prior.marginals.values()}
    return ProductPrior({name: made[id(marginal)] for name, marginal in prior.marginals.items()})


class Mirrored:
    """The law of ``about - theta`` for a theta on an interval with a density.

    Args:
        prior: of theta.
        about: what theta is taken from.

    Example:
        >>> from hurwicz.typespaces import TruncatedNormal
        >>> costs = Mirrored(TruncatedNormal(0.0, 1.0, mean=0.3, sd=0.2), about=1.0)
        >>> bool(abs(costs.cdf(np.array([0.7]))[0] - (1.0 - costs.prior.cdf(np.array([0.3]))[0])) < 1e-12)
        True
    """

    def __init__(self, prior: DensityPrior, about: float = 0.0) -> None:
        self.prior = prior
        self.about = about
        self._space = _numbers(prior.space, about)

    @property
    def space(self) -> TypeSpace:
        """The interval, turned round."""
        return self._space

    @property
    def mean(self) -> Any:
        """E[about - theta]."""
        return self.about - float(self.prior.mean)

    def sample(self, rng: np.random.Generator, size: int) -> Float64[FloatArray, "{size}"]:
        """``size`` independent draws."""
        return np.asarray(self.about - self.prior.sample(rng, size), dtype=np.float64)

    def quadrature(self, order: int) -> tuple[Float64[FloatArray, "points"], Float64[FloatArray, "points"]]:
        """The points turned round, with their weights."""
        points, weights = self.prior.quadrature(order)
        return np.asarray(self.about - points, dtype=np.float64)[::-1], weights[::-1]

    def pdf(self, values: Float64[FloatArray, "*shape"]) -> Float64[FloatArray, "*shape"]:
        """Density."""
        return self.prior.pdf(self.about - values)

    def cdf(self, values: Float64[FloatArray, "*shape"]) -> Float64[FloatArray, "*shape"]:
        """P(about - theta <= value) = 1 - P(theta < about - value)."""
        return np.asarray(1.0 - self.prior.cdf(np.nextafter(self.about - values, -np.inf)), dtype=np.float64)

    def sf(self, values: Float64[FloatArray, "*shape"]) -> Float64[FloatArray, "*shape"]:
        """P(about - theta >= value), accurate in the upper tail."""
        return self.prior.cdf(self.about - values)


class MirroredDraws:
    """The law of ``about - theta`` for any other theta: vectors, or numbers without a density.

    Example:
        >>> from hurwicz.typespaces import SortedDraws
        >>> costs = MirroredDraws(SortedDraws(Uniform(Interval(0.0, 1.0)), 2), about=1.0)
        >>> costs.mean.round(6).tolist(), costs.space.contains([0.2, 0.6]), costs.space.contains([0.6, 0.2])
        ([0.333333, 0.666667], True, False)
    """

    def __init__(self, prior: Prior, about: float = 0.0) -> None:
        self.prior = prior
        self.about = about
        self._space = mirrored_space(prior.space, about)

    @property
    def space(self) -> TypeSpace:
        """The types, turned round."""
        return self._space

    @property
    def mean(self) -> Any:
        """E[about - theta]."""
        return self.about - self.prior.mean

    def sample(self, rng: np.random.Generator, size: int) -> Shaped[NDArray[Any], "{size} *type"]:
        """``size`` independent draws."""
        return np.asarray(self.about - self.prior.sample(rng, size), dtype=np.float64)

    def quadrature(self, order: int) -> tuple[Shaped[NDArray[Any], "points *type"], Float64[FloatArray, "points"]]:
        """The points turned round, with their weights."""
        points, weights = self.prior.quadrature(order)
        return np.asarray(self.about - points, dtype=np.float64), weights


class MirroredSpace:
    """All ``about - theta`` for the theta of a space: marginal values that decrease become marginal costs that increase.

    Example:
        >>> from hurwicz.typespaces import DecreasingMarginals
        >>> MirroredSpace(DecreasingMarginals(2), about=1.0).grid(2).tolist()
        [[1.0, 1.0], [0.0, 1.0], [0.0, 0.0]]
    """

    def __init__(self, space: TypeSpace, about: float = 0.0) -> None:
        self.original = space
        self.about = about

    @property
    def size(self) -> int | None:
        """As many as there were."""
        return self.original.size

    def contains(self, value: Any) -> bool:
        """True where ``about - value`` is a type, to rounding."""
        try:
            turned = self.about - np.asarray(value, dtype=np.float64)
        except (TypeError, ValueError):
            return False
        if self.original.contains(turned):
            return True
        if not np.all(np.isfinite(turned)) or turned.shape != self.original.grid(1).shape[1:]:
            return False
        return bool(np.abs(self.original.clip(turned[None])[0] - turned).max() <= _ROUNDING * max(1.0, abs(self.about)))

    def clip(self, values: Shaped[NDArray[Any], "batch *type"]) -> Shaped[NDArray[Any], "batch *type"]:
        """The nearest types to a batch of values."""
        return np.asarray(self.about - self.original.clip(self.about - np.asarray(values, dtype=np.float64)), dtype=np.float64)

    def grid(self, points: int) -> Shaped[NDArray[Any], "types *type"]:
        """Types that cover the set."""
        return np.asarray(self.about - self.original.grid(points), dtype=np.float64)

    def sample(self, rng: np.random.Generator, size: int) -> Shaped[NDArray[Any], "{size} *type"]:
        """``size`` types, drawn as from the original."""
        return np.asarray(self.about - self.original.sample(rng, size), dtype=np.float64)

    def __repr__(self) -> str:
        return f"{self.about:g} - {self.original!r}"


def mirrored_space(space: TypeSpace, about: float = 0.0) -> TypeSpace:
    """All ``about - theta`` for the theta of ``space``."""
    if isinstance(space, Interval | Box):
        return _numbers(space, about)
    if isinstance(space, MirroredSpace) and space.about == about:
        return space.original
    if isinstance(space, Finite):
        return Finite((about - space.grid(0))[::-1])
    return MirroredSpace(space, about)


def _numbers(space: TypeSpace, about: float) -> Interval | Box:
    if isinstance(space, Interval):
        return Interval(about - space.high, about - space.low)
    box = cast("Box", space)
    return Box(about - box.high, about - box.low)
