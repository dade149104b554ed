"""What is designed over a mean-field equilibrium, and the one function that says what a design is worth."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray, InputError, NotFiniteError, float64_scope
from hurwicz.designers.mean_field_gradient import EquilibriumMap
from hurwicz.equilibria.mean_field import OnlineMirrorDescent
from hurwicz.meanfield import BatchedAuction, MeanFieldGame, SellingRule, Setting
from hurwicz.meanfield.auctions import Market
from hurwicz.meanfield.soundness import examined

Theta: TypeAlias = Any  # any JAX pytree of floating-point arrays
Objective: TypeAlias = Callable[..., Any]  # (theta, flow) → scalar


@dataclass(frozen=True, kw_only=True, eq=False)
class DesignProblem:
    """Choose theta so that g(theta, L*(theta)) is large, L* the flow of the entropy-regularised equilibrium under the rules theta.

    Attributes:
        name: what tables call it.
        game: the mean-field game; theta are its rules.
        objective: g, (theta, flow) → scalar, to be made LARGE; JAX, differentiable.
        tau: weight of the entropy, above 0, in units of reward.
        start: random key → the first theta, a pytree of floating-point arrays.
        iterations: mirror descent steps from zero logits to the equilibrium, T.
        rate: eta of mirror descent, at most 1 / tau.

    Raises:
        InputError: tau or rate without a meaning, no iterations.

    Example:
        >>> stay = lambda h, mass, flow, theta: mass.sum(axis=1)
        >>> pay = lambda h, flow, theta: jnp.stack([-flow.sum(axis=0)[0] - theta, -flow.sum(axis=0)[1]])[None]
        >>> roads = MeanFieldGame(name="two roads", states=1, actions=2, horizon=1, initial=np.ones(1), reward=pay, move=stay)
        >>> toll = lambda theta, flow: theta * flow[0, 0, 0]
        >>> problem = DesignProblem(name="toll", game=roads, objective=toll, tau=0.1, start=lambda key: jnp.zeros(()), rate=1.0)
        >>> round(evaluate_design(problem, jnp.asarray(0.5)).objective, 4)
        0.1469

    Source: Corecco et al. (arXiv 2510.21442), section 2.
    """

    name: str
    game: MeanFieldGame
    objective: Objective
    tau: float
    start: Callable[[Any], Theta]
    iterations: int = 400
    rate: float = 10.0

    def __post_init__(self) -> None:
        """Refuse what no equilibrium can be computed with."""
        self.equilibrium()

    def equilibrium(self, differentiate: str = "checkpointed") -> EquilibriumMap:
        """Rules → flow, T steps of mirror descent, with the derivative asked for."""
        return EquilibriumMap(tau=self.tau, rate=self.rate, steps=self.iterations, differentiate=differentiate)


@dataclass(frozen=True, eq=False)
class MeanFieldDesign:
    """A design and the equilibrium it leads to.

    Attributes:
        theta: the rules, a pytree of arrays.
        policy: pi_h(a | s) at the equilibrium, (horizon, states, actions).
        flow: L_h(s, a), (horizon, states, actions).
        objective: g(theta, L*) at this equilibrium.
        exploitability: E^tau(pi | theta) of the policy, in units of reward.
        tau: the weight of the entropy.
        history: g of every theta that was measured, in turn; empty where there was no search.
        seed: of the search.
    """

    theta: Theta
    policy: Float64[np.ndarray, "horizon states actions"]
    flow: Float64[np.ndarray, "horizon states actions"]
    objective: float
    exploitability: float
    tau: float
    history: Float64[np.ndarray, " measured"] = field(default_factory=lambda: np.zeros(0))
    seed: int = 0


def evaluate_design(
    problem: DesignProblem,
    theta: Theta,
    *,
    tolerance: float = 1e-5,
    most: int = 10,
    history: Float64[FloatArray, " measured"] | None = None,
    seed: int = 0,
) -> MeanFieldDesign:
    """What a design is worth at its equilibrium: every learned rule and every baseline is measured by this function.

    Mirror descent runs from zero logits for T steps, then T more as long as the exploitability E^tau is above ``tolerance``.

    Args:
        problem: game, objective, tau.
        theta: the rules.
        tolerance: exploitability to reach, in units of reward.
        most: at most ``most`` times T steps; the exploitability that was reached is part of the result.
        history: what to keep as the history of the search.
        seed: what to keep as the seed of the search.

    Raises:
        InputError: no steps allowed, a negative tolerance, or rules under which the game is none (more sold than there is, say).
        NotFiniteError: NaN or infinity, with the round and the state.
    """
    if most < 1 or not (math.isfinite(tolerance) and tolerance >= 0.0):
        raise InputError(f"{problem.name}: expected most >= 1 and a tolerance >= 0, got {most} and {tolerance}")
    with float64_scope():
        theta = as_rules(problem, theta)
        settle, worth = _compiled(problem)
        logits = jnp.zeros(problem.game.shape)
        for _ in range(most):
            logits, policy = settle(logits, theta)
            look = examined(problem.game, theta, problem.tau, policy)
            if look.exploitability <= tolerance:
                break
        return MeanFieldDesign(
            theta=jax.tree.map(np.asarray, theta),
            policy=look.policy,
            flow=look.flow,
            objective=float(worth(theta, look.flow)),
            exploitability=look.exploitability,
            tau=problem.tau,
            history=np.zeros(0) if history is None else history,
            seed=seed,
        )


def as_rules(problem: DesignProblem, theta: Theta) -> Theta:
    """Theta in float64.

    Raises:
        InputError: a leaf that is not of floating-point numbers.
        NotFiniteError: NaN or infinity in a leaf.
    """
    theta = jax.tree.map(jnp.asarray, theta)
    for path, leaf in jax.tree_util.tree_leaves_with_path(theta):
        place = jax.tree_util.keystr(path) or "its only leaf"
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            raise InputError(
                f"{problem.name}: expected floating-point theta, got {leaf.dtype} at {place}: it cannot be moved by small steps"
            )
        if not bool(jnp.all(jnp.isfinite(leaf))):
            raise NotFiniteError(f"{problem.name}: theta itself is not finite at {place}; shorten the step")
    return jax.tree.map(lambda leaf: leaf.astype(jnp.float64), theta)


@functools.lru_cache(maxsize=64)
def value_of(problem: DesignProblem) -> Callable[..., Any]:
    """What theta is worth after T steps of mirror descent: a function compiled once a problem."""
    equilibrium = problem.equilibrium()
    return jax.jit(lambda theta: problem.objective(theta, equilibrium(problem.game, theta)))


@functools.lru_cache(maxsize=64)
def _compiled(problem: DesignProblem) -> tuple[Callable[..., Any], Callable[..., Any]]:
    # compiled once a problem, whatever the rules
    game, descent = problem.game, OnlineMirrorDescent(problem.rate)

    def settle(logits: Any, theta: Theta) -> Any:
        def step(_: Any, zeta: Any) -> Any:
            return descent.step(game, zeta, 0, theta, problem.tau)

        settled = jax.lax.fori_loop(0, problem.iterations, step, logits)
        return settled, descent.policy(game, settled)

    return jax.jit(settle), jax.jit(problem.objective)


def auction_problem(
    auction: BatchedAuction | Setting,
    rule: SellingRule,
    *,
    objective: str | Mapping[str, float] | None = None,
    markets: Market | None = None,
    tau: float | None = None,
    iterations: int | None = None,
    rate: float | None = None,
    start: Callable[[Any], Theta] | None = None,
    name: str | None = None,
) -> DesignProblem:
    """The design of an auction's rule.

    Args:
        auction: an auction, or a named setting of one, which has its own objective, tau, T and rate.
        rule: how weights become quantities and payments.
        objective: ``"revenue"``, ``"welfare"``, or weights of both, say ``{"revenue": 1.0, "welfare": 0.5}``; the setting's own,
            or revenue.
        markets: markets that one rule must serve, of which it is not told which it meets; the objective is the mean over them.
        tau: weight of the entropy; the setting's own, or 1e-3.
        iterations: mirror descent steps, T; the setting's own, or 400.
        rate: of mirror descent; the setting's own, or 10.
        start: random key → first weights; the rule's own ``init`` where omitted.
        name: what tables call it.

    Raises:
        InputError: an objective that is not known, or a rule that cannot start by itself where no start is given.

    Example:
        >>> from hurwicz.meanfield import PostedPrice
        >>> auction = BatchedAuction(rounds=1, supply=0.8, grid=10)
        >>> posted = auction_problem(auction, PostedPrice(10), tau=0.01)
        >>> round(evaluate_design(posted, {"price": jnp.asarray([0.5])}).objective, 3)
        0.225

    Source: Corecco et al. (arXiv 2510.21442), section 5; settings and objectives of A1 to A10.
    """
    wanted = objective if objective is not None else (auction.objective if isinstance(auction, Setting) else "revenue")
    weights = {wanted: 1.0} if isinstance(wanted, str) else dict(wanted)
    setting = replace(auction if isinstance(auction, Setting) else Setting("", "", auction), objective=weights)
    return DesignProblem(
        name=name or f"{type(rule).__name__} for {' and '.join(weights)}",
        game=setting.game(rule, markets),
        objective=lambda theta, flow: setting.worth(rule, flow, theta, markets),
        tau=setting.tau if tau is None else tau,
        start=_own_start(rule, setting.auction.rounds) if start is None else start,
        iterations=setting.iterations if iterations is None else iterations,
        rate=setting.rate if rate is None else rate,
    )


def _own_start(rule: SellingRule, rounds: int) -> Callable[[Any], Theta]:
    begin: Callable[..., Theta] | None = getattr(rule, "init", None)
    if begin is None:
        raise InputError(f"{type(rule).__name__}: expected a start, random key → weights, since the rule has none of its own")
    return lambda key: begin(key, rounds)
