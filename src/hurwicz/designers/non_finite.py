"""Where a NaN came from: the round and the state in which it first happened."""

from __future__ import annotations

from typing import Any, NoReturn

import jax
import jax.numpy as jnp

from hurwicz._foundation import InputError, NotFiniteError
from hurwicz.designers.mean_field_problem import DesignProblem, Theta, as_rules
from hurwicz.equilibria.mean_field import OnlineMirrorDescent
from hurwicz.meanfield import flow_of, records_of
from hurwicz.meanfield.checking import check_flow


def explain_non_finite(problem: DesignProblem, theta: Theta) -> NoReturn:
    """Run the equilibrium again, looking at every number of every round, and raise the error that names the first bad one.

    Raises:
        InputError: the game is none along the way (rows that do not sum to one, more sold than there is, ...).
        NotFiniteError: otherwise; it names theta's leaf, the user's function, the round and the state, and the iteration of mirror descent.
    """
    as_rules(problem, theta)
    game, descent = problem.game, OnlineMirrorDescent(problem.rate)
    step = jax.jit(lambda zeta: descent.step(game, zeta, 0, theta, problem.tau))
    flow_at = jax.jit(lambda zeta: flow_of(game, descent.policy(game, zeta), theta))
    logits = descent.init(game)
    for t in range(problem.iterations):
        after = step(logits)
        if not bool(jnp.all(jnp.isfinite(after))):
            _name_value(problem, flow_at(logits), theta, f"iteration {t} of mirror descent")
            raise NotFiniteError(
                f"{problem.name}: logits are not finite after iteration {t} of mirror descent; lower the rate or raise tau"
            )
        logits = after
    flow = flow_at(logits)
    _name_value(problem, flow, theta, "the equilibrium")
    if not bool(jnp.isfinite(problem.objective(theta, flow))):
        raise NotFiniteError(f"{problem.name}: the objective is {float(problem.objective(theta, flow))} although every reward is finite")
    _name_slope(problem, flow, theta)
    raise NotFiniteError(f"{problem.name}: the gradient is not finite although values and slopes at the equilibrium are; try another theta")


def _name_value(problem: DesignProblem, flow: Any, theta: Theta, when: str) -> None:
    try:
        check_flow(problem.game, flow, theta)
    except InputError as error:
        raise type(error)(f"{problem.name}, at {when}: {error}") from error


def _name_slope(problem: DesignProblem, flow: Any, theta: Theta) -> None:
    game, records = problem.game, records_of(problem.game, flow, theta)
    for h in range(game.horizon):
        public = jax.tree.map(lambda leaf, h=h: leaf[h], records)
        looks = (
            ("reward", lambda m, th, h=h, public=public: game.rewards(h, m, public, th)),
            ("move", lambda m, th, h=h, public=public, mass=flow[h]: game.moves(h, m, mass, public, th)),
        )
        for what, function in looks:
            out, pull = jax.vjp(function, flow[h], theta)
            for s in range(game.states):
                slopes = jax.tree.leaves(pull(jnp.zeros_like(out).at[s].set(1.0)))
                if not all(bool(jnp.all(jnp.isfinite(slope))) for slope in slopes):
                    raise NotFiniteError(
                        f"{problem.name}: the {what} is finite, but its derivative is not, in round {h}, state {s}; a division by 0, or "
                        "the root or logarithm of 0, in a branch that is not taken does this: make its argument safe inside the branch"
                    )
    slopes = jax.tree.leaves(jax.grad(lambda th, m: problem.objective(th, m), argnums=(0, 1))(theta, flow))
    if not all(bool(jnp.all(jnp.isfinite(slope))) for slope in slopes):
        raise NotFiniteError(f"{problem.name}: the objective is finite, but its derivative is not")
