"""Tables of a mechanism over finitely many types, and the rows of constraints and costs over their different entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64

from hurwicz._foundation import FloatArray, InputError, float64_array
from hurwicz.designers.symmetry import Renaming, orbits, renamings
from hurwicz.mechanisms import MultiParameterMechanism, SingleParameterMechanism
from hurwicz.settings import Claim, JointPrior


class Table(NamedTuple):
    """A mechanism, profile by profile."""

    shares: Float64[FloatArray, "profiles agents items"]
    paid: Float64[FloatArray, "profiles agents"]


class Lies(NamedTuple):
    """Who at which profile reports which type instead."""

    agent: Int64[np.ndarray, " lies"]
    profile: Int64[np.ndarray, " lies"]
    report: Int64[np.ndarray, " lies"]


@dataclass(frozen=True, eq=False)
class Tables:
    """The setting: types, how likely each profile is, who gives and who takes, and what there is.

    Entries of a table stand in one line: shares by (profile, agent, item), then payments by (profile, agent). ``column`` says which
    variable each entry is; entries that renaming carries into one another are one variable.
    """

    prior: JointPrior
    types: tuple[Float64[FloatArray, "_types items"], ...]
    weights: Float64[FloatArray, "*types"]
    sides: Float64[FloatArray, " agents"]
    supply: Float64[FloatArray, " items"]
    numbers: bool

    @classmethod
    def of(cls, prior: JointPrior, supply: Sequence[float] | float, sides: Mapping[str, float] | None) -> Tables:
        """The tables of a prior.

        Raises:
            InputError: infinitely many types, types of different lengths, or sides of other agents.
        """
        if not prior.finite:
            raise InputError("optimal mechanism: expected a prior over finitely many types; take a grid of them: FinitePrior(values)")
        agents = prior.agents
        values = [np.asarray(prior.spaces[name].grid(0)) for name in agents]
        if len({own.shape[1:] for own in values}) != 1 or values[0].ndim > 2 or any(own.dtype == object for own in values):
            raise InputError("optimal mechanism: expected types that are numbers, or vectors of one length for all agents")
        numbers = values[0].ndim == 1
        types = tuple(np.asarray(own, dtype=np.float64).reshape(len(own), -1) for own in values)
        if sides is not None and (set(sides) != set(agents) or any(abs(side) != 1.0 for side in sides.values())):
            raise InputError(f"optimal mechanism: expected a side of +1 or -1 for each of {list(agents)}, got {dict(sides)}")
        side = np.asarray([1.0 if sides is None else sides[name] for name in agents])
        return cls(prior, types, _joint(prior, types), side, _each(supply, types[0].shape[1]), numbers)

    @property
    def agents(self) -> int:
        """How many."""
        return len(self.types)

    @property
    def items(self) -> int:
        """How many."""
        return int(self.types[0].shape[1])

    @property
    def profiles(self) -> int:
        """How many."""
        return int(self.weights.size)

    @property
    def scale(self) -> float:
        """The largest value."""
        return max(float(np.abs(own).max()) for own in self.types) or 1.0

    @cached_property
    def _renamings(self) -> tuple[Renaming, ...]:
        return tuple(renamings(self.types, self.weights, self.sides, self.supply))

    @cached_property
    def _columns(self) -> tuple[int, Int64[np.ndarray, " entries"]]:
        return orbits(self._payments + self.profiles * self.agents, [self._image(one) for one in self._renamings])

    def _image(self, one: Renaming) -> Int64[np.ndarray, " entries"]:
        at = one.profiles[:, None] * self.agents + one.agents
        return np.concatenate([(at[:, :, None] * self.items + one.items).ravel(), self._payments + at.ravel()])

    @property
    def _payments(self) -> int:
        return self.profiles * self.agents * self.items

    @property
    def variables(self) -> int:
        """How many different entries there are."""
        return self._columns[0]

    @property
    def column(self) -> Int64[np.ndarray, " entries"]:
        """Entry → variable."""
        return self._columns[1]

    @cached_property
    def is_share(self) -> Bool[np.ndarray, " variables"]:
        """Which variables are shares; the others are payments."""
        kind = np.zeros(self.variables, dtype=bool)
        kind[self.column[: self._payments]] = True
        return kind

    @cached_property
    def _leading(self) -> Int64[np.ndarray, "leading 2"]:
        """(profile, agent) of the first of each class of entries that are alike."""
        first = np.unique(self.column[self._payments :], return_index=True)[1]
        return np.stack(np.divmod(first, self.agents), axis=1)

    @cached_property
    def _grids(self) -> tuple[Int64[np.ndarray, "_types others"], ...]:
        """Agent → the profile in which it has a type and the others have theirs."""
        every = np.arange(self.profiles).reshape(self.weights.shape)
        return tuple(np.moveaxis(every, i, 0).reshape(len(own), -1) for i, own in enumerate(self.types))

    @cached_property
    def _own(self) -> Int64[np.ndarray, "agents profiles"]:
        """The type that each agent has in each profile."""
        return np.indices(self.weights.shape).reshape(self.agents, -1)

    def worth(self, agent: int) -> Float64[FloatArray, "_types items"]:
        """side_i theta_i: what each type gets from the whole of each item."""
        return np.asarray(self.sides[agent] * self.types[agent])

    def objective(self, weights: Mapping[str, float]) -> Float64[FloatArray, " variables"]:
        """Expected revenue and welfare, by variable."""
        likely = self.weights.ravel()
        worth = np.stack([self.worth(i)[self._own[i]] for i in range(self.agents)], axis=1)
        shares = weights["welfare"] * likely[:, None, None] * worth
        paid = np.broadcast_to(weights["revenue"] * likely[:, None], (self.profiles, self.agents))
        return np.asarray(np.bincount(self.column, np.concatenate([shares.ravel(), paid.ravel()]), self.variables), dtype=np.float64)

    def spread(self, values: Float64[FloatArray, " variables"]) -> Table:
        """The table that variables stand for."""
        entries = values[self.column]
        shares = np.clip(entries[: self._payments], 0.0, 1.0).reshape(self.profiles, self.agents, self.items)
        return Table(shares, entries[self._payments :].reshape(self.profiles, self.agents))

    def revenue(self, table: Table) -> float:
        """E[sum_i t_i]."""
        return float(self.weights.ravel() @ table.paid.sum(axis=1))

    def welfare(self, table: Table) -> float:
        """E[sum_i side_i <theta_i, x_i>]."""
        total = sum((self.worth(i)[self._own[i]] * table.shares[:, i]).sum(axis=1) for i in range(self.agents))
        return float(self.weights.ravel() @ total)

    def lies(self, table: Table, incentives: str) -> tuple[float, Lies]:
        """The largest gain from any lie; and the best lie of each type at each profile that gains, of those that are alike one."""
        worst, chosen = 0.0, []
        leading = np.zeros((self.profiles, self.agents), dtype=bool)
        leading[tuple(self._leading.T)] = True
        for i in range(self.agents):
            gains = self._gains(table, i)
            if incentives == "BIC":
                gains = np.einsum("kro,ko->kr", gains, self._believed(i))[:, :, None]
            worst = max(worst, float(gains.max()))
            if incentives == "DSIC":
                best, where = gains.max(axis=1), gains.argmax(axis=1)
                paying = (best > 1e-10 * self.scale) & leading[self._grids[i], i]
                chosen.append(np.stack([np.full(int(paying.sum()), i), self._grids[i][paying], where[paying]]))
        return worst, Lies(*(np.concatenate(chosen, axis=1) if chosen else np.zeros((3, 0), dtype=np.int64)))

    def _gains(self, table: Table, agent: int) -> Float64[FloatArray, "_types reports others"]:
        grid = self._grids[agent]
        told = np.einsum("km,rom->kro", self.worth(agent), table.shares[grid, agent]) - table.paid[grid, agent]
        return np.asarray(told - np.einsum("kko->ko", told)[:, None])

    def _believed(self, agent: int) -> Float64[FloatArray, "_types others"]:
        """What each type believes of the others; 0 where the type itself never occurs."""
        joint = self.weights.ravel()[self._grids[agent]]
        own = joint.sum(axis=1, keepdims=True)
        return np.asarray(np.divide(joint, own, out=np.zeros_like(joint), where=own > 0.0))

    def losses(self, table: Table, participation: str) -> float:
        """The most that a type loses by taking part, at a profile or in expectation; 0 where that is no constraint."""
        worst = 0.0
        for i in range(self.agents):
            grid = self._grids[i]
            utility = np.einsum("km,kom->ko", self.worth(i), table.shares[grid, i]) - table.paid[grid, i]
            if participation == "interim":
                utility = (utility * self._believed(i)).sum(axis=1)
            if participation != "none":
                worst = max(worst, float(-utility.min()))
        return worst

    def supply_rows(self) -> tuple[Any, Float64[FloatArray, " rows"]]:
        """sum_i side_i x_im ≤ supply_m, at every profile."""
        profiles = np.unique(self._leading[:, 0])
        shape = (len(profiles), self.items, self.agents)
        p, m, i = (a.ravel() for a in np.broadcast_arrays(profiles[:, None, None], *np.ogrid[: shape[1], : shape[2]]))
        rows = self._rows(np.repeat(np.arange(shape[0] * shape[1]), self.agents), self._share(p, i, m), self.sides[i])
        return rows, np.tile(self.supply, len(profiles))

    def demand_rows(self, demand: float) -> tuple[Any, Float64[FloatArray, " rows"]]:
        """sum_m x_im ≤ demand, for every agent and profile."""
        p, i = self._leading.T
        entries = self._share(p[:, None], i[:, None], np.arange(self.items)).ravel()
        return self._rows(np.repeat(np.arange(len(p)), self.items), entries, np.ones(entries.size)), np.full(len(p), demand)

    def payment_rows(self, *, in_expectation: bool) -> Any:
        """sum_i t_i, at every profile or in expectation."""
        profiles = np.arange(self.profiles) if in_expectation else np.unique(self._leading[:, 0])
        entries = self._payment(profiles[:, None], np.arange(self.agents)).ravel()
        of = np.repeat(np.zeros(len(profiles), dtype=np.int64) if in_expectation else np.arange(len(profiles)), self.agents)
        return self._rows(of, entries, np.repeat(self.weights.ravel(), self.agents) if in_expectation else np.ones(entries.size))

    def participation_rows(self, *, in_expectation: bool) -> Any:
        """u_i ≥ 0, at every profile or for every type in expectation."""
        if not in_expectation:
            p, i = self._leading.T
            return self._rows(*self._utility(np.arange(len(p)), i, p, self._own[i, p], np.ones(len(p))))
        parts, first = [], 0
        for i, grid in enumerate(self._grids):
            k = np.broadcast_to(np.arange(len(grid))[:, None], grid.shape).ravel()
            parts.append(self._utility(first + k, np.full(k.size, i), grid.ravel(), k, self._believed(i).ravel()))
            first += len(grid)
        return self._rows(*(np.concatenate(part) for part in zip(*parts, strict=True)))

    def truth_rows(self, lies: Lies) -> Any:
        """u_i(theta_i; theta) - u_i(r; theta_-i) ≥ 0, for each lie."""
        i, p, r = lies
        own, of = self._own[i, p], np.arange(len(i))
        # the profile with the report in the place of the type
        strides = np.asarray([int(np.prod(self.weights.shape[k + 1 :])) for k in range(self.agents)])
        return self._truth(of, i, p, p + (r - own) * strides[i], own, np.ones(len(i)))

    def interim_truth_rows(self) -> Any:
        """The same in expectation, for each type and report."""
        parts, first = [], 0
        for i, grid in enumerate(self._grids):
            count, others = grid.shape
            k, r = (a.ravel() for a in np.nonzero(~np.eye(count, dtype=bool)))
            of = np.repeat(np.arange(len(k)), others)
            told, lied = grid[k].ravel(), grid[r].ravel()
            parts.append((first + of, np.full(of.size, i), told, lied, np.repeat(k, others), self._believed(i)[k].ravel()))
            first += len(k)
        return self._truth(*(np.concatenate(part) for part in zip(*parts, strict=True)))

    def _truth(self, of: Any, agent: Any, told: Any, lied: Any, own: Any, weight: Any) -> Any:
        sides = (self._utility(of, agent, told, own, weight), self._utility(of, agent, lied, own, -weight))
        return self._rows(*(np.concatenate(part) for part in zip(*sides, strict=True)))

    def _utility(self, of: Any, agent: Any, profile: Any, own: Any, weight: Any) -> tuple[Any, Any, Any]:
        """Rows, entries and coefficients of weight times the utility that type ``own`` has from what stands at ``profile``."""
        worth = np.zeros((self.agents, max(map(len, self.types)), self.items))
        for i, types in enumerate(self.types):
            worth[i, : len(types)] = self.worth(i)
        shares = self._share(profile[:, None], agent[:, None], np.arange(self.items))
        rows = np.concatenate([np.repeat(of, self.items), of])
        entries = np.concatenate([shares.ravel(), self._payment(profile, agent)])
        return rows, entries, np.concatenate([(weight[:, None] * worth[agent, own]).ravel(), -weight])

    def _share(self, profile: Any, agent: Any, item: Any) -> Any:
        return (profile * self.agents + agent) * self.items + item

    def _payment(self, profile: Any, agent: Any) -> Any:
        return self._payments + profile * self.agents + agent

    def _rows(self, of: Any, entries: Any, coefficients: Any) -> Any:
        from scipy.sparse import csr_array

        count = int(of.max()) + 1 if len(of) else 0
        rows = csr_array((coefficients, (of, self.column[entries])), shape=(count, self.variables))
        rows.sum_duplicates()
        return rows

    def mechanism(
        self, table: Table, name: str, guarantees: tuple[Claim, ...], source: str
    ) -> MultiParameterMechanism | SingleParameterMechanism:
        """The table as a direct mechanism: it answers the types that it knows."""
        shape, agents = self.weights.shape, self.prior.agents

        def at(reports: Sequence[Float64[FloatArray, "batch items"]]) -> Int64[np.ndarray, " batch"]:
            nearest = [np.abs(told[:, None] - own).max(axis=2).argmin(axis=1) for told, own in zip(reports, self.types, strict=True)]
            return np.asarray(np.ravel_multi_index(tuple(nearest), shape))

        said: dict[str, Any] = {"name": name, "guarantees": guarantees, "formula": "x(theta), t(theta) by a table", "source": source}
        if self.numbers:

            def single(bids: Float64[FloatArray, "batch agents"]) -> tuple[Any, Any]:
                where = at([bids[:, i, None] for i in range(self.agents)])
                return table.shares[where, :, 0], table.paid[where]

            over = self.supply[0]
            return SingleParameterMechanism(
                rule=single, prior=self.prior, sides=self.sides, excess=lambda shares: shares @ self.sides - over, **said
            )

        def several(reports: Mapping[str, Float64[FloatArray, "batch items"]]) -> tuple[Any, Any]:
            where = at([reports[name] for name in agents])
            shares = {name: table.shares[where, i] for i, name in enumerate(agents)}
            return shares, {name: table.paid[where, i] for i, name in enumerate(agents)}

        def excess(shares: Mapping[str, Float64[FloatArray, "batch items"]]) -> Float64[FloatArray, " batch"]:
            given = sum(side * shares[name] for side, name in zip(self.sides, agents, strict=True))
            return np.asarray((given - self.supply).max(axis=1))

        sides = dict(zip(agents, self.sides.tolist(), strict=True))
        return MultiParameterMechanism(rule=several, prior=self.prior, sides=sides, excess=excess, **said)


def _joint(prior: JointPrior, types: Sequence[Float64[FloatArray, "_types items"]]) -> Float64[FloatArray, "*types"]:
    """How likely each profile is."""
    nodes, likely = prior.quadrature(2)
    where = []
    for name, own in zip(prior.agents, types, strict=True):
        places = {tuple(row): k for k, row in enumerate(own.tolist())}
        where.append([places[tuple(row)] for row in np.asarray(nodes[name], dtype=np.float64).reshape(len(likely), -1).tolist()])
    joint = np.zeros([len(own) for own in types])
    np.add.at(joint, tuple(where), likely)
    return joint


def _each(supply: Sequence[float] | float, items: int) -> Float64[FloatArray, " items"]:
    each = float64_array([supply] * items if isinstance(supply, int | float) else supply, "supply")
    if each.shape != (items,) or bool(np.any(each < 0.0)):
        raise InputError(f"supply: expected a number >= 0, or {items} of them, one an item, got {supply}")
    return each
