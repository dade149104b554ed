"""Clarke pivot payments: by prices along a path on which the others re-optimise, or by solving again without the agent."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from jaxtyping import Float64
from numpy.typing import ArrayLike

from hurwicz._foundation import FloatArray, InputError, float64_array
from hurwicz.prices.payments.integrals import PathIntegral, PriceOf, path_integral
from hurwicz.prices.payments.problems import AllocationProblem, Types, total_cost, total_loss
from hurwicz.prices.payments.rule import BoundRule, Transfers
from hurwicz.settings import Claim

_MOST_PIECES = 64


def clarke_transfer_by_prices(
    price_of: PriceOf,
    opt_out: ArrayLike,
    action: ArrayLike,
    *,
    breakpoints: tuple[float, ...] = (),
    order: int = 8,
    tolerance: float = 1e-10,
) -> PathIntegral:
    """tau_i = ∫ from o_i to x_i* of p_i(xi; the others re-optimise) dxi, the Clarke pivot transfer by the envelope theorem.

    Args:
        price_of: own action xi → own price once the others have answered to xi optimally.
        opt_out: o_i.
        action: x_i*.
        breakpoints: fractions of the path where the price has kinks (another agent meets a bound).
        order: Gauss–Legendre nodes a piece.
        tolerance: see :func:`path_integral`.

    Returns:
        The transfer with its error estimate.

    Example:
        With target 4 and one other agent of cost lambda x² at lambda = 1, the other answers x = (4 - xi) / 2:

        >>> round(clarke_transfer_by_prices(lambda xi: 2.0 * (4.0 - xi - (4.0 - xi) / 2.0), 0.0, 2.0).value, 12)
        6.0
    """
    return path_integral(price_of, opt_out, action, breakpoints=breakpoints, order=order, tolerance=tolerance)


def clarke_pivot_transfer(loss_without: float, loss_with: float, own_cost: float) -> float:
    """tau_i = min L without i - (L(x*) - C_i(x_i*)): the loss that i's presence spares all the others (Clarke 1971).

    Args:
        loss_without: least S plus costs of the others when i does o_i.
        loss_with: least L with everybody.
        own_cost: C_i(x_i*; theta_i), counted net of opting out.

    Example:
        >>> clarke_pivot_transfer(8.0, 4.0, 2.0)
        6.0
    """
    return loss_without - (loss_with - own_cost)


def planner_keeps(welfare: float, welfares_without: ArrayLike) -> float:
    """W(N) - sum_i [W(N) - W(N without i)]: what is left of the welfare gain after Clarke payments.

    Never negative where agents are substitutes in the sense that sum_i [W(N) - W(N without i)] <= W(N).

    Args:
        welfare: W(N), the least loss with nobody minus the least loss with everybody.
        welfares_without: W(N without i), one an agent.

    Example:
        >>> planner_keeps(9.0, [0.0, 0.0])
        -9.0
    """
    without = float64_array(welfares_without, "welfares_without", shape=(None,))
    return float(welfare - np.sum(welfare - without))


class Clarke:
    """The Clarke pivot as transfers: DSIC and efficient where the planner solves globally, ex post IR where it may also leave i out.

    u_i = W(N) - W(N without i). A plan that holds i to a minimum output that opting out (o_i outside X_i) would spare it can make that
    negative: let the planner choose who is in at all, or accept that such a unit is not kept whole.

    Args:
        route: ``"resolve"`` solves again without each agent; ``"prices"`` integrates each agent's price along its own action while the
            others re-optimise. Both are the same number (envelope theorem).
        order: Gauss–Legendre nodes a piece on the route by prices.
        tolerance: on the route by prices, the change at which halving the pieces stops, relative to the largest transfer.

    Example:
        >>> Clarke().name, [c.property for c in Clarke().claims if not c.holds]
        ('Clarke', ['strong_budget_balance', 'weak_budget_balance', 'planner_IR', 'ex_post_IR'])
    """

    name: ClassVar[str] = "Clarke"
    claims: ClassVar[tuple[Claim, ...]] = (
        Claim("DSIC", True, "the planner solves globally, and the problem without i is feasible", "Vickrey 1961; Clarke 1971; Groves 1973"),
        Claim("efficiency", True, "the planner solves globally", "Groves 1973"),
        Claim("ex_post_IR", True, "the planner may leave i out: o_i lies in X_i", "Clarke 1971"),
        Claim("planner_IR", True, "agents are substitutes: sum_i [W(N) - W(N without i)] <= W(N)", "Ausubel and Milgrom 2002"),
        Claim("strong_budget_balance", False, "payments do not sum to zero", "Green and Laffont 1979"),
        Claim("weak_budget_balance", False, "the planner pays the agents", "Green and Laffont 1979"),
        Claim("planner_IR", False, "agents are complements", ""),
        Claim("ex_post_IR", False, "the plan holds i to a minimum: o_i lies outside X_i", ""),
    )

    def __init__(self, route: str = "resolve", *, order: int = 8, tolerance: float = 1e-11) -> None:
        if route not in ("prices", "resolve"):
            raise InputError(f"Clarke: expected route 'prices' or 'resolve', got {route!r}")
        if order < 1:
            raise InputError(f"Clarke: expected order >= 1, got {order}")
        self.route = route
        self.order = order
        self.tolerance = tolerance

    def bind(self, problem: AllocationProblem) -> BoundRule:
        """The rule on one problem."""
        return BoundRule(plan=problem.solve, transfers=self._resolve(problem) if self.route == "resolve" else self._prices(problem))

    def _resolve(self, problem: AllocationProblem) -> Transfers:
        def transfers(types: Types, actions: Float64[FloatArray, "batch agents *action"]) -> Float64[FloatArray, "batch agents"]:
            paid = np.empty(actions.shape[:2])
            here = problem.system_loss(actions)
            for i in range(actions.shape[1]):
                away = problem.solve_holding(i, np.broadcast_to(problem.opt_out[i], actions[:, i].shape).copy(), types)
                paid[:, i] = total_loss(problem, away, types) - here - total_cost(problem, actions, types, without=i)
            return paid

        return transfers

    def _prices(self, problem: AllocationProblem) -> Transfers:
        def transfers(types: Types, actions: Float64[FloatArray, "batch agents *action"]) -> Float64[FloatArray, "batch agents"]:
            return np.stack([self._path(problem, i, types, actions) for i in range(actions.shape[1])], axis=1)

        return transfers

    def _path(
        self, problem: AllocationProblem, agent: int, types: Types, actions: Float64[FloatArray, "batch agents *action"]
    ) -> Float64[FloatArray, "batch"]:
        batch = len(actions)
        stop = actions[:, agent]
        start = np.broadcast_to(problem.opt_out[agent], stop.shape).copy()
        kinks = np.sort(problem.kinks(agent, start, stop, types), axis=1)
        edges = np.concatenate([np.zeros((batch, 1)), kinks, np.ones((batch, 1))], axis=1)
        edges = edges[:, np.concatenate([[True], np.any(np.diff(edges, axis=1) > 0.0, axis=0)])] if batch else edges
        before = self._rule(problem, agent, types, start, stop, edges)
        pieces = 1
        while True:
            middles = 0.5 * (edges[:, :-1] + edges[:, 1:])
            edges = np.sort(np.concatenate([edges, middles], axis=1), axis=1)
            pieces *= 2
            now = self._rule(problem, agent, types, start, stop, edges)
            if float(np.max(np.abs(now - before), initial=0.0)) <= self.tolerance * max(1.0, float(np.max(np.abs(now), initial=0.0))):
                return now
            if pieces >= _MOST_PIECES:
                raise InputError(
                    f"Clarke(route='prices'): the price along agent {problem.agents[agent]!r}'s path has kinks that are not declared "
                    f"(halving {pieces} pieces still changes the integral by {float(np.max(np.abs(now - before))):.3g}); "
                    "use route='resolve', or a larger tolerance"
                )
            before = now

    def _rule(
        self,
        problem: AllocationProblem,
        agent: int,
        types: Types,
        start: Float64[FloatArray, "batch *action"],
        stop: Float64[FloatArray, "batch *action"],
        edges: Float64[FloatArray, "batch edges"],
    ) -> Float64[FloatArray, "batch"]:
        nodes, weights = np.polynomial.legendre.leggauss(self.order)
        total = np.zeros(len(start))
        trailing = (1,) * (start.ndim - 1)
        for k in range(edges.shape[1] - 1):
            half = 0.5 * (edges[:, k + 1] - edges[:, k])
            for node, weight in zip(nodes, weights, strict=True):
                s = (edges[:, k] + half * (1.0 + node)).reshape(-1, *trailing)
                price = problem.price(problem.solve_holding(agent, start + s * (stop - start), types))[:, agent]
                total += weight * half * (price * (stop - start)).reshape(len(start), -1).sum(axis=1)
        return total
