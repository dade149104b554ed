"""Winner determination where every bid is on goods in a row (slots of time, land along a road): a table over places and sets.

Where the goods can be put in an order in which every bundle is an interval, the best assignment without phantoms is a longest path along
them; with phantoms it is one for every set of those that are still free. The table answers for all bidders and without each of them.

Source: M. H. Rothkopf, A. Pekeč and R. M. Harstad, "Computationally Manageable Combinational Auctions", Management Science 44, 1998
(intervals); M. Held and R. M. Karp, "A Dynamic Programming Approach to Sequencing Problems", Journal of SIAM 10, 1962 (sets of jobs);
J. E. Atkins, E. G. Boman and B. Hendrickson, "A Spectral Algorithm for Seriation and the Consecutive Ones Problem", SIAM Journal on
Computing 28, 1998 (the order of the goods).
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Int64

from hurwicz._foundation import FloatArray
from hurwicz.mechanisms.combinatorial.packing import Packing

MOST_ENTRIES = 2**24
"""Entries of a table beyond which none is made: 128 MiB, and half a second or so to fill."""

_TOLD_APART = 1e-9  # of the length of a Fiedler vector


class IntervalTable:
    r"""V[t][F] = the best of the bids that lie from place t on while the phantoms F are free, filled from the last place to the first.

    V[t][F] = max(V[t + 1][F], max over bids j on [t, e) with phantoms P ⊆ F of p_j + V[e][F \ P])

    Args:
        packing: bids, each on goods in a row.
        first: place of each bid's first good.
        after: place after its last.
    """

    def __init__(self, packing: Packing, first: Int64[np.ndarray, " bids"], after: Int64[np.ndarray, " bids"]) -> None:
        self.packing, self.first, self.after = packing, first, after
        self.places = int(after.max())
        rows = packing.uses.tocsr()[packing.phantom]
        bids_of = [rows.indices[a:b] for a, b in zip(rows.indptr[:-1], rows.indptr[1:], strict=True)]
        # Bids that overlap anyway need no phantom. The phantom that is of use furthest on gets the lowest bit: then the sets that
        # matter at a place are the first ones, V[t] being the same for all the others.
        told = sorted((own for own in bids_of if after[own].min() <= first[own].max()), key=lambda own: -int(first[own].max()))
        self.bits = [np.isin(np.arange(packing.size), own) for own in told]
        self.phantoms: list[list[int]] = [[] for _ in range(packing.size)]
        for bit, own in enumerate(told):
            for j in own:
                self.phantoms[j].append(bit)
        self.open = [sum(int(first[own].max()) >= t for own in told) for t in range(self.places + 1)]
        self.starting = [np.flatnonzero(first == t).tolist() for t in range(self.places)]
        self.table: list[FloatArray] | None = None

    @property
    def entries(self) -> int:
        """Entries of the table."""
        return sum(1 << count for count in self.open)

    def maximum(self, allowed: Bool[np.ndarray, " bids"], deadline: float = math.inf) -> tuple[tuple[int, ...], float] | None:
        """The best assignment among the allowed bids and its value, or ``None`` where time ran out.

        Args:
            allowed: bids that may win.
            deadline: ``time.perf_counter()`` at which to give up.
        """
        if self.table is None:
            everybody = np.ones(self.packing.size, dtype=bool)
            self.table = self._filled([np.zeros(1)] * (self.places + 1), self.places - 1, everybody, deadline)
        table = self.table
        free, away = 0, ~allowed
        for bit, own in enumerate(self.bits):
            if (own & allowed).any():
                free |= 1 << bit
            else:
                away &= ~own  # not having the phantom keeps them all away
        if table is not None and away.any():
            table = self._filled(table, int(self.first[away].max()), allowed, deadline)
        if table is None:
            return None
        return self._traced(table, allowed, free), float(table[0][free])

    def _filled(
        self, table: Sequence[FloatArray], last: int, allowed: Bool[np.ndarray, " bids"], deadline: float
    ) -> list[FloatArray] | None:
        """A table that is as given behind the place ``last``; ``None`` where time ran out."""
        filled = list(table)
        for t in range(last, -1, -1):
            if time.perf_counter() >= deadline:
                return None
            best = np.tile(filled[t + 1], 1 << self.open[t] - self.open[t + 1]).reshape((2,) * self.open[t])
            for j in self.starting[t]:
                if allowed[j]:
                    # One axis for each phantom, the last for bit 0; those that V[e] does not tell apart are its missing first axes.
                    e = int(self.after[j])
                    later = filled[e].reshape((2,) * self.open[e])
                    having = best[self._axes(j, self.open[t], 1)]
                    np.maximum(having, later[self._axes(j, self.open[e], 0)] + self.packing.prices[j], out=having)
            filled[t] = best.reshape(-1)
        return filled

    def _axes(self, bid: int, count: int, at: int) -> tuple[Any, ...]:
        """The sets that have (``at`` 1) or have not (0) the bid's phantoms, as an index."""
        index: list[Any] = [slice(None)] * count
        for bit in self.phantoms[bid]:
            if bit < count:
                index[count - 1 - bit] = at
        return (*index, ...)

    def _traced(self, table: list[FloatArray], allowed: Bool[np.ndarray, " bids"], free: int) -> tuple[int, ...]:
        """The bids that make up V[0][free]."""

        def entry(t: int, phantoms: int) -> float:
            return float(table[t][phantoms & (len(table[t]) - 1)])

        chosen, t = [], 0
        while t < self.places:
            taken, after, left, most = -1, t + 1, free, entry(t + 1, free)
            for j in self.starting[t]:
                own = sum(1 << bit for bit in self.phantoms[j])
                if allowed[j] and free & own == own:
                    worth = float(self.packing.prices[j]) + entry(int(self.after[j]), free ^ own)
                    if worth > most:
                        taken, after, left, most = j, int(self.after[j]), free ^ own, worth
            if taken >= 0:
                chosen.append(taken)
            t, free = after, left
        return tuple(sorted(chosen))


def interval_table(packing: Packing) -> IntervalTable | None:
    """The table of a packing, not filled yet; ``None`` where bids are no intervals or there are too many sets of phantoms."""
    goods = ~packing.phantom
    if bool((packing.supply[goods] > 1).any()):
        return None
    uses = packing.uses.tocsr()[goods]
    place = in_a_row(uses)
    if place is None:
        return None
    columns = uses.tocsc()
    first, after = np.zeros(packing.size, dtype=np.int64), np.zeros(packing.size, dtype=np.int64)
    end = len(place)
    for j in range(packing.size):
        own = place[columns.indices[columns.indptr[j] : columns.indptr[j + 1]]]
        # A bid on no goods (to stay out) gets a place of its own behind all goods.
        first[j], after[j] = (own.min(), own.max() + 1) if len(own) else (end, end + 1)
        end = max(end, int(after[j]))
    found = IntervalTable(packing, first, after)
    return found if found.entries <= MOST_ENTRIES else None


def in_a_row(uses: Any) -> Int64[np.ndarray, " rows"] | None:
    """Places of the rows of a 0/1 matrix such that every column's ones are in a row; ``None`` where no such order was found."""
    order = _seriated((uses @ uses.T).toarray(), np.arange(uses.shape[0]))
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    columns = uses.tocsc()
    for a, b in zip(columns.indptr[:-1], columns.indptr[1:], strict=True):
        own = place[columns.indices[a:b]]
        if len(own) and own.max() - own.min() + 1 > len(own):
            return None
    return place


def _seriated(shared: FloatArray, rows: Int64[np.ndarray, " some"]) -> list[int]:
    """The rows by the Fiedler vector of how many columns two of them share; those that it does not tell apart among themselves again."""
    from scipy.sparse.csgraph import connected_components

    as_given: list[int] = rows.tolist()
    if len(rows) < 3:
        return as_given
    among = shared[np.ix_(rows, rows)]
    count, group = connected_components(among, directed=False)
    if count == 1:
        np.fill_diagonal(among, 0.0)
        along = np.linalg.eigh(np.diag(among.sum(axis=1)) - among)[1][:, 1]
        order = np.argsort(along)
        group[order] = np.cumsum(np.diff(along[order], prepend=along[order[0]]) > _TOLD_APART)
        count = int(group.max()) + 1
    if count == 1:
        return as_given
    return [row for k in range(count) for row in _seriated(shared, rows[group == k])]
