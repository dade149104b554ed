"""Our side of the mean-field race, one game a process: reads a question from standard input and answers in JSON.

A process of its own, so that XLA starts with one thread and the first call is a cold one.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hurwicz._foundation import float64_scope
from hurwicz.equilibria.mean_field import Iteration, MeanFieldProblem, OnlineMirrorDescent, solve_mean_field, tune
from hurwicz.meanfield import (
    MeanFieldGame,
    beach_bar,
    crowd_modelling,
    crowd_motion,
    exploitability,
    left_right,
    rock_paper_scissors,
    susceptible_infected,
    uniform_policy,
)
from hurwicz.meanfield.classic_games import first_path_costs


def _crowd_motion(near: list[list[float]]) -> MeanFieldGame:
    """The peer's stages: where they step is drawn by its own generator."""
    import jax.numpy as jnp

    game = crowd_motion(20, 20, len(near))

    def reward(h: Any, flow: Any, theta: Any) -> Any:
        del theta
        crowd = flow.sum(axis=1)
        return jnp.broadcast_to((10.0 * jnp.asarray(near)[h] - jnp.log(crowd + 1e-10))[:, None], flow.shape)

    return replace(game, reward=reward)


GAMES: dict[str, Callable[..., MeanFieldGame]] = {
    "left_right": left_right,
    "rock_paper_scissors": rock_paper_scissors,
    "susceptible_infected": susceptible_infected,
    "beach_bar": lambda: beach_bar(100, 16, bar=50),
    "crowd_motion": _crowd_motion,
    "mfg_crowd_modelling": lambda: crowd_modelling(step_cost=first_path_costs(10, 10)),
}


def _game(question: dict[str, Any]) -> MeanFieldGame:
    return GAMES[question["game"]](*([question["near"]] if "near" in question else []))


def _judged(game: MeanFieldGame, policy: Any) -> float:
    with float64_scope():
        import jax.numpy as jnp

        return float(exploitability(game, uniform_policy(game) if policy is None else jnp.asarray(policy)))


def _clocked(problem: MeanFieldProblem, level: float, repeats: int, **options: Any) -> dict[str, Any]:
    taken = []
    for _ in range(repeats):
        began = time.process_time()
        found = solve_mean_field(problem, tolerance=level, **options)
        taken.append(time.process_time() - began)
    return {"seconds": min(taken) if found.status.ok else None, "steps": found.stats["iterations"], "winner": found.stats["winner"]}


def race(question: dict[str, Any]) -> dict[str, Any]:
    """Exploitability of a given policy; CPU seconds to each level: a first call, later calls by default, and with one tuned iteration."""
    problem, levels = MeanFieldProblem(_game(question)), question["levels"]
    began = time.process_time()
    solve_mean_field(problem, tolerance=min(levels))
    answer: dict[str, Any] = {"cold": time.process_time() - began, "exploitability": _judged(problem.game, question["policy"])}
    answer["defaults"] = {str(level): _clocked(problem, level, 5) for level in levels}
    began = time.process_time()
    tuned: Iteration = tune(problem, tolerance=min(levels)).value.iteration
    answer["tuning"] = time.process_time() - began
    answer["tuned"] = tuned.name
    if isinstance(tuned, OnlineMirrorDescent):
        answer["algorithm"] = ["mirror descent", tuned.rate]
        tuned = replace(tuned, unroll=min(8, problem.game.horizon))
    else:
        answer["algorithm"] = ["fictitious play", getattr(tuned, "damping", 0.0)]
    solve_mean_field(problem, iterations=[tuned], tolerance=min(levels), every=5)
    answer["one"] = {str(level): _clocked(problem, level, 5, iterations=[tuned], every=5) for level in levels}
    return answer


if __name__ == "__main__":
    json.dump(race(json.load(sys.stdin)), sys.stdout)
