"""Every mechanism of the library, as a list for a person and for a program."""

from __future__ import annotations

from typing import Any

from hurwicz.mechanisms import registry


def listing() -> list[dict[str, Any]]:
    """One row a mechanism: name, family, fewest agents, options, summary.

    Example:
        >>> all(row["summary"] for row in listing())
        True
    """
    return [
        {
            "name": entry.name,
            "family": entry.family,
            "least": entry.least,
            "options": [f"{option}={default}" for option, default in entry.options.items()],
            "summary": entry.summary,
        }
        for entry in registry().values()
    ]
