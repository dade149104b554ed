"""Games and their evaluation: published figures, brute force over histories, refusals."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from hurwicz._foundation import InputError, NotFiniteError
from hurwicz.meanfield import (
    CLASSIC_GAMES,
    action_values,
    best_response,
    best_values,
    crowd_modelling,
    exploitability,
    flow_of,
    from_transition,
    greatest,
    left_right,
    policy_value,
    uniform_policy,
)
from hurwicz.meanfield.classic_games import first_path_costs


def random_game(seed, states=3, actions=2, horizon=3):
    rng = np.random.default_rng(seed)
    kernel = rng.dirichlet(np.ones(states), size=(horizon, states, actions))
    pull = rng.dirichlet(np.ones(states), size=(horizon, states, actions))
    fixed = rng.normal(size=(horizon, states, actions))

    def transition(h, flow, theta):
        mix = flow[0].sum()  # depends on the population
        return (1 - mix) * jnp.asarray(kernel)[h] + mix * jnp.asarray(pull)[h]

    def reward(h, flow, theta):
        return jnp.asarray(fixed)[h] - jnp.log(0.1 + flow.sum(axis=1))[:, None] * theta

    start = rng.dirichlet(np.ones(states))
    game = from_transition(
        transition=transition, name="random", states=states, actions=actions, horizon=horizon, initial=start, reward=reward
    )
    return game, jnp.asarray(rng.dirichlet(np.ones(actions), size=game.shape[:2]))


@pytest.mark.parametrize("name", CLASSIC_GAMES)
def test_classic_games_keep_their_mass_and_are_finite(name):
    game = CLASSIC_GAMES[name]()
    game.check(draws=1)
    flow = jax.jit(lambda pi: flow_of(game, pi))(uniform_policy(game))
    assert np.allclose(flow.sum(axis=(1, 2)), 1.0, atol=1e-12)
    assert float(jax.jit(lambda pi: exploitability(game, pi))(uniform_policy(game))) >= 0.0


@settings(deadline=None, max_examples=3)
@given(seed=st.integers(0, 10_000))
def test_values_are_sums_over_histories(seed):
    """Forward recursion over a player's own distribution against a fixed flow: the second route to every value."""
    game, policy = random_game(seed)
    flow = flow_of(game, policy, 1.0)
    other = jnp.asarray(np.random.default_rng(seed + 1).dirichlet(np.ones(game.actions), size=game.shape[:2]))
    mu, total = jnp.asarray(game.initial), 0.0
    for h in range(game.horizon):
        mass = mu[:, None] * other[h]
        entropy = -(mass * jnp.log(other[h])).sum()
        total += float((mass * game.reward(h, flow[h], 1.0)).sum() + 0.3 * entropy)
        mu = game.move(h, mass, flow[h], 1.0)
    assert float(policy_value(game, flow, other, 1.0, 0.3)) == pytest.approx(total, rel=1e-12)


@settings(deadline=None, max_examples=2)
@given(seed=st.integers(0, 10_000))
def test_no_policy_beats_the_best_response(seed):
    game, policy = random_game(seed)
    flow = flow_of(game, policy, 1.0)
    rng = np.random.default_rng(seed)
    value = jax.jit(lambda other, tau: policy_value(game, flow, other, 1.0, tau))
    for tau in (0.0, 0.2):
        best = float(policy_value(game, flow, best_response(game, flow, 1.0, tau), 1.0, tau))
        assert best == pytest.approx(float(jnp.asarray(game.initial) @ greatest(best_values(game, flow, 1.0, tau)[0], tau)), rel=1e-12)
        for _ in range(20):
            other = jnp.asarray(rng.dirichlet(np.ones(game.actions), size=game.shape[:2]))
            assert float(value(other, tau)) <= best + 1e-12


def test_left_right_as_published():
    game = left_right()
    sides = {"left": 0, "right": 1}
    for side, published in (("left", 1.0), ("right", 2.0)):
        policy = jnp.zeros(game.shape).at[..., sides[side]].set(1.0)
        assert float(exploitability(game, policy)) == published
    equilibrium = jnp.full(game.shape, 0.5).at[0, 0].set(jnp.asarray([2 / 3, 1 / 3]))
    assert float(exploitability(game, equilibrium)) == pytest.approx(0.0, abs=1e-15)


def in_place_mirror_descent(game, iterations, rate):
    """Mirror descent as OpenSpiel runs it: depth first, the policy read from sums that the same pass is updating."""
    horizon, size, _ = game.shape
    sums = {}  # (place, round, "decision" or "noise") → summed values

    def logits(x, h):
        return np.asarray([sums.get(((x + a - 1) % size, h, "noise"), 0.0) for a in range(3)])

    def met(policy):
        flow = flow_of(game, policy)
        return jax.vmap(lambda h, mass: game.reward(h, mass, None)[:, 0])(jnp.arange(horizon), flow)

    policy = np.full(game.shape, 1.0 / 3.0)
    for iteration in range(iterations):
        rewards = np.asarray(jax.jit(met)(jnp.asarray(policy)))
        known = {}

        def decide(x, h, rewards=rewards, known=known, uniform=iteration == 0):
            if h == horizon:
                return 0.0
            if (x, h, "decision") not in known:
                odds = np.full(3, 1.0 / 3.0) if uniform else softmax(logits(x, h))
                value = rewards[h][x] + sum(p * noise((x + a - 1) % size, h) for a, p in enumerate(odds))
                known[x, h, "decision"] = value
                sums[x, h, "decision"] = sums.get((x, h, "decision"), 0.0) + rate * value
            return known[x, h, "decision"]

        def noise(y, h, known=known, decide=decide):
            if (y, h, "noise") not in known:
                value = sum(decide((y + push - 1) % size, h + 1) / 3.0 for push in range(3))
                known[y, h, "noise"] = value
                sums[y, h, "noise"] = sums.get((y, h, "noise"), 0.0) + rate * value
            return known[y, h, "noise"]

        for x in range(size):
            decide(x, 0)
        policy = np.asarray([[softmax(logits(x, h)) for x in range(size)] for h in range(horizon)])
    return jnp.asarray(policy)


def test_crowd_modelling_as_published():
    """OpenSpiel's own figures, once its two habits are copied: see :func:`first_path_costs` and :func:`in_place_mirror_descent`."""
    game = crowd_modelling(step_cost=first_path_costs(10, 10))
    policy = uniform_policy(game)
    flow = flow_of(game, policy)
    reply = jax.jit(lambda flow: flow_of(game, best_response(game, flow)))
    for t in range(10):  # fictitious play: flows averaged
        flow = flow + (reply(flow) - flow) / (t + 2)
        policy = flow / flow.sum(axis=-1, keepdims=True)
    assert float(exploitability(game, policy)) == pytest.approx(0.9908032626911343, abs=1e-12)
    descended = in_place_mirror_descent(game, 10, 0.01)
    assert float(exploitability(game, descended)) == pytest.approx(2.2730324915546, abs=1e-12)


def test_a_game_that_breaks_is_named_with_round_and_state():
    good = left_right()
    broken = dataclasses.replace(good, reward=lambda h, flow, theta: jnp.log(flow + 0.1 - jnp.where(h == 1, 1.2, 0.0)))
    with pytest.raises(NotFiniteError, match="round 1, state 0"):
        broken.check()
    leaky = dataclasses.replace(good, move=lambda h, mass, flow, theta: 0.9 * good.move(h, mass, flow, theta))
    with pytest.raises(InputError, match="rows that sum to 1"):
        leaky.check()
    bent = dataclasses.replace(good, move=lambda h, mass, flow, theta: jax.nn.softmax(mass.sum(axis=1)))
    with pytest.raises(InputError, match="linear in the mass"):
        bent.check()
    short = dataclasses.replace(good, reward=lambda h, flow, theta: jnp.zeros(3))
    with pytest.raises(InputError, match="reward of shape"):
        short.check()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"horizon": 0}, "horizon >= 1"),
        ({"states": 0}, "states >= 1"),
        ({"initial": np.asarray([0.5, 0.4, 0.0])}, "sums to 1"),
        ({"initial": np.asarray([1.5, -0.5, 0.0])}, "sums to 1"),
    ],
)
def test_bad_games_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(left_right(), **change)


def test_action_values_of_the_best_response_are_the_best_values():
    game, policy = random_game(7)
    flow = flow_of(game, policy, 1.0)
    best = best_response(game, flow, 1.0)
    assert np.allclose(action_values(game, flow, best, 1.0), best_values(game, flow, 1.0), atol=1e-12)
