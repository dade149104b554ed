"""Scenarios whose rules are learned: what they find and show, and one message for every mistake."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hurwicz._foundation import InputError
from hurwicz.audits import Finding, Verdict
from hurwicz.scenarios import build_scenario, explain_schema, load_scenario, run_scenario
from hurwicz.scenarios.mean_field.auction_page import among_players

ROOT = Path(__file__).resolve().parents[2]
Command = Callable[..., tuple[int, str, str]]
SMALL: dict[str, Any] = {"setting": "A1", "grid": 10, "tau": 0.02, "iterations": 40, "evaluations": 40, "steps": 4, "players": []}
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
    takes_part = next(finding for finding in result["audit"] if finding["property"] == "interim_IR")
    assert takes_part["verdict"] == "proved"
    assert takes_part["value"] >= 0.0 > takes_part["effort"]["least_in_money"]  # what is proved is shown, and what it is in money is said
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
    assert sorted(path.name for path in out.iterdir()) == [
        "checkpoint-seed0.npz",
        "checkpoint-simple-rules.json",
        "checkpoint.json",
        "report.html",
        "result.json",
    ]


MISTAKES = {
    "tau": (SMALL | {"tau": 0.0}, "s.toml:4: tau: expected"),
    "negative tau": (SMALL | {"tau": -1.0}, "s.toml:4: tau: expected"),
    "setting": (SMALL | {"setting": "A11"}, "s.toml:2: setting: expected a setting among A1, A2"),
    "small letters": (SMALL | {"setting": "a3"}, "did you mean A3?"),
    "rule": (SMALL | {"rule": "tabel"}, "rule: expected 'table', 'network', 'reserve' or 'posted'; got 'tabel'"),
    "differentiate": (SMALL | {"differentiate": "backprop"}, "differentiate: expected 'unrolled', 'checkpointed' or 'implicit'"),
    "rate": (SMALL | {"mirror_rate": 100.0}, "mirror_rate at most 1/tau = 50"),
    "no steps": (SMALL | {"steps": 0}, "steps: expected"),
    "a seed beyond 32 bits": (SMALL | {"seeds": [99999999999999999999]}, "seeds.0: expected less than 4294967296"),
    "smoothing": (SMALL | {"smoothing": 1e300}, "smoothing: expected less than or equal to 1000"),
    "first price posts no price": (SMALL | {"rule": "posted", "start": "first_price"}, "first price posts no price"),
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


@pytest.mark.parametrize("change", [{"sharpness": 1e308}, {"price_cap": 1e300}])
def test_a_beach_beyond_what_can_be_computed_is_refused_by_its_key(change: dict[str, float]) -> None:
    with pytest.raises(InputError, match=f"{next(iter(change))}: expected less than or equal to 1000000"):
        build_scenario("beach_bar", {"places": 6, "rounds": 4} | change)


def test_learning_starts_from_the_best_simple_rule_found(auction: tuple[dict[str, Any], Path]) -> None:
    result, _ = auction
    assert result["start"] == {"first price, best reserves": "reserve", "best posted prices": "posted"}[result["best_simple_rule"]]
    # so few equilibria that the prices are poor, and the reserves are far ahead
    short = run_scenario(build_scenario("batched_auction", SMALL | {"evaluations": 2, "steps": 1})).result
    rules = {name: rule["objective"] for name, rule in short["rules"].items()}
    assert max(rules, key=lambda name: rules[name] if name != "learned" else -1.0) == short["best_simple_rule"]
    assert short["start"] != "posted"
    assert rules["learned"] > rules["best posted prices"] + 0.02


def test_what_n_players_gain_is_told_beside_the_gap_of_revenue_and_its_slope() -> None:
    def among(n: int) -> Finding:
        return Finding(f"equilibrium_of_{n}_players", Verdict.NOT_REFUTED, 0.1 / n, None, "", {"players": n, "interval": [0.0, 0.2]}, "")

    gaps = {"10": [-0.02, -0.03, -0.01], "100": [-0.006, -0.007, -0.005]}
    effort = {"gaps": gaps, "mean_field_revenue": 0.25, "slope": [-0.52, -0.8, -0.3], "slope_of_root_mean_square": [-0.5, -0.6, -0.4]}
    told = among_players([among(10), among(100), Finding("revenue_in_the_large", Verdict.NOT_REFUTED, -0.006, None, "", effort, "")])
    assert told["players"][1] == {"n": 100, "gain": [0.001, 0.0, 0.2], "revenue_gap": gaps["100"]}
    assert (told["slope"], told["mean_field_revenue"]) == (effort["slope"], 0.25)
    assert load_scenario(ROOT / "examples" / "batched_auction.toml").players == [10, 100, 1000]


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


def test_every_key_is_explained() -> None:
    rows = {(row["kind"], row["key"]): row for row in explain_schema()}
    assert rows["batched_auction", "auction.drift.sigma"]["required"]
    assert rows["batched_auction", "rule"]["type"] == '"table" | "network" | "reserve" | "posted"'
    assert rows["beach_bar", "price_cap"]["default"] == 2.0
    assert all(row["meaning"] for row in rows.values())


@pytest.mark.parametrize("name", ["batched_auction", "beach_bar"])
def test_the_examples_are_scenarios(name: str) -> None:
    assert load_scenario(ROOT / "examples" / f"{name}.toml").kind == name
