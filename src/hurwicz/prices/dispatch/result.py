"""What a coordination of a grid gives back."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float64
from scipy.sparse.linalg import splu

from hurwicz._foundation import FloatArray, InputError, Status
from hurwicz.prices.dispatch.network import DcNetwork
from hurwicz.prices.dispatch.planner import Knowledge
from hurwicz.prices.dispatch.program import ProgramSolution


@dataclass(frozen=True)
class Violation:
    """How far a dispatch is from feasible, each the worst over the grid.

    Attributes:
        balance: p.u. of generation less demand, worst island.
        limits: p.u. of output outside [Pmin, Pmax].
        lines: p.u. of flow above the rating.
        angles: radians of angle difference outside its limits.
    """

    balance: float
    limits: float
    lines: float
    angles: float

    @property
    def worst(self) -> float:
        """The largest of the four."""
        return max(self.balance, self.limits, self.lines, self.angles)


def check_dispatch(network: DcNetwork, output: Float64[FloatArray, "units"]) -> tuple[Violation, Float64[FloatArray, "lines"]]:
    """Flows that outputs cause, and what they violate, from the bus susceptance matrix and nothing that a solver said.

    Args:
        network: the grid.
        output: MW of each unit.

    Returns:
        The violations, and the flow on each line in MW.

    Example:
        >>> import numpy as np
        >>> from hurwicz.formats import packaged_case
        >>> from hurwicz.prices.dispatch import dc_network
        >>> violation, flows = check_dispatch(dc_network(packaged_case("case14_ieee")), np.array([200.0, 50.0, 0.0, 0.0, 0.0]))
        >>> round(violation.balance, 6), flows.shape  # 250 MW for a load of 259 MW
        (0.09, (20,))
    """
    n, base = len(network.buses), network.base_mva
    injection = np.bincount(network.unit_bus, output, n) / base - network.withdrawal
    keep = np.ones(n, dtype=bool)
    keep[network.reference] = False
    theta = np.zeros(n)
    if keep.any():
        try:
            theta[keep] = splu(network.laplacian()[keep][:, keep].tocsc()).solve(injection[keep])
        except RuntimeError as error:
            raise InputError("branch: susceptances cancel, so flows are not determined; check the signs of the reactances") from error
    flow = network.flows(theta)
    limits = np.maximum(network.pmin - output, output - network.pmax).max(initial=0.0) / base
    over = (np.abs(flow) - network.rate).max(initial=0.0)
    difference = theta[network.line_from] - theta[network.line_to]
    angle = np.maximum(difference - network.angle_high, network.angle_low - difference).max(initial=0.0)
    balance = np.abs(np.bincount(network.island, injection)).max(initial=0.0)
    return Violation(float(balance), max(float(limits), 0.0), max(float(over), 0.0), max(float(angle), 0.0)), flow * base


@dataclass(frozen=True)
class DispatchResult:
    """A coordinated grid.

    Attributes:
        status: ``OPTIMUM`` where the answers confirm the plan, ``STEP_LIMIT`` where the rounds ran out first.
        objective: cost of the plan in $/h by the units' own cost tables, fixed costs included; the planner did not know it.
        reference: optimum found by an independent solver that knows every cost (None if not asked for).
        actions: generator → MW.
        prices: bus → $/MWh.
        price_rounds: broadcasts used.
        gap: bound on the excess cost relative to the money that changes hands, from the agents' answers alone.
        violation: how far from feasible, recomputed from the outputs.
        transfers: rule → generator → $/h that it receives.
        payments: the same with the sign turned: what it pays the mechanism.
        pivotal: generators without which demand cannot be met.
        flows: line → MW from its from-bus to its to-bus.
        binding: one row a line at its limit: line, flow and limit in MW, shadow price in $/MWh, what binds.
        revealed: generator → the points (MW, $/MWh) of its marginal cost that its answers gave away.
        rounds: one row a round.
        seconds: by phase.
        notes: what a reader should know.
        network, solution, knowledge: for explanations and further questions; not part of :meth:`to_dict`.
    """

    status: Status
    objective: float
    reference: float | None
    actions: dict[str, float]
    prices: dict[int, float]
    price_rounds: int
    gap: float
    violation: Violation
    transfers: dict[str, dict[str, float]]
    payments: dict[str, dict[str, float]]
    pivotal: tuple[str, ...]
    flows: dict[str, float]
    binding: list[dict[str, Any]]
    revealed: dict[str, list[tuple[float, float]]]
    rounds: list[dict[str, object]]
    seconds: dict[str, float]
    notes: tuple[str, ...]
    network: DcNetwork = field(repr=False)
    solution: ProgramSolution = field(repr=False)
    knowledge: Knowledge = field(repr=False)

    @property
    def max_violation(self) -> float:
        """The worst violation, p.u. (radians for angles)."""
        return self.violation.worst

    def to_dict(self) -> dict[str, Any]:
        """The result as plain data for JSON; a price that is not defined is None."""
        return {
            "status": self.status.value,
            "objective": self.objective,
            "reference": self.reference,
            "actions": self.actions,
            "prices": {str(bus): None if math.isnan(price) else price for bus, price in self.prices.items()},
            "price_rounds": self.price_rounds,
            "gap": self.gap,
            "max_violation": self.max_violation,
            "payments": self.payments,
            "transfers": self.transfers,
            "pivotal": list(self.pivotal),
            "flows": self.flows,
            "binding": self.binding,
            "revealed": {name: [list(point) for point in points] for name, points in self.revealed.items()},
            "rounds": self.rounds,
            "seconds": self.seconds,
            "notes": list(self.notes),
        }
