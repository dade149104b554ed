"""``kind = "audit"``: a mechanism before the auditor, its refutations as stories, and the equilibrium that it has instead."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from hurwicz._foundation import HurwiczError
from hurwicz.audits import Finding, Verdict, audit, expected_revenue
from hurwicz.audits.evaluation import UnsteadyError
from hurwicz.audits.rendering import effort_in_words
from hurwicz.mechanisms import registry
from hurwicz.scenarios.mechanisms.audit_page import add_effort, audit_page, said, words
from hurwicz.scenarios.mechanisms.making import Recipe, common_prior, declared, how_many, make_mechanism
from hurwicz.scenarios.mechanisms.own_file import in_own_words
from hurwicz.scenarios.mechanisms.witness import WITNESS_FILE, witness_files
from hurwicz.scenarios.running import Progress, Run
from hurwicz.scenarios.schema import AuditScenario
from hurwicz.settings import Claim, DirectMechanism, JointPrior, Property

_TOLERANCE = 1e-4
_COLOURS = {"proved": "green", "refuted": "red", "not_refuted": "yellow", "not_applicable": "dim"}


def run_audit(scenario: AuditScenario, _name: str, progress: Progress) -> Run:
    """Make the mechanism, audit it, tell its witnesses; nothing of it is computed twice."""
    began = time.perf_counter()
    recipe = Recipe.of(scenario)
    mechanism = make_mechanism(recipe)
    prior = common_prior(recipe, mechanism)
    with in_own_words(recipe.mechanism):
        findings = audit(
            mechanism,
            _asked(scenario),
            prior=prior,
            revenue_bound=scenario.revenue_bound,
            effort=scenario.effort,
            seed=scenario.seed,
            # the library's mechanisms keep no state; somebody's own may
            executor=scenario.executor or ("serial" if recipe.own_file else "threads"),
            workers=scenario.workers,
            checkpoint=scenario.checkpoint,
            progress=progress,
        )
        revenue = _revenue(mechanism, prior, scenario)
    stories = {f.property: str(f.witness.details.get("story", f.reason)) for f in findings if f.witness is not None}
    claims = declared(mechanism)
    result: dict[str, Any] = {
        "mechanism": recipe.to_dict() | _about(recipe, mechanism) | {"believed": _believed(recipe, mechanism, prior)},
        "agents": list(mechanism.agents),
        "effort": scenario.effort,
        "seed": scenario.seed,
        "audit": [finding.to_dict() | {"declared": said(claims.get(finding.property))} for finding in findings],
        "stories": stories,
        "revenue": revenue,
        "alarms": _alarms(findings, claims),
    }
    equilibrium: dict[str, Any] | None = None
    if scenario.equilibrium and _untruthful(findings):
        equilibrium = _equilibrium(recipe, scenario, progress)
    result |= {"equilibrium": equilibrium, "seconds": time.perf_counter() - began}
    page = audit_page(mechanism, findings, claims, result)
    if equilibrium is not None and "note" in equilibrium:
        page.text(equilibrium["note"])
    elif equilibrium is not None:
        from hurwicz.scenarios.mechanisms.equilibrium import add_equilibrium

        add_equilibrium(page, equilibrium)
    add_effort(page, mechanism, findings)
    tables, witnesses = _tables(recipe, mechanism, findings, claims, result), witness_files(recipe, findings)
    return Run(result, page, tables, attachments=witnesses, replaces=WITNESS_FILE.format("*"))


def _asked(scenario: AuditScenario) -> Sequence[str] | None:
    """The properties named, and the alarm of a bound where one was given: it is not passed over for what else was asked."""
    named = scenario.properties
    if named is None or scenario.revenue_bound is None or Property.REVENUE_WITHIN_BOUND in named:
        return named
    return [*named, Property.REVENUE_WITHIN_BOUND.value]


def _untruthful(findings: Sequence[Finding]) -> bool:
    """Whether the truth is refuted as a Bayes–Nash equilibrium, or as dominant where nothing was asked about the former."""
    by_name = {finding.property: finding.verdict for finding in findings}
    asked = by_name.get(Property.BIC, by_name.get(Property.DSIC))
    return asked is Verdict.REFUTED


def _equilibrium(recipe: Recipe, scenario: AuditScenario, progress: Progress) -> dict[str, Any]:
    """Under the prior itself where the audit has cut it into types; a note where there is none to be had."""
    from hurwicz.scenarios.mechanisms.equilibrium import equilibrium_of

    seconds, seed = scenario.equilibrium_seconds, scenario.seed
    try:
        with in_own_words(recipe.mechanism):
            mechanism = make_mechanism(replace(recipe, grid=None))
            return equilibrium_of(mechanism, seconds=seconds, tolerance=_TOLERANCE, seed=seed, progress=progress)
    except HurwiczError as error:
        return {"note": f"No equilibrium of the bids: {error}"}


def _about(recipe: Recipe, mechanism: DirectMechanism) -> dict[str, str]:
    entry = None if recipe.own_file else registry().get(recipe.mechanism)
    return {
        "name": str(getattr(mechanism, "name", recipe.name)),
        "family": "a file of one's own" if entry is None else entry.family,
        "formula": str(getattr(mechanism, "formula", "")),
        "source": str(getattr(mechanism, "source", "")),
    }


def _believed(recipe: Recipe, mechanism: DirectMechanism, prior: JointPrior | None) -> str:
    """The prior that expectations were taken over, in words: a file of one's own may bring its own."""
    if getattr(mechanism, "prior", None) is None and prior is None:
        return "no prior"
    if prior is None and recipe.own_file and recipe.undecided:
        return "its own prior"
    return f"prior {', '.join(recipe.prior)}"


def _alarms(findings: Sequence[Finding], claims: Mapping[str, Claim]) -> list[str]:
    """Where the auditor contradicts what the mechanism says of itself."""
    found = []
    for finding in findings:
        claim = claims.get(finding.property)
        if claim is not None and claim.holds and finding.verdict is Verdict.REFUTED:
            when = f" ({claim.when})" if claim.when else ""
            found.append(f"{words(finding.property)} is declared to hold{when} and is refuted here")
        if finding.property == Property.REVENUE_WITHIN_BOUND and finding.verdict is Verdict.REFUTED:
            found.append(finding.reason)
    return found


def _revenue(mechanism: DirectMechanism, prior: JointPrior | None, scenario: AuditScenario) -> dict[str, Any] | None:
    """What is collected in expectation at truthful reports; None where nothing is believed of types, or outcomes are not steady."""
    if prior is None and getattr(mechanism, "prior", None) is None:
        return None
    try:
        found = expected_revenue(mechanism, prior=prior, effort=scenario.effort, seed=scenario.seed)
    except UnsteadyError:
        return None
    return {"expected": found.value, "error": found.error, "method": found.method, "said": str(found)}


def _tables(
    recipe: Recipe,
    mechanism: DirectMechanism,
    findings: Sequence[Finding],
    claims: Mapping[str, Claim],
    result: Mapping[str, Any],
) -> list[Any]:
    from rich.table import Table
    from rich.text import Text

    title = f"{result['mechanism']['name']}: {how_many(mechanism.agents)}, {result['mechanism']['believed']}"
    title += f", {recipe.grid} types each" if recipe.grid else ""
    table = Table("property", "verdict", "declared", "what stands behind it", title=title, title_justify="left")
    for finding in findings:
        word = finding.verdict.value
        table.add_row(
            words(finding.property),
            f"[{_COLOURS[word]}]{word.replace('_', ' ')}[/]",
            Text(said(claims.get(finding.property)) or "–"),
            Text(_behind(finding)),
        )
    revenue = result["revenue"]
    if revenue is not None:
        table.add_row("expected revenue", f"{revenue['expected']:.6g}", Text("–"), Text(f"at truthful reports: {revenue['said']}"))
    told: list[Any] = [Text(f"{words(name)}: {story}") for name, story in result["stories"].items()]
    found = result["equilibrium"]
    if found is not None and "note" in found:
        told.append(found["note"])
    elif found is not None:
        from hurwicz.scenarios.mechanisms.equilibrium import equilibrium_tables

        told += equilibrium_tables(found, result["mechanism"]["name"])
    return [table, *told, *(Text(f"ALARM: {alarm}", style="bold red") for alarm in result["alarms"])]


def _behind(finding: Finding) -> str:
    if finding.verdict is Verdict.NOT_APPLICABLE:
        return finding.reason
    spent = effort_in_words({key: value for key, value in finding.effort.items() if key != "seconds"})
    return f"{finding.reason} [{finding.method}{'; ' + spent if spent else ''}]"
