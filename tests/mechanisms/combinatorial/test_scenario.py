"""``kind = "auction"`` as a person meets it: files and bids cleared, every mistake one message, time running out an exit code."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from hurwicz._foundation import ScenarioError
from hurwicz.cli import main
from hurwicz.formats import CatsBid, CatsFile, write_cats
from hurwicz.scenarios import load_scenario, run_scenario

ROOT = Path(__file__).resolve().parents[3]
BIDS = """kind = "auction"
bids = [
  { bidder = "ann", goods = ["A", "B"], price = 10.0 },
  { bidder = "bob", goods = ["A"], price = 8.0 },
  { bidder = "cem", goods = ["B"], price = 8.0 },
]
"""


def cleared(text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """The command's exit code."""
    (folder / "s.toml").write_text(text)
    monkeypatch.setattr(sys, "argv", ["hurwicz", "run", str(folder / "s.toml"), "--out", str(folder / "out")])
    try:
        main()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def test_the_example_clears_a_real_file(tmp_path: Path) -> None:
    done = run_scenario(load_scenario(ROOT / "examples" / "auction.toml"), name="auction", out=tmp_path)
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["status"] == "optimum"
    assert result["welfare"] == pytest.approx(3588.570)
    assert result["revenue"]["vcg"] == pytest.approx(3284.7915)
    assert result["revenue"]["vcg"] < result["revenue"]["core"] < result["revenue"]["pay_as_bid"]
    assert len(result["winners"]) == 8
    assert done.converged
    page = (tmp_path / "report.html").read_text()
    assert "<svg" in page
    assert "bidder 30" in page


def test_bids_in_the_scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert cleared(BIDS + 'payments = ["vcg", "core"]\n', tmp_path, monkeypatch) == 0
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert result["payments"]["vcg"] == {"ann": 0.0, "bob": 2.0, "cem": 2.0}
    assert result["payments"]["core"]["bob"] == pytest.approx(5.0, abs=1e-6)
    assert result["unsold"] == []
    assert "revenue, vcg" in capsys.readouterr().out


def test_or_bids_units_and_goods_nobody_wants(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        BIDS.replace('"cem", goods = ["B"], price = 8.0', '"bob", goods = ["B"], price = 11.0')
        + 'language = "or"\ngoods = ["A", "A", "B", "lamp"]\n'
    )
    assert cleared(text, tmp_path, monkeypatch) == 0
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert result["winners"]["bob"]["goods"] == ["A", "B"]
    assert result["unsold"] == ["A", "lamp"]


def test_time_running_out_is_exit_code_3_with_the_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cleared('kind = "auction"\nfile = "arbitrary_g50_b500"\nseconds = 0.05\n', tmp_path, monkeypatch) == 3
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert result["status"] == "step limit"
    assert result["welfare"] <= 3405.8475 <= result["bound"]


def test_a_file_beside_the_scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.txt").write_text(write_cats(CatsFile(2, 0, (CatsBid(0, 3.0, (0, 1)), CatsBid(1, 2.0, (0,))))))
    assert cleared('kind = "auction"\nfile = "mine.txt"\n', tmp_path, monkeypatch) == 0
    assert json.loads((tmp_path / "out" / "result.json").read_text())["payments"]["vcg"]["bidder 1"] == 2.0


MISTAKES = {
    "neither": ('kind = "auction"\n', "either a file or bids"),
    "both": (BIDS + 'file = "regions_g20_b200"\n', "either a file or bids"),
    "idle key": ('kind = "auction"\nfile = "regions_g20_b200"\nlanguage = "or"\n', "no language beside a file"),
    "no such auction": ('kind = "auction"\nfile = "regions_g21"\n', "expected one of the packaged auctions"),
    "no such file": ('kind = "auction"\nfile = "absent.txt"\n', "absent.txt: cannot be read"),
    "nan in the file": ('kind = "auction"\nfile = "scheduling_g50_b500"\n', "scheduling_g50_b500.txt:470: bid 451"),
    "negative price": (BIDS.replace("10.0", "-1.0"), "greater than or equal to 0"),
    "nan price": (BIDS.replace("10.0", "nan"), "bids.0.price: expected a finite number; got nan"),
    "unknown good": (
        BIDS + 'goods = ["A"]\n',
        "s.toml: scenario: expected what bid 1 (ann on A, B at 10) names to be for sale; got 'B', for sale are A",
    ),
    "misspelt good": (BIDS + 'goods = ["A", "Bb"]\n', "got 'B', did you mean 'Bb'?"),
    "two of one": (
        BIDS.replace('["A", "B"]', '["A", "A"]'),
        "bid 1 (ann on A, A at 10) names to be for sale; got 2 units of 'A', of which there is 1: name it",
    ),
    "three of two": (
        BIDS.replace('["A", "B"]', '["A", "A", "A"]') + 'goods = ["A", "A", "B"]\n',
        "got 3 units of 'A', of which there are 2: put more",
    ),
    "empty bundle": (BIDS.replace('["A", "B"]', "[]"), "bids.0.goods: expected at least 1"),
    "rule twice": (BIDS + 'payments = ["vcg", "vcg"]\n', "at most once"),
    "unknown key of a bid": (BIDS.replace("price = 10.0", "prize = 10.0"), "bids.0.prize: unknown key"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_message_and_exit_code_2(
    mistake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text, message = MISTAKES[mistake]
    assert cleared(text, tmp_path, monkeypatch) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.glob("out/*"))


def test_the_nan_may_be_dropped_and_is_then_noted() -> None:
    from hurwicz.scenarios.schema import AuctionScenario

    scenario = AuctionScenario(kind="auction", file="scheduling_g50_b500", bad_prices="drop", payments=["pay_as_bid"])
    done = run_scenario(scenario)
    assert done.result["welfare"] == pytest.approx(68.64717)
    assert done.result["notes"] == ["bid 451 (line 470) left out: its price is nan"]


def test_mistakes_carry_their_line(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(BIDS.replace("8.0 },\n]", '"8" },\n]'))
    with pytest.raises(ScenarioError) as caught:
        load_scenario(tmp_path / "s.toml")
    assert caught.value.line == 2  # the statement that holds it begins there
