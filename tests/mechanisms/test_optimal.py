"""Myerson's auction: known reserves and revenues, ironing against linear programs, atoms, data, and the auditor."""

from __future__ import annotations

import itertools

import highspy
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import brentq

from hurwicz._foundation import InputError
from hurwicz.audits import Verdict, audit
from hurwicz.mechanisms import (
    first_price,
    optimal_auction,
    optimal_posted_prices,
    optimal_procurement,
    optimal_procurement_gain,
    optimal_revenue,
    posted_price,
    second_price,
    virtual_costs,
    virtual_values,
)
from hurwicz.typespaces import (
    Box,
    Continuous,
    Empirical,
    FinitePrior,
    Interval,
    Mixture,
    ProductPrior,
    TruncatedNormal,
    Uniform,
)

UNIT = Uniform(Interval(0.0, 1.0))
TWO_BUMPS = Mixture([Continuous(stats.beta(8, 30)), Continuous(stats.beta(30, 8))], [0.6, 0.4])
MIXED = Mixture([FinitePrior([0.0, 0.5]), Uniform(Interval(0.0, 2.0))], [0.4, 0.6])


def of(*priors):
    return ProductPrior({f"bidder {i}": prior for i, prior in enumerate(priors)})


@pytest.mark.parametrize(("bidders", "exact"), [(1, 1 / 4), (2, 5 / 12), (3, 17 / 32), (5, 43 / 64)])
def test_uniform_revenues(bidders, exact):
    assert optimal_revenue(of(*[UNIT] * bidders)) == pytest.approx(exact, abs=1e-14)
    assert exact == pytest.approx((bidders - 1) / (bidders + 1) + 2.0**-bidders / (bidders + 1))


def test_asymmetric_uniform_revenue():
    assert optimal_revenue(of(*[Uniform(Interval(0.0, float(i))) for i in range(1, 6)])) == pytest.approx(58819 / 25600, abs=1e-12)


def test_exponential_revenue():
    """E max(0, max v - 3), three values of mean 3: by the maximum's own distribution."""
    found = optimal_revenue(of(*[Continuous(stats.expon(scale=3.0))] * 3))
    points, weights = np.polynomial.legendre.leggauss(200)
    heights = 40.0 * (points + 1.0)
    exact = 40.0 * float(weights @ (1.0 - (1.0 - np.exp(-(heights + 3.0) / 3.0)) ** 3))
    assert found == pytest.approx(exact, abs=1e-6)
    assert round(found, 4) == 2.7517


@pytest.mark.parametrize(
    ("law", "low", "high"),
    [
        (stats.beta(2, 5), 0.05, 0.6),
        (stats.lognorm(1.0), 0.5, 5.0),
        (stats.beta(0.5, 0.5), 0.4, 0.9),
        (stats.truncnorm(-5, 5, loc=0.5, scale=0.1), 0.2, 0.8),
        (stats.gamma(3.0), 0.5, 6.0),
    ],
)
def test_reserves_solve_the_monopolists_equation(law, low, high):
    root = brentq(lambda v: v - law.sf(v) / law.pdf(v), low, high, xtol=1e-15)
    assert virtual_values(Continuous(law)).reserve() == pytest.approx(root, rel=1e-8)


@pytest.mark.parametrize(
    "prior", [UNIT, Uniform(Interval(2.0, 3.0)), TruncatedNormal(0.0, 1.0, mean=0.6, sd=0.2), Continuous(stats.beta(2, 5))]
)
def test_regular_virtual_values_are_the_formula(prior):
    phi = virtual_values(prior)
    assert not phi.ironed
    types = np.linspace(prior.space.low, prior.space.high, 203)[60:-2]
    formula = types - (1.0 - prior.cdf(types)) / prior.pdf(types)
    assert np.where(formula > 0.0, phi(types) - formula, 0.0) == pytest.approx(0.0, abs=2e-8)
    levels = np.linspace(0.01, 0.9, 40) * prior.space.high
    back = phi.critical(levels)
    assert np.where(
        np.isfinite(back) & (back > prior.space.low), phi(np.where(np.isfinite(back), back, 0.0)) - levels, 0.0
    ) == pytest.approx(0.0, abs=1e-9)


def test_costs_mirror_values():
    phi, psi = virtual_values(UNIT), virtual_costs(UNIT)
    types = np.linspace(0.0, 1.0, 11)
    assert psi(types) == pytest.approx(2.0 * types)
    assert 1.0 - psi(1.0 - types) == pytest.approx(phi(types))
    assert psi.reserve(0.6) == pytest.approx(0.3)
    assert psi.reserve(-0.1) == -np.inf
    bumps = Mixture([Uniform(Interval(0.0, 0.2)), Uniform(Interval(0.8, 1.0))], [0.3, 0.7])
    mirrored = Mixture([Uniform(Interval(0.8, 1.0)), Uniform(Interval(0.0, 0.2))], [0.3, 0.7])
    (a, b, level), (c, d, height) = virtual_values(bumps).ironed[0], virtual_costs(mirrored).ironed[0]
    assert (a, b, level) == pytest.approx((1.0 - d, 1.0 - c, 1.0 - height), abs=1e-6)


def concave_hull_slopes(values, probabilities):
    """Discrete ironed virtual values by trying every pair of points, not by a scan."""
    upper = np.concatenate([np.cumsum(probabilities[::-1])[::-1], [0.0]])
    revenue = np.concatenate([upper[:-1] * values, [0.0]])

    def hull(q):
        return max(
            revenue[i] + (revenue[j] - revenue[i]) * (q - upper[i]) / (upper[j] - upper[i])
            for i, j in itertools.product(range(len(upper)), repeat=2)
            if upper[i] < upper[j] and upper[i] <= q <= upper[j]
        )

    heights = [hull(q) for q in upper]
    return np.asarray([(heights[k] - heights[k + 1]) / probabilities[k] for k in range(len(values))])


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 20)), min_size=1, max_size=7, unique_by=lambda pair: pair[0]))
def test_discrete_ironing_is_the_slope_of_the_hull(pairs):
    values = np.asarray(sorted(v for v, _ in pairs)) / 10.0
    weights = np.asarray([w for _, w in sorted(pairs)], dtype=float)
    weights /= weights.sum()
    phi = virtual_values(FinitePrior(values, weights))
    assert phi(values) == pytest.approx(concave_hull_slopes(values, weights), abs=1e-9)
    # and in another order of the types, and as data
    assert virtual_values(FinitePrior(values[::-1], weights[::-1]))(values) == pytest.approx(phi(values))


def lp_revenue(values, probabilities, bidders):
    """The most that a symmetric BIC, interim IR auction raises: a linear program over interim shares and payments with Border's conditions.

    No virtual value enters. With shares that rise in the type (BIC implies it) Border's conditions are those of the upper sets.
    """
    count = len(values)
    model = highspy.Highs()
    model.setOptionValue("output_flag", False)
    share = [model.addVariable(lb=0.0, ub=1.0) for _ in range(count)]
    paid = [model.addVariable(lb=-highspy.kHighsInf) for _ in range(count)]
    for k in range(count):
        model.addConstr(values[k] * share[k] - paid[k] >= 0.0)
        for j in range(count):
            if j != k:
                model.addConstr(values[k] * share[k] - paid[k] >= values[k] * share[j] - paid[j])
    below = np.concatenate([[0.0], np.cumsum(probabilities)])
    for k in range(count):
        model.addConstr(sum(bidders * float(probabilities[j]) * share[j] for j in range(k, count)) <= 1.0 - float(below[k]) ** bidders)
    model.maximize(sum(bidders * float(p) * t for p, t in zip(probabilities, paid, strict=True)))
    return model.getInfo().objective_function_value


@pytest.mark.parametrize("bidders", [1, 2, 3])
@pytest.mark.parametrize(
    ("values", "weights"),
    [
        (np.arange(1.0, 7.0), [0.3, 0.1, 0.05, 0.05, 0.2, 0.3]),
        (np.asarray([0.5, 1.0, 1.1, 4.0]), [0.1, 0.6, 0.1, 0.2]),
        (np.linspace(0.0, 1.0, 9), np.full(9, 1 / 9)),
    ],
)
def test_finite_revenue_is_the_linear_programs(values, weights, bidders):
    prior = FinitePrior(values, weights)
    assert optimal_revenue(of(*[prior] * bidders)) == pytest.approx(lp_revenue(values, np.asarray(weights), bidders), abs=1e-8)
    mechanism = optimal_auction(bidders, prior=prior)
    points, mass = mechanism.prior.quadrature(1)
    outcomes = mechanism.outcomes(points)
    assert sum(mass @ t for t in outcomes.payments.values()) == pytest.approx(optimal_revenue(mechanism.prior), abs=1e-12)


def binned(prior, count):
    """Types in the middle of equal cells, with the probabilities of the cells."""
    edges = np.linspace(prior.space.low, prior.space.high, count + 1)
    mass = np.diff(prior.cdf(edges))
    return 0.5 * (edges[1:] + edges[:-1]), mass / mass.sum()


@pytest.mark.parametrize("bidders", [1, 2])
def test_an_irregular_density_meets_the_linear_program(bidders):
    """Two bumps: the LP optimum on 30, 60 cells tends to the revenue by quadrature; without ironing it would not."""
    exact = optimal_revenue(of(*[TWO_BUMPS] * bidders))
    gaps = []
    for count in (30, 60):
        values, mass = binned(TWO_BUMPS, count)
        keep = mass > 1e-13
        on_grid = lp_revenue(values[keep], mass[keep] / mass[keep].sum(), bidders)
        assert optimal_revenue(of(*[FinitePrior(values, mass)] * bidders)) == pytest.approx(on_grid, abs=1e-7)
        gaps.append(abs(on_grid - exact))
    fine_values, fine_mass = binned(TWO_BUMPS, 4000)
    fine = optimal_revenue(of(*[FinitePrior(fine_values, fine_mass)] * bidders))
    assert fine == pytest.approx(exact, abs=2e-4)
    assert gaps[1] < gaps[0]
    assert gaps[1] < 0.01


def test_the_two_bumps_need_ironing():
    phi = virtual_values(TWO_BUMPS)
    (low, high, level), *rest = phi.ironed
    assert not rest
    assert 0.1 < low < 0.2
    assert 0.6 < high < 0.7
    inside = np.linspace(low + 1e-6, high - 1e-6, 50)
    assert phi(inside) == pytest.approx(level)
    raw = inside - (1.0 - TWO_BUMPS.cdf(inside)) / TWO_BUMPS.pdf(inside)
    assert np.diff(raw).min() < 0.0  # it falls somewhere: that is why
    # the ends are where the formula meets the level
    for end in (low, high):
        at = np.asarray([end])
        assert float((at - (1.0 - TWO_BUMPS.cdf(at)) / TWO_BUMPS.pdf(at))[0]) == pytest.approx(level, abs=1e-5)


def test_a_law_with_atoms_and_a_density():
    """Types 0 and 1/2 as atoms among U[0, 2]: against the same law cut into 2,000 cells."""
    fine = np.linspace(0.0, 2.0, 2001)[:-1] + 0.0005
    values = np.concatenate([fine, [0.0, 0.5]])
    mass = np.concatenate([np.full(2000, 0.6 / 2000), [0.2, 0.2]])
    for bidders in (1, 3):
        on_grid = optimal_revenue(of(*[FinitePrior(values, mass)] * bidders))
        assert optimal_revenue(of(*[MIXED] * bidders)) == pytest.approx(on_grid, abs=1e-3)
    assert virtual_values(MIXED).reserve() == pytest.approx(0.5)
    # one buyer: the best price is the best of all prices
    prices = np.linspace(0.0, 2.0, 4001)
    sold = 1.0 - MIXED.cdf(prices - 1e-12)
    assert optimal_revenue(of(MIXED)) == pytest.approx((prices * sold).max(), abs=1e-3)


pieces = st.tuples(st.sampled_from(["uniform", "beta", "triangle", "atoms"]), st.integers(0, 20), st.integers(1, 20), st.integers(1, 9))


def piece(kind, low, width, shape):
    low, width = low / 10, width / 10
    if kind == "uniform":
        return Uniform(Interval(low, low + width))
    if kind == "beta":
        return Continuous(stats.beta(shape, 10 - shape, loc=low, scale=width))
    if kind == "triangle":
        return Continuous(stats.triang(shape / 10, loc=low, scale=width))
    return FinitePrior([low, low + width / 3, low + width], [0.2, 0.3, 0.5])


@settings(deadline=None, max_examples=12)
@given(st.lists(pieces, min_size=1, max_size=3), st.integers(1, 3))
def test_any_mixture_meets_itself_cut_into_cells(parts, bidders):
    """Gaps, kinks, bumps and atoms: revenue and procurement gain to within a cell of the same law cut into 1,500."""
    prior = Mixture([piece(*part) for part in parts], np.full(len(parts), 1.0 / len(parts)))
    phi, psi = virtual_values(prior), virtual_costs(prior)
    for curve in (phi, psi):
        assert np.diff(curve.levels).min(initial=0.0) >= 0.0
        assert np.diff(curve.types).min(initial=0.0) >= 0.0
    atoms, mass = prior.atoms
    ends = prior.space.grid(2)
    edges = np.linspace(float(np.min(ends)), float(np.max(ends)), 1501)
    steps = np.concatenate([[0.0], np.cumsum(mass)])[np.searchsorted(atoms, edges, side="right")]
    cells = np.clip(np.diff(prior.cdf(edges) - steps), 0.0, None)
    values, which = np.unique(np.concatenate([0.5 * (edges[1:] + edges[:-1]), atoms]), return_inverse=True)
    weights = np.bincount(which, weights=np.concatenate([cells, mass]))
    cut = FinitePrior(values, weights / weights.sum())
    worth = float(prior.mean)
    assert optimal_revenue(of(*[prior] * bidders)) == pytest.approx(optimal_revenue(of(*[cut] * bidders)), abs=edges[1] - edges[0])
    assert optimal_procurement_gain(of(*[prior] * bidders), value=worth) == pytest.approx(
        optimal_procurement_gain(of(*[cut] * bidders), value=worth), abs=edges[1] - edges[0]
    )


@pytest.mark.parametrize(("base", "width"), [(0.0, 1e-9), (0.0, 1e9), (1e6, 1.0), (-5.0, 10.0)])
def test_ironing_moves_and_stretches_with_the_types(base, width):
    moved = Mixture(
        [Continuous(stats.beta(8, 30, loc=base, scale=width)), Continuous(stats.beta(30, 8, loc=base, scale=width))], [0.6, 0.4]
    )
    (there,), (here,) = virtual_values(moved).ironed, virtual_values(TWO_BUMPS).ironed
    low, high, level = here
    # v = base + width w has phi(v) = base + width phi(w)
    assert [(end - base) / width for end in there[:2]] == pytest.approx([low, high], abs=1e-6)
    assert (there[2] - base) / width == pytest.approx(level, abs=1e-8)
    even = virtual_values(Uniform(Interval(base, base + width)))
    assert (even.reserve(base + 0.5 * width) - base) / width == pytest.approx(0.75)


@pytest.mark.parametrize("sd", [1e-2, 1e-4])
def test_a_narrow_peak_is_not_missed(sd):
    law = stats.norm(0.5, sd)
    root = brentq(lambda v: v - law.sf(v) / law.pdf(v), 0.5 - 8 * sd, 0.5, xtol=1e-15)
    assert virtual_values(TruncatedNormal(0.0, 1.0, mean=0.5, sd=sd)).reserve() == pytest.approx(root, rel=1e-10)


def test_revenue_above_the_bound_raises_an_alarm():
    bound = optimal_revenue(of(UNIT, UNIT))
    for mechanism, verdict in (
        (optimal_auction(2), Verdict.NOT_REFUTED),
        (second_price(2), Verdict.NOT_REFUTED),
        (first_price(2), Verdict.REFUTED),
    ):
        (finding,) = audit(mechanism, ["revenue_within_bound"], revenue_bound=bound, effort="quick")
        assert finding.verdict is verdict  # first price at truthful bids would raise 2/3: nobody bids so


def test_data_as_beliefs():
    data = np.random.default_rng(0).lognormal(size=500).round(2)
    prior = Empirical(data)
    prices = np.unique(data)
    assert optimal_revenue(of(prior)) == pytest.approx(max(p * (data >= p).mean() for p in prices))
    mechanism = optimal_auction(2, prior=Empirical([1.0, 1.0, 2.0, 4.0, 4.0]))
    verdicts = {f.property: f.verdict for f in audit(mechanism, ["DSIC", "BIC", "ex_post_IR", "monotonicity"][:3], effort="quick")}
    assert set(verdicts.values()) == {Verdict.PROVED}


@pytest.mark.parametrize("prior", [UNIT, TWO_BUMPS, MIXED, TruncatedNormal(0.0, 1.0, mean=0.4, sd=0.3)])
def test_the_auction_raises_what_the_integral_says(prior):
    """Payments at 60,000 drawn profiles against the one-dimensional integral."""
    mechanism = optimal_auction(3, prior=prior)
    drawn = mechanism.prior.sample(np.random.default_rng(5), 60_000)
    paid = np.sum(list(mechanism.outcomes(drawn).payments.values()), axis=0)
    assert abs(paid.mean() - optimal_revenue(mechanism.prior)) < 5 * paid.std() / np.sqrt(len(paid))


@pytest.mark.parametrize("ties", ["lottery", "order"])
@pytest.mark.parametrize("prior", [None, TWO_BUMPS, MIXED])
def test_the_auditor_finds_nothing(prior, ties):
    for finding in audit(optimal_auction(2, prior=prior, ties=ties), ["DSIC", "ex_post_IR", "weak_budget_balance"], effort="quick"):
        assert finding.verdict is Verdict.PROVED  # by the declared payment identity, along lines


def test_asymmetric_bidders_may_lose_with_the_higher_value():
    mechanism = optimal_auction(["weak", "strong"], prior={"weak": UNIT, "strong": Uniform(Interval(0.0, 2.0))})
    outcome = mechanism.outcome({"weak": 0.8, "strong": 1.2})  # virtual values .6 and .4
    assert float(outcome.allocation["weak"]) == 1.0
    assert outcome.payments["weak"] == pytest.approx(0.7)


def test_a_seller_with_a_value_of_its_own():
    assert virtual_values(UNIT).reserve(0.4) == pytest.approx(0.7)
    mechanism = optimal_auction(1, own_value=0.4)
    assert mechanism.outcome({"bidder 1": 0.69}).payments == {"bidder 1": 0.0}
    assert mechanism.outcome({"bidder 1": 0.71}).payments["bidder 1"] == pytest.approx(0.7)
    assert optimal_revenue(of(UNIT), own_value=0.4) == pytest.approx(0.09)
    assert optimal_revenue(of(UNIT), own_value=2.0) == 0.0


@pytest.mark.parametrize("sellers", [1, 2, 3])
def test_procurement_is_the_mirror_of_selling(sellers):
    gain = optimal_procurement_gain(of(*[UNIT] * sellers), value=1.0)
    assert gain == pytest.approx(optimal_revenue(of(*[UNIT] * sellers)), abs=1e-12)
    mechanism, mirror = optimal_procurement(sellers, value=1.0), optimal_auction(sellers)
    asks = np.random.default_rng(0).random((500, sellers))
    shares, payments = mechanism.decide(asks)
    again, paid = mirror.decide(1.0 - asks)
    assert shares == pytest.approx(again)
    assert -payments == pytest.approx(shares - paid, abs=1e-9)


def test_procurement_costs_the_buyer_what_the_integral_says():
    prior = ProductPrior({"a": TWO_BUMPS, "b": Uniform(Interval(0.2, 1.0)), "c": FinitePrior([0.3, 0.5], [0.5, 0.5])})
    mechanism = optimal_procurement(["a", "b", "c"], prior=prior, value=0.9)
    drawn = prior.sample(np.random.default_rng(3), 60_000)
    outcomes = mechanism.outcomes(drawn)
    gain = mechanism.planner_values(outcomes) + np.sum(list(outcomes.payments.values()), axis=0)
    assert abs(gain.mean() - optimal_procurement_gain(prior, value=0.9)) < 5 * gain.std() / np.sqrt(len(gain))


def test_posted_prices_by_backward_induction():
    prices, gain = optimal_posted_prices(of(UNIT, UNIT, UNIT))
    w, expected = 0.0, []
    for _ in range(3):
        expected.append(0.5 * (1.0 + w))
        w = w + (expected[-1] - w) * (1.0 - expected[-1])
    assert list(prices.values()) == pytest.approx(expected[::-1])
    assert gain == pytest.approx(w)
    mechanism = posted_price(3)
    drawn = np.random.default_rng(0).random((60_000, 3))
    paid = mechanism.decide(drawn)[1].sum(axis=1)
    assert abs(paid.mean() - gain) < 5 * paid.std() / np.sqrt(len(paid))
    # no auction does better than the optimal one, and one buyer is the same
    assert gain < optimal_revenue(of(UNIT, UNIT, UNIT))
    assert optimal_posted_prices(of(TWO_BUMPS))[1] == pytest.approx(optimal_revenue(of(TWO_BUMPS)), abs=1e-8)


def test_posted_prices_to_sellers_mirror_those_to_buyers():
    buying, gain = optimal_posted_prices(of(UNIT, UNIT), job_value=1.0)
    selling, revenue = optimal_posted_prices(of(UNIT, UNIT))
    assert list(buying.values()) == pytest.approx([1.0 - p for p in selling.values()])
    assert gain == pytest.approx(revenue)


def test_what_has_no_virtual_value_is_refused():
    with pytest.raises(InputError, match="over numbers"):
        virtual_values(Uniform(Box([0.0], [1.0])))
    with pytest.raises(InputError, match="over numbers"):
        optimal_auction(2, prior=FinitePrior([[0.0, 1.0], [1.0, 1.0]]))
