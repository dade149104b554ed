"""Derivatives through a mean-field equilibrium: unrolled, checkpointed, or implicit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jax.scipy.sparse.linalg import gmres
from jaxtyping import Array, Float

from hurwicz._foundation import InputError
from hurwicz.equilibria.mean_field import OnlineMirrorDescent
from hurwicz.meanfield import MeanFieldGame, action_values, flow_of

Logits: TypeAlias = Float[Array, "horizon states actions"]

WAYS = ("unrolled", "checkpointed", "implicit")


@dataclass(frozen=True)
class EquilibriumMap:
    """theta → flow of the entropy-regularised equilibrium, by mirror descent from zero, with a derivative.

    zeta_{t+1} = (1 - eta tau) zeta_t + eta q^tau(. | flow(softmax zeta_t), softmax zeta_t, theta), t < steps.

    The derivative is the one of what is computed. Unrolled and checkpointed ones are those of the ``steps`` iterations, the implicit one
    that of the fixed point: they agree once (1 - eta tau)^steps is small, and differ before.

    Args:
        tau: weight of the entropy, above 0, in units of reward.
        rate: eta, at most 1 / tau.
        steps: iterations T.
        differentiate: ``"unrolled"`` keeps every iterate, memory O(T); ``"checkpointed"`` every k-th, k = sqrt(T), and computes the others
            again: O(sqrt T) memory, about twice the time; ``"implicit"`` keeps the last one and solves the linear fixed-point equation by
            GMRES.

    Raises:
        InputError: tau not above 0, a rate above 1 / tau, no steps, or an unknown way to differentiate.

    Example:
        >>> from hurwicz.meanfield import left_right
        >>> equilibrium = EquilibriumMap(tau=0.1, rate=2.0, steps=100)
        >>> round(float(equilibrium(left_right(), None)[0, 0, 0]), 3)
        0.647

    Source: Corecco et al. (arXiv 2510.21442), section 4 (adjoint through mirror descent); implicit differentiation at the fixed point.
    """

    tau: float
    rate: float
    steps: int
    differentiate: str = "checkpointed"

    def __post_init__(self) -> None:
        """Refuse what cannot be differentiated."""
        if not (math.isfinite(self.tau) and self.tau > 0.0):
            raise InputError(
                f"equilibrium map: expected tau > 0, got {self.tau}; without entropy the equilibrium does not depend smoothly on the rules"
            )
        if not 0.0 < self.rate <= 1.0 / self.tau:
            raise InputError(f"equilibrium map: expected a rate in (0, 1/tau] = (0, {1.0 / self.tau:g}], got {self.rate}")
        if self.steps < 1:
            raise InputError(f"equilibrium map: expected steps >= 1, got {self.steps}")
        if self.differentiate not in WAYS:
            raise InputError(f"equilibrium map: expected differentiate among {WAYS}, got {self.differentiate!r}")

    @property
    def left_over(self) -> float:
        """(1 - eta tau)^steps: what is left of the start."""
        return float((1.0 - self.rate * self.tau) ** self.steps)

    def __call__(self, game: MeanFieldGame, theta: Any) -> Float[Array, "horizon states actions"]:
        """The equilibrium's flow under the rules ``theta``; differentiable in them."""
        return flow_of(game, jax.nn.softmax(game.masked(self.logits(game, theta)), axis=-1), theta)

    def logits(self, game: MeanFieldGame, theta: Any) -> Logits:
        """The last iterate zeta_T, with the derivative asked for."""
        if self.differentiate == "implicit":
            return self._implicit(game, theta)
        start = jnp.zeros(game.shape)
        if self.differentiate == "unrolled":
            return self._run(game, theta, start, self.steps)
        segment = max(1, math.isqrt(self.steps))
        whole, rest = divmod(self.steps, segment)
        again = jax.checkpoint(lambda zeta, rules: self._run(game, rules, zeta, segment))
        zeta = jax.lax.scan(lambda z, _: (again(z, theta), None), start, None, length=whole)[0]
        return self._run(game, theta, zeta, rest) if rest else zeta

    def _run(self, game: MeanFieldGame, theta: Any, zeta: Logits, steps: int) -> Logits:
        descent = OnlineMirrorDescent(self.rate)
        last: Logits = jax.lax.scan(lambda z, _: (descent.step(game, z, 0, theta, self.tau), None), zeta, None, length=steps)[0]
        return last

    def _implicit(self, game: MeanFieldGame, theta: Any) -> Logits:
        def target(zeta: Logits, rules: Any) -> Logits:
            # the fixed point's own equation, zeta = q / tau up to a constant a state: better conditioned than a mirror descent step
            policy = jax.nn.softmax(game.masked(zeta), axis=-1)
            q = action_values(game, flow_of(game, policy, rules), policy, rules, self.tau)
            return (q - q.mean(axis=-1, keepdims=True)) / self.tau

        @jax.custom_vjp
        def fixed_point(rules: Any) -> Logits:
            return self._run(game, rules, jnp.zeros(game.shape), self.steps)

        def forward(rules: Any) -> tuple[Logits, tuple[Any, Logits]]:
            zeta = fixed_point(rules)
            return zeta, (rules, zeta)

        def backward(kept: tuple[Any, Logits], cotangent: Logits) -> tuple[Any]:
            rules, zeta = kept
            pull = jax.vjp(target, zeta, rules)[1]
            # (I - dF/dzeta)^T a = cotangent
            adjoint, _ = gmres(  # type: ignore[no-untyped-call]
                lambda a: a - pull(a)[0], cotangent, tol=1e-12, atol=0.0, restart=40, maxiter=25
            )
            return (pull(adjoint)[1],)

        fixed_point.defvjp(forward, backward)
        return fixed_point(theta)
