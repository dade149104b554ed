"""Forms that a mechanism may declare, in data that an auditor can check: from the form truthfulness follows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import InputError
from hurwicz.settings.direct import Outcomes

PIVOTS = ("", "Clarke", "leave-one-out")


@dataclass(frozen=True)
class AffineMaximiser:
    """The outcome maximises A = sum_i w_i v_i + boost over a set that does not depend on the reports, and payments are of Groves' form.

    t_i = h_i(theta_-i) - (1/w_i) (sum_{j != i} w_j v_j(x*) + boost(x*)). With all weights 1 and the planner's own value as the boost (or
    none) this is Groves' family: Clarke, VCG. A mechanism that has it as its member ``form`` is DSIC.

    Two ways of choosing h_i have theorems of their own:

    - ``"Clarke"``: w_i h_i is the largest sum_{j != i} w_j v_j + boost of **all** outcomes. Then t_i >= 0, so the mechanism never pays out
      on balance, and where i's value is at least 0 at the outcome that is best for the others, i does not lose by taking part.
    - ``"leave-one-out"``: the same maximum over the outcomes in which **i takes no part**, where it is worth 0 to i. Then i does not lose.

    Attributes:
        weights: agent name → w_i, above 0.
        boost: a batch of outcomes → what the planner adds for each; none if omitted.
        pivot: ``"Clarke"``, ``"leave-one-out"``, or empty for another h_i.

    Raises:
        InputError: a weight that is not a finite number above 0, an unknown pivot.

    Example:
        >>> AffineMaximiser({"a": 1.0, "b": 2.0}).weights["b"]
        2.0

    Source:
        T. Groves, Econometrica 41 (1973); E. Clarke, "Multipart pricing of public goods", Public Choice 11 (1971); K. Roberts, "The
        characterization of implementable choice rules" (1979).
    """

    weights: Mapping[str, float]
    boost: Callable[[Outcomes], Float64[np.ndarray, " batch"]] | None = None
    pivot: str = ""

    def __post_init__(self) -> None:
        """Refuse weights that are none."""
        wrong = {name: w for name, w in self.weights.items() if not (np.isfinite(w) and w > 0.0)}
        if wrong or not self.weights:
            raise InputError(f"AffineMaximiser: expected a finite weight above 0 for every agent, got {wrong or 'no agents'}")
        if self.pivot not in PIVOTS:
            raise InputError(f"AffineMaximiser: expected a pivot among {list(PIVOTS)}, got {self.pivot!r}")


@dataclass(frozen=True)
class PaymentIdentity:
    """One number each: what an agent gets never falls in its report, and its payment is the one that Myerson's lemma asks for.

    y = side x does not fall in the report r, whatever the others report, and t(r) = t(r_0) + r y(r) - r_0 y(r_0) - integral of y from r_0
    to r. A mechanism that has it as its member ``form`` is DSIC.

    Attributes:
        voluntary: whether the type that gets the least out of it (the lowest who receives, the highest who gives) ends at 0 or above,
            whatever the others report. Then nobody loses by taking part.
        paying: whether whoever reports the lowest type pays at least 0. Where all receive and types are at least 0, everybody then does.

    Example:
        >>> PaymentIdentity().voluntary
        True

    Source:
        R. Myerson, "Optimal auction design", Mathematics of Operations Research 6 (1981), Lemma 2.
    """

    voluntary: bool = True
    paying: bool = True
