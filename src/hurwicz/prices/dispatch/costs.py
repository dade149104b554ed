"""What it costs a generator to run: private to its agent, read from the case's ``gencost`` table."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int64

from hurwicz._foundation import FormatError
from hurwicz.formats import MatpowerCase
from hurwicz.prices.dispatch.network import IntArray


@runtime_checkable
class Cost(Protocol):
    """A convex cost of output, $/h over MW."""

    def at(self, output: float) -> float:
        """C(x), $/h."""
        ...

    def marginal(self, output: float) -> float:
        """dC/dx, $/MWh (from the right at a kink)."""
        ...

    def best(self, price: float, anchor: float, weight: float, low: float, high: float) -> float:
        """Argmin over [low, high] of C(x) - price x + weight/2 (x - anchor)²; with no unique one, the nearest to the anchor."""
        ...

    def scaled(self, theta: float) -> Cost:
        """Theta (C(x) - C(0)) + C(0): the fixed part stays."""
        ...


def _clip(value: float, low: float, high: float) -> float:
    return low if value < low else high if value > high else value


@dataclass(frozen=True)
class Quadratic:
    """C(x) = c2 x² + c1 x + c0, c2 >= 0."""

    c2: float
    c1: float
    c0: float

    def at(self, output: float) -> float:
        """C(x), $/h."""
        return (self.c2 * output + self.c1) * output + self.c0

    def marginal(self, output: float) -> float:
        """2 c2 x + c1."""
        return 2 * self.c2 * output + self.c1

    def best(self, price: float, anchor: float, weight: float, low: float, high: float) -> float:
        """The closed form: anchor + (price - C'(anchor)) / (2 c2 + weight), clipped."""
        push = price - self.marginal(anchor)
        stiffness = 2 * self.c2 + weight
        if stiffness <= 0:
            return high if push > 0 else low if push < 0 else _clip(anchor, low, high)
        return _clip(anchor + push / stiffness, low, high)

    def scaled(self, theta: float) -> Quadratic:
        """The slope and the curvature times theta."""
        return Quadratic(theta * self.c2, theta * self.c1, self.c0)


@dataclass(frozen=True)
class Polynomial:
    """C(x) = sum of coefficients[k] x^k, convex where it is used; marginal cost inverted by bisection and Newton."""

    coefficients: tuple[float, ...]

    def at(self, output: float) -> float:
        """C(x), $/h."""
        return float(np.polynomial.polynomial.polyval(output, self.coefficients))

    def marginal(self, output: float) -> float:
        """The sum of k coefficients[k] x^(k-1)."""
        total = 0.0
        for k in range(len(self.coefficients) - 1, 0, -1):
            total = total * output + k * self.coefficients[k]
        return total

    def best(self, price: float, anchor: float, weight: float, low: float, high: float) -> float:
        """The root of C'(x) + weight (x - anchor) - price, which rises, inside the limits."""

        def rise(x: float) -> float:
            return self.marginal(x) + weight * (x - anchor) - price

        if rise(low) >= 0:
            return low
        if rise(high) <= 0:
            return high
        a, b = low, high
        x = _clip(anchor, low, high)
        slope = [k * (k - 1) * c for k, c in enumerate(self.coefficients)][2:]
        for _ in range(200):
            value = rise(x)
            if value == 0 or b - a <= 4e-16 * max(abs(a), abs(b)):
                return x
            a, b = (x, b) if value < 0 else (a, x)
            curvature = float(np.polynomial.polynomial.polyval(x, slope)) + weight
            step = x - value / curvature if curvature > 0 else a
            new = step if a < step < b else (a + b) / 2
            if new == x:
                return x
            x = new
        return x

    def scaled(self, theta: float) -> Polynomial:
        """Every coefficient but the fixed one times theta."""
        return Polynomial((self.coefficients[0], *(theta * c for c in self.coefficients[1:])))


@dataclass(frozen=True)
class PiecewiseLinear:
    """C through the points (mw[k], cost[k]), slopes rising; beyond the ends the last slopes go on."""

    mw: tuple[float, ...]
    cost: tuple[float, ...]

    def _slopes(self) -> list[float]:
        return [(c1 - c0) / (x1 - x0) for x0, x1, c0, c1 in zip(self.mw[:-1], self.mw[1:], self.cost[:-1], self.cost[1:], strict=True)]

    def at(self, output: float) -> float:
        """The chord's value."""
        k = min(max(int(np.searchsorted(self.mw, output, side="right")) - 1, 0), len(self.mw) - 2)
        return self.cost[k] + self._slopes()[k] * (output - self.mw[k])

    def marginal(self, output: float) -> float:
        """Slope to the right of x."""
        k = min(max(int(np.searchsorted(self.mw, output, side="right")) - 1, 0), len(self.mw) - 2)
        return self._slopes()[k]

    def best(self, price: float, anchor: float, weight: float, low: float, high: float) -> float:
        """The first point, from below, where slope + weight (x - anchor) reaches the price."""
        slopes = self._slopes()
        best = low
        for k, slope in enumerate(slopes):
            start = low if k == 0 else max(low, self.mw[k])
            end = high if k == len(slopes) - 1 else min(high, self.mw[k + 1])
            if end < start:
                continue
            if weight > 0:
                reached = _clip(anchor + (price - slope) / weight, start, end)
            else:
                reached = end if price > slope else start if price < slope else _clip(anchor, start, end)
            best = reached
            if reached < end:
                break
        return best

    def scaled(self, theta: float) -> PiecewiseLinear:
        """Slopes times theta; the cost at 0 MW stays."""
        fixed = self.at(0.0)
        return PiecewiseLinear(self.mw, tuple(fixed + theta * (c - fixed) for c in self.cost))


def unit_costs(case: MatpowerCase, rows: Int64[IntArray, "units"]) -> list[Cost]:
    """Private costs of the units on the given rows of the gen table.

    Raises:
        FormatError: a cost that is not convex between Pmin and Pmax, with file and line.
    """
    table, gen = case.gencost, case.gen
    models, counts = table.model.tolist(), table.ncost.tolist()
    low, high = gen.pmin.tolist(), gen.pmax.tolist()
    costs: list[Cost] = []
    for row in rows.tolist():
        count = int(counts[row])
        data = table.data[row].tolist()
        cost: Cost
        if models[row] == 1:
            cost = PiecewiseLinear(tuple(data[0 : 2 * count : 2]), tuple(data[1 : 2 * count : 2]))
            slopes = cost._slopes()
            convex = all(b >= a - 1e-9 * (abs(a) + abs(b)) for a, b in itertools.pairwise(slopes))
        else:
            rising = data[count - 1 :: -1] if count else []
            while len(rising) > 3 and rising[-1] == 0:
                rising.pop()
            if len(rising) <= 3:
                c0, c1, c2 = (*rising, 0.0, 0.0, 0.0)[:3]
                cost, convex = Quadratic(c2, c1, c0), c2 >= 0
            else:
                cost = Polynomial(tuple(rising))
                convex = _convex(cost, low[row], high[row])
        if not convex and low[row] < high[row]:
            raise FormatError(
                f"generator {row + 1} at bus {gen.bus[row]:.0f}: its cost is not convex between {low[row]:g} and {high[row]:g} MW, "
                "so prices alone need not find the optimum; give it a convex cost",
                path=case.path or None,
                line=case.line("gencost", row),
            )
        costs.append(cost)
    return costs


def _convex(cost: Polynomial, low: float, high: float) -> bool:
    second = np.polynomial.polynomial.polyder(np.array(cost.coefficients), 2)
    turning = np.polynomial.polynomial.polyroots(np.polynomial.polynomial.polyder(second)) if len(second) > 1 else np.array([])
    inside = [float(z.real) for z in turning if abs(z.imag) < 1e-9 and low < z.real < high]
    values = np.polynomial.polynomial.polyval(np.array([low, high, *inside]), second)
    return bool(values.min() >= -1e-12 * np.abs(values).max())
