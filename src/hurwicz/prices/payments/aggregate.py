"""Clarke transfers of all agents at once where they meet in one sum: O(N log N) instead of N further solves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64
from numpy.typing import ArrayLike, NDArray

from hurwicz._foundation import FloatArray, InputError, float64_array


@dataclass(frozen=True)
class AggregateTransfers:
    """The optimum and the Clarke transfers of every agent.

    Attributes:
        actions: x*.
        price: common price p* = 2 w (Y - sum a_i x_i*); agent i's price is a_i p*.
        transfers: Clarke transfer of each agent.
        linear: linear transfer of each agent, a_i p* (x_i* - o_i).
    """

    actions: Float64[FloatArray, "agents"]
    price: float
    transfers: Float64[FloatArray, "agents"]
    linear: Float64[FloatArray, "agents"]


def aggregate_clarke_transfers(
    types: ArrayLike,
    target: float,
    *,
    weight: float = 1.0,
    coefficients: ArrayLike = 1.0,
    low: ArrayLike | None = None,
    high: ArrayLike | None = None,
    opt_out: ArrayLike = 0.0,
) -> AggregateTransfers:
    """Clarke transfers by price integrals for S = w (sum a_i x_i - Y)², C_i = lambda_i x_i², low <= x <= high.

    Agent i's transfer is the integral of a_i p over its own action, where p solves p/2w + sum_{j≠i} a_j r_j(p) = Y - a_i xi. The
    aggregate response sum_j a_j r_j is a broken line shared by all agents: it is integrated once, outwards from p*, at its sorted
    breakpoints, and agent i's own part is taken out. Nothing is re-solved.

    Args:
        types: lambda > 0, shape (agents,).
        target: Y.
        weight: w > 0.
        coefficients: a, scalar or (agents,), not 0.
        low: least actions; none if omitted.
        high: greatest actions; none if omitted.
        opt_out: o, scalar or (agents,).

    Returns:
        Optimum, price, Clarke and linear transfers.

    Raises:
        InputError: lambda or weight not positive, a coefficient of 0, crossing bounds, no agents.

    Example:
        >>> paid = aggregate_clarke_transfers([0.1, 0.5, 0.2, 0.4, 0.6], 7.461)
        >>> round(float(paid.transfers[0]), 5), round(float(paid.linear[0]), 5)
        (3.19696, 2.26581)
    """
    lam = float64_array(types, "types", shape=(None,))
    count = len(lam)

    def spread(value: ArrayLike, name: str, *, finite: bool = True) -> Float64[FloatArray, "agents"]:
        return np.broadcast_to(float64_array(value, name, finite=finite), (count,)).astype(np.float64)

    a, o = spread(coefficients, "coefficients"), spread(opt_out, "opt_out")
    lo = spread(-np.inf if low is None else low, "low", finite=False)
    hi = spread(np.inf if high is None else high, "high", finite=False)
    if not count or bool(np.any(lam <= 0.0)) or not weight > 0.0 or bool(np.any(a == 0.0)) or not np.isfinite(target):
        raise InputError(
            "aggregate_clarke_transfers: expected at least one agent, types > 0, weight > 0, coefficients other than 0, a finite target"
        )
    if bool(np.any(~(lo <= hi))):
        raise InputError("aggregate_clarke_transfers: expected low <= high")
    slopes = a * a / (2.0 * lam)
    base = 0.5 / weight
    # agent i's part of the aggregate, a_i r_i(p) = clip(slope p, bottom, top), with kinks at bottom/slope and top/slope
    bottom, top = np.minimum(a * lo, a * hi), np.maximum(a * lo, a * hi)
    first, last = bottom / slopes, top / slopes
    price = _clear(slopes, base, bottom, top, first, last, float(target))
    parts = np.clip(slopes * price, bottom, top)
    actions = parts / a
    wanted = a * (actions - o)  # how far the others' aggregate must move along the whole path
    side_up = wanted >= 0.0
    transfers = price * wanted
    for up in (True, False):
        mine = side_up if up else ~side_up
        if bool(np.any(mine)):
            transfers[mine] += _outwards(slopes, base, first, last, price, wanted, mine, up=up)
    return AggregateTransfers(actions=actions, price=price, transfers=transfers, linear=price * wanted)


def _clear(
    slopes: Float64[FloatArray, "agents"],
    base: float,
    bottom: Float64[FloatArray, "agents"],
    top: Float64[FloatArray, "agents"],
    first: Float64[FloatArray, "agents"],
    last: Float64[FloatArray, "agents"],
    target: float,
) -> float:
    def height(p: float) -> float:
        return base * p + float(np.clip(slopes * p, bottom, top).sum())

    ends = np.concatenate([first, last])
    points = np.sort(ends[np.isfinite(ends)])
    left, right = -1, len(points)
    while right - left > 1:
        middle = (left + right) // 2
        if height(float(points[middle])) <= target:
            left = middle
        else:
            right = middle
    lower = float(points[left]) if left >= 0 else -np.inf
    upper = float(points[right]) if right < len(points) else np.inf
    free = (first <= lower) & (last >= upper)
    fixed = np.where(free, 0.0, np.where(last <= lower, top, bottom))
    return (target - float(fixed.sum())) / (base + float(slopes[free].sum()))


def _outwards(
    slopes: Float64[FloatArray, "agents"],
    base: float,
    first: Float64[FloatArray, "agents"],
    last: Float64[FloatArray, "agents"],
    price: float,
    wanted: Float64[FloatArray, "agents"],
    mine: Bool[NDArray[np.bool_], "agents"],
    *,
    up: bool,
) -> Float64[FloatArray, "counted"]:
    # Everything is measured from p* outwards (u = distance), so that small transfers of one among many agents keep their digits.
    sign = 1.0 if up else -1.0
    opens = sign * ((first if up else last) - price)
    closes = sign * ((last if up else first) - price)
    enters, leaves = opens > 0.0, np.isfinite(closes) & (closes > 0.0)
    steps = np.concatenate([slopes[enters & np.isfinite(opens)], -slopes[leaves]])
    knots = np.concatenate([opens[enters & np.isfinite(opens)], closes[leaves]])
    order = np.argsort(knots, kind="stable")
    knots, steps = np.concatenate([[0.0], knots[order]]), steps[order]
    slope = base + float(slopes[(opens <= 0.0) & (closes > 0.0)].sum()) + np.concatenate([[0.0], np.cumsum(steps)])
    gaps = np.diff(knots)
    rise = np.concatenate([[0.0], np.cumsum(slope[:-1] * gaps)])  # aggregate response above its value at p*
    area = np.concatenate([[0.0], np.cumsum((rise[:-1] + 0.5 * slope[:-1] * gaps) * gaps)])

    s, begin, end, goal = slopes[mine], np.maximum(opens[mine], 0.0), np.maximum(closes[mine], 0.0), sign * wanted[mine]

    def own(u: Float64[FloatArray, "counted"]) -> Float64[FloatArray, "counted"]:
        return s * (np.clip(u, begin, end) - begin)

    left, right = np.zeros(len(goal), dtype=np.int64), np.full(len(goal), len(knots), dtype=np.int64)
    while bool(np.any(right - left > 1)):
        middle = (left + right) // 2
        at = knots[np.minimum(middle, len(knots) - 1)]
        low_side = (rise[np.minimum(middle, len(knots) - 1)] - own(at) <= goal) & (right - left > 1)
        left, right = np.where(low_side, middle, left), np.where(low_side | (right - left <= 1), right, middle)
    start = knots[left]
    own_slope = np.where((start >= begin) & (start < end), s, 0.0)
    rest = slope[left] - own_slope
    short = goal - (rise[left] - own(start))
    u = start + short / rest
    # ∫ (p - p*) dq over the path = distance · goal - ∫ (others' rise) du; own part: its triangle and rectangle taken out
    whole = area[left] + (rise[left] + 0.5 * slope[left] * (u - start)) * (u - start)
    inner = np.clip(u, begin, end) - begin
    own_area = 0.5 * s * inner**2 + s * inner * np.maximum(u - np.maximum(end, begin), 0.0)
    # the price moves by sign · u while q moves by sign · goal: the product is positive on both sides
    return np.asarray(u * goal - (whole - own_area), dtype=np.float64)
