"""Types that depend on one another: a probability for each profile of a finite list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64, Shaped
from numpy.typing import ArrayLike, NDArray

from hurwicz._foundation import FloatArray, InputError, float64_array
from hurwicz.typespaces.priors import FinitePrior
from hurwicz.typespaces.spaces import TypeSpace


class CorrelatedPrior:
    """A joint probability mass function over finitely many profiles of types.

    P(theta = profile k) = probabilities[k]; an agent of type t believes P(theta_-i = . | theta_i = t).

    Args:
        profiles: agent name → its type in each profile, all of one length.
        probabilities: one a profile, not negative, summing to 1.

    Raises:
        InputError: no agents, profiles of different lengths, or probabilities that are no distribution.

    Example:
        >>> prior = CorrelatedPrior({"a": [0.0, 0.0, 1.0, 1.0], "b": [0.0, 1.0, 0.0, 1.0]}, [0.4, 0.1, 0.1, 0.4])
        >>> others, weights = prior.conditional("a", 1.0)
        >>> others["b"].tolist(), weights.tolist()
        ([0.0, 1.0], [0.2, 0.8])
    """

    def __init__(self, profiles: Mapping[str, ArrayLike], probabilities: ArrayLike) -> None:
        if not profiles:
            raise InputError("CorrelatedPrior: expected at least one agent, got none")
        weights = float64_array(probabilities, "CorrelatedPrior probabilities", shape=(None,))
        self.profiles: dict[str, Shaped[NDArray[Any], "profiles ..."]] = {name: np.asarray(types) for name, types in profiles.items()}
        wrong = {name: len(types) for name, types in self.profiles.items() if len(types) != len(weights)}
        if wrong or not len(weights):
            raise InputError(f"CorrelatedPrior: expected a type for each of {len(weights)} profiles, got {wrong or 'none'}")
        if bool(np.any(weights < 0.0)) or abs(float(weights.sum()) - 1.0) > 1e-9:
            raise InputError(f"CorrelatedPrior: expected probabilities >= 0 that sum to 1, got a sum of {weights.sum():.9g}")
        self.probabilities: Float64[FloatArray, "profiles"] = weights / weights.sum()

    @property
    def agents(self) -> tuple[str, ...]:
        """Names, in order."""
        return tuple(self.profiles)

    @property
    def spaces(self) -> dict[str, TypeSpace]:
        """Agent name → the types that it may have."""
        return {name: self.marginal(name).space for name in self.agents}

    @property
    def mean(self) -> dict[str, Any]:
        """Agent name → E[theta_i]."""
        return {name: np.tensordot(self.probabilities, types, axes=1) for name, types in self.profiles.items()}

    @property
    def finite(self) -> bool:
        """True: expectations are exact sums."""
        return True

    def marginal(self, agent: str) -> FinitePrior:
        """The distribution of one agent's own type."""
        values, which = np.unique(self.profiles[agent], axis=0, return_inverse=True)
        return FinitePrior(values, np.bincount(which.ravel(), weights=self.probabilities))

    def sample(self, rng: np.random.Generator, size: int) -> dict[str, Shaped[NDArray[Any], "{size} ..."]]:
        """``size`` profiles: agent name → array with leading axis ``size``."""
        rows = rng.choice(len(self.probabilities), size=size, p=self.probabilities)
        return {name: types[rows] for name, types in self.profiles.items()}

    def node_count(self, order: int, *, without: Sequence[str] | str = ()) -> int:
        """How many profiles :meth:`quadrature` gives."""
        del order, without
        return len(self.probabilities)

    def quadrature(
        self, order: int, *, without: Sequence[str] | str = ()
    ) -> tuple[dict[str, Shaped[NDArray[Any], "profiles ..."]], Float64[FloatArray, "profiles"]]:
        """All profiles, less the agents in ``without``, with their probabilities: exact, whatever ``order`` is."""
        del order
        skip = {without} if isinstance(without, str) else set(without)
        return {name: types for name, types in self.profiles.items() if name not in skip}, self.probabilities

    def conditional(self, agent: str, own: Any) -> tuple[dict[str, Shaped[NDArray[Any], "profiles ..."]], Float64[FloatArray, "profiles"]]:
        """What ``agent`` of type ``own`` believes of the others: profiles and weights.

        Raises:
            InputError: a type of probability zero.
        """
        types = self.profiles[agent]
        here = np.all((types == np.asarray(own)).reshape(len(types), -1), axis=1) & (self.probabilities > 0.0)
        if not bool(here.any()):
            raise InputError(f"CorrelatedPrior: expected a type of {agent!r} that has positive probability, got {own!r}")
        weights = self.probabilities[here]
        return {name: values[here] for name, values in self.profiles.items() if name != agent}, weights / weights.sum()
