"""Search for lies told together: by two agents, by one agent under two names, by the auctioneer under an invented one."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from hurwicz.audits.evaluation import Evaluator
from hurwicz.audits.local_search import pattern_search, shortened
from hurwicz.audits.pace import Pace
from hurwicz.audits.profiles import Profiles, cover, joined, one_profile, plain, row_of
from hurwicz.typespaces import Box, Finite, Interval, TypeSpace

Gain = Callable[[Profiles, Sequence[NDArray[Any]]], Float64[np.ndarray, " batch"]]
_FACTORS = np.asarray([0.0, 0.5, 0.9, 0.99, 1.0, 1.01, 1.1, 2.0])
_ROWS = 100_000


@dataclass(frozen=True)
class JointLie:
    """The best joint lie that was found, and how far the search went.

    Attributes:
        gain: what it earns.
        profile: true types.
        lies: what is reported, one for each name that lies.
        profiles: profiles looked at.
        lies_tried: joint lies evaluated.
        drawn: how many of the profiles were drawn at random.
        exhaustive: whether that was all of them.
    """

    gain: float
    profile: dict[str, Any]
    lies: tuple[Any, ...]
    profiles: int
    lies_tried: int
    drawn: int
    exhaustive: bool


def best_joint_lie(
    e: Evaluator, spaces: Sequence[TypeSpace], anchors: Sequence[str], gain: Gain, at: Profiles | None, prior: Any
) -> JointLie:
    """The largest gain over profiles of types and joint reports.

    Args:
        e: evaluator of the mechanism.
        spaces: reports open to each name that lies.
        anchors: agents near whose types the reports of each name are scaled.
        gain: profiles (batch) and lies (one array a name, batch each) → gains (batch,).
        at: profiles looked at first.
        prior: where random profiles come from; uniform if ``None``.
    """
    joint = float(np.prod([float("inf") if s.size is None else float(s.size) for s in spaces]))
    exhaustive = e.exhaustible(e.profile_count * joint)
    drawn = 0
    if exhaustive:
        profiles = e.all_profiles()
    else:
        drawn = e.effort.profiles
        profiles = e.corner_profiles() if drawn == 0 else joined(e.corner_profiles(), e.drawn_profiles(drawn, prior))
    if at is not None:
        profiles = joined(at, profiles)
    count, done, tried = len(profiles[e.agents[0]]), 0, 0
    best: tuple[float, dict[str, Any], tuple[Any, ...]] | None = None
    pace = Pace(max(1, int(_ROWS // (joint if exhaustive else 300.0))), limited=not exhaustive)
    while done < count and (exhaustive or best is None or not e.late):
        pace.start()
        part = {n: v[done : done + pace.size] for n, v in profiles.items()}
        lies = _candidates(spaces, anchors, part, exhaustive)
        many = lies[0].shape[1]
        rows = {n: np.repeat(v, many, axis=0) for n, v in part.items()}
        told = [lie.reshape(-1, *lie.shape[2:]) for lie in lies]
        gains = gain(rows, told)
        tried += len(gains)
        k = int(np.argmax(gains))
        if best is None or gains[k] > best[0]:
            best = (float(gains[k]), row_of(rows, k), tuple(lie[k] for lie in told))
        done = min(count, done + pace.size)
        pace.stop()
    assert best is not None
    if not exhaustive:
        best = _refined(e, spaces, gain, best)
    best = _simplest(e, spaces, gain, best)
    seen = max(0, min(drawn, drawn - (count - done)))
    return JointLie(best[0], best[1], tuple(plain(lie) for lie in best[2]), done, tried, seen, exhaustive)


def _candidates(spaces: Sequence[TypeSpace], anchors: Sequence[str], part: Profiles, exhaustive: bool) -> list[NDArray[Any]]:
    # (batch, joint lies, ...) for each name: the product of what each may say
    each = [
        _of_one(space, [part[n] for n in ([anchor] if anchor else part)], exhaustive) for space, anchor in zip(spaces, anchors, strict=True)
    ]
    picks = np.asarray(list(itertools.product(*[range(c.shape[1]) for c in each])))
    return [c[:, picks[:, k]] for k, c in enumerate(each)]


def _of_one(space: TypeSpace, near: Sequence[NDArray[Any]], exhaustive: bool) -> NDArray[Any]:
    batch = len(near[0])
    grid = cover(space, 16 if isinstance(space, Box) else 7)
    if len(grid) > 65 and not exhaustive:
        grid = grid[np.linspace(0, len(grid) - 1, 65).astype(np.int64)]
    tiled = np.broadcast_to(grid[None], (batch, *grid.shape))
    if exhaustive or isinstance(space, Finite):
        return tiled
    shape = grid.shape[1:]
    scaled = [
        space.clip((v[:, None] * _FACTORS.reshape(1, -1, *([1] * len(shape)))).reshape(-1, *shape)).reshape(batch, -1, *shape)
        for v in near
        if v.shape[1:] == shape and v.dtype != object
    ]
    return np.concatenate([tiled, *scaled], axis=1)


def _numeric(spaces: Sequence[TypeSpace]) -> bool:
    return all(isinstance(s, Interval | Box) for s in spaces)


def _refined(
    e: Evaluator, spaces: Sequence[TypeSpace], gain: Gain, best: tuple[float, dict[str, Any], tuple[Any, ...]]
) -> tuple[float, dict[str, Any], tuple[Any, ...]]:
    if not _numeric(spaces) or e.late or not e.effort.refinements:
        return best
    shapes = [np.shape(lie) for lie in best[2]]
    cuts = np.cumsum([int(np.prod(s, dtype=np.int64)) for s in shapes])[:-1]
    low, high = (
        np.concatenate(
            [np.atleast_1d(np.asarray((s.low, s.high)[side], dtype=np.float64)) for s in spaces if isinstance(s, Interval | Box)]
        )
        for side in (0, 1)
    )
    row = one_profile(best[1], e.agents)

    def objective(points: Float64[np.ndarray, "batch dims"], _: NDArray[np.int64]) -> Float64[np.ndarray, " batch"]:
        told = [p.reshape(len(points), *shape) for p, shape in zip(np.split(points, cuts, axis=1), shapes, strict=True)]
        return gain({n: np.repeat(v, len(points), axis=0) for n, v in row.items()}, told)

    start = np.concatenate([np.ravel(np.asarray(lie, dtype=np.float64)) for lie in best[2]])[None]
    points, values = pattern_search(objective, start, low, high, steps=e.effort.steps, grain=1e-3 * e.tolerance, stop=lambda: e.late)
    if values[0] <= best[0]:
        return best
    told = tuple(p.reshape(shape) for p, shape in zip(np.split(points[0], cuts), shapes, strict=True))
    return float(values[0]), best[1], told


def _simplest(
    e: Evaluator, spaces: Sequence[TypeSpace], gain: Gain, best: tuple[float, dict[str, Any], tuple[Any, ...]]
) -> tuple[float, dict[str, Any], tuple[Any, ...]]:
    """As few digits as leave 99.99 % of the gain."""
    if not _numeric(spaces) or best[0] <= e.tolerance:
        return best
    row = one_profile(best[1], e.agents)
    for digits, way in itertools.product((1, 2, 3, 4, 6), (0, -1, 1)):
        told = [np.vectorize(lambda v, d=digits, w=way: shortened(v, d, w))(np.asarray(lie, dtype=np.float64)) for lie in best[2]]
        if all(s.contains(plain(np.asarray(lie))) for s, lie in zip(spaces, told, strict=True)):
            value = float(gain(row, [np.asarray(lie)[None] for lie in told])[0])
            if value >= 0.9999 * best[0]:
                return value, best[1], tuple(told)
    return best
