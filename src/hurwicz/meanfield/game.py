"""A parameterised mean-field game: finitely many states and actions, a horizon, and rules theta that somebody designs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Array, Bool, Float, Float64
from numpy.typing import NDArray

from hurwicz._foundation import InputError, float64_array

Rules: TypeAlias = Any  # any JAX pytree
Round: TypeAlias = Any  # an integer, or JAX's tracer of one
Mass: TypeAlias = Float[Array, "states actions"]
Reward: TypeAlias = Callable[..., Float[Array, "states actions"]]
Move: TypeAlias = Callable[..., Float[Array, " states"]]
Public: TypeAlias = Any  # any JAX pytree
Transition: TypeAlias = Callable[[Round, Mass, Rules], Float[Array, "states actions states"]]


@dataclass(frozen=True, kw_only=True, eq=False)
class MeanFieldGame:
    """A finite-horizon mean-field game with rules theta.

    mu_{h+1}(s') = sum_{s,a} L_h(s,a) P_h,theta(s' | s, a, L_h), with L_h the joint distribution of states and actions in round h, and
    reward R_h,theta(s, a, L_h). Rewards and moves are JAX functions of (round, flow, theta) for all states and actions at once; the round
    may be a traced integer: use ``jnp.where``, or index an array with it.

    Attributes:
        name: what tables call it.
        states: how many states.
        actions: how many actions.
        horizon: how many rounds, H.
        initial: mu_0, sums to 1.
        reward: (h, L_h, theta) → (states, actions).
        move: (h, mass, L_h, theta) → (states,): where ``mass`` (states, actions) goes when the population plays L_h; linear in ``mass`` and
            keeps its sum. Large games never hold the array (states, actions, states) that it stands for.
        record: what is public besides the flow (goods left, say): (h, L_h, public, theta) → public of the next round. Where it is given,
            ``reward`` and ``move`` take the public record of the round as one more argument at the end.
        record_start: theta → public record of round 0.
        legal: which actions each state allows, (states, actions); all of them where omitted. Entropy counts legal actions only.
        reward_range: the least and the greatest reward that there can be, where rewards are bounded; :meth:`check` refuses others.
        inspect: (h, L_h, public, theta) → None: raises where the rules ask for what cannot be (more sold than there is, say); called by
            :meth:`check` with numbers, never traced. With or without a record, all four are given.
        start: theta → mu_0, where the rules or the setting decide how the population begins; ``initial`` otherwise.
        state_labels: what each state means, for plots.
        action_labels: what each action means.

    Raises:
        InputError: no states, actions or rounds, a number of them that is not whole, or an initial distribution that is none.

    Example:
        >>> import jax.numpy as jnp
        >>> stay = lambda h, mass, flow, theta: mass.sum(axis=1)
        >>> shun = lambda h, flow, theta: -jnp.broadcast_to(flow.sum(axis=0), flow.shape)
        >>> game = MeanFieldGame(name="two roads", states=1, actions=2, horizon=1, initial=np.ones(1), reward=shun, move=stay)
        >>> game.shape
        (1, 1, 2)

    Source: Corecco et al., "Scalable neural incentive design with parameterized mean-field approximation" (arXiv 2510.21442), section 2.
    """

    name: str
    states: int
    actions: int
    horizon: int
    initial: Float64[np.ndarray, " states"]
    reward: Reward
    move: Move
    record: Callable[[Round, Mass, Public, Rules], Public] | None = None
    record_start: Callable[[Rules], Public] | None = None
    start: Callable[[Rules], Float[Array, " states"]] | None = None
    legal: Bool[NDArray[np.bool_], "states actions"] | None = None
    reward_range: tuple[float, float] | None = None
    inspect: Callable[[int, Mass, Public, Rules], None] | None = None
    state_labels: tuple[str, ...] = ()
    action_labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a game without states, actions, rounds or a distribution to begin with."""
        counted(self.name, states=self.states, actions=self.actions, horizon=self.horizon)
        begin = float64_array(self.initial, f"{self.name}: initial distribution", shape=(self.states,))
        if bool(np.any(begin < 0.0)) or abs(float(begin.sum()) - 1.0) > 1e-9:
            raise InputError(f"{self.name}: expected an initial distribution >= 0 that sums to 1, got a sum of {begin.sum():.9g}")
        if (self.record is None) != (self.record_start is None):
            raise InputError(f"{self.name}: expected record and record_start together, got one of them")
        if self.legal is not None and (self.legal.shape != (self.states, self.actions) or not bool(self.legal.any(axis=1).all())):
            raise InputError(f"{self.name}: expected legal of shape {(self.states, self.actions)} with an action in every state")

        if self.reward_range is not None and not self.reward_range[0] < self.reward_range[1]:
            raise InputError(f"{self.name}: expected a range of rewards (least, greatest), got {self.reward_range}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """(horizon, states, actions): the shape of policies and flows."""
        return self.horizon, self.states, self.actions

    def masked(self, logits: Float[Array, "*batch states actions"]) -> Float[Array, "*batch states actions"]:
        """The logits, minus infinity where an action is not legal."""
        import jax.numpy as jnp

        return logits if self.legal is None else jnp.where(jnp.asarray(self.legal), logits, -jnp.inf)

    def begins(self, theta: Rules) -> Float[Array, " states"]:
        """mu_0 under the rules ``theta``."""
        import jax.numpy as jnp

        return jnp.asarray(self.initial) if self.start is None else self.start(theta)

    def first_record(self, theta: Rules) -> Public:
        """The public record of round 0; empty where the game keeps none."""
        return () if self.record_start is None else self.record_start(theta)

    def next_record(self, h: Round, flow: Mass, public: Public, theta: Rules) -> Public:
        """The public record of the round after ``h``."""
        return () if self.record is None else self.record(h, flow, public, theta)

    def rewards(self, h: Round, flow: Mass, public: Public, theta: Rules) -> Float[Array, "..."]:
        """R_h of all states and actions, (states, actions); :meth:`check` says so where a user's function gives another shape."""
        return self.reward(h, flow, theta) if self.record is None else self.reward(h, flow, theta, public)

    def moves(self, h: Round, mass: Mass, flow: Mass, public: Public, theta: Rules) -> Float[Array, "..."]:
        """Where ``mass`` goes, (states,)."""
        return self.move(h, mass, flow, theta) if self.record is None else self.move(h, mass, flow, theta, public)

    def check(self, theta: Rules = None, *, draws: int = 3, seed: int = 0, gradients: bool = True) -> None:
        """Try the game's functions at random flows, round by round, and at flows that crowd on one point.

        Args:
            theta: the rules.
            draws: flows a round.
            seed: of the flows.
            gradients: also try derivatives in flow, rules and public record: finite, and the ones that differences show.

        Raises:
            InputError: a function that JAX cannot trace or differentiate, another shape, mass that is lost, made or negative, a move that
                is not linear in the mass, rewards out of the declared range, or what ``inspect`` refuses.
            NotFiniteError: NaN or infinity in a value or derivative, with the round and state where it first happened.
        """
        from hurwicz.meanfield.checking import check_game

        check_game(self, theta, draws=draws, seed=seed, gradients=gradients)


def counted(name: str, **counts: Any) -> None:
    """Refuse counts that are no whole numbers, or below 1.

    Raises:
        InputError: the first that is not; ``name`` says whose.

    Example:
        >>> counted("a game", horizon=3)
        >>> counted("a game", horizon=2.5)
        Traceback (most recent call last):
        ...
        hurwicz._foundation.errors.InputError: a game: expected horizon >= 1, a whole number, got 2.5
    """
    for what, count in counts.items():
        if not isinstance(count, int | np.integer) or count < 1:
            raise InputError(f"{name}: expected {what} >= 1, a whole number, got {count!r}")


def weight_of_entropy(tau: Any, name: str) -> float:
    """``tau`` as a number.

    Raises:
        InputError: no number, or a negative or infinite one; ``name`` says whose.

    Example:
        >>> weight_of_entropy(np.float32(0.5), "a game")
        0.5
    """
    try:
        weight = math.nan if isinstance(tau, str) else float(tau)
    except (TypeError, ValueError):
        weight = math.nan
    if not (math.isfinite(weight) and weight >= 0.0):
        raise InputError(f"{name}: expected a weight of entropy tau >= 0, got {tau!r}")
    return weight


def from_transition(*, transition: Transition, **fields: Any) -> MeanFieldGame:
    """A game from a table of transition probabilities P_h(s' | s, a) instead of a move.

    Args:
        transition: (h, L_h, theta) → (states, actions, states), rows that sum to 1.
        fields: the other fields of :class:`MeanFieldGame`.

    Raises:
        InputError: as for :class:`MeanFieldGame`.

    Example:
        >>> import jax.numpy as jnp
        >>> go = lambda h, flow, theta: jnp.broadcast_to(jnp.eye(2)[None], (2, 2, 2))  # action a leads to state a
        >>> none = lambda h, flow, theta: jnp.zeros((2, 2))
        >>> start = np.array([1.0, 0.0])
        >>> two = from_transition(transition=go, name="two rooms", states=2, actions=2, horizon=2, initial=start, reward=none)
        >>> two.check(draws=1)
    """

    def move(h: Round, mass: Mass, flow: Mass, theta: Rules) -> Float[Array, " states"]:
        import jax.numpy as jnp

        return jnp.einsum("sa,sat->t", mass, transition(h, flow, theta))

    return MeanFieldGame(move=move, **fields)
