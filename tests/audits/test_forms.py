"""Proofs by form: theorems about what is declared, and declarations that do not hold are found out."""

from dataclasses import replace

import numpy as np
import pytest

from hurwicz._foundation import InputError
from hurwicz.audits import Effort, Verdict, audit
from hurwicz.mechanisms import (
    SingleParameterMechanism,
    combinatorial_vcg,
    mcafee,
    optimal_procurement,
    posted_price,
    second_price,
    second_price_procurement,
    single_parameter,
    vcg_kelly,
)
from hurwicz.settings import AffineMaximiser, PaymentIdentity
from hurwicz.typespaces import Interval, Uniform

SMALL = Effort(profiles=60, deviations=9, refinements=2, steps=20, samples=256, max_nodes=256, seconds=600.0)
MONEY = ["DSIC", "ex_post_IR", "weak_budget_balance", "efficiency"]
ABOVE = Uniform(Interval(0.25, 1.0))


def verdicts(mechanism, properties=MONEY):
    return [f.verdict.value for f in audit(mechanism, properties, effort=SMALL)]


@pytest.mark.parametrize(
    ("mechanism", "expected"),
    [
        (second_price(3), ["proved"] * 4),
        (second_price(3, ties="order"), ["proved"] * 4),
        (second_price(3, reserve=0.3), ["proved", "proved", "proved", "refuted"]),
        (second_price(3, prior=ABOVE), ["proved"] * 4),  # no type 0: compared with the auction among the others
        (second_price_procurement(3), ["proved", "proved", "refuted", "proved"]),
        (vcg_kelly(3), ["proved"] * 4),
        (combinatorial_vcg(2), ["proved"] * 4),
        (posted_price(3), ["proved", "proved", "proved", "refuted"]),
        (optimal_procurement(2), ["proved", "proved", "refuted", "refuted"]),
        (mcafee(4), ["proved", "proved", "not_refuted", "refuted"]),
    ],
    ids=lambda value: "" if isinstance(value, list) else value.name,
)
def test_what_follows_from_a_form_is_proved_on_a_continuum(mechanism, expected):
    findings = audit(mechanism, MONEY, effort=SMALL)
    assert [f.verdict.value for f in findings] == expected
    for f in findings:
        if f.verdict is Verdict.PROVED:
            assert f.method.startswith("by form")
            assert f.effort["given"] == "the declared form"
            assert "looked at" in f.reason or "lines" in f.reason  # what was checked is said beside what is proved


def vickrey_and(change, **declared):
    """A second-price auction of two whose payments are changed by what does not depend on the own report."""
    base = second_price(2)

    def rule(bids):
        shares, paid = base.rule(bids)
        return shares, paid + change(bids[:, ::-1])

    form = replace(base.form, **declared)
    return replace(base, rule=rule, form=form, resized=None)


def test_an_entry_fee_and_a_rebate_are_groves_but_not_clarke():
    fee = vickrey_and(lambda others: 0.05 + 0.0 * others)
    assert verdicts(fee) == ["proved", "refuted", "not_refuted", "proved"]
    rebate = vickrey_and(lambda others: -0.1 * others)
    assert verdicts(rebate)[:3] == ["proved", "not_refuted", "refuted"]
    (finding,) = audit(rebate, ["ex_post_IR"], effort=SMALL)
    assert "the declared pivot does not hold" in finding.effort["declared_form"]


def test_a_wrong_pivot_under_which_nobody_loses_proves_nothing():
    # a tenth off where the other bids above one half: nobody loses, and yet it is not Clarke's pivot
    mechanism = vickrey_and(lambda others: np.where(others > 0.5, -0.1, 0.0))
    (taking_part,) = audit(mechanism, ["ex_post_IR"], effort=SMALL)
    assert taking_part.verdict is Verdict.NOT_REFUTED
    assert "pivot does not hold" in taking_part.reason


def test_a_pivot_that_cannot_be_checked_proves_nothing():
    alone = replace(second_price(2, prior=ABOVE), resized=None)
    (finding,) = audit(alone, ["ex_post_IR"], effort=SMALL)
    assert finding.verdict is Verdict.NOT_REFUTED
    assert "cannot be checked" in finding.reason


def test_too_few_outcomes_are_of_the_form_and_not_efficient():
    def rule(bids):  # the third bidder is never looked at: maximal in its range
        wins = np.zeros_like(bids)
        first = bids[:, 0] >= bids[:, 1]
        wins[:, 0], wins[:, 1] = first, ~first
        return wins, wins * bids[:, [1, 0, 2]]

    mechanism = replace(
        single_parameter("in a range", rule, 3, efficient=second_price(3).efficient),
        form=AffineMaximiser(dict.fromkeys(("bidder 1", "bidder 2", "bidder 3"), 1.0), None, "Clarke"),
    )
    assert verdicts(mechanism) == ["proved", "proved", "proved", "refuted"]


def test_weights_that_differ_say_nothing_of_welfare():
    weights = {"bidder 1": 2.0, "bidder 2": 1.0}

    def rule(bids):
        wins = np.stack([2.0 * bids[:, 0] >= bids[:, 1], 2.0 * bids[:, 0] < bids[:, 1]], axis=1).astype(float)
        return wins, wins * np.stack([0.5 * bids[:, 1], 2.0 * bids[:, 0]], axis=1)

    mechanism = single_parameter("weighted", rule, 2, efficient=second_price(2).efficient, form=AffineMaximiser(weights, None, "Clarke"))
    assert verdicts(mechanism) == ["proved", "proved", "proved", "refuted"]


def test_a_payment_identity_that_does_not_hold_is_found():
    first = single_parameter(
        "first price",
        lambda b: ((b == b.max(axis=1, keepdims=True)) * 1.0, b * (b == b.max(axis=1, keepdims=True))),
        2,
        form=PaymentIdentity(),
    )
    assert verdicts(first, ["DSIC"]) == ["refuted"]
    falls = single_parameter("falls", lambda b: (1.0 - b, 0.0 * b), 1, form=PaymentIdentity())
    assert verdicts(falls, ["DSIC"]) == ["refuted"]
    entry = single_parameter("a fee for all", lambda b: ((b >= 0.5) * 1.0, 0.5 * (b >= 0.5) + 0.01), 1, form=PaymentIdentity())
    assert verdicts(entry, ["DSIC", "ex_post_IR", "weak_budget_balance"]) == ["proved", "refuted", "proved"]
    paid = single_parameter("paid to come", lambda b: ((b >= 0.5) * 1.0, 0.5 * (b >= 0.5) - 0.01), 1, form=PaymentIdentity())
    assert verdicts(paid, ["DSIC", "ex_post_IR", "weak_budget_balance"]) == ["proved", "proved", "refuted"]


def test_without_a_declaration_the_lemma_bounds_utilities_along_lines():
    mine = single_parameter("x = b, t = b²/2", lambda b: (b, 0.5 * b**2), 1)
    (finding,) = audit(mine, ["ex_post_IR"], effort=SMALL)
    low, high = finding.effort["bracket"]
    assert finding.verdict is Verdict.NOT_REFUTED
    assert "Myerson's lemma along lines" in finding.method
    assert -1e-2 < low <= 0.0 == high  # u(theta) = theta²/2
    offer = replace(posted_price(2, price=0.4), form=None)
    (finding,) = audit(offer, ["ex_post_IR"], effort=SMALL)
    assert finding.effort["bracket"] == [0.0, 0.0]
    assert finding.effort["left_out"] < 1e-8


def test_a_form_needs_a_known_pivot():
    with pytest.raises(InputError, match="pivot among"):
        AffineMaximiser({"a": 1.0}, pivot="clark")


def test_that_outcomes_seen_cost_the_planner_nothing_is_no_proof():
    """The planner's participation follows from payments only where it is declared that no outcome is worth or costs it anything."""
    (free,) = audit(second_price(2), ["planner_IR"], effort=SMALL)
    assert free.verdict is Verdict.PROVED
    assert "as declared" in free.reason
    seldom = replace(vcg_kelly(2), cost=lambda shares: np.where(np.abs(shares[:, 0] - 0.123) < 1e-9, 1.0, 0.0))
    (unseen,) = audit(seldom, ["planner_IR"], effort=SMALL)
    assert unseen.verdict is Verdict.NOT_REFUTED


class _SaysItIsIndifferent(SingleParameterMechanism):
    @property
    def planner_is_indifferent(self):
        return True


def test_a_planner_that_is_not_indifferent_as_declared_is_found():
    base = second_price(2)
    said = _SaysItIsIndifferent(
        name="says so",
        rule=base.rule,
        prior=base.prior,
        sides=base.sides,
        cost=lambda shares: -0.1 * shares.sum(axis=1),
        form=base.form,
    )
    (finding,) = audit(said, ["planner_IR"], effort=SMALL)
    assert finding.verdict is Verdict.NOT_REFUTED
    assert "declared indifferent" in finding.effort["declared_form"]
