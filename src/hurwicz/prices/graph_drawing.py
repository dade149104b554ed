"""Price graphs as pictures (SVG) and as text (Mermaid)."""

from __future__ import annotations

import io
import itertools
from dataclasses import dataclass

from hurwicz.prices.graph import Kind, PriceGraph

_COLOURS: dict[Kind, tuple[str, str]] = {
    "source": ("#eef2f6", "#607489"),
    "agent": ("#e3f1ea", "#2f7d5b"),
    "population": ("#d3eadf", "#2f7d5b"),
    "function": ("#ffffff", "#4a5560"),
    "loss": ("#fbe6e1", "#b5472f"),
    "equality": ("#fff4d6", "#a37b12"),
    "inequality": ("#fff4d6", "#a37b12"),
}
_MERMAID: dict[Kind, tuple[str, str]] = {
    "source": ("[/", "/]"),
    "agent": ("(", ")"),
    "population": ("[[", "]]"),
    "function": ("[", "]"),
    "loss": ("(((", ")))"),
    "equality": ("{{", "}}"),
    "inequality": ("{{", "}}"),
}


def _label(graph: PriceGraph, name: str) -> str:
    node = graph.nodes[name]
    if node.kind == "population":
        return f"{name} × {node.shape[0]:,}"
    if node.kind in ("equality", "inequality"):
        return f"{name} {'= 0' if node.kind == 'equality' else '≤ 0'}"
    return name


def mermaid(graph: PriceGraph) -> str:
    """The graph as Mermaid text, left to right; dotted arrows carry information to agents, and no price.

    Example:
        >>> print(mermaid(PriceGraph.from_loss(lambda x: x["a"] ** 2, {"a": ()})))
        flowchart LR
            n0("a")
            n1((("loss")))
            n0 --> n1
    """
    graph.network()
    keys = {name: f"n{index}" for index, name in enumerate(graph.nodes)}
    lines = ["flowchart LR"]
    for name, node in graph.nodes.items():
        left, right = _MERMAID[node.kind]
        text = _label(graph, name).replace('"', "#quot;")
        lines.append(f'    {keys[name]}{left}"{text}"{right}')
    for name, node in graph.nodes.items():
        arrow = "-.->" if node.kind in ("agent", "population") else "-->"
        lines.extend(f"    {keys[source]} {arrow} {keys[name]}" for source in node.inputs)
    return "\n".join(lines)


_ROW = 0.62  # inches between rows
_GUTTER = 0.75  # inches between columns


@dataclass(frozen=True)
class Drawing:
    """Where everything goes, in inches: ``at`` the middles of the boxes, ``widths`` theirs, ``routes`` the edges as corner points.

    A route is straight within a column and turns in the gutters only: no edge runs behind a box.
    """

    at: dict[str, tuple[float, float]]
    widths: dict[str, float]
    routes: dict[tuple[str, str], list[tuple[float, float]]]


def place(graph: PriceGraph) -> Drawing:
    """Layers by longest path to the loss, each ordered by the mean height of its neighbours; an edge over several layers has a row in each.

    Example:
        >>> drawing = place(PriceGraph.from_loss(lambda x: x["a"] ** 2, {"a": ()}))
        >>> len(drawing.routes["a", "loss"])
        4

    Source: K. Sugiyama, S. Tagawa and M. Toda, "Methods for Visual Understanding of Hierarchical System Structures", IEEE Transactions
    on Systems, Man, and Cybernetics 11(2), 1981.
    """
    import networkx as nx

    network = graph.network()
    depth = dict.fromkeys(graph.nodes, 0)
    for name in reversed(list(nx.topological_sort(network))):
        depth[name] = max((depth[target] + 1 for target in network.successors(name)), default=0)
    deepest = max(depth.values())
    layers: list[list[str | tuple[str, str, int]]] = [[] for _ in range(deepest + 1)]
    near: dict[str | tuple[str, str, int], list[str | tuple[str, str, int]]] = {name: [] for name in graph.nodes}
    for name in graph.nodes:
        layers[deepest - depth[name]].append(name)
    chains: dict[tuple[str, str], list[str | tuple[str, str, int]]] = {}
    for source, target in network.edges:
        passes: list[str | tuple[str, str, int]] = [
            (source, target, k) for k in range(deepest - depth[source] + 1, deepest - depth[target])
        ]
        chain = chains[source, target] = [source, *passes, target]
        for k, stop in enumerate(passes, start=1):
            layers[deepest - depth[source] + k].append(stop)
            near[stop] = []
        for before, after in itertools.pairwise(chain):
            near[before].append(after)
            near[after].append(before)
    height: dict[str | tuple[str, str, int], float] = {}
    for layer in layers:
        height.update({name: index - (len(layer) - 1) / 2 for index, name in enumerate(layer)})
    for sweep in range(6):
        for layer in layers if sweep % 2 else reversed(layers):
            layer.sort(key=lambda name: sum(height[other] for other in near[name]) / len(near[name]) if near[name] else height[name])
            height.update({name: index - (len(layer) - 1) / 2 for index, name in enumerate(layer)})
    widths = {name: max(0.62, 0.088 * len(_label(graph, name)) + 0.3) for name in graph.nodes}
    widest = max(widths.values())
    where = {name: ((widest + _GUTTER) * column, -_ROW * height[name]) for column, layer in enumerate(layers) for name in layer}
    routes = {}
    for (source, target), chain in chains.items():
        corners = [(where[source][0] + widths[source] / 2, where[source][1])]
        for before, after in itertools.pairwise(chain):
            corners.append((where[before][0] + widest / 2, where[before][1]))
            corners.append((where[after][0] - widest / 2, where[after][1]))
        routes[source, target] = [*corners, (where[target][0] - widths[target] / 2, where[target][1])]
    return Drawing({name: where[name] for name in graph.nodes}, widths, routes)


def svg(graph: PriceGraph) -> str:
    """The graph as one SVG element, without a document header, ready for a page.

    Example:
        >>> svg(PriceGraph.from_loss(lambda x: x["a"] ** 2, {"a": ()})).startswith("<svg")
        True
    """
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
    from matplotlib.path import Path

    drawing = place(graph)
    at, widths = drawing.at, drawing.widths
    stops = [*at.values(), *(corner for route in drawing.routes.values() for corner in route)]
    xs, ys = [x for x, _ in at.values()], [y for _, y in stops]
    edge = max(widths.values()) / 2 + 0.15
    figure = Figure(figsize=(max(xs) - min(xs) + 2 * edge, max(max(ys) - min(ys) + 0.8, 1.5)))
    FigureCanvasSVG(figure)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    for (_, target), route in drawing.routes.items():
        told = graph.nodes[target].kind in ("agent", "population")
        points, codes = [route[0]], [Path.MOVETO]
        for k, (x, y) in enumerate(route[1:]):
            x0, y0 = points[-1]
            if (x, y) == (x0, y0):
                continue  # an arrow cannot point along a stretch of no length
            if k % 2 and y != y0:  # in a gutter
                points += [((x0 + x) / 2, y0), ((x0 + x) / 2, y), (x, y)]
                codes += [Path.CURVE4] * 3
            else:
                points.append((x, y))
                codes.append(Path.LINETO)
        axes.add_patch(
            FancyArrowPatch(
                path=Path(points, codes),
                arrowstyle="-|>",
                mutation_scale=9,
                linewidth=1.0,
                color="#8a97a3",
                linestyle=(0, (3, 2)) if told else "solid",
                zorder=1,
            )
        )
    for name, (x, y) in at.items():
        kind = graph.nodes[name].kind
        fill, line = _COLOURS[kind]
        rounding = 0.17 if kind in ("agent", "population", "loss") else 0.04
        if kind == "population":
            box = FancyBboxPatch(
                (x - widths[name] / 2 + 0.05, y - 0.12), widths[name], 0.34, boxstyle=f"round,pad=0,rounding_size={rounding}"
            )
            box.set(facecolor=fill, edgecolor=line, linewidth=0.8, zorder=2)
            axes.add_patch(box)
        box = FancyBboxPatch((x - widths[name] / 2, y - 0.17), widths[name], 0.34, boxstyle=f"round,pad=0,rounding_size={rounding}")
        box.set(facecolor=fill, edgecolor=line, linewidth=1.6 if kind == "loss" else 1.0, zorder=3)
        axes.add_patch(box)
        axes.text(x, y, _label(graph, name), ha="center", va="center", fontsize=9, color="#1d2730", zorder=4)
    axes.set_xlim(min(xs) - edge, max(xs) + edge)
    axes.set_ylim(min(ys) - 0.4, max(ys) + 0.4)
    axes.set_aspect("equal")
    out = io.StringIO()
    import matplotlib as mpl

    # A fixed salt and no date: the same graph gives the same bytes.
    with mpl.rc_context({"svg.hashsalt": "hurwicz", "svg.fonttype": "none"}):
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    text = out.getvalue()
    return text[text.index("<svg") :]
