"""Keys of the scenarios whose rules are learned."""

from __future__ import annotations

import difflib
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from hurwicz.scenarios.keys import Finite, Positive, Table

SETTINGS = tuple(f"A{k}" for k in range(1, 11))
"""The settings of Corecco et al. (arXiv 2510.21442) by name."""
Bounded = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Designed(Table):
    """What every scenario with learned rules may say of the learning."""

    tau: Positive | None = Field(
        None, description="weight of the entropy in the equilibrium, in units of reward; the problem's own if left out"
    )
    differentiate: Literal["unrolled", "checkpointed", "implicit"] = Field(
        "checkpointed", description="how the derivative goes through the equilibrium: all iterates kept, every sqrt(T)-th, or the last one"
    )
    steps: int = Field(200, ge=1, description="steps of the designer")
    seeds: list[Annotated[int, Field(ge=0, lt=2**32)]] = Field(
        default=[0], min_length=1, description="seeds; the rules are learned once for each"
    )
    learning_rate: Positive | None = Field(None, description="first rate of Adam, which falls along a cosine; the family's own if left out")
    tau_start: Positive | None = Field(None, description="weight of the entropy at the first step, falling to tau halfway; tau if left out")
    smoothing: Annotated[float, Field(ge=0, le=1e3, allow_inf_nan=False)] = Field(
        0.0, description="the gradient is averaged over random rules as near as this; 0 for the gradient itself"
    )
    iterations: int | None = Field(None, ge=1, description="mirror descent steps T to the equilibrium; the problem's own if left out")
    mirror_rate: Positive | None = Field(None, description="rate eta of mirror descent, at most 1/tau; the problem's own if left out")

    @field_validator("seeds")
    @classmethod
    def _once(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) != len(seeds):
            raise ValueError(f"each seed at most once; got {seeds}")
        return seeds

    @model_validator(mode="after")
    def _contracting(self) -> Designed:
        if self.mirror_rate is not None and self.tau is not None and self.mirror_rate > 1.0 / self.tau:
            raise ValueError(f"mirror_rate at most 1/tau = {1.0 / self.tau:g}; got {self.mirror_rate:g}")
        return self


class Drift(Table):
    """How values move from round to round: to v' with a chance in proportion to exp(-(factor v - v')² / (2 sigma²))."""

    factor: Positive = Field(description="by which a value is multiplied, in the middle")
    sigma: Positive = Field(description="standard deviation, in units of value")


class AuctionTable(Table):
    """A batched auction of one's own, where no setting is named."""

    rounds: int = Field(ge=1, description="rounds H")
    supply: Positive = Field(description="goods per head of the population")
    ratio: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = Field(
        1.0, description="by which the share of a value falls per hundredth of value; 1 is uniform"
    )
    drift: Drift | None = Field(None, description="how values move; they stay if left out")
    re_entry: Share = Field(0.0, description="chance a round that who is out comes back, with a fresh value")
    aversion: Finite = Field(0.0, description="constant absolute risk aversion of the bidders; below 0 they seek risk")
    impatience: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        0.0, description="k of the hyperbolic discount 1 / (1 + k h) of gains in round h"
    )


class ObjectiveWeights(Table):
    """What the designer is after: a weight for each part."""

    revenue: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(0.0, description="weight of the money collected, per head")
    welfare: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(0.0, description="weight of the values of who is served, per head")

    @model_validator(mode="after")
    def _something(self) -> ObjectiveWeights:
        if self.revenue + self.welfare <= 0.0:
            raise ValueError("a weight above 0 for revenue or for welfare; got none")
        return self


class BatchedAuctionScenario(Designed):
    """Learn what a sequential auction for a large population sells each round, and what winners pay."""

    kind: Literal["batched_auction"] = Field("batched_auction", description='"batched_auction"')
    setting: str | None = Field(None, description="a setting of the paper, A1 to A10; or give [auction]")
    auction: AuctionTable | None = Field(None, description="an auction of one's own instead of a setting")
    grid: int | None = Field(None, ge=4, le=2000, description="values and bids are 0, 1/grid, ..; the setting's own (100) if left out")
    rule: Literal["table", "network", "reserve", "posted"] = Field("table", description="what is learned: the family of rules")
    start: Literal["best", "posted", "reserve", "first_price", "random"] = Field(
        "best",
        description="what learning starts from: the best simple rule found, the best posted prices or reserves, first price, or chance",
    )
    players: list[Annotated[int, Field(ge=2, le=1_000_000)]] = Field(
        default=[10, 100, 1000], description="sizes N of populations among which the auditor looks for gains from deviating; [] for none"
    )
    evaluations: int = Field(100, ge=1, description="equilibria that each search for a simple rule may compute")
    width: int = Field(256, ge=1, le=4096, description="width of the network (rule = network)")
    objective: ObjectiveWeights | None = Field(None, description="what to make large; the setting's own, else revenue")

    @field_validator("setting")
    @classmethod
    def _known(cls, setting: str | None) -> str | None:
        if setting is not None and setting not in SETTINGS:
            near = difflib.get_close_matches(setting.upper(), SETTINGS, n=1)
            raise ValueError(f"a setting among {', '.join(SETTINGS)}; got {setting!r}{f' (did you mean {near[0]}?)' if near else ''}")
        return setting

    @model_validator(mode="after")
    def _complete(self) -> BatchedAuctionScenario:
        if (self.setting is None) == (self.auction is None):
            raise ValueError("either a setting (A1 to A10) or an [auction], not both and not neither")
        if self.rule == "posted" and self.start == "first_price":
            raise ValueError('no start = "first_price" beside rule = "posted": first price posts no price; got both')
        if "width" in self.model_fields_set and self.rule != "network":
            raise ValueError(f'no width beside rule = "{self.rule}": only the network has one')
        idle = sorted({"differentiate", "smoothing", "tau_start"} & self.model_fields_set)
        if idle and self.rule in {"reserve", "posted"}:
            raise ValueError(
                f'no {" or ".join(idle)} beside rule = "{self.rule}": a threshold has no derivative, and is searched by values'
            )
        return self


class BeachBarScenario(Designed):
    """Learn the tolls that spread a crowd along a beach."""

    kind: Literal["beach_bar"] = Field("beach_bar", description='"beach_bar"')
    places: int = Field(10, ge=3, le=1000, description="places along the beach; the bar is in the middle")
    rounds: int = Field(10, ge=1, description="rounds H")
    price_cap: Bounded = Field(2.0, description="the greatest toll of a place, in units of reward")
    sharpness: Bounded = Field(20.0, description="how much of the congestion is that of the most crowded places")
