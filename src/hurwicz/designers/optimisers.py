"""Optimisers of optax: one step of any of them, and a name by which a checkpoint knows them again."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from hurwicz._foundation import InputError
from hurwicz.designers.mean_field_problem import DesignProblem


def stepper(
    problem: DesignProblem, optimiser: optax.GradientTransformation, value_and_gradient: Callable[..., Any]
) -> Callable[..., tuple[Any, Any]]:
    """(slope, state, theta, value, tau) → (theta, state) after a step uphill, compiled once.

    Optimisers descend: they are given minus the slope and, as those with a line search, a Polyak step or a plateau need, the loss minus the
    objective at tau and the function that computes it.

    Args:
        problem: what is designed.
        optimiser: of optax; what else it takes than a slope is found out by optax.
        value_and_gradient: (theta, tau) → (objective, slope).

    Raises:
        InputError: when called, an optimiser that JAX cannot trace.
    """
    extended = optax.with_extra_args_support(optimiser)

    @jax.jit
    def step(slope: Any, state: Any, theta: Any, value: Any, tau: Any) -> tuple[Any, Any]:
        down = jax.tree.map(jnp.negative, slope)

        def loss(there: Any) -> Any:
            return -value_and_gradient(there, tau)[0]

        updates, after = extended.update(down, state, theta, value=-value, grad=down, value_fn=loss)
        # a line search keeps its own dtypes; a checkpoint is compared with the state that the optimiser begins with
        after = jax.tree.map(lambda new, old: jnp.asarray(new, jnp.asarray(old).dtype), after, state)
        return optax.apply_updates(theta, updates), after

    def told(*arguments: Any) -> tuple[Any, Any]:
        with refused_by_name(problem):
            moved: tuple[Any, Any] = step(*arguments)
            return moved

    return told


@contextmanager
def refused_by_name(problem: DesignProblem) -> Iterator[None]:
    """What JAX says of an optimiser that it cannot trace, said of the problem and in words.

    Raises:
        InputError: instead of the error of JAX.
    """
    try:
        yield
    except jax.errors.JAXTypeError as error:
        raise InputError(
            f"{problem.name}: expected an optimiser that JAX can trace, as those of optax; one of its own `if` or `float` needs a "
            f"number: {str(error).splitlines()[0]}"
        ) from error


def fingerprint(optimiser: optax.GradientTransformation, theta: Any) -> str:
    """Sixteen digits that two optimisers share where they begin alike and one update of ``theta`` is the same program, constants included.

    Args:
        optimiser: of optax, one that JAX can trace.
        theta: what it is to move; only its structure, shapes and dtypes matter.

    Raises:
        jax.errors.JAXTypeError: an optimiser that JAX cannot trace.

    Example:
        >>> theta = jnp.zeros(3)
        >>> fingerprint(optax.adam(0.1), theta) == fingerprint(optax.adam(0.1), theta)
        True
        >>> fingerprint(optax.adam(0.1), theta) == fingerprint(optax.adam(0.2), theta)
        False
    """
    extended = optax.with_extra_args_support(optimiser)

    def update(slope: Any, state: Any, value: Any) -> Any:
        # any function of theta does as the one that a line search asks: the same for every optimiser
        return extended.update(slope, state, slope, value=value, grad=slope, value_fn=optax.tree.norm)

    still = jax.tree.map(jnp.zeros_like, theta)
    state = optimiser.init(still)
    program = jax.make_jaxpr(update)(still, state, jnp.zeros(()))
    told = hashlib.sha256(re.sub(r" at 0x[0-9a-f]+", "", str(program)).encode())
    for constant in (*program.consts, *jax.tree.leaves(state)):
        told.update(np.asarray(constant).tobytes())
    return told.hexdigest()[:16]
