"""What a planner and an agent say to one another: an offer one way, an action the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray


@dataclass(frozen=True)
class Offer:
    """A price schedule put to one agent.

    The agent answers with the action x in X_i that minimises its private

        C_i(x; theta_i) - price · x + weight / 2 · |x - anchor|²,

    or, where ``step`` is given, with one own projected gradient step from the anchor,
    P_X(anchor + step · (price - grad C_i(anchor))).

    Attributes:
        price: money per unit of action, the action's shape; minus the system loss's gradient.
        anchor: the action that the planner has in mind; needed when ``weight`` or ``step`` is set.
        weight: rho >= 0 of the proximal term; 0 is a plain linear price.
        step: eta > 0 asks for a gradient step instead of a best response.
    """

    price: Any
    anchor: Any = None
    weight: Any = 0.0
    step: float | None = None

    def __post_init__(self) -> None:
        # Whatever came (a float, a list, an array of another library), an agent gets float64 arrays.
        object.__setattr__(self, "price", np.asarray(self.price, dtype=np.float64))
        if self.anchor is not None:
            object.__setattr__(self, "anchor", np.asarray(self.anchor, dtype=np.float64))


@runtime_checkable
class Respondent(Protocol):
    """All that a planner can see of an agent: its name, the shape of its action, and its answers."""

    @property
    def name(self) -> str:
        """Unique within a problem."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the action."""
        ...

    def respond(self, offer: Offer, inputs: Mapping[str, Float64[FloatArray, "..."]]) -> Float64[FloatArray, "*action"]:
        """The agent's action. ``inputs`` are the values of the graph nodes that feed it (empty for a source agent)."""
        ...


@dataclass(frozen=True)
class Transcript:
    """Every offer and answer of a run, in order: what the agents revealed, and all that the planner knew."""

    rounds: list[dict[str, tuple[Offer, Float64[FloatArray, "*action"]]]] = field(default_factory=list)
