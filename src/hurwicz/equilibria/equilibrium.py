"""Bayes–Nash equilibria of single-parameter mechanisms, each with the certificate of what it leaves to gain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy.typing import ArrayLike

from hurwicz._foundation import FloatArray, InputError, NotConvergedError, Solution, Status
from hurwicz.equilibria.certificate import Certificate, certify
from hurwicz.equilibria.collocation import Collocation
from hurwicz.equilibria.collocation import gains as monotone_gains
from hurwicz.equilibria.interim import Route, choose_route
from hurwicz.equilibria.learning import RegretMatching
from hurwicz.equilibria.monotone import BestResponse, EnvelopeIteration, MonotoneGame, monotone_game
from hurwicz.equilibria.protocol import Dynamics, Progress, drive
from hurwicz.equilibria.sealed_bids import sealed_bid_game
from hurwicz.equilibria.strategies import MixedStrategy, MonotoneStrategy, Strategy
from hurwicz.mechanisms import SingleParameterMechanism
from hurwicz.typespaces import FinitePrior, ProductPrior

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(4)


@dataclass(frozen=True)
class Equilibrium:
    """A profile of strategies and what it leaves to gain.

    Attributes:
        mechanism: whose equilibrium it is; finite or discretised types where strategies are mixed.
        strategies: agent name → strategy.
        certificate: the epsilon, and the bound for bids that were not looked at.
    """

    mechanism: SingleParameterMechanism
    strategies: Mapping[str, Strategy]
    certificate: Certificate

    @property
    def epsilon(self) -> float:
        """Largest gain of any type looked at from the best bid found."""
        return self.certificate.epsilon

    def bid(self, agent: str, types: ArrayLike) -> Float64[FloatArray, "*shape"]:
        """The (mean) bid of ``agent`` at ``types``; of a mixed strategy, at the nearest of its types."""
        strategy, asked = self.strategies[agent], np.asarray(types, dtype=np.float64)
        if isinstance(strategy, MonotoneStrategy):
            return strategy(asked)
        place = np.abs(asked[..., None] - strategy.types).argmin(axis=-1)
        return np.asarray(strategy.mean[place])

    def payment_of(self, agent: str, route: Route | None = None) -> float:
        """E[t_i], the ex ante expected payment of one agent."""
        return self._expectation(agent, route)[0]

    def utility_of(self, agent: str, route: Route | None = None) -> float:
        """E[u_i], the ex ante expected utility of one agent."""
        payment, value = self._expectation(agent, route)
        return value - payment

    @property
    def revenue(self) -> float:
        """sum_i E[t_i]."""
        return sum(self._expectation(name)[0] * count for name, count in self._alike().items())

    @property
    def welfare(self) -> float:
        """sum_i E[side_i v_i x_i], the planner's cost left aside."""
        return sum(self._expectation(name)[1] * count for name, count in self._alike().items())

    def _alike(self) -> dict[str, int]:
        """One name of each group that shares a strategy object and a side, and how many they are."""
        out: dict[str, int] = {}
        seen: dict[tuple[int, float], str] = {}
        for name, side in zip(self.mechanism.agents, self.mechanism.sides.tolist(), strict=True):
            first = seen.setdefault((id(self.strategies[name]), side), name)
            out[first] = out.get(first, 0) + 1
        return out

    def _expectation(self, agent: str, route: Route | None = None) -> tuple[float, float]:
        """E[t_i] and E[side v x]."""
        k = self.mechanism.agents.index(agent)
        strategy = self.strategies[agent]
        laws = [self.strategies[name] for name in self.mechanism.agents]
        low = min(float(law.knots[0]) for law in laws)
        high = max(float(law.knots[-1]) for law in laws)
        grid = max((len(law.bids) for law in laws if isinstance(law, MixedStrategy)), default=0)
        way = choose_route(self.mechanism, low, high if high > low else low + 1.0, grid=grid) if route is None else route
        side = float(self.mechanism.sides[k])
        if isinstance(strategy, MixedStrategy):
            found = way.at(k, strategy.bids, laws)
            each = strategy.weights[:, None] * strategy.probabilities
            return float((each @ found.payment).sum()), side * float((strategy.types * (each @ found.share)).sum())
        width = np.diff(strategy.values)
        inner = strategy.values[:-1, None] + width[:, None] * 0.5 * (_NODES + 1.0)
        density = strategy.prior.pdf(inner) * _WEIGHTS
        mass = np.diff(np.asarray(strategy.prior.cdf(strategy.values)))[:, None]
        weights = (mass * density / np.maximum(density.sum(axis=1, keepdims=True), 1e-300)).ravel()
        found = way.at(k, strategy(inner.ravel()), laws)
        return float(weights @ found.payment), side * float(weights @ (inner.ravel() * found.share))

    def welfare_ratio(self, *, samples: int = 1 << 15, seed: int = 0) -> tuple[float, float]:
        """E[welfare] at the equilibrium over E[greatest welfare], and its standard error: the price of anarchy of this equilibrium.

        From the same seeded draws of types for both, so that equal allocations cancel exactly. For first-price auctions with independent
        values no Bayes–Nash equilibrium is below 1 - 1/e² (Jin and Lu 2022), and below 1 - 1/e with correlated ones (Syrgkanis and
        Tardos 2013).

        Raises:
            InputError: a mechanism that does not say which shares are efficient.
        """
        if self.mechanism.efficient is None:
            raise InputError(f"{self.mechanism.name}: its field `efficient` is not given; set it to the shares of the greatest welfare")
        rng = np.random.default_rng([seed, 13])
        types, bids = [], []
        for name in self.mechanism.agents:
            strategy = self.strategies[name]
            level = rng.random(samples)
            if isinstance(strategy, MonotoneStrategy):
                fine = np.linspace(strategy.values[0], strategy.values[-1], 4001)
                drawn = np.interp(level, np.asarray(strategy.prior.cdf(fine)), fine)
                types.append(drawn)
                bids.append(strategy(drawn))
            else:
                row = np.minimum(np.searchsorted(np.cumsum(strategy.weights), level, side="right"), len(strategy.weights) - 1)
                cumulative = np.cumsum(strategy.probabilities, axis=1)[row]
                column = np.minimum((rng.random(samples)[:, None] >= cumulative).sum(axis=1), len(strategy.bids) - 1)
                types.append(strategy.types[row])
                bids.append(strategy.bids[column])
        theta = np.stack(types, axis=1)
        sides = self.mechanism.sides

        def welfare(shares: FloatArray) -> FloatArray:
            gross: FloatArray = (sides * theta * shares).sum(axis=1)
            return gross if self.mechanism.cost is None else gross - self.mechanism.cost(shares)

        best = welfare(self.mechanism.efficient(theta))
        reached = welfare(self.mechanism.decide(np.stack(bids, axis=1))[0])
        if not best.mean() > 0.0:
            raise InputError(
                f"{self.mechanism.name}: expected a greatest welfare above 0 on average, got {best.mean():.6g}; there is no ratio"
            )
        ratio = float(reached.mean() / best.mean())
        return ratio, float((reached - ratio * best).std() / best.mean() / np.sqrt(samples))


def bayes_nash(
    mechanism: SingleParameterMechanism,
    *,
    strategies: str = "auto",
    dynamics: Dynamics[Any, Any, Any] | None = None,
    knots: int = 201,
    types: int = 50,
    bids: int | ArrayLike | Mapping[str, ArrayLike] | None = None,
    bid_range: tuple[float, float] | None = None,
    tolerance: float = 1e-4,
    steps: int | None = None,
    route: Route | None = None,
    seed: int = 0,
    strict: bool = True,
    progress: Progress | None = None,
) -> Solution[Equilibrium]:
    """A Bayes–Nash equilibrium of a sealed-bid mechanism, with a certified epsilon.

    Monotone strategies (types on intervals): the truth if it is one, else :class:`EnvelopeIteration` for identical buyers,
    :class:`BestResponse` and then :class:`Collocation` for the rest; over a continuum of bids. Mixed strategies (finite types, or
    intervals cut into cells): :class:`RegretMatching` on a grid of bids. Whatever found it, the certificate is computed afterwards from
    the strategies alone.

    Args:
        mechanism: single-parameter, types independent.
        strategies: ``"monotone"``, ``"mixed"``, or ``"auto"``, which takes mixed ones where a type space is finite.
        dynamics: what to search by, instead of the above.
        knots: values at which monotone strategies are found.
        types: cells of an interval for mixed strategies.
        bids: grid: how many, which, or which for each agent; 801 looked at first (monotone) or 101 (mixed) if omitted.
        bid_range: smallest and largest bid; the span of the type spaces if omitted.
        tolerance: largest gain wanted, as a share of the range of bids.
        steps: most rounds of each dynamics.
        route: to interim shares and payments; the fastest that the rule allows if omitted.
        seed: of everything random.
        strict: raise where the tolerance is not met; otherwise the solution says so in its status.
        progress: called with round and gain.

    Returns:
        The equilibrium; ``stats`` say the dynamics, rounds, seconds, route and gain.

    Raises:
        InputError: a mechanism or grid that does not fit.
        NotConvergedError: the gain stayed above the tolerance; ``reached`` holds the solution as far as it got.

    Example:
        >>> from hurwicz.mechanisms import single_parameter
        >>> def pay_own(bids):
        ...     top = bids == bids.max(axis=1, keepdims=True)
        ...     return top / top.sum(axis=1, keepdims=True), bids * top / top.sum(axis=1, keepdims=True)
        >>> found = bayes_nash(single_parameter("first price", pay_own, 3), knots=51).value
        >>> round(float(found.bid("bidder 1", 0.6)), 4), round(found.revenue, 4)  # 2/3 of the value; (n - 1) / (n + 1)
        (0.4, 0.5)
    """
    finite = isinstance(mechanism.prior, ProductPrior) and any(
        isinstance(p, FinitePrior) or p.space.size is not None for p in mechanism.prior.marginals.values()
    )
    if strategies not in {"auto", "monotone", "mixed"}:
        raise InputError(f"bayes_nash: expected strategies 'auto', 'monotone' or 'mixed', got {strategies!r}")
    if not tolerance > 0.0:
        raise InputError(f"bayes_nash: expected a tolerance above 0, got {tolerance!r}")
    if strategies == "mixed" or (strategies == "auto" and finite):
        solution = _mixed(mechanism, dynamics, types, 101 if bids is None else bids, bid_range, tolerance, steps, route, seed, progress)
    else:
        looked = 801 if bids is None else bids
        if not isinstance(looked, int):
            raise InputError(
                "bayes_nash: monotone strategies bid from a continuum; give the number of bids to look at, or strategies='mixed'"
            )
        solution = _monotone(mechanism, dynamics, knots, looked, bid_range, tolerance, steps, route, seed, progress)
    if strict and not solution.status.ok:
        raise NotConvergedError(
            f"{mechanism.name}: {solution.stats['dynamics']} left a gain of {solution.stats['residual']:.3g} after "
            f"{solution.stats['rounds']} rounds, tolerance {solution.stats['tolerance']:.3g}; allow more steps, a larger tolerance, "
            f"{'a coarser grid' if 'mixed' in solution.stats['kind'] else 'strategies=' + chr(39) + 'mixed' + chr(39)}, or strict=False",
            reached=solution,
        )
    return solution


def _mixed(
    mechanism: SingleParameterMechanism,
    dynamics: Dynamics[Any, Any, Any] | None,
    types: int,
    bids: int | ArrayLike | Mapping[str, ArrayLike],
    bid_range: tuple[float, float] | None,
    tolerance: float,
    steps: int | None,
    route: Route | None,
    seed: int,
    progress: Progress | None,
) -> Solution[Equilibrium]:
    game = sealed_bid_game(mechanism, types=types, bids=bids, bid_range=bid_range, route=route, seed=seed)
    span = max(float(b[-1]) for b in game.bids) - min(float(b[0]) for b in game.bids)
    limit = tolerance * (span if span > 0.0 else 1.0)
    run = drive(game, RegretMatching() if dynamics is None else dynamics, steps=steps or 4000, tolerance=limit, every=25, progress=progress)
    made = game.strategies(run.value)
    discrete = {
        name: FinitePrior(s.types, s.weights)
        if np.all(s.weights > 0.0)
        else FinitePrior(s.types[s.weights > 0.0], s.weights[s.weights > 0.0])
        for name, s in made.items()
    }
    low, high = min(float(b[0]) for b in game.bids), max(float(b[-1]) for b in game.bids)
    certificate = certify(
        mechanism,
        made,
        bids=2,
        bid_range=bid_range or (low, high if high > low else low + 1.0),
        refine=1,
        route=game.route,
        agents=[mechanism.agents[m[0]] for m in game.groups],
    )
    stats = run.stats | {"route": game.route.name, "tolerance": limit, "kind": "mixed strategies on a grid"}
    return Solution(Equilibrium(mechanism.with_prior(discrete), made, certificate), run.status, stats)


def _monotone(
    mechanism: SingleParameterMechanism,
    dynamics: Dynamics[Any, Any, Any] | None,
    knots: int,
    bids: int,
    bid_range: tuple[float, float] | None,
    tolerance: float,
    steps: int | None,
    route: Route | None,
    seed: int,
    progress: Progress | None,
) -> Solution[Equilibrium]:
    game = monotone_game(mechanism, knots=knots, bids=bids, bid_range=bid_range, route=route, seed=seed)
    limit = tolerance * (game.high - game.low)
    truth = monotone_gains(game, tuple(game.start))
    stats: dict[str, Any] = {"dynamics": "truth", "rounds": 0, "residual": truth, "seconds": 0.0, "trace": []}
    told = Solution(tuple(game.start), Status.EQUILIBRIUM, stats)
    if dynamics is None and truth <= min(1e-6 * (game.high - game.low), limit):
        return _finish(game, told, limit)
    span = game.high - game.low
    # What is gained is of the second order in the bids: the search goes on well below the gain that is asked for, where it can.
    plan: list[tuple[Dynamics[Any, Any, Any], int, int, float]]
    if dynamics is not None:
        plan = [(dynamics, steps or 200, 1, 1e-9 * span)]
    else:
        plan = [(BestResponse(), steps or 30, 1, 1e-9 * span), (Collocation(), steps or 60, 1, 1e-6 * span)]
        if len(game.groups) == 1 and game.side(0) > 0.0:
            plan = [(EnvelopeIteration(), steps or 300, 20, 0.0), *plan]
    best: Solution[Any] | None = told if dynamics is None else None
    for rule, most, every, aim in plan:
        shaded = game
        if not isinstance(rule, BestResponse):
            # Where the truth is no equilibrium, starting below it keeps a payment that grows with the bid within reach.
            shaded = monotone_game(mechanism, knots=knots, bids=bids, bid_range=bid_range, shade=0.1, route=game.route, seed=seed)
        run = drive(shaded, rule, steps=most, tolerance=min(aim, 0.5 * limit), every=every, progress=progress)
        if best is None or run.stats["residual"] < best.stats["residual"]:
            best = run
        if run.stats["residual"] <= 0.5 * limit:  # half: the certificate looks at more types and bids than the search did
            break
    assert best is not None
    return _finish(game, best, limit)


def _finish(game: MonotoneGame, run: Solution[Any], limit: float) -> Solution[Equilibrium]:
    laws = game.laws(run.value)
    made = dict(zip(game.mechanism.agents, laws, strict=True))
    certificate = certify(
        game.mechanism,
        made,
        bids=game.bids,
        bid_range=(game.low, game.high),
        route=game.route,
        agents=[game.mechanism.agents[m[0]] for m in game.groups],
    )
    status = Status.EQUILIBRIUM if certificate.epsilon <= limit else Status.STEP_LIMIT
    stats = run.stats | {"route": game.route.name, "tolerance": limit, "kind": "monotone strategies", "residual": certificate.epsilon}
    return Solution(Equilibrium(game.mechanism, made, certificate), status, stats)
