"""Tests and examples run in float64, with the shapes in signatures checked at every call."""

from __future__ import annotations

import os

os.environ.setdefault("JAX_ENABLE_X64", "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("MPLBACKEND", "agg")

import sys
import types
from pathlib import Path

import jaxtyping
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
