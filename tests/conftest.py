"""Tests run in float64, with the shapes in signatures checked at every call."""

from __future__ import annotations

import os

os.environ.setdefault("JAX_ENABLE_X64", "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

from pathlib import Path

import jaxtyping

SOURCE = Path(__file__).resolve().parents[1] / "src" / "hurwicz"


def _checked_modules() -> list[str]:
    """Every module of the library but the numba kernels, which cannot be wrapped before they are compiled."""
    paths = (path.relative_to(SOURCE.parent).with_suffix("") for path in SOURCE.rglob("*.py"))
    return sorted(".".join(path.parts) for path in paths if path.name != "__init__" and not path.name.endswith("_kernels"))


jaxtyping.install_import_hook(_checked_modules(), "beartype.beartype")
