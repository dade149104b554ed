"""Priors as a person types them: ``uniform:0,2``, ``normal:0.5,0.2,0,1``, ``finite:1,2,3``, a file of past types."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hurwicz._foundation import FormatError, InputError
from hurwicz.typespaces import (
    Box,
    Continuous,
    DecreasingMarginals,
    DensityPrior,
    Finite,
    FinitePrior,
    Independent,
    Interval,
    Prior,
    SortedDraws,
    TruncatedNormal,
    TypeSpace,
    Uniform,
)

FORMS = (
    "uniform, uniform:LOW,HIGH, exponential:MEAN, normal:MEAN,SD, normal:MEAN,SD,LOW,HIGH, lognormal:MU,SIGMA, beta:A,B, "
    "finite:V1,V2,.., finite:V1@P1,V2@P2,.. or FILE.csv"
)


def beliefs_from(texts: Sequence[str], spaces: Mapping[str, TypeSpace], *, grid: int | None = None) -> dict[str, Prior]:
    """The prior of every agent from its text.

    Args:
        texts: one for all agents, or one for each, in order.
        spaces: agent name → the mechanism's own type space: ``uniform`` alone means uniform on it, and its number of dimensions holds.
        grid: cut every continuum into so many cells of equal width, each at its middle with the prior's mass.

    Raises:
        InputError: a text that is no prior, or as many texts as there are neither one nor agents.
        FormatError: a file that cannot be read as numbers.

    Example:
        >>> found = beliefs_from(["uniform:0,2"], {"a": Interval(0.0, 1.0)}, grid=4)
        >>> found["a"].space.grid(0)
        array([0.25, 0.75, 1.25, 1.75])
    """
    names = list(spaces)
    columns = [column for text in texts for column in _texts(text)]
    if len(columns) not in (1, len(names)):
        raise InputError(f"prior: expected one for all, or one for each of {len(names)} agents, got {len(columns)}")
    each = columns * len(names) if len(columns) == 1 else columns
    return {name: _prior(text, spaces[name], grid) for name, text in zip(names, each, strict=True)}


def in_full(texts: Sequence[str]) -> list[str]:
    """The same priors without any file: what a witness carries, so that it replays wherever it is taken.

    Example:
        >>> in_full(["uniform:0,2"])
        ['uniform:0,2']
    """
    return [column for text in texts for column in _texts(text)]


def on_grid(prior: Prior, cells: int) -> FinitePrior:
    """The prior on finitely many types: cells of equal width, by their middles, with the mass that the prior gives each.

    Args:
        prior: on an interval, with a distribution function.
        cells: how many.

    Raises:
        InputError: a prior that is finite already, or has no distribution function.

    Example:
        >>> on_grid(Uniform(Interval(0.0, 1.0)), 2).space.grid(0)
        array([0.25, 0.75])
    """
    space = prior.space
    if space.size is not None:
        raise InputError(f"grid: expected a prior over a continuum, got one over {space.size} types already; leave the grid out")
    if not isinstance(space, Interval) or not isinstance(prior, DensityPrior):
        raise InputError(f"grid: expected a prior on an interval with a distribution function, got {prior!r}")
    ends = np.linspace(space.low, space.high, cells + 1)
    mass = np.diff(prior.cdf(ends))
    return FinitePrior(0.5 * (ends[1:] + ends[:-1]), mass / mass.sum())


def _texts(text: str) -> list[str]:
    """The text itself, or what the columns of a file say: each the distribution of the numbers in it."""
    if not text.endswith(".csv"):
        return [text]
    path = Path(text)
    try:
        rows = [row for row in csv.reader(path.read_text(encoding="utf-8").splitlines()) if any(cell.strip() for cell in row)]
    except OSError as error:
        raise FormatError(f"cannot be read ({error.strerror}); expected a CSV file of past types", path=path) from error
    except UnicodeDecodeError as error:
        raise FormatError("is not text in UTF-8; expected a CSV file of past types", path=path) from error
    head = 1 if rows and not any(_is_number(cell) for cell in rows[0]) else 0
    if len(rows) == head:
        raise FormatError("expected at least one row of numbers, got none", path=path)
    columns: list[list[float]] = [[] for _ in rows[head]]
    for line, row in enumerate(rows[head:], start=head + 1):
        if len(row) != len(columns):
            raise FormatError(f"expected {len(columns)} columns as in the first row, got {len(row)}", path=path, line=line)
        for column, cell in zip(columns, row, strict=True):
            if not _is_number(cell) or not np.isfinite(float(cell)):
                raise FormatError(f"expected a finite number, got {cell.strip()!r}", path=path, line=line)
            column.append(float(cell))
    found = []
    for column in columns:
        values, counts = np.unique(column, return_counts=True)
        found.append("finite:" + ",".join(f"{v!r}@{c / len(column)!r}" for v, c in zip(values.tolist(), counts.tolist(), strict=True)))
    return found


def _prior(text: str, space: TypeSpace, grid: int | None) -> Prior:
    """The prior in the shape of the mechanism's own types: a number, independent components of a vector, values of further units."""
    if isinstance(space, Box):
        axes = [Interval(low, high) for low, high in zip(space.low.tolist(), space.high.tolist(), strict=True)]
        return Independent([_of_number(text, axis, grid) for axis in axes])
    if isinstance(space, DecreasingMarginals):
        return SortedDraws(_of_number(text, Interval(space.low, space.high), grid), space.dims)
    if isinstance(space, Finite) and text.strip() == "uniform":
        return FinitePrior(space)
    return _of_number(text, space, grid)


def _of_number(text: str, space: TypeSpace, grid: int | None) -> Prior:
    prior = _law(text, space)
    return prior if grid is None else on_grid(prior, grid)


def _law(text: str, space: TypeSpace) -> Prior:
    kind, _, rest = text.strip().partition(":")
    parts = [part.strip() for part in rest.split(",")] if rest.strip() else []
    if kind == "finite":
        return _finite(text, parts)
    numbers = [_number(part, text) for part in parts]
    if kind == "uniform" and not numbers:
        if not isinstance(space, Interval):
            raise InputError(f"prior: uniform is for an interval or a box of types, got {space!r}; name the types, as in finite:1,2,3")
        return Uniform(space)
    if kind == "uniform" and len(numbers) == 2:
        return Uniform(Interval(*numbers))
    if kind == "normal" and len(numbers) == 4:
        return TruncatedNormal(numbers[2], numbers[3], mean=numbers[0], sd=numbers[1])
    wanted = {"normal": 2, "exponential": 1, "lognormal": 2, "beta": 2}
    if wanted.get(kind) != len(numbers):
        raise InputError(f"prior: expected {FORMS}; got {text!r}")
    spread = numbers[1:] if kind == "normal" else [math.exp(numbers[0]), numbers[1]] if kind == "lognormal" else numbers
    if any(not 0.0 < number < math.inf for number in spread) or not all(map(math.isfinite, numbers)):
        raise InputError(f"prior {text!r}: expected finite parameters, and a mean, spread or shape above 0")
    from scipy import stats

    if kind == "normal":
        return Continuous(stats.norm(numbers[0], numbers[1]))
    if kind == "exponential":
        return Continuous(stats.expon(scale=numbers[0]))
    if kind == "lognormal":
        return Continuous(stats.lognorm(numbers[1], scale=math.exp(numbers[0])))
    return Continuous(stats.beta(numbers[0], numbers[1]))


def _finite(text: str, parts: Sequence[str]) -> FinitePrior:
    pairs = [part.split("@") for part in parts]
    if not pairs or any(len(pair) != len(pairs[0]) or len(pair) > 2 for pair in pairs):
        raise InputError(f"prior: expected finite:V1,V2,.. or finite:V1@P1,V2@P2,..; got {text!r}")
    values = [_number(pair[0], text) for pair in pairs]
    return FinitePrior(values, [_number(pair[1], text) for pair in pairs] if len(pairs[0]) == 2 else None)


def _number(text: str, whole: str) -> float:
    if not _is_number(text):
        raise InputError(f"prior: expected {FORMS}; got {text!r} in {whole!r}, which is no number")
    return float(text)


def _is_number(text: Any) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
