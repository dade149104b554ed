"""The page of an audit: verdicts, each refutation as a story with its curve, what was searched, what the words mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from hurwicz.audits import Finding, Verdict
from hurwicz.audits.rendering import effort_in_words
from hurwicz.mechanisms import SingleParameterMechanism
from hurwicz.reports import Page
from hurwicz.scenarios.mechanisms.making import how_many
from hurwicz.settings import Claim, DirectMechanism, Property

_POINTS = 201
_DRAWS = 2048


def audit_page(
    mechanism: DirectMechanism,
    findings: Sequence[Finding],
    claims: Mapping[str, Claim],
    result: Mapping[str, Any],
) -> Page:
    """The report of an audit, without what an equilibrium adds.

    Args:
        mechanism: what was audited.
        findings: one a property.
        claims: property → what the mechanism says of it.
        result: what ``result.json`` holds.
    """
    about, stories = result["mechanism"], result["stories"]
    prior = about["believed"] + (f", cut into {about['grid']} types" if about["grid"] else "")
    options = "".join(f", {name} = {value}" for name, value in about["options"].items())
    page = Page(f"Audit of {about['name']}", f"{how_many(mechanism.agents)}, {prior}{options}")
    if about["formula"]:
        page.text(about["formula"])
    counts = {v: sum(f.verdict is v for f in findings) for v in Verdict}
    page.figures({"agents": len(mechanism.agents)} | {f"{v.value.replace('_', ' ')}": n for v, n in counts.items() if n})
    for alarm in result["alarms"]:
        page.story("Alarm", alarm, "refuted")
    page.heading("What it guarantees")
    page.table(
        ["property", "verdict", "declared", "what was found"],
        [[words(f.property), f.verdict.value, said(claims.get(f.property)), f.reason] for f in findings],
    )
    if result["revenue"] is not None:
        page.text(f"Expected revenue at truthful reports: {result['revenue']['said']}.")
    page.text(
        "'Proved' is exhaustive or certified. 'Refuted' comes with a witness that replays from its file. 'Not refuted' means that a search "
        "of the stated effort found nothing, and no more."
    )
    if stories:
        page.heading("How it fails: the witnesses")
    for finding in findings:
        if finding.property not in stories:
            continue
        page.story(words(finding.property), stories[finding.property], finding.verdict.value)
        if isinstance(mechanism, SingleParameterMechanism) and has_curve(mechanism, finding):
            others = "the others' reports held" if finding.witness and finding.witness.others else f"in expectation over {_DRAWS} draws"
            agent = finding.witness.agent if finding.witness else ""
            page.plot(partial(_drawn, mechanism, finding, result["seed"]), f"What each report would earn {agent}, {others}.")
    return page


def add_effort(page: Page, mechanism: DirectMechanism, findings: Sequence[Finding]) -> None:
    """The end of the page: effort, meanings, and what the mechanism says of itself with its sources."""
    page.heading("How hard the auditor looked")
    page.table(
        ["property", "verdict", "figure", "method", "effort"],
        [[words(f.property), f.verdict.value, f.value, f.method, effort_in_words(f.effort)] for f in findings],
    )
    meanings = [[words(f.property), Property(f.property).meaning] for f in findings if f.property in set(Property)]
    page.table(["property", "meaning"], meanings, "What the properties mean", folded=True)
    claims: Sequence[Claim] = getattr(mechanism, "guarantees", ())
    if claims:
        rows = [[words(c.property), said(c), c.when or None, c.source or None] for c in claims]
        page.table(["property", "declared", "when", "source"], rows, "What the mechanism says of itself", folded=True)


def words(name: str) -> str:
    """A property's name for a person.

    Example:
        >>> words("ex_post_IR")
        'ex post IR'
    """
    return name.replace("_", " ")


def said(claim: Claim | None) -> str | None:
    """What a mechanism says of a property, in two words."""
    return None if claim is None else "holds" if claim.holds else "does not hold"


def has_curve(mechanism: DirectMechanism, finding: Finding) -> bool:
    """Whether the witness is one number told instead of another, so that every other number can be tried."""
    witness = finding.witness
    if witness is None or witness.agent is None or not isinstance(mechanism, SingleParameterMechanism):
        return False
    if not all(isinstance(value, int | float) for value in (witness.misreport, witness.true_type)):
        return False
    if finding.property == Property.BIC:
        return witness.others is None
    held = {witness.agent, *(witness.others or ())} == set(mechanism.agents)
    return held and finding.property in (Property.DSIC, Property.EX_POST_IC)


def lie_curve(mechanism: SingleParameterMechanism, finding: Finding, *, seed: int = 0) -> dict[str, Any]:
    """The liar's utility at every report that it could make: with the others' reports held, or in expectation over the prior.

    Args:
        mechanism: what was audited.
        finding: a refutation for which :func:`has_curve` holds.
        seed: of the draws of the others' types.
    """
    witness = finding.witness
    assert witness is not None
    assert witness.agent is not None
    agent, true = witness.agent, float(witness.true_type)
    reports = np.unique(np.append(mechanism.type_spaces[agent].grid(_POINTS), [true, witness.misreport]))
    if witness.others is not None:
        others = {name: np.asarray([value]) for name, value in witness.others.items()}
    else:
        drawn = mechanism.prior.sample(np.random.default_rng(seed), _DRAWS)
        others = {name: values for name, values in drawn.items() if name != agent}
    draws = len(next(iter(others.values()))) if others else 1
    utilities = []
    for report in reports:
        profile = others | {agent: np.full(draws, report)}
        outcomes = mechanism.outcomes(profile)
        gains = mechanism.values(agent, outcomes, np.full(draws, true)) - outcomes.payments[agent]
        utilities.append(float(gains.mean()))
    return {"agent": agent, "true_type": true, "misreport": float(witness.misreport), "reports": reports.tolist(), "utilities": utilities}


def _drawn(mechanism: SingleParameterMechanism, finding: Finding, seed: int) -> Any:
    from hurwicz.reports.audits import lie_plot

    curve = lie_curve(mechanism, finding, seed=seed)
    return lie_plot(curve["reports"], curve["utilities"], true_type=curve["true_type"], misreport=curve["misreport"], agent=curve["agent"])
