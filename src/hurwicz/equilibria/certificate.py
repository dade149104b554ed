"""How much any type could gain by any other bid: the number that makes a profile an epsilon-equilibrium."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from hurwicz._foundation import FloatArray, InputError
from hurwicz.equilibria.interim import Interim, Route, choose_route
from hurwicz.equilibria.strategies import MixedStrategy, Strategy
from hurwicz.mechanisms import SingleParameterMechanism

_STEP = 1e-9
_BLOCK = 4_000_000


@dataclass(frozen=True)
class Certificate:
    """The largest gain of any type from any other bid, against a profile of strategies.

    Attributes:
        epsilon: gain of the best bid found, over all agents and the types looked at; the profile is an epsilon-equilibrium among the bids
            looked at. Utility units.
        bound: no bid whatever in the range gains more than this, at those types; proved where the interim share and payment (or the share
            and what the bid exceeds the payment by) rise with the bid between the bids looked at; ``None`` where neither was seen to.
        agent: who gains most.
        type: its type.
        bid: the bid that gains most.
        types: how many types were looked at, in all.
        bids: how many bids, the largest number for any agent.
        route: how interim shares and payments were computed.
        error: standard error of ``epsilon`` where they were sampled, else 0.
        restricted: gain of the best bid on the strategies' own grid (mixed strategies), else ``epsilon``.
    """

    epsilon: float
    bound: float | None
    agent: str
    type: float
    bid: float
    types: int
    bids: int
    route: str
    error: float
    restricted: float

    def __str__(self) -> str:
        off = "no bound between them" if self.bound is None else f"at most {self.bound:.3g} by any bid"
        noise = f" ± {self.error:.1g}" if self.error else ""
        return f"epsilon = {self.epsilon:.3g}{noise} ({off}); worst: {self.agent} of type {self.type:.6g}, bidding {self.bid:.6g}"


class _Look(NamedTuple):
    epsilon: float
    bound: float | None
    restricted: float
    type: float
    bid: float
    types: int
    bids: int
    error: float


def certify(
    mechanism: SingleParameterMechanism,
    strategies: Mapping[str, Strategy],
    *,
    bids: int = 801,
    bid_range: tuple[float, float] | None = None,
    gap: float = 1e-4,
    refine: int = 6,
    route: Route | None = None,
    agents: Sequence[str] | None = None,
    seed: int = 0,
) -> Certificate:
    """Best responses of every type against a profile, and a bound on what bids in between could add.

    epsilon = max_{i, v} max_b u_i(v, b) - E u_i(v, beta_i(v)). Between neighbouring bids l < r that were looked at, with X and T rising,
    u(v, b) <= v X(r) - T(l); with X and S = b X - T rising, u(v, b) <= (v - l)⁺ X(r) + S(r) (a seller is a buyer of minus its cost who bids
    minus its ask). Segments where this exceeds the best bid found are divided until it does not matter, or ``refine`` times.

    Args:
        mechanism: a single-parameter mechanism with independent types.
        strategies: one an agent.
        bids: bids looked at before any division, at least.
        bid_range: smallest and largest bid allowed; the span of the type spaces and of the strategies if omitted.
        gap: stop dividing once the bound is this close to epsilon, as a share of the range of bids.
        refine: how often segments may be divided, at most.
        route: how to compute interim shares and payments; the fastest that the rule allows if omitted.
        agents: whose gains to look at; all if omitted (of identical agents, one is enough).
        seed: of the probes of the rule, and of the draws where there is only sampling.

    Raises:
        InputError: a strategy missing, or an empty range.

    Example:
        >>> from hurwicz.equilibria import MonotoneStrategy
        >>> from hurwicz.mechanisms import single_parameter
        >>> from hurwicz.typespaces import Interval, Uniform
        >>> def pay_own(bids):
        ...     top = bids == bids.max(axis=1, keepdims=True)
        ...     return top / top.sum(axis=1, keepdims=True), bids * top / top.sum(axis=1, keepdims=True)
        >>> auction = single_parameter("first price", pay_own, 2)
        >>> half = MonotoneStrategy([0.0, 1.0], [0.0, 0.5], Uniform(Interval(0.0, 1.0)))
        >>> found = certify(auction, dict.fromkeys(auction.agents, half))
        >>> found.epsilon < 1e-9, found.bound < 1e-3
        (True, True)
        >>> truth = MonotoneStrategy([0.0, 1.0], [0.0, 1.0], Uniform(Interval(0.0, 1.0)))
        >>> round(certify(auction, dict.fromkeys(auction.agents, truth)).epsilon, 3)  # type 1 gains 1/4 by bidding 1/2
        0.25
    """
    missing = [name for name in mechanism.agents if name not in strategies]
    if missing:
        raise InputError(f"certify: expected a strategy for each of {list(mechanism.agents)}, missing {missing}")
    low, high = bid_span(mechanism, strategies, bid_range)
    grid = max((len(s.bids) for s in strategies.values() if isinstance(s, MixedStrategy)), default=0)
    chosen = choose_route(mechanism, low, high, grid=grid, seed=seed) if route is None else route
    laws = [strategies[name] for name in mechanism.agents]
    looks: dict[str, _Look] = {}
    for name in mechanism.agents if agents is None else agents:
        k = mechanism.agents.index(name)
        looks[name] = _look(chosen, k, float(mechanism.sides[k]), laws, np.linspace(low, high, bids), gap, refine)
    worst = max(looks, key=lambda name: looks[name].epsilon)
    top = looks[worst]
    bounds = [look.bound for look in looks.values()]
    return Certificate(
        epsilon=top.epsilon,
        bound=None if any(b is None for b in bounds) else max(b for b in bounds if b is not None),
        agent=worst,
        type=top.type,
        bid=top.bid,
        types=sum(look.types for look in looks.values()),
        bids=max(look.bids for look in looks.values()),
        route=chosen.name,
        error=max(look.error for look in looks.values()),
        restricted=max(look.restricted for look in looks.values()),
    )


def bid_span(
    mechanism: SingleParameterMechanism, strategies: Mapping[str, Strategy], bid_range: tuple[float, float] | None
) -> tuple[float, float]:
    """The bids allowed: as given, or the span of the type spaces and of the strategies.

    Raises:
        InputError: an empty or infinite range.
    """
    if bid_range is None:
        ends = [space.grid(2) for space in mechanism.type_spaces.values()] + [s.knots for s in strategies.values()]
        bid_range = (min(float(np.min(e)) for e in ends), max(float(np.max(e)) for e in ends))
    low, high = bid_range
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise InputError(f"expected a finite range of bids, low < high, got [{low}, {high}]")
    return float(low), float(high)


def _look(route: Route, agent: int, side: float, laws: list[Strategy], base: Float64[FloatArray, "bids"], gap: float, refine: int) -> _Look:
    """One agent's best responses. Bids and values are taken times the agent's side, so that a seller is looked at as a buyer."""
    own = laws[agent]
    span = float(base[-1] - base[0])
    rivals = [law for k, law in enumerate(laws) if k != agent]
    # Where the distribution of a rival's bid jumps or bends, just below and just above it, and the middle between.
    special = np.unique(np.concatenate([own.knots, *[law.knots for law in rivals]]))
    if not all(law.atomless for law in rivals):
        special = np.concatenate([special, special - _STEP * span, special + _STEP * span, 0.5 * (special[1:] + special[:-1])])
    points = np.unique(np.concatenate([base, special[(special >= base[0]) & (special <= base[-1])]]))
    found = route.at(agent, points, laws)
    if isinstance(own, MixedStrategy):
        types = own.types
        on_grid = route.at(agent, own.bids, laws)
        table = side * types[:, None] * on_grid.share - on_grid.payment
        played = (own.probabilities * table).sum(axis=1)
        restricted = float((table.max(axis=1) - played).max())
    else:
        types = np.unique(np.concatenate([own.values, *(own.values[:-1] + s * np.diff(own.values) for s in (0.25, 0.5, 0.75))]))
        at = route.at(agent, own(types), laws)
        played = side * types * at.share - at.payment
        restricted = -np.inf
    error = found.error * (1.0 + float(np.abs(types).max()))
    best, bid = _best(side * types, points, found)
    gain = best - played
    bound: float | None = None
    for divided in range(refine + 1):
        upper, open_ = _upper(side * types, side, points, found, floor=best, limit=played + max(float(gain.max()), 0.0) + gap * span)
        if upper is None or error:
            break
        bound = float(np.max(upper - played))
        if not len(open_) or divided == refine or len(points) + 7 * len(open_) > 60_000:
            break
        new = (points[open_][:, None] + np.diff(points)[open_][:, None] * (np.arange(1, 8) / 8.0)).ravel()
        more = route.at(agent, new, laws)
        order = np.argsort(np.concatenate([points, new]), kind="stable")
        points = np.concatenate([points, new])[order]
        found = Interim(np.concatenate([found.share, more.share])[order], np.concatenate([found.payment, more.payment])[order], found.error)
        best, bid = _best(side * types, points, found)
        gain = best - played
    at_type = int(np.argmax(gain))
    epsilon = max(float(gain[at_type]), 0.0)
    return _Look(
        epsilon=epsilon,
        bound=None if bound is None or error else max(bound, epsilon),
        restricted=epsilon if restricted == -np.inf else max(restricted, 0.0),
        type=float(types[at_type]),
        bid=float(bid[at_type]),
        types=len(types),
        bids=len(points),
        error=error,
    )


def _best(
    values: Float64[FloatArray, "types"], points: Float64[FloatArray, "bids"], found: Interim
) -> tuple[Float64[FloatArray, "types"], Float64[FloatArray, "types"]]:
    """max_b v X(b) - T(b) and the bid, for each type."""
    out, bid = np.empty(len(values)), np.empty(len(values))
    chunk = max(1, _BLOCK // len(points))
    for start in range(0, len(values), chunk):
        table = np.outer(values[start : start + chunk], found.share) - found.payment
        place = table.argmax(axis=1)
        out[start : start + chunk] = table[np.arange(len(table)), place]
        bid[start : start + chunk] = points[place]
    return out, bid


def _upper(
    values: Float64[FloatArray, "types"],
    side: float,
    points: Float64[FloatArray, "bids"],
    found: Interim,
    *,
    floor: Float64[FloatArray, "types"],
    limit: Float64[FloatArray, "types"],
) -> tuple[Float64[FloatArray, "types"] | None, Int64[np.ndarray, "segments"]]:
    """For each type a bound on u over all segments between neighbouring points, and the segments where it passes the type's limit."""
    # In the reflected picture a seller's bids run from its highest ask to its lowest.
    flip = slice(None) if side > 0 else slice(None, None, -1)
    b, x, t = side * points[flip], found.share[flip], found.payment[flip]
    s = b * x - t
    slack = 1e-12 * (1.0 + float(np.abs(t).max()))
    rises, exceeds = bool(np.all(np.diff(t) >= -slack)), bool(np.all(np.diff(s) >= -slack))
    if bool(np.any(np.diff(x) < -slack)) or not (rises or exceeds):
        return None, np.zeros(0, dtype=np.int64)
    out, beyond = np.empty(len(values)), np.zeros(len(points) - 1, dtype=bool)
    chunk = max(1, _BLOCK // (2 * len(points)))
    for start in range(0, len(values), chunk):
        v = values[start : start + chunk, None]
        by_payment = np.maximum(v * x[1:], v * x[:-1]) - t[:-1] if rises else np.inf
        ahead = v - b[:-1]
        by_excess = np.where(ahead >= 0.0, ahead * x[1:], ahead * x[:-1]) + s[1:] if exceeds else np.inf
        table = np.minimum(by_payment, by_excess)
        out[start : start + chunk] = table.max(axis=1)
        beyond |= np.any(table > limit[start : start + chunk, None], axis=0)
    return np.maximum(out, floor), np.flatnonzero(beyond[flip])
