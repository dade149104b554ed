"""What a planner learns of types from answers: identification, Bayes' rule, and plans that follow.

For myopic agents one answer settles a one-parameter cost. For strategic agents the same update is an invitation to shade: the answer
is a report, and paying linear prices for it is the direct mechanism that the auditor refutes; Clarke transfers close it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Shaped
from numpy.typing import NDArray

from hurwicz._foundation import FloatArray, InputError
from hurwicz.prices.payments import AllocationProblem, total_loss
from hurwicz.typespaces import Finite, FinitePrior, Interval, Prior, ProductPrior, TypeSpace

MarginalCost = Callable[[float, float], float]
Respond = Callable[[float], float]


@dataclass(frozen=True)
class Identified:
    """The types that an answer is consistent with.

    Attributes:
        low: smallest.
        high: largest; equal to ``low`` where the answer settles the type.
    """

    low: float
    high: float

    @property
    def exact(self) -> bool:
        """True where one type is left."""
        return self.low == self.high


def identify(
    marginal_cost: MarginalCost,
    price: float,
    action: float,
    space: Interval,
    *,
    low: float = -np.inf,
    high: float = np.inf,
    tolerance: float = 1e-14,
) -> Identified:
    """The type whose marginal cost at the answer equals the price: C'(x; theta) = p.

    Marginal cost has to be monotone in the type at that action. An answer at a bound only says on which side the marginal cost lies
    (at the upper bound C' <= p, at the lower C' >= p), which leaves an interval.

    Args:
        marginal_cost: (action, type) → dC/dx.
        price: what was offered.
        action: what was answered.
        space: types that the agent may have.
        low: lower bound of the action.
        high: upper bound of the action.
        tolerance: of the type, relative to the interval.

    Returns:
        One type, or the interval of types that the answer allows.

    Raises:
        InputError: no type in the space explains the answer, or every type does (marginal cost does not depend on the type there).

    Example:
        >>> identify(lambda x, w: 2 * w * x, 0.6, 1.0, Interval(0.1, 1.0)).low
        0.3
        >>> identify(lambda x, w: 2 * w * x, 0.6, 1.0, Interval(0.1, 1.0), high=1.0)
        Identified(low=0.1, high=0.3)
    """
    from scipy.optimize import brentq

    def gap(theta: float) -> float:
        return float(marginal_cost(action, theta)) - price

    at_low, at_high = gap(space.low), gap(space.high)
    if at_low == at_high:
        raise InputError(
            f"identify: expected a marginal cost that changes with the type, got {at_low + price} for every type at action {action}"
        )
    slack = 1e-12 * max(abs(price), abs(at_low), abs(at_high))  # a type at an end of the space may miss it by rounding
    at_low, at_high = (0.0 if abs(g) <= slack else g for g in (at_low, at_high))
    at_upper, at_lower = action >= high, action <= low
    crossing = at_low * at_high <= 0.0
    if crossing:
        if at_low == 0.0 or at_high == 0.0:
            root = space.low if at_low == 0.0 else space.high
        else:
            root = float(brentq(gap, space.low, space.high, xtol=tolerance * (space.high - space.low), rtol=1e-15))
            root = float(f"{root:.14g}")
        if not (at_upper or at_lower):
            return Identified(root, root)
        below = at_upper == (at_high > at_low)  # the side on which marginal cost <= price (upper bound) or >= price (lower bound)
        return Identified(space.low, root) if below else Identified(root, space.high)
    consistent = (at_upper and at_low < 0.0) or (at_lower and at_low > 0.0)
    if not consistent:
        raise InputError(
            f"identify: no type in [{space.low}, {space.high}] has marginal cost {price} at action {action} "
            f"(they run from {at_low + price:.6g} to {at_high + price:.6g}); another family, or an answer to another offer"
        )
    return Identified(space.low, space.high)


def update(
    prior: Prior, likelihood: Callable[[Shaped[NDArray[Any], "points *type"]], Float64[FloatArray, "points"]], *, points: int = 129
) -> FinitePrior:
    """Bayes' rule: the prior reweighted by the likelihood of what was seen (a continuum on a quadrature's points).

    Args:
        prior: over one agent's types.
        likelihood: types → how likely each makes the answer.
        points: nodes for a prior on an interval.

    Raises:
        InputError: no type of the prior makes the answer possible.

    Example:
        >>> posterior = update(FinitePrior([0.1, 0.3, 0.5]), lambda w: (abs(w - 0.3) < 0.05).astype(float))
        >>> float(posterior.mean)
        0.3
    """
    types, weights = prior.quadrature(points)
    mass = weights * np.asarray(likelihood(types), dtype=np.float64)
    if not float(mass.sum()) > 0.0 or bool(np.any(mass < 0.0)):
        raise InputError("update: no type of the prior makes what was seen possible; widen the prior or look for another cost family")
    kept = mass > 0.0
    return FinitePrior(types[kept], mass[kept] / mass[kept].sum())


@dataclass(frozen=True)
class LearningRound:
    """One round of planning, asking and learning.

    Attributes:
        beliefs: agent name → expected type that the plan used.
        plan: planned actions.
        answers: what the agents did at the plan's prices.
        loss: L of the plan at the true types.
        excess: its excess over the least L.
    """

    beliefs: dict[str, float]
    plan: Float64[FloatArray, "agents"]
    answers: Float64[FloatArray, "agents"]
    loss: float
    excess: float


def learn_types(
    problem: AllocationProblem,
    beliefs: Mapping[str, float] | ProductPrior,
    respond: Mapping[str, Respond],
    marginal_cost: MarginalCost,
    spaces: Mapping[str, TypeSpace],
    true_types: Mapping[str, float],
    *,
    rounds: int = 2,
    bounds: Sequence[tuple[float, float]] | None = None,
) -> list[LearningRound]:
    """Plan with the believed types, offer the plan's prices, identify each type from the answer, plan again.

    With a one-parameter cost family and myopic agents the second plan is the optimum: the loss from misspecified types is gone.

    Args:
        problem: scalar actions.
        beliefs: agent name → expected type, or the prior whose means they are.
        respond: agent name → what the agent does at a price. The planner sees nothing else of it.
        marginal_cost: the family's (action, type) → dC/dx.
        spaces: agent name → interval or finite set of types; on a finite set the nearest type to the identified one is believed.
        true_types: for the account of losses only; no plan uses them.
        rounds: how many plans.
        bounds: (low, high) of each agent's action where it has bounds.

    Returns:
        One entry a round.

    Example:
        The paper's C.14: .3 is taken for .1.

        >>> from hurwicz.prices.payments import QuadraticAggregate
        >>> problem = QuadraticAggregate(7.461, 5)
        >>> true = dict(zip(problem.agents, (0.3, 0.5, 0.2, 0.4, 0.6)))
        >>> run = learn_types(
        ...     problem, {**true, "agent 1": 0.1}, {name: lambda p, w=w: p / (2 * w) for name, w in true.items()},
        ...     lambda x, w: 2 * w * x, {name: Interval(0.01, 2.0) for name in true}, true)
        >>> [round(r.excess, 6) for r in run]
        [1.185692, 0.0]
    """
    believed = {n: float(v) for n, v in (beliefs.mean if isinstance(beliefs, ProductPrior) else beliefs).items()}
    truth = [np.asarray([true_types[n]], dtype=np.float64) for n in problem.agents]
    least = float(total_loss(problem, problem.solve(truth), truth)[0])
    history: list[LearningRound] = []
    for _ in range(rounds):
        plan = problem.solve([np.asarray([believed[n]], dtype=np.float64) for n in problem.agents])
        prices = problem.price(plan)[0]
        answers = np.asarray([float(respond[n](float(p))) for n, p in zip(problem.agents, prices, strict=True)])
        loss = float(total_loss(problem, plan, truth)[0])
        history.append(LearningRound(dict(believed), plan[0], answers, loss, loss - least))
        for i, name in enumerate(problem.agents):
            limits = (-np.inf, np.inf) if bounds is None else bounds[i]
            believed[name] = _believe(spaces[name], marginal_cost, float(prices[i]), float(answers[i]), limits, believed[name])
    return history


def _believe(
    space: TypeSpace, marginal_cost: MarginalCost, price: float, answer: float, limits: tuple[float, float], before: float
) -> float:
    if isinstance(space, Finite):
        values = np.asarray(space.values, dtype=np.float64)
        gaps = np.asarray([abs(marginal_cost(answer, float(v)) - price) for v in values])
        return float(values[int(np.argmin(gaps))])
    if not isinstance(space, Interval):
        raise InputError(f"learn_types: expected scalar types (Interval or Finite), got {type(space).__name__}")
    found = identify(marginal_cost, price, answer, space, low=limits[0], high=limits[1])
    # where a bound leaves an interval of types, the old belief is kept as far as the answer allows it
    return found.low if found.exact else float(np.clip(before, found.low, found.high))
