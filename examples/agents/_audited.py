"""What the scripts of this folder have in common: audit a rule and its repair, and print both with the size of the harm."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np

import hurwicz
from hurwicz.audits import Effort, Finding, audit, replay

EFFORT = Effort(profiles=60, deviations=13, refinements=2, steps=20, seconds=5.0, max_nodes=512, samples=1024)


def audited(mechanism: Any, properties: list[str], seed: int) -> dict[str, Finding]:
    """Property → what the auditor says; every witness is replayed once more from its plain form."""
    findings = {f.property: f for f in audit(mechanism, properties, effort=EFFORT, seed=seed)}
    for finding in findings.values():
        if finding.witness is not None:
            assert replay(mechanism, finding) > 0.0
    return findings


def show(rule: Any, found: Mapping[str, Finding], harm: Mapping[str, Any], repair: Any, repaired: Mapping[str, Finding], seed: int) -> None:
    """The rule, its witnesses, the harm, and what the library puts in its place."""
    print(f"hurwicz {hurwicz.__version__}, numpy {np.__version__}, {platform.machine()}, {date.today()}; seed {seed}")
    print(f"\nRule: {rule.name}: {rule.formula}")
    for name, finding in found.items():
        print(f"  {name}: {finding.verdict.value}. {finding.reason}")
        if finding.witness is not None and finding.witness.others:
            print(f"    while the others report {finding.witness.others}")
    print("\nHarm, by simulation:")
    for what, size in harm.items():
        print(f"  {what}: {size:.4g}" if isinstance(size, float) else f"  {what}: {size}")
    print(f"\nRepair: {repair.name}: {repair.formula}")
    for name, finding in repaired.items():
        print(f"  {name}: {finding.verdict.value}. {finding.reason}")
