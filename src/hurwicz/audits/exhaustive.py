"""Finite type spaces, every profile: outcomes are tabulated once, then every misreport of every type is compared with the truth.

Where a value is side_i <theta_i, x_i> (a mechanism says so by its ``sides``) the comparison is a compiled loop over the table. A table
that does not fit the memory limit is made in slabs of the others' profiles, once for each agent.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from hurwicz.audits.evaluation import Evaluator
from hurwicz.audits.executors import Executor, Serial
from hurwicz.audits.profiles import plain

_COMPILED = 3_000_000  # checks from which on the compiled loop is worth its import
_ROWS = 1 << 16  # profiles in a batch
_ONE_AT_A_TIME = threading.Lock()  # compiled loops use every core, and their threads may not be entered by several at once
Told = Callable[[float], None] | None


@dataclass(frozen=True)
class Deviation:
    """The largest gain over a table, and where it is."""

    gain: float
    agent: str
    true_type: Any
    misreport: Any
    others: dict[str, Any]
    checks: int
    profiles: int
    scale: float


@dataclass(frozen=True)
class Slab:
    """Outcomes for one agent: all of its reports against a range of the others' profiles.

    Attributes:
        shares: what it gets, shape (dims, reports, others).
        paid: what it pays, shape (reports, others).
        first: index of the first of the others' profiles.
    """

    shares: Float64[np.ndarray, "dims reports others"]
    paid: Float64[np.ndarray, "reports others"]
    first: int


def fits(e: Evaluator) -> bool:
    """Whether every profile can be tabulated and every deviation checked within the effort."""
    if not e.finite or not e.batched or e.lazy or e.profile_count > e.effort.max_exhaustive:
        return False
    if checks(e) > 1000.0 * e.effort.max_exhaustive or any(linear_types(e, name) is None for name in e.agents):
        return False
    return e.profile_count < 1e6 or e.profile_count * e.seconds_per_outcome / 8.0 < 20.0 * e.effort.seconds


def checks(e: Evaluator) -> float:
    """Profile–deviation checks of an exhaustive audit: for each agent, others' profiles x types x reports."""
    return e.profile_count * float(sum(float(s.size or 0) for s in e.spaces.values()))


def linear_types(e: Evaluator, agent: str) -> Float64[np.ndarray, "types dims"] | None:
    """side_i theta_i of every type where values are declared linear in the allocation (and are, on drawn profiles); None elsewhere."""
    with e.kept.lock:
        if agent not in e.kept.linear:
            before = e.evaluations
            e.kept.linear[agent] = _linear_types(e, agent)
            e.evaluations = before  # a look that no property's figure rests on
        return e.kept.linear[agent]


def _linear_types(e: Evaluator, agent: str) -> Float64[np.ndarray, "types dims"] | None:
    side = side_of(e, agent)
    grid = e.spaces[agent].grid(0)
    if side is None or grid.dtype == object:
        return None
    rng = np.random.default_rng(e.seed)
    profiles = {name: e.spaces[name].sample(rng, 64) for name in e.agents}
    outcomes = e.outcomes(profiles)
    shares = np.asarray(outcomes.allocation[agent], dtype=np.float64)
    other = e.spaces[agent].sample(rng, 64)
    if shares.reshape(64, -1).shape != other.reshape(64, -1).shape:
        return None
    meant = side * (other.reshape(64, -1) * shares.reshape(64, -1)).sum(axis=1)
    values = e.gross(agent, outcomes, other)
    if float(np.abs(values - meant).max()) > 1e-12 * max(1e-300, float(np.abs(values).max())):
        return None
    return np.ascontiguousarray(side * np.asarray(grid, dtype=np.float64).reshape(len(grid), -1))


def side_of(e: Evaluator, agent: str) -> float | None:
    """+1 or -1 where the mechanism declares values side_i <theta_i, x_i>, else None."""
    if not hasattr(e.mechanism, "sides"):
        return None
    if hasattr(e.mechanism, "side"):
        return float(e.mechanism.side(agent))
    sides = e.mechanism.sides
    return float(sides[agent] if hasattr(sides, "keys") else sides[e.agents.index(agent)])


def slabs(e: Evaluator, agent: str, executor: Executor) -> Iterator[Slab]:
    """The table of one agent, in as many slabs as the memory limit asks for."""
    sizes = [int(e.spaces[name].size or 0) for name in e.agents]
    others = [k for k, name in enumerate(e.agents) if name != agent]
    own = e.agents.index(agent)
    count = int(np.prod([sizes[k] for k in others], dtype=np.int64)) if others else 1
    kept = whole_table(e, executor)
    if kept is not None:
        if own == 0:  # counted once for each property that rests on it, whoever had it made
            e.evaluations += int(e.profile_count)
        shares, paid = kept
        x = shares[agent].reshape(*sizes, -1)
        yield Slab(
            np.ascontiguousarray(np.moveaxis(x, (own, len(sizes)), (1, 0)).reshape(x.shape[-1], sizes[own], count)),
            np.ascontiguousarray(np.moveaxis(paid[agent].reshape(sizes), own, 0).reshape(sizes[own], count)),
            0,
        )
        return
    dims = len(np.ravel(e.spaces[agent].grid(0)[0]))
    per = max(1, int(e.effort.max_bytes // (8 * (dims + 1) * sizes[own])))
    for first in range(0, count, per):
        width = min(per, count - first)
        rows = np.arange(sizes[own] * width)
        index = list(np.unravel_index(first + rows % width, [sizes[k] for k in others])) if others else []
        index.insert(own, rows // width)
        shares, paid = _tabulated(e, index, executor, [agent])
        yield Slab(
            np.ascontiguousarray(shares[agent].reshape(sizes[own], width, -1).transpose(2, 0, 1)),
            paid[agent].reshape(sizes[own], width),
            first,
        )


def whole_table(
    e: Evaluator, executor: Executor
) -> tuple[dict[str, Float64[np.ndarray, "profiles dims"]], dict[str, Float64[np.ndarray, " profiles"]]] | None:
    """Everybody's allocation and payment at every profile, kept; None where it does not fit the memory limit."""
    dims = sum(1 + len(np.ravel(e.spaces[name].grid(0)[0])) for name in e.agents)
    if 8.0 * dims * e.profile_count > e.effort.max_bytes:
        return None
    with e.kept.lock:
        if e.kept.table is None:
            sizes = [int(e.spaces[name].size or 0) for name in e.agents]
            index = list(np.unravel_index(np.arange(int(e.profile_count)), sizes))
            before = e.evaluations
            e.kept.table = _tabulated(e, index, executor, e.agents)
            e.evaluations = before
        return e.kept.table


def _tabulated(
    e: Evaluator, index: list[NDArray[np.int64]], executor: Executor, wanted: Any
) -> tuple[dict[str, Float64[np.ndarray, "profiles dims"]], dict[str, Float64[np.ndarray, " profiles"]]]:
    grids = [e.spaces[name].grid(0) for name in e.agents]
    count = len(index[0])
    shares = {name: np.empty((count, len(np.ravel(e.spaces[name].grid(0)[0])))) for name in wanted}
    paid = {name: np.empty(count) for name in wanted}

    def batch(k: int) -> int:
        part = slice(k * _ROWS, min(count, (k + 1) * _ROWS))
        reports = {name: grid[ix[part]] for name, grid, ix in zip(e.agents, grids, index, strict=True)}
        outcomes = e.outcomes(reports)
        for name in wanted:
            shares[name][part] = np.asarray(outcomes.allocation[name], dtype=np.float64).reshape(len(shares[name][part]), -1)
            paid[name][part] = outcomes.payments[name]
        return part.stop - part.start

    before = e.evaluations
    executor.fill(batch, -(-count // _ROWS))
    e.evaluations = before + count  # several threads may have counted at once
    return shares, paid


def best_deviation(e: Evaluator, executor: Executor | None = None, progress: Told = None) -> Deviation:
    """The largest gain of any misreport of any type at any profile of the others, over finite type spaces and linear values."""
    run = Serial() if executor is None else executor
    best: tuple[float, str, int, int, int] | None = None
    scale, total = 0.0, 0
    for i, agent in enumerate(e.agents):
        types = linear_types(e, agent)
        assert types is not None
        for slab in slabs(e, agent, run):
            gain, k, r, j, size = _kernel_or_numpy(types, slab)
            total += types.shape[0] ** 2 * slab.paid.shape[1]
            scale = max(scale, size)
            if best is None or gain > best[0]:
                best = (gain, agent, k, r, slab.first + j)
        if progress is not None:
            progress((i + 1) / len(e.agents))
    assert best is not None
    gain, agent, k, r, j = best
    grid = e.spaces[agent].grid(0)
    return Deviation(gain, agent, plain(grid[k]), plain(grid[r]), others_at(e, agent, j), total, int(e.profile_count), scale)


def others_at(e: Evaluator, agent: str, index: int) -> dict[str, Any]:
    """The others' profile of that number, the last one's type changing fastest."""
    names = [name for name in e.agents if name != agent]
    if not names:
        return {}
    where = np.unravel_index(index, [int(e.spaces[name].size or 0) for name in names])
    return {name: plain(e.spaces[name].grid(0)[int(k)]) for name, k in zip(names, where, strict=True)}


def _kernel_or_numpy(types: Float64[np.ndarray, "types dims"], slab: Slab) -> tuple[float, int, int, int, float]:
    if types.shape[0] ** 2 * slab.paid.shape[1] >= _COMPILED:
        from hurwicz.audits.deviation_kernels import best_misreports

        with _ONE_AT_A_TIME:
            gains, where, sizes = best_misreports(types, slab.shares, slab.paid)
        top = int(np.argmax(gains))
        k, r, j = (int(v) for v in where[top])
        return float(gains[top]), k, r, j, float(sizes.max())
    best, size = (-np.inf, 0, 0, 0), float(np.abs(slab.paid).max())
    for k, worth in enumerate(types):
        value = np.einsum("d,drj->rj", worth, slab.shares)
        utility = value - slab.paid
        table = utility - utility[k]
        r, j = (int(v) for v in np.unravel_index(int(np.argmax(table)), table.shape))
        size = max(size, float(np.abs(value[k]).max()))
        if table[r, j] > best[0]:
            best = (float(table[r, j]), k, r, j)
    return (*best, size)


def worst_turn(e: Evaluator, executor: Executor | None = None) -> Deviation:
    """The largest violation of weak monotonicity, -<theta_a - theta_b, x(a) - x(b)>, over pairs of an agent's reports and all profiles."""
    run = Serial() if executor is None else executor
    best: tuple[float, str, int, int, int] | None = None
    total, scale = 0, 0.0
    for agent in e.agents:
        types = linear_types(e, agent)
        assert types is not None
        for slab in slabs(e, agent, run):
            total += types.shape[0] * (types.shape[0] - 1) // 2 * slab.paid.shape[1]
            scale = max(scale, float(np.abs(types).max() * np.abs(slab.shares).max()))
            turn, a, b, j = _turns(types, slab)
            if best is None or turn > best[0]:
                best = (turn, agent, a, b, slab.first + j)
    assert best is not None
    turn, agent, a, b, j = best
    grid = e.spaces[agent].grid(0)
    return Deviation(turn, agent, plain(grid[a]), plain(grid[b]), others_at(e, agent, j), total, int(e.profile_count), scale)


def _turns(types: Float64[np.ndarray, "types dims"], slab: Slab) -> tuple[float, int, int, int]:
    if len(types) < 2:
        return 0.0, 0, 0, 0
    if types.shape[0] ** 2 * slab.paid.shape[1] >= _COMPILED:
        from hurwicz.audits.deviation_kernels import worst_monotonicity

        with _ONE_AT_A_TIME:
            turns, where = worst_monotonicity(types, slab.shares)
        top = int(np.argmax(turns))
        a, b, j = (int(v) for v in where[top])
        return float(turns[top]), a, b, j
    best = (-np.inf, 0, 0, 0)
    for a in range(len(types)):
        turn = np.einsum("rd,drj->rj", types[a] - types, slab.shares - slab.shares[:, a : a + 1])
        turn[a] = -np.inf
        b, j = (int(v) for v in np.unravel_index(int(np.argmax(turn)), turn.shape))
        if turn[b, j] > best[0]:
            best = (float(turn[b, j]), a, b, j)
    return best
