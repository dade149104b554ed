"""What a reproduction says of one claim: our figure, the paper's, the ceiling that theory sets, and whether the claim holds of ours."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from hurwicz._foundation import InputError
from hurwicz.reproductions.mbi.claim import Plot, Value, show

if TYPE_CHECKING:
    from rich.table import Table

PAPER = "Corecco, Yardim, Thoma, Shen, He, Scalable Neural Incentive Design with Parameterized Mean-Field Approximation (arXiv 2510.21442)"
FIGURE_ONLY = "figure only"
"""What stands in place of the paper's figure where it draws a curve and prints no number."""


@dataclass(frozen=True)
class Claim:
    """One row: several rows may share an ``id`` where an experiment makes several claims.

    Attributes:
        id: the experiment, such as ``"A1"``.
        claim: what the figures are figures of.
        ours: what this run gave; ``None`` where it was skipped.
        paper: what the paper says; "figure only" where it draws a curve and prints no number, ``None`` where it says nothing.
        ceiling: what no rule, or no correct computation, can pass; ``None`` where theory sets no bound.
        agrees: whether our figure bears out what the paper, or theory, claims; the note says what that is. ``None``: nothing to compare.
        note: what was run, what was compared, and a sentence where the figures differ.
    """

    id: str
    claim: str
    ours: Value
    paper: Value
    ceiling: Value
    agrees: bool | None
    note: str

    def __post_init__(self) -> None:
        """JSON has no word for NaN."""
        for value in (self.ours, self.paper, self.ceiling):
            if isinstance(value, float) and not math.isfinite(value):
                raise InputError(f"{self.id} {self.claim}: expected finite figures or words, got {value}")

    def to_dict(self) -> dict[str, Any]:
        """The row as plain data for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Context:
    """What a caller may set for a run.

    Attributes:
        seed: of every random start and draw.
        say: told in words what is going on, and the fraction of this experiment that is done.
    """

    seed: int = 0
    say: Callable[[str, float], None] = field(default=lambda _what, _done: None)


@dataclass(frozen=True)
class Experiment:
    """What it is called, what is run in a sentence, how, and its rough share of the time."""

    id: str
    title: str
    problem: str
    run: Callable[[Context], tuple[Sequence[Claim], Sequence[Plot]]]
    seconds: float


def claims_table(claims: Sequence[Claim]) -> Table:
    """The rows as a rich table for a terminal; notes are left to the page and the JSON."""
    from rich.table import Table

    table = Table(
        "id", "claim", "ours", "paper", "ceiling", "agrees", title="Mean-field incentive design (arXiv 2510.21442), claim by claim"
    )
    for row in claims:
        agrees = "–" if row.agrees is None else "[green]yes[/green]" if row.agrees else "[red]no[/red]"
        table.add_row(row.id, row.claim, *(show(value) for value in (row.ours, row.paper, row.ceiling)), agrees)
    return table
