"""Core-selecting payments: the least that no coalition can object to, and among those the nearest to VCG.

Source: R. W. Day and S. Raghavan, "Fair Payments for Efficient Allocations in Public Sector Combinatorial Auctions", Management Science
53, 2007 (constraint generation); R. W. Day and P. Cramton, "Quadratic Core-Selecting Payment Rules for Combinatorial Auctions",
Operations Research 60, 2012 (the quadratic rule).
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64

from hurwicz._foundation import FloatArray, InputError, Solution, SolverError, Status
from hurwicz.mechanisms.combinatorial.auction import Assignment, AuctionResult, CombinatorialAuction
from hurwicz.mechanisms.combinatorial.packing import prepare
from hurwicz.mechanisms.combinatorial.vcg import vcg
from hurwicz.mechanisms.combinatorial.winner_determination import PROVED, Clearing, Progress, Solver, deadline_after
from hurwicz.valuations.bundles import AtomicBid, BundleBids

_STAYS_OUT = "stays out"
_ROUNDS = 1000
_SETTLED = 1e-9


@dataclass(frozen=True)
class Objection:
    """A coalition that would rather trade with the seller on its own.

    Attributes:
        coalition: its bidders.
        offer: the most it can offer the seller while each member is as well off as now.
        revenue: what the seller gets now.
    """

    coalition: tuple[str, ...]
    offer: float
    revenue: float

    @property
    def gain(self) -> float:
        """Offer less revenue."""
        return self.offer - self.revenue


def objection(
    auction: CombinatorialAuction,
    assignment: Assignment,
    payments: Mapping[str, float],
    *,
    solver: Solver = "branch_and_cut",
    time_limit: float | None = None,
) -> Objection | None:
    """The coalition that objects most to an outcome, or ``None`` where the outcome is in the core.

    z(t) = max over coalitions C of  w(C) - sum_{i in C} (v_i - t_i),  against the revenue sum_i t_i

    Each winner may stay out for its present surplus: with that as a further bid the separation problem is winner determination again.

    Args:
        auction: bids and supply.
        assignment: who wins what.
        payments: bidder → payment.
        solver: as for :func:`winner_determination`.
        time_limit: seconds.

    Raises:
        InputError: payments above what was bid, or negative ones.
        SolverError: time ran out before the core was confirmed or refuted.

    Example:
        >>> from hurwicz.mechanisms.combinatorial import combinatorial_auction, vcg
        >>> from hurwicz.valuations import single_minded
        >>> bids = {"ann": single_minded("AB", 10.0), "bob": single_minded("A", 8.0), "cem": single_minded("B", 8.0)}
        >>> auction = combinatorial_auction(bids)
        >>> result = vcg(auction).value
        >>> objection(auction, result.assignment, result.payments)
        Objection(coalition=('ann',), offer=10.0, revenue=4.0)
    """
    margin = PROVED * max(assignment.welfare, 1e-300)
    for bidder in auction.bidders:
        paid = payments.get(bidder, 0.0)
        if not -margin <= paid <= assignment.bid_of(bidder) + margin:
            raise InputError(f"{bidder!r}: expected a payment from 0 to its bid {assignment.bid_of(bidder):g}, got {paid!r}")
    surplus = {b: max(assignment.bid_of(b) - payments.get(b, 0.0), 0.0) for b in assignment.won}
    prepared = prepare(_with_outside(auction, surplus))
    clearing = Clearing(prepared, solver)
    best = clearing.best(deadline=deadline_after(time_limit))
    if best.value > assignment.welfare + margin:
        found = prepared.assignment(best.chosen, best.value)
        members = tuple(b for b, atoms in found.won.items() if any(atom.goods for atom in atoms))
        offer = math.fsum(a.price for b in members for a in found.won[b]) - math.fsum(surplus.get(b, 0.0) for b in members)
        return Objection(members, offer, math.fsum(payments.values()))
    if best.gap > PROVED:
        raise SolverError("time ran out before the core was confirmed or refuted; raise time_limit", reached=best)
    return None


def core_selecting(
    auction: CombinatorialAuction,
    *,
    least_revenue: bool = True,
    solver: Solver = "branch_and_cut",
    time_limit: float | None = None,
    progress: Progress | None = None,
) -> Solution[AuctionResult]:
    """Core-selecting payments nearest to VCG: the welfare-maximising assignment, and payments to which no coalition objects.

    min ||t - t_VCG||²  over  sum_{i in W∖C} t_i ≥ w(C) - sum_{i in W∩C} v_i for every coalition C,  t_VCG ≤ t ≤ v,
    with sum_i t_i as small as the core allows where ``least_revenue``

    Constraints are made as they are needed: each round finds the coalition that objects most.

    Args:
        auction: bids and supply.
        least_revenue: minimise the revenue first (bidder-optimal core); otherwise only the distance.
        solver: as for :func:`winner_determination`.
        time_limit: seconds for everything together.
        progress: called with what is being done and the fraction done.

    Returns:
        Assignment and payments. Status ``OPTIMUM``, or ``STEP_LIMIT`` where time ran out: then some coalition may still object.
        Stats: those of :func:`vcg`, and ``vcg_payments``, ``coalitions`` (constraints made), ``rounds``.

    Raises:
        InputError: as for :func:`vcg`.

    Example:
        >>> from hurwicz.mechanisms.combinatorial import combinatorial_auction
        >>> from hurwicz.valuations import single_minded
        >>> bids = {"ann": single_minded("AB", 10.0), "bob": single_minded("A", 8.0), "cem": single_minded("B", 8.0)}
        >>> paid = core_selecting(combinatorial_auction(bids)).value.payments
        >>> round(paid["bob"], 6), round(paid["cem"], 6)
        (5.0, 5.0)
    """
    began = time.perf_counter()
    deadline = deadline_after(time_limit)
    solved = vcg(auction, solver=solver, time_limit=time_limit, progress=progress)
    assignment, base = solved.value.assignment, solved.value.payments
    winners = tuple(assignment.won)
    bids = np.asarray([assignment.bid_of(b) for b in winners], dtype=np.float64)
    least = np.asarray([base[b] for b in winners], dtype=np.float64)
    outside: list[Bool[np.ndarray, " winners"]] = []
    needs: list[float] = []
    paid, status, rounds = least, solved.status, 0
    while winners and status is Status.OPTIMUM:
        rounds += 1
        left = None if deadline == math.inf else max(deadline - time.perf_counter(), 1e-3)
        try:
            against = objection(auction, assignment, dict(zip(winners, paid.tolist(), strict=True)), solver=solver, time_limit=left)
        except SolverError:
            status = Status.STEP_LIMIT
            break
        if against is None:
            break
        out = np.asarray([b not in against.coalition for b in winners])
        if rounds > _ROUNDS or any(bool((out == before).all()) and against.gain < 1e-6 * assignment.welfare for before in outside):
            status = Status.STEP_LIMIT
            break
        outside.append(out)
        needs.append(against.offer - float(paid[~out].sum()))
        paid = nearest_core_point(np.stack(outside), np.asarray(needs), least, bids, least_revenue=least_revenue)
        if progress is not None:
            progress(f"core: {len(needs)} coalitions object, revenue {paid.sum():.6g}", 1 - 1 / (1 + rounds))
    payments = dict.fromkeys(auction.bidders, 0.0) | dict(zip(winners, paid.tolist(), strict=True))
    more = {"vcg_payments": dict(base), "coalitions": len(needs), "rounds": rounds, "seconds": time.perf_counter() - began}
    return Solution(AuctionResult(assignment, payments, solved.value.welfare_without), status, solved.stats | more)


def nearest_core_point(
    outside: Bool[np.ndarray, "coalitions winners"],
    needs: Float64[FloatArray, " coalitions"],
    least: Float64[FloatArray, " winners"],
    most: Float64[FloatArray, " winners"],
    *,
    least_revenue: bool = True,
) -> Float64[FloatArray, " winners"]:
    """The point nearest to ``least`` with  outside @ t ≥ needs,  least ≤ t ≤ most,  by Clarabel.

    Args:
        outside: which winners are not in the coalition.
        needs: what those must pay together.
        least: VCG payments.
        most: bids.
        least_revenue: only among the points of least sum.

    Raises:
        SolverError: there is no such point.

    Example:
        >>> nearest_core_point(np.array([[True, True]]), np.array([10.0]), np.array([2.0, 4.0]), np.array([8.0, 8.0])).round(6)
        array([4., 6.])
    """
    scale = max(float(most.max()), 1e-300)
    active = needs > outside @ least
    if not active.any():
        return least.copy()
    rows, ends = outside[active].astype(np.float64), needs[active] / scale
    low, high = least / scale, most / scale
    total = _least_total(rows, ends, low, high) if least_revenue else None
    found = _project(rows, ends, low, high, total)
    # What an interior point leaves open at a bound is closed.
    found = np.where(found - low < _SETTLED, low, np.where(high - found < _SETTLED, high, found))
    return np.clip(found * scale, least, most)


def _least_total(
    rows: Float64[FloatArray, "coalitions winners"],
    ends: Float64[FloatArray, " coalitions"],
    low: Float64[FloatArray, " winners"],
    high: Float64[FloatArray, " winners"],
) -> float:
    from scipy.optimize import linprog

    box = list(zip(low.tolist(), high.tolist(), strict=True))
    found: Any = linprog(np.ones(len(low)), A_ub=-rows, b_ub=-ends, bounds=box, method="highs")
    if not found.success:
        raise SolverError(f"core: no payments within the bids satisfy every coalition ({found.message})")
    return float(found.fun)


def _project(
    rows: Float64[FloatArray, "coalitions winners"],
    ends: Float64[FloatArray, " coalitions"],
    low: Float64[FloatArray, " winners"],
    high: Float64[FloatArray, " winners"],
    total: float | None,
) -> Float64[FloatArray, " winners"]:
    """The point of min ||t - low||², by Clarabel's interior point."""
    import clarabel
    from scipy.sparse import csc_matrix, eye, vstack

    size = len(low)
    blocks: list[Any] = [] if total is None else [csc_matrix(np.ones((1, size)))]
    right: list[Any] = [] if total is None else [[total]]
    blocks += [csc_matrix(-rows), -eye(size, format="csc"), eye(size, format="csc")]
    right += [-ends, -low, high]
    cones = [] if total is None else [clarabel.ZeroConeT(1)]
    cones.append(clarabel.NonnegativeConeT(len(ends) + 2 * size))
    options = clarabel.DefaultSettings()
    options.verbose = False
    options.tol_gap_abs = options.tol_gap_rel = options.tol_feas = 1e-10
    solver = clarabel.DefaultSolver(eye(size, format="csc"), -low, csc_matrix(vstack(blocks)), np.concatenate(right), cones, options)
    found = solver.solve()
    if "Solved" not in str(found.status):
        raise SolverError(f"core: Clarabel stopped with {found.status}; scale the bids")
    return np.asarray(found.x, dtype=np.float64)


def _with_outside(auction: CombinatorialAuction, surplus: Mapping[str, float]) -> CombinatorialAuction:
    """The auction with one more bid for each winner: to stay out, for its surplus, instead of any of its bids."""
    bids = dict(auction.bids)
    for bidder, worth in surplus.items():
        atoms: Sequence[AtomicBid] = bids[bidder].atoms
        if bids[bidder].is_xor and atoms and atoms[0].phantoms:
            every = frozenset({min(frozenset.intersection(*(atom.phantoms for atom in atoms)))})
        else:
            atoms = [AtomicBid(a.goods, a.price, a.phantoms | {f"{_STAYS_OUT} {k}"}) for k, a in enumerate(atoms)]
            every = frozenset(f"{_STAYS_OUT} {k}" for k in range(len(atoms)))
        bids[bidder] = BundleBids((*atoms, AtomicBid((), worth, every)))
    return CombinatorialAuction(bids, auction.supply)
