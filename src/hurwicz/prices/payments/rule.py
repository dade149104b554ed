"""What every payment rule is: a plan, a transfer to every agent, and a declaration of what it guarantees and what it does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Float64

from hurwicz._foundation import FloatArray
from hurwicz.prices.payments.problems import AllocationProblem, Types
from hurwicz.settings import Claim

Plan = Callable[[Types], Float64[FloatArray, "batch agents *action"]]
Transfers = Callable[[Types, Float64[FloatArray, "batch agents *action"]], Float64[FloatArray, "batch agents"]]


@dataclass(frozen=True)
class BoundRule:
    """A rule made ready for one problem.

    Attributes:
        plan: reported types → actions.
        transfers: reported types, actions → what each agent receives.
        accuracy: error of the transfers in money, where quadrature or a solver leaves one.
    """

    plan: Plan
    transfers: Transfers
    accuracy: float = 0.0


@runtime_checkable
class PaymentRule(Protocol):
    """A rule of payment. ``claims`` holds both columns of its table: what it guarantees, and what it does not."""

    @property
    def name(self) -> str:
        """The rule's name in tables and results."""
        ...

    @property
    def claims(self) -> tuple[Claim, ...]:
        """What it guarantees and what it does not."""
        ...

    def bind(self, problem: AllocationProblem) -> BoundRule:
        """The rule on one problem; what can be computed once is computed here."""
        ...


def guarantees(rule: PaymentRule) -> tuple[Claim, ...]:
    """The claims that hold.

    Example:
        >>> from hurwicz.prices.payments import Linear
        >>> [claim.property for claim in guarantees(Linear())]
        ['clears', 'price_taking', 'strategy_proof_in_the_large']
    """
    return tuple(c for c in rule.claims if c.holds)


def does_not_guarantee(rule: PaymentRule) -> tuple[Claim, ...]:
    """The claims that something is not guaranteed.

    Example:
        >>> from hurwicz.prices.payments import Linear
        >>> "DSIC" in [claim.property for claim in does_not_guarantee(Linear())]
        True
    """
    return tuple(c for c in rule.claims if not c.holds)
