"""DSIC: is the truth a best response at every profile of the others' reports?

The deviator's true type is always the anchor, and the others may report anything: a mechanism that is truthful only against truthful
others is found out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hurwicz._foundation import FloatArray
from hurwicz.audits.evaluation import Evaluator, Pace
from hurwicz.audits.exhaustive import best_deviation, fits
from hurwicz.audits.finding import Finding, Verdict, Witness
from hurwicz.audits.local_search import pattern_search, round_significant
from hurwicz.audits.profiles import Profiles, one_profile, plain, row_of
from hurwicz.settings import Property
from hurwicz.typespaces import Box, Finite, Interval, TypeSpace

Told = Callable[[float], None] | None
_FACTORS = np.asarray([0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.01, 1.05, 1.1, 1.25, 1.5, 2.0, 4.0, 10.0, 100.0])
_CHUNK = 50_000
_Candidate = tuple[float, Profiles, Any]  # gain, profile (one row), misreport


def dsic(e: Evaluator, at: Profiles | None, prior: Any = None, progress: Told = None) -> Finding:
    """Is the truth a best response whatever the others report? Exhaustive on finite type spaces that fit the effort, else a search.

    Args:
        e: evaluator.
        at: profiles of interest, searched first and preferred as witnesses.
        prior: where the random profiles come from; uniform if ``None``.
        progress: told the fraction done.
    """
    if e.interdependent:
        reason = "values depend on the others' types as well, and DSIC is about private values: ask for ex_post_IC"
        return Finding(Property.DSIC.value, Verdict.NOT_APPLICABLE, None, None, "none", {}, reason)
    return _judged(e, Property.DSIC.value, at, prior, progress)


def ex_post_ic(e: Evaluator, at: Profiles | None, prior: Any = None, progress: Told = None) -> Finding:
    """Is truth-telling an ex post equilibrium: a best response at every profile of types, the others truthful?

    Where an agent's value depends on its own type alone, the profiles of truthful others are all profiles of reports, and this is DSIC.
    Where the mechanism has ``interdependent_values`` the others' true types enter the value, and are what they report.
    """
    found = _judged(e, Property.EX_POST_IC.value, at, prior, progress)
    if e.interdependent:
        return found
    return replace(found, reason=f"{found.reason} (values are private: the same as DSIC)")


def _judged(e: Evaluator, name: str, at: Profiles | None, prior: Any, progress: Told) -> Finding:
    if fits(e) and not e.interdependent:
        return _tabulated(e, name, at, progress)
    if e.finite and e.exhaustible(e.profile_count * sum(float(s.size or 0) for s in e.spaces.values())):
        return _exhaustive(e, name, at, progress)
    found = _ladder(e, name, at, prior, progress)
    return found if found.verdict is Verdict.REFUTED or e.interdependent else _certified(e, name, found, prior)


def _certified(e: Evaluator, name: str, found: Finding, prior: Any) -> Finding:
    """What a search that found nothing is strengthened by: a declared form, or Myerson's lemma along lines."""
    from hurwicz.audits.declared_form import by_form
    from hurwicz.audits.myerson import applies, lines_of

    proof, why = by_form(e, name, prior)
    if proof is not None:
        return replace(proof, effort={**found.effort, **proof.effort, "searched_first": found.method})
    reason = f"{found.reason}; {why}" if why else found.reason
    if e.late or not applies(e):
        return replace(found, reason=reason)
    lines = lines_of(e, max(16, min(256, e.effort.profiles // 4)), prior)
    if lines is None:
        return replace(found, reason=reason)
    if lines.gain_found > e.tolerance:
        truth, lie = truth_and_lie(e, lines.agent, lines.profile, lines.misreport)
        others = {n: v for n, v in lines.profile.items() if n != lines.agent}
        witness = Witness(lines.agent, lines.profile[lines.agent], lines.misreport, others, lie - truth, _details(name, truth, lie))
        return Finding(name, Verdict.REFUTED, lie - truth, witness, "search along lines of own reports", found.effort, _sentence(witness))
    effort = {**found.effort, "lines": lines.lines, "points_of_a_line": lines.points, "identity_gap": lines.identity_gap}
    if lines.monotone:
        effort |= {"bracket": [max(found.value or 0.0, lines.gain_found), lines.gain_possible], "left_out": lines.left_out}
    how = f"{found.method}; Myerson's lemma along lines"
    return replace(found, method=how, effort=effort, reason=f"{reason}; {lines.said()}")


def truth_and_lie(e: Evaluator, agent: str, profile: Mapping[str, Any], misreport: Any) -> tuple[float, float]:
    """Utilities of telling the truth and of the misreport, the others reporting as in ``profile``."""
    batch = e.one(profile)
    lie = {**batch, **e.one({agent: misreport})}
    return float(e.among(agent, e.outcomes(batch), batch)[0]), float(e.among(agent, e.outcomes(lie), batch)[0])


def _tabulated(e: Evaluator, name: str, at: Profiles | None, progress: Told) -> Finding:
    # values are linear in the allocation: one table of outcomes, and every deviation by a loop over it
    named = _at_named(e, name, at)
    if named is not None:
        return named
    before = time.perf_counter()
    found = best_deviation(e, e.executor, progress)
    seconds = time.perf_counter() - before
    e.scale = max(e.scale, found.scale)
    effort = e.spent(
        profiles=found.profiles,
        deviations=found.checks,
        scale=e.scale,
        best_gain=found.gain,
        deviations_per_second=round(found.checks / max(seconds, 1e-9)),
    )
    if found.gain <= e.tolerance:
        reason = f"no misreport of any type at any of the {found.profiles} profiles gains more than {e.tolerance:.3g}"
        return Finding(name, Verdict.PROVED, found.gain, None, "exhaustive", effort, reason)
    truth, lie = truth_and_lie(e, found.agent, {**found.others, found.agent: found.true_type}, found.misreport)
    witness = Witness(found.agent, found.true_type, found.misreport, found.others, lie - truth, _details(name, truth, lie))
    return Finding(name, Verdict.REFUTED, lie - truth, witness, "exhaustive", effort, _sentence(witness))


def _at_named(e: Evaluator, name: str, at: Profiles | None) -> Finding | None:
    if at is None:
        return None
    e.note_scale(e.outcomes(at), at)
    told = _named(e, name, at)
    if told.gain <= e.tolerance:
        return None
    effort = e.spent(profiles=len(at[e.agents[0]]), scale=e.scale, best_gain=told.gain)
    return Finding(name, Verdict.REFUTED, told.gain, told, "exhaustive at the named profiles", effort, _sentence(told))


def _exhaustive(e: Evaluator, name: str, at: Profiles | None, progress: Told) -> Finding:
    told = _at_named(e, name, at)
    if told is not None:
        return told
    profiles = e.all_profiles()
    outcomes = e.outcomes(profiles)
    e.note_scale(outcomes, profiles)
    repeated = e.repeat(profiles, outcomes)
    sizes = [int(e.spaces[name].size or 0) for name in e.agents]
    best: tuple[float, int, int, int] | None = None  # gain, agent, true type, index of the others' profile with the misreport
    deviations = 0
    found: tuple[float, float, float] = (0.0, 0.0, 0.0)
    for i, agent in enumerate(e.agents):
        grid = e.spaces[agent].grid(0)
        for k in range(sizes[i]):
            true = np.repeat(grid[k : k + 1], len(profiles[agent]), axis=0)
            utility = np.moveaxis(e.among(agent, outcomes, {**profiles, agent: true}).reshape(sizes), i, -1)
            table = utility - utility[..., k : k + 1]
            deviations += table.size
            top = int(np.argmax(table))
            value = float(table.ravel()[top])
            if best is None or value > best[0]:
                where = np.unravel_index(top, table.shape)
                full = list(where[:-1])
                full.insert(i, where[-1])
                best = (value, i, k, int(np.ravel_multi_index(full, sizes)))
                found = (float(utility[where]), float(utility[(*where[:-1], k)]), value)
        if progress is not None:
            progress((i + 1) / len(e.agents))
    assert best is not None
    effort = e.spent(profiles=len(profiles[e.agents[0]]), deviations=deviations, asked_twice=repeated, scale=e.scale, best_gain=best[0])
    if best[0] <= e.tolerance:
        return Finding(
            name,
            Verdict.PROVED,
            best[0],
            None,
            "exhaustive",
            effort,
            f"no misreport of any type at any of the {len(profiles[e.agents[0]])} profiles gains more than {e.tolerance:.3g}",
        )
    gain, i, k, index = best
    agent = e.agents[i]
    others = row_of({n: profiles[n] for n in e.agents if n != agent}, index)
    witness = Witness(
        agent=agent,
        true_type=plain(e.spaces[agent].grid(0)[k]),
        misreport=plain(profiles[agent][index]),
        others=others,
        gain=gain,
        details=_details(name, found[1], found[0]),
    )
    return Finding(name, Verdict.REFUTED, gain, witness, "exhaustive", effort, _sentence(witness))


def _named(e: Evaluator, name: str, at: Profiles) -> Witness:
    # the most telling misreport at the profiles that the caller named
    best: tuple[float, str, int, Any] | None = None
    truthful = e.outcomes(at)
    for agent in e.agents:
        gains, lies = _deviate(e, agent, at, truthful, np.random.default_rng(e.seed))
        row, k = divmod(int(np.argmax(gains)), gains.shape[1])
        if best is None or gains[row, k] > best[0]:
            best = (float(gains[row, k]), agent, row, lies[row, k])
    assert best is not None
    gain, agent, row, lie = best
    profile = row_of(at, row)
    truth, lying = truth_and_lie(e, agent, profile, lie)
    others = {n: v for n, v in profile.items() if n != agent}
    return Witness(agent, profile[agent], plain(lie), others, gain, _details(name, truth, lying))


def _ladder(e: Evaluator, label: str, at: Profiles | None, prior: Any, progress: Told) -> Finding:
    """Scaled reports, grids, then local refinement of the best candidates."""
    named = 0 if at is None else len(at[e.agents[0]])
    rng = np.random.default_rng(e.seed + 1)
    groups: list[tuple[str, Profiles]] = [] if at is None else [("named", at)]
    groups.append(("corners", e.corner_profiles()))
    if e.effort.profiles:
        groups.append(("drawn", e.drawn_profiles(e.effort.profiles, prior)))
    tables = {"named": 0, "corners": 0, "drawn": 0}
    deviations, cut = 0, False
    looked: set[str] = set()
    tops: dict[str, list[_Candidate]] = {name: [] for name in e.agents}
    for kind, profiles in groups:
        count = len(profiles[e.agents[0]])
        pace = Pace(_CHUNK // (e.effort.deviations + len(_FACTORS) + 1))
        begin = 0
        while begin < count and not cut:
            pace.start()
            part = {n: v[begin : begin + pace.size] for n, v in profiles.items()}
            truthful = e.outcomes(part)
            e.note_scale(truthful, part)
            for name in e.agents:
                cut = e.late and any(tops.values())
                if cut:
                    break
                gains, lies = _deviate(e, name, part, truthful, rng)
                deviations += gains.size
                looked.add(name)
                _keep(tops[name], gains, lies, part, e.effort.refinements)
            else:
                tables[kind] += len(part[e.agents[0]])
            begin += len(part[e.agents[0]])
            pace.stop()
            if progress is not None:
                progress(min(0.9, (sum(tables.values())) / max(1, sum(len(p[e.agents[0]]) for _, p in groups))))
        if kind == "named" and any(t and t[0][0] > e.tolerance for t in tops.values()):
            break  # the profile that the caller cares about already tells
    best: tuple[float, str, Profiles, Any] | None = None
    only_named = tables["corners"] == 0 and named > 0
    before = e.evaluations
    for name in e.agents:
        found = tops[name]
        if not found:
            continue  # the time limit came before this agent
        if _numeric(e.spaces[name]) and e.effort.refinements and not (e.late and best is not None):
            found = _refine(e, name, found, others_too=not only_named)
        gain, row, lie = max(found, key=lambda item: item[0])
        if best is None or gain > best[0]:
            best = (gain, name, row, lie)
    steps = e.evaluations - before
    assert best is not None
    effort = e.spent(
        profiles=sum(tables.values()),
        profiles_drawn=tables["drawn"],
        deviations=deviations,
        refinement_evaluations=steps,
        scale=e.scale,
        best_gain=best[0],
    )
    if cut:
        effort |= {"cut_by_time_limit": True, "agents": len(looked)}
    gain, name, row, lie = best
    if gain <= e.tolerance:
        drawn = tables["drawn"]
        if drawn:
            effort["profiles_with_gain_at_most_95"] = 1.0 - 0.05 ** (1.0 / drawn)
        source = "the prior" if prior is not None else "the uniform distribution on the type spaces"
        return Finding(
            label,
            Verdict.NOT_REFUTED,
            max(gain, 0.0),
            None,
            "search: scaled reports, grid, local refinement",
            effort,
            f"no gain above {e.tolerance:.3g} found"
            + (
                f"; with 95 % confidence at most {effort['profiles_with_gain_at_most_95']:.2%} of profiles drawn from {source} "
                "have one that this search finds"
                if drawn
                else ""
            )
            + (f"; the time limit came before the end of the search, after {len(looked)} of {len(e.agents)} agents" if cut else ""),
        )
    gain, profile, misreport = _simplest(e, name, row, lie, gain, keep_profile=only_named)
    u_true, u_lie = truth_and_lie(e, name, profile, misreport)
    witness = Witness(
        agent=name,
        true_type=plain(profile[name]),
        misreport=plain(misreport),
        others={n: plain(v) for n, v in profile.items() if n != name},
        gain=u_lie - u_true,
        details=_details(label, u_true, u_lie),
    )
    return Finding(
        label, Verdict.REFUTED, u_lie - u_true, witness, "search: scaled reports, grid, local refinement", effort, _sentence(witness)
    )


def _numeric(space: TypeSpace) -> bool:
    return isinstance(space, Interval | Box)


def misreports(space: TypeSpace, points: int, true: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    """Candidates for each true type, (batch, candidates, ...): the grid (a random part of it where it is large) and scaled reports."""
    grid = space.grid(points)
    if isinstance(space, Box):
        per_axis = max(2, round(points ** (1.0 / space.dims)))
        grid = space.grid(per_axis)
        if len(grid) > 4 * points:
            grid = grid[rng.choice(len(grid), size=4 * points, replace=False)]
    elif len(grid) > 4 * points:
        grid = grid[rng.choice(len(grid), size=4 * points, replace=False)]
    batch = len(true)
    tiled = np.broadcast_to(grid[None], (batch, *grid.shape))
    if isinstance(space, Finite):
        return tiled
    factors = _FACTORS.reshape(1, -1, *([1] * (true.ndim - 1)))
    shape = true.shape[1:]
    scaled = space.clip((true[:, None] * factors).reshape(-1, *shape)).reshape(batch, -1, *shape)
    return np.concatenate([tiled, scaled], axis=1)


def _deviate(e: Evaluator, name: str, part: Profiles, truthful: Any, rng: np.random.Generator) -> tuple[FloatArray, NDArray[Any]]:
    lies = misreports(e.spaces[name], e.effort.deviations, part[name], rng)
    batch, candidates = lies.shape[:2]
    true = {n: np.repeat(v, candidates, axis=0) for n, v in part.items()}
    reports = {**true, name: lies.reshape(batch * candidates, *lies.shape[2:])}
    e.note_payments(name, truthful)
    utility = e.among(name, e.outcomes(reports), true).reshape(batch, candidates)
    return utility - e.among(name, truthful, part)[:, None], lies


def best_lies(e: Evaluator, agent: str, profiles: Profiles) -> FloatArray:
    """Gain of the best misreport among a grid and scaled reports at every profile, at least 0, shape (batch,)."""
    out = np.empty(len(profiles[agent]))
    rng = np.random.default_rng(e.seed)
    per = max(1, _CHUNK // (e.effort.deviations + len(_FACTORS)))
    for begin in range(0, len(out), per):
        part = {n: v[begin : begin + per] for n, v in profiles.items()}
        gains, _ = _deviate(e, agent, part, e.outcomes(part), rng)
        out[begin : begin + per] = np.maximum(gains.max(axis=1), 0.0)
    return out


def _keep(top: list[_Candidate], gains: FloatArray, lies: NDArray[Any], part: Profiles, most: int) -> None:
    best = np.argmax(gains, axis=1)
    value = gains[np.arange(len(gains)), best]
    order = np.argsort(-value)[: max(1, most)]
    top.extend((float(value[k]), {n: v[k : k + 1] for n, v in part.items()}, lies[k, best[k]]) for k in order)
    top.sort(key=lambda item: -item[0])
    del top[max(1, most) :]


def _refine(e: Evaluator, name: str, found: list[_Candidate], *, others_too: bool) -> list[_Candidate]:
    """Climb from every candidate: in the misreport, and where the profile is free in true type and the others' reports as well."""
    lies = np.stack([np.asarray(lie, dtype=np.float64) for _, _, lie in found])
    rows = {n: np.concatenate([profile[n] for _, profile, _ in found]) for n in e.agents}
    better = list(found)
    for free in [[], [n for n in e.agents if _numeric(e.spaces[n])]] if others_too else [[]]:
        names = [name, *free]
        blocks = [lies.reshape(len(found), -1), *(np.asarray(rows[n], dtype=np.float64).reshape(len(found), -1) for n in free)]
        cuts = np.cumsum([b.shape[1] for b in blocks])[:-1]
        low, high = (np.concatenate([_end(e.spaces[n], side) for n in names]) for side in (0, 1))

        def unpack(
            points: FloatArray, which: NDArray[np.int64], cuts: NDArray[np.int64] = cuts, free: list[str] = free
        ) -> tuple[Profiles, NDArray[Any]]:
            own, *others = np.split(points, cuts, axis=1)
            reports = {n: v[which] for n, v in rows.items()}
            for n, block in zip(free, others, strict=True):
                reports[n] = block.reshape(reports[n].shape)
            return reports, own.reshape(-1, *lies.shape[1:])

        def objective(points: FloatArray, which: NDArray[np.int64]) -> FloatArray:
            reports, told = unpack(points, which)
            return e.among(name, e.outcomes({**reports, name: told}), reports) - e.among(name, e.outcomes(reports), reports)

        points, values = pattern_search(
            objective, np.concatenate(blocks, axis=1), low, high, steps=e.effort.steps, grain=1e-3 * e.tolerance, stop=lambda: e.late
        )
        reports, told = unpack(points, np.arange(len(found)))
        for k, value in enumerate(values):
            if value > better[k][0]:
                better[k] = (float(value), {n: v[k : k + 1] for n, v in reports.items()}, told[k])
    return better


def _end(space: TypeSpace, side: int) -> FloatArray:
    assert isinstance(space, Interval | Box)
    return np.atleast_1d(np.asarray((space.low, space.high)[side], dtype=np.float64))


def _simplest(e: Evaluator, name: str, row: Profiles, lie: Any, gain: float, *, keep_profile: bool) -> tuple[float, dict[str, Any], Any]:
    """The same counterexample in fewer digits: a profile of two if 90 % of the gain stays, a misreport as short as 99.99 % allows."""
    profile = row_of(row, 0)
    if not keep_profile:
        rough = {n: _rounded(e.spaces[n], v, 2) for n, v in profile.items()}
        if rough != profile and _numeric(e.spaces[name]) and all(e.spaces[n].contains(v) for n, v in rough.items()):
            value, _, better = _refine(e, name, [(-np.inf, one_profile(rough, e.agents), lie)], others_too=False)[0]
            if value >= 0.9 * gain:
                gain, profile, lie = value, rough, better
    for digits in (1, 2, 3, 4, 6):
        short = _rounded(e.spaces[name], plain(np.asarray(lie)), digits)
        if e.spaces[name].contains(short):
            truth, lying = truth_and_lie(e, name, profile, short)
            if lying - truth >= 0.9999 * gain:
                return lying - truth, profile, short
    return gain, profile, plain(np.asarray(lie))


def _rounded(space: TypeSpace, value: Any, digits: int) -> Any:
    if not _numeric(space):
        return value
    if isinstance(value, list):
        return [round_significant(v, digits) for v in value]
    return round_significant(value, digits)


def _details(name: str, truth: float, lie: float) -> dict[str, Any]:
    details: dict[str, Any] = {"property": name, "utility_truthful": truth, "utility_misreport": lie}
    if abs(truth) > 0.0:
        details["relative_gain"] = (lie - truth) / abs(truth)
    return details


def _sentence(witness: Witness) -> str:
    relative = witness.details.get("relative_gain")
    share = f" ({relative:.1%})" if relative is not None and relative < 1e4 else ""
    return f"{witness.agent} of type {_short(witness.true_type)} gains {witness.gain:.6g}{share} by reporting {_short(witness.misreport)}"


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
