"""How the numba kernels of this folder are compiled: cached on disk where that is possible, outside Python's lock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
from numba.core import types
from numba.extending import overload

# Sums may be reordered (that is what lets them run on vector units); NaN and infinity keep their meaning,
# because an absent bound is an infinity.
_FASTMATH = {"reassoc", "contract", "nsz", "arcp"}


def kernel(function: Callable[..., Any]) -> Any:
    """Compile ``function`` without the lock, and cache the machine code where a cache folder can be written."""
    options: dict[str, Any] = {"nogil": True, "fastmath": _FASTMATH, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # a read-only installation without a home folder: compile anew in each process
        return numba.njit(**options)(function)


def inlined(function: Callable[..., Any]) -> Any:
    """A small function that other kernels call."""
    return numba.njit(inline="always", error_model="numpy", fastmath=_FASTMATH)(function)


def part(field: Any, first: int, last: int) -> Any:
    """``field[first:last]`` for an array, ``field`` itself for a scalar that all agents share.

    Kernels index the part from 0: an index that might be negative would be wrapped around, one number at a time.
    """
    return field[first:last] if hasattr(field, "__getitem__") else field


def at(field: Any, i: int) -> Any:
    """``field[i]`` for an array, ``field`` itself for a scalar that all agents share."""
    return field[i] if hasattr(field, "__getitem__") else field


def _at(field, i):  # type: ignore[no-untyped-def]  # noqa: ARG001  # numba compares this signature with that of the lambdas
    if isinstance(field, types.Array):
        return lambda field, i: field[i]
    return lambda field, i: field  # noqa: ARG005


def _part(field, first, last):  # type: ignore[no-untyped-def]  # noqa: ARG001
    if isinstance(field, types.Array):
        return lambda field, first, last: field[first:last]
    return lambda field, first, last: field  # noqa: ARG005


overload(part, inline="always")(_part)
overload(at, inline="always")(_at)
