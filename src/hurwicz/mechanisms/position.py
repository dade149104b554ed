"""Position auctions: slots of falling click-through rates to bidders who value a click. GSP and VCG."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import InputError, float64_array
from hurwicz.mechanisms._arguments import number, resizer, ties_of
from hurwicz.mechanisms.ranking import Ranked, admitted, by_rank, shuts_out
from hurwicz.mechanisms.registry import Entry
from hurwicz.mechanisms.single_parameter import Bids, Payments, Shares, SingleParameterMechanism
from hurwicz.settings import Beliefs, Claim, Participants, Property, beliefs, participants, strategyproof

_GSP = "B. Edelman, M. Ostrovsky and M. Schwarz, Internet advertising and the generalized second-price auction, AER 97 (2007)"
_YOKOO = "M. Yokoo, Y. Sakurai and S. Matsubara, GEB 46 (2004)"
_VARIAN = "H. Varian, Position auctions, International Journal of Industrial Organization 25 (2007)"
_PriceOfRank = Callable[[Ranked, Ranked, Float64[np.ndarray, " agents"]], Ranked]  # own bids, next bids, rates by rank


@dataclass(frozen=True, kw_only=True)
class PositionAuction(SingleParameterMechanism):
    """A position auction: who holds two slots under two names has the clicks of both."""

    def union(self, one: Float64[np.ndarray, " batch"], other: Float64[np.ndarray, " batch"]) -> Float64[np.ndarray, " batch"]:
        """What the allocations of two names are together: a click is worth as much in either slot."""
        return np.asarray(one + other, dtype=np.float64)


def generalized_second_price(
    agents: Participants = 3,
    *,
    prior: Beliefs = None,
    click_rates: Sequence[float] = (1.0, 0.5),
    reserve: float = 0.0,
    ties: str = "lottery",
) -> SingleParameterMechanism:
    """Generalised second-price (GSP) position auction: slots by rank of bids, each click at the next bid.

    x_i = alpha_k for the k-th highest bid,  t_i = alpha_k max(r, b_(k+1))

    Args:
        agents: how many bidders, or their names.
        prior: over the value of a click; uniform on [0, 1] if omitted.
        click_rates: alpha_1 >= alpha_2 >= ..., clicks of each slot; who has none gets nothing.
        reserve: least bid for a click that is admitted.
        ties: ``"lottery"`` (equals share their slots equally in expectation) or ``"order"`` (the first of the equals goes up).

    Raises:
        InputError: rates that rise or are below 0, a reserve below 0, an unknown way with ties.

    Example:
        >>> outcome = generalized_second_price(["ann", "bob", "eve"]).outcome({"ann": 0.9, "bob": 0.6, "eve": 0.2})
        >>> float(outcome.allocation["bob"]), outcome.payments
        (0.5, {'ann': 0.6, 'bob': 0.1, 'eve': 0.0})

    Source:
        B. Edelman, M. Ostrovsky and M. Schwarz, AER 97 (2007); H. Varian (2007).
    """
    rates = rates_of("generalized_second_price", click_rates, len(participants(agents)))
    truthful = len(rates) == 1 or int((rates > 0.0).sum()) == 1  # one bidder or one slot: a second-price auction
    claims = [Claim(Property.EX_POST_IR, True, "at truthful bids", _GSP)]
    if truthful:
        claims += [*strategyproof(_GSP, "one bidder or one slot")]
    else:
        claims += [
            Claim(Property.DSIC, False, "a lower slot at a lower price may be better", f"{_GSP}, section II"),
            Claim(Property.BIC, False, "also in expectation", _GSP),
        ]
    return _position(
        "generalised second price",
        agents,
        prior,
        rates,
        click_rates,
        reserve,
        ties,
        lambda _own, following, by_slot: by_slot * following,
        claims,
        "x_i = alpha_k for the k-th bid; t_i = alpha_k max(r, b_(k+1))",
        _GSP,
        generalized_second_price,
    )


def position_vcg(
    agents: Participants = 3,
    *,
    prior: Beliefs = None,
    click_rates: Sequence[float] = (1.0, 0.5),
    reserve: float = 0.0,
    ties: str = "lottery",
) -> SingleParameterMechanism:
    """VCG position auction: slots by rank of bids, each bidder pays for the clicks that the others lose to it.

    x_i = alpha_k for the k-th highest bid,  t_i = sum_{l >= k} (alpha_l - alpha_{l+1}) max(r, b_(l+1))

    Args:
        agents: how many bidders, or their names.
        prior: over the value of a click; uniform on [0, 1] if omitted.
        click_rates: alpha_1 >= alpha_2 >= ..., clicks of each slot; who has none gets nothing.
        reserve: least bid for a click that is admitted.
        ties: ``"lottery"`` (equals share their slots equally in expectation) or ``"order"`` (the first of the equals goes up).

    Raises:
        InputError: rates that rise or are below 0, a reserve below 0, an unknown way with ties.

    Example:
        >>> outcome = position_vcg(["ann", "bob", "eve"]).outcome({"ann": 0.9, "bob": 0.6, "eve": 0.2})
        >>> outcome.payments  # ann: 0.5 * 0.6 + 0.5 * 0.2
        {'ann': 0.4, 'bob': 0.1, 'eve': 0.0}

    Source:
        E. Clarke (1971); B. Edelman, M. Ostrovsky and M. Schwarz (2007), section II.
    """
    rates = rates_of("position_vcg", click_rates, len(participants(agents)))
    slots = sum(float(rate) > 0.0 for rate in click_rates)
    claims = [
        *strategyproof(_GSP),
        Claim(Property.EX_POST_IR, True, "", _GSP),
        # One name gets one slot; with two slots to give, a second name buys what one name cannot.
        Claim(Property.FALSE_NAME_PROOF, slots == 1, "one slot" if slots == 1 else "the clicks of two slots add up", _YOKOO),
    ]

    def displaced(_own: Ranked, following: Ranked, by_slot: Float64[np.ndarray, " agents"]) -> Ranked:
        lost = by_slot - np.append(by_slot[1:], 0.0)
        return np.asarray(np.cumsum((lost * following)[:, ::-1], axis=1)[:, ::-1])

    return _position(
        "position VCG",
        agents,
        prior,
        rates,
        click_rates,
        reserve,
        ties,
        displaced,
        claims,
        "x_i = alpha_k for the k-th bid; t_i = sum_{l >= k} (alpha_l - alpha_{l+1}) max(r, b_(l+1))",
        _GSP,
        position_vcg,
    ).in_groves_form(charge=float(reserve), pivot="Clarke")


def rates_of(mechanism: str, click_rates: Sequence[float], agents: int) -> Float64[np.ndarray, " agents"]:
    """Clicks by rank, 0 beyond the last slot.

    Raises:
        InputError: no rates, some that rise, or below 0.

    Example:
        >>> rates_of("position_vcg", (1.0, 0.5), 3).tolist()
        [1.0, 0.5, 0.0]
    """
    rates = float64_array(list(click_rates), f"{mechanism}: click_rates", shape=(None,))
    if not len(rates) or bool(np.any(rates < 0.0)) or bool(np.any(np.diff(rates) > 0.0)) or not rates[0] > 0.0:
        raise InputError(f"{mechanism}: expected click rates that fall (or stay) and are >= 0, the first above 0, got {rates.tolist()}")
    return np.concatenate([rates, np.zeros(agents)])[:agents]


def _position(
    name: str,
    agents: Participants,
    prior: Beliefs,
    rates: Float64[np.ndarray, " agents"],
    click_rates: Sequence[float],
    reserve: float,
    ties: str,
    price: _PriceOfRank,
    claims: list[Claim],
    formula: str,
    source: str,
    make: Callable[..., SingleParameterMechanism],
) -> SingleParameterMechanism:
    names, field = participants(agents), make.__name__
    common, floor, ties = beliefs(names, prior), number(field, "reserve", reserve), ties_of(field, ties)
    floors, total = np.full(len(names), floor), float(np.asarray(click_rates, dtype=np.float64).sum())

    def of_rank(ranked: Ranked) -> tuple[Ranked, Ranked]:
        following = np.maximum(np.concatenate([ranked[:, 1:], np.full((len(ranked), 1), -np.inf)], axis=1), floor)
        return np.broadcast_to(rates, ranked.shape), price(ranked, following, rates)

    def rule(bids: Bids) -> tuple[Shares, Payments]:
        return by_rank(admitted(bids, floors), of_rank, ties)

    def efficient(types: Shares) -> Shares:
        return by_rank(admitted(types, np.zeros(len(names))), of_rank, "lottery")[0]

    kept = shuts_out(common, floors)
    free = floor == 0.0 and len(names) == 1
    guarantees = [
        *claims,
        Claim(Property.WEAK_BUDGET_BALANCE, True, "values >= 0", "nobody is ever paid"),
        Claim(Property.STRONG_BUDGET_BALANCE, free, "one bidder and no reserve" if free else "the seller keeps the revenue", source),
        Claim(Property.EFFICIENCY, not kept, "values below the reserve" if kept else "at truthful bids", source),
    ]
    return PositionAuction(
        name=name,
        rule=rule,
        prior=common,
        sides=np.ones(len(names)),
        excess=lambda shares: shares.sum(axis=1) - total,
        efficient=efficient,
        guarantees=tuple(guarantees),
        formula=formula,
        source=source,
        resized=resizer(make, prior, click_rates=click_rates, reserve=reserve, ties=ties),
    )


ENTRIES: tuple[Entry, ...] = (
    Entry("generalized_second_price", "several units", generalized_second_price, 2),
    Entry("position_vcg", "several units", position_vcg, 2),
)
