"""Hard constraints by the method of multipliers (augmented Lagrangian); the multipliers are prices."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray, Status, float64_scope
from hurwicz.prices.exchange import Exchange

if TYPE_CHECKING:
    from hurwicz.prices.planner import _Reached


def violations(exchange: Exchange, x: Float64[FloatArray, "dims"]) -> dict[str, Float64[FloatArray, "..."]]:
    """Formula: g for equalities, max(g, 0) for inequalities, by constraint."""
    values = exchange.loss.call("nodes", x, exchange.terms)
    return {
        name: np.asarray(values[name] if kind == "equality" else np.maximum(values[name], 0.0), dtype=np.float64)
        for name, kind in exchange.loss.constraints.items()
    }


def update_multipliers(exchange: Exchange, x: Float64[FloatArray, "dims"]) -> float:
    """Mu + rho g and max(nu + rho h, 0) at ``x``, put into ``exchange.terms``; returns the largest change over rho.

    That change is g, or -nu / rho where an inequality is slack: feasibility and complementarity at once.
    """
    loss, terms = exchange.loss, exchange.terms
    values = loss.call("nodes", x, terms)
    updated = {}
    gap = 0.0
    for name, kind in loss.constraints.items():
        old = terms.multipliers[name]
        new = old + terms.penalty * np.asarray(values[name], dtype=np.float64)
        updated[name] = np.asarray(new if kind == "equality" else np.maximum(new, 0.0))
        gap = max(gap, float(np.max(np.abs(updated[name] - old), initial=0.0)) / terms.penalty)
    exchange.terms = terms._replace(multipliers=updated)
    return gap


def method_of_multipliers(
    exchange: Exchange,
    run: Callable[[Float64[FloatArray, "dims"], float], Any],
    start: Float64[FloatArray, "dims"],
    tol: float,
    max_updates: int = 60,
) -> tuple[_Reached, float]:
    """Formula: min S + C subject to g = 0, h <= 0: mu <- mu + rho g, max(nu + rho h, 0), rho growing where violations do not shrink.

    Hestenes (1969), Powell (1969), Rockafellar (1973) for inequalities.

    Args:
        exchange: its ``terms`` carry the multipliers, and are replaced.
        run: drives the agents to a tolerance at fixed multipliers.
        start: first actions, flat.
        tol: on the residual, and on the largest violation relative to 1 + the largest action.
        max_updates: of the multipliers.

    Returns:
        What the last run reached, and its largest violation.
    """
    penalty = _first_penalty(exchange, start)
    exchange.terms = exchange.terms._replace(penalty=penalty)
    highest = 100.0 * penalty
    x, before, inner = start, np.inf, max(tol, 1e-4)
    reached = None
    worst = np.inf
    for _ in range(max_updates):
        reached = run(x, inner)
        if reached.status is not Status.STATIONARY_POINT:
            return reached, _worst(exchange, reached.x)
        x = reached.x
        gap = update_multipliers(exchange, x)
        worst = _worst(exchange, x)
        if gap <= tol * (1.0 + float(np.max(np.abs(x), initial=0.0))) and inner <= tol:
            return reached, worst
        # A convex problem converges at any penalty; a large one only makes the agents' part ill conditioned, hence the cap.
        if gap > 0.25 * before and penalty < highest:
            penalty *= 3.0
            exchange.terms = exchange.terms._replace(penalty=penalty)
        before = gap
        inner = max(tol, min(0.1 * inner, 0.1 * gap))
    assert reached is not None
    reached.status = Status.STEP_LIMIT
    reached.cause = (
        f"method of multipliers: {max_updates} updates ended with a violation of {worst:.2g}; the constraints may have no common point"
    )
    return reached, worst


def _worst(exchange: Exchange, x: Float64[FloatArray, "dims"]) -> float:
    return max((float(np.max(np.abs(gap), initial=0.0)) for gap in violations(exchange, x).values()), default=0.0)


def _first_penalty(exchange: Exchange, x: Float64[FloatArray, "dims"]) -> float:
    """A penalty whose bending, penalty times the squared norm of the constraints' Jacobian, is about that of S itself."""
    import jax
    import jax.numpy as jnp

    from hurwicz.prices.dynamics.protocol import steepest_curvature

    loss, terms = exchange.loss, exchange.terms

    def gaps(flat: Any) -> Any:
        values = loss.evaluate(loss.pieces(flat), terms.data)
        return jnp.concatenate([jnp.ravel(values[name]) for name in loss.constraints])

    # Beside the start too: a curved constraint may have no slope in the start itself (a disc at its centre).
    beside = x + (1.0 + float(np.max(np.abs(x), initial=0.0))) * np.random.default_rng(0).standard_normal(x.size)
    with float64_scope():
        rows = [np.asarray(jax.jacrev(gaps)(jnp.asarray(point))) for point in (x, beside)]
    finite = [matrix for matrix in rows if np.all(np.isfinite(matrix))]
    steep = max((float(np.linalg.norm(matrix, 2)) ** 2 for matrix in finite), default=1.0)
    try:
        exchange.terms = terms._replace(penalty=1e-12)
        own = steepest_curvature(exchange, x)
    finally:
        exchange.terms = terms
    return float(np.clip(own / max(steep, 1e-300), 1.0, 1e6))
