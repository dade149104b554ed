"""A population whose types come from a function of the user's, chunk by chunk: any distribution, any number, bounded memory."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64, Int64
from numpy.typing import NDArray

from hurwicz._foundation import FloatArray, InputError
from hurwicz.prices.populations.arrays import BLOCK, ArrayPopulation, price_slope, price_to_z
from hurwicz.prices.populations.losses import Numbers
from hurwicz.prices.populations.workers import Workers

CHUNK = BLOCK
"""Agents a chunk: numbers k · 65536 to (k + 1) · 65536 - 1 are chunk k."""
_SAMPLED = 64  # one chunk of so many stands for all
_FIELDS = ("curvature", "linear", "lower", "upper", "weight")


@runtime_checkable
class TypeGenerator(Protocol):
    """Makes the types of one chunk of agents."""

    def __call__(self, rng: np.random.Generator, agents: Int64[NDArray[np.int64], "agents"]) -> Mapping[str, Numbers]:
        """The agents' types: what :class:`ArrayPopulation` takes, by name.

        Args:
            rng: random numbers of this chunk alone, from the seed and the chunk's number.
            agents: numbers of the chunk's agents among all, always 65536 of them.

        Returns:
            ``curvature`` and, where wanted, ``linear``, ``lower``, ``upper`` and ``weight``; each a number, or one an agent.
        """
        ...


class ChunkedPopulation:
    """N agents with costs C_i(x) = c_i x + lambda_i |x|^kappa, their types from a function that is asked for a chunk at a time.

    Every sweep makes the types again, so that memory holds one chunk a worker, whatever N is. Agent i's type depends on (generator,
    seed, i) only: neither on N nor on the number of workers, and the sums are the same bits for any number of these. The function has to
    be safe to call from several threads: all that it draws, it draws from ``rng``.

    Args:
        size: N, 1 .. 2^47.
        generator: makes types; see :class:`TypeGenerator`.
        exponent: kappa > 1.
        seed: 0 .. 2^64 - 1.
        workers: threads for one pass; all cores by default.

    Raises:
        InputError: a size, seed or exponent outside the above, or (when types are made) types that are none.

    Example:
        Costs that spread over decades, and one agent in ten that can also buy:

        >>> def made(rng, agents):
        ...     lower = np.where(rng.random(len(agents)) < 0.1, -1.0, 0.0)
        ...     return {"curvature": rng.lognormal(0.0, 1.0, len(agents)), "lower": lower, "upper": 2.0}
        >>> crowd = ChunkedPopulation(200_000, made, seed=1)
        >>> total, _ = crowd.aggregate_response(1.0)
        >>> total == ChunkedPopulation(200_000, made, seed=1, workers=1).aggregate_response(1.0)[0]
        True
    """

    def __init__(self, size: int, generator: TypeGenerator, *, exponent: float = 2.0, seed: int = 0, workers: int | None = None) -> None:
        if not 1 <= size <= 2**47:
            raise InputError(f"size: expected 1 to 2^47 agents, got {size}")
        if not 0 <= seed < 2**64:
            raise InputError(f"seed: expected an integer in 0 .. 2^64 - 1, got {seed}")
        if not (math.isfinite(exponent) and exponent > 1.0):
            raise InputError(f"exponent: expected a number above 1 (strictly convex costs), got {exponent}")
        self.size = int(size)
        self.generator = generator
        self.exponent = float(exponent)
        self.seed = int(seed)
        self.workers = Workers(workers)

    @property
    def chunks(self) -> int:
        """Number of chunks; the last may be cut short."""
        return -(-self.size // CHUNK)

    def _fields(self, k: int) -> dict[str, Any]:
        """Types of chunk k, those beyond the last agent left out."""
        # Philox counts in 256 bits: chunks start 2^128 draws from one another.
        rng = np.random.Generator(np.random.Philox(key=self.seed, counter=[0, 0, k, 0]))
        made = self.generator(rng, np.arange(k * CHUNK, (k + 1) * CHUNK, dtype=np.int64))
        unknown = [name for name in made if name not in _FIELDS]
        if "curvature" not in made or unknown:
            raise InputError(f"generator: expected curvature, and perhaps {', '.join(_FIELDS[1:])}; got {', '.join(made) or 'nothing'}")
        count = min(CHUNK, self.size - k * CHUNK)
        fields = {}
        for name, values in made.items():
            array = np.asarray(values)
            if array.shape not in ((), (CHUNK,)):
                raise InputError(f"generator: {name} expected a number or {CHUNK} numbers, one an agent; got shape {array.shape}")
            fields[name] = array[:count] if array.ndim else np.full(count, array) if name == "curvature" else array
        return fields

    def _chunk(self, k: int) -> ArrayPopulation:
        try:
            return ArrayPopulation(**self._fields(k), exponent=self.exponent, workers=1)
        except InputError as error:
            raise type(error)(f"agents from number {k * CHUNK} on: {error}") from error

    def _totals(self, ask: Any, columns: int) -> list[float]:
        def kernel(first: int, last: int, out: Float64[FloatArray, "chunks columns"]) -> None:
            for k in range(first, last):
                out[k] = ask(self._chunk(k))

        return self.workers.sums(kernel, (), self.chunks, columns)

    def sums(self, z: float) -> tuple[float, float]:
        """(y, dy/dz) of all responses to z, in one sweep."""
        total, slope = self._totals(lambda chunk: chunk.sums(z), 2)
        return total, slope

    def aggregate_response(self, price: float) -> tuple[float, float]:
        """(y, dy/dp) of the best responses to a price of the aggregate, in one sweep."""
        z = price_to_z(float(price), self.exponent)
        total, slope = self.sums(z)
        steep = price_slope(z, self.exponent)
        return total, slope / steep if steep else math.copysign(math.inf, slope) if slope else 0.0

    def private_cost(self, price: float) -> float:
        """sum_i C_i(x_i) at the best responses to a price, in one sweep."""
        return self._totals(lambda chunk: chunk.private_cost(price), 1)[0]

    def part(self, start: int = 0, stop: int | None = None) -> ArrayPopulation:
        """Agents start .. stop - 1 as arrays.

        Raises:
            InputError: no agents.
        """
        first, last, _ = slice(start, stop).indices(self.size)
        if first >= last:
            raise InputError(f"part: expected at least one agent, got {start} to {stop}")
        chunks = [self._chunk(k) for k in range(first // CHUNK, -(-last // CHUNK))]
        cut = slice(first - first // CHUNK * CHUNK, last - first // CHUNK * CHUNK)
        fields = {name: np.concatenate([np.broadcast_to(getattr(chunk, name), (chunk.size,)) for chunk in chunks])[cut] for name in _FIELDS}
        return ArrayPopulation(**fields, exponent=self.exponent, workers=self.workers.count)

    def actions(self, price: float, start: int = 0, stop: int | None = None) -> Float64[FloatArray, "members"]:
        """Best responses of agents start .. stop - 1."""
        first, last, _ = slice(start, stop).indices(self.size)
        return self.part(start, stop).actions(price) if first < last else np.empty(0)

    def sample(self, size: int) -> ArrayPopulation | None:
        """Agents of chunks spread over all, to begin a search with; None where there are too few to be worth it."""
        count = min(self.chunks // _SAMPLED, max(1, size // CHUNK))
        if count < 1:
            return None
        picked = np.linspace(0, self.chunks - 1, count + 2)[1:-1].astype(int).tolist()
        parts = [self.part(k * CHUNK, (k + 1) * CHUNK) for k in picked]
        fields = {name: np.concatenate([np.broadcast_to(getattr(part, name), (part.size,)) for part in parts]) for name in _FIELDS}
        return ArrayPopulation(**fields, exponent=self.exponent, workers=self.workers.count)
