"""Interim share and payment of a bid: what an agent expects from it, given how its rivals bid.

For a mechanism with one number an agent, u_i(v, b) = side_i v X_i(b) - T_i(b), so two functions of the own bid say all.
Four routes to them, from the fastest to the most general; which of them a rule allows is found out by asking the rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64, Int64

from hurwicz._foundation import FloatArray, InputError
from hurwicz.equilibria.piecewise import expected_answers
from hurwicz.equilibria.strategies import BidLaw, MonotoneStrategy
from hurwicz.mechanisms import SingleParameterMechanism

_ROWS = 400_000
_PROBES = 600


class Interim(NamedTuple):
    """Expected share and payment at each bid, with the standard error of the utility scale where it was sampled (0 where exact)."""

    share: Float64[FloatArray, "bids"]
    payment: Float64[FloatArray, "bids"]
    error: float


@runtime_checkable
class Route(Protocol):
    """A way to compute them."""

    @property
    def name(self) -> str:
        """In a few words, for the statistics of a run."""
        ...

    def at(self, agent: int, bids: Float64[FloatArray, "bids"], laws: Sequence[BidLaw]) -> Interim:
        """X_i and T_i at ``bids`` where everybody's bid, the agent's own left aside, follows ``laws``."""
        ...


def count_distribution(
    above: Float64[FloatArray, "rivals bids"], tied: Float64[FloatArray, "rivals bids"]
) -> Float64[FloatArray, "above tied bids"]:
    """P(a rivals bid more, t bid the same) for independent rivals.

    The recursion P'(a, t) = (1 - p - q) P(a, t) + p P(a - 1, t) + q P(a, t - 1) over rivals; the tied axis has length 1 where
    ``tied`` is zero throughout.

    Args:
        above: probability that each rival bids more than each bid.
        tied: probability that it bids the same.

    Example:
        >>> p = count_distribution(np.array([[0.5], [0.5]]), np.zeros((2, 1)))
        >>> p[:, 0, 0].tolist()
        [0.25, 0.5, 0.25]
    """
    rivals, bids = above.shape
    ties = bool(np.any(tied > 0.0))
    out = np.zeros((rivals + 1, rivals + 1 if ties else 1, bids))
    out[0, 0] = 1.0
    for p, q in zip(above, tied, strict=True):
        nxt = out * (1.0 - p - q)
        nxt[1:] += out[:-1] * p
        if ties:
            nxt[:, 1:] += out[:, :-1] * q
        out = nxt
    return np.clip(out, 0.0, 1.0)


def _rivals(
    laws: Sequence[BidLaw], agent: int, bids: Float64[FloatArray, "bids"]
) -> tuple[Float64[FloatArray, "rivals bids"], Float64[FloatArray, "rivals bids"]]:
    """P(above) and P(tied) for every rival at every bid."""
    tied = np.stack([law.at(bids) for k, law in enumerate(laws) if k != agent])
    below = np.stack([law.below(bids) for k, law in enumerate(laws) if k != agent])
    return np.clip(1.0 - below - tied, 0.0, 1.0), tied


@dataclass(frozen=True)
class CountsRoute:
    """Rules whose answer to a bid depends on the rivals by how many bid more and how many the same: first price, all-pay, prizes by rank.

    X_i(b) = sum_{a, t} P(a, t | b) x_i(b; a, t): exact for any number of bidders.
    """

    mechanism: SingleParameterMechanism
    low: float
    high: float
    name: str = "exact, by counts of rivals above and tied"

    def canonical(
        self, agent: int, bids: Float64[FloatArray, "rows"], above: Int64[np.ndarray, "rows"], tied: Int64[np.ndarray, "rows"]
    ) -> Float64[FloatArray, "rows agents"]:
        """A profile with those counts for each row."""
        rivals = len(self.mechanism.agents) - 1
        place = np.arange(rivals)
        others = np.where(place < above[:, None], self.high, np.where(place < (above + tied)[:, None], bids[:, None], self.low))
        return np.insert(others, agent, bids, axis=1)

    def at(self, agent: int, bids: Float64[FloatArray, "bids"], laws: Sequence[BidLaw]) -> Interim:
        """Exact sums over the counts."""
        chance = count_distribution(*_rivals(laws, agent, bids))
        rivals = len(laws) - 1
        share, payment = np.zeros(len(bids)), np.zeros(len(bids))
        for t in range(chance.shape[1]):
            for a in range(rivals + 1 - t):
                # Asked only where it can happen: elsewhere the stand-in bids might not be in order.
                rows = np.flatnonzero(chance[a, t] > 0.0)
                if len(rows):
                    x, pay = self.mechanism.decide(self.canonical(agent, bids[rows], np.full(len(rows), a), np.full(len(rows), t)))
                    share[rows] += chance[a, t, rows] * x[:, agent]
                    payment[rows] += chance[a, t, rows] * pay[:, agent]
        return Interim(share, payment, 0.0)


@dataclass(frozen=True)
class ThresholdRoute:
    """Rules that answer a bid by the j-th highest of the rivals' bids: second price (j = 1), uniform price and Vickrey for k units (j = k).

    X_i(b) = ∫ x_i(b; y) dP(Y_j <= y), with the counts of the tied where Y_j = b; exact for bids on grids.
    """

    mechanism: SingleParameterMechanism
    low: float
    high: float
    order: int
    cells: int = 400

    @property
    def name(self) -> str:
        """Says which order statistic."""
        return f"exact, by the rivals' bid number {self.order} from the top"

    def canonical(
        self, agent: int, bids: Float64[FloatArray, "rows"], threshold: Float64[FloatArray, "rows"]
    ) -> Float64[FloatArray, "rows agents"]:
        """A profile whose j-th highest rival bid is ``threshold``, for each row."""
        place = np.arange(len(self.mechanism.agents) - 1)
        others = np.where(place < self.order, threshold[:, None], self.low)
        return np.insert(others, agent, bids, axis=1)

    def _distribution(
        self, laws: Sequence[BidLaw], agent: int, at: Float64[FloatArray, "points"]
    ) -> tuple[Float64[FloatArray, "points"], Float64[FloatArray, "points"]]:
        """P(Y_j < y) and P(Y_j <= y)."""
        above, tied = _rivals(laws, agent, at)
        none = np.zeros_like(above)
        strictly = count_distribution(above + tied, none)[: self.order, 0].sum(axis=0)
        return strictly, count_distribution(above, none)[: self.order, 0].sum(axis=0)

    def at(self, agent: int, bids: Float64[FloatArray, "bids"], laws: Sequence[BidLaw]) -> Interim:
        """Sums over atoms, the midpoint rule between knots; no cell straddles the own bid."""
        atoms = any(not law.atomless for k, law in enumerate(laws) if k != agent)
        knots = np.unique(np.concatenate([law.knots for k, law in enumerate(laws) if k != agent]))
        if not atoms and len(knots) > self.cells:
            knots = knots[np.unique(np.linspace(0, len(knots) - 1, self.cells).round().astype(int))]
        share, payment = np.zeros(len(bids)), np.zeros(len(bids))
        chunk = max(1, _ROWS // (2 * len(knots) + 3))
        for start in range(0, len(bids), chunk):
            own = bids[start : start + chunk]
            edges = np.sort(np.concatenate([np.broadcast_to(knots, (len(own), len(knots))), own[:, None]], axis=1), axis=1)
            before, upto = (x.reshape(edges.shape) for x in self._distribution(laws, agent, edges.ravel()))
            inside = np.clip(before[:, 1:] - upto[:, :-1], 0.0, 1.0)
            middle = 0.5 * (edges[:, 1:] + edges[:, :-1])
            points, weights = middle, inside
            if atoms:
                fresh = np.concatenate([np.ones((len(own), 1), dtype=bool), np.diff(edges, axis=1) > 0.0], axis=1)
                here = np.where(fresh & (edges != own[:, None]), np.clip(upto - before, 0.0, 1.0), 0.0)
                points, weights = np.concatenate([middle, edges], axis=1), np.concatenate([inside, here], axis=1)
            rows, columns = np.nonzero(weights > 0.0)
            x, pay = self.mechanism.decide(self.canonical(agent, own[rows], points[rows, columns]))
            mass = weights[rows, columns]
            share[start : start + chunk] = np.bincount(rows, mass * x[:, agent], minlength=len(own))
            payment[start : start + chunk] = np.bincount(rows, mass * pay[:, agent], minlength=len(own))
        if atoms:
            self._tied(agent, bids, laws, share, payment)
        return Interim(share, payment, 0.0)

    def _tied(
        self,
        agent: int,
        bids: Float64[FloatArray, "bids"],
        laws: Sequence[BidLaw],
        share: Float64[FloatArray, "bids"],
        payment: Float64[FloatArray, "bids"],
    ) -> None:
        """Adds the profiles in which the threshold is the own bid."""
        chance = count_distribution(*_rivals(laws, agent, bids))
        counts = CountsRoute(self.mechanism, self.low, self.high)
        for t in range(1, chance.shape[1]):
            for a in range(max(0, self.order - t), min(self.order, len(laws) - t)):
                rows = np.flatnonzero(chance[a, t] > 0.0)
                if len(rows):
                    x, pay = self.mechanism.decide(counts.canonical(agent, bids[rows], np.full(len(rows), a), np.full(len(rows), t)))
                    share[rows] += chance[a, t, rows] * x[:, agent]
                    payment[rows] += chance[a, t, rows] * pay[:, agent]


@dataclass(frozen=True)
class TableRoute:
    """Any rule, few agents: the product of the rivals' distributions, cells divided where a rival bids what the agent bids.

    Exact for bids on grids; two Gauss–Legendre nodes a cell for strategies that are linear between knots, and of one of those rivals
    the cells are divided wherever the rule's answer jumps (:func:`hurwicz.equilibria.piecewise.expected_answers`).
    """

    mechanism: SingleParameterMechanism
    budget: int = 1_000
    name: str = "product of the rivals' bid distributions"

    def at(self, agent: int, bids: Float64[FloatArray, "bids"], laws: Sequence[BidLaw]) -> Interim:
        """Sums over all combinations of the rivals' nodes."""
        others = [k for k in range(len(laws)) if k != agent]
        count = max(4, int(self.budget ** (1.0 / max(len(others), 1))))
        inner = next((k for k in reversed(others) if isinstance(laws[k], MonotoneStrategy)), None)
        outer = [k for k in others if k != inner]
        share, payment = np.zeros(len(bids)), np.zeros(len(bids))
        size = float(np.prod([float(laws[k].nodes(bids[:1], count)[1].shape[1]) for k in others]))
        chunk = max(1, int(_ROWS // max(size, 1.0)))
        for start in range(0, len(bids), chunk):
            own = bids[start : start + chunk]
            combined = np.ones((len(own), 1))
            columns: dict[int, FloatArray] = {}
            for k in outer:
                bid, weight = laws[k].nodes(own, count)
                columns = {j: np.repeat(column, bid.shape[1], axis=1) for j, column in columns.items()}
                columns[k] = np.tile(bid, (1, combined.shape[1]))
                combined = (combined[:, :, None] * weight[:, None, :]).reshape(len(own), -1)
            rows = np.empty((combined.size, len(laws)))
            rows[:, agent] = np.repeat(own, combined.shape[1])
            for k, column in columns.items():
                rows[:, k] = column.ravel()
            x, pay = self._answers(agent, inner, rows, laws, count)
            share[start : start + chunk] = (combined * x.reshape(combined.shape)).sum(axis=1)
            payment[start : start + chunk] = (combined * pay.reshape(combined.shape)).sum(axis=1)
        return Interim(share, payment, 0.0)

    def _answers(
        self, agent: int, inner: int | None, rows: Float64[FloatArray, "rows agents"], laws: Sequence[BidLaw], count: int
    ) -> tuple[Float64[FloatArray, "rows"], Float64[FloatArray, "rows"]]:
        """The rule's share and payment in each row, in expectation over the bid of ``inner``."""
        if inner is None:
            x, pay = self.mechanism.decide(rows)
            return x[:, agent], pay[:, agent]

        def ask(which: Int64[np.ndarray, "asked"], bids: Float64[FloatArray, "asked"]) -> tuple[FloatArray, FloatArray]:
            profile = rows[which]
            profile[:, inner] = bids
            x, pay = self.mechanism.decide(profile)
            return x[:, agent], pay[:, agent]

        rival = laws[inner]
        assert isinstance(rival, MonotoneStrategy)
        return expected_answers(ask, rows[:, agent], rival, count)


@dataclass(frozen=True)
class MonteCarloRoute:
    """Any rule, any number of agents: the same seeded draws of the rivals for every bid, with the standard error that they leave."""

    mechanism: SingleParameterMechanism
    samples: int = 4096
    seed: int = 0
    _levels: dict[int, Float64[FloatArray, "samples agents"]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def name(self) -> str:
        """Says how many draws."""
        return f"{self.samples} seeded draws of the rivals"

    def at(self, agent: int, bids: Float64[FloatArray, "bids"], laws: Sequence[BidLaw]) -> Interim:
        """Sample means; the error is the largest standard error of X_i and T_i over the bids."""
        if agent not in self._levels:
            from scipy.stats import qmc

            # Scrambled Sobol' points spread better than independent draws; their standard error, computed as for those, overstates.
            self._levels[agent] = qmc.Sobol(len(laws), seed=np.random.default_rng([self.seed, agent])).random(self.samples)
        rivals = np.stack([law.quantile(self._levels[agent][:, k]) for k, law in enumerate(laws)], axis=1)
        share, payment, error = np.zeros(len(bids)), np.zeros(len(bids)), 0.0
        chunk = max(1, _ROWS // self.samples)
        for start in range(0, len(bids), chunk):
            own = bids[start : start + chunk]
            profile = np.tile(rivals, (len(own), 1))
            profile[:, agent] = np.repeat(own, self.samples)
            x, pay = (y[:, agent].reshape(len(own), -1) for y in self.mechanism.decide(profile))
            share[start : start + chunk], payment[start : start + chunk] = x.mean(axis=1), pay.mean(axis=1)
            error = max(error, float(x.std(axis=1).max()), float(pay.std(axis=1).max()))
        return Interim(share, payment, error / np.sqrt(self.samples))


def choose_route(
    mechanism: SingleParameterMechanism, low: float, high: float, *, samples: int = 4096, seed: int = 0, grid: int = 0
) -> Route:
    """The fastest route that the rule allows, found by asking it ``_PROBES`` random profiles an agent.

    Args:
        mechanism: whose rule is asked.
        low: smallest bid.
        high: largest bid.
        samples: draws, where only sampling is left.
        seed: of the probes and the draws.
        grid: bids on a grid an agent (0 for continuous strategies): decides whether the product of grids is small enough.

    Raises:
        InputError: a rule that answers with NaN.

    Example:
        >>> from hurwicz.mechanisms import single_parameter
        >>> def pay_own(bids):
        ...     top = bids == bids.max(axis=1, keepdims=True)
        ...     return top / top.sum(axis=1, keepdims=True), bids * top / top.sum(axis=1, keepdims=True)
        >>> choose_route(single_parameter("first price", pay_own, 10), 0.0, 1.0).name
        'exact, by counts of rivals above and tied'
    """
    agents = len(mechanism.agents)
    counts = CountsRoute(mechanism, low, high)
    candidates: list[Route] = [counts] if agents > 1 else []
    if agents > 2:  # with one rival the product of distributions is as fast, and more accurate
        candidates += [ThresholdRoute(mechanism, low, high, j) for j in range(1, agents)]
    alive = [True] * len(candidates)
    for agent in range(agents):
        rng = np.random.default_rng([seed, agent, 7])
        profile = rng.uniform(low, high, size=(_PROBES, agents))
        own = profile[:, agent].copy()
        tie = rng.random(profile.shape) < 0.3 * (rng.random((_PROBES, 1)) < 0.5)
        profile = np.where(tie, own[:, None], profile)
        x, pay = mechanism.decide(profile)
        if not (np.all(np.isfinite(x)) and np.all(np.isfinite(pay))):
            raise InputError(f"{mechanism.name}: expected finite shares and payments for bids in [{low:g}, {high:g}], got NaN or infinity")
        others = np.delete(profile, agent, axis=1)
        above, tied = (others > own[:, None]).sum(axis=1), (others == own[:, None]).sum(axis=1)
        by_counts = counts.canonical(agent, own, above, tied)
        for k, route in enumerate(candidates):
            if not alive[k]:
                continue
            if isinstance(route, ThresholdRoute):
                threshold = -np.sort(-others, axis=1)[:, route.order - 1]
                asked = np.where((threshold == own)[:, None], by_counts, route.canonical(agent, own, threshold))
            else:
                asked = by_counts
            y, paid = mechanism.decide(asked)
            scale = 1e-9 * (1.0 + max(abs(low), abs(high)))
            alive[k] = bool(np.all(np.abs(y - x)[:, agent] < scale) and np.all(np.abs(paid - pay)[:, agent] < scale))
    for k, route in enumerate(candidates):
        if alive[k]:
            return route
    if agents <= 2 or (agents == 3 and not grid) or (grid and float(grid) ** (agents - 1) <= 20_000.0):
        return TableRoute(mechanism)
    return MonteCarloRoute(mechanism, samples=samples, seed=seed)
