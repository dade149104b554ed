"""Searches that only see values: two-point zeroth-order descent, and annealing. What a gradient through the equilibrium is measured by."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import optax

from hurwicz._foundation import InputError, Solution
from hurwicz.designers.mean_field_problem import DesignProblem, MeanFieldDesign, Theta, value_of
from hurwicz.designers.searching import Move, Progress, run_search

METHODS = ("sgd", "adam")


def zeroth_order(
    problem: DesignProblem,
    *,
    method: str = "adam",
    steps: int = 200,
    learning_rate: float = 1e-2,
    radius: float = 1e-2,
    directions: int = 1,
    seed: int = 0,
    start: Theta | None = None,
    checkpoint: Path | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> Solution[MeanFieldDesign]:
    """Two-point zeroth-order ascent: the slope along random directions, from two values each.

    g = mean over u of u (G(theta + r u) - G(theta - r u)) / (2 r), u standard normal.

    Args:
        problem: what is designed.
        method: ``"sgd"`` or ``"adam"``: who makes a step of g.
        steps: steps, at least 1; each computes twice ``directions`` equilibria.
        learning_rate: of the first step; it decays along a cosine.
        radius: r, in units of theta.
        directions: u a step.
        seed: of the start and of the directions.
        start: the first theta; the problem's own start if omitted.
        checkpoint: file to keep the run in.
        resume: go on from the checkpoint where there is one.
        progress: called with (step, steps, best objective so far).

    Returns:
        The best of all points that were measured, evaluated at its equilibrium.

    Raises:
        InputError: an unknown method, or sizes that are not above 0.
        NotFiniteError: NaN or infinity, with the round and state where it first happened.

    Example:
        >>> from hurwicz.designers import auction_problem
        >>> from hurwicz.meanfield import BatchedAuction, TableRule
        >>> problem = auction_problem(BatchedAuction(rounds=1, supply=0.8, grid=5), TableRule(5), tau=0.05, iterations=30)
        >>> zeroth_order(problem, steps=3).stats["steps"]
        3

    Source: Nesterov and Spokoiny, "Random gradient-free minimization of convex functions" (2017); the baselines of Corecco et al.
        (arXiv 2510.21442), section 5.
    """
    if method not in METHODS:
        raise InputError(f"{problem.name}: expected a method among {METHODS}, got {method!r}")
    if not (learning_rate > 0.0 and radius > 0.0) or directions < 1 or not all(map(math.isfinite, (learning_rate, radius))):
        raise InputError(
            f"{problem.name}: expected a learning rate and a radius > 0 and at least 1 direction, got {learning_rate}, {radius} and "
            f"{directions}"
        )
    if steps < 1:
        raise InputError(f"{problem.name}: expected steps >= 1, got {steps}")
    decay = optax.cosine_decay_schedule(learning_rate, steps)
    optimiser = optax.sgd(decay) if method == "sgd" else optax.adam(decay)
    described = f"two-point zeroth order ({method}, {steps} steps from {learning_rate:g}, radius {radius:g}, {directions} a step)"
    search = _TwoPoint(described, optimiser, radius, directions)
    return run_search(problem, search, steps=steps, seed=seed, start=start, checkpoint=checkpoint, resume=resume, progress=progress)


def annealing(
    problem: DesignProblem,
    *,
    steps: int = 400,
    scale: float = 0.3,
    temperature: float = 1e-3,
    seed: int = 0,
    start: Theta | None = None,
    checkpoint: Path | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> Solution[MeanFieldDesign]:
    """Simulated annealing by random perturbation of theta.

    theta' = theta + s_k u, u standard normal; accepted where G rises, else with probability exp((G' - G) / T_k); s_k and T_k fall along a
    cosine.

    Args:
        problem: what is designed.
        steps: equilibria computed, at least 1.
        scale: s_0, in units of theta.
        temperature: T_0, in units of the objective.
        seed: of the start and of the perturbations.
        start: the first theta; the problem's own start if omitted.
        checkpoint: file to keep the run in.
        resume: go on from the checkpoint where there is one.
        progress: called with (step, steps, best objective so far).

    Returns:
        The best of all points that were measured, evaluated at its equilibrium.

    Raises:
        InputError: a scale or temperature that is not above 0.
        NotFiniteError: NaN or infinity, with the round and state where it first happened.

    Source: Kirkpatrick, Gelatt and Vecchi (1983); a baseline of Corecco et al. (arXiv 2510.21442), section 5.
    """
    if not (math.isfinite(scale) and scale > 0.0 and math.isfinite(temperature) and temperature > 0.0):
        raise InputError(f"{problem.name}: expected a scale and a temperature > 0, got {scale} and {temperature}")
    search = _Annealing(f"annealing ({steps} steps, scale {scale:g}, temperature {temperature:g})", steps, scale, temperature)
    return run_search(problem, search, steps=steps, seed=seed, start=start, checkpoint=checkpoint, resume=resume, progress=progress)


@dataclass(frozen=True)
class _TwoPoint:
    name: str
    optimiser: optax.GradientTransformation
    radius: float
    directions: int

    def init(self, problem: DesignProblem, theta: Theta) -> Any:
        del problem
        return self.optimiser.init(theta)

    def step(self, problem: DesignProblem, theta: Theta, state: Any, key: Any, k: int) -> Move:
        del k
        value = value_of(problem)
        best, at = -jnp.inf, theta
        slope = jax.tree.map(jnp.zeros_like, theta)
        for one in jax.random.split(key, self.directions):
            u = normal_like(one, theta)
            up, down = (jax.tree.map(lambda t, d, sign=sign: t + sign * self.radius * d, theta, u) for sign in (1.0, -1.0))
            high, low = value(up), value(down)
            rise = (high - low) / (2.0 * self.radius * self.directions)
            slope = jax.tree.map(lambda s, d, rise=rise: s + rise * d, slope, u)
            for point, worth in ((up, high), (down, low)):
                # a NaN must not be passed over: it is reported, not out-compared
                if float(worth) > float(best) or not math.isfinite(float(worth)):
                    best, at = worth, point
        updates, after = self.optimiser.update(jax.tree.map(jnp.negative, slope), state, theta)
        return Move(optax.apply_updates(theta, updates), after, at, best, jnp.nan)


@dataclass(frozen=True)
class _Annealing:
    name: str
    steps: int
    scale: float
    temperature: float

    def init(self, problem: DesignProblem, theta: Theta) -> Any:
        return value_of(problem)(theta)

    def step(self, problem: DesignProblem, theta: Theta, state: Any, key: Any, k: int) -> Move:
        where, chance = jax.random.split(key)
        left = 0.5 * (1.0 + math.cos(math.pi * k / self.steps))
        there = jax.tree.map(lambda t, d: t + self.scale * left * d, theta, normal_like(where, theta))
        value = value_of(problem)(there)
        accepted = bool(jnp.log(jax.random.uniform(chance)) < (value - state) / max(self.temperature * left, 1e-300))
        return Move(there if accepted else theta, value if accepted else state, there, value, jnp.nan)


def normal_like(key: Any, theta: Theta) -> Theta:
    """A standard normal draw for every number of theta."""
    leaves, structure = jax.tree.flatten(theta)
    keys = jax.random.split(key, max(1, len(leaves)))
    return jax.tree.unflatten(structure, [jax.random.normal(k, leaf.shape, leaf.dtype) for k, leaf in zip(keys, leaves, strict=False)])
