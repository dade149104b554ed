"""Which variables of a linear program of mechanisms are alike: agents and items that may exchange their names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float64, Int64

from hurwicz._foundation import FloatArray


@dataclass(frozen=True)
class Renaming:
    """A change of names that leaves the problem as it is.

    Attributes:
        agents: position → the agent that takes its place.
        items: position → the item that takes its place.
        profiles: profile → what it becomes.
        types: agent → (its type → the type that it becomes at the agent who takes its place).
    """

    agents: Int64[np.ndarray, " agents"]
    items: Int64[np.ndarray, " items"]
    profiles: Int64[np.ndarray, " profiles"]
    types: tuple[Int64[np.ndarray, " _types"], ...]


def renamings(
    types: Sequence[Float64[FloatArray, "_types items"]],
    weights: Float64[FloatArray, "*types"],
    sides: Float64[FloatArray, " agents"],
    supply: Float64[FloatArray, " items"],
) -> Iterator[Renaming]:
    """Generators of the group: neighbours in a class of like agents, neighbours in a class of like items.

    A concave problem that renaming leaves alone has an optimum that it leaves alone: the mean of any optimum over the group.
    """
    count, dims = len(types), types[0].shape[1]
    same = [np.arange(len(own)) for own in types]
    for i, j in _neighbours(count, lambda i, j: _agents_alike(types, weights, sides, i, j)):
        swapped = np.arange(count)
        swapped[[i, j]] = j, i
        where = np.indices(weights.shape).reshape(count, -1)[swapped]
        yield Renaming(swapped, np.arange(dims), np.ravel_multi_index(tuple(where), weights.shape), tuple(same))
    for m, n in _neighbours(dims, lambda m, n: bool(supply[m] == supply[n]) and _items_alike(types, weights, m, n)):
        swapped = np.arange(dims)
        swapped[[m, n]] = n, m
        moved = [_positions(own, own[:, swapped]) for own in types]
        where = np.indices(weights.shape).reshape(count, -1)
        became = np.ravel_multi_index(tuple(moves[k] for moves, k in zip(moved, where, strict=True) if moves is not None), weights.shape)
        yield Renaming(np.arange(count), swapped, became, tuple(moves for moves in moved if moves is not None))


def orbits(size: int, images: Sequence[Int64[np.ndarray, " size"]]) -> tuple[int, Int64[np.ndarray, " size"]]:
    """How many classes, and the class of each of ``size`` things that the permutations ``images`` carry into one another."""
    if not images:
        return size, np.arange(size)
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    at = np.tile(np.arange(size), len(images))
    joined = coo_array((np.ones(len(at), dtype=np.int8), (at, np.concatenate(images))), shape=(size, size))
    count, which = connected_components(joined, directed=False)
    return int(count), np.asarray(which, dtype=np.int64)


def _neighbours(count: int, alike: Callable[[int, int], bool]) -> Iterator[tuple[int, int]]:
    # being alike is an equivalence: neighbours of each class generate all of its permutations
    classes: list[list[int]] = []
    for k in range(count):
        home = next((members for members in classes if alike(members[0], k)), None)
        if home is None:
            classes.append([k])
        else:
            home.append(k)
    for members in classes:
        yield from pairwise(members)


def _agents_alike(
    types: Sequence[Float64[FloatArray, "_types items"]],
    weights: Float64[FloatArray, "*types"],
    sides: Float64[FloatArray, " agents"],
    i: int,
    j: int,
) -> bool:
    return bool(
        sides[i] == sides[j] and np.array_equal(types[i], types[j]) and np.allclose(weights, np.swapaxes(weights, i, j), rtol=1e-12)
    )


def _items_alike(types: Sequence[Float64[FloatArray, "_types items"]], weights: Float64[FloatArray, "*types"], m: int, n: int) -> bool:
    swapped = np.arange(types[0].shape[1])
    swapped[[m, n]] = n, m
    moved = [_positions(own, own[:, swapped]) for own in types]
    if any(moves is None for moves in moved):
        return False
    return bool(np.allclose(weights, weights[np.ix_(*(moves for moves in moved if moves is not None))], rtol=1e-12))


def _positions(own: Float64[FloatArray, "types items"], wanted: Float64[FloatArray, "types items"]) -> Int64[np.ndarray, " types"] | None:
    """Where each row of ``wanted`` stands among ``own``; None if one does not."""
    places = {tuple(row): k for k, row in enumerate(own.tolist())}
    found = [places.get(tuple(row)) for row in wanted.tolist()]
    return None if any(k is None for k in found) else np.asarray(found, dtype=np.int64)
