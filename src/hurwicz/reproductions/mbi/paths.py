"""Gradient responses round by round, as the paper runs them, through the library's compiled step."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray
from hurwicz.reproductions.mbi.instances import Aggregate

_DIVERGED = 1e100


@dataclass(frozen=True)
class Path:
    """A run of gradient responses.

    Attributes:
        losses: L before the first round and after each; shorter than asked for where the run diverged.
        totals: sum of the actions, likewise.
        actions: the last actions.
        history: actions after each kept round, or empty.
        diverged: L passed 1e100.
    """

    losses: Float64[FloatArray, "rounds"]
    totals: Float64[FloatArray, "rounds"]
    actions: Float64[FloatArray, "agents"]
    history: Float64[FloatArray, "kept agents"]
    diverged: bool

    def rounds_to(self, loss: float) -> int | None:
        """First round after which L <= ``loss``; ``None`` if it never was."""
        inside = np.flatnonzero(self.losses <= loss)
        return int(inside[0]) if inside.size else None


def gradient_path(
    problem: Aggregate, start: Float64[FloatArray, "agents"], *, step: float, rounds: int, lower: float = -math.inf, keep: bool = False
) -> Path:
    """x_i <- max(lower, x_i + eta (p - 2 lambda_i x_i)) with p = -2 (sum x - Y), ``rounds`` times."""
    from hurwicz.prices.populations import ArrayPopulation

    population = ArrayPopulation(problem.curvature, lower=lower, workers=1)
    x = np.array(start, dtype=np.float64)
    losses, totals = np.empty(rounds + 1), np.empty(rounds + 1)
    history = np.empty((rounds + 1 if keep else 0, x.size))
    total = float(x.sum())
    for t in range(rounds + 1):
        losses[t] = (total - problem.target) ** 2 + float(problem.curvature @ (x * x))
        totals[t] = total
        if keep:
            history[t] = x
        if not losses[t] < _DIVERGED:
            return Path(losses[: t + 1], totals[: t + 1], x, history[: t + 1], True)
        if t < rounds:
            total = population.gradient_step(x, -2.0 * (total - problem.target), step)
    return Path(losses, totals, x, history, False)
