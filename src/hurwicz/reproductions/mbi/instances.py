"""The paper's instances and figures: parameters of its notebook, and what it prints where its own code disagrees with the truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray

PAPER = "S. Grassi, Mechanism-Based Intelligence (arXiv 2512.20688)"


@dataclass(frozen=True)
class Aggregate:
    """min (sum_i x_i - Y)² + sum_i lambda_i x_i²: the form of C.2 to C.4, C.6 to C.9 and C.13 to C.17.

    Attributes:
        curvature: lambda.
        target: Y.
    """

    curvature: Float64[FloatArray, "agents"]
    target: float

    @property
    def names(self) -> tuple[str, ...]:
        """Agents are numbered from 1, as in the paper."""
        return tuple(str(i + 1) for i in range(self.curvature.size))

    def optimum(self) -> Float64[FloatArray, "agents"]:
        """x* = Y / (lambda_i (1 + sum_j 1/lambda_j)), the closed form."""
        return np.asarray(self.target / (self.curvature * (1.0 + np.sum(1.0 / self.curvature))))

    def optimal_loss(self) -> float:
        """L* = Y² / (1 + sum_j 1/lambda_j)."""
        return float(self.target**2 / (1.0 + np.sum(1.0 / self.curvature)))

    def loss(self, x: Float64[FloatArray, "agents"]) -> float:
        """L at x."""
        return float((x.sum() - self.target) ** 2 + np.sum(self.curvature * x**2))

    def hessian_eigenvalues(self) -> Float64[FloatArray, "agents"]:
        """Eigenvalues of 2 (1 1ᵀ + diag lambda), ascending."""
        n = self.curvature.size
        return np.asarray(np.linalg.eigvalsh(2.0 * (np.ones((n, n)) + np.diag(self.curvature))))

    def step_limit(self) -> float:
        """Gradient responses converge for steps below 2 / (largest Hessian eigenvalue)."""
        return float(2.0 / self.hessian_eigenvalues()[-1])

    def with_type(self, agent: int, curvature: float) -> Aggregate:
        """The same problem with another lambda for one agent (counted from 0)."""
        changed = self.curvature.copy()
        changed[agent] = curvature
        return Aggregate(changed, self.target)


C2 = Aggregate(np.full(100, 0.1), 10.0)
C3 = Aggregate(np.array([0.1, 0.5, 1.0, 5.0, 10.0]), 10.0)
C4 = Aggregate(np.array([0.1, 0.5, 0.2, 0.4, 0.6]), 7.461)
C7 = Aggregate(np.full(100, 0.01), 10.0)
