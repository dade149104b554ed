"""N players instead of a continuum: one of them may depart from what all others play, and everything else is drawn alike.

The deviator sees its own state and the round, like everybody. Its own share 1/N of the population counts: its bid is one of N, and what it
does moves the others' flow. Two policies of it are compared on the same draws.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import NotFiniteError, float64_scope
from hurwicz.audits.statistics import normal_radius
from hurwicz.meanfield import MeanFieldGame, simulate
from hurwicz.meanfield.evaluation import action_values, flow_of, greatest, recorded

_CELLS = 512  # own positions (state and action) that are all tried out one by one; beyond, one for each action
_Table = Float64[np.ndarray, "horizon states actions"]


def returns_of(
    game: MeanFieldGame,
    policy: _Table,
    own: list[_Table],
    players: int,
    theta: Any,
    episodes: int,
    seed: int,
    measure: Callable[[Any, Any], Any] | None = None,
) -> tuple[Float64[np.ndarray, "policies episodes"], Float64[np.ndarray, "policies episodes"]]:
    """What player 1 collects by each of its own policies while the N - 1 others play ``policy``, on the same draws.

    What the player's own draws add is taken out without bias: with q and V its values in the mean field, the mean of
    V_0 + sum_h [R_h + E V_{h+1} - q_h] at what happens is the mean of sum_h R_h, since actions and moves are drawn from known
    distributions; what is left of the variance is the others'.

    Args:
        game: the game.
        policy: of the others.
        own: of the player.
        players: N.
        theta: the rules.
        episodes: how many.
        seed: of all draws.
        measure: (flow of all N players, theta) → a figure of the episode, whose values are returned as well; 0 if omitted.

    Raises:
        NotFiniteError: NaN or infinity in an episode; with the round and the state where a drawn game meets it too.

    Source:
        N. Burch, M. Schmid, M. Moravčík, D. Morrill, M. Bowling, "AIVAT: a new variance reduction technique for agent evaluation in
        imperfect information games", AAAI 2018.
    """
    found, figures = [], []
    with float64_scope():
        keys = jax.random.split(jax.random.key(seed), episodes)
        others = jnp.asarray(policy)
        run = _compiled(game, players, measure)[0]
        flow = flow_of(game, others, theta)
        for one in own:
            mine = jnp.asarray(one)
            returned, figure = run(others, mine, action_values(game, flow, mine, theta), theta, keys)
            if not bool(jnp.isfinite(returned).all()):
                # a drawn game of so many players names the number, unless it is met too seldom
                simulate(game, policy, players, theta=theta, seeds=8, seed=seed)
                raise NotFiniteError(f"{game.name}: expected finite returns among {players} players, got NaN or infinity in some episode")
            found.append(np.asarray(returned))
            figures.append(np.asarray(figure))
    return np.stack(found), np.stack(figures)


def best_reply(game: MeanFieldGame, policy: _Table, players: int, theta: Any, episodes: int, seed: int) -> _Table:
    """A reply by dynamic programming over the player's own state, against drawn paths of the N - 1 others.

    q_h(s, a) = mean over paths of R_h(s, a; L) + E V_{h+1}, L the path's flow with the player's own share put where it is. The others'
    paths are those drawn while the player plays like them: what its departure does to them is left out here, and not where it is judged.
    """
    with float64_scope():
        keys = jax.random.split(jax.random.key(seed), episodes)
        _, paths, step = _compiled(game, players, None)
        others, publics, homes = paths(jnp.asarray(policy), theta, keys)
        value = jnp.zeros(game.states)
        replies = []
        for h in reversed(range(game.horizon)):
            at = jax.tree.map(lambda p, h=h: p[:, h], publics)
            q = game.masked(step(h, others[:, h], homes[:, h], at, theta, value).mean(axis=0))
            value = greatest(q, 0.0)
            replies.append(np.asarray(jax.nn.one_hot(q.argmax(axis=-1), game.actions)))
    return np.stack(replies[::-1])


@functools.lru_cache(maxsize=16)
def _compiled(game: MeanFieldGame, players: int, measure: Callable[[Any, Any], Any] | None) -> tuple[Callable[..., Any], ...]:
    returns = jax.jit(functools.partial(_returns, game, players, measure))
    return returns, jax.jit(functools.partial(_paths, game, players)), jax.jit(functools.partial(_round, game, players))


def _drawn(rows: Any, u: Any) -> Any:
    # the first outcome whose cumulative probability exceeds u of the total
    total = jnp.cumsum(rows, axis=-1)
    return jnp.minimum((total <= u[..., None] * total[..., -1:]).sum(axis=-1), rows.shape[-1] - 1)


def _moved(game: MeanFieldGame, h: Any, flow: Any, public: Any, theta: Any, states: Any, actions: Any) -> Any:
    # next-state distribution of every player, (players, states): cell by cell, or from the whole table where that is less
    if len(states) <= game.states:

        def one(s: Any, a: Any) -> Any:
            return game.moves(h, jnp.zeros_like(flow).at[s, a].set(1.0), flow, public, theta)

        return jax.vmap(one)(states, actions)
    back = jax.vjp(lambda mass: game.moves(h, mass, flow, public, theta), flow)[1]
    table = jax.vmap(lambda unit: back(unit)[0][states, actions])(jnp.eye(game.states, dtype=flow.dtype))
    return table.T


def _play(game: MeanFieldGame, players: int, policy: Any, own: Any, q: Any, theta: Any, key: Any) -> Any:
    # one episode; player 0 may play a policy of its own. Uniforms are drawn before anything depends on them: common to all policies
    begin, later = jax.random.split(key)
    start = _drawn(jnp.broadcast_to(game.begins(theta), (players, game.states)), jax.random.uniform(begin, (players,), dtype=jnp.float64))
    values = (own * q).sum(axis=-1)
    ahead = jnp.concatenate([values[1:], jnp.zeros((1, game.states), values.dtype)])

    def step(at: Any, now: Any) -> Any:
        states, public = at
        h, chances, mine, key, told, following = now
        u = jax.random.uniform(key, (2, players), dtype=jnp.float64)
        actions = _drawn(chances[states].at[0].set(mine[states[0]]), u[0])
        counts = jnp.zeros((game.states, game.actions), jnp.float64).at[states, actions].add(1.0)
        flow = counts / players
        rows = jnp.clip(_moved(game, h, flow, public, theta, states, actions), 0.0, None)
        after = _drawn(rows, u[1])
        surprise = game.rewards(h, flow, public, theta)[states[0], actions[0]] + rows[0] @ following - told[states[0], actions[0]]
        others = counts.at[states[0], actions[0]].add(-1.0)
        return (after, recorded(game.next_record(h, flow, public, theta), flow.dtype)), (surprise, others, public, states[0], flow)

    rounds = (jnp.arange(game.horizon), policy, own, jax.random.split(later, game.horizon), q, ahead)
    surprises, *path = jax.lax.scan(step, (start, recorded(game.first_record(theta), jnp.float64)), rounds)[1]
    return game.begins(theta) @ values[0] + surprises.sum(), path


def _returns(game: MeanFieldGame, players: int, measure: Any, policy: Any, own: Any, q: Any, theta: Any, keys: Any) -> Any:
    def episode(key: Any) -> Any:
        returned, path = _play(game, players, policy, own, q, theta, key)
        return returned, jnp.zeros(()) if measure is None else measure(path[-1], theta)

    return jax.lax.map(episode, keys)


def _paths(game: MeanFieldGame, players: int, policy: Any, theta: Any, keys: Any) -> Any:
    nothing = jnp.zeros(game.shape, jnp.float64)
    return jax.lax.map(lambda key: tuple(_play(game, players, policy, policy, nothing, theta, key)[1][:3]), keys)


def _round(game: MeanFieldGame, players: int, h: Any, others: Any, homes: Any, public: Any, theta: Any, value: Any) -> Any:
    # q of one round on every path, (paths, states, actions), own share included
    cells = game.states * game.actions <= _CELLS

    def worth(flow: Any, at: Any) -> Any:
        expected = jax.vjp(lambda mass: game.moves(h, mass, flow, at, theta), flow)[1]
        return game.rewards(h, flow, at, theta) + expected(value)[0]

    def path(one: Any) -> Any:
        rest, home, at = one
        if cells:

            def of_cell(s: Any, a: Any) -> Any:
                return worth(rest.at[s, a].add(1.0) / players, at)[s, a]

            return jax.vmap(lambda s: jax.vmap(lambda a: of_cell(s, a))(jnp.arange(game.actions)))(jnp.arange(game.states))
        return jax.vmap(lambda a: worth(rest.at[home, a].add(1.0) / players, at)[:, a], out_axes=1)(jnp.arange(game.actions))

    return jax.lax.map(path, (others, homes, public))


def interval(sample: Float64[np.ndarray, " size"], confidence: float) -> tuple[float, float, float]:
    """Mean and confidence interval by the central limit theorem."""
    mean = float(sample.mean())
    radius = normal_radius(float(sample.var(ddof=1)), len(sample), 1.0 - confidence)
    return mean, mean - radius, mean + radius
