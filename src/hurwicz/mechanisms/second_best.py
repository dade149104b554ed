"""Myerson and Satterthwaite's second best: the most that one buyer and one seller can gain when nobody subsidises them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import numpy as np
from jaxtyping import Float64, Int64

from hurwicz._foundation import InputError
from hurwicz.mechanisms._arguments import ROUNDING, count, ends
from hurwicz.mechanisms.registry import Entry
from hurwicz.mechanisms.single_parameter import Bids, Payments, Shares, SingleParameterMechanism
from hurwicz.settings import Beliefs, Claim, Participants, Property, beliefs, participants
from hurwicz.typespaces import CorrelatedPrior, DensityPrior, FinitePrior, Prior

_HALVINGS = 100
_Rule = TypeVar("_Rule")
_Types: TypeAlias = Float64[np.ndarray, " batch"]
_Place: TypeAlias = Int64[np.ndarray, " batch"]
_Nodes: TypeAlias = Float64[np.ndarray, " nodes"]
_Table: TypeAlias = Float64[np.ndarray, "buyer seller"]


@dataclass(frozen=True)
class SecondBest:
    """The second best of a pair of priors.

    Attributes:
        alpha: weight of the information rents: trade iff v - alpha (1-F)/f >= c + alpha G/g (ironed); 0 where the first best will do.
        gains: expected gains from trade.
        first_best: E[max(v - c, 0)].
        trade: (values, costs) → probability that they trade.
        payment: (values, costs) → what the buyer pays and the seller gets.
        surplus: what would be left over if both held out for their rents alone; it is shared in halves. 0 wherever alpha > 0.
    """

    alpha: float
    gains: float
    first_best: float
    trade: Callable[[_Types, _Types], _Types]
    payment: Callable[[_Types, _Types], _Types]
    surplus: float


def myerson_satterthwaite(buyer: Prior, seller: Prior, *, cells: int = 2048) -> SecondBest:
    """The greatest expected gains from trade that are BIC, interim IR and balanced, with payments.

    maximise E[(v - c) x] subject to E[(phi_1(v) - psi_1(c)) x] >= 0 and monotone interim trade, where
    phi_a(v) = v - a (1 - F(v)) / f(v), psi_a(c) = c + a G(c) / g(c). The solution trades where the ironed phi_alpha(v) >= psi_alpha(c),
    with alpha found by bisection; where the constraint jumps at alpha, two rules are mixed. For finite priors, virtual values are the
    discrete ones and the result is the linear program's.

    Args:
        buyer: prior over v.
        seller: prior over c, finite if the buyer's is finite, else with a density.
        cells: of each type space, for densities: the error falls with their square.

    Raises:
        InputError: one prior finite and the other not, or one without a density.

    Example:
        >>> from hurwicz.typespaces import Interval, Uniform
        >>> uniform = Uniform(Interval(0.0, 1.0))
        >>> second = myerson_satterthwaite(uniform, uniform)
        >>> round(second.alpha, 5), round(second.gains, 6), round(second.first_best, 6)  # 1/3, 9/64, 1/6
        (0.33333, 0.140625, 0.166667)

    Source:
        R. Myerson and M. Satterthwaite, "Efficient mechanisms for bilateral trading", Journal of Economic Theory 29 (1983), Theorem 2.
    """
    if isinstance(buyer, FinitePrior) and isinstance(seller, FinitePrior):
        return _finite(buyer, seller)
    for side, prior in (("buyer", buyer), ("seller", seller)):
        if isinstance(prior, FinitePrior) or not isinstance(prior, DensityPrior):
            raise InputError(
                f"myerson_satterthwaite: expected two finite priors or two with a density (pdf, cdf), got {prior!r} for the {side}; "
                "put the other one on a finite grid"
            )
    assert isinstance(buyer, DensityPrior)
    assert isinstance(seller, DensityPrior)
    return _smooth(buyer, seller, count("myerson_satterthwaite", "cells", cells, least=8))


def second_best_trade(agents: Participants = 2, *, prior: Beliefs = None, cells: int = 2048) -> SingleParameterMechanism:
    """Myerson–Satterthwaite's second-best trade: balanced, interim IR and BIC, with the greatest gains that these allow.

    Trade iff the ironed v - alpha (1-F)/f >= c + alpha G/g; t_buyer = T(v) + R(c) - E R = -t_seller, with T and R the interim payments
    that the rents leave. For types uniform on [0, 1]: trade iff v - c >= 1/4, gains 9/64 of the 1/6 possible.

    Args:
        agents: 2, or the names of the buyer and of the seller.
        prior: independent priors of both; uniform on [0, 1] if omitted.
        cells: see :func:`myerson_satterthwaite`.

    Raises:
        InputError: another number of agents, or priors that :func:`myerson_satterthwaite` refuses.

    Example:
        >>> trade = second_best_trade(2)
        >>> [trade.outcome({"buyer 1": 0.6, "seller 1": c}).allocation["buyer 1"].item() for c in (0.34, 0.36)]
        [1.0, 0.0]

    Source:
        R. Myerson and M. Satterthwaite, Journal of Economic Theory 29 (1983), Theorems 1 and 2.
    """
    who = (("buyer 1", "seller 1") if agents == 2 else (f"trader {k + 1}" for k in range(agents))) if isinstance(agents, int) else agents
    names = participants(tuple(who), "trader", least=2)
    if len(names) != 2:
        raise InputError(f"second_best_trade: expected one buyer and one seller, got {len(names)} agents; for more, see mcafee")
    joint = beliefs(names, prior)
    if isinstance(joint, CorrelatedPrior):
        raise InputError("second_best_trade: expected independent types (one prior an agent), got a correlated prior")
    best = myerson_satterthwaite(joint.marginals[names[0]], joint.marginals[names[1]], cells=cells)

    def rule(bids: Bids) -> tuple[Shares, Payments]:
        traded, paid = best.trade(bids[:, 0], bids[:, 1]), best.payment(bids[:, 0], bids[:, 1])
        return np.stack([traded, traded], axis=1), np.stack([paid, -paid], axis=1)

    source = "Myerson and Satterthwaite 1983"
    short = best.alpha > 0.0
    return SingleParameterMechanism(
        name="second-best trade",
        rule=rule,
        prior=joint,
        sides=np.array([1.0, -1.0]),
        excess=lambda shares: np.asarray(np.maximum(shares[:, 0] - shares[:, 1], shares[:, 0] - 1.0), dtype=np.float64),
        efficient=lambda types: np.repeat((types[:, :1] >= types[:, 1:]).astype(np.float64), 2, axis=1),
        guarantees=(
            Claim(Property.BIC, True, "independent types", f"{source}, Theorem 2"),
            Claim(Property.INTERIM_IR, True, "", f"{source}, Theorem 2"),
            Claim(Property.EX_ANTE_IR, True, "", f"{source}, Theorem 2"),
            Claim(Property.STRONG_BUDGET_BALANCE, True, "", f"{source}, Theorem 1"),
            Claim(Property.EFFICIENCY, not short, "impossible where the supports overlap", f"{source}, Corollary 1"),
            *((Claim(Property.EX_POST_IR, False, "payments are interim payments", source),) if short else ()),
            *((Claim(Property.DSIC, False, "", source),) if short else ()),
        ),
        formula="trade iff v - alpha (1-F)/f >= c + alpha G/g (ironed); t = T(v) + R(c) - E R",
        source="R. Myerson and M. Satterthwaite, Journal of Economic Theory 29 (1983)",
    )


def _finite(buyer: FinitePrior, seller: FinitePrior) -> SecondBest:
    (v, f), (c, g) = _sorted(buyer), _sorted(seller)
    gap_v, gap_c = np.diff(v, append=v[-1]), np.diff(c, prepend=c[0])
    phi = v - gap_v * (1.0 - np.cumsum(f)) / f
    psi = c + gap_c * (np.cumsum(g) - g) / g
    weight = f[:, None] * g[None, :]

    def rule(alpha: float) -> _Table:
        up = _ironed((1.0 - alpha) * v + alpha * phi, f)
        down = _ironed((1.0 - alpha) * c + alpha * psi, g)
        return np.asarray(up[:, None] >= down[None, :], dtype=np.float64)

    def budget(x: _Table) -> float:
        return float((weight * (phi[:, None] - psi[None, :]) * x).sum())

    alpha, low, high, mix = _balanced(rule, budget)
    x = (1.0 - mix) * low + mix * high
    bought, sold = x @ g, f @ x
    pays = v * bought - np.concatenate([[0.0], np.cumsum(gap_v[:-1] * bought[:-1])])
    gets = c * sold + np.concatenate([np.cumsum((gap_c[1:] * sold[1:])[::-1])[::-1], [0.0]])
    left = float(f @ pays - g @ gets)
    pays, gets = pays - 0.5 * left, gets + 0.5 * left
    mean = float(g @ gets)

    def at(values: _Types, costs: _Types) -> tuple[_Place, _Place]:
        return np.abs(values[:, None] - v).argmin(axis=1), np.abs(costs[:, None] - c).argmin(axis=1)

    def trade(values: _Types, costs: _Types) -> _Types:
        return np.asarray(x[at(values, costs)], dtype=np.float64)

    def payment(values: _Types, costs: _Types) -> _Types:
        row, column = at(values, costs)
        return np.asarray(pays[row] + gets[column] - mean, dtype=np.float64)

    worth = weight * (v[:, None] - c[None, :])
    return SecondBest(alpha, float((worth * x).sum()), float(np.maximum(worth, 0.0).sum()), trade, payment, left)


class _Curve:
    """The greatest cost that trades with each value: c*(v), for v from ``start`` on."""

    def __init__(self, v: _Nodes, up: _Nodes, c: _Nodes, down: _Nodes, low: float, high: float) -> None:
        # down may have flats: the last cost of a flat trades, so search from the right and interpolate in the rising piece after it
        place = np.searchsorted(down, up, "right")
        before, after = np.clip(place - 1, 0, len(c) - 1), np.clip(place, 0, len(c) - 1)
        rise = down[after] - down[before]
        part = np.where(rise > 0.0, (up - down[before]) / np.where(rise > 0.0, rise, 1.0), 0.0)
        cost = np.clip(c[before] + part * (c[after] - c[before]), low, high)
        cost = np.where(place == len(c), high, cost)
        some = up >= down[0]
        first = int(np.argmax(some))
        self.start = float(v[first]) if some.any() else np.inf
        if some.any() and first > 0 and up[first] > up[first - 1]:
            self.start = float(v[first - 1] + (v[first] - v[first - 1]) * (down[0] - up[first - 1]) / (up[first] - up[first - 1]))
        self.values: _Nodes = np.concatenate([[self.start], v[first:]]) if self.start < v[first] else v[first:]
        self.costs: _Nodes = np.maximum.accumulate(np.concatenate([[low], cost[first:]]) if self.start < v[first] else cost[first:])

    def greatest_cost(self, values: Float64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
        return np.asarray(np.where(values >= self.start, np.interp(values, self.values, self.costs), -np.inf), dtype=np.float64)

    def least_value(self, costs: Float64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
        if not np.isfinite(self.start):
            return np.full(costs.shape, np.inf)
        place = np.searchsorted(self.costs, costs, "left")
        before, after = np.clip(place - 1, 0, None), np.clip(place, 0, len(self.costs) - 1)
        rise = self.costs[after] - self.costs[before]
        part = np.where(rise > 0.0, (costs - self.costs[before]) / np.where(rise > 0.0, rise, 1.0), 0.0)
        value = self.values[before] + part * (self.values[after] - self.values[before])
        return np.asarray(np.where(place == len(self.costs), np.inf, np.where(place == 0, self.start, value)), dtype=np.float64)


class _Density:
    """One side with a density on cells of one width: virtual values at their middles, distribution at their borders."""

    def __init__(self, prior: DensityPrior, cells: int, sign: float) -> None:
        self.low, self.high = ends(prior.space)
        self.prior = prior
        self.borders: _Nodes = np.linspace(self.low, self.high, cells + 1)
        self.middle: _Nodes = 0.5 * (self.borders[1:] + self.borders[:-1])
        mass = np.diff(np.asarray(prior.cdf(self.borders), dtype=np.float64))
        width = self.borders[1] - self.borders[0]
        self.mass: _Nodes = mass / mass.sum()
        self.some = mass > 1e-14
        rank = np.asarray(prior.cdf(self.middle), dtype=np.float64)
        tail = 1.0 - rank if sign > 0 else rank
        self.rent: _Nodes = -sign * tail / np.maximum(mass / width, 1e-14 / width)

    def virtual(self, alpha: float) -> tuple[_Nodes, _Nodes]:
        """Types that occur and their ironed virtual values, reaching both ends of the interval."""
        x = self.middle[self.some]
        value = _ironed(x + alpha * self.rent[self.some], self.mass[self.some])
        first = value[0] - (value[1] - value[0]) * (x[0] - self.low) / (x[1] - x[0])
        last = value[-1] + (value[-1] - value[-2]) * (self.high - x[-1]) / (x[-1] - x[-2])
        return np.concatenate([[self.low], x, [self.high]]), np.concatenate([[first], value, [last]])


def _smooth(buyer: DensityPrior, seller: DensityPrior, cells: int) -> SecondBest:
    one, two = _Density(buyer, cells, 1.0), _Density(seller, cells, -1.0)
    below = np.asarray(seller.cdf(two.borders), dtype=np.float64)
    area = np.concatenate([[0.0], np.cumsum(0.5 * (below[1:] + below[:-1]) * np.diff(two.borders))])

    def rule(alpha: float) -> _Curve:
        return _Curve(*one.virtual(alpha), *two.virtual(alpha), two.low, two.high)

    def parts(curve: _Curve) -> tuple[_Nodes, _Nodes]:
        # for the middle of every cell of values: P(trade) and E[c 1(trade)]
        cost = curve.greatest_cost(one.middle)
        reach = np.clip(cost, two.low, two.high)
        chance = np.where(np.isfinite(cost), seller.cdf(reach), 0.0)
        return chance, np.where(np.isfinite(cost), reach * chance - np.interp(reach, two.borders, area), 0.0)

    def budget(curve: _Curve) -> float:
        chance, _ = parts(curve)
        cost = curve.greatest_cost(one.middle)
        return float(one.mass @ (one.middle * chance + one.rent * chance * one.some - np.where(np.isfinite(cost), cost, 0.0) * chance))

    def gains(curve: _Curve) -> float:
        chance, spent = parts(curve)
        return float(one.mass @ (one.middle * chance - spent))

    alpha, low, high, mix = _balanced(rule, budget)
    curves = ((1.0 - mix, low), (mix, high)) if mix > 0.0 else ((1.0, low),)

    def bought(values: Float64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
        out = np.zeros(values.shape)
        for weight, curve in curves:
            cost = curve.greatest_cost(values)
            out += weight * np.where(np.isfinite(cost), seller.cdf(np.clip(cost, two.low, two.high)), 0.0)
        return out

    def sold(costs: Float64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
        out = np.zeros(costs.shape)
        for weight, curve in curves:
            value = curve.least_value(costs)
            out += weight * np.where(np.isfinite(value), 1.0 - buyer.cdf(np.clip(value, one.low, one.high)), 0.0)
        return out

    at_borders, at_costs = bought(one.borders), sold(two.borders)
    rent_v = np.concatenate([[0.0], np.cumsum(0.5 * (at_borders[1:] + at_borders[:-1]) * np.diff(one.borders))])
    stretch = 0.5 * (at_costs[1:] + at_costs[:-1]) * np.diff(two.borders)
    rent_c = np.concatenate([np.cumsum(stretch[::-1])[::-1], [0.0]])

    def pays(values: _Types) -> _Types:
        return np.asarray(values * bought(values) - np.interp(values, one.borders, rent_v), dtype=np.float64)

    def gets(costs: _Types) -> _Types:
        return np.asarray(costs * sold(costs) + np.interp(costs, two.borders, rent_c), dtype=np.float64)

    mean_pays, mean_gets = float(one.mass @ pays(one.middle)), float(two.mass @ gets(two.middle))
    left = mean_pays - mean_gets

    def trade(values: _Types, costs: _Types) -> _Types:
        return np.asarray(sum(w * (costs <= curve.greatest_cost(values)) for w, curve in curves), dtype=np.float64)

    def payment(values: _Types, costs: _Types) -> _Types:
        return np.asarray(pays(values) + gets(costs) - mean_gets - 0.5 * left, dtype=np.float64)

    first = gains(rule(0.0))
    return SecondBest(alpha, sum(w * gains(curve) for w, curve in curves), first, trade, payment, left if alpha == 0.0 else 0.0)


def _balanced(rule: Callable[[float], _Rule], budget: Callable[[_Rule], float]) -> tuple[float, _Rule, _Rule, float]:
    # the least alpha whose rule needs no subsidy, the rules just below and at it, and the mixture of them that balances
    low = rule(0.0)
    if budget(low) >= -ROUNDING:
        return 0.0, low, low, 0.0
    left, right, high = 0.0, 1.0, rule(1.0)
    for _ in range(_HALVINGS):
        middle = 0.5 * (left + right)
        if not left < middle < right:
            break
        found = rule(middle)
        if budget(found) < 0.0:
            left, low = middle, found
        else:
            right, high = middle, found
    short, over = budget(low), budget(high)
    return right, low, high, 1.0 if over <= short else min(1.0, -short / (over - short))


def _sorted(prior: FinitePrior) -> tuple[_Nodes, _Nodes]:
    ends(prior.space)  # refuses types that are not numbers
    values = np.asarray(prior.space.grid(0), dtype=np.float64)
    order = np.argsort(values)
    some = prior.probabilities[order] > 0.0
    return values[order][some], prior.probabilities[order][some]


def _ironed(values: _Nodes, weights: _Nodes) -> _Nodes:
    # the nearest nondecreasing function, in the norm of the prior: constant where the virtual value falls
    if bool(np.all(np.diff(values) >= 0.0)):
        return values
    from scipy.optimize import isotonic_regression

    return np.asarray(isotonic_regression(values, weights=weights).x, dtype=np.float64)


ENTRIES: tuple[Entry, ...] = (Entry("second_best_trade", "trade", second_best_trade, most=2),)
