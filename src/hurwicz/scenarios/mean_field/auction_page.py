"""What a learned auction shows: tables for the terminal, and the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hurwicz.reports import Page, number
from hurwicz.reports.mean_field import bars_plot, learning_plot, mean_bids_plot, payment_plot, rounds_plot
from hurwicz.scenarios.mean_field.learning import Learned, say_on
from hurwicz.scenarios.tables import text_table

if TYPE_CHECKING:
    from hurwicz.audits import Finding
    from hurwicz.meanfield import Setting
    from hurwicz.scenarios.mean_field.auction import Measured
    from hurwicz.scenarios.mean_field.schema import BatchedAuctionScenario

BEFORE = "first price, equal shares a round"
_VALUES = (0.2, 0.4, 0.6, 0.8, 0.95)


def what_is_wanted(weights: Mapping[str, float]) -> str:
    """The objective in words.

    Example:
        >>> what_is_wanted({"revenue": 1.0}), what_is_wanted({"revenue": 1.0, "welfare": 0.5})
        ('revenue', 'revenue + 0.5 welfare')
    """
    return " + ".join(what if weight == 1.0 else f"{weight:g} {what}" for what, weight in weights.items())


def auction_tables(
    name: str, setting: Setting, rules: Mapping[str, Measured], result: Mapping[str, Any], findings: Sequence[Finding]
) -> list[Any]:
    """Who earns what by which rule; what people bid before and after; what the auditor says."""
    columns, rows = _rows(setting, rules, result)
    tables = [text_table(_title(name, setting), columns, rows), _bids_table(setting, rules)]
    judged = [[f.property.replace("_", " "), f.verdict.value.replace("_", " "), f.value] for f in findings]
    tables.append(text_table("The learned rule before the auditor", ["property", "verdict", "figure"], judged))
    return tables + [f"note: {note}" for note in result["notes"]]


def _title(name: str, setting: Setting) -> str:
    auction = setting.auction
    return f"{name}: {setting.title}, {auction.rounds} rounds, {auction.supply:g} goods a head, values on a grid of {auction.grid}"


def _rows(setting: Setting, rules: Mapping[str, Measured], result: Mapping[str, Any]) -> tuple[list[str], list[list[Any]]]:
    wanted = what_is_wanted(setting.objective)
    only_revenue = wanted == "revenue"
    columns = ["rule", *([] if only_revenue else [wanted]), "revenue", "of the ceiling", "exploitability", "goods sold", "price of a good"]
    ceiling = result["ceiling"]
    rows = []
    for name, measured in rules.items():
        outcome, design = measured.outcome, measured.design
        share = None if not ceiling else f"{100 * design.objective / ceiling:.1f} %"
        price = None if np.isnan(outcome.mean_price) else outcome.mean_price
        figures = [*([] if only_revenue else [design.objective]), outcome.revenue, share, design.exploitability]
        rows.append([name, *figures, float(outcome.sold.sum()), price])
    if ceiling is not None:
        blank = [None] * (len(columns) - 2 - (0 if only_revenue else 1))
        rows.append(["ceiling", *([ceiling] if only_revenue else [ceiling, None]), *blank])
    return columns, rows


def _bids_table(setting: Setting, rules: Mapping[str, Measured]) -> Any:
    before, after = rules[BEFORE].outcome.bids, rules["learned"].outcome.bids
    last = setting.auction.rounds - 1
    rounds = [0] if last == 0 else [0, last]
    columns = ["value", *(f"{when}, round {h + 1}" for h in rounds for when in ("before", "after"))]
    rows = []
    for value in _VALUES:
        at = min(round(value * setting.auction.grid), setting.auction.grid - 1)
        cells = [float(bids[h, at]) for h in rounds for bids in (before, after)]
        rows.append([float(setting.auction.values[at]), *(None if np.isnan(bid) else f"{bid:.3f}" for bid in cells)])
    return text_table(f"Mean bids before ({BEFORE}) and after", columns, rows)


def auction_page(
    name: str,
    scenario: BatchedAuctionScenario,
    setting: Setting,
    learned: Learned,
    rules: Mapping[str, Measured],
    result: Mapping[str, Any],
    findings: Sequence[Finding],
) -> Page:
    """The report: figures, the learning curve, bids, payments, revenue and quantities by rule."""
    wanted, best = what_is_wanted(setting.objective), rules["learned"]
    page = Page(name, _title(name, setting).removeprefix(f"{name}: "))
    page.figures(
        {
            f"{wanted} of the learned rule": number(result["objective"], 5),
            "ceiling": None if result["ceiling"] is None else number(result["ceiling"], 5),
            f"best simple rule ({result['best_simple_rule']})": number(rules[result["best_simple_rule"]].design.objective, 5),
            "exploitability": result["exploitability"],
            "seconds": result["seconds"],
        }
    )
    say_on(page, learned, result["notes"])
    page.heading("What the rules earn")
    bars = {rule: measured.design.objective for rule, measured in rules.items()}
    page.plot(lambda: bars_plot(bars, xlabel=wanted, ceiling=result["ceiling"], marked=["learned"]))
    columns, rows = _rows(setting, rules, result)
    page.table(columns, rows)
    page.text(
        "Each rule is measured at the equilibrium that its bidders reach. Exploitability is what a bidder could still gain by another "
        "policy, per auction, entropy counted in."
    )
    if len(learned.designs) > 1:
        seeds = [[row[key] for key in ("seed", "objective", "exploitability", "steps")] for row in result["seeds"]]
        page.table(["seed", wanted, "exploitability", "steps"], seeds, f"Mean {result['mean']:.5f}, deviation {result['deviation']:.5f}")
    page.heading("How it was learned")
    top = result["best_simple_rule"]
    levels = {top: bars[top]} | ({} if result["ceiling"] is None else {"ceiling": result["ceiling"]})
    histories = {f"seed {seed}": design.history for seed, design in learned.designs.items()}
    page.plot(lambda: learning_plot(histories, levels, ylabel=wanted), "Thin: every step. Thick: the best so far, which is kept.")
    page.text(
        f"Rule: {scenario.rule}, starting from {scenario.start.replace('_', ' ')}; {scenario.differentiate} derivative through "
        f"{result['equilibrium']['iterations']} iterations of mirror descent (rate {result['equilibrium']['rate']:g}, entropy weight "
        f"{result['equilibrium']['tau']:g})."
    )
    page.heading("What people bid, before and after")
    curves = {"before": rules[BEFORE].outcome.bids, "after": best.outcome.bids}
    page.plot(lambda: mean_bids_plot(setting.auction.values, curves), f"Before: {BEFORE}. After: the learned rule.")
    page.heading("What is charged, and how much is sold")
    page.plot(lambda: payment_plot(setting.auction.values, best.outcome.prices, best.outcome.chances))
    sold = {rule: measured.outcome.sold for rule, measured in rules.items()}
    page.plot(lambda: rounds_plot(sold, ylabel="share of the population served"))
    money = [[rule, *measured.outcome.collected.tolist()] for rule, measured in rules.items()]
    page.table(["rule", *(f"round {h + 1}" for h in range(setting.auction.rounds))], money, "Money collected, by round", folded=True)
    page.heading("Before the auditor")
    judged = [[f.property.replace("_", " "), f.verdict.value, f.value, f.method, f.reason] for f in findings]
    page.table(["property", "verdict", "figure", "method", "reason"], judged)
    if not scenario.players:
        page.text("`players = [10, 100, 1000]` in the scenario also judges populations of so many bidders, which takes longer.")
    return page
