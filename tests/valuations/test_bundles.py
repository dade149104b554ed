"""Bids on bundles against brute force: the value is the best compatible set, and XOR says the same as OR."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hurwicz._foundation import InputError
from hurwicz.valuations import (
    AtomicBid,
    BundleBids,
    additive,
    decreasing_marginals,
    or_bids,
    or_of_xor_bids,
    single_minded,
    unit_demand,
    xor_bids,
)

GOODS = "ABC"
ATOMS = st.lists(
    st.tuples(
        st.lists(st.sampled_from(GOODS), min_size=1, max_size=3).map(lambda goods: tuple(sorted(goods))),
        st.integers(0, 5).map(float),
        st.sets(st.sampled_from("pq"), max_size=2).map(frozenset),
    ),
    max_size=6,
)


def brute_force(bids: BundleBids, bundle: Counter[str]) -> float:
    """The best of all subsets of atoms."""
    best = 0.0
    for size in range(len(bids.atoms) + 1):
        for chosen in itertools.combinations(bids.atoms, size):
            phantoms = Counter(p for atom in chosen for p in atom.phantoms)
            if max(phantoms.values(), default=0) <= 1 and Counter(g for a in chosen for g in a.goods) <= bundle:
                best = max(best, sum(atom.price for atom in chosen))
    return best


@settings(deadline=None, max_examples=150)
@given(ATOMS, st.lists(st.sampled_from(GOODS), max_size=6))
def test_value_is_the_best_compatible_set(atoms: list[Any], bundle: list[str]) -> None:
    bids = BundleBids(tuple(AtomicBid(*atom) for atom in atoms))
    assert bids.value(bundle) == pytest.approx(brute_force(bids, Counter(bundle)))


@settings(deadline=None, max_examples=60)
@given(ATOMS)
def test_xor_form_says_the_same(atoms: list[Any]) -> None:
    bids = BundleBids(tuple(AtomicBid(*atom) for atom in atoms))
    xor = bids.to_xor()
    assert xor.is_xor
    for size in range(5):
        for bundle in itertools.combinations_with_replacement(GOODS, size):
            assert xor.value(bundle) == pytest.approx(bids.value(bundle))


def test_families() -> None:
    assert additive({"A": 1.0, "B": 2.0}).value("ABC") == 3.0
    assert unit_demand({"A": 1.0, "B": 2.0}).value("ABC") == 2.0
    assert single_minded("AB", 4.0).value("ABC") == 4.0
    assert single_minded("AB", 4.0).value("AC") == 0.0
    assert [decreasing_marginals("A", [5.0, 3.0, 1.0]).value("A" * k) for k in range(5)] == [0.0, 5.0, 8.0, 9.0, 9.0]
    assert or_of_xor_bids([[("A", 3.0), ("AB", 9.0)], [("B", 2.0), ("C", 4.0)]]).value("ABC") == 13.0
    assert BundleBids().value("A") == 0.0


def test_many_units_are_fast() -> None:
    assert decreasing_marginals("A", [float(k) for k in range(200, 0, -1)]).value("A" * 100) == sum(range(101, 201))


def test_what_cannot_be_bid() -> None:
    for price in (-1.0, math.nan, math.inf):
        with pytest.raises(InputError, match="finite and not negative"):
            xor_bids([("A", price)])
    with pytest.raises(InputError, match="at least one good"):
        or_bids([((), 1.0)])
    with pytest.raises(InputError, match="do not increase"):
        decreasing_marginals("A", [1.0, 2.0])
    with pytest.raises(InputError, match="at most 100 compatible sets"):
        additive({f"good {k}": 1.0 for k in range(12)}).to_xor(most=100)
