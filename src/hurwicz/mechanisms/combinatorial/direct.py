"""Combinatorial auctions as direct mechanisms over fixed bundles of interest, for the auditor: small, exact, a batch at once.

Each bidder has a list of bundles it may win one of; its type is what each is worth to it. The feasible assignments are listed once; then
the best one, for all bidders and without each, is a maximum over that list.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray, InputError
from hurwicz.mechanisms._arguments import ROUNDING, resizer, ties_of
from hurwicz.mechanisms.combinatorial.core import nearest_core_point
from hurwicz.mechanisms.combinatorial.listing import Assignments, Interests, assignments
from hurwicz.mechanisms.multi_parameter import Allocation, MultiParameterMechanism, PaymentsOf, Reports
from hurwicz.mechanisms.registry import Entry
from hurwicz.settings import Beliefs, Claim, Participants, Property, beliefs, participants, strategyproof
from hurwicz.typespaces import Box, Uniform

_VCG = "W. Vickrey (1961), E. H. Clarke (1971), T. Groves (1973)"
_GREEN_LAFFONT = "J. Green and J.-J. Laffont, Econometrica 45 (1977)"
_CORE = "R. W. Day and P. Cramton, Operations Research 60 (2012)"
_GOEREE_LIEN = "J. K. Goeree and Y. Lien, On the impossibility of core-selecting auctions, Theoretical Economics 11 (2016)"
_MENU = "B. D. Bernheim and M. D. Whinston, QJE 101 (1986)"
_ROBERTS = "K. Roberts (1979)"
_CHUNK = 4_000_000


def combinatorial_vcg(
    agents: Participants = 2, *, prior: Beliefs = None, goods: Sequence[str] = ("A", "B"), interests: Interests = None, ties: str = "order"
) -> MultiParameterMechanism:
    """VCG for bundles: the best assignment; each pays what its presence costs the others.

    t_i = max_x sum_{j≠i} v_j(x) - sum_{j≠i} v_j(x*)

    Args:
        agents: how many bidders, or their names.
        prior: over values of the bundles of interest; uniform on [0, 1] for each if omitted.
        goods: what is for sale; a name k times is k units.
        interests: bundles that everybody may win one of, or bidder → bundles; every set of goods if omitted.
        ties: ``"order"`` (earlier bidders and smaller bundles first) or ``"lottery"`` (best assignments equally likely).

    Raises:
        InputError: bundles that name unknown goods, or too many assignments to list.

    Example:
        >>> local = {"ann": ["AB"], "bob": ["A"], "cem": ["B"]}
        >>> auction = combinatorial_vcg(["ann", "bob", "cem"], interests=local)
        >>> paid = auction.outcome({"ann": [0.6], "bob": [0.5], "cem": [0.4]}).payments
        >>> {name: round(t, 9) for name, t in paid.items()}
        {'ann': 0.0, 'bob': 0.2, 'cem': 0.1}

    Source:
        W. Vickrey (1961), E. H. Clarke (1971), T. Groves (1973).
    """
    claims = [
        *strategyproof(_VCG),
        Claim(Property.EX_POST_IR, True, "values are at least 0", _VCG),
        Claim(Property.EFFICIENCY, True, "", _VCG),
        Claim(Property.WEAK_BUDGET_BALANCE, True, "a bidder's presence never helps the others", _VCG),
        Claim(Property.STRONG_BUDGET_BALANCE, False, "the seller keeps the revenue", _GREEN_LAFFONT),
    ]
    formula = "x* maximises sum v_i(x); t_i = max_x sum_{j≠i} v_j(x) - sum_{j≠i} v_j(x*)"
    return _mechanism(
        "combinatorial VCG", agents, prior, goods, interests, ties, _clarke, claims, formula, _VCG, combinatorial_vcg
    ).in_groves_form(pivot="Clarke")


def combinatorial_pay_as_bid(
    agents: Participants = 2, *, prior: Beliefs = None, goods: Sequence[str] = ("A", "B"), interests: Interests = None, ties: str = "order"
) -> MultiParameterMechanism:
    """Pay as bid for bundles: the best assignment by the bids; each pays its bid for what it wins.

    Args:
        agents: how many bidders, or their names.
        prior: over values of the bundles of interest; uniform on [0, 1] for each if omitted.
        goods: what is for sale; a name k times is k units.
        interests: bundles that everybody may win one of, or bidder → bundles; every set of goods if omitted.
        ties: ``"order"`` or ``"lottery"``.

    Raises:
        InputError: as for :func:`combinatorial_vcg`.

    Example:
        >>> auction = combinatorial_pay_as_bid(["ann", "bob"], interests=["AB"])
        >>> auction.outcome({"ann": [0.6], "bob": [0.5]}).payments
        {'ann': 0.6, 'bob': 0.0}

    Source:
        B. D. Bernheim and M. D. Whinston (1986).
    """
    claims = [
        Claim(Property.DSIC, False, "a winner gains by bidding less", _MENU),
        Claim(Property.BIC, False, "shading pays also in expectation", _MENU),
        Claim(Property.EX_POST_IR, True, "at truthful bids", _MENU),
        Claim(Property.EFFICIENCY, True, "at truthful bids", _MENU),
        Claim(Property.WEAK_BUDGET_BALANCE, True, "", _MENU),
    ]
    formula = "x* maximises sum b_i(x); t_i = b_i(x*)"
    return _mechanism(
        "combinatorial pay as bid", agents, prior, goods, interests, ties, _own_bid, claims, formula, _MENU, combinatorial_pay_as_bid
    )


def core_selecting_auction(
    agents: Participants = 3, *, prior: Beliefs = None, goods: Sequence[str] = ("A", "B"), interests: Interests = None, ties: str = "order"
) -> MultiParameterMechanism:
    """Core-selecting auction: the best assignment; of the core payments of least revenue, those nearest to VCG.

    Args:
        agents: how many bidders, or their names.
        prior: over values of the bundles of interest; uniform on [0, 1] for each if omitted.
        goods: what is for sale; a name k times is k units.
        interests: bundles that everybody may win one of, or bidder → bundles; if omitted, the first bidder wants all goods together and
            each other one a single good, in turn (local bidders against a global one).
        ties: ``"order"`` or ``"lottery"`` (payments are those of the first of the best, on average over them).

    Raises:
        InputError: as for :func:`combinatorial_vcg`; more than 10 bidders, whose coalitions are too many to list.

    Example:
        >>> auction = core_selecting_auction(["global", "left", "right"])
        >>> paid = auction.outcome({"global": [0.6], "left": [0.5], "right": [0.4]}).payments
        >>> {name: round(t, 6) for name, t in paid.items()}
        {'global': 0.0, 'left': 0.35, 'right': 0.25}

    Source:
        R. W. Day and P. Cramton (2012); not truthful: J. K. Goeree and Y. Lien (2016).
    """
    names = participants(agents)
    if len(names) > 10:
        raise InputError(f"core-selecting auction: expected at most 10 bidders, got {len(names)}; use core_selecting() on bids")
    if interests is None:
        ordered = sorted(set(goods))
        interests = {name: [tuple(goods)] if i == 0 else [(ordered[(i - 1) % len(ordered)],)] for i, name in enumerate(names)}
    claims = [
        Claim(Property.EX_POST_IR, True, "at truthful bids", _CORE),
        Claim(Property.EFFICIENCY, True, "at truthful bids", _CORE),
        Claim(Property.WEAK_BUDGET_BALANCE, True, "", _CORE),
    ]
    if len(names) > 2:
        claims.append(Claim(Property.DSIC, False, "where VCG is not in the core", _GOEREE_LIEN))
    else:
        claims.append(Claim(Property.DSIC, True, "two bidders: VCG is in the core", _CORE))
    formula = "x* maximises sum b_i(x); t is the core point of least sum nearest to t_VCG"
    return _mechanism("core-selecting auction", names, prior, goods, interests, ties, _core, claims, formula, _CORE, core_selecting_auction)


def combinatorial_affine_maximiser(
    agents: Participants = 2,
    *,
    prior: Beliefs = None,
    goods: Sequence[str] = ("A", "B"),
    interests: Interests = None,
    weights: Sequence[float] | None = None,
    reserve: float = 0.0,
    ties: str = "order",
) -> MultiParameterMechanism:
    """Affine maximiser for bundles: weights on bidders, and a constant taken off for every bundle sold.

    x* maximises sum_i w_i v_i(x) + c(x),  c(x) = -r (number of bundles sold)
    t_i = (max_x {sum_{j≠i} w_j v_j(x) + c(x)} - {sum_{j≠i} w_j v_j(x*) + c(x*)}) / w_i

    Args:
        agents: how many bidders, or their names.
        prior: over values of the bundles of interest; uniform on [0, 1] for each if omitted.
        goods: what is for sale; a name k times is k units.
        interests: bundles that everybody may win one of, or bidder → bundles; every set of goods if omitted.
        weights: w_i > 0 in order; 1, 2, ... if omitted.
        reserve: r ≥ 0.
        ties: ``"order"`` or ``"lottery"``.

    Raises:
        InputError: as for :func:`combinatorial_vcg`; weights that are not positive, a reserve below 0.

    Example:
        >>> auction = combinatorial_affine_maximiser(["ann", "bob"], interests=["AB"], weights=[1.0, 2.0])
        >>> auction.outcome({"ann": [0.6], "bob": [0.5]}).payments
        {'ann': 0.0, 'bob': 0.3}

    Source:
        K. Roberts, "The characterization of implementable choice rules", 1979.
    """
    names = participants(agents)
    weighing = [float(k + 1) for k in range(len(names))] if weights is None else [float(w) for w in weights]
    if len(weighing) != len(names) or not all(math.isfinite(w) and w > 0 for w in weighing):
        raise InputError(f"affine maximiser: expected a weight above 0 for each of {list(names)}, got {weighing}")
    if not (math.isfinite(reserve) and reserve >= 0):
        raise InputError(f"affine maximiser: expected a reserve of at least 0, got {reserve!r}")
    plain = reserve == 0 and len(set(weighing)) == 1
    claims = [
        *strategyproof(_ROBERTS),
        Claim(Property.EX_POST_IR, True, "values are at least 0", _ROBERTS),
        Claim(Property.WEAK_BUDGET_BALANCE, True, "constants are at most 0", _ROBERTS),
        Claim(Property.EFFICIENCY, plain, "equal weights and no reserve" if plain else "weights or the reserve decide otherwise", _ROBERTS),
    ]
    formula = "x* maximises sum w_i v_i(x) + c(x); t_i = (max_x {sum_{j≠i} w_j v_j + c} - {sum_{j≠i} w_j v_j + c}(x*)) / w_i"
    decide = partial(_clarke, weights=np.asarray(weighing), reserve=float(reserve))
    made = partial(combinatorial_affine_maximiser, reserve=reserve) if weights is None else None
    sold = _mechanism("combinatorial affine maximiser", names, prior, goods, interests, ties, decide, claims, formula, _ROBERTS, made)
    return sold.in_groves_form(worth=-float(reserve), weights=dict(zip(names, weighing, strict=True)), pivot="Clarke")


_Decide = Callable[..., tuple[Float64[FloatArray, "batch assignments"], Float64[FloatArray, "batch bidders"]]]


def _mechanism(
    name: str,
    agents: Participants,
    prior: Beliefs,
    goods: Sequence[str],
    interests: Interests,
    ties: str,
    decide: _Decide,
    claims: Sequence[Claim],
    formula: str,
    source: str,
    made: Callable[..., MultiParameterMechanism] | None,
) -> MultiParameterMechanism:
    names = participants(agents)
    lottery = ties_of(name, ties) == "lottery"
    listed = assignments(names, tuple(goods), interests)
    if prior is None:
        boxes = {n: Uniform(Box([0.0] * len(listed.bundles[n]), [1.0] * len(listed.bundles[n]))) for n in names}
        joint = beliefs(names, boxes)
    else:
        joint = beliefs(names, prior)

    def rule(reports: Reports) -> tuple[Allocation, PaymentsOf]:
        batch = len(reports[names[0]])
        step = max(1, _CHUNK // max(1, len(listed.chosen) * len(names)))
        shares, paid = [], []
        for start in range(0, max(batch, 1), step):
            part = {n: np.asarray(reports[n][start : start + step]) for n in names}
            weights, payments = decide(listed, listed.values(part), lottery)
            shares.append(listed.marks(weights))
            paid.append(payments)
        allocation = {n: np.concatenate([share[n] for share in shares]) for n in names}
        payments = np.concatenate(paid)
        return allocation, {n: payments[:, i] for i, n in enumerate(names)}

    def efficient(types: Reports) -> Allocation:
        return listed.marks(_winners(listed.values(types).sum(axis=2), lottery=False))

    def excess(allocation: Allocation) -> Float64[np.ndarray, " batch"]:
        used = {
            good: sum(allocation[n] @ np.asarray([float(bundle.count(good)) for bundle in listed.bundles[n]]) for n in names)
            for good in dict.fromkeys(goods)
        }
        over: Any = [units - list(goods).count(good) for good, units in used.items()]
        several: Any = [allocation[n].sum(axis=1) - 1 for n in names]
        return np.asarray(np.max(np.stack([*over, *several]), axis=0), dtype=np.float64)

    resized = None
    if made is not None and not isinstance(interests, Mapping):
        resized = resizer(made, prior, goods=goods, interests=interests, ties=ties)
    return MultiParameterMechanism(
        name=name,
        rule=rule,
        prior=joint,
        excess=excess,
        efficient=efficient,
        guarantees=tuple(claims),
        formula=formula,
        source=source,
        labels={n: ["".join(b) if all(len(g) == 1 for g in b) else " + ".join(b) for b in listed.bundles[n]] for n in names},
        resized=resized,
    )


def _winners(totals: Float64[FloatArray, "batch assignments"], *, lottery: bool) -> Float64[FloatArray, "batch assignments"]:
    """Probability of each assignment: the first of the best, or all of the best alike; totals that differ by rounding only are equal."""
    best = totals.max(axis=1, keepdims=True)
    tied = totals >= best - ROUNDING * np.maximum(1.0, np.abs(best))
    if lottery:
        return np.asarray(tied / tied.sum(axis=1, keepdims=True), dtype=np.float64)
    return np.asarray(np.arange(totals.shape[1])[None, :] == tied.argmax(axis=1)[:, None], dtype=np.float64)


def _clarke(
    listed: Assignments,
    values: Float64[FloatArray, "batch assignments bidders"],
    lottery: bool,
    *,
    weights: Float64[FloatArray, " bidders"] | None = None,
    reserve: float = 0.0,
) -> tuple[Float64[FloatArray, "batch assignments"], Float64[FloatArray, "batch bidders"]]:
    weighing = np.ones(len(listed.names)) if weights is None else weights
    weighted = values * weighing
    constants = -reserve * (listed.chosen >= 0).sum(axis=1)
    totals = weighted.sum(axis=2) + constants
    chosen = _winners(totals, lottery=lottery)
    paid = []
    for i in range(len(listed.names)):
        others = weighted.sum(axis=2) - weighted[:, :, i] + constants
        # The constant of the bidder's own bundle is at most 0: the others do best where it gets nothing.
        pivot = others[:, listed.away(i)].max(axis=1)
        paid.append(np.maximum(pivot - (chosen * others).sum(axis=1), 0.0) / weighing[i])
    return chosen, np.stack(paid, axis=1)


def _own_bid(
    listed: Assignments, values: Float64[FloatArray, "batch assignments bidders"], lottery: bool
) -> tuple[Float64[FloatArray, "batch assignments"], Float64[FloatArray, "batch bidders"]]:
    del listed
    chosen = _winners(values.sum(axis=2), lottery=lottery)
    return chosen, np.einsum("ba,bai->bi", chosen, values)


def _core(
    listed: Assignments, values: Float64[FloatArray, "batch assignments bidders"], lottery: bool
) -> tuple[Float64[FloatArray, "batch assignments"], Float64[FloatArray, "batch bidders"]]:
    """Core payments with every coalition's value listed; the quadratic program only where VCG is outside the core."""
    count = len(listed.names)
    totals = values.sum(axis=2)
    chosen = _winners(totals, lottery=lottery)
    won = np.einsum("ba,bai->bi", chosen, values)
    worth = np.einsum("ba,ba->b", chosen, totals)
    coalitions = np.asarray(list(itertools.product([False, True], repeat=count)))
    inside = np.stack([totals[:, ~(listed.chosen[:, ~c] >= 0).any(axis=1)].max(axis=1) for c in coalitions], axis=1)
    alone = np.asarray([np.flatnonzero((coalitions == ~np.eye(count, dtype=bool)[i]).all(axis=1))[0] for i in range(count)])
    paid = np.clip(inside[:, alone] - (worth[:, None] - won), 0.0, won)
    # sum over i not in C of t_i ≥ w(C) - sum over i in C of v_i
    needs = inside - won @ coalitions.T.astype(np.float64)
    short = needs - paid @ (~coalitions).T.astype(np.float64)
    for b in np.flatnonzero((short > ROUNDING * np.maximum(1.0, worth)[:, None]).any(axis=1)):
        paid[b] = nearest_core_point(~coalitions, needs[b], paid[b], won[b])
    return chosen, paid


ENTRIES = (
    Entry("combinatorial_affine_maximiser", "combinatorial", combinatorial_affine_maximiser),
    Entry("combinatorial_pay_as_bid", "combinatorial", combinatorial_pay_as_bid),
    Entry("combinatorial_vcg", "combinatorial", combinatorial_vcg),
    Entry("core_selecting_auction", "combinatorial", core_selecting_auction, least=3),
)
