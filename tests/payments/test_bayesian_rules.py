from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog

from hurwicz._foundation import InputError
from hurwicz.prices.direct import PriceMechanism, utilities
from hurwicz.prices.payments import (
    ConvexProblem,
    ExpectedExternality,
    Linear,
    Myerson,
    PostedExpectation,
    QuadraticAggregate,
    interim_function,
)
from hurwicz.typespaces import Box, FinitePrior, Interval, ProductPrior, TruncatedNormal, Uniform

PROBLEM = QuadraticAggregate(7.461, 2)
TYPES = [0.1, 0.325, 0.55, 0.775, 1.0]
FINITE = ProductPrior({n: FinitePrior(TYPES) for n in PROBLEM.agents})
CONTINUUM = ProductPrior({n: Uniform(Interval(0.1, 1.0)) for n in PROBLEM.agents})


def externality(types):
    x = PROBLEM.solve(types)
    return -PROBLEM.system_loss(x) - PROBLEM.cost(1, x[:, 1], types[1])


def test_expectations_over_the_others_by_hand_by_quadrature_and_by_sampling():
    by_hand = np.mean([externality([np.array([0.3]), np.array([w])])[0] for w in TYPES])
    mixed = ProductPrior({PROBLEM.agents[0]: Uniform(Interval(0.1, 1.0)), PROBLEM.agents[1]: FinitePrior(TYPES)})
    at = interim_function(mixed, PROBLEM.agents[0], externality)
    assert at.at(np.array([0.3]))[0] == pytest.approx(by_hand, abs=1e-9)
    smooth = interim_function(CONTINUUM, PROBLEM.agents[0], externality)
    points, weights = np.polynomial.legendre.leggauss(60)
    fine = externality([np.full(60, 0.3), 0.55 + 0.45 * points]) @ weights / 2.0
    assert abs(smooth.at(np.array([0.3]))[0] - fine) <= smooth.error + 1e-12
    sampled = interim_function(CONTINUUM, PROBLEM.agents[0], externality, samples=20_000, seed=3)
    assert abs(sampled.at(np.array([0.3]))[0] - fine) < 5.0 * sampled.error
    again = interim_function(CONTINUUM, PROBLEM.agents[0], externality, samples=20_000, seed=3)
    assert sampled.at(np.array([0.3]))[0] == again.at(np.array([0.3]))[0]


def test_agv_balances_at_every_profile_whatever_the_expectations_are():
    rng = np.random.default_rng(0)
    problem = QuadraticAggregate(5.0, 3)
    prior = ProductPrior({n: TruncatedNormal(0.1, 1.0, mean=0.4, sd=0.2) for n in problem.agents})
    rule = ExpectedExternality(prior, order=4).bind(problem)
    types = [rng.uniform(0.1, 1.0, 200) for _ in range(3)]
    assert np.abs(rule.transfers(types, problem.solve(types)).sum(axis=1)).max() < 1e-12


def test_agv_utility_differences_are_the_groves_ones_in_expectation():
    # E[u_i(report)] - E[u_i(truth)] must be E[-L(report)] - E[-L(truth)], by direct enumeration
    mechanism = PriceMechanism(PROBLEM, ExpectedExternality(FINITE), prior=FINITE)
    a, b = PROBLEM.agents
    for true in TYPES:
        for report in TYPES:
            gain = loss = 0.0
            for w in TYPES:
                told = utilities(mechanism, {a: true, b: w}, {a: true, b: w})[a]
                lied = utilities(mechanism, {a: report, b: w}, {a: true, b: w})[a]
                gain += (lied - told) / 5
                best = mechanism.welfare(mechanism.outcome({a: true, b: w}), {a: true, b: w})
                loss += (mechanism.welfare(mechanism.outcome({a: report, b: w}), {a: true, b: w}) - best) / 5
            assert gain == pytest.approx(loss, abs=1e-11)
            assert gain <= 1e-11


def test_without_the_system_loss_type_055_wants_to_report_089():
    mechanism = PriceMechanism(PROBLEM, ExpectedExternality(CONTINUUM, include_system_loss=False), prior=CONTINUUM)
    a, b = PROBLEM.agents
    points, weights = CONTINUUM.marginals[b].quadrature(40)
    reports = np.linspace(0.1, 1.0, 181)
    profile = {a: np.repeat(reports, 40), b: np.tile(points, 181)}
    outcomes = mechanism.outcomes(profile)
    utility = (mechanism.values(a, outcomes, np.full(181 * 40, 0.55)) - outcomes.payments[a]).reshape(181, 40) @ weights
    assert reports[np.argmax(utility)] == pytest.approx(0.89, abs=0.006)


@pytest.mark.parametrize("minded", [False, True])
def test_myerson_transfers_equal_a_linear_program_over_all_bic_and_ir_transfers(minded):
    masses = [[0.3, 0.1, 0.2, 0.3, 0.1], [0.2] * 5]
    values = [0.1, 0.2, 0.3, 0.4, 0.5] if minded else TYPES
    if minded:
        masses[0] = [0.25, 0.25, 0.2, 0.2, 0.1]
    prior = ProductPrior({n: FinitePrior(values, m) for n, m in zip(PROBLEM.agents, masses, strict=True)})
    rule = Myerson(prior, revenue_minded=minded).bind(PROBLEM)
    for i, name in enumerate(PROBLEM.agents):
        other = 1 - i
        cost = np.zeros((5, 5))  # true type k doing what report r is asked for
        for r, report in enumerate(values):
            types = [np.array(values), np.array(values)]
            types[i] = np.full(5, report)
            x = rule.plan(types)[:, i]
            for k, true in enumerate(values):
                cost[k, r] = true * (x**2 @ np.array(masses[other]))
        rows, limits = [], []
        for k in range(5):
            for r in range(5):
                if r != k:
                    row = np.zeros(5)
                    row[r], row[k] = 1.0, -1.0
                    rows.append(row)
                    limits.append(cost[k, r] - cost[k, k])
        answer = linprog(masses[i], A_ub=rows, b_ub=limits, bounds=[(c, None) for c in np.diag(cost)], method="highs")
        reports = [np.array(values), np.array(values)]
        paid = rule.transfers(reports, rule.plan(reports))[:, i]
        assert paid @ np.array(masses[i]) == pytest.approx(answer.fun, abs=1e-9), name


def test_myerson_on_a_continuum_pays_the_rent_by_its_definition():
    rule = Myerson(CONTINUUM).bind(PROBLEM)
    points, weights = np.polynomial.legendre.leggauss(64)
    others, weights = 0.55 + 0.45 * points, weights / 2.0

    def square(theta):
        return PROBLEM.solve([np.full(64, theta), others])[:, 0] ** 2 @ weights

    for theta in (0.1, 0.4, 0.9, 1.0):
        nodes = theta + (1.0 - theta) * 0.5 * (points + 1.0)
        rent = sum(w * square(t) for t, w in zip(nodes, weights, strict=True)) * (1.0 - theta)
        paid = rule.transfers([np.array([theta])] * 2, np.zeros((1, 2)))[0, 0]
        assert paid == pytest.approx(theta * square(theta) + rent, abs=10 * rule.accuracy + 1e-9)
        assert abs(paid - rent) > 1e-3  # the rent alone is not the transfer


def test_revenue_minded_plans_cost_the_planner_less_and_everybody_more():
    points, weights = FINITE.quadrature(1)
    types = [points[n] for n in PROBLEM.agents]
    outlay, loss = [], []
    for minded in (False, True):
        rule = Myerson(FINITE, revenue_minded=minded).bind(PROBLEM)
        x = rule.plan(types)
        outlay.append(weights @ (PROBLEM.system_loss(x) + rule.transfers(types, x).sum(axis=1)))
        loss.append(weights @ (PROBLEM.system_loss(x) + sum(PROBLEM.cost(i, x[:, i], types[i]) for i in range(2))))
    assert outlay[1] < outlay[0] - 0.1
    assert loss[1] > loss[0] + 0.1


def test_posted_expectation_figures_of_c17(five):
    problem, true, _ = five
    spaces = {n: Interval(0.01, 10.0) for n in true}

    def excess(planned, actual):
        mechanism = PriceMechanism(problem, PostedExpectation({**true, problem.agents[0]: planned}), spaces)
        types = {**true, problem.agents[0]: actual}
        best = PriceMechanism(problem, Linear(), spaces)
        return best.welfare(best.outcome(types), types) - mechanism.welfare(mechanism.outcome(types), types)

    assert excess(0.1, 0.3) == pytest.approx(1.185692, abs=1e-6)
    assert excess(0.2, 0.3) == pytest.approx(0.123561, abs=1e-6)
    assert excess(0.2, 0.1) == pytest.approx(0.259199, abs=1e-6)
    assert excess(0.1, 0.1) == pytest.approx(0.0, abs=1e-12)
    from_prior = PostedExpectation(ProductPrior({n: FinitePrior([v]) for n, v in true.items()}))
    assert from_prior.expected == true


def test_vector_types_go_report_by_report():
    problem = ConvexProblem(lambda x: (x.sum() - 2.0) ** 2, lambda x, w: w[0] * x**2 + w[1] * x, ["a", "b"], low=-5.0, high=5.0)
    prior = ProductPrior({n: Uniform(Box([0.2, 0.0], [1.0, 0.5])) for n in problem.agents})
    rule = ExpectedExternality(prior, order=3).bind(problem)
    types = [np.array([[0.3, 0.1], [0.9, 0.2]]), np.array([[0.5, 0.4], [0.4, 0.0]])]
    paid = rule.transfers(types, problem.solve(types))
    assert np.abs(paid.sum(axis=1)).max() < 1e-12
    assert np.abs(paid).max() > 0.01


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: ExpectedExternality(ProductPrior({"a": FinitePrior([1.0])})), "two agents"),
        (lambda: ExpectedExternality(ProductPrior({"a": FinitePrior([1.0]), "b": FinitePrior([1.0])})).bind(PROBLEM), "prior over"),
        (lambda: Myerson(ProductPrior({"a": FinitePrior([1.0]), "b": FinitePrior([1.0])})).bind(PROBLEM), "prior over"),
        (lambda: PostedExpectation({"agent 1": 0.2}).bind(PROBLEM), "none for"),
        (lambda: interim_function(FINITE, "nobody", externality), "unknown agent"),
        (lambda: interim_function(FINITE, "agent 1", externality).at(np.array([0.2])), "not one of the types"),
        (lambda: interim_function(CONTINUUM, "agent 1", externality, order=4).at(np.array([2.0])), "support"),
        (
            lambda: Myerson(
                ProductPrior({n: FinitePrior([0.1, 0.5, 0.6], [0.5, 0.01, 0.49]) for n in PROBLEM.agents}), revenue_minded=True
            ).bind(PROBLEM),
            "ironing",
        ),
    ],
)
def test_bad_calls_are_refused_with_words(call, words):
    with pytest.raises(InputError, match=words):
        call()


def test_costs_that_fall_with_the_type_are_refused_by_myerson():
    problem = ConvexProblem(lambda x: (x.sum() - 2.0) ** 2, lambda x, w: x**2 / w, PROBLEM.agents, low=-5.0, high=5.0)
    with pytest.raises(InputError, match="reverse the type"):
        Myerson(FINITE).bind(problem)
