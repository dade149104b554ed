"""Equilibria that mechanisms induce: Bayes–Nash on sealed bids, Nash of finite games, learning, the revelation principle."""

from hurwicz.equilibria.bayes_nash import bayes_nash
from hurwicz.equilibria.certificate import Certificate, certify
from hurwicz.equilibria.collocation import Collocation
from hurwicz.equilibria.equilibrium import Equilibrium
from hurwicz.equilibria.finite_equilibria import nash_equilibria, welfare_ratios
from hurwicz.equilibria.first_price_odes import first_price_odes
from hurwicz.equilibria.games import FiniteGame, TabularGame, exploitability, gains
from hurwicz.equilibria.learning import FictitiousPlay, Hedge, RegretMatching
from hurwicz.equilibria.logit import LogitPath
from hurwicz.equilibria.monotone import BestResponse, EnvelopeIteration
from hurwicz.equilibria.monotone_games import monotone_game
from hurwicz.equilibria.protocol import Dynamics, drive
from hurwicz.equilibria.reports_on_a_grid import ReportEquilibrium, report_equilibrium
from hurwicz.equilibria.revelation import reveal
from hurwicz.equilibria.revelation_tables import reveal_table
from hurwicz.equilibria.sealed_bids import sealed_bid_game
from hurwicz.equilibria.sequential import SequentialEquilibrium, sequential_first_price
from hurwicz.equilibria.strategies import MixedStrategy, MonotoneStrategy
from hurwicz.equilibria.tabulation import tabulate

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
    "LogitPath",
    "MixedStrategy",
    "MonotoneStrategy",
    "RegretMatching",
    "ReportEquilibrium",
    "SequentialEquilibrium",
    "TabularGame",
    "bayes_nash",
    "certify",
    "drive",
    "exploitability",
    "first_price_odes",
    "gains",
    "monotone_game",
    "nash_equilibria",
    "report_equilibrium",
    "reveal",
    "reveal_table",
    "sealed_bid_game",
    "sequential_first_price",
    "tabulate",
    "welfare_ratios",
]
