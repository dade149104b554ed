"""Two agents who lie together and share what they gain."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from hurwicz.audits.evaluation import Evaluator
from hurwicz.audits.finding import Finding, Verdict, Witness
from hurwicz.audits.joint_lies import JointLie, best_joint_lie
from hurwicz.audits.profiles import Profiles, shown
from hurwicz.settings import Property

_NAME = Property.COLLUSION_PROOF_PAIRS.value


def collusion_proof_pairs(e: Evaluator, at: Profiles | None, prior: Any = None) -> Finding:
    """u_i + u_j at a joint lie of i and j against u_i + u_j at their truth, whatever the others report (money moves between the two).

    Source:
        J. Green and J.-J. Laffont, "On coalition incentive compatibility", Review of Economic Studies 46 (1979): no efficient mechanism of
        Groves' form withstands coalitions.
    """
    if len(e.agents) < 2:
        return Finding(_NAME, Verdict.NOT_APPLICABLE, None, None, "none", {}, "there is only one agent")
    best: tuple[JointLie, str, str] | None = None
    profiles = lies = drawn = pairs = 0
    exhaustive = True
    everyone = list(itertools.combinations(e.agents, 2))
    for i, j in everyone:
        if best is not None and not exhaustive and e.late:
            break
        if pairs == 0:
            first = {name: e.spaces[name].grid(2)[:1] for name in e.agents}
            e.note_scale(e.outcomes(first), first)
            drawn_rows = e.drawn_profiles(64, prior)
            e.note_scale(e.outcomes(drawn_rows), drawn_rows)

        def gain(types: Profiles, told: Sequence[NDArray[Any]], i: str = i, j: str = j) -> Float64[np.ndarray, " batch"]:
            return joint_gain(e, i, j, types, told[0], told[1])

        found = best_joint_lie(e, [e.spaces[i], e.spaces[j]], [i, j], gain, at, prior)
        pairs, profiles, lies, drawn = pairs + 1, profiles + found.profiles, lies + found.lies_tried, drawn + found.drawn
        exhaustive = exhaustive and found.exhaustive
        if best is None or found.gain > best[0].gain:
            best = (found, i, j)
    assert best is not None
    found, i, j = best
    effort = e.spent(profiles=profiles, deviations=lies, agents_paired=pairs, scale=e.scale, best_gain=found.gain)
    how = "exhaustive" if exhaustive else "search: joint grids and scaled reports, local refinement"
    if found.gain <= e.tolerance:
        if exhaustive:
            return Finding(_NAME, Verdict.PROVED, found.gain, None, how, effort, f"no pair gains more than {e.tolerance:.3g} anywhere")
        reason = f"no joint gain above {e.tolerance:.3g} found" + (f"; {pairs} of {len(everyone)} pairs" if pairs < len(everyone) else "")
        return Finding(_NAME, Verdict.NOT_REFUTED, max(found.gain, 0.0), None, how, effort, reason)
    details = {"property": _NAME, "partner": j, "partner_type": found.profile[j], "partner_report": found.lies[1]}
    others = {name: value for name, value in found.profile.items() if name not in (i, j)}
    witness = Witness(i, found.profile[i], found.lies[0], others, found.gain, details)
    reason = f"{i} and {j} gain {found.gain:.6g} together by reporting {shown(found.lies[0])} and {shown(found.lies[1])}"
    return Finding(_NAME, Verdict.REFUTED, found.gain, witness, how, effort, reason)


def joint_gain(e: Evaluator, i: str, j: str, types: Profiles, lie_i: NDArray[Any], lie_j: NDArray[Any]) -> Float64[np.ndarray, " batch"]:
    """What i and j gain together by a joint lie, the others as in ``types``."""
    truth, lie = e.outcomes(types), e.outcomes({**types, i: lie_i, j: lie_j})
    total: Float64[np.ndarray, " batch"] = np.zeros(len(types[i]))
    for name in (i, j):
        total = total + e.among(name, lie, types) - e.among(name, truth, types)
    return total


def replay_pair(e: Evaluator, witness: Witness) -> float:
    """The joint gain of a witness, computed afresh."""
    assert witness.agent is not None
    details: Mapping[str, Any] = witness.details
    j = details["partner"]
    types = e.one({**(witness.others or {}), witness.agent: witness.true_type, j: details["partner_type"]})
    told = e.one({witness.agent: witness.misreport, j: details["partner_report"]})
    return float(joint_gain(e, witness.agent, j, types, told[witness.agent], told[j])[0])
