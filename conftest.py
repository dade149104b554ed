"""Tests and examples run in float64, with the shapes in signatures checked at every call."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

os.environ.setdefault("JAX_ENABLE_X64", "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("MPLBACKEND", "agg")

import sys
import types
from pathlib import Path

import jaxtyping
import pytest
from beartype import BeartypeConf, beartype
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

SOURCE = Path(__file__).resolve().parent / "src" / "hurwicz"


def _checked_modules() -> list[str]:
    """Every module of the library but the numba kernels, which cannot be wrapped before they are compiled, and pydantic's models."""
    paths = (path.relative_to(SOURCE.parent).with_suffix("") for path in SOURCE.rglob("*.py"))
    return sorted(".".join(path.parts) for path in paths if path.name not in {"__init__", "schema"} and not path.name.endswith("_kernels"))


# An int is a float wherever a float is asked for, as PEP 484 says and plain beartype does not. The hook wants the checker by name.
_checker = types.ModuleType("hurwicz_run_time_checks")
_checker.check = beartype(conf=BeartypeConf(is_pep484_tower=True))  # type: ignore[attr-defined]
sys.modules[_checker.__name__] = _checker
jaxtyping.install_import_hook(_checked_modules(), f"{_checker.__name__}.check")

# The Python blocks of every page are run; those of one page share their names, as a reader would expect.
pytest_collect_file = Sybil(parsers=[PythonCodeBlockParser(), SkipParser()], patterns=["*.md"]).pytest()


_CROWDED = 15_000  # of the 65,530 pieces of memory that Linux lets a process map; every program that JAX compiles takes some


@pytest.fixture(autouse=True, scope="module")
def room_for_programs() -> Iterator[None]:
    """After a file of tests, forget what JAX has compiled once it is a lot: at the limit the next program ends the process."""
    yield
    maps = Path("/proc/self/maps")
    if "jax" in sys.modules and maps.exists() and len(maps.read_bytes().splitlines()) > _CROWDED:
        sys.modules["jax"].clear_caches()
        gc.collect()
