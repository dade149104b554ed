"""Rounds of price Newton on C.2 and its kin, with answers checked by bisection on the one price."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest

from hurwicz._foundation import Status
from hurwicz.prices import Box, PopulationAgent, PriceGraph, coordinate
from hurwicz.valuations import Power, Quadratic


def by_bisection(exponent, theta, capacity, target):
    """x_i = min((p / (k theta_i))^(1/(k-1)), capacity_i) at the price p = 2 (target - sum x)."""
    low, high = 0.0, 2.0 * target
    for _ in range(200):
        price = 0.5 * (low + high)
        answer = np.minimum((price / (exponent * theta)) ** (1.0 / (exponent - 1.0)), capacity)
        low, high = (price, high) if price < 2.0 * (target - answer.sum()) else (low, price)
    return answer


@functools.cache
def problem(size):
    graph = PriceGraph()
    graph.population("h", size)
    graph.source("target", 0.1 * size)
    graph.loss("miss", lambda h, target: (h.sum() - target) ** 2, ["h", "target"])
    return graph.compile()


def reached(size, exponent, spread, capped, start):
    rng = np.random.default_rng(0)
    theta = rng.uniform(0.05, 0.15, size) if spread else np.full(size, 0.1)
    capacity = rng.uniform(0.02, 0.2, size) if capped else np.inf
    target = (0.08 if capped else 0.1) * size
    agents = [PopulationAgent("h", Quadratic() if exponent == 2 else Power(float(exponent)), theta, Box(0.0, capacity))]
    first = None if start == "zero" else {"h": np.random.default_rng(1).uniform(0, 2, size)}
    solution = coordinate(problem(size), agents, start=first, data={"target": target}, tol=1e-9)
    return solution, by_bisection(exponent, theta, capacity, target)


@pytest.mark.parametrize(
    ("size", "exponent", "start"),
    [(size, 2, start) for size in (10, 100, 10_000) for start in ("zero", "random")]
    + [(size, exponent, "zero") for size in (100, 10_000) for exponent in (1.5, 3, 4)]
    + [(100, 1.5, "random")],
)
def test_ten_rounds_are_enough(size, exponent, start):
    for spread, capped in itertools.product((False, True), repeat=2):
        solution, exact = reached(size, exponent, spread, capped, start)
        assert solution.status is Status.OPTIMUM, (spread, capped)
        assert solution.value.actions["h"] == pytest.approx(exact, abs=1e-8), (spread, capped)
        assert solution.value.rounds <= 10, (spread, capped)


@pytest.mark.parametrize("exponent", [2, 4])
def test_members_past_one_group_answer_as_the_same_members_in_one(exponent):
    """Populations are worked through in groups of 8192: N copies of 5 types must move as the 5 do, to the last group's last member."""
    size = 3 * 8192 + 5
    theta = np.resize([0.05, 0.1, 0.2, 0.15, 0.07], size)
    agents = [PopulationAgent("h", Quadratic() if exponent == 2 else Power(float(exponent)), theta, Box(0.0, 1.0))]
    solution = coordinate(problem(size), agents)
    assert solution.value.actions["h"] == pytest.approx(by_bisection(exponent, theta, 1.0, 0.1 * size), abs=1e-8)
    assert np.ptp(solution.value.actions["h"][::5]) == 0.0


def test_the_price_is_right_where_it_is_small_against_the_total():
    """The total misses its target by 2e-4 in 1000: actions right to ten digits leave the price, twice the miss, off by a hundredth."""
    solution, exact = reached(10_000, 4, True, False, "zero")
    price = 4 * np.random.default_rng(0).uniform(0.05, 0.15, 10_000) * exact**3
    assert np.ptp(price) <= 1e-12 * price[0]
    assert solution.value.prices["h"] == pytest.approx(price, rel=1e-6)
    assert solution.value.rounds <= 10
