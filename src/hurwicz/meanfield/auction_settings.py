"""The settings of batched auctions that the literature's experiments run on, by name."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from hurwicz._foundation import InputError
from hurwicz.meanfield.auctions import BatchedAuction, InMarket, Market, SellingRule
from hurwicz.meanfield.bidders import constant_absolute_risk, gaussian_drift, geometric_values, hyperbolic_discount
from hurwicz.meanfield.ceilings import ceiling, weights_of
from hurwicz.meanfield.copies import copies_of, side_by_side
from hurwicz.meanfield.game import MeanFieldGame


@dataclass(frozen=True, eq=False)
class Setting:
    """An auction, what its designer wants, and how its equilibria are computed.

    Attributes:
        name: as in the literature, "A1" to "A10".
        title: what is particular about it.
        auction: the setting; for a distribution over markets, the mean of it.
        objective: weights of ``"revenue"`` and ``"welfare"``.
        tau: weight of the bidders' entropy, in units of money.
        rate: eta of mirror descent.
        iterations: T of mirror descent.
        static: whether a rule may not look at the bids.
        draw: key → a market, where the rule must serve more than one; None where there is one.
        reconstructed: what the literature does not print legibly, and was chosen here.

    Raises:
        InputError: an objective that is neither revenue nor welfare.
    """

    name: str
    title: str
    auction: BatchedAuction
    objective: Mapping[str, float] = field(default_factory=lambda: {"revenue": 1.0})
    tau: float = 1e-3
    rate: float = 10.0
    iterations: int = 400
    static: bool = False
    draw: Callable[[Key[Array, ""]], Market] | None = None
    reconstructed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse an objective that has no meaning."""
        weights_of(self.objective)

    @functools.cached_property
    def ceiling(self) -> float | None:
        """What no rule can pass as tau → 0, where it is known; see :func:`hurwicz.meanfield.ceiling`."""
        return None if self.draw is not None else ceiling(self.auction, self.objective)

    def markets(self, key: Key[Array, ""], count: int) -> Market:
        """``count`` markets drawn independently, stacked; the same one where the setting has one market.

        Raises:
            InputError: no market asked for.
        """
        if count < 1:
            raise InputError(f"setting {self.name}: expected at least 1 market, got {count}")
        draw = (lambda _: self.auction.market()) if self.draw is None else self.draw
        drawn: Market = jax.vmap(draw)(jax.random.split(key, count))
        return drawn

    def game(self, rule: SellingRule, markets: Market | None = None) -> MeanFieldGame:
        """The game under a rule: the auction's own, or that of several markets side by side."""
        own = self.auction.game(rule)
        return own if markets is None else side_by_side(own, markets, InMarket)

    def worth(
        self, rule: SellingRule, flow: Float[Array, "horizon states actions"], weights: Any, markets: Market | None = None
    ) -> Float[Array, ""]:
        """The objective at a flow, per head; the mean over ``markets`` where they are side by side."""
        if markets is not None:
            return self.worths(rule, flow, weights, markets).mean()
        revenue, welfare = weights_of(self.objective)
        total = revenue * self.auction.revenue(rule, flow, weights) if revenue else jnp.zeros((), flow.dtype)
        return total + welfare * self.auction.welfare(rule, flow, weights) if welfare else total

    def worths(
        self, rule: SellingRule, flow: Float[Array, "horizon states actions"], weights: Any, markets: Market
    ) -> Float[Array, " markets"]:
        """The objective market by market."""
        flows = copies_of(flow, markets.supply.shape[0], mass=True)
        return jax.vmap(lambda f, market: self.worth(rule, f, InMarket(weights, market)), in_axes=(1, 0))(flows, markets)


def _a1(grid: int, rounds: int) -> dict[str, Any]:
    return {"title": "uniform values that stay", "auction": BatchedAuction(rounds, 0.8, grid)}


def _a2(grid: int, rounds: int) -> dict[str, Any]:
    auction = BatchedAuction(rounds, 0.8, grid, initial=geometric_values(grid), drift=gaussian_drift(grid, 3.0, 0.2))
    return {"title": "low values that triple", "auction": auction, "reconstructed": (_FIRST, _DRIFT)}


def _a3(grid: int, rounds: int) -> dict[str, Any]:
    def draw(key: Key[Array, ""]) -> Market:
        first, second = jax.random.split(key)
        return Market(jax.random.dirichlet(first, jnp.ones(grid)), jax.random.uniform(second, (), minval=0.6, maxval=1.2))

    auction = BatchedAuction(rounds, 0.9, grid, re_entry=0.3)
    return {"title": "a prior and a supply that the rule is not told", "auction": auction, "draw": draw, "reconstructed": (_BACK,)}


def _a4(grid: int, rounds: int) -> dict[str, Any]:
    auction = BatchedAuction(rounds, 0.8, grid, utility=constant_absolute_risk(2.0))
    return {"title": "bidders who shun risk", "auction": auction, "reconstructed": ("the utility: constant absolute risk aversion 2",)}


def _a5(grid: int, rounds: int) -> dict[str, Any]:
    auction = BatchedAuction(rounds, 0.8, grid, utility=constant_absolute_risk(-2.0))
    return {"title": "bidders who seek risk", "auction": auction, "reconstructed": ("the utility: constant absolute risk aversion -2",)}


def _a6(grid: int, rounds: int) -> dict[str, Any]:
    auction = BatchedAuction(rounds, 0.8, grid, discount=hyperbolic_discount(rounds))
    return {"title": "impatient bidders", "auction": auction, "reconstructed": ("the discount: 1 / (1 + h), counted from round 0",)}


def _a7(grid: int, rounds: int) -> dict[str, Any]:
    drift = gaussian_drift(grid, 1.2, 0.2)
    auction = BatchedAuction(rounds, 0.8, grid, initial=geometric_values(grid), drift=drift, re_entry=1.0)
    reconstructed = (_FIRST, _DRIFT, _BACK, "sigma .2 and supply .8, as in A2")
    return {"title": "values that grow, winners back at once", "auction": auction, "reconstructed": reconstructed}


def _a8(grid: int, rounds: int) -> dict[str, Any]:
    drift = gaussian_drift(grid, 1.2, 0.01)
    auction = BatchedAuction(rounds, 0.05 * rounds, grid, initial=geometric_values(grid), drift=drift, re_entry=0.015)
    return {"title": "a long sale", "auction": auction, "reconstructed": (_FIRST, _DRIFT, _BACK)}


def _a9(grid: int, rounds: int) -> dict[str, Any]:
    objective = {"revenue": 1.0, "welfare": 1.0}
    return {**_a1(grid, rounds), "title": "revenue plus efficiency", "objective": objective, "reconstructed": (_EFFICIENCY,)}


def _a10(grid: int, rounds: int) -> dict[str, Any]:
    auction = BatchedAuction(rounds, 0.8, grid, re_entry=0.3)
    return {"title": "a rule that may not look at the bids", "auction": auction, "static": True, "reconstructed": (_BACK, _UNIFORM)}


_FIRST = "the first distribution falls by .9 per hundredth of value"
_DRIFT = "the drift is of values, not of indices"
_BACK = "who comes back draws a value from the first distribution"
_EFFICIENCY = "efficiency is the sum of the values served, with weight 1"
_UNIFORM = "uniform values and supply .8, as in A1"
_SETTINGS: dict[str, tuple[int, Callable[[int, int], dict[str, Any]]]] = {
    "A1": (4, _a1),
    "A2": (4, _a2),
    "A3": (5, _a3),
    "A4": (4, _a4),
    "A5": (4, _a5),
    "A6": (4, _a6),
    "A7": (6, _a7),
    "A8": (100, _a8),
    "A9": (4, _a9),
    "A10": (4, _a10),
}
AUCTION_SETTINGS = tuple(_SETTINGS)


def auction_setting(name: str, *, grid: int = 100, rounds: int | None = None) -> Setting:
    """A setting of the literature, at its own size or at another.

    Args:
        name: one of ``AUCTION_SETTINGS``.
        grid: values and bids are 0, 1/grid, .., (grid - 1)/grid; 100 in the literature.
        rounds: H, the literature's if omitted. The supply of A8 is 1/20 a round; that of the others does not depend on it.

    Raises:
        InputError: an unknown name, or sizes that make no auction.

    Example:
        >>> a1 = auction_setting("A1")
        >>> a1.auction.rounds, a1.auction.supply, round(a1.ceiling, 3)
        (4, 0.8, 0.25)

    Source: Corecco et al., "Scalable neural incentive design with parameterized mean-field approximation" (arXiv 2510.21442), experiments
        A1 to A10; ``Setting.reconstructed`` says what is not legible there.
    """
    if name not in _SETTINGS:
        raise InputError(f"auction setting: expected one of {', '.join(AUCTION_SETTINGS)}, got {name!r}")
    horizon, build = _SETTINGS[name]
    if grid < 2 or (rounds is not None and rounds < 1):
        raise InputError(f"auction setting {name}: expected grid >= 2 and rounds >= 1, got {grid} and {rounds}")
    return Setting(name, **build(grid, horizon if rounds is None else rounds))
