"""Forms that a mechanism may declare, in data that an auditor can check: from the form truthfulness follows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import InputError
from hurwicz.settings.direct import Outcomes


@dataclass(frozen=True)
class AffineMaximiser:
    """The outcome maximises A = sum_i w_i v_i + boost over a set that does not depend on the reports, and payments are of Groves' form.

    t_i = h_i(theta_-i) - (1/w_i) (sum_{j != i} w_j v_j(x*) + boost(x*)). With all weights 1 and the planner's own value as the boost (or
    none) this is Groves' family: Clarke, VCG. A mechanism that has it as its member ``form`` is DSIC.

    Attributes:
        weights: agent name → w_i, above 0.
        boost: a batch of outcomes → what the planner adds for each; none if omitted.

    Raises:
        InputError: a weight that is not a finite number above 0.

    Example:
        >>> AffineMaximiser({"a": 1.0, "b": 2.0}).weights["b"]
        2.0

    Source:
        T. Groves, Econometrica 41 (1973); K. Roberts, "The characterization of implementable choice rules" (1979).
    """

    weights: Mapping[str, float]
    boost: Callable[[Outcomes], Float64[np.ndarray, " batch"]] | None = None

    def __post_init__(self) -> None:
        """Refuse weights that are none."""
        wrong = {name: w for name, w in self.weights.items() if not (np.isfinite(w) and w > 0.0)}
        if wrong or not self.weights:
            raise InputError(f"AffineMaximiser: expected a finite weight above 0 for every agent, got {wrong or 'no agents'}")
