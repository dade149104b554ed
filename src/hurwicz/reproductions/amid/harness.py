"""Run the experiments on mean-field incentive design and write what came out as one page and one JSON file."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hurwicz._foundation import InputError
from hurwicz.reproductions.amid.claim import PAPER, Claim, Context, Experiment
from hurwicz.reproductions.mbi.claim import Plot, show

if TYPE_CHECKING:
    from hurwicz.reports import Page

Progress = Callable[[str, float], None]


def experiments() -> dict[str, Experiment]:
    """The experiments by id, in the order of the page."""
    from hurwicz.reproductions.amid.finite import FINITE
    from hurwicz.reproductions.amid.first_setting import FIRST_SETTING
    from hurwicz.reproductions.amid.gradients import GRADIENTS
    from hurwicz.reproductions.amid.memory import MEMORY
    from hurwicz.reproductions.amid.settings import SETTINGS

    return {one.id: one for one in (*FIRST_SETTING, *SETTINGS, *GRADIENTS, *MEMORY, *FINITE)}


def claims() -> dict[str, str]:
    """Experiment id → title; nothing is run.

    Example:
        >>> list(claims())[:2]
        ['A1', 'A2']
    """
    return {one.id: one.title for one in experiments().values()}


def reproduce(
    only: Sequence[str] | None = None, out: Path | None = None, *, progress: Progress | None = None, seed: int = 0
) -> list[Claim]:
    """Run the paper's experiments, small enough for minutes, and compare: our figure, the paper's, the ceiling.

    Args:
        only: ids such as ``"A1"``; all if omitted.
        out: folder for ``claims.json`` (a list of rows with the fields id, claim, ours, paper, ceiling, agrees, note) and ``report.html``;
            nothing is written if omitted.
        progress: called with what is going on and the fraction done.
        seed: of every random start and draw.

    Returns:
        The rows, several to an experiment where it makes several claims.

    Raises:
        InputError: an unknown id.

    Example:
        >>> [(row.id, row.agrees) for row in reproduce(only=["gradients"])][:1]
        [('gradients', True)]

    Source: Corecco et al. (arXiv 2510.21442), section 5 and table 2.
    """
    chosen = _chosen(only)
    began = time.perf_counter()
    rows: list[Claim] = []
    plots: list[tuple[str, Plot]] = []
    whole = sum(one.seconds for one in chosen)
    for k, one in enumerate(chosen):
        before = sum(other.seconds for other in chosen[:k])
        say = _teller(progress, one, before / whole, one.seconds / whole)
        say(one.title, 0.0)
        found, pictures = one.run(Context(seed=seed, say=say))
        rows += found
        plots += [(one.id, picture) for picture in pictures]
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        text = json.dumps([row.to_dict() for row in rows], indent=2, ensure_ascii=False, allow_nan=False)
        (out / "claims.json").write_text(text + "\n", encoding="utf-8")
        page(rows, plots, seconds=time.perf_counter() - began, seed=seed).write(out / "report.html")
    if progress is not None:
        progress("done", 1.0)
    return rows


def _teller(progress: Progress | None, one: Experiment, start: float, share: float) -> Callable[[str, float], None]:
    def say(what: str, done: float) -> None:
        if progress is not None:
            progress(f"{one.id}: {what}", start + share * min(max(done, 0.0), 1.0))

    return say


def _chosen(only: Sequence[str] | None) -> list[Experiment]:
    every = experiments()
    if only is None:
        return list(every.values())
    wanted = [only] if isinstance(only, str) else list(only)
    unknown = [name for name in wanted if name not in every]
    if unknown or not wanted:
        raise InputError(f"only: expected ids among {', '.join(every)}, got {', '.join(map(repr, unknown)) or 'none'}")
    return [one for one in every.values() if one.id in wanted]


def summary(rows: Sequence[Claim]) -> dict[str, int]:
    """How many rows bear the claims out, how many do not, and how many have nothing to be compared with."""
    return {
        "agree": sum(row.agrees is True for row in rows),
        "differ": sum(row.agrees is False for row in rows),
        "nothing to compare": sum(row.agrees is None for row in rows),
    }


def page(rows: Sequence[Claim], plots: Sequence[tuple[str, Plot]], *, seconds: float, seed: int) -> Page:
    """One self-contained page: a table of all rows, then each experiment with its notes and plots."""
    from hurwicz.reports import Page
    from hurwicz.reproductions.mbi.harness import made

    every = experiments()
    sheet = Page("Mean-field incentive design, claim by claim", f"{PAPER}, run again. {made()}; seed {seed}; {seconds:.0f} s.")
    sheet.figures(summary(rows))
    sheet.text(
        "The paper draws its revenues as curves and prints no table of them: such rows say 'figure only', and 'agrees' then says whether "
        "what the paper claims in words holds of our figures. The ceiling is what no rule can pass."
    )
    sheet.table(["id", "claim", "ours", "paper", "ceiling", "agrees"], [_cells(row) for row in rows])
    for identity in dict.fromkeys(row.id for row in rows):
        sheet.heading(f"{identity}: {every[identity].title}")
        sheet.text(every[identity].problem)
        mine = [row for row in rows if row.id == identity]
        sheet.table(["claim", "ours", "paper", "ceiling", "agrees", "note"], [[*_cells(row)[1:], row.note] for row in mine])
        for owner, plot in plots:
            if owner == identity:
                sheet.plot(plot.draw(), plot.caption)
    return sheet


def _cells(row: Claim) -> list[str]:
    agrees = "–" if row.agrees is None else "yes" if row.agrees else "no"
    return [row.id, row.claim, show(row.ours), show(row.paper), show(row.ceiling), agrees]
