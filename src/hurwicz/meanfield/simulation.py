"""The game with N players instead of a continuum, under one policy for all."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from hurwicz._foundation import FloatArray, InputError, NotFiniteError, float64_array, float64_scope
from hurwicz.meanfield.checking import ROUNDING, check_flow
from hurwicz.meanfield.game import MeanFieldGame, Rules
from hurwicz.meanfield.soundness import ensure_sound


@dataclass(frozen=True)
class Simulated:
    """What happened to N players, seed by seed.

    Attributes:
        flows: shares of the players by round, state and action, (seeds, horizon, states, actions).
        returns: mean return per player, (seeds,).
    """

    flows: Float64[FloatArray, "seeds horizon states actions"]
    returns: Float64[FloatArray, " seeds"]


def simulate(
    game: MeanFieldGame,
    policy: Float64[FloatArray, "horizon states actions"],
    players: int,
    *,
    theta: Rules = None,
    seeds: int = 8,
    seed: int = 0,
) -> Simulated:
    """Play the game with ``players`` players who all follow ``policy``.

    Each player's action is drawn from pi_h(. | s), its next state from P_h(. | s, a, L^N) with L^N the players' own shares. Players in
    the same state and action are alike, so that their numbers are drawn at once: the cost does not grow with N.

    Args:
        game: the game.
        policy: pi, (horizon, states, actions).
        players: N, at least 1.
        theta: the rules.
        seeds: independent runs.
        seed: of the first run; run k has its own stream, whatever ``seeds`` is.

    Raises:
        InputError: no player or run, a policy of another shape or whose rows do not sum to 1, or a game that is none (transition rows that
            do not sum to one, rewards out of the declared range, ...), with the round and the state.
        NotFiniteError: NaN or infinity in a reward or a move; names the round and the state.

    Example:
        >>> from hurwicz.meanfield import left_right
        >>> game = left_right()
        >>> run = simulate(game, np.full(game.shape, 0.5), 1000, seeds=2)
        >>> run.flows.shape, bool(np.all(np.abs(run.flows[:, 1, 1].sum(axis=-1) - 0.5) < 0.1))
        ((2, 2, 3, 2), True)
    """
    if players < 1 or seeds < 1:
        raise InputError(f"{game.name}: expected players >= 1 and seeds >= 1, got {players} and {seeds}")
    chances = drawable(policy, game.name, game.shape)
    ensure_sound(game, theta)
    runs = [_run(game, chances, players, theta, np.random.default_rng((seed, k))) for k in range(seeds)]
    return Simulated(np.stack([flow for flow, _ in runs]), np.asarray([total for _, total in runs]))


def _run(
    game: MeanFieldGame, policy: Float64[FloatArray, "horizon states actions"], players: int, theta: Rules, rng: np.random.Generator
) -> tuple[Float64[FloatArray, "horizon states actions"], float]:
    flows, total = np.zeros(game.shape), 0.0
    look, rows = _compiled(game)
    with float64_scope():
        here = rng.multinomial(players, distribution(np.asarray(game.begins(theta))))
        public = game.first_record(theta)
        for h in range(game.horizon):
            chosen = rng.multinomial(here, policy[h])
            flows[h] = chosen / players
            reward, after = look(h, flows[h], public, theta)
            paid = float((flows[h] * np.asarray(reward)).sum())
            if not np.isfinite(paid):
                check_flow(game, flows, theta)
                raise NotFiniteError(f"{game.name}: expected finite rewards, got {paid} in round {h}")
            total += paid
            if h + 1 < game.horizon:
                taken = np.argwhere(chosen)
                odds = rows(h, flows[h], public, theta, taken)
                # written so that NaN is off too
                if not (np.abs(odds.sum(axis=1) - 1.0).max() <= ROUNDING and odds.min() >= -ROUNDING):
                    check_flow(game, flows, theta)
                    raise InputError(f"{game.name}: expected transition rows >= 0 that sum to 1, got others in round {h}")
                odds = distribution(odds)
                here = rng.multinomial(chosen[chosen > 0], odds).sum(axis=0)
            public = after
    return flows, total


def drawable(policy: Float64[FloatArray, "*any"], name: str, shape: tuple[int, ...]) -> Float64[FloatArray, "horizon states actions"]:
    """A policy that draws can be made of.

    Raises:
        InputError: another shape, or rows that do not sum to 1; ``name`` says whose.
    """
    chances = float64_array(policy, f"{name}: policy", shape=shape)
    if bool(np.any(chances < -1e-12)) or float(np.abs(chances.sum(axis=-1) - 1.0).max()) > 1e-6:
        raise InputError(f"{name}: expected policy rows >= 0 that sum to 1")
    return distribution(chances)


def distribution(rows: Float64[FloatArray, "*batch cells"]) -> Float64[FloatArray, "*batch cells"]:
    """Rows that sum to 1 to the last digit: the draws of whole numbers are particular about sums."""
    kept = np.clip(rows, 0.0, None)
    return np.asarray(kept / kept.sum(axis=-1, keepdims=True))


@functools.lru_cache(maxsize=32)
def _compiled(game: MeanFieldGame) -> tuple[Callable[..., Any], Callable[..., Any]]:
    import jax
    import jax.numpy as jnp

    def look(h: Any, flow: Any, public: Any, theta: Any) -> Any:
        return game.rewards(h, flow, public, theta), game.next_record(h, flow, public, theta)

    def forward(h: Any, flow: Any, public: Any, theta: Any, cells: Any) -> Any:
        # one move for every cell
        return jax.vmap(lambda c: game.moves(h, jnp.zeros_like(flow).at[c[0], c[1]].set(1.0), flow, public, theta))(cells)

    def backward(h: Any, flow: Any, public: Any, theta: Any, cells: Any) -> Any:
        # one pull-back for every next state: the cheaper way once more cells are taken than there are states
        pull: Any = jax.vjp(lambda mass: game.moves(h, mass, flow, public, theta), flow)[1]
        return jax.lax.map(lambda value: pull(value)[0][cells[:, 0], cells[:, 1]], jnp.eye(game.states, dtype=flow.dtype)).T

    ways = {True: jax.jit(backward), False: jax.jit(forward)}

    def rows(h: Any, flow: Any, public: Any, theta: Any, taken: NDArray[Any]) -> Any:
        # padded to powers of two, so that few shapes are compiled
        size = 1 << max(0, len(taken) - 1).bit_length()
        cells = np.zeros((max(size, 1), 2), dtype=taken.dtype)
        cells[: len(taken)] = taken
        way = ways[len(taken) > game.states]
        return np.asarray(way(h, jnp.asarray(flow), public, theta, jnp.asarray(cells)))[: len(taken)]

    return jax.jit(look), rows
