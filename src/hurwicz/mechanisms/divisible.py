"""Dividing one divisible good by bids: Kelly's proportional share, its equilibrium, and VCG–Kelly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import InputError, float64_array
from hurwicz.mechanisms._arguments import Numbers, number, resizer
from hurwicz.mechanisms.registry import Entry
from hurwicz.mechanisms.single_parameter import Bids, Payments, Rule, Shares, SingleParameterMechanism
from hurwicz.settings import Beliefs, Claim, Participants, Property, beliefs, participants

_HALVINGS = 64


@dataclass(frozen=True)
class KellyEquilibrium:
    """The Nash equilibrium of proportional sharing among agents who know how their bids move the price.

    Attributes:
        bids: what each bids and pays.
        shares: of the good.
        price: sum of the bids.
        welfare: sum of theta_i q_i^e at the equilibrium.
        best_welfare: the greatest there is.
    """

    bids: Float64[np.ndarray, " agents"]
    shares: Float64[np.ndarray, " agents"]
    price: float
    welfare: float
    best_welfare: float

    @property
    def ratio(self) -> float:
        """Welfare as a part of the greatest: at least 3/4 for concave values."""
        return self.welfare / self.best_welfare


def proportional_share(agents: Participants = 3, *, prior: Beliefs = None, exponent: float = 1.0) -> SingleParameterMechanism:
    """Kelly's proportional share: everybody pays its bid and gets that part of the good, bids over the sum of bids.

    q_i = b_i / sum_j b_j,  t_i = b_i;  v_i = theta_i q_i^e. Bids are not values: its equilibrium is :func:`proportional_share_equilibrium`.

    Args:
        agents: how many, or their names.
        prior: over theta; uniform on [0, 1] if omitted.
        exponent: e, above 0 and at most 1: 1 is a constant value of each part, less a decreasing one.

    Raises:
        InputError: an exponent outside (0, 1], or negative types.

    Example:
        >>> link = proportional_share(["ann", "bob"])
        >>> outcome = link.outcome({"ann": 0.6, "bob": 0.2})
        >>> [round(float(q), 9) for q in outcome.allocation.values()], outcome.payments["ann"]
        ([0.75, 0.25], 0.6)

    Source:
        F. Kelly, European Transactions on Telecommunications 8 (1997); R. Johari and J. Tsitsiklis, Mathematics of Operations Research 29
        (2004): at least 3/4 of the welfare at equilibrium.
    """
    name = "proportional share"
    names = participants(agents, "agent")
    e = number(name, "exponent", exponent, above=True, most=1.0)

    def rule(bids: Bids) -> tuple[Shares, Payments]:
        total = bids.sum(axis=1, keepdims=True)
        return np.where(total > 0.0, bids / np.where(total > 0.0, total, 1.0), 0.0) ** e, bids.copy()

    source = "Johari and Tsitsiklis 2004"
    return _divisible(
        name,
        names,
        prior,
        e,
        rule,
        (
            Claim(Property.DSIC, False, "who bids its value pays it all", source),
            Claim(Property.BIC, False, "", source),
            Claim(Property.EX_POST_IR, False, "bids are not values", source),
            Claim(Property.EFFICIENCY, False, "", source),
            Claim(Property.WEAK_BUDGET_BALANCE, True, "", source),
            Claim("price_of_anarchy_3_4", True, "concave values, price-anticipating equilibrium", f"{source}, Theorem 3"),
        ),
        "q_i = b_i / sum b, t_i = b_i",
        "F. Kelly (1997); R. Johari and J. Tsitsiklis (2004)",
        resizer(proportional_share, prior, exponent=exponent),
    )


def proportional_share_equilibrium(values: Numbers, *, exponent: float = 1.0) -> KellyEquilibrium:
    """The price-anticipating equilibrium of proportional sharing, which is unique.

    theta_i e q_i^(e-1) (1 - q_i) = p where q_i > 0, theta_i <= p where e = 1 and q_i = 0, sum q = 1; bids p q_i.

    Args:
        values: theta, above 0, at least two of them.
        exponent: e of v_i = theta_i q_i^e, above 0 and at most 1.

    Raises:
        InputError: fewer than two agents, or a value that is not above 0.

    Example:
        >>> tight = proportional_share_equilibrium([1.0] + [0.5] * 1000)
        >>> round(tight.ratio, 3)
        0.75

    Source:
        R. Johari and J. Tsitsiklis, Mathematics of Operations Research 29 (2004), Theorem 2; B. Hajek and G. Gopalakrishnan (2002).
    """
    theta = float64_array(values, "values", shape=(None,))
    e = number("proportional_share_equilibrium", "exponent", exponent, above=True, most=1.0)
    if len(theta) < 2 or bool(np.any(theta <= 0.0)):
        raise InputError(f"proportional_share_equilibrium: expected at least two values, all above 0, got {theta.tolist()}")
    if e == 1.0:
        price, shares = _linear_equilibrium(theta)
        best = float(theta.max())
    else:
        price, shares = _concave_equilibrium(theta, e)
        best = float((theta ** (1.0 / (1.0 - e))).sum() ** (1.0 - e))
    return KellyEquilibrium(price * shares, shares, price, float((theta * shares**e).sum()), best)


def vcg_kelly(
    agents: Participants = 3, *, prior: Beliefs = None, exponent: float = 0.5, surrogate: float | None = None
) -> SingleParameterMechanism:
    """VCG–Kelly: one number from each, the division that is best for surrogate values b_i f(q), and VCG payments in that currency.

    f = q^s (s in (0, 1)) or log q (s = 0);  q_i = b_i^(1/(1-s)) / A with A = sum_j b_j^(1/(1-s)),
    t_i = A_-i^(1-s) - A_-i A^-s, or B_-i log(B / B_-i) for the logarithm, B = sum_j b_j.

    With s = e, the surrogate is of the values' own form and this is VCG. Otherwise a bid is a signal: the Nash equilibrium
    (:func:`vcg_kelly_equilibrium`) is efficient, though nobody's bid is its value.

    Args:
        agents: how many, or their names.
        prior: over theta of v_i = theta_i q_i^e; uniform on [0, 1] if omitted.
        exponent: e in (0, 1).
        surrogate: s in [0, 1); e if omitted.

    Raises:
        InputError: exponents out of range, or negative types.

    Example:
        >>> outcome = vcg_kelly(["ann", "bob"]).outcome({"ann": 0.8, "bob": 0.6})
        >>> [round(float(x) ** 2, 9) for x in outcome.allocation.values()]  # q in proportion to theta^2
        [0.64, 0.36]

    Source:
        S. Yang and B. Hajek, IEEE JSAC 25 (2007); R. Johari and J. Tsitsiklis, Operations Research 57 (2009).
    """
    name = "VCG–Kelly"
    names = participants(agents, "agent")
    e = number(name, "exponent", exponent, above=True, most=1.0 - 1e-9)
    s = e if surrogate is None else number(name, "surrogate", surrogate, most=1.0 - 1e-9)

    def rule(bids: Bids) -> tuple[Shares, Payments]:
        weight = bids ** (1.0 / (1.0 - s))
        total = weight.sum(axis=1, keepdims=True)
        some = np.where(total > 0.0, total, 1.0)
        others = np.maximum(total - weight, 0.0)
        if s == 0.0:
            paid = np.where(others > 0.0, others * np.log(some / np.where(others > 0.0, others, 1.0)), 0.0)
        else:
            paid = others ** (1.0 - s) - others * some**-s
        return np.where(total > 0.0, weight / some, 0.0) ** e, paid

    own = s == e
    source = "Yang and Hajek 2007"
    made = _divisible(
        name,
        names,
        prior,
        e,
        rule,
        (
            Claim(Property.DSIC, own, "only where the surrogate has the form of the values", source),
            Claim(Property.EFFICIENCY, own, "truthful bids; with another surrogate the Nash equilibrium is efficient", source),
            *((Claim(Property.EX_POST_IR, True, "surrogate of the form of the values", source),) if own else ()),
            Claim(Property.WEAK_BUDGET_BALANCE, True, "", source),
            Claim(Property.STRONG_BUDGET_BALANCE, False, "", source),
            Claim("efficient_nash_equilibrium", True, "strictly concave values", f"{source}, Theorem 1"),
        ),
        "q maximises sum b_i f(q_i); t_i = max sum_{j != i} b_j f - sum_{j != i} b_j f(q_j)",
        "S. Yang and B. Hajek (2007); R. Johari and J. Tsitsiklis (2009)",
        resizer(vcg_kelly, prior, exponent=exponent, surrogate=surrogate),
    )
    return made.in_groves_form(pivot="Clarke") if own else made


def vcg_kelly_equilibrium(values: Numbers, *, exponent: float = 0.5, surrogate: float = 0.0) -> Float64[np.ndarray, " agents"]:
    """Bids of the efficient Nash equilibrium of VCG–Kelly.

    With q the efficient division and lambda = theta_i e q_i^(e-1) its price, b_i f'(q_i) = lambda for all i.

    Args:
        values: theta, above 0, at least two of them.
        exponent: e of v_i = theta_i q_i^e, in (0, 1).
        surrogate: s of f = q^s, or 0 for the logarithm.

    Raises:
        InputError: fewer than two agents, a value not above 0, or exponents out of range.

    Example:
        >>> vcg_kelly_equilibrium([0.8, 0.6]).round(6).tolist()  # lambda = .5 here, and q = .64, .36
        [0.32, 0.18]

    Source:
        R. Johari and J. Tsitsiklis, Operations Research 57 (2009), Theorem 3.
    """
    theta = float64_array(values, "values", shape=(None,))
    e = number("vcg_kelly_equilibrium", "exponent", exponent, above=True, most=1.0 - 1e-9)
    s = number("vcg_kelly_equilibrium", "surrogate", surrogate, most=1.0 - 1e-9)
    if len(theta) < 2 or bool(np.any(theta <= 0.0)):
        raise InputError(f"vcg_kelly_equilibrium: expected at least two values, all above 0, got {theta.tolist()}")
    weight = theta ** (1.0 / (1.0 - e))
    q = weight / weight.sum()
    price = float(theta[0] * e * q[0] ** (e - 1.0))
    return np.asarray(price * q if s == 0.0 else price / (s * q ** (s - 1.0)), dtype=np.float64)


def _linear_equilibrium(theta: Float64[np.ndarray, " agents"]) -> tuple[float, Float64[np.ndarray, " agents"]]:
    # k highest take part: sum (1 - p / theta) = 1 gives p = (k - 1) / sum 1 / theta, the largest k whose last theta exceeds p
    ordered = np.sort(theta)[::-1]
    prices = np.arange(len(theta)) / np.cumsum(1.0 / ordered)
    taking = int(np.flatnonzero(ordered > prices).max())
    price = float(prices[taking])
    shares = np.maximum(0.0, 1.0 - price / theta)
    return price, shares / shares.sum()


def _concave_equilibrium(theta: Float64[np.ndarray, " agents"], e: float) -> tuple[float, Float64[np.ndarray, " agents"]]:
    # demand at a price falls in the price: bisection on its logarithm, and inside it one on log q (1 - q keeps q below 1)
    def demand(price: float) -> Float64[np.ndarray, " agents"]:
        low, high = np.full(len(theta), -700.0), np.zeros(len(theta))
        for _ in range(_HALVINGS):
            middle = 0.5 * (low + high)
            q = np.exp(middle)
            more = theta * e * q ** (e - 1.0) * (1.0 - q) > price
            low, high = np.where(more, middle, low), np.where(more, high, middle)
        return np.exp(0.5 * (low + high))

    low, high = np.log(1e-12 * theta.min() * e), np.log(theta.max() * e * len(theta) ** (1.0 - e) * 4.0)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if demand(float(np.exp(middle))).sum() > 1.0 else (low, middle)
    price = float(np.exp(0.5 * (low + high)))
    shares = demand(price)
    return price, shares / shares.sum()


def _divisible(
    name: str,
    names: tuple[str, ...],
    prior: Beliefs,
    e: float,
    rule: Rule,
    guarantees: tuple[Claim, ...],
    formula: str,
    source: str,
    resized: Callable[[Sequence[str]], SingleParameterMechanism] | None,
) -> SingleParameterMechanism:
    joint = beliefs(names, prior)
    for agent, space in joint.spaces.items():
        if float(np.min(space.grid(2))) < 0.0:
            raise InputError(f"{name}: expected types of at least 0, got {space!r} for {agent!r}")

    def efficient(types: Bids) -> Shares:
        if e == 1.0:
            return np.asarray(np.arange(types.shape[1]) == types.argmax(axis=1)[:, None], dtype=np.float64)
        weight = types ** (1.0 / (1.0 - e))
        total = weight.sum(axis=1, keepdims=True)
        return np.asarray(np.where(total > 0.0, weight / np.where(total > 0.0, total, 1.0), 0.0) ** e, dtype=np.float64)

    return SingleParameterMechanism(
        name=name,
        rule=rule,
        prior=joint,
        sides=np.ones(len(names)),
        excess=lambda shares: np.asarray((np.maximum(shares, 0.0) ** (1.0 / e)).sum(axis=1) - 1.0, dtype=np.float64),
        efficient=efficient,
        guarantees=guarantees,
        formula=formula,
        source=source,
        resized=resized,
    )


ENTRIES: tuple[Entry, ...] = (
    Entry("proportional_share", "general", proportional_share, least=2),
    Entry("vcg_kelly", "general", vcg_kelly, least=2),
)
