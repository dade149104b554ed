"""Every rule for one item knows the most that it can collect, and an impossible revenue raises the alarm."""

import numpy as np
import pytest

from hurwicz.audits import Effort, Verdict, audit, expected_revenue
from hurwicz.designers import optimal_mechanism
from hurwicz.mechanisms import (
    dutch_clock,
    english_clock,
    first_price,
    optimal_auction,
    optimal_revenue,
    posted_price,
    reverse,
    second_price,
)
from hurwicz.typespaces import CorrelatedPrior, FinitePrior, Interval, ProductPrior, Uniform

GRID = FinitePrior([0.0, 0.25, 0.5, 0.75, 1.0])
UNEVEN = ProductPrior({"ann": FinitePrior([1.0, 2.0, 5.0], [0.5, 0.3, 0.2]), "bob": FinitePrior([0.5, 3.0], [0.6, 0.4])})
SMALL = Effort(profiles=40, deviations=9, refinements=1, steps=10, max_nodes=1024, samples=1024, seconds=20.0)


def revenue(mechanism):
    (finding,) = audit(mechanism, ["revenue_within_bound"], effort=SMALL)
    return finding


@pytest.mark.parametrize("make", [posted_price, english_clock, optimal_auction, second_price])
@pytest.mark.parametrize("prior", [GRID, UNEVEN], ids=["alike", "uneven"])
def test_truthful_rules_stay_within_the_optimum_that_they_state(make, prior):
    agents = ["ann", "bob"]
    finding = revenue(make(agents, prior=prior))
    assert finding.verdict is Verdict.PROVED, finding.reason
    assert finding.value <= optimal_revenue(make(agents, prior=prior).prior) + 1e-12


@pytest.mark.parametrize("prior", [GRID, UNEVEN], ids=["alike", "uneven"])
def test_the_optimal_auction_meets_the_bound_and_so_does_the_linear_program(prior):
    auction = optimal_auction(["ann", "bob"], prior=prior)
    most = optimal_revenue(auction.prior)
    assert expected_revenue(auction).value == pytest.approx(most, abs=1e-12)
    assert optimal_mechanism(auction.prior, incentives="BIC", participation="interim").stats["revenue"] == pytest.approx(most, abs=1e-7)


@pytest.mark.parametrize("make", [dutch_clock, first_price])
def test_truthful_bids_at_ones_own_price_are_an_impossible_claim(make):
    finding = revenue(make(3, prior=FinitePrior(np.linspace(0.0, 1.0, 11))))
    assert finding.verdict is Verdict.REFUTED
    assert finding.reason.startswith("impossible claim")


def test_on_a_continuum_the_dutch_clock_raises_the_alarm_and_the_posted_price_does_not():
    assert revenue(dutch_clock(3)).verdict is Verdict.REFUTED  # about 3/4 where 17/32 is the most
    offers = revenue(posted_price(2))
    assert offers.verdict is Verdict.NOT_REFUTED
    assert offers.value == pytest.approx(0.390625, abs=0.02)
    assert "0.416667" in offers.reason


def test_no_bound_is_stated_where_types_depend_on_one_another_or_all_is_turned_round():
    alike = CorrelatedPrior({"ann": [0.0, 1.0], "bob": [0.0, 1.0]}, [0.5, 0.5])
    for mechanism in (posted_price(["ann", "bob"], prior=alike, price=0.5), english_clock(["ann", "bob"], prior=alike)):
        assert revenue(mechanism).verdict is Verdict.NOT_APPLICABLE
    assert reverse(english_clock(2)).revenue_bound is None


def test_the_bound_follows_the_prior():
    wide = posted_price(1, price=0.75).with_prior(Uniform(Interval(0.0, 3.0)))
    assert wide.revenue_bound(wide.prior) == pytest.approx(0.75)  # half the highest value, half the time
