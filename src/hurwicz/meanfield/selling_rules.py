"""Selling rules of batched auctions: first price, reserves, posted prices, and tables that can be learned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hurwicz.meanfield.auctions import BidMass, Sale, Scalar
from hurwicz.meanfield.game import Round


@dataclass(frozen=True)
class FirstPrice:
    """Winners pay their bid; a fixed share of the population is served a round, ``weights["quantity"]`` (rounds,).

    Args:
        grid: number of bids.

    Example:
        >>> rule = FirstPrice(4)
        >>> sale = rule.sell(0, jnp.full(4, 0.25), jnp.asarray(0.8), {"quantity": jnp.asarray([0.2])})
        >>> float(sale.quantity), sale.prices.tolist()
        (0.2, [0.0, 0.25, 0.5, 0.75])
    """

    grid: int

    def sell(self, h: Round, bids: BidMass, left: Scalar, weights: Any) -> Sale:
        """Alpha as scheduled, p(a) = a."""
        return Sale(jnp.minimum(left, weights["quantity"][h]), _bids(self.grid, bids))


@dataclass(frozen=True)
class ReservePrice:
    """First price with a reserve a round, ``weights["reserve"]`` (rounds,): all who bid it are served while goods last.

    Alpha = min(left, sum_{a >= r_h} nu(a)), p(a) = a.

    Args:
        grid: number of bids.

    Example:
        >>> sale = ReservePrice(4).sell(0, jnp.full(4, 0.25), jnp.asarray(0.8), {"reserve": jnp.asarray([0.5])})
        >>> float(sale.quantity)
        0.5
    """

    grid: int

    def sell(self, h: Round, bids: BidMass, left: Scalar, weights: Any) -> Sale:
        """Who bids the reserve is served."""
        grid = _bids(self.grid, bids)
        asked = jnp.where(grid >= weights["reserve"][h] - 1e-9, bids, 0.0).sum()
        return Sale(jnp.minimum(left, asked), grid)


@dataclass(frozen=True)
class PostedPrice:
    """One price a round, ``weights["price"]`` (rounds,): all who bid at least it are served while goods last, and pay it.

    Args:
        grid: number of bids.

    Example:
        >>> sale = PostedPrice(4).sell(0, jnp.full(4, 0.25), jnp.asarray(0.8), {"price": jnp.asarray([0.5])})
        >>> float(sale.quantity), sale.prices.tolist()
        (0.5, [0.0, 0.25, 0.5, 0.5])
    """

    grid: int

    def sell(self, h: Round, bids: BidMass, left: Scalar, weights: Any) -> Sale:
        """Who bids the price is served and pays it."""
        grid = _bids(self.grid, bids)
        price = weights["price"][h]
        asked = jnp.where(grid >= price - 1e-9, bids, 0.0).sum()
        return Sale(jnp.minimum(left, asked), jnp.minimum(grid, price))


@dataclass(frozen=True)
class TableRule:
    """A payment for every bid and a share of what is left, a round.

    The weights are ``steps`` (rounds, grid - 1) and ``share`` (rounds,).

    p_h(a) = sum_{k <= a} sigmoid(steps_hk) / grid: not negative, rising in the bid and never above it, whatever the weights are;
    alpha_h = left_h sigmoid(share_h): never more than there is.

    Args:
        grid: number of bids.

    Example:
        >>> rule = TableRule(4)
        >>> sale = rule.sell(0, jnp.full(4, 0.25), jnp.asarray(0.8), {"steps": jnp.zeros((1, 3)), "share": jnp.zeros(1)})
        >>> float(sale.quantity), sale.prices.tolist()
        (0.4, [0.0, 0.125, 0.25, 0.375])
    """

    grid: int

    def sell(self, h: Round, bids: BidMass, left: Scalar, weights: Any) -> Sale:
        """Payments by their increments."""
        del bids
        return Sale(left * jax.nn.sigmoid(weights["share"][h]), rising_prices(weights["steps"][h]))


def rising_prices(steps: Float[Array, " increments"]) -> BidMass:
    """p(a) = sum_{k <= a} sigmoid(steps_k) / (increments + 1): a payment rule that rises in the bid and never passes it."""
    rises = jax.nn.sigmoid(steps) / (steps.shape[0] + 1)
    return jnp.concatenate([jnp.zeros(1, rises.dtype), jnp.cumsum(rises)])


def _bids(grid: int, like: BidMass) -> BidMass:
    return jnp.arange(grid, dtype=like.dtype) / grid
