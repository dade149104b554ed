"""A TOML scenario → a run → a result and a report."""

from hurwicz.scenarios.explanation import explain_schema
from hurwicz.scenarios.information import information
from hurwicz.scenarios.loading import build_scenario, load_scenario
from hurwicz.scenarios.mean_field.schema import BatchedAuctionScenario, BeachBarScenario
from hurwicz.scenarios.running import Run, run_scenario
from hurwicz.scenarios.schema import AuditScenario, DispatchScenario, EquilibriumScenario, Scenario, TargetScenario

__all__ = [
    "AuditScenario",
    "BatchedAuctionScenario",
    "BeachBarScenario",
    "DispatchScenario",
    "EquilibriumScenario",
    "Run",
    "Scenario",
    "TargetScenario",
    "build_scenario",
    "explain_schema",
    "information",
    "load_scenario",
    "run_scenario",
]
