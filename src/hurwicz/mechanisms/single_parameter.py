"""Mechanisms whose agents have one number each: a rule from bids to shares and payments."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, cast

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from hurwicz._foundation import InputError, ShapeError
from hurwicz.mechanisms.critical_payments import CriticalRule
from hurwicz.settings import (
    AffineMaximiser,
    Beliefs,
    Claim,
    JointPrior,
    Lottery,
    Menu,
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
RevenueBound: TypeAlias = Callable[[JointPrior], float | None]
_PAYMENTS = ("rule", "critical")


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
        revenue_bound: the greatest expected revenue of any mechanism of the class, or a function of the prior that knows it (None where
            it does not): an alarm where truthful reports seem to earn more.

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
    form: AffineMaximiser | PaymentIdentity | Lottery | Menu | None = None
    revenue_bound: float | RevenueBound | None = None

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

    def bids(self, reports: Mapping[str, NDArray[Any]]) -> Bids:
        """A batch of reports as one array, agents in order.

        Raises:
            InputError: agents missing or unknown, reports that are no numbers or not one a profile for each agent.
        """
        each = batch_of(self.name, self.agents, reports, 1)
        return np.stack([each[name] for name in self.agents], axis=1)

    def decide(self, bids: Bids) -> tuple[Shares, Payments]:
        """Shares and payments for a batch of bids.

        Raises:
            ShapeError: the rule answered in another shape.
        """
        answer: Any = self.rule(bids)
        if not isinstance(answer, tuple) or len(answer) != 2:
            raise ShapeError(f"{self.name}: expected (shares, payments) from the rule, got {type(answer).__name__}")
        shares, payments = answer
        for what, array in (("shares", shares), ("payments", payments)):
            if np.shape(array) != bids.shape:
                raise ShapeError(f"{self.name}: expected {what} of shape {bids.shape} (batch, agents), got {np.shape(array)}")
        return shares, payments

    def outcomes(self, reports: Mapping[str, NDArray[Any]]) -> Outcomes:
        """Outcomes of a batch of profiles; reports need not be types, for equilibria ask for bids between them.

        Raises:
            InputError: reports that are no numbers, or not one a profile from each agent.
            ShapeError: the rule answered in another shape.
        """
        shares, payments = self.decide(self.bids(reports))
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
        """The same rule under other beliefs (and hence type spaces); a bound on revenue that is a number was about the old ones."""
        common = beliefs(self.agents, prior)
        over = getattr(self.rule, "over", None)  # of a rule that knows the types
        rule: Rule = self.rule if over is None else over(common)
        form = self.form
        if isinstance(form, Lottery):  # whose parts are for the same types
            form = Lottery([(p, part.with_prior(prior) if isinstance(part, SingleParameterMechanism) else part) for p, part in form.parts])
        return replace(self, prior=common, rule=rule, form=form, revenue_bound=self.revenue_bound if callable(self.revenue_bound) else None)

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
    rule: Rule | Callable[[Bids], Shares],
    agents: Participants,
    *,
    prior: Beliefs = None,
    sides: Sequence[float] | None = None,
    supply: float | None = 1.0,
    payments: str = "rule",
    **more: Any,
) -> SingleParameterMechanism:
    """A mechanism of one's own from a function of bids.

    Args:
        name: what it is called in tables.
        rule: bids (batch, agents) → (shares, payments) of the same shape; with ``payments="critical"`` → shares alone.
        agents: how many, or their names.
        prior: one prior for all, one an agent or a joint one; uniform on [0, 1] if omitted.
        sides: +1 for each who receives, -1 for each who gives; all +1 if omitted.
        supply: how much there is to hand out (to have done) in all: one item unless said otherwise. Where some receive and some give, how
            much each of those has: together no more is received than they give. ``None`` where what one gets takes nothing from another
            (a public good); ``excess=`` says anything else.
        payments: ``"rule"``, the rule's own, or ``"critical"``: those that Myerson's identity gives the shares, and that make the truth
            dominant where each share rises with the own bid (:class:`CriticalRule`). They are
            declared to be of that form, so that the auditor can prove it.
        more: further fields of :class:`SingleParameterMechanism`.

    Raises:
        InputError: names given twice, a prior or sides that do not fit, a supply below 0 or beside ``excess``, unknown payments.

    Example:
        >>> dictator = single_parameter("dictator", lambda b: (np.eye(b.shape[1])[[0] * len(b)], 0 * b), 3)
        >>> float(dictator.outcome({"bidder 1": 0.1, "bidder 2": 0.9, "bidder 3": 0.9}).allocation["bidder 1"])
        1.0
        >>> highest = single_parameter("highest", lambda b: np.eye(2)[b.argmax(axis=1)], 2, payments="critical")
        >>> round(highest.outcome({"bidder 1": 0.3, "bidder 2": 0.9}).payments["bidder 2"], 12)
        0.3

    Source:
        R. Myerson, "Optimal auction design", Mathematics of Operations Research 6 (1981), Lemma 2, for critical payments.
    """
    names = participants(agents)
    common = beliefs(names, prior)
    each = np.ones(len(names)) if sides is None else np.asarray(sides, dtype=np.float64)
    if supply is not None and not (np.isfinite(supply) and supply >= 0.0):
        raise InputError(f"{name}: expected a finite supply >= 0, or None where there is no limit, got {supply!r}")
    if payments not in _PAYMENTS:
        raise InputError(f"{name}: expected payments to be one of {list(_PAYMENTS)}, got {payments!r}")
    if more.get("excess") is None:
        more["excess"] = None if supply is None else _more_than(float(supply), each)
    elif supply not in (None, 1.0):
        raise InputError(f"{name}: expected a supply or an excess, got both; excess alone says how much there is")
    if payments == "critical":
        rule = CriticalRule(cast("Callable[[Bids], Shares]", rule), each, common.spaces)
        more.setdefault("form", PaymentIdentity(paying=bool((each > 0.0).all())))
    return SingleParameterMechanism(name=name, rule=cast("Rule", rule), prior=common, sides=each, **more)


def _more_than(supply: float, sides: Float64[np.ndarray, " agents"]) -> Callable[[Shares], Float64[np.ndarray, " batch"]]:
    # what somebody would get below 0 is taken from nobody: it leaves no more for the others
    def excess(shares: Shares) -> Float64[np.ndarray, " batch"]:
        got = np.maximum(shares, 0.0)
        received, given = got[:, sides > 0.0], got[:, sides < 0.0]
        if given.shape[1] == 0 or received.shape[1] == 0:
            return np.asarray(got.sum(axis=1) - supply, dtype=np.float64)
        return np.asarray(np.maximum(received.sum(axis=1) - given.sum(axis=1), given.max(axis=1) - supply), dtype=np.float64)

    return excess


def batch_of(mechanism: str, agents: Sequence[str], reports: Mapping[str, Any], axes: int) -> dict[str, Float64[np.ndarray, "batch *type"]]:
    """A batch of reports as arrays of numbers with ``axes`` axes, of one length.

    Raises:
        InputError: agents missing or unknown, reports that are no numbers, another number of axes, batches of different lengths.
    """
    if set(reports) != set(agents):
        missing, unknown = sorted(set(agents) - set(reports)), sorted(set(reports) - set(agents), key=str)
        raise InputError(f"{mechanism}: expected reports from each of {list(agents)}, missing {missing}, unknown {unknown}")
    try:
        each = {name: np.asarray(reports[name], dtype=np.float64) for name in agents}
    except (TypeError, ValueError) as error:
        raise InputError(f"{mechanism}: expected an array of numbers from every agent ({error})") from error
    shapes = {name: array.shape for name, array in each.items()}
    if any(len(shape) != axes for shape in shapes.values()) or len({shape[0] for shape in shapes.values()}) != 1:
        wanted = "(batch,)" if axes == 1 else "(batch, components)"
        shown = dict(list(shapes.items())[:4])
        raise InputError(f"{mechanism}: expected reports of shape {wanted} from every agent, batches of one length, got shapes {shown}")
    return each


def check_reports(mechanism: str, spaces: Mapping[str, TypeSpace], reports: Mapping[str, Any]) -> None:
    """Raise ``InputError`` unless there is a report in its type space for every agent and for nobody else."""
    given: object = reports
    if not isinstance(given, Mapping):
        raise InputError(f"{mechanism}: expected reports by agent, {{name: report}}, got {given!r}")
    if set(reports) != set(spaces):
        missing, unknown = sorted(set(spaces) - set(reports)), sorted(set(reports) - set(spaces), key=str)
        raise InputError(f"{mechanism}: expected one report from each of {list(spaces)}, missing {missing}, unknown {unknown}")
    for name, space in spaces.items():
        if not space.contains(reports[name]):
            raise InputError(f"{mechanism}: expected a report of {name!r} in {space!r}, got {reports[name]!r}")
