"""Derivatives through a mean-field equilibrium: three ways, finite differences, memory."""

import dataclasses

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest

from hurwicz._foundation import InputError
from hurwicz.designers import EquilibriumMap
from hurwicz.designers.descent_step import descent_step
from hurwicz.meanfield import BatchedAuction, MeanFieldGame, TableRule, action_values, flow_of

AUCTION = BatchedAuction(rounds=2, supply=0.8, grid=5)
RULE = TableRule(5)
GAME = AUCTION.game(RULE)


def revenue(equilibrium):
    return jax.jit(lambda weights: AUCTION.revenue(RULE, equilibrium(GAME, weights), weights))


def weights_drawn(seed):
    rng = np.random.default_rng(seed)
    return {"steps": jnp.asarray(rng.normal(size=(2, 4))), "share": jnp.asarray([-0.4, 0.3])}


def test_three_derivatives_and_finite_differences_agree_once_converged():
    weights = weights_drawn(0)
    settled = {d: EquilibriumMap(tau=0.2, rate=2.0, steps=60, differentiate=d) for d in ("unrolled", "checkpointed", "implicit")}
    assert settled["unrolled"].left_over < 1e-13
    slopes = {d: jax.flatten_util.ravel_pytree(jax.jit(jax.grad(revenue(m)))(weights))[0] for d, m in settled.items()}
    flat, unflatten = jax.flatten_util.ravel_pytree(weights)
    loss, h = revenue(settled["unrolled"]), 1e-6
    each = [(float(loss(unflatten(flat.at[k].add(h)))) - float(loss(unflatten(flat.at[k].add(-h))))) / (2 * h) for k in range(len(flat))]
    assert np.allclose(slopes["unrolled"], each, atol=1e-8)
    assert np.allclose(slopes["checkpointed"], slopes["unrolled"], atol=1e-13)
    assert np.allclose(slopes["implicit"], slopes["unrolled"], atol=1e-9)
    assert float(np.abs(slopes["unrolled"]).max()) > 1e-3  # there is something to agree on


def jammed_roads(actions):
    # quick to compile
    jam = lambda h, flow, theta: -(flow.sum(axis=0) + theta)[None]  # noqa: E731
    stay = lambda h, mass, flow, theta: mass.sum(axis=1)  # noqa: E731
    return MeanFieldGame(name="roads", states=1, actions=actions, horizon=1, initial=np.ones(1), reward=jam, move=stay)


def tolls(roads, equilibrium):
    return lambda theta, tau=None: (equilibrium(roads, theta, tau)[0, 0] * theta).sum()


def test_before_convergence_the_implicit_derivative_is_another_one():
    theta, roads = jnp.asarray([0.1, 0.5, -0.3]), jammed_roads(3)
    early = {d: EquilibriumMap(tau=0.2, rate=0.1, steps=10, differentiate=d) for d in ("unrolled", "checkpointed", "implicit")}
    assert early["unrolled"].left_over > 0.5
    slopes = {d: jax.jit(jax.grad(tolls(roads, m)))(theta) for d, m in early.items()}
    assert np.allclose(slopes["unrolled"], slopes["checkpointed"], atol=1e-14)
    assert not np.allclose(slopes["unrolled"], slopes["implicit"], atol=1e-2)


def memory(differentiate, steps):
    # 500 roads: large enough to be seen beside what a loop needs anyway
    equilibrium = EquilibriumMap(tau=0.2, rate=2.0, steps=steps, differentiate=differentiate)
    gradient = jax.jit(jax.grad(tolls(jammed_roads(500), equilibrium)))
    return gradient.lower(jnp.zeros(500)).compile().memory_analysis().temp_size_in_bytes


def test_checkpoints_hold_the_root_of_the_states():
    # sixteen times the steps: sixteen times the memory unrolled, four times checkpointed, none more implicit
    assert memory("unrolled", 1600) > 12 * memory("unrolled", 100)
    assert memory("checkpointed", 1600) < 6 * memory("checkpointed", 100)
    assert memory("checkpointed", 1600) < 0.25 * memory("unrolled", 1600)
    assert memory("implicit", 1600) < 1.1 * memory("implicit", 100)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tau": 0.0}, "tau > 0"),
        ({"tau": float("nan")}, "tau > 0"),
        ({"rate": 6.0}, "rate in"),
        ({"steps": 0}, "steps >= 1"),
        ({"differentiate": "by hand"}, "differentiate among"),
    ],
)
def test_what_cannot_be_differentiated_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        EquilibriumMap(**{"tau": 0.2, "rate": 2.0, "steps": 10, **change})


def test_the_step_that_is_differentiated_is_mirror_descent_by_plain_action_values():
    rng = np.random.default_rng(2)
    for grid in (5, 45):  # 45: more than 2000 cells, so that the loop over rounds is unrolled
        auction, rule = BatchedAuction(rounds=2, supply=0.8, grid=grid), TableRule(grid)
        game, weights = auction.game(rule), rule.init(jax.random.key(0), 2)
        zeta = jnp.asarray(3.0 * rng.normal(size=game.shape))
        ours = jax.jit(lambda z, w, game=game: descent_step(game, z, w, 0.2, 2.0))(zeta, weights)
        policy = jax.nn.softmax(game.masked(zeta), axis=-1)
        moved = (1.0 - 2.0 * 0.2) * zeta + 2.0 * action_values(game, flow_of(game, policy, weights), policy, weights, 0.2)
        assert np.allclose(ours, moved - moved.mean(axis=-1, keepdims=True), atol=1e-12)


def test_one_compilation_serves_every_weight_of_entropy():
    theta, roads = jnp.asarray([0.1, 0.5, -0.3]), jammed_roads(3)
    slope = jax.jit(jax.grad(tolls(roads, EquilibriumMap(tau=0.2, rate=2.0, steps=20))))
    for tau in (0.2, 1.0):  # at 1 the rate is lowered to 1 / tau
        own = EquilibriumMap(tau=tau, rate=min(2.0, 1.0 / tau), steps=20, differentiate="unrolled")
        assert np.allclose(slope(theta, tau), jax.jit(jax.grad(tolls(roads, own)))(theta), atol=1e-14)
    assert slope._cache_size() == 1


def test_an_equilibrium_asked_for_again_is_not_traced_again():
    seen = []

    def jam(h, flow, theta):
        seen.append(h)
        return -(flow.sum(axis=0) + theta)[None]

    roads = dataclasses.replace(jammed_roads(3), reward=jam)
    slope = jax.grad(tolls(roads, EquilibriumMap(tau=0.2, rate=2.0, steps=20)))  # not compiled by the caller
    first = slope(jnp.asarray([0.1, 0.5, -0.3]))
    asked = len(seen)
    assert not np.allclose(slope(jnp.asarray([0.3, -0.5, 0.1])), first)
    assert len(seen) == asked > 0
