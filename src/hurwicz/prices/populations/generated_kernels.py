"""Agents whose types are computed, not stored: one sweep over a counter.

Agent i (a global number) has u_i, v_i in (0, 1), curvature lambda_i = l0 + l1 u_i, capacity c_i = c0 + c1 v_i and answers
x_i = min(c_i, z (kappa lambda_i)^(-1/(kappa-1))) to z >= 0, else 0. Two designs:

weyl: (u_i, v_i) = frac(shift + i (1/rho, 1/rho²)), rho the plastic number: an additive recurrence of low discrepancy, in 64-bit integers.
hash: 32-bit mixing of the agent's place in its chunk and a key of the chunk: independent draws, for all that a sample mean can tell.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hurwicz.prices.populations.jit_kernels import inlined, kernel

CHUNK = 65536
TILE = 512
WEYL_0 = np.uint64(13925035116211876495)  # 2^64 / rho
WEYL_1 = np.uint64(10511698010929265437)  # 2^64 / rho²
STEP = np.uint64(0x9E3779B97F4A7C15)
MIX_A = np.uint64(0xBF58476D1CE4E5B9)
MIX_B = np.uint64(0x94D049BB133111EB)
SALT = np.uint64(0xD1B54A32D192ED03)
_HIGH = np.uint64(32)
_S30, _S27, _S31 = np.uint64(30), np.uint64(27), np.uint64(31)
_N16, _N15 = np.uint32(16), np.uint32(15)
NARROW_A, NARROW_B, GOLDEN = np.uint32(0x21F0AAAD), np.uint32(0xD35A2D97), np.uint32(0x9E3779B9)
UNIT = 2.0**-32
CENTRE = 0.5 + 2.0**-33  # the middle of a cell of width 2^-32


@inlined
def mix64(value: Any) -> Any:
    """SplitMix64's finaliser."""
    value = (value ^ (value >> _S30)) * MIX_A
    value = (value ^ (value >> _S27)) * MIX_B
    return value ^ (value >> _S31)


@inlined
def mix32(value: Any) -> Any:
    """A 32-bit finaliser of low bias."""
    value = np.uint32(value ^ (value >> _N16))
    value = np.uint32(value * NARROW_A)
    value = np.uint32(value ^ (value >> _N15))
    value = np.uint32(value * NARROW_B)
    return np.uint32(value ^ (value >> _N15))


@inlined
def unit(bits: Any) -> float:
    """A number strictly between 0 and 1 from 32 bits (read as a signed integer, which vector units convert)."""
    return np.float64(np.int32(bits)) * UNIT + CENTRE


@inlined
def two_units(hashed: bool, key: Any, base_0: Any, base_1: Any, j: int) -> Any:
    """(u, v) of agent j of the chunk whose keys are given."""
    if hashed:
        first = mix32(np.uint32(np.uint32(j) + np.uint32(key)))
        second = mix32(np.uint32(np.uint32(first ^ np.uint32(key >> _HIGH)) + GOLDEN))
        return unit(first), unit(second)
    return (
        unit(np.uint32((base_0 + np.uint64(j) * WEYL_0) >> _HIGH)),
        unit(np.uint32((base_1 + np.uint64(j) * WEYL_1) >> _HIGH)),
    )


@inlined
def chunk_keys(seed: Any, k: Any) -> Any:
    """The hash key of chunk k, and the two Weyl sequences' values at its first agent."""
    start = np.uint64(k) * np.uint64(CHUNK)
    key = mix64(mix64(seed + STEP) + np.uint64(k) * STEP)
    return key, mix64(seed) + start * WEYL_0, mix64(seed ^ SALT) + start * WEYL_1


@inlined
def steepness(curvature: float, exponent: float) -> Any:
    """(kappa lambda)^(-1/(kappa-1)): the response to z = 1 before capacities."""
    if exponent == 2.0:
        return 0.5 / curvature
    return (exponent * curvature) ** (-1.0 / (exponent - 1.0))


@kernel
def weyl_quadratic_sums(seed: Any, l0: float, l1: float, c0: float, c1: float, n: int, z: float, first: int, last: int, out: Any) -> None:
    """out[k] = (sum of x_i, sum of slopes) of chunk k: Weyl design, kappa = 2."""
    _, shift_0, shift_1 = chunk_keys(seed, 0)
    half = 0.5 * z
    for k in range(first, last):
        start = np.uint64(k) * np.uint64(CHUNK)
        base_0 = shift_0 + start * WEYL_0
        base_1 = shift_1 + start * WEYL_1
        total = 0.0
        slope = 0.0
        for j in range(min(CHUNK, n - k * CHUNK)):
            u = unit(np.uint32((base_0 + np.uint64(j) * WEYL_0) >> _HIGH))
            v = unit(np.uint32((base_1 + np.uint64(j) * WEYL_1) >> _HIGH))
            free = half / (l0 + l1 * u)
            cap = c0 + c1 * v
            total += min(cap, free)
            slope += free if free <= cap else 0.0
        out[k, 0] = total
        out[k, 1] = slope / z


@kernel
def hash_quadratic_sums(seed: Any, l0: float, l1: float, c0: float, c1: float, n: int, z: float, first: int, last: int, out: Any) -> None:
    """out[k] = (sum of x_i, sum of slopes) of chunk k: hash design, kappa = 2."""
    half = 0.5 * z
    for k in range(first, last):
        key, _, _ = chunk_keys(seed, k)
        low = np.uint32(key)
        high = np.uint32(key >> _HIGH)
        total = 0.0
        slope = 0.0
        for j in range(min(CHUNK, n - k * CHUNK)):
            bits = mix32(np.uint32(np.uint32(j) + low))
            u = unit(bits)
            v = unit(mix32(np.uint32(np.uint32(bits ^ high) + GOLDEN)))
            free = half / (l0 + l1 * u)
            cap = c0 + c1 * v
            total += min(cap, free)
            slope += free if free <= cap else 0.0
        out[k, 0] = total
        out[k, 1] = slope / z


@kernel
def polynomial_sums(
    hashed: bool, seed: Any, c0: float, c1: float, coefficients: Any, n: int, z: float, first: int, last: int, out: Any
) -> None:  # fmt: skip
    """out[k] = (sum of x_i, sum of slopes) of chunk k: any exponent, z >= 0, steepness as a polynomial in t = 2 u - 1.

    Horner's rule a tile at a time, so that every loop is one that vector units run.
    """
    t, cap, steep = np.empty(TILE), np.empty(TILE), np.empty(TILE)
    degree = coefficients.shape[0] - 1
    for k in range(first, last):
        key, base_0, base_1 = chunk_keys(seed, k)
        total = 0.0
        slope = 0.0
        members = min(CHUNK, n - k * CHUNK)
        for begin in range(0, members, TILE):
            count = min(TILE, members - begin)
            if hashed:
                for m in range(count):
                    u, v = two_units(True, key, base_0, base_1, begin + m)
                    t[m] = 2.0 * u - 1.0
                    cap[m] = c0 + c1 * v
                    steep[m] = coefficients[degree]
            else:
                start_0 = base_0 + np.uint64(begin) * WEYL_0
                start_1 = base_1 + np.uint64(begin) * WEYL_1
                for m in range(count):
                    t[m] = 2.0 * unit(np.uint32((start_0 + np.uint64(m) * WEYL_0) >> _HIGH)) - 1.0
                    cap[m] = c0 + c1 * unit(np.uint32((start_1 + np.uint64(m) * WEYL_1) >> _HIGH))
                    steep[m] = coefficients[degree]
            power = degree
            while power >= 4:
                a, b, c, d = coefficients[power - 1], coefficients[power - 2], coefficients[power - 3], coefficients[power - 4]
                for m in range(count):
                    at = t[m]
                    steep[m] = (((steep[m] * at + a) * at + b) * at + c) * at + d
                power -= 4
            for m in range(count):
                free = steep[m] * z
                total += min(cap[m], free)
                slope += steep[m] if free <= cap[m] else 0.0
        out[k, 0] = total
        out[k, 1] = slope


@kernel
def generated_sums(
    hashed: bool, seed: Any, l0: float, l1: float, c0: float, c1: float, exponent: float,
    n: int, z: float, first: int, last: int, out: Any,
) -> None:  # fmt: skip
    """out[k] = (sum of x_i, sum of slopes, sum of C_i(x_i)) of chunk k: any exponent, either design."""
    for k in range(first, last):
        key, base_0, base_1 = chunk_keys(seed, k)
        total = 0.0
        slope = 0.0
        cost = 0.0
        for j in range(min(CHUNK, n - k * CHUNK)):
            u, v = two_units(hashed, key, base_0, base_1, j)
            curvature = l0 + l1 * u
            cap = c0 + c1 * v
            steep = steepness(curvature, exponent)
            free = max(0.0, steep * z)
            x = min(cap, free)
            total += x
            slope += steep if free <= cap and z >= 0.0 else 0.0
            cost += curvature * x * x if exponent == 2.0 else curvature * x**exponent
        out[k, 0] = total
        out[k, 1] = slope
        out[k, 2] = cost


@kernel
def generated_types(hashed: bool, seed: Any, l0: float, l1: float, c0: float, c1: float, start: int, curvature: Any, capacity: Any) -> None:
    """The types of agents start, start + 1, ... as arrays."""
    for m in range(curvature.shape[0]):
        i = start + m
        k = i // CHUNK
        key, base_0, base_1 = chunk_keys(seed, k)
        u, v = two_units(hashed, key, base_0, base_1, i - k * CHUNK)
        curvature[m] = l0 + l1 * u
        capacity[m] = c0 + c1 * v
