"""Table 2 of the paper in its form: time and memory of one gradient against the number of rounds."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hurwicz._foundation import float64_scope
from hurwicz.designers import auction_problem
from hurwicz.meanfield import TableRule, auction_setting
from hurwicz.reproductions.amid.claim import Claim, Experiment
from hurwicz.reproductions.claim import Context, Plot

PAPERS = {5: (0.09, 560, "2760"), 10: (0.21, 586, "8746"), 25: (0.67, 826, "16960"), 50: (1.72, 1076, "out of memory")}
"""H → seconds and MiB of the paper's method, MiB of plain backpropagation; one H100."""


@dataclass(frozen=True)
class GradientCost:
    """One gradient of A1's revenue.

    Attributes:
        seconds: CPU time, once compiled; ``None`` where it was not run.
        mebibytes: working memory of the compiled program, arguments and results not counted.
    """

    seconds: float | None
    mebibytes: float


def gradient_cost(rounds: int, way: str, *, grid: int = 100, iterations: int = 400, run: bool = True) -> GradientCost:
    """Compile the gradient of A1's revenue in a payment and quantity table, ask the compiler for its memory, and time it.

    Args:
        rounds: H.
        way: of :class:`hurwicz.designers.EquilibriumMap`.
        grid: values and bids.
        iterations: T.
        run: whether to run it as well.
    """
    import jax

    with float64_scope():
        auction, rule = auction_setting("A1", grid=grid, rounds=rounds).auction, TableRule(grid)
        problem = auction_problem(auction, rule, iterations=iterations)
        settle = problem.equilibrium(way)
        weights = rule.init(jax.random.key(0), rounds)
        compiled = jax.jit(jax.grad(lambda theta: problem.objective(theta, settle(problem.game, theta)))).lower(weights).compile()
        planned: Any = compiled.memory_analysis()
        size = planned.temp_size_in_bytes / 2**20
        if not run:
            return GradientCost(None, size)
        began = time.process_time()
        for part in jax.tree.leaves(compiled(weights)):
            part.block_until_ready()
        return GradientCost(time.process_time() - began, size)


def _run(context: Context) -> tuple[Sequence[Claim], Sequence[Plot]]:
    return rows_of((10,), context), []


def rows_of(horizons: Sequence[int], context: Context) -> list[Claim]:
    """Rows of the table for some H.

    Args:
        horizons: among those of the paper's table.
        context: whom to tell.
    """
    machine = f"{platform.machine()}, {os.cpu_count()} cores, no accelerator asked for"
    rows: list[Claim] = []
    for k, rounds in enumerate(horizons):
        context.say(f"compiling the gradient of H = {rounds}, every iterate kept", k / len(horizons))
        unrolled = gradient_cost(rounds, "unrolled", run=False)
        context.say(f"compiling the gradient of H = {rounds}, every 20th iterate kept", (k + 0.4) / len(horizons))
        checkpointed = gradient_cost(rounds, "checkpointed")
        seconds, most, plain = PAPERS[rounds]
        rows += [
            Claim(
                "table2",
                f"CPU seconds of one gradient, H = {rounds}, checkpointed",
                checkpointed.seconds,
                seconds,
                None,
                None,
                f"A1, grid 100, T = 400, float64, {machine}. The paper's is of one H100: nothing to compare.",
            ),
            Claim(
                "table2",
                f"MiB of one gradient, H = {rounds}, checkpointed",
                checkpointed.mebibytes,
                most,
                None,
                checkpointed.mebibytes <= most,
                "Working memory that the compiler plans, without the process's own; the paper's is what its device held. Agrees: no more.",
            ),
            Claim(
                "table2",
                f"MiB of one gradient, H = {rounds}, unrolled",
                unrolled.mebibytes,
                plain,
                None,
                unrolled.mebibytes > 4.0 * checkpointed.mebibytes,
                "Every iterate is kept. The paper's is plain backpropagation of its own code. Agrees: more than four times checkpointed.",
            ),
        ]
    return rows


MEMORY = (
    Experiment(
        "table2",
        "Memory and time of a gradient",
        "One gradient of A1's revenue through 400 iterations of mirror descent, with every iterate kept and with every 20th.",
        _run,
        25.0,
    ),
)
