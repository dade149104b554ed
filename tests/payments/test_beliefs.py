from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hurwicz._foundation import InputError
from hurwicz.audits import audit
from hurwicz.prices.beliefs import identify, learn_types, update
from hurwicz.prices.direct import PriceMechanism
from hurwicz.prices.payments import Clarke, Linear, QuadraticAggregate
from hurwicz.typespaces import Box, Finite, FinitePrior, Interval, ProductPrior, TruncatedNormal, Uniform

SPACE = Interval(0.05, 2.0)


def marginal(x, w):
    return 2.0 * w * x


@settings(deadline=None, max_examples=60)
@given(st.floats(0.05, 2.0), st.floats(0.1, 10.0), st.sampled_from([-1.0, 1.0]))
def test_one_answer_settles_a_one_parameter_cost(theta, price, sign):
    found = identify(marginal, sign * price, sign * price / (2.0 * theta), SPACE)
    assert found.exact
    assert found.low == pytest.approx(theta, rel=1e-12)


@settings(deadline=None, max_examples=60)
@given(st.floats(0.05, 2.0), st.floats(0.1, 4.0))
def test_an_answer_at_a_bound_leaves_the_right_interval(theta, price):
    cap = 1.0
    answer = min(cap, price / (2.0 * theta))
    found = identify(marginal, price, answer, SPACE, low=0.0, high=cap)
    assert found.low - 1e-12 <= theta <= found.high + 1e-12
    if answer == cap and price / 2.0 < SPACE.high:
        assert not found.exact or SPACE.low == found.low
        assert found.high == pytest.approx(max(price / 2.0, SPACE.low), rel=1e-9)


def test_answers_that_no_type_gives_are_named():
    with pytest.raises(InputError, match="no type in"):
        identify(marginal, 1.0, 100.0, SPACE)
    with pytest.raises(InputError, match="changes with the type"):
        identify(marginal, 1.0, 0.0, SPACE)


def test_bayes_rule_on_finite_and_continuous_priors():
    posterior = update(FinitePrior([0.1, 0.3, 0.5], [0.2, 0.3, 0.5]), lambda w: np.array([1.0, 0.5, 0.0]))
    assert np.allclose(posterior.probabilities, [0.2 / 0.35, 0.15 / 0.35])
    noise = 0.05
    seen = update(Uniform(Interval(0.0, 1.0)), lambda w: np.exp(-0.5 * ((w - 0.4) / noise) ** 2))
    exact = TruncatedNormal(0.0, 1.0, mean=0.4, sd=noise)
    assert float(seen.mean) == pytest.approx(exact.mean, abs=1e-8)
    with pytest.raises(InputError, match="possible"):
        update(FinitePrior([0.1, 0.3]), lambda w: 0.0 * w)


def test_c14s_loss_is_gone_in_the_second_round(five):
    problem, true, _ = five
    actual = {**true, "agent 1": 0.3}
    respond = {n: (lambda p, w=w: p / (2.0 * w)) for n, w in actual.items()}
    spaces = dict.fromkeys(true, SPACE)
    rounds = learn_types(problem, {**true, "agent 1": 0.1}, respond, marginal, spaces, actual, rounds=3)
    assert rounds[0].loss == pytest.approx(4.7771, abs=5e-5)
    assert rounds[0].excess == pytest.approx(1.185692, abs=1e-6)
    assert rounds[1].excess == pytest.approx(0.0, abs=1e-12)
    assert rounds[2].beliefs["agent 1"] == pytest.approx(0.3, abs=1e-13)
    # the prior's means and finite type spaces do as well
    prior = ProductPrior({n: Uniform(Interval(0.05, 0.75)) for n in true})
    grids = {n: Finite([0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]) for n in true}
    assert learn_types(problem, prior, respond, marginal, grids, actual)[1].excess == pytest.approx(0.0, abs=1e-12)


def test_capacities_leave_beliefs_where_the_answer_allows_them():
    problem = QuadraticAggregate(4.0, 2, low=0.0, high=[0.5, 5.0])
    true = {"agent 1": 0.2, "agent 2": 0.6}
    respond = {n: (lambda p, w=w, cap=cap: min(cap, p / (2.0 * w))) for (n, w), cap in zip(true.items(), (0.5, 5.0), strict=True)}
    rounds = learn_types(
        problem, {"agent 1": 0.1, "agent 2": 0.3}, respond, marginal, dict.fromkeys(true, SPACE), true, bounds=[(0.0, 0.5), (0.0, 5.0)]
    )
    assert rounds[1].beliefs["agent 1"] == 0.1  # at its capacity either way: the old belief stands
    assert rounds[1].excess == pytest.approx(0.0, abs=1e-12)
    with pytest.raises(InputError, match="scalar types"):
        learn_types(problem, true, respond, marginal, dict.fromkeys(true, Box([0.1], [1.0])), true)


def test_strategic_agents_shade_what_the_update_believes_and_clarke_closes_it(five):
    problem, true, _ = five
    # an agent that answers the first prices as type .182 is believed, and paid linear prices for the second plan gains
    spaces = dict.fromkeys(true, SPACE)
    shading = {n: (lambda p, w=(0.182 if n == "agent 1" else w): p / (2.0 * w)) for n, w in true.items()}
    rounds = learn_types(problem, {**true, "agent 1": 0.15}, shading, marginal, spaces, true)
    assert rounds[1].beliefs["agent 1"] == pytest.approx(0.182, abs=1e-12)
    assert rounds[1].excess > 0.1
    linear = PriceMechanism(problem, Linear(), spaces)
    clarke = PriceMechanism(problem, Clarke(), spaces)
    (found,) = audit(linear, ["DSIC"], at=[true], effort="quick")
    assert found.verdict.value == "refuted"
    assert found.witness.agent == "agent 1"
    (closed,) = audit(clarke, ["DSIC"], at=[true], effort="quick")
    assert closed.verdict.value == "not_refuted"
