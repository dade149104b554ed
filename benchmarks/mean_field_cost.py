"""(m) Cost of one step of mirror descent and of one look at the exploitability against |S|·|A|·H, up to 1e8: linear, with the fitted slope.

Two games: the crowd on a ring (3 actions, 33 rounds: the states grow) and setting A1 at first price (4 rounds: values and bids grow
together). One thread, a process for each game and precision; single precision goes up to 1e8 entries, double to 1e7.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.machine import free_memory, peak_memory

_ARRAYS = 14  # of the size of a policy that are held at once, about


def _made(question: dict[str, Any]) -> tuple[Any, Any]:
    import jax.numpy as jnp

    from hurwicz.meanfield import BatchedAuction, FirstPrice, crowd_modelling

    if question["game"] == "ring":
        return crowd_modelling(max(3, round(question["entries"] / 99)), 33), None
    grid = max(3, round(math.sqrt(question["entries"] / 4)))
    return BatchedAuction(rounds=4, supply=0.8, grid=grid).game(FirstPrice(grid)), {"quantity": jnp.full(4, 0.2)}


def measure(question: dict[str, Any]) -> list[dict[str, Any]]:
    """CPU seconds a step and a look, from the smallest game to the largest that memory holds."""
    import jax

    rows = []
    with jax.enable_x64(question["dtype"] == "float64"):
        for power in range(4, question["top"] + 1):
            need = _ARRAYS * np.dtype(question["dtype"]).itemsize * 10**power
            if need > 0.9 * free_memory():
                rows.append({"entries": 10**power, "needs": need})
                continue
            rows.append(_point({**question, "entries": 10**power}))
    return rows


def _point(question: dict[str, Any]) -> dict[str, Any]:
    import jax
    import jax.numpy as jnp

    from hurwicz.equilibria.mean_field import OnlineMirrorDescent
    from hurwicz.meanfield import exploitability

    game, theta = _made(question)
    descent = OnlineMirrorDescent(1.0)
    step: Callable[..., Any] = jax.jit(lambda x: descent.step(game, x, 0, theta, 1e-3), donate_argnums=0)
    look = jax.jit(lambda x: exploitability(game, descent.policy(game, x), theta, 1e-3))
    held = [jnp.zeros(game.shape)]

    def one() -> None:
        held[0] = jax.block_until_ready(step(held[0]))

    seconds = _clocked(one)
    looking = _clocked(lambda: jax.block_until_ready(look(held[0])))
    return {"entries": math.prod(game.shape), "step": seconds, "look": looking, "peak_bytes": peak_memory()}


def _clocked(work: Callable[[], Any]) -> float:
    work()
    best, began, count = math.inf, time.process_time(), 0
    while count < 2 or (time.process_time() - began < 0.3 and count < 200):
        start = time.process_time()
        work()
        best, count = min(best, time.process_time() - start), count + 1
    return best


def run(quick: bool = False) -> list[dict[str, Any]]:
    """Print the table; return its rows."""
    from benchmarks.mean_field import ask

    table = Table(title="(m) CPU time a step of mirror descent, and a look at the exploitability, by |S|·|A|·H")
    for head in ("game", "data", "entries", "ms a step", "ns an entry", "ms a look", "peak GiB"):
        table.add_column(head, justify="left" if head in ("game", "data") else "right")
    rows: list[dict[str, Any]] = []
    for game in ("ring", "auction"):
        for dtype, top in (("float64", 6 if quick else 7), ("float32", 6 if quick else 8)):
            for found in ask([sys.executable, "-m", "benchmarks.mean_field_cost"], game=game, dtype=dtype, top=top):
                rows.append({"game": game, "dtype": dtype, **found})
                if "needs" in found:
                    table.add_row(game, dtype, f"{found['entries']:,}", f"needs about {found['needs'] / 2**30:.0f} GiB", "", "", "")
                    continue
                table.add_row(
                    game, dtype, f"{found['entries']:,}", f"{found['step'] * 1e3:.3g}",
                    f"{found['step'] / found['entries'] * 1e9:.3g}", f"{found['look'] * 1e3:.3g}", f"{found['peak_bytes'] / 2**30:.2f}",
                )  # fmt: skip
    Console(width=140).print(table)
    for game, dtype in dict.fromkeys((row["game"], row["dtype"]) for row in rows):
        chosen = [row for row in rows if (row["game"], row["dtype"]) == (game, dtype) and row["entries"] > 5e4 and "step" in row]
        if len(chosen) > 1:
            slope = np.polyfit(np.log([r["entries"] for r in chosen]), np.log([r["step"] for r in chosen]), 1)[0]
            last = math.log10(chosen[-1]["step"] / chosen[-2]["step"]) / math.log10(chosen[-1]["entries"] / chosen[-2]["entries"])
            print(
                f"{game}, {dtype}: time ~ entries^{slope:.3f} from {chosen[0]['entries']:,} to {chosen[-1]['entries']:,} entries "
                f"(past the caches, last decade: entries^{last:.3f})"
            )
    return rows


if __name__ == "__main__":
    json.dump(measure(json.load(sys.stdin)), sys.stdout)
