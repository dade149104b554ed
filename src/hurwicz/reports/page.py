"""One self-contained HTML page: text, tables and plots, no script, no font and no image fetched from anywhere."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Template
    from matplotlib.figure import Figure

_VERDICTS = ("proved", "refuted", "not_refuted", "not_applicable")


@cache
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("hurwicz.reports", package_path="")
    return Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, loader=loader).get_template("page.html.jinja")


def number(value: float, digits: int = 6) -> str:
    """A number for a person: ``digits`` significant digits, thousands apart, no exponent where none is needed.

    Example:
        >>> number(93100.729926, 9), number(1.5e-12), number(0.0)
        ('93,100.7299', '1.5e-12', '0')
    """
    if value == 0:
        return "0"
    if not 1e-4 <= abs(value) < 1e15:
        return f"{value:.{min(digits, 4)}g}"
    return f"{value:,.{digits}g}" if abs(value) < 10**digits else f"{value:,.0f}"


def cell_text(value: Any) -> str:
    """A table cell for a person: numbers by :func:`number`, a dash for nothing, yes and no."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return number(value)
    if isinstance(value, int):
        return f"{value:,}"
    return str(value)


@dataclass
class Page:
    """A report built part by part and written as one file.

    Args:
        title: the page's heading and window title.
        subtitle: one line under it.

    Example:
        >>> page = Page("Prices of the day").text("One line.").table(["bus", "$/MWh"], [["bus 1", 24.6]])
        >>> '<td class="number">24.6</td>' in page.html()
        True
    """

    title: str
    subtitle: str = ""
    parts: list[dict[str, Any]] = field(default_factory=list)

    def heading(self, text: str) -> Page:
        """Start a section."""
        anchor = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
        return self._add("heading", text=text, anchor=anchor)

    def text(self, text: str) -> Page:
        """Add a paragraph."""
        return self._add("text", text=text)

    def story(self, title: str, text: str, verdict: str = "") -> Page:
        """Add a framed paragraph under its own title, in the colour of ``verdict``."""
        return self._add("story", title=title, text=text, verdict=verdict)

    def figures(self, entries: Mapping[str, Any]) -> Page:
        """Add a row of headline figures, name → value."""
        return self._add("figures", entries={name: cell_text(value) for name, value in entries.items()})

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[Any]], caption: str = "", *, folded: bool = False) -> Page:
        """Add a table; numbers align right, ``None`` shows as a dash, ``folded`` hides it behind its caption."""
        numeric = [
            any(isinstance(row[k], (int, float)) and not isinstance(row[k], bool) for row in rows)
            and all(row[k] is None or isinstance(row[k], (int, float)) for row in rows)
            for k in range(len(columns))
        ]
        cells = [[cell_text(cell) for cell in row] for row in rows]
        return self._add(
            "table",
            columns=list(columns),
            rows=cells,
            caption=caption,
            numeric=numeric,
            verdicts=_VERDICTS,
            folded=folded and bool(caption),
        )

    def plot(self, figure: Figure | str | Callable[[], Figure], caption: str = "") -> Page:
        """Add a matplotlib figure (or what draws one, when the page is written), or SVG text that the library itself has drawn."""
        salt = f"part-{len(self.parts)}"
        if isinstance(figure, str):
            return self._add("svg", svg=figure, caption=caption)
        if callable(figure):
            return self._add("svg", svg=lambda: figure_svg(figure(), salt=salt), caption=caption)
        return self._add("svg", svg=figure_svg(figure, salt=salt), caption=caption)

    def html(self) -> str:
        """The page as text."""
        for part in self.parts:
            if callable(part.get("svg")):
                part["svg"] = part["svg"]()
        return _template().render(page=self)

    def write(self, path: Path) -> Path:
        """Write the page to ``path`` (its folder is made if need be) and return the path."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.html(), encoding="utf-8")
        return path

    def _add(self, kind: str, **content: Any) -> Page:
        self.parts.append({"kind": kind} | content)
        return self


def figure_svg(figure: Figure, *, salt: str = "hurwicz") -> str:
    """A matplotlib figure as inline SVG text; ``salt`` keeps the identifiers of two figures on one page apart."""
    import matplotlib as mpl

    text = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": salt, "svg.fonttype": "none"}):
        figure.savefig(text, format="svg", bbox_inches="tight", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    svg = text.getvalue()
    # Matplotlib numbers its groups afresh in every file, but one page may hold several.
    return re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{salt}-", svg[svg.index("<svg") :])
