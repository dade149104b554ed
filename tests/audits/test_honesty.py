"""Attempts to make the auditor say what is not so."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from hurwicz._foundation import InputError
from hurwicz.audits import EFFORTS, Effort, Verdict, audit, findings_from_json, findings_to_json, replay
from hurwicz.settings import Outcome, Outcomes
from hurwicz.typespaces import Finite, FinitePrior, Interval, ProductPrior, TruncatedNormal, Uniform

LITTLE = Effort(profiles=20, deviations=11, refinements=2, steps=20, max_nodes=256, samples=1024)
UNHURRIED = replace(EFFORTS["quick"], seconds=120.0)  # the same on a machine that is busy with something else


def uniform_over(spaces):
    return ProductPrior({n: FinitePrior(s) if isinstance(s, Finite) else Uniform(s) for n, s in spaces.items()})


@pytest.mark.parametrize("bidders", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("kind", ["grid", "skewed grid", "unit", "far from 0", "bell"])
def test_first_price_is_always_refuted(batched_auction, bidders, kind):
    # from four bidders on a product quadrature has few nodes a bidder and an allocation that jumps between them
    names = [f"bidder {k}" for k in range(bidders)]
    space = {"grid": Finite([0.0, 0.25, 0.5, 0.75, 1.0]), "skewed grid": Finite([0.0, 0.5, 1.0]), "far from 0": Interval(10.0, 11.0)}.get(
        kind, Interval(0.0, 2.0 if kind == "bell" else 1.0)
    )
    one = {"skewed grid": FinitePrior([0.0, 0.5, 1.0], [0.7, 0.2, 0.1]), "bell": TruncatedNormal(0.0, 2.0, mean=1.0, sd=0.3)}.get(
        kind, FinitePrior(space) if isinstance(space, Finite) else Uniform(space)
    )
    mechanism, prior = batched_auction(dict.fromkeys(names, space), second_price=False), ProductPrior(dict.fromkeys(names, one))
    dsic, bic, rational = audit(mechanism, ["DSIC", "BIC", "ex_post_IR"], prior=prior, effort=LITTLE, seed=bidders)
    assert dsic.verdict is bic.verdict is Verdict.REFUTED
    assert rational.verdict is (Verdict.PROVED if isinstance(space, Finite) else Verdict.NOT_REFUTED)
    for finding in (dsic, bic):
        assert replay(mechanism, finding, prior=prior) == pytest.approx(finding.witness.gain, abs=1e-12)


@pytest.mark.parametrize("bidders", [2, 3, 4, 5])
@pytest.mark.parametrize("all_pay", [False, True])
def test_truthful_forms_of_equilibria_are_not_refuted_on_bic(batched_auction, bidders, all_pay):
    # What the equilibria of first-price and all-pay auctions assign and charge: BIC by revelation, with an allocation that jumps. A search
    # over misreports finds gains on the nodes of any product quadrature that are not there under the prior.
    class Revealed(batched_auction):
        def outcomes(self, reports):
            made, n = super().outcomes(reports), len(self.agents)
            share = (n - 1) / n
            paid = {k: share * reports[k] ** n if all_pay else made.allocation[k] * share * reports[k] for k in self.agents}
            return Outcomes(made.allocation, paid)

        def outcome(self, reports):
            return self.outcomes({n: np.asarray(v)[None] for n, v in reports.items()}).one(0)

    spaces = {f"bidder {k}": Interval(0.0, 1.0) for k in range(bidders)}
    (finding,) = audit(Revealed(spaces, second_price=False), ["BIC"], prior=uniform_over(spaces), effort=UNHURRIED)
    assert finding.verdict is Verdict.NOT_REFUTED
    assert all("samples" in how for how in finding.effort["expectation"])
    assert finding.effort["error"] > 0.0


class Penalty:
    """a gains .01 by reporting high, but loses 5 where b's type is in a part of one in a hundred, which no node of a quadrature hits."""

    agents = ("a", "b")
    type_spaces = dict.fromkeys(agents, Interval(0.0, 1.0))

    def outcome(self, reports):
        caught = abs(float(reports["b"]) - 0.4142) < 5e-3
        high = float(reports["a"]) > 0.5
        return Outcome(dict.fromkeys(self.agents, np.array(0.0)), {"a": (5.0 if caught else -0.01) if high else 0.0, "b": 0.0})

    def value(self, agent, outcome, true_type):
        return 0.0

    def welfare(self, outcome, true_types):
        return 0.0


def test_an_expectation_that_rests_on_rare_events_is_not_refuted():
    mechanism = Penalty()
    for effort in (LITTLE, Effort(profiles=0, deviations=5, refinements=1, steps=5, samples=500, max_nodes=64)):
        (finding,) = audit(mechanism, ["BIC"], prior=uniform_over(mechanism.type_spaces), effort=effort)
        assert finding.verdict is Verdict.NOT_REFUTED, finding.reason


@pytest.mark.parametrize("kind", ["random", "counting", "rarely random"])
@pytest.mark.parametrize("space", [Finite([0.0, 0.5, 1.0]), Interval(0.0, 1.0)])
def test_what_is_no_function_of_the_reports_gets_no_verdict(auction, kind, space):
    class Moody(auction):
        asked = 0
        rng = np.random.default_rng(0)

        def outcome(self, reports):
            made = super().outcome(reports)
            self.asked += 1
            more = {"random": self.rng.uniform(), "counting": 1e-3 * self.asked, "rarely random": -5.0 * (self.asked % 23 == 0)}[kind]
            return Outcome(made.allocation, {n: t + more for n, t in made.payments.items()})

    spaces = dict.fromkeys(("ann", "bob"), space)
    found = audit(Moody(spaces, second_price=True), ["DSIC", "BIC", "ex_post_IR"], prior=uniform_over(spaces), effort=LITTLE)
    assert {f.verdict for f in found} == {Verdict.NOT_APPLICABLE}
    assert all("same reports" in f.reason or "replayed" in f.reason for f in found)


@pytest.mark.parametrize(
    ("member", "words"),
    [
        ({"welfare": lambda *_: float("nan")}, "finite welfare"),
        ({"planner_value": lambda *_: float("nan")}, "numbers from planner_value"),
        ({"welfare_bound": lambda *_: -1.0}, "upper bound on welfare"),
        ({"outcome": lambda self, reports: Outcome({"ann": np.array(0.0)}, {"ann": 0.0})}, "every agent"),
        (
            {"outcome": lambda self, r: Outcome(dict.fromkeys("ab", np.array(0.0)), {"ann": float("inf"), "bob": 0.0})},
            "for every agent|finite",
        ),
        ({"type_spaces": {"ann": Finite([0.0])}}, "without type spaces"),
        ({"agents": ()}, "at least one agent"),
    ],
)
def test_broken_members_are_named_and_never_proved(auction, member, words):
    mechanism = auction(dict.fromkeys(("ann", "bob"), Finite([0.0, 0.5, 1.0])), second_price=True)
    for name, value in member.items():
        setattr(mechanism, name, value.__get__(mechanism) if callable(value) else value)
    with pytest.raises(InputError, match=words):
        audit(mechanism, ["efficiency", "planner_IR", "DSIC"])


def test_single_and_batched_members_must_agree(batched_auction):
    class Two(batched_auction):
        def outcome(self, reports):
            made = super().outcome(reports)
            return Outcome(made.allocation, {n: 2.0 * t for n, t in made.payments.items()})

    with pytest.raises(InputError, match="to agree"):
        audit(Two(dict.fromkeys(("ann", "bob"), Interval(0.0, 1.0)), second_price=True), ["DSIC"])


def test_a_prior_lives_on_the_type_spaces(auction):
    mechanism = auction(dict.fromkeys(("ann", "bob"), Finite([0.0, 1.0])), second_price=True)
    with pytest.raises(InputError, match="may report"):
        audit(mechanism, ["BIC"], prior=ProductPrior(dict.fromkeys(("ann", "bob"), Uniform(Interval(0.0, 1.0)))))


@pytest.mark.parametrize("scale", [1e12, 1e-12, 1e-200])
def test_verdicts_do_not_depend_on_the_unit_of_money(batched_auction, scale):
    verdicts = []
    for unit in (1.0, scale):
        spaces = dict.fromkeys(("ann", "bob"), Interval(0.0, unit))
        for second in (False, True):
            mechanism = batched_auction(spaces, second_price=second)
            found = audit(mechanism, ["DSIC", "BIC", "ex_post_IR", "efficiency"], prior=uniform_over(spaces), effort=LITTLE)
            verdicts.append([f.verdict for f in found])
    assert verdicts[:2] == verdicts[2:]


def test_types_that_are_tuples_of_anything_survive_json():
    class Tagged:
        agents = ("a", "b")
        type_spaces = dict.fromkeys(agents, Finite([("left", 1), ("right", 2)]))

        def outcome(self, reports):
            assert all(isinstance(r, tuple) for r in reports.values())
            return Outcome(dict.fromkeys(self.agents, np.array(0.0)), {"a": -float(reports["a"] == ("left", 1)), "b": 0.0})

        def value(self, agent, outcome, true_type):
            return 0.0

        def welfare(self, outcome, true_types):
            return 0.0

    mechanism = Tagged()
    found = audit(mechanism, ["DSIC", "strong_budget_balance"])
    for finding in findings_from_json(findings_to_json(found)):
        assert finding.verdict is Verdict.REFUTED
        assert replay(mechanism, finding) == 1.0


@pytest.mark.parametrize("where", [0.437, 1.0])
def test_a_narrow_bump_is_climbed(where):
    class Bump(Penalty):
        def outcome(self, reports):
            paid = max(0.0, 1.0 - abs(float(reports["a"]) - where) / 0.05)
            return Outcome(dict.fromkeys(self.agents, np.array(0.0)), {"a": -paid, "b": 0.0})

    (finding,) = audit(Bump(), ["DSIC"], effort="quick")
    assert finding.witness.gain == pytest.approx(1.0, abs=1e-2)
    assert 0.0 <= finding.witness.misreport <= 1.0


def test_time_limits_bind_in_every_part_of_the_search(auction):
    class Slow(auction):
        asked = 0

        def outcome(self, reports):
            Slow.asked += 1
            time.sleep(5e-4)
            return super().outcome(reports)

    spaces = dict.fromkeys(("ann", "bob", "cyd"), Interval(0.0, 1.0))
    effort = Effort(seconds=0.5, samples=1024)
    for name in ("DSIC", "BIC", "interim_IR", "efficiency", "ex_post_IR"):
        Slow.asked = 0
        (finding,) = audit(Slow(spaces, second_price=True), [name], prior=uniform_over(spaces), effort=effort)
        assert Slow.asked < 20_000, (name, Slow.asked)  # of half a millisecond each; millions without the limit
        assert finding.verdict is Verdict.NOT_REFUTED
    grid = dict.fromkeys(spaces, Finite(np.linspace(0.0, 1.0, 20)))
    (finding,) = audit(Slow(grid, second_price=True), ["DSIC"], effort=Effort(seconds=0.2))
    assert finding.verdict is Verdict.NOT_REFUTED
    assert finding.effort["cut_by_time_limit"]
