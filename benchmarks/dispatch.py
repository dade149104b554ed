"""Dispatch by prices beside solvers that know every cost: ``python -m benchmarks.dispatch [--pglib DIR] [--peers]``.

All figures of a row come from the same run: the coordination (probing, network program, answers), Clarabel on the program with every cost
known (the same network model, so that what the ratio measures is the price of privacy), and, with ``--peers``, HiGHS, cvxpy and pandapower.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from hurwicz._foundation import HurwiczError, InputError
from hurwicz.formats import MatpowerCase, packaged_cases, packaged_path, read_matpower
from hurwicz.prices.dispatch import check_dispatch, dc_network, generators, learn_and_plan, reference_optimum
from hurwicz.prices.dispatch.costs import Quadratic, unit_costs
from hurwicz.prices.dispatch.program import NetworkProgram, supply_of


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds and result."""
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


def known_costs(case: MatpowerCase, form: str) -> tuple[float, float]:
    """(seconds, $/h) of one interior-point run on the same network program with the true costs."""
    net = dc_network(case, form)
    costs = unit_costs(case, net.unit_rows)
    if not all(isinstance(cost, Quadratic) for cost in costs):
        raise InputError("known_costs: expected polynomial costs up to degree 2")
    limits = zip(costs, net.pmin.tolist(), net.pmax.tolist(), strict=True)
    curves = [[(low, high, cost.marginal(low), cost.marginal(high))] if high > low else [] for cost, low, high in limits]
    seconds, solution = timed(lambda: NetworkProgram(net).solve(supply_of(net.pmin, curves)))
    return seconds, sum(cost.at(x) for cost, x in zip(costs, solution.output.tolist(), strict=True))


def measure(case: MatpowerCase, name: str, form: str, *, peers: bool = False) -> dict[str, Any]:
    """One row: rounds, seconds, gap to the known optimum, violation."""
    row: dict[str, Any] = {"case": name, "network": form, "buses": len(case.bus.number)}
    try:
        net = dc_network(case, form)
        agents = generators(case, net)
        row["units"] = len(agents)
        seconds, (plan, _) = timed(lambda: learn_and_plan(net, agents))
        ipm, best = known_costs(case, form)
        cost = sum(c.at(x) for c, x in zip(unit_costs(case, net.unit_rows), plan.solution.output.tolist(), strict=True))
        row |= {
            "rounds": plan.rounds,
            "converged": plan.converged,
            "cost": cost,
            "seconds": seconds,
            "clarabel": ipm,
            "ratio": seconds / ipm,
            "relative": cost / best - 1,
            "violation": check_dispatch(net, plan.solution.output)[0].worst,
        }
        if peers:
            row |= peer_times(case, form)
    except HurwiczError as error:
        row["error"] = str(error)
    return row


def peer_times(case: MatpowerCase, form: str) -> dict[str, Any]:
    """Seconds of the peers that are installed, each told every cost."""
    out: dict[str, Any] = {}
    seconds, found = timed(lambda: reference_optimum(case, form, solver="highs"))
    out |= {"highs": seconds, "highs_cost": found.objective}
    try:
        out["cvxpy"], out["cvxpy_cost"] = with_cvxpy(case, form)
    except ImportError:
        out["cvxpy"] = None
    if form == "matpower":
        try:
            out["pandapower"], out["pandapower_cost"] = with_pandapower(case)
        except ImportError:
            out["pandapower"] = None
    return out


def with_cvxpy(case: MatpowerCase, form: str) -> tuple[float, float]:
    """cvxpy, its default solver for the problem, model building included."""
    import cvxpy as cp

    net = dc_network(case, form)
    costs = [cost for cost in unit_costs(case, net.unit_rows) if isinstance(cost, Quadratic)]

    def work() -> float:
        x, theta = cp.Variable(len(costs)), cp.Variable(len(net.buses))
        c2, c1 = (np.array([getattr(cost, name) for cost in costs]) * net.base_mva**power for name, power in (("c2", 2), ("c1", 1)))
        put = np.zeros((len(net.buses), len(costs)))
        put[net.unit_bus, np.arange(len(costs))] = 1.0
        difference = theta[net.pair_from] - theta[net.pair_to]
        rules = [put @ x - net.withdrawal == net.laplacian() @ theta, x >= net.pmin / net.base_mva, x <= net.pmax / net.base_mva]
        low, high = np.isfinite(net.pair_low), np.isfinite(net.pair_high)
        rules += [difference[low] >= net.pair_low[low], difference[high] <= net.pair_high[high], theta[net.reference] == 0]
        problem = cp.Problem(cp.Minimize(c2 @ cp.square(x) + c1 @ x), rules)
        return float(problem.solve(solver=cp.CLARABEL)) + sum(cost.c0 for cost in costs)

    seconds, cost = timed(work)
    return seconds, float(cost)


def with_pandapower(case: MatpowerCase) -> tuple[float, float]:
    """Pandapower's DC optimal power flow on its own copy of the case (MATPOWER's form)."""
    import pandapower as pp
    from pandapower.converter.pypower import from_ppc

    gen, bus, branch, cost = case.gen, case.bus, case.branch, case.gencost
    none = np.zeros(len(gen.bus))
    ppc = {
        "version": "2",
        "baseMVA": case.base_mva,
        "bus": np.column_stack([getattr(bus, name) for name in bus.__dataclass_fields__]),
        "gen": np.column_stack([*(getattr(gen, name) for name in gen.__dataclass_fields__), *([none] * 11)]),
        "branch": np.column_stack([getattr(branch, name) for name in branch.__dataclass_fields__]),
        "gencost": np.column_stack([cost.model, cost.startup, cost.shutdown, cost.ncost, cost.data]),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the peer's own: deprecated pandas calls
        net = from_ppc(ppc, f_hz=60, validate_conversion=False)
        seconds, _ = timed(lambda: pp.rundcopp(net, suppress_warnings=True))
    return seconds, float(net.res_cost)


def show(rows: Iterable[dict[str, Any]]) -> None:
    """The table, a row a line, as they come."""
    for row in rows:
        head = f"{row['case']:<24} {row['network']:<11} {row['buses']:>6}"
        if "error" in row:
            print(f"{head}  {row['error'][:150]}", flush=True)
            continue
        tail = "".join(f"  {peer} {row[peer]:.3f} s" for peer in ("highs", "cvxpy", "pandapower") if row.get(peer) is not None)
        print(
            f"{head} buses {row['units']:>5} units  {row['rounds']:>2} rounds  {row['seconds']:.3f} s  clarabel {row['clarabel']:.3f} s"
            f"  ratio {row['ratio']:.2f}  cost {row['cost']:.10g} ({row['relative']:+.1e})  violation {row['violation']:.0e}"
            f"{'' if row['converged'] else '  NOT CONVERGED'}{tail}",
            flush=True,
        )


def summary(rows: list[dict[str, Any]]) -> str:
    """Rounds, ratios and worst gaps over all rows."""
    done = [row for row in rows if "error" not in row]
    if not done:
        return "no case was coordinated"
    rounds, ratios = [row["rounds"] for row in done], [row["ratio"] for row in done]
    gap, worst = max(abs(row["relative"]) for row in done), max(row["violation"] for row in done)
    total = sum(row["seconds"] for row in done) / sum(row["clarabel"] for row in done)
    return (
        f"{len(done)} coordinated ({sum(not row['converged'] for row in done)} not to the tolerance), {len(rows) - len(done)} refused; "
        f"rounds {min(rounds)} / {statistics.median(rounds):g} / {max(rounds)} (least / median / most); "
        f"time over Clarabel's: median {statistics.median(ratios):.2f}, most {max(ratios):.2f}, of the totals {total:.2f}; "
        f"worst relative gap {gap:.1e}; worst violation {worst:.1e} p.u."
    )


def run(*, quick: bool = False) -> list[dict[str, Any]]:
    """The packaged cases with all peers, then every file under ``HURWICZ_PGLIB`` where that is set (not with ``quick``)."""
    rows = []
    for name in packaged_cases():
        for form in ("powermodels", "matpower"):
            case = read_matpower(packaged_path(name))
            measure(case, name, form)  # once for nothing: imports and caches
            rows.append(measure(case, name, form, peers=True))
            show(rows[-1:])
    folder = os.environ.get("HURWICZ_PGLIB")
    if folder and not quick:
        rows += sweep(Path(folder))
    print(summary(rows))
    return rows


def sweep(folder: Path, forms: Iterable[str] = ("powermodels", "matpower")) -> list[dict[str, Any]]:
    """Every ``.m`` file of a folder, smallest first."""
    rows = []
    for path in sorted(folder.glob("*.m"), key=lambda p: p.stat().st_size):
        case = read_matpower(path)
        for form in forms:
            rows.append(measure(case, path.stem.removeprefix("pglib_opf_"), form))
            show(rows[-1:])
    return rows


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dispatch", description=__doc__)
    parser.add_argument("--pglib", type=Path, metavar="DIR", help="sweep every .m file of this folder, in both network forms")
    options = parser.parse_args()
    if options.pglib is None:
        run()
        return 0
    rows = sweep(options.pglib)
    print(summary(rows))
    return int(any(not row.get("converged", True) for row in rows))


if __name__ == "__main__":
    sys.exit(main())
