"""Mean-field equilibria: defaults on every bundled game, each iteration, known equilibria, divergence named."""

import jax.numpy as jnp
import numpy as np
import pytest

from hurwicz._foundation import InputError, Status
from hurwicz.equilibria.mean_field import (
    Anderson,
    DampedFixedPoint,
    FictitiousPlay,
    MeanFieldProblem,
    OnlineMirrorDescent,
    PriorDescent,
    SoftmaxPolicyIteration,
    solve_mean_field,
)
from hurwicz.meanfield import CLASSIC_GAMES, best_response, crowd_modelling, exploitability, flow_of, left_right, rock_paper_scissors


@pytest.mark.parametrize("name", CLASSIC_GAMES)
def test_defaults_reach_a_thousandth_on_every_bundled_game(name):
    game = CLASSIC_GAMES[name]()
    found = solve_mean_field(MeanFieldProblem(game), tolerance=1e-3)
    assert found.status is Status.EQUILIBRIUM
    assert 0.0 <= found.value.exploitability <= 1e-3
    again = float(exploitability(game, jnp.asarray(found.value.policy)))  # of the policy itself, from its plain form
    assert again == pytest.approx(found.value.exploitability, rel=1e-9)


@pytest.mark.parametrize(
    ("iteration", "tolerance"),
    [
        (OnlineMirrorDescent(1.0), 1e-9),
        (FictitiousPlay(), 5e-2),  # 1/t
        (DampedFixedPoint(0.05), 5e-2),  # to within its step
        (PriorDescent(1.0), 1e-9),
        (Anderson(OnlineMirrorDescent(0.3), memory=3), 1e-9),
    ],
    ids=lambda i: getattr(i, "name", str(i)),
)
def test_every_iteration_finds_two_thirds_on_the_left(iteration, tolerance):
    found = solve_mean_field(MeanFieldProblem(left_right()), iterations=[iteration], tolerance=tolerance, most=400)
    assert found.status.ok
    # with p = 2/3 + d: E = 2 d + 3 d^2 for d > 0, -d + 3 d^2 for d < 0
    assert abs(float(found.value.policy[0, 0, 0]) - 2.0 / 3.0) <= found.value.exploitability + 1e-15


@pytest.mark.parametrize(
    "iteration",
    [OnlineMirrorDescent(0.3), SoftmaxPolicyIteration(0.5, 0.1), PriorDescent(2.0), DampedFixedPoint(0.1)],
    ids=lambda i: i.name,
)
def test_with_entropy_the_equilibrium_is_the_soft_fixed_point(iteration):
    tau = 0.5
    problem = MeanFieldProblem(crowd_modelling(4, 2), None, tau)
    found = solve_mean_field(problem, iterations=[iteration], tolerance=1e-9, most=4000)
    assert found.status.ok
    policy = jnp.asarray(found.value.policy)
    again = best_response(problem.game, flow_of(problem.game, policy), None, tau)
    assert np.allclose(policy, again, atol=1e-4)


def test_anderson_needs_fewer_steps_than_what_it_accelerates():
    problem = MeanFieldProblem(crowd_modelling(6, 5), None, 0.2)
    plain = solve_mean_field(problem, iterations=[OnlineMirrorDescent(0.05)], tolerance=1e-6, every=5)
    fast = solve_mean_field(problem, iterations=[Anderson(OnlineMirrorDescent(0.05))], tolerance=1e-6, every=5)
    assert fast.status.ok
    assert plain.status.ok
    assert fast.stats["iterations"] < plain.stats["iterations"] / 2


def test_too_long_a_step_is_said_to_miss_not_to_arrive():
    found = solve_mean_field(MeanFieldProblem(rock_paper_scissors()), iterations=[OnlineMirrorDescent(5.0)], tolerance=1e-3, most=200)
    assert found.status is Status.STEP_LIMIT
    assert found.value.exploitability > 1e-3


def test_an_iteration_that_overflows_is_named_diverged():
    problem = MeanFieldProblem(left_right(), None, 1.0)
    found = solve_mean_field(problem, iterations=[OnlineMirrorDescent(1e200)], tolerance=1e-12, most=200)
    assert found.status is Status.DIVERGED


@pytest.mark.parametrize(
    "make",
    [
        lambda: OnlineMirrorDescent(0.0),
        lambda: DampedFixedPoint(1.5),
        lambda: SoftmaxPolicyIteration(-1.0),
        lambda: PriorDescent(1.0, inner=0),
        lambda: Anderson(OnlineMirrorDescent(1.0), memory=1),
        lambda: solve_mean_field(MeanFieldProblem(left_right()), most=0),
    ],
)
def test_bad_parameters_are_refused(make):
    with pytest.raises(InputError):
        make()
