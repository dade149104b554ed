"""Posted prices: offers taken or left one agent after another, to buyers of an item or sellers of a job."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float64

from hurwicz._foundation import InputError
from hurwicz.mechanisms._arguments import ends, number, resizer
from hurwicz.mechanisms.ironing import Law
from hurwicz.mechanisms.optimal import best_revenue, ironed_curves
from hurwicz.mechanisms.procurement import job_value
from hurwicz.mechanisms.ranking import admitted, shares_of_one, shuts_out
from hurwicz.mechanisms.registry import Entry
from hurwicz.mechanisms.single_parameter import Bids, Payments, Shares, SingleParameterMechanism
from hurwicz.settings import Beliefs, Claim, JointPrior, Participants, PaymentIdentity, Property, beliefs, participants, strategyproof
from hurwicz.typespaces import ProductPrior

_SOURCE = "S. Chawla, J. Hartline, D. Malec and B. Sivan, Multi-parameter mechanism design and sequential posted pricing, STOC 2010"


def posted_price(
    agents: Participants = 2, *, prior: Beliefs = None, price: float | Mapping[str, float] | None = None
) -> SingleParameterMechanism:
    """Sequential posted prices: the item is offered to one bidder after another, and the first who is worth its price has it.

    x_i = 1 if b_i >= p_i and b_j < p_j for all j before i,  t_i = x_i p_i

    Args:
        agents: how many bidders, or their names, in the order of the offers.
        prior: over values; uniform on [0, 1] if omitted.
        price: one for all or one an agent; those of the greatest expected revenue in this order if omitted.

    Raises:
        InputError: a price below 0, prices for others than the bidders, no price and beliefs that are not independent.

    Example:
        >>> offers = posted_price(["ann", "bob"], price={"ann": 0.625, "bob": 0.5})
        >>> offers.outcome({"ann": 0.6, "bob": 0.7}).payments
        {'ann': 0.0, 'bob': 0.5}

    Source:
        S. Chawla, J. Hartline, D. Malec and B. Sivan (2010).
    """
    names = participants(agents)
    common = beliefs(names, prior)
    if price is None:
        best, _ = optimal_posted_prices(_independent("posted_price", common))
        prices = np.asarray([best[name] for name in names])
    else:
        prices = _prices("posted_price", price, names)

    def rule(bids: Bids) -> tuple[Shares, Payments]:
        shares = _first(np.isfinite(admitted(bids, prices)))
        return shares, shares * prices

    nothing = np.zeros(len(names))
    claims = [
        *strategyproof(_SOURCE, "the price does not depend on the report"),
        Claim(Property.EX_POST_IR, True, "", _SOURCE),
        Claim(Property.WEAK_BUDGET_BALANCE, True, "prices >= 0", _SOURCE),
    ]
    if all(0.0 < price <= ends(space)[1] for price, space in zip(prices, common.spaces.values(), strict=True)):
        claims.append(Claim(Property.STRONG_BUDGET_BALANCE, False, "the seller keeps the revenue", _SOURCE))
    lost = _out_of_order(common, prices) or (len(names) == 1 and shuts_out(common, prices))
    if lost or len(names) == 1:
        claims.append(Claim(Property.EFFICIENCY, not lost, "who comes first need not be worth most" if lost else "one bidder", _SOURCE))
    return SingleParameterMechanism(
        name="posted price",
        rule=rule,
        prior=common,
        sides=np.ones(len(names)),
        excess=lambda shares: shares.sum(axis=1) - 1.0,
        efficient=lambda types: shares_of_one(admitted(types, nothing), "lottery"),
        guarantees=tuple(claims),
        formula=f"x_i = 1 if b_i >= p_i and nobody before took it; t_i = x_i p_i; p = {np.round(prices, 6).tolist()}",
        source=_SOURCE,
        resized=None if isinstance(price, Mapping) else resizer(posted_price, prior, price=price),
        form=PaymentIdentity(),
        revenue_bound=best_revenue,
    )


def posted_price_procurement(
    agents: Participants = 2, *, prior: Beliefs = None, value: float | None = None, price: float | Mapping[str, float] | None = None
) -> SingleParameterMechanism:
    """Sequential posted prices for a job: it is offered to one seller after another, and the first whom its price covers does it.

    x_i = 1 if b_i <= p_i and b_j > p_j for all j before i,  -t_i = x_i p_i

    Args:
        agents: how many sellers, or their names, in the order of the offers.
        prior: over costs; uniform on [0, 1] if omitted.
        value: what the job is worth to the buyer; the highest cost there may be if omitted.
        price: one for all or one an agent; those of the greatest expected gain to the buyer in this order if omitted.

    Raises:
        InputError: a price below 0, prices for others than the sellers, no price and beliefs that are not independent.

    Example:
        >>> offers = posted_price_procurement(["ann", "bob"], price={"ann": 0.375, "bob": 0.5})
        >>> offers.outcome({"ann": 0.4, "bob": 0.3}).payments
        {'ann': 0.0, 'bob': -0.5}

    Source:
        S. Chawla, J. Hartline, D. Malec and B. Sivan (2010), for costs.
    """
    names = participants(agents, "seller")
    common = beliefs(names, prior)
    worth = job_value("posted_price_procurement", common, value)
    if price is None:
        best, _ = optimal_posted_prices(_independent("posted_price_procurement", common), job_value=worth)
        prices = np.asarray([best[name] for name in names])
    else:
        prices = _prices("posted_price_procurement", price, names)

    def rule(asks: Bids) -> tuple[Shares, Payments]:
        shares = _first(np.isfinite(admitted(-asks, -prices)))
        return shares, 0.0 - shares * prices

    limits = np.full(len(names), -worth)
    claims = [
        *strategyproof(_SOURCE, "the price does not depend on the report"),
        Claim(Property.EX_POST_IR, True, "", _SOURCE),
    ]
    if all(price > 0.0 and ends(space)[0] <= price for price, space in zip(prices, common.spaces.values(), strict=True)):
        claims.append(Claim(Property.WEAK_BUDGET_BALANCE, False, "the buyer pays", _SOURCE))
    if bool(np.all(prices <= worth)):
        claims.append(Claim(Property.PLANNER_IR, True, "prices at most the value of the job", _SOURCE))
    return SingleParameterMechanism(
        name="posted price procurement",
        rule=rule,
        prior=common,
        sides=-np.ones(len(names)),
        cost=lambda shares: -worth * shares.sum(axis=1),
        excess=lambda shares: shares.sum(axis=1) - 1.0,
        efficient=lambda costs: shares_of_one(admitted(-costs, limits), "lottery"),
        guarantees=tuple(claims),
        formula=f"x_i = 1 if b_i <= p_i and nobody before took it; -t_i = x_i p_i; p = {np.round(prices, 6).tolist()}",
        source=_SOURCE,
        resized=None if isinstance(price, Mapping) else resizer(posted_price_procurement, prior, value=value, price=price),
        form=PaymentIdentity(paying=False),
    )


def optimal_posted_prices(prior: ProductPrior, *, own_value: float = 0.0, job_value: float | None = None) -> tuple[dict[str, float], float]:
    """Prices of the greatest expected gain when agents are asked in this order, and that gain.

    Backwards, W being what the item is worth unsold to i:  p_i maximises (p - W) P(v_i >= p),  W <- W + (p_i - W) P(v_i >= p_i)

    Args:
        prior: independent, over values; over costs where ``job_value`` is given.
        own_value: what the item is worth to a seller who keeps it.
        job_value: what the job is worth to a buyer: then these are prices that it offers to sellers.

    Raises:
        InputError: types that are no numbers.

    Returns:
        Agent name → price, and the expected gain over keeping the item (leaving the job undone).

    Example:
        >>> from hurwicz.typespaces import Interval, Uniform
        >>> unit = Uniform(Interval(0.0, 1.0))
        >>> optimal_posted_prices(ProductPrior({"ann": unit, "bob": unit}))
        ({'ann': 0.625, 'bob': 0.5}, 0.390625)

    Source:
        Backward induction over the order of offers; p_i is the reserve against an own value of W (R. Myerson 1981).
    """
    side = 1.0 if job_value is None else -1.0
    keep = own_value if job_value is None else -job_value
    prices: dict[str, float] = {}
    worth = keep
    curves = ironed_curves("optimal_posted_prices", prior, cost=side < 0.0)
    for (name, marginal), curve in zip(reversed(prior.marginals.items()), reversed(curves), strict=True):
        offer = side * curve.reserve(side * worth)  # for costs everything is mirrored
        if np.isfinite(offer):
            taken = float(Law(marginal, mirrored=side < 0.0).at_least(np.asarray([offer]))[0])
            worth += (offer - worth) * taken
            prices[name] = side * offer
        else:  # nobody is worth more than going on: an offer that nobody takes
            low, high = ends(marginal.space)
            prices[name] = high + 1.0 if side > 0.0 else max(0.0, low - 1.0)
    return {name: prices[name] for name in prior.marginals}, worth - keep


def _first(accepts: Bool[np.ndarray, "batch agents"]) -> Shares:
    """1 for the first in each row who accepts."""
    return np.asarray(accepts & (np.cumsum(accepts, axis=1) == 1), dtype=np.float64)


def _independent(mechanism: str, prior: JointPrior) -> ProductPrior:
    if not isinstance(prior, ProductPrior):
        raise InputError(
            f"{mechanism}: expected price= where types are not independent: the best prices are worked out for independent ones"
        )
    return prior


def _prices(mechanism: str, price: float | Mapping[str, float], names: tuple[str, ...]) -> Float64[np.ndarray, " agents"]:
    if isinstance(price, Mapping):
        if set(price) != set(names):
            raise InputError(f"{mechanism}: expected a price for each of {list(names)}, got {dict(price)}")
        return np.asarray([number(mechanism, "price", price[name]) for name in names])
    return np.full(len(names), number(mechanism, "price", price))


def _out_of_order(prior: JointPrior, prices: Float64[np.ndarray, " agents"]) -> bool:
    """Whether an agent may take the item that one after it is worth more than."""
    spans = [ends(space) for space in prior.spaces.values()]
    least_taken = [max(low, price) for (low, _), price in zip(spans, prices, strict=True)]
    return any(least_taken[i] <= spans[i][1] and least_taken[i] < spans[j][1] for i in range(len(spans)) for j in range(i + 1, len(spans)))


ENTRIES: tuple[Entry, ...] = (
    Entry("posted_price", "single item", posted_price, 1),
    Entry("posted_price_procurement", "single item", posted_price_procurement, 1),
)
