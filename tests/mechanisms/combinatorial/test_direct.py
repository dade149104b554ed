"""The direct forms against the solvers, and before the auditor; the shared suite of mechanisms runs over them too."""

from __future__ import annotations

import numpy as np
import pytest

from hurwicz._foundation import InputError
from hurwicz.audits import Verdict, audit
from hurwicz.mechanisms.combinatorial import (
    affine_maximiser,
    combinatorial_affine_maximiser,
    combinatorial_auction,
    combinatorial_pay_as_bid,
    combinatorial_vcg,
    core_selecting,
    core_selecting_auction,
    pay_as_bid,
    vcg,
)
from hurwicz.typespaces import FinitePrior
from hurwicz.valuations import xor_bids

INTERESTS = {"a": ["AB", "C"], "b": ["A", "BC"], "c": ["B", "AC", "C"]}


@pytest.mark.parametrize(
    ("make", "solve"),
    [
        (combinatorial_vcg, vcg),
        (combinatorial_pay_as_bid, pay_as_bid),
        (core_selecting_auction, core_selecting),
        (combinatorial_affine_maximiser, affine_maximiser),
    ],
)
def test_the_direct_form_is_the_solver(make: object, solve: object) -> None:
    affine = {"weights": [1.0, 2.0, 0.5], "reserve": 0.2} if make is combinatorial_affine_maximiser else {}
    mechanism = make(list(INTERESTS), goods="ABC", interests=INTERESTS, **affine)  # type: ignore[operator]
    options = {"weights": {"a": 1.0, "b": 2.0, "c": 0.5}, "reserve": 0.2} if affine else {}
    rng = np.random.default_rng(0)
    reports = {name: rng.uniform(0, 1, (12, len(bundles))) for name, bundles in INTERESTS.items()}
    outcomes = mechanism.outcomes(reports)
    for k in range(12):
        bids = {n: xor_bids(list(zip(bundles, reports[n][k].tolist(), strict=True))) for n, bundles in INTERESTS.items()}
        result = solve(combinatorial_auction(bids, goods="ABC"), **options).value  # type: ignore[operator]
        for name in INTERESTS:
            assert outcomes.payments[name][k] == pytest.approx(result.payments[name], abs=1e-6)
            won = [tuple(sorted(b)) for b, x in zip(INTERESTS[name], outcomes.allocation[name][k], strict=True) if x > 0.5]
            assert won == ([result.assignment.bundles[name]] if name in result.assignment.bundles else [])


def test_the_auditor_proves_vcg_over_a_grid_and_refutes_the_others() -> None:
    names = ["global", "left", "right"]
    local = {"global": ["AB"], "left": ["A"], "right": ["B"]}
    grid = FinitePrior([[k / 4] for k in range(5)])
    for make, expected in (
        (combinatorial_vcg, Verdict.PROVED),
        (combinatorial_affine_maximiser, Verdict.PROVED),
        (core_selecting_auction, Verdict.REFUTED),
        (combinatorial_pay_as_bid, Verdict.REFUTED),
    ):
        mechanism = make(names, prior=grid, interests=local)
        findings = {f.property: f.verdict for f in audit(mechanism, ["DSIC", "ex_post_IR"], effort="quick")}
        assert findings == {"DSIC": expected, "ex_post_IR": Verdict.PROVED}, make


def test_truth_is_proved_by_form_over_boxes() -> None:
    for mechanism in (combinatorial_vcg(3), combinatorial_affine_maximiser(2, weights=[1.0, 2.5], reserve=0.3)):
        finding = audit(mechanism, ["DSIC"], effort="quick")[0]
        assert finding.verdict is Verdict.PROVED
        assert "form" in finding.method


def test_ties_by_lottery_share_the_goods_and_the_payment() -> None:
    auction = combinatorial_vcg(2, interests=["AB"], ties="lottery")
    outcome = auction.outcome({"bidder 1": [0.5], "bidder 2": [0.5]})
    assert [float(outcome.allocation[n][0]) for n in auction.agents] == [0.5, 0.5]
    assert list(outcome.payments.values()) == [0.25, 0.25]
    first = combinatorial_vcg(2, interests=["AB"]).outcome({"bidder 1": [0.5], "bidder 2": [0.5]})
    assert list(first.payments.values()) == [0.5, 0.0]


def test_units_goods_nobody_wants_and_bad_interests() -> None:
    units = combinatorial_vcg(["a", "b"], goods=["A", "A", "lamp"], interests=[["A"], ["A", "A"]])
    paid = units.outcome({"a": [0.6, 0.9], "b": [0.5, 0.7]}).payments
    assert paid == pytest.approx({"a": 0.2, "b": 0.3})
    for interests, message in (
        ([["lamp"]], "not for sale"),
        ([[]], "at least one good"),
        ([["A"], ["A"]], "one twice"),
        ({"a": [["A"]]}, "for each of"),
        ([], "at least one bundle"),
    ):
        with pytest.raises(InputError, match=message):
            combinatorial_vcg(["a", "b"], goods=["A"], interests=interests)
    with pytest.raises(InputError, match="assignments to list"):
        combinatorial_vcg(9, goods="ABCDE")
    with pytest.raises(InputError, match="weight above 0"):
        combinatorial_affine_maximiser(2, weights=[1.0])
    with pytest.raises(InputError, match="reserve"):
        combinatorial_affine_maximiser(2, reserve=-1.0)
    with pytest.raises(InputError, match="at most 10 bidders"):
        core_selecting_auction(11)
