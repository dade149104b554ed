"""The field's iterations for mean-field equilibria, each a pure JAX map of its iterate."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hurwicz._foundation import InputError
from hurwicz.meanfield import MeanFieldGame, best_response, flow_of, uniform_policy
from hurwicz.meanfield.evaluation import soft_action_values

Table: TypeAlias = Float[Array, "horizon states actions"]
Iterate: TypeAlias = Any  # a table, or what an acceleration keeps besides
Count: TypeAlias = Any  # how many steps were taken: an integer, or JAX's tracer of one
Weight: TypeAlias = Any  # tau, or a rate: a number, or JAX's tracer of one


class Iteration(abc.ABC):
    """x <- step(x, t): a map with the equilibrium among its fixed points."""

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """What the field calls it, with its parameters."""

    @abc.abstractmethod
    def init(self, game: MeanFieldGame) -> Iterate:
        """Where it starts."""

    @abc.abstractmethod
    def step(self, game: MeanFieldGame, iterate: Iterate, t: Count, theta: Any, tau: Weight) -> Iterate:
        """One iteration; ``t`` counts from 0."""

    @abc.abstractmethod
    def policy(self, game: MeanFieldGame, iterate: Iterate) -> Table:
        """The policy that an iterate stands for."""

    def known(self, iterate: Iterate) -> Float[Array, ""] | None:
        """The exploitability of that policy where the iterate holds it, infinite before the first step; None: the solver computes it."""
        del iterate
        return None


class _OnLogits(Iteration):
    """Iterates are logits, from zero; the policy is their softmax."""

    def init(self, game: MeanFieldGame) -> Iterate:
        """All actions alike."""
        return jnp.zeros(game.shape)

    def policy(self, game: MeanFieldGame, iterate: Iterate) -> Table:
        """softmax(zeta) over the legal actions."""
        return jax.nn.softmax(game.masked(iterate), axis=-1)


class _OnPolicies(Iteration):
    """Iterates are policies, from the uniform one."""

    def init(self, game: MeanFieldGame) -> Iterate:
        """The uniform policy."""
        return uniform_policy(game)

    def policy(self, game: MeanFieldGame, iterate: Iterate) -> Table:
        """The iterate itself."""
        del game
        table: Table = iterate
        return table


def _centred(logits: Table) -> Table:
    # a constant added to a state's logits changes nothing; without this they drift
    return logits - logits.mean(axis=-1, keepdims=True)


def mirror_step(game: MeanFieldGame, logits: Table, theta: Any, tau: Weight, rate: Weight, unroll: int = 1) -> Table:
    """One step of :class:`OnlineMirrorDescent`, whose rate may be traced."""
    q = soft_action_values(game, logits, theta, tau, unroll)
    return _centred((1.0 - rate * tau) * logits + rate * q)


@dataclass(frozen=True)
class OnlineMirrorDescent(_OnLogits):
    """zeta <- (1 - eta tau) zeta + eta q^tau(. | flow(pi), pi), pi = softmax(zeta), from zeta = 0.

    At tau > 0 the fixed point is zeta = q^tau / tau, and eta tau must not exceed 1.

    Args:
        rate: eta, above 0.
        unroll: rounds of the game that compiled loops take at once: faster to run and slower to compile, above all its derivative.

    Raises:
        InputError: a rate that is not above 0, or no round at once.

    Example:
        >>> OnlineMirrorDescent(0.5).name
        'online mirror descent (rate 0.5)'

    Source: Perolat et al. (AAMAS 2022), algorithm 1; with entropy: Corecco et al. (arXiv 2510.21442), section 4.
    """

    rate: float = 1.0
    unroll: int = 1

    def __post_init__(self) -> None:
        """Refuse a rate that has no meaning."""
        if not self.rate > 0.0 or self.unroll < 1:
            raise InputError(f"online mirror descent: expected a rate > 0 and unroll >= 1, got {self.rate} and {self.unroll}")

    @property
    def name(self) -> str:
        """With its rate."""
        return f"online mirror descent (rate {self.rate:g})"

    def step(self, game: MeanFieldGame, iterate: Iterate, t: Count, theta: Any, tau: Weight) -> Iterate:
        """Logits a step along the action values."""
        del t
        return mirror_step(game, iterate, theta, tau, self.rate, self.unroll)


@dataclass(frozen=True)
class FictitiousPlay(_OnPolicies):
    """L <- L + (flow(best response to L) - L) / (t + 2): the population is the average of the best responses so far.

    Example:
        >>> FictitiousPlay().name
        'fictitious play'

    Source: Perrin et al., "Fictitious play for mean field games" (NeurIPS 2020).
    """

    @property
    def name(self) -> str:
        """It has no parameter."""
        return "fictitious play"

    def step(self, game: MeanFieldGame, iterate: Iterate, t: Count, theta: Any, tau: Weight) -> Iterate:
        """Average in the best response, weighted by where each policy's players are."""
        now = flow_of(game, iterate, theta)
        reply = flow_of(game, best_response(game, now, theta, tau), theta)
        mixed = now + (reply - now) / (t + 2.0)
        total = mixed.sum(axis=-1, keepdims=True)
        return jnp.where(total > 0.0, mixed / jnp.where(total > 0.0, total, 1.0), iterate)


@dataclass(frozen=True)
class DampedFixedPoint(_OnPolicies):
    """pi <- pi + d (best response to flow(pi) - pi).

    Args:
        damping: d in (0, 1]; 1 is best-response iteration.

    Raises:
        InputError: a damping outside (0, 1].

    Example:
        >>> DampedFixedPoint(0.2).name
        'damped fixed point (0.2)'

    Source: Lauriere et al., "Learning mean field games: a survey" (2022), section 3.1.
    """

    damping: float = 0.1

    def __post_init__(self) -> None:
        """Refuse a damping that has no meaning."""
        if not 0.0 < self.damping <= 1.0:
            raise InputError(f"damped fixed point: expected a damping in (0, 1], got {self.damping}")

    @property
    def name(self) -> str:
        """With its damping."""
        return f"damped fixed point ({self.damping:g})"

    def step(self, game: MeanFieldGame, iterate: Iterate, t: Count, theta: Any, tau: Weight) -> Iterate:
        """A part of the way to the best response."""
        del t
        return iterate + self.damping * (best_response(game, flow_of(game, iterate, theta), theta, tau) - iterate)


@dataclass(frozen=True)
class SoftmaxPolicyIteration(_OnLogits):
    """zeta <- (1 - d) zeta + d q^T(. | flow(pi), pi) / T, pi = softmax(zeta): Boltzmann policy iteration with a temperature of its own.

    Its fixed point is the equilibrium at weight T of the entropy: the problem's own where T = tau, else a first guess only.

    Args:
        temperature: T, above 0, in units of reward.
        damping: d in (0, 1].

    Raises:
        InputError: a temperature or damping without a meaning.

    Example:
        >>> SoftmaxPolicyIteration(0.1).name
        'softmax policy iteration (temperature 0.1, damping 1)'

    Source: Cui and Koeppl (AISTATS 2021).
    """

    temperature: float
    damping: float = 1.0

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        if not self.temperature > 0.0 or not 0.0 < self.damping <= 1.0:
            raise InputError(
                f"softmax policy iteration: expected a temperature > 0 and a damping in (0, 1], got {self.temperature} and {self.damping}"
            )

    @property
    def name(self) -> str:
        """With its parameters."""
        return f"softmax policy iteration (temperature {self.temperature:g}, damping {self.damping:g})"

    def step(self, game: MeanFieldGame, iterate: Iterate, t: Count, theta: Any, tau: Weight) -> Iterate:
        """Logits towards q / T."""
        del t, tau
        q = soft_action_values(game, iterate, theta, self.temperature)
        return _centred((1.0 - self.damping) * iterate + self.damping * q / self.temperature)


@dataclass(frozen=True)
class PriorDescent(_OnLogits):
    """zeta <- zeta + q^T / T every ``inner`` steps, softmax policy iteration around the prior zeta between them.

    A proximal point method: each outer round solves the game with a penalty T KL(pi | prior) and makes the solution the next prior. The
    iterate holds the prior; its inner iterations are run inside one step.

    Args:
        temperature: T, above 0, in units of reward.
        inner: inner iterations, at least 1.
        damping: of the inner iterations, in (0, 1].

    Raises:
        InputError: parameters without a meaning.

    Example:
        >>> PriorDescent(1.0).name
        'prior descent (temperature 1, 10 inner iterations)'

    Source: Cui and Koeppl (AISTATS 2021), algorithm 3.
    """

    temperature: float = 1.0
    inner: int = 10
    damping: float = 0.5

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        if not self.temperature > 0.0 or self.inner < 1 or not 0.0 < self.damping <= 1.0:
            raise InputError(
                f"prior descent: expected a temperature > 0, inner >= 1 and a damping in (0, 1], got {self.temperature}, {self.inner} and "
                f"{self.damping}"
            )

    @property
    def name(self) -> str:
        """With its parameters."""
        return f"prior descent (temperature {self.temperature:g}, {self.inner} inner iterations)"

    def step(self, game: MeanFieldGame, iterate: Iterate, t: Count, theta: Any, tau: Weight) -> Iterate:
        """One outer round."""
        del t

        def settle(_: Count, logits: Table) -> Table:
            q = soft_action_values(game, logits, theta, tau)
            # the penalty's pull back to the prior, and the entropy's to the uniform policy
            target = (self.temperature * iterate + q) / (self.temperature + tau)
            return _centred((1.0 - self.damping) * logits + self.damping * target)

        settled: Table = jax.lax.fori_loop(0, self.inner, settle, iterate)
        return settled
