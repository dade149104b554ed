"""Mean-field games: populations so large that each player faces only their distribution."""

from hurwicz.meanfield.auction_settings import AUCTION_SETTINGS, Setting, auction_setting
from hurwicz.meanfield.auction_simulation import Auctioned, simulate_auction
from hurwicz.meanfield.auctions import BatchedAuction, InMarket, Market, Sale, SellingRule, winning_probability
from hurwicz.meanfield.beach_bar import beach_bar, softmax_congestion, spot_prices
from hurwicz.meanfield.bidders import constant_absolute_risk, gaussian_drift, geometric_values, hyperbolic_discount
from hurwicz.meanfield.ceilings import ceiling
from hurwicz.meanfield.classic_games import (
    CLASSIC_GAMES,
    crowd_modelling,
    crowd_motion,
    left_right,
    rock_paper_scissors,
    susceptible_infected,
)
from hurwicz.meanfield.copies import copies_of, side_by_side
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
from hurwicz.meanfield.networks import NetworkRule
from hurwicz.meanfield.selling_rules import (
    FirstPrice,
    PostedPrice,
    ReservePrice,
    TableRule,
    first_price_head,
    posted_price_head,
    reserve_head,
    rising_prices,
    static_head,
)
from hurwicz.meanfield.simulation import Simulated, simulate

__all__ = [
    "AUCTION_SETTINGS",
    "CLASSIC_GAMES",
    "Auctioned",
    "BatchedAuction",
    "FirstPrice",
    "InMarket",
    "Market",
    "MeanFieldGame",
    "NetworkRule",
    "PostedPrice",
    "ReservePrice",
    "Sale",
    "SellingRule",
    "Setting",
    "Simulated",
    "TableRule",
    "action_values",
    "auction_setting",
    "beach_bar",
    "best_response",
    "best_values",
    "ceiling",
    "constant_absolute_risk",
    "copies_of",
    "crowd_modelling",
    "crowd_motion",
    "entropy",
    "exploitability",
    "first_price_head",
    "flow_of",
    "from_transition",
    "gaussian_drift",
    "geometric_values",
    "greatest",
    "hyperbolic_discount",
    "left_right",
    "policy_value",
    "posted_price_head",
    "records_of",
    "reserve_head",
    "rising_prices",
    "rock_paper_scissors",
    "side_by_side",
    "simulate",
    "simulate_auction",
    "softmax_congestion",
    "spot_prices",
    "static_head",
    "susceptible_infected",
    "uniform_policy",
    "winning_probability",
]
