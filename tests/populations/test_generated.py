"""Generated types: the distribution, independence of workers, sums against the integral."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from hurwicz._foundation import InputError, NotFiniteError
from hurwicz.prices.populations import GeneratedPopulation, QuadraticLoss, UniformTypes, price_newton

TYPES = UniformTypes(curvature=(0.5, 1.5), capacity=(0.2, 2.0))


@pytest.mark.parametrize("design", ["weyl", "hash"])
@pytest.mark.parametrize("seed", [0, 1, 2**64 - 1])
def test_types_are_uniform_and_independent(design: str, seed: int) -> None:
    curvature, capacity = GeneratedPopulation(200_000, TYPES, design=design, seed=seed).types_of()  # type: ignore[arg-type]
    u, v = curvature - 0.5, (capacity - 0.2) / 1.8
    assert kstest(u, "uniform").pvalue > 1e-4
    assert kstest(v, "uniform").pvalue > 1e-4
    assert abs(np.corrcoef(u, v)[0, 1]) < 5.0 / math.sqrt(u.size)
    cells, _, _ = np.histogram2d(u, v, bins=16)
    chi = float(np.sum((cells - u.size / 256) ** 2) / (u.size / 256))
    assert chi < 255 + 6 * math.sqrt(2 * 255)
    if design == "hash":  # draws, not a grid: neighbours unrelated, and as uneven as chance
        assert abs(np.corrcoef(u[1:], u[:-1])[0, 1]) < 5.0 / math.sqrt(u.size)
        assert chi > 255 - 6 * math.sqrt(2 * 255)


@pytest.mark.parametrize("design", ["weyl", "hash"])
@pytest.mark.parametrize("kappa", [2.0, 4.0, 1.5])
@pytest.mark.parametrize("least", [0.5, 0.01])  # types close enough for the polynomial in the kernel, and too far apart for it
def test_sums_are_those_of_the_same_agents_as_arrays(design: str, kappa: float, least: float) -> None:
    types = UniformTypes(curvature=(least, 1.5), capacity=(0.2, 2.0))
    crowd = GeneratedPopulation(150_001, types, design=design, exponent=kappa, seed=9)  # type: ignore[arg-type]
    arrays = crowd.part()
    for price in (-1.0, 0.3, 1.5, 9.0):
        assert crowd.aggregate_response(price) == pytest.approx(arrays.aggregate_response(price), rel=1e-12, abs=1e-9)
        assert crowd.private_cost(price) == pytest.approx(arrays.private_cost(price), rel=1e-12)
    np.testing.assert_array_equal(crowd.actions(1.5, 65_530, 65_545), arrays.actions(1.5)[65_530:65_545])


@settings(deadline=None, max_examples=10)
@given(size=st.integers(1, 400_000), seed=st.integers(0, 2**64 - 1), workers=st.integers(2, 9), design=st.sampled_from(["weyl", "hash"]))
def test_bits_do_not_depend_on_the_number_of_workers(size: int, seed: int, workers: int, design: str) -> None:
    one, many = (GeneratedPopulation(size, TYPES, seed=seed, design=design, workers=w) for w in (1, workers))  # type: ignore[arg-type]
    assert one.sums(1.3) == many.sums(1.3)
    assert one.private_cost(1.3) == many.private_cost(1.3)


@settings(deadline=None, max_examples=20)
@given(price=st.floats(0.01, 8.0), kappa=st.sampled_from([1.5, 2.0, 4.0]))
def test_the_integral_against_a_fine_grid(price: float, kappa: float) -> None:
    grid = (np.arange(1000) + 0.5) / 1000
    lam, cap = 0.5 + grid[:, None], 0.2 + 1.8 * grid[None, :]
    mean = float(np.minimum(cap, (price / (kappa * lam)) ** (1.0 / (kappa - 1.0))).mean())
    assert TYPES.mean_response(price, kappa) == pytest.approx(mean, rel=2e-6)


@pytest.mark.parametrize(
    ("design", "bound"), [("weyl", lambda n: 4 * math.log(n) ** 2 / n + 2.0**-33), ("hash", lambda n: 3.0 / math.sqrt(n))]
)
def test_mean_action_tends_to_the_integral(design: str, bound) -> None:
    for n in (10**4, 10**6, 3 * 10**7):
        crowd = GeneratedPopulation(n, TYPES, design=design)  # type: ignore[arg-type]
        found = price_newton(crowd, QuadraticLoss(0.7 * n), tolerance=1e-9)
        assert found.stats["rounds"] <= 10
        difference = found.value.aggregate / n - TYPES.mean_response(found.value.price)
        assert abs(difference) < bound(n)
        assert found.value.gap <= 1e-9 * float(n) * 0.1
    if design == "weyl":
        assert abs(difference) < 5e-6  # independent draws: 9e-5


def test_price_is_the_same_with_and_without_the_sample_that_starts_it() -> None:
    crowd = GeneratedPopulation(2_000_000, TYPES)
    loss = QuadraticLoss(1_400_000.0)
    warm, cold = price_newton(crowd, loss), price_newton(crowd, loss, price=0.0)
    assert warm.stats["sample_rounds"] > 0
    assert cold.stats["sample_rounds"] == 0
    assert warm.stats["rounds"] < cold.stats["rounds"]
    assert warm.value.price == pytest.approx(cold.value.price, rel=1e-10)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: GeneratedPopulation(0, TYPES), InputError, "empty"),
        (lambda: GeneratedPopulation(2**60, TYPES), InputError, "2\\^47"),
        (lambda: GeneratedPopulation(10, TYPES, seed=-1), InputError, "seed"),
        (lambda: GeneratedPopulation(10, TYPES, exponent=0.5), InputError, "exponent"),
        (lambda: UniformTypes((0.0, 1.0), (1.0, 2.0)), InputError, "curvature"),
        (lambda: UniformTypes((1.0, 2.0), (2.0, 1.0)), InputError, "capacity"),
        (lambda: UniformTypes((1.0, 2.0), (-1.0, 1.0)), InputError, "capacity"),
        (lambda: UniformTypes((1.0, math.inf), (1.0, 1.0)), NotFiniteError, "curvature"),
    ],
)
def test_bad_input(make, error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        make()
