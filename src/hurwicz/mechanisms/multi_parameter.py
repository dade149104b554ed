"""Mechanisms whose agents have several numbers each: values of items, of bundles, of one more unit, times of tasks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from hurwicz._foundation import InputError, ShapeError
from hurwicz.mechanisms.single_parameter import batch_of, check_reports
from hurwicz.settings import AffineMaximiser, Claim, JointPrior, Lottery, Menu, Outcome, Outcomes
from hurwicz.typespaces import TypeSpace

Reports: TypeAlias = Mapping[str, Float64[np.ndarray, "batch _dims"]]
Allocation: TypeAlias = Mapping[str, Float64[np.ndarray, "batch _dims"]]
PaymentsOf: TypeAlias = Mapping[str, Float64[np.ndarray, " batch"]]
VectorRule: TypeAlias = Callable[[Reports], tuple[Allocation, PaymentsOf]]


@dataclass(frozen=True, kw_only=True)
class MultiParameterMechanism:
    """A direct mechanism over vectors of types, values linear in them.

    v_i(x; theta_i) = side_i <theta_i, x_i>: x_i marks the item, the bundle, the units or the tasks that agent i gets, and theta_i says
    what each is worth (or costs) to it. Additive, unit-demand, single-minded, marginal and XOR values are all of this form.

    Attributes:
        name: the field's name of the mechanism.
        rule: reports by agent, (batch, dims) each → (allocation by agent, (batch, dims) each; payments by agent, (batch,) each).
        prior: common prior; its spaces are the type spaces.
        sides: agent name → +1 (receives) or -1 (gives); all +1 if omitted.
        excess: how much more is allocated than there is, shape (batch,), at most 0 where feasible; not checked if omitted.
        efficient: types by agent → allocation of the greatest welfare; with it efficiency can be proved.
        guarantees: what is claimed of it, each with its source.
        formula: the rule in one line.
        source: paper, theorem.
        labels: agent name → what each component means ("item A", "units 2"), for stories and tables.
        resized: the same mechanism for other participants.
        form: the form that truthfulness follows from, where the mechanism is of one: the auditor checks it and proves by it.

    Example:
        >>> from hurwicz.settings import beliefs
        >>> from hurwicz.typespaces import Box, Uniform
        >>> both = beliefs(["a", "b"], Uniform(Box([0.0, 0.0], [1.0, 1.0])))
        >>> def first_takes_all(reports):
        ...     batch = len(reports["a"])
        ...     return {"a": np.ones((batch, 2)), "b": np.zeros((batch, 2))}, {"a": np.zeros(batch), "b": np.zeros(batch)}
        >>> mechanism = MultiParameterMechanism(name="first takes all", rule=first_takes_all, prior=both)
        >>> mechanism.value("a", mechanism.outcome({"a": [0.2, 0.3], "b": [0.9, 0.9]}), [0.2, 0.3])
        0.5
    """

    name: str
    rule: VectorRule
    prior: JointPrior
    sides: Mapping[str, float] | None = None
    excess: Callable[[Allocation], Float64[np.ndarray, " batch"]] | None = None
    efficient: Callable[[Reports], Allocation] | None = None
    guarantees: tuple[Claim, ...] = ()
    formula: str = ""
    source: str = ""
    labels: Mapping[str, Sequence[str]] | None = None
    resized: Callable[[Sequence[str]], MultiParameterMechanism] | None = None
    form: AffineMaximiser | Lottery | Menu | None = None

    def __post_init__(self) -> None:
        """Refuse sides that do not fit the agents."""
        if self.sides is not None and (set(self.sides) != set(self.agents) or any(abs(s) != 1.0 for s in self.sides.values())):
            raise InputError(f"{self.name}: expected a side of +1 or -1 for each of {list(self.agents)}, got {dict(self.sides)}")

    @property
    def agents(self) -> tuple[str, ...]:
        """Names, in order."""
        return self.prior.agents

    @property
    def type_spaces(self) -> Mapping[str, TypeSpace]:
        """Agent name → types that it may have and report."""
        return self.prior.spaces

    def side(self, agent: str) -> float:
        """+1 where the agent receives, -1 where it gives."""
        return 1.0 if self.sides is None else self.sides[agent]

    def outcomes(self, reports: Mapping[str, NDArray[Any]]) -> Outcomes:
        """Outcomes of a batch of profiles.

        Raises:
            InputError: reports that are no numbers, or not one a profile from each agent.
            ShapeError: the rule answered in another shape.
        """
        asked = batch_of(self.name, self.agents, reports, 2)
        allocation, payments = self.rule(asked)
        for name in self.agents:
            if np.shape(allocation[name]) != asked[name].shape or np.shape(payments[name]) != asked[name].shape[:1]:
                raise ShapeError(
                    f"{self.name}: expected an allocation of shape {asked[name].shape} and payments of shape {asked[name].shape[:1]} "
                    f"for {name!r}, got {np.shape(allocation[name])} and {np.shape(payments[name])}"
                )
        return Outcomes(allocation=dict(allocation), payments=dict(payments))

    def outcome(self, reports: Mapping[str, Any]) -> Outcome:
        """The outcome of one profile.

        Raises:
            InputError: a report missing, unknown or outside its type space.
        """
        check_reports(self.name, self.type_spaces, reports)
        return self.outcomes({name: np.asarray([reports[name]], dtype=np.float64) for name in self.agents}).one(0)

    def values(self, agent: str, outcomes: Outcomes, true_types: NDArray[Any]) -> Float64[np.ndarray, " batch"]:
        """side_i <theta_i, x_i> of a batch."""
        types = np.asarray(true_types, dtype=np.float64)
        return np.asarray(self.side(agent) * np.einsum("bd,bd->b", types, outcomes.allocation[agent]), dtype=np.float64)

    def value(self, agent: str, outcome: Outcome, true_type: Any) -> float:
        """side_i <theta_i, x_i>."""
        return float(self.side(agent) * np.dot(np.asarray(true_type, dtype=np.float64), outcome.allocation[agent]))

    def welfares(self, outcomes: Outcomes, true_types: Mapping[str, NDArray[Any]]) -> Float64[np.ndarray, " batch"]:
        """Sum of values of a batch."""
        return np.asarray(sum(self.values(name, outcomes, true_types[name]) for name in self.agents), dtype=np.float64)

    def welfare(self, outcome: Outcome, true_types: Mapping[str, Any]) -> float:
        """Sum of values."""
        return float(sum(self.value(name, outcome, true_types[name]) for name in self.agents))

    def welfare_bounds(self, true_types: Mapping[str, NDArray[Any]]) -> Float64[np.ndarray, " batch"]:
        """The greatest welfare at each profile, infinite where it is not known."""
        if self.efficient is None:
            return np.full(len(true_types[self.agents[0]]), np.inf)
        return self.welfares(self.efficient_outcomes(true_types), true_types)

    def efficient_outcomes(self, true_types: Mapping[str, NDArray[Any]]) -> Outcomes:
        """Outcomes of the greatest welfare that is known, with nothing paid: the mechanism's own where ``efficient`` is not given."""
        types = {name: np.asarray(true_types[name], dtype=np.float64) for name in self.agents}
        allocation = self.efficient(types) if self.efficient is not None else self.rule(types)[0]
        return Outcomes(dict(allocation), {name: np.zeros(len(types[name])) for name in self.agents})

    def in_groves_form(
        self, *, worth: Float64[np.ndarray, " _dims"] | float = 0.0, weights: Mapping[str, float] | None = None, pivot: str = ""
    ) -> MultiParameterMechanism:
        """The same mechanism, declared an affine maximiser: its allocation maximises sum_i w_i v_i(x) + sum_i <worth, x_i>.

        Args:
            worth: what each component of an allocation is worth to the planner (below 0: a reserve).
            weights: agent name → w_i; all 1, Groves' form, if omitted.
            pivot: ``"Clarke"`` or ``"leave-one-out"``, as :class:`hurwicz.settings.AffineMaximiser` says; empty for other payments.

        Source:
            T. Groves, Econometrica 41 (1973); K. Roberts, "The characterization of implementable choice rules" (1979).
        """

        def planner(outcomes: Outcomes) -> Float64[np.ndarray, " batch"]:
            each = [(np.asarray(outcomes.allocation[name], dtype=np.float64) * worth).sum(axis=1) for name in self.agents]
            return np.asarray(sum(each), dtype=np.float64)

        return replace(self, form=AffineMaximiser(dict.fromkeys(self.agents, 1.0) if weights is None else dict(weights), planner, pivot))
