"""Coordinate self-interested agents by prices."""

from hurwicz.prices.agents import DeclaredAgent, PopulationAgent, SealedAgent, seal
from hurwicz.prices.dynamics import Accelerated, Anderson, Broyden, Dynamics, GradientResponse, Jacobi, PriceNewton, Proximal, SharingADMM
from hurwicz.prices.graph import PriceGraph
from hurwicz.prices.graph_loss import SystemLoss
from hurwicz.prices.offer import Offer, Respondent, Transcript
from hurwicz.prices.planner import Coordination, coordinate, total_loss
from hurwicz.prices.sets import ActionSet, Ball, Box, Projection, Simplex, WholeSpace
from hurwicz.prices.waist import Waist

__all__ = [
    "Accelerated",
    "ActionSet",
    "Anderson",
    "Ball",
    "Box",
    "Broyden",
    "Coordination",
    "DeclaredAgent",
    "Dynamics",
    "GradientResponse",
    "Jacobi",
    "Offer",
    "PopulationAgent",
    "PriceGraph",
    "PriceNewton",
    "Projection",
    "Proximal",
    "Respondent",
    "SealedAgent",
    "SharingADMM",
    "Simplex",
    "SystemLoss",
    "Transcript",
    "Waist",
    "WholeSpace",
    "coordinate",
    "seal",
    "total_loss",
]
