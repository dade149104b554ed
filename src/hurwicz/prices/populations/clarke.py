"""Clarke transfers of all N agents in O(N): the price integral of each, taken on one shared response curve."""

from __future__ import annotations

import itertools
import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64
from numpy.typing import NDArray

from hurwicz._foundation import FloatArray, InputError, Solution, SolverError, Status, float64_array
from hurwicz.prices.populations.arrays import ArrayPopulation, price_to_z
from hurwicz.prices.populations.losses import AggregateLoss, Numbers
from hurwicz.prices.populations.newton import Clearing, Population, price_newton

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(10)
_CHUNK = 32768
_NEWTON_LIMIT = 200


def clarke_transfers(
    population: Population, loss: AggregateLoss, *, opt_out: Numbers = 0.0, clearing: Clearing | None = None
) -> Solution[Float64[FloatArray, "agents"]]:
    """What each agent receives under Clarke: the integral of its price from its opt-out to its action, the others re-optimising.

    tau_i = ∫ from w_i° to w_i* of P_-i(w) dw, w = a_i x, where P_-i(w) clears the market when i supplies w and the others respond.
    It equals [min over the others of f + sum_{j≠i} C_j with i at o_i] - [f + sum_{j≠i} C_j at the optimum] (envelope theorem).

    With D = (-f')^-1 the planner's demand, Y the sum of all responses and r_i agent i's own, w_i(p) = D(p) - Y(p) + a_i r_i(p), and

        tau_i = p* (w_i* - w_i°) + ∫ from p* to p_i° of (w_i(p) - w_i°) dp,      w_i(p_i°) = w_i°.

    D and Y are shared by all agents. Y is piecewise linear in z = sign(p)|p|^(1/(kappa-1)) with breakpoints at the bounds; the few
    breakpoints between p* and the outermost p_i° are sorted once, with prefix sums of Y and its integral; agent i's own part is taken out
    in closed form. No step is a quadrature over a kink: the error is rounding (about 1e-13 of tau_i, and 1e-15 of N for N agents).

    Args:
        population: the agents.
        loss: f of the aggregate, strictly convex.
        opt_out: o_i, scalar or (agents,); need not lie in [lower_i, upper_i].
        clearing: the optimum, if it is known already.

    Returns:
        Solution of tau, money that agent i receives (payment t_i = -tau_i); stats hold seconds, clearing,
        breakpoints (in the shared table), newton_rounds (for the prices p_i°).

    Raises:
        InputError: not an ArrayPopulation.
        SolverError: a price without some agent could not be found.

    Example:
        >>> import numpy as np
        >>> from hurwicz.prices.populations import QuadraticLoss
        >>> agents = ArrayPopulation(np.array([0.1, 0.5, 0.2, 0.4, 0.6]))
        >>> tau = clarke_transfers(agents, QuadraticLoss(target=7.461)).value
        >>> round(float(tau[0]), 5), round(float(tau.sum()), 3)
        (3.19696, 5.966)

    Source: Clarke (1971); Milgrom and Segal (2002) for the envelope formula; instance C.4 of the paper.
    """
    if not isinstance(population, ArrayPopulation):
        raise InputError(
            f"clarke_transfers: expected an ArrayPopulation, got {type(population).__name__}; use .part(start, stop) for arrays"
        )
    began = time.perf_counter()
    out = float64_array(np.asarray(opt_out), "opt_out", shape=() if np.ndim(opt_out) == 0 else (population.size,))
    if clearing is None:
        clearing = price_newton(population, loss, tolerance=1e-13).value
    market = _Market.around(population, loss, clearing, out)
    tau = np.empty(population.size)
    chunks = -(-population.size // _CHUNK)
    rounds = [0] * chunks

    def work(first: int, last: int) -> None:
        for k in range(first, last):
            piece = slice(k * _CHUNK, min(population.size, (k + 1) * _CHUNK))
            tau[piece], rounds[k] = market.transfers(piece)

    population.workers.share(work, chunks)
    stats = {
        "seconds": time.perf_counter() - began,
        "clearing": clearing,
        "breakpoints": len(market.knots) - 2,
        "newton_rounds": max(rounds),
    }
    return Solution(tau, Status.OPTIMUM, stats)


@dataclass(frozen=True)
class _Market:
    """The clearing point, and the sum of responses around it as a table: knots in z, Y - Y*, dY/dz, ∫ (Y - Y*) dp from p*."""

    population: ArrayPopulation
    loss: AggregateLoss
    opt_out: Float64[FloatArray, "*agents"]
    price: float
    z: float
    aggregate: float
    reach: tuple[float, float]
    knots: Float64[FloatArray, "knots"]
    excess: Float64[FloatArray, "knots"]
    slopes: Float64[FloatArray, "knots"]
    areas: Float64[FloatArray, "knots"]

    @classmethod
    def around(
        cls, population: ArrayPopulation, loss: AggregateLoss, clearing: Clearing, opt_out: Float64[FloatArray, "*agents"]
    ) -> _Market:
        kappa = population.exponent
        z = price_to_z(clearing.price, kappa)
        aggregate = clearing.aggregate
        low, high = _reach(population, loss, z, aggregate, opt_out)
        knots, jumps, steep = _breakpoints(population, low, high)
        knots = np.concatenate(([low], knots, [high]))
        slopes = np.append(steep + np.concatenate(([0.0], np.cumsum(jumps))), 0.0)
        rises = np.diff(knots) * slopes[:-1]
        excess = np.concatenate(([0.0], np.cumsum(rises)))
        here = int(np.clip(np.searchsorted(knots, z, side="right") - 1, 0, len(knots) - 2))
        excess -= excess[here] + slopes[here] * (z - knots[here])
        pieces = line_integral(knots[:-1], knots[1:], excess[:-1], slopes[:-1], kappa)
        areas = np.concatenate(([0.0], np.cumsum(pieces)))
        areas -= areas[here] + line_integral(knots[here], np.asarray(z), excess[here], slopes[here], kappa)
        return cls(population, loss, opt_out, clearing.price, z, aggregate, (low, high), knots, excess, slopes, areas)

    def transfers(self, piece: slice) -> tuple[Float64[FloatArray, "members"], int]:
        """Transfers of some agents, and the Newton rounds that their opt-out prices took."""
        who, kappa = self.population, self.population.exponent
        s, b, lower, upper, a = own_lines(who, piece)
        o = self.opt_out[piece] if self.opt_out.ndim else np.full(s.shape, float(self.opt_out))
        gap = a * (np.clip(s * self.z + b, lower, upper) - o)
        z_out, moved, rounds = self._without(s, b, lower, upper, a, o, gap)
        k = self._segment(z_out)
        others = self.areas[k] + line_integral(self.knots[k], z_out, self.excess[k], self.slopes[k], kappa)
        own = own_integral(np.full(s.shape, self.z), z_out, s, b, lower, upper, o, kappa)
        return self.price * gap - self._planner_area(moved) - others + a * own, rounds

    def _segment(self, z: Float64[FloatArray, "members"]) -> Int64[NDArray[np.int64], "members"]:
        return np.clip(np.searchsorted(self.knots, z, side="right") - 1, 0, len(self.knots) - 2)

    def _planner_area(self, moved: Float64[FloatArray, "members"]) -> Float64[FloatArray, "members"]:
        """-∫ (D - D*) dp = ∫ from 0 to moved of m f''(Y* + m) dm by Gauss-Legendre: f is smooth, and the planner's own."""
        area = np.zeros(moved.shape)
        for node, weight in zip(_NODES, _WEIGHTS, strict=True):
            part = 0.5 * (1.0 + node)
            area += 0.5 * weight * part * self.loss.curvature(self.aggregate + part * moved)
        return np.asarray(area * moved * moved)

    def _without(
        self,
        s: Float64[FloatArray, "members"],
        b: Float64[FloatArray, "members"],
        lower: Float64[FloatArray, "members"],
        upper: Float64[FloatArray, "members"],
        a: Float64[FloatArray, "members"],
        o: Float64[FloatArray, "members"],
        gap: Float64[FloatArray, "members"],
    ) -> tuple[Float64[FloatArray, "members"], Float64[FloatArray, "members"], int]:
        """The z of each price p_i° that clears the market with i at its opt-out, and by how much the aggregate then differs.

        Newton in a bracket, all agents at once. tau depends on p_i° to second order only, so that ten digits of the shift are plenty.
        """
        kappa = self.population.exponent
        low = np.where(gap > 0, self.z, self.reach[0])
        high = np.where(gap > 0, self.reach[1], self.z)
        # The others only make up for a part of the gap: the price cannot go beyond the planner's for all of it.
        beyond = -np.asarray(self.loss.gradient(self.aggregate - gap), dtype=np.float64)
        with np.errstate(over="ignore"):
            far = np.sign(beyond) * np.abs(beyond) ** (1.0 / (kappa - 1.0))
        high = np.where(gap > 0, np.maximum(np.minimum(high, far), self.z), high)
        low = np.where(gap > 0, low, np.minimum(np.maximum(low, far), self.z))
        z, moved = np.full(s.shape, self.z), np.zeros(s.shape)
        left = np.flatnonzero(gap != 0.0)
        for rounds in range(_NEWTON_LIMIT):
            if left.size == 0:
                return z, moved, rounds
            i, here = left, z[left]
            k = self._segment(here)
            free = s[i] * here + b[i]
            shift = self.excess[k] + self.slopes[k] * (here - self.knots[k]) - a[i] * (np.clip(free, lower[i], upper[i]) - o[i])
            miss = to_price(here, kappa) + self.loss.gradient(self.aggregate + shift)
            inner = np.where((free > lower[i]) & (free < upper[i]), a[i] * s[i], 0.0)
            curve = self.loss.curvature(self.aggregate + shift)
            rise = to_price_slope(here, kappa) + curve * np.maximum(self.slopes[k] - inner, 0.0)
            moved[i] = shift - miss / curve  # D(p) - Y*, to second order in the step that is left
            low[i] = np.where(miss < 0, here, low[i])
            high[i] = np.where(miss > 0, here, high[i])
            with np.errstate(divide="ignore", invalid="ignore"):
                newton = here - miss / rise
            inside = np.isfinite(rise) & (newton >= low[i]) & (newton <= high[i]) & (rounds % 8 != 7)
            following = np.where(miss == 0, here, np.where(inside, newton, 0.5 * (low[i] + high[i])))
            open_ = np.abs(following - here) > 1e-10 * np.abs(here - self.z) + 4e-16 * abs(self.z)
            left = i[open_]
            z[left] = following[open_]
        raise SolverError("clarke_transfers: the price without an agent was not found; check that f is strictly convex", reached=z)


def own_lines(
    population: ArrayPopulation, piece: slice
) -> tuple[
    Float64[FloatArray, "members"],
    Float64[FloatArray, "members"],
    Float64[FloatArray, "members"],
    Float64[FloatArray, "members"],
    Float64[FloatArray, "members"],
]:
    """(s, b, lower, upper, a) of some agents in float64."""
    s, b = population.lines()
    count = s[piece].shape

    def field(value: Any) -> Float64[FloatArray, "members"]:
        return np.asarray(value[piece], dtype=np.float64) if isinstance(value, np.ndarray) and value.ndim else np.full(count, float(value))

    return s[piece], field(b), field(population.lower), field(population.upper), field(population.weight)


def to_price(z: Float64[FloatArray, "*shape"], kappa: float) -> Float64[FloatArray, "*shape"]:
    """Price of z: sign(z) |z|^(kappa - 1)."""
    return z if kappa == 2.0 else np.asarray(np.sign(z) * np.abs(z) ** (kappa - 1.0))


def to_price_slope(z: Float64[FloatArray, "*shape"], kappa: float) -> Float64[FloatArray, "*shape"]:
    """dp/dz."""
    if kappa == 2.0:
        return np.ones_like(z)
    with np.errstate(divide="ignore"):
        return np.asarray((kappa - 1.0) * np.abs(z) ** (kappa - 2.0))


def line_integral(start: Numbers, stop: Numbers, value: Numbers, slope: Numbers, kappa: float) -> Float64[FloatArray, "..."]:
    """∫ of (value + slope (z - start)) dp(z) from start to stop.

    A trapezium for quadratic costs; else Gauss-Legendre where the ends are close, the antiderivative |z|^kappa where they are not.
    """
    z0, z1 = np.asarray(start, dtype=np.float64), np.asarray(stop, dtype=np.float64)
    v, g = np.asarray(value, dtype=np.float64), np.asarray(slope, dtype=np.float64)
    width = z1 - z0
    if kappa == 2.0:
        return np.asarray(width * (v + 0.5 * g * width))
    p0, p1 = to_price(z0, kappa), to_price(z1, kappa)
    moment = (kappa - 1.0) / kappa * (np.abs(z1) ** kappa - np.abs(z0) ** kappa)
    apart = v * (p1 - p0) + g * (moment - z0 * (p1 - p0))
    near = (np.abs(width) <= 0.5 * np.minimum(np.abs(z0), np.abs(z1))) & (z0 != 0.0)
    safe = np.where(near, z0, 1.0)
    close = np.zeros(np.broadcast_shapes(z0.shape, z1.shape, v.shape, g.shape))
    for node, weight in zip(_NODES, _WEIGHTS, strict=True):
        offset = np.where(near, 0.5 * width * (1.0 + node), 0.0)
        close += weight * (v + g * offset) * np.abs(safe + offset) ** (kappa - 2.0)
    return np.where(near, 0.5 * width * (kappa - 1.0) * close, apart)


def own_integral(
    z0: Float64[FloatArray, "members"],
    z1: Float64[FloatArray, "members"],
    s: Float64[FloatArray, "members"],
    b: Float64[FloatArray, "members"],
    lower: Float64[FloatArray, "members"],
    upper: Float64[FloatArray, "members"],
    o: Float64[FloatArray, "members"],
    kappa: float,
) -> Float64[FloatArray, "members"]:
    """∫ of (r(z) - o) dp(z) from z0 to z1 for r = clip(s z + b, lower, upper), split at r's own two kinks."""
    with np.errstate(divide="ignore", invalid="ignore"):
        kinks = np.sort(np.stack([(lower - b) / s, (upper - b) / s]), axis=0)
    kinks = np.where(s == 0.0, 0.0, kinks)
    left, right = np.minimum(z0, z1), np.maximum(z0, z1)
    cuts = [left, np.clip(kinks[0], left, right), np.clip(kinks[1], left, right), right]
    total = np.zeros(s.shape)
    for j, (start, stop) in enumerate(itertools.pairwise(cuts)):
        x0 = np.clip(s * start + b, lower, upper)
        flat = j != 1  # at a bound the answer does not move
        total += (x0 - o) * (to_price(stop, kappa) - to_price(start, kappa)) if flat else line_integral(start, stop, x0 - o, s, kappa)
    return np.where(z1 >= z0, total, -total)


def _reach(
    population: ArrayPopulation, loss: AggregateLoss, z: float, aggregate: float, opt_out: Float64[FloatArray, "*agents"]
) -> tuple[float, float]:
    """An interval of z around the clearing point that holds every price p_i°."""
    kappa = population.exponent
    s, b, lower, upper, a = own_lines(population, slice(None))
    gap = a * (np.clip(s * z + b, lower, upper) - opt_out)
    _, slope = population.sums(z)
    curve = float(loss.curvature(aggregate))
    fall = float(to_price_slope(np.asarray(z), kappa)) + curve * slope
    ends = []
    for sign in (-1.0, 1.0):
        who = sign * gap > 0.0
        most = float(np.max(np.abs(gap[who]), initial=0.0))
        if most == 0.0:
            ends.append(z + sign * 1e-12 * max(1.0, abs(z)))
            continue
        step = 1.5 * curve * most / fall if 0.0 < fall < math.inf else max(1.0, abs(z))
        for _ in range(400):
            end = z + sign * step
            total, _ = population.sums(end)
            own = a[who] * (np.clip(s[who] * end + b[who], lower[who], upper[who]) - opt_out[who if opt_out.ndim else ...])
            # The price rises with what is missing: the agent whose own part is largest is the last to be reached.
            furthest = float(np.max(sign * own))
            if sign * (population_price(end, kappa) + float(loss.gradient(total - sign * furthest))) > 0.0:
                break
            step *= 2.0
        else:
            raise SolverError(
                "clarke_transfers: no price clears the market without some agent; f must be strictly convex and unbounded in slope"
            )
        ends.append(end)
    return ends[0], ends[1]


def population_price(z: float, kappa: float) -> float:
    """Price of one z."""
    return float(to_price(np.asarray(z, dtype=np.float64), kappa))


def _breakpoints(
    population: ArrayPopulation, low: float, high: float
) -> tuple[Float64[FloatArray, "knots"], Float64[FloatArray, "knots"], float]:
    """Sorted z in (low, high) where some agent meets a bound, the jumps of dY/dz there, and dY/dz just above ``low``."""
    s, b, lower, upper, a = own_lines(population, slice(None))
    with np.errstate(divide="ignore", invalid="ignore"):
        first, second = (lower - b) / s, (upper - b) / s
    moving = s != 0.0
    enter, leave = np.where(moving, np.minimum(first, second), math.inf), np.where(moving, np.maximum(first, second), math.inf)
    steep = math.fsum((a * s)[(enter <= low) & (leave > low)])
    inner_in, inner_out = (enter > low) & (enter < high), (leave > low) & (leave < high)
    knots = np.concatenate((enter[inner_in], leave[inner_out]))
    jumps = np.concatenate(((a * s)[inner_in], -(a * s)[inner_out]))
    order = np.argsort(knots, kind="stable")
    return knots[order], jumps[order], steep
