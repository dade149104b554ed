"""The long runs of mean-field incentive design, at no length: every row is there, and what is kept is never worse than the start."""

import json

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from hurwicz._foundation import InputError
from hurwicz.designers import auction_problem, evaluate_design
from hurwicz.meanfield import PostedPrice, TableRule, auction_setting, posted_price_head, static_head
from hurwicz.reproductions.amid.beach import beach_rows, price_the_beach
from hurwicz.reproductions.amid.climbing import climb
from hurwicz.reproductions.amid.long_runs import Comparison, compare, long_runs, rows_of
from hurwicz.reproductions.amid.planned import SETTLED, PlannedSale, shares_of, sold_by
from hurwicz.reproductions.amid.size import Size

TINY = Size(grid=4, long_grid=4, rounds=2, seeds=1, steps=8, markets=2, held_out=3, width=4, softness=1e-3, perturbations=30)


@pytest.mark.slow
def test_a_static_rule_and_a_rule_for_many_markets_are_learned_and_reported():
    static = compare("A10", TINY)
    assert static.learned.shape == static.started.shape == static.exploitability.shape == (1,)
    assert np.all(static.learned > static.started + 1e-3)
    assert static.learned.min() > max(static.simple[rule] for rule in static.simple if "shares" in rule)
    assert static.best_simple == "best posted prices"  # which look at the bids: named all the same
    many = compare("A3", TINY)
    assert many.learned[0] > many.started[0]
    assert many.told.mean() > many.held_out["best posted prices of the training markets"].mean()
    assert {name: values.shape for name, values in many.held_out.items()} == {
        "learned network": (1, 3),
        "best posted prices of the training markets": (1, 3),
    }
    rows = rows_of(many, TINY)
    assert [row.id for row in rows] == ["A3"] * 7
    json.dumps([row.to_dict() for row in rows], allow_nan=False)


@pytest.mark.slow
def test_a_plan_that_is_blind_to_the_bids_earns_what_posted_prices_do_unless_it_sells_all_that_is_asked_for():
    setting = auction_setting("A10", grid=20)
    prices = np.asarray([0.4875, 0.4925, 0.4875, 0.4875])
    posted = evaluate_design(auction_problem(setting, PostedPrice(20)), {"price": prices})
    plans = auction_problem(setting, PlannedSale(20), iterations=SETTLED * setting.iterations)
    # the posted prices' equilibrium is one of this plan too; there is another, in which everybody bids less
    same = evaluate_design(plans, {"price": prices, "quantity": sold_by(setting, posted)})
    assert same.objective < 0.9 * posted.objective
    # found by search: it ends next to the edge, and the next digit matters
    sold = np.asarray([0.51130561, 0.10686073, 0.11480873, 0.07058818])
    plan = {"price": np.asarray([0.49652795, 0.53749004, 0.48260302, 0.49464709]), "quantity": sold}
    blind = evaluate_design(plans, plan)
    assert posted.objective < blind.objective < 0.8 * 0.5
    assert max(same.exploitability, blind.exploitability) < 1e-5
    # the same sale as a table, and what a gradient that turns back from the edge adds to it
    shares = shares_of(plan["quantity"], setting.auction.supply)
    head = static_head(posted_price_head(20, jnp.asarray(plan["price"]), softness=1e-3), jnp.asarray(shares))
    table = auction_problem(setting, TableRule(20), start=lambda _key: head, iterations=SETTLED * setting.iterations)
    learned = climb(table, optax.adam, steps=9, rate=1e-3, leg=3)
    assert len(learned.history) == 9
    assert learned.objective > learned.history[0]
    assert learned.objective > 0.9999 * posted.objective


@pytest.mark.slow
def test_prices_on_the_beach_are_learned_and_reported():
    found = price_the_beach(Size(seeds=1, steps=8), places=5, horizon=4)
    assert found.priced[0] < found.free
    assert found.exploitability.shape == (1, 1 + 8 + 1)
    assert np.all((found.prices >= 0.0) & (found.prices <= 2.0))
    assert [row.agrees for row in beach_rows(found, TINY)][:2] == [None, True]


def test_a_learned_rule_that_is_not_better_is_said_not_to_be():
    found = compare_nothing(np.asarray([0.20, 0.22]))
    learned = rows_of(found, TINY)[1]
    assert learned.ours == pytest.approx(0.21)
    assert learned.agrees is False
    assert rows_of(compare_nothing(np.asarray([0.30, 0.32])), TINY)[1].agrees is True


def compare_nothing(learned):
    return Comparison(auction_setting("A1", grid=4), {"best posted prices": 0.25}, learned - 0.01, learned, np.zeros(2))


def test_bad_lengths_and_names_are_refused():
    with pytest.raises(InputError, match="counts >= 1"):
        Size(seeds=0)
    with pytest.raises(InputError, match="settings among A1, A2"):
        long_runs(["A11"], TINY)
