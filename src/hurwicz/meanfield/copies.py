"""Several instances of one game at once, under one set of rules: what a rule that must generalise is trained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hurwicz._foundation import InputError
from hurwicz.meanfield.game import Mass, MeanFieldGame, Public, Round, Rules

InstanceOf = Callable[[Rules, Any], Rules]


def side_by_side(game: MeanFieldGame, instances: Any, rules_of: InstanceOf) -> MeanFieldGame:
    """One game that holds a copy of ``game`` for every instance, each with its own equal part of the population.

    Nobody moves between copies, and each copy's rewards and moves see that copy's flow alone, at its full mass: an equilibrium of the
    whole is an equilibrium of every copy, its exploitability is their mean, and a design for the whole is a design for their mean.

    Args:
        game: the game.
        instances: a pytree with a leading axis of instances (markets drawn from a distribution, say).
        rules_of: (theta, one instance) → the theta that its copy plays under.

    Returns:
        A game of (instances x states) states, those of the first copy first; its public record is the copies', stacked.

    Raises:
        InputError: no instance, or instances whose leading axes differ.

    Example:
        >>> from hurwicz.meanfield import left_right
        >>> twice = side_by_side(left_right(), jnp.zeros(2), lambda theta, instance: theta)
        >>> twice.shape, twice.initial.tolist()
        ((2, 6, 2), [0.5, 0.0, 0.0, 0.5, 0.0, 0.0])
    """
    counts = {int(leaf.shape[0]) if leaf.ndim else 0 for leaf in map(jnp.asarray, jax.tree.leaves(instances))}
    if len(counts) != 1 or 0 in counts:
        raise InputError(f"{game.name}, side by side: expected instances with one leading axis, got leading axes of {sorted(counts)}")
    count = counts.pop()

    def each(function: Callable[..., Any], *stacked: Any, theta: Rules) -> Any:
        return jax.vmap(lambda instance, *parts: function(*parts, rules_of(theta, instance)))(instances, *stacked)

    def apart(mass: Mass) -> Float[Array, "copies own actions"]:
        return count * mass.reshape(count, game.states, game.actions)

    def reward(h: Round, flow: Mass, theta: Rules, public: Public) -> Mass:
        paid: Float[Array, "copies own actions"] = each(lambda f, p, t: game.rewards(h, f, p, t), apart(flow), public, theta=theta)
        return paid.reshape(-1, game.actions)

    def move(h: Round, mass: Mass, flow: Mass, theta: Rules, public: Public) -> Float[Array, " states"]:
        went: Float[Array, "copies own"] = each(lambda m, f, p, t: game.moves(h, m, f, p, t), apart(mass), apart(flow), public, theta=theta)
        return went.reshape(-1) / count

    def record(h: Round, flow: Mass, public: Public, theta: Rules) -> Public:
        return each(lambda f, p, t: game.next_record(h, f, p, t), apart(flow), public, theta=theta)

    def inspect(h: int, flow: Mass, public: Public, theta: Rules) -> None:
        for k in range(count):
            instance, record = jax.tree.map(lambda leaf: jnp.asarray(leaf)[k], (instances, public))  # noqa: B023
            if game.inspect is not None:
                game.inspect(h, apart(flow)[k], record, rules_of(theta, instance))

    return replace(
        game,
        name=f"{game.name}, {count} side by side",
        states=count * game.states,
        initial=np.tile(game.initial, count) / count,
        reward=reward,
        move=move,
        record=record,
        record_start=lambda theta: each(game.first_record, theta=theta),
        start=lambda theta: each(game.begins, theta=theta).reshape(-1) / count,
        inspect=inspect,
        legal=None if game.legal is None else np.tile(game.legal, (count, 1)),
        state_labels=(),
    )


def copies_of(
    table: Float[Array, "horizon all_states actions"], count: int, *, mass: bool = False
) -> Float[Array, "horizon count states actions"]:
    """A policy of :func:`side_by_side`, copy by copy; or, with ``mass``, a flow, each copy at its full mass.

    Example:
        >>> copies_of(jnp.ones((2, 6, 2)), 2).shape
        (2, 2, 3, 2)
    """
    horizon, states, actions = table.shape
    return (count if mass else 1.0) * table.reshape(horizon, count, states // count, actions)
