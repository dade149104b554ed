"""Draw the pictures of the README and the docs: ``python docs/pictures.py``."""

from __future__ import annotations

from pathlib import Path

from hurwicz.formats import packaged_case
from hurwicz.prices.dispatch import coordinate
from hurwicz.reports import figure_svg
from hurwicz.reports.grid import price_map

IMAGES = Path(__file__).parent / "images"


def main() -> None:
    """Write every picture; the same input gives the same file."""
    result = coordinate(packaged_case("case118_ieee"))
    (IMAGES / "case118.svg").write_text(figure_svg(price_map(result), salt="case118"), encoding="utf-8")


if __name__ == "__main__":
    main()
