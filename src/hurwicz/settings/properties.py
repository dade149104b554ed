"""The properties a mechanism may have, by the field's names, and claims about them."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Property(enum.StrEnum):
    """What the auditor can be asked about. Utilities are net of opting out; payments go from agents to the mechanism."""

    DSIC = "DSIC"
    BIC = "BIC"
    EX_POST_IR = "ex_post_IR"
    INTERIM_IR = "interim_IR"
    EX_ANTE_IR = "ex_ante_IR"
    STRONG_BUDGET_BALANCE = "strong_budget_balance"
    WEAK_BUDGET_BALANCE = "weak_budget_balance"
    PLANNER_IR = "planner_IR"
    EFFICIENCY = "efficiency"
    FEASIBILITY = "feasibility"
    EX_POST_IC = "ex_post_IC"
    MONOTONICITY = "monotonicity"
    STRONG_BUDGET_BALANCE_IN_EXPECTATION = "strong_budget_balance_in_expectation"
    WEAK_BUDGET_BALANCE_IN_EXPECTATION = "weak_budget_balance_in_expectation"
    REVENUE_WITHIN_BOUND = "revenue_within_bound"
    ENVY_FREENESS = "envy_freeness"
    ANONYMITY = "anonymity"
    COLLUSION_PROOF_PAIRS = "collusion_proof_pairs"
    FALSE_NAME_PROOF = "false_name_proof"
    SHILL_PROOF = "shill_proof"
    CREDIBLE = "credible"

    @property
    def meaning(self) -> str:
        """One sentence: what has to hold."""
        return _MEANINGS[self]


_MEANINGS = {
    Property.DSIC: "telling the truth is a best response whatever the others report",
    Property.BIC: "telling the truth is a best response in expectation when the others tell the truth",
    Property.EX_POST_IR: "no truthful agent is worse off than by opting out, at any profile of types",
    Property.INTERIM_IR: "no truthful agent expects to be worse off than by opting out, once it knows its own type",
    Property.EX_ANTE_IR: "no agent expects to be worse off than by opting out, before it knows its type",
    Property.STRONG_BUDGET_BALANCE: "payments sum to zero at every profile",
    Property.WEAK_BUDGET_BALANCE: "payments sum to at least zero at every profile",
    Property.PLANNER_IR: "the planner's own gain covers what it pays, at every profile",
    Property.EFFICIENCY: "truthful reports lead to an outcome of the greatest welfare",
    Property.FEASIBILITY: "at every profile of reports no more is allocated than there is",
    Property.EX_POST_IC: "telling the truth is a best response at every profile of true types when the others tell the truth",
    Property.MONOTONICITY: "a report never moves the allocation against itself (weak monotonicity), whatever the others report",
    Property.STRONG_BUDGET_BALANCE_IN_EXPECTATION: "payments sum to zero in expectation over types",
    Property.WEAK_BUDGET_BALANCE_IN_EXPECTATION: "payments sum to at least zero in expectation over types",
    Property.REVENUE_WITHIN_BOUND: "expected revenue is no greater than any mechanism of its class can earn (more is regret, not revenue)",
    Property.ENVY_FREENESS: "no truthful agent would rather have another's allocation at that other's payment",
    Property.ANONYMITY: "exchanging the reports of two agents exchanges what they get and pay",
    Property.COLLUSION_PROOF_PAIRS: "no two agents gain together by lying jointly and sharing what they gain",
    Property.FALSE_NAME_PROOF: "nobody gains by taking part under a second name as well",
    Property.SHILL_PROOF: "the auctioneer gains nothing by bidding under a name of its own",
    Property.CREDIBLE: "the auctioneer gains nothing by a departure from the rule that no agent can tell from keeping to it",
}

PROPERTIES: tuple[str, ...] = tuple(p.value for p in Property)

# What an audit looks at unless told otherwise: one liar, participation, money, welfare, supply.
CORE_PROPERTIES: tuple[str, ...] = PROPERTIES[: PROPERTIES.index(Property.EX_POST_IC)]

# More than one liar, or a liar with more than one name, or the auctioneer: none of these follows from truthfulness.
BEYOND_ONE_LIAR: tuple[str, ...] = PROPERTIES[PROPERTIES.index(Property.COLLUSION_PROOF_PAIRS) :]


@dataclass(frozen=True)
class Claim:
    """One cell of a rule's table: a property that it has, or one that it lacks.

    Attributes:
        property: a :class:`Property`, or the field's name of something that is not about direct mechanisms.
        holds: True for a guarantee; False for "does not guarantee".
        when: the conditions under which the claim is made, in a few words.
        source: paper and theorem.
    """

    property: str
    holds: bool
    when: str = ""
    source: str = ""


def strategyproof(source: str, when: str = "") -> tuple[Claim, Claim]:
    """The two claims of a strategyproof rule: truth is dominant, and so a Bayes-Nash equilibrium under any prior.

    Example:
        >>> [str(claim.property) for claim in strategyproof("Vickrey (1961)")]
        ['DSIC', 'BIC']
    """
    return Claim(Property.DSIC, True, when, source), Claim(Property.BIC, True, "follows from DSIC", source)
