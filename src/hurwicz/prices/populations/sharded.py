"""A population spread over JAX devices, of one process or of several joined by ``jax.distributed``."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Float64, Shaped
from numpy.typing import NDArray

from hurwicz._foundation import FloatArray, InputError, ShapeError, float64_scope
from hurwicz.prices.populations.arrays import ArrayPopulation, price_slope, price_to_z
from hurwicz.prices.populations.generated import GeneratedPopulation
from hurwicz.prices.populations.newton import Population

_ROWS = 16384  # agents a chunk of an array population: fits a core's cache
_AXIS = "agents"


class ShardedPopulation:
    """The same agents, worked on by JAX devices: ``shard_map`` over one mesh axis, chunks in turn on each, one ``psum`` at the end.

    Types of arrays are laid out over the devices once; generated types are computed where they are needed, the same bits as
    GeneratedPopulation's own. All sums are float64, whatever the process's setting and the data's precision. Sums agree with those of
    the wrapped population to about 1e-13 relative (only the order of additions differs). In a program of several processes each
    calls the same methods with the same arguments; each gets the whole sum. Build it there from the same arrays in every process.

    Args:
        population: an ArrayPopulation or a GeneratedPopulation.
        devices: JAX devices; all of them (of all processes) by default.

    Raises:
        InputError: another kind of population, or no devices.

    Example:
        >>> import numpy as np
        >>> agents = ArrayPopulation(np.array([0.5, 1.0, 2.0]), lower=0.0, upper=2.0)
        >>> ShardedPopulation(agents).aggregate_response(1.0)
        (1.75, 1.75)
    """

    def __init__(self, population: Population, *, devices: Sequence[Any] | None = None) -> None:
        import jax

        if not isinstance(population, (ArrayPopulation, GeneratedPopulation)):
            raise InputError(f"ShardedPopulation: expected an ArrayPopulation or GeneratedPopulation, got {type(population).__name__}")
        chosen = list(jax.devices() if devices is None else devices)
        if not chosen:
            raise InputError("devices: expected at least one JAX device, got none")
        self.population = population
        self.size = population.size
        self.exponent = population.exponent
        self.mesh = jax.sharding.Mesh(np.array(chosen), (_AXIS,))
        self.devices = len(chosen)
        self._fields: tuple[Any, ...] = ()
        if isinstance(population, ArrayPopulation):
            s, b = population.lines()
            raw = (s, b, population.lower, population.upper, population.weight)
            self._fields = tuple(self.spread(field) if isinstance(field, np.ndarray) and field.ndim else float(field) for field in raw)
            self._pass = _array_pass(self.mesh, self._shapes(self._fields))
        else:
            self._pass = _generated_pass(self.mesh, population)

    @staticmethod
    def _shapes(fields: tuple[Any, ...]) -> tuple[bool, ...]:
        return tuple(not isinstance(field, float) for field in fields)

    @property
    def _rows(self) -> tuple[int, int]:
        """(chunks of all devices, agents a chunk)."""
        rows = min(_ROWS, -(-self.size // self.devices))
        chunks = -(-self.size // rows)
        return -(-chunks // self.devices) * self.devices, rows

    def spread(self, field: Shaped[NDArray[Any], "agents"]) -> Shaped[Any, "chunks rows"]:
        """An array of one number an agent as chunks, padded with zeros, laid out over the devices."""
        import jax

        field = np.asarray(field)
        if field.shape != (self.size,):
            raise ShapeError(f"expected shape ({self.size},), got {field.shape}")
        chunks, rows = self._rows
        spec: Any = jax.sharding.PartitionSpec
        sharding = jax.sharding.NamedSharding(self.mesh, spec(_AXIS, None))

        def part(index: Any) -> Any:
            first, last, _ = index[0].indices(chunks)
            piece = np.zeros(((last - first) * rows,), dtype=field.dtype)
            held = field[first * rows : last * rows]
            piece[: held.size] = held
            return piece.reshape(last - first, rows)

        with float64_scope():
            return jax.make_array_from_callback((chunks, rows), sharding, part)

    def gather(self, spread: Shaped[Any, "chunks rows"]) -> Float64[FloatArray, "{self.size}"]:
        """The inverse of ``spread``, where one process holds every device."""
        return np.asarray(spread).reshape(-1)[: self.size].astype(np.float64)

    def sums(self, z: float) -> tuple[float, float]:
        """(y, dy/dz) of all responses to z, in one pass over all devices."""
        with float64_scope():
            total, slope = self._pass(float(z), *self._fields)
            return float(total), float(slope)

    def aggregate_response(self, price: float) -> tuple[float, float]:
        """(y, dy/dp) of the best responses to a price of the aggregate."""
        z = price_to_z(float(price), self.exponent)
        total, slope = self.sums(z)
        steep = price_slope(z, self.exponent)
        return total, slope / steep if steep else math.inf if slope else 0.0

    def actions(self, price: float, start: int = 0, stop: int | None = None) -> Float64[FloatArray, "members"]:
        """Best responses of agents start .. stop - 1, worked out by the wrapped population."""
        return self.population.actions(price, start, stop)

    def gradient_step(self, x: Float[Any, "chunks rows"], price: float, step: float) -> tuple[Float[Any, "chunks rows"], float]:
        """x_i <- clip(x_i + eta (a_i p - c_i - 2 lambda_i x_i)), and the new aggregate; quadratic costs.

        Args:
            x: actions as ``spread`` lays them out; given up to the new ones.
            price: p = -f'(y) at x.
            step: eta > 0.

        Returns:
            (new x, new sum of a_i x_i in float64).
        """
        who = self.population
        if not isinstance(who, ArrayPopulation) or who.exponent != 2.0:
            raise InputError("gradient_step: needs an ArrayPopulation with quadratic costs")
        with float64_scope():
            if not hasattr(self, "_step"):
                raw = (who.curvature, who.linear, who.lower, who.upper, who.weight)
                self._step_fields = tuple(self.spread(f) if isinstance(f, np.ndarray) and f.ndim else float(f) for f in raw)
                self._step = _step_pass(self.mesh, self._shapes(self._step_fields))
            x, total = self._step(x, float(price), float(step), *self._step_fields)
            return x, float(total)

    def sample(self, size: int) -> ArrayPopulation | GeneratedPopulation | None:
        """The wrapped population's sample, answered on this process alone."""
        return self.population.sample(size)


def _specs(held: tuple[bool, ...]) -> tuple[Any, ...]:
    import jax

    spec: Any = jax.sharding.PartitionSpec
    return tuple(spec(_AXIS, None) if array else spec() for array in held)


@functools.lru_cache(maxsize=64)
def _array_pass(mesh: Any, held: tuple[bool, ...]) -> Callable[..., Any]:
    import jax
    import jax.numpy as jnp

    spec: Any = jax.sharding.PartitionSpec
    lax: Any = jax.lax

    def shard(z: Any, *fields: Any) -> Any:
        def chunk(carry: Any, row: Any) -> Any:
            values = iter(row)
            s, b, lower, upper, a = (next(values) if array else field for array, field in zip(held, fields, strict=True))
            s, b, a = (jnp.asarray(v, dtype=jnp.float64) for v in (s, b, a))
            free = s * z + b
            x = jnp.minimum(jnp.maximum(free, lower), upper)
            return (carry[0] + jnp.sum(a * x), carry[1] + jnp.sum(jnp.where(x == free, a * s, 0.0))), None

        zero = lax.pcast(jnp.zeros(()), _AXIS, to="varying")
        totals, _ = lax.scan(chunk, (zero, zero), tuple(f for array, f in zip(held, fields, strict=True) if array))
        return lax.psum(jnp.stack(totals), _AXIS)

    spread = jax.shard_map(shard, mesh=mesh, in_specs=(spec(), *_specs(held)), out_specs=spec())
    return jax.jit(spread)


@functools.lru_cache(maxsize=64)
def _step_pass(mesh: Any, held: tuple[bool, ...]) -> Callable[..., Any]:
    import jax
    import jax.numpy as jnp

    spec: Any = jax.sharding.PartitionSpec
    lax: Any = jax.lax

    def shard(x: Any, price: Any, step: Any, *fields: Any) -> Any:
        kind = x.dtype

        def chunk(total: Any, row: Any) -> Any:
            now, values = row[0], iter(row[1:])
            full = (next(values) if array else field for array, field in zip(held, fields, strict=True))
            curvature, linear, lower, upper, a = (jnp.asarray(v, dtype=kind) for v in full)
            move = jnp.asarray(step, kind) * (a * jnp.asarray(price, kind) - linear - 2 * curvature * now)
            new = jnp.minimum(jnp.maximum(now + move, lower), upper)
            return total + jnp.sum(a.astype(jnp.float64) * new.astype(jnp.float64)), new

        zero = lax.pcast(jnp.zeros((), dtype=jnp.float64), _AXIS, to="varying")
        rows = (x, *(f for array, f in zip(held, fields, strict=True) if array))
        total, new = lax.scan(chunk, zero, rows)
        return new, lax.psum(total, _AXIS)

    specs = (spec(_AXIS, None), spec(), spec(), *_specs(held))
    spread = jax.shard_map(shard, mesh=mesh, in_specs=specs, out_specs=(spec(_AXIS, None), spec()))
    return jax.jit(spread, donate_argnums=0)


def _generated_pass(mesh: Any, population: GeneratedPopulation) -> Callable[..., Any]:
    """Chunks k, k + D, ... of the generator on device k of D; types as generated_kernels.py makes them, bit for bit."""
    import jax
    import jax.numpy as jnp

    spec: Any = jax.sharding.PartitionSpec
    lax: Any = jax.lax

    from hurwicz.prices.populations import generated_kernels as kernels

    l0, l1, c0, c1 = population.types.coefficients
    kappa, size, hashed = population.exponent, population.size, population.design == "hash"
    chunks = -(-size // kernels.CHUNK)
    devices = mesh.devices.size
    key = np.uint64(population.seed)
    mix64, mix32 = _mixers()

    def units(k: Any) -> tuple[Any, Any]:
        j = jnp.arange(kernels.CHUNK, dtype=jnp.uint64)
        if hashed:
            keys = mix64(mix64(jnp.uint64(key) + jnp.uint64(kernels.STEP)) + k * jnp.uint64(kernels.STEP))
            first = mix32(j.astype(jnp.uint32) + keys.astype(jnp.uint32))
            second = mix32((first ^ (keys >> jnp.uint64(32)).astype(jnp.uint32)) + jnp.uint32(kernels.GOLDEN))
        else:
            i = k * jnp.uint64(kernels.CHUNK) + j
            first = ((mix64(jnp.uint64(key)) + i * jnp.uint64(kernels.WEYL_0)) >> jnp.uint64(32)).astype(jnp.uint32)
            second = ((mix64(jnp.uint64(key) ^ jnp.uint64(kernels.SALT)) + i * jnp.uint64(kernels.WEYL_1)) >> jnp.uint64(32)).astype(
                jnp.uint32
            )
        u, v = (lax.bitcast_convert_type(bits, jnp.int32).astype(jnp.float64) * kernels.UNIT + kernels.CENTRE for bits in (first, second))
        return u, v

    def shard(z: Any) -> Any:
        start = lax.axis_index(_AXIS).astype(jnp.uint64)

        def chunk(turn: Any, carry: Any) -> Any:
            k = start + jnp.uint64(devices) * turn.astype(jnp.uint64)
            u, v = units(k)
            left = jnp.float64(size) - (k * jnp.uint64(kernels.CHUNK)).astype(jnp.float64)
            real = jnp.arange(kernels.CHUNK) < left
            steep = 0.5 / (l0 + l1 * u) if kappa == 2.0 else (kappa * (l0 + l1 * u)) ** (-1.0 / (kappa - 1.0))
            cap = c0 + c1 * v
            free = jnp.maximum(0.0, steep * z)
            total = jnp.sum(jnp.where(real, jnp.minimum(cap, free), 0.0))
            slope = jnp.sum(jnp.where(real & (free <= cap) & (z >= 0.0), steep, 0.0))
            return carry[0] + total, carry[1] + slope

        zero = lax.pcast(jnp.zeros(()), _AXIS, to="varying")
        totals = lax.fori_loop(0, -(-chunks // devices), chunk, (zero, zero))
        return lax.psum(jnp.stack(totals), _AXIS)

    return jax.jit(jax.shard_map(shard, mesh=mesh, in_specs=(spec(),), out_specs=spec()))


def _mixers() -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """The finalisers of generated_kernels.py, in JAX operations."""
    import jax.numpy as jnp

    from hurwicz.prices.populations import generated_kernels as kernels

    def mix64(value: Any) -> Any:
        value = (value ^ (value >> jnp.uint64(30))) * jnp.uint64(kernels.MIX_A)
        value = (value ^ (value >> jnp.uint64(27))) * jnp.uint64(kernels.MIX_B)
        return value ^ (value >> jnp.uint64(31))

    def mix32(value: Any) -> Any:
        value = (value ^ (value >> jnp.uint32(16))) * jnp.uint32(kernels.NARROW_A)
        value = (value ^ (value >> jnp.uint32(15))) * jnp.uint32(kernels.NARROW_B)
        return value ^ (value >> jnp.uint32(15))

    return mix64, mix32
