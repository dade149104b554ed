"""Two-sided trade: buyers with values, sellers with costs, one unit each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from hurwicz.mechanisms._arguments import ends, number, ties_of
from hurwicz.mechanisms.order_book import Book, market_of, rationed
from hurwicz.mechanisms.registry import Entry
from hurwicz.mechanisms.single_parameter import Bids, Payments, Shares, SingleParameterMechanism
from hurwicz.settings import Beliefs, Claim, Participants, PaymentIdentity, Property, strategyproof


def posted_price_trade(
    agents: Participants = 2, *, prior: Beliefs = None, buyers: int | None = None, price: float = 0.5, ties: str = "lottery"
) -> SingleParameterMechanism:
    """Posted price between buyers and sellers: whoever likes the price trades at it, the longer side by lot.

    B buyers with b >= p and S sellers with s <= p: min(B, S) trades at p.

    Args:
        agents: how many, or their names: the buyers first.
        prior: over values and costs; uniform on [0, 1] if omitted.
        buyers: how many of the agents buy; half, rounded up, if omitted.
        price: p, decided before anybody speaks.
        ties: who of the longer side trades: ``"lottery"`` or ``"order"``.

    Raises:
        InputError: nobody to buy or nobody to sell, or a price that is not finite.

    Example:
        >>> outcome = posted_price_trade(2, price=0.5).outcome({"buyer 1": 0.8, "seller 1": 0.3})
        >>> outcome.payments
        {'buyer 1': 0.5, 'seller 1': -0.5}

    Source:
        K. Hagerty and W. Rogerson, "Robust trading mechanisms", Journal of Economic Theory 42 (1987): among DSIC, ex post IR and budget
        balanced mechanisms there is no other. Gains from trade 1/8 of the 1/6 possible for uniform types and p = 1/2.
    """
    name = "posted price trade"
    market = market_of(name, agents, prior, buyers)
    p = number(name, "price", price, least=-np.inf)
    ties_of(name, ties)

    def rule(bids: Bids) -> tuple[Shares, Payments]:
        wants = np.concatenate([bids[:, : market.buyers] >= p, bids[:, market.buyers :] <= p], axis=1)
        trades = np.minimum(wants[:, : market.buyers].sum(axis=1), wants[:, market.buyers :].sum(axis=1))[:, None]
        shares = np.concatenate([rationed(w, trades, ties) for w in market.split(wants)], axis=1)
        return shares, market.sides * shares * p

    source = "Hagerty and Rogerson 1987"
    return market.mechanism(
        name,
        rule,
        (
            *strategyproof(source),
            Claim(Property.EX_POST_IR, True, "", source),
            Claim(Property.STRONG_BUDGET_BALANCE, True, "", source),
            Claim(Property.EFFICIENCY, False, "misses trades on one side of the price", source),
        ),
        "trade at p between those with b >= p and s <= p",
        "K. Hagerty and W. Rogerson, Journal of Economic Theory 42 (1987)",
        # who trades does so at p whatever it bid beyond p, and its share is settled by the others' sides of p
        PaymentIdentity(paying=False),
    )


def k_double_auction(
    agents: Participants = 2, *, prior: Beliefs = None, buyers: int | None = None, k: float = 0.5, ties: str = "order"
) -> SingleParameterMechanism:
    """k-double auction: one price between the marginal bid and the marginal ask clears the market.

    p = k min(b_(q), s_(q+1)) + (1 - k) max(s_(q), b_(q+1)) with q efficient trades of the bids; for one buyer and one seller,
    p = k b + (1 - k) s where b >= s.

    Args:
        agents: how many, or their names: the buyers first.
        prior: over values and costs; uniform on [0, 1] if omitted.
        buyers: how many of the agents buy; half, rounded up, if omitted.
        k: weight of the buyers' side in the price, from 0 to 1.
        ties: among equal bids at the margin: ``"order"`` or ``"lottery"``.

    Raises:
        InputError: nobody to buy or nobody to sell, or k outside [0, 1].

    Example:
        >>> outcome = k_double_auction(2).outcome({"buyer 1": 0.75, "seller 1": 0.25})
        >>> outcome.payments
        {'buyer 1': 0.5, 'seller 1': -0.5}

    Source:
        K. Chatterjee and W. Samuelson, "Bargaining under incomplete information", Operations Research 31 (1983); A. Rustichini,
        M. Satterthwaite and S. Williams, Econometrica 62 (1994). Its linear equilibrium: :func:`chatterjee_samuelson`.
    """
    name = "k-double auction"
    market = market_of(name, agents, prior, buyers)
    weight = number(name, "k", k, most=1.0)
    ties_of(name, ties)

    def rule(bids: Bids) -> tuple[Shares, Payments]:
        book = Book(market, bids)
        above = np.minimum(book.bid(book.trades), book.ask(book.trades + 1))
        below = np.maximum(book.ask(book.trades), book.bid(book.trades + 1))
        price = weight * np.where(book.trades > 0, above, 0.0) + (1.0 - weight) * np.where(book.trades > 0, below, 0.0)
        shares = book.shares(book.trades, ties)
        return shares, market.sides * shares * price[:, None]

    source = "Chatterjee and Samuelson 1983"
    return market.mechanism(
        name,
        rule,
        (
            Claim(Property.DSIC, False, "the price moves with one's own bid", source),
            Claim(Property.BIC, False, "", source),
            Claim(Property.EX_POST_IR, True, "truthful bids", source),
            Claim(Property.STRONG_BUDGET_BALANCE, True, "", source),
            Claim(Property.EFFICIENCY, True, "truthful bids; its equilibria are not efficient", source),
        ),
        "p = k min(b_(q), s_(q+1)) + (1 - k) max(s_(q), b_(q+1))",
        "K. Chatterjee and W. Samuelson, Operations Research 31 (1983)",
    )


@dataclass(frozen=True)
class LinearEquilibrium:
    """The linear equilibrium of the k-double auction of one buyer and one seller, types uniform on [0, 1].

    buyer v / (1+k) + k (1-k) / (2 (1+k)),  seller c / (2-k) + (1-k) / 2; trade iff v >= (1+k)/(2-k) c + (1-k)/2.

    Attributes:
        k: weight of the buyer's bid in the price.
    """

    k: float

    def bid(self, values: Float64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
        """What a buyer of each value bids; below the least ask, its value, which trades as little."""
        k = self.k
        linear = values / (1.0 + k) + k * (1.0 - k) / (2.0 * (1.0 + k))
        return np.asarray(np.where(linear >= (1.0 - k) / 2.0, linear, values), dtype=np.float64)

    def ask(self, costs: Float64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
        """What a seller of each cost asks; above the greatest bid, its cost, which trades as little."""
        k = self.k
        linear = costs / (2.0 - k) + (1.0 - k) / 2.0
        highest = 1.0 / (1.0 + k) + k * (1.0 - k) / (2.0 * (1.0 + k))
        return np.asarray(np.where(linear <= highest, linear, costs), dtype=np.float64)

    @property
    def gains(self) -> float:
        """Expected gains from trade: E[(v - c) 1(v >= a c + d)], a = (1+k)/(2-k), d = (1-k)/2; 9/64 for k = 1/2."""
        k = self.k
        a, d = (1.0 + k) / (2.0 - k), (1.0 - k) / 2.0
        top = (1.0 - d) / a  # the costs above trade with nobody
        # the integral over c in [0, top] of (1 - (a c + d)^2) / 2 - c (1 - a c - d)
        cubic = ((a * top + d) ** 3 - d**3) / (3.0 * a)
        return 0.5 * (top - cubic) - (1.0 - d) * top**2 / 2.0 + a * top**3 / 3.0


def chatterjee_samuelson(k: float = 0.5) -> LinearEquilibrium:
    """The linear equilibrium of the bilateral k-double auction with types uniform on [0, 1].

    For k = 1/2: buyer 2v/3 + 1/12, seller 2c/3 + 1/4, trade iff v - c >= 1/4, gains 9/64: the second best.

    Args:
        k: weight of the buyer's bid in the price, from 0 to 1.

    Raises:
        InputError: k outside [0, 1].

    Example:
        >>> half = chatterjee_samuelson()
        >>> float(half.bid(np.array(0.5))), float(half.ask(np.array(0.0))), half.gains == 9 / 64
        (0.41666666666666663, 0.25, True)

    Source:
        K. Chatterjee and W. Samuelson, Operations Research 31 (1983), example 1; M. Satterthwaite and S. Williams (1989).
    """
    return LinearEquilibrium(number("chatterjee_samuelson", "k", k, most=1.0))


def mcafee(agents: Participants = 4, *, prior: Beliefs = None, buyers: int | None = None) -> SingleParameterMechanism:
    """McAfee's double auction: the price between the first pair that does not trade, or one trade fewer.

    q efficient trades, p = (b_(q+1) + s_(q+1)) / 2. If s_(q) <= p <= b_(q), all q trade at p; else q - 1 trade, the buyers at b_(q) and
    the sellers at s_(q). Where there is no further buyer or seller, the lowest or highest type of the market stands in.

    Args:
        agents: how many, or their names: the buyers first.
        prior: over values and costs; uniform on [0, 1] if omitted.
        buyers: how many of the agents buy; half, rounded up, if omitted.

    Raises:
        InputError: nobody to buy or nobody to sell.

    Example:
        >>> outcome = mcafee(4).outcome({"buyer 1": 0.9, "buyer 2": 0.5, "seller 1": 0.2, "seller 2": 0.7})
        >>> outcome.payments["buyer 1"], outcome.payments["seller 1"]  # p = .6 suits both
        (0.6, -0.6)

    Source:
        R. P. McAfee, "A dominant strategy double auction", Journal of Economic Theory 56 (1992), Theorem 1.
    """
    market = market_of("McAfee", agents, prior, buyers)
    spans = [ends(space) for space in {id(space): space for space in market.prior.spaces.values()}.values()]
    lowest, highest = min(low for low, _ in spans), max(high for _, high in spans)

    def rule(bids: Bids) -> tuple[Shares, Payments]:
        book = Book(market, bids, lowest, highest)
        last_bid, last_ask = book.bid(book.trades), book.ask(book.trades)
        price = 0.5 * (book.bid(book.trades + 1) + book.ask(book.trades + 1))
        whole = (book.trades > 0) & (last_ask <= price) & (price <= last_bid)
        shares = book.shares(np.where(whole, book.trades, np.maximum(book.trades - 1, 0)), "order")
        paid = market.joined(np.where(whole, price, last_bid), -np.where(whole, price, last_ask))
        return shares, np.where(shares > 0.0, paid, 0.0)

    source = "McAfee 1992, Theorem 1"
    return market.mechanism(
        "McAfee",
        rule,
        (
            *strategyproof(source),
            Claim(Property.EX_POST_IR, True, "", source),
            Claim(Property.WEAK_BUDGET_BALANCE, True, "", source),
            Claim(Property.EFFICIENCY, False, "loses at most the least valuable trade", source),
            *(
                (Claim(Property.STRONG_BUDGET_BALANCE, False, "after a reduction the market keeps b_(q) - s_(q) a trade", source),)
                if min(market.buyers, market.sellers) > 1
                else ()
            ),
        ),
        "p = (b_(q+1) + s_(q+1))/2 if it suits pair q, else q - 1 trades at b_(q) and s_(q)",
        "R. P. McAfee, Journal of Economic Theory 56 (1992)",
        PaymentIdentity(paying=False),
    )


def trade_reduction(agents: Participants = 4, *, prior: Beliefs = None, buyers: int | None = None) -> SingleParameterMechanism:
    """Trade reduction: leave out the least valuable efficient trade, and let its bid and ask be the prices.

    q efficient trades; the first q - 1 of each side trade, buyers pay b_(q), sellers get s_(q).

    Args:
        agents: how many, or their names: the buyers first.
        prior: over values and costs; uniform on [0, 1] if omitted.
        buyers: how many of the agents buy; half, rounded up, if omitted.

    Raises:
        InputError: nobody to buy or nobody to sell.

    Example:
        >>> outcome = trade_reduction(4).outcome({"buyer 1": 0.9, "buyer 2": 0.8, "seller 1": 0.2, "seller 2": 0.7})
        >>> outcome.payments
        {'buyer 1': 0.8, 'buyer 2': 0.0, 'seller 1': -0.7, 'seller 2': 0.0}

    Source:
        R. P. McAfee (1992); M. Babaioff and N. Nisan, "Concurrent auctions across the supply chain", JAIR 21 (2004).
    """
    market = market_of("trade reduction", agents, prior, buyers)

    def rule(bids: Bids) -> tuple[Shares, Payments]:
        book = Book(market, bids)
        shares = book.shares(np.maximum(book.trades - 1, 0), "order")
        paid = market.joined(book.bid(book.trades), -book.ask(book.trades))
        return shares, np.where(shares > 0.0, paid, 0.0)

    source = "McAfee 1992; Babaioff and Nisan 2004"
    several = min(market.buyers, market.sellers) > 1
    return market.mechanism(
        "trade reduction",
        rule,
        (
            *strategyproof(source),
            Claim(Property.EX_POST_IR, True, "", source),
            Claim(Property.WEAK_BUDGET_BALANCE, True, "", source),
            Claim(Property.EFFICIENCY, False, "keeps at least 1 - 1/q of the gains of q trades", source),
            *((Claim(Property.STRONG_BUDGET_BALANCE, False, "the market keeps b_(q) - s_(q) a trade", source),) if several else ()),
        ),
        "the first q - 1 pairs trade, buyers pay b_(q), sellers get s_(q)",
        "R. P. McAfee (1992); M. Babaioff and N. Nisan (2004)",
        PaymentIdentity(paying=False),
    )


def vcg_double_auction(
    agents: Participants = 2, *, prior: Beliefs = None, buyers: int | None = None, ties: str = "order"
) -> SingleParameterMechanism:
    """VCG double auction: every efficient trade, each at its own critical price, and a deficit for whoever runs it.

    q efficient trades; buyers pay max(s_(q), b_(q+1)), sellers get min(b_(q), s_(q+1)).

    Args:
        agents: how many, or their names: the buyers first.
        prior: over values and costs; uniform on [0, 1] if omitted.
        buyers: how many of the agents buy; half, rounded up, if omitted.
        ties: among equal bids at the margin: ``"order"`` or ``"lottery"``.

    Raises:
        InputError: nobody to buy or nobody to sell.

    Example:
        >>> outcome = vcg_double_auction(2).outcome({"buyer 1": 0.8, "seller 1": 0.3})
        >>> outcome.payments  # a deficit of v - c
        {'buyer 1': 0.3, 'seller 1': -0.8}

    Source:
        W. Vickrey, Journal of Finance 16 (1961). Expected deficit 1/6 for one uniform buyer and seller: the whole gains from trade.
    """
    market = market_of("VCG double auction", agents, prior, buyers)
    ties_of("VCG double auction", ties)

    def rule(bids: Bids) -> tuple[Shares, Payments]:
        book = Book(market, bids)
        some = book.trades > 0
        pay = np.where(some, np.maximum(book.ask(book.trades), book.bid(book.trades + 1)), 0.0)
        get = np.where(some, np.minimum(book.bid(book.trades), book.ask(book.trades + 1)), 0.0)
        shares = book.shares(book.trades, ties)
        return shares, shares * market.joined(pay, -get)

    source = "Vickrey 1961"
    return market.mechanism(
        "VCG double auction",
        rule,
        (
            *strategyproof(source),
            Claim(Property.EX_POST_IR, True, "", source),
            Claim(Property.EFFICIENCY, True, "", source),
            Claim(Property.WEAK_BUDGET_BALANCE, False, "sellers get at least what buyers pay", "Myerson and Satterthwaite 1983"),
            Claim(Property.STRONG_BUDGET_BALANCE, False, "", "Myerson and Satterthwaite 1983"),
        ),
        "all q efficient trades; buyers pay max(s_(q), b_(q+1)), sellers get min(b_(q), s_(q+1))",
        "W. Vickrey, Journal of Finance 16 (1961)",
    ).in_groves_form()


ENTRIES: tuple[Entry, ...] = (
    Entry("posted_price_trade", "trade", posted_price_trade),
    Entry("k_double_auction", "trade", k_double_auction),
    Entry("mcafee", "trade", mcafee, least=4),
    Entry("trade_reduction", "trade", trade_reduction, least=4),
    Entry("vcg_double_auction", "trade", vcg_double_auction),
)
