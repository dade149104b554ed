"""Mechanisms turned round: against the named tenders, against brute force, and before the auditor."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hurwicz._foundation import InputError
from hurwicz.audits import Effort, Verdict, audit
from hurwicz.mechanisms import (
    all_pay,
    combinatorial_vcg,
    discriminatory,
    first_price,
    first_price_procurement,
    k_double_auction,
    make,
    multi_unit_vickrey,
    multi_unit_vickrey_procurement,
    optimal_auction,
    optimal_procurement,
    posted_price,
    reverse,
    second_price,
    second_price_procurement,
    single_parameter,
    uniform_price_procurement,
)
from hurwicz.settings import PROPERTIES
from hurwicz.typespaces import CorrelatedPrior, FinitePrior, Interval, Mixture, Prior, TruncatedNormal, Uniform, mirrored

EFFORT = Effort(profiles=60, deviations=13, refinements=2, steps=20, seconds=3.0, max_nodes=512, samples=512, max_exhaustive=200_000)
SKEWED = TruncatedNormal(0.0, 1.0, mean=0.2, sd=0.4)
GRID = np.linspace(0.0, 1.0, 5)


def asks(agents: int, count: int, seed: int = 0) -> np.ndarray:
    """Drawn asks, and asks on a grid with ties everywhere."""
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.random((count, agents)), rng.choice(GRID, (count, agents))])


@pytest.mark.parametrize("ties", ["lottery", "order"])
@pytest.mark.parametrize(
    ("forward", "named"), [(first_price, first_price_procurement), (second_price, second_price_procurement)], ids=["first", "second"]
)
def test_the_reverse_of_an_auction_is_the_tender_of_that_name(forward: Any, named: Any, ties: str) -> None:
    for reserve in (0.0, 0.25):
        turned, tender = reverse(forward(3, reserve=reserve, ties=ties)), named(3, ceiling=1.0 - reserve, ties=ties)
        costs = asks(3, 200)
        for ours, theirs in zip(turned.decide(costs), tender.decide(costs), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-12)
        types = {name: costs[:, i] for i, name in enumerate(turned.agents)}
        other = {name: costs[:, i] for i, name in enumerate(tender.agents)}
        np.testing.assert_allclose(turned.welfare_bounds(types), tender.welfare_bounds(other), atol=1e-12)
        np.testing.assert_allclose(turned.planner_values(turned.outcomes(types)), tender.planner_values(tender.outcomes(other)), atol=1e-12)


def test_the_reverse_of_the_optimal_auction_is_the_optimal_procurement() -> None:
    """Asymmetric priors, one with an atom and a gap: virtual values of 1 - c against virtual costs of c."""
    costs: dict[str, Prior] = {
        "a": SKEWED,
        "b": Uniform(Interval(0.25, 1.0)),
        "c": Mixture([Uniform(Interval(0.0, 0.5)), FinitePrior([0.75])], [0.5, 0.5]),
    }
    turned = reverse(optimal_auction(list(costs), prior={name: mirrored(law, 1.0) for name, law in costs.items()}), about=1.0)
    named = optimal_procurement(list(costs), prior=costs, value=1.0)
    given_ = np.concatenate(
        [np.stack(list(turned.prior.sample(np.random.default_rng(1), 300).values()), axis=1), asks(3, 50) * 0.75 + 0.25]
    )
    given_[:, 2] = np.where(np.abs(given_[:, 2] - 0.75) < 0.1, 0.75, given_[:, 2])
    for ours, theirs in zip(turned.decide(given_), named.decide(given_), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize(
    "mechanism",
    [
        all_pay(3),
        discriminatory(4, units=2, reserve=0.2),
        posted_price(2),
        first_price(2, prior=FinitePrior([0.1, 0.3, 0.7])),
        multi_unit_vickrey(3),
    ],
    ids=lambda m: m.name,
)
def test_turned_round_twice_it_is_what_it_was_and_utilities_never_change(mechanism: Any) -> None:
    once = reverse(mechanism, about=1.1)
    twice = reverse(once, about=1.1)
    assert (twice.name, twice.type_spaces.keys()) == (mechanism.name, mechanism.type_spaces.keys())
    types = mechanism.prior.sample(np.random.default_rng(2), 64)
    costs = {name: 1.1 - values for name, values in types.items()}
    told = mechanism.prior.sample(np.random.default_rng(3), 64)
    lies = {name: 1.1 - values for name, values in told.items()}
    there, here, again = mechanism.outcomes(told), once.outcomes(lies), twice.outcomes(told)
    for name in mechanism.agents:
        forward = mechanism.values(name, there, types[name]) - there.payments[name]
        np.testing.assert_allclose(once.values(name, here, costs[name]) - here.payments[name], forward, atol=1e-12)
        np.testing.assert_allclose(again.payments[name], there.payments[name], atol=1e-12)
        np.testing.assert_allclose(again.allocation[name], there.allocation[name], atol=0.0)


@pytest.mark.parametrize(
    "name",
    ["first_price", "second_price", "all_pay", "third_price", "discriminatory", "uniform_price", "dutch_clock", "optimal_auction",
     "posted_price", "multi_unit_vickrey", "generalized_second_price"],
)  # fmt: skip
def test_what_is_claimed_of_the_reverse_stands_before_the_auditor(name: str) -> None:
    forward: Any = make(name, 3)
    mechanism: Any = reverse(forward)
    says = {p: [c for c in mechanism.guarantees if c.property == p] for p in PROPERTIES}
    asked = [p for p, claims in says.items() if claims]
    verdicts = {finding.property: finding for finding in audit(mechanism, asked, effort=EFFORT)}
    for name_, finding in verdicts.items():
        if any(claim.holds for claim in says[name_]):
            assert finding.verdict is not Verdict.REFUTED, f"{name_}: {finding.reason}"
        else:
            assert finding.verdict is Verdict.REFUTED, f"{name_}: {finding.reason}"
    assert verdicts["strong_budget_balance"].verdict is Verdict.REFUTED
    assert "shill_proof" not in asked
    assert "credible" not in asked


def test_first_price_is_refuted_and_second_price_is_proved() -> None:
    for prior in (None, FinitePrior([0.0, 0.3, 0.55, 1.0])):
        (refuted,) = audit(reverse(first_price(2, prior=prior)), ["DSIC"], effort=EFFORT)
        assert refuted.verdict is Verdict.REFUTED
        assert refuted.witness is not None
        proved = audit(reverse(second_price(2, prior=prior)), ["DSIC", "ex_post_IR"], effort=EFFORT)
        assert [finding.verdict for finding in proved] == [Verdict.PROVED, Verdict.PROVED]


def test_a_bound_on_revenue_is_about_the_auction_and_not_its_reverse() -> None:
    assert reverse(single_parameter("half", lambda b: (0.5 * b, 0.0 * b), 2, revenue_bound=0.1)).revenue_bound is None


def test_a_claim_that_does_not_carry_is_not_made() -> None:
    """A subsidised auction: the buyer of its reverse pays more than the job is worth, and it is said so."""
    from dataclasses import replace

    from hurwicz.settings import Claim, Property

    base = second_price(2)
    gift = replace(
        base,
        rule=lambda bids: (base.rule(bids)[0], base.rule(bids)[1] - 0.6),
        guarantees=(Claim(Property.WEAK_BUDGET_BALANCE, False, "", "gift"),),
    )
    turned = reverse(gift)
    assert {c.property: c.holds for c in turned.guarantees}[Property.PLANNER_IR] is False
    (finding,) = audit(turned, ["planner_IR"], effort=EFFORT)
    assert finding.verdict is Verdict.REFUTED


def test_multi_unit_vickrey_procurement_by_brute_force() -> None:
    """Least total cost over all ways to split two units, with everybody and without each: k + 1 programs by enumeration."""
    tender = multi_unit_vickrey_procurement(3, units=2, capacity=2)
    costs = tender.prior.sample(np.random.default_rng(4), 60)
    assert all(bool(np.all(np.diff(c, axis=1) >= 0.0)) for c in costs.values())
    outcomes = tender.outcomes(costs)

    def least(row: int, names: list[str]) -> float:
        splits = (s for s in itertools.product(range(3), repeat=len(names)) if sum(s) <= 2)
        # a unit that nobody delivers costs the buyer its worth of 1
        return min(float(sum(costs[n][row][:m].sum() for n, m in zip(names, split, strict=True))) + (2 - sum(split)) for split in splits)

    names = list(tender.agents)
    for row in range(60):
        best = least(row, names)
        for name in names:
            own = float(costs[name][row] @ outcomes.allocation[name][row])
            without = least(row, [n for n in names if n != name])
            assert -outcomes.payments[name][row] == pytest.approx(without - (best - own), abs=1e-9)


@given(st.integers(1, 3), st.integers(0, 10_000))
@settings(deadline=None, max_examples=20)
def test_uniform_price_procurement_by_sorting(units: int, seed: int) -> None:
    costs = np.random.default_rng(seed).random((20, 4))
    shares, payments = uniform_price_procurement(4, units=units, value=2.0, ceiling=0.8).decide(costs)
    for row in range(20):
        ranked = np.sort(costs[row])
        price = min(0.8, ranked[units])
        served = (costs[row] <= np.minimum(ranked[units - 1], 0.8)).astype(float)
        np.testing.assert_array_equal(shares[row], served)
        np.testing.assert_allclose(-payments[row], served * price, atol=1e-12)


def test_the_descending_clock_by_walking_down() -> None:
    clock = make("descending_clock_procurement", 3, decrement=0.1)
    costs = np.random.default_rng(5).random((40, 3))
    shares, payments = clock.decide(costs)  # type: ignore[attr-defined]
    for row in range(40):
        active, price = [0, 1, 2], 1.0
        while len(active) > 1:
            stay = [i for i in active if costs[row, i] <= price + 1e-9]
            if not stay:
                price += 0.1  # those who accepted the price before tie at it
                break
            active = stay
            if len(active) > 1:
                price -= 0.1
        expected = np.zeros(3)
        expected[active] = 1.0 / len(active)
        np.testing.assert_allclose(shares[row], expected)
        np.testing.assert_allclose(-payments[row], expected * price, atol=1e-9)


def test_finite_costs_are_the_same_types_again() -> None:
    """1.2 - (1.2 - .7) is not .7: the rule of a finite prior is asked at its own types."""
    prior = FinitePrior([0.1, 0.3, 0.7, 0.9], [0.1, 0.4, 0.3, 0.2])
    forward = optimal_auction(2, prior=prior)
    turned = reverse(forward, about=1.2)
    values = np.asarray(list(itertools.product([0.1, 0.3, 0.7, 0.9], repeat=2)))
    shares, payments = turned.decide(1.2 - values)
    np.testing.assert_array_equal(shares, forward.decide(values)[0])
    np.testing.assert_allclose(payments, forward.decide(values)[1] - 1.2 * shares, atol=1e-12)


def test_mirrored_laws() -> None:
    costs = mirrored(SKEWED, about=1.5)
    nodes, weights = costs.quadrature(20)
    assert weights @ nodes == pytest.approx(costs.mean, abs=1e-9)
    middle = np.linspace(0.5, 1.5, 2001)
    cells = 0.5 * (middle[1:] + middle[:-1])
    np.testing.assert_allclose(np.diff(costs.cdf(middle)), costs.pdf(cells) * np.diff(middle), rtol=1e-4)  # type: ignore[attr-defined]
    assert mirrored(costs, about=1.5) is SKEWED
    drawn = costs.sample(np.random.default_rng(6), 20_000)
    assert float((drawn <= 1.1).mean()) == pytest.approx(float(costs.cdf(np.array([1.1]))[0]), abs=0.015)  # type: ignore[attr-defined]
    joint = CorrelatedPrior({"bidder 1": [0.0, 1.0], "bidder 2": [0.25, 1.0]}, [0.25, 0.75])
    turned = reverse(second_price(2, prior=joint))
    assert turned.prior.mean["bidder 2"] == pytest.approx(0.25 * 0.75 + 0.75 * 0.0)


def test_what_cannot_be_turned_is_refused() -> None:
    with pytest.raises(InputError, match="both sides"):
        reverse(k_double_auction(2))
    with pytest.raises(InputError, match="procurement_vcg"):
        reverse(combinatorial_vcg(2))
    with pytest.raises(InputError, match="finite price"):
        reverse(first_price(2), about=float("nan"))
    with pytest.raises(InputError, match="ceiling"):
        uniform_price_procurement(2, value=0.5, ceiling=0.7)
    with pytest.raises(InputError, match="pricing"):
        uniform_price_procurement(2, pricing="highest rejected")
    with pytest.raises(InputError, match="finite number"):
        mirrored(SKEWED, about=float("inf"))
