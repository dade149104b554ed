"""Mechanisms whose agents have one number each: a rule from bids to shares and payments."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from hurwicz._foundation import InputError, ShapeError
from hurwicz.settings import (
    AffineMaximiser,
    Beliefs,
    Claim,
    JointPrior,
    Outcome,
    Outcomes,
    Participants,
    PaymentIdentity,
    beliefs,
    participants,
)
from hurwicz.typespaces import TypeSpace

Bids: TypeAlias = Float64[np.ndarray, "batch agents"]
Shares: TypeAlias = Float64[np.ndarray, "batch agents"]
Payments: TypeAlias = Float64[np.ndarray, "batch agents"]
Rule: TypeAlias = Callable[[Bids], tuple[Shares, Payments]]


@dataclass(frozen=True, kw_only=True)
class SingleParameterMechanism:
    """A direct mechanism over single-parameter types, which the auditor, the equilibria and the reports take.

    v_i(x; theta_i) = side_i theta_i x_i, side +1 for who receives (a buyer, a beneficiary) and -1 for who gives (a seller, a worker);
    u_i = v_i - t_i; welfare = sum_i v_i - cost(x).

    Attributes:
        name: the field's name of the mechanism.
        rule: bids → (shares, payments), a batch of profiles at once; payments go from the agent to the mechanism.
        prior: common prior; its spaces are the type spaces.
        sides: +1 or -1 for each agent.
        cost: planner's cost of providing ``shares``, shape (batch,); none if omitted.
        excess: how much more is allocated than there is, shape (batch,), at most 0 where feasible; not checked if omitted.
        efficient: types (batch, agents) → shares of the greatest welfare; with it efficiency can be proved.
        guarantees: what is claimed of it, each with its source.
        formula: the rule in one line.
        source: paper, theorem.
        resized: the same mechanism for other participants: what false names and shill bids need.
        form: the form that truthfulness follows from, where the mechanism is of one: the auditor checks it and proves by it.

    Example:
        >>> import numpy as np
        >>> def highest_bid_wins_and_pays_it(bids):
        ...     wins = (np.arange(bids.shape[1]) == bids.argmax(axis=1)[:, None]).astype(float)
        ...     return wins, wins * bids
        >>> mine = single_parameter("mine", highest_bid_wins_and_pays_it, 2)
        >>> outcome = mine.outcome({"bidder 1": 0.5, "bidder 2": 0.8})
        >>> outcome.payments["bidder 2"], mine.value("bidder 2", outcome, 0.9)
        (0.8, 0.9)
    """

    name: str
    rule: Rule
    prior: JointPrior
    sides: Float64[np.ndarray, " agents"]
    cost: Callable[[Shares], Float64[np.ndarray, " batch"]] | None = None
    excess: Callable[[Shares], Float64[np.ndarray, " batch"]] | None = None
    efficient: Callable[[Float64[np.ndarray, "batch agents"]], Shares] | None = None
    guarantees: tuple[Claim, ...] = ()
    formula: str = ""
    source: str = ""
    resized: Callable[[Sequence[str]], SingleParameterMechanism] | None = None
    form: AffineMaximiser | PaymentIdentity | None = None

    def __post_init__(self) -> None:
        """Refuse sides that do not fit the agents."""
        if self.sides.shape != (len(self.agents),) or not bool(np.all(np.abs(self.sides) == 1.0)):
            raise InputError(f"{self.name}: expected a side of +1 or -1 for each of {len(self.agents)} agents, got {self.sides.tolist()}")

    @property
    def agents(self) -> tuple[str, ...]:
        """Names, in order."""
        return self.prior.agents

    @property
    def type_spaces(self) -> Mapping[str, TypeSpace]:
        """Agent name → types that it may have and report."""
        return self.prior.spaces

    def matrix(self, profile: Mapping[str, NDArray[Any]]) -> Bids:
        """A batch of profiles as one array, agents in order."""
        return np.stack([np.asarray(profile[name], dtype=np.float64) for name in self.agents], axis=1)

    def decide(self, bids: Bids) -> tuple[Shares, Payments]:
        """Shares and payments for a batch of bids.

        Raises:
            ShapeError: the rule answered in another shape.
        """
        shares, payments = self.rule(bids)
        for what, array in (("shares", shares), ("payments", payments)):
            if np.shape(array) != bids.shape:
                raise ShapeError(f"{self.name}: expected {what} of shape {bids.shape} (batch, agents), got {np.shape(array)}")
        return shares, payments

    def outcomes(self, reports: Mapping[str, NDArray[Any]]) -> Outcomes:
        """Outcomes of a batch of profiles."""
        shares, payments = self.decide(self.matrix(reports))
        return Outcomes(
            allocation={name: shares[:, i] for i, name in enumerate(self.agents)},
            payments={name: payments[:, i] for i, name in enumerate(self.agents)},
        )

    def outcome(self, reports: Mapping[str, Any]) -> Outcome:
        """The outcome of one profile.

        Raises:
            InputError: a report missing, unknown or outside its type space.
        """
        check_reports(self.name, self.type_spaces, reports)
        return self.outcomes({name: np.asarray([reports[name]], dtype=np.float64) for name in self.agents}).one(0)

    def values(self, agent: str, outcomes: Outcomes, true_types: NDArray[Any]) -> Float64[np.ndarray, " batch"]:
        """side_i theta_i x_i of a batch."""
        return np.asarray(self.sides[self.agents.index(agent)] * true_types * outcomes.allocation[agent], dtype=np.float64)

    def value(self, agent: str, outcome: Outcome, true_type: Any) -> float:
        """side_i theta_i x_i."""
        return float(self.sides[self.agents.index(agent)] * true_type * outcome.allocation[agent])

    def welfares(self, outcomes: Outcomes, true_types: Mapping[str, NDArray[Any]]) -> Float64[np.ndarray, " batch"]:
        """sum_i side_i theta_i x_i - cost(x) of a batch."""
        return self._welfare(self.matrix(outcomes.allocation), self.matrix(true_types))

    def welfare(self, outcome: Outcome, true_types: Mapping[str, Any]) -> float:
        """sum_i side_i theta_i x_i - cost(x)."""
        shares = np.asarray([[float(outcome.allocation[name]) for name in self.agents]])
        return float(self._welfare(shares, np.asarray([[float(true_types[name]) for name in self.agents]]))[0])

    def welfare_bounds(self, true_types: Mapping[str, NDArray[Any]]) -> Float64[np.ndarray, " batch"]:
        """The greatest welfare at each profile, infinite where it is not known in closed form."""
        types = self.matrix(true_types)
        return np.full(len(types), np.inf) if self.efficient is None else self._welfare(self.efficient(types), types)

    def efficient_outcomes(self, true_types: Mapping[str, NDArray[Any]]) -> Outcomes:
        """Outcomes of the greatest welfare that is known, with nothing paid: the mechanism's own where there is no closed form."""
        types = self.matrix(true_types)
        shares = self.efficient(types) if self.efficient is not None else self.decide(types)[0]
        return Outcomes({n: shares[:, i] for i, n in enumerate(self.agents)}, {n: np.zeros(len(types)) for n in self.agents})

    @property
    def planner_is_indifferent(self) -> bool:
        """Whether every outcome is worth 0 to the planner: no cost is declared."""
        return self.cost is None

    def planner_values(self, outcomes: Outcomes) -> Float64[np.ndarray, " batch"]:
        """-cost(x) of a batch."""
        shares = self.matrix(outcomes.allocation)
        return np.zeros(len(shares)) if self.cost is None else -self.cost(shares)

    def with_prior(self, prior: Beliefs) -> SingleParameterMechanism:
        """The same rule under other beliefs (and hence type spaces)."""
        return replace(self, prior=beliefs(self.agents, prior))

    def in_groves_form(self, *, charge: float = 0.0, pivot: str = "") -> SingleParameterMechanism:
        """The same mechanism, declared to be of Groves' form: shares maximise sum_i side_i theta_i x_i - cost(x) - charge sum_i x_i.

        Args:
            charge: what the planner sets against every share beside its cost: a reserve.
            pivot: ``"Clarke"`` or ``"leave-one-out"``, as :class:`hurwicz.settings.AffineMaximiser` says; empty for other payments.

        Source:
            T. Groves, Econometrica 41 (1973).
        """

        def planner(outcomes: Outcomes) -> Float64[np.ndarray, " batch"]:
            return np.asarray(self.planner_values(outcomes) - charge * self.matrix(outcomes.allocation).sum(axis=1))

        return replace(self, form=AffineMaximiser(dict.fromkeys(self.agents, 1.0), planner, pivot))

    def _welfare(self, shares: Shares, types: Float64[np.ndarray, "batch agents"]) -> Float64[np.ndarray, " batch"]:
        gross: Float64[np.ndarray, " batch"] = (self.sides * types * shares).sum(axis=1)
        return gross if self.cost is None else gross - self.cost(shares)


def single_parameter(
    name: str,
    rule: Rule,
    agents: Participants,
    *,
    prior: Beliefs = None,
    sides: Sequence[float] | None = None,
    **more: Any,
) -> SingleParameterMechanism:
    """A mechanism of one's own from a function of bids.

    Args:
        name: what it is called in tables.
        rule: bids (batch, agents) → (shares, payments) of the same shape.
        agents: how many, or their names.
        prior: one prior for all, one an agent or a joint one; uniform on [0, 1] if omitted.
        sides: +1 for each who receives, -1 for each who gives; all +1 if omitted.
        more: further fields of :class:`SingleParameterMechanism`.

    Raises:
        InputError: names given twice, a prior or sides that do not fit.

    Example:
        >>> dictator = single_parameter("dictator", lambda b: (np.eye(b.shape[1])[[0] * len(b)], 0 * b), 3)
        >>> float(dictator.outcome({"bidder 1": 0.1, "bidder 2": 0.9, "bidder 3": 0.9}).allocation["bidder 1"])
        1.0
    """
    names = participants(agents)
    return SingleParameterMechanism(
        name=name,
        rule=rule,
        prior=beliefs(names, prior),
        sides=np.ones(len(names)) if sides is None else np.asarray(sides, dtype=np.float64),
        **more,
    )


def check_reports(mechanism: str, spaces: Mapping[str, TypeSpace], reports: Mapping[str, Any]) -> None:
    """Raise ``InputError`` unless there is a report in its type space for every agent and for nobody else."""
    if set(reports) != set(spaces):
        missing, unknown = sorted(set(spaces) - set(reports)), sorted(set(reports) - set(spaces))
        raise InputError(f"{mechanism}: expected one report from each of {list(spaces)}, missing {missing}, unknown {unknown}")
    for name, space in spaces.items():
        if not space.contains(reports[name]):
            raise InputError(f"{mechanism}: expected a report of {name!r} in {space!r}, got {reports[name]!r}")
