"""What a planner can do in a run: read its own loss, and put offers to all agents at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from typing import Any

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import AgentError, FloatArray, GraphError, InputError
from hurwicz.prices.graph_loss import SystemLoss, Terms
from hurwicz.prices.offer import Offer, Respondent, Transcript

POLICIES = ("stop", "skip", "last")


class RoundLimit(Exception):  # noqa: N818 - a signal to the driver, not an error
    """The round limit came in the middle of a step."""


class Exchange:
    """The planner's side of the table.

    Attributes:
        loss: the compiled system loss.
        terms: data, multipliers and penalty that it is evaluated with.
        rounds: broadcasts so far.
        transcript: every offer and answer so far.
    """

    def __init__(
        self,
        loss: SystemLoss,
        agents: Sequence[Respondent],
        terms: Terms,
        *,
        max_rounds: int,
        on_failure: str | Mapping[str, str] | None = None,
        executor: Executor | None = None,
    ) -> None:
        self.loss = loss
        self.terms = terms
        self.max_rounds = max_rounds
        self.rounds = 0
        self.transcript = Transcript()
        self.skipped: set[str] = set()
        self.failures: list[str] = []
        self._agents = match_agents(loss, agents)
        self._on_failure = on_failure
        self._executor = executor
        self._last: dict[str, FloatArray] = {}
        self._held: dict[str, FloatArray] = {}
        self._fed = {name: loss.nodes[name].inputs for name in loss.agents if loss.nodes[name].inputs}
        for policy in [on_failure] if isinstance(on_failure, str) else list((on_failure or {}).values()):
            if policy not in POLICIES:
                raise InputError(f"on_failure: expected one of {POLICIES}, got {policy!r}")

    def start_from(self, flat: Float64[FloatArray, "dims"]) -> None:
        """What a failing agent is held at until it has answered once."""
        self._held = {name: value.copy() for name, value in self.loss.unflatten(flat).items()}

    def value(self, flat: Float64[FloatArray, "dims"]) -> float:
        """S (with the constraints' terms) at ``flat``."""
        return float(self.loss.call("value_and_slope", flat, self.terms)[0])

    def price(self, flat: Float64[FloatArray, "dims"]) -> Float64[FloatArray, "dims"]:
        """-dS/dx at ``flat``; raises ``NotFiniteError`` naming the node."""
        slope = np.asarray(self.loss.call("value_and_slope", flat, self.terms)[1], dtype=np.float64)
        return -self.loss.check_slope(slope, flat, self.terms)

    def bend(self, flat: Float64[FloatArray, "dims"], direction: Float64[FloatArray, "dims"]) -> Float64[FloatArray, "dims"]:
        """d²S/dx² at ``flat`` times ``direction``."""
        return np.array(self.loss.call("bend", flat, direction, self.terms), dtype=np.float64)

    def aggregate(self) -> tuple[Float64[FloatArray, "rows dims"], Float64[FloatArray, "rows"]]:
        """(A, b) with S(x) = f(A x + b): the loss's waist, or the identity and zero where it has none."""
        waist = self.loss.waist
        return (np.eye(self.loss.size), np.zeros(self.loss.size)) if waist is None else waist.at(self.terms)

    def aggregate_slope(self, y: Float64[FloatArray, "rows"]) -> Float64[FloatArray, "rows"]:
        """Grad f at ``y``, minus the aggregate's price."""
        waist = self.loss.waist
        return -self.price(y) if waist is None else waist.gradient(y, self.terms)

    def aggregate_hessian(self, y: Float64[FloatArray, "rows"]) -> Float64[FloatArray, "rows rows"]:
        """The Hessian of f at ``y``."""
        waist = self.loss.waist
        return np.asarray(self.loss.call("hessian", y, self.terms)) if waist is None else waist.hessian(y, self.terms)

    def ask(
        self,
        price: Float64[FloatArray, "dims"],
        *,
        anchor: Float64[FloatArray, "dims"] | None = None,
        weight: float | Float64[FloatArray, "dims"] = 0.0,
        step: float | None = None,
    ) -> Float64[FloatArray, "dims"]:
        """One round: offer ``price`` (flat) to every agent, and return all answers (flat).

        Raises:
            RoundLimit: no round is left.
            AgentError: an agent failed, and the planner was told to stop.
        """
        if self.rounds >= self.max_rounds:
            raise RoundLimit
        prices = self.loss.unflatten(price)
        anchors = None if anchor is None else self.loss.unflatten(anchor)
        weights = self.loss.unflatten(weight) if isinstance(weight, np.ndarray) else None
        fed: Mapping[str, FloatArray] = {}
        if self._fed:
            current = anchors or {name: self._last.get(name, self._held[name]) for name in self.loss.agents}
            values = self.loss.call("nodes", self.loss.flatten(current), self.terms)
            fed = {name: np.asarray(value, dtype=np.float64) for name, value in values.items()}
        offers = {
            name: Offer(
                price=prices[name],
                anchor=None if anchors is None else anchors[name],
                weight=float(weight) if weights is None else weights[name],
                step=step,
            )
            for name in self.loss.agents
            if name not in self.skipped
        }
        inputs = {name: {source: fed[source] for source in self._fed.get(name, ())} for name in offers}
        if self._executor is None:
            answers = {name: self._answer(name, offer, inputs[name]) for name, offer in offers.items()}
        else:
            futures = {name: self._executor.submit(self._answer, name, offer, inputs[name]) for name, offer in offers.items()}
            answers = {name: future.result() for name, future in futures.items()}
        self.rounds += 1
        self.transcript.rounds.append({name: (offer, answers[name].copy()) for name, offer in offers.items()})
        self._last.update(answers)
        return self.loss.flatten({name: answers[name] if name in answers else self._held[name] for name in self.loss.agents})

    def _answer(self, name: str, offer: Offer, inputs: Mapping[str, Float64[FloatArray, "..."]]) -> Float64[FloatArray, "*action"]:
        shape = self.loss.agents[name]
        try:
            raw = self._agents[name].respond(offer, inputs)
            try:
                answer = np.asarray(raw, dtype=np.float64)
            except (TypeError, ValueError) as error:
                raise AgentError(f"expected an array of shape {shape} as its action, got {raw!r}", agent=name) from error
            if answer.shape != shape:
                raise AgentError(f"expected an action of shape {shape}, got shape {answer.shape}", agent=name)
            if not np.all(np.isfinite(answer)):
                raise AgentError("answered with NaN or infinity", agent=name)
            return answer
        except Exception as error:
            failure = error if isinstance(error, AgentError) else AgentError(f"raised {type(error).__name__}: {error}", agent=name)
            policy = self._policy(name, failure)
            self.failures.append(f"round {self.rounds + 1}: {failure} ({policy})")
            if policy == "stop":
                if failure is error:
                    raise
                raise failure from error
            if policy == "skip":
                self.skipped.add(name)
                self._held[name] = self._held.get(name, np.zeros(shape))
                return self._held[name]
            return self._last.get(name, self._held.get(name, np.zeros(shape)))

    def _policy(self, name: str, failure: AgentError) -> str:
        if isinstance(self._on_failure, str):
            return self._on_failure
        told = (self._on_failure or {}).get(name)
        return told or getattr(failure, "policy", None) or "stop"


def match_agents(loss: SystemLoss, agents: Sequence[Respondent]) -> dict[str, Respondent]:
    """Agents by name, each node having its agent and the other way round.

    Raises:
        GraphError: an unknown, missing or double agent, or one whose action has another shape than its node.
    """
    found: dict[str, Respondent] = {}
    for agent in agents:
        if agent.name in found:
            raise GraphError(f"two agents are called {agent.name!r}; give each its own name")
        found[agent.name] = agent
    unknown, missing = sorted(set(found) - set(loss.agents)), sorted(set(loss.agents) - set(found))
    if unknown or missing:
        raise GraphError(f"the agents do not match the graph's: unknown {unknown}, missing {missing}; the graph has {sorted(loss.agents)}")
    for name, shape in loss.agents.items():
        if tuple(found[name].shape) != shape:
            raise GraphError(
                f"agent {name!r} has actions of shape {tuple(found[name].shape)}, and its node in the graph {shape}; make them agree"
            )
    return found


class Iterate:
    """Where a dynamics stands: the actions ``x`` (flat), its ``residual`` (relative), and what it remembers."""

    __slots__ = ("memory", "residual", "x")

    def __init__(self, x: Float64[FloatArray, "dims"], residual: float = np.inf, memory: Any = None) -> None:
        self.x = x
        self.residual = residual
        self.memory = memory
