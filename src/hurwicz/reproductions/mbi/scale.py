"""C.18: what one step costs as agents become many, with a step that is one; and ten thousand million agents run, not extrapolated."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from hurwicz.reproductions.claim import Plot
from hurwicz.reproductions.mbi.claim import Claim, Context, Experiment, compare
from hurwicz.reproductions.mbi.instances import Aggregate
from hurwicz.reproductions.mbi.paths import gradient_path
from hurwicz.reproductions.mbi.plots import Line, lines

_STEPS = 500
_PRINTED = {10**3: 0.0063, 10**4: 0.0500, 10**5: 0.4713, 10**6: 4.9460}  # seconds for 500 mock steps on an Apple M4
_BEYOND = 10**7
_LAMBDA = 0.1


def step_seconds(agents: int, *, steps: int = _STEPS, repeats: int = 3) -> float:
    """Seconds for ``steps`` gradient responses of ``agents`` agents: least of ``repeats``, each measured on at most 1e8 agent-steps."""
    from hurwicz.prices.populations import ArrayPopulation

    population = ArrayPopulation(np.full(agents, _LAMBDA), lower=0.0)
    x = np.full(agents, 0.5)
    step = 0.5 / (agents + _LAMBDA)
    target = 0.1 * agents
    total = population.gradient_step(x, 0.0, 0.0)
    timed = min(steps, max(10, 10**8 // agents))
    best = np.inf
    for _ in range(repeats):
        began = time.perf_counter()
        for _ in range(timed):
            total = population.gradient_step(x, -2.0 * (total - target), step)
        best = min(best, time.perf_counter() - began)
    return float(best * steps / timed)


def rounds_of(agents: int, *, gap: float = 1e-3) -> tuple[int, int]:
    """Rounds to L <= (1 + gap) L* at half the longest stable step from a fixed spread start: (gradient responses, price Newton)."""
    from hurwicz.prices.populations import ArrayPopulation, QuadraticLoss, price_newton

    problem = Aggregate(np.full(agents, 1.0), 0.1 * agents)
    start = np.linspace(0.0, 2.0, agents)
    level = (1.0 + gap) * problem.optimal_loss()
    needed = gradient_path(problem, start, step=0.5 * problem.step_limit(), rounds=60 * agents).rounds_to(level)
    found = price_newton(ArrayPopulation(problem.curvature, workers=1), QuadraticLoss(target=problem.target))
    return needed if needed is not None else 60 * agents, int(found.stats["rounds"])


def slope(x: Sequence[float | int], y: Sequence[float | int]) -> float:
    """Exponent k of y ~ x^k by least squares in logarithms."""
    return float(np.polyfit(np.log(np.asarray(x)), np.log(np.asarray(y)), 1)[0])


def c18(context: Context) -> tuple[Sequence[Claim], Sequence[Plot]]:
    """Cost per step against N, rounds against N, and the largest run."""
    claims = []
    measured: dict[int, float] = {}
    for agents in (*_PRINTED, _BEYOND):
        context.say(f"{_STEPS} steps of {agents:,} agents")
        measured[agents] = step_seconds(agents)
        claims.append(
            compare(
                "C.18",
                f"seconds for {_STEPS} steps, N = {agents:,}",
                ours=measured[agents],
                paper=_PRINTED.get(agents),
                truth=None,
                comparable=False,
                note="A whole gradient response: price from the sum, every agent's marginal cost, update, clamp, new sum in float64. "
                "The paper's step has "
                "no gradient in it (a mean, a constant and Gaussian noise, the noise being most of its time) and ran on another "
                "machine, so that "
                "agreement would mean nothing. A time has no true value.",
            )
        )
    large = [n for n in measured if n >= 10**5]
    claims.append(
        compare(
            "C.18",
            "exponent k of the cost of a step, N^k",
            ours=slope(large, [measured[n] for n in large]),
            paper=slope(list(_PRINTED), list(_PRINTED.values())),
            truth=1.0,
            absolute=0.25,
            note="Fitted to N >= 1e5, where a step is longer than the call that starts it; the paper's exponent is fitted to its four "
            "times.",
        )
    )
    sizes = (10, 100, 1000)
    context.say("rounds against N")
    counts = [rounds_of(n) for n in sizes]
    claims.append(
        compare(
            "C.18",
            "exponent k of the cost to convergence, N^k, gradient responses",
            ours=1.0 + slope(sizes, [c[0] for c in counts]),
            paper=1.0,
            truth=2.0,
            absolute=0.1,
            note=f"lambda = 1, rounds to +.1 % for N = {', '.join(map(str, sizes))}: {', '.join(str(c[0]) for c in counts)}; the "
            "longest stable step is 1/(N + lambda), so "
            "that rounds grow with N and O(N) a step is O(N²) in all. The paper says O(N). "
            f"Price Newton needs {', '.join(str(c[1]) for c in counts)} rounds: O(N) in all.",
        )
    )
    claims.append(_giant(context))
    plot = Plot(
        "C.18: seconds for 500 steps. The paper's times are of a step without a gradient, on an Apple M4.",
        lambda: lines(
            [
                Line("a real gradient step, this machine", list(measured), list(measured.values()), "o-"),
                Line("the paper's mock step", list(_PRINTED), list(_PRINTED.values()), "s--"),
            ],
            xlabel="agents N",
            ylabel="seconds for 500 steps",
            log="xy",
        ),
    )
    return claims, [plot]


def _giant(context: Context) -> Claim:
    """Heterogeneous agents with capacities, types generated on the way, cleared and checked against the integral they must equal."""
    from scipy.optimize import brentq

    from hurwicz.prices.populations import GeneratedPopulation, QuadraticLoss, UniformTypes, price_newton

    agents = context.agents
    types = UniformTypes(curvature=(0.5, 1.5), capacity=(0.2, 2.0))
    target = 0.5 * agents
    context.say(f"{agents:,} agents")
    began = time.perf_counter()
    found = price_newton(GeneratedPopulation(agents, types, seed=context.seed), QuadraticLoss(target=target), tolerance=1e-9)
    seconds = time.perf_counter() - began
    truth = float(brentq(lambda p: p + 2.0 * (agents * types.mean_response(p) - target), 0.0, 10.0, xtol=1e-14))
    return compare(
        "C.18",
        f"price that clears {agents:,} agents with capacities",
        ours=found.value.price,
        paper=None,
        truth=truth,
        note=f"lambda in U[.5, 1.5], capacity in U[.2, 2], Y = N/2, types generated in bounded memory; {found.stats['rounds']} passes "
        "over all agents, "
        f"{seconds:.1f} s, to a relative 1e-9; truth: the integral over types. The paper extrapolates to 1e10 agents from its four "
        "times; here they are run.",
    )


SCALE = (
    Experiment(
        "C.18",
        "Cost per step against the number of agents",
        "One gradient response of N agents, N = 1e3 to 1e7; rounds to convergence against N; the largest population.",
        c18,
        45.0,
    ),
)
