"""One book for two-sided trade: who buys, who sells, and bids and asks in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float64, Int64, Shaped

from hurwicz._foundation import InputError
from hurwicz.mechanisms._arguments import count
from hurwicz.mechanisms.single_parameter import Bids, Payments, Shares, SingleParameterMechanism
from hurwicz.settings import Beliefs, Claim, JointPrior, Participants, PaymentIdentity, beliefs, participants

_Count: TypeAlias = Int64[np.ndarray, " batch"]
_Both: TypeAlias = Shaped[np.ndarray, "batch _some"]
_Price: TypeAlias = Float64[np.ndarray, " batch"]


@dataclass(frozen=True)
class Market:
    """Who buys (first) and who sells, and what is common to every mechanism between them."""

    names: tuple[str, ...]
    buyers: int
    prior: JointPrior

    @property
    def sellers(self) -> int:
        """How many sell."""
        return len(self.names) - self.buyers

    @property
    def sides(self) -> Float64[np.ndarray, " agents"]:
        """+1 for each buyer, -1 for each seller."""
        return np.concatenate([np.ones(self.buyers), -np.ones(self.sellers)])

    def split(self, both: _Both) -> tuple[_Both, _Both]:
        """The buyers' columns and the sellers'."""
        return both[:, : self.buyers], both[:, self.buyers :]

    def joined(self, buyer: _Price, seller: _Price) -> Float64[np.ndarray, "batch agents"]:
        """One number for all buyers of a profile and one for all its sellers, as a matrix."""
        return np.concatenate([np.repeat(buyer[:, None], self.buyers, 1), np.repeat(seller[:, None], self.sellers, 1)], axis=1)

    def efficient(self, types: Bids) -> Shares:
        """Every pair that gains trades, the highest values with the lowest costs."""
        book = Book(self, types)
        return book.shares(book.trades, "order")

    def mechanism(
        self,
        name: str,
        rule: Callable[[Bids], tuple[Shares, Payments]],
        guarantees: Sequence[Claim],
        formula: str,
        source: str,
        form: PaymentIdentity | None = None,
    ) -> SingleParameterMechanism:
        """A rule between these buyers and sellers, with what is common to all of them."""
        return SingleParameterMechanism(
            name=name,
            rule=rule,
            prior=self.prior,
            sides=self.sides,
            excess=lambda shares: shares[:, : self.buyers].sum(axis=1) - shares[:, self.buyers :].sum(axis=1),
            efficient=self.efficient,
            guarantees=tuple(guarantees),
            formula=formula,
            source=source,
            form=form,
        )


class Book:
    """Bids from the highest, asks from the lowest, and how many pairs gain by trading; ``low`` and ``high`` stand for those missing."""

    def __init__(self, market: Market, bids: Bids, low: float = -np.inf, high: float = np.inf) -> None:
        self._buy, self._sell = market.split(bids)
        self._bids = np.sort(self._buy, axis=1)[:, ::-1]
        self._asks = np.sort(self._sell, axis=1)
        self._low, self._high = low, high
        pairs = min(market.buyers, market.sellers)
        self.trades: _Count = (self._bids[:, :pairs] >= self._asks[:, :pairs]).sum(axis=1)

    def bid(self, rank: _Count) -> _Price:
        """The rank-th highest bid, from 1; ``high`` for 0 and ``low`` beyond the last."""
        return _ranked(self._bids, rank, self._high, self._low)

    def ask(self, rank: _Count) -> _Price:
        """The rank-th lowest ask, from 1; ``low`` for 0 and ``high`` beyond the last."""
        return _ranked(self._asks, rank, self._low, self._high)

    def shares(self, trades: _Count, ties: str) -> Shares:
        """1 for the first ``trades`` of each side; among those that tie with the last of them, by order or in equal parts."""
        parts = []
        for sign, given, ranked in ((1.0, self._buy, self._bids), (-1.0, self._sell, self._asks)):
            last = np.take_along_axis(ranked, np.maximum(trades - 1, 0)[:, None], axis=1)
            ahead, tied = sign * given > sign * last, given == last
            left = trades[:, None] - ahead.sum(axis=1, keepdims=True)
            parts.append(np.where(trades[:, None] > 0, ahead + rationed(tied, left, ties), 0.0))
        return np.concatenate(parts, axis=1)


def _ranked(values: Float64[np.ndarray, "batch side"], rank: _Count, before: float, beyond: float) -> _Price:
    size = values.shape[1]
    found = np.take_along_axis(values, np.clip(rank - 1, 0, size - 1)[:, None], axis=1)[:, 0]
    return np.asarray(np.where(rank < 1, before, np.where(rank > size, beyond, found)), dtype=np.float64)


def rationed(wants: Bool[np.ndarray, "batch side"], trades: Int64[np.ndarray, "batch one"], ties: str) -> Float64[np.ndarray, "batch side"]:
    """``trades`` units among those who want one: the first of them, or equal parts."""
    if ties == "order":
        return np.asarray(wants & (np.cumsum(wants, axis=1) <= trades), dtype=np.float64)
    return np.asarray(wants * trades / np.maximum(wants.sum(axis=1, keepdims=True), 1), dtype=np.float64)


def market_of(name: str, agents: Participants, prior: Beliefs, buyers: int | None) -> Market:
    """The market of a mechanism's arguments: buyers first, half of all (rounded up) where their number is not given.

    Raises:
        InputError: nobody to buy or nobody to sell, or beliefs about others.
    """
    if isinstance(agents, int):
        side = (agents + 1) // 2 if buyers is None else buyers
        who: Participants = [f"buyer {k + 1}" for k in range(side)] + [f"seller {k + 1}" for k in range(agents - side)]
    else:
        side = (len(agents) + 1) // 2 if buyers is None else buyers
        who = agents
    names = participants(who, "trader", least=2)
    count(name, "buyers", side)
    if side >= len(names):
        raise InputError(f"{name}: expected at least one seller after the buyers, got {side} buyers among {len(names)} agents")
    return Market(names, side, beliefs(names, prior))
