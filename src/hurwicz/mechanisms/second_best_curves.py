"""What the second best of bilateral trade is put together from: ironed virtual types at each alpha, and the alpha that balances."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, TypeVar

import numpy as np
from jaxtyping import Float64

from hurwicz.mechanisms._arguments import ROUNDING, ends
from hurwicz.typespaces import DensityPrior

_HALVINGS = 100
_Rule = TypeVar("_Rule")
_Nodes: TypeAlias = Float64[np.ndarray, " nodes"]
_Some: TypeAlias = Float64[np.ndarray, " some"]


class Curve:
    """The greatest cost that trades with each value: c*(v), for v from ``start`` on."""

    def __init__(self, v: _Nodes, up: _Nodes, c: _Nodes, down: _Nodes, low: float, high: float) -> None:
        cost = reach(up, c, down, low, high)
        some = up >= down[0]
        first = int(np.argmax(some))
        self.start = float(v[first]) if some.any() else np.inf
        if some.any() and first > 0 and up[first] > up[first - 1]:
            self.start = float(v[first - 1] + (v[first] - v[first - 1]) * (down[0] - up[first - 1]) / (up[first] - up[first - 1]))
        self.values: _Nodes = np.concatenate([[self.start], v[first:]]) if self.start < v[first] else v[first:]
        self.costs: _Nodes = np.maximum.accumulate(np.concatenate([[low], cost[first:]]) if self.start < v[first] else cost[first:])

    def greatest_cost(self, values: Float64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
        """The greatest cost that trades with each value; minus infinity where none does."""
        return np.asarray(np.where(values >= self.start, np.interp(values, self.values, self.costs), -np.inf), dtype=np.float64)

    def least_value(self, costs: Float64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
        """The least value that trades with each cost; infinity where none does."""
        if not np.isfinite(self.start):
            return np.full(costs.shape, np.inf)
        place = np.searchsorted(self.costs, costs, "left")
        before, after = np.clip(place - 1, 0, None), np.clip(place, 0, len(self.costs) - 1)
        rise = self.costs[after] - self.costs[before]
        part = np.where(rise > 0.0, (costs - self.costs[before]) / np.where(rise > 0.0, rise, 1.0), 0.0)
        value = self.values[before] + part * (self.values[after] - self.values[before])
        return np.asarray(np.where(place == len(self.costs), np.inf, np.where(place == 0, self.start, value)), dtype=np.float64)


def reach(up: _Some, c: _Nodes, down: _Nodes, low: float, high: float) -> _Some:
    """The greatest cost whose ironed virtual cost is at most ``up``; ``low`` where there is none (see ``up >= down[0]``)."""
    # down may have flats: the last cost of a flat trades, so search from the right and interpolate in the rising piece after it
    place = np.searchsorted(down, up, "right")
    before, after = np.clip(place - 1, 0, len(c) - 1), np.clip(place, 0, len(c) - 1)
    rise = down[after] - down[before]
    part = np.where(rise > 0.0, (up - down[before]) / np.where(rise > 0.0, rise, 1.0), 0.0)
    cost = np.clip(c[before] + part * (c[after] - c[before]), low, high)
    return np.asarray(np.where(place == len(c), high, cost), dtype=np.float64)


class Density:
    """One side with a density on cells of one width: virtual values at their middles, distribution at their borders."""

    def __init__(self, prior: DensityPrior, cells: int, sign: float) -> None:
        self.low, self.high = ends(prior.space)
        self.prior = prior
        self.borders: _Nodes = np.linspace(self.low, self.high, cells + 1)
        self.middle: _Nodes = 0.5 * (self.borders[1:] + self.borders[:-1])
        below = np.asarray(prior.cdf(self.borders), dtype=np.float64)
        below[0] = 0.0
        mass = np.diff(below)
        width = self.borders[1] - self.borders[0]
        self.mass: _Nodes = mass / mass.sum()
        self.some = mass > 1e-14
        # an atom of a mixture is spread over its cell
        rank = 0.5 * (below[1:] + below[:-1])
        tail = 1.0 - rank if sign > 0 else rank
        self.rent: _Nodes = -sign * tail / np.maximum(mass / width, 1e-14 / width)

    def virtual(self, alpha: float) -> tuple[_Nodes, _Nodes]:
        """Types that occur and their ironed virtual values, reaching both ends of the interval."""
        x = self.middle[self.some]
        value = ironed(x + alpha * self.rent[self.some], self.mass[self.some])
        first = value[0] - (value[1] - value[0]) * (x[0] - self.low) / (x[1] - x[0])
        last = value[-1] + (value[-1] - value[-2]) * (self.high - x[-1]) / (x[-1] - x[-2])
        return np.concatenate([[self.low], x, [self.high]]), np.concatenate([[first], value, [last]])


def balanced(rule: Callable[[float], _Rule], budget: Callable[[_Rule], float]) -> tuple[float, _Rule, _Rule, float]:
    """The least alpha whose rule needs no subsidy, the rules just below and at it, and the mixture of them that balances."""
    low = rule(0.0)
    if budget(low) >= -ROUNDING:
        return 0.0, low, low, 0.0
    left, right, high = 0.0, 1.0, rule(1.0)
    for _ in range(_HALVINGS):
        middle = 0.5 * (left + right)
        if not left < middle < right:
            break
        found = rule(middle)
        if budget(found) < 0.0:
            left, low = middle, found
        else:
            right, high = middle, found
    short, over = budget(low), budget(high)
    return right, low, high, 1.0 if over <= short else min(1.0, -short / (over - short))


def ironed(values: _Nodes, weights: _Nodes) -> _Nodes:
    """The nearest nondecreasing function, in the norm of the prior: constant where the virtual value falls."""
    if bool(np.all(np.diff(values) >= 0.0)):
        return values
    from scipy.optimize import isotonic_regression

    return np.asarray(isotonic_regression(values, weights=weights).x, dtype=np.float64)
