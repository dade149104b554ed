"""Auctions of several units to bidders with decreasing marginal values: Vickrey, uniform price, discriminatory."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float64

from hurwicz._foundation import InputError, NotFiniteError
from hurwicz.mechanisms._arguments import count, number, resizer, ties_of
from hurwicz.mechanisms.multi_parameter import Allocation, MultiParameterMechanism, PaymentsOf, Reports
from hurwicz.mechanisms.registry import Entry
from hurwicz.settings import Beliefs, Claim, JointPrior, Participants, Property, beliefs, participants, strategyproof
from hurwicz.typespaces import DecreasingMarginals, Interval, SortedDraws, TypeSpace, Uniform

MarginalBids: TypeAlias = Float64[np.ndarray, "batch agents demand"]
Won: TypeAlias = Float64[np.ndarray, "batch agents demand"]
Paid: TypeAlias = Float64[np.ndarray, "batch agents"]
_Charge = Callable[[MarginalBids, Won, int, float], Paid]

_KRISHNA = "V. Krishna, Auction Theory, 2nd ed. (2010), chapters 12 and 13"
_VICKREY = "W. Vickrey, Counterspeculation, auctions, and competitive sealed tenders, Journal of Finance 16 (1961)"
_REDUCTION = "L. Ausubel et al., Demand reduction and inefficiency in multi-unit auctions, Review of Economic Studies 81 (2014)"
_MOST_ORDERS = 720


def multi_unit_vickrey(
    agents: Participants = 2, *, prior: Beliefs = None, units: int = 2, demand: int = 2, reserve: float = 0.0, ties: str = "order"
) -> MultiParameterMechanism:
    """Multi-unit Vickrey auction: who wins m units pays the m highest bids of the others that it displaced.

    The k highest marginal bids win;  t_i = sum_{l = k - m_i + 1}^k max(r, c_l),  c_l the l-th highest bid of the others

    Args:
        agents: how many bidders, or their names.
        prior: over marginal values theta_1 >= ... >= theta_d; sorted draws of U[0, 1] if omitted.
        units: k.
        demand: d, units that a bidder values; not used where a prior is given.
        reserve: least bid that is admitted for a unit.
        ties: ``"order"`` (the first of the equals) or ``"lottery"`` (each order of the bidders equally likely).

    Raises:
        InputError: no units, values that may increase, a reserve below 0, a lottery among more than six bidders.

    Example:
        >>> auction = multi_unit_vickrey(["ann", "bob"])
        >>> auction.outcome({"ann": [0.9, 0.7], "bob": [0.6, 0.1]}).payments["ann"]  # without her, bob had both
        0.7

    Source:
        W. Vickrey (1961), part II; V. Krishna, Auction Theory, section 12.3.
    """
    claims = [
        *strategyproof(_VICKREY, "decreasing marginal values"),
        Claim(Property.EX_POST_IR, True, "", _VICKREY),
        Claim(Property.STRONG_BUDGET_BALANCE, False, "the seller keeps the revenue", _VICKREY),
    ]
    return _multi_demand(
        "multi-unit Vickrey", agents, prior, units, demand, reserve, ties, _externality, claims, multi_unit_vickrey
    ).in_groves_form(worth=-float(reserve), pivot="Clarke")


def multi_unit_uniform_price(
    agents: Participants = 2, *, prior: Beliefs = None, units: int = 2, demand: int = 2, reserve: float = 0.0, ties: str = "order"
) -> MultiParameterMechanism:
    """Uniform-price auction for decreasing marginal values: every unit at the highest rejected bid.

    The k highest marginal bids win;  t_i = m_i max(r, the (k+1)-th highest bid)

    A bid for a later unit may set the price of the earlier ones: bidders gain by asking for less (demand reduction).

    Args:
        agents: how many bidders, or their names.
        prior: over marginal values theta_1 >= ... >= theta_d; sorted draws of U[0, 1] if omitted.
        units: k.
        demand: d, units that a bidder values; not used where a prior is given.
        reserve: least bid that is admitted for a unit.
        ties: ``"order"`` (the first of the equals) or ``"lottery"`` (each order of the bidders equally likely).

    Raises:
        InputError: no units, values that may increase, a reserve below 0, a lottery among more than six bidders.

    Example:
        >>> auction = multi_unit_uniform_price(["ann", "bob"])
        >>> truthful = auction.outcome({"ann": [0.9, 0.7], "bob": [0.6, 0.1]})
        >>> reduced = auction.outcome({"ann": [0.9, 0.0], "bob": [0.6, 0.1]})
        >>> true = [0.9, 0.7]
        >>> [round(auction.value("ann", o, true) - o.payments["ann"], 6) for o in (truthful, reduced)]
        [0.4, 0.8]

    Source:
        V. Krishna, Auction Theory, section 13.4; L. Ausubel et al. (2014).
    """
    claims = [
        Claim(Property.DSIC, False, "demand reduction: a later unit's bid sets the price of the first", _REDUCTION),
        Claim(Property.BIC, False, "demand reduction pays also in expectation", _REDUCTION),
        Claim(Property.EX_POST_IR, True, "at truthful bids", _KRISHNA),
        Claim(Property.STRONG_BUDGET_BALANCE, False, "the seller keeps the revenue", _KRISHNA),
    ]
    return _multi_demand(
        "multi-unit uniform price", agents, prior, units, demand, reserve, ties, _one_price, claims, multi_unit_uniform_price
    )


def multi_unit_discriminatory(
    agents: Participants = 2, *, prior: Beliefs = None, units: int = 2, demand: int = 2, reserve: float = 0.0, ties: str = "order"
) -> MultiParameterMechanism:
    """Discriminatory (pay-as-bid) auction for decreasing marginal values: every unit at the bid that won it.

    The k highest marginal bids win;  t_i = the sum of i's winning bids

    Args:
        agents: how many bidders, or their names.
        prior: over marginal values theta_1 >= ... >= theta_d; sorted draws of U[0, 1] if omitted.
        units: k.
        demand: d, units that a bidder values; not used where a prior is given.
        reserve: least bid that is admitted for a unit.
        ties: ``"order"`` (the first of the equals) or ``"lottery"`` (each order of the bidders equally likely).

    Raises:
        InputError: no units, values that may increase, a reserve below 0, a lottery among more than six bidders.

    Example:
        >>> auction = multi_unit_discriminatory(["ann", "bob"])
        >>> round(auction.outcome({"ann": [0.9, 0.7], "bob": [0.6, 0.1]}).payments["ann"], 6)
        1.6

    Source:
        V. Krishna, Auction Theory, section 13.5.
    """
    claims = [
        Claim(Property.DSIC, False, "a winner gains by bidding less", _KRISHNA),
        Claim(Property.BIC, False, "shading pays also in expectation", _KRISHNA),
        Claim(Property.EX_POST_IR, True, "at truthful bids", _KRISHNA),
        Claim(Property.STRONG_BUDGET_BALANCE, False, "the seller keeps the revenue", _KRISHNA),
    ]
    return _multi_demand(
        "multi-unit discriminatory", agents, prior, units, demand, reserve, ties, _as_bid, claims, multi_unit_discriminatory
    )


def _as_bid(bids: MarginalBids, won: Won, units: int, floor: float) -> Paid:
    del units, floor
    return np.asarray((bids * won).sum(axis=2))


def _one_price(bids: MarginalBids, won: Won, units: int, floor: float) -> Paid:
    ranked = -np.sort(-bids.reshape(len(bids), -1), axis=1)
    setting = ranked[:, units] if units < ranked.shape[1] else np.full(len(bids), floor)
    return np.asarray(won.sum(axis=2) * np.maximum(setting, floor)[:, None])


def _externality(bids: MarginalBids, won: Won, units: int, floor: float) -> Paid:
    batch, agents, demand = bids.shape
    paid = np.zeros((batch, agents))
    for i in range(agents):
        others = np.delete(bids, i, axis=1).reshape(batch, -1)
        # the seller keeps a unit rather than give it below the reserve: as many bids of its own
        ranked = -np.sort(-np.concatenate([np.maximum(others, floor), np.full((batch, units), floor)], axis=1), axis=1)[:, :units]
        displaced = np.cumsum(ranked[:, ::-1], axis=1)
        taken = won[:, i].sum(axis=1).astype(np.int64)
        paid[:, i] = np.where(taken > 0, displaced[np.arange(batch), np.maximum(taken, 1) - 1], 0.0)
    del demand
    return paid


def _multi_demand(
    name: str,
    agents: Participants,
    prior: Beliefs,
    units: int,
    demand: int,
    reserve: float,
    ties: str,
    charge: _Charge,
    claims: list[Claim],
    make: Callable[..., MultiParameterMechanism],
) -> MultiParameterMechanism:
    names, field = participants(agents), make.__name__
    k, floor, ties = count(field, "units", units), number(field, "reserve", reserve), ties_of(field, ties)
    if prior is None:
        prior = SortedDraws(Uniform(Interval(0.0, 1.0)), count(field, "demanded units", demand))
    common = beliefs(names, prior)
    dims = _demand_of(field, common)
    if ties == "lottery" and math.factorial(len(names)) > _MOST_ORDERS:
        raise InputError(f"{field}: expected at most six bidders for a lottery over their orders, got {len(names)}; use ties='order'")
    orders = list(itertools.permutations(range(len(names)))) if ties == "lottery" else [tuple(range(len(names)))]

    def decide(bids: MarginalBids, least: float) -> tuple[Won, Paid]:
        won, paid = _in_order(bids, orders[0], k, least, charge)
        tied = np.flatnonzero(_tied(bids, k, least))
        if len(orders) > 1 and len(tied):
            drawn = [_in_order(bids[tied], order, k, least, charge) for order in orders]
            won[tied], paid[tied] = (np.mean([d[part] for d in drawn], axis=0) for part in (0, 1))
        return won, paid

    def stacked(reports: Reports) -> MarginalBids:
        bids = np.stack([reports[n] for n in names], axis=1)
        if not bool(np.isfinite(bids).all()):
            raise NotFiniteError(f"{field}: expected finite bids, got {bids[~np.isfinite(bids)][0]}")
        return bids

    def rule(reports: Reports) -> tuple[Allocation, PaymentsOf]:
        won, paid = decide(stacked(reports), floor)
        return {n: won[:, i] for i, n in enumerate(names)}, {n: paid[:, i] for i, n in enumerate(names)}

    def efficient(types: Reports) -> Allocation:
        won, _ = decide(stacked(types), 0.0)
        return {n: won[:, i] for i, n in enumerate(names)}

    claims = [*claims, Claim(Property.WEAK_BUDGET_BALANCE, True, "values >= 0", "nobody is ever paid")]
    if floor == 0.0:
        claims.append(Claim(Property.EFFICIENCY, True, "at truthful bids", _KRISHNA))
    return MultiParameterMechanism(
        name=name,
        rule=rule,
        prior=common,
        excess=lambda allocation: np.asarray(sum(x.sum(axis=1) for x in allocation.values()) - float(k)),
        efficient=efficient,
        guarantees=tuple(claims),
        formula=(make.__doc__ or "").splitlines()[2].strip(),
        source=_KRISHNA,
        labels={n: [f"unit {d + 1}" for d in range(dims)] for n in names},
        resized=resizer(make, prior, units=units, demand=demand, reserve=reserve, ties=ties),
    )


def _in_order(bids: MarginalBids, order: tuple[int, ...], units: int, least: float, charge: _Charge) -> tuple[Won, Paid]:
    """The highest marginal bids win; of equals the agent earlier in ``order``, and its earlier unit."""
    batch, agents, demand = bids.shape
    scores = np.where(bids >= least, bids, -np.inf)[:, list(order)].reshape(batch, -1)
    best = np.argsort(-scores, axis=1, kind="stable")[:, :units]
    wins = np.zeros(scores.shape)
    np.put_along_axis(wins, best, np.isfinite(np.take_along_axis(scores, best, axis=1)).astype(np.float64), axis=1)
    won = np.zeros(bids.shape)
    won[:, list(order)] = wins.reshape(batch, agents, demand)
    return won, charge(bids, won, units, least)


def _tied(bids: MarginalBids, units: int, least: float) -> Bool[np.ndarray, " batch"]:
    """Where the last bid that wins equals the first that does not."""
    ranked = -np.sort(-np.where(bids >= least, bids, -np.inf).reshape(len(bids), -1), axis=1)
    if units >= ranked.shape[1]:
        return np.zeros(len(bids), dtype=bool)
    return np.asarray((ranked[:, units - 1] == ranked[:, units]) & np.isfinite(ranked[:, units]))


def _demand_of(mechanism: str, prior: JointPrior) -> int:
    """How many units the bidders value: one number for all, of values that decrease."""
    lengths = set()
    for name, space in prior.spaces.items():
        if not _decreasing(space):
            raise InputError(
                f"{mechanism}: expected marginal values that decrease for {name!r} (a DecreasingMarginals space, or a finite list of such "
                f"vectors), got {space!r}; SortedDraws makes a prior of them"
            )
        lengths.add(space.grid(2).shape[1])
    if len(lengths) > 1:
        raise InputError(f"{mechanism}: expected values of equally many units from all, got {sorted(lengths)}")
    return int(lengths.pop())


def _decreasing(space: TypeSpace) -> bool:
    if isinstance(space, DecreasingMarginals):
        return True
    grid = space.grid(0) if space.size is not None else np.zeros(0)
    return grid.ndim == 2 and grid.dtype != object and bool(np.all(np.diff(grid, axis=1) <= 0.0))


ENTRIES: tuple[Entry, ...] = (
    Entry("multi_unit_vickrey", "several units", multi_unit_vickrey, 2),
    Entry("multi_unit_uniform_price", "several units", multi_unit_uniform_price, 2),
    Entry("multi_unit_discriminatory", "several units", multi_unit_discriminatory, 2),
)
