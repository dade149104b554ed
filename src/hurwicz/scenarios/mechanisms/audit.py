"""``kind = "audit"``: a mechanism before the auditor, its refutations as stories, and the equilibrium that it has instead."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from hurwicz.audits import Finding, Verdict, audit
from hurwicz.audits.rendering import effort_in_words
from hurwicz.mechanisms import SingleParameterMechanism, registry
from hurwicz.reports import Page
from hurwicz.scenarios.mechanisms.making import Recipe, declared, make_mechanism
from hurwicz.scenarios.mechanisms.own_file import in_own_words
from hurwicz.scenarios.mechanisms.telling import tell
from hurwicz.scenarios.mechanisms.witness import witness_files
from hurwicz.scenarios.running import Progress, Run
from hurwicz.scenarios.schema import AuditScenario
from hurwicz.settings import Claim, DirectMechanism, Property

_COLOURS = {"proved": "green", "refuted": "red", "not_refuted": "yellow", "not_applicable": "dim"}
_POINTS = 201


def run_audit(scenario: AuditScenario, name: str, progress: Progress) -> Run:
    """Make the mechanism, audit it, tell its witnesses; nothing of it is computed twice."""
    began = time.perf_counter()
    recipe = Recipe.of(scenario)
    mechanism = make_mechanism(recipe)
    with in_own_words(recipe.mechanism):
        findings = audit(mechanism, scenario.properties, effort=scenario.effort, seed=scenario.seed, progress=progress)
        stories = {finding.property: tell(mechanism, finding) for finding in findings if finding.witness is not None}
    claims = declared(mechanism)
    result: dict[str, Any] = {
        "mechanism": recipe.to_dict() | _about(recipe, mechanism),
        "agents": list(mechanism.agents),
        "effort": scenario.effort,
        "seed": scenario.seed,
        "audit": [finding.to_dict() | {"declared": _word(claims.get(finding.property))} for finding in findings],
        "stories": stories,
        "alarms": _alarms(findings, claims),
    }
    result["seconds"] = time.perf_counter() - began
    page = _page(name, mechanism, findings, claims, stories, result)
    return Run(result, page, _tables(recipe, mechanism, findings, claims, stories, result), attachments=witness_files(recipe, findings))


def _about(recipe: Recipe, mechanism: DirectMechanism) -> dict[str, str]:
    entry = None if recipe.own_file else registry().get(recipe.mechanism)
    return {
        "name": str(getattr(mechanism, "name", recipe.name)),
        "family": "a file of one's own" if entry is None else entry.family,
        "formula": str(getattr(mechanism, "formula", "")),
        "source": str(getattr(mechanism, "source", "")),
    }


def _word(claim: Claim | None) -> str | None:
    return None if claim is None else "holds" if claim.holds else "does not hold"


def _alarms(findings: Sequence[Finding], claims: Mapping[str, Claim]) -> list[str]:
    """Where the auditor contradicts what the mechanism says of itself."""
    found = []
    for finding in findings:
        claim = claims.get(finding.property)
        if claim is None:
            continue
        if claim.holds and finding.verdict is Verdict.REFUTED:
            when = f" ({claim.when})" if claim.when else ""
            found.append(f"{finding.property} is declared to hold{when} and is refuted here")
        if not claim.holds and finding.verdict is Verdict.PROVED:
            when = f" ({claim.when})" if claim.when else ""
            found.append(f"{finding.property} is declared not to hold{when}, and is proved here")
    return found


def _tables(
    recipe: Recipe,
    mechanism: DirectMechanism,
    findings: Sequence[Finding],
    claims: Mapping[str, Claim],
    stories: Mapping[str, str],
    result: Mapping[str, Any],
) -> list[Any]:
    from rich.table import Table
    from rich.text import Text

    title = f"{result['mechanism']['name']}: {len(mechanism.agents)} agents, prior {', '.join(recipe.prior)}"
    title += f", {recipe.grid} types each" if recipe.grid else ""
    table = Table("property", "verdict", "declared", "what stands behind it", title=title, title_justify="left")
    for finding in findings:
        word = finding.verdict.value
        table.add_row(
            finding.property.replace("_", " "),
            f"[{_COLOURS[word]}]{word.replace('_', ' ')}[/]",
            Text(_word(claims.get(finding.property)) or "–"),
            Text(_behind(finding)),
        )
    told = [Text(f"{name.replace('_', ' ')}: {story}") for name, story in stories.items()]
    return [table, *told, *(Text(f"ALARM: {alarm}", style="bold red") for alarm in result["alarms"])]


def _behind(finding: Finding) -> str:
    if finding.verdict is Verdict.NOT_APPLICABLE:
        return finding.reason
    spent = effort_in_words({key: value for key, value in finding.effort.items() if key != "seconds"})
    return f"{finding.reason} [{finding.method}{'; ' + spent if spent else ''}]"


def _page(
    name: str,
    mechanism: DirectMechanism,
    findings: Sequence[Finding],
    claims: Mapping[str, Claim],
    stories: Mapping[str, str],
    result: Mapping[str, Any],
) -> Page:
    about = result["mechanism"]
    page = Page(f"Audit of {about['name']}" if name == about["name"] else f"{name}: audit of {about['name']}", about["formula"])
    counts = {v: sum(f.verdict is v for f in findings) for v in Verdict}
    page.figures({"agents": len(mechanism.agents)} | {v.value.replace("_", " "): n for v, n in counts.items() if n})
    for alarm in result["alarms"]:
        page.text(f"Alarm: {alarm}.")
    page.heading("What it guarantees")
    page.table(
        ["property", "verdict", "declared", "what was found"],
        [[f.property.replace("_", " "), f.verdict.value, _word(claims.get(f.property)), f.reason] for f in findings],
    )
    page.text(
        "'Proved' is exhaustive or certified. 'Refuted' comes with a witness that replays from its file. 'Not refuted' means that a search "
        "of the stated effort found nothing, and no more."
    )
    if stories:
        page.heading("How it fails: the witnesses")
    for finding in findings:
        if finding.property not in stories:
            continue
        page.text(f"{finding.property.replace('_', ' ')}. {stories[finding.property]}")
        curve = lie_curve(mechanism, finding)
        if curve is not None:
            page.plot(partial(_drawn, curve), f"Every other report of {curve['agent']}, the others' reports held.")
    page.heading("How hard the auditor looked")
    page.table(
        ["property", "verdict", "figure", "method", "effort"],
        [[f.property.replace("_", " "), f.verdict.value, f.value, f.method, effort_in_words(f.effort)] for f in findings],
    )
    page.table(
        ["property", "meaning"],
        [[f.property.replace("_", " "), Property(f.property).meaning] for f in findings],
        "What the properties mean",
        folded=True,
    )
    if claims:
        rows = [[c.property.replace("_", " "), "holds" if c.holds else "does not hold", c.when, c.source] for c in mechanism.guarantees]  # type: ignore[attr-defined]
        page.table(["property", "declared", "when", "source"], rows, "What the mechanism says of itself", folded=True)
    return page


def lie_curve(mechanism: DirectMechanism, finding: Finding) -> dict[str, Any] | None:
    """The liar's utility at every report that it could make; ``None`` where the witness is no single number told instead of another.

    Args:
        mechanism: what was audited.
        finding: a refutation by a misreport, the others' reports stated.
    """
    import numpy as np

    witness = finding.witness
    if witness is None or witness.agent is None or not witness.others or not isinstance(mechanism, SingleParameterMechanism):
        return None
    if not isinstance(witness.misreport, int | float) or not isinstance(witness.true_type, int | float):
        return None
    agent = witness.agent
    reports = np.unique(np.append(mechanism.type_spaces[agent].grid(_POINTS), [witness.true_type, witness.misreport]))
    profiles = {name: np.full(len(reports), value) for name, value in witness.others.items()} | {agent: reports}
    outcomes = mechanism.outcomes(profiles)
    utilities = mechanism.values(agent, outcomes, np.full(len(reports), witness.true_type)) - outcomes.payments[agent]
    return {
        "agent": agent,
        "true_type": float(witness.true_type),
        "misreport": float(witness.misreport),
        "reports": reports.tolist(),
        "utilities": utilities.tolist(),
    }


def _drawn(curve: Mapping[str, Any]) -> Any:
    from hurwicz.reports.audits import lie_plot

    return lie_plot(curve["reports"], curve["utilities"], true_type=curve["true_type"], misreport=curve["misreport"], agent=curve["agent"])
