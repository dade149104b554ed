"""A look at a policy that costs one pass, and by the way sees whether the game is one: what every solver and simulation begins with."""

from __future__ import annotations

import functools
import weakref
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray, HurwiczError, InputError, NotFiniteError, ShapeError, float64_scope
from hurwicz.meanfield.checking import ROUNDING, USERS_ERRORS, check_flow, first_line
from hurwicz.meanfield.evaluation import judged
from hurwicz.meanfield.game import MeanFieldGame, Rules

_ROWS = 10_000_000  # entries of the transition tables of all rounds up to which every single probability is looked at

# the rules under which a game was last seen to be one; numbers that nobody can change in place
_sound: weakref.WeakKeyDictionary[MeanFieldGame, list[Any]] = weakref.WeakKeyDictionary()


class Look(NamedTuple):
    """What a policy does and is worth.

    Attributes:
        policy: pi, (horizon, states, actions).
        flow: L of the policy.
        exploitability: E^tau, in units of reward.
        reach: the largest difference between the values of two actions of a state, without entropy.
    """

    policy: Float64[FloatArray, "horizon states actions"]
    flow: Float64[FloatArray, "horizon states actions"]
    exploitability: float
    reach: float


def examined(game: MeanFieldGame, theta: Rules = None, tau: float = 0.0, policy: Any = None, *, feasible: bool = True) -> Look:
    """Look at a policy, and refuse a game that is none along the policy's flow.

    In the pass that finds the exploitability: numbers are finite, rewards in the declared range, transition rows sum to 1 (the move turned
    round, of ones), no mass is negative; once for given rules, also no transition probability is (where tables are small enough) and
    ``inspect`` is asked. Only where something is off are the functions tried one by one, to name it. Derivatives are left to
    :meth:`MeanFieldGame.check`.

    Args:
        game: the game.
        theta: the rules.
        tau: weight of the entropy, in units of reward.
        policy: (horizon, states, actions); the uniform one if omitted.
        feasible: also ask ``inspect``; an auditor, whose finding that is, does not.

    Raises:
        InputError: what :meth:`MeanFieldGame.check` refuses, with the round and the state.
        NotFiniteError: NaN or infinity, with the round and the state.

    Example:
        >>> from hurwicz.meanfield import left_right
        >>> look = examined(left_right())
        >>> look.exploitability, look.reach
        (0.25, 0.5)
    """
    with float64_scope():
        given = _uniform(game) if policy is None else np.asarray(policy, dtype=np.float64)
        new = not _known(game, theta)
        try:
            flow_seen, records, facts = _seen(game, given, theta, tau, new)
        except HurwiczError:
            raise
        except USERS_ERRORS as error:
            game.check(theta, draws=1, gradients=False)  # names the function, if one of them is the cause
            raise InputError(
                f"{game.name}: expected functions that JAX can compile for these rules, it says: {first_line(error)}"
            ) from error
        flow, seen = np.asarray(flow_seen), _Seen(*np.asarray(facts).tolist())
        wrong = _wrong(game, seen)
        if wrong:
            check_flow(game, flow, theta)
            game.check(theta, gradients=False)
            raise (NotFiniteError if "finite" in wrong else InputError)(f"{game.name}: {wrong}")
        if new and feasible:
            _inspect(game, flow, records, theta)
            _remember(game, theta)
    return Look(np.asarray(given), flow, seen.gain, seen.reach)


def ensure_sound(game: MeanFieldGame, theta: Rules = None) -> None:
    """As :func:`examined` of the uniform policy, unless the game was seen under these very rules before.

    Raises:
        InputError: as :func:`examined`.
        NotFiniteError: as :func:`examined`.

    Example:
        >>> import dataclasses
        >>> from hurwicz.meanfield import left_right
        >>> game = left_right()
        >>> ensure_sound(game)
        >>> ensure_sound(dataclasses.replace(game, move=lambda h, mass, flow, theta: 1.5 * game.move(h, mass, flow, theta)))
        Traceback (most recent call last):
        ...
        hurwicz._foundation.errors.InputError: left-right: expected transition rows that sum to 1, so that the move keeps the mass; got a \
sum of 1.5 in round 0, state 0, action 0
    """
    if not _known(game, theta):
        examined(game, theta)


class _Seen(NamedTuple):
    # in the order of ``_seen``
    gain: float
    reach: float
    finite: float  # 1, or 0
    least_reward: float
    greatest_reward: float
    least_sum: float  # of a transition row
    greatest_sum: float
    chance: float  # least transition probability
    bent: float  # by which the move differs from its derivative, which it is where it is linear
    least_share: float
    lost: float  # by how much the sum of a round's shares is off


@functools.partial(jax.jit, static_argnums=0)
def _seen(game: MeanFieldGame, policy: Any, theta: Any, tau: Any, every_row: Any) -> tuple[Any, Any, Any]:
    ones, size = jnp.ones(game.states, policy.dtype), game.states * game.states * game.actions * game.horizon

    def least_chance(expected: Any) -> Any:
        units = jnp.eye(game.states, dtype=policy.dtype)
        return jax.lax.scan(lambda low, unit: (jnp.minimum(low, expected(unit)[0].min()), None), jnp.zeros((), policy.dtype), units)[0]

    def watch(plain: Any, mass: Any, chosen: Any, reward: Any, expected: Any) -> Any:
        if reward.shape != mass.shape:
            raise ShapeError(f"{game.name}: expected a reward of shape {mass.shape} in round 0, got {reward.shape}")
        rows, following = expected(ones)[0], expected(plain)[0]
        q = reward + following
        chance = jax.lax.cond(every_row, lambda: least_chance(expected), lambda: jnp.zeros((), policy.dtype)) if size <= _ROWS else 0.0
        finite = jnp.isfinite(reward).all() & jnp.isfinite(rows).all()
        noted = (
            finite,
            jnp.stack([reward.min(), reward.max()]),
            jnp.stack([rows.min(), rows.max()]),
            chance,
            (mass * following).sum(),
            (q.max(axis=-1) - q.min(axis=-1)).max(),
        )
        return (chosen * q).sum(axis=1), (*noted, plain)

    gain, flow, records, _, noted = judged(game, policy, theta, tau, (jnp.zeros(game.states, policy.dtype), watch))
    finite, rewards, sums, chance, moved, reach, plain = noted
    # what came out of a round is worth what its transpose says: a move that is not linear in the mass differs from its derivative
    worth = (flow[1:].sum(axis=-1) * plain[:-1]).sum(axis=-1)
    bent = (jnp.abs(worth - moved[:-1]) / (1.0 + jnp.abs(plain[:-1]).max(axis=-1))).max(initial=0.0)
    known = [jnp.isnan(leaf).any() for leaf in jax.tree.leaves(records) if jnp.issubdtype(leaf.dtype, jnp.floating)]
    facts = (
        gain,
        reach.max(),
        finite.all() & jnp.isfinite(flow).all() & jnp.isfinite(gain) & ~jnp.asarray([False, *known]).any(),
        rewards[:, 0].min(),
        rewards[:, 1].max(),
        sums[:, 0].min(),
        sums[:, 1].max(),
        jnp.min(chance),
        bent,
        flow.min(),
        jnp.abs(flow.sum(axis=(1, 2)) - 1.0).max(),
    )
    return flow, records, jnp.stack([jnp.asarray(fact, policy.dtype) for fact in facts])  # one array: each that is read costs


def _wrong(game: MeanFieldGame, seen: _Seen) -> str:
    if not seen.finite:
        return f"expected a finite exploitability, finite rewards and finite moves, got {seen.gain:g}"
    low, high = game.reward_range or (-np.inf, np.inf)
    slack = ROUNDING * max([1.0, *(abs(end) for end in (low, high) if np.isfinite(end))])
    if seen.least_reward < low - slack or seen.greatest_reward > high + slack:
        return f"expected rewards in [{low:g}, {high:g}], got some in [{seen.least_reward:g}, {seen.greatest_reward:g}]"
    if max(abs(seen.least_sum - 1.0), abs(seen.greatest_sum - 1.0)) > ROUNDING:
        return f"expected transition rows that sum to 1, got sums in [{seen.least_sum:.9g}, {seen.greatest_sum:.9g}]"
    if min(seen.chance, seen.least_share) < -ROUNDING:
        return f"expected transition probabilities and shares >= 0, got {min(seen.chance, seen.least_share):.6g}"
    if seen.lost > ROUNDING:
        return f"expected shares that sum to 1 in every round, one sum is off by {seen.lost:.6g}"
    if seen.bent > ROUNDING:
        return "expected a move that is linear in the mass that is moved; it is not"
    return ""


def _inspect(game: MeanFieldGame, flow: Float64[FloatArray, "horizon states actions"], records: Any, theta: Rules) -> None:
    if game.inspect is not None:
        by_round = jax.tree.map(np.asarray, records)
        for h in range(game.horizon):
            game.inspect(h, jnp.asarray(flow[h]), jax.tree.map(lambda leaf, h=h: jnp.asarray(leaf[h]), by_round), theta)


def _uniform(game: MeanFieldGame) -> Float64[FloatArray, "horizon states actions"]:
    # as uniform_policy gives it, without a compilation of its own
    legal = np.ones(game.shape[1:]) if game.legal is None else np.asarray(game.legal, dtype=np.float64)
    return np.ascontiguousarray(np.broadcast_to(legal / legal.sum(axis=1, keepdims=True), game.shape))


def _known(game: MeanFieldGame, theta: Rules) -> bool:
    before = _sound.get(game)
    leaves = jax.tree.leaves(theta)
    return before is not None and len(before) == len(leaves) and all(a is b for a, b in zip(before, leaves, strict=True))


def _remember(game: MeanFieldGame, theta: Rules) -> None:
    leaves = jax.tree.leaves(theta)
    if all(isinstance(leaf, jax.Array | float | int) for leaf in leaves):
        _sound[game] = leaves
