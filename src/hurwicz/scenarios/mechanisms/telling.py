"""A witness in a person's words, with what the mechanism does at it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hurwicz.audits import Finding
from hurwicz.reports import number
from hurwicz.settings import DirectMechanism

_SHOWN = 6


def tell(mechanism: DirectMechanism, finding: Finding) -> str:
    """The witness as a story: who, worth what, says what, against whom, gets and pays what, and gains how much.

    Args:
        mechanism: what was audited.
        finding: a refutation.

    Returns:
        A few sentences; empty where nothing is refuted.
    """
    witness = finding.witness
    if witness is None:
        return ""
    if witness.agent is None or witness.misreport is None or witness.others is None:
        return _without_a_lie(finding)
    if {witness.agent, *witness.others} != set(mechanism.agents):
        return finding.reason + "."
    agent = witness.agent
    truth = mechanism.outcome({**witness.others, agent: _own(witness.true_type)})
    lie = mechanism.outcome({**witness.others, agent: _own(witness.misreport)})
    others = _others(witness.others)
    return (
        f"{agent} is worth {_type(witness.true_type)}{', ' + others if others else ''}. "
        f"With the truth it {_gets(mechanism, agent, truth, witness.true_type)}; "
        f"reporting {_type(witness.misreport)} instead, it {_gets(mechanism, agent, lie, witness.true_type)}. "
        f"The lie gains {number(witness.gain, 4)}."
    )


def _gets(mechanism: DirectMechanism, agent: str, outcome: Any, true_type: Any) -> str:
    value, payment = mechanism.value(agent, outcome, _own(true_type)), float(outcome.payments[agent])
    paid = f"pays {number(payment, 4)}" if payment >= 0.0 else f"receives {number(-payment, 4)}"
    return f"gets a value of {number(value, 4)}, {paid} and ends at {number(value - payment, 4)}"


def _without_a_lie(finding: Finding) -> str:
    witness = finding.witness
    assert witness is not None
    if witness.agent is None:
        return f"Where {_profile(witness.others or witness.true_type)}, {finding.reason}."
    if witness.misreport is None:
        against = f" where {_profile(witness.others)}" if witness.others else " in expectation"
        return f"{witness.agent}, worth {_type(witness.true_type)}, tells the truth and loses {number(witness.gain, 4)}{against}."
    return (
        f"{witness.agent}, worth {_type(witness.true_type)}, reports {_type(witness.misreport)} while the others tell the truth, "
        f"and gains {number(witness.gain, 4)} in expectation."
    )


def _others(others: Mapping[str, Any]) -> str:
    if not others:
        return ""
    shown = ", ".join(f"{name} {_type(value)}" for name, value in list(others.items())[:_SHOWN])
    return f"the others report {shown}" + (f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else "")


def _profile(profile: Any) -> str:
    if not isinstance(profile, Mapping):
        return "types are as in the witness"
    shown = ", ".join(f"{name} is worth {_type(value)}" for name, value in list(profile.items())[:_SHOWN])
    return shown + (f" and {len(profile) - _SHOWN} more as in the file" if len(profile) > _SHOWN else "")


def _type(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "(" + ", ".join(_type(v) for v in value) + ")"
    return number(float(value), 4) if isinstance(value, int | float) else str(value)


def _own(value: Any) -> Any:
    """A vector that came back from JSON as a list is an array again."""
    import numpy as np

    return np.asarray(value, dtype=np.float64) if isinstance(value, list) else value
