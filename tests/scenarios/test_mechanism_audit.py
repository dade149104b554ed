"""A mechanism audited from the command line or a file: what is written, what replays, and every mistake in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hurwicz._foundation import FormatError, InputError
from hurwicz.scenarios import build_scenario, load_scenario, run_scenario
from hurwicz.scenarios.mechanisms import Recipe, make_mechanism, replay_file
from hurwicz.scenarios.mechanisms.prior_text import beliefs_from, in_full
from hurwicz.typespaces import Box, Interval

Command = Callable[..., tuple[int, str, str]]

OWN = '''"""A mechanism of one's own."""

import numpy as np

from hurwicz.mechanisms import single_parameter


def highest(agents=2, *, prior=None, share: float = 1.0):
    def rule(bids):
        wins = (np.arange(bids.shape[1]) == bids.argmax(axis=1)[:, None]) * 1.0
        return wins, share * wins * bids

    return single_parameter("highest bid pays a share", rule, agents, prior=prior)


def forgetful(agents=2):
    def rule(bids):
        return bids[:, 0], bids[:, 0]

    return single_parameter("forgetful", rule, agents)


def falls(agents=2):
    return single_parameter("falls", lambda bids: 1 / 0, agents)


def nothing(agents=2):
    return 3


def everybody(agents=2):
    return single_parameter("everybody wins", lambda b: (np.ones_like(b), 0 * b), agents)


def unpayable(agents=2):
    return single_parameter("unpayable", lambda b: (np.ones_like(b), b * np.nan), agents)


def leaves(agents=2):
    raise SystemExit(0)


made = highest(3)

from hurwicz.settings import Outcome
from hurwicz.typespaces import Interval


class Bare:
    """No batches and no prior."""

    def __init__(self, names):
        self.agents = tuple(names)
        self.type_spaces = {name: Interval(0.0, 1.0) for name in names}

    def outcome(self, reports):
        winner = max(self.agents, key=lambda name: reports[name])
        return Outcome(
            {n: np.array(1.0 if n == winner else 0.0) for n in self.agents},
            {n: float(reports[n]) if n == winner else 0.0 for n in self.agents},
        )

    def value(self, agent, outcome, true_type):
        return true_type * outcome.allocation[agent]

    def welfare(self, outcome, true_types):
        return sum(self.value(n, outcome, true_types[n]) for n in self.agents)


def bare(agents=2):
    return Bare([f"x{k}" for k in range(agents)])
'''


@pytest.fixture
def own(tmp_path: Path) -> str:
    (tmp_path / "mine.py").write_text(OWN)
    return str(tmp_path / "mine.py")


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
    (moved / "mine.py").write_text(OWN)
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
        keys = {"mechanism": f"{own}:bare", "properties": ["BIC"], "prior": prior, "equilibrium": False}
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
    code, out, _ = hurwicz("audit", "second_price", "--grid", 5, "--revenue-bound", 0.3, "--out", tmp_path)
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


def test_a_mechanism_already_made_is_taken_as_it_is(own: str) -> None:
    assert len(make_mechanism(Recipe(f"{own}:made")).agents) == 3
    with pytest.raises(InputError, match="already made"):
        make_mechanism(Recipe(f"{own}:made", 2))
    cut = make_mechanism(Recipe(f"{own}:made", grid=4))
    assert cut.type_spaces["bidder 1"].size == 4


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
    assert not list(tmp_path.glob("out/*")), "something was left half written"


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
