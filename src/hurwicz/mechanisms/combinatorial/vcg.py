"""The Vickrey–Clarke–Groves mechanism for bids on bundles, and paying what was bid."""

from __future__ import annotations

import time

from hurwicz._foundation import Solution, Status
from hurwicz.mechanisms.combinatorial.auction import AuctionResult, CombinatorialAuction
from hurwicz.mechanisms.combinatorial.packing import prepare
from hurwicz.mechanisms.combinatorial.winner_determination import (
    PROVED,
    Clearing,
    Progress,
    Solver,
    deadline_after,
    winner_determination,
)


def vcg(
    auction: CombinatorialAuction,
    *,
    solver: Solver = "branch_and_cut",
    time_limit: float | None = None,
    progress: Progress | None = None,
) -> Solution[AuctionResult]:
    """VCG: the welfare-maximising assignment; each pays what its presence costs the others.

    t_i = max_x sum_{j≠i} v_j(x) - sum_{j≠i} v_j(x*)

    Every payment is a leave-one-out optimum of its own. With ``"branch_and_cut"`` these start from the cuts, branching experience and
    assignments of those before, and only the components of the auction in which the bidder wins are solved again.

    Args:
        auction: bids and supply.
        solver: as for :func:`winner_determination`.
        time_limit: seconds for everything together.
        progress: called with what is being done and the fraction done.

    Returns:
        Assignment and payments. Status ``OPTIMUM``, or ``STEP_LIMIT`` where time ran out: then a payment is the greatest that was
        proved due beside the assignment found. Stats: as for :func:`winner_determination`, ``seconds_first``, and ``payment_bounds``
        (bidder → (least, greatest) payment that the proofs allow, equal where status is ``OPTIMUM``).

    Raises:
        InputError: an unknown solver, a time limit that is not positive.

    Example:
        Revenue is not monotone in the bidders: one more bidder, and it falls.

        >>> from hurwicz.mechanisms.combinatorial import combinatorial_auction
        >>> from hurwicz.valuations import single_minded
        >>> two = {"ann": single_minded("AB", 10.0), "bob": single_minded("A", 8.0)}
        >>> vcg(combinatorial_auction(two)).value.revenue
        8.0
        >>> vcg(combinatorial_auction(two | {"cem": single_minded("B", 8.0)})).value.revenue
        4.0

    Source:
        W. Vickrey (1961), E. H. Clarke (1971), T. Groves (1973); non-monotone revenue: L. M. Ausubel and P. Milgrom, "The Lovely but
        Lonely Vickrey Auction", in Combinatorial Auctions, MIT Press, 2006.
    """
    began = time.perf_counter()
    deadline = deadline_after(time_limit)
    prepared = prepare(auction)
    clearing = Clearing(prepared, solver)
    best = clearing.best(deadline=deadline, progress=progress)
    first = time.perf_counter() - began
    assignment = prepared.assignment(best.chosen, best.value)
    payments = dict.fromkeys(auction.bidders, 0.0)
    without: dict[str, float] = {}
    ranges: dict[str, tuple[float, float]] = {}
    for k, bidder in enumerate(assignment.won):
        low, high = clearing.without(auction.bidders.index(bidder), deadline=deadline)
        bid = assignment.bid_of(bidder)
        payments[bidder] = min(low, bid)
        ranges[bidder] = (payments[bidder], max(payments[bidder], min(high, bid)))
        without[bidder] = best.value - bid + payments[bidder]
        if progress is not None:
            progress(f"VCG payments: {k + 1} of {len(assignment.won)} winners", (k + 1) / len(assignment.won))
    exact = best.gap <= PROVED and all(high - low <= PROVED * best.bound for low, high in ranges.values())
    stats = best.stats | {"seconds": time.perf_counter() - began, "seconds_first": first}
    if exact:
        ranges = {bidder: (low, low) for bidder, (low, _) in ranges.items()}
    return Solution(
        AuctionResult(assignment, payments, without),
        Status.OPTIMUM if exact else Status.STEP_LIMIT,
        stats | {"payment_bounds": ranges},
    )


def pay_as_bid(
    auction: CombinatorialAuction,
    *,
    solver: Solver = "branch_and_cut",
    time_limit: float | None = None,
    progress: Progress | None = None,
) -> Solution[AuctionResult]:
    """Pay as bid: the welfare-maximising assignment by the bids; each pays its bid. Not truthful.

    Args:
        auction: bids and supply.
        solver: as for :func:`winner_determination`.
        time_limit: seconds.
        progress: called with what is being done and the fraction done.

    Example:
        >>> from hurwicz.mechanisms.combinatorial import combinatorial_auction
        >>> from hurwicz.valuations import single_minded
        >>> pay_as_bid(combinatorial_auction({"ann": single_minded("AB", 10.0), "bob": single_minded("A", 8.0)})).value.payments
        {'ann': 10.0, 'bob': 0.0}

    Source:
        B. D. Bernheim and M. D. Whinston, "Menu Auctions, Resource Allocation, and Economic Influence", QJE 101, 1986.
    """
    solved = winner_determination(auction, solver=solver, time_limit=time_limit, progress=progress)
    payments = {bidder: solved.value.bid_of(bidder) for bidder in auction.bidders}
    return Solution(AuctionResult(solved.value, payments), solved.status, solved.stats)
