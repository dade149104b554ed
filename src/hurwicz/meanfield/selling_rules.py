"""Selling rules of batched auctions: first price, reserves, posted prices, and tables that can be learned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from hurwicz._foundation import InputError
from hurwicz.meanfield.auctions import BidMass, Sale, Scalar
from hurwicz.meanfield.game import Round

Head: TypeAlias = dict[str, Any]  # what a rule puts out, or a table of it with a leading axis of rounds


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

    def init(self, key: Key[Array, ""], rounds: int) -> dict[str, Any]:
        """Between nothing and the whole population over all rounds."""
        return {"quantity": jax.random.uniform(key, (rounds,)) / rounds}

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

    def init(self, key: Key[Array, ""], rounds: int) -> dict[str, Any]:
        """Reserves anywhere in [0, 1)."""
        return {"reserve": jax.random.uniform(key, (rounds,))}

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

    def init(self, key: Key[Array, ""], rounds: int) -> dict[str, Any]:
        """Prices anywhere in [0, 1)."""
        return {"price": jax.random.uniform(key, (rounds,))}

    def sell(self, h: Round, bids: BidMass, left: Scalar, weights: Any) -> Sale:
        """Who bids the price is served and pays it."""
        grid = _bids(self.grid, bids)
        price = weights["price"][h]
        asked = jnp.where(grid >= price - 1e-9, bids, 0.0).sum()
        return Sale(jnp.minimum(left, asked), jnp.minimum(grid, price))


@dataclass(frozen=True)
class TableRule:
    """A payment for every bid and a share of what is left, a round.

    The weights are ``steps`` (rounds, grid - 1), ``share`` (rounds,) and, if given, ``asks`` (rounds, grid).

    p_h(a) = sum_{k <= a} sigmoid(steps_hk) / grid: not negative, rising in the bid and never above it, whatever the weights are;
    alpha_h = left_h sigmoid(share_h), or the least of that and sum_a nu(a) sigmoid(asks_ha): never more than there is. ``asks`` lets the
    rule answer the bids, as a reserve does; without it the rule is static.

    Args:
        grid: number of bids.

    Example:
        >>> rule = TableRule(4)
        >>> sale = rule.sell(0, jnp.full(4, 0.25), jnp.asarray(0.8), {"steps": jnp.zeros((1, 3)), "share": jnp.zeros(1)})
        >>> float(sale.quantity), sale.prices.tolist()
        (0.4, [0.0, 0.125, 0.25, 0.375])
    """

    grid: int

    def init(self, key: Key[Array, ""], rounds: int) -> Head:
        """Payments near half the bid, near half of what is left sold a round."""
        first, second = jax.random.split(key)
        return {"steps": 0.1 * jax.random.normal(first, (rounds, self.grid - 1)), "share": 0.1 * jax.random.normal(second, (rounds,))}

    def sell(self, h: Round, bids: BidMass, left: Scalar, weights: Any) -> Sale:
        """Payments by their increments."""
        return head_sale({name: part[h] for name, part in weights.items()}, bids, left)


def head_sale(head: Head, bids: BidMass, left: Scalar) -> Sale:
    """The sale of one round that ``steps`` (grid - 1,), ``share`` () and perhaps ``asks`` (grid,) stand for; see :class:`TableRule`."""
    quantity = left * jax.nn.sigmoid(head["share"])
    if "asks" in head:
        quantity = jnp.minimum(quantity, bids @ jax.nn.sigmoid(head["asks"]))
    return Sale(quantity, rising_prices(head["steps"]))


def posted_price_head(grid: int, prices: Float[Array, " rounds"], *, softness: float = 1e-4) -> Head:
    """Weights of a :class:`TableRule`, or a head of a :class:`NetworkRule`, at which it is a posted price.

    Sigmoids meet 0 and 1 only in the limit: every payment is within ``softness`` of the posted one, and every share within ``softness``
    of all or nothing.

    Args:
        grid: number of bids.
        prices: one a round; in [0, 1).
        softness: in (0, 1/2): the smaller, the nearer, and the slower a gradient moves it.

    Raises:
        InputError: a softness outside (0, 1/2).

    Example:
        >>> head = posted_price_head(4, jnp.asarray([0.6]))
        >>> TableRule(4).sell(0, jnp.full(4, 0.25), jnp.asarray(0.8), head).prices.round(3).tolist()
        [0.0, 0.25, 0.5, 0.6]
    """
    part = jnp.clip(prices[:, None] * grid - jnp.arange(grid - 1), 0.0, 1.0)
    return {"steps": _logit(part, softness), "share": _full(prices, softness), "asks": _asked(grid, prices, softness)}


def reserve_head(grid: int, reserves: Float[Array, " rounds"], *, softness: float = 1e-4) -> Head:
    """As :func:`posted_price_head`, for first price with a reserve a round.

    Example:
        >>> head = reserve_head(4, jnp.asarray([0.5]))
        >>> sale = TableRule(4).sell(0, jnp.full(4, 0.25), jnp.asarray(0.8), head)
        >>> sale.prices.round(3).tolist(), round(float(sale.quantity), 3)
        ([0.0, 0.25, 0.5, 0.75], 0.5)
    """
    steps = _logit(jnp.ones((len(reserves), grid - 1)), softness)
    return {"steps": steps, "share": _full(reserves, softness), "asks": _asked(grid, reserves, softness)}


def first_price_head(grid: int, shares: Float[Array, " rounds"], *, softness: float = 1e-4) -> Head:
    """As :func:`posted_price_head`, for first price that sells the share ``shares`` of what is left in each round.

    Example:
        >>> head = first_price_head(4, jnp.asarray([0.25]))
        >>> round(float(TableRule(4).sell(0, jnp.full(4, 0.25), jnp.asarray(0.8), head).quantity), 3)
        0.2
    """
    ones = jnp.ones((len(shares), grid))
    return {"steps": _logit(ones[:, 1:], softness), "share": _logit(shares, softness), "asks": _logit(ones, softness)}


def static_head(head: Head, shares: Float[Array, " rounds"], *, softness: float = 1e-4) -> Head:
    """``head`` without its answer to the bids: it sells the share ``shares`` of what is left in each round.

    Example:
        >>> sorted(static_head(posted_price_head(4, jnp.asarray([0.5])), jnp.asarray([0.6])))
        ['share', 'steps']
    """
    return {"steps": head["steps"], "share": _logit(shares, softness)}


def _asked(grid: int, reserves: Float[Array, " rounds"], softness: float) -> Float[Array, "rounds grid"]:
    served = jnp.arange(grid) / grid >= reserves[:, None] - 1e-9
    return _logit(jnp.where(served, 1.0, 0.0), softness)


def _full(rounds: Float[Array, " rounds"], softness: float) -> Float[Array, " rounds"]:
    return _logit(jnp.ones_like(rounds), softness)


def _logit(part: Float[Array, "*shape"], softness: float) -> Float[Array, "*shape"]:
    if not 0.0 < softness < 0.5:
        raise InputError(f"selling rule: expected a softness in (0, 1/2), got {softness}")
    inside = jnp.clip(part, softness, 1.0 - softness)
    return jnp.log(inside) - jnp.log1p(-inside)


def rising_prices(steps: Float[Array, " increments"]) -> BidMass:
    """p(a) = sum_{k <= a} sigmoid(steps_k) / (increments + 1): a payment rule that rises in the bid and never passes it."""
    rises = jax.nn.sigmoid(steps) / (steps.shape[0] + 1)
    return jnp.concatenate([jnp.zeros(1, rises.dtype), jnp.cumsum(rises)])


def _bids(grid: int, like: BidMass) -> BidMass:
    return jnp.arange(grid, dtype=like.dtype) / grid
