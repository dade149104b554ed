"""Every claim's own figure against the truth, at a tolerance that means something."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from functools import cache

import pytest

from hurwicz._foundation import InputError
from hurwicz.reproductions import mbi
from hurwicz.reproductions.claim import Plot, show
from hurwicz.reproductions.mbi.claim import Claim, Context, compare
from hurwicz.reproductions.mbi.harness import EXPERIMENTS, summary

FIELDS = ["id", "claim", "ours", "paper", "truth", "agrees", "note"]

# (id, start of the claim) -> largest |ours - truth|. What is not here is checked in its own file (C.6, C.9, C.18) or compared as words.
TOLERANCES = {
    ("C.1", "loss after 200"): 1e-5,
    ("C.1", "loss at the answer"): 1e-20,
    ("C.1", "farthest end"): 1e-8,
    ("C.2", "action"): 1e-12,
    ("C.2", "loss by the default"): 1e-12,
    ("C.2", "loss after 100,000"): 1e-12,
    ("C.3", "loss"): 1e-11,
    ("C.3", "largest error"): 1e-11,
    ("C.4", "loss"): 1e-12,
    ("C.4", "Clarke transfer to"): 1e-11,
    ("C.4", "Clarke transfers to all"): 1e-11,
    ("C.4", "linear transfers"): 1e-12,
    ("C.4", "agent 1's price"): 1e-12,
    ("C.4", "relative gain"): 1e-5,  # the witness is a rounded report
    ("C.4", "excess loss"): 1e-7,
    ("C.5", "loss at the paper's"): 1e-9,
    ("C.5", "least Hessian"): 1e-4,  # from finite nudges
    ("C.5", "loss that the library"): 1e-12,
    ("C.7", "largest stable"): 1e-8,
    ("C.8", "loss"): 1e-13,
    ("C.10", "loss that the library"): 1e-9,
    ("C.11", "steps"): 0.0,
    ("C.12", "action"): 1e-12,
    ("C.12", "loss after"): 1e-12,
    ("C.12", "loss at rest"): 1e-11,
    ("C.12", "loss without"): 1e-11,
    ("C.13", "error of agent 1"): 1e-12,
    ("C.13", "largest error"): 1e-12,
    ("C.14", "x1 if agents"): 1e-11,
    ("C.14", "loss if agents"): 1e-11,
    ("C.14", "x1 if the plan"): 1e-11,
    ("C.14", "loss at the true"): 1e-11,
    ("C.14", "loss over the optimum in round one"): 1e-11,
    ("C.14", "loss over the optimum in round two"): 1e-11,
    ("C.15", "sum of actions after the move, tracked"): 1e-9,
    ("C.15", "sum of actions after the move, 5000"): 2e-5,
    ("C.16", "loss after"): 5e-7,
    ("C.16", "largest error"): 1e-12,
    ("C.17", "loss over"): 1e-11,
    ("C.17", "agent 1's own"): 1e-11,
}
WHOLE = sorted({identity for identity, _ in TOLERANCES}, key=lambda identity: int(identity[2:]))
DIFFERS = {  # rows where the library must not agree with the paper
    "C.4": {"agent 1's price", "DSIC under linear", "relative gain", "excess loss"},
    "C.5": {"what the paper's", "loss that the library"},
    "C.7": {"largest stable", "gradient responses with eta = 0.010099", "gradient responses with eta = 0.5"},
    "C.10": {"loss that the library"},
    "C.12": {"loss at rest"},
    "C.17": {"incentive", "loss over the optimum with Clarke", "loss over the optimum with AGV", "loss over the optimum in round two"},
}


SLOW = {"C.2", "C.10", "C.12"}  # with every call checked


@cache
def run(identity: str) -> tuple[Sequence[Claim], Sequence[Plot]]:
    """One run of an experiment for all tests that look at it."""
    return EXPERIMENTS[identity].run(Context(seed=1))


@pytest.mark.parametrize("identity", [pytest.param(one, marks=pytest.mark.slow) if one in SLOW else one for one in WHOLE])
def test_figures_are_true(identity: str) -> None:
    rows, plots = run(identity)
    expected = {start: reach for (one, start), reach in TOLERANCES.items() if one == identity}
    seen = set()
    for row in rows:
        assert row.id == identity
        assert len(row.note) > 20
        start = next((start for start in expected if row.claim.startswith(start)), None)
        if start is not None:
            seen.add(start)
            if not (identity == "C.7" and row.claim.startswith("loss at")):
                assert isinstance(row.ours, float)
                assert isinstance(row.truth, float)
                assert abs(row.ours - row.truth) <= expected[start], row
        elif isinstance(row.ours, str) and row.truth != "holds":
            assert row.ours == row.truth, row
    assert seen == set(expected)
    differs = {row.claim for row in rows if row.agrees is False}
    starts = DIFFERS.get(identity, set())
    assert all(any(claim.startswith(start) for start in starts) for claim in differs), differs
    assert all(any(claim.startswith(start) for claim in differs) for start in starts), differs
    if identity in {"C.2", "C.7", "C.13", "C.15", "C.16"}:
        (plot,) = plots
        figure = plot.draw()
        assert figure.axes[0].lines
        assert identity in plot.caption


@pytest.mark.slow
def test_local_minimum_of_c10_is_the_papers() -> None:
    row = next(row for row in run("C.10")[0] if row.claim.startswith("loss that gradient"))
    assert row.agrees
    assert row.ours > row.truth + 0.4


def test_a_clarke_audit_claims_no_proof_on_a_continuum() -> None:
    row = next(row for row in run("C.4")[0] if row.claim == "DSIC under Clarke payments")
    assert row.ours == "not_refuted"
    assert "not proved" in row.note


def test_list_of_claims() -> None:
    assert list(mbi.claims()) == [f"C.{k}" for k in range(1, 19)]
    assert all(mbi.claims().values())


def test_files(tmp_path) -> None:
    said: list[tuple[str, float]] = []
    rows = mbi.reproduce(only=["C.7", "C.3"], out=tmp_path / "mbi", progress=lambda what, done: said.append((what, done)))
    read = json.loads((tmp_path / "mbi" / "claims.json").read_text())
    assert [list(row) for row in read] == [FIELDS] * len(rows)
    assert read == [row.to_dict() for row in rows]
    assert list(dict.fromkeys(row["id"] for row in read)) == ["C.3", "C.7"]  # the paper's order, whatever was asked first
    page = (tmp_path / "mbi" / "report.html").read_text()
    assert page.count("<svg") == 1
    assert "0.0099990" in page
    assert not re.search(r'(src|href)="https?:', page)
    assert said[-1] == ("done", 1.0)
    assert [done for _, done in said] == sorted(done for _, done in said)
    counts = summary(rows)
    assert sum(counts.values()) == len(rows)
    assert counts["differ from the paper"] == 3


@pytest.mark.parametrize("only", [["C.19"], ["c.3"], [], ["C.3", "D.1"]])
def test_unknown_ids(only) -> None:
    with pytest.raises(InputError, match=r"only: expected ids among C\.1, C\.2"):
        mbi.reproduce(only=only)


@pytest.mark.parametrize("wrong", [{"ppo_seconds": 0.0}, {"agents": 0}])
def test_bad_limits(wrong) -> None:
    with pytest.raises(InputError, match="expected positive numbers"):
        mbi.reproduce(only=["C.3"], **wrong)


def row(**given) -> Claim:
    return compare("C.1", "x", **{"ours": 1.0, "paper": 1.0, "truth": 1.0, "note": "n"} | given)


def test_agreement() -> None:
    assert row(paper=1.001, relative=1e-2).agrees is True
    assert row(paper=1.1, relative=1e-2).agrees is False
    assert row(paper=1.1, absolute=0.2).agrees is True
    assert row(paper=-1.0, relative=0.5).agrees is False
    assert row(paper=None).agrees is None
    assert row(ours=None).agrees is None
    assert row(paper=5.0, comparable=False).agrees is None
    assert row(paper="2 to 3", span=(2.0, 3.0), absolute=0.1).agrees is False
    assert row(paper="1 to 3", span=(1.05, 3.0), absolute=0.1).agrees is True
    assert row(ours="saddle", paper="optimum", truth="saddle").agrees is False
    assert row(ours="saddle", paper="saddle", truth="saddle").agrees is True
    assert row(paper=1.1, relative=1e-2).note == "n Tolerance against the paper: relative 0.01."


@pytest.mark.parametrize(
    "given",
    [
        {"ours": math.nan, "relative": 1.0},
        {"paper": math.inf, "relative": 1.0},
        {},  # numbers without a tolerance
        {"paper": "one", "relative": 1.0},
        {"ours": "one"},
    ],
)
def test_rows_that_cannot_be_compared(given) -> None:
    with pytest.raises(InputError):
        row(**given)


def test_show() -> None:
    assert [show(value) for value in (None, "saddle", 0.0, 1 / 3, -4.4e-16)] == ["–", "saddle", "0", "0.3333333333", "-4.4e-16"]


def test_table() -> None:
    table = mbi.claims_table([row(relative=1e-9), row(paper=2.0, relative=1e-9)])
    assert table.row_count == 2
