"""Differential equations, sequential sales and closed forms against one another."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import binom

from hurwicz._foundation import InputError
from hurwicz.equilibria import MonotoneStrategy, bayes_nash, certify, first_price_odes, sequential_first_price
from hurwicz.equilibria.closed_forms import asymmetric_uniform_bids, discriminatory_bids, first_price_bids, sequential_first_price_bids
from hurwicz.mechanisms.single_item import first_price
from hurwicz.typespaces import FinitePrior, Interval, TruncatedNormal, Uniform

UNIT = Uniform(Interval(0.0, 1.0))


@pytest.mark.parametrize("high", [1.0, 5.0])
def test_equations_meet_the_closed_form(high: float) -> None:
    found = first_price_odes({"a": UNIT, "b": Uniform(Interval(0.0, high))})
    assert found.stats["top"] == pytest.approx(high / (1.0 + high), abs=1e-9)
    for name, own, other in (("a", 1.0, high), ("b", high, 1.0)):
        values = np.linspace(0.0, own, 333)
        assert np.abs(found.value[name](values) - asymmetric_uniform_bids(values, own, other)).max() < 1e-5


def test_equations_of_three_unlike_bidders_leave_nothing_to_gain() -> None:
    """No closed form: the certificate, which knows nothing of the equations, is the judge; shaded bids are the negative control."""
    priors = {f"bidder {k + 1}": TruncatedNormal(0.0, 1.0, mean=m, sd=0.3) for k, m in enumerate((0.3, 0.5, 0.7))}
    auction = first_price(3, prior=priors)
    strategies = first_price_odes(priors, knots=401).value
    assert certify(auction, strategies, bids=201, gap=1e-2).epsilon < 1e-4
    shaded = {name: MonotoneStrategy(s.values, 0.9 * s.bids, s.prior) for name, s in strategies.items()}
    assert certify(auction, shaded, bids=201, gap=1e-2).epsilon > 5e-3


@pytest.mark.parametrize(("bidders", "items"), [(3, 1), (4, 2), (6, 4)])
def test_sequential_sales(bidders: int, items: int) -> None:
    found = sequential_first_price(bidders, items).value
    for k in range(1, items + 1):
        assert np.abs(found.bids[k - 1] - sequential_first_price_bids(found.values, bidders, items, k)).max() < 1e-4
    assert found.mean_prices == pytest.approx([(bidders - items) / (bidders + 1)] * items, abs=1e-6)
    assert found.epsilon < 1e-4


def test_sequential_prices_are_a_martingale_for_any_prior() -> None:
    """Every round's mean price is E[V_(K+1)], here by quadrature of its distribution function (Weber 1983)."""
    prior = TruncatedNormal(0.0, 1.0, mean=0.4, sd=0.2)
    found = sequential_first_price(5, 3, prior=prior).value
    expected = quad(lambda v: 1.0 - binom.cdf(3, 5, 1.0 - float(prior.cdf(np.array([v]))[0])), 0.0, 1.0)[0]
    assert found.mean_prices == pytest.approx([expected] * 3, abs=1e-4)
    assert found.epsilon < 1e-4


def test_one_unit_is_the_first_price() -> None:
    values = np.linspace(0.0, 1.0, 11)
    assert discriminatory_bids(values, 4, 1) == pytest.approx(first_price_bids(values, 4), abs=1e-12)


def test_bad_input() -> None:
    with pytest.raises(InputError, match="at least two bidders"):
        first_price_odes({"a": UNIT})
    with pytest.raises(InputError, match="start at one value"):
        first_price_odes({"a": UNIT, "b": Uniform(Interval(0.5, 1.0))})
    with pytest.raises(InputError, match="end at one"):
        first_price_odes({"a": UNIT, "b": UNIT, "c": Uniform(Interval(0.0, 2.0))})
    with pytest.raises(InputError, match="items < bidders"):
        sequential_first_price(3, 3)
    with pytest.raises(InputError, match="units < bidders"):
        discriminatory_bids(0.5, 2, 2)
    with pytest.raises(InputError, match="never fall"):
        MonotoneStrategy([0.0, 0.5, 1.0], [0.0, 0.4, 0.3], UNIT)
    with pytest.raises(InputError, match="distribution function"):
        bayes_nash(first_price(2, prior=FinitePrior([0.0, 1.0])), strategies="monotone")
    with pytest.raises(InputError, match="missing"):
        certify(first_price(2), {"bidder 1": MonotoneStrategy([0.0, 1.0], [0.0, 0.5], UNIT)})
