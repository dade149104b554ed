"""(n) Audits, design and simulation beside mechaudit and sold: the same instances, one process, CPU time."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from hurwicz.audits import Verdict, audit
from hurwicz.designers import optimal_mechanism
from hurwicz.mechanisms import MultiParameterMechanism, second_price
from hurwicz.settings import beliefs
from hurwicz.typespaces import FinitePrior

_VALUES = (0.0, 0.25, 0.5, 0.75, 1.0)
_NAMES = ("ann", "bob")
_TYPES = list(itertools.product(_VALUES, repeat=2))
_AUDITS = {
    "DSIC": "DSIC",
    "ex_post_IC": "ExPostIC",
    "BIC": "BIC",
    "ex_post_IR": "ExPostIR",
    "interim_IR": "InterimIR",
    "ex_ante_IR": "ExAnteIR",
    "weak_budget_balance": "WeakBudgetBalance",
    "strong_budget_balance": "StrongBudgetBalance",
}


def run(quick: bool = False) -> dict[str, Any]:
    """Print the tables; return their rows."""
    return {"mechaudit": _against_mechaudit(quick), "sold": _against_sold(200 if quick else 2000)}


def _cpu(function: Callable[[], Any], repeats: int) -> float:
    """Median CPU seconds of a call."""
    taken = []
    for _ in range(repeats):
        began = time.process_time()
        function()
        taken.append(time.process_time() - began)
    return float(np.median(taken))


def _two_items(*, vcg: bool) -> MultiParameterMechanism:
    """Two items, each to the higher bid on it (ties to the first), at the other's bid or at one's own."""

    def rule(reports: Any) -> Any:
        a, b = reports["ann"], reports["bob"]
        wins = (a >= b) * 1.0
        price_a, price_b = (b, a) if vcg else (a, b)
        return {"ann": wins, "bob": 1.0 - wins}, {"ann": (wins * price_a).sum(axis=1), "bob": ((1.0 - wins) * price_b).sum(axis=1)}

    return MultiParameterMechanism(name="VCG by item" if vcg else "pay as bid", rule=rule, prior=beliefs(_NAMES, FinitePrior(_TYPES)))


def _against_mechaudit(quick: bool) -> list[dict[str, Any]]:
    try:
        import mechaudit
    except ImportError:
        print("mechaudit: not installed, its rows are left out; pip install 'hurwicz[bench]'")
        return []
    likely = 1.0 / len(_TYPES) ** 2
    outcomes = list(itertools.product((*_NAMES, "nobody"), repeat=2))  # who gets each item
    environment = mechaudit.FiniteEnvironment(
        agents=dict.fromkeys(_NAMES, _TYPES),
        outcomes=outcomes,
        prior=dict.fromkeys(itertools.product(_TYPES, repeat=2), likely),
        values=mechaudit.PrivateValues(lambda agent, own, outcome: sum(v for v, who in zip(own, outcome, strict=True) if who == agent)),
    )
    rows = []
    for vcg in (True, False):
        mechanism = _two_items(vcg=vcg)
        bound = _in_mechaudit(mechaudit, environment, outcomes, mechanism)
        wanted = {ours: getattr(mechaudit, theirs)() for ours, theirs in _AUDITS.items()}
        for what, asked in (*((name, [name]) for name in wanted), ("all of them", list(wanted))):
            rows.append(_compared(mechanism, environment, bound, what, asked, wanted))
    rows.append(_design(mechaudit, environment, repeats=1 if quick else 3))
    table = Table(title="(n) 2 bidders x 2 items x 5 values: 625 profiles, 31,250 deviations; median CPU seconds")
    for head in ("what", "rule", "verdict, or revenue", "hurwicz", "mechaudit", "ratio"):
        table.add_column(head, justify="right")
    for row in rows:
        table.add_row(
            row["what"], row["rule"], row["found"], f"{row['seconds']:.4f}", f"{row['peer_seconds']:.3f}", f"{row['ratio']:.0f} x"
        )
    Console(width=130).print(table)
    return rows


def _in_mechaudit(mechaudit: Any, environment: Any, outcomes: list[tuple[str, ...]], mechanism: MultiParameterMechanism) -> Any:
    profiles = list(itertools.product(_TYPES, repeat=2))
    ours = mechanism.outcomes({name: np.asarray([p[k] for p in profiles]) for k, name in enumerate(_NAMES)})
    shares = np.zeros((len(profiles), len(outcomes)))
    won = ours.allocation["ann"].astype(int)
    shares[np.arange(len(profiles)), [outcomes.index(tuple("ann" if w else "bob" for w in row)) for row in won]] = 1.0
    return mechaudit.DirectMechanism.from_arrays(
        shares, np.stack([ours.payments[name] for name in _NAMES], axis=1), environment=environment
    )


def _compared(
    mechanism: MultiParameterMechanism, environment: Any, bound: Any, what: str, asked: list[str], wanted: dict[str, Any]
) -> dict[str, Any]:
    its = [wanted[name] for name in asked]
    report, findings = environment.audit(bound, its), audit(mechanism, asked)
    proved = all(finding.verdict is Verdict.PROVED for finding in findings)
    if bool(report.passed) != proved:
        raise AssertionError(f"{mechanism.name}, {what}: the two disagree: {findings}, passed {report.passed}")
    mine, theirs = _cpu(lambda: audit(mechanism, asked), 15), _cpu(lambda: environment.audit(bound, its), 3)
    found = "proved" if proved else "refuted"
    return {"what": what, "rule": mechanism.name, "found": found, "seconds": mine, "peer_seconds": theirs, "ratio": theirs / mine}


def _design(mechaudit: Any, environment: Any, repeats: int) -> dict[str, Any]:
    """The greatest revenue with dominant strategies and nobody worse off, lotteries allowed."""
    prior = beliefs(_NAMES, FinitePrior(_TYPES))
    problem = environment.design(objective=mechaudit.ExpectedRevenue(), requirements=(mechaudit.DSIC(), mechaudit.ExPostIR()))
    revenue, its = optimal_mechanism(prior).stats["revenue"], problem.solve().objective_value
    if abs(revenue - its) > 1e-6:
        raise AssertionError(f"the two designs disagree: {revenue} and {its}")
    mine, theirs = _cpu(lambda: optimal_mechanism(prior), 5), _cpu(problem.solve, repeats)
    return {
        "what": "design", "rule": "greatest revenue", "found": f"{revenue:.6f}", "seconds": mine, "peer_seconds": theirs,
        "ratio": theirs / mine,
    }  # fmt: skip


def _against_sold(auctions: int) -> dict[str, Any]:
    """Mean utility of ten bidders in second-price auctions, nine of whom shade their values and one of whom does not."""
    try:
        import sold.allocate
        import sold.bid
        import sold.pay
    except ImportError:
        print("sold: not installed, its row is left out; pip install 'hurwicz[bench]'")
        return {}
    import scipy.stats

    bidders = 10
    shades = np.append(np.arange(1, bidders) / bidders, 1.0)
    bids = [*(sold.bid.create_shaded_bid_map(shade) for shade in shades[:-1]), sold.bid.true_value]

    def peer() -> Any:
        total = np.zeros(bidders)
        for seed in range(auctions):
            won, paid, values = sold.auction(
                valuation_distributions=[scipy.stats.uniform] * bidders,
                bidding_functions=bids,
                allocation_rule=sold.allocate.first_price,
                payment_rule=sold.pay.second_price,
                seed=seed,
            )
            total += won * values - paid
        return total / auctions

    mechanism = second_price(bidders)

    def ours() -> Any:
        values = np.random.default_rng(0).random((auctions, bidders))
        won, paid = mechanism.decide(values * shades)
        return (won * values - paid).mean(axis=0)

    apart = float(np.abs(peer() - ours()).max())
    if apart > 1.5 / np.sqrt(auctions):
        raise AssertionError(f"mean utilities differ by {apart}")
    mine, theirs = _cpu(ours, 9), _cpu(peer, 1)
    print(
        f"(n) {auctions} second-price auctions of {bidders} bidders: hurwicz {mine:.5f} s, sold {theirs:.3f} s, "
        f"ratio {theirs / mine:.0f} x; mean utilities agree to {apart:.2g}"
    )
    return {"auctions": auctions, "seconds": mine, "peer_seconds": theirs, "ratio": theirs / mine, "apart": apart}
