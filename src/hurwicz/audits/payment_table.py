"""The table of payment rules: every guarantee and every "does not guarantee", each with the finding that stands behind it.

``python -m hurwicz.audits`` prints it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hurwicz.audits.effort import Effort
from hurwicz.audits.finding import Finding
from hurwicz.audits.rendering import effort_in_words
from hurwicz.settings import Claim, DirectMechanism


@dataclass(frozen=True)
class PaymentCell:
    """One cell of the table.

    Attributes:
        rule: the rule's name.
        claim: what is claimed: a property that holds, or one that does not.
        finding: what the auditor says.
        instance: the setting in a few words.
        mechanism: what was audited; witnesses replay on it.
        control: True for a deliberate mistake that has to be found out.
    """

    rule: str
    claim: Claim
    finding: Finding
    instance: str
    mechanism: DirectMechanism
    control: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The cell as plain data."""
        return {
            "rule": self.rule,
            "property": self.claim.property,
            "holds": self.claim.holds,
            "when": self.claim.when,
            "instance": self.instance,
            "control": self.control,
            "finding": self.finding.to_dict(),
        }


def payment_table(*, effort: Effort | str = "standard", seed: int = 0, progress: Callable[[str], None] | None = None) -> list[PaymentCell]:
    """Every cell of the rules' table with its finding.

    Args:
        effort: of every search on a continuum.
        seed: of every random choice.
        progress: told each rule's name as it begins.

    Returns:
        Cells, rule by rule: guarantees, then what is not guaranteed, then controls.
    """
    # the price mechanism and its solvers are loaded only where its payments are judged
    from hurwicz.audits.payment_cells import MAKERS

    cells: list[PaymentCell] = []
    for name, make in MAKERS.items():
        if progress is not None:
            progress(name)
        cells.extend(make(effort, seed))
    return cells


def payment_table_markdown(cells: list[PaymentCell]) -> str:
    """The table as Markdown: rule, claim, verdict, evidence, effort, instance."""
    lines = ["| rule | claim | verdict | evidence | method and effort | instance |", "|---|---|---|---|---|---|"]
    for cell in cells:
        word = "control, must fail" if cell.control else "guarantees" if cell.claim.holds else "does not guarantee"
        f = cell.finding
        effort = effort_in_words({k: v for k, v in f.effort.items() if k != "seconds"})
        lines.append(
            f"| {cell.rule} | {word}: {cell.claim.property} ({cell.claim.when}) | {f.verdict.value} | {f.reason} "
            f"| {f.method}{': ' + effort if effort else ''} | {cell.instance} |"
        )
    return "\n".join(lines)
