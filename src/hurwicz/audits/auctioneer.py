"""The auctioneer as the one who cheats: an invented bid, and departures from the rule that nobody can tell from keeping to it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from hurwicz._foundation import InputError
from hurwicz.audits.deviation_search import misreports
from hurwicz.audits.evaluation import Evaluator
from hurwicz.audits.exhaustive import side_of
from hurwicz.audits.false_names import NO_FAMILY, Family, enlarged, newcomer_of
from hurwicz.audits.finding import Finding, Verdict, Witness
from hurwicz.audits.joint_lies import best_joint_lie
from hurwicz.audits.pace import Pace
from hurwicz.audits.profiles import Profiles, column, joined, plain, row_of, shown
from hurwicz.settings import Outcomes, Property

_SHILL, _CREDIBLE = Property.SHILL_PROOF.value, Property.CREDIBLE.value


def shill_proof(e: Evaluator, at: Profiles | None, prior: Any = None, family: Family | None = None) -> Finding:
    """What the real agents pay with one invented report among theirs, against what they pay without, at truthful profiles.

    An invented buyer that wins keeps the good with the seller, to whom it is worth nothing; an invented seller may not win, for then
    nothing is delivered.
    """
    shill = newcomer_of(e, "shill")
    larger = enlarged(e, family, shill)
    if larger is None:
        return Finding(_SHILL, Verdict.NOT_APPLICABLE, None, None, "none", {}, NO_FAMILY)
    rows = e.drawn_profiles(64, prior)
    e.note_scale(e.outcomes(rows), rows)

    def gain(types: Profiles, told: Sequence[NDArray[Any]]) -> Float64[np.ndarray, " batch"]:
        return gain_of_a_shill(e, larger, shill, types, told[0])

    found = best_joint_lie(e, [larger.spaces[shill]], [""], gain, at, prior)
    e.evaluations += larger.evaluations
    effort = e.spent(profiles=found.profiles, deviations=found.lies_tried, scale=e.scale, best_gain=found.gain)
    how = "exhaustive" if found.exhaustive else "search: invented reports on a grid and next to the real ones, local refinement"
    if found.gain <= e.tolerance:
        verdict = Verdict.PROVED if found.exhaustive else Verdict.NOT_REFUTED
        reason = f"no invented report raises what the agents pay by more than {e.tolerance:.3g}"
        return Finding(_SHILL, verdict, max(found.gain, 0.0), None, how, effort, reason)
    details = {"property": _SHILL, "alias": shill, "alias_report": found.lies[0]}
    witness = Witness(None, dict(found.profile), None, dict(found.profile), found.gain, details)
    reason = f"the auctioneer collects {found.gain:.6g} more by inventing a bidder that reports {shown(found.lies[0])}"
    return Finding(_SHILL, Verdict.REFUTED, found.gain, witness, how, effort, reason)


def gain_of_a_shill(e: Evaluator, larger: Evaluator, shill: str, types: Profiles, told: NDArray[Any]) -> Float64[np.ndarray, " batch"]:
    """Sum of the real agents' payments with the invented report, less that without; -inf where it must not win and does."""
    without, outcomes = e.outcomes(types), larger.outcomes({**types, shill: told})
    before = np.asarray(sum(without.payments[name] for name in e.agents), dtype=np.float64)
    after = np.asarray(sum(outcomes.payments[name] for name in e.agents), dtype=np.float64)
    if _someone_gives(e):
        got = np.abs(np.asarray(outcomes.allocation[shill], dtype=np.float64)).reshape(len(after), -1).max(axis=1)
        return np.where(got <= 1e-9, after - before, -np.inf)
    return after - before


def _someone_gives(e: Evaluator) -> bool:
    sides = [side_of(e, name) for name in e.agents]
    return any(s is not None and s < 0.0 for s in sides) or getattr(e.mechanism, "cost", None) is not None


def replay_shill(e: Evaluator, witness: Witness, family: Family | None = None) -> float:
    """The gain of a witness, computed afresh."""
    shill = witness.details["alias"]
    larger = enlarged(e, family, shill)
    if larger is None:
        raise InputError(f"replay: {NO_FAMILY}")
    types = e.one(witness.true_type)
    return float(gain_of_a_shill(e, larger, shill, types, larger.one({shill: witness.details["alias_report"]})[shill])[0])


def credible(e: Evaluator, at: Profiles | None, prior: Any = None) -> Finding:
    """Can the auctioneer collect more by telling each agent a story of its own, which that agent cannot tell from the rule kept?

    Each agent sees its report, what it gets and what it pays. A story for agent i is a profile of the others that, with i's own report,
    explains what it sees. Stories that leave everybody's allocation alone are always feasible; where the mechanism says how much there
    is (``excess``) and nobody gives, others are tried as well.

    Source:
        M. Akbarpour and S. Li, "Credible auctions: a trilemma", Econometrica 88 (2020), for rules where every agent reports once.
    """
    if len(e.agents) < 2:
        return Finding(_CREDIBLE, Verdict.NOT_APPLICABLE, None, None, "none", {}, "there is only one agent, so no story to tell")
    stories = sum(e.profile_count / float(e.spaces[n].size or np.inf) for n in e.agents)
    exhaustive = e.exhaustible(e.profile_count * stories)
    if exhaustive:
        profiles = e.all_profiles()
    else:
        profiles = e.corner_profiles()
        if e.effort.profiles:
            profiles = joined(profiles, e.drawn_profiles(e.effort.profiles, prior))
    if at is not None:
        profiles = joined(at, profiles)
    whole = getattr(e.mechanism, "excess", None) is not None and not _someone_gives(e)
    count, done, told = len(profiles[e.agents[0]]), 0, 0
    best: tuple[float, dict[str, Any], dict[str, Any]] | None = None
    pace = Pace(64)
    while done < count and (exhaustive or best is None or not e.late):
        pace.start()
        part = {n: v[done : done + pace.size] for n, v in profiles.items()}
        outcomes = e.outcomes(part)
        e.note_scale(outcomes, part)
        for k in range(len(part[e.agents[0]])):
            row = {n: v[k : k + 1] for n, v in part.items()}
            gain, story, tried = _best_stories(e, row, outcomes, k, exhaustive=exhaustive, whole=whole)
            told += tried
            if best is None or gain > best[0]:
                best = (gain, row_of(row, 0), story)
        done = min(count, done + pace.size)
        pace.stop()
    assert best is not None
    gain, profile, story = best
    effort = e.spent(profiles=done, deviations=told, scale=e.scale, best_gain=gain)
    how = ("exhaustive" if exhaustive else "search: stories on grids and next to the reports") + ("" if whole else ", allocations kept")
    if gain <= e.tolerance:
        verdict = Verdict.PROVED if exhaustive and whole else Verdict.NOT_REFUTED
        cut = "; the time limit came before everybody had been told one" if effort.get("cut_by_time_limit") else ""
        return Finding(_CREDIBLE, verdict, max(gain, 0.0), None, how, effort, f"no stories collect more than {e.tolerance:.3g} extra{cut}")
    witness = Witness(None, profile, None, profile, gain, {"property": _CREDIBLE, "stories": story})
    teller = next(iter(story))
    reason = f"the auctioneer collects {gain:.6g} more; {teller} is told that the others reported {shown(story[teller])}"
    return Finding(_CREDIBLE, Verdict.REFUTED, gain, witness, how, effort, reason)


def _best_stories(
    e: Evaluator, row: Profiles, outcomes: Outcomes, k: int, *, exhaustive: bool, whole: bool
) -> tuple[float, dict[str, Any], int]:
    """The most that stories collect above the rule at one profile, and the stories of those who are told one."""
    options: list[list[tuple[bytes, float, Any, Any]]] = []  # by agent: (allocation, payment, allocation array, others or None)
    tried = 0
    for agent in e.agents:
        if tried and not exhaustive and e.late:  # who is left is told nothing but the rule's own
            options.append([(b"", float(outcomes.payments[agent][k]), np.asarray(outcomes.allocation[agent][k], dtype=np.float64), None)])
            continue
        others = _others(e, agent, row, exhaustive)
        batch = len(next(iter(others.values())))
        tried += batch
        seen = e.outcomes({**others, agent: np.repeat(row[agent], batch, axis=0)})
        shares, paid = np.round(np.asarray(seen.allocation[agent], dtype=np.float64), 12), seen.payments[agent]
        kept = np.asarray(outcomes.allocation[agent][k], dtype=np.float64)
        found: dict[bytes, tuple[float, Any, Any]] = {np.round(kept, 12).tobytes(): (float(outcomes.payments[agent][k]), kept, None)}
        for r in range(batch):
            key = shares[r].tobytes()
            if (whole or key in found) and (key not in found or paid[r] > found[key][0] + 1e-15):
                found[key] = (float(paid[r]), shares[r], row_of(others, r))
        options.append([(key, *value) for key, value in found.items()])
    rule = sum(float(outcomes.payments[agent][k]) for agent in e.agents)
    best, story = -np.inf, {}
    top = [sorted(o, key=lambda item: -item[1])[:8] for o in options]
    first = [o[0] for o in options]  # as the rule has it, at the highest payment that it explains
    many = whole and float(np.prod([len(o) for o in top])) <= 4096
    for choice in itertools.chain([tuple(first)], itertools.product(*top) if many else []):
        collected = sum(item[1] for item in choice) - rule
        if collected > best and (list(choice) == first or _feasible(e, choice)):
            best = collected
            story = {agent: item[3] for agent, item in zip(e.agents, choice, strict=True) if item[3] is not None}
    return float(best), story, tried


def _feasible(e: Evaluator, choice: Sequence[tuple[bytes, float, Any, Any]]) -> bool:
    allocation = {agent: np.asarray(item[2])[None] for agent, item in zip(e.agents, choice, strict=True)}
    matrix = getattr(e.mechanism, "matrix", None)
    over = e.mechanism.excess(allocation if matrix is None else matrix(allocation))  # type: ignore[attr-defined]
    return bool(np.asarray(over)[0] <= 1e-9)


def _others(e: Evaluator, agent: str, row: Profiles, exhaustive: bool) -> Profiles:
    """Profiles of the others that a story may name: all, or one of them at a time moved on a grid and next to the agent's own report."""
    names = [n for n in e.agents if n != agent]
    if exhaustive:
        grids = [e.spaces[n].grid(0) for n in names]
        index = np.meshgrid(*[np.arange(len(g)) for g in grids], indexing="ij")
        return {n: g[ix.ravel()] for n, g, ix in zip(names, grids, index, strict=True)}
    rng = np.random.default_rng(e.seed)
    moved: list[dict[str, Any]] = []
    for n in names:
        near = row[agent] if row[agent].shape == row[n].shape and e.spaces[n].contains(plain(row[agent][0])) else row[n]
        moved += [{m: (v if m == n else row[m][0]) for m in names} for v in misreports(e.spaces[n], e.effort.deviations, near, rng)[0]]
    moved += [{m: row[agent][0] if e.spaces[m].contains(plain(row[agent][0])) else row[m][0] for m in names}]
    return {n: column([plain(p[n]) for p in moved]) for n in names}


def replay_stories(e: Evaluator, witness: Witness) -> float:
    """What the stories of a witness collect above the rule, computed afresh; 0 where one does not explain a feasible outcome."""
    profile = e.one(witness.true_type)
    rule = e.outcomes(profile)
    stories: Mapping[str, Any] = witness.details["stories"]
    gain, allocation = 0.0, {name: np.asarray(rule.allocation[name], dtype=np.float64) for name in e.agents}
    for agent, others in stories.items():
        seen = e.outcomes({**e.one(others), agent: profile[agent]})
        gain += float(seen.payments[agent][0] - rule.payments[agent][0])
        allocation[agent] = np.asarray(seen.allocation[agent], dtype=np.float64)
    if any(float(np.abs(allocation[n] - rule.allocation[n]).max()) > 1e-9 for n in e.agents):
        matrix = getattr(e.mechanism, "matrix", None)
        over = e.mechanism.excess(allocation if matrix is None else matrix(allocation))  # type: ignore[attr-defined]
        return gain if float(np.asarray(over)[0]) <= 1e-9 else 0.0
    return gain
