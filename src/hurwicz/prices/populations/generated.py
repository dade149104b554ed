"""A population whose types are generated on the way, so that any number of agents fits into bounded memory."""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray, InputError, NotFiniteError
from hurwicz.prices.populations.arrays import ArrayPopulation, price_slope, price_to_z
from hurwicz.prices.populations.workers import Workers


@dataclass(frozen=True)
class UniformTypes:
    """Curvature and capacity, each uniform on an interval and independent: the distribution that types are drawn from.

    Args:
        curvature: (least, greatest) lambda of C(x) = lambda x^kappa, positive.
        capacity: (least, greatest) upper bound of the action, not negative; the lower bound is 0.

    Raises:
        NotFiniteError: an infinity or NaN.
        InputError: an interval the wrong way round, or outside the ranges above.

    Example:
        >>> types = UniformTypes(curvature=(1.0, 1.0), capacity=(2.0, 2.0))
        >>> types.mean_response(1.0)
        0.5
    """

    curvature: tuple[float, float]
    capacity: tuple[float, float]

    def __post_init__(self) -> None:
        for name, (low, high), least in (("curvature", self.curvature, 0.0), ("capacity", self.capacity, -1.0)):
            if not (math.isfinite(low) and math.isfinite(high)):
                raise NotFiniteError(f"UniformTypes: {name} expected two finite numbers, got ({low}, {high})")
            if low > high or low <= least or (name == "capacity" and low < 0.0):
                wanted = "0 < least <= greatest" if name == "curvature" else "0 <= least <= greatest"
                raise InputError(f"UniformTypes: {name} expected {wanted}, got ({low}, {high})")

    @property
    def coefficients(self) -> tuple[float, float, float, float]:
        """(l0, l1, c0, c1): lambda = l0 + l1 u, capacity = c0 + c1 v."""
        return self.curvature[0], self.curvature[1] - self.curvature[0], self.capacity[0], self.capacity[1] - self.capacity[0]

    def mean_response(self, price: float, exponent: float = 2.0) -> float:
        """E[min(capacity, (p / (kappa lambda))^(1/(kappa-1)))], which the mean action tends to as agents become many.

        The mean over capacities is in closed form, that over curvatures by adaptive quadrature split at its kinks (error below 1e-13).

        Args:
            price: p of the aggregate.
            exponent: kappa.
        """
        from scipy.integrate import quad

        if price <= 0.0:
            return 0.0
        (l0, l1), (c0, c1) = self.curvature, self.capacity

        def capped(free: float) -> float:
            if free <= c0:
                return free
            if free >= c1:
                return 0.5 * (c0 + c1)
            return free - (free - c0) ** 2 / (2.0 * (c1 - c0))

        def given(curvature: float) -> float:
            return capped(float((price / (exponent * curvature)) ** (1.0 / (exponent - 1.0))))

        if l0 == l1:
            return given(l0)
        kinks = sorted(k for c in (c0, c1) if c > 0.0 and l0 < (k := price / (exponent * c ** (exponent - 1.0))) < l1)
        edges = [l0, *kinks, l1]
        pieces = [quad(given, a, b, epsabs=0.0, epsrel=1e-13)[0] for a, b in itertools.pairwise(edges) if b > a]
        return math.fsum(pieces) / (l1 - l0)


class GeneratedPopulation:
    """N agents C_i(x) = lambda_i x^kappa on [0, capacity_i], types computed from the agent's number: memory does not grow with N.

    ``weyl`` spreads the types evenly (an additive recurrence on the plastic number): sums over N agents differ from N times the
    integral by a small multiple of (log N)², not of sqrt(N). ``hash`` draws them as if independently: the difference is about sqrt(N).
    The types, and the sums bit for bit, depend on (size, types, seed, design) only, never on the number of workers.

    Args:
        size: N, 1 .. 2^47.
        types: what they are drawn from.
        exponent: kappa > 1.
        seed: 0 .. 2^64 - 1.
        design: "weyl" or "hash".
        workers: threads for one pass; all cores by default.

    Raises:
        InputError: a size, seed, exponent or design outside the above.

    Example:
        >>> crowd = GeneratedPopulation(100_000, UniformTypes(curvature=(0.5, 1.5), capacity=(0.2, 2.0)))
        >>> total, _ = crowd.aggregate_response(1.0)
        >>> abs(total / crowd.size - crowd.types.mean_response(1.0)) < 1e-4
        True
    """

    def __init__(
        self,
        size: int,
        types: UniformTypes,
        *,
        exponent: float = 2.0,
        seed: int = 0,
        design: Literal["weyl", "hash"] = "weyl",
        workers: int | None = None,
    ) -> None:
        if size < 1:
            raise InputError(f"size: an empty population ({size}); expected at least one agent")
        if size > 2**47:
            raise InputError(f"size: expected at most 2^47 agents, got {size}")
        if not 0 <= seed < 2**64:
            raise InputError(f"seed: expected an integer in 0 .. 2^64 - 1, got {seed}")
        if design not in ("weyl", "hash"):
            raise InputError(f"design: expected 'weyl' or 'hash', got {design!r}")
        if not (math.isfinite(exponent) and exponent > 1.0):
            raise InputError(f"exponent: expected a number above 1 (strictly convex costs), got {exponent}")
        self.size = int(size)
        self.types = types
        self.exponent = float(exponent)
        self.seed = int(seed)
        self.design = design
        self.workers = Workers(workers)

    @property
    def _key(self) -> np.uint64:
        return np.uint64(self.seed)

    @functools.cached_property
    def _coefficients(self) -> Float64[FloatArray, "terms"] | None:
        """(kappa (l0 + l1 u))^(-1/(kappa-1)) as a polynomial in 2 u - 1 to rounding, or None where curvatures differ too widely for one.

        Its degree is a multiple of four, as the kernel wants it.
        """
        l0, l1, _, _ = self.types.coefficients

        def steepness(t: Any) -> Any:
            return (self.exponent * (l0 + l1 * 0.5 * (1.0 + t))) ** (-1.0 / (self.exponent - 1.0))

        points = np.linspace(-1.0, 1.0, 1001)
        truth = steepness(points)
        for degree in range(4, 33, 4):
            fit = np.polynomial.chebyshev.cheb2poly(np.polynomial.chebyshev.chebinterpolate(steepness, degree))
            terms = np.concatenate((fit, np.zeros(degree + 1 - fit.size)))
            if np.max(np.abs(np.polynomial.polynomial.polyval(points, terms) / truth - 1.0)) < 1e-14:
                return np.asarray(terms, dtype=np.float64)
        return None

    @property
    def _chunks(self) -> int:
        from hurwicz.prices.populations.generated_kernels import CHUNK

        return -(-self.size // CHUNK)

    def _general(self, z: float) -> tuple[float, float, float]:
        from hurwicz.prices.populations.generated_kernels import generated_sums

        fields = (self.design == "hash", self._key, *self.types.coefficients, self.exponent, self.size, float(z))
        total, slope, cost = self.workers.sums(generated_sums, fields, self._chunks, 3)
        return total, slope, cost

    def sums(self, z: float) -> tuple[float, float]:
        """(y, dy/dz) of all responses to z, in one sweep."""
        if z <= 0.0 or (self.exponent != 2.0 and self._coefficients is None):
            total, slope, _ = self._general(z)
            return total, slope
        if self.exponent != 2.0:
            from hurwicz.prices.populations.generated_kernels import polynomial_sums

            _, _, c0, c1 = self.types.coefficients
            terms = (self.design == "hash", self._key, c0, c1, self._coefficients, self.size, float(z))
            total, slope = self.workers.sums(polynomial_sums, terms, self._chunks, 2)
            return total, slope
        from hurwicz.prices.populations.generated_kernels import hash_quadratic_sums, weyl_quadratic_sums

        kernel: Any = weyl_quadratic_sums if self.design == "weyl" else hash_quadratic_sums
        fields = (self._key, *self.types.coefficients, self.size, float(z))
        total, slope = self.workers.sums(kernel, fields, self._chunks, 2)
        return total, slope

    def aggregate_response(self, price: float) -> tuple[float, float]:
        """(y, dy/dp) of the best responses to a price of the aggregate, in one sweep."""
        z = price_to_z(float(price), self.exponent)
        total, slope = self.sums(z)
        steep = price_slope(z, self.exponent)
        return total, slope / steep if steep else math.inf if slope else 0.0

    def private_cost(self, price: float) -> float:
        """sum_i C_i(x_i) at the best responses to a price, in one sweep."""
        return self._general(price_to_z(float(price), self.exponent))[2]

    def types_of(self, start: int = 0, stop: int | None = None) -> tuple[Float64[FloatArray, "members"], Float64[FloatArray, "members"]]:
        """(curvatures, capacities) of agents start .. stop - 1."""
        from hurwicz.prices.populations.generated_kernels import generated_types

        first, last, _ = slice(start, stop).indices(self.size)
        curvature, capacity = np.empty(max(0, last - first)), np.empty(max(0, last - first))
        generated_types(self.design == "hash", self._key, *self.types.coefficients, first, curvature, capacity)
        return curvature, capacity

    def part(self, start: int = 0, stop: int | None = None) -> ArrayPopulation:
        """Agents start .. stop - 1 as arrays."""
        curvature, capacity = self.types_of(start, stop)
        return ArrayPopulation(curvature, lower=0.0, upper=capacity, exponent=self.exponent, workers=self.workers.count)

    def actions(self, price: float, start: int = 0, stop: int | None = None) -> Float64[FloatArray, "members"]:
        """Best responses of agents start .. stop - 1."""
        return self.part(start, stop).actions(price)

    def sample(self, size: int) -> GeneratedPopulation | None:
        """The first ``size`` agents, which are spread like all of them; None where there are too few to be worth it."""
        if size < 4096:
            return None
        return GeneratedPopulation(size, self.types, exponent=self.exponent, seed=self.seed, design=self.design, workers=self.workers.count)
