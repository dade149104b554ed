"""The batched auction with N bidders and whole goods: the highest bids are served, ties by lot, and not one good more than there is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from hurwicz._foundation import FloatArray, InputError, float64_scope
from hurwicz.meanfield.auctions import BatchedAuction, SellingRule, weights_in
from hurwicz.meanfield.simulation import distribution, drawable


@dataclass(frozen=True)
class Auctioned:
    """What N bidders paid and got, population by population; per head.

    Attributes:
        paid: what winners paid by round, (seeds, rounds).
        welfare: values of the winners, (seeds,).
        sold: goods sold by round, (seeds, rounds).
    """

    paid: Float64[FloatArray, "seeds rounds"]
    welfare: Float64[FloatArray, " seeds"]
    sold: Float64[FloatArray, "seeds rounds"]

    @property
    def revenue(self) -> Float64[FloatArray, " seeds"]:
        """What winners paid in all, (seeds,)."""
        return np.asarray(self.paid.sum(axis=1))


def simulate_auction(
    auction: BatchedAuction,
    rule: SellingRule,
    policy: Float64[FloatArray, "rounds states actions"],
    players: int,
    *,
    theta: Any = None,
    seeds: int = 8,
    seed: int = 0,
) -> Auctioned:
    """Hold the auction with ``players`` bidders who all follow ``policy``.

    In every round alpha N goods are for sale, a fraction of one by chance; the highest bids are served, those who bid alike by lot without
    replacement. :func:`simulate` plays the game as the mean field has it instead, where each of them wins independently: there, a few more
    or fewer than alpha N may leave, and the revenue of few bidders falls short by about twice as much.

    Bidders of one value and bid are alike, so that their numbers are drawn at once: the cost does not grow with N.

    Args:
        auction: the setting.
        rule: how it sells; it sees the shares of the bids.
        policy: pi_h(a | v), (rounds, grid + 1, grid); the last state is "out".
        players: N, at least 1.
        theta: the rule's weights, or :class:`InMarket`.
        seeds: independent populations.
        seed: of the draws.

    Raises:
        InputError: no bidder or population, or a policy of another shape or whose rows do not sum to 1.

    Example:
        >>> import jax.numpy as jnp
        >>> from hurwicz.meanfield import PostedPrice
        >>> auction = BatchedAuction(rounds=1, supply=0.5, grid=2)
        >>> truth = np.asarray([[[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]])  # everybody bids its value, 0 or 1/2
        >>> run = simulate_auction(auction, PostedPrice(2), truth, 1000, theta={"price": jnp.full(1, 0.5)}, seeds=4)
        >>> bool(np.all(np.abs(run.revenue - 0.25) < 0.05))
        True

    Source: Corecco et al. (arXiv 2510.21442), section 5, the auction that the mean field approximates; whole goods are our reading.
    """
    if players < 1 or seeds < 1:
        raise InputError(f"batched auction: expected players >= 1 and seeds >= 1, got {players} and {seeds}")
    grid, rounds = auction.grid, auction.rounds
    chances = drawable(policy, "batched auction", (rounds, grid + 1, grid))[:, :grid]
    rng = np.random.default_rng(seed)
    with float64_scope():
        import jax
        import jax.numpy as jnp

        market = auction.market(theta)
        weights = weights_in(theta)
        sell = jax.jit(jax.vmap(lambda h, bids, left: rule.sell(h, bids, left, weights), in_axes=(None, 0, 0)))
        comes = distribution(np.asarray(market.initial))
        active = rng.multinomial(players, comes, size=seeds)  # (seeds, grid)
        left = np.full(seeds, float(market.supply) * players)  # goods; a fraction of one may never be sold
        paid, welfare, sold = np.zeros((seeds, rounds)), np.zeros(seeds), np.zeros((seeds, rounds))
        for h in range(rounds):
            made = [_bids(active[k], chances[h], rng) for k in range(seeds)]
            shares = np.stack([bids.sum(axis=0) for _, bids in made]) / players
            sale = sell(h, jnp.asarray(shares), jnp.asarray(left / players))
            asked, prices = np.asarray(sale.quantity) * players, np.asarray(sale.prices)
            whole = np.floor(asked + 1e-9)
            goods = np.minimum(whole + (rng.random(seeds) < asked - whole), np.floor(left + 1e-9))
            for k, (values, bids) in enumerate(made):
                won = _served(bids, int(goods[k]), rng)
                paid[k, h] = won.sum(axis=0) @ prices[k] / players
                welfare[k] += won.sum(axis=1) @ auction.values[values] / players
                sold[k, h] = won.sum() / players
                active[k, values] -= won.sum(axis=1)
            left = left - sold[:, h] * players
            back = rng.binomial(players - active.sum(axis=1), auction.re_entry)
            active = active + rng.multinomial(back, comes)
            if auction.drift is not None:
                active = np.stack([rng.multinomial(one, distribution(auction.drift)).sum(axis=0) for one in active])
    return Auctioned(paid, welfare, sold)


def _bids(
    active: Int64[np.ndarray, " grid"], chances: Float64[FloatArray, "grid bids"], rng: np.random.Generator
) -> tuple[Int64[np.ndarray, " values"], Int64[np.ndarray, "values bids"]]:
    """Which values are there, and how many bidders of each make each bid."""
    values = np.flatnonzero(active)
    return values, rng.multinomial(active[values], chances[values])


def _served(bids: Int64[np.ndarray, "values bids"], goods: int, rng: np.random.Generator) -> Int64[np.ndarray, "values bids"]:
    """Who is served of one population: from the top, and by lot at the bid where the goods run out."""
    count = bids.sum(axis=0)
    above = np.cumsum(count[::-1])[::-1] - count
    won = np.where(above + count <= goods, bids, 0)
    marginal = np.flatnonzero((above < goods) & (above + count > goods))
    if len(marginal):
        a = int(marginal[0])
        won[:, a] = rng.multivariate_hypergeometric(bids[:, a], int(goods - above[a]), method="marginals")
    return won
