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
}

PROPERTIES: tuple[str, ...] = tuple(p.value for p in Property)


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
