"""Sharing ADMM on the aggregate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray
from hurwicz.prices.dynamics.protocol import Rule, coupling, relative
from hurwicz.prices.exchange import Exchange, Iterate


@dataclass(frozen=True)
class SharingADMM(Rule):
    """Sharing ADMM (Boyd et al. 2011, section 7.3) on S(x) = f(A x + b).

    With N the number of coordinates that meet in a row of A, w = A x / N the mean contribution and z its copy in f:

        x_i <- argmin C_i(x) + penalty/2 |A_i (x - x_i) + (w - z + u)|²      (agents; the square bounded by its diagonal)
        z   <- argmin f(N z + b) + N penalty/2 |z - w - u|²                  (planner)
        u   <- u + w - z

    Args:
        penalty: if omitted, the largest curvature of f at the start.

    Example:
        >>> from hurwicz.prices import DeclaredAgent, PriceGraph, SharingADMM, coordinate
        >>> from hurwicz.valuations import Quadratic
        >>> graph = PriceGraph.from_loss(lambda x: (x["a"] + x["b"] - 10.0) ** 2, {"a": (), "b": ()})
        >>> agents = [DeclaredAgent("a", Quadratic(), 0.5), DeclaredAgent("b", Quadratic(), 1.0)]
        >>> solution = coordinate(graph, agents, dynamics=SharingADMM())
        >>> round(float(solution.value.actions["a"]), 6), solution.value.rounds <= 50
        (5.0, True)
    """

    penalty: float | None = None
    title: str = "sharing ADMM"

    def init(self, exchange: Exchange, start: Float64[FloatArray, "dims"]) -> Iterate:
        """Copy z at the start's mean contribution, no dual."""
        matrix, offset = exchange.aggregate()
        count = coupling(exchange)
        mean = matrix @ start / count
        bend = exchange.aggregate_hessian(count * mean + offset)
        penalty = self.penalty or max(float(np.max(np.abs(np.linalg.eigvalsh(bend)))), 1e-9)
        memory = {"matrix": matrix, "offset": offset, "count": count, "z": mean, "u": np.zeros_like(mean), "penalty": penalty, "turns": 0}
        return Iterate(start, memory=memory)

    def step(self, exchange: Exchange, iterate: Iterate) -> Iterate:
        """One proximal response for everyone, one small proximal problem for the planner."""
        memory = dict(iterate.memory)
        matrix, offset, count, penalty = memory["matrix"], memory["offset"], memory["count"], memory["penalty"]
        x, z, u = iterate.x, memory["z"], memory["u"]
        gap = matrix @ x / count - z + u
        # |A_i d|² <= d' diag(|A_i|' |A_i| 1) d within one agent: its own coordinates only.
        weight = penalty * self._own_weight(exchange, matrix)
        moved = exchange.ask(-penalty * matrix.T @ gap, anchor=x, weight=np.maximum(weight, 1e-12))
        mean = matrix @ moved / count
        centre = mean + u
        copy = self._prox(exchange, centre, offset, count, penalty, z)
        dual = u + mean - copy
        primal, drift = float(np.linalg.norm(mean - copy)), float(np.linalg.norm(copy - z))
        if self.penalty is None and memory["turns"] < 200 and memory["turns"] % 5 == 4:
            # Residual balancing (Boyd et al. 2011, section 3.4.1); it stops, so that convergence is that of a fixed penalty.
            # Each residual relative to its own variable's size (Wohlberg 2017), so that units do not matter.
            first, second = primal * float(np.linalg.norm(dual)), drift * float(np.linalg.norm(copy))
            factor = 2.0 if first > 3.0 * second else 0.5 if second > 3.0 * first else 1.0
            penalty, dual = penalty * factor, dual / factor
        memory.update(z=copy, u=dual, penalty=penalty, turns=memory["turns"] + 1)
        residual = max(relative(moved - x, x), relative(count * (mean - copy), count * mean))
        return Iterate(moved, residual, memory)

    @staticmethod
    def _own_weight(exchange: Exchange, matrix: Float64[FloatArray, "rows dims"]) -> Float64[FloatArray, "dims"]:
        size = np.abs(matrix)
        weight = np.empty(matrix.shape[1])
        for name in exchange.loss.agents:
            where, members, _ = exchange.loss.layout_of(name)
            own = size[:, where].reshape(size.shape[0], members, -1)
            weight[where] = np.einsum("dmi,dm->mi", own, own.sum(axis=2)).ravel()
        return weight

    def _prox(
        self,
        exchange: Exchange,
        centre: Float64[FloatArray, "rows"],
        offset: Float64[FloatArray, "rows"],
        count: float,
        penalty: float,
        start: Float64[FloatArray, "rows"],
    ) -> Float64[FloatArray, "rows"]:
        z = start
        for _ in range(50):
            # Divided by count: grad f(count z + b) + penalty (z - centre) = 0.
            slope = exchange.aggregate_slope(count * z + offset) + penalty * (z - centre)
            if np.max(np.abs(slope), initial=0.0) <= 1e-13 * (1.0 + penalty * np.max(np.abs(centre), initial=0.0)):
                break
            z = z - np.linalg.solve(count * exchange.aggregate_hessian(count * z + offset) + penalty * np.eye(z.size), slope)
        return z
