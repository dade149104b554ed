"""Cost families: derivatives against finite differences and JAX, closed-form answers against brute force."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hurwicz._foundation import InputError
from hurwicz.valuations import PiecewiseLinear, Polynomial, Power, Quadratic, ZeroCost

SMOOTH = [
    (Quadratic(), np.array(0.7)),
    (Quadratic(linear=-1.0, centre=2.0), np.array(0.3)),
    (Power(4.0), np.array(0.5)),
    (Power(1.5), np.array(2.0)),
    (Polynomial(), np.array([1.0, -2.0, 0.5, 0.0, 0.25])),
    (Polynomial(), np.array([3.0])),
    (ZeroCost(), np.array(1.0)),
]


@pytest.mark.parametrize(("family", "theta"), SMOOTH)
@pytest.mark.parametrize("x", [-1.3, 0.4, 2.1])
def test_derivatives_agree_with_jax_and_finite_differences(family, theta, x):
    h = 1e-5
    assert family.gradient(np.array(x), theta) == pytest.approx((family(x + h, theta) - family(x - h, theta)) / (2 * h), abs=1e-7)
    assert family.gradient(np.array(x), theta) == pytest.approx(float(jax.grad(family)(x, theta)), abs=1e-12)
    assert family.curvature(np.array(x), theta) == pytest.approx(float(jax.grad(jax.grad(family))(x, theta)), abs=1e-10)


@pytest.mark.parametrize(("family", "theta"), [*SMOOTH, (PiecewiseLinear((0.0, 1.0, 2.5, 4.0)), np.array([-1.0, 0.5, 3.0]))])
@given(price=st.floats(-4, 4), weight=st.sampled_from([0.0, 0.3, 5.0]), anchor=st.floats(-1, 3))
@settings(deadline=None, max_examples=12)
def test_closed_forms_agree_with_brute_force(family, theta, price, weight, anchor):
    answer = family.interval_response(np.array(price), np.array(weight), np.array(anchor), theta, np.array(-1.0), np.array(3.0))
    if answer is None:
        return
    grid = np.linspace(-1, 3, 40001)
    value = family.term(grid, theta[None] if theta.ndim else theta) - price * grid + weight / 2 * (grid - anchor) ** 2
    mine = float(family(answer, theta)) - price * float(answer) + weight / 2 * (float(answer) - anchor) ** 2
    assert -1.0 <= float(answer) <= 3.0
    assert mine <= value.min() + 1e-12
    assert mine >= value.min() - 1e-3


def test_piecewise_linear_matches_its_definition():
    cost = PiecewiseLinear((0.0, 1.0, 3.0))
    slopes = np.array([1.0, 4.0])
    points = np.array([-2.0, 0.0, 0.5, 1.0, 2.0, 3.0, 5.0])
    expected = [-2.0, 0.0, 0.5, 1.0, 5.0, 9.0, 17.0]
    assert [float(cost(point, slopes)) for point in points] == pytest.approx(expected)
    assert cost.term(points, np.broadcast_to(slopes, (7, 2))) == pytest.approx(expected)


def test_piecewise_linear_unbounded_below_is_not_hidden():
    answer = PiecewiseLinear((0.0, 1.0)).interval_response(
        np.array(0.5), np.array(0.0), np.array(0.0), np.array([1.0]), np.array(-np.inf), np.array(2.0)
    )
    assert np.isneginf(answer)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Power(1.0), "exponent above 1"),
        (lambda: PiecewiseLinear((1.0, 1.0)), "increasing"),
        (lambda: PiecewiseLinear((1.0,)), "at least two"),
        (lambda: PiecewiseLinear((0.0, 1.0, 2.0)).check([2.0, 1.0], "a"), "must not decrease"),
        (lambda: PiecewiseLinear((0.0, 1.0, 2.0)).check([2.0], "a"), "2 slopes"),
        (lambda: Quadratic().check(-1.0, "a"), "theta >= 0"),
        (lambda: Power(3.0).check(-1.0, "a"), "theta >= 0"),
        (lambda: Polynomial().check(1.0, "a"), "last axis"),
        (lambda: Quadratic().check(np.nan, "agent 'a'"), "agent 'a': type"),
    ],
)
def test_bad_parameters_are_named(build, message):
    with pytest.raises(InputError, match=message):
        build()
