"""Equilibria of mean-field games."""

from hurwicz.equilibria.mean_field.adaptive import AdaptiveMirrorDescent
from hurwicz.equilibria.mean_field.anderson import Anderson
from hurwicz.equilibria.mean_field.iterations import (
    DampedFixedPoint,
    FictitiousPlay,
    Iteration,
    OnlineMirrorDescent,
    PriorDescent,
    SoftmaxPolicyIteration,
)
from hurwicz.equilibria.mean_field.problem import MeanFieldEquilibrium, MeanFieldProblem
from hurwicz.equilibria.mean_field.solving import MeanFieldDynamics, default_iterations, solve_mean_field
from hurwicz.equilibria.mean_field.tuning import Trial, TunedIteration, tune

__all__ = [
    "AdaptiveMirrorDescent",
    "Anderson",
    "DampedFixedPoint",
    "FictitiousPlay",
    "Iteration",
    "MeanFieldDynamics",
    "MeanFieldEquilibrium",
    "MeanFieldProblem",
    "OnlineMirrorDescent",
    "PriorDescent",
    "SoftmaxPolicyIteration",
    "Trial",
    "TunedIteration",
    "default_iterations",
    "solve_mean_field",
    "tune",
]
