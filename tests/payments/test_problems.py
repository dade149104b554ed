from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from hurwicz._foundation import InputError, NotConvergedError
from hurwicz.prices.payments import AllocationProblem, ConvexProblem, QuadraticAggregate, total_loss


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6))
def test_closed_form_equals_a_bounded_quasi_newton_search(instance, seed):
    problem, lam = instance(seed)
    types = [np.array([v]) for v in lam]
    x = problem.solve(types)[0]

    def loss(z):
        return problem.weight * (z @ problem.coefficients - problem.target) ** 2 + lam @ (z * z - problem.opt_out**2)

    def slope(z):
        return 2.0 * problem.weight * (z @ problem.coefficients - problem.target) * problem.coefficients + 2.0 * lam * z

    start = np.clip(np.zeros(len(lam)), problem.low, problem.high)
    other = minimize(
        loss, start, jac=slope, bounds=list(zip(problem.low, problem.high, strict=True)), method="L-BFGS-B", options={"ftol": 1e-15}
    )
    assert loss(x) <= other.fun + 1e-9
    assert np.all((x >= problem.low - 1e-12) & (x <= problem.high + 1e-12))
    assert total_loss(problem, x[None], types)[0] == pytest.approx(loss(x), rel=1e-12, abs=1e-12)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6))
def test_loss_bound_is_a_bound_everywhere_and_tight_at_the_optimum(instance, seed):
    problem, lam = instance(seed)
    types = [np.array([v]) for v in lam]
    best = problem.solve(types)
    least = total_loss(problem, best, types)[0]
    assert problem.loss_bound(best, types)[0] == pytest.approx(least, abs=1e-9)
    rng = np.random.default_rng(seed)
    anywhere = np.clip(best + rng.normal(size=best.shape), problem.low, problem.high)
    assert problem.loss_bound(anywhere, types)[0] <= least + 1e-9


def test_general_route_agrees_with_the_closed_form_and_its_gradient_with_differences():
    high = [0.5, 2.0, 2.0]
    closed = QuadraticAggregate(3.0, 3, low=0.0, high=high)
    general = ConvexProblem(lambda x: (x.sum() - 3.0) ** 2, lambda x, w: w * x**2, 3, low=0.0, high=high)
    rng = np.random.default_rng(0)
    types = [rng.uniform(0.05, 1.0, 40) for _ in range(3)]
    x = general.solve(types)
    assert np.abs(x - closed.solve(types)).max() < 1e-10
    held = rng.uniform(0.0, 1.0, 40)
    assert np.abs(general.solve_holding(1, held, types) - closed.solve_holding(1, held, types)).max() < 1e-10
    assert np.abs(general.price(x) - closed.price(x)).max() < 1e-12
    assert np.abs(general.loss_bound(x, types) - total_loss(closed, x, types)).max() < 1e-9
    step = 1e-6
    shift = np.zeros_like(x)
    shift[:, 0] = step
    difference = -(general.system_loss(x + shift) - general.system_loss(x - shift)) / (2 * step)
    assert np.abs(general.price(x)[:, 0] - difference).max() < 1e-7
    assert isinstance(closed, AllocationProblem)
    assert isinstance(general, AllocationProblem)


def test_vector_actions_and_quartic_costs():
    problem = ConvexProblem(
        lambda x: ((x.sum(axis=0) - 2.0) ** 2).sum(), lambda x, w: w * (x**4).sum(), ["a", "b"], low=-5.0, high=5.0, dims=2
    )
    x = problem.solve([np.array([0.5, 1.0]), np.array([0.5, 2.0])])
    assert x.shape == (2, 2, 2)
    assert np.allclose(2 * (2.0 - x[0].sum(axis=0)), 4 * 0.5 * x[0, 0] ** 3, atol=1e-9)
    assert np.allclose(problem.price(x), 2 * (2.0 - x.sum(axis=1, keepdims=True)))


def test_without_convexity_the_search_starts_everywhere_and_certifies_nothing():
    problem = ConvexProblem(
        lambda x: (x[0] + x[1] - 10.0) ** 2 + 0.5 * x[0] * x[1], lambda x, w: 0.0 * x * w, 2, low=0.0, high=10.0, convex=False
    )
    types = [np.ones(1), np.ones(1)]
    x = problem.solve(types)
    assert total_loss(problem, x, types)[0] == pytest.approx(0.0, abs=1e-12)
    assert sorted(np.round(x[0], 9)) == [0.0, 10.0]
    assert problem.loss_bound(x, types)[0] == -np.inf


def test_a_loss_that_is_not_convex_is_refused_where_convexity_was_promised():
    problem = ConvexProblem(lambda x: -10.0 * x[0] * x[1], lambda x, w: w * x**2, 2, low=0.0, high=1.0)
    with pytest.raises(InputError, match="convex=False"):
        problem.solve([np.array([0.1]), np.array([0.1])])


def test_a_loss_without_a_minimum_is_named():
    problem = ConvexProblem(lambda x: -x.sum(), lambda x, w: 0.0 * w * x, 1, low=0.0, high=np.inf)
    with pytest.raises(NotConvergedError, match="projected gradient"):
        problem.solve([np.array([1.0])])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: QuadraticAggregate(1.0, 0), "at least one agent"),
        (lambda: QuadraticAggregate(1.0, ["a", "a"]), "different names"),
        (lambda: QuadraticAggregate(1.0, 2, weight=0.0), "weight > 0"),
        (lambda: QuadraticAggregate(float("nan"), 2), "finite target"),
        (lambda: QuadraticAggregate(1.0, 2, coefficients=[1.0, 0.0]), "other than 0"),
        (lambda: QuadraticAggregate(1.0, 2, low=2.0, high=1.0), "low <= high"),
        (lambda: QuadraticAggregate(1.0, 2).solve([np.array([0.0]), np.array([1.0])]), "lambda > 0"),
        (lambda: QuadraticAggregate(1.0, 2).solve([np.array([1.0])]), "types of 2 agents"),
        (lambda: ConvexProblem(lambda x: x.sum(), lambda x, w: x, 2, low=1.0, high=0.0), "low <= high"),
        (lambda: ConvexProblem(lambda x: x.sum(), lambda x, w: x, 2, low=-np.inf, high=0.0, convex=False), "finite bounds"),
        (lambda: ConvexProblem(lambda x: x.sum(), [lambda x, w: x], 2, low=0.0, high=1.0), "one cost or 2"),
    ],
)
def test_bad_problems_are_refused_with_words(make, words):
    with pytest.raises(InputError, match=words):
        make()


def test_bounds_on_one_side_of_some_agents_only():
    # the whole line of prices is one piece where nobody's bound is finite on the way
    problem = QuadraticAggregate(-10.0, 3, low=[-np.inf, 0.0, -np.inf], high=[np.inf, np.inf, 0.3])
    x = problem.solve([np.array([0.5])] * 3)[0]
    price = problem.price(x[None])[0]
    np.testing.assert_allclose(x, np.clip(price / (2 * 0.5), problem.low, problem.high), atol=1e-12)
    one = QuadraticAggregate(1.0, 2, low=[0.5, -np.inf], high=[0.5, np.inf])
    held = one.solve_holding(0, np.array([0.5]), [np.array([1.0]), np.array([1.0])])[0]
    assert held[1] == pytest.approx(0.25, abs=1e-14)
