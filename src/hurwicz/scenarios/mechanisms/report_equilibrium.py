"""The Bayes–Nash equilibrium of agents whose report is more than one number, as data, as tables, as a section of a page."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hurwicz.reports import Page, number
from hurwicz.scenarios.running import Progress
from hurwicz.scenarios.tables import text_table
from hurwicz.settings import DirectMechanism

if TYPE_CHECKING:
    from hurwicz.equilibria import ReportEquilibrium

_SHOWN = 6


def report_equilibrium_of(
    mechanism: DirectMechanism, *, seconds: float, tolerance: float, seed: int = 0, progress: Progress | None = None
) -> dict[str, Any]:
    """The equilibrium as plain data.

    Args:
        mechanism: any with a prior; a continuum of types is put on a grid, which the result says.
        seconds: time that learning may take; filling the tables comes before.
        tolerance: largest gain wanted, as a share of the range of utilities.
        seed: of every random choice.
        progress: called with the round and the fraction of the time used.

    Returns:
        ``strategies`` (who reports so → types, mean and likeliest reports), ``revenue``, ``welfare``, ``price_of_anarchy`` where it is
        known (with its ``standard_error``), ``epsilon`` (exact on the grid), ``limit`` (the tolerance in units of utility),
        ``converged``, ``grid`` (cells a component, where there was a continuum) and how it was found.

    Raises:
        InputError: no prior, or more profiles of reports than a table holds.

    Example:
        >>> from hurwicz.mechanisms import multi_unit_uniform_price
        >>> found = report_equilibrium_of(multi_unit_uniform_price(2), seconds=20.0, tolerance=1e-3)
        >>> found["converged"], found["strategies"][0]["agents"], found["grid"]
        (True, ['bidder 1'], 6)
    """
    from hurwicz.equilibria import report_equilibrium

    began = time.perf_counter()

    def look(rounds: int, gain: float) -> None:
        if progress is not None:
            progress(f"equilibrium: round {rounds}, gain {gain:.1e}", min((time.perf_counter() - began) / seconds, 1.0))

    solution = report_equilibrium(mechanism, tolerance=tolerance, time_limit=seconds, seed=seed, progress=look)
    found, stats = solution.value, solution.stats
    data: dict[str, Any] = {
        "converged": solution.status.ok,
        "status": solution.status.value,
        "strategies": _strategies(found),
        "revenue": found.revenue,
        "welfare": found.welfare,
        "epsilon": found.epsilon,
        "limit": stats["tolerance"],
        "certificate": found.certificate,
        "kind": stats["kind"],
        "grid": stats["grid"],
        "dynamics": stats["dynamics"],
        "rounds": int(stats["rounds"]),
        "why": stats["why"],
    }
    if found.ratio is not None:
        data |= {"price_of_anarchy": found.ratio, "standard_error": found.ratio_error}
    return data | {"seconds": round(time.perf_counter() - began, 3)}


def add_report_equilibrium(page: Page, found: Mapping[str, Any]) -> None:
    """A section with the figures, who reports what, and how well it is certified."""
    page.heading("The equilibrium that it has")
    page.figures(figures(found))
    if found["converged"]:
        page.text(f"In this Bayes–Nash equilibrium no type gains more than {number(found['epsilon'], 3)} by another report.")
    else:
        page.text(f"Not an equilibrium yet: some type would still gain {number(found['epsilon'], 3)} by another report ({found['why']}).")
    if found["grid"]:
        page.text(_on_grid(found))
    page.table(*_report_table(found), "Reports at the equilibrium")
    page.text(f"Found by {found['dynamics']}, {found['rounds']} rounds, {found['kind']}. Certificate: {found['certificate']}.")


def report_equilibrium_tables(found: Mapping[str, Any], name: str) -> list[Any]:
    """The same for a terminal."""
    columns, rows = _report_table(found)
    return [
        f"{name}, Bayes–Nash equilibrium of the reports:",
        text_table("", columns, rows),
        how_found(found),
        *([_on_grid(found)] if found["grid"] else []),
    ]


def _on_grid(found: Mapping[str, Any]) -> str:
    return (
        f"Types are continuous and were put on a grid of {found['grid']} cells a component, reports likewise; "
        "epsilon is exact there and says nothing of reports between. --grid N takes another."
    )


def how_found(found: Mapping[str, Any]) -> str:
    """The figures of an equilibrium and what found it, in a line for a terminal."""
    told = ", ".join(f"{key} {number(value, 6) if isinstance(value, float) else value}" for key, value in figures(found).items())
    how = f"{told}; found by {found['dynamics']}, {found['rounds']} rounds"
    return how if found["converged"] else f"{how}; NOT converged: {found['why']}"


def figures(found: Mapping[str, Any]) -> dict[str, Any]:
    """What an equilibrium is worth, and what it leaves to gain."""
    worth = {"revenue": found["revenue"], "welfare": found["welfare"]}
    if "price_of_anarchy" in found:
        worth["price of anarchy"] = round(found["price_of_anarchy"], 6)
    return worth | {"epsilon": float(f"{found['epsilon']:.2e}")}


def _report_table(found: Mapping[str, Any]) -> tuple[list[str], list[list[Any]]]:
    rows: list[list[Any]] = []
    for group in found["strategies"]:
        count = len(group["types"])
        for k in np.unique(np.linspace(0, count - 1, min(_SHOWN, count)).round().astype(int)).tolist():
            likeliest = f"{_text(group['likeliest'][k])} ({group['probabilities'][k]:.0%})"
            rows.append([group["who"], _text(group["types"][k]), _text(group["reports"][k]), likeliest])
    return ["who", "type", "mean report", "likeliest report"], rows


def _text(value: Any) -> str:
    if value is None:
        return "–"
    return (
        ", ".join(number(x, 4) for x in value) if isinstance(value, list) else number(value, 4) if isinstance(value, float) else str(value)
    )


def _strategies(found: ReportEquilibrium) -> list[dict[str, Any]]:
    groups: list[tuple[list[str], str]] = []
    for name in found.strategies:
        same = next((g for g in groups if _alike(found, g[0][0], name)), None)
        if same is None:
            groups.append(([name], name))
        else:
            same[0].append(name)
    out = []
    for names, first in groups:
        strategy, reports = found.strategies[first], found.reports[first]
        best = strategy.argmax(axis=1)
        out.append(
            {
                "who": "every agent" if len(groups) == 1 and len(names) > 1 else ", ".join(names),
                "agents": names,
                "types": _plain(found.types[first]),
                "reports": _plain(np.tensordot(strategy, reports, axes=1)) if reports.dtype != object else [None] * len(strategy),
                "likeliest": _plain(reports[best]),
                "probabilities": strategy[np.arange(len(best)), best].tolist(),
            }
        )
    return out


def _alike(found: ReportEquilibrium, one: str, other: str) -> bool:
    each: list[Callable[[str], NDArray[Any]]] = [found.types.__getitem__, found.reports.__getitem__, found.strategies.__getitem__]
    return all(of(one).shape == of(other).shape and _same(of(one), of(other)) for of in each)


def _plain(values: NDArray[Any]) -> list[Any]:
    return [str(value) for value in values] if values.dtype == object else np.asarray(values, dtype=np.float64).tolist()


def _same(one: NDArray[Any], other: NDArray[Any]) -> bool:
    return np.array_equal(one, other) if one.dtype == object else np.allclose(one, other, atol=1e-6)
