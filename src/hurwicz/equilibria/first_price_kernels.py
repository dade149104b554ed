"""The right-hand side of the first-price equations and the event that ends them: the integrator asks for both many thousand times."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def slope(
    b: float, phi: NDArray[np.float64], low: float, highs: NDArray[np.float64], ratios: NDArray[np.float64], least: float
) -> NDArray[np.float64]:
    """F_i(phi_i) / f_i(phi_i) [ (1 / (n - 1)) sum_j 1 / (phi_j - b) - 1 / (phi_i - b) ], F / f from tables on equal steps."""
    bidders, points = ratios.shape
    inverse = np.empty(bidders)
    for i in range(bidders):
        inverse[i] = 1.0 / max(phi[i] - b, least)
    total = inverse.sum() / (bidders - 1)
    out = np.empty(bidders)
    for i in range(bidders):
        place = min(max((phi[i] - low) / (highs[i] - low), 0.0), 1.0) * (points - 1)
        k = min(int(place), points - 2)
        ratio = ratios[i, k] + (place - k) * (ratios[i, k + 1] - ratios[i, k])
        out[i] = ratio * (total - inverse[i])
    return out


def meeting(b: float, phi: NDArray[np.float64], low: float, highs: NDArray[np.float64], *_: object) -> float:
    """The least phi_i - b, less what rounding leaves of it near the lowest value."""
    return float((phi - b).min()) - 1e-7 * (b - low) - 1e-12 * float(highs.max() - low)


meeting.terminal = True  # type: ignore[attr-defined]
