"""The packing handed whole to a solver of integer programs: HiGHS, or CP-SAT of OR-Tools (extra ``cpsat``)."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool

from hurwicz._foundation import MissingExtraError, SolverError
from hurwicz.mechanisms.combinatorial.branch_and_cut import Found, Report
from hurwicz.mechanisms.combinatorial.packing import Packing


def highs_maximum(
    packing: Packing,
    allowed: Bool[np.ndarray, " bids"] | None = None,
    *,
    start: Sequence[int] = (),
    deadline: float = math.inf,
    report: Report | None = None,
) -> Found:
    """The best assignment among the allowed bids, by HiGHS's own branch and cut. Arguments as in :meth:`BranchAndCut.maximum`."""
    import highspy

    kept = np.arange(packing.size) if allowed is None else np.flatnonzero(allowed)
    if not len(kept):
        return Found((), 0.0, 0.0)
    part = packing.part(kept)
    scale = 1e3 / float(part.prices.max())
    program = highspy.HighsLp()
    program.num_col_, program.num_row_ = part.size, len(part.supply)
    program.col_cost_ = part.prices * scale
    program.col_lower_, program.col_upper_ = np.zeros(part.size), np.ones(part.size)
    program.row_lower_, program.row_upper_ = np.full(len(part.supply), -highspy.kHighsInf), part.supply
    program.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    uses = part.uses.tocsc()
    program.a_matrix_.start_, program.a_matrix_.index_, program.a_matrix_.value_ = uses.indptr, uses.indices, uses.data
    program.sense_ = highspy.ObjSense.kMaximize
    program.integrality_ = [highspy.HighsVarType.kInteger] * part.size
    solver: Any = highspy.Highs()
    options: dict[str, Any] = {"output_flag": False, "mip_rel_gap": 0.0, "mip_abs_gap": 1e-7}
    if deadline < math.inf:
        options["time_limit"] = max(deadline - time.perf_counter(), 0.01)
    for name, value in options.items():
        solver.setOptionValue(name, value)
    solver.passModel(program)
    if start:
        begin = highspy.HighsSolution()
        begin.col_value = [float(j in set(start)) for j in kept]
        begin.value_valid = True
        solver.setSolution(begin)
    solver.run()
    info = solver.getInfo()
    if solver.getModelStatus() not in (highspy.HighsModelStatus.kOptimal, highspy.HighsModelStatus.kTimeLimit):
        raise SolverError(f"HiGHS stopped with {solver.modelStatusToString(solver.getModelStatus())}; try solver='branch_and_cut'")
    found = np.asarray(solver.getSolution().col_value)
    chosen = tuple(int(j) for j in kept[found > 0.5]) if len(found) and info.primal_solution_status == 2 else tuple(start)
    bound = float(info.mip_dual_bound) / scale if math.isfinite(info.mip_dual_bound) else float(part.prices.sum())
    value = packing.total(chosen)
    if report is not None:
        report(value, bound)
    return Found(chosen, value, max(value, bound), {"nodes": int(info.mip_node_count)})


def cp_sat_maximum(
    packing: Packing,
    allowed: Bool[np.ndarray, " bids"] | None = None,
    *,
    start: Sequence[int] = (),
    deadline: float = math.inf,
    report: Report | None = None,
) -> Found:
    """The best assignment among the allowed bids, by CP-SAT. Arguments as in :meth:`BranchAndCut.maximum`.

    CP-SAT computes in whole numbers: prices are rounded to 2^-40 of the largest.

    Raises:
        MissingExtraError: OR-Tools is not installed.
    """
    try:
        from ortools.sat.python import cp_model
    except ImportError as error:
        raise MissingExtraError("solver='cp_sat' needs OR-Tools; pip install 'hurwicz[cpsat]'") from error
    kept = np.arange(packing.size) if allowed is None else np.flatnonzero(allowed)
    if not len(kept):
        return Found((), 0.0, 0.0)
    part = packing.part(kept)
    scale = 2.0**40 / float(part.prices.max())
    model: Any = cp_model.CpModel()
    won = [model.new_bool_var(f"bid {j}") for j in kept]
    rows = part.uses.tocsr()
    for r in range(len(part.supply)):
        members, units = rows.indices[rows.indptr[r] : rows.indptr[r + 1]], rows.data[rows.indptr[r] : rows.indptr[r + 1]]
        if part.supply[r] == 1:
            model.add_at_most_one(won[j] for j in members)
        else:
            model.add(sum(int(u) * won[j] for j, u in zip(members, units, strict=True)) <= int(part.supply[r]))
    model.maximize(sum(round(float(p) * scale) * x for p, x in zip(part.prices, won, strict=True)))
    for j, x in zip(kept, won, strict=True):
        model.add_hint(x, int(j) in set(start))
    solver: Any = cp_model.CpSolver()
    if deadline < math.inf:
        solver.parameters.max_time_in_seconds = max(deadline - time.perf_counter(), 0.01)
    status = solver.solve(model)
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE, cp_model.UNKNOWN):
        raise SolverError(f"CP-SAT stopped with {solver.status_name(status)}; try solver='branch_and_cut'")
    chosen = (
        tuple(start) if status == cp_model.UNKNOWN else tuple(int(j) for j, x in zip(kept, won, strict=True) if solver.boolean_value(x))
    )
    value = packing.total(chosen)
    # Rounding moved each price by at most half a unit of the scaled prices.
    bound = (float(solver.best_objective_bound) + 0.5 * part.size) / scale
    if report is not None:
        report(value, bound)
    return Found(chosen, value, value if status == cp_model.OPTIMAL else max(value, bound), {"nodes": int(solver.num_branches)})
