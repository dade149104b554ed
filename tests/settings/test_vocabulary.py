from __future__ import annotations

import numpy as np

from hurwicz.prices.direct import PriceMechanism
from hurwicz.prices.payments import RULES, Linear, QuadraticAggregate, does_not_guarantee, guarantees
from hurwicz.settings import PROPERTIES, BatchedDirectMechanism, DirectMechanism, Outcomes, Property
from hurwicz.typespaces import Interval


def test_every_property_says_what_it_means():
    assert len(PROPERTIES) == len(set(PROPERTIES)) == len(Property)
    assert all(p.meaning for p in Property)


def test_a_row_of_a_batch_is_an_outcome():
    batch = Outcomes({"a": np.array([[1.0, 2.0], [3.0, 4.0]])}, {"a": np.array([5.0, 6.0])})
    one = batch.one(1)
    assert np.array_equal(one.allocation["a"], [3.0, 4.0])
    assert one.payments == {"a": 6.0}


def test_price_mechanisms_are_direct_mechanisms():
    problem = QuadraticAggregate(1.0, 2)
    mechanism = PriceMechanism(problem, Linear(), {n: Interval(0.1, 1.0) for n in problem.agents})
    assert isinstance(mechanism, DirectMechanism)
    assert isinstance(mechanism, BatchedDirectMechanism)


def test_every_rule_declares_both_columns():
    for rule in RULES.values():
        assert rule.claims
        held = {c.property for c in rule.claims if c.holds}
        assert held
        assert any(not c.holds for c in rule.claims), rule.name
    assert {c.property for c in guarantees(Linear())}.isdisjoint({c.property for c in does_not_guarantee(Linear())})
