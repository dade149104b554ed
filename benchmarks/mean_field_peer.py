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
    found, count, spent = float("inf"), 0, 0.0
    for count, (spent, judged) in enumerate(steps, start=1):
        if count % question["every"] == 0:
            found = judged()
            for level in question["levels"]:
                if found <= level and reached[str(level)] is None:
                    reached[str(level)] = {"seconds": spent, "steps": count}
        if found <= min(question["levels"]) or spent > question["limit"] or found != found:
            break
    return {"reached": reached, "steps": count, "seconds_a_step": spent / max(count, 1), "exploitability": found}


def races(question: dict[str, Any]) -> list[dict[str, Any]]:
    """A race of every algorithm asked for, one after the other; short ones five times, of which the fastest counts, as on our side."""
    outcomes = []
    for algorithm in question["algorithms"]:
        asked = {**question, "algorithm": algorithm}
        tries = [race(asked)]
        while len(tries) < 5 and tries[0]["steps"] * tries[0]["seconds_a_step"] < 1.0:
            tries.append(race(asked))
        outcomes.append(min(tries, key=lambda outcome: outcome["seconds_a_step"]))
    return outcomes


def judge(question: dict[str, Any]) -> dict[str, Any]:
    """The peer's version and its exploitability of a policy: one drawn at random, or the uniform one where the peer takes no table."""
    import importlib.metadata

    if question["peer"] == "openspiel":
        import pyspiel
        from open_spiel.python import policy as policies
        from open_spiel.python.mfg.algorithms import nash_conv

        game = pyspiel.load_game(question["game"], question["options"])
        found = nash_conv.NashConv(game, policies.UniformRandomPolicy(game)).nash_conv()
        return {"version": importlib.metadata.version("open_spiel"), "exploitability": found, "policy": None}
    import numpy as np
    import torch

    made = _environment({**question, "double": True})
    from mfglib.scoring import exploitability_score

    drawn = np.random.default_rng(7).dirichlet(np.ones(made.n_actions), size=(made.T + 1, made.n_states))
    policy = torch.tensor(drawn).reshape(made.T + 1, *made.S, *made.A)
    answer: dict[str, Any] = {
        "version": importlib.metadata.version("mfglib"),
        "exploitability": exploitability_score(made, policy),
        "policy": drawn.tolist(),
    }
    if question["game"] == "crowd_motion":
        answer["near"] = [table[..., 0].flatten().tolist() for table in made.reward_fn.c1s]
    return answer


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    json.dump({"races": races, "judge": judge}[asked["ask"]](asked), sys.stdout)
