"""Mean-field games: populations so large that each player faces only their distribution."""

from hurwicz.meanfield.auctions import BatchedAuction, Sale, SellingRule, winning_probability
from hurwicz.meanfield.classic_games import (
    CLASSIC_GAMES,
    crowd_modelling,
    crowd_motion,
    left_right,
    rock_paper_scissors,
    susceptible_infected,
)
from hurwicz.meanfield.evaluation import (
    action_values,
    best_response,
    best_values,
    entropy,
    exploitability,
    flow_of,
    greatest,
    policy_value,
    records_of,
    uniform_policy,
)
from hurwicz.meanfield.game import MeanFieldGame, from_transition
from hurwicz.meanfield.selling_rules import FirstPrice, PostedPrice, ReservePrice, TableRule, rising_prices
from hurwicz.meanfield.simulation import Simulated, simulate

__all__ = [
    "CLASSIC_GAMES",
    "BatchedAuction",
    "FirstPrice",
    "MeanFieldGame",
    "PostedPrice",
    "ReservePrice",
    "Sale",
    "SellingRule",
    "Simulated",
    "TableRule",
    "action_values",
    "best_response",
    "best_values",
    "crowd_modelling",
    "crowd_motion",
    "entropy",
    "exploitability",
    "flow_of",
    "from_transition",
    "greatest",
    "left_right",
    "policy_value",
    "records_of",
    "rising_prices",
    "rock_paper_scissors",
    "simulate",
    "susceptible_infected",
    "uniform_policy",
    "winning_probability",
]
