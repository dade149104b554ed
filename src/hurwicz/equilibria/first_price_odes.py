"""Asymmetric first-price auctions by their differential equations: a second route, and the accurate one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray, InputError, Solution, SolverError, Status
from hurwicz.equilibria.strategies import MonotoneStrategy
from hurwicz.typespaces import DensityPrior, Interval


def first_price_odes(priors: Mapping[str, DensityPrior], *, knots: int = 801) -> Solution[dict[str, MonotoneStrategy]]:
    """Equilibrium bids of a first-price auction with independent values, by shooting back from the common highest bid.

    With phi_i the value at which bidder i bids b,

        phi_i'(b) = F_i(phi_i) / f_i(phi_i) [ (1 / (n - 1)) sum_j 1 / (phi_j - b) - 1 / (phi_i - b) ],
        phi_i(top) = highest value of i,   phi_i(lowest value) = lowest value,

    where ``top`` is found by bisection: too high, and a phi_i meets b above the lowest value; too low, and none does.

    Args:
        priors: agent name → distribution with a density on an interval; all start at the same value, and of three or more all end at the
            same (a bidder who could not afford the common highest bid would drop out below it).
        knots: bids at which the solution is kept.

    Returns:
        A strategy an agent; ``stats`` has ``top`` and ``reaches``, how far above the lowest value the solution was followed.

    Raises:
        InputError: fewer than two bidders, intervals that do not fit, a density of 0 at the highest value.
        SolverError: the integrator gave up.

    Example:
        >>> from hurwicz.typespaces import Uniform
        >>> found = first_price_odes({"a": Uniform(Interval(0.0, 1.0)), "b": Uniform(Interval(0.0, 2.0))})
        >>> round(found.stats["top"], 6)  # w w' / (w + w')
        0.666667

    Source:
        B. Lebrun, First price auctions in the asymmetric N bidder case (1999); R. C. Marshall and others, Numerical analysis of
        asymmetric first price auctions (1994), for shooting backwards.
    """
    names = list(priors)
    laws = [priors[name] for name in names]
    spaces = [p.space for p in laws]
    if len(names) < 2 or not all(isinstance(s, Interval) for s in spaces):
        raise InputError("first_price_odes: expected at least two bidders with values on intervals")
    lows = [s.low for s in spaces if isinstance(s, Interval)]
    highs = np.asarray([s.high for s in spaces if isinstance(s, Interval)])
    if len(set(lows)) > 1 or (len(names) > 2 and len(set(highs.tolist())) > 1):
        raise InputError(
            "first_price_odes: expected intervals that start at one value (and, of three or more bidders, end at one), "
            f"got {lows} and {highs.tolist()}"
        )
    if any(float(p.pdf(np.asarray([h]))[0]) <= 1e-9 for p, h in zip(laws, highs, strict=True)):
        raise InputError("first_price_odes: expected a density above 0 at the highest value of each bidder")
    low = lows[0]
    least, most = low, float(highs.min())
    # F / f once and for all: distribution functions are asked too often to be computed anew each time.
    grids = [np.linspace(low, high, 40_001) for high in highs]
    ratios = np.stack([np.asarray(p.cdf(g)) / np.maximum(np.asarray(p.pdf(g)), 1e-300) for p, g in zip(laws, grids, strict=True)])
    for _ in range(45):
        middle = 0.5 * (least + most)
        meets, _, _ = _shoot(ratios, highs, low, middle, 0)
        least, most = (least, middle) if meets else (middle, most)
    _, bids, values = _shoot(ratios, highs, low, least, knots)
    # Near the lowest value the equations are singular; what is left is a straight line to it.
    kept = bids > low + 1e-4 * (least - low)
    if kept.sum() < 10:
        raise SolverError("first_price_odes: the solution could not be followed to the lowest value; check the densities near it")
    out = {}
    for k, name in enumerate(names):
        v = np.concatenate([[low], values[k, kept][::-1]])
        b = np.concatenate([[low], bids[kept][::-1]])
        v[-1] = highs[k]
        rising = np.concatenate([[True], np.diff(np.maximum.accumulate(v)) > 0.0])
        out[name] = MonotoneStrategy(v[rising], b[rising], laws[k])
    return Solution(out, Status.STATIONARY_POINT, {"top": least, "reaches": float(bids[kept][-1] - low)})


def _shoot(
    ratios: Float64[FloatArray, "bidders points"], highs: Float64[FloatArray, "bidders"], low: float, top: float, knots: int
) -> tuple[bool, Float64[FloatArray, "bids"], Float64[FloatArray, "bidders bids"]]:
    """Whether some phi_i meets b on the way down from ``top``; bids (falling) and values there."""
    from scipy.integrate import solve_ivp

    from hurwicz.equilibria.first_price_kernels import meeting, slope

    span, stop = float(highs.max()) - low, cast("Any", meeting)

    # Bids are spaced so that they crowd towards the lowest value, where bids bend most.
    at = low + (top - low) * np.linspace(1.0, 1e-3, knots) ** 1.5 if knots else None
    run = solve_ivp(
        slope,
        (top, low + 1e-5 * (top - low)),
        highs,
        method="LSODA",
        rtol=1e-11,
        atol=1e-12 * span,
        events=stop,
        t_eval=at,
        args=(low, highs, ratios, 1e-13 * span),
    )
    return bool(len(run.t_events[0] if run.t_events else ())) or run.status < 0, np.asarray(run.t), np.asarray(run.y)
