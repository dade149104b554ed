"""Prices as direct mechanisms: agents report types, the planner solves globally, every agent is paid by a rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float64, Shaped
from numpy.typing import NDArray

from hurwicz._foundation import FloatArray, InputError, NotConvergedError, Solution, Status
from hurwicz.prices.payments import AllocationProblem, PaymentRule, total_cost, total_loss
from hurwicz.settings import Outcome, Outcomes
from hurwicz.typespaces import Finite, ProductPrior, TypeSpace


class PriceMechanism:
    """Reports → planned actions → transfers; a batched direct mechanism for the auditor.

    Utility of agent i is tau_i - C_i(x_i; theta_i), with v_i = -C_i and payment t_i = -tau_i. Welfare is -L. The planner's own value is
    S(o) - S(x): what its loss falls by against everybody opting out.

    Args:
        problem: system loss, costs, bounds, opt-outs.
        rule: how the agents are paid.
        type_spaces: agent name → types that it may have and report; the prior's spaces if omitted.
        prior: common prior, for BIC and interim properties.

    Raises:
        InputError: neither type spaces nor a prior, or agents that do not match the problem's.

    Example:
        >>> from hurwicz.prices.payments import Linear, QuadraticAggregate
        >>> from hurwicz.typespaces import Interval
        >>> problem = QuadraticAggregate(7.461, ["a", "b"])
        >>> mechanism = PriceMechanism(problem, Linear(), {name: Interval(0.05, 1.0) for name in problem.agents})
        >>> outcome = mechanism.outcome({"a": 0.1, "b": 0.5})
        >>> round(mechanism.value("a", outcome, 0.1) - outcome.payments["a"], 6)
        3.293877
    """

    def __init__(
        self,
        problem: AllocationProblem,
        rule: PaymentRule,
        type_spaces: Mapping[str, TypeSpace] | None = None,
        *,
        prior: ProductPrior | None = None,
    ) -> None:
        if type_spaces is None and prior is None:
            raise InputError("PriceMechanism: expected type_spaces or a prior, got neither")
        spaces = dict(prior.spaces if type_spaces is None and prior is not None else type_spaces or {})
        if set(spaces) != set(problem.agents):
            raise InputError(f"PriceMechanism: expected type spaces for {list(problem.agents)}, got {list(spaces)}")
        self.problem = problem
        self.rule = rule
        self.prior = prior
        self._spaces = {name: spaces[name] for name in problem.agents}
        self._bound = rule.bind(problem)

    @property
    def agents(self) -> tuple[str, ...]:
        """Names, in order."""
        return self.problem.agents

    @property
    def type_spaces(self) -> Mapping[str, TypeSpace]:
        """Agent name → types."""
        return self._spaces

    @property
    def accuracy(self) -> float:
        """Error of payments and values in money, beyond rounding."""
        return self._bound.accuracy + self.problem.accuracy

    def outcome(self, reports: Mapping[str, Any]) -> Outcome:
        """Actions and payments for one profile of reports."""
        return self.outcomes({name: np.asarray(reports[name])[None] for name in self.agents}).one(0)

    def value(self, agent: str, outcome: Outcome, true_type: Any) -> float:
        """-C_i(x_i; theta_i), net of opting out."""
        i = self.agents.index(agent)
        return -float(self.problem.cost(i, np.asarray(outcome.allocation[agent])[None], np.asarray(true_type)[None])[0])

    def welfare(self, outcome: Outcome, true_types: Mapping[str, Any]) -> float:
        """-L at the true types."""
        actions = np.stack([np.asarray(outcome.allocation[name]) for name in self.agents])[None]
        return -float(total_loss(self.problem, actions, [np.asarray(true_types[name])[None] for name in self.agents])[0])

    def planner_value(self, outcome: Outcome) -> float:
        """S(o) - S(x): the planner's gain before payments."""
        actions = np.stack([np.asarray(outcome.allocation[name]) for name in self.agents])[None]
        return float(self.problem.system_loss(self.problem.opt_out[None])[0] - self.problem.system_loss(actions)[0])

    def outcomes(self, reports: Mapping[str, Shaped[NDArray[Any], "batch ..."]]) -> Outcomes:
        """Actions and payments for a batch of profiles."""
        types = [np.asarray(reports[name]) for name in self.agents]
        actions = self._bound.plan(types)
        paid = self._bound.transfers(types, actions)
        return Outcomes(
            allocation={name: actions[:, i] for i, name in enumerate(self.agents)},
            payments={name: -paid[:, i] for i, name in enumerate(self.agents)},
        )

    def values(self, agent: str, outcomes: Outcomes, true_types: Shaped[NDArray[Any], "batch *type"]) -> Float64[FloatArray, "batch"]:
        """-C_i for every outcome of a batch."""
        return -self.problem.cost(self.agents.index(agent), np.asarray(outcomes.allocation[agent]), true_types)

    def welfares(self, outcomes: Outcomes, true_types: Mapping[str, Shaped[NDArray[Any], "batch ..."]]) -> Float64[FloatArray, "batch"]:
        """-L for every outcome of a batch."""
        return -total_loss(self.problem, self._actions(outcomes), [true_types[name] for name in self.agents])

    def planner_values(self, outcomes: Outcomes) -> Float64[FloatArray, "batch"]:
        """S(o) - S(x) for every outcome of a batch."""
        away = self.problem.system_loss(self.problem.opt_out[None])[0]
        return np.asarray(away - self.problem.system_loss(self._actions(outcomes)), dtype=np.float64)

    def welfare_bounds(self, true_types: Mapping[str, Shaped[NDArray[Any], "batch ..."]]) -> Float64[FloatArray, "batch"]:
        """A certified upper bound on welfare at each profile of types; infinite where convexity does not give one."""
        types = [true_types[name] for name in self.agents]
        return -self.problem.loss_bound(self.problem.solve(types), types)

    def efficient_outcomes(self, true_types: Mapping[str, Shaped[NDArray[Any], "batch ..."]]) -> Outcomes:
        """The optimum for each profile of types, unpaid: what the rule's own outcome is compared with."""
        types = [np.asarray(true_types[name]) for name in self.agents]
        actions = self.problem.solve(types)
        nothing = np.zeros(len(actions))
        return Outcomes({name: actions[:, i] for i, name in enumerate(self.agents)}, dict.fromkeys(self.agents, nothing))

    def _actions(self, outcomes: Outcomes) -> Float64[FloatArray, "batch agents *action"]:
        return np.stack([np.asarray(outcomes.allocation[name]) for name in self.agents], axis=1)


def utilities(mechanism: PriceMechanism, reports: Mapping[str, Any], true_types: Mapping[str, Any]) -> dict[str, float]:
    """Every agent's utility at one profile of reports.

    Example:
        >>> from hurwicz.prices.payments import Clarke, QuadraticAggregate
        >>> from hurwicz.typespaces import Interval
        >>> problem = QuadraticAggregate(2.0, ["a"])
        >>> mechanism = PriceMechanism(problem, Clarke(), {"a": Interval(0.1, 2.0)})
        >>> utilities(mechanism, {"a": 1.0}, {"a": 1.0})
        {'a': 2.0}
    """
    outcome = mechanism.outcome(reports)
    return {name: mechanism.value(name, outcome, true_types[name]) - outcome.payments[name] for name in mechanism.agents}


def best_report(
    mechanism: PriceMechanism, agent: str, reports: Mapping[str, Any], true_type: Any, *, points: int = 65, rounds: int = 12
) -> Any:
    """The report that serves an agent best against given reports: grid, then nested finer grids around the best (scalar types).

    Example:
        >>> from hurwicz.prices.payments import Linear, QuadraticAggregate
        >>> from hurwicz.typespaces import Interval
        >>> lam = {"agent 1": 0.1, "agent 2": 0.5, "agent 3": 0.2, "agent 4": 0.4, "agent 5": 0.6}
        >>> mechanism = PriceMechanism(QuadraticAggregate(7.461, 5), Linear(), {name: Interval(0.01, 2.0) for name in lam})
        >>> round(best_report(mechanism, "agent 1", lam, 0.1), 3)
        0.182
    """
    space = mechanism.type_spaces[agent]
    candidates = space.grid(points)
    if candidates.ndim != 1:
        raise InputError(f"best_report: expected scalar types of {agent!r}, got vectors of {candidates.shape[1:]}")

    def payoff(batch: Float64[FloatArray, "types"]) -> Float64[FloatArray, "types"]:
        profile = {name: batch if name == agent else np.full(len(batch), reports[name], dtype=np.float64) for name in mechanism.agents}
        outcomes = mechanism.outcomes(profile)
        true = np.full(len(batch), true_type, dtype=np.float64)
        return mechanism.values(agent, outcomes, true) - np.asarray(outcomes.payments[agent])

    gains = payoff(candidates)
    best = int(np.argmax(gains))
    if isinstance(space, Finite):
        return candidates[best].item()
    low, high = candidates[max(0, best - 1)], candidates[min(len(candidates) - 1, best + 1)]
    for _ in range(rounds):
        candidates = np.linspace(low, high, 17)
        best = int(np.argmax(payoff(candidates)))
        low, high = candidates[max(0, best - 1)], candidates[min(16, best + 1)]
    return float(candidates[best])


def reports_equilibrium(
    mechanism: PriceMechanism, true_types: Mapping[str, Any], *, tolerance: float = 1e-8, limit: int = 200
) -> Solution[dict[str, Any]]:
    """A Nash equilibrium in reports, by best responses in turn from the truth (pure strategies, scalar types, complete information).

    Args:
        mechanism: whose reports.
        true_types: agent name → true type.
        tolerance: largest relative change of a report over a full turn at which the process stops.
        limit: most full turns.

    Returns:
        The reports; ``stats`` hold the loss there, the least loss, their ratio less 1, each agent's best remaining gain, and the turns.

    Raises:
        NotConvergedError: the best responses still move.

    Example:
        >>> from hurwicz.prices.payments import Linear, QuadraticAggregate
        >>> from hurwicz.typespaces import Interval
        >>> problem = QuadraticAggregate(7.461, 5)
        >>> lam = dict(zip(problem.agents, (0.1, 0.5, 0.2, 0.4, 0.6)))
        >>> nash = reports_equilibrium(PriceMechanism(problem, Linear(), {n: Interval(0.01, 2.0) for n in lam}), lam)
        >>> round(nash.stats["excess_loss"], 3)
        0.066
    """
    reports = {name: true_types[name] for name in mechanism.agents}
    turn = 0
    while True:
        turn += 1
        moved = 0.0
        for name in mechanism.agents:
            answer = best_report(mechanism, name, reports, true_types[name])
            moved = max(moved, abs(answer - reports[name]) / max(abs(reports[name]), 1e-300))
            reports[name] = answer
        if moved <= tolerance:
            break
        if turn >= limit:
            raise NotConvergedError(
                f"reports_equilibrium: best responses still move reports by {moved:.3g} after {limit} turns; raise limit or tolerance",
                reached=reports,
            )
    at, truth = mechanism.outcome(reports), mechanism.outcome(true_types)
    loss, least = -mechanism.welfare(at, true_types), -mechanism.welfare(truth, true_types)
    stay = utilities(mechanism, reports, true_types)
    gains = {}
    for name in mechanism.agents:
        deviation = {**reports, name: best_report(mechanism, name, reports, true_types[name])}
        gains[name] = utilities(mechanism, deviation, true_types)[name] - stay[name]
    stats = {"loss": loss, "least_loss": least, "excess_loss": loss / least - 1.0, "best_gains": gains, "turns": turn}
    return Solution(reports, Status.STATIONARY_POINT, stats)


def action_game_gain(
    problem: AllocationProblem,
    types: Mapping[str, Any],
    actions: Float64[FloatArray, "agents *action"],
    agent: int,
    deviation: Float64[FloatArray, "*action"],
) -> tuple[float, float]:
    """Gain of one agent's change of action under own-path payments, others held, and the fall of L: the same number.

    u_i(x_i', x_-i) - u_i(x) = L(x) - L(x_i', x_-i): an exact potential game (Monderer and Shapley 1996).

    Args:
        problem: the allocation problem.
        types: agent name → true type.
        actions: x.
        agent: i.
        deviation: x_i'.

    Returns:
        (gain in utility, fall of L).

    Example:
        >>> import numpy as np
        >>> from hurwicz.prices.payments import QuadraticAggregate
        >>> problem = QuadraticAggregate(2.0, ["a", "b"])
        >>> action_game_gain(problem, {"a": 1.0, "b": 1.0}, np.array([0.0, 0.5]), 0, np.array(0.5))
        (1.0, 1.0)
    """
    theta = [np.asarray(types[name])[None] for name in problem.agents]
    away, moved = actions.copy(), actions.copy()
    away[agent] = problem.opt_out[agent]
    moved[agent] = deviation

    def utility(x: Float64[FloatArray, "agents *action"]) -> float:
        paid = problem.system_loss(away[None])[0] - problem.system_loss(x[None])[0]
        return float(paid - problem.cost(agent, x[None, agent], theta[agent])[0])

    def loss(x: Float64[FloatArray, "agents *action"]) -> float:
        return float(problem.system_loss(x[None])[0] + total_cost(problem, x[None], theta)[0])

    return utility(moved) - utility(actions), loss(actions) - loss(moved)
