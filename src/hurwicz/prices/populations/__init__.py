"""Populations of any size that meet the planner through one aggregate: responses, price Newton, dynamics, Clarke payments."""

from hurwicz.prices.populations.arrays import ArrayPopulation
from hurwicz.prices.populations.chunked import ChunkedPopulation, TypeGenerator
from hurwicz.prices.populations.clarke import clarke_transfers
from hurwicz.prices.populations.dynamics import METHODS, Method, Play, population_dynamics
from hurwicz.prices.populations.generated import GeneratedPopulation, UniformTypes
from hurwicz.prices.populations.losses import AggregateLoss, QuadraticLoss, ShiftedLoss, SmoothLoss
from hurwicz.prices.populations.newton import Clearing, Population, price_newton
from hurwicz.prices.populations.sharded import ShardedPopulation

__all__ = [
    "METHODS",
    "AggregateLoss",
    "ArrayPopulation",
    "ChunkedPopulation",
    "Clearing",
    "GeneratedPopulation",
    "Method",
    "Play",
    "Population",
    "QuadraticLoss",
    "ShardedPopulation",
    "ShiftedLoss",
    "SmoothLoss",
    "TypeGenerator",
    "UniformTypes",
    "clarke_transfers",
    "population_dynamics",
    "price_newton",
]
