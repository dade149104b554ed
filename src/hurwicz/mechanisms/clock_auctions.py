"""Clock auctions of one item: the English clock goes up, the Dutch clock goes down. Run with strategies, or as direct mechanisms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from jaxtyping import Float64, Int64

from hurwicz._foundation import AgentError, InputError
from hurwicz.mechanisms._arguments import ends, number, resizer, ties_of
from hurwicz.mechanisms.optimal import best_revenue
from hurwicz.mechanisms.ranking import admitted, best_rival, shares_of_one
from hurwicz.mechanisms.registry import Entry
from hurwicz.mechanisms.single_parameter import Bids, Payments, Shares, SingleParameterMechanism
from hurwicz.settings import Beliefs, Claim, JointPrior, Participants, Property, beliefs, participants

_MILGROM = "P. Milgrom and R. Weber, A theory of auctions and competitive bidding, Econometrica 50 (1982)"
_VICKREY = "W. Vickrey, Counterspeculation, auctions, and competitive sealed tenders, Journal of Finance 16 (1961)"
_LI = "S. Li, Obviously strategy-proof mechanisms, American Economic Review 107 (2017)"
_MOST_ROUNDS = 1_000_000


@dataclass(frozen=True)
class ClockRound:
    """One price of the clock.

    Attributes:
        price: what the clock shows.
        active: bidders who are asked.
        said_yes: those who stay (English) or take (Dutch).
    """

    price: float
    active: tuple[str, ...]
    said_yes: tuple[str, ...]


@dataclass(frozen=True)
class ClockState:
    """What a bidder sees when it is asked.

    Attributes:
        price: what the clock shows.
        active: bidders who are asked, this one among them.
        history: the rounds before.
    """

    price: float
    active: tuple[str, ...]
    history: tuple[ClockRound, ...]


Strategy: TypeAlias = Callable[[ClockState], bool]


@dataclass(frozen=True)
class ClockRun:
    """What a clock auction came to.

    Attributes:
        allocation: bidder → share of the item: 1 for the winner, equal shares in expectation where several tie.
        payments: bidder → what it pays in expectation.
        price: at which the item was sold; none where it was not.
        transcript: every round, in order.
    """

    allocation: Mapping[str, float]
    payments: Mapping[str, float]
    price: float | None
    transcript: tuple[ClockRound, ...] = field(default_factory=tuple)


def run_english_clock(
    strategies: Mapping[str, Strategy], *, start: float = 0.0, increment: float = 0.05, ties: str = "lottery"
) -> ClockRun:
    """Raise the price until one bidder is left, who pays the price at which the last rival went.

    At each price every bidder still in says whether it stays. One stays: it has the item at this price. None stays: those who accepted
    the price before tie at that price.

    Args:
        strategies: bidder → function of the :class:`ClockState`: True to stay at this price. A truthful one is
            ``lambda clock: clock.price <= value``.
        start: first price, the reserve.
        increment: step of the clock, above 0.
        ties: ``"lottery"`` (equal shares in expectation) or ``"order"`` (the first of the equals).

    Raises:
        InputError: nobody, an increment that is not above 0, a million rounds without an end.
        AgentError: a strategy raised, or answered anything but True or False.

    Example:
        >>> run = run_english_clock({"ann": lambda c: c.price <= 0.42, "bob": lambda c: c.price <= 0.7}, increment=0.1)
        >>> run.price, run.allocation["bob"], [r.said_yes for r in run.transcript][-1]
        (0.5, 1.0, ('bob',))

    Source:
        P. Milgrom and R. Weber (1982), section 4.
    """
    names, step = _bidders(strategies), number("run_english_clock", "increment", increment, above=True)
    first, way = number("run_english_clock", "start", start), ties_of("run_english_clock", ties)
    rounds: list[ClockRound] = []
    active = names
    for k in range(_MOST_ROUNDS):
        price = float(_shown(first, step, np.asarray([k]))[0])
        yes = _ask(strategies, ClockState(price, active, tuple(rounds)))
        rounds.append(ClockRound(price, active, yes))
        if len(yes) == 1:
            return _sold(names, yes, price, way, rounds)
        if not yes:
            return _sold(names, active if k else (), rounds[-2].price if k else 0.0, way, rounds)
        active = yes
    raise InputError(f"run_english_clock: expected all but one bidder to leave at some price, {list(active)} are still in at {price:g}")


def run_dutch_clock(
    strategies: Mapping[str, Strategy], *, start: float = 1.0, decrement: float = 0.05, reserve: float = 0.0, ties: str = "lottery"
) -> ClockRun:
    """Lower the price until a bidder takes the item at it.

    Args:
        strategies: bidder → function of the :class:`ClockState`: True to take at this price.
        start: first price; the clock shows ``reserve`` + k ``decrement`` for whole k, from the highest of these up to ``start``.
        decrement: step of the clock, above 0.
        reserve: the last price.
        ties: ``"lottery"`` (equal shares in expectation) or ``"order"`` (the first of the equals).

    Raises:
        InputError: nobody, a decrement that is not above 0, a start below the reserve.
        AgentError: a strategy raised, or answered anything but True or False.

    Example:
        >>> run = run_dutch_clock({"ann": lambda c: c.price <= 0.2, "bob": lambda c: c.price <= 0.35}, decrement=0.1)
        >>> run.price, run.payments["bob"], len(run.transcript)
        (0.3, 0.3, 8)

    Source:
        W. Vickrey (1961): strategically a first-price auction.
    """
    names, way = _bidders(strategies), ties_of("run_dutch_clock", ties)
    grid = clock_prices("run_dutch_clock", reserve, decrement, start)
    grid = grid[grid <= start]
    rounds: list[ClockRound] = []
    for price in grid[::-1].tolist():
        yes = _ask(strategies, ClockState(price, names, tuple(rounds)))
        rounds.append(ClockRound(price, names, yes))
        if yes:
            return _sold(names, yes, price, way, rounds)
    return _sold(names, (), 0.0, way, rounds)


def english_clock(
    agents: Participants = 2, *, prior: Beliefs = None, reserve: float = 0.0, increment: float = 0.05, ties: str = "lottery"
) -> SingleParameterMechanism:
    """English (Japanese button) clock as a direct mechanism: each stays while the price is at most its report.

    With p_k = r + k h and k_i the last price at most b_i: the highest k_i wins at p_{k+1}, k the highest of the others; equals tie at p_k.

    Args:
        agents: how many bidders, or their names.
        prior: over values; uniform on [0, 1] if omitted.
        reserve: r, the first price.
        increment: h, step of the clock, above 0.
        ties: ``"lottery"`` (equal shares in expectation) or ``"order"`` (the first of the equals).

    Raises:
        InputError: a reserve below 0, an increment that is not above 0, an unknown way with ties.

    Example:
        >>> clock = english_clock(["ann", "bob"], increment=0.1)
        >>> clock.outcome({"ann": 0.42, "bob": 0.7}).payments["bob"]  # ann stays at .4 and leaves at .5
        0.5

    Source:
        P. Milgrom and R. Weber (1982); S. Li (2017): obviously strategy-proof as the increment goes to zero. With a step of h who leaves
        one price too early may gain up to h / 2 (h where ties go by order).
    """
    names = participants(agents)
    common, way = beliefs(names, prior), ties_of("english_clock", ties)
    prices = _prices_for("english_clock", common, reserve, increment)
    alone = len(names) == 1

    def rule(bids: Bids) -> tuple[Shares, Payments]:
        last = _last_accepted(prices, bids)
        scores = np.where(last >= 0, last, -np.inf)
        shares, rival = shares_of_one(scores, way), best_rival(scores)
        next_up = np.where(np.isfinite(rival), rival, -1.0).astype(np.int64) + 1
        paid = np.where(scores > rival, prices[np.minimum(next_up, len(prices) - 1)], prices[np.maximum(last, 0)])
        return shares, np.asarray(np.where(shares > 0.0, shares * paid, 0.0))

    claims = [
        Claim(Property.DSIC, alone, "one bidder" if alone else "by at most a step of the clock: leaving early may win the tie", _MILGROM),
        Claim(Property.EX_POST_IR, True, "at truthful reports", _MILGROM),
        Claim("OSP", True, "as the increment goes to zero", _LI),
    ]
    return _clock("English clock", names, common, rule, claims, prices, reserve, english_clock, prior, increment=increment, ties=ties)


def dutch_clock(
    agents: Participants = 2, *, prior: Beliefs = None, reserve: float = 0.0, decrement: float = 0.05, ties: str = "lottery"
) -> SingleParameterMechanism:
    """Dutch clock as a direct mechanism: each takes the item at the first price that is at most its report.

    With p_k = r + k h and k_i the highest price at most b_i: the highest k_i wins and pays p_{k_i}.

    Args:
        agents: how many bidders, or their names.
        prior: over values; uniform on [0, 1] if omitted.
        reserve: r, the last price.
        decrement: h, step of the clock, above 0.
        ties: ``"lottery"`` (equal shares in expectation) or ``"order"`` (the first of the equals).

    Raises:
        InputError: a reserve below 0, a decrement that is not above 0, an unknown way with ties.

    Example:
        >>> dutch_clock(["ann", "bob"], decrement=0.1).outcome({"ann": 0.42, "bob": 0.75}).payments["bob"]
        0.7

    Source:
        W. Vickrey (1961): strategically a first-price auction, with bids on the clock's prices.
    """
    names = participants(agents)
    common, way = beliefs(names, prior), ties_of("dutch_clock", ties)
    prices = _prices_for("dutch_clock", common, reserve, decrement)

    def rule(bids: Bids) -> tuple[Shares, Payments]:
        last = _last_accepted(prices, bids)
        shares = shares_of_one(np.where(last >= 0, last, -np.inf), way)
        return shares, shares * prices[np.maximum(last, 0)]

    claims = [
        Claim(Property.DSIC, False, "a winner gains by waiting", _VICKREY),
        Claim(Property.BIC, False, "waiting pays also in expectation", _VICKREY),
        Claim(Property.EX_POST_IR, True, "at truthful reports", _VICKREY),
    ]
    return _clock("Dutch clock", names, common, rule, claims, prices, reserve, dutch_clock, prior, decrement=decrement, ties=ties)


def clock_prices(mechanism: str, reserve: float, step: float, top: float) -> Float64[np.ndarray, " prices"]:
    """The prices r, r + h, r + 2 h, ... up to the first at or above ``top``, to twelve digits.

    Raises:
        InputError: a step that is not above 0, a top below the reserve, more than a million prices.

    Example:
        >>> clock_prices("english_clock", 0.1, 0.1, 0.35).tolist()
        [0.1, 0.2, 0.3, 0.4]
    """
    first, h = number(mechanism, "reserve", reserve), number(mechanism, "step of the clock", step, above=True)
    if not top >= first:
        raise InputError(f"{mechanism}: expected a highest price of at least the reserve {first:g}, got {top:g}")
    rounds = int(np.ceil((top - first) / h - 1e-9)) + 1
    if rounds > _MOST_ROUNDS:
        raise InputError(
            f"{mechanism}: expected at most {_MOST_ROUNDS} prices, a step of {h:g} up to {top:g} makes {rounds}; use a larger one"
        )
    return _shown(first, h, np.arange(rounds))


def _shown(first: float, step: float, rounds: Int64[np.ndarray, " rounds"]) -> Float64[np.ndarray, " rounds"]:
    # 0.1 + 2 * 0.1 shows .3, and who is worth .3 stays
    prices = first + step * rounds
    digits = 12 - np.ceil(np.log10(np.maximum(prices, step))).astype(np.int64)
    for places in np.unique(digits).tolist():
        prices[digits == places] = np.round(prices[digits == places], places)
    return np.asarray(prices)


def _prices_for(mechanism: str, prior: JointPrior, reserve: float, step: float) -> Float64[np.ndarray, " prices"]:
    top = max(ends(space)[1] for space in prior.spaces.values())
    return clock_prices(mechanism, reserve, step, max(top, number(mechanism, "reserve", reserve)) + step)


def _last_accepted(prices: Float64[np.ndarray, " prices"], bids: Bids) -> Int64[np.ndarray, "batch agents"]:
    """Index of the highest price at most each bid, -1 where even the first is above it."""
    held = admitted(bids, np.full(bids.shape[1], -np.inf))
    return np.asarray(np.searchsorted(prices, held, side="right") - 1, dtype=np.int64)


def _clock(
    name: str,
    names: tuple[str, ...],
    common: JointPrior,
    rule: Callable[[Bids], tuple[Shares, Payments]],
    claims: list[Claim],
    prices: Float64[np.ndarray, " prices"],
    reserve: float,
    make: Callable[..., SingleParameterMechanism],
    prior: Beliefs,
    **options: float | str,
) -> SingleParameterMechanism:
    source = claims[0].source
    continuum = all(space.size is None for space in common.spaces.values())
    if continuum and (len(names) > 1 or reserve > min(max(ends(space)[0], 0.0) for space in common.spaces.values())):
        claims = [*claims, Claim(Property.EFFICIENCY, False, "values between two prices tie", source)]
    nothing = np.zeros(len(names))
    return SingleParameterMechanism(
        name=name,
        rule=rule,
        prior=common,
        sides=np.ones(len(names)),
        excess=lambda shares: shares.sum(axis=1) - 1.0,
        efficient=lambda types: shares_of_one(admitted(types, nothing), "lottery"),
        guarantees=(
            *claims,
            Claim(Property.WEAK_BUDGET_BALANCE, True, "values >= 0", "nobody is ever paid"),
        ),
        formula=f"prices {prices[0]:g}, {prices[1]:g}, ...; " + (make.__doc__ or "").splitlines()[2].strip(),
        source=source,
        resized=resizer(make, prior, reserve=reserve, **options),
        revenue_bound=best_revenue,
    )


def _bidders(strategies: Mapping[str, Strategy]) -> tuple[str, ...]:
    if not strategies:
        raise InputError("clock auction: expected a strategy of at least one bidder, got none")
    return tuple(strategies)


def _ask(strategies: Mapping[str, Strategy], state: ClockState) -> tuple[str, ...]:
    yes = []
    for name in state.active:
        try:
            answer = strategies[name](state)
        except Exception as error:
            raise AgentError(f"raised {type(error).__name__} when asked at a price of {state.price:g}: {error}", agent=name) from error
        if not isinstance(answer, bool | np.bool_):
            raise AgentError(f"expected True or False at a price of {state.price:g}, got {answer!r}", agent=name)
        if answer:
            yes.append(name)
    return tuple(yes)


def _sold(names: tuple[str, ...], winners: tuple[str, ...], price: float, ties: str, rounds: list[ClockRound]) -> ClockRun:
    lucky = winners if ties == "lottery" else winners[:1]
    shares = {name: 1.0 / len(lucky) if name in lucky else 0.0 for name in names}
    return ClockRun(shares, {name: share * price for name, share in shares.items()}, price if winners else None, tuple(rounds))


ENTRIES: tuple[Entry, ...] = (
    Entry("english_clock", "single item", english_clock, 1),
    Entry("dutch_clock", "single item", dutch_clock, 1),
)
