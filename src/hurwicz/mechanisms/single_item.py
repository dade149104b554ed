"""Sealed-bid auctions of one item: first, second and third price, all-pay."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Float64

from hurwicz.mechanisms._arguments import resizer, ties_of
from hurwicz.mechanisms.optimal import best_revenue
from hurwicz.mechanisms.ranking import Reserves, admitted, best_rival, reserves_of, shares_of_one, shuts_out
from hurwicz.mechanisms.registry import Entry
from hurwicz.mechanisms.single_parameter import Bids, Payments, Shares, SingleParameterMechanism
from hurwicz.settings import Beliefs, Claim, JointPrior, Participants, Property, beliefs, participants, strategyproof

_Pay = Callable[[Bids, Bids, Shares, Float64[np.ndarray, " agents"]], Payments]  # bids, admitted bids, shares, reserves
_VICKREY = "W. Vickrey, Counterspeculation, auctions, and competitive sealed tenders, Journal of Finance 16 (1961)"
_KRISHNA = "V. Krishna, Auction Theory, 2nd ed. (2010)"
_GRAHAM = "D. Graham and R. Marshall, Collusive bidder behavior, Journal of Political Economy 95 (1987)"
_YOKOO = "M. Yokoo, Y. Sakurai and S. Matsubara, The effect of false-name bids, Games and Economic Behavior 46 (2004)"
_AKBARPOUR = "M. Akbarpour and S. Li, Credible auctions: a trilemma, Econometrica 88 (2020)"


def first_price(
    agents: Participants = 2, *, prior: Beliefs = None, reserve: Reserves = 0.0, ties: str = "lottery"
) -> SingleParameterMechanism:
    """First-price sealed-bid auction: the highest bid wins and pays itself.

    x_i = 1 if b_i > max_j b_j and b_i >= r_i,  t_i = x_i b_i

    Args:
        agents: how many bidders, or their names.
        prior: over values; uniform on [0, 1] if omitted.
        reserve: least bid that is admitted, one for all or one an agent.
        ties: ``"lottery"`` (equal shares in expectation) or ``"order"`` (the first of the equals).

    Raises:
        InputError: a reserve below 0, an unknown way with ties, names given twice.

    Example:
        >>> outcome = first_price(["ann", "bob"]).outcome({"ann": 0.4, "bob": 0.7})
        >>> float(outcome.allocation["bob"]), outcome.payments["bob"], outcome.payments["ann"]
        (1.0, 0.7, 0.0)

    Source:
        W. Vickrey (1961): with n values of U[0, 1] the equilibrium bids are (n - 1) v / n.
    """
    names = participants(agents)
    common, reserves = beliefs(names, prior), reserves_of("first_price", reserve, names)
    claims = [
        Claim(Property.DSIC, False, "a winner gains by bidding less", _VICKREY),
        Claim(Property.BIC, False, "shading pays also in expectation", _VICKREY),
        Claim(Property.EX_POST_IR, True, "at truthful bids, where the winner keeps nothing", _VICKREY),
        Claim(Property.SHILL_PROOF, True, "only the winner's own bid sets its price", _AKBARPOUR),
        Claim(Property.CREDIBLE, True, "only the winner's own bid sets its price", f"{_AKBARPOUR}, Theorem 1"),
        *_several(len(names)),
        *_money(),
        *_efficiency(common, reserves),
    ]
    return _sealed(
        "first price",
        common,
        reserves,
        ties_of("first_price", ties),
        lambda bids, _scores, shares, _reserves: shares * bids,
        claims,
        "x_i = 1 if b_i is highest and b_i >= r_i; t_i = x_i b_i",
        _VICKREY,
        _resizer(first_price, prior, reserve, ties),
    )


def second_price(
    agents: Participants = 2, *, prior: Beliefs = None, reserve: Reserves = 0.0, ties: str = "lottery"
) -> SingleParameterMechanism:
    """Second-price sealed-bid (Vickrey) auction: the highest bid wins and pays the highest of the others.

    x_i = 1 if b_i > max_j b_j and b_i >= r_i,  t_i = x_i max(r_i, max_{j != i} b_j)

    Args:
        agents: how many bidders, or their names.
        prior: over values; uniform on [0, 1] if omitted.
        reserve: least bid that is admitted, one for all or one an agent (bids below their own reserve set no price).
        ties: ``"lottery"`` (equal shares in expectation) or ``"order"`` (the first of the equals).

    Raises:
        InputError: a reserve below 0, an unknown way with ties, names given twice.

    Example:
        >>> outcome = second_price(["ann", "bob"]).outcome({"ann": 0.4, "bob": 0.7})
        >>> float(outcome.allocation["bob"]), outcome.payments["bob"]
        (1.0, 0.4)

    Source:
        W. Vickrey (1961).
    """
    names = participants(agents)
    common, reserves = beliefs(names, prior), reserves_of("second_price", reserve, names)
    claims = [
        *strategyproof(_VICKREY),
        Claim(Property.EX_POST_IR, True, "", _VICKREY),
        Claim(Property.FALSE_NAME_PROOF, True, "a second name can only raise the price", _YOKOO),
        Claim(Property.SHILL_PROOF, False, "a bid of the seller's own raises the price", _AKBARPOUR),
        Claim(Property.CREDIBLE, False, "the winner cannot see that the seller invents the second bid", _AKBARPOUR),
        *_several(len(names)),
        *_money(free=len(names) == 1 and not reserves.any()),
        *_efficiency(common, reserves),
    ]
    made = _sealed(
        "second price",
        common,
        reserves,
        ties_of("second_price", ties),
        lambda _bids, scores, shares, floors: shares * np.maximum(best_rival(scores), floors),
        claims,
        "x_i = 1 if b_i is highest and b_i >= r_i; t_i = x_i max(r_i, max_{j != i} b_j)",
        _VICKREY,
        _resizer(second_price, prior, reserve, ties),
    )
    # reserves that differ favour some bids by more than a constant: then it is no affine maximiser
    return made.in_groves_form(charge=float(reserves[0]), pivot="Clarke") if bool((reserves == reserves[0]).all()) else made


def third_price(
    agents: Participants = 3, *, prior: Beliefs = None, reserve: Reserves = 0.0, ties: str = "lottery"
) -> SingleParameterMechanism:
    """Third-price sealed-bid auction: the highest bid wins and pays the third-highest of all.

    x_i = 1 if b_i > max_j b_j and b_i >= r_i,  t_i = x_i max(r_i, b_(3))

    Args:
        agents: how many bidders (at least 3), or their names.
        prior: over values; uniform on [0, 1] if omitted.
        reserve: least bid that is admitted, one for all or one an agent.
        ties: ``"lottery"`` (equal shares in expectation) or ``"order"`` (the first of the equals).

    Raises:
        InputError: fewer than three bidders, a reserve below 0, an unknown way with ties.

    Example:
        >>> outcome = third_price(3).outcome({"bidder 1": 0.2, "bidder 2": 0.6, "bidder 3": 0.9})
        >>> outcome.payments["bidder 3"]
        0.2

    Source:
        J. Kagel and D. Levin, Economic Journal 103 (1993): with n values of U[0, 1] the equilibrium bids are (n - 1) v / (n - 2), above
        the value.
    """
    names = participants(agents, least=3)
    common, reserves = beliefs(names, prior), reserves_of("third_price", reserve, names)
    source = "J. Kagel and D. Levin, Independent private value auctions, Economic Journal 103 (1993)"
    claims = [
        Claim(Property.DSIC, False, "who is second wins below its value by bidding more", source),
        Claim(Property.BIC, False, "bidding above the value pays also in expectation", source),
        Claim(Property.EX_POST_IR, True, "at truthful bids", source),
        *_several(len(names)),
        *_money(),
        *_efficiency(common, reserves),
    ]

    def pay(_bids: Bids, scores: Bids, shares: Shares, floors: Float64[np.ndarray, " agents"]) -> Payments:
        third = np.partition(scores, -3, axis=1)[:, [-3]]
        return np.asarray(shares * np.maximum(third, floors))

    return _sealed(
        "third price",
        common,
        reserves,
        ties_of("third_price", ties),
        pay,
        claims,
        "x_i = 1 if b_i is highest and b_i >= r_i; t_i = x_i max(r_i, b_(3))",
        source,
        _resizer(third_price, prior, reserve, ties),
    )


def all_pay(agents: Participants = 2, *, prior: Beliefs = None, reserve: Reserves = 0.0, ties: str = "lottery") -> SingleParameterMechanism:
    """All-pay auction: the highest bid wins, and everybody admitted pays its own bid.

    x_i = 1 if b_i > max_j b_j and b_i >= r_i,  t_i = b_i where b_i >= r_i

    Args:
        agents: how many bidders, or their names.
        prior: over values; uniform on [0, 1] if omitted.
        reserve: least bid that is admitted, one for all or one an agent; who bids less pays nothing.
        ties: ``"lottery"`` (equal shares in expectation) or ``"order"`` (the first of the equals).

    Raises:
        InputError: a reserve below 0, an unknown way with ties, names given twice.

    Example:
        >>> outcome = all_pay(["ann", "bob"]).outcome({"ann": 0.4, "bob": 0.7})
        >>> outcome.payments
        {'ann': 0.4, 'bob': 0.7}

    Source:
        V. Krishna, Auction Theory, section 3.2.2: with n values of U[0, 1] the equilibrium bids are (n - 1) v^n / n.
    """
    names = participants(agents)
    common, reserves = beliefs(names, prior), reserves_of("all_pay", reserve, names)
    alone = len(names) == 1
    source = f"{_KRISHNA}, section 3.2.2"
    claims = [
        Claim(Property.DSIC, False, "a loser gains by bidding nothing", source),
        Claim(Property.BIC, False, "shading pays also in expectation", source),
        Claim(Property.EX_POST_IR, alone, "losers pay" if not alone else "at truthful bids", source),
        Claim(Property.INTERIM_IR, alone, "a truthful bid is paid for sure and wins by chance" if not alone else "", source),
        Claim(Property.EX_ANTE_IR, alone, "a truthful bid is paid for sure and wins by chance" if not alone else "", source),
        *_several(len(names)),
        *_money(),
        *_efficiency(common, reserves),
    ]
    return _sealed(
        "all-pay",
        common,
        reserves,
        ties_of("all_pay", ties),
        lambda bids, scores, _shares, _reserves: np.where(np.isfinite(scores), bids, 0.0),
        claims,
        "x_i = 1 if b_i is highest and b_i >= r_i; t_i = b_i where b_i >= r_i",
        source,
        _resizer(all_pay, prior, reserve, ties),
    )


def _sealed(
    name: str,
    prior: JointPrior,
    reserves: Float64[np.ndarray, " agents"],
    ties: str,
    pay: _Pay,
    claims: list[Claim],
    formula: str,
    source: str,
    resized: Callable[[Sequence[str]], SingleParameterMechanism] | None,
) -> SingleParameterMechanism:
    def rule(bids: Bids) -> tuple[Shares, Payments]:
        scores = admitted(bids, reserves)
        shares = shares_of_one(scores, ties)
        return shares, np.asarray(pay(bids, scores, shares, reserves), dtype=np.float64)

    nothing = np.zeros(len(reserves))
    return SingleParameterMechanism(
        name=name,
        rule=rule,
        prior=prior,
        sides=np.ones(len(reserves)),
        excess=lambda shares: shares.sum(axis=1) - 1.0,
        efficient=lambda types: shares_of_one(admitted(types, nothing), "lottery"),
        guarantees=tuple(claims),
        formula=formula,
        source=source,
        resized=resized,
        revenue_bound=best_revenue,
    )


def _resizer(
    make: Callable[..., SingleParameterMechanism], prior: Beliefs, reserve: Reserves, ties: str
) -> Callable[[Sequence[str]], SingleParameterMechanism] | None:
    # a reserve of one agent says nothing of a newcomer's
    return None if isinstance(reserve, Mapping) else resizer(make, prior, reserve=reserve, ties=ties)


def _several(bidders: int) -> list[Claim]:
    rising = [Claim(Property.MONOTONICITY, True, "", "R. Myerson 1981, Lemma 2")]
    return rising if bidders == 1 else [*rising, Claim(Property.COLLUSION_PROOF_PAIRS, False, "the two highest lower their bids", _GRAHAM)]


def _money(*, free: bool = False) -> list[Claim]:
    if free:
        return [Claim(Property.STRONG_BUDGET_BALANCE, True, "one bidder and no reserve", "nobody ever pays")]
    return [
        Claim(Property.WEAK_BUDGET_BALANCE, True, "values >= 0", "nobody is ever paid"),
        Claim(Property.STRONG_BUDGET_BALANCE, False, "the seller keeps the revenue", "nobody is ever paid"),
    ]


def _efficiency(prior: JointPrior, reserves: Float64[np.ndarray, " agents"]) -> list[Claim]:
    if not shuts_out(prior, reserves):
        return [Claim(Property.EFFICIENCY, True, "at truthful bids", "the item goes to the highest value")]
    if len(set(reserves.tolist())) == 1:
        return [
            Claim(Property.EFFICIENCY, False, "values below the reserve", "the item stays with the seller, to whom it is worth nothing")
        ]
    return []


ENTRIES: tuple[Entry, ...] = (
    Entry("first_price", "single item", first_price, 1),
    Entry("second_price", "single item", second_price, 1),
    Entry("third_price", "single item", third_price, 3),
    Entry("all_pay", "single item", all_pay, 2),
)
