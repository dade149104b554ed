"""A mean-field game with its rules fixed, and what is kept of a search for its equilibrium."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from hurwicz.meanfield import MeanFieldGame
from hurwicz.meanfield.game import weight_of_entropy


@dataclass(frozen=True, eq=False)
class MeanFieldProblem:
    """Find pi with E^tau(pi | theta) = 0.

    Args:
        game: the game.
        theta: its rules; whatever the game takes.
        tau: weight of the entropy, in units of reward; 0 for the game itself.

    Raises:
        InputError: a tau that is no number, negative or infinite.

    Example:
        >>> from hurwicz.meanfield import left_right
        >>> MeanFieldProblem(left_right()).tau
        0.0
    """

    game: MeanFieldGame
    theta: Any = None
    tau: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a weight that has no meaning."""
        weight_of_entropy(self.tau, self.game.name)


@dataclass(frozen=True)
class MeanFieldEquilibrium:
    """A policy, the flow that it makes, and how far it is from an equilibrium.

    Attributes:
        policy: pi_h(a | s), (horizon, states, actions).
        flow: L_h(s, a) of the policy.
        exploitability: E^tau(pi | theta), in units of reward; of this policy, not of an average.
        tau: the weight of the entropy.
        found_by: the iteration whose policy it is.
        diverged: one sentence for each iteration that diverged on the way: which, after how many steps, and why.
    """

    policy: Float64[np.ndarray, "horizon states actions"]
    flow: Float64[np.ndarray, "horizon states actions"]
    exploitability: float
    tau: float
    found_by: str = ""
    diverged: tuple[str, ...] = ()
