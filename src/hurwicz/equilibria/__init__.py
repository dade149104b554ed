"""Equilibria that mechanisms induce: Bayes–Nash on sealed bids, Nash of finite games, learning, the revelation principle."""

from hurwicz.equilibria.certificate import Certificate, certify
from hurwicz.equilibria.collocation import Collocation
from hurwicz.equilibria.equilibrium import Equilibrium, bayes_nash
from hurwicz.equilibria.games import FiniteGame, TabularGame, exploitability, gains
from hurwicz.equilibria.learning import FictitiousPlay, Hedge, RegretMatching, cce_gap
from hurwicz.equilibria.monotone import BestResponse, EnvelopeIteration, monotone_game
from hurwicz.equilibria.protocol import Dynamics, drive
from hurwicz.equilibria.sealed_bids import sealed_bid_game
from hurwicz.equilibria.strategies import MixedStrategy, MonotoneStrategy

__all__ = [
    "BestResponse",
    "Certificate",
    "Collocation",
    "Dynamics",
    "EnvelopeIteration",
    "Equilibrium",
    "FictitiousPlay",
    "FiniteGame",
    "Hedge",
    "MixedStrategy",
    "MonotoneStrategy",
    "RegretMatching",
    "TabularGame",
    "bayes_nash",
    "cce_gap",
    "certify",
    "drive",
    "exploitability",
    "gains",
    "monotone_game",
    "sealed_bid_game",
]
