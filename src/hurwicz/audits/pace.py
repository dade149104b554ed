"""What an audit does not do twice, and how much of it at a time."""

from __future__ import annotations

import threading
from time import perf_counter
from typing import Any

from hurwicz._foundation import FloatArray


class Kept:
    """What the properties of one audit share: tables of outcomes, made once. Another process makes its own.

    Attributes:
        linear: agent name → signed types where values are linear in the allocation, else None.
        table: everybody's allocation and payment at every profile.
        form: what a declared form was checked at.
        lines: the certificate along lines, with the outcomes it took and the scale of values.
        cut: what the time limit left of that certificate; empty where nothing was cut.
        stopped: set where the audit is interrupted: whoever still works on it ends at its next outcome.
        lock: held while any of them is made.
    """

    def __init__(self) -> None:
        self.linear: dict[str, FloatArray | None] = {}
        self.table: tuple[dict[str, FloatArray], dict[str, FloatArray]] | None = None
        self.form: Any = None
        self.lines: tuple[Any, int, float] | None = None
        self.cut = ""
        self.stopped = False
        self.lock = threading.RLock()

    def __reduce__(self) -> tuple[type[Kept], tuple[()]]:
        """Empty in another process."""
        return Kept, ()


class Pace:
    """Batch sizes that grow while the mechanism is fast, so that a time limit is kept also where one outcome takes long.

    Args:
        most: largest batch.
        limited: begin with one profile; without a time limit, begin with the largest batch.
    """

    def __init__(self, most: int, *, limited: bool = True) -> None:
        self.size = 1 if limited else max(1, most)
        self._most = max(1, most)
        self._begun = perf_counter()

    def start(self) -> None:
        """A batch begins."""
        self._begun = perf_counter()

    def stop(self) -> None:
        """A batch has ended."""
        took = perf_counter() - self._begun
        if took < 0.5:
            self.size = min(8 * self.size, self._most)
        elif took > 3.0:
            self.size = max(1, self.size // 2)
