"""What serving a set of agents costs, with the Shapley value of every set: airports in closed form, other functions as tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float64, Int64

from hurwicz._foundation import InputError, float64_array
from hurwicz.mechanisms._arguments import ROUNDING, number, one_each
from hurwicz.mechanisms.single_parameter import Bids

CostFunction: TypeAlias = Callable[[frozenset[str]], float]
Cost: TypeAlias = float | Sequence[float] | CostFunction
Served: TypeAlias = Bool[np.ndarray, "batch agents"]

_MOST_AGENTS = 14
_CHUNK = 2_000_000


class Airport:
    """C(S) = the greatest need in S; a fixed cost is the airport where all needs are the same."""

    def __init__(self, needs: Float64[np.ndarray, " agents"]) -> None:
        self._order = np.argsort(needs, kind="stable")
        self._needs = needs
        self._sorted = needs[self._order]
        self._steps = np.diff(self._sorted, prepend=0.0)
        self.shared = len(needs) > 1 and bool(self._sorted[-2] > 0.0)

    def cost(self, served: Served) -> Float64[np.ndarray, " batch"]:
        """C of each set."""
        return np.asarray(np.max(np.where(served, self._needs, 0.0), axis=1), dtype=np.float64)

    def shapley(self, served: Served) -> Float64[np.ndarray, "batch agents"]:
        """The Shapley value of every member of each set."""
        # every stretch of the runway is shared equally by those who need it
        users = np.cumsum(served[:, self._order][:, ::-1], axis=1)[:, ::-1]
        out = np.empty(served.shape)
        out[:, self._order] = np.cumsum(self._steps / np.maximum(users, 1), axis=1)
        return out

    def net(self, served: Served, values: Bids) -> Float64[np.ndarray, " batch"]:
        """Values of those served, less what serving them costs."""
        return np.asarray((values * served).sum(axis=1) - self.cost(served), dtype=np.float64)

    def efficient(self, values: Bids) -> Served:
        """The largest of the sets of greatest net value."""
        gain = np.cumsum(values[:, self._order], axis=1) - self._sorted
        gain = np.concatenate([np.zeros((len(values), 1)), gain], axis=1)
        longest = gain.shape[1] - 1 - np.argmax(gain[:, ::-1], axis=1)  # the largest set among the best
        served = np.zeros(values.shape, dtype=bool)
        served[:, self._order] = np.arange(values.shape[1]) < longest[:, None]
        return served


class CostTable:
    """Any cost function of few agents, as a table over all sets; a set is a number whose bits are its members."""

    def __init__(self, mechanism: str, names: Sequence[str], cost: CostFunction, *, submodular: bool) -> None:
        n = len(names)
        if n > _MOST_AGENTS:
            raise InputError(f"{mechanism}: expected at most {_MOST_AGENTS} agents for a cost given as a function, got {n}")
        sets = np.arange(2**n)
        self._members: Bool[np.ndarray, "sets agents"] = (sets[:, None] >> np.arange(n)) % 2 == 1
        listed = [float(cost(frozenset(names[i] for i in range(n) if self._members[s, i]))) for s in sets]
        table = float64_array(listed, f"{mechanism}: cost", shape=(2**n,))
        slack = ROUNDING * max(1.0, float(np.abs(table).max()))
        if abs(table[0]) > slack:
            raise InputError(f"{mechanism}: expected a cost of 0 for serving nobody, got {table[0]:g}")
        self._table = table
        self._bits = 2 ** np.arange(n)
        marginal = np.stack([table[sets | b] - table[sets] for b in self._bits], axis=1)
        if submodular:
            for i in range(n):
                for j in range(n):
                    rise = marginal[sets | self._bits[j], i] - marginal[:, i]
                    outside = ~self._members[:, i] & ~self._members[:, j] & (i != j)
                    worst = int(np.argmax(np.where(outside, rise, -np.inf)))
                    if marginal[~self._members[:, i], i].min() < -slack or (outside.any() and rise[worst] > slack):
                        members = [names[k] for k in range(n) if self._members[worst, k]]
                        raise InputError(
                            f"{mechanism}: expected a cost that is nondecreasing and submodular (serving {names[i]!r} too costs no more "
                            f"in a larger set), got another: see {members} with and without {names[j]!r}"
                        )
        self._phi = self._values(marginal)
        self.shared = bool(np.any(table[self._bits].sum() > table[-1] + slack))

    def _values(self, marginal: Float64[np.ndarray, "sets agents"]) -> Float64[np.ndarray, "sets agents"]:
        # phi_i(S) = sum over T in S without i of |T|! (|S|-|T|-1)! / |S|! marginal_i(T)
        n = len(self._bits)
        size = self._members.sum(axis=1)
        phi = np.zeros(marginal.shape)
        weight = np.asarray(
            [[math.factorial(t) * math.factorial(s - t - 1) / math.factorial(s) if t < s else 0.0 for t in range(n)] for s in range(n + 1)]
        )
        for s in range(1, len(size)):
            inside = _subsets(s)
            for i in np.flatnonzero(self._members[s]):
                without = inside[~self._members[inside, i]]
                phi[s, i] = weight[size[s], size[without]] @ marginal[without, i]
        return phi

    def _index(self, served: Served) -> Int64[np.ndarray, " batch"]:
        return served.astype(np.int64) @ self._bits

    def cost(self, served: Served) -> Float64[np.ndarray, " batch"]:
        """C of each set."""
        return np.asarray(self._table[self._index(served)], dtype=np.float64)

    def shapley(self, served: Served) -> Float64[np.ndarray, "batch agents"]:
        """The Shapley value of every member of each set."""
        return np.asarray(self._phi[self._index(served)], dtype=np.float64)

    def net(self, served: Served, values: Bids) -> Float64[np.ndarray, " batch"]:
        """Values of those served, less what serving them costs."""
        return np.asarray((values * served).sum(axis=1) - self.cost(served), dtype=np.float64)

    def efficient(self, values: Bids) -> Served:
        """The largest of the sets of greatest net value."""
        out = np.empty(values.shape, dtype=bool)
        per = max(1, _CHUNK // len(self._table))
        members = self._members.astype(np.float64)
        for begin in range(0, len(values), per):
            net = values[begin : begin + per] @ members.T - self._table
            near = net >= net.max(axis=1, keepdims=True) - ROUNDING
            largest = np.argmax(np.where(near, members.sum(axis=1), -1.0), axis=1)
            out[begin : begin + per] = self._members[largest]
        return out


def cost_model(mechanism: str, names: Sequence[str], cost: Cost, *, submodular: bool = True) -> Airport | CostTable:
    """The cost of every set, from a number, a number an agent or a function."""
    if callable(cost):
        return CostTable(mechanism, names, cost, submodular=submodular)
    if isinstance(cost, int | float):
        return Airport(np.full(len(names), number(mechanism, "cost", cost)))
    return Airport(one_each(mechanism, "cost", cost, names))


def _subsets(s: int) -> Int64[np.ndarray, " subsets"]:
    # every subset of the set s, itself included
    bits = [b for b in range(s.bit_length()) if s >> b & 1]
    out = np.zeros(1, dtype=np.int64)
    for b in bits:
        out = np.concatenate([out, out | (1 << b)])
    return out
