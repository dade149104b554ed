"""Every mechanism of the library before the auditor, one word a cell: what the page on which to use is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hurwicz._foundation import InputError
from hurwicz.audits import audit
from hurwicz.mechanisms import make, registry
from hurwicz.scenarios.running import Progress
from hurwicz.settings import PROPERTIES

if TYPE_CHECKING:
    from rich.table import Table

_AGENTS = 3
_COLOURS = {"proved": "green", "refuted": "red", "not_refuted": "yellow", "not_applicable": "dim"}
MAIN = ("DSIC", "BIC", "ex_post_IR", "interim_IR", "weak_budget_balance", "strong_budget_balance", "efficiency")
"""What a person asks first of a mechanism."""


def survey(
    properties: Sequence[str] | None = None, *, effort: str = "quick", seed: int = 0, progress: Progress | None = None
) -> list[dict[str, Any]]:
    """Audit every mechanism of the library for three agents, or as few as it takes, with its own prior and options.

    Args:
        properties: what to audit; every property if omitted.
        effort: how hard each search looks.
        seed: of every random choice.
        progress: called with the mechanism's name and the fraction done.

    Returns:
        One row a mechanism: ``name``, ``family``, ``agents`` (how many), ``verdicts`` (property → word) and ``declared`` (property →
        whether it is said to hold).

    Raises:
        InputError: an unknown property.

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
    known = registry()
    for k, (name, entry) in enumerate(known.items()):
        if progress is not None:
            progress(name, k / len(known))
        mechanism: Any = _made(name, entry.least)
        findings = audit(mechanism, wanted, effort=effort, seed=seed)
        rows.append(
            {
                "name": name,
                "family": entry.family,
                "agents": len(mechanism.agents),
                "verdicts": {finding.property: finding.verdict.value for finding in findings},
                "declared": {claim.property: claim.holds for claim in sorted(mechanism.guarantees, key=lambda claim: claim.holds)},
            }
        )
    return rows


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
        cells = [row["verdicts"].get(name, "not_applicable") for name in properties]
        table.add_row(row["name"], *(f"[{_COLOURS[cell]}]{cell.replace('_', ' ')}[/]" for cell in cells))
    return table
