"""What a bug report should carry: versions, machine, extras, packaged data."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any


def information() -> dict[str, Any]:
    """Versions, machine, extras and the packaged grids, as plain data.

    Example:
        >>> sorted(information())
        ['auctions', 'extras', 'grids', 'hurwicz', 'libraries', 'machine', 'python']
    """
    from hurwicz.formats import packaged_auctions, packaged_cases

    requirements = [re.match(r"([A-Za-z0-9_.-]+).*?(?:extra == ['\"](\w+)['\"])?$", text) for text in requires("hurwicz") or []]
    by_extra: dict[str, dict[str, str]] = {}
    for match in filter(None, requirements):
        by_extra.setdefault(match[2] or "", {})[match[1]] = _version(match[1])
    libraries = by_extra.pop("", {})
    extras = {name: "installed" if "missing" not in found.values() else "not installed" for name, found in sorted(by_extra.items())}
    return {
        "hurwicz": version("hurwicz"),
        "python": platform.python_version(),
        "machine": {"system": platform.system(), "processor": platform.machine(), "cores": str(os.cpu_count())},
        "libraries": dict(sorted(libraries.items())),
        "extras": extras,
        "grids": list(packaged_cases()),
        "auctions": list(packaged_auctions()),
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"
