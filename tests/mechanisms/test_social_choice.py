"""Groves' family and public projects: payments recomputed from the definition, budgets, and what the auditor says."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hurwicz._foundation import InputError, ShapeError
from hurwicz.audits import Verdict, audit
from hurwicz.mechanisms import clarke_pivot, expected_externality, expected_externality_public_good, groves, pivotal_public_good
from hurwicz.typespaces import Box, CorrelatedPrior, FinitePrior, Interval, TruncatedNormal, Uniform

COARSE = FinitePrior([0.0, 0.2, 0.5, 0.7, 1.0])
THREE = FinitePrior([[0.0, 0.3, 0.1], [0.4, 0.1, 0.2], [0.5, 0.5, 0.0], [1.0, 0.2, 0.9]], [0.1, 0.2, 0.3, 0.4])
TENTHS = st.integers(0, 10).map(lambda k: k / 10.0)
MATRIX = st.lists(st.lists(TENTHS, min_size=3, max_size=3), min_size=3, max_size=3)


@given(MATRIX)
@settings(deadline=None, max_examples=40)
def test_clarke_payments_by_definition(rows: list[list[float]]) -> None:
    values = np.asarray(rows)
    mechanism = clarke_pivot(3, alternatives=3, ties="order")
    outcome = mechanism.outcome(dict(zip(mechanism.agents, rows, strict=True)))
    totals = values.sum(axis=0)
    chosen = int(np.argmax(outcome.allocation["agent 1"]))
    assert totals[chosen] == pytest.approx(totals.max())
    for i, name in enumerate(mechanism.agents):
        others = np.delete(values, i, axis=0).sum(axis=0)
        assert outcome.payments[name] == pytest.approx(others.max() - others[chosen], abs=1e-12)
        np.testing.assert_array_equal(outcome.allocation[name], outcome.allocation["agent 1"])


@given(MATRIX, st.permutations([0, 1, 2]))
@settings(deadline=None, max_examples=30)
def test_names_do_not_matter(rows: list[list[float]], order: list[int]) -> None:
    mechanism = clarke_pivot(3, alternatives=3)
    one = mechanism.outcome(dict(zip(mechanism.agents, rows, strict=True)))
    two = mechanism.outcome(dict(zip(mechanism.agents, [rows[k] for k in order], strict=True)))
    for k, name in enumerate(mechanism.agents):
        assert two.payments[name] == pytest.approx(one.payments[mechanism.agents[order[k]]], abs=1e-12)


def test_any_term_of_the_others_is_truthful_and_a_term_of_ones_own_is_not() -> None:
    def others_best(name: str, others: dict[str, np.ndarray]) -> np.ndarray:
        del name
        return 0.3 * np.sum([v[:, 0] ** 2 for v in others.values()], axis=0) - 0.1

    (finding,) = audit(groves(3, prior=THREE, alternatives=3, others_term=others_best), ["DSIC"], effort="quick")
    assert finding.verdict is Verdict.PROVED
    with pytest.raises(ShapeError, match="others_term"):
        groves(2, others_term=lambda name, others: np.zeros(())).outcome({"agent 1": [0.0, 1.0], "agent 2": [0.0, 1.0]})


@pytest.mark.parametrize("ties", ["lottery", "order"])
@pytest.mark.parametrize("types", [THREE, FinitePrior([[0.1 * i, 0.1 * j] for i in range(3) for j in range(3)])])
def test_expected_externalities_by_enumeration(ties: str, types: FinitePrior) -> None:
    """xi as a sum over every profile of the others, with ties as the rule breaks them."""
    dims = types.space.grid(0).shape[1]
    mechanism = expected_externality(3, prior=types, alternatives=dims, ties=ties)
    values, weights = types.quadrature(1)

    def xi(own: np.ndarray) -> float:
        total = 0.0
        for (a, p), (b, q) in itertools.product(zip(values, weights, strict=True), repeat=2):
            sums = own + a + b
            top = np.flatnonzero(sums >= sums.max() - 1e-9)
            top = top[:1] if ties == "order" else top
            total += p * q * (a + b)[top].mean()
        return total

    profile = {"agent 1": values[0], "agent 2": values[-1], "agent 3": values[1]}
    owed = {name: xi(np.asarray(v)) for name, v in profile.items()}
    paid = mechanism.outcome(profile).payments
    for name in profile:
        rest = [x for other, x in owed.items() if other != name]
        assert paid[name] == pytest.approx(np.mean(rest) - owed[name], abs=1e-12)
    verdicts = {f.property: f.verdict for f in audit(mechanism, ["BIC", "strong_budget_balance", "efficiency", "DSIC"], effort="quick")}
    assert verdicts.pop("DSIC") is Verdict.REFUTED
    assert set(verdicts.values()) == {Verdict.PROVED}


def test_expected_externalities_by_sampling_agree_with_the_exact_ones() -> None:
    """Two alternatives, uniform values: xi over one other, by a sample of its own."""
    mechanism = expected_externality(2, samples=8192)
    paid = mechanism.outcome({"agent 1": [0.6, 0.1], "agent 2": [0.0, 0.0]}).payments["agent 1"]
    rng = np.random.default_rng(7)
    other = rng.random((400_000, 2))

    def xi(own: np.ndarray) -> float:
        return float(np.where((own + other).argmax(axis=1) == 0, other[:, 0], other[:, 1]).mean())

    assert paid == pytest.approx(xi(np.array([0.0, 0.0])) - xi(np.array([0.6, 0.1])), abs=3e-3)


@given(st.lists(TENTHS, min_size=3, max_size=3))
@settings(deadline=None, max_examples=40)
def test_pivotal_project_by_definition(values: list[float]) -> None:
    theta, cost = np.asarray(values), 1.2
    for nominal, share in (("equal", cost / 3), ("none", 0.0)):
        mechanism = pivotal_public_good(3, cost=cost, nominal=nominal)
        shares, paid = (part[0] for part in mechanism.decide(theta[None]))
        built = float(theta.sum() >= cost - 1e-12)
        assert set(shares) == {built}
        for i in range(3):
            net = theta.sum() - theta[i] - (cost - share)
            assert paid[i] == pytest.approx(share * built + max(0.0, net) - built * net, abs=1e-12)
        if nominal == "equal":
            assert paid.sum() >= cost * built - 1e-12
        else:
            assert (theta * shares - paid).min() >= -1e-12


@pytest.mark.parametrize("types", [COARSE, FinitePrior([0.1, 0.3, 0.9], [0.5, 0.25, 0.25])])
def test_expected_externality_project_by_enumeration(types: FinitePrior) -> None:
    mechanism = expected_externality_public_good(3, prior=types, cost=1.2)
    values, weights = types.quadrature(1)

    def xi(own: float) -> float:
        pairs = itertools.product(zip(values, weights, strict=True), repeat=2)
        return sum(p * q * (a + b - 0.8) * (own + a + b >= 1.2 - 1e-9) for (a, p), (b, q) in pairs)

    profile = np.array([values[-1], values[0], values[1]])
    built = float(profile.sum() >= 1.2 - 1e-9)
    owed = np.array([xi(v) for v in profile])
    expected = 0.4 * built - owed + (owed.sum() - owed) / 2
    np.testing.assert_allclose(mechanism.decide(profile[None])[1][0], expected, atol=1e-12)


def test_the_law_of_a_sum_converges() -> None:
    """Uniform values: xi in closed form for two agents, E[(theta_2 - C/2) 1(theta_2 >= C - theta_1)] with C = 1."""

    def xi(own: np.ndarray) -> np.ndarray:
        edge = np.clip(1.0 - own, 0.0, 1.0)
        return (1.0 - edge**2) / 2.0 - 0.5 * (1.0 - edge)

    bids = np.random.default_rng(0).random((200, 2))
    errors = []
    for cells in (64, 1024):
        mechanism = expected_externality_public_good(2, cost=1.0, cells=cells)
        built = (bids.sum(axis=1) >= 1.0)[:, None]
        owed = xi(bids)
        expected = 0.5 * built - owed + owed[:, ::-1]
        errors.append(float(np.abs(mechanism.decide(bids)[1] - expected).max()))
    assert errors[0] < 1e-3
    assert errors[1] < errors[0] / 100.0
    mixed = {"a": TruncatedNormal(0.0, 1.0, mean=0.4, sd=0.2), "b": FinitePrior([0.0, 1.0]), "c": Uniform(Interval(0.0, 2.0))}
    (finding,) = audit(expected_externality_public_good(["a", "b", "c"], prior=mixed, cost=1.5), ["planner_IR"], effort="quick")
    assert finding.verdict is Verdict.NOT_REFUTED


def test_bad_arguments_are_refused() -> None:
    correlated = CorrelatedPrior({"a": [0.0, 1.0], "b": [0.0, 1.0]}, [0.5, 0.5])
    with pytest.raises(InputError, match="independent"):
        expected_externality_public_good(["a", "b"], prior=correlated)
    with pytest.raises(InputError, match="each of 2 alternatives"):
        clarke_pivot(2, prior=Uniform(Interval(0.0, 1.0)))
    with pytest.raises(InputError, match="each of 3 alternatives"):
        clarke_pivot(2, alternatives=3, prior=Uniform(Box([0.0, 0.0], [1.0, 1.0])))
    with pytest.raises(InputError, match="different names"):
        clarke_pivot(2, alternatives=["pool", "pool"])
    with pytest.raises(InputError, match="at least 2"):
        expected_externality(1)
    with pytest.raises(InputError, match="nominal"):
        pivotal_public_good(2, nominal="fair")
    with pytest.raises(InputError, match="cost"):
        pivotal_public_good(2, cost=-1.0)
