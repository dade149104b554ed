"""Mean-field games: populations so large that each player faces only their distribution."""

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
    exploitability,
    flow_of,
    greatest,
    policy_value,
    uniform_policy,
)
from hurwicz.meanfield.game import MeanFieldGame, from_transition

__all__ = [
    "CLASSIC_GAMES",
    "MeanFieldGame",
    "action_values",
    "best_response",
    "best_values",
    "crowd_modelling",
    "crowd_motion",
    "exploitability",
    "flow_of",
    "from_transition",
    "greatest",
    "left_right",
    "policy_value",
    "rock_paper_scissors",
    "susceptible_infected",
    "uniform_policy",
]
