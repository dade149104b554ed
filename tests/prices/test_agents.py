"""Best responses: closed form, Newton and projected searches against brute force and one another."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from hurwicz._foundation import InputError, NotFiniteError, ShapeError, SolverError
from hurwicz.prices import Ball, Box, DeclaredAgent, Offer, PopulationAgent, Projection, Simplex, WholeSpace
from hurwicz.valuations import PiecewiseLinear, Polynomial, Power, Quadratic, ZeroCost

MATRIX = jnp.asarray([[2.0, 0.5, 0.0], [0.5, 1.0, 0.2], [0.0, 0.2, 3.0]])


def curved(x, theta):
    return theta * x @ MATRIX @ x + jnp.sum(jnp.exp(0.3 * x))


def quartic(x, theta):
    return theta * x**4 + 0.1 * x


@given(price=st.floats(-3, 3), weight=st.sampled_from([0.0, 0.5, 4.0]), anchor=st.floats(-2, 2), theta=st.floats(0.05, 3))
@settings(deadline=None, max_examples=15)
def test_newton_in_one_dimension_against_a_grid(price, weight, anchor, theta):
    offer = Offer(price=np.array(price), anchor=np.array(anchor), weight=weight)
    grid = np.linspace(-1, 2, 30001)
    for cost, value in ((quartic, theta * grid**4 + 0.1 * grid), (Power(3.0), theta * np.abs(grid) ** 3)):
        answer = float(DeclaredAgent("a", cost, theta, Box(-1.0, 2.0)).respond(offer))
        total = value - price * grid + weight / 2 * (grid - anchor) ** 2
        assert abs(answer - grid[np.argmin(total)]) <= 2e-4 or abs(np.interp(answer, grid, total) - total.min()) < 1e-9


@pytest.mark.parametrize(
    "actions",
    [WholeSpace(), Box(-0.1, 0.3), Simplex(1.0), Ball(0.5), Projection(lambda x: x - jnp.maximum(x.sum() - 0.5, 0) / 3)],
    ids=lambda s: type(s).__name__,
)
@pytest.mark.parametrize("weight", [0.0, 2.0])
def test_vector_answers_satisfy_the_optimality_condition(actions, weight):
    agent = DeclaredAgent("a", curved, 0.4, actions, shape=(3,))
    price, anchor = np.array([1.0, -0.4, 2.0]), np.array([0.2, 0.0, -0.1])
    x = agent.respond(Offer(price=price, anchor=anchor, weight=weight))
    slope = np.asarray(2 * 0.4 * MATRIX @ x + 0.3 * jnp.exp(0.3 * x)) - price + weight * (x - anchor)
    assert np.asarray(actions.project(x - slope)) == pytest.approx(x, abs=1e-9)


def test_population_of_vectors_answers_like_its_members():
    theta = np.array([0.3, 0.7, 1.1])
    homes = PopulationAgent("homes", curved, theta, Box(-0.1, 0.6), member_shape=(3,))
    price = np.random.default_rng(0).normal(size=(3, 3))
    answer = homes.respond(Offer(price=price))
    for k in range(3):
        alone = DeclaredAgent("one", curved, theta[k], Box(-0.1, 0.6), shape=(3,)).respond(Offer(price=price[k]))
        assert answer[k] == pytest.approx(alone, abs=1e-11)
    assert homes.costs_at(answer).shape == (3,)
    assert homes.cost_at(answer) == pytest.approx(sum(float(curved(answer[k], theta[k])) for k in range(3)))


@pytest.mark.parametrize("cost", [Quadratic(), Power(4.0), quartic], ids=["quadratic", "power", "callable"])
def test_population_of_scalars_answers_like_its_members(cost):
    theta, cap = np.array([0.3, 0.7, 1.1]), np.array([0.1, 5.0, 0.2])
    homes = PopulationAgent("homes", cost, theta, Box(0.0, cap))
    answer, slope = homes.respond_with_slope(Offer(price=np.full(3, 0.9)))
    step = 1e-6
    for k in range(3):
        one = DeclaredAgent("one", cost, theta[k], Box(0.0, cap[k]))
        assert answer[k] == pytest.approx(float(one.respond(Offer(price=np.array(0.9)))), abs=1e-12)
        up, down = (float(one.respond(Offer(price=np.array(0.9 + s)))) for s in (step, -step))
        assert slope[k] == pytest.approx((up - down) / (2 * step), rel=1e-5, abs=1e-9)


def test_quadratic_on_a_simplex_with_unequal_curvature_against_a_solver():
    theta = np.array([0.3, 1.0, 2.0])
    price = np.array([0.4, 1.0, -0.5])
    answer = DeclaredAgent("a", Quadratic(), theta, Simplex(1.0), shape=(3,)).respond(Offer(price=price))
    found = minimize(
        lambda z: (theta * z**2).sum() - price @ z,
        np.full(3, 1 / 3),
        bounds=[(0, None)] * 3,
        constraints={"type": "eq", "fun": lambda z: z.sum() - 1},
        options={"ftol": 1e-15},
    )
    assert answer == pytest.approx(found.x, abs=1e-6)
    assert answer.sum() == pytest.approx(1.0, abs=1e-14)


def test_gradient_step_is_the_papers():
    agent = DeclaredAgent("a", Quadratic(), 0.5, Box(0.0, 2.0))
    x = agent.respond(Offer(price=np.array(3.0), anchor=np.array(1.0), step=0.1))
    assert float(x) == pytest.approx(1.0 + 0.1 * (3.0 - 1.0))
    assert float(agent.respond(Offer(price=np.array(300.0), anchor=np.array(1.0), step=0.1))) == 2.0


def test_aggregate_and_slope_of_a_population():
    homes = PopulationAgent("homes", Quadratic(), np.array([0.5, 1.0, 2.0]), Box(0.0, np.array([1.0, 9.0, 9.0])))
    total, slope = homes.aggregate(2.0)
    assert float(total) == pytest.approx(1.0 + 1.0 + 0.5)
    assert float(slope) == pytest.approx(0.5 + 0.25)


def test_with_theta_is_another_type_of_the_same_agent():
    agent = DeclaredAgent("a", Quadratic(), 0.5)
    assert float(agent.with_theta(1.0).respond(Offer(price=np.array(2.0)))) == 1.0
    assert float(agent.respond(Offer(price=np.array(2.0)))) == 2.0


def test_opt_out_may_lie_outside_the_set():
    unit = DeclaredAgent("unit", Quadratic(), 1.0, Box(2.0, 5.0), opt_out=0.0)
    assert float(unit.opt_out) == 0.0
    assert not unit.actions.contains(unit.opt_out)


def test_costs_that_depend_on_inputs():
    agent = DeclaredAgent("a", lambda x, theta, inputs: theta * (x - inputs["weather"]) ** 2, 0.5, inputs_in_cost=True)
    assert float(agent.respond(Offer(price=np.array(1.0)), {"weather": np.array(3.0)})) == pytest.approx(4.0)
    assert agent.cost_at(4.0, {"weather": np.array(3.0)}) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: DeclaredAgent("a", None, 1.0), InputError, "agent 'a': expected a cost"),
        (lambda: DeclaredAgent("", Quadratic(), 1.0), InputError, "non-empty string"),
        (lambda: DeclaredAgent("a", Quadratic(), np.nan), NotFiniteError, "agent 'a': type"),
        (lambda: DeclaredAgent("a", quartic, np.inf), NotFiniteError, "agent 'a': type"),
        (lambda: DeclaredAgent("a", Quadratic(), 1.0, (0, 1)), InputError, "expected an action set"),
        (lambda: DeclaredAgent("a", Quadratic(), 1.0, Box(0.0, np.ones(2)), shape=(3,)), ShapeError, "do not fit"),
        (lambda: DeclaredAgent("a", Quadratic(), 1.0, opt_out=np.nan), NotFiniteError, "opt-out"),
        (lambda: PopulationAgent("p", Quadratic(), np.zeros(0)), InputError, "at least one member, got 0"),
        (lambda: PopulationAgent("p", Quadratic(), 1.0), ShapeError, "give size="),
        (lambda: PopulationAgent("p", Quadratic(), np.ones(3), size=4), ShapeError, "leading axis of 4"),
        (lambda: DeclaredAgent("a", PiecewiseLinear((0.0, 1.0)), [1.0, 2.0]), InputError, "expected 1 slopes"),
        (lambda: DeclaredAgent("a", Polynomial(), 1.0), InputError, "coefficients"),
    ],
)
def test_bad_agents_are_refused(build, error, message):
    with pytest.raises(error, match=message):
        build()


@pytest.mark.parametrize(
    ("offer", "message"),
    [
        (Offer(price=np.ones(2)), "expected shape"),
        (Offer(price=np.array(np.nan)), "finite"),
        (Offer(price=np.array(1.0), weight=1.0), "needs an anchor"),
        (Offer(price=np.array(1.0), anchor=np.array(0.0), weight=-1.0), "expected >= 0"),
        (Offer(price=np.array(1.0), anchor=np.array(0.0), step=0.0), "positive"),
    ],
)
def test_bad_offers_are_refused(offer, message):
    with pytest.raises(InputError, match=message):
        DeclaredAgent("a", Quadratic(), 1.0).respond(offer)


def test_unbounded_offers_are_named():
    with pytest.raises(NotFiniteError, match="agent 'free': no finite best response"):
        DeclaredAgent("free", ZeroCost(), 0.0).respond(Offer(price=np.array(1.0)))
    with pytest.raises(SolverError, match="unbounded"):
        DeclaredAgent("log", lambda x, theta: jnp.log1p(jnp.exp(x)), 0.0).respond(Offer(price=np.array(2.0)))
