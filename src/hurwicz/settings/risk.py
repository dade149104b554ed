"""Attitudes to risk: von Neumann–Morgenstern utilities over wealth, and mechanisms seen through them."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from hurwicz._foundation import InputError, float64_array
from hurwicz.settings.direct import BatchedDirectMechanism, Outcome, Outcomes
from hurwicz.typespaces import TypeSpace


class RiskAttitude(abc.ABC):
    """An increasing utility of wealth, u(w)."""

    @abc.abstractmethod
    def utility(self, wealth: Float64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
        """u(w), elementwise."""

    @abc.abstractmethod
    def wealth(self, utility: Float64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
        """The wealth that gives ``utility``: the inverse of u, elementwise."""

    def expected(self, wealths: Float64[np.ndarray, " draws"], probabilities: Float64[np.ndarray, " draws"]) -> float:
        """E[u(w)] of a lottery over wealth.

        Raises:
            InputError: probabilities that are negative or do not sum to 1.
        """
        weights = float64_array(probabilities, "probabilities", shape=np.shape(wealths))
        if bool(np.any(weights < 0.0)) or abs(float(weights.sum()) - 1.0) > 1e-9:
            raise InputError(f"lottery: expected probabilities >= 0 that sum to 1, got {weights.tolist()}")
        return float(weights @ self.utility(float64_array(wealths, "wealths")))

    def certainty_equivalent(self, wealths: Float64[np.ndarray, " draws"], probabilities: Float64[np.ndarray, " draws"]) -> float:
        """The sure wealth that is as good as the lottery, u^-1(E[u(w)])."""
        return float(self.wealth(np.asarray([self.expected(wealths, probabilities)]))[0])


@dataclass(frozen=True)
class RiskNeutral(RiskAttitude):
    """u(w) = w.

    Example:
        >>> RiskNeutral().certainty_equivalent(np.array([0.0, 1.0]), np.array([0.5, 0.5]))
        0.5
    """

    def utility(self, wealth: Float64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
        """The wealth itself."""
        return np.asarray(wealth, dtype=np.float64)

    def wealth(self, utility: Float64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
        """The utility itself."""
        return np.asarray(utility, dtype=np.float64)


@dataclass(frozen=True)
class CARA(RiskAttitude):
    """Constant absolute risk aversion: u(w) = (1 - exp(-a w)) / a; -u''/u' = a.

    Args:
        aversion: a, per unit of money; positive shuns risk, negative seeks it, zero is neutral.

    Raises:
        InputError: not finite.

    Example:
        >>> attitude = CARA(1.0)
        >>> wealths, odds = np.array([0.0, 1.0]), np.array([0.5, 0.5])
        >>> round(attitude.certainty_equivalent(wealths, odds), 6)  # -log((1 + 1/e) / 2)
        0.379885

    Source: Pratt (1964), "Risk aversion in the small and in the large".
    """

    aversion: float

    def __post_init__(self) -> None:
        """Refuse what is no number."""
        if not np.isfinite(self.aversion):
            raise InputError(f"CARA: expected a finite aversion, got {self.aversion}")

    def utility(self, wealth: Float64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
        """(1 - exp(-a w)) / a."""
        w = np.asarray(wealth, dtype=np.float64)
        return w if self.aversion == 0.0 else np.asarray(-np.expm1(-self.aversion * w) / self.aversion)

    def wealth(self, utility: Float64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
        """-log(1 - a u) / a."""
        u = np.asarray(utility, dtype=np.float64)
        return u if self.aversion == 0.0 else np.asarray(-np.log1p(-self.aversion * u) / self.aversion)


@dataclass(frozen=True)
class CRRA(RiskAttitude):
    """Constant relative risk aversion: u(w) = ((e + w)^(1-r) - e^(1-r)) / (1-r), the logarithm's difference for r = 1.

    Args:
        aversion: r; 0 is neutral.
        endowment: e, wealth before the mechanism, in money; large enough that e + w stays positive.

    Raises:
        InputError: an aversion that is not finite, an endowment that is not positive, or wealth that falls to zero or below.

    Example:
        >>> attitude = CRRA(1.0, endowment=1.0)
        >>> round(float(attitude.utility(np.array([1.0]))[0]), 6)
        0.693147
        >>> round(attitude.certainty_equivalent(np.array([0.0, 3.0]), np.array([0.5, 0.5])), 6)
        1.0

    Source: Pratt (1964); Arrow (1965).
    """

    aversion: float
    endowment: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if not (np.isfinite(self.aversion) and np.isfinite(self.endowment) and self.endowment > 0.0):
            raise InputError(f"CRRA: expected a finite aversion and an endowment > 0, got {self.aversion} and {self.endowment}")

    def utility(self, wealth: Float64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
        """u(w), zero at w = 0."""
        total = self.endowment + np.asarray(wealth, dtype=np.float64)
        if not bool(np.all(total > 0.0)):
            raise InputError(f"CRRA: expected wealth above zero, got {float(total.min()):.6g}; raise the endowment ({self.endowment})")
        growth = np.log(total / self.endowment)
        power = 1.0 - self.aversion
        return growth if power == 0.0 else np.asarray(self.endowment**power * np.expm1(power * growth) / power)

    def wealth(self, utility: Float64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
        """The inverse of u."""
        u, power = np.asarray(utility, dtype=np.float64), 1.0 - self.aversion
        growth = u if power == 0.0 else np.log1p(power * u / self.endowment**power) / power
        return np.asarray(self.endowment * np.expm1(growth))


class ExpectedUtility:
    """A mechanism, or a lottery over mechanisms, as agents with attitudes to risk see it.

    Utility of agent i at reports r is sum_k P_k u_i(v_i(x^k(r); theta_i) - t_i^k(r)). It is all in the values: nothing is left to pay, so
    that the auditor's incentive and participation properties are those of expected utility. Allocations are the lottery's means. Budget
    properties are those of the mechanisms themselves and not asked here.

    Args:
        lottery: mechanisms with the same agents and type spaces, and the probability of each; or one mechanism.
        attitudes: agent name → attitude, or one for all.

    Raises:
        InputError: no mechanism, other agents, or probabilities that are no distribution.

    Example:
        A fair coin between two dictators, seen by agents who shun risk:

        >>> from hurwicz.mechanisms import single_parameter
        >>> def dictator(k):
        ...     return single_parameter(f"dictator {k}", lambda b: (np.eye(2)[[k] * len(b)], 0.0 * b), 2)
        >>> coin = ExpectedUtility([(0.5, dictator(0)), (0.5, dictator(1))], CARA(1.0))
        >>> outcome = coin.outcome({"bidder 1": 1.0, "bidder 2": 0.5})
        >>> round(coin.value("bidder 1", outcome, 1.0), 6)  # half of 1 - 1/e
        0.31606

    Source: von Neumann and Morgenstern (1944), expected utility.
    """

    def __init__(
        self,
        lottery: BatchedDirectMechanism | Sequence[tuple[float, BatchedDirectMechanism]],
        attitudes: RiskAttitude | Mapping[str, RiskAttitude],
    ) -> None:
        draws = list(lottery) if isinstance(lottery, Sequence) else [(1.0, lottery)]
        if not draws:
            raise InputError("ExpectedUtility: expected at least one mechanism, got none")
        self._weights = float64_array([p for p, _ in draws], "probabilities of the lottery", shape=(None,))
        if bool(np.any(self._weights < 0.0)) or abs(float(self._weights.sum()) - 1.0) > 1e-9:
            raise InputError(f"ExpectedUtility: expected probabilities >= 0 that sum to 1, got {self._weights.tolist()}")
        self._mechanisms = [mechanism for _, mechanism in draws]
        first = self._mechanisms[0]
        for other in self._mechanisms[1:]:
            if tuple(other.agents) != tuple(first.agents):
                raise InputError(f"ExpectedUtility: expected the same agents in every mechanism, got {first.agents} and {other.agents}")
        names = tuple(first.agents)
        self._attitudes = dict(attitudes) if isinstance(attitudes, Mapping) else dict.fromkeys(names, attitudes)
        if set(self._attitudes) != set(names):
            raise InputError(f"ExpectedUtility: expected an attitude for each of {list(names)}, got {list(self._attitudes)}")
        self.agents = names
        self.prior = getattr(first, "prior", None)

    @property
    def probabilities(self) -> Float64[np.ndarray, " draws"]:
        """Of each mechanism of the lottery."""
        return self._weights

    @property
    def type_spaces(self) -> Mapping[str, TypeSpace]:
        """Agent name → types, of the first mechanism."""
        return self._mechanisms[0].type_spaces

    def outcomes(self, reports: Mapping[str, NDArray[Any]]) -> Outcomes:
        """Every draw's outcomes, side by side: allocations (batch, draws, ...) with the payment of each draw behind its allocation."""
        found = [mechanism.outcomes(reports) for mechanism in self._mechanisms]
        batch = len(reports[self.agents[0]])
        allocation = {
            name: np.stack(
                [np.column_stack([np.reshape(o.allocation[name], (batch, -1)), np.asarray(o.payments[name])]) for o in found], axis=1
            )
            for name in self.agents
        }
        return Outcomes(allocation, {name: np.zeros(batch) for name in self.agents})

    def outcome(self, reports: Mapping[str, Any]) -> Outcome:
        """The lottery at one profile."""
        return self.outcomes({name: np.asarray([reports[name]]) for name in self.agents}).one(0)

    def values(self, agent: str, outcomes: Outcomes, true_types: NDArray[Any]) -> Float64[np.ndarray, " batch"]:
        """Expected utility at every outcome of a batch."""
        total = np.zeros(len(true_types))
        for weight, wealth in zip(self._weights, self._wealths(agent, outcomes, true_types), strict=True):
            total += weight * self._attitudes[agent].utility(wealth)
        return total

    def value(self, agent: str, outcome: Outcome, true_type: Any) -> float:
        """Expected utility of one lottery."""
        return float(self.values(agent, _batch(outcome), np.asarray([true_type]))[0])

    def welfares(self, outcomes: Outcomes, true_types: Mapping[str, NDArray[Any]]) -> Float64[np.ndarray, " batch"]:
        """Sum of certainty equivalents: what the agents would give for the lottery, in money."""
        total = np.zeros(len(true_types[self.agents[0]]))
        for name in self.agents:
            total += self._attitudes[name].wealth(self.values(name, outcomes, true_types[name]))
        return total

    def welfare(self, outcome: Outcome, true_types: Mapping[str, Any]) -> float:
        """Sum of certainty equivalents."""
        return float(self.welfares(_batch(outcome), {name: np.asarray([true_types[name]]) for name in self.agents})[0])

    def _wealths(self, agent: str, outcomes: Outcomes, true_types: NDArray[Any]) -> list[Float64[np.ndarray, " batch"]]:
        table = np.asarray(outcomes.allocation[agent])
        wealths = []
        for k, mechanism in enumerate(self._mechanisms):
            # single numbers come back as (batch,), vectors as (batch, dims), as the mechanism gave them
            share = table[:, k, 0] if np.ndim(true_types) == 1 and table.shape[2] == 2 else table[:, k, :-1]
            alone = Outcomes({agent: share}, {agent: table[:, k, -1]})
            wealths.append(np.asarray(mechanism.values(agent, alone, true_types), dtype=np.float64) - table[:, k, -1])
        return wealths


def _batch(outcome: Outcome) -> Outcomes:
    return Outcomes(
        {n: np.asarray(x)[None] for n, x in outcome.allocation.items()}, {n: np.asarray([t]) for n, t in outcome.payments.items()}
    )
