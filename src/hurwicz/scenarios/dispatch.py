"""``kind = "dispatch"``: the generators of a real grid, coordinated by prices, paid, and the payments audited."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hurwicz._foundation import InputError, NotConvergedError
from hurwicz.reports import Page, number
from hurwicz.reports.grid import MAP_BUSES, payments_plot, price_map, rounds_plot
from hurwicz.scenarios import auditing
from hurwicz.scenarios.running import Progress, Run
from hurwicz.scenarios.schema import DispatchScenario
from hurwicz.scenarios.tables import text_table

if TYPE_CHECKING:
    from hurwicz.formats import MatpowerCase
    from hurwicz.prices.dispatch import DispatchResult
    from hurwicz.settings import DirectMechanism

_NOTHING = 1e-6  # MW or $/h: below, an interior-point solver's zero
_AGV_AGENTS = 2
AUDITED = ("DSIC", "ex_post_IR", "strong_budget_balance", "weak_budget_balance", "efficiency")
_RULES = {
    "linear": "the price at its bus times its output",
    "own_path": "what the system would lose if it stopped and nobody else moved: demand not served, at its value",
    "clarke": "what the system would lose if it stopped and the others re-optimised: its price, integrated along the way",
    "expected_externality": "what its report is expected to save the others, less the others' share of the same: sums to nothing",
}


def run_dispatch(scenario: DispatchScenario, name: str, progress: Progress) -> Run:
    """Coordinate, pay, audit; the result so far and the reason where the rounds run out."""
    from hurwicz.prices.dispatch import coordinate, dc_network
    from hurwicz.prices.dispatch.costs import unit_costs
    from hurwicz.typespaces import Interval, Uniform

    began = time.perf_counter()
    case = _case(scenario.case)
    rules: list[str] = list(scenario.payments if scenario.payments is not None else _RULES)
    notes: list[str] = []
    if scenario.payments is None and len(dc_network(case, scenario.network).trading) < _AGV_AGENTS:
        rules.remove("expected_externality")
        notes.append("expected_externality: left out; it needs two units that trade, so that one can finance the other's transfer")
    prior = Uniform(Interval(scenario.prior.low, scenario.prior.high))
    converged, message = True, ""
    try:
        reached = coordinate(
            case,
            network=scenario.network,
            max_rounds=scenario.max_rounds,
            tol=scenario.tolerance,
            payments=rules,
            payment_seconds=scenario.payment_seconds,
            value_of_lost_load=scenario.value_of_lost_load,
            prior=prior,
            samples=scenario.samples,
            reference=scenario.reference,
            seed=scenario.seed,
            progress=lambda line: progress(line, 0.3),
        )
    except NotConvergedError as error:
        reached, converged, message = error.reached, False, str(error)
    findings: auditing.Findings = {}
    if scenario.audit.enabled and converged:
        findings, skipped = _audit(scenario, case, reached, progress)
        notes += skipped
    reached = replace(reached, notes=(*reached.notes, *notes))
    result = reached.to_dict() | {"audit": auditing.as_data(findings)}
    result |= {"seconds": time.perf_counter() - began, "seconds_by_phase": reached.seconds}
    costs = {u: cost.at(x) for (u, x), cost in zip(reached.actions.items(), unit_costs(case, reached.network.unit_rows), strict=True)}
    page = _page(scenario, name, reached, costs, result)
    tables = [_summary(name, reached), *_who_gets_what(reached, costs)]
    if findings:
        auditing.add_section(page, findings, "$/h")
        tables.append(auditing.as_table(findings))
    return Run(result, page, tables, converged, message)


def _case(name: str) -> MatpowerCase:
    from hurwicz.formats import packaged_case, read_matpower

    return read_matpower(Path(name)) if name.endswith(".m") else packaged_case(name)


def _audit(
    scenario: DispatchScenario, case: MatpowerCase, reached: DispatchResult, progress: Progress
) -> tuple[auditing.Findings, list[str]]:
    """Findings for every rule that was paid by; notes on what could not be judged."""
    from hurwicz.audits import Effort
    from hurwicz.prices.dispatch import DispatchMechanism, DispatchModel
    from hurwicz.typespaces import Interval, Uniform

    if not reached.transfers or not len(reached.network.trading):
        return {}, []
    try:
        model = DispatchModel(
            case,
            network=scenario.network,
            value_of_lost_load=scenario.value_of_lost_load,
            prior=Uniform(Interval(scenario.prior.low, scenario.prior.high)),
            samples=scenario.samples,
            seed=scenario.seed,
        )
    except InputError as error:
        return {}, [f"no audit: {error}"]
    mechanisms: dict[str, DirectMechanism] = {rule: DispatchMechanism(model, rule) for rule in reached.transfers}
    effort = Effort(
        profiles=scenario.audit.profiles,
        deviations=scenario.audit.deviations,
        refinements=1,
        steps=12,
        seconds=scenario.audit.seconds,
        tolerance=1e-7,
    )
    truth = dict.fromkeys(next(iter(mechanisms.values())).agents, 1.0)
    return auditing.audit_rules(
        mechanisms,
        AUDITED,
        prior=None,
        effort=effort,
        at=[truth],
        seed=scenario.seed,
        progress=progress,
        hurry=model.hurry,
        most_seconds=scenario.audit.most_seconds,
    )


def _summary(name: str, reached: DispatchResult) -> Any:
    rows: list[list[Any]] = [
        ["status", reached.status.value],
        ["cost, $/h", number(reached.objective, 9)],
        ["independent optimum, $/h", None if reached.reference is None else number(reached.reference, 9)],
        ["price rounds", reached.price_rounds],
        ["worst violation, p.u.", reached.max_violation],
        ["lines at a limit", len(reached.binding)],
        ["pivotal generators", _some(reached.pivotal)],
        *(["note", note] for note in reached.notes),
    ]
    return text_table(f"{name}: {len(reached.actions)} generators, {len(reached.prices)} buses", ["", ""], rows)


def _some(names: Sequence[str], most: int = 6) -> str:
    """Names for a person: the first few and how many more."""
    return (", ".join(names[:most]) or "none") + (f" and {len(names) - most} more" if len(names) > most else "")


def _who_gets_what(reached: DispatchResult, costs: dict[str, float], most: int = 15) -> list[Any]:
    running = sorted(reached.actions, key=lambda unit: -abs(reached.actions[unit]))
    shown = [u for u in running if max(abs(x) for x in (reached.actions[u], *(row[u] for row in reached.transfers.values()))) > _NOTHING]
    columns, rows = _rows(reached, costs, shown[:most])
    more = f" ({most} of {len(shown)} with output or money; the report has all)" if len(shown) > most else ""
    total = ["total", *(sum(row[k] for row in _rows(reached, costs, running)[1]) if k != 2 else None for k in range(1, len(columns)))]
    return [text_table(f"Who produces what, and is paid what{more}", columns, [*rows, total])]


def _rows(reached: DispatchResult, costs: dict[str, float], units: list[str]) -> tuple[list[str], list[list[Any]]]:
    columns = ["generator", "MW", "$/MWh", "own cost, $/h", *(f"{rule.replace('_', ' ')}, $/h" for rule in reached.transfers)]
    price = dict(zip(reached.network.units, reached.network.buses[reached.network.unit_bus].tolist(), strict=True))
    defined = {bus: None if math.isnan(p) else p for bus, p in reached.prices.items()}
    rows = [[u, reached.actions[u], defined[price[u]], costs[u], *(row[u] for row in reached.transfers.values())] for u in units]
    return columns, rows


def _page(scenario: DispatchScenario, name: str, reached: DispatchResult, costs: dict[str, float], result: dict[str, Any]) -> Page:
    from hurwicz.prices.dispatch import explain_price

    page = Page(name, f"{Path(scenario.case).stem}: {len(reached.actions)} generators with private costs, coordinated by prices")
    page.figures(
        {
            "cost, $/h": number(reached.objective, 9),
            "independent optimum, $/h": None if reached.reference is None else number(reached.reference, 9),
            "price rounds": reached.price_rounds,
            "worst violation, p.u.": reached.max_violation,
            "status": reached.status.value,
            "seconds": result["seconds"],
        }
    )
    page.text(f"{reached.status.value}: {reached.status.message}.")
    for note in reached.notes:
        page.text(f"Note: {note}.")
    page.heading("Prices on the grid").plot(price_map(reached), _caption(reached))
    if reached.binding:
        rows = [[row[key] for key in ("line", "binds", "flow", "rating", "shadow_price")] for row in reached.binding]
        page.table(["line", "what binds", "flow, MW", "rating, MW", "shadow price, $/MWh"], rows, "Lines at a limit", folded=len(rows) > 20)
    page.heading("How the rounds went")
    if len([row for row in reached.rounds if row["gap"] is not None]) > 1:
        page.plot(rounds_plot(reached.rounds))
    columns = ["round", "kind", "agents asked", "excess cost at most (share of the money)"]
    page.table(columns, [list(row.values()) for row in reached.rounds])
    points = [len(row) for row in reached.revealed.values()]
    page.text(
        f"The planner never sees a cost. Along the way the agents' answers gave away {sum(points)} points of their marginal costs, "
        f"{max(points, default=0)} at most for one agent."
    )
    page.heading("Who produces what, and is paid what")
    if reached.transfers:
        page.plot(payments_plot(reached.transfers, costs))
    for rule in reached.transfers:
        page.text(f"{rule.replace('_', ' ')}: {_RULES[rule]}.")
    if reached.pivotal:
        page.text(
            f"Pivotal: {_some(reached.pivotal, 20)}. Demand cannot be met without any one of them, so what Clarke pays each rests on "
            f"the value of lost load ({scenario.value_of_lost_load:g} $/MWh)."
            if len(reached.pivotal) > 1
            else f"Pivotal: {reached.pivotal[0]}. Demand cannot be met without it, so its Clarke payment rests on the value of "
            f"lost load ({scenario.value_of_lost_load:g} $/MWh)."
        )
    columns, every = _rows(reached, costs, list(reached.actions))
    page.table(columns, every, "Every generator", folded=len(every) > 30)
    dearest = sorted(reached.actions, key=lambda unit: -reached.actions[unit])[:3]
    page.heading("Why each is paid its price")
    page.text("The price at a bus is the price at a reference bus plus what each binding line adds: shift factor times shadow price.")
    parts = ["part", "of", "shift factor", "shadow price, $/MWh", "contribution, $/MWh"]
    keys = ("part", "what", "shift_factor", "shadow_price", "contribution")
    for unit in dearest:
        rows = [[row[key] for key in keys] for row in explain_price(reached, unit) if abs(row["contribution"]) > _NOTHING]
        page.table(parts, rows, f"The price of {unit}")
    return page


def _caption(reached: DispatchResult) -> str:
    return "Every bus in the colour of its price." if len(reached.prices) <= MAP_BUSES else "The prices of all buses, in order."
