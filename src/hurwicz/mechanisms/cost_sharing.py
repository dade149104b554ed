"""Sharing a cost among those who want to be served: Moulin–Shapley, marginal cost, and serial cost sharing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import InputError, float64_array
from hurwicz.mechanisms._arguments import ROUNDING, number, resizer
from hurwicz.mechanisms.cost_functions import Cost, cost_model
from hurwicz.mechanisms.registry import Entry
from hurwicz.mechanisms.single_parameter import Bids, Payments, Shares, SingleParameterMechanism
from hurwicz.settings import Beliefs, Claim, Participants, PaymentIdentity, Property, beliefs, participants, strategyproof


def moulin_shapley(agents: Participants = 3, *, prior: Beliefs = None, cost: Cost = 1.0) -> SingleParameterMechanism:
    """Moulin's mechanism with Shapley shares: offer everybody its share of the cost, drop who refuses, and offer again.

    S_0 = all;  S_{k+1} = {i in S_k: b_i >= phi_i(S_k)};  those left are served and pay phi_i(S), the Shapley value of the cost of S.

    Args:
        agents: how many, or their names.
        prior: over the value of being served; uniform on [0, 1] if omitted.
        cost: of serving a set: a number (a fixed cost, shared equally), one number an agent (an airport: the cost of a set is the
            greatest of them), or a function of the set of names, submodular, with cost 0 for nobody (up to 14 agents).

    Raises:
        InputError: a cost that is negative, decreasing or not submodular: shares would not be cross-monotonic, and lies would pay.

    Example:
        >>> from hurwicz.typespaces import Interval, Uniform
        >>> runway = moulin_shapley(["small", "medium", "large"], prior=Uniform(Interval(0.0, 5.0)), cost=[1.0, 2.0, 3.0])
        >>> outcome = runway.outcome({"small": 1.0, "medium": 1.0, "large": 3.0})
        >>> {name: round(t, 6) for name, t in outcome.payments.items()}  # 1/3, 5/6 and 11/6
        {'small': 0.333333, 'medium': 0.833333, 'large': 1.833333}

    Source:
        H. Moulin and S. Shenker, "Strategyproof sharing of submodular costs", Economic Theory 18 (2001), Theorems 1 and 2.
    """
    names = participants(agents, "agent")
    model = cost_model("Moulin–Shapley", names, cost)

    def rule(bids: Bids) -> tuple[Shares, Payments]:
        served = np.ones(bids.shape, dtype=bool)
        while True:
            asked = model.shapley(served)
            stay = served & (bids >= asked - ROUNDING * np.maximum(1.0, asked))
            if bool(np.array_equal(stay, served)):
                return served.astype(np.float64), np.where(served, asked, 0.0)
            served = stay

    source = "Moulin and Shenker 2001"
    claims = [
        *strategyproof(source, "submodular cost"),
        Claim(Property.EX_POST_IR, True, "", source),
        Claim(Property.PLANNER_IR, True, "shares sum to the cost exactly", source),
        Claim("group_strategyproofness", True, "no group gains without a member losing", source),
    ]
    if model.shared:
        claims.append(Claim(Property.EFFICIENCY, False, "loses up to H_k - 1 for a fixed cost of 1 shared by k", source))
    return SingleParameterMechanism(
        name="Moulin–Shapley",
        rule=rule,
        prior=beliefs(names, prior),
        sides=np.ones(len(names)),
        cost=lambda shares: model.cost(shares > 0.5),
        efficient=lambda types: model.efficient(types).astype(np.float64),
        guarantees=tuple(claims),
        formula="largest S with b_i >= phi_i(S) for all i in S; t_i = phi_i(S) = Shapley value of C on S",
        source="H. Moulin and S. Shenker, Economic Theory 18 (2001)",
        resized=resizer(moulin_shapley, prior, cost=cost) if isinstance(cost, int | float) else None,
        form=PaymentIdentity(),
    )


def marginal_cost_sharing(agents: Participants = 3, *, prior: Beliefs = None, cost: Cost = 1.0) -> SingleParameterMechanism:
    """Marginal-cost mechanism: serve the set of the greatest net value, each served agent pays what makes it pivotal (VCG).

    S* = argmax_S sum_{i in S} b_i - C(S), the largest such set;  t_i = b_i x_i - (W(b) - W(b_-i)).

    Args:
        agents: how many, or their names.
        prior: over the value of being served; uniform on [0, 1] if omitted.
        cost: as for :func:`moulin_shapley`.

    Raises:
        InputError: a cost that is negative, decreasing or not submodular.

    Example:
        >>> outcome = marginal_cost_sharing(2, cost=1.0).outcome({"agent 1": 0.9, "agent 2": 0.8})
        >>> [round(t, 9) for t in outcome.payments.values()]  # .3 of a cost of 1: efficient, and in deficit
        [0.2, 0.1]

    Source:
        H. Moulin and S. Shenker, Economic Theory 18 (2001), section 4.
    """
    names = participants(agents, "agent")
    model = cost_model("marginal cost sharing", names, cost)

    def rule(bids: Bids) -> tuple[Shares, Payments]:
        served = model.efficient(bids)
        best = model.net(served, bids)
        paid = np.zeros(bids.shape)
        for i in range(len(names)):
            without = bids.copy()
            without[:, i] = 0.0
            paid[:, i] = bids[:, i] * served[:, i] - (best - model.net(model.efficient(without), without))
        return served.astype(np.float64), paid

    source = "Moulin and Shenker 2001, section 4"
    claims = [
        *strategyproof(source),
        Claim(Property.EX_POST_IR, True, "values >= 0", source),
        Claim(Property.EFFICIENCY, True, "", source),
    ]
    if model.shared:
        claims.append(Claim(Property.PLANNER_IR, False, "pivotal payments do not cover a shared cost", source))
    return SingleParameterMechanism(
        name="marginal cost sharing",
        rule=rule,
        prior=beliefs(names, prior),
        sides=np.ones(len(names)),
        cost=lambda shares: model.cost(shares > 0.5),
        efficient=lambda types: model.efficient(types).astype(np.float64),
        guarantees=tuple(claims),
        formula="S* = argmax sum_{i in S} b_i - C(S); t_i = b_i x_i - (W(b) - W(b_-i))",
        source="H. Moulin and S. Shenker, Economic Theory 18 (2001)",
        resized=resizer(marginal_cost_sharing, prior, cost=cost) if isinstance(cost, int | float) else None,
    ).in_groves_form(pivot="Clarke")


def serial_cost_sharing(
    agents: Participants = 3, *, prior: Beliefs = None, power: float = 2.0, scale: float = 0.5
) -> SingleParameterMechanism:
    """Serial cost sharing of a divisible good: everybody pays as if all who want more wanted no more than itself.

    C(Q) = scale Q^power, v_i = theta_i q_i. Sorted by type, y_k = (C')^-1(theta_k):  q_k = sum_{l <= k} (y_l - y_{l-1}) / (n-l+1) and
    t_k = sum_{l <= k} (C(y_l) - C(y_{l-1})) / (n-l+1): the demands of the unique equilibrium of Moulin and Shenker's serial rule, asked
    for as types.

    Args:
        agents: how many, or their names.
        prior: over the value of a unit; uniform on [0, 1] if omitted.
        power: of the cost, above 1.
        scale: of the cost, above 0.

    Raises:
        InputError: a cost that is not strictly convex and increasing, or negative types.

    Example:
        >>> well = serial_cost_sharing(["ann", "bob"])  # C(Q) = Q^2 / 2, so that C'(Q) = Q
        >>> outcome = well.outcome({"ann": 0.4, "bob": 1.0})
        >>> [round(float(q), 9) for q in outcome.allocation.values()], [round(t, 9) for t in outcome.payments.values()]
        ([0.2, 0.8], [0.04, 0.46])

    Source:
        H. Moulin and S. Shenker, "Serial cost sharing", Econometrica 60 (1992), Theorems 1 and 2.
    """
    name = "serial cost sharing"
    names = participants(agents, "agent")
    exponent, factor = number(name, "power", power, least=1.0, above=True), number(name, "scale", scale, above=True)
    joint = beliefs(names, prior)
    for agent, space in joint.spaces.items():
        if float(np.min(space.grid(2))) < 0.0:
            raise InputError(f"{name}: expected values of a unit of at least 0, got {space!r} for {agent!r}")

    def cost_of(total: Float64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
        return factor * total**exponent

    def wanted(worth: Float64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
        return (worth / (factor * exponent)) ** (1.0 / (exponent - 1.0))

    def rule(bids: Bids) -> tuple[Shares, Payments]:
        order = np.argsort(bids, axis=1, kind="stable")
        target = wanted(np.take_along_axis(bids, order, axis=1))
        shares, paid = np.empty_like(bids), np.empty_like(bids)
        np.put_along_axis(shares, order, _serial(target), axis=1)
        np.put_along_axis(paid, order, _serial(cost_of(target)), axis=1)
        return shares, paid

    def efficient(types: Bids) -> Shares:
        top = np.arange(types.shape[1]) == types.argmax(axis=1)[:, None]
        return np.where(top, wanted(types), 0.0)

    source = "Moulin and Shenker 1992, Theorem 2"
    many = len(names) > 1
    return SingleParameterMechanism(
        name=name,
        rule=rule,
        prior=joint,
        sides=np.ones(len(names)),
        cost=lambda shares: cost_of(np.maximum(shares, 0.0).sum(axis=1)),
        efficient=efficient,
        guarantees=(
            *strategyproof(source, "convex cost"),
            Claim(Property.EX_POST_IR, True, "", source),
            Claim(Property.PLANNER_IR, True, "payments sum to the cost exactly", source),
            Claim(Property.EFFICIENCY, not many, "one agent alone faces the whole marginal cost", source),
            Claim("group_strategyproofness", True, "", source),
        ),
        formula="q_k = sum_{l <= k} (y_l - y_{l-1})/(n-l+1), t_k = sum_{l <= k} (C(y_l) - C(y_{l-1}))/(n-l+1), y_k = (C')^-1(theta_k)",
        source="H. Moulin and S. Shenker, Econometrica 60 (1992)",
        resized=resizer(serial_cost_sharing, prior, power=power, scale=scale),
        form=PaymentIdentity(),
    )


def serial_shares(demands: Float64[np.ndarray, " agents"], cost: Callable[[float], float]) -> Float64[np.ndarray, " agents"]:
    """What each pays for its demand under serial cost sharing.

    Sorted by demand, y_k = q_1 + ... + q_{k-1} + (n-k+1) q_k and x_k = sum_{l <= k} (C(y_l) - C(y_{l-1})) / (n-l+1).

    Args:
        demands: amounts, at least 0.
        cost: of a total amount, with cost(0) = 0.

    Raises:
        InputError: a negative demand.

    Example:
        >>> serial_shares(np.array([1.0, 2.0, 3.0]), lambda total: total**2).round(6).tolist()  # C(3), C(5) and C(6): 9, 25, 36
        [3.0, 11.0, 22.0]

    Source:
        H. Moulin and S. Shenker, Econometrica 60 (1992), definition 1.
    """
    given = float64_array(demands, "demands", shape=(None,))
    if bool(np.any(given < 0.0)):
        raise InputError(f"serial_shares: expected demands of at least 0, got {given.tolist()}")
    order = np.argsort(given, kind="stable")
    ordered = given[order]
    count = len(given)
    totals = np.concatenate([[0.0], np.cumsum(ordered)[:-1]]) + np.arange(count, 0, -1) * ordered
    out = np.empty(count)
    out[order] = _serial(np.asarray([[float(cost(float(y))) for y in totals]]))[0]
    return out


def shapley_shares(agents: Participants, cost: Cost) -> dict[str, float]:
    """The Shapley value of a cost: each agent's marginal cost, averaged over every order of arrival.

    phi_i = sum_{T without i} |T|! (n-|T|-1)! / n! (C(T + i) - C(T))

    Args:
        agents: how many, or their names.
        cost: as for :func:`moulin_shapley`; it need not be submodular here.

    Raises:
        InputError: a function for more than 14 agents.

    Example:
        >>> {name: round(share, 6) for name, share in shapley_shares(["a", "b", "c"], [1.0, 2.0, 3.0]).items()}
        {'a': 0.333333, 'b': 0.833333, 'c': 1.833333}

    Source:
        L. S. Shapley (1953); the airport game: S. C. Littlechild and G. Owen, Management Science 20 (1973).
    """
    names = participants(agents, "agent")
    model = cost_model("shapley_shares", names, cost, submodular=False)
    return dict(zip(names, model.shapley(np.ones((1, len(names)), dtype=bool))[0].tolist(), strict=True))


def _serial(levels: Float64[np.ndarray, "batch agents"]) -> Float64[np.ndarray, "batch agents"]:
    # each further step is shared by those who go on
    n = levels.shape[1]
    return np.asarray(np.cumsum(np.diff(levels, axis=1, prepend=0.0) / np.arange(n, 0, -1), axis=1), dtype=np.float64)


ENTRIES: tuple[Entry, ...] = (
    Entry("moulin_shapley", "general", moulin_shapley, least=2),
    Entry("marginal_cost_sharing", "general", marginal_cost_sharing, least=2),
    Entry("serial_cost_sharing", "general", serial_cost_sharing, least=2),
)
