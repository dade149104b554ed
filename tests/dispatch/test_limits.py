"""Grids at the edge of what can be coordinated, paid and judged: limits of time, limits of the data."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from hurwicz._foundation import InputError, NotConvergedError
from hurwicz.formats import packaged_case
from hurwicz.prices.dispatch import DispatchMechanism, DispatchModel, coordinate, dc_network, reference_optimum
from hurwicz.prices.dispatch.payments import Payer
from hurwicz.scenarios import DispatchScenario, run_scenario

sys.path.insert(0, str(Path(__file__).parent))
from grids import grid

CHEAP, DEAR, CUBIC = "2 0 0 2 10 0", "2 0 0 2 30 0", "2 0 0 4 0.001 0.01 10 5"


def test_a_rule_that_does_not_fit_in_its_time_is_left_out_and_said_so() -> None:
    result = coordinate(
        packaged_case("case30_as"), payments=["linear", "clarke", "expected_externality"], payment_seconds=1e-6, value_of_lost_load=1e4
    )
    assert set(result.transfers) == {"linear"}
    assert [note.split(":")[0] for note in result.notes] == ["clarke", "expected_externality"]
    assert all("payment_seconds allows" in note for note in result.notes)
    with pytest.raises(InputError, match="payment_seconds"):
        coordinate(packaged_case("case14_ieee"), payment_seconds=0.0)


def test_an_audit_out_of_time_gives_no_verdict_and_a_note() -> None:
    scenario = DispatchScenario(kind="dispatch", case="case14_ieee", payments=["linear"], samples=2, audit={"most_seconds": 1e-6})
    run = run_scenario(scenario)
    assert run.result["audit"] == []
    assert any("no verdict on DSIC, ex post IR" in note for note in run.result["notes"])
    assert run.result["payments"]["linear"]


def test_clarke_that_does_not_settle_leaves_what_was_reached(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def never(self: Payer) -> np.ndarray:
        raise NotConvergedError("coordination without gen 1 did not settle")

    monkeypatch.setattr(Payer, "clarke", never)
    run = run_scenario(DispatchScenario(kind="dispatch", case="case14_ieee", samples=2), out=tmp_path)
    assert not run.converged
    assert "clarke: coordination without gen 1" in run.message
    written = json.loads((tmp_path / "result.json").read_text())
    assert written["objective"] == pytest.approx(2051.526309, rel=1e-6)
    assert set(written["payments"]) == {"linear", "own_path", "expected_externality"}


def test_one_generator_is_paid_by_the_rules_that_apply() -> None:
    case = grid([50.0], [(1, 0.0, 100.0, CUBIC)], [])
    assert reference_optimum(case).objective == pytest.approx(0.001 * 50**3 + 0.01 * 50**2 + 10 * 50 + 5, rel=1e-9)
    result = coordinate(case, reference=True)
    assert result.objective == pytest.approx(result.reference, rel=1e-8)
    with pytest.raises(InputError, match="at least two units"):
        coordinate(case, payments=["expected_externality"])


def test_defaults_leave_out_what_does_not_apply(tmp_path: Path) -> None:
    from hurwicz.formats import write_matpower

    path = tmp_path / "one.m"
    path.write_text(write_matpower(grid([50.0], [(1, 0.0, 100.0, CUBIC)], [])))
    run = run_scenario(DispatchScenario(kind="dispatch", case=str(path)), out=tmp_path / "out")
    assert set(run.result["payments"]) == {"linear", "own_path", "clarke"}
    assert [note.split(":")[0] for note in run.result["notes"]] == ["expected_externality", "no audit"]


def test_cubic_costs_share_a_load_as_the_first_order_conditions_say() -> None:
    case = grid([90.0], [(1, 0.0, 100.0, "2 0 0 4 0.001 0 10 0"), (1, 0.0, 100.0, "2 0 0 4 0.004 0 10 0")], [])
    found = reference_optimum(case)  # 3 a x² equal: x1 = 2 x2
    assert found.output == pytest.approx([60.0, 30.0], abs=1e-3)
    assert found.objective == pytest.approx(0.001 * 60**3 + 0.004 * 30**3 + 900, rel=1e-9)


def test_the_price_of_a_cubic_cost_is_right_in_every_digit_that_is_shown() -> None:
    """The excess cost is of second order in the price: a plan within a loose tolerance must not carry a price of five digits."""
    alone = coordinate(grid([50.0], [(1, 0.0, 100.0, "2 0 0 4 0.001 0 11 0")], []), tol=1e-6)
    assert alone.prices[1] == pytest.approx(11 + 3 * 0.001 * 50**2, rel=5e-7)  # C' at the load
    assert alone.price_rounds <= 10
    two = [(1, 0.0, 100.0, "2 0 0 4 0.001 0 10 0"), (1, 0.0, 100.0, "2 0 0 4 0.004 0 10 0")]
    shared = coordinate(grid([90.0], two, []), tol=1e-6)  # 3 a x² equal: 60 and 30 MW
    assert shared.prices[1] == pytest.approx(10 + 3 * 0.001 * 60**2, rel=5e-7)


def test_quadratic_costs_need_no_further_round_for_their_prices() -> None:
    assert coordinate(packaged_case("case118_ieee"), tol=1e-6).price_rounds == 3


def test_a_limit_of_ten_thousand_million_megawatts_is_none() -> None:
    units = [(1, 0.0, 1e12, "2 0 0 3 0.01 10 0"), (2, 0.0, 40.0, DEAR)]
    wide = grid([0.0, 50.0], units, [(1, 2, 0.1, 1e11)])
    result = coordinate(wide, reference=True)
    assert result.objective == pytest.approx(0.01 * 50**2 + 10 * 50, rel=1e-8)
    assert result.reference == pytest.approx(result.objective, rel=1e-8)
    assert np.isinf(dc_network(wide).rate).all()


def test_a_bus_behind_a_jumper_alone_is_an_island_of_its_own() -> None:
    case = packaged_case("case14_ieee")
    to_8 = (case.branch.f_bus == 8) | (case.branch.t_bus == 8)
    assert to_8.sum() == 1
    branch = dataclasses.replace(case.branch, x=np.where(to_8, 0.0, case.branch.x), r=np.where(to_8, 5e-4, case.branch.r))
    result = coordinate(dataclasses.replace(case, branch=branch), reference=True)
    assert len(result.network.reference) == 2
    assert result.objective == pytest.approx(result.reference, rel=1e-8)
    assert "7-8" in result.notes[0]


def test_no_bus_in_service() -> None:
    case = packaged_case("case14_ieee")
    with pytest.raises(InputError, match="isolated ones only"):
        dc_network(dataclasses.replace(case, bus=dataclasses.replace(case.bus, kind=np.full(14, 4.0))))


def test_nothing_to_serve_is_served_by_nobody() -> None:
    case = packaged_case("case14_ieee")
    result = coordinate(dataclasses.replace(case, bus=dataclasses.replace(case.bus, pd=np.zeros(14), gs=np.zeros(14))))
    assert max(abs(x) for x in result.actions.values()) < 1e-6


def test_a_fixed_unit_on_its_own_bus_is_paid_nothing_by_a_price_that_is_not_there(tmp_path: Path) -> None:
    from hurwicz.formats import write_matpower

    units = [(1, 0.0, 100.0, CHEAP), (2, 0.0, 100.0, DEAR), (3, 5.0, 5.0, DEAR)]
    path = tmp_path / "apart.m"
    path.write_text(write_matpower(grid([0.0, 50.0, 5.0], units, [(1, 2, 0.1, 0.0)])))
    run = run_scenario(DispatchScenario(kind="dispatch", case=str(path), samples=2, audit={"enabled": False}), out=tmp_path / "out")
    assert run.result["prices"]["3"] is None
    assert run.result["transfers"]["linear"]["gen 3 @ bus 3"] == 0.0
    assert "nan" not in (tmp_path / "out" / "report.html").read_text().lower().split("<body")[1].split("<svg")[0]


def test_agents_between_their_limits_come_first() -> None:
    units = [(1, 0.0, 20.0, CHEAP), (2, 0.0, 100.0, DEAR)]
    mechanism = DispatchMechanism(DispatchModel(grid([0.0, 50.0], units, [(1, 2, 0.1, 0.0)]), samples=2), "linear")
    assert mechanism.agents == ("gen 2 @ bus 2", "gen 1 @ bus 1")


def test_the_table_of_externalities_interpolates_between_the_knots_next_to_a_report() -> None:
    model = DispatchModel(packaged_case("case30_as"), samples=3)
    unit = model.players[0]
    knots = model.marginal_prior.space.grid(5)
    table = [model.others_expected(unit, float(knot)) for knot in knots]
    for report in (0.8, 0.93, float(knots[2]), 1.25):
        assert model.externality(unit, report) == pytest.approx(float(np.interp(report, knots, table)), rel=1e-12)
