"""Clarke transfers of whole populations against taking one agent out and optimising again."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import brentq

from hurwicz._foundation import InputError, NotFiniteError, ShapeError
from hurwicz.prices.populations import (
    ArrayPopulation,
    GeneratedPopulation,
    QuadraticLoss,
    ShiftedLoss,
    SmoothLoss,
    UniformTypes,
    clarke_transfers,
    price_newton,
)
from hurwicz.prices.populations.clarke import line_integral


def without(agents: ArrayPopulation, i: int) -> ArrayPopulation:
    keep = np.arange(agents.size) != i
    fields = {name: getattr(agents, name) for name in ("linear", "lower", "upper", "weight")}
    fields = {name: value[keep] if isinstance(value, np.ndarray) else value for name, value in fields.items()}
    return ArrayPopulation(agents.curvature[keep], exponent=agents.exponent, **fields)


def reoptimised(agents: ArrayPopulation, loss: QuadraticLoss | SmoothLoss, i: int, opt_out: float) -> float:
    """The others' least loss with i at its opt-out, less their loss with i at the optimum."""
    a = float(np.broadcast_to(agents.weight, agents.size)[i])
    x = float(agents.actions(price_newton(agents, loss, tolerance=1e-14).value.price, i, i + 1)[0])
    if agents.size == 1:
        return float(loss.value(a * opt_out) - loss.value(a * x))
    rest = without(agents, i)

    def others(supply: float) -> float:
        shifted = ShiftedLoss(loss, a * supply)
        clearing = price_newton(rest, shifted, tolerance=1e-14).value
        return float(shifted.value(clearing.aggregate)) + rest.private_cost(clearing.price)

    return others(opt_out) - others(x)


def test_the_instance_of_the_paper() -> None:
    agents = ArrayPopulation(np.array([0.1, 0.5, 0.2, 0.4, 0.6]))
    result = clarke_transfers(agents, QuadraticLoss(7.461))
    assert result.value[0] == pytest.approx(3.19696, abs=5e-6)
    assert result.value.sum() == pytest.approx(5.966, abs=5e-4)
    assert agents.private_cost(result.stats["clearing"].price) == pytest.approx(2.398, abs=5e-4)
    linear = result.stats["clearing"].price * agents.actions(result.stats["clearing"].price)
    assert linear.sum() == pytest.approx(4.796, abs=5e-4)  # the negative control: linear prices pay something else
    assert linear[0] == pytest.approx(2.26581, abs=5e-6)


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    n=st.sampled_from([1, 2, 4, 12]),
    kappa=st.sampled_from([1.5, 2.0, 3.0, 4.0]),
    share=st.floats(-0.3, 1.5),
    opt_out=st.floats(-0.3, 0.3),
    smooth=st.booleans(),
)
def test_every_transfer_against_reoptimisation(seed: int, n: int, kappa: float, share: float, opt_out: float, smooth: bool) -> None:
    rng = np.random.default_rng(seed)
    agents = ArrayPopulation(
        rng.uniform(0.5, 1.5, n),
        linear=rng.normal(0.0, 0.5, n) if kappa == 2.0 else 0.0,
        lower=rng.uniform(-0.5, 0.3, n),
        upper=rng.uniform(0.3, 2.0, n),
        weight=rng.uniform(-0.5, 2.0, n),
        exponent=kappa,
    )
    target = share * n
    loss = SmoothLoss(lambda y: n * jnp.cosh((y - target) / n)) if smooth else QuadraticLoss(target)
    tau = clarke_transfers(agents, loss, opt_out=opt_out).value
    expected = [reoptimised(agents, loss, i, opt_out) for i in range(n)]
    np.testing.assert_allclose(tau, expected, rtol=1e-10, atol=2e-11 * max(1.0, abs(target)))


def test_transfer_is_the_integral_of_the_clearing_price() -> None:
    rng = np.random.default_rng(4)
    agents = ArrayPopulation(rng.uniform(0.5, 1.5, 6), lower=0.0, upper=rng.uniform(0.2, 1.0, 6))
    loss = QuadraticLoss(3.0)
    result = clarke_transfers(agents, loss)
    rest = without(agents, 2)

    def price(supply: float) -> float:
        return brentq(lambda p: p + 2.0 * (supply + rest.aggregate_response(p)[0] - 3.0), -50.0, 50.0, xtol=1e-14)

    x = float(agents.actions(result.stats["clearing"].price, 2, 3)[0])
    area, error = quad(price, 0.0, x, epsabs=1e-10, limit=200)
    assert result.value[2] == pytest.approx(area, abs=error + 1e-9)


def test_a_population_of_many_on_a_sample() -> None:
    rng = np.random.default_rng(8)
    n = 100_000
    agents = ArrayPopulation(rng.uniform(0.5, 1.5, n), lower=0.0, upper=rng.uniform(0.2, 2.0, n))
    loss = QuadraticLoss(0.7 * n)
    tau = clarke_transfers(agents, loss, opt_out=np.zeros(n)).value
    for i in (0, 777, n - 1):
        assert tau[i] == pytest.approx(reoptimised(agents, loss, i, 0.0), rel=2e-9)  # limited by the check: losses of 1e5 are subtracted
    worse = tau - price_newton(agents, loss).value.price * agents.actions(price_newton(agents, loss).value.price)
    assert np.all(worse > 0.0)  # each agent's own supply lowers the price, so that Clarke pays more than the last price


def test_truth_is_the_best_report_under_clarke_and_not_under_linear_prices() -> None:
    lam, loss = np.array([0.1, 0.5, 0.2, 0.4, 0.6]), QuadraticLoss(7.461)
    clarke, linear = [], []
    reports = np.linspace(0.05, 0.4, 71)
    for report in reports:
        told = ArrayPopulation(np.concatenate(([report], lam[1:])))
        result = clarke_transfers(told, loss)
        price = result.stats["clearing"].price
        x = told.actions(price)[0]
        clarke.append(result.value[0] - lam[0] * x**2)
        linear.append(price * x - lam[0] * x**2)
    assert reports[int(np.argmax(clarke))] == pytest.approx(0.1, abs=1e-9)
    assert reports[int(np.argmax(linear))] == pytest.approx(0.18, abs=0.006)
    assert max(linear) / np.interp(0.1, reports, linear) - 1.0 == pytest.approx(0.256, abs=2e-3)


@settings(deadline=None, max_examples=60)
@given(
    z0=st.floats(-3.0, 3.0), z1=st.floats(-3.0, 3.0), value=st.floats(-2.0, 2.0), slope=st.floats(-2.0, 2.0),
    kappa=st.sampled_from([1.5, 2.0, 3.0, 4.0]),
)  # fmt: skip
def test_line_integral_against_quadrature_in_the_price(z0: float, z1: float, value: float, slope: float, kappa: float) -> None:
    to_p = lambda z: np.sign(z) * abs(z) ** (kappa - 1.0)  # noqa: E731
    to_z = lambda p: np.sign(p) * abs(p) ** (1.0 / (kappa - 1.0))  # noqa: E731
    p0, p1 = to_p(z0), to_p(z1)
    points = [0.0] if min(p0, p1) < 0.0 < max(p0, p1) else None
    area, error = quad(lambda p: value + slope * (to_z(p) - z0), p0, p1, points=points, epsabs=1e-12, epsrel=1e-12, limit=200)
    assert float(line_integral(z0, z1, value, slope, kappa)) == pytest.approx(area, abs=1e-10 + error)


def test_bad_input() -> None:
    agents, loss = ArrayPopulation(np.ones(3)), QuadraticLoss(1.0)
    with pytest.raises(ShapeError, match="opt_out"):
        clarke_transfers(agents, loss, opt_out=np.zeros(2))
    with pytest.raises(NotFiniteError, match="opt_out"):
        clarke_transfers(agents, loss, opt_out=float("nan"))
    crowd = GeneratedPopulation(10, UniformTypes((1.0, 2.0), (1.0, 2.0)))
    with pytest.raises(InputError, match=r"\.part"):
        clarke_transfers(crowd, loss)


@pytest.mark.parametrize("kappa", [1.1, 1.5, 4.0])
@pytest.mark.parametrize("opt_out", [1e-8, 1e-40, 1e-196])
def test_an_opt_out_next_to_nothing_at_a_price_of_zero(kappa: float, opt_out: float) -> None:
    """The price without the agent is as small as its gap: halving a bracket as wide as the capacities never got there."""
    agents = ArrayPopulation(np.array([0.7, 1.2]), lower=-0.3, upper=0.5, exponent=kappa)
    tau = clarke_transfers(agents, QuadraticLoss(0.0), opt_out=opt_out).value
    assert np.abs(tau).max() <= 4.0 * opt_out**2  # S(opt out) - S(x) at most, as nobody else has to move
