"""The one entry: audit a direct mechanism for a list of properties."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hurwicz._foundation import InputError
from hurwicz.audits.effort import Effort, effort_of
from hurwicz.audits.evaluation import Evaluator, UnsteadyError
from hurwicz.audits.executors import Executor, Serial, chunks_as_done, executor_of
from hurwicz.audits.expectations import need_prior
from hurwicz.audits.false_names import Family
from hurwicz.audits.finding import Finding, Verdict
from hurwicz.audits.implications import implied, in_waves
from hurwicz.audits.judging import NEED_PRIOR, Judging
from hurwicz.audits.profiles import stacked
from hurwicz.audits.resuming import resumed
from hurwicz.settings import CORE_PROPERTIES, PROPERTIES, DirectMechanism, JointPrior, Property

Progress = Callable[[str, float], None]


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
    workers: int | None = None,
    checkpoint: str | Path | None = None,
) -> list[Finding]:
    """Prove, refute, or fail to refute each property of a direct mechanism.

    Finite type spaces that fit the effort are searched exhaustively (``proved`` or ``refuted``). On boxes the search goes up a ladder:
    named and extreme and random profiles, scaled reports, a grid, local refinement; what it finds is ``refuted`` with a witness that
    :func:`replay` recomputes, and otherwise ``not_refuted`` with the effort spent. Properties in expectation use exact sums on finite
    types, else quadrature or samples with an error bar. Every witness is replayed before it is returned; a mechanism that answers the
    same reports differently (random draws, state) is ``not_applicable``.

    Findings do not depend on the executor or the number of workers: each property starts from nothing but the mechanism, the effort and
    the seed, and what depends on the mechanism's speed (can every profile be looked at?) is decided by one measurement, made before. The
    exception says so: a search that its time limit ends has ``cut_by_time_limit`` in its effort, and rests on what was done by then.

    Args:
        mechanism: what to audit; batched members are used where it has them.
        properties: names from :data:`hurwicz.settings.PROPERTIES`; those of :data:`hurwicz.settings.CORE_PROPERTIES` if omitted, and
            ``revenue_within_bound`` where a bound is stated as a number.
        prior: common prior for BIC, interim and ex ante IR; the mechanism's own ``prior`` if it has one.
        effort: ``"quick"``, ``"standard"``, ``"thorough"``, or an :class:`Effort`.
        seed: of every random choice.
        at: profiles of interest (the real types, say): looked at first and preferred as witnesses.
        revenue_bound: best expected revenue of any mechanism of the class, for ``revenue_within_bound``; the mechanism's own
            ``revenue_bound`` if it has one (a number, or a function of the prior, as Myerson's optimum is).
        family: names → the same mechanism for those participants, for false names and shill bids; the mechanism's own ``resized`` if it
            has one.
        executor: who looks at the properties: ``"serial"``, ``"threads"`` (a mechanism in numpy or compiled code without state; its tables
            of outcomes are made by several threads as well), ``"processes"``, ``"dask"``, or an :class:`Executor`.
        workers: how many, for executors by name; as many as there are cores if omitted.
        checkpoint: a file that keeps each finding as it is made; an audit of the same mechanism, effort and seed goes on from it.
        progress: called with the property's name and the fraction done; work in other processes is told of when it is done.

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
    bound = revenue_bound if revenue_bound is not None else getattr(mechanism, "revenue_bound", None)
    if properties is None and bound is not None and not callable(bound):
        wanted.append(Property.REVENUE_WITHIN_BOUND.value)
    e = Evaluator(mechanism, effort_of(effort), seed=seed)
    run = executor_of(executor, workers)
    e.executor = run if run.shares_memory else Serial()
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
    if Property.REVENUE_WITHIN_BOUND not in wanted:
        bound = None
    elif callable(bound):
        bound = None if common is None else bound(common)
    if bound is not None and not math.isfinite(bound):
        raise InputError(f"audit: expected a finite revenue_bound, got {bound!r}")
    try:
        e.probe(named)
    except UnsteadyError as error:
        return _unsteady(wanted, str(error))
    kept = None if checkpoint is None else resumed(e, checkpoint, common, at, bound, family)
    findings: dict[str, Finding] = {}
    for wave in in_waves(wanted):
        left = []
        for name in wave:
            proof = None if e.finite else implied(name, list(findings.values()))
            if name in NEED_PRIOR and common is None and properties is None:
                reason = "an expectation needs a prior, and none was given"
                findings[name] = Finding(name, Verdict.NOT_APPLICABLE, None, None, "none", {}, reason)
            elif proof is not None:
                findings[name] = proof
            else:
                left.append(PROPERTIES.index(name))
        judging = Judging(e, named, common, bound, family, progress if run.shares_memory else None)
        for number, answer in chunks_as_done(judging, left, run, checkpoint=kept):
            if "unsteady" in answer:  # then nothing that was seen before counts either
                return _unsteady(wanted, answer["unsteady"])
            findings[PROPERTIES[number]] = Finding.from_dict(answer)
            if progress is not None:
                progress(PROPERTIES[number], 1.0)
    return [findings[name] for name in wanted]


def _unsteady(wanted: Sequence[str], why: str) -> list[Finding]:
    return [Finding(name, Verdict.NOT_APPLICABLE, None, None, "none", {}, why) for name in wanted]
