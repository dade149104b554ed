"""Compiled once a game and kind of iteration: several steps and a look, whatever the step sizes are."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hurwicz._foundation import InputError
from hurwicz.equilibria.mean_field.iterations import Iterate, Iteration, OnlineMirrorDescent, Table
from hurwicz.equilibria.mean_field.problem import MeanFieldProblem
from hurwicz.meanfield import MeanFieldGame, exploitability, flow_of
from hurwicz.meanfield.checking import check_flow
from hurwicz.meanfield.soundness import Look, examined


def begin(problem: MeanFieldProblem, iteration: Iteration) -> Iterate:
    """Where an iteration starts."""
    return _started(problem.game, _bare(iteration)[0])


class Advance(NamedTuple):
    """Where an iteration has come to: its iterate, the policy that stands for, that policy's exploitability, and steps taken in all."""

    iterate: Iterate
    policy: Table
    found: float
    taken: int


def advance(
    problem: MeanFieldProblem, iteration: Iteration, iterate: Iterate, taken: int, steps: int, tolerance: float = -np.inf
) -> Advance:
    """``steps`` more steps of an iterate that has taken ``taken``; fewer where it knows that it has arrived, or is not finite."""
    bare, names = _bare(iteration)
    numbers = np.asarray([getattr(iteration, name) for name in names])
    going = _compiled(problem.game, bare, names)
    after, policy, seen = going(iterate, numbers, np.asarray([taken, steps]), tolerance, problem.theta, problem.tau)
    found, now = np.asarray(seen).tolist()
    return Advance(after, policy, found, round(now))


def first_look(problem: MeanFieldProblem) -> Look:
    """A look at the uniform policy.

    Raises:
        InputError: the game is none, as :func:`hurwicz.meanfield.soundness.examined` says.
        NotFiniteError: it gives no finite value to the uniform policy; names the round and the state.
    """
    return examined(problem.game, problem.theta, problem.tau)


def last_look(problem: MeanFieldProblem, policy: Any) -> Look:
    """A look at the policy that was found: its flow and exploitability.

    Raises:
        InputError: the game is none along the policy's flow (a reward that leaves its declared range there, say).
    """
    return examined(problem.game, problem.theta, problem.tau, policy)


def why_diverged(problem: MeanFieldProblem, iteration: Iteration, iterate: Iterate, taken: int, steps: int) -> str:
    """One sentence about an iteration whose iterate had taken ``taken`` steps, took ``steps`` more and then was not finite."""
    what = f"{iteration.name} diverged: not finite after {taken + steps} steps"
    if isinstance(iteration, OnlineMirrorDescent) and iteration.rate * problem.tau > 2.0:
        return (
            f"{what}, since rate x tau = {iteration.rate * problem.tau:g} is above 2 and each step makes the logits larger; "
            f"a rate of at most 1/tau = {1.0 / problem.tau:g} does not"
        )
    named = _where_not_finite(problem, iteration, iterate, taken, steps)
    return f"{what}; {named}" if named else f"{what} although the game's rewards and moves are; take a shorter step"


def _where_not_finite(problem: MeanFieldProblem, iteration: Iteration, iterate: Iterate, taken: int, steps: int) -> str:
    # the same steps one by one; empty where every reward and move is finite at the flows on the way: the iteration itself ran away
    before = advance(problem, iteration, iterate, taken, 0).policy
    for t in range(taken, taken + steps):
        iterate, policy, found, _ = advance(problem, iteration, iterate, t, 1)
        if np.isfinite(found):
            before = policy
            continue
        for step, played in ((t, before), (t + 1, policy)):
            if bool(jnp.isfinite(played).all()):
                try:
                    check_flow(problem.game, flow_of(problem.game, played, problem.theta), problem.theta)
                except InputError as error:
                    return f"{error}, at the flow of step {step}"
        break
    return ""


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
def _started(game: MeanFieldGame, bare: Iteration) -> Iterate:
    return jax.jit(lambda: bare.init(game))()


@functools.lru_cache(maxsize=256)
def _compiled(game: MeanFieldGame, bare: Iteration, names: tuple[str, ...]) -> Callable[..., Any]:
    def several(iterate: Iterate, numbers: Any, count: Any, tolerance: Any, theta: Any, tau: Any) -> tuple[Iterate, Table, Any]:
        iteration = _filled(bare, names, tuple(numbers))
        first, last = count[0], count[0] + count[1]

        def going(at: tuple[Any, Iterate]) -> Any:
            known = iteration.known(at[1])
            arrived = False if known is None else (known <= tolerance) | (~jnp.isfinite(known) & (at[0] > first))
            return (at[0] < last) & ~jnp.asarray(arrived)

        taken, after = jax.lax.while_loop(going, lambda at: (at[0] + 1, iteration.step(game, at[1], at[0], theta, tau)), (first, iterate))
        policy = iteration.policy(game, after)
        known = iteration.known(after)
        found = exploitability(game, policy, theta, tau) if known is None else known
        return after, policy, jnp.stack([found, taken.astype(found.dtype)])  # one array: each that is read costs

    return jax.jit(several)
