"""The experiments on mean-field incentive design, run and written down."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hurwicz.reproductions.amid.claim import Claim, Experiment
from hurwicz.reproductions.claim import Context
from hurwicz.reproductions.paper import Paper, Progress


def experiments() -> dict[str, Experiment]:
    """The experiments by id, in the order of the page."""
    from hurwicz.reproductions.amid.finite import FINITE
    from hurwicz.reproductions.amid.first_setting import FIRST_SETTING
    from hurwicz.reproductions.amid.gradients import GRADIENTS
    from hurwicz.reproductions.amid.memory import MEMORY
    from hurwicz.reproductions.amid.settings import SETTINGS

    return {one.id: one for one in (*FIRST_SETTING, *SETTINGS, *GRADIENTS, *MEMORY, *FINITE)}


PAPER = Paper[Context, Claim](
    name="Mean-field incentive design (arXiv 2510.21442)",
    title="Mean-field incentive design, claim by claim",
    source="Corecco, Yardim, Thoma, Shen, He, Scalable Neural Incentive Design with Parameterized Mean-Field Approximation "
    "(arXiv 2510.21442)",
    explained="The paper draws its revenues as curves and prints no table of them: such rows say 'figure only', and 'agrees' then says "
    "whether what the paper claims in words holds of our figures. The ceiling is what no rule can pass.",
    bound="ceiling",
    agree=("agree", "differ"),
    load=experiments,
)
claims_table, summary = PAPER.table, PAPER.summary


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
        >>> [row.agrees for row in reproduce(only=["finite"])]
        [True, True]

    Source: Corecco et al. (arXiv 2510.21442), section 5 and table 2.
    """
    return PAPER.run(PAPER.chosen(only), Context(seed=seed), out, progress)
