"""Tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hurwicz.reports.page import cell_text

if TYPE_CHECKING:
    from rich.table import Table


def text_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    """Rows as a rich table: numbers to the right, cells as in the report.

    Example:
        >>> text_table("t", ["name", "value"], [["x", 1.5], ["y", None]]).row_count
        2
    """
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", show_header=any(columns))
    for k, column in enumerate(columns):
        values = [row[k] for row in rows if row[k] is not None]
        numeric = bool(values) and all(isinstance(value, int | float) for value in values)
        table.add_column(column, justify="right" if numeric else "left")
    for row in rows:
        table.add_row(*(Text(cell_text(value)) for value in row))
    return table
