"""The audit of a run: every payment rule before the same auditor, as data, as a table, and as a section of the report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from hurwicz.audits import Effort, Finding, audit
from hurwicz.audits.rendering import effort_in_words
from hurwicz.reports import Page, number
from hurwicz.settings import DirectMechanism, Property

if TYPE_CHECKING:
    from rich.table import Table

    from hurwicz.scenarios.running import Progress
    from hurwicz.typespaces import ProductPrior

Findings = dict[str, list[Finding]]
_COLOURS = {"proved": "green", "refuted": "red", "not_refuted": "yellow", "not_applicable": "dim"}


def audit_rules(
    mechanisms: Mapping[str, DirectMechanism],
    properties: Sequence[str],
    *,
    prior: ProductPrior | None,
    effort: Effort | str,
    at: Sequence[Mapping[str, Any]],
    seed: int,
    progress: Progress,
    hurry: Callable[[float | None], None] | None = None,
    most_seconds: float | None = None,
) -> tuple[Findings, list[str]]:
    """Audit the direct form of every rule for the same properties; the real types are looked at first.

    ``hurry`` tells the mechanisms after how many seconds from now to raise ``TimeoutError`` (None: never), for grids where one outcome may
    take longer than a search should; then no property of a rule takes longer than ``most_seconds``.

    Returns:
        Findings by rule, and a note for every rule that some property could not be judged of in time.
    """
    findings: Findings = {}
    notes: list[str] = []
    for k, (rule, mechanism) in enumerate(mechanisms.items()):

        def report(what: str, fraction: float, rule: str = rule, k: int = k) -> None:
            progress(f"audit of {rule}: {what}", (k + fraction) / len(mechanisms))

        judge = partial(audit, mechanism, prior=prior, effort=effort, at=at, seed=seed, progress=report)
        if hurry is None:
            findings[rule] = judge(properties)
            continue
        findings[rule], unjudged = [], []
        for name in properties:
            hurry(most_seconds)
            try:
                findings[rule] += judge([name])
            except TimeoutError:
                unjudged.append(name.replace("_", " "))
        hurry(None)
        if unjudged:
            notes.append(
                f"{rule}: no verdict on {', '.join(unjudged)}: on this grid a look at a few lies takes longer than the "
                f"{most_seconds:g} s that audit.most_seconds allows; raise it"
            )
    return findings, notes


def as_data(findings: Findings) -> list[dict[str, Any]]:
    """The findings for ``result.json``: each with the rule that it is about."""
    return [{"rule": rule} | finding.to_dict() for rule, rows in findings.items() for finding in rows]


def as_table(findings: Findings) -> Table:
    """Rules down, properties across, one word in each cell."""
    from rich.table import Table

    properties = _properties(findings)
    table = Table("payment rule", *(name.replace("_", " ") for name in properties), title="Audit", title_justify="left")
    for rule, rows in findings.items():
        verdicts = {finding.property: finding.verdict.value for finding in rows}
        table.add_row(
            rule.replace("_", " "), *(f"[{_COLOURS[v]}]{v.replace('_', ' ')}[/]" if v else "–" for v in map(verdicts.get, properties))
        )
    return table


def add_section(page: Page, findings: Findings, unit: str) -> None:
    """The audit's part of the report: the table of verdicts, each refutation as a story, what each property means."""
    page.heading("What the payments guarantee: the audit")
    page.text(
        "Each rule is taken as a direct mechanism: agents report a type, the planner plans and pays. 'Proved' is exhaustive or certified; "
        "'refuted' comes with a witness that replays; 'not refuted' means that a search of the stated effort found nothing, and no more."
    )
    properties = _properties(findings)
    cells = [
        [rule.replace("_", " "), *(next((f.verdict.value for f in rows if f.property == name), None) for name in properties)]
        for rule, rows in findings.items()
    ]
    page.table(["payment rule", *(name.replace("_", " ") for name in properties)], cells)
    stories = [
        [rule.replace("_", " "), f.property.replace("_", " "), story(f, unit)] for rule, rows in findings.items() for f in rows if f.witness
    ]
    page.table(["payment rule", "property", "witness"], stories, "Refutations, each with its witness")
    effort = [
        [rule.replace("_", " "), f.property.replace("_", " "), f.verdict.value, f.value, f.method, effort_in_words(f.effort), f.reason]
        for rule, rows in findings.items()
        for f in rows
    ]
    page.table(
        ["payment rule", "property", "verdict", "figure", "method", "effort", "reason"],
        effort,
        "Every finding with its effort",
        folded=True,
    )
    page.table(
        ["property", "meaning"], [[p.replace("_", " "), Property(p).meaning] for p in properties], "What the words mean", folded=True
    )


def story(finding: Finding, unit: str) -> str:
    """A witness told as a sentence.

    Example:
        >>> from hurwicz.audits import Verdict, Witness
        >>> witness = Witness("agent 1", 0.1, 0.182, {"agent 2": 0.5}, 0.5)
        >>> story(Finding("DSIC", Verdict.REFUTED, 0.5, witness, "search"), "$/h")
        'agent 1, whose type is 0.1, reports 0.182 and gains 0.5 $/h.'
    """
    witness = finding.witness
    if witness is None:
        return ""
    if witness.agent is None:
        return f"fails by {number(witness.gain)} {unit} {_profile(witness.others)}."
    if witness.misreport is None:
        return f"{witness.agent}, whose type is {_type(witness.true_type)}, loses {number(witness.gain)} {unit} by taking part."
    relative = witness.details.get("relative_gain")
    share = f" ({100 * relative:.3g} % of its utility)" if isinstance(relative, float) and 0 < relative < 1e3 else ""
    return (
        f"{witness.agent}, whose type is {_type(witness.true_type)}, reports {_type(witness.misreport)} "
        f"and gains {number(witness.gain)} {unit}{share}."
    )


def _type(value: Any) -> str:
    return number(float(value), 4) if isinstance(value, int | float) else str(value)


def _profile(profile: Mapping[str, Any] | None) -> str:
    if not profile:
        return "at every profile of types"
    types = {_type(value) for value in profile.values()}
    if len(types) == 1:
        return f"where every agent's type is {types.pop()}"
    shown = ", ".join(f"{_type(value)} for {name}" for name, value in list(profile.items())[:6])
    return f"where the types are {shown}" + (f" and {len(profile) - 6} more" if len(profile) > 6 else "")


def _properties(findings: Findings) -> list[str]:
    return list(dict.fromkeys(finding.property for rows in findings.values() for finding in rows))
