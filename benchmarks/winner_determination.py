"""Winner determination and all VCG payments, against HiGHS and CP-SAT given the same problems one after another."""

from __future__ import annotations

import importlib.util
import time
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from hurwicz.formats import packaged_auction, packaged_auctions
from hurwicz.mechanisms.combinatorial import CombinatorialAuction, combinatorial_auction, from_cats, vcg
from hurwicz.mechanisms.combinatorial.packing import Packing, prepare
from hurwicz.mechanisms.combinatorial.solvers import ask_cp_sat, cp_sat_problem
from hurwicz.valuations import xor_bids

QUICK = ("regions_g20_b200", "paths_g20_b200", "regions_g50_b500", "scheduling_g20_b200")


def drawn(bidders: int = 50, goods: int = 20, each: int = 20, seed: int = 11) -> CombinatorialAuction:
    """XOR bids of bidders who each like some goods, on bundles of 1 to 6 of them, worth a little more together."""
    rng = np.random.default_rng(seed)
    names = [f"good {g}" for g in range(goods)]
    bids = {}
    for k in range(bidders):
        worth = rng.uniform(0.5, 1.5, goods) * rng.uniform(0.6, 1.4, goods)
        bundles = [rng.choice(goods, rng.integers(1, 7), replace=False) for _ in range(each)]
        prices = [round(float(worth[bundle].sum() ** 1.2 * rng.uniform(0.9, 1.1)), 4) for bundle in bundles]
        bids[f"bidder {k}"] = xor_bids([([names[g] for g in bundle], price) for bundle, price in zip(bundles, prices, strict=True)])
    return combinatorial_auction(bids, goods=names)


def bare_highs(packing: Packing, allowed: Any) -> float:
    """The raw model: a row for every good and every dummy, nothing else, to a gap of 0."""
    import highspy

    uses = packing.uses[:, np.flatnonzero(allowed)]
    program = highspy.HighsLp()
    program.num_row_, program.num_col_ = uses.shape
    program.col_cost_ = packing.prices[allowed]
    program.col_lower_, program.col_upper_ = np.zeros(program.num_col_), np.ones(program.num_col_)
    program.row_lower_, program.row_upper_ = np.full(program.num_row_, -highspy.kHighsInf), packing.supply
    program.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    program.a_matrix_.start_, program.a_matrix_.index_, program.a_matrix_.value_ = uses.indptr, uses.indices, uses.data
    program.sense_ = highspy.ObjSense.kMaximize
    program.integrality_ = [highspy.HighsVarType.kInteger] * program.num_col_
    solver = highspy.Highs()
    for option, value in (("output_flag", False), ("mip_rel_gap", 0.0), ("mip_abs_gap", 1e-6)):
        solver.setOptionValue(option, value)
    solver.passModel(program)
    solver.run()
    return float(solver.getInfo().objective_function_value)


def bare_cp_sat(packing: Packing, allowed: Any) -> tuple[float, float]:
    """The same model in CP-SAT, at most one bid for every good and dummy; its own CPU seconds, without the start of its process."""
    part = packing.part(np.flatnonzero(allowed))
    scale = 2.0**40 / float(part.prices.max())
    answer = ask_cp_sat(cp_sat_problem(part, scale) | {"hint": [], "seconds": None})
    return part.total(answer["chosen"]), answer["cpu_seconds"]


def raw(auction: CombinatorialAuction) -> Packing:
    """Every bid of the auction as a column, none left out."""
    from scipy.sparse import csc_array

    rows: dict[Any, int] = {}
    entries = [
        (rows.setdefault(key, len(rows)), j, k, atom.price)
        for j, (k, bidder, atom) in enumerate((k, b, a) for k, (b, own) in enumerate(auction.bids.items()) for a in own.atoms)
        for key in (*atom.goods, *((bidder, phantom) for phantom in atom.phantoms))
    ]
    size = auction.size
    prices, owner = np.zeros(size), np.zeros(size, dtype=np.int64)
    for _, j, k, price in entries:
        prices[j], owner[j] = price, k
    uses = csc_array((np.ones(len(entries)), ([e[0] for e in entries], [e[1] for e in entries])), shape=(len(rows), size))
    return Packing(prices, uses, np.ones(len(rows)), owner, np.asarray([isinstance(key, tuple) for key in rows]))


def questions(packing: Packing, winners: list[int]) -> list[Any]:
    """The bids allowed in the first problem and in every leave-one-out problem."""
    return [np.ones(packing.size, dtype=bool), *(packing.owner != k for k in winners)]


def run(quick: bool = False) -> list[dict[str, Any]]:
    """Print the table; return its rows."""
    cp_sat = importlib.util.find_spec("ortools") is not None
    auctions = {name: from_cats(packaged_auction(name, bad_prices="drop")) for name in (QUICK if quick else packaged_auctions())}
    auctions["50 bidders, 20 goods, 1000 XOR bids"] = drawn()
    vcg(auctions[QUICK[0]])  # imports
    bare_highs(raw(auctions[QUICK[0]]), np.ones(auctions[QUICK[0]].size, dtype=bool))
    table = Table(title="All VCG payments: the first problem and one for every winner (CPU seconds)")
    for head in ("auction", "bids", "winners", "welfare", "revenue", "hurwicz", "first", "bare HiGHS", "ratio", "CP-SAT", "ratio"):
        table.add_column(head, justify="left" if head == "auction" else "right")
    rows = []
    for name, auction in auctions.items():
        cpu, clock = time.process_time(), time.perf_counter()
        solved = vcg(auction)
        row: dict[str, Any] = {"auction": name, "bids": auction.size, "kept": prepare(auction).whole.size}
        row |= {"cpu": time.process_time() - cpu, "seconds": time.perf_counter() - clock, "status": solved.status.value}
        result = solved.value
        winners = [auction.bidders.index(b) for b in result.assignment.won]
        total = result.assignment.welfare + sum(result.welfare_without.values())
        row |= {"winners": len(winners), "welfare": result.assignment.welfare, "revenue": result.revenue}
        row["first"] = solved.stats["seconds_first"] / row["seconds"] * row["cpu"]
        packing = raw(auction)
        cpu, clock = time.process_time(), time.perf_counter()
        highs_total = sum(bare_highs(packing, allowed) for allowed in questions(packing, winners))
        row |= {"highs_cpu": time.process_time() - cpu, "highs_seconds": time.perf_counter() - clock}
        if not np.isclose(total, highs_total, rtol=1e-7):
            raise AssertionError(f"{name}: the optima add up to {total}, by HiGHS to {highs_total}")
        row["highs_ratio"] = row["cpu"] / row["highs_cpu"]
        if cp_sat:
            answers = [bare_cp_sat(packing, allowed) for allowed in questions(packing, winners)]
            row["cp_sat_cpu"] = sum(seconds for _, seconds in answers)
            row["cp_sat_ratio"] = row["cpu"] / row["cp_sat_cpu"]
            if not np.isclose(total, sum(value for value, _ in answers), rtol=1e-7):
                raise AssertionError(f"{name}: the optima add up to {total}, by CP-SAT to {sum(value for value, _ in answers)}")
        rows.append(row)
    names = ("cpu", "first", "highs_cpu", "cp_sat_cpu", "seconds", "highs_seconds")
    total_row = {"auction": "all together"} | {key: sum(row.get(key, 0.0) for row in rows) for key in names}
    total_row["highs_ratio"] = total_row["cpu"] / total_row["highs_cpu"]
    total_row["cp_sat_ratio"] = total_row["cpu"] / total_row["cp_sat_cpu"] if cp_sat else None
    for row in [*rows, total_row]:
        counts = [f"{row[key]:,}" if key in row else "" for key in ("bids", "winners")]
        money = [f"{row[key]:.7g}" if key in row else "" for key in ("welfare", "revenue")]
        peers = [f"{row['highs_cpu']:.3f}", f"{row['highs_ratio']:.2f}"]
        peers += [f"{row['cp_sat_cpu']:.3f}", f"{row['cp_sat_ratio']:.2f}"] if cp_sat else ["not installed", ""]
        table.add_row(row["auction"], *counts, *money, f"{row['cpu']:.3f}", f"{row['first']:.3f}", *peers)
    Console(width=150).print(table)
    return [*rows, total_row]
