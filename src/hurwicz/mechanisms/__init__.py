"""The mechanisms of the field: rules from reports to an outcome and payments."""

from hurwicz.mechanisms.cost_sharing import marginal_cost_sharing, moulin_shapley, serial_cost_sharing, serial_shares, shapley_shares
from hurwicz.mechanisms.divisible import (
    KellyEquilibrium,
    proportional_share,
    proportional_share_equilibrium,
    vcg_kelly,
    vcg_kelly_equilibrium,
)
from hurwicz.mechanisms.multi_parameter import MultiParameterMechanism
from hurwicz.mechanisms.public_good import expected_externality_public_good, pivotal_public_good
from hurwicz.mechanisms.registry import Entry, make, registry
from hurwicz.mechanisms.second_best import SecondBest, myerson_satterthwaite, second_best_trade
from hurwicz.mechanisms.single_parameter import SingleParameterMechanism, check_reports, single_parameter
from hurwicz.mechanisms.social_choice import clarke_pivot, expected_externality, groves
from hurwicz.mechanisms.trade import (
    LinearEquilibrium,
    chatterjee_samuelson,
    k_double_auction,
    mcafee,
    posted_price_trade,
    trade_reduction,
    vcg_double_auction,
)

__all__ = [
    "Entry",
    "KellyEquilibrium",
    "LinearEquilibrium",
    "MultiParameterMechanism",
    "SecondBest",
    "SingleParameterMechanism",
    "chatterjee_samuelson",
    "check_reports",
    "clarke_pivot",
    "expected_externality",
    "expected_externality_public_good",
    "groves",
    "k_double_auction",
    "make",
    "marginal_cost_sharing",
    "mcafee",
    "moulin_shapley",
    "myerson_satterthwaite",
    "pivotal_public_good",
    "posted_price_trade",
    "proportional_share",
    "proportional_share_equilibrium",
    "registry",
    "second_best_trade",
    "serial_cost_sharing",
    "serial_shares",
    "shapley_shares",
    "single_parameter",
    "trade_reduction",
    "vcg_double_auction",
    "vcg_kelly",
    "vcg_kelly_equilibrium",
]
