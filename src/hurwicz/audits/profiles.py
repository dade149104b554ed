"""Profiles of types in batches, and batches of outcomes: put together, taken apart, compared, checked."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hurwicz._foundation import FloatArray, InputError
from hurwicz.settings import Outcome, Outcomes
from hurwicz.typespaces import Box, TypeSpace

Profiles = dict[str, NDArray[Any]]


class CheckedPayments(Mapping[str, FloatArray]):
    """Payments by agent, checked when they are first looked at; a mechanism may compute them only then."""

    def __init__(self, paid: Mapping[str, Any], agents: Sequence[str], reports: Mapping[str, NDArray[Any]], batch: int) -> None:
        self._paid, self._agents, self._reports, self._batch = paid, agents, reports, batch
        self._seen: dict[str, FloatArray] = {}

    def __getitem__(self, name: str) -> FloatArray:
        if name not in self._seen:
            try:
                paid = np.asarray(self._paid[name], dtype=np.float64)
            except KeyError as error:
                raise InputError(f"audit: expected a payment for every agent in each outcome, none for {error}") from error
            if paid.shape != (self._batch,):
                raise InputError(f"audit: expected payments of shape ({self._batch},) for every agent, got {paid.shape} for {name!r}")
            if not bool(np.all(np.isfinite(paid))):
                row = int(np.argmax(~np.isfinite(paid)))
                raise InputError(
                    f"audit: expected finite payments, got {paid[row]} for agent {name!r} (NaN or infinity) "
                    f"at reports {row_of(self._reports, row)}"
                )
            self._seen[name] = paid
        return self._seen[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._agents)

    def __len__(self) -> int:
        return len(self._agents)


def stack_outcomes(each: Sequence[Outcome], agents: Sequence[str], paid: Sequence[str]) -> Outcomes:
    """Single outcomes as a batch, with the payments of ``paid``."""
    return Outcomes(
        allocation={name: np.stack([np.asarray(o.allocation[name], dtype=np.float64) for o in each]) for name in agents},
        payments={name: np.asarray([o.payments[name] for o in each], dtype=np.float64) for name in paid},
    )


def rows_of(outcomes: Outcomes, rows: NDArray[np.int64], paid: Sequence[str]) -> Outcomes:
    """Some outcomes of a batch, with the payments of ``paid``."""
    return Outcomes(
        {n: np.asarray(x)[rows] for n, x in outcomes.allocation.items()}, {n: np.asarray(outcomes.payments[n])[rows] for n in paid}
    )


def same_outcomes(one: Outcomes, two: Outcomes, agents: Sequence[str], paid: Sequence[str], relative: float, absolute: float = 0.0) -> bool:
    """Whether two batches agree, to ``relative`` of their largest entry and ``absolute``."""
    for first, second, names in ((one.allocation, two.allocation, agents), (one.payments, two.payments, paid)):
        pairs = [(np.asarray(first[n], dtype=np.float64), np.asarray(second[n], dtype=np.float64)) for n in names]
        size = max((float(np.abs(a).max(initial=0.0)) for a, _ in pairs), default=0.0)
        if any(a.shape != b.shape or float(np.abs(a - b).max(initial=0.0)) > relative * size + absolute for a, b in pairs):
            return False
    return True


def all_finite(values: FloatArray, what: str, profiles: Mapping[str, NDArray[Any]]) -> FloatArray:
    """The values, or an error that names the first profile where one is not finite."""
    if not bool(np.all(np.isfinite(values))):
        where = int(np.argmax(~np.isfinite(values)))
        raise InputError(f"audit: expected a finite {what}, got {values[where]} (NaN or infinity) at types {row_of(profiles, where)}")
    return values


def cover(space: TypeSpace, points: int) -> NDArray[Any]:
    """About ``points`` types that cover a space: all of a finite one; of a box a product grid, or its ends and drawn ones where a grid is
    too large.

    Example:
        >>> from hurwicz.typespaces import Box
        >>> cover(Box([0.0] * 2, [1.0] * 2), 9).shape, cover(Box([0.0] * 40, [1.0] * 40), 9).shape
        ((9, 2), (9, 40))
    """
    if not isinstance(space, Box):
        return space.grid(points)
    axis = max(2, round(points ** (1.0 / space.dims)))
    if axis**space.dims <= 4 * points:
        return space.grid(axis)
    middle = 0.5 * (space.low + space.high)
    drawn = space.sample(np.random.default_rng(0), max(1, points - 3))
    corners = np.where(drawn > middle, space.high, space.low)
    half = len(drawn) // 2
    return np.concatenate([[space.low, space.high, middle], corners[:half], drawn[half:]])


def stacked(profiles: Sequence[Mapping[str, Any]], agents: Sequence[str]) -> Profiles:
    """Single profiles as a batch."""
    return {name: column([p[name] for p in profiles]) for name in agents}


def column(values: Sequence[Any]) -> NDArray[Any]:
    """Types of one agent as an array: numbers where they are numbers, else objects one by one."""
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        out = np.empty(len(values), dtype=object)
        for k, value in enumerate(values):
            out[k] = value
        return out


def joined(first: Profiles, second: Profiles) -> Profiles:
    """Two batches as one."""
    return {name: np.concatenate([first[name], second[name]], axis=0) for name in first}


def row_of(profiles: Mapping[str, NDArray[Any]], k: int) -> dict[str, Any]:
    """One profile of a batch as plain data."""
    return {name: plain(values[k]) for name, values in profiles.items()}


def plain(value: Any) -> Any:
    """Numbers, lists and dicts that JSON knows, from numpy's."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.item() if value.ndim == 0 else value.tolist()
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return value


def shown(value: Any) -> str:
    """A type, a report or a profile for a person: numbers in six digits, the first six agents of many.

    Example:
        >>> shown(0.1 + 0.2), shown([0.5, 0.1 + 0.2]), shown({"ann": 0.1 + 0.2})
        ('0.3', '[0.5, 0.3]', '{ann: 0.3}')
    """
    simple = plain(value)
    if isinstance(simple, Mapping):
        parts = [f"{name}: {shown(own)}" for name, own in list(simple.items())[:6]]
        return "{" + ", ".join(parts) + ("" if len(simple) <= 6 else f", and {len(simple) - 6} more") + "}"
    if isinstance(simple, list):
        return "[" + ", ".join(shown(each) for each in simple) + "]"
    return f"{simple:.6g}" if isinstance(simple, float) else str(simple)


def one_profile(profile: Mapping[str, Any], agents: Sequence[str]) -> Profiles:
    """A single profile as a batch of one."""
    return stacked([profile], agents)


def corners(spaces: Mapping[str, TypeSpace], most: int) -> Profiles:
    """Profiles of extreme types: all corners if they are no more than ``most``, else all alike and one agent unlike the others."""
    ends = {name: np.stack([s.low, s.high]) if isinstance(s, Box) else s.grid(2) for name, s in spaces.items()}
    ends = {name: g[[0, len(g) - 1]] if len(g) > 1 else g[[0, 0]] for name, g in ends.items()}
    count = len(spaces)
    if 2**count <= most:
        rows = list(itertools.product((0, 1), repeat=count))
    else:
        rows = [(0,) * count, (1,) * count]
        rows += [tuple(int(j == k) for j in range(count)) for k in range(count)]
        rows += [tuple(int(j != k) for j in range(count)) for k in range(count)]
        rows = rows[:most]
    return {name: ends[name][[row[k] for row in rows]] for k, name in enumerate(spaces)}
