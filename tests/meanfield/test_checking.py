"""A user's game that is none is named with the round and state where it first fails."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hurwicz._foundation import InputError, NotFiniteError
from hurwicz.meanfield import (
    BatchedAuction,
    FirstPrice,
    MeanFieldGame,
    PostedPrice,
    Sale,
    TableRule,
    beach_bar,
    crowd_modelling,
    crowd_motion,
    from_transition,
    left_right,
    susceptible_infected,
)
from hurwicz.meanfield.game import counted


def two_rooms(**fields):
    """Two states, two actions, three rounds; action a leads to state a; crowds cost."""
    kernel = jnp.broadcast_to(jnp.eye(2)[None], (2, 2, 2))
    given = {
        "name": "two rooms",
        "states": 2,
        "actions": 2,
        "horizon": 3,
        "initial": np.asarray([0.5, 0.5]),
        "transition": lambda h, flow, theta: kernel,
        "reward": lambda h, flow, theta: -jnp.broadcast_to(flow.sum(axis=1, keepdims=True), (2, 2)),
    }
    return from_transition(**{**given, **fields})


STOPPED = lambda h, flow, theta: jax.lax.stop_gradient(flow) * flow  # noqa: E731
WEIGHTS = jnp.asarray([[[0.5], [0.5]], [[0.5], [0.4]]])  # of both next states, by state and action: the last row sums to .8


def shared_out(h, flow, theta):
    return jnp.ones((2, 2, 2)) * jnp.where(h == 1, WEIGHTS, 0.5)


def through_numpy(h, flow, theta):
    return jnp.asarray(np.sqrt(flow))


def called_back(h, flow, theta):
    return jax.pure_callback(lambda f: np.asarray(f) * 2, jax.ShapeDtypeStruct((2, 2), flow.dtype), flow)


def test_a_sound_game_passes():
    two_rooms(reward_range=(-1.0, 0.0)).check()
    # a kink on the way is no fault
    two_rooms(reward=lambda h, flow, theta: jnp.maximum(flow - 0.3, 0.0)).check()
    two_rooms(reward=lambda h, flow, theta: theta["toll"] * flow).check({"toll": jnp.asarray(0.3)})


def taxed(h, flow, theta):
    return -2.0 * flow.sum(axis=1, keepdims=True) - jnp.square(theta)[:, None] - 0.05 * jnp.arange(2.0)


def test_rules_in_single_precision_are_no_fault():
    tolls = jnp.full(2, 0.4, jnp.float32)
    two_rooms(reward=taxed).check(tolls)
    # a table whose rows sum to 1 up to single precision, in theta or in the game
    table = jax.nn.softmax(jnp.asarray(np.random.default_rng(3).normal(size=(2, 2, 2)), jnp.float32), axis=-1)
    assert np.abs(np.asarray(table, dtype=np.float64).sum(axis=-1) - 1.0).max() > 1e-9
    two_rooms(transition=lambda h, flow, theta: theta).check(table)
    two_rooms(transition=lambda h, flow, theta: table).check()
    narrow = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), TableRule(4).init(jax.random.key(0), 2))
    BatchedAuction(rounds=2, supply=0.5, grid=4, re_entry=0.5).game(TableRule(4)).check(narrow, draws=1)


def test_values_of_all_rounds_come_before_any_derivative():
    # round 0 has a slope that is hidden, round 2 has a NaN: the NaN is what matters first, in either precision
    late = lambda h: jnp.where((h == 2) & (jnp.arange(2) == 1), jnp.nan, 0.0)[:, None]  # noqa: E731
    game = two_rooms(reward=lambda h, flow, theta: STOPPED(h, flow, theta) + taxed(h, flow, theta) + late(h))
    for kind in (jnp.float32, jnp.float64):
        with pytest.raises(NotFiniteError, match=r"the reward is nan in round 2, state 1, action 0"):
            game.check(jnp.full(2, 0.4, kind))


def doubled_start(theta):
    return jnp.asarray([1.0, 1.0])


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        (
            {
                "transition": lambda h, flow, theta: (
                    jnp.ones((2, 2, 2)) * jnp.where(h == 1, jnp.asarray([[[0.5], [0.5]], [[0.5], [0.4]]]), 0.5)
                )
            },
            InputError,
            r"sum of 0.8 in round 1, state 1, action 1",
        ),
        (
            {"transition": lambda h, flow, theta: jnp.broadcast_to(jnp.asarray([[[1.5, -0.5], [0.5, 0.5]]]), (2, 2, 2))},
            InputError,
            r"probabilities >= 0, got -0.5 in round 0, state 0, action 0",
        ),
        (
            {"reward": lambda h, flow, theta: jnp.zeros((2, 2)).at[1, 0].set(jnp.where(h == 2, 1.5, 1.0)), "reward_range": (0.0, 1.0)},
            InputError,
            r"rewards in \[0, 1\], got 1.5 in round 2, state 1, action 0",
        ),
        (
            {"reward": lambda h, flow, theta: jnp.where(h == 1, jnp.nan, 0.0) * jnp.asarray([[0.0], [1.0]]) * jnp.ones((2, 2)) + 0.0},
            NotFiniteError,
            r"finite numbers, the reward is nan in round 1, state 0, action 0",
        ),
        # its value is fine, its derivative is not: 0 / 0 behind a where, once a state is empty
        (
            {"reward": lambda h, flow, theta: jnp.where(flow > 0.0, flow / flow, 0.0)},
            NotFiniteError,
            r"finite derivative of the reward, got NaN or infinity in round 0, state",
        ),
        (
            {"reward": through_numpy},
            InputError,
            r"can trace, got TracerArrayConversionError in round 0",
        ),
        ({"reward": lambda h, flow, theta: flow if flow.sum() > 0 else -flow}, InputError, r"jnp.where instead of if"),
        (
            {
                "reward": lambda h, flow, theta: jax.pure_callback(
                    lambda f: np.asarray(f) * 2, jax.ShapeDtypeStruct((2, 2), flow.dtype), flow
                )
            },
            InputError,
            r"can differentiate; in round 0",
        ),
        ({"reward": lambda h, flow: flow}, InputError, r"reward of \(h, flow, theta\), got TypeError in round 0"),
        ({"reward": lambda h, flow, theta: flow @ jnp.ones(3)}, InputError, r"got TypeError in round 0: .*\(2,2\)|contracting"),
        ({"reward": lambda h, flow, theta: [1.0, 2.0, 3.0][h] * flow}, InputError, r"TracerIntegerConversionError in round 0.*not lists"),
        ({"reward": lambda h, flow, theta: theta["toll"] * flow}, InputError, r"reward of \(h, flow, theta\), got TypeError in round 0"),
        ({"start": doubled_start}, InputError, r"start >= 0 that sums to 1, got a sum of 2"),
        (
            {"reward": STOPPED},
            InputError,
            r"derivative of the reward that differences show, got .* is a part hidden",
        ),
        (
            {"transition": lambda h, flow, theta: jax.nn.softmax(jax.lax.stop_gradient(9.0 * flow)[:, :, None] * jnp.eye(2), axis=-1)},
            InputError,
            r"derivative of the move that differences show",
        ),
    ],
    ids=[
        "row sum",
        "negative",
        "range",
        "nan",
        "nan slope",
        "numpy",
        "branch",
        "callback",
        "arity",
        "product",
        "list",
        "no theta",
        "start",
        "hidden slope",
        "hidden slope of the move",
    ],
)
def test_what_is_wrong_is_named(fields, error, message):
    game = two_rooms(**fields)
    with pytest.raises(error, match=message):
        game.check()


def test_gradients_are_looked_at_on_demand():
    rounded = two_rooms(reward=STOPPED)
    rounded.check(gradients=False)


def test_ranges_without_a_meaning_are_refused():
    with pytest.raises(InputError, match="range of rewards"):
        dataclasses.replace(left_right(), reward_range=(1.0, 0.0))


@dataclasses.dataclass(frozen=True)
class Greedy:
    """Sells the same in every round, whatever is left."""

    grid: int
    quantity: float
    shift: float = 0.0

    def sell(self, h, bids, left, weights):
        return Sale(jnp.asarray(self.quantity) + 0.0 * left, jnp.arange(self.grid) / self.grid + self.shift * bids.sum())


@pytest.mark.parametrize(
    ("rule", "error", "message"),
    [
        (Greedy(4, 0.3), InputError, r"between 0 and what is left, got 0.3 in round 2 where 0.1 is left"),
        (Greedy(4, -0.1), InputError, r"got -0.1 in round 0"),
        (Greedy(4, 0.1, np.nan), NotFiniteError, r"finite quantity and finite prices from the rule, got NaN or infinity in round 0"),
        (Greedy(3, 0.1), InputError, r"4 prices, got shapes \(\) and \(3,\) in round 0"),
    ],
    ids=["beyond supply", "negative", "nan", "shape"],
)
def test_rules_that_sell_what_there_is_not_are_named(rule, error, message):
    # three rounds of .3 from a supply of .7: the third asks for more than the .1 that is left
    auction = BatchedAuction(rounds=3, supply=0.7, grid=4, re_entry=1.0)
    with pytest.raises(error, match=message):
        auction.game(rule).check(draws=1)


@pytest.mark.parametrize("rule", [FirstPrice(4), PostedPrice(4)])
def test_bundled_rules_pass(rule):
    auction = BatchedAuction(rounds=2, supply=0.5, grid=4, re_entry=0.5)
    auction.game(rule).check(rule.init(jax.random.key(0), 2), draws=2)


def test_a_game_with_one_action_and_one_state_is_a_game():
    game = MeanFieldGame(
        name="alone",
        states=1,
        actions=1,
        horizon=1,
        initial=np.ones(1),
        reward=lambda h, flow, theta: flow,
        move=lambda h, mass, flow, theta: mass.sum(axis=1),
    )
    game.check()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: crowd_motion(3, 3, 0), "crowd motion: expected horizon >= 1, a whole number, got 0"),
        (lambda: crowd_motion(0, 3), "crowd motion: expected length >= 1"),
        (lambda: crowd_motion(3, -1), "crowd motion: expected width >= 1"),
        (lambda: crowd_modelling(10, 0), "crowd modelling: expected horizon >= 1"),
        (lambda: crowd_modelling(0), "crowd modelling: expected size >= 1"),
        (lambda: susceptible_infected(0), "susceptible-infected: expected horizon >= 1"),
        (lambda: beach_bar(10, 0), "beach bar: expected horizon >= 1"),
        (lambda: beach_bar(0), "beach bar: expected places >= 1"),
        (lambda: dataclasses.replace(left_right(), horizon=0), "left-right: expected horizon >= 1, a whole number, got 0"),
        (lambda: counted("left-right", horizon=2.5), "left-right: expected horizon >= 1, a whole number, got 2.5"),
        (lambda: counted("left-right", actions="2"), "left-right: expected actions >= 1, a whole number, got '2'"),
    ],
)
def test_games_without_rounds_or_places_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()
