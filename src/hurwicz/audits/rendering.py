"""Findings for a person and for a program."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hurwicz.audits.finding import Finding

if TYPE_CHECKING:
    from rich.table import Table


def findings_to_json(findings: Sequence[Finding], *, indent: int | None = 2) -> str:
    """Findings as a JSON array.

    Example:
        >>> findings_to_json([], indent=None)
        '[]'
    """
    return json.dumps([f.to_dict() for f in findings], indent=indent, allow_nan=False)


def findings_from_json(text: str | Path) -> list[Finding]:
    """The findings that :func:`findings_to_json` wrote, from a string or a file.

    Example:
        >>> findings_from_json("[]")
        []
    """
    return [Finding.from_dict(item) for item in json.loads(text.read_text() if isinstance(text, Path) else text)]


def render_findings(findings: Sequence[Finding]) -> str:
    """A plain text table: property, verdict, figure, method, reason.

    Example:
        >>> from hurwicz.audits.finding import Verdict
        >>> print(render_findings([Finding("DSIC", Verdict.PROVED, 0.0, None, "exhaustive", {}, "holds")]))
        property  verdict  value  method      reason
        DSIC      proved       0  exhaustive  holds
    """
    header = ("property", "verdict", "value", "method", "reason")
    rows = [header, *((f.property, f.verdict.value, _figure(f.value), f.method, f.reason) for f in findings)]
    widths = [max(len(row[k]) for row in rows) for k in range(len(header))]
    lines = []
    for row in rows:
        cells = [cell.rjust(w) if k == 2 else cell.ljust(w) for k, (cell, w) in enumerate(zip(row, widths, strict=True))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def stories(findings: Sequence[Finding]) -> list[str]:
    """The witness of every refutation, told in a sentence or two.

    Example:
        >>> stories([])
        []
    """
    return [f"{f.property}: {f.witness.details['story']}" for f in findings if f.witness is not None and "story" in f.witness.details]


def findings_table(findings: Sequence[Finding], *, title: str = "Audit") -> Table:
    """The same as a rich table, verdicts coloured."""
    from rich.table import Table

    table = Table(title=title)
    for column in ("property", "verdict", "value", "method", "effort", "reason"):
        table.add_column(column, justify="right" if column == "value" else "left")
    colours = {"proved": "green", "refuted": "red", "not_refuted": "yellow", "not_applicable": "dim"}
    for f in findings:
        word = f.verdict.value
        told = f.reason if f.witness is None else str(f.witness.details.get("story", f.reason))
        table.add_row(f.property, f"[{colours[word]}]{word}[/]", _figure(f.value), f.method, effort_in_words(f.effort), told)
    return table


def effort_in_words(effort: Any) -> str:
    """``1016 profiles, 52832 deviations, 0.4 s``: the parts of an effort that a reader wants first."""
    parts = [f"{effort[key]} {key}" for key in ("profiles", "deviations", "pairs", "types", "evaluations") if key in effort]
    if "seconds" in effort:
        parts.append(f"{effort['seconds']:.2g} s")
    return ", ".join(parts)


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
