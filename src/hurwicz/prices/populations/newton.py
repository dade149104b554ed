"""Price Newton: the market-clearing price of a population that meets the planner through one aggregate."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from hurwicz._foundation import InputError, NotConvergedError, NotFiniteError, Solution, Status
from hurwicz.prices.populations.arrays import LARGEST_Z, price_to_z, z_to_price
from hurwicz.prices.populations.losses import AggregateLoss

_ROUNDING = 8 * 2.0**-52
_CROWD = 10_000  # agents from which on jumps one by one make a curve; fewer are a staircase, and are searched by halves


@runtime_checkable
class Population(Protocol):
    """What a planner can ask of a population: how many, and how all of them together answer a price."""

    @property
    def size(self) -> int:
        """Number of agents."""
        ...

    @property
    def exponent(self) -> float:
        """kappa, known to the planner as the unit in which it steps the price; any value above 1 gives the same answer."""
        ...

    def sums(self, z: float) -> tuple[float, float]:
        """(y, dy/dz) at the price sign(z) |z|^(kappa - 1)."""
        ...

    def sample(self, size: int) -> Any:
        """A smaller population that stands for this one, or None."""
        ...


@dataclass(frozen=True)
class Clearing:
    """A price at which the population's answers and the planner's loss agree.

    Attributes:
        price: p, money per unit of the aggregate.
        aggregate: y = sum_i a_i r_i(p), as answered.
        slope: dy/dz at the answer, z = sign(p) |p|^(1/(kappa-1)); for quadratic costs dy/dp.
        mismatch: p + f'(y), zero at the optimum.
        gap: bound on L(x) - L*, from mismatch²/(2 f''); exact to second order, and exactly the duality gap for quadratic f.
    """

    price: float
    aggregate: float
    slope: float
    mismatch: float
    gap: float


@dataclass(frozen=True)
class _Scaled:
    """A sample that answers as many times over as it has to to stand for the whole."""

    part: Population
    times: float

    @property
    def size(self) -> int:
        return self.part.size

    @property
    def exponent(self) -> float:
        return self.part.exponent

    def sums(self, z: float) -> tuple[float, float]:
        total, slope = self.part.sums(z)
        return self.times * total, self.times * slope

    def sample(self, size: int) -> None:  # noqa: ARG002
        return


def price_newton(
    population: Population,
    loss: AggregateLoss,
    *,
    price: float | None = None,
    tolerance: float = 1e-10,
    max_rounds: int = 60,
    progress: Callable[[int, float, float], None] | None = None,
    throw: bool = True,
) -> Solution[Clearing]:
    """The price p = -f'(sum_i a_i r_i(p)) by Newton's method inside a bracket; one pass over the agents a round.

    h(z) = p(z) + f'(y(z)) rises in z, so that one answer brackets the root: it lies between p and -f'(y(p)). A Newton step
    that leaves the bracket, or two that do not quarter |h| (capacities put kinks into y), give way to a bisection.

    Args:
        population: ArrayPopulation, GeneratedPopulation or ShardedPopulation.
        loss: f, strictly convex, of the aggregate.
        price: where to start; by default the clearing price of a sample (of 1/128 of the agents, from 4096 on), else 0.
        tolerance: relative error of the price at which to stop, > 0.
        max_rounds: passes over the agents before giving up.
        progress: called after each pass with (round, price, relative step).
        throw: raise at the limit of rounds instead of returning the status.

    Returns:
        Solution whose value is a Clearing; stats hold rounds (price broadcasts to all), sample_rounds, seconds, step (relative).

    Raises:
        NotConvergedError: max_rounds passes were not enough; ``reached`` holds the Clearing.
        InputError: f is not convex where it was looked at, or a bad tolerance.
        NotFiniteError: NaN or infinity from the loss or the agents.

    Example:
        >>> import numpy as np
        >>> from hurwicz.prices.populations import ArrayPopulation, QuadraticLoss, price_newton
        >>> agents = ArrayPopulation(np.full(100, 0.1), lower=0.0)
        >>> found = price_newton(agents, QuadraticLoss(target=10.0))
        >>> round(found.value.aggregate / 100, 10), found.stats["rounds"]
        (0.0999000999, 2)

    Source: the paper's experiment C.2 for the example; Newton's method on the scalar clearing condition.
    """
    if not (0.0 < tolerance < 1.0):
        raise InputError(f"tolerance: expected a number between 0 and 1, got {tolerance}")
    if max_rounds < 1:
        raise InputError(f"max_rounds: expected at least 1, got {max_rounds}")
    began = time.perf_counter()
    sample_rounds = 0
    if price is None:
        price = 0.0
        part = population.sample(population.size // 128)
        if part is not None:
            guess = price_newton(_Scaled(part, population.size / part.size), loss, tolerance=1e-9, max_rounds=max_rounds, throw=False)
            price, sample_rounds = guess.value.price, int(guess.stats["rounds"])
    kappa = population.exponent
    z = price_to_z(float(price), kappa)
    low, high = -math.inf, math.inf
    slow, dives, last_size = 0, 0, math.inf
    answers: dict[float, float] = {}  # z → y, for every price asked
    step = math.inf
    for rounds in range(1, max_rounds + 1):
        total, slope = population.sums(z)
        gradient, curve = float(loss.gradient(total)), float(loss.curvature(total))
        p = z_to_price(z, kappa)
        h = p + gradient
        if not (math.isfinite(h) and math.isfinite(curve)):
            raise NotFiniteError(
                f"price_newton: f' = {gradient}, f'' = {curve} at y = {total} (price {p}); check the loss's domain and the types"
            )
        if curve < 0.0:
            raise InputError(f"price_newton: f'' = {curve} at y = {total}; expected a convex loss of the aggregate")
        if abs(z) >= LARGEST_Z and h * z < 0.0:  # so dear a price has no z
            if slope != 0.0:
                raise InputError(
                    f"exponent: {kappa} is so near 1 that prices above {abs(p):.6g} leave the range of a float; count money in another unit"
                )
            p, h = -gradient, 0.0  # no agent moves any more: this price is the planner's own
        if h <= 0.0:
            low, high = z, min(high, price_to_z(-gradient, kappa))
        if h >= 0.0:
            high, low = z, max(low, price_to_z(-gradient, kappa))
        newton = _model_root(loss, kappa, z, total, slope, low, high) if h else z
        floor = abs(h) <= _ROUNDING * (curve * abs(total) + abs(gradient) + abs(p))
        # relative in the price, which is z to the power of kappa - 1
        step = 0.0 if h == 0.0 else (kappa - 1.0) * abs(newton - z) / max(abs(z), 1e-300) if math.isfinite(newton) else math.inf
        if progress is not None:
            progress(rounds, p, step)
        # a price that is right to the tolerance may still move many agents that are nearly indifferent: what that costs counts as well
        cheap = curve > 0.0 and h * h / (2.0 * curve) <= tolerance * (abs(float(loss.value(total))) + abs(p * total))
        pinned = high - low <= 1e-15 * max(abs(low), abs(high))
        if floor or pinned or (cheap and (step <= tolerance or high - low <= tolerance * max(abs(low), abs(high)))):
            status = Status.OPTIMUM
            break
        slow = slow + 1 if abs(h) > 0.25 * last_size else 0
        if slow == 1 and slope == 0.0 and low * high == 0.0:
            slow = 2  # flat here and not known anywhere else: no model helps
        last_size = abs(h)
        answers[z] = total
        secant = math.nan
        if slow == 1 and (kappa > 1.5 or population.size >= _CROWD) and low in answers and high in answers and high > low:
            # Answers are straight in z between bounds. With costs near to linear each agent jumps across, and a crowd that jumps one by
            # one is smooth in the price itself.
            line = kappa if kappa > 1.5 else 2.0
            ends = low, high
            if line != kappa:
                ends = z_to_price(low, kappa), z_to_price(high, kappa)
            rise = (answers[high] - answers[low]) / (ends[1] - ends[0])
            secant = _model_root(loss, line, ends[0], answers[low], rise, *ends)
            if line != kappa and math.isfinite(secant):
                secant = min(max(price_to_z(secant, kappa), low), high)
        dives = dives + 1 if slow >= 2 and low * high == 0.0 else 0
        z, slow = _next(
            answers, secant if slow == 1 and secant not in answers and math.isfinite(secant) else newton, low, high, slow, dives
        )
    else:
        status = Status.STEP_LIMIT
    if not math.isfinite(float(loss.value(total))):
        raise NotFiniteError(f"price_newton: f(y) is not finite at y = {total}, where its slope meets the agents'; check the loss's domain")
    gap = h * h / (2.0 * curve) if curve > 0.0 else math.inf
    clearing = Clearing(p, total, slope, h, gap)
    stats = {"rounds": rounds, "sample_rounds": sample_rounds, "seconds": time.perf_counter() - began, "step": step, "method": "newton"}
    if throw and not status.ok:
        raise NotConvergedError(
            f"price_newton: relative step {step:.2e} after {rounds} passes, tolerance {tolerance:.2e}; raise max_rounds or the tolerance",
            reached=clearing,
        )
    return Solution(clearing, status, stats)


def _next(seen: Container[float], newton: float, low: float, high: float, slow: int, dives: int) -> tuple[float, int]:
    """Where to look next: the model's point, else the bracket's middle."""
    slack = 1e-12 * max(abs(low), abs(high)) if math.isfinite(low) and math.isfinite(high) else 0.0
    inside = min(max(newton, low), high)
    if slow < 2 and abs(inside - newton) <= slack and inside not in seen:
        return inside, slow
    if dives and low == 0.0:  # nothing tells the scale of the prices yet: look for it in ever larger strides
        return high / 8.0 ** min(2 ** (dives - 1), 64), slow
    if dives and high == 0.0:
        return low / 8.0 ** min(2 ** (dives - 1), 64), slow
    if low < 0.0 < high and 0.0 not in seen:
        return 0.0, 0  # the sign first
    return bracket_middle(low, high), 0


def _model_root(loss: AggregateLoss, kappa: float, z: float, total: float, slope: float, low: float, high: float) -> float:
    """The root of p(z') + f'(y + dy/dz (z' - z)): only the agents' answer is linearised, what the planner knows stays exact."""
    from scipy.optimize import brentq

    def model(point: float) -> float:
        with np.errstate(over="ignore"):
            return z_to_price(point, kappa) + float(loss.gradient(total + slope * (point - z)))

    if not (math.isfinite(low) and math.isfinite(high)) or low >= high:
        return math.nan
    if model(high) <= 0.0:  # the answer does not move any more: the price is -f'(y), the bracket's own end
        return high
    if model(low) >= 0.0:
        return low
    # The absolute tolerance is far below any root: with one relative to the bracket, a root near 0 in a wide bracket passes for 0.
    # Where the root is 0 no relative tolerance is ever met: any point inside the bracket will do for the next round.
    root, _ = brentq(model, low, high, xtol=1e-300, rtol=9e-16, maxiter=1000, full_output=True, disp=False)
    return float(root)


def bracket_middle(low: float, high: float) -> float:
    """Half way between two numbers: in their logarithms where they have one sign and are far apart."""
    if low > 0.0 and high > 4.0 * low:
        return math.sqrt(low) * math.sqrt(high)
    if high < 0.0 and low < 4.0 * high:
        return -math.sqrt(-low) * math.sqrt(-high)
    return 0.5 * (low + high)
