"""Derivatives through a mean-field equilibrium: unrolled, checkpointed, or implicit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.sparse.linalg import gmres
from jaxtyping import Array, Float

from hurwicz._foundation import InputError
from hurwicz.designers.descent_step import Logits, Step, descent_step, run_checkpointed, run_steps
from hurwicz.meanfield import MeanFieldGame, flow_of

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
        differentiate: ``"unrolled"`` keeps every iterate and what reverse mode needs of each step, memory O(T); ``"checkpointed"`` every
            k-th iterate, k = sqrt(T), and computes the others again: O(sqrt T) memory, and on a CPU also less time; ``"implicit"`` keeps
            the last one and solves the linear fixed-point equation by GMRES.

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

    def __call__(self, game: MeanFieldGame, theta: Any, tau: Any = None) -> Float[Array, "horizon states actions"]:
        """The equilibrium's flow under the rules ``theta``; differentiable in them.

        ``tau`` replaces the weight of the entropy and may be traced, so that one compilation serves a whole schedule; the rate is then
        lowered to 1 / tau where it would pass it.
        """
        return flow_of(game, jax.nn.softmax(game.masked(self.logits(game, theta, tau)), axis=-1), theta)

    def logits(self, game: MeanFieldGame, theta: Any, tau: Any = None) -> Logits:
        """The last iterate zeta_T, with the derivative asked for."""
        last: Logits = _compiled(self, game, theta, jnp.asarray(self.tau if tau is None else tau, dtype=float))
        return last

    def _logits(self, game: MeanFieldGame, theta: Any, weight: Any) -> Logits:
        rate = jnp.minimum(self.rate, 1.0 / weight)
        rules = (theta, weight, rate)

        def step(zeta: Logits, given: Any) -> Logits:
            return descent_step(game, zeta, *given)

        if self.differentiate == "implicit":
            return self._implicit(game, step, rules)
        start = jnp.zeros(game.shape)
        if self.differentiate == "unrolled":
            return run_steps(step, start, rules, self.steps)
        return run_checkpointed(step, start, rules, self.steps, max(1, math.isqrt(self.steps)))

    def _implicit(self, game: MeanFieldGame, step: Step, rules: Any) -> Logits:
        def target(zeta: Logits, given: Any) -> Logits:
            # the fixed point's own equation, zeta = q / tau up to a constant a state: a step of rate 1 / tau
            theta, weight, _ = given
            return descent_step(game, zeta, theta, weight, 1.0 / weight)

        @jax.custom_vjp
        def fixed_point(given: Any) -> Logits:
            return run_steps(step, jnp.zeros(game.shape), given, self.steps)

        def forward(given: Any) -> tuple[Logits, tuple[Any, Logits]]:
            zeta = fixed_point(given)
            return zeta, (given, zeta)

        def backward(kept: tuple[Any, Logits], cotangent: Logits) -> tuple[Any]:
            given, zeta = kept
            pull = jax.vjp(target, zeta, given)[1]
            # (I - dF/dzeta)^T a = cotangent
            adjoint, _ = gmres(  # type: ignore[no-untyped-call]
                lambda a: a - pull(a)[0], cotangent, tol=1e-12, atol=0.0, restart=40, maxiter=25
            )
            return (pull(adjoint)[1],)

        fixed_point.defvjp(forward, backward)
        return fixed_point(rules)


# once a map and game: a loop outside of a jitted function is compiled again at every call
_compiled = jax.jit(EquilibriumMap._logits, static_argnums=(0, 1))
