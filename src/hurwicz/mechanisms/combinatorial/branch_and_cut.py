"""Winner determination by branch and cut, made for asking again and again with some bids away.

At the root the relaxation is tightened by clique cuts, and bids whose reduced cost shows that they are in no better assignment are fixed
at zero; a tree over the few that are left closes the gap. Cuts, branching experience and assignments found serve every later question
to the same packing, which is what leave-one-out payments ask. Where bids are intervals of goods, cliques say little that the goods do not
say: there a table (``intervals``) takes the place of the tree, and answers most later questions without any work.

Source: T. Sandholm, S. Suri, A. Gilpin and D. Levine, "CABOB: A Fast Optimal Algorithm for Winner Determination in Combinatorial
Auctions", Management Science 51, 2005 (bounds by linear programs, components); T. Achterberg, T. Koch and A. Martin, "Branching rules
revisited", Operations Research Letters 33, 2005 (pseudocosts after strong branching).
"""

from __future__ import annotations

import heapq
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float64, Int64

from hurwicz._foundation import FloatArray
from hurwicz.mechanisms.combinatorial.intervals import IntervalTable, interval_table
from hurwicz.mechanisms.combinatorial.local_search import filled, improved
from hurwicz.mechanisms.combinatorial.packing import Packing
from hurwicz.mechanisms.combinatorial.relaxation import NO_LIMIT, Point, Relaxation, root_relaxation

TOLERANCE = 1e-9
"""Of the welfare: what a bound may leave open for an assignment to count as optimal."""

_ROOT_ROUNDS, _ROOT_CUTS = 25, 50
_NODE_CUTS = 10
_CANDIDATES, _PROBE_STEPS, _TRUSTED = 8, 25, 2

Report = Callable[[float, float], None]


@dataclass(frozen=True)
class Found:
    """The best assignment that was found, and what is proved of it.

    Attributes:
        chosen: its bids.
        value: its sum of prices.
        bound: no assignment is worth more.
        stats: nodes, linear programs, cuts.
    """

    chosen: tuple[int, ...]
    value: float
    bound: float
    stats: dict[str, int] = field(default_factory=dict)


class _Experience:
    """Mean loss of bound per unit of branching on each bid, down to 0 and up to 1."""

    def __init__(self, size: int) -> None:
        self.sums, self.counts = np.zeros((2, size)), np.zeros((2, size))

    def add(self, up: int, bid: int, loss: float) -> None:
        self.sums[up, bid] += loss
        self.counts[up, bid] += 1

    def expected(self, up: int, bids: Int64[np.ndarray, " some"]) -> Float64[FloatArray, " some"]:
        mean = self.sums[up].sum() / max(1.0, self.counts[up].sum())
        counts = self.counts[up, bids]
        return np.asarray(np.where(counts > 0, self.sums[up, bids] / np.maximum(1.0, counts), mean), dtype=np.float64)

    def trusted(self, bid: int) -> bool:
        return bool(self.counts[:, bid].min() >= _TRUSTED)


class BranchAndCut:
    """A packing whose optimum can be asked for with any bids away.

    Args:
        packing: bids, rows, supply.
    """

    def __init__(self, packing: Packing) -> None:
        self.packing = packing
        self.experience = _Experience(packing.size)
        self.pool: list[tuple[int, ...]] = []
        self.tabled = False  # whether the table is filled: then it is asked before the root

    @cached_property
    def root(self) -> Relaxation:
        """The relaxation of the whole packing, with every cut found so far that is still of use."""
        return root_relaxation(self.packing)

    @cached_property
    def table(self) -> IntervalTable | None:
        """The table of bids on intervals, where they are that and it fits."""
        return interval_table(self.packing)

    def maximum(
        self,
        allowed: Bool[np.ndarray, " bids"] | None = None,
        *,
        start: Sequence[int] = (),
        deadline: float = math.inf,
        report: Report | None = None,
    ) -> Found:
        """The best assignment among the allowed bids.

        Args:
            allowed: bids that may win; all if omitted.
            start: a feasible assignment to begin with, as far as its bids are allowed.
            deadline: ``time.perf_counter()`` at which to stop with what there is.
            report: called with (value, bound) as they move.
        """
        upper = np.ones(self.packing.size) if allowed is None else allowed.astype(np.float64)
        if bool((self.packing.uses @ upper <= self.packing.supply).all()):
            everything = tuple(int(j) for j in np.flatnonzero(upper))
            value = self.packing.total(everything)
            return Found(everything, value, value, {})
        search = _Search(self.packing, self.root, upper, deadline, report)
        for known in (tuple(start), *self.pool):
            search.offer([j for j in known if upper[j] > 0])
        bound = math.inf if self.tabled else self._tightened(search, upper)
        if not search.closed(bound) and self.table is not None and (answer := self.table.maximum(upper > 0, deadline)) is not None:
            self.tabled = True
            chosen, bound = answer
            search.offer(chosen)
        elif not search.closed(bound):
            kept = np.flatnonzero(search.upper > 0)
            # A better assignment would hold one of the bids that are left: without any there is none.
            bound = _Tree(self, search, kept, bound).run() if len(kept) else search.value
        self.pool.append(search.chosen)
        bound = max(bound, search.value)
        if report is not None:
            report(search.value, bound)
        return Found(search.chosen, search.value, bound, search.stats)

    def _tightened(self, search: _Search, upper: Float64[FloatArray, " bids"]) -> float:
        """Cuts and fixings at the root, until neither moves the bound; the bound."""
        root = self.root
        point = root.solve(upper)
        search.count(programs=1)
        best, stalled = point.bound, 0
        search.round(point, upper)
        for step in range(_ROOT_ROUNDS):
            search.fix(point)
            if search.closed(point.bound) or not len(point.fractional) or search.late():
                break
            added = root.tighten(point, search.upper, _ROOT_CUTS)
            if not added:
                break
            point = root.solve(search.upper)
            search.count(programs=1, cuts=added)
            if step % 3 == 0 or not len(point.fractional):
                search.round(point, search.upper)
            stalled = stalled + 1 if best - point.bound < 0.02 * (point.bound - search.value) else 0
            best = min(best, point.bound)
            if stalled == 3:
                break
        search.fix(point)
        if len(root.limits) > 2 * root.base + 4 * _ROOT_CUTS:
            root.forget(5)
        return min(best, point.bound)


class _Search:
    """What is known while one question is answered: the best assignment, and the bids that may still better it."""

    def __init__(
        self, packing: Packing, root: Relaxation, upper: Float64[FloatArray, " bids"], deadline: float, report: Report | None
    ) -> None:
        self.packing, self.root, self.deadline, self.report = packing, root, deadline, report
        self.upper = upper.copy()
        self.chosen: tuple[int, ...] = ()
        self.value = 0.0
        self.stats = {"nodes": 0, "programs": 0, "cuts": 0}

    @property
    def slack(self) -> float:
        return TOLERANCE * self.value

    def count(self, **more: int) -> None:
        for name, number in more.items():
            self.stats[name] += number

    def late(self) -> bool:
        return time.perf_counter() >= self.deadline

    def closed(self, bound: float) -> bool:
        return bound <= self.value + self.slack

    def offer(self, chosen: Sequence[int]) -> None:
        value = self.packing.total(chosen)
        if value > self.value + self.slack:
            self.value, self.chosen = value, tuple(sorted(chosen))

    def hopeless(self, point: Point, bound: float) -> Bool[np.ndarray, " bids"]:
        """Bids that would cost more than the gap if they won."""
        return np.asarray(bound + np.minimum(point.reduced, 0.0) <= self.value + self.slack)

    def fix(self, point: Point) -> None:
        """Hopeless bids are away for good."""
        self.upper[self.hopeless(point, point.bound)] = 0.0

    def round(self, point: Point, upper: Float64[FloatArray, " bids"]) -> None:
        """An assignment near a point: the point itself where it is whole."""
        if not len(point.fractional):
            self.offer(np.flatnonzero(point.x > 0.5).tolist())
        elif not self.closed(point.bound):
            self.offer(_near(self.packing, point, upper))


def _near(packing: Packing, point: Point, upper: Float64[FloatArray, " bids"]) -> list[int]:
    """An assignment near a point: filled up in the order of its shares, then of its reduced prices, and improved."""
    order = np.argsort(-(point.x * (1e3 * float(packing.prices.max())) + point.reduced), kind="stable")
    return improved(packing, filled(packing, order, upper > 0, ()), order, upper > 0)


@dataclass(order=True)
class _Node:
    key: float
    number: int
    upper: Float64[FloatArray, " bids"] = field(compare=False)
    point: Point = field(compare=False)


class _Tree:
    """Best-first branching on single bids over those that the root could not fix."""

    def __init__(self, owner: BranchAndCut, search: _Search, kept: Int64[np.ndarray, " part"], bound: float) -> None:
        self.search, self.kept, self.root_bound = search, kept, bound
        self.experience = owner.experience
        self.part = owner.packing.part(kept)
        self.relaxation = owner.root.reduced_to(kept)
        self.relaxed_rows = len(self.relaxation.limits)
        self.heap: list[_Node] = []
        self.number = 0
        self.closed_at = -math.inf

    def run(self) -> float:
        """Search until nothing open may be better, or time is up; the bound."""
        search = self.search
        upper = np.ones(len(self.kept))
        self._drop_dominated(upper)
        self._push(upper, self._solve(upper), math.inf)
        while self.heap:
            node = heapq.heappop(self.heap)
            bound = -node.key
            if search.closed(bound):
                break
            if search.late():
                heapq.heappush(self.heap, node)
                break
            search.count(nodes=1)
            if search.report is not None:
                search.report(search.value, min(bound, self.root_bound))
            self._branch(node, bound)
        open_bound = -self.heap[0].key if self.heap else -math.inf
        return min(self.root_bound, max(open_bound, self.closed_at, search.value))

    def _drop_dominated(self, upper: Float64[FloatArray, " bids"]) -> None:
        """Within this box: a bid that excludes all that another one excludes, and that one too, and is worth no more, is not needed."""
        inside = np.flatnonzero(upper > 0)
        prices, many = self.part.prices[inside], self.part.several[inside]
        closed = self.part.conflicts[np.ix_(inside, inside)].astype(np.float32)
        np.fill_diagonal(closed, 1.0)
        size = closed.sum(axis=1)
        # fewer[a, b]: a and b exclude each other, and all that a excludes b excludes too
        fewer = (closed > 0) & (closed @ closed.T >= size[:, None] - 0.5)
        for column in many.T:
            fewer &= column[:, None] <= column[None, :]
        better = fewer & (prices[:, None] >= prices[None, :])
        np.fill_diagonal(better, False)
        tied = better & better.T
        better &= ~(tied & np.tri(len(inside), dtype=bool))  # of two that are alike the first stays
        upper[inside[better.any(axis=0)]] = 0.0

    def _solve(self, upper: Float64[FloatArray, " bids"], iterations: int = NO_LIMIT) -> Point:
        self.search.count(programs=1)
        return self.relaxation.solve(upper, iterations)

    def _branch(self, node: _Node, bound: float) -> None:
        search, relaxation = self.search, self.relaxation
        if len(relaxation.limits) > 1.5 * self.relaxed_rows + 4 * _NODE_CUTS:
            relaxation.forget(60)
            self.relaxed_rows = len(relaxation.limits)
        upper = node.upper.copy()
        upper[search.hopeless(node.point, bound)] = 0.0
        chosen = self._choose(node.point, upper, bound)
        if chosen is None:
            return
        bid, bounds = chosen
        share = float(node.point.x[bid])
        for up, least in ((1, bounds[0]), (0, bounds[1])):
            if search.closed(least):
                continue
            child = self._child(upper, bid, up)
            point = self._solve(child)
            if least == bound:
                loss = min(max(bound - point.bound, 0.0), bound - search.value)
                self.experience.add(up, int(self.kept[bid]), loss / (1 - share if up else share))
            if not search.closed(point.bound) and (added := relaxation.tighten(point, child, _NODE_CUTS)):
                search.count(cuts=added)
                point = self._solve(child)
            self._push(child, point, least)

    def _child(self, upper: Float64[FloatArray, " bids"], bid: int, up: int) -> Float64[FloatArray, " bids"]:
        child = upper.copy()
        if up:
            child[self.part.conflicts[bid]] = 0.0
        else:
            child[bid] = 0.0
        return child

    def _choose(self, point: Point, upper: Float64[FloatArray, " bids"], bound: float) -> tuple[int, tuple[float, float]] | None:
        """The bid to branch on and the bounds of its two sides as far as known; ``None`` where both sides of some bid are closed."""
        search, experience = self.search, self.experience
        part = point.fractional
        names = self.kept[part]
        share = point.x[part]
        most, least = bound - search.value, 1e-9 * bound
        up = np.clip(experience.expected(1, names) * (1 - share), least, most)
        down = np.clip(experience.expected(0, names) * share, least, most)
        score = up * down
        best, best_score, unbeaten = -1, -1.0, 0
        bounds = (bound, bound)
        for k in np.argsort(-score)[:_CANDIDATES]:
            bid, here = int(part[k]), (bound, bound)
            value = float(score[k])
            if not experience.trusted(int(names[k])):
                probes = [min(bound, self._solve(self._child(upper, bid, side), _PROBE_STEPS).bound) for side in (1, 0)]
                here = (probes[0], probes[1])
                if search.closed(here[0]) and search.closed(here[1]):
                    return None
                losses = [min(max(bound - b, least), most) for b in here]
                experience.add(1, int(names[k]), losses[0] / (1 - float(share[k])))
                experience.add(0, int(names[k]), losses[1] / float(share[k]))
                value = losses[0] * losses[1]
            unbeaten = 0 if value > best_score else unbeaten + 1
            if value > best_score:
                best, best_score, bounds = bid, value, here
            elif unbeaten == 4:
                break
        return best, bounds

    def _push(self, upper: Float64[FloatArray, " bids"], point: Point, least: float) -> None:
        search = self.search
        bound = min(point.bound, least, self.root_bound)
        if search.closed(bound):
            return
        if len(point.fractional):
            search.offer([int(self.kept[j]) for j in _near(self.part, point, upper)])
            if not search.closed(bound):
                self.number += 1
                heapq.heappush(self.heap, _Node(-bound, self.number, upper, point))
            return
        search.offer([int(self.kept[j]) for j in np.flatnonzero(point.x > 0.5)])
        self.closed_at = max(self.closed_at, bound)  # whole: nothing in this box is worth more than the program's optimum
