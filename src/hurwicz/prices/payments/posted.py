"""Posted expectation: the planner plans with expected types and asks for no report (the paper's Bayesian mode)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray, InputError
from hurwicz.prices.payments.linear import Linear
from hurwicz.prices.payments.problems import AllocationProblem, Types
from hurwicz.prices.payments.rule import BoundRule, PaymentRule
from hurwicz.settings import Claim
from hurwicz.typespaces import ProductPrior


class PostedExpectation:
    """x = x*(E[theta]), paid by another rule at the expected types; reports change nothing.

    It plans and does not elicit: the loss against the optimum for the true types stays (S. Grassi, arXiv 2512.20688, C.17: .123561 where
    .2 is planned for a true .3, and .259 where the true type is .1 and planning with .1 would have cost nothing).

    Args:
        expected: agent name → expected type, or the prior to take it from.
        base: the rule that pays for the plan; linear prices if omitted.

    Example:
        >>> rule = PostedExpectation({"a": 0.2, "b": 0.5})
        >>> [c.property for c in rule.claims if not c.holds]
        ['elicitation', 'efficiency', 'ex_post_IR']
    """

    name: ClassVar[str] = "posted expectation"
    claims: ClassVar[tuple[Claim, ...]] = (
        Claim("needs_no_report", True, "the same outcome whatever anybody says"),
        Claim("elicitation", False, "nothing is learnt of the types"),
        Claim("efficiency", False, "the plan is right for the expected types only"),
        Claim("ex_post_IR", False, "a type far above the expected one works at a loss"),
    )

    def __init__(self, expected: Mapping[str, Any] | ProductPrior, *, base: PaymentRule | None = None) -> None:
        self.expected: dict[str, Any] = dict(expected.mean if isinstance(expected, ProductPrior) else expected)
        self.base: PaymentRule = Linear() if base is None else base

    def bind(self, problem: AllocationProblem) -> BoundRule:
        """The rule on one problem: the plan is computed once."""
        missing = [name for name in problem.agents if name not in self.expected]
        if missing:
            raise InputError(f"PostedExpectation: expected a type for each of {list(problem.agents)}, none for {missing}")
        means = [np.asarray(self.expected[name], dtype=np.float64)[None] for name in problem.agents]
        base = self.base.bind(problem)
        actions = base.plan(means)
        paid = base.transfers(means, actions)

        def plan(types: Types) -> Float64[FloatArray, "batch agents *action"]:
            return np.repeat(actions, len(types[0]), axis=0)

        def transfers(types: Types, _: Float64[FloatArray, "batch agents *action"]) -> Float64[FloatArray, "batch agents"]:
            return np.repeat(paid, len(types[0]), axis=0)

        return BoundRule(plan=plan, transfers=transfers, accuracy=base.accuracy)
