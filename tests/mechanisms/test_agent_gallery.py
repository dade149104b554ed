"""The gallery of award rules: every script runs, its rule is refuted with a witness, and what repairs it is not."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

from hurwicz.audits import Verdict

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "agents"
SCRIPTS = ("confidence_by_order", "confidence_over_cost", "pay_on_pass", "scored_second_price")


@pytest.fixture(scope="module")
def ran(request: pytest.FixtureRequest) -> Any:
    sys.path.insert(0, str(FOLDER))
    try:
        script = runpy.run_path(str(FOLDER / f"{request.param}.py"))
        return request.param, script, script["main"](draws=20_000, seed=0)
    finally:
        sys.path.remove(str(FOLDER))


def test_every_script_of_the_folder_is_here() -> None:
    assert {path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_")} == set(SCRIPTS)


@pytest.mark.parametrize("ran", SCRIPTS, indirect=True)
def test_rules_are_refuted_repairs_stand_and_the_harm_is_as_described(ran: Any) -> None:
    name, script, result = ran
    assert result["found"]["DSIC"].verdict is Verdict.REFUTED
    assert result["found"]["DSIC"].witness is not None
    assert result["found"]["BIC"].verdict is Verdict.REFUTED
    assert all(f.verdict in (Verdict.PROVED, Verdict.NOT_REFUTED) for f in result["repaired"].values())
    harm = result["harm"]
    if name == "confidence_over_cost":  # all five alike: the liar is the honest winner of one task in five
        assert harm["tasks that the liar gets"] == 1.0
        assert harm["tasks taken from the honest winner"] == pytest.approx(0.8, abs=0.01)
        assert harm["what the same lie earns a task under the repair"] < -0.3
        assert harm["welfare a task, one liar"] < 0.02 < 0.4 < harm["welfare a task, all honest"] < harm["welfare a task, at best"]
    elif name == "confidence_by_order":
        # three levels, three agents: ties have probability 12/27, and the first called wins 14/27
        assert harm["awards that are ties"] == pytest.approx(12 / 27, abs=0.015)
        assert harm["awards to the first called"] == pytest.approx(14 / 27, abs=0.015)
        assert harm["awards to the first called once it always names the highest level"] == 1.0
    elif name == "scored_second_price":
        assert 0.3 < harm["profiles where somebody gains by a lie"] < 0.45
        assert harm["profiles where somebody gains by a lie"] <= harm["profiles where the winner is not the cheapest"]
    else:
        assert harm["tasks that an empty agent gets"] == 1.0
        assert harm["success rate with an empty agent"] == 0.0
        assert harm["what an honest winner earns a task"] == pytest.approx(-0.1, abs=0.01)  # E[min of 4] / 2
        assert harm["what boasting earns the empty agent a task under the repair"] < -0.3
        assert result["second"]["DSIC"].verdict is Verdict.PROVED
        assert result["second"]["efficiency"].verdict is Verdict.REFUTED
    again = script["simulate"](draws=2_000, seed=3)
    assert again == script["simulate"](draws=2_000, seed=3)
    assert again != script["simulate"](draws=2_000, seed=4)
