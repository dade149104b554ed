"""Gradient ascent in misreports, for rules that JAX can trace: many starts, projected on the type space."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hurwicz._foundation import float64_scope
from hurwicz.audits.evaluation import Evaluator
from hurwicz.audits.profiles import Profiles
from hurwicz.typespaces import Box, Interval

if TYPE_CHECKING:
    from jax import Array

_STARTS = 16


def traceable(e: Evaluator) -> bool:
    """Whether the mechanism has ``traceable_utility(agent, reports, true_type)``, a JAX function of one profile of reports."""
    return hasattr(e.mechanism, "traceable_utility")


def climbed(e: Evaluator, agent: str, found: list[tuple[float, Profiles, Any]]) -> list[tuple[float, Profiles, Any]]:
    """What gradient ascent makes of the candidates' profiles: misreports from their own, the truth and random ones.

    The steps are a decreasing part of the type space along the gradient's direction, so that the scale of money does not matter. What is
    gained at the end is computed by the mechanism itself, never by the traced function.

    Args:
        e: evaluator of a mechanism that is :func:`traceable`.
        agent: who lies.
        found: candidates: gain, profile (one row), misreport.
    """
    space = e.spaces[agent]
    if not isinstance(space, Interval | Box) or not found or e.late:
        return []
    import jax
    import jax.numpy as jnp

    rng = np.random.default_rng((e.seed, 91))
    shape = np.shape(found[0][2])
    starts = np.concatenate(
        [np.stack([np.asarray(lie, dtype=np.float64), *space.sample(rng, _STARTS), np.asarray(row[agent][0])]) for _, row, lie in found]
    )
    each = _STARTS + 2
    rows = {n: np.concatenate([np.repeat(row[n], each, axis=0) for _, row, _ in found]) for n in e.agents}
    low, high = np.asarray(space.low, dtype=np.float64), np.asarray(space.high, dtype=np.float64)

    def utility(lie: Array, reports: dict[str, Array], true: Array) -> Array:
        return e.mechanism.traceable_utility(agent, {**reports, agent: lie}, true)  # type: ignore[attr-defined,no-any-return]

    with float64_scope():
        slope = jax.jit(jax.vmap(jax.grad(utility), in_axes=(0, 0, 0)))
        others = {n: jnp.asarray(v) for n, v in rows.items()}
        true = others[agent]
        lies = jnp.asarray(starts)
        steps = max(20, e.effort.steps)
        for k in range(steps):
            g = jnp.nan_to_num(slope(lies, others, true))
            size = jnp.abs(g).reshape(len(starts), -1).max(axis=1).reshape(-1, *([1] * len(shape)))
            step = 0.2 * (high - low) * (1e-5 / 0.2) ** (k / (steps - 1))
            lies = jnp.clip(lies + step * g / jnp.where(size > 0.0, size, 1.0), low, high)
        ended = np.asarray(lies, dtype=np.float64)
    gains = e.among(agent, e.outcomes({**rows, agent: ended}), rows) - e.among(agent, e.outcomes(rows), rows)
    best = []
    for k in range(len(found)):
        top = k * each + int(np.argmax(gains[k * each : (k + 1) * each]))
        best.append((float(gains[top]), {n: v[top : top + 1] for n, v in rows.items()}, ended[top]))
    return best
