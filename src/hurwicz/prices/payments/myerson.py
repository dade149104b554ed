"""Myerson transfers: expected cost plus information rent, the least that elicits private costs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float64, Shaped
from numpy.typing import NDArray

from hurwicz._foundation import FloatArray, InputError
from hurwicz.prices.payments.interim import InterimFunction, interim_function
from hurwicz.prices.payments.problems import AllocationProblem, Types
from hurwicz.prices.payments.rule import BoundRule, Plan
from hurwicz.settings import Claim
from hurwicz.typespaces import DensityPrior, Finite, FinitePrior, Interval, ProductPrior


class Myerson:
    """tau_i(theta_i) = E[C_i(x_i(theta_i); theta_i)] + U_i(theta_max) + ∫ theta_i..theta_max of E[dC_i/dtheta], U_i(theta_max) = 0.

    Scalar types that raise cost and marginal cost (single crossing), and a plan whose action falls weakly with the own type (monotone).
    On a finite space the integral is the sum of the gains from imitating the next higher type. Expectations are over the others' types.

    Args:
        prior: independent priors over scalar types.
        revenue_minded: plan with virtual costs theta + F/f instead of costs: the least sum of loss and transfers for the planner, and
            not efficient. Needs costs linear in the type.
        order: Gauss–Legendre nodes per other agent; chosen by the number of agents if omitted.
        samples: draw the others this often instead.
        seed: of the draws.

    Raises:
        InputError: vector types, costs that fall with the type, or virtual costs that are not increasing (ironing is not done).

    Example:
        >>> from hurwicz.typespaces import FinitePrior, ProductPrior
        >>> Myerson(ProductPrior({"a": FinitePrior([0.1, 0.5])})).name
        'Myerson'
    """

    name: ClassVar[str] = "Myerson"
    claims: ClassVar[tuple[Claim, ...]] = (
        Claim("BIC", True, "monotone plan, single crossing, independent types, common prior", "Myerson 1981"),
        Claim("interim_IR", True, "the highest type is left with 0", "Myerson 1981"),
        Claim("least_expected_transfers", True, "among BIC and interim IR rules with the same plan", "Myerson 1981"),
        Claim("efficiency", False, "the planner plans with virtual costs (revenue-minded)", "Myerson 1981"),
    )

    def __init__(
        self, prior: ProductPrior, *, revenue_minded: bool = False, order: int | None = None, samples: int | None = None, seed: int = 0
    ) -> None:
        self.prior = prior
        self.revenue_minded = revenue_minded
        self.order = order
        self.samples = samples
        self.seed = seed

    def bind(self, problem: AllocationProblem) -> BoundRule:
        """The rule on one problem: interim costs and rents are computed once for every agent."""
        if self.prior.agents != problem.agents:
            raise InputError(f"Myerson: expected a prior over {list(problem.agents)}, got {list(self.prior.agents)}")
        plan = self._virtual_plan(problem) if self.revenue_minded else problem.solve
        pays, errors = zip(*(self._interim_transfer(problem, plan, i) for i in range(len(problem.agents))), strict=True)

        def transfers(types: Types, _: Float64[FloatArray, "batch agents *action"]) -> Float64[FloatArray, "batch agents"]:
            return np.stack([pay(t) for pay, t in zip(pays, types, strict=True)], axis=1)

        return BoundRule(plan=plan, transfers=transfers, accuracy=float(max(errors)))

    def _interim_transfer(
        self, problem: AllocationProblem, plan: Plan, i: int
    ) -> tuple[Callable[[Shaped[NDArray[Any], "batch"]], Float64[FloatArray, "batch"]], float]:
        name = problem.agents[i]
        space = self.prior.marginals[name].space

        def expect(integrand: Callable[[Types], Float64[FloatArray, "batch"]]) -> InterimFunction:
            return interim_function(self.prior, name, integrand, order=self.order, samples=self.samples, seed=self.seed)

        cost = expect(lambda types: problem.cost(i, plan(types)[:, i], types[i]))
        if isinstance(space, Finite):
            values = np.asarray(space.values, dtype=np.float64)
            if values.ndim != 1:
                raise InputError(f"Myerson: expected scalar types of {name!r}, got vectors")
            ranked = np.sort(values)

            def imitation(types: Types) -> Float64[FloatArray, "batch"]:
                # what the type below would save by doing this type's work
                below = ranked[np.maximum(np.searchsorted(ranked, types[i]) - 1, 0)]
                action = plan(types)[:, i]
                return problem.cost(i, action, types[i]) - problem.cost(i, action, below)

            gains = expect(imitation).at(ranked)
            self._check(bool(np.all(gains >= -1e-12)), name)
            rents = np.concatenate([np.cumsum(gains[1:][::-1])[::-1], [0.0]])
            return lambda reports: cost.at(reports) + rents[np.searchsorted(ranked, np.asarray(reports, dtype=np.float64))], cost.error
        if not isinstance(space, Interval):
            raise InputError(f"Myerson: expected scalar types of {name!r} (Finite or Interval), got {type(space).__name__}")
        step = 1e-3 * (space.high - space.low)

        def slope(types: Types) -> Float64[FloatArray, "batch"]:
            action, own = plan(types)[:, i], types[i]
            wide = problem.cost(i, action, own + 2 * step) - problem.cost(i, action, own - 2 * step)
            near = problem.cost(i, action, own + step) - problem.cost(i, action, own - step)
            return (8.0 * near - wide) / (12.0 * step)

        rate = expect(slope)
        assert rate.series is not None
        self._check(bool(np.all(rate.series(space.grid(65)) >= -1e-12)), name)
        rent = rate.series.integ(lbnd=space.high)
        return lambda reports: cost.at(reports) - np.asarray(rent(np.asarray(reports, dtype=np.float64))), cost.error + rate.error * (
            space.high - space.low
        )

    @staticmethod
    def _check(rising: bool, name: str) -> None:
        if not rising:
            raise InputError(f"Myerson: expected costs of {name!r} that rise with the type (single crossing); reverse the type's sign")

    def _virtual_plan(self, problem: AllocationProblem) -> Plan:
        virtual = [_virtual_type(self.prior.marginals[name], name) for name in problem.agents]
        for i, name in enumerate(problem.agents):
            probe = np.broadcast_to(problem.opt_out[i] + 1.0, (1, *problem.opt_out[i].shape)).copy()
            low, middle, high = (problem.cost(i, probe, np.asarray([v]))[0] for v in (1.0, 1.5, 2.0))
            if abs(low + high - 2.0 * middle) > 1e-9 * max(1.0, abs(high)):
                raise InputError(
                    f"Myerson(revenue_minded=True): expected a cost of {name!r} linear in its type; virtual types are defined for those"
                )
        return lambda types: problem.solve([v(t) for v, t in zip(virtual, types, strict=True)])


def _virtual_type(prior: Any, name: str) -> Callable[[Shaped[NDArray[Any], "batch"]], Float64[FloatArray, "batch"]]:
    if isinstance(prior, FinitePrior):
        order = np.argsort(np.asarray(prior.space.grid(0), dtype=np.float64))
        ranked, mass = np.asarray(prior.space.grid(0), dtype=np.float64)[order], prior.probabilities[order]
        below = np.concatenate([[0.0], np.cumsum(mass)[:-1]])
        if bool(np.any(mass <= 0.0)):
            raise InputError(f"Myerson: expected positive probabilities for every type of {name!r}")
        virtual = ranked + below / mass * np.diff(ranked, prepend=ranked[0])
        _check_regular(virtual, name)
        return lambda types: virtual[np.searchsorted(ranked, np.asarray(types, dtype=np.float64))]
    if isinstance(prior, DensityPrior) and isinstance(prior.space, Interval):

        def virtual_of(types: Shaped[NDArray[Any], "batch"]) -> Float64[FloatArray, "batch"]:
            given = np.asarray(types, dtype=np.float64)
            return given + prior.cdf(given) / prior.pdf(given)

        _check_regular(virtual_of(prior.space.grid(257)), name)
        return virtual_of
    raise InputError(f"Myerson: expected a finite prior or a density on an interval for {name!r}, got {type(prior).__name__}")


def _check_regular(virtual: Float64[FloatArray, "types"], name: str) -> None:
    if bool(np.any(np.diff(virtual) < -1e-12)):
        raise InputError(f"Myerson: expected virtual costs of {name!r} that rise with the type (a regular prior); ironing is not done")
