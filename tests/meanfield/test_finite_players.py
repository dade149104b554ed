"""Finitely many bidders: whole goods, the known gaps of first price, Weber's prices, a million players."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hurwicz._foundation import InputError
from hurwicz.equilibria.mean_field import MeanFieldProblem, OnlineMirrorDescent, solve_mean_field
from hurwicz.meanfield import (
    BatchedAuction,
    FirstPrice,
    InMarket,
    PostedPrice,
    auction_setting,
    flow_of,
    simulate,
    simulate_auction,
    uniform_policy,
)

A1 = BatchedAuction(rounds=4, supply=0.8)


@pytest.fixture(scope="module")
def first_price():
    """The equilibrium of first price at .2 a round, and its revenue."""
    rule, weights = FirstPrice(100), {"quantity": jnp.full(4, 0.2)}
    problem = MeanFieldProblem(A1.game(rule), weights, 1e-3)
    found = solve_mean_field(problem, iterations=[OnlineMirrorDescent(10.0)], tolerance=0.0, most=500, every=500).value
    return rule, weights, found.policy, float(A1.revenue(rule, jnp.asarray(found.flow), weights))


@pytest.mark.parametrize(
    ("players", "gap", "slack", "seeds"), [(10, -0.0035, 3e-4, 1500), (100, -0.0005, 1e-4, 600), (1000, -0.0001, 6e-5, 300)]
)
def test_first_price_of_few_bidders_falls_short_as_computed(first_price, players, gap, slack, seeds):
    rule, weights, policy, mean_field = first_price
    run = simulate_auction(A1, rule, policy, players, theta=weights, seeds=seeds, seed=players)
    gaps = run.revenue - mean_field
    error = gaps.std(ddof=1) / np.sqrt(len(gaps))
    # four standard errors of ours; ``slack`` for the figures' own last digit and draws
    assert abs(gaps.mean() - gap) < 4.0 * error + slack
    assert gaps.mean() < -2.0 * error  # the shortfall itself is beyond chance
    assert np.allclose(run.sold, 0.2, atol=1e-12)


def test_independent_winners_fall_short_by_more_than_whole_goods(first_price):
    rule, weights, policy, mean_field = first_price
    exact = simulate_auction(A1, rule, policy, 20, theta=weights, seeds=400).revenue - mean_field
    loose = simulate(A1.game(rule), policy, 20, theta=weights, seeds=400)
    revenue = np.asarray(jax.jit(jax.vmap(lambda flow: A1.revenue(rule, flow, weights)))(loose.flows)) - mean_field
    error = np.hypot(exact.std() / 20.0, revenue.std() / 20.0)
    assert revenue.mean() < exact.mean() - 3.0 * error


def test_a_million_bidders_are_the_mean_field(first_price):
    rule, weights, policy, mean_field = first_price
    run = simulate_auction(A1, rule, policy, 1_000_000, theta=weights, seeds=4)
    assert np.abs(run.revenue - mean_field).max() < 2e-4
    game = A1.game(rule)
    flows = simulate(game, policy, 1_000_000, theta=weights, seeds=1).flows[0]
    limit = np.asarray(flow_of(game, jnp.asarray(policy), weights))
    assert np.abs(flows[:, :, :].sum(axis=2) - limit.sum(axis=2)).max() < 2e-3


def weber_bid(round_number, bidders, goods):
    """Share of the value that is bid in the ``round_number``-th of ``goods`` rounds, one good each."""
    return (bidders - goods) / (bidders - round_number + 1)


@pytest.mark.parametrize(("bidders", "goods"), [(5, 3), (8, 4)])
def test_prices_of_sequential_first_price_are_webers_martingale(bidders, goods):
    """Uniform values, one good a round: every round's mean price is (N - K) / (N + 1). The grid is fine, bids are rounded to it."""
    grid, seeds = 400, 1500
    auction = BatchedAuction(rounds=goods, supply=goods / bidders, grid=grid)
    policy = np.zeros((goods, grid + 1, grid))
    for h in range(goods):
        bid = np.rint(weber_bid(h + 1, bidders, goods) * np.arange(grid)).astype(int)
        policy[h, np.arange(grid), bid] = 1.0
    policy[:, grid, 0] = 1.0
    one = {"quantity": jnp.full(goods, 1.0 / bidders)}
    prices = simulate_auction(auction, FirstPrice(grid), policy, bidders, theta=one, seeds=seeds, seed=7).paid * bidders
    error = prices.std(axis=0, ddof=1) / np.sqrt(seeds)
    # values on a grid lie half a step lower on average
    expected = (bidders - goods) / (bidders + 1) - 0.25 / grid
    assert np.all(np.abs(prices.mean(axis=0) - expected) < 4.0 * error)
    assert np.all(error < 0.005)


def test_no_deviation_from_webers_bids_pays():
    """Last round of N - K + 1 bidders for one good: bidding half of the value against one rival is the best of all shares."""
    rng = np.random.default_rng(0)
    mine, other = rng.random(200_000), rng.random(200_000)
    gain = {share: ((mine - share * mine) * (share * mine > 0.5 * other)).mean() for share in (0.3, 0.4, 0.5, 0.6, 0.7)}
    assert max(gain, key=gain.get) == weber_bid(1, 2, 1)


def test_whole_goods_with_drift_and_re_entry_come_to_the_mean_field():
    setting = auction_setting("A7", grid=8, rounds=3)
    auction, rule, weights = setting.auction, PostedPrice(8), {"price": jnp.full(3, 0.3)}
    game = auction.game(rule)
    policy = np.asarray(uniform_policy(game))
    flow = flow_of(game, jnp.asarray(policy), weights)
    run = simulate_auction(auction, rule, policy, 200_000, theta=weights, seeds=4)
    assert np.allclose(run.revenue, float(auction.revenue(rule, flow, weights)), atol=3e-3)
    assert np.allclose(run.welfare, float(auction.welfare(rule, flow, weights)), atol=3e-3)
    assert np.all(run.sold.sum(axis=1) <= auction.supply + 1e-12)


def test_a_market_may_ride_along():
    setting = auction_setting("A3", grid=5, rounds=2)
    rule, weights = FirstPrice(5), {"quantity": jnp.full(2, 0.9)}
    theta = InMarket(weights, setting.draw(jax.random.key(0)))
    policy = np.asarray(uniform_policy(setting.auction.game(rule)))
    run = simulate_auction(setting.auction, rule, policy, 1000, theta=theta, seeds=3)
    assert np.all(run.sold.sum(axis=1) <= float(theta.market.supply) + 1e-12)
    assert np.all(run.sold.sum(axis=1) > 0.5)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"players": 0}, "players >= 1"), ({"seeds": 0}, "seeds >= 1"), ({"policy": np.zeros((4, 101, 100))}, "sum to 1")],
)
def test_bad_auctions_are_refused(change, message):
    given = {"policy": np.full((4, 101, 100), 0.01), "players": 5, "seeds": 1, "theta": {"quantity": jnp.full(4, 0.2)}, **change}
    with pytest.raises(InputError, match=message):
        simulate_auction(A1, FirstPrice(100), **given)
