"""Shortfalls between agents, and of supply: envy, anonymity, feasibility, each at one profile of a batch."""

from __future__ import annotations

import itertools

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import InputError
from hurwicz.audits.evaluation import Evaluator
from hurwicz.audits.profiles import Profiles
from hurwicz.settings import Outcomes
from hurwicz.typespaces.spaces import same_space


def pairs(e: Evaluator) -> list[tuple[str, str]]:
    """Ordered pairs of agents: who envies, and whom."""
    return list(itertools.permutations(e.agents, 2))


def envy(e: Evaluator, profiles: Profiles, outcomes: Outcomes, *, limited: bool = False) -> Float64[np.ndarray, "batch pairs"]:
    """v_i(x_j) - t_j - (v_i(x_i) - t_i) for every ordered pair (i, j); minus infinity for those that a time limit comes before."""
    own = {name: e.utilities(name, outcomes, profiles[name]) for name in e.agents}
    table = np.full((len(profiles[e.agents[0]]), len(e.agents) * (len(e.agents) - 1)), -np.inf)
    for k, (i, j) in enumerate(pairs(e)):
        if k and limited and e.late:
            e.pairs_cut = True
            break
        table[:, k] = _in_place_of(e, i, j, outcomes, profiles) - own[i]
    return table


def _in_place_of(e: Evaluator, i: str, j: str, outcomes: Outcomes, profiles: Profiles) -> Float64[np.ndarray, " batch"]:
    allocation = {**outcomes.allocation, i: outcomes.allocation[j], j: outcomes.allocation[i]}
    swapped = Outcomes(allocation, {name: outcomes.payments[name] for name in e.agents})
    return e.gross(i, swapped, profiles[i]) - np.asarray(outcomes.payments[j], dtype=np.float64)


def comparable(e: Evaluator) -> str:
    """Why agents cannot stand in for one another; empty where they can."""
    first = e.spaces[e.agents[0]]
    other = next((name for name in e.agents if not same_space(first, e.spaces[name])), None)
    if other is not None:
        return f"{e.agents[0]!r} and {other!r} have different type spaces, so their reports cannot be exchanged"
    return "" if len(e.agents) > 1 else "there is only one agent"


def unlike(e: Evaluator, profiles: Profiles, outcomes: Outcomes, *, limited: bool = False) -> Float64[np.ndarray, "batch pairs"]:
    """How much i's value or payment differs from j's after the two exchange their reports; the larger of the two, in money.

    Minus infinity for pairs that a time limit comes before.
    """
    table = np.full((len(profiles[e.agents[0]]), len(e.agents) * (len(e.agents) - 1)), -np.inf)
    for k, (i, j) in enumerate(pairs(e)):
        if k and limited and e.late:
            e.pairs_cut = True
            break
        exchanged = {**profiles, i: profiles[j], j: profiles[i]}
        there = e.outcomes(exchanged)
        value = e.gross(i, outcomes, profiles[i]) - e.gross(j, there, exchanged[j])
        paid = np.asarray(outcomes.payments[i], dtype=np.float64) - np.asarray(there.payments[j], dtype=np.float64)
        table[:, k] = np.maximum(np.abs(value), np.abs(paid))
    return table


def excess(e: Evaluator, _: Profiles, outcomes: Outcomes) -> Float64[np.ndarray, "batch 1"]:
    """How much more is allocated than there is, by the mechanism's own ``excess``, shape (batch, 1)."""
    matrix = getattr(e.mechanism, "matrix", None)
    allocation = outcomes.allocation if matrix is None else matrix(outcomes.allocation)
    found = np.asarray(e.mechanism.excess(allocation), dtype=np.float64)  # type: ignore[attr-defined]
    batch = len(next(iter(outcomes.allocation.values())))
    if found.shape != (batch,) or not bool(np.all(np.isfinite(found))):
        raise InputError(f"audit: expected from excess a finite number a profile, shape ({batch},), got shape {found.shape}")
    return found[:, None]
