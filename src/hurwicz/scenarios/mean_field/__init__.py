"""Scenarios whose rules are learned through the equilibrium of a large population."""

from hurwicz.scenarios.mean_field.running import run_designed
from hurwicz.scenarios.mean_field.schema import BatchedAuctionScenario, BeachBarScenario, Designed

__all__ = ["BatchedAuctionScenario", "BeachBarScenario", "Designed", "run_designed"]
