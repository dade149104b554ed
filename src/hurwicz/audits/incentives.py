"""DSIC: is the truth a best response at every profile of the others' reports?

The deviator's true type is always the anchor, and the others may report anything: a mechanism that is truthful only against truthful
others is found out.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np

from hurwicz.audits.deviation_search import Told, details_of, deviate, ladder, sentence, truth_and_lie
from hurwicz.audits.evaluation import Evaluator
from hurwicz.audits.exhaustive import best_deviation, fits
from hurwicz.audits.finding import Finding, Verdict, Witness
from hurwicz.audits.profiles import Profiles, plain, row_of
from hurwicz.settings import Property


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
    found = ladder(e, name, at, prior, progress)
    return found if found.verdict is Verdict.REFUTED or e.interdependent else _certified(e, name, found, prior)


def _certified(e: Evaluator, name: str, found: Finding, prior: Any) -> Finding:
    """What a search that found nothing is strengthened by: a declared form, or Myerson's lemma along lines."""
    from hurwicz.audits.declared_form import strengthened
    from hurwicz.audits.myerson import applies
    from hurwicz.audits.payment_identity import lines_looked_at

    found = strengthened(e, found, prior)
    if found.verdict is Verdict.PROVED or e.late or not applies(e):
        return found
    lines = lines_looked_at(e, prior)
    if lines is None:
        return found
    if lines.gain_found > e.tolerance:
        truth, lie = truth_and_lie(e, lines.agent, lines.profile, lines.misreport)
        others = {n: v for n, v in lines.profile.items() if n != lines.agent}
        witness = Witness(lines.agent, lines.profile[lines.agent], lines.misreport, others, lie - truth, details_of(name, truth, lie))
        return Finding(name, Verdict.REFUTED, lie - truth, witness, "search along lines of own reports", found.effort, sentence(witness))
    effort = {**found.effort, "lines": lines.lines, "points_of_a_line": lines.points, "identity_gap": lines.identity_gap}
    if lines.monotone:
        effort |= {"bracket": [max(found.value or 0.0, lines.gain_found), lines.gain_possible], "left_out": lines.left_out}
    how = f"{found.method}; Myerson's lemma along lines"
    return replace(found, method=how, effort=effort, reason=f"{found.reason}; {lines.said()}")


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
    witness = Witness(found.agent, found.true_type, found.misreport, found.others, lie - truth, details_of(name, truth, lie))
    return Finding(name, Verdict.REFUTED, lie - truth, witness, "exhaustive", effort, sentence(witness))


def _at_named(e: Evaluator, name: str, at: Profiles | None) -> Finding | None:
    if at is None:
        return None
    e.note_scale(e.outcomes(at), at)
    told = _named(e, name, at)
    if told.gain <= e.tolerance:
        return None
    effort = e.spent(profiles=len(at[e.agents[0]]), scale=e.scale, best_gain=told.gain)
    return Finding(name, Verdict.REFUTED, told.gain, told, "exhaustive at the named profiles", effort, sentence(told))


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
        details=details_of(name, found[1], found[0]),
    )
    return Finding(name, Verdict.REFUTED, gain, witness, "exhaustive", effort, sentence(witness))


def _named(e: Evaluator, name: str, at: Profiles) -> Witness:
    # the most telling misreport at the profiles that the caller named
    best: tuple[float, str, int, Any] | None = None
    truthful = e.outcomes(at)
    for agent in e.agents:
        gains, lies = deviate(e, agent, at, truthful, np.random.default_rng(e.seed))
        row, k = divmod(int(np.argmax(gains)), gains.shape[1])
        if best is None or gains[row, k] > best[0]:
            best = (float(gains[row, k]), agent, row, lies[row, k])
    assert best is not None
    gain, agent, row, lie = best
    profile = row_of(at, row)
    truth, lying = truth_and_lie(e, agent, profile, lie)
    others = {n: v for n, v in profile.items() if n != agent}
    return Witness(agent, profile[agent], plain(lie), others, gain, details_of(name, truth, lying))
