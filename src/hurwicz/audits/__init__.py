"""The auditor: prove, refute with a witness that replays, or say how hard it looked."""

from hurwicz.audits.auditing import audit
from hurwicz.audits.effort import EFFORTS, Effort
from hurwicz.audits.finding import Finding, Verdict, Witness
from hurwicz.audits.rendering import effort_in_words, findings_from_json, findings_table, findings_to_json, render_findings
from hurwicz.audits.replay import replay

__all__ = [
    "EFFORTS",
    "Effort",
    "Finding",
    "Verdict",
    "Witness",
    "audit",
    "effort_in_words",
    "findings_from_json",
    "findings_table",
    "findings_to_json",
    "render_findings",
    "replay",
]
