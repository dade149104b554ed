"""(b) Rounds and seconds to 1e-9, by dynamic and number of agents, with and without capacities.

Twice: the population engine, which is told the costs' arrays and stops at a relative gap; and the planner, which only sees answers
and stops where they move by less than 1e-9 of themselves; its total loss is compared with that at the price which bisection finds.
Then the planner's default from random starts, over several seeds.
"""

from __future__ import annotations

import itertools
import time
from typing import Any

import numpy as np
from jaxtyping import Float64
from rich.console import Console
from rich.table import Table

from hurwicz._foundation import FloatArray, InputError
from hurwicz.prices import Accelerated, Anderson, Box, Broyden, Dynamics, PopulationAgent, PriceGraph, PriceNewton, SharingADMM, coordinate
from hurwicz.prices.populations import METHODS, ArrayPopulation, QuadraticLoss, population_dynamics
from hurwicz.valuations import Power, Quadratic

PLANNED: tuple[tuple[str, Dynamics], ...] = (
    ("price Newton (default)", PriceNewton()),
    ("Anderson", Anderson()),
    ("Broyden", Broyden()),
    ("sharing ADMM", SharingADMM()),
    ("accelerated", Accelerated()),
)
MOST_ROUNDS = 10


def _agents(n: int, *, capacities: bool) -> tuple[ArrayPopulation, QuadraticLoss]:
    """Quadratic costs, lambda in [.05, .15]; capacities in [.02, .2] bind for about two agents in five."""
    rng = np.random.default_rng(7)
    lam = rng.uniform(0.05, 0.15, n)
    bounds: dict[str, Any] = {"lower": 0.0, "upper": rng.uniform(0.02, 0.2, n)} if capacities else {}
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
    print(f"price Newton: at most {worst} rounds at every N ({'within' if worst <= MOST_ROUNDS else 'OVER'} the limit of {MOST_ROUNDS})")
    return rows + planned([size for size in sizes if size <= 10**6], limit) + from_random_starts([size for size in sizes if size <= 10**5])


def planned(sizes: list[int], limit: float) -> list[dict[str, Any]]:
    """The planner's table; a dynamic that took longer than ``limit`` at one size is not asked at the next, the default always is."""
    rows: list[dict[str, Any]] = []
    table = Table(
        title=f"(b) the planner: rounds / seconds (CPU seconds) to 1e-9; a gap: reached instead; a dash: over {limit:.0f} s before"
    )
    for head in ("costs", "capacities", "dynamic", *(f"N = {n:.0e}" for n in sizes)):
        table.add_column(head, justify="right" if "N" in head else "left")
    for exponent, capacities in ((2, False), (2, True), (4, False), (4, True)):
        for title, dynamics in PLANNED if exponent == 2 else PLANNED[:1]:
            cells, slow = [], False
            for n in sizes:
                if slow:
                    cells.append("–")
                    continue
                row = _planned(n, exponent, dynamics, capacities=capacities)
                rows.append({"method": title, **row})
                cells.append(
                    f"{row['rounds']:,} / {row['seconds']:.3g} ({row['cpu']:.3g})" + ("" if row["converged"] else f" gap {row['gap']:.0e}")
                )
                slow = row["seconds"] > limit and title != PLANNED[0][0]
            table.add_row(f"theta x^{exponent}", "yes" if capacities else "no", title, *cells)
    Console(width=180).print(table)
    default = [row for row in rows if row["method"] == PLANNED[0][0]]
    worst, off = max(row["rounds"] for row in default), sum(not row["converged"] for row in default)
    within = "within" if worst <= MOST_ROUNDS else "OVER"
    print(f"the planner's default from zero: at most {worst} rounds ({within} the limit of {MOST_ROUNDS})")
    print(f"runs of it whose total loss is still more than 1e-9 off the optimum: {off} of {len(default)}")
    return rows


def from_random_starts(sizes: list[int], seeds: int = 5) -> list[dict[str, Any]]:
    """Fewest and most rounds of the planner's default over ``seeds`` draws of types, capacities and first actions in [0, 2]."""
    rows: list[dict[str, Any]] = []
    table = Table(title=f"(b) the planner's default from random starts: fewest to most rounds to 1e-9 over {seeds} seeds")
    for head in ("costs", "capacities", *(f"N = {n:.0e}" for n in sizes)):
        table.add_column(head, justify="right" if "N" in head else "left")
    for exponent, capacities in itertools.product((1.5, 2, 3, 4), (False, True)):
        cells = []
        for n in sizes:
            found = [_planned(n, exponent, PriceNewton(), capacities=capacities, seed=seed, random_start=True) for seed in range(seeds)]
            rows += [{"method": "price Newton, random start", **row} for row in found]
            off = sum(not row["converged"] for row in found)
            rounds = [row["rounds"] for row in found]
            cells.append(f"{min(rounds)} to {max(rounds)}" + (f", {off} off" if off else ""))
        table.add_row(f"theta x^{exponent:g}", "yes" if capacities else "no", *cells)
    Console(width=180).print(table)
    print(f"the planner's default from random starts: at most {max(row['rounds'] for row in rows)} rounds")
    return rows


def _planned(n: int, exponent: float, dynamics: Dynamics, *, capacities: bool, seed: int = 7, random_start: bool = False) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    theta = rng.uniform(0.05, 0.15, n)
    capacity = rng.uniform(0.02, 0.2, n) if capacities else np.full(n, np.inf)
    target = (0.08 if capacities else 0.1) * n
    graph = PriceGraph()
    graph.population("h", n)
    graph.loss("miss", lambda h: (h.sum() - target) ** 2, ["h"])
    problem = graph.compile()
    agents = [PopulationAgent("h", Quadratic() if exponent == 2 else Power(float(exponent)), theta, Box(0.0, capacity))]
    start = {"h": rng.uniform(0.0, 2.0, n)} if random_start else None
    began, spent = time.perf_counter(), time.process_time()
    solution = coordinate(problem, agents, dynamics=dynamics, start=start, tol=1e-9, max_rounds=3000, raise_on_failure=False)
    seconds, cpu = time.perf_counter() - began, time.process_time() - spent
    best = _by_bisection(exponent, theta, capacity, target)
    least, reached = ((x.sum() - target) ** 2 + (theta * x**exponent).sum() for x in (best, solution.value.actions["h"]))
    gap = float(abs(reached / least - 1.0))
    return {
        "n": n, "exponent": exponent, "capacities": capacities, "rounds": solution.value.rounds, "seconds": seconds, "cpu": cpu,
        "gap": gap, "converged": solution.status.value == "optimum" and gap <= 1e-9,
    }  # fmt: skip


def _by_bisection(
    exponent: float, theta: Float64[FloatArray, " agents"], capacity: Float64[FloatArray, " agents"], target: float
) -> Float64[FloatArray, " agents"]:
    """x_i = min((p / (k theta_i))^(1/(k-1)), capacity_i) at the price p = 2 (target - sum x)."""
    low, high = 0.0, 2.0 * target
    answer = np.zeros_like(theta)
    # To the last digit of the price: a price that is small against the target moves everyone, and the total by N times as much.
    while low < (price := 0.5 * (low + high)) < high:
        answer = np.minimum((price / (exponent * theta)) ** (1.0 / (exponent - 1.0)), capacity)
        low, high = (price, high) if price < 2.0 * (target - answer.sum()) else (low, price)
    return answer
