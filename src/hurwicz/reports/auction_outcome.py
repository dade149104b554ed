"""What a selling rule does at its equilibrium: who bids what, how much is sold, what is collected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray, float64_scope
from hurwicz.meanfield import BatchedAuction, SellingRule, records_of, winning_probability

_NOBODY = 1e-3  # share of a value's bidders at the uniform start, below which their mean bid means nothing


@dataclass(frozen=True)
class AuctionOutcome:
    """A rule at its equilibrium, round by round.

    Attributes:
        revenue: collected, per head of the population.
        welfare: values of those who are served, per head.
        sold: share of the population that is served, by round.
        collected: money by round.
        left: goods per head at the beginning of each round.
        bids: mean bid by round and value; NaN where nobody has the value.
        prices: p_h(a), what a winner pays for each bid.
        chances: p_win,h(a), the chance to win with each bid.
    """

    revenue: float
    welfare: float
    sold: Float64[FloatArray, " rounds"]
    collected: Float64[FloatArray, " rounds"]
    left: Float64[FloatArray, " rounds"]
    bids: Float64[FloatArray, "rounds values"]
    prices: Float64[FloatArray, "rounds bids"]
    chances: Float64[FloatArray, "rounds bids"]

    @property
    def mean_price(self) -> float:
        """Money per good sold; NaN where nothing is sold."""
        return self.revenue / float(self.sold.sum()) if self.sold.sum() > 0.0 else float("nan")


def auction_outcome(
    auction: BatchedAuction, rule: SellingRule, flow: Float64[FloatArray, "rounds states bids"], weights: Any
) -> AuctionOutcome:
    """Read an outcome off the flow of an equilibrium.

    Args:
        auction: the setting.
        rule: the family of rules.
        flow: shares of the population by round, state ("out" the last) and bid.
        weights: of the rule.

    Example:
        >>> from hurwicz.meanfield import PostedPrice, flow_of, uniform_policy
        >>> auction = BatchedAuction(rounds=1, supply=1.0, grid=4)
        >>> rule, weights = PostedPrice(4), {"price": np.array([0.5])}
        >>> game = auction.game(rule)
        >>> with float64_scope():
        ...     flow = np.asarray(flow_of(game, uniform_policy(game), weights))
        >>> found = auction_outcome(auction, rule, flow, weights)
        >>> found.revenue, found.sold.tolist(), found.prices.tolist()
        (0.25, [0.5], [[0.0, 0.25, 0.5, 0.5]])
    """
    with float64_scope():
        mass = np.asarray(flow, dtype=np.float64)
        revenue, welfare, *rows = _compiled(auction, rule)(mass, weights)
        sold, collected, left, prices, chances = (np.asarray(row, dtype=np.float64) for row in rows)
    bidders = mass[:, : auction.grid]
    heads = bidders.sum(axis=2)
    some = heads > _NOBODY / auction.grid
    bids = np.where(some, (bidders @ auction.values) / np.where(some, heads, 1.0), np.nan)
    return AuctionOutcome(float(revenue), float(welfare), sold, collected, left, bids, prices, chances)


def _compiled(auction: BatchedAuction, rule: SellingRule) -> Callable[..., Any]:
    import jax
    import jax.numpy as jnp

    def outcome(flow: Any, weights: Any) -> Any:
        left = records_of(auction.game(rule), flow, weights)

        def of_round(h: Any, mass: Any, remaining: Any) -> Any:
            bids = mass[: auction.grid].sum(axis=0)
            sale = rule.sell(h, bids, remaining, weights)
            chances = winning_probability(bids, sale.quantity)
            return bids @ chances, (bids * chances) @ sale.prices, remaining, sale.prices, chances

        rounds = jax.vmap(of_round)(jnp.arange(auction.rounds), flow, left)
        return auction.revenue(rule, flow, weights), auction.welfare(rule, flow, weights), *rounds

    return jax.jit(outcome)
