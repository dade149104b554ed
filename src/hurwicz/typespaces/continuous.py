"""Continuous beliefs: any law that scipy knows, cut to an interval; mixtures; independent components of a vector."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64, Shaped
from numpy.typing import ArrayLike, NDArray

from hurwicz._foundation import FloatArray, InputError, float64_array
from hurwicz.typespaces.priors import DensityPrior, Prior
from hurwicz.typespaces.spaces import Box, Finite, Interval, TypeSpace

_PANELS = (0.0, 1e-9, 1e-7, 1e-5, 1e-3, 0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98, 1.0 - 1e-3, 1.0 - 1e-5, 1.0 - 1e-7, 1.0 - 1e-9, 1.0)
_LONG_TAIL = 30.0  # interquartile ranges in the interval; beyond, nodes go where the mass is
_REACH = 6.5  # standard scores that the nodes of a long-tailed law cover


class Continuous:
    """A continuous law on an interval, from any frozen distribution of ``scipy.stats``.

    Where the support has no end, it is cut where a probability of ``tail`` is left, and the law is conditioned on what remains.

    Args:
        law: frozen distribution with a density, e.g. ``scipy.stats.expon(scale=3)``.
        low: smallest type; the lower end of the support, or the quantile of ``tail``, if omitted.
        high: largest type; the upper end of the support, or the quantile of 1 - ``tail``, if omitted.
        tail: probability that is cut off at an end without bound; in (0, 0.1).

    Raises:
        InputError: a discrete law, an empty interval, or one without probability.

    Example:
        >>> from scipy.stats import expon
        >>> prior = Continuous(expon(scale=3.0))
        >>> round(float(prior.mean), 6), round(prior.space.high, 2)
        (3.0, 62.17)
    """

    def __init__(self, law: Any, *, low: float | None = None, high: float | None = None, tail: float = 1e-9) -> None:
        if hasattr(law, "pmf") or not hasattr(law, "pdf"):
            raise InputError("Continuous: expected a frozen law with a density; give a discrete one as FinitePrior(values, probabilities)")
        if not 0.0 < tail < 0.1:
            raise InputError(f"Continuous: expected a tail between 0 and 0.1, got {tail}")
        bottom, top = (float(end) for end in law.support())
        if np.isnan(bottom) or np.isnan(top):
            raise InputError(f"Continuous: expected a law with finite parameters in their range, got the support [{bottom}, {top}]")
        least = (bottom if np.isfinite(bottom) else float(law.ppf(tail))) if low is None else float(low)
        most = (top if np.isfinite(top) else float(law.isf(tail))) if high is None else float(high)
        self._space = Interval(least, most)
        self._law = law
        self._below, self._above = float(law.cdf(least)), float(law.sf(most))
        self._mass = 1.0 - self._below - self._above
        if not self._mass > 1e-12:
            raise InputError(f"Continuous: expected probability on [{least:.6g}, {most:.6g}], the law has {self._mass:.3g}")

    @property
    def space(self) -> TypeSpace:
        """The interval."""
        return self._space

    @functools.cached_property
    def mean(self) -> Any:
        """E[theta] after the cut, by quadrature of 1 - F between quantiles."""
        ends = np.unique(self.ppf(np.asarray(_PANELS)))
        nodes, weights = np.polynomial.legendre.leggauss(48)
        half = 0.5 * np.diff(ends)[:, None]
        points = ends[:-1, None] + half * (nodes + 1.0)
        return self._space.low + float(np.sum(half * weights * self.sf(points)))

    def sample(self, rng: np.random.Generator, size: int) -> Float64[FloatArray, "{size}"]:
        """``size`` independent draws, by quantiles of uniform numbers."""
        return self.ppf(rng.random(size))

    def quadrature(self, order: int) -> tuple[Float64[FloatArray, "{order}"], Float64[FloatArray, "{order}"]]:
        """Gauss–Legendre on the interval weighted by the density; in standard scores where the tail is long or the density unbounded."""
        if order < 1:
            raise InputError(f"quadrature: expected order >= 1, got {order}")
        nodes, weights = np.polynomial.legendre.leggauss(order)
        low, high = self._space.low, self._space.high
        quarter, three_quarters = self.ppf(np.asarray([0.25, 0.75]))
        ends = self.pdf(np.asarray([low, high]))
        if high - low <= _LONG_TAIL * (three_quarters - quarter) and bool(np.all(np.isfinite(ends))):
            points = low + 0.5 * (high - low) * (nodes + 1.0)
            mass = weights * self.pdf(points)
        else:
            from scipy.special import ndtr

            points = self.ppf(ndtr(_REACH * nodes))
            mass = weights * np.exp(-0.5 * (_REACH * nodes) ** 2)
        return points, mass / mass.sum()

    def pdf(self, values: Float64[FloatArray, "*shape"]) -> Float64[FloatArray, "*shape"]:
        """Density, 0 outside the interval."""
        inside = (values >= self._space.low) & (values <= self._space.high)
        return np.asarray(np.where(inside, self._law.pdf(values) / self._mass, 0.0), dtype=np.float64)

    def cdf(self, values: Float64[FloatArray, "*shape"]) -> Float64[FloatArray, "*shape"]:
        """Distribution function."""
        held = np.clip(values, self._space.low, self._space.high)
        return np.asarray(np.clip((self._law.cdf(held) - self._below) / self._mass, 0.0, 1.0), dtype=np.float64)

    def sf(self, values: Float64[FloatArray, "*shape"]) -> Float64[FloatArray, "*shape"]:
        """One less the distribution function, accurate in the upper tail."""
        held = np.clip(values, self._space.low, self._space.high)
        return np.asarray(np.clip((self._law.sf(held) - self._above) / self._mass, 0.0, 1.0), dtype=np.float64)

    def ppf(self, quantiles: Float64[FloatArray, "*shape"]) -> Float64[FloatArray, "*shape"]:
        """Quantiles."""
        lower = self._law.ppf(self._below + self._mass * quantiles)
        upper = self._law.isf(self._above + self._mass * (1.0 - quantiles))
        found = np.where(quantiles < 0.5, lower, upper)
        return np.asarray(np.clip(found, self._space.low, self._space.high), dtype=np.float64)

    def __repr__(self) -> str:
        name = getattr(getattr(self._law, "dist", None), "name", type(self._law).__name__)
        return f"Continuous({name} on [{self._space.low:.6g}, {self._space.high:.6g}])"


class Mixture:
    """A law drawn at random, then a type from it: f = sum_k w_k f_k.

    Components with densities and finite ones may be mixed: the finite ones are atoms.

    Args:
        components: priors over numbers.
        weights: one a component, not negative, summing to 1.

    Raises:
        InputError: no components, weights that are no distribution, types that are no numbers, or a component without a
            distribution function.

    Example:
        >>> from hurwicz.typespaces import Uniform
        >>> twin = Mixture([Uniform(Interval(0.0, 1.0)), Uniform(Interval(2.0, 3.0))], [0.75, 0.25])
        >>> float(twin.mean), twin.cdf(np.array([1.5, 2.5])).tolist()
        (1.0, [0.75, 0.875])
    """

    def __init__(self, components: Sequence[Prior], weights: ArrayLike) -> None:
        if not len(components):
            raise InputError("Mixture: expected at least one component, got none")
        shares = float64_array(weights, "Mixture weights", shape=(len(components),))
        if bool(np.any(shares < 0.0)) or abs(float(shares.sum()) - 1.0) > 1e-9:
            raise InputError(f"Mixture: expected weights >= 0 that sum to 1, got {shares.tolist()} (sum {shares.sum():.9g})")
        for part in components:
            numbers = isinstance(part.space, Interval) or (isinstance(part.space, Finite) and part.space.values.ndim == 1)
            if not numbers or part.space.grid(2).dtype == object:
                raise InputError(f"Mixture: expected components over numbers, got one over {part.space!r}")
            if isinstance(part.space, Interval) and not isinstance(part, DensityPrior):
                raise InputError(f"Mixture: expected pdf and cdf of a component on an interval, got {type(part).__name__}")
        self.components = tuple(components)
        self.weights: Float64[FloatArray, "components"] = shares / shares.sum()
        self._atoms = _merged(
            [(p.space.grid(0), w * p.quadrature(1)[1]) for p, w in zip(components, self.weights, strict=True) if p.space.size is not None]
        )
        self._dense = [
            (float(w), p) for p, w in zip(components, self.weights, strict=True) if p.space.size is None and isinstance(p, DensityPrior)
        ]
        ends = np.concatenate([np.asarray(p.space.grid(2), dtype=np.float64) for p in components])
        self._space: TypeSpace = (
            Finite(self._atoms[0]) if all(p.space.size is not None for p in components) else Interval(float(ends.min()), float(ends.max()))
        )

    @property
    def space(self) -> TypeSpace:
        """All types of finite components; else the interval from the smallest to the largest."""
        return self._space

    @property
    def mean(self) -> Any:
        """sum_k w_k E_k[theta]."""
        return float(sum(w * p.mean for w, p in zip(self.weights, self.components, strict=True)))

    @property
    def atoms(self) -> tuple[Float64[FloatArray, "atoms"], Float64[FloatArray, "atoms"]]:
        """Types of positive probability, increasing, and their probabilities."""
        return self._atoms

    def sample(self, rng: np.random.Generator, size: int) -> Float64[FloatArray, "{size}"]:
        """``size`` independent draws."""
        which = rng.choice(len(self.components), size=size, p=self.weights)
        out = np.empty(size)
        for k, part in enumerate(self.components):
            chosen = which == k
            out[chosen] = part.sample(rng, int(chosen.sum()))
        return out

    def quadrature(self, order: int) -> tuple[Float64[FloatArray, "points"], Float64[FloatArray, "points"]]:
        """The rules of the components together, weighted; exact where all are finite."""
        if self._space.size is not None:
            return self._atoms
        rules = [part.quadrature(order) for part in self.components]
        points = np.concatenate([np.asarray(nodes, dtype=np.float64) for nodes, _ in rules])
        return points, np.concatenate([w * mass for w, (_, mass) in zip(self.weights, rules, strict=True)])

    def pdf(self, values: Float64[FloatArray, "*shape"]) -> Float64[FloatArray, "*shape"]:
        """Density of the components that have one: all of it where there are no :attr:`atoms`."""
        return np.asarray(sum((w * p.pdf(values) for w, p in self._dense), np.zeros(np.shape(values))), dtype=np.float64)

    def cdf(self, values: Float64[FloatArray, "*shape"]) -> Float64[FloatArray, "*shape"]:
        """Distribution function."""
        steps = np.concatenate([[0.0], np.cumsum(self._atoms[1])])[np.searchsorted(self._atoms[0], values, side="right")]
        return np.asarray(sum((w * p.cdf(values) for w, p in self._dense), steps), dtype=np.float64)

    def ppf(self, quantiles: Float64[FloatArray, "*shape"]) -> Float64[FloatArray, "*shape"]:
        """The least v with F(v) >= quantile, by bisection between the ends."""
        ends = np.asarray(self._space.grid(2), dtype=np.float64)
        low, high = np.full(np.shape(quantiles), ends.min()), np.full(np.shape(quantiles), ends.max())
        for _ in range(60):
            middle = 0.5 * (low + high)
            reached = self.cdf(middle) >= quantiles
            low, high = np.where(reached, low, middle), np.where(reached, middle, high)
        return np.asarray(high, dtype=np.float64)


class Independent:
    """A vector of independent components: the product of priors over numbers, for one agent with several types.

    Args:
        components: one prior a component.

    Raises:
        InputError: no components, or one that is not over numbers.

    Example:
        >>> from hurwicz.typespaces import Uniform
        >>> values = Independent([Uniform(Interval(4.0, 16.0)), Uniform(Interval(4.0, 7.0))])
        >>> values.space, values.mean.tolist()
        (Box([4.0, 4.0], [16.0, 7.0]), [10.0, 5.5])
    """

    def __init__(self, components: Sequence[Prior]) -> None:
        if not len(components):
            raise InputError("Independent: expected at least one component, got none")
        for part in components:
            ends = part.space.grid(2)
            if ends.ndim != 1 or ends.dtype == object:
                raise InputError(f"Independent: expected components over numbers, got one over {part.space!r}")
        self.components = tuple(components)
        if all(part.space.size is not None for part in components):
            self._space: TypeSpace = Finite(np.asarray(list(itertools.product(*(part.space.grid(0) for part in components)))))
        else:
            grids = [np.asarray(part.space.grid(2), dtype=np.float64) for part in components]
            self._space = Box([g.min() for g in grids], [g.max() for g in grids])

    @property
    def space(self) -> TypeSpace:
        """A box, or all combinations of finite components."""
        return self._space

    @property
    def mean(self) -> Float64[FloatArray, "dims"]:
        """The components' means."""
        return np.asarray([float(part.mean) for part in self.components])

    def sample(self, rng: np.random.Generator, size: int) -> Float64[FloatArray, "{size} dims"]:
        """``size`` independent vectors."""
        return np.stack([np.asarray(part.sample(rng, size), dtype=np.float64) for part in self.components], axis=1)

    def quadrature(self, order: int) -> tuple[Float64[FloatArray, "points dims"], Float64[FloatArray, "points"]]:
        """The product of the components' rules."""
        rules = [part.quadrature(order) for part in self.components]
        points = np.asarray(list(itertools.product(*(nodes for nodes, _ in rules))), dtype=np.float64)
        return points, np.prod(np.asarray(list(itertools.product(*(mass for _, mass in rules))), dtype=np.float64), axis=1)


def _merged(
    parts: Sequence[tuple[Shaped[NDArray[Any], "_types"], Float64[FloatArray, "_types"]]],
) -> tuple[Float64[FloatArray, "atoms"], Float64[FloatArray, "atoms"]]:
    if not parts:
        return np.zeros(0), np.zeros(0)
    values, which = np.unique(np.concatenate([v for v, _ in parts]).astype(np.float64), return_inverse=True)
    return values, np.bincount(which, weights=np.concatenate([m for _, m in parts])).astype(np.float64)
