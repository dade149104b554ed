"""Fill the tables of the pages from the auditor itself: ``python docs/tables.py``, or ``python docs/tables.py NAME ..`` for some rows."""

from __future__ import annotations

import re
import sys
from itertools import groupby
from pathlib import Path
from typing import Any

from hurwicz.scenarios.mechanisms.survey import MAIN, survey

PAGE = Path(__file__).parent / "which-mechanism.md"
MARKS = re.compile(r"(<!-- verdicts begin -->\n).*?(<!-- verdicts end -->)", re.DOTALL)
WORDS = {"proved": "proved", "refuted": "**refuted**", "not_refuted": "not refuted", "not_applicable": "–"}


def verdicts(rows: list[dict[str, Any]]) -> str:
    """One table a family: mechanisms down, properties across."""
    parts = []
    for family, members in groupby(rows, key=lambda row: str(row["family"])):
        head = ["mechanism", *(name.replace("_", " ") for name in MAIN)]
        lines = [f"### {family.capitalize()}", "", "| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
        lines += [line(row) for row in members]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def line(row: dict[str, Any]) -> str:
    """One mechanism: a refutation on a grid of five types each is marked."""
    cells = [WORDS[row["verdicts"][name]] + (" (5 types)" if name in row["on_grid"] else "") for name in MAIN]
    return f"| `{row['name']}` | " + " | ".join(cells) + " |"


if __name__ == "__main__":
    some = sys.argv[1:]
    rows = sorted(survey(MAIN, names=some or None), key=lambda row: row["family"])
    page = PAGE.read_text(encoding="utf-8")
    if some:
        before, table = page.split("<!-- verdicts begin -->")
        for row in rows:
            table = re.sub(rf"^\| `{row['name']}` \|.*$", line(row), table, flags=re.MULTILINE)
        page = f"{before}<!-- verdicts begin -->{table}"
    else:
        page = MARKS.sub(lambda found: f"{found[1]}\n{verdicts(rows)}\n\n{found[2]}", page)
    PAGE.write_text(page, encoding="utf-8")
    print(f"wrote {PAGE}: {len(rows)} mechanisms")
