"""What a scenario file may say: every key, its type, its default and its meaning."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, get_args

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
        if not self.low <= 1.0 <= self.high:
            raise ValueError(f"an interval that holds 1, the multiplier of the file's own costs; got [{self.low}, {self.high}]")
        return self


class Audit(_Table):
    """How hard the auditor looks at a grid, where every report that it tries is a dispatch of its own."""

    enabled: bool = Field(True, description="audit every payment rule that was asked for")
    seconds: Positive = Field(1.0, description="time for each property of each rule; what was searched by then is stated")
    profiles: int = Field(2, ge=0, description="profiles of types drawn from the prior, beside the true one")
    deviations: int = Field(9, ge=1, description="misreports tried for each generator and profile, beside scaled ones")
    most_seconds: Positive = Field(20.0, description="time after which a property of a rule is given up without a verdict, with a note")


class DispatchScenario(_Table):
    """Coordinate the generators of a power grid by prices, pay them, and audit the payments."""

    kind: Literal["dispatch"] = Field(description='"dispatch"')
    case: str = Field(description="a packaged case (hurwicz info lists them) or a MATPOWER .m file, relative to this scenario")
    network: Literal["powermodels", "matpower"] = Field("powermodels", description="which DC network model of the file holds")
    max_rounds: int = Field(20, ge=1, description="price rounds after which the run gives up (exit code 3)")
    tolerance: Positive = Field(1e-8, description="relative optimality and balance residual at which the run stops")
    payments: list[Rule] | None = Field(None, description="rules by which the generators are paid; all that apply if left out")
    payment_seconds: Positive = Field(
        30.0, description="time for each rule; one that would take longer on this grid is left out, with a note"
    )
    value_of_lost_load: Positive = Field(10000.0, description="$/MWh of demand not served; sets what a pivotal generator is paid")
    reference: bool = Field(True, description="also solve with every cost known, by an independent solver, and compare")
    prior: Prior = Field(default_factory=Prior, description="prior over each generator's cost multiplier")
    samples: int = Field(32, ge=2, description="draws of the others' types behind the expected externality")
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
    def _once(cls, payments: list[str] | None) -> list[str] | None:
        if payments is not None and len(set(payments)) != len(payments):
            raise ValueError(f"each rule at most once; got {payments}")
        return payments


TargetRule = Literal["linear", "own_path", "clarke", "expected_externality", "posted_expectation"]
Dynamics = Literal["price_newton", "anderson", "broyden", "accelerated", "admm", "proximal", "gradient"]


CLARKE_AGENTS = 10_000_000
"""Clarke transfers are one number an agent: the most agents of a population for whom they are computed."""


class TypePrior(_Table):
    """What is commonly believed of an agent's cost coefficient before it speaks: uniform on an interval."""

    low: Positive = Field(description="least cost coefficient lambda that an agent may have")
    high: Positive = Field(description="greatest cost coefficient lambda that an agent may have")

    @model_validator(mode="after")
    def _ordered(self) -> TypePrior:
        if not self.low < self.high:
            raise ValueError(f"an interval with low < high; got [{self.low}, {self.high}]")
        return self


class Population(_Table):
    """Agents without names: types drawn evenly from a box, each agent with a capacity."""

    size: int = Field(ge=1, le=100_000_000_000, description="how many agents")
    curvature: tuple[Positive, Positive] = Field((0.5, 1.5), description="range of the cost coefficients lambda")
    capacity: tuple[Positive, Positive] = Field((0.2, 2.0), description="range of the capacities; actions lie in [0, capacity]")

    @field_validator("curvature", "capacity", mode="before")
    @classmethod
    def _pair(cls, pair: object) -> object:
        """TOML has arrays only; a range is one of two numbers."""
        return tuple(pair) if isinstance(pair, list) else pair

    @model_validator(mode="after")
    def _ordered(self) -> Population:
        for name in ("curvature", "capacity"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name} as [low, high] with low ≤ high; got [{low}, {high}]")
        return self


class TargetScenario(_Table):
    """Bring the sum of many agents' actions to a target: S(x) = weight (sum x - target)², C_i(x_i) = lambda_i x_i²."""

    kind: Literal["target"] = Field(description='"target"')
    target: Finite = Field(description="what the actions should add up to; for a population, per agent")
    weight: Positive = Field(1.0, description="loss per squared unit of the miss; for a population, per agent")
    types: list[Positive] | None = Field(None, min_length=1, description="private cost coefficient lambda of each named agent")
    population: Population | None = Field(None, description="agents without names, instead of types")
    dynamics: Dynamics = Field("price_newton", description="how prices move from round to round (named agents)")
    max_rounds: int = Field(100_000, ge=1, description="price rounds after which the run gives up (exit code 3)")
    tolerance: Positive = Field(1e-9, description="residual at which the run stops")
    payments: list[TargetRule] | None = Field(None, description="rules by which the agents are paid; all that apply if left out")
    prior: TypePrior | None = Field(None, description="common prior over lambda; needed for the rules that take an expectation")
    audit: bool = Field(True, description="audit every payment rule (named agents)")
    effort: Literal["quick", "standard", "thorough"] = Field("quick", description="how hard the auditor looks")
    seed: int = Field(0, ge=0, description="seed of every random draw")

    @model_validator(mode="after")
    def _complete(self) -> TargetScenario:
        if (self.types is None) == (self.population is None):
            raise ValueError("either types (a list of cost coefficients) or a [population], not both and not neither")
        if self.population is not None and set(self.payments or ()) - {"linear", "clarke"}:
            raise ValueError(f"payments of a population among linear and clarke; got {self.payments}")
        unused = {"dynamics", "prior", "audit", "effort"} & self.model_fields_set
        if self.population is not None and unused:
            raise ValueError(f"no {' or '.join(sorted(unused))} beside a [population]: price Newton coordinates it, and it is not audited")
        if self.population is not None and "clarke" in (self.payments or ()) and self.population.size > CLARKE_AGENTS:
            raise ValueError(
                f"at most {CLARKE_AGENTS:,} agents with clarke, one number each; got {self.population.size:,}; leave clarke out"
            )
        needs = set(self.payments or ()) & {"expected_externality", "posted_expectation"}
        if needs and self.prior is None:
            raise ValueError(f"a [prior] with low and high, since {' and '.join(sorted(needs))} takes an expectation over types")
        if self.types is not None and self.prior is not None:
            for k, value in enumerate(self.types):
                if not self.prior.low <= value <= self.prior.high:
                    raise ValueError(f"every type within the prior [{self.prior.low}, {self.prior.high}]; got types[{k}] = {value}")
        return self


def table_of(annotation: object) -> type[BaseModel] | None:
    """The table that a key holds, optional or not; ``None`` for a plain value."""
    candidates = (annotation, *get_args(annotation))
    return next((part for part in candidates if isinstance(part, type) and issubclass(part, BaseModel)), None)


Scenario = DispatchScenario | TargetScenario
KINDS: dict[str, type[DispatchScenario] | type[TargetScenario]] = {"dispatch": DispatchScenario, "target": TargetScenario}
