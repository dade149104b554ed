from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hurwicz.audits import (
    Verdict,
    audit,
    effort_in_words,
    findings_from_json,
    findings_table,
    findings_to_json,
    payment_table,
    payment_table_markdown,
    render_findings,
    replay,
)
from hurwicz.audits import price_claims as claims
from hurwicz.prices.direct import PriceMechanism
from hurwicz.prices.payments import RULES, Clarke, Linear, Myerson, OwnPath, PostedExpectation, QuadraticAggregate
from hurwicz.typespaces import Finite, FinitePrior, Interval, ProductPrior


@pytest.fixture(scope="module")
def cells():
    return payment_table(effort="quick")


def one(cells, rule, prop, holds, **where):
    found = [
        c
        for c in cells
        if c.rule == rule and c.claim.property == prop and c.claim.holds is holds and c.control == where.get("control", False)
    ]
    assert found, (rule, prop, holds)
    return found


def test_every_claim_of_every_rule_has_its_finding_and_no_claim_is_contradicted(cells):
    for rule in RULES.values():
        if rule.name == "unpaid":
            continue
        for claim in rule.claims:
            for cell in one(cells, rule.name, claim.property, claim.holds):
                if claim.holds:
                    assert cell.finding.verdict in (Verdict.PROVED, Verdict.NOT_REFUTED), cell
                    assert cell.finding.effort
                else:
                    assert cell.finding.verdict is Verdict.REFUTED, cell
    assert all(c.finding.verdict is Verdict.REFUTED for c in cells if c.control)
    assert sum(c.control for c in cells) == 2


def test_every_witness_replays_on_its_mechanism_and_survives_json(cells):
    refuted = [c for c in cells if c.finding.verdict is Verdict.REFUTED]
    assert len(refuted) >= 14
    for cell in refuted:
        (back,) = findings_from_json(findings_to_json([cell.finding]))
        gain = replay(cell.mechanism, back)
        assert gain == pytest.approx(cell.finding.witness.gain, rel=1e-9), cell.claim
        assert gain > 0.0


def test_figures_of_the_table(cells):
    (linear,) = one(cells, "linear", "DSIC", False)
    assert linear.finding.witness.agent == "agent 1"
    assert linear.finding.witness.misreport == pytest.approx(0.182, abs=5e-4)
    assert linear.finding.witness.details["relative_gain"] == pytest.approx(0.256, abs=5e-4)
    (nash,) = one(cells, "linear", "efficiency_at_equilibrium", False)
    assert nash.finding.witness.details["excess"] == pytest.approx(0.066, abs=5e-4)
    assert nash.finding.witness.details["largest_remaining_gain"] < 1e-9
    (large,) = one(cells, "linear", "strategy_proof_in_the_large", True)
    assert large.finding.effort["relative_gains_found"] == pytest.approx([0.2933, 0.0400, 0.002481, 0.0000998], rel=1e-3)
    (dynamics,) = one(cells, "own path", "truthful_dynamics", False)
    assert dynamics.finding.witness.details["utility_truthful"] == pytest.approx(12.46, abs=5e-3)
    assert dynamics.finding.witness.details["utility_misreport"] == pytest.approx(49.96, abs=1e-2)
    assert dynamics.finding.witness.details["loss"] == pytest.approx(5.55, abs=5e-3)
    (saddle,) = one(cells, "own path", "efficient_equilibria", False)
    assert saddle.finding.witness.gain == pytest.approx(11.1111, abs=1e-3)
    clarke = one(cells, "Clarke", "DSIC", True)
    assert {c.finding.verdict for c in clarke} == {Verdict.PROVED, Verdict.NOT_REFUTED}
    searched = next(c for c in clarke if c.finding.verdict is Verdict.NOT_REFUTED)
    assert searched.finding.effort["deviations"] > 10_000
    assert "95 % confidence" in searched.finding.reason
    (partners,) = one(cells, "Clarke", "planner_IR", False)
    assert partners.finding.witness.gain == pytest.approx(9.0, abs=1e-9)  # W = 9 is paid twice
    (budget,) = one(cells, "Clarke", "weak_budget_balance", False)
    assert budget.finding.witness.gain == pytest.approx(5.966, abs=5e-4)
    for cell in one(cells, "expected externality", "strong_budget_balance", True):
        assert abs(cell.finding.value) < 1e-9
    assert {c.finding.verdict for c in one(cells, "expected externality", "BIC", True)} == {Verdict.PROVED, Verdict.NOT_REFUTED}
    (control,) = one(cells, "expected externality", "BIC", False, control=True)
    assert control.finding.witness.true_type == 0.55
    assert control.finding.witness.misreport == pytest.approx(0.89, abs=5e-3)
    (posted,) = one(cells, "posted expectation", "efficiency", False)
    assert posted.finding.witness.gain == pytest.approx(0.123561, abs=1e-6)
    (silent,) = one(cells, "posted expectation", "elicitation", False)
    assert silent.finding.witness.gain == pytest.approx(0.259199, abs=1e-6)
    (plug_in,) = one(cells, "posted expectation", "DSIC", False, control=True)
    assert plug_in.finding.witness.details["utility_truthful"] == pytest.approx(-0.772, abs=1e-3)
    assert plug_in.finding.witness.details["utility_misreport"] == pytest.approx(-0.0011, abs=1e-4)


def test_tables_for_people_and_programs(cells):
    text = payment_table_markdown(cells)
    assert text.count("\n") == len(cells) + 1
    assert "25.6%" in text
    json.dumps([c.to_dict() for c in cells], allow_nan=False)
    findings = [c.finding for c in cells]
    assert render_findings(findings).count("\n") == len(findings)
    assert findings_table(findings).row_count == len(findings)
    assert "profiles" in effort_in_words(findings[0].effort)


def test_claims_that_do_not_hold_are_refuted_and_replay():
    problem = QuadraticAggregate(7.461, 2)
    grid = {n: Finite([0.1, 0.5]) for n in problem.agents}
    linear = PriceMechanism(problem, Linear(), grid)
    finding = claims.report_free(linear)
    assert finding.verdict is Verdict.REFUTED
    assert replay(linear, finding) == pytest.approx(finding.witness.gain)
    prior = ProductPrior({n: FinitePrior([0.1, 0.5]) for n in problem.agents})
    generous = PriceMechanism(problem, Clarke(), prior=prior)
    finding = claims.least_transfers(generous)
    assert finding.verdict is Verdict.REFUTED  # Clarke pays more than Myerson for the same plan
    assert replay(generous, finding) == pytest.approx(finding.witness.gain)
    assert claims.least_transfers(PriceMechanism(problem, Myerson(prior), prior=prior)).verdict is Verdict.PROVED
    true = {"agent 1": 0.1, "agent 2": 0.5}
    assert claims.nothing_elicited(linear, true, "agent 1", 0.5).verdict is Verdict.NOT_REFUTED
    posted = PriceMechanism(problem, PostedExpectation(prior), prior=prior)
    assert claims.report_free(posted).verdict is Verdict.PROVED
    truthful = PriceMechanism(problem, Clarke(), {n: Interval(0.05, 1.0) for n in problem.agents})
    assert claims.as_if_type(truthful, true, "agent 1", 0.2).verdict is Verdict.NOT_REFUTED
    own = PriceMechanism(problem, OwnPath(), grid)
    assert claims.inefficient_equilibrium(own, true, np.array([1.0, 1.0])).verdict is Verdict.NOT_REFUTED


def test_wrong_prices_do_not_clear():
    class Doubled(QuadraticAggregate):
        def price(self, actions):
            return 2.0 * super().price(actions)

    problem = Doubled(7.461, 2)
    mechanism = PriceMechanism(problem, Linear(), {n: Finite([0.1, 0.5]) for n in problem.agents})
    for finding in claims.price_taking(mechanism):
        assert finding.verdict is Verdict.REFUTED
        assert replay(mechanism, finding) == pytest.approx(finding.witness.gain)


def test_wrong_own_path_problem_is_not_a_potential_game():
    class Shifted(QuadraticAggregate):
        def cost(self, agent, actions, types):
            return super().cost(agent, actions, types) * (1.0 + 0.1 * (len(actions) > 1) * np.arange(len(actions)))

    finding, _ = claims.potential_game(Shifted(3.0, 2), {"agent 1": 0.2, "agent 2": 0.4})
    assert finding.verdict is Verdict.PROVED  # a cost is a cost: the identity needs only S and the same C on both sides


def test_audits_are_repeatable(five_types):
    problem, true = five_types
    mechanism = PriceMechanism(problem, Linear(), {n: Interval(0.01, 2.0) for n in true})
    first, second = (audit(mechanism, ["DSIC", "ex_post_IR"], effort="quick", seed=4) for _ in range(2))
    assert [f.witness for f in first] == [f.witness for f in second]
    assert [f.value for f in first] == [f.value for f in second]


@pytest.fixture
def five_types():
    problem = QuadraticAggregate(7.461, 5)
    return problem, dict(zip(problem.agents, (0.1, 0.5, 0.2, 0.4, 0.6), strict=True))


def test_named_profiles_on_finite_spaces_come_first(five_types):
    problem, true = five_types
    mechanism = PriceMechanism(problem, Linear(), {n: Finite(sorted({v, 0.1, 0.18})) for n, v in true.items()})
    (finding,) = audit(mechanism, ["DSIC"], at=[true])
    assert finding.witness.agent == "agent 1"
    assert finding.witness.misreport == 0.18
    assert replay(mechanism, finding) == pytest.approx(finding.witness.gain)


def test_the_page_of_the_docs_shows_this_table(cells):
    page = (Path(__file__).parents[2] / "docs" / "payments.md").read_text()
    printed = page.split("<!-- payment table: begin -->")[1].split("<!-- payment table: end -->")[0].strip().splitlines()
    fresh = payment_table_markdown(cells).splitlines()

    def verdicts(lines):
        return [[line.split("|")[k].strip() for k in (1, 2, 3, -2)] for line in lines]

    assert verdicts(printed) == verdicts(fresh)
