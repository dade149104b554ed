"""Expectations over the others' types, as functions of one agent's report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64, Shaped
from numpy.typing import NDArray

from hurwicz._foundation import FloatArray, InputError
from hurwicz.prices.payments.problems import Types
from hurwicz.typespaces import Box, Finite, Interval, ProductPrior

Integrand = Callable[[Types], Float64[FloatArray, "batch"]]
_MOST_NODES = 10_000
_BATCH = 400_000


@dataclass(frozen=True)
class InterimFunction:
    """E over theta_-i of a function of the profile, at any report of agent i.

    Attributes:
        at: reports → expectations.
        error: estimate of the error of quadrature and interpolation; a standard error where the others were sampled.
        series: the Chebyshev series where the space is an interval (for integrals in closed form), else ``None``.
    """

    at: Callable[[Shaped[NDArray[Any], "batch *type"]], Float64[FloatArray, "batch"]]
    error: float
    series: np.polynomial.Chebyshev | None = None


def others_rule(
    prior: ProductPrior, agent: str, order: int | None, samples: int | None, seed: int
) -> tuple[dict[str, Shaped[NDArray[Any], "points ..."]], Float64[FloatArray, "points"], float]:
    """Profiles of the others, their weights, and 1/sqrt(samples) where they are sampled (else 0)."""
    others = [name for name in prior.agents if name != agent]
    if samples is not None:
        rng = np.random.default_rng(seed)
        drawn = prior.sample(rng, samples)
        return {name: drawn[name] for name in others}, np.full(samples, 1.0 / samples), 1.0 / np.sqrt(samples)
    chosen = order
    if chosen is None:
        chosen = next((k for k in (16, 12, 10, 8, 6, 5, 4) if prior.node_count(k, without=agent) <= _MOST_NODES), None)
        if chosen is None:
            raise InputError(
                f"expectation over {len(others)} others: a product rule needs {prior.node_count(4, without=agent)} profiles; "
                "pass samples= for Monte Carlo"
            )
    points, weights = prior.quadrature(chosen, without=agent)
    return points, weights, 0.0


def interim_function(
    prior: ProductPrior,
    agent: str,
    integrand: Integrand,
    *,
    order: int | None = None,
    samples: int | None = None,
    seed: int = 0,
) -> InterimFunction:
    """E[f(theta_i, theta_-i)] as a function of theta_i.

    A finite space is tabulated, an interval is interpolated by a Chebyshev series (nodes doubled until the tail is below 1e-13 of the
    largest coefficient, at most 129), a box is evaluated report by report.

    Args:
        prior: independent priors of all agents, in the order that the integrand expects.
        agent: whose report stays free.
        integrand: types of all agents → its value at each profile.
        order: Gauss–Legendre nodes per other agent; chosen by the number of agents if omitted. Exact for finite spaces.
        samples: draw this many profiles of the others instead (common to all reports).
        seed: of the draws.

    Raises:
        InputError: unknown agent, or a report outside the prior's support.

    Example:
        >>> from hurwicz.typespaces import Interval, ProductPrior, Uniform
        >>> prior = ProductPrior({"a": Uniform(Interval(0.0, 1.0)), "b": Uniform(Interval(0.0, 1.0))})
        >>> expected = interim_function(prior, "a", lambda types: types[0] * types[1] ** 2)
        >>> np.round(expected.at(np.array([0.6])), 12)  # 0.6 · 1/3
        array([0.2])
    """
    if agent not in prior.marginals:
        raise InputError(f"interim expectation: unknown agent {agent!r}; the prior knows {list(prior.agents)}")
    points, weights, spread = others_rule(prior, agent, order, samples, seed)
    space = prior.marginals[agent].space
    count = len(weights)
    deviation = 0.0

    def expect(reports: Shaped[NDArray[Any], "batch *type"]) -> Float64[FloatArray, "batch"]:
        nonlocal deviation
        out = np.empty(len(reports))
        chunk = max(1, _BATCH // count)
        for k in range(0, len(reports), chunk):
            part = reports[k : k + chunk]
            own = np.repeat(part, count, axis=0)
            profile = [
                own if name == agent else np.tile(points[name], (len(part), *([1] * (points[name].ndim - 1)))) for name in prior.agents
            ]
            values = integrand(profile).reshape(len(part), count)
            out[k : k + chunk] = values @ weights
            if spread:
                deviation = max(deviation, float(values.std(axis=1).max()) * spread)
        return out

    if isinstance(space, Finite):
        table = expect(space.values)

        def look_up(reports: Shaped[NDArray[Any], "batch *type"]) -> Float64[FloatArray, "batch"]:
            keys = {_key(v): k for k, v in enumerate(space.values)}
            try:
                return table[[keys[_key(r)] for r in reports]] if space.values.dtype == object else table[_match(space.values, reports)]
            except KeyError as error:
                raise InputError(f"report {error} of {agent!r} is not one of its types") from error

        return InterimFunction(look_up, deviation)
    if isinstance(space, Interval):
        low, high = space.low, space.high
        degree = 16
        while True:
            nodes = np.cos(np.pi * (np.arange(degree + 1) + 0.5) / (degree + 1))
            values = expect(0.5 * (low + high) + 0.5 * (high - low) * nodes)
            series = np.polynomial.Chebyshev(np.polynomial.chebyshev.chebfit(nodes, values, degree), domain=[low, high])
            size, tail = float(np.abs(series.coef).max()), float(np.abs(series.coef[-3:]).max())
            if tail <= 1e-12 * max(size, 1e-300) or degree >= 128:
                break
            degree *= 2
        series = series.trim(1e-15 * size)
        rule_error = 0.0
        if samples is None and order is None:
            rule_error = _rule_error(prior, agent, integrand, series, count)

        def evaluate(reports: Shaped[NDArray[Any], "batch"]) -> Float64[FloatArray, "batch"]:
            given = np.asarray(reports, dtype=np.float64)
            if bool(np.any((given < low) | (given > high))):
                raise InputError(f"reports of {agent!r}: expected values in [{low}, {high}], the prior's support")
            return np.asarray(series(given))

        return InterimFunction(evaluate, max(deviation, rule_error, 3.0 * tail), series)
    if isinstance(space, Box):
        return InterimFunction(expect, 0.0 if not spread else float("nan"))
    raise InputError(f"interim expectation: expected a Finite, Interval or Box type space, got {type(space).__name__}")


def _rule_error(prior: ProductPrior, agent: str, integrand: Integrand, series: np.polynomial.Chebyshev, used: int) -> float:
    # the error of the rule over the others: the next lower order at three reports
    order = next((k for k in (12, 10, 8, 6, 5, 4, 3) if prior.node_count(k, without=agent) < used), None)
    if order is None:
        return 0.0
    points, weights = prior.quadrature(order, without=agent)
    low, high = (float(d) for d in series.domain)
    worst = 0.0
    for report in (low, 0.5 * (low + high), high):
        own = np.full(len(weights), report)
        value = float(integrand([own if name == agent else points[name] for name in prior.agents]) @ weights)
        worst = max(worst, abs(value - float(series(report))))
    return worst


def _key(value: Any) -> Any:
    return tuple(np.ravel(value)) if isinstance(value, np.ndarray) else value


def _match(values: Shaped[NDArray[Any], "types *type"], reports: Shaped[NDArray[Any], "batch *type"]) -> Int64[NDArray[np.int64], "batch"]:
    given = np.asarray(reports, dtype=np.float64)
    flat, wanted = values.reshape(len(values), -1), given.reshape(len(given), -1)
    hits = np.all(wanted[:, None, :] == flat[None], axis=2)
    if not bool(np.all(hits.any(axis=1))):
        missing = given[np.argmin(hits.any(axis=1))]
        raise InputError(f"report {missing} is not one of the types {values.tolist()}")
    return np.asarray(np.argmax(hits, axis=1), dtype=np.int64)
