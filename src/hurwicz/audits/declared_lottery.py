"""Proofs for a draw among mechanisms: each of them is proved by its own form, and the expectation is checked to be that of the draw."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hurwicz.audits.declared_form import TRUTH, Looked, by_form, looked_at, once
from hurwicz.audits.deviation_search import misreports
from hurwicz.audits.evaluation import Evaluator
from hurwicz.audits.finding import Finding, Verdict
from hurwicz.audits.profiles import Profiles, row_of, shown
from hurwicz.settings import Lottery
from hurwicz.typespaces.spaces import same_space


@dataclass(frozen=True, kw_only=True)
class CheckedLottery(Looked):
    """What a declared draw was checked at; the outcomes asked of its parts count.

    Attributes:
        parts: an evaluator of each mechanism.
    """

    parts: tuple[Evaluator, ...] = ()


def by_lottery(e: Evaluator, form: Lottery, name: str, prior: Any = None) -> tuple[Finding | None, str]:
    """The proof that all parts have the property and that the mechanism is their expectation, or None and why there is none.

    Args:
        e: evaluator.
        form: declared.
        name: the property: of truth, of participation or of the budget.
        prior: where profiles come from; uniform if ``None``.

    Source:
        N. Nisan and A. Ronen, "Algorithmic mechanism design", Games and Economic Behavior 35 (2001), section 5: universally truthful.
    """
    seen = once(e, CheckedLottery, lambda alone: _check(alone, form, prior))
    if seen.why:
        return None, seen.why
    evaluations, scale, how = seen.evaluations, seen.scale, []
    for k, part in enumerate(seen.parts):
        judge = part.afresh()
        proof, why = by_form(judge, name, prior)
        evaluations, scale = evaluations + judge.evaluations, max(scale, judge.scale)
        if proof is None and not why and name not in TRUTH:
            return None, ""
        if proof is None:
            return None, f"part {k + 1} of the declared lottery is not proved: {why or 'it declares no form that proves it'}"
        how.append(proof.method.removeprefix("by form: "))
    e.evaluations += evaluations
    e.scale = max(e.scale, scale)
    methods = " or ".join(dict.fromkeys(how))
    effort = e.spent(profiles=seen.profiles, deviations=seen.misreports, parts=len(seen.parts), scale=e.scale, given="the declared form")
    reason = (
        f"proved given the declared form (a draw among {len(seen.parts)} mechanisms that does not depend on the reports, each of which is "
        f"proved by form, {methods}: what holds however the draw falls holds in expectation); values and payments are those of the draw, "
        f"and the parts are of their forms, at the {seen.profiles} profiles, corners and ties among them, and {seen.misreports} misreports "
        "looked at"
    )
    return Finding(name, Verdict.PROVED, 0.0, None, f"by form: lottery over {methods}", effort, reason), ""


def _check(e: Evaluator, form: Lottery, prior: Any) -> CheckedLottery:
    parts: list[Evaluator] = []
    for k, (_, mechanism) in enumerate(form.parts):
        part = Evaluator(mechanism, replace(e.effort, in_all=max(e.left, 1e-3)), seed=e.seed)
        if part.agents != e.agents or not all(same_space(part.spaces[n], e.spaces[n]) for n in e.agents):
            why = f"the declared form does not hold: part {k + 1} of the lottery is for other agents or types"
            return CheckedLottery(profiles=0, misreports=0, evaluations=e.evaluations, scale=e.scale, why=why)
        parts.append(part)
    chances = [float(chance) for chance, _ in form.parts]
    profiles = looked_at(e, prior)
    rng = np.random.default_rng(e.seed)
    why = _apart(e, parts, chances, profiles, profiles)
    looked = 0
    for done, agent in enumerate(e.agents):
        if why:
            break
        if e.late:
            why = f"the time limit came when the declared form had been looked at for {done} of {len(e.agents)} agents"
            break
        lies = misreports(e.spaces[agent], min(e.effort.deviations, 17), profiles[agent], rng)
        batch, many = lies.shape[:2]
        types = {n: np.repeat(v, many, axis=0) for n, v in profiles.items()}
        why = _apart(e, parts, chances, {**types, agent: lies.reshape(batch * many, *lies.shape[2:])}, types)
        looked += batch * many
    evaluations = e.evaluations + sum(part.evaluations for part in parts)
    return CheckedLottery(
        parts=tuple(parts), profiles=len(profiles[e.agents[0]]), misreports=looked, evaluations=evaluations, scale=e.scale, why=why
    )


def _apart(e: Evaluator, parts: list[Evaluator], chances: list[float], reports: Profiles, types: Profiles) -> str:
    """Where the mechanism's values or payments are not the draw's; empty where they are, as far as these reports and types go."""
    played, drawn = e.outcomes(reports), [part.outcomes(reports) for part in parts]
    for part, outcomes in zip(parts, drawn, strict=True):
        part.note_scale(outcomes, types)
        e.scale = max(e.scale, part.scale)
    e.note_scale(played, types)
    for agent in e.agents:
        values = sum(p * part.gross(agent, o, types[agent]) for p, part, o in zip(chances, parts, drawn, strict=True))
        paid = sum(p * np.asarray(o.payments[agent], dtype=np.float64) for p, o in zip(chances, drawn, strict=True))
        own = e.gross(agent, played, types[agent])
        for what, amount in (("value", np.abs(own - values)), ("payment", np.abs(np.asarray(played.payments[agent]) - paid))):
            k = int(np.argmax(amount))
            if amount[k] > 10.0 * e.tolerance:
                return (
                    f"the declared form does not hold: the {what} of {agent} is not the draw's (by {amount[k]:.3g} at reports "
                    f"{shown(row_of(reports, k))})"
                )
    return ""
