"""The auditor: prove, refute with a witness that replays, or say how hard it looked."""

from hurwicz.audits.auditing import audit
from hurwicz.audits.brackets import Bracket, regret_bracket
from hurwicz.audits.effort import EFFORTS, Effort
from hurwicz.audits.ex_ante import Expected, expected_revenue
from hurwicz.audits.executors import Checkpoint, Dask, Executor, Processes, Serial, Threads
from hurwicz.audits.finding import Finding, Verdict, Witness
from hurwicz.audits.mean_field import deviation_gains, equilibrium_of, replay_deviation
from hurwicz.audits.mean_field_rules import audit_mean_field_rule
from hurwicz.audits.payment_table import PaymentCell, payment_table, payment_table_markdown
from hurwicz.audits.rendering import effort_in_words, findings_from_json, findings_table, findings_to_json, render_findings, stories
from hurwicz.audits.replay import replay
from hurwicz.audits.sampled_bic import bic_from_samples
from hurwicz.audits.statistics import Estimate, estimate

__all__ = [
    "EFFORTS",
    "Bracket",
    "Checkpoint",
    "Dask",
    "Effort",
    "Estimate",
    "Executor",
    "Expected",
    "Finding",
    "PaymentCell",
    "Processes",
    "Serial",
    "Threads",
    "Verdict",
    "Witness",
    "audit",
    "audit_mean_field_rule",
    "bic_from_samples",
    "deviation_gains",
    "effort_in_words",
    "equilibrium_of",
    "estimate",
    "expected_revenue",
    "findings_from_json",
    "findings_table",
    "findings_to_json",
    "payment_table",
    "payment_table_markdown",
    "regret_bracket",
    "render_findings",
    "replay",
    "replay_deviation",
    "stories",
]
