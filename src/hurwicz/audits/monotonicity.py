"""Weak monotonicity of the allocation: what every truthful payment needs, and for one number each the whole of what it needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hurwicz.audits.evaluation import Evaluator
from hurwicz.audits.exhaustive import fits, worst_turn
from hurwicz.audits.finding import Finding, Verdict, Witness
from hurwicz.audits.pace import Pace
from hurwicz.audits.profiles import Profiles, cover, joined, plain, row_of, shown
from hurwicz.settings import Property

_NAME = Property.MONOTONICITY.value


def monotonicity(e: Evaluator, at: Profiles | None, prior: Any = None) -> Finding:
    """v_i(f(a); a) - v_i(f(b); a) >= v_i(f(a); b) - v_i(f(b); b) for all reports a, b of an agent, whatever the others report.

    For values theta_i x_i this says that x_i does not fall in i's report.

    Source:
        J.-C. Rochet, "A necessary and sufficient condition for rationalizability in a quasi-linear context", Journal of Mathematical
        Economics 16 (1987); S. Bikhchandani et al., "Weak monotonicity characterizes deterministic dominant-strategy implementation",
        Econometrica 74 (2006).
    """
    if fits(e):
        found = worst_turn(e, e.executor)
        e.scale = max(e.scale, found.scale)
        effort = e.spent(profiles=found.profiles, pairs=found.checks, scale=e.scale, worst=found.gain)
        if found.gain <= e.tolerance:
            return Finding(_NAME, Verdict.PROVED, found.gain, None, "exhaustive", effort, f"holds for all {found.checks} pairs of reports")
        profile = {**found.others, found.agent: found.true_type}
        return _refuted(e, found.agent, profile, found.misreport, "exhaustive", effort)
    exhaustive = e.finite and e.exhaustible(e.profile_count * sum(float(s.size or 0) for s in e.spaces.values()))
    profiles = e.all_profiles() if exhaustive else joined(e.corner_profiles(), e.drawn_profiles(max(1, e.effort.profiles), prior))
    if at is not None:
        profiles = joined(at, profiles)
    worst: tuple[tuple[float, int], str, dict[str, Any], Any] | None = None  # of equal ones the first profile's, whatever the batch
    count, done, looked = len(profiles[e.agents[0]]), 0, 0
    pace = Pace(50_000 // (e.effort.deviations * len(e.agents)) or 1, limited=not exhaustive)
    while done < count and (exhaustive or worst is None or not e.late):
        pace.start()
        part = {n: v[done : done + pace.size] for n, v in profiles.items()}
        for agent in e.agents:
            grid = cover(e.spaces[agent], e.effort.deviations)
            batch = len(part[agent])
            first = {n: np.repeat(v, len(grid), axis=0) for n, v in part.items()}
            other = np.tile(grid, (batch, *([1] * (grid.ndim - 1)))) if grid.dtype != object else np.concatenate([grid] * batch)
            turn = _turns(e, agent, first, other)
            looked += len(turn)
            k = int(np.argmax(turn))
            rank = (float(turn[k]), -(done + k // len(grid)))
            if worst is None or rank > worst[0]:
                worst = (rank, agent, row_of(first, k), plain(other[k]))
        done = min(count, done + pace.size)
        pace.stop()
    assert worst is not None
    (turn_found, _), agent, profile, misreport = worst
    effort = e.spent(profiles=done, pairs=looked, scale=e.scale, worst=turn_found)
    how = "exhaustive" if exhaustive else "search: pairs of reports at extreme and random profiles"
    if turn_found > e.tolerance:
        return _refuted(e, agent, profile, misreport, how, effort)
    if exhaustive:
        return Finding(_NAME, Verdict.PROVED, turn_found, None, how, effort, f"holds for all {looked} pairs of reports")
    return Finding(_NAME, Verdict.NOT_REFUTED, max(turn_found, 0.0), None, how, effort, f"no pair of reports among {looked} violates it")


def _turns(e: Evaluator, agent: str, first: Profiles, other: Any) -> Any:
    # -[v(f(a); a) - v(f(b); a) - v(f(a); b) + v(f(b); b)]
    second = {**first, agent: other}
    one, two = e.outcomes(first), e.outcomes(second)
    a, b = first[agent], other
    straight = e.gross(agent, one, a)
    e.scale = max(e.scale, float(np.abs(straight).max(initial=0.0)))
    return -(straight - e.gross(agent, two, a) - e.gross(agent, one, b) + e.gross(agent, two, b))


def turn_of(e: Evaluator, agent: str, profile: Mapping[str, Any], misreport: Any) -> float:
    """The violation at one pair of reports."""
    return float(_turns(e, agent, e.one(profile), e.one({agent: misreport})[agent])[0])


def _refuted(e: Evaluator, agent: str, profile: Mapping[str, Any], misreport: Any, how: str, effort: dict[str, Any]) -> Finding:
    gain = turn_of(e, agent, profile, misreport)
    others = {n: v for n, v in profile.items() if n != agent}
    witness = Witness(agent, profile[agent], misreport, others, gain, {"property": _NAME, "violation": gain})
    reason = f"{agent}: between the reports {shown(profile[agent])} and {shown(misreport)} the allocation moves against the report"
    return Finding(_NAME, Verdict.REFUTED, gain, witness, how, effort, reason)
