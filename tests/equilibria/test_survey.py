"""The survey of the library's equilibria: its rows against closed forms, its exit status."""

from __future__ import annotations

import pytest

from hurwicz._foundation import InputError
from hurwicz.equilibria.__main__ import main
from hurwicz.equilibria.survey import survey


def test_rows_are_what_is_known() -> None:
    rows = {row.name: row for row in survey(["first_price", "all_pay", "discriminatory"])}
    assert all(row.met and row.epsilon <= 1e-5 and row.seconds > 0.0 for row in rows.values())
    assert [rows[name].revenue for name in ("first_price", "all_pay")] == pytest.approx([1 / 3, 1 / 3], abs=1e-4)
    assert rows["discriminatory"].agents == 3  # two would not contest two units
    assert rows["discriminatory"].revenue == pytest.approx(0.5, abs=1e-4)  # k (n - k) / (n + 1) with k = 2, n = 3


@pytest.mark.parametrize("name", ["first_price", "all_pay", "discriminatory"])
def test_a_tender_is_its_auction_turned_round(name: str) -> None:
    auction, tender = survey([name, f"{name}_procurement"])
    assert tender.met
    # costs as values, mirrored about 1: each unit that is sold costs the buyer 1 less what the bidder would have paid
    units = 2 if name == "discriminatory" else 1
    assert tender.revenue == pytest.approx(auction.revenue - units, abs=1e-4)
    assert tender.epsilon == pytest.approx(auction.epsilon, abs=1e-9)


def test_what_is_not_met_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--survey", "first_price"]) == 0
    assert "1 of 1 within 0.0001" in capsys.readouterr().out
    assert main(["--survey", "all_pay", "--seconds", "1e-9"]) == 1
    assert "NOT MET" in capsys.readouterr().out


def test_only_mechanisms_of_one_number_each() -> None:
    with pytest.raises(InputError, match="single-parameter mechanisms"):
        next(survey(["groves"]))
    with pytest.raises(InputError, match="single-parameter mechanisms"):
        next(survey(["thirteenth_price"]))
