"""Solve one packing with CP-SAT: a program of its own, JSON in and JSON out.

OR-Tools carries a copy of HiGHS whose symbols clash with those of highspy, so that one process cannot load both; this one loads OR-Tools
only, and is run as a file, not imported.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any


def solve(problem: dict[str, Any]) -> dict[str, Any]:
    """The best set of bids: ``prices`` (whole numbers), ``rows`` of (bids, units, limit), ``hint``, ``seconds`` → what CP-SAT says."""
    from ortools.sat.python import cp_model

    began = time.process_time()
    model: Any = cp_model.CpModel()
    won = [model.new_bool_var("") for _ in problem["prices"]]
    for members, units, limit in problem["rows"]:
        if limit == 1:
            model.add_at_most_one(won[j] for j in members)
        else:
            model.add(sum(u * won[j] for j, u in zip(members, units, strict=True)) <= limit)
    model.maximize(sum(p * x for p, x in zip(problem["prices"], won, strict=True)))
    for j in problem["hint"]:
        model.add_hint(won[j], 1)
    solver: Any = cp_model.CpSolver()
    if problem["seconds"] is not None:
        solver.parameters.max_time_in_seconds = problem["seconds"]
    status = solver.solve(model)
    found = status in (cp_model.OPTIMAL, cp_model.FEASIBLE)
    return {
        "status": solver.status_name(status),
        "chosen": [j for j, x in enumerate(won) if solver.boolean_value(x)] if found else None,
        "bound": solver.best_objective_bound,
        "branches": solver.num_branches,
        "cpu_seconds": time.process_time() - began,
    }


if __name__ == "__main__":
    json.dump(solve(json.load(sys.stdin)), sys.stdout)
