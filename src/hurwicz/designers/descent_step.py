"""Steps of entropy-regularised mirror descent, laid out for reverse mode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hurwicz.equilibria.mean_field.iterations import mirror_step
from hurwicz.meanfield import MeanFieldGame

Logits: TypeAlias = Float[Array, "horizon states actions"]
Step: TypeAlias = Callable[[Logits, Any], Logits]

_SHORT, _LARGE = 8, 2_000  # unrolled: up to so many rounds, of at least so many cells. A gradient takes a fifth less, and longer to compile


def descent_step(game: MeanFieldGame, zeta: Logits, theta: Any, tau: Any, rate: Any) -> Logits:
    """Mirror descent: zeta → (1 - eta tau) zeta + eta q^tau(. | flow(softmax zeta), softmax zeta, theta), each state's logits centred.

    Args:
        game: the game.
        zeta: logits.
        theta: the rules.
        tau: weight of the entropy; may be traced.
        rate: eta; may be traced.
    """
    unroll = game.horizon if game.horizon <= _SHORT and game.states * game.actions >= _LARGE else 1
    return mirror_step(game, zeta, theta, tau, rate, unroll)


def run_steps(step: Step, zeta: Logits, rules: Any, steps: int) -> Logits:
    """``steps`` steps; their derivative keeps every iterate, and whatever reverse mode keeps of each step."""
    last: Logits = jax.lax.scan(lambda z, _: (step(z, rules), None), zeta, None, length=steps)[0]
    return last


def run_checkpointed(step: Step, zeta: Logits, rules: Any, steps: int, segment: int) -> Logits:
    """``steps`` steps whose derivative keeps every ``segment``-th iterate and computes the others again.

    Adjoint: for t = steps - 1 .. 0, at zeta_t: s <- s + (d step / d rules)^T a, then a <- (d step / d zeta)^T a. Between two kept iterates
    only logits are held: what reverse mode needs inside of a step is computed at that step. On a CPU this is also faster than to store it.

    Args:
        step: (zeta, rules) → zeta.
        zeta: zeta_0.
        rules: what the step depends on besides, a pytree of floating-point arrays.
        steps: T.
        segment: k; memory is that of T / k + k logits.

    Source: Corecco et al. (arXiv 2510.21442), section 4; checkpoints after Griewank and Walther.
    """
    whole, rest = divmod(steps, segment)

    def onward(start: Logits, given: Any) -> tuple[Logits, Any]:
        begun = run_steps(step, start, given, rest) if rest else start
        last, kept = jax.lax.scan(lambda z, _: (run_steps(step, z, given, segment), z), begun, None, length=whole)
        return last, kept

    def pull_back(start: Logits, given: Any, adjoint: Any, length: int) -> Any:
        visited = jax.lax.scan(lambda z, _: (step(z, given), z), start, None, length=length)[1]

        def one(carried: Any, at: Logits) -> Any:
            a, s = carried
            back, slope = jax.vjp(step, at, given)[1](a)
            return (back, jax.tree.map(jnp.add, s, slope)), None

        return jax.lax.scan(one, adjoint, visited, reverse=True)[0]

    @jax.custom_vjp
    def run(start: Logits, given: Any) -> Logits:
        return onward(start, given)[0]

    def forward(start: Logits, given: Any) -> Any:
        last, kept = onward(start, given)
        return last, (start, given, kept)

    def backward(held: Any, cotangent: Logits) -> Any:
        start, given, kept = held
        adjoint = (cotangent, jax.tree.map(jnp.zeros_like, given))
        adjoint = jax.lax.scan(lambda a, z: (pull_back(z, given, a, segment), None), adjoint, kept, reverse=True)[0]
        return pull_back(start, given, adjoint, rest) if rest else adjoint

    run.defvjp(forward, backward)
    return run(zeta, rules)
