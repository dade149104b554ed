"""The look that every solver and simulation begins with: its figures, and the games that it refuses."""

import dataclasses
import gc
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hurwicz._foundation import InputError, NotFiniteError
from hurwicz.meanfield import (
    BatchedAuction,
    FirstPrice,
    InMarket,
    Market,
    Sale,
    TableRule,
    action_values,
    exploitability,
    flow_of,
    from_transition,
    left_right,
    simulate,
    susceptible_infected,
    uniform_policy,
)
from hurwicz.meanfield.soundness import _sound, ensure_sound, examined

AUCTION = BatchedAuction(rounds=3, supply=0.8, grid=6, re_entry=0.3)
QUANTITY = {"quantity": jnp.asarray([0.3, 0.2, 0.1])}


def changed(**fields):
    return dataclasses.replace(left_right(), **fields)


def tilted(h, flow, theta):
    """Of both next states by state and action; in round 1 the first row is (1.2, -.2)."""
    return jnp.full((2, 2, 2), 0.5) + jnp.where(h == 1, 0.7, 0.0) * jnp.asarray([1.0, -1.0]) * jnp.asarray([1.0, 0.0])[:, None, None]


def nan_where(crowded):
    """Left-right, where the left is worth NaN as soon as more than ``crowded`` stand there."""
    good = left_right()

    def reward(h, flow, theta):
        bad = (h == 1) & (flow.sum(axis=1) > crowded) & (jnp.arange(3) == 1)
        return good.reward(h, flow, theta) + jnp.where(bad, jnp.nan, 0.0)[:, None]

    return dataclasses.replace(good, reward=reward)


@dataclasses.dataclass(frozen=True)
class Oversells:
    """Three tenths more than there is."""

    grid: int

    def sell(self, h, bids, left, weights):
        return Sale(left + 0.3, jnp.arange(self.grid) / self.grid)


@pytest.mark.parametrize(
    ("game", "theta", "tau"),
    [(AUCTION.game(FirstPrice(6)), QUANTITY, 0.3), (susceptible_infected(6), None, 0.0)],
    ids=["auction", "epidemic"],
)
def test_a_look_is_the_sum_of_its_parts(game, theta, tau):
    policy = jax.nn.softmax(game.masked(jnp.asarray(np.random.default_rng(0).normal(size=game.shape))), axis=-1)
    look = examined(game, theta, tau, policy)
    assert look.exploitability == pytest.approx(float(exploitability(game, policy, theta, tau)), rel=1e-12)
    assert np.array_equal(look.flow, flow_of(game, policy, theta))
    q = action_values(game, look.flow, policy, theta, 0.0)
    assert look.reach == pytest.approx(float((q.max(axis=-1) - q.min(axis=-1)).max()), rel=1e-12)
    assert np.allclose(examined(game, theta).policy, uniform_policy(game), atol=1e-16)


@pytest.mark.parametrize(
    ("game", "error", "message"),
    [
        (
            from_transition(
                name="tilted",
                states=2,
                actions=2,
                horizon=3,
                initial=np.full(2, 0.5),
                transition=tilted,
                reward=lambda h, flow, theta: -flow,
            ),
            InputError,
            r"probabilities >= 0, got -0.2 in round 1, state 0, action 0",
        ),
        (changed(start=lambda theta: jnp.asarray([0.5, 0.0, 0.0])), InputError, r"start >= 0 that sums to 1, got a sum of 0.5"),
        (changed(reward_range=(-0.75, 0.0)), InputError, r"rewards in \[-0.75, 0\], got -1 in round 1, state 2, action 0"),
        (changed(reward=lambda h, flow, theta: jnp.zeros(2)), InputError, r"reward of shape \(3, 2\) in round 0, got \(2,\)"),
        (changed(move=lambda h, mass, flow, theta: mass.sum(axis=0)), InputError, r"move of shape \(3,\) in round 0, got \(2,\)"),
        (changed(move=lambda h, mass, flow, theta: jnp.square(mass.sum(axis=1))), InputError, r"move of round 0 to be linear in the mass"),
        (changed(reward=lambda h, flow: flow), InputError, r"reward of \(h, flow, theta\), got TypeError in round 0"),
        (changed(record=lambda h, f, p, t: p, record_start=lambda theta: jnp.zeros(theta)), InputError, r"of \(theta\), got TypeError"),
        (nan_where(0.4), NotFiniteError, r"the reward is nan in round 1, state 1, action 0"),
        (AUCTION.game(Oversells(6)), InputError, r"between 0 and what is left, got 1.1 in round 0 where 0.8 is left"),
    ],
    ids=["negative", "start", "range", "reward shape", "move shape", "bent", "arity", "record", "nan", "oversold"],
)
def test_what_is_no_game_is_refused_with_its_round_and_state(game, error, message):
    with pytest.raises(error, match=message):
        ensure_sound(game)


def test_a_game_is_looked_at_once_for_the_same_rules():
    asked = []
    game = dataclasses.replace(AUCTION.game(FirstPrice(6)), inspect=lambda h, flow, left, theta: asked.append(h))
    rules = {"quantity": jnp.asarray([0.3, 0.2, 0.1])}
    for _ in range(2):
        ensure_sound(game, rules)
    assert asked == [0, 1, 2]
    ensure_sound(game, {"quantity": jnp.asarray([0.3, 0.2, 0.1])})  # alike, but not the same
    assert len(asked) == 6
    in_place = {"quantity": np.asarray([0.3, 0.2, 0.1])}  # whose numbers may be changed between two calls
    for _ in range(2):
        ensure_sound(game, in_place)
    assert len(asked) == 12


def test_what_was_looked_at_is_forgotten_with_the_game():
    game = left_right()
    _sound[game] = []
    gone = weakref.ref(game)
    del game
    gc.collect()
    assert gone() is None


def test_a_market_in_single_precision_is_one():
    market = Market(jnp.full(6, 1 / 6, jnp.float32), jnp.asarray(0.7, jnp.float32))
    weights = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), TableRule(6).init(jax.random.key(0), 3))
    game = AUCTION.game(TableRule(6))
    narrow = examined(game, InMarket(weights, market))
    wide = examined(game, jax.tree.map(lambda leaf: leaf.astype(jnp.float64), InMarket(weights, market)))
    assert narrow.exploitability == pytest.approx(wide.exploitability, rel=1e-5)


def test_simulations_refuse_and_name_alike():
    good = left_right()
    with pytest.raises(InputError, match=r"sum of 1.5 in round 0, state 0, action 0"):
        simulate(changed(move=lambda h, mass, flow, theta: 1.5 * good.move(h, mass, flow, theta)), np.full(good.shape, 0.5), 10)
    all_left = np.broadcast_to(np.asarray([1.0, 0.0]), good.shape)
    with pytest.raises(NotFiniteError, match=r"the reward is nan in round 1, state 1, action 0"):
        simulate(nan_where(0.9), all_left, 10)  # not met by the uniform policy


def leaks_when_crowded(h, mass, flow, theta):
    return left_right().move(h, mass, flow, theta) * jnp.where(flow[0, 0] > 0.9, 0.5, 1.0)


def test_simulations_name_rows_that_leak_only_where_they_play():
    all_left = np.broadcast_to(np.asarray([1.0, 0.0]), left_right().shape)
    with pytest.raises(InputError, match=r"sum of 0.5 in round 0, state 0, action 0"):
        simulate(changed(move=leaks_when_crowded), all_left, 10)
