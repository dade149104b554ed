"""A witness told to a person: who, worth what, says what, gains how much, and because of what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hurwicz.audits.evaluation import Evaluator
from hurwicz.audits.exhaustive import side_of
from hurwicz.audits.finding import Finding, Witness
from hurwicz.audits.profiles import Profiles
from hurwicz.settings import Property

_SHOWN = 6


def story(e: Evaluator, finding: Finding) -> str:
    """The witness of a refutation in one or two sentences; empty where nothing is refuted.

    Args:
        e: evaluator of the mechanism that was audited.
        finding: a finding of that audit.
    """
    witness = finding.witness
    if witness is None:
        return ""
    tell = {
        Property.DSIC.value: _lie,
        Property.EX_POST_IC.value: _lie,
        Property.BIC.value: _expected_lie,
        Property.EX_POST_IR.value: _regrets_taking_part,
        Property.INTERIM_IR.value: _expects_a_loss,
        Property.EX_ANTE_IR.value: _expects_a_loss,
        Property.COLLUSION_PROOF_PAIRS.value: _pair,
        Property.FALSE_NAME_PROOF.value: _second_name,
        Property.SHILL_PROOF.value: _shill,
        Property.CREDIBLE.value: _stories,
        Property.ENVY_FREENESS.value: _envies,
        Property.FEASIBILITY.value: _too_much,
    }.get(finding.property)
    return _plainly(finding) if tell is None else tell(e, witness)


def _lie(e: Evaluator, witness: Witness) -> str:
    assert witness.agent is not None
    agent = witness.agent
    types = e.one({**(witness.others or {}), agent: witness.true_type})
    told = {**types, **e.one({agent: witness.misreport})}
    return (
        f"{_who(e, agent, witness.true_type)}, reports {_apart(witness.misreport, witness.others)} and gains {said(witness.gain)}"
        f"{_against(witness.others)}, "
        f"because {_because(e, agent, types, told)}."
    )


def _because(e: Evaluator, agent: str, types: Profiles, told: Profiles) -> str:
    truth, lie = e.outcomes(types), e.outcomes(told)
    paid, pays = float(truth.payments[agent][0]), float(lie.payments[agent][0])
    had, has = (float(e.among(agent, o, types)[0]) + p for o, p in ((truth, paid), (lie, pays)))
    near = 1e-9 * max(abs(had), abs(has), abs(paid), abs(pays), 1e-300)
    received, receives = -paid, -pays
    money = f"pays {said(pays)} instead of {said(paid)}"
    if paid <= 0.0 and pays <= 0.0 and (paid or pays):
        money = f"receives {said(receives)} instead of {said(received)}"
    if abs(has - had) <= near:
        something = float(np.abs(np.asarray(truth.allocation[agent])).max(initial=0.0)) > 0.0
        same = "still gets what the truth gives it" if something else "gets nothing either way"
        return f"it {same} and {money}"
    gets = f"what it gets is worth {said(has)} to it instead of {said(had)}"
    if abs(pays - paid) <= near:
        return f"{gets}, and it pays the same"
    return f"{gets}, and it {money}"


def _expected_lie(e: Evaluator, witness: Witness) -> str:
    assert witness.agent is not None
    details = witness.details
    return (
        f"{_who(e, witness.agent, witness.true_type)}, reports {said(witness.misreport)} while the others tell the truth, and expects "
        f"{said(details['utility_misreport'])} instead of {said(details['utility_truthful'])}: {said(witness.gain)} more."
    )


def _regrets_taking_part(e: Evaluator, witness: Witness) -> str:
    assert witness.agent is not None
    types = e.one({**(witness.others or {}), witness.agent: witness.true_type})
    outcomes = e.outcomes(types)
    paid = float(outcomes.payments[witness.agent][0])
    worth = float(e.among(witness.agent, outcomes, types)[0]) + paid
    return (
        f"{_who(e, witness.agent, witness.true_type)}, tells the truth{_against(witness.others)}, gets what is worth {said(worth)} to it, "
        f"{_pays(paid)}, and ends {said(witness.gain)} below opting out."
    )


def _expects_a_loss(e: Evaluator, witness: Witness) -> str:
    assert witness.agent is not None
    who = witness.agent if witness.true_type is None else _who(e, witness.agent, witness.true_type)
    comma = "" if witness.true_type is None else ","
    when = "before it knows its type" if witness.true_type is None else "by taking part truthfully"
    return f"{who}{comma} expects to lose {said(witness.gain)} {when}."


def _pair(e: Evaluator, witness: Witness) -> str:
    assert witness.agent is not None
    d = witness.details
    both = f"{_who(e, witness.agent, witness.true_type)}, and {_who(e, d['partner'], d['partner_type'])}"
    return (
        f"{both}, report {said(witness.misreport)} and "
        f"{said(d['partner_report'])} and gain {said(witness.gain)} together{_against(witness.others)}, which they can share."
    )


def _second_name(e: Evaluator, witness: Witness) -> str:
    assert witness.agent is not None
    return (
        f"{_who(e, witness.agent, witness.true_type)}, reports {_apart(witness.misreport, witness.others)} and, under a second name, "
        f"{_apart(witness.details['alias_report'], witness.others)}, and gains {said(witness.gain)}{_against(witness.others)}."
    )


def _shill(e: Evaluator, witness: Witness) -> str:
    del e
    invented = _apart(witness.details["alias_report"], witness.true_type)
    return (
        f"Where {_profile(witness.true_type)}, the auctioneer invents a participant that reports {invented} and collects "
        f"{said(witness.gain)} more."
    )


def _stories(e: Evaluator, witness: Witness) -> str:
    del e
    told = "; ".join(f"{name} is told that {_reports(others)}" for name, others in list(witness.details["stories"].items())[:3])
    return f"Where {_profile(witness.true_type)}, {told}. Nobody can tell, and the auctioneer collects {said(witness.gain)} more."


def _envies(e: Evaluator, witness: Witness) -> str:
    assert witness.agent is not None
    return (
        f"{_who(e, witness.agent, witness.true_type)}, would gain {said(witness.gain)} with what {witness.details['other']} gets, at what "
        f"{witness.details['other']} pays{_against(witness.others)}."
    )


def _too_much(e: Evaluator, witness: Witness) -> str:
    del e
    return f"At the reports {_profile(witness.true_type)}, {said(witness.gain)} more is given away than there is."


def _plainly(finding: Finding) -> str:
    witness = finding.witness
    assert witness is not None
    where = f" where {_profile(witness.true_type)}" if isinstance(witness.true_type, Mapping) else ""
    return f"{finding.reason[:1].upper()}{finding.reason[1:]}{where}."


def _who(e: Evaluator, agent: str, true_type: Any) -> str:
    side = side_of(e, agent)
    word = "of type" if side is None else "worth" if side > 0.0 else "whose cost is"
    return f"{agent}, {word} {said(true_type)}"


def _pays(paid: float) -> str:
    return f"pays {said(paid)}" if paid >= 0.0 else f"receives {said(-paid)}"


def _against(others: Mapping[str, Any] | None) -> str:
    return f" where {_reports(others)}" if others else ""


def _reports(others: Mapping[str, Any]) -> str:
    shown = ", ".join(f"{name} reports {said(value)}" for name, value in list(others.items())[:_SHOWN])
    return shown + (f" and {len(others) - _SHOWN} more as in the witness" if len(others) > _SHOWN else "")


def _profile(profile: Any) -> str:
    shown = ", ".join(f"{name} is {said(value)}" for name, value in list(profile.items())[:_SHOWN])
    return shown + (f" and {len(profile) - _SHOWN} more as in the witness" if len(profile) > _SHOWN else "")


def _apart(value: Any, others: Mapping[str, Any] | None) -> str:
    """A report in as many digits as tell it from the others' reports: a bid just above another's is not that bid."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return said(value)
    near = [v for v in (others or {}).values() if isinstance(v, int | float) and v != value]
    for digits in range(4, 13):
        shown = f"{value:.{digits}g}"
        if all(float(shown) != float(f"{v:.{digits}g}") for v in near):
            return shown
    return repr(value)


def said(value: Any) -> str:
    """A number in four digits, a vector in brackets, anything else as it is.

    Example:
        >>> said(0.123456), said([1.0, 2.5]), said("low")
        ('0.1235', '(1, 2.5)', 'low')
    """
    if isinstance(value, list | tuple | np.ndarray):
        return "(" + ", ".join(said(v) for v in value) + ")"
    return f"{value:.4g}" if isinstance(value, int | float | np.number) and not isinstance(value, bool) else str(value)
