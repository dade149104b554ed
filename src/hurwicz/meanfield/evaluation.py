"""What a policy does and is worth: flow, action values, best response, exploitability. One definition each, in JAX.

Shapes: policies and flows (horizon, states, actions). ``tau`` weighs the entropy of a policy; 0 is the game without it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias, TypeVar, cast

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

_NEVER = -1e30  # added to the logit of an action that is not legal: finite, so that it may be multiplied by zero


def _compiled_per_game(function: _Function) -> _Function:
    # a scan outside of a jitted function is compiled again at every call; like this once a game: the object, not its contents
    return cast("_Function", jax.jit(function, static_argnames=[n for n in ("game", "unroll") if n in function.__annotations__]))


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
    return _passage(game, policy, theta)[0]


def _passage(game: MeanFieldGame, policy: Policy, theta: Rules, unroll: int = 1) -> tuple[Flow, Public]:
    # the flow of a policy and the public record at the beginning of every round, in one pass
    def step(at: tuple[Float[Array, " states"], Public], now: Any) -> tuple[tuple[Float[Array, " states"], Public], tuple[Mass, Public]]:
        mu, public = at
        h, chosen = now
        mass = mu[:, None] * chosen
        went = game.moves(h, mass, mass, public, theta).astype(policy.dtype)
        return (went, recorded(game.next_record(h, mass, public, theta), policy.dtype)), (mass, public)

    first = (game.begins(theta).astype(policy.dtype), recorded(game.first_record(theta), policy.dtype))
    passed: tuple[Flow, Public] = jax.lax.scan(step, first, (jnp.arange(game.horizon), policy), unroll=unroll)[1]
    return passed


def recorded(public: Public, dtype: Any) -> Public:
    """A public record whose real numbers are at least as precise as ``dtype``: what a loop carries keeps its type from round to round."""

    def wide(leaf: Any) -> Any:
        array = jnp.asarray(leaf)
        return array.astype(jnp.promote_types(array.dtype, dtype)) if jnp.issubdtype(array.dtype, jnp.floating) else leaf

    return jax.tree.map(wide, public)


@_compiled_per_game
def records_of(game: MeanFieldGame, flow: Flow, theta: Rules = None) -> Public:
    """The public record at the beginning of every round, when the population flows as ``flow``; leading axis ``horizon``."""

    def step(public: Public, now: Any) -> tuple[Public, Public]:
        h, mass = now
        return recorded(game.next_record(h, mass, public, theta), flow.dtype), public

    return jax.lax.scan(step, recorded(game.first_record(theta), flow.dtype), (jnp.arange(game.horizon), flow))[1]


def _worth(game: MeanFieldGame, h: Any, flow: Mass, public: Public, theta: Rules, value: Float[Array, " states"]) -> Mass:
    """R_h + sum_s' P_h(s' | s, a, L_h) V(s')."""
    expected: Mass = _transpose(game, h, flow, public, theta)(value)[0]
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
        return (chosen * q).sum(axis=1) + _weighed_entropy(chosen, tau), q

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
    # a map over many ``tau`` forms both branches: the division is made safe
    safe = jnp.where(tau > 0.0, tau, 1.0)
    largest: Float[Array, "*batch"] = jax.lax.cond(tau > 0.0, lambda: safe * logsumexp(q / safe, axis=-1), lambda: q.max(axis=-1))
    return largest


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
    return judged(game, policy, theta, tau).exploitability


class Judged(NamedTuple):
    """A policy against its own flow.

    Attributes:
        exploitability: E(pi).
        flow: L.
        records: the public record at the beginning of every round.
        values: q, of the policy's own actions.
        noted: what was watched, by round.
    """

    exploitability: Scalar
    flow: Flow
    records: Public
    values: ActionValues
    noted: Any


def judged(
    game: MeanFieldGame,
    policy: Policy,
    theta: Rules,
    tau: Weight,
    watch: tuple[Any, Callable[..., Any]] | None = None,
    unroll: int = 1,
) -> Judged:
    """All that there is to say of a policy, in one pass there and one back; to be compiled by the caller.

    Args:
        game: the game.
        policy: pi, (horizon, states, actions).
        theta: the rules.
        tau: weight of the entropy.
        watch: (start, (carry, mass, policy of the round, reward, transpose of the move) → (carry, noted)): what else is noted of each round
            on the way back, without asking the game's functions again.
        unroll: rounds that the compiled loops take at once.
    """
    flow, records = _passage(game, policy, theta, unroll)
    start, note = ((), lambda carry, *_: (carry, ())) if watch is None else watch

    def step(ahead: Any, now: Any) -> tuple[Any, Any]:
        best, own, carry = ahead
        h, mass, public, chosen, bonus = now
        expected = _transpose(game, h, mass, public, theta)
        reward = game.rewards(h, mass, public, theta)
        carry, noted = note(carry, mass, chosen, reward, expected)
        q_best, q = reward + expected(best)[0], reward + expected(own)[0]
        return (greatest(game.masked(q_best), tau), (chosen * q).sum(axis=1) + bonus, carry), (q, noted)

    nothing = jnp.zeros(game.states, policy.dtype)
    back = (jnp.arange(game.horizon), flow, records, policy, _weighed_entropy(policy, tau))
    (best, own, _), (q, noted) = jax.lax.scan(step, (nothing, nothing, start), back, reverse=True, unroll=unroll)
    return Judged(game.begins(theta).astype(best.dtype) @ (best - own), flow, records, q, noted)


@_compiled_per_game
def soft_action_values(
    game: MeanFieldGame, logits: Float[Array, "horizon states actions"], theta: Rules = None, tau: Weight = 0.0, unroll: int = 1
) -> ActionValues:
    """q^tau of pi = softmax(logits) against the flow of pi: what mirror descent asks for, at about half the cost of its parts.

    The entropy of a softmax needs no logarithm of the policy: V_h = <pi_h, q_h - tau (zeta_h - m_h)> + tau log sum exp(zeta_h - m_h), with
    m_h the largest logit of each state.

    Args:
        game: the game.
        logits: zeta, (horizon, states, actions); what they are where an action is not legal plays no part.
        theta: the rules.
        tau: weight of the entropy, in units of reward.
        unroll: rounds that the compiled loops take at once: faster to run and slower to compile.

    Returns:
        q, (horizon, states, actions).

    Example:
        >>> from hurwicz.meanfield import left_right
        >>> game = left_right()
        >>> soft_action_values(game, jnp.zeros(game.shape))[0, 0].tolist()
        [-0.5, -1.0]
    """
    shown = logits if game.legal is None else logits + jnp.where(jnp.asarray(game.legal), 0.0, _NEVER)
    below = shown - jax.lax.stop_gradient(shown.max(axis=-1, keepdims=True))
    odds = jnp.exp(below)
    total = odds.sum(axis=-1, keepdims=True)
    policy = odds * (1.0 / total)
    ones, light = jnp.ones(game.actions, policy.dtype), _transpose_is_light(game, policy, theta)

    def onward(at: tuple[Float[Array, " states"], Public], now: Any) -> tuple[Any, Any]:
        mu, public = at
        h, chosen = now
        mass = mu[:, None] * chosen
        went, transpose = jax.vjp(lambda part: game.moves(h, part, mass, public, theta), mass)
        reward = game.rewards(h, mass, public, theta)
        following = (went.astype(policy.dtype), recorded(game.next_record(h, mass, public, theta), policy.dtype))
        return following, (reward, transpose if light else (mass, public))

    def backward(value: Float[Array, " states"], now: Any) -> tuple[Float[Array, " states"], Mass]:
        h, reward, kept, chosen, log_odds, log_total = now
        transpose = kept if light else _transpose(game, h, kept[0], kept[1], theta)
        q = reward + transpose(value)[0]
        # a product with ones is a faster sum of products along the last axis than XLA's own
        return jnp.matmul(chosen * (q - tau * log_odds), ones, precision="highest") + tau * log_total, q

    rounds = jnp.arange(game.horizon)
    first = (game.begins(theta).astype(policy.dtype), recorded(game.first_record(theta), policy.dtype))
    rewards, kept = jax.lax.scan(onward, first, (rounds, policy), unroll=unroll)[1]
    nothing = jnp.zeros(game.states, policy.dtype)
    back = (rounds, rewards, kept, policy, below, jnp.log(total[..., 0]))
    return jax.lax.scan(backward, nothing, back, reverse=True, unroll=unroll)[1]


def _transpose_is_light(game: MeanFieldGame, policy: Policy, theta: Rules) -> bool:
    # what the transpose of a move needs is kept from the flow's pass, so that rules are asked once a round; not a table of transitions
    now = (jnp.arange(1)[0], policy[0], recorded(game.first_record(theta), policy.dtype))
    kept = jax.eval_shape(lambda h, flow, public: _transpose(game, h, flow, public, theta), *now)
    size: int = sum(leaf.size for leaf in jax.tree.leaves(kept))
    return size <= game.states * game.actions


def _transpose(game: MeanFieldGame, h: Any, flow: Mass, public: Public, theta: Rules) -> Callable[[Float[Array, " states"]], tuple[Mass]]:
    # V → sum_s' P_h(s' | s, a, L_h) V(s'): the move turned round, never its table
    turned: Callable[[Float[Array, " states"]], tuple[Mass]] = jax.vjp(lambda mass: game.moves(h, mass, flow, public, theta), flow)[1]
    return turned


def _weighed_entropy(policy: Float[Array, "*batch actions"], tau: Weight) -> Float[Array, "*batch"]:
    # logarithms cost more than all the rest: none where they would be multiplied by zero
    none = jnp.zeros(policy.shape[:-1], policy.dtype)
    weighed: Float[Array, "*batch"] = jax.lax.cond(tau > 0.0, lambda: tau * entropy(policy), lambda: none)
    return weighed


def entropy(policy: Float[Array, "*batch actions"]) -> Float[Array, "*batch"]:
    """-sum_a pi(a) log pi(a), with a derivative that is finite where an action is never taken."""
    taken = policy > 0.0
    return -jnp.where(taken, policy * jnp.log(jnp.where(taken, policy, 1.0)), 0.0).sum(axis=-1)


def uniform_policy(game: MeanFieldGame) -> Policy:
    """Every legal action equally likely, everywhere."""
    return jax.nn.softmax(game.masked(jnp.zeros(game.shape)), axis=-1)
