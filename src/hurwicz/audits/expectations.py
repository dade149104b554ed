"""Expectations over the others' types, with the error that each way of taking them leaves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hurwicz._foundation import FloatArray, InputError
from hurwicz.audits.evaluation import Evaluator, Profiles
from hurwicz.typespaces import ProductPrior

ExpectationRule = Mapping[str, Any]
_ORDERS = (32, 24, 16, 12, 10, 8, 6, 5, 4)
_CHUNK = 200_000


def choose_rule(e: Evaluator, prior: ProductPrior, agent: str | None) -> dict[str, Any]:
    """Exact sums where all the others' types are finite and few enough, quadrature where it fits, else Monte Carlo.

    Returns:
        ``{"kind": "exact"}``, ``{"kind": "quadrature", "order": k}`` or ``{"kind": "monte carlo", "samples": n, "seed": s}``.
    """
    skip = () if agent is None else (agent,)
    others = [p for name, p in prior.marginals.items() if name not in skip]
    if all(p.space.size is not None for p in others):
        if prior.node_count(1, without=skip) <= max(e.effort.max_nodes, 100_000 if e.batched else 0):
            return {"kind": "exact"}
    else:
        for order in _ORDERS:
            if prior.node_count(order, without=skip) <= e.effort.max_nodes:
                return {"kind": "quadrature", "order": order}
    return {"kind": "monte carlo", "samples": e.effort.samples, "seed": e.seed}


def lower_rules(rule: ExpectationRule) -> list[dict[str, Any]]:
    """Two coarser quadratures, whose distance tells the error of a quadrature."""
    if rule["kind"] != "quadrature":
        return []
    smaller = [k for k in (*_ORDERS, 3, 2) if k < rule["order"]][:2]
    return [{"kind": "quadrature", "order": k} for k in smaller]


def nodes(prior: ProductPrior, agent: str | None, rule: ExpectationRule) -> tuple[Profiles, FloatArray]:
    """Profiles of the others (of all where ``agent`` is ``None``) and their weights."""
    skip = () if agent is None else (agent,)
    if rule["kind"] == "monte carlo":
        drawn = prior.sample(np.random.default_rng(rule["seed"]), rule["samples"])
        return {n: v for n, v in drawn.items() if n not in skip}, np.full(rule["samples"], 1.0 / rule["samples"])
    return prior.quadrature(rule.get("order", 1), without=skip)


def interim_utilities(
    e: Evaluator, prior: ProductPrior, agent: str, reports: NDArray[Any], true_types: NDArray[Any], rule: ExpectationRule
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
    e: Evaluator, prior: ProductPrior, agent: str, reports: NDArray[Any], true_types: NDArray[Any], rule: ExpectationRule
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
    e: Evaluator, prior: ProductPrior, agent: str, true_type: Any, misreport: Any, rule: ExpectationRule
) -> tuple[float, float, float]:
    """(E u truthful, E u of the misreport, error of their difference): common nodes; 4 standard errors where sampled."""
    pair = _pair(true_type, misreport)
    true = pair[[0, 0]]
    if rule["kind"] == "monte carlo":
        others, weights = nodes(prior, agent, rule)
        count = len(weights)
        profile = {n: np.repeat(pair, count, axis=0) if n == agent else np.concatenate([others[n], others[n]]) for n in e.agents}
        values = e.utilities(agent, e.outcomes(profile), np.repeat(true, count, axis=0)).reshape(2, count)
        error = 4.0 * float((values[1] - values[0]).std(ddof=1)) / np.sqrt(count)
        return float(values[0].mean()), float(values[1].mean()), error
    mean, _ = interim_pairs(e, prior, agent, pair, true, rule)
    error = 0.0
    for coarser in lower_rules(rule):
        other, _ = interim_pairs(e, prior, agent, pair, true, coarser)
        error = max(error, 2.0 * abs(float((other[1] - other[0]) - (mean[1] - mean[0]))))
    return float(mean[0]), float(mean[1]), error


def _pair(first: Any, second: Any) -> NDArray[Any]:
    pair = [first, second]
    try:
        return np.asarray(pair, dtype=np.float64)
    except (TypeError, ValueError):
        out = np.empty(2, dtype=object)
        out[:] = pair
        return out


def need_prior(e: Evaluator, prior: ProductPrior | None, name: str) -> ProductPrior:
    """The prior, checked against the agents."""
    if prior is None:
        raise InputError(f"audit of {name}: expected a prior (ProductPrior) over the agents' types, got none; pass prior=")
    if set(prior.agents) != set(e.agents):
        raise InputError(f"audit of {name}: expected a prior over {list(e.agents)}, got {list(prior.agents)}")
    return prior
