"""What agents want: cost families C(x; theta)."""

from hurwicz.valuations.family import CostFamily, CostFunction
from hurwicz.valuations.piecewise import PiecewiseLinear
from hurwicz.valuations.smooth import Polynomial, Power, Quadratic, ZeroCost

__all__ = ["CostFamily", "CostFunction", "PiecewiseLinear", "Polynomial", "Power", "Quadratic", "ZeroCost"]
