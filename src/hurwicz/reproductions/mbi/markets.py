"""The paper's instances as price graphs and private agents of the library."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray
from hurwicz.reproductions.mbi.instances import Aggregate

if TYPE_CHECKING:
    from hurwicz.prices import DeclaredAgent, PopulationAgent, SystemLoss
    from hurwicz.prices.direct import PriceMechanism
    from hurwicz.typespaces import TypeSpace


@lru_cache(maxsize=8)
def aggregate_market(names: tuple[str, ...]) -> SystemLoss:
    """S = (sum_i x_i - target)² over named agents; ``target`` is data and has to be given with every call."""
    from hurwicz.prices import PriceGraph

    graph = PriceGraph()
    graph.source("target", 0.0)
    for name in names:
        graph.agent(name)
    graph.function("total", lambda *actions: sum(actions), inputs=names)
    graph.loss("miss", _squared_miss, inputs=["total", "target"])
    return graph.compile()


@lru_cache(maxsize=8)
def population_market(size: int) -> SystemLoss:
    """S = (sum_i x_i - target)² over one population node of ``size`` agents."""
    from hurwicz.prices import PriceGraph

    graph = PriceGraph()
    graph.source("target", 0.0)
    graph.population("agents", size)
    graph.function("total", lambda x: x.sum(), inputs=["agents"])
    graph.loss("miss", _squared_miss, inputs=["total", "target"])
    return graph.compile()


def _squared_miss(total: Any, target: Any) -> Any:
    return (total - target) ** 2


def declared(problem: Aggregate) -> list[DeclaredAgent]:
    """One agent a curvature, C_i = lambda_i x_i², actions free."""
    from hurwicz.prices import DeclaredAgent
    from hurwicz.valuations import Quadratic

    return [DeclaredAgent(name, Quadratic(), float(weight)) for name, weight in zip(problem.names, problem.curvature, strict=True)]


def population(problem: Aggregate) -> PopulationAgent:
    """All agents as one population, actions at least 0 as in C.2."""
    from hurwicz.prices import Box, PopulationAgent
    from hurwicz.valuations import Quadratic

    return PopulationAgent("agents", Quadratic(), problem.curvature, Box(0.0, np.inf))


def vector(problem: Aggregate, actions: Mapping[str, Any]) -> Float64[FloatArray, "agents"]:
    """Actions by name as one array in the agents' order."""
    return np.array([float(actions[name]) for name in problem.names])


def types_of(problem: Aggregate) -> dict[str, float]:
    """Agent name → lambda."""
    return {name: float(value) for name, value in zip(problem.names, problem.curvature, strict=True)}


def mechanism(problem: Aggregate, rule: Any, space: TypeSpace | None = None, *, prior: Any = None) -> PriceMechanism:
    """The instance as a direct mechanism with one rule of payment; types in [.01, 10] if no space is given."""
    from hurwicz.prices.direct import PriceMechanism
    from hurwicz.prices.payments import QuadraticAggregate
    from hurwicz.typespaces import Interval

    spaces = None if prior is not None else dict.fromkeys(problem.names, space if space is not None else Interval(0.01, 10.0))
    market = QuadraticAggregate(problem.target, problem.names, coefficients=np.ones(problem.curvature.size))
    return PriceMechanism(market, rule, spaces, prior=prior)
