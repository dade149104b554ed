"""Agents that raise, answer nonsense, are late, or never answer: named, and the run stops or goes on as told."""

from __future__ import annotations

import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from hurwicz._foundation import AgentError, InputError, Status
from hurwicz.prices import BlackBoxAgent, DeclaredAgent, Offer, PriceGraph, Proximal, coordinate
from hurwicz.valuations import Quadratic

GRAPH = PriceGraph.from_loss(lambda x: (x["good"] + x["odd"] - 3.0) ** 2, {"good": (), "odd": ()})
GOOD = DeclaredAgent("good", Quadratic(), 0.5)
INNER = DeclaredAgent("odd", Quadratic(), 1.0)


def fails(offer, inputs):
    raise RuntimeError("out of stock")


BAD = [
    (fails, "agent 'odd': raised RuntimeError: out of stock"),
    (lambda offer, inputs: np.ones(2), r"agent 'odd': expected an action of shape \(\), got shape \(2,\)"),
    (lambda offer, inputs: np.nan, "agent 'odd': answered with NaN"),
    (lambda offer, inputs: "much", "agent 'odd': expected an action of shape"),
    (lambda offer, inputs: None, "agent 'odd': answered with NaN|agent 'odd': expected"),
]


@pytest.mark.parametrize(("function", "message"), BAD)
def test_stop_names_the_agent_and_keeps_what_was_reached(function, message):
    with pytest.raises(AgentError, match=message) as caught:
        coordinate(GRAPH, [GOOD, BlackBoxAgent("odd", function)])
    assert caught.value.agent == "odd"
    assert caught.value.reached.status is Status.AGENT_FAILED
    returned = coordinate(GRAPH, [GOOD, BlackBoxAgent("odd", function)], raise_on_failure=False)
    assert returned.status is Status.AGENT_FAILED
    assert "odd" in returned.stats["cause"]


@pytest.mark.parametrize(("function", "message"), BAD)
def test_skip_goes_on_without_it(function, message):
    solution = coordinate(GRAPH, [GOOD, BlackBoxAgent("odd", function, on_failure="skip")])
    assert solution.stats["skipped"] == ["odd"]
    assert len(solution.stats["failures"]) == 1
    assert float(solution.value.actions["odd"]) == 0.0
    assert float(solution.value.actions["good"]) == pytest.approx(2.0, abs=1e-7)


def test_last_takes_the_last_good_answer_and_asks_again():
    calls = []

    def flaky(offer, inputs):
        calls.append(offer)
        if len(calls) in (2, 5):
            raise RuntimeError("busy")
        return INNER.respond(offer, inputs)

    solution = coordinate(GRAPH, [GOOD, BlackBoxAgent("odd", flaky, on_failure="last")], dynamics=Proximal())
    assert len(solution.stats["failures"]) == 2
    assert len(calls) == solution.value.rounds
    exact = 3.0 / (1 + 2 + 1)
    assert float(solution.value.actions["odd"]) == pytest.approx(exact, abs=1e-6)


def test_the_planner_may_overrule_the_agent():
    box = BlackBoxAgent("odd", fails, on_failure="stop")
    assert coordinate(GRAPH, [GOOD, box], on_failure={"odd": "skip"}).stats["skipped"] == ["odd"]


def test_an_agent_that_never_answers():
    release = threading.Event()
    silent = BlackBoxAgent("odd", lambda offer, inputs: release.wait(600), timeout=0.1)
    began = time.monotonic()
    with pytest.raises(AgentError, match=r"agent 'odd': did not answer within 0\.1 s"):
        coordinate(GRAPH, [GOOD, silent])
    with pytest.raises(AgentError, match="still busy"):
        silent.respond(Offer(price=np.array(1.0)), {})
    solution = coordinate(GRAPH, [GOOD, silent], on_failure="skip")
    assert float(solution.value.actions["good"]) == pytest.approx(2.0, abs=1e-7)
    assert time.monotonic() - began < 300  # of the 600 s that it sleeps, however slow the machine
    release.set()


def test_a_slow_agent_that_recovers():
    release = threading.Event()

    def slow(offer, inputs):
        release.wait(600)
        return 1.0

    agent = BlackBoxAgent("odd", slow, timeout=0.1)
    offer = Offer(price=np.array(1.0))
    with pytest.raises(AgentError, match="did not answer"):
        agent.respond(offer, {})
    release.set()
    answers = []
    while not answers:  # a loaded machine may need more than the timeout to wake a thread
        with contextlib.suppress(AgentError):
            answers.append(float(agent.respond(offer, {})))
    assert answers == [1.0]


def test_slow_agents_are_asked_at_once_with_an_executor():
    started = threading.Barrier(2, timeout=20)

    def meet(agent):
        def answer(offer, inputs):
            started.wait()
            return agent.respond(offer, inputs)

        return answer

    boxes = [BlackBoxAgent(agent.name, meet(agent)) for agent in (GOOD, INNER)]
    with ThreadPoolExecutor(2) as executor:
        together = coordinate(GRAPH, boxes, executor=executor)
    assert float(together.value.actions["good"]) == pytest.approx(1.5, abs=1e-7)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"function": 3}, "expected a function"),
        ({"function": fails, "timeout": 0.0}, "positive timeout"),
        ({"function": fails, "on_failure": "retry"}, "on_failure"),
    ],
)
def test_bad_black_boxes_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        BlackBoxAgent("odd", **arguments)
