"""Whether a user's game is one: shapes, values, masses and derivatives, named with the round and state where they first fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Shaped

from hurwicz._foundation import FloatArray, HurwiczError, InputError, NotFiniteError, float64_scope
from hurwicz.meanfield.game import Mass, MeanFieldGame, Public, Round, Rules

_STEP = 1e-6  # of central differences in float64
_AGREE = 1e-4  # relative
_TABLE = 2_000_000  # entries of transition tables up to which every single probability is looked at
# what a user's function may raise: its own mistakes, and what JAX says of shapes and types
USERS_ERRORS = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, NotImplementedError, AssertionError)
ROUNDING = 1e-6  # by which sums, probabilities and rewards may be off: tables made in float32 are, by a few 1e-8


def check_game(game: MeanFieldGame, theta: Rules, *, draws: int, seed: int, gradients: bool) -> None:
    """See :meth:`MeanFieldGame.check`."""
    rng = np.random.default_rng(seed)
    with float64_scope():
        theta = in_float64(theta)
        _starts(game, theta)
        values, rounds = _Values(game), []
        public = _first_record(game, theta)
        for h in range(game.horizon):
            flows = list(_flows(game, draws, rng))
            rounds.append((flows, public))
            for flow, other in zip(flows, (*flows[1:], flows[0]), strict=True):
                values(h, flow, other, public, theta)
            public = values.after(h, flows[0], public, theta)
        if gradients:
            # values of all rounds first: a NaN in a late round is no matter of derivatives in an early one
            slopes = jax.jit(_slopes(game))
            for h, (flows, public) in enumerate(rounds):
                _differentiable(game, h, flows, public, theta, slopes, rng)


def check_flow(game: MeanFieldGame, flow: Any, theta: Rules = None) -> None:
    """Look at the game's functions along one flow, round by round, and raise the error that names the first that is wrong.

    Args:
        game: the game.
        flow: L, (horizon, states, actions).
        theta: the rules.

    Raises:
        InputError: as :meth:`MeanFieldGame.check`, derivatives left out.
        NotFiniteError: as there.

    Example:
        >>> from hurwicz.meanfield import left_right
        >>> game = left_right()
        >>> check_flow(game, jnp.full(game.shape, 1 / 6))
    """
    rng = np.random.default_rng(0)
    with float64_scope():
        theta = in_float64(theta)
        _starts(game, theta)
        values, public = _Values(game), _first_record(game, theta)
        for h in range(game.horizon):
            here, other = jnp.asarray(flow[h]), next(_flows(game, 1, rng))
            values(h, here, other, public, theta)
            public = values.after(h, here, public, theta)


def in_float64(tree: Any) -> Any:
    """Real leaves in float64: rules are made in float32 by JAX's default, where a difference of 1e-6 is lost in rounding."""

    def wide(leaf: Any) -> Any:
        real = isinstance(leaf, float) or (hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.floating))
        return jnp.asarray(leaf, jnp.float64) if real else leaf

    return jax.tree.map(wide, tree)


class _Values:
    """One round's values, looked at; compiled once for all rounds."""

    def __init__(self, game: MeanFieldGame) -> None:
        self.game = game
        self.rewards, self.moves, self.record = (jax.jit(f) for f in (game.rewards, _moves(game), game.next_record))

    def __call__(self, h: int, flow: Mass, other: Mass, public: Public, theta: Rules) -> None:
        game = self.game
        if game.inspect is not None:
            _tried(game, "inspect", h, game.inspect, h, flow, public, theta)
        paid = np.asarray(_tried(game, "reward", h, self.rewards, h, flow, public, theta))
        _shaped(game, "reward", paid, (game.states, game.actions), h)
        _in_range(game, paid, h)
        _kept(game, h, _tried(game, "move", h, self.moves, h, flow, other, public, theta))

    def after(self, h: int, flow: Mass, public: Public, theta: Rules) -> Public:
        """The public record of the next round."""
        following = in_float64(_tried(self.game, "record", h, self.record, h, flow, public, theta))
        if any(bool(np.isnan(leaf).any()) for leaf in _real(following)):
            raise NotFiniteError(f"{self.game.name}: expected numbers, the record after round {h} holds nan")
        return following


def _real(tree: Any) -> list[Shaped[np.ndarray, "..."]]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(tree) if jnp.issubdtype(jnp.asarray(leaf).dtype, jnp.floating)]


def _first_record(game: MeanFieldGame, theta: Rules) -> Public:
    return in_float64(_tried(game, "record_start", 0, game.first_record, theta))


def _starts(game: MeanFieldGame, theta: Rules) -> None:
    begin = np.asarray(_tried(game, "start", 0, game.begins, theta), dtype=np.float64)
    _shaped(game, "start", begin, (game.states,), 0)
    if bool(np.any(begin < -ROUNDING)) or abs(float(begin.sum()) - 1.0) > ROUNDING:
        raise InputError(
            f"{game.name}: expected a start >= 0 that sums to 1, got a sum of {begin.sum():.9g} and a least share of {begin.min():.6g}"
        )


def _flows(game: MeanFieldGame, draws: int, rng: np.random.Generator) -> Iterator[Mass]:
    legal = np.ones((game.states, game.actions), dtype=bool) if game.legal is None else np.asarray(game.legal)
    places = np.flatnonzero(legal)
    for _ in range(max(draws, 1)):
        mass = np.zeros(legal.size)
        mass[places] = rng.dirichlet(np.ones(len(places)))
        yield jnp.asarray(mass.reshape(legal.shape))
    # at an equilibrium most actions carry no mass at all: a division by it shows only here
    crowded = np.zeros(legal.size)
    crowded[rng.choice(places, size=min(2, len(places)), replace=False)] = 0.5 if len(places) > 1 else 1.0
    yield jnp.asarray(crowded.reshape(legal.shape))


def _tried(game: MeanFieldGame, what: str, h: int, function: Callable[..., Any], *given: Any) -> Any:
    try:
        return function(*given)
    except HurwiczError:
        raise
    except (jax.errors.JAXTypeError, jax.errors.JAXIndexError) as error:
        raise InputError(
            f"{game.name}: expected a {what} that JAX can trace, got {type(error).__name__} in round {h}; use jax.numpy instead of numpy, "
            "jnp.where instead of if, and index arrays with the round, not lists"
        ) from error
    except USERS_ERRORS as error:
        public = "" if game.record is None else ", public"
        takes = {
            "reward": f"(h, flow, theta{public})",
            "move": f"(h, mass, flow, theta{public})",
            "record": "(h, flow, public, theta)",
            "inspect": "(h, flow, public, theta)",
        }
        raise InputError(
            f"{game.name}: expected a {what} of {takes.get(what, '(theta)')}, got {type(error).__name__} in round {h}: {first_line(error)}"
        ) from error


def first_line(error: Exception) -> str:
    """What an error says, without its explanation."""
    return (str(error).strip() or "no message").splitlines()[0]


def _shaped(game: MeanFieldGame, what: str, array: FloatArray, shape: tuple[int, ...], h: int) -> None:
    if array.shape != shape:
        raise InputError(f"{game.name}: expected a {what} of shape {shape} in round {h}, got {array.shape}")
    _finite(game, f"the {what}", array, h)


def _finite(game: MeanFieldGame, what: str, array: FloatArray, h: int) -> None:
    wrong = ~np.isfinite(array)
    if wrong.any():
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise NotFiniteError(f"{game.name}: expected finite numbers, {what} is {array[where]} in round {h}, {_place(where)}")


def _place(where: tuple[int, ...]) -> str:
    return ", ".join(f"{axis} {i}" for axis, i in zip(("state", "action", "next state"), where, strict=False))


def _in_range(game: MeanFieldGame, paid: FloatArray, h: int) -> None:
    if game.reward_range is None:
        return
    least, greatest = game.reward_range
    slack = ROUNDING * max(1.0, abs(least), abs(greatest))
    wrong = (paid < least - slack) | (paid > greatest + slack)
    if wrong.any():
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise InputError(
            f"{game.name}: expected rewards in [{least:g}, {greatest:g}], got {paid[where]:.6g} in round {h}, {_place(where)}; "
            "bound the reward, or declare another reward_range"
        )


class _Moved(NamedTuple):
    went: Any  # (states,)
    bent: Any  # how far the move of a mixture is from the mixture of the moves
    sums: Any  # of transition rows, (states, actions)
    least: Any  # transition probability of each state and action, where the table is small enough to look at


def _moves(game: MeanFieldGame) -> Callable[..., _Moved]:
    def moved(h: Round, flow: Mass, other: Mass, public: Public, theta: Rules) -> _Moved:
        def go(mass: Mass) -> Float[Array, "..."]:
            return game.moves(h, mass, flow, public, theta)

        went, mean = jax.vjp(go, flow)
        if went.shape != (game.states,):
            return _Moved(went, 0.0, jnp.ones_like(flow), jnp.zeros_like(flow))
        bent = jnp.abs(go(0.5 * flow + 0.5 * other) - 0.5 * went - 0.5 * go(other)).max()
        # the transpose of the move: sum_s' P(s' | s, a) value(s'), for all (s, a) at once
        sums = mean(jnp.ones(game.states))[0]
        if flow.size * game.states > _TABLE:
            return _Moved(went, bent, sums, jnp.broadcast_to(went.min(), flow.shape))
        least = jax.lax.scan(lambda low, value: (jnp.minimum(low, mean(value)[0]), None), jnp.zeros_like(flow), jnp.eye(game.states))[0]
        return _Moved(went, bent, sums, least)

    return moved


def _kept(game: MeanFieldGame, h: int, moved: _Moved) -> None:
    went, bent, sums, least = (np.asarray(part) for part in moved)
    _shaped(game, "move", went, (game.states,), h)
    if float(bent) > ROUNDING:
        raise InputError(f"{game.name}: expected the move of round {h} to be linear in the mass that is moved; it is not")
    _finite(game, "the move", sums, h)
    off = np.abs(sums - 1.0) > ROUNDING
    if off.any():
        where = tuple(int(i) for i in np.argwhere(off)[0])
        raise InputError(
            f"{game.name}: expected transition rows that sum to 1, so that the move keeps the mass; "
            f"got a sum of {sums[where]:.9g} in round {h}, {_place(where)}"
        )
    if bool(np.any(least < -ROUNDING)):
        where = tuple(int(i) for i in np.argwhere(least < -ROUNDING)[0])
        raise InputError(f"{game.name}: expected transition probabilities >= 0, got {least[where]:.6g} in round {h}, {_place(where)}")


class _Slopes(NamedTuple):
    reward: Any  # derivative of <weight, reward>
    move: Any  # derivative of <value, move>
    shown: Any  # their slopes along the direction, (2,)
    differences: Any  # central differences along it, (2,)


def _slopes(game: MeanFieldGame) -> Callable[..., _Slopes]:
    def slopes(h: Round, flow: Mass, public: Public, theta: Rules, weight: Mass, value: Float[Array, " states"], toward: Any) -> _Slopes:
        inputs, whole = _movable((flow, theta, public))
        # shares, and what is left of something, are moved in proportion: none turns negative, and 0 is no kink
        record_size = _movable(public)[0].size
        sizes = [flow.ravel(), jnp.ones(inputs.size - flow.size - record_size), jnp.abs(inputs[inputs.size - record_size :])]
        direction = toward * jnp.concatenate(sizes)

        def of(x: Float[Array, " inputs"]) -> Float[Array, "2"]:
            seen, rules, record = whole(x)
            # the mass that is moved stays the same: only the population that is seen changes
            paid = (weight * game.rewards(h, seen, record, rules)).sum()
            return jnp.stack([paid, value @ game.moves(h, flow, seen, record, rules)])

        pull = jax.vjp(of, inputs)[1]
        reward, move = pull(jnp.asarray([1.0, 0.0]))[0], pull(jnp.asarray([0.0, 1.0]))[0]
        ahead, behind = jax.lax.map(lambda step: of(inputs + step * direction), jnp.asarray([_STEP, -_STEP]))
        return _Slopes(reward, move, jnp.stack([reward @ direction, move @ direction]), (ahead - behind) / (2.0 * _STEP))

    return slopes


def _movable(parts: Any) -> tuple[Float[Array, " inputs"], Callable[[Float[Array, " inputs"]], Any]]:
    """The real numbers among the leaves, as one vector; and the way back."""
    leaves, tree = jax.tree.flatten(parts)
    real = [jnp.issubdtype(jnp.asarray(leaf).dtype, jnp.floating) for leaf in leaves]
    vector, back = ravel_pytree([jnp.asarray(leaf) for leaf, moves in zip(leaves, real, strict=True) if moves])

    def whole(x: Float[Array, " inputs"]) -> Any:
        moved = iter(back(x))
        return jax.tree.unflatten(tree, [next(moved) if moves else leaf for leaf, moves in zip(leaves, real, strict=True)])

    return vector, whole


def _differentiable(
    game: MeanFieldGame, h: int, flows: list[Mass], public: Public, theta: Rules, slopes: Callable[..., _Slopes], rng: np.random.Generator
) -> None:
    size = _movable((flows[0], theta, public))[0].size
    agree = np.zeros((len(flows), 2), dtype=bool)
    for k, flow in enumerate(flows):
        weight, value = jnp.asarray(rng.normal(size=flow.shape)), jnp.asarray(rng.normal(size=game.states))
        toward = jnp.asarray(rng.normal(size=size))
        try:
            found = slopes(h, flow, public, theta, weight, value, toward)
        except USERS_ERRORS as error:
            raise InputError(
                f"{game.name}: expected a reward and a move that JAX can differentiate; in round {h} it says "
                f"{type(error).__name__}: {error}"
            ) from error
        if not np.isfinite(found.reward).all():
            for state in range(game.states):
                if not np.isfinite(slopes(h, flow, public, theta, jnp.zeros_like(flow).at[state].set(1.0), value, toward).reward).all():
                    raise NotFiniteError(
                        f"{game.name}: expected a finite derivative of the reward, got NaN or infinity in round {h}, state {state}; "
                        "a division by a share that can vanish, or jnp.where around one, does this: make the divisor safe inside"
                    )
        if not np.isfinite(found.move).all():
            raise NotFiniteError(f"{game.name}: expected a finite derivative of the move, got NaN or infinity in round {h}")
        shown, differences = np.asarray(found.shown), np.asarray(found.differences)
        sizes = np.asarray([np.linalg.norm(found.reward), np.linalg.norm(found.move)])
        agree[k] = np.abs(shown - differences) <= _AGREE * np.maximum(np.maximum(np.abs(shown), np.abs(differences)), 1e-3 * sizes + 1e-4)
    # a difference across a kink disagrees now and then; a derivative that is wrong disagrees everywhere
    for k, what in enumerate(("reward", "move")):
        if not agree[:, k].any():
            raise InputError(
                f"{game.name}: expected the derivative of the {what} that differences show, got {shown[k]:.6g} in round {h} where a "
                f"difference of {_STEP:g} shows {differences[k]:.6g}; is a part hidden from JAX (stop_gradient, rounding, a custom rule)?"
            )
