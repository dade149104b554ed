"""Why a generator is paid its price: the price at its bus, taken apart."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray, InputError
from hurwicz.prices.dispatch.network import DcNetwork
from hurwicz.prices.dispatch.program import NetworkProgram, ProgramSolution
from hurwicz.prices.dispatch.reduced import ReducedProgram
from hurwicz.prices.dispatch.result import DispatchResult

_BINDS = 1e-6  # of the largest price: shadow prices below are rounding


def _setting_line(net: DcNetwork, program: NetworkProgram, pair: int, shadow: float) -> tuple[int, str]:
    """The line that sets the limit which a shadow price belongs to, and what of it binds."""
    upper = (shadow > 0) == (program.beta[pair] > 0)
    line = int(net.pair_high_line[pair] if upper else net.pair_low_line[pair])
    b = net.susceptance[line]
    reach = np.inf if b == 0 else net.rate[line] / abs(b)
    limit = net.pair_high[pair] if upper else net.pair_low[pair]
    own = net.pair_sign[line] * limit - net.shift[line]
    return line, "rating" if np.isclose(abs(own), reach, rtol=1e-9, atol=0) else "angle difference"


def _significant(solution: ProgramSolution) -> list[int]:
    top = float(np.nanmax(np.abs(solution.price), initial=0.0))
    return [int(pair) for pair in np.flatnonzero(np.abs(solution.pair_flow_price) > _BINDS * max(top, 1e-300))]


def binding_lines(net: DcNetwork, solution: ProgramSolution, flows: Float64[FloatArray, "lines"]) -> list[dict[str, Any]]:
    """One row a limit that has a price: line, what binds, flow and rating in MW, and the shadow price in $/MWh per MW, largest first."""
    program = NetworkProgram(net)
    rows = []
    for pair in _significant(solution):
        line, what = _setting_line(net, program, pair, float(solution.pair_flow_price[pair]))
        rating = float(net.rate[line] * net.base_mva)
        rows.append(
            {
                "line": net.line_name(line),
                "binds": what,
                "flow": float(flows[line]),
                "rating": rating if np.isfinite(rating) else None,
                "shadow_price": float(abs(solution.pair_flow_price[pair])),
            }
        )
    return sorted(rows, key=lambda row: -row["shadow_price"])


def explain_price(result: DispatchResult, generator: str, *, reference_bus: int | None = None) -> list[dict[str, Any]]:
    """The price of a generator as energy plus congestion: LMP = lambda_ref - sum over binding lines of PTDF x shadow price.

    One more MW at the generator's bus saves a MW at the reference bus (energy), and moves the flow on each binding line by its shift
    factor, each
    worth that line's shadow price. What neither explains (an angle limit on a jumper, rounding) is a row of its own, so the rows sum to
    the price.

    Args:
        result: a coordinated grid.
        generator: its name in ``result.actions``.
        reference_bus: number of the bus that energy is priced at; the first bus of the generator's island if omitted.

    Returns:
        Rows with ``part``, ``what``, ``shift_factor``, ``shadow_price`` ($/MWh) and ``contribution`` ($/MWh); the last is the price itself.

    Raises:
        InputError: no such generator or bus, or a bus of another island.

    Example:
        >>> from hurwicz.formats import packaged_case
        >>> from hurwicz.prices.dispatch import coordinate
        >>> rows = explain_price(coordinate(packaged_case("case118_ieee")), "gen 5 @ bus 10")
        >>> abs(sum(row["contribution"] for row in rows[:-1]) - rows[-1]["contribution"]) < 1e-9
        True
    """
    net, solution = result.network, result.solution
    if generator not in net.units:
        raise InputError(f"generator: expected one of the units in service (such as {net.units[0]!r}), got {generator!r}")
    bus = int(net.unit_bus[net.units.index(generator)])
    island = net.island[bus]
    ref = int(net.reference[island])
    if reference_bus is not None:
        at = np.flatnonzero(net.buses == reference_bus)
        if not len(at) or net.island[at[0]] != island:
            raise InputError(f"reference_bus: expected a bus connected to {generator}, got {reference_bus}")
        ref = int(at[0])
    program = NetworkProgram(net)
    pairs = _significant(solution)
    factors = ReducedProgram(program).shift_factors(pairs) if pairs else np.zeros((0, len(net.buses)))
    rows: list[dict[str, Any]] = []
    energy, price = float(solution.price[ref]), float(solution.price[bus])
    rows.append({"part": "energy", "what": f"bus {net.buses[ref]}", "shift_factor": None, "shadow_price": energy, "contribution": energy})
    left = price - energy
    for k, pair in enumerate(pairs):
        shadow = float(solution.pair_flow_price[pair])
        factor = float(factors[k, bus] - factors[k, ref])
        line, what = _setting_line(net, program, pair, shadow)
        share = -factor * shadow
        left -= share
        rows.append(
            {
                "part": "congestion",
                "what": f"{net.line_name(line)} ({what})",
                "shift_factor": factor,
                "shadow_price": shadow,
                "contribution": share,
            }
        )
    rows[1:] = sorted(rows[1:], key=lambda row: -abs(row["contribution"]))
    rows.append(
        {"part": "rest", "what": "rounding and limits on jumpers", "shift_factor": None, "shadow_price": None, "contribution": left}
    )
    rows.append({"part": "price", "what": f"bus {net.buses[bus]}", "shift_factor": None, "shadow_price": None, "contribution": price})
    return rows
