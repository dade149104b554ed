"""Fill the tables of the pages from the auditor itself: ``python docs/tables.py``."""

from __future__ import annotations

import re
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
        lines += [f"| `{row['name']}` | " + " | ".join(WORDS[row["verdicts"][name]] for name in MAIN) + " |" for row in members]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


if __name__ == "__main__":
    rows = sorted(survey(MAIN), key=lambda row: row["family"])
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(MARKS.sub(lambda found: f"{found[1]}\n{verdicts(rows)}\n\n{found[2]}", page), encoding="utf-8")
    print(f"wrote {PAGE}: {len(rows)} mechanisms")
