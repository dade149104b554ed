"""The eighteen experiments, run and written down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hurwicz._foundation import InputError
from hurwicz.reproductions.mbi.beliefs import BELIEFS
from hurwicz.reproductions.mbi.claim import Claim, Context, Experiment
from hurwicz.reproductions.mbi.effort import EFFORT
from hurwicz.reproductions.mbi.incentives import INCENTIVES
from hurwicz.reproductions.mbi.instances import PAPER as SOURCE
from hurwicz.reproductions.mbi.learning import LEARNING
from hurwicz.reproductions.mbi.nonconvex import NONCONVEX
from hurwicz.reproductions.mbi.optima import OPTIMA
from hurwicz.reproductions.mbi.scale import SCALE
from hurwicz.reproductions.mbi.stability import STABILITY
from hurwicz.reproductions.mbi.trajectories import TRAJECTORIES
from hurwicz.reproductions.paper import Paper, Progress

_EVERY = (*OPTIMA, *INCENTIVES, *NONCONVEX, *LEARNING, *STABILITY, *EFFORT, *TRAJECTORIES, *BELIEFS, *SCALE)
EXPERIMENTS: dict[str, Experiment] = {one.id: one for one in sorted(_EVERY, key=lambda one: int(one.id[2:]))}
"""The experiments by id, in the paper's order."""

PAPER = Paper[Context, Claim](
    name="Mechanism-Based Intelligence (arXiv 2512.20688)",
    title="Mechanism-Based Intelligence, claim by claim",
    source=f"{SOURCE}, appendix C",
    explained="For each claim: our figure, the paper's, and the true one (a closed form, or a certified value; a dash where there is none, "
    "as for a time). 'Agrees' compares our figure with the paper's within the tolerance that the note below states; a dash means that "
    "there is nothing to compare.",
    bound="true",
    agree=("agree with the paper", "differ from the paper"),
    load=lambda: EXPERIMENTS,
)
claims_table, summary = PAPER.table, PAPER.summary


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
    chosen = PAPER.chosen(only)
    if not (ppo_seconds > 0 and agents >= 1):
        raise InputError(f"ppo_seconds and agents: expected positive numbers, got {ppo_seconds} and {agents}")
    # C.6 takes as long as it is given
    boxed = [replace(one, seconds=ppo_seconds + 5.0) if one.id == "C.6" else one for one in chosen]
    return PAPER.run(boxed, Context(seed=seed, ppo_seconds=ppo_seconds, agents=agents), out, progress)
