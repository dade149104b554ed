"""What this paper's rows are called, and when our figure agrees with the paper's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hurwicz._foundation import InputError
from hurwicz.reproductions import claim as rows
from hurwicz.reproductions.claim import Row, Value


@dataclass(frozen=True)
class Claim(Row):
    """A row whose bound is the truth: a closed form or certified value; None where there is none (a time, say)."""

    bound_name: ClassVar[str] = "truth"

    @property
    def truth(self) -> Value:
        """Closed form or certified value."""
        return self.bound


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
class Context(rows.Context):
    """What a caller may set for a run.

    Attributes:
        ppo_seconds: time box of C.6.
        agents: largest population that C.18 runs.
    """

    ppo_seconds: float = 60.0
    agents: int = 10**10


Experiment = rows.Experiment[Context, Claim]
