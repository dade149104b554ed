"""Small grids for the tests: built by hand or drawn at random, always feasible unless a test breaks them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from hurwicz.formats import MatpowerCase, parse_matpower


def grid(
    loads: Sequence[float],
    units: Sequence[tuple[int, float, float, str]],
    lines: Sequence[tuple[Any, ...]],
    *,
    kinds: Sequence[int] | None = None,
) -> MatpowerCase:
    """A case from loads (MW, by bus from 1), units (bus, Pmin, Pmax, gencost row), lines (from, to, x, rating[, tap, shift])."""
    kinds = kinds or [3] + [1] * (len(loads) - 1)
    bus = "\n".join(
        f"{k + 1} {kind} {float(load)!r} 0 0 0 1 1 0 1 1 1.1 0.9;" for k, (load, kind) in enumerate(zip(loads, kinds, strict=True))
    )
    gen = "\n".join(f"{b} 0 0 0 0 1 100 1 {float(high)!r} {float(low)!r};" for b, low, high, _ in units)
    width = max(len(cost.split()) for *_, cost in units)
    cost = "\n".join(" ".join([*row.split(), *["0"] * (width - len(row.split()))]) + ";" for *_, row in units)
    rows = []
    for f, t, x, rating, *rest in lines:
        tap, shift = (*rest, 0.0, 0.0)[:2]
        rows.append(f"{f} {t} 0.01 {float(x)!r} 0 {float(rating)!r} 0 0 {tap!r} {shift!r} 1 -30 30;")
    body = "\n".join(rows)
    return parse_matpower(
        f"function mpc = g\nmpc.baseMVA = 100;\nmpc.bus = [\n{bus}\n];\nmpc.gen = [\n{gen}\n];\nmpc.branch = [\n{body}\n];\n"
        f"mpc.gencost = [\n{cost}\n];\n",
        path="g.m",
    )


def cost_row(rng: np.random.Generator, kind: str, low: float, high: float, scale: float) -> str:
    """A random convex gencost row."""
    a = scale * rng.uniform(5, 50)
    if kind == "linear":
        return f"2 0 0 2 {a!r} {float(scale * rng.uniform(0, 9))!r}"
    if kind == "flat":
        return f"2 0 0 2 {scale * 20.0!r} 0"
    if kind == "free":
        return "2 0 0 1 0"
    if kind == "quadratic":
        return f"2 0 0 3 {float(scale * rng.uniform(0.001, 0.5))!r} {a!r} 1"
    if kind == "piecewise":
        inner = np.sort(rng.uniform(low, high, rng.integers(1, 4))) if high > low else np.array([])
        mw = np.concatenate([[low], inner, [high if high > low else low + 1]])
        slopes = scale * np.sort(rng.uniform(5, 60, len(mw) - 1))
        value = np.concatenate([[0.0], np.cumsum(slopes * np.diff(mw))])
        return f"1 0 0 {len(mw)} " + " ".join(f"{float(m)!r} {float(v)!r}" for m, v in zip(mw, value, strict=True))
    raise AssertionError(kind)


def random_grid(seed: int, kinds: Sequence[str], *, buses: int = 6, scale: float = 1.0, tight: float = 1.3) -> MatpowerCase:
    """A connected grid with line ratings around the flows of one feasible dispatch, so that some bind and a dispatch exists."""
    rng = np.random.default_rng(seed)
    loads = np.where(rng.random(buses) < 0.7, rng.uniform(5, 90, buses), 0.0)
    loads[-1] += 10
    count = max(2, buses // 2) + 1
    units = []
    for k in range(count):
        high = float(rng.uniform(20, 200))
        low = float(rng.choice([0.0, 0.2 * high, -0.1 * high, high], p=[0.5, 0.25, 0.15, 0.1])) if k else 0.0
        units.append([int(rng.integers(1, buses + 1)), low, high, ""])
    units[0][2] = float(loads.sum() + sum(abs(u[1]) for u in units) + 20)
    for k, unit in enumerate(units):
        unit[3] = cost_row(rng, kinds[k % len(kinds)], unit[1], unit[2], scale)
    lines = [[k, int(rng.integers(1, k)), float(rng.uniform(0.02, 0.3)), 0.0] for k in range(2, buses + 1)]
    for _ in range(buses // 2):
        f, t = rng.choice(np.arange(1, buses + 1), 2, replace=False)
        lines.append([int(f), int(t), float(rng.uniform(0.02, 0.3)), 0.0])
    # one feasible dispatch: all others at a point of their range, the first takes the rest
    x = np.array([rng.uniform(u[1], u[2]) for u in units])
    low = np.array([u[1] for u in units])
    loads[-1] += max(0.0, float(low[1:].sum() - loads.sum() + 1))
    while x[1:].sum() > loads.sum():
        x[1:] = low[1:] + 0.5 * (x[1:] - low[1:])
    x[0] = loads.sum() - x[1:].sum()
    units[0][2] = max(units[0][2], float(x[0]) + 1)
    injection = -loads.copy()
    for u, v in zip(units, x, strict=True):
        injection[u[0] - 1] += v
    b = np.array([v[2] / (0.01**2 + v[2] ** 2) for v in lines])
    f, t = np.array([v[0] - 1 for v in lines]), np.array([v[1] - 1 for v in lines])
    laplacian = np.zeros((buses, buses))
    for k in range(len(lines)):
        laplacian[[f[k], t[k]], [f[k], t[k]]] += b[k]
        laplacian[[f[k], t[k]], [t[k], f[k]]] -= b[k]
    theta = np.zeros(buses)
    theta[1:] = np.linalg.solve(laplacian[1:, 1:], injection[1:] / 100)
    spread = np.abs(theta[f] - theta[t]).max()
    shrink = min(1.0, 0.4 / max(spread, 1e-9))  # keep angle differences within 30 degrees by shortening every line
    for k, line in enumerate(lines):
        line[3] = float(abs(b[k] * (theta[f[k]] - theta[t[k]])) * 100 * tight + 5)
        line[2] *= shrink
    case = grid(loads.tolist(), [tuple(u) for u in units], [tuple(v) for v in lines])
    if shrink < 1:
        case = dataclasses.replace(case, branch=dataclasses.replace(case.branch, r=case.branch.r * shrink))
    return case
