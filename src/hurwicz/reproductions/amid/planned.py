"""The best simple rule that may not look at the bids: a price and a quantity for every round, planned beforehand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float64, Key

from hurwicz._foundation import FloatArray
from hurwicz.meanfield import PostedPrice, Sale, Setting, records_of
from hurwicz.meanfield.auctions import BidMass, Scalar
from hurwicz.meanfield.game import Round

if TYPE_CHECKING:
    from hurwicz.designers import DesignProblem, MeanFieldDesign

Plan: TypeAlias = Float64[FloatArray, " numbers"]  # prices, then quantities

_FIRST_PARTS = np.linspace(0.3, 1.0, 15)
_SIZES, _GAIN = (0.05, 0.02, 0.01, 0.005, 0.0025, 0.001), 1e-7
SETTLED = 3  # times the setting's own iterations: next to an edge, what is not settled looks better than it is


@dataclass(frozen=True)
class PlannedSale:
    """A posted price that cannot see how many ask for it: ``weights["quantity"]`` is sold at ``weights["price"]``, both (rounds,).

    Alpha = min(left, quantity_h), p(a) = min(a, price_h). As long as a little less is sold than is asked for at the price, whoever wants a
    good bids high and pays the price. Where more is sold, the bids below the price win too, and everybody shades down to them.
    """

    grid: int

    def init(self, key: Key[Array, ""], rounds: int) -> dict[str, Any]:
        """Prices anywhere in [0, 1), quantities up to equal parts of the whole population."""
        first, second = jax.random.split(key)
        return {"price": jax.random.uniform(first, (rounds,)), "quantity": jax.random.uniform(second, (rounds,)) / rounds}

    def sell(self, h: Round, bids: BidMass, left: Scalar, weights: Any) -> Sale:
        """What was planned."""
        values = jnp.arange(self.grid, dtype=bids.dtype) / self.grid
        return Sale(jnp.clip(weights["quantity"][h], 0.0, left), jnp.minimum(values, weights["price"][h]))


def best_planned_sale(setting: Setting, posted: MeanFieldDesign, *, perturbations: int = 600, seed: int = 0) -> MeanFieldDesign:
    """Prices and quantities found by search from the posted prices and what they sell.

    The plan of exactly what the posted prices sell has their equilibrium too, and a worse one, in which everybody bids less, at which
    mirror descent arrives. The search therefore begins with plans that sell less in the first round and more afterwards. It goes on by
    ever smaller steps of one number, or of goods from one round to another, and then by random perturbations, kept where they pay.

    Args:
        setting: the setting.
        posted: its best posted prices.
        perturbations: how many to try.
        seed: of the perturbations.
    """
    from hurwicz.designers import auction_problem, evaluate_design
    from hurwicz.designers.mean_field_problem import value_of

    rule, rounds = PlannedSale(setting.auction.grid), setting.auction.rounds
    quick = auction_problem(setting, rule)
    settled = auction_problem(setting, rule, iterations=SETTLED * setting.iterations)

    def worth(problem: DesignProblem) -> Callable[[Plan], float]:
        value = value_of(problem)
        return lambda plan: float(value({"price": jnp.asarray(plan[:rounds]), "quantity": jnp.asarray(plan[rounds:])}))

    prices, sold = np.asarray(posted.theta["price"]), sold_by(setting, posted)
    later = max(float(sold[1:].sum()), 1e-12)
    plans = [np.concatenate([prices, sold[:1] * part, sold[1:] * (1.0 + sold[0] * (1.0 - part) / later)]) for part in _FIRST_PARTS]
    best = _perturbed(_compass(max(plans, key=worth(quick)), worth(quick), rounds), worth(settled), perturbations, seed)
    return evaluate_design(settled, {"price": jnp.asarray(best[:rounds]), "quantity": jnp.asarray(best[rounds:])})


def _compass(plan: Plan, worth: Callable[[Plan], float], rounds: int) -> Plan:
    """Steps of one price (by half the size), of one quantity, or of goods from one round to another, while any pays."""
    most, same = worth(plan), np.eye(2 * rounds)
    prices, quantities = same[:rounds] / 2.0, same[rounds:]
    from_to = [quantities[k] - quantities[j] for k in range(rounds) for j in range(rounds) if j != k]
    moves = [*prices, *-prices, *quantities, *-quantities, *from_to]
    for size in _SIZES:
        moved = True
        while moved:
            moved = False
            for move in moves:
                there = plan + size * move
                value = worth(there) if there.min() >= 0.0 else -np.inf
                if value > most + _GAIN:
                    plan, most, moved = there, value, True
    return plan


def _perturbed(plan: Plan, worth: Callable[[Plan], float], tries: int, seed: int) -> Plan:
    chance, size, most = np.random.default_rng(seed), 0.005, worth(plan)
    for _ in range(tries):
        there = np.clip(plan + size * (chance.random(len(plan)) < 0.4) * chance.normal(size=len(plan)), 0.0, 1.0)
        value = worth(there)
        better = value > most
        plan, most = (there, value) if better else (plan, most)
        size = min(1.5 * size, 0.03) if better else max(0.97 * size, 2e-4)
    return plan


def sold_by(setting: Setting, posted: MeanFieldDesign) -> Float64[FloatArray, " rounds"]:
    """How much the posted prices sell in each round of their equilibrium."""
    rule, weights = PostedPrice(setting.auction.grid), jax.tree.map(jnp.asarray, posted.theta)
    flow = jnp.asarray(posted.flow)
    left = records_of(setting.auction.game(rule), flow, weights)
    rounds = range(setting.auction.rounds)
    return np.asarray([float(rule.sell(h, flow[h, :-1].sum(axis=0), left[h], weights).quantity) for h in rounds])


def shares_of(quantities: Float64[FloatArray, " rounds"], supply: float) -> Float64[FloatArray, " rounds"]:
    """Quantities as shares of what is left in each round, no more than there is.

    Example:
        >>> shares_of(np.asarray([0.4, 0.1, 0.5]), 0.8).round(3).tolist()
        [0.5, 0.25, 1.0]
    """
    left = supply - np.concatenate([[0.0], np.cumsum(quantities)[:-1]])
    return np.clip(quantities / np.maximum(left, 1e-12), 0.0, 1.0)
