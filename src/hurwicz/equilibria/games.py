"""Games of finitely many types and actions: one shape for matrix games, sealed bids on grids and any mechanism's table."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

import numpy as np
from jaxtyping import Float64
from numpy.typing import ArrayLike

from hurwicz._foundation import FloatArray, InputError, ShapeError, float64_array

if TYPE_CHECKING:
    from hurwicz.equilibria.grid_responses import GridTables

# One array a player, (types, actions): the probability of each action for each type.
MixedProfile: TypeAlias = Sequence[Float64[np.ndarray, "_types _actions"]]
_LARGEST = 50_000_000


@runtime_checkable
class InterimGame(Protocol):
    """What learning needs to know of a game."""

    @property
    def names(self) -> Sequence[str]:
        """Players (or groups of identical ones)."""
        ...

    @property
    def weights(self) -> Sequence[Float64[FloatArray, "_types"]]:
        """Probability of each type of each player."""
        ...

    @property
    def sizes(self) -> Sequence[int]:
        """Number of actions of each player."""
        ...

    def utilities(self, profile: MixedProfile) -> list[Float64[FloatArray, "_types _actions"]]:
        """Interim expected utility of each action, for each type of each player, the others playing ``profile``."""
        ...


def uniform_profile(game: InterimGame) -> list[Float64[FloatArray, "_types _actions"]]:
    """Every action as likely as every other."""
    return [np.full((len(w), size), 1.0 / size) for w, size in zip(game.weights, game.sizes, strict=True)]


def gains(game: InterimGame, profile: MixedProfile) -> list[Float64[FloatArray, "_types"]]:
    """What each type of each player gains by its best action: all zero at an equilibrium.

    Example:
        >>> pennies = FiniteGame([[[1.0, -1.0], [-1.0, 1.0]], [[-1.0, 1.0], [1.0, -1.0]]])
        >>> [g.tolist() for g in gains(pennies, [np.array([[0.5, 0.5]]), np.array([[0.75, 0.25]])])]
        [[0.5], [0.0]]
    """
    tables = game.utilities(profile)
    return [np.maximum(u.max(axis=1) - (u * s).sum(axis=1), 0.0) for u, s in zip(tables, profile, strict=True)]


def exploitability(game: InterimGame, profile: MixedProfile) -> float:
    """The largest gain of any type of any player: the epsilon of an interim epsilon-equilibrium (not a sum over players)."""
    types = [g[w > 0.0] for g, w in zip(gains(game, profile), game.weights, strict=True)]
    return max(float(g.max()) for g in types if len(g))


class FiniteGame:
    """A game in strategic form: u_i(a_1, ..., a_n) as one array a player.

    Args:
        payoffs: one array a player, all of shape (actions of player 1, ..., actions of player n).
        names: of the players; ``"player 1", ...`` if omitted.

    Raises:
        ShapeError: arrays of different shapes, or not as many axes as players.
        InputError: an empty game, payoffs that are not finite.

    Example:
        >>> dilemma = FiniteGame([[[3.0, 0.0], [5.0, 1.0]], [[3.0, 5.0], [0.0, 1.0]]])
        >>> dilemma.pure_equilibria(), dilemma.welfare(dilemma.pure((1, 1)))
        ([(1, 1)], 2.0)
    """

    def __init__(self, payoffs: Sequence[ArrayLike], names: Sequence[str] | None = None) -> None:
        if not payoffs:
            raise InputError("FiniteGame: expected at least one player, got none")
        first = np.shape(payoffs[0])
        self.payoffs: tuple[Float64[FloatArray, "*actions"], ...] = tuple(
            float64_array(p, f"payoffs of player {k + 1}", shape=first) for k, p in enumerate(payoffs)
        )
        if len(first) != len(self.payoffs) or 0 in first:
            raise ShapeError(
                f"FiniteGame: expected one axis of at least one action for each of {len(self.payoffs)} players, got shape {first}"
            )
        self.names: tuple[str, ...] = tuple(names) if names is not None else tuple(f"player {k + 1}" for k in range(len(self.payoffs)))
        if len(self.names) != len(self.payoffs):
            raise InputError(f"FiniteGame: expected {len(self.payoffs)} names, got {len(self.names)}")

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of actions of each player."""
        return self.payoffs[0].shape

    @property
    def weights(self) -> list[Float64[FloatArray, "_types"]]:
        """One type a player."""
        return [np.ones(1) for _ in self.payoffs]

    @cached_property
    def grid_tables(self) -> GridTables:
        """The same tables as JAX takes those of sealed bids: one type a player, a share of u_i and nothing paid."""
        from hurwicz.equilibria.grid_responses import GridTables, Plan, Table, on_device

        players = range(len(self.payoffs))
        plans = tuple(Plan("product", tuple(j for j in players if j != k)) for k in players)
        own = [np.moveaxis(u, k, 0) for k, u in enumerate(self.payoffs)]
        tables = tuple(Table(np.ones(1), u, np.zeros_like(u)) for u in own)
        return on_device(GridTables(plans, tables, tuple(self.weights)))

    def utilities(self, profile: MixedProfile) -> list[Float64[FloatArray, "_types _actions"]]:
        """Expected payoff of each action."""
        return [self._facing(k, profile)[None] for k in range(len(self.payoffs))]

    def _facing(self, player: int, profile: MixedProfile) -> Float64[FloatArray, "actions"]:
        table = self.payoffs[player]
        for k in reversed(range(len(self.payoffs))):
            if k != player:
                table = np.tensordot(table, profile[k][0], axes=(k, 0))
        return table

    def pure(self, actions: Sequence[int]) -> list[Float64[FloatArray, "_types _actions"]]:
        """The profile in which everybody plays one action."""
        return [np.eye(size)[[a]] for size, a in zip(self.sizes, actions, strict=True)]

    def pure_equilibria(self, *, tolerance: float = 0.0) -> list[tuple[int, ...]]:
        """All profiles of actions from which nobody gains more than ``tolerance`` alone, by going through every one."""
        stable = np.ones(self.sizes, dtype=bool)
        for k, u in enumerate(self.payoffs):
            stable &= u >= u.max(axis=k, keepdims=True) - tolerance
        return [tuple(int(i) for i in row) for row in np.argwhere(stable)]

    def expected(self, profile: MixedProfile) -> Float64[FloatArray, "players"]:
        """Expected payoff of each player."""
        return np.asarray([float(self._facing(k, profile) @ profile[k][0]) for k in range(len(self.payoffs))])

    def welfare(self, profile: MixedProfile) -> float:
        """Sum of expected payoffs."""
        return float(self.expected(profile).sum())

    @property
    def best_welfare(self) -> float:
        """The greatest sum of payoffs of any profile."""
        return float(sum(self.payoffs[1:], self.payoffs[0]).max())


class TabularGame:
    """A Bayesian game as tables: what each type of each player gets at each profile of actions.

    Interim utility of action a for type t: sum_{t_-i} P(t_-i | t) sum_{a_-i} prod_j sigma_j(a_j | t_j) u_i(t; a, a_-i).

    Args:
        payoffs: one array a player, of shape (own types, actions of player 1, ..., actions of player n).
        prior: probability of each profile of types, shape (types of player 1, ..., types of player n).
        names: of the players.

    Raises:
        ShapeError: tables that do not fit one another or the prior.
        InputError: a prior that is no distribution.

    Example:
        >>> pennies = FiniteGame([[[1.0, -1.0], [-1.0, 1.0]], [[-1.0, 1.0], [1.0, -1.0]]])
        >>> same = TabularGame([p[None] for p in pennies.payoffs], np.ones((1, 1)))
        >>> exploitability(same, uniform_profile(same))
        0.0
    """

    def __init__(self, payoffs: Sequence[ArrayLike], prior: ArrayLike, names: Sequence[str] | None = None) -> None:
        self.prior: Float64[FloatArray, "*types"] = float64_array(prior, "TabularGame prior")
        self.payoffs: tuple[Float64[FloatArray, "_types *actions"], ...] = tuple(
            float64_array(p, f"payoffs of player {k + 1}") for k, p in enumerate(payoffs)
        )
        players = len(self.payoffs)
        if not players or self.prior.ndim != players or any(p.ndim != players + 1 for p in self.payoffs):
            raise ShapeError(f"TabularGame: expected a prior of {players} axes and tables of {players + 1}, got {self.prior.ndim}")
        for k, p in enumerate(self.payoffs):
            if p.shape[1:] != self.payoffs[0].shape[1:] or p.shape[0] != self.prior.shape[k]:
                raise ShapeError(
                    f"TabularGame: table of player {k + 1} has shape {p.shape}, which does not fit the prior or the others' actions"
                )
        if bool(np.any(self.prior < 0.0)) or abs(float(self.prior.sum()) - 1.0) > 1e-9:
            raise InputError(f"TabularGame: expected a prior >= 0 that sums to 1, got a sum of {self.prior.sum():.9g}")
        self.names: tuple[str, ...] = tuple(names) if names is not None else tuple(f"player {k + 1}" for k in range(players))

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of actions of each player."""
        return self.payoffs[0].shape[1:]

    @property
    def weights(self) -> list[Float64[FloatArray, "_types"]]:
        """Probability of each type of each player."""
        players = range(self.prior.ndim)
        return [self.prior.sum(axis=tuple(j for j in players if j != k)) for k in players]

    def utilities(self, profile: MixedProfile) -> list[Float64[FloatArray, "_types _actions"]]:
        """Interim expected utility of each action for each type."""
        players = self.prior.ndim
        out = []
        for i in range(players):
            # joint[t_i, a_-i] = P(t_-i | t_i) contracted with what the others do.
            joint = np.moveaxis(self.prior, i, 0)
            mass = joint.reshape(len(joint), -1).sum(axis=1)
            joint = joint / np.where(mass > 0.0, mass, 1.0).reshape(-1, *[1] * (players - 1))
            for j in (k for k in range(players) if k != i):
                joint = np.tensordot(joint, profile[j], axes=(1, 0))  # the rivals' types go one by one, their actions come in order
            table = np.moveaxis(self.payoffs[i], 1 + i, 1)
            axes = "".join(chr(ord("c") + k) for k in range(players - 1))
            out.append(np.einsum(f"ab{axes},a{axes}->ab", table, joint) if players > 1 else table)
        return out

    def strategic_form(self) -> tuple[FiniteGame, list[list[tuple[int, ...]]]]:
        """The game in which an action is a whole plan, one action a type; and the plans of each player, in the order of its actions.

        Raises:
            InputError: more than 50 million entries.
        """
        plans = [list(itertools.product(range(size), repeat=types)) for size, types in zip(self.sizes, self.prior.shape, strict=True)]
        entries = float(np.prod([float(len(p)) for p in plans]))
        if entries * len(plans) > _LARGEST:
            raise InputError(
                f"TabularGame: its strategic form would have {entries:.3g} profiles of plans; use fewer types or actions, or learn"
            )
        tables = [np.zeros([len(p) for p in plans]) for _ in plans]
        for types in np.ndindex(*self.prior.shape):
            chance = self.prior[types]
            if chance > 0.0:
                chosen = np.ix_(*[[plan[t] for plan in plans[k]] for k, t in enumerate(types)])
                for i, t in enumerate(types):
                    tables[i] += chance * self.payoffs[i][t][chosen]
        return FiniteGame(tables, self.names), plans

    def behavioural(self, mixed: MixedProfile, plans: Sequence[Sequence[tuple[int, ...]]]) -> list[Float64[FloatArray, "_types _actions"]]:
        """What each type does, of a mixture over plans."""
        out = [np.zeros((types, size)) for types, size in zip(self.prior.shape, self.sizes, strict=True)]
        for k, each in enumerate(plans):
            for plan, chance in zip(each, mixed[k][0], strict=True):
                for t, action in enumerate(plan):
                    out[k][t, action] += chance
        return out
