"""Threads that share out the blocks of one pass; the answer does not depend on how many there are."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from hurwicz._foundation import InputError

_SHARES = 4  # pieces a worker: small enough that a busy core does not hold up the rest


def available_workers() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Workers:
    """A fixed number of threads, the calling one among them.

    Compiled kernels release Python's lock, so that plain threads use every core and numba's own
    threading layer, which is a setting of the whole process, is left alone.
    """

    def __init__(self, count: int | None = None) -> None:
        if count is not None and count < 1:
            raise InputError(f"workers: expected at least 1, got {count}")
        self.count = available_workers() if count is None else int(count)
        self._pool: ThreadPoolExecutor | None = None

    def sums(self, kernel: Callable[..., Any], fields: tuple[Any, ...], blocks: int, columns: int = 1) -> list[float]:
        """Totals over blocks of the columns that ``kernel(*fields, first, last, out)`` leaves in ``out[first:last]``.

        The partial sums are added exactly (Shewchuk), in block order: the same bits for any number of workers.
        """
        out = np.zeros((blocks, columns))
        self.share(lambda first, last: kernel(*fields, first, last, out), blocks)
        return [math.fsum(out[:, j]) for j in range(columns)]

    def share(self, work: Callable[[int, int], Any], blocks: int) -> None:
        """Call ``work(first, last)`` on pieces that cover ``range(blocks)``."""
        workers = min(self.count, blocks)
        if workers <= 1:
            work(0, blocks)
            return
        cuts = np.linspace(0, blocks, min(blocks, workers * _SHARES) + 1).astype(int).tolist()
        pieces = iter(list(itertools.pairwise(cuts)))

        def drain() -> None:
            for first, last in pieces:  # a list iterator hands each piece to exactly one thread
                work(first, last)

        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.count - 1, thread_name_prefix="hurwicz")
        others: list[Future[None]] = [self._pool.submit(drain) for _ in range(workers - 1)]
        drain()
        for other in others:
            other.result()

    def __getstate__(self) -> dict[str, Any]:
        return {"count": self.count}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["count"])  # type: ignore[misc]

    def close(self) -> None:
        """End the threads; the next pass would start them anew."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    def __del__(self) -> None:
        pool = getattr(self, "_pool", None)
        if pool is not None:
            pool.shutdown(wait=False)
