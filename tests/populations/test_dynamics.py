"""The other dynamics: all reach the same optimum, in the order of rounds that theory gives."""

from __future__ import annotations

import numpy as np
import pytest

from hurwicz._foundation import InputError, NotConvergedError, Status
from hurwicz.prices.populations import METHODS, ArrayPopulation, QuadraticLoss, SmoothLoss, population_dynamics, price_newton


def market(n: int, *, capacities: bool) -> tuple[ArrayPopulation, QuadraticLoss]:
    rng = np.random.default_rng(7)
    lam = rng.uniform(0.5, 1.5, n)
    bounds = {"lower": 0.0, "upper": rng.uniform(0.02, 0.2, n)} if capacities else {}
    return ArrayPopulation(lam, **bounds), QuadraticLoss(0.08 * n)


@pytest.mark.parametrize("capacities", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_every_dynamic_reaches_the_optimum(method: str, capacities: bool) -> None:
    agents, loss = market(50, capacities=capacities)
    if capacities and method == "conjugate_gradient":
        with pytest.raises(InputError, match="bounds"):
            population_dynamics(agents, loss, method=method)
        return
    run = population_dynamics(agents, loss, method=method)
    best = price_newton(agents, loss).value
    assert run.status is Status.OPTIMUM
    assert run.stats["gap"] <= 1e-9
    assert run.value.price == pytest.approx(best.price, rel=1e-2)  # the planner's price moves with the square root of the gap
    if run.value.actions is not None:
        np.testing.assert_allclose(run.value.actions, agents.actions(best.price), atol=1e-4)


def test_newton_does_not_slow_down_with_n_and_first_order_methods_do() -> None:
    rounds = {}
    for n in (20, 500):
        agents, loss = market(n, capacities=False)
        for method in METHODS:
            rounds[method, n] = population_dynamics(agents, loss, method=method).stats["rounds"]
    assert rounds["newton", 20] == rounds["newton", 500] == 2
    assert rounds["secant", 500] <= 4
    assert rounds["gradient", 500] > 10 * rounds["gradient", 20]
    assert 2 * rounds["nesterov", 20] < rounds["nesterov", 500] < rounds["gradient", 500] / 5
    assert rounds["sharing_admm", 500] < 60
    assert rounds["conjugate_gradient", 500] < 30


def test_limits_and_bad_input() -> None:
    agents, loss = market(500, capacities=False)
    with pytest.raises(NotConvergedError, match="gradient"):
        population_dynamics(agents, loss, method="gradient", max_rounds=10)
    stopped = population_dynamics(agents, loss, method="gradient", max_rounds=10, throw=False)
    assert stopped.status is Status.STEP_LIMIT
    assert stopped.stats["rounds"] == 10
    with pytest.raises(InputError, match="quadratic"):
        population_dynamics(agents, SmoothLoss(lambda y: (y - 1.0) ** 4 + y**2), method="nesterov")
    with pytest.raises(InputError, match="expected one of"):
        population_dynamics(agents, loss, method="jacobi")
