"""Mean-field equilibria: defaults on every bundled game, each iteration, known equilibria, divergence named."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hurwicz._foundation import InputError, NotFiniteError, Status
from hurwicz.equilibria.mean_field import (
    Anderson,
    DampedFixedPoint,
    FictitiousPlay,
    Iteration,
    MeanFieldProblem,
    OnlineMirrorDescent,
    PriorDescent,
    SoftmaxPolicyIteration,
    solve_mean_field,
    tune,
)
from hurwicz.meanfield import (
    AUCTION_SETTINGS,
    CLASSIC_GAMES,
    BatchedAuction,
    FirstPrice,
    action_values,
    auction_setting,
    beach_bar,
    best_response,
    best_values,
    crowd_modelling,
    exploitability,
    flow_of,
    greatest,
    left_right,
    policy_value,
    susceptible_infected,
)
from hurwicz.meanfield.evaluation import soft_action_values
from hurwicz.meanfield.game import weight_of_entropy

AUCTION = BatchedAuction(rounds=3, supply=0.8, grid=6, re_entry=0.3).game(FirstPrice(6))
QUANTITY = {"quantity": jnp.asarray([0.3, 0.2, 0.1])}
# programs are compiled once a game: the same objects throughout
GOOD = left_right()
SMALL_CROWD = crowd_modelling(4, 2)
classic = functools.cache(lambda name: GOOD if name == "left_right" else CLASSIC_GAMES[name]())
in_one_pass = jax.jit(soft_action_values, static_argnames=["game", "unroll"])


@pytest.mark.parametrize("name", CLASSIC_GAMES)
def test_defaults_reach_a_thousandth_on_every_bundled_game(name):
    game = classic(name)
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
    found = solve_mean_field(MeanFieldProblem(GOOD), iterations=[iteration], tolerance=tolerance, most=400)
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
    problem = MeanFieldProblem(SMALL_CROWD, None, tau)
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


class PlainDescent(Iteration):
    """An iteration of one's own that is no dataclass."""

    name = "plain descent"

    def init(self, game):
        return jnp.zeros(game.shape)

    def step(self, game, iterate, t, theta, tau):
        policy = self.policy(game, iterate)
        return iterate + action_values(game, flow_of(game, policy, theta), policy, theta, tau)

    def policy(self, game, iterate):
        return jax.nn.softmax(iterate, axis=-1)


def test_an_iteration_of_ones_own_takes_part():
    found = solve_mean_field(MeanFieldProblem(GOOD), iterations=[PlainDescent()], tolerance=1e-9)
    assert found.status.ok
    assert found.value.found_by == "plain descent"
    assert float(found.value.policy[0, 0, 0]) == pytest.approx(2.0 / 3.0, abs=1e-8)


def test_too_long_a_step_is_said_to_miss_not_to_arrive():
    found = solve_mean_field(
        MeanFieldProblem(classic("rock_paper_scissors")), iterations=[OnlineMirrorDescent(5.0)], tolerance=1e-3, most=200
    )
    assert found.status is Status.STEP_LIMIT
    assert found.value.exploitability > 1e-3
    assert "above the tolerance 0.001; allow more steps, or ask tune()" in found.stats["cause"]


def test_an_iteration_that_overflows_is_named_diverged_and_why():
    problem = MeanFieldProblem(GOOD, None, 1.0)
    found = solve_mean_field(problem, iterations=[OnlineMirrorDescent(1e200)], tolerance=1e-12, most=200)
    assert found.status is Status.DIVERGED
    assert "online mirror descent (rate 1e+200) diverged: not finite after 20 steps, since rate x tau = 1e+200" in found.stats["cause"]
    assert np.isfinite(found.value.exploitability)  # the best policy seen before


def test_who_diverges_is_named_and_the_others_go_on():
    problem = MeanFieldProblem(GOOD, None, 1.0)
    found = solve_mean_field(problem, iterations=[OnlineMirrorDescent(1e200), OnlineMirrorDescent(0.5)], tolerance=1e-9)
    assert found.status is Status.EQUILIBRIUM
    assert found.stats["winner"] == found.value.found_by == "online mirror descent (rate 0.5)"
    assert len(found.value.diverged) == 1
    assert found.value.diverged[0].startswith("online mirror descent (rate 1e+200) diverged")


def test_a_game_without_a_value_is_refused_with_round_and_state():
    broken = changed(reward=lambda h, flow, theta: jnp.where(h == 1, jnp.nan, 0.0) + GOOD.reward(h, flow, theta))
    with pytest.raises(NotFiniteError, match="round 1, state 0"):
        solve_mean_field(MeanFieldProblem(broken))


def changed(**fields):
    return dataclasses.replace(GOOD, **fields)


LEAKY = changed(move=lambda h, mass, flow, theta: 1.5 * GOOD.move(h, mass, flow, theta))


@pytest.mark.parametrize(
    ("game", "message"),
    [
        (LEAKY, r"sum of 1.5 in round 0, state 0, action 0"),
        (changed(reward_range=(-0.75, 0.0)), r"rewards in \[-0.75, 0\], got -1 in round 1, state 2, action 0"),
        (changed(reward=lambda h, flow, theta: jnp.zeros(2)), r"reward of shape \(3, 2\) in round 0, got \(2,\)"),
        (changed(reward=lambda h, flow, theta: jnp.asarray(np.sqrt(flow))), r"use jax.numpy instead of numpy"),
        (changed(reward=lambda h, flow, theta: flow if h else -flow), r"jnp.where instead of if"),
        (changed(reward=lambda h, flow, theta: [1.0, 2.0][h] * flow), r"index arrays with the round, not lists"),
    ],
    ids=["rows", "range", "shape", "numpy", "if", "list"],
)
def test_what_is_no_game_is_refused_and_not_solved(game, message):
    with pytest.raises(InputError, match=message):
        solve_mean_field(MeanFieldProblem(game))


def test_tuning_refuses_what_is_no_game():
    with pytest.raises(InputError, match=r"sum of 1.5 in round 0"):
        tune(MeanFieldProblem(LEAKY), candidates=[OnlineMirrorDescent(0.1)])


def crowded(h, flow):
    return (h == 1) & (flow.sum(axis=1, keepdims=True) > 0.6) & (jnp.arange(3) == 1)[:, None]


def test_nan_that_comes_later_is_named_with_round_and_state():
    # the uniform policy never meets it, the equilibrium (two thirds on the left) does
    game = changed(reward=lambda h, flow, theta: GOOD.reward(h, flow, theta) + jnp.where(crowded(h, flow), jnp.nan, 0.0))
    found = solve_mean_field(MeanFieldProblem(game), iterations=[OnlineMirrorDescent(0.2)])
    assert found.status is Status.DIVERGED
    assert (
        "diverged: not finite after 20 steps; left-right: expected finite numbers, the reward is nan in round 1, state 1, action 0"
        in (found.stats["cause"])
    )
    tuned = tune(MeanFieldProblem(game), candidates=[OnlineMirrorDescent(0.2)], most=20)
    assert tuned.status is Status.DIVERGED
    assert "the reward is nan in round 1, state 1, action 0, at the flow of step" in tuned.stats["cause"]
    # the step that is named is the first whose flow meets it
    steps = int(found.stats["cause"].rsplit("step ", 1)[1])
    step = jax.jit(lambda logits: OnlineMirrorDescent(0.2).step(GOOD, logits, 0, None, 0.0))
    shares = []
    for taken in (steps - 1, steps):
        logits = jnp.zeros(game.shape)
        for _ in range(taken):
            logits = step(logits)
        shares.append(float(jax.nn.softmax(logits, axis=-1)[0, 0, 0]))
    assert shares[0] <= 0.6 < shares[1]


def test_rewards_that_leave_their_range_at_the_equilibrium_only_are_refused():
    game = changed(reward=lambda h, flow, theta: GOOD.reward(h, flow, theta) + jnp.where(crowded(h, flow), 9.0, 0.0), reward_range=(-2, 0))
    with pytest.raises(InputError, match=r"rewards in \[-2, 0\], got .* in round 1, state 1"):
        solve_mean_field(MeanFieldProblem(game), iterations=[OnlineMirrorDescent(0.2)], most=20)


@pytest.mark.parametrize("tau", ["0.1", None, -1.0, np.nan])
def test_a_weight_without_a_meaning_is_refused(tau):
    with pytest.raises(InputError, match="left-right: expected a weight of entropy tau >= 0, got"):
        weight_of_entropy(tau, "left-right")


def test_a_problem_asks_for_a_weight_with_a_meaning():
    with pytest.raises(InputError, match="left-right: expected a weight of entropy tau >= 0, got -1"):
        MeanFieldProblem(GOOD, None, -1.0)


def random_logits(game, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=game.shape) * 3.0)


@pytest.mark.parametrize(
    ("game", "theta", "tau"), [(AUCTION, QUANTITY, 0.3), (susceptible_infected(6), None, 0.0)], ids=["auction", "epidemic"]
)
def test_what_is_computed_in_one_pass_is_the_sum_of_its_parts(game, theta, tau):
    logits = random_logits(game)
    policy = jax.nn.softmax(game.masked(logits), axis=-1)
    flow = flow_of(game, policy, theta)
    best = game.initial @ greatest(game.masked(best_values(game, flow, theta, tau)[0]), tau)
    parts = float(best - policy_value(game, flow, policy, theta, tau))
    assert float(exploitability(game, policy, theta, tau)) == pytest.approx(parts, abs=1e-13)
    q = action_values(game, flow, policy, theta, tau)
    assert float(np.abs(q).max()) > 0.1
    assert np.allclose(in_one_pass(game, logits, theta, tau), q, rtol=0.0, atol=1e-13)
    assert np.allclose(in_one_pass(game, logits, theta, tau, unroll=3), q, rtol=0.0, atol=1e-13)


def test_the_derivative_in_one_pass_is_that_of_the_parts():
    logits, weights = random_logits(AUCTION), jnp.asarray(np.random.default_rng(1).normal(size=AUCTION.shape))

    def in_parts(logits):
        policy = jax.nn.softmax(AUCTION.masked(logits), axis=-1)
        return (weights * action_values(AUCTION, flow_of(AUCTION, policy, QUANTITY), policy, QUANTITY, 0.3)).sum()

    slope = jax.jit(jax.grad(lambda logits: (weights * soft_action_values(AUCTION, logits, QUANTITY, 0.3)).sum()))(logits)
    assert float(np.abs(slope).max()) > 1e-3
    assert np.allclose(slope, jax.jit(jax.grad(in_parts))(logits), rtol=0.0, atol=1e-12)


def _first_price(name):
    # markets side by side where the setting draws them; few rounds of the long sale
    setting = auction_setting(name, grid=6, rounds=6 if name == "A8" else None)
    markets = setting.markets(jax.random.key(1), 2) if setting.draw is not None else None
    sold = {"quantity": jnp.full(setting.auction.rounds, setting.auction.supply / setting.auction.rounds)}
    return setting.game(FirstPrice(6), markets), sold, setting.tau


@pytest.mark.parametrize("name", [*AUCTION_SETTINGS, "beach bar"])
def test_defaults_reach_a_thousandth_in_settings_that_are_designed(name):
    game, theta, tau = (beach_bar(), None, 0.0) if name == "beach bar" else _first_price(name)
    found = solve_mean_field(MeanFieldProblem(game, theta, tau))
    assert found.status is Status.EQUILIBRIUM
    assert float(exploitability(game, jnp.asarray(found.value.policy), theta, tau)) == pytest.approx(found.value.exploitability, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "who"), [("rock_paper_scissors", "online mirror descent"), ("susceptible_infected", "damped fixed point")]
)
def test_tuned_step_size_arrives_first_of_all_that_were_tried(name, who):
    problem = MeanFieldProblem(classic(name))
    tuned = tune(problem)
    assert tuned.status is Status.EQUILIBRIUM
    assert tuned.value.iteration.name.startswith(who)
    first, *others = tuned.value.trials
    assert first.iteration == tuned.value.iteration
    assert all(t.steps >= first.steps for t in others)  # those that had not arrived were given as many steps
    assert any(t.status is Status.STEP_LIMIT for t in others)
    again = solve_mean_field(problem, iterations=[tuned.value.iteration], every=5, most=first.steps)
    assert again.status is Status.EQUILIBRIUM
    assert again.stats["iterations"] == first.steps


def test_tuning_says_where_nothing_arrives_and_what_diverged():
    problem = MeanFieldProblem(GOOD, None, 1.0)
    tuned = tune(problem, candidates=[OnlineMirrorDescent(1e200), DampedFixedPoint(0.01)], tolerance=1e-9, most=20)
    assert tuned.status is Status.STEP_LIMIT
    by_name = {t.iteration.name: t.status for t in tuned.value.trials}
    assert by_name["online mirror descent (rate 1e+200)"] is Status.DIVERGED


def test_tuning_finds_its_way_back_from_a_step_that_diverges():
    tuned = tune(MeanFieldProblem(GOOD, None, 1.0), candidates=[OnlineMirrorDescent(1e200)], tolerance=1e-9, most=20)
    assert tuned.status is Status.EQUILIBRIUM
    assert tuned.value.iteration.rate <= 1.0
    assert tuned.value.trials[-1].status is Status.DIVERGED


@pytest.mark.parametrize(
    "make",
    [
        lambda: OnlineMirrorDescent(0.0),
        lambda: DampedFixedPoint(1.5),
        lambda: SoftmaxPolicyIteration(-1.0),
        lambda: PriorDescent(1.0, inner=0),
        lambda: Anderson(OnlineMirrorDescent(1.0), memory=1),
        lambda: OnlineMirrorDescent(1.0, unroll=0),
        lambda: solve_mean_field(MeanFieldProblem(GOOD), most=0),
        lambda: solve_mean_field(MeanFieldProblem(GOOD), every=0),
        lambda: solve_mean_field(MeanFieldProblem(GOOD), tolerance=np.nan),
        lambda: solve_mean_field(MeanFieldProblem(GOOD), tolerance=-1e-3),
        lambda: tune(MeanFieldProblem(GOOD), most=0),
        lambda: tune(MeanFieldProblem(GOOD), tolerance=0.0),
    ],
)
def test_bad_parameters_are_refused(make):
    with pytest.raises(InputError):
        make()
