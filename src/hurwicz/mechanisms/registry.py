"""Every mechanism of the library by the field's name, as the command line and the shared tests find it."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hurwicz._foundation import InputError
from hurwicz.settings import DirectMechanism

# One module a family, imported when its mechanisms are asked for; each holds its ENTRIES.
_FAMILIES: tuple[str, ...] = (
    "budgets",
    "clock_auctions",
    "combinatorial.direct",
    "combinatorial.procurement",
    "contracting",
    "cost_sharing",
    "divisible",
    "menus",
    "multi_unit",
    "optimal",
    "position",
    "posted_prices",
    "procurement",
    "public_good",
    "reverse_auctions",
    "scheduling",
    "second_best",
    "several_units",
    "single_item",
    "social_choice",
    "task_procurement",
    "trade",
)


@dataclass(frozen=True)
class Entry:
    """A mechanism that can be made by name.

    Attributes:
        name: the field's name, words joined by underscores.
        family: what it is for: ``"single item"``, ``"several units"``, ``"combinatorial"``, ``"trade"``, ``"tasks"``, ``"general"``.
        make: ``make(agents, *, prior=None, **options)`` → the mechanism; the options are the keyword arguments of the function.
        least: the fewest agents that it has a meaning for.
        most: the most, where there is such a number.
    """

    name: str
    family: str
    make: Callable[..., DirectMechanism]
    least: int = 2
    most: int | None = None

    @property
    def summary(self) -> str:
        """The first line of the function's docstring."""
        return (inspect.getdoc(self.make) or "").splitlines()[0]

    @property
    def options(self) -> Mapping[str, Any]:
        """Name → default of every option but the prior."""
        parameters = list(inspect.signature(self.make).parameters.values())[1:]
        return {p.name: p.default for p in parameters if p.name != "prior" and p.kind is not p.VAR_KEYWORD}


@functools.cache
def registry() -> Mapping[str, Entry]:
    """Name → entry, for every mechanism of the library.

    Example:
        >>> sorted(registry()) == sorted(e.name for e in registry().values())
        True
    """
    entries = [entry for family in _FAMILIES for entry in importlib.import_module(f"hurwicz.mechanisms.{family}").ENTRIES]
    return {entry.name: entry for entry in entries}


def make(name: str, agents: Any = 2, **options: Any) -> DirectMechanism:
    """The mechanism of that name.

    Args:
        name: a key of :func:`registry`.
        agents: how many, or their names.
        options: ``prior`` and what the mechanism takes besides.

    Raises:
        InputError: an unknown name or option, with the nearest known ones.

    Example:
        >>> make("second_price", ("ada", "bob")).agents
        ('ada', 'bob')
    """
    import difflib

    known = registry()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3)
        raise InputError(f"unknown mechanism {name!r}; " + (f"did you mean {' or '.join(near)}?" if near else f"known are {sorted(known)}"))
    entry = known[name]
    wrong = sorted(set(options) - set(entry.options) - {"prior"})
    if wrong:
        raise InputError(f"{name}: unknown options {wrong}; it takes {sorted(entry.options)} and prior")
    return entry.make(agents, **options)
