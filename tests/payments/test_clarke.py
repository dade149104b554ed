from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hurwicz._foundation import InputError, NotConvergedError, NotFiniteError, ShapeError
from hurwicz.prices.payments import (
    Clarke,
    ConvexProblem,
    Linear,
    OwnPath,
    QuadraticAggregate,
    aggregate_clarke_transfers,
    clarke_pivot_transfer,
    clarke_transfer_by_prices,
    linear_transfer,
    own_path_transfer,
    own_path_transfer_by_prices,
    path_integral,
    planner_keeps,
    total_loss,
)


def test_figures_of_c4_by_every_route(five):
    problem, _, types = five
    x = problem.solve(types)
    resolve = Clarke().bind(problem).transfers(types, x)[0]
    prices = Clarke("prices").bind(problem).transfers(types, x)[0]
    aggregate = aggregate_clarke_transfers([t[0] for t in types], 7.461)
    assert resolve[0] == pytest.approx(3.19696, abs=5e-6)
    assert np.abs(prices - resolve).max() < 1e-12
    assert np.abs(aggregate.transfers - resolve).max() < 1e-12
    linear = Linear().bind(problem).transfers(types, x)[0]
    assert linear[0] == pytest.approx(2.26581, abs=5e-6)
    assert linear[0] == pytest.approx(linear_transfer(problem.price(x)[0, 0], x[0, 0]))
    assert np.abs(aggregate.linear - linear).max() < 1e-12
    assert resolve.sum() == pytest.approx(5.966, abs=5e-4)
    assert linear.sum() == pytest.approx(4.796, abs=5e-4)
    assert sum(float(problem.cost(i, x[:, i], types[i])[0]) for i in range(5)) == pytest.approx(2.398, abs=5e-4)
    away = problem.solve_holding(0, np.zeros(1), types)
    pivot = clarke_pivot_transfer(
        total_loss(problem, away, types)[0], total_loss(problem, x, types)[0], problem.cost(0, x[:, 0], types[0])[0]
    )
    assert pivot == pytest.approx(resolve[0], abs=1e-12)


def test_a_path_integral_of_one_agent_is_its_pivot(five):
    problem, _, types = five
    x = problem.solve(types)
    found = clarke_transfer_by_prices(lambda xi: problem.price(problem.solve_holding(0, xi[None], types))[0, 0], 0.0, x[0, 0])
    assert found.value == pytest.approx(3.19696336, abs=1e-8)
    assert found.error < 1e-12


@settings(deadline=None, max_examples=80)
@given(st.integers(0, 10**6))
def test_three_routes_to_clarke_agree_with_capacities_signs_and_opt_outs(instance, seed):
    problem, lam = instance(seed)
    types = [np.array([v]) for v in lam]
    x = problem.solve(types)
    resolve = Clarke().bind(problem).transfers(types, x)[0]
    prices = Clarke("prices", order=3).bind(problem).transfers(types, x)[0]
    found = aggregate_clarke_transfers(
        lam,
        problem.target,
        weight=problem.weight,
        coefficients=problem.coefficients,
        low=problem.low,
        high=problem.high,
        opt_out=problem.opt_out,
    )
    assert np.abs(found.actions - x[0]).max() < 1e-9
    assert np.abs(found.transfers - resolve).max() < 1e-9
    assert np.abs(prices - resolve).max() < 1e-9


def test_small_transfers_among_many_agents_keep_their_digits():
    rng = np.random.default_rng(1)
    lam, high = rng.uniform(0.1, 1.0, 3000), rng.uniform(0.0, 0.5, 3000)
    found = aggregate_clarke_transfers(lam, 300.0, low=0.0, high=high)
    for i in (0, 17, 2999):
        keep = np.arange(3000) != i
        without = aggregate_clarke_transfers(lam[keep], 300.0, low=0.0, high=high[keep])

        def others(result, kept, lam=lam):
            return (result.actions.sum() - 300.0) ** 2 + lam[kept] @ result.actions**2

        all_others = (found.actions.sum() - 300.0) ** 2 + lam[keep] @ found.actions[keep] ** 2
        assert found.transfers[i] == pytest.approx(others(without, keep) - all_others, abs=1e-8)
        assert found.transfers[i] >= found.linear[i] - 1e-15


def test_kinks_that_are_not_declared_cost_halvings_and_declared_ones_none():
    problem = QuadraticAggregate(4.0, 3, low=0.0, high=[3.0, 2.0, 0.8])
    types = [np.array([0.3]), np.array([0.2]), np.array([0.5])]
    x = problem.solve(types)
    exact = Clarke().bind(problem).transfers(types, x)[0, 0]

    def price_of(xi):
        return problem.price(problem.solve_holding(0, xi[None], types))[0, 0]

    cuts = tuple(problem.kinks(0, np.zeros(1), x[:, 0], types)[0])
    declared = clarke_transfer_by_prices(price_of, 0.0, x[0, 0], breakpoints=cuts)
    blind = clarke_transfer_by_prices(price_of, 0.0, x[0, 0], tolerance=1e-10)
    assert declared.value == pytest.approx(exact, abs=1e-12)
    assert blind.value == pytest.approx(exact, abs=1e-8)
    assert declared.evaluations < blind.evaluations
    nodes, weights = np.polynomial.legendre.leggauss(8)
    naive = sum(w * price_of(np.asarray(0.5 * x[0, 0] * (1 + t))) for t, w in zip(nodes, weights, strict=True)) * 0.5 * x[0, 0]
    assert abs(naive - exact) > 1e-7  # eight nodes across a kink are not enough: hence the splitting


def test_quartic_costs_by_prices_and_by_solving_again():
    problem = ConvexProblem(lambda x: (x.sum() - 3.0) ** 2, lambda x, w: w * x**4, 3, low=-9.0, high=9.0)
    types = [np.array([0.1, 0.7]), np.array([0.5, 0.2]), np.array([1.0, 0.3])]
    x = problem.solve(types)
    resolve = Clarke().bind(problem).transfers(types, x)
    prices = Clarke("prices", order=6).bind(problem).transfers(types, x)
    assert np.abs(prices - resolve).max() < 1e-9


def test_own_path_by_prices_and_by_differences(five):
    problem, _, types = five
    x = problem.solve(types)[0]
    rule = OwnPath().bind(problem).transfers(types, x[None])[0]

    def loss(z):
        return (z.sum() - 7.461) ** 2

    for i in range(5):

        def price_of(xi, i=i):
            moved = x.copy()
            moved[i] = xi
            return -2.0 * (moved.sum() - 7.461)

        assert own_path_transfer(loss, x, i) == pytest.approx(rule[i], abs=1e-12)
        assert own_path_transfer_by_prices(price_of, 0.0, x[i]).value == pytest.approx(rule[i], abs=1e-12)


def test_substitutes_leave_the_planner_a_gain_and_complements_cost_it_twice(five):
    problem, _, types = five
    x = problem.solve(types)
    empty = float(problem.system_loss(np.zeros((1, 5)))[0])
    gain = empty - total_loss(problem, x, types)[0]
    without = [empty - total_loss(problem, problem.solve_holding(i, np.zeros(1), types), types)[0] for i in range(5)]
    kept = planner_keeps(gain, without)
    paid = Clarke().bind(problem).transfers(types, x)[0].sum()
    assert kept == pytest.approx(empty - float(problem.system_loss(x)[0]) - paid, abs=1e-9)
    assert kept > 0.0
    assert planner_keeps(9.0, [0.0, 0.0]) == -9.0  # S = -10 x1 x2: two agents, each pivotal for all of W


@pytest.mark.parametrize("order", [3, 4, 8])
def test_path_integrals_are_exact_for_polynomials_and_state_their_error(order):
    found = path_integral(lambda x: 3.0 * x**2, 1.0, 2.0, order=order)
    assert found.value == pytest.approx(7.0, abs=1e-12)
    sharp = path_integral(lambda x: np.abs(x - 0.3), 0.0, 1.0, order=order, tolerance=1e-9)
    assert abs(sharp.value - 0.29) <= 1e-8
    reverse = path_integral(lambda x: np.abs(x - 0.3), 1.0, 0.0, order=order, tolerance=1e-9)
    assert reverse.value == pytest.approx(-sharp.value, abs=1e-8)


def test_vector_paths_follow_the_straight_line():
    found = path_integral(lambda x: np.array([x[1], x[0]]), [0.0, 0.0], [2.0, 3.0])
    assert found.value == pytest.approx(6.0, abs=1e-12)
    assert path_integral(lambda x: x, [1.0], [1.0]).evaluations == 0


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: path_integral(lambda x: x, 0.0, 1.0, order=2), InputError, "order >= 3"),
        (lambda: path_integral(lambda x: x, 0.0, 1.0, breakpoints=(1.5,)), InputError, "breakpoints"),
        (lambda: path_integral(lambda x: np.array([x, x]), 0.0, 1.0), ShapeError, "shape"),
        (lambda: path_integral(lambda x: x * np.nan, 0.0, 1.0), NotFiniteError, "finite prices"),
        (lambda: path_integral(lambda x: np.sign(x - 1 / 3) * 1e6, 0.0, 1.0, limit=5), NotConvergedError, "breakpoints"),
        (lambda: Clarke("guess"), InputError, "route"),
        (lambda: aggregate_clarke_transfers([], 1.0), InputError, "at least one agent"),
        (lambda: aggregate_clarke_transfers([1.0, -1.0], 1.0), InputError, "types > 0"),
        (lambda: aggregate_clarke_transfers([1.0], 1.0, low=1.0, high=0.0), InputError, "low <= high"),
        (lambda: own_path_transfer(np.sum, [1.0], 3), InputError, "agent from 0 to 0"),
    ],
)
def test_bad_calls_are_refused_with_words(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_undeclared_kinks_are_refused_on_the_batched_route_by_prices():
    problem = ConvexProblem(lambda x: (x.sum() - 4.0) ** 2, lambda x, w: w * x**2, 3, low=0.0, high=[3.0, 2.0, 0.8])
    types = [np.array([0.3]), np.array([0.2]), np.array([0.5])]
    with pytest.raises(InputError, match="kinks that are not declared"):
        Clarke("prices").bind(problem).transfers(types, problem.solve(types))


def test_transfers_do_not_depend_on_who_else_is_in_the_batch(five):
    problem, _, _ = five
    rows = np.asarray(list(itertools.product([0.1, 0.6], repeat=5)))
    together = Clarke("prices").bind(problem).transfers(list(rows.T), problem.solve(list(rows.T)))
    for k in (0, 13, 31):
        one = [np.array([v]) for v in rows[k]]
        assert np.abs(Clarke("prices").bind(problem).transfers(one, problem.solve(one))[0] - together[k]).max() < 1e-12
