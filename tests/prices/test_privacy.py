"""The planner cannot read a cost or a type: agents in another process, agents that are absent, handles with three attributes."""

from __future__ import annotations

import gc
import textwrap
import time

import numpy as np
import pytest

from hurwicz._foundation import AgentError, InputError
from hurwicz.prices import DeclaredAgent, Offer, PriceGraph, Respondent, coordinate, isolate, replay, seal
from hurwicz.valuations import Quadratic

LAM = [0.1, 0.5, 0.2]
BUILDER = """
    import time
    import numpy as np
    from hurwicz.prices import BlackBoxAgent, DeclaredAgent
    from hurwicz.valuations import Quadratic

    def build(lam):
        return [DeclaredAgent(str(k), Quadratic(), value) for k, value in enumerate(lam)]

    def hang():
        return [BlackBoxAgent("0", lambda offer, inputs: time.sleep(600))]

    def broken():
        raise RuntimeError("no such file of costs")
"""


def problem() -> PriceGraph:
    return PriceGraph.from_loss(lambda x: (sum(x.values()) - 5.0) ** 2, {str(k): () for k in range(3)})


def here() -> list[DeclaredAgent]:
    return [DeclaredAgent(str(k), Quadratic(), value) for k, value in enumerate(LAM)]


@pytest.fixture
def builders(tmp_path, monkeypatch):
    (tmp_path / "agents_elsewhere.py").write_text(textwrap.dedent(BUILDER))
    monkeypatch.syspath_prepend(tmp_path)
    import agents_elsewhere

    return agents_elsewhere


def same(first, second) -> bool:
    return all(np.array_equal(first.value.actions[name], second.value.actions[name]) for name in first.value.actions)


def test_agents_in_another_process_give_the_identical_run(builders):
    direct = coordinate(problem(), here())
    with isolate(builders.build, LAM) as agents:
        assert all(isinstance(agent, Respondent) for agent in agents)
        apart = coordinate(problem(), agents)
    assert same(direct, apart)
    assert direct.value.rounds == apart.value.rounds


def test_a_process_that_hangs_is_ended_and_the_agent_named(builders):
    began = time.monotonic()
    with isolate(builders.hang, timeout=0.3) as agents:
        with pytest.raises(AgentError, match=r"agent '0': did not answer within 0\.3 s; its process was ended"):
            agents[0].respond(Offer(price=np.array(1.0)), {})
        with pytest.raises(AgentError, match="its process has ended"):
            agents[0].respond(Offer(price=np.array(1.0)), {})
    assert time.monotonic() - began < 300  # of the 600 s that it sleeps, however slow the machine


def test_agents_that_cannot_be_built_say_why(builders):
    with pytest.raises(InputError, match="no such file of costs"):
        isolate(builders.broken)


def test_the_transcript_alone_gives_the_identical_run():
    direct = coordinate(problem(), here())
    again = coordinate(problem(), replay(direct.value.transcript))
    assert same(direct, again)
    # Negative control: the answers do decide the result.
    with pytest.raises(AgentError, match=r"another offer|ends after"):
        coordinate(problem(), replay(direct.value.transcript), start={"0": 1.0, "1": 1.0, "2": 1.0})


def test_nothing_but_name_shape_and_respond_can_be_reached():
    agent = here()[0]
    handle = seal(agent)
    assert {name for name in dir(handle) if not name.startswith("_")} == {"name", "respond", "shape"}
    assert not hasattr(handle, "__dict__")
    reachable = [getattr(handle, name) for name in ("_name", "_shape")]
    assert reachable == ["0", ()]
    # Whatever the handle holds a reference to, transitively and short of its class: no agent is among it.
    seen, front = [], [handle]
    while front:
        thing = front.pop()
        if not isinstance(thing, type) and not any(thing is other for other in seen):
            seen.append(thing)
            front.extend(gc.get_referents(thing))
    assert len(seen) < 10
    assert not any(isinstance(thing, DeclaredAgent) for thing in seen)
    for hidden in ("theta", "cost", "cost_at", "actions", "_agent"):
        assert not hasattr(handle, hidden)
    with pytest.raises(AttributeError):
        handle.theta = 1.0
    assert same(coordinate(problem(), here()), coordinate(problem(), [seal(agent) for agent in here()]))


def test_the_planner_touches_name_shape_and_respond_only():
    touched = set()

    class Spy:
        def __init__(self, agent):
            object.__setattr__(self, "_hidden", agent)

        def __getattribute__(self, name):
            touched.add(name)
            return getattr(object.__getattribute__(self, "_hidden"), name)

    coordinate(problem(), [Spy(agent) for agent in here()])
    assert touched <= {"name", "shape", "respond", "__class__"}
