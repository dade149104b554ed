"""(d) Clarke transfers of a million agents with capacities, checked on a sample by taking the agent out and optimising again."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from hurwicz.prices.populations import ArrayPopulation, QuadraticLoss, ShiftedLoss, clarke_transfers, price_newton


def reoptimised(agents: ArrayPopulation, loss: QuadraticLoss, i: int) -> float:
    """What the others lose by agent i's being at its opt-out 0: two solutions of the problem of all but i."""
    keep = np.arange(agents.size) != i
    rest = ArrayPopulation(agents.curvature[keep], lower=0.0, upper=agents.upper[keep], exponent=agents.exponent)
    x = float(agents.actions(price_newton(agents, loss, tolerance=1e-13).value.price, i, i + 1)[0])

    def others(supply: float) -> float:
        shifted = ShiftedLoss(loss, supply)
        clearing = price_newton(rest, shifted, tolerance=1e-13).value
        return float(shifted.value(clearing.aggregate)) + rest.private_cost(clearing.price)

    return others(0.0) - others(x)


def run(quick: bool = False) -> list[dict[str, Any]]:
    """Print the table; return its rows."""
    n, checks = (10**5, 3) if quick else (10**6, 8)
    rows = []
    table = Table(title=f"(d) Clarke transfers of all {n:.0e} agents")
    heads = ("cost", "seconds", "with the optimum", "breakpoints in the table", "total transfer", "linear prices' total")
    for head in (*heads, f"worst of {checks} re-optimised"):
        table.add_column(head, justify="right")
    for exponent in (2.0, 4.0):
        rng = np.random.default_rng(11)
        agents = ArrayPopulation(rng.uniform(0.5, 1.5, n), lower=0.0, upper=rng.uniform(0.2, 2.0, n), exponent=exponent)
        loss = QuadraticLoss(target=0.7 * n)
        few = ArrayPopulation(agents.curvature[:100], lower=0.0, upper=agents.upper[:100], exponent=exponent)
        clarke_transfers(few, QuadraticLoss(target=70.0))  # compile before the clock runs
        began = time.perf_counter()
        clearing = price_newton(agents, loss, tolerance=1e-13).value
        solved = time.perf_counter() - began
        result = clarke_transfers(agents, loss, clearing=clearing)
        whole = time.perf_counter() - began
        sample = rng.choice(n, checks, replace=False)
        worst = max(abs(float(result.value[i]) - reoptimised(agents, loss, int(i))) for i in sample)
        row = {
            "n": n, "exponent": exponent, "seconds": whole - solved, "seconds_with_optimum": whole,
            "breakpoints": result.stats["breakpoints"],
            "total": float(result.value.sum()), "linear_total": clearing.price * clearing.aggregate, "worst_difference": worst,
        }  # fmt: skip
        rows.append(row)
        table.add_row(
            f"lambda x^{exponent:g}", f"{row['seconds']:.2f}", f"{whole:.2f}", str(row["breakpoints"]), f"{row['total']:.6e}",
            f"{row['linear_total']:.6e}", f"{worst:.1e}",
        )  # fmt: skip
    Console(width=150).print(table)
    return rows
