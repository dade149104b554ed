"""The auction of greatest expected revenue, for any independent priors, and the procurement of least expected cost."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import InputError
from hurwicz.mechanisms._arguments import number, resizer, ties_of
from hurwicz.mechanisms.ironing import Law, VirtualValues, virtual_costs, virtual_values
from hurwicz.mechanisms.procurement import job_value
from hurwicz.mechanisms.ranking import admitted, best_rival, shares_of_one, shuts_out
from hurwicz.mechanisms.registry import Entry
from hurwicz.mechanisms.single_parameter import Bids, Payments, Rule, Shares, SingleParameterMechanism
from hurwicz.settings import Beliefs, Claim, JointPrior, Participants, PaymentIdentity, Property, beliefs, participants, strategyproof
from hurwicz.typespaces import ProductPrior

_MYERSON = "R. Myerson, Optimal auction design, Mathematics of Operations Research 6 (1981)"


def optimal_auction(
    agents: Participants = 2, *, prior: Beliefs = None, own_value: float = 0.0, ties: str = "lottery"
) -> SingleParameterMechanism:
    """Myerson's optimal auction: the highest ironed virtual value wins if it covers the seller's own, and pays its critical value.

    phi_i(v) = v - (1 - F_i(v)) / f_i(v), ironed;  x_i = 1 if phi_i(b_i) > max_j phi_j(b_j) and phi_i(b_i) >= v_0;
    t_i = b_i x_i(b) - ∫_0^b_i x_i(z, b_-i) dz

    Args:
        agents: how many bidders, or their names.
        prior: over values, independent: densities, finite, empirical, mixtures; each agent its own if wanted; uniform on [0, 1] if omitted.
        own_value: v_0, what the item is worth to the seller.
        ties: of virtual values: ``"lottery"`` (equal shares in expectation) or ``"order"`` (the first of the equals).

    Raises:
        InputError: correlated beliefs, types that are no numbers, an own value below 0, an unknown way with ties.

    Example:
        >>> auction = optimal_auction(["ann", "bob"])
        >>> auction.outcome({"ann": 0.4, "bob": 0.7}).payments["bob"], round(optimal_revenue(auction.prior), 9)
        (0.5, 0.416666667)

    Source:
        R. Myerson (1981), sections 4 to 6.
    """
    names = participants(agents)
    common = beliefs(names, prior)
    own = number("optimal_auction", "own_value", own_value)
    curves = ironed_curves("optimal_auction", common, cost=False)
    reserves = np.asarray([curve.reserve(own) for curve in curves])
    claims = [
        *strategyproof(_MYERSON),
        Claim(Property.EX_POST_IR, True, "", _MYERSON),
        Claim(Property.MONOTONICITY, True, "ironed virtual values never fall", f"{_MYERSON}, Lemma 2"),
        Claim(Property.WEAK_BUDGET_BALANCE, True, "values >= 0", "nobody is ever paid"),
        Claim("optimal_revenue", True, "among BIC and interim IR mechanisms, these beliefs, risk-neutral agents", f"{_MYERSON}, section 6"),
    ]
    if own > 0.0:
        claims.append(Claim(Property.PLANNER_IR, True, "a critical value is at least its virtual value, which covers v_0", _MYERSON))
    if own == 0.0 and len({id(curve) for curve in curves}) == 1 and shuts_out(common, reserves):
        claims.append(Claim(Property.EFFICIENCY, False, "values below the reserve", _MYERSON))
    nothing = np.full(len(names), own)
    return SingleParameterMechanism(
        name="optimal auction",
        rule=_critical_rule(curves, own, 1.0, ties_of("optimal_auction", ties)),
        prior=common,
        sides=np.ones(len(names)),
        cost=None if own == 0.0 else lambda shares: own * shares.sum(axis=1),
        excess=lambda shares: shares.sum(axis=1) - 1.0,
        efficient=lambda types: shares_of_one(admitted(types, nothing), "lottery"),
        guarantees=tuple(claims),
        formula="x_i = 1 if the ironed v - (1 - F_i) / f_i is highest and >= v_0; t_i = critical value",
        source=_MYERSON,
        resized=resizer(optimal_auction, prior, own_value=own_value, ties=ties),
        form=PaymentIdentity(),
        revenue_bound=best_revenue,
    )


def optimal_procurement(
    agents: Participants = 2, *, prior: Beliefs = None, value: float | None = None, ties: str = "lottery"
) -> SingleParameterMechanism:
    """Optimal procurement: the lowest ironed virtual cost gets the job if the buyer's value covers it, and is paid its critical cost.

    psi_i(c) = c + F_i(c) / f_i(c), ironed;  x_i = 1 if psi_i(b_i) < min_j psi_j(b_j) and psi_i(b_i) <= w;
    -t_i = b_i x_i(b) + ∫_b_i x_i(z, b_-i) dz

    Args:
        agents: how many sellers, or their names.
        prior: over costs, independent; each agent its own if wanted; uniform on [0, 1] if omitted.
        value: w, what the job is worth to the buyer; the highest cost there may be if omitted.
        ties: of virtual costs: ``"lottery"`` (equal shares in expectation) or ``"order"`` (the first of the equals).

    Raises:
        InputError: correlated beliefs, types that are no numbers, a value below 0, an unknown way with ties.

    Example:
        >>> tender = optimal_procurement(["ann", "bob"], value=1.0)
        >>> tender.outcome({"ann": 0.3, "bob": 0.7}).payments["ann"]  # bob's cost is above the reserve
        -0.5

    Source:
        R. Myerson (1981), for costs.
    """
    names = participants(agents, "seller")
    common = beliefs(names, prior)
    worth = job_value("optimal_procurement", common, value)
    claims = [
        *strategyproof(_MYERSON),
        Claim(Property.EX_POST_IR, True, "", _MYERSON),
        Claim(Property.MONOTONICITY, True, "ironed virtual values never fall", f"{_MYERSON}, Lemma 2"),
        Claim(Property.WEAK_BUDGET_BALANCE, False, "the buyer pays", _MYERSON),
        Claim(Property.PLANNER_IR, True, "a critical cost is at most its virtual cost, which the job's value covers", _MYERSON),
        Claim("optimal_revenue", True, "least expected cost to the buyer among BIC and interim IR mechanisms", f"{_MYERSON}, section 6"),
    ]
    limits = np.full(len(names), -worth)
    return SingleParameterMechanism(
        name="optimal procurement",
        rule=_critical_rule(ironed_curves("optimal_procurement", common, cost=True), worth, -1.0, ties_of("optimal_procurement", ties)),
        prior=common,
        sides=-np.ones(len(names)),
        cost=lambda shares: -worth * shares.sum(axis=1),
        excess=lambda shares: shares.sum(axis=1) - 1.0,
        efficient=lambda costs: shares_of_one(admitted(-costs, limits), "lottery"),
        guarantees=tuple(claims),
        formula="x_i = 1 if the ironed c + F_i / f_i is lowest and <= w; -t_i = critical cost",
        source=_MYERSON,
        resized=resizer(optimal_procurement, prior, value=value, ties=ties),
        form=PaymentIdentity(paying=False),
    )


def optimal_revenue(prior: ProductPrior, *, own_value: float = 0.0) -> float:
    """The greatest expected gain of a seller of one item: E max(0, max_i phi_i(v_i) - v_0), by quadrature.

    With G_i the distribution of the ironed virtual value, this is ∫_{v_0}^∞ 1 - prod_i G_i(y) dy: one integral, however many agents.

    Args:
        prior: independent, over values.
        own_value: v_0, what the item is worth to the seller.

    Raises:
        InputError: types that are no numbers.

    Example:
        >>> from hurwicz.typespaces import Interval, Uniform
        >>> five = ProductPrior({str(i): Uniform(Interval(0.0, float(i))) for i in range(1, 6)})
        >>> abs(optimal_revenue(five) - 58819 / 25600) < 1e-12
        True

    Source:
        R. Myerson (1981), section 6.
    """
    return _gain(prior, own_value, cost=False)


def best_revenue(prior: JointPrior) -> float | None:
    """The greatest expected revenue from one item, Myerson's; None where types depend on one another.

    Example:
        >>> round(best_revenue(beliefs(["ann", "bob"], None)), 9)
        0.416666667

    Source:
        R. Myerson, "Optimal auction design", Mathematics of Operations Research 6 (1981), section 6.
    """
    return optimal_revenue(prior) if isinstance(prior, ProductPrior) else None


def optimal_procurement_gain(prior: ProductPrior, *, value: float) -> float:
    """The greatest expected gain of a buyer of one job: E max(0, w - min_i psi_i(c_i)), by quadrature.

    Args:
        prior: independent, over costs.
        value: w, what the job is worth to the buyer.

    Raises:
        InputError: types that are no numbers.

    Example:
        >>> from hurwicz.typespaces import Interval, Uniform
        >>> unit = Uniform(Interval(0.0, 1.0))
        >>> round(optimal_procurement_gain(ProductPrior({"a": unit, "b": unit}), value=1.0), 9)  # 5/12, as when selling
        0.416666667

    Source:
        R. Myerson (1981), section 6, for costs.
    """
    return _gain(prior, -value, cost=True)


def ironed_curves(mechanism: str, prior: JointPrior, *, cost: bool) -> tuple[VirtualValues, ...]:
    """Ironed virtual values (costs) of every agent, one object for agents who share a prior.

    Raises:
        InputError: types that are not independent, or no numbers.
    """
    if not isinstance(prior, ProductPrior):
        raise InputError(f"{mechanism}: expected independent types (a ProductPrior), got {type(prior).__name__}: virtual values need them")
    made: dict[int, VirtualValues] = {}
    for marginal in prior.marginals.values():
        if id(marginal) not in made:
            made[id(marginal)] = virtual_costs(marginal) if cost else virtual_values(marginal)
    return tuple(made[id(marginal)] for marginal in prior.marginals.values())


def _critical_rule(curves: tuple[VirtualValues, ...], own: float, side: float, ties: str) -> Rule:
    """Highest ``side`` times virtual type wins if it is at least ``side`` times ``own``; payments b x(b) - ∫ x come from the curves."""
    floor = side * own
    floors = np.full(len(curves), floor)

    def rule(bids: Bids) -> tuple[Shares, Payments]:
        given = admitted(bids, np.full(len(curves), -np.inf))
        scores = admitted(np.stack([side * curve(given[:, i]) for i, curve in enumerate(curves)], axis=1), floors)
        shares, rivals = shares_of_one(scores, ties), best_rival(scores)
        to_beat = np.maximum(rivals, floor)
        payments = np.zeros(bids.shape)
        for i, curve in enumerate(curves):
            rows = np.flatnonzero(shares[:, i] > 0.0)
            rival, height = rivals[rows, i], to_beat[rows, i]
            # with a rival at that level the share is s from the first type that reaches it, and 1 from the first that exceeds it
            meets = scores[rows] == rival[:, None]
            meets[:, i] = False
            share = 1.0 / (1.0 + meets.sum(axis=1)) if ties == "lottery" else 1.0 - meets[:, :i].any(axis=1)
            share = np.where(np.isfinite(rival), share, 1.0)
            reach = side * curve.critical(side * height)
            rest = (scores[rows, i] > rival) & (share < 1.0)
            payments[rows, i] = share * reach
            payments[rows[rest], i] += (1.0 - share[rest]) * side * curve.critical(side * height[rest], strict=True)
        return shares, payments

    return rule


def _gain(prior: ProductPrior, own: float, *, cost: bool) -> float:
    curves = ironed_curves("optimal revenue", prior, cost=cost)
    side = -1.0 if cost else 1.0
    laws = [Law(marginal, mirrored=cost) for marginal in prior.marginals.values()]
    levels = np.unique(np.concatenate([[own], *(curve.levels[curve.levels > own] for curve in curves)]))
    if len(levels) < 2:
        return 0.0
    nodes, weights = np.polynomial.legendre.leggauss(6)
    half = 0.5 * np.diff(levels)[:, None]
    heights = levels[:-1, None] + half * (nodes + 1.0)
    nobody = np.ones(heights.shape)
    seen: dict[int, Float64[np.ndarray, "cells nodes"]] = {}
    for curve, law in zip(curves, laws, strict=True):
        if id(curve) not in seen:
            seen[id(curve)] = 1.0 - law.at_least(side * curve.critical(side * heights, strict=True))
        nobody = nobody * seen[id(curve)]
    return float(np.sum(half * weights * (1.0 - nobody)))


ENTRIES: tuple[Entry, ...] = (
    Entry("optimal_auction", "single item", optimal_auction, 1),
    Entry("optimal_procurement", "single item", optimal_procurement, 1),
)
