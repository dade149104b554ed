"""The response dynamics beside price Newton, at scale: what each costs in rounds and seconds on the same population."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import DivergedError, FloatArray, InputError, NotConvergedError, Solution, Status
from hurwicz.prices.populations.arrays import BLOCK, ArrayPopulation, price_to_z, z_to_price
from hurwicz.prices.populations.losses import AggregateLoss, QuadraticLoss
from hurwicz.prices.populations.newton import bracket_middle, price_newton

Method = Literal["newton", "secant", "bisection", "gradient", "nesterov", "sharing_admm", "conjugate_gradient"]
METHODS: tuple[Method, ...] = get_args(Method)
_BY_PRICE = ("newton", "secant", "bisection")


@dataclass(frozen=True)
class Play:
    """Where a dynamic ended.

    Attributes:
        price: p = -f'(y) at the end, money per unit of the aggregate.
        aggregate: y.
        gap: L - L* relative to |L*|.
        actions: x, or None where the dynamic keeps none (agents answer a price).
    """

    price: float
    aggregate: float
    gap: float
    actions: Float64[FloatArray, "agents"] | None


def population_dynamics(
    population: ArrayPopulation,
    loss: AggregateLoss,
    *,
    method: str = "newton",
    tolerance: float = 1e-9,
    max_rounds: int = 10_000_000,
    max_seconds: float = math.inf,
    start: float = 0.0,
    throw: bool = True,
) -> Solution[Play]:
    """Play one dynamic until L - L* <= tolerance |L*|, L* being known to the observer only (found first, by price Newton).

    newton, secant and bisection broadcast a price and hear the aggregate (newton its slope too); Anderson's method with memory one is
    the secant. gradient, nesterov, sharing_admm and conjugate_gradient keep an action per agent, and one round moves all of them once.
    The seconds are those of the dynamic's own steps; the observer's checks of L are left out.

    Args:
        population: the agents. The four that keep actions need kappa = 2; conjugate_gradient no bounds.
        loss: f; QuadraticLoss for the four that keep actions (their step sizes come from its curvature).
        method: which dynamic.
        tolerance: relative gap.
        max_rounds: limit of rounds.
        max_seconds: limit of the dynamic's own time.
        start: every agent's first action, clipped to its bounds (0 price for the first three).
        throw: raise at a limit instead of returning the status.

    Returns:
        Solution of Play; stats hold rounds, seconds, gap, method.

    Raises:
        InputError: a dynamic that does not apply here.
        NotConvergedError: a limit came first.
        DivergedError: the gap left every bound.

    Example:
        >>> import numpy as np
        >>> agents = ArrayPopulation(np.array([0.1, 0.5, 1.0, 5.0, 10.0]))
        >>> run = population_dynamics(agents, QuadraticLoss(target=10.0), method="conjugate_gradient")
        >>> run.stats["rounds"] <= 6, run.status.name
        (True, 'OPTIMUM')

    Source: Boyd et al. (2011) §7.3 for sharing ADMM; Nesterov (2004) §2.2 for the accelerated step; the paper for the gradient response.
    """
    if method not in METHODS:
        raise InputError(f"method: expected one of {', '.join(METHODS)}, got {method!r}")
    if method == "newton":
        return _newton(population, loss, tolerance, min(max_rounds, 1000), throw)
    if method not in _BY_PRICE:
        _needs_quadratic(population, loss, method)
    optimum = price_newton(population, loss, tolerance=1e-13)
    best = float(loss.value(optimum.value.aggregate)) + population.private_cost(optimum.value.price)
    scale = max(abs(best), 1e-300)
    gap, seconds, rounds, next_check = math.inf, 0.0, 0, 1
    play = Play(math.nan, math.nan, math.inf, None)
    status = Status.STEP_LIMIT
    steps = _DYNAMICS[method](population, loss, float(start))
    while rounds < max_rounds and seconds < max_seconds:
        began = time.perf_counter()
        aggregate, mismatch, x = next(steps)
        seconds += time.perf_counter() - began
        rounds += 1
        if rounds < next_check and mismatch is None:
            continue
        next_check = rounds + max(1, rounds // 20)
        if x is not None:
            aggregate, cost = population.action_totals(x)
            gap = (float(loss.value(aggregate)) + cost - best) / scale
        elif mismatch is not None:
            gap = mismatch * mismatch / (2.0 * float(loss.curvature(aggregate)) * scale)
        play = Play(-float(loss.gradient(aggregate)), aggregate, gap, x)
        if not math.isfinite(gap) or gap > 1e30:
            status = Status.DIVERGED
            break
        if gap <= tolerance:
            status = Status.OPTIMUM
            break
    stats = {"rounds": rounds, "seconds": seconds, "gap": gap, "method": method}
    if throw and status is Status.DIVERGED:
        raise DivergedError(f"{method}: the loss grows without bound; shorten the step or use method='newton'", reached=play)
    if throw and not status.ok:
        raise NotConvergedError(
            f"{method}: relative gap {gap:.1e} after {rounds} rounds and {seconds:.1f} s; raise the limits or use method='newton'",
            reached=play,
        )
    return Solution(play, status, stats)


def _newton(population: ArrayPopulation, loss: AggregateLoss, tolerance: float, max_rounds: int, throw: bool) -> Solution[Play]:
    """price_newton, which knows when it is done without an observer, in this function's words."""
    run = price_newton(population, loss, tolerance=0.1 * tolerance, max_rounds=max_rounds, throw=throw)
    found = run.value
    total = abs(float(loss.value(found.aggregate)) + population.private_cost(found.price))
    gap = found.gap / max(total, 1e-300)
    stats = {"rounds": run.stats["rounds"], "seconds": run.stats["seconds"], "gap": gap, "method": "newton"}
    return Solution(Play(found.price, found.aggregate, gap, None), run.status, stats)


def _needs_quadratic(population: ArrayPopulation, loss: AggregateLoss, method: str) -> None:
    if population.exponent != 2.0 or not isinstance(loss, QuadraticLoss):
        raise InputError(f"{method}: needs quadratic costs and a QuadraticLoss, whose curvature sets its step; use method='newton'")
    if method == "conjugate_gradient" and (np.any(np.isfinite(population.lower)) or np.any(np.isfinite(population.upper))):
        raise InputError("conjugate_gradient: knows no bounds; leave lower and upper out, or use method='newton'")


_Steps = Iterator[tuple[float, float | None, Any]]


def _by_price(population: ArrayPopulation, loss: AggregateLoss, choose: Callable[..., float]) -> _Steps:
    """Broadcast z, hear y, bracket the root of h(z) = p + f'(y), choose the next z."""
    kappa = population.exponent
    z, low, high = 0.0, -math.inf, math.inf
    heard: list[tuple[float, float, float, float]] = []
    while True:
        y, slope = population.sums(z)
        gradient = float(loss.gradient(y))
        h = z_to_price(z, kappa) + gradient
        end = price_to_z(-gradient, kappa)
        low, high = (z, min(high, end)) if h <= 0.0 else (max(low, end), z)
        yield y, h, None
        heard.append((z, h, y, slope))
        z = choose(loss, kappa, heard, low, high)


def _secant(loss: AggregateLoss, kappa: float, heard: list[tuple[float, float, float, float]], low: float, high: float) -> float:  # noqa: ARG001
    """The line through the last two answers; the middle of the bracket where it leads out, or did not halve |h| twice in a row."""
    if len(heard) < 2:
        return low if heard[-1][0] == high else high
    (z0, h0, _, _), (z1, h1, _, _) = heard[-2:]
    guess = z1 - h1 * (z1 - z0) / (h1 - h0) if h1 != h0 else math.nan
    stuck = len(heard) > 3 and abs(h1) > 0.25 * abs(heard[-3][1])
    return guess if low < guess < high and not stuck else bracket_middle(low, high)


def _halve(loss: AggregateLoss, kappa: float, heard: Any, low: float, high: float) -> float:  # noqa: ARG001
    return bracket_middle(low, high)


def _start(population: ArrayPopulation, start: float) -> Float64[FloatArray, "agents"]:
    return np.array(np.broadcast_to(np.clip(start, population.lower, population.upper), (population.size,)), dtype=np.float64)


def _curvatures(population: ArrayPopulation, loss: AggregateLoss) -> tuple[float, float]:
    """Bounds on the least and greatest eigenvalue of the Hessian 2 Lambda + f'' a aᵀ."""
    weights = np.asarray(population.weight, dtype=np.float64)
    norm = float(np.sum(weights**2)) if weights.ndim else population.size * float(weights) ** 2
    return 2.0 * float(np.min(population.curvature)), 2.0 * float(np.max(population.curvature)) + float(loss.curvature(0.0)) * norm


def _gradient(population: ArrayPopulation, loss: AggregateLoss, start: float) -> _Steps:
    least, most = _curvatures(population, loss)
    x = _start(population, start)
    y, _ = population.action_totals(x)
    while True:
        y = population.gradient_step(x, -float(loss.gradient(y)), 2.0 / (least + most))
        yield y, None, x


def _nesterov(population: ArrayPopulation, loss: AggregateLoss, start: float) -> _Steps:
    from hurwicz.prices.populations.response_kernels import accelerated_step

    least, most = _curvatures(population, loss)
    root = math.sqrt(least / most)
    momentum = (1.0 - root) / (1.0 + root)
    who, x = population, _start(population, start)
    past = x.copy()
    y, _ = who.action_totals(x)
    before = y
    fields = (x, past, who.curvature, who.linear, who.lower, who.upper, who.weight)
    while True:
        price = -float(loss.gradient(y + momentum * (y - before)))
        rest = (*fields, price, 1.0 / most, momentum, 2.0, who.size, BLOCK)
        before = y
        y = who.workers.sums(accelerated_step, rest, who.blocks)[0]
        yield y, None, x


def _sharing_admm(population: ArrayPopulation, loss: QuadraticLoss, start: float) -> _Steps:
    from hurwicz.prices.populations.response_kernels import sharing_step

    who, x = population, _start(population, start)
    n, rho = who.size, 2.0 * float(np.mean(who.curvature, dtype=np.float64))
    y, _ = who.action_totals(x)
    dual, share = 0.0, y / n
    while True:
        rest = (x, who.curvature, who.linear, who.lower, who.upper, who.weight, y / n - share + dual, rho, n, BLOCK)
        y = who.workers.sums(sharing_step, rest, who.blocks)[0]
        share = (2.0 * loss.weight * loss.target + rho * (dual + y / n)) / (2.0 * loss.weight * n + rho)
        dual += y / n - share
        yield y, None, x


def _conjugate_gradient(population: ArrayPopulation, loss: QuadraticLoss, start: float) -> _Steps:
    from hurwicz.prices.populations.response_kernels import conjugate_direction, conjugate_product, conjugate_update

    who, x = population, _start(population, start)
    n, work = who.size, who.workers
    y, _ = who.action_totals(x)
    curve = 2.0 * loss.weight
    r = -float(loss.gradient(y)) * np.asarray(who.weight, dtype=np.float64) - np.asarray(who.linear) - 2.0 * who.curvature * x
    d, product = np.array(r, dtype=np.float64), np.empty(n)
    r = d.copy()
    norm = float(r @ r)
    weight = who.weight
    reach = float(np.sum(weight * d))
    while True:
        fields = (d, who.curvature, weight, product, curve * reach, n, BLOCK)
        curved = work.sums(conjugate_product, fields, who.blocks)[0]
        alpha = norm / curved if curved > 0.0 else 0.0
        y += alpha * reach
        fresh = work.sums(conjugate_update, (x, r, d, product, alpha, n, BLOCK), who.blocks)[0]
        beta, norm = (fresh / norm if norm > 0.0 else 0.0), fresh
        reach = work.sums(conjugate_direction, (r, d, weight, beta, n, BLOCK), who.blocks)[0]
        yield y, None, x


_DYNAMICS: dict[str, Callable[..., _Steps]] = {
    "secant": lambda population, loss, start: _by_price(population, loss, _secant),  # noqa: ARG005
    "bisection": lambda population, loss, start: _by_price(population, loss, _halve),  # noqa: ARG005
    "gradient": _gradient,
    "nesterov": _nesterov,
    "sharing_admm": _sharing_admm,
    "conjugate_gradient": _conjugate_gradient,
}
