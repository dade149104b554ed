"""Efficiency: does truth lead to an outcome of the greatest welfare?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from hurwicz._foundation import FloatArray, InputError
from hurwicz.audits.deviation_search import misreports
from hurwicz.audits.evaluation import Evaluator
from hurwicz.audits.finding import Finding, Verdict, Witness
from hurwicz.audits.pace import Pace
from hurwicz.audits.profiles import Profiles, joined, row_of, shown
from hurwicz.settings import Property

_Better = tuple[float, dict[str, Any], dict[str, Any], float, float | None]  # gain, profile, how, welfare there, gap to the bound


def efficiency(e: Evaluator, at: Profiles | None, prior: Any = None, progress: Callable[[float], None] | None = None) -> Finding:
    """Compare truthful welfare with other outcomes (a better one refutes) and with a certified bound (meeting it proves, on finite types).

    Other outcomes are those of single misreports, and ``efficient_outcomes(true_types)`` where the mechanism has it. The bound is
    ``welfare_bounds(true_types)`` (or ``welfare_bound`` for one profile).

    Args:
        e: evaluator.
        at: profiles of interest, looked at first.
        prior: where the random profiles come from; uniform if ``None``.
        progress: told the fraction done.
    """
    name = Property.EFFICIENCY.value
    exhaustive = e.exhaustible(e.profile_count * sum(float(s.size or 0) for s in e.spaces.values()))
    if exhaustive:
        profiles = e.all_profiles()
    else:
        profiles = e.corner_profiles()
        if e.effort.profiles:
            profiles = joined(profiles, e.drawn_profiles(e.effort.profiles, prior))
    if at is not None:
        found = _look(e, at, limited=True)
        if found[0] > e.tolerance:
            return _refuted(found, e.spent(profiles=len(at[e.agents[0]]), scale=e.scale, best_improvement=found[0]))
    count = len(profiles[e.agents[0]])
    best: _Better | None = None
    gap, bounded, done = -np.inf, True, 0
    pace = Pace(50_000 // (e.effort.deviations * len(e.agents)), limited=not exhaustive)
    while done < count and not (not exhaustive and best is not None and e.late):
        pace.start()
        part = {n: v[done : done + pace.size] for n, v in profiles.items()}
        found = _look(e, part, limited=not exhaustive)
        best = found if best is None or found[0] > best[0] else best
        bounded = bounded and found[4] is not None
        gap = gap if found[4] is None else max(gap, found[4])
        done = min(count, done + pace.size)
        pace.stop()
        if progress is not None:
            progress(done / count)
    assert best is not None
    effort = e.spent(profiles=done, scale=e.scale, best_improvement=best[0], bound_gap=gap if bounded and np.isfinite(gap) else None)
    if best[0] > e.tolerance:
        return _refuted(best, effort)
    if bounded and gap <= e.tolerance and exhaustive:
        return Finding(
            name,
            Verdict.PROVED,
            max(gap, 0.0),
            None,
            "exhaustive, certified bound on welfare",
            effort,
            f"welfare meets its bound at all {done} profiles",
        )
    met = bounded and gap <= e.tolerance
    reason = "welfare meets a certified bound at every profile looked at" if met else "no better outcome among those of misreports"
    return Finding(
        name,
        Verdict.NOT_REFUTED,
        max(best[0], 0.0),
        None,
        "certified bound at sampled profiles" if met else "comparison of outcomes",
        effort,
        reason,
    )


def _refuted(found: _Better, effort: dict[str, Any]) -> Finding:
    gain, profile, how, welfare, _ = found
    name = Property.EFFICIENCY.value
    details = {"property": name, "welfare": welfare, "better_welfare": welfare + gain, "better": how["kind"]}
    witness = Witness(agent=None, true_type=profile, misreport=how.get("reports"), others=None, gain=gain, details=details)
    reason = f"another outcome ({how['kind']}) has {gain:.6g} more welfare"
    return Finding(name, Verdict.REFUTED, gain, witness, "comparison of outcomes", effort, reason)


def _look(e: Evaluator, part: Profiles, *, limited: bool) -> _Better:
    outcomes = e.outcomes(part)
    e.note_scale(outcomes, part)
    welfare = e.welfares(outcomes, part)
    e.scale = max(e.scale, float(np.abs(welfare).max()))
    bound = e.optional("welfare_bounds", "welfare_bound", len(welfare), part)
    if bound is not None and float(np.min(bound - welfare)) < -e.tolerance:
        where = int(np.argmin(bound - welfare))
        raise InputError(
            f"audit of efficiency: expected an upper bound on welfare from welfare_bound, got {bound[where]:.9g} where the outcome has "
            f"{welfare[where]:.9g}, at types {shown(row_of(part, where))}"
        )
    gain, how, row = max(_better(e, part, welfare, limited=limited), key=lambda item: (item[0], -item[2]))
    return gain, row_of(part, row), how, float(welfare[row]), None if bound is None else float(np.max(bound - welfare))


def _better(e: Evaluator, part: Profiles, welfare: FloatArray, *, limited: bool) -> list[tuple[float, dict[str, Any], int]]:
    found: list[tuple[float, dict[str, Any], int]] = []
    batch = len(welfare)
    rng = np.random.default_rng(e.seed)
    for agent in e.agents:
        if limited and e.late and found:
            break
        lies = misreports(e.spaces[agent], e.effort.deviations, part[agent], rng)
        candidates = lies.shape[1]
        reports = {n: np.repeat(v, candidates, axis=0) for n, v in part.items()}
        reports[agent] = lies.reshape(batch * candidates, *lies.shape[2:])
        true = {n: np.repeat(v, candidates, axis=0) for n, v in part.items()}
        gains = e.welfares(e.outcomes(reports), true).reshape(batch, candidates) - welfare[:, None]
        row, k = divmod(int(np.argmax(gains)), candidates)
        found.append((float(gains[row, k]), {"kind": "misreport", "reports": row_of(reports, row * candidates + k)}, row))
    if hasattr(e.mechanism, "efficient_outcomes"):
        gains = e.welfares(e.mechanism.efficient_outcomes(part), part) - welfare
        row = int(np.argmax(gains))
        found.append((float(gains[row]), {"kind": "efficient outcome"}, row))
    return found
