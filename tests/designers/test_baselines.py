"""Baselines: against brute force on small grids, the published figures of A1, and searches that only see values."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from hurwicz._foundation import InputError, NotFiniteError, Status
from hurwicz.designers import (
    annealing,
    auction_problem,
    best_posted_prices,
    best_reserve_schedule,
    evaluate_design,
    first_price_schedule,
    meanfield_adjoint,
    zeroth_order,
)
from hurwicz.designers.interruption import StoppedAgain
from hurwicz.meanfield import BatchedAuction, PostedPrice, ReservePrice, TableRule, auction_setting, posted_price_head

SMALL = BatchedAuction(rounds=2, supply=0.8, grid=5)
OPTIONS = {"tau": 0.02, "rate": 10.0, "iterations": 200}


def brute(auction, rule, name, levels, options):
    problem = auction_problem(auction, rule, **options)
    return max(evaluate_design(problem, {name: jnp.asarray(p)}).objective for p in itertools.product(levels, repeat=auction.rounds))


def test_reserves_found_are_the_best_of_all():
    found = best_reserve_schedule(SMALL, **OPTIONS)
    assert found.status is Status.LOCAL_OPTIMUM
    assert found.value.objective == pytest.approx(brute(SMALL, ReservePrice(5), "reserve", np.arange(5) / 5, OPTIONS), abs=1e-6)
    assert found.value.exploitability < 1e-4
    assert len(found.value.history) == found.stats["evaluations"] < 25


def test_posted_prices_found_are_the_best_of_all():
    auction, options = BatchedAuction(rounds=1, supply=0.8, grid=5), {"tau": 0.005, "rate": 20.0, "iterations": 100}
    found = best_posted_prices(auction, resolution=0.02, **options)
    best = brute(auction, PostedPrice(5), "price", np.arange(0.0, 0.999, 0.02), options)
    assert found.value.objective == pytest.approx(best, abs=1e-6)
    # off the grid of bids, and better than any price on it
    assert best > brute(auction, PostedPrice(5), "price", np.arange(5) / 5, options) + 0.02


def test_first_price_in_setting_a1():
    found = first_price_schedule(auction_setting("A1"))
    assert found.value.objective == pytest.approx(0.148, abs=0.002)
    assert found.value.exploitability < 1e-4
    assert found.value.theta["quantity"].tolist() == pytest.approx([0.2] * 4)


def test_schedules_of_bad_sizes_are_refused():
    for call, message in (
        (lambda: first_price_schedule(SMALL, quantities=[0.5, 0.4], **OPTIONS), "at most the supply"),
        (lambda: first_price_schedule(SMALL, quantities=[0.5], **OPTIONS), "shape"),
        (lambda: best_reserve_schedule(SMALL, pieces=3, **OPTIONS), "pieces between 1 and the 2 rounds"),
        (lambda: best_posted_prices(SMALL, resolution=0.0, **OPTIONS), "resolution in"),
        (lambda: best_posted_prices(SMALL, evaluations=0, **OPTIONS), "evaluations >= 1"),
    ):
        with pytest.raises(InputError, match=message):
            call()


def test_a_search_stops_where_its_evaluations_are_spent():
    seen = []
    found = best_reserve_schedule(SMALL, evaluations=4, progress=lambda *at: seen.append(at), **OPTIONS)
    assert found.status is Status.STEP_LIMIT
    assert [at[:2] for at in seen] == [(k, 4) for k in (1, 2, 3, 4)]
    assert seen[-1][2] == found.value.history.max()


@pytest.mark.parametrize("method", ["sgd", "adam"])
def test_zeroth_order_finds_the_price_of_a_monopoly(monopoly, method):
    problem, price, revenue = monopoly()
    found = zeroth_order(problem, method=method, steps=200, learning_rate={"sgd": 0.5, "adam": 0.05}[method], radius=0.01)
    assert float(found.value.theta) == pytest.approx(price, abs=0.02)
    assert found.value.objective == pytest.approx(revenue, abs=1e-4)


def test_annealing_finds_the_price_of_a_monopoly(monopoly):
    problem, price, revenue = monopoly()
    found = annealing(problem, steps=300, scale=0.3)
    assert float(found.value.theta) == pytest.approx(price, abs=0.03)
    assert found.value.objective == pytest.approx(revenue, abs=1e-3)
    assert found.value.objective == pytest.approx(found.value.history.max(), abs=1e-9)


@pytest.mark.parametrize("search", [zeroth_order, annealing])
def test_searches_resume_bit_for_bit_and_name_a_nan(pigou, search, tmp_path):
    problem, path = pigou(), tmp_path / "run.npz"
    whole = search(problem, steps=6, seed=5)

    def stop(step, steps, best):
        if step == 2:
            raise KeyboardInterrupt

    search(problem, steps=6, seed=5, checkpoint=path, progress=stop)
    resumed = search(problem, steps=6, seed=5, checkpoint=path, resume=True)
    assert np.array_equal(resumed.value.history, whole.value.history)
    assert np.array_equal(resumed.value.theta["toll"], whole.value.theta["toll"])
    with pytest.raises(NotFiniteError, match="theta itself is not finite"):
        search(problem, steps=2, start={"toll": jnp.asarray(jnp.nan)})


def test_a_search_for_prices_that_is_stopped_gives_the_best_until_then():
    auction, options = BatchedAuction(2, 0.5, 6), {"tau": 0.05, "rate": 5.0, "iterations": 200}
    whole = best_posted_prices(auction, **options)

    def stop(done, most, best):
        if done == 7:
            raise KeyboardInterrupt

    broken = best_posted_prices(auction, progress=stop, **options)
    assert broken.stats["interrupted"]
    assert not whole.stats["interrupted"]
    assert broken.stats["evaluations"] == 7
    assert broken.value.history.tolist() == whole.value.history[:7].tolist()
    assert broken.value.objective == pytest.approx(broken.value.history.max(), abs=1e-3)

    def at_once(done, most, best):
        raise StoppedAgain

    with pytest.raises(StoppedAgain):
        best_posted_prices(auction, progress=at_once, **options)


def test_searches_refuse_what_has_no_meaning(pigou):
    for call, message in (
        (lambda: zeroth_order(pigou(), method="newton"), "a method among"),
        (lambda: zeroth_order(pigou(), radius=0.0), "radius > 0"),
        (lambda: zeroth_order(pigou(), steps=0), "steps >= 1"),
        (lambda: annealing(pigou(), temperature=0.0), "temperature > 0"),
        (lambda: annealing(pigou(), steps=0), "steps >= 1"),
    ):
        with pytest.raises(InputError, match=message):
            call()


def test_one_rule_for_several_markets_is_worth_their_mean():
    a3 = auction_setting("A3", grid=6, rounds=2)
    markets = a3.markets(jax.random.key(0), 2)
    options = {"tau": 0.05, "rate": 5.0}
    together = auction_problem(a3, PostedPrice(6), markets=markets, **options)
    price = {"price": jnp.asarray([0.5, 0.3])}
    each = []
    for k in range(2):
        alone = BatchedAuction(2, float(markets.supply[k]), 6, initial=np.asarray(markets.initial[k]), re_entry=0.3)
        each.append(evaluate_design(auction_problem(alone, PostedPrice(6), **options), price, tolerance=1e-9).objective)
    assert evaluate_design(together, price, tolerance=1e-9).objective == pytest.approx(np.mean(each), abs=1e-7)


@pytest.mark.slow
def test_in_setting_a1_the_learned_rule_is_worth_what_the_posted_price_is_and_more():
    a1 = auction_setting("A1")
    prices = {"price": jnp.full(4, 0.498)}
    posted = evaluate_design(auction_problem(a1, PostedPrice(100)), prices)
    assert posted.objective == pytest.approx(0.2484, abs=1e-4)
    table = auction_problem(a1, TableRule(100))
    start = posted_price_head(100, prices["price"], softness=1e-3)
    learned = meanfield_adjoint(table, start=start, steps=3, differentiate="implicit", optimiser=optax.adam(0.1)).value
    assert 0.247 < learned.objective < a1.ceiling
    assert learned.objective > evaluate_design(table, start).objective
    assert learned.objective > posted.objective - 5e-4
    assert learned.exploitability < 0.005


def test_a_rule_that_sells_more_than_there_is_is_refused() -> None:
    """Neither worth nor equilibrium is told of a rule that cannot be carried out; the round is named."""

    class Oversells(PostedPrice):
        def sell(self, h, bids, left, weights):
            sale = super().sell(h, bids, left, weights)
            return sale._replace(quantity=left + 0.3)

    auction = BatchedAuction(rounds=2, supply=0.5, grid=6)
    weights = {"price": np.asarray([0.5, 0.5])}
    problem = auction_problem(auction, Oversells(6), tau=0.05, rate=2.0, iterations=20, start=lambda _key: weights)
    with pytest.raises(InputError, match="round 0"):
        evaluate_design(problem, weights)
    with pytest.raises(InputError, match="round 0"):
        meanfield_adjoint(problem, steps=1)
