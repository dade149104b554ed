"""Expectations over the others' types, with the error that each way of taking them leaves.

Quadrature is trusted where a coarser rule agrees: an allocation that jumps (a good that goes to the highest bid) lets every product rule
err by the weight of a node, in ways that a search would exploit. Such expectations are sampled instead, and judged on a fresh sample.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hurwicz._foundation import FloatArray, InputError
from hurwicz.audits.evaluation import Evaluator
from hurwicz.audits.profiles import Profiles, column, plain
from hurwicz.settings import JointPrior
from hurwicz.typespaces import Box, CorrelatedPrior, ProductPrior

ExpectationRule = Mapping[str, Any]
_ORDERS = (32, 24, 16, 12, 10, 8, 6, 5, 4)
_CHUNK = 200_000
_SETTLED = 1e-6  # relative to the span of utilities: what two quadratures of a smooth expectation differ by at most
_JUDGED = 1024  # what a verdict rests on is no smaller a sample, whatever an outcome takes: once, that is within a time limit's reach
_UNSEEN = 10.0  # an event that n draws all miss has a probability below 10/n, but for one sample in 20,000


def choose_rule(e: Evaluator, prior: JointPrior, agent: str | None) -> dict[str, Any]:
    """Exact sums where all the others' types are finite and few enough, quadrature where it fits, else Monte Carlo.

    Returns:
        ``{"kind": "exact"}``, ``{"kind": "quadrature", "order": k}`` or ``{"kind": "monte carlo", "samples": n, "seed": s}``.
    """
    if isinstance(prior, CorrelatedPrior):
        return {"kind": "exact"}
    skip = () if agent is None else (agent,)
    others = [p for name, p in prior.marginals.items() if name not in skip]
    nodes_at_most = e.affordable(e.effort.max_nodes) if agent is not None else e.affordable(e.effort.max_nodes, least=_JUDGED)
    if all(p.space.size is not None for p in others):
        if prior.node_count(1, without=skip) <= max(nodes_at_most, 100_000 if e.batched else 0):
            return {"kind": "exact"}
    else:
        for order in _ORDERS:
            if _nodes_of(prior, order, skip) <= nodes_at_most:
                return {"kind": "quadrature", "order": order}
    return sampling(e, once=agent is None)


def _nodes_of(prior: ProductPrior, order: int, skip: Sequence[str]) -> float:
    # counted without being made: a product rule in many dimensions would not fit the memory
    count = 1.0
    for name, marginal in prior.marginals.items():
        if name not in skip:
            count *= float(order) ** marginal.space.dims if isinstance(marginal.space, Box) else len(marginal.quadrature(order)[1])
    return count


def sampling(e: Evaluator, *, once: bool = False) -> dict[str, Any]:
    """The Monte Carlo rule of this effort; for an expectation that is taken ``once``, and not for every report, no small sample."""
    samples = e.affordable(e.effort.samples, least=_JUDGED) if once else e.affordable(e.effort.samples)
    return {"kind": "monte carlo", "samples": samples, "seed": e.seed}


def fresh(e: Evaluator, rule: ExpectationRule) -> dict[str, Any]:
    """The rule for a verdict: where it samples, another sample (what was picked on one is judged on another), and not a small one."""
    if rule["kind"] != "monte carlo":
        return dict(rule)
    return {**rule, "samples": min(e.effort.samples, max(_JUDGED, rule["samples"])), "seed": e.seed + 1_000_003}


def sampled_error(e: Evaluator, agent: str, deviation: float, count: int) -> float:
    """Four standard errors, and what an event too rare for the sample could add: 10/n of the span of the agent's utilities."""
    return 4.0 * deviation / float(np.sqrt(count)) + _UNSEEN / count * e.span(agent)


def settled(
    e: Evaluator, prior: JointPrior, agent: str, reports: NDArray[Any], true_types: NDArray[Any], rule: dict[str, Any]
) -> dict[str, Any]:
    """The rule, or sampling where it is a quadrature that a coarser one contradicts on a part of the table of expected utilities."""
    if rule["kind"] != "quadrature":
        return rule
    some, few = reports[:: max(1, len(reports) // 8)], true_types[:: max(1, len(true_types) // 4)]
    table = interim_utilities(e, prior, agent, some, few, rule)
    apart = max(float(np.abs(interim_utilities(e, prior, agent, some, few, r) - table).max()) for r in lower_rules(rule))
    return rule if apart <= _SETTLED * e.span(agent) else sampling(e)


def judged_gain(
    e: Evaluator, prior: JointPrior, agent: str, true_type: Any, misreport: Any, rule: ExpectationRule
) -> tuple[float, float, float, dict[str, Any]]:
    """:func:`interim_gain` for a verdict, and the rule that it rests on.

    A sample is a fresh one. A quadrature gives way to it where its error is not far below the gain, where the two contradict each other,
    or where the sample meets gains and losses far outside those at the nodes (a penalty in a small part of the others' types).
    """
    told, lied, error = interim_gain(e, prior, agent, true_type, misreport, fresh(e, rule))
    if rule["kind"] == "quadrature" and lied - told - error > e.tolerance:
        drawn = fresh(e, sampling(e))
        truth, lie, wide = interim_gain(e, prior, agent, true_type, misreport, drawn)
        at_nodes, met = (_differences(e, prior, agent, true_type, misreport, r)[1] for r in (rule, drawn))
        reach = float(np.ptp(at_nodes)) + e.tolerance
        missed = float(met.min()) < float(at_nodes.min()) - reach or float(met.max()) > float(at_nodes.max()) + reach
        if missed or error > 0.01 * (lied - told) or abs((lie - truth) - (lied - told)) > wide + error:
            return truth, lie, wide, drawn
    return told, lied, error, fresh(e, rule)


def lower_rules(rule: ExpectationRule) -> list[dict[str, Any]]:
    """Two coarser quadratures, whose distance tells the error of a quadrature."""
    if rule["kind"] != "quadrature":
        return []
    smaller = [k for k in (*_ORDERS, 3, 2) if k < rule["order"]][:2]
    return [{"kind": "quadrature", "order": k} for k in smaller]


def nodes(prior: JointPrior, agent: str | None, rule: ExpectationRule) -> tuple[Profiles, FloatArray]:
    """Profiles of the others (of all where ``agent`` is ``None``) and their weights."""
    skip = () if agent is None else (agent,)
    if rule["kind"] == "monte carlo":
        drawn = prior.sample(np.random.default_rng(rule["seed"]), rule["samples"])
        return {n: v for n, v in drawn.items() if n not in skip}, np.full(rule["samples"], 1.0 / rule["samples"])
    return prior.quadrature(rule.get("order", 1), without=skip)


def interim_utilities(
    e: Evaluator, prior: JointPrior, agent: str, reports: NDArray[Any], true_types: NDArray[Any], rule: ExpectationRule
) -> FloatArray:
    """E over theta_-i of u_i(report, theta_-i; true type), shape (true types, reports)."""
    others, weights = nodes(prior, agent, rule)
    count = len(weights)
    out = np.empty((len(true_types), len(reports)))
    per = max(1, (_CHUNK if e.batched else 2000) // count)
    for begin in range(0, len(reports), per):
        part = reports[begin : begin + per]
        profile = {
            n: np.repeat(part, count, axis=0) if n == agent else np.tile(others[n], (len(part), *([1] * (others[n].ndim - 1))))
            for n in e.agents
        }
        outcomes = e.outcomes(profile)
        for k in range(len(true_types)):
            own = np.repeat(true_types[k : k + 1], len(part) * count, axis=0)
            out[k, begin : begin + per] = e.utilities(agent, outcomes, own).reshape(len(part), count) @ weights
    return out


def interim_pairs(
    e: Evaluator, prior: JointPrior, agent: str, reports: NDArray[Any], true_types: NDArray[Any], rule: ExpectationRule
) -> tuple[FloatArray, FloatArray]:
    """E[u_i] for pairs (report, true type), shape (pairs,), and the standard deviation over the others' profiles."""
    others, weights = nodes(prior, agent, rule)
    count = len(weights)
    mean, spread = np.empty(len(reports)), np.empty(len(reports))
    per = max(1, (_CHUNK if e.batched else 2000) // count)
    for begin in range(0, len(reports), per):
        part = reports[begin : begin + per]
        profile = {
            n: np.repeat(part, count, axis=0) if n == agent else np.tile(others[n], (len(part), *([1] * (others[n].ndim - 1))))
            for n in e.agents
        }
        own = np.repeat(true_types[begin : begin + per], count, axis=0)
        values = e.utilities(agent, e.outcomes(profile), own).reshape(len(part), count)
        mean[begin : begin + per] = values @ weights
        spread[begin : begin + per] = values.std(axis=1)
    return mean, spread


def interim_gain(
    e: Evaluator, prior: JointPrior, agent: str, true_type: Any, misreport: Any, rule: ExpectationRule
) -> tuple[float, float, float]:
    """(E u truthful, E u of the misreport, error of their difference) on common nodes; :func:`sampled_error` where sampled."""
    if rule["kind"] == "monte carlo":
        truthful, gains = _differences(e, prior, agent, true_type, misreport, rule)
        error = sampled_error(e, agent, float(gains.std(ddof=1)), len(gains))
        return float(truthful.mean()), float((truthful + gains).mean()), error
    pair = column([true_type, misreport])
    true = pair[[0, 0]]
    mean, _ = interim_pairs(e, prior, agent, pair, true, rule)
    error = 0.0
    for coarser in lower_rules(rule):
        other, _ = interim_pairs(e, prior, agent, pair, true, coarser)
        error = max(error, 2.0 * abs(float((other[1] - other[0]) - (mean[1] - mean[0]))))
    return float(mean[0]), float(mean[1]), error


def _differences(
    e: Evaluator, prior: JointPrior, agent: str, true_type: Any, misreport: Any, rule: ExpectationRule
) -> tuple[FloatArray, FloatArray]:
    """At every node: utility of the truth, and what the misreport gains."""
    others, weights = nodes(prior, agent, rule)
    count = len(weights)
    pair = np.repeat(column([true_type, misreport]), count, axis=0)
    profile = {n: pair if n == agent else np.concatenate([others[n], others[n]]) for n in e.agents}
    values = e.utilities(agent, e.outcomes(profile), np.concatenate([pair[:count], pair[:count]])).reshape(2, count)
    return values[0], values[1] - values[0]


def need_prior(e: Evaluator, prior: JointPrior | None, name: str) -> JointPrior:
    """The prior, checked against the agents."""
    if prior is None:
        raise InputError(
            f"audit of {name}: expected a prior over the agents' types (ProductPrior or CorrelatedPrior), got none; pass prior="
        )
    if set(prior.agents) != set(e.agents):
        raise InputError(f"audit of {name}: expected a prior over {list(e.agents)}, got {list(prior.agents)}")
    if isinstance(prior, CorrelatedPrior):
        for agent, types in prior.profiles.items():
            outside = next((plain(v) for v in types if not e.spaces[agent].contains(v)), None)
            if outside is not None:
                raise InputError(
                    f"audit of {name}: expected a prior of {agent!r} on types that it may report, in {e.spaces[agent]!r}; got {outside}"
                )
        return prior
    for agent in e.agents:
        space = prior.marginals[agent].space
        if isinstance(space, Box) and space.dims > 10:
            support, weights = np.stack([space.low, space.high]), np.ones(1)
        else:
            support, weights = prior.marginals[agent].quadrature(2)
        if abs(float(np.sum(weights)) - 1.0) > 1e-6 or bool(np.any(np.asarray(weights) < 0.0)):
            total = float(np.sum(weights))
            raise InputError(f"audit of {name}: expected weights >= 0 that sum to 1 in the prior of {agent!r}, got a sum of {total:.9g}")
        ends = support[:0] if isinstance(space, Box) else space.grid(0 if space.size is not None else 2)
        outside = next((plain(v) for v in (*support, *ends) if not e.spaces[agent].contains(v)), None)
        if outside is not None:
            raise InputError(
                f"audit of {name}: expected a prior of {agent!r} on types that it may report, in {e.spaces[agent]!r}; "
                f"got {outside} in its support"
            )
    return prior
