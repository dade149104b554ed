"""A published paper: run its experiments, write what came out as one page and one JSON file."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Generic

from hurwicz._foundation import InputError
from hurwicz.reproductions.claim import ContextT, Experiment, Plot, Row, RowT, Say

if TYPE_CHECKING:
    from rich.table import Table

    from hurwicz.reports import Page

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Paper(Generic[ContextT, RowT]):
    """What is said of the whole, and its experiments.

    Attributes:
        name: short, with its number.
        title: of the page.
        source: the reference.
        explained: how to read the page's table.
        bound: heading of the column of what theory says.
        agree: what a row that agrees is called, and one that does not.
        load: the experiments by id, in the order of the page; called when they are needed, for some are dear to import.
    """

    name: str
    title: str
    source: str
    explained: str
    bound: str
    agree: tuple[str, str]
    load: Callable[[], dict[str, Experiment[ContextT, RowT]]]

    def chosen(self, only: Sequence[str] | None) -> list[Experiment[ContextT, RowT]]:
        """The experiments asked for, in the order of the page; all if ``only`` is None.

        Raises:
            InputError: an unknown id, or none.
        """
        every = self.load()
        if only is None:
            return list(every.values())
        wanted = [only] if isinstance(only, str) else list(only)
        unknown = [name for name in wanted if name not in every]
        if unknown or not wanted:
            raise InputError(f"only: expected ids among {', '.join(every)}, got {', '.join(map(repr, unknown)) or 'none'}")
        return [one for one in every.values() if one.id in wanted]

    def run(
        self, experiments: Sequence[Experiment[ContextT, RowT]], context: ContextT, out: Path | None, progress: Progress | None
    ) -> list[RowT]:
        """Run experiments one after another; write ``claims.json`` and ``report.html`` into ``out``, if given, once all have ended."""
        began = time.perf_counter()
        rows: list[RowT] = []
        plots: list[tuple[str, Plot]] = []
        whole = sum(one.seconds for one in experiments)
        before = 0.0
        for one in experiments:
            say = _teller(progress, one.id, before / whole, one.seconds / whole)
            say(one.title)
            found, pictures = one.run(replace(context, say=say))
            rows += found
            plots += [(one.id, picture) for picture in pictures]
            before += one.seconds
        if out is not None:
            page = self.page(rows, plots, seconds=time.perf_counter() - began, seed=context.seed)
            out.mkdir(parents=True, exist_ok=True)
            (out / "claims.json").write_text(as_json(rows), encoding="utf-8")
            page.write(out / "report.html")
        if progress is not None:
            progress("done", 1.0)
        return rows

    def summary(self, rows: Sequence[RowT]) -> dict[str, int]:
        """How many rows agree, how many differ, and how many have nothing to be compared with."""
        agree, differ = self.agree
        return {
            agree: sum(row.agrees is True for row in rows),
            differ: sum(row.agrees is False for row in rows),
            "nothing to compare": sum(row.agrees is None for row in rows),
        }

    def headings(self) -> list[str]:
        """Of the columns that ``Row.cells`` fills."""
        return ["id", "claim", "ours", "paper", self.bound, "agrees"]

    def table(self, rows: Sequence[RowT]) -> Table:
        """The rows as a rich table for a terminal; notes are left to the page and the JSON."""
        from rich.table import Table

        table = Table(*self.headings(), title=f"{self.name}, claim by claim")
        colours = {"yes": "[green]yes[/green]", "no": "[red]no[/red]"}
        for row in rows:
            *cells, agrees = row.cells()
            table.add_row(*cells, colours.get(agrees, agrees))
        return table

    def page(self, rows: Sequence[RowT], plots: Sequence[tuple[str, Plot]], *, seconds: float, seed: int) -> Page:
        """One self-contained page: a table of all rows, then each experiment with its notes and plots."""
        from hurwicz.reports import Page

        every = self.load()
        sheet = Page(self.title, f"{self.source}, run again. {made()}; seed {seed}; {seconds:.0f} s.")
        sheet.figures(self.summary(rows))
        sheet.text(self.explained)
        sheet.table(self.headings(), [row.cells() for row in rows])
        for identity in dict.fromkeys(row.id for row in rows):
            sheet.heading(f"{identity}: {every[identity].title}")
            sheet.text(every[identity].problem)
            mine = [row for row in rows if row.id == identity]
            sheet.table([*self.headings()[1:], "note"], [[*row.cells()[1:], row.note] for row in mine])
            for owner, plot in plots:
                if owner == identity:
                    sheet.plot(plot.draw(), plot.caption)
        return sheet


def _teller(progress: Progress | None, identity: str, start: float, share: float) -> Say:
    def say(what: str, done: float = 0.0) -> None:
        if progress is not None:
            progress(f"{identity}: {what}", start + share * min(max(done, 0.0), 1.0))

    return say


def as_json(rows: Sequence[Row]) -> str:
    """The rows as a JSON list of objects, with a line end."""
    return json.dumps([row.to_dict() for row in rows], indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def made() -> str:
    """Version, machine and date, for the head of a page."""
    from importlib.metadata import version

    cores, day = os.cpu_count(), time.strftime("%Y-%m-%d", time.gmtime())
    return f"hurwicz {version('hurwicz')}, Python {platform.python_version()}, {platform.machine()}, {cores} cores, {day}"
