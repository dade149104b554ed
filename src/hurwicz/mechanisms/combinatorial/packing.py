"""Winner determination as weighted packing: max <p, x> with A x ≤ supply, x in {0, 1}; what can be left out of it beforehand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float64, Int64

from hurwicz._foundation import FloatArray
from hurwicz.mechanisms.combinatorial.auction import Assignment, CombinatorialAuction
from hurwicz.valuations.bundles import AtomicBid

if TYPE_CHECKING:
    from scipy.sparse import csc_array


@dataclass(frozen=True)
class Packing:
    """Bids as columns, goods and phantom goods as rows.

    Attributes:
        prices: p, one a bid.
        uses: A, units of each row that each bid takes; sparse.
        supply: units there are of each row; 1 for a phantom.
        owner: number of the bidder of each bid.
        phantom: which rows are phantoms.
    """

    prices: Float64[FloatArray, " bids"]
    uses: csc_array
    supply: Float64[FloatArray, " rows"]
    owner: Int64[np.ndarray, " bids"]
    phantom: Bool[np.ndarray, " rows"]

    @property
    def size(self) -> int:
        """Number of bids."""
        return len(self.prices)

    @cached_property
    def conflicts(self) -> Bool[np.ndarray, "bids bids"]:
        """Which two bids exclude each other: they share a row of which there are too few units for both."""
        single = self.supply == 1
        rows = self.uses.tocsr()
        alone = rows[single].astype(np.float32)
        found: Any = (alone.T @ alone).toarray() > 0
        for r in np.flatnonzero(~single):
            take = rows[[r]].toarray()[0]
            found |= (take[:, None] > 0) & (take[None, :] > 0) & (take[:, None] + take[None, :] > self.supply[r])
        np.fill_diagonal(found, False)
        return np.asarray(found, dtype=bool)

    @cached_property
    def several(self) -> Float64[FloatArray, "bids several"]:
        """Units taken of the rows of which there is more than one unit: what conflicts of two bids do not say."""
        return np.asarray(self.uses.tocsr()[self.supply > 1].toarray().T, dtype=np.float64)

    def total(self, chosen: Sequence[int]) -> float:
        """Sum of prices."""
        return float(sum(self.prices[j] for j in sorted(chosen)))

    def part(self, columns: Int64[np.ndarray, " part"]) -> Packing:
        """The packing of some bids only, with the rows that they use."""
        uses = self.uses[:, columns]
        rows = np.flatnonzero(np.diff(uses.tocsr().indptr))
        return Packing(self.prices[columns], uses.tocsr()[rows].tocsc(), self.supply[rows], self.owner[columns], self.phantom[rows])


@dataclass(frozen=True)
class Prepared:
    """An auction as packings that can be solved one by one.

    Attributes:
        auction: where it comes from.
        atoms: (bidder, atom) of every bid of ``whole``.
        whole: the packing of all bids that can win.
        components: columns of ``whole`` in groups that share no row.
    """

    auction: CombinatorialAuction
    atoms: tuple[tuple[str, AtomicBid], ...]
    whole: Packing
    components: tuple[Int64[np.ndarray, " _"], ...]

    def assignment(self, chosen: Sequence[int], welfare: float) -> Assignment:
        """The winners as names and atoms."""
        won: dict[str, tuple[AtomicBid, ...]] = {}
        for j in sorted(chosen):
            bidder, atom = self.atoms[j]
            won[bidder] = (*won.get(bidder, ()), atom)
        return Assignment(won, welfare)


def prepare(auction: CombinatorialAuction, weight: Callable[[str, AtomicBid], float] | None = None) -> Prepared:
    """The packing of an auction, without bids that cannot win or need not.

    Left out are prices of 0, bundles larger than the supply, and bids dominated by one of the same bidder: no more goods, no more
    phantoms, no lower price. (Bids of others must stay: they count once their bidder is away.) What is left falls into components
    that share no good.

    Args:
        auction: bids and supply.
        weight: what a bid counts for; its price if omitted.

    Example:
        >>> from hurwicz.mechanisms.combinatorial import combinatorial_auction
        >>> from hurwicz.valuations import xor_bids
        >>> bids = xor_bids([("A", 3.0), ("AB", 3.0), ("C", 1.0), ("D", 0.0)])
        >>> prepare(combinatorial_auction({"ann": bids})).whole.prices
        array([3., 1.])
    """
    atoms: list[tuple[str, AtomicBid]] = []
    prices: list[float] = []
    owner: list[int] = []
    for k, (bidder, bids) in enumerate(auction.bids.items()):
        for atom, price in _undominated(auction, bidder, bids.atoms, weight):
            atoms.append((bidder, atom))
            prices.append(price)
            owner.append(k)
    packing = _packing(auction, atoms, np.asarray(prices, dtype=np.float64), np.asarray(owner, dtype=np.int64))
    return Prepared(auction, tuple(atoms), packing, _components(packing))


def _undominated(
    auction: CombinatorialAuction, bidder: str, atoms: Sequence[AtomicBid], weight: Callable[[str, AtomicBid], float] | None
) -> list[tuple[AtomicBid, float]]:
    priced = [(atom, atom.price if weight is None else weight(bidder, atom)) for atom in atoms]
    fit = [
        (atom, price, _units(atom.goods))
        for atom, price in priced
        if price > 0 and all(units <= auction.supply[good] for good, units in _units(atom.goods).items())
    ]
    # One bit a unit of each good: a bundle lies within another where its bits do.
    bit: dict[tuple[str, int], int] = {}
    kept: list[tuple[AtomicBid, float, int]] = []
    # A dominating bid has fewer goods, or as many and a price as high: in this order it comes first.
    for atom, price, units in sorted(fit, key=lambda bid: (len(bid[0].goods), len(bid[0].phantoms), -bid[1])):
        mask = sum(1 << bit.setdefault((good, k), len(bit)) for good, count in units.items() for k in range(count))
        scarce = sum(1 << bit[good, 0] for good in units if auction.supply[good] == 1)
        if not any(
            less & mask == less and other >= price and a.phantoms <= atom.phantoms and (a.phantoms or less & scarce)
            for a, other, less in kept
        ):
            kept.append((atom, price, mask))
    place = {id(atom): k for k, (atom, _) in enumerate(priced)}
    return [(atom, price) for atom, price, _ in sorted(kept, key=lambda bid: place[id(bid[0])])]


def _units(goods: Sequence[str]) -> dict[str, int]:
    counted: dict[str, int] = {}
    for good in goods:
        counted[good] = counted.get(good, 0) + 1
    return counted


def _packing(
    auction: CombinatorialAuction,
    atoms: Sequence[tuple[str, AtomicBid]],
    prices: Float64[FloatArray, " bids"],
    owner: Int64[np.ndarray, " bids"],
) -> Packing:
    from scipy.sparse import csc_array

    row: dict[Any, int] = {}
    supply: list[float] = []
    phantom: list[bool] = []
    data, rows, columns = [], [], []
    for j, (bidder, atom) in enumerate(atoms):
        wanted: list[tuple[Any, int, int]] = [(good, units, auction.supply[good]) for good, units in _units(atom.goods).items()]
        wanted += [((bidder, name), 1, 1) for name in sorted(atom.phantoms)]
        for key, units, available in wanted:
            if key not in row:
                row[key] = len(row)
                supply.append(available)
                phantom.append(isinstance(key, tuple))
            data.append(float(units))
            rows.append(row[key])
            columns.append(j)
    uses = csc_array((np.asarray(data, dtype=np.float64), (rows, columns)), shape=(len(row), len(atoms)))
    return Packing(prices, uses, np.asarray(supply, dtype=np.float64), owner, np.asarray(phantom, dtype=bool))


def _components(packing: Packing) -> tuple[Int64[np.ndarray, " _"], ...]:
    """Groups of bids that share no row, by the bipartite graph of bids and rows."""
    from scipy.sparse import bmat
    from scipy.sparse.csgraph import connected_components

    if packing.size == 0:
        return ()
    blocks: Any = [[None, packing.uses], [packing.uses.T, None]]
    graph: Any = bmat(blocks)
    _, label = connected_components(graph, directed=False)
    of_bids = label[len(packing.supply) :]
    return tuple(np.flatnonzero(of_bids == k).astype(np.int64) for k in dict.fromkeys(of_bids.tolist()))
