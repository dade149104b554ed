"""DSIC by form: a mechanism that declares itself an affine maximiser is checked against that form, and the form proves it."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import InputError
from hurwicz.audits.deviation_search import misreports
from hurwicz.audits.evaluation import Evaluator
from hurwicz.audits.finding import Finding, Verdict
from hurwicz.audits.profiles import Profiles, joined, row_of
from hurwicz.settings import Outcomes
from hurwicz.settings.forms import AffineMaximiser


def by_form(e: Evaluator, name: str, prior: Any = None) -> tuple[Finding | None, str]:
    """The proof by form, or None and why there is none.

    Two things are checked at extreme and drawn profiles, for misreports on a grid and scaled: that t_i + (1/w_i)(A - w_i v_i) does not
    move with i's own report, and that no report of i leads to an outcome of a greater A. What is proved is then proved for rules of the
    declared form, everywhere; that this rule is of the form is known at the profiles that were looked at.

    Args:
        e: evaluator.
        name: the property that the form proves.
        prior: where profiles come from; uniform if ``None``.

    Raises:
        InputError: a form without a weight for every agent.
    """
    form = getattr(e.mechanism, "form", None)
    if not isinstance(form, AffineMaximiser):
        return None, ""
    missing = [agent for agent in e.agents if agent not in form.weights]
    if missing:
        raise InputError(f"audit: expected a weight for every agent in the declared form, none for {missing}")
    profiles = joined(e.corner_profiles(), e.drawn_profiles(max(16, min(e.effort.profiles, 256)), prior))
    rng = np.random.default_rng(e.seed)
    truthful = e.outcomes(profiles)
    e.note_scale(truthful, profiles)
    base = _affine(e, form, truthful, profiles)
    looked = 0
    for agent in e.agents:
        weight = form.weights[agent]
        lies = misreports(e.spaces[agent], min(e.effort.deviations, 17), profiles[agent], rng)
        batch, many = lies.shape[:2]
        types = {n: np.repeat(v, many, axis=0) for n, v in profiles.items()}
        told = {**types, agent: lies.reshape(batch * many, *lies.shape[2:])}
        outcomes = e.outcomes(told)
        looked += batch * many
        own = e.gross(agent, truthful, profiles[agent])
        fixed = np.repeat(np.asarray(truthful.payments[agent]) + (base - weight * own) / weight, many)
        there = _affine(e, form, outcomes, told)
        moved = np.abs(np.asarray(outcomes.payments[agent]) + (there - weight * e.gross(agent, outcomes, told[agent])) / weight - fixed)
        better = _affine(e, form, outcomes, types) - np.repeat(base, many)
        for what, amount in (("its payment moves with its own report", moved), ("a misreport leads to a greater weighted sum", better)):
            k = int(np.argmax(amount))
            if amount[k] > 10.0 * e.tolerance:
                return None, f"the declared form does not hold: for {agent} {what} (by {amount[k]:.3g} at types {row_of(types, k)})"
    count = len(profiles[e.agents[0]])
    alike = all(w == form.weights[e.agents[0]] for w in form.weights.values())
    kind = "Groves' form" if alike else "affine maximiser"
    effort = e.spent(profiles=count, deviations=looked, scale=e.scale, given="the declared form")
    reason = (
        f"proved given the declared form ({kind}: the outcome maximises a weighted sum, each pays what does not depend on its own report "
        f"less the weighted value to all others); the form holds at the {count} profiles and {looked} misreports looked at"
    )
    return Finding(name, Verdict.PROVED, 0.0, None, f"by form: {kind}", effort, reason), ""


def _affine(e: Evaluator, form: AffineMaximiser, outcomes: Outcomes, types: Profiles) -> Float64[np.ndarray, " batch"]:
    total = np.asarray(sum(form.weights[n] * e.gross(n, outcomes, types[n]) for n in e.agents), dtype=np.float64)
    return total if form.boost is None else total + np.asarray(form.boost(outcomes), dtype=np.float64)
