"""A sealed-bid mechanism on grids of values and bids, as a Bayesian game that learning can play."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64
from numpy.typing import ArrayLike

from hurwicz._foundation import FloatArray, InputError, float64_array
from hurwicz.equilibria.games import MixedProfile
from hurwicz.equilibria.interim import CountsRoute, Route, TableRoute, ThresholdRoute, choose_route, count_distribution
from hurwicz.equilibria.monotone_games import identical_groups
from hurwicz.equilibria.strategies import MixedStrategy
from hurwicz.mechanisms import SingleParameterMechanism
from hurwicz.typespaces import DensityPrior, FinitePrior, Interval, ProductPrior

if TYPE_CHECKING:
    from hurwicz.equilibria.grid_responses import GridTables

_TABLE = 40_000_000


@dataclass(frozen=True)
class SealedBidGame:
    """Types and bids of every group of identical agents, and what is needed to turn bids into interim shares and payments.

    Attributes:
        mechanism: single-parameter, types independent.
        groups: agents (by place) that play the same strategy.
        types: of each group, ascending.
        weights: their probabilities.
        bids: grid of each group, ascending.
        route: to interim shares and payments.
    """

    mechanism: SingleParameterMechanism
    groups: Sequence[Sequence[int]]
    types: Sequence[Float64[FloatArray, "_types"]]
    weights: Sequence[Float64[FloatArray, "_types"]]
    bids: Sequence[Float64[FloatArray, "_bids"]]
    route: Route
    _tables: dict[int | str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def names(self) -> list[str]:
        """Of the first agent of each group."""
        return [self.mechanism.agents[members[0]] for members in self.groups]

    @property
    def sizes(self) -> list[int]:
        """Number of bids of each group."""
        return [len(b) for b in self.bids]

    @property
    def belongs(self) -> list[int]:
        """The group of each agent."""
        out = [0] * len(self.mechanism.agents)
        for g, members in enumerate(self.groups):
            for k in members:
                out[k] = g
        return out

    def strategies(self, profile: MixedProfile) -> dict[str, MixedStrategy]:
        """One strategy an agent."""
        each = [MixedStrategy(t, w, b, np.asarray(p)) for t, w, b, p in zip(self.types, self.weights, self.bids, profile, strict=True)]
        return {name: each[g] for name, g in zip(self.mechanism.agents, self.belongs, strict=True)}

    def utilities(self, profile: MixedProfile) -> list[Float64[FloatArray, "_types _bids"]]:
        """Side v X(b) - T(b) for each type and bid of each group."""
        masses = [w @ p for w, p in zip(self.weights, profile, strict=True)]
        if isinstance(self.route, ThresholdRoute) and self.tabular:
            from hurwicz.equilibria.grid_responses import utilities

            return utilities(self.grid_tables, masses)
        out = []
        for g, members in enumerate(self.groups):
            share, payment = self.interim(g, masses, profile)
            out.append(np.outer(float(self.mechanism.sides[members[0]]) * self.types[g], share) - payment)
        return out

    def interim(
        self, group: int, masses: Sequence[Float64[FloatArray, "_bids"]], profile: MixedProfile
    ) -> tuple[Float64[FloatArray, "bids"], Float64[FloatArray, "bids"]]:
        """X and T on a group's own grid, from tables that are filled once."""
        agent = self.groups[group][0]
        others = [g for k, g in enumerate(self.belongs) if k != agent]
        if isinstance(self.route, CountsRoute):
            return self._by_counts(group, others, masses)
        if isinstance(self.route, TableRoute) and self._cells(group, others) <= _TABLE:
            share, payment = self._full_table(group, others)
            for g in reversed(others):
                share, payment = share @ masses[g], payment @ masses[g]
            return share, payment
        made = self.strategies(profile)
        found = self.route.at(agent, self.bids[group], [made[name] for name in self.mechanism.agents])
        return found.share, found.payment

    def _by_counts(
        self, group: int, others: list[int], masses: Sequence[Float64[FloatArray, "_bids"]]
    ) -> tuple[Float64[FloatArray, "bids"], Float64[FloatArray, "bids"]]:
        own = self.bids[group]
        share, payment = self._count_table(group, others)
        above, tied = {}, {}
        for g, (place, until) in self._places(own, others).items():
            cumulative = np.concatenate([[0.0], np.cumsum(masses[g])])
            tied[g] = cumulative[until] - cumulative[place]
            above[g] = np.clip(1.0 - cumulative[until], 0.0, 1.0)
        chance = count_distribution(np.stack([above[g] for g in others]), np.stack([tied[g] for g in others]))
        ties = chance.shape[1]
        return (chance * share[:, :ties]).sum(axis=(0, 1)), (chance * payment[:, :ties]).sum(axis=(0, 1))

    @property
    def tabular(self) -> bool:
        """Whether interim sums can be taken over tables: the route is exact and the tables fit into memory."""
        if isinstance(self.route, CountsRoute):
            return True
        if isinstance(self.route, ThresholdRoute):
            return max(len(b) for b in self.bids) * sum(len(b) for b in self.bids) <= _TABLE
        return isinstance(self.route, TableRoute) and all(self._cells(g, self._others(g)) <= _TABLE for g in range(len(self.groups)))

    @property
    def grid_tables(self) -> GridTables:
        """What JAX needs to compute interim sums and best responses of every group.

        Raises:
            InputError: rivals that can only be sampled, or tables that would not fit into memory.
        """
        from hurwicz.equilibria.grid_responses import GridTables, Plan, Table, on_device

        if not self.tabular:
            raise InputError(f"{self.mechanism.name}: no tables on this grid, by route '{self.route.name}'; take fewer bids, or learn")
        if "compiled" not in self._tables:
            plans, tables = [], []
            for g, members in enumerate(self.groups):
                others = self._others(g)
                values = float(self.mechanism.sides[members[0]]) * self.types[g]
                if isinstance(self.route, CountsRoute):
                    plans.append(Plan("counts", tuple(others)))
                    tables.append(Table(values, *self._count_table(g, others), places=self._places(self.bids[g], others)))
                elif isinstance(self.route, ThresholdRoute):
                    plans.append(Plan("threshold", tuple(others), self.route.order))
                    tables.append(Table(values, **self._threshold_table(g, others)))
                else:
                    plans.append(Plan("product", tuple(others)))
                    tables.append(Table(values, *self._full_table(g, others)))
            self._tables["compiled"] = on_device(GridTables(tuple(plans), tuple(tables), tuple(self.weights)))
        made: GridTables = self._tables["compiled"]
        return made

    def _others(self, group: int) -> list[int]:
        agent = self.groups[group][0]
        return [g for k, g in enumerate(self.belongs) if k != agent]

    def _cells(self, group: int, others: list[int]) -> float:
        return len(self.bids[group]) * float(np.prod([float(len(self.bids[g])) for g in others]))

    def _places(self, bids: Float64[FloatArray, "bids"], others: list[int]) -> dict[int, tuple[Any, Any]]:
        """For each group of rivals, how many of its bids are below each of ``bids``, and how many at most it."""
        grids = {g: self.bids[g] for g in sorted(set(others))}
        return {g: (np.searchsorted(grid, bids, side="left"), np.searchsorted(grid, bids, side="right")) for g, grid in grids.items()}

    def _count_table(self, group: int, others: list[int]) -> tuple[Float64[FloatArray, "*counts"], Float64[FloatArray, "*counts"]]:
        """x_i and t_i by rivals above, rivals tied and own bid."""
        if group not in self._tables:
            route = self.route
            assert isinstance(route, CountsRoute | ThresholdRoute)
            canonical = CountsRoute(self.mechanism, route.low, route.high).canonical
            own, agent, rivals = self.bids[group], self.groups[group][0], len(others)
            share, payment = np.zeros((rivals + 1, rivals + 1, len(own))), np.zeros((rivals + 1, rivals + 1, len(own)))
            for a in range(rivals + 1):
                for t in range(rivals + 1 - a):
                    if isinstance(route, ThresholdRoute) and not a < route.order <= a + t:
                        continue  # the threshold is not the own bid
                    x, pay = self.mechanism.decide(canonical(agent, own, np.full(len(own), a), np.full(len(own), t)))
                    share[a, t], payment[a, t] = x[:, agent], pay[:, agent]
            self._tables[group] = share, payment
        share, payment = self._tables[group]
        return share, payment

    def _threshold_table(self, group: int, others: list[int]) -> dict[str, Any]:
        """x_i and t_i by own bid and the rivals' bid of the route's rank."""
        route = self.route
        assert isinstance(route, ThresholdRoute)
        own, agent = self.bids[group], self.groups[group][0]
        thresholds = np.unique(np.concatenate([self.bids[g] for g in others]))
        bids, at = np.repeat(own, len(thresholds)), np.tile(thresholds, len(own))
        x, pay = self.mechanism.decide(route.canonical(agent, bids, at))
        shape = (len(own), len(thresholds))
        tied_share, tied_payment = self._count_table(group, others)
        return {
            "share": x[:, agent].reshape(shape),
            "payment": pay[:, agent].reshape(shape),
            "places": self._places(own, others),
            "tied_share": tied_share,
            "tied_payment": tied_payment,
            "at_thresholds": self._places(thresholds, others),
            "apart": (own[:, None] != thresholds).astype(np.float64),
        }

    def _full_table(self, group: int, others: list[int]) -> tuple[Float64[FloatArray, "*bids"], Float64[FloatArray, "*bids"]]:
        if group in self._tables:
            share, payment = self._tables[group]
            return share, payment
        agent = self.groups[group][0]
        axes = [self.bids[group], *[self.bids[g] for g in others]]
        shape = tuple(len(a) for a in axes)
        share, payment = np.empty(int(np.prod(shape))), np.empty(int(np.prod(shape)))
        chunk = 500_000
        for start in range(0, len(share), chunk):
            where = np.unravel_index(np.arange(start, min(start + chunk, len(share))), shape)
            columns = [axis[w] for axis, w in zip(axes, where, strict=True)]
            profile = np.insert(np.stack(columns[1:], axis=1) if others else np.zeros((len(where[0]), 0)), agent, columns[0], axis=1)
            x, pay = self.mechanism.decide(profile)
            share[start : start + chunk], payment[start : start + chunk] = x[:, agent], pay[:, agent]
        self._tables[group] = share.reshape(shape), payment.reshape(shape)
        share, payment = self._tables[group]
        return share, payment


def sealed_bid_game(
    mechanism: SingleParameterMechanism,
    *,
    types: int = 50,
    bids: int | ArrayLike | Mapping[str, ArrayLike] = 101,
    bid_range: tuple[float, float] | None = None,
    route: Route | None = None,
    samples: int = 4096,
    seed: int = 0,
) -> SealedBidGame:
    """The mechanism on grids.

    Finitely many types are taken as they are; an interval is cut into ``types`` cells of equal width, each standing for its middle with
    its probability.

    Args:
        mechanism: single-parameter, types independent.
        types: cells of an interval.
        bids: how many equally spaced bids, the bids themselves, or the bids of each agent.
        bid_range: ends of the equally spaced bids; the span of the type spaces if omitted.
        route: to interim shares and payments; the fastest that the rule allows if omitted.
        samples: draws, where only sampling is left.
        seed: of probes and draws.

    Raises:
        InputError: correlated types, types that are no numbers, or bids out of order.

    Example:
        >>> from hurwicz.mechanisms import single_parameter
        >>> game = sealed_bid_game(single_parameter("dictator", lambda b: (np.eye(b.shape[1])[[0] * len(b)], 0 * b), 2), types=4, bids=3)
        >>> game.types[0].tolist(), game.bids[0].tolist()
        ([0.125, 0.375, 0.625, 0.875], [0.0, 0.5, 1.0])
    """
    prior = mechanism.prior
    if not isinstance(prior, ProductPrior):
        raise InputError(f"{mechanism.name}: a grid of bids needs independent types, got a joint prior; use report_equilibrium")
    if types < 1:
        raise InputError(f"{mechanism.name}: expected at least one type, got {types}")
    ends = [np.asarray(space.grid(2), dtype=np.float64) for space in mechanism.type_spaces.values()]
    low, high = bid_range or (min(float(e.min()) for e in ends), max(float(e.max()) for e in ends))
    grids: dict[str, FloatArray] = {}
    for name in mechanism.agents:
        given = bids[name] if isinstance(bids, Mapping) else bids
        grid = np.linspace(low, high, given) if isinstance(given, int) else float64_array(given, f"bids of {name!r}", shape=(None,))
        if len(grid) < 1 or bool(np.any(np.diff(grid) <= 0.0)):
            raise InputError(f"{mechanism.name}: expected bids of {name!r} in strictly ascending order, at least one")
        grids[name] = grid
    low, high = min(float(g[0]) for g in grids.values()), max(float(g[-1]) for g in grids.values())
    high = high if high > low else low + 1.0
    groups: list[list[int]] = []
    for members in identical_groups(mechanism, low, high, seed=seed):
        while members:
            alike = [k for k in members if np.array_equal(grids[mechanism.agents[k]], grids[mechanism.agents[members[0]]])]
            groups.append(alike)
            members = [k for k in members if k not in alike]
    cells = [_cells(mechanism.name, mechanism.agents[m[0]], prior, types) for m in groups]
    most = max(len(g) for g in grids.values())
    return SealedBidGame(
        mechanism=mechanism,
        groups=groups,
        types=[c[0] for c in cells],
        weights=[c[1] for c in cells],
        bids=[grids[mechanism.agents[m[0]]] for m in groups],
        route=choose_route(mechanism, low, high, grid=most, samples=samples, seed=seed) if route is None else route,
    )


def _cells(
    mechanism: str, agent: str, prior: ProductPrior, count: int
) -> tuple[Float64[FloatArray, "types"], Float64[FloatArray, "types"]]:
    """Types and probabilities of one agent."""
    own = prior.marginals[agent]
    if isinstance(own, FinitePrior) or own.space.size is not None:
        values, weights = own.quadrature(1)
        values = np.asarray(values)
        if values.ndim != 1 or values.dtype == object:
            raise InputError(f"{mechanism}: expected types of {agent!r} that are single numbers, got {values!r}; use report_equilibrium")
        order = np.argsort(values)
        return values[order], weights[order]
    if not (isinstance(own, DensityPrior) and isinstance(own.space, Interval)):
        raise InputError(f"{mechanism}: expected types of {agent!r} on an interval with a distribution function, got {own!r}")
    edges = np.linspace(own.space.low, own.space.high, count + 1)
    mass = np.diff(own.cdf(edges))
    return 0.5 * (edges[1:] + edges[:-1]), mass / mass.sum()
