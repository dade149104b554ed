"""One agent under two names: does it gain by taking part twice?"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from hurwicz._foundation import InputError
from hurwicz.audits.evaluation import Evaluator
from hurwicz.audits.exhaustive import side_of
from hurwicz.audits.finding import Finding, Verdict, Witness
from hurwicz.audits.joint_lies import JointLie, best_joint_lie
from hurwicz.audits.local_search import pattern_search
from hurwicz.audits.profiles import Profiles, cover, plain, shown
from hurwicz.settings import DirectMechanism, Outcomes, Property
from hurwicz.typespaces import Box, Interval

Family = Callable[[Sequence[str]], DirectMechanism]
_NAME = Property.FALSE_NAME_PROOF.value
_ROWS = 20_000
NO_FAMILY = "the mechanism is for these agents only: pass family= (names -> mechanism), or give it a member ``resized(names)``"


def enlarged(e: Evaluator, family: Family | None, newcomer: str) -> Evaluator | None:
    """The mechanism with one more participant, seen by an evaluator of its own; None where there is no family."""
    make = family if family is not None else getattr(e.mechanism, "resized", None)
    if make is None:
        return None
    names = [*e.agents, newcomer]
    larger = make(names)
    if list(larger.agents) != names:
        raise InputError(f"audit: expected from the family a mechanism for {names}, got one for {list(larger.agents)}")
    for name in e.agents:
        gone = next((plain(v) for v in cover(e.spaces[name], 3) if not larger.type_spaces[name].contains(v)), None)
        if gone is not None:
            raise InputError(f"audit: expected the family to keep what {name} may report, got a mechanism for {names} that refuses {gone}")
    return Evaluator(larger, e.effort, seed=e.seed)


def newcomer_of(e: Evaluator, name: str) -> str:
    """A name that nobody has yet."""
    while name in e.agents:
        name += "'"
    return name


def false_name_proof(e: Evaluator, at: Profiles | None, prior: Any = None, family: Family | None = None) -> Finding:
    """The best pair of reports of one agent under two names against the best it can say under one, whatever the others report.

    A gain that a plain misreport makes as well is no fault of second names, and does not count: the comparison is with the truth, with
    either of the two reports alone, and with a grid of single reports (all of them on finite types; at the witness a finer one, refined).

    What it gets under its two names is put together: by the mechanism's ``union(one, other)`` of two allocations where it has it, else
    added and cut to one of each (nobody wants the same thing twice); who gives rather than receives can give each thing once. One decision
    for everybody (a public project) is worth what it is worth, under however many names.

    Source:
        M. Yokoo, Y. Sakurai and S. Matsubara, "The effect of false-name bids in combinatorial auctions", Games and Economic Behavior 46
        (2004).
    """
    best: tuple[JointLie, str, str, Any] | None = None
    profiles = lies = agents = 0
    exhaustive = True
    for agent in e.agents:
        if best is not None and not exhaustive and e.late:
            break
        alias = newcomer_of(e, f"{agent} (second name)")
        larger = enlarged(e, family, alias)
        if larger is None:
            return Finding(_NAME, Verdict.NOT_APPLICABLE, None, None, "none", {}, NO_FAMILY)
        rows = e.drawn_profiles(64, prior)
        e.note_scale(e.outcomes(rows), rows)
        shared = is_shared(larger)

        def gain(
            types: Profiles,
            told: Sequence[NDArray[Any]],
            agent: str = agent,
            alias: str = alias,
            larger: Evaluator = larger,
            shared: bool = shared,
        ) -> Float64[np.ndarray, " batch"]:
            two = gain_of_two_names(e, larger, agent, alias, types, told[0], told[1], shared=shared)
            return np.asarray(two - gain_alone(e, agent, types, told), dtype=np.float64)

        found = best_joint_lie(e, [larger.spaces[agent], larger.spaces[alias]], [agent, agent], gain, at, prior)
        e.evaluations += larger.evaluations
        single, utility = best_alone(e, agent, e.one(found.profile), points=1025 if single_number(e, agent) else 65, refined=True)
        told, base = plain(single[0]), float(e.among(agent, e.outcomes(e.one(found.profile)), e.one(found.profile))[0])
        two = gain_of_two_names(e, larger, agent, alias, e.one(found.profile), *_reports(larger, agent, alias, found.lies), shared=shared)
        found = replace(found, gain=float(two[0]) - max(0.0, float(utility[0]) - base))
        agents, profiles, lies = agents + 1, profiles + found.profiles, lies + found.lies_tried
        exhaustive = exhaustive and found.exhaustive
        if best is None or found.gain > best[0].gain:
            best = (found, agent, alias, told)
    assert best is not None
    found, agent, alias, told = best
    effort = e.spent(profiles=profiles, deviations=lies, agents=agents, scale=e.scale, best_gain=found.gain)
    how = "exhaustive" if exhaustive else "search: two reports on grids and scaled, local refinement"
    if found.gain <= e.tolerance:
        if exhaustive:
            reason = f"no agent gains more than {e.tolerance:.3g} by a second name at any profile, beyond what one name gains"
            return Finding(_NAME, Verdict.PROVED, found.gain, None, how, effort, reason)
        return Finding(
            _NAME, Verdict.NOT_REFUTED, max(found.gain, 0.0), None, how, effort, f"no gain of a second name above {e.tolerance:.3g} found"
        )
    details = {"property": _NAME, "alias": alias, "alias_report": found.lies[1], "best_report_alone": told}
    others = {name: value for name, value in found.profile.items() if name != agent}
    witness = Witness(agent, found.profile[agent], found.lies[0], others, found.gain, details)
    reason = (
        f"{agent} gains {found.gain:.6g} by reporting {shown(found.lies[0])} as itself and {shown(found.lies[1])} under a second name, "
        f"beyond the best that one name gets it ({'the truth' if told == found.profile[agent] else f'by reporting {shown(told)}'})"
    )
    return Finding(_NAME, Verdict.REFUTED, found.gain, witness, how, effort, reason)


def gain_of_two_names(
    e: Evaluator, larger: Evaluator, agent: str, alias: str, types: Profiles, own: NDArray[Any], second: NDArray[Any], *, shared: bool
) -> Float64[np.ndarray, " batch"]:
    """u_i with two names less u_i with one, at each profile."""
    truth = e.among(agent, e.outcomes(types), types)
    outcomes = larger.outcomes({**types, agent: own, alias: second})
    together, possible = _union(e, agent, outcomes.allocation[agent], outcomes.allocation[alias], shared=shared)
    allocation = {**{name: outcomes.allocation[name] for name in e.agents}, agent: together}
    merged = Outcomes(allocation, {name: outcomes.payments[name] for name in e.agents})
    paid = outcomes.payments[agent] + outcomes.payments[alias]
    gains = e.gross(agent, merged, types[agent]) - paid - truth
    return np.where(possible, gains, -np.inf)


def gain_alone(e: Evaluator, agent: str, types: Profiles, told: Sequence[NDArray[Any]]) -> Float64[np.ndarray, " batch"]:
    """What the best single report that is tried gains at each profile, at least 0: a grid, and either of the two reports."""
    truth = e.among(agent, e.outcomes(types), types)
    best: Float64[np.ndarray, " batch"] = truth.copy()
    for report in told:
        shown = report if report.dtype == object else e.spaces[agent].clip(report)
        best = np.maximum(best, e.among(agent, e.outcomes({**types, agent: shown}), types))
    # rows come in runs of one profile
    changes = np.ones(len(truth), dtype=bool)
    changes[1:] = False
    for values in types.values():
        if values.dtype == object:
            changes[1:] |= np.asarray([not (a is b or a == b) for a, b in itertools.pairwise(values)], dtype=bool)
        else:
            changed = values[1:] != values[:-1]
            changes[1:] |= changed.any(axis=tuple(range(1, changed.ndim)))
    starts = np.flatnonzero(changes)
    _, utility = best_alone(e, agent, {n: v[starts] for n, v in types.items()}, points=9)
    return np.asarray(np.maximum(best, utility[np.cumsum(changes) - 1]) - truth, dtype=np.float64)


def best_alone(
    e: Evaluator, agent: str, profiles: Profiles, *, points: int, refined: bool = False
) -> tuple[NDArray[Any], Float64[np.ndarray, " batch"]]:
    """The best report of a grid under one name at each profile, or the truth, and its utility."""
    grid = cover(e.spaces[agent], points)
    count = len(profiles[agent])
    best = e.among(agent, e.outcomes(profiles), profiles)
    reports = profiles[agent].copy()
    for begin in range(0, len(grid), max(1, _ROWS // count)):  # many reports at once: a call has a price of its own
        part = grid[begin : begin + max(1, _ROWS // count)]
        rows = {n: np.tile(v, (len(part), *([1] * (v.ndim - 1)))) for n, v in profiles.items()}
        utility = e.among(agent, e.outcomes({**rows, agent: np.repeat(part, count, axis=0)}), rows).reshape(len(part), count)
        top = np.argmax(utility, axis=0)
        there = utility[top, np.arange(count)]
        better = there > best
        best, reports[better] = np.where(better, there, best), part[top[better]]
    space = e.spaces[agent]
    if refined and isinstance(space, Interval | Box):
        shape = reports.shape[1:]
        low, high = (np.atleast_1d(np.asarray(end, dtype=np.float64)) for end in (space.low, space.high))

        def utility_of(found: Float64[np.ndarray, "batch dims"], which: NDArray[np.int64]) -> Float64[np.ndarray, " batch"]:
            types = {n: v[which] for n, v in profiles.items()}
            return e.among(agent, e.outcomes({**types, agent: found.reshape(len(found), *shape)}), types)

        found, value_there = pattern_search(utility_of, reports.reshape(count, -1).astype(np.float64), low, high, steps=e.effort.steps)
        better = value_there > best
        best, reports[better] = np.where(better, value_there, best), found.reshape(count, *shape)[better]
    return reports, best


def single_number(e: Evaluator, agent: str) -> bool:
    """Whether a report is one number of an interval."""
    return isinstance(e.spaces[agent], Interval)


def _reports(larger: Evaluator, agent: str, alias: str, lies: Sequence[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    return larger.one({agent: lies[0]})[agent], larger.one({alias: lies[1]})[alias]


def is_shared(larger: Evaluator) -> bool:
    """Whether everybody gets the same allocation, whatever is reported: one decision for all, which a second name does not double."""
    rows = larger.drawn_profiles(64)
    allocation = larger.outcomes(rows).allocation
    first = np.asarray(allocation[larger.agents[0]])
    return all(np.shape(allocation[n]) == first.shape and bool(np.all(allocation[n] == first)) for n in larger.agents)


def _union(e: Evaluator, agent: str, one: NDArray[Any], other: NDArray[Any], *, shared: bool) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    if hasattr(e.mechanism, "union"):
        return np.asarray(e.mechanism.union(one, other), dtype=np.float64), np.ones(len(one), dtype=bool)
    if shared:
        return np.asarray(one, dtype=np.float64), np.ones(len(one), dtype=bool)
    total = np.asarray(one, dtype=np.float64) + np.asarray(other, dtype=np.float64)
    most = np.maximum(1.0, np.maximum(one, other))
    side = side_of(e, agent)
    if side is not None and side < 0.0:  # nobody delivers the same thing twice
        return total, np.all((total <= most + 1e-9).reshape(len(total), -1), axis=1)
    return np.minimum(total, most), np.ones(len(total), dtype=bool)


def replay_two_names(e: Evaluator, witness: Witness, family: Family | None = None) -> float:
    """The gain of a witness, computed afresh."""
    assert witness.agent is not None
    alias = witness.details["alias"]
    larger = enlarged(e, family, alias)
    if larger is None:
        raise InputError(f"replay: {NO_FAMILY}")
    types = e.one({**(witness.others or {}), witness.agent: witness.true_type})
    own, second = _reports(larger, witness.agent, alias, (witness.misreport, witness.details["alias_report"]))
    two = gain_of_two_names(e, larger, witness.agent, alias, types, own, second, shared=is_shared(larger))
    alone = {**types, **e.one({witness.agent: witness.details["best_report_alone"]})}
    truth = float(e.among(witness.agent, e.outcomes(types), types)[0])
    return float(two[0]) - max(0.0, float(e.among(witness.agent, e.outcomes(alone), types)[0]) - truth)
