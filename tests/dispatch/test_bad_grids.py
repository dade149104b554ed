"""Grids that cannot be dispatched: each refused with what is missing and where."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest

from hurwicz._foundation import FormatError, InfeasibleError, InputError
from hurwicz.formats import MatpowerCase, packaged_case, packaged_path, read_matpower
from hurwicz.prices.dispatch import coordinate, dc_network, reference_optimum

sys.path.insert(0, str(Path(__file__).parent))
from grids import grid

CHEAP, DEAR = "2 0 0 2 10 0", "2 0 0 2 30 0"


def test_more_load_than_capacity() -> None:
    case = packaged_case("case14_ieee")
    heavy = dataclasses.replace(case, bus=dataclasses.replace(case.bus, pd=2 * case.bus.pd))
    with pytest.raises(InfeasibleError, match=r"needs 518 MW .* can give 399 MW: 119 MW are missing"):
        coordinate(heavy)


def test_islanded_bus_with_load() -> None:
    case = packaged_case("case14_ieee")
    cut = np.where((case.branch.f_bus == 8) | (case.branch.t_bus == 8) | (case.branch.f_bus == 14) | (case.branch.t_bus == 14), 0.0, 1.0)
    with pytest.raises(InfeasibleError, match="bus 14, which no line in service connects"):
        coordinate(dataclasses.replace(case, branch=dataclasses.replace(case.branch, status=cut)))


def test_too_much_minimum_output() -> None:
    case = grid([0.0, 50.0], [(1, 80.0, 100.0, CHEAP)], [(1, 2, 0.1, 0.0)])
    with pytest.raises(InfeasibleError, match="30 MW too much"):
        coordinate(case)


def test_lines_too_thin_say_how_much_is_missing() -> None:
    case = grid([0.0, 50.0], [(1, 0.0, 100.0, CHEAP), (2, 0.0, 10.0, DEAR)], [(1, 2, 0.1, 30.0)])
    with pytest.raises(InfeasibleError, match=r"10 MW of load cannot be served \(bus 2\)"):
        coordinate(case)
    for solver in ("highs", "clarabel"):
        with pytest.raises(InfeasibleError):
            reference_optimum(case, solver=solver)


def test_isolated_buses_and_units_out_of_service_are_left_out() -> None:
    case = grid([0.0, 50.0, 70.0], [(1, 0.0, 100.0, CHEAP), (3, 0.0, 90.0, CHEAP)], [(1, 2, 0.1, 0.0), (2, 3, 0.1, 0.0)], kinds=[3, 1, 4])
    result = coordinate(case)
    assert result.actions == pytest.approx({"gen 1 @ bus 1": 50.0})
    assert list(result.prices) == [1, 2]


def no_reactance(case: MatpowerCase, r: float) -> MatpowerCase:
    x, resistance = case.branch.x.copy(), case.branch.r.copy()
    x[3], resistance[3] = 0.0, r
    return dataclasses.replace(case, branch=dataclasses.replace(case.branch, x=x, r=resistance))


@pytest.mark.parametrize(("form", "r"), [("powermodels", 0.0), ("powermodels", 0.05), ("matpower", 1e-4)])
def test_line_without_reactance(form: str, r: float) -> None:
    case = no_reactance(packaged_case("case14_ieee"), r)
    with pytest.raises(FormatError, match=r"branch 2-4: expected a reactance other than zero") as caught:
        coordinate(case, network=form)
    assert caught.value.line == case.line("branch", 3)


def test_jumper_is_kept_and_noted() -> None:
    case = no_reactance(packaged_case("case14_ieee"), 1e-4)
    result = coordinate(case)
    assert "2-4" in result.notes[0]
    assert result.flows["line 4: 2-4"] == 0.0
    assert result.objective == pytest.approx(reference_optimum(case).objective, rel=1e-9)


def test_cost_that_is_not_convex() -> None:
    for row in ("2 0 0 3 -0.1 10 0", "2 0 0 4 -0.01 0 10 0", "1 0 0 3 0 0 50 500 100 600"):
        case = grid([0.0, 50.0], [(1, 0.0, 100.0, row)], [(1, 2, 0.1, 0.0)])
        with pytest.raises(FormatError, match="not convex between 0 and 100 MW"):
            coordinate(case)


def test_endless_unit_gets_the_bound_of_the_balance() -> None:
    case = grid([0.0, 50.0], [(1, 0.0, 100.0, CHEAP), (2, 0.0, 10.0, DEAR)], [(1, 2, 0.1, 0.0)])
    endless = dataclasses.replace(case, gen=dataclasses.replace(case.gen, pmax=np.array([np.inf, 10.0])))
    assert dc_network(endless).pmax.tolist() == [50.0, 10.0]
    assert coordinate(endless).objective == pytest.approx(500.0)
    with pytest.raises(InputError, match="finite Pmin"):
        dc_network(dataclasses.replace(case, gen=dataclasses.replace(case.gen, pmin=np.array([-np.inf, 0.0]))))


def test_file_cut_in_half(tmp_path: Path) -> None:
    text = packaged_path("case118_ieee").read_text()
    path = tmp_path / "half.m"
    path.write_text(text[: text.rindex("];") // 2])  # half of the data; notes follow it
    with pytest.raises(FormatError, match=r"half\.m:\d+: .*cut short"):
        coordinate(read_matpower(path))
