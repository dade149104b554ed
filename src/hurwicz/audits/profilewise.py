"""Properties that hold or fail profile by profile under truth: ex post IR, budgets, the planner's IR, envy, anonymity, supply."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hurwicz._foundation import FloatArray
from hurwicz.audits.evaluation import Evaluator
from hurwicz.audits.fairness import comparable, envy, excess, pairs, unlike
from hurwicz.audits.finding import Finding, Verdict, Witness
from hurwicz.audits.local_search import pattern_search
from hurwicz.audits.pace import Pace
from hurwicz.audits.profiles import Profiles, joined, plain, row_of, shown
from hurwicz.settings import Outcomes, Property
from hurwicz.typespaces import Box, Interval

_SIZES = (Property.STRONG_BUDGET_BALANCE, Property.FEASIBILITY, Property.ENVY_FREENESS, Property.ANONYMITY)
Shortfall = Callable[..., FloatArray]  # of an evaluator, profiles and outcomes


def utilities_short(e: Evaluator, profiles: Profiles, outcomes: Outcomes) -> FloatArray:
    """-u_i of every truthful agent, shape (batch, agents)."""
    return -np.stack([e.utilities(name, outcomes, profiles[name]) for name in e.agents], axis=1)


def _in_time(e: Evaluator, profiles: Profiles, outcomes: Outcomes) -> FloatArray:
    # where payments are computed one by one, those that the time limit comes before are left out: -inf
    table = np.full((len(profiles[e.agents[0]]), len(e.agents)), -np.inf)
    for k, name in enumerate(e.agents):
        if k and e.late:
            break
        table[:, k] = -e.utilities(name, outcomes, profiles[name])
        e.note_payments(name, outcomes)
    return table


def imbalance(e: Evaluator, _: Profiles, outcomes: Outcomes) -> FloatArray:
    """|sum of payments|, shape (batch, 1)."""
    return np.abs(sum_of_payments(e, outcomes))[:, None]


def deficit(e: Evaluator, _: Profiles, outcomes: Outcomes) -> FloatArray:
    """-(sum of payments), shape (batch, 1)."""
    return -sum_of_payments(e, outcomes)[:, None]


def planner_short(e: Evaluator, profiles: Profiles, outcomes: Outcomes) -> FloatArray:
    """-(planner's value + sum of payments), shape (batch, 1)."""
    own = e.optional("planner_values", "planner_value", len(profiles[e.agents[0]]), outcomes)
    assert own is not None
    return -(own + sum_of_payments(e, outcomes))[:, None]


def sum_of_payments(e: Evaluator, outcomes: Outcomes) -> FloatArray:
    """What the mechanism collects, shape (batch,)."""
    return np.asarray(sum(np.asarray(outcomes.payments[name], dtype=np.float64) for name in e.agents), dtype=np.float64)


SHORTFALLS: dict[str, Shortfall] = {
    Property.EX_POST_IR.value: utilities_short,
    Property.STRONG_BUDGET_BALANCE.value: imbalance,
    Property.WEAK_BUDGET_BALANCE.value: deficit,
    Property.PLANNER_IR.value: planner_short,
    Property.FEASIBILITY.value: excess,
    Property.ENVY_FREENESS.value: envy,
    Property.ANONYMITY.value: unlike,
}


def columns(e: Evaluator, name: str) -> list[tuple[str | None, str | None]]:
    """Whom each column of a table of shortfalls is about: an agent, a pair, or nobody in particular."""
    if name == Property.EX_POST_IR:
        return [(agent, None) for agent in e.agents]
    if name in (Property.ENVY_FREENESS, Property.ANONYMITY):
        return [(i, j) for i, j in pairs(e)]
    return [(None, None)]


def inapplicable(e: Evaluator, name: str) -> str:
    """Why a property says nothing about this mechanism; empty where it does."""
    if name == Property.PLANNER_IR and not any(hasattr(e.mechanism, m) for m in ("planner_values", "planner_value")):
        return "the mechanism does not say what its outcome is worth to the planner"
    if name == Property.FEASIBILITY and getattr(e.mechanism, "excess", None) is None:
        return "the mechanism does not say how much there is to allocate (no ``excess``)"
    if name in (Property.ENVY_FREENESS, Property.ANONYMITY) and len(e.agents) < 2:
        return "there is only one agent"
    if name == Property.ANONYMITY:
        return comparable(e)
    if name == Property.ENVY_FREENESS:
        one = e.outcomes(e.drawn_profiles(1))
        if len({np.shape(one.allocation[agent]) for agent in e.agents}) > 1:
            return "agents' allocations have different shapes, so nobody can be put in another's place"
    return ""


def profilewise(
    e: Evaluator, name: str, at: Profiles | None, prior: Any = None, progress: Callable[[float], None] | None = None
) -> Finding:
    """Exhaustive on finite type spaces; named, extreme and drawn profiles and local search on boxes.

    Args:
        e: evaluator.
        name: the property, a key of ``SHORTFALLS``.
        at: profiles of interest, looked at first and preferred as witnesses.
        prior: where the random profiles come from; uniform if ``None``.
        progress: told the fraction done.
    """
    why = inapplicable(e, name)
    if why:
        return Finding(name, Verdict.NOT_APPLICABLE, None, None, "none", {}, why)
    short = SHORTFALLS[name]
    exhaustive = e.exhaustible(e.profile_count * len(e.agents))
    drawn = 0
    if exhaustive:
        profiles = e.all_profiles()
    else:
        profiles = e.corner_profiles()
        if e.effort.profiles:
            drawn = e.effort.profiles
            profiles = joined(profiles, e.drawn_profiles(drawn, prior))
    count = len(profiles[e.agents[0]])
    worst: tuple[float, int, dict[str, Any]] | None = None
    if at is not None:
        worst = _worst(e, short, at, limited=not exhaustive)
    if at is not None and worst is not None and worst[0] > _tolerance(e, name):
        count, drawn = len(at[e.agents[0]]), 0
    else:
        done = 0
        try:
            found, done = _in_chunks(e, short, profiles, progress, limited=not exhaustive)
            worst = found if worst is None or found[0] > worst[0] else worst
            if not exhaustive:
                better = _climb(e, short, worst)
                worst = better if better[0] > worst[0] else worst
        except TimeoutError:  # the mechanism's own limit: what was seen until then is reported
            if worst is None:
                raise
        drawn, count = max(0, drawn - (count - done)), done + (0 if at is None or exhaustive else len(at[e.agents[0]]))
    value, column, profile = worst
    effort = e.spent(profiles=count, profiles_drawn=drawn, scale=e.scale, worst=value)
    tolerance = _tolerance(e, name)
    if value <= tolerance:
        figure = max(value, 0.0) if name in _SIZES else 0.0 - value
        if exhaustive:
            return Finding(name, Verdict.PROVED, figure, None, "exhaustive", effort, f"holds at all {count} profiles to {tolerance:.3g}")
        reason = f"no violation above {tolerance:.3g} found"
        if e.pairs_cut:
            reason += f"; the time limit came before all pairs of the {len(e.agents)} agents had been looked at"
        elif drawn:
            effort["profiles_violating_at_most_95"] = 1.0 - 0.05 ** (1.0 / drawn)
            reason += f"; with 95 % confidence fewer than {effort['profiles_violating_at_most_95']:.2%} of drawn profiles violate it"
        return Finding(name, Verdict.NOT_REFUTED, figure, None, "search: extreme and random profiles, local search", effort, reason)
    agent, other = columns(e, name)[column]
    witness = Witness(
        agent=agent,
        true_type=profile[agent] if agent is not None else profile,
        misreport=None,
        others={n: v for n, v in profile.items() if n != agent},
        gain=value,
        details={"property": name, **_what(name, value), **({} if other is None else {"other": other})},
    )
    return Finding(
        name,
        Verdict.REFUTED,
        value,
        witness,
        "exhaustive" if exhaustive else "search: extreme and random profiles, local search",
        effort,
        _says(name, witness),
    )


def _tolerance(e: Evaluator, name: str) -> float:
    # supply is counted in units of what is allocated, not in money
    return max(e.effort.tolerance, 1e-9) if name == Property.FEASIBILITY else e.tolerance


def _what(name: str, value: float) -> dict[str, float]:
    if name in (Property.FEASIBILITY, Property.ENVY_FREENESS, Property.ANONYMITY):
        return {{"feasibility": "excess", "envy_freeness": "envy", "anonymity": "difference"}[name]: value}
    if name == Property.EX_POST_IR:
        return {"utility": -value}
    if name == Property.STRONG_BUDGET_BALANCE:
        return {"imbalance": value}
    if name == Property.WEAK_BUDGET_BALANCE:
        return {"sum_of_payments": -value}
    return {"planner_utility": -value}


def _says(name: str, witness: Witness) -> str:
    other = witness.details.get("other")
    if name == Property.FEASIBILITY:
        return f"infeasible: {witness.gain:.6g} more is allocated than there is at reports {shown(witness.others or {})}"
    if name == Property.ENVY_FREENESS:
        return f"{witness.agent} of type {shown(witness.true_type)} would gain {witness.gain:.6g} in the place of {other}"
    if name == Property.ANONYMITY:
        return f"when {witness.agent} and {other} exchange their reports, what they get or pay changes by {witness.gain:.6g}"
    if name == Property.EX_POST_IR:
        return f"{witness.agent} of type {shown(witness.true_type)} tells the truth and ends at {-witness.gain:.6g}"
    if name == Property.STRONG_BUDGET_BALANCE:
        return f"payments miss zero by {witness.gain:.6g} at this profile"
    if name == Property.WEAK_BUDGET_BALANCE:
        return f"the mechanism pays out {witness.gain:.6g} more than it collects at this profile"
    return f"the planner is left {witness.gain:.6g} worse off than without any agent at this profile"


def _worst(e: Evaluator, short: Shortfall, profiles: Profiles, *, limited: bool) -> tuple[float, int, dict[str, Any]]:
    outcomes = e.outcomes(profiles)
    e.note_scale(outcomes, profiles)
    if short is utilities_short and limited and e.lazy:
        table = _in_time(e, profiles, outcomes)
    elif limited and short in (envy, unlike):
        table = short(e, profiles, outcomes, limited=True)
    else:
        table = short(e, profiles, outcomes)
        for name in e.agents if e.lazy else ():
            e.note_payments(name, outcomes)
    row, column = np.unravel_index(int(np.argmax(table)), table.shape)
    return float(table[row, column]), int(column), row_of(profiles, int(row))


def _in_chunks(
    e: Evaluator, short: Shortfall, profiles: Profiles, progress: Callable[[float], None] | None, *, limited: bool
) -> tuple[tuple[float, int, dict[str, Any]], int]:
    """The worst profile, and how many were looked at before the time limit."""
    count, done = len(profiles[e.agents[0]]), 0
    pace = Pace(100_000, limited=limited)
    worst: tuple[float, int, dict[str, Any]] | None = None
    while done < count and not (limited and e.late and worst is not None):
        pace.start()
        here = _worst(e, short, {n: v[done : done + pace.size] for n, v in profiles.items()}, limited=limited)
        worst = here if worst is None or here[0] > worst[0] else worst
        done = min(count, done + pace.size)
        pace.stop()
        if progress is not None:
            progress(done / count)
    assert worst is not None
    return worst, done


def _climb(e: Evaluator, short: Shortfall, start: tuple[float, int, dict[str, Any]]) -> tuple[float, int, dict[str, Any]]:
    spaces = [e.spaces[n] for n in e.agents]
    if e.late or not all(isinstance(s, Interval | Box) for s in spaces):
        return start
    shapes = [np.shape(start[2][n]) for n in e.agents]
    cuts = np.cumsum([int(np.prod(s, dtype=np.int64)) for s in shapes])[:-1]
    low = np.concatenate([np.atleast_1d(np.asarray(s.low, dtype=np.float64)) for s in spaces if isinstance(s, Interval | Box)])
    high = np.concatenate([np.atleast_1d(np.asarray(s.high, dtype=np.float64)) for s in spaces if isinstance(s, Interval | Box)])

    def unpack(points: FloatArray) -> Profiles:
        parts = np.split(points, cuts, axis=1)
        return {n: part.reshape(len(points), *shape) for n, part, shape in zip(e.agents, parts, shapes, strict=True)}

    def objective(points: FloatArray, _: NDArray[np.int64]) -> FloatArray:
        profiles = unpack(points)
        outcomes = e.outcomes(profiles)
        if short is utilities_short:
            agent = e.agents[start[1]]
            return -e.utilities(agent, outcomes, profiles[agent])
        return np.asarray(short(e, profiles, outcomes)[:, start[1]], dtype=np.float64)

    first = np.concatenate([np.ravel(np.asarray(start[2][n], dtype=np.float64)) for n in e.agents])[None]
    points, values = pattern_search(objective, first, low, high, steps=e.effort.steps, grain=1e-3 * e.tolerance, stop=lambda: e.late)
    return float(values[0]), start[1], {n: plain(v[0]) for n, v in unpack(points).items()}
