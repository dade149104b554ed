"""What a reproduction says of one claim: our figure, the paper's, the true one, and whether the first two agree."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from hurwicz._foundation import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

Value = float | str | None


@dataclass(frozen=True)
class Claim:
    """One row: several rows may share an ``id`` where an experiment makes several claims.

    Attributes:
        id: the experiment in the paper's appendix, ``"C.1"`` to ``"C.18"``.
        claim: what the figures are figures of.
        ours: what this run gave; ``None`` where it was skipped.
        paper: what the paper says; ``None`` where it gives nothing to compare.
        truth: closed form or certified value; ``None`` where there is none (a time, say).
        agrees: whether ``ours`` is ``paper`` within the tolerance that the note states; ``None`` where there is nothing to compare.
        note: what was run, the tolerance, and a sentence where the figures differ.
    """

    id: str
    claim: str
    ours: Value
    paper: Value
    truth: Value
    agrees: bool | None
    note: str

    def to_dict(self) -> dict[str, Any]:
        """The row as plain data for JSON."""
        return asdict(self)


def compare(
    identity: str,
    claim: str,
    *,
    ours: Value,
    paper: Value,
    truth: Value,
    note: str,
    relative: float = 0.0,
    absolute: float = 0.0,
    span: tuple[float, float] | None = None,
    comparable: bool = True,
) -> Claim:
    """A row whose ``agrees`` is worked out: |ours - paper| <= absolute + relative |paper|, or equal words.

    Args:
        identity: ``"C.1"`` to ``"C.18"``.
        claim: what the figures are figures of.
        ours: this run's figure; ``None`` where skipped.
        paper: the paper's; ``None`` where it has none. With ``span`` the words for its range.
        truth: the true figure, or ``None``.
        note: what was run and why the figures differ; the tolerance is added to it.
        relative: relative tolerance of the comparison with the paper.
        absolute: absolute tolerance of the same.
        comparable: False where agreement would mean nothing (times of different things, say); the note must say why.
        span: the paper's figure is a range: agreement means lying in it, widened by the tolerance.

    Raises:
        InputError: a figure that is NaN or infinite (JSON has no word for it), or numbers compared without a tolerance.

    Example:
        >>> compare("C.3", "loss", ours=6.9930070, paper=6.993007, truth=6.993007, note="Five agents.", relative=1e-6).agrees
        True
    """
    for value in (ours, paper, truth):
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"{identity} {claim}: expected finite figures or words, got {value}")
    agrees: bool | None
    if ours is None or paper is None or not comparable:
        agrees, tolerance = None, ""
    elif isinstance(ours, str):
        if span is not None or not isinstance(paper, str):
            raise InputError(f"{identity} {claim}: words are compared with words, got {ours!r} and {paper!r}")
        agrees, tolerance = ours == paper, "Compared word for word."
    else:
        if relative == 0.0 and absolute == 0.0:
            raise InputError(f"{identity} {claim}: numbers need a tolerance to be compared")
        if span is None:
            if isinstance(paper, str):
                raise InputError(f"{identity} {claim}: numbers are compared with numbers, got {ours!r} and {paper!r}")
            span = (paper, paper)
        reach = absolute + relative * max(abs(span[0]), abs(span[1]))
        agrees = span[0] - reach <= ours <= span[1] + reach
        words = [f"{name} {value:.1g}" for name, value in (("relative", relative), ("absolute", absolute)) if value]
        tolerance = f"Tolerance against the paper: {' + '.join(words)}."
    return Claim(identity, claim, ours, paper, truth, agrees, " ".join(part for part in (note, tolerance) if part))


@dataclass(frozen=True)
class Plot:
    """A picture for the page, drawn only when a page is written."""

    caption: str
    draw: Callable[[], Figure]


@dataclass(frozen=True)
class Context:
    """What a caller may set for a run.

    Attributes:
        seed: of every random start, noise and policy.
        ppo_seconds: time box of C.6.
        agents: largest population that C.18 runs.
        say: told in words what is going on.
    """

    seed: int = 0
    ppo_seconds: float = 60.0
    agents: int = 10**10
    say: Callable[[str], None] = field(default=lambda _: None)


@dataclass(frozen=True)
class Experiment:
    """One of the eighteen: what it is called, the problem in one line, how it is run, and its rough share of the time."""

    id: str
    title: str
    problem: str
    run: Callable[[Context], tuple[Sequence[Claim], Sequence[Plot]]]
    seconds: float


def claims_table(claims: Sequence[Claim]) -> Table:
    """The rows as a rich table for a terminal; notes are left to the page and the JSON."""
    from rich.table import Table

    table = Table("id", "claim", "ours", "paper", "true", "agrees", title="Mechanism-Based Intelligence (arXiv 2512.20688), claim by claim")
    for row in claims:
        agrees = "–" if row.agrees is None else "[green]yes[/green]" if row.agrees else "[red]no[/red]"
        table.add_row(row.id, row.claim, *(show(value) for value in (row.ours, row.paper, row.truth)), agrees)
    return table


def show(value: Value) -> str:
    """A figure for a person: up to ten digits, two where it is as good as nothing, a dash where there is none."""
    if value is None:
        return "–"
    return value if isinstance(value, str) else f"{value:.10g}" if value == 0 or abs(value) >= 1e-9 else f"{value:.1e}"
