"""Every feasible assignment of fixed bundles, listed once for auctions small enough."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float64, Int64

from hurwicz._foundation import FloatArray, InputError
from hurwicz.mechanisms.multi_parameter import Reports

Interests: TypeAlias = Sequence[Sequence[str]] | Mapping[str, Sequence[Sequence[str]]] | None

_MOST = 20_000


@dataclass(frozen=True)
class Assignments:
    """Every way to give each bidder one of its bundles or nothing.

    Attributes:
        names: bidders.
        bundles: bidder → its bundles.
        chosen: number of the bundle that each bidder gets, -1 for nothing.
    """

    names: tuple[str, ...]
    bundles: Mapping[str, tuple[tuple[str, ...], ...]]
    chosen: Int64[np.ndarray, "assignments bidders"]

    def values(self, reports: Reports) -> Float64[FloatArray, "batch assignments bidders"]:
        """What each bidder says each assignment is worth to it."""
        columns = [
            np.concatenate([np.asarray(reports[name], dtype=np.float64), np.zeros((len(reports[name]), 1))], axis=1)[:, self.chosen[:, i]]
            for i, name in enumerate(self.names)
        ]
        return np.stack(columns, axis=2)

    def marks(self, weights: Float64[FloatArray, "batch assignments"]) -> dict[str, Float64[np.ndarray, "batch _"]]:
        """Assignments with probabilities → what each bidder gets of each of its bundles."""
        found = {}
        for i, name in enumerate(self.names):
            hit = (self.chosen[:, i, None] == np.arange(len(self.bundles[name]))[None, :]).astype(np.float64)
            found[name] = weights @ hit
        return found

    def away(self, i: int) -> Bool[np.ndarray, " assignments"]:
        """Assignments in which bidder i gets nothing."""
        return np.asarray(self.chosen[:, i] < 0)


def bundles_of(names: Sequence[str], goods: Sequence[str], interests: Interests) -> dict[str, tuple[tuple[str, ...], ...]]:
    """The bundles of each agent, goods in order; every set of goods if ``None``.

    Raises:
        InputError: bundles for other agents.
    """
    if isinstance(interests, Mapping):
        if set(interests) != set(names):
            raise InputError(f"interests: expected bundles for each of {list(names)}, got them for {list(interests)}")
        return {name: tuple(tuple(sorted(bundle)) for bundle in interests[name]) for name in names}
    every = [bundle for k in range(1, len(goods) + 1) for bundle in dict.fromkeys(itertools.combinations(sorted(goods), k))]
    return dict.fromkeys(names, tuple(tuple(sorted(bundle)) for bundle in (every if interests is None else interests)))


def assignments(names: Sequence[str], goods: Sequence[str], interests: Interests) -> Assignments:
    """List the feasible assignments.

    Args:
        names: bidders.
        goods: what is for sale; a name k times is k units.
        interests: bundles that everybody may win one of, or bidder → bundles; every set of goods if ``None``.

    Raises:
        InputError: bundles that name unknown goods, are empty, or stand twice; more than 20,000 assignments.
    """
    supply = {good: list(goods).count(good) for good in goods}
    listed = bundles_of(names, goods, interests)
    for name, bundles in listed.items():
        _check_bundles(name, bundles, supply)
    rows: list[tuple[int, ...]] = []

    def extend(i: int, left: dict[str, int], row: tuple[int, ...]) -> None:
        if len(rows) > _MOST:
            raise InputError(f"expected at most {_MOST} assignments to list, got more; use vcg() on bids, or fewer bundles")
        if i == len(names):
            rows.append(row)
            return
        for k, bundle in enumerate(listed[names[i]]):
            need = {good: bundle.count(good) for good in bundle}
            if all(left[good] >= units for good, units in need.items()):
                extend(i + 1, {good: units - need.get(good, 0) for good, units in left.items()}, (*row, k))
        extend(i + 1, left, (*row, -1))

    extend(0, supply, ())
    return Assignments(tuple(names), listed, np.asarray(rows, dtype=np.int64).reshape(len(rows), len(names)))


def _check_bundles(name: str, bundles: tuple[tuple[str, ...], ...], supply: Mapping[str, int]) -> None:
    if not bundles:
        raise InputError(f"interests: expected at least one bundle for {name!r}, got none")
    for bundle in bundles:
        unknown = sorted(set(bundle) - set(supply))
        if unknown:
            raise InputError(f"interests: {name!r} is interested in {unknown}, which are not for sale; for sale are {sorted(supply)}")
        if not bundle:
            raise InputError(f"interests: expected bundles of at least one good, got an empty one for {name!r}")
    if len(set(bundles)) < len(bundles):
        raise InputError(f"interests: expected different bundles for {name!r}, got one twice in {[''.join(b) for b in bundles]}")
