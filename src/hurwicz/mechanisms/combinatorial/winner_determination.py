"""Winner determination: the assignment of goods to bids that is worth most."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from hurwicz._foundation import InputError, Solution, Status
from hurwicz.mechanisms.combinatorial.auction import Assignment, CombinatorialAuction
from hurwicz.mechanisms.combinatorial.branch_and_cut import BranchAndCut, Found, Report
from hurwicz.mechanisms.combinatorial.packing import Packing, Prepared, prepare
from hurwicz.mechanisms.combinatorial.solvers import cp_sat_maximum, highs_maximum

Solver: TypeAlias = Literal["branch_and_cut", "highs", "cp_sat"]
Progress: TypeAlias = Callable[[str, float], None]

SOLVERS: tuple[str, ...] = ("branch_and_cut", "highs", "cp_sat")
MOST_FOR_CUTS = 4_000
"""Bids of one component beyond which the table of conflicts would not fit: HiGHS takes the component whole."""
PROVED = 1e-7
"""Of the welfare: the gap that counts as none."""


def winner_determination(
    auction: CombinatorialAuction,
    *,
    solver: Solver = "branch_and_cut",
    time_limit: float | None = None,
    start: Mapping[str, Sequence[int]] | None = None,
    progress: Progress | None = None,
) -> Solution[Assignment]:
    """The assignment of greatest welfare,  max sum_i v_i(S_i)  over bundles S_i that the supply allows.

    Args:
        auction: bids and supply.
        solver: ``"branch_and_cut"`` (linear programs by HiGHS, cuts and tree of this library), ``"highs"`` (HiGHS's own integer
            solver, whose bound rests on its tolerances; also used where a component has more than 4,000 bids) or ``"cp_sat"``
            (OR-Tools, extra ``cpsat``).
        time_limit: seconds; the best assignment by then comes back with the best bound.
        start: bidder → numbers of its atoms that win in an assignment to begin with.
        progress: called with what is being done and the fraction of the gap closed.

    Returns:
        The assignment. Status ``OPTIMUM``, or ``STEP_LIMIT`` where time ran out; stats: ``bound`` (nothing is worth more), ``gap``
        (of the bound), ``nodes``, ``bids`` (left after preprocessing), ``components``, ``seconds``.

    Raises:
        InputError: an unknown solver, a time limit that is not positive, a start that is no assignment.
        MissingExtraError: CP-SAT was asked for and OR-Tools is not installed.

    Example:
        >>> from hurwicz.mechanisms.combinatorial import combinatorial_auction
        >>> from hurwicz.valuations import single_minded, xor_bids
        >>> auction = combinatorial_auction({"ann": single_minded("AB", 10.0), "bob": xor_bids([("A", 7.0), ("B", 6.0)]),
        ...                                  "cem": single_minded("B", 4.0)})
        >>> solved = winner_determination(auction)
        >>> solved.value.welfare, solved.value.bundles
        (11.0, {'bob': ('A',), 'cem': ('B',)})

    Source:
        T. Sandholm, "Algorithm for optimal winner determination in combinatorial auctions", Artificial Intelligence 135, 2002; the
        mixed integer program is that of N. Nisan, "Bidding and Allocation in Combinatorial Auctions", EC 2000.
    """
    began = time.perf_counter()
    deadline = deadline_after(time_limit)
    prepared = prepare(auction)
    clearing = Clearing(prepared, solver)
    best = clearing.best(deadline=deadline, start=_start(prepared, start), progress=progress)
    status = Status.OPTIMUM if best.gap <= PROVED else Status.STEP_LIMIT
    return Solution(prepared.assignment(best.chosen, best.value), status, best.stats | {"seconds": time.perf_counter() - began})


def deadline_after(time_limit: float | None) -> float:
    """``time.perf_counter()`` at which time is up."""
    if time_limit is None:
        return math.inf
    if not time_limit > 0:
        raise InputError(f"time_limit: expected more than 0 seconds, got {time_limit!r}")
    return time.perf_counter() + time_limit


@dataclass(frozen=True)
class Best:
    """The best assignment over all components, with its bound and counts of work."""

    chosen: tuple[int, ...]
    value: float
    bound: float
    counts: dict[str, int]

    @property
    def gap(self) -> float:
        """What the bound leaves open, of the bound."""
        return (self.bound - self.value) / self.bound if self.bound > 0 else 0.0

    @property
    def stats(self) -> dict[str, float]:
        """Bound, gap and counts."""
        return {"bound": self.bound, "gap": self.gap, **self.counts}


class Clearing:
    """The components of an auction, each with its solver; made for asking again with a bidder away.

    Args:
        prepared: from :func:`prepare`.
        solver: as for :func:`winner_determination`.

    Raises:
        InputError: an unknown solver.
    """

    def __init__(self, prepared: Prepared, solver: str) -> None:
        if solver not in SOLVERS:
            raise InputError(f"solver: expected one of {', '.join(SOLVERS)}, got {solver!r}")
        self.prepared, self.solver = prepared, solver
        self.parts: list[Packing] = [prepared.whole.part(columns) for columns in prepared.components]
        self.searches: list[BranchAndCut | None] = [
            BranchAndCut(part) if solver == "branch_and_cut" and part.size <= MOST_FOR_CUTS else None for part in self.parts
        ]
        self.found: list[Found] = []

    def best(self, *, deadline: float = math.inf, start: Sequence[int] = (), progress: Progress | None = None) -> Best:
        """The best assignment of all bids."""
        given = set(start)
        self.found = []
        for k, columns in enumerate(self.prepared.components):
            begin = [i for i, j in enumerate(columns) if int(j) in given]
            self.found.append(self._maximum(k, None, begin, deadline, _reporter(progress, k, len(self.parts))))
        chosen = [int(columns[j]) for columns, found in zip(self.prepared.components, self.found, strict=True) for j in found.chosen]
        value = self.prepared.whole.total(chosen)
        bound = max(value, sum(found.bound for found in self.found))
        counts = {name: sum(found.stats.get(name, 0) for found in self.found) for name in ("nodes", "programs", "cuts")}
        return Best(tuple(sorted(chosen)), value, bound, {"bids": self.prepared.whole.size, "components": len(self.parts)} | counts)

    def without(self, bidder: int, *, deadline: float = math.inf) -> tuple[float, float]:
        """By how much (value, bound) the best assignment without ``bidder`` exceeds what the others have in the best one with it."""
        value = bound = 0.0
        for k, (part, found) in enumerate(zip(self.parts, self.found, strict=True)):
            own = [j for j in found.chosen if part.owner[j] == bidder]
            if not own:
                continue
            others = found.value - part.total(own)
            # Whoever stays away of a component that was not solved leaves its bound as the bound.
            again = self._maximum(k, bidder, [j for j in found.chosen if part.owner[j] != bidder], deadline, None)
            value += again.value - others
            bound += max(again.value, min(again.bound, found.bound)) - others
        return max(value, 0.0), max(bound, 0.0)

    def _maximum(self, k: int, away: int | None, start: Sequence[int], deadline: float, report: Report | None) -> Found:
        part, search = self.parts[k], self.searches[k]
        allowed = None if away is None else part.owner != away
        if search is not None:
            return search.maximum(allowed, start=start, deadline=deadline, report=report)
        solve = cp_sat_maximum if self.solver == "cp_sat" else highs_maximum
        return solve(part, allowed, start=start, deadline=deadline, report=report)


def _reporter(progress: Progress | None, k: int, count: int) -> Report | None:
    if progress is None:
        return None
    tell = progress

    def report(value: float, bound: float) -> None:
        closed = value / bound if bound > 0 else 1.0
        tell(f"winner determination: {value:.6g} of at most {bound:.6g}", (k + closed) / count)

    return report


def _start(prepared: Prepared, start: Mapping[str, Sequence[int]] | None) -> list[int]:
    """Columns of an assignment given by bidder and atom; atoms that preprocessing left out are left out here."""
    if start is None:
        return []
    column = {(bidder, id(atom)): j for j, (bidder, atom) in enumerate(prepared.atoms)}
    used: dict[str, int] = {}
    columns = []
    for bidder, numbers in start.items():
        if bidder not in prepared.auction.bids:
            raise InputError(f"start: expected bidders of the auction, got {bidder!r}")
        atoms = prepared.auction.bids[bidder].atoms
        phantoms: set[str] = set()
        for number in numbers:
            if not 0 <= number < len(atoms):
                raise InputError(f"start: {bidder!r} has atoms 0 to {len(atoms) - 1}, got {number}")
            if phantoms & atoms[number].phantoms:
                raise InputError(f"start: atoms {list(numbers)} of {bidder!r} exclude each other")
            phantoms |= atoms[number].phantoms
            for good in atoms[number].goods:
                used[good] = used.get(good, 0) + 1
            if (bidder, id(atoms[number])) in column:
                columns.append(column[bidder, id(atoms[number])])
    over = [good for good, units in used.items() if units > prepared.auction.supply[good]]
    if over:
        raise InputError(f"start: {over[0]!r} is given out {used[over[0]]} times, there is {prepared.auction.supply[over[0]]}")
    if len(columns) != len(set(columns)):
        raise InputError("start: an atom is named twice")
    return columns
