"""What every response dynamics is: init, step, terminate, result; one driver loop (the planner's) runs them all."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
import scipy.sparse.linalg
from jaxtyping import Float64

from hurwicz._foundation import FloatArray
from hurwicz.prices.exchange import Exchange, Iterate

_NARROW = 64


@runtime_checkable
class Dynamics(Protocol):
    """A rule from answers to the next offers."""

    @property
    def title(self) -> str:
        """What the field calls it."""
        ...

    @property
    def memoryless(self) -> bool:
        """True where the next actions depend on the last alone: a repeated point then repeats for ever."""
        ...

    def init(self, exchange: Exchange, start: Float64[FloatArray, "dims"]) -> Iterate:
        """The first iterate; may look at the loss, may ask the agents."""
        ...

    def step(self, exchange: Exchange, iterate: Iterate) -> Iterate:
        """The next iterate, from one or more rounds."""
        ...

    def terminate(self, iterate: Iterate, tol: float) -> bool:
        """True where the residual is small enough."""
        ...

    def result(self, iterate: Iterate) -> Float64[FloatArray, "dims"]:
        """The actions to report."""
        ...


class Rule:
    """``terminate`` and ``result`` as all dynamics here have them; ``memoryless`` where the next actions depend on the last alone."""

    memoryless = False

    def terminate(self, iterate: Iterate, tol: float) -> bool:
        """Residual within the tolerance."""
        return iterate.residual <= tol

    def result(self, iterate: Iterate) -> Float64[FloatArray, "dims"]:
        """The last actions."""
        return iterate.x


def relative(change: Float64[FloatArray, "dims"], x: Float64[FloatArray, "dims"]) -> float:
    """Largest entry of ``change`` over 1 + the largest of ``x``."""
    return float(np.max(np.abs(change), initial=0.0) / (1.0 + np.max(np.abs(x), initial=0.0)))


def coupling(exchange: Exchange) -> float:
    """How many coordinates meet in a row of the aggregate, at most (and at least 1): the price of one is moved by all of them."""
    return float(np.max((exchange.aggregate()[0] != 0).sum(axis=1), initial=1))


def proximal_weight(exchange: Exchange, x: Float64[FloatArray, "dims"]) -> float:
    """A weight of proximal rounds that need not grow where S bends as at ``x``."""
    return max(1.001 * steepest_curvature(exchange, x), 1e-9)


def exceeds_model(
    reached: float, value: float, price: Float64[FloatArray, "dims"], gap: Float64[FloatArray, "dims"], weight: float
) -> bool:
    """Whether S, ``reached`` after a step ``gap``, is above its quadratic model value - price · gap + weight/2 |gap|², beyond rounding."""
    return bool(reached > value - price @ gap + 0.5 * weight * (gap @ gap) + 1e-12 * (1.0 + abs(value)))


def steepest_curvature(exchange: Exchange, x: Float64[FloatArray, "dims"]) -> float:
    """Largest |eigenvalue| of the system loss's Hessian at ``x``.

    With a narrow waist S(x) = f(A x + b) exactly, Aᵀ F A having the eigenvalues of Gᵀ F G for G Gᵀ = A Aᵀ, and zeros; else by
    Lanczos on Hessian–vector products. A Ritz value never exceeds the eigenvalue that it approaches; 1e-6 relative is asked for.
    """
    n = x.size
    waist = exchange.loss.waist
    if waist is not None and waist.dimension <= _NARROW:
        matrix, offset = waist.at(exchange.terms)
        squares, turns = np.linalg.eigh(matrix @ matrix.T)
        root = turns * np.sqrt(np.maximum(squares, 0.0))
        bend = root.T @ waist.hessian(matrix @ x + offset, exchange.terms) @ root
        return float(np.max(np.abs(np.linalg.eigvalsh(0.5 * (bend + bend.T)))))
    if n <= 3:
        matrix = np.column_stack([exchange.bend(x, column) for column in np.eye(n)])
        return float(np.max(np.abs(np.linalg.eigvalsh(0.5 * (matrix + matrix.T)))))
    operator = scipy.sparse.linalg.LinearOperator((n, n), matvec=lambda v: exchange.bend(x, np.asarray(v).ravel()), dtype=np.float64)
    start = np.random.default_rng(0).standard_normal(n)
    if not np.any(operator.matvec(start)):
        return 0.0
    try:
        return float(abs(scipy.sparse.linalg.eigsh(operator, k=1, which="LM", v0=start, tol=1e-6, return_eigenvectors=False)[0]))
    except scipy.sparse.linalg.ArpackNoConvergence as error:
        if len(error.eigenvalues):
            return float(abs(error.eigenvalues[0]))
        return float(np.linalg.norm(operator.matvec(start)) / np.linalg.norm(start))
