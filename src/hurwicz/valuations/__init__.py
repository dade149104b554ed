"""What agents want: cost families C(x; theta), and values of bundles of goods."""

from hurwicz.valuations.bundles import (
    AtomicBid,
    BundleBids,
    additive,
    decreasing_marginals,
    or_bids,
    or_of_xor_bids,
    single_minded,
    unit_demand,
    xor_bids,
)
from hurwicz.valuations.family import CostFamily, CostFunction
from hurwicz.valuations.piecewise import PiecewiseLinear
from hurwicz.valuations.smooth import Polynomial, Power, Quadratic, ZeroCost

__all__ = [
    "AtomicBid",
    "BundleBids",
    "CostFamily",
    "CostFunction",
    "PiecewiseLinear",
    "Polynomial",
    "Power",
    "Quadratic",
    "ZeroCost",
    "additive",
    "decreasing_marginals",
    "or_bids",
    "or_of_xor_bids",
    "single_minded",
    "unit_demand",
    "xor_bids",
]
