from __future__ import annotations

import numpy as np
import pytest

from hurwicz.audits import Effort, audit, findings_from_json, findings_to_json, stories
from hurwicz.mechanisms import single_parameter
from hurwicz.mechanisms.single_item import all_pay, first_price, second_price
from hurwicz.typespaces import FinitePrior

GRID = FinitePrior([0.0, 0.5, 1.0])


def told(mechanism, name, **more):
    (finding,) = audit(mechanism, [name], effort="quick", **more)
    (again,) = findings_from_json(findings_to_json([finding]))
    assert again.witness.details["story"] == finding.witness.details["story"]
    (line,) = stories([finding])
    assert line == f"{name}: {finding.witness.details['story']}"
    return finding.witness.details["story"]


def test_a_lie_is_told_with_its_reason():
    story = told(first_price(["ann", "bob"], prior=GRID, ties="order"), "DSIC", at=[{"ann": 1.0, "bob": 0.5}])
    first, because = story.split(", because ")
    assert first == "ann, worth 1, reports 0.5 and gains 0.5 where bob reports 0.5"
    assert because == "it still gets what the truth gives it and pays 0.5 instead of 1."


def test_a_seller_has_a_cost_and_receives():
    def paid_as_asked(costs):
        wins = (np.arange(2) == costs.argmin(axis=1)[:, None]) * 1.0
        return wins, -wins * costs

    tender = single_parameter("tender", paid_as_asked, ["sol", "tim"], prior=GRID, sides=[-1.0, -1.0])
    story = told(tender, "DSIC", at=[{"sol": 0.0, "tim": 1.0}])
    assert story.startswith("sol, whose cost is 0, reports 1 and gains 1 where tim reports 1, because")
    assert "receives 1 instead of 0" in story


def test_a_second_name_is_told_of():
    # with equal shares for equal bids two names are two tickets
    assert "under a second name" in told(first_price(["ann", "bob"], prior=GRID), "false_name_proof")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("BIC", "while the others tell the truth, and expects"),
        ("ex_post_IR", "below opting out"),
        ("interim_IR", "expects to lose"),
        ("ex_ante_IR", "before it knows its type"),
        ("strong_budget_balance", "Payments miss zero"),
        ("envy_freeness", "would gain"),
        ("collusion_proof_pairs", "which they can share"),
    ],
)
def test_every_kind_of_witness_has_a_story(name, words):
    story = told(all_pay(["ann", "bob"], prior=GRID, ties="order"), name)
    assert words in story
    assert story.endswith(".")


@pytest.mark.parametrize(("name", "words"), [("shill_proof", "invents a participant"), ("credible", "is told that")])
def test_the_auctioneer_has_one_too(name, words):
    assert words in told(second_price(["ann", "bob"], prior=GRID), name)


def test_giving_away_too_much_names_the_reports():
    both = single_parameter("both", lambda b: (0.0 * b + 1.0, 0.0 * b), 2, prior=GRID, excess=lambda s: s.sum(axis=1) - 1.0)
    assert "1 more is given away than there is" in told(both, "feasibility")
    assert stories(audit(second_price(2, prior=GRID), ["DSIC"], effort=Effort())) == []
