"""Affine maximisers: VCG with a weight for every bidder and a boost for every outcome."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping

from hurwicz._foundation import InputError, Solution, Status
from hurwicz.mechanisms.combinatorial.auction import AuctionResult, CombinatorialAuction
from hurwicz.mechanisms.combinatorial.packing import prepare
from hurwicz.mechanisms.combinatorial.winner_determination import PROVED, Clearing, Progress, Solver, deadline_after
from hurwicz.valuations.bundles import AtomicBid


def affine_maximiser(
    auction: CombinatorialAuction,
    *,
    weights: Mapping[str, float] | None = None,
    boosts: Mapping[tuple[str, tuple[str, ...]], float] | None = None,
    reserve: float = 0.0,
    solver: Solver = "branch_and_cut",
    time_limit: float | None = None,
    progress: Progress | None = None,
) -> Solution[AuctionResult]:
    """Affine maximiser: the assignment of greatest  sum_i w_i v_i(S_i) + sum_i c_i(S_i);  VCG is w = 1, c = 0.

    t_i = (1 / w_i) (max_x {sum_{j≠i} w_j v_j(x) + c(x)} - {sum_{j≠i} w_j v_j(x*) + c(x*)})

    Truthful in the prices of the bundles that are bid on, for any weights above 0 and any boosts; no bidder pays more than it bids.
    Truthful in the choice of those bundles too where no c_i is above 0. A boost above 0 counts in the pivot of the bidder that bids on
    its bundle, so that leaving the bundle out may pay: keep each bidder's list of bundles fixed, or the boosts at most 0.

    Args:
        auction: bids and supply.
        weights: bidder → w_i > 0; 1 for those left out.
        boosts: (bidder, goods sorted) → c_i, added where the bidder wins a bid on exactly these goods.
        reserve: taken off c for every winning bid; a bidder's bid must exceed it (times 1 / w_i) to count.
        solver: as for :func:`winner_determination`.
        time_limit: seconds for everything together.
        progress: called with what is being done and the fraction done.

    Returns:
        Assignment (its ``welfare`` is the weighted and boosted sum) and payments; status and stats as for :func:`vcg`.

    Raises:
        InputError: weights that are not positive, boosts or a reserve that are not finite, unknown bidders.

    Example:
        >>> from hurwicz.mechanisms.combinatorial import combinatorial_auction
        >>> from hurwicz.valuations import single_minded
        >>> auction = combinatorial_auction({"ann": single_minded("A", 10.0), "bob": single_minded("A", 8.0)})
        >>> affine_maximiser(auction, weights={"bob": 2.0}).value.payments  # bob's 8 counts 16
        {'ann': 0.0, 'bob': 5.0}
        >>> affine_maximiser(auction, reserve=9.0).value.payments
        {'ann': 9.0, 'bob': 0.0}

    Source:
        K. Roberts, "The characterization of implementable choice rules", in Aggregation and Revelation of Preferences, 1979.
    """
    began = time.perf_counter()
    deadline = deadline_after(time_limit)
    weight = dict.fromkeys(auction.bidders, 1.0) | _weights(auction, weights)
    boost = _boosts(auction, boosts)
    if not math.isfinite(reserve):
        raise InputError(f"reserve: expected a finite number, got {reserve!r}")

    def constant(bidder: str, atom: AtomicBid) -> float:
        return boost.get((bidder, atom.goods), 0.0) - reserve

    def worth(bidder: str, atom: AtomicBid) -> float:
        return weight[bidder] * atom.price + constant(bidder, atom)

    prepared = prepare(auction, worth)
    clearing = Clearing(prepared, solver)
    best = clearing.best(deadline=deadline, progress=progress)
    assignment = prepared.assignment(best.chosen, best.value)
    payments = dict.fromkeys(auction.bidders, 0.0)
    proved = best.gap <= PROVED
    for k, bidder in enumerate(assignment.won):
        bid = assignment.bid_of(bidder)
        if all(constant(bidder, atom) <= 0 for atom in auction.bids[bidder].atoms):
            # Worth nothing to the bidder its bids cannot win: it may as well be away. Then c(x*) of what it wins is not the others'.
            own = math.fsum(constant(bidder, atom) for atom in assignment.won[bidder])
            low, high = clearing.without(auction.bidders.index(bidder), deadline=deadline)
            low, high = max(low - own, 0.0), max(high - own, 0.0)
        else:

            def as_if_worthless(name: str, atom: AtomicBid, away: str = bidder) -> float:
                return constant(name, atom) if name == away else worth(name, atom)

            pivot = Clearing(prepare(auction, as_if_worthless), solver).best(deadline=deadline)
            others = best.value - weight[bidder] * bid
            low, high = max(pivot.value - others, 0.0), max(pivot.bound - others, 0.0)
        proved &= high - low <= PROVED * best.bound
        payments[bidder] = min(low / weight[bidder], bid)
        if progress is not None:
            progress(f"pivots: {k + 1} of {len(assignment.won)} winners", (k + 1) / len(assignment.won))
    stats = best.stats | {"seconds": time.perf_counter() - began}
    return Solution(AuctionResult(assignment, payments), Status.OPTIMUM if proved else Status.STEP_LIMIT, stats)


def _weights(auction: CombinatorialAuction, weights: Mapping[str, float] | None) -> dict[str, float]:
    for bidder, weight in (weights or {}).items():
        if bidder not in auction.bids:
            raise InputError(f"weights: expected bidders of the auction, got {bidder!r}")
        if not (math.isfinite(weight) and weight > 0):
            raise InputError(f"weights: expected a finite number above 0 for {bidder!r}, got {weight!r}")
    return dict(weights or {})


def _boosts(
    auction: CombinatorialAuction, boosts: Mapping[tuple[str, tuple[str, ...]], float] | None
) -> dict[tuple[str, tuple[str, ...]], float]:
    found = {}
    for (bidder, goods), boost in (boosts or {}).items():
        if bidder not in auction.bids:
            raise InputError(f"boosts: expected bidders of the auction, got {bidder!r}")
        if not math.isfinite(boost):
            raise InputError(f"boosts: expected a finite number for {bidder!r} and {list(goods)}, got {boost!r}")
        found[bidder, tuple(sorted(goods))] = float(boost)
    return found
