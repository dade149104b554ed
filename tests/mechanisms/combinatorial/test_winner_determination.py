"""Winners against brute force, the published optima of the CATS files, and the limits of time and input."""

from __future__ import annotations

import importlib.util
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hurwicz._foundation import InputError, MissingExtraError, Status
from hurwicz.formats import packaged_auction, parse_cats, write_cats
from hurwicz.mechanisms.combinatorial import (
    CombinatorialAuction,
    branch_and_cut,
    combinatorial_auction,
    from_cats,
    intervals,
    to_cats,
    winner_determination,
)
from hurwicz.mechanisms.combinatorial.branch_and_cut import BranchAndCut
from hurwicz.mechanisms.combinatorial.packing import prepare
from hurwicz.mechanisms.combinatorial.relaxation import Relaxation
from hurwicz.mechanisms.combinatorial.solvers import greedy, relaxed_bound
from hurwicz.mechanisms.combinatorial.winner_determination import MOST_FOR_CUTS, Clearing
from hurwicz.valuations import AtomicBid, BundleBids, additive, decreasing_marginals, or_bids, single_minded, unit_demand, xor_bids

from .instances import Data, auctions, best_by_brute_force, feasible, made, winners

CP_SAT = importlib.util.find_spec("ortools") is not None
SOLVERS = ("branch_and_cut", "highs", pytest.param("cp_sat", marks=pytest.mark.skipif(not CP_SAT, reason="needs OR-Tools")))
OPTIMA = {
    "arbitrary_g20_b200": 1262.306,
    "matching_g100_b1000": 225.28383,
    "matching_g20_b200": 45.74079,
    "paths_g100_b1000": 39.39926,
    "paths_g20_b200": 10.6605473,
    "paths_g50_b500": 21.0852174,
    "regions_g20_b200": 1189.576,
    "regions_g50_b500": 3588.570,
    "scheduling_g20_b200": 31.8683,
    "scheduling_g50_b500": 68.64717,
}
HARD = {"arbitrary_g50_b500": 3405.847, "regions_g100_b1000": 6491.572}


def cats(name: str) -> CombinatorialAuction:
    return from_cats(packaged_auction(name, bad_prices="drop"))


@pytest.mark.parametrize("name", [*OPTIMA, *HARD])
def test_published_optima(name: str) -> None:
    auction = cats(name)
    solved = winner_determination(auction)
    assert solved.status is Status.OPTIMUM
    assert solved.value.welfare == pytest.approx((OPTIMA | HARD)[name], rel=1e-6)
    assert solved.value.welfare <= solved.stats["bound"] <= solved.value.welfare * (1 + 1e-7)
    assert feasible(auction, winners(solved.value))
    assert solved.value.welfare == pytest.approx(sum(atom.price for _, atom in winners(solved.value)))


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("name", ["arbitrary_g20_b200", "regions_g20_b200", "scheduling_g20_b200"])
def test_every_solver_meets_them(name: str, solver: Any) -> None:
    assert winner_determination(cats(name), solver=solver).value.welfare == pytest.approx(OPTIMA[name], rel=1e-6)


@settings(deadline=None, max_examples=40)
@given(auctions())
def test_one_unit_of_each_against_brute_force(data: Data) -> None:
    auction = made(data)
    solved = winner_determination(auction)
    assert solved.status is Status.OPTIMUM
    assert feasible(auction, winners(solved.value))
    assert solved.value.welfare == pytest.approx(best_by_brute_force(auction))
    assert winner_determination(auction, solver="highs").value.welfare == pytest.approx(solved.value.welfare)


@settings(deadline=None, max_examples=40)
@given(auctions(units=3))
def test_several_units_against_brute_force(data: Data) -> None:
    auction = made(data)
    solved = winner_determination(auction)
    assert feasible(auction, winners(solved.value))
    assert solved.value.welfare == pytest.approx(best_by_brute_force(auction))


@pytest.mark.skipif(not CP_SAT, reason="needs OR-Tools")
@settings(deadline=None, max_examples=15)
@given(auctions(units=2))
def test_cp_sat_against_brute_force(data: Data) -> None:
    auction = made(data)
    assert winner_determination(auction, solver="cp_sat").value.welfare == pytest.approx(best_by_brute_force(auction))


@pytest.mark.skipif(CP_SAT, reason="OR-Tools is there")
def test_without_or_tools_the_extra_is_named() -> None:
    with pytest.raises(MissingExtraError, match=r"hurwicz\[cpsat\]"):
        winner_determination(combinatorial_auction({"a": xor_bids([("A", 1.0), ("B", 1.0)])}), solver="cp_sat")


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 1000))
def test_medium_instances_agree_with_the_integer_solver(seed: int) -> None:
    """Large enough for cuts, fixing and branching to matter; prices with ties, OR bidders and a good with several units among them."""
    rng = np.random.default_rng(seed)
    goods = [f"g{k}" for k in range(14)]
    bids = {}
    for k in range(25):
        atoms = []
        for _ in range(6):
            bundle = rng.choice(goods, rng.integers(1, 6), replace=False).tolist()
            atoms.append((bundle, float(rng.integers(1, 8) * len(bundle) ** 0.9 // 1)))
        bids[f"b{k}"] = xor_bids(atoms) if k % 3 else or_bids(atoms)
    auction = combinatorial_auction(bids, goods=dict.fromkeys(goods, 1) | {"g0": 3})
    ours, highs = winner_determination(auction), winner_determination(auction, solver="highs")
    assert ours.status is Status.OPTIMUM
    assert ours.value.welfare == pytest.approx(highs.value.welfare, rel=1e-9)


@pytest.mark.parametrize("seed", range(12))
def test_the_tree_alone_agrees_with_the_integer_solver(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the root, cuts, table and local search, which would leave it nothing to do at this size."""
    rng = np.random.default_rng(seed)
    bids = {}
    for k in range(12):
        bundles = [rng.choice(list("ABCDEF"), rng.integers(1, 4), replace=False).tolist() for _ in range(3)]
        atoms = [(bundle, float(rng.integers(1, 4) + 2 * len(bundle))) for bundle in bundles]
        bids[f"b{k}"] = xor_bids(atoms) if k % 2 else or_bids(atoms)
    auction = combinatorial_auction(bids, goods=dict.fromkeys("ABCDE", 1) | {"F": 3})
    highs = winner_determination(auction, solver="highs")
    monkeypatch.setattr(BranchAndCut, "_tightened", lambda *_: math.inf)
    monkeypatch.setattr(Relaxation, "tighten", lambda *_: 0)
    monkeypatch.setattr(branch_and_cut, "_near", lambda *_: [])
    monkeypatch.setattr(intervals, "MOST_ENTRIES", 0)
    ours = winner_determination(auction)
    assert ours.status is Status.OPTIMUM
    assert feasible(auction, winners(ours.value))
    assert ours.value.welfare == pytest.approx(highs.value.welfare, rel=1e-9)


@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_the_unit_of_money_does_not_matter(scale: float) -> None:
    auction = cats("arbitrary_g20_b200")
    scaled = CombinatorialAuction(
        {b: BundleBids(tuple(AtomicBid(a.goods, a.price * scale, a.phantoms) for a in bids.atoms)) for b, bids in auction.bids.items()},
        auction.supply,
    )
    solved = winner_determination(scaled)
    assert solved.status is Status.OPTIMUM
    assert solved.value.welfare == pytest.approx(1262.3062 * scale, rel=1e-6)


@pytest.mark.parametrize("solver", ["branch_and_cut", "highs"])
def test_a_time_limit_returns_the_best_assignment_and_a_bound(solver: Any) -> None:
    auction = cats("arbitrary_g50_b500")
    solved = winner_determination(auction, solver=solver, time_limit=0.05)
    assert solved.status is Status.STEP_LIMIT
    assert not solved.status.ok
    assert feasible(auction, winners(solved.value))
    assert solved.value.welfare < 3405.848 < solved.stats["bound"] * (1 + 1e-9)
    assert solved.stats["gap"] == pytest.approx(1 - solved.value.welfare / solved.stats["bound"])


def test_a_start_is_kept_where_nothing_better_is_found_in_time() -> None:
    auction = cats("scheduling_g50_b500")
    best = winner_determination(auction).value
    start = {b: [auction.bids[b].atoms.index(atom) for atom in atoms] for b, atoms in best.won.items()}
    again = winner_determination(auction, start=start, time_limit=1e-6)
    assert again.value.welfare == pytest.approx(best.welfare)


def test_progress_moves_towards_one() -> None:
    seen: list[float] = []
    winner_determination(cats("scheduling_g50_b500"), progress=lambda what, fraction: seen.append(fraction))
    assert seen
    assert all(0 <= fraction <= 1 for fraction in seen)
    assert seen[-1] > 0.99


def test_preprocessing() -> None:
    bids = {
        "a": xor_bids([("A", 3.0), ("AB", 3.0), ("AB", 4.0), ("B", 0.0)]),  # AB at 3 is dominated, B at 0 never matters
        "b": additive({"C": 1.0}),
        "c": single_minded(["D", "D"], 5.0),  # there is one D only
    }
    prepared = prepare(combinatorial_auction(bids))
    assert sorted(prepared.whole.prices) == [1.0, 3.0, 4.0]
    assert sorted(len(part) for part in prepared.components) == [1, 2]


def test_equal_bids_of_different_bidders_all_stay() -> None:
    """Dominance across bidders would be wrong for leave-one-out payments."""
    bids = {name: single_minded("A", 2.0) for name in "abc"}
    assert prepare(combinatorial_auction(bids)).whole.size == 3


def test_degenerate_auctions() -> None:
    assert winner_determination(combinatorial_auction({})).value.won == {}
    assert winner_determination(combinatorial_auction({"a": BundleBids()})).value.welfare == 0.0
    lone = winner_determination(combinatorial_auction({"a": unit_demand({"A": 2.0, "B": 3.0})}, goods=["A", "B", "nobody's"]))
    assert lone.value.bundles == {"a": ("B",)}
    units = winner_determination(
        combinatorial_auction({"a": decreasing_marginals("A", [5.0, 4.0, 1.0]), "b": decreasing_marginals("A", [3.0])}, goods={"A": 3})
    )
    assert units.value.welfare == 12.0
    assert units.value.bundles == {"a": ("A", "A"), "b": ("A",)}


MISTAKES: dict[str, tuple[Any, Any, str]] = {
    "bidder twice": ([("ann", BundleBids()), ("ann", BundleBids())], None, "ann"),
    "unknown good": ({"ann": single_minded(["lamp"], 1.0)}, ["lamps"], "did you mean 'lamps'"),
    "negative": ({"ann": BundleBids((AtomicBid(("A",), -1.0),))}, None, "finite and not negative, got -1.0"),
    "NaN": ({"ann": BundleBids((AtomicBid(("A",), math.nan),))}, None, "finite and not negative, got nan"),
    "no goods": ({"ann": BundleBids((AtomicBid((), 1.0),))}, None, "at least one good"),
    "half a unit": ({"ann": BundleBids()}, {"A": 0.5}, "whole number of units"),
    "minus a unit": ({"ann": BundleBids()}, {"A": -1}, "whole number of units"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_bad_auctions_get_one_clear_message(mistake: str) -> None:
    bids, goods, message = MISTAKES[mistake]
    with pytest.raises(InputError, match=message):
        combinatorial_auction(bids, goods=goods)


def test_bad_questions_get_one_clear_message() -> None:
    auction = combinatorial_auction({"a": xor_bids([("A", 1.0), ("B", 2.0)]), "b": single_minded("A", 1.0)})
    with pytest.raises(InputError, match="solver: expected one of"):
        Clearing(prepare(auction), "gurobi")
    with pytest.raises(InputError, match="time_limit"):
        winner_determination(auction, time_limit=0.0)
    for start, message in (
        ({"z": [0]}, "bidders of the auction"),
        ({"a": [2]}, "atoms 0 to 1"),
        ({"a": [0, 1]}, "exclude each other"),
        ({"a": [0], "b": [0]}, "given out 2 times"),
    ):
        with pytest.raises(InputError, match=message):
            winner_determination(auction, start=start)


@settings(deadline=None, max_examples=30)
@given(auctions(xor=True))
def test_xor_auctions_survive_the_way_through_a_file(data: Data) -> None:
    auction = made(data)
    again = from_cats(parse_cats(write_cats(to_cats(auction))))
    assert len(again.supply) == len(auction.supply)
    assert len(again.bidders) == sum(bool(bids.atoms) for bids in auction.bids.values())
    assert winner_determination(again).value.welfare == pytest.approx(winner_determination(auction).value.welfare)


def test_what_a_cats_file_cannot_say() -> None:
    with pytest.raises(InputError, match="to_xor"):
        to_cats(combinatorial_auction({"a": additive({"A": 1.0, "B": 1.0})}))
    with pytest.raises(InputError, match="one unit of every good"):
        to_cats(combinatorial_auction({"a": single_minded("A", 1.0)}, goods={"A": 2}))


@settings(deadline=None, max_examples=60)
@given(data=auctions(units=2))
def test_greedy_winners_fit_and_the_relaxed_bound_is_one(data: Data) -> None:
    auction = made(data)
    whole = prepare(auction).whole
    if not whole.size:
        return
    chosen = list(greedy(whole))
    assert np.all(whole.uses[:, chosen].sum(axis=1) <= whole.supply)
    best = best_by_brute_force(auction)
    assert whole.total(chosen) <= best + 1e-9
    assert best <= relaxed_bound(whole) + 1e-9


def test_a_solver_that_found_nothing_in_time_leaves_a_greedy_assignment_and_a_bound_of_use() -> None:
    auction = cats("arbitrary_g50_b500")
    solved = winner_determination(auction, solver="highs", time_limit=1e-3)
    assert not solved.status.ok
    assert feasible(auction, winners(solved.value))
    assert 0.7 * HARD["arbitrary_g50_b500"] < solved.value.welfare <= HARD["arbitrary_g50_b500"] + 1e-3
    assert HARD["arbitrary_g50_b500"] <= solved.stats["bound"] <= 1.2 * HARD["arbitrary_g50_b500"]


def test_a_component_too_large_for_our_own_search_is_not_left_without_an_answer() -> None:
    """HiGHS takes it whole; where it has no time, somebody wins all the same, and the bound is not the sum of all bids."""
    rng, goods = np.random.default_rng(0), [f"g{k}" for k in range(60)]

    def wanted() -> list[tuple[tuple[str, ...], float]]:
        return [(tuple(rng.choice(goods, 3, replace=False).tolist()), float(p)) for p in rng.uniform(1.0, 2.0, 25)]

    bids = {f"bidder {i}": xor_bids(wanted()) for i in range(200)}
    auction = combinatorial_auction(bids)
    (part,) = Clearing(prepare(auction), "branch_and_cut").parts
    assert part.size > MOST_FOR_CUTS
    solved = winner_determination(auction, time_limit=1e-3)
    assert not solved.status.ok
    assert feasible(auction, winners(solved.value))
    assert 20.0 < solved.value.welfare <= solved.stats["bound"] < 60.0
