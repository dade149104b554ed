"""The search ladder for lies: zero and scaled reports, grids, one item at a time, then local refinement and gradients.

The deviator's true type is always the anchor, and the others may report anything: a mechanism that is truthful only against truthful
others is found out.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hurwicz._foundation import FloatArray
from hurwicz.audits.evaluation import Evaluator
from hurwicz.audits.finding import Finding, Verdict, Witness
from hurwicz.audits.gradients import climbed, traceable
from hurwicz.audits.local_search import digits_of, pattern_search, round_significant, shortened
from hurwicz.audits.pace import Pace
from hurwicz.audits.profiles import Profiles, cover, one_profile, plain, row_of, shown
from hurwicz.typespaces import Box, Finite, Interval, TypeSpace

Told = Callable[[float], None] | None
_FACTORS = np.asarray([0.0, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.01, 1.05, 1.1, 1.25, 1.5, 2.0, 4.0, 10.0, 100.0])
_CHUNK = 50_000
_Candidate = tuple[float, Profiles, Any]  # gain, profile (one row), misreport


def truth_and_lie(e: Evaluator, agent: str, profile: Mapping[str, Any], misreport: Any) -> tuple[float, float]:
    """Utilities of telling the truth and of the misreport, the others reporting as in ``profile``."""
    batch = e.one(profile)
    lie = {**batch, **e.one({agent: misreport})}
    return float(e.among(agent, e.outcomes(batch), batch)[0]), float(e.among(agent, e.outcomes(lie), batch)[0])


def ladder(e: Evaluator, label: str, at: Profiles | None, prior: Any, progress: Told) -> Finding:
    """Scaled reports, grids, then local refinement of the best candidates."""
    named = 0 if at is None else len(at[e.agents[0]])
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
                try:
                    # the same lies whatever the size of the batch, which depends on the machine
                    gains, lies = deviate(e, name, part, truthful, np.random.default_rng((e.seed, e.agents.index(name))))
                except TimeoutError:  # the mechanism's own limit: what was found until then is reported
                    cut = any(tops.values())
                    if not cut:
                        raise
                    break
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
            try:
                found = _refine(e, name, found, others_too=not only_named)
            except TimeoutError:
                cut = True
            if traceable(e):
                found += climbed(e, name, found)
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
        details=details_of(label, u_true, u_lie),
    )
    return Finding(
        label, Verdict.REFUTED, u_lie - u_true, witness, "search: scaled reports, grid, local refinement", effort, sentence(witness)
    )


def _numeric(space: TypeSpace) -> bool:
    return isinstance(space, Interval | Box)


def misreports(space: TypeSpace, points: int, true: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    """Candidates for each true type, (batch, candidates, ...): the grid (a random part of it where it is large) and scaled reports."""
    grid = cover(space, points)
    if len(grid) > 4 * points:
        grid = grid[rng.choice(len(grid), size=4 * points, replace=False)]
    batch = len(true)
    tiled = np.broadcast_to(grid[None], (batch, *grid.shape))
    if isinstance(space, Finite):
        return tiled
    factors = _FACTORS.reshape(1, -1, *([1] * (true.ndim - 1)))
    shape = true.shape[1:]
    scaled = space.clip((true[:, None] * factors).reshape(-1, *shape)).reshape(batch, -1, *shape)
    parts = [tiled, scaled]
    if isinstance(space, Box):  # one item at a time on a grid of its own
        per_item = max(3, min(9, points // space.dims))
        single = np.repeat(true[:, None], space.dims * per_item, axis=1)
        for d in range(space.dims):
            single[:, d * per_item : (d + 1) * per_item, d] = np.linspace(space.low[d], space.high[d], per_item)
        parts.append(single)
    return np.concatenate(parts, axis=1)


def deviate(e: Evaluator, name: str, part: Profiles, truthful: Any, rng: np.random.Generator) -> tuple[FloatArray, NDArray[Any]]:
    """Gain of every candidate misreport at every profile, (batch, candidates), and the misreports."""
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
        gains, _ = deviate(e, agent, part, e.outcomes(part), rng)
        out[begin : begin + per] = np.maximum(gains.max(axis=1), 0.0)
    return out


def _keep(top: list[_Candidate], gains: FloatArray, lies: NDArray[Any], part: Profiles, most: int) -> None:
    best = np.argmax(gains, axis=1)
    value = gains[np.arange(len(gains)), best]
    order = np.argsort(-value, kind="stable")[: max(1, most)]
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
    for digits, way in itertools.product((1, 2, 3, 4, 5, 6), (0, -1, 1)):
        short = _rounded(e.spaces[name], plain(np.asarray(lie)), digits, way)
        if e.spaces[name].contains(short):
            truth, lying = truth_and_lie(e, name, profile, short)
            if lying - truth >= 0.9999 * gain:
                return _round_lie(e, name, profile, short, lying - truth)
    return _round_lie(e, name, profile, plain(np.asarray(lie)), gain)


def _round_lie(e: Evaluator, name: str, profile: dict[str, Any], lie: Any, gain: float) -> tuple[float, dict[str, Any], Any]:
    """A lie that nobody would think of (8e-10, 0.50001) as a round number, where that keeps nine tenths of its gain."""
    space = e.spaces[name]
    if not isinstance(space, Interval | Box) or gain <= e.tolerance:
        return gain, profile, lie
    width = np.asarray(space.high, dtype=np.float64) - np.asarray(space.low, dtype=np.float64)
    told = np.asarray(lie, dtype=np.float64)
    if all(digits_of(float(v)) <= 3 and (v == 0.0 or abs(v) >= 1e-3 * w) for v, w in zip(np.ravel(told), np.ravel(width), strict=True)):
        return gain, profile, lie
    unit = 10.0 ** np.floor(np.log10(np.maximum(width, 1e-300)))
    for step, way in itertools.product((0.1, 0.01, 0.001), (np.rint, np.ceil, np.floor)):
        rounded = way(told / (step * unit)) * (step * unit)
        near = plain(np.reshape([round_significant(float(v), 12) for v in np.ravel(rounded)], told.shape))
        if space.contains(near):
            truth, lying = truth_and_lie(e, name, profile, near)
            if lying - truth >= 0.9 * gain:
                return lying - truth, profile, near
    return gain, profile, lie


def _rounded(space: TypeSpace, value: Any, digits: int, way: int = 0) -> Any:
    if not _numeric(space):
        return value
    if isinstance(value, list):
        return [shortened(v, digits, way) for v in value]
    return shortened(value, digits, way)


def details_of(name: str, truth: float, lie: float) -> dict[str, Any]:
    """What a witness says of both utilities."""
    details: dict[str, Any] = {"property": name, "utility_truthful": truth, "utility_misreport": lie}
    if abs(truth) > 0.0:
        details["relative_gain"] = (lie - truth) / abs(truth)
    return details


def sentence(witness: Witness) -> str:
    """Who gains how much by reporting what."""
    relative = witness.details.get("relative_gain")
    share = f" ({relative:.1%})" if relative is not None and relative < 1e4 else ""
    return f"{witness.agent} of type {shown(witness.true_type)} gains {witness.gain:.6g}{share} by reporting {shown(witness.misreport)}"
