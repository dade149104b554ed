"""Decreasing marginal values: the space, and priors by sorted draws against order statistics."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hurwicz._foundation import InputError
from hurwicz.typespaces import Box, DecreasingMarginals, FinitePrior, Interval, SortedDraws, TypeSpace, Uniform

UNIT = Uniform(Interval(0.0, 1.0))


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_moments_are_those_of_order_statistics(dims):
    prior = SortedDraws(UNIT, dims)
    points, weights = prior.quadrature(8)
    exact = (dims + 1 - np.arange(1, dims + 1)) / (dims + 1)
    assert prior.mean == pytest.approx(exact)
    assert weights @ points == pytest.approx(exact)
    second = exact * (dims + 2 - np.arange(1, dims + 1)) / (dims + 2)
    assert weights @ points**2 == pytest.approx(second)
    drawn = prior.sample(np.random.default_rng(0), 20_000)
    assert np.abs(drawn.mean(axis=0) - exact).max() < 0.01
    assert all(prior.space.contains(v) for v in drawn[:50])


def test_finite_draws_are_counted():
    prior = SortedDraws(FinitePrior([1.0, 2.0], [0.25, 0.75]), 2)
    points, weights = prior.quadrature(1)
    assert dict(zip(map(tuple, points.tolist()), weights.tolist(), strict=True)) == pytest.approx(
        {(2.0, 2.0): 0.5625, (2.0, 1.0): 0.375, (1.0, 1.0): 0.0625}
    )
    assert prior.space.size == 3


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(-1, 3), min_size=3, max_size=3))
def test_clipped_vectors_lie_in_the_space(vector):
    space = DecreasingMarginals(3, 0.0, 2.0)
    assert isinstance(space, TypeSpace)
    clipped = space.clip(np.asarray([vector]))[0]
    assert space.contains(clipped)
    if space.contains(vector):
        assert clipped.tolist() == vector


def test_the_grid_and_uniform_draws_lie_in_the_space():
    space = DecreasingMarginals(3)
    assert len(space.grid(4)) == 20
    assert all(space.contains(v) for v in [*space.grid(4), *space.sample(np.random.default_rng(0), 30)])
    assert not space.contains([0.5, 0.6, 0.1])
    assert not space.contains("abc")
    assert not space.contains([0.5, float("nan"), 0.1])


def test_what_is_no_space_is_refused():
    with pytest.raises(InputError, match="dims >= 1"):
        DecreasingMarginals(0)
    with pytest.raises(InputError, match="low < high"):
        DecreasingMarginals(2, 1.0, 1.0)
    with pytest.raises(InputError, match="over numbers"):
        SortedDraws(Uniform(Box([0.0], [1.0])), 2)
