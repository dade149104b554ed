"""What the planner and the agents believe about types: priors with sampling and quadrature."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64, Shaped
from numpy.typing import ArrayLike, NDArray

from hurwicz._foundation import FloatArray, InputError, float64_array
from hurwicz.typespaces.spaces import Box, Finite, Interval, TypeSpace


@functools.lru_cache(maxsize=64)
def _gauss_legendre(order: int) -> tuple[Float64[FloatArray, "{order}"], Float64[FloatArray, "{order}"]]:
    if order < 1:
        raise InputError(f"quadrature: expected order >= 1, got {order}")
    nodes, weights = np.polynomial.legendre.leggauss(order)
    return nodes, weights


@runtime_checkable
class Prior(Protocol):
    """A distribution over one agent's types."""

    @property
    def space(self) -> TypeSpace:
        """The set that it lives on."""
        ...

    @property
    def mean(self) -> Any:
        """E[theta]."""
        ...

    def sample(self, rng: np.random.Generator, size: int) -> Shaped[NDArray[Any], "{size} *type"]:
        """``size`` independent draws."""
        ...

    def quadrature(self, order: int) -> tuple[Shaped[NDArray[Any], "points *type"], Float64[FloatArray, "points"]]:
        """Points and weights with sum(weights * f(points)) ~ E[f]; exact for a finite set, whatever the order."""
        ...


@runtime_checkable
class DensityPrior(Prior, Protocol):
    """A prior on an interval with a density: what a virtual cost needs."""

    def pdf(self, values: Float64[FloatArray, "*shape"]) -> Float64[FloatArray, "*shape"]:
        """Density."""
        ...

    def cdf(self, values: Float64[FloatArray, "*shape"]) -> Float64[FloatArray, "*shape"]:
        """Distribution function."""
        ...


class FinitePrior:
    """A probability mass function on a finite set.

    Args:
        values: the types.
        probabilities: one a type, not negative, summing to 1; equal if omitted.

    Raises:
        InputError: not a distribution.

    Example:
        >>> prior = FinitePrior([0.1, 0.3], [0.5, 0.5])
        >>> round(float(prior.mean), 12)
        0.2
    """

    def __init__(self, values: Iterable[Any] | Finite, probabilities: ArrayLike | None = None) -> None:
        self._space = values if isinstance(values, Finite) else Finite(values)
        count = len(self._space.values)
        weights = np.full(count, 1.0 / count) if probabilities is None else float64_array(probabilities, "probabilities", shape=(count,))
        if bool(np.any(weights < 0.0)) or abs(float(weights.sum()) - 1.0) > 1e-9:
            raise InputError(f"FinitePrior: expected probabilities >= 0 that sum to 1, got {weights.tolist()} (sum {weights.sum():.9g})")
        self.probabilities: Float64[FloatArray, "types"] = weights / weights.sum()

    @property
    def space(self) -> TypeSpace:
        """The finite set."""
        return self._space

    @property
    def mean(self) -> Any:
        """E[theta]; numeric types only."""
        if self._space.values.dtype == object:
            raise InputError("FinitePrior.mean: expected numeric types, got objects; there is no mean of them")
        return np.tensordot(self.probabilities, self._space.values, axes=1)

    def sample(self, rng: np.random.Generator, size: int) -> Shaped[NDArray[Any], "{size} *type"]:
        """``size`` independent draws."""
        return self._space.values[rng.choice(len(self.probabilities), size=size, p=self.probabilities)]

    def quadrature(self, order: int) -> tuple[Shaped[NDArray[Any], "points *type"], Float64[FloatArray, "points"]]:  # noqa: ARG002 - exact
        """All types with their probabilities: exact."""
        return self._space.values, self.probabilities


@dataclass(frozen=True)
class Uniform:
    """The uniform distribution on an interval or a box.

    Example:
        >>> prior = Uniform(Interval(0.1, 1.0))
        >>> float(prior.mean)
        0.55
        >>> points, weights = prior.quadrature(4)
        >>> round(float(weights @ points**3), 12) == round((1 - 1e-4) / 4 / 0.9, 12)
        True
    """

    space: Interval | Box

    @property
    def mean(self) -> Any:
        """The centre."""
        return 0.5 * (self.space.low + self.space.high)

    def sample(self, rng: np.random.Generator, size: int) -> Float64[FloatArray, "{size} *type"]:
        """``size`` independent draws."""
        return self.space.sample(rng, size)

    def quadrature(self, order: int) -> tuple[Float64[FloatArray, "points *type"], Float64[FloatArray, "points"]]:
        """Gauss–Legendre, a product rule on a box: exact for polynomials of degree 2 order - 1."""
        nodes, weights = _gauss_legendre(order)
        nodes, weights = 0.5 * (nodes + 1.0), 0.5 * weights
        if isinstance(self.space, Interval):
            return self.space.low + (self.space.high - self.space.low) * nodes, weights
        dims = self.space.dims
        points = np.asarray(list(itertools.product(nodes, repeat=dims)))
        joint = np.prod(np.asarray(list(itertools.product(weights, repeat=dims))), axis=1)
        return self.space.low + (self.space.high - self.space.low) * points, joint

    def pdf(self, values: Float64[FloatArray, "*shape"]) -> Float64[FloatArray, "*shape"]:
        """Density on an interval."""
        low, high = self._ends()
        return np.asarray(np.where((values >= low) & (values <= high), 1.0 / (high - low), 0.0))

    def cdf(self, values: Float64[FloatArray, "*shape"]) -> Float64[FloatArray, "*shape"]:
        """Distribution function on an interval."""
        low, high = self._ends()
        return np.asarray(np.clip((values - low) / (high - low), 0.0, 1.0))

    def _ends(self) -> tuple[float, float]:
        if isinstance(self.space, Box):
            raise InputError("Uniform: density and distribution function are for intervals, got a box")
        return self.space.low, self.space.high


class TruncatedNormal:
    """A normal distribution cut to an interval.

    Args:
        low: smallest type.
        high: largest type.
        mean: centre of the normal before the cut.
        sd: its standard deviation, above 0.

    Example:
        >>> prior = TruncatedNormal(0.0, 1.0, mean=0.5, sd=0.2)
        >>> round(float(prior.mean), 12)
        0.5
    """

    def __init__(self, low: float, high: float, *, mean: float, sd: float) -> None:
        if not (np.isfinite(mean) and np.isfinite(sd) and sd > 0.0):
            raise InputError(f"TruncatedNormal: expected a finite mean and sd > 0, got mean={mean}, sd={sd}")
        from scipy.stats import truncnorm

        self._space = Interval(low, high)
        self._law = truncnorm((low - mean) / sd, (high - mean) / sd, loc=mean, scale=sd)

    @property
    def space(self) -> TypeSpace:
        """The interval."""
        return self._space

    @property
    def mean(self) -> Any:
        """E[theta] after the cut."""
        return float(self._law.mean())

    def sample(self, rng: np.random.Generator, size: int) -> Float64[FloatArray, "{size}"]:
        """``size`` independent draws."""
        return np.asarray(self._law.rvs(size=size, random_state=rng), dtype=np.float64)

    def quadrature(self, order: int) -> tuple[Float64[FloatArray, "{order}"], Float64[FloatArray, "{order}"]]:
        """Gauss–Legendre in the quantile's place: nodes on the interval weighted by the density, weights summing to 1."""
        nodes, weights = _gauss_legendre(order)
        points = self._space.low + 0.5 * (self._space.high - self._space.low) * (nodes + 1.0)
        mass = weights * self.pdf(points)
        return points, mass / mass.sum()

    def pdf(self, values: Float64[FloatArray, "*shape"]) -> Float64[FloatArray, "*shape"]:
        """Density."""
        return np.asarray(self._law.pdf(values), dtype=np.float64)

    def cdf(self, values: Float64[FloatArray, "*shape"]) -> Float64[FloatArray, "*shape"]:
        """Distribution function."""
        return np.asarray(self._law.cdf(values), dtype=np.float64)


class ProductPrior:
    """Independent types: one prior an agent. The common prior of a Bayesian setting.

    Args:
        marginals: agent name → prior.

    Example:
        >>> prior = ProductPrior({"a": FinitePrior([1.0, 2.0]), "b": Uniform(Interval(0.0, 1.0))})
        >>> points, weights = prior.quadrature(3, without="a")
        >>> sorted(points), round(float(weights @ points["b"]), 12)
        (['b'], 0.5)
    """

    def __init__(self, marginals: Mapping[str, Prior]) -> None:
        if not marginals:
            raise InputError("ProductPrior: expected at least one agent, got none")
        self.marginals: dict[str, Prior] = dict(marginals)

    @property
    def agents(self) -> tuple[str, ...]:
        """Names, in order."""
        return tuple(self.marginals)

    @property
    def mean(self) -> dict[str, Any]:
        """Agent name → E[theta_i]."""
        return {name: prior.mean for name, prior in self.marginals.items()}

    @property
    def spaces(self) -> dict[str, TypeSpace]:
        """Agent name → type space."""
        return {name: prior.space for name, prior in self.marginals.items()}

    @property
    def finite(self) -> bool:
        """True where every agent has finitely many types, so that expectations are exact sums."""
        return all(prior.space.size is not None for prior in self.marginals.values())

    def sample(self, rng: np.random.Generator, size: int) -> dict[str, Shaped[NDArray[Any], "{size} ..."]]:
        """``size`` profiles: agent name → array with leading axis ``size``."""
        return {name: prior.sample(rng, size) for name, prior in self.marginals.items()}

    def node_count(self, order: int, *, without: Sequence[str] | str = ()) -> int:
        """How many profiles :meth:`quadrature` would give."""
        skip = {without} if isinstance(without, str) else set(without)
        return int(np.prod([len(p.quadrature(order)[1]) for n, p in self.marginals.items() if n not in skip], dtype=np.float64))

    def quadrature(
        self, order: int, *, without: Sequence[str] | str = ()
    ) -> tuple[dict[str, Shaped[NDArray[Any], "points ..."]], Float64[FloatArray, "points"]]:
        """The product rule over all agents but those in ``without``: profiles and weights."""
        skip = {without} if isinstance(without, str) else set(without)
        unknown = skip - set(self.marginals)
        if unknown:
            raise InputError(f"ProductPrior.quadrature: unknown agents {sorted(unknown)}; known are {list(self.marginals)}")
        kept = [name for name in self.marginals if name not in skip]
        rules = [self.marginals[name].quadrature(order) for name in kept]
        index = np.meshgrid(*[np.arange(len(w)) for _, w in rules], indexing="ij")
        points = {name: rule[0][ix.ravel()] for name, rule, ix in zip(kept, rules, index, strict=True)}
        joint = np.ones(index[0].size if index else 1)
        for rule, ix in zip(rules, index, strict=True):
            joint = joint * rule[1][ix.ravel()]
        return points, joint
