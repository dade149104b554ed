"""Named settings, their ceilings and their distributions; learned rules that begin at simple ones; several markets at once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from hurwicz._foundation import InputError
from hurwicz.meanfield import (
    AUCTION_SETTINGS,
    BatchedAuction,
    FirstPrice,
    InMarket,
    Market,
    NetworkRule,
    PostedPrice,
    ReservePrice,
    TableRule,
    action_values,
    auction_setting,
    ceiling,
    constant_absolute_risk,
    copies_of,
    exploitability,
    first_price_head,
    flow_of,
    gaussian_drift,
    geometric_values,
    hyperbolic_discount,
    posted_price_head,
    reserve_head,
    side_by_side,
    static_head,
    uniform_policy,
)


@pytest.mark.parametrize("name", ["A3", "A7"])  # several markets; drift and re-entry
def test_settings_are_games_whose_mass_and_values_hold(name):
    setting = auction_setting(name, grid=6, rounds=2)
    rule = NetworkRule(6, 2, width=4, sees_bids=not setting.static)
    weights = rule.init(jax.random.key(1))
    markets = setting.markets(jax.random.key(2), 2) if setting.draw else None
    game = setting.game(rule, markets)
    game.check(weights, draws=1)
    flow = flow_of(game, uniform_policy(game), weights)
    worth = float(setting.worth(rule, flow, weights, markets))
    assert 0.0 < worth <= setting.auction.supply


def test_sizes_of_the_settings_as_published():
    found = {name: (s.auction.rounds, s.auction.supply, s.auction.re_entry) for name in AUCTION_SETTINGS for s in [auction_setting(name)]}
    assert found == {
        "A1": (4, 0.8, 0.0),
        "A2": (4, 0.8, 0.0),
        "A3": (5, 0.9, 0.3),
        "A4": (4, 0.8, 0.0),
        "A5": (4, 0.8, 0.0),
        "A6": (4, 0.8, 0.0),
        "A7": (6, 0.8, 1.0),
        "A8": (100, 5.0, 0.015),
        "A9": (4, 0.8, 0.0),
        "A10": (4, 0.8, 0.3),
    }
    assert [name for name in AUCTION_SETTINGS if auction_setting(name, grid=4).static] == ["A10"]
    assert [name for name in AUCTION_SETTINGS if auction_setting(name, grid=4).draw] == ["A3"]


@settings(deadline=None, max_examples=30)
@given(k=st.floats(-5.0, 5.0), gain=st.floats(-1.0, 1.0))
def test_utilities_are_rising_curved_as_said_and_scaled(k, gain):
    u = constant_absolute_risk(k)
    assert float(u(jnp.asarray(0.0))) == 0.0
    assert float(u(jnp.asarray(1.0))) == pytest.approx(1.0)
    slope, bend = jax.grad(u)(gain), jax.grad(jax.grad(u))(gain)
    assert float(slope) > 0.0
    # Arrow and Pratt: -u'' / u' = k everywhere
    assert float(-bend / slope) == pytest.approx(k, abs=1e-8)


def test_drift_and_first_distribution_by_hand():
    w = gaussian_drift(5, 1.5, 0.3)
    values = np.arange(5) / 5
    for s in range(5):
        row = np.asarray([np.exp(-((1.5 * values[s] - t) ** 2) / (2 * 0.3**2)) for t in values])
        assert np.allclose(w[s], row / row.sum(), atol=1e-15)
    # far above the grid every weight underflows; the row is still a distribution, all at the top
    assert gaussian_drift(100, 3.0, 0.01)[99, 99] == 1.0
    assert np.allclose(geometric_values(100), 0.9 ** np.arange(100) / (0.9 ** np.arange(100)).sum())
    assert hyperbolic_discount(3, 0.5).tolist() == [1.0, 1 / 1.5, 0.5]


@pytest.mark.parametrize(("grid", "least", "most"), [(20, 5e-4, 7e-4), (50, 0.2, 0.25)])
def test_a_grid_coarser_than_the_drift_is_another_game(grid, least, most):
    # what the size of the long runs rests on: from 1 / grid, on to 1.2 / grid with a deviation of .01
    rises = np.asarray(auction_setting("A8", grid=grid).auction.drift)[1, 2:].sum()
    assert least < rises < most


def myerson_by_linear_program(auction, revenue, welfare):
    """Direct mechanisms x(v), t(v) of risk-neutral bidders with every incentive constraint: the second route to the ceiling."""
    n, values, share = auction.grid, auction.values, auction.begins
    cost = -np.concatenate([welfare * share * values, revenue * share])
    rows, bounds = [np.concatenate([share, np.zeros(n)])], [auction.supply]
    for v in range(n):
        for w in range(n):
            row = np.zeros(2 * n)
            row[w] += values[v]
            row[n + w] -= 1.0
            row[v] -= values[v]
            row[n + v] += 1.0
            rows.append(row)
            bounds.append(0.0)
        row = np.zeros(2 * n)
        row[v], row[n + v] = -values[v], 1.0
        rows.append(row)
        bounds.append(0.0)
    found = linprog(cost, A_ub=np.asarray(rows), b_ub=bounds, bounds=[(0, 1)] * n + [(None, None)] * n)
    return -found.fun


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10_000), supply=st.floats(0.05, 1.2), welfare=st.sampled_from([0.0, 0.5, 1.0]))
def test_ceiling_is_myersons(seed, supply, welfare):
    rng = np.random.default_rng(seed)
    auction = BatchedAuction(rounds=2, supply=supply, grid=6, initial=rng.dirichlet(np.full(6, 0.5)))
    found = ceiling(auction, {"revenue": 1.0, "welfare": welfare})
    assert found == pytest.approx(myerson_by_linear_program(auction, 1.0, welfare), abs=1e-8)


def test_ceilings_of_the_settings():
    assert auction_setting("A1").ceiling == pytest.approx(0.25)
    # revenue and values served: virtual value 3v - 1, so all from 1/3 on are served
    grid = np.arange(34, 100)
    assert auction_setting("A9").ceiling == pytest.approx(0.34 * 0.66 + grid.sum() / 1e4)
    assert all(auction_setting(name, grid=10).ceiling is None for name in ("A2", "A3", "A7", "A8", "A10"))
    # lotteries do not help against who shuns risk; they do against who seeks it; impatience lets time discriminate
    a4, a5, a6 = (auction_setting(name, grid=20).ceiling for name in ("A4", "A5", "A6"))
    assert a4 == pytest.approx(0.25, abs=1e-4)
    assert a5 > 0.3
    assert a6 > 0.3
    # patient bidders through the program of lotteries: the closed form again
    patient = BatchedAuction(rounds=3, supply=0.8, grid=20, discount=np.ones(3))
    assert ceiling(patient) == pytest.approx(0.25, abs=1e-9)


@pytest.mark.parametrize("make", [lambda: TableRule(10), lambda: NetworkRule(10, 3, width=8)], ids=["table", "network"])
@pytest.mark.parametrize(
    ("head", "simple", "weights"),
    [
        (posted_price_head(10, jnp.asarray([0.5, 0.43, 0.3])), PostedPrice(10), {"price": jnp.asarray([0.5, 0.43, 0.3])}),
        (reserve_head(10, jnp.asarray([0.5, 0.4, 0.3])), ReservePrice(10), {"reserve": jnp.asarray([0.5, 0.4, 0.3])}),
        (first_price_head(10, jnp.asarray([0.25, 1 / 3, 0.5])), FirstPrice(10), {"quantity": jnp.full(3, 0.2)}),
    ],
    ids=["posted", "reserve", "first price"],
)
def test_learned_rules_begin_at_simple_ones(make, head, simple, weights):
    rule = make()
    learned = head if isinstance(rule, TableRule) else rule.init(jax.random.key(0), head=head)
    left = 0.8
    for h in range(3):
        bids = jnp.asarray(np.random.default_rng(h).dirichlet(np.ones(10)) * 0.9)
        want = simple.sell(h, bids, jnp.asarray(left), weights)
        got = rule.sell(h, bids, jnp.asarray(left), learned)
        assert np.allclose(got.prices, want.prices, atol=2e-4)
        assert float(got.quantity) == pytest.approx(float(want.quantity), abs=2e-4)
        left -= 0.2


@settings(deadline=None, max_examples=4)
@given(seed=st.integers(0, 10_000), scale=st.floats(0.0, 30.0), left=st.floats(0.0, 1.0), blocks=st.integers(0, 2))
def test_networks_sell_what_there_is_at_payments_that_rise_to_the_bid(seed, scale, left, blocks):
    rule = NetworkRule(7, 3, width=5, blocks=blocks)
    key = jax.random.key(seed)
    weights = jax.tree.map(lambda w: scale * jax.random.normal(key, w.shape), rule.init(key))
    bids = jnp.asarray(np.random.default_rng(seed).dirichlet(np.ones(7)))
    sale = rule.sell(seed % 3, bids, jnp.asarray(left), weights)
    assert 0.0 <= float(sale.quantity) <= left
    assert np.all(np.diff(sale.prices) >= 0.0)
    assert np.all(np.asarray(sale.prices) <= np.arange(7) / 7 + 1e-12)


def test_networks_see_what_they_say():
    full = NetworkRule(100, 4)
    assert 1.5e5 < full.size(full.init(jax.random.key(0))) < 2.5e5
    blind = NetworkRule(6, 2, width=8, sees_bids=False, asks=False)
    seeing = NetworkRule(6, 2, width=8)
    one, two = jnp.asarray([0.5, 0.5, 0, 0, 0, 0]), jnp.asarray([0, 0, 0, 0, 0.5, 0.5])
    for rule, differs in ((blind, False), (seeing, True)):
        weights = rule.init(jax.random.key(3))
        first, second = (rule.sell(0, bids, jnp.asarray(0.5), weights) for bids in (one, two))
        assert bool(np.any(np.asarray(first.prices) != np.asarray(second.prices))) is differs
        assert bool(first.quantity != second.quantity) is differs


def test_a_static_head_sells_its_shares():
    head = static_head(posted_price_head(5, jnp.asarray([0.4, 0.4])), jnp.asarray([0.5, 1.0]))
    for bids in (jnp.full(5, 0.2), jnp.zeros(5)):
        assert float(TableRule(5).sell(0, bids, jnp.asarray(0.6), head).quantity) == pytest.approx(0.3)
    with pytest.raises(InputError, match="head of shapes"):
        NetworkRule(5, 2, width=4).init(jax.random.key(0), head=head)
    NetworkRule(5, 2, width=4, asks=False).init(jax.random.key(0), head=head)
    with pytest.raises(InputError, match="softness"):
        posted_price_head(5, jnp.asarray([0.4]), softness=0.6)


def test_float32_weights_give_float32_sales():
    rule = NetworkRule(5, 2, width=4)
    weights = jax.tree.map(lambda w: w.astype(jnp.float32), rule.init(jax.random.key(0)))
    sale = rule.sell(1, jnp.full(5, 0.2, dtype=jnp.float32), jnp.asarray(0.5, dtype=jnp.float32), weights)
    assert sale.prices.dtype == sale.quantity.dtype == jnp.float32


@pytest.mark.parametrize("rule", [FirstPrice(5), ReservePrice(5), PostedPrice(5), TableRule(5)])
def test_simple_rules_have_random_starts(rule):
    one, again, other = (rule.init(jax.random.key(k), 3) for k in (0, 0, 1))
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), one, again))
    assert not jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), one, other))
    sale = rule.sell(2, jnp.full(5, 0.2), jnp.asarray(0.5), one)
    assert 0.0 <= float(sale.quantity) <= 0.5


def test_a_market_rides_along_with_the_weights():
    setting = auction_setting("A3", grid=5, rounds=3)
    rule, weights = PostedPrice(5), {"price": jnp.full(3, 0.4)}
    market = setting.draw(jax.random.key(0))
    told = BatchedAuction(rounds=3, supply=float(market.supply), grid=5, initial=np.asarray(market.initial), re_entry=0.3)
    game, own = setting.auction.game(rule), told.game(rule)
    policy = uniform_policy(game)
    theta = InMarket(weights, market)
    assert np.allclose(flow_of(game, policy, theta), flow_of(own, policy, weights), atol=1e-15)
    flow = flow_of(own, policy, weights)
    for worth in (BatchedAuction.revenue, BatchedAuction.welfare):
        assert float(worth(setting.auction, rule, flow, theta)) == pytest.approx(float(worth(told, rule, flow, weights)))


def test_draws_of_a3_are_uniform_on_the_simplex_and_in_the_supply():
    markets = auction_setting("A3", grid=3).markets(jax.random.key(0), 4000)
    assert np.allclose(markets.initial.sum(axis=1), 1.0)
    # a coordinate of the uniform distribution on the simplex of 3 is Beta(1, 2): mean 1/3, variance 1/18
    assert np.allclose(markets.initial.mean(axis=0), 1 / 3, atol=4 * np.sqrt(1 / 18 / 4000))
    assert np.allclose(markets.initial.var(axis=0), 1 / 18, rtol=0.1)
    assert 0.6 <= float(markets.supply.min()) < 0.61
    assert 1.19 < float(markets.supply.max()) <= 1.2


def test_markets_side_by_side_are_the_markets_one_by_one():
    setting = auction_setting("A3", grid=4, rounds=3)
    rule = NetworkRule(4, 3, width=4)
    weights = rule.init(jax.random.key(5))
    markets = setting.markets(jax.random.key(0), 3)
    whole, one = setting.game(rule, markets), setting.game(rule)
    rng = np.random.default_rng(0)
    policies = jnp.asarray(rng.dirichlet(np.ones(4), size=(3, 3, 5)))  # round, copy, state
    policies = jnp.where(jnp.asarray(one.legal), policies, 0.0)
    policies = policies / policies.sum(axis=-1, keepdims=True)
    together = policies.reshape(3, 15, 4)
    flow = flow_of(whole, together, weights)
    q = action_values(whole, flow, together, weights, 0.1)
    gaps, worths = [], []
    for k in range(3):
        theta = InMarket(weights, Market(markets.initial[k], markets.supply[k]))
        alone = flow_of(one, policies[:, k], theta)
        assert np.allclose(copies_of(flow, 3, mass=True)[:, k], alone, atol=1e-14)
        assert np.allclose(copies_of(q, 3)[:, k], action_values(one, alone, policies[:, k], theta, 0.1), atol=1e-13)
        gaps.append(float(exploitability(one, policies[:, k], theta, 0.1)))
        worths.append(float(setting.auction.revenue(rule, alone, theta)))
    assert float(exploitability(whole, together, weights, 0.1)) == pytest.approx(np.mean(gaps))
    assert np.allclose(setting.worths(rule, flow, weights, markets), worths, atol=1e-14)
    assert float(setting.worth(rule, flow, weights, markets)) == pytest.approx(np.mean(worths))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: auction_setting("A11"), "expected one of A1, A2"),
        (lambda: auction_setting("A1", rounds=0), "rounds >= 1"),
        (lambda: auction_setting("A1", grid=1), "grid >= 2"),
        (lambda: auction_setting("A3", grid=3).markets(jax.random.key(0), 0), "at least 1 market"),
        (lambda: ceiling(BatchedAuction(rounds=1, supply=0.5, grid=3), {"profit": 1.0}), "'revenue' and 'welfare'"),
        (lambda: gaussian_drift(5, 1.2, 0.0), "sigma > 0"),
        (lambda: geometric_values(5, 0.0), "ratio"),
        (lambda: hyperbolic_discount(5, -1.0), "impatience >= 0"),
        (lambda: constant_absolute_risk(np.inf), "finite aversion"),
        (lambda: NetworkRule(1, 4), "grid >= 2"),
        (lambda: side_by_side(BatchedAuction(rounds=1, supply=0.5, grid=3).game(FirstPrice(3)), jnp.asarray(1.0), InMarket), "leading ax"),
    ],
)
def test_bad_settings_are_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
