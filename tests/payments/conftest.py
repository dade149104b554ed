from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from hurwicz.prices.payments import QuadraticAggregate

FIVE = (0.1, 0.5, 0.2, 0.4, 0.6)


@pytest.fixture
def five() -> tuple[QuadraticAggregate, dict[str, float], list[np.ndarray]]:
    """The instance of the paper's C.4: problem, true types by name, and as a batch of one."""
    problem = QuadraticAggregate(7.461, 5)
    return problem, dict(zip(problem.agents, FIVE, strict=True)), [np.array([v]) for v in FIVE]


@pytest.fixture(scope="session")
def instance() -> Callable[[int], tuple[QuadraticAggregate, np.ndarray]]:
    """Seed → a random problem with signs, bounds (some open) and opt-outs, and its types."""
    return random_instance


def random_instance(seed: int) -> tuple[QuadraticAggregate, np.ndarray]:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 6))
    low = rng.uniform(-2.0, 0.5, count)
    high = low + rng.uniform(0.0, 2.0, count)
    if seed % 3 == 0:
        low[0] = -np.inf
    if seed % 4 == 0:
        high[-1] = np.inf
    if seed % 5 == 0:
        low[:], high[:] = -np.inf, np.inf
    problem = QuadraticAggregate(
        rng.uniform(-5.0, 5.0),
        count,
        weight=rng.uniform(0.3, 3.0),
        coefficients=rng.choice([-1.0, 1.0], count) * rng.uniform(0.5, 2.0, count),
        low=low,
        high=high,
        opt_out=rng.uniform(-1.0, 1.0, count) if seed % 2 else 0.0,
    )
    return problem, rng.uniform(0.05, 2.0, count)
