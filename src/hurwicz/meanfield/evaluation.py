"""What a policy does and is worth: flow, action values, best response, exploitability. One definition each, in JAX.

Shapes: policies and flows (horizon, states, actions). ``tau`` weighs the entropy of a policy; 0 is the game without it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar, cast

import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float

from hurwicz.meanfield.game import Mass, MeanFieldGame, Public, Rules

Policy: TypeAlias = Float[Array, "horizon states actions"]
Flow: TypeAlias = Float[Array, "horizon states actions"]
ActionValues: TypeAlias = Float[Array, "horizon states actions"]
Scalar: TypeAlias = Float[Array, ""]
Weight: TypeAlias = float | Scalar

_Function = TypeVar("_Function", bound=Callable[..., Any])


def _compiled_per_game(function: _Function) -> _Function:
    # a scan outside of a jitted function is compiled again at every call; like this once a game: the object, not its contents
    return cast("_Function", jax.jit(function, static_argnames=("game",)))


@_compiled_per_game
def flow_of(game: MeanFieldGame, policy: Policy, theta: Rules = None) -> Flow:
    """The population's joint distribution of states and actions, round by round.

    L_h(s, a) = mu_h(s) pi_h(a | s); mu_{h+1} = move of L_h.

    Args:
        game: the game.
        policy: pi_h(a | s), rows that sum to 1.
        theta: the rules.

    Returns:
        L, (horizon, states, actions).

    Example:
        >>> from hurwicz.meanfield import left_right, uniform_policy
        >>> game = left_right()
        >>> flow_of(game, uniform_policy(game))[1].sum(axis=1).tolist()
        [0.0, 0.5, 0.5]
    """

    def step(at: tuple[Float[Array, " states"], Public], now: Any) -> tuple[tuple[Float[Array, " states"], Public], Mass]:
        mu, public = at
        h, chosen = now
        mass = mu[:, None] * chosen
        return (game.moves(h, mass, mass, public, theta), game.next_record(h, mass, public, theta)), mass

    first = (game.begins(theta).astype(policy.dtype), game.first_record(theta))
    return jax.lax.scan(step, first, (jnp.arange(game.horizon), policy))[1]


@_compiled_per_game
def records_of(game: MeanFieldGame, flow: Flow, theta: Rules = None) -> Public:
    """The public record at the beginning of every round, when the population flows as ``flow``; leading axis ``horizon``."""

    def step(public: Public, now: Any) -> tuple[Public, Public]:
        h, mass = now
        return game.next_record(h, mass, public, theta), public

    return jax.lax.scan(step, game.first_record(theta), (jnp.arange(game.horizon), flow))[1]


def _worth(game: MeanFieldGame, h: Any, flow: Mass, public: Public, theta: Rules, value: Float[Array, " states"]) -> Mass:
    """R_h + sum_s' P_h(s' | s, a, L_h) V(s'): the expectation is the transpose of the move, never its table."""
    expected: Mass = jax.vjp(lambda mass: game.moves(h, mass, flow, public, theta), flow)[1](value)[0]
    return game.rewards(h, flow, public, theta) + expected


@_compiled_per_game
def action_values(game: MeanFieldGame, flow: Flow, policy: Policy, theta: Rules = None, tau: Weight = 0.0) -> ActionValues:
    """Values of actions under a policy against a flow: q_h = R_h + E[V_{h+1}], V_h = <pi_h, q_h> + tau entropy(pi_h), V_H = 0.

    Args:
        game: the game.
        flow: the population, (horizon, states, actions).
        policy: what the one player does, (horizon, states, actions).
        theta: the rules.
        tau: weight of the entropy, in units of reward.

    Returns:
        q, (horizon, states, actions).
    """

    def step(value: Float[Array, " states"], now: Any) -> tuple[Float[Array, " states"], Mass]:
        h, mass, public, chosen = now
        q = _worth(game, h, mass, public, theta, value)
        return (chosen * q).sum(axis=1) + tau * entropy(chosen), q

    rounds = (jnp.arange(game.horizon), flow, records_of(game, flow, theta), policy)
    return jax.lax.scan(step, jnp.zeros(game.states, policy.dtype), rounds, reverse=True)[1]


@_compiled_per_game
def best_values(game: MeanFieldGame, flow: Flow, theta: Rules = None, tau: Weight = 0.0) -> ActionValues:
    """Values of actions under the best response to a flow: V_h = max_a q_h (tau = 0) or tau log sum exp(q_h / tau)."""

    def step(value: Float[Array, " states"], now: Any) -> tuple[Float[Array, " states"], Mass]:
        h, mass, public = now
        q = _worth(game, h, mass, public, theta, value)
        return greatest(game.masked(q), tau), q

    rounds = (jnp.arange(game.horizon), flow, records_of(game, flow, theta))
    return jax.lax.scan(step, jnp.zeros(game.states, flow.dtype), rounds, reverse=True)[1]


def greatest(q: Float[Array, "*batch actions"], tau: Weight) -> Float[Array, "*batch"]:
    """The largest over policies of <pi, q> + tau entropy(pi)."""
    # ``tau`` may be traced: both branches are formed, the division made safe
    safe = jnp.where(tau > 0.0, tau, 1.0)
    return jnp.where(tau > 0.0, safe * logsumexp(q / safe, axis=-1), q.max(axis=-1))


@_compiled_per_game
def best_response(game: MeanFieldGame, flow: Flow, theta: Rules = None, tau: Weight = 0.0) -> Policy:
    """A policy that is best against a flow: softmax(q / tau), or all weight on the first best action at tau = 0."""
    q = game.masked(best_values(game, flow, theta, tau))
    safe = jnp.where(tau > 0.0, tau, 1.0)
    return jnp.where(tau > 0.0, jax.nn.softmax(q / safe, axis=-1), jax.nn.one_hot(q.argmax(axis=-1), game.actions, dtype=q.dtype))


@_compiled_per_game
def policy_value(game: MeanFieldGame, flow: Flow, policy: Policy, theta: Rules = None, tau: Weight = 0.0) -> Scalar:
    """V(pi; L) = sum_s mu_0(s) V_0(s): what a player expects who plays ``policy`` while the population flows as ``flow``."""
    q = action_values(game, flow, policy, theta, tau)[0]
    start = (policy[0] * q).sum(axis=1) + tau * entropy(policy[0])
    return game.begins(theta).astype(q.dtype) @ start


@_compiled_per_game
def exploitability(game: MeanFieldGame, policy: Policy, theta: Rules = None, tau: Weight = 0.0) -> Scalar:
    """E(pi) = max over pi' of V(pi'; L^pi) - V(pi; L^pi), L^pi the flow of pi itself; 0 exactly at an equilibrium.

    Args:
        game: the game.
        policy: pi, (horizon, states, actions).
        theta: the rules.
        tau: weight of the entropy in both values.

    Returns:
        Not negative, in units of reward.

    Example:
        >>> import jax.numpy as jnp
        >>> from hurwicz.meanfield import left_right
        >>> game = left_right()
        >>> all_left = jnp.zeros(game.shape).at[..., 0].set(1.0)
        >>> float(exploitability(game, all_left))
        1.0
    """
    flow = flow_of(game, policy, theta)
    best = greatest(game.masked(best_values(game, flow, theta, tau)[0]), tau)
    return game.begins(theta).astype(best.dtype) @ best - policy_value(game, flow, policy, theta, tau)


def entropy(policy: Float[Array, "*batch actions"]) -> Float[Array, "*batch"]:
    """-sum_a pi(a) log pi(a), with a derivative that is finite where an action is never taken."""
    taken = policy > 0.0
    return -jnp.where(taken, policy * jnp.log(jnp.where(taken, policy, 1.0)), 0.0).sum(axis=-1)


def uniform_policy(game: MeanFieldGame) -> Policy:
    """Every legal action equally likely, everywhere."""
    return jax.nn.softmax(game.masked(jnp.zeros(game.shape)), axis=-1)
