"""Sealed bids for one item and reverse ones: rules by hand, critical values by bisection, revenue equivalence, and the auditor."""

from __future__ import annotations

import functools
import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from hurwicz._foundation import InputError, NotFiniteError
from hurwicz.audits import Verdict, audit
from hurwicz.mechanisms import (
    all_pay,
    first_price,
    first_price_procurement,
    make,
    optimal_auction,
    optimal_procurement,
    posted_price,
    posted_price_procurement,
    second_price,
    second_price_procurement,
    third_price,
)
from hurwicz.typespaces import Continuous, CorrelatedPrior, FinitePrior, Interval, TruncatedNormal, Uniform

GRID = FinitePrior([0.0, 0.25, 0.5, 0.75, 1.0])
BUYING = [first_price, second_price, third_price, all_pay, optimal_auction, posted_price]
SELLING = [first_price_procurement, second_price_procurement, optimal_procurement, posted_price_procurement]
TRUTHFUL = [second_price, optimal_auction, posted_price, second_price_procurement, optimal_procurement, posted_price_procurement]
SYMMETRIC = [first_price, second_price, third_price, all_pay, optimal_auction, first_price_procurement, second_price_procurement]

# Values in quarters, so that ties are common.
quarters = st.integers(0, 4).map(lambda k: k / 4)
profiles = st.lists(quarters, min_size=3, max_size=3)
ties = st.sampled_from(["lottery", "order"])


def options(make, way):
    return {} if make in (posted_price, posted_price_procurement) else {"ties": way}


@functools.cache
def made(make, way, agents=3):
    return make(agents, **options(make, way))


def by_hand(bids, reserve, way, price):
    """One profile of a sealed-bid auction, written out: shares and payments."""
    admitted = [i for i, b in enumerate(bids) if b >= reserve]
    if not admitted:
        return [0.0] * len(bids), [0.0] * len(bids)
    top = max(bids[i] for i in admitted)
    winners = [i for i in admitted if bids[i] == top]
    winners = winners if way == "lottery" else winners[:1]
    share = [1.0 / len(winners) if i in winners else 0.0 for i in range(len(bids))]
    ranked = sorted((bids[i] for i in admitted), reverse=True)

    def rank(k):
        return max(reserve, ranked[k]) if k < len(ranked) else reserve

    if price == "all":
        return share, [b if i in admitted else 0.0 for i, b in enumerate(bids)]
    return share, [s * rank({"first": 0, "second": 1, "third": 2}[price]) for s in share]


@settings(deadline=None, max_examples=60)
@given(st.lists(quarters, min_size=3, max_size=5), st.sampled_from([0.0, 0.25, 0.6]), ties)
def test_rules_are_those_written_out(bids, reserve, way):
    for make_it, price in ((first_price, "first"), (second_price, "second"), (third_price, "third"), (all_pay, "all")):
        shares, payments = make_it(len(bids), reserve=reserve, ties=way).decide(np.asarray([bids]))
        share, paid = by_hand(bids, reserve, way, price)
        assert shares[0] == pytest.approx(share)
        assert payments[0] == pytest.approx(paid)


@settings(deadline=None, max_examples=40)
@given(profiles, ties)
def test_a_reverse_auction_is_the_mirror_of_an_auction(costs, way):
    asks = np.asarray([costs])
    for sell, buy in ((first_price_procurement, first_price), (second_price_procurement, second_price)):
        shares, payments = sell(3, ceiling=0.75, ties=way).decide(asks)
        mirrored, paid = buy(3, reserve=0.25, ties=way).decide(1.0 - asks)
        assert shares == pytest.approx(mirrored)
        assert -payments == pytest.approx(mirrored - paid)


@pytest.mark.parametrize("make_it", BUYING + SELLING)
@settings(deadline=None, max_examples=25)
@given(profile=profiles, way=ties)
def test_feasible_rational_and_monotone(make_it, profile, way):
    mechanism = made(make_it, way)
    side = mechanism.sides[0]
    bids = np.asarray([profile])
    shares, payments = mechanism.decide(bids)
    assert shares.min() >= 0.0
    assert shares.sum() <= 1.0 + 1e-12
    if make_it is not all_pay:
        assert (side * bids * shares - payments).min() >= -1e-12
    for agent in range(3):
        line = np.repeat(bids, 33, axis=0)
        line[:, agent] = np.linspace(0.0, 1.0, 33)
        along = side * mechanism.decide(line)[0][:, agent]
        assert np.diff(along).min() >= -1e-12


@pytest.mark.parametrize("make_it", TRUTHFUL)
@settings(deadline=None, max_examples=10)
@given(profile=profiles, way=ties)
def test_truthful_payments_are_the_integral_of_the_allocation(make_it, profile, way):
    """Myerson's identity, with the steps of the allocation found by bisection."""
    mechanism = made(make_it, way)
    side = mechanism.sides[0]
    bids = np.asarray([profile])
    shares, payments = mechanism.decide(bids)

    def share(agent, value):
        moved = bids.copy()
        moved[0, agent] = value
        return mechanism.decide(moved)[0][0, agent]

    for agent in range(3):
        own = profile[agent]
        worst = 0.0 if side > 0 else 1.0

        def steps(a, b, fa, fb, agent=agent):
            # (position, height) of all steps of a monotone step function between a and b
            if abs(fa - fb) < 1e-12:
                return []
            if abs(a - b) < 1e-13:
                return [(0.5 * (a + b), fb - fa)]
            m = 0.5 * (a + b)
            fm = share(agent, m)
            return steps(a, m, fa, fm) + steps(m, b, fm, fb)

        critical = sum(at * height for at, height in steps(worst, own, share(agent, worst), shares[0, agent]))
        critical += worst * share(agent, worst)
        assert side * critical == pytest.approx(payments[0, agent], abs=1e-9)


@pytest.mark.parametrize("make_it", SYMMETRIC)
@settings(deadline=None, max_examples=25)
@given(profile=profiles, order=st.permutations(range(3)))
def test_names_do_not_matter(make_it, profile, order):
    mechanism = made(make_it, "lottery")
    bids = np.asarray([profile])
    shares, payments = mechanism.decide(bids)
    again, paid = mechanism.decide(bids[:, order])
    assert again == pytest.approx(shares[:, order])
    assert paid == pytest.approx(payments[:, order])


@pytest.mark.parametrize("make_it", BUYING + SELLING)
def test_a_batch_is_a_loop(make_it):
    mechanism = make_it(4)
    bids = np.concatenate([np.random.default_rng(0).random((20, 4)), np.asarray(list(itertools.product([0.0, 0.5, 1.0], repeat=4)))])
    shares, payments = mechanism.decide(bids)
    for k, row in enumerate(bids):
        share, paid = mechanism.decide(row[None])
        assert np.array_equal(share[0], shares[k])
        assert np.array_equal(paid[0], payments[k])


def test_first_price_fails_truth_and_keeps_rationality():
    for prior in (None, GRID):
        found = {f.property: f for f in audit(first_price(2, prior=prior), ["DSIC", "BIC", "ex_post_IR"], effort="quick")}
        assert found["DSIC"].verdict is Verdict.REFUTED
        assert found["BIC"].verdict is Verdict.REFUTED
        assert found["ex_post_IR"].verdict is (Verdict.NOT_REFUTED if prior is None else Verdict.PROVED)


@pytest.mark.parametrize("way", ["lottery", "order"])
@pytest.mark.parametrize("reserve", [0.0, 0.5, {"bidder 2": 0.5}])
def test_second_price_is_proved_on_grids(way, reserve):
    findings = audit(
        second_price(3, prior=GRID, ties=way, reserve=reserve), ["DSIC", "BIC", "ex_post_IR", "weak_budget_balance"], effort="quick"
    )
    assert [f.verdict for f in findings] == [Verdict.PROVED] * 4


@pytest.mark.parametrize(
    "make_it", [optimal_auction, posted_price, second_price_procurement, optimal_procurement, posted_price_procurement]
)
def test_other_truthful_rules_are_proved_on_grids(make_it):
    prior = FinitePrior([0.0, 0.25, 0.5, 0.75, 1.0], [0.3, 0.05, 0.05, 0.3, 0.3])
    for way in ("lottery", "order"):
        findings = audit(make_it(2, prior=prior, **options(make_it, way)), ["DSIC", "ex_post_IR"], effort="quick")
        assert [f.verdict for f in findings] == [Verdict.PROVED] * 2


@pytest.mark.parametrize("make_it", [third_price, all_pay, first_price_procurement])
def test_what_is_not_truthful_is_refuted_on_grids(make_it):
    findings = audit(make_it(3, prior=GRID), ["DSIC", "BIC"], effort="quick")
    assert [f.verdict for f in findings] == [Verdict.REFUTED] * 2


def test_a_winner_who_pays_less_than_its_critical_value_is_found_out():
    """Negative control: the right allocation at a wrong price."""
    honest = second_price(2, prior=GRID, reserve={"bidder 1": 0.5})

    def wrong(bids):
        shares, payments = honest.decide(bids)
        return shares, np.where(shares > 0.0, shares * 0.25, payments)

    (finding,) = audit(replace(honest, rule=wrong), ["DSIC"], effort="quick")
    assert finding.verdict is Verdict.REFUTED


@pytest.mark.parametrize("bidders", [2, 3, 5])
def test_revenue_equivalence(bidders):
    """Equilibrium bids of the four auctions for U[0, 1] raise (n - 1) / (n + 1), by quadrature of one agent's interim payment."""
    n = bidders
    shade = {
        first_price: lambda v: (n - 1) * v / n,
        second_price: lambda v: v,
        all_pay: lambda v: (n - 1) * v**n / n,
        third_price: lambda v: (n - 1) * v / (n - 2),
    }
    exact = (n - 1) / (n + 1)
    rng = np.random.default_rng(0)
    values = rng.random((200_000, n))
    for make_it, bid in shade.items():
        if make_it is third_price and n < 3:
            continue
        _, payments = make_it(n).decide(bid(values))
        drawn = payments.sum(axis=1)
        assert abs(drawn.mean() - exact) < 5 * drawn.std() / np.sqrt(len(drawn))
    # interim payments of first price and all-pay by quadrature, where they are smooth
    assert n * quad(lambda v: v ** (n - 1) * (n - 1) * v / n, 0, 1)[0] == pytest.approx(exact)
    assert n * quad(lambda v: (n - 1) * v**n / n, 0, 1)[0] == pytest.approx(exact)


def test_equilibrium_bids_are_best_responses():
    """No bid on a fine grid does better against the known equilibria."""
    n, bids = 3, np.linspace(0.0, 1.0, 2001)
    for value in (0.3, 0.8):
        # first price: rivals bid (n - 1) v / n; all-pay: (n - 1) v^n / n. Both leave a type v with v^n / n
        wins = np.clip(bids * n / (n - 1), 0.0, 1.0) ** (n - 1)
        assert ((value - bids) * wins).max() == pytest.approx(value**n / n, abs=1e-6)
        wins = np.clip(bids * n / (n - 1), 0.0, 1.0) ** ((n - 1) / n)
        assert (value * wins - bids).max() == pytest.approx(value**n / n, abs=1e-6)


@pytest.mark.parametrize("make_it", BUYING + SELLING)
def test_one_agent_alone(make_it):
    if make_it is third_price:
        with pytest.raises(InputError, match="at least 3"):
            make_it(1)
        return
    mechanism = make_it(1)
    (name,) = mechanism.agents
    outcome = mechanism.outcome({name: 0.6 if mechanism.sides[0] > 0 else 0.4})
    assert float(outcome.allocation[name]) == 1.0
    # what declares a form is proved by it
    expected = Verdict.NOT_REFUTED if mechanism.form is None else Verdict.PROVED
    assert audit(mechanism, ["ex_post_IR"], effort="quick")[0].verdict is expected


@pytest.mark.parametrize("make_it", BUYING + SELLING)
def test_bad_bids_are_refused(make_it):
    mechanism = make_it(3)
    a, b, c = mechanism.agents
    for bad in (float("nan"), -0.1, 1.5, float("inf"), None):
        with pytest.raises(InputError, match="expected a report"):
            mechanism.outcome({a: 0.5, b: bad, c: 0.1})
    with pytest.raises(InputError, match="missing"):
        mechanism.outcome({a: 0.5})
    with pytest.raises(NotFiniteError, match="finite bids"):
        mechanism.decide(np.asarray([[0.1, np.nan, 0.3]]))


@pytest.mark.parametrize(
    ("name", "wrong", "say"),
    [
        ("second_price", {"reserve": -0.1}, "reserve"),
        ("second_price", {"reserve": float("nan")}, "reserve"),
        ("second_price", {"reserve": {"nobody": 0.3}}, "nobody"),
        ("second_price", {"ties": "coin"}, "ties"),
        ("first_price_procurement", {"ceiling": -1.0}, "ceiling"),
        ("second_price_procurement", {"value": float("inf")}, "value"),
        ("optimal_auction", {"own_value": -1.0}, "own_value"),
        ("posted_price", {"price": -1.0}, "price"),
        ("posted_price", {"price": {"bidder 1": 0.5}}, "a price for each"),
    ],
)
def test_bad_options_are_refused(name, wrong, say):
    with pytest.raises(InputError, match=say):
        make(name, 2, **wrong)


def test_correlated_beliefs_are_taken_where_they_can_be():
    joint = CorrelatedPrior({"a": [0.0, 0.0, 1.0, 1.0], "b": [0.0, 1.0, 0.0, 1.0]}, [0.4, 0.1, 0.1, 0.4])
    assert second_price(["a", "b"], prior=joint).decide(np.asarray([[0.0, 1.0]]))[1].tolist() == [[0.0, 0.0]]
    for make_it in (optimal_auction, posted_price):
        with pytest.raises(InputError, match="independent"):
            make_it(["a", "b"], prior=joint)


def test_reserves_of_ones_own():
    mechanism = second_price(["ann", "bob"], reserve={"ann": 0.6})
    assert mechanism.outcome({"ann": 0.5, "bob": 0.3}).payments == {"ann": 0.0, "bob": 0.0}  # ann is not admitted and sets no price
    assert mechanism.outcome({"ann": 0.7, "bob": 0.3}).payments == {"ann": 0.6, "bob": 0.0}
    assert mechanism.resized is None


def test_resized_is_the_same_rule_for_others():
    mechanism = second_price(["ann", "bob"], reserve=0.2, ties="order")
    assert mechanism.resized is not None
    more = mechanism.resized(["ann", "bob", "bob's friend"])
    assert more.outcome({"ann": 0.4, "bob": 0.7, "bob's friend": 0.7}).payments["bob"] == 0.7
    assert second_price(["a", "b"], prior={"a": GRID, "b": GRID}).resized is None


@pytest.mark.parametrize("prior", [Uniform(Interval(2.0, 5.0)), TruncatedNormal(0.0, 10.0, mean=4.0, sd=2.0)])
def test_claims_follow_the_options(prior):
    def claims(mechanism):
        return {c.property: c.holds for c in mechanism.guarantees}

    low = prior.space.low
    assert claims(second_price(2, prior=prior, reserve=low))["efficiency"]
    assert not claims(second_price(2, prior=prior, reserve=low + 1.0))["efficiency"]
    for reserve in (low, low + 1.0):
        mechanism = second_price(2, prior=prior, reserve=reserve)
        (finding,) = audit(mechanism, ["efficiency"], effort="quick")
        assert (finding.verdict is Verdict.REFUTED) != claims(mechanism)["efficiency"]


def test_an_unbounded_law_can_be_auctioned():
    from scipy.stats import expon

    mechanism = second_price(3, prior=Continuous(expon(scale=3.0)))
    truth, participation = audit(mechanism, ["DSIC", "ex_post_IR"], effort="quick")
    assert truth.verdict is Verdict.PROVED  # by its declared form, which holds on a continuum
    assert participation.verdict is Verdict.PROVED  # by its declared pivot
