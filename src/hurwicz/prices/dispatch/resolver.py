"""Many solves on one grid: by the quicker of two programs, with lost load where nothing else is feasible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float64
from numpy.typing import NDArray

from hurwicz._foundation import FloatArray, InfeasibleError, SolverError
from hurwicz.prices.dispatch.network import DcNetwork
from hurwicz.prices.dispatch.program import NetworkProgram, ProgramSolution, Segment, Supply, slack_limits, supply_of
from hurwicz.prices.dispatch.reduced import ReducedProgram

_DENSE = 60_000  # entries of shift factors up to which the reduced program is the faster one


class Resolver:
    """Many programs on one grid: the reduced one while few lines bind, the full one otherwise; lost load where nothing else is feasible.

    Args:
        net: the grid.
        lost_value: $/MWh of lost load and spilled output; None: neither is allowed.
        active: which pairs of buses are thought to be at a limit.
    """

    def __init__(self, net: DcNetwork, lost_value: float | None, active: Bool[NDArray[np.bool_], "pairs"] | None = None) -> None:
        self.network = net
        self.program = NetworkProgram(net)
        self.lost_value = lost_value
        self._reduced: ReducedProgram | None = None
        binding = np.flatnonzero(active) if active is not None else np.zeros(0, dtype=np.int64)
        if len(binding) * len(net.units) <= _DENSE:
            try:
                self._reduced = ReducedProgram(self.program, binding.astype(np.int64))
            except SolverError:
                self._reduced = None
        self.lost_limit, self.spill_limit = slack_limits(net, net.pmin, net.pmax)

    def solve(self, supply: Supply) -> tuple[ProgramSolution, bool]:
        """The optimum with lost load at its value, and whether it would have been infeasible without.

        Raises:
            InfeasibleError: no dispatch, and no value of lost load to price that.
        """
        try:
            solution = self._without_loss(supply)
        except InfeasibleError:
            if self.lost_value is None:
                raise
            return self._with_loss(supply), True
        if self.lost_value is not None and np.nanmax(solution.price[self.lost_limit > 0], initial=-np.inf) > self.lost_value:
            return self._with_loss(supply), False
        return solution, False

    def _without_loss(self, supply: Supply) -> ProgramSolution:
        if self._reduced is not None and len(self._reduced.pairs) * max(len(supply.unit), 1) <= 2 * _DENSE:
            try:
                return self._reduced.solve(supply)
            except SolverError:
                self._reduced = None
        return self.program.solve(supply)

    def _with_loss(self, supply: Supply) -> ProgramSolution:
        return self.program.solve(supply, lost_value=self.lost_value, lost_limit=self.lost_limit, spill_limit=self.spill_limit)


class VariableCosts:
    """Marginal-cost curves, each times its unit's multiplier: optimal outputs, and what they cost from 0 MW on, without fixed costs.

    Args:
        resolver: solves the grid.
        curves: marginal cost of each unit as segments from Pmin to Pmax.
        least: cost of each unit's way from 0 MW to Pmin, $/h.
    """

    def __init__(self, resolver: Resolver, curves: Sequence[Sequence[Segment]], least: Float64[FloatArray, "units"]) -> None:
        self.network, self.resolver, self.least = resolver.network, resolver, least
        self.supply = supply_of(self.network.pmin, curves)
        count = len(curves)
        first = np.searchsorted(self.supply.unit, np.arange(count))
        before = np.concatenate([[0.0], np.cumsum(self.supply.width)])
        self._from = before[:-1] - before[first][self.supply.unit]
        self._tilt = (self.supply.end - self.supply.start) / np.maximum(self.supply.width, 1e-300)

    def solve(self, theta: Float64[FloatArray, "units"], without: int | None = None) -> ProgramSolution:
        """The optimum for multipliers ``theta``; ``without`` leaves one unit out."""
        supply = self.supply
        times = theta[supply.unit]
        start, end = supply.start * times, supply.end * times
        if without is None:
            return self.resolver.solve(replace(supply, start=start, end=end))[0]
        keep = supply.unit != without
        base = supply.base.copy()
        base[without] = 0.0
        return self.resolver.solve(Supply(base, supply.unit[keep], supply.width[keep], start[keep], end[keep]))[0]

    def of(self, output: Float64[FloatArray, "units"]) -> Float64[FloatArray, "units"]:
        """Cost of each unit's output at multiplier 1, $/h, from 0 MW on."""
        filled = np.clip((output - self.supply.base)[self.supply.unit] - self._from, 0.0, self.supply.width)
        pieces = filled * (self.supply.start + self._tilt * filled / 2)
        return self.least + np.bincount(self.supply.unit, pieces, len(self.least))

    def lost(self, solution: ProgramSolution) -> float:
        """What lost load and spilled output cost, $/h."""
        return float((solution.lost.sum() + solution.spilled.sum()) * (self.resolver.lost_value or 0.0))

    def others(self, theta: Float64[FloatArray, "units"], unit: int) -> float:
        """What all but ``unit``, and lost load, cost at the optimum for ``theta``."""
        solution = self.solve(theta)
        cost = theta * self.of(solution.output)
        return float(cost.sum() - cost[unit]) + self.lost(solution)
