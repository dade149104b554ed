"""Responses, sums and gradient steps of array populations, against plain numpy and scalar minimisation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from hurwicz._foundation import InputError, NotFiniteError, ShapeError
from hurwicz.prices.populations import ArrayPopulation


def draw(seed: int, n: int, kappa: float, dtype: type = np.float64) -> ArrayPopulation:
    """Agents of every kind: both signs of weight, bounds on both sides of zero, linear costs where they are allowed."""
    rng = np.random.default_rng(seed)
    fields = {
        "lower": rng.uniform(-1.0, 0.3, n),
        "upper": rng.uniform(0.3, 2.0, n),
        "weight": rng.uniform(-0.5, 2.0, n),
        "linear": rng.normal(0.0, 0.5, n) if kappa == 2.0 else np.zeros(n),
    }
    fields = {name: value.astype(dtype) for name, value in fields.items()}
    if kappa != 2.0:
        fields["linear"] = 0.0
    return ArrayPopulation(rng.uniform(0.2, 2.0, n).astype(dtype), exponent=kappa, **fields)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10**6), price=st.floats(-5.0, 5.0), kappa=st.sampled_from([1.5, 2.0, 3.0, 4.0]))
def test_each_answer_is_the_agents_own_optimum(seed: int, price: float, kappa: float) -> None:
    agents = draw(seed, 3, kappa)
    for i, x in enumerate(agents.actions(price)):
        lam, c, a = agents.curvature[i], np.broadcast_to(agents.linear, 3)[i], agents.weight[i]
        loss = lambda v, lam=lam, c=c, a=a: c * v + lam * abs(v) ** kappa - a * price * v  # noqa: E731
        best = minimize_scalar(loss, bounds=(agents.lower[i], agents.upper[i]), method="bounded", options={"xatol": 1e-12})
        assert loss(x) <= best.fun + 1e-10
        assert agents.lower[i] <= x <= agents.upper[i]


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10**6), price=st.floats(-5.0, 5.0), kappa=st.sampled_from([1.5, 2.0, 4.0]))
def test_sum_and_slope_against_answers_one_by_one(seed: int, price: float, kappa: float) -> None:
    agents = draw(seed, 60, kappa)
    total, slope = agents.aggregate_response(price)
    assert total == pytest.approx(float(agents.weight @ agents.actions(price)), rel=1e-12, abs=1e-12)
    step = 1e-6
    ahead, behind = (float(agents.weight @ agents.actions(p)) for p in (price + step, price - step))
    if abs(price) > 0.1:  # a kink within the step, or the root's own kink at 0, may lie between the two secants' slopes
        right, left = (ahead - total) / step, (total - behind) / step
        assert min(left, right) - 1e-4 <= slope <= max(left, right) + 1e-4


@pytest.mark.parametrize("kappa", [2.0, 4.0, 1.5])
def test_private_cost_is_the_sum_of_costs(kappa: float) -> None:
    agents = draw(3, 200, kappa)
    x = agents.actions(1.7)
    expected = float(np.sum(agents.linear * x + agents.curvature * np.abs(x) ** kappa))
    assert agents.private_cost(1.7) == pytest.approx(expected, rel=1e-12)
    assert agents.action_totals(x) == pytest.approx((float(agents.weight @ x), expected), rel=1e-12)


@pytest.mark.parametrize("kappa", [2.0, 4.0])
def test_gradient_step_against_numpy(kappa: float) -> None:
    agents = draw(5, 1000, kappa)
    x = np.clip(np.random.default_rng(1).uniform(-1, 2, 1000), agents.lower, agents.upper)
    marginal = agents.linear + kappa * agents.curvature * np.sign(x) * np.abs(x) ** (kappa - 1)
    expected = np.clip(x + 0.05 * (agents.weight * 1.3 - marginal), agents.lower, agents.upper)
    total = agents.gradient_step(x, 1.3, 0.05)
    np.testing.assert_allclose(x, expected, rtol=1e-13, atol=1e-15)
    assert total == pytest.approx(float(agents.weight @ expected), rel=1e-12)


def test_bits_do_not_depend_on_the_number_of_workers() -> None:
    rng = np.random.default_rng(0)
    lam, upper = rng.uniform(0.5, 1.5, 400_000), rng.uniform(0.2, 2.0, 400_000)
    results = []
    for workers in (1, 2, 3, 7):
        agents = ArrayPopulation(lam, lower=0.0, upper=upper, workers=workers)
        x = np.full(400_000, 0.3)
        results.append((agents.aggregate_response(1.1), agents.private_cost(1.1), agents.gradient_step(x, 1.1, 0.1), x.tobytes()))
    assert all(result == results[0] for result in results)


def test_float32_data_get_the_right_price_at_ten_million() -> None:
    n = 10_000_000
    x = np.random.default_rng(2).uniform(0.0, 0.2, n).astype(np.float32)
    exact = float(np.sum(x, dtype=np.float64))
    target = exact + 0.21495
    agents = ArrayPopulation(np.full(n, 0.1, dtype=np.float32), lower=0.0)
    ours = -2.0 * (agents.action_totals(x)[0] - target)
    naive = -2.0 * float(np.sum(x) - np.float32(target))
    assert ours == pytest.approx(0.4299, abs=1e-6)
    assert abs(naive - 0.4299) > 0.05  # the negative control: a float32 sum of the same numbers is wrong
    stepped = agents.gradient_step(x, ours, 1e-9)
    assert x.dtype == np.float32
    assert stepped == pytest.approx(float(np.sum(x, dtype=np.float64)), rel=1e-14)


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ({"curvature": np.array([])}, InputError, "empty population"),
        ({"curvature": np.array([1.0, 0.0])}, InputError, "agent 1"),
        ({"curvature": np.array([1.0, np.nan])}, NotFiniteError, "agent 1"),
        ({"curvature": np.ones((2, 2))}, ShapeError, "shape"),
        ({"curvature": np.array(["a", "b"])}, InputError, "numbers"),
        ({"curvature": np.ones(2), "upper": np.array([1.0, np.nan])}, NotFiniteError, "upper"),
        ({"curvature": np.ones(2), "lower": 1.0, "upper": 0.0}, InputError, "agent 0"),
        ({"curvature": np.ones(2), "weight": np.ones(3)}, ShapeError, "weight"),
        ({"curvature": np.ones(2), "weight": np.inf}, NotFiniteError, "weight"),
        ({"curvature": np.ones(2), "exponent": 1.0}, InputError, "exponent"),
        ({"curvature": np.ones(2), "exponent": 4.0, "linear": 1.0}, InputError, "linear"),
        ({"curvature": np.ones(2), "workers": 0}, InputError, "workers"),
    ],
)
def test_bad_populations_are_refused_with_the_place(fields: dict, error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        ArrayPopulation(**fields)


def test_bad_actions_are_refused() -> None:
    with pytest.raises(ShapeError, match="contiguous"):
        ArrayPopulation(np.ones(4)).gradient_step(np.ones(8)[::2], 1.0, 0.1)


def test_kernels_compile_where_nothing_can_be_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    from numba.core import caching

    from hurwicz.prices.populations.jit_kernels import kernel

    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])  # a read-only installation, and no home folder
    assert kernel(lambda x: x + 1.0)(1.0) == 2.0


def test_threads_of_others_are_left_alone() -> None:
    import numba

    before = numba.get_num_threads()
    agents = ArrayPopulation(np.ones(200_000), workers=2)
    agents.aggregate_response(1.0)
    assert numba.get_num_threads() == before
    agents.workers.close()
    assert agents.aggregate_response(1.0) == (100_000.0, 100_000.0)
