"""Batched auctions: the figures of the specification, small markets by hand, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hurwicz._foundation import InputError
from hurwicz.equilibria.mean_field import MeanFieldProblem, OnlineMirrorDescent, solve_mean_field
from hurwicz.meanfield import (
    BatchedAuction,
    FirstPrice,
    PostedPrice,
    ReservePrice,
    TableRule,
    exploitability,
    flow_of,
    rising_prices,
    simulate,
    uniform_policy,
    winning_probability,
)

A1 = BatchedAuction(rounds=4, supply=0.8)
masses = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=8)


def equilibrium(rule, weights, steps=500):
    problem = MeanFieldProblem(A1.game(rule), weights, 1e-3)
    return solve_mean_field(problem, iterations=[OnlineMirrorDescent(10.0)], tolerance=0.0, most=steps, every=steps).value


@pytest.mark.parametrize(
    ("rule", "weights", "revenue", "within"),
    [
        (FirstPrice(100), {"quantity": jnp.full(4, 0.2)}, 0.1481, 1e-4),
        (FirstPrice(100), {"quantity": jnp.full(4, 0.125)}, 0.2404, 1e-4),
        (ReservePrice(100), {"reserve": jnp.full(4, 0.49)}, 0.24509, 1e-5),
        (PostedPrice(100), {"price": jnp.full(4, 0.5)}, 0.24753, 1e-5),
    ],
    ids=["first price", "half the supply", "reserve", "posted price"],
)
def test_revenue_of_simple_rules_in_setting_a1(rule, weights, revenue, within):
    found = equilibrium(rule, weights)
    assert found.exploitability < 1e-4
    assert float(A1.revenue(rule, jnp.asarray(found.flow), weights)) == pytest.approx(revenue, abs=within)


@settings(deadline=None, max_examples=50)
@given(bids=masses, quantity=st.floats(0.0, 1.5))
def test_the_highest_bids_are_served_and_no_more_than_there_is(bids, quantity):
    nu = np.asarray(bids)
    wins = np.asarray(winning_probability(jnp.asarray(nu), jnp.asarray(quantity)))
    # by hand: from the top, as much as is left
    left, served = quantity, np.zeros(len(nu))
    for a in reversed(range(len(nu))):
        served[a] = min(left, nu[a])
        left -= served[a]
    assert np.allclose(wins * nu, served, atol=1e-12)
    assert np.all((wins >= 0.0) & (wins <= 1.0))


def test_the_winning_probability_has_a_finite_gradient_where_mass_underflows():
    gradient = jax.grad(lambda nu: winning_probability(nu, jnp.asarray(0.4)).sum())(jnp.asarray([0.3, 0.0, 1e-300, 0.3]))
    assert np.all(np.isfinite(gradient))
    # the marginal bid itself: what it sells, nu p_win, is the quantity, whatever nu is
    nu, quantity = jnp.asarray([0.3, 2e-200]), jnp.asarray(1e-200)
    by_nu, by_quantity = jax.grad(lambda n, q: n[1] * winning_probability(n, q)[1], argnums=(0, 1))(nu, quantity)
    assert by_nu.tolist() == pytest.approx([0.0, 0.0], abs=1e-12)
    assert float(by_quantity) == pytest.approx(1.0)
    # compiled, where what is divided twice might become a division by a square
    wins, slope = jax.jit(jax.value_and_grad(lambda n: n[1] * winning_probability(n, quantity)[1]))(nu)
    assert float(wins) == pytest.approx(1e-200, rel=1e-12)
    assert slope.tolist() == pytest.approx([0.0, 0.0], abs=1e-12)


def test_revenue_and_welfare_have_the_gradient_of_differences_where_few_bid():
    auction = BatchedAuction(rounds=2, supply=0.5, grid=4)
    rule, weights = FirstPrice(4), {"quantity": jnp.asarray([0.25, 0.2])}
    flow = flow_of(auction.game(rule), uniform_policy(auction.game(rule)), weights)
    flow = flow.at[:, 2, 3].multiply(1e-180).at[:, 3, 3].multiply(1e-200)  # the highest bid is all but never made
    for worth in (auction.revenue, auction.welfare):
        slope = jax.grad(lambda m, worth=worth: worth(rule, m, weights))(flow)
        assert np.all(np.isfinite(slope))
        step = jnp.zeros_like(flow).at[0, 2, 2].set(1e-6).at[0, 3, 2].set(-3e-6)
        difference = (worth(rule, flow + step, weights) - worth(rule, flow - step, weights)) / 2.0
        assert float((slope * step).sum()) == pytest.approx(float(difference), rel=1e-6)


@settings(deadline=None, max_examples=50)
@given(steps=st.lists(st.floats(-30.0, 30.0), min_size=1, max_size=20))
def test_learned_payments_rise_and_never_pass_the_bid(steps):
    prices = np.asarray(rising_prices(jnp.asarray(steps)))
    bids = np.arange(len(prices)) / len(prices)
    assert np.all(np.diff(prices) >= 0.0)
    assert np.all(prices <= bids + 1e-12)


def test_supply_lasts_whatever_the_rule_asks_for():
    auction = BatchedAuction(rounds=5, supply=0.6, grid=10, re_entry=0.3)
    for rule, weights in (
        (FirstPrice(10), {"quantity": jnp.full(5, 0.5)}),
        (ReservePrice(10), {"reserve": jnp.full(5, 0.0)}),
        (TableRule(10), {"steps": jnp.zeros((5, 9)), "share": jnp.full(5, 3.0)}),
    ):
        game = auction.game(rule)
        game.check(weights, draws=2)
        flow = np.asarray(jax.jit(lambda pi, w, game=game: flow_of(game, pi, w))(uniform_policy(game), weights))
        left, sold = 0.6, 0.0
        for h in range(5):
            bids = jnp.asarray(flow[h, :10].sum(axis=0))
            quantity = float(rule.sell(h, bids, jnp.asarray(left), weights).quantity)
            served = float(bids @ winning_probability(bids, jnp.asarray(quantity)))
            left, sold = left - served, sold + served
        assert sold <= 0.6 + 1e-12


def test_welfare_is_the_value_of_those_served():
    auction = BatchedAuction(rounds=1, supply=0.5, grid=4)
    rule, weights = FirstPrice(4), {"quantity": jnp.asarray([0.5])}
    game = auction.game(rule)
    policy = jnp.eye(4)[jnp.asarray([0, 1, 2, 3, 0])][None]  # everybody bids its value
    flow = flow_of(game, policy, weights)
    assert float(auction.welfare(rule, flow, weights)) == pytest.approx(0.25 * (0.5 + 0.75))
    assert float(auction.revenue(rule, flow, weights)) == pytest.approx(0.25 * (0.5 + 0.75))
    # who is worth 3/4 gains 1/4 by bidding 1/2, which wins for sure; nobody else gains
    assert float(exploitability(game, policy, weights)) == pytest.approx(0.25 * 0.25)


def test_many_players_come_close_to_the_mean_field():
    auction = BatchedAuction(rounds=3, supply=0.5, grid=10, re_entry=0.2)
    rule, weights = FirstPrice(10), {"quantity": jnp.full(3, 0.15)}
    game = auction.game(rule)
    policy = np.asarray(uniform_policy(game))
    limit = np.asarray(flow_of(game, jnp.asarray(policy), weights))
    gaps = []
    for players in (100, 10_000, 1_000_000):
        run = simulate(game, policy, players, theta=weights, seeds=4)
        assert np.allclose(run.flows.sum(axis=(2, 3)), 1.0)
        gaps.append(np.abs(run.flows - limit).sum(axis=(1, 2, 3)).mean())
    slope = np.polyfit(np.log([1e2, 1e4, 1e6]), np.log(gaps), 1)[0]
    assert -0.6 < slope < -0.4  # 1 / sqrt(N)


def test_runs_are_their_own_streams():
    auction = BatchedAuction(rounds=2, supply=0.5, grid=4)
    rule, weights = FirstPrice(4), {"quantity": jnp.full(2, 0.2)}
    game = auction.game(rule)
    policy = np.asarray(uniform_policy(game))
    few = simulate(game, policy, 50, theta=weights, seeds=2, seed=3)
    more = simulate(game, policy, 50, theta=weights, seeds=4, seed=3)
    assert np.array_equal(few.flows, more.flows[:2])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rounds": 0}, "rounds >= 1"),
        ({"supply": 0.0}, "supply > 0"),
        ({"supply": np.nan}, "supply > 0"),
        ({"re_entry": 1.5}, "re-entry"),
        ({"initial": np.asarray([0.5, 0.4])}, "sums to 1"),
        ({"drift": np.asarray([[0.5, 0.4], [0.0, 1.0]])}, "row 0 sums to 0.9"),
        ({"discount": np.asarray([1.0, np.nan])}, "discount"),
    ],
)
def test_bad_settings_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        BatchedAuction(**{"rounds": 2, "supply": 0.5, "grid": 2, **change})


def test_bad_simulations_are_refused():
    game = A1.game(FirstPrice(100))
    with pytest.raises(InputError, match="players >= 1"):
        simulate(game, np.asarray(uniform_policy(game)), 0)
    with pytest.raises(InputError, match="sum to 1"):
        simulate(game, np.zeros(game.shape), 10)
    with pytest.raises(InputError, match="entropy tau"):
        MeanFieldProblem(game, None, -1.0)
