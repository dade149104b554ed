"""docs/paper.md: its table is the command's own."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from hurwicz._foundation import InputError
from hurwicz.reproductions import mbi
from hurwicz.reproductions.mbi import markdown

PAGE = Path(__file__).resolve().parents[2] / "docs" / "paper.md"


def test_fill_and_fill_again(tmp_path) -> None:
    rows = mbi.reproduce(only=["C.3"], out=tmp_path)
    page = tmp_path / "page.md"
    page.write_text(f"before\n\n{markdown.START}\nold\n{markdown.END}\nafter\n")
    assert markdown.main([str(tmp_path / "claims.json"), str(page)]) == 0
    once = page.read_text()
    assert "old" not in once
    assert once.startswith("before")
    assert once.endswith("after\n")
    assert all(row.note in once for row in rows)
    assert "| C.3 | loss | 6.993006993 | 6.993006993 | 6.993006993 | yes |" in once
    assert markdown.main([str(tmp_path / "claims.json"), str(page)]) == 0
    assert page.read_text() == once
    assert json.loads((tmp_path / "claims.json").read_text())[0]["id"] == "C.3"


def test_usage_and_markers(capsys) -> None:
    assert markdown.main([]) == 2
    assert "usage" in capsys.readouterr().err
    with pytest.raises(InputError, match="markers"):
        markdown.fill("no markers", [], "")


def test_page_shows_what_the_command_gives() -> None:
    page = PAGE.read_text()
    assert set(re.findall(r"^\| (C\.\d+) \|", page, re.MULTILINE)) == set(mbi.claims())
    rows = mbi.reproduce(only=["C.8", "C.17"])
    shown = {tuple(cell.strip() for cell in line.strip("|").split("|")) for line in page.splitlines() if line.startswith("| C.")}
    for row in rows:
        line = next(cells for cells in shown if cells[:2] == (row.id, row.claim))
        assert line[3:] == tuple(cell.strip() for cell in markdown.table([row]).splitlines()[-1].strip("|").split("|"))[3:]
