"""Proofs from Myerson's lemma where a mechanism declares that its payments follow from its allocation: checked along lines."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hurwicz.audits.declared_form import strengthened
from hurwicz.audits.evaluation import Evaluator
from hurwicz.audits.exhaustive import side_of
from hurwicz.audits.finding import Finding, Verdict
from hurwicz.audits.myerson import LineCertificate, applies, lines_of
from hurwicz.settings import PaymentIdentity, Property
from hurwicz.typespaces import Interval

_KIND = "payment identity"


def by_payment_identity(e: Evaluator, form: PaymentIdentity, name: str, prior: Any = None) -> tuple[Finding | None, str]:
    """The proof, or None and why there is none.

    DSIC follows from a monotone allocation and the identity; ex post IR where the type that gets the least ends at 0 or above, for
    u(theta) = u(theta_0) + integral of y; weak budget balance where all receive, types are at least 0 and the lowest pays at least 0, for
    t(r) - t(r_0) = integral from r_0 to r of z dy(z).

    Args:
        e: evaluator.
        form: declared.
        name: the property.
        prior: where the others' profiles come from.

    Source:
        R. Myerson, "Optimal auction design", Mathematics of Operations Research 6 (1981), Lemmas 2 and 3.
    """
    if name == Property.EFFICIENCY:
        return None, ""
    lines = lines_looked_at(e, prior) if applies(e) else None
    if lines is None and e.kept.cut:
        return None, f"the declared payment identity is not proved: {e.kept.cut}"
    if lines is None:
        return None, "the declared payment identity cannot be checked: it is for one number of an interval each and values linear in it"
    against = _against(e, lines)
    if against:
        return None, f"the declared form does not hold: {against}"
    said = "the allocation rises with the report and payments follow from it"
    if name == Property.EX_POST_IR:
        if not form.voluntary:
            return None, ""
        if lines.least_utility < -e.tolerance:
            return None, f"the declared form does not hold: the type that gets the least ends at {lines.least_utility:.6g}"
        said += ", and the type that gets the least ends at 0 or above"
    if name == Property.WEAK_BUDGET_BALANCE:
        if not form.paying or not _all_receive(e):
            return None, ""
        if lines.least_payment < -e.tolerance:
            return None, f"the declared form does not hold: somebody pays {lines.least_payment:.6g}"
        said += ", and whoever reports the lowest type pays at least 0"
    effort = e.spent(
        lines=lines.lines,
        points_of_a_line=lines.points,
        identity_gap=lines.identity_gap,
        bracket=[lines.gain_found, lines.gain_possible],
        left_out=lines.left_out,
        scale=e.scale,
        given="the declared form",
    )
    reason = (
        f"proved given the declared form ({_KIND}: {said}); along {lines.lines} lines of {lines.points} own reports it holds at every "
        f"point, and the identity within {lines.gain_possible:.3g} between them"
    )
    return Finding(name, Verdict.PROVED, 0.0, None, f"by form: {_KIND}", effort, reason), ""


def taking_part(e: Evaluator, found: Finding, prior: Any = None) -> Finding:
    """What a search that found no truthful loser is strengthened by: a declared form, or a bound on utilities along lines."""
    found = strengthened(e, found, prior)
    if found.verdict is not Verdict.NOT_REFUTED or e.interdependent or e.late or not applies(e):
        return found
    lines = lines_looked_at(e, prior)
    if lines is None or not lines.monotone:
        return found
    effort = {**found.effort, "lines": lines.lines, "points_of_a_line": lines.points, "left_out": lines.left_out}
    effort |= {"bracket": [lines.utility_possible, min(found.value or 0.0, lines.least_utility)]}
    how = f"{found.method}; Myerson's lemma along lines"
    return replace(found, method=how, effort=effort, reason=f"{found.reason}; {lines.said_of_taking_part()}")


def lines_looked_at(e: Evaluator, prior: Any = None) -> LineCertificate | None:
    """The certificate along lines, made once an audit; None where values are not linear after all, or where the time limit came first."""
    with e.kept.lock:
        if e.kept.lines is None:
            alone = e.afresh(part=0.75, most=3.0 * e.effort.seconds)
            drawn = alone.drawn_profiles(64, prior)
            alone.note_scale(alone.outcomes(drawn), drawn)
            try:
                certificate = lines_of(alone, max(16, min(256, alone.effort.profiles // 4)), prior)
            except TimeoutError as error:
                certificate, e.kept.cut = None, str(error)
            e.kept.lines = (certificate, alone.evaluations, alone.scale)
        certificate, evaluations, scale = e.kept.lines
    e.evaluations += evaluations
    e.scale = max(e.scale, scale)
    assert certificate is None or isinstance(certificate, LineCertificate)
    return certificate


def _against(e: Evaluator, lines: LineCertificate) -> str:
    if not lines.monotone:
        return "the allocation or the payment falls in a report"
    if lines.gain_found > e.tolerance:
        return f"{lines.agent} gains {lines.gain_found:.6g} by a misreport"
    if lines.identity_gap > 10.0 * e.tolerance:
        return f"a payment misses the one that follows from the allocation by {lines.identity_gap:.3g}"
    return ""


def _all_receive(e: Evaluator) -> bool:
    spaces = [e.spaces[name] for name in e.agents]
    return all((side_of(e, name) or 0.0) > 0.0 for name in e.agents) and all(isinstance(s, Interval) and s.low >= 0.0 for s in spaces)
