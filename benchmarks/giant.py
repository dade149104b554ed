"""(c) Ten thousand million agents with capacities, coordinated to 1e-9, and the integral that their mean action must equal.

Agents: cost lambda_i x², capacity c_i, lambda uniform on [.5, 1.5], c uniform on [.2, 2], planner's loss (sum x - .7 N)².
It runs in a process of its own, so that its memory is its own.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.machine import peak_memory
from hurwicz.prices.populations import GeneratedPopulation, QuadraticLoss, UniformTypes, price_newton

_TYPES = UniformTypes(curvature=(0.5, 1.5), capacity=(0.2, 2.0))
_SHARE = 0.7


def limit_price(size: int, exponent: float = 2.0) -> float:
    """The price at which N times the integral of the response meets the planner: p + 2 N (m(p) - .7) = 0."""
    from scipy.optimize import brentq

    return float(brentq(lambda p: p / (2.0 * size) + _TYPES.mean_response(p, exponent) - _SHARE, 1e-6, 20.0, xtol=1e-15, rtol=1e-14))


def measure(size: int, design: str, exponent: float = 2.0) -> dict[str, Any]:
    """One run; the figures of the table."""
    small = GeneratedPopulation(100_000, _TYPES, design=design, exponent=exponent)  # type: ignore[arg-type]
    price_newton(small, QuadraticLoss(_SHARE * small.size))  # compile before the clock runs
    crowd = GeneratedPopulation(size, _TYPES, design=design, exponent=exponent)  # type: ignore[arg-type]
    began = time.perf_counter()

    def report(rounds: int, price: float, step: float) -> None:
        print(
            f"  {design}: round {rounds}, price {price:.15f}, relative step {step:.1e}, {time.perf_counter() - began:.1f} s",
            file=sys.stderr,
        )

    found = price_newton(crowd, QuadraticLoss(_SHARE * size), tolerance=1e-9, progress=report)
    seconds = time.perf_counter() - began
    value, mean = found.value, _TYPES.mean_response(found.value.price, exponent)
    spread = _deviation(value.price, exponent)
    allowed = spread * 6.0 / math.sqrt(size) if design == "hash" else 4.0 * math.log(max(size, 3)) ** 2 / size + 2.0**-33
    return {
        "n": size, "design": design, "exponent": exponent, "seconds": seconds, "rounds": found.stats["rounds"],
        "sample_rounds": found.stats["sample_rounds"], "price": value.price, "limit_price": limit_price(size, exponent),
        "relative_mismatch": abs(value.mismatch) / (value.price + 2.0 * value.slope), "step": found.stats["step"], "gap": value.gap,
        "mean_action": value.aggregate / size, "integral": mean, "difference": value.aggregate / size - mean, "allowed": allowed,
        "peak_gib": peak_memory() / 2**30,
    }  # fmt: skip


def _deviation(price: float, exponent: float) -> float:
    """Standard deviation of one agent's action, from a sample."""
    actions = GeneratedPopulation(1_000_000, _TYPES, exponent=exponent).actions(price)
    return float(actions.std())


def run(quick: bool = False) -> list[dict[str, Any]]:
    """Print the table; return its rows."""
    size = 10**8 if quick else 10**10
    table = Table(title=f"(c) {size:.0e} generated agents with capacities to 1e-9 relative")
    for head in (
        "design",
        "kappa",
        "seconds",
        "full rounds (+ on a sample)",
        "last step",
        "mean action - integral",
        "allowed",
        "peak memory",
    ):
        table.add_column(head, justify="left" if head == "design" else "right")
    rows = []
    for design, exponent in (("weyl", 2.0), ("hash", 2.0), ("weyl", 4.0)):
        command = [
            sys.executable,
            "-c",
            f"import json, benchmarks.giant as g; print(json.dumps(g.measure({size}, {design!r}, {exponent})))",
        ]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1])
        row = json.loads(done.stdout)
        rows.append(row)
        table.add_row(
            design, f"{exponent:g}", f"{row['seconds']:.1f}", f"{row['rounds']} (+{row['sample_rounds']})", f"{row['step']:.1e}",
            f"{row['difference']:+.1e}", f"{row['allowed']:.1e}", f"{row['peak_gib']:.2f} GiB",
        )  # fmt: skip
        if abs(row["difference"]) > row["allowed"]:
            raise AssertionError(
                f"giant: mean action {row['mean_action']} differs from the integral {row['integral']} by more than {row['allowed']}"
            )
    Console(width=140).print(table)
    first = rows[0]
    away = first["price"] / first["limit_price"] - 1.0
    print(f"price {first['price']:.12f}; from the integral alone {first['limit_price']:.12f} (relative difference {away:+.1e})")
    return rows
