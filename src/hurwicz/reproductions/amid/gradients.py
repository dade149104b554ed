"""The derivative through the equilibrium by four routes: reverse mode, the adjoint written by hand, the fixed point, differences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray, float64_scope
from hurwicz.designers import EquilibriumMap
from hurwicz.meanfield import BatchedAuction, TableRule
from hurwicz.reproductions.amid.claim import Claim, Experiment
from hurwicz.reproductions.claim import Context, Plot

_GRID, _ROUNDS, _TAU, _RATE, _STEPS = 10, 4, 0.05, 10.0, 250
_WIDTH = 1e-6  # of the central differences


def gradient(
    auction: BatchedAuction, rule: TableRule, weights: Any, *, way: str, tau: float, rate: float, steps: int
) -> Float64[FloatArray, " weights"]:
    """The derivative of the revenue in the weights by one of the ways of :class:`EquilibriumMap`, flattened."""
    import jax
    from jax.flatten_util import ravel_pytree

    with float64_scope():
        game, settle = auction.game(rule), EquilibriumMap(tau, rate, steps, way)
        slope = jax.jit(jax.grad(lambda theta: auction.revenue(rule, settle(game, theta), theta)))(weights)
        return np.asarray(ravel_pytree(slope)[0])


class Adjoint:
    """The same by the recursion on paper, with no derivative taken through the iteration.

    s = dG/dtheta, a = dG/dzeta at T; then backwards, at zeta_t: s <- s + eta (dq/dtheta)' a, a <- (1 - eta tau) a + eta (dq/dzeta)' a.

    Source: Corecco et al. (arXiv 2510.21442), section 4.
    """

    def __init__(self, auction: BatchedAuction, rule: TableRule) -> None:
        import jax

        from hurwicz.meanfield import action_values, flow_of

        game = auction.game(rule)

        def policy_of(zeta: Any) -> Any:
            return jax.nn.softmax(game.masked(zeta), axis=-1)

        def values(zeta: Any, theta: Any, tau: Any) -> Any:
            return action_values(game, flow_of(game, policy_of(zeta), theta), policy_of(zeta), theta, tau)

        def pulled(zeta: Any, theta: Any, tau: Any, a: Any) -> Any:
            return jax.vjp(lambda z, t: values(z, t, tau), zeta, theta)[1](a)

        def worth(zeta: Any, theta: Any) -> Any:
            return auction.revenue(rule, flow_of(game, policy_of(zeta), theta), theta)

        self.game, self.values, self.pulled = game, jax.jit(values), jax.jit(pulled)
        self.slopes = jax.jit(jax.grad(worth, argnums=(0, 1)))

    def __call__(self, weights: Any, *, tau: float, rate: float, steps: int, back: int | None = None) -> Float64[FloatArray, " weights"]:
        """The gradient; with ``back``, so many steps backwards at the last iterate alone: what implicit differentiation tends to."""
        import jax
        import jax.numpy as jnp
        from jax.flatten_util import ravel_pytree

        with float64_scope():
            path = [jnp.zeros(self.game.shape)]
            for _ in range(steps):
                path.append((1.0 - rate * tau) * path[-1] + rate * self.values(path[-1], weights, tau))
            a, s = self.slopes(path[-1], weights)
            for zeta in path[-2::-1] if back is None else [path[-1]] * back:
                by_zeta, by_theta = self.pulled(zeta, weights, tau, a)
                s = jax.tree.map(lambda x, y: x + rate * y, s, by_theta)
                a = (1.0 - rate * tau) * a + rate * by_zeta
            return np.asarray(ravel_pytree(s)[0])


def differences(
    auction: BatchedAuction,
    rule: TableRule,
    weights: Any,
    directions: Float64[FloatArray, "directions weights"],
    *,
    tau: float,
    rate: float,
    steps: int,
) -> Float64[FloatArray, " directions"]:
    """Slopes of the revenue along directions, by central differences in float64."""
    import jax
    from jax.flatten_util import ravel_pytree

    with float64_scope():
        flat, unravel = ravel_pytree(weights)
        game, settle = auction.game(rule), EquilibriumMap(tau, rate, steps, "unrolled")

        @jax.jit
        def revenue(x: Any) -> Any:
            theta = unravel(x)
            return auction.revenue(rule, settle(game, theta), theta)

        return np.asarray([(float(revenue(flat + _WIDTH * d)) - float(revenue(flat - _WIDTH * d))) / (2 * _WIDTH) for d in directions])


def _weights(rng: np.random.Generator) -> dict[str, Any]:
    import jax.numpy as jnp

    with float64_scope():
        return {"steps": jnp.asarray(rng.normal(1.0, 0.3, (_ROUNDS, _GRID - 1))), "share": jnp.asarray(rng.normal(-1.0, 0.2, _ROUNDS))}


def _apart(one: Float64[FloatArray, " weights"], other: Float64[FloatArray, " weights"]) -> float:
    return float(np.abs(one - other).max() / np.abs(other).max())


def _run(context: Context) -> tuple[Sequence[Claim], Sequence[Plot]]:
    auction, rule = BatchedAuction(rounds=_ROUNDS, supply=0.8, grid=_GRID), TableRule(_GRID)
    rng = np.random.default_rng(context.seed)
    weights = _weights(rng)
    kwargs: dict[str, Any] = {"tau": _TAU, "rate": _RATE, "steps": _STEPS}
    found: dict[str, Float64[FloatArray, " weights"]] = {}
    for k, way in enumerate(("unrolled", "checkpointed", "implicit")):
        context.say(f"{way} derivative", 0.15 * k)
        found[way] = gradient(auction, rule, weights, way=way, **kwargs)
    context.say("the adjoint by hand, and differences", 0.5)
    adjoint = Adjoint(auction, rule)
    by_hand = adjoint(weights, **kwargs)
    directions = rng.normal(size=(6, by_hand.size))
    slopes = differences(auction, rule, weights, directions, **kwargs)
    worst = float(np.abs(directions @ found["unrolled"] - slopes).max() / np.abs(slopes).max())
    context.say("before the iteration has converged", 0.8)
    early: dict[str, Any] = {"tau": 0.02, "rate": 5.0, "steps": 38}
    through, at_the_end = adjoint(weights, **early), adjoint(weights, **early, back=4000)
    where = f"Setting A1 on a grid of {_GRID}, a table rule with {by_hand.size} random weights, tau = {_TAU}, eta = {_RATE:g}, "
    where += f"T = {_STEPS}, float64; largest difference over the largest entry."
    pairs = [
        ("reverse mode against the adjoint written by hand", _apart(found["unrolled"], by_hand), 1e-9, ""),
        ("checkpointed against unrolled", _apart(found["checkpointed"], found["unrolled"]), 1e-9, ""),
        ("implicit at the fixed point against unrolled", _apart(found["implicit"], found["unrolled"]), 1e-7, ""),
        ("reverse mode against central differences", worst, 1e-6, f" Slopes along six random directions, width {_WIDTH:g}."),
    ]
    rows = [
        Claim("gradients", what, size, None, None, size <= most, f"{where}{more} Agrees: at most {most:g}.")
        for what, size, most, more in pairs
    ]
    left = EquilibriumMap(**early).left_over
    rows.append(
        Claim(
            "gradients",
            "the fixed point's derivative against the iteration's, before it has converged",
            _apart(at_the_end, through),
            None,
            None,
            None,
            f"tau = .02, eta = 5, T = 38: (1 - eta tau)^T = {left:.3f} of the start is left, as at the paper's settings. The iteration has "
            "not converged, and the two are derivatives of different things; neither is wrong. Both by the adjoint written by hand.",
        )
    )
    return rows, []


GRADIENTS = (
    Experiment(
        "gradients",
        "The derivative through the equilibrium",
        "The derivative of the revenue in the weights of a payment and quantity table, through mirror descent, by independent routes.",
        _run,
        12.0,
    ),
)
