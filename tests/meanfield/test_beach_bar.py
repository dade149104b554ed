"""The beach bar: MFGLib's tables written out by hand, prices, congestion."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hurwicz._foundation import InputError
from hurwicz.equilibria.mean_field import MeanFieldProblem, OnlineMirrorDescent, solve_mean_field
from hurwicz.meanfield import beach_bar, exploitability, flow_of, softmax_congestion, spot_prices, uniform_policy


def tables(n, bar, still):
    """Transition table and the reward's fixed part, entry by entry."""
    table, fixed = np.zeros((n, 3, n)), np.zeros((n, 3))
    for s in range(n):
        for a in range(3):
            for push, chance in ((-1, (1 - still) / 2), (0, still), (1, (1 - still) / 2)):
                table[s, a, min(max(s + a - 1 + push, 0), n - 1)] += chance
            fixed[s, a] = -min(abs(s - bar), n - abs(s - bar)) - abs(a - 1) / n
    return table, fixed


def exploitability_by_hand(n, horizon, bar, still, policy):
    table, fixed = tables(n, bar, still)
    mu, rewards = np.full(n, 1 / n), []
    for h in range(horizon):
        rewards.append(fixed - np.log(mu + 1e-20)[:, None])
        mu = np.einsum("s,sa,sat->t", mu, policy[h], table)
    best = own = np.zeros(n)
    for h in reversed(range(horizon)):
        best, own = (rewards[h] + table @ best).max(axis=1), (policy[h] * (rewards[h] + table @ own)).sum(axis=1)
    return (best - own).mean()


@pytest.mark.parametrize(("n", "horizon", "bar", "still"), [(4, 3, 2, 0.5), (9, 5, 2, 0.2), (100, 16, 50, 0.5)])
def test_at_price_zero_it_is_the_game_of_the_libraries(n, horizon, bar, still):
    game = beach_bar(n, horizon, bar=bar, still=still)
    table, _ = tables(n, bar, still)
    mass = jnp.asarray(np.random.default_rng(0).dirichlet(np.ones(3 * n)).reshape(n, 3))
    assert np.allclose(game.moves(0, mass, mass, (), None), np.einsum("sa,sat->t", mass, table), atol=1e-15)
    rng = np.random.default_rng(1)
    for policy in (np.full(game.shape, 1 / 3), rng.dirichlet(np.ones(3), size=game.shape[:2])):
        by_hand = exploitability_by_hand(n, horizon, bar, still, policy)
        assert float(exploitability(game, jnp.asarray(policy))) == pytest.approx(by_hand, rel=1e-10)


def test_it_is_a_game_with_and_without_prices():
    game = beach_bar(5, 2)
    game.check(draws=1)
    game.check(jnp.linspace(-1.0, 1.0, 5), draws=1)
    free, priced = (game.rewards(0, jnp.full((5, 3), 1 / 15), (), theta) for theta in (None, jnp.zeros(5)))
    assert np.allclose(free - priced, 1.0)
    assert np.allclose(spot_prices(jnp.asarray([-40.0, 40.0]), 3.0), [0.0, 3.0])


def test_a_price_on_the_bar_thins_the_crowd_there():
    game = beach_bar(7, 4)
    crowds = []
    for xi in (jnp.full(7, -30.0), jnp.full(7, -30.0).at[3].set(30.0)):
        found = solve_mean_field(MeanFieldProblem(game, xi), iterations=[OnlineMirrorDescent(0.5)], tolerance=0.01)
        assert found.status.ok
        crowds.append(found.value.flow.sum(axis=2)[2:].mean(axis=0))
    assert crowds[1][3] < 0.6 * crowds[0][3]


def test_congestion_is_between_the_mean_and_the_largest_share():
    game = beach_bar(6, 4)
    flow = flow_of(game, jnp.zeros(game.shape).at[..., 2].set(1.0))
    shares = np.asarray(flow.sum(axis=2))
    assert float(softmax_congestion(flow, 0.0)) == pytest.approx(1 / 6)
    assert float(softmax_congestion(flow, 1e6)) == pytest.approx(shares.max(axis=1).mean())
    levels = [float(softmax_congestion(flow, b)) for b in (0.0, 5.0, 20.0, 100.0)]
    assert levels == sorted(levels)
    assert np.isfinite(jax.grad(softmax_congestion)(flow_of(game, uniform_policy(game)))).all()


@pytest.mark.parametrize(
    "change", [{"places": 1}, {"bar": 10}, {"price_cap": -1.0}, {"still": 1.5}, {"floor": 0.0}, {"distance_cost": -1.0}]
)
def test_bad_beaches_are_refused(change):
    with pytest.raises(InputError, match="beach bar: expected"):
        beach_bar(**{"places": 10, "horizon": 3, **change})
