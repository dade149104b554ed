"""Every mechanism of the library before the auditor, one word a cell: what the page on which to use is made from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hurwicz._foundation import InputError
from hurwicz.audits import Verdict, audit
from hurwicz.mechanisms import Entry, make, registry
from hurwicz.scenarios.mechanisms.making import Recipe, make_mechanism
from hurwicz.scenarios.running import Progress
from hurwicz.settings import PROPERTIES

if TYPE_CHECKING:
    from rich.table import Table

_AGENTS = 3
_GRID = 5  # types each, where expectations over a continuum leave a lie open
_PROFILES = 10_000
_COLOURS = {"proved": "green", "refuted": "red", "not_refuted": "yellow", "not_applicable": "dim"}
MAIN = ("DSIC", "BIC", "ex_post_IR", "interim_IR", "weak_budget_balance", "strong_budget_balance", "efficiency")
"""What a person asks first of a mechanism."""


def survey(
    properties: Sequence[str] | None = None,
    *,
    names: Sequence[str] | None = None,
    effort: str = "quick",
    seed: int = 0,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Audit every mechanism of the library for three agents, or as few as it takes, with its own prior and options.

    Args:
        properties: what to audit; every property if omitted.
        names: of mechanisms; all if omitted.
        effort: how hard each search looks.
        seed: of every random choice.
        progress: called with the mechanism's name and the fraction done.

    Returns:
        One row a mechanism: ``name``, ``family``, ``agents`` (how many), ``verdicts`` (property → word), ``declared`` (property →
        whether it is said to hold) and ``on_grid``: the properties that were refuted on a grid of five types each alone, where the sampled
        expectations of the continuum left them open.

    Raises:
        InputError: an unknown property or mechanism.

    Example:
        >>> rows = {row["name"]: row for row in survey(["strong_budget_balance"])}
        >>> rows["second_price"]["verdicts"]
        {'strong_budget_balance': 'refuted'}
    """
    wanted = list(PROPERTIES) if properties is None else list(properties)
    wrong = [name for name in wanted if name not in PROPERTIES]
    if wrong:
        raise InputError(f"expected properties among {', '.join(PROPERTIES)}; got {wrong}")
    rows = []
    known = registry() if names is None else {name: _entry(name) for name in names}
    for k, (name, entry) in enumerate(known.items()):
        if progress is not None:
            progress(name, k / len(known))
        mechanism: Any = _made(name, entry.least)
        verdicts = {f.property: f.verdict.value for f in audit(mechanism, wanted, effort=effort, seed=seed)}
        on_grid = _refuted_on_a_grid(name, len(mechanism.agents), verdicts, effort, seed)
        rows.append(
            {
                "name": name,
                "family": entry.family,
                "agents": len(mechanism.agents),
                "verdicts": verdicts | dict.fromkeys(on_grid, "refuted"),
                "on_grid": on_grid,
                "declared": {claim.property: claim.holds for claim in sorted(mechanism.guarantees, key=lambda claim: claim.holds)},
            }
        )
    return rows


def _entry(name: str) -> Entry:
    known = registry()
    if name not in known:
        make(name)  # says which names are near
    return known[name]


def _refuted_on_a_grid(name: str, agents: int, verdicts: Mapping[str, str], effort: str, seed: int) -> list[str]:
    """BIC, where a lie pays at some profile and the expectation over a continuum was too coarse to tell whether it pays on average."""
    if verdicts.get("BIC") != "not_refuted" or verdicts.get("DSIC") != "refuted":
        return []
    try:
        mechanism: Any = make_mechanism(Recipe(name, agents, grid=_GRID))
    except InputError:  # types that cannot be cut into cells
        return []
    if math.prod(float(space.size or math.inf) for space in mechanism.type_spaces.values()) > _PROFILES:
        return []
    (finding,) = audit(mechanism, ["BIC"], effort=effort, seed=seed)
    return ["BIC"] if finding.verdict is Verdict.REFUTED else []


def _made(name: str, least: int) -> Any:
    """For three, so that there is competition for two of anything; some are for two only."""
    try:
        return make(name, max(_AGENTS, least))
    except InputError:
        return make(name, least)


def survey_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Mechanisms down, properties across.

    Args:
        rows: from :func:`survey`.
    """
    from rich.table import Table

    properties = list(dict.fromkeys(name for row in rows for name in row["verdicts"]))
    table = Table("mechanism", *(name.replace("_", " ") for name in properties))
    for row in rows:
        cells = [(row["verdicts"].get(name, "not_applicable"), name in row["on_grid"]) for name in properties]
        said = (f"[{_COLOURS[cell]}]{cell.replace('_', ' ')}{' on a grid' if cut else ''}[/]" for cell, cut in cells)
        table.add_row(row["name"], *said)
    return table
