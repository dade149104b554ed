"""C.5 and C.10: losses with saddles and several minima."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from hurwicz.reproductions.claim import Plot
from hurwicz.reproductions.mbi.claim import Claim, Context, Experiment, compare
from hurwicz.reproductions.mbi.exhaustive import RippledLoss, global_minimum

_C10 = RippledLoss(target=5.0, weight=0.1, amplitude=0.5, frequency=4.0 * math.pi)


def _substitutes(actions: Any) -> Any:
    return (actions["1"] + actions["2"] - 10.0) ** 2 + 0.5 * actions["1"] * actions["2"]


def c5(context: Context) -> tuple[Sequence[Claim], Sequence[Plot]]:  # noqa: ARG001
    """(x1 + x2 - 10)² + .5 x1 x2 on [0, 10]²."""
    from hurwicz.prices import Box, DeclaredAgent, GradientResponse, PriceGraph, coordinate, total_loss
    from hurwicz.valuations import ZeroCost

    market = PriceGraph.from_loss(_substitutes, {"1": (), "2": ()}).compile()
    agents = [DeclaredAgent(name, ZeroCost(), 0.0, Box(0.0, 10.0)) for name in ("1", "2")]
    ridge = coordinate(market, agents, dynamics=GradientResponse(0.05), start={"1": 1.0, "2": 1.0}, tol=1e-12, escape_saddles=False)
    at = ridge.value.actions
    test = ridge.value.second_order
    assert test is not None  # S is not convex, so that the run had to test
    free = coordinate(market, agents, tol=1e-10, starts=4)
    end = total_loss(market, free.value.actions, agents)
    hessian = np.array([[2.0, 2.5], [2.5, 2.0]])
    # Both terms of L are nowhere negative on the box and vanish at (10, 0) and (0, 10): a certificate without a search.
    corners = [total_loss(market, {"1": a, "2": 10.0 - a}, agents) for a in (10.0, 0.0)]
    return [
        compare(
            "C.5",
            "what the paper's optimum is",
            ours=ridge.status.value,
            paper="optimum",
            truth="saddle",
            note=f"Gradient responses from (1, 1), on the symmetric ridge, end at ({float(at['1']):.4f}, {float(at['2']):.4f}); the "
            "second-order "
            "test on the critical cone calls it a saddle. From any start off the ridge the run leaves it.",
        ),
        compare(
            "C.5",
            "loss at the paper's optimum",
            ours=total_loss(market, at, agents),
            paper=11.111,
            truth=100.0 / 9.0,
            relative=1e-3,
            note="x = (40/9, 40/9), L = 100/9: the figure is right, the word is not.",
        ),
        compare(
            "C.5",
            "least Hessian eigenvalue there",
            ours=float(test.smallest),
            paper=None,
            truth=float(np.linalg.eigvalsh(hessian)[0]),
            note="From the agents' answers to nudges and the planner's own curvature. The other eigenvalue is 4.5. The paper does not "
            "look at it.",
        ),
        compare(
            "C.5",
            "loss that the library finds",
            ours=end,
            paper=11.111,
            truth=min(corners),
            absolute=1e-3,
            note=f"Ends at ({float(free.value.actions['1']):.6g}, {float(free.value.actions['2']):.6g}), status {free.status.value}; "
            "saddles left on the way: "
            f"{len(free.value.saddles)}. L(10, 0) = L(0, 10) = 0, and L >= 0 on the box: the global minimum. The paper's figure is the "
            "saddle's.",
        ),
    ], []


def _ripples(actions: Any) -> Any:
    import jax.numpy as jnp

    return (actions["1"] + actions["2"] - _C10.target) ** 2 + _C10.amplitude * jnp.sin(_C10.frequency * actions["2"])


def c10(context: Context) -> tuple[Sequence[Claim], Sequence[Plot]]:
    """(x1 + x2 - 5)² + .1 |x|² + .5 sin(4 pi x2)."""
    from hurwicz.prices import DeclaredAgent, GradientResponse, PriceGraph, coordinate, total_loss
    from hurwicz.valuations import Quadratic

    market = PriceGraph.from_loss(_ripples, {"1": (), "2": ()}).compile()
    agents = [DeclaredAgent(name, Quadratic(), 0.1) for name in ("1", "2")]
    local = coordinate(market, agents, dynamics=GradientResponse(0.01), tol=1e-10, max_rounds=20_000)
    context.say("several starts")
    best = coordinate(market, agents, starts=24, seed=context.seed, tol=1e-10)
    found = total_loss(market, best.value.actions, agents)
    proof = global_minimum(_C10)
    (a, c), (b, d) = proof.hull.tolist()
    box = f"the box [{a:.3f}, {b:.3f}] x [{c:.3f}, {d:.3f}]"
    return [
        compare(
            "C.10",
            "loss that gradient responses reach from 0",
            ours=total_loss(market, local.value.actions, agents),
            paper=1.121352,
            truth=proof.value,
            relative=1e-5,
            note=f"eta = .01; status {local.status.value} at ({float(local.value.actions['1']):.5f}, "
            f"{float(local.value.actions['2']):.5f}). "
            "A local minimum, as the paper's figure is; the global one is lower.",
        ),
        compare(
            "C.10",
            "loss that the library finds from 24 starts",
            ours=found,
            paper=1.121352,
            truth=proof.value,
            relative=1e-5,
            note=f"Status {best.status.value}: the search alone claims no more. Certified apart from it: outside of |x| <= "
            f"{proof.radius:.3g} L exceeds L(0); inside, {proof.cells:,} "
            f"squares were bounded below, all but {box} are excluded, and in that box L is "
            f"strictly convex (curvature >= {proof.curvature:.2f}): its stationary point, L = {proof.value:.9f}, is the global minimum.",
        ),
    ], []


NONCONVEX = (
    Experiment("C.5", "A saddle taken for an optimum", "L = (x1 + x2 - 10)² + .5 x1 x2 on [0, 10]².", c5, 3.0),
    Experiment("C.10", "A rippled loss", "L = (x1 + x2 - 5)² + .1 (x1² + x2²) + .5 sin(4 pi x2).", c10, 6.0),
)
