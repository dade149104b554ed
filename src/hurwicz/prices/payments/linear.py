"""Linear prices, and no payment at all."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from jaxtyping import Float64
from numpy.typing import ArrayLike

from hurwicz._foundation import FloatArray, float64_array
from hurwicz.prices.payments.problems import AllocationProblem, Types
from hurwicz.prices.payments.rule import BoundRule
from hurwicz.settings import Claim


def linear_transfer(price: ArrayLike, action: ArrayLike, opt_out: ArrayLike = 0.0) -> float:
    """tau_i = p_i · (x_i - o_i): every unit at the price of the last.

    Args:
        price: p_i, the action's shape.
        action: x_i.
        opt_out: o_i, broadcast to the action's shape.

    Returns:
        What the agent receives.

    Example:
        >>> linear_transfer(0.673171, 3.365854)
        2.26...
    """
    x = float64_array(action, "action")
    p = float64_array(price, "price", shape=x.shape)
    return float(np.sum(p * (x - np.broadcast_to(float64_array(opt_out, "opt_out"), x.shape))))


class Linear:
    """tau_i = p_i(x*) · (x_i* - o_i) at the planned point.

    Example:
        >>> Linear().name, [c.property for c in Linear().claims if c.holds]
        ('linear', ['clears', 'price_taking', 'strategy_proof_in_the_large'])
    """

    name: ClassVar[str] = "linear"
    claims: ClassVar[tuple[Claim, ...]] = (
        Claim("clears", True, "every agent's planned action is its best answer to its price", "first welfare theorem"),
        Claim("price_taking", True, "truthful for agents that take the price as given", "first welfare theorem"),
        Claim(
            "strategy_proof_in_the_large",
            True,
            "the gain of a misreport vanishes as agents of like size multiply",
            "Azevedo and Budish 2019",
        ),
        Claim("DSIC", False, "finitely many agents", "Hurwicz 1972"),
        Claim("efficiency_at_equilibrium", False, "a Nash equilibrium in reports loses welfare", "Hurwicz 1972"),
    )

    def bind(self, problem: AllocationProblem) -> BoundRule:
        """The rule on one problem."""

        def transfers(_: Types, actions: Float64[FloatArray, "batch agents *action"]) -> Float64[FloatArray, "batch agents"]:
            paid = problem.price(actions) * (actions - problem.opt_out)
            return np.asarray(paid.reshape(*paid.shape[:2], -1).sum(axis=2), dtype=np.float64)

        return BoundRule(plan=problem.solve, transfers=transfers)


class Unpaid:
    """tau_i = 0: the planner asks and nobody is paid; the plug-in of a report into a plan.

    Example:
        >>> [c.property for c in Unpaid().claims if not c.holds]
        ['DSIC', 'ex_post_IR']
    """

    name: ClassVar[str] = "unpaid"
    claims: ClassVar[tuple[Claim, ...]] = (
        Claim("strong_budget_balance", True, "nothing is paid"),
        Claim("DSIC", False, "an agent that reports a higher cost is asked to do less"),
        Claim("ex_post_IR", False, "agents bear their cost"),
    )

    def bind(self, problem: AllocationProblem) -> BoundRule:
        """The rule on one problem."""
        return BoundRule(plan=problem.solve, transfers=lambda _, actions: np.zeros(actions.shape[:2]))
