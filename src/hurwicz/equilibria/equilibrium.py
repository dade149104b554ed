"""A profile of strategies with the certificate of what it leaves to gain, and what it means for revenue and welfare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from numpy.typing import ArrayLike

from hurwicz._foundation import FloatArray, InputError
from hurwicz.equilibria.certificate import Certificate
from hurwicz.equilibria.interim import Route, choose_route
from hurwicz.equilibria.strategies import MixedStrategy, MonotoneStrategy, Strategy
from hurwicz.mechanisms import SingleParameterMechanism

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(4)


@dataclass(frozen=True)
class Equilibrium:
    """A profile of strategies and what it leaves to gain.

    Attributes:
        mechanism: whose equilibrium it is; finite or discretised types where strategies are mixed.
        strategies: agent name → strategy.
        certificate: the epsilon, and the bound for bids that were not looked at.
    """

    mechanism: SingleParameterMechanism
    strategies: Mapping[str, Strategy]
    certificate: Certificate

    @property
    def epsilon(self) -> float:
        """Largest gain of any type looked at from the best bid found."""
        return self.certificate.epsilon

    def bid(self, agent: str, types: ArrayLike) -> Float64[FloatArray, "*shape"]:
        """The (mean) bid of ``agent`` at ``types``; of a mixed strategy, at the nearest of its types."""
        strategy, asked = self.strategies[agent], np.asarray(types, dtype=np.float64)
        if isinstance(strategy, MonotoneStrategy):
            return strategy(asked)
        place = np.abs(asked[..., None] - strategy.types).argmin(axis=-1)
        return np.asarray(strategy.mean[place])

    def payment_of(self, agent: str, route: Route | None = None) -> float:
        """E[t_i], the ex ante expected payment of one agent."""
        return self._expectation(agent, route)[0]

    def utility_of(self, agent: str, route: Route | None = None) -> float:
        """E[u_i], the ex ante expected utility of one agent."""
        payment, value = self._expectation(agent, route)
        return value - payment

    @property
    def revenue(self) -> float:
        """sum_i E[t_i]."""
        return sum(self._expectation(name)[0] * count for name, count in self._alike().items())

    @property
    def welfare(self) -> float:
        """sum_i E[side_i v_i x_i], the planner's cost left aside."""
        return sum(self._expectation(name)[1] * count for name, count in self._alike().items())

    def _alike(self) -> dict[str, int]:
        """One name of each group that shares a strategy object and a side, and how many they are."""
        out: dict[str, int] = {}
        seen: dict[tuple[int, float], str] = {}
        for name, side in zip(self.mechanism.agents, self.mechanism.sides.tolist(), strict=True):
            first = seen.setdefault((id(self.strategies[name]), side), name)
            out[first] = out.get(first, 0) + 1
        return out

    def _expectation(self, agent: str, route: Route | None = None) -> tuple[float, float]:
        """E[t_i] and E[side v x]."""
        k = self.mechanism.agents.index(agent)
        strategy = self.strategies[agent]
        laws = [self.strategies[name] for name in self.mechanism.agents]
        low = min(float(law.knots[0]) for law in laws)
        high = max(float(law.knots[-1]) for law in laws)
        grid = max((len(law.bids) for law in laws if isinstance(law, MixedStrategy)), default=0)
        way = choose_route(self.mechanism, low, high if high > low else low + 1.0, grid=grid) if route is None else route
        side = float(self.mechanism.sides[k])
        if isinstance(strategy, MixedStrategy):
            found = way.at(k, strategy.bids, laws)
            each = strategy.weights[:, None] * strategy.probabilities
            return float((each @ found.payment).sum()), side * float((strategy.types * (each @ found.share)).sum())
        width = np.diff(strategy.values)
        inner = strategy.values[:-1, None] + width[:, None] * 0.5 * (_NODES + 1.0)
        density = strategy.prior.pdf(inner) * _WEIGHTS
        mass = np.diff(np.asarray(strategy.prior.cdf(strategy.values)))[:, None]
        weights = (mass * density / np.maximum(density.sum(axis=1, keepdims=True), 1e-300)).ravel()
        found = way.at(k, strategy(inner.ravel()), laws)
        return float(weights @ found.payment), side * float(weights @ (inner.ravel() * found.share))

    def welfare_ratio(self, *, samples: int = 1 << 15, seed: int = 0) -> tuple[float, float]:
        """E[welfare] at the equilibrium over E[greatest welfare], and its standard error: the price of anarchy of this equilibrium.

        From the same seeded draws of types for both, so that equal allocations cancel exactly. For first-price auctions with independent
        values no Bayes–Nash equilibrium is below 1 - 1/e² (Jin and Lu 2022), and below 1 - 1/e with correlated ones (Syrgkanis and
        Tardos 2013).

        Raises:
            InputError: a mechanism that does not say which shares are efficient.
        """
        if self.mechanism.efficient is None:
            raise InputError(f"{self.mechanism.name}: its field `efficient` is not given; set it to the shares of the greatest welfare")
        rng = np.random.default_rng([seed, 13])
        types, bids = [], []
        for name in self.mechanism.agents:
            strategy = self.strategies[name]
            level = rng.random(samples)
            if isinstance(strategy, MonotoneStrategy):
                fine = np.linspace(strategy.values[0], strategy.values[-1], 4001)
                drawn = np.interp(level, np.asarray(strategy.prior.cdf(fine)), fine)
                types.append(drawn)
                bids.append(strategy(drawn))
            else:
                row = np.minimum(np.searchsorted(np.cumsum(strategy.weights), level, side="right"), len(strategy.weights) - 1)
                cumulative = np.cumsum(strategy.probabilities, axis=1)[row]
                column = np.minimum((rng.random(samples)[:, None] >= cumulative).sum(axis=1), len(strategy.bids) - 1)
                types.append(strategy.types[row])
                bids.append(strategy.bids[column])
        theta = np.stack(types, axis=1)
        sides = self.mechanism.sides

        def welfare(shares: FloatArray) -> FloatArray:
            gross: FloatArray = (sides * theta * shares).sum(axis=1)
            return gross if self.mechanism.cost is None else gross - self.mechanism.cost(shares)

        best = welfare(self.mechanism.efficient(theta))
        reached = welfare(self.mechanism.decide(np.stack(bids, axis=1))[0])
        if not best.mean() > 0.0:
            raise InputError(
                f"{self.mechanism.name}: expected a greatest welfare above 0 on average, got {best.mean():.6g}; there is no ratio"
            )
        ratio = float(reached.mean() / best.mean())
        return ratio, float((reached - ratio * best).std() / best.mean() / np.sqrt(samples))
