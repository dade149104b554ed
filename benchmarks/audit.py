"""(g) The auditor: exhaustive DSIC of single-item rules, and mechaudit's audit of 2 bidders x 2 items x 5 values on the same instance."""

from __future__ import annotations

import itertools
import time
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.machine import times
from hurwicz.audits import Effort, Verdict, audit
from hurwicz.audits.deviation_kernels import best_misreports
from hurwicz.mechanisms import MultiParameterMechanism
from hurwicz.mechanisms.single_item import first_price, second_price
from hurwicz.settings import beliefs
from hurwicz.typespaces import FinitePrior

_VALUES = (0.0, 0.25, 0.5, 0.75, 1.0)


def run(quick: bool = False) -> dict[str, Any]:
    """Print both tables; return their rows."""
    return {"exhaustive": _exhaustive(quick), "mechaudit": _against_mechaudit()}


def _exhaustive(quick: bool) -> list[dict[str, Any]]:
    table = Table(title="(g) DSIC of single-item rules, every profile, type and misreport; wall time with the table of outcomes")
    for head in ("rule", "bidders", "values", "profiles", "checks", "verdict", "seconds", "checks/s", "loop alone, checks/s"):
        table.add_column(head, justify="right")
    best_misreports(np.ones((2, 1)), np.zeros((1, 2, 4)), np.zeros((2, 4)))  # compile before the clock runs
    rows = []
    for make, bidders, values in itertools.product((second_price, first_price), (2, 3, 5), (10, 40, 150)):
        profiles = float(values) ** bidders
        if profiles > (2e5 if quick else 5e6):
            continue
        mechanism = make(bidders, prior=FinitePrior(np.linspace(0.0, 1.0, values)))
        began = time.perf_counter()
        (finding,) = audit(mechanism, ["DSIC"], effort=Effort(seconds=600.0))
        took = time.perf_counter() - began
        holds = finding.verdict is Verdict.PROVED
        if holds != (make is second_price) or finding.method != "exhaustive":
            raise AssertionError(f"{mechanism.name} with {bidders} bidders: {finding.verdict}, {finding.method}")
        checks = finding.effort["deviations"] if "deviations" in finding.effort else int(profiles * values * bidders)
        row = {
            "rule": mechanism.name, "bidders": bidders, "values": values, "profiles": int(profiles), "checks": checks,
            "verdict": finding.verdict.value, "seconds": took, "checks_per_second": checks / took,
            "loop_checks_per_second": _loop(values, bidders),
        }  # fmt: skip
        rows.append(row)
        table.add_row(
            row["rule"], str(bidders), str(values), f"{int(profiles):,}", f"{checks:,}", row["verdict"], f"{took:.3f}",
            f"{row['checks_per_second']:.2e}", f"{row['loop_checks_per_second']:.2e}",
        )  # fmt: skip
    Console(width=150).print(table)
    return rows


def _loop(values: int, bidders: int) -> float:
    """Checks a second of the compiled loop on a table of that size (at most 2e7 entries), without making the table."""
    others = max(1, min(values ** (bidders - 1), 20_000_000 // values))
    rng = np.random.default_rng(0)
    types = np.linspace(0.0, 1.0, values)[:, None]
    shares, paid = rng.random((1, values, others)), rng.random((values, others))
    took = min(times(lambda: best_misreports(types, shares, paid), repeats=5, seconds=2.0))
    return values * values * others / took


def _two_items(*, vcg: bool) -> MultiParameterMechanism:
    """Two items, each to the higher bid on it (ties to the first), at the other's bid or at one's own."""
    names = ["ann", "bob"]
    prior = FinitePrior(list(itertools.product(_VALUES, repeat=2)))

    def rule(reports: Any) -> Any:
        a, b = reports["ann"], reports["bob"]
        wins = (a >= b) * 1.0
        price_a, price_b = (b, a) if vcg else (a, b)
        return {"ann": wins, "bob": 1.0 - wins}, {"ann": (wins * price_a).sum(axis=1), "bob": ((1.0 - wins) * price_b).sum(axis=1)}

    return MultiParameterMechanism(name="VCG by item" if vcg else "pay as bid", rule=rule, prior=beliefs(names, prior))


def _against_mechaudit() -> list[dict[str, Any]]:
    try:
        import mechaudit
    except ImportError:
        print("mechaudit: not installed, its rows are left out; pip install 'hurwicz[bench]'")
        return []
    table = Table(title="(g) DSIC, 2 bidders x 2 items x 5 values: 625 profiles, 31,250 deviations; medians, one process")
    for head in ("rule", "hurwicz verdict", "largest gain", "hurwicz, s", "mechaudit passed", "its epsilon", "mechaudit, s", "ratio"):
        table.add_column(head, justify="right")
    rows = []
    for vcg in (True, False):
        mechanism = _two_items(vcg=vcg)
        types = [tuple(v) for v in mechanism.type_spaces["ann"].grid(0).tolist()]
        outcomes = list(itertools.product(("ann", "bob"), repeat=2))  # who gets each item
        peer = mechaudit.FiniteEnvironment(
            agents={"ann": types, "bob": types},
            outcomes=outcomes,
            values=mechaudit.PrivateValues(lambda agent, own, outcome: sum(v for v, who in zip(own, outcome, strict=True) if who == agent)),
        )
        profiles = list(itertools.product(types, repeat=2))
        ours = mechanism.outcomes({n: np.asarray([p[k] for p in profiles]) for k, n in enumerate(("ann", "bob"))})
        shares = np.zeros((len(profiles), len(outcomes)))
        won = ours.allocation["ann"].astype(int)
        shares[np.arange(len(profiles)), [outcomes.index(tuple("ann" if w else "bob" for w in row)) for row in won]] = 1.0
        paid = np.stack([ours.payments["ann"], ours.payments["bob"]], axis=1)
        bound = mechaudit.DirectMechanism.from_arrays(shares, paid, environment=peer)
        report = peer.audit(bound, [mechaudit.DSIC()])
        (finding,) = audit(mechanism, ["DSIC"])
        if report.passed != (finding.verdict is Verdict.PROVED) or abs(max(report.epsilon_ic, 0.0) - max(finding.value or 0.0, 0.0)) > 1e-9:
            raise AssertionError(f"the two disagree: {finding}, passed {report.passed}, epsilon {report.epsilon_ic}")
        mine = float(np.median(times(lambda m=mechanism: audit(m, ["DSIC"]), repeats=9, seconds=5.0)))
        its = float(np.median(times(lambda p=peer, b=bound: p.audit(b, [mechaudit.DSIC()]), repeats=3, seconds=20.0)))
        row = {
            "rule": mechanism.name, "verdict": finding.verdict.value, "gain": finding.value, "seconds": mine,
            "peer_passed": report.passed, "peer_epsilon": report.epsilon_ic, "peer_seconds": its, "ratio": its / mine,
        }  # fmt: skip
        rows.append(row)
        table.add_row(
            row["rule"], row["verdict"], f"{row['gain']:.3g}", f"{mine:.4f}", str(row["peer_passed"]), f"{row['peer_epsilon']:.3g}",
            f"{its:.3f}", f"{row['ratio']:.0f} x",
        )  # fmt: skip
    Console(width=150).print(table)
    return rows
