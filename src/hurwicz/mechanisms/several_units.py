"""Auctions of several units of one good to bidders who want one each: discriminatory and uniform price."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hurwicz._foundation import InputError
from hurwicz.mechanisms._arguments import count, number, resizer, ties_of
from hurwicz.mechanisms.ranking import Ranked, admitted, by_rank, shuts_out
from hurwicz.mechanisms.registry import Entry
from hurwicz.mechanisms.single_parameter import Bids, Payments, Shares, SingleParameterMechanism
from hurwicz.settings import Beliefs, Claim, Participants, Property, beliefs, participants, strategyproof

_KRISHNA = "V. Krishna, Auction Theory, 2nd ed. (2010), chapters 12 and 13"
_VICKREY = "W. Vickrey, Counterspeculation, auctions, and competitive sealed tenders, Journal of Finance 16 (1961)"


def discriminatory(
    agents: Participants = 3, *, prior: Beliefs = None, units: int = 2, reserve: float = 0.0, ties: str = "lottery"
) -> SingleParameterMechanism:
    """Discriminatory (pay-as-bid) auction of k units, one to each of the k highest bids.

    x_i = 1 if b_i is among the k highest and b_i >= r,  t_i = x_i b_i

    Args:
        agents: how many bidders, or their names.
        prior: over the value of one unit; uniform on [0, 1] if omitted.
        units: k.
        reserve: least bid that is admitted.
        ties: ``"lottery"`` (equal shares in expectation) or ``"order"`` (the first of the equals).

    Raises:
        InputError: no units, a reserve below 0, an unknown way with ties.

    Example:
        >>> discriminatory(3).outcome({"bidder 1": 0.2, "bidder 2": 0.6, "bidder 3": 0.9}).payments
        {'bidder 1': 0.0, 'bidder 2': 0.6, 'bidder 3': 0.9}

    Source:
        V. Krishna, Auction Theory, chapter 13: the equilibrium bid is E[Y_k | Y_k < v], Y_k the k-th highest of the rivals' values.
    """
    claims = [
        Claim(Property.DSIC, False, "a winner gains by bidding less", _KRISHNA),
        Claim(Property.BIC, False, "shading pays also in expectation", _KRISHNA),
        Claim(Property.EX_POST_IR, True, "at truthful bids", _KRISHNA),
        Claim(Property.STRONG_BUDGET_BALANCE, False, "the seller keeps the revenue", _KRISHNA),
    ]
    return _unit_demand(
        "discriminatory", agents, prior, units, reserve, ties, lambda ranked, _k, _r: ranked, claims, "pays its own bid", discriminatory
    )


def uniform_price(
    agents: Participants = 3,
    *,
    prior: Beliefs = None,
    units: int = 2,
    pricing: str = "highest rejected",
    reserve: float = 0.0,
    ties: str = "lottery",
) -> SingleParameterMechanism:
    """Uniform-price auction of k units, one to each of the k highest bids, all at one price.

    x_i = 1 if b_i is among the k highest and b_i >= r,  t_i = x_i p,  p = max(r, b_(k+1)), or b_(k) of the lowest accepted

    With the highest rejected bid it is the Vickrey auction of bidders who want one unit each.

    Args:
        agents: how many bidders, or their names.
        prior: over the value of one unit; uniform on [0, 1] if omitted.
        units: k.
        pricing: ``"highest rejected"`` (the (k+1)-th bid) or ``"lowest accepted"`` (the k-th; the reserve where fewer bid).
        reserve: least bid that is admitted.
        ties: ``"lottery"`` (equal shares in expectation) or ``"order"`` (the first of the equals).

    Raises:
        InputError: no units, a reserve below 0, an unknown pricing or way with ties.

    Example:
        >>> bids = {"bidder 1": 0.2, "bidder 2": 0.6, "bidder 3": 0.9}
        >>> uniform_price(3).outcome(bids).payments["bidder 3"]
        0.2
        >>> uniform_price(3, pricing="lowest accepted").outcome(bids).payments["bidder 3"]
        0.6

    Source:
        W. Vickrey (1961); V. Krishna, Auction Theory, chapters 12 and 13.
    """
    if pricing not in ("highest rejected", "lowest accepted"):
        raise InputError(f"uniform_price: expected pricing to be 'highest rejected' or 'lowest accepted', got {pricing!r}")
    rejected = pricing == "highest rejected"
    bidders = len(participants(agents))
    source = _VICKREY if rejected else _KRISHNA

    def price(ranked: Ranked, k: int, floor: float) -> Ranked:
        rank = k if rejected else k - 1
        setting = ranked[:, rank] if rank < ranked.shape[1] else np.full(len(ranked), -np.inf)
        return np.repeat(np.maximum(setting, floor)[:, None], ranked.shape[1], axis=1)

    claims = [Claim(Property.EX_POST_IR, True, "at truthful bids", source)]
    if rejected or bidders < units:
        claims += [*strategyproof(source, "one unit each")]
    else:
        claims += [
            Claim(Property.DSIC, False, "the lowest winner sets the price", source),
            Claim(Property.BIC, False, "it gains by shading also in expectation", source),
        ]
    free = reserve == 0.0 and bidders <= (units if rejected else units - 1)
    claims.append(
        Claim(Property.STRONG_BUDGET_BALANCE, free, "a unit for everybody is free" if free else "the seller keeps the revenue", source)
    )
    made = _unit_demand(
        "uniform price", agents, prior, units, reserve, ties, price, claims, f"p = the {pricing} bid", uniform_price, pricing=pricing
    )
    return made.in_groves_form(charge=float(reserve), pivot="Clarke") if rejected else made


def _unit_demand(
    name: str,
    agents: Participants,
    prior: Beliefs,
    units: int,
    reserve: float,
    ties: str,
    price: Callable[[Ranked, int, float], Ranked],
    claims: list[Claim],
    formula: str,
    make: Callable[..., SingleParameterMechanism],
    **options: str,
) -> SingleParameterMechanism:
    names, field = participants(agents), make.__name__
    common, k = beliefs(names, prior), count(field, "units", units)
    floor, ties = number(field, "reserve", reserve), ties_of(field, ties)
    floors = np.full(len(names), floor)

    def of_rank(ranked: Ranked) -> tuple[Ranked, Ranked]:
        wins = np.broadcast_to((np.arange(ranked.shape[1]) < k).astype(np.float64), ranked.shape)
        return wins, np.where(wins > 0.0, price(ranked, k, floor), 0.0)

    def rule(bids: Bids) -> tuple[Shares, Payments]:
        return by_rank(admitted(bids, floors), of_rank, ties)

    def efficient(types: Shares) -> Shares:
        return by_rank(admitted(types, np.zeros(len(names))), of_rank, "lottery")[0]

    kept = shuts_out(common, floors)
    return SingleParameterMechanism(
        name=name,
        rule=rule,
        prior=common,
        sides=np.ones(len(names)),
        excess=lambda shares: shares.sum(axis=1) - float(k),
        efficient=efficient,
        guarantees=(
            *claims,
            Claim(Property.WEAK_BUDGET_BALANCE, True, "values >= 0", "nobody is ever paid"),
            Claim(Property.EFFICIENCY, not kept, "values below the reserve" if kept else "at truthful bids", _KRISHNA),
        ),
        formula=f"x_i = 1 if b_i is among the k highest and b_i >= r; {formula}",
        source=_KRISHNA,
        resized=resizer(make, prior, units=units, reserve=reserve, ties=ties, **options),
    )


ENTRIES: tuple[Entry, ...] = (
    Entry("discriminatory", "several units", discriminatory, 2),
    Entry("uniform_price", "several units", uniform_price, 2),
)
