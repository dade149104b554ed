"""Anderson acceleration on top of any iteration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from hurwicz._foundation import InputError
from hurwicz.equilibria.mean_field.iterations import Count, Iterate, Iteration, Table, Weight
from hurwicz.meanfield import MeanFieldGame


@dataclass(frozen=True)
class Anderson(Iteration):
    """x <- sum_k a_k step(x_k) over the last ``memory`` iterates, with weights that make sum_k a_k (step(x_k) - x_k) least.

    Args:
        inner: the iteration that is accelerated; one whose iterate is a table of logits.
        memory: iterates kept, at least 2.
        ridge: relative Tikhonov weight of the least squares; damps the extrapolation where differences are nearly parallel.

    Raises:
        InputError: a memory below 2 or a negative ridge.

    Example:
        >>> from hurwicz.equilibria.mean_field import OnlineMirrorDescent
        >>> Anderson(OnlineMirrorDescent(0.5)).name
        'online mirror descent (rate 0.5) with Anderson acceleration (5)'

    Source: Walker and Ni, "Anderson acceleration for fixed-point iterations" (2011).
    """

    inner: Iteration
    memory: int = 5
    ridge: float = 1e-10

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        if self.memory < 2 or not self.ridge >= 0.0:
            raise InputError(f"Anderson: expected memory >= 2 and ridge >= 0, got {self.memory} and {self.ridge}")

    @property
    def name(self) -> str:
        """After what it accelerates."""
        return f"{self.inner.name} with Anderson acceleration ({self.memory})"

    def init(self, game: MeanFieldGame) -> Iterate:
        """The inner start, and an empty memory."""
        x = self.inner.init(game)
        empty = jnp.zeros((self.memory, x.size), x.dtype)
        return x, empty, empty

    def step(self, game: MeanFieldGame, iterate: Iterate, t: Count, theta: Any, tau: Weight) -> Iterate:
        """One inner step, extrapolated through the memory."""
        x, points, residuals = iterate
        residual = (self.inner.step(game, x, t, theta, tau) - x).ravel()
        points = jnp.roll(points, 1, axis=0).at[0].set(x.ravel())
        residuals = jnp.roll(residuals, 1, axis=0).at[0].set(residual)
        known = (jnp.arange(self.memory - 1) < jnp.minimum(t, self.memory - 1)).astype(x.dtype)[:, None]
        steps, changes = known * (points[:-1] - points[1:]), known * (residuals[:-1] - residuals[1:])
        gamma = self._least_squares(changes, residual)
        ahead = points[0] + residual - gamma @ (steps + changes)
        return ahead.reshape(x.shape), points, residuals

    def policy(self, game: MeanFieldGame, iterate: Iterate) -> Table:
        """The inner iteration's."""
        return self.inner.policy(game, iterate[0])

    def _least_squares(self, changes: Float[Array, "kept cells"], residual: Float[Array, " cells"]) -> Float[Array, " kept"]:
        gram = changes @ changes.T
        size = jnp.trace(gram)
        # rows not yet filled are zero: the ridge alone makes their weights zero
        weight = jnp.where(size > 0.0, self.ridge * size, 1.0)
        weights: Float[Array, " kept"] = jnp.linalg.solve(gram + weight * jnp.eye(len(gram), dtype=gram.dtype), changes @ residual)
        return weights
