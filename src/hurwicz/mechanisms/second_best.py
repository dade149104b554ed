"""Myerson and Satterthwaite's second best: the most that one buyer and one seller can gain when nobody subsidises them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from jaxtyping import Float64, Int64

from hurwicz._foundation import InputError
from hurwicz.mechanisms._arguments import count, ends
from hurwicz.mechanisms.registry import Entry
from hurwicz.mechanisms.second_best_curves import Curve, Density, balanced, ironed, reach
from hurwicz.mechanisms.single_parameter import Bids, Payments, Shares, SingleParameterMechanism
from hurwicz.settings import Beliefs, Claim, Participants, Property, beliefs, participants
from hurwicz.typespaces import CorrelatedPrior, DensityPrior, FinitePrior, Prior, mirrored

_Types: TypeAlias = Float64[np.ndarray, " batch"]
_Place: TypeAlias = Int64[np.ndarray, " batch"]
_Nodes: TypeAlias = Float64[np.ndarray, " nodes"]
_Limits: TypeAlias = Float64[np.ndarray, " values"]
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
    discrete ones and the result is the linear program's; a finite prior and a density are joined without a grid for the finite one.

    Args:
        buyer: prior over v: finite, empirical, or with a density.
        seller: prior over c, likewise; the two need not be of one kind.
        cells: of each type space with a density: the error falls with their square, and in proportion to them where a
            :class:`~hurwicz.typespaces.Mixture` has atoms, which are spread over their cell.

    Raises:
        InputError: types that are no numbers, or a prior that is neither finite nor has a density.

    Example:
        >>> from hurwicz.typespaces import Interval, Uniform
        >>> uniform = Uniform(Interval(0.0, 1.0))
        >>> second = myerson_satterthwaite(uniform, uniform)
        >>> round(second.alpha, 5), round(second.gains, 6), round(second.first_best, 6)  # 1/3, 9/64, 1/6
        (0.33333, 0.140625, 0.166667)
        >>> from hurwicz.typespaces import Empirical
        >>> round(myerson_satterthwaite(Empirical([0.5]), uniform).gains, 6)  # a known value can be offered as the price
        0.125

    Source:
        R. Myerson and M. Satterthwaite, "Efficient mechanisms for bilateral trading", Journal of Economic Theory 29 (1983), Theorem 2.
    """
    cells = count("myerson_satterthwaite", "cells", cells, least=8)
    one, two = _numbers("buyer", buyer), _numbers("seller", seller)
    if isinstance(one, FinitePrior):
        return _finite(one, two) if isinstance(two, FinitePrior) else _atoms(one, two, cells)
    if isinstance(two, FinitePrior):
        # a seller of cost c is a buyer of value -c, and what the one pays the other gets
        values, costs = mirrored(two), mirrored(one)
        assert isinstance(values, FinitePrior)
        assert isinstance(costs, DensityPrior)
        turned = _atoms(values, costs, cells)

        def payment(values: _Types, costs: _Types) -> _Types:
            return np.asarray(-turned.payment(-costs, -values), dtype=np.float64)

        return replace(turned, trade=lambda values, costs: turned.trade(-costs, -values), payment=payment)
    return _smooth(one, two, cells)


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
        up = ironed((1.0 - alpha) * v + alpha * phi, f)
        down = ironed((1.0 - alpha) * c + alpha * psi, g)
        return np.asarray(up[:, None] >= down[None, :], dtype=np.float64)

    def budget(x: _Table) -> float:
        return float((weight * (phi[:, None] - psi[None, :]) * x).sum())

    alpha, low, high, mix = balanced(rule, budget)
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


def _atoms(buyer: FinitePrior, seller: DensityPrior, cells: int) -> SecondBest:
    # each value has a greatest cost that it trades with, which the inverse of the ironed virtual cost gives
    (v, f), two = _sorted(buyer), Density(seller, cells, -1.0)
    gap = np.diff(v, append=v[-1])
    phi = v - gap * (1.0 - np.cumsum(f)) / f
    below = np.asarray(seller.cdf(two.borders), dtype=np.float64)
    area = np.concatenate([[0.0], np.cumsum(0.5 * (below[1:] + below[:-1]) * np.diff(two.borders))])

    def rule(alpha: float) -> _Limits:
        c, down = two.virtual(alpha)
        up = ironed((1.0 - alpha) * v + alpha * phi, f)
        return np.asarray(np.where(up >= down[0], reach(up, c, down, two.low, two.high), -np.inf), dtype=np.float64)

    def chance(limits: _Limits) -> _Limits:
        return np.asarray(np.where(np.isfinite(limits), seller.cdf(np.maximum(limits, two.low)), 0.0), dtype=np.float64)

    def handed(limits: _Limits) -> _Limits:
        # E[what the seller is owed]: the limit itself, whenever it trades
        return np.asarray(np.where(np.isfinite(limits), limits, 0.0) * chance(limits), dtype=np.float64)

    def budget(limits: _Limits) -> float:
        return float(f @ (phi * chance(limits) - handed(limits)))

    def gains(limits: _Limits) -> float:
        spent = handed(limits) - np.where(np.isfinite(limits), np.interp(limits, two.borders, area), 0.0)
        return float(f @ (v * chance(limits) - spent))

    alpha, low, high, mix = balanced(rule, budget)
    rules = [(weight, limits) for weight, limits in ((1.0 - mix, low), (mix, high)) if weight > 0.0]
    bought = np.asarray(sum(w * chance(limits) for w, limits in rules), dtype=np.float64)
    pays = v * bought - np.concatenate([[0.0], np.cumsum(gap[:-1] * bought[:-1])])
    mean = float(sum(w * (f @ handed(limits)) for w, limits in rules))
    left = float(f @ pays) - mean

    def at(values: _Types) -> _Place:
        return np.asarray(np.abs(values[:, None] - v).argmin(axis=1), dtype=np.int64)

    def trade(values: _Types, costs: _Types) -> _Types:
        return np.asarray(sum(w * (costs <= limits[at(values)]) for w, limits in rules), dtype=np.float64)

    def gets(costs: _Types) -> _Types:
        owed = sum(w * (np.where(costs[:, None] <= limits, np.where(np.isfinite(limits), limits, 0.0), 0.0) @ f) for w, limits in rules)
        return np.asarray(owed, dtype=np.float64)

    def payment(values: _Types, costs: _Types) -> _Types:
        return np.asarray(pays[at(values)] + gets(costs) - mean - 0.5 * left, dtype=np.float64)

    total = sum(w * gains(limits) for w, limits in rules)
    return SecondBest(alpha, total, gains(rule(0.0)), trade, payment, left if alpha == 0.0 else 0.0)


def _smooth(buyer: DensityPrior, seller: DensityPrior, cells: int) -> SecondBest:
    one, two = Density(buyer, cells, 1.0), Density(seller, cells, -1.0)
    below = np.asarray(seller.cdf(two.borders), dtype=np.float64)
    area = np.concatenate([[0.0], np.cumsum(0.5 * (below[1:] + below[:-1]) * np.diff(two.borders))])

    def rule(alpha: float) -> Curve:
        return Curve(*one.virtual(alpha), *two.virtual(alpha), two.low, two.high)

    def parts(curve: Curve) -> tuple[_Nodes, _Nodes]:
        # for the middle of every cell of values: P(trade) and E[c 1(trade)]
        cost = curve.greatest_cost(one.middle)
        reach = np.clip(cost, two.low, two.high)
        chance = np.where(np.isfinite(cost), seller.cdf(reach), 0.0)
        return chance, np.where(np.isfinite(cost), reach * chance - np.interp(reach, two.borders, area), 0.0)

    def budget(curve: Curve) -> float:
        chance, _ = parts(curve)
        cost = curve.greatest_cost(one.middle)
        return float(one.mass @ (one.middle * chance + one.rent * chance * one.some - np.where(np.isfinite(cost), cost, 0.0) * chance))

    def gains(curve: Curve) -> float:
        chance, spent = parts(curve)
        return float(one.mass @ (one.middle * chance - spent))

    alpha, low, high, mix = balanced(rule, budget)
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


def _numbers(side: str, prior: Prior) -> FinitePrior | DensityPrior:
    # priors of one kind of two: a mass function, or a density
    ends(prior.space)  # refuses types that are not numbers
    if prior.space.size is not None:
        return prior if isinstance(prior, FinitePrior) else FinitePrior(*prior.quadrature(1))
    if not isinstance(prior, DensityPrior):
        raise InputError(
            f"myerson_satterthwaite: expected a finite prior or one with a density (pdf, cdf), got {type(prior).__name__} for the {side}; "
            "put it on a finite grid"
        )
    return prior


def _sorted(prior: FinitePrior) -> tuple[_Nodes, _Nodes]:
    ends(prior.space)  # refuses types that are not numbers
    values = np.asarray(prior.space.grid(0), dtype=np.float64)
    order = np.argsort(values)
    some = prior.probabilities[order] > 0.0
    return values[order][some], prior.probabilities[order][some]


ENTRIES: tuple[Entry, ...] = (Entry("second_best_trade", "trade", second_best_trade, most=2),)
