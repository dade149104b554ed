"""Optimisers of optax: one step of any of them, and a name by which a checkpoint knows them again."""

from __future__ import annotations

import functools
import hashlib
import types
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from hurwicz._foundation import InputError
from hurwicz.designers.mean_field_problem import DesignProblem

_DEEP = 40


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
        try:
            moved: tuple[Any, Any] = step(*arguments)
        except jax.errors.JAXTypeError as error:
            raise InputError(
                f"{problem.name}: expected an optimiser that JAX can trace, as those of optax; one of its own `if` or `float` needs a "
                f"number: {str(error).splitlines()[0]}"
            ) from error
        return moved

    return told


def fingerprint(optimiser: optax.GradientTransformation) -> str:
    """Sixteen digits that two optimisers share where their functions, and all constants these were made with, are the same.

    Example:
        >>> fingerprint(optax.adam(0.1)) == fingerprint(optax.adam(0.1)), fingerprint(optax.adam(0.1)) == fingerprint(optax.adam(0.2))
        (True, False)
    """
    told = hashlib.sha256()
    for part in _parts(optimiser, {}, 0):
        told.update(part.encode() + b"\0")
    return told.hexdigest()[:16]


def _parts(thing: Any, seen: dict[int, Any], depth: int) -> Iterator[str]:
    """What a thing is made of, without addresses: the same from one process to the next."""
    if thing is None or isinstance(thing, bool | int | float | complex | str | bytes):
        yield f"{type(thing).__name__} {thing!r}"
        return
    if isinstance(thing, np.ndarray | np.generic | jax.Array):
        array = np.asarray(thing)
        yield f"array {array.dtype} {array.shape} {hashlib.sha256(array.tobytes()).hexdigest()}"
        return
    if id(thing) in seen or depth > _DEEP:
        yield "again"
        return
    seen[id(thing)] = thing  # held, so that no other thing takes its address
    inner = functools.partial(_parts, seen=seen, depth=depth + 1)
    if isinstance(thing, types.ModuleType):
        yield thing.__name__
        return
    kind = thing if isinstance(thing, type) else type(thing)
    yield f"{kind.__module__}.{kind.__qualname__}"
    for held in _held(thing):
        yield from inner(held)


def _held(thing: Any) -> Iterator[Any]:
    if isinstance(thing, types.FunctionType):
        yield thing.__module__
        yield thing.__qualname__
        yield from _constants(thing.__code__)
        yield thing.__defaults__
        yield thing.__kwdefaults__
        for cell in thing.__closure__ or ():
            try:
                yield cell.cell_contents
            except ValueError:  # not filled yet
                yield "empty"
    elif isinstance(thing, functools.partial):
        yield from (thing.func, thing.args, thing.keywords)
    elif isinstance(thing, types.MethodType):
        yield from (thing.__func__, thing.__self__)
    elif isinstance(thing, dict):
        yield from (part for key in sorted(thing, key=repr) for part in (key, thing[key]))
    elif isinstance(thing, tuple | list):
        yield from thing
    elif isinstance(thing, type):
        return
    elif hasattr(thing, "__wrapped__"):
        yield thing.__wrapped__
    elif isinstance(getattr(thing, "__dict__", None), dict):
        yield thing.__dict__


def _constants(code: types.CodeType) -> Iterator[Any]:
    """Names and plain constants of a function, and of those within it; not its text, which another Python compiles otherwise."""
    yield code.co_names
    for constant in code.co_consts[1 if code.co_consts and isinstance(code.co_consts[0], str) else 0 :]:
        if isinstance(constant, types.CodeType):
            yield from _constants(constant)
        else:
            yield constant if isinstance(constant, bool | int | float | str | tuple) else None
