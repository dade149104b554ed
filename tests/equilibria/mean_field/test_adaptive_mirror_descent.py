"""Mirror descent that finds its own rate: each part of its step by a second route, what it reaches, and what it leaves to others."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hurwicz._foundation import InputError, Status
from hurwicz.equilibria.mean_field import AdaptiveMirrorDescent, MeanFieldProblem, OnlineMirrorDescent, default_iterations, solve_mean_field
from hurwicz.equilibria.mean_field.adaptive import _solved
from hurwicz.meanfield import (
    BatchedAuction,
    FirstPrice,
    action_values,
    crowd_modelling,
    exploitability,
    flow_of,
    left_right,
    rock_paper_scissors,
    susceptible_infected,
)

AUCTION = BatchedAuction(rounds=3, supply=0.8, grid=6, re_entry=0.3).game(FirstPrice(6))
QUANTITY = {"quantity": jnp.asarray([0.3, 0.2, 0.1])}


def after(iteration, game, steps, theta=None, tau=0.0):
    def play():
        return jax.lax.fori_loop(0, steps, lambda t, x: iteration.step(game, x, t, theta, tau), iteration.init(game))

    return jax.jit(play)()


def advantage(game, logits, theta, tau):
    """Action values less tau times logits, less their mean under the policy."""
    policy = jax.nn.softmax(game.masked(logits), axis=-1)
    flow = flow_of(game, policy, theta)
    gain = action_values(game, flow, policy, theta, tau) - tau * logits
    gain = gain - (policy * gain).sum(axis=-1, keepdims=True)
    return np.where(np.isfinite(game.masked(jnp.zeros(game.shape))), gain, 0.0), np.asarray(flow)


def same_up_to_constants(game, one, other):
    difference = np.where(np.isfinite(game.masked(jnp.zeros(game.shape))), np.asarray(one) - np.asarray(other), np.nan)
    return np.nanmax(difference, axis=-1) - np.nanmin(difference, axis=-1)


@pytest.mark.parametrize(("game", "theta", "tau"), [(AUCTION, QUANTITY, 0.3), (crowd_modelling(6, 5), None, 0.0)], ids=["auction", "crowd"])
def test_steps_are_those_of_the_parts(game, theta, tau):
    first = 0.4
    iteration = AdaptiveMirrorDescent(first, memory=3)
    one, two = (after(iteration, game, steps, theta, tau) for steps in (1, 2))
    zero = jnp.zeros(game.shape)
    gain_0, _ = advantage(game, zero, theta, tau)
    assert same_up_to_constants(game, one.ahead, first * gain_0).max() < 1e-12

    # the second step: its rate from the change just seen, and one difference to extrapolate from
    policy = jax.nn.softmax(game.masked(one.ahead), axis=-1)
    gain_1, flow = advantage(game, one.ahead, theta, tau)
    assert float(two.found) == pytest.approx(float(exploitability(game, policy, theta, tau)), abs=1e-12)
    assert np.allclose(iteration.policy(game, two), policy, atol=1e-15)
    moved = np.asarray(one.ahead) - np.asarray((policy * one.ahead).sum(axis=-1, keepdims=True))
    moved = np.where(flow > 0.0, moved, 0.0)
    slope = np.sqrt((flow * (gain_1 - gain_0) ** 2).sum() / (flow * moved**2).sum())
    rate = min(1.5 * first, 1.0 / slope, 1.0 / tau if tau else np.inf)
    assert float(two.rate) == pytest.approx(rate, rel=1e-9)
    change = (np.sqrt(flow) * (gain_1 - gain_0)).ravel()
    gamma = np.linalg.lstsq(change[:, None], (np.sqrt(flow) * gain_1).ravel(), rcond=None)[0][0]
    expected = np.asarray(one.ahead) + rate * gain_1 - gamma * (np.asarray(one.ahead) + rate * (gain_1 - gain_0))
    assert same_up_to_constants(game, two.ahead, expected).max() < 1e-6 * np.abs(expected[np.isfinite(expected)]).max()


def test_small_systems_are_solved_as_by_a_library():
    rng = np.random.default_rng(3)
    for size in (1, 5, 9):
        half = rng.normal(size=(size, size + 2))
        matrix, right = half @ half.T + 1e-6 * np.eye(size), rng.normal(size=size)
        assert np.allclose(_solved(jnp.asarray(matrix), jnp.asarray(right)), np.linalg.solve(matrix, right), rtol=1e-8)


def test_cycles_are_left_by_extrapolation_only():
    problem = MeanFieldProblem(rock_paper_scissors())
    found = solve_mean_field(problem, iterations=[AdaptiveMirrorDescent(1.5)], tolerance=1e-6, most=100)
    assert found.status is Status.EQUILIBRIUM
    assert found.stats["iterations"] <= 20  # mirror descent takes about 500 to 1e-3 at the rate that suits it
    # every action is worth the same: a linear system
    gains = np.asarray([[0.0, -1.0, 2.0], [4.0, 0.0, -2.0], [-3.0, 6.0, 0.0]])
    shares = np.linalg.solve(np.vstack([gains[:2] - gains[1:], np.ones(3)]), [0.0, 0.0, 1.0])
    assert np.allclose(found.value.policy[0, 0], shares, atol=1e-5)
    alone = solve_mean_field(problem, iterations=[AdaptiveMirrorDescent(1.5, patience=0.0)], tolerance=1e-3, most=100)
    assert alone.status is Status.STEP_LIMIT


def test_who_knows_its_exploitability_stops_between_two_looks():
    problem = MeanFieldProblem(left_right())
    soon = solve_mean_field(problem, iterations=[AdaptiveMirrorDescent(2.0)], tolerance=1e-3)
    late = solve_mean_field(problem, iterations=[AdaptiveMirrorDescent(2.0)], tolerance=1e-9)
    assert soon.stats["iterations"] < late.stats["iterations"] < 20
    whole = solve_mean_field(problem, iterations=[OnlineMirrorDescent(0.2)], tolerance=1e-3)
    assert whole.stats["iterations"] % 20 == 0


def test_others_move_only_where_the_first_stalls():
    problem = MeanFieldProblem(crowd_modelling())
    smooth = solve_mean_field(problem, tolerance=1e-3)
    names = [iteration.name for iteration in default_iterations(problem)]
    assert smooth.status.ok
    assert [name for name in names if name in smooth.stats["trace"][-1]] == names[:1]
    problem = MeanFieldProblem(susceptible_infected(20))
    epidemic = solve_mean_field(problem, tolerance=1e-3)
    names = [iteration.name for iteration in default_iterations(problem)]
    assert epidemic.status.ok
    assert epidemic.value.found_by == "damped fixed point (0.5)"
    assert all(name in epidemic.stats["trace"][-1] for name in names[:3])


def test_nan_on_the_way_is_named():
    good = left_right()

    def reward(h, flow, theta):
        crowded = (h == 1) & (flow.sum(axis=1, keepdims=True) > 0.6) & (jnp.arange(3) == 1)[:, None]
        return good.reward(h, flow, theta) + jnp.where(crowded, jnp.nan, 0.0)

    game = dataclasses.replace(good, reward=reward)
    found = solve_mean_field(MeanFieldProblem(game), iterations=[AdaptiveMirrorDescent(0.3)])
    assert found.status is Status.DIVERGED
    assert "the reward is nan in round 1, state 1, action 0, at the flow of step" in found.stats["cause"]
    assert np.isfinite(found.value.exploitability)


def test_no_rate_passes_one_over_tau():
    tau = 0.5
    far = after(AdaptiveMirrorDescent(1.9, growth=3.0), crowd_modelling(4, 2), 30, None, tau)
    assert float(far.rate) <= 1.0 / tau
    assert float(far.found) < 1e-6


@pytest.mark.parametrize("wrong", [{"rate": 0.0}, {"memory": 1}, {"patience": -1.0}, {"growth": 0.9}, {"rate": np.nan}, {"rate": np.inf}])
def test_bad_parameters_are_refused(wrong):
    with pytest.raises(InputError, match="adaptive mirror descent: expected a rate > 0"):
        AdaptiveMirrorDescent(**wrong)
