"""What payment rules claim beyond the properties of direct mechanisms, put to the test on stated instances.

Each function takes an instance and returns a finding; :func:`replay_claim` recomputes the gain of its witness.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hurwicz._foundation import FloatArray, InputError, SolverError
from hurwicz.audits.effort import Effort
from hurwicz.audits.evaluation import Evaluator
from hurwicz.audits.expectations import interim_utilities
from hurwicz.audits.finding import Finding, Verdict, Witness
from hurwicz.audits.profiles import one_profile, plain, row_of
from hurwicz.prices.direct import PriceMechanism, action_game_gain, best_report, utilities
from hurwicz.prices.payments import AllocationProblem, BoundRule, Linear, QuadraticAggregate, total_loss
from hurwicz.typespaces import Interval

_TOLERANCE = 1e-9


def price_taking(mechanism: PriceMechanism) -> tuple[Finding, Finding]:
    """Two findings at every profile of finite spaces: ``clears`` and ``price_taking``.

    At the planned point nobody would rather do anything else at its price (clears), and nobody would rather have the action that another
    of its reports is assigned at that price (price taking). For costs lambda x² the best action gains (p - 2 lambda x)² / (4 lambda).
    """
    begun = time.perf_counter()
    problem = mechanism.problem
    if not isinstance(problem, QuadraticAggregate) or problem.bounded:
        raise InputError("price_taking: expected a QuadraticAggregate without bounds")
    e = Evaluator(mechanism, Effort(profiles=0), seed=0)
    profiles = e.all_profiles()
    lam = np.stack([profiles[n] for n in e.agents], axis=1)
    actions = problem.solve([profiles[n] for n in e.agents])
    price = problem.price(actions)
    scale = float(np.abs(price * actions).max())
    better = (price - 2.0 * lam * actions) ** 2 / (4.0 * lam)
    row, column = divmod(int(np.argmax(better)), len(e.agents))
    clears: tuple[float, int, int, float | None] = (float(better[row, column]), row, column, None)
    taking: tuple[float, int, int, float | None] = (0.0, 0, 0, None)
    for i, name in enumerate(e.agents):
        for report in mechanism.type_spaces[name].grid(0):
            there = price[:, i] / (2.0 * report)
            gains = price[:, i] * (there - actions[:, i]) - lam[:, i] * (there**2 - actions[:, i] ** 2)
            k = int(np.argmax(gains))
            if float(gains[k]) > taking[0]:
                taking = (float(gains[k]), k, i, float(report))
    effort = {"profiles": len(lam), "tolerance": _TOLERANCE * scale, "seconds": round(time.perf_counter() - begun, 3)}

    def finding(key: str, found: tuple[float, int, int, float | None], method: str, reason: str) -> Finding:
        gain, k, i, report = found
        if gain <= _TOLERANCE * scale:
            return Finding(key, Verdict.PROVED, gain, None, method, effort, reason)
        profile, agent = row_of(profiles, k), e.agents[i]
        others = {n: v for n, v in profile.items() if n != agent}
        witness = Witness(agent, profile[agent], report, others, gain, {"property": key})
        return Finding(key, Verdict.REFUTED, gain, witness, method, effort, f"{agent} gains {gain:.6g} at the price that it is offered")

    return (
        finding("clears", clears, "exhaustive over profiles, closed form over actions", "no action serves better at its price"),
        finding("price_taking", taking, "exhaustive", "with the price held, no report serves better than the truth"),
    )


def _price_taking_gain(mechanism: PriceMechanism, profile: Mapping[str, Any], agent: str, report: Any) -> float:
    i = mechanism.agents.index(agent)
    x = mechanism.problem.solve([np.asarray(profile[n])[None] for n in mechanism.agents])
    p, lam, here = float(mechanism.problem.price(x)[0, i]), float(profile[agent]), float(x[0, i])
    there = p / (2.0 * (lam if report is None else float(report)))
    return p * (there - here) - lam * (there**2 - here**2)


def in_the_large(counts: Sequence[int], *, true_type: float = 0.1, target: float = 10.0) -> Finding:
    """Relative gain of the best misreport under linear prices with N equal agents: 1/((N + lambda)² - 1), found and by formula.

    From u(x) = 2 x (Y - x)/A - lambda x² with A = 1 + (N - 1)/lambda: the best x is Y/(N + 1 + lambda) against Y/(N + lambda), and the
    ratio of utilities is (N + lambda)²/((N + lambda)² - 1), whatever Y.
    """
    begun = time.perf_counter()
    found, formula = [], []
    for count in counts:
        problem = QuadraticAggregate(target, count)
        mechanism = PriceMechanism(problem, Linear(), {n: Interval(true_type, 4.0 * true_type) for n in problem.agents})
        truth, first = dict.fromkeys(problem.agents, true_type), problem.agents[0]
        lie = best_report(mechanism, first, truth, true_type)
        told = utilities(mechanism, truth, truth)[first]
        found.append(utilities(mechanism, {**truth, first: lie}, truth)[first] / told - 1.0)
        formula.append(1.0 / ((count + true_type) ** 2 - 1.0))
    distance = max(abs(a / b - 1.0) for a, b in zip(found, formula, strict=True))
    if distance > 1e-6:
        raise SolverError(
            f"gain under linear prices: search and formula differ by {distance:.3g} (relative); widen the search", reached=found
        )
    effort = {
        "agents": list(counts),
        "relative_gains_found": found,
        "relative_gains_formula": formula,
        "largest_relative_difference": distance,
        "seconds": round(time.perf_counter() - begun, 3),
    }
    gains = ", ".join(f"{g:.2%} at N={n}" if g > 1e-3 else f"{g:.3%} at N={n}" for n, g in zip(counts, found, strict=True))
    method = "closed form for equal agents, matched by search"
    return Finding("strategy_proof_in_the_large", Verdict.PROVED, found[-1], None, method, effort, f"gain of a misreport: {gains}")


def equilibrium_loss(
    mechanism: PriceMechanism, true_types: Mapping[str, Any], reports: Mapping[str, Any], best_gains: Mapping[str, float]
) -> Finding:
    """What an equilibrium in reports, handed in by the caller, costs in welfare; each agent's best remaining gain shows that it is one."""
    name = "efficiency_at_equilibrium"
    gain = _equilibrium_loss(mechanism, true_types, reports)
    least = -mechanism.welfare(mechanism.outcome(true_types), true_types)
    details = {"property": name, "least_loss": least, "excess": gain / least, "largest_remaining_gain": max(best_gains.values())}
    witness = Witness(None, plain(dict(true_types)), plain(dict(reports)), None, gain, details)
    reason = f"at an equilibrium in reports the loss is {gain / least:.1%} above the least"
    return Finding(name, Verdict.REFUTED, gain, witness, "equilibrium in reports", {}, reason)


def _equilibrium_loss(mechanism: PriceMechanism, true_types: Mapping[str, Any], reports: Mapping[str, Any]) -> float:
    return mechanism.welfare(mechanism.outcome(true_types), true_types) - mechanism.welfare(mechanism.outcome(reports), true_types)


def potential_game(
    problem: AllocationProblem, true_types: Mapping[str, Any], *, actions_per_agent: int = 4, span: float = 1.0
) -> tuple[Finding, Finding]:
    """Two findings about own-path payments in the one-shot game in actions: ``exact_potential`` and ``nash_at_optimum``.

    The first compares every unilateral gain with the fall of L at all profiles of a finite grid of actions. The second needs no search:
    a gain at x* is a fall of L, and a certified bound says how far L can fall.
    """
    begun = time.perf_counter()
    theta = [np.asarray(true_types[n])[None] for n in problem.agents]
    best = problem.solve(theta)
    axis = [np.linspace(o, x + span, actions_per_agent) for o, x in zip(problem.opt_out, best[0], strict=True)]
    profiles = np.asarray(list(itertools.product(*axis)))
    many = [np.repeat(t, len(profiles)) for t in theta]
    losses, here = total_loss(problem, profiles, many), problem.system_loss(profiles)
    worst, moves, scale = 0.0, 0, float(np.abs(losses).max())
    where: tuple[int, int, float] = (0, 0, 0.0)
    for i in range(len(problem.agents)):
        away = profiles.copy()
        away[:, i] = problem.opt_out[i]
        without = problem.system_loss(away)
        own = without - here - problem.cost(i, profiles[:, i], many[i])
        for value in axis[i]:
            moved = profiles.copy()
            moved[:, i] = value
            gain = without - problem.system_loss(moved) - problem.cost(i, moved[:, i], many[i]) - own
            apart = np.abs(gain - (losses - total_loss(problem, moved, many)))
            moves += len(profiles)
            if float(apart.max()) > worst:
                worst, where = float(apart.max()), (i, int(np.argmax(apart)), float(value))
    effort = {
        "profiles": len(profiles),
        "deviations": moves,
        "tolerance": _TOLERANCE * scale,
        "seconds": round(time.perf_counter() - begun, 3),
    }
    key, method = "exact_potential", "identity (u_i = -L and a term free of x_i), checked on a grid of actions"
    if worst <= _TOLERANCE * scale:
        first = Finding(key, Verdict.PROVED, worst, None, method, effort, "every unilateral gain equals the fall of L, to rounding")
    else:
        details = {"property": key, "actions": profiles[where[1]].tolist(), "deviation": where[2]}
        witness = Witness(problem.agents[where[0]], plain(dict(true_types)), None, None, worst, details)
        first = Finding(key, Verdict.REFUTED, worst, witness, method, effort, f"a gain and the fall of L differ by {worst:.3g}")
    slack = float((total_loss(problem, best, theta) - problem.loss_bound(best, theta))[0])
    bounded = bool(np.isfinite(slack))
    reason = f"L cannot fall by more than {slack:.2g} from x*" if bounded else "there is no bound on how far L can fall"
    verdict = Verdict.PROVED if slack <= _TOLERANCE * scale else Verdict.NOT_REFUTED
    spent = {"tolerance": _TOLERANCE * scale}
    return first, Finding("nash_at_optimum", verdict, slack if bounded else None, None, "certified bound on L", spent, reason)


def as_if_type(mechanism: PriceMechanism, true_types: Mapping[str, Any], agent: str, report: Any) -> Finding:
    """An agent that answers every offer as another type would: the dynamics end where the planner would plan for that type."""
    told = utilities(mechanism, true_types, true_types)[agent]
    reports = {**true_types, agent: report}
    lied = utilities(mechanism, reports, true_types)[agent]
    loss = -mechanism.welfare(mechanism.outcome(reports), true_types)
    name, gain = "truthful_dynamics", lied - told
    details = {"property": name, "utility_truthful": told, "utility_misreport": lied, "loss": loss}
    if gain <= _TOLERANCE * max(abs(told), abs(lied)):
        reason = f"{agent} gains nothing by answering as type {report:g}"
        return Finding(name, Verdict.NOT_REFUTED, max(gain, 0.0), None, "one named deviation", {"deviations": 1}, reason)
    others = {n: plain(v) for n, v in true_types.items() if n != agent}
    witness = Witness(agent, plain(true_types[agent]), plain(report), others, gain, details)
    reason = f"{agent} lifts its utility from {told:.2f} to {lied:.2f} by answering as type {report:g}; L ends at {loss:.2f}"
    return Finding(name, Verdict.REFUTED, gain, witness, "one named deviation", {"deviations": 1}, reason)


def inefficient_equilibrium(mechanism: PriceMechanism, true_types: Mapping[str, Any], actions: FloatArray) -> Finding:
    """A Nash equilibrium of the one-shot game in actions with own-path payments whose L is above the least."""
    name = "efficient_equilibria"
    gain = _excess_at_equilibrium(mechanism, true_types, actions)
    theta = [np.asarray(true_types[n])[None] for n in mechanism.agents]
    loss = float(total_loss(mechanism.problem, actions[None], theta)[0])
    if gain <= 0.0:
        reason = "the named actions are not an equilibrium, or their loss is the least"
        return Finding(name, Verdict.NOT_REFUTED, 0.0, None, "equilibrium in actions", {"profiles": 1}, reason)
    details = {"property": name, "actions": plain(actions), "loss": loss, "least_loss_found": loss - gain}
    witness = Witness(None, plain(dict(true_types)), None, None, gain, details)
    reason = f"nobody gains alone at {np.round(actions, 3).tolist()}, and L is {loss:.3f} instead of {loss - gain:.3f}"
    return Finding(name, Verdict.REFUTED, gain, witness, "equilibrium in actions", {"profiles": 1}, reason)


def _excess_at_equilibrium(mechanism: PriceMechanism, true_types: Mapping[str, Any], actions: FloatArray) -> float:
    # L less the planner's L, once no unilateral change (401 an agent, over its bounds or 10 to each side) is seen to gain; 0 if one does
    problem = mechanism.problem
    theta = [np.asarray(true_types[n])[None] for n in problem.agents]
    here = float(total_loss(problem, actions[None], theta)[0])
    low, high = getattr(problem, "low", None), getattr(problem, "high", None)
    for i in range(len(problem.agents)):
        ends = (actions[i] - 10.0, actions[i] + 10.0)
        if low is not None and high is not None and np.isfinite(low[i]) and np.isfinite(high[i]):
            ends = (low[i], high[i])
        moved = np.repeat(actions[None], 401, axis=0)
        moved[:, i] = np.linspace(*ends, 401)
        if float(np.min(total_loss(problem, moved, [np.repeat(t, 401, axis=0) for t in theta]))) < here - 1e-6 * max(1.0, abs(here)):
            return 0.0
    return here - float(total_loss(problem, problem.solve(theta), theta)[0])


def report_free(mechanism: PriceMechanism) -> Finding:
    """Does every profile of finite spaces lead to the same actions and payments?"""
    e = Evaluator(mechanism, Effort(profiles=0), seed=0)
    profiles = e.all_profiles()
    outcomes = e.outcomes(profiles)
    columns = [np.asarray(outcomes.allocation[n], dtype=np.float64).reshape(len(profiles[n]), -1) for n in e.agents]
    table = np.concatenate([*columns, *(np.asarray(outcomes.payments[n])[:, None] for n in e.agents)], axis=1)
    apart = np.abs(table - table[0]).max(axis=1)
    row, effort, key = int(np.argmax(apart)), {"profiles": len(table)}, "needs_no_report"
    if float(apart[row]) == 0.0:
        return Finding(key, Verdict.PROVED, 0.0, None, "exhaustive", effort, f"one outcome for all {len(table)} profiles of reports")
    witness = Witness(None, row_of(profiles, 0), row_of(profiles, row), None, float(apart[row]), {"property": key})
    return Finding(
        key, Verdict.REFUTED, float(apart[row]), witness, "exhaustive", effort, "two profiles of reports lead to different outcomes"
    )


def _outcome_distance(mechanism: PriceMechanism, first: Mapping[str, Any], second: Mapping[str, Any]) -> float:
    one, two = mechanism.outcome(first), mechanism.outcome(second)
    moved = [float(np.abs(np.asarray(one.allocation[n]) - np.asarray(two.allocation[n])).max()) for n in mechanism.agents]
    return max(*moved, *(abs(one.payments[n] - two.payments[n]) for n in mechanism.agents))


def nothing_elicited(mechanism: PriceMechanism, first: Mapping[str, Any], agent: str, other_type: Any) -> Finding:
    """Two types of one agent that the mechanism cannot tell apart, though the best outcomes for them differ."""
    name, method = "elicitation", "two types with one outcome"
    others = {n: plain(v) for n, v in first.items() if n != agent}
    gain = _lost_by_not_asking(mechanism, dict(first), agent, other_type)
    if gain <= 0.0:
        return Finding(
            name, Verdict.NOT_REFUTED, 0.0, None, method, {"profiles": 2}, "the two types lead to different outcomes, or nothing is lost"
        )
    witness = Witness(agent, plain(first[agent]), plain(other_type), others, gain, {"property": name})
    reason = (
        f"{agent} of type {first[agent]:g} and of type {other_type:g} get the same outcome; "
        f"for the first it costs {gain:.6f} more than the optimum"
    )
    return Finding(name, Verdict.REFUTED, gain, witness, method, {"profiles": 2}, reason)


def _lost_by_not_asking(mechanism: PriceMechanism, profile: Mapping[str, Any], agent: str, other_type: Any) -> float:
    if _outcome_distance(mechanism, profile, {**profile, agent: other_type}) > 0.0:
        return 0.0
    batch = one_profile(profile, mechanism.agents)
    best = float(mechanism.welfares(mechanism.efficient_outcomes(batch), batch)[0])
    return best - mechanism.welfare(mechanism.outcome(profile), profile)


def least_transfers(mechanism: PriceMechanism) -> Finding:
    """Expected transfers against the least that any BIC and interim IR payment of the same plan needs: a linear program per agent.

    min sum_k f_k T_k subject to T_k - c_kk >= T_r - c_rk for all reports r, and T_k >= c_kk, with c_rk the expected cost of type k doing
    what report r is asked for. HiGHS's optimum is certified by its dual.
    """
    from scipy.optimize import linprog

    begun = time.perf_counter()
    prior = mechanism.prior
    if prior is None or not prior.finite:
        raise InputError("least_transfers: expected a mechanism with a prior over finite type spaces")
    e = Evaluator(mechanism, Effort(profiles=0), seed=0)
    unpaid = Evaluator(
        PriceMechanism(mechanism.problem, _PlanOf(mechanism), mechanism.type_spaces, prior=prior), Effort(profiles=0), seed=0
    )
    paid_total, least_total = 0.0, 0.0
    for name in e.agents:
        types, mass = prior.marginals[name].quadrature(1)
        count = len(types)
        cost = -interim_utilities(unpaid, prior, name, types, types, {"kind": "exact"})
        paid = interim_utilities(e, prior, name, types, types, {"kind": "exact"}) + cost
        paid_total += float(mass @ np.diag(paid))
        rows, bounds = [], []
        for k, r in itertools.permutations(range(count), 2):
            row = np.zeros(count)
            row[r], row[k] = 1.0, -1.0
            rows.append(row)
            bounds.append(cost[k, r] - cost[k, k])
        answer = linprog(
            mass, A_ub=np.asarray(rows) if rows else None, b_ub=bounds or None, bounds=[(c, None) for c in np.diag(cost)], method="highs"
        )
        if answer.status != 0 or answer.fun is None:
            raise SolverError(f"least transfers of {name!r}: the linear program ended with {answer.message!r}; is the plan monotone?")
        least_total += float(answer.fun)
    excess = paid_total - least_total
    effort = {"expected_transfers": paid_total, "least_expected_transfers": least_total, "seconds": round(time.perf_counter() - begun, 3)}
    key, method = "least_expected_transfers", "linear program over all BIC and interim IR transfers"
    reason = f"expected transfers {paid_total:.6f}, the least possible {least_total:.6f}"
    if excess <= 1e-8 * max(1.0, abs(least_total)):
        return Finding(key, Verdict.PROVED, excess, None, method, effort, reason)
    return Finding(
        key, Verdict.REFUTED, excess, Witness(None, None, None, None, excess, {"property": key, **effort}), method, effort, reason
    )


class _PlanOf:
    """Another mechanism's plan, unpaid."""

    name = "plan of another rule"
    claims = ()

    def __init__(self, mechanism: PriceMechanism) -> None:
        self._plan = mechanism.rule.bind(mechanism.problem).plan

    def bind(self, problem: AllocationProblem) -> BoundRule:  # noqa: ARG002 - the plan is the other's
        return BoundRule(plan=self._plan, transfers=lambda _, actions: np.zeros(actions.shape[:2]))


def replay_claim(mechanism: Any, witness: Witness) -> float | None:
    """The gain of a witness of one of this module's findings, recomputed; ``None`` for other properties."""
    name, agent = witness.details.get("property"), witness.agent
    if name == "efficiency_at_equilibrium":
        return _equilibrium_loss(mechanism, witness.true_type, witness.misreport)
    if name == "efficient_equilibria":
        return _excess_at_equilibrium(mechanism, witness.true_type, np.asarray(witness.details["actions"], dtype=np.float64))
    if name == "needs_no_report":
        return _outcome_distance(mechanism, witness.true_type, witness.misreport)
    if name == "least_expected_transfers":
        return least_transfers(mechanism).value
    if agent is None:
        return None
    if name == "exact_potential":
        actions = np.asarray(witness.details["actions"], dtype=np.float64)
        deviation = np.asarray(witness.details["deviation"])
        gain, fall = action_game_gain(mechanism.problem, witness.true_type, actions, mechanism.agents.index(agent), deviation)
        return abs(gain - fall)
    profile = {**(witness.others or {}), agent: witness.true_type}
    if name == "elicitation":
        return _lost_by_not_asking(mechanism, profile, agent, witness.misreport)
    if name in ("clears", "price_taking"):
        return _price_taking_gain(mechanism, profile, agent, witness.misreport)
    if name == "truthful_dynamics":
        told = utilities(mechanism, profile, profile)[agent]
        return utilities(mechanism, {**profile, agent: witness.misreport}, profile)[agent] - told
    return None
