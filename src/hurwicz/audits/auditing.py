"""The one entry: audit a direct mechanism for a list of properties."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from hurwicz._foundation import InputError
from hurwicz.audits.auctioneer import credible, shill_proof
from hurwicz.audits.bayesian import bic, ex_ante_ir, interim_ir
from hurwicz.audits.collusion import collusion_proof_pairs
from hurwicz.audits.declared_form import by_form
from hurwicz.audits.efficiency import efficiency
from hurwicz.audits.effort import Effort, effort_of
from hurwicz.audits.evaluation import Evaluator, UnsteadyError
from hurwicz.audits.ex_ante import EX_ANTE, budget_in_expectation, revenue_within_bound
from hurwicz.audits.executors import Executor, executor_of
from hurwicz.audits.expectations import need_prior
from hurwicz.audits.false_names import Family, false_name_proof
from hurwicz.audits.finding import Finding, Verdict
from hurwicz.audits.implications import implied
from hurwicz.audits.incentives import dsic, ex_post_ic
from hurwicz.audits.monotonicity import monotonicity
from hurwicz.audits.profiles import stacked
from hurwicz.audits.profilewise import SHORTFALLS, profilewise
from hurwicz.audits.replay import replay
from hurwicz.audits.story import story
from hurwicz.settings import CORE_PROPERTIES, PROPERTIES, DirectMechanism, JointPrior, Property

_NEED_PRIOR = EX_ANTE | {Property.BIC.value, Property.INTERIM_IR.value, Property.EX_ANTE_IR.value}
Progress = Callable[[str, float], None]
Told = Callable[[float], None] | None


def audit(
    mechanism: DirectMechanism,
    properties: Sequence[str] | None = None,
    *,
    prior: JointPrior | None = None,
    effort: Effort | str = "standard",
    seed: int = 0,
    at: Sequence[Mapping[str, Any]] = (),
    progress: Progress | None = None,
    revenue_bound: float | None = None,
    family: Family | None = None,
    executor: Executor | str = "serial",
) -> list[Finding]:
    """Prove, refute, or fail to refute each property of a direct mechanism.

    Finite type spaces that fit the effort are searched exhaustively (``proved`` or ``refuted``). On boxes the search goes up a ladder:
    named and extreme and random profiles, scaled reports, a grid, local refinement; what it finds is ``refuted`` with a witness that
    :func:`replay` recomputes, and otherwise ``not_refuted`` with the effort spent. Properties in expectation use exact sums on finite
    types, else quadrature or samples with an error bar. Every witness is replayed before it is returned; a mechanism that answers the
    same reports differently (random draws, state) is ``not_applicable``.

    Args:
        mechanism: what to audit; batched members are used where it has them.
        properties: names from :data:`hurwicz.settings.PROPERTIES`; those of :data:`hurwicz.settings.CORE_PROPERTIES` if omitted.
        prior: common prior for BIC, interim and ex ante IR; the mechanism's own ``prior`` if it has one.
        effort: ``"quick"``, ``"standard"``, ``"thorough"``, or an :class:`Effort`.
        seed: of every random choice.
        at: profiles of interest (the real types, say): looked at first and preferred as witnesses.
        revenue_bound: best expected revenue of any mechanism of the class, for ``revenue_within_bound``; the mechanism's own
            ``revenue_bound`` if it has one.
        family: names → the same mechanism for those participants, for false names and shill bids; the mechanism's own ``resized`` if it
            has one.
        executor: who makes tables of outcomes: ``"serial"``, ``"threads"`` (a mechanism in numpy without state), or an :class:`Executor`.
        progress: called with the property's name and the fraction done.

    Returns:
        One finding a property, in the order asked for.

    Raises:
        InputError: an unknown property, a profile or prior outside the type spaces, values that are not finite, a bound on welfare that
            is none, or ``outcome`` and ``outcomes`` that differ.

    Example:
        >>> from hurwicz.prices.direct import PriceMechanism
        >>> from hurwicz.prices.payments import Linear, QuadraticAggregate
        >>> from hurwicz.typespaces import Interval
        >>> problem = QuadraticAggregate(7.461, 5)
        >>> mechanism = PriceMechanism(problem, Linear(), {name: Interval(0.01, 2.0) for name in problem.agents})
        >>> true = dict(zip(problem.agents, (0.1, 0.5, 0.2, 0.4, 0.6)))
        >>> finding, = audit(mechanism, ["DSIC"], at=[true], effort="quick")
        >>> finding.verdict.value, finding.witness.agent, finding.witness.misreport, round(finding.witness.details["relative_gain"], 3)
        ('refuted', 'agent 1', 0.182, 0.256)
    """
    wanted = list(CORE_PROPERTIES) if properties is None else [str(p) for p in properties]
    unknown = [p for p in wanted if p not in PROPERTIES]
    if unknown:
        raise InputError(f"audit: expected properties among {list(PROPERTIES)}, got {unknown}")
    e = Evaluator(mechanism, effort_of(effort), seed=seed)
    e.executor = executor_of(executor)
    bound = revenue_bound if revenue_bound is not None else getattr(mechanism, "revenue_bound", None)
    common = prior if prior is not None else getattr(mechanism, "prior", None)
    for profile in at:
        wrong = [n for n in e.agents if n not in profile or not e.spaces[n].contains(profile[n])]
        if wrong:
            raise InputError(
                f"audit: expected profiles with a type in its space for every agent, got {dict(profile)!r} (wrong for {wrong})"
            )
    named = stacked(at, e.agents) if len(at) else None
    if common is not None:
        need_prior(e, common, ", ".join(wanted))
    findings = []
    unsteady = ""
    try:
        e.probe(named)
    except UnsteadyError as error:
        unsteady = str(error)
    for name in wanted:
        if name in _NEED_PRIOR and common is None and properties is None:
            reason = "an expectation needs a prior, and none was given"
            findings.append(Finding(name, Verdict.NOT_APPLICABLE, None, None, "none", {}, reason))
            continue
        e.restart()
        proof = None if e.finite or unsteady else implied(name, findings)
        if proof is not None:
            findings.append(proof)
        elif not unsteady:
            try:
                findings.append(_replayed(e, family, _one(e, name, named, common, _tell(progress, name), bound, family), common))
                e.probe(named)
            except UnsteadyError as error:
                unsteady = str(error)
    if unsteady:  # then nothing that was seen before counts either
        return [Finding(name, Verdict.NOT_APPLICABLE, None, None, "none", {}, unsteady) for name in wanted]
    return findings


def _replayed(e: Evaluator, family: Family | None, finding: Finding, prior: JointPrior | None) -> Finding:
    # no refutation leaves without its witness having been replayed from its plain form
    if finding.witness is None:
        return finding
    again = replay(e.mechanism, finding, prior=prior, family=family)
    if again <= 0.0 or abs(again - finding.witness.gain) > 1e-6 * abs(finding.witness.gain) + e.tolerance:
        raise UnsteadyError(
            f"a witness against it gained {finding.witness.gain:.6g} when found and {again:.6g} when replayed: the mechanism draws at "
            "random or keeps a state; audit its expectation over its own draws, or fix its seed"
        )
    told = {**finding.witness.details, "story": story(e, finding)}
    return replace(finding, witness=replace(finding.witness, details=told))


def _tell(progress: Progress | None, name: str) -> Callable[[float], None] | None:
    return None if progress is None else lambda fraction: progress(name, fraction)


def _one(
    e: Evaluator,
    name: str,
    at: Any,
    prior: JointPrior | None,
    progress: Callable[[float], None] | None,
    bound: float | None,
    family: Family | None,
) -> Finding:
    if name == Property.DSIC:
        return dsic(e, at, prior, progress)
    if name == Property.EX_POST_IC:
        return ex_post_ic(e, at, prior, progress)
    if name == Property.BIC:
        found = bic(e, prior, at, progress)
        proof = by_form(e, name, prior)[0] if found.verdict is Verdict.NOT_REFUTED else None
        return found if proof is None else proof
    if name == Property.INTERIM_IR:
        return interim_ir(e, prior, at, progress)
    if name == Property.EX_ANTE_IR:
        return ex_ante_ir(e, prior)
    if name == Property.EFFICIENCY:
        return efficiency(e, at, prior, progress)
    if name == Property.COLLUSION_PROOF_PAIRS:
        return collusion_proof_pairs(e, at, prior)
    if name == Property.FALSE_NAME_PROOF:
        return false_name_proof(e, at, prior, family)
    if name == Property.SHILL_PROOF:
        return shill_proof(e, at, prior, family)
    if name == Property.CREDIBLE:
        return credible(e, at, prior)
    if name == Property.MONOTONICITY:
        return monotonicity(e, at, prior)
    if name == Property.REVENUE_WITHIN_BOUND:
        return revenue_within_bound(e, need_prior(e, prior, name), bound)
    if name in EX_ANTE:
        return budget_in_expectation(e, name, need_prior(e, prior, name))
    assert name in SHORTFALLS
    return profilewise(e, name, at, prior, progress)
