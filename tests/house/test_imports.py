"""Importing is free of side effects, and asking for help does not load the mathematics."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("jax", "scipy", "numba", "highspy", "matplotlib", "pydantic", "clarabel", "equinox")


def _python(code: str) -> str:
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("module", ["hurwicz", "hurwicz.cli"])
def test_light_modules_import_nothing_heavy(module: str) -> None:
    loaded = _python(f"import sys, {module}; print(*[m for m in {HEAVY} if m in sys.modules])")
    assert loaded == ""


def test_an_audit_of_a_named_mechanism_loads_no_solver_and_no_compiler() -> None:
    code = "import sys; from hurwicz.audits import audit; from hurwicz.mechanisms import make"
    asked = "found = audit(make('second_price', 2), effort='quick')"
    loaded = _python(f"{code}; {asked}; print(bool(found), *[m for m in {HEAVY} if m in sys.modules])")
    assert loaded == "True"


@pytest.mark.parametrize("module", ["hurwicz.prices", "hurwicz.audits", "hurwicz.prices.populations", "hurwicz.prices.dispatch"])
def test_importing_the_library_leaves_float32_the_default(module: str) -> None:
    assert _python(f"import {module}, jax.numpy as jnp; print(jnp.asarray(1.0).dtype)") == "float32"


def test_importing_the_library_sets_up_no_logging_and_starts_no_thread() -> None:
    code = "import hurwicz.prices, hurwicz.audits, logging, threading; print(len(logging.getLogger().handlers), threading.active_count())"
    assert _python(code) == "0 1"


def test_float64_scope_gives_float64_sums_inside_a_float32_program() -> None:
    code = """
import jax.numpy as jnp
from hurwicz._foundation import float64_scope
with float64_scope():
    inside = jnp.sum(jnp.asarray([16777216.0, 1.0]))
outside = jnp.sum(jnp.asarray([16777216.0, 1.0]))
print(float(inside), float(outside), inside.dtype, outside.dtype)
"""
    assert _python(code) == "16777217.0 16777216.0 float64 float32"
