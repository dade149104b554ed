"""Errors, results and array checks; depends on nothing above."""

from hurwicz._foundation.arrays import FloatArray, float64_array, float64_scope
from hurwicz._foundation.errors import (
    AgentError,
    DivergedError,
    FormatError,
    GraphError,
    HurwiczError,
    InfeasibleError,
    InputError,
    MissingExtraError,
    NotConvergedError,
    NotFiniteError,
    ScenarioError,
    ShapeError,
    SolverError,
)
from hurwicz._foundation.solution import Solution, Status

__all__ = [
    "AgentError",
    "DivergedError",
    "FloatArray",
    "FormatError",
    "GraphError",
    "HurwiczError",
    "InfeasibleError",
    "InputError",
    "MissingExtraError",
    "NotConvergedError",
    "NotFiniteError",
    "ScenarioError",
    "ShapeError",
    "Solution",
    "SolverError",
    "Status",
    "float64_array",
    "float64_scope",
]
