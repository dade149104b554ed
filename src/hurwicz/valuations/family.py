"""What a cost family is: C(x; theta), its derivatives, and a best response in closed form where there is one."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray

# A cost is written once for numpy (an agent's answer, no compilation) and for JAX (certificates, derivatives).
AnyArray = Any
CostFunction = Callable[[AnyArray, AnyArray], AnyArray]


def namespace(*values: AnyArray) -> Any:
    """``jax.numpy`` if any value is a JAX array or tracer, else ``numpy``.

    Example:
        >>> namespace(1.0, np.ones(2)).__name__
        'numpy'
    """
    for value in values:
        if type(value).__module__.startswith("jax"):
            import jax.numpy as jnp

            return jnp
    return np


class CostFamily(abc.ABC):
    """A separable cost C(x; theta) = sum_k c(x_k; theta_k), known up to the type theta.

    Every method takes one member (``x`` of the action's shape) or a whole population (leading axis ``agents``), elementwise.
    """

    @abc.abstractmethod
    def term(self, x: AnyArray, theta: AnyArray) -> AnyArray:
        """c(x; theta), elementwise."""

    @abc.abstractmethod
    def gradient(self, x: AnyArray, theta: AnyArray) -> AnyArray:
        """dc/dx, elementwise."""

    @abc.abstractmethod
    def curvature(self, x: AnyArray, theta: AnyArray) -> AnyArray:
        """d²c/dx², elementwise."""

    @abc.abstractmethod
    def check(self, theta: AnyArray, owner: str) -> None:
        """Raise ``InputError`` where ``theta`` cannot be a type of this family; ``owner`` is named in the message."""

    def interval_response(
        self, price: AnyArray, weight: AnyArray, anchor: AnyArray, theta: AnyArray, lower: AnyArray, upper: AnyArray
    ) -> Float64[FloatArray, "..."] | None:
        """Formula: argmin over [lower, upper] of c(x; theta) - price x + weight/2 (x - anchor)², elementwise; ``None``: no closed form."""
        del price, weight, anchor, theta, lower, upper
        return None

    def spread(self, theta: AnyArray, ndim: int) -> AnyArray:
        """``theta`` with one entry a member, given trailing axes so that it broadcasts over actions with ``ndim`` axes in all."""
        missing = ndim - np.ndim(theta)
        return theta if missing <= 0 or np.ndim(theta) == 0 else np.reshape(theta, np.shape(theta) + (1,) * missing)

    def __call__(self, x: AnyArray, theta: AnyArray) -> AnyArray:
        """C(x; theta), a scalar."""
        return self.term(x, theta).sum()
