"""Procurement of bundles: against enumeration of all covers, before the auditor, and where goods or sellers are missing."""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hurwicz._foundation import InputError, Status
from hurwicz.audits import Effort, Verdict, audit
from hurwicz.mechanisms import MultiParameterMechanism
from hurwicz.mechanisms.combinatorial import combinatorial_procurement, combinatorial_tender, procurement_vcg
from hurwicz.typespaces import FinitePrior
from hurwicz.valuations import BundleBids, or_bids, single_minded, xor_bids

EFFORT = Effort(profiles=60, deviations=13, refinements=2, steps=20, seconds=3.0, max_nodes=512, samples=512, max_exhaustive=200_000)


def by_enumeration(offers: dict[str, BundleBids], need: dict[str, int], reserve: dict[str, float], absent: str | None = None) -> float:
    """Least cost over all sets of offers; infinite where none covers what is needed."""
    atoms = [(seller, atom) for seller, own in offers.items() if seller != absent for atom in own.atoms]
    best = np.inf
    for taken in itertools.product([False, True], repeat=len(atoms)):
        chosen = [atom for atom, yes in zip(atoms, taken, strict=True) if yes]
        used = [(seller, phantom) for seller, atom in chosen for phantom in atom.phantoms]
        if len(set(used)) < len(used):
            continue
        short = {good: units - sum(atom.goods.count(good) for _, atom in chosen) for good, units in need.items()}
        cost = sum(atom.price for _, atom in chosen)
        cost += sum(left * reserve.get(good, np.inf) for good, left in short.items() if left > 0)
        best = min(best, cost)
    return best


def drawn(rng: np.random.Generator, sellers: int) -> dict[str, BundleBids]:
    offers = {}
    for i in range(sellers):
        bundles = {tuple(sorted(rng.choice(list("AABC"), rng.integers(1, 4), replace=False))) for _ in range(rng.integers(1, 4))}
        listed = [(bundle, float(rng.integers(1, 30)) * len(bundle)) for bundle in sorted(bundles)]
        offers[f"seller {i}"] = xor_bids(listed) if rng.random() < 0.5 else or_bids(listed)
    return offers


@given(st.integers(2, 4), st.integers(0, 100_000))
@settings(deadline=None, max_examples=40)
def test_costs_and_payments_by_enumeration(sellers: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    offers, need = drawn(rng, sellers), {"A": 2, "B": 1, "C": 1}
    reserve = {good: float(rng.integers(20, 60)) for good in need}
    offered = {good for own in offers.values() for good in own.goods}
    found = procurement_vcg(combinatorial_tender(offers, goods=need, reserve=reserve))
    assert offered <= set(need)
    assert found.status is Status.OPTIMUM
    best = by_enumeration(offers, need, reserve)
    assert found.value.cost == pytest.approx(best, abs=1e-6)
    for seller, paid in found.value.payments.items():
        asked = found.value.assignment.bid_of(seller)
        if seller in found.value.assignment.won:
            assert -paid == pytest.approx(by_enumeration(offers, need, reserve, seller) - (best - asked), abs=1e-6)
            assert -paid >= asked - 1e-9
        else:
            assert paid == 0.0
    delivered = {good: sum(bundle.count(good) for bundle in found.value.assignment.bundles.values()) for good in need}
    for good, units in need.items():
        assert delivered[good] + found.value.elsewhere.get(good, 0) >= units


def test_covering_may_leave_goods_over() -> None:
    """Ann's AB and bob's BC for ABC: B comes twice, which no packing of the goods would allow."""
    offers = {"ann": single_minded("AB", 2.0), "bob": single_minded("BC", 2.0), "cem": single_minded("ABC", 9.0)}
    result = procurement_vcg(combinatorial_tender(offers)).value
    assert (result.cost, dict(result.payments)) == (4.0, {"ann": -7.0, "bob": -7.0, "cem": 0.0})


def test_a_seller_without_whom_nothing_goes_is_refused_or_capped() -> None:
    offers = {"ann": single_minded("A", 2.0), "bob": single_minded("B", 3.0), "cem": single_minded("B", 4.0)}
    with pytest.raises(InputError, match=r"without 'ann' \['A'\] cannot be had, and it could ask for anything; state a reserve"):
        procurement_vcg(combinatorial_tender(offers))
    result = procurement_vcg(combinatorial_tender(offers, reserve={"A": 7.0})).value
    assert result.payments["ann"] == -7.0
    dear = procurement_vcg(combinatorial_tender(offers, reserve={"A": 1.5})).value
    assert (dear.payments["ann"], dict(dear.elsewhere), dear.cost) == (0.0, {"A": 1}, 4.5)
    with pytest.raises(InputError, match=r"\['C'\] cannot be had; ask more sellers or state a reserve"):
        procurement_vcg(combinatorial_tender(offers, goods=["A", "B", "C"]))
    with pytest.raises(InputError, match="not all goods can be had together"):
        procurement_vcg(combinatorial_tender({"ann": xor_bids([("A", 1.0), ("B", 1.0)])}))


def test_what_is_no_tender_is_refused() -> None:
    with pytest.raises(InputError, match="not negative"):
        combinatorial_tender({"ann": BundleBids((replace(single_minded("A", 1.0).atoms[0], price=-1.0),))})
    with pytest.raises(InputError, match="reserves for goods among"):
        combinatorial_tender({"ann": single_minded("A", 1.0)}, reserve={"Z": 1.0})
    with pytest.raises(InputError, match="reserve of 'A'"):
        combinatorial_tender({"ann": single_minded("A", 1.0)}, reserve=-1.0)
    with pytest.raises(InputError, match="more than once"):
        combinatorial_tender([("ann", single_minded("A", 1.0)), ("ann", single_minded("A", 2.0))])
    with pytest.raises(InputError, match="not needed"):
        combinatorial_procurement(2, interests=["AZ"])
    with pytest.raises(InputError, match="ways to choose"):
        combinatorial_procurement(9)


@given(st.integers(0, 100_000))
@settings(deadline=None, max_examples=25)
def test_the_direct_mechanism_is_the_covering(seed: int) -> None:
    rng = np.random.default_rng(seed)
    names, bundles = ["ann", "bob", "cem"], ["A", "B", "AB"]
    tender = combinatorial_procurement(names, interests=bundles, reserve=0.8)
    costs = {name: rng.random(3) for name in names}
    outcome = tender.outcome({name: own.tolist() for name, own in costs.items()})
    offers = {name: xor_bids(list(zip(bundles, own.tolist(), strict=True))) for name, own in costs.items()}
    found = procurement_vcg(combinatorial_tender(offers, reserve=0.8)).value
    for name in names:
        assert outcome.payments[name] == pytest.approx(found.payments[name], abs=1e-7)
        assert float(costs[name] @ outcome.allocation[name]) == pytest.approx(found.assignment.bid_of(name), abs=1e-7)


def paid_as_asked(tender: MultiParameterMechanism, reports: dict[str, np.ndarray]) -> tuple[Any, Any]:
    allocation = tender.rule(reports)[0]
    return allocation, {name: -np.einsum("bd,bd->b", np.asarray(reports[name]), allocation[name]) for name in tender.agents}


def test_the_auditor_proves_vcg_and_refutes_paying_what_is_asked() -> None:
    names, local = ["both", "left", "right"], {"both": ["AB"], "left": ["A"], "right": ["B"]}
    grid = FinitePrior([[k / 4] for k in range(5)])
    for tender in (combinatorial_procurement(names, prior=grid, interests=local), combinatorial_procurement(3)):
        verdicts = {f.property: f.verdict for f in audit(tender, ["DSIC", "ex_post_IR", "weak_budget_balance"], effort=EFFORT)}
        assert verdicts["DSIC"] is verdicts["ex_post_IR"] is Verdict.PROVED
        assert verdicts["weak_budget_balance"] is Verdict.REFUTED
        as_asked = replace(tender, form=None, rule=partial(paid_as_asked, tender))
        (finding,) = audit(as_asked, ["DSIC"], effort=EFFORT)
        assert finding.verdict is Verdict.REFUTED


def test_twelve_sellers_of_sixteen_goods_within_a_time_limit() -> None:
    """Larger than enumeration: every payment is between what is asked and what the reserve would cost, and the bound is met."""
    rng = np.random.default_rng(3)
    goods = [f"g{k}" for k in range(16)]
    offers = {
        f"s{i}": xor_bids([(b, float(len(b) * (5 + rng.random()))) for b in (tuple(rng.choice(goods, 4, replace=False)) for _ in range(5))])
        for i in range(12)
    }
    found = procurement_vcg(combinatorial_tender(offers, goods=goods, reserve=12.0), time_limit=60.0)
    assert found.status is Status.OPTIMUM
    assert found.stats["bound"] == pytest.approx(found.value.cost, rel=1e-7)
    for seller, atoms in found.value.assignment.won.items():
        assert (
            found.value.assignment.bid_of(seller) - 1e-9 <= -found.value.payments[seller] <= 12.0 * sum(len(a.goods) for a in atoms) + 1e-9
        )
