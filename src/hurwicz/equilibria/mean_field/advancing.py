"""Compiled once a game and kind of iteration: several steps and a look, whatever the step sizes are."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float64

from hurwicz.equilibria.mean_field.iterations import Iterate, Iteration, Table
from hurwicz.equilibria.mean_field.problem import MeanFieldProblem
from hurwicz.meanfield import MeanFieldGame, exploitability, flow_of, uniform_policy
from hurwicz.meanfield.evaluation import soft_action_values


def begin(problem: MeanFieldProblem, iteration: Iteration) -> Iterate:
    """Where an iteration starts."""
    return _started(problem.game, _bare(iteration)[0])()


def advance(problem: MeanFieldProblem, iteration: Iteration, iterate: Iterate, taken: int, steps: int) -> tuple[Iterate, Table, float]:
    """``steps`` more steps of an iterate that has taken ``taken``: the iterate, its policy, and the policy's exploitability."""
    bare, names = _bare(iteration)
    numbers = tuple(getattr(iteration, name) for name in names)
    after, policy, found = _compiled(problem.game, bare, names)(iterate, numbers, taken, steps, problem.theta, problem.tau)
    return after, policy, float(found)


def first_look(problem: MeanFieldProblem) -> tuple[Table, float, float]:
    """The uniform policy, its exploitability, and the largest difference between the values of two actions of a state."""
    policy, found, reach = _first(problem.game, problem.theta, problem.tau)
    return policy, float(found), float(reach)


def last_look(problem: MeanFieldProblem, policy: Table) -> tuple[Float64[np.ndarray, "horizon states actions"], float]:
    """The flow of a policy and its exploitability."""
    flow, found = flow_of(problem.game, policy, problem.theta), exploitability(problem.game, policy, problem.theta, problem.tau)
    return np.asarray(flow), float(found)


def _bare(iteration: Iteration) -> tuple[Iteration, tuple[str, ...]]:
    # an iteration without its step sizes, and what they are called; one that is no dataclass is compiled as it is
    names = tuple(name for name in getattr(iteration, "__dataclass_fields__", ()) if isinstance(getattr(iteration, name), float))
    return _filled(iteration, names, (None,) * len(names)), names


def _filled(iteration: Iteration, names: tuple[str, ...], numbers: tuple[Any, ...]) -> Iteration:
    # past the constructor, which checks numbers and cannot check a tracer
    other = copy.copy(iteration)
    for name, number in zip(names, numbers, strict=True):
        object.__setattr__(other, name, number)
    return other


@functools.lru_cache(maxsize=256)
def _started(game: MeanFieldGame, bare: Iteration) -> Callable[[], Iterate]:
    return jax.jit(lambda: bare.init(game))


@functools.lru_cache(maxsize=256)
def _compiled(game: MeanFieldGame, bare: Iteration, names: tuple[str, ...]) -> Callable[..., Any]:
    def several(iterate: Iterate, numbers: Any, taken: Any, steps: Any, theta: Any, tau: Any) -> tuple[Iterate, Table, Any]:
        iteration = _filled(bare, names, numbers)
        after = jax.lax.fori_loop(taken, taken + steps, lambda t, x: iteration.step(game, x, t, theta, tau), iterate)
        policy = iteration.policy(game, after)
        return after, policy, exploitability(game, policy, theta, tau)

    return jax.jit(several)


@functools.partial(jax.jit, static_argnums=0)
def _first(game: MeanFieldGame, theta: Any, tau: Any) -> tuple[Table, Any, Any]:
    policy = uniform_policy(game)
    q = soft_action_values(game, jnp.zeros(game.shape), theta)
    return policy, exploitability(game, policy, theta, tau), (q.max(axis=-1) - q.min(axis=-1)).max()
