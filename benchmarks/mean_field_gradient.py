"""(l) Memory and time of one gradient of revenue through a mean-field equilibrium, against the horizon: the paper's Table 2.

Setting A1 with the learned network rule (about 2e5 weights), 100 values and bids, 400 steps of mirror descent at rate 10 and tau = 1e-3, by
reverse mode through every step, with checkpoints, and implicitly at the last iterate. Memory is what the compiled program asks for besides
its arguments, and by how much the process grew at its largest. One process each; a program that needs more than half of the free memory is
compiled and not run. Paper (one H100): with its adjoint .09 s and 560 MiB at H = 5, .21 / 586 at 10, .67 / 826 at 25, 1.72 / 1076 at 50;
naive backpropagation 2760, 8746 and 16960 MiB, then out of memory.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.machine import free_memory, peak_memory

WAYS = ("unrolled", "checkpointed", "implicit")
_PAPER = {5: (0.09, 560, "2760"), 10: (0.21, 586, "8746"), 25: (0.67, 826, "16960"), 50: (1.72, 1076, "out of memory")}
_MIB = 2**20


def measure(question: dict[str, Any]) -> dict[str, Any]:
    """One gradient in this process."""
    import jax
    import jax.numpy as jnp

    from hurwicz._foundation import float64_scope
    from hurwicz.designers import EquilibriumMap
    from hurwicz.meanfield import NetworkRule, auction_setting

    with float64_scope():
        setting = auction_setting("A1", rounds=question["horizon"])
        auction = setting.auction
        rule = NetworkRule(auction.grid, auction.rounds)
        game = auction.game(rule)
        weights = jax.tree.map(jnp.asarray, rule.init(jax.random.key(0)))
        equilibrium = EquilibriumMap(setting.tau, setting.rate, question["steps"], question["way"])
        began = time.process_time()
        gradient = jax.jit(jax.grad(lambda w: auction.revenue(rule, equilibrium(game, w), w)))
        compiled = gradient.lower(weights).compile()
        compiling = time.process_time() - began
        asked = compiled.memory_analysis().temp_size_in_bytes
        answer: dict[str, Any] = {"compiling": compiling, "compiled_bytes": asked, "weights": sum(x.size for x in jax.tree.leaves(weights))}
        if asked > 0.5 * free_memory():
            return answer
        before = peak_memory()
        began, spent = time.perf_counter(), time.process_time()
        found = jax.block_until_ready(compiled(weights))
        answer |= {"seconds": time.perf_counter() - began, "cpu": time.process_time() - spent, "grew_bytes": peak_memory() - before}
        answer["finite"] = all(bool(jnp.isfinite(x).all()) for x in jax.tree.leaves(found))
        answer["largest"] = max(float(jnp.abs(x).max()) for x in jax.tree.leaves(found))
    return answer


def run(quick: bool = False) -> list[dict[str, Any]]:
    """Print the table; return its rows."""
    from benchmarks.mean_field import ask

    steps, horizons = (100, (5, 10)) if quick else (400, (5, 10, 25, 50))
    table = Table(title=f"(l) one gradient of A1, {steps} steps, float64: CPU seconds (compiling), MiB compiled / grown; n.r.: not run")
    table.add_column("H", justify="right")
    for head in WAYS:
        table.add_column(head, justify="right")
    table.add_column("paper, adjoint", justify="right")
    table.add_column("paper, naive", justify="right")
    rows = []
    for horizon in horizons:
        cells = []
        for way in WAYS:
            found = ask([sys.executable, "-m", "benchmarks.mean_field_gradient"], horizon=horizon, steps=steps, way=way)
            rows.append({"horizon": horizon, "steps": steps, "way": way, **found})
            clock = f"{found['cpu']:.3g} s" if "cpu" in found else "n.r."
            grown = f"{found['grew_bytes'] / _MIB:,.0f}" if "grew_bytes" in found else "–"
            cells.append(f"{clock} ({found['compiling']:.3g} s), {found['compiled_bytes'] / _MIB:,.0f} / {grown}")
        seconds, adjoint, naive = _PAPER[horizon]
        table.add_row(str(horizon), *cells, f"{seconds:g} s, {adjoint}", naive)
    Console(width=200).print(table)
    kept = {(row["horizon"], row["way"]): row["compiled_bytes"] for row in rows}
    first, last = horizons[0], horizons[-1]
    print(
        f"memory from H = {first} to {last}: checkpointed x {kept[last, 'checkpointed'] / kept[first, 'checkpointed']:.3g}, unrolled x "
        f"{kept[last, 'unrolled'] / kept[first, 'unrolled']:.3g}; unrolled over checkpointed at H = {last}: "
        f"{kept[last, 'unrolled'] / kept[last, 'checkpointed']:.3g}"
    )
    return rows


if __name__ == "__main__":
    json.dump(measure(json.load(sys.stdin)), sys.stdout)
