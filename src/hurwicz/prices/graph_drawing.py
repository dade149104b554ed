"""Price graphs as pictures (SVG) and as text (Mermaid)."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from hurwicz.prices.graph import Kind, PriceGraph

if TYPE_CHECKING:
    import networkx

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


def _layout(graph: PriceGraph, network: networkx.DiGraph) -> dict[str, tuple[float, float]]:
    """Layers by longest path to the loss, each ordered by the mean height of its neighbours (Sugiyama et al. 1981)."""
    import networkx as nx

    depth = dict.fromkeys(graph.nodes, 0)
    for name in reversed(list(nx.topological_sort(network))):
        depth[name] = max((depth[target] + 1 for target in network.successors(name)), default=0)
    deepest = max(depth.values())
    layers: list[list[str]] = [[] for _ in range(deepest + 1)]
    for name in graph.nodes:
        layers[deepest - depth[name]].append(name)
    height: dict[str, float] = {}
    for layer in layers:
        height.update({name: index - (len(layer) - 1) / 2 for index, name in enumerate(layer)})
    for sweep in range(6):
        for layer in layers if sweep % 2 else reversed(layers):
            near = {name: [height[other] for other in (*network.predecessors(name), *network.successors(name))] for name in layer}
            layer.sort(key=lambda name: sum(near[name]) / len(near[name]) if near[name] else height[name])
            height.update({name: index - (len(layer) - 1) / 2 for index, name in enumerate(layer)})
    return {name: (float(column), -height[name]) for column, layer in enumerate(layers) for name in layer}


def svg(graph: PriceGraph) -> str:
    """The graph as one SVG element, without a document header, ready for a page.

    Example:
        >>> svg(PriceGraph.from_loss(lambda x: x["a"] ** 2, {"a": ()})).startswith("<svg")
        True
    """
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

    network = graph.network()
    places = _layout(graph, network)
    columns = 1 + max(place[0] for place in places.values())
    rows = 1 + max(place[1] for place in places.values()) - min(place[1] for place in places.values())
    widths = {name: max(0.62, 0.088 * len(_label(graph, name)) + 0.3) for name in graph.nodes}
    pitch = max(widths.values()) + 0.75
    figure = Figure(figsize=(pitch * columns, max(0.62 * rows + 0.75, 1.5)))
    FigureCanvasSVG(figure)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    at = {name: (pitch * x, 0.62 * y) for name, (x, y) in places.items()}
    for source, target in network.edges:
        told = graph.nodes[target].kind in ("agent", "population")
        (x0, y0), (x1, y1) = at[source], at[target]
        start, end = (x0 + widths[source] / 2, y0), (x1 - widths[target] / 2, y1)
        axes.add_patch(
            FancyArrowPatch(
                start,
                end,
                arrowstyle="-|>",
                mutation_scale=9,
                linewidth=1.0,
                color="#8a97a3",
                linestyle=(0, (3, 2)) if told else "solid",
                connectionstyle="arc3,rad=0.0",
                shrinkA=1,
                shrinkB=1,
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
    xs, ys = [place[0] for place in at.values()], [place[1] for place in at.values()]
    edge = max(widths.values()) / 2 + 0.15
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
