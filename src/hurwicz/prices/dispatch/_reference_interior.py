"""The optimum of a dispatch found by Clarabel, which is told every cost: for large grids with quadratic costs (simplex takes minutes).

One variable a line and one a cost segment, unlike the planner's program, and built from the case, not from :class:`DcNetwork`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from jaxtyping import Float64
from scipy import sparse

from hurwicz._foundation import FloatArray, InfeasibleError, SolverError


class Rows:
    """Rows of a sparse matrix, gathered one entry at a time."""

    def __init__(self) -> None:
        self.row: list[int] = []
        self.column: list[int] = []
        self.value: list[float] = []
        self.right: list[float] = []

    def add(self, entries: dict[int, float], right: float) -> None:
        """One more row: sum of entries against ``right``."""
        for column, value in entries.items():
            self.row.append(len(self.right))
            self.column.append(column)
            self.value.append(value)
        self.right.append(right)

    def matrix(self, columns: int) -> sparse.csc_matrix:
        """All rows so far."""
        return sparse.csc_matrix((self.value, (self.row, self.column)), shape=(len(self.right), columns))


def interior_optimum(
    units: list[tuple[int, float, float, tuple[str, Any]]],
    need: list[float],
    lines: list[tuple[int, int, float, float, float, float, float]],
    base: float,
) -> tuple[Float64[FloatArray, "units"], Float64[FloatArray, "buses"]]:
    """Outputs in MW and prices in $/MWh.

    Args:
        units: (bus, Pmin, Pmax, cost) with the cost as ("parabola", (c0, c1, c2)) or ("chords", [(slope, value), ...]).
        need: MW that each bus takes, phase shifters not counted.
        lines: (from, to, b in p.u., phi, rating in MW, least and greatest angle difference), radians.
        base: MVA of one p.u.
    """
    import clarabel

    count, buses = len(units), len(need)
    flow_at, angle_at = 2 * count, 2 * count + len(lines)
    columns = angle_at + buses
    equal, below = Rows(), Rows()
    balance: list[dict[int, float]] = [{} for _ in range(buses)]
    quadratic, linear = np.zeros(columns), np.zeros(columns)
    for k, (bus, low, high, (kind, data)) in enumerate(units):
        balance[bus][k] = 1.0
        below.add({k: 1.0}, high / base)
        below.add({k: -1.0}, -low / base)
        if kind == "parabola":
            quadratic[k], linear[k] = 2 * data[2] * base**2, data[1] * base
            equal.add({count + k: 1.0}, 0.0)
        else:
            linear[count + k] = 1.0
            for slope, value in data:
                below.add({k: slope * base, count + k: -1.0}, -value)
    for j, (f, t, b, phi, rating, least, most) in enumerate(lines):
        flow = flow_at + j
        if b == 0:
            equal.add({flow: 1.0}, 0.0)
        else:
            equal.add({flow: 1 / b, angle_at + f: -1.0, angle_at + t: 1.0}, -phi)
            balance[f][flow] = -1.0
            balance[t][flow] = 1.0
            if math.isfinite(rating):
                below.add({flow: 1.0}, rating / base)
                below.add({flow: -1.0}, rating / base)
        if math.isfinite(least):
            below.add({angle_at + t: 1.0, angle_at + f: -1.0}, -least)
        if math.isfinite(most):
            below.add({angle_at + f: 1.0, angle_at + t: -1.0}, most)
    first = len(equal.right)
    served = [bus for bus in range(buses) if balance[bus]]
    for bus in served:
        equal.add(balance[bus], need[bus] / base)
    top = np.array([abs(linear[k]) + quadratic[k] * max(abs(low), abs(high)) / base for k, (_, low, high, _) in enumerate(units)])
    money = float(np.median(top[top > 0])) if np.any(top > 0) else max(float(np.abs(linear).max(initial=0.0)), 1.0)
    settings = clarabel.DefaultSettings()
    settings.verbose, settings.max_threads = False, 1
    settings.tol_gap_abs, settings.tol_gap_rel, settings.tol_feas = 1e-12, 1e-12, 1e-10
    settings.equilibrate_max_iter, settings.equilibrate_min_scaling, settings.equilibrate_max_scaling = 50, 1e-6, 1e6
    A = sparse.vstack([equal.matrix(columns), below.matrix(columns)], format="csc")
    cones = [clarabel.ZeroConeT(len(equal.right)), clarabel.NonnegativeConeT(len(below.right))]
    P = sparse.diags(quadratic / money, format="csc")
    solved = clarabel.DefaultSolver(P, linear / money, A, np.array(equal.right + below.right), cones, settings).solve()
    status = str(solved.status)
    if "Infeasible" in status:
        raise InfeasibleError("no dispatch meets demand within the line limits (Clarabel)")
    if status not in ("Solved", "AlmostSolved"):
        raise SolverError(f"Clarabel stopped with {status}")
    price = np.full(buses, np.nan)
    price[served] = -np.array(solved.z)[first : first + len(served)] * money / base
    return np.array(solved.x)[:count] * base, price
