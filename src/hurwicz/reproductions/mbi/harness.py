"""Run the eighteen experiments and write what came out as one page and one JSON file."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hurwicz._foundation import InputError
from hurwicz.reproductions.mbi.beliefs import BELIEFS
from hurwicz.reproductions.mbi.claim import Claim, Context, Experiment, Plot, show
from hurwicz.reproductions.mbi.effort import EFFORT
from hurwicz.reproductions.mbi.incentives import INCENTIVES
from hurwicz.reproductions.mbi.instances import PAPER
from hurwicz.reproductions.mbi.learning import LEARNING
from hurwicz.reproductions.mbi.nonconvex import NONCONVEX
from hurwicz.reproductions.mbi.optima import OPTIMA
from hurwicz.reproductions.mbi.scale import SCALE
from hurwicz.reproductions.mbi.stability import STABILITY
from hurwicz.reproductions.mbi.trajectories import TRAJECTORIES

if TYPE_CHECKING:
    from hurwicz.reports import Page

_EVERY = (*OPTIMA, *INCENTIVES, *NONCONVEX, *LEARNING, *STABILITY, *EFFORT, *TRAJECTORIES, *BELIEFS, *SCALE)
EXPERIMENTS: dict[str, Experiment] = {one.id: one for one in sorted(_EVERY, key=lambda one: int(one.id[2:]))}
"""The experiments by id, in the paper's order."""

Progress = Callable[[str, float], None]


def claims() -> dict[str, str]:
    """Experiment id → title, in the paper's order; nothing is run.

    Example:
        >>> list(claims())[:3], len(claims())
        (['C.1', 'C.2', 'C.3'], 18)
    """
    return {one.id: one.title for one in EXPERIMENTS.values()}


def reproduce(
    only: Sequence[str] | None = None,
    out: Path | None = None,
    *,
    progress: Progress | None = None,
    ppo_seconds: float = 60.0,
    agents: int = 10**10,
    seed: int = 0,
) -> list[Claim]:
    """Run the paper's experiments and compare: our figure, the paper's, the true one.

    Args:
        only: ids such as ``"C.5"``; all eighteen if omitted.
        out: folder for ``claims.json`` (a list of rows with the fields id, claim, ours, paper, truth, agrees, note) and ``report.html``;
            nothing is written if omitted.
        progress: called with what is going on and the fraction done.
        ppo_seconds: time box of C.6, seconds, shared by its two runs.
        agents: largest population that C.18 runs.
        seed: of every random start, noise and policy.

    Returns:
        The rows, several to an experiment where it makes several claims.

    Raises:
        InputError: an unknown id, or a time box or population that is not positive.

    Example:
        >>> rows = reproduce(only=["C.3"])
        >>> [(row.id, row.agrees) for row in rows]
        [('C.3', True), ('C.3', None)]

    Source: S. Grassi, "Mechanism-Based Intelligence" (arXiv 2512.20688), appendix C.
    """
    chosen = _chosen(only)
    if not (ppo_seconds > 0 and agents >= 1):
        raise InputError(f"ppo_seconds and agents: expected positive numbers, got {ppo_seconds} and {agents}")
    began = time.perf_counter()
    shares = [ppo_seconds + 5.0 if one.id == "C.6" else one.seconds for one in chosen]
    rows: list[Claim] = []
    plots: list[tuple[str, Plot]] = []
    for k, one in enumerate(chosen):
        done = sum(shares[:k]) / sum(shares)
        say = partial(_said, progress, done)
        say(f"{one.id}: {one.title}")
        found, pictures = one.run(Context(seed=seed, ppo_seconds=ppo_seconds, agents=agents, say=say))
        rows += found
        plots += [(one.id, picture) for picture in pictures]
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        text = json.dumps([row.to_dict() for row in rows], indent=2, ensure_ascii=False, allow_nan=False)
        (out / "claims.json").write_text(text + "\n", encoding="utf-8")
        page(rows, plots, seconds=time.perf_counter() - began, seed=seed).write(out / "report.html")
    _said(progress, 1.0, "done")
    return rows


def _said(progress: Progress | None, done: float, what: str) -> None:
    if progress is not None:
        progress(what, done)


def _chosen(only: Sequence[str] | None) -> list[Experiment]:
    if only is None:
        return list(EXPERIMENTS.values())
    wanted = [only] if isinstance(only, str) else list(only)
    unknown = [name for name in wanted if name not in EXPERIMENTS]
    if unknown or not wanted:
        raise InputError(f"only: expected ids among {', '.join(EXPERIMENTS)}, got {', '.join(map(repr, unknown)) or 'none'}")
    return [one for one in EXPERIMENTS.values() if one.id in wanted]


def made() -> str:
    """Version, machine and date, for the head of a page."""
    from importlib.metadata import version

    cores, day = os.cpu_count(), time.strftime("%Y-%m-%d", time.gmtime())
    return f"hurwicz {version('hurwicz')}, Python {platform.python_version()}, {platform.machine()}, {cores} cores, {day}"


def summary(rows: Sequence[Claim]) -> dict[str, int]:
    """How many rows agree with the paper, how many differ, and how many have nothing to be compared with."""
    return {
        "agree with the paper": sum(row.agrees is True for row in rows),
        "differ from the paper": sum(row.agrees is False for row in rows),
        "nothing to compare": sum(row.agrees is None for row in rows),
    }


def page(rows: Sequence[Claim], plots: Sequence[tuple[str, Plot]], *, seconds: float, seed: int) -> Page:
    """One self-contained page: a table of all rows, then each experiment with its notes and plots."""
    from hurwicz.reports import Page

    sheet = Page("Mechanism-Based Intelligence, claim by claim", f"{PAPER}, appendix C, run again. {made()}; seed {seed}; {seconds:.0f} s.")
    sheet.figures(summary(rows))
    sheet.text(
        "For each claim: our figure, the paper's, and the true one (a closed form, or a certified value; a dash where there is none, "
        "as for a time). "
        "'Agrees' compares our figure with the paper's within the tolerance that the note below states; a dash means that there is "
        "nothing to compare."
    )
    sheet.table(["id", "claim", "ours", "paper", "true", "agrees"], [_cells(row) for row in rows])
    for identity in dict.fromkeys(row.id for row in rows):
        sheet.heading(f"{identity} {EXPERIMENTS[identity].title}")
        sheet.text(EXPERIMENTS[identity].problem)
        mine = [row for row in rows if row.id == identity]
        sheet.table(["claim", "ours", "paper", "true", "agrees", "note"], [[*_cells(row)[1:], row.note] for row in mine])
        for owner, plot in plots:
            if owner == identity:
                sheet.plot(plot.draw(), plot.caption)
    return sheet


def _cells(row: Claim) -> list[str]:
    agrees = "–" if row.agrees is None else "yes" if row.agrees else "no"
    return [row.id, row.claim, show(row.ours), show(row.paper), show(row.truth), agrees]
