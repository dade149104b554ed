from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hurwicz._foundation import InputError, NotFiniteError, ShapeError
from hurwicz.typespaces import Box, Finite, Interval, TypeSpace

finite_numbers = st.floats(-1e6, 1e6)


@settings(deadline=None, max_examples=50)
@given(finite_numbers, st.floats(1e-3, 1e6), st.integers(2, 40), st.integers(0, 2**31))
def test_interval_grid_and_draws_stay_inside_and_reach_the_ends(low, width, points, seed):
    space = Interval(low, low + width)
    grid = space.grid(points)
    assert len(grid) == points
    assert grid[0] == space.low
    assert grid[-1] == space.high
    assert np.all(np.diff(grid) > 0)
    assert all(space.contains(v) for v in grid)
    assert all(space.contains(v) for v in space.sample(np.random.default_rng(seed), 20))
    assert not space.contains(np.nextafter(space.high, np.inf))
    assert np.array_equal(space.clip(np.array([low - 1.0, low + 2 * width])), [space.low, space.high])


def test_wide_positive_intervals_get_geometric_grids():
    grid = Interval(1e-4, 10.0).grid(6)
    assert np.allclose(grid[1:] / grid[:-1], 10.0)


@settings(deadline=None, max_examples=30)
@given(st.lists(finite_numbers, min_size=1, max_size=8, unique=True))
def test_finite_spaces_hold_their_values_and_nothing_else(values):
    space = Finite(values)
    assert space.size == len(values)
    assert np.array_equal(space.grid(2), values)
    assert all(space.contains(v) for v in values)
    assert not space.contains(max(values) + 1.0)
    assert set(space.sample(np.random.default_rng(0), 50)) <= set(values)
    assert np.array_equal(space.clip(np.asarray(values)), values)


def test_finite_spaces_of_vectors_and_of_names():
    vectors = Finite([(0.0, 1.0), (1.0, 0.0)])
    assert vectors.contains((1.0, 0.0))
    assert not vectors.contains((1.0, 1.0))
    assert np.array_equal(vectors.clip(np.array([[0.9, 0.2]])), [[1.0, 0.0]])
    names = Finite(["low", "high"])
    assert names.contains("low")
    assert not names.contains("middle")
    assert names.grid(9).dtype == object


def test_box_grid_is_the_product_of_its_axes():
    space = Box([0.0, -1.0], [1.0, 1.0])
    grid = space.grid(3)
    assert grid.shape == (9, 2)
    assert {tuple(g) for g in grid} == {(a, b) for a in (0.0, 0.5, 1.0) for b in (-1.0, 0.0, 1.0)}
    assert space.contains([0.5, 0.0])
    assert not space.contains([0.5, 1.5])
    assert not space.contains([0.5])
    draws = space.sample(np.random.default_rng(1), 200)
    assert draws.shape == (200, 2)
    assert np.all((draws >= space.low) & (draws <= space.high))


@pytest.mark.parametrize("space", [Finite([1.0]), Interval(0.0, 1.0), Box([0.0], [1.0])])
def test_every_space_speaks_the_protocol(space):
    assert isinstance(space, TypeSpace)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Interval(1.0, 1.0), InputError, "low < high"),
        (lambda: Interval(0.0, float("inf")), InputError, "finite"),
        (lambda: Finite([]), InputError, "at least one type"),
        (lambda: Finite([1.0, 1.0]), InputError, "twice"),
        (lambda: Finite([1.0, float("nan")]), NotFiniteError, "finite"),
        (lambda: Box([0.0], [1.0, 2.0]), ShapeError, "shape"),
        (lambda: Box([2.0], [1.0]), InputError, "low <= high"),
        (lambda: Box([], []), InputError, "at least one component"),
    ],
)
def test_bad_spaces_are_refused_with_words(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_looking_up_a_type_does_not_walk_the_list() -> None:
    """A prior of n types is compared with a space of n types: n look-ups of one cost each, not n² comparisons."""

    class Counted(str):
        compared = 0
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            Counted.compared += 1
            return str.__eq__(self, other)

    space = Finite([Counted(k) for k in range(500)])
    Counted.compared = 0
    assert all(space.contains(Counted(k)) for k in range(500))
    assert not space.contains("nobody")
    assert Counted.compared < 2000


def test_types_of_every_kind_are_found() -> None:
    assert Finite([-0.0, 2.0]).contains(0)
    assert Finite([[0.0, 1.0], [1.0, 1.0]]).contains((0, 1))
    assert not Finite([[0.0, 1.0]]).contains([0.0, 1.0, 0.0])
    assert not Finite([0.0]).contains(float("nan"))
    assert not Finite(["ann"]).contains(["ann"])
    assert Finite([("a", 1), "b"]).contains(("a", 1))
