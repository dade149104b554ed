"""Pivots that compare with what the others could have had: told apart from one decision for all, which is worth something to who is out."""

from dataclasses import replace

import numpy as np
import pytest

from hurwicz.audits import Effort, Verdict, audit
from hurwicz.mechanisms import min_work, pivotal_public_good, single_parameter, uniform_price_procurement
from hurwicz.settings import AffineMaximiser

SMALL = Effort(profiles=60, deviations=9, refinements=2, steps=20, samples=256, max_nodes=256, seconds=600.0)


def taking_part(mechanism):
    (finding,) = audit(mechanism, ["ex_post_IR"], effort=SMALL)
    return finding


@pytest.mark.parametrize("sellers", [2, 3, 4])
def test_where_all_that_are_left_are_served_it_is_no_shared_decision(sellers):
    """Three sellers of two units: without one, the two others always sell, and that is not a decision for the third."""
    finding = taking_part(uniform_price_procurement(sellers))
    assert finding.verdict is Verdict.PROVED
    assert "leave-one-out" in finding.method


def test_one_decision_for_all_proves_no_participation_by_who_is_left_out():
    project = pivotal_public_good(3)
    assert project.resized is not None
    said = replace(project, form=replace(project.form, pivot="leave-one-out"))
    finding = taking_part(said)
    assert finding.verdict is not Verdict.PROVED


def test_a_decision_for_all_that_loses_nobody_money_is_still_not_left_out():
    """Built whenever the sum of values is above one half, at Clarke's payments: the agent that is left out enjoys it as well."""

    def made(names):
        def rule(bids):
            built = (bids.sum(axis=1, keepdims=True) > 0.5).astype(float) * np.ones_like(bids)
            others = bids.sum(axis=1, keepdims=True) - bids - 0.5
            return built, np.maximum(others, 0.0) - built * others

        form = AffineMaximiser(dict.fromkeys(names, 1.0), lambda o: -0.5 * np.asarray(o.allocation[names[0]]), "leave-one-out")
        return single_parameter("park", rule, names, supply=None, resized=made, form=form)

    finding = taking_part(made(("a", "b", "c")))
    assert finding.verdict is Verdict.NOT_REFUTED
    assert "cannot be checked" in finding.reason


def test_what_is_left_of_two_machines_is_one_that_does_it_all():
    pair = min_work(["a", "b"], tasks=3)
    alone = pair.resized(["b"])
    outcome = alone.outcome({"b": [0.1, 0.2, 0.4]})
    assert outcome.allocation["b"].tolist() == [1.0, 1.0, 1.0]
    assert outcome.payments["b"] == 0.0
    assert alone.welfare(outcome, {"b": [0.1, 0.2, 0.4]}) == pytest.approx(-0.7)
    assert pair.resized(["a", "b", "c"]).name == "MinWork"
