"""The logit path and the compiled tables against numpy, closed forms and peers' routes; jumps, steps and time limits."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hurwicz._foundation import FloatArray, InputError
from hurwicz.equilibria import FiniteGame, LogitPath, MonotoneStrategy, bayes_nash, drive, exploitability, sealed_bid_game
from hurwicz.equilibria.grid_responses import logit_condition, utilities
from hurwicz.equilibria.interim import TableRoute
from hurwicz.equilibria.steps import bids_told_apart
from hurwicz.mechanisms import SingleParameterMechanism, single_parameter
from hurwicz.mechanisms.clock_auctions import dutch_clock, english_clock
from hurwicz.mechanisms.position import generalized_second_price
from hurwicz.mechanisms.public_good import expected_externality_public_good
from hurwicz.mechanisms.second_best import second_best_trade
from hurwicz.mechanisms.several_units import discriminatory, uniform_price
from hurwicz.mechanisms.single_item import first_price, second_price, third_price
from hurwicz.mechanisms.trade import k_double_auction, mcafee
from hurwicz.typespaces import FinitePrior, Interval, Uniform

UNIT = Uniform(Interval(0.0, 1.0))
GAMES: dict[str, Callable[[], SingleParameterMechanism]] = {
    "counts": lambda: first_price(4),
    "counts, two groups": lambda: first_price(3, prior={"bidder 1": UNIT, "bidder 2": UNIT, "bidder 3": Uniform(Interval(0.0, 2.0))}),
    "threshold": lambda: second_price(4),
    "threshold of two units": lambda: uniform_price(4, units=2),
    "product": lambda: generalized_second_price(3),
    "product, two sides": lambda: k_double_auction(2),
}


@pytest.mark.parametrize("name", GAMES)
def test_compiled_tables_agree_with_asking_the_rule(name: str) -> None:
    """Against the route itself, which asks the rule anew, at random profiles; and the derivative against differences."""
    game = sealed_bid_game(GAMES[name](), types=4, bids=7)
    rng = np.random.default_rng(3)
    profile = [rng.dirichlet(np.ones(len(b)), size=len(w)) for w, b in zip(game.weights, game.bids, strict=True)]
    masses = [w @ p for w, p in zip(game.weights, profile, strict=True)]
    laws = [game.strategies(profile)[n] for n in game.mechanism.agents]
    for members, table, types, bids in zip(game.groups, utilities(game.grid_tables, masses), game.types, game.bids, strict=True):
        found = TableRoute(game.mechanism).at(members[0], bids, laws)
        asked = np.outer(float(game.mechanism.sides[members[0]]) * types, found.share) - found.payment
        np.testing.assert_allclose(table, asked, atol=1e-12)
    point = np.append(np.concatenate(masses), math.log(3.0))
    _, slope = logit_condition(game.grid_tables, point)
    nudge = 1e-6
    for k in range(len(point)):
        step = nudge * np.eye(len(point))[k]
        two = [logit_condition(game.grid_tables, point + sign * step)[0] for sign in (1.0, -1.0)]
        np.testing.assert_allclose(slope[:, k], (two[0] - two[1]) / (2.0 * nudge), atol=1e-7)


@pytest.mark.parametrize(
    "mechanism",
    [
        first_price(2),
        discriminatory(4, units=2),
        generalized_second_price(3),
        third_price(3),
        k_double_auction(2),
        first_price(2, prior={"bidder 1": UNIT, "bidder 2": Uniform(Interval(0.0, 5.0))}),
    ],
    ids=lambda m: m.name,
)
def test_the_logit_path_ends_at_an_equilibrium_of_the_grid(mechanism: SingleParameterMechanism) -> None:
    """Its own residual is what numpy says of its profile, and random play at its start is no equilibrium."""
    game = sealed_bid_game(mechanism, types=15, bids=31)
    rule = LogitPath()
    span = float(game.bids[0][-1] - game.bids[0][0])
    run = drive(game, rule, steps=300, tolerance=1e-4 * span)
    assert run.status.ok
    assert run.stats["residual"] == pytest.approx(exploitability(game, run.value), abs=1e-12)
    assert exploitability(game, rule.init(game).best) > 100.0 * run.stats["residual"]


def test_the_logit_path_of_a_matrix_game() -> None:
    """Matching pennies, zero-sum with one payoff doubled: 2p - (1 - p) = (1 - p) - p at p = 2/5; and a dilemma ends in defection."""
    pennies = FiniteGame([[[2.0, -1.0], [-1.0, 1.0]], [[-2.0, 1.0], [1.0, -1.0]]])
    row, column = drive(pennies, LogitPath(), steps=400, tolerance=1e-9).value
    np.testing.assert_allclose([row[0], column[0]], [[0.4, 0.6], [0.4, 0.6]], atol=1e-6)
    dilemma = FiniteGame([[[3.0, 0.0], [5.0, 1.0]], [[3.0, 5.0], [0.0, 1.0]]])
    assert drive(dilemma, LogitPath(), steps=200, tolerance=1e-9).value[0][0].round(6).tolist() == [0.0, 1.0]
    with pytest.raises(InputError, match="0 < start < end"):
        LogitPath(start=2.0, end=1.0)


def test_the_grid_meets_the_continuum() -> None:
    """First price on 41 values and 81 bids: mean bids within a cell of v / 2, and epsilon of the grid below the tolerance."""
    found = bayes_nash(first_price(2), strategies="mixed", types=41, bids=np.linspace(0.0, 1.0, 81))
    assert found.stats["dynamics"] == "logit path"
    values = np.linspace(0.1, 0.95, 40)
    assert np.abs(found.value.bid("bidder 1", values) - 0.5 * values).max() < 1.0 / 41.0
    assert found.value.certificate.restricted <= 1e-4


@pytest.mark.parametrize("make", [expected_externality_public_good, second_best_trade], ids=lambda f: f.__name__)
def test_jumps_that_are_not_at_the_own_bid_are_integrated(make: Callable[[int], SingleParameterMechanism]) -> None:
    """Both serve where two reports add up to enough: P(served | b) = P(rival's value reaches a threshold that moves with b)."""
    mechanism = make(2)
    truth = [MonotoneStrategy(np.linspace(0.0, 1.0, 60), np.linspace(0.0, 1.0, 60), UNIT)] * 2
    bids = np.array([0.003, 0.31, 0.5, 0.62, 0.9990625])
    found = TableRoute(mechanism).at(0, bids, truth)
    exact = bids if make is expected_externality_public_good else np.clip(bids - 0.25, 0.0, 1.0)
    np.testing.assert_allclose(found.share, exact, atol=1e-6 if make is second_best_trade else 1e-9)


def test_steps_of_a_clock_are_found_and_no_others() -> None:
    ticks = bids_told_apart(dutch_clock(2, decrement=0.1))
    assert ticks is not None
    assert 10 <= len(ticks["bidder 1"]) <= 12
    assert bids_told_apart(first_price(2)) is None
    assert bids_told_apart(second_price(3)) is None


@pytest.mark.parametrize("make", [dutch_clock, english_clock], ids=lambda f: f.__name__)
def test_clocks_have_an_equilibrium_on_their_own_prices(make: Callable[[int], SingleParameterMechanism]) -> None:
    """One bid a step: what is certified holds for every bid of the continuum, not for those of the grid alone."""
    found = bayes_nash(make(2), types=20)
    assert "one bid for each step" in found.stats["kind"]
    assert found.value.epsilon <= found.stats["tolerance"]
    assert found.value.epsilon == pytest.approx(found.value.certificate.restricted, abs=1e-9)


def test_four_traders_tell_the_truth() -> None:
    """Dominant strategies of a rule with no structure and more than three agents: no draw of the rivals leaves a gain."""
    found = bayes_nash(mcafee(4), knots=21, bids=51)
    assert found.stats["dynamics"] == "truth"
    assert found.value.epsilon == 0.0


def test_where_monotone_strategies_fail_the_grid_takes_over() -> None:
    """Third price wants bids of twice the value; within the range of values it has a mixed equilibrium, and what failed is said."""
    found = bayes_nash(third_price(3), knots=9, bids=33, types=11, steps=60, bid_range=(0.0, 1.0), strict=False)
    assert found.stats["kind"] == "mixed strategies on a grid"
    assert found.stats["tried"][0]["kind"] == "monotone strategies"
    assert found.stats["tried"][0]["why"]
    # An equilibrium of the grid; what is asked for holds over all bids, between which a type still gains.
    assert found.value.certificate.restricted <= found.stats["tolerance"] < found.value.epsilon == found.stats["residual"]
    assert not found.status.ok
    assert "between its bids" in found.stats["why"]


def test_the_range_of_bids_grows_where_buyers_press_on_its_end() -> None:
    """Third price: (n - 1) v / (n - 2), above every value (Kagel and Levin 1993); the revenue is that of any efficient auction."""
    found = bayes_nash(third_price(3), knots=11, bids=51, steps=20)
    values = np.linspace(0.05, 1.0, 20)
    assert np.abs(found.value.bid("bidder 1", values) - 2.0 * values).max() < 1e-2
    assert found.value.revenue == pytest.approx(0.5, abs=1e-3)
    assert found.value.epsilon <= 1e-5
    assert found.stats["tried"][0]["residual"] > 1e-3  # within the range of values
    inside = bayes_nash(third_price(3), knots=9, bids=33, steps=2, strategies="monotone", bid_range=(0.0, 1.0), strict=False)
    assert not inside.status.ok
    assert float(inside.value.bid("bidder 1", 1.0)) <= 1.0


def _slow(bids: FloatArray) -> Any:
    time.sleep(0.01)
    top = bids.argmax(axis=1)[:, None] == np.arange(bids.shape[1])
    return top.astype(np.float64), top * bids**1.5 + 0.1 * bids * ~top


def test_a_time_limit_ends_a_round_in_the_middle() -> None:
    """Every answer of the rule takes 10 ms, a round many: 60 ms are six answers and no more, the certificate takes its own."""
    asked: list[int] = []

    def counting(bids: FloatArray) -> Any:
        asked.append(len(bids))
        return _slow(bids)

    slow = single_parameter("slow", counting, 3)
    bayes_nash(slow, knots=11, bids=21, time_limit=1e-9, strict=False)
    apart_from_the_search = len(asked)
    found = bayes_nash(slow, knots=11, bids=21, time_limit=0.06, strict=False)
    assert len(asked) - apart_from_the_search <= apart_from_the_search + 6
    assert not found.status.ok
    assert found.stats["stopped"] == "time limit"
    assert "time limit" in found.stats["why"]
    assert math.isfinite(found.value.epsilon)
    with pytest.raises(InputError, match="time limit above 0"):
        bayes_nash(slow, time_limit=0.0)


def test_finite_types_and_a_time_limit() -> None:
    found = bayes_nash(single_parameter("slow", _slow, 2, prior=FinitePrior([0.2, 1.0])), bids=11, time_limit=1e-6, strict=False)
    assert not found.status.ok
    assert found.stats["stopped"] == "time limit"
    assert found.value.certificate.restricted > 0.0
