"""Ctrl-C: once, and what is under way is wound up with the best so far; twice, and that ends too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


class StoppedAgain(KeyboardInterrupt):
    """Ctrl-C, while what a first one had stopped was being wound up."""


@dataclass
class Interruption:
    """Whether somebody has pressed Ctrl-C.

    Attributes:
        stopped: whether it was pressed once; pressed again, :class:`StoppedAgain` is raised.
    """

    stopped: bool = False

    @contextmanager
    def ends(self) -> Iterator[None]:
        """A first Ctrl-C ends the block, whose work is lost; the program goes on after it.

        Example:
            >>> stop = Interruption()
            >>> with stop.ends():
            ...     raise KeyboardInterrupt
            >>> stop.stopped
            True
        """
        try:
            yield
        except KeyboardInterrupt as error:
            self._note(error)

    def outlasted(self, make: Callable[[], T]) -> T:
        """What ``make`` returns; a first Ctrl-C is noted, and it is made again from the beginning.

        Example:
            >>> Interruption().outlasted(lambda: 3)
            3
        """
        try:
            return make()
        except KeyboardInterrupt as error:
            self._note(error)
            return self.outlasted(make)

    def _note(self, error: KeyboardInterrupt) -> None:
        if self.stopped or isinstance(error, StoppedAgain):
            raise StoppedAgain from error
        self.stopped = True
