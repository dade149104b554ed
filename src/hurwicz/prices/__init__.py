"""Coordinate self-interested agents by prices."""

from hurwicz.prices.agents import DeclaredAgent, PopulationAgent, SealedAgent, seal
from hurwicz.prices.black_box import BlackBoxAgent
from hurwicz.prices.convexity import certify_convex
from hurwicz.prices.curvature import SecondOrder
from hurwicz.prices.dynamics import Accelerated, Anderson, Broyden, Dynamics, GradientResponse, Jacobi, PriceNewton, Proximal, SharingADMM
from hurwicz.prices.explanation import Explanation, explain
from hurwicz.prices.graph import PriceGraph
from hurwicz.prices.graph_loss import SystemLoss
from hurwicz.prices.isolation import IsolatedAgents, isolate, replay
from hurwicz.prices.offer import Offer, Respondent, Transcript
from hurwicz.prices.planner import Coordination, coordinate, total_loss
from hurwicz.prices.satisficing import Satisficed, SatisficingAgent, satisfice
from hurwicz.prices.sets import ActionSet, Ball, Box, Projection, Simplex, WholeSpace
from hurwicz.prices.tracking import Tracker
from hurwicz.prices.waist import Waist

__all__ = [
    "Accelerated",
    "ActionSet",
    "Anderson",
    "Ball",
    "BlackBoxAgent",
    "Box",
    "Broyden",
    "Coordination",
    "DeclaredAgent",
    "Dynamics",
    "Explanation",
    "GradientResponse",
    "IsolatedAgents",
    "Jacobi",
    "Offer",
    "PopulationAgent",
    "PriceGraph",
    "PriceNewton",
    "Projection",
    "Proximal",
    "Respondent",
    "Satisficed",
    "SatisficingAgent",
    "SealedAgent",
    "SecondOrder",
    "SharingADMM",
    "Simplex",
    "SystemLoss",
    "Tracker",
    "Transcript",
    "Waist",
    "WholeSpace",
    "certify_convex",
    "coordinate",
    "explain",
    "isolate",
    "replay",
    "satisfice",
    "seal",
    "total_loss",
]
