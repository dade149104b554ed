"""Toy auctions: the negative and positive controls of the auditor."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hurwicz.settings import Outcome, Outcomes
from hurwicz.typespaces import Finite, Interval, TypeSpace


class SealedBid:
    """One good to the highest bid (ties to the first agent), at the winner's own bid or at the second one. No batches."""

    def __init__(self, spaces: Mapping[str, TypeSpace], *, second_price: bool) -> None:
        self.type_spaces = dict(spaces)
        self.agents = tuple(spaces)
        self.second_price = second_price

    def outcome(self, reports: Mapping[str, Any]) -> Outcome:
        bids = np.array([float(reports[n]) for n in self.agents])
        winner = int(np.argmax(bids))
        price = float(np.sort(bids)[-2]) if self.second_price else float(bids[winner])
        return Outcome(
            allocation={n: np.array(1.0 if k == winner else 0.0) for k, n in enumerate(self.agents)},
            payments={n: price if k == winner else 0.0 for k, n in enumerate(self.agents)},
        )

    def value(self, agent: str, outcome: Outcome, true_type: Any) -> float:
        return float(outcome.allocation[agent]) * float(true_type)

    def welfare(self, outcome: Outcome, true_types: Mapping[str, Any]) -> float:
        return sum(self.value(n, outcome, true_types[n]) for n in self.agents)

    def planner_value(self, outcome: Outcome) -> float:
        return 0.0

    def welfare_bound(self, true_types: Mapping[str, Any]) -> float:
        return max(float(v) for v in true_types.values())


@pytest.fixture(params=["grid", "interval"])
def bidders(request) -> dict[str, TypeSpace]:
    """Three bidders, with six values each or a continuum."""
    space = Finite([0.0, 0.2, 0.4, 0.6, 0.8, 1.0]) if request.param == "grid" else Interval(0.0, 1.0)
    return dict.fromkeys(("ann", "bob", "cyd"), space)


class BatchedSealedBid(SealedBid):
    """The same, many profiles at once."""

    def outcomes(self, reports: Mapping[str, Any]) -> Outcomes:
        bids = np.stack([np.asarray(reports[n], dtype=np.float64) for n in self.agents])
        winner = np.argmax(bids, axis=0)
        price = np.sort(bids, axis=0)[-2] if self.second_price else bids.max(axis=0)
        wins = {n: (winner == k).astype(np.float64) for k, n in enumerate(self.agents)}
        return Outcomes(wins, {n: wins[n] * price for n in self.agents})

    def values(self, agent: str, outcomes: Outcomes, true_types: Any) -> np.ndarray:
        return outcomes.allocation[agent] * true_types

    def welfares(self, outcomes: Outcomes, true_types: Mapping[str, Any]) -> np.ndarray:
        return sum(self.values(n, outcomes, true_types[n]) for n in self.agents)


@pytest.fixture
def auction():
    """Maker of sealed-bid auctions, profile by profile."""
    return SealedBid


@pytest.fixture
def batched_auction():
    """Maker of sealed-bid auctions that take batches."""
    return BatchedSealedBid


@pytest.fixture
def client() -> type:
    """What Dask(client) uses of a distributed.Client, done at once in this process."""

    class Client:
        def ncores(self):
            return {"tcp://one": 2}

        def submit(self, work, k, pure):
            del pure
            return SimpleNamespace(result=lambda: work(k))

    return Client
