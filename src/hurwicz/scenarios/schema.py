"""What a scenario file may say: every key, its type, its default and its meaning."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, Field, ValidationInfo, field_validator, model_validator

from hurwicz.scenarios.keys import Finite, Positive, Table, beside
from hurwicz.scenarios.mean_field.schema import BatchedAuctionScenario, BeachBarScenario
from hurwicz.settings import BEYOND_ONE_LIAR, CORE_PROPERTIES, PROPERTIES

Rule = Literal["linear", "own_path", "clarke", "expected_externality"]


class Prior(Table):
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


class Audit(Table):
    """How hard the auditor looks at a grid, where every report that it tries is a dispatch of its own."""

    enabled: bool = Field(True, description="audit every payment rule that was asked for")
    seconds: Positive = Field(1.0, description="time for each property of each rule; what was searched by then is stated")
    profiles: int = Field(2, ge=0, description="profiles of types drawn from the prior, beside the true one")
    deviations: int = Field(9, ge=1, description="misreports tried for each generator and profile, beside scaled ones")
    most_seconds: Positive = Field(20.0, description="time after which a property of a rule is given up without a verdict, with a note")


class DispatchScenario(Table):
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


class TypePrior(Table):
    """What is commonly believed of an agent's cost coefficient before it speaks: uniform on an interval."""

    low: Positive = Field(description="least cost coefficient lambda that an agent may have")
    high: Positive = Field(description="greatest cost coefficient lambda that an agent may have")

    @model_validator(mode="after")
    def _ordered(self) -> TypePrior:
        if not self.low < self.high:
            raise ValueError(f"an interval with low < high; got [{self.low}, {self.high}]")
        return self


class Population(Table):
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


class TargetScenario(Table):
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


class MechanismTable(Table):
    """A mechanism by name or from a file, with who takes part and what is believed of them."""

    mechanism: str = Field(description="a name that `hurwicz audit --list` shows, or FILE.py:FUNCTION, relative to this scenario")
    agents: int | list[str] | None = Field(None, description="how many take part, or their names; two if left out")
    prior: str | list[str] = Field(
        "uniform",
        description="prior of every agent's type (uniform, uniform:0,2, normal:.., finite:1,2,3, FILE.csv), or one for each agent",
    )
    grid: int | None = Field(None, ge=1, le=10_000, description="audit finitely many types: so many cells of the prior, by their middles")
    options: dict[str, Any] = Field(default_factory=dict, description="the mechanism's own options, such as reserve = 0.5")
    seed: int = Field(0, ge=0, description="seed of every random draw")

    @field_validator("agents")
    @classmethod
    def _somebody(cls, agents: int | list[str] | None) -> int | list[str] | None:
        if agents == [] or (isinstance(agents, int) and agents < 1):
            raise ValueError(f"at least one agent; got {agents}")
        if isinstance(agents, list) and not all(name.strip() for name in agents):
            raise ValueError(f"names that are not empty; got {agents}")
        return agents

    @field_validator("mechanism")
    @classmethod
    def _found(cls, mechanism: str, info: ValidationInfo) -> str:
        """A file is meant relative to the scenario's own folder."""
        return beside(mechanism, info.context) if ".py" in mechanism else mechanism

    @field_validator("prior")
    @classmethod
    def _priors_found(cls, prior: str | list[str], info: ValidationInfo) -> str | list[str]:
        """The same for files of past types."""
        if isinstance(prior, list):
            return [beside(text, info.context) if text.endswith(".csv") else text for text in prior]
        return beside(prior, info.context) if prior.endswith(".csv") else prior


PROPERTY_GROUPS = {"core": CORE_PROPERTIES, "beyond_one_liar": BEYOND_ONE_LIAR, "all": PROPERTIES}
"""Names for many properties at once."""


class AuditScenario(MechanismTable):
    """Audit a mechanism of the library or of one's own, property by property."""

    kind: Literal["audit"] = Field("audit", description='"audit"')
    properties: list[str] | None = Field(None, description="what to audit, such as DSIC, or all, core, beyond_one_liar; core if left out")
    effort: Literal["quick", "standard", "thorough"] = Field("quick", description="how hard the auditor looks")
    executor: Literal["serial", "threads", "processes", "dask"] | None = Field(
        None, description="who looks at the properties; threads for the library's mechanisms and serial for a file of one's own if left out"
    )
    workers: int | None = Field(None, ge=1, description="how many threads or processes; as many as cores if left out")
    checkpoint: str | None = Field(None, description="a file that keeps each finding as it is made; the same audit goes on from it")
    revenue_bound: float | None = Field(
        None, allow_inf_nan=False, description="the most that any mechanism of the class can earn: more at truthful reports is an alarm"
    )
    equilibrium: bool = Field(True, description="where the truth is no equilibrium, compute the Bayes–Nash equilibrium of the bids")
    equilibrium_seconds: Positive = Field(10.0, description="time that the search for it may take; a note says where it was too short")

    @field_validator("properties")
    @classmethod
    def _known(cls, properties: list[str] | None) -> list[str] | None:
        if properties is None:
            return None
        found = [name for asked in properties for name in PROPERTY_GROUPS.get(asked, (asked,))]
        wrong = [name for name in found if name not in PROPERTIES]
        if wrong or not found:
            near = difflib.get_close_matches(wrong[0], PROPERTIES, n=1) if wrong else []
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise ValueError(f"properties among {', '.join([*PROPERTIES, *PROPERTY_GROUPS])}; got {wrong or properties}{hint}")
        return list(dict.fromkeys(found))


class EquilibriumScenario(MechanismTable):
    """Find the Bayes–Nash equilibrium of the bids that a mechanism induces."""

    kind: Literal["equilibrium"] = Field("equilibrium", description='"equilibrium"')
    tolerance: Positive = Field(1e-4, description="largest gain of any type from another bid, as a share of the range of bids")
    seconds: Positive = Field(300.0, description="time that the search may take (exit code 3 where it was too short)")
    bid_range: list[float] | None = Field(
        None,
        min_length=2,
        max_length=2,
        description="least and greatest bid; that of the types if left out, and more where bidders press on it",
    )


AuctionRule = Literal["vcg", "core", "pay_as_bid"]


class BundleBid(Table):
    """A price for a bundle: all of it or nothing."""

    bidder: str = Field(min_length=1, description="who bids")
    goods: list[str] = Field(min_length=1, description="the bundle; a good named twice is two units")
    price: float = Field(ge=0, allow_inf_nan=False, description="what is bid for it")


class AuctionScenario(Table):
    """Clear a combinatorial auction: who wins which bundles, and what each pays."""

    kind: Literal["auction"] = Field(description='"auction"')
    file: str | None = Field(
        None, description="a CATS file (.txt), relative to this scenario, or a packaged auction (hurwicz info lists them)"
    )
    bad_prices: Literal["error", "drop"] = Field("error", description="what to do with bids of the file whose price is no number")
    bids: list[BundleBid] | None = Field(None, min_length=1, description="the bids themselves, instead of a file")
    goods: list[str] | None = Field(None, description="what is for sale, a good named twice is two units; all goods bid on if left out")
    language: Literal["xor", "or"] = Field("xor", description="a bidder may win one of its bids, or any that do not overlap")
    payments: list[AuctionRule] = Field(default=["vcg"], min_length=1, description="rules by which the winners pay, each computed")
    solver: Literal["branch_and_cut", "highs", "cp_sat"] = Field("branch_and_cut", description="who determines the winners")
    seconds: Positive = Field(300.0, description="time for each rule; the best assignment and its bound are kept (exit code 3)")

    @field_validator("file")
    @classmethod
    def _resolved(cls, file: str | None, info: ValidationInfo) -> str | None:
        return beside(file, info.context) if file is not None and file.endswith(".txt") else file

    @model_validator(mode="after")
    def _complete(self) -> AuctionScenario:
        if (self.file is None) == (self.bids is None):
            raise ValueError("either a file or bids, not both and not neither")
        unused = sorted({"goods", "language"} & self.model_fields_set) if self.bids is None else []
        unused += ["bad_prices"] if self.bids is not None and "bad_prices" in self.model_fields_set else []
        if unused:
            raise ValueError(f"no {' or '.join(unused)} beside {'bids' if self.bids is not None else 'a file, which says it'}")
        if len(set(self.payments)) != len(self.payments):
            raise ValueError(f"each rule of payments at most once; got {self.payments}")
        for number, bid in enumerate(self.bids or (), start=1):
            _for_sale(number, bid, self.goods)
        return self


def _for_sale(number: int, bid: BundleBid, goods: list[str] | None) -> None:
    """Refuse a bid on what is not there: it would silently win nothing."""
    wanted = f"what bid {number} ({bid.bidder} on {', '.join(bid.goods)} at {bid.price:g}) names to be for sale"
    for good in dict.fromkeys(bid.goods):
        units, asked = 1 if goods is None else goods.count(good), bid.goods.count(good)
        if not units:
            near = difflib.get_close_matches(good, goods or [], n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"for sale are {', '.join(sorted(set(goods or ()))) or 'no goods'}"
            raise ValueError(f"{wanted}; got {good!r}, {hint}")
        if asked > units:
            remedy = "name it under goods once for each unit" if goods is None else "put more under goods, or take it out of the bid"
            raise ValueError(f"{wanted}; got {asked} units of {good!r}, of which there {'is' if units == 1 else 'are'} {units}: {remedy}")


def table_of(annotation: object) -> type[BaseModel] | None:
    """The table that a key holds, one or a list of them, optional or not; ``None`` for a plain value."""
    parts = get_args(annotation)
    candidates = (annotation, *parts, *(inner for part in parts for inner in get_args(part)))
    return next((part for part in candidates if isinstance(part, type) and issubclass(part, BaseModel)), None)


Scenario = (
    AuctionScenario | AuditScenario | BatchedAuctionScenario | BeachBarScenario | DispatchScenario | EquilibriumScenario | TargetScenario
)
KINDS: dict[str, type[Scenario]] = {
    "auction": AuctionScenario,
    "audit": AuditScenario,
    "batched_auction": BatchedAuctionScenario,
    "beach_bar": BeachBarScenario,
    "dispatch": DispatchScenario,
    "equilibrium": EquilibriumScenario,
    "target": TargetScenario,
}
