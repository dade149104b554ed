"""What the auditor says: a property, a verdict, and what stands behind it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


class Verdict(enum.StrEnum):
    """The four words an audit may use; a search that found nothing is never more than ``not_refuted``."""

    PROVED = "proved"
    REFUTED = "refuted"
    NOT_REFUTED = "not_refuted"
    NOT_APPLICABLE = "not_applicable"


@dataclass(frozen=True)
class Witness:
    """A counterexample that replays: enough to recompute the gain from the mechanism alone.

    Attributes:
        agent: who deviates or is wronged (``None`` for a property of the whole profile).
        true_type: that agent's type.
        misreport: what it reports instead (``None`` where nobody lies: participation, budget).
        others: the other agents' reports, by name (``None`` for interim properties: an expectation over the prior).
        gain: how much the deviation earns, or by how much the property fails; always positive.
        details: both utilities, payments, relative gain: whatever a reader needs to see it.
    """

    agent: str | None
    true_type: Any
    misreport: Any
    others: Mapping[str, Any] | None
    gain: float
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """One row of an audit.

    Attributes:
        property: the field's name of it: ``"DSIC"``, ``"BIC"``, ``"ex_post_IR"``, ``"strong_budget_balance"``, ...
        verdict: see :class:`Verdict`.
        value: the figure behind the verdict: largest gain found, worst utility, largest imbalance.
        witness: present exactly when the verdict is ``refuted``.
        method: how it was decided: ``"exhaustive"``, ``"closed form"``, ``"multi-start search"``, ...
        effort: what was spent: profiles, deviations, evaluations, seconds, tolerance.
        reason: one sentence for a person; says why where the verdict is ``not_applicable``.
    """

    property: str
    verdict: Verdict
    value: float | None
    witness: Witness | None
    method: str
    effort: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""

    def __post_init__(self) -> None:
        """Refuse a refutation without a witness, and a witness without a refutation."""
        if (self.verdict is Verdict.REFUTED) != (self.witness is not None):
            raise ValueError(f"finding {self.property!r}: a witness goes with 'refuted' and with nothing else, got {self.verdict}")

    def to_dict(self) -> dict[str, Any]:
        """The finding as plain data for JSON."""
        return asdict(self) | {"verdict": self.verdict.value}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Finding:
        """The finding that :meth:`to_dict` wrote.

        Example:
            >>> finding = Finding("DSIC", Verdict.NOT_REFUTED, 0.0, None, "search")
            >>> Finding.from_dict(finding.to_dict()) == finding
            True
        """
        witness = data["witness"]
        return cls(**{**data, "verdict": Verdict(data["verdict"]), "witness": None if witness is None else Witness(**witness)})
