"""A TOML scenario → a run → a result and a report."""

from hurwicz.scenarios.explanation import explain_schema
from hurwicz.scenarios.information import information
from hurwicz.scenarios.loading import load_scenario
from hurwicz.scenarios.running import Run, run_scenario
from hurwicz.scenarios.schema import DispatchScenario, Scenario, TargetScenario

__all__ = ["DispatchScenario", "Run", "Scenario", "TargetScenario", "explain_schema", "information", "load_scenario", "run_scenario"]
