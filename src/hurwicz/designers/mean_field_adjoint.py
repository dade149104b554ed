"""Ascend the gradient through the equilibrium: adjoint mean-field incentive design."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import optax

from hurwicz._foundation import InputError, Solution, float64_scope
from hurwicz.designers.derivative_free import normal_like
from hurwicz.designers.differentiability import check_traceable, explain_no_slope
from hurwicz.designers.mean_field_problem import DesignProblem, MeanFieldDesign, Theta, value_of
from hurwicz.designers.optimisers import fingerprint, refused_by_name, stepper
from hurwicz.designers.searching import Move, Progress, Visited, first_theta, run_search


def meanfield_adjoint(
    problem: DesignProblem,
    *,
    differentiate: str = "checkpointed",
    optimiser: optax.GradientTransformation | None = None,
    steps: int = 200,
    seed: int = 0,
    start: Theta | None = None,
    entropy: Callable[[int], float] | None = None,
    smoothing: float = 0.0,
    samples: int = 2,
    tolerance: float = 0.0,
    checkpoint: Path | None = None,
    every: int = 10,
    resume: bool = False,
    progress: Progress | None = None,
    visited: Visited | None = None,
) -> Solution[MeanFieldDesign]:
    """Make g(theta, L*(theta)) large by its gradient through mirror descent; the best iterate is kept.

    Args:
        problem: what is designed.
        differentiate: ``"unrolled"``, ``"checkpointed"`` or ``"implicit"``, see :class:`EquilibriumMap`.
        optimiser: any optax optimiser; Adam with a step that decays from 0.01 along a cosine if omitted. Those that look at the
            loss, as ``optax.lbfgs()``, ``optax.polyak_sgd(f_min=...)`` and ``optax.contrib.reduce_on_plateau()``, see its negative: a
            Polyak step goes towards ``f_min``, minus the most that the objective can be.
        steps: gradients, at least 1.
        seed: of the start.
        start: the first theta; the problem's own start if omitted.
        entropy: step → the weight of the entropy that the gradient is computed with, the problem's own tau if omitted. A schedule that
            begins high and ends at tau, such as :func:`falling_entropy`, crosses the steps that a fine tau puts into the objective;
            values are always measured at tau.
        smoothing: r: the gradient is averaged over theta + r u and theta - r u, u standard normal; 0 for the gradient at theta itself.
        samples: u a step, where there is smoothing.
        tolerance: norm of the gradient at which to stop; 0 for never.
        checkpoint: file to keep the run in; written whole or not at all.
        every: steps between two checkpoints.
        resume: go on from the checkpoint where there is one; the result is that of an uninterrupted run, bit for bit. The optimiser must be
            made in the same way, see :func:`fingerprint`.
        progress: called with (step, steps, best objective so far).
        visited: called with (step, theta) for every theta whose gradient was taken.

    Returns:
        The design at its equilibrium; ``stats["interrupted"]`` says whether Ctrl-C ended it: the best so far is returned and kept.

    Raises:
        InputError: no steps, a checkpoint of another run, or a function that JAX cannot differentiate: the message names it.
        KeyboardInterrupt: Ctrl-C before a first step was made, or again while the best so far was evaluated.
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
    if not (math.isfinite(smoothing) and smoothing >= 0.0) or samples < 1:
        raise InputError(f"{problem.name}: expected smoothing >= 0 and samples >= 1, got {smoothing} and {samples}")
    if steps < 1:
        raise InputError(f"{problem.name}: expected steps >= 1, got {steps}")
    chosen = optax.adam(optax.cosine_decay_schedule(1e-2, steps)) if optimiser is None else optimiser
    described = f"Adam, cosine over {steps} steps" if optimiser is None else "an optimiser of one's own"
    if optimiser is not None and checkpoint is not None:
        with float64_scope(), refused_by_name(problem):
            start = first_theta(problem, seed, start)
            described += f", {fingerprint(optimiser, start)}"
    if smoothing:
        described += f", smoothed by {smoothing:g} over {samples} samples"
    if entropy is not None:
        described += ", entropy by a schedule"
    search = _Adjoint(differentiate, chosen, described, entropy, smoothing, samples)
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
        visited=visited,
    )


def falling_entropy(start: float, end: float, *, steps: int, settled: float = 0.15) -> Callable[[int], float]:
    """A schedule for ``entropy``: tau_k = start (end / start)^(k / m) for k < m = (1 - settled) steps, then ``end``.

    At a fine tau on a fine grid an objective is a staircase: its gradient is right and leads nowhere. At a high tau it is smooth, with
    another optimum; a tau that falls leads from there to the wanted one.

    Args:
        start: first weight of the entropy, in units of reward.
        end: last weight; the problem's own tau, as a rule.
        steps: of the search.
        settled: part of the steps that are made at ``end``, in [0, 1).

    Raises:
        InputError: a weight that is not above 0, no steps, or a part outside [0, 1).

    Example:
        >>> schedule = falling_entropy(0.05, 0.001, steps=100)
        >>> schedule(0), schedule(85), schedule(99)
        (0.05, 0.001, 0.001)
    """
    if not (math.isfinite(start) and start > 0.0 and math.isfinite(end) and end > 0.0):
        raise InputError(f"falling entropy: expected weights of entropy > 0, got {start} and {end}")
    if steps < 1 or not 0.0 <= settled < 1.0:
        raise InputError(f"falling entropy: expected steps >= 1 and settled in [0, 1), got {steps} and {settled}")
    falling = (1.0 - settled) * steps
    return lambda k: end if k >= falling else start * (end / start) ** (k / falling)


@dataclass(frozen=True)
class _Adjoint:
    differentiate: str
    optimiser: optax.GradientTransformation
    described: str
    entropy: Callable[[int], float] | None
    smoothing: float
    samples: int

    @property
    def name(self) -> str:
        return f"adjoint ({self.differentiate}; {self.described})"

    def init(self, problem: DesignProblem, theta: Theta) -> Any:
        problem.equilibrium(self.differentiate)  # refuses an unknown way before anything is computed
        check_traceable(problem, theta)
        return self.optimiser.init(theta)

    def step(self, problem: DesignProblem, theta: Theta, state: Any, key: Any, k: int) -> Move:
        tau = problem.tau if self.entropy is None else float(self.entropy(k))
        if not (math.isfinite(tau) and tau > 0.0):
            raise InputError(f"{problem.name}: expected a weight of entropy > 0 from the schedule, got {tau} at step {k}")
        here = value_and_gradient(problem, self.differentiate)
        if self.smoothing:
            (there, slope), value = self._smoothed(here, theta, tau, key), value_of(problem)(theta)
        else:
            there, slope = here(theta, tau)
            value = there if tau == problem.tau else value_of(problem)(theta)
        norm = optax.tree.norm(slope)
        if k == 0 and float(norm) == 0.0:
            explain_no_slope(problem, theta)
        moved, after = _stepper(problem, self.differentiate, self.optimiser)(slope, state, theta, there, tau)
        return Move(moved, after, theta, value, norm)

    def _smoothed(self, here: Callable[..., Any], theta: Theta, tau: float, key: Any) -> tuple[Any, Theta]:
        total: tuple[Any, Theta] = (jnp.zeros(()), jax.tree.map(jnp.zeros_like, theta))
        for one in jax.random.split(key, self.samples):
            u = normal_like(one, theta)
            for sign in (1.0, -1.0):
                found = here(jax.tree.map(lambda t, d, sign=sign: t + sign * self.smoothing * d, theta, u), tau)
                total = jax.tree.map(jnp.add, total, found)
        return total[0] / (2.0 * self.samples), jax.tree.map(lambda t: t / (2.0 * self.samples), total[1])


@functools.lru_cache(maxsize=16)
def _stepper(problem: DesignProblem, differentiate: str, optimiser: optax.GradientTransformation) -> Callable[..., tuple[Any, Any]]:
    return stepper(problem, optimiser, value_and_gradient(problem, differentiate))


@functools.lru_cache(maxsize=64)
def value_and_gradient(problem: DesignProblem, differentiate: str) -> Callable[..., Any]:
    """Value and gradient: (theta, tau) → (objective, its gradient in theta), compiled once a problem, whatever tau is."""
    equilibrium = problem.equilibrium(differentiate)

    def worth(theta: Theta, tau: Any) -> Any:
        return problem.objective(theta, equilibrium(problem.game, theta, tau))

    return jax.jit(jax.value_and_grad(worth))
