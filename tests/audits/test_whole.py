"""Each property of the auditor with a mechanism that has it and one that lacks it."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from hurwicz._foundation import InputError
from hurwicz.audits import Effort, Verdict, audit, replay
from hurwicz.audits.executors import Threads
from hurwicz.mechanisms import optimal_revenue, single_parameter
from hurwicz.mechanisms.single_item import first_price, second_price, third_price
from hurwicz.settings import Outcomes, beliefs
from hurwicz.typespaces import CorrelatedPrior, Finite, FinitePrior, ProductPrior

GRID = FinitePrior([0.0, 0.25, 0.5, 0.75, 1.0])
SMALL = Effort(profiles=40, deviations=11, refinements=1, steps=12, max_nodes=64, samples=512, seconds=20.0)
CORRELATED = CorrelatedPrior({"a": [0.0, 0.0, 1.0, 1.0], "b": [0.0, 1.0, 0.0, 1.0]}, [0.4, 0.1, 0.1, 0.4])


def one(mechanism, name, **more):
    (finding,) = audit(mechanism, [name], effort=SMALL, **more)
    if finding.witness is not None:
        assert replay(mechanism, finding, prior=more.get("prior")) == pytest.approx(finding.witness.gain, rel=1e-12)
    return finding


def brute_force(mechanism):
    """Largest gain of a lie, one profile at a time, through the single forms."""
    best = -np.inf
    grids = [mechanism.type_spaces[n].values for n in mechanism.agents]
    for profile in itertools.product(*grids):
        types = dict(zip(mechanism.agents, profile, strict=True))
        truth = mechanism.outcome(types)
        for agent in mechanism.agents:
            told = mechanism.value(agent, truth, types[agent]) - truth.payments[agent]
            for lie in mechanism.type_spaces[agent].values:
                outcome = mechanism.outcome({**types, agent: lie})
                best = max(best, mechanism.value(agent, outcome, types[agent]) - outcome.payments[agent] - told)
    return best


def test_the_table_of_outcomes_gives_what_brute_force_gives():
    rng = np.random.default_rng(5)
    shares, paid = rng.random((5, 4, 3, 3)), rng.random((5, 4, 3, 3))
    prior = {"a": FinitePrior([0.1, 0.3, 0.7, 0.8, 1.0]), "b": FinitePrior([0.0, 0.5, 0.6, 1.0]), "c": FinitePrior([0.2, 0.4, 0.9])}

    def rule(bids):
        index = tuple(np.searchsorted(p.space.values, bids[:, k]) for k, p in enumerate(prior.values()))
        return shares[index], paid[index]

    mechanism = single_parameter("random", rule, list(prior), prior=prior, sides=[1.0, -1.0, 1.0])
    expected = brute_force(mechanism)
    found = one(mechanism, "DSIC")
    assert found.method == "exhaustive"
    assert found.value == pytest.approx(expected, abs=1e-14)
    assert found.effort["deviations"] == 60 * (5 + 4 + 3)
    slabs = audit(mechanism, ["DSIC"], effort=Effort(max_bytes=200))[0]  # the table does not fit: slab by slab
    assert slabs.value == pytest.approx(expected, abs=1e-14)
    assert slabs.effort["evaluations"] > 2 * 60
    assert slabs.witness == found.witness
    threads = audit(mechanism, ["DSIC"], effort=SMALL, executor=Threads(2))[0]
    assert threads.witness == found.witness


def test_the_compiled_loop_and_numpy_agree(monkeypatch):
    mechanism = first_price(3, prior=FinitePrior(np.linspace(0, 1, 7)))
    plain = one(mechanism, "DSIC"), one(mechanism, "monotonicity")
    monkeypatch.setattr("hurwicz.audits.exhaustive._COMPILED", 0)
    compiled = one(mechanism, "DSIC"), one(mechanism, "monotonicity")
    for a, b in zip(plain, compiled, strict=True):
        assert a.value == pytest.approx(b.value, abs=1e-15)
        assert a.verdict is b.verdict


def test_ex_post_ic_of_private_values_is_dsic():
    for mechanism, verdict in ((second_price(3, prior=GRID), Verdict.PROVED), (first_price(3, prior=GRID), Verdict.REFUTED)):
        found = one(mechanism, "ex_post_IC")
        assert found.verdict is verdict
        assert "same as DSIC" in found.reason
        assert found.value == one(mechanism, "DSIC").value


class Interdependent:
    """One good, two bidders; i's value is theta_i + weight theta_j. The winner pays its value at the least report that still wins."""

    agents = ("a", "b")
    type_spaces = {n: Finite([0.0, 0.2, 0.4, 0.6, 0.8, 1.0]) for n in agents}  # noqa: RUF012

    def __init__(self, weight, *, aware):
        self.weight, self.aware = weight, aware

    def outcomes(self, reports):
        a, b = reports["a"], reports["b"]
        wins = np.stack([a >= b, a < b]).astype(float)
        other = np.stack([b, a])
        price = other * (1.0 + self.weight) if self.aware else other
        return Outcomes(dict(zip("ab", wins, strict=True)), dict(zip("ab", wins * price, strict=True)))

    def outcome(self, reports):
        return self.outcomes({n: np.array([reports[n]]) for n in self.agents}).one(0)

    def interdependent_values(self, agent, outcomes, types):
        other = "b" if agent == "a" else "a"
        return outcomes.allocation[agent] * (types[agent] + self.weight * types[other])

    def values(self, agent, outcomes, true_types):
        return outcomes.allocation[agent] * true_types

    def value(self, agent, outcome, true_type):
        return float(outcome.allocation[agent] * true_type)

    def welfares(self, outcomes, true_types):
        return sum(self.interdependent_values(n, outcomes, true_types) for n in self.agents)

    def welfare(self, outcome, true_types):
        return float(sum(outcome.allocation[n] * true_types[n] for n in self.agents))


def test_ex_post_ic_with_interdependent_values():
    good, bad = Interdependent(0.5, aware=True), Interdependent(0.5, aware=False)
    assert one(good, "ex_post_IC").verdict is Verdict.PROVED
    found = one(bad, "ex_post_IC")
    assert found.verdict is Verdict.REFUTED
    assert found.witness.misreport > found.witness.true_type  # the price forgets what the other's type adds
    dsic = one(good, "DSIC")
    assert dsic.verdict is Verdict.NOT_APPLICABLE
    assert "ex_post_IC" in dsic.reason


def test_bic_under_correlated_types_weighs_by_the_conditional():
    names = ["a", "b"]
    assert one(second_price(names, prior=CORRELATED), "BIC").verdict is Verdict.PROVED
    first = first_price(names, prior=CORRELATED, ties="order")
    found = one(first, "BIC")
    # a of type 1 wins ties: bidding 0 keeps the win where b is 0, and P(b = 0 | a = 1) = .2
    assert found.verdict is Verdict.REFUTED
    assert found.value == pytest.approx(0.2)
    independent = ProductPrior({n: CORRELATED.marginal(n) for n in names})
    assert audit(first, ["BIC"], prior=independent)[0].value == pytest.approx(0.5)


def test_interim_ir_under_correlated_types():
    def entry_fee(bids):
        return np.zeros_like(bids), np.full_like(bids, 0.1) - 0.3 * (bids[:, ::-1] == bids)

    # pays .1, gets .3 back where the other has the same type: fine at P(same) = .8, and not where P(same) is .2
    charged = single_parameter("side bet", entry_fee, ["a", "b"], prior=CORRELATED)
    assert one(charged, "interim_IR").verdict is Verdict.PROVED
    opposite = CorrelatedPrior(CORRELATED.profiles, [0.1, 0.4, 0.4, 0.1])
    found = one(charged, "interim_IR", prior=opposite)
    assert found.verdict is Verdict.REFUTED
    assert found.value == pytest.approx(0.1 - 0.3 * 0.2)


def test_budgets_in_expectation():
    prior = FinitePrior([0.0, 1.0])

    def lottery(bids):  # pays out .5 to each at report 1, collects .5 at report 0
        return np.zeros_like(bids), 0.5 - bids

    balanced = single_parameter("balanced on average", lottery, 2, prior=prior)
    assert one(balanced, "strong_budget_balance_in_expectation").verdict is Verdict.PROVED
    assert one(balanced, "strong_budget_balance").verdict is Verdict.REFUTED
    assert one(balanced, "weak_budget_balance").verdict is Verdict.REFUTED
    deficit = one(
        balanced,
        "weak_budget_balance_in_expectation",
        prior=ProductPrior(dict.fromkeys(balanced.agents, FinitePrior([0.0, 1.0], [0.2, 0.8]))),
    )
    assert deficit.verdict is Verdict.REFUTED
    assert deficit.witness.gain == pytest.approx(0.6)
    auction = second_price(2, prior=prior)
    assert one(auction, "weak_budget_balance_in_expectation").verdict is Verdict.PROVED
    assert one(auction, "strong_budget_balance_in_expectation").value == pytest.approx(0.25)


def test_revenue_above_the_known_optimum_raises_an_alarm():
    # two bidders, U[0, 1]: no mechanism earns more than 5/12; first price at truthful bids "earns" 2/3
    found = one(first_price(2), "revenue_within_bound", revenue_bound=5 / 12)
    assert found.verdict is Verdict.REFUTED
    assert "impossible claim" in found.reason
    assert found.value == pytest.approx(2 / 3, abs=found.witness.details["error"])
    assert one(second_price(2), "revenue_within_bound", revenue_bound=5 / 12).verdict is Verdict.NOT_REFUTED
    # Myerson's optimum is the bound that a single-item rule brings along, whatever the prior
    own = one(first_price(2, prior=GRID), "revenue_within_bound")
    assert own.verdict is Verdict.REFUTED
    assert own.witness.details["bound"] == pytest.approx(optimal_revenue(beliefs(["a", "b"], GRID)))
    unknown = one(replace(second_price(2, prior=GRID), revenue_bound=None), "revenue_within_bound")
    assert unknown.verdict is Verdict.NOT_APPLICABLE
    assert "no bound on it is known" in unknown.reason
    assert unknown.value == pytest.approx(0.3)  # the lower of two values of the grid, on average


def test_envy():
    assert one(second_price(3, prior=GRID), "envy_freeness").verdict is Verdict.PROVED
    found = one(third_price(3, prior=GRID), "envy_freeness")  # the second bidder would buy at the third price
    assert found.verdict is Verdict.REFUTED
    assert found.value == pytest.approx(0.75)  # worth .75, the winner paid 0 ... or 1 and a tie
    assert found.witness.details["other"] != found.witness.agent


def test_anonymity_and_ties_as_played():
    assert one(second_price(3, prior=GRID), "anonymity").verdict is Verdict.PROVED
    found = one(second_price(3, prior=GRID, ties="order"), "anonymity")
    assert found.verdict is Verdict.REFUTED
    assert len({*found.witness.others.values(), found.witness.true_type}) < 3  # only ties tell
    asymmetric = second_price(2, prior={"bidder 1": GRID, "bidder 2": FinitePrior([0.0, 2.0])})
    assert one(asymmetric, "anonymity").verdict is Verdict.NOT_APPLICABLE


@pytest.mark.parametrize("prior", [GRID, None])
def test_monotonicity(prior):
    def contrary(bids):  # the second-highest bid wins
        wins = (np.argsort(np.argsort(bids, axis=1), axis=1) == bids.shape[1] - 2).astype(float)
        return wins, 0.0 * bids

    assert one(second_price(3, prior=prior), "monotonicity").verdict is (Verdict.PROVED if prior else Verdict.NOT_REFUTED)
    found = one(single_parameter("contrary", contrary, 3, prior=prior), "monotonicity")
    assert found.verdict is Verdict.REFUTED
    assert found.value > 0.2


@pytest.mark.parametrize("prior", [GRID, None])
def test_allocating_more_than_there_is_is_refuted_with_the_profile(prior):
    def generous(bids):  # everybody above a half gets the one good
        return (bids > 0.5).astype(float), 0.5 * (bids > 0.5)

    oversold = single_parameter("generous", generous, 3, prior=prior, excess=lambda shares: shares.sum(axis=1) - 1.0)
    found = one(oversold, "feasibility")
    assert found.verdict is Verdict.REFUTED
    assert found.value == pytest.approx(2.0)
    assert all(v > 0.5 for v in found.witness.true_type.values())
    assert "infeasible" in found.reason
    assert one(second_price(3, prior=prior), "feasibility").verdict is (Verdict.PROVED if prior else Verdict.NOT_REFUTED)
    assert one(Interdependent(0.5, aware=True), "feasibility").verdict is Verdict.NOT_APPLICABLE


class Tilted(FinitePrior):
    """Weights that do not sum to one, as a careless prior of one's own may give."""

    def quadrature(self, order):
        points, weights = super().quadrature(order)
        return points, 0.9 * weights


def test_bad_priors_are_refused():
    mechanism = second_price(["a", "b"], prior=GRID)
    with pytest.raises(InputError, match=r"sum to 1 in the prior of 'a', got a sum of 0\.9"):
        audit(mechanism, ["BIC"], prior=ProductPrior({"a": Tilted([0.0, 1.0]), "b": GRID}))
    with pytest.raises(InputError, match=r"on types that it may report.*got 3"):
        audit(mechanism, ["BIC"], prior=CorrelatedPrior({"a": [0.0, 3.0], "b": [0.0, 1.0]}, [0.5, 0.5]))
    with pytest.raises(InputError, match="prior over"):
        audit(mechanism, ["BIC"], prior=CorrelatedPrior({"a": [0.0], "z": [0.0]}, [1.0]))


def test_an_excess_that_is_no_number_is_refused():
    broken = single_parameter("broken", lambda b: (0 * b, 0 * b), 2, prior=GRID, excess=lambda shares: shares.sum(axis=1) * np.nan)
    with pytest.raises(InputError, match="expected from excess a finite number"):
        audit(broken, ["feasibility"])


class Curved:
    """Second price where a good is worth theta squared, though ``sides`` says that values are linear."""

    agents = ("a", "b")
    sides = (1.0, 1.0)
    type_spaces = {n: Finite([0.0, 0.2, 0.4, 0.6, 0.8, 1.0]) for n in agents}  # noqa: RUF012

    def outcomes(self, reports):
        a, b = reports["a"], reports["b"]
        return Outcomes({"a": (a >= b) * 1.0, "b": (a < b) * 1.0}, {"a": (a >= b) * b, "b": (a < b) * a})

    def outcome(self, reports):
        return self.outcomes({n: np.array([reports[n]]) for n in self.agents}).one(0)

    def values(self, agent, outcomes, true_types):
        return outcomes.allocation[agent] * np.asarray(true_types) ** 2

    def value(self, agent, outcome, true_type):
        return float(outcome.allocation[agent] * true_type**2)

    def welfares(self, outcomes, true_types):
        return sum(self.values(n, outcomes, true_types[n]) for n in self.agents)

    def welfare(self, outcome, true_types):
        return sum(self.value(n, outcome, true_types[n]) for n in self.agents)


def test_a_false_claim_of_linear_values_is_found_out():
    found = one(Curved(), "DSIC")
    # worth .36, bids .6 and pays up to .4 where the other bids as much: it should have bid .36
    assert found.verdict is Verdict.REFUTED
    assert found.value == pytest.approx(brute_force(Curved()), abs=1e-15)
    assert "deviations_per_second" not in found.effort
