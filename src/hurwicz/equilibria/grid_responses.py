"""Exact interim shares, payments and best responses on grids of bids, compiled by JAX once a shape.

The mechanism's own rule is asked once, when the tables are made; from then on everything is sums over them. There are three shapes of
table, one for each exact route of :mod:`hurwicz.equilibria.interim`: counts of rivals above and tied, the rivals' bid of one rank, and the
product of grids. They need P(bid = b) of every group and nothing else, so that a profile is as many numbers as there are bids.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float64

from hurwicz._foundation import FloatArray, float64_scope

# One a group: P(bid = b) on its grid.
Masses: TypeAlias = tuple[Any, ...]


class Plan(NamedTuple):
    """What is fixed when a group's interim sums are compiled.

    Attributes:
        kind: ``"counts"``, ``"threshold"`` or ``"product"``.
        others: the group of each rival.
        order: of the threshold: which bid of the rivals from the top; 0 for the other kinds.
    """

    kind: str
    others: tuple[int, ...]
    order: int = 0


class Table(NamedTuple):
    """Numbers of one group, of the shapes that its plan's kind needs.

    Attributes:
        values: side times type, one a type.
        share: x_i at (above, tied, own bid), at (own bid, threshold), or at (own bid, bid of each rival).
        payment: t_i there.
        places: by group of rivals: how many of its bids are below each own bid, and how many at most it (not for products).
        tied_share: x_i at (above, tied, own bid), for thresholds: used where a rival ties at the threshold.
        tied_payment: t_i there.
        at_thresholds: as ``places``, at every threshold.
        apart: 1 where the threshold differs from the own bid, else 0.
    """

    values: Any
    share: Any
    payment: Any
    places: Any = ()
    tied_share: Any = ()
    tied_payment: Any = ()
    at_thresholds: Any = ()
    apart: Any = ()


class GridTables(NamedTuple):
    """A game on grids: one plan, one table and the types' probabilities for each group."""

    plans: tuple[Plan, ...]
    tables: tuple[Table, ...]
    weights: tuple[Any, ...]


def count_chances(above: Float[Array, "rivals bids"], tied: Float[Array, "rivals bids"]) -> Float[Array, "above tied bids"]:
    """P(a rivals bid more, t the same): the recursion of :func:`hurwicz.equilibria.interim.count_distribution`, in JAX."""
    rivals, bids = above.shape
    out = jnp.zeros((rivals + 1, rivals + 1, bids), above.dtype).at[0, 0].set(1.0)
    for k in range(rivals):
        p, q = above[k], tied[k]
        more = jnp.pad(out[:-1] * p, ((1, 0), (0, 0), (0, 0)))
        same = jnp.pad(out[:, :-1] * q, ((0, 0), (1, 0), (0, 0)))
        out = out * (1.0 - p - q) + more + same
    return out


def _above_and_tied(places: Any, masses: Masses) -> tuple[dict[int, Any], dict[int, Any]]:
    """P(one of the group bids more) and P(it bids the same), for each group of rivals."""
    cumulative = {g: jnp.concatenate([jnp.zeros(1, masses[g].dtype), jnp.cumsum(masses[g])]) for g in places}
    above = {g: cumulative[g][-1] - cumulative[g][until] for g, (_, until) in places.items()}
    return above, {g: cumulative[g][until] - cumulative[g][before] for g, (before, until) in places.items()}


def _by_counts(plan: Plan, share: Any, payment: Any, above: dict[int, Any], tied: dict[int, Any]) -> Float[Array, "2 bids"]:
    chance = count_chances(jnp.stack([above[g] for g in plan.others]), jnp.stack([tied[g] for g in plan.others]))
    return jnp.stack([(chance * share).sum(axis=(0, 1)), (chance * payment).sum(axis=(0, 1))])


def _of_rank(plan: Plan, above: dict[int, Any], tied: dict[int, Any]) -> Float[Array, " thresholds"]:
    """P(the rivals' bid of that rank = y)."""
    over = jnp.stack([above[g] for g in plan.others])
    least = over + jnp.stack([tied[g] for g in plan.others])
    none = jnp.zeros_like(over)
    up_to = [count_chances(p, none)[: plan.order, 0].sum(axis=0) for p in (over, least)]
    return up_to[0] - up_to[1]


def _product(table: Any, others: Sequence[int], masses: Masses, kept: int = -1) -> Any:
    """The table summed over every rival but the one in place ``kept``."""
    for k in reversed(range(len(others))):
        if k > kept:
            table = table @ masses[others[k]]
        elif k < kept:
            table = jnp.tensordot(table, masses[others[k]], axes=(k + 1, 0))
    return table


def interim_sums(plan: Plan, table: Table, masses: Masses) -> Float[Array, "2 bids"]:
    """X(b) and T(b) on a group's own grid."""
    if plan.kind == "product":
        return jnp.stack([_product(table.share, plan.others, masses), _product(table.payment, plan.others, masses)])
    if plan.kind == "counts":
        return _by_counts(plan, table.share, table.payment, *_above_and_tied(table.places, masses))
    chance = _of_rank(plan, *_above_and_tied(table.at_thresholds, masses)) * table.apart
    ties = _by_counts(plan, table.tied_share, table.tied_payment, *_above_and_tied(table.places, masses))
    return jnp.stack([(chance * table.share).sum(axis=1), (chance * table.payment).sum(axis=1)]) + ties


def interim_slopes(plan: Plan, table: Table, masses: Masses) -> list[Float[Array, "2 bids masses"]]:
    """Derivatives of X(b) and T(b) by P(bid = b') of every group.

    Chances of counts at a bid depend on its own P(above) and P(tied) alone, so that one derivative in each direction serves all bids.
    """
    zero = [jnp.zeros((2, table.share.shape[-1 if plan.kind == "counts" else 0], len(m)), m.dtype) for m in masses]
    if plan.kind == "product":
        for k, g in enumerate(plan.others):
            parts = [_product(t, plan.others, masses, kept=k) for t in (table.share, table.payment)]
            zero[g] = zero[g] + jnp.stack(parts)
        return zero
    if plan.kind == "counts":
        return _through_places(lambda a, t: _by_counts(plan, table.share, table.payment, a, t), table.places, masses, zero)
    ties = _through_places(lambda a, t: _by_counts(plan, table.tied_share, table.tied_payment, a, t), table.places, masses, zero)
    flat = [jnp.zeros((1, table.share.shape[1], len(m)), m.dtype) for m in masses]
    chances = _through_places(lambda a, t: _of_rank(plan, a, t)[None], table.at_thresholds, masses, flat)
    weights = (table.share * table.apart, table.payment * table.apart)
    return [tie + jnp.stack([w @ chance[0] for w in weights]) for tie, chance in zip(ties, chances, strict=True)]


def _through_places(function: Any, places: Any, masses: Masses, zero: list[Any]) -> list[Any]:
    """Derivatives by masses of a function of P(above) and P(tied), bid by bid."""
    above, tied = _above_and_tied(places, masses)
    out = list(zero)
    for g, (before, until) in places.items():
        ones = {h: jnp.ones_like(p) if h == g else jnp.zeros_like(p) for h, p in above.items()}
        none = {h: jnp.zeros_like(p) for h, p in above.items()}
        by_above = jax.jvp(function, (above, tied), (ones, none))[1]
        by_tied = jax.jvp(function, (above, tied), (none, ones))[1]
        place = jnp.arange(len(masses[g]))
        higher = (place >= until[:, None]).astype(above[g].dtype)
        same = ((place >= before[:, None]) & (place < until[:, None])).astype(above[g].dtype)
        out[g] = out[g] + by_above[..., None] * higher + by_tied[..., None] * same
    return out


def _tables_of_utility(plans: tuple[Plan, ...], tables: tuple[Table, ...], masses: Masses) -> list[Any]:
    sums = [interim_sums(plan, table, masses) for plan, table in zip(plans, tables, strict=True)]
    return [jnp.outer(table.values, share) - payment for table, (share, payment) in zip(tables, sums, strict=True)]


@partial(jax.jit, static_argnames="plans")
def _utilities(plans: tuple[Plan, ...], tables: tuple[Table, ...], masses: Masses) -> list[Any]:
    return _tables_of_utility(plans, tables, masses)


def utilities(grid: GridTables, masses: Sequence[Float64[FloatArray, "_bids"]]) -> list[Float64[FloatArray, "_types _bids"]]:
    """Utility side v X(b) - T(b) for every type and bid of every group, the rivals' bids distributed as ``masses`` say."""
    with float64_scope():
        return [np.asarray(u) for u in _utilities(grid.plans, grid.tables, tuple(masses))]


def on_device(grid: GridTables) -> GridTables:
    """The same tables as arrays of JAX in float64, so that they are carried over once."""
    with float64_scope():
        return grid._replace(tables=jax.tree.map(jnp.asarray, grid.tables), weights=jax.tree.map(jnp.asarray, grid.weights))


def _split(grid_bids: Sequence[int], point: Float[Array, "unknowns"]) -> Masses:
    return tuple(jnp.split(point, np.cumsum(np.asarray(grid_bids))[:-1]))


@partial(jax.jit, static_argnames=("plans", "bids"))
def _logit(
    plans: tuple[Plan, ...], tables: tuple[Table, ...], weights: tuple[Any, ...], bids: tuple[int, ...], point: Float[Array, "unknowns"]
) -> tuple[Any, Any]:
    masses, rate = _split(bids, point[:-1]), jnp.exp(point[-1])
    left, rows = [], []
    for plan, table, weight, mass in zip(plans, tables, weights, masses, strict=True):
        share, payment = interim_sums(plan, table, masses)
        by_share, by_payment = jnp.concatenate(interim_slopes(plan, table, masses), axis=2)
        utility = jnp.outer(table.values, share) - payment
        played = jax.nn.softmax(rate * utility, axis=1)
        worth = weight * table.values
        # d softmax = rate (diag(s) - s s') dU and dU = v dX - dT, summed over types.
        by_mass = (worth @ played)[:, None] * by_share - played.T @ (worth[:, None] * (played @ by_share))
        by_mass -= (weight @ played)[:, None] * by_payment - played.T @ (weight[:, None] * (played @ by_payment))
        by_rate = (weight[:, None] * played * (utility - (played * utility).sum(axis=1, keepdims=True))).sum(axis=0)
        left.append(mass - weight @ played)
        rows.append(-rate * jnp.concatenate([by_mass, by_rate[:, None]], axis=1))
    jacobian = jnp.concatenate(rows)
    return jnp.concatenate(left), jacobian.at[:, :-1].add(jnp.eye(len(jacobian)))


def logit_condition(
    grid: GridTables, point: Float64[FloatArray, "unknowns"]
) -> tuple[Float64[FloatArray, "masses"], Float64[FloatArray, "masses unknowns"]]:
    """The logit condition m - sum_v w_v softmax(lambda U_v(m)) and its derivative, at (m, log lambda)."""
    bids = tuple(int(t.share.shape[-1 if p.kind == "counts" else 0]) for p, t in zip(grid.plans, grid.tables, strict=True))
    with float64_scope():
        left, jacobian = _logit(grid.plans, grid.tables, grid.weights, bids, point)
        return np.asarray(left), np.asarray(jacobian)


@partial(jax.jit, static_argnames="plans")
def _logit_profile(
    plans: tuple[Plan, ...], tables: tuple[Table, ...], weights: tuple[Any, ...], masses: Masses, rate: Float[Array, ""]
) -> tuple[Any, Any]:
    played = [jax.nn.softmax(rate * u, axis=1) for u in _tables_of_utility(plans, tables, masses)]
    again = _tables_of_utility(plans, tables, tuple(w @ p for w, p in zip(weights, played, strict=True)))
    gains = [jnp.where(w > 0.0, u.max(axis=1) - (u * p).sum(axis=1), 0.0).max() for w, u, p in zip(weights, again, played, strict=True)]
    return jnp.maximum(jnp.stack(gains).max(), 0.0), played


def logit_profile(
    grid: GridTables, masses: Sequence[Float64[FloatArray, "_bids"]], rate: float
) -> tuple[float, list[Float64[FloatArray, "_types _bids"]]]:
    """softmax(rate U(m)), and the most that any type gains at that profile."""
    with float64_scope():
        gain, played = _logit_profile(grid.plans, grid.tables, grid.weights, tuple(masses), np.float64(rate))
        # Bids that are as good as never made are left out, so that what is done with a profile sums over few.
        kept = [np.where(np.asarray(p) > 1e-12, np.asarray(p), 0.0) for p in played]
        return float(gain), [p / p.sum(axis=1, keepdims=True) for p in kept]
