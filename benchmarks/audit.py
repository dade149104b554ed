"""(g) The auditor: exhaustive DSIC of single-item rules."""

from __future__ import annotations

import itertools
import time
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.machine import times
from hurwicz.audits import Effort, Verdict, audit
from hurwicz.audits.deviation_kernels import best_misreports
from hurwicz.mechanisms.single_item import first_price, second_price
from hurwicz.typespaces import FinitePrior


def run(quick: bool = False) -> list[dict[str, Any]]:
    """Print the table; return its rows."""
    table = Table(title="(g) DSIC of single-item rules, every profile, type and misreport; wall time with the table of outcomes")
    for head in ("rule", "bidders", "values", "profiles", "checks", "verdict", "seconds", "checks/s", "loop alone, checks/s"):
        table.add_column(head, justify="right")
    best_misreports(np.ones((2, 1)), np.zeros((1, 2, 4)), np.zeros((2, 4)))  # compile before the clock runs
    rows = []
    for make, bidders, values in itertools.product((second_price, first_price), (2, 3, 5), (10, 40, 150)):
        profiles = float(values) ** bidders
        if profiles > (2e5 if quick else 5e6):
            continue
        mechanism = make(bidders, prior=FinitePrior(np.linspace(0.0, 1.0, values)))
        began = time.perf_counter()
        (finding,) = audit(mechanism, ["DSIC"], effort=Effort(seconds=600.0))
        took = time.perf_counter() - began
        holds = finding.verdict is Verdict.PROVED
        if holds != (make is second_price) or finding.method != "exhaustive":
            raise AssertionError(f"{mechanism.name} with {bidders} bidders: {finding.verdict}, {finding.method}")
        checks = finding.effort["deviations"] if "deviations" in finding.effort else int(profiles * values * bidders)
        row = {
            "rule": mechanism.name, "bidders": bidders, "values": values, "profiles": int(profiles), "checks": checks,
            "verdict": finding.verdict.value, "seconds": took, "checks_per_second": checks / took,
            "loop_checks_per_second": _loop(values, bidders),
        }  # fmt: skip
        rows.append(row)
        table.add_row(
            row["rule"], str(bidders), str(values), f"{int(profiles):,}", f"{checks:,}", row["verdict"], f"{took:.3f}",
            f"{row['checks_per_second']:.2e}", f"{row['loop_checks_per_second']:.2e}",
        )  # fmt: skip
    Console(width=150).print(table)
    return rows


def _loop(values: int, bidders: int) -> float:
    """Checks a second of the compiled loop on a table of that size (at most 2e7 entries), without making the table."""
    others = max(1, min(values ** (bidders - 1), 20_000_000 // values))
    rng = np.random.default_rng(0)
    types = np.linspace(0.0, 1.0, values)[:, None]
    shares, paid = rng.random((1, values, others)), rng.random((values, others))
    took = min(times(lambda: best_misreports(types, shares, paid), repeats=5, seconds=2.0))
    return values * values * others / took
