"""Properties in expectation over a common prior: BIC, interim IR, ex ante IR.

On finite types the expectations are exact sums and the search is exhaustive. Over a continuum they are quadratures or samples with an
error bar, and nothing is ever proved by them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hurwicz._foundation import FloatArray
from hurwicz.audits.correlated import bic_correlated, interim_ir_correlated
from hurwicz.audits.evaluation import Evaluator
from hurwicz.audits.expectations import (
    ExpectationRule,
    choose_rule,
    fresh,
    interim_gain,
    interim_pairs,
    interim_utilities,
    judged_gain,
    lower_rules,
    need_prior,
    nodes,
    sampled_error,
    sampling,
    settled,
)
from hurwicz.audits.finding import Finding, Verdict, Witness
from hurwicz.audits.local_search import pattern_search, round_significant
from hurwicz.audits.profiles import Profiles, column, cover, plain, shown
from hurwicz.settings import JointPrior, Property
from hurwicz.typespaces import Box, CorrelatedPrior, Interval, TypeSpace

_TRUE_POINTS = 9
_UNSETTLED = 1e-5  # of the span of utilities: a larger error of quadrature gives way to sampling
_Start = tuple[Any, Any, bool]  # true type, misreport, whether the true type may be moved


def bic(e: Evaluator, prior: JointPrior | None, at: Profiles | None, progress: Callable[[float], None] | None = None) -> Finding:
    """Is the truth a best response in expectation, the others truthful?

    Args:
        e: evaluator.
        prior: common prior; of independent types, or joint.
        at: profiles whose own types are among the true types looked at.
        progress: told the fraction done.
    """
    name = Property.BIC.value
    common = need_prior(e, prior, name)
    if isinstance(common, CorrelatedPrior):
        return bic_correlated(e, common, progress)
    _note_scale(e, common)
    exact = True
    best: tuple[tuple[bool, float], tuple[float, float, float, str, Any, Any, dict[str, Any]]] | None = None
    rules: list[str] = []
    pairs = 0
    largest_error = 0.0
    agents = 0
    for i, agent in enumerate(e.agents):
        space = e.spaces[agent]
        rule = choose_rule(e, common, agent)
        rules.append(_describe(rule))
        finite = space.size is not None and space.size <= 4096
        exact = exact and finite and rule["kind"] == "exact"
        if not exact and e.late and best is not None:
            break
        agents += 1
        trues = _true_types(e, agent, at, finite)
        named = 0 if at is None else len(at[agent])
        reports = _cover(space, e.effort.deviations) if not finite else space.grid(0)
        reports = reports if finite else np.concatenate([reports, trues])
        rule = settled(e, common, agent, reports, trues, rule)
        rules[-1] = _describe(rule)
        table = interim_utilities(e, common, agent, reports, trues, rule)
        match = [_index(reports, t) for t in trues]
        truthful = table[np.arange(len(trues)), match]
        gains = table - truthful[:, None]
        pairs += gains.size
        starts = list(_candidates(gains, trues, reports, 0 if finite else named, 1 if finite else max(1, e.effort.refinements)))
        if isinstance(space, Interval | Box) and not e.late:
            starts = _refine(e, common, agent, space, starts, rule)
        for true, lie, free in starts:
            if e.late and best is not None and best[1][3] == agent:
                break
            told, lied, error, used = judged_gain(e, common, agent, true, lie, rule)
            largest_error = max(largest_error, error)
            certain = lied - told - error
            telling = not free and certain > e.tolerance  # at a type that the caller named
            if best is None or (telling, certain) > best[0]:
                best = ((telling, certain), (told, lied, error, agent, true, lie, used))
        if progress is not None:
            progress((i + 1) / len(e.agents))
    assert best is not None
    told, lied, error, agent, true, lie, rule = best[1]
    gain = lied - told
    effort = e.spent(agents=agents, pairs=pairs, expectation=sorted(set(rules)), error=largest_error, scale=e.scale, best_gain=gain)
    if gain - error <= e.tolerance:
        if exact:
            return Finding(
                name,
                Verdict.PROVED,
                gain,
                None,
                "exhaustive, exact expectation",
                effort,
                f"no type gains more than {e.tolerance:.3g} in expectation",
            )
        return Finding(
            name,
            Verdict.NOT_REFUTED,
            max(gain, 0.0),
            None,
            f"search, {rules[0]}",
            effort,
            f"largest expected gain found {gain:.3g} with error up to {largest_error:.3g}; "
            + (
                f"only {agents} agents were looked at before the time limit"
                if agents < len(e.agents)
                else "an expectation over a continuum proves nothing"
            ),
        )
    shorter = _shorten(e, common, agent, true, lie, rule, gain)
    told, lied, error = interim_gain(e, common, agent, true, shorter, rule)
    give = f" ± {error:.2g} (four standard errors and a rare-event margin)" if rule["kind"] == "monte carlo" else ""
    witness = Witness(
        agent=agent,
        true_type=plain(true),
        misreport=plain(shorter),
        others=None,
        gain=lied - told,
        details={"property": name, "utility_truthful": told, "utility_misreport": lied, "error": error, "expectation": dict(rule)},
    )
    share = f" ({(lied - told) / abs(told):.1%})" if told else ""
    return Finding(
        name,
        Verdict.REFUTED,
        lied - told,
        witness,
        f"{'exhaustive' if exact else 'search'}, {_describe(rule)}",
        effort,
        f"{agent} of type {shown(true)} expects {lied - told:.6g}{give} more{share} by reporting {shown(shorter)}, the others truthful",
    )


def interim_ir(e: Evaluator, prior: JointPrior | None, at: Profiles | None, progress: Callable[[float], None] | None = None) -> Finding:
    """Does every type of every agent expect at least what opting out gives, truthful among the truthful?"""
    name = Property.INTERIM_IR.value
    common = need_prior(e, prior, name)
    if isinstance(common, CorrelatedPrior):
        return interim_ir_correlated(e, common)
    _note_scale(e, common)
    worst: tuple[float, float, str, Any, dict[str, Any]] | None = None
    exact, types, rules = True, 0, []
    for i, agent in enumerate(e.agents):
        if not exact and e.late and worst is not None:
            break
        space = e.spaces[agent]
        rule = choose_rule(e, common, agent)
        finite = space.size is not None and space.size <= 4096
        exact = exact and finite and rule["kind"] == "exact"
        trues = _true_types(e, agent, at, finite, points=e.effort.deviations)
        rule = settled(e, common, agent, trues, trues, rule)
        rules.append(_describe(rule))
        mean, _ = interim_pairs(e, common, agent, trues, trues, rule)
        types += len(trues)
        true = trues[int(np.argmin(mean))]
        if isinstance(space, Interval | Box) and not e.late:
            true = _lowest(e, common, agent, space, true, rule)
        value, error = _interim_value(e, common, agent, true, fresh(e, rule))
        if worst is None or value + error < worst[0] + worst[1]:
            worst = (value, error, agent, true, fresh(e, rule))
        if progress is not None:
            progress((i + 1) / len(e.agents))
    assert worst is not None
    value, error, agent, true, rule = worst
    effort = e.spent(types=types, expectation=sorted(set(rules)), error=error, scale=e.scale, worst=value)
    if value + error >= -e.tolerance:
        verdict = Verdict.PROVED if exact else Verdict.NOT_REFUTED
        method = "exhaustive, exact expectation" if exact else f"search, {rules[0]}"
        return Finding(
            name,
            verdict,
            value,
            None,
            method,
            effort,
            f"least expected utility found {value:.6g} ({agent} of type {shown(true)})"
            + (f"; only {len(rules)} agents were looked at before the time limit" if len(rules) < len(e.agents) else ""),
        )
    witness = Witness(
        agent=agent,
        true_type=plain(true),
        misreport=None,
        others=None,
        gain=-value,
        details={"property": name, "utility": value, "error": error, "expectation": dict(rule)},
    )
    return Finding(
        name,
        Verdict.REFUTED,
        -value,
        witness,
        f"{'exhaustive' if exact else 'search'}, {_describe(rule)}",
        effort,
        f"{agent} of type {shown(true)} expects {value:.6g} by taking part truthfully",
    )


def ex_ante_ir(e: Evaluator, prior: JointPrior | None) -> Finding:
    """Does every agent expect at least what opting out gives, before it knows its type?"""
    name = Property.EX_ANTE_IR.value
    common = need_prior(e, prior, name)
    rule = choose_rule(e, common, None)
    means, errors = ex_ante_utilities(e, common, rule)
    if rule["kind"] == "quadrature" and bool(np.any(errors > _UNSETTLED * np.asarray([e.span(n) for n in e.agents]))):
        rule = sampling(e, once=True)
        means, errors = ex_ante_utilities(e, common, rule)
    k = min(range(len(e.agents)), key=lambda j: means[j] + errors[j])
    value, error, agent = float(means[k]), float(errors[k]), e.agents[k]
    effort = e.spent(expectation=[_describe(rule)], error=error, scale=e.scale, worst=value)
    if value + error >= -e.tolerance:
        exact = rule["kind"] == "exact"
        return Finding(
            name,
            Verdict.PROVED if exact else Verdict.NOT_REFUTED,
            value,
            None,
            "exact expectation" if exact else _describe(rule),
            effort,
            f"least expected utility {value:.6g} ({agent})",
        )
    witness = Witness(
        agent=agent,
        true_type=None,
        misreport=None,
        others=None,
        gain=-value,
        details={"property": name, "utility": value, "error": error, "expectation": dict(rule)},
    )
    return Finding(name, Verdict.REFUTED, -value, witness, _describe(rule), effort, f"{agent} expects {value:.6g} before it knows its type")


def ex_ante_utilities(e: Evaluator, prior: JointPrior, rule: ExpectationRule) -> tuple[FloatArray, FloatArray]:
    """E[u_i] of every truthful agent and the error of each."""

    def means(which: ExpectationRule) -> tuple[FloatArray, FloatArray]:
        profiles, weights = nodes(prior, None, which)
        outcomes = e.outcomes(profiles)
        e.note_scale(outcomes, profiles)
        values = np.stack([e.utilities(n, outcomes, profiles[n]) for n in e.agents])
        return values @ weights, values.std(axis=1) / np.sqrt(len(weights))

    mean, deviation = means(rule)
    if rule["kind"] == "monte carlo":
        return mean, np.asarray(
            [sampled_error(e, n, float(d) * np.sqrt(rule["samples"]), rule["samples"]) for n, d in zip(e.agents, deviation, strict=True)]
        )
    error = np.zeros(len(mean))
    for coarser in lower_rules(rule):
        error = np.maximum(error, 2.0 * np.abs(means(coarser)[0] - mean))
    return mean, error


def _interim_value(e: Evaluator, prior: JointPrior, agent: str, true: Any, rule: ExpectationRule) -> tuple[float, float]:
    one = column([true])
    mean, spread = interim_pairs(e, prior, agent, one, one, rule)
    if rule["kind"] == "monte carlo":
        return float(mean[0]), sampled_error(e, agent, float(spread[0]), rule["samples"])
    error = 0.0
    for coarser in lower_rules(rule):
        error = max(error, 2.0 * abs(float(interim_pairs(e, prior, agent, one, one, coarser)[0][0] - mean[0])))
    return float(mean[0]), error


def _note_scale(e: Evaluator, prior: JointPrior) -> None:
    drawn = prior.sample(np.random.default_rng(e.seed), 64 if e.batched else 8)
    e.note_scale(e.outcomes(drawn), drawn)


def _describe(rule: ExpectationRule) -> str:
    if rule["kind"] == "quadrature":
        return f"quadrature of order {rule['order']}"
    if rule["kind"] == "monte carlo":
        return f"{rule['samples']} samples"
    return "exact expectation"


def _true_types(e: Evaluator, agent: str, at: Profiles | None, finite: bool, points: int = _TRUE_POINTS) -> NDArray[Any]:
    grid = e.spaces[agent].grid(0) if finite else _cover(e.spaces[agent], points)
    return grid if at is None or finite else np.concatenate([at[agent], grid])


def _cover(space: TypeSpace, points: int) -> NDArray[Any]:
    return cover(space, points)


def _index(reports: NDArray[Any], value: Any) -> int:
    return next(k for k in range(len(reports)) if np.all(reports[k] == value))


def _ends(space: Interval | Box) -> tuple[FloatArray, FloatArray]:
    return np.atleast_1d(np.asarray(space.low, dtype=np.float64)), np.atleast_1d(np.asarray(space.high, dtype=np.float64))


def _candidates(gains: FloatArray, trues: NDArray[Any], reports: NDArray[Any], named: int, most: int) -> Iterator[_Start]:
    """The best misreport of every named type, then the best pairs of all; third: whether the true type may still be moved."""
    for k in range(named):
        yield trues[k], reports[int(np.argmax(gains[k]))], False
    for flat in np.argsort(-gains, axis=None)[:most]:
        k, r = divmod(int(flat), gains.shape[1])
        yield trues[k], reports[r], True


def _refine(
    e: Evaluator, prior: JointPrior, agent: str, space: Interval | Box, starts: list[_Start], rule: ExpectationRule
) -> list[_Start]:
    low, high = _ends(space)
    size, shape = len(low), np.shape(starts[0][0])
    points = np.stack([np.concatenate([np.ravel(true), np.ravel(lie)]) for true, lie, _ in starts])
    # a named type stays where it is; only its misreport moves
    free = np.asarray([[moves] * size + [True] * size for *_, moves in starts])
    bottom = np.where(free, np.concatenate([low, low]), points)
    top = np.where(free, np.concatenate([high, high]), points)

    def objective(batch: FloatArray, _: NDArray[np.int64]) -> FloatArray:
        trues, lies = batch[:, :size].reshape(-1, *shape), batch[:, size:].reshape(-1, *shape)
        told, _deviation = interim_pairs(e, prior, agent, trues, trues, rule)
        lied, _deviation = interim_pairs(e, prior, agent, lies, trues, rule)
        return lied - told

    best, _ = pattern_search(
        objective, points, bottom, top, steps=min(e.effort.steps, 40), span=0.1, grain=1e-3 * e.tolerance, stop=lambda: e.late
    )
    return [(p[:size].reshape(shape), p[size:].reshape(shape), moves) for p, (*_, moves) in zip(best, starts, strict=True)]


def _lowest(e: Evaluator, prior: JointPrior, agent: str, space: Interval | Box, true: Any, rule: ExpectationRule) -> Any:
    low, high = _ends(space)
    shape = np.shape(true)

    def objective(points: FloatArray, _: NDArray[np.int64]) -> FloatArray:
        trues = points.reshape(-1, *shape)
        return -interim_pairs(e, prior, agent, trues, trues, rule)[0]

    points, _ = pattern_search(
        objective, np.ravel(true)[None], low, high, steps=min(e.effort.steps, 40), span=0.1, grain=1e-3 * e.tolerance, stop=lambda: e.late
    )
    return points[0].reshape(shape)


def _shorten(e: Evaluator, prior: JointPrior, agent: str, true: Any, lie: Any, rule: ExpectationRule, gain: float) -> Any:
    if not isinstance(e.spaces[agent], Interval):
        return lie
    for digits in (1, 2, 3, 4, 6):
        short = round_significant(float(lie), digits)
        if e.spaces[agent].contains(short):
            told, lied, _ = interim_gain(e, prior, agent, true, short, rule)
            if lied - told >= 0.9999 * gain:
                return short
    return lie
