"""Plots of a coordinated grid: where prices part, how fast the rounds close the gap, who is paid what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hurwicz.prices.dispatch import DispatchResult

MAP_BUSES = 400
"""Beyond this many buses a drawing of the network is a ball of wool; the prices are shown in order instead."""

_INK, _SOFT, _ACCENT = "#1d2430", "#c3cbd6", "#b3261e"
_COLOURS = ("#33658a", "#86bbd8", "#f6ae2d", "#758e4f", "#a06cd5")


def price_map(result: DispatchResult) -> Figure:
    """The grid with every bus in the colour of its price, generators by output, lines at their limit in red.

    Args:
        result: a coordinated grid.

    Returns:
        A matplotlib figure; for more than :data:`MAP_BUSES` buses, the prices in order instead of the network.
    """
    axes = _axes(8.4, 5.4 if len(result.prices) <= MAP_BUSES else 3.2)
    if len(result.prices) > MAP_BUSES:
        values = np.sort(np.array(list(result.prices.values()), dtype=np.float64))
        axes.plot(np.linspace(0, 100, len(values)), values, color=_COLOURS[0])
        axes.set_xlabel("share of buses, %")
        axes.set_ylabel("price, $/MWh")
        return axes.figure  # type: ignore[return-value]
    return _network_figure(axes, result)


def _network_figure(axes: Axes, result: DispatchResult) -> Figure:
    import networkx as nx
    from matplotlib.collections import LineCollection

    net = result.network
    buses = net.buses.tolist()
    graph = nx.Graph()
    graph.add_nodes_from(range(len(buses)))
    graph.add_edges_from(zip(net.line_from.tolist(), net.line_to.tolist(), strict=True))
    place = nx.kamada_kawai_layout(graph)
    where = np.array([place[k] for k in range(len(buses))])
    binding = {row["line"] for row in result.binding}
    ends = [(where[f], where[t]) for f, t in zip(net.line_from, net.line_to, strict=True)]
    tight = np.array([net.line_name(k) in binding for k in range(len(ends))], dtype=bool)
    axes.add_collection(LineCollection([ends[k] for k in np.flatnonzero(~tight)], colors=_SOFT, linewidths=0.9, zorder=1))
    axes.add_collection(
        LineCollection([ends[k] for k in np.flatnonzero(tight)], colors=_ACCENT, linewidths=3, zorder=2, label="line at its limit")
    )
    price = np.array([result.prices[bus] for bus in buses])
    dots = axes.scatter(where[:, 0], where[:, 1], c=price, s=26, cmap="viridis", zorder=3, edgecolors=_INK, linewidths=0.3)
    output = np.array([result.actions[name] for name in net.units])
    at = np.bincount(net.unit_bus, np.maximum(output, 0.0), len(buses))
    running = at > 1e-6 * max(float(at.max(initial=0.0)), 1e-300)
    axes.scatter(
        where[running, 0],
        where[running, 1],
        s=30 + 520 * at[running] / max(float(at.max(initial=0.0)), 1e-300),
        facecolors="none",
        edgecolors=_INK,
        linewidths=1.1,
        zorder=4,
        label="generation (area: MW)",
    )
    axes.figure.colorbar(dots, ax=axes, label="price, $/MWh", shrink=0.85)
    axes.legend(loc="lower left", frameon=False, fontsize="small")
    axes.set_axis_off()
    axes.autoscale_view()
    return axes.figure  # type: ignore[return-value]


def rounds_plot(rounds: Sequence[Mapping[str, object]]) -> Figure:
    """The bound on the excess cost against the price rounds, on a logarithmic scale.

    Args:
        rounds: rows with ``round`` and ``gap`` (``None`` while the planner only asks).
    """
    axes = _axes(6.4, 2.8)
    known = [(int(str(row["round"])), float(str(row["gap"]))) for row in rounds if row["gap"] is not None]
    asking = [int(str(row["round"])) for row in rounds if row["gap"] is None]
    if known:
        turn, gap = zip(*known, strict=True)
        axes.semilogy(turn, np.maximum(gap, 1e-17), marker="o", color=_COLOURS[0])
    for turn_asked in asking:
        axes.axvspan(turn_asked - 0.5, turn_asked + 0.5, color="#eef1f5", lw=0)
    axes.set_xlim(0.5, len(rounds) + 0.5)
    axes.set_xticks(range(1, len(rounds) + 1))
    axes.set_xlabel("price round (shaded: the planner asks for marginal costs)")
    axes.set_ylabel("excess cost, at most\n(share of the money)")
    return axes.figure  # type: ignore[return-value]


def payments_plot(transfers: Mapping[str, Mapping[str, float]], costs: Mapping[str, float], *, most: int = 12) -> Figure:
    """What each generator receives under each rule, beside its cost, for those that receive most.

    Args:
        transfers: rule → generator → $/h received.
        costs: generator → $/h that its output costs it.
        most: how many generators to show.
    """
    ranked = sorted(costs, key=lambda name: -max((abs(row[name]) for row in transfers.values()), default=0.0))[:most]
    axes = _axes(8.4, 3.6)
    series = {"its own cost": costs} | {rule.replace("_", " "): row for rule, row in transfers.items()}
    width = 0.8 / len(series)
    for k, (label, row) in enumerate(series.items()):
        colour = _SOFT if k == 0 else _COLOURS[(k - 1) % len(_COLOURS)]
        axes.bar(
            np.arange(len(ranked)) + (k - (len(series) - 1) / 2) * width, [row[name] for name in ranked], width, label=label, color=colour
        )
    axes.set_xticks(range(len(ranked)), ranked, rotation=35, ha="right", fontsize="small")
    # Payments under lost load are hundreds of times the others: linear up to a typical cost, logarithmic beyond.
    typical = float(np.median([abs(costs[name]) for name in ranked])) if ranked else 1.0
    axes.set_yscale("symlog", linthresh=10.0 ** np.ceil(np.log10(max(typical, 1.0))), linscale=2.0)
    axes.set_ylabel("$/h received")
    axes.legend(frameon=False, fontsize="small", ncols=len(series), loc="upper center", bbox_to_anchor=(0.5, 1.16))
    return axes.figure  # type: ignore[return-value]


def _axes(width: float, height: float) -> Axes:
    from matplotlib.figure import Figure

    axes = Figure(figsize=(width, height), layout="constrained").add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#eceff3", lw=0.8)
    axes.set_axisbelow(True)
    return axes
