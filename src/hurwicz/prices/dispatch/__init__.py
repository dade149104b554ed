"""Power dispatch: generators as private agents, coordinated by prices on a DC network."""

from hurwicz.prices.dispatch.agents import Generator, generators
from hurwicz.prices.dispatch.coordination import coordinate
from hurwicz.prices.dispatch.direct import DispatchMechanism, DispatchModel
from hurwicz.prices.dispatch.explanation import explain_price
from hurwicz.prices.dispatch.network import DcNetwork, dc_network
from hurwicz.prices.dispatch.payments import RULES
from hurwicz.prices.dispatch.planner import Plan, learn_and_plan
from hurwicz.prices.dispatch.reference import ReferenceOptimum, reference_optimum
from hurwicz.prices.dispatch.result import DispatchResult, Violation, check_dispatch

__all__ = [
    "RULES",
    "DcNetwork",
    "DispatchMechanism",
    "DispatchModel",
    "DispatchResult",
    "Generator",
    "Plan",
    "ReferenceOptimum",
    "Violation",
    "check_dispatch",
    "coordinate",
    "dc_network",
    "explain_price",
    "generators",
    "learn_and_plan",
    "reference_optimum",
]
