"""One agent under two names: does it gain by taking part twice?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from hurwicz._foundation import InputError
from hurwicz.audits.evaluation import Evaluator
from hurwicz.audits.exhaustive import side_of
from hurwicz.audits.finding import Finding, Verdict, Witness
from hurwicz.audits.joint_lies import JointLie, best_joint_lie
from hurwicz.audits.profiles import Profiles, cover, plain
from hurwicz.settings import DirectMechanism, Outcomes, Property

Family = Callable[[Sequence[str]], DirectMechanism]
_NAME = Property.FALSE_NAME_PROOF.value
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
    """The best pair of reports of one agent under two names against its single truthful report, whatever the others report.

    What it gets under its two names is put together: by the mechanism's ``union(one, other)`` of two allocations where it has it, else
    added and cut to one of each (nobody wants the same thing twice); who gives rather than receives can give each thing once. One decision
    for everybody (a public project) is worth what it is worth, under however many names.

    Source:
        M. Yokoo, Y. Sakurai and S. Matsubara, "The effect of false-name bids in combinatorial auctions", Games and Economic Behavior 46
        (2004).
    """
    best: tuple[JointLie, str, str] | None = None
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
            return gain_of_two_names(e, larger, agent, alias, types, told[0], told[1], shared=shared)

        found = best_joint_lie(e, [larger.spaces[agent], larger.spaces[alias]], [agent, agent], gain, at, prior)
        e.evaluations += larger.evaluations
        agents, profiles, lies = agents + 1, profiles + found.profiles, lies + found.lies_tried
        exhaustive = exhaustive and found.exhaustive
        if best is None or found.gain > best[0].gain:
            best = (found, agent, alias)
    assert best is not None
    found, agent, alias = best
    effort = e.spent(profiles=profiles, deviations=lies, agents=agents, scale=e.scale, best_gain=found.gain)
    how = "exhaustive" if exhaustive else "search: two reports on grids and scaled, local refinement"
    if found.gain <= e.tolerance:
        if exhaustive:
            reason = f"no agent gains more than {e.tolerance:.3g} by a second name at any profile"
            return Finding(_NAME, Verdict.PROVED, found.gain, None, how, effort, reason)
        return Finding(
            _NAME, Verdict.NOT_REFUTED, max(found.gain, 0.0), None, how, effort, f"no gain of a second name above {e.tolerance:.3g} found"
        )
    details = {"property": _NAME, "alias": alias, "alias_report": found.lies[1]}
    others = {name: value for name, value in found.profile.items() if name != agent}
    witness = Witness(agent, found.profile[agent], found.lies[0], others, found.gain, details)
    reason = f"{agent} gains {found.gain:.6g} by reporting {found.lies[0]} as itself and {found.lies[1]} under a second name"
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
    own = larger.one({witness.agent: witness.misreport})[witness.agent]
    second = larger.one({alias: witness.details["alias_report"]})[alias]
    return float(gain_of_two_names(e, larger, witness.agent, alias, types, own, second, shared=is_shared(larger))[0])
