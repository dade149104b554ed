"""What follows from what has been proved, without another search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hurwicz.audits.finding import Finding, Verdict
from hurwicz.settings import Property

_STRONGER: dict[str, tuple[Property, ...]] = {
    Property.BIC.value: (Property.DSIC,),
    Property.EX_POST_IC.value: (Property.DSIC,),
    Property.MONOTONICITY.value: (Property.DSIC,),
    Property.INTERIM_IR.value: (Property.EX_POST_IR,),
    Property.EX_ANTE_IR.value: (Property.EX_POST_IR, Property.INTERIM_IR),
    Property.WEAK_BUDGET_BALANCE.value: (Property.STRONG_BUDGET_BALANCE,),
    Property.STRONG_BUDGET_BALANCE_IN_EXPECTATION.value: (Property.STRONG_BUDGET_BALANCE,),
    Property.WEAK_BUDGET_BALANCE_IN_EXPECTATION.value: (
        Property.STRONG_BUDGET_BALANCE,
        Property.WEAK_BUDGET_BALANCE,
        Property.STRONG_BUDGET_BALANCE_IN_EXPECTATION,
    ),
}


def in_waves(names: Sequence[str]) -> list[list[str]]:
    """The properties in waves: each after all that may imply it, whatever the order they were asked for in.

    Example:
        >>> in_waves(["BIC", "DSIC", "efficiency"])
        [['DSIC', 'efficiency'], ['BIC']]
    """
    asked = dict.fromkeys(names)
    waves: dict[int, list[str]] = {}
    for name in asked:
        waves.setdefault(_depth(name, asked), []).append(name)
    return [waves[depth] for depth in sorted(waves)]


def _depth(name: str, asked: Mapping[str, None]) -> int:
    return max((1 + _depth(p.value, asked) for p in _STRONGER.get(name, ()) if p.value in asked), default=0)


def implied(name: str, findings: Sequence[Finding]) -> Finding | None:
    """A proof of ``name`` from a stronger property that this audit has proved; None where there is none.

    What is best whatever the others report is best against the truth and in expectation; what holds at every profile holds in
    expectation. Finite types are worth a look of their own, so the caller asks this for a continuum only.

    Args:
        name: the property.
        findings: of the same audit, so far.

    Example:
        >>> proof = implied("BIC", [Finding("DSIC", Verdict.PROVED, 0.0, None, "by form", {"given": "the declared form"})])
        >>> proof.verdict.value, proof.method
        ('proved', 'follows from DSIC, by form')
    """
    for stronger in _STRONGER.get(name, ()):
        proof = next((f for f in findings if f.property == stronger and f.verdict is Verdict.PROVED), None)
        if proof is not None:
            given = f" given {proof.effort['given']}" if "given" in proof.effort else ""
            reason = f"follows from {stronger.replace('_', ' ')}, which is proved{given}"
            effort = {key: value for key, value in proof.effort.items() if key in ("given", "tolerance", "seed")}
            return Finding(name, Verdict.PROVED, proof.value, None, f"follows from {stronger}, {proof.method}", effort, reason)
    return None
