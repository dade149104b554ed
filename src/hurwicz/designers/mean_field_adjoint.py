"""Ascend the gradient through the equilibrium: adjoint mean-field incentive design."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import optax  # type: ignore[import-untyped]

from hurwicz._foundation import Solution
from hurwicz.designers.mean_field_problem import DesignProblem, MeanFieldDesign, Theta
from hurwicz.designers.searching import Move, Progress, run_search


def meanfield_adjoint(
    problem: DesignProblem,
    *,
    differentiate: str = "checkpointed",
    optimiser: optax.GradientTransformation | None = None,
    steps: int = 200,
    seed: int = 0,
    start: Theta | None = None,
    tolerance: float = 0.0,
    checkpoint: Path | None = None,
    every: int = 10,
    resume: bool = False,
    progress: Progress | None = None,
) -> Solution[MeanFieldDesign]:
    """Make g(theta, L*(theta)) large by its gradient through mirror descent; the best iterate is kept.

    Args:
        problem: what is designed.
        differentiate: ``"unrolled"``, ``"checkpointed"`` or ``"implicit"``, see :class:`EquilibriumMap`.
        optimiser: any optax optimiser; Adam with a step that decays from 0.01 along a cosine if omitted.
        steps: gradients, at least 1.
        seed: of the start.
        start: the first theta; the problem's own start if omitted.
        tolerance: norm of the gradient at which to stop; 0 for never.
        checkpoint: file to keep the run in; written whole or not at all.
        every: steps between two checkpoints.
        resume: go on from the checkpoint where there is one; the result is that of an uninterrupted run, bit for bit.
        progress: called with (step, steps, best objective so far).

    Returns:
        The design at its equilibrium; ``stats["interrupted"]`` says whether Ctrl-C ended it: the best so far is returned and kept.

    Raises:
        InputError: no steps, or a checkpoint of another run.
        NotFiniteError: NaN or infinity, with the round and state where it first happened.

    Example:
        >>> from hurwicz.designers import auction_problem
        >>> from hurwicz.meanfield import BatchedAuction, TableRule
        >>> problem = auction_problem(BatchedAuction(rounds=1, supply=0.8, grid=5), TableRule(5), tau=0.05, iterations=30)
        >>> found = meanfield_adjoint(problem, steps=3)
        >>> bool(found.value.objective >= found.value.history[0])
        True

    Source: Corecco et al. (arXiv 2510.21442), algorithm 1 (AMID).
    """
    chosen = optax.adam(optax.cosine_decay_schedule(1e-2, steps)) if optimiser is None else optimiser
    search = _Adjoint(differentiate, chosen, f"Adam, cosine over {steps} steps" if optimiser is None else "an optimiser of one's own")
    return run_search(
        problem,
        search,
        steps=steps,
        seed=seed,
        start=start,
        tolerance=tolerance,
        checkpoint=checkpoint,
        every=every,
        resume=resume,
        progress=progress,
    )


@dataclass(frozen=True)
class _Adjoint:
    differentiate: str
    optimiser: optax.GradientTransformation
    described: str

    @property
    def name(self) -> str:
        return f"adjoint ({self.differentiate}; {self.described})"

    def init(self, problem: DesignProblem, theta: Theta) -> Any:
        problem.equilibrium(self.differentiate)
        return self.optimiser.init(theta)

    def step(self, problem: DesignProblem, theta: Theta, state: Any, key: Any, k: int) -> Move:
        del key, k
        value, slope, norm = value_and_gradient(problem, self.differentiate)(theta)
        updates, after = self.optimiser.update(jax.tree.map(jnp.negative, slope), state, theta)
        return Move(optax.apply_updates(theta, updates), after, theta, value, norm)


@functools.lru_cache(maxsize=64)
def value_and_gradient(problem: DesignProblem, differentiate: str) -> Callable[..., Any]:
    """Value, gradient and its norm: theta → (objective, its gradient, the gradient's norm), compiled once a problem."""
    equilibrium = problem.equilibrium(differentiate)

    def worth(theta: Theta) -> Any:
        return problem.objective(theta, equilibrium(problem.game, theta))

    def both(theta: Theta) -> Any:
        value, slope = jax.value_and_grad(worth)(theta)
        return value, slope, optax.tree.norm(slope)

    return jax.jit(both)
