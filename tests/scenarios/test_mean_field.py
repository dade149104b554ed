"""Scenarios whose rules are learned: what they show, Ctrl-C and going on, and one message for every mistake."""

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
from hurwicz.scenarios import build_scenario, explain_schema, load_scenario, run_scenario

ROOT = Path(__file__).resolve().parents[2]
Command = Callable[..., tuple[int, str, str]]
SMALL: dict[str, Any] = {"setting": "A1", "grid": 10, "tau": 0.02, "iterations": 40, "evaluations": 40, "steps": 4}
BEACH: dict[str, Any] = {"places": 6, "rounds": 4, "steps": 12, "learning_rate": 0.3}
OWN = {"rounds": 2, "supply": 0.5, "ratio": 0.95, "re_entry": 0.2, "drift": {"factor": 1.1, "sigma": 0.2}, "aversion": 1.0}


def toml(kind: str, keys: dict[str, Any]) -> str:
    return f'kind = "{kind}"\n' + "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())


@pytest.fixture(scope="module")
def auction(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """One run of a small auction for all tests that look at it."""
    out = tmp_path_factory.mktemp("auction")
    said: list[tuple[str, float]] = []
    run = run_scenario(build_scenario("batched_auction", SMALL), out=out, progress=lambda what, done: said.append((what, done)))
    assert [done for _, done in said] == sorted(done for _, done in said)
    assert any("step 4 of 4" in what for what, _ in said)
    assert not run.interrupted
    assert len(run.tables) >= 2
    return json.loads((out / "result.json").read_text()), out


def test_an_auction_is_set_against_simple_rules_and_the_ceiling(auction: tuple[dict[str, Any], Path]) -> None:
    result, _ = auction
    assert result["ceiling"] == pytest.approx(0.25)
    rules = result["rules"]
    assert list(rules) == ["first price, equal shares a round", "first price, best reserves", "best posted prices", "learned"]
    for rule in rules.values():
        assert 0.0 < rule["revenue"] <= 0.26
        assert rule["revenue"] == pytest.approx(sum(rule["collected"]), abs=1e-12)
        assert sum(rule["sold"]) <= 0.8 + 1e-9
        assert rule["exploitability"] < 5e-3
    assert result["revenue"] > rules["first price, equal shares a round"]["revenue"] + 0.05
    assert result["objective"] == pytest.approx(result["revenue"])
    assert result["objective"] == pytest.approx(max(result["history"]["0"]), abs=1e-3)
    verdicts = {finding["property"]: finding["verdict"] for finding in result["audit"]}
    assert verdicts["mean_field_equilibrium"] == "proved"
    assert "refuted" not in {verdicts["feasibility"], verdicts["payments_rise_with_bids"]}


def test_bids_and_payments_are_those_of_the_grid(auction: tuple[dict[str, Any], Path]) -> None:
    result, _ = auction
    values, prices = np.asarray(result["bids"]["values"]), np.asarray(result["payments"]["prices"])
    assert values.tolist() == (np.arange(10) / 10).tolist()
    assert prices.shape == (4, 10)
    assert np.all(np.diff(prices, axis=1) >= 0.0)
    assert np.all(prices <= values + 1e-12)
    before, after = (np.asarray(result["bids"][when], dtype=np.float64) for when in ("before", "after"))
    assert before.shape == after.shape == (4, 10)
    # nobody rich bids more than its value in first price; posted prices draw the bids of the rich up
    assert np.nanmax(before[:, 6:] - values[6:]) < 0.0
    assert np.nanmean(after[0, 7:]) > np.nanmean(before[0, 7:])


def test_the_page_stands_alone(auction: tuple[dict[str, Any], Path]) -> None:
    _, out = auction
    page = (out / "report.html").read_text()
    assert page.count("<svg") == 5
    assert "<script" not in page
    assert "What people bid, before and after" in page
    assert sorted(path.name for path in out.iterdir()) == ["checkpoint-seed0.npz", "checkpoint.json", "report.html", "result.json"]


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
    (tmp_path / "s.toml").write_text(toml("batched_auction", SMALL))
    code, _, said = hurwicz("run", tmp_path / "s.toml", "--out", tmp_path / "out", "--resume")
    assert code == 2
    assert "nothing to go on from" in said
    (tmp_path / "t.toml").write_text('kind = "target"\ntarget = 1.0\ntypes = [1.0, 2.0]\n')
    code, _, said = hurwicz("run", tmp_path / "t.toml", "--out", tmp_path / "out", "--resume")
    assert code == 2
    assert "expected a scenario that learns rules" in said


MISTAKES = {
    "tau": (SMALL | {"tau": 0.0}, "s.toml:4: tau: expected"),
    "negative tau": (SMALL | {"tau": -1.0}, "s.toml:4: tau: expected"),
    "setting": (SMALL | {"setting": "A11"}, "s.toml:2: setting: expected a setting among A1, A2"),
    "small letters": (SMALL | {"setting": "a3"}, "did you mean A3?"),
    "rule": (SMALL | {"rule": "tabel"}, "rule: expected 'table', 'network', 'reserve' or 'posted'; got 'tabel'"),
    "differentiate": (SMALL | {"differentiate": "backprop"}, "differentiate: expected 'unrolled', 'checkpointed' or 'implicit'"),
    "rate": (SMALL | {"mirror_rate": 100.0}, "mirror_rate at most 1/tau = 50"),
    "no steps": (SMALL | {"steps": 0}, "steps: expected"),
    "seeds twice": (SMALL | {"seeds": [1, 1]}, "each seed at most once"),
    "no seeds": (SMALL | {"seeds": []}, "seeds: expected"),
    "one player": (SMALL | {"players": [1]}, "players.0: expected"),
    "idle derivative": (SMALL | {"rule": "reserve", "differentiate": "implicit"}, "a threshold has no derivative"),
    "idle width": (SMALL | {"width": 8}, "only the network has one"),
    "key": (SMALL | {"learning_rat": 0.1}, "learning_rat: unknown key; did you mean 'learning_rate'?"),
    "neither": ({"grid": 10}, "either a setting (A1 to A10) or an [auction]"),
    "horizon": ({"auction": {"rounds": 0, "supply": 0.8}}, "auction.rounds: expected"),
    "supply": ({"auction": {"rounds": 2, "supply": 0.0}}, "auction.supply: expected"),
    "re-entry": ({"auction": {"rounds": 2, "supply": 0.5, "re_entry": 1.5}}, "auction.re_entry: expected"),
    "objective": (SMALL | {"objective": {"revenue": 0.0}}, "a weight above 0"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_gives_one_message_and_exit_code_2(name: str, tmp_path: Path, hurwicz: Command) -> None:
    keys, message = MISTAKES[name]
    flat = {key: value for key, value in keys.items() if not isinstance(value, dict)}
    tables = {key: value for key, value in keys.items() if isinstance(value, dict)}
    text = toml("batched_auction", flat)
    text += "".join(f"[{table}]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in rows.items()) for table, rows in tables.items())
    (tmp_path / "s.toml").write_text(text)
    code, shown, said = hurwicz("run", tmp_path / "s.toml", "--out", tmp_path / "out")
    assert (code, shown) == (2, "")
    assert message in said
    assert not list(tmp_path.glob("out/*"))


def test_an_auction_of_ones_own_with_two_seeds_from_chance_and_no_derivative() -> None:
    """Reserves by values at two points, an objective of two parts, drift, re-entry, risk aversion: what A1 has not."""
    keys = {k: v for k, v in SMALL.items() if k != "setting"} | {"auction": OWN, "start": "random", "seeds": [0, 3], "steps": 2}
    keys |= {"rule": "reserve", "grid": 6, "evaluations": 3, "objective": {"revenue": 1.0, "welfare": 0.5}}
    best = run_scenario(build_scenario("batched_auction", keys)).result
    assert [row["seed"] for row in best["seeds"]] == [0, 3]
    one, other = (row["objective"] for row in best["seeds"])
    assert one != other
    assert best["objective"] == max(one, other)
    assert best["mean"] == pytest.approx((one + other) / 2)
    assert best["deviation"] == pytest.approx(abs(one - other) / np.sqrt(2))
    assert best["ceiling"] is None
    assert best["objective"] == pytest.approx(best["revenue"] + 0.5 * best["welfare"], abs=1e-9)


@pytest.mark.slow
def test_a_network_starts_as_the_best_posted_prices() -> None:
    keys = {k: v for k, v in SMALL.items() if k != "setting"} | {"auction": {"rounds": 2, "supply": 0.8}, "rule": "network"}
    result = run_scenario(build_scenario("batched_auction", keys | {"width": 4, "grid": 6, "evaluations": 12, "steps": 1})).result
    assert result["history"]["0"][0] == pytest.approx(result["rules"]["best posted prices"]["objective"], abs=5e-3)


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


def test_ctrl_c_keeps_the_best_and_resume_ends_where_an_unbroken_run_does(tmp_path: Path) -> None:
    scenario = tmp_path / "s.toml"
    scenario.write_text(toml("beach_bar", BEACH | {"steps": 30, "iterations": 2000}))
    stopped = stopped_by_hand(scenario, tmp_path / "out")
    whole = run_scenario(load_scenario(scenario), out=tmp_path / "out", resume=True).result
    unbroken = run_scenario(load_scenario(scenario)).result
    assert whole["status"] == "done"
    assert whole["history"]["0"][: len(stopped["history"]["0"])] == stopped["history"]["0"]
    assert whole["history"] == unbroken["history"]
    assert whole["tolls"] == unbroken["tolls"]


@pytest.mark.slow
def test_an_auction_stopped_by_hand_goes_on_and_is_audited_among_few_players(tmp_path: Path, hurwicz: Command) -> None:
    example = (ROOT / "examples" / "batched_auction.toml").read_text()
    assert "\nsteps = 40\n" in example
    small = {"grid": 6, "tau": 0.02, "iterations": 2000, "evaluations": 2, "players": [3, 6]}
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
    assert audited["revenue_in_the_large"]["effort"]["mean_field_revenue"] == pytest.approx(whole["revenue"], abs=1e-9)
    assert set(audited["revenue_in_the_large"]["effort"]["gaps"]) == {"3", "6"}


def test_every_key_is_explained() -> None:
    rows = {(row["kind"], row["key"]): row for row in explain_schema()}
    assert rows["batched_auction", "auction.drift.sigma"]["required"]
    assert rows["batched_auction", "rule"]["type"] == '"table" | "network" | "reserve" | "posted"'
    assert rows["beach_bar", "price_cap"]["default"] == 2.0
    assert all(row["meaning"] for row in rows.values())


@pytest.mark.parametrize("name", ["batched_auction", "beach_bar"])
def test_the_examples_are_scenarios(name: str) -> None:
    assert load_scenario(ROOT / "examples" / f"{name}.toml").kind == name
