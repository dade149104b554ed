"""The optimum of a dispatch by a solver that is told every cost: a second route, sharing no model code with the planner.

For HiGHS bus angles, outputs and costs are the only variables, in MW, radians and $/h; lines are rows of their own, parallel ones too.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray, InfeasibleError, InputError, SolverError
from hurwicz.formats import MatpowerCase
from hurwicz.prices.dispatch._reference_interior import interior_optimum


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
    output: Float64[FloatArray, "units"]
    price: Float64[FloatArray, "buses"]
    seconds: float


def reference_optimum(case: MatpowerCase, network: str = "powermodels", *, solver: str = "auto", tol: float = 1e-10) -> ReferenceOptimum:
    """Least cost of a case, all costs known: min sum_i C_i(x_i) over outputs, flows and angles.

    ``"highs"``: linear and piecewise-linear costs go in as they are; quadratic ones are cut from below by tangents, and cuts are
    added where the optimum lies until the cost above them is within ``tol``, so simplex runs certify both the bound and the point.
    ``"clarabel"``: one interior-point run on the quadratic program. ``"auto"``: HiGHS, but Clarabel for quadratic costs on more than
    500 buses.

    Args:
        case: the grid.
        network: ``"powermodels"`` or ``"matpower"``.
        solver: ``"auto"``, ``"highs"`` or ``"clarabel"``.
        tol: relative gap between the cost of the point and the tangents' bound.

    Raises:
        InfeasibleError: the solver finds no dispatch.
        SolverError: it stops for another reason.

    Example:
        >>> from hurwicz.formats import packaged_case
        >>> round(reference_optimum(packaged_case("case118_ieee")).objective, 3)
        93100.73
    """
    if solver not in ("auto", "highs", "clarabel"):
        raise InputError(f"solver: expected auto, highs or clarabel, got {solver!r}")
    data = _Data(case, network)
    shapes = {unit[3][0] for unit in data.units}
    curved = any(kind == "parabola" and c[2] > 0 for _, _, _, (kind, c) in data.units)
    started = time.perf_counter()
    if solver == "clarabel" and "polynomial" in shapes:
        raise InputError("solver: expected highs or auto for polynomial costs beyond degree 2, got clarabel")
    if solver == "clarabel" or (solver == "auto" and curved and len(data.need) > 500 and "polynomial" not in shapes):
        output, price = interior_optimum(data.units, data.need, data.lines, case.base_mva)
        return ReferenceOptimum(data.cost(output), output, price, time.perf_counter() - started)
    model = _Tangents(data, case.base_mva)
    for _ in range(60):
        output, bound = model.solve()
        objective = data.cost(output)
        if objective - bound <= tol * max(abs(objective), 1e-12):
            return ReferenceOptimum(objective, output, model.prices(), time.perf_counter() - started)
        model.cut(output)
    raise SolverError(f"tangents left a gap of {objective - bound:.3g} $/h after 60 runs", reached=objective)


class _Data:
    """The case as plain lists: units, what each bus needs, lines."""

    def __init__(self, case: MatpowerCase, network: str) -> None:
        if network not in ("powermodels", "matpower"):
            raise InputError(f"network: expected powermodels or matpower, got {network!r}")
        kept = np.flatnonzero(case.bus.kind != 4)
        where = {float(number): k for k, number in enumerate(case.bus.number[kept].tolist())}
        self.need = (case.bus.pd[kept] + case.bus.gs[kept]).tolist()
        gen, branch = case.gen, case.branch
        running = [u for u in range(len(gen.bus)) if gen.status[u] > 0 and float(gen.bus[u]) in where]
        least = float(gen.pmin[running].sum())
        spare = sum(self.need) - least  # all that an unlimited unit can have to give above its own Pmin
        tops = np.where(gen.pmax >= 1e10, np.maximum(gen.pmin + spare, gen.pmin), gen.pmax)
        ends = [(float(gen.pmin[u]), float(tops[u])) for u in running]
        self.units = [(where[float(gen.bus[u])], *end, _cost_rows(case, u)) for u, end in zip(running, ends, strict=True)]
        self.lines: list[tuple[int, int, float, float, float, float, float]] = []
        for line in np.flatnonzero(branch.status > 0).tolist():
            f, t = where.get(float(branch.f_bus[line])), where.get(float(branch.t_bus[line]))
            if f is None or t is None:
                continue
            r, x = float(branch.r[line]), float(branch.x[line])
            rating = float(branch.rate_a[line])
            rating = rating if 0 < rating < 1e10 else math.inf
            if network == "powermodels":
                least, most = float(branch.angmin[line]), float(branch.angmax[line])
                none = least == 0 and most == 0
                least = -60.0 if least <= -90 or none else least
                most = 60.0 if most >= 90 or none else most
                self.lines.append((f, t, x / (r * r + x * x), 0.0, rating, math.radians(least), math.radians(most)))
            else:
                tap = float(branch.ratio[line]) or 1.0
                self.lines.append((f, t, 1 / (x * tap), math.radians(float(branch.shift[line])), rating, -math.inf, math.inf))

    def cost(self, output: Float64[FloatArray, "units"]) -> float:
        """$/h of these outputs."""
        return float(sum(_exact(unit[3], x) for unit, x in zip(self.units, output.tolist(), strict=True)))


class _Tangents:
    """The linear program with tangents, kept in HiGHS so that every run starts from the last basis."""

    def __init__(self, data: _Data, base: float) -> None:
        import highspy

        self.highspy: Any = highspy
        self.units = data.units
        self.buses = len(data.need)
        count = len(data.units)
        solver = highspy.Highs()
        solver.setOptionValue("output_flag", False)
        solver.setOptionValue("threads", 1)
        for option in ("primal_feasibility_tolerance", "dual_feasibility_tolerance"):
            solver.setOptionValue(option, 1e-9)
        inf = highspy.kHighsInf
        # columns: outputs (MW), costs ($/h), angles (radians); the first angle is 0, costs are bounded below so that no run is unbounded
        low = np.array([unit[1] for unit in data.units] + [_least(unit[3], unit[1], unit[2]) for unit in data.units] + [-inf] * self.buses)
        high = np.array([unit[2] for unit in data.units] + [inf] * (count + self.buses))
        low[2 * count] = high[2 * count] = 0.0
        solver.addVars(len(low), low, high)
        solver.changeColsCost(count, np.arange(count, 2 * count, dtype=np.int32), np.ones(count))
        balance: list[dict[int, float]] = [{} for _ in range(self.buses)]
        need = list(data.need)
        limits: list[tuple[float, float, dict[int, float]]] = []
        for k, unit in enumerate(data.units):
            balance[unit[0]][k] = 1.0
        for f, t, b, phi, rating, least, most in data.lines:
            at_f, at_t = 2 * count + f, 2 * count + t
            difference = {at_f: 1.0, at_t: -1.0}
            for bus, sign in ((f, -1.0), (t, 1.0)):
                for column, value in ((at_f, sign * b * base), (at_t, -sign * b * base)):
                    balance[bus][column] = balance[bus].get(column, 0.0) + value
                need[bus] += sign * b * base * phi
            if b and math.isfinite(rating):
                reach = rating / abs(b * base)
                limits.append((phi - reach, phi + reach, difference))
            if math.isfinite(least) or math.isfinite(most):
                limits.append((least, most, difference))
        self.solver = solver
        self._add_rows([(value, value, row) for value, row in zip(need, balance, strict=True)] + limits)
        tangents: list[tuple[int, float, float]] = []
        for k, (_, bottom, top, (kind, cost)) in enumerate(data.units):
            if kind == "chords":
                tangents += [(k, slope, value) for slope, value in cost]
            elif _curved(cost):
                tangents += [_tangent(k, cost, bottom + (top - bottom) * share / 4) for share in range(5)]
            else:
                tangents.append(_tangent(k, cost, bottom))
        self._add_tangents(tangents)

    def _add_rows(self, rows: list[tuple[float, float, dict[int, float]]]) -> None:
        start = np.cumsum([0] + [len(row) for _, _, row in rows])[:-1].astype(np.int32)
        index = np.array([column for _, _, row in rows for column in row], dtype=np.int32)
        value = np.array([v for _, _, row in rows for v in row.values()], dtype=np.float64)
        low, high = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
        self.solver.addRows(len(rows), low, high, len(value), start, index, value)

    def _add_tangents(self, tangents: list[tuple[int, float, float]]) -> None:
        count, inf = len(self.units), self.highspy.kHighsInf
        self._add_rows([(value, inf, {count + k: 1.0, k: -slope}) for k, slope, value in tangents])

    def solve(self) -> tuple[Float64[FloatArray, "units"], float]:
        """The point and the tangents' bound."""
        self.solver.run()
        status = self.solver.getModelStatus()
        kinds = self.highspy.HighsModelStatus
        if status in (kinds.kInfeasible, kinds.kUnboundedOrInfeasible):
            raise InfeasibleError("no dispatch meets demand within the line limits (HiGHS)")
        if status != kinds.kOptimal:
            raise SolverError(f"HiGHS stopped with {self.solver.modelStatusToString(status)}")
        values = np.array(self.solver.getSolution().col_value)
        return values[: len(self.units)], float(self.solver.getInfo().objective_function_value)

    def cut(self, output: Float64[FloatArray, "units"]) -> None:
        """Tangents where the optimum lies."""
        at = enumerate(zip(self.units, output.tolist(), strict=True))
        self._add_tangents([_tangent(k, unit[3][1], x) for k, (unit, x) in at if unit[3][0] != "chords" and _curved(unit[3][1])])

    def prices(self) -> Float64[FloatArray, "buses"]:
        """Duals of the balance at each bus."""
        return np.array(self.solver.getSolution().row_dual[: self.buses])


def _cost_rows(case: MatpowerCase, unit: int) -> tuple[str, Any]:
    """("chords", lines below the cost), ("parabola", (c0, c1, c2)) or ("polynomial", (c0, c1, ...))."""
    table = case.gencost
    count = int(table.ncost[unit])
    data = table.data[unit].tolist()
    if table.model[unit] == 1:
        mw, cost = data[0 : 2 * count : 2], data[1 : 2 * count : 2]
        slopes = [(cost[j + 1] - cost[j]) / (mw[j + 1] - mw[j]) for j in range(count - 1)]
        return "chords", [(slope, cost[j] - slope * mw[j]) for j, slope in enumerate(slopes)]
    coefficients = (*reversed(data[:count]), 0.0, 0.0, 0.0)
    return ("polynomial", coefficients) if any(coefficients[3:]) else ("parabola", coefficients[:3])


def _curved(coefficients: tuple[float, ...]) -> bool:
    return any(coefficients[2:])


def _least(cost: tuple[str, Any], low: float, high: float) -> float:
    """A lower bound on the cost between the limits, so that the linear program is bounded."""
    kind, data = cost
    spots = [low, high]
    if kind == "chords":
        return float(min(max(slope * x + value for slope, value in data) for x in spots) - sum(abs(s) for s, _ in data) * (high - low))
    if kind == "polynomial":  # convex: it lies above its tangents
        tangent = _tangent(0, data, low)
        return min(_line(tangent, x) for x in spots)
    if data[2] > 0:
        spots.append(min(max(-data[1] / (2 * data[2]), low), high))
    return min(_exact(cost, x) for x in spots)


def _line(tangent: tuple[int, float, float], at: float) -> float:
    return tangent[1] * at + tangent[2]


def _tangent(k: int, data: tuple[float, ...], at: float) -> tuple[int, float, float]:
    slope = sum(j * c * at ** (j - 1) for j, c in enumerate(data) if j)
    return k, slope, _exact(("polynomial", data), at) - slope * at


def _exact(cost: tuple[str, Any], output: float) -> float:
    kind, data = cost
    if kind == "chords":
        return float(max(slope * output + value for slope, value in data))
    value = 0.0
    for coefficient in reversed(data):
        value = value * output + coefficient
    return float(value)
