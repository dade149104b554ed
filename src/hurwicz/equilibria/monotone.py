"""Bayes–Nash equilibria in strategies that rise with the type, over a continuum of types and bids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray, InputError
from hurwicz.equilibria.interim import Interim, Route, choose_route
from hurwicz.equilibria.strategies import MonotoneStrategy
from hurwicz.mechanisms import SingleParameterMechanism
from hurwicz.typespaces import DensityPrior, Interval, Prior, ProductPrior

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(3)
_NODES, _WEIGHTS = 0.5 * (_NODES + 1.0), 0.5 * _WEIGHTS


def same_prior(one: Prior, other: Prior) -> bool:
    """Whether two priors are the same distribution, as far as their values at 33 points tell."""
    if one is other or one == other:
        return True
    if type(one) is not type(other) or not isinstance(one, DensityPrior) or not isinstance(other, DensityPrior):
        return False
    grid = one.space.grid(33)
    return bool(np.array_equal(grid, other.space.grid(33)) and np.array_equal(one.cdf(grid), other.cdf(grid)))


def anonymous(mechanism: SingleParameterMechanism, one: int, other: int, low: float, high: float, *, seed: int = 0) -> bool:
    """Whether exchanging two agents' bids exchanges their shares and payments, on 400 random profiles, ties among them."""
    if mechanism.sides[one] != mechanism.sides[other]:
        return False
    rng = np.random.default_rng([seed, 11])
    bids = rng.uniform(low, high, size=(400, len(mechanism.agents)))
    bids[::4, other] = bids[::4, one]
    swapped = bids.copy()
    swapped[:, [one, other]] = bids[:, [other, one]]
    back = list(range(len(mechanism.agents)))
    back[one], back[other] = other, one
    return all(
        np.allclose(a[:, back], b, rtol=0.0, atol=1e-9 * (1.0 + max(abs(low), abs(high))))
        for a, b in zip(mechanism.decide(bids), mechanism.decide(swapped), strict=True)
    )


def identical_groups(mechanism: SingleParameterMechanism, low: float, high: float, *, seed: int = 0) -> list[list[int]]:
    """Agents whom neither the rule nor the prior tells apart, group by group."""
    if not isinstance(mechanism.prior, ProductPrior):
        return [[k] for k in range(len(mechanism.agents))]
    priors = [mechanism.prior.marginals[name] for name in mechanism.agents]
    groups: list[list[int]] = []
    for k in range(len(mechanism.agents)):
        for group in groups:
            if same_prior(priors[group[0]], priors[k]) and anonymous(mechanism, group[0], k, low, high, seed=seed):
                group.append(k)
                break
        else:
            groups.append([k])
    return groups


@dataclass(frozen=True)
class MonotoneGame:
    """A mechanism, knots for every group of identical agents, and a route to interim shares and payments.

    Attributes:
        mechanism: single-parameter, types independent and each on an interval.
        groups: agents (by place) that play the same strategy.
        values: knots of each group.
        low: smallest bid.
        high: largest bid.
        route: to interim shares and payments.
        bids: bids looked at first in a best response.
        start: bids of each group at its knots to begin with.
    """

    mechanism: SingleParameterMechanism
    groups: Sequence[Sequence[int]]
    values: Sequence[Float64[FloatArray, "_knots"]]
    low: float
    high: float
    route: Route
    bids: int
    start: Sequence[Float64[FloatArray, "_knots"]]

    def prior(self, group: int) -> DensityPrior:
        """Of one member's type."""
        joint = self.mechanism.prior
        assert isinstance(joint, ProductPrior)
        prior = joint.marginals[self.mechanism.agents[self.groups[group][0]]]
        assert isinstance(prior, DensityPrior)
        return prior

    def laws(self, bids: Sequence[Float64[FloatArray, "_knots"]]) -> list[MonotoneStrategy]:
        """One strategy an agent."""
        out: dict[int, MonotoneStrategy] = {}
        for g, members in enumerate(self.groups):
            strategy = MonotoneStrategy(self.values[g], bids[g], self.prior(g))
            out |= dict.fromkeys(members, strategy)
        return [out[k] for k in range(len(self.mechanism.agents))]

    def side(self, group: int) -> float:
        """+1 for who receives."""
        return float(self.mechanism.sides[self.groups[group][0]])

    def interim(self, group: int, bids: Float64[FloatArray, "bids"], laws: Sequence[MonotoneStrategy]) -> Interim:
        """X and T of one member."""
        return self.route.at(self.groups[group][0], bids, laws)

    def response(
        self, group: int, own: Float64[FloatArray, "knots"], laws: Sequence[MonotoneStrategy]
    ) -> tuple[Float64[FloatArray, "knots"], float]:
        """Best bid of each knot's type and the largest gain over the present bids.

        A grid of bids, then a finer one around the best, then the vertex of a parabola. A type that loses nothing by the bid that it
        started from (a buyer below every ask) makes that bid, and one that loses nothing by its present bid keeps it.
        """
        values = self.side(group) * self.values[group]
        rows = np.arange(len(values))
        grid = np.linspace(self.low, self.high, self.bids)
        found = self.interim(group, np.concatenate([own, self.start[group], grid]), laws)
        played, begun = (values * found.share[k] - found.payment[k] for k in np.split(np.arange(2 * len(values)), 2))
        table = np.outer(values, found.share[2 * len(values) :]) - found.payment[2 * len(values) :]
        place = table.argmax(axis=1)
        best, gain = grid[place], table[rows, place]
        step = (grid[1] - grid[0]) / 4.0
        near = np.clip(best[:, None] + np.arange(-4, 5) * step, self.low, self.high)
        finer = self.interim(group, near.ravel(), laws)
        table = values[:, None] * finer.share.reshape(near.shape) - finer.payment.reshape(near.shape)
        place = table.argmax(axis=1)
        mid = np.clip(place, 1, 7)
        left, centre, right = table[rows, mid - 1], table[rows, mid], table[rows, mid + 1]
        best, gain = near[rows, place], table[rows, place]
        bend = left - 2.0 * centre + right
        curved = (bend < -1e-15) & (place == mid)
        shift = np.where(curved, 0.5 * (left - right) / np.where(curved, bend, 1.0), 0.0)
        best = np.clip(best + np.clip(shift, -1.0, 1.0) * step, self.low, self.high)
        slack = 1e-13 * (1.0 + float(np.abs(found.payment).max()))
        answer = np.where(begun >= gain - slack, self.start[group], np.where(played >= gain - slack, own, best))
        return answer, float(max((gain - played).max(), 0.0))


@dataclass(frozen=True)
class Iterate:
    """Bids of every group at its knots, the gain of a best response, the rounds behind, the profile that left least to gain
    and what it left, how far bids moved in the last round, and for how many rounds no less was left by a tenth.
    """

    bids: tuple[Any, ...]
    gain: float
    round: int
    best: tuple[Any, ...] | None = None
    gain_of_best: float = float("inf")
    change: float = float("inf")
    stalled: int = 0


def _rising(bids: Float64[FloatArray, "knots"]) -> Float64[FloatArray, "knots"]:
    return np.maximum.accumulate(bids)


def smooth(
    game: MonotoneGame, group: int, bids: Float64[FloatArray, "knots"], laws: Sequence[MonotoneStrategy], degree: int
) -> Float64[FloatArray, "knots"]:
    """The rising polynomial of that degree nearest to ``bids`` over the types that have a chance, going on straight over the others."""
    values = game.values[group]
    chance = game.interim(group, bids, laws).share > 1e-6
    if chance.sum() < degree + 2:
        return bids
    inside = values[chance]
    fit = np.polynomial.Chebyshev.fit(inside, bids[chance], degree, domain=[inside[0], inside[-1]])
    near = np.clip(values, inside[0], inside[-1])
    slope = fit.deriv()
    ends = np.where(values < inside[0], slope(inside[0]), slope(inside[-1]))
    return _rising(np.clip(fit(near) + ends * (values - near), game.low, game.high))


@dataclass(frozen=True)
class BestResponse:
    """beta <- (1 - damping) beta + damping P BR(beta): everyone answers at once, smoothed by P, and goes part of the way.

    The best response differentiates the rivals' distribution: a ripple of width h in their bids comes back 1/h times as large. P, the
    least-squares polynomial of a low degree over the types that have a chance, lets no such ripple through.

    Args:
        damping: share of the way that is gone, in (0, 1].
        degree: of the polynomial; ``None`` for the bare best response, which rarely converges.
    """

    damping: float = 0.5
    degree: int | None = 4
    name: str = "smoothed best response"

    def __post_init__(self) -> None:
        """Refuse a step that does not move or overshoots."""
        if not 0.0 < self.damping <= 1.0 or (self.degree is not None and self.degree < 1):
            raise InputError(f"BestResponse: expected 0 < damping <= 1 and degree >= 1, got damping={self.damping}, degree={self.degree}")

    def init(self, game: MonotoneGame) -> Iterate:
        """The game's start."""
        return Iterate(tuple(game.start), np.inf, 0)

    def step(self, game: MonotoneGame, state: Iterate) -> Iterate:
        """One answer of everybody; the gain is that of the profile answered."""
        laws = game.laws(state.bids)
        answers = [game.response(g, own, laws) for g, own in enumerate(state.bids)]
        gain = max(a[1] for a in answers)
        stalled = 0 if gain < 0.9 * state.gain_of_best else state.stalled + 1
        if gain < state.gain_of_best:
            state = Iterate(state.bids, state.gain, state.round, best=state.bids, gain_of_best=gain)
        moved = []
        for g, (own, (answer, _)) in enumerate(zip(state.bids, answers, strict=True)):
            aim = answer if self.degree is None else smooth(game, g, _rising(answer), laws, self.degree)
            moved.append(_rising(own + self.damping * (aim - own)))
        return Iterate(tuple(moved), gain, state.round + 1, best=state.best, gain_of_best=state.gain_of_best, stalled=stalled)

    def residual(self, game: MonotoneGame, state: Iterate) -> float:
        """Smallest, over the profiles answered, of the largest gain."""
        del game
        return state.gain_of_best

    def terminate(self, game: MonotoneGame, state: Iterate) -> bool:
        """Once ten rounds have not bettered the best profile by a tenth: it may cycle, and the best profile of a cycle is kept."""
        del game
        return state.stalled >= 10

    def figures(self, game: MonotoneGame, state: Iterate) -> dict[str, float]:
        """None besides."""
        del game, state
        return {}

    def result(self, game: MonotoneGame, state: Iterate) -> tuple[Float64[FloatArray, "_knots"], ...]:
        """The bids that left least to gain."""
        del game
        return state.best or state.bids


@dataclass(frozen=True)
class EnvelopeIteration:
    """beta(v) <- T^{-1}(v q(v) - u(v)), q(v) = X(beta(v)), u(v) = max_b u(v_low, b) + ∫ q: the envelope theorem, solved for the bid.

    Along an equilibrium u' = q (Myerson 1981; Milgrom and Segal 2002, Theorem 2), so that the share a type gets fixes what it pays, and
    what it pays fixes its bid. No derivative of a rival's distribution is taken, hence errors do not grow from round to round. For
    symmetric rules in which payments rise with the bid; bidders who are told apart need :class:`BestResponse` or a grid.
    """

    name: str = "envelope iteration"

    def init(self, game: MonotoneGame) -> Iterate:
        """The game's start."""
        if len(game.groups) != 1 or game.side(0) < 0.0:
            raise InputError("EnvelopeIteration: expected identical buyers, got agents that the rule or the prior tells apart, or sellers")
        return Iterate(tuple(game.start), np.inf, 0)

    def step(self, game: MonotoneGame, state: Iterate) -> Iterate:
        """One solve of the envelope condition."""
        values, own = game.values[0], state.bids[0]
        laws = game.laws(state.bids)
        width = np.diff(values)
        inner = values[:-1, None] + width[:, None] * _NODES
        share = game.interim(0, laws[game.groups[0][0]](inner.ravel()), laws).share.reshape(inner.shape)
        at = game.interim(0, own, laws)
        lowest = game.interim(0, np.linspace(game.low, own[-1], 65), laws)
        floor = float(np.max(values[0] * lowest.share - lowest.payment))
        utility = floor + np.concatenate([[0.0], np.cumsum((share @ _WEIGHTS) * width)])
        pays = values * at.share - utility
        served = at.share > 1e-300
        bids = np.where(served, self._bid_that_pays(game, pays, own, laws), own)
        moved = _rising(np.clip(bids, game.low, game.high))
        return Iterate((moved,), np.inf, state.round + 1, change=float(np.abs(moved - own).max()))

    def _bid_that_pays(
        self, game: MonotoneGame, pays: Float64[FloatArray, "knots"], own: Float64[FloatArray, "knots"], laws: Sequence[MonotoneStrategy]
    ) -> Float64[FloatArray, "knots"]:
        """T^{-1}, on a grid through the present bids and then on a finer one in each cell that matters."""
        points = np.unique(np.concatenate([own, 0.5 * (own[1:] + own[:-1]), np.linspace(max(own[0], game.low), game.high, 65)]))
        payment = np.maximum.accumulate(game.interim(0, points, laws).payment)
        place = np.clip(np.searchsorted(payment, pays, side="left") - 1, 0, len(points) - 2)
        near = points[place][:, None] + (points[place + 1] - points[place])[:, None] * np.linspace(0.0, 1.0, 17)
        finer = np.maximum.accumulate(game.interim(0, near.ravel(), laws).payment.reshape(near.shape), axis=1)
        cell = np.clip((finer < pays[:, None]).sum(axis=1) - 1, 0, 15)
        rows = np.arange(len(pays))
        low, high = finer[rows, cell], finer[rows, cell + 1]
        share = np.where(high > low, (pays - low) / np.where(high > low, high - low, 1.0), 1.0)
        return np.asarray(near[rows, cell] + np.clip(share, 0.0, 1.0) * (near[rows, cell + 1] - near[rows, cell]))

    def residual(self, game: MonotoneGame, state: Iterate) -> float:
        """Largest gain of a best response to the present profile."""
        return game.response(0, state.bids[0], game.laws(state.bids))[1]

    def terminate(self, game: MonotoneGame, state: Iterate) -> bool:
        """Bids that no longer move."""
        return state.change <= 1e-7 * (game.high - game.low)

    def figures(self, game: MonotoneGame, state: Iterate) -> dict[str, float]:
        """``change``: how far any bid moved in the last round."""
        del game
        return {"change": state.change}

    def result(self, game: MonotoneGame, state: Iterate) -> tuple[Float64[FloatArray, "_knots"], ...]:
        """The bids."""
        del game
        return state.bids


def monotone_game(
    mechanism: SingleParameterMechanism,
    *,
    knots: int = 201,
    bids: int = 801,
    bid_range: tuple[float, float] | None = None,
    shade: float = 0.0,
    route: Route | None = None,
    seed: int = 0,
) -> MonotoneGame:
    """The game on ``knots`` equally spaced values an agent, a reserve's threshold added where the rule has one.

    Args:
        mechanism: single-parameter, types independent and each on an interval with a distribution function.
        knots: values at which strategies are found.
        bids: bids that a best response looks at first.
        bid_range: smallest and largest bid; the span of the type spaces if omitted.
        shade: start from bids this share below the value (above it for sellers) rather than from the truth.
        route: to interim shares and payments; the fastest that the rule allows if omitted.
        seed: of the probes of the rule and of draws.

    Raises:
        InputError: correlated or finite types, or fewer than 3 knots.
    """
    if not isinstance(mechanism.prior, ProductPrior):
        raise InputError(f"{mechanism.name}: monotone equilibria need independent types, got a joint prior; use report_equilibrium")
    for name, prior in mechanism.prior.marginals.items():
        if not (isinstance(prior, DensityPrior) and isinstance(prior.space, Interval)):
            raise InputError(
                f"{mechanism.name}: expected types of {name!r} on an interval with a distribution function, got {prior!r}; "
                "finitely many types need mixed strategies (strategies='mixed')"
            )
    if knots < 3 or bids < 3:
        raise InputError(f"{mechanism.name}: expected at least 3 knots and 3 bids, got {knots} and {bids}")
    spans = [space.grid(2) for space in mechanism.type_spaces.values()]
    low, high = bid_range or (min(float(s[0]) for s in spans), max(float(s[-1]) for s in spans))
    groups = identical_groups(mechanism, low, high, seed=seed)
    values, start = [], []
    for members in groups:
        space = mechanism.prior.marginals[mechanism.agents[members[0]]].space
        assert isinstance(space, Interval)
        threshold = _least_serious(mechanism, members[0], low, high)
        grid = np.linspace(space.low, space.high, knots)
        if threshold is not None and space.low < threshold < space.high:
            # Just below the reserve and at it, so that no cell of values straddles the jump.
            grid = np.unique(np.concatenate([grid, [threshold - 1e-9 * (space.high - space.low), threshold]]))
        base = threshold if threshold is not None else space.low
        first = (
            np.where(grid > base, grid - shade * (grid - base), grid)
            if mechanism.sides[members[0]] > 0
            else grid + shade * (space.high - grid)
        )
        values.append(grid)
        start.append(np.clip(np.maximum.accumulate(first), low, high))
    return MonotoneGame(
        mechanism=mechanism,
        groups=groups,
        values=values,
        low=low,
        high=high,
        route=choose_route(mechanism, low, high, seed=seed) if route is None else route,
        bids=bids,
        start=start,
    )


def _least_serious(mechanism: SingleParameterMechanism, agent: int, low: float, high: float) -> float | None:
    """The least bid that can get anything, found by bisection with every rival at its weakest; ``None`` where any bid can."""
    if mechanism.sides[agent] < 0:
        return None
    weakest = np.where(mechanism.sides > 0, low, high)

    def share(bid: float) -> float:
        profile = weakest.copy()[None]
        profile[0, agent] = bid
        return float(mechanism.decide(profile)[0][0, agent])

    if share(low) > 0.0 or share(high) <= 0.0:
        return None
    out, into = low, high
    for _ in range(60):
        middle = 0.5 * (out + into)
        out, into = (out, middle) if share(middle) > 0.0 else (middle, into)
    # A reserve is a round number more often than not; bisection ends a rounding error above it.
    tidy = round(into, 12)
    into = tidy if share(tidy) > 0.0 else into
    return into if into - low > 1e-9 * (high - low) else None
