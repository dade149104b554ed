"""Arguments that many mechanisms share, checked once and in the same words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import InputError, float64_array
from hurwicz.settings import Beliefs
from hurwicz.typespaces import Box, CorrelatedPrior, Finite, Interval, ProductPrior, TypeSpace

TIES = ("lottery", "order")
# Sums of the same numbers in another order differ by less than this, relative to what is summed: such sums tie.
ROUNDING = 1e-12
# One number for each of several agents or elements, in their order; a single one where a mechanism says so.
Numbers: TypeAlias = float | Sequence[float] | Float64[np.ndarray, " _each"]
_Made = TypeVar("_Made")


def number(mechanism: str, name: str, value: float, *, least: float = 0.0, above: bool = False, most: float = np.inf) -> float:
    """``value`` as a float in [least, most], or in (least, most] where ``above``.

    Raises:
        InputError: outside, not finite, or no number.
    """
    given = _as_float(value)
    if not np.isfinite(given) or given < least or given > most or (above and given == least):
        sign = ">" if above else ">="
        ceiling = "" if np.isinf(most) else f" and <= {most:g}"
        raise InputError(f"{mechanism}: expected a finite {name} {sign} {least:g}{ceiling}, got {value!r}")
    return given


def count(mechanism: str, name: str, value: int, *, least: int = 1) -> int:
    """``value`` as a whole number of at least ``least``.

    Raises:
        InputError: fewer, not whole, or no number.
    """
    if isinstance(value, bool | str) or not _as_float(value).is_integer() or value < least:
        raise InputError(f"{mechanism}: expected a whole number of {name} of at least {least}, got {value!r}")
    return int(value)


def _as_float(value: Any) -> float:
    """NaN for what is no number."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return float("nan")


def one_each(
    mechanism: str, name: str, values: Numbers, names: Sequence[str], *, above: float | None = None
) -> Float64[np.ndarray, " agents"]:
    """One finite number for each agent, at least 0 (or above ``above`` where given).

    Raises:
        InputError: another number of them, or one out of range.
    """
    given = float64_array(list(values) if isinstance(values, tuple) else values, f"{mechanism}: {name}", shape=(len(names),))
    low = given < 0.0 if above is None else given <= above
    if bool(np.any(low)):
        bound = ">= 0" if above is None else f"> {above:g}"
        raise InputError(f"{mechanism}: expected {name} {bound} for every agent, got {given.tolist()}")
    return given


def ties_of(mechanism: str, ties: str) -> str:
    """How ties are broken: ``"lottery"`` (equal shares in expectation) or ``"order"`` (who comes first).

    Raises:
        InputError: another word.
    """
    if ties not in TIES:
        raise InputError(f"{mechanism}: expected ties to be one of {list(TIES)}, got {ties!r}")
    return ties


def resizer(make: Callable[..., _Made], prior: Beliefs, **options: Any) -> Callable[[Sequence[str]], _Made] | None:
    """The same mechanism for other participants; none where the beliefs are about these agents by name."""
    if isinstance(prior, Mapping | ProductPrior | CorrelatedPrior):
        return None
    return lambda names: make(names, prior=prior, **options)


def ends(space: TypeSpace) -> tuple[float, float]:
    """The least and the greatest type of a space of numbers.

    Raises:
        InputError: types that are not single numbers.
    """
    if isinstance(space, Interval):
        return space.low, space.high
    if isinstance(space, Box) or (isinstance(space, Finite) and (space.values.dtype == object or space.values.ndim != 1)):
        raise InputError(f"expected types that are single numbers, got {space!r}")
    grid = np.asarray(space.grid(2), dtype=np.float64)
    return float(grid.min()), float(grid.max())


def shared_out(ties: str, scores: Float64[np.ndarray, "batch choices"]) -> Float64[np.ndarray, "batch choices"]:
    """Weights on the greatest of each row: equal among those that tie (to rounding), or all on the first."""
    best = scores.max(axis=1, keepdims=True)
    top = scores >= best - ROUNDING * np.maximum(1.0, np.abs(best))
    if ties == "order":
        return np.asarray(np.arange(scores.shape[1]) == top.argmax(axis=1)[:, None], dtype=np.float64)
    return np.asarray(top / top.sum(axis=1, keepdims=True), dtype=np.float64)
