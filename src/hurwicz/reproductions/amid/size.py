"""How long the runs of settings are, and what is said of several seeds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import InputError

Say = Callable[[str], None]


@dataclass(frozen=True)
class Size:
    """How long the runs are.

    Attributes:
        grid: values and bids.
        long_grid: values and bids of A8, whose horizon makes every step dear. The drift must not be narrower than the step of the grid: the
            least value but one rises with chance .22 a round on 50 values, and with 6e-4 on 20, where it is another game.
        rounds: of A8, 100 in the literature; the other settings keep theirs.
        seeds: independent searches.
        steps: gradients a search.
        learning_rate: of Adam at the first step, on logits; it falls along a cosine.
        network_rate: the same for A3's network, over its width: every one of so many hidden numbers moves every logit.
        network_softness: as ``softness`` below, for A3's network.
        network_entropy: at the first step of A3's search, over the setting's own; it falls to that. Above 1, with a softness near .05,
            the search crosses the steps between two prices: it gains far more, or ends below the posted prices, as the seed will have it.
        softness: of the posted prices that searches begin at: the smaller, the nearer the start, and the slower it is left. A coarse grid
            allows for more of it.
        noise: standard deviation of what is added to the start, on logits, so that seeds differ.
        markets: that A3's rule is trained on, drawn anew for every seed.
        held_out: markets that it is then tried on.
        width: of A3's network.
        perturbations: of A10's planned sale that its search tries.
    """

    grid: int = 100
    long_grid: int = 50
    rounds: int = 100
    seeds: int = 5
    steps: int = 150
    learning_rate: float = 0.1
    network_rate: float = 0.32
    network_softness: float = 1e-3
    network_entropy: float = 1.0
    softness: float = 1e-4
    noise: float = 0.01
    markets: int = 16
    held_out: int = 64
    width: int = 256
    perturbations: int = 600

    def __post_init__(self) -> None:
        """Refuse runs of no length."""
        counts = (self.grid - 1, self.rounds, self.seeds, self.steps, self.markets, self.held_out, self.width, self.perturbations)
        if min(counts) < 1 or not (min(self.learning_rate, self.network_rate, self.network_entropy) > 0.0 and self.noise >= 0.0):
            raise InputError(f"long runs: expected counts >= 1, a grid >= 2, rates and an entropy > 0 and a noise >= 0, got {self}")


SMALL = Size(grid=20, rounds=20, seeds=5, steps=25, markets=6, held_out=12, width=32, softness=1e-3)
"""About forty minutes of one core."""


def spread(values: Float64[np.ndarray, " seeds"]) -> float:
    """Standard deviation over seeds; 0 for one."""
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0
