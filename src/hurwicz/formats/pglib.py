"""The PGLib-OPF cases that come with the library.

Source: S. Babaeinejadsarookolaee et al., "The Power Grid Library for Benchmarking AC Optimal Power Flow Algorithms", arXiv 1908.02788,
    v23.07.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from hurwicz._foundation import InputError
from hurwicz.formats.matpower import MatpowerCase, read_matpower

_PREFIX = "pglib_opf_"


def packaged_cases() -> tuple[str, ...]:
    """Names of the packaged cases.

    Example:
        >>> packaged_cases()
        ('case118_ieee', 'case14_ieee', 'case200_activ', 'case30_as')
    """
    folder = resources.files("hurwicz") / "data" / "pglib"
    return tuple(sorted(item.name[len(_PREFIX) : -2] for item in folder.iterdir() if item.name.endswith(".m")))


def packaged_path(name: str) -> Path:
    """Where the packaged case ``name`` lies (``"case118_ieee"``, with or without ``pglib_opf_`` and ``.m``).

    Raises:
        InputError: no such case; the message lists them.

    Example:
        >>> packaged_path("case14_ieee").name
        'pglib_opf_case14_ieee.m'
    """
    short = name.removeprefix(_PREFIX).removesuffix(".m")
    if short not in packaged_cases():
        raise InputError(
            f"expected one of the packaged cases {', '.join(packaged_cases())}, got {name!r}; read other files with read_matpower"
        )
    return Path(str(resources.files("hurwicz") / "data" / "pglib" / f"{_PREFIX}{short}.m"))


def packaged_case(name: str) -> MatpowerCase:
    """A packaged case, read.

    Raises:
        InputError: no such case; the message lists them.

    Example:
        >>> packaged_case("case118_ieee").base_mva
        100.0
    """
    return read_matpower(packaged_path(name))
