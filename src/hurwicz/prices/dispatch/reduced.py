"""The network program in outputs alone, for many solves on one grid: line limits enter when they are violated.

Flow on a pair of buses = what demand alone causes + sum over units of its shift factor (PTDF) x output. Few limits bind, so few rows are
needed.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int64
from scipy import sparse
from scipy.sparse.linalg import splu

from hurwicz._foundation import FloatArray, SolverError
from hurwicz.prices.dispatch.network import DcNetwork, IntArray
from hurwicz.prices.dispatch.program import NetworkProgram, ProgramSolution, Supply, interior_point, money_scale

_VIOLATED = 1e-8  # p.u.
_SCALED = 1e-10  # of the limit: for lines of very large ratings


class ReducedProgram:
    """Minimise modelled cost over outputs, with shift factors for the lines that matter, found as they are needed.

    Args:
        program: the full program of the same grid.
        active: pairs whose limits are thought to bind.
    """

    def __init__(self, program: NetworkProgram, active: Int64[IntArray, "active"] | None = None) -> None:
        self.program = program
        net = program.network
        self.network: DcNetwork = net
        self.free = program.free_angle
        laplacian = net.laplacian()[self.free][:, self.free].tocsc()
        try:
            self._lu = splu(laplacian) if len(self.free) else None
        except RuntimeError as error:
            raise SolverError(
                "the bus susceptance matrix is singular (lines that cancel or carry nothing); solve with NetworkProgram"
            ) from error
        self.parts = int(net.island.max()) + 1
        pairs = len(program.beta)
        self._row = np.full(pairs, -1, dtype=np.int64)
        self.pairs: list[int] = []
        self._factors = np.zeros((0, len(net.buses)))
        self._kept_key: tuple[int, bytes] = (-1, b"")  # the last matrix, for the next program on the same pieces and limits
        self._kept = sparse.csc_matrix((0, 0))
        self._add([] if active is None else active.tolist())

    def angles(self, injection: Float64[FloatArray, "buses"]) -> Float64[FloatArray, "buses"]:
        """Bus angles for net injections (p.u., generation less withdrawal)."""
        theta = np.zeros(len(self.network.buses))
        if self._lu is not None:
            theta[self.free] = self._lu.solve(injection[self.free])
        return theta

    def _add(self, pairs: list[int]) -> None:
        """Shift factors of more pairs at every bus: beta (e_f - e_t)' B^-1."""
        new = [pair for pair in pairs if self._row[pair] < 0]
        if not new or self._lu is None:
            return
        ends = np.zeros((len(self.network.buses), len(new)))
        for k, pair in enumerate(new):
            ends[self.network.pair_from[pair], k] += 1.0
            ends[self.network.pair_to[pair], k] -= 1.0
            self._row[pair] = len(self.pairs)
            self.pairs.append(pair)
        rows = np.zeros((len(new), len(self.network.buses)))
        rows[:, self.free] = self._lu.solve(ends[self.free]).T
        self._factors = np.vstack([self._factors, rows * self.program.beta[new][:, None]])

    def shift_factors(self, pairs: list[int]) -> Float64[FloatArray, "pairs buses"]:
        """Flow on each pair per p.u. injected at each bus (withdrawn at its island's reference)."""
        self._add(pairs)
        return self._factors[self._row[pairs]]

    def solve(self, supply: Supply) -> ProgramSolution:
        """The optimum for these curves.

        Raises:
            InfeasibleError: no dispatch meets demand within the limits.
        """
        net, base, program = self.network, self.network.base_mva, self.program
        n, pieces = len(net.buses), len(supply.unit)
        bus = net.unit_bus[supply.unit]
        fixed = np.bincount(net.unit_bus, supply.base, n) / base - net.withdrawal
        width = supply.width / base
        slope = (supply.end - supply.start) / np.maximum(supply.width, 1e-300) * base**2
        q = supply.start * base
        money = money_scale(supply.start, supply.end) * base
        need = -np.bincount(net.island, fixed, self.parts)
        across = np.arange(pieces)
        P = sparse.csc_matrix((slope / money, across, np.arange(pieces + 1)), shape=(pieces, pieces))
        for _ in range(60):
            active = np.array(self.pairs, dtype=np.int64)
            factors = self._factors[:, bus]
            offset = self._factors @ fixed
            high, low = program.flow_high[active] - offset, program.flow_low[active] - offset
            has_high, has_low = np.isfinite(high), np.isfinite(low)
            key = (len(self.pairs), supply.unit.tobytes())
            if key != self._kept_key:
                balance = np.zeros((self.parts, pieces))
                balance[net.island[bus], across] = 1.0
                self._kept = _columns(np.vstack([balance, factors[has_high], -factors[has_low]]))
                self._kept_key = key
            A = self._kept
            b = np.concatenate([need, high[has_high], -low[has_low], width, np.zeros(pieces)])
            x, z, gap = interior_point(P, q / money, A, b, self.parts)
            moved = np.clip(x * base, 0.0, supply.width)
            output = supply.base + np.bincount(supply.unit, moved, len(supply.base))
            theta = self.angles(np.bincount(net.unit_bus, output, n) / base - net.withdrawal)
            flow = program.beta * (theta[net.pair_from] - theta[net.pair_to])
            over = np.maximum(flow - program.flow_high, program.flow_low - flow)
            limit = _VIOLATED + _SCALED * np.maximum(np.abs(program.flow_high), np.abs(program.flow_low))
            fresh = np.flatnonzero((over > np.where(np.isfinite(limit), limit, _VIOLATED)) & (self._row < 0))
            if not len(fresh):
                break
            worst = fresh[np.argsort(-over[fresh])][:64]
            self._add(worst.tolist())
        else:
            raise SolverError("line limits kept appearing for 60 solves; solve with NetworkProgram")
        z = z * money / base
        energy = -z[: self.parts]
        flow_price = np.zeros(len(program.beta))
        at = self.parts
        flow_price[active[has_high]] += z[at : at + int(has_high.sum())]
        at += int(has_high.sum())
        flow_price[active[has_low]] -= z[at : at + int(has_low.sum())]
        price = energy[net.island] - flow_price[active] @ self._factors
        none = np.zeros(n)
        return ProgramSolution(output, price, flow_price, theta, none, none, gap)


def _columns(dense: Float64[FloatArray, "rows columns"]) -> sparse.csc_matrix:
    """``dense`` above an identity above its negative, column by column."""
    rows, columns = dense.shape
    across = np.arange(columns)
    data = np.hstack([dense.T, np.ones((columns, 1)), -np.ones((columns, 1))])
    index = np.hstack([np.broadcast_to(np.arange(rows), (columns, rows)), (rows + across)[:, None], (rows + columns + across)[:, None]])
    start = np.arange(columns + 1) * (rows + 2)
    return sparse.csc_matrix((data.ravel(), index.ravel(), start), shape=(rows + 2 * columns, columns))
