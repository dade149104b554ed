"""The mechanisms of the field: rules from reports to an outcome and payments."""

from hurwicz.mechanisms.budgets import budget_feasible, proportional_winners, shared_budget
from hurwicz.mechanisms.clock_auctions import (
    ClockRound,
    ClockRun,
    ClockState,
    clock_prices,
    dutch_clock,
    english_clock,
    run_dutch_clock,
    run_english_clock,
)
from hurwicz.mechanisms.combinatorial import (
    combinatorial_affine_maximiser,
    combinatorial_pay_as_bid,
    combinatorial_procurement,
    combinatorial_vcg,
    core_selecting_auction,
)
from hurwicz.mechanisms.contracting import TaskMechanism, contract_net, lowest_ask_paid_on_pass, task_mechanism, verified_vcg
from hurwicz.mechanisms.cost_sharing import marginal_cost_sharing, moulin_shapley, serial_cost_sharing, serial_shares, shapley_shares
from hurwicz.mechanisms.critical_payments import CriticalRule
from hurwicz.mechanisms.divisible import (
    KellyEquilibrium,
    proportional_share,
    proportional_share_equilibrium,
    vcg_kelly,
    vcg_kelly_equilibrium,
)
from hurwicz.mechanisms.ironing import VirtualValues, virtual_costs, virtual_values
from hurwicz.mechanisms.lotteries import lottery_over
from hurwicz.mechanisms.menus import menu
from hurwicz.mechanisms.multi_parameter import MultiParameterMechanism
from hurwicz.mechanisms.multi_unit import multi_unit_discriminatory, multi_unit_uniform_price, multi_unit_vickrey
from hurwicz.mechanisms.optimal import optimal_auction, optimal_procurement, optimal_procurement_gain, optimal_revenue
from hurwicz.mechanisms.position import generalized_second_price, position_vcg
from hurwicz.mechanisms.posted_prices import optimal_posted_prices, posted_price, posted_price_procurement
from hurwicz.mechanisms.procurement import first_price_procurement, second_price_procurement
from hurwicz.mechanisms.public_good import expected_externality_public_good, pivotal_public_good
from hurwicz.mechanisms.registry import Entry, make, registry
from hurwicz.mechanisms.reversal import reverse
from hurwicz.mechanisms.reverse_auctions import (
    all_pay_procurement,
    ascending_clock_procurement,
    descending_clock_procurement,
    discriminatory_procurement,
    multi_unit_discriminatory_procurement,
    multi_unit_uniform_price_procurement,
    multi_unit_vickrey_procurement,
    uniform_price_procurement,
)
from hurwicz.mechanisms.scheduling import biased_assignment, biased_min_work, expected_biased_makespan, least_makespan, makespan, min_work
from hurwicz.mechanisms.second_best import SecondBest, myerson_satterthwaite, second_best_trade
from hurwicz.mechanisms.several_units import discriminatory, uniform_price
from hurwicz.mechanisms.single_item import all_pay, first_price, second_price, third_price
from hurwicz.mechanisms.single_parameter import SingleParameterMechanism, check_reports, single_parameter
from hurwicz.mechanisms.social_choice import clarke_pivot, expected_externality, groves
from hurwicz.mechanisms.task_procurement import assignment_procurement, assignment_vcg, scored_second_price, vickrey_tasks
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
    "ClockRound",
    "ClockRun",
    "ClockState",
    "CriticalRule",
    "Entry",
    "KellyEquilibrium",
    "LinearEquilibrium",
    "MultiParameterMechanism",
    "SecondBest",
    "SingleParameterMechanism",
    "TaskMechanism",
    "VirtualValues",
    "all_pay",
    "all_pay_procurement",
    "ascending_clock_procurement",
    "assignment_procurement",
    "assignment_vcg",
    "biased_assignment",
    "biased_min_work",
    "budget_feasible",
    "chatterjee_samuelson",
    "check_reports",
    "clarke_pivot",
    "clock_prices",
    "combinatorial_affine_maximiser",
    "combinatorial_pay_as_bid",
    "combinatorial_procurement",
    "combinatorial_vcg",
    "contract_net",
    "core_selecting_auction",
    "descending_clock_procurement",
    "discriminatory",
    "discriminatory_procurement",
    "dutch_clock",
    "english_clock",
    "expected_biased_makespan",
    "expected_externality",
    "expected_externality_public_good",
    "first_price",
    "first_price_procurement",
    "generalized_second_price",
    "groves",
    "k_double_auction",
    "least_makespan",
    "lottery_over",
    "lowest_ask_paid_on_pass",
    "make",
    "makespan",
    "marginal_cost_sharing",
    "mcafee",
    "menu",
    "min_work",
    "moulin_shapley",
    "multi_unit_discriminatory",
    "multi_unit_discriminatory_procurement",
    "multi_unit_uniform_price",
    "multi_unit_uniform_price_procurement",
    "multi_unit_vickrey",
    "multi_unit_vickrey_procurement",
    "myerson_satterthwaite",
    "optimal_auction",
    "optimal_posted_prices",
    "optimal_procurement",
    "optimal_procurement_gain",
    "optimal_revenue",
    "pivotal_public_good",
    "position_vcg",
    "posted_price",
    "posted_price_procurement",
    "posted_price_trade",
    "proportional_share",
    "proportional_share_equilibrium",
    "proportional_winners",
    "registry",
    "reverse",
    "run_dutch_clock",
    "run_english_clock",
    "scored_second_price",
    "second_best_trade",
    "second_price",
    "second_price_procurement",
    "serial_cost_sharing",
    "serial_shares",
    "shapley_shares",
    "shared_budget",
    "single_parameter",
    "task_mechanism",
    "third_price",
    "trade_reduction",
    "uniform_price",
    "uniform_price_procurement",
    "vcg_double_auction",
    "vcg_kelly",
    "vcg_kelly_equilibrium",
    "verified_vcg",
    "vickrey_tasks",
    "virtual_costs",
    "virtual_values",
]
