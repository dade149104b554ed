"""The table of bids on intervals against brute force, the tree and HiGHS, and where it must not be used."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from hurwicz._foundation import Status
from hurwicz.formats import packaged_auction
from hurwicz.mechanisms.combinatorial import (
    CombinatorialAuction,
    combinatorial_auction,
    core_selecting,
    from_cats,
    intervals,
    vcg,
    winner_determination,
)
from hurwicz.mechanisms.combinatorial.branch_and_cut import BranchAndCut
from hurwicz.mechanisms.combinatorial.intervals import IntervalTable, in_a_row, interval_table
from hurwicz.mechanisms.combinatorial.packing import prepare
from hurwicz.valuations import AtomicBid, BundleBids, single_minded, xor_bids

from .instances import best_by_brute_force, feasible

PLACES = "dafcbe"  # the goods along the line: not in the order of their names

Bids = list[list[tuple[int, int, float, frozenset[str]]]]


@st.composite
def on_a_line(draw: st.DrawFn) -> Bids:
    """Up to four bidders with up to three bids each on (first place, length), length 0 being a bid to stay out; up to two phantoms."""
    phantoms = st.sets(st.sampled_from("pq"), max_size=2).map(frozenset)
    price = st.one_of(st.integers(1, 4).map(float), st.floats(0.5, 10.0).map(lambda p: round(p, 3)))
    bid = st.tuples(st.integers(0, len(PLACES) - 1), st.integers(0, 3), price, phantoms)
    return draw(st.lists(st.lists(bid, min_size=1, max_size=3), min_size=1, max_size=4))


def auction_of(data: Bids) -> CombinatorialAuction:
    """The auction of drawn data; made without the check of :func:`combinatorial_auction`, which wants goods in every bid."""
    bids = {
        f"bidder {k}": BundleBids(tuple(AtomicBid(tuple(sorted(PLACES[a : a + n])), price, phantoms) for a, n, price, phantoms in own))
        for k, own in enumerate(data)
    }
    return CombinatorialAuction(bids, dict.fromkeys(sorted(PLACES), 1))


def jobs(slots: int, count: int, seed: int) -> CombinatorialAuction:
    """A machine's time: each bidder has a job of some length with a deadline, later ends being worth less."""
    rng = np.random.default_rng(seed)
    bids = {}
    for k in range(count):
        length, early = int(rng.integers(3, 9)), int(rng.integers(slots // 2, slots + 1))
        worth = length**1.2 + rng.uniform(-0.5, 0.5)
        bids[f"job {k}"] = xor_bids(
            [
                ([f"slot {t}" for t in range(a, a + length)], round(float(worth * (1.0 if a + length <= early else 0.8)), 5))
                for a in range(slots - length + 1)
            ]
        )
    return combinatorial_auction(bids)


@settings(deadline=None, max_examples=60)
@given(on_a_line())
def test_the_table_against_brute_force_for_all_and_without_each(data: Bids) -> None:
    auction = auction_of(data)
    prepared = prepare(auction)
    packing, table = prepared.whole, interval_table(prepared.whole)
    assert table is not None
    for away in (None, *range(len(auction.bidders))):
        allowed = packing.owner != (-1 if away is None else away)
        answer = table.maximum(allowed)
        assert answer is not None
        chosen, value = answer
        assert all(allowed[j] for j in chosen)
        assert feasible(auction, tuple(prepared.atoms[j] for j in chosen))
        assert packing.total(chosen) == pytest.approx(value)
        assert value == pytest.approx(best_by_brute_force(auction, {b for k, b in enumerate(auction.bidders) if k != away}))


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 11), st.integers(1, 6)), min_size=1, max_size=20), st.permutations(range(12)))
def test_goods_are_put_in_a_row_whatever_their_order(drawn: list[tuple[int, int]], shuffled: list[int]) -> None:
    columns = np.zeros((12, len(drawn)))
    for j, (a, n) in enumerate(drawn):
        columns[a : a + n, j] = 1.0
    place = in_a_row(csr_array(columns[shuffled]))
    assert place is not None
    assert sorted(place) == list(range(12))
    for column in columns[shuffled].T:
        there = np.sort(place[column > 0])
        assert (np.diff(there) == 1).all()


def test_what_is_no_row() -> None:
    circle = np.array([[1, 1, 0], [1, 0, 1], [0, 1, 1]], dtype=np.float64)
    star = np.array([[1, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=np.float64)
    assert in_a_row(csr_array(circle)) is None
    assert in_a_row(csr_array(star)) is None
    assert in_a_row(csr_array(star[:, :2])) is not None


def test_no_table_for_several_units_or_too_many_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    bids = {"a": single_minded("AB", 2.0), "b": single_minded("BC", 2.0)}
    assert interval_table(prepare(combinatorial_auction(bids)).whole) is not None
    assert interval_table(prepare(combinatorial_auction(bids, goods={"A": 1, "B": 2, "C": 1})).whole) is None
    assert interval_table(prepare(from_cats(packaged_auction("regions_g20_b200"))).whole) is None
    packing = prepare(jobs(30, 9, seed=0)).whole
    table = interval_table(packing)
    assert table is not None
    monkeypatch.setattr(intervals, "MOST_ENTRIES", table.entries - 1)
    assert interval_table(packing) is None


def test_phantoms_of_bids_that_overlap_anyway_take_no_room() -> None:
    near = xor_bids([("AB", 2.0), ("BC", 2.5)])
    far = xor_bids([("A", 1.0), ("C", 1.5)])
    auction = combinatorial_auction({"near": near, "far": far})
    table = interval_table(prepare(auction).whole)
    assert table is not None
    assert max(table.open) == 1
    assert winner_determination(auction).value.welfare == 3.5


@pytest.mark.parametrize("seed", range(4))
def test_payments_are_those_of_the_tree_and_of_highs(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    auction = jobs(24, 8, seed)
    by_table, by_highs = vcg(auction), vcg(auction, solver="highs")
    monkeypatch.setattr(intervals, "MOST_ENTRIES", 0)
    by_tree = vcg(auction)
    for other in (by_highs, by_tree):
        assert other.status is by_table.status is Status.OPTIMUM
        assert other.value.assignment.welfare == pytest.approx(by_table.value.assignment.welfare, rel=1e-7)
        assert other.value.payments == pytest.approx(by_table.value.payments, abs=1e-5)


def test_the_table_is_asked_where_the_root_leaves_a_gap_and_then_always(monkeypatch: pytest.MonkeyPatch) -> None:
    packing = prepare(from_cats(packaged_auction("scheduling_g50_b500", bad_prices="drop"))).whole
    search = BranchAndCut(packing)
    first = search.maximum()
    assert search.tabled
    assert first.stats["nodes"] == 0
    assert first.value == pytest.approx(68.64717, rel=1e-6)
    monkeypatch.delattr(IntervalTable, "_filled")  # what is asked now is in the table already
    for bidder in sorted({int(packing.owner[j]) for j in first.chosen}):
        again = search.maximum(packing.owner != bidder)
        assert again.stats["programs"] == 0
        assert again.value <= again.bound <= again.value * (1 + 1e-12)


def test_the_payments_of_the_packaged_file() -> None:
    """What bare HiGHS gave, one problem after another: sums of VCG payments and of core payments nearest to them."""
    auction = from_cats(packaged_auction("scheduling_g50_b500", bad_prices="drop"))
    assert vcg(auction).value.revenue == pytest.approx(45.208224, rel=1e-6)
    assert core_selecting(auction).value.revenue == pytest.approx(46.89477, rel=1e-6)


def test_time_that_runs_out_while_the_table_fills() -> None:
    packing = prepare(jobs(30, 9, seed=0)).whole
    table = interval_table(packing)
    everybody = np.ones(packing.size, dtype=bool)
    assert table is not None
    assert table.maximum(everybody, deadline=time.perf_counter()) is None
    assert table.table is None
    answer = table.maximum(everybody, deadline=math.inf)
    assert answer is not None
    # Some bids of a bidder away: its phantom is of use still, so that the places before them are filled again.
    some = everybody.copy()
    some[list(answer[0])] = False
    assert table.maximum(some, deadline=time.perf_counter()) is None
    less = table.maximum(some)
    assert less is not None
    assert less[1] == pytest.approx(BranchAndCut(packing.part(np.flatnonzero(some))).maximum().value)
    again = table.maximum(everybody, deadline=time.perf_counter())
    assert again == answer
