"""Reverse auctions: one buyer, one job, sellers who know their costs. Payments are negative: the winner is paid."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hurwicz._foundation import InputError
from hurwicz.mechanisms._arguments import ends, number, resizer, ties_of
from hurwicz.mechanisms.ranking import Ranked, admitted, best_rival, shares_of_one
from hurwicz.mechanisms.registry import Entry
from hurwicz.mechanisms.single_parameter import Bids, Payments, Shares, SingleParameterMechanism
from hurwicz.settings import Beliefs, Claim, JointPrior, Participants, Property, beliefs, participants, strategyproof

_SOURCE = "W. Vickrey, Counterspeculation, auctions, and competitive sealed tenders, Journal of Finance 16 (1961)"
_CREDIBLE = "M. Akbarpour and S. Li, Credible auctions: a trilemma, Econometrica 88 (2020)"


def first_price_procurement(
    agents: Participants = 2, *, prior: Beliefs = None, value: float | None = None, ceiling: float | None = None, ties: str = "lottery"
) -> SingleParameterMechanism:
    """First-price procurement (sealed tender): the lowest ask gets the job and is paid itself.

    x_i = 1 if b_i < min_j b_j and b_i <= R,  -t_i = x_i b_i

    Args:
        agents: how many sellers, or their names.
        prior: over costs; uniform on [0, 1] if omitted.
        value: what the job is worth to the buyer; the highest cost there may be if omitted.
        ceiling: R, the highest ask that is admitted; the buyer's value if omitted.
        ties: ``"lottery"`` (equal shares in expectation) or ``"order"`` (the first of the equals).

    Raises:
        InputError: a value or ceiling below 0, an unknown way with ties, names given twice.

    Example:
        >>> outcome = first_price_procurement(["ann", "bob"]).outcome({"ann": 0.4, "bob": 0.7})
        >>> float(outcome.allocation["ann"]), outcome.payments["ann"]
        (1.0, -0.4)

    Source:
        W. Vickrey (1961), turned round: with n costs of U[0, 1] the equilibrium asks are 1 - (n - 1) (1 - c) / n.
    """
    claims = [
        Claim(Property.DSIC, False, "a winner gains by asking more", _SOURCE),
        Claim(Property.BIC, False, "asking more pays also in expectation", _SOURCE),
    ]
    return _tender(
        "first price procurement",
        participants(agents, "seller"),
        prior,
        value,
        ceiling,
        ties,
        lambda asks, _scores, _most: asks,
        claims,
        "x_i = 1 if b_i is lowest and b_i <= R; -t_i = x_i b_i",
        first_price_procurement,
    )


def second_price_procurement(
    agents: Participants = 2, *, prior: Beliefs = None, value: float | None = None, ceiling: float | None = None, ties: str = "lottery"
) -> SingleParameterMechanism:
    """Second-price (Vickrey) procurement: the lowest ask gets the job and is paid the lowest of the others.

    x_i = 1 if b_i < min_j b_j and b_i <= R,  -t_i = x_i min(R, min_{j != i} b_j)

    Args:
        agents: how many sellers, or their names.
        prior: over costs; uniform on [0, 1] if omitted.
        value: what the job is worth to the buyer; the highest cost there may be if omitted.
        ceiling: R, the highest ask that is admitted, and the price where nobody else asks less; the buyer's value if omitted.
        ties: ``"lottery"`` (equal shares in expectation) or ``"order"`` (the first of the equals).

    Raises:
        InputError: a value or ceiling below 0, an unknown way with ties, names given twice.

    Example:
        >>> outcome = second_price_procurement(["ann", "bob"]).outcome({"ann": 0.4, "bob": 0.7})
        >>> outcome.payments["ann"]
        -0.7

    Source:
        W. Vickrey (1961).
    """
    claims = [
        *strategyproof(_SOURCE),
        Claim(Property.SHILL_PROOF, False, "an ask of the buyer's own lowers the price", _CREDIBLE),
    ]
    made = _tender(
        "second price procurement",
        participants(agents, "seller"),
        prior,
        value,
        ceiling,
        ties,
        lambda _asks, scores, most: np.minimum(-best_rival(scores), most),
        claims,
        "x_i = 1 if b_i is lowest and b_i <= R; -t_i = x_i min(R, min_{j != i} b_j)",
        second_price_procurement,
    )
    # a ceiling below the job's value is a charge on every job that is given
    worth = job_value("second_price_procurement", made.prior, value)
    return made.in_groves_form(charge=0.0 if ceiling is None else worth - float(ceiling), pivot="leave-one-out")


def job_value(mechanism: str, prior: JointPrior, value: float | None) -> float:
    """What a job is worth to the buyer: as given, or the highest cost there may be."""
    if value is not None:
        return number(mechanism, "value of the job", value)
    highest = max(ends(space)[1] for space in prior.spaces.values())
    if highest < 0.0:
        raise InputError(f"{mechanism}: expected costs of which some are >= 0, got at most {highest:g}; or state value=")
    return highest


def _tender(
    name: str,
    sellers: tuple[str, ...],
    prior: Beliefs,
    value: float | None,
    ceiling: float | None,
    ties: str,
    paid: Callable[[Bids, Ranked, float], Payments],
    claims: list[Claim],
    formula: str,
    make: Callable[..., SingleParameterMechanism],
) -> SingleParameterMechanism:
    field = make.__name__
    common, ties = beliefs(sellers, prior), ties_of(field, ties)
    worth = job_value(field, common, value)
    most = worth if ceiling is None else number(field, "ceiling", ceiling)
    floors, limits = np.full(len(sellers), -most), np.full(len(sellers), -worth)

    def rule(asks: Bids) -> tuple[Shares, Payments]:
        scores = admitted(-asks, floors)
        shares = shares_of_one(scores, ties)
        return shares, np.asarray(0.0 - shares * paid(asks, scores, most))

    guarantees = [
        *claims,
        Claim(Property.EX_POST_IR, True, "at truthful asks", _SOURCE),
        Claim(Property.MONOTONICITY, True, "", "R. Myerson 1981, Lemma 2"),
        Claim(Property.WEAK_BUDGET_BALANCE, False, "the buyer pays", _SOURCE),
        Claim(Property.STRONG_BUDGET_BALANCE, False, "the buyer pays", _SOURCE),
    ]
    if most <= worth:
        guarantees.append(Claim(Property.PLANNER_IR, True, "no more is paid than the job is worth", _SOURCE))
    if most == worth or min(most, worth) >= max(ends(space)[1] for space in common.spaces.values()):
        guarantees.append(Claim(Property.EFFICIENCY, True, "at truthful asks", _SOURCE))
    return SingleParameterMechanism(
        name=name,
        rule=rule,
        prior=common,
        sides=-np.ones(len(sellers)),
        cost=lambda shares: -worth * shares.sum(axis=1),
        excess=lambda shares: shares.sum(axis=1) - 1.0,
        efficient=lambda costs: shares_of_one(admitted(-costs, limits), "lottery"),
        guarantees=tuple(guarantees),
        formula=formula,
        source=_SOURCE,
        resized=resizer(make, prior, value=value, ceiling=ceiling, ties=ties),
    )


ENTRIES: tuple[Entry, ...] = (
    Entry("first_price_procurement", "single item", first_price_procurement, 1),
    Entry("second_price_procurement", "single item", second_price_procurement, 1),
)
