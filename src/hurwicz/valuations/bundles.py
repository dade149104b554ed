"""Values of bundles of goods, written as bids: XOR, OR, and OR with phantom goods, which holds them all.

A bidder's bids are a list of atoms (goods, price). Any set of atoms may win together whose goods are to be had and that share no
*phantom* good; the bidder's value of a bundle is the best such set within it. Without phantoms this is OR, with one phantom in all atoms
it is XOR, and every valuation can be written so.

Source: Y. Fujishima, K. Leyton-Brown and Y. Shoham, "Taming the Computational Complexity of Combinatorial Auctions", IJCAI 1999 (dummy
goods); N. Nisan, "Bidding and Allocation in Combinatorial Auctions", EC 2000 (OR* and what each language can say).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from hurwicz._foundation import InputError

Goods: TypeAlias = tuple[str, ...]
XOR = "xor"


@dataclass(frozen=True)
class AtomicBid:
    """A price for a bundle, all of it or nothing.

    Attributes:
        goods: names, sorted; a name that stands there k times means k units of it.
        price: what the bundle is worth to the bidder, or what it bids.
        phantoms: no two atoms of a bidder that share one of these can both win.
    """

    goods: Goods
    price: float
    phantoms: frozenset[str] = frozenset()


@dataclass(frozen=True)
class BundleBids:
    """What a bidder bids: atoms, of which any compatible set may win.

    Example:
        >>> either = xor_bids([(["A"], 3.0), (["A", "B"], 5.0)])
        >>> either.value(["A", "B", "C"]), either.value(["B"])
        (5.0, 0.0)
        >>> both = or_bids([(["A"], 3.0), (["B"], 1.0), (["A", "B"], 5.0)])
        >>> both.value(["A", "B"]), both.value(["B"])
        (5.0, 1.0)
    """

    atoms: tuple[AtomicBid, ...] = ()

    @property
    def goods(self) -> frozenset[str]:
        """Every good that some atom names."""
        return frozenset(good for atom in self.atoms for good in atom.goods)

    @property
    def is_xor(self) -> bool:
        """True where at most one atom can win."""
        return len(self.atoms) < 2 or bool(frozenset.intersection(*(atom.phantoms for atom in self.atoms)))

    def value(self, bundle: Iterable[str]) -> float:
        """v(S) = max of the sum of prices of a compatible set of atoms within S.

        Args:
            bundle: goods, a name once for every unit.
        """
        have = Counter(bundle)
        inside = [atom for atom in self.atoms if atom.price > 0 and _fits(Counter(atom.goods), have)]
        if not inside:
            return 0.0
        if self.is_xor:
            return max(atom.price for atom in inside)
        return sum(_best_set(group, have) for group in _independent(inside))

    def to_xor(self, *, most: int = 100_000) -> BundleBids:
        """The same valuation in XOR bids: every bundle that some compatible set wins, at its best price, dominated ones left out.

        Args:
            most: compatible sets that may be listed.

        Raises:
            InputError: there are more of them; OR and phantom goods say in few atoms what XOR may need very many for.

        Example:
            >>> for atom in additive({"A": 1.0, "B": 2.0}).to_xor().atoms:
            ...     print(atom.goods, atom.price)
            ('A',) 1.0
            ('B',) 2.0
            ('A', 'B') 3.0
        """
        if self.is_xor:
            return BundleBids(tuple(AtomicBid(a.goods, a.price, frozenset({XOR})) for a in self.atoms))
        prices: dict[Goods, float] = {}
        listed: list[tuple[int, Goods, float, frozenset[str]]] = [(0, (), 0.0, frozenset())]
        count = 0
        while listed:
            start, goods, price, used = listed.pop()
            for k in range(start, len(self.atoms)):
                atom = self.atoms[k]
                if used & atom.phantoms:
                    continue
                count += 1
                if count > most:
                    raise InputError(
                        f"expected at most {most} compatible sets among {len(self.atoms)} atoms, got more; keep the OR form or raise `most`"
                    )
                bundle, total = tuple(sorted((*goods, *atom.goods))), price + atom.price
                prices[bundle] = max(total, prices.get(bundle, -math.inf))
                listed.append((k + 1, bundle, total, used | atom.phantoms))
        counted = {bundle: Counter(bundle) for bundle in prices}
        kept = [
            bundle
            for bundle in sorted(prices, key=lambda b: (len(b), b))
            if not any(other != bundle and prices[other] >= prices[bundle] and _fits(counted[other], counted[bundle]) for other in prices)
        ]
        return BundleBids(tuple(AtomicBid(bundle, prices[bundle], frozenset({XOR})) for bundle in kept))


def xor_bids(bids: Iterable[tuple[Iterable[str], float]]) -> BundleBids:
    """At most one of these bundles: v(S) = max of the prices of bundles within S.

    Args:
        bids: (goods, price) each; a good named k times means k units.

    Raises:
        InputError: a bundle without goods, a price that is negative or not finite.
    """
    return BundleBids(tuple(_atom(goods, price, frozenset({XOR})) for goods, price in bids))


def or_bids(bids: Iterable[tuple[Iterable[str], float]]) -> BundleBids:
    """Any of these bundles that do not overlap.

    Args:
        bids: (goods, price) each.

    Raises:
        InputError: as in :func:`xor_bids`.
    """
    return BundleBids(tuple(_atom(goods, price) for goods, price in bids))


def or_of_xor_bids(groups: Iterable[Iterable[tuple[Iterable[str], float]]]) -> BundleBids:
    """At most one bundle of each group.

    Example:
        >>> or_of_xor_bids([[("A", 3.0), ("B", 4.0)], [("B", 2.0)]]).value("AB")
        5.0
    """
    return BundleBids(tuple(_atom(goods, price, frozenset({f"{XOR} {k}"})) for k, group in enumerate(groups) for goods, price in group))


def additive(values: Mapping[str, float]) -> BundleBids:
    """v(S) = sum of the values of the goods in S.

    Example:
        >>> additive({"A": 1.0, "B": 2.0}).value("AB")
        3.0
    """
    return or_bids(((good,), value) for good, value in values.items())


def unit_demand(values: Mapping[str, float]) -> BundleBids:
    """v(S) = greatest value of a good in S.

    Example:
        >>> unit_demand({"A": 1.0, "B": 2.0}).value("AB")
        2.0
    """
    return xor_bids(((good,), value) for good, value in values.items())


def single_minded(goods: Iterable[str], value: float) -> BundleBids:
    """One bundle or nothing.

    Example:
        >>> single_minded("AB", 7.0).value("A")
        0.0
    """
    return xor_bids([(goods, value)])


def decreasing_marginals(good: str, marginals: Sequence[float]) -> BundleBids:
    """Value of k units of one good = the sum of the first k marginals.

    Args:
        good: its name.
        marginals: value of the first unit, of one more, ...; not increasing.

    Raises:
        InputError: marginals that increase: then "k units" are no set of single units, and XOR bids say it.

    Example:
        >>> decreasing_marginals("MW", [10.0, 8.0, 5.0]).value(["MW", "MW"])
        18.0
    """
    for k in range(1, len(marginals)):
        if marginals[k] > marginals[k - 1]:
            raise InputError(
                f"{good}: expected marginals that do not increase, got {marginals[k - 1]!r} and then {marginals[k]!r}; "
                "bid on numbers of units with xor_bids"
            )
    return or_bids(((good,), value) for value in marginals)


def _atom(goods: Iterable[str], price: float, phantoms: frozenset[str] = frozenset()) -> AtomicBid:
    named = tuple(sorted(goods))
    if not named:
        raise InputError(f"expected a bundle of at least one good, got none at price {price!r}; leave the bid out")
    if not math.isfinite(price) or price < 0:
        raise InputError(f"bid on {', '.join(named)}: expected a price that is finite and not negative, got {price!r}; leave the bid out")
    return AtomicBid(named, float(price), phantoms)


def _fits(inner: Counter[str], outer: Counter[str]) -> bool:
    return all(outer[good] >= units for good, units in inner.items())


def _independent(atoms: Sequence[AtomicBid]) -> list[list[AtomicBid]]:
    """Atoms in groups that share no good and no phantom."""
    groups: list[tuple[set[str], list[AtomicBid]]] = []
    for atom in atoms:
        names = {f"good {g}" for g in atom.goods} | {f"phantom {p}" for p in atom.phantoms}
        members = [atom]
        apart = []
        for other, inside in groups:
            if other & names:
                names |= other
                members += inside
            else:
                apart.append((other, inside))
        groups = [*apart, (names, members)]
    return [members for _, members in groups]


def _best_set(atoms: list[AtomicBid], have: Counter[str]) -> float:
    """The best compatible set by branch and bound; the bound shares an atom's price among its scarcest good's units."""
    atoms = sorted(atoms, key=lambda a: -a.price)
    first = atoms[0].goods[0]
    if all(atom.goods == (first,) and not atom.phantoms for atom in atoms):
        return sum(atom.price for atom in atoms[: have[first]])
    needs = [Counter(atom.goods) for atom in atoms]
    left = Counter(have)
    best = 0.0

    def rest(start: int, used: frozenset[str]) -> float:
        """No set from ``start`` on is worth more: each unit left takes its dearest share."""
        dearest = dict.fromkeys(left, 0.0)
        for k in range(start, len(atoms)):
            if not used & atoms[k].phantoms and _fits(needs[k], left):
                share = atoms[k].price / len(atoms[k].goods)
                for good in needs[k]:
                    dearest[good] = max(dearest[good], share)
        return sum(left[good] * share for good, share in dearest.items())

    def grow(start: int, price: float, used: frozenset[str]) -> None:
        nonlocal best
        best = max(best, price)
        if start == len(atoms) or price + rest(start, used) <= best:
            return
        for k in range(start, len(atoms)):
            if used & atoms[k].phantoms or not _fits(needs[k], left):
                continue
            left.subtract(needs[k])
            grow(k + 1, price + atoms[k].price, used | atoms[k].phantoms)
            left.update(needs[k])
            if price + rest(k + 1, used) <= best:
                return

    grow(0, 0.0, frozenset())
    return best
