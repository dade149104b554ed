"""Audits small enough for a test of a declared form."""

from hurwicz.audits import Effort, audit

SMALL = Effort(profiles=60, deviations=9, refinements=2, steps=20, samples=256, max_nodes=256, seconds=600.0)
ASKED = ["DSIC", "ex_post_IR", "weak_budget_balance"]


def judged(mechanism, properties=ASKED):
    return audit(mechanism, properties, effort=SMALL)


def verdicts(mechanism, properties=ASKED):
    return [f.verdict.value for f in judged(mechanism, properties)]
