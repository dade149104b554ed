"""What a reproduction says of one claim: our figure, the paper's, what theory says, and whether the claim holds of ours."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar, runtime_checkable

from hurwicz._foundation import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Value = float | str | None


@runtime_checkable
class Say(Protocol):
    """Told in words what is going on, and the fraction of the experiment that is done."""

    def __call__(self, what: str, done: float = 0.0) -> None:
        """Say it."""


def _nothing(what: str, done: float = 0.0) -> None:
    """Said to nobody."""


@dataclass(frozen=True)
class Row:
    """One claim: several rows may share an ``id`` where an experiment makes several claims.

    Attributes:
        id: the experiment.
        claim: what the figures are figures of.
        ours: what this run gave; ``None`` where it was skipped.
        paper: what the paper says; ``None`` where it gives nothing to compare.
        bound: what theory says of the figure, under the paper's own name for it (``bound_name``); ``None`` where it says nothing.
        agrees: whether our figure bears out the claim; the note says how that was judged. ``None``: nothing to compare.
        note: what was run, what was compared, and a sentence where the figures differ.

    Raises:
        InputError: a figure that is NaN or infinite: JSON has no word for it.
    """

    id: str
    claim: str
    ours: Value
    paper: Value
    bound: Value
    agrees: bool | None
    note: str

    bound_name: ClassVar[str] = "bound"

    def __post_init__(self) -> None:
        """Refuse what JSON cannot write."""
        for value in self.figures:
            if isinstance(value, float) and not math.isfinite(value):
                raise InputError(f"{self.id} {self.claim}: expected finite figures or words, got {value}")

    @property
    def figures(self) -> tuple[Value, Value, Value]:
        """Ours, the paper's, and theory's."""
        return self.ours, self.paper, self.bound

    def cells(self) -> list[str]:
        """The row for a table, without its note."""
        agrees = "–" if self.agrees is None else "yes" if self.agrees else "no"
        return [self.id, self.claim, *map(show, self.figures), agrees]

    def to_dict(self) -> dict[str, Any]:
        """The row as plain data for JSON."""
        return {
            "id": self.id,
            "claim": self.claim,
            "ours": self.ours,
            "paper": self.paper,
            self.bound_name: self.bound,
            "agrees": self.agrees,
            "note": self.note,
        }


@dataclass(frozen=True)
class Plot:
    """A picture for the page, drawn only when a page is written."""

    caption: str
    draw: Callable[[], Figure]


@dataclass(frozen=True)
class Context:
    """What a caller may set for a run.

    Attributes:
        seed: of every random start and draw.
        say: told what is going on.
    """

    seed: int = 0
    say: Say = field(default=_nothing)


RowT = TypeVar("RowT", bound=Row)
ContextT = TypeVar("ContextT", bound=Context)


@dataclass(frozen=True)
class Experiment(Generic[ContextT, RowT]):
    """What it is called, what is run in a sentence, how, and its rough share of the time."""

    id: str
    title: str
    problem: str
    run: Callable[[ContextT], tuple[Sequence[RowT], Sequence[Plot]]]
    seconds: float


def show(value: Value) -> str:
    """A figure for a person: up to ten digits, two where it is as good as nothing, a dash where there is none."""
    if value is None:
        return "–"
    return value if isinstance(value, str) else f"{value:.10g}" if value == 0 or abs(value) >= 1e-9 else f"{value:.1e}"
