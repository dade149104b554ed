"""(a) One gradient step of sum-target-with-costs at 1e6 .. 1e8 agents, as a fraction of the STREAM triad of the same run.

L = (sum x - Y)² + sum lambda_i x_i², x >= 0, lambda_i differing (C.2 of the paper with heterogeneous agents). A step is
x_i <- max(0, x_i + eta (p - 2 lambda_i x_i)) together with the next sum of x, which gives the next p. It moves three words an agent
(x read, lambda read, x written); the fraction is 3 words · N / time over the triad's rate, whatever an engine really moves.
"""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.machine import free_memory, times
from benchmarks.triad import triad_rate
from hurwicz._foundation import float64_scope
from hurwicz.prices.populations import ArrayPopulation, ShardedPopulation

Step = Callable[[], float]
_WORDS = {"hurwicz, fused pass": 3, "hurwicz, JAX shard_map": 5, "JAX, plain jit": 6, "numpy": 7, "torch autograd": 10}


def _data(n: int, dtype: Any) -> tuple[Float[NDArray[Any], " {n}"], Float[NDArray[Any], " {n}"], float, float]:
    rng = np.random.default_rng(20251220)
    lam = rng.uniform(0.05, 0.15, n).astype(dtype)
    x = rng.uniform(0.0, 0.2, n).astype(dtype)
    return x, lam, 0.1 * n, 0.5 / (n + 0.15)


def _fused(n: int, dtype: Any) -> Step:
    x, lam, target, eta = _data(n, dtype)
    agents = ArrayPopulation(lam, lower=0.0)
    state = [agents.action_totals(x)[0]]

    def step() -> float:
        state[0] = agents.gradient_step(x, -2.0 * (state[0] - target), eta)
        return state[0]

    return step


def _sharded(n: int, dtype: Any) -> Step:
    x, lam, target, eta = _data(n, dtype)
    agents = ArrayPopulation(lam, lower=0.0)
    spread = ShardedPopulation(agents)
    held, total = [spread.spread(x)], [agents.action_totals(x)[0]]
    del x

    def step() -> float:
        held[0], total[0] = spread.gradient_step(held[0], -2.0 * (total[0] - target), eta)
        return total[0]

    return step


def _plain_jax(n: int, dtype: Any) -> Step:
    import jax
    import jax.numpy as jnp

    x, lam, target, eta = _data(n, dtype)

    def loss(x: Any, lam: Any) -> Any:
        return (jnp.sum(x) - target) ** 2 + jnp.sum(lam * x**2)

    @jax.jit
    def move(x: Any, lam: Any) -> Any:
        return jnp.maximum(x - eta * jax.grad(loss)(x, lam), 0)

    with float64_scope():
        held, lam_ = [jnp.asarray(x)], jnp.asarray(lam)
    del x, lam

    def step() -> float:
        with float64_scope():
            held[0] = move(held[0], lam_).block_until_ready()
        return float("nan")

    return step


def _numpy(n: int, dtype: Any) -> Step:
    x, lam, target, eta = _data(n, dtype)
    held, rate = [x], np.dtype(dtype).type(eta)

    def step() -> float:
        x = held[0]
        total = float(np.sum(x, dtype=np.float64))
        held[0] = np.maximum(x - rate * (np.dtype(dtype).type(2.0 * (total - target)) + 2 * lam * x), 0)
        return total

    return step


def _torch(n: int, dtype: Any) -> Step:
    import torch

    x, lam, target, eta = _data(n, dtype)
    held, lam_ = torch.from_numpy(x).requires_grad_(), torch.from_numpy(lam)

    def step() -> float:
        loss = (held.sum() - target) ** 2 + (lam_ * held**2).sum()
        (slope,) = torch.autograd.grad(loss, held)
        with torch.no_grad():
            held.sub_(eta * slope).clamp_(min=0)
        return float("nan")

    return step


_ENGINES: dict[str, Callable[[int, Any], Step]] = {
    "hurwicz, fused pass": _fused,
    "hurwicz, JAX shard_map": _sharded,
    "JAX, plain jit": _plain_jax,
    "numpy": _numpy,
    "torch autograd": _torch,
}


def _sums(n: int) -> tuple[float, float, float]:
    """(exact, ours, naive float32) price at float32 actions of n agents: -2 (sum x - Y) with Y a little above the sum."""
    x, lam, _, _ = _data(n, np.float32)
    exact = float(np.sum(x, dtype=np.float64))
    target = exact + 0.21495
    ours, _ = ArrayPopulation(lam).action_totals(x)
    naive = float(np.float32(np.sum(x)) - np.float32(target))
    return -2.0 * (exact - target), -2.0 * (ours - target), -2.0 * naive


def run(quick: bool = False) -> list[dict[str, Any]]:
    """Print the table; return its rows."""
    rows: list[dict[str, Any]] = []
    table = Table(title="(a) gradient step: ms (median; best), and fraction of the same run's STREAM triad (3 words an agent)")
    for head in ("agents", "data", "engine", "ms median", "ms best", "of triad, median", "of triad, best"):
        table.add_column(head, justify="left" if head in ("data", "engine") else "right")
    for n in (10**6, 10**7) if quick else (10**6, 10**7, 10**8):
        for dtype in (np.float32, np.float64):
            word, name = np.dtype(dtype).itemsize, np.dtype(dtype).name
            seconds = 0.5 if quick else 2.0
            best_rate, median_rate = triad_rate(n, dtype, seconds=seconds)
            ideal = 3 * word * n
            table.add_row(
                f"{n:.0e}",
                name,
                f"STREAM triad, {best_rate / 1e9:.1f} GB/s",
                f"{ideal / median_rate * 1e3:.2f}",
                f"{ideal / best_rate * 1e3:.2f}",
                "100 %",
                "100 %",
            )
            rows.append({"n": n, "dtype": name, "engine": "triad", "seconds": ideal / best_rate, "median_seconds": ideal / median_rate})
            for engine, make in _ENGINES.items():
                need = (_WORDS[engine] + 2) * word * n
                if need > 0.8 * free_memory():
                    table.add_row(f"{n:.0e}", name, engine, f"needs {need / 2**30:.0f} GiB", "", "", "")
                    continue
                try:
                    step = make(n, dtype)
                except ImportError as error:
                    table.add_row(f"{n:.0e}", name, engine, f"not installed ({error.name})", "", "", "")
                    continue
                taken = times(step, repeats=50, seconds=seconds)
                median, best = statistics.median(taken), min(taken)
                table.add_row(
                    f"{n:.0e}", name, engine, f"{median * 1e3:.2f}", f"{best * 1e3:.2f}",
                    f"{ideal / median / median_rate:.0%}", f"{ideal / best / best_rate:.0%}",
                )  # fmt: skip
                rows.append({"n": n, "dtype": name, "engine": engine, "seconds": best, "median_seconds": median,
                             "of_triad": ideal / best / best_rate, "median_of_triad": ideal / median / median_rate})  # fmt: skip
                del step
                gc.collect()
    console = Console(width=140)
    console.print(table)
    sums = Table(title="price from float32 actions, N large: float64 sums against float32 sums")
    for head in ("agents", "exact price", "hurwicz", "float32 throughout"):
        sums.add_column(head, justify="right")
    for n in (10**6, 10**7) if quick else (10**6, 10**7, 10**8):
        exact, ours, naive = _sums(n)
        sums.add_row(f"{n:.0e}", f"{exact:.6f}", f"{ours:.6f}", f"{naive:.6f}")
        rows.append({"n": n, "dtype": "float32", "engine": "price", "exact": exact, "ours": ours, "naive": naive})
    console.print(sums)
    return rows
