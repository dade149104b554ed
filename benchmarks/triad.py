"""STREAM triad: the rate at which this machine moves memory, the measure of all that is bound by it."""

from __future__ import annotations

import statistics
from typing import Any

import numba
import numpy as np

from benchmarks.machine import times
from hurwicz.prices.populations.workers import Workers


@numba.njit(nogil=True, fastmath=True)
def _triad(a: Any, b: Any, c: Any, q: Any, first: int, last: int) -> None:
    a, b, c = a[first:last], b[first:last], c[first:last]
    for i in range(a.shape[0]):
        a[i] = b[i] + q * c[i]


def triad_rate(size: int, dtype: Any, *, seconds: float) -> tuple[float, float]:
    """(best, median) bytes a second of a = b + q c on all cores, 3 words an element counted, as STREAM counts.

    STREAM does not count the line that a store fetches before it writes to it; a step that writes where it has just read fetches none,
    and so can pass 100 %.
    """
    a, b, c = (np.full(size, value, dtype=dtype) for value in (0.0, 1.0, 2.0))
    workers, q = Workers(), np.dtype(dtype).type(3.0)
    block = 65536
    blocks = -(-size // block)

    def once() -> None:
        workers.share(lambda first, last: _triad(a, b, c, q, first * block, min(size, last * block)), blocks)

    taken = times(once, repeats=50, seconds=seconds)
    if not (a[0] == 7.0 and a[-1] == 7.0):
        raise AssertionError("triad: wrong result")
    moved = 3 * size * np.dtype(dtype).itemsize
    return moved / min(taken), moved / statistics.median(taken)
