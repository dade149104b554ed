"""The equilibrium that an audit hands on: against closed forms, in the result, on the page, on the terminal."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hurwicz._foundation import InputError, NotConvergedError
from hurwicz.mechanisms import make
from hurwicz.scenarios import build_scenario, load_scenario, run_scenario
from hurwicz.scenarios.mechanisms.equilibrium import equilibrium_of

Command = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize("bidders", [2, 3])
def test_a_refuted_first_price_shows_the_equilibrium_that_it_has(bidders: int, tmp_path: Path) -> None:
    keys = {"mechanism": "first_price", "agents": bidders, "properties": ["DSIC", "efficiency"]}
    run = run_scenario(build_scenario("audit", keys), out=tmp_path)
    found = run.result["equilibrium"]
    assert found["converged"]
    assert found["epsilon"] <= 1e-5
    (group,) = found["strategies"]
    assert group["who"] == "every agent"
    # (n - 1) v / n; revenue (n - 1) / (n + 1); the item goes to the highest value
    np.testing.assert_allclose(group["bids"], (bidders - 1) / bidders * np.asarray(group["values"]), atol=1e-3)
    assert found["revenue"] == pytest.approx((bidders - 1) / (bidders + 1), abs=1e-4)
    assert found["price_of_anarchy"] == pytest.approx(1.0, abs=1e-9)
    assert found["welfare"] == pytest.approx(bidders / (bidders + 1), abs=1e-4)
    page = (tmp_path / "report.html").read_text()
    assert "The equilibrium that it has" in page
    assert page.count("<svg") == 2


def test_no_equilibrium_is_computed_where_the_truth_is_one() -> None:
    run = run_scenario(build_scenario("audit", {"mechanism": "second_price", "properties": ["DSIC", "BIC"], "grid": 5}))
    assert run.result["equilibrium"] is None
    keys = {"mechanism": "first_price", "properties": ["DSIC"], "grid": 5, "equilibrium": False}
    assert run_scenario(build_scenario("audit", keys)).result["equilibrium"] is None


def test_the_grid_is_the_audit_s_and_not_the_equilibrium_s() -> None:
    run = run_scenario(build_scenario("audit", {"mechanism": "all_pay", "agents": 2, "properties": ["BIC"], "grid": 6}))
    found = run.result["equilibrium"]
    (group,) = found["strategies"]
    # (n - 1) v^n / n
    np.testing.assert_allclose(group["bids"], 0.5 * np.asarray(group["values"]) ** 2, atol=1e-3)


def test_a_mechanism_of_more_than_one_number_gets_a_note() -> None:
    with pytest.raises(InputError, match="one number each"):
        equilibrium_of(make("groves", 2), seconds=1.0, tolerance=1e-4)


def test_a_search_that_takes_too_long_says_so() -> None:
    with pytest.raises(NotConvergedError, match=r"no equilibrium within 1e-09 s .* allow more"):
        equilibrium_of(make("first_price", 2), seconds=1e-9, tolerance=1e-6)
    keys = {"mechanism": "first_price", "properties": ["DSIC"], "grid": 4, "equilibrium_seconds": 1e-9}
    run = run_scenario(build_scenario("audit", keys))
    assert run.result["equilibrium"]["note"].startswith("No equilibrium of the bids: no equilibrium within")
    assert run.result["equilibrium"]["note"] in run.tables


def test_the_command_prints_bids_revenue_and_price_of_anarchy(tmp_path: Path, hurwicz: Command) -> None:
    command = ["equilibrium", "first_price_procurement", "--agents", "3", "--out", tmp_path]
    code, out, err = hurwicz(*command)
    assert code == 0, err
    assert "bid of every agent" in out
    found = json.loads((tmp_path / "result.json").read_text())["equilibrium"]
    values, bids = np.asarray(found["strategies"][0]["values"]), np.asarray(found["strategies"][0]["bids"])
    # costs of U[0, 1], three sellers: c + (1 - c) / 3
    np.testing.assert_allclose(bids, values + (1.0 - values) / 3.0, atol=1e-3)
    assert found["revenue"] == pytest.approx(-0.5, abs=1e-3)
    assert hurwicz("equilibrium", "groves")[0] == 2
    assert hurwicz("equilibrium", "first_price", "--seconds", "1e-9", "--out", tmp_path)[0] == 3


def test_bidders_of_different_priors_have_columns_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(
        'kind = "equilibrium"\nmechanism = "first_price"\nagents = ["weak", "strong"]\nprior = ["uniform:0,1", "uniform:0,2"]\n'
    )
    run = run_scenario(load_scenario(tmp_path / "s.toml"))
    found = run.result["equilibrium"]
    assert [group["who"] for group in found["strategies"]] == ["weak", "strong"]
    weak, strong = found["strategies"]
    # both bid up to 2/3 (Griesmer, Levitan and Shubik 1967), and at the same value the weak bidder bids more
    assert weak["bids"][-1] == pytest.approx(2.0 / 3.0, abs=1e-3)
    assert strong["bids"][-1] == pytest.approx(2.0 / 3.0, abs=1e-3)
    assert np.interp(0.5, weak["values"], weak["bids"]) > np.interp(0.5, strong["values"], strong["bids"])
    assert found["price_of_anarchy"] < 1.0
