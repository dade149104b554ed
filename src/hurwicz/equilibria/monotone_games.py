"""Games in strategies that rise with the type: who is alike, which types take part, what a best response is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray, InputError
from hurwicz.equilibria.interim import Interim, Route, choose_route
from hurwicz.equilibria.strategies import MonotoneStrategy
from hurwicz.mechanisms import SingleParameterMechanism
from hurwicz.typespaces import DensityPrior, Interval, Prior, ProductPrior

_FEW = 4  # knots of types that take part: fewer are not searched apart from those that stay out


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
        serious: the least bid of each group that can get anything; ``None`` where any bid can.
        entrants: place of each group's least knot that takes part; those before it bid what is not enough.
    """

    mechanism: SingleParameterMechanism
    groups: Sequence[Sequence[int]]
    values: Sequence[Float64[FloatArray, "_knots"]]
    low: float
    high: float
    route: Route
    bids: int
    start: Sequence[Float64[FloatArray, "_knots"]]
    serious: Sequence[float | None]
    entrants: Sequence[int]

    def least(self, group: int) -> float:
        """The smallest bid that makes sense for whoever takes part."""
        serious = self.serious[group]
        return self.low if serious is None else serious

    def with_outsiders(self, group: int, bids: Float64[FloatArray, "knots"]) -> Float64[FloatArray, "knots"]:
        """Bids that rise from the least serious one on; who does not take part bids as at the start."""
        first = self.entrants[group]
        inside = np.maximum.accumulate(np.clip(bids[first:], self.least(group), self.high))
        return np.concatenate([self.start[group][:first], inside])

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
    asked = choose_route(mechanism, low, high, seed=seed) if route is None else route
    serious = [_least_serious(mechanism, members[0], low, high) for members in groups]
    values, start, entrants = [], [], []
    for g, (members, least) in enumerate(zip(groups, serious, strict=True)):
        prior = mechanism.prior.marginals[mechanism.agents[members[0]]]
        assert isinstance(prior, DensityPrior)
        assert isinstance(prior.space, Interval)
        bottom, top = prior.space.low, prior.space.high
        entrant = least
        if least is not None and len(groups) == 1 and bottom < least < top:
            entrant = _least_entrant(asked, members[0], len(members), least, prior)
        grid = np.linspace(bottom, top, knots)
        if entrant is not None and bottom < entrant < top:
            # Just below the least type that takes part and at it, so that no cell of values straddles the jump.
            grid = np.unique(np.concatenate([grid, [entrant - 1e-9 * (top - bottom), entrant]]))
        base = entrant if entrant is not None else bottom
        first = (
            np.where(grid > base, grid - shade * (grid - base), grid) if mechanism.sides[members[0]] > 0 else grid + shade * (top - grid)
        )
        if entrant is not None and least is not None and entrant > least:
            # whoever stays out bids what is plainly not enough
            out = bottom + (grid - bottom) * (least - bottom) / (entrant - bottom)
            first = np.where(grid < entrant, np.minimum(first, out - 1e-9 * (high - low)), first)
        inside = 0 if entrant is None else int(np.searchsorted(grid, entrant))
        if len(grid) - inside < _FEW:
            inside, serious[g] = 0, None
        values.append(grid)
        entrants.append(inside)
        start.append(np.clip(np.maximum.accumulate(first), low, high))
    return MonotoneGame(
        mechanism=mechanism,
        groups=groups,
        values=values,
        low=low,
        high=high,
        route=asked,
        bids=bids,
        start=start,
        serious=serious,
        entrants=entrants,
    )


def _least_serious(mechanism: SingleParameterMechanism, agent: int, low: float, high: float) -> float | None:
    """The least bid that can get anything, found by bisection with every rival at its weakest; ``None`` where any bid can.

    And where there are sellers too: how much is asked for is theirs to say.
    """
    if bool(np.any(mechanism.sides < 0.0)):
        return None
    weakest = np.full(len(mechanism.agents), low)

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


def _least_entrant(route: Route, agent: int, agents: int, least: float, prior: DensityPrior) -> float:
    """The type whom the least serious bid leaves with nothing where everybody of lower type stays out: v X(r) = T(r), by bisection.

    It is the reserve itself where only winners pay, and more where losers do: who enters an all-pay auction expects to win enough.
    """
    assert isinstance(prior.space, Interval)
    bottom, top = prior.space.low, prior.space.high
    tiny = 1e-9 * (top - bottom)

    def gain(entrant: float) -> float:
        out = MonotoneStrategy([bottom, entrant - tiny, entrant, top], [bottom, least - tiny, least, max(top, least + tiny)], prior)
        at = route.at(agent, np.asarray([least]), [out] * agents)
        return float(entrant * at.share[0] - at.payment[0])

    low, high = max(least, bottom + 2.0 * tiny), top - 2.0 * tiny
    if gain(low) >= -tiny or gain(high) <= 0.0:
        return least
    while high - low > tiny:
        middle = 0.5 * (low + high)
        low, high = (low, middle) if gain(middle) >= 0.0 else (middle, high)
    return high
