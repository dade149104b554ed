"""Mean-field policies and rules before the auditor, against closed forms and with what must be refuted."""

import dataclasses
import json
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
import pytest

from hurwicz._foundation import InputError, NotFiniteError
from hurwicz.audits import Finding, Verdict, audit_mean_field_rule, deviation_gains, findings_table, render_findings, replay_deviation
from hurwicz.audits.finite_population import best_reply, interval, returns_of
from hurwicz.audits.mean_field import case_of
from hurwicz.audits.mean_field_rules import _revenue
from hurwicz.meanfield import BatchedAuction, MeanFieldGame, PostedPrice, Sale, exploitability, left_right, simulate, susceptible_infected


def roads(count=2):
    """One round, every road costs the share of the players on it."""
    return MeanFieldGame(
        name="roads",
        states=1,
        actions=count,
        horizon=1,
        initial=np.ones(1),
        reward=lambda h, flow, theta: -jnp.broadcast_to(flow.sum(axis=0), flow.shape),
        move=lambda h, mass, flow, theta: mass.sum(axis=1),
    )


def truthful(grid, rounds):
    return np.broadcast_to(np.vstack([np.eye(grid), np.eye(grid)[:1]]), (rounds, grid + 1, grid))


@pytest.mark.parametrize(("players", "crowded"), [(2, 0.8), (10, 0.8), (10, 0.6)])
def test_the_gain_among_players_is_the_closed_form(players, crowded):
    game, chances = roads(), np.asarray([crowded, 1.0 - crowded])
    cost = (1.0 + (players - 1) * chances) / players  # my own share, and each of the others with its chance
    gain = float(chances @ cost - cost.min())
    found = deviation_gains(game, chances[None, None], (players,), outside=-1.0, episodes=1000, tolerance=1e-3)
    assert found[0].value == pytest.approx(float(chances @ chances - chances.min()), abs=1e-12)
    low, high = found[2].effort["interval"]
    assert low < gain < high
    assert high - low < 0.1
    assert found[2].effort["utility"] == pytest.approx(-float(chances @ cost), abs=0.03)
    assert found[2].verdict is Verdict.REFUTED
    assert replay_deviation(game, chances[None, None], found[2]) == found[2].value


def test_an_equilibrium_is_one_of_every_number_of_players():
    game, half = roads(), np.full((1, 1, 2), 0.5)
    found = deviation_gains(game, half, (3, 30), outside=-0.5, tolerance=1e-3)
    assert [f.verdict.value for f in found] == ["proved", "proved", "not_refuted", "not_refuted"]
    assert found[0].effort["bracket"] == [0.0, 0.0]
    assert max(f.value for f in found[2:]) < 0.05
    assert "a better one may exist" in found[2].reason  # a reply that was found bounds the gain from below only


def test_what_draws_add_is_taken_out_without_bias():
    game = susceptible_infected()
    policy = np.full(game.shape, 0.5)
    own, _ = returns_of(game, policy, [policy], 5, None, 500, 3)
    mean, low, high = interval(own[0], 0.999)
    plain = simulate(game, policy, 5, seeds=120, seed=9).returns
    other, down, up = interval(plain, 0.999)
    assert max(low, down) < min(high, up), (mean, other)
    # with many others a player's return scatters by its own draws alone: nothing of that is left
    lanes = left_right()
    alone, _ = returns_of(lanes, np.full(lanes.shape, 0.5), [np.full(lanes.shape, 0.5)], 400, None, 50, 3)
    assert alone[0].std() < 0.1 * np.ptp([-0.5, -1.0])
    assert alone[0].mean() == pytest.approx(-0.75, abs=0.02)


def test_a_reply_counts_its_own_share():
    # two roads of which one costs a little more: among two players the empty one is worth it, in the mean field it is not
    game = MeanFieldGame(
        name="two roads, one longer",
        states=1,
        actions=2,
        horizon=1,
        initial=np.ones(1),
        reward=lambda h, flow, theta: -jnp.broadcast_to(flow.sum(axis=0) * jnp.asarray([1.0, 0.0]) + jnp.asarray([0.0, 0.4]), flow.shape),
        move=lambda h, mass, flow, theta: mass.sum(axis=1),
    )
    policy = np.asarray([[[0.3, 0.7]]])  # the others leave .3 on the first road: .3 < .4, but with my own half (1 + .3) / 2 > .4
    assert best_reply(game, policy, 2, None, 400, 0)[0, 0].tolist() == [0.0, 1.0]
    assert best_reply(game, policy, 1000, None, 50, 0)[0, 0].tolist() == [1.0, 0.0]


def test_a_policy_that_is_no_equilibrium_is_refuted_and_replays():
    game = left_right()
    all_left = np.zeros(game.shape)
    all_left[..., 0] = 1.0
    found = deviation_gains(game, all_left, (10,), outside=-2.0, tolerance=0.1)
    assert [f.verdict.value for f in found] == ["refuted", "proved", "refuted"]
    assert found[0].value == float(exploitability(game, all_left)) == 1.0
    again = Finding.from_dict(json.loads(json.dumps(found[2].to_dict())))
    assert replay_deviation(game, all_left, again) == pytest.approx(found[2].value, abs=1e-12)
    assert "equilibrium_of_10_players" in render_findings(found)
    assert findings_table(found).row_count == 3
    with pytest.raises(InputError, match="refuted deviation"):
        replay_deviation(game, all_left, found[1])


@dataclass(frozen=True)
class Surcharge:
    """A posted price that takes more than was bid."""

    grid: int
    extra: float = 0.0
    oversell: float = 0.0
    falling: bool = False

    def sell(self, h, bids, left, weights):
        grid = jnp.arange(self.grid) / self.grid
        sold = jnp.minimum(left, jnp.where(grid >= 0.5, bids, 0.0).sum())
        return Sale(sold + self.oversell, grid[::-1] if self.falling else grid + self.extra)


def by_property(findings):
    return {f.property: f for f in findings}


def test_a_rule_that_takes_more_than_was_bid_breaks_participation():
    auction, truth = BatchedAuction(rounds=2, supply=0.8, grid=10), truthful(10, 2)
    kept = by_property(audit_mean_field_rule(auction, Surcharge(10), None, truth, ()))
    assert kept["interim_IR"].verdict is Verdict.PROVED
    broken = by_property(audit_mean_field_rule(auction, Surcharge(10, extra=0.1), None, truth, ()))
    assert broken["interim_IR"].verdict is Verdict.REFUTED
    assert broken["interim_IR"].witness.gain == pytest.approx(0.1)  # served at once, and pays a tenth above its value
    assert broken["interim_IR"].witness.details["utility"] == pytest.approx(-0.1)


def test_sales_of_more_than_there_is_and_falling_payments_are_found():
    auction, truth = BatchedAuction(rounds=2, supply=0.8, grid=10), truthful(10, 2)
    found = by_property(audit_mean_field_rule(auction, Surcharge(10, oversell=0.05), None, truth, ()))
    assert found["feasibility"].verdict is Verdict.REFUTED
    assert found["feasibility"].value == pytest.approx(0.05)
    assert found["payments_rise_with_bids"].verdict is Verdict.NOT_REFUTED
    found = by_property(audit_mean_field_rule(auction, Surcharge(10, falling=True), None, truth, ()))
    assert found["payments_rise_with_bids"].witness.gain == pytest.approx(0.1)


@pytest.mark.slow
def test_revenue_of_a_posted_price_scatters_like_one_over_root_n():
    auction, truth = BatchedAuction(rounds=1, supply=1.0, grid=10), truthful(10, 1)
    found = by_property(audit_mean_field_rule(auction, PostedPrice(10), {"price": jnp.asarray([0.5])}, truth, (10, 40, 160), paths=2))
    effort = found["revenue_in_the_large"].effort
    assert effort["mean_field_revenue"] == pytest.approx(0.25)
    for n, spread in effort["root_mean_square"].items():  # half of N values are above the price
        assert spread == pytest.approx(0.25 / np.sqrt(int(n)), rel=0.2)
    assert effort["slope_of_root_mean_square"][0] == pytest.approx(-0.5, abs=0.06)
    assert found["revenue_in_the_large"].verdict is Verdict.NOT_REFUTED
    assert found["mean_field_equilibrium"].value == pytest.approx(0.0, abs=1e-12)  # the price does not depend on the bid


def test_a_gap_that_does_not_close_is_refuted():
    game = roads()
    case = case_of(game, np.full((1, 1, 2), 0.5), (10,), None, 0.0, 1e-3, 100, 1, 0.95, 0)
    rng = np.random.default_rng(0)
    stays = _revenue(case, 0.25, {n: 0.2 + 0.01 * rng.standard_normal(100) for n in (10, 100, 1000)})
    assert stays.verdict is Verdict.REFUTED
    closes = _revenue(case, 0.25, {n: 0.25 - 0.5 / n + 0.01 * rng.standard_normal(100) / n for n in (10, 100, 1000)})
    assert closes.verdict is Verdict.NOT_REFUTED
    assert closes.effort["slope"][0] == pytest.approx(-1.0, abs=0.02)


def test_what_is_no_game_is_refused_with_its_round_and_state():
    good = left_right()
    half = np.full(good.shape, 0.5)
    nowhere = dataclasses.replace(good, reward=lambda h, flow, theta: jnp.where(h == 1, jnp.nan, 0.0) + good.reward(h, flow, theta))
    with pytest.raises(NotFiniteError, match="the reward is nan in round 1, state 0, action 0"):
        deviation_gains(nowhere, half, ())
    leaky = dataclasses.replace(good, move=lambda h, mass, flow, theta: 1.5 * good.move(h, mass, flow, theta))
    with pytest.raises(InputError, match=r"sum of 1.5 in round 0, state 0, action 0"):
        deviation_gains(leaky, half, ())
    with pytest.raises(InputError, match="weight of entropy"):
        deviation_gains(good, half, (), tau=-1.0)
    auction = BatchedAuction(rounds=2, supply=0.8, grid=10)
    with pytest.raises(NotFiniteError, match="finite prices from the rule, got NaN or infinity in round 0"):
        audit_mean_field_rule(auction, Surcharge(10, extra=np.nan), None, truthful(10, 2), ())


def test_nan_among_few_players_only_is_named():
    # the mean field splits evenly; among three players one road always has two thirds or more
    game = dataclasses.replace(roads(), reward=lambda h, flow, theta: roads().reward(h, flow, theta) + jnp.where(flow > 0.6, jnp.nan, 0.0))
    half = np.full((1, 1, 2), 0.5)
    assert deviation_gains(game, half, (), outside=-1.0)[0].verdict is Verdict.PROVED
    with pytest.raises(NotFiniteError, match="the reward is nan in round 0, state 0, action"):
        deviation_gains(game, half, (3,), episodes=20, paths=2)


def test_bad_input_is_refused():
    game, half = roads(), np.full((1, 1, 2), 0.5)
    with pytest.raises(InputError, match="players >= 2"):
        deviation_gains(game, half, (1,))
    with pytest.raises(InputError, match="sum to 1"):
        deviation_gains(game, 0.9 * half, ())
    with pytest.raises(InputError, match="tolerance > 0"):
        deviation_gains(game, half, (), tolerance=0.0)
    auction = BatchedAuction(rounds=1, supply=0.5, grid=4)
    with pytest.raises(InputError, match="legal actions"):
        audit_mean_field_rule(auction, PostedPrice(4), {"price": jnp.asarray([0.5])}, np.full((1, 5, 4), 0.25), ())
