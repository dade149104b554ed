"""Small auctions by hypothesis, and the same questions answered by trying everything."""

from __future__ import annotations

import itertools
from collections import Counter

from hypothesis import strategies as st

from hurwicz.mechanisms.combinatorial import CombinatorialAuction, combinatorial_auction
from hurwicz.valuations import AtomicBid, BundleBids

GOODS = ("A", "B", "C", "D")


Data = tuple[list[list[tuple[list[str], float, frozenset[str]]]], dict[str, int]]


@st.composite
def auctions(draw: st.DrawFn, *, xor: bool = False, units: int = 1) -> Data:
    """Up to four bidders on four goods, of which nobody need want each; few different prices, so that ties are everywhere.

    Plain data: run-time checks draw random elements, which hypothesis forbids within a strategy. :func:`made` makes the auction.
    """
    phantoms = st.just(frozenset({"xor"})) if xor else st.sets(st.sampled_from("pq"), max_size=1).map(frozenset)
    bundle = st.lists(st.sampled_from(GOODS), min_size=1, max_size=3, unique=units == 1)
    price = st.one_of(st.integers(0, 4).map(float), st.floats(0.0, 10.0).map(lambda p: round(p, 3)))
    own = draw(st.lists(st.lists(st.tuples(bundle, price, phantoms), max_size=4), max_size=4))
    return own, {good: draw(st.integers(0 if units > 1 else 1, units)) for good in GOODS}


def made(data: Data) -> CombinatorialAuction:
    """The auction of drawn data."""
    own, supply = data
    atoms = [tuple(AtomicBid(tuple(sorted(goods)), price, phantoms) for goods, price, phantoms in bids) for bids in own]
    return combinatorial_auction({f"bidder {k}": BundleBids(bids) for k, bids in enumerate(atoms)}, goods=supply)


def best_by_brute_force(auction: CombinatorialAuction, members: set[str] | None = None) -> float:
    """The greatest welfare over all sets of atoms of ``members``."""
    atoms = [(b, a) for b, bids in auction.bids.items() if members is None or b in members for a in bids.atoms if a.price > 0]
    best = 0.0
    for size in range(len(atoms) + 1):
        for chosen in itertools.combinations(atoms, size):
            if sum(a.price for _, a in chosen) > best and feasible(auction, chosen):
                best = sum(a.price for _, a in chosen)
    return best


def feasible(auction: CombinatorialAuction, chosen: tuple[tuple[str, AtomicBid], ...]) -> bool:
    """Whether these atoms may win together."""
    used = Counter(good for _, atom in chosen for good in atom.goods)
    phantoms = Counter((bidder, p) for bidder, atom in chosen for p in atom.phantoms)
    return all(units <= auction.supply[good] for good, units in used.items()) and max(phantoms.values(), default=0) <= 1


def winners(result: object) -> tuple[tuple[str, AtomicBid], ...]:
    """Winning atoms as pairs."""
    return tuple((bidder, atom) for bidder, atoms in result.won.items() for atom in atoms)  # type: ignore[attr-defined]
