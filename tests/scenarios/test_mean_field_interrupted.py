"""Prices on a beach, and learning that is stopped by hand and goes on: what is kept, what is refused, where it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hurwicz._foundation import InputError
from hurwicz.scenarios import build_scenario, run_scenario

ROOT = Path(__file__).resolve().parents[2]
Command = Callable[..., tuple[int, str, str]]
AUCTION: dict[str, Any] = {"setting": "A1", "grid": 6, "tau": 0.02, "iterations": 40, "evaluations": 8, "steps": 3, "players": []}
BEACH: dict[str, Any] = {"places": 6, "rounds": 4, "steps": 12, "learning_rate": 0.3}


def toml(kind: str, keys: dict[str, Any]) -> str:
    return f'kind = "{kind}"\n' + "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())


@pytest.fixture(scope="module")
def beach(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """One run of a small beach for all tests that look at it."""
    out = tmp_path_factory.mktemp("beach")
    return run_scenario(build_scenario("beach_bar", BEACH), out=out).result, out


def test_a_finished_run_that_goes_on_gives_the_same(beach: tuple[dict[str, Any], Path]) -> None:
    result, out = beach
    again = run_scenario(build_scenario("beach_bar", BEACH), out=out, resume=True).result
    assert again["history"] == result["history"]
    assert again["tolls"] == result["tolls"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tau": 0.2}, r"tau = None there and 0.2 here"),
        ({"steps": 5}, r"steps = 12 there and 5 here"),
        ({"places": 8}, r"places = 6 there"),
    ],
)
def test_checkpoints_of_another_scenario_are_refused(change: dict[str, Any], message: str, beach: tuple[dict[str, Any], Path]) -> None:
    with pytest.raises(InputError, match=message):
        run_scenario(build_scenario("beach_bar", BEACH | change), out=beach[1], resume=True)


def test_a_cut_checkpoint_is_refused_with_exit_code_2(beach: tuple[dict[str, Any], Path], tmp_path: Path, hurwicz: Command) -> None:
    whole = (beach[1] / "checkpoint-seed0.npz").read_bytes()
    (tmp_path / "s.toml").write_text(toml("beach_bar", BEACH))
    (tmp_path / "checkpoint.json").write_text((beach[1] / "checkpoint.json").read_text())
    (tmp_path / "checkpoint-seed0.npz").write_bytes(whole[: len(whole) // 2])
    code, shown, said = hurwicz("run", tmp_path / "s.toml", "--out", tmp_path, "--resume")
    assert (code, shown) == (2, "")
    assert "checkpoint-seed0.npz" in said
    assert "damaged" in said
    (tmp_path / "checkpoint.json").write_text('{"kind": "batched')
    code, _, said = hurwicz("run", tmp_path / "s.toml", "--out", tmp_path, "--resume")
    assert code == 2
    assert "cut short" in said


def test_nothing_to_go_on_from(tmp_path: Path, hurwicz: Command) -> None:
    (tmp_path / "s.toml").write_text(toml("batched_auction", AUCTION))
    code, _, said = hurwicz("run", tmp_path / "s.toml", "--out", tmp_path / "out", "--resume")
    assert code == 2
    assert "nothing to go on from" in said
    (tmp_path / "t.toml").write_text('kind = "target"\ntarget = 1.0\ntypes = [1.0, 2.0]\n')
    code, _, said = hurwicz("run", tmp_path / "t.toml", "--out", tmp_path / "out", "--resume")
    assert code == 2
    assert "expected a scenario that learns rules" in said


def test_tolls_spread_the_crowd(beach: tuple[dict[str, Any], Path]) -> None:
    result, out = beach
    assert result["congestion"]["after"] < 0.8 * result["congestion"]["before"]
    assert result["exploitability"] < 1e-3
    assert result["exploitability_before"] < 1e-3
    tolls = np.asarray(result["tolls"])
    assert np.all((tolls >= 0.0) & (tolls <= 2.0))
    assert np.argmax(tolls) in {2, 3, 4}  # the dear places are those about the bar, at 3
    crowd = {when: np.asarray(rows) for when, rows in result["crowd"].items()}
    assert np.allclose(crowd["after"].sum(axis=1), 1.0)
    assert crowd["after"].max() < crowd["before"].max()
    assert (out / "report.html").read_text().count("<svg") == 3


def test_entropy_that_falls_and_smoothing_are_another_way_to_the_tolls(beach: tuple[dict[str, Any], Path]) -> None:
    result = run_scenario(build_scenario("beach_bar", BEACH | {"tau_start": 0.5, "smoothing": 0.05})).result
    plain, other = beach[0]["history"]["0"], result["history"]["0"]
    assert other[0] == pytest.approx(plain[0], abs=1e-12)  # values are those of the rules themselves, at tau
    assert other[-1] != plain[-1]
    assert result["congestion"]["after"] < 0.8 * result["congestion"]["before"]


def stopped_by_hand(scenario: Path, out: Path) -> dict[str, Any]:
    """``hurwicz run``, interrupted once it has written a checkpoint: its result."""
    # a shell that starts a process in the background has it ignore the signal: the process listens again
    code = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); from hurwicz.cli import main; main()"
    command = [sys.executable, "-c", code, "run", str(scenario), "--out", str(out)]
    environment = {**os.environ, "COLUMNS": "140"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    kept = out / "checkpoint-seed0.npz"
    ends = time.monotonic() + 300.0
    while not kept.exists() and process.poll() is None and time.monotonic() < ends:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 130, said
    assert "the result is the best so far" in said
    assert "--resume" in said
    assert "Traceback" not in said
    stopped: dict[str, Any] = json.loads((out / "result.json").read_text())
    assert stopped["status"] == "interrupted"
    assert 10 <= len(stopped["history"]["0"]) < 30
    assert "Stopped by hand" in (out / "report.html").read_text()
    return stopped


class Impatient:
    """Presses Ctrl-C where it is told one of these things, each once and in turn."""

    def __init__(self, *whens: str) -> None:
        self.whens = list(whens)

    def __call__(self, what: str, _done: float) -> None:
        if self.whens and self.whens[0] in what:
            self.whens.pop(0)
            raise KeyboardInterrupt


def stopped_at(scenario: Any, out: Path, *whens: str, resume: bool = True) -> Any:
    """The scenario, interrupted where it says these things: what it came to, and that it leaves no half-written file."""
    impatient = Impatient(*whens)
    done = run_scenario(scenario, out=out, resume=resume, progress=impatient)
    assert not impatient.whens
    assert done.interrupted == bool(whens)
    assert ("--resume" in done.message) == bool(whens)
    assert not [path.name for path in out.iterdir() if path.name.startswith(".")]
    return done


def test_ctrl_c_keeps_the_best_and_resume_ends_where_an_unbroken_run_does(beach: tuple[dict[str, Any], Path], tmp_path: Path) -> None:
    scenario, (unbroken, _) = build_scenario("beach_bar", BEACH), beach
    stopped = stopped_at(scenario, tmp_path, "step 5 of 12", resume=False)
    assert "the result is the best so far" in stopped.message
    assert stopped.result["status"] == "interrupted"
    assert len(stopped.result["history"]["0"]) == 5
    assert "Stopped by hand" in (tmp_path / "report.html").read_text()
    whole = stopped_at(scenario, tmp_path).result
    assert whole["status"] == "done"
    assert whole["history"]["0"][:5] == stopped.result["history"]["0"]
    assert whole["history"] == unbroken["history"]
    assert whole["tolls"] == unbroken["tolls"]


def test_ctrl_c_before_learning_keeps_the_simple_rules_found_and_says_how_to_go_on(tmp_path: Path) -> None:
    scenario = build_scenario("batched_auction", AUCTION)
    nothing = stopped_at(scenario, tmp_path, "first price, equal shares", resume=False)
    assert "no result was written" in nothing.message
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.json"]
    searching = stopped_at(scenario, tmp_path, "best posted prices: equilibrium 3")
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["status"] == "interrupted"
    assert list(result["rules"]) == ["first price, equal shares a round", "first price, best reserves", "best posted prices"]
    assert result["objective"] == max(rule["objective"] for rule in result["rules"].values())
    assert result["shown"] == result["best_simple_rule"]
    assert result["seeds"] == []
    assert any("best posted prices: the search was interrupted" in note for note in result["notes"])
    assert "the best of the simple rules found" in searching.message
    assert "nothing was learned" in (tmp_path / "report.html").read_text()
    assert list(json.loads((tmp_path / "checkpoint-simple-rules.json").read_text())) == ["first price, best reserves"]


@pytest.mark.slow
def test_ctrl_c_while_learning_and_after_keeps_what_was_learned(tmp_path: Path) -> None:
    """While the derivative is compiled, while what was learned is measured, twice: it ends as unbroken."""
    scenario = build_scenario("batched_auction", AUCTION)
    compiling = stopped_at(scenario, tmp_path, "compiling the derivative", resume=False)
    kept = json.loads((tmp_path / "checkpoint-simple-rules.json").read_text())
    assert list(kept) == ["first price, best reserves", "best posted prices"]
    assert compiling.result["seeds"] == []
    before = (tmp_path / "result.json").read_bytes()
    again = stopped_at(scenario, tmp_path, "step 2 of 3", "measuring what was learned")
    assert "interrupted again" in again.message
    assert (tmp_path / "result.json").read_bytes() == before  # neither half-written nor lost
    assert (tmp_path / "checkpoint-seed0.npz").exists()
    assert "before anything new" in stopped_at(scenario, tmp_path, "first price, equal shares").message
    assert (tmp_path / "result.json").read_bytes() == before
    once = stopped_at(scenario, tmp_path, "audit: mean field equilibrium").result
    assert once["rules"]["learned"]["objective"] == once["objective"]
    assert [finding["property"] for finding in once["audit"]][:2] == ["feasibility", "payments_rise_with_bids"]
    unbroken = run_scenario(scenario).result
    assert unbroken["status"] == "done"
    assert once["rules"] == unbroken["rules"]
    assert once["history"] == unbroken["history"]


def test_a_second_seed_that_is_stopped_leaves_the_first(tmp_path: Path) -> None:
    scenario = build_scenario("beach_bar", BEACH | {"seeds": [0, 4], "steps": 3})
    stopped = run_scenario(scenario, out=tmp_path, progress=Impatient("seed 4: compiling"))
    assert stopped.interrupted
    assert [row["seed"] for row in stopped.result["seeds"]] == [0]
    assert json.loads((tmp_path / "result.json").read_text())["status"] == "interrupted"
    whole = run_scenario(scenario, out=tmp_path, resume=True)
    assert [row["seed"] for row in whole.result["seeds"]] == [0, 4]
    assert run_scenario(scenario, progress=Impatient("the crowd without a toll")).result == {"status": "interrupted"}


@pytest.mark.slow
def test_an_auction_stopped_by_hand_goes_on_and_is_audited_among_few_players(tmp_path: Path, hurwicz: Command) -> None:
    example = (ROOT / "examples" / "batched_auction.toml").read_text()
    assert "\nsteps = 40\n" in example
    small = {"grid": 6, "tau": 0.02, "iterations": 400, "evaluations": 2, "players": [3, 6]}
    example = example.replace("players = [10, 100, 1000]", "")
    scenario, out = tmp_path / "s.toml", tmp_path / "out"
    scenario.write_text(example.replace("\nsteps = 40\n", "\nsteps = 30\n") + "".join(f"{k} = {json.dumps(v)}\n" for k, v in small.items()))
    stopped = stopped_by_hand(scenario, out)
    among = {"equilibrium_of_3_players", "equilibrium_of_6_players", "revenue_in_the_large"}
    assert not among & {finding["property"] for finding in stopped["audit"]}  # nobody is kept waiting for the prompt
    code, shown, said = hurwicz("run", scenario, "--out", out, "--resume")
    assert code == 0, said
    assert "equilibrium of 3 players" in shown
    whole = json.loads((out / "result.json").read_text())
    assert whole["status"] == "done"
    assert len(whole["history"]["0"]) == 30
    assert whole["history"]["0"][: len(stopped["history"]["0"])] == stopped["history"]["0"]
    assert whole["objective"] >= stopped["objective"]
    audited = {finding["property"]: finding for finding in whole["audit"]}
    assert among <= set(audited)
    assert [row["n"] for row in whole["among_players"]["players"]] == [3, 6]
    assert "Slope of the gap in N" in shown
    assert "not in a sale of whole goods" in " ".join(shown.split())
    assert "not in a sale of whole goods" in (out / "report.html").read_text()
    assert audited["revenue_in_the_large"]["effort"]["mean_field_revenue"] == pytest.approx(whole["revenue"], abs=1e-9)
    assert set(audited["revenue_in_the_large"]["effort"]["gaps"]) == {"3", "6"}
