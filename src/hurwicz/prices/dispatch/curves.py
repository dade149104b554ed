"""What a planner knows of an agent: the marginal costs that its answers revealed, and the monotone curve through them."""

from __future__ import annotations

import itertools
from bisect import bisect_left, insort

_FLAT = 1e-11  # of the price scale: marginal costs closer than this are one marginal cost
_STRAIGHT = 1e-10  # of the price scale: a point this near to the line through its neighbours adds nothing
_BEYOND = 100.0  # the curve rises beyond the outermost points by at most so many times what it rises between them


class LearnedCurve:
    """Marginal cost of one agent, monotone and piecewise linear through the points that it revealed.

    An answer x to an offer (price p, anchor a, weight rho) reveals the marginal cost m = p + rho (a - x) at x; at a limit of the box only
    a bound: at the upper one m is the most that it can be, at the lower one the least. Beyond the outermost points the curve goes on with
    the slope next to them, inside these bounds.

    Attributes:
        low, high: the agent's declared limits, MW.
        points: revealed (MW, $/MWh), sorted.
        ceiling: the marginal cost at ``high`` is at most this (inf: unknown).
        floor: the marginal cost at ``low`` is at least this (-inf: unknown).
    """

    __slots__ = ("_cache", "_noise", "_scale", "ceiling", "floor", "high", "low", "points")

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high
        self.points: list[tuple[float, float]] = []
        self.ceiling, self.floor = float("inf"), float("-inf")
        self._cache: list[tuple[float, float, float, float]] | None = None
        self._scale = 0.0
        self._noise = 0.0

    def learn(self, answer: float, marginal: float, noise: float) -> bool:
        """Take in one answer; ``noise`` is the rounding error of ``marginal`` ($/MWh). False: it was known already."""
        self._cache = None
        if answer >= self.high:
            self.ceiling = min(self.ceiling, marginal)
        if answer <= self.low:
            self.floor = max(self.floor, marginal)
        if self.low < answer < self.high:
            at_kink = [point for point in self.points if self.same_place(point[0], answer)]
            if any(abs(m - marginal) <= noise for _, m in at_kink):
                return False
            if at_kink:
                answer = at_kink[0][0]  # a jump is upright: two points an ulp apart would be a slope of 1e16 to go on with
            insort(self.points, (answer, marginal))
            if len(at_kink) > 1:  # a kink is known by the ends of the marginal costs heard there
                self.points.remove(sorted([*at_kink, (answer, marginal)], key=lambda point: point[1])[1])
            self._noise = max(self._noise, noise)
            return True
        return False

    def same_place(self, a: float, b: float) -> bool:
        """Whether two outputs are one up to rounding."""
        return abs(a - b) <= 1e-12 * (self.high - self.low)

    def kink(self, output: float) -> bool:
        """Whether two marginal costs were heard at ``output``."""
        return sum(self.same_place(x, output) for x, _ in self.points) > 1

    def possible_gain(self, output: float, price: float) -> float:
        """The most, $/h, that the agent could still gain at ``price`` by leaving ``output``, given the points that it revealed.

        To the right its marginal cost is at least the last one heard, to the left at most the next one.
        """
        gain = 0.0
        for side, level, end in ((1.0, self.floor, self.high), (-1.0, -self.ceiling, -self.low)):
            heard = sorted((side * x, side * m) for x, m in self.points)
            at, most = side * output, level
            for x, m in [*heard, (end, float("inf"))]:
                if x > at and not self.same_place(x, at):
                    if most >= side * price:
                        break
                    gain += (side * price - most) * (x - at)
                    at = x
                most = max(most, m)
        return gain

    def forget_noisy(self, most: float) -> None:
        """Drop what was heard so far if rounding made it worse than ``most`` ($/MWh)."""
        if self._noise > most:
            self.points.clear()
            self._noise, self._cache = 0.0, None

    def segments(self, scale: float) -> list[tuple[float, float, float, float]]:
        """The curve as (from MW, to MW, marginal cost at the start, at the end), in order, covering [low, high].

        Args:
            scale: size of the prices in play, $/MWh; what is far below it is rounding.
        """
        if self._cache is not None and self._scale == scale:
            return self._cache
        self._scale = scale
        self._cache = self._build(scale)
        return self._cache

    def _build(self, scale: float) -> list[tuple[float, float, float, float]]:
        low, high = self.low, self.high
        if high <= low:
            return []
        knots = self._monotone(max(_FLAT * scale, 2 * self._noise))
        if not knots:
            level = self.floor if self.floor > float("-inf") else self.ceiling if self.ceiling < float("inf") else 0.0
            return [(low, high, level, level)]
        knots = _simplified(knots, _STRAIGHT * scale)
        first, last = knots[0], knots[-1]
        most = _BEYOND * (last[1] - first[1])
        slope_left = _slope(knots[0], knots[1]) if len(knots) > 1 else 0.0
        slope_right = _slope(knots[-2], knots[-1]) if len(knots) > 1 else 0.0
        if first[0] > low:
            at_low = first[1] - min(slope_left * (first[0] - low), most)
            knots.insert(0, (low, min(max(at_low, self.floor), first[1])))
        if last[0] < high:
            at_high = last[1] + min(slope_right * (high - last[0]), most)
            knots.append((high, max(min(at_high, self.ceiling), last[1])))
        knots = _simplified(knots, _STRAIGHT * scale)
        return [(a[0], b[0], a[1], b[1]) for a, b in itertools.pairwise(knots) if b[0] > a[0]]

    def _monotone(self, flat: float) -> list[tuple[float, float]]:
        """The points with rounding taken out: marginal costs that agree to ``flat`` are made equal, and none falls."""
        knots: list[tuple[float, float]] = []
        for x, m in self.points:
            if knots and m <= knots[-1][1] + flat:
                m = knots[-1][1]
            knots.append((x, m))
        return knots

    def marginal(self, output: float, scale: float) -> float:
        """The modelled marginal cost at ``output``."""
        pieces = self.segments(scale)
        if not pieces:
            return 0.0
        k = max(0, bisect_left(pieces, output, key=lambda piece: piece[0]) - 1)
        start, end, at_start, at_end = pieces[k]
        return at_start + (at_end - at_start) * (output - start) / (end - start)

    def slope(self, output: float, scale: float) -> float:
        """The modelled slope of the marginal cost at ``output``, $/MWh per MW."""
        pieces = self.segments(scale)
        if not pieces:
            return 0.0
        k = max(0, bisect_left(pieces, output, key=lambda piece: piece[0]) - 1)
        start, end, at_start, at_end = pieces[k]
        return (at_end - at_start) / (end - start)

    def reach(self, output: float, price: float, scale: float) -> float:
        """The weight, $/MWh per MW, of an offer at ``output`` and ``price`` whose answer says most about the piece that it lies on.

        The piece's slope, as a rule: the answer stays near. Next to a flat piece or a jump the curve is taken for a staircase, and the
        weight is what lets the answer reach either end of the piece: if it jumps once in between, the answer is where it jumps, whereas
        an answer to the slope would only halve the shorter part.
        """
        pieces = self.segments(scale)
        if not pieces:
            return 0.0
        k = max(0, bisect_left(pieces, output, key=lambda piece: piece[0]) - 1)
        start, end, at_start, at_end = pieces[k]
        weight = (at_end - at_start) / (end - start)
        before, after = pieces[k - 1] if k else None, pieces[k + 1] if k + 1 < len(pieces) else None
        flat = _FLAT * scale
        stairs = (before and (before[3] - before[2] <= flat or before[3] < at_start)) or (
            after and (after[3] - after[2] <= flat or at_end < after[2])
        )
        if stairs and output < end:
            weight = min(weight, max(price - at_start, 0.0) / (end - output))
        if stairs and output > start:
            weight = min(weight, max(at_end - price, 0.0) / (output - start))
        return weight

    def cost(self, start: float, end: float, scale: float) -> float:
        """Modelled cost from ``start`` to ``end``, $/h: the integral of the curve, which goes on straight beyond the limits."""
        if end < start:
            return -self.cost(end, start, scale)
        pieces = self.segments(scale)
        if not pieces:
            level = self.points[0][1] if self.points else 0.0
            return level * (end - start)
        total = 0.0
        for k, (a, b, at_a, at_b) in enumerate(pieces):
            left = start if k == 0 else max(start, a)
            right = end if k == len(pieces) - 1 else min(end, b)
            if (k and left < a) or right <= left:
                continue
            tilt = (at_b - at_a) / (b - a)
            total += (right - left) * (at_a + tilt * ((left + right) / 2 - a))
        return total


def _slope(a: tuple[float, float], b: tuple[float, float]) -> float:
    return (b[1] - a[1]) / (b[0] - a[0]) if b[0] > a[0] else 0.0


def _simplified(knots: list[tuple[float, float]], tolerance: float) -> list[tuple[float, float]]:
    """Without the inner knots that lie on the line between their neighbours."""
    kept = knots[:1]
    for k in range(1, len(knots) - 1):
        a, b, c = kept[-1], knots[k], knots[k + 1]
        if c[0] > a[0] and abs(a[1] + (c[1] - a[1]) * (b[0] - a[0]) / (c[0] - a[0]) - b[1]) <= tolerance:
            continue
        kept.append(b)
    if len(knots) > 1:
        kept.append(knots[-1])
    return kept
