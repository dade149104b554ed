"""Bayes–Nash equilibria against closed forms, and certificates against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from hurwicz._foundation import InputError, NotConvergedError
from hurwicz.equilibria import BestResponse, MonotoneStrategy, bayes_nash, certify, monotone_game
from hurwicz.mechanisms import all_pay_procurement, single_parameter
from hurwicz.mechanisms.several_units import discriminatory
from hurwicz.mechanisms.single_item import all_pay, first_price, second_price
from hurwicz.typespaces import FinitePrior, Interval, TruncatedNormal, Uniform

UNIT = Uniform(Interval(0.0, 1.0))


def half_price(bids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The ½-double auction of one buyer (first) and one seller."""
    trade = (bids[:, 0] >= bids[:, 1]).astype(float)
    price = 0.5 * (bids[:, 0] + bids[:, 1]) * trade
    return np.stack([trade, trade], axis=1), np.stack([price, -price], axis=1)


@pytest.mark.parametrize("bidders", [2, 3, 10])
def test_first_price(bidders: int) -> None:
    found = bayes_nash(first_price(bidders)).value
    values = np.linspace(0.0, 1.0, 77)
    assert np.abs(found.bid("bidder 1", values) - (bidders - 1) / bidders * values).max() < 1e-4
    assert found.revenue == pytest.approx((bidders - 1) / (bidders + 1), abs=1e-6)
    assert found.epsilon < 1e-6
    assert found.certificate.bound is not None
    assert found.epsilon <= found.certificate.bound < 3e-4
    assert found.welfare_ratio()[0] == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("bidders", [2, 3, 5])
def test_all_pay(bidders: int) -> None:
    found = bayes_nash(all_pay(bidders)).value
    values = found.strategies["bidder 1"].values  # type: ignore[union-attr]
    assert np.abs(found.bid("bidder 1", values) - (bidders - 1) / bidders * values**bidders).max() < 1e-9
    assert found.revenue == pytest.approx((bidders - 1) / (bidders + 1), abs=1e-4)


@pytest.mark.parametrize(("bidders", "units"), [(5, 2)])
def test_discriminatory_units(bidders: int, units: int) -> None:
    """b(v) = E[Y_k | Y_k < v], the expectation by quadrature of the order statistic's distribution function."""
    found = bayes_nash(discriminatory(bidders, units=units), knots=101).value
    for value in (0.2, 0.5, 0.9, 1.0):
        grid = np.linspace(0.0, value, 4001)
        below = binom.cdf(units - 1, bidders - 1, 1.0 - grid)
        expected = value - np.trapezoid(below, grid) / below[-1]
        assert float(found.bid("bidder 1", value)) == pytest.approx(expected, abs=1e-4)
    assert found.revenue == pytest.approx(units * (bidders - units) / (bidders + 1), abs=1e-4)


def test_first_price_with_a_reserve() -> None:
    found = bayes_nash(first_price(3, reserve=0.5)).value
    values = np.linspace(0.5, 1.0, 41)
    assert np.abs(found.bid("bidder 1", values) - (values - (values**3 - 0.125) / (3.0 * values**2))).max() < 1e-4
    assert found.revenue == pytest.approx(17.0 / 32.0, abs=1e-4)  # Myerson's optimum for three bidders


@pytest.mark.parametrize("bidders", [2, 3])
def test_all_pay_bids_go_below_the_least_value(bidders: int) -> None:
    """b(v) = integral of s d(s - 1)^(n-1) from 1 to v."""
    found = bayes_nash(all_pay(bidders, prior=Uniform(Interval(1.0, 2.0)))).value
    above = np.linspace(0.0, 1.0, 201)
    exact = above ** (bidders - 1) + (bidders - 1) / bidders * above**bidders
    assert np.abs(found.bid("bidder 1", 1.0 + above) - exact).max() < 1e-4


@pytest.mark.parametrize(("bidders", "reserve"), [(2, 0.5), (3, 0.2)])
def test_all_pay_with_a_reserve(bidders: int, reserve: float) -> None:
    """Who enters wins only where nobody else does: v F(v)^(n-1) = r; from there on b' = v (F^(n-1))'."""
    entrant = reserve ** (1.0 / bidders)
    for mechanism in (all_pay(bidders, reserve=reserve), all_pay_procurement(bidders, ceiling=1.0 - reserve)):
        found = bayes_nash(mechanism).value
        values = np.linspace(0.0, 1.0, 201)  # the knots
        sells = mechanism.sides[0] < 0.0
        bids = 1.0 - found.bid("seller 1", 1.0 - values) if sells else found.bid("bidder 1", values)
        within = values > entrant
        exact = reserve + (bidders - 1) / bidders * (values[within] ** bidders - entrant**bidders)
        assert np.abs(bids[within] - exact).max() < 1e-9
        assert np.all(bids[values < entrant - 1e-6] < reserve)
        types = np.linspace(entrant, 1.0, 100_001)
        paid = bidders * np.trapezoid(reserve + (bidders - 1) / bidders * (types**bidders - entrant**bidders), types)
        kept = (1.0 - entrant**bidders) if sells else 0.0  # what the job is worth to the buyer, whenever anybody takes part
        assert found.revenue == pytest.approx(paid - kept, abs=1e-4)


def test_the_truth_is_found_where_it_is_dominant() -> None:
    solution = bayes_nash(second_price(3), knots=41)
    assert solution.stats["dynamics"] == "truth"
    assert solution.value.epsilon < 1e-5


def test_chatterjee_samuelson() -> None:
    trade = single_parameter("½-double auction", half_price, ["buyer", "seller"], sides=[1.0, -1.0])
    found = bayes_nash(trade, dynamics=BestResponse(), knots=97, tolerance=1e-7).value
    buyer, seller = np.linspace(0.25, 1.0, 31), np.linspace(0.0, 0.75, 31)
    assert np.abs(found.bid("buyer", buyer) - (2.0 * buyer / 3.0 + 1.0 / 12.0)).max() < 2e-4
    assert np.abs(found.bid("seller", seller) - (2.0 * seller / 3.0 + 0.25)).max() < 2e-4
    assert found.welfare == pytest.approx(9.0 / 64.0, abs=2e-4)


def test_asymmetric_first_price() -> None:
    """[0, 1] against [0, 2]: beta_i(v) = (1 - sqrt(1 - k v²)) / (k v), k_i = 1/w_i² - 1/w_j² (Griesmer, Levitan and Shubik 1967)."""
    auction = first_price(2, prior={"bidder 1": UNIT, "bidder 2": Uniform(Interval(0.0, 2.0))})
    solution = bayes_nash(auction)
    found = solution.value
    assert solution.stats["kind"] == "monotone strategies"  # no grid: between its bids more would be left to gain
    assert found.epsilon <= solution.stats["tolerance"] == 1e-4 * 2.0
    for name, own, other in (("bidder 1", 1.0, 2.0), ("bidder 2", 2.0, 1.0)):
        values, k = np.linspace(0.02, own, 60), 1.0 / own**2 - 1.0 / other**2
        assert np.abs(found.bid(name, values) - (1.0 - np.sqrt(1.0 - k * values**2)) / (k * values)).max() < 1e-3
    assert found.welfare_ratio()[0] < 1.0


def test_asymmetric_first_price_with_a_reserve() -> None:
    prior = {"weak": UNIT, "strong": Uniform(Interval(0.0, 2.0))}
    found = bayes_nash(first_price(list(prior), prior=prior, reserve=0.4)).value
    assert found.epsilon <= 2e-4
    assert max(float(found.bid(name, 0.399)) for name in prior) < 0.4
    types = np.linspace(0.4, 1.0, 2001), np.linspace(0.4, 2.0, 2001)
    bids = [np.asarray(found.bid(name, v)) for name, v in zip(prior, types, strict=True)]
    assert [b[0] for b in bids] == pytest.approx([0.4, 0.4], abs=1e-3)
    assert bids[0][-1] == pytest.approx(bids[1][-1], abs=1e-3)  # nobody bids more than the other may
    at = np.linspace(0.47, 0.69, 12)
    for one, other in ((0, 1), (1, 0)):
        types_of = [np.interp([at - 0.02, at, at + 0.02], b, v) for b, v in zip(bids, types, strict=True)]
        slope = (types_of[one][2] - types_of[one][0]) / 0.04
        # phi_i' = F_i / f_i / (phi_j - b), the other's first-order condition; F / f = v for both
        assert slope == pytest.approx(types_of[one][1] / (types_of[other][1] - at), rel=0.05)


def test_who_can_pay_no_reserve_is_not_searched_apart() -> None:
    prior = {"weak": UNIT, "strong": Uniform(Interval(0.0, 2.0))}
    game = monotone_game(first_price(list(prior), prior=prior, reserve=1.5), knots=41, bids=41)
    assert game.serious == [None, 1.5]
    assert game.entrants[0] == 0
    assert game.values[1][game.entrants[1]] == 1.5


def test_a_prior_that_is_not_uniform() -> None:
    """b(v) = E[highest rival | below v] for any distribution: the truncated mean by quadrature."""
    prior = TruncatedNormal(0.0, 1.0, mean=0.3, sd=0.25)
    found = bayes_nash(first_price(3, prior=prior), knots=101).value
    for value in (0.3, 0.6, 1.0):
        grid = np.linspace(0.0, value, 4001)
        below = prior.cdf(grid) ** 2
        assert float(found.bid("bidder 1", value)) == pytest.approx(value - np.trapezoid(below, grid) / below[-1], abs=1e-4)


def test_a_gain_is_found_where_there_is_one() -> None:
    """Negative control: the truth in a first-price auction leaves 1/4 to a type of 1, which bids 1/2."""
    auction = first_price(2)
    truth = dict.fromkeys(auction.agents, MonotoneStrategy([0.0, 1.0], [0.0, 1.0], UNIT))
    found = certify(auction, truth)
    assert (found.epsilon, found.type, found.bid) == pytest.approx((0.25, 1.0, 0.5), abs=1e-3)
    assert found.bound is not None
    assert 0.25 <= found.bound < 0.2502


def test_a_gain_between_the_bids_looked_at_is_within_the_bound() -> None:
    """Two types on a coarse grid: just above the rival's atom is a better bid than any on the grid, and the bound covers it."""
    auction = first_price(2, prior=FinitePrior([0.5, 1.0]))
    found = bayes_nash(auction, bids=[0.0, 0.25, 0.5], tolerance=1e-2, strict=False).value.certificate
    assert found.restricted <= 5e-3
    assert found.epsilon > found.restricted + 0.01
    assert found.bound is not None
    assert found.bound >= found.epsilon


def test_what_cannot_converge_says_so() -> None:
    with pytest.raises(NotConvergedError, match="left a gain of") as caught:
        bayes_nash(first_price(2), dynamics=BestResponse(degree=None), knots=21, steps=3)
    assert not caught.value.reached.status.ok


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"strategies": "pure"}, "expected strategies"),
        ({"tolerance": 0.0}, "tolerance above 0"),
        ({"knots": 2}, "at least 3 knots"),
        ({"bids": [0.1, 0.2]}, "continuum"),
        ({"strategies": "mixed", "bids": [0.2, 0.1]}, "ascending"),
    ],
)
def test_bad_arguments(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        bayes_nash(first_price(2), **arguments)  # type: ignore[arg-type]
