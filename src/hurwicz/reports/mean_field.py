"""Plots of a designed mean-field game: how the rules were learned, what people then do, what is collected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK, _SOFT, _GOOD, _BAD = "#1d2430", "#c3cbd6", "#1a7f4b", "#b3261e"
_COLOURS = ("#33658a", "#f6ae2d", "#758e4f", "#a06cd5", "#86bbd8", "#b3261e")
_PANELS = 6  # beyond, rounds are picked evenly


def learning_plot(
    histories: Mapping[str, Float64[FloatArray, " ..."]],
    levels: Mapping[str, float],
    *,
    ylabel: str = "objective",
    best: np.ufunc = np.maximum,
) -> Figure:
    """The objective against the steps of the designer, with what it is compared with as horizontals.

    Args:
        histories: label (of a seed, say) → objective by step.
        levels: name → objective of another rule.
        ylabel: what the objective is.
        best: ``np.maximum`` where more is better, ``np.minimum`` where less is.
    """
    axes = _axes(6.4, 3.4)
    for k, (label, history) in enumerate(histories.items()):
        colour = _COLOURS[0] if len(histories) == 1 else _COLOURS[k % len(_COLOURS)]
        axes.plot(np.arange(1, len(history) + 1), history, color=colour, lw=0.7, alpha=0.45)
        axes.plot(np.arange(1, len(history) + 1), best.accumulate(history), color=colour, lw=1.8, label=f"{label}, best so far")
    for k, (name, level) in enumerate(levels.items()):
        axes.axhline(level, color=_INK, lw=0.9, ls=("--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)))[k % 4], label=f"{name}: {level:.4f}")
    axes.set_xlabel("step of the designer")
    axes.set_ylabel(ylabel)
    axes.legend(frameon=False, fontsize="small")
    return axes.figure  # type: ignore[return-value]


def mean_bids_plot(
    values: Float64[FloatArray, " values"],
    curves: Mapping[str, Float64[FloatArray, "rounds values"]],
) -> Figure:
    """Mean bid against value, round by round, one curve for each rule; the truth is dashed. NaN where nobody has the value.

    Args:
        values: of the bidders.
        curves: rule → mean bid of every value in every round.
    """
    rounds = next(iter(curves.values())).shape[0]
    shown = picked(rounds)
    figure, panels = _panels(len(shown))
    for axes, h in zip(panels, shown, strict=False):
        axes.plot(values, values, color=_SOFT, lw=1.1, ls="--", label="truth")
        for k, (name, bids) in enumerate(curves.items()):
            axes.plot(values, bids[h], color=_COLOURS[k % len(_COLOURS)], lw=1.6, label=name)
        axes.set_title(f"round {h + 1}", fontsize="small")
        axes.set_xlabel("value")
    panels[0].set_ylabel("mean bid")
    panels[0].legend(frameon=False, fontsize="x-small")
    return figure


def payment_plot(
    bids: Float64[FloatArray, " bids"], prices: Float64[FloatArray, "rounds bids"], chances: Float64[FloatArray, "rounds bids"]
) -> Figure:
    """What a winner pays for each bid (left axis), and the chance to win with it (shaded), round by round.

    Args:
        bids: the grid.
        prices: p_h(a).
        chances: p_win,h(a), at the equilibrium.
    """
    shown = picked(prices.shape[0])
    figure, panels = _panels(len(shown))
    for axes, h in zip(panels, shown, strict=False):
        axes.plot(bids, bids, color=_SOFT, lw=1.1, ls="--", label="the bid itself")
        axes.plot(bids, prices[h], color=_COLOURS[0], lw=1.8, label="payment")
        chance = axes.twinx()
        chance.fill_between(bids, chances[h], color=_COLOURS[1], alpha=0.25, lw=0)
        chance.set_ylim(0.0, 1.02)
        chance.set_yticks([0.0, 1.0] if axes is panels[-1] else [])
        if axes is panels[-1]:
            chance.set_ylabel("chance to win (shaded)", fontsize="small")
        axes.set_title(f"round {h + 1}", fontsize="small")
        axes.set_xlabel("bid")
    panels[0].set_ylabel("payment of a winner")
    panels[0].legend(frameon=False, fontsize="x-small")
    return figure


def bars_plot(figures: Mapping[str, float], *, xlabel: str, ceiling: float | None = None, marked: Sequence[str] = ()) -> Figure:
    """One horizontal bar for each rule, the ceiling as a line.

    Args:
        figures: rule → figure.
        xlabel: what the figure is.
        ceiling: what no rule can pass, where it is known.
        marked: the rules to draw in the colour of the learned ones.
    """
    axes = _axes(6.4, 0.5 + 0.42 * len(figures))
    axes.grid(visible=False)
    names = list(figures)[::-1]
    places = range(len(names))
    axes.barh(places, [figures[name] for name in names], color=[_COLOURS[0] if name in marked else _SOFT for name in names], height=0.62)
    for place, name in zip(places, names, strict=True):
        axes.annotate(
            f"{figures[name]:.4f}", (figures[name], place), xytext=(4, 0), textcoords="offset points", va="center", fontsize="small"
        )
    if ceiling is not None:
        axes.axvline(ceiling, color=_GOOD, lw=1.4, label=f"ceiling: {ceiling:g}")
        axes.legend(frameon=False, fontsize="small", loc="upper center", bbox_to_anchor=(0.5, 1.3))
    axes.set_yticks(list(places), names)
    axes.set_xlim(0.0, 1.16 * max([*figures.values(), ceiling or 0.0, 1e-12]))
    axes.set_xlabel(xlabel)
    return axes.figure  # type: ignore[return-value]


def rounds_plot(series: Mapping[str, Float64[FloatArray, " rounds"]], *, ylabel: str) -> Figure:
    """A figure a round (what is sold, say), one line for each rule.

    Args:
        series: rule → figure of each round.
        ylabel: what the figure is.
    """
    axes = _axes(6.4, 3.0)
    for k, (name, row) in enumerate(series.items()):
        mark = "o-" if len(row) <= 20 else "-"
        axes.plot(np.arange(1, len(row) + 1), row, mark, color=_COLOURS[k % len(_COLOURS)], lw=1.5, ms=4, label=name)
    axes.set_ylim(bottom=0.0)
    axes.set_xlabel("round")
    axes.set_ylabel(ylabel)
    if len(next(iter(series.values()))) <= 20:
        axes.set_xticks(range(1, len(next(iter(series.values()))) + 1))
    axes.legend(frameon=False, fontsize="small")
    return axes.figure  # type: ignore[return-value]


def crowd_plot(before: Float64[FloatArray, "rounds spots"], after: Float64[FloatArray, "rounds spots"], *, bar: int) -> Figure:
    """Where people are, round by round, before and after: darker is more crowded, the bar is marked.

    Args:
        before: shares of the population by round and spot.
        after: the same under the prices.
        bar: its spot.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 3.2), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    most = float(max(before.max(), after.max()))
    for axes, shares, title in zip(panels, (before, after), ("without a toll", "with the toll"), strict=True):
        image = axes.imshow(shares, aspect="auto", cmap="Blues", vmin=0.0, vmax=most, origin="lower")
        axes.axvline(bar, color=_BAD, lw=0.9, ls=":")
        axes.set_title(title, fontsize="small")
        axes.set_xlabel("spot (dotted: the bar)")
    panels[0].set_ylabel("round")
    figure.colorbar(image, ax=list(panels), label="share of the people")
    return figure


def toll_plot(prices: Float64[FloatArray, " spots"], *, bar: int, most: float) -> Figure:
    """The toll of every spot.

    Args:
        prices: toll by spot.
        bar: its spot.
        most: the greatest toll allowed.
    """
    axes = _axes(6.4, 2.8)
    axes.bar(range(len(prices)), prices, color=_COLOURS[0])
    axes.axvline(bar, color=_BAD, lw=0.9, ls=":", label="the bar")
    axes.axhline(most, color=_INK, lw=0.9, ls="--", label=f"the greatest allowed: {most:g}")
    axes.set_xlabel("spot")
    axes.set_ylabel("toll")
    axes.legend(frameon=False, fontsize="small")
    return axes.figure  # type: ignore[return-value]


def picked(rounds: int) -> list[int]:
    """The rounds that a row of panels shows: all of them, or six evenly spread with the first and the last.

    Example:
        >>> picked(4), picked(100)
        ([0, 1, 2, 3], [0, 20, 40, 59, 79, 99])
    """
    if rounds <= _PANELS:
        return list(range(rounds))
    return [round(k * (rounds - 1) / (_PANELS - 1)) for k in range(_PANELS)]


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    from matplotlib.figure import Figure

    columns = min(count, 3) if count > 4 else count
    figure = Figure(figsize=(max(2.9 * columns, 4.0), 2.8 * -(-count // columns)), layout="constrained")
    grid = np.atleast_1d(figure.subplots(-(-count // columns), columns, sharex=True, sharey=True)).ravel()
    for axes in grid:
        _styled(axes)
    for axes in grid[count:]:
        axes.set_axis_off()
    return figure, list(grid)


def _axes(width: float, height: float) -> Axes:
    from matplotlib.figure import Figure

    return _styled(Figure(figsize=(width, height), layout="constrained").add_subplot())


def _styled(axes: Axes) -> Axes:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#eceff3", lw=0.8)
    axes.set_axisbelow(True)
    return axes
