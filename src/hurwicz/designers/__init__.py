"""Find a mechanism: by linear program over finitely many types, and by derivatives through the equilibrium that its rules induce."""

from hurwicz.designers.auction_baselines import best_posted_prices, best_reserve_schedule, first_price_schedule
from hurwicz.designers.derivative_free import annealing, zeroth_order
from hurwicz.designers.linear_program import optimal_mechanism
from hurwicz.designers.mean_field_adjoint import falling_entropy, meanfield_adjoint
from hurwicz.designers.mean_field_gradient import EquilibriumMap
from hurwicz.designers.mean_field_problem import DesignProblem, MeanFieldDesign, auction_problem, evaluate_design

__all__ = [
    "DesignProblem",
    "EquilibriumMap",
    "MeanFieldDesign",
    "annealing",
    "auction_problem",
    "best_posted_prices",
    "best_reserve_schedule",
    "evaluate_design",
    "falling_entropy",
    "first_price_schedule",
    "meanfield_adjoint",
    "optimal_mechanism",
    "zeroth_order",
]
