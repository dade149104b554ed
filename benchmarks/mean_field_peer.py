"""One peer, one game, one process: ``python mean_field_peer.py`` reads a question from standard input and answers in JSON.

Needs the peer only, so that it runs under another interpreter too. The clock of the peer runs while it takes a step, not while its policy
is judged: a library that judges every step (as MFGLib does) needs about twice the time that is counted here.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

Step = tuple[float, Callable[[], float]]  # CPU seconds so far, and the exploitability of the policy then


def _environment(question: dict[str, Any]) -> Any:
    import mfglib.alg  # noqa: F401 - first: mfglib.scoring cannot be imported before it
    import torch
    from mfglib.env import Environment

    torch.set_num_threads(1)
    if question.get("double"):
        torch.set_default_dtype(torch.float64)
    return getattr(Environment, question["game"])(**question["options"])


def _mfglib(question: dict[str, Any]) -> Iterator[Step]:
    import torch
    from mfglib.alg import FictitiousPlay, OnlineMirrorDescent
    from mfglib.scoring import exploitability_score

    made = _environment(question)
    kind, parameter = question["algorithm"]
    algorithm = {"mirror descent": OnlineMirrorDescent, "fictitious play": FictitiousPlay}[kind](parameter)
    state = algorithm.init_state(made, torch.ones((made.T + 1, *made.S, *made.A)) / made.n_actions)
    spent = 0.0
    while True:
        began = time.process_time()
        state = algorithm.step_next_state(state, None, None)
        spent += time.process_time() - began
        yield spent, lambda policy=state.pi: exploitability_score(made, policy)


def _openspiel(question: dict[str, Any]) -> Iterator[Step]:
    import pyspiel
    from open_spiel.python.mfg.algorithms import fictitious_play, mirror_descent, nash_conv

    game = pyspiel.load_game(question["game"], question["options"])
    kind, parameter = question["algorithm"]
    descends = kind == "mirror descent"
    algorithm = mirror_descent.MirrorDescent(game, lr=parameter) if descends else fictitious_play.FictitiousPlay(game)
    spent = 0.0
    while True:
        began = time.process_time()
        algorithm.iteration()
        policy = algorithm.get_policy()
        spent += time.process_time() - began
        yield spent, lambda policy=policy: nash_conv.NashConv(game, policy).nash_conv()


def race(question: dict[str, Any]) -> dict[str, Any]:
    """CPU seconds and steps to each exploitability asked for; None where the limit of seconds came first."""
    steps = {"mfglib": _mfglib, "openspiel": _openspiel}[question["peer"]](question)
    reached: dict[str, Any] = {str(level): None for level in question["levels"]}
    began, found, count, spent = time.process_time(), float("inf"), 0, 0.0
    for count, (spent, judge) in enumerate(steps, start=1):
        if count % question.get("every", 1) == 0:
            found = judge()
            for level in question["levels"]:
                if found <= level and reached[str(level)] is None:
                    reached[str(level)] = {"seconds": spent, "steps": count}
        if found <= min(question["levels"]) or time.process_time() - began > question["limit"] or found != found:
            break
    return {"reached": reached, "steps": count, "seconds_a_step": spent / max(count, 1), "exploitability": found}


def judge(question: dict[str, Any]) -> dict[str, Any]:
    """The peer's exploitability of a given policy, or of the uniform one where the peer cannot be given one."""
    if question["peer"] == "openspiel":
        import pyspiel
        from open_spiel.python import policy as policies
        from open_spiel.python.mfg.algorithms import nash_conv

        game = pyspiel.load_game(question["game"], question["options"])
        return {"exploitability": nash_conv.NashConv(game, policies.UniformRandomPolicy(game)).nash_conv()}
    import torch

    made = _environment({**question, "double": True})
    from mfglib.scoring import exploitability_score

    policy = torch.tensor(question["policy"]).reshape(made.T + 1, *made.S, *made.A)
    answer: dict[str, Any] = {"exploitability": exploitability_score(made, policy)}
    if question["game"] == "crowd_motion":
        answer["near"] = [table[..., 0].flatten().tolist() for table in made.reward_fn.c1s]
    return answer


def version(question: dict[str, Any]) -> dict[str, Any]:
    """Which version answers; fails where it is missing."""
    import importlib.metadata

    return {"version": importlib.metadata.version({"mfglib": "mfglib", "openspiel": "open_spiel"}[question["peer"]])}


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    json.dump({"race": race, "judge": judge, "version": version}[asked["ask"]](asked), sys.stdout)
