"""Price Newton against closed forms and scipy's root finder."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from hurwicz._foundation import InputError, NotConvergedError, NotFiniteError, Status
from hurwicz.prices.populations import ArrayPopulation, GeneratedPopulation, QuadraticLoss, SmoothLoss, UniformTypes, price_newton


@pytest.mark.parametrize(
    ("lam", "target", "best"),
    [
        (np.array([0.1, 0.5, 1.0, 5.0, 10.0]), 10.0, 6.993006993),  # the paper's C.3
        (np.array([0.1, 0.5, 0.2, 0.4, 0.6]), 7.461, 2.511271624),  # C.4
        (np.full(100, 0.1), 10.0, 0.0999000999),  # C.2
    ],
)
def test_the_papers_instances(lam: np.ndarray, target: float, best: float) -> None:
    agents, loss = ArrayPopulation(lam), QuadraticLoss(target)
    found = price_newton(agents, loss)
    assert found.status is Status.OPTIMUM
    x = target / (lam * (1.0 + np.sum(1.0 / lam)))
    np.testing.assert_allclose(agents.actions(found.value.price), x, rtol=1e-13)
    assert float(loss.value(found.value.aggregate)) + agents.private_cost(found.value.price) == pytest.approx(best, abs=1e-9)
    assert found.stats["rounds"] == 2


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 10**6),
    n=st.sampled_from([1, 2, 5, 50]),
    kappa=st.sampled_from([1.5, 2.0, 3.0, 4.0]),
    share=st.floats(-0.5, 3.0),
    kinked=st.booleans(),
)
def test_price_against_scipys_root(seed: int, n: int, kappa: float, share: float, kinked: bool) -> None:
    rng = np.random.default_rng(seed)
    agents = ArrayPopulation(rng.uniform(0.5, 1.5, n), lower=rng.uniform(-0.5, 0.3, n), upper=rng.uniform(0.3, 2.0, n), exponent=kappa)
    target = share * n
    loss = QuadraticLoss(target) if kinked else SmoothLoss(lambda y: n * jnp.cosh((y - target) / n))
    found = price_newton(agents, loss)
    root = brentq(lambda p: p + float(loss.gradient(agents.aggregate_response(p)[0])), -1e4, 1e4, xtol=1e-14, rtol=1e-14, maxiter=5000)
    assert found.value.price == pytest.approx(root, rel=1e-9, abs=1e-9)
    assert found.value.gap <= 1e-12 * max(1.0, n)


@pytest.mark.parametrize("n", [10, 1000, 100_000, 1_000_000])
@pytest.mark.parametrize("kappa", [2.0, 4.0])
def test_at_most_ten_rounds_at_every_size_and_scarcity(n: int, kappa: float) -> None:
    rng = np.random.default_rng(n)
    agents = ArrayPopulation(rng.uniform(0.5, 1.5, n), lower=0.0, upper=rng.uniform(0.2, 2.0, n), exponent=kappa)
    for share in (-0.1, 0.05, 0.5, 0.9, 1.05, 1.2, 5.0):  # the mean capacity is 1.1
        found = price_newton(agents, QuadraticLoss(share * n), tolerance=1e-9)
        assert found.stats["rounds"] <= 10, (share, found)
        scale = float(QuadraticLoss(share * n).value(found.value.aggregate)) + agents.private_cost(found.value.price)
        assert found.value.gap <= 1e-9 * max(scale, 1e-12)


@pytest.mark.parametrize("kappa", [1.003, 1.01, 1.05, 1.2])
def test_a_crowd_with_costs_near_to_linear(kappa: float) -> None:
    """Each agent's answer is all or nothing; halving the bracket took 22 rounds here."""
    rng = np.random.default_rng(2)
    agents = ArrayPopulation(rng.uniform(0.5, 1.5, 100_000), lower=0.0, upper=rng.uniform(0.2, 2.0, 100_000), exponent=kappa)
    for share in (0.05, 0.3, 0.5, 0.9, 1.05):
        found = price_newton(agents, QuadraticLoss(share * 100_000), tolerance=1e-9)
        assert found.stats["rounds"] <= 10, share
        assert abs(found.value.mismatch) <= 1e-4 * found.value.price


@pytest.mark.parametrize("n", [100, 20_000])
@pytest.mark.parametrize("share", [-3.0, 3.0])
def test_scarcity_beyond_the_range_of_z(n: int, share: float) -> None:
    """z = p^333 ends at p = 7.94; where everyone is at a bound before, the price is the planner's own."""
    rng = np.random.default_rng(n)
    low, high = rng.uniform(-0.5, 0.3, n), rng.uniform(0.3, 2.0, n)
    agents = ArrayPopulation(rng.uniform(0.8, 1.2, n), lower=low, upper=high, exponent=1.003)
    found = price_newton(agents, QuadraticLoss(share * n), tolerance=1e-9)
    bound = float((high if share > 0 else low).sum())
    assert found.value.aggregate == pytest.approx(bound, rel=1e-12)
    assert found.value.price == pytest.approx(2.0 * (share * n - bound), rel=1e-12)
    assert found.value.gap == 0.0
    np.testing.assert_array_equal(agents.actions(found.value.price), high if share > 0 else low)


def test_identical_agents_that_all_meet_their_capacity_at_once() -> None:
    agents = ArrayPopulation(np.ones(1000), lower=0.0, upper=0.5)
    for target, price in ((500.0 + 0.5, 1.0), (600.0, 200.0), (400.0, 2 * 400.0 / 1001.0)):
        found = price_newton(agents, QuadraticLoss(target))
        assert found.value.price == pytest.approx(price, rel=1e-9)


@pytest.mark.parametrize("kappa", [1.5, 2.0, 3.0, 4.0])
def test_a_price_of_zero_is_found_from_anywhere(kappa: float) -> None:
    agents = ArrayPopulation(np.array([0.5, 1.0, 1.5]), lower=-1.0, upper=2.0, exponent=kappa)
    for start in (-3.0, 0.0, 1e-6, 5.0):
        found = price_newton(agents, SmoothLoss(lambda y: jnp.cosh(y)), price=start)
        assert abs(found.value.price) < 1e-7
        assert found.value.gap < 1e-12


def test_a_start_and_progress_are_used() -> None:
    agents, loss = ArrayPopulation(np.full(10, 0.3)), QuadraticLoss(4.0)
    seen: list[int] = []
    price = price_newton(agents, loss).value.price
    again = price_newton(agents, loss, price=price, progress=lambda r, p, s: seen.append(r))
    assert again.stats["rounds"] == 1
    assert seen == [1]


def test_the_limit_of_rounds_is_named_and_carries_what_was_reached() -> None:
    crowd = GeneratedPopulation(1000, UniformTypes((0.5, 1.5), (0.2, 2.0)))
    with pytest.raises(NotConvergedError, match="max_rounds") as caught:
        price_newton(crowd, QuadraticLoss(900.0), max_rounds=1)
    assert caught.value.reached.price == 0.0
    assert price_newton(crowd, QuadraticLoss(900.0), max_rounds=1, throw=False).status is Status.STEP_LIMIT


def test_bad_losses_are_refused() -> None:
    agents = ArrayPopulation(np.ones(3))
    with pytest.raises(InputError, match="convex"):
        price_newton(agents, SmoothLoss(lambda y: y - y**2))
    with pytest.raises(NotFiniteError, match="domain"):
        price_newton(agents, SmoothLoss(lambda y: -jnp.log(y - 1.0)))
    with pytest.raises(InputError, match="weight"):
        QuadraticLoss(1.0, weight=0.0)
    with pytest.raises(NotFiniteError, match="finite"):
        QuadraticLoss(float("nan"))
    with pytest.raises(InputError, match="tolerance"):
        price_newton(agents, QuadraticLoss(1.0), tolerance=0.0)


def test_smooth_loss_is_float64_and_agrees_with_the_quadratic() -> None:
    smooth, exact = SmoothLoss(lambda y: 3.0 * (y - 2.5) ** 2), QuadraticLoss(2.5, weight=3.0)
    points = np.linspace(-4.0, 9.0, 13)
    for name in ("value", "gradient", "curvature"):
        out = getattr(smooth, name)(points)
        assert out.dtype == np.float64
        np.testing.assert_allclose(out, getattr(exact, name)(points), rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("n", [100, 1000, 10_000])
@pytest.mark.parametrize("spread", [0.5, 1.0, 2.0])
def test_few_rounds_where_each_agent_starts_at_a_price_of_its_own(n: int, spread: float) -> None:
    rng = np.random.default_rng(n)
    lam, start, cap = rng.lognormal(0.0, spread, n), rng.uniform(0.0, 10.0, n), rng.uniform(0.0, 1.0, n)
    agents = ArrayPopulation(lam, linear=start, lower=0.0, upper=cap)
    for share in (0.1, 0.3, 0.6, 1.5):
        found = price_newton(agents, QuadraticLoss(share * 0.5 * n))
        p = found.value.price
        y = float(np.clip((p - start) / (2.0 * lam), 0.0, cap).sum())
        assert p == pytest.approx(2.0 * (share * 0.5 * n - y), rel=1e-7, abs=1e-7)
        # small crowds are not sampled first, and must look for the scale of the starting prices themselves
        assert found.stats["rounds"] <= (10 if n >= 4096 else 12), (share, found.stats)


@pytest.mark.parametrize("sigma", [1.0, 2.0, 3.0])
def test_heavy_tails(sigma: float) -> None:
    for seed in range(3):
        rng = np.random.default_rng(seed)
        agents = ArrayPopulation(rng.lognormal(0.0, sigma, 10_000), lower=0.0, upper=rng.lognormal(0.0, sigma, 10_000))
        for target in (1e3, 5e3 * np.exp(0.5 * sigma**2)):
            found = price_newton(agents, QuadraticLoss(target))
            assert found.value.gap <= 1e-12
            assert found.stats["rounds"] <= 15


@pytest.mark.parametrize("kappa", [1.01, 1.1, 1.3])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_costs_that_are_nearly_linear_are_not_taken_for_solved_at_price_zero(kappa: float, sign: float) -> None:
    # z = p^(1/(kappa-1)) spans hundreds of decades here
    rng = np.random.default_rng(0)
    agents = ArrayPopulation(rng.uniform(0.5, 1.5, 500), lower=-1.0, upper=rng.uniform(0.2, 2.0, 500), exponent=kappa)
    loss = QuadraticLoss(sign * 350.0)
    found = price_newton(agents, loss)
    assert abs(found.value.mismatch) <= 1e-8 * abs(found.value.price)
    root = brentq(lambda p: p + float(loss.gradient(agents.aggregate_response(p)[0])), -2.0, 2.0, xtol=1e-15, rtol=1e-14, maxiter=5000)
    assert found.value.price == pytest.approx(root, rel=1e-9)


def test_costs_too_nearly_linear_for_floats_are_refused() -> None:
    with pytest.raises(InputError, match="so near 1"):
        ArrayPopulation(np.array([1e-3]), exponent=1.001).sums(1.0)


def test_indifferent_agents_do_not_end_the_search_early() -> None:
    # the price is right to 1e-10 long before the answers are: a billion units of aggregate hang on one of price
    rng = np.random.default_rng(0)
    agents = ArrayPopulation(np.full(1000, 1e-6), linear=rng.choice([10.0, 20.0, 30.0], 1000), lower=0.0, upper=1.0)
    loss = QuadraticLoss(500.0)
    found = price_newton(agents, loss)
    assert found.value.gap <= 1e-10 * (float(loss.value(found.value.aggregate)) + agents.private_cost(found.value.price))
