"""The command line as a person meets it: files written whole, one message for every mistake, the promised exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hurwicz.cli import main

ROOT = Path(__file__).resolve().parents[2]
KEYS = {"status", "objective", "reference", "actions", "prices", "price_rounds", "max_violation", "payments", "audit", "seconds"}
Command = Callable[..., subprocess.CompletedProcess[str]]


def hurwicz(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, with the caches of this user's choosing left alone."""
    command = [sys.executable, "-m", "hurwicz", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, env={**os.environ, "COLUMNS": "140"})


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """The command in this process, which has loaded and compiled already what a new one would have to: one test a command starts one."""

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        words = ["hurwicz", *map(str, arguments)]
        monkeypatch.setattr(sys, "argv", words)
        monkeypatch.setenv("COLUMNS", "140")
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capfd.readouterr()  # what a solver in C prints, too
        return subprocess.CompletedProcess(words, int(ended.value.code or 0), shown.out, shown.err)

    return run


@pytest.mark.parametrize("arguments", [[], ["run"], ["audit"], ["replay"], ["equilibrium"], ["reproduce"], ["reproduce", "mbi"], ["info"]])
def test_help_says_what_and_gives_an_example(arguments: list[str]) -> None:
    done = hurwicz(*arguments, "--help")
    assert done.returncode == 0
    assert "Usage:" in done.stdout
    if arguments not in ([], ["reproduce"]):
        assert "Example: hurwicz" in done.stdout


def test_dispatch_writes_a_result_and_a_page_that_stands_alone(tmp_path: Path) -> None:
    scenario = tmp_path / "grid.toml"
    scenario.write_text('kind = "dispatch"\ncase = "case14_ieee"\nsamples = 4\naudit = { seconds = 0.5, profiles = 0, deviations = 3 }\n')
    done = hurwicz("run", scenario, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert result.keys() >= KEYS
    assert result["objective"] == pytest.approx(2051.526309, rel=1e-6)
    assert result["objective"] == pytest.approx(result["reference"], rel=1e-6)
    assert result["price_rounds"] <= 20
    assert result["max_violation"] <= 1e-6
    assert set(result["payments"]) == {"linear", "own_path", "clarke", "expected_externality"}
    assert {finding["property"] for finding in result["audit"]} >= {"DSIC", "ex_post_IR"}
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<svg" in page
    assert "<script" not in page
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["report.html", "result.json"]


def test_json_goes_to_standard_output_alone(tmp_path: Path, here: Command) -> None:
    scenario = tmp_path / "grid.toml"
    scenario.write_text('kind = "dispatch"\ncase = "case14_ieee"\npayments = ["linear"]\naudit = { enabled = false }\n')
    done = here("run", scenario, "--out", tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads((tmp_path / "out" / "result.json").read_text())


def test_too_few_rounds_exit_with_3_and_what_was_reached(tmp_path: Path, here: Command) -> None:
    scenario = tmp_path / "grid.toml"
    scenario.write_text('kind = "dispatch"\ncase = "case30_as"\nmax_rounds = 1\npayments = ["linear"]\naudit = { enabled = false }\n')
    done = here("run", scenario, "--out", tmp_path / "out")
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert result["status"] == "step limit"
    assert result["price_rounds"] == 1


CASE = 'kind = "dispatch"\ncase = "case14_ieee"\n'
MISTAKES = {
    "missing kind": ('case = "case14_ieee"\n', "kind: expected one of"),
    "unknown kind": ('kind = "bazaar"\n', "s.toml:1: kind: expected one of"),
    "unknown key": (CASE + "max_round = 3\n", "s.toml:3: max_round: unknown key; did you mean 'max_rounds'?"),
    "unknown rule": (CASE + 'payments = [\n  "linear",\n  "linnear",\n]\n', "s.toml:3: payments.1: expected"),
    "rule twice": (CASE + 'payments = ["linear", "linear"]\n', "s.toml:3: payments: expected each rule at most once"),
    "wrong type": (CASE + 'max_rounds = "ten"\n', "s.toml:3: max_rounds: expected a whole number; got 'ten'"),
    "not finite": (CASE + "value_of_lost_load = nan\n", "s.toml:3: value_of_lost_load: expected"),
    "infinite": (CASE + "tolerance = inf\n", "s.toml:3: tolerance: expected"),
    "empty interval": (CASE + "[prior]\nlow = 2.0\nhigh = 1.0\n", "s.toml:3: prior: expected an interval with low < high"),
    "no such case": ('kind = "dispatch"\ncase = "case15_ieee"\n', "case15_ieee"),
    "no such file": ('kind = "dispatch"\ncase = "nowhere.m"\n', "nowhere.m"),
    "not TOML": ("kind = = 3\n", "is not valid TOML"),
    "both sorts of agents": ('kind = "target"\ntarget = 1.0\ntypes = [1.0, 2.0]\n[population]\nsize = 3\n', "not both"),
    "no agents": ('kind = "target"\ntarget = 1.0\ntypes = []\n', "s.toml:3: types: expected"),
    "empty population": ('kind = "target"\ntarget = 1.0\n[population]\nsize = 0\n', "s.toml:4: population.size: expected"),
    "clarke for too many": ('kind = "target"\ntarget = 1.0\npayments = ["clarke"]\n[population]\nsize = 20_000_000\n', "leave clarke out"),
    "idle key": ('kind = "target"\ntarget = 1.0\ndynamics = "gradient"\n[population]\nsize = 3\n', "no dynamics beside a [population]"),
    "infinite type": ('kind = "target"\ntarget = 1.0\ntypes = [1.0, inf]\n', "s.toml:3: types.1: expected"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_gives_one_message_with_its_line_and_exit_code_2(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text, message = MISTAKES[name]
    (tmp_path / "s.toml").write_text(text)
    monkeypatch.setattr(sys, "argv", ["hurwicz", "run", str(tmp_path / "s.toml"), "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit) as ended:
        main()
    shown = capsys.readouterr()
    assert ended.value.code == 2
    assert message in shown.err
    assert shown.out == ""
    assert not list(tmp_path.glob("out/*")), "something was left half written"


def test_files_that_cannot_be_read_or_written(tmp_path: Path, here: Command) -> None:
    assert here("run", tmp_path / "absent.toml").returncode == 2
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    done = here("run", tmp_path / "binary.toml")
    assert done.returncode == 2
    assert "UTF-8" in done.stderr
    (tmp_path / "s.toml").write_text(CASE)
    (tmp_path / "file").write_text("in the way")
    done = here("run", tmp_path / "s.toml", "--out", tmp_path / "file")
    assert done.returncode == 2
    assert "cannot be written" in done.stderr


@pytest.mark.parametrize("example", ["five_agents", "million"])
def test_the_other_examples_run(example: str, tmp_path: Path) -> None:
    done = hurwicz("run", ROOT / "examples" / f"{example}.toml", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "result.json").read_text())["status"] == "optimum"


def test_the_example_of_an_audit_runs(tmp_path: Path) -> None:
    done = hurwicz("run", ROOT / "examples" / "first_price.toml", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "result.json").read_text())
    assert {finding["property"]: finding["verdict"] for finding in result["audit"]}["DSIC"] == "refuted"
    # reserve 10, values of U[0, 100]: the lowest serious bidder bids the reserve
    (group,) = result["equilibrium"]["strategies"]
    assert min(bid for value, bid in zip(group["values"], group["bids"], strict=True) if value > 10.0) == pytest.approx(10.0, abs=0.5)


def test_info_and_schema_as_json(here: Command) -> None:
    facts = json.loads(hurwicz("info", "--json").stdout)
    assert "case118_ieee" in facts["grids"]
    rows = json.loads(here("run", "--explain-schema", "--json").stdout)
    assert all(row["meaning"] for row in rows)
    assert {row["kind"] for row in rows} >= {"audit", "dispatch", "target"}


def test_unknown_experiment_exits_with_2(tmp_path: Path) -> None:
    done = hurwicz("reproduce", "mbi", "--only", "C.99", "--out", tmp_path)
    assert done.returncode == 2
    assert "C.99" in done.stderr
    assert "Traceback" not in done.stderr
