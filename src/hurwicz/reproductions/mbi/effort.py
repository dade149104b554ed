"""C.11 and C.12: agents to whom time is a cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray
from hurwicz.reproductions.claim import Plot
from hurwicz.reproductions.mbi.claim import Claim, Context, Experiment, compare

_C11_STEP = 0.05
_RHOS = (1.0, 0.1, 0.01, 0.001)


def satisficing_time(rho: float, *, start: float = 10.0, weight: float = 0.1, step: float = _C11_STEP) -> int:
    """T* of C.11 in closed form: the first T at which one more step gains at most rho.

    With x2 = Y the price is -2 x and a step goes from x to q x, q = 1 - 2 eta (1 + lambda). At that price it earns 2 (1 - q) x² and saves
    lambda (1 - q²) x² of cost; the agent stops once (2 (1 - q) + lambda (1 - q²)) q^(2T) x0² <= rho.
    """
    q = 1.0 - 2.0 * step * (1.0 + weight)
    first = (2.0 * (1.0 - q) + weight * (1.0 - q**2)) * start**2
    if first <= rho:
        return 0
    return 1 if q == 0.0 else math.ceil(math.log(first / rho) / (-2.0 * math.log(abs(q))))


def c11(context: Context) -> tuple[Sequence[Claim], Sequence[Plot]]:  # noqa: ARG001
    """x2 = 2 held, Y = 2, agent 1 from 10 with a cost of rho a step."""
    from hurwicz.prices import DeclaredAgent, PriceGraph, satisfice
    from hurwicz.valuations import Quadratic

    graph = PriceGraph()
    graph.source("x2", 2.0)
    graph.source("target", 2.0)
    graph.agent("1")
    graph.loss("miss", lambda x, x2, target: (x + x2 - target) ** 2, inputs=["1", "x2", "target"])
    market, agent = graph.compile(), DeclaredAgent("1", Quadratic(), 0.1)
    claims = []
    for rho in _RHOS:
        run = satisfice(market, [agent], rho, step=_C11_STEP, max_steps=1000, start={"1": 10.0})
        wanted = satisficing_time(rho)
        q = 1.0 - 2.0 * _C11_STEP * 1.1
        claims.append(
            compare(
                "C.11",
                f"steps T* of an agent whose step costs rho = {rho:g}",
                ours=float(run.value.effort["1"]),
                paper=None,
                truth=float(wanted),
                note=f"eta = {_C11_STEP:g}, start 10. The agent stops by itself where a step gains no more than it costs; loss left on "
                "the table "
                f"{run.value.residual_loss:.3g} (closed form {1.1 * (10.0 * q**wanted) ** 2:.3g}). The paper sets the number of steps "
                "by hand for each rho, so that it has no T* to compare with.",
            )
        )
    return claims, []


def drifting_responses(drift: float, *, rounds: int, step: float, weight: float, target: float) -> Float64[FloatArray, "2"]:
    """C.12 as the paper runs it: gradient responses while agent 1's cost k T x1² grows with the round T = 1, 2, ..."""
    from hurwicz.prices import DeclaredAgent, Offer
    from hurwicz.reproductions.mbi.markets import aggregate_market
    from hurwicz.valuations import Quadratic

    market, data = aggregate_market(("1", "2")), {"target": target}
    second = DeclaredAgent("2", Quadratic(), weight)
    x = {"1": np.zeros(()), "2": np.zeros(())}
    for t in range(1, rounds + 1):
        first = DeclaredAgent("1", Quadratic(), weight + drift * t)
        prices = market.prices(x, data)
        x = {agent.name: agent.respond(Offer(prices[agent.name], anchor=x[agent.name], step=step)) for agent in (first, second)}
    return np.array([float(x["1"]), float(x["2"])])


def drift_by_recursion(drift: float, *, rounds: int, step: float, weight: float, target: float) -> Float64[FloatArray, "2"]:
    """The same as plain matrix products: the second route."""
    x = np.zeros(2)
    for t in range(1, rounds + 1):
        hessian = 2.0 * (np.ones((2, 2)) + np.diag([weight + drift * t, weight]))
        x = x - step * (hessian @ x - 2.0 * target)
    return x


def c12(context: Context) -> tuple[Sequence[Claim], Sequence[Plot]]:
    """Time costs agent 1 k T x1²."""
    from hurwicz.prices import DeclaredAgent, coordinate
    from hurwicz.reproductions.mbi.markets import aggregate_market
    from hurwicz.valuations import Quadratic

    drift, rounds, weight, target = 5e-5, 5000, 0.1, 2.0
    recipe: dict[str, Any] = {"rounds": rounds, "step": 0.05, "weight": weight, "target": target}

    def loss(x: Float64[FloatArray, "2"]) -> float:
        return float((x.sum() - target) ** 2 + weight * (x @ x))

    context.say("five thousand responses under a growing cost")
    moving, check = drifting_responses(drift, **recipe), drift_by_recursion(drift, **recipe)
    market, data = aggregate_market(("1", "2")), {"target": target}
    still = coordinate(
        market,
        [DeclaredAgent("1", Quadratic(), weight + drift * rounds), DeclaredAgent("2", Quadratic(), weight)],
        data=data,
        tol=1e-12,
    ).value.actions
    rest = np.array([float(still["1"]), float(still["2"])])
    hessian = 2.0 * (np.ones((2, 2)) + np.diag([weight + drift * rounds, weight]))
    exact: FloatArray = np.asarray(np.linalg.solve(hessian, [2.0 * target, 2.0 * target]))
    patient = coordinate(market, [DeclaredAgent(name, Quadratic(), weight) for name in ("1", "2")], data=data, tol=1e-12).value.actions
    free = np.array([float(patient["1"]), float(patient["2"])])
    words = "L counts (x1 + x2 - Y)² + lambda |x|², without the time cost."
    return [
        compare(
            "C.12",
            "action of agent 1 after 5000 rounds",
            ours=float(moving[0]),
            paper=0.4143,
            truth=float(check[0]),
            relative=2e-4,
            note=f"The paper's recipe: the cost k T x1² grows with every round. Agent 2: {moving[1]:.6f}, the paper's 1.4412. Truth: "
            "the same recursion as matrix products.",
        ),
        compare(
            "C.12",
            "loss after 5000 rounds",
            ours=loss(moving),
            paper=0.245752,
            truth=loss(check),
            relative=1e-5,
            note=f"{words} The responses chase a cost that moves, and lag about a hundred rounds behind it.",
        ),
        compare(
            "C.12",
            "loss at rest with the cost of round 5000",
            ours=loss(rest),
            paper=0.245752,
            truth=loss(exact),
            relative=1e-5,
            note=f"Where agents come to rest if T stays at 5000: x = ({rest[0]:.6f}, {rest[1]:.6f}). The paper gives the moving run's "
            "figure for it.",
        ),
        compare(
            "C.12",
            "loss without the time cost",
            ours=loss(free),
            paper=0.190476,
            truth=target**2 / (1.0 + 2.0 / weight),
            relative=1e-5,
            note="Two patient agents; truth: Y² / (1 + sum 1/lambda).",
        ),
    ], []


EFFORT = (
    Experiment(
        "C.11",
        "A cost of time, and when to stop",
        "L = (x1 + x2 - 2)² + .1 x1² with x2 = 2 held; agent 1 starts from 10 and pays rho a step.",
        c11,
        1.0,
    ),
    Experiment(
        "C.12",
        "A cost that grows with time",
        "L = (x1 + x2 - 2)² + .1 (x1² + x2²); agent 1 also pays k T x1² in round T, k = 5e-5, eta = .05, 5000 rounds.",
        c12,
        3.0,
    ),
)
