"""Small line plots for the page, without pyplot and its global state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int64, Shaped
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_POINTS = 600  # a curve of 1e5 rounds would make the page megabytes


@dataclass(frozen=True)
class Line:
    """One curve: its label, its points, and a matplotlib style."""

    label: str
    x: Sequence[float | int] | Shaped[NDArray[Any], "points"]
    y: Sequence[float | int] | Shaped[NDArray[Any], "points"]
    style: str = "-"


def lines(
    curves: Sequence[Line],
    *,
    xlabel: str,
    ylabel: str,
    log: str = "",
    levels: Sequence[tuple[float, str]] = (),
    ylim: tuple[float, float] | None = None,
) -> Figure:
    """A figure of curves; ``log`` names the logarithmic axes (``"x"``, ``"y"``, ``"xy"``); ``levels`` are dotted horizontals."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.4), layout="constrained")
    axes: Any = figure.add_subplot()
    for curve in curves:
        x, y = np.asarray(curve.x, np.float64), np.asarray(curve.y, np.float64)
        kept = _thinned(x.size, "x" in log)
        axes.plot(x[kept], y[kept], curve.style, label=curve.label, linewidth=1.4, markersize=4)
    for value, label in levels:
        axes.axhline(value, color="0.4", linestyle=":", linewidth=1.0, label=label)
    if "x" in log:
        axes.set_xscale("log")
    if "y" in log:
        axes.set_yscale("log")
    if ylim is not None:
        axes.set_ylim(*ylim)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    return figure


def _thinned(size: int, logarithmic: bool) -> Int64[NDArray[np.int64], "kept"]:
    if size <= _MOST_POINTS:
        return np.arange(size)
    spaced = np.geomspace(1, size, _MOST_POINTS) - 1 if logarithmic else np.linspace(0, size - 1, _MOST_POINTS)
    return np.unique(np.round(spaced).astype(np.int64))
