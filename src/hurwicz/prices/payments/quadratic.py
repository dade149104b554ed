"""Agents with quadratic costs who meet through one sum: everything in closed form, for batches of profiles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64
from numpy.typing import ArrayLike

from hurwicz._foundation import FloatArray, InputError, float64_array
from hurwicz.prices.payments.problems import Types, named_agents


class QuadraticAggregate:
    """S(x) = weight (sum_i a_i x_i - target)², C_i(x_i; lambda_i) = lambda_i x_i².

    Without bounds x_i* = Y a_i / (lambda_i (1/w + sum_j a_j²/lambda_j)); with bounds the answers clip(a_i p / (2 lambda_i), low_i, high_i)
    meet p = 2 w (Y - sum_i a_i x_i) on one piece of a broken line, found by sorting its breakpoints.

    Args:
        target: Y.
        agents: names, or how many.
        weight: w > 0.
        coefficients: a, shape (agents,); 1 if omitted.
        low: least actions, scalar or (agents,); none if omitted.
        high: greatest actions, scalar or (agents,); none if omitted.
        opt_out: o, scalar or (agents,); need not lie within the bounds.

    Raises:
        InputError: weight not positive, a coefficient of 0, or bounds that cross.

    Example:
        >>> import numpy as np
        >>> problem = QuadraticAggregate(7.461, 5)
        >>> types = [np.array([v]) for v in (0.1, 0.5, 0.2, 0.4, 0.6)]
        >>> x = problem.solve(types)
        >>> round(float(x[0, 0]), 5), round(float(problem.price(x)[0, 0]), 5)
        (3.36586, 0.67317)
    """

    def __init__(
        self,
        target: float,
        agents: int | Sequence[str],
        *,
        weight: float = 1.0,
        coefficients: ArrayLike = 1.0,
        low: ArrayLike | None = None,
        high: ArrayLike | None = None,
        opt_out: ArrayLike = 0.0,
    ) -> None:
        self._agents = named_agents(agents)
        count = len(self._agents)

        def spread(value: ArrayLike, name: str, *, finite: bool = True) -> Float64[FloatArray, "agents"]:
            return np.broadcast_to(float64_array(value, name, finite=finite), (count,)).astype(np.float64)

        if not (np.isfinite(target) and np.isfinite(weight) and weight > 0.0):
            raise InputError(f"QuadraticAggregate: expected a finite target and weight > 0, got target={target}, weight={weight}")
        self.target = float(target)
        self.weight = float(weight)
        self.coefficients = spread(coefficients, "coefficients")
        if bool(np.any(self.coefficients == 0.0)):
            raise InputError("QuadraticAggregate: expected coefficients other than 0; an agent without influence has no place in the sum")
        self.low = spread(-np.inf if low is None else low, "low", finite=False)
        self.high = spread(np.inf if high is None else high, "high", finite=False)
        if bool(np.any(~(self.low <= self.high))):
            raise InputError(f"QuadraticAggregate: expected low <= high, got low={self.low.tolist()}, high={self.high.tolist()}")
        self._opt_out = spread(opt_out, "opt_out")
        self.bounded = bool(np.any(np.isfinite(self.low)) or np.any(np.isfinite(self.high)))

    @property
    def agents(self) -> tuple[str, ...]:
        """Names, in order."""
        return self._agents

    @property
    def opt_out(self) -> Float64[FloatArray, "agents"]:
        """o, the actions of those who stay out."""
        return self._opt_out

    @property
    def accuracy(self) -> float:
        """0: closed forms."""
        return 0.0

    def system_loss(self, actions: Float64[FloatArray, "batch agents"]) -> Float64[FloatArray, "batch"]:
        """S."""
        gap: FloatArray = actions @ self.coefficients - self.target
        return self.weight * gap**2

    def price(self, actions: Float64[FloatArray, "batch agents"]) -> Float64[FloatArray, "batch agents"]:
        """p_i = 2 w a_i (Y - sum_j a_j x_j)."""
        gap: FloatArray = self.target - actions @ self.coefficients
        return 2.0 * self.weight * gap[:, None] * self.coefficients

    def cost(self, agent: int, actions: Float64[FloatArray, "batch"], types: Float64[FloatArray, "batch"]) -> Float64[FloatArray, "batch"]:
        """lambda_i (x_i² - o_i²)."""
        out: FloatArray = types * (actions**2 - self._opt_out[agent] ** 2)
        return out

    def solve(self, types: Types) -> Float64[FloatArray, "batch agents"]:
        """x*."""
        lam = self._types(types)
        return self._meet(lam, np.full(len(lam), self.target), self.low, self.high, None)

    def solve_holding(self, agent: int, held: Float64[FloatArray, "batch"], types: Types) -> Float64[FloatArray, "batch agents"]:
        """The others re-optimise while ``agent`` does ``held``."""
        lam = self._types(types)
        out = self._meet(lam, self.target - self.coefficients[agent] * held, self.low, self.high, agent)
        out[:, agent] = held
        return out

    def kinks(
        self, agent: int, start: Float64[FloatArray, "batch"], stop: Float64[FloatArray, "batch"], types: Types
    ) -> Float64[FloatArray, "batch kinks"]:
        """Where another agent meets one of its bounds along the path, as fractions of it: two an agent."""
        lam = self._types(types)
        if not self.bounded:
            return np.zeros((len(lam), 0))
        a, others = self.coefficients, [j for j in range(len(self._agents)) if j != agent]
        breaks = np.concatenate(
            [2.0 * lam[:, others] * self.low[others] / a[others], 2.0 * lam[:, others] * self.high[others] / a[others]], axis=1
        )
        known = np.where(np.isfinite(breaks), breaks, 0.0)
        answers = np.clip(a[others] * known[:, :, None] / (2.0 * lam[:, None, others]), self.low[others], self.high[others])
        where = (self.target - known / (2.0 * self.weight) - answers @ a[others]) / a[agent]
        span = np.where(stop == start, 1.0, stop - start)
        fractions = (where - start[:, None]) / span[:, None]
        return np.where(np.isfinite(breaks), np.clip(fractions, 0.0, 1.0), 0.0)

    def loss_bound(self, actions: Float64[FloatArray, "batch agents"], types: Types) -> Float64[FloatArray, "batch"]:
        """Strong convexity: L* >= L(x) + sum_i min_d (g_i d + lambda_i d²), d the moves of agent i that its bounds allow."""
        lam = self._types(types)
        here = self.system_loss(actions) + (lam * (actions**2 - self._opt_out**2)).sum(axis=1)
        slope = 2.0 * lam * actions - self.price(actions)
        move = np.clip(-slope / (2.0 * lam), self.low - actions, self.high - actions)
        return np.asarray(here + (slope * move + lam * move**2).sum(axis=1), dtype=np.float64)

    def _types(self, types: Types) -> Float64[FloatArray, "batch agents"]:
        lam = np.stack([np.asarray(t, dtype=np.float64) for t in types], axis=1)
        if lam.shape[1] != len(self._agents):
            raise InputError(f"QuadraticAggregate: expected types of {len(self._agents)} agents, got {lam.shape[1]}")
        if not bool(np.all(lam > 0.0)):
            raise InputError(f"QuadraticAggregate: expected cost parameters lambda > 0, got {lam.min():.6g}; keep the type spaces above 0")
        return lam

    def _meet(
        self,
        lam: Float64[FloatArray, "batch agents"],
        target: Float64[FloatArray, "batch"],
        low: Float64[FloatArray, "agents"],
        high: Float64[FloatArray, "agents"],
        skip: int | None,
    ) -> Float64[FloatArray, "batch agents"]:
        a = self.coefficients.copy()
        if skip is not None:
            a[skip] = 0.0
        slopes = a / (2.0 * lam)
        if not self.bounded:
            price = target / (0.5 / self.weight + slopes @ a)
            return slopes * price[:, None]
        # h(p) = p / 2w + sum a_i clip(a_i p / 2 lambda_i) increases with p; walk its breakpoints to the piece where it meets the target.
        use = [j for j in range(len(a)) if j != skip]
        if not use:
            return np.zeros_like(lam)
        ends = np.concatenate([2.0 * lam[:, use] * low[use] / a[use], 2.0 * lam[:, use] * high[use] / a[use]], axis=1)
        points = np.sort(np.where(np.isnan(ends), 0.0, ends), axis=1)
        finite = np.where(np.isfinite(points), points, 0.0)
        answers = np.clip(a[use] * finite[:, :, None] / (2.0 * lam[:, None, use]), low[use], high[use])
        heights = finite / (2.0 * self.weight) + answers @ a[use]
        heights = np.where(np.isfinite(points), heights, np.copysign(np.inf, points))
        left = (heights <= target[:, None]).sum(axis=1) - 1
        rows = np.arange(len(lam))
        lower = np.where(left >= 0, points[rows, np.maximum(left, 0)], -np.inf)
        upper = np.where(left + 1 < points.shape[1], points[rows, np.minimum(left + 1, points.shape[1] - 1)], np.inf)
        anchor = np.where(np.isfinite(lower), lower, np.where(np.isfinite(upper), upper, 0.0))
        # on the piece, agent i is free exactly when the piece's inside lies between its own two ends
        with np.errstate(invalid="ignore"):
            middle = 0.5 * (lower + upper)  # NaN on the whole line, where it is not used
        inside = np.where(np.isfinite(lower), np.where(np.isfinite(upper), middle, lower + 1.0), anchor - 1.0)
        wish = a[use] * inside[:, None] / (2.0 * lam[:, use])
        free = (wish > low[use]) & (wish < high[use])
        fixed = np.where(wish <= low[use], low[use], np.where(wish >= high[use], high[use], 0.0))
        slope = 0.5 / self.weight + (np.where(free, slopes[:, use], 0.0) @ a[use])
        price = (target - fixed @ a[use]) / slope
        return np.asarray(np.clip(slopes * price[:, None], low, high), dtype=np.float64)
