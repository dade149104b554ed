"""Own path: each agent is paid the price along its own action, the others held."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float64
from numpy.typing import ArrayLike

from hurwicz._foundation import FloatArray, InputError, float64_array
from hurwicz.prices.payments.integrals import PathIntegral, PriceOf, path_integral
from hurwicz.prices.payments.problems import AllocationProblem, Types
from hurwicz.prices.payments.rule import BoundRule
from hurwicz.settings import Claim


def own_path_transfer(
    system_loss: Callable[[Float64[FloatArray, "agents ..."]], Any], actions: ArrayLike, agent: int, opt_out: ArrayLike = 0.0
) -> float:
    """tau_i = S(o_i, x_-i) - S(x).

    Args:
        system_loss: actions → S.
        actions: x, with the agents in front.
        agent: i.
        opt_out: o_i.

    Returns:
        What the agent receives.

    Example:
        >>> own_path_transfer(lambda x: (x.sum() - 3.0) ** 2, [1.0, 1.5], 0)
        2.0
    """
    x = float64_array(actions, "actions")
    if not 0 <= agent < len(x):
        raise InputError(f"own_path_transfer: expected an agent from 0 to {len(x) - 1}, got {agent}")
    away = x.copy()
    away[agent] = opt_out
    return float(system_loss(away)) - float(system_loss(x))


def own_path_transfer_by_prices(
    price_of: PriceOf,
    opt_out: ArrayLike,
    action: ArrayLike,
    *,
    breakpoints: tuple[float, ...] = (),
    order: int = 8,
    tolerance: float = 1e-10,
) -> PathIntegral:
    """tau_i = ∫ from o_i to x_i of p_i(xi, x_-i) dxi, the others held: equals :func:`own_path_transfer`.

    Args:
        price_of: own action → own price, others held.
        opt_out: o_i.
        action: x_i.
        breakpoints: fractions of the path where the price has kinks.
        order: Gauss–Legendre nodes a piece.
        tolerance: see :func:`path_integral`.

    Example:
        >>> round(own_path_transfer_by_prices(lambda x: -2.0 * (x + 1.5 - 3.0), 0.0, 1.0).value, 12)
        2.0
    """
    return path_integral(price_of, opt_out, action, breakpoints=breakpoints, order=order, tolerance=tolerance)


class OwnPath:
    """tau_i = S(o_i, x_-i) - S(x).

    Every unilateral change of action changes own utility and -L by the same amount (Monderer and Shapley 1996): the one-shot game in
    actions is an exact potential game with potential -L, and x* is a Nash equilibrium of it. As a direct mechanism it is not DSIC.

    Example:
        >>> OwnPath().name
        'own path'
    """

    name: ClassVar[str] = "own path"
    claims: ClassVar[tuple[Claim, ...]] = (
        Claim("exact_potential", True, "the one-shot game in actions, others held, with potential -L", "Monderer and Shapley 1996"),
        Claim("nash_at_optimum", True, "x* is a Nash equilibrium of the one-shot game in actions", "Monderer and Shapley 1996"),
        Claim("DSIC", False, "reports move the others' actions", "Green and Laffont 1977"),
        Claim("truthful_dynamics", False, "an agent that answers as another type moves the others", ""),
        Claim("efficient_equilibria", False, "without convexity an equilibrium may be a saddle of L", ""),
    )

    def bind(self, problem: AllocationProblem) -> BoundRule:
        """The rule on one problem."""

        def transfers(_: Types, actions: Float64[FloatArray, "batch agents *action"]) -> Float64[FloatArray, "batch agents"]:
            here = problem.system_loss(actions)
            paid = np.empty(actions.shape[:2])
            for i in range(actions.shape[1]):
                away = actions.copy()
                away[:, i] = problem.opt_out[i]
                paid[:, i] = problem.system_loss(away) - here
            return paid

        return BoundRule(plan=problem.solve, transfers=transfers)
