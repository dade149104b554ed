"""Combinatorial auctions: goods, and bidders with bids on bundles of them."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from hurwicz._foundation import InputError
from hurwicz.formats.cats import CatsBid, CatsFile
from hurwicz.valuations.bundles import AtomicBid, BundleBids

Bundle: TypeAlias = tuple[str, ...]


@dataclass(frozen=True)
class CombinatorialAuction:
    """What is for sale, and what is bid; :func:`combinatorial_auction` makes one, checked.

    Attributes:
        bids: bidder → bids.
        supply: good → units of it.
    """

    bids: Mapping[str, BundleBids]
    supply: Mapping[str, int]

    @property
    def bidders(self) -> tuple[str, ...]:
        """Names, in order."""
        return tuple(self.bids)

    @property
    def size(self) -> int:
        """Atomic bids of all bidders together."""
        return sum(len(bids.atoms) for bids in self.bids.values())

    def without(self, bidder: str) -> CombinatorialAuction:
        """The same auction had ``bidder`` stayed away."""
        return CombinatorialAuction({name: bids for name, bids in self.bids.items() if name != bidder}, self.supply)


@dataclass(frozen=True)
class Assignment:
    """Who wins which bids.

    Attributes:
        won: bidder → its winning atoms, for those who win.
        welfare: the sum of their prices (times weights, plus boosts, where an affine maximiser chose).
    """

    won: Mapping[str, tuple[AtomicBid, ...]] = field(default_factory=dict)
    welfare: float = 0.0

    @property
    def bundles(self) -> dict[str, Bundle]:
        """Winner → the goods it gets."""
        return {name: tuple(sorted(good for atom in atoms for good in atom.goods)) for name, atoms in self.won.items()}

    def bid_of(self, bidder: str) -> float:
        """What ``bidder`` bid for what it gets; 0 for who wins nothing."""
        return math.fsum(atom.price for atom in self.won.get(bidder, ()))


@dataclass(frozen=True)
class AuctionResult:
    """A cleared auction.

    Attributes:
        assignment: who wins what.
        payments: bidder → what it pays; 0 for losers.
        welfare_without: winner → greatest welfare had it stayed away, where the rule needed it.
    """

    assignment: Assignment
    payments: Mapping[str, float]
    welfare_without: Mapping[str, float] = field(default_factory=dict)

    @property
    def revenue(self) -> float:
        """Sum of payments."""
        return math.fsum(self.payments.values())


def combinatorial_auction(
    bids: Mapping[str, BundleBids] | Iterable[tuple[str, BundleBids]], *, goods: Iterable[str] | Mapping[str, int] | None = None
) -> CombinatorialAuction:
    """An auction, checked.

    Args:
        bids: bidder → bids, or pairs of them.
        goods: what is for sale: names (a name k times is k units) or good → units; one unit of every good bid on if omitted.

    Raises:
        InputError: a bidder named twice, a good bid on that is not for sale, units that are no whole number of at least 0, a price that
            is negative or not finite, a bundle without goods.

    Example:
        >>> from hurwicz.valuations import single_minded
        >>> auction = combinatorial_auction({"ann": single_minded("AB", 10.0), "bob": single_minded("A", 8.0)})
        >>> auction.supply, auction.size
        ({'A': 1, 'B': 1}, 2)
    """
    pairs = list(bids.items()) if isinstance(bids, Mapping) else list(bids)
    names = [name for name, _ in pairs]
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise InputError(f"expected different bidders, got {twice} more than once; rename one of each, or join their bids")
    supply = _supply(pairs, goods)
    for name, bidder in pairs:
        for atom in bidder.atoms:
            _check(name, atom, supply)
    return CombinatorialAuction(dict(pairs), supply)


def from_cats(file: CatsFile) -> CombinatorialAuction:
    """The auction of a CATS file: bids tied by a dummy good are one bidder's, any other bid is a bidder of its own.

    Example:
        >>> from hurwicz.formats import packaged_auction
        >>> auction = from_cats(packaged_auction("paths_g20_b200"))
        >>> len(auction.bidders), len(auction.supply), auction.size
        (85, 20, 201)
    """
    bids = {}
    for k, group in enumerate(file.bidders(), start=1):
        atoms = []
        for position in group:
            bid = file.bids[position]
            goods = tuple(sorted(f"good {g}" for g in bid.goods if g < file.goods))
            atoms.append(AtomicBid(goods, bid.price, frozenset(f"dummy {g}" for g in bid.goods if g >= file.goods)))
        bids[f"bidder {k}"] = BundleBids(tuple(atoms))
    return CombinatorialAuction(bids, {f"good {g}": 1 for g in range(file.goods)})


def to_cats(auction: CombinatorialAuction) -> CatsFile:
    """The auction as a CATS file: goods numbered in order, every phantom of a bidder a dummy good.

    Raises:
        InputError: several units of a good, or a bidder whose atoms no phantom ties together: a CATS file would make several bidders of it.

    Example:
        >>> from hurwicz.formats import write_cats
        >>> from hurwicz.valuations import xor_bids
        >>> auction = combinatorial_auction({"ann": xor_bids([("A", 3.0), ("B", 2.0)])})
        >>> print(write_cats(to_cats(auction)).splitlines()[-1].split())
        ['1', '2', '1', '2', '#']
    """
    many = [good for good, units in auction.supply.items() if units != 1]
    if many:
        raise InputError(f"expected one unit of every good, got {auction.supply[many[0]]} of {many[0]!r}; a CATS file has one of each")
    number = {good: k for k, good in enumerate(auction.supply)}
    dummies: dict[tuple[str, str], int] = {}
    bids: list[CatsBid] = []
    for bidder, own in auction.bids.items():
        tied: set[str] = set()
        for k, atom in enumerate(own.atoms):
            if k and not atom.phantoms & tied:
                raise InputError(f"{bidder!r}: expected bids that phantoms tie together, got OR bids; use to_xor() first")
            tied |= atom.phantoms
            used = sorted(dummies.setdefault((bidder, phantom), len(number) + len(dummies)) for phantom in atom.phantoms)
            bids.append(CatsBid(len(bids), atom.price, (*sorted(number[good] for good in atom.goods), *used)))
    return CatsFile(len(number), len(dummies), tuple(bids))


def _supply(pairs: list[tuple[str, BundleBids]], goods: Iterable[str] | Mapping[str, int] | None) -> dict[str, int]:
    if goods is None:
        return dict.fromkeys(dict.fromkeys(good for _, own in pairs for atom in own.atoms for good in atom.goods), 1)
    if isinstance(goods, Mapping):
        for good, units in goods.items():
            if isinstance(units, bool) or not isinstance(units, int) or units < 0:
                raise InputError(f"{good!r}: expected a whole number of units of at least 0, got {units!r}")
        return dict(goods)
    supply: dict[str, int] = {}
    for good in goods:
        supply[good] = supply.get(good, 0) + 1
    return supply


def _check(bidder: str, atom: AtomicBid, supply: Mapping[str, int]) -> None:
    if not atom.goods:
        raise InputError(f"{bidder!r}: expected bundles of at least one good, got none at price {atom.price!r}; leave the bid out")
    for good in atom.goods:
        if good not in supply:
            near = difflib.get_close_matches(good, supply, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"for sale are {sorted(supply)[:10]}{' ...' if len(supply) > 10 else ''}"
            raise InputError(f"{bidder!r} bids on {good!r}, which is not for sale; {hint}")
    if not math.isfinite(atom.price) or atom.price < 0:
        raise InputError(f"{bidder!r}: expected prices that are finite and not negative, got {atom.price!r} for {', '.join(atom.goods)}")
