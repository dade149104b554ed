"""Virtual values and their ironing, for any prior over numbers: densities, finite sets, data, mixtures with atoms.

The revenue curve R(q) = q v(q) is the revenue from a buyer offered the price that it takes with probability q. Its slope is the virtual
value; the slope of its concave hull is the ironed one. The hull is found on a fine set of types. Where it has a chord over more than one
of them, the ends of the chord are found by closing in on them; elsewhere the slope is v - (1 - F(v)) / f(v) itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64

from hurwicz._foundation import FloatArray, InputError
from hurwicz.typespaces import DensityPrior, Interval, Mixture, Prior

_POINTS = 1025  # types spread over the interval, and as many over the quantiles
_ZOOMS, _PARTS, _CLOSEST = 4, 16, 1e-7  # how the ends of a chord are closed in on; the last relative to the interval
_BEND, _DEPTH = 1e-8, 24  # how far from a straight line virtual values may be between knots, of the types there; halvings of a cell
_MOST_CELLS = 20_000  # halved at once; far more would be halving rounding errors
_FAR = 1.0  # times the types: virtual values further below 0 are not looked at closely, as nobody sells there
_INSET = 1e-3  # of a cell: virtual values are taken inside it, where a density that jumps at its ends has one value


@dataclass(frozen=True, eq=False)
class VirtualValues:
    """Ironed virtual values (or costs) of one agent: a function of the type that never falls, as a polyline with steps.

    Attributes:
        types: knots times ``side``, not falling; one twice where the function jumps.
        levels: ironed virtual value at each knot times ``side``, not falling.
        side: +1 for values, -1 for costs.
        ironed: intervals of types on which ironing made it flat, with the level.

    Example:
        >>> from hurwicz.typespaces import Interval, Uniform
        >>> phi = virtual_values(Uniform(Interval(0.0, 1.0)))
        >>> phi(np.array([0.25, 0.75])).round(12).tolist(), round(phi.reserve(), 12)
        ([-0.5, 0.5], 0.5)
    """

    types: Float64[FloatArray, "knots"]
    levels: Float64[FloatArray, "knots"]
    side: float = 1.0
    ironed: tuple[tuple[float, float, float], ...] = ()

    def __call__(self, types: Float64[FloatArray, "*shape"]) -> Float64[FloatArray, "*shape"]:
        """The ironed virtual value (cost); flat beyond the ends; the better for the agent where it jumps."""
        given = self.side * types
        left = np.clip(np.searchsorted(self.types, given, side="right") - 1, 0, len(self.types) - 1)
        right = np.minimum(left + 1, len(self.types) - 1)
        run = self.types[right] - self.types[left]
        part = np.clip(np.where(run > 0.0, (given - self.types[left]) / np.where(run > 0.0, run, 1.0), 0.0), 0.0, 1.0)
        # rounding must not lift a type above the level of a better one: a winner would have no critical type
        level = np.minimum(self.levels[left] + part * (self.levels[right] - self.levels[left]), self.levels[right])
        return np.asarray(self.side * level, dtype=np.float64)

    def critical(self, level: Float64[FloatArray, "*shape"], *, strict: bool = False) -> Float64[FloatArray, "*shape"]:
        """The least type whose virtual value reaches ``level``, or exceeds it where ``strict``; for costs, the greatest that stays within.

        Infinite where no type does. This is what a winner pays (or is paid).
        """
        asked = self.side * level
        at = np.searchsorted(self.levels, asked, side="right" if strict else "left")
        inside = np.clip(at, 1, max(1, len(self.levels) - 1))
        upper = np.minimum(inside, len(self.levels) - 1)
        low, rise = self.levels[inside - 1], self.levels[upper] - self.levels[inside - 1]
        part = np.clip(np.where(rise > 0.0, (asked - low) / np.where(rise > 0.0, rise, 1.0), 0.0), 0.0, 1.0)
        found = self.types[inside - 1] + part * (self.types[upper] - self.types[inside - 1])
        found = np.where(at == 0, self.types[0], np.where(at == len(self.levels), np.inf, found))
        return np.asarray(self.side * found, dtype=np.float64)

    def reserve(self, own: float = 0.0) -> float:
        """The least value that a seller of worth ``own`` sells to; the greatest cost that a buyer of that worth takes."""
        return float(self.critical(np.asarray(own)))


def virtual_values(prior: Prior) -> VirtualValues:
    """Ironed virtual values of a prior over numbers.

    phi(v) = v - (1 - F(v)) / f(v), and the slope of the concave hull of the revenue curve where that falls; on a finite set
    phi(v_k) = v_k - (v_{k+1} - v_k) P(v > v_k) / f(v_k).

    Args:
        prior: over numbers: with pdf and cdf on an interval, on a finite set, or a :class:`~hurwicz.typespaces.Mixture`.

    Raises:
        InputError: vector types, or neither a density nor a finite set.

    Example:
        >>> from hurwicz.typespaces import FinitePrior
        >>> phi = virtual_values(FinitePrior([1.0, 2.0, 4.0], [0.3, 0.5, 0.2]))
        >>> phi(np.array([1.0, 2.0, 4.0])).round(6).tolist(), phi.reserve()
        ([-1.333333, 1.2, 4.0], 2.0)

    Source:
        R. Myerson, "Optimal auction design", Mathematics of Operations Research 6 (1981), section 6.
    """
    return _ironed(Law(prior))


def virtual_costs(prior: Prior) -> VirtualValues:
    """Ironed virtual costs of a prior over numbers: c + F(c) / f(c), what a seller of cost c costs the buyer, its rent included.

    Args:
        prior: over numbers: with pdf and cdf on an interval, on a finite set, or a :class:`~hurwicz.typespaces.Mixture`.

    Raises:
        InputError: vector types, or neither a density nor a finite set.

    Example:
        >>> from hurwicz.typespaces import Interval, Uniform
        >>> phi = virtual_costs(Uniform(Interval(0.0, 1.0)))
        >>> phi(np.array([0.25, 0.5])).round(12).tolist(), round(phi.reserve(1.0), 12)
        ([0.5, 1.0], 0.5)

    Source:
        R. Myerson (1981), section 6, for -c.
    """
    return _ironed(Law(prior, mirrored=True))


class Law:
    """A prior over numbers as its revenue curve needs it: atoms, density, and P(theta >= v); mirrored for costs.

    Args:
        prior: over numbers.
        mirrored: of -theta instead of theta.

    Raises:
        InputError: vector types, or neither a density nor a finite set.
    """

    def __init__(self, prior: Prior, *, mirrored: bool = False) -> None:
        space: Any = prior.space
        grid = space.grid(2)
        if grid.ndim != 1 or grid.dtype == object:
            raise InputError(f"virtual values: expected a prior over numbers, got one over {space!r}")
        self.prior = prior
        self.sign = -1.0 if mirrored else 1.0
        values, mass = np.zeros(0), np.zeros(0)
        if space.size is not None:
            values, mass = (np.asarray(a, dtype=np.float64) for a in prior.quadrature(1))
        elif isinstance(prior, Mixture):
            values, mass = prior.atoms
        elif not (isinstance(space, Interval) and isinstance(prior, DensityPrior)):
            raise InputError(f"virtual values: expected pdf and cdf of a prior on an interval, got {type(prior).__name__}")
        order = np.argsort(self.sign * values)
        held = mass[order] > 0.0
        self.atoms: Float64[FloatArray, "atoms"] = (self.sign * values)[order][held]
        self.masses: Float64[FloatArray, "atoms"] = mass[order][held]
        self.dense = space.size is None
        ends = np.sort(self.sign * np.asarray(space.grid(2), dtype=np.float64))
        self.low, self.high = float(ends[0]), float(ends[-1])
        self.width = max(self.high - self.low, 1e-15 * max(abs(self.low), abs(self.high), 1e-300))
        # differences of types far from zero are exact to this
        self.grain = max(1e-13 * self.width, 4.0 * float(np.spacing(max(abs(self.low), abs(self.high)))))
        self.types = self._knots()
        middle = np.interp([0.25, 0.75], self.at_least(self.types)[::-1], self.types[::-1])
        self.spread = max(float(middle[0] - middle[1]), 1e-6 * self.width)

    def at_least(self, types: Float64[FloatArray, "*shape"]) -> Float64[FloatArray, "*shape"]:
        """P(theta >= v)."""
        from_above = np.concatenate([np.cumsum(self.masses[::-1])[::-1], [0.0]])
        atoms = from_above[np.searchsorted(self.atoms, types, side="left")]
        if not self.dense:
            return np.asarray(atoms)
        continuous = 1.0 - float(self.masses.sum())
        return np.asarray(atoms + np.clip(self._upper(types), 0.0, continuous), dtype=np.float64)

    def _upper(self, types: Float64[FloatArray, "*shape"]) -> Float64[FloatArray, "*shape"]:
        # the continuous part's probability of at least v
        prior: Any = self.prior
        if self.sign < 0.0:
            below = prior.cdf(-types)
            return np.asarray(below - _steps(self.atoms, self.masses, types, mirrored=True))
        if hasattr(prior, "sf"):
            return np.asarray(prior.sf(types))
        return np.asarray(1.0 - prior.cdf(types) - _steps(self.atoms, self.masses, types, mirrored=False))

    def density(self, types: Float64[FloatArray, "*shape"]) -> Float64[FloatArray, "*shape"]:
        """Density of the continuous part."""
        prior: Any = self.prior
        return np.asarray(prior.pdf(self.sign * types), dtype=np.float64)

    def curve(self, types: Float64[FloatArray, "knots"]) -> tuple[Float64[FloatArray, "knots"], Float64[FloatArray, "knots"]]:
        """Points of the revenue curve less q times the least type: the same chords, without rounding where types are far from zero."""
        quantile = self.at_least(types)
        return quantile, quantile * (types - self.low)

    def slope(self, types: Float64[FloatArray, "*shape"]) -> Float64[FloatArray, "*shape"]:
        """The virtual value before ironing, v - P(theta >= v) / f(v); -infinity where nobody is and somebody is above."""
        density, upper = self.density(types), self.at_least(types)
        with np.errstate(over="ignore"):
            rent = np.where(density > 0.0, upper / np.where(density > 0.0, density, 1.0), np.where(upper > 0.0, np.inf, 0.0))
        return np.asarray(types - rent, dtype=np.float64)

    def _knots(self) -> Float64[FloatArray, "knots"]:
        """Types fine enough to begin with: spread over the interval and over the quantiles, and all atoms."""
        if not self.dense:
            return self.atoms
        parts = self.prior.components if isinstance(self.prior, Mixture) else ()
        bends = [self.sign * np.asarray(part.space.grid(2), dtype=np.float64) for part in parts]
        spread = np.unique(np.concatenate([np.linspace(self.low, self.high, _POINTS), *bends]))
        for _ in range(2):  # again, where a narrow peak fell between two types
            mass = self.at_least(spread)
            even = np.interp(np.linspace(0.0, 1.0, _POINTS), mass[::-1], spread[::-1])
            spread = np.unique(np.concatenate([spread, even]))
        return np.unique(np.concatenate([spread, self.atoms]))


def _steps(
    atoms: Float64[FloatArray, "atoms"], masses: Float64[FloatArray, "atoms"], types: Float64[FloatArray, "*shape"], *, mirrored: bool
) -> Float64[FloatArray, "*shape"]:
    """What atoms add to the prior's own function: P(atom >= v) mirrored, P(atom > v) else."""
    from_above = np.concatenate([np.cumsum(masses[::-1])[::-1], [0.0]])
    return np.asarray(from_above[np.searchsorted(atoms, types, side="left" if mirrored else "right")], dtype=np.float64)


def _ironed(law: Law) -> VirtualValues:
    types = law.types
    vertices = _hull(types, law)
    for _ in range(_ZOOMS if law.dense else 0):
        long = np.flatnonzero(np.diff(vertices) > 1)
        near = np.concatenate([vertices[long], vertices[long + 1]])
        cells = np.unique(np.concatenate([near - 1, near]))
        cells = cells[(cells >= 0) & (cells < len(types) - 1)]
        cells = cells[np.diff(types)[cells] > _CLOSEST * law.width]
        if not len(cells):
            break
        more = types[cells, None] + np.diff(types)[cells, None] * (np.arange(1, _PARTS) / _PARTS)
        types = np.unique(np.concatenate([types, more.ravel()]))
        vertices = _hull(types, law)
    return _polyline(types, vertices, law)


def _hull(types: Float64[FloatArray, "knots"], law: Law) -> Int64[np.ndarray, "vertices"]:
    """Indices, increasing, of the types on the upper concave hull of the revenue curve (q, q v)."""
    quantile, revenue = law.curve(types)
    q, r = quantile.tolist(), revenue.tolist()
    stack: list[int] = []
    for k in range(len(types) - 1, -1, -1):  # quantiles increase from here
        while stack and q[k] > q[stack[-1]]:
            a = stack[-1]
            qb, rb = (q[stack[-2]], r[stack[-2]]) if len(stack) > 1 else (0.0, 0.0)
            if q[a] <= qb or (r[a] - rb) * (q[k] - q[a]) >= (r[k] - r[a]) * (q[a] - qb):
                break
            stack.pop()
        if not stack or q[k] > q[stack[-1]]:  # of one quantile the highest price is kept
            stack.append(k)
    if stack[-1] != 0:  # nobody is below the lowest vertex: the curve ends there
        stack.append(0)
    return np.asarray(stack[::-1], dtype=np.int64)


def _polyline(types: Float64[FloatArray, "knots"], vertices: Int64[np.ndarray, "vertices"], law: Law) -> VirtualValues:
    """The slope of the hull as a function of the type."""
    quantile, revenue = law.curve(types)
    begin, end = vertices[:-1], vertices[1:]
    drop = quantile[begin] - quantile[end]
    level = np.where(drop > 0.0, law.low + (revenue[begin] - revenue[end]) / np.where(drop > 0.0, drop, 1.0), -np.inf)
    if law.dense:
        sag = np.zeros(len(begin))
        for k in np.flatnonzero(end - begin > 1):
            inside = slice(begin[k], end[k] + 1)
            sag[k] = _sag(quantile[inside], revenue[inside])
        chord = (sag > law.grain) | np.isin(types[begin], law.atoms) | (drop <= 0.0)
    else:
        chord = np.ones(len(begin), dtype=bool)
    pieces = [(np.stack([types[begin], types[end]], axis=1)[chord], np.stack([level, level], axis=1)[chord])]
    smooth = [(types[k], types[k + 1]) for a, b in zip(begin[~chord], end[~chord], strict=True) for k in range(a, b)]
    if smooth:
        pieces.append(_bends(np.asarray(smooth), law))
    cells, heights = (np.concatenate(part) for part in zip(*pieces, strict=True))
    order = np.argsort(cells[:, 0], kind="stable")
    knots, levels = _with_zero(cells[order].ravel(), heights[order].ravel(), law)
    top = float(types[-1])
    if not len(knots) or quantile[-1] > 0.0:  # an atom at the top
        knots, levels = np.append(knots, top), np.append(levels, top)
    levels = np.where(np.isfinite(levels), levels, -1e300)
    flat = [
        (float(types[a]), float(types[b]), float(height))
        for a, b, height, is_chord in zip(begin, end, level, chord, strict=True)
        if is_chord and np.isfinite(height) and (law.dense or b - a > 1)
    ]
    if law.sign < 0.0:
        flat = [(-b, -a, -height) for a, b, height in reversed(flat)]
    levels = np.maximum.accumulate(levels)  # they rise already, rounding apart
    twice = np.concatenate([[False], (np.diff(knots) == 0.0) & (np.diff(levels) <= law.grain)])
    knots, levels = knots[~twice], levels[~twice]
    straight = _straight(knots, levels, law.grain)
    return VirtualValues(knots[~straight], levels[~straight], law.sign, tuple(flat))


def _straight(knots: Float64[FloatArray, "knots"], levels: Float64[FloatArray, "knots"], grain: float) -> Bool[np.ndarray, "knots"]:
    """Knots that lie on a straight line between two others, to rounding, and can go: most of them where the density is even."""
    out = np.zeros(len(knots), dtype=bool)
    run = knots[2:] - knots[:-2]
    line = levels[:-2] + (knots[1:-1] - knots[:-2]) / np.where(run > 0.0, run, 1.0) * (levels[2:] - levels[:-2])
    steps = np.diff(knots) > 0.0
    out[1:-1] = (np.abs(line - levels[1:-1]) <= grain) & steps[:-1] & steps[1:]
    change = np.flatnonzero(np.diff(out.astype(np.int8)))
    for before, last in zip(change[::2], change[1::2], strict=True):
        after = last + 1
        chord = np.interp(knots[before:after], knots[[before, after]], levels[[before, after]])
        if float(np.abs(chord - levels[before:after]).max()) > 10.0 * grain:
            out[before + 1 : after] = False  # a little bend each that adds up
    return out


def _with_zero(
    knots: Float64[FloatArray, "knots"], levels: Float64[FloatArray, "knots"], law: Law
) -> tuple[Float64[FloatArray, "more"], Float64[FloatArray, "more"]]:
    """The root of v - P(theta >= v) / f(v) = 0 as one more knot, where the virtual value crosses zero between two."""
    k = int(np.searchsorted(np.maximum.accumulate(levels), 0.0, side="right"))
    if not law.dense or k in (0, len(levels)) or not levels[k - 1] < 0.0 < levels[k] or not knots[k] - knots[k - 1] > 0.0:
        return knots, levels
    from scipy.optimize import brentq

    def slope(at: float) -> float:
        return float(law.slope(np.asarray([at]))[0])

    low, high = float(knots[k - 1]), float(knots[k])
    inset = _INSET * (high - low)
    low, high = low + inset, high - inset
    if not slope(low) < 0.0 < slope(high):
        return knots, levels
    root = brentq(slope, low, high, xtol=1e-16 * law.width, rtol=1e-15)
    return np.insert(knots, k, root), np.insert(levels, k, 0.0)


def _sag(quantile: Float64[FloatArray, "points"], revenue: Float64[FloatArray, "points"]) -> float:
    """How far the curve falls below the chord between its ends."""
    return float((np.interp(quantile[::-1], quantile[[-1, 0]], revenue[[-1, 0]]) - revenue[::-1]).max())


def _bends(cells: Float64[FloatArray, "cells 2"], law: Law) -> tuple[Float64[FloatArray, "more 2"], Float64[FloatArray, "more 2"]]:
    """Cells without a chord, halved where the virtual value is not straight, and its value at both ends of each."""
    done: list[tuple[FloatArray, FloatArray]] = []
    for depth in range(_DEPTH + 1):
        low, high = cells[:, 0], cells[:, 1]
        width, middle = high - low, 0.5 * (low + high)
        first, centre, last = (law.slope(low + part * width) for part in (_INSET, 0.5, 1.0 - _INSET))
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            tilt = (last - first) / (1.0 - 2.0 * _INSET)
            bend = np.abs(centre - 0.5 * (first + last))
            close = _BEND * np.maximum(np.minimum(np.abs(middle), middle - law.low), law.spread)
            if law.sign > 0.0:  # values below 0 are for show
                close = np.where(last < 0.0, 1e3 * close, close)
            close = close + 1e-15 / law.density(middle)
        far = last < -_FAR * (abs(law.low) + abs(law.high))
        straight = ~(bend > close) | far | ~np.isfinite(tilt) | (depth == _DEPTH) | (width < law.grain)
        if int((~straight).sum()) > _MOST_CELLS:
            straight[:] = True
        drawn_out = np.where((bend <= close) & np.isfinite(tilt), _INSET * tilt, 0.0)
        ends = np.stack([first - drawn_out, last + drawn_out], axis=1)
        done.append((cells[straight], ends[straight]))
        halves, at = cells[~straight], middle[~straight]
        if not len(halves):
            break
        cells = np.concatenate([np.stack([halves[:, 0], at], axis=1), np.stack([at, halves[:, 1]], axis=1)])
    return np.concatenate([c for c, _ in done]), np.concatenate([e for _, e in done])
