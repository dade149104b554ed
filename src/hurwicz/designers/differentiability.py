"""Can a user's functions be differentiated? If not: which one, and what to do."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from hurwicz._foundation import InputError
from hurwicz.designers.mean_field_problem import DesignProblem, Theta
from hurwicz.meanfield import flow_of, records_of, uniform_policy

_REMEDY = "write it in jax.numpy, without Python's if and while on its values, without numpy and without jax.lax.while_loop"

_Named: TypeAlias = tuple[str, tuple[str, ...], Callable[[Theta], Any]]  # a function of theta, what it is, what its axes count


def check_traceable(problem: DesignProblem, theta: Theta) -> None:
    """Form the reverse-mode derivative of every function that the user wrote, without computing anything.

    Raises:
        InputError: JAX cannot; names the function.
    """
    game = problem.game
    mass, flow, h = jnp.zeros((game.states, game.actions)), jnp.zeros(game.shape), jnp.zeros((), dtype=int)
    public = _formed(problem, "record_start", game.first_record, theta)
    _formed(problem, "start", game.begins, theta)
    _formed(problem, "reward", lambda m, p, th, r: game.rewards(r, m, p, th), mass, public, theta, h)
    _formed(problem, "move", lambda m, p, th, r: game.moves(r, m, m, p, th), mass, public, theta, h)
    _formed(problem, "record", lambda m, p, th, r: game.next_record(r, m, p, th), mass, public, theta, h)
    worth = _formed(problem, "objective", problem.objective, theta, flow)
    if jnp.shape(worth) != ():
        raise InputError(f"{problem.name}: expected a number from the objective, got an array of shape {jnp.shape(worth)}")


def explain_no_slope(problem: DesignProblem, theta: Theta) -> None:
    """Raise the error for a gradient that is exactly zero everywhere, naming the function that hides theta, if one can be seen to.

    Raises:
        InputError: always.
    """
    for what, axes, function in _functions(problem, theta):
        out, pull = jax.vjp(function, theta)
        slopes = jax.tree.leaves(pull(jax.tree.map(jnp.ones_like, out)))
        if any(bool(jnp.any(slope != 0.0)) for slope in slopes):
            continue
        where = _first_change(function, theta, out, axes)
        if where is None:
            continue
        raise InputError(
            f"{problem.name}: the {what}{where} changes with theta, but its derivative is 0: theta acts through a rounding, a comparison "
            "or an argmax only; use a smooth form (a sigmoid, say), or a derivative-free search (zeroth_order, annealing)"
        )
    raise InputError(
        f"{problem.name}: the derivative of the objective is exactly 0 in every component of the first theta: it does not depend on theta "
        "there; begin elsewhere, or check that reward, move and objective use theta"
    )


def _formed(problem: DesignProblem, what: str, function: Callable[..., Any], *given: Any) -> Any:
    def pulled(*arguments: Any) -> Any:
        moved = [isinstance(leaf, jax.core.Tracer) and jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in jax.tree.leaves(arguments)]
        leaves, structure = jax.tree.flatten(arguments)

        def of_floats(*floats: Any) -> Any:
            left = iter(floats)
            return function(*jax.tree.unflatten(structure, [next(left) if m else leaf for m, leaf in zip(moved, leaves, strict=True)]))

        out, pull = jax.vjp(of_floats, *(leaf for m, leaf in zip(moved, leaves, strict=True) if m))
        return out, pull(jax.tree.map(jnp.ones_like, out))

    try:
        return jax.eval_shape(pulled, *given)[0]
    except InputError:
        raise
    except (jax.errors.JAXTypeError, TypeError, ValueError, NotImplementedError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"{problem.name}: the {what} cannot be differentiated by JAX ({reason}); {_REMEDY}") from error


def _functions(problem: DesignProblem, theta: Theta) -> Iterator[_Named]:
    game = problem.game
    flow = flow_of(game, uniform_policy(game), theta)
    records = records_of(game, flow, theta)
    for h in range(game.horizon):
        yield from _of_round(problem, h, flow[h], jax.tree.map(operator.itemgetter(h), records))
    yield "objective", (), lambda th: problem.objective(th, flow)


def _of_round(problem: DesignProblem, h: int, mass: Any, public: Any) -> Iterator[_Named]:
    game = problem.game
    yield f"reward of round {h}", ("state", "action"), lambda th: game.rewards(h, mass, public, th)
    yield f"move of round {h}", ("state",), lambda th: game.moves(h, mass, mass, public, th)
    if game.record is not None:
        yield f"record of round {h}", (), lambda th: game.next_record(h, mass, public, th)


def _first_change(function: Callable[[Theta], Any], theta: Theta, out: Any, axes: tuple[str, ...]) -> str | None:
    # in words, the first place whose number is another at a nearby theta; None where nothing changes
    for size in (1e-3, 0.03, 1.0):
        for sign in (1.0, -1.0):
            there = function(jax.tree.map(lambda leaf, by=sign * size: leaf + by, theta))
            for a, b in zip(jax.tree.leaves(there), jax.tree.leaves(out), strict=True):
                others = np.argwhere(np.asarray(a) != np.asarray(b))
                if len(others):
                    return "".join(f", {axis} {at}" for axis, at in zip(axes, others[0].tolist(), strict=False))
    return None
