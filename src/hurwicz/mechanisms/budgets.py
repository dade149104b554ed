"""A budget that is the constraint: buying as much as it allows, and dividing it among those who ask for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float64

from hurwicz._foundation import InputError
from hurwicz.mechanisms._arguments import Numbers, number, one_each, resizer
from hurwicz.mechanisms.registry import Entry
from hurwicz.mechanisms.single_parameter import Bids, Payments, Shares, SingleParameterMechanism
from hurwicz.settings import Beliefs, Claim, Participants, PaymentIdentity, Property, beliefs, participants, strategyproof

_Chosen: TypeAlias = Bool[np.ndarray, "batch agents"]
_Vector: TypeAlias = Float64[np.ndarray, " agents"]
_Worths: TypeAlias = Float64[np.ndarray, " elements"]
_Incidence: TypeAlias = Float64[np.ndarray, "agents elements"]


def budget_feasible(
    agents: Participants = 3,
    *,
    prior: Beliefs = None,
    budget: float = 1.0,
    worth: Numbers | None = None,
    covers: Sequence[Sequence[str]] | None = None,
) -> SingleParameterMechanism:
    """Budget-feasible procurement by proportional shares: the most value for a fixed budget, with truthful payments that never exceed it.

    In order of cost per value added, agent k is taken while c_k <= b v(k | S) / v(S + k); each is paid its critical value. For added
    values b is the budget; where agents cover elements in common it is half of it. With probability 1/3 (2/5), instead, the whole budget
    goes to the agent of the greatest value alone, so that the value expected is at least 1/3 (1/7.91) of the greatest that the budget could
    buy if costs were known.

    Args:
        agents: how many, or their names.
        prior: over costs; uniform on [0, 1] if omitted.
        budget: above 0.
        worth: value of each agent, or of each element that is covered (in order of first mention); 1 each if omitted.
        covers: for each agent, the elements that it covers; its own if omitted (added values).

    Raises:
        InputError: a budget or values not above 0, or an agent that covers nothing.

    Example:
        >>> crowd = budget_feasible(["ann", "bob", "cy"], budget=1.0)
        >>> outcome = crowd.outcome({"ann": 0.2, "bob": 0.4, "cy": 0.9})
        >>> {n: (round(float(outcome.allocation[n]), 6), round(0.0 - t, 6)) for n, t in outcome.payments.items()}
        {'ann': (1.0, 0.666667), 'bob': (0.666667, 0.333333), 'cy': (0.0, 0.0)}

    Source:
        Y. Singer, "Budget feasible mechanisms", FOCS (2010), section 4; N. Chen, N. Gravin and P. Lu, SODA (2011), Theorems 3.2 and 4.1.
    """
    name = "budget feasible"
    names = participants(agents, "agent")
    money = number(name, "budget", budget, above=True)
    incidence, value, common = _coverage(name, names, covers, worth)
    share = 0.5 * money if common else money
    alone = 0.4 if common else 1.0 / 3.0
    single = incidence @ value

    def rule(bids: Bids) -> tuple[Shares, Payments]:
        taken = _proportional(bids, incidence, value, share)
        able = bids <= money
        best = np.argmax(np.where(able, single, -1.0), axis=1)
        star = (np.arange(bids.shape[1]) == best[:, None]) & able
        shares = (1.0 - alone) * taken + alone * star
        paid = np.zeros_like(bids)
        for i in np.flatnonzero(taken.any(axis=0)):
            paid[:, i] = np.where(taken[:, i], _critical(bids, int(i), incidence, value, share), 0.0)
        return shares, 0.0 - (1.0 - alone) * paid - alone * money * star

    source = "Chen, Gravin and Lu 2011"
    return SingleParameterMechanism(
        name=name,
        rule=rule,
        prior=beliefs(names, prior),
        sides=-np.ones(len(names)),
        excess=lambda shares: np.asarray(shares.max(axis=1) - 1.0, dtype=np.float64),
        guarantees=(
            *strategyproof(source, "for either draw"),
            Claim(Property.EX_POST_IR, True, "", source),
            Claim(Property.WEAK_BUDGET_BALANCE, False, "the requester pays", source),
            Claim("budget_feasibility", True, "payments never exceed the budget, for either draw", source),
        ),
        formula="greedy by c_k/v(k|S) while c_k <= b v(k|S)/v(S+k), paid critical values; else the whole budget to the most valuable",
        source="Y. Singer, FOCS (2010); N. Chen, N. Gravin, P. Lu, SODA (2011)",
        resized=resizer(budget_feasible, prior, budget=budget) if covers is None and worth is None else None,
        form=PaymentIdentity(paying=False),
    )


def proportional_winners(
    costs: Float64[np.ndarray, " agents"], worth: Float64[np.ndarray, " agents"], budget: float
) -> tuple[Bool[np.ndarray, " agents"], Float64[np.ndarray, " agents"]]:
    """Who is taken by proportional shares for added values, without the lottery, and what each is paid.

    Example:
        >>> taken, paid = proportional_winners(np.array([0.2, 0.3, 0.9]), np.array([1.0, 1.0, 1.0]), 1.0)
        >>> taken.tolist(), paid.tolist()
        ([True, True, False], [0.5, 0.5, 0.0])
    """
    own = np.eye(len(costs))
    taken = _proportional(costs[None], own, worth, budget)
    paid = [float(_critical(costs[None], i, own, worth, budget)[0]) if taken[0, i] else 0.0 for i in range(len(costs))]
    return taken[0], np.asarray(paid)


def shared_budget(
    agents: Participants = 3, *, prior: Beliefs = None, needs: Numbers | None = None, budget: float | None = None
) -> SingleParameterMechanism:
    """A budget that many agents ask for: the better of greedy by value per unit and the most valuable request alone, at critical values.

    Agent i needs s_i of the budget B or nothing, and is worth theta_i with it. Greedy takes requests by theta_i / s_i while they fit; the
    greatest theta_i among requests of at most B is taken alone where it is worth more than all of these. At least half of the greatest
    welfare, which is a knapsack.

    Args:
        agents: how many, or their names.
        prior: over the value of the request; uniform on [0, 1] if omitted.
        needs: s_i, above 0, known to all; 1 each if omitted.
        budget: B, above 0; half of what is needed in all if omitted.

    Raises:
        InputError: needs or a budget not above 0.

    Example:
        >>> pool = shared_budget(["scan", "draft", "train"], needs=[1.0, 1.0, 2.0], budget=2.0)
        >>> outcome = pool.outcome({"scan": 0.5, "draft": 0.4, "train": 0.7})  # .9 together, or .7 alone
        >>> [float(x) for x in outcome.allocation.values()], [round(t, 9) for t in outcome.payments.values()]
        ([1.0, 1.0, 0.0], [0.3, 0.2, 0.0])

    Source:
        A. Mu'alem and N. Nisan, "Truthful approximation mechanisms for restricted combinatorial auctions", Games and Economic Behavior 64
        (2008), Theorem 4 (the better of two bitonic rules is monotone) and section 4.2.
    """
    name = "shared budget"
    names = participants(agents, "agent")
    size = np.ones(len(names)) if needs is None else one_each(name, "needs", needs, names, above=0.0)
    room = number(name, "budget", 0.5 * float(size.sum()) if budget is None else budget, above=True)
    fits = size <= room

    def rule(bids: Bids) -> tuple[Shares, Payments]:
        greedy = _knapsack(bids, size, room)
        sum_greedy = (bids * greedy).sum(axis=1)
        best, alone = _most_valuable(bids, fits)
        takes_alone = best > sum_greedy
        chosen = np.where(takes_alone[:, None], alone, greedy)
        paid = np.zeros_like(bids)
        for i in np.flatnonzero(chosen.any(axis=0)):
            paid[:, i] = np.where(chosen[:, i], _critical_request(bids, int(i), size, room, fits), 0.0)
        return chosen.astype(np.float64), paid

    source = "Mu'alem and Nisan 2008, Theorem 4"
    alike = bool(np.ptp(size) == 0.0)
    return SingleParameterMechanism(
        name=name,
        rule=rule,
        prior=beliefs(names, prior),
        sides=np.ones(len(names)),
        excess=lambda shares: np.asarray((shares * size).sum(axis=1) - room - 1e-12 * room, dtype=np.float64),
        efficient=(lambda types: _knapsack(types, size, room).astype(np.float64)) if alike else None,
        guarantees=(
            *strategyproof(source, "needs are known"),
            Claim(Property.EX_POST_IR, True, "", source),
            Claim(Property.WEAK_BUDGET_BALANCE, True, "", source),
            Claim("half_of_the_welfare", True, "", source),
            *((Claim(Property.EFFICIENCY, True, "equal needs", source),) if alike else ()),
        ),
        formula="better of greedy by theta_i/s_i and the greatest theta_i alone; t_i = the least theta_i that still wins",
        source="A. Mu'alem and N. Nisan, Games and Economic Behavior 64 (2008)",
        resized=resizer(shared_budget, prior, budget=budget) if needs is None and budget is not None else None,
        form=PaymentIdentity(),
    )


def _coverage(
    name: str, names: Sequence[str], covers: Sequence[Sequence[str]] | None, worth: Numbers | None
) -> tuple[_Incidence, _Worths, bool]:
    sets = [[agent] for agent in names] if covers is None else [list(s) for s in covers]
    if len(sets) != len(names) or not all(sets):
        raise InputError(f"{name}: expected at least one element for each of {list(names)}, got {covers!r}")
    elements = list(dict.fromkeys(e for s in sets for e in s))
    value = one_each(name, "worth", np.ones(len(elements)) if worth is None else worth, elements, above=0.0)
    incidence = np.asarray([[float(e in s) for e in elements] for s in sets])
    return incidence, value, bool((incidence.sum(axis=0) > 1.0).any())


def _proportional(bids: Bids, incidence: _Incidence, value: _Worths, share: float) -> _Chosen:
    """Who is taken, in order of cost per value added, before the first who asks more than its proportional share."""
    batch, agents = bids.shape
    taken = np.zeros((batch, agents), dtype=bool)
    bare = np.ones((batch, len(value)))  # elements not covered yet
    going = np.ones(batch, dtype=bool)
    for _ in range(agents):
        added = (bare * value) @ incidence.T
        open_ = ~taken & (added > 0.0)
        density = np.where(open_, bids / np.where(open_, added, 1.0), np.inf)
        k = np.argmin(density, axis=1)
        rows = np.arange(batch)
        gain, asked = added[rows, k], bids[rows, k]
        total = ((1.0 - bare) * value).sum(axis=1) + gain
        going = going & open_[rows, k] & (asked * total <= share * gain)
        if not going.any():
            break
        taken[rows[going], k[going]] = True
        bare = np.where(going[:, None], bare * (1.0 - incidence[k]), bare)
    return taken


def _critical(bids: Bids, i: int, incidence: _Incidence, value: _Worths, share: float) -> Float64[np.ndarray, " batch"]:
    """The greatest cost at which agent i is still taken: the best place that it could have had, among those who come without it."""
    batch, agents = bids.shape
    others = np.arange(agents) != i
    taken = np.zeros((batch, agents), dtype=bool)
    bare = np.ones((batch, len(value)))
    going = np.ones(batch, dtype=bool)
    best = np.zeros(batch)
    rows = np.arange(batch)
    for _ in range(agents):
        added = (bare * value) @ incidence.T
        mine = added[:, i]
        covered = ((1.0 - bare) * value).sum(axis=1)
        open_ = ~taken & (added > 0.0) & others
        density = np.where(open_, bids / np.where(open_, added, 1.0), np.inf)
        k = np.argmin(density, axis=1)
        rival = density[rows, k]
        # ahead of the rival, and within its own proportional share
        limit = np.minimum(
            np.where(np.isfinite(rival), mine * np.where(np.isfinite(rival), rival, 0.0), np.inf),
            share * mine / np.maximum(covered + mine, 1e-300),
        )
        best = np.where(going & (mine > 0.0), np.maximum(best, limit), best)
        gain, asked = added[rows, k], bids[rows, k]
        going = going & np.isfinite(rival) & (asked * (covered + gain) <= share * gain)
        if not going.any():
            break
        taken[rows[going], k[going]] = True
        bare = np.where(going[:, None], bare * (1.0 - incidence[k]), bare)
    return best


def _knapsack(bids: Bids, size: _Vector, room: float, without: int | None = None) -> _Chosen:
    """Requests by value per unit, each taken if it still fits; the lower index first among equals."""
    order = np.argsort(-bids / size, axis=1, kind="stable")
    used = np.zeros(len(bids))
    taken = np.zeros(bids.shape, dtype=bool)
    rows = np.arange(len(bids))
    for place in range(bids.shape[1]):
        k = order[:, place]
        some = used + size[k] <= room * (1.0 + 1e-12)
        if without is not None:
            some &= k != without
        taken[rows[some], k[some]] = True
        used += np.where(some, size[k], 0.0)
    return taken


def _most_valuable(bids: Bids, fits: Bool[np.ndarray, " agents"]) -> tuple[Float64[np.ndarray, " batch"], _Chosen]:
    worth = np.where(fits, bids, -np.inf)
    best = worth.max(axis=1)
    return best, (np.arange(bids.shape[1]) == worth.argmax(axis=1)[:, None]) & np.isfinite(best)[:, None]


def _critical_request(bids: Bids, i: int, size: _Vector, room: float, fits: Bool[np.ndarray, " agents"]) -> Float64[np.ndarray, " batch"]:
    """The least value with which request i is taken: in the greedy set where that is the better, or alone."""
    batch, agents = bids.shape
    rows = np.arange(batch)
    # into the greedy set: down to the value per unit of the first request after which i no longer fits
    others = bids.copy()
    others[:, i] = -1.0
    order = np.argsort(-others / size, axis=1, kind="stable")
    used, least = np.zeros(batch), np.zeros(batch)
    found = np.zeros(batch, dtype=bool)
    for place in range(agents):
        k = order[:, place]
        some = (k != i) & (used + size[k] <= room * (1.0 + 1e-12))
        used += np.where(some, size[k], 0.0)
        blocks = some & ~found & (used + size[i] > room * (1.0 + 1e-12))
        least = np.where(blocks, bids[rows, k] / size[k] * size[i], least)
        found |= blocks
    # the rest of the greedy set does not depend on how far i is above that
    high = bids.copy()
    high[:, i] = np.maximum(bids.max(axis=1) / size.min() * size[i], 1.0) * 2.0
    with_i = _knapsack(high, size, room)
    with_i[:, i] = False
    beside = (bids * with_i).sum(axis=1)
    without = (bids * _knapsack(bids, size, room, without=i)).sum(axis=1)
    rest = np.where(fits & (np.arange(agents) != i), bids, 0.0).max(axis=1)
    joined = np.maximum(least, rest - beside)
    alone = np.maximum(rest, without)
    return np.asarray(np.where(alone < least, np.minimum(joined, alone), joined), dtype=np.float64)


ENTRIES: tuple[Entry, ...] = (
    Entry("budget_feasible", "tasks", budget_feasible, least=1),
    Entry("shared_budget", "tasks", shared_budget),
)
