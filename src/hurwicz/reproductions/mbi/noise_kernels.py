"""Compiled loop of C.9: gradient responses with noise, once as the paper runs them and once without the clamp at zero."""

from __future__ import annotations

import math

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def noisy_responses(start, target, weight, step, deviation, rounds, burn_in, tail, seed):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Mean losses of x <- x - eta grad L + noise, the same noise with and without max(0, .).

    Returns (clamped, free) means over rounds >= burn_in, the same over the last ``tail`` rounds, and the share of clamped coordinates.
    """
    np.random.seed(seed)  # noqa: NPY002 - numba's own generator, not numpy's
    agents = start.size
    clamped, free = start.copy(), start.copy()
    out = np.zeros(5)
    hits = 0
    for t in range(rounds):
        total_clamped, total_free = 0.0, 0.0
        for i in range(agents):
            total_clamped += clamped[i]
            total_free += free[i]
        price_clamped, price_free = -2.0 * (total_clamped - target), -2.0 * (total_free - target)
        loss_clamped, loss_free = 0.25 * price_clamped * price_clamped, 0.25 * price_free * price_free
        for i in range(0, agents, 2):
            # Marsaglia's polar method, two normals at a time: twice as fast as one call a normal.
            while True:
                u, v = 2.0 * np.random.random() - 1.0, 2.0 * np.random.random() - 1.0  # noqa: NPY002
                s = u * u + v * v
                if 0.0 < s < 1.0:
                    break
            scale = deviation * math.sqrt(-2.0 * math.log(s) / s)
            for j in range(2):
                if i + j < agents:
                    k = i + j
                    shock = scale * (u if j == 0 else v)
                    loss_clamped += weight * clamped[k] * clamped[k]
                    loss_free += weight * free[k] * free[k]
                    moved = clamped[k] + step * (price_clamped - 2.0 * weight * clamped[k]) + shock
                    if moved < 0.0:
                        moved = 0.0
                        if t >= burn_in:
                            hits += 1
                    clamped[k] = moved
                    free[k] += step * (price_free - 2.0 * weight * free[k]) + shock
        if t >= burn_in:
            out[0] += loss_clamped
            out[1] += loss_free
        if t >= rounds - tail:
            out[2] += loss_clamped
            out[3] += loss_free
    out[0] /= rounds - burn_in
    out[1] /= rounds - burn_in
    out[2] /= tail
    out[3] /= tail
    out[4] = hits / ((rounds - burn_in) * agents)
    return out
