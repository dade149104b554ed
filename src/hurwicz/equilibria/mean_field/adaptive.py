"""Mirror descent that finds its own rate and is extrapolated, and judges its policies in the pass that it needs anyway."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hurwicz._foundation import InputError
from hurwicz.equilibria.mean_field.iterations import Count, Iterate, Iteration, Table, Weight
from hurwicz.meanfield import MeanFieldGame
from hurwicz.meanfield.evaluation import judged

_RIDGE = 1e-10  # relative; keeps the least squares solvable where differences are nearly parallel
_SHORT = 4  # rounds up to which loops over them are written out, which runs faster and compiles more slowly


class _Iterate(NamedTuple):
    ahead: Any  # logits that the next step looks at
    points: Any  # logits that were looked at, the last one first
    gains: Any  # advantages at them
    rate: Any
    found: Any  # exploitability of the last policy looked at
    size: Any  # norm of its advantages
    known: Any  # differences of points that the extrapolation may use


@dataclass(frozen=True)
class AdaptiveMirrorDescent(Iteration):
    """zeta <- zeta + eta A, A = q^tau - tau zeta less its mean under pi: mirror descent with a rate found on the way, extrapolated.

    The rate grows by ``growth`` a step, and is at most the inverse of how fast advantages have just been seen to change,
    |zeta_t - zeta_{t-1}| / |A_t - A_{t-1}|, with |x|^2 = sum L_h(s, a) x_h(s, a)^2: what nobody does has no part in it. In the same norm
    the last steps are combined as Anderson does, with weights that make the combined advantage least. What is extrapolated from is
    forgotten where |A| grows by more than ``patience`` times in a step.

    Exploitability comes out of the pass that finds the advantages, so that a solver need not ask for it.

    Args:
        rate: the first eta, above 0 and finite.
        memory: advantages that are combined, at least 2.
        patience: growth of |A| in one step up to which it extrapolates, at least 0; at 0 it never does, which suits games with kinks.
        growth: of the rate, at least 1.

    Raises:
        InputError: a parameter without a meaning.

    Example:
        >>> from hurwicz.equilibria.mean_field import MeanFieldProblem, solve_mean_field
        >>> from hurwicz.meanfield import rock_paper_scissors
        >>> found = solve_mean_field(MeanFieldProblem(rock_paper_scissors()), iterations=[AdaptiveMirrorDescent(1.0)])
        >>> found.status.ok, found.stats["iterations"] < 15
        (True, True)

    Source: the rate after Malitsky and Mishchenko, "Adaptive gradient descent without descent" (ICML 2020); Walker and Ni, "Anderson
        acceleration for fixed-point iterations" (2011); the norm is that of Fisher's information, weighed by the flow.
    """

    rate: float = 1.0
    memory: int = 6
    patience: float = 2.0
    growth: float = 1.5

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        if not 0.0 < self.rate < math.inf or self.memory < 2 or not self.patience >= 0.0 or not self.growth >= 1.0:
            raise InputError(
                "adaptive mirror descent: expected a rate > 0 that is finite, memory >= 2, patience >= 0 and growth >= 1, got "
                f"{self.rate}, {self.memory}, {self.patience} and {self.growth}"
            )

    @property
    def name(self) -> str:
        """With or without extrapolation."""
        with_memory = f" with Anderson acceleration ({self.memory})" if self.patience > 0.0 else ""
        return f"adaptive mirror descent (from rate {self.rate:g}){with_memory}"

    def init(self, game: MeanFieldGame) -> Iterate:
        """All actions alike, nothing looked at."""
        none, kept = jnp.zeros(()), jnp.zeros((self.memory, *game.shape))
        return _Iterate(kept[0], kept, kept, none, jnp.inf + none, jnp.inf + none, jnp.zeros((), int))

    def policy(self, game: MeanFieldGame, iterate: Iterate) -> Table:
        """The softmax of the logits that were last looked at."""
        return jax.nn.softmax(game.masked(iterate.points[0]), axis=-1)

    def known(self, iterate: Iterate) -> Float[Array, ""]:
        """Exploitability of :meth:`policy`; infinite before the first step."""
        found: Float[Array, ""] = iterate.found
        return found

    def step(self, game: MeanFieldGame, iterate: Iterate, t: Count, theta: Any, tau: Weight) -> Iterate:
        """Look at the logits ahead; from what was seen, the next ones."""
        logits = iterate.ahead
        policy = jax.nn.softmax(game.masked(logits), axis=-1)
        seen = judged(game, policy, theta, tau, unroll=game.horizon if game.horizon <= _SHORT else 1)
        gain = seen.values - tau * logits
        gain = gain - (policy * gain).sum(axis=-1, keepdims=True)
        gain = gain if game.legal is None else jnp.where(jnp.asarray(game.legal), gain, 0.0)
        weight = jnp.sqrt(seen.flow)

        def norm(x: Table) -> Any:
            return jnp.linalg.norm((weight * x).ravel())

        moved = logits - iterate.points[0]
        slope = norm(gain - iterate.gains[0]) / jnp.maximum(norm(moved - (policy * moved).sum(axis=-1, keepdims=True)), 1e-300)
        longest = jnp.minimum(1.0 / jnp.maximum(slope, 1e-300), jnp.where(tau > 0.0, 1.0 / jnp.where(tau > 0.0, tau, 1.0), jnp.inf))
        rate = jnp.where(t > 0, jnp.minimum(iterate.rate * self.growth, longest), self.rate)
        size = norm(gain)
        kept = jnp.minimum(iterate.known + 1, self.memory - 1)
        known = jnp.where((t > 0) & (size <= self.patience * iterate.size), kept, 0)
        points, gains = (jnp.roll(old, 1, axis=0).at[0].set(new) for old, new in ((iterate.points, logits), (iterate.gains, gain)))
        plain = logits + rate * gain
        ahead = jax.lax.cond(known > 0, lambda: plain - self._extrapolated(points, gains, rate, weight, known), lambda: plain)
        ahead = jnp.where(jnp.isfinite(ahead).all(), ahead, plain)
        return _Iterate(ahead - ahead.max(axis=-1, keepdims=True), points, gains, rate, seen.exploitability, size, known)

    def _extrapolated(self, points: Any, gains: Any, rate: Any, weight: Table, known: Any) -> Table:
        use = (jnp.arange(self.memory - 1) < known).astype(weight.dtype)[:, None, None, None]
        steps, changes = use * (points[:-1] - points[1:]), use * (gains[:-1] - gains[1:])
        seen = (weight * changes).reshape(self.memory - 1, -1)
        gram = seen @ seen.T
        size = jnp.trace(gram)
        # rows not in use are zero: the ridge alone makes their weights zero
        ridge = jnp.where(size > 0.0, _RIDGE * size, 1.0) * jnp.eye(len(gram), dtype=gram.dtype)
        gamma = _solved(gram + ridge, seen @ (weight * gains[0]).ravel())
        back: Table = jnp.tensordot(gamma, steps + rate * changes, 1)
        return back


def _solved(matrix: Float[Array, "n n"], right: Float[Array, " n"]) -> Float[Array, " n"]:
    # Gauss and Jordan without pivots, which a positive definite matrix does not need: a call of LAPACK costs more than all of a small step
    rows = jnp.concatenate([matrix, right[:, None]], axis=1)
    for k in range(len(right)):
        pivot = rows[k] / rows[k, k]
        rows = (rows - rows[:, k, None] * pivot).at[k].set(pivot)
    return rows[:, -1]
