"""Which search for the equilibrium of which sealed-bid game: monotone strategies or mixed ones, wider ranges, sellers as buyers."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hurwicz._foundation import Solution, Status
from hurwicz.equilibria.certificate import bid_span, certify
from hurwicz.equilibria.collocation import Collocation
from hurwicz.equilibria.collocation import gains as monotone_gains
from hurwicz.equilibria.equilibrium import Equilibrium
from hurwicz.equilibria.interim import CountsRoute, MonteCarloRoute, Route, TableRoute, ThresholdRoute
from hurwicz.equilibria.learning import RegretMatching
from hurwicz.equilibria.logit import LogitPath
from hurwicz.equilibria.monotone import BestResponse, EnvelopeIteration
from hurwicz.equilibria.monotone_games import MonotoneGame, monotone_game
from hurwicz.equilibria.protocol import Dynamics, OutOfTimeError, Progress, drive, within
from hurwicz.equilibria.sealed_bids import sealed_bid_game
from hurwicz.equilibria.steps import bids_told_apart
from hurwicz.equilibria.strategies import MonotoneStrategy
from hurwicz.mechanisms import SingleParameterMechanism, reverse
from hurwicz.typespaces import FinitePrior

_FEW_DRAWS, _ROUNDING = 512, 1e-9


@dataclass(frozen=True, kw_only=True)
class Search:
    """One mechanism, and how far to go for it."""

    mechanism: SingleParameterMechanism
    dynamics: Dynamics[Any, Any, Any] | None
    bid_range: tuple[float, float] | None
    tolerance: float
    steps: int | None
    route: Route | None
    seed: int
    progress: Progress | None
    deadline: float

    @property
    def timed(self) -> SingleParameterMechanism:
        """The mechanism, its rule refusing to answer once time is up."""
        return within(self.mechanism, self.deadline)

    @property
    def late(self) -> bool:
        """Whether time is up."""
        return time.perf_counter() >= self.deadline

    def _in_time(self, route: Route) -> Route:
        """The route, asking the mechanism only as long as there is time; a route of the user's own as it is."""
        if isinstance(route, CountsRoute | ThresholdRoute | TableRoute | MonteCarloRoute):
            return replace(route, mechanism=self.timed)
        return route

    def either(self, knots: int, types: int, looked: int) -> Solution[Equilibrium]:
        """Monotone strategies; mixed ones on a grid where there are none, and on the rule's own grid where it answers in steps."""
        smooth = self.widened(knots, looked, types)
        if smooth.status.ok or self.late:
            return smooth
        tried = {name: smooth.stats[name] for name in ("kind", "dynamics", "rounds", "residual", "why")}
        on_grid = _over_all_bids(self.mixed(types, 101))
        return replace(on_grid, stats=on_grid.stats | {"tried": [tried]}) if on_grid.value.epsilon < smooth.value.epsilon else smooth

    def widened(self, knots: int, looked: int, types: int | None = None) -> Solution[Equilibrium]:
        """Monotone strategies; none found and buyers pressing on an end of the range, one from zero, or twice and four times as high."""
        found = self.monotone(knots, looked, types)
        if self.bid_range is not None:
            return found
        low, high = bid_span(self.mechanism, {}, None)
        wider = [(low, low + times * (high - low), low + 0.5 * times * (high - low)) for times in (2.0, 4.0)]
        for least, most, end in [(0.0, high, low), *wider] if low > 0.0 else wider:
            if found.status.ok or self.late:
                break
            if _presses(found.value, end):
                again = replace(self, bid_range=(least, most)).monotone(knots, looked, types)
                tried = {name: found.stats[name] for name in ("kind", "dynamics", "rounds", "residual", "why")}
                found = replace(again, stats=again.stats | {"tried": [tried, *again.stats["tried"]]})
        return found

    def mixed(
        self, types: int, bids: int | ArrayLike | Mapping[str, ArrayLike], *, looked: int = 2, steps: str = ""
    ) -> Solution[Equilibrium]:
        """Distributions over a grid of bids, for each type."""
        game = sealed_bid_game(self.mechanism, types=types, bids=bids, bid_range=self.bid_range, route=self.route, seed=self.seed)
        route = game.route
        game = replace(game, mechanism=self.timed, route=self._in_time(route))
        low, high = min(float(b[0]) for b in game.bids), max(float(b[-1]) for b in game.bids)
        limit = self.tolerance * (high - low if high > low else 1.0)
        plan: list[tuple[Dynamics[Any, Any, Any], int, int]] = [(RegretMatching(), self.steps or 4000, 25)]
        if self.dynamics is not None:
            plan = [(self.dynamics, self.steps or 4000, 25)]
        elif game.tabular:
            plan = [(LogitPath(), self.steps or 400, 1), (LogitPath(longest=0.05), self.steps or 1000, 1), *plan]
        run, tried = None, []
        for rule, most, every in plan:
            try:
                found = drive(game, rule, steps=most, tolerance=limit, every=every, progress=self.progress, deadline=self.deadline)
            except OutOfTimeError:
                break
            tried.append({name: found.stats[name] for name in ("dynamics", "rounds", "residual", "stopped")})
            if run is None or found.stats["residual"] < run.stats["residual"]:
                run = found
            if found.status.ok or self.late:
                break
        if run is None:  # nothing was learned: everybody bids at random
            even = RegretMatching().init(game).profile
            stats = {"dynamics": "none", "rounds": 0, "residual": math.inf, "seconds": 0.0, "trace": [], "stopped": "time limit"}
            run = Solution(even, Status.STEP_LIMIT, stats)
        made = game.strategies(run.value)
        discrete = {name: FinitePrior(s.types[s.weights > 0.0], s.weights[s.weights > 0.0]) for name, s in made.items()}
        certificate = certify(
            self.mechanism,
            made,
            bids=looked,
            bid_range=self.bid_range or (low, high if high > low else low + 1.0),
            refine=1,
            route=route,
            agents=[self.mechanism.agents[m[0]] for m in game.groups],
        )
        kind = "mixed strategies on a grid" + (f", {steps}" if steps else "")
        stats = run.stats | {
            "route": route.name,
            "tolerance": limit,
            "kind": kind,
            "tried": tried[:-1],
            "why": _why(run.stats, "coarser grid"),
        }
        return Solution(Equilibrium(self.mechanism.with_prior(discrete), made, certificate), run.status, stats)

    def monotone(self, knots: int, bids: int, types: int | None = None) -> Solution[Equilibrium]:
        """Strategies that rise with the type, bids from a continuum; with ``types`` on the steps of the rule if it has some."""
        untimed = monotone_game(self.mechanism, knots=knots, bids=bids, bid_range=self.bid_range, route=self.route, seed=self.seed)
        game = replace(untimed, mechanism=self.timed, route=self._in_time(untimed.route))
        span = game.high - game.low
        limit = self.tolerance * span
        stats: dict[str, Any] = {
            "dynamics": "truth",
            "rounds": 0,
            "residual": math.inf,
            "seconds": 0.0,
            "trace": [],
            "stopped": "time limit",
        }
        told = Solution(tuple(game.start), Status.STEP_LIMIT, stats)
        tried: list[dict[str, Any]] = []
        try:
            if self.dynamics is None:
                if isinstance(game.route, MonteCarloRoute):
                    # Where no draw of the rivals leaves anything to gain, a few show as much as many.
                    draws = MonteCarloRoute(self.mechanism, samples=_FEW_DRAWS, seed=self.seed)
                    few = replace(game, route=self._in_time(draws), bids=min(bids, 201))
                    if monotone_gains(few, tuple(game.start)) <= _ROUNDING * span:
                        truth = replace(told, stats=stats | {"residual": 0.0, "stopped": "tolerance"})
                        return self._finish(few, draws, truth, limit, tried)
                told = replace(told, stats=stats | {"residual": monotone_gains(game, tuple(game.start)), "stopped": "tolerance"})
                if told.stats["residual"] <= min(1e-6 * span, limit):
                    return self._finish(game, untimed.route, told, limit, tried)
            steps = None if types is None or self.route is not None else bids_told_apart(self.timed, self.bid_range, seed=self.seed)
            if steps is not None and types is not None:
                on_steps = self.mixed(types, steps, looked=bids, steps="one bid for each step of the rule")
                if _over_all_bids(on_steps).status.ok:
                    return on_steps
            if self.dynamics is None and self.route is None and bool(np.all(self.mechanism.sides < 0.0)):
                return self._as_buyers(game, untimed.route, bids, limit)
            best = told
            for rule, most, every, aim in self._plan(game, span):
                shaded = game
                if not isinstance(rule, BestResponse):
                    # Where the truth is no equilibrium, starting below it keeps a payment that grows with the bid within reach.
                    shaded = monotone_game(
                        self.timed, knots=knots, bids=bids, bid_range=self.bid_range, shade=0.1, route=game.route, seed=self.seed
                    )
                aim = min(aim, 0.5 * limit)
                run = drive(shaded, rule, steps=most, tolerance=aim, every=every, progress=self.progress, deadline=self.deadline)
                tried.append({name: run.stats[name] for name in ("dynamics", "rounds", "residual", "stopped")})
                if run.stats["residual"] < best.stats["residual"]:
                    best = run
                if run.stats["residual"] <= 0.5 * limit or self.late:  # half: the certificate looks at more types and bids
                    break
        except OutOfTimeError:
            best = replace(told, stats=told.stats | {"stopped": "time limit"}) if not tried else best
        return self._finish(game, untimed.route, best, limit, tried)

    def _as_buyers(self, game: MonotoneGame, route: Route, bids: int, limit: float) -> Solution[Equilibrium]:
        """Sellers' strategies, mirrored: what a buyer pays rises with the bid, where what a seller gets may fall as the ask rises."""
        low, high = bid_span(self.mechanism, {}, None)
        about = low + high
        buyers = replace(self, mechanism=reverse(self.mechanism, about=about), bid_range=(about - game.high, about - game.low))
        found = buyers.monotone(len(game.values[0]), bids)
        values, asks = [], []
        for members in game.groups:
            law = found.value.strategies[self.mechanism.agents[members[0]]]
            assert isinstance(law, MonotoneStrategy)
            values.append(about - law.values[::-1])
            asks.append(about - law.bids[::-1])
        run = Solution(tuple(asks), found.status, found.stats)
        return self._finish(replace(game, values=values), route, run, limit, found.stats["tried"])

    def _plan(self, game: MonotoneGame, span: float) -> list[tuple[Dynamics[Any, Any, Any], int, int, float]]:
        """Dynamics, most rounds, rounds between looks, and gain at which to stop.

        What is gained is of the second order in the bids: the search goes on well below the gain that is asked for, where it can.
        """
        if self.dynamics is not None:
            return [(self.dynamics, self.steps or 200, 1, 1e-9 * span)]
        answer: list[tuple[Dynamics[Any, Any, Any], int, int, float]] = [(BestResponse(), self.steps or 30, 1, 1e-9 * span)]
        conditions = (Collocation(), self.steps or 60, 1, 1e-6 * span)
        alike = len(game.groups) == 1 and game.side(0) > 0.0
        if not isinstance(game.route, CountsRoute | ThresholdRoute):
            # An interim sum asks the rule a million times: rather a few rounds, and then the grid, than hundreds.
            answer += [(EnvelopeIteration(), self.steps or 20, 20, 0.0)] if alike else []
            return [*answer, conditions] if alike and isinstance(game.route, TableRoute) else answer
        if alike:
            answer = [(EnvelopeIteration(), self.steps or 300, 20, 0.0), *answer]
        return [*answer, conditions]

    def _finish(
        self, game: MonotoneGame, route: Route, run: Solution[Any], limit: float, tried: list[dict[str, Any]]
    ) -> Solution[Equilibrium]:
        laws = game.laws(run.value)
        made = dict(zip(game.mechanism.agents, laws, strict=True))
        certificate = certify(
            self.mechanism,
            made,
            bids=min(game.bids, 201) if self.late else game.bids,
            bid_range=(game.low, game.high),
            refine=0 if self.late else 6,
            route=route,
            agents=[game.mechanism.agents[m[0]] for m in game.groups],
        )
        status = Status.EQUILIBRIUM if certificate.epsilon <= limit else Status.STEP_LIMIT
        stats = run.stats | {"route": route.name, "tolerance": limit, "kind": "monotone strategies", "residual": certificate.epsilon}
        stats |= {
            "tried": [each for each in tried if each["dynamics"] != run.stats["dynamics"]],
            "why": _why(run.stats, "strategies='mixed'"),
        }
        return Solution(Equilibrium(self.mechanism, made, certificate), status, stats)


def _presses(found: Equilibrium, end: float) -> bool:
    """Whether one type in a thousand of a buyer makes the least or the most bid that it may."""
    sides = dict(zip(found.mechanism.agents, found.mechanism.sides.tolist(), strict=True))
    return any(sides[name] > 0.0 and float(law.at(np.asarray([end]))[0]) > 1e-3 for name, law in found.strategies.items())


def _over_all_bids(found: Solution[Equilibrium]) -> Solution[Equilibrium]:
    """An equilibrium of a grid, judged by what it leaves to gain between the bids of the grid as well."""
    epsilon = found.value.epsilon
    if epsilon <= found.stats["tolerance"]:
        return found
    why = "the grid's own equilibrium leaves this gain between its bids; take strategies='mixed' with more bids"
    why = f"{why}, or allow a larger tolerance" if found.status.ok else found.stats["why"]
    return replace(found, status=Status.STEP_LIMIT, stats=found.stats | {"residual": epsilon, "why": why})


def _why(stats: Mapping[str, Any], otherwise: str) -> str:
    """What ended the search, and what to do about it."""
    remedy = f"allow a larger tolerance or take {'a ' if otherwise == 'coarser grid' else ''}{otherwise}"
    return {
        "time limit": f"the time limit came first; allow more seconds, or {remedy}",
        "step limit": f"the step limit came first; allow more steps, or {remedy}",
        "tolerance": f"the search met its own tolerance, but the certificate looks at more types and bids; take more knots, or {remedy}",
        "not finite": f"a NaN or an infinity appeared; check the rule, or {remedy}",
    }.get(str(stats["stopped"]), f"the search had nothing more to give; {remedy}")
