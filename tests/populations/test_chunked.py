"""Types from a user's function: the same agents whatever the workers and N, sums against arrays, clear words for bad types."""

from __future__ import annotations

import tracemalloc
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hurwicz._foundation import InputError, NotFiniteError
from hurwicz.prices.populations import ChunkedPopulation, QuadraticLoss, TypeGenerator, clarke_transfers, price_newton


def made(rng: np.random.Generator, agents: np.ndarray) -> Mapping[str, Any]:
    """Lognormal costs, capacities that depend on the agent's own number, one weight for all."""
    return {"curvature": rng.lognormal(0.0, 1.0, len(agents)), "lower": -0.1, "upper": 0.5 + agents % 7, "weight": 2.0}


@settings(deadline=None, max_examples=8)
@given(size=st.integers(1, 400_000), seed=st.integers(0, 2**64 - 1), workers=st.integers(2, 9), price=st.floats(-3.0, 3.0))
def test_bits_do_not_depend_on_the_number_of_workers(size: int, seed: int, workers: int, price: float) -> None:
    one, many = (ChunkedPopulation(size, made, seed=seed, workers=count) for count in (1, workers))
    assert one.aggregate_response(price) == many.aggregate_response(price)
    assert one.private_cost(price) == many.private_cost(price)


def test_an_agent_is_the_same_however_many_there_are() -> None:
    few, many = ChunkedPopulation(70_000, made, seed=3), ChunkedPopulation(300_001, made, seed=3)
    assert few.part(65_000, 70_000).curvature.tolist() == many.part(65_000, 70_000).curvature.tolist()
    assert few.part().curvature.tolist() != ChunkedPopulation(70_000, made, seed=4).part().curvature.tolist()
    curvature = many.part().curvature
    assert len(np.unique(curvature)) == many.size, "chunks must not repeat one another"


@pytest.mark.parametrize("kappa", [2.0, 4.0])
def test_sums_are_those_of_the_same_agents_as_arrays(kappa: float) -> None:
    crowd = ChunkedPopulation(150_001, made, exponent=kappa, seed=9)
    arrays = crowd.part()
    assert arrays.size == 150_001
    for price in (-1.0, 0.3, 9.0):
        assert crowd.aggregate_response(price) == pytest.approx(arrays.aggregate_response(price), rel=1e-12)
        assert crowd.private_cost(price) == pytest.approx(arrays.private_cost(price), rel=1e-12)
    np.testing.assert_array_equal(crowd.actions(1.5, 65_530, 65_545), arrays.actions(1.5)[65_530:65_545])
    assert crowd.actions(1.5, 7, 7).shape == (0,)


def test_price_newton_and_clarke_take_it() -> None:
    crowd = ChunkedPopulation(100_000, made, seed=2)
    loss = QuadraticLoss(target=0.4 * crowd.size, weight=1.0 / crowd.size)
    clearing = price_newton(crowd, loss).value
    assert clearing.price == pytest.approx(price_newton(crowd.part(), loss).value.price, rel=1e-9)
    assert clearing.price == pytest.approx(-float(loss.gradient(clearing.aggregate)), rel=1e-9)
    tau = clarke_transfers(crowd.part(0, 1000), QuadraticLoss(target=400.0, weight=1e-3)).value
    assert tau.shape == (1000,)


def test_a_sample_stands_for_chunks_that_differ() -> None:
    def drifting(rng: np.random.Generator, agents: np.ndarray) -> Mapping[str, Any]:
        return {"curvature": 1.0 + agents[0] / 2**23 + 0.0 * rng.random(len(agents))}

    crowd = ChunkedPopulation(2**23, drifting)
    part = crowd.sample(crowd.size // 128)
    assert part is not None
    assert float(np.mean(part.curvature)) == pytest.approx(1.5, abs=0.2)
    assert ChunkedPopulation(2**20, made).sample(2**13) is None


def test_memory_does_not_grow_with_the_population() -> None:
    peaks = []
    for size in (2**17, 2**20):
        crowd = ChunkedPopulation(size, made, workers=1)
        crowd.sums(1.0)
        tracemalloc.start()
        crowd.sums(1.0)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]


def test_made_is_a_type_generator() -> None:
    assert isinstance(made, TypeGenerator)


BAD: dict[str, tuple[Any, type[Exception], str]] = {
    "no curvature": ({"upper": 1.0}, InputError, "expected curvature"),
    "unknown name": ({"curvature": 1.0, "capacity": 1.0}, InputError, "expected curvature, and perhaps .*capacity"),
    "another length": ({"curvature": np.ones(3)}, InputError, "65536 numbers"),
    "not positive": ({"curvature": 0.0}, InputError, "agents from number 0 on: .*positive"),
    "not finite": ({"curvature": 1.0, "weight": np.nan}, NotFiniteError, "agents from number 0 on: weight"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_types_are_named(name: str) -> None:
    types, error, words = BAD[name]
    with pytest.raises(error, match=words):
        ChunkedPopulation(10, lambda rng, agents: types).sums(1.0)


@pytest.mark.parametrize(("size", "seed", "exponent"), [(0, 0, 2.0), (2**47 + 1, 0, 2.0), (1, -1, 2.0), (1, 2**64, 2.0), (1, 0, 1.0)])
def test_bad_arguments(size: int, seed: int, exponent: float) -> None:
    with pytest.raises(InputError):
        ChunkedPopulation(size, made, seed=seed, exponent=exponent)
    with pytest.raises(InputError, match="at least one agent"):
        ChunkedPopulation(5, made).part(5)
