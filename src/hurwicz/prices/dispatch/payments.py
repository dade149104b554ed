"""Four ways to pay the generators of a coordinated grid, all computed by the planner from what the answers revealed.

Transfers (what a generator receives, $/h); payments are minus these. Opting out is being off: 0 MW at no cost. Unit commitment is not
solved:
a unit in service runs at Pmin at least, so with Pmin > 0 or a fixed cost even a Clarke transfer can leave it worse off than being off.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray, InfeasibleError, InputError, NotConvergedError
from hurwicz.prices.dispatch.planner import Knowledge, excess
from hurwicz.prices.dispatch.program import ProgramSolution, Supply, slack_limits, supply_of
from hurwicz.prices.dispatch.resolver import Resolver, VariableCosts
from hurwicz.prices.offer import Offer
from hurwicz.typespaces import Prior

RULES: tuple[str, ...] = ("linear", "own_path", "clarke", "expected_externality")


def duration(seconds: float) -> str:
    """A time for a person.

    Example:
        >>> duration(0.5), duration(41), duration(400), duration(9000)
        ('0.5 s', '41 s', '7 min', '2.5 h')
    """
    if seconds < 100:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.2g} h"


class OutOfTimeError(Exception):
    """A payment rule would take longer than it was given. Never leaves this package: the rule is left out and a note says so.

    Args:
        rule: the rule.
        units: how many units it pays.
        needed, allowed: how long it would take and how long it may, seconds.
    """

    def __init__(self, rule: str, units: int, needed: float, allowed: float) -> None:
        super().__init__(
            f"{rule}: left out; paying {units} units by it would take about {duration(needed)}, and payment_seconds allows "
            f"{duration(allowed)}: raise it to have these payments"
        )


class _Clock:
    """Stops a rule early, by what its first units took, where the rest would not fit in the time given."""

    def __init__(self, rule: str, units: int, seconds: float | None) -> None:
        self._rule, self._units, self._seconds = rule, units, seconds
        self._begun = time.perf_counter()

    def after(self, share: float) -> None:
        """``share`` of the work is done.

        Raises:
            OutOfTimeError: the rest would not fit.
        """
        if self._seconds is None or not share < 1:
            return
        took = time.perf_counter() - self._begun
        needed = took / share
        if took > self._seconds or (needed > 1.5 * self._seconds and took > 0.05 * self._seconds):
            raise OutOfTimeError(self._rule, self._units, needed, self._seconds)


class Payer:
    """Transfers by each rule for one coordinated grid.

    Args:
        known: what the planner learned.
        solution: the plan.
        lost_value: value of lost load, $/MWh.
        prior: of each unit's cost multiplier theta: its cost is theta times the learned one.
        samples, seed: of the Monte Carlo behind the expected externality.
        max_rounds, tol: of every coordination without one unit.
        progress: called with a line of text now and then.
        seconds: that each rule may take (None: as long as it needs).
    """

    def __init__(
        self,
        known: Knowledge,
        solution: ProgramSolution,
        lost_value: float | None,
        prior: Prior,
        samples: int,
        seed: int,
        max_rounds: int,
        tol: float,
        progress: Callable[[str], None] | None = None,
        seconds: float | None = None,
    ) -> None:
        if lost_value is not None and not (np.isfinite(lost_value) and lost_value > 0):
            raise InputError(f"value_of_lost_load: expected a positive number of $/MWh, got {lost_value}")
        self.known, self.solution = known, solution
        self.network = known.network
        self.lost_value, self.prior, self.samples, self.seed = lost_value, prior, samples, seed
        self.max_rounds, self.tol, self.progress, self.seconds = max_rounds, tol, progress, seconds
        top = float(np.nanmax(np.abs(solution.price), initial=0.0))
        self.resolver = Resolver(self.network, lost_value, np.abs(solution.pair_flow_price) > 1e-6 * max(top, 1e-300))
        self.pivotal: set[int] = set()
        self.notes: list[str] = []
        self.extra_rounds = 0
        loaded = self.resolver.lost_limit > 0
        dear = float(np.nanmax(solution.price[loaded], initial=-np.inf))
        if lost_value is not None and dear > lost_value:
            bus = self.network.buses[np.flatnonzero(loaded)[np.nanargmax(solution.price[loaded])]]
            self.notes.append(
                f"value_of_lost_load {lost_value:g} $/MWh is below the price {dear:.6g} $/MWh at bus {bus}: demand is met all the same, "
                "and Clarke payments, which count lost load, are too low there; raise it"
            )

    def transfers(self, rule: str) -> Float64[FloatArray, "units"]:
        """$/h that each unit receives under ``rule``.

        Raises:
            OutOfTimeError: it would take longer than ``seconds``.
        """
        if rule == "linear":
            return self.linear()
        if rule == "own_path":
            return self.own_path()
        if rule == "clarke":
            return self.clarke()
        if rule == "expected_externality":
            return self.expected_externality()
        raise InputError(f"payments: expected a rule among {', '.join(RULES)}, got {rule!r}")

    def linear(self) -> Float64[FloatArray, "units"]:
        """p_i (x_i - o_i): the price at its bus times its output (nothing at a bus where nothing can move, which has no price)."""
        price = np.nan_to_num(self.solution.price[self.network.unit_bus], nan=0.0)
        return price * self.solution.output

    def _report(self, text: str) -> None:
        if self.progress is not None:
            self.progress(text)

    def own_path(self) -> Float64[FloatArray, "units"]:
        """S(o_i, x_-i) - S(x): lost load, at its value, if the unit went off and no other moved."""
        net = self.network
        if self.lost_value is None:
            raise InputError("own_path: with the other units held, demand is not met when one goes off; give value_of_lost_load")
        out = np.zeros(len(net.units))
        moving = np.flatnonzero(np.abs(self.solution.output) > 1e-7 * net.base_mva)
        clock = _Clock("own_path", len(moving), self.seconds)
        for k, unit in enumerate(moving.tolist()):
            base = self.solution.output.copy()
            base[unit] = 0.0
            supply = Supply(base, np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0), np.zeros(0))
            out[unit] = self.lost_value * self._least_loss(supply)
            self._report(f"own path: {k + 1} of {len(moving)} units")
            clock.after((k + 1) / len(moving))
        return out

    def _least_loss(self, supply: Supply) -> float:
        """MW lost and spilled, at least, when all units are held; load goes anywhere if the lines allow it, else by a program."""
        lost, spill = slack_limits(self.network, supply.base, supply.base)
        solution = self.resolver.program.solve(supply, lost_value=self.lost_value, lost_limit=lost, spill_limit=spill)
        return float(solution.lost.sum() + solution.spilled.sum())

    def clarke(self) -> Float64[FloatArray, "units"]:
        """What the others and lost load cost without i, less what the others cost with it: the integral of the price along i's path.

        Every coordination without a unit starts from the learned curves and goes by prices: one more round where the answers agree with
            them.
        """
        net = self.network
        out = np.zeros(len(net.units))
        running = [unit for unit in range(len(net.units)) if net.pmin[unit] > 0 or net.pmax[unit] < 0 or self._trades(unit)]
        clock = _Clock("clarke", len(running), self.seconds)
        for k, unit in enumerate(running):
            out[unit] = self._without(unit)
            self._report(f"Clarke: {k + 1} of {len(running)} units")
            clock.after((k + 1) / len(running))
        return out

    def _trades(self, unit: int) -> bool:
        """Whether the plan has the unit on: one that may be off and is off changes nothing by leaving."""
        return bool(abs(self.solution.output[unit]) > 1e-7 * self.network.base_mva)

    def _without(self, unit: int) -> float:
        net, known = self.network, self.known
        base = np.where(np.arange(len(net.units)) == unit, 0.0, net.pmin)
        for _ in range(self.max_rounds):
            curves = [curve.segments(known.scale) for curve in known.curves]
            curves[unit] = []
            try:
                solution, short = self.resolver.solve(supply_of(base, curves))
            except InfeasibleError as error:
                raise InputError(
                    f"without {net.units[unit]} demand cannot be met, so its Clarke payment is set by the value of lost load; "
                    "give value_of_lost_load"
                ) from error
            gap = self._confirm(unit, solution)
            if gap <= self.tol:
                break
        else:
            raise NotConvergedError(f"coordination without {net.units[unit]} did not settle in {self.max_rounds} rounds (gap {gap:.1e})")
        if short:
            self.pivotal.add(unit)
        lost = (solution.lost.sum() + solution.spilled.sum()) * (self.lost_value or 0.0)
        moved = sum(
            known.curves[j].cost(float(self.solution.output[j]), float(solution.output[j]), known.scale)
            for j in known.free.tolist()
            if j != unit
        )
        return float(moved + lost)

    def _confirm(self, unit: int, solution: ProgramSolution) -> float:
        """Ask the others whether the plan without ``unit`` is theirs too; those whose earlier answers imply it are not asked again."""
        known, net = self.known, self.network
        price = solution.price[net.unit_bus]
        offers: dict[int, Offer] = {}
        for j in known.free.tolist():
            if j == unit:
                continue
            curve, x, p = known.curves[j], float(solution.output[j]), float(price[j])
            near = 1e-8 * (curve.high - curve.low)
            if (x >= curve.high - near and p >= curve.ceiling) or (x <= curve.low + near and p <= curve.floor):
                continue
            weight = max(curve.slope(x, known.scale), 1e-2 * known.scale / (curve.high - curve.low))
            offers[j] = Offer(np.array(p), np.array(x), float(weight))
        if not offers:
            return 0.0
        self.extra_rounds += 1
        return excess(known, offers, known.ask(offers))

    def expected_externality(self) -> Float64[FloatArray, "units"]:
        """AGV: xi_i - (the others' mean xi), where xi_i = E over theta_-i of minus the others' cost at the optimum for (theta_i, theta_-i).

        Source: C. d'Aspremont and L.-A. Gérard-Varet, "Incentives and incomplete information", Journal of Public Economics 11(1), 1979.
        """
        net = self.network
        players = net.trading.tolist()
        draws = self.prior.sample(np.random.default_rng(self.seed), self.samples * len(players)).reshape(self.samples, len(players))
        curves = [curve.segments(self.known.scale) for curve in self.known.curves]
        least = [curve.cost(0.0, low, self.known.scale) for curve, low in zip(self.known.curves, net.pmin.tolist(), strict=True)]
        model = VariableCosts(self.resolver, curves, np.array(least))
        xi = np.zeros(len(players))
        clock = _Clock("expected_externality", len(players), self.seconds)
        for k, unit in enumerate(players):
            theta = np.ones(len(net.units))
            for turn, sample in enumerate(draws):
                theta[players] = sample
                theta[unit] = 1.0
                xi[k] -= model.others(theta, unit) / self.samples
                clock.after((k + (turn + 1) / self.samples) / len(players))
            self._report(f"expected externality: {k + 1} of {len(players)} units")
        out = np.zeros(len(net.units))
        out[players] = balanced(xi)
        return out


def balanced(xi: Float64[FloatArray, "players"]) -> Float64[FloatArray, "players"]:
    """xi_i - mean of the others' xi: sums to zero.

    Raises:
        InputError: fewer than two agents.
    """
    count = len(xi)
    if count < 2:
        raise InputError(f"expected_externality: expected at least two units that trade, got {count}; nobody could finance the transfer")
    centred: FloatArray = (xi - xi.mean()) * (count / (count - 1))
    return centred
