"""Finite games: every equilibrium verified by a second route, and learning that stops regretting."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hurwicz._foundation import InputError, MissingExtraError, ShapeError
from hurwicz.equilibria import (
    FictitiousPlay,
    FiniteGame,
    Hedge,
    RegretMatching,
    TabularGame,
    drive,
    exploitability,
    gains,
    nash_equilibria,
    welfare_ratios,
)

SIZES = st.tuples(st.integers(1, 4), st.integers(1, 4))
SEEDS = st.integers(0, 10_000)


def random_game(seed: int, *sizes: int) -> FiniteGame:
    rng = np.random.default_rng(seed)
    return FiniteGame([rng.integers(-5, 6, size=sizes).astype(float) for _ in sizes])


def brute_gain(game: FiniteGame, profile: list[np.ndarray]) -> float:
    """The largest gain, by summing over every profile of actions one by one."""
    worst = 0.0
    for player, u in enumerate(game.payoffs):
        payoff = np.zeros(game.sizes[player])
        for actions in itertools.product(*(range(s) for s in game.sizes)):
            chance = np.prod([profile[k][0, a] for k, a in enumerate(actions) if k != player])
            payoff[actions[player]] += chance * u[actions]
        worst = max(worst, payoff.max() - payoff @ profile[player][0])
    return float(worst)


@settings(deadline=None, max_examples=40)
@given(SEEDS, st.lists(st.integers(1, 4), min_size=1, max_size=3))
def test_gains_are_those_of_brute_force(seed: int, sizes: list[int]) -> None:
    game = random_game(seed, *sizes)
    rng = np.random.default_rng(seed)
    profile = [rng.dirichlet(np.ones(s))[None] for s in sizes]
    assert exploitability(game, profile) == pytest.approx(brute_gain(game, profile), abs=1e-12)


@settings(deadline=None, max_examples=40)
@given(SEEDS, st.lists(st.integers(1, 4), min_size=2, max_size=3))
def test_pure_equilibria_are_those_of_brute_force(seed: int, sizes: list[int]) -> None:
    game = random_game(seed, *sizes)
    profiles = itertools.product(*(range(s) for s in sizes))
    assert game.pure_equilibria() == [a for a in profiles if brute_gain(game, game.pure(a)) <= 0.0]


@settings(deadline=None, max_examples=25)
@given(SEEDS, SIZES)
def test_gambit_finds_equilibria_that_leave_no_gain(seed: int, sizes: tuple[int, int]) -> None:
    pytest.importorskip("pygambit")
    game = random_game(seed, *sizes)
    found = nash_equilibria(game)
    assert found
    for profile in found:
        assert brute_gain(game, profile) <= 1e-7
    pure = {a for a in itertools.product(*(range(s) for s in sizes)) if brute_gain(game, game.pure(a)) <= 0.0}
    reported = {tuple(int(p.argmax()) for p in profile) for profile in found if all(p.max() > 1.0 - 1e-9 for p in profile)}
    assert reported == pure  # extreme equilibria are all among what enumeration returns


def test_three_players() -> None:
    pytest.importorskip("pygambit")
    game = random_game(5, 2, 3, 2)
    assert all(brute_gain(game, profile) < 1e-6 for profile in nash_equilibria(game))


def test_matching_pennies_has_one_equilibrium() -> None:
    pytest.importorskip("pygambit")
    pennies = FiniteGame([[[1.0, -1.0], [-1.0, 1.0]], [[-1.0, 1.0], [1.0, -1.0]]])
    for method in ("enumeration", "linear complementarity", "linear program", "global Newton"):
        (profile,) = nash_equilibria(pennies, method=method)
        assert np.allclose(np.concatenate(profile), 0.5)
    assert pennies.pure_equilibria() == []


@settings(deadline=None, max_examples=15)
@given(SEEDS, st.tuples(st.integers(2, 4), st.integers(2, 4)), st.sampled_from([Hedge(), RegretMatching(plus=False), RegretMatching()]))
def test_regret_falls(seed: int, sizes: tuple[int, int], dynamics: Hedge | RegretMatching) -> None:
    """Average external regret is within the textbook bound at every look: range × sqrt(actions / rounds) covers all three."""
    game = random_game(seed, *sizes)
    span = max(float(np.ptp(u)) for u in game.payoffs)
    trace = drive(game, dynamics, steps=800, tolerance=-1.0, every=100).stats["trace"]
    for look in trace:
        # nothing more is true: regret may be below zero early and rise towards it
        assert look["regret"] <= span * np.sqrt(2.0 * max(sizes) / look["round"]) + 1e-12


@pytest.mark.parametrize("dynamics", [FictitiousPlay(), Hedge(), Hedge(recency=1.0), RegretMatching(), RegretMatching(plus=False)])
def test_zero_sum_games_are_solved_by_learning(dynamics: FictitiousPlay | Hedge | RegretMatching) -> None:
    table = np.random.default_rng(3).normal(size=(4, 5))
    game = FiniteGame([table, -table])
    solution = drive(game, dynamics, steps=20_000, tolerance=0.03, every=100)
    assert solution.status.ok
    assert brute_gain(game, solution.value) <= 0.03


def test_regret_of_the_history_is_what_the_trace_says() -> None:
    """The trace's regret against a loop over the history of play."""
    game = random_game(1, 3, 3)
    rule = RegretMatching()
    state, history = rule.init(game), []
    for _ in range(50):
        history.append(state.profile)
        state = rule.step(game, state)
    worst = 0.0
    for player in range(2):
        tables = [game.utilities(p)[player][0] for p in history]
        earned = sum(float(u @ p[player][0]) for u, p in zip(tables, history, strict=True))
        worst = max(worst, (np.sum(tables, axis=0).max() - earned) / 50)
    assert rule.figures(game, state)["regret"] == pytest.approx(worst, abs=1e-12)


@settings(deadline=None, max_examples=20)
@given(SEEDS, st.tuples(st.integers(1, 3), st.integers(1, 3)), st.tuples(st.integers(1, 3), st.integers(1, 3)))
def test_bayesian_tables_against_their_strategic_form(seed: int, types: tuple[int, int], sizes: tuple[int, int]) -> None:
    """Ex ante payoffs of the strategic form are the interim ones weighed by the prior, correlated as it may be."""
    rng = np.random.default_rng(seed)
    prior = rng.dirichlet(np.ones(types[0] * types[1])).reshape(types)
    game = TabularGame([rng.normal(size=(t, *sizes)) for t in types], prior)
    form, plans = game.strategic_form()
    mixed = [rng.dirichlet(np.ones(len(p)))[None] for p in plans]
    profile = game.behavioural(mixed, plans)
    interim = game.utilities(profile)
    ante = [float(w @ (u * s).sum(axis=1)) for w, u, s in zip(game.weights, interim, profile, strict=True)]
    assert form.expected(mixed) == pytest.approx(ante, abs=1e-10)
    best = [float(w @ u.max(axis=1)) for w, u in zip(game.weights, interim, strict=True)]
    assert [float(u[0].max()) for u in form.utilities(mixed)] == pytest.approx(best, abs=1e-10)


def test_anarchy_and_stability() -> None:
    """Two drivers: the dear road is worth 3 to one alone, 2 to each of two; the pure equilibria earn 4 and the best profile 5."""
    game = FiniteGame([[[2.0, 3.0], [2.0, 1.0]], [[2.0, 2.0], [3.0, 1.0]]])
    pure = nash_equilibria(game, method="pure")
    ratios = welfare_ratios(game, pure)
    assert ratios == (0.8, 1.0)
    assert gains(game, pure[0])[0].max() == 0.0


def test_bad_input() -> None:
    with pytest.raises(ShapeError, match="one axis"):
        FiniteGame([[1.0, 2.0], [3.0, 4.0]])
    with pytest.raises(InputError, match="at least one player"):
        FiniteGame([])
    game = random_game(0, 2, 2)
    with pytest.raises(InputError, match="expected a method"):
        nash_equilibria(game, method="guess")
    with pytest.raises(InputError, match="two players"):
        nash_equilibria(random_game(0, 2, 2, 2), method="linear program")
    with pytest.raises(InputError, match="sums to 1"):
        TabularGame([np.zeros((1, 1, 1)), np.zeros((1, 1, 1))], [[0.5]])
    with pytest.raises(InputError, match="steps >= 1"):
        drive(game, Hedge(), steps=0, tolerance=0.1)


def test_without_gambit_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pygambit", None)
    with pytest.raises(MissingExtraError, match=r"hurwicz\[gambit\]"):
        nash_equilibria(random_game(0, 2, 2))
