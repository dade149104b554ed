"""Bounded rationality: agents that stop searching where one more step gains less than it costs (Simon 1956)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray, InputError, Solution, Status
from hurwicz.prices.agents import DeclaredAgent, PopulationAgent
from hurwicz.prices.dynamics import GradientResponse
from hurwicz.prices.offer import Offer
from hurwicz.prices.planner import Problem, compiled, coordinate, total_loss
from hurwicz.valuations.numbers import Numbers

MarginalEffort = float | Callable[[int], float]


@final
class SatisficingAgent:
    """An agent whose search is x(T), T = 1, 2, ... gradient steps, and who pays kappa(T) for effort (never part of L).

    It stops for good at the first T where the gain of the next step, price · (x(T+1) - x(T)) - C(x(T+1)) + C(x(T)), is at
    most kappa'(T); members of a population stop each for itself. An offer of a gradient step is one step of the search; any
    other offer is answered by a whole search of ``inner_step`` steps from the offer's anchor (or from the last answer).

    Args:
        agent: the agent that would search on and on.
        marginal_effort: kappa', money per step: a number, or a function of the steps taken so far.
        inner_step: step size of a search within one offer.
        max_steps: limit of one search.

    Example:
        >>> from hurwicz.valuations import Quadratic
        >>> lazy = SatisficingAgent(DeclaredAgent("a", Quadratic(), 0.5), 0.1, inner_step=0.5)
        >>> float(lazy.respond(Offer(price=np.array(3.0)))), lazy.effort.tolist()
        (2.625, 3.0)
    """

    def __init__(
        self,
        agent: DeclaredAgent | PopulationAgent,
        marginal_effort: MarginalEffort,
        *,
        inner_step: float | None = None,
        max_steps: int = 100_000,
    ) -> None:
        self._agent = agent
        self._marginal = marginal_effort if callable(marginal_effort) else (lambda _: float(marginal_effort))
        if not callable(marginal_effort) and not marginal_effort >= 0:
            raise InputError(f"agent {agent.name!r}: expected a marginal effort cost >= 0, got {marginal_effort!r}")
        self._inner_step = inner_step
        self._max_steps = max_steps
        members = agent.shape[:1] if isinstance(agent, PopulationAgent) else ()
        self._searching = np.ones(members, dtype=bool)
        self._last: FloatArray | None = None
        self.effort: FloatArray = np.zeros(members)

    @property
    def name(self) -> str:
        """The agent's name."""
        return self._agent.name

    @property
    def shape(self) -> tuple[int, ...]:
        """The action's shape."""
        return self._agent.shape

    @property
    def searching(self) -> bool:
        """True while a member still searches."""
        return bool(self._searching.any())

    def respond(self, offer: Offer, inputs: Mapping[str, Any] | None = None) -> Float64[FloatArray, "*action"]:
        """One step of the search, or a whole search."""
        if offer.step is not None and offer.anchor is not None:
            return self._step(offer, np.asarray(offer.anchor, dtype=np.float64), inputs)
        if self._inner_step is None:
            raise InputError(f"agent {self.name!r}: give inner_step= to a satisficing agent that gets offers other than gradient steps")
        x = self._last if self._last is not None else np.zeros(self.shape)
        if offer.anchor is not None:
            x = np.asarray(offer.anchor, dtype=np.float64)
        self._searching[...] = True
        self.effort = np.zeros_like(self.effort)
        for _ in range(self._max_steps):
            pull = 0.0 if offer.anchor is None else offer.weight * (np.asarray(offer.anchor) - x)
            x = self._step(Offer(price=offer.price + pull, anchor=x, step=self._inner_step), x, inputs)
            if not self.searching:
                break
        return x

    def _step(self, offer: Offer, x: Float64[FloatArray, "*action"], inputs: Mapping[str, Any] | None) -> Float64[FloatArray, "*action"]:
        following = self._agent.respond(offer, inputs)
        members = self._searching.shape
        paid = (offer.price * (following - x)).reshape(*members, -1).sum(axis=-1)
        gain = paid - (self._agent.costs_at(following, inputs) - self._agent.costs_at(x, inputs))
        steps = int(self.effort.max(initial=0.0))
        self._searching &= gain > self._marginal(steps)
        going = self._searching.reshape(members + (1,) * (len(self.shape) - len(members)))
        self.effort = np.asarray(self.effort + self._searching)
        self._last = np.where(going, following, x)
        return self._last


@dataclass(frozen=True)
class Satisficed:
    """Where agents with effort costs come to rest.

    Attributes:
        actions: by agent.
        effort: steps T* taken, by agent (an array for a population).
        loss: total loss L = S + sum C there (effort is not in it).
        full_effort_loss: total loss of agents that search on and on.
        residual_loss: the difference: what was left on the table.
    """

    actions: dict[str, Float64[FloatArray, "..."]]
    effort: dict[str, Float64[FloatArray, "*members"]]
    loss: float
    full_effort_loss: float
    residual_loss: float


def satisfice(
    problem: Problem,
    agents: Sequence[DeclaredAgent | PopulationAgent],
    marginal_effort: MarginalEffort | Mapping[str, MarginalEffort],
    *,
    step: float,
    start: Mapping[str, Numbers] | None = None,
    max_steps: int = 100_000,
) -> Solution[Satisficed]:
    """Gradient response of agents for whom every step has a cost, and what their early stop costs the system.

    For one agent on a descent path T* falls weakly and the residual loss rises weakly in kappa'; with several agents moving
    at once neither need hold. Compare appendix C.11 of the paper, where the number of iterations is set by hand.

    Args:
        problem: the price graph or its compiled loss.
        agents: declared agents; the loss is computed with their costs, as an experimenter does and a planner cannot.
        marginal_effort: kappa' for all, or by name; a number or a function of the steps taken.
        step: eta of the gradient response.
        start: first actions.
        max_steps: rounds allowed.

    Returns:
        ``Status.SATISFICED`` where everyone stopped by itself, ``Status.STEP_LIMIT`` otherwise.

    Example:
        >>> from hurwicz.prices.graph import PriceGraph
        >>> from hurwicz.valuations import Quadratic
        >>> graph = PriceGraph.from_loss(lambda x: (x["a"] - 1.0) ** 2, {"a": ()})
        >>> found = satisfice(graph, [DeclaredAgent("a", Quadratic(), 1.0)], 0.01, step=0.1)
        >>> found.status.value, int(found.value.effort["a"])
        ('satisficed', 4)
    """
    loss = compiled(problem)
    by_name = dict(marginal_effort) if isinstance(marginal_effort, Mapping) else {agent.name: marginal_effort for agent in agents}
    missing = sorted({agent.name for agent in agents} - set(by_name))
    if missing:
        raise InputError(f"marginal_effort: none given for {missing}")
    lazy = [SatisficingAgent(agent, by_name[agent.name]) for agent in agents]
    rested = coordinate(
        loss,
        lazy,
        dynamics=GradientResponse(step),
        start=start,
        tol=1e-300,
        max_rounds=max_steps,
        convex=True,
        raise_on_failure=False,
    )
    full = coordinate(loss, agents, start=start)
    actions = rested.value.actions
    reached, best = total_loss(loss, actions, agents), total_loss(loss, full.value.actions, agents)
    value = Satisficed(actions, {agent.name: agent.effort for agent in lazy}, reached, best, reached - best)
    everyone = not any(agent.searching for agent in lazy)
    status = Status.SATISFICED if everyone and rested.status.ok else (Status.STEP_LIMIT if rested.status.ok else rested.status)
    return Solution(value, status, {"rounds": rested.value.rounds, "full_effort_rounds": full.value.rounds})
