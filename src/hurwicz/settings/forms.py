"""Forms that a mechanism may declare, in data that an auditor can check: from the form truthfulness follows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from hurwicz._foundation import InputError
from hurwicz.settings.direct import DirectMechanism, Outcomes

PIVOTS = ("", "Clarke", "leave-one-out")
Offers: TypeAlias = Callable[
    [str, Mapping[str, NDArray[Any]]], tuple[Float64[np.ndarray, "batch offers *action"], Float64[np.ndarray, "batch offers"]]
]


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


@dataclass(frozen=True)
class Menu:
    """Every agent gets what is best for it among offers that do not depend on its own report: the taxation principle.

    u_i(theta) = max_k v_i(x_k; theta_i) - t_k over the offers (x_k, t_k) that the others' reports make to i, whatever those are. A
    mechanism that has it as its member ``form`` is DSIC.

    Attributes:
        offers: an agent, the others' reports (agent name → a batch) → what it may have and at which price: allocations with the batch and
            the offers as leading axes, and payments, shape (batch, offers); a batch of one where there are no others. An offer may be
            written in another way than the mechanism's outcome, as long as it is worth as much to every type.
        voluntary: whether one of the offers is worth 0 to every type: then nobody loses by taking part.
        paying: whether every offer has a price of at least 0, as outcomes state it: then the mechanism never pays out.

    Example:
        >>> def at_the_other_bid(agent, others):  # nothing, or the item at the price of the other's report
        ...     (price,) = others.values()
        ...     nothing = np.zeros_like(price)
        ...     return np.stack([nothing, nothing + 1.0], axis=1), np.stack([nothing, price], axis=1)
        >>> Menu(at_the_other_bid).voluntary
        True

    Source:
        P. Hammond, "Straightforward individual incentive compatibility in large economies", Review of Economic Studies 46 (1979);
        R. Guesnerie, "On taxation and incentives" (1981).
    """

    offers: Offers
    voluntary: bool = True
    paying: bool = True


@dataclass(frozen=True)
class Lottery:
    """A draw among mechanisms that does not depend on the reports; values and payments are expectations over it.

    v_i(x(r); theta_i) = sum_k p_k v_i(x^k(r); theta_i),  t_i(r) = sum_k p_k t_i^k(r)

    What is true of each of them at every profile (the truth is dominant, nobody loses by taking part, no deficit) is true of the draw once
    it is known, and so in expectation: such a mechanism is *universally* truthful.

    Attributes:
        parts: the chance of each mechanism, above 0 and 1 in all, and the mechanism: for the same agents and types.

    Raises:
        InputError: no parts, or chances that are none.

    Example:
        >>> from hurwicz.mechanisms import make
        >>> Lottery([(0.25, make("first_price", 2)), (0.75, make("second_price", 2))]).parts[1][0]
        0.75

    Source:
        N. Nisan and A. Ronen, "Algorithmic mechanism design", Games and Economic Behavior 35 (2001), section 5.
    """

    parts: Sequence[tuple[float, DirectMechanism]]

    def __post_init__(self) -> None:
        """Refuse chances that are none."""
        chances = [float(chance) for chance, _ in self.parts]
        if not chances or not all(0.0 < chance <= 1.0 for chance in chances) or abs(sum(chances) - 1.0) > 1e-9:
            raise InputError(f"Lottery: expected chances above 0 that sum to 1, got {chances}")
