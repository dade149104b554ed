"""(b) Rounds and seconds to a relative gap of 1e-9, by dynamic and number of agents, with and without capacities."""

from __future__ import annotations

from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from hurwicz._foundation import InputError
from hurwicz.prices.populations import METHODS, ArrayPopulation, QuadraticLoss, population_dynamics


def _agents(n: int, *, capacities: bool) -> tuple[ArrayPopulation, QuadraticLoss]:
    """Quadratic costs, lambda in [.05, .15]; capacities in [.02, .2] bind for about two agents in five."""
    rng = np.random.default_rng(7)
    lam = rng.uniform(0.05, 0.15, n)
    bounds = {"lower": 0.0, "upper": rng.uniform(0.02, 0.2, n)} if capacities else {}
    return ArrayPopulation(lam, **bounds), QuadraticLoss(target=(0.08 if capacities else 0.1) * n)


def run(quick: bool = False) -> list[dict[str, Any]]:
    """Print the table; return its rows."""
    sizes = [10**2, 10**4, 10**6] if quick else [10**k for k in range(2, 8)]
    limit = 1.0 if quick else 10.0
    rows: list[dict[str, Any]] = []
    table = Table(title=f"(b) rounds / seconds to a relative gap of 1e-9 (a dash: not there after {limit:.0f} s; gap reached)")
    for head in ("capacities", "dynamic", *(f"N = {n:.0e}" for n in sizes)):
        table.add_column(head, justify="right" if "N" in head else "left")
    for method in METHODS:  # compile before the clock runs
        for capacities in (False, True):
            agents, loss = _agents(200, capacities=capacities)
            if not (capacities and method == "conjugate_gradient"):
                population_dynamics(agents, loss, method=method, max_rounds=3, throw=False)
    for capacities in (False, True):
        for method in METHODS:
            cells = []
            for n in sizes:
                agents, loss = _agents(n, capacities=capacities)
                try:
                    result = population_dynamics(agents, loss, method=method, max_seconds=limit, throw=False)
                except InputError:
                    cells.append("knows no bounds")
                    continue
                stats = result.stats
                cells.append(
                    f"{stats['rounds']:,} / {stats['seconds']:.3g}"
                    if result.status.ok
                    else f"– (gap {stats['gap']:.0e} at {stats['rounds']:,})"
                )
                rows.append({"capacities": capacities, "n": n, "converged": result.status.ok, **stats})
            table.add_row("yes" if capacities else "no", method + (" (default)" if method == "newton" else ""), *cells)
    Console(width=180).print(table)
    worst = max(row["rounds"] for row in rows if row["method"] == "newton")
    print(f"price Newton: at most {worst} rounds at every N ({'within' if worst <= 10 else 'OVER'} the limit of 10)")
    return rows
