"""The cells of the table of payment rules: what is claimed of each, on an instance that shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from hurwicz.audits import price_claims as claims
from hurwicz.audits.auditing import audit
from hurwicz.audits.effort import Effort
from hurwicz.audits.payment_table import PaymentCell
from hurwicz.prices.direct import PriceMechanism, reports_equilibrium
from hurwicz.prices.payments import (
    RULES,
    Clarke,
    ConvexProblem,
    ExpectedExternality,
    Linear,
    Myerson,
    OwnPath,
    PaymentRule,
    PostedExpectation,
    QuadraticAggregate,
    Unpaid,
)
from hurwicz.settings import Claim
from hurwicz.typespaces import Finite, FinitePrior, Interval, ProductPrior, Uniform

FIVE = (0.1, 0.5, 0.2, 0.4, 0.6)
TARGET = 7.461


def _claim(rule: PaymentRule | str, prop: str, holds: bool) -> Claim:
    known = RULES[rule if isinstance(rule, str) else rule.name].claims
    return next(c for c in known if c.property == prop and c.holds is holds)


def _five(low: float, high: float) -> tuple[QuadraticAggregate, dict[str, float], dict[str, Interval]]:
    problem = QuadraticAggregate(TARGET, 5)
    return problem, dict(zip(problem.agents, FIVE, strict=True)), {n: Interval(low, high) for n in problem.agents}


def _grid(problem: QuadraticAggregate) -> dict[str, Finite]:
    return {n: Finite(sorted({v, 0.1, 0.182, 0.3, 1.0})) for n, v in zip(problem.agents, FIVE, strict=True)}


_C4 = "five agents, lambda = .1 .5 .2 .4 .6, target 7.461"
_C4_GRID = "five agents with four or five types each, target 7.461"


def _linear(effort: Effort | str, seed: int) -> Iterator[PaymentCell]:
    problem, true, spaces = _five(0.01, 2.0)
    rule = Linear()
    grid = PriceMechanism(problem, rule, _grid(problem))
    for finding in claims.price_taking(grid):
        yield PaymentCell(rule.name, _claim(rule, finding.property, True), finding, _C4_GRID, grid)
    mechanism = PriceMechanism(problem, rule, spaces)
    finding = claims.in_the_large((2, 5, 20, 100))
    yield PaymentCell(rule.name, _claim(rule, finding.property, True), finding, "N equal agents, lambda = .1", mechanism)
    (finding,) = audit(mechanism, ["DSIC"], effort=effort, seed=seed, at=[true])
    yield PaymentCell(rule.name, _claim(rule, "DSIC", False), finding, _C4, mechanism)
    nash = reports_equilibrium(mechanism, true)
    finding = claims.equilibrium_loss(mechanism, true, nash.value, nash.stats["best_gains"])
    yield PaymentCell(rule.name, _claim(rule, finding.property, False), finding, _C4, mechanism)


def _own_path(effort: Effort | str, seed: int) -> Iterator[PaymentCell]:
    problem, true, spaces = _five(1e-4, 2.0)
    rule = OwnPath()
    mechanism = PriceMechanism(problem, rule, spaces)
    for finding in claims.potential_game(problem, true):
        yield PaymentCell(rule.name, _claim(rule, finding.property, True), finding, _C4, mechanism)
    (finding,) = audit(mechanism, ["DSIC"], effort=effort, seed=seed, at=[true])
    yield PaymentCell(rule.name, _claim(rule, "DSIC", False), finding, _C4, mechanism)
    finding = claims.as_if_type(mechanism, true, problem.agents[0], 1.2e-4)
    yield PaymentCell(rule.name, _claim(rule, finding.property, False), finding, _C4, mechanism)
    saddle = ConvexProblem(
        lambda x: (x[0] + x[1] - 10.0) ** 2 + 0.5 * x[0] * x[1], lambda x, w: 0.0 * w * x, 2, low=0.0, high=10.0, convex=False
    )
    stuck = PriceMechanism(saddle, rule, {n: Interval(0.0, 1.0) for n in saddle.agents})
    finding = claims.inefficient_equilibrium(stuck, dict.fromkeys(saddle.agents, 1.0), np.full(2, 40.0 / 9.0))
    yield PaymentCell(rule.name, _claim(rule, finding.property, False), finding, "(x1 + x2 - 10)² + x1 x2 / 2 on [0, 10]²", stuck)


def _clarke(effort: Effort | str, seed: int) -> Iterator[PaymentCell]:
    problem, true, spaces = _five(0.01, 2.0)
    rule = Clarke()
    grid = PriceMechanism(problem, Clarke("prices"), _grid(problem))
    for finding in audit(grid, ["DSIC", "efficiency", "ex_post_IR", "planner_IR"], effort=effort, seed=seed):
        yield PaymentCell(rule.name, _claim(rule, finding.property, True), finding, _C4_GRID, grid)
    mechanism = PriceMechanism(problem, rule, spaces)
    for finding in audit(mechanism, ["DSIC", "efficiency", "ex_post_IR"], effort=effort, seed=seed, at=[true]):
        yield PaymentCell(rule.name, _claim(rule, finding.property, True), finding, f"{_C4}; types in [.01, 2]", mechanism)
    for finding in audit(mechanism, ["strong_budget_balance", "weak_budget_balance"], effort=effort, seed=seed, at=[true]):
        yield PaymentCell(rule.name, _claim(rule, finding.property, False), finding, _C4, mechanism)
    partners = ConvexProblem(lambda x: -10.0 * x[0] * x[1], lambda x, w: w * x**2, 2, low=0.0, high=1.0, convex=False)
    complements = PriceMechanism(partners, rule, {n: Finite([0.5, 1.0]) for n in partners.agents})
    (finding,) = audit(complements, ["planner_IR"], effort=effort, seed=seed, at=[dict.fromkeys(partners.agents, 0.5)])
    yield PaymentCell(rule.name, _claim(rule, "planner_IR", False), finding, "S = -10 x1 x2 on [0, 1]²", complements)
    must_run = QuadraticAggregate(1.0, 2, low=1.0, high=2.0)
    forced = PriceMechanism(must_run, rule, {n: Finite([0.5, 1.0]) for n in must_run.agents})
    (finding,) = audit(forced, ["ex_post_IR"], effort=effort, seed=seed)
    where = "two agents held to x in [1, 2], opting out at 0, target 1"
    yield PaymentCell(rule.name, _claim(rule, "ex_post_IR", False), finding, where, forced)


def _pair() -> tuple[QuadraticAggregate, ProductPrior, ProductPrior]:
    problem = QuadraticAggregate(TARGET, 2)
    continuum = ProductPrior({n: Uniform(Interval(0.1, 1.0)) for n in problem.agents})
    finite = ProductPrior({n: FinitePrior([0.1, 0.325, 0.55, 0.775, 1.0]) for n in problem.agents})
    return problem, continuum, finite


_PAIR = "two agents, lambda uniform on [.1, 1], target 7.461"
_PAIR_GRID = "two agents, five equally likely types from .1 to 1, target 7.461"


def _expected_externality(effort: Effort | str, seed: int) -> Iterator[PaymentCell]:
    problem, continuum, finite = _pair()
    grid = PriceMechanism(problem, ExpectedExternality(finite), prior=finite)
    mechanism = PriceMechanism(problem, ExpectedExternality(continuum), prior=continuum)
    name = ExpectedExternality.name
    for where, instance in ((grid, _PAIR_GRID), (mechanism, _PAIR)):
        for finding in audit(where, ["BIC", "efficiency", "strong_budget_balance"], effort=effort, seed=seed):
            yield PaymentCell(name, _claim(name, finding.property, True), finding, instance, where)
    for finding in audit(mechanism, ["interim_IR", "DSIC"], effort=effort, seed=seed):
        yield PaymentCell(name, _claim(name, finding.property, False), finding, _PAIR, mechanism)
    wrong = PriceMechanism(problem, ExpectedExternality(continuum, include_system_loss=False), prior=continuum)
    (finding,) = audit(wrong, ["BIC"], effort=effort, seed=seed, at=[dict.fromkeys(problem.agents, 0.55)])
    control = Claim("BIC", False, "-S left out of the externality")
    yield PaymentCell(name, control, finding, _PAIR, wrong, control=True)


def _posted(effort: Effort | str, seed: int) -> Iterator[PaymentCell]:
    problem, true, spaces = _five(0.01, 10.0)
    expected = {**true, problem.agents[0]: 0.2}
    rule = PostedExpectation(expected)
    grid = PriceMechanism(problem, rule, _grid(problem))
    finding = claims.report_free(grid)
    yield PaymentCell(rule.name, _claim(rule, finding.property, True), finding, _C4_GRID, grid)
    mechanism = PriceMechanism(problem, rule, spaces)
    finding = claims.nothing_elicited(mechanism, true, problem.agents[0], 0.3)
    instance = f"{_C4}, .2 planned for agent 1"
    yield PaymentCell(rule.name, _claim(rule, "elicitation", False), finding, instance, mechanism)
    (finding,) = audit(mechanism, ["efficiency"], effort=effort, seed=seed, at=[{**true, problem.agents[0]: 0.3}])
    yield PaymentCell(rule.name, _claim(rule, "efficiency", False), finding, f"{instance} of true type .3", mechanism)
    (finding,) = audit(mechanism, ["ex_post_IR"], effort=effort, seed=seed, at=[{**true, problem.agents[0]: 1.0}])
    yield PaymentCell(rule.name, _claim(rule, "ex_post_IR", False), finding, f"{instance} of true type 1", mechanism)
    others = {n: Finite([v]) for n, v in true.items() if n != problem.agents[0]}
    plug_in = PriceMechanism(problem, Unpaid(), {problem.agents[0]: spaces[problem.agents[0]], **others})
    (finding,) = audit(plug_in, ["DSIC"], effort=effort, seed=seed, at=[{**true, problem.agents[0]: 0.3}])
    control = Claim("DSIC", False, "the plug-in is a report, and nobody is paid")
    yield PaymentCell(rule.name, control, finding, f"{_C4}, agent 1 of true type .3 reports in [.01, 10]", plug_in, control=True)


def _myerson(effort: Effort | str, seed: int) -> Iterator[PaymentCell]:
    problem, continuum, finite = _pair()
    name = Myerson.name
    for plan, minded in (("efficient plan", False), ("revenue-minded plan", True)):
        grid = PriceMechanism(problem, Myerson(finite, revenue_minded=minded), prior=finite)
        mechanism = PriceMechanism(problem, Myerson(continuum, revenue_minded=minded), prior=continuum)
        for where, instance in ((grid, _PAIR_GRID), (mechanism, _PAIR)):
            for finding in audit(where, ["BIC", "interim_IR"], effort=effort, seed=seed):
                yield PaymentCell(name, _claim(name, finding.property, True), finding, f"{instance}; {plan}", where)
        finding = claims.least_transfers(grid)
        yield PaymentCell(name, _claim(name, finding.property, True), finding, f"{_PAIR_GRID}; {plan}", grid)
        if minded:
            (finding,) = audit(mechanism, ["efficiency"], effort=effort, seed=seed)
            yield PaymentCell(name, _claim(name, "efficiency", False), finding, f"{_PAIR}; {plan}", mechanism)


MAKERS: Mapping[str, Callable[[Effort | str, int], Iterator[PaymentCell]]] = {
    Linear.name: _linear,
    OwnPath.name: _own_path,
    Clarke.name: _clarke,
    ExpectedExternality.name: _expected_externality,
    PostedExpectation.name: _posted,
    Myerson.name: _myerson,
}
"""Rule's name → its cells: guarantees, then what is not guaranteed, then controls."""
