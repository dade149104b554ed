"""Continuous laws, mixtures and vectors of independent components, against scipy and against sums by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import quad

from hurwicz._foundation import InputError, NotFiniteError
from hurwicz.typespaces import (
    Box,
    Continuous,
    DensityPrior,
    Empirical,
    Finite,
    FinitePrior,
    Independent,
    Interval,
    Mixture,
    Prior,
    Uniform,
)

LAWS = {
    "exponential": Continuous(stats.expon(scale=3.0)),
    "lognormal": Continuous(stats.lognorm(1.0)),
    "beta": Continuous(stats.beta(2, 5)),
    "arcsine": Continuous(stats.beta(0.5, 0.5)),
    "cut normal": Continuous(stats.norm(0.3, 0.4), low=0.0, high=1.0),
    "two bumps": Mixture([Continuous(stats.beta(8, 30)), Continuous(stats.beta(30, 8))], [0.6, 0.4]),
}


@pytest.mark.parametrize("name", LAWS)
def test_density_distribution_quantiles_and_mean_agree(name):
    prior = LAWS[name]
    assert isinstance(prior, Prior)
    assert isinstance(prior, DensityPrior)
    low, high = prior.space.low, prior.space.high
    quantiles = np.linspace(0.02, 0.98, 9)
    points = prior.ppf(quantiles)
    assert np.allclose(prior.cdf(points), quantiles, atol=1e-9)
    for a, b in itertools.pairwise(points):
        area, _ = quad(lambda v: float(prior.pdf(np.array(v))), a, b, epsabs=1e-12)
        assert area == pytest.approx(float(prior.cdf(np.array(b)) - prior.cdf(np.array(a))), abs=1e-9)
    assert prior.cdf(np.array([low - 1.0, high + 1.0])).tolist() == [0.0, 1.0]
    assert prior.pdf(np.array([low - 1.0, high + 1.0])).tolist() == [0.0, 0.0]
    ends = [low, *prior.ppf(np.array([0.01, 0.1, 0.5, 0.9, 0.99, 1 - 1e-5])), high]
    mean = low + sum(quad(lambda v: 1.0 - float(prior.cdf(np.array(v))), a, b)[0] for a, b in itertools.pairwise(ends))
    assert float(prior.mean) == pytest.approx(mean, rel=1e-6)


@pytest.mark.parametrize("name", LAWS)
def test_quadrature_and_samples_agree_with_the_mean(name):
    prior = LAWS[name]
    points, weights = prior.quadrature(64)
    assert weights.sum() == pytest.approx(1.0, abs=1e-12)
    assert weights @ points == pytest.approx(float(prior.mean), rel=1e-6)
    draws = prior.sample(np.random.default_rng(1), 40_000)
    assert abs(draws.mean() - prior.mean) < 5 * draws.std() / 200
    assert all(prior.space.contains(v) for v in draws[:100])
    assert stats.kstest(draws, prior.cdf).pvalue > 1e-4


def test_an_unbounded_law_is_cut_at_the_stated_tail():
    assert Continuous(stats.expon(), tail=1e-3).space.high == pytest.approx(np.log(1e3))
    assert Continuous(stats.norm(), tail=1e-2).space.low == pytest.approx(stats.norm.ppf(1e-2))
    whole = Continuous(stats.expon(scale=3.0))
    assert float(whole.sf(np.array(50.0))) == pytest.approx(np.exp(-50.0 / 3.0), rel=0.02)


@pytest.mark.parametrize(
    ("make", "say"),
    [
        (lambda: Continuous(stats.poisson(3)), "discrete"),
        (lambda: Continuous(stats.norm(), low=2.0, high=1.0), "low < high"),
        (lambda: Continuous(stats.uniform(), low=2.0, high=3.0), "expected probability"),
        (lambda: Continuous(stats.expon(), tail=0.5), "tail"),
        (lambda: Continuous(stats.expon(scale=-1.0)), "finite parameters"),
        (lambda: Mixture([], []), "at least one component"),
        (lambda: Mixture([Uniform(Interval(0.0, 1.0))], [0.9]), "sum to 1"),
        (lambda: Mixture([Uniform(Interval(0.0, 1.0))] * 2, [1.5, -0.5]), "sum to 1"),
        (lambda: Mixture([Uniform(Box([0.0], [1.0]))], [1.0]), "over numbers"),
        (lambda: Independent([]), "at least one component"),
        (lambda: Independent([Uniform(Box([0.0], [1.0]))]), "over numbers"),
        (lambda: Empirical([]), "at least one observation"),
        (lambda: Empirical(["a"]), "expected numbers"),
        (lambda: Empirical(np.zeros((1, 1, 1))), "expected shape"),
    ],
)
def test_what_is_no_prior_is_refused(make, say):
    with pytest.raises(InputError, match=say):
        make()


def test_nan_is_refused():
    with pytest.raises(NotFiniteError, match="nan at index"):
        Empirical([1.0, np.nan])
    with pytest.raises(NotFiniteError, match="weights"):
        Mixture([Uniform(Interval(0.0, 1.0))], [np.nan])


def test_a_mixture_with_atoms_has_steps():
    prior = Mixture([FinitePrior([0.0, 0.5]), Uniform(Interval(0.0, 2.0))], [0.4, 0.6])
    assert prior.space == Interval(0.0, 2.0)
    assert prior.cdf(np.array([0.0, 0.4999999, 0.5, 2.0])) == pytest.approx([0.2, 0.35, 0.55, 1.0], abs=1e-6)
    assert prior.ppf(np.array([0.1, 0.4, 0.55, 0.7])) == pytest.approx([0.0, 0.5, 0.5, 1.0], abs=1e-9)
    points, weights = prior.quadrature(8)
    assert weights @ points == pytest.approx(float(prior.mean)) == pytest.approx(0.4 * 0.25 + 0.6)


def test_a_mixture_of_finite_priors_is_finite():
    prior = Mixture([FinitePrior([1.0, 2.0]), FinitePrior([2.0, 3.0], [0.1, 0.9])], [0.5, 0.5])
    assert isinstance(prior.space, Finite)
    values, weights = prior.quadrature(1)
    assert values.tolist() == [1.0, 2.0, 3.0]
    assert weights == pytest.approx([0.25, 0.3, 0.45])
    assert set(prior.sample(np.random.default_rng(0), 50)) == {1.0, 2.0, 3.0}


def test_independent_components_multiply():
    prior = Independent([Uniform(Interval(0.0, 1.0)), FinitePrior([1.0, 3.0], [0.25, 0.75])])
    points, weights = prior.quadrature(6)
    assert weights @ (points[:, 0] ** 2 * points[:, 1]) == pytest.approx(2.5 / 3.0)
    assert isinstance(prior.space, Box)
    assert prior.sample(np.random.default_rng(0), 7).shape == (7, 2)
    both = Independent([FinitePrior([1.0, 2.0])] * 2)
    assert both.space.size == 4
    assert both.quadrature(1)[1].tolist() == [0.25] * 4


@settings(deadline=None, max_examples=50)
@given(st.lists(st.sampled_from([0.0, 0.1, 0.5, 2.0, 7.5]), min_size=1, max_size=30), st.floats(0.01, 1.0))
def test_empirical_is_the_step_function_of_the_data(data, quantile):
    prior = Empirical(data)
    for at in (-1.0, 0.1, 0.3, 7.5):
        assert float(prior.cdf(np.array(at))) == sum(v <= at for v in data) / len(data)
    assert float(prior.mean) == pytest.approx(np.mean(data))
    assert float(prior.ppf(np.array(quantile))) == np.quantile(data, quantile, method="inverted_cdf")
    assert prior.quadrature(3)[1].sum() == pytest.approx(1.0)
    assert prior.space.contains(data[0])
    assert set(prior.sample(np.random.default_rng(0), 20)) <= set(data)


def test_empirical_vectors_have_frequencies_but_no_distribution_function():
    prior = Empirical([[1.0, 2.0], [1.0, 2.0], [0.0, 3.0]])
    assert prior.space.size == 2
    assert prior.mean.tolist() == pytest.approx([2 / 3, 7 / 3])
    with pytest.raises(InputError, match="for numbers"):
        prior.cdf(np.array([1.0]))
