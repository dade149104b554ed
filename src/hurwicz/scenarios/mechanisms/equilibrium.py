"""The Bayes–Nash equilibrium of a mechanism's bids, as data, as tables, as a section of a page."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from hurwicz._foundation import InputError
from hurwicz.mechanisms import SingleParameterMechanism
from hurwicz.reports import Page, number
from hurwicz.scenarios.mechanisms.making import Recipe, how_many, make_mechanism
from hurwicz.scenarios.mechanisms.own_file import in_own_words
from hurwicz.scenarios.mechanisms.report_equilibrium import (
    add_report_equilibrium,
    figures,
    how_found,
    report_equilibrium_of,
    report_equilibrium_tables,
)
from hurwicz.scenarios.running import Progress, Run
from hurwicz.scenarios.schema import EquilibriumScenario
from hurwicz.scenarios.tables import text_table
from hurwicz.typespaces import ProductPrior

if TYPE_CHECKING:
    from hurwicz.equilibria import Equilibrium

_SHOWN = 6
_POINTS = 101
_FINER = 10.0  # searched for a tenth of what is accepted: what stops at the first profile that will do has bids of few digits


def run_equilibrium(scenario: EquilibriumScenario, name: str, progress: Progress) -> Run:
    """Make the mechanism, find its equilibrium, say what it earns and what it wastes."""
    recipe = Recipe.of(scenario)
    mechanism = make_mechanism(recipe)
    with in_own_words(recipe.mechanism):
        found = equilibrium_of(
            mechanism,
            seconds=scenario.seconds,
            tolerance=scenario.tolerance,
            bid_range=None if scenario.bid_range is None else (scenario.bid_range[0], scenario.bid_range[1]),
            seed=scenario.seed,
            progress=progress,
        )
    about = {"name": str(getattr(mechanism, "name", recipe.name)), "formula": str(getattr(mechanism, "formula", ""))}
    result = {"mechanism": recipe.to_dict() | about, "agents": list(mechanism.agents), "equilibrium": found}
    page = Page(f"Equilibrium of {about['name']}", f"{how_many(mechanism.agents)}, prior {', '.join(recipe.prior)}")
    if about["formula"]:
        page.text(about["formula"])
    add_equilibrium(page, found)
    message = f"some type still gains {found['epsilon']:.3g}, and at most {found['limit']:.3g} is wanted; {found['why']}"
    return Run(result, page, equilibrium_tables(found, name), converged=found["converged"], message=message)


def equilibrium_of(
    mechanism: Any,
    *,
    seconds: float,
    tolerance: float,
    bid_range: tuple[float, float] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """The equilibrium as plain data.

    Args:
        mechanism: single-parameter with independent types; of any other, see :func:`report_equilibrium_of`.
        seconds: time that the search may take.
        tolerance: largest gain wanted, as a share of the range of bids.
        bid_range: least and greatest bid; that of the types if omitted, and more where bidders press on it.
        seed: of every random choice.
        progress: called with the round and the fraction of the time used.

    Returns:
        ``strategies`` (who bids so → values and bids), ``revenue``, ``welfare``, ``price_of_anarchy`` (welfare over the greatest, with its
        ``standard_error``), ``epsilon``, ``limit`` (the tolerance in units of utility), ``converged``, and how it was found; where time ran
        out, what was reached, with the certificate that it has.

    Raises:
        InputError: types that no search fits, or a range of bids where reports are several numbers.

    Example:
        >>> from hurwicz.mechanisms import first_price
        >>> found = equilibrium_of(first_price(2), seconds=20.0, tolerance=1e-6)
        >>> round(found["revenue"], 5), found["strategies"][0]["who"]
        (0.33333, 'every agent')
    """
    if not isinstance(mechanism, SingleParameterMechanism) or not isinstance(mechanism.prior, ProductPrior):
        if bid_range is not None:
            raise InputError(
                "equilibrium: expected bid_range where an agent bids one number; here it reports a type, among those there are"
            )
        return report_equilibrium_of(mechanism, seconds=seconds, tolerance=tolerance, seed=seed, progress=progress)
    from hurwicz.equilibria import bayes_nash

    began = time.perf_counter()
    watched = _watched(began, seconds, progress)
    solution = bayes_nash(
        mechanism, strict=False, tolerance=tolerance / _FINER, bid_range=bid_range, seed=seed, time_limit=seconds, progress=watched
    )
    found = solution.value
    limit = _FINER * solution.stats["tolerance"]
    reached = bool(found.certificate.epsilon <= limit)
    data: dict[str, Any] = {
        "converged": reached,
        "status": "equilibrium" if reached else solution.status.value,
        "strategies": _strategies(found),
        "revenue": float(found.revenue),
        "welfare": float(found.welfare),
        "epsilon": float(found.certificate.epsilon),
        "limit": float(limit),
        "bound": found.certificate.bound,
        "certificate": str(found.certificate),
        "kind": solution.stats["kind"],
        "dynamics": solution.stats["dynamics"],
        "rounds": int(solution.stats["rounds"]),
        "why": "" if reached else str(solution.stats["why"]),
    }
    if mechanism.efficient is not None:
        with contextlib.suppress(InputError):  # where the greatest welfare is nothing, there is no ratio
            data["price_of_anarchy"], data["standard_error"] = found.welfare_ratio(seed=seed)
    return data | {"seconds": round(time.perf_counter() - began, 3)}


def add_equilibrium(page: Page, found: Mapping[str, Any]) -> None:
    """A section with the figures, the bids as a plot and as a table, and how well they are certified."""
    if "grid" in found:
        add_report_equilibrium(page, found)
        return
    page.heading("The equilibrium that it has")
    page.figures(figures(found))
    if found["converged"]:
        page.text(f"In this Bayes–Nash equilibrium no type of any agent gains more than {number(found['epsilon'], 3)} by another bid.")
    else:
        page.text(f"Not an equilibrium yet: some type would still gain {number(found['epsilon'], 3)} by another bid ({found['why']}).")
    page.plot(partial(_drawn, found), "What each type bids; the dashed line is the truth.")
    columns, rows = _bid_table(found)
    page.table(columns, rows, "Bids at the equilibrium")
    page.text(f"Found by {found['dynamics']}, {found['rounds']} rounds, {found['kind']}. Certificate: {found['certificate']}.")


def equilibrium_tables(found: Mapping[str, Any], name: str) -> list[Any]:
    """The same for a terminal."""
    if "grid" in found:
        return report_equilibrium_tables(found, name)
    columns, rows = _bid_table(found)
    return [f"{name}, Bayes–Nash equilibrium:", text_table("", columns, rows), how_found(found)]


def _bid_table(found: Mapping[str, Any]) -> tuple[list[str], list[list[Any]]]:
    """Types down, one column for each group that bids alike; groups of other types have rows of their own."""
    rows: list[list[Any]] = []
    for k, group in enumerate(found["strategies"]):
        values, bids = np.asarray(group["values"]), np.asarray(group["bids"])
        places = np.unique(np.linspace(0, len(values) - 1, min(_SHOWN, len(values))).round().astype(int))
        for place in places.tolist():
            value = float(values[place])
            row = next((r for r in rows if r[0] == value), None)
            if row is None:
                row = [value, *[None] * len(found["strategies"])]
                rows.append(row)
            row[1 + k] = round(float(bids[place]), 6)
    rows.sort(key=lambda row: float(row[0]))
    word = "bid" if found["kind"].startswith("monotone") else "mean bid"
    return ["type", *(f"{word} of {group['who']}" for group in found["strategies"])], rows


def _strategies(found: Equilibrium) -> list[dict[str, Any]]:
    from hurwicz.equilibria import MonotoneStrategy

    groups: dict[tuple[tuple[float, ...], tuple[float, ...]], list[str]] = {}
    for name, strategy in found.strategies.items():
        if isinstance(strategy, MonotoneStrategy):
            values = np.linspace(strategy.values[0], strategy.values[-1], _POINTS)
        else:
            values = np.asarray(strategy.types, dtype=np.float64)
        groups.setdefault((tuple(values.tolist()), tuple(found.bid(name, values).tolist())), []).append(name)
    return [
        {
            "who": "every agent" if len(groups) == 1 and len(names) > 1 else ", ".join(names),
            "agents": names,
            "values": list(values),
            "bids": list(bids),
        }
        for (values, bids), names in groups.items()
    ]


def _watched(began: float, seconds: float, progress: Progress | None) -> Callable[[int, float], None]:
    def look(rounds: int, gain: float) -> None:
        if progress is not None:
            progress(f"equilibrium: round {rounds}, gain {gain:.1e}", min((time.perf_counter() - began) / seconds, 1.0))

    return look


def _drawn(found: Mapping[str, Any]) -> Any:
    from hurwicz.reports.audits import bids_plot

    return bids_plot({group["who"]: (group["values"], group["bids"]) for group in found["strategies"]})
