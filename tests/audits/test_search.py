"""Rungs of the search ladder that find what the ones before them miss."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from hurwicz.audits import Effort, Verdict, audit, replay
from hurwicz.settings import Outcomes
from hurwicz.typespaces import Box, Finite, Interval


class Own:
    """One bidder, k items; gets everything it values above its bid's price list. The rule is a function of its report alone."""

    agents = ("ann",)

    def __init__(self, space, rule):
        self.type_spaces = {"ann": space}
        self.rule = rule

    def outcomes(self, reports):
        shares, paid = self.rule(np.asarray(reports["ann"], dtype=float))
        return Outcomes({"ann": shares}, {"ann": paid})

    def outcome(self, reports):
        return self.outcomes({"ann": np.asarray([reports["ann"]])}).one(0)

    def values(self, agent, outcomes, true_types):
        product = outcomes.allocation[agent] * true_types
        return product if product.ndim == 1 else product.sum(axis=1)

    def value(self, agent, outcome, true_type):
        return float(np.sum(outcome.allocation[agent] * true_type))

    def welfares(self, outcomes, true_types):
        return self.values("ann", outcomes, true_types["ann"])

    def welfare(self, outcome, true_types):
        return self.value("ann", outcome, true_types["ann"])


LITTLE = Effort(profiles=4, deviations=4, refinements=0, steps=1)


def test_a_bid_of_zero_is_always_tried():
    def entry_fee(bids):  # free at exactly zero, else a fee
        return np.ones_like(bids), np.where(bids == 0.0, 0.0, 0.3)

    space = Interval(0.0, 1.0)
    (found,) = audit(Own(space, entry_fee), ["DSIC"], effort=LITTLE)
    assert found.verdict is Verdict.REFUTED
    assert found.witness.misreport == 0.0
    assert found.value == pytest.approx(0.3)


def test_one_item_is_moved_at_a_time():
    # five items, everything is given away, and who reports 1 for exactly one item gets a rebate: a joint grid of two points a dimension
    # and scaled reports all miss it unless one item moves alone
    def rebate(bids):
        tops = (bids == 1.0).sum(axis=1)
        return np.ones_like(bids), np.where((tops == 1) & (bids.min(axis=1) > 0.1), -1.0, 0.0)

    space = Box([0.2] * 5, [1.0] * 5)
    (found,) = audit(Own(space, rebate), ["DSIC"], effort=LITTLE)
    assert found.verdict is Verdict.REFUTED
    assert sum(v == 1.0 for v in found.witness.misreport) == 1


class Learned(Own):
    """A smooth rule in 12 dimensions whose best lie lies along one oblique direction; JAX can trace it."""

    def __init__(self, *, truthful):
        rng = np.random.default_rng(2)
        self.direction = rng.choice([-1.0, 1.0], 12)
        self.truthful = truthful
        super().__init__(Box([0.0] * 12, [1.0] * 12), self._rule)

    def _pay(self, bids, xp):
        # x = b, t = |b|^2 / 2 is truthful; the discount for going along a ridge, steep on both sides, is not
        if self.truthful:
            return 0.5 * (bids**2).sum(axis=-1)
        along = (bids - 0.5) * self.direction
        middle = along.mean(axis=-1)
        off = ((along - middle[..., None]) ** 2).mean(axis=-1)
        return 0.5 * (bids**2).sum(axis=-1) - 12.0 * xp.maximum(0.0, middle) ** 2 + 400.0 * off

    def _rule(self, bids):
        return bids, self._pay(bids, np)

    def traceable_utility(self, agent, reports, true_type):
        bids = reports[agent]
        return bids @ true_type - self._pay(bids, jnp)


def test_gradients_find_what_coordinates_do_not():
    effort = Effort(profiles=6, deviations=5, refinements=2, steps=30)
    with_gradients = audit(Learned(truthful=False), ["DSIC"], effort=effort)[0]

    class Blind(Learned):
        traceable_utility = property()

    without = audit(Blind(truthful=False), ["DSIC"], effort=effort)[0]
    assert with_gradients.verdict is Verdict.REFUTED
    assert replay(Learned(truthful=False), with_gradients) == pytest.approx(with_gradients.value, rel=1e-9)
    assert with_gradients.value > without.value + 0.5
    good = audit(Learned(truthful=True), ["DSIC"], effort=effort)[0]
    assert good.verdict is Verdict.NOT_REFUTED


def test_finite_spaces_of_vectors_are_searched_whole():
    def mean_price(bids):
        return np.ones_like(bids), bids.mean(axis=1)

    space = Finite([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    (found,) = audit(Own(space, mean_price), ["DSIC"])
    assert found.verdict is Verdict.REFUTED
    assert found.method == "exhaustive"
    assert found.witness.misreport == [0.0, 0.0]


def test_the_lie_of_a_witness_is_a_round_number():
    from hurwicz.audits.local_search import digits_of
    from hurwicz.mechanisms.single_item import all_pay, first_price

    for mechanism in (first_price(2), all_pay(2)):
        (found,) = audit(mechanism, ["DSIC"], effort="quick")
        lie = found.witness.misreport
        assert digits_of(lie) <= 2
        assert lie == 0.0 or lie >= 1e-3
        assert found.witness.gain >= 0.9 * found.effort["best_gain"]
    (named,) = audit(first_price(["ann", "bob"]), ["DSIC"], at=[{"ann": 0.71, "bob": 0.5}], effort="quick")
    assert named.witness.misreport == 0.51
