"""Expected externality (AGV): balanced transfers that make truth a Bayes–Nash equilibrium."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray, InputError
from hurwicz.prices.payments.interim import Integrand, interim_function
from hurwicz.prices.payments.problems import AllocationProblem, Types, total_cost
from hurwicz.prices.payments.rule import BoundRule
from hurwicz.settings import Claim
from hurwicz.typespaces import ProductPrior


class ExpectedExternality:
    """tau_i = xi_i(report_i) - 1/(N-1) sum_{j≠i} xi_j(report_j), xi_i = E over theta_-i of [-S(x*) - sum_{j≠i} C_j(x*_j)].

    d'Aspremont and Gérard-Varet 1979, with the planner's loss counted among what i's report does to the others.

    Args:
        prior: independent priors of all agents (the common prior).
        order: Gauss–Legendre nodes per other agent; chosen by the number of agents if omitted.
        samples: draw the others this often instead (for many agents).
        seed: of the draws.
        include_system_loss: ``False`` leaves -S out of xi, which destroys incentive compatibility: a control for audits.

    Raises:
        InputError: fewer than two agents.

    Example:
        >>> from hurwicz.typespaces import FinitePrior, ProductPrior
        >>> rule = ExpectedExternality(ProductPrior({"a": FinitePrior([0.1, 0.5]), "b": FinitePrior([0.1, 0.5])}))
        >>> [c.property for c in rule.claims if c.holds]
        ['BIC', 'efficiency', 'strong_budget_balance']
    """

    name: ClassVar[str] = "expected externality"
    claims: ClassVar[tuple[Claim, ...]] = (
        Claim("BIC", True, "independent types and a common prior", "d'Aspremont and Gérard-Varet 1979"),
        Claim("efficiency", True, "the planner solves globally", "d'Aspremont and Gérard-Varet 1979"),
        Claim("strong_budget_balance", True, "at every profile", "d'Aspremont and Gérard-Varet 1979"),
        Claim("interim_IR", False, "some types expect to lose by taking part", "Myerson and Satterthwaite 1983"),
        Claim("DSIC", False, "xi uses the prior, not the others' reports", "Green and Laffont 1979"),
    )

    def __init__(
        self, prior: ProductPrior, *, order: int | None = None, samples: int | None = None, seed: int = 0, include_system_loss: bool = True
    ) -> None:
        if len(prior.agents) < 2:
            raise InputError("ExpectedExternality: expected at least two agents; with one there is nobody to balance with")
        self.prior = prior
        self.order = order
        self.samples = samples
        self.seed = seed
        self.include_system_loss = include_system_loss

    def bind(self, problem: AllocationProblem) -> BoundRule:
        """The rule on one problem: xi_i is computed once for every agent."""
        if self.prior.agents != problem.agents:
            raise InputError(f"ExpectedExternality: expected a prior over {list(problem.agents)}, got {list(self.prior.agents)}")

        def externality(i: int) -> Integrand:
            def integrand(types: Types) -> Float64[FloatArray, "batch"]:
                actions = problem.solve(types)
                others = -total_cost(problem, actions, types, without=i)
                return others - problem.system_loss(actions) if self.include_system_loss else others

            return integrand

        xi = [
            interim_function(self.prior, name, externality(i), order=self.order, samples=self.samples, seed=self.seed)
            for i, name in enumerate(problem.agents)
        ]
        count = len(xi)

        def transfers(types: Types, actions: Float64[FloatArray, "batch agents *action"]) -> Float64[FloatArray, "batch agents"]:  # noqa: ARG001
            own = np.stack([f.at(t) for f, t in zip(xi, types, strict=True)], axis=1)
            return np.asarray(own - (own.sum(axis=1, keepdims=True) - own) / (count - 1), dtype=np.float64)

        return BoundRule(plan=problem.solve, transfers=transfers, accuracy=max(f.error for f in xi))
