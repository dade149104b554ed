from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from hurwicz._foundation import InputError
from hurwicz.typespaces import Box, DensityPrior, FinitePrior, Interval, Prior, ProductPrior, TruncatedNormal, Uniform

PRIORS = [
    FinitePrior([0.1, 0.4, 2.0], [0.2, 0.5, 0.3]),
    Uniform(Interval(0.1, 1.0)),
    TruncatedNormal(0.1, 1.0, mean=0.3, sd=0.2),
]


@pytest.mark.parametrize("prior", PRIORS)
def test_mean_quadrature_and_samples_agree(prior):
    assert isinstance(prior, Prior)
    points, weights = prior.quadrature(24)
    assert weights.sum() == pytest.approx(1.0, abs=1e-13)
    assert weights @ points == pytest.approx(float(prior.mean), rel=1e-10)
    draws = prior.sample(np.random.default_rng(0), 40_000)
    spread = np.sqrt(weights @ points**2 - float(prior.mean) ** 2)
    assert abs(draws.mean() - prior.mean) < 5 * spread / np.sqrt(len(draws))
    assert all(prior.space.contains(v) for v in draws[:50])


@pytest.mark.parametrize("prior", PRIORS[1:])
def test_densities_integrate_to_their_distribution_functions(prior):
    assert isinstance(prior, DensityPrior)
    for end in (0.2, 0.55, 1.0):
        area, _ = quad(lambda v: float(prior.pdf(np.array(v))), 0.1, end, epsabs=1e-12)
        assert area == pytest.approx(float(prior.cdf(np.array(end))), abs=1e-9)


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 8), st.integers(0, 15))
def test_gauss_legendre_is_exact_to_degree_2n_minus_1(order, degree):
    points, weights = Uniform(Interval(0.5, 2.0)).quadrature(order)
    exact = (2.0 ** (degree + 1) - 0.5 ** (degree + 1)) / (degree + 1) / 1.5
    error = abs(weights @ points**degree - exact)
    if degree <= 2 * order - 1:
        assert error < 1e-11 * exact
    elif degree == 2 * order:
        assert error > 1e-13 * exact


def test_uniform_boxes_have_product_rules():
    points, weights = Uniform(Box([0.0, 1.0], [2.0, 3.0])).quadrature(3)
    assert points.shape == (9, 2)
    assert weights @ (points[:, 0] ** 2 * points[:, 1]) == pytest.approx(4.0 / 3.0 * 2.0)


def test_product_priors_are_independent():
    prior = ProductPrior({"a": PRIORS[0], "b": PRIORS[1], "c": PRIORS[2]})
    points, weights = prior.quadrature(20)
    assert len(weights) == prior.node_count(20) == 3 * 20 * 20
    product = float(PRIORS[0].mean) * PRIORS[1].mean * PRIORS[2].mean
    assert weights @ (points["a"] * points["b"] * points["c"]) == pytest.approx(product, rel=1e-10)
    without, few = prior.quadrature(5, without="b")
    assert sorted(without) == ["a", "c"]
    assert few.sum() == pytest.approx(1.0)
    assert not prior.finite
    drawn = prior.sample(np.random.default_rng(3), 20_000)
    assert abs(np.corrcoef(drawn["a"], drawn["b"])[0, 1]) < 0.05
    again = prior.sample(np.random.default_rng(3), 20_000)
    assert all(np.array_equal(drawn[n], again[n]) for n in drawn)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: FinitePrior([1.0, 2.0], [0.5, 0.6]), "sum to 1"),
        (lambda: FinitePrior([1.0, 2.0], [-0.5, 1.5]), ">= 0"),
        (lambda: FinitePrior(["a", "b"]).mean, "numeric"),
        (lambda: TruncatedNormal(0.0, 1.0, mean=0.5, sd=0.0), "sd > 0"),
        (lambda: ProductPrior({}), "at least one agent"),
        (lambda: ProductPrior({"a": FinitePrior([1.0])}).quadrature(2, without="b"), "unknown agents"),
        (lambda: Uniform(Box([0.0], [1.0])).pdf(np.array([0.5])), "intervals"),
        (lambda: Uniform(Interval(0.0, 1.0)).quadrature(0), "order >= 1"),
    ],
)
def test_bad_priors_are_refused_with_words(make, words):
    with pytest.raises(InputError, match=words):
        make()
