from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hurwicz._foundation import InputError, NotConvergedError
from hurwicz.prices.direct import PriceMechanism, action_game_gain, best_report, reports_equilibrium, utilities
from hurwicz.prices.payments import (
    Clarke,
    ConvexProblem,
    ExpectedExternality,
    Linear,
    Myerson,
    OwnPath,
    PostedExpectation,
    QuadraticAggregate,
    Unpaid,
)
from hurwicz.typespaces import Box, Finite, Interval, ProductPrior, Uniform


def mechanisms():
    problem = QuadraticAggregate(3.0, 3, low=0.0, high=[0.9, 5.0, 5.0])
    prior = ProductPrior({n: Uniform(Interval(0.1, 1.0)) for n in problem.agents})
    rules = [
        Linear(),
        OwnPath(),
        Clarke(),
        Clarke("prices", order=3),
        ExpectedExternality(prior, order=3),
        PostedExpectation(prior),
        Myerson(prior, order=3),
        Unpaid(),
    ]
    return [PriceMechanism(problem, rule, prior=prior) for rule in rules]


@pytest.mark.parametrize("mechanism", mechanisms(), ids=lambda m: f"{m.rule.name}")
def test_a_batch_is_its_profiles_one_by_one(mechanism):
    rng = np.random.default_rng(0)
    batch = {n: rng.uniform(0.1, 1.0, 6) for n in mechanism.agents}
    outcomes = mechanism.outcomes(batch)
    welfare = mechanism.welfares(outcomes, batch)
    own = mechanism.planner_values(outcomes)
    assert np.all(mechanism.welfare_bounds(batch) >= welfare - 1e-9)
    for k in range(6):
        profile = {n: v[k] for n, v in batch.items()}
        one = mechanism.outcome(profile)
        for n in mechanism.agents:
            assert one.payments[n] == pytest.approx(outcomes.payments[n][k], abs=1e-10)
            assert one.allocation[n] == pytest.approx(outcomes.allocation[n][k], abs=1e-12)
            assert mechanism.value(n, one, profile[n]) == pytest.approx(mechanism.values(n, outcomes, batch[n])[k], abs=1e-12)
        assert mechanism.welfare(one, profile) == pytest.approx(welfare[k], abs=1e-12)
        assert mechanism.planner_value(one) == pytest.approx(own[k], abs=1e-12)
        # money is only moved: utilities, the planner's included, sum to the welfare gain
        total = sum(utilities(mechanism, profile, profile).values()) + own[k] + sum(one.payments.values())
        empty = float(mechanism.problem.system_loss(np.zeros((1, 3)))[0])
        assert total == pytest.approx(welfare[k] + empty, abs=1e-9)


def test_linear_prices_on_c4(five):
    problem, true, _ = five
    mechanism = PriceMechanism(problem, Linear(), {n: Interval(0.01, 2.0) for n in true})
    lie = best_report(mechanism, "agent 1", true, 0.1)
    assert lie == pytest.approx(0.182, abs=5e-4)
    told = utilities(mechanism, true, true)["agent 1"]
    lied = utilities(mechanism, {**true, "agent 1": lie}, true)["agent 1"]
    assert lied / told - 1.0 == pytest.approx(0.256, abs=5e-4)
    nash = reports_equilibrium(mechanism, true)
    assert nash.stats["excess_loss"] == pytest.approx(0.066, abs=5e-4)
    assert max(nash.stats["best_gains"].values()) < 1e-9
    truth = reports_equilibrium(PriceMechanism(problem, Clarke(), {n: Interval(0.01, 2.0) for n in true}), true, tolerance=1e-3)
    assert truth.stats["excess_loss"] < 1e-6


@settings(deadline=None, max_examples=15)
@given(st.integers(2, 30), st.floats(0.02, 2.0), st.floats(0.5, 50.0))
def test_symmetric_gain_under_linear_prices_has_its_closed_form(count, lam, target):
    problem = QuadraticAggregate(target, count)
    mechanism = PriceMechanism(problem, Linear(), {n: Interval(lam, 50.0 * lam + 2.0) for n in problem.agents})
    truth = dict.fromkeys(problem.agents, lam)
    lie = best_report(mechanism, "agent 1", truth, lam)
    told = utilities(mechanism, truth, truth)["agent 1"]
    lied = utilities(mechanism, {**truth, "agent 1": lie}, truth)["agent 1"]
    assert lied / told - 1.0 == pytest.approx(1.0 / ((count + lam) ** 2 - 1.0), rel=1e-5)


def test_own_path_manipulation_on_c4(five):
    problem, true, _ = five
    mechanism = PriceMechanism(problem, OwnPath(), {n: Interval(1e-4, 2.0) for n in true})
    reports = {**true, "agent 1": 1.2e-4}
    assert utilities(mechanism, true, true)["agent 1"] == pytest.approx(12.46, abs=5e-3)
    assert utilities(mechanism, reports, true)["agent 1"] == pytest.approx(49.96, abs=1e-2)
    assert -mechanism.welfare(mechanism.outcome(reports), true) == pytest.approx(5.55, abs=5e-3)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.floats(-5.0, 5.0))
def test_own_path_payments_make_an_exact_potential_game(instance, seed, deviation):
    problem, lam = instance(seed)
    types = dict(zip(problem.agents, lam, strict=True))
    rng = np.random.default_rng(seed)
    actions = rng.normal(size=len(lam))
    gain, fall = action_game_gain(problem, types, actions, int(rng.integers(len(lam))), np.asarray(deviation))
    assert gain == pytest.approx(fall, abs=1e-9 * (1.0 + abs(fall)))


def test_bad_calls_are_refused_with_words(five):
    problem, true, _ = five
    with pytest.raises(InputError, match="got neither"):
        PriceMechanism(problem, Linear())
    with pytest.raises(InputError, match="type spaces for"):
        PriceMechanism(problem, Linear(), {"agent 1": Interval(0.1, 1.0)})
    mechanism = PriceMechanism(problem, Linear(), {n: Interval(0.01, 2.0) for n in true})
    with pytest.raises(NotConvergedError, match="after 2 turns"):
        reports_equilibrium(mechanism, true, limit=2)
    vectors = ConvexProblem(lambda x: x.sum() ** 2, lambda x, w: w[0] * x**2 + w[1] * x, 1, low=-1.0, high=1.0)
    with pytest.raises(InputError, match="scalar types"):
        best_report(PriceMechanism(vectors, Linear(), {"agent 1": Box([0.1, 0.0], [1.0, 1.0])}), "agent 1", {}, None)


def test_finite_spaces_have_finite_best_reports(five):
    problem, true, _ = five
    mechanism = PriceMechanism(problem, Linear(), {n: Finite(sorted({v, 0.18, 0.7})) for n, v in true.items()})
    assert best_report(mechanism, "agent 1", true, 0.1) == 0.18
