"""The linear relaxation of winner determination, tightened by cliques of bids that exclude each other; HiGHS solves the programs.

Every bound is taken from the dual multipliers themselves, U = <y, supply> + sum_j max(0, p_j - <y, a_j>) u_j for any y ≥ 0, so it holds
whatever the solver's tolerances (A. Neumaier and O. Shcherbina, "Safe bounds in linear and mixed-integer programming", Mathematical
Programming 99, 2004). Clique cuts: M. W. Padberg, "On the facial structure of set packing polyhedra", Mathematical Programming 5, 1973.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64

from hurwicz._foundation import FloatArray, SolverError
from hurwicz.mechanisms.combinatorial.packing import Packing

_LOUDEST = 1e3  # prices are scaled to this, so that the solver's absolute tolerances mean the same for cents and for millions
_INTEGRAL = 1e-6
_VIOLATED = 1e-3
NO_LIMIT = 2**31 - 1


@dataclass(frozen=True)
class Point:
    """An optimum of a relaxation, or of its dual as far as a limited run came.

    Attributes:
        x: shares of the bids.
        reduced: p_j - <y, a_j>.
        bound: no assignment within the box is worth more.
    """

    x: Float64[FloatArray, " bids"]
    reduced: Float64[FloatArray, " bids"]
    bound: float

    @property
    def fractional(self) -> Int64[np.ndarray, " some"]:
        """Bids that are won in part."""
        return np.flatnonzero((self.x > _INTEGRAL) & (self.x < 1 - _INTEGRAL))


class Relaxation:
    """max <p, x>, rows x ≤ limits, 0 ≤ x ≤ u, re-solved from the last basis as u changes and cuts come in.

    Args:
        prices: p.
        rows: left-hand sides, dense.
        limits: right-hand sides.
        conflicts: which bids exclude each other; cliques are found in it.
    """

    def __init__(
        self,
        prices: Float64[FloatArray, " bids"],
        rows: Float64[FloatArray, "rows bids"],
        limits: Float64[FloatArray, " rows"],
        conflicts: Bool[np.ndarray, "bids bids"],
    ) -> None:
        self.prices, self.conflicts = prices, conflicts
        self.rows, self.limits = rows, limits
        self.scale = _LOUDEST / float(prices.max())
        self.base = len(limits)
        self.last_used = np.zeros(self.base, dtype=np.int64)
        self.solves = 0
        self._columns = np.arange(len(prices), dtype=np.int32)
        self._seen: set[bytes] = set()
        self._iterations = NO_LIMIT
        self._load()

    @property
    def size(self) -> int:
        """Number of bids."""
        return len(self.prices)

    def solve(self, upper: Float64[FloatArray, " bids"], iterations: int = NO_LIMIT) -> Point:
        """Optimise within 0 ≤ x ≤ upper; with fewer ``iterations`` the point may be none, but its bound holds."""
        solver = self._solver
        if iterations != self._iterations:
            solver.setOptionValue("simplex_iteration_limit", iterations)
            self._iterations = iterations
        solver.changeColsBounds(self.size, self._columns, np.zeros(self.size), upper)
        if solver.run() == self._highs.HighsStatus.kError:
            raise SolverError("HiGHS could not solve a linear relaxation of winner determination; scale the prices")
        self.solves += 1
        found = solver.getSolution()
        y = np.maximum(np.asarray(found.row_dual), 0.0) / self.scale
        self.last_used[y > 0] = self.solves
        reduced = self.prices - y @ self.rows
        return Point(np.asarray(found.col_value), reduced, float(y @ self.limits + np.maximum(reduced, 0.0) @ upper))

    def tighten(self, point: Point, upper: Float64[FloatArray, " bids"], most: int) -> int:
        """Add the cliques that ``point`` violates most; how many."""
        cliques = self._violated(point, upper)[:most]
        if cliques:
            rows = np.zeros((len(cliques), self.size))
            for k, clique in enumerate(cliques):
                rows[k, clique] = 1.0
                self._solver.addRow(-self._highs.kHighsInf, 1.0, len(clique), clique.astype(np.int32), np.ones(len(clique)))
            self.rows = np.vstack([self.rows, rows])
            self.limits = np.concatenate([self.limits, np.ones(len(cliques))])
            self.last_used = np.concatenate([self.last_used, np.full(len(cliques), self.solves)])
        return len(cliques)

    def forget(self, solves: int) -> None:
        """Drop the cuts that none of the last ``solves`` optima leaned on."""
        kept = (np.arange(len(self.limits)) < self.base) | (self.last_used > self.solves - solves)
        self.rows, self.limits, self.last_used = self.rows[kept], self.limits[kept], self.last_used[kept]
        self._load()

    def reduced_to(self, columns: Int64[np.ndarray, " part"]) -> Relaxation:
        """The relaxation over some of the bids, without rows that others imply."""
        rows, limits = _undominated_rows(self.rows[:, columns], self.limits)
        return Relaxation(self.prices[columns], rows, limits, self.conflicts[np.ix_(columns, columns)])

    def _load(self) -> None:
        import highspy
        from scipy.sparse import csc_array

        self._highs: Any = highspy
        self._solver: Any = highspy.Highs()
        for option, value in (("output_flag", False), ("threads", 1), ("presolve", "off"), ("solver", "simplex"), ("simplex_strategy", 1)):
            self._solver.setOptionValue(option, value)
        self._iterations = NO_LIMIT
        matrix = csc_array(self.rows)
        program = highspy.HighsLp()
        program.num_col_, program.num_row_ = self.size, len(self.limits)
        program.col_cost_ = self.prices * self.scale
        program.col_lower_, program.col_upper_ = np.zeros(self.size), np.ones(self.size)
        program.row_lower_, program.row_upper_ = np.full(len(self.limits), -highspy.kHighsInf), self.limits
        program.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        program.a_matrix_.start_, program.a_matrix_.index_, program.a_matrix_.value_ = matrix.indptr, matrix.indices, matrix.data
        program.sense_ = highspy.ObjSense.kMaximize
        self._solver.passModel(program)

    def _violated(self, point: Point, upper: Float64[FloatArray, " bids"]) -> list[Int64[np.ndarray, " some"]]:
        """Cliques with more than one bid's worth in x: grown greedily among fractional bids, then over all bids that may matter."""
        part = point.fractional
        share, among = point.x[part], self.conflicts[np.ix_(part, part)]
        appeal = share + 1e-3 * (among @ share)
        # Bids that are still in play come first, those nearest to winning before others.
        rank = np.argsort(np.argsort(np.where(upper > 0, -point.reduced, np.inf), kind="stable"), kind="stable")
        found: list[tuple[float, Int64[np.ndarray, " some"]]] = []
        for first in range(len(part)):
            open_to, clique, weight = among[first].copy(), [first], float(share[first])
            while open_to.any():
                best = int(np.argmax(np.where(open_to, appeal, -1.0)))
                clique.append(best)
                weight += float(share[best])
                open_to &= among[best]
            core = np.sort(part[clique])
            if weight <= 1 + _VIOLATED or core.tobytes() in self._seen:
                continue
            self._seen.add(core.tobytes())
            found.append((weight, self._maximal(core, rank)))
        found.sort(key=lambda pair: -pair[0])
        return [clique for _, clique in found]

    def _maximal(self, core: Int64[np.ndarray, " some"], rank: Int64[np.ndarray, " bids"]) -> Int64[np.ndarray, " more"]:
        candidates = np.flatnonzero(self.conflicts[core].all(axis=0))
        candidates = candidates[np.argsort(rank[candidates])]
        whole = core.tolist()
        while len(candidates):
            best = int(candidates[0])
            whole.append(best)
            candidates = candidates[1:][self.conflicts[best, candidates[1:]]]
        return np.sort(np.asarray(whole, dtype=np.int64))


def _undominated_rows(
    rows: Float64[FloatArray, "rows bids"], limits: Float64[FloatArray, " rows"]
) -> tuple[Float64[FloatArray, "fewer bids"], Float64[FloatArray, " fewer"]]:
    """Rows that can bind and that no other row of zeros and ones with limit 1 contains."""
    bind = rows.sum(axis=1) > limits
    rows, limits = rows[bind], limits[bind]
    clique = (limits == 1) & (rows.max(axis=1, initial=0.0) <= 1)
    cliques = np.unique(rows[clique], axis=0)
    flat = cliques.astype(np.float32)
    size = flat.sum(axis=1)
    inside = (flat @ flat.T >= size[:, None] - 0.5) & (size[None, :] > size[:, None] + 0.5)
    cliques = cliques[~inside.any(axis=1)]
    return np.vstack([cliques, rows[~clique]]), np.concatenate([np.ones(len(cliques)), limits[~clique]])


def root_relaxation(packing: Packing) -> Relaxation:
    """The relaxation of a whole packing."""
    return Relaxation(packing.prices, np.asarray(packing.uses.toarray(), dtype=np.float64), packing.supply, packing.conflicts)
