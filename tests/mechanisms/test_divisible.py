"""Proportional sharing and VCG–Kelly: equilibria against best responses on a grid, and the three quarters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hurwicz._foundation import InputError
from hurwicz.audits import Verdict, audit
from hurwicz.mechanisms import proportional_share, proportional_share_equilibrium, vcg_kelly, vcg_kelly_equilibrium
from hurwicz.typespaces import FinitePrior, Interval, Uniform

VALUES = st.lists(st.floats(0.05, 1.0), min_size=2, max_size=5)


@given(VALUES, st.sampled_from([0.25, 0.5, 0.9, 1.0]))
@settings(deadline=None, max_examples=15)
def test_no_agent_gains_at_the_equilibrium_and_three_quarters_are_kept(values: list[float], exponent: float) -> None:
    found = proportional_share_equilibrium(values, exponent=exponent)
    theta = np.asarray(values)
    assert found.shares.sum() == pytest.approx(1.0, abs=1e-9)
    assert 0.75 - 1e-9 <= found.ratio <= 1.0 + 1e-9
    bids = np.linspace(1e-9, 1.0, 4001)
    for i in range(len(values)):
        others = found.bids.sum() - found.bids[i]
        own = theta[i] * found.shares[i] ** exponent - found.bids[i]
        best = (theta[i] * (bids / (bids + others)) ** exponent - bids).max()
        assert best <= own + 1e-7


def test_the_bound_is_tight() -> None:
    """Johari and Tsitsiklis: one agent of value 1 and many of value 1/2."""
    ratios = [proportional_share_equilibrium([1.0] + [0.5] * n).ratio for n in (1, 10, 100, 1000)]
    assert ratios == sorted(ratios, reverse=True)
    assert ratios[-1] == pytest.approx(0.75, abs=1e-3)
    assert ratios[0] > 0.8


def test_two_equal_agents_share_equally_and_bid_a_quarter() -> None:
    found = proportional_share_equilibrium([1.0, 1.0])
    assert found.price == pytest.approx(0.5)
    np.testing.assert_allclose(found.bids, [0.25, 0.25])


def test_the_mechanism_divides_and_nobody_bidding_gets_nothing() -> None:
    shares, paid = proportional_share(3).decide(np.array([[0.2, 0.6, 0.0], [0.0, 0.0, 0.0]]))
    np.testing.assert_allclose(shares, [[0.25, 0.75, 0.0], [0.0, 0.0, 0.0]])
    np.testing.assert_allclose(paid.sum(axis=1), [0.8, 0.0])


@given(VALUES, st.sampled_from([0.0, 0.3, 0.5, 0.8]), st.sampled_from([0.3, 0.5]))
@settings(deadline=None, max_examples=30)
def test_vcg_kelly_equilibria_are_efficient(values: list[float], surrogate: float, exponent: float) -> None:
    """At the bids found, the division is the efficient one, and no bid on a grid does better."""
    theta = np.asarray(values)
    mechanism = vcg_kelly(len(values), prior=Uniform(Interval(0.0, 100.0)), exponent=exponent, surrogate=surrogate)
    bids = vcg_kelly_equilibrium(values, exponent=exponent, surrogate=surrogate)
    shares, paid = (part[0] for part in mechanism.decide(bids[None]))
    best = mechanism.efficient(theta[None])[0]
    np.testing.assert_allclose(shares, best, atol=1e-9)
    for i in range(len(values)):
        told = np.repeat(bids[None], 400, axis=0)
        told[:, i] = np.linspace(0.0, 3.0 * bids[i], 400)
        lied, cost = mechanism.decide(told)
        assert (theta[i] * lied[:, i] - cost[:, i]).max() <= theta[i] * shares[i] - paid[i] + 1e-9


@given(VALUES)
@settings(deadline=None, max_examples=30)
def test_with_the_values_own_form_it_is_vcg(values: list[float]) -> None:
    theta = np.asarray(values)
    shares, paid = (part[0] for part in vcg_kelly(len(values), exponent=0.5).decide(theta[None]))

    def best(present: np.ndarray) -> float:
        return float(np.sqrt((present**2).sum()))

    for i in range(len(values)):
        others = np.where(np.arange(len(values)) == i, 0.0, theta)
        assert paid[i] == pytest.approx(best(others) - float((others * shares).sum()), abs=1e-9)


def test_verdicts() -> None:
    coarse = FinitePrior([0.0, 0.3, 0.6, 1.0])
    own, other = vcg_kelly(2, prior=coarse), vcg_kelly(2, prior=coarse, surrogate=0.0)
    assert audit(own, ["DSIC"])[0].verdict is Verdict.PROVED
    assert audit(other, ["DSIC"])[0].verdict is Verdict.REFUTED
    assert audit(vcg_kelly(2), ["DSIC"], effort="quick")[0].verdict is Verdict.PROVED  # by its form, on a continuum
    assert other.form is None
    assert audit(proportional_share(2, prior=coarse), ["DSIC"])[0].verdict is Verdict.REFUTED


def test_bad_arguments_are_refused() -> None:
    for values in ([1.0], [1.0, 0.0], [1.0, float("nan")], [1.0, -1.0]):
        with pytest.raises(InputError):
            proportional_share_equilibrium(values)
        with pytest.raises(InputError):
            vcg_kelly_equilibrium(values)
    with pytest.raises(InputError, match="exponent"):
        proportional_share(2, exponent=1.5)
    with pytest.raises(InputError, match="surrogate"):
        vcg_kelly(2, surrogate=1.0)
    with pytest.raises(InputError, match="at least 0"):
        vcg_kelly(2, prior=Uniform(Interval(-1.0, 1.0)))
