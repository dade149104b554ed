"""What an audit is given: priors from text and files, and every mistake, in the command or in a witness, in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hurwicz._foundation import FormatError
from hurwicz.scenarios.mechanisms import replay_file
from hurwicz.scenarios.mechanisms.prior_text import beliefs_from, in_full
from hurwicz.typespaces import Box, Interval

Command = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"true_type": 1.5}, "type or report of 'bidder 1'"),
        ({"misreport": -1.0}, "type or report of 'bidder 1'"),
        ({"others": {"zed": 0.5}}, "about 'zed'"),
        ({"gain": float("inf")}, "gain: expected a finite number"),
    ],
)
def test_a_witness_that_no_audit_wrote_is_bad_input(changes: dict[str, Any], message: str, tmp_path: Path, hurwicz: Command) -> None:
    hurwicz("audit", "first_price", "--property", "DSIC", "--no-equilibrium", "--grid", 3, "--out", tmp_path)
    path = tmp_path / "witness-DSIC.json"
    content = json.loads(path.read_text())
    content["finding"]["witness"] |= {"agent": "bidder 1", "others": {"bidder 2": 0.5}} | changes
    path.write_text(json.dumps(content))
    code, out, err = hurwicz("replay", path)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    content["finding"] |= {"property": "zed"}
    path.write_text(json.dumps(content))
    code, _, err = hurwicz("replay", path)
    assert code == 2
    assert "property: expected one of" in err or message in err


def test_a_witness_that_does_not_replay_exits_with_1(own: str, tmp_path: Path, hurwicz: Command) -> None:
    hurwicz("audit", f"{own}:highest", "--property", "DSIC", "--no-equilibrium", "--out", tmp_path)
    path = tmp_path / "witness-DSIC.json"
    content = json.loads(path.read_text())
    content["finding"]["witness"]["gain"] *= 1.01
    path.write_text(json.dumps(content))
    code, out, _ = hurwicz("replay", path)
    assert code == 1
    assert "DOES NOT REPLAY" in out
    code, out, _ = hurwicz("replay", path, "--json")
    assert code == 1
    assert json.loads(out)["replays"] is False


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["second_prise"], "did you mean second_price"),
        (["second_price", "--option", "resrve=1"], "unknown option 'resrve'; did you mean 'reserve'?"),
        (["second_price", "--option", "reserve=abc"], "option 'reserve': expected"),
        (["second_price", "--option", "reserve=nan"], "reserve"),
        (["second_price", "--option", "reserve"], "--option: expected NAME=VALUE, got 'reserve'"),
        (["second_price", "--bidders", "2.5"], "--agents: expected a whole number, or their names with commas (ann,bob); got '2.5'"),
        (["second_price", "--bidders", "x"], "--agents: expected a whole number"),
        (["second_price", "--revenue-bound", "nan"], "revenue_bound: expected"),
        (["second_price", "--bidders", "0"], "agents: expected at least one agent; got 0"),
        (["second_price", "--bidders", "ann,ann"], "different names"),
        (["second_price", "--prior", "finite:1@0.5,2@0.6"], "sum to 1"),
        (["second_price", "--prior", "uniform:1,0"], "low < high"),
        (["second_price", "--prior", "uniform:a,b"], "no number"),
        (["second_price", "--prior", "cauchy:1"], "prior: expected uniform"),
        (["second_price", "--prior", "absent.csv"], "absent.csv: cannot be read"),
        (["second_price", "--bidders", "3", "--prior", "uniform", "--prior", "uniform"], "one for each of 3 agents"),
        (["second_price", "--prior", "finite:1,2", "--grid", "3"], "leave the grid out"),
        (["second_price", "--property", "DSICC"], "DSICC"),
        (["second_price", "--effort", "heroic"], "'quick', 'standard' or 'thorough'"),
        (["second_price", "--grid", "0"], "grid: expected"),
        (["second_price", "--workers", "0"], "workers: expected greater than or equal to 1; got 0"),
        (["second_price", "--executor", "ray"], "'threads', 'processes' or 'dask'; got 'ray'"),
        ([], "expected the name of a mechanism"),
        (["somewhere/absent.py:f"], "somewhere/absent.py: no such file"),
        (["MINE"], "no function named; it defines highest"),
        (["MINE:hihgest"], "no 'hihgest' in it; did you mean 'highest'?"),
        (["MINE:nothing"], "expected a mechanism, got int without agents"),
        (["MINE:forgetful"], "expected shares of shape"),
        (["MINE:falls"], "mine.py:24: ZeroDivisionError: division by zero"),
        (["MINE:forgetful", "--prior", "uniform:0,2", "--grid", "3"], "expected shares of shape"),
        (["MINE:unpayable"], "expected finite payments, got nan for agent 'bidder 1'"),
        (["MINE:leaves"], "mine.py:40: SystemExit"),
        (["second_price", "--bidders", ""], "agents: expected names that are not empty"),
        (["second_price", "--bidders", "ann,"], "agents: expected names that are not empty"),
        (["third_price", "--bidders", "2"], "expected at least 3 bidders, got 2"),
        (["BROKEN:f"], "broken.py:2: SyntaxError"),
        (["RAISES:f"], "raises.py:1: RuntimeError: no luck"),
    ],
)
def test_a_mistake_is_one_line_exit_code_2_and_nothing_half_written(
    arguments: list[str], message: str, own: str, tmp_path: Path, hurwicz: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken.py").write_text("x = 1\ndef f(:\n")
    (tmp_path / "raises.py").write_text("raise RuntimeError('no luck')\n")
    places = {"MINE": own, "BROKEN": str(tmp_path / "broken.py"), "RAISES": str(tmp_path / "raises.py")}
    words = [places.get(word.split(":")[0], word.split(":")[0]) + word[len(word.split(":")[0]) :] for word in arguments]
    monkeypatch.chdir(tmp_path)
    code, out, err = hurwicz("audit", *words, "--out", tmp_path / "out")
    assert code == 2, err
    assert message in err
    assert "Traceback" not in err
    assert err.count("\n") == 1
    assert out == ""
    assert not (tmp_path / "out").exists(), "something was left half written"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not valid JSON"),
        ("[1]", "format: expected 'hurwicz witness 1'"),
        ('{"format": "hurwicz witness 1"}', "is no whole witness file"),
        ('{"format": "hurwicz witness 1", "mechanism": {}, "finding": {}}', "is no whole witness file"),
    ],
)
def test_a_file_that_is_no_witness_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "w.json").write_text(text)
    with pytest.raises(FormatError, match=message):
        replay_file(tmp_path / "w.json")
    with pytest.raises(FormatError, match="cannot be read"):
        replay_file(tmp_path / "absent.json")


def test_a_witness_for_agents_that_are_not_there_is_bad_input(tmp_path: Path, hurwicz: Command) -> None:
    hurwicz("audit", "first_price", "--property", "DSIC", "--no-equilibrium", "--out", tmp_path)
    path = tmp_path / "witness-DSIC.json"
    content = json.loads(path.read_text())
    content["mechanism"]["agents"] = ["ann", "bob"]
    path.write_text(json.dumps(content))
    code, _, err = hurwicz("replay", path)
    assert code == 2
    assert "Traceback" not in err


def test_priors_from_text() -> None:
    space = Interval(0.0, 1.0)

    def mean(text: str) -> float:
        return float(beliefs_from([text], {"a": space})["a"].mean)

    assert mean("uniform") == 0.5
    assert mean("uniform:0,3") == 1.5
    assert mean("exponential:3") == pytest.approx(3.0, abs=1e-6)
    assert mean("normal:2,0.5") == pytest.approx(2.0)
    assert mean("normal:0.5,0.2,0,1") == pytest.approx(0.5)
    assert mean("lognormal:0,0.5") == pytest.approx(np.exp(0.125), rel=1e-6)
    assert mean("beta:2,6") == pytest.approx(0.25)
    assert mean("finite:1,2,6") == pytest.approx(3.0)
    assert mean("finite:0@0.25,4@0.75") == pytest.approx(3.0)
    each = beliefs_from(["uniform:0,1", "uniform:0,2"], {"a": space, "b": space})
    assert (each["a"].mean, each["b"].mean) == (0.5, 1.0)
    box = beliefs_from(["uniform:0,4"], {"a": Box([0.0, 0.0], [1.0, 1.0])}, grid=4)["a"]
    assert box.space.size == 16
    assert np.allclose(box.mean, 2.0)
    cut = beliefs_from(["exponential:1"], {"a": space}, grid=50)["a"]
    points, mass = cut.quadrature(1)
    assert mass[0] == pytest.approx(1.0 - np.exp(-(points[1] - points[0])), rel=1e-6)


def test_past_types_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "past.csv"
    path.write_text("value\n1.0\n3.0\n3.0\n1.0\n")
    assert in_full([str(path)]) == ["finite:1.0@0.5,3.0@0.5"]
    path.write_text("ann,bob\n1,2\n3,4\n")
    each = beliefs_from([str(path)], {"ann": Interval(0.0, 1.0), "bob": Interval(0.0, 1.0)})
    assert (each["ann"].mean, each["bob"].mean) == (2.0, 3.0)
    for text, message in [
        ("", "at least one row"),
        ("value\n", "at least one row"),
        ("1\nx\n", r"past.csv:2: expected a finite number, got 'x'"),
        ("1\nnan\n", r"past.csv:2: expected a finite number, got 'nan'"),
        ("1,2\n3\n", r"past.csv:2: expected 2 columns"),
    ]:
        path.write_text(text)
        with pytest.raises(FormatError, match=message):
            in_full([str(path)])
