"""What a scenario file may say: every key, its type, its default and its meaning."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

Rule = Literal["linear", "own_path", "clarke", "expected_externality"]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class _Table(BaseModel):
    """A table of the file: no unknown keys, no number out of text, no NaN."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Prior(_Table):
    """What is commonly believed of an agent's type before it speaks: uniform on an interval."""

    low: Positive = Field(0.8, description="least cost multiplier that a generator may have")
    high: Positive = Field(1.25, description="greatest cost multiplier that a generator may have")

    @model_validator(mode="after")
    def _ordered(self) -> Prior:
        if not self.low < self.high:
            raise ValueError(f"an interval with low < high; got [{self.low}, {self.high}]")
        return self


class Audit(_Table):
    """How hard the auditor looks."""

    enabled: bool = Field(True, description="audit every payment rule that was asked for")
    agents: int = Field(4, ge=1, description="how many agents' misreports are searched, those with the largest output first")
    reports: int = Field(9, ge=3, description="misreports tried for each agent before the best is refined")
    profiles: int = Field(2, ge=1, description="profiles of the other agents' types: the true one, then draws from the prior")


class DispatchScenario(_Table):
    """Coordinate the generators of a power grid by prices, pay them, and audit the payments."""

    kind: Literal["dispatch"] = Field(description='"dispatch"')
    case: str = Field(description="a packaged case (hurwicz info lists them) or a MATPOWER .m file, relative to this scenario")
    network: Literal["powermodels", "matpower"] = Field("powermodels", description="which DC network model of the file holds")
    max_rounds: int = Field(20, ge=1, description="price rounds after which the run gives up (exit code 3)")
    tolerance: Positive = Field(1e-8, description="relative optimality and balance residual at which the run stops")
    payments: list[Rule] = Field(
        default=["linear", "own_path", "clarke", "expected_externality"], description="rules by which the generators are paid"
    )
    value_of_lost_load: Positive = Field(10000.0, description="$/MWh of demand not served; sets what a pivotal generator is paid")
    reference: bool = Field(True, description="also solve with every cost known, by an independent solver, and compare")
    prior: Prior = Field(default_factory=Prior, description="prior over each generator's cost multiplier")
    samples: int = Field(64, ge=2, description="draws of the others' types behind the expected externality")
    audit: Audit = Field(default_factory=Audit, description="how hard the auditor looks")
    seed: int = Field(0, ge=0, description="seed of every random draw")

    @field_validator("case")
    @classmethod
    def _resolved(cls, case: str, info: ValidationInfo) -> str:
        """A path is meant relative to the scenario's own folder; a bare name is a packaged case."""
        folder = (info.context or {}).get("folder")
        if case.endswith(".m") and folder is not None and not Path(case).is_absolute():
            return str(Path(folder, case))
        return case

    @field_validator("payments")
    @classmethod
    def _once(cls, payments: list[str]) -> list[str]:
        if len(set(payments)) != len(payments):
            raise ValueError(f"each rule at most once; got {payments}")
        return payments


Scenario = DispatchScenario
KINDS: dict[str, type[DispatchScenario]] = {"dispatch": DispatchScenario}
