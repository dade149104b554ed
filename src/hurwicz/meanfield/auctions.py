"""Batched sequential auctions: a large population bids round after round for a limited supply."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float64

from hurwicz._foundation import InputError, NotFiniteError, float64_array
from hurwicz.meanfield.evaluation import Flow, records_of
from hurwicz.meanfield.game import Mass, MeanFieldGame, Round

Scalar: TypeAlias = Float[Array, ""]
BidMass: TypeAlias = Float[Array, " actions"]  # nu(a): share of the population that is active and bids a


class Sale(NamedTuple):
    """What a rule decides in a round.

    Attributes:
        quantity: alpha, share of the population that is served, at most what is left.
        prices: what a winner who bid each bid pays.
    """

    quantity: Scalar
    prices: BidMass


class Market(NamedTuple):
    """One instance of an auction: who comes, and how much there is.

    Attributes:
        initial: mu_0 of the values.
        supply: alpha_max.
    """

    initial: Float[Array, " grid"]
    supply: Scalar


class InMarket(NamedTuple):
    """theta of an auction's game where the market is not the setting's own: a rule's weights, and the market that it meets.

    Attributes:
        weights: of the selling rule.
        market: which it cannot see, but for what the bids and the goods left tell.
    """

    weights: Any
    market: Market


@runtime_checkable
class SellingRule(Protocol):
    """How much is sold in a round, and at what prices, from what is seen of the bids."""

    def sell(self, h: Round, bids: BidMass, left: Scalar, weights: Any) -> Sale:
        """The sale of round ``h``: pure JAX; ``weights`` are what a designer learns, a pytree."""
        ...


@dataclass(frozen=True, eq=False)
class BatchedAuction:
    """The setting of a batched auction: who comes, how long, how much there is.

    A winner who bid a pays p_h(a), gains u(v - p_h(a)) and leaves; losers stay; those outside come back with probability ``re_entry`` and a
    value drawn from the first distribution; then values move by ``drift``. The highest bids win, ties in proportion:
    p_win(a) = clip((alpha - sum_{a' > a} nu(a')) / nu(a), 0, 1).

    Args:
        rounds: H.
        supply: alpha_max, goods per head of the population.
        grid: values and bids are 0, 1/grid, .., (grid - 1)/grid.
        initial: distribution of values at the start, uniform if omitted.
        drift: w(v' | v) of the values from round to round, rows that sum to 1; values stay if omitted.
        re_entry: probability a round.
        utility: u of gains v - p, in JAX; the gain itself if omitted.
        discount: weight of the gains of each round; 1 if omitted.

    Raises:
        InputError: no rounds, a supply that is not above 0, rows that do not sum to one, a probability outside [0, 1].

    Example:
        >>> BatchedAuction(rounds=4, supply=0.8, grid=10).values.tolist()[:3]
        [0.0, 0.1, 0.2]

    Source: Corecco et al. (arXiv 2510.21442), section 5; the winning probability and re-entry by the first distribution are reconstructed.
    """

    rounds: int
    supply: float
    grid: int = 100
    initial: Float64[np.ndarray, " grid"] | None = None
    drift: Float64[np.ndarray, "grid grid"] | None = None
    re_entry: float = 0.0
    utility: Callable[[Float[Array, "..."]], Float[Array, "..."]] | None = None
    discount: Float64[np.ndarray, " rounds"] | None = None

    def __post_init__(self) -> None:
        """Refuse a setting that has no meaning."""
        if self.rounds < 1 or self.grid < 2:
            raise InputError(f"batched auction: expected rounds >= 1 and a grid of at least 2 values, got {self.rounds} and {self.grid}")
        if not (np.isfinite(self.supply) and self.supply > 0.0):
            raise InputError(f"batched auction: expected a supply > 0, got {self.supply}")
        if not 0.0 <= self.re_entry <= 1.0:
            raise InputError(f"batched auction: expected a probability of re-entry in [0, 1], got {self.re_entry}")
        start = float64_array(self.begins, "batched auction: initial distribution", shape=(self.grid,))
        if bool(np.any(start < 0.0)) or abs(float(start.sum()) - 1.0) > 1e-9:
            raise InputError(f"batched auction: expected an initial distribution >= 0 that sums to 1, got a sum of {start.sum():.9g}")
        if self.drift is not None:
            rows = float64_array(self.drift, "batched auction: drift", shape=(self.grid, self.grid))
            wrong = np.flatnonzero((np.abs(rows.sum(axis=1) - 1.0) > 1e-9) | np.any(rows < 0.0, axis=1))
            if len(wrong):
                at = int(wrong[0])
                raise InputError(f"batched auction: expected drift rows >= 0 that sum to 1, row {at} sums to {rows[at].sum():.9g}")
        if self.discount is not None:
            float64_array(self.discount, "batched auction: discount", shape=(self.rounds,))

    @property
    def begins(self) -> Float64[np.ndarray, " grid"]:
        """The first distribution of values."""
        return np.full(self.grid, 1.0 / self.grid) if self.initial is None else self.initial

    @property
    def values(self) -> Float64[np.ndarray, " grid"]:
        """The values, which are also the bids."""
        return np.arange(self.grid) / self.grid

    def market(self, theta: Any = None) -> Market:
        """The market that ``theta`` names: the setting's own, unless it is :class:`InMarket`."""
        if isinstance(theta, InMarket):
            return theta.market
        begins = jnp.asarray(self.begins)
        return Market(begins, jnp.asarray(self.supply, dtype=begins.dtype))

    def game(self, rule: SellingRule) -> MeanFieldGame:
        """The mean-field game that the rule makes of it; theta are the rule's weights, or :class:`InMarket`.

        The states are the values and, last, "out"; the public record is what is left to sell. Who is out has nothing to choose, so that
        entropy is counted for bidders only.
        """
        values = jnp.asarray(self.values)
        count = self.grid

        def sale(h: Round, flow: Mass, left: Scalar, theta: Any) -> tuple[Sale, BidMass, BidMass]:
            bids = flow[:count].sum(axis=0)
            sold = rule.sell(h, bids, left, weights_in(theta))
            return sold, bids, winning_probability(bids, sold.quantity)

        def reward(h: Round, flow: Mass, theta: Any, left: Scalar) -> Mass:
            sold, _, wins = sale(h, flow, left, theta)
            gain = values[:, None] - sold.prices[None, :]
            felt = gain if self.utility is None else self.utility(gain)
            weight = 1.0 if self.discount is None else jnp.asarray(self.discount)[h]
            return jnp.concatenate([weight * wins * felt, jnp.zeros((1, count), flow.dtype)])

        def move(h: Round, mass: Mass, flow: Mass, theta: Any, left: Scalar) -> Float[Array, " states"]:
            wins = sale(h, flow, left, theta)[2]
            stay = mass[:count] @ (1.0 - wins)
            out = mass[count].sum() + (mass[:count] @ wins).sum()
            back = self.re_entry * out
            active = stay + back * self.market(theta).initial
            moved = active if self.drift is None else active @ jnp.asarray(self.drift)
            return jnp.append(moved, out - back)

        def record(h: Round, flow: Mass, left: Scalar, theta: Any) -> Scalar:
            sold, bids, wins = sale(h, flow, left, theta)
            return left - jnp.minimum(sold.quantity, bids @ wins)

        def inspect(h: int, flow: Mass, left: Scalar, theta: Any) -> None:
            _feasible(rule.sell(h, flow[:count].sum(axis=0), left, weights_in(theta)), h, float(left), count)

        return MeanFieldGame(
            name="batched auction",
            states=count + 1,
            actions=count,
            horizon=self.rounds,
            initial=np.append(self.begins, 0.0),
            reward=reward,
            move=move,
            record=record,
            record_start=lambda theta: self.market(theta).supply,
            start=lambda theta: jnp.append(self.market(theta).initial, 0.0),
            inspect=inspect,
            legal=np.vstack([np.ones((count, count), dtype=bool), np.arange(count) == 0]),
            state_labels=(*(f"{v:g}" for v in self.values), "out"),
            action_labels=tuple(f"{v:g}" for v in self.values),
        )

    def revenue(self, rule: SellingRule, flow: Flow, theta: Any = None) -> Scalar:
        """Money collected: g = sum_h sum_a nu_h(a) p_win(a) p_h(a), per head of the population."""
        return self._collected(rule, flow, theta, lambda sold, mass: mass.sum(axis=0) * sold.prices)

    def welfare(self, rule: SellingRule, flow: Flow, theta: Any = None) -> Scalar:
        """Values of those who are served, per head of the population."""
        values = jnp.asarray(self.values)
        return self._collected(rule, flow, theta, lambda _sold, mass: values @ mass)

    def _collected(self, rule: SellingRule, flow: Flow, theta: Any, if_all_win: Callable[[Sale, Mass], BidMass]) -> Scalar:
        """Sum over rounds and bids of p_win(a) times what all who bid a would bring: a mean's gradient has a square below it."""
        left = records_of(self.game(rule), flow, theta)

        def round_of(h: Round, mass: Mass, remaining: Scalar) -> Scalar:
            bids = mass[: self.grid].sum(axis=0)
            sold = rule.sell(h, bids, remaining, weights_in(theta))
            return winning_probability(bids, sold.quantity) @ if_all_win(sold, mass[: self.grid])

        return jax.vmap(round_of)(jnp.arange(self.rounds), flow, left).sum()


def _feasible(sold: Sale, h: int, left: float, count: int) -> None:
    quantity, prices = np.asarray(sold.quantity), np.asarray(sold.prices)
    if quantity.shape != () or prices.shape != (count,):
        raise InputError(
            f"batched auction: expected a rule that sells one quantity at {count} prices, got shapes {quantity.shape} and {prices.shape} "
            f"in round {h}"
        )
    if not (np.isfinite(quantity) and np.isfinite(prices).all()):
        raise NotFiniteError(
            f"batched auction: expected a finite quantity and finite prices from the rule, got NaN or infinity in round {h}"
        )
    if not -1e-12 <= float(quantity) <= left + 1e-9:
        raise InputError(
            f"batched auction: expected a rule that sells between 0 and what is left, got {float(quantity):.6g} in round {h} where "
            f"{left:.6g} is left; take the least of the two in the rule"
        )


def weights_in(theta: Any) -> Any:
    """The rule's weights, whether or not a market rides along."""
    return theta.weights if isinstance(theta, InMarket) else theta


def winning_probability(bids: BidMass, quantity: Scalar) -> BidMass:
    """p_win(a) = clip((alpha - sum_{a' > a} nu(a')) / nu(a), 0, 1), 0/0 = 0 and x/0 = 1.

    The division is made at the marginal bid alone: elsewhere its gradient would be NaN once nu(a) underflows.

    Args:
        bids: nu, share of the population that makes each bid.
        quantity: alpha.

    Example:
        >>> winning_probability(jnp.asarray([0.3, 0.4, 0.2]), jnp.asarray(0.4)).round(6).tolist()
        [0.0, 0.5, 1.0]
    """
    above = jnp.cumsum(bids[::-1])[::-1] - bids
    room = quantity - above
    marginal = (room > 0.0) & (room < bids)
    part = _ratio(room, jnp.where(marginal, bids, 1.0))
    return jnp.where(marginal, part, jnp.where(room > 0.0, 1.0, 0.0))


@jax.custom_jvp
def _ratio(part: Float[Array, " bids"], whole: Float[Array, " bids"]) -> Float[Array, " bids"]:
    """Part by whole, with the derivative (d part - ratio d whole) / whole: JAX's own divides by whole², which underflows first."""
    return part / whole


@_ratio.defjvp
def _ratio_jvp(at: tuple[Any, Any], along: tuple[Any, Any]) -> tuple[Any, Any]:
    ratio = _ratio(*at)
    return ratio, (along[0] - ratio * along[1]) / at[1]
