"""A population held as arrays of types."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from jaxtyping import Float, Float64, Shaped
from numpy.typing import NDArray

from hurwicz._foundation import FloatArray, InputError, NotFiniteError, ShapeError
from hurwicz.prices.populations.losses import Numbers
from hurwicz.prices.populations.workers import Workers

BLOCK = 65536
_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


LARGEST_Z = 1e300


def price_to_z(price: float, exponent: float) -> float:
    """sign(p) |p|^(1/(kappa - 1)) = z, cut at 1e300: what every response is linear in before bounds."""
    if exponent == 2.0:
        return price
    try:
        size = min(abs(price) ** (1.0 / (exponent - 1.0)), LARGEST_Z)
    except OverflowError:
        size = LARGEST_Z
    return math.copysign(size, price)


def z_to_price(z: float, exponent: float) -> float:
    """Price of z: sign(z) |z|^(kappa - 1)."""
    return z if exponent == 2.0 else math.copysign(abs(z) ** (exponent - 1.0), z)


def price_slope(z: float, exponent: float) -> float:
    """dp/dz = (kappa - 1) |z|^(kappa - 2)."""
    if exponent == 2.0:
        return 1.0
    if z == 0.0:
        return 0.0 if exponent > 2.0 else math.inf
    return (exponent - 1.0) * float(abs(z) ** (exponent - 2.0))


class ArrayPopulation:
    """N agents with costs C_i(x) = c_i x + lambda_i |x|^kappa on [lower_i, upper_i], met through y = sum_i a_i x_i.

    At a price p of the aggregate agent i answers x_i = argmin C_i(x) - a_i p x, which is
    clip(s_i z + b_i, lower_i, upper_i) with z = sign(p) |p|^(1/(kappa-1)).

    Args:
        curvature: lambda_i > 0, one an agent, float32 or float64; the data keep their precision, sums are float64.
        linear: c_i, money per unit of action; scalar or (agents,); needs kappa = 2.
        lower: least actions, scalar or (agents,); -inf for none.
        upper: capacities, scalar or (agents,); inf for none.
        weight: a_i, units of aggregate per unit of action; scalar or (agents,).
        exponent: kappa > 1; 2 is quadratic, 4 quartic.
        workers: threads for one pass; all cores by default. The results are the same bits for any number.

    Raises:
        InputError: an empty population, a curvature that is not positive, lower > upper, or c_i with kappa != 2.
        ShapeError: fields of other lengths.
        NotFiniteError: NaN anywhere, or an infinity outside the bounds.

    Example:
        >>> import numpy as np
        >>> agents = ArrayPopulation(np.array([0.5, 1.0]), lower=0.0, upper=2.0)
        >>> agents.aggregate_response(1.0)
        (1.5, 1.5)
        >>> agents.actions(4.0)
        array([2., 2.])

    Source: the paper, experiments C.2 and C.3 (quadratic costs).
    """

    def __init__(
        self,
        curvature: Numbers,
        *,
        linear: Numbers = 0.0,
        lower: Numbers = -math.inf,
        upper: Numbers = math.inf,
        weight: Numbers = 1.0,
        exponent: float = 2.0,
        workers: int | None = None,
    ) -> None:
        lam = np.asarray(curvature)
        self.dtype: np.dtype[Any] = lam.dtype if lam.dtype in _FLOATS else np.dtype(np.float64)
        self.exponent = float(exponent)
        if not (math.isfinite(self.exponent) and self.exponent > 1.0):
            raise InputError(f"exponent: expected a number above 1 (strictly convex costs), got {exponent}")
        if lam.ndim != 1:
            raise ShapeError(f"curvature: expected shape (agents,), got {lam.shape}")
        if lam.size == 0:
            raise InputError("curvature: an empty population; expected at least one agent")
        self.size = int(lam.size)
        self.curvature: Any = self._field(lam, "curvature")
        self.linear: Any = self._field(linear, "linear")
        self.lower: Any = self._field(lower, "lower", infinite=True)
        self.upper: Any = self._field(upper, "upper", infinite=True)
        self.weight: Any = self._field(weight, "weight")
        if float(np.min(self.curvature)) <= 0.0:
            where = int(np.argmin(self.curvature))
            raise InputError(
                f"curvature: expected positive numbers, got {self.curvature[where]} at agent {where}; a flat cost has no answer"
            )
        if np.any(np.asarray(self.lower) > np.asarray(self.upper)):
            where = int(np.argmax(np.broadcast_to(np.asarray(self.lower) > np.asarray(self.upper), (self.size,))))
            raise InputError(f"bounds: lower exceeds upper at agent {where}; no action is left to it")
        if self.exponent != 2.0 and np.any(np.asarray(self.linear) != 0.0):
            raise InputError(f"linear: a linear cost needs exponent 2, got {self.exponent}; leave it at 0 or use quadratic costs")
        self.workers = Workers(workers)
        self._lines: tuple[Any, Any] | None = None

    def _field(self, value: Numbers, name: str, *, infinite: bool = False) -> Any:
        array = np.asarray(value)
        if array.dtype.kind not in "fiu":
            raise InputError(f"{name}: expected numbers, got {array.dtype}")
        if array.ndim > 1 or (array.ndim == 1 and array.size != self.size):
            raise ShapeError(f"{name}: expected a number or shape ({self.size},), got {array.shape}")
        low, high = float(np.min(array)), float(np.max(array))  # NaN shows in both
        if math.isnan(low) or (not infinite and math.isinf(low + high)):
            bad = np.isnan(array) if infinite else ~np.isfinite(array)
            where = int(np.argmax(bad))
            raise NotFiniteError(
                f"{name}: expected {'no NaN' if infinite else 'finite numbers'}, got {array.reshape(-1)[where]} at agent {where}"
            )
        return np.ascontiguousarray(array, dtype=self.dtype) if array.ndim else float(array)

    @property
    def blocks(self) -> int:
        """Number of blocks in one pass."""
        return -(-self.size // BLOCK)

    def lines(self) -> tuple[Any, Any]:
        """(s, b) with x_i = clip(s_i z + b_i, lower_i, upper_i); s_i = sign(a_i) (|a_i| / (kappa lambda_i))^(1/(kappa-1))."""
        if self._lines is None:
            if self.exponent == 2.0:
                s = np.multiply(0.5, np.divide(self.weight, self.curvature), dtype=np.float64)
                plain = isinstance(self.linear, float) and self.linear == 0.0
                b = 0.0 if plain else np.asarray(-0.5 * np.divide(self.linear, self.curvature, dtype=np.float64))
            else:
                ratio = np.divide(np.abs(self.weight), self.exponent * np.asarray(self.curvature, dtype=np.float64))
                with np.errstate(over="ignore", under="ignore"):
                    s = np.sign(self.weight) * ratio ** (1.0 / (self.exponent - 1.0))
                if not bool(np.all(np.isfinite(s))) or bool(np.any((s == 0.0) & (np.asarray(self.weight) != 0.0))):
                    raise InputError(
                        f"exponent: {self.exponent} is so near 1 that (|a| / (kappa lambda))^(1/(kappa-1)) leaves the range of a float for "
                        "some agents; count money in another unit, so that lambda is near 1, or use a larger exponent"
                    )
                b = 0.0
            self._lines = (np.ascontiguousarray(s, dtype=np.float64), b)
        return self._lines

    def sums(self, z: float) -> tuple[float, float]:
        """(y, dy/dz) of all responses to z, in one pass."""
        from hurwicz.prices.populations.response_kernels import response_sums

        s, b = self.lines()
        z = float(z)
        fields = (s, b, self.lower, self.upper, self.weight)
        total, slope = self.workers.sums(response_sums, (*fields, self.size, z, BLOCK), self.blocks, 2)
        return total, slope

    def aggregate_response(self, price: float) -> tuple[float, float]:
        """(y, dy/dp) of the best responses to a price of the aggregate, in one pass."""
        z = price_to_z(float(price), self.exponent)
        total, slope = self.sums(z)
        steep = price_slope(z, self.exponent)
        return total, slope / steep if steep else math.copysign(math.inf, slope) if slope else 0.0

    def actions(self, price: float, start: int = 0, stop: int | None = None) -> Float64[FloatArray, "members"]:
        """Best responses of agents start .. stop - 1."""
        from hurwicz.prices.populations.response_kernels import responses

        first, last, _ = slice(start, stop).indices(self.size)
        out = np.empty(max(0, last - first))
        s, b = self.lines()
        responses(s, b, self.lower, self.upper, price_to_z(float(price), self.exponent), first, out)
        return out

    def private_cost(self, price: float) -> float:
        """sum_i C_i(x_i) at the best responses to a price, in one pass."""
        from hurwicz.prices.populations.response_kernels import response_costs

        s, b = self.lines()
        z = price_to_z(float(price), self.exponent)
        fields = (s, b, self.lower, self.upper, self.curvature, self.linear, self.exponent, self.size, z, BLOCK)
        return self.workers.sums(response_costs, fields, self.blocks)[0]

    def action_totals(self, x: Shaped[NDArray[Any], "agents"]) -> tuple[float, float]:
        """(sum_i a_i x_i, sum_i C_i(x_i)) of given actions (float32 or float64), summed in float64."""
        from hurwicz.prices.populations.response_kernels import action_sums

        fields = (self._state(x), self.curvature, self.linear, self.weight, self.exponent, self.size, BLOCK)
        total, cost = self.workers.sums(action_sums, fields, self.blocks, 2)
        return total, cost

    def _state(self, x: Shaped[NDArray[Any], "agents"]) -> Float[NDArray[Any], "agents"]:
        if x.shape != (self.size,) or x.dtype not in _FLOATS or not x.flags.c_contiguous:
            raise ShapeError(f"x: expected a contiguous float array of shape ({self.size},), got {x.dtype} {x.shape}")
        return x

    def gradient_step(self, x: Shaped[NDArray[Any], "agents"], price: float, step: float) -> float:
        """x_i <- clip(x_i + eta (a_i p - C_i'(x_i))) in place; returns the new aggregate.

        Update and next sum share one pass: three words of memory traffic an agent (x read, lambda read, x written).

        Args:
            x: actions, float32 or float64, changed in place; the sum is float64 for both.
            price: p = -f'(y) at the actions as they are.
            step: eta > 0; converges below 2 / (largest eigenvalue of the Hessian of L).

        Returns:
            sum_i a_i x_i after the step.

        Source: the paper, eq. of the gradient response; theory of projected gradients.
        """
        from hurwicz.prices.populations.response_kernels import power_gradient_step, quadratic_gradient_step

        x = self._state(x)
        if self.exponent == 2.0:
            kind = x.dtype.type
            scalars = [kind(field) if isinstance(field, float) else field for field in (self.linear, self.lower, self.upper, self.weight)]
            fields = (x, self.curvature, *scalars, kind(price), kind(step), kind(2.0), self.size, BLOCK)
            return self.workers.sums(quadratic_gradient_step, fields, self.blocks)[0]
        rest = (
            x,
            self.curvature,
            self.linear,
            self.lower,
            self.upper,
            self.weight,
            float(price),
            float(step),
            self.exponent,
            self.size,
            BLOCK,
        )
        return self.workers.sums(power_gradient_step, rest, self.blocks)[0]

    def sample(self, size: int) -> ArrayPopulation | None:
        """``size`` agents drawn at random (a fixed draw), to begin a search with; None where there are too few to be worth it."""
        if size < 32:
            return None
        rows = np.sort(np.random.default_rng(0).integers(self.size, size=size))
        fields = {
            name: getattr(self, name)[rows] if isinstance(getattr(self, name), np.ndarray) else getattr(self, name)
            for name in ("linear", "lower", "upper", "weight")
        }
        lam = self.curvature[rows] if isinstance(self.curvature, np.ndarray) else self.curvature
        return ArrayPopulation(lam, **fields, exponent=self.exponent, workers=1)
