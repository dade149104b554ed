"""Tests and examples run in float64, with the types and shapes in signatures checked."""

from __future__ import annotations

import functools
import gc
import os
import tempfile
from collections.abc import Callable, Iterator

os.environ.setdefault("JAX_ENABLE_X64", "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("MPLBACKEND", "agg")
# Most of a test of JAX is its compilation, a third of the time where XLA does not labour to make loops fast. As XLA is for users:
# XLA_FLAGS= make test
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_use_fusion_emitters=false --xla_backend_optimization_level=0")
# What one process of a run has compiled, the others need not: workers and the commands that tests start inherit the folder.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    _programs = tempfile.TemporaryDirectory(prefix="hurwicz-programs-")  # gone when this process ends
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _programs.name
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

import sys
import types
import typing
from pathlib import Path
from typing import Any

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
_checker.check = beartype(conf=BeartypeConf(is_pep484_tower=True, violation_type=jaxtyping.TypeCheckError))  # type: ignore[attr-defined]
sys.modules[_checker.__name__] = _checker
jaxtyping.install_import_hook(_checked_modules(), f"{_checker.__name__}.check")

_with_shapes = jaxtyping.jaxtyped


def _says_a_shape(hint: Any) -> bool:
    return (isinstance(hint, type) and issubclass(hint, jaxtyping.AbstractArray)) or any(map(_says_a_shape, typing.get_args(hint)))


def _checked(function: Any, *, typechecker: Any) -> Any:
    """What the hook puts on every function: where a signature says no shape, the checker by itself; shapes cost ten times as much.

    A signature with names that only a type checker reads is left to jaxtyping, which leaves those names out.
    """
    if not isinstance(function, types.FunctionType):
        return _with_shapes(function, typechecker=typechecker)
    if not function.__annotations__:
        return function
    try:
        shaped = any(map(_says_a_shape, typing.get_type_hints(function).values()))
    except Exception:
        shaped = True
    return _at_first(_with_shapes(function, typechecker=typechecker), function) if shaped else typechecker(function)


_ENOUGH = 100  # calls of a function in one test; what is called more often is called in a loop, and checking took most of its time
_tests = [0]  # how many have begun


def _at_first(checked: Callable[..., Any], plain: Callable[..., Any]) -> Callable[..., Any]:
    """The function with its shapes checked at its first calls in every test."""
    test, calls = 0, 0

    @functools.wraps(plain)
    def call(*args: Any, **kwargs: Any) -> Any:
        nonlocal test, calls
        if test != _tests[0]:
            test, calls = _tests[0], 0
        if calls >= _ENOUGH:
            return plain(*args, **kwargs)
        calls += 1
        return checked(*args, **kwargs)

    return call


def pytest_runtest_setup() -> None:
    """Another test begins."""
    _tests[0] += 1


# the hook writes ``@jaxtyping.jaxtyped(typechecker=...)`` before every definition, and looks it up there
jaxtyping.jaxtyped = lambda *, typechecker: lambda function: _checked(function, typechecker=typechecker)

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
