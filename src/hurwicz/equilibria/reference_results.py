"""The results of the literature that the solvers have to meet, each computed anew and set beside the known value."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float64

from hurwicz.equilibria.bayes_nash import bayes_nash
from hurwicz.equilibria.certificate import certify
from hurwicz.equilibria.closed_forms import (
    all_pay_bids,
    asymmetric_uniform_bids,
    chatterjee_samuelson_bids,
    discriminatory_bids,
    first_price_bids,
    sequential_first_price_bids,
)
from hurwicz.equilibria.equilibrium import Equilibrium
from hurwicz.equilibria.first_price_odes import first_price_odes
from hurwicz.equilibria.monotone import BestResponse
from hurwicz.equilibria.sequential import sequential_first_price
from hurwicz.mechanisms.several_units import discriminatory, uniform_price
from hurwicz.mechanisms.single_item import all_pay, first_price, second_price
from hurwicz.mechanisms.trade import k_double_auction
from hurwicz.typespaces import Interval, Uniform


@dataclass(frozen=True)
class ReferenceResult:
    """One line of the table.

    Attributes:
        claim: what is known, in a few words.
        ours: what was computed: a number, or for strategies the value at which they differ most.
        reference: the known value there.
        error: the largest absolute difference.
        epsilon: largest gain that the computed profile leaves, where it is one.
        bound: what no bid gains more than, where it is proved.
        seconds: of computing it.
        source: paper, or page.
    """

    claim: str
    ours: float
    reference: float
    error: float
    epsilon: float | None
    bound: float | None
    seconds: float
    source: str


def reference_results() -> Iterator[ReferenceResult]:
    """Every line, as soon as it is known.

    Example:
        >>> first = next(reference_results())
        >>> first.claim, first.error < 1e-3
        ('first price, n = 2: b(v) = (n-1)v/n', True)
    """
    for n in (2, 3, 5, 10):
        began = time.perf_counter()
        found = bayes_nash(first_price(n)).value
        yield _bids(f"first price, n = {n}: b(v) = (n-1)v/n", found, partial(first_price_bids, bidders=n), began, "Vickrey 1961")
        yield _number(f"first price, n = {n}: revenue (n-1)/(n+1)", found.revenue, (n - 1) / (n + 1), began, "Vickrey 1961")
    for n in (2, 3, 5):
        began = time.perf_counter()
        found = bayes_nash(all_pay(n)).value
        yield _bids(f"all-pay, n = {n}: b(v) = (n-1)v^n/n", found, partial(all_pay_bids, bidders=n), began, "Krishna 3.2")
        yield _number(f"all-pay, n = {n}: revenue (n-1)/(n+1)", found.revenue, (n - 1) / (n + 1), began, "Krishna 3.2")
    began = time.perf_counter()
    found = bayes_nash(second_price(3)).value
    yield _bids("second price, n = 3: b(v) = v", found, lambda v: v, began, "Vickrey 1961")
    yield _number("second price, n = 3: revenue (n-1)/(n+1)", found.revenue, 0.5, began, "Vickrey 1961")
    began = time.perf_counter()
    found = bayes_nash(first_price(3, reserve=0.5)).value
    yield _number("first price, n = 3, reserve 1/2: revenue 17/32", found.revenue, 17.0 / 32.0, began, "Myerson 1981")
    for n, k in ((3, 2), (5, 2), (6, 3)):
        began = time.perf_counter()
        found = bayes_nash(discriminatory(n, units=k)).value
        yield _bids(
            f"discriminatory, n = {n}, k = {k}: E[Y_k|Y_k<v]",
            found,
            partial(discriminatory_bids, bidders=n, units=k),
            began,
            "Krishna 13.5",
        )
        yield _number(f"discriminatory, n = {n}, k = {k}: k(n-k)/(n+1)", found.revenue, k * (n - k) / (n + 1), began, "Krishna 13.5")
    began = time.perf_counter()
    found = bayes_nash(uniform_price(5, units=2)).value
    yield _number("uniform (k+1)-th price, n = 5, k = 2: k(n-k)/(n+1)", found.revenue, 1.0, began, "Krishna 13.4")
    yield from _trade()
    yield from _asymmetric()
    for n, items in ((3, 2), (5, 3)):
        began = time.perf_counter()
        sequence = sequential_first_price(n, items).value
        for k in range(1, items + 1):
            known = sequential_first_price_bids(sequence.values, n, items, k)
            yield _line(
                f"sequential, n = {n}, K = {items}, round {k}: (n-K)v/(n-k+1)",
                sequence.bids[k - 1],
                known,
                began,
                "Weber 1983",
                sequence.epsilon,
            )
        far = int(np.abs(sequence.mean_prices - (n - items) / (n + 1)).argmax())
        yield _number(
            f"sequential, n = {n}, K = {items}: mean price (n-K)/(n+1)",
            float(sequence.mean_prices[far]),
            (n - items) / (n + 1),
            began,
            "Weber 1983",
        )


def _trade() -> Iterator[ReferenceResult]:
    began = time.perf_counter()
    auction = k_double_auction(2)
    found = bayes_nash(auction, dynamics=BestResponse(), knots=121, tolerance=1e-7, steps=40).value
    for name, side in zip(auction.agents, (0, 1), strict=True):
        values = np.linspace(0.25, 1.0, 151) if side == 0 else np.linspace(0.0, 0.75, 151)
        known = chatterjee_samuelson_bids(values, values)[side]
        claim = ("½-double auction, buyer: 2v/3 + 1/12", "½-double auction, seller: 2c/3 + 1/4")[side]
        yield _line(claim, found.bid(name, values), known, began, "Chatterjee, Samuelson 1983", found.epsilon, found.certificate.bound)
    yield _number("½-double auction: gains 9/64", found.welfare, 9.0 / 64.0, began, "Myerson, Satterthwaite 1983")


def _asymmetric() -> Iterator[ReferenceResult]:
    source = "Griesmer, Levitan, Shubik 1967"
    for high in (2.0, 5.0):
        priors = {"bidder 1": Uniform(Interval(0.0, 1.0)), "bidder 2": Uniform(Interval(0.0, high))}
        auction = first_price(2, prior=priors)
        began = time.perf_counter()
        strategies = first_price_odes(priors).value
        by_odes = Equilibrium(auction, strategies, certify(auction, strategies))
        routes = [("equations", by_odes, began)]
        if high == 2.0:
            began = time.perf_counter()
            routes.append(("collocation", bayes_nash(auction).value, began))
        for route, found, start in routes:
            for name, own, other in (("bidder 1", 1.0, high), ("bidder 2", high, 1.0)):
                values = np.linspace(0.0, own, 401)
                known = asymmetric_uniform_bids(values, own, other)
                claim = f"first price, [0,1] and [0,{high:g}], {name}, by {route}"
                yield _line(claim, found.bid(name, values), known, start, source, found.epsilon, found.certificate.bound)


def _bids(
    claim: str,
    found: Equilibrium,
    known: Callable[[Float64[np.ndarray, "values"]], Float64[np.ndarray, "values"]],
    began: float,
    source: str,
) -> ReferenceResult:
    values = np.linspace(0.0, 1.0, 501)
    ours = found.bid(found.mechanism.agents[0], values)
    return _line(claim, ours, known(values), began, source, found.epsilon, found.certificate.bound)


def _line(
    claim: str,
    ours: Float64[np.ndarray, "values"],
    known: Float64[np.ndarray, "values"],
    began: float,
    source: str,
    epsilon: float | None = None,
    bound: float | None = None,
) -> ReferenceResult:
    far = int(np.abs(ours - known).argmax())
    error = float(np.abs(ours - known).max())
    return ReferenceResult(claim, float(ours[far]), float(known[far]), error, epsilon, bound, time.perf_counter() - began, source)


def _number(claim: str, ours: float, known: float, began: float, source: str) -> ReferenceResult:
    return ReferenceResult(claim, ours, known, abs(ours - known), None, None, time.perf_counter() - began, source)
