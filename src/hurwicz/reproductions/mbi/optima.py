"""C.1, C.2, C.3 and C.8: convex instances with a closed form."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray
from hurwicz.reproductions.claim import Plot
from hurwicz.reproductions.mbi.claim import Claim, Context, Experiment, compare
from hurwicz.reproductions.mbi.instances import C2, C3, Aggregate
from hurwicz.reproductions.mbi.markets import aggregate_market, declared, population, population_market, vector
from hurwicz.reproductions.mbi.paths import gradient_path
from hurwicz.reproductions.mbi.plots import Line, lines


def c1(context: Context) -> tuple[Sequence[Claim], Sequence[Plot]]:
    """Two agents, one without a cost: (x1 + x2 - 2)² + .5 x1²."""
    from hurwicz.prices import Anderson, DeclaredAgent, GradientResponse, coordinate, total_loss
    from hurwicz.valuations import Quadratic, ZeroCost

    problem = Aggregate(np.array([0.5, 0.0]), 2.0)
    data = {"target": problem.target}
    market = aggregate_market(problem.names)
    agents = [DeclaredAgent("1", Quadratic(), 0.5), DeclaredAgent("2", ZeroCost(), 0.0)]
    x, steps = np.array([1.0, -1.0]), np.array([0.05, 0.1])
    losses = [problem.loss(x)]
    for _ in range(200):
        prices = market.prices({"1": x[0], "2": x[1]}, data)
        x = x + steps * (vector(problem, prices) - 2.0 * problem.curvature * x)
        losses.append(problem.loss(x))
    # Agent 2 has no cost: a plain price has no best answer, a price with an anchor does.
    best = coordinate(market, agents, data=data, dynamics=Anderson(), tol=1e-12, start={"1": 1.0, "2": -1.0})
    starts = np.random.default_rng(context.seed).uniform(-5, 5, (50, 2))
    context.say("fifty random starts")
    ends = [
        vector(problem, coordinate(market, agents, data=data, dynamics=Anderson(), tol=1e-10, start={"1": a, "2": b}).value.actions)
        for a, b in starts
    ]
    far = starts[int(np.argmax(np.linalg.norm(starts - [0.0, 2.0], axis=1)))]
    short = coordinate(
        market, agents, data=data, dynamics=GradientResponse(0.05), start={"1": far[0], "2": far[1]}, max_rounds=200, raise_on_failure=False
    )
    left = total_loss(market, short.value.actions, agents, data=data)
    spread = float(np.max(np.abs(np.array(ends) - [0.0, 2.0])))
    claims = [
        compare(
            "C.1",
            "loss after 200 gradient responses from (1, -1)",
            ours=losses[199],
            paper=4.38e-6,
            truth=0.0,
            relative=1e-2,
            note="Steps eta = .05 for agent 1 and .1 for agent 2, and the loss before the last step: these give the paper's figure. "
            "It is where the run stops, not the optimum, which is 0 at (0, 2).",
        ),
        compare(
            "C.1",
            "loss at the answer of Anderson-accelerated responses",
            ours=total_loss(market, best.value.actions, agents, data=data),
            paper=4.38e-6,
            truth=0.0,
            absolute=1e-5,
            note=f"{best.value.rounds} price rounds; status: {best.status.value}.",
        ),
        compare(
            "C.1",
            "farthest end from (0, 2) over 50 random starts in [-5, 5]², Anderson",
            ours=spread,
            paper=None,
            truth=0.0,
            note=f"One optimum, whatever the start. The paper's gradient responses, eta = .05 and 200 rounds, leave L = {left:.1e} "
            "from the farthest of these starts; "
            "the paper says that all of them converge and gives no distance.",
        ),
    ]
    return claims, []


def c2(context: Context) -> tuple[Sequence[Claim], Sequence[Plot]]:
    """A hundred equal agents."""
    from hurwicz.prices import coordinate, total_loss

    market, agents, data = population_market(100), [population(C2)], {"target": C2.target}
    best = C2.optimal_loss()
    newton = coordinate(market, agents, data=data, tol=1e-12)
    context.say("a hundred thousand gradient responses")
    path = gradient_path(C2, np.random.default_rng(context.seed).uniform(0, 2, 100), step=0.001, rounds=100_000, lower=0.0)
    near = path.rounds_to(1.001 * best)
    claims = [
        compare(
            "C.2",
            "action of each agent",
            ours=float(np.mean(newton.value.actions["agents"])),
            paper=0.0999000999,
            truth=float(C2.optimum()[0]),
            relative=1e-6,
            note=f"{newton.value.rounds} price rounds, status {newton.status.value}; the largest difference between two agents is "
            f"{float(np.ptp(newton.value.actions['agents'])):.0e}. Truth: Y / (N + lambda).",
        ),
        compare(
            "C.2",
            "loss by the default dynamics",
            ours=total_loss(market, newton.value.actions, agents, data=data),
            paper=0.0999000999,
            truth=best,
            relative=1e-6,
            note=f"Price Newton on the aggregate, {newton.value.rounds} rounds.",
        ),
        compare(
            "C.2",
            "loss after 100,000 gradient responses",
            ours=float(path.losses[-1]),
            paper=0.0999000999,
            truth=best,
            relative=1e-6,
            note=f"The paper's recipe: eta = .001, start U[0, 2], actions clamped at 0; +.1 % after {near:,} rounds.",
        ),
    ]
    rounds = [(offers, _excess(market, agents, data, answers, best)) for offers, answers in _answers(newton.value.transcript)]
    plot = Plot(
        "C.2: excess loss over L* against rounds, gradient responses as in the paper and price Newton.",
        lambda: lines(
            [
                Line("gradient responses, eta = .001", np.arange(1, path.losses.size), np.maximum(path.losses[1:] - best, 1e-17)),
                Line("price Newton", [r for r, _ in rounds], [max(e, 1e-17) for _, e in rounds], "o-"),
            ],
            xlabel="round",
            ylabel="L - L*",
            log="xy",
        ),
    )
    return claims, [plot]


def _answers(transcript: object) -> list[tuple[int, dict[str, Float64[FloatArray, "..."]]]]:
    rounds = transcript.rounds  # type: ignore[attr-defined]
    return [(k + 1, {name: answer for name, (_, answer) in row.items()}) for k, row in enumerate(rounds)]


def _excess(
    market: object, agents: Sequence[object], data: dict[str, float], actions: dict[str, Float64[FloatArray, "..."]], best: float
) -> float:
    from hurwicz.prices import total_loss

    return float(total_loss(market, actions, agents, data=data)) - best  # type: ignore[arg-type]


def c3(context: Context) -> tuple[Sequence[Claim], Sequence[Plot]]:  # noqa: ARG001
    """Five agents with costs from .1 to 10."""
    from hurwicz.prices import coordinate, total_loss

    market, agents, data = aggregate_market(C3.names), declared(C3), {"target": C3.target}
    found = coordinate(market, agents, data=data, tol=1e-12)
    x = vector(C3, found.value.actions)
    return [
        compare(
            "C.3",
            "loss",
            ours=total_loss(market, found.value.actions, agents, data=data),
            paper=6.993006993,
            truth=C3.optimal_loss(),
            relative=1e-6,
            note=f"{found.value.rounds} price rounds, status {found.status.value}. Truth: Y² / (1 + sum 1/lambda).",
        ),
        compare(
            "C.3",
            "largest error of an action",
            ours=float(np.max(np.abs(x - C3.optimum()))),
            paper=None,
            truth=0.0,
            note=f"Actions {', '.join(f'{a:.6g}' for a in x)}; truth: Y / (lambda_i (1 + sum 1/lambda)).",
        ),
    ], []


def c8(context: Context) -> tuple[Sequence[Claim], Sequence[Plot]]:  # noqa: ARG001
    """The planner assumes 1.1 lambda and its plan is carried out."""
    from hurwicz.prices import coordinate, total_loss

    market, data = population_market(100), {"target": C2.target}
    assumed = population(Aggregate(1.1 * C2.curvature, C2.target))
    plan = coordinate(market, [assumed], data=data, tol=1e-12)
    x = C2.target / (100 + 0.11)
    return [
        compare(
            "C.8",
            "loss of the plan at the true costs",
            ours=total_loss(market, plan.value.actions, [population(C2)], data=data),
            paper=0.0999010967,
            truth=C2.loss(np.full(100, x)),
            relative=1e-5,
            note="Planned with lambda = .11, paid for with .1: 100 (.11² + 10) / 100.11². The paper's last digits are float32 residue, "
            "and the "
            f"equilibrium loss that it sets beside it disagrees with its own code; the true optimum is {C2.optimal_loss():.10f}.",
        )
    ], []


OPTIMA = (
    Experiment("C.1", "Two agents, fifty starts", "L = (x1 + x2 - 2)² + .5 x1²; start (1, -1), and fifty starts in [-5, 5]².", c1, 4.0),
    Experiment("C.2", "A hundred equal agents", "L = (sum x - 10)² + .1 sum x², N = 100, x >= 0.", c2, 3.0),
    Experiment("C.3", "Five unequal agents", "L = (sum x - 10)² + sum lambda_i x_i², lambda = .1, .5, 1, 5, 10.", c3, 1.0),
    Experiment("C.8", "A planner that assumes 1.1 lambda", "The problem of C.2; the planner plans with 1.1 lambda.", c8, 1.0),
)
