"""Equilibria on grids certified by an independent route, interim tables by brute force, and the revelation principle."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hurwicz._foundation import InputError
from hurwicz.audits import Verdict, audit
from hurwicz.equilibria import (
    MixedStrategy,
    RegretMatching,
    bayes_nash,
    certify,
    drive,
    exploitability,
    reveal,
    reveal_table,
    sealed_bid_game,
    tabulate,
)
from hurwicz.equilibria.interim import CountsRoute, MonteCarloRoute, TableRoute, ThresholdRoute, choose_route
from hurwicz.mechanisms import MultiParameterMechanism, SingleParameterMechanism, single_parameter
from hurwicz.mechanisms.several_units import discriminatory, uniform_price
from hurwicz.mechanisms.single_item import all_pay, first_price, second_price, third_price
from hurwicz.mechanisms.trade import k_double_auction
from hurwicz.settings import beliefs
from hurwicz.typespaces import CorrelatedPrior, FinitePrior


def random_strategies(mechanism: SingleParameterMechanism, rng: np.random.Generator, bids: int = 4) -> dict[str, MixedStrategy]:
    grid = np.linspace(0.0, 1.0, bids)
    types = np.sort(rng.random(3))
    return {name: MixedStrategy(types, rng.dirichlet(np.ones(3)), grid, rng.dirichlet(np.ones(bids), size=3)) for name in mechanism.agents}


def brute_interim(mechanism: SingleParameterMechanism, agent: int, bid: float, strategies: dict[str, MixedStrategy]) -> tuple[float, float]:
    """Expected share and payment, one profile of the rivals' bids after the other."""
    names = [n for k, n in enumerate(mechanism.agents) if k != agent]
    share = payment = 0.0
    for places in itertools.product(*(range(len(strategies[n].bids)) for n in names)):
        chance = float(np.prod([strategies[n].mass[p] for n, p in zip(names, places, strict=True)]))
        profile = np.insert([strategies[n].bids[p] for n, p in zip(names, places, strict=True)], agent, bid)[None]
        x, t = mechanism.decide(profile)
        share, payment = share + chance * float(x[0, agent]), payment + chance * float(t[0, agent])
    return share, payment


@pytest.mark.parametrize(
    ("mechanism", "route"),
    [
        (first_price(4), CountsRoute),
        (first_price(3, reserve=0.4), CountsRoute),
        (all_pay(3), CountsRoute),
        (discriminatory(4, units=2), CountsRoute),
        (second_price(4), ThresholdRoute),
        (uniform_price(4, units=2), ThresholdRoute),
        (third_price(3), TableRoute),
        (k_double_auction(2), TableRoute),
        (first_price(2, ties="order"), CountsRoute),
        (first_price(3, ties="order"), TableRoute),
    ],
    ids=lambda value: getattr(value, "name", getattr(value, "__name__", None)),
)
def test_the_route_chosen_agrees_with_brute_force(mechanism: SingleParameterMechanism, route: type) -> None:
    rng = np.random.default_rng(0)
    made = random_strategies(mechanism, rng)
    chosen = choose_route(mechanism, 0.0, 1.0, grid=4)
    assert isinstance(chosen, route)
    at = np.array([0.0, 1.0 / 3.0, 0.5, 0.9, 1.0])
    for agent in (0, len(mechanism.agents) - 1):
        found = chosen.at(agent, at, [made[n] for n in mechanism.agents])
        for b, x, t in zip(at, found.share, found.payment, strict=True):
            assert (x, t) == pytest.approx(brute_interim(mechanism, agent, b, made), abs=1e-12)


def test_sampling_says_its_error() -> None:
    mechanism = third_price(5)
    made = random_strategies(mechanism, np.random.default_rng(1))
    laws = [made[n] for n in mechanism.agents]
    found = MonteCarloRoute(mechanism, samples=8192, seed=3).at(0, np.array([0.5, 1.0]), laws)
    assert 0.0 < found.error < 0.02
    for b, x, t in zip((0.5, 1.0), found.share, found.payment, strict=True):
        exact = brute_interim(mechanism, 0, b, made)
        assert abs(x - exact[0]) < 5.0 * found.error
        assert abs(t - exact[1]) < 5.0 * found.error


@settings(deadline=None, max_examples=12)
@given(st.integers(0, 10_000), st.integers(2, 3), st.sampled_from([first_price, all_pay, second_price]))
def test_epsilon_on_random_priors_is_certified_by_another_route(seed: int, bidders: int, make: type) -> None:
    """What the solver reports is what the table of all profiles says: types, bids and priors drawn at random."""
    rng = np.random.default_rng(seed)
    types = np.sort(rng.random(3)) + np.arange(3) * 0.05
    prior = FinitePrior(types, rng.dirichlet(np.full(3, 3.0)))
    mechanism = make(bidders, prior=prior)
    bids = np.linspace(0.0, 1.2, 9)
    found = bayes_nash(mechanism, bids=bids, tolerance=1e-2, steps=3000, strict=False).value
    game, known, _ = tabulate(mechanism, actions=dict.fromkeys(mechanism.agents, bids))
    profile = [found.strategies[n].probabilities for n in mechanism.agents]  # type: ignore[union-attr]
    assert np.array_equal(known[mechanism.agents[0]], types)
    assert exploitability(game, profile) == pytest.approx(found.certificate.restricted, abs=1e-9)
    assert found.certificate.restricted <= 0.02
    assert found.certificate.bound is None or found.certificate.bound >= found.epsilon >= found.certificate.restricted - 1e-12


def test_correlated_types_are_tabulated() -> None:
    """Second price with correlated values: the truth is an equilibrium, and the first price's truth is not."""
    prior = CorrelatedPrior({"a": [0.2, 0.2, 0.8, 0.8], "b": [0.2, 0.8, 0.2, 0.8]}, [0.4, 0.1, 0.1, 0.4])
    for make, gain in ((second_price, 0.0), (first_price, 0.06)):
        game, _, _ = tabulate(make(["a", "b"], prior=prior))
        assert exploitability(game, [np.eye(2), np.eye(2)]) == pytest.approx(gain, abs=1e-12)


def test_the_first_price_revealed_is_incentive_compatible_on_a_grid() -> None:
    """The auditor proves BIC over the finite types, up to the certified epsilon, and refutes it of the auction itself."""
    prior = FinitePrior([0.25, 0.5, 0.75, 1.0])
    auction = first_price(2, prior=prior)
    equilibrium = bayes_nash(auction, bids=41, tolerance=2e-3).value
    direct = reveal(auction, equilibrium)
    (truthful,) = audit(auction, ["BIC"])
    assert truthful.verdict is Verdict.REFUTED
    assert truthful.value > 0.05
    (finding,) = audit(direct, ["BIC"])
    assert finding.verdict is Verdict.PROVED or finding.value <= equilibrium.certificate.restricted
    assert finding.value <= equilibrium.certificate.restricted + 1e-12
    # The same outcome in expectation: one profile by brute force over the bids.
    sigma = equilibrium.strategies
    names = auction.agents
    share = payment = 0.0
    for i, j in itertools.product(range(41), repeat=2):
        one, two = sigma[names[0]], sigma[names[1]]
        chance = one.probabilities[3, i] * two.probabilities[1, j]  # type: ignore[union-attr]
        x, t = auction.decide(np.array([[one.bids[i], two.bids[j]]]))
        share, payment = share + chance * x[0, 0], payment + chance * t[0, 0]
    outcome = direct.outcome({names[0]: 1.0, names[1]: 0.5})
    assert float(outcome.allocation[names[0]]) == pytest.approx(share, abs=1e-12)
    assert outcome.payments[names[0]] == pytest.approx(payment, abs=1e-12)


def test_the_first_price_revealed_over_a_continuum() -> None:
    auction = first_price(3)
    equilibrium = bayes_nash(auction, knots=61).value
    direct = reveal(auction, equilibrium)
    (finding,) = audit(direct, ["BIC"], effort="quick")
    assert finding.verdict is not Verdict.REFUTED
    types = {"bidder 1": 0.3, "bidder 2": 0.9, "bidder 3": 0.5}
    bids = {name: float(equilibrium.bid(name, v)) for name, v in types.items()}
    assert direct.outcome(types).payments == auction.outcome(bids).payments


def test_a_profile_that_is_no_equilibrium_reveals_a_rule_that_is_refuted() -> None:
    """Negative control: everyone bids the truth in a first-price auction; the direct rule made of it is the auction, and not BIC."""
    prior = FinitePrior([0.25, 0.5, 0.75, 1.0])
    auction = first_price(2, prior=prior)
    found = bayes_nash(auction, bids=[0.25, 0.5, 0.75, 1.0], tolerance=1e-2, strict=False).value
    truth = {n: MixedStrategy(s.types, s.weights, s.bids, np.eye(4)) for n, s in found.strategies.items()}  # type: ignore[union-attr]
    lying = type(found)(found.mechanism, truth, certify(auction, truth))
    (finding,) = audit(reveal(auction, lying), ["BIC"])
    assert finding.verdict is Verdict.REFUTED
    assert finding.value <= lying.epsilon + 1e-9


def test_a_rule_of_ones_own_with_three_unlike_agents() -> None:
    """A weighted first price: agents told apart, so that nothing is assumed alike."""

    def weighted(bids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        scores = bids * np.array([1.0, 0.9, 0.8])
        wins = (np.arange(3) == scores.argmax(axis=1)[:, None]).astype(float)
        return wins, wins * bids

    mechanism = single_parameter("weighted first price", weighted, 3, prior=FinitePrior([0.5, 1.0]))
    game = sealed_bid_game(mechanism, bids=11)
    assert [len(g) for g in game.groups] == [1, 1, 1]
    found = bayes_nash(mechanism, bids=11, tolerance=2e-2, strict=False).value
    table, _, _ = tabulate(mechanism, actions=dict.fromkeys(mechanism.agents, np.linspace(0.5, 1.0, 11)))
    profile = [found.strategies[n].probabilities for n in mechanism.agents]  # type: ignore[union-attr]
    assert exploitability(table, profile) == pytest.approx(found.certificate.restricted, abs=1e-9)


def test_what_cannot_be_tabulated_or_revealed() -> None:
    with pytest.raises(InputError, match="finitely many types"):
        tabulate(first_price(2))
    with pytest.raises(InputError, match="entries"):
        tabulate(first_price(6, prior=FinitePrior(np.linspace(0.0, 1.0, 20))))
    other = bayes_nash(second_price(["a", "b"]), knots=11).value
    with pytest.raises(InputError, match="expected an equilibrium of"):
        reveal(first_price(2), other)
    with pytest.raises(InputError, match="joint prior"):
        bayes_nash(first_price(["a", "b"], prior=CorrelatedPrior({"a": [0.0, 1.0], "b": [0.0, 1.0]}, [0.5, 0.5])), strategies="monotone")


def items_to_the_highest(asked: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Two items, each to its highest bid (half where equal), everybody paying its winning bids: not truthful."""
    one, two = asked.values()
    share = np.where(one > two, 1.0, np.where(one == two, 0.5, 0.0))
    shares = dict(zip(asked, (share, 1.0 - share), strict=True))
    return shares, {name: (shares[name] * bids).sum(axis=1) for name, bids in asked.items()}


def test_vectors_of_values_are_revealed_too() -> None:
    """Additive values of two items, pay as bid: learned on all pairs of bids, revealed, audited; one profile by brute force."""
    prior = beliefs(["ann", "bob"], FinitePrior([[1.0, 0.5], [0.5, 1.0], [1.0, 1.0]]))
    auction = MultiParameterMechanism(name="pay as bid", rule=items_to_the_highest, prior=prior)
    bids = [[a, b] for a in (0.0, 0.25, 0.5, 0.75) for b in (0.0, 0.25, 0.5, 0.75)]
    game, types, reports = tabulate(auction, actions=dict.fromkeys(auction.agents, bids))
    profile = drive(game, RegretMatching(), steps=2000, tolerance=5e-3, every=50).value
    left = exploitability(game, profile)
    assert left <= 5e-3
    direct = reveal_table(auction, game, profile, types, reports)
    assert audit(auction, ["BIC"])[0].value > 0.05
    assert audit(direct, ["BIC"])[0].value <= left + 1e-12
    paid = 0.0
    for i, j in itertools.product(range(16), repeat=2):
        _, payments = auction.rule({"ann": np.array([bids[i]]), "bob": np.array([bids[j]])})
        paid += profile[0][2, i] * profile[1][0, j] * float(payments["ann"][0])
    outcome = direct.outcome({"ann": [1.0, 1.0], "bob": [1.0, 0.5]})
    assert outcome.payments["ann"] == pytest.approx(paid, abs=1e-12)
    with pytest.raises(InputError, match="profile of shapes"):
        reveal_table(auction, game, [np.eye(3), np.eye(3)], types, reports)
