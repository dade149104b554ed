"""(m) The staircase of setting A1, and the ways across it: the same steps from first price, far from the best rule.

At little entropy, revenue as a function of the rule has steps that no derivative sees. Each way learns a table of payments and quantities
from first price with equal shares a round, by Adam from the same rate; what it found is measured at its equilibrium at the problem's own
tau, on the problem's own grid and on a finer one where that is what was learned on. The best posted price is what there is to reach.
"""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console
from rich.table import Table

_GRID, _TAU, _RATE = 20, 5e-3, 0.2


def run(quick: bool = False) -> list[dict[str, Any]]:
    """Print the table; return its rows."""
    steps = 10 if quick else 60
    ways: dict[str, dict[str, Any]] = {
        "the gradient as it is": {},
        "more entropy at first (tau_start = 0.1)": {"tau_start": 0.1},
        "averaged over nearby rules (smoothing = 0.5)": {"smoothing": 0.5},
        "both": {"tau_start": 0.1, "smoothing": 0.5},
        f"a grid of {2 * _GRID}": {"grid": 2 * _GRID},
    }
    rows = [_posted(), *(_learned(name, steps=steps, **how) for name, how in ways.items())]
    table = Table(title=f"(m) A1 on a grid of {_GRID}, tau = {_TAU:g}: {steps} steps from first price, float64")
    for head in ("way", "revenue", "at the start", "exploitability", "CPU seconds (compiling in)"):
        table.add_column(head, justify="left" if head == "way" else "right")
    for row in rows:
        start = "–" if row["start"] is None else f"{row['start']:.5f}"
        table.add_row(row["way"], f"{row['revenue']:.5f}", start, f"{row['exploitability']:.1e}", f"{row['cpu']:.3g}")
    Console(width=140).print(table)
    return rows


def _posted() -> dict[str, Any]:
    from hurwicz.designers import best_posted_prices
    from hurwicz.meanfield import auction_setting

    began = time.process_time()
    found = best_posted_prices(auction_setting("A1", grid=_GRID), pieces=1, tau=_TAU, iterations=200).value
    spent = time.process_time() - began
    return {
        "way": "best posted price",
        "revenue": found.objective,
        "start": None,
        "exploitability": found.exploitability,
        "cpu": spent,
        "steps": 0,
    }


def _learned(way: str, *, steps: int, grid: int = _GRID, tau_start: float | None = None, smoothing: float = 0.0) -> dict[str, Any]:
    import jax.numpy as jnp
    import optax

    from hurwicz._foundation import float64_scope
    from hurwicz.designers import auction_problem, falling_entropy, meanfield_adjoint
    from hurwicz.meanfield import TableRule, auction_setting, first_price_head

    setting = auction_setting("A1", grid=grid)
    rounds = setting.auction.rounds
    with float64_scope():
        start = first_price_head(grid, 1.0 / (rounds - jnp.arange(rounds)), softness=0.02)
    problem = auction_problem(setting, TableRule(grid), tau=_TAU, iterations=200, start=lambda _key: start)
    began = time.process_time()
    found = meanfield_adjoint(
        problem,
        steps=steps,
        optimiser=optax.adam(optax.cosine_decay_schedule(_RATE, steps)),
        entropy=None if tau_start is None else falling_entropy(tau_start, _TAU, steps=steps, settled=0.5),
        smoothing=smoothing,
    ).value
    return {
        "way": way,
        "revenue": found.objective,
        "start": float(found.history[0]),
        "exploitability": found.exploitability,
        "cpu": time.process_time() - began,
        "steps": steps,
    }
