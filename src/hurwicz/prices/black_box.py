"""Black-box agents: any Python callable, which may be slow, raise, answer nonsense, or never answer."""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping
from typing import Any, final

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import AgentError, FloatArray, InputError
from hurwicz.prices.exchange import POLICIES
from hurwicz.prices.offer import Offer


class FailedAgentError(AgentError):
    """An agent's failure, with what its owner asked the planner to do about it."""

    def __init__(self, message: str, *, agent: str, policy: str) -> None:
        super().__init__(message, agent=agent)
        self.policy = policy


@final
class BlackBoxAgent:
    """An agent that is a callable ``function(offer, inputs) -> action``.

    Args:
        name: unique within a problem.
        function: gets an ``Offer`` and a dictionary of input values; returns an action of the given shape.
        shape: of the action.
        timeout: seconds that an answer may take; None waits for ever. An answer that is late is dropped, and until it is
            there every further offer fails at once. A thread cannot be killed; put code that hangs for good behind ``isolate``.
        on_failure: what the planner should do when the agent raises, answers with NaN or a wrong shape, or is late:
            "stop" ends the run with an ``AgentError``; "skip" leaves the agent where it started for the rest of the run;
            "last" takes its last good answer for this round and asks again in the next.

    Example:
        >>> agent = BlackBoxAgent("shop", lambda offer, inputs: offer.price / 2)
        >>> float(agent.respond(Offer(price=np.array(3.0)), {}))
        1.5
    """

    def __init__(
        self,
        name: str,
        function: Any,
        shape: tuple[int, ...] = (),
        timeout: float | None = None,
        on_failure: str = "stop",
    ) -> None:
        if not callable(function):
            raise InputError(f"agent {name!r}: expected a function(offer, inputs) -> action, got {function!r}")
        if timeout is not None and not timeout > 0:
            raise InputError(f"agent {name!r}: expected a positive timeout in seconds or None, got {timeout!r}")
        if on_failure not in POLICIES:
            raise InputError(f"agent {name!r}: on_failure: expected one of {POLICIES}, got {on_failure!r}")
        self.name = name
        self.shape = tuple(int(n) for n in shape)
        self.timeout = timeout
        self.on_failure = on_failure
        self._function = function
        self._late: queue.SimpleQueue[tuple[bool, Any]] | None = None

    def respond(self, offer: Offer, inputs: Mapping[str, Any] | None = None) -> Float64[FloatArray, "*action"]:
        """The callable's answer, checked.

        Raises:
            AgentError: it raised, took too long, or answered with a wrong shape, NaN or infinity.
        """
        raw = self._call(offer, dict(inputs or {}))
        try:
            answer = np.array(raw, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise self._failure(f"expected an action of shape {self.shape}, got {raw!r}") from error
        if answer.shape != self.shape:
            raise self._failure(f"expected an action of shape {self.shape}, got shape {answer.shape}")
        if not np.all(np.isfinite(answer)):
            raise self._failure(f"answered with NaN or infinity: {answer.tolist()}")
        return answer

    def _failure(self, message: str) -> FailedAgentError:
        return FailedAgentError(message, agent=self.name, policy=self.on_failure)

    def _call(self, offer: Offer, inputs: dict[str, Any]) -> Any:
        if self.timeout is None:
            return self._outcome(*self._run(offer, inputs))
        if self._late is not None:
            try:
                self._late.get_nowait()
            except queue.Empty:
                raise self._failure("is still busy with an earlier offer that it did not answer in time") from None
            self._late = None
        box: queue.SimpleQueue[tuple[bool, Any]] = queue.SimpleQueue()
        threading.Thread(target=lambda: box.put(self._run(offer, inputs)), name=f"agent {self.name}", daemon=True).start()
        try:
            good, value = box.get(timeout=self.timeout)
        except queue.Empty:
            self._late = box
            raise self._failure(f"did not answer within {self.timeout:g} s") from None
        return self._outcome(good, value)

    def _run(self, offer: Offer, inputs: dict[str, Any]) -> tuple[bool, Any]:
        try:
            return True, self._function(offer, inputs)
        except Exception as error:
            return False, error

    def _outcome(self, good: bool, value: Any) -> Any:
        if good:
            return value
        raise self._failure(f"raised {type(value).__name__}: {value}") from value
