"""Agents out of the planner's reach: in another process behind a pipe, or absent altogether, their answers read from a transcript."""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, final

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import AgentError, FloatArray, InputError
from hurwicz.prices.offer import Offer, Respondent, Transcript


def _serve(pipe: Connection, build: Callable[..., Sequence[Respondent]], arguments: tuple[Any, ...]) -> None:
    """The other process: build the agents there, tell their names and shapes, answer offers until told to end."""
    try:
        agents = {agent.name: agent for agent in build(*arguments)}
        pipe.send({name: tuple(agent.shape) for name, agent in agents.items()})
    except Exception:
        pipe.send(traceback.format_exc(limit=3))
        return
    while True:
        try:
            message = pipe.recv()
        except EOFError:
            return
        if message is None:
            return
        name, offer, inputs = message
        try:
            pipe.send((True, np.asarray(agents[name].respond(offer, inputs))))
        except Exception as error:
            pipe.send((False, str(error) if isinstance(error, AgentError) else f"raised {type(error).__name__}: {error}"))


@final
class IsolatedAgent:
    """A handle on an agent that lives in another process."""

    __slots__ = ("_ask", "_name", "_shape")

    def __init__(
        self, name: str, shape: tuple[int, ...], ask: Callable[[str, Offer, Mapping[str, Any]], Float64[FloatArray, "*action"]]
    ) -> None:
        self._name = name
        self._shape = shape
        self._ask = ask

    @property
    def name(self) -> str:
        """Unique within a problem."""
        return self._name

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the action."""
        return self._shape

    def respond(self, offer: Offer, inputs: Mapping[str, Any]) -> Float64[FloatArray, "*action"]:
        """The agent's answer, through the pipe."""
        return self._ask(self._name, offer, inputs)


@final
class IsolatedAgents:
    """A process that holds agents; a context manager that gives their handles. Made by ``isolate``."""

    def __init__(self, build: Callable[..., Sequence[Respondent]], arguments: tuple[Any, ...], timeout: float | None) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._timeout = timeout
        self._process = context.Process(target=_serve, args=(theirs, build, arguments), daemon=True)
        self._process.start()
        theirs.close()
        try:
            told = self._pipe.recv()
        except EOFError:
            told = "the process ended before it had built its agents"
        if isinstance(told, str):
            self.close()
            raise InputError(f"isolate: the agents could not be built in their own process: {told}")
        self.handles: tuple[IsolatedAgent, ...] = tuple(IsolatedAgent(name, shape, self._ask) for name, shape in told.items())

    def _ask(self, name: str, offer: Offer, inputs: Mapping[str, Any]) -> Float64[FloatArray, "*action"]:
        if not self._process.is_alive():
            raise AgentError("its process has ended", agent=name)
        self._pipe.send((name, offer, dict(inputs)))
        if not self._pipe.poll(self._timeout):
            # Whatever hangs there is ended with its process: nothing is left running.
            self.close()
            raise AgentError(f"did not answer within {self._timeout:g} s; its process was ended", agent=name)
        try:
            good, value = self._pipe.recv()
        except EOFError:
            raise AgentError("its process ended instead of answering", agent=name) from None
        if not good:
            raise AgentError(value, agent=name)
        return np.asarray(value)

    def close(self) -> None:
        """End the process."""
        if self._process.is_alive():
            self._process.terminate()
        self._process.join()
        self._pipe.close()

    def __enter__(self) -> tuple[IsolatedAgent, ...]:
        return self.handles

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def isolate(build: Callable[..., Sequence[Respondent]], *arguments: Any, timeout: float | None = None) -> IsolatedAgents:
    """Agents that are built and kept in another process; only offers and answers cross the pipe.

    Args:
        build: a function of a module (it is imported there by name) that returns the agents; costs and types that it makes
            up or reads never exist in the planner's process.
        arguments: handed to ``build``.
        timeout: seconds that an answer may take; the process is ended then.

    Example:
        ::

            with isolate(build_agents, "costs.json") as agents:
                solution = coordinate(graph, agents)
    """
    return IsolatedAgents(build, arguments, timeout)


@final
class ReplayedAgent:
    """Answers read from a transcript, in order; no cost, no type, no agent."""

    def __init__(self, name: str, shape: tuple[int, ...], recorded: Sequence[tuple[Offer, Float64[FloatArray, "*action"]]]) -> None:
        self.name = name
        self.shape = shape
        self._recorded = recorded
        self._next = 0

    def respond(self, offer: Offer, inputs: Mapping[str, Any] | None = None) -> Float64[FloatArray, "*action"]:
        """The next recorded answer; the offer must be the recorded one.

        Raises:
            AgentError: more offers than were recorded, or another one.
        """
        del inputs
        if self._next >= len(self._recorded):
            raise AgentError(f"the transcript ends after {self._next} rounds", agent=self.name)
        known, answer = self._recorded[self._next]
        self._next += 1
        if not np.array_equal(known.price, offer.price) or known.step != offer.step:
            raise AgentError(f"round {self._next}: another offer than the one in the transcript", agent=self.name)
        return answer


def replay(transcript: Transcript) -> list[ReplayedAgent]:
    """Respondents that repeat a transcript: a run on them shows that its result depends on nothing else.

    Example:
        >>> replay(Transcript([{"a": (Offer(price=np.array(1.0)), np.array(2.0))}]))[0].respond(Offer(price=np.array(1.0))).tolist()
        2.0
    """
    names = sorted({name for turn in transcript.rounds for name in turn})
    recorded = {name: [turn[name] for turn in transcript.rounds if name in turn] for name in names}
    return [ReplayedAgent(name, tuple(recorded[name][0][1].shape), recorded[name]) for name in names]
