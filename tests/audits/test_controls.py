from __future__ import annotations

import numpy as np
import pytest

from hurwicz._foundation import InputError
from hurwicz.audits import Effort, Finding, Verdict, Witness, audit, replay
from hurwicz.settings import CORE_PROPERTIES, Outcome, Outcomes
from hurwicz.typespaces import Box, Finite, FinitePrior, Interval, ProductPrior, Uniform

SMALL = Effort(profiles=40, deviations=11, refinements=2, steps=25, max_nodes=64, samples=512, seconds=20.0)


def prior_over(spaces):
    return ProductPrior({n: FinitePrior(s) if isinstance(s, Finite) else Uniform(s) for n, s in spaces.items()})


def test_first_price_is_refuted_on_dsic_and_truthful_bic_and_keeps_ex_post_ir(batched_auction, bidders):
    mechanism = batched_auction(bidders, second_price=False)
    prior = prior_over(bidders)
    found = {f.property: f for f in audit(mechanism, prior=prior, effort=SMALL)}
    for name in ("DSIC", "BIC"):
        assert found[name].verdict is Verdict.REFUTED, name
        assert found[name].witness.misreport < found[name].witness.true_type  # bidders shade
        assert replay(mechanism, found[name], prior=prior) == pytest.approx(found[name].witness.gain, abs=1e-12)
        assert found[name].witness.gain > 0.05
    grid = isinstance(bidders["ann"], Finite)
    assert found["ex_post_IR"].verdict is (Verdict.PROVED if grid else Verdict.NOT_REFUTED)
    assert found["weak_budget_balance"].verdict is (Verdict.PROVED if grid else Verdict.NOT_REFUTED)
    assert found["strong_budget_balance"].verdict is Verdict.REFUTED
    assert found["efficiency"].verdict is (Verdict.PROVED if grid else Verdict.NOT_REFUTED)


def test_second_price_is_proved_on_grids_and_not_refuted_on_boxes(batched_auction, bidders):
    mechanism = batched_auction(bidders, second_price=True)
    found = audit(
        mechanism, ["DSIC", "BIC", "ex_post_IR", "interim_IR", "ex_ante_IR", "planner_IR"], prior=prior_over(bidders), effort=SMALL
    )
    grid = isinstance(bidders["ann"], Finite)
    for f in found:
        assert f.verdict is (Verdict.PROVED if grid else Verdict.NOT_REFUTED), f
        assert f.witness is None
    if not grid:
        assert 0.0 < found[0].effort["profiles_with_gain_at_most_95"] == 1.0 - 0.05 ** (1.0 / 40)


def test_batches_and_single_profiles_give_the_same_findings(auction, batched_auction):
    spaces = dict.fromkeys(("ann", "bob"), Interval(0.0, 1.0))
    prior = prior_over(spaces)
    effort = Effort(profiles=8, deviations=5, refinements=1, steps=6, max_nodes=8, samples=64)
    slow, fast = (audit(make(spaces, second_price=False), prior=prior, effort=effort) for make in (auction, batched_auction))
    for one, two in zip(slow, fast, strict=True):
        assert one.verdict is two.verdict, one.property
        assert one.value == pytest.approx(two.value, abs=1e-12)


def test_exhaustive_dsic_equals_brute_force(auction):
    spaces = {"ann": Finite([0.0, 0.5, 1.0]), "bob": Finite([0.3, 0.7])}
    for second in (False, True):
        mechanism = auction(spaces, second_price=second)
        worst = -np.inf
        for name, other in (("ann", "bob"), ("bob", "ann")):
            for true in spaces[name].values:
                for lie in spaces[name].values:
                    for theirs in spaces[other].values:
                        one, two = mechanism.outcome({name: true, other: theirs}), mechanism.outcome({name: lie, other: theirs})
                        gain = mechanism.value(name, two, true) - two.payments[name] - mechanism.value(name, one, true) + one.payments[name]
                        worst = max(worst, gain)
        (finding,) = audit(mechanism, ["DSIC"])
        assert finding.value == pytest.approx(worst, abs=1e-15)
        assert finding.effort["profiles"] == 6
        assert finding.method == "exhaustive"


class TruthfulAmongTheTruthful:
    """Pays 1 to whoever reports what the other's report says it should: truthful at truthful profiles, not against lies."""

    agents = ("a", "b")
    type_spaces = {n: Finite([0.0, 1.0]) for n in agents}  # noqa: RUF012

    def outcome(self, reports):
        agree = float(reports["a"] == 0.0 or reports["b"] == 1.0)
        # a's report 0 is rewarded when b reports 0, its report 1 when b reports 1; a's true type does not enter its value
        paid = 1.0 if (reports["a"] == reports["b"]) else 0.0
        return Outcome({"a": np.array(agree), "b": np.array(0.0)}, {"a": -paid, "b": 0.0})

    def value(self, agent, outcome, true_type):
        return 0.0

    def welfare(self, outcome, true_types):
        return 0.0


def test_dsic_is_anchored_on_the_true_type_at_every_profile_of_the_others():
    # a truthful against b's report 1 - a's type: only an auditor that tries all reports of b sees the gain
    (finding,) = audit(TruthfulAmongTheTruthful(), ["DSIC"])
    assert finding.verdict is Verdict.REFUTED
    assert finding.witness.others["b"] != finding.witness.true_type
    assert replay(TruthfulAmongTheTruthful(), finding) == 1.0


class TwoGoods:
    """Two goods, two bidders with value vectors: VCG good by good, or pay-your-bid; batched."""

    def __init__(self, *, vcg):
        self.vcg = vcg
        self.agents = ("a", "b")
        self.type_spaces = dict.fromkeys(self.agents, Box([0.0, 0.0], [1.0, 1.0]))

    def outcomes(self, reports):
        a, b = reports["a"], reports["b"]
        wins = (a >= b).astype(float)
        return Outcomes(
            {"a": wins, "b": 1.0 - wins},
            {"a": (wins * (b if self.vcg else a)).sum(axis=1), "b": ((1 - wins) * (a if self.vcg else b)).sum(axis=1)},
        )

    def values(self, agent, outcomes, true_types):
        return (outcomes.allocation[agent] * true_types).sum(axis=1)

    def welfares(self, outcomes, true_types):
        return sum(self.values(n, outcomes, true_types[n]) for n in self.agents)

    def outcome(self, reports):
        return self.outcomes({n: np.asarray(v)[None] for n, v in reports.items()}).one(0)

    def value(self, agent, outcome, true_type):
        return float(np.sum(outcome.allocation[agent] * np.asarray(true_type)))

    def welfare(self, outcome, true_types):
        return sum(self.value(n, outcome, true_types[n]) for n in self.agents)


@pytest.mark.parametrize("vcg", [True, False])
def test_vector_types_on_boxes(vcg):
    mechanism = TwoGoods(vcg=vcg)
    prior = ProductPrior({n: Uniform(s) for n, s in mechanism.type_spaces.items()})
    found = {
        f.property: f
        for f in audit(mechanism, ["DSIC", "BIC", "ex_post_IR", "interim_IR", "weak_budget_balance"], prior=prior, effort="quick")
    }
    wanted = Verdict.NOT_REFUTED if vcg else Verdict.REFUTED
    assert found["DSIC"].verdict is wanted
    assert found["BIC"].verdict is wanted
    assert found["ex_post_IR"].verdict is Verdict.NOT_REFUTED
    if not vcg:
        for name in ("DSIC", "BIC"):
            witness = found[name].witness
            assert len(witness.misreport) == 2
            assert replay(mechanism, found[name], prior=prior) == pytest.approx(witness.gain, abs=1e-12)
    assert mechanism.type_spaces["a"].dims == 2


def test_named_types_that_are_words():
    class Vote:
        agents = ("a", "b", "c")
        type_spaces = {n: Finite(["left", "right"]) for n in agents}  # noqa: RUF012

        def outcome(self, reports):
            right = sum(reports[n] == "right" for n in self.agents) >= 2
            return Outcome({n: np.array(float(right)) for n in self.agents}, dict.fromkeys(self.agents, 0.0))

        def value(self, agent, outcome, true_type):
            return float((outcome.allocation[agent] == 1.0) == (true_type == "right"))

        def welfare(self, outcome, true_types):
            return sum(self.value(n, outcome, true_types[n]) for n in self.agents)

    found = {
        f.property: f for f in audit(Vote(), ["DSIC", "strong_budget_balance", "efficiency"], at=[{"a": "left", "b": "left", "c": "right"}])
    }
    assert found["DSIC"].verdict is Verdict.PROVED
    assert found["strong_budget_balance"].verdict is Verdict.PROVED
    assert found["efficiency"].verdict is Verdict.NOT_REFUTED  # no bound given: outcomes of misreports are no better, and that is all


def test_participation_and_budget_witnesses_replay(auction):
    class Taxed(auction):
        def outcome(self, reports):
            made = super().outcome(reports)
            return Outcome(made.allocation, {n: t + 0.1 for n, t in made.payments.items()})

        def planner_value(self, outcome):
            return -1.0

    spaces = dict.fromkeys(("ann", "bob"), Interval(0.0, 1.0))
    mechanism, prior = Taxed(spaces, second_price=True), ProductPrior({n: Uniform(s) for n, s in spaces.items()})
    names = ["ex_post_IR", "interim_IR", "strong_budget_balance", "planner_IR"]
    for finding in audit(mechanism, names, prior=prior, effort=SMALL):
        assert finding.verdict is Verdict.REFUTED, finding.property
        assert replay(mechanism, finding, prior=prior) == pytest.approx(finding.witness.gain, abs=1e-12)
    (interim,) = audit(mechanism, ["interim_IR"], prior=prior, effort=SMALL)
    assert interim.witness.gain == pytest.approx(0.1, abs=1e-6)  # the lowest type never wins


def test_sampled_expectations_are_judged_on_a_fresh_sample_with_an_error_bar(batched_auction):
    spaces = {f"bidder {k}": Interval(0.0, 1.0) for k in range(5)}
    prior = ProductPrior({n: Uniform(s) for n, s in spaces.items()})
    effort = Effort(profiles=5, deviations=9, refinements=1, steps=10, max_nodes=10, samples=800)
    (good,) = audit(batched_auction(spaces, second_price=True), ["BIC"], prior=prior, effort=effort)
    assert good.verdict is Verdict.NOT_REFUTED
    assert good.effort["expectation"] == ["800 samples"]
    (bad,) = audit(batched_auction(spaces, second_price=False), ["BIC"], prior=prior, effort=effort)
    assert bad.verdict is Verdict.REFUTED
    assert bad.witness.gain > bad.witness.details["error"] > 0.0
    assert bad.witness.details["expectation"]["seed"] != 0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda m: audit(m, ["truthful"]), "properties among"),
        (lambda m: audit(m, ["BIC"]), "expected a prior"),
        (lambda m: audit(m, ["BIC"], prior=ProductPrior({"ann": FinitePrior([0.0])})), "prior over"),
        (lambda m: audit(m, ["DSIC"], effort="heroic"), "expected one of"),
        (lambda m: audit(m, ["DSIC"], at=[{"ann": 0.5}]), "wrong for"),
        (lambda m: audit(m, ["DSIC"], at=[{"ann": 0.5, "bob": 7.0, "cyd": 0.5}]), "wrong for"),
        (lambda m: replay(m, Finding("DSIC", Verdict.PROVED, 0.0, None, "exhaustive")), "no witness"),
        (lambda m: replay(m, Witness("ann", 0.5, 0.4, {}, 0.1)), "details"),
        (lambda m: replay(m, Witness("ann", 0.5, 0.4, {}, 0.1, {"property": "beauty"})), "witness of one of"),
        (lambda m: Effort(steps=0), "positive limits"),
    ],
)
def test_bad_calls_are_refused_with_words(auction, call, words):
    mechanism = auction(dict.fromkeys(("ann", "bob", "cyd"), Interval(0.0, 1.0)), second_price=True)
    with pytest.raises(InputError, match=words):
        call(mechanism)


def test_numbers_that_are_not_finite_are_named(auction):
    class Broken(auction):
        def value(self, agent, outcome, true_type):
            return float("nan")

    with pytest.raises(InputError, match="NaN or infinity"):
        audit(Broken(dict.fromkeys(("ann", "bob"), Finite([0.0, 1.0])), second_price=True), ["DSIC"])


def test_without_a_prior_expectations_do_not_apply_and_a_time_limit_is_kept(auction):
    class Bare:
        agents = ("a",)
        type_spaces = {"a": Interval(0.0, 1.0)}  # noqa: RUF012

        def outcome(self, reports):
            return Outcome({"a": np.array(0.0)}, {"a": 0.0})

        def value(self, agent, outcome, true_type):
            return 0.0

        def welfare(self, outcome, true_types):
            return 0.0

    told = []
    found = audit(Bare(), effort=Effort(profiles=50, seconds=0.001), progress=lambda name, part: told.append((name, part)))
    assert [f.property for f in found] == list(CORE_PROPERTIES)
    verdicts = {f.property: f.verdict for f in found}
    assert verdicts["BIC"] is verdicts["interim_IR"] is verdicts["planner_IR"] is Verdict.NOT_APPLICABLE
    assert all(f.reason for f in found)
    assert all(0.0 <= part <= 1.0 for _, part in told)
    assert {name for name, _ in told} >= {"DSIC", "efficiency"}
