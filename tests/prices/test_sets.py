"""Projections: into the set, nothing nearer, and the identity inside."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from hurwicz._foundation import InputError
from hurwicz.prices import Ball, Box, Projection, Simplex, WholeSpace

VECTORS = st.lists(st.floats(-5, 5), min_size=3, max_size=3).map(np.array)
SETS = [
    Box(-1.0, np.array([0.5, 2.0, np.inf])),
    Simplex(2.0),
    Ball(1.5, [0.0, 1.0, 0.0]),
    WholeSpace(),
    Projection(lambda x: x - jnp.maximum(x.sum() - 1.0, 0.0) / 3),
]


@pytest.mark.parametrize("actions", SETS, ids=lambda s: type(s).__name__)
@given(x=VECTORS, y=VECTORS)
@settings(deadline=None, max_examples=30)
def test_projection_obeys_the_variational_inequality(actions, x, y):
    nearest, other = np.asarray(actions.project(x)), np.asarray(actions.project(y))
    assert actions.contains(nearest)
    # <x - P x, z - P x> <= 0 for every z in the set characterises the projection on a convex set.
    assert (x - nearest) @ (other - nearest) <= 1e-9


def test_simplex_agrees_with_a_solver():
    rng = np.random.default_rng(0)
    for x in rng.normal(size=(5, 4)):
        found = minimize(
            lambda z, x=x: ((z - x) ** 2).sum(),
            np.full(4, 0.25),
            bounds=[(0, None)] * 4,
            constraints={"type": "eq", "fun": lambda z: z.sum() - 1},
            options={"ftol": 1e-14},
        )
        assert Simplex().project(x) == pytest.approx(found.x, abs=1e-6)


def test_populations_project_member_by_member():
    points = np.random.default_rng(1).normal(size=(6, 3))
    for actions in (Simplex(1.0), Ball(0.5)):
        assert actions.project(points) == pytest.approx(np.stack([actions.project(row) for row in points]))


def test_a_ball_of_scalars_is_an_interval():
    assert float(Ball(2.0, 1.0).project(np.array(9.0))) == 3.0


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Box(1.0, 0.0), "lower <= upper"),
        (lambda: Box(np.nan, 0.0), "NaN"),
        (lambda: Box([0.0, 1.0], [1.0, 2.0, 3.0]), "do not go together"),
        (lambda: Simplex(0.0), "positive finite total"),
        (lambda: Ball(-1.0), "positive finite radius"),
    ],
)
def test_impossible_sets_are_refused(build, message):
    with pytest.raises(InputError, match=message):
        build()
