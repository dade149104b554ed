"""Self-contained pages, tables and plots of a run."""

from hurwicz.reports.page import Page, figure_svg, number

__all__ = ["Page", "figure_svg", "number"]
