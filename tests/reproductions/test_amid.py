"""Rows of the mean-field reproduction: what they must say, against closed forms and second routes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from hurwicz._foundation import InputError
from hurwicz.meanfield import BatchedAuction, FirstPrice, PostedPrice, TableRule, auction_setting
from hurwicz.reproductions import amid
from hurwicz.reproductions.amid.claim import Claim
from hurwicz.reproductions.amid.finite import revenue_gaps
from hurwicz.reproductions.amid.first_setting import fixed_rules, learned_table
from hurwicz.reproductions.amid.gradients import Adjoint, differences, gradient
from hurwicz.reproductions.amid.harness import PAPER, experiments, summary
from hurwicz.reproductions.amid.memory import gradient_cost
from hurwicz.reproductions.claim import Context

FIELDS = ["id", "claim", "ours", "paper", "ceiling", "agrees", "note"]


@cache
def weights(grid: int, rounds: int) -> dict[str, np.ndarray]:
    """Random weights of a table, off the kinks."""
    rng = np.random.default_rng(3)
    return {"steps": rng.normal(1.0, 0.3, (rounds, grid - 1)), "share": rng.normal(-1.0, 0.2, rounds)}


def test_experiments_and_their_titles() -> None:
    titles = amid.claims()
    assert list(titles) == [*(f"A{k}" for k in range(1, 11)), "beach", "gradients", "table2", "finite"]
    assert all(titles.values())
    assert all(len(one.problem) > 40 for one in experiments().values())
    assert "Reconstructed" in experiments()["A7"].problem


@pytest.mark.parametrize("only", [["A11"], ["a1"], [], ["A1", "C.3"]])
def test_unknown_ids(only: list[str]) -> None:
    with pytest.raises(InputError, match=r"only: expected ids among A1, A2"):
        amid.reproduce(only=only)


def test_a_row_holds_no_nan() -> None:
    with pytest.raises(InputError, match="finite"):
        Claim("A1", "x", float("nan"), None, None, None, "n")


def test_the_adjoint_by_hand_is_the_slope() -> None:
    """Three routes on a small auction: the recursion, reverse mode, central differences; and a wrong entropy weight is seen."""
    auction, rule, w = BatchedAuction(rounds=2, supply=0.8, grid=6), TableRule(6), weights(6, 2)
    adjoint, size = Adjoint(auction, rule), {"tau": 0.05, "rate": 5.0, "steps": 30}
    by_hand = adjoint(w, **size)
    assert by_hand.shape == (2 * 5 + 2,)
    reverse = gradient(auction, rule, w, way="unrolled", **size)
    np.testing.assert_allclose(by_hand, reverse, rtol=1e-9, atol=1e-13)
    directions = np.random.default_rng(0).normal(size=(3, by_hand.size))
    np.testing.assert_allclose(directions @ by_hand, differences(auction, rule, w, directions, **size), rtol=1e-5, atol=1e-8)
    other = adjoint(w, tau=0.06, rate=5.0, steps=30)
    assert np.abs(other - by_hand).max() > 1e-3 * np.abs(by_hand).max()


def test_the_fixed_point_s_derivative_is_another_before_convergence_and_the_same_after() -> None:
    auction, rule, w = BatchedAuction(rounds=2, supply=0.8, grid=6), TableRule(6), weights(6, 2)
    adjoint = Adjoint(auction, rule)

    def apart(steps: int) -> float:
        through = adjoint(w, tau=0.05, rate=5.0, steps=steps)
        at_the_end = adjoint(w, tau=0.05, rate=5.0, steps=steps, back=400)
        return float(np.abs(through - at_the_end).max() / np.abs(through).max())

    assert apart(300) < 1e-9
    assert apart(12) > 1e-3


def test_checkpoints_hold_less() -> None:
    size = {"grid": 8, "iterations": 100, "run": False}
    kept, again = (gradient_cost(2, way, **size).mebibytes for way in ("unrolled", "checkpointed"))
    assert again < 0.5 * kept


def test_revenue_of_n_bidders_nears_the_mean_field_s() -> None:
    auction = auction_setting("A1", grid=10).auction
    gaps = revenue_gaps(auction, FirstPrice(10), {"quantity": np.full(4, 0.2)}, players=(10, 100, 1000), seeds=40)
    assert gaps.players == (10, 100, 1000)
    assert gaps.spread[0] > gaps.spread[1] > gaps.spread[2]
    assert -1.2 < gaps.slope < -0.35
    assert abs(gaps.mean[2]) < 5 * gaps.error[2] + 5e-4


def test_rules_of_the_first_setting_are_bounded_by_what_bounds_them() -> None:
    named = {name: most for name, _, _, most, _ in fixed_rules(20, 4)}
    assert named["first price, .2 a round"] == pytest.approx(0.8 * 0.2)
    assert named["posted price .5"] == pytest.approx(0.25)


@pytest.mark.slow
def test_a_table_learns_from_posted_prices_on() -> None:
    from hurwicz.designers import auction_problem, evaluate_design

    setting = auction_setting("A1", grid=10)
    prices = {"price": np.full(4, 0.48)}
    posted = evaluate_design(auction_problem(setting, PostedPrice(10), start=lambda _key: prices), prices)
    learned = learned_table(setting, posted, steps=6)
    assert learned.history[0] == pytest.approx(posted.objective, abs=5e-3)
    assert learned.objective >= max(learned.history) - 1e-3
    assert learned.objective <= setting.ceiling + 1e-3


def rows() -> Sequence[Claim]:
    return [
        Claim("A1", "revenue", 0.2481, "figure only", 0.25, True, "A note that says what was run."),
        Claim("table2", "seconds", 1.5, 0.09, None, None, "Another machine."),
        Claim("finite", "slope", -0.2, "at most -0.5", -0.5, False, "Too slow."),
    ]


def test_page_and_table_show_every_row() -> None:
    text = PAPER.page(rows(), [], seconds=1.0, seed=0).html()
    assert "figure only" in text
    assert all(row.note in text for row in rows())
    assert amid.claims_table(rows()).row_count == 3
    assert summary(rows()) == {"agree": 1, "differ": 1, "nothing to compare": 1}


def test_files(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Written as the rows are, whatever the experiment: here one that takes no time."""
    from hurwicz.reproductions.amid import harness
    from hurwicz.reproductions.amid.claim import Experiment

    def quick(context: Context) -> tuple[Sequence[Claim], Sequence[object]]:
        context.say("half of it", 0.5)
        return rows()[:1], []

    one = {"A1": Experiment("A1", "title", "problem", quick, 1.0)}
    monkeypatch.setattr(harness, "PAPER", replace(PAPER, load=lambda: one))
    said: list[tuple[str, float]] = []
    found = amid.reproduce(out=tmp_path / "amid", progress=lambda what, done: said.append((what, done)))
    read = json.loads((tmp_path / "amid" / "claims.json").read_text())
    assert [list(row) for row in read] == [FIELDS]
    assert read == [row.to_dict() for row in found]
    assert said == [("A1: title", 0.0), ("A1: half of it", 0.5), ("done", 1.0)]
    assert "0.2481" in (tmp_path / "amid" / "report.html").read_text()
