"""Find a mechanism: derivatives through the equilibrium that its rules induce."""

from hurwicz.designers.mean_field_adjoint import meanfield_adjoint
from hurwicz.designers.mean_field_gradient import EquilibriumMap
from hurwicz.designers.mean_field_problem import DesignProblem, MeanFieldDesign, auction_problem, evaluate_design

__all__ = ["DesignProblem", "EquilibriumMap", "MeanFieldDesign", "auction_problem", "evaluate_design", "meanfield_adjoint"]
