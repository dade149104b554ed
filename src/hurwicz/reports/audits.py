"""Plots of an audit: what every report of a liar would have earned it, and how bidders bid at an equilibrium."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK, _SOFT, _GOOD, _BAD = "#1d2430", "#c3cbd6", "#1a7f4b", "#b3261e"
_COLOURS = ("#33658a", "#f6ae2d", "#758e4f", "#a06cd5", "#86bbd8", "#b3261e")


def lie_plot(reports: Sequence[float], utilities: Sequence[float], *, true_type: float, misreport: float, agent: str) -> Figure:
    """One agent's utility at every report that it could make, the others' reports held, truth and lie marked.

    Args:
        reports: of the agent, in order.
        utilities: of the agent at its true type, one for each report.
        true_type: what it is.
        misreport: what it says.
        agent: its name.
    """
    axes = _axes(6.4, 2.9)
    axes.plot(reports, utilities, color=_COLOURS[0], lw=1.6)
    for where, colour, label in ((true_type, _GOOD, "truth"), (misreport, _BAD, "lie")):
        height = min(zip(reports, utilities, strict=True), key=lambda point: abs(point[0] - where))[1]
        axes.plot([where], [height], "o", color=colour, ms=7, label=f"{label}: {where:.4g}")
        axes.axvline(where, color=colour, lw=0.8, ls=":")
    axes.set_xlabel(f"what {agent} reports")
    axes.set_ylabel("its utility")
    axes.legend(frameon=False, fontsize="small")
    return axes.figure  # type: ignore[return-value]


def bids_plot(curves: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> Figure:
    """Bids against values at an equilibrium, with the truth as a dashed line.

    Args:
        curves: agent (or "everybody") → its values and its bids at them.
    """
    axes = _axes(6.4, 3.6)
    ends = [end for values, _ in curves.values() for end in (min(values), max(values))]
    axes.plot([min(ends), max(ends)], [min(ends), max(ends)], color=_SOFT, lw=1.2, ls="--", label="truth")
    for k, (name, (values, bids)) in enumerate(curves.items()):
        axes.plot(values, bids, color=_COLOURS[k % len(_COLOURS)], lw=1.8, label=name)
    axes.set_xlabel("value")
    axes.set_ylabel("bid")
    axes.legend(frameon=False, fontsize="small")
    return axes.figure  # type: ignore[return-value]


def _axes(width: float, height: float) -> Axes:
    from matplotlib.figure import Figure

    axes = Figure(figsize=(width, height), layout="constrained").add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#eceff3", lw=0.8)
    axes.set_axisbelow(True)
    return axes
