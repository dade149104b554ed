"""VCG, core-selecting payments, affine maximisers and pay-as-bid, each against brute force and bare re-solving."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hurwicz._foundation import InputError, Status
from hurwicz.formats import packaged_auction
from hurwicz.mechanisms.combinatorial import (
    CombinatorialAuction,
    affine_maximiser,
    combinatorial_auction,
    core_selecting,
    from_cats,
    objection,
    pay_as_bid,
    vcg,
    winner_determination,
)
from hurwicz.mechanisms.combinatorial.core import nearest_core_point
from hurwicz.mechanisms.combinatorial.winner_determination import Solver
from hurwicz.valuations import additive, single_minded, xor_bids

from .instances import Data, auctions, best_by_brute_force, made

LOCAL_GLOBAL = {"ann": single_minded("AB", 10.0), "bob": single_minded("A", 8.0), "cem": single_minded("B", 8.0)}


@settings(deadline=None, max_examples=40)
@given(auctions(units=2))
def test_vcg_against_brute_force(data: Data) -> None:
    auction = made(data)
    result = vcg(auction)
    assert result.status is Status.OPTIMUM
    best = best_by_brute_force(auction)
    for bidder in auction.bidders:
        without = best_by_brute_force(auction, set(auction.bidders) - {bidder})
        others = best - result.value.assignment.bid_of(bidder)
        assert result.value.payments[bidder] == pytest.approx(without - others, abs=1e-9)


@pytest.mark.parametrize("name", ["arbitrary_g20_b200", "regions_g20_b200", "scheduling_g20_b200"])
def test_every_payment_against_a_bare_re_solve(name: str) -> None:
    """Each winner taken out of the file and HiGHS asked afresh, without cuts, fixing or anything remembered."""
    auction = from_cats(packaged_auction(name))
    result = vcg(auction).value
    for bidder, paid in result.payments.items():
        bid = result.assignment.bid_of(bidder)
        if bid == 0:
            assert paid == 0
            continue
        without = winner_determination(auction.without(bidder), solver="highs").value.welfare
        assert paid == pytest.approx(without - (result.assignment.welfare - bid), abs=1e-6 * result.assignment.welfare)
        assert result.welfare_without[bidder] == pytest.approx(without, rel=1e-6)


def test_the_revenue_of_the_packaged_files() -> None:
    """Sums of payments that bare HiGHS gave, one problem after another."""
    known = {"matching_g100_b1000": 173.40574, "paths_g100_b1000": 29.23588, "paths_g50_b500": 19.68570, "regions_g20_b200": 863.77490}
    for name, revenue in known.items():
        assert vcg(from_cats(packaged_auction(name))).value.revenue == pytest.approx(revenue, rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "revenue"), [("arbitrary_g50_b500", 2653.17736), ("regions_g100_b1000", 6050.19800)])
def test_the_revenue_of_the_hard_files(name: str, revenue: float) -> None:
    assert vcg(from_cats(packaged_auction(name))).value.revenue == pytest.approx(revenue, rel=1e-6)


def test_vcg_revenue_falls_when_a_bidder_comes() -> None:
    two = combinatorial_auction({name: LOCAL_GLOBAL[name] for name in ("ann", "bob")})
    three = combinatorial_auction(LOCAL_GLOBAL)
    assert vcg(two).value.revenue == 8.0
    assert vcg(three).value.revenue == 4.0


@pytest.mark.parametrize("solver", ["branch_and_cut", "highs"])
@pytest.mark.parametrize("time_limit", [1e-6, 0.02])
def test_a_time_limit_brackets_the_payments(time_limit: float, solver: Solver) -> None:
    """What a winner of the assignment found would pay beside it, up to its bid, lies between the bounds."""
    auction = from_cats(packaged_auction("regions_g50_b500"))
    hurried = vcg(auction, time_limit=time_limit, solver=solver)
    assert hurried.status is Status.STEP_LIMIT
    assert hurried.value.assignment.welfare * (1 - 1e-6) <= 3588.570 <= hurried.stats["bound"] * (1 + 1e-6)
    for bidder, (low, high) in hurried.stats["payment_bounds"].items():
        bid = hurried.value.assignment.bid_of(bidder)
        due = winner_determination(auction.without(bidder)).value.welfare - (hurried.value.assignment.welfare - bid)
        assert 0 <= low == hurried.value.payments[bidder] <= min(due, bid) + 1e-6
        assert min(due, bid) - 1e-6 <= high <= bid


def test_vcg_of_empty_and_single_bidder_auctions() -> None:
    assert vcg(combinatorial_auction({})).value.revenue == 0.0
    assert vcg(combinatorial_auction({"a": xor_bids([("A", 3.0), ("AB", 4.0)])})).value.payments == {"a": 0.0}


def test_vcg_with_ties_everywhere() -> None:
    result = vcg(combinatorial_auction({name: single_minded("A", 1.0) for name in "abc"})).value
    assert sorted(result.payments.values()) == [0.0, 0.0, 1.0]


def in_core(auction: CombinatorialAuction, payments: dict[str, float], bids: dict[str, float]) -> float:
    """The largest objection of any coalition, by listing them."""
    revenue = sum(payments.values())
    worst = -math.inf
    for size in range(len(auction.bidders) + 1):
        for coalition in itertools.combinations(auction.bidders, size):
            offer = best_by_brute_force(auction, set(coalition)) - sum(bids[b] - payments[b] for b in coalition)
            worst = max(worst, offer - revenue)
    return worst


@settings(deadline=None, max_examples=30)
@given(auctions())
def test_core_payments_are_in_the_core_and_of_least_revenue(data: Data) -> None:
    from scipy.optimize import linprog

    auction = made(data)
    solved = core_selecting(auction)
    assert solved.status is Status.OPTIMUM
    payments, assignment = dict(solved.value.payments), solved.value.assignment
    bids = {b: assignment.bid_of(b) for b in auction.bidders}
    assert in_core(auction, payments, bids) <= 1e-6 * max(1.0, assignment.welfare)
    for bidder in auction.bidders:
        assert solved.stats["vcg_payments"][bidder] - 1e-7 <= payments[bidder] <= bids[bidder] + 1e-7
    if auction.bidders:
        coalitions = [set(c) for k in range(len(auction.bidders)) for c in itertools.combinations(auction.bidders, k)]
        rows = [[-float(b not in c) for b in auction.bidders] for c in coalitions]
        ends = [-(best_by_brute_force(auction, c) - sum(bids[b] for b in c)) for c in coalitions]
        least = linprog(np.ones(len(bids)), A_ub=rows, b_ub=ends, bounds=[(0, bids[b]) for b in auction.bidders], method="highs").fun
        assert sum(payments.values()) == pytest.approx(least, abs=1e-6)


def test_core_payments_are_nearest_to_vcg_by_an_independent_program() -> None:
    import cvxpy

    auction = from_cats(packaged_auction("regions_g50_b500"))
    solved = core_selecting(auction)
    winners = list(solved.value.assignment.won)
    base = np.asarray([solved.stats["vcg_payments"][b] for b in winners])
    assert solved.value.revenue > base.sum()
    assert objection(auction, solved.value.assignment, solved.value.payments) is None
    against = objection(auction, solved.value.assignment, solved.stats["vcg_payments"])
    assert against is not None
    assert against.gain > 1.0
    # The nearest point for some random constraints, by cvxpy.
    rng = np.random.default_rng(1)
    least, most = rng.uniform(0, 1, 5), rng.uniform(2, 4, 5)
    outside = rng.random((6, 5)) < 0.5
    needs = outside @ (0.6 * least + 0.4 * most)
    for least_revenue in (False, True):
        t = cvxpy.Variable(5)
        limits = [outside.astype(float) @ t >= needs, t >= least, t <= most]
        if least_revenue:
            lowest = cvxpy.Problem(cvxpy.Minimize(cvxpy.sum(t)), limits).solve(solver=cvxpy.CLARABEL)
            limits.append(cvxpy.sum(t) <= lowest + 1e-8)
        cvxpy.Problem(cvxpy.Minimize(cvxpy.sum_squares(t - least)), limits).solve(solver=cvxpy.CLARABEL)
        assert nearest_core_point(outside, needs, least, most, least_revenue=least_revenue) == pytest.approx(t.value, abs=1e-4)


def test_vcg_outside_the_core_and_what_core_payments_make_of_it() -> None:
    auction = combinatorial_auction(LOCAL_GLOBAL)
    assert core_selecting(auction).value.payments == pytest.approx({"ann": 0.0, "bob": 5.0, "cem": 5.0}, abs=1e-6)
    additive_only = combinatorial_auction({"ann": additive({"A": 3.0, "B": 1.0}), "bob": additive({"A": 2.0, "B": 4.0})})
    solved = core_selecting(additive_only)  # substitutes: VCG is in the core
    assert solved.value.payments == pytest.approx({"ann": 2.0, "bob": 1.0})
    assert solved.stats["coalitions"] == 0


def test_objections_ask_for_payments_that_can_be() -> None:
    auction = combinatorial_auction(LOCAL_GLOBAL)
    assignment = vcg(auction).value.assignment
    with pytest.raises(InputError, match="payment from 0 to its bid"):
        objection(auction, assignment, {"bob": 9.0})
    assert objection(auction, pay_as_bid(auction).value.assignment, pay_as_bid(auction).value.payments) is None


@settings(deadline=None, max_examples=30)
@given(auctions(xor=True), st.lists(st.sampled_from([0.5, 1.0, 3.0]), min_size=4, max_size=4), st.sampled_from([0.0, 1.5]))
def test_affine_maximisers_against_brute_force(data: Data, weights: list[float], reserve: float) -> None:
    auction = made(data)
    weight = dict(zip(auction.bidders, weights, strict=False))
    solved = affine_maximiser(auction, weights=weight, reserve=reserve)

    def weighted(away: str | None = None) -> float:
        own = [[None, *((b, a) for a in bids.atoms)] for b, bids in auction.bids.items() if b != away]
        best = 0.0
        for pick in itertools.product(*own):
            chosen = [x for x in pick if x is not None]
            goods = [g for _, a in chosen for g in a.goods]
            if len(goods) == len(set(goods)):
                best = max(best, sum(weight[b] * a.price - reserve for b, a in chosen))
        return best

    assert solved.value.assignment.welfare == pytest.approx(weighted())
    for bidder in auction.bidders:
        won = solved.value.assignment.won.get(bidder, ())
        others = weighted() - weight[bidder] * sum(a.price for a in won) if won else weighted()
        expected = (weighted(bidder) - others) / weight[bidder] if won else 0.0
        assert solved.value.payments[bidder] == pytest.approx(expected, abs=1e-9)


def test_affine_maximiser_without_weights_is_vcg_and_boosts_count() -> None:
    auction = combinatorial_auction(LOCAL_GLOBAL)
    assert affine_maximiser(auction).value.payments == vcg(auction).value.payments
    boosted = affine_maximiser(auction, boosts={("ann", ("A", "B")): 7.0})
    assert boosted.value.assignment.bundles == {"ann": ("A", "B")}
    assert boosted.value.payments["ann"] == pytest.approx(9.0)  # others have 16, of which the boost makes up 7
    for wrong in ({"weights": {"zoe": 1.0}}, {"weights": {"ann": 0.0}}, {"boosts": {("zoe", ("A",)): 1.0}}, {"reserve": math.nan}):
        with pytest.raises(InputError):
            affine_maximiser(auction, **wrong)


def test_an_affine_maximiser_with_boosts_is_truthful_in_prices_and_not_in_bundles() -> None:
    """A boost above 0 counts in the pivot of who bids on its bundle: leaving the bundle out pays, which it does not with others."""
    wants, bob = [("A", 10.0), ("B", 1.0)], single_minded("A", 4.0)

    def utility(bids: list[tuple[str, float]], boost: float) -> float:
        auction = combinatorial_auction({"ann": xor_bids(bids), "bob": bob}, goods=["A", "B"])
        result = affine_maximiser(auction, boosts={("ann", ("B",)): boost}).value
        worth = sum(dict(wants)[good] for good in result.assignment.bundles.get("ann", ()))
        return worth - result.payments["ann"]

    truth = utility(wants, 20.0)
    assert truth == pytest.approx(1.0)  # she gets B, for nothing
    for a in (0.5, 5.0, 15.0, 40.0):
        for b in (0.5, 3.0, 9.0):
            assert utility([("A", a), ("B", b)], 20.0) <= truth + 1e-9
    assert utility(wants[:1], 20.0) == pytest.approx(6.0)
    for boost in (0.0, -0.5, -5.0):
        assert max(utility(part, boost) for part in (wants[:1], wants[1:])) <= utility(wants, boost) + 1e-9
