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
    from hurwicz.designers.interruption import Interruption
    from hurwicz.meanfield import Setting
    from hurwicz.scenarios.mean_field.auction import Measured
    from hurwicz.scenarios.mean_field.schema import BatchedAuctionScenario

BEFORE, LEARNED = "first price, equal shares a round", "learned"
_AMONG = (
    "Among N players a reply is found and judged in a game of N in which each wins by its own chance, independently of the others, as in "
    "the mean field: not in a sale of whole goods."
)
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
    tables = [text_table(_title(name, setting), columns, rows), _bids_table(setting, rules, result["shown"])]
    if findings:
        judged = [[f.property.replace("_", " "), f.verdict.value.replace("_", " "), f.value] for f in findings]
        tables.append(text_table("The learned rule before the auditor", ["property", "verdict", "figure"], judged))
    if result["among_players"]:
        columns, rows = _among_rows(result["among_players"])
        tables += [text_table("The learned rule among N players", columns, rows), _slope_of(result["among_players"]), _AMONG]
    return tables + [f"note: {note}" for note in result["notes"]]


def among_players(findings: Sequence[Finding]) -> dict[str, Any]:
    """For each N what a player gains by another policy and how far revenue is from the mean field's, and the slope of that in N.

    Args:
        findings: of :func:`hurwicz.audits.audit_mean_field_rule`.

    Returns:
        ``players`` (``n``, ``gain`` with its interval, ``revenue_gap`` with its interval), ``mean_field_revenue``, and, from two N on,
        the ``slope`` of the mean gap with its interval and that of one sale's distance; empty where no N was judged.

    Example:
        >>> among_players([])
        {}
    """
    revenue = next((f for f in findings if f.property == "revenue_in_the_large"), None)
    if revenue is None:
        return {}
    gains = {f.effort["players"]: [f.value, *f.effort["interval"]] for f in findings if "players" in f.effort}
    rows = [{"n": n, "gain": gain, "revenue_gap": revenue.effort["gaps"][str(n)]} for n, gain in gains.items()]
    slopes = {key: revenue.effort[key] for key in ("slope", "slope_of_root_mean_square") if key in revenue.effort}
    return {"players": rows, "mean_field_revenue": revenue.effort["mean_field_revenue"], **slopes, "winners": "independent"}


def _among_rows(among: Mapping[str, Any]) -> tuple[list[str], list[list[Any]]]:
    columns = ["N", "gain by another policy", "95 % interval", "revenue, less the mean field's", "95 % interval"]
    rows = []
    for row in among["players"]:
        cells = [cell for key in ("gain", "revenue_gap") for cell in (row[key][0], f"{row[key][1]:.2g} to {row[key][2]:.2g}")]
        rows.append([row["n"], *cells])
    return columns, rows


def _slope_of(among: Mapping[str, Any]) -> str:
    told = f"Mean-field revenue {among['mean_field_revenue']:.5f}."
    if "slope" not in among:
        return f"{told} No slope from these N."
    mean, apart = among["slope"], among["slope_of_root_mean_square"]
    return (
        f"{told} Slope of the gap in N: {mean[0]:.2f} ({mean[1]:.2f} to {mean[2]:.2f}) for the mean, {apart[0]:.2f} ({apart[1]:.2f} to "
        f"{apart[2]:.2f}) for one sale; the bound O(1/sqrt N) is a slope of -.5."
    )


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


def _bids_table(setting: Setting, rules: Mapping[str, Measured], shown: str) -> Any:
    before, after = rules[BEFORE].outcome.bids, rules[shown].outcome.bids
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
    stop: Interruption,
) -> Page:
    """The report: figures, the learning curve, bids, payments, revenue and quantities by rule."""
    wanted, best = what_is_wanted(setting.objective), rules[result["shown"]]
    page = Page(name, _title(name, setting).removeprefix(f"{name}: "))
    page.figures(
        {
            f"{wanted} of {_the_rule(result['shown'])}": number(result["objective"], 5),
            "ceiling": None if result["ceiling"] is None else number(result["ceiling"], 5),
            f"best simple rule ({result['best_simple_rule']})": number(rules[result["best_simple_rule"]].design.objective, 5),
            "exploitability": result["exploitability"],
            "seconds": result["seconds"],
        }
    )
    say_on(page, learned, stop, result["notes"])
    page.heading("What the rules earn")
    bars = {rule: measured.design.objective for rule, measured in rules.items()}
    page.plot(lambda: bars_plot(bars, xlabel=wanted, ceiling=result["ceiling"], marked=[result["shown"]]))
    columns, rows = _rows(setting, rules, result)
    page.table(columns, rows)
    page.text(
        "Each rule is measured at the equilibrium that its bidders reach. Exploitability is what a bidder could still gain by another "
        "policy, per auction, entropy counted in."
    )
    if len(learned.designs) > 1:
        seeds = [[row[key] for key in ("seed", "objective", "exploitability", "steps")] for row in result["seeds"]]
        page.table(["seed", wanted, "exploitability", "steps"], seeds, f"Mean {result['mean']:.5f}, deviation {result['deviation']:.5f}")
    if learned.designs:
        _say_how(page, scenario, learned, result, bars, wanted)
    page.heading("What people bid, before and after")
    curves = {"before": rules[BEFORE].outcome.bids, "after": best.outcome.bids}
    page.plot(lambda: mean_bids_plot(setting.auction.values, curves), f"Before: {BEFORE}. After: {_the_rule(result['shown'])}.")
    page.heading("What is charged, and how much is sold")
    page.plot(lambda: payment_plot(setting.auction.values, best.outcome.prices, best.outcome.chances))
    sold = {rule: measured.outcome.sold for rule, measured in rules.items()}
    page.plot(lambda: rounds_plot(sold, ylabel="share of the population served"))
    money = [[rule, *measured.outcome.collected.tolist()] for rule, measured in rules.items()]
    page.table(["rule", *(f"round {h + 1}" for h in range(setting.auction.rounds))], money, "Money collected, by round", folded=True)
    if findings:
        _say_audited(page, scenario, result, findings)
    return page


def _the_rule(shown: str) -> str:
    return "the learned rule" if shown == LEARNED else shown


def _say_how(
    page: Page, scenario: BatchedAuctionScenario, learned: Learned, result: Mapping[str, Any], bars: Mapping[str, float], wanted: str
) -> None:
    page.heading("How it was learned")
    top = result["best_simple_rule"]
    levels = {top: bars[top]} | ({} if result["ceiling"] is None else {"ceiling": result["ceiling"]})
    histories = {f"seed {seed}": design.history for seed, design in learned.designs.items()}
    page.plot(lambda: learning_plot(histories, levels, ylabel=wanted), "Thin: every step. Thick: the best so far, which is kept.")
    page.text(
        f"Rule: {scenario.rule}, starting from {result['start'].replace('_', ' ')}; {scenario.differentiate} derivative through "
        f"{result['equilibrium']['iterations']} iterations of mirror descent (rate {result['equilibrium']['rate']:g}, entropy weight "
        f"{result['equilibrium']['tau']:g})."
    )


def _say_audited(page: Page, scenario: BatchedAuctionScenario, result: Mapping[str, Any], findings: Sequence[Finding]) -> None:
    page.heading("Before the auditor")
    judged = [[f.property.replace("_", " "), f.verdict.value, f.value, f.method, f.reason] for f in findings]
    page.table(["property", "verdict", "figure", "method", "reason"], judged)
    if result["among_players"]:
        columns, rows = _among_rows(result["among_players"])
        page.table(columns, rows, "Among N players")
        page.text(f"{_slope_of(result['among_players'])} {_AMONG}")
    elif not scenario.players:
        page.text("`players = [10, 100, 1000]` in the scenario also judges populations of so many bidders.")
