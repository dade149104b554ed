"""Every misreport of every type at every profile of the others, for values linear in the allocation: compiled loops."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

_BLOCK = 256


@njit(parallel=True, nogil=True, cache=True, fastmath=False)
def best_misreports(types, shares, paid):  # type: ignore[no-untyped-def]
    """Best gain of a lie, block by block of others' profiles.

    Args:
        types: (true types, dims), signed so that the value of x is <type, x>.
        shares: (dims, reports, others) what the agent gets, reports in the order of the types.
        paid: (reports, others) what it pays.

    Returns:
        gains (blocks,), true type, report and others' profile of each (blocks,), largest |value| or |payment| at the truth (blocks,).
    """
    dims, count, others = shares.shape
    blocks = (others + _BLOCK - 1) // _BLOCK
    gain = np.full(blocks, -np.inf)
    where = np.zeros((blocks, 3), dtype=np.int64)
    size = np.zeros(blocks)
    for block in prange(blocks):
        begin = block * _BLOCK
        width = min(_BLOCK, others - begin)
        truth = np.empty(_BLOCK)
        best = np.empty(_BLOCK)
        utility = np.empty(_BLOCK)
        for k in range(count):
            for j in range(width):
                truth[j] = 0.0
            for d in range(dims):
                worth = types[k, d]
                for j in range(width):
                    truth[j] += worth * shares[d, k, begin + j]
            for j in range(width):
                size[block] = max(size[block], abs(truth[j]), abs(paid[k, begin + j]))
                truth[j] -= paid[k, begin + j]
                best[j] = -np.inf
            for r in range(count):
                if dims == 1:
                    worth = types[k, 0]
                    for j in range(width):
                        u = worth * shares[0, r, begin + j] - paid[r, begin + j]
                        best[j] = u if u > best[j] else best[j]
                else:
                    for j in range(width):
                        utility[j] = -paid[r, begin + j]
                    for d in range(dims):
                        worth = types[k, d]
                        for j in range(width):
                            utility[j] += worth * shares[d, r, begin + j]
                    for j in range(width):
                        best[j] = utility[j] if utility[j] > best[j] else best[j]
            for j in range(width):
                if best[j] - truth[j] > gain[block]:
                    gain[block] = best[j] - truth[j]
                    where[block, 0] = k
                    where[block, 2] = begin + j
    for block in range(blocks):  # which report it was: once a block
        k, j = where[block, 0], where[block, 2]
        top = -np.inf
        for r in range(count):
            u = -paid[r, j]
            for d in range(dims):
                u += types[k, d] * shares[d, r, j]
            if u > top:
                top = u
                where[block, 1] = r
    return gain, where, size


@njit(parallel=True, nogil=True, cache=True)
def worst_monotonicity(types, shares):  # type: ignore[no-untyped-def]
    """Largest -(type_a - type_b) (x(a) - x(b)) over pairs of reports, block by block; arguments as for :func:`best_misreports`."""
    dims, count, others = shares.shape
    blocks = (others + _BLOCK - 1) // _BLOCK
    worst = np.full(blocks, -np.inf)
    where = np.zeros((blocks, 3), dtype=np.int64)
    for block in prange(blocks):
        begin = block * _BLOCK
        width = min(_BLOCK, others - begin)
        turn = np.empty(_BLOCK)
        for a in range(count):
            for b in range(a + 1, count):
                for j in range(width):
                    turn[j] = 0.0
                for d in range(dims):
                    step = types[b, d] - types[a, d]
                    for j in range(width):
                        turn[j] += step * (shares[d, a, begin + j] - shares[d, b, begin + j])
                for j in range(width):
                    if turn[j] > worst[block]:
                        worst[block] = turn[j]
                        where[block, 0] = a
                        where[block, 1] = b
                        where[block, 2] = begin + j
    return worst, where
