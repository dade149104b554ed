"""``kind = "auction"``: a combinatorial auction cleared: who wins which bundles, and what each pays."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hurwicz.reports import Page, number
from hurwicz.scenarios.running import Progress, Run
from hurwicz.scenarios.schema import AuctionScenario
from hurwicz.scenarios.tables import text_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from hurwicz._foundation import Solution
    from hurwicz.mechanisms.combinatorial import AuctionResult, CombinatorialAuction

_RULES = {
    "vcg": "what its presence costs the others: their best without it, less what they have with it",
    "core": "the least to which no coalition objects, and of that the nearest to VCG",
    "pay_as_bid": "what it bid for what it gets",
}
_SHOWN = 20
_PLOTTED = 60


def run_auction(scenario: AuctionScenario, name: str, progress: Progress) -> Run:
    """Determine the winners and, by each rule asked for, what they pay."""
    from hurwicz.mechanisms.combinatorial import core_selecting, pay_as_bid, vcg

    began = time.perf_counter()
    auction, notes = _auction(scenario)
    rules: dict[str, Callable[..., Solution[AuctionResult]]] = {"vcg": vcg, "core": core_selecting, "pay_as_bid": pay_as_bid}
    solved: dict[str, Solution[AuctionResult]] = {
        rule: rules[rule](auction, solver=scenario.solver, time_limit=scenario.seconds, progress=progress) for rule in scenario.payments
    }
    first = next(iter(solved.values()))
    open_rules = [rule for rule, solution in solved.items() if not solution.status.ok]
    result = _result(auction, solved, notes) | {"seconds": time.perf_counter() - began}
    message = (
        f"{', '.join(rule.replace('_', ' ') for rule in open_rules)}: time ran out at welfare {number(first.value.assignment.welfare, 9)} "
        f"of at most {number(first.stats['bound'], 9)}; raise `seconds`"
    )
    tables = [_summary(name, auction, solved, notes), _who_wins(solved)]
    return Run(result, _page(scenario, name, auction, solved, result), tables, not open_rules, message if open_rules else "")


def _auction(scenario: AuctionScenario) -> tuple[CombinatorialAuction, list[str]]:
    from hurwicz.formats import packaged_auction, read_cats
    from hurwicz.mechanisms.combinatorial import combinatorial_auction, from_cats
    from hurwicz.valuations import or_bids, xor_bids

    if scenario.file is not None:
        read = read_cats if scenario.file.endswith(".txt") else packaged_auction
        case = read(scenario.file, bad_prices=scenario.bad_prices)
        dropped = [f"bid {bid.number} (line {bid.line}) left out: its price is {bid.price}" for bid in case.dropped]
        return from_cats(case), dropped
    language = xor_bids if scenario.language == "xor" else or_bids
    by_bidder: dict[str, list[tuple[list[str], float]]] = {}
    for bid in scenario.bids or ():
        by_bidder.setdefault(bid.bidder, []).append((bid.goods, bid.price))
    return combinatorial_auction({bidder: language(bids) for bidder, bids in by_bidder.items()}, goods=scenario.goods), []


def _result(auction: CombinatorialAuction, solved: dict[str, Solution[AuctionResult]], notes: list[str]) -> dict[str, Any]:
    """Plain data for ``result.json``."""
    first = next(iter(solved.values()))
    assignment = first.value.assignment
    done = all(solution.status.ok for solution in solved.values())
    sold = dict.fromkeys(auction.supply, 0)
    for bundle in assignment.bundles.values():
        for good in bundle:
            sold[good] += 1
    vcg = solved.get("vcg")
    return {
        "status": "optimum" if done else next(s.status.value for s in solved.values() if not s.status.ok),
        "bidders": len(auction.bidders),
        "bids": auction.size,
        "goods": len(auction.supply),
        "welfare": assignment.welfare,
        "bound": first.stats["bound"],
        "gap": first.stats["gap"],
        "winners": {bidder: {"goods": list(goods), "bid": assignment.bid_of(bidder)} for bidder, goods in assignment.bundles.items()},
        "payments": {rule: dict(solution.value.payments) for rule, solution in solved.items()},
        "revenue": {rule: solution.value.revenue for rule, solution in solved.items()},
        "payment_bounds": {b: list(ends) for b, ends in vcg.stats["payment_bounds"].items()} if vcg is not None else {},
        "unsold": [good for good, units in auction.supply.items() if sold[good] < units],
        "seconds_by_rule": {rule: solution.stats["seconds"] for rule, solution in solved.items()},
        "notes": notes,
    }


def _summary(name: str, auction: CombinatorialAuction, solved: dict[str, Solution[AuctionResult]], notes: list[str]) -> Any:
    first = next(iter(solved.values()))
    rows: list[list[Any]] = [
        ["status", ", ".join(dict.fromkeys(solution.status.value for solution in solved.values()))],
        ["welfare", number(first.value.assignment.welfare, 9)],
        ["no more than", number(first.stats["bound"], 9)],
        *([f"revenue, {rule.replace('_', ' ')}", number(solution.value.revenue, 9)] for rule, solution in solved.items()),
        ["winners", f"{len(first.value.assignment.won)} of {len(auction.bidders)}"],
        *(["note", note] for note in notes),
    ]
    return text_table(f"{name}: {auction.size} bids of {len(auction.bidders)} bidders on {len(auction.supply)} goods", ["", ""], rows)


def _rows(solved: dict[str, Solution[AuctionResult]]) -> tuple[list[str], list[list[Any]]]:
    assignment = next(iter(solved.values())).value.assignment
    columns = ["bidder", "wins", "bid", *(f"pays, {rule.replace('_', ' ')}" for rule in solved)]
    rows = [
        [bidder, _bundle(goods), assignment.bid_of(bidder), *(solution.value.payments[bidder] for solution in solved.values())]
        for bidder, goods in assignment.bundles.items()
    ]
    return columns, sorted(rows, key=lambda row: -row[2])


def _bundle(goods: tuple[str, ...], most: int = 8) -> str:
    """A bundle for a person: numbered goods of one word share it."""
    words = [good.rsplit(" ", 1) for good in goods]
    if all(len(word) == 2 and word[0] == words[0][0] and word[1].isdecimal() for word in words):
        names = [word[1] for word in sorted(words, key=lambda word: int(word[1]))]
        text = f"{words[0][0]}{'s' if len(names) > 1 else ''} " + ", ".join(names[:most])
    else:
        names = list(goods)
        text = ", ".join(names[:most])
    return text + (f" and {len(names) - most} more" if len(names) > most else "")


def _who_wins(solved: dict[str, Solution[AuctionResult]]) -> Any:
    columns, rows = _rows(solved)
    more = f" ({_SHOWN} of {len(rows)} winners; the report has all)" if len(rows) > _SHOWN else ""
    total = ["total", None, *(sum(row[k] for row in rows) for k in range(2, len(columns)))]
    return text_table(f"Who wins what, and pays what{more}", columns, [*rows[:_SHOWN], total])


def _page(
    scenario: AuctionScenario,
    name: str,
    auction: CombinatorialAuction,
    solved: dict[str, Solution[AuctionResult]],
    result: dict[str, Any],
) -> Page:
    first = next(iter(solved.values()))
    source = Path(scenario.file).stem if scenario.file else "bids of the scenario"
    page = Page(name, f"{source}: {auction.size} bids of {len(auction.bidders)} bidders on {len(auction.supply)} goods")
    page.figures(
        {
            "welfare": number(result["welfare"], 9),
            "no more than": number(result["bound"], 9),
            **{f"revenue, {rule.replace('_', ' ')}": number(revenue, 9) for rule, revenue in result["revenue"].items()},
            "winners": len(result["winners"]),
            "seconds": result["seconds"],
        }
    )
    for rule, solution in solved.items():
        page.text(f"{rule.replace('_', ' ')}: {solution.status.value}.")
    for note in result["notes"]:
        page.text(f"Note: {note}.")
    page.heading("Who wins what, and pays what")
    if result["winners"]:
        page.plot(_payments_plot(solved), "What each winner bid, and what it pays by each rule.")
    columns, rows = _rows(solved)
    page.table(columns, rows, "Every winner", folded=len(rows) > 40)
    for rule in solved:
        page.text(f"{rule.replace('_', ' ')}: each winner pays {_RULES[rule]}.")
    if result["unsold"]:
        page.text(f"Not sold: {_bundle(tuple(result['unsold']), 40)}.")
    page.heading("How it was solved")
    stats = {key: value for key, value in first.stats.items() if key != "payment_bounds" and isinstance(value, int | float)}
    page.table(["figure", "value"], [[key.replace("_", " "), value] for key, value in stats.items()])
    return page


def _payments_plot(solved: dict[str, Solution[AuctionResult]]) -> Figure:
    from matplotlib.figure import Figure

    columns, rows = _rows(solved)
    rows = rows[:_PLOTTED]
    figure = Figure(figsize=(8, 3.2))
    axes = figure.subplots()
    places = range(len(rows))
    axes.bar(places, [row[2] for row in rows], color="0.85", label="bid")
    for k, mark in zip(range(3, len(columns)), "o^s", strict=False):
        axes.plot(places, [row[k] for row in rows], mark, markersize=4, label=columns[k])
    axes.set_xticks(list(places), [row[0] for row in rows], rotation=90, fontsize=6)
    axes.set_ylabel("money")
    axes.legend(frameon=False)
    return figure
