"""Buying tasks from agents with private costs: Vickrey for several tasks, scored second price, assignment VCG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float64, Int64

from hurwicz._foundation import InputError
from hurwicz.mechanisms._arguments import Numbers, count, ends, number, one_each, resizer, shared_out, ties_of
from hurwicz.mechanisms.multi_parameter import MultiParameterMechanism, Reports
from hurwicz.mechanisms.registry import Entry
from hurwicz.mechanisms.single_parameter import Bids, Payments, Shares, SingleParameterMechanism
from hurwicz.settings import Beliefs, Claim, JointPrior, Participants, PaymentIdentity, Property, beliefs, participants, strategyproof
from hurwicz.typespaces import Box, Uniform


def vickrey_tasks(
    agents: Participants = 3, *, prior: Beliefs = None, tasks: int = 1, worth: float | None = None, ties: str = "lottery"
) -> SingleParameterMechanism:
    """Vickrey procurement of several tasks alike, one an agent: the lowest costs work, at the lowest cost that is left out.

    x_i = 1 for the k lowest costs up to V,  -t_i = x_i min(V, c_(k+1)).

    Args:
        agents: how many, or their names.
        prior: over costs; uniform on [0, 1] if omitted.
        tasks: k.
        worth: V of each task to the requester; the highest cost there may be if omitted.
        ties: among equal costs at the margin: ``"lottery"`` or ``"order"``.

    Raises:
        InputError: no task, or a negative worth.

    Example:
        >>> outcome = vickrey_tasks(["ann", "bob", "cy"], tasks=2).outcome({"ann": 0.4, "bob": 0.1, "cy": 0.6})
        >>> outcome.payments
        {'ann': -0.6, 'bob': -0.6, 'cy': 0.0}

    Source:
        W. Vickrey, Journal of Finance 16 (1961), turned round.
    """
    name = "Vickrey tasks"
    names = participants(agents, "agent")
    joint = beliefs(names, prior)
    k = count(name, "tasks", tasks)
    value = number(name, "worth", max(ends(s)[1] for s in joint.spaces.values()) if worth is None else worth)
    ties_of(name, ties)

    def lowest(bids: Bids) -> Shares:
        order = np.sort(bids, axis=1)
        last = order[:, [min(k, bids.shape[1]) - 1]]
        takes = (bids <= last) & (bids <= value)
        sure = (bids < last) & takes
        tied = takes & ~sure
        left = np.minimum(k - sure.sum(axis=1, keepdims=True), tied.sum(axis=1, keepdims=True))
        if ties == "order":
            return np.asarray(sure | (tied & (np.cumsum(tied, axis=1) <= left)), dtype=np.float64)
        return np.asarray(sure + tied * left / np.maximum(tied.sum(axis=1, keepdims=True), 1), dtype=np.float64)

    def rule(bids: Bids) -> tuple[Shares, Payments]:
        shares = lowest(bids)
        next_cost = np.sort(bids, axis=1)[:, [k]] if bids.shape[1] > k else np.inf
        return shares, 0.0 - shares * np.minimum(next_cost, value)

    source = "Vickrey 1961"
    return SingleParameterMechanism(
        name=name,
        rule=rule,
        prior=joint,
        sides=-np.ones(len(names)),
        cost=lambda shares: -value * np.minimum(shares.sum(axis=1), k),
        excess=lambda shares: np.asarray(np.maximum(shares.sum(axis=1) - k, shares.max(axis=1) - 1.0), dtype=np.float64),
        efficient=lowest,
        guarantees=(
            *strategyproof(source),
            Claim(Property.EX_POST_IR, True, "", source),
            Claim(Property.EFFICIENCY, True, "", source),
            Claim(Property.PLANNER_IR, True, "no task costs more than V", source),
            Claim(Property.WEAK_BUDGET_BALANCE, False, "the requester pays", source),
        ),
        formula="x_i = 1 for the k lowest costs up to V; -t_i = x_i min(V, c_(k+1))",
        source="W. Vickrey, Journal of Finance 16 (1961)",
        resized=resizer(vickrey_tasks, prior, tasks=tasks, worth=value, ties=ties),
    ).in_groves_form(pivot="leave-one-out")


def scored_second_price(
    agents: Participants = 3,
    *,
    prior: Beliefs = None,
    reputation: Numbers | None = None,
    weight: float = 0.5,
    ceiling: float | None = None,
    ties: str = "lottery",
) -> SingleParameterMechanism:
    """Second price by a score of price and reputation, paid at its critical value.

    s_i = w b_i + (1-w) (1 - r_i); the lowest score wins and is paid the highest ask with which it still would have:
    -t_i = min(R, (s_(2) - (1-w) (1 - r_i)) / w), and not the runner-up's price.

    Args:
        agents: how many, or their names.
        prior: over costs; uniform on [0, 1] if omitted.
        reputation: r_i in [0, 1], known to all; equally spaced from 1 down to 1/2 if omitted.
        weight: w of the price in the score, above 0 and at most 1.
        ceiling: R, the highest ask that is taken; the highest cost there may be if omitted.
        ties: ``"lottery"`` or ``"order"``.

    Raises:
        InputError: reputations or a weight outside their range.

    Example:
        >>> tender = scored_second_price(["ann", "bob"], reputation=[0.9, 0.5], weight=0.5)
        >>> outcome = tender.outcome({"ann": 0.6, "bob": 0.4})  # scores .35 and .45
        >>> round(outcome.payments["ann"], 9)  # with .8 ann would score .45
        -0.8

    Source:
        R. Myerson, Mathematics of Operations Research 6 (1981), Lemma 2: a monotone award is truthful at critical payments alone; scores:
        Y.-K. Che, RAND Journal of Economics 24 (1993).
    """
    name = "scored second price"
    names = participants(agents, "agent")
    joint = beliefs(names, prior)
    given = np.linspace(1.0, 0.5, len(names)) if reputation is None else one_each(name, "reputation", reputation, names)
    if bool(np.any(given > 1.0)):
        raise InputError(f"{name}: expected reputations in [0, 1], got {given.tolist()}")
    w = number(name, "weight", weight, above=True, most=1.0)
    top = number(name, "ceiling", max(ends(s)[1] for s in joint.spaces.values()) if ceiling is None else ceiling)
    ties_of(name, ties)
    penalty = (1.0 - w) * (1.0 - given)

    def rule(bids: Bids) -> tuple[Shares, Payments]:
        takes = bids <= top
        score = np.where(takes, w * bids + penalty, np.inf)
        order = np.sort(score, axis=1)
        best_other = np.where(score <= order[:, :1], order[:, 1:2] if len(names) > 1 else np.inf, order[:, :1])
        shares = shared_out(ties, np.where(takes, -score, -1e300)) * takes
        critical = np.minimum(top, (best_other - penalty) / w)
        return shares, 0.0 - shares * np.where(shares > 0.0, critical, 0.0)

    source = "Myerson 1981, Lemma 2"
    level = bool(np.ptp(given) == 0.0) or w == 1.0
    return SingleParameterMechanism(
        name=name,
        rule=rule,
        prior=joint,
        sides=-np.ones(len(names)),
        cost=lambda shares: -top * np.minimum(shares.sum(axis=1), 1.0),
        excess=lambda shares: np.asarray(shares.sum(axis=1) - 1.0, dtype=np.float64),
        efficient=lambda types: shared_out("order", -types) * (types <= top),
        guarantees=(
            *strategyproof(source),
            Claim(Property.EX_POST_IR, True, "", source),
            Claim(Property.PLANNER_IR, True, "no ask above the ceiling is taken", source),
            Claim(Property.EFFICIENCY, level, "reputation is preferred to cost; only costs count here", source),
        ),
        formula="lowest w b_i + (1-w)(1 - r_i) wins; -t_i = min(R, (s_(2) - (1-w)(1 - r_i))/w)",
        source="R. Myerson (1981); Y.-K. Che, RAND Journal of Economics 24 (1993)",
        resized=resizer(scored_second_price, prior, weight=weight, ceiling=ceiling, ties=ties) if reputation is None else None,
        form=PaymentIdentity(paying=False),
    )


def assignment_vcg(agents: Participants = 2, *, prior: Beliefs = None, items: int | Sequence[str] = 2) -> MultiParameterMechanism:
    """Assignment VCG: items to agents who want one each, at the lowest prices that clear.

    mu = argmax sum_i theta_i,mu(i);  t_i = W(theta_-i) - (W(theta) - theta_i,mu(i)), which is the least competitive price of mu(i).

    All payments come from one assignment: the least prices are the longest paths p_j = max(0, max_i p_mu(i) + theta_ij - theta_i,mu(i)).

    Args:
        agents: how many, or their names.
        prior: over each agent's values of the items, shape (items,), at least 0; uniform on [0, 1] each if omitted.
        items: how many, or their names.

    Raises:
        InputError: no item, or a prior over another number of them or over negative values.

    Example:
        >>> outcome = assignment_vcg(["ann", "bob"], items=["desk", "window"]).outcome({"ann": [0.9, 0.4], "bob": [0.8, 0.7]})
        >>> outcome.allocation["ann"], round(outcome.payments["ann"], 9)  # bob at the desk instead would gain .1
        (array([1., 0.]), 0.1)

    Source:
        H. Leonard, "Elicitation of honest preferences for the assignment of individuals to positions", Journal of Political Economy 91
        (1983); G. Demange, D. Gale and M. Sotomayor (1986).
    """
    name = "assignment VCG"
    names = participants(agents, "agent")
    joint, labels = _vectors(name, names, prior, items, "item")

    def rule(reports: Reports) -> tuple[dict[str, Float64[np.ndarray, "batch items"]], dict[str, Float64[np.ndarray, " batch"]]]:
        values = np.stack([reports[n] for n in names], axis=1)
        matched = _matchings(values)
        prices = _least_prices(values, matched)
        return _one_hot(names, matched, values.shape[2]), {
            n: np.where(matched[:, i] >= 0, np.take_along_axis(prices, np.maximum(matched[:, [i]], 0), axis=1)[:, 0], 0.0)
            for i, n in enumerate(names)
        }

    source = "Leonard 1983"
    return MultiParameterMechanism(
        name=name,
        rule=rule,
        prior=joint,
        excess=_demand_above_one,
        efficient=lambda reports: _one_hot(names, _matchings(np.stack([reports[n] for n in names], axis=1)), len(labels)),
        guarantees=(
            *strategyproof(source),
            Claim(Property.EX_POST_IR, True, "", source),
            Claim(Property.EFFICIENCY, True, "", source),
            Claim(Property.WEAK_BUDGET_BALANCE, True, "", source),
            *((Claim(Property.STRONG_BUDGET_BALANCE, False, "prices are collected", source),) if len(names) > 1 else ()),
        ),
        formula="mu = argmax sum theta_i,mu(i); t_i = least competitive price of mu(i)",
        source="H. Leonard, Journal of Political Economy 91 (1983)",
        labels=dict.fromkeys(names, labels),
        resized=resizer(assignment_vcg, prior, items=items),
    ).in_groves_form(pivot="Clarke")


def assignment_procurement(
    agents: Participants = 2, *, prior: Beliefs = None, tasks: int | Sequence[str] = 2, worth: Numbers = 1.0
) -> MultiParameterMechanism:
    """Assignment VCG of tasks to agents who can do one each: the greatest worth less cost, paid at critical values.

    mu = argmax sum_i V_mu(i) - c_i,mu(i);  -t_i = V_mu(i) - p_mu(i), p the least competitive prices of the places at the tasks.

    Args:
        agents: how many, or their names.
        prior: over each agent's costs of the tasks, shape (tasks,), at least 0; uniform on [0, 1] each if omitted.
        tasks: how many, or their names.
        worth: V of each task, or one for all; a task that costs more stays undone.

    Raises:
        InputError: no task, a prior over another number of them, or a negative worth.

    Example:
        >>> outcome = assignment_procurement(["ann", "bob"], tasks=1).outcome({"ann": [0.2], "bob": [0.6]})
        >>> outcome.payments
        {'ann': -0.6, 'bob': 0.0}

    Source:
        H. Leonard, Journal of Political Economy 91 (1983), turned round.
    """
    name = "assignment procurement"
    names = participants(agents, "agent")
    joint, labels = _vectors(name, names, prior, tasks, "task")
    each = np.broadcast_to(np.asarray(worth, dtype=np.float64), (len(labels),))
    value = one_each(name, "worth", each, labels)

    def rule(reports: Reports) -> tuple[dict[str, Float64[np.ndarray, "batch tasks"]], dict[str, Float64[np.ndarray, " batch"]]]:
        net = value - np.stack([reports[n] for n in names], axis=1)
        matched = _matchings(net)
        get = value - _least_prices(net, matched)
        return _one_hot(names, matched, len(labels)), {
            n: 0.0 - np.where(matched[:, i] >= 0, np.take_along_axis(get, np.maximum(matched[:, [i]], 0), axis=1)[:, 0], 0.0)
            for i, n in enumerate(names)
        }

    source = "Leonard 1983"
    return MultiParameterMechanism(
        name=name,
        rule=rule,
        prior=joint,
        sides=dict.fromkeys(names, -1.0),
        excess=_demand_above_one,
        guarantees=(
            *strategyproof(source),
            Claim(Property.EX_POST_IR, True, "", source),
            Claim(Property.WEAK_BUDGET_BALANCE, False, "the requester pays", source),
        ),
        formula="mu = argmax sum V_mu(i) - c_i,mu(i); -t_i = V_mu(i) - least competitive price of mu(i)",
        source="H. Leonard, Journal of Political Economy 91 (1983)",
        labels=dict.fromkeys(names, labels),
        resized=resizer(assignment_procurement, prior, tasks=tasks, worth=worth),
    ).in_groves_form(worth=value, pivot="leave-one-out")


def _vectors(name: str, names: Sequence[str], prior: Beliefs, things: int | Sequence[str], word: str) -> tuple[JointPrior, tuple[str, ...]]:
    labels = tuple(f"{word} {k + 1}" for k in range(things)) if isinstance(things, int) else tuple(things)
    if not labels or len(set(labels)) != len(labels):
        raise InputError(f"{name}: expected at least one {word} and different names, got {things!r}")
    dims = len(labels)
    joint = beliefs(names, Uniform(Box(np.zeros(dims), np.ones(dims))) if prior is None else prior)
    for agent, space in joint.spaces.items():
        grid = np.asarray(space.grid(2), dtype=np.float64)
        if grid.ndim != 2 or grid.shape[1] != dims or bool((grid < 0.0).any()):
            raise InputError(f"{name}: expected types with a number of at least 0 for each of {dims} {word}s, got {space!r} for {agent!r}")
    return joint, labels


def _matchings(values: Float64[np.ndarray, "batch agents items"]) -> Int64[np.ndarray, "batch agents"]:
    """For each agent its item in an optimal assignment, -1 for none; nothing of a value at or below 0 is assigned."""
    from scipy.optimize import linear_sum_assignment

    batch, agents, _ = values.shape
    out = np.full((batch, agents), -1, dtype=np.int64)
    worth = np.maximum(values, 0.0)
    for b in range(batch):
        rows, columns = linear_sum_assignment(worth[b], maximize=True)
        some = values[b, rows, columns] > 0.0
        out[b, rows[some]] = columns[some]
    return out


def _least_prices(
    values: Float64[np.ndarray, "batch agents items"], matched: Int64[np.ndarray, "batch agents"]
) -> Float64[np.ndarray, "batch items"]:
    """The least prices that support the assignment: longest paths from free items and agents without one, in at most ``items`` rounds."""
    batch, _, items = values.shape
    has = matched >= 0
    own = np.maximum(matched, 0)
    kept = np.where(has, np.take_along_axis(values, own[:, :, None], axis=2)[:, :, 0], 0.0)
    gain = values - kept[:, :, None]  # what agent i would gain in another place, prices aside
    sold = np.zeros((batch, items), dtype=bool)
    profile, agent = np.nonzero(has)
    sold[profile, matched[profile, agent]] = True
    prices = np.zeros((batch, items))
    for _ in range(items + 1):
        paid = np.where(has, np.take_along_axis(prices, own, axis=1), 0.0)
        raised = np.where(sold, np.maximum(0.0, (gain + paid[:, :, None]).max(axis=1)), 0.0)
        if bool(np.all(raised <= prices)):
            break
        prices = np.maximum(prices, raised)
    return prices


def _one_hot(
    names: Sequence[str], matched: Int64[np.ndarray, "batch agents"], things: int
) -> dict[str, Float64[np.ndarray, "batch things"]]:
    return {n: (matched[:, [i]] == np.arange(things)).astype(np.float64) for i, n in enumerate(names)}


def _demand_above_one(allocation: Mapping[str, Float64[np.ndarray, "batch things"]]) -> Float64[np.ndarray, " batch"]:
    # every thing at most once, and at most one to an agent
    each = np.stack(list(allocation.values()), axis=1)
    return np.asarray(np.maximum(each.sum(axis=1).max(axis=1), each.sum(axis=2).max(axis=1)) - 1.0, dtype=np.float64)


ENTRIES: tuple[Entry, ...] = (
    Entry("vickrey_tasks", "tasks", vickrey_tasks, least=1),
    Entry("scored_second_price", "tasks", scored_second_price),
    Entry("assignment_vcg", "tasks", assignment_vcg, least=1),
    Entry("assignment_procurement", "tasks", assignment_procurement, least=1),
)
