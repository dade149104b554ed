"""Moving targets: the loss changes, agents come and go, and the planner goes on from where it stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray, GraphError, Solution
from hurwicz.prices.dynamics import Dynamics
from hurwicz.prices.graph import PriceGraph
from hurwicz.prices.graph_loss import SystemLoss
from hurwicz.prices.offer import Offer, Respondent
from hurwicz.prices.planner import Coordination, Problem, compiled, coordinate
from hurwicz.valuations.numbers import Numbers, numbers


class _Absent:
    """An agent that has left: its action stays where it was put."""

    def __init__(self, name: str, action: Float64[FloatArray, "*action"]) -> None:
        self.name = name
        self.shape = action.shape
        self._action = action

    def respond(self, offer: Offer, inputs: Mapping[str, Any]) -> Float64[FloatArray, "*action"]:
        """The held action, whatever the offer."""
        del offer, inputs
        return self._action


class Tracker:
    """A planner that is kept: ``run`` starts where the last run ended.

    Args:
        problem: a price graph (or its compiled loss) with a node for every agent that may ever be there; or a function from
            the names of the agents that are there to such a graph, for agents that nobody knows yet.
        agents: those there at the beginning; nodes without an agent are held at 0 until one enters.
        dynamics: as in ``coordinate``.
        settings: further keyword arguments of ``coordinate``.

    Example:
        >>> from hurwicz.prices.agents import DeclaredAgent
        >>> from hurwicz.valuations import Quadratic
        >>> graph = PriceGraph()
        >>> target, a = graph.source("target", 2.0), graph.agent("a")
        >>> miss = graph.loss("miss", lambda a, target: (a - target) ** 2, [a, target])
        >>> tracker = Tracker(graph, [DeclaredAgent("a", Quadratic(), 1.0)])
        >>> round(float(tracker.run().value.actions["a"]), 6)
        1.0
        >>> tracker.update({"target": 4.0})
        >>> round(float(tracker.run().value.actions["a"]), 6)
        2.0
    """

    def __init__(
        self,
        problem: Problem | Callable[[tuple[str, ...]], PriceGraph],
        agents: Sequence[Respondent],
        *,
        dynamics: Dynamics | None = None,
        **settings: Any,
    ) -> None:
        self._build = None if isinstance(problem, PriceGraph | SystemLoss) else problem
        self._agents = {agent.name: agent for agent in agents}
        if len(self._agents) != len(agents):
            raise GraphError(f"two agents have the same name among {[agent.name for agent in agents]}")
        self._loss = compiled(problem if isinstance(problem, PriceGraph | SystemLoss) else problem(tuple(self._agents)))
        self._dynamics = dynamics
        self._settings = settings
        self._data: dict[str, Numbers] = {}
        self._actions: dict[str, FloatArray] = {}
        self._held: dict[str, FloatArray] = {}

    @property
    def present(self) -> tuple[str, ...]:
        """Names of the agents that are there."""
        return tuple(self._agents)

    def update(self, data: Mapping[str, Numbers]) -> None:
        """Replace data of sources from the next run on; nothing is compiled again."""
        self._loss.terms({**self._data, **data})
        self._data.update(data)

    def leave(self, name: str, action: Numbers = 0.0) -> None:
        """The agent is gone; its node stays, held at ``action`` (its opt-out), or goes with it where the graph is built from names."""
        if name not in self._agents:
            raise GraphError(f"leave: no agent {name!r} is here; there are {sorted(self._agents)}")
        shape = tuple(self._agents.pop(name).shape)
        self._actions.pop(name, None)
        self._held[name] = np.broadcast_to(numbers(action, f"action of {name!r}"), shape).copy()
        self._rebuild()

    def enter(self, agent: Respondent) -> None:
        """An agent comes, new or back."""
        if agent.name in self._agents:
            raise GraphError(f"enter: an agent {agent.name!r} is here already; give the new one its own name")
        if self._build is None and agent.name not in self._loss.agents:
            raise GraphError(
                f"enter: the graph has no node for {agent.name!r}, only for {sorted(self._loss.agents)}; "
                "give Tracker a function from names to a graph"
            )
        self._agents[agent.name] = agent
        held = self._held.pop(agent.name, None)
        if held is not None:
            self._actions[agent.name] = held
        self._rebuild()

    def _rebuild(self) -> None:
        if self._build is not None:
            self._loss = compiled(self._build(self.present))

    def run(self) -> Solution[Coordination]:
        """Coordinate those who are there, from the last actions on; ``value.actions`` holds the absent ones too."""
        absent = [
            _Absent(name, self._held.get(name, np.zeros(shape))) for name, shape in self._loss.agents.items() if name not in self._agents
        ]
        start = {name: self._actions.get(name, np.zeros(shape)) for name, shape in self._loss.agents.items()}
        start.update({agent.name: agent._action for agent in absent})
        solution = coordinate(
            self._loss, [*self._agents.values(), *absent], dynamics=self._dynamics, start=start, data=self._data, **self._settings
        )
        self._actions = {name: solution.value.actions[name] for name in self._agents}
        return solution
