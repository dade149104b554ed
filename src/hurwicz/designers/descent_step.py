"""Steps of entropy-regularised mirror descent, laid out for reverse mode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
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
    # the loops are told their lengths: were they part of the program, it would hold the steps of the odd segment a second time
    lengths = np.asarray([rest] * (rest > 0) + [segment] * whole)

    def onward(start: Logits, given: Any) -> tuple[Logits, Any]:
        def one(z: Logits, length: Any) -> tuple[Logits, Logits]:
            return jax.lax.fori_loop(0, length, lambda _, now: step(now, given), z), z

        last, kept = jax.lax.scan(one, start, lengths)
        return last, kept

    def pull_back(start: Logits, given: Any, adjoint: Any, length: Any) -> Any:
        room = jnp.zeros((segment, *start.shape), start.dtype).at[0].set(start)
        visited = jax.lax.fori_loop(1, length, lambda t, seen: seen.at[t].set(step(seen[t - 1], given)), room)

        def one(back: Any, carried: Any) -> Any:
            a, s = carried
            before, slope = jax.vjp(step, visited[length - 1 - back], given)[1](a)
            return before, jax.tree.map(jnp.add, s, slope)

        return jax.lax.fori_loop(0, length, one, adjoint)

    @jax.custom_vjp
    def run(start: Logits, given: Any) -> Logits:
        return onward(start, given)[0]

    def forward(start: Logits, given: Any) -> Any:
        last, kept = onward(start, given)
        return last, (given, kept)

    def backward(held: Any, cotangent: Logits) -> Any:
        given, kept = held
        adjoint = (cotangent, jax.tree.map(jnp.zeros_like, given))
        return jax.lax.scan(lambda a, at: (pull_back(at[0], given, a, at[1]), None), adjoint, (kept, lengths), reverse=True)[0]

    run.defvjp(forward, backward)
    return run(zeta, rules)
