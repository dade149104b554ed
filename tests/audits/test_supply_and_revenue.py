"""How much there is, what is collected, and witnesses that fit nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hurwicz._foundation import InputError
from hurwicz.audits import Effort, Verdict, Witness, audit, expected_revenue, replay
from hurwicz.mechanisms import single_parameter
from hurwicz.mechanisms.single_item import first_price, second_price
from hurwicz.typespaces import FinitePrior

GRID = FinitePrior([0.0, 0.25, 0.5, 0.75, 1.0])
SMALL = Effort(profiles=40, deviations=11, refinements=1, steps=12, max_nodes=64, samples=512, seconds=20.0)


def one(mechanism, name):
    (finding,) = audit(mechanism, [name], effort=SMALL)
    return finding


def sum_of_second_values(prior):
    """E of the lower of two values, by hand."""
    types, mass = prior.quadrature(1)
    return float(sum(p * q * min(a, b) for a, p in zip(types, mass, strict=True) for b, q in zip(types, mass, strict=True)))


def test_a_stated_bound_is_asked_about_without_being_named():
    def pays_its_bid(bids):
        wins = np.eye(2)[bids.argmax(axis=1)]
        return wins, wins * bids

    mine = single_parameter("mine", pays_its_bid, 2, prior=GRID, revenue_bound=0.1)
    assert audit(mine, effort=SMALL)[-1].property == "revenue_within_bound"
    assert audit(mine, effort=SMALL)[-1].verdict is Verdict.REFUTED
    assert mine.with_prior(None).revenue_bound is None  # it was about another prior
    assert audit(single_parameter("mine", pays_its_bid, 2, prior=GRID), effort=SMALL)[-1].property == "feasibility"
    with pytest.raises(InputError, match="finite revenue_bound"):
        audit(mine, ["revenue_within_bound"], revenue_bound=float("nan"))


def test_expected_revenue_comes_with_its_error():
    found = expected_revenue(second_price(2), effort="quick")
    assert found.low < 1 / 3 < found.high
    assert 0.0 < found.error < 0.1
    exact = expected_revenue(second_price(2, prior=GRID))
    assert exact.error == 0.0
    assert exact.value == pytest.approx(sum_of_second_values(GRID))
    assert exact.method == "exact expectation"


def test_a_rule_that_hands_out_more_than_there_is_need_not_say_how_much_there_is():
    def served_above_a_half(bids):
        wins = (bids > 0.5).astype(float)
        return wins, 0.5 * wins

    for prior in (None, GRID):
        found = one(single_parameter("oversold", served_above_a_half, 3, prior=prior), "feasibility")
        assert found.verdict is Verdict.REFUTED
        assert found.value == pytest.approx(2.0)
        assert sum(v > 0.5 for v in found.witness.true_type.values()) == 3
    assert one(single_parameter("three", served_above_a_half, 3, prior=GRID, supply=3), "feasibility").verdict is Verdict.PROVED
    assert one(single_parameter("a park", served_above_a_half, 3, prior=GRID, supply=None), "feasibility").verdict is Verdict.NOT_APPLICABLE
    below = single_parameter("two from nowhere", lambda b: (np.array([2.0, -1.0]) + 0.0 * b, 0.0 * b), 2, prior=GRID)
    assert one(below, "feasibility").value == pytest.approx(1.0)  # what one gets below nothing leaves no more for the other
    with pytest.raises(InputError, match="supply or an excess"):
        single_parameter("both", served_above_a_half, 2, supply=2.0, excess=lambda shares: shares.sum(axis=1))
    with pytest.raises(InputError, match="finite supply"):
        single_parameter("none", served_above_a_half, 2, supply=-1.0)


def test_where_some_give_no_more_is_received_than_they_give():
    def both(bids):
        trade = (bids[:, :1] > bids[:, 1:]).astype(float)
        return trade * np.ones(2), trade * bids.mean(axis=1, keepdims=True) * np.array([1.0, -1.0])

    def from_nowhere(bids):
        return np.array([1.0, 0.0]) + 0.0 * bids, 0.0 * bids

    sides = [1.0, -1.0]
    assert one(single_parameter("trade", both, ["buyer", "seller"], prior=GRID, sides=sides), "feasibility").verdict is Verdict.PROVED
    found = one(single_parameter("gift", from_nowhere, ["buyer", "seller"], prior=GRID, sides=sides), "feasibility")
    assert found.verdict is Verdict.REFUTED


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"true_type": 1.5}, "type or report of 'ann'"),
        ({"misreport": -0.1}, "type or report of 'ann'"),
        ({"misreport": "a lot"}, "type or report of 'ann'"),
        ({"others": {"bob": 7.0}}, "type or report of 'bob'"),
        ({"others": {"zed": 0.5}}, "agents among .*got one about 'zed'"),
        ({"agent": "zed"}, "agents among"),
        ({"agent": None}, "to name the agent"),
        ({"details": {"property": "zed"}}, "witness of one of"),
    ],
)
def test_a_witness_outside_the_type_spaces_or_of_nothing_known_does_not_replay(changes, message):
    auction = first_price(["ann", "bob"])
    witness = Witness("ann", 0.9, 0.5, {"bob": 0.3}, 0.4, {"property": "DSIC"})
    assert replay(auction, witness) == pytest.approx(0.4)
    with pytest.raises(InputError, match=message):
        replay(auction, replace(witness, **changes))


def test_partners_stories_and_aliases_have_to_fit_as_well():
    auction = second_price(["ann", "bob"], prior=GRID)
    for name, key in (("collusion_proof_pairs", "partner_report"), ("shill_proof", "alias_report")):
        witness = one(auction, name).witness
        with pytest.raises(InputError, match="type or report"):
            replay(auction, replace(witness, details={**witness.details, key: 0.3}))
    witness = one(auction, "credible").witness
    teller, story = next(iter(witness.details["stories"].items()))
    lie = {teller: dict.fromkeys(story, 0.3)}
    with pytest.raises(InputError, match="type or report"):
        replay(auction, replace(witness, details={**witness.details, "stories": lie}))


def test_a_finding_and_its_witness_speak_of_one_property():
    finding = one(first_price(2, prior=GRID), "DSIC")
    with pytest.raises(InputError, match="own property 'BIC', got one of 'DSIC'"):
        replay(first_price(2, prior=GRID), replace(finding, property="BIC"))


def test_reasons_are_written_in_few_digits():
    prior = FinitePrior([0.1, 0.1 + 0.2, 0.7])
    for finding in audit(second_price(2, prior=prior), ["shill_proof", "credible", "collusion_proof_pairs"], effort=SMALL):
        assert finding.verdict is Verdict.REFUTED
        assert "000000" not in finding.reason
