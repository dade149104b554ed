"""A mechanism audited from the command line or a file: what is written, what replays, what one's own may look like."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hurwicz._foundation import InputError
from hurwicz.scenarios import build_scenario, load_scenario, run_scenario
from hurwicz.scenarios.mechanisms import Recipe, make_mechanism, replay_file

Command = Callable[..., tuple[int, str, str]]


def test_audit_writes_a_result_witnesses_and_a_page_and_each_witness_replays(tmp_path: Path, hurwicz: Command) -> None:
    arguments = ["audit", "first_price", "--bidders", 3, "--no-equilibrium", "--out", tmp_path / "out"]
    code, out, err = hurwicz(*arguments)
    assert code == 0, err
    assert "refuted" in out
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    verdicts = {finding["property"]: finding["verdict"] for finding in result["audit"]}
    assert verdicts["DSIC"] == verdicts["BIC"] == "refuted"
    assert verdicts["ex_post_IR"] != "refuted"
    files = sorted(path.name for path in (tmp_path / "out").iterdir())
    refuted = [name for name, verdict in verdicts.items() if verdict == "refuted"]
    assert files == sorted(["report.html", "result.json", *(f"witness-{name}.json" for name in refuted)])
    for name in refuted:
        code, out, err = hurwicz("replay", tmp_path / "out" / f"witness-{name}.json")
        assert code == 0, err
        assert "\nreplays: " in out
        replayed = replay_file(tmp_path / "out" / f"witness-{name}.json")
        assert replayed.holds
        assert replayed.gain > 0.0
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<svg" in page
    assert "<script" not in page
    assert result["stories"]["DSIC"].split(".")[0] in page


def test_second_price_is_proved_and_says_what_it_declares(tmp_path: Path) -> None:
    run = run_scenario(build_scenario("audit", {"mechanism": "second_price", "agents": 3, "properties": ["DSIC", "efficiency"]}))
    assert [finding["verdict"] for finding in run.result["audit"]] == ["proved", "proved"]
    assert [finding["declared"] for finding in run.result["audit"]] == ["holds", "holds"]
    assert run.result["alarms"] == []
    assert run.attachments == {}


def test_a_refutation_of_an_earlier_audit_does_not_outlive_it(tmp_path: Path) -> None:
    keys = {"agents": 2, "properties": ["DSIC"], "equilibrium": False}
    mine = tmp_path / "mine.json"
    mine.write_text("{}")
    for mechanism, left in (("first_price", ["witness-DSIC.json"]), ("second_price", [])):
        run_scenario(build_scenario("audit", {"mechanism": mechanism, **keys}), out=tmp_path)
        assert [path.name for path in tmp_path.glob("witness*")] == left
    assert mine.exists()


def test_findings_are_the_same_whoever_looks_and_a_kept_audit_goes_on(tmp_path: Path, hurwicz: Command) -> None:
    def audited(*more: object) -> list[dict[str, Any]]:
        code, out, err = hurwicz(
            "audit", "first_price", "--no-equilibrium", "--property", "core", *more, "--out", tmp_path / "out", "--json"
        )
        assert code == 0, err
        findings: list[dict[str, Any]] = json.loads(out)["audit"]
        for finding in findings:
            del finding["effort"]["seconds"]
        return findings

    kept = tmp_path / "kept.jsonl"
    alone = audited("--executor", "serial")
    assert audited("--workers", 3, "--checkpoint", kept) == alone
    lines = kept.read_text().splitlines()
    kept.write_text("\n".join(lines[:3]) + "\n")
    assert audited("--executor", "serial", "--checkpoint", kept) == alone
    code, _, err = hurwicz("audit", "second_price", "--checkpoint", kept, "--out", tmp_path / "out")
    assert code == 2
    assert "kept.jsonl" in err


def test_a_grid_makes_the_audit_exhaustive() -> None:
    run = run_scenario(build_scenario("audit", {"mechanism": "second_price", "agents": 3, "grid": 6, "properties": ["DSIC", "BIC"]}))
    assert [finding["verdict"] for finding in run.result["audit"]] == ["proved", "proved"]
    run = run_scenario(build_scenario("audit", {"mechanism": "first_price", "agents": 2, "grid": 6, "properties": ["DSIC"]}))
    (finding,) = run.result["audit"]
    assert finding["verdict"] == "refuted"
    assert finding["method"].startswith("exhaustive")
    # Bidding just above the lowest type's middle, 1/12, from the highest, 11/12: over by the tie broken in a lottery or won outright.
    assert finding["value"] == pytest.approx(11 / 12 - 3 / 12, abs=1e-9)


def test_json_is_the_result_and_nothing_else(tmp_path: Path, hurwicz: Command) -> None:
    arguments = ["audit", "second_price", "--property", "DSIC", "--grid", 4, "--json", "--out", tmp_path / "out"]
    code, out, _ = hurwicz(*arguments)
    assert code == 0
    assert json.loads(out) == json.loads((tmp_path / "out" / "result.json").read_text())


def test_a_mechanism_of_ones_own_is_audited_and_its_witness_names_the_file(own: str, tmp_path: Path, hurwicz: Command) -> None:
    options = ["--option", "share=0.5", "--property", "DSIC", "--no-equilibrium"]
    code, _, err = hurwicz("audit", f"{own}:highest", "--bidders", "ann,bob", *options, "--out", tmp_path / "out")
    assert code == 0, err
    witness = json.loads((tmp_path / "out" / "witness-DSIC.json").read_text())
    assert witness["mechanism"]["options"] == {"share": "0.5"} or witness["mechanism"]["options"] == {"share": 0.5}
    assert witness["mechanism"]["agents"] == ["ann", "bob"]
    assert witness["finding"]["witness"]["agent"] in ("ann", "bob")
    assert hurwicz("replay", tmp_path / "out" / "witness-DSIC.json")[0] == 0
    # moved with its file to another place, it replays still
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    (moved / "mine.py").write_text(Path(own).read_text())
    witness["mechanism"]["mechanism"] = "gone/mine.py:highest"
    (moved / "w.json").write_text(json.dumps(witness))
    assert replay_file(moved / "w.json").holds


def test_a_mechanism_that_gives_away_more_than_there_is_is_refuted_with_the_profile(own: str, tmp_path: Path) -> None:
    keys = {"mechanism": f"{own}:everybody", "properties": ["feasibility"]}
    run = run_scenario(build_scenario("audit", keys), out=tmp_path)
    (finding,) = run.result["audit"]
    assert finding["verdict"] == "refuted"
    assert set(finding["witness"]["true_type"]) == {"bidder 1", "bidder 2"}
    assert replay_file(tmp_path / "witness-feasibility.json").gain == pytest.approx(1.0)


def test_a_class_of_ones_own_without_a_prior_is_audited_under_the_one_that_is_asked_for(own: str, tmp_path: Path) -> None:
    for prior, least in (("uniform", 0.2), ("normal:0.9,0.01,0,1", 0.0)):
        keys = {"mechanism": f"{own}:bare", "properties": ["BIC"], "prior": prior, "equilibrium": False, "effort": "quick"}
        run = run_scenario(build_scenario("audit", keys), out=tmp_path)
        (finding,) = run.result["audit"]
        assert finding["verdict"] == "refuted"
        assert finding["value"] > least
        assert run.result["mechanism"]["believed"] == f"prior {prior}"
        assert replay_file(tmp_path / "witness-BIC.json").holds
    with pytest.raises(InputError, match="takes no prior"):
        make_mechanism(Recipe(f"{own}:bare", grid=3))


def test_what_is_collected_is_a_row_and_more_than_can_be_is_an_alarm(tmp_path: Path, hurwicz: Command) -> None:
    words = ["audit", "first_price", "--grid", 5, "--no-equilibrium", "--property", "DSIC", "--property", "revenue_within_bound"]
    code, out, _ = hurwicz(*words, "--json", "--out", tmp_path)
    assert code == 0
    result = json.loads(out)
    assert result["revenue"]["expected"] == pytest.approx(0.66)  # the greater of two of .1, .3, .5, .7, .9, on average
    assert result["revenue"]["error"] == 0.0
    (alarm,) = result["alarms"]
    assert "impossible claim" in alarm
    bounded = ["audit", "second_price", "--grid", 5, "--revenue-bound", 0.3, "--out", tmp_path]
    for asked in ([], ["--property", "DSIC"]):  # a bound that was given is held to, whatever else was asked
        code, out, _ = hurwicz(*bounded, *asked)
        assert code == 0
        assert "expected revenue" in out
        assert "ALARM: impossible claim: expected revenue 0.34 against a bound of 0.3" in out


def test_one_prior_for_all_leaves_room_for_second_names_and_invented_bids() -> None:
    keys = {"mechanism": "second_price", "agents": 3, "grid": 4, "properties": ["false_name_proof", "shill_proof"]}
    run = run_scenario(build_scenario("audit", keys))
    assert [finding["verdict"] for finding in run.result["audit"]] == ["proved", "refuted"]
    each = run_scenario(build_scenario("audit", keys | {"prior": ["uniform", "uniform:0,2", "uniform"]}))
    assert [finding["verdict"] for finding in each.result["audit"]] == ["not_applicable", "not_applicable"]


def test_an_audit_stopped_by_hand_says_so_and_where_the_rest_is(tmp_path: Path, hurwicz: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("hurwicz.scenarios.running.run_scenario", stopped)
    kept = tmp_path / "kept.jsonl"
    code, _, err = hurwicz("audit", "second_price", "--checkpoint", kept)
    assert code == 130
    assert f"interrupted; what was found so far is in {kept}" in err
    assert hurwicz("audit", "second_price") == (130, "", "hurwicz: interrupted\n")


def test_a_mechanism_already_made_is_taken_as_it_is(own: str) -> None:
    assert len(make_mechanism(Recipe(f"{own}:made")).agents) == 3
    with pytest.raises(InputError, match="already made"):
        make_mechanism(Recipe(f"{own}:made", 2))
    cut = make_mechanism(Recipe(f"{own}:made", grid=4))
    assert cut.type_spaces["bidder 1"].size == 4


def test_a_scenario_file_says_the_same_as_the_command(tmp_path: Path, own: str) -> None:
    (tmp_path / "s.toml").write_text(
        'kind = "audit"\nmechanism = "mine.py:highest"\nagents = ["ann", "bob"]\nprior = "uniform:0,2"\nproperties = ["DSIC"]\n'
        "equilibrium = false\n\n[options]\nshare = 0.5\n"
    )
    run = run_scenario(load_scenario(tmp_path / "s.toml"))
    assert run.result["mechanism"]["options"] == {"share": 0.5}
    # the highest value, 2, at a share of half: the truth pays 1, the least winning bid nothing
    assert run.result["audit"][0]["value"] == pytest.approx(1.0, rel=1e-3)
    (tmp_path / "wrong.toml").write_text('kind = "audit"\nmechanism = "second_price"\npropertys = ["DSIC"]\n')
    with pytest.raises(InputError, match=r"wrong.toml:3: propertys: unknown key; did you mean 'properties'\?"):
        load_scenario(tmp_path / "wrong.toml")


def test_the_list_shows_every_mechanism(hurwicz: Command) -> None:
    from hurwicz.mechanisms import registry

    code, out, _ = hurwicz("audit", "--list", "--json")
    assert code == 0
    assert {row["name"] for row in json.loads(out)} == set(registry())
    code, out, _ = hurwicz("audit", "--list")
    assert all(name in out for name in registry())


def test_what_samples_leave_open_is_looked_at_on_a_grid() -> None:
    from hurwicz.scenarios.mechanisms.survey import survey, survey_table

    (row,) = rows = survey(["DSIC", "BIC"], names=["core_selecting_auction"])
    assert row["verdicts"] == {"DSIC": "refuted", "BIC": "refuted"}
    assert row["on_grid"] == ["BIC"]
    assert survey_table(rows).row_count == 1
    (row,) = survey(["DSIC", "BIC"], names=["second_price"])
    assert row["on_grid"] == []
    with pytest.raises(InputError, match="did you mean"):
        survey(["DSIC"], names=["second_prise"])
