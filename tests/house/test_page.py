"""The report page stands alone, escapes what it is given, and is well formed."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from hurwicz.reports import Page, number

VOID = {"meta", "link", "br", "img", "path", "rect", "use", "line", "circle", "polygon", "polyline"}


class _Balance(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.identifiers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.identifiers += [value for name, value in attrs if name == "id" and value]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def _page() -> Page:
    page = Page("Title", "subtitle").heading("Part one").text("a < b").figures({"loss": 1.5, "rounds": 5, "none": None})
    for _ in range(2):
        figure = Figure()
        axes = figure.add_subplot()
        axes.plot([1, 2, 3], [3, 1, 2], marker="o")
        figure.colorbar(axes.scatter([1, 2], [2, 3], c=[0.0, 1.0]))
        page.plot(figure, "caption")
    return page.table(["name", "value"], [["x", 1.0], ["y", None]], "a table").table(["v"], [["not_refuted"]], "hidden", folded=True)


def test_page_is_well_formed_and_fetches_nothing(tmp_path: Path) -> None:
    text = _page().write(tmp_path / "deep" / "report.html").read_text(encoding="utf-8")
    parser = _Balance()
    parser.feed(text)
    assert parser.open == []
    assert len(parser.identifiers) == len(set(parser.identifiers)), "two plots share an identifier"
    namespaces = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert set(re.findall(r"https?://[^\"'\s<>]+", text)) <= namespaces
    assert not re.search(r"<script|<link|<img|@import|url\((?!#)", text)
    references = re.findall(r'href="([^"]*)"', text) + re.findall(r"url\(([^)]*)\)", text)
    assert any(reference.startswith("data:image/png") for reference in references)
    for reference in references:
        assert reference.startswith("data:") or reference[1:] in parser.identifiers, f"{reference[:40]} leads nowhere"


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=40))
def test_whatever_is_written_is_escaped(text: str) -> None:
    html = Page(text).text(text).table([text], [[text]], text).figures({text: text}).html()
    body = html[html.index("<body>") :]
    tags = {"body", "h1", "p", "div", "b", "span", "table", "caption", "thead", "tr", "th", "tbody", "td", "html"}
    assert set(re.findall(r"<([a-z][a-z0-9]*)", body)) <= tags


@given(st.floats(-1e300, 1e300))
def test_number_is_within_half_a_unit_of_its_last_digit(value: float) -> None:
    shown = float(number(value, 6).replace(",", ""))
    assert abs(shown - value) <= 5e-4 * abs(value)


def test_numeric_columns_align_right_and_verdicts_are_marked() -> None:
    html = _page().html()
    assert '<td class="number">1</td>' in html
    assert '<td class=" not_refuted">not refuted</td>' in html
