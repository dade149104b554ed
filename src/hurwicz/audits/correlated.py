"""BIC and interim IR under a joint prior: an agent of type t weighs the others' profiles by P(theta_-i | theta_i = t), exactly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from hurwicz.audits.evaluation import Evaluator
from hurwicz.audits.finding import Finding, Verdict, Witness
from hurwicz.audits.profiles import column, cover, plain, shown
from hurwicz.settings import JointPrior, Property
from hurwicz.typespaces import CorrelatedPrior, Finite

_CHUNK = 200_000
_METHOD = "exact conditional expectation"


def conditional_utilities(
    e: Evaluator, prior: CorrelatedPrior, agent: str, true_type: Any, reports: NDArray[Any]
) -> Float64[np.ndarray, " reports"]:
    """E[u_i(report, theta_-i; true type) | theta_i = true type] of each report."""
    others, weights = prior.conditional(agent, true_type)
    count = len(weights)
    out = np.empty(len(reports))
    per = max(1, _CHUNK // count)
    for begin in range(0, len(reports), per):
        part = reports[begin : begin + per]
        profile = {
            n: np.repeat(part, count, axis=0) if n == agent else np.tile(others[n], (len(part), *([1] * (others[n].ndim - 1))))
            for n in e.agents
        }
        own = np.repeat(column([true_type]), len(part) * count, axis=0)
        out[begin : begin + per] = e.utilities(agent, e.outcomes(profile), own).reshape(len(part), count) @ weights
    return out


def bic_correlated(e: Evaluator, prior: CorrelatedPrior, progress: Callable[[float], None] | None = None) -> Finding:
    """Is the truth a best response in expectation over the others' types given one's own, the others truthful?

    Source:
        R. Myerson, "Incentive compatibility and the bargaining problem", Econometrica 47 (1979), for types that depend on one another.
    """
    name = Property.BIC.value
    best: tuple[float, str, Any, Any, float, float] | None = None
    pairs, exact = 0, True
    _note_scale(e, prior)
    for i, agent in enumerate(e.agents):
        space = e.spaces[agent]
        exact = exact and isinstance(space, Finite)
        trues = _possible(prior, agent)
        grid = space.grid(0) if space.size is not None else cover(space, e.effort.deviations)
        for true in trues:
            reports = np.concatenate([column([true]), grid])
            utilities = conditional_utilities(e, prior, agent, true, reports)
            k = int(np.argmax(utilities))
            pairs += len(reports)
            if best is None or utilities[k] - utilities[0] > best[0]:
                best = (float(utilities[k] - utilities[0]), agent, true, reports[k], float(utilities[0]), float(utilities[k]))
        if progress is not None:
            progress((i + 1) / len(e.agents))
    assert best is not None
    gain, agent, true, lie, told, lied = best
    effort = e.spent(pairs=pairs, expectation=[_METHOD], scale=e.scale, best_gain=gain)
    if gain <= e.tolerance:
        verdict = Verdict.PROVED if exact else Verdict.NOT_REFUTED
        how = f"exhaustive, {_METHOD}" if exact else f"grid of misreports, {_METHOD}"
        return Finding(name, verdict, gain, None, how, effort, f"no type gains more than {e.tolerance:.3g} in expectation")
    witness = Witness(
        agent=agent,
        true_type=plain(true),
        misreport=plain(lie),
        others=None,
        gain=gain,
        details={
            "property": name,
            "utility_truthful": told,
            "utility_misreport": lied,
            "error": 0.0,
            "expectation": {"kind": "conditional"},
        },
    )
    reason = f"{agent} of type {shown(true)} expects {gain:.6g} more by reporting {shown(lie)}, the others truthful"
    return Finding(name, Verdict.REFUTED, gain, witness, f"{'exhaustive' if exact else 'grid of misreports'}, {_METHOD}", effort, reason)


def interim_ir_correlated(e: Evaluator, prior: CorrelatedPrior) -> Finding:
    """Does every type expect at least what opting out gives, given what its type tells it of the others'?"""
    name = Property.INTERIM_IR.value
    worst: tuple[float, str, Any] | None = None
    types = 0
    _note_scale(e, prior)
    for agent in e.agents:
        for true in _possible(prior, agent):
            value = float(conditional_utilities(e, prior, agent, true, column([true]))[0])
            types += 1
            if worst is None or value < worst[0]:
                worst = (value, agent, true)
    assert worst is not None
    value, agent, true = worst
    effort = e.spent(types=types, expectation=[_METHOD], scale=e.scale, worst=value)
    if value >= -e.tolerance:
        reason = f"least expected utility {value:.6g} ({agent} of type {shown(true)}), over the types of positive probability"
        return Finding(name, Verdict.PROVED, value, None, f"exhaustive, {_METHOD}", effort, reason)
    details = {"property": name, "utility": value, "error": 0.0, "expectation": {"kind": "conditional"}}
    witness = Witness(agent=agent, true_type=plain(true), misreport=None, others=None, gain=-value, details=details)
    reason = f"{agent} of type {shown(true)} expects {value:.6g} by taking part truthfully"
    return Finding(name, Verdict.REFUTED, -value, witness, f"exhaustive, {_METHOD}", effort, reason)


def replay_conditional(e: Evaluator, prior: JointPrior, agent: str, true_type: Any, misreport: Any) -> float:
    """What a misreport gains in conditional expectation; for ``None``, what taking part loses."""
    assert isinstance(prior, CorrelatedPrior)
    true = e.one({agent: true_type})[agent][0]
    if misreport is None:
        return -float(conditional_utilities(e, prior, agent, true, column([true]))[0])
    pair = np.concatenate([column([true]), e.one({agent: misreport})[agent]])
    told, lied = conditional_utilities(e, prior, agent, true, pair)
    return float(lied - told)


def _possible(prior: CorrelatedPrior, agent: str) -> NDArray[Any]:
    types = prior.profiles[agent][prior.probabilities > 0.0]
    return np.unique(types, axis=0)


def _note_scale(e: Evaluator, prior: CorrelatedPrior) -> None:
    profiles, _ = prior.quadrature(1)
    few = {name: types[:4096] for name, types in profiles.items()}
    e.note_scale(e.outcomes(few), few)
