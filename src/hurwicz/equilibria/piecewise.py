"""Expectations over one rival's bid of answers that jump: cells of the rival's values are divided where the answer does."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from jaxtyping import Float64, Int64

from hurwicz._foundation import FloatArray
from hurwicz.equilibria.strategies import MonotoneStrategy

# Rows and the rival's bid in each → the share and payment that the rule answers.
Ask: TypeAlias = Callable[
    [Int64[np.ndarray, "asked"], Float64[FloatArray, "asked"]], tuple[Float64[FloatArray, "asked"], Float64[FloatArray, "asked"]]
]
_HALVINGS = 42
_MOST_JUMPS = 4


def expected_answers(
    ask: Ask, own: Float64[FloatArray, "rows"], rival: MonotoneStrategy, count: int
) -> tuple[Float64[FloatArray, "rows"], Float64[FloatArray, "rows"]]:
    """E[x] and E[t] over the rival's bid, for every row.

    Two Gauss–Legendre nodes a cell of the rival's values. A cell is divided where the rival bids what the row's own bid is, and where the
    answers at two neighbouring nodes differ so much that a jump must lie between, which is then found by bisection: thresholds of any
    kind (a cost to be covered, a step of a clock) are integrated as exactly as those at the own bid.

    Args:
        ask: the rule.
        own: the agent's bid in each row.
        rival: whose bid is averaged over.
        count: nodes, about.
    """
    rows = len(own)
    edges = rival.cell_edges(count)
    nodes, weights = rival.gauss(edges[:-1], edges[1:])
    # Both ends are asked too, with no weight: a jump may lie beyond the outermost node.
    flat, heavy = np.concatenate([edges[:1], nodes.ravel(), edges[-1:]]), np.pad(weights.ravel(), 1)
    at = rival(flat)
    everyone = np.arange(rows)
    answers = [y.reshape(rows, -1) for y in ask(np.repeat(everyone, len(flat)), np.tile(at, rows))]
    lowest, highest = rival.values_that_bid(own)
    cuts = np.concatenate([np.stack([lowest, highest], axis=1), _jumps(ask, answers, flat, rival, lowest, highest)], axis=1)
    cell = np.clip(np.searchsorted(edges, cuts, side="right") - 1, 0, len(edges) - 2)
    divided = np.zeros((rows, len(edges) - 1), dtype=bool)
    divided[everyone[:, None], cell] = True
    points = np.sort(np.concatenate([cuts, edges[cell], edges[cell + 1]], axis=1), axis=1)
    low, high = points[:, :-1], points[:, 1:]
    middle = np.clip(np.searchsorted(edges, 0.5 * (low + high), side="right") - 1, 0, len(edges) - 2)
    row, column = np.nonzero((high > low) & divided[everyone[:, None], middle])
    inner, mass = rival.gauss(low[row, column], high[row, column])
    finer = ask(np.repeat(row, 2), rival(inner.ravel()))
    kept = np.where(np.pad(np.repeat(divided, 2, axis=1), ((0, 0), (1, 1))), 0.0, heavy)
    out = [(kept * whole).sum(axis=1) for whole in answers]
    out = [base + np.bincount(np.repeat(row, 2), mass.ravel() * part, minlength=rows) for base, part in zip(out, finer, strict=True)]
    return out[0], out[1]


def _jumps(
    ask: Ask,
    answers: list[Float64[FloatArray, "rows nodes"]],
    nodes: Float64[FloatArray, "nodes"],
    rival: MonotoneStrategy,
    lowest: Float64[FloatArray, "rows"],
    highest: Float64[FloatArray, "rows"],
) -> Float64[FloatArray, "rows jumps"]:
    """The rival's values at which the answer jumps, the lowest value of all where there are fewer than there is room for."""
    rows = len(lowest)
    found = np.full((rows, _MOST_JUMPS + 2), rival.values[0])
    scales = [float(np.ptp(y)) for y in answers]
    if not any(scale > 0.0 for scale in scales):
        return found
    scales = [scale if scale > 0.0 else np.inf for scale in scales]
    least = max(0.02, min(0.5, 8.0 / len(nodes)))
    size = np.maximum(*(np.abs(np.diff(y, axis=1)) / scale for y, scale in zip(answers, scales, strict=True)))
    # The gap in which the rival bids the same falls into two: up to there, and from there on.
    tiny = 1e-13 * (rival.values[-1] - rival.values[0])
    ends = [np.clip(np.searchsorted(nodes, value, side="right"), 1, len(nodes) - 1) for value in (lowest, highest)]
    everyone = np.arange(rows)
    for end in ends:
        size[everyone, end - 1] = 0.0
    most = min(_MOST_JUMPS, size.shape[1])
    largest = np.argpartition(-size, most - 1, axis=1)[:, :most]
    row, place = np.nonzero(np.take_along_axis(size, largest, axis=1) > least)
    gap = largest[row, place]
    parts = [(row, place, nodes[gap], nodes[gap + 1], [y[row, gap] for y in answers], [y[row, gap + 1] for y in answers])]
    below, above = ends[0] - 1, ends[1]
    by = [ask(everyone, rival(v)) for v in (lowest - tiny, highest + tiny)]
    parts.append((everyone, np.full(rows, -2), nodes[below], lowest - tiny, [y[everyone, below] for y in answers], list(by[0])))
    parts.append((everyone, np.full(rows, -1), highest + tiny, nodes[above], list(by[1]), [y[everyone, above] for y in answers]))
    for which, slot, low, high, start, end_ in parts:
        jump = np.maximum(*(np.abs(y - z) / scale for y, z, scale in zip(start, end_, scales, strict=True)))
        there = np.flatnonzero((jump > least) & (high > low))
        if len(there):
            sides = [[y[there] for y in side] for side in (start, end_)]
            found[which[there], slot[there]] = _bisected(ask, which[there], rival, low[there], high[there], sides)
    return found


def _bisected(
    ask: Ask,
    row: Int64[np.ndarray, "jumps"],
    rival: MonotoneStrategy,
    low: Float64[FloatArray, "jumps"],
    high: Float64[FloatArray, "jumps"],
    sides: list[list[Float64[FloatArray, "jumps"]]],
) -> Float64[FloatArray, "jumps"]:
    """Where the answer goes over from what it is at ``low`` to what it is at ``high``."""
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        here = ask(row, rival(middle))
        near = [np.add(*(np.abs(y - z) for y, z in zip(here, side, strict=True))) for side in sides]
        before = near[0] <= near[1]
        low, high = np.where(before, middle, low), np.where(before, high, middle)
    return np.asarray(0.5 * (low + high))
