"""Units and slots: rules written out, critical values, demand reduction, VCG payments by leaving agents out, revenues."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hurwicz._foundation import InputError, NotFiniteError
from hurwicz.audits import Verdict, audit
from hurwicz.mechanisms import (
    discriminatory,
    generalized_second_price,
    make,
    multi_unit_discriminatory,
    multi_unit_uniform_price,
    multi_unit_vickrey,
    position_vcg,
    second_price,
    uniform_price,
)
from hurwicz.typespaces import Box, FinitePrior, Interval, SortedDraws, Uniform

GRID = FinitePrior([0.0, 0.25, 0.5, 0.75, 1.0])
SINGLE = [discriminatory, uniform_price, generalized_second_price, position_vcg]
MULTI = [multi_unit_vickrey, multi_unit_uniform_price, multi_unit_discriminatory]
quarters = st.integers(0, 4).map(lambda k: k / 4)
ties = st.sampled_from(["lottery", "order"])


@functools.cache
def made(make_it, agents, way, reserve=0.0):
    return make_it(agents, ties=way, reserve=reserve)


def over_orders(bids, way, one_order):
    """The mean over all orders of the agents (a lottery), or the outcome in the given order, of a rule without ties."""
    n = len(bids)
    orders = list(itertools.permutations(range(n))) if way == "lottery" else [tuple(range(n))]
    return np.mean([one_order(sorted(range(n), key=lambda i, o=order: (-bids[i], o.index(i)))) for order in orders], axis=0)


@settings(deadline=None, max_examples=50)
@given(st.lists(quarters, min_size=2, max_size=4), ties, st.sampled_from([0.0, 0.3]))
def test_unit_demand_rules_are_those_written_out(bids, way, reserve):
    k, n = 2, len(bids)
    admitted = [i for i in range(n) if bids[i] >= reserve]

    def outcome(price):
        def one_order(ranked):
            ranked = [i for i in ranked if i in admitted]
            shares, paid = np.zeros(n), np.zeros(n)
            for i in ranked[:k]:
                shares[i], paid[i] = 1.0, price(ranked, i)
            return shares, paid

        return over_orders(bids, way, one_order)

    def nth(ranked, rank):
        return max(reserve, bids[ranked[rank]]) if rank < len(ranked) else reserve

    rules = {
        discriminatory: lambda ranked, i: bids[i],
        uniform_price: lambda ranked, i: nth(ranked, k),
        functools.partial(uniform_price, pricing="lowest accepted"): lambda ranked, i: nth(ranked, k - 1),
    }
    for make_it, price in rules.items():
        shares, payments = make_it(n, units=k, ties=way, reserve=reserve).decide(np.asarray([bids]))
        expected = outcome(price)
        assert shares[0] == pytest.approx(expected[0])
        assert payments[0] == pytest.approx(expected[1])


@settings(deadline=None, max_examples=50)
@given(st.lists(quarters, min_size=2, max_size=4), ties, st.sampled_from([0.0, 0.3]))
def test_position_rules_are_those_written_out(bids, way, reserve):
    rates, n = [1.0, 0.6, 0.1], len(bids)

    def welfare_without(agent):
        left = sorted((b for i, b in enumerate(bids) if i != agent and b >= reserve), reverse=True)
        # a click that nobody gets is worth the reserve to the seller
        return sum(rate * bid for rate, bid in zip(rates, left + [reserve] * len(rates), strict=False))

    def gsp(ranked):
        ranked = [i for i in ranked if bids[i] >= reserve]
        shares, paid = np.zeros(n), np.zeros(n)
        for slot, i in enumerate(ranked[: len(rates)]):
            below = max(reserve, bids[ranked[slot + 1]]) if slot + 1 < len(ranked) else reserve
            shares[i], paid[i] = rates[slot], rates[slot] * below
        return shares, paid

    def vcg(ranked):
        ranked = [i for i in ranked if bids[i] >= reserve]
        shares, paid = np.zeros(n), np.zeros(n)
        for slot, i in enumerate(ranked[: len(rates)]):
            shares[i] = rates[slot]
            others = sum(rates[s] * bids[j] for s, j in enumerate(ranked[: len(rates)]) if j != i)
            paid[i] = welfare_without(i) - others - reserve * sum(rates[len(ranked) :])
        return shares, paid

    for make_it, rule in ((generalized_second_price, gsp), (position_vcg, vcg)):
        shares, payments = make_it(n, click_rates=rates, ties=way, reserve=reserve).decide(np.asarray([bids]))
        expected = over_orders(bids, way, rule)
        assert shares[0] == pytest.approx(expected[0])
        assert payments[0] == pytest.approx(expected[1])


@pytest.mark.parametrize("make_it", SINGLE)
@settings(deadline=None, max_examples=20)
@given(bids=st.lists(quarters, min_size=4, max_size=4), way=ties, order=st.permutations(range(4)))
def test_feasible_rational_monotone_and_nameless(make_it, bids, way, order):
    mechanism = made(make_it, 4, way)
    profile = np.asarray([bids])
    shares, payments = mechanism.decide(profile)
    assert mechanism.excess(shares).max() <= 1e-12
    assert (profile * shares - payments).min() >= -1e-12
    for agent in range(4):
        line = np.repeat(profile, 17, axis=0)
        line[:, agent] = np.linspace(0.0, 1.0, 17)
        assert np.diff(mechanism.decide(line)[0][:, agent]).min() >= -1e-12
    if way == "lottery":
        again, paid = mechanism.decide(profile[:, order])
        assert again == pytest.approx(shares[:, order])
        assert paid == pytest.approx(payments[:, order])


@pytest.mark.parametrize("make_it", [uniform_price, position_vcg])
@settings(deadline=None, max_examples=15)
@given(bids=st.lists(st.floats(0.0, 1.0), min_size=4, max_size=4))
def test_truthful_payments_are_the_integral_of_the_share(make_it, bids):
    """b x(b) - ∫ x, the integral cut at the rivals' bids, where alone the share may jump."""
    mechanism = made(make_it, 4, "lottery")
    profile = np.asarray([bids])
    shares, payments = mechanism.decide(profile)
    for agent in range(4):
        cuts = np.unique([0.0, *(b for b in bids if b <= bids[agent])])
        middles = 0.5 * (cuts[1:] + cuts[:-1])
        line = np.repeat(profile, len(middles), axis=0)
        line[:, agent] = middles
        area = float(np.diff(cuts) @ mechanism.decide(line)[0][:, agent]) if len(middles) else 0.0
        assert payments[0, agent] == pytest.approx(bids[agent] * shares[0, agent] - area, abs=1e-12)


def leave_one_out(bids, units, reserve):
    """VCG payments from the greatest welfare with and without each bidder, by trying all splits; the seller is worth the reserve a unit."""
    names = range(len(bids))

    def best(who):
        options = []
        for split in itertools.product(*(range(len(bids[i]) + 1) for i in who)):
            if sum(split) <= units:
                gross = sum(sum(bids[i][:m]) for i, m in zip(who, split, strict=True))
                options.append((gross + reserve * (units - sum(split)), split))
        return max(options)

    whole, split = best(list(names))
    return whole, [best([j for j in names if j != i])[0] - (whole - sum(bids[i][: split[i]])) for i in names]


marginals = st.lists(st.integers(0, 97), min_size=2, max_size=2).map(lambda pair: sorted((p / 97 for p in pair), reverse=True))


@settings(deadline=None, max_examples=60)
@given(st.lists(marginals, min_size=2, max_size=3), st.sampled_from([1, 2, 3]), st.sampled_from([0.0, 0.2]))
def test_multi_unit_vickrey_is_vcg(bids, units, reserve):
    mechanism = multi_unit_vickrey(len(bids), units=units, reserve=reserve)
    names = mechanism.agents
    outcome = mechanism.outcome(dict(zip(names, bids, strict=True)))
    welfare, paid = leave_one_out(bids, units, reserve)
    sold = sum(float(x.sum()) for x in outcome.allocation.values())
    assert mechanism.welfare(outcome, dict(zip(names, bids, strict=True))) + reserve * (units - sold) == pytest.approx(welfare)
    flat = sorted((b for row in bids for b in row), reverse=True)
    if len(set(flat)) == len(flat) and reserve not in flat:  # with ties the payments depend on who wins
        assert [outcome.payments[n] for n in names] == pytest.approx(paid, abs=1e-12)


@pytest.mark.parametrize("make_it", MULTI)
@settings(deadline=None, max_examples=15)
@given(bids=st.lists(marginals, min_size=3, max_size=3), way=ties)
def test_multi_unit_rules_are_feasible_and_rational(make_it, bids, way):
    mechanism = made(make_it, 3, way)
    reports = {name: np.asarray([row]) for name, row in zip(mechanism.agents, bids, strict=True)}
    outcomes = mechanism.outcomes(reports)
    assert mechanism.excess(outcomes.allocation).max() <= 1e-12
    for name in mechanism.agents:
        assert np.diff(outcomes.allocation[name][0]).max() <= 1e-12  # no second unit before the first
        assert (mechanism.values(name, outcomes, reports[name]) - outcomes.payments[name]).min() >= -1e-12


@pytest.mark.parametrize("make_it", MULTI)
def test_ties_by_lottery_do_not_see_names(make_it):
    mechanism = made(make_it, 3, "lottery")
    rows = [[0.5, 0.5], [0.5, 0.25], [0.5, 0.0]]
    base = mechanism.outcome(dict(zip(mechanism.agents, rows, strict=True)))
    for order in itertools.permutations(range(3)):
        moved = mechanism.outcome({mechanism.agents[k]: rows[i] for k, i in enumerate(order)})
        for k, i in enumerate(order):
            assert moved.allocation[mechanism.agents[k]] == pytest.approx(base.allocation[mechanism.agents[i]])
            assert moved.payments[mechanism.agents[k]] == pytest.approx(base.payments[mechanism.agents[i]])
    everybody = mechanism.outcome({name: [1.0, 1.0] for name in mechanism.agents})
    assert [float(x.sum()) for x in everybody.allocation.values()] == pytest.approx([2 / 3] * 3)


@pytest.mark.parametrize("way", ["order", "lottery"])
def test_vickrey_is_proved_and_demand_reduction_is_found(way):
    prior = SortedDraws(FinitePrior([0.0, 0.25, 0.5, 0.75, 1.0]), 2)
    found = {
        f.property: f
        for f in audit(multi_unit_vickrey(2, prior=prior, ties=way), ["DSIC", "BIC", "ex_post_IR", "efficiency"], effort="quick")
    }
    assert {f.verdict for f in found.values()} == {Verdict.PROVED}
    (finding,) = audit(multi_unit_uniform_price(2, prior=prior, ties=way), ["DSIC"], effort="quick")
    assert finding.verdict is Verdict.REFUTED
    assert finding.witness is not None
    true, told = np.asarray(finding.witness.true_type), np.asarray(finding.witness.misreport)
    assert told[1] < true[1]  # it asks for less of the second unit
    (finding,) = audit(multi_unit_uniform_price(2), ["DSIC"], effort="quick")
    assert finding.verdict is Verdict.REFUTED


def test_unit_demand_verdicts_on_grids():
    def verdicts(mechanism):
        return {f.property: f.verdict for f in audit(mechanism, ["DSIC", "ex_post_IR"], effort="quick")}

    for way in ("lottery", "order"):
        for truthful in (uniform_price(3, prior=GRID, ties=way), position_vcg(3, prior=GRID, ties=way)):
            assert set(verdicts(truthful).values()) == {Verdict.PROVED}
        for not_truthful in (
            discriminatory(3, prior=GRID, ties=way),
            uniform_price(3, prior=GRID, ties=way, pricing="lowest accepted"),
            generalized_second_price(3, prior=GRID, ties=way),
        ):
            assert verdicts(not_truthful) == {"DSIC": Verdict.REFUTED, "ex_post_IR": Verdict.PROVED}


def test_one_slot_or_one_unit_is_the_second_price_auction():
    bids = np.random.default_rng(0).random((200, 4))
    bids[:50] = np.round(bids[:50], 1)
    shares, payments = second_price(4, reserve=0.3).decide(bids)
    for mechanism in (
        uniform_price(4, units=1, reserve=0.3),
        position_vcg(4, click_rates=[1.0], reserve=0.3),
        generalized_second_price(4, click_rates=[1.0], reserve=0.3),
    ):
        again, paid = mechanism.decide(bids)
        assert again == pytest.approx(shares)
        assert paid == pytest.approx(payments)


@pytest.mark.parametrize(("n", "k"), [(3, 2), (5, 2), (5, 4)])
def test_revenues_of_units_for_uniform_values(n, k):
    """k (n - k) / (n + 1): uniform price at truth, and discriminatory at b(v) = E[Y_k | Y_k < v]."""
    exact = k * (n - k) / (n + 1)
    values = np.random.default_rng(0).random((200_000, n))
    paid = uniform_price(n, units=k).decide(values)[1].sum(axis=1)
    assert abs(paid.mean() - exact) < 5 * paid.std() / np.sqrt(len(paid))
    # E[Y_k | Y_k < v] by quadrature: the k-th highest of n - 1 rivals has density ~ y^(n-1-k) (1 - y)^(k-1)
    nodes, weights = np.polynomial.legendre.leggauss(40)
    grid = np.linspace(0.0, 1.0, 401)[1:]
    y = 0.5 * grid[:, None] * (nodes + 1.0)
    density = weights * y ** (n - 1 - k) * (1.0 - y) ** (k - 1)
    bids = np.interp(values, np.concatenate([[0.0], grid]), np.concatenate([[0.0], (y * density).sum(axis=1) / density.sum(axis=1)]))
    paid = discriminatory(n, units=k).decide(bids)[1].sum(axis=1)
    assert abs(paid.mean() - exact) < 5 * paid.std() / np.sqrt(len(paid)) + 1e-5


def test_gsp_raises_at_least_vcg_at_the_same_bids():
    bids = np.random.default_rng(1).random((500, 5))
    rates = [1.0, 0.7, 0.4, 0.1]
    one = generalized_second_price(5, click_rates=rates).decide(bids)[1]
    two = position_vcg(5, click_rates=rates).decide(bids)[1]
    assert (one - two).min() >= -1e-12
    assert (one - two).max() > 0.1


@pytest.mark.parametrize(
    ("name", "wrong", "say"),
    [
        ("uniform_price", {"units": 0}, "units"),
        ("uniform_price", {"pricing": "median"}, "pricing"),
        ("discriminatory", {"reserve": -1.0}, "reserve"),
        ("position_vcg", {"click_rates": []}, "click rates"),
        ("position_vcg", {"click_rates": [0.5, 1.0]}, "click rates"),
        ("generalized_second_price", {"click_rates": [1.0, -0.1]}, "click rates"),
        ("generalized_second_price", {"click_rates": [float("nan")]}, "click_rates"),
        ("multi_unit_vickrey", {"demand": 0}, "demanded units"),
        ("multi_unit_vickrey", {"prior": Uniform(Interval(0.0, 1.0))}, "marginal values that decrease"),
        ("multi_unit_vickrey", {"prior": Uniform(Box([0.0, 0.0], [1.0, 1.0]))}, "marginal values that decrease"),
        ("multi_unit_vickrey", {"prior": FinitePrior([[0.2, 0.8]])}, "marginal values that decrease"),
    ],
)
def test_bad_options_are_refused(name, wrong, say):
    with pytest.raises(InputError, match=say):
        make(name, 3, **wrong)


def test_a_lottery_over_too_many_orders_is_refused():
    with pytest.raises(InputError, match="six bidders"):
        multi_unit_vickrey(7, ties="lottery")


def test_bad_bids_are_refused():
    mechanism = multi_unit_vickrey(2)
    for bad in ([0.2, 0.8], [0.5, float("nan")], [1.5, 0.1], [0.5], 0.5, [0.5, -0.1]):
        with pytest.raises(InputError, match="expected a report"):
            mechanism.outcome({"bidder 1": [0.5, 0.5], "bidder 2": bad})
    with pytest.raises(NotFiniteError, match="finite bids"):
        mechanism.outcomes({"bidder 1": np.asarray([[0.5, np.nan]]), "bidder 2": np.asarray([[0.5, 0.1]])})
    for make_it in SINGLE:
        with pytest.raises(NotFiniteError, match="finite bids"):
            make_it(3).decide(np.asarray([[0.1, np.nan, 0.3]]))
