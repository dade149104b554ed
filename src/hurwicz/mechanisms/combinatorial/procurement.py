"""Procurement of bundles: one buyer who needs every good, sellers who offer bundles at costs; who delivers is a set covering."""

from __future__ import annotations

import itertools
import math
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64

from hurwicz._foundation import InputError, Solution, SolverError, Status
from hurwicz.mechanisms._arguments import ROUNDING, number, resizer
from hurwicz.mechanisms.combinatorial.auction import Assignment, CombinatorialAuction, combinatorial_auction
from hurwicz.mechanisms.combinatorial.listing import Assignments, Interests, bundles_of
from hurwicz.mechanisms.combinatorial.solvers import exact_highs
from hurwicz.mechanisms.combinatorial.winner_determination import PROVED, deadline_after
from hurwicz.mechanisms.multi_parameter import Allocation, MultiParameterMechanism, PaymentsOf, Reports
from hurwicz.mechanisms.registry import Entry
from hurwicz.settings import AffineMaximiser, Beliefs, Claim, Outcomes, Participants, Property, beliefs, participants, strategyproof
from hurwicz.typespaces import Box, Uniform
from hurwicz.valuations.bundles import BundleBids

_VCG = "W. Vickrey (1961), E. H. Clarke (1971), T. Groves (1973)"
_SOURCE = (
    "M. Bichler, A. Davenport, G. Hohner and J. Kalagnanam, Industrial procurement auctions, in Combinatorial Auctions (MIT Press, 2006)"
)
_MOST = 20_000


@dataclass(frozen=True)
class Tender:
    """What is needed, and what is offered; :func:`combinatorial_tender` makes one, checked.

    Attributes:
        offers: seller → its offers, prices being what it asks.
        demand: good → units that the buyer needs.
        reserve: good → what a unit costs the buyer elsewhere; goods without one must come from the sellers.
    """

    offers: Mapping[str, BundleBids]
    demand: Mapping[str, int]
    reserve: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class TenderResult:
    """An awarded tender.

    Attributes:
        assignment: who delivers what; its ``welfare`` is minus the cost of everything, goods from elsewhere included.
        payments: seller → what it pays, below 0: it is paid.
        elsewhere: good → units that the buyer gets elsewhere at the reserve.
        cost_without: who delivers → the least cost had it stayed away.
    """

    assignment: Assignment
    payments: Mapping[str, float]
    elsewhere: Mapping[str, int]
    cost_without: Mapping[str, float]

    @property
    def cost(self) -> float:
        """What the sellers ask for what they deliver, and what comes from elsewhere."""
        return -self.assignment.welfare


def combinatorial_tender(
    offers: Mapping[str, BundleBids] | Iterable[tuple[str, BundleBids]],
    *,
    goods: Iterable[str] | Mapping[str, int] | None = None,
    reserve: float | Mapping[str, float] | None = None,
) -> Tender:
    """A tender for goods, checked.

    Args:
        offers: seller → offers, or pairs of them; ``xor_bids`` for "one of these", ``or_bids`` for "any of these", prices being asks.
        goods: what is needed: names (a name k times is k units) or good → units; one unit of every good offered if omitted.
        reserve: what a unit of any good, or of each good named, costs the buyer elsewhere; nothing is to be had elsewhere if omitted.

    Raises:
        InputError: a seller named twice, an offer of a good that is not needed, a price or reserve that is negative or not finite.

    Example:
        >>> from hurwicz.valuations import single_minded
        >>> tender = combinatorial_tender({"ann": single_minded("AB", 6.0), "bob": single_minded("A", 2.0)}, reserve={"B": 5.0})
        >>> tender.demand, tender.reserve
        ({'A': 1, 'B': 1}, {'B': 5.0})
    """
    checked: CombinatorialAuction = combinatorial_auction(offers, goods=goods)
    outside = dict.fromkeys(checked.supply, reserve) if isinstance(reserve, int | float) else dict(reserve or {})
    unknown = sorted(set(outside) - set(checked.supply))
    if unknown:
        raise InputError(f"tender: expected reserves for goods among {sorted(checked.supply)}, got some for {unknown}")
    prices = {good: number("tender", f"reserve of {good!r}", price) for good, price in outside.items()}
    return Tender(checked.bids, checked.supply, prices)


def procurement_vcg(tender: Tender, *, time_limit: float | None = None) -> Solution[TenderResult]:
    """VCG procurement: the cheapest offers that cover what is needed; each who delivers is paid what its absence would cost.

    x* minimises sum_i c_i(x) + reserve(x) over all x that cover every good,  -t_i = W_-i - (W - c_i(x*))

    W is the least cost of all and W_-i that without seller i. Covering may leave goods over: the buyer disposes of them for nothing.

    Args:
        tender: offers, needs, and reserves.
        time_limit: seconds for everything together.

    Returns:
        Who delivers, and payments. Status ``OPTIMUM``, or ``STEP_LIMIT`` where time ran out: then the costs are those of the best
        covers found. Stats: ``bound`` (no cover costs less), ``gap``, ``nodes``, ``seconds``, and ``payment_bounds`` (seller → the least
        and the greatest amount that it may be due beside the cover found).

    Raises:
        InputError: goods that cannot be had, or that cannot be had without some seller: it could ask for anything. A reserve caps it.
        SolverError: HiGHS gave up, or found no cover in time.

    Example:
        >>> from hurwicz.valuations import single_minded, xor_bids
        >>> offers = {"ann": single_minded("AB", 6.0), "bob": single_minded("A", 2.0), "cem": xor_bids([("B", 3.0), ("AB", 7.0)])}
        >>> result = procurement_vcg(combinatorial_tender(offers)).value
        >>> result.cost, {name: round(paid, 9) for name, paid in result.payments.items()}  # bob: 6 - 3, cem: 6 - 2
        (5.0, {'ann': 0.0, 'bob': -3.0, 'cem': -4.0})

    Source:
        W. Vickrey (1961), E. H. Clarke (1971), T. Groves (1973); M. Bichler et al. (2006) for procurement.
    """
    began, deadline = time.perf_counter(), deadline_after(time_limit)
    program = _Covering(tender)
    best = program.least(None, deadline)
    if best is None:
        raise InputError(f"tender: expected offers that cover what is needed, {program.missing(None)}; ask more sellers or state a reserve")
    won = program.won(best.chosen)
    asked = {seller: program.cost(best.chosen, seller) for seller in won}
    payments, without = dict.fromkeys(tender.offers, 0.0), {}
    ranges: dict[str, tuple[float, float]] = {}
    nodes, exact = best.nodes, best.gap <= PROVED
    for seller in won:
        other = program.least(seller, deadline)
        if other is None:
            raise InputError(
                f"tender: without {seller!r} {program.missing(seller)}, and it could ask for anything; "
                "state a reserve, what these goods cost elsewhere"
            )
        rest = best.cost - asked[seller]
        payments[seller] = -max(other.cost - rest, asked[seller])
        ranges[seller] = (max(other.bound - rest, asked[seller]), -payments[seller])
        without[seller] = other.cost
        nodes, exact = nodes + other.nodes, exact and other.gap <= PROVED
    result = TenderResult(Assignment(won, -best.cost), payments, program.elsewhere(best.chosen), without)
    stats = {"bound": best.bound, "gap": best.gap, "nodes": nodes, "seconds": time.perf_counter() - began, "payment_bounds": ranges}
    return Solution(result, Status.OPTIMUM if exact else Status.STEP_LIMIT, stats)


@dataclass(frozen=True)
class _Cover:
    chosen: tuple[int, ...]
    cost: float
    bound: float
    nodes: int

    @property
    def gap(self) -> float:
        return (self.cost - self.bound) / max(abs(self.cost), 1e-12)


class _Covering:
    """min c.y + r.s,  sum_j units_gj y_j + s_g >= need_g,  one offer a phantom,  y in {0, 1}, s >= 0."""

    def __init__(self, tender: Tender) -> None:
        self.tender = tender
        self.atoms = [(seller, atom) for seller, own in tender.offers.items() for atom in own.atoms]
        self.goods = list(tender.demand)
        self.prices = np.asarray([atom.price for _, atom in self.atoms], dtype=np.float64)
        units = np.zeros((len(self.goods), len(self.atoms)))
        place = {good: g for g, good in enumerate(self.goods)}
        phantoms: dict[tuple[str, str], list[int]] = {}
        for j, (seller, atom) in enumerate(self.atoms):
            for good, many in Counter(atom.goods).items():
                units[place[good], j] = many
            for phantom in atom.phantoms:
                phantoms.setdefault((seller, phantom), []).append(j)
        self.units: Float64[np.ndarray, "goods offers"] = units
        self.need = np.asarray([tender.demand[good] for good in self.goods], dtype=np.float64)
        self.exclusive = [group for group in phantoms.values() if len(group) > 1]

    def least(self, absent: str | None, deadline: float) -> _Cover | None:
        """The cheapest cover without ``absent``; None where there is none."""
        import highspy

        allowed = self._allowed(absent)
        outside = [g for g, good in enumerate(self.goods) if good in self.tender.reserve]
        offers, count = len(self.atoms), len(self.atoms) + len(outside)
        asks = np.concatenate([self.prices, [self.tender.reserve[self.goods[g]] for g in outside]])
        scale = 1e3 / max(float(asks.max(initial=0.0)), 1e-300)
        solver = exact_highs(deadline)
        upper = np.concatenate([allowed.astype(np.float64), self.need[outside]])
        for j in range(count):
            solver.addVar(0.0, float(upper[j]))
            solver.changeColCost(j, float(asks[j] * scale))
            if j < offers:
                solver.changeColIntegrality(j, highspy.HighsVarType.kInteger)
        for g in range(len(self.goods)):
            columns = [*np.flatnonzero(self.units[g]), *[offers + k for k, h in enumerate(outside) if h == g]]
            amounts = [*self.units[g][self.units[g] > 0.0], *[1.0 for h in outside if h == g]]
            solver.addRow(
                float(self.need[g]), highspy.kHighsInf, len(columns), np.asarray(columns, np.int32), np.asarray(amounts, np.float64)
            )
        for group in self.exclusive:
            solver.addRow(-highspy.kHighsInf, 1.0, len(group), np.asarray(group, np.int32), np.ones(len(group)))
        solver.run()
        status = solver.getModelStatus()
        if status == highspy.HighsModelStatus.kInfeasible or (status == highspy.HighsModelStatus.kModelEmpty and self.need.sum() > 0.0):
            return None
        info = solver.getInfo()
        found = np.asarray(solver.getSolution().col_value)
        if status not in (highspy.HighsModelStatus.kOptimal, highspy.HighsModelStatus.kTimeLimit, highspy.HighsModelStatus.kModelEmpty):
            raise SolverError(f"tender: HiGHS stopped with {solver.modelStatusToString(status)}; check the scale of the prices")
        if status == highspy.HighsModelStatus.kTimeLimit and info.primal_solution_status != 2:
            raise SolverError("tender: no cover was found in time; allow more")
        chosen = tuple(int(j) for j in np.flatnonzero(found[:offers] > 0.5))
        cost = self.cost(chosen)
        bound = cost if status == highspy.HighsModelStatus.kOptimal else float(info.mip_dual_bound) / scale
        return _Cover(chosen, cost, min(bound, cost), max(int(info.mip_node_count), 0))

    def cost(self, chosen: Sequence[int], seller: str | None = None) -> float:
        """What the chosen offers ask (of one seller only, where named), and what comes from elsewhere."""
        asked = [self.prices[j] for j in chosen if seller is None or self.atoms[j][0] == seller]
        outside = [] if seller is not None else [self.tender.reserve[good] * many for good, many in self.elsewhere(chosen).items()]
        return math.fsum([*asked, *outside])

    def elsewhere(self, chosen: Sequence[int]) -> dict[str, int]:
        """Good → units that the chosen offers leave to be had elsewhere."""
        short = np.maximum(self.need - self.units[:, list(chosen)].sum(axis=1), 0.0)
        return {good: round(many) for good, many in zip(self.goods, short.tolist(), strict=True) if many > 0.0}

    def won(self, chosen: Sequence[int]) -> dict[str, tuple[Any, ...]]:
        """Who delivers → its offers that were taken."""
        out: dict[str, tuple[Any, ...]] = {}
        for j in chosen:
            seller, atom = self.atoms[j]
            out[seller] = (*out.get(seller, ()), atom)
        return out

    def missing(self, absent: str | None) -> str:
        """In words, which goods cannot be had."""
        most = (self.units * self._allowed(absent)).sum(axis=1)
        never = [good for g, good in enumerate(self.goods) if most[g] < self.need[g] and good not in self.tender.reserve]
        return f"{never} cannot be had" if never else "not all goods can be had together"

    def _allowed(self, absent: str | None) -> Bool[np.ndarray, " offers"]:
        return np.asarray([seller != absent for seller, _ in self.atoms], dtype=bool)


def combinatorial_procurement(
    agents: Participants = 3, *, prior: Beliefs = None, goods: Sequence[str] = ("A", "B"), interests: Interests = None, reserve: float = 1.0
) -> MultiParameterMechanism:
    """VCG procurement of bundles over fixed offers: the cheapest cover; each who delivers is paid what its absence would cost.

    x* minimises sum_i c_i(x) + r (units from elsewhere),  -t_i = W_-i - (W - c_i(x*)),  0 for who delivers nothing

    Args:
        agents: how many sellers, or their names.
        prior: over the costs of the bundles offered; uniform on [0, 1] for each if omitted.
        goods: what is needed; a name k times is k units.
        interests: bundles of which everybody may deliver one, or seller → bundles; every set of goods if omitted.
        reserve: r, what a unit costs the buyer elsewhere: nobody is pivotal beyond it.

    Raises:
        InputError: bundles that name goods not needed, too many ways to choose among them, a reserve below 0.

    Example:
        >>> tender = combinatorial_procurement(["ann", "bob", "cem"], interests={"ann": ["AB"], "bob": ["A"], "cem": ["B"]})
        >>> paid = tender.outcome({"ann": [0.6], "bob": [0.2], "cem": [0.3]}).payments
        >>> {name: round(t, 9) for name, t in paid.items()}
        {'ann': 0.0, 'bob': -0.3, 'cem': -0.4}

    Source:
        W. Vickrey (1961), E. H. Clarke (1971), T. Groves (1973); M. Bichler et al. (2006) for procurement.
    """
    names, price = participants(agents, "seller"), number("combinatorial_procurement", "reserve", reserve)
    listed = _covers(names, tuple(goods), interests)
    boxes = {n: Uniform(Box([0.0] * len(listed.bundles[n]), [1.0] * len(listed.bundles[n]))) for n in names}
    joint = beliefs(names, boxes if prior is None else prior)
    need = Counter(goods)
    units = {n: np.asarray([[float(bundle.count(good)) for good in need] for bundle in listed.bundles[n]]) for n in names}

    def outside(delivered: Mapping[str, Float64[np.ndarray, "batch _bundles"]]) -> Float64[np.ndarray, " batch"]:
        had: Any = sum(np.asarray(marks, dtype=np.float64) @ units[n] for n, marks in delivered.items())
        return np.asarray(price * np.maximum(np.asarray(list(need.values())) - had, 0.0).sum(axis=1), dtype=np.float64)

    every = {n: (listed.chosen[:, i, None] == np.arange(len(listed.bundles[n]))).astype(np.float64) for i, n in enumerate(names)}
    elsewhere = outside(every)

    def rule(reports: Reports) -> tuple[Allocation, PaymentsOf]:
        asked = listed.values(reports)
        totals = asked.sum(axis=2) + elsewhere
        best = totals.min(axis=1)
        tied = totals <= best[:, None] + ROUNDING * np.maximum(1.0, np.abs(best[:, None]))
        first = tied.argmax(axis=1)
        chosen = (np.arange(totals.shape[1]) == first[:, None]).astype(np.float64)
        rows = np.arange(len(first))
        payments = {}
        for i, name in enumerate(names):
            without = totals[:, listed.away(i)].min(axis=1)
            own = asked[rows, first, i]
            due = np.maximum(without - (totals[rows, first] - own), own)
            payments[name] = np.asarray(np.where(listed.chosen[first, i] >= 0, -due, 0.0), dtype=np.float64)
        return listed.marks(chosen), payments

    def boost(outcomes: Outcomes) -> Float64[np.ndarray, " batch"]:
        return -outside(outcomes.allocation)

    made = MultiParameterMechanism(
        name="combinatorial procurement",
        rule=rule,
        prior=joint,
        sides=dict.fromkeys(names, -1.0),
        excess=lambda allocation: np.asarray(np.max([x.sum(axis=1) - 1.0 for x in allocation.values()], axis=0), dtype=np.float64),
        guarantees=(
            *strategyproof(_VCG),
            Claim(Property.EX_POST_IR, True, "", _VCG),
            Claim(Property.WEAK_BUDGET_BALANCE, False, "the buyer pays", _VCG),
            Claim(Property.STRONG_BUDGET_BALANCE, False, "the buyer pays", _VCG),
        ),
        formula="x* is the cheapest cover; -t_i = W_-i - (W - c_i(x*)), W the least cost, W_-i that without i",
        source=f"{_VCG}; {_SOURCE}",
        labels={n: ["".join(b) if all(len(g) == 1 for g in b) else " + ".join(b) for b in listed.bundles[n]] for n in names},
        resized=None
        if isinstance(interests, Mapping)
        else resizer(combinatorial_procurement, prior, goods=goods, interests=interests, reserve=reserve),
    )
    return replace(made, form=AffineMaximiser(dict.fromkeys(names, 1.0), boost, "leave-one-out"))


def _covers(names: Sequence[str], goods: tuple[str, ...], interests: Interests) -> Assignments:
    """Every choice of at most one bundle a seller: what is left over costs nothing, what is missing comes from elsewhere."""
    if not goods:
        raise InputError("combinatorial_procurement: expected at least one good, got none")
    listed = bundles_of(names, goods, interests)
    for name, bundles in listed.items():
        unknown = sorted({good for bundle in bundles for good in bundle} - set(goods))
        if unknown:
            raise InputError(f"interests: {name!r} offers {unknown}, which are not needed; needed are {sorted(set(goods))}")
        if not bundles or not all(bundles) or len(set(bundles)) < len(bundles):
            raise InputError(
                f"interests: expected different bundles of at least one good for {name!r}, got {[''.join(b) for b in bundles]}"
            )
    count = math.prod(len(bundles) + 1 for bundles in listed.values())
    if count > _MOST:
        raise InputError(f"expected at most {_MOST} ways to choose among the bundles, got {count}; use procurement_vcg() on offers")
    choices = itertools.product(*([-1, *range(len(listed[name]))] for name in names))
    return Assignments(tuple(names), listed, np.asarray(list(choices), dtype=np.int64).reshape(count, len(names)))


ENTRIES: tuple[Entry, ...] = (Entry("combinatorial_procurement", "combinatorial", combinatorial_procurement),)
