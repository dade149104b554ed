"""Myerson and Satterthwaite's second best: closed forms, the linear program on grids, irregular priors, and the auditor."""

from __future__ import annotations

from dataclasses import dataclass

import highspy
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hurwicz._foundation import InputError
from hurwicz.audits import Verdict, audit
from hurwicz.mechanisms import myerson_satterthwaite, second_best_trade
from hurwicz.typespaces import Box, CorrelatedPrior, Empirical, FinitePrior, Interval, Mixture, Prior, TruncatedNormal, TypeSpace, Uniform

UNIT = Uniform(Interval(0.0, 1.0))


def midpoints(count: int) -> FinitePrior:
    return FinitePrior((np.arange(count) + 0.5) / count)


def second_best_by_lp(v: np.ndarray, f: np.ndarray, c: np.ndarray, g: np.ndarray) -> float:
    """Variables: trade x[i, j], interim payments T[i] and R[j]; all BIC and interim IR constraints, no subsidy ex ante."""
    m, n = len(v), len(c)
    lp = highspy.Highs()
    lp.setOptionValue("output_flag", False)
    inf = highspy.kHighsInf
    for i in range(m):
        for j in range(n):
            lp.addVar(0.0, 1.0)
            lp.changeColCost(i * n + j, -float(f[i] * g[j] * (v[i] - c[j])))
    for _ in range(m + n):
        lp.addVar(-inf, inf)
    t, r = m * n, m * n + m

    def row(low: float, high: float, entries: dict[int, float]) -> None:
        lp.addRow(low, high, len(entries), np.fromiter(entries, dtype=np.int32), np.fromiter(entries.values(), dtype=np.float64))

    for i in range(m):
        for k in range(m):
            entries = {i * n + j: float(v[i] * g[j]) for j in range(n)} | {t + i: -1.0}
            if k != i:
                entries |= {k * n + j: -float(v[i] * g[j]) for j in range(n)} | {t + k: 1.0}
            row(0.0, inf, entries)
    for j in range(n):
        for k in range(n):
            entries = {i * n + j: -float(c[j] * f[i]) for i in range(m)} | {r + j: 1.0}
            if k != j:
                entries |= {i * n + k: float(c[j] * f[i]) for i in range(m)} | {r + k: -1.0}
            row(0.0, inf, entries)
    row(0.0, inf, {t + i: float(f[i]) for i in range(m)} | {r + j: -float(g[j]) for j in range(n)})
    lp.run()
    return -float(lp.getInfo().objective_function_value)


def test_uniform_types_in_closed_form() -> None:
    found = myerson_satterthwaite(UNIT, UNIT)
    assert found.alpha == pytest.approx(1 / 3, abs=1e-6)
    assert found.gains == pytest.approx(9 / 64, abs=1e-7)
    assert found.first_best == pytest.approx(1 / 6, abs=1e-7)
    v, c = (a.ravel() for a in np.meshgrid(np.linspace(0, 1, 41), np.linspace(0, 1, 41) + 0.003, indexing="ij"))
    np.testing.assert_array_equal(found.trade(v, np.minimum(c, 1.0)), (v - np.minimum(c, 1.0) >= 0.25).astype(float))


def test_the_error_falls_with_the_square_of_the_cells() -> None:
    coarse, fine = (abs(myerson_satterthwaite(UNIT, UNIT, cells=n).gains - 9 / 64) for n in (64, 512))
    assert fine < coarse / 30.0


@pytest.mark.parametrize(("count", "expected"), [(10, 0.15120), (20, 0.146818), (30, 0.144928), (40, 0.143929)])
def test_midpoint_grids_agree_with_the_linear_program(count: int, expected: float) -> None:
    found = myerson_satterthwaite(midpoints(count), midpoints(count))
    assert found.gains == pytest.approx(expected, abs=1e-6)
    if count <= 20:
        v, f = midpoints(count).quadrature(1)
        assert found.gains == pytest.approx(second_best_by_lp(v, f, v, f), abs=1e-9)


@given(st.integers(2, 6), st.integers(2, 6), st.integers(0, 10_000))
@settings(deadline=None, max_examples=25)
def test_any_finite_priors_agree_with_the_linear_program(m: int, n: int, seed: int) -> None:
    """Irregular ones most of the time: ironing and mixing are exercised."""
    rng = np.random.default_rng(seed)
    v, c = np.sort(rng.choice(20, m, replace=False)) / 10.0, np.sort(rng.choice(20, n, replace=False)) / 10.0
    f, g = rng.dirichlet(np.full(m, 0.5)) + 1e-3, rng.dirichlet(np.full(n, 0.5)) + 1e-3
    f, g = f / f.sum(), g / g.sum()
    found = myerson_satterthwaite(FinitePrior(v, f), FinitePrior(c, g))
    assert found.gains == pytest.approx(second_best_by_lp(v, f, c, g), abs=1e-8)
    assert found.gains <= found.first_best + 1e-12


@given(st.integers(2, 5), st.integers(2, 5), st.integers(0, 10_000))
@settings(deadline=None, max_examples=15)
def test_the_payments_do_what_they_promise(m: int, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    v, c = np.sort(rng.choice(20, m, replace=False)) / 10.0, np.sort(rng.choice(20, n, replace=False)) / 10.0
    f, g = rng.dirichlet(np.ones(m)) + 1e-3, rng.dirichlet(np.ones(n)) + 1e-3
    priors = {"buyer": FinitePrior(v, f / f.sum()), "seller": FinitePrior(c, g / g.sum())}
    mechanism = second_best_trade(["buyer", "seller"], prior=priors)
    for finding in audit(mechanism, ["BIC", "interim_IR", "strong_budget_balance"], effort="quick"):
        assert finding.verdict is Verdict.PROVED, finding.reason


@dataclass(frozen=True)
class TwoBumps:
    """Density 1.8 on [0, .3] and [.7, 1] less a little, .2 between: virtual values that fall where it drops."""

    low: float = 0.0

    @property
    def space(self) -> TypeSpace:
        return Interval(self.low, self.low + 1.0)

    @property
    def mean(self) -> float:
        return self.low + 0.5

    def pdf(self, values: np.ndarray) -> np.ndarray:
        x = np.asarray(values) - self.low
        return np.where((x < 0.3) | (x > 0.7), 1.5333333333333334, 0.2)

    def cdf(self, values: np.ndarray) -> np.ndarray:
        x = np.asarray(values) - self.low
        return np.interp(x, [0.0, 0.3, 0.7, 1.0], [0.0, 0.46, 0.54, 1.0])

    def sample(self, rng: np.random.Generator, size: int) -> np.ndarray:
        return self.low + np.interp(rng.random(size), [0.0, 0.46, 0.54, 1.0], [0.0, 0.3, 0.7, 1.0])

    def quadrature(self, order: int) -> tuple[np.ndarray, np.ndarray]:
        edges = np.linspace(0.0, 1.0, 10 * order + 1)
        middle = self.low + 0.5 * (edges[1:] + edges[:-1])
        return middle, np.diff(self.cdf(edges + self.low))


def test_irregular_densities_agree_with_a_fine_grid() -> None:
    """The continuous solution against the discrete one, which agrees with the linear program, on ever finer grids."""
    smooth = myerson_satterthwaite(TwoBumps(), TwoBumps())
    errors = []
    for cells in (200, 800):
        edges = np.linspace(0.0, 1.0, cells + 1)
        grid = FinitePrior(0.5 * (edges[1:] + edges[:-1]), np.diff(TwoBumps().cdf(edges)))
        errors.append(abs(myerson_satterthwaite(grid, grid).gains - smooth.gains))
    assert errors[1] < 1e-3
    assert errors[1] < 0.4 * errors[0]
    assert smooth.gains < smooth.first_best - 0.005
    for finding in audit(second_best_trade(2, prior=TwoBumps()), ["BIC", "interim_IR", "strong_budget_balance"], effort="quick"):
        assert finding.verdict is Verdict.NOT_REFUTED, finding.reason


def test_interim_utilities_of_densities_by_integration() -> None:
    """Truth against every misreport on a grid, expectations by a fine midpoint rule: BIC and interim IR to the rule's error."""
    buyer, seller = TruncatedNormal(0.0, 2.0, mean=1.0, sd=0.5), Uniform(Interval(0.2, 1.5))
    found = myerson_satterthwaite(buyer, seller)
    nodes = (np.arange(4000) + 0.5) / 4000
    costs = 0.2 + 1.3 * nodes
    values = 2.0 * nodes
    weights = buyer.pdf(values) / buyer.pdf(values).sum()
    reports = np.linspace(0.0, 2.0, 41)
    table = [(found.trade(np.full_like(costs, r), costs).mean(), found.payment(np.full_like(costs, r), costs).mean()) for r in reports]
    for own in reports:
        utilities = np.array([own * x - t for x, t in table])
        told = float(utilities[np.abs(reports - own).argmin()])
        assert utilities.max() <= told + 2e-3
        assert told >= -1e-3
    for own in np.linspace(0.2, 1.5, 27):
        each = np.full_like(values, own)
        assert float(weights @ (found.payment(values, each) - own * found.trade(values, each))) >= -1e-3


def test_where_the_supports_do_not_overlap_the_first_best_is_within_reach() -> None:
    found = myerson_satterthwaite(Uniform(Interval(2.0, 3.0)), UNIT)
    assert found.alpha == 0.0
    assert found.gains == pytest.approx(2.0, abs=1e-6)
    assert found.surplus > 0.9
    nothing = myerson_satterthwaite(UNIT, Uniform(Interval(2.0, 3.0)))
    assert nothing.gains == nothing.first_best == 0.0


def test_data_are_the_finite_prior_of_their_frequencies() -> None:
    """Empirical priors against the linear program, and against the same masses stated as a finite prior."""
    buyer, seller = Empirical([0.4, 0.9, 0.4, 0.2]), Empirical([0.8, 0.1, 0.3])
    found = myerson_satterthwaite(buyer, seller)
    v, f = np.array([0.2, 0.4, 0.9]), np.array([0.25, 0.5, 0.25])
    c, g = np.array([0.1, 0.3, 0.8]), np.full(3, 1 / 3)
    assert found.gains == pytest.approx(second_best_by_lp(v, f, c, g), abs=1e-9)
    assert found.gains == myerson_satterthwaite(FinitePrior(v, f), FinitePrior(c, g)).gains
    for finding in audit(second_best_trade(prior={"buyer 1": buyer, "seller 1": seller}), ["BIC", "interim_IR", "strong_budget_balance"]):
        assert finding.verdict is Verdict.PROVED, finding.reason


def test_a_finite_prior_against_a_density_in_closed_form() -> None:
    """One known value v: the price v is offered to a cost of U[0, 1], which is efficient, v^2 / 2; likewise one known cost."""
    for value in (0.3, 0.5, 1.0):
        assert myerson_satterthwaite(FinitePrior([value]), UNIT).gains == pytest.approx(0.5 * value**2, abs=1e-7)
        assert myerson_satterthwaite(UNIT, FinitePrior([value])).gains == pytest.approx(0.5 * (1.0 - value) ** 2, abs=1e-7)


@pytest.mark.parametrize("seed", range(4))
def test_a_finite_prior_against_a_density_agrees_with_the_linear_program_on_a_fine_grid(seed: int) -> None:
    """The density put on ever finer grids: irregular values, both sides, and the program's gains come nearer as the grid does."""
    rng = np.random.default_rng(seed)
    values, mass = np.sort(rng.choice(20, 4, replace=False)) / 16.0, rng.dirichlet(np.full(4, 0.7)) * 0.99 + 0.0025
    finite, smooth = FinitePrior(values, mass), TruncatedNormal(0.0, 1.0, mean=0.6, sd=0.3)
    first, second = myerson_satterthwaite(finite, smooth), myerson_satterthwaite(smooth, finite)
    errors = []
    for cells in (20, 80):
        edges = np.linspace(0.0, 1.0, cells + 1)
        grid, weights = 0.5 * (edges[1:] + edges[:-1]), np.diff(smooth.cdf(edges))
        errors.append(
            [
                abs(second_best_by_lp(values, mass, grid, weights) - first.gains),
                abs(second_best_by_lp(grid, weights, values, mass) - second.gains),
            ]
        )
    assert max(errors[1]) < 2e-3
    assert sum(errors[1]) < 0.5 * sum(errors[0])


def test_ever_finer_finite_priors_tend_to_the_continuum_and_its_deadweight_loss() -> None:
    """Against a uniform other side: 9/64 and the loss 1/6 - 9/64, at the rate of the grid's width."""
    for turned in (False, True):
        errors = []
        for cells in (10, 40, 160):
            pair = (UNIT, midpoints(cells)) if turned else (midpoints(cells), UNIT)
            found = myerson_satterthwaite(*pair)
            errors.append(abs(found.first_best - found.gains - (1 / 6 - 9 / 64)))
        assert errors[2] < 5e-4
        assert errors[1] < 0.3 * errors[0]
        assert errors[2] < 0.3 * errors[1]


@pytest.mark.parametrize("turned", [False, True])
def test_payments_of_a_finite_prior_and_a_density_do_what_they_promise(turned: bool) -> None:
    """The finite side's truth against every lie exactly; the other side's on a fine grid; no subsidy ex ante."""
    finite = FinitePrior([0.1, 0.35, 0.5, 0.9], [0.2, 0.5, 0.05, 0.25])
    found = myerson_satterthwaite(UNIT, finite) if turned else myerson_satterthwaite(finite, UNIT)
    assert found.alpha > 0.0  # the constraint binds: otherwise nothing is tested
    sign = -1.0 if turned else 1.0
    nodes = (np.arange(20_000) + 0.5) / 20_000

    def interim(report: float, others: np.ndarray, weights: np.ndarray, *, finite_side: bool) -> tuple[float, float]:
        mine = np.full_like(others, report)
        pair = (mine, others) if finite_side != turned else (others, mine)
        return float(weights @ found.trade(*pair)), float(weights @ found.payment(*pair))

    points, mass = finite.quadrature(1)
    table = [interim(r, nodes, np.full(20_000, 1 / 20_000), finite_side=True) for r in points]
    for k, own in enumerate(points):
        utilities = [sign * (own * x - t) for x, t in table]
        assert max(utilities) <= utilities[k] + 1e-4
        assert utilities[k] >= -1e-4
    reports = np.linspace(0.0, 1.0, 101)
    table = [interim(r, points, mass, finite_side=False) for r in reports]
    for k, own in enumerate(reports):
        utilities = [-sign * (own * x - t) for x, t in table]
        assert max(utilities) <= utilities[k] + 1e-9
        assert utilities[k] >= -1e-5


@pytest.mark.parametrize("pair", [(Empirical([0.1, 0.4, 0.4, 0.9]), UNIT), (UNIT, FinitePrior([0.1, 0.5, 0.7]))], ids=["data", "finite"])
def test_the_auditor_finds_nothing_against_a_finite_prior_and_a_density(pair: tuple[Prior, Prior]) -> None:
    mechanism = second_best_trade(prior=dict(zip(("buyer 1", "seller 1"), pair, strict=True)))
    for finding in audit(mechanism, ["BIC", "interim_IR", "strong_budget_balance"], effort="quick"):
        assert finding.verdict is Verdict.NOT_REFUTED, finding.reason
    for finding in audit(mechanism, ["DSIC", "ex_post_IR", "efficiency"], effort="quick"):
        assert finding.verdict is Verdict.REFUTED, finding.reason


def test_a_mixture_with_atoms_agrees_with_a_fine_grid() -> None:
    mixed = Mixture([UNIT, FinitePrior([0.3, 0.7])], [0.5, 0.5])
    values, place = np.unique(np.concatenate([(np.arange(400) + 0.5) / 400, [0.3, 0.7]]), return_inverse=True)
    grid = FinitePrior(values, np.bincount(place, np.concatenate([np.full(400, 0.5 / 400), [0.25, 0.25]])))
    for pair, fine in (
        ((mixed, mixed), (grid, grid)),
        ((mixed, UNIT), (grid, midpoints(400))),
        ((midpoints(4), mixed), (midpoints(4), grid)),
    ):
        assert myerson_satterthwaite(*pair).gains == pytest.approx(myerson_satterthwaite(*fine).gains, abs=1e-3)
    discrete = Mixture([FinitePrior([0.1, 0.4]), FinitePrior([0.9])], [0.5, 0.5])
    same = FinitePrior([0.1, 0.4, 0.9], [0.25, 0.25, 0.5])
    assert myerson_satterthwaite(discrete, discrete).gains == pytest.approx(myerson_satterthwaite(same, same).gains, abs=1e-12)


class NoDensity:
    """Types on an interval, but no more is known of them than draws."""

    space = Interval(0.0, 1.0)
    mean = 0.5

    def sample(self, rng: np.random.Generator, size: int) -> np.ndarray:
        return rng.random(size)

    def quadrature(self, order: int) -> tuple[np.ndarray, np.ndarray]:
        return (np.arange(order) + 0.5) / order, np.full(order, 1.0 / order)


def test_bad_priors_are_refused() -> None:
    with pytest.raises(InputError, match=r"with a density \(pdf, cdf\), got NoDensity for the seller"):
        myerson_satterthwaite(UNIT, NoDensity())
    with pytest.raises(InputError, match="single numbers"):
        myerson_satterthwaite(Uniform(Box([0.0, 0.0], [1.0, 1.0])), UNIT)
    with pytest.raises(InputError, match="one buyer and one seller"):
        second_best_trade(3)
    with pytest.raises(InputError, match="independent"):
        second_best_trade(["a", "b"], prior=CorrelatedPrior({"a": [0.0, 1.0], "b": [0.0, 1.0]}, [0.5, 0.5]))
    with pytest.raises(InputError, match="cells"):
        myerson_satterthwaite(UNIT, UNIT, cells=1)
