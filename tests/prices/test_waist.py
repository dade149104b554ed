"""The narrowest aggregate: its width, and S(x) = f(A x + b) on it; convexity certificates with controls."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hurwicz.prices import PriceGraph, certify_convex

RNG = np.random.default_rng(0)
MATRIX = jnp.asarray(RNG.normal(size=(3, 20)))


def loss_of(function, shape):
    return PriceGraph.from_loss(lambda x: function(x["p"]), {"p": shape}).compile()


@pytest.mark.parametrize(
    ("function", "shape", "width"),
    [
        (lambda p: (p.sum() - 10.0) ** 2, (50,), 1),
        (lambda p: jnp.exp(2 * p.mean() - 1) + p.sum() ** 2, (50,), 2),
        (lambda p: jnp.sum((MATRIX @ p) ** 4), (20,), 3),
        (lambda p: jnp.sum(p.reshape(5, 4).sum(axis=1) ** 2), (20,), 5),
        (lambda p: jnp.max(jnp.cumsum(p.reshape(4, 5), axis=0)[-1]), (20,), 5),
        (lambda p: jax.jit(lambda q: (q[:10].sum() - q[10:].sum()) ** 2)(p), (20,), 1),
        (lambda p: p[3] ** 2 + jnp.sin(p[5]), (20,), 2),
        (lambda p: p.sum(), (20,), 1),
        (lambda p: jnp.where(True, p, 0.0).sum() ** 2, (20,), 1),
    ],
)
def test_width_and_value(function, shape, width):
    loss = loss_of(function, shape)
    waist = loss.waist
    assert waist.dimension == width
    for _ in range(3):
        p = RNG.normal(size=shape)
        y = waist.matrix @ p.ravel() + waist.offset
        assert waist.value(y) == pytest.approx(loss.value({"p": p}), rel=1e-12, abs=1e-12)
        assert waist.matrix.T @ waist.gradient(y) == pytest.approx(-loss.prices({"p": p})["p"].ravel(), rel=1e-10, abs=1e-10)
    assert waist.hessian(y).shape == (width, width)


@pytest.mark.parametrize(
    "function",
    [
        lambda p: jnp.sum(p**2),
        lambda p: (p[0] + p[1] - 10.0) ** 2 + 0.5 * p[0] * p[1],
        lambda p: jnp.sum(jnp.sort(p) ** 2),
        lambda p: jnp.sum(jnp.where(p > 0, p, 0.0)) ** 2,
    ],
)
def test_no_waist_where_there_is_none(function):
    assert loss_of(function, (2,)).waist is None


def test_a_waist_whose_matrix_is_data():
    graph = PriceGraph()
    weights = graph.source("weights", np.ones(4))
    p = graph.population("p", 4)
    total = graph.function("total", lambda w, x: w @ x, [weights, p])
    graph.loss("l", lambda t: (t - 1.0) ** 2, [total])
    loss = graph.compile()
    assert loss.waist.dimension == 1
    changed = loss.terms({"weights": [1.0, 2.0, 3.0, 4.0]})
    matrix, offset = loss.waist.at(changed)
    x = RNG.normal(size=4)
    assert loss.waist.value(matrix @ x + offset, changed) == pytest.approx(loss.value({"p": x}, {"weights": [1.0, 2.0, 3.0, 4.0]}))


SQUARE = np.array([[2.0, 0.5], [0.5, 1.0]])


@pytest.mark.parametrize(
    ("function", "certified"),
    [
        (lambda p: (p.sum() - 1) ** 2, True),
        (lambda p: p @ SQUARE @ p, True),
        (lambda p: p @ (SQUARE - 2 * np.eye(2)) @ p, False),
        (lambda p: p[0] * p[1], False),
        (lambda p: (p[0] + p[1] - 10) ** 2 + 0.5 * p[0] * p[1], False),
        (lambda p: jnp.exp(p.sum()) + jnp.abs(p[0]) + jnp.maximum(p[1], 0.0) ** 2, True),
        (lambda p: -jnp.exp(p.sum()), False),
        (lambda p: -jnp.log(p.sum()), True),
        (lambda p: jnp.sin(p[0]), False),
        (lambda p: jnp.max(p) ** 2, False),
        (lambda p: jnp.max(jnp.abs(p)) ** 2, True),
        (lambda p: jnp.sum(p**4), True),
        (lambda p: jnp.sum(p**3), False),
        (lambda p: jnp.minimum(p[0], p[1]), False),
        (lambda p: 3.0 * p.sum() - 2.0, True),
        (lambda p: (p[0] ** 2 - 1.0) ** 2, False),
    ],
)
def test_certificates(function, certified):
    loss = loss_of(function, (2,))
    found = certify_convex(loss, loss.terms())
    assert (found is not None) is certified
    if certified:
        # Second route: no sampled Hessian has a negative eigenvalue.
        with jax.enable_x64(True):
            for point in np.abs(RNG.normal(size=(20, 2))):
                assert np.linalg.eigvalsh(jax.hessian(function)(jnp.asarray(point)))[0] >= -1e-9


EVERYDAY = {
    "stack": (lambda p: jnp.sum(jnp.stack([p[0] + p[1], p[2] - p[3]]) ** 2), 2),
    "mean": (lambda p: (jnp.mean(p) - 1) ** 2, 1),
    "dot": (lambda p: (jnp.dot(jnp.arange(4.0), p) - 2) ** 2, 1),
    "matmul": (lambda p: jnp.sum((WIDE @ p) ** 2), 3),
    "concatenate": (lambda p: jnp.sum(jnp.concatenate([p[:1] + p[1:2], p[2:3] - p[3:]]) ** 2), 2),
    "einsum": (lambda p: jnp.sum(jnp.einsum("ij,j->i", WIDE, p) ** 2), 3),
    "square": (lambda p: jnp.square(p.sum() - 1), 1),
    "power": (lambda p: jnp.power(p.sum(), 2.0), 1),
    "abs power": (lambda p: jnp.abs(p.sum()) ** 1.5, 1),
    "norm": (lambda p: jnp.linalg.norm(WIDE @ p - 1), 3),
    "norm squared": (lambda p: jnp.linalg.norm(WIDE @ p) ** 2, 3),
    "maximum": (lambda p: jnp.maximum(p.sum() - 1, 0.0) ** 2, 1),
    "relu": (lambda p: jax.nn.relu(p.sum() - 1) ** 2, 1),
    "clip": (lambda p: jnp.clip(p.sum() - 1, 0) ** 2, 1),
    "max": (lambda p: jnp.max(WIDE @ p), 3),
    "exp": (lambda p: jnp.exp(p.sum()), 1),
    "where": (lambda p: jnp.where(jnp.array([True, False, True]), WIDE @ p, 0.0).sum() ** 2, 1),
    "diff": (lambda p: jnp.sum(jnp.diff(p) ** 2), 3),
    "take": (lambda p: jnp.take(p, jnp.array([0, 2])).sum() ** 2, 1),
    "at": (lambda p: jnp.sum(p.at[0].add(-1.0)[:2]) ** 2, 1),
    "tensordot": (lambda p: jnp.tensordot(WIDE, p, 1).sum() ** 2, 1),
    "vmap": (lambda p: jnp.sum(jax.vmap(lambda row: (row @ p) ** 2)(WIDE)), 3),
}
WIDE = np.eye(3, 4) + 0.1


@pytest.mark.parametrize("name", sorted(EVERYDAY))
def test_what_people_write_keeps_its_waist_and_its_certificate(name):
    function, width = EVERYDAY[name]
    loss = loss_of(function, (4,))
    assert loss.waist is not None
    assert loss.waist.dimension == width
    assert certify_convex(loss, loss.terms()) is not None


@pytest.mark.parametrize(
    "function",
    [
        lambda p: -jnp.linalg.norm(p),
        lambda p: jnp.sqrt(jnp.sum(p**2) + p[0]),
        lambda p: jnp.sqrt(jnp.sum(p**4)) + jnp.sqrt(jnp.sum(jnp.sin(p) ** 2)),
        lambda p: jnp.abs(p.sum()) ** 0.5,
        lambda p: p.sum() ** 3.5,
        lambda p: (p.sum() ** 2 - 1.0) ** 2.0,
    ],
)
def test_roots_and_powers_that_are_not_convex_get_no_certificate(function):
    loss = loss_of(function, (2,))
    assert certify_convex(loss, loss.terms()) is None


def test_constraints_count_in_a_certificate():
    def graph(kind, function):
        made = PriceGraph()
        made.agent("a")
        made.loss("l", lambda a: a**2, ["a"])
        getattr(made, kind)("g", function, ["a"])
        loss = made.compile()
        return certify_convex(loss, loss.terms())

    assert graph("equality", lambda a: 2 * a - 1) is not None
    assert graph("equality", lambda a: a**2 - 1) is None
    assert graph("inequality", lambda a: a**2 - 1) is not None
    assert graph("inequality", lambda a: 1 - a**2) is None
