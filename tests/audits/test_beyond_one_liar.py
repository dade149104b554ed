"""Pairs, second names, and the auctioneer: none of these follows from truthfulness."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from hurwicz._foundation import InputError
from hurwicz.audits import Effort, Verdict, audit, replay
from hurwicz.mechanisms import clarke_pivot, pivotal_public_good, single_parameter
from hurwicz.mechanisms.single_item import all_pay, first_price, second_price
from hurwicz.settings import Outcomes
from hurwicz.typespaces import Finite, FinitePrior

GRID = FinitePrior([0.0, 0.25, 0.5, 0.75, 1.0])
SMALL = Effort(profiles=30, deviations=9, refinements=1, steps=15, seconds=20.0)


def one(mechanism, name, **more):
    (finding,) = audit(mechanism, [name], effort=SMALL, **more)
    if finding.witness is not None:
        assert replay(mechanism, finding, **more) == pytest.approx(finding.witness.gain, rel=1e-12)
    return finding


def posted_price(agents=2, prior=None):
    """Everybody may have one at .5: nothing that others report matters."""
    return single_parameter(
        "posted", lambda b: ((b >= 0.5) * 1.0, (b >= 0.5) * 0.5), agents, prior=prior, resized=lambda n: posted_price(n, prior)
    )


@pytest.mark.parametrize("prior", [GRID, None])
def test_truthful_auctions_are_refuted_on_pairs_that_collude(prior):
    auction = second_price(2, prior=prior)
    assert one(auction, "DSIC").verdict is not Verdict.REFUTED
    found = one(auction, "collusion_proof_pairs")
    assert found.verdict is Verdict.REFUTED
    assert found.value == pytest.approx(1.0)  # both worth 1: the price falls from 1 to 0
    assert one(posted_price(prior=prior), "collusion_proof_pairs").verdict is (Verdict.PROVED if prior else Verdict.NOT_REFUTED)


def test_joint_gains_are_those_of_brute_force():
    auction = first_price(3, prior=FinitePrior([0.0, 0.4, 1.0]))
    values, names = [0.0, 0.4, 1.0], auction.agents
    best = -np.inf
    for profile in itertools.product(values, repeat=3):
        types = dict(zip(names, profile, strict=True))
        truth = auction.outcome(types)
        for i, j in itertools.combinations(names, 2):
            for a, b in itertools.product(values, repeat=2):
                lie = auction.outcome({**types, i: a, j: b})
                gain = sum(
                    auction.value(n, lie, types[n]) - lie.payments[n] - auction.value(n, truth, types[n]) + truth.payments[n]
                    for n in (i, j)
                )
                best = max(best, gain)
    found = one(auction, "collusion_proof_pairs")
    assert found.value == pytest.approx(best, abs=1e-15)
    assert found.method == "exhaustive"


def test_clarke_falls_to_pairs():
    found = one(clarke_pivot(3), "collusion_proof_pairs")
    assert found.verdict is Verdict.REFUTED
    assert found.witness.details["partner"] != found.witness.agent


class TwoGoodsForOne:
    """VCG for goods A and B: everybody wants both together or is offered nothing else; a second name splits the bundle.

    Reports are values of (A, B, both). The allocation marks what is got.
    """

    def __init__(self, names):
        self.agents = tuple(names)
        self.type_spaces = dict.fromkeys(self.agents, Finite([[0.0, 0.0, 10.0], [8.0, 0.0, 8.0], [0.0, 8.0, 8.0], [0.0, 0.0, 0.0]]))

    def resized(self, names):
        return TwoGoodsForOne(names)

    def _best(self, values, without=None):
        n = len(self.agents)
        best, choice = 0.0, np.zeros((n, 3))
        who = [k for k in range(n) if k != without]
        for i in who:
            if values[i, 2] > best:
                best, choice = values[i, 2], np.zeros((n, 3))
                choice[i, 2] = 1.0
        for i, j in itertools.permutations(who, 2):
            if values[i, 0] + values[j, 1] > best:
                best, choice = values[i, 0] + values[j, 1], np.zeros((n, 3))
                choice[i, 0] = choice[j, 1] = 1.0
        return best, choice

    def outcomes(self, reports):
        table = np.stack([np.asarray(reports[n], dtype=float) for n in self.agents], axis=1)
        shares, paid = np.zeros_like(table), np.zeros(table.shape[:2])
        for k, values in enumerate(table):
            best, choice = self._best(values)
            shares[k] = choice
            for i in range(len(self.agents)):
                paid[k, i] = self._best(values, i)[0] - (best - (values[i] * choice[i]).sum())
        return Outcomes({n: shares[:, i] for i, n in enumerate(self.agents)}, {n: paid[:, i] for i, n in enumerate(self.agents)})

    def outcome(self, reports):
        return self.outcomes({n: np.asarray([reports[n]]) for n in self.agents}).one(0)

    def union(self, one, other):
        both = one + other
        joined = (both[:, 0] > 0) & (both[:, 1] > 0)
        return np.where(joined[:, None], np.array([0.0, 0.0, 1.0]), np.minimum(both, 1.0))

    def values(self, agent, outcomes, true_types):
        return (outcomes.allocation[agent] * true_types).sum(axis=1)

    def value(self, agent, outcome, true_type):
        return float((outcome.allocation[agent] * true_type).sum())

    def welfares(self, outcomes, true_types):
        return sum(self.values(n, outcomes, true_types[n]) for n in self.agents)

    def welfare(self, outcome, true_types):
        return sum(self.value(n, outcome, true_types[n]) for n in self.agents)


def test_vcg_is_not_false_name_proof_with_bundles():
    vcg = TwoGoodsForOne(["ann", "bob"])
    assert one(vcg, "DSIC").verdict is Verdict.PROVED
    found = one(vcg, "false_name_proof")
    # both want the bundle at 10, the price is 10; split as {A: 8} and {B: 8}, each name pays 2
    assert found.verdict is Verdict.REFUTED
    assert found.value == pytest.approx(6.0)


@pytest.mark.parametrize("prior", [GRID, None])
def test_second_names_do_not_help_where_one_good_has_a_second_price(prior):
    assert one(second_price(2, prior=prior), "false_name_proof").verdict is (Verdict.PROVED if prior else Verdict.NOT_REFUTED)
    assert one(posted_price(prior=prior), "false_name_proof").verdict is (Verdict.PROVED if prior else Verdict.NOT_REFUTED)


@pytest.mark.parametrize("make", [all_pay, first_price])
def test_what_a_plain_lie_gains_is_no_gain_of_a_second_name(make):
    mechanism = make(["ann", "bob"], prior=GRID, ties="order")
    assert one(mechanism, "DSIC").verdict is Verdict.REFUTED
    assert one(mechanism, "false_name_proof").verdict is Verdict.PROVED
    on_a_line = one(make(["ann", "bob"]), "false_name_proof")
    assert on_a_line.verdict is Verdict.NOT_REFUTED
    two_tickets = one(first_price(["ann", "bob"], prior=GRID), "false_name_proof")  # ties by lot
    assert two_tickets.verdict is Verdict.REFUTED
    assert two_tickets.witness.details["best_report_alone"] is not None


def test_a_head_count_is_not_false_name_proof():
    def per_head(agents=2, prior=None):
        return single_parameter(
            "a tenth a head", lambda b: (0.0 * b, 0.0 * b - 0.1), agents, prior=prior, resized=lambda n: per_head(n, prior)
        )

    found = one(per_head(prior=GRID), "false_name_proof")
    assert found.verdict is Verdict.REFUTED
    assert found.value == pytest.approx(0.1)


def test_a_public_decision_is_not_worth_more_under_two_names():
    # whoever has two names has two votes: the pivotal mechanism for a public project falls for that alone
    project = pivotal_public_good(2, prior=GRID)
    found = one(project, "false_name_proof")
    if found.witness is not None:
        assert found.value <= 1.0
    lottery = single_parameter(
        "always built",
        lambda b: (1.0 + 0.0 * b, 0.0 * b),
        2,
        prior=GRID,
        resized=lambda n: single_parameter("more", lambda b: (1.0 + 0.0 * b, 0.0 * b), n, prior=GRID),
    )
    assert one(lottery, "false_name_proof").verdict is Verdict.PROVED


def test_a_family_may_be_passed():
    plain = single_parameter("second", second_price(2).rule, 2, prior=GRID)
    missing = one(plain, "false_name_proof")
    assert missing.verdict is Verdict.NOT_APPLICABLE
    assert "family=" in missing.reason
    family = lambda names: second_price(names, prior=GRID)  # noqa: E731
    assert one(plain, "shill_proof", family=family).verdict is Verdict.REFUTED
    with pytest.raises(InputError, match="expected from the family a mechanism for"):
        audit(plain, ["shill_proof"], family=lambda names: second_price(3, prior=GRID))
    with pytest.raises(InputError, match="to keep what bidder 1 may report"):
        audit(plain, ["shill_proof"], family=lambda names: second_price(names, prior=FinitePrior([0.0, 1.0])))


@pytest.mark.parametrize("prior", [GRID, None])
def test_shill_bids(prior):
    found = one(second_price(2, prior=prior), "shill_proof")
    assert found.verdict is Verdict.REFUTED
    assert found.value == pytest.approx(0.75 if prior else 1.0, abs=1e-3)
    for safe in (first_price, all_pay):
        assert one(safe(2, prior=prior), "shill_proof").verdict is (Verdict.PROVED if prior else Verdict.NOT_REFUTED)


def test_an_invented_seller_may_not_win():
    def lowest_wins_at_second(costs):  # a reverse auction: the lowest cost works and is paid the second lowest
        order = np.argsort(costs, axis=1)
        wins = (np.arange(costs.shape[1]) == order[:, [0]]) * 1.0
        return wins, -wins * np.sort(costs, axis=1)[:, [1]]

    def reverse(agents=2):
        names = agents if isinstance(agents, int) else list(agents)
        count = names if isinstance(names, int) else len(names)
        return single_parameter("reverse", lowest_wins_at_second, names, prior=GRID, sides=[-1.0] * count, resized=reverse)

    # an invented seller below the real ones would leave the buyer with nothing: that is no gain; between the two lowest it lowers the price
    found = one(reverse(), "shill_proof")
    assert found.verdict is Verdict.REFUTED
    assert found.value == pytest.approx(1.0)  # a real cost of 0 keeps the job against an invented 0: ties go to who comes first
    assert one(reverse(), "false_name_proof").verdict is Verdict.PROVED


@pytest.mark.parametrize("prior", [GRID, None])
def test_credibility(prior):
    found = one(second_price(2, prior=prior), "credible")
    assert found.verdict is Verdict.REFUTED  # the winner is told of a bid just below its own
    assert found.value == pytest.approx(0.75 if prior else 0.99, abs=0.02)
    (story,) = found.witness.details["stories"].items()
    winner = max(found.witness.true_type, key=found.witness.true_type.get)
    assert story[0] == winner
    assert one(first_price(2, prior=prior), "credible").verdict is (Verdict.PROVED if prior else Verdict.NOT_REFUTED)


def test_stories_may_move_the_good():
    def lowest_bid_wins_free(bids):  # the highest bid pays nothing and gets nothing: the seller would rather sell to it at its bid
        order = np.argsort(bids, axis=1, kind="stable")
        wins = (np.arange(bids.shape[1]) == order[:, [0]]) * 1.0
        return wins, wins * bids

    rule = single_parameter("lowest", lowest_bid_wins_free, 2, prior=GRID, excess=lambda shares: shares.sum(axis=1) - 1.0)
    found = one(rule, "credible")
    assert found.verdict is Verdict.REFUTED
    assert found.value == pytest.approx(1.0)  # told that the other bid 1 as well, the bidder at 1 wins and pays 1
