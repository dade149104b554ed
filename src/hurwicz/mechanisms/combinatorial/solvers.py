"""The packing handed whole to a solver of integer programs: HiGHS, or CP-SAT of OR-Tools (extra ``cpsat``)."""

from __future__ import annotations

import importlib.util
import json
import math
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Int64

from hurwicz._foundation import MissingExtraError, SolverError
from hurwicz.mechanisms.combinatorial.branch_and_cut import Found, Report
from hurwicz.mechanisms.combinatorial.packing import Packing


def exact_highs(deadline: float) -> Any:
    """A HiGHS that ends at the optimum, or at the deadline; prices are to be scaled to 1,000."""
    import highspy

    solver: Any = highspy.Highs()
    options: dict[str, Any] = {"output_flag": False, "mip_rel_gap": 0.0, "mip_abs_gap": 1e-7}
    if deadline < math.inf:
        options["time_limit"] = max(deadline - time.perf_counter(), 0.01)
    for name, value in options.items():
        solver.setOptionValue(name, value)
    return solver


def highs_maximum(
    packing: Packing,
    allowed: Bool[np.ndarray, " bids"] | None = None,
    *,
    start: Sequence[int] = (),
    deadline: float = math.inf,
    report: Report | None = None,
) -> Found:
    """The best assignment among the allowed bids, by HiGHS's own branch and cut. Arguments as in :meth:`BranchAndCut.maximum`.

    The bound is HiGHS's, and holds as far as its tolerances do (1e-6 for rows and whole numbers, of prices scaled to 1,000).
    """
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
    solver = exact_highs(deadline)
    solver.passModel(program)
    if start:
        begin = highspy.HighsSolution()
        begin.col_value = np.isin(kept, start).astype(np.float64).tolist()
        begin.value_valid = True
        solver.setSolution(begin)
    solver.run()
    info = solver.getInfo()
    if solver.getModelStatus() not in (highspy.HighsModelStatus.kOptimal, highspy.HighsModelStatus.kTimeLimit):
        raise SolverError(f"HiGHS stopped with {solver.modelStatusToString(solver.getModelStatus())}; try solver='branch_and_cut'")
    found = np.asarray(solver.getSolution().col_value)
    whole = len(found) and info.primal_solution_status == 2
    chosen = tuple(int(j) for j in kept[found > 0.5]) if whole else _by_hand(packing, kept, part, start)
    bound = float(info.mip_dual_bound) / scale if math.isfinite(info.mip_dual_bound) else relaxed_bound(part)
    value = packing.total(chosen)
    if report is not None:
        report(value, bound)
    return Found(chosen, value, max(value, bound), {"nodes": int(info.mip_node_count)})


def relaxed_bound(part: Packing) -> float:
    """An upper bound on any assignment, by weak duality: <y, supply> + sum_j max(p_j - <A_j, y>, 0) at the prices y of the linear program.

    What time is left does not matter: it is for when a solver found no bound, and takes a fraction of a second. Whatever y the program
    ends with, the bound holds.
    """
    from scipy.optimize import linprog

    rows: Any = part.uses
    solved = linprog(-part.prices, A_ub=rows, b_ub=part.supply, bounds=(0.0, 1.0), method="highs")
    prices = np.maximum(-np.asarray(solved.ineqlin.marginals, dtype=np.float64), 0.0) if solved.status == 0 else np.zeros(len(part.supply))
    return float(prices @ part.supply + np.maximum(part.prices - part.uses.T @ prices, 0.0).sum())


def greedy(part: Packing) -> tuple[int, ...]:
    """An assignment: bids by price over the root of the units that they take, each if there is room left.

    Source: D. Lehmann, L. O'Callaghan and Y. Shoham, "Truth revelation in approximately efficient combinatorial auctions", JACM 49 (2002).
    """
    uses = part.uses.tocsc()
    left, chosen = part.supply.copy(), []
    for j in np.argsort(-part.prices / np.sqrt(np.maximum(uses.sum(axis=0), 1.0)), kind="stable"):
        rows = slice(uses.indptr[j], uses.indptr[j + 1])
        if np.all(uses.data[rows] <= left[uses.indices[rows]]):
            left[uses.indices[rows]] -= uses.data[rows]
            chosen.append(int(j))
    return tuple(chosen)


def _by_hand(packing: Packing, kept: Int64[np.ndarray, " part"], part: Packing, start: Sequence[int]) -> tuple[int, ...]:
    """What is known without the solver: the start, or the greedy assignment where that is worth more."""
    quick = tuple(int(kept[j]) for j in greedy(part))
    return max((tuple(start), quick), key=packing.total)


def cp_sat_maximum(
    packing: Packing,
    allowed: Bool[np.ndarray, " bids"] | None = None,
    *,
    start: Sequence[int] = (),
    deadline: float = math.inf,
    report: Report | None = None,
) -> Found:
    """The best assignment among the allowed bids, by CP-SAT. Arguments as in :meth:`BranchAndCut.maximum`.

    CP-SAT computes in whole numbers: prices are rounded to 2^-40 of the largest. It runs in a process of its own, which takes a second
    to start (see ``cp_sat_worker``).

    Raises:
        MissingExtraError: OR-Tools is not installed.
        SolverError: CP-SAT did not answer.
    """
    if importlib.util.find_spec("ortools") is None:
        raise MissingExtraError("solver='cp_sat' needs OR-Tools; pip install 'hurwicz[cpsat]'")
    kept = np.arange(packing.size) if allowed is None else np.flatnonzero(allowed)
    if not len(kept):
        return Found((), 0.0, 0.0)
    part = packing.part(kept)
    scale = 2.0**40 / float(part.prices.max())
    given = set(start)
    problem = cp_sat_problem(part, scale) | {
        "hint": [k for k, j in enumerate(kept) if int(j) in given],
        "seconds": None if deadline == math.inf else max(deadline - time.perf_counter(), 0.01),
    }
    answer = ask_cp_sat(problem)
    if answer["status"] not in ("OPTIMAL", "FEASIBLE", "UNKNOWN"):
        raise SolverError(f"CP-SAT stopped with {answer['status']}; try solver='branch_and_cut'")
    nothing = answer["chosen"] is None
    chosen = _by_hand(packing, kept, part, start) if nothing else tuple(int(kept[k]) for k in answer["chosen"])
    value = packing.total(chosen)
    # Rounding moved each price by at most half a unit of the scaled prices.
    bound = relaxed_bound(part) if nothing else (float(answer["bound"]) + 0.5 * part.size) / scale
    if report is not None:
        report(value, bound)
    return Found(chosen, value, max(value, bound), {"nodes": int(answer["branches"])})


def cp_sat_problem(packing: Packing, scale: float) -> dict[str, Any]:
    """The packing as plain data, prices times ``scale`` and rounded."""
    rows = packing.uses.tocsr()
    ends = rows.indptr
    return {
        "prices": [round(float(p) * scale) for p in packing.prices],
        "rows": [
            [rows.indices[a:b].tolist(), rows.data[a:b].astype(int).tolist(), int(limit)]
            for a, b, limit in zip(ends[:-1], ends[1:], packing.supply, strict=True)
        ],
    }


def ask_cp_sat(problem: dict[str, Any]) -> dict[str, Any]:
    """The worker's answer to one problem.

    Raises:
        SolverError: it failed; the message ends with its last line.
    """
    worker = Path(__file__).with_name("cp_sat_worker.py")
    done = subprocess.run([sys.executable, "-P", str(worker)], input=json.dumps(problem), capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise SolverError(f"the process of CP-SAT ended with code {done.returncode} ({last}); try solver='branch_and_cut'")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
