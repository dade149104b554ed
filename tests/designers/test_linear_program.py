"""The best mechanism by linear program: against Myerson, second-best trade, Crémer and McLean, the whole program, and the auditor."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hurwicz._foundation import InputError, Status
from hurwicz.audits import Verdict, audit
from hurwicz.designers import linear_rows, optimal_mechanism
from hurwicz.mechanisms import optimal_revenue
from hurwicz.settings import beliefs
from hurwicz.typespaces import CorrelatedPrior, FinitePrior, Interval, ProductPrior, Uniform


def whole_program(types, weights, *, supply=1.0):
    """Greatest revenue, DSIC and ex post IR: every constraint written down by loops, no names exchanged, scipy's solver."""
    from scipy.optimize import linprog

    profiles = list(itertools.product(*(range(len(own)) for own in types)))
    place = {p: k for k, p in enumerate(profiles)}
    agents, items = len(types), len(types[0][0])
    size = len(profiles) * agents * (items + 1)

    def entries(p, i):
        first = (place[p] * agents + i) * (items + 1)
        return list(range(first, first + items)), first + items

    rows, limits, cost, bounds = [], [], np.zeros(size), [(0.0, 1.0)] * size
    for p in profiles:
        for m in range(items):
            row = np.zeros(size)
            for i in range(agents):
                row[entries(p, i)[0][m]] = 1.0
            rows.append(row)
            limits.append(supply)
        for i in range(agents):
            shares, paid = entries(p, i)
            cost[paid], bounds[paid] = -weights[p], (None, None)
            for r in range(len(types[i])):
                # u(r) - u(truth) <= 0, and -u(truth) <= 0
                row = np.zeros(size)
                row[shares], row[paid] = -np.asarray(types[i][p[i]]), 1.0
                if r != p[i]:
                    lie_shares, lie_paid = entries((*p[:i], r, *p[i + 1 :]), i)
                    row[lie_shares], row[lie_paid] = types[i][p[i]], -1.0
                rows.append(row)
                limits.append(0.0)
    found = linprog(cost, np.asarray(rows), limits, bounds=bounds, method="highs")
    assert found.success
    return -found.fun


def revenue(prior, **options):
    found = optimal_mechanism(prior, **options)
    assert found.status is Status.OPTIMUM
    assert found.stats["gain"] <= 1e-9
    assert found.stats["loss"] <= 1e-9
    return found.stats["revenue"]


PRIORS = {
    "alike": {"a": FinitePrior([0.0, 1.0, 2.0, 3.0]), "b": FinitePrior([0.0, 1.0, 2.0, 3.0])},
    "unlike": {"a": FinitePrior([1.0, 2.0, 4.0], [0.5, 0.3, 0.2]), "b": FinitePrior([0.5, 3.0])},
    "irregular": {"a": FinitePrior([1.0, 2.0, 3.0, 4.0], [0.45, 0.05, 0.05, 0.45]), "b": FinitePrior([1.0, 3.0], [0.7, 0.3])},
}


@pytest.mark.parametrize("name", PRIORS)
@pytest.mark.parametrize("incentives", ["DSIC", "BIC"])
def test_one_item_is_myersons(name: str, incentives: str) -> None:
    """With one item nothing is lost by asking for dominant strategies (Manelli and Vincent 2010)."""
    prior = ProductPrior(PRIORS[name])
    participation = "interim" if incentives == "BIC" else "ex_post"
    assert revenue(prior, incentives=incentives, participation=participation) == pytest.approx(optimal_revenue(prior), abs=1e-9)


def test_two_items_are_the_whole_programs() -> None:
    """Exchanging names and adding rows one by one change nothing; the first bidder's items alike, the second's not."""
    same = [(x, y) for x in (0.0, 1.0, 2.0) for y in (0.0, 1.0, 2.0)]
    other = [(0.0, 1.0), (1.0, 2.0), (2.0, 2.0)]
    for types in ([same, same], [same, other], [other, other]):
        prior = ProductPrior({name: FinitePrior(own) for name, own in zip("ab", types, strict=True)})
        weights = {p: 1.0 / (len(types[0]) * len(types[1])) for p in itertools.product(*(range(len(own)) for own in types))}
        assert revenue(prior) == pytest.approx(whole_program(types, weights), abs=1e-8)


def test_exchanges_of_names_save_entries_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    prior = beliefs(["a", "b", "c"], FinitePrior([(x, y) for x in (0.0, 1.0) for y in (0.0, 1.0)]))
    with_names = optimal_mechanism(prior)
    monkeypatch.setattr(linear_rows, "renamings", lambda *_given: iter(()))
    without = optimal_mechanism(prior)
    assert without.stats["objective"] == pytest.approx(with_names.stats["objective"], abs=1e-9)
    assert without.stats["variables"] == 4**3 * 3 * 3
    assert with_names.stats["variables"] < without.stats["variables"] / 6


def test_the_auditor_proves_what_is_claimed() -> None:
    types = list(itertools.product((0.0, 0.5, 1.0), repeat=2))
    found = optimal_mechanism(beliefs(["ann", "bob"], FinitePrior(types)))
    for finding in audit(found.value, ["DSIC", "BIC", "ex_post_IR", "feasibility"]):
        assert finding.verdict is Verdict.PROVED, finding
    asked = {claim.property: claim.holds for claim in found.value.guarantees}
    assert asked == {"DSIC": True, "ex_post_IR": True}
    # what was only asked for in expectation may fail at a profile
    interim = optimal_mechanism(beliefs(["ann", "bob"], FinitePrior(types)), incentives="BIC", participation="interim")
    verdicts = {f.property: f.verdict for f in audit(interim.value, ["DSIC", "BIC", "interim_IR"])}
    assert verdicts["BIC"] is Verdict.PROVED
    assert verdicts["interim_IR"] is Verdict.PROVED
    assert interim.stats["revenue"] >= found.stats["revenue"] - 1e-9


def test_correlated_types_leave_nothing_to_the_bidders() -> None:
    """Crémer and McLean (1988): beliefs that differ by type let the seller take all of the welfare, in expectation."""
    prior = CorrelatedPrior({"a": [1.0, 1.0, 2.0, 2.0], "b": [1.0, 2.0, 1.0, 2.0]}, [0.4, 0.1, 0.1, 0.4])
    everything = 0.4 * 1.0 + 0.6 * 2.0
    assert revenue(prior, incentives="BIC", participation="interim") == pytest.approx(everything, abs=1e-9)
    # asked for at every profile, truth and participation leave the bidder of a high type what a price of 1 or 2 leaves
    assert revenue(prior) == pytest.approx(1.5, abs=1e-9)


@pytest.mark.parametrize("count", [8, 16])
def test_trade_nears_the_second_best(count: int) -> None:
    """Myerson and Satterthwaite's 9/64 for two uniform types; a grid has a little more."""
    middles = FinitePrior((np.arange(count) + 0.5) / count)
    prior = ProductPrior({"buyer": middles, "seller": middles})
    found = optimal_mechanism(
        prior, objective="welfare", incentives="BIC", participation="interim", budget="weak_in_expectation", supply=0.0,
        sides={"buyer": 1.0, "seller": -1.0},
    )  # fmt: skip
    values = middles.space.grid(0)
    first_best = np.maximum(values[:, None] - values, 0.0).mean()
    assert 9 / 64 - 1e-3 < found.stats["welfare"] < first_best - 1e-3
    assert found.stats["welfare"] == pytest.approx(9 / 64, abs=0.6 / count)
    # and with dominant strategies and payments that go from one to the other, only prices that are posted (Hagerty and Rogerson 1987)
    posted = optimal_mechanism(
        prior, objective="welfare", budget="strong", supply=0.0, sides={"buyer": 1.0, "seller": -1.0}
    )  # fmt: skip
    gains = [np.where((values[:, None] >= p) & (values <= p), values[:, None] - values, 0.0).mean() for p in values]
    assert posted.stats["welfare"] == pytest.approx(max(gains), abs=1e-9)


def test_demand_and_supply_bind() -> None:
    types = FinitePrior([(1.0, 1.0), (2.0, 2.0)])
    prior = beliefs(["a"], types)
    assert revenue(prior, demand=1.0) == pytest.approx(0.5 * revenue(prior), abs=1e-9)
    assert revenue(prior, supply=[1.0, 0.0]) == pytest.approx(0.5 * revenue(prior), abs=1e-9)
    both = optimal_mechanism(beliefs(["a", "b"], FinitePrior([1.0, 2.0])), supply=2.0, objective="welfare", participation="none")
    assert both.stats["welfare"] == pytest.approx(3.0, abs=1e-9)


@settings(deadline=None, max_examples=15)
@given(
    values=st.lists(st.integers(0, 6), min_size=2, max_size=4, unique=True),
    others=st.lists(st.integers(0, 6), min_size=1, max_size=3, unique=True),
    tilt=st.floats(0.1, 3.0),
)
def test_any_two_bidders_for_one_item(values: list[int], others: list[int], tilt: float) -> None:
    chances = np.exp(-tilt * np.arange(len(values)))
    prior = ProductPrior(
        {"a": FinitePrior([float(v) for v in values], chances / chances.sum()), "b": FinitePrior([float(v) for v in others])}
    )
    found = optimal_mechanism(prior)
    assert found.stats["revenue"] == pytest.approx(optimal_revenue(prior), abs=1e-8)
    assert all(f.verdict is Verdict.PROVED for f in audit(found.value, ["DSIC", "ex_post_IR", "feasibility"]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objective": "profit"}, "objective: expected weights"),
        ({"objective": {"revenue": -1.0}}, "objective: expected weights"),
        ({"incentives": "IC"}, "incentives: expected one of DSIC, BIC"),
        ({"participation": "always"}, "participation: expected one of"),
        ({"budget": "zero"}, "budget: expected one of"),
        ({"participation": "none"}, "revenue has no bound"),
        ({"supply": -1.0}, "supply: expected"),
        ({"supply": [1.0, 1.0]}, "supply: expected"),
        ({"demand": 0.0}, "demand: expected"),
        ({"sides": {"a": 1.0}}, "expected a side"),
    ],
)
def test_bad_input(options, message: str) -> None:
    with pytest.raises(InputError, match=message):
        optimal_mechanism(beliefs(["a", "b"], FinitePrior([1.0, 2.0])), **options)


def test_a_continuum_is_refused() -> None:
    with pytest.raises(InputError, match="take a grid"):
        optimal_mechanism(beliefs(["a"], Uniform(Interval(0.0, 1.0))))
