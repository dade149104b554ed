"""Markets that several tests use: the paper's targets, met by agents with quadratic costs."""

from __future__ import annotations

from hurwicz.prices import DeclaredAgent, PriceGraph
from hurwicz.valuations import Quadratic

C3 = [0.1, 0.5, 1.0, 5.0, 10.0]
C4 = [0.1, 0.5, 0.2, 0.4, 0.6]


def target_graph(count: int, target: float) -> PriceGraph:
    graph = PriceGraph()
    source = graph.source("target", target)
    agents = [graph.agent(str(k + 1)) for k in range(count)]
    total = graph.function("total", lambda *x: sum(x), agents)
    graph.loss("miss", lambda s, t: (s - t) ** 2, [total, source])
    return graph


def crowd(size: int, target: float) -> PriceGraph:
    graph = PriceGraph()
    graph.population("crowd", size)
    graph.loss("miss", lambda x: (x.sum() - target) ** 2, ["crowd"])
    return graph


def quadratics(lam) -> list[DeclaredAgent]:
    return [DeclaredAgent(str(k + 1), Quadratic(), value) for k, value in enumerate(lam)]
