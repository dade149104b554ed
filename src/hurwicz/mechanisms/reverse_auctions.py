"""Reverse auctions by name: several units, clocks and all-pay with one buyer and sellers who know their costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeAlias, TypeVar

import numpy as np

from hurwicz._foundation import InputError
from hurwicz.mechanisms._arguments import number
from hurwicz.mechanisms.clock_auctions import dutch_clock, english_clock
from hurwicz.mechanisms.multi_parameter import MultiParameterMechanism
from hurwicz.mechanisms.multi_unit import multi_unit_discriminatory, multi_unit_uniform_price, multi_unit_vickrey
from hurwicz.mechanisms.registry import Entry
from hurwicz.mechanisms.reversal import reverse
from hurwicz.mechanisms.several_units import discriminatory, uniform_price
from hurwicz.mechanisms.single_item import all_pay
from hurwicz.mechanisms.single_parameter import SingleParameterMechanism
from hurwicz.settings import Beliefs, Participants, beliefs, participants
from hurwicz.typespaces import CorrelatedPrior, Interval, Prior, ProductPrior, SortedDraws, Uniform, mirrored, mirrored_jointly

_Made = TypeVar("_Made", SingleParameterMechanism, MultiParameterMechanism)
_Values: TypeAlias = Prior | Mapping[str, Prior] | ProductPrior | CorrelatedPrior


def all_pay_procurement(
    agents: Participants = 2, *, prior: Beliefs = None, value: float | None = None, ceiling: float | None = None, ties: str = "lottery"
) -> SingleParameterMechanism:
    """All-pay procurement: the lowest ask gets the job at the price w, and whoever asks below w pays the difference for taking part.

    x_i = 1 if b_i < min_j b_j and b_i <= R,  -t_i = x_i w - (w - b_i) 1{b_i <= R}

    The winner ends with its own ask; a loser has offered w - b_i for nothing, as entrants of a contest for a contract do.

    Args:
        agents: how many sellers, or their names.
        prior: over costs; uniform on [0, 1] if omitted.
        value: w, what the job is worth to the buyer; the highest cost there may be if omitted.
        ceiling: R, the highest ask that is admitted, at most the value; the value if omitted.
        ties: ``"lottery"`` (equal shares in expectation) or ``"order"`` (the first of the equals).

    Raises:
        InputError: a value below 0, a ceiling above it, an unknown way with ties.

    Example:
        >>> outcome = all_pay_procurement(["ann", "bob"]).outcome({"ann": 0.4, "bob": 0.7})
        >>> {name: round(paid, 6) for name, paid in outcome.payments.items()}  # ann gets her ask, bob loses his fee
        {'ann': -0.4, 'bob': 0.3}

    Source:
        V. Krishna, Auction Theory, 2nd ed. (2010), section 3.2.2, turned round.
    """
    names = participants(agents, "seller")
    values, worth, reserve = _turned("all_pay_procurement", names, prior, value, ceiling)
    made = reverse(all_pay(names, prior=values, reserve=reserve, ties=ties), about=worth)
    return _named(made, "all-pay procurement", "x_i = 1 if b_i is lowest and b_i <= R; -t_i = x_i w - (w - b_i) where b_i <= R")


def discriminatory_procurement(
    agents: Participants = 3,
    *,
    prior: Beliefs = None,
    units: int = 2,
    value: float | None = None,
    ceiling: float | None = None,
    ties: str = "lottery",
) -> SingleParameterMechanism:
    """Pay-as-bid procurement of k units, one from each of the k lowest asks.

    x_i = 1 if b_i is among the k lowest and b_i <= R,  -t_i = x_i b_i

    Args:
        agents: how many sellers, or their names.
        prior: over the cost of one unit; uniform on [0, 1] if omitted.
        units: k.
        value: what a unit is worth to the buyer; the highest cost there may be if omitted.
        ceiling: R, the highest ask that is admitted, at most the value; the value if omitted.
        ties: ``"lottery"`` (equal shares in expectation) or ``"order"`` (the first of the equals).

    Raises:
        InputError: no units, a value below 0, a ceiling above it, an unknown way with ties.

    Example:
        >>> paid = discriminatory_procurement(3).outcome({"seller 1": 0.2, "seller 2": 0.6, "seller 3": 0.9}).payments
        >>> {name: round(t, 6) + 0.0 for name, t in paid.items()}
        {'seller 1': -0.2, 'seller 2': -0.6, 'seller 3': 0.0}

    Source:
        V. Krishna, Auction Theory, chapter 13, turned round.
    """
    names = participants(agents, "seller")
    values, worth, reserve = _turned("discriminatory_procurement", names, prior, value, ceiling)
    made = reverse(discriminatory(names, prior=values, units=units, reserve=reserve, ties=ties), about=worth)
    return _named(made, "discriminatory procurement", "x_i = 1 if b_i is among the k lowest and b_i <= R; -t_i = x_i b_i")


def uniform_price_procurement(
    agents: Participants = 3,
    *,
    prior: Beliefs = None,
    units: int = 2,
    pricing: str = "lowest rejected",
    value: float | None = None,
    ceiling: float | None = None,
    ties: str = "lottery",
) -> SingleParameterMechanism:
    """Uniform-price procurement of k units, one from each of the k lowest asks, all at one price.

    x_i = 1 if b_i is among the k lowest and b_i <= R,  -t_i = x_i p,  p = min(R, b_(k+1)), or b_(k) of the highest accepted

    Args:
        agents: how many sellers, or their names.
        prior: over the cost of one unit; uniform on [0, 1] if omitted.
        units: k.
        pricing: ``"lowest rejected"`` (the (k+1)-th ask: truth is dominant) or ``"highest accepted"`` (the k-th; R where fewer ask).
        value: what a unit is worth to the buyer; the highest cost there may be if omitted.
        ceiling: R, the highest ask that is admitted, at most the value; the value if omitted.
        ties: ``"lottery"`` (equal shares in expectation) or ``"order"`` (the first of the equals).

    Raises:
        InputError: no units, a value below 0, a ceiling above it, an unknown pricing or way with ties.

    Example:
        >>> asks = {"seller 1": 0.2, "seller 2": 0.6, "seller 3": 0.9}
        >>> [round(uniform_price_procurement(3, pricing=p).outcome(asks).payments["seller 1"], 6)
        ...  for p in ("lowest rejected", "highest accepted")]
        [-0.9, -0.6]

    Source:
        W. Vickrey (1961); V. Krishna, Auction Theory, chapters 12 and 13, turned round.
    """
    rules = {"lowest rejected": "highest rejected", "highest accepted": "lowest accepted"}
    if pricing not in rules:
        raise InputError(f"uniform_price_procurement: expected pricing to be one of {list(rules)}, got {pricing!r}")
    names = participants(agents, "seller")
    values, worth, reserve = _turned("uniform_price_procurement", names, prior, value, ceiling)
    made = reverse(uniform_price(names, prior=values, units=units, pricing=rules[pricing], reserve=reserve, ties=ties), about=worth)
    return _named(made, "uniform-price procurement", f"x_i = 1 if b_i is among the k lowest and b_i <= R; p = the {pricing} ask")


def descending_clock_procurement(
    agents: Participants = 2,
    *,
    prior: Beliefs = None,
    value: float | None = None,
    ceiling: float | None = None,
    decrement: float = 0.05,
    ties: str = "lottery",
) -> SingleParameterMechanism:
    """Descending clock as a direct mechanism: the price falls until one seller is left, who does the job at the price where the last left.

    With p_k = R - k h and k_i the last price at least b_i: the highest k_i wins at p_{k+1}, k the highest of the others; equals tie at p_k.

    Args:
        agents: how many sellers, or their names.
        prior: over costs; uniform on [0, 1] if omitted.
        value: what the job is worth to the buyer; the highest cost there may be if omitted.
        ceiling: R, the first price, at most the value; the value if omitted.
        decrement: h, step of the clock, above 0.
        ties: ``"lottery"`` (equal shares in expectation) or ``"order"`` (the first of the equals).

    Raises:
        InputError: a value below 0, a ceiling above it, a decrement that is not above 0, an unknown way with ties.

    Example:
        >>> clock = descending_clock_procurement(["ann", "bob"], decrement=0.1)
        >>> round(clock.outcome({"ann": 0.3, "bob": 0.58}).payments["ann"], 6)  # bob stays at .6 and leaves at .5
        -0.5

    Source:
        P. Milgrom and R. Weber (1982), turned round; P. Milgrom and I. Segal, "Clock auctions and radio spectrum reallocation", Journal of
        Political Economy 128 (2020): obviously strategy-proof as the step goes to zero.
    """
    names = participants(agents, "seller")
    values, worth, reserve = _turned("descending_clock_procurement", names, prior, value, ceiling)
    made = reverse(english_clock(names, prior=values, reserve=reserve, increment=decrement, ties=ties), about=worth)
    return _named(
        made, "descending clock procurement", f"prices {worth - reserve:g}, {worth - reserve - decrement:g}, ...; the last to stay wins"
    )


def ascending_clock_procurement(
    agents: Participants = 2,
    *,
    prior: Beliefs = None,
    value: float | None = None,
    ceiling: float | None = None,
    increment: float = 0.05,
    ties: str = "lottery",
) -> SingleParameterMechanism:
    """Ascending (Dutch) procurement clock as a direct mechanism: the price rises until a seller takes the job at it.

    With p_k = R - k h and k_i the lowest price at least b_i: the highest k_i wins and is paid p_{k_i}.

    Args:
        agents: how many sellers, or their names.
        prior: over costs; uniform on [0, 1] if omitted.
        value: what the job is worth to the buyer; the highest cost there may be if omitted.
        ceiling: R, the last price, at most the value; the value if omitted.
        increment: h, step of the clock, above 0.
        ties: ``"lottery"`` (equal shares in expectation) or ``"order"`` (the first of the equals).

    Raises:
        InputError: a value below 0, a ceiling above it, an increment that is not above 0, an unknown way with ties.

    Example:
        >>> clock = ascending_clock_procurement(["ann", "bob"], increment=0.1)
        >>> round(clock.outcome({"ann": 0.28, "bob": 0.58}).payments["ann"], 6)
        -0.3

    Source:
        W. Vickrey (1961): strategically a first-price tender, with asks on the clock's prices.
    """
    names = participants(agents, "seller")
    values, worth, reserve = _turned("ascending_clock_procurement", names, prior, value, ceiling)
    made = reverse(dutch_clock(names, prior=values, reserve=reserve, decrement=increment, ties=ties), about=worth)
    return _named(
        made, "ascending clock procurement", f"prices ..., {worth - reserve - increment:g}, {worth - reserve:g}; the first to take it wins"
    )


def multi_unit_vickrey_procurement(
    agents: Participants = 2,
    *,
    prior: Beliefs = None,
    units: int = 2,
    capacity: int = 2,
    value: float | None = None,
    ceiling: float | None = None,
    ties: str = "order",
) -> MultiParameterMechanism:
    """Multi-unit Vickrey procurement: who delivers m units is paid the m asks of the others, and the ceiling, that it displaced.

    The k lowest marginal asks win;  -t_i = sum_{l = k - m_i + 1}^k min(R, c_l),  c_l the l-th lowest ask of the others

    Args:
        agents: how many sellers, or their names.
        prior: over marginal costs theta_1 <= ... <= theta_d; sorted draws of U[0, 1] if omitted.
        units: k.
        capacity: d, units that a seller can deliver; not used where a prior is given.
        value: what a unit is worth to the buyer; the highest cost there may be if omitted.
        ceiling: R, the highest ask for a unit that is admitted, at most the value; the value if omitted.
        ties: ``"order"`` (the first of the equals) or ``"lottery"`` (each order of the sellers equally likely).

    Raises:
        InputError: no units, costs that may decrease, a ceiling above the value, a lottery among more than six sellers.

    Example:
        >>> tender = multi_unit_vickrey_procurement(["ann", "bob"])
        >>> round(tender.outcome({"ann": [0.1, 0.3], "bob": [0.4, 0.9]}).payments["ann"], 6)  # without her, bob would deliver both
        -1.3

    Source:
        W. Vickrey (1961), part II; V. Krishna, Auction Theory, section 12.3, turned round.
    """
    names = participants(agents, "seller")
    values, worth, reserve = _turned("multi_unit_vickrey_procurement", names, prior, value, ceiling, capacity)
    made = reverse(multi_unit_vickrey(names, prior=values, units=units, demand=capacity, reserve=reserve, ties=ties), about=worth)
    return _named(made, "multi-unit Vickrey procurement", "the k lowest marginal asks win; -t_i = the asks of the others that i displaced")


def multi_unit_uniform_price_procurement(
    agents: Participants = 2,
    *,
    prior: Beliefs = None,
    units: int = 2,
    capacity: int = 2,
    value: float | None = None,
    ceiling: float | None = None,
    ties: str = "order",
) -> MultiParameterMechanism:
    """Uniform-price procurement for increasing marginal costs: every unit at the lowest rejected ask.

    The k lowest marginal asks win;  -t_i = m_i min(R, the (k+1)-th lowest ask)

    An ask for a later unit may set the price of the earlier ones: sellers gain by holding units back.

    Args:
        agents: how many sellers, or their names.
        prior: over marginal costs theta_1 <= ... <= theta_d; sorted draws of U[0, 1] if omitted.
        units: k.
        capacity: d, units that a seller can deliver; not used where a prior is given.
        value: what a unit is worth to the buyer; the highest cost there may be if omitted.
        ceiling: R, the highest ask for a unit that is admitted, at most the value; the value if omitted.
        ties: ``"order"`` (the first of the equals) or ``"lottery"`` (each order of the sellers equally likely).

    Raises:
        InputError: as for :func:`multi_unit_vickrey_procurement`.

    Example:
        >>> tender = multi_unit_uniform_price_procurement(["ann", "bob"])
        >>> round(tender.outcome({"ann": [0.1, 0.3], "bob": [0.4, 0.9]}).payments["ann"], 6)
        -0.8

    Source:
        V. Krishna, Auction Theory, section 13.4, turned round.
    """
    names = participants(agents, "seller")
    values, worth, reserve = _turned("multi_unit_uniform_price_procurement", names, prior, value, ceiling, capacity)
    made = reverse(multi_unit_uniform_price(names, prior=values, units=units, demand=capacity, reserve=reserve, ties=ties), about=worth)
    return _named(
        made, "multi-unit uniform-price procurement", "the k lowest marginal asks win; -t_i = m_i min(R, the (k+1)-th lowest ask)"
    )


def multi_unit_discriminatory_procurement(
    agents: Participants = 2,
    *,
    prior: Beliefs = None,
    units: int = 2,
    capacity: int = 2,
    value: float | None = None,
    ceiling: float | None = None,
    ties: str = "order",
) -> MultiParameterMechanism:
    """Pay-as-bid procurement for increasing marginal costs: every unit at the ask that won it.

    The k lowest marginal asks win;  -t_i = the sum of i's winning asks

    Args:
        agents: how many sellers, or their names.
        prior: over marginal costs theta_1 <= ... <= theta_d; sorted draws of U[0, 1] if omitted.
        units: k.
        capacity: d, units that a seller can deliver; not used where a prior is given.
        value: what a unit is worth to the buyer; the highest cost there may be if omitted.
        ceiling: R, the highest ask for a unit that is admitted, at most the value; the value if omitted.
        ties: ``"order"`` (the first of the equals) or ``"lottery"`` (each order of the sellers equally likely).

    Raises:
        InputError: as for :func:`multi_unit_vickrey_procurement`.

    Example:
        >>> tender = multi_unit_discriminatory_procurement(["ann", "bob"])
        >>> round(tender.outcome({"ann": [0.1, 0.3], "bob": [0.4, 0.9]}).payments["ann"], 6)
        -0.4

    Source:
        V. Krishna, Auction Theory, section 13.5, turned round.
    """
    names = participants(agents, "seller")
    values, worth, reserve = _turned("multi_unit_discriminatory_procurement", names, prior, value, ceiling, capacity)
    made = reverse(multi_unit_discriminatory(names, prior=values, units=units, demand=capacity, reserve=reserve, ties=ties), about=worth)
    return _named(made, "multi-unit discriminatory procurement", "the k lowest marginal asks win; -t_i = the sum of i's winning asks")


def _turned(
    field: str, names: tuple[str, ...], prior: Beliefs, value: float | None, ceiling: float | None, capacity: int = 1
) -> tuple[_Values, float, float]:
    """What sellers of these costs are worth as buyers, what a unit is worth to the buyer, and the reserve that the ceiling becomes."""
    if prior is None:
        unit = Uniform(Interval(0.0, 1.0))
        prior = unit if capacity == 1 else mirrored(SortedDraws(unit, capacity), 1.0)
    common = beliefs(names, prior)
    worth = max(float(np.max(space.grid(2))) for space in common.spaces.values()) if value is None else value
    worth = number(field, "value of a unit", worth)
    most = worth if ceiling is None else number(field, "ceiling", ceiling, most=worth)
    values: _Values
    if isinstance(prior, ProductPrior | CorrelatedPrior):
        values = mirrored_jointly(prior, worth)
    elif isinstance(prior, Mapping):
        values = {name: mirrored(own, worth) for name, own in prior.items()}
    else:
        values = mirrored(prior, worth)
    return values, worth, worth - most


def _named(made: _Made, name: str, formula: str) -> _Made:
    return replace(made, name=name, formula=formula)


ENTRIES: tuple[Entry, ...] = (
    Entry("all_pay_procurement", "single item", all_pay_procurement, 2),
    Entry("discriminatory_procurement", "several units", discriminatory_procurement, 2),
    Entry("uniform_price_procurement", "several units", uniform_price_procurement, 2),
    Entry("descending_clock_procurement", "single item", descending_clock_procurement, 1),
    Entry("ascending_clock_procurement", "single item", ascending_clock_procurement, 1),
    Entry("multi_unit_vickrey_procurement", "several units", multi_unit_vickrey_procurement, 2),
    Entry("multi_unit_uniform_price_procurement", "several units", multi_unit_uniform_price_procurement, 2),
    Entry("multi_unit_discriminatory_procurement", "several units", multi_unit_discriminatory_procurement, 2),
)
