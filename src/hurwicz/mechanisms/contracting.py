"""Awarding one task to agents who know their chance of success and their cost: by self-reported score, and by rules that bear it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float64, Shaped

from hurwicz._foundation import InputError, ShapeError
from hurwicz.mechanisms._arguments import number, resizer, shared_out, ties_of
from hurwicz.mechanisms.registry import Entry
from hurwicz.mechanisms.single_parameter import check_reports
from hurwicz.settings import (
    AffineMaximiser,
    Beliefs,
    Claim,
    JointPrior,
    Menu,
    Outcome,
    Outcomes,
    Participants,
    Property,
    beliefs,
    participants,
    strategyproof,
)
from hurwicz.typespaces import Box, Finite, TypeSpace, Uniform

Chances: TypeAlias = Float64[np.ndarray, "batch agents"]
Costs: TypeAlias = Float64[np.ndarray, "batch agents"]
Awards: TypeAlias = Float64[np.ndarray, "batch agents"]
Scores: TypeAlias = Float64[np.ndarray, "batch agents"]
AwardRule: TypeAlias = Callable[[Chances, Costs], tuple[Awards, Awards, Awards]]


@dataclass(frozen=True, kw_only=True)
class TaskMechanism:
    """A direct mechanism for one task: each agent reports its chance of success p and its cost c, and one of them is given the task.

    The rule answers with the award (a probability for each agent), a fee that the requester pays whatever comes of it, and a bonus paid
    only if the work passes a check. u_i = fee_i + p_i bonus_i - c_i award_i with the true p_i: an agent that overstates its chance is
    found out by the check, where there is a bonus. Welfare = sum_i award_i (V p_i - c_i).

    Outcomes hold, for each agent, (award, bonus, reported chance); payments are what it is expected to be paid if its report is true,
    and what a false report changes is in its value.

    Attributes:
        name: what the rule is called.
        rule: (chances, costs), (batch, agents) each → (award, fee, bonus), (batch, agents) each.
        prior: over (p, c) of each agent; its spaces are the type spaces.
        worth: V, what success is worth to the requester.
        guarantees: what is claimed of it, each with its source.
        formula: the rule in one line.
        source: where it is from.
        labels: what the two components of a type are.
        resized: the same mechanism for other participants.
        form: the form that truthfulness follows from, where the rule is of one: the auditor checks it and proves by it.

    Example:
        >>> import numpy as np
        >>> rule = contract_net(["honest", "bold"], fee=1.0)
        >>> told = rule.outcome({"honest": [0.9, 0.3], "bold": [1.0, 0.0]})
        >>> told.allocation["bold"][0].item(), rule.value("bold", told, [0.2, 0.1]), told.payments["bold"]
        (1.0, -0.1, -1.0)
    """

    name: str
    rule: AwardRule
    prior: JointPrior
    worth: float = 1.0
    guarantees: tuple[Claim, ...] = ()
    formula: str = ""
    source: str = ""
    labels: Mapping[str, Sequence[str]] | None = None
    resized: Callable[[Sequence[str]], TaskMechanism] | None = None
    form: AffineMaximiser | Menu | None = None

    @property
    def agents(self) -> tuple[str, ...]:
        """Names, in order."""
        return self.prior.agents

    @property
    def type_spaces(self) -> Mapping[str, TypeSpace]:
        """Agent name → the (chance, cost) that it may have and report."""
        return self.prior.spaces

    def decide(self, chances: Chances, costs: Costs) -> tuple[Awards, Awards, Awards]:
        """Award, fee and bonus for a batch of reports.

        Raises:
            ShapeError: the rule answered in another shape.
        """
        answer = self.rule(chances, costs)
        for what, array in zip(("award", "fee", "bonus"), answer, strict=True):
            if np.shape(array) != chances.shape:
                raise ShapeError(f"{self.name}: expected {what} of shape {chances.shape} (batch, agents), got {np.shape(array)}")
        return answer

    def outcomes(self, reports: Mapping[str, Shaped[np.ndarray, "batch two"]]) -> Outcomes:
        """Outcomes of a batch of profiles."""
        asked = np.stack([np.asarray(reports[name], dtype=np.float64) for name in self.agents], axis=1)
        award, fee, bonus = self.decide(asked[..., 0], asked[..., 1])
        return Outcomes(
            allocation={n: np.stack([award[:, i], bonus[:, i], asked[:, i, 0]], axis=1) for i, n in enumerate(self.agents)},
            payments={n: -fee[:, i] - asked[:, i, 0] * bonus[:, i] for i, n in enumerate(self.agents)},
        )

    def outcome(self, reports: Mapping[str, Any]) -> Outcome:
        """The outcome of one profile.

        Raises:
            InputError: a report missing, unknown or outside its type space.
        """
        check_reports(self.name, self.type_spaces, reports)
        return self.outcomes({name: np.asarray([reports[name]], dtype=np.float64) for name in self.agents}).one(0)

    def values(self, agent: str, outcomes: Outcomes, true_types: Shaped[np.ndarray, "batch two"]) -> Float64[np.ndarray, " batch"]:
        """(p - reported p) bonus - c award of a batch."""
        award, bonus, told = np.moveaxis(outcomes.allocation[agent], 1, 0)
        return np.asarray((true_types[:, 0] - told) * bonus - true_types[:, 1] * award, dtype=np.float64)

    def value(self, agent: str, outcome: Outcome, true_type: Any) -> float:
        """(p - reported p) bonus - c award."""
        award, bonus, told = outcome.allocation[agent]
        return float((true_type[0] - told) * bonus - true_type[1] * award)

    def welfares(self, outcomes: Outcomes, true_types: Mapping[str, Shaped[np.ndarray, "batch two"]]) -> Float64[np.ndarray, " batch"]:
        """Sum of award (V p - c) of a batch."""
        parts = [
            outcomes.allocation[n][:, 0] * (self.worth * np.asarray(true_types[n])[:, 0] - np.asarray(true_types[n])[:, 1])
            for n in self.agents
        ]
        return np.asarray(sum(parts), dtype=np.float64)

    def welfare(self, outcome: Outcome, true_types: Mapping[str, Any]) -> float:
        """Sum of award (V p - c)."""
        return float(sum(outcome.allocation[n][0] * (self.worth * true_types[n][0] - true_types[n][1]) for n in self.agents))

    def welfare_bounds(self, true_types: Mapping[str, Shaped[np.ndarray, "batch two"]]) -> Float64[np.ndarray, " batch"]:
        """max(0, max_i V p_i - c_i) at each profile."""
        nets = [self.worth * np.asarray(true_types[n])[:, 0] - np.asarray(true_types[n])[:, 1] for n in self.agents]
        return np.asarray(np.maximum(0.0, np.max(nets, axis=0)), dtype=np.float64)

    def efficient_outcomes(self, true_types: Mapping[str, Shaped[np.ndarray, "batch two"]]) -> Outcomes:
        """The task to whoever has the greatest V p - c above 0, with nothing paid."""
        types = np.stack([np.asarray(true_types[name], dtype=np.float64) for name in self.agents], axis=1)
        net = self.worth * types[..., 0] - types[..., 1]
        award = shared_out("order", net) * (net.max(axis=1, keepdims=True) > 0.0)
        none = np.zeros(len(net))
        return Outcomes(
            {n: np.stack([award[:, i], none, types[:, i, 0]], axis=1) for i, n in enumerate(self.agents)},
            dict.fromkeys(self.agents, none),
        )

    def planner_values(self, outcomes: Outcomes) -> Float64[np.ndarray, " batch"]:
        """What the requester expects the work to be worth if the reports are true."""
        return np.asarray(
            sum(self.worth * outcomes.allocation[n][:, 0] * outcomes.allocation[n][:, 2] for n in self.agents), dtype=np.float64
        )

    def excess(self, allocation: Mapping[str, Shaped[np.ndarray, "batch three"]]) -> Float64[np.ndarray, " batch"]:
        """How much more of the task is awarded than there is."""
        return np.asarray(sum(allocation[n][:, 0] for n in self.agents) - 1.0, dtype=np.float64)


def task_mechanism(
    name: str, rule: AwardRule, agents: Participants, *, prior: Beliefs = None, worth: float = 1.0, **more: Any
) -> TaskMechanism:
    """An award rule of one's own, from a function of the reported chances and costs.

    Args:
        name: what it is called in tables.
        rule: (chances, costs), (batch, agents) each → (award, fee, bonus), (batch, agents) each.
        agents: how many, or their names.
        prior: over (chance, cost); uniform on the unit square if omitted.
        worth: of success to the requester.
        more: further fields of :class:`TaskMechanism`.

    Raises:
        InputError: types that are not a chance in [0, 1] and a cost of at least 0.

    Example:
        >>> first = lambda p, c: (np.eye(p.shape[1])[[0] * len(p)], 0 * p, 0 * p)
        >>> mine = task_mechanism("always the first", first, ["ann", "bob"])
        >>> mine.outcome({"ann": [0.1, 0.9], "bob": [1.0, 0.0]}).allocation["ann"][0].item()
        1.0
    """
    names = participants(agents, "agent")
    joint = beliefs(names, Uniform(Box([0.0, 0.0], [1.0, 1.0])) if prior is None else prior)
    for agent, space in joint.spaces.items():
        corners = (
            np.asarray(space.grid(2), dtype=np.float64) if not (isinstance(space, Finite) and space.values.dtype == object) else np.zeros(1)
        )
        if corners.ndim != 2 or corners.shape[1] != 2 or bool((corners < 0.0).any()) or bool((corners[:, 0] > 1.0).any()):
            raise InputError(f"{name}: expected types (chance of success in [0, 1], cost >= 0), got {space!r} for {agent!r}")
    value = number(name, "worth", worth)
    labels = dict.fromkeys(names, ("chance of success", "cost"))
    return TaskMechanism(name=name, rule=rule, prior=joint, worth=value, labels=labels, **more)


def contract_net(
    agents: Participants = 2,
    *,
    prior: Beliefs = None,
    worth: float = 1.0,
    fee: float = 1.0,
    score: str = "confidence/cost",
    ties: str = "order",
) -> TaskMechanism:
    """Contract net as agent frameworks award today: the best self-reported score gets the task, and nobody checks.

    Award to argmax_i p_i / max(c_i, 1e-6) ("confidence/cost") or argmax_i p_i ("confidence"); the winner is paid the fee and charged
    nothing. An agent that reports (1, 0) always wins.

    Args:
        agents: how many, or their names, in the order in which they are called.
        prior: over (chance of success, cost); uniform on the unit square if omitted.
        worth: of success to the requester.
        fee: what winning is worth to an agent, before its cost: a flat fee, usage, standing.
        score: ``"confidence/cost"`` or ``"confidence"``.
        ties: ``"order"`` of calling, or ``"lottery"``.

    Raises:
        InputError: another score, or types that are not a chance and a cost.

    Example:
        >>> net = contract_net(["honest", "bold"])
        >>> net.outcome({"honest": [0.9, 0.1], "bold": [1.0, 0.0]}).allocation["bold"][0].item()
        1.0

    Source:
        R. G. Smith, "The contract net protocol", IEEE Transactions on Computers C-29 (1980), with a score in place of a price.
    """
    if score not in ("confidence/cost", "confidence"):
        raise InputError(f"contract_net: expected score to be 'confidence/cost' or 'confidence', got {score!r}")
    paid = number("contract net", "fee", fee)
    ties_of("contract net", ties)

    def rule(chances: Chances, costs: Costs) -> tuple[Awards, Awards, Awards]:
        award = shared_out(ties, chances / np.maximum(costs, 1e-6) if score == "confidence/cost" else chances)
        return award, paid * award, np.zeros_like(award)

    source = "by audit: see the gallery of award rules"
    claims = [
        Claim(Property.DSIC, False, "nothing that is reported is checked or paid for", source),
        Claim(Property.BIC, False, "", source),
        Claim(Property.EFFICIENCY, False, "even if all tell the truth: the best ratio is not the best difference", source),
    ]
    return task_mechanism(
        "contract net",
        rule,
        agents,
        prior=prior,
        worth=worth,
        guarantees=tuple(claims),
        formula="award to argmax p / max(c, 1e-6), at a flat fee" if score == "confidence/cost" else "award to argmax p, at a flat fee",
        source="R. G. Smith, IEEE Transactions on Computers C-29 (1980), awarded by score",
        resized=resizer(contract_net, prior, worth=worth, fee=fee, score=score, ties=ties),
    )


def verified_vcg(agents: Participants = 2, *, prior: Beliefs = None, worth: float = 1.0, ties: str = "lottery") -> TaskMechanism:
    """VCG paid on verified success: the task to the greatest V p - c, who gets V if the work passes and pays the second best.

    bonus = V on success, fee = -max(0, max_{j != i} V p_j - c_j): winning is worth V p_i - c_i less what the task would have been worth
    to the requester with anybody else, at the true chance whatever was reported. So chances and costs are told truthfully.

    Args:
        agents: how many, or their names.
        prior: over (chance of success, cost); uniform on the unit square if omitted.
        worth: V, of success to the requester.
        ties: ``"lottery"`` or ``"order"``.

    Raises:
        InputError: types that are not a chance and a cost.

    Example:
        >>> told = verified_vcg(["ann", "bob"]).outcome({"ann": [0.9, 0.1], "bob": [0.7, 0.2]})
        >>> told.allocation["ann"][:2].tolist(), round(told.payments["ann"], 9)  # 1 if it passes, less .5: .4 expected
        ([1.0, 1.0], -0.4)

    Source:
        R. Porter, A. Ronen, Y. Shoham and M. Tennenholtz, "Fault tolerant mechanism design", Artificial Intelligence 172 (2008), Theorem 2.
    """
    ties_of("verified VCG", ties)

    def rule(chances: Chances, costs: Costs) -> tuple[Awards, Awards, Awards]:
        net = worth * chances - costs
        with_none = np.concatenate([net, np.zeros((len(net), 1))], axis=1)
        award = shared_out(ties, with_none)[:, :-1]
        order = np.sort(with_none, axis=1)
        runner_up = np.where(net >= order[:, -1:], order[:, -2:-1], order[:, -1:])
        return award, -award * runner_up, worth * award

    source = "Porter, Ronen, Shoham and Tennenholtz 2008, Theorem 2"
    made = task_mechanism(
        "verified VCG",
        rule,
        agents,
        prior=prior,
        worth=worth,
        guarantees=(
            *strategyproof(source, "success is verified"),
            Claim(Property.EX_POST_IR, True, "in expectation over the agent's own success", source),
            Claim(Property.EFFICIENCY, True, "", source),
            Claim(Property.PLANNER_IR, True, "the requester keeps what the task is worth with the second best", source),
        ),
        formula="award to argmax V p - c; V on success, less max(0, second best V p - c)",
        source="R. Porter, A. Ronen, Y. Shoham, M. Tennenholtz, Artificial Intelligence 172 (2008)",
        resized=resizer(verified_vcg, prior, worth=worth, ties=ties),
    )
    return replace(made, form=AffineMaximiser(dict.fromkeys(made.agents, 1.0), made.planner_values, "leave-one-out"))


def lowest_ask_paid_on_pass(
    agents: Participants = 2, *, prior: Beliefs = None, worth: float = 1.0, pay: str = "second ask", ties: str = "lottery"
) -> TaskMechanism:
    """Lowest ask, paid only if the work passes: a_i = c_i / p_i is what an agent has to be paid on success to cover its cost.

    Award to argmin_i a_i among a_i <= V; on success it gets the second lowest ask (V if there is none): ``pay="second ask"``, truthful; or
    its own: ``pay="own ask"``, a first-price rule.

    Args:
        agents: how many, or their names.
        prior: over (chance of success, cost); uniform on the unit square if omitted.
        worth: V, the highest ask that is taken.
        pay: ``"second ask"`` or ``"own ask"``.
        ties: ``"lottery"`` or ``"order"``.

    Raises:
        InputError: another word for ``pay``, or types that are not a chance and a cost.

    Example:
        >>> told = lowest_ask_paid_on_pass(["ann", "bob"]).outcome({"ann": [0.5, 0.2], "bob": [0.9, 0.45]})
        >>> told.allocation["ann"][1].item()  # ann asks .4, bob .5: .5 if ann's work passes
        0.5

    Source:
        Vickrey's auction (1961) in the currency of payments on success. It is not efficient: the lowest c/p is not the greatest V p - c.
    """
    name = "lowest ask paid on pass"
    if pay not in ("second ask", "own ask"):
        raise InputError(f"{name}: expected pay to be 'second ask' or 'own ask', got {pay!r}")
    ties_of(name, ties)

    def rule(chances: Chances, costs: Costs) -> tuple[Awards, Awards, Awards]:
        ask = _asks(chances, costs, worth)
        takes = np.isfinite(ask)
        award = shared_out(ties, np.where(takes, -ask, -2.0 * worth - 1.0)) * takes
        others = np.sort(np.concatenate([np.where(takes, ask, worth), np.full((len(ask), 1), worth)], axis=1), axis=1)
        second = np.where(ask <= others[:, :1], others[:, 1:2], others[:, :1])
        price = second if pay == "second ask" else np.where(takes, ask, 0.0)
        return award, np.zeros_like(award), award * price

    def offers(
        _: str, others: Mapping[str, Shaped[np.ndarray, "batch two"]]
    ) -> tuple[Float64[np.ndarray, "batch offers three"], Float64[np.ndarray, "batch offers"]]:
        # nothing, or the task (a part of it, where asks tie) at the lowest ask of the others, paid on success
        asks = [_asks(np.asarray(told)[:, 0], np.asarray(told)[:, 1], worth) for told in others.values()]
        price = np.minimum(worth, np.min(asks, axis=0)) if asks else np.asarray([worth])
        award = np.tile(np.concatenate([[0.0], 1.0 / np.arange(1.0, len(others) + 2.0)]), (len(price), 1))
        return np.stack([award, award * price[:, None], np.zeros(award.shape)], axis=2), np.zeros(award.shape)

    truthful = pay == "second ask"
    source = "Vickrey 1961, in payments on success"
    return task_mechanism(
        name,
        rule,
        agents,
        prior=prior,
        worth=worth,
        guarantees=(
            Claim(Property.DSIC, truthful, "what is paid on success does not depend on one's own report", source),
            Claim(Property.BIC, truthful, "", source),
            Claim(Property.EX_POST_IR, True, "in expectation over the agent's own success", source),
            Claim(Property.PLANNER_IR, True, "asks above V are not taken", source),
            Claim(Property.EFFICIENCY, False, "the lowest c/p is not the greatest V p - c", source),
        ),
        formula=f"award to argmin c/p <= V; on success, {'the second lowest ask' if truthful else 'its own ask'}",
        source="W. Vickrey, Journal of Finance 16 (1961), paid on success",
        resized=resizer(lowest_ask_paid_on_pass, prior, worth=worth, pay=pay, ties=ties),
        form=Menu(offers, paying=False) if truthful else None,
    )


def _asks(chances: Float64[np.ndarray, "*batch"], costs: Float64[np.ndarray, "*batch"], worth: float) -> Float64[np.ndarray, "*batch"]:
    # what covers the cost if it is paid on success alone; infinite above the worth
    ask = np.where(chances * worth >= costs, costs / np.where(chances > 0.0, chances, 1.0), np.inf)
    return np.asarray(np.where(chances > 0.0, ask, np.inf), dtype=np.float64)


ENTRIES: tuple[Entry, ...] = (
    Entry("contract_net", "tasks", contract_net),
    Entry("verified_vcg", "tasks", verified_vcg, least=1),
    Entry("lowest_ask_paid_on_pass", "tasks", lowest_ask_paid_on_pass),
)
