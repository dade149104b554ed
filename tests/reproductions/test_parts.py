"""The parts that experiments are made of, each against a second route."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.optimize
from hypothesis import given, settings
from hypothesis import strategies as st

from hurwicz._foundation import InputError, NotConvergedError
from hurwicz.reproductions.mbi.beliefs import belief_losses, revealed_type
from hurwicz.reproductions.mbi.effort import drift_by_recursion, drifting_responses, satisficing_time
from hurwicz.reproductions.mbi.exhaustive import RippledLoss, global_minimum
from hurwicz.reproductions.mbi.incentives import best_linear_gain, best_linear_report, linear_equilibrium, pivot_transfers
from hurwicz.reproductions.mbi.instances import C2, C4, C7, Aggregate
from hurwicz.reproductions.mbi.paths import gradient_path
from hurwicz.reproductions.mbi.scale import SCALE, rounds_of, slope, step_seconds
from hurwicz.reproductions.mbi.stability import (
    averaging_error,
    clamped_stationary_loss,
    measured_step_limit,
    noisy_loss,
    stationary_loss,
)
from hurwicz.reproductions.mbi.trajectories import gradient_limit

curvatures = st.lists(st.floats(0.05, 5.0), min_size=2, max_size=6).map(np.array)


# ---- instances ----


@settings(deadline=None, max_examples=30)
@given(curvatures, st.floats(0.5, 20.0))
def test_optimum_in_closed_form(curvature, target) -> None:
    problem = Aggregate(curvature, target)
    n = curvature.size
    solved = np.linalg.solve(np.ones((n, n)) + np.diag(curvature), np.full(n, target))
    np.testing.assert_allclose(problem.optimum(), solved, rtol=1e-10)
    assert problem.optimal_loss() == pytest.approx(problem.loss(solved), rel=1e-10)
    assert problem.loss(solved + 0.1) > problem.optimal_loss()


def test_step_limit_of_c7() -> None:
    assert C7.step_limit() == pytest.approx(1 / (100 + 0.01), rel=1e-12)


# ---- gradient responses ----


def test_gradient_path_is_the_plain_recursion() -> None:
    x = np.array([0.3, 2.0, 0.0, 1.0, 0.5])
    path = gradient_path(C4, x, step=0.01, rounds=60, lower=0.0, keep=True)
    for t in range(60):
        assert path.losses[t] == pytest.approx(C4.loss(x), rel=1e-12)
        x = np.maximum(0.0, x - 0.01 * (2 * (x.sum() - C4.target) + 2 * C4.curvature * x))
        np.testing.assert_allclose(path.history[t + 1], x, atol=1e-13)
    np.testing.assert_allclose(path.actions, x, atol=1e-13)
    assert path.rounds_to(-1.0) is None


def test_gradient_limit_is_the_recursion() -> None:
    path = gradient_path(C4, np.zeros(5), step=0.005, rounds=700)
    np.testing.assert_allclose(path.actions, gradient_limit(C4, 0.005, 700), atol=1e-12)


@settings(deadline=None, max_examples=8)
@given(st.floats(0.02, 2.0), st.integers(2, 40))
def test_step_limit_measured_on_runs(weight, agents) -> None:
    problem = Aggregate(np.full(agents, weight), 3.0)
    assert measured_step_limit(problem) == pytest.approx(1 / (agents + weight), rel=1e-6)


def test_a_step_beyond_the_limit_diverges_and_one_below_does_not() -> None:
    limit = C7.step_limit()
    assert gradient_path(C7, np.ones(100), step=1.5 * limit, rounds=1000).diverged
    assert not gradient_path(C7, np.ones(100), step=0.99 * limit, rounds=1000).diverged


# ---- noise ----

STEP, VARIANCE = 0.01, 5e-6  # shorter memory than the paper's: the same formulas, ten times sooner
NOISY = Aggregate(np.full(20, 0.5), 4.0)


def test_noise_settles_where_the_formula_says() -> None:
    far = Aggregate(NOISY.curvature, 40.0)  # actions near 2: the clamp never acts
    runs = [noisy_loss(far, far.optimum(), step=STEP, variance=VARIANCE, rounds=400_000, tail=50_000, seed=seed) for seed in range(3)]
    expected = stationary_loss(far, step=STEP, variance=VARIANCE)
    error = averaging_error(far, step=STEP, variance=VARIANCE, rounds=390_000)
    for run in runs:
        assert run.clamped_share == 0.0
        assert run.clamped == pytest.approx(run.free, rel=1e-12)
        assert abs(run.free - expected) < 4 * error
        assert abs(run.free - far.optimal_loss()) > 40 * error  # the noise does show
    assert len({run.free for run in runs}) == 3


def test_error_of_an_average_is_what_it_says() -> None:
    ends = [
        noisy_loss(NOISY, NOISY.optimum(), step=STEP, variance=VARIANCE, rounds=12_000, tail=10_000, seed=seed).free_tail
        for seed in range(60)
    ]
    assert np.std(ends) == pytest.approx(averaging_error(NOISY, step=STEP, variance=VARIANCE, rounds=10_000), rel=0.35)


def test_clamp_shifts_the_loss_as_a_cut_gaussian_does() -> None:
    near = Aggregate(NOISY.curvature, 0.4)  # actions near .02, noise half as wide: the clamp acts often
    run = noisy_loss(near, near.optimum(), step=0.002, variance=4e-7, rounds=1_000_000, tail=100_000, seed=0)
    cut = clamped_stationary_loss(near, step=0.002, variance=4e-7)
    free = stationary_loss(near, step=0.002, variance=4e-7)
    assert run.clamped_share > 1e-3
    assert run.clamped - run.free == pytest.approx(cut - free, rel=0.25)


def test_c9_formulas() -> None:
    assert stationary_loss(C2, step=0.001, variance=5e-7) == pytest.approx(0.112415, abs=1e-6)
    shift = clamped_stationary_loss(C2, step=0.001, variance=5e-7) - stationary_loss(C2, step=0.001, variance=5e-7)
    assert shift == pytest.approx(-2.6e-4, abs=1e-5)


def test_c9_short() -> None:
    run = noisy_loss(C2, C2.optimum(), step=0.001, variance=5e-7, rounds=300_000, tail=50_000, seed=3)
    error = averaging_error(C2, step=0.001, variance=5e-7, rounds=200_000)
    assert abs(run.clamped - clamped_stationary_loss(C2, step=0.001, variance=5e-7)) < 4 * error
    assert run.clamped < run.free


# ---- exhaustive certificate ----


def test_certificate_against_a_grid_and_local_search() -> None:
    loss = RippledLoss(5.0, 0.1, 0.5, 4 * math.pi)
    found = global_minimum(loss)
    axis = np.linspace(-1, 6, 701)
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1)
    values = loss.value(grid)
    start = grid.reshape(-1, 2)[np.argmin(values)]
    local = scipy.optimize.minimize(loss.value, start, jac=loss.gradient, tol=1e-12)
    assert found.value == pytest.approx(local.fun, abs=1e-10)
    assert found.value <= values.min()
    # x1 leaves in closed form; one dimension is left, and a fine scan of it is a third route.
    x2 = np.linspace(-1, 6, 2_000_001)
    scan = (5 - x2) ** 2 * 0.1 / 1.1 + 0.1 * x2**2 + 0.5 * np.sin(4 * math.pi * x2)
    assert found.value == pytest.approx(scan.min(), abs=1e-9)
    np.testing.assert_allclose(loss.gradient(found.point), 0.0, atol=1e-10)


@settings(deadline=None, max_examples=25)
@given(st.floats(0.5, 8.0), st.floats(0.05, 2.0), st.floats(0.0, 1.0), st.floats(0.5, 15.0), st.integers(0, 2**31))
def test_certificate_for_other_ripples(target, weight, amplitude, frequency, seed) -> None:
    loss = RippledLoss(target, weight, amplitude, frequency)
    try:
        found = global_minimum(loss)
    except NotConvergedError:  # two minima of one height cannot be told apart by a hull
        assume_two_wells = loss.least_curvature(-10.0, 10.0) < 0
        assert assume_two_wells
        return
    points = np.random.default_rng(seed).uniform(-12, 12, (20_000, 2))
    assert found.value <= loss.value(points).min()
    assert np.all((found.hull[0] <= found.point) & (found.point <= found.hull[1]))


@settings(deadline=None, max_examples=50)
@given(st.floats(-8, 8), st.floats(-8, 8), st.floats(1e-3, 2.0), st.integers(0, 2**31))
def test_floor_is_below_every_value_in_the_square(a, b, half, seed) -> None:
    loss = RippledLoss(5.0, 0.1, 0.5, 4 * math.pi)
    inside = np.array([a, b]) + np.random.default_rng(seed).uniform(-half, half, (2000, 2))
    assert float(loss.floor(np.array([[a, b]]), half)[0]) <= loss.value(inside).min()


def test_least_curvature_is_below_every_hessian() -> None:
    loss = RippledLoss(5.0, 0.1, 0.5, 4 * math.pi)
    for low, high in [(2.34, 2.41), (0.0, 0.3), (0.1, 0.12), (-1.0, -0.9)]:
        eigenvalues = [np.linalg.eigvalsh(loss.hessian(np.array([0.0, x])))[0] for x in np.linspace(low, high, 400)]
        assert loss.least_curvature(low, high) <= min(eigenvalues) + 1e-9
        assert loss.least_curvature(low, high) == pytest.approx(min(eigenvalues), rel=1e-2, abs=1e-2)


def test_certificate_refuses_a_flat_plane() -> None:
    with pytest.raises(InputError, match="lambda > 0"):
        global_minimum(RippledLoss(5.0, 0.0, 0.5, 1.0))
    with pytest.raises(NotConvergedError):
        global_minimum(RippledLoss(5.0, 0.1, 0.5, 4 * math.pi), max_cells=50)


# ---- effort ----


@settings(deadline=None, max_examples=40)
@given(st.floats(1e-4, 50.0), st.floats(0.5, 20.0), st.floats(0.01, 1.0), st.floats(0.01, 0.3))
def test_satisficing_time_step_by_step(rho, start, weight, step) -> None:
    x, taken = start, 0
    while True:
        price = -2.0 * x
        following = x + step * (price - 2.0 * weight * x)
        if price * (following - x) - weight * (following**2 - x**2) <= rho:
            break
        x, taken = following, taken + 1
    assert satisficing_time(rho, start=start, weight=weight, step=step) == taken


def test_drift_two_routes() -> None:
    recipe = {"rounds": 300, "step": 0.05, "weight": 0.1, "target": 2.0}
    np.testing.assert_allclose(drifting_responses(1e-3, **recipe), drift_by_recursion(1e-3, **recipe), atol=1e-13)


# ---- incentives ----


@settings(deadline=None, max_examples=30)
@given(curvatures)
def test_best_report_by_search(curvature) -> None:
    problem = Aggregate(curvature, 7.461)

    def loss(report: float) -> float:
        x = problem.with_type(0, report).optimum()
        return -float(2.0 * (problem.target - x.sum()) * x[0] - curvature[0] * x[0] ** 2)

    best = best_linear_report(problem, 0)
    found = scipy.optimize.minimize_scalar(loss, bounds=(0.3 * best, 3 * best), method="bounded", options={"xatol": 1e-10})
    assert found.x == pytest.approx(best, rel=1e-4)
    assert best_linear_gain(problem, 0) >= -1e-12


@pytest.mark.parametrize(("agents", "percent"), [(2, 29.0), (5, 4.0), (100, 0.010)])
def test_gain_of_equals(agents, percent) -> None:
    gain = best_linear_gain(Aggregate(np.full(agents, 0.1), 3.0), 0)
    assert gain == pytest.approx(1 / ((agents + 0.1) ** 2 - 1), rel=1e-9)
    assert 100 * gain == pytest.approx(percent, rel=0.05)


def test_pivot_transfers_by_solving_again() -> None:
    for i, transfer in enumerate(pivot_transfers(C4)):
        without = Aggregate(np.delete(C4.curvature, i), C4.target)
        own = C4.curvature[i] * C4.optimum()[i] ** 2
        assert transfer == pytest.approx(without.loss(without.optimum()) - (C4.loss(C4.optimum()) - own), rel=1e-12)
    assert pivot_transfers(C4)[0] == pytest.approx(3.19696, abs=1e-5)
    assert pivot_transfers(C4).sum() == pytest.approx(5.966, abs=1e-3)


def test_equilibrium_leaves_no_gain() -> None:
    told = linear_equilibrium(C4)
    for i in range(5):
        others = told.with_type(i, float(C4.curvature[i]))
        assert best_linear_report(others, i) == pytest.approx(told.curvature[i], rel=1e-12)
    assert C4.loss(told.optimum()) / C4.optimal_loss() == pytest.approx(1.066, abs=1e-3)


# ---- beliefs ----


def test_one_answer_names_the_type() -> None:
    assert revealed_type(0.6, 0.6 / (2 * 0.3)) == pytest.approx(0.3, rel=1e-10)


def test_second_round_is_the_optimum() -> None:
    losses = belief_losses(C4.with_type(0, 0.3), 0.1, rounds=3)
    assert losses[0] == pytest.approx(1.185692, abs=1e-6)
    assert max(abs(loss) for loss in losses[1:]) < 1e-10


# ---- scale ----


def test_slope_of_a_power() -> None:
    assert slope([10, 100, 1000], [3 * n**1.7 for n in (10, 100, 1000)]) == pytest.approx(1.7)


def test_rounds_grow_with_agents_for_gradient_responses_only() -> None:
    (few, newton_few), (many, newton_many) = rounds_of(10), rounds_of(100)
    assert 5 < many / few < 15
    assert newton_few == newton_many <= 4


def test_a_step_is_timed() -> None:
    assert 0 < step_seconds(1000, steps=20, repeats=1) < 5.0


@pytest.mark.slow
def test_c18_rows() -> None:
    (experiment,) = SCALE
    from hurwicz.reproductions.mbi.claim import Context

    rows, plots = experiment.run(Context(agents=10**6))
    by_claim = {row.claim: row for row in rows}
    giant = by_claim["price that clears 1,000,000 agents with capacities"]
    assert giant.ours == pytest.approx(giant.truth, rel=1e-4)
    to_convergence = next(row for row in rows if "to convergence" in row.claim)
    assert to_convergence.ours == pytest.approx(2.0, abs=0.1)
    assert to_convergence.agrees is False
    times = [row for row in rows if row.claim.startswith("seconds")]
    assert len(times) == 5
    assert all(row.agrees is None and row.ours > 0 for row in times)
    assert plots[0].draw().axes[0].lines
