"""Proofs by form: what a mechanism declares of itself is checked, never trusted, and a theorem about the form does the rest.

What is proved is proved for rules of the declared form, everywhere; that this rule is of the form is known at the profiles, misreports and
lines that were looked at, and every proof says how many those were.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import InputError
from hurwicz.audits.deviation_search import misreports
from hurwicz.audits.evaluation import Evaluator
from hurwicz.audits.finding import Finding, Verdict
from hurwicz.audits.profiles import Profiles, joined, row_of, shown
from hurwicz.settings import AffineMaximiser, Lottery, Menu, Outcomes, PaymentIdentity, Property

TRUTH = (Property.DSIC.value, Property.EX_POST_IC.value, Property.BIC.value)
PROVES = (*TRUTH, *(p.value for p in (Property.EX_POST_IR, Property.WEAK_BUDGET_BALANCE, Property.PLANNER_IR, Property.EFFICIENCY)))


def strengthened(e: Evaluator, found: Finding, prior: Any = None) -> Finding:
    """A search that found nothing, made a proof where a declared form gives one; else the same, with what spoke against the declaration.

    Args:
        e: evaluator.
        found: of one of :data:`PROVES`, not refuted.
        prior: where profiles come from; uniform if ``None``.
    """
    if found.verdict is not Verdict.NOT_REFUTED:
        return found
    proof, why = by_form(e, found.property, prior, found)
    if proof is not None:
        kept = {"searched_first": found.method, **{k: v for k, v in found.effort.items() if k not in proof.effort}}
        return Finding(found.property, proof.verdict, found.value, None, proof.method, {**kept, **proof.effort}, proof.reason)
    if not why:
        return found
    return Finding(
        found.property, found.verdict, found.value, None, found.method, {**found.effort, "declared_form": why}, f"{found.reason}; {why}"
    )


def by_form(e: Evaluator, name: str, prior: Any = None, found: Finding | None = None) -> tuple[Finding | None, str]:
    """The proof by form, or None and why there is none (empty where nothing is declared).

    Args:
        e: evaluator.
        name: the property, one of :data:`PROVES`.
        prior: where profiles come from; uniform if ``None``.
        found: what a search found, for what it says of bounds on welfare.

    Raises:
        InputError: a form without a weight for every agent.
    """
    form = getattr(e.mechanism, "form", None)
    if name == Property.PLANNER_IR:
        return _nothing_of_its_own(e, prior) if form is not None else (None, "")
    if isinstance(form, PaymentIdentity):
        from hurwicz.audits.payment_identity import by_payment_identity

        return by_payment_identity(e, form, name, prior)
    if isinstance(form, Lottery | Menu):
        if name == Property.EFFICIENCY or e.interdependent:
            return None, ""
        if isinstance(form, Lottery):
            from hurwicz.audits.declared_lottery import by_lottery

            return by_lottery(e, form, name, prior)
        from hurwicz.audits.declared_menu import by_menu

        return by_menu(e, form, name, prior)
    if not isinstance(form, AffineMaximiser) or (name not in TRUTH and e.interdependent):
        return None, ""
    seen = checked(e, form, prior)
    if seen.why:
        return None, seen.why
    e.evaluations += seen.evaluations
    e.scale = max(e.scale, seen.scale)
    kind = "Groves' form" if len(set(form.weights.values())) == 1 else "affine maximiser"
    if name in TRUTH:
        return _proof(
            e,
            name,
            kind,
            seen,
            "the outcome maximises a weighted sum, each pays what does not depend on its own report less the weighted value to all others",
        ), ""
    if name == Property.EFFICIENCY:
        return _efficient(e, form, kind, seen, found)
    if not form.pivot or (name == Property.WEAK_BUDGET_BALANCE and form.pivot != "Clarke"):
        return None, ""
    from hurwicz.audits.pivot_payments import by_pivot

    why = by_pivot(e, form, name, seen)
    if why:
        return None, why
    said = {
        "Clarke": "each pays what its presence costs the others, compared with the best for them of all outcomes",
        "leave-one-out": "each pays what its presence costs the others, compared with the best for them of the outcomes without it",
    }[form.pivot]
    ends = "its value there is at least 0, so taking part loses nothing" if name == Property.EX_POST_IR else "so no payment is below 0"
    return _proof(e, name, f"{kind}, {form.pivot} pivot", seen, f"{said}; {ends}"), ""


def _nothing_of_its_own(e: Evaluator, prior: Any) -> tuple[Finding | None, str]:
    # a planner to whom no outcome is worth anything or costs anything keeps what it collects; outcomes alone would show it of those seen
    if not getattr(e.mechanism, "planner_is_indifferent", False):
        return None, ""
    profiles = e.drawn_profiles(64, prior)
    own = e.optional("planner_values", "planner_value", 64, e.outcomes(profiles))
    if own is None or bool(np.any(own != 0.0)):
        return None, "the declared form does not hold: the planner is declared indifferent, and an outcome is worth something to it"
    proof, why = by_form(e, Property.WEAK_BUDGET_BALANCE.value, prior)
    if proof is None:
        return None, why
    reason = f"no outcome is worth or costs the planner anything, as declared and at the {len(own)} looked at; payments: {proof.reason}"
    return replace(proof, property=Property.PLANNER_IR.value, reason=reason), ""


_Seen = TypeVar("_Seen")


def once(e: Evaluator, kind: type[_Seen], check: Callable[[Evaluator], _Seen]) -> _Seen:
    """What a form was checked at: for all properties of an audit together, so that it may take as long as three of them."""
    with e.kept.lock:
        if e.kept.form is None:
            e.kept.form = check(e.afresh(part=0.75, most=3.0 * e.effort.seconds))
        found = e.kept.form
    assert isinstance(found, kind)
    return found


@dataclass(frozen=True, kw_only=True)
class Looked:
    """How far a form was looked at, and what spoke against it.

    Attributes:
        profiles: how many.
        misreports: how many.
        evaluations: outcomes asked for.
        scale: of values.
        why: what spoke against the form; empty where nothing did.
    """

    profiles: int
    misreports: int
    evaluations: int
    scale: float
    why: str = ""


@dataclass(frozen=True)
class Checked:
    """What a declared affine maximiser was checked at.

    Attributes:
        profiles: looked at.
        truthful: outcomes there.
        pivots: agent name → w_i h_i at each profile, read off its payment.
        totals: A at each profile.
        misreports: looked at.
        apart: largest distance of A / w from the welfare, over truthful and untruthful outcomes; infinite where weights differ.
        evaluations: outcomes asked for.
        scale: of values.
        why: what spoke against the form; empty where nothing did.
    """

    profiles: Profiles
    truthful: Outcomes
    pivots: dict[str, Float64[np.ndarray, " batch"]]
    totals: Float64[np.ndarray, " batch"]
    misreports: int
    apart: float
    evaluations: int
    scale: float
    why: str = ""


def checked(e: Evaluator, form: AffineMaximiser, prior: Any = None) -> Checked:
    """Check a form at extreme, drawn and tied profiles, for misreports on a grid and scaled; once an audit.

    Two things are: that t_i + (1/w_i)(A - w_i v_i) does not move with i's own report, and that no report of i leads to an outcome of a
    greater A.
    """
    return once(e, Checked, lambda alone: _check(alone, form, prior))


def _check(e: Evaluator, form: AffineMaximiser, prior: Any) -> Checked:
    missing = [agent for agent in e.agents if agent not in form.weights]
    if missing:
        raise InputError(f"audit: expected a weight for every agent in the declared form, none for {missing}")
    profiles = looked_at(e, prior)
    rng = np.random.default_rng(e.seed)
    truthful = e.outcomes(profiles)
    e.note_scale(truthful, profiles)
    base = total(e, form, truthful, profiles)
    pivots: dict[str, Float64[np.ndarray, " batch"]] = {}
    looked, why = 0, ""
    weights = set(form.weights.values())
    alike = form.weights[e.agents[0]] if len(weights) == 1 else 0.0
    apart = float(np.abs(base / alike - e.welfares(truthful, profiles)).max()) if alike else np.inf
    for done, agent in enumerate(e.agents):
        if e.late:
            why = why or f"the time limit came when the declared form had been looked at for {done} of {len(e.agents)} agents"
            break
        weight = form.weights[agent]
        lies = misreports(e.spaces[agent], min(e.effort.deviations, 17), profiles[agent], rng)
        batch, many = lies.shape[:2]
        types = {n: np.repeat(v, many, axis=0) for n, v in profiles.items()}
        told = {**types, agent: lies.reshape(batch * many, *lies.shape[2:])}
        outcomes = e.outcomes(told)
        looked += batch * many
        own = e.gross(agent, truthful, profiles[agent])
        pivots[agent] = weight * np.asarray(truthful.payments[agent]) + base - weight * own
        reached = total(e, form, outcomes, types)
        # the others' part of the sum is the same whatever the liar's type
        lied = weight * np.asarray(outcomes.payments[agent]) + reached - weight * e.gross(agent, outcomes, types[agent])
        moved = np.abs(lied - np.repeat(pivots[agent], many)) / weight
        better = reached - np.repeat(base, many)
        if alike:
            apart = max(apart, float(np.abs(reached / alike - e.welfares(outcomes, types)).max()))
        for what, amount in (("its payment moves with its own report", moved), ("a misreport leads to a greater weighted sum", better)):
            k = int(np.argmax(amount))
            if amount[k] > 10.0 * e.tolerance and not why:
                why = f"the declared form does not hold: for {agent} {what} (by {amount[k]:.3g} at types {shown(row_of(types, k))})"
    return Checked(profiles, truthful, pivots, base, looked, apart, e.evaluations, e.scale, why)


def looked_at(e: Evaluator, prior: Any = None) -> Profiles:
    """The profiles that a form is checked at: extreme, drawn and tied ones."""
    drawn = e.drawn_profiles(max(16, min(e.effort.profiles, 256)), prior)
    return joined(joined(e.corner_profiles(), drawn), tied(e, {n: v[:32] for n, v in drawn.items()}))


def total(e: Evaluator, form: AffineMaximiser, outcomes: Outcomes, types: Profiles) -> Float64[np.ndarray, " batch"]:
    """A = sum_i w_i v_i + boost at each outcome."""
    each = np.asarray(sum(form.weights[n] * e.gross(n, outcomes, types[n]) for n in e.agents), dtype=np.float64)
    return each if form.boost is None else each + np.asarray(form.boost(outcomes), dtype=np.float64)


def tied(e: Evaluator, profiles: Profiles) -> Profiles:
    """The same profiles with ties: two agents of one type in the first half, everybody in the second, where their spaces allow it."""
    first = e.agents[0]
    out = {n: v.copy() for n, v in profiles.items()}
    half = len(out[first]) // 2
    for k, name in enumerate(e.agents[1:]):
        rows = slice(0 if k == 0 else half, None)
        if out[name].shape == out[first].shape and all(e.spaces[name].contains(value) for value in out[first][rows]):
            out[name][rows] = out[first][rows]
    return out


def _efficient(e: Evaluator, form: AffineMaximiser, kind: str, seen: Checked, found: Finding | None) -> tuple[Finding | None, str]:
    # a rule that maximises over too few outcomes is of the form as well: so the bound has to be met too
    del form
    gap = None if found is None else found.effort.get("bound_gap")
    if seen.apart > 10.0 * e.tolerance or gap is None or gap > e.tolerance:
        return None, ""
    said = (
        "the outcome maximises a weighted sum, which is the welfare at all outcomes looked at, over a set that holds one of the greatest "
        "welfare: a certified bound is met at every profile looked at"
    )
    return _proof(e, Property.EFFICIENCY.value, kind, seen, said), ""


def _proof(e: Evaluator, name: str, kind: str, seen: Checked, said: str) -> Finding:
    count = len(seen.profiles[e.agents[0]])
    effort = e.spent(profiles=count, deviations=seen.misreports, scale=e.scale, given="the declared form")
    reason = (
        f"proved given the declared form ({kind}: {said}); the form holds at the {count} profiles, corners and ties among them, and "
        f"{seen.misreports} misreports looked at"
    )
    return Finding(name, Verdict.PROVED, 0.0, None, f"by form: {kind}", effort, reason)
