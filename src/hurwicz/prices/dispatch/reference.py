"""The optimum of a dispatch found by HiGHS, which is told every cost: a second route, sharing no model code with the planner.

Bus angles and outputs are the only variables, in MW and radians; lines are rows of their own, parallel ones too.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from hurwicz._foundation import FloatArray, InfeasibleError, InputError, SolverError
from hurwicz.formats import MatpowerCase


@dataclass(frozen=True)
class ReferenceOptimum:
    """What the independent solver found.

    Attributes:
        objective: $/h, fixed costs included.
        output: MW of each unit in service, in the file's order.
        price: $/MWh at each bus that is not isolated, in the file's order.
        seconds: in the solver.
    """

    objective: float
    output: FloatArray
    price: FloatArray
    seconds: float


def reference_optimum(case: MatpowerCase, network: str = "powermodels", *, tol: float = 1e-9) -> ReferenceOptimum:
    """Least cost of a case by HiGHS, all costs known.

    Linear and piecewise-linear costs go in as they are. Quadratic ones are cut from below by tangents, and cuts are added where the
    optimum lies until the cost above the tangents is within ``tol``; so the bound and the point are both certified by simplex runs.

    Args:
        case: the grid.
        network: ``"powermodels"`` or ``"matpower"``.
        tol: relative gap between the cost of the point and the tangents' bound.

    Raises:
        InfeasibleError: HiGHS finds no dispatch.
        SolverError: HiGHS stops for another reason.

    Example:
        >>> from hurwicz.formats import packaged_case
        >>> round(reference_optimum(packaged_case("case118_ieee")).objective, 3)
        93100.73
    """
    model = _Model(case, network)
    started = time.perf_counter()
    for _ in range(60):
        objective, output, bound = model.solve()
        if objective - bound <= tol * max(abs(objective), 1e-12):
            return ReferenceOptimum(objective, output, model.prices(), time.perf_counter() - started)
        model.cut(output)
    raise SolverError(f"tangents left a gap of {objective - bound:.3g} $/h after 60 runs", reached=objective)


class _Model:
    """The linear program with tangents, kept in HiGHS so that every run starts from the last basis."""

    def __init__(self, case: MatpowerCase, network: str) -> None:
        import highspy

        if network not in ("powermodels", "matpower"):
            raise InputError(f"network: expected powermodels or matpower, got {network!r}")
        self.highspy: Any = highspy
        base = case.base_mva
        where = {float(number): k for k, number in enumerate(case.bus.number[case.bus.kind != 4].tolist())}
        kept = np.flatnonzero(case.bus.kind != 4)
        self.buses = len(kept)
        self.units = [u for u in range(len(case.gen.bus)) if case.gen.status[u] > 0 and float(case.gen.bus[u]) in where]
        self.costs = [_cost_rows(case, u) for u in self.units]
        count = len(self.units)
        solver = highspy.Highs()
        solver.setOptionValue("output_flag", False)
        solver.setOptionValue("threads", 1)
        for option in ("primal_feasibility_tolerance", "dual_feasibility_tolerance"):
            solver.setOptionValue(option, 1e-9)
        inf = highspy.kHighsInf
        # columns: outputs (MW), costs ($/h), angles (radians)
        low = [float(case.gen.pmin[u]) for u in self.units] + [-inf] * (count + self.buses)
        high = [float(case.gen.pmax[u]) for u in self.units] + [inf] * (count + self.buses)
        for k, cost in enumerate(self.costs):
            low[count + k] = _least(cost, low[k], high[k])
        if self.buses:
            low[2 * count] = high[2 * count] = 0.0
        solver.addVars(len(low), np.array(low), np.array(high))
        columns = np.arange(count, 2 * count, dtype=np.int32)
        solver.changeColsCost(count, columns, np.ones(count))
        balance: list[dict[int, float]] = [{} for _ in range(self.buses)]
        need = (case.bus.pd[kept] + case.bus.gs[kept]).tolist()
        rows: list[tuple[float, float, dict[int, float]]] = []
        for k, u in enumerate(self.units):
            balance[where[float(case.gen.bus[u])]][k] = 1.0
        branch = case.branch
        for line in range(len(branch.f_bus)):
            f, t = where.get(float(branch.f_bus[line])), where.get(float(branch.t_bus[line]))
            if branch.status[line] <= 0 or f is None or t is None:
                continue
            r, x = float(branch.r[line]), float(branch.x[line])
            at_f, at_t = 2 * count + f, 2 * count + t
            phi = 0.0
            if network == "powermodels":
                b = base * x / (r * r + x * x)
                least, most = float(branch.angmin[line]), float(branch.angmax[line])
                least = -60.0 if least <= -90 or (least == 0 and most == 0) else least
                most = 60.0 if most >= 90 or (branch.angmin[line] == 0 and most == 0) else most
                rows.append((math.radians(least), math.radians(most), {at_f: 1.0, at_t: -1.0}))
            else:
                b = base / (x * (float(branch.ratio[line]) or 1.0))
                phi = math.radians(float(branch.shift[line]))
            if b:
                for bus, sign in ((f, -1.0), (t, 1.0)):
                    for column, value in ((at_f, sign * b), (at_t, -sign * b)):
                        balance[bus][column] = balance[bus].get(column, 0.0) + value
                    need[bus] += sign * b * phi
                rate = float(branch.rate_a[line])
                if rate > 0:
                    rows.append((-rate / abs(b) + phi, rate / abs(b) + phi, {at_f: 1.0, at_t: -1.0}))
        rows = [(value, value, row) for value, row in zip(need, balance, strict=True)] + rows
        self._add_rows(solver, rows)
        self.solver = solver
        tangents = []
        for k, (kind, data) in enumerate(self.costs):
            if kind == "chords":
                tangents += [(k, slope, value) for slope, value in data]
            else:
                bottom, top = low[k], high[k]
                spots = {bottom, top} if math.isfinite(top) else {bottom}
                if data[2] > 0 and math.isfinite(top):
                    spots |= {bottom + (top - bottom) * share / 4 for share in (1, 2, 3)}
                tangents += [_tangent(k, data, spot) for spot in (sorted(spots) if data[2] > 0 else [bottom])]
        self._add_tangents(tangents)

    def _add_rows(self, solver: Any, rows: list[tuple[float, float, dict[int, float]]]) -> None:
        start = np.cumsum([0] + [len(row) for _, _, row in rows])[:-1].astype(np.int32)
        index = np.array([column for _, _, row in rows for column in row], dtype=np.int32)
        value = np.array([v for _, _, row in rows for v in row.values()], dtype=np.float64)
        low, high = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
        solver.addRows(len(rows), low, high, len(value), start, index, value)

    def _add_tangents(self, tangents: list[tuple[int, float, float]]) -> None:
        count, inf = len(self.units), self.highspy.kHighsInf
        self._add_rows(self.solver, [(value, inf, {count + k: 1.0, k: -slope}) for k, slope, value in tangents])

    def solve(self) -> tuple[float, FloatArray, float]:
        """Cost of the point, the point, and the tangents' bound."""
        self.solver.run()
        status = self.solver.getModelStatus()
        kinds = self.highspy.HighsModelStatus
        if status in (kinds.kInfeasible, kinds.kUnboundedOrInfeasible):
            raise InfeasibleError("no dispatch meets demand within the line limits (HiGHS)")
        if status != kinds.kOptimal:
            raise SolverError(f"HiGHS stopped with {self.solver.modelStatusToString(status)}")
        values = np.array(self.solver.getSolution().col_value)
        output = values[: len(self.units)]
        exact = sum(_exact(cost, x) for cost, x in zip(self.costs, output.tolist(), strict=True))
        return float(exact), output, float(self.solver.getInfo().objective_function_value)

    def cut(self, output: FloatArray) -> None:
        """Tangents where the optimum lies."""
        at = enumerate(zip(self.costs, output.tolist(), strict=True))
        self._add_tangents([_tangent(k, data, x) for k, ((kind, data), x) in at if kind != "chords" and data[2] > 0])

    def prices(self) -> FloatArray:
        """Duals of the balance at each bus."""
        return np.array(self.solver.getSolution().row_dual[: self.buses])


def _cost_rows(case: MatpowerCase, unit: int) -> tuple[str, Any]:
    """("chords", lines below the cost) or ("parabola", (c0, c1, c2))."""
    table = case.gencost
    count = int(table.ncost[unit])
    data = table.data[unit].tolist()
    if table.model[unit] == 1:
        mw, cost = data[0 : 2 * count : 2], data[1 : 2 * count : 2]
        slopes = [(cost[j + 1] - cost[j]) / (mw[j + 1] - mw[j]) for j in range(count - 1)]
        return "chords", [(slope, cost[j] - slope * mw[j]) for j, slope in enumerate(slopes)]
    coefficients = [*reversed(data[:count]), 0.0, 0.0, 0.0]
    if any(coefficients[3:]):
        raise InputError(f"generator {unit + 1}: the reference solver takes polynomials up to degree 2; ask for reference=False")
    return "parabola", tuple(coefficients[:3])


def _least(cost: tuple[str, Any], low: float, high: float) -> float:
    """A lower bound on the cost between the limits, so that the linear program is bounded."""
    kind, data = cost
    spots = [low, high]
    if kind == "chords":
        return float(min(max(slope * x + value for slope, value in data) for x in spots) - sum(abs(s) for s, _ in data) * (high - low))
    if data[2] > 0:
        spots.append(min(max(-data[1] / (2 * data[2]), low), high))
    return min(_exact(cost, x) for x in spots)


def _tangent(k: int, data: tuple[float, float, float], at: float) -> tuple[int, float, float]:
    c0, c1, c2 = data
    return k, c1 + 2 * c2 * at, c0 - c2 * at * at


def _exact(cost: tuple[str, Any], output: float) -> float:
    kind, data = cost
    if kind == "chords":
        return float(max(slope * output + value for slope, value in data))
    return float(data[0] + output * (data[1] + output * data[2]))
