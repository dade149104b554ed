"""The table of docs/paper.md, written by a command: ``python -m hurwicz.reproductions.mbi.markdown out/mbi/claims.json docs/paper.md``."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from hurwicz._foundation import InputError
from hurwicz.reproductions.mbi.claim import Claim
from hurwicz.reproductions.mbi.harness import EXPERIMENTS, PAPER, summary
from hurwicz.reproductions.paper import made

START, END = "<!-- claims: written by a command, see above -->", "<!-- end of claims -->"


def table(rows: Sequence[Claim]) -> str:
    """Rows as a Markdown table, in their order.

    Example:
        >>> print(table([Claim("C.3", "loss", 6.993, 6.993, 6.993, True, "")]))
        | id | claim | ours | paper | true | agrees |
        |---|---|---|---|---|---|
        | C.3 | loss | 6.993 | 6.993 | 6.993 | yes |
    """
    headings = PAPER.headings()
    lines = ["| " + " | ".join(headings) + " |", "|" + "---|" * len(headings)]
    for row in rows:
        *cells, agrees = (cell.replace("|", "\\|") for cell in row.cells())
        lines.append("| " + " | ".join([*cells, "**no**" if agrees == "no" else agrees]) + " |")
    return "\n".join(lines)


def notes(rows: Sequence[Claim]) -> str:
    """What was run, and a sentence for every row, by experiment."""
    parts = []
    for identity in dict.fromkeys(row.id for row in rows):
        one = EXPERIMENTS[identity]
        items = [f"- *{row.claim}*: {row.note}" for row in rows if row.id == identity]
        parts.append("\n".join([f"### {identity} {one.title}", "", one.problem, "", *items]))
    return "\n\n".join(parts)


def fill(page: str, rows: Sequence[Claim], stamp: str) -> str:
    """The page with its table and notes replaced by those of ``rows``.

    Raises:
        InputError: the page lacks the two markers.
    """
    if START not in page or END not in page:
        raise InputError(f"page: expected the markers {START!r} and {END!r}")
    head, rest = page.split(START, 1)
    tail = rest.split(END, 1)[1]
    counts = ", ".join(f"{count} {what}" for what, count in summary(rows).items())
    return (
        "\n\n".join(
            [head + START, f"{stamp}. Rows: {counts}.", table(rows), "## What was run, and where the figures differ", notes(rows), END]
        )
        + tail
    )


def main(arguments: Sequence[str]) -> int:
    """Read claims.json, write the page."""
    if len(arguments) != 2:
        print("usage: python -m hurwicz.reproductions.mbi.markdown out/mbi/claims.json docs/paper.md", file=sys.stderr)
        return 2
    source, page = Path(arguments[0]), Path(arguments[1])
    rows = [Claim(*row.values()) for row in json.loads(source.read_text(encoding="utf-8"))]
    page.write_text(fill(page.read_text(encoding="utf-8"), rows, made()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
