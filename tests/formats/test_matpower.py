"""MATPOWER files: what is read, what is refused and where, and back again."""

from __future__ import annotations

import time
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hurwicz._foundation import FormatError, InputError
from hurwicz.formats import (
    MatpowerCase,
    packaged_case,
    packaged_cases,
    packaged_path,
    parse_matpower,
    read_matpower,
    write_matpower,
)

SMALL = """function mpc = tiny
mpc.version = '2';
mpc.baseMVA = 100;
mpc.bus = [
 1 3 0   0 0 0 1 1 0 230 1 1.1 0.9;
 2 1 50 10 0 0 1 1 0 230 1 1.1 0.9;
];
mpc.gen = [ 1 0 0 10 -10 1 100 1 100 0 ];
mpc.branch = [ 1 2 0.01 0.1 0 60 60 60 0 0 1 -30 30 ];
mpc.gencost = [ 2 0 0 3 0.01 10 5 ];
"""


def assert_same(a: MatpowerCase, b: MatpowerCase) -> None:
    assert (a.name, a.base_mva, a.bus_names, a.gen_names) == (b.name, b.base_mva, b.bus_names, b.gen_names)
    for table in ("bus", "gen", "branch", "gencost"):
        for column in fields(getattr(a, table)):
            np.testing.assert_array_equal(getattr(getattr(a, table), column.name), getattr(getattr(b, table), column.name))
    assert a.other.keys() == b.other.keys()
    for name in a.other:
        np.testing.assert_array_equal(a.other[name], b.other[name])


def test_small_case() -> None:
    case = parse_matpower(SMALL)
    assert case.name == "tiny"
    assert case.base_mva == 100.0
    assert case.bus.number.tolist() == [1, 2]
    assert case.bus.pd.tolist() == [0, 50]
    assert case.gen.pmax.tolist() == [100]
    assert case.branch.x.tolist() == [0.1]
    assert case.branch.angmin.tolist() == [-30]
    assert case.gencost.data.tolist() == [[0.01, 10, 5]]
    assert all(column.dtype == np.float64 for column in (case.bus.number, case.gen.status, case.branch.b, case.gencost.ncost))


@pytest.mark.parametrize("name", packaged_cases())
def test_packaged_cases_and_back(name: str) -> None:
    case = packaged_case(name)
    assert len(case.bus.number) == int("".join(c for c in name.split("_")[0] if c.isdigit()))
    assert_same(parse_matpower(write_matpower(case)), case)


def test_packaged_figures() -> None:
    case = packaged_case("pglib_opf_case118_ieee.m")
    assert len(case.branch.x) == 186
    assert len(case.gen.bus) == 54
    assert case.bus.pd.sum() == pytest.approx(4242.0)
    text = packaged_path("case118_ieee").read_text().splitlines()
    for table, row, start in (("bus", 0, ["1", "2"]), ("branch", 0, ["1", "2"]), ("branch", 185, ["76", "118"])):
        line = case.line(table, row)
        assert line is not None
        assert text[line - 1].split()[:2] == start


def test_unknown_packaged_case() -> None:
    with pytest.raises(InputError, match="case14_ieee"):
        packaged_case("case15")


def test_syntax_in_its_variety() -> None:
    text = """%{
a block comment, with mpc.bus = [ 9 9 ];
%}
function [mpc] = odd % a name
% comment
mpc.version = "2"; mpc_note = 1;
x = 3; mpc.baseMVA = 50*2; y = [1 2]; % expression
mpc.areas = [1, 1];
mpc.bus = [ 1, 3, 0, 0, 0, 0, 1, 1, 0, 230, 1, 1.1, 0.9 % first
 2	1	1e2/2	-1 0 0 1 1 0 ...  continued
 230 1 1.1 .9;;

];
mpc.gen = [ 1 0 0 Inf -Inf 1 100 1 100 0 0 0 0; 2 0 0 0 0 1 100 0 1 0 0 0 0];
mpc.branch = [ 1 2 1E-2 1d-1 0 0 0 0 0 0 1 ];
mpc.gencost = [
 2 0 0 2 10 5 0 0 0 0;
 1 0 0 3 0 0 50 500 100 1200;
 2 0 0 2 1 1 0 0 0 0;
 2 0 0 2 1 1 0 0 0 0 ];
mpc.bus_name = { 'it''s 100% one'; 'two' };
mpc.gen_name = {"G1", "G2"};
"""
    case = parse_matpower(text.replace("\n", "\r\n"))
    assert case.name == "odd"
    assert case.base_mva == 100.0
    assert case.bus.pd.tolist() == [0, 50]
    assert case.bus.vmin.tolist() == [0.9, 0.9]
    assert case.gen.qmax[0] == np.inf
    assert case.branch.x.tolist() == [0.1]
    assert case.branch.angmax.tolist() == [360.0]
    assert case.gencost.model.tolist() == [2, 1]
    assert case.bus_names == ("it's 100% one", "two")
    assert case.gen_names == ("G1", "G2")
    assert case.other["areas"].tolist() == [[1, 1]]
    assert_same(parse_matpower(write_matpower(case)), case)


def test_version_one_names_without_struct() -> None:
    case = parse_matpower(SMALL.replace("mpc.", "").replace("function mpc = tiny", "function [baseMVA, bus, gen, branch, gencost] = tiny"))
    assert (case.name, case.base_mva) == ("tiny", 100.0)


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        (" 2 1 50 10 0 0 1 1 0 230 1 1.1 0.9;", " 2 1 50 10 0 0 1 1 0 230 1 1.1;", 6, "expected 13 columns"),
        (" 2 1 50 10", " 1 1 50 10", 6, "bus 1 is listed twice"),
        (" 2 1 50 10", " 2 1 NaN 10", 6, "'pd'"),
        (" 2 1 50 10", " 2 1 Inf 10", 6, "'pd'"),
        (" 2 1 50 10", " 2 1 fifty 10", 6, "'fifty'"),
        (" 2 1 50 10", " 2.5 1 50 10", 6, "whole bus number"),
        (" 2 1 50 10", " 2 7 50 10", 6, "type 1, 2, 3 or 4"),
        ("mpc.gen = [ 1 ", "mpc.gen = [ 3 ", 8, "bus 3 is not in the bus table"),
        ("mpc.branch = [ 1 2", "mpc.branch = [ 1 5", 9, "to bus 5"),
        ("mpc.branch = [ 1 2", "mpc.branch = [ 2 2", 9, "both ends are bus 2"),
        ("1 100 1 100 0 ]", "1 100 1 100 200 ]", 8, "Pmin 200 MW is above Pmax 100 MW"),
        ("2 0 0 3 0.01 10 5", "2 0 0 4 0.01 10 5", 10, "has room for 3"),
        ("2 0 0 3 0.01 10 5", "3 0 0 3 0.01 10 5", 10, "model 1"),
        ("2 0 0 3 0.01 10 5", "1 0 0 2 50 10 50 20", 10, "must rise"),
        ("2 0 0 3 0.01 10 5", "2 0 0 3 0.01 10 5; 2 0 0 3 0 0 0; 2 0 0 3 0 0 0", 10, "expected 1 rows"),
        ("mpc.baseMVA = 100;", "mpc.baseMVA = 0;", 3, "positive number"),
        ("mpc.baseMVA = 100;", "", None, "baseMVA"),
        ("mpc.gencost = [ 2 0 0 3 0.01 10 5 ];", "", None, "gencost"),
        ("mpc.gencost", "mpc.bus(:, 3) = mpc.bus(:, 3) / 1e3;\nmpc.gencost", 10, "not executed"),
        ("1 -30 30 ]", "1 -30 30", 10, "not closed before 'gencost'"),
        (" 10 5 ];", " 10 5", 10, "cut short"),
        ("mpc.bus = [\n", "mpc.bus = [ 1 2 ];\nmpc.bus = [\n 1 2\n];\nmpc.x = [\n", 6, "at least 13 columns"),
        ("mpc.version", "%{\nmpc.version", 2, "never closes"),
    ],
)
def test_refused_with_line(old: str, new: str, line: int | None, message: str) -> None:
    assert old in SMALL
    with pytest.raises(FormatError, match=message) as caught:
        parse_matpower(SMALL.replace(old, new), path="grid.m")
    assert caught.value.line == line
    assert str(caught.value).startswith("grid.m:")


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.7, 0.95, 0.999])
def test_file_cut_anywhere(share: float, tmp_path: Path) -> None:
    text = packaged_path("case14_ieee").read_text()
    path = tmp_path / "cut.m"
    end = text.index("%% branch data") + 400 if share == 0.999 else int(share * text.rindex("];"))
    path.write_text(text[:end])
    with pytest.raises(FormatError, match=r"cut short|cut\.m"):
        read_matpower(path)


def test_missing_and_binary_files(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="check the path"):
        read_matpower(tmp_path / "none.m")
    (tmp_path / "case.mat").write_bytes(b"MATLAB\x00\x01")
    with pytest.raises(FormatError, match="binary"):
        read_matpower(tmp_path / "case.mat")


def test_ten_thousand_buses_in_under_a_second() -> None:
    n = 10_000
    bus = "\n".join(f"\t{k}\t1\t 10.5\t 3.0\t 0.0\t 0.0\t 1\t 1.00000\t 0.00000\t 230.0\t 1\t 1.1\t 0.9;" for k in range(1, n + 1))
    branch = "\n".join(
        f"\t{k}\t{k + 1}\t 0.001\t 0.01\t 0.0\t 99.0\t 99.0\t 99.0\t 0.0\t 0.0\t 1\t -30.0\t 30.0;" for _ in range(2) for k in range(1, n)
    )
    text = f"function mpc = big\nmpc.baseMVA = 100;\nmpc.bus = [\n{bus}\n];\nmpc.gen = [1 0 0 0 0 1 100 1 2e5 0];\n"
    text += f"mpc.gencost = [2 0 0 2 1 0];\nmpc.branch = [\n{branch}\n];\n"
    started = time.process_time()
    case = parse_matpower(text)
    assert time.process_time() - started < 1.0
    assert len(case.branch.x) == 2 * (n - 1)


number = st.floats(-1e9, 1e9, allow_subnormal=False)


@settings(deadline=None, max_examples=40)
@given(values=st.lists(st.tuples(number, number, number), min_size=1, max_size=5), base=st.floats(1e-3, 1e6))
def test_every_number_comes_back(values: list[tuple[float, float, float]], base: float) -> None:
    rows = "\n".join(f"{k + 1} 1 {pd!r} {qd!r} {gs!r} 0 1 1 0 1 1 1.1 0.9;" for k, (pd, qd, gs) in enumerate(values))
    start, end = SMALL.index("mpc.bus = ["), SMALL.index("mpc.gen = [")
    text = SMALL[:start] + f"mpc.bus = [\n{rows}\n];\n" + SMALL[end:]
    text = (
        text.replace("mpc.baseMVA = 100", f"mpc.baseMVA = {base!r}")
        .replace("mpc.branch = [ 1 2", "mpc.branch = [ 1 1")
        .replace("0 0 1 -30 30", "0 0 0 -30 30")
    )
    case = parse_matpower(text)
    assert case.bus.pd.tolist() == [pd for pd, _, _ in values]
    assert_same(parse_matpower(write_matpower(case)), case)


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("mpc.gen(1, 9) = 50;", "gen"),  # on the line that closes the matrix
        ("\nif 0\n mpc.baseMVA = 50;\nend\n", "baseMVA"),
        ("\nfor k = 1:3\n mpc.bus(k, 3) = 9;\nend\n", "bus"),
    ],
)
def test_statements_behind_a_matrix_and_in_blocks_are_refused_not_skipped(statement: str, named: str) -> None:
    text = packaged_path("case14_ieee").read_text()
    end = text.index("];", text.index("mpc.gen = [")) + 2
    with pytest.raises(FormatError, match=f"'{named}' is computed by code here"):
        parse_matpower(text[:end] + " " + statement + text[end:])


@pytest.mark.parametrize("tail", ["]';", "] * 2;", "].^2;"])
def test_matrices_that_are_worked_on_are_refused(tail: str) -> None:
    text = packaged_path("case14_ieee").read_text()
    end = text.index("];", text.index("mpc.gencost = ["))
    with pytest.raises(FormatError, match="'gencost' is computed"):
        parse_matpower(text[:end] + tail + text[end + 2 :])


def test_a_file_cut_anywhere_is_refused_or_whole() -> None:
    text = packaged_path("case14_ieee").read_text()
    whole = parse_matpower(text)
    refused = 0
    for cut in range(0, len(text), 61):
        try:
            read = parse_matpower(text[:cut])
        except FormatError:
            refused += 1
            continue
        assert len(read.branch.x) == len(whole.branch.x)
        assert (read.branch.x == whole.branch.x).all()
        assert (read.gencost.data == whole.gencost.data).all()
    assert refused > 50
