"""Learned rules are audited as they are given: a softmax in training and an argmax in play are two rules with the same weights."""

import runpy
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from hurwicz.audits import Effort, Verdict, audit, expected_revenue, replay
from hurwicz.mechanisms import menu, optimal_revenue, single_parameter
from hurwicz.settings import Menu

SMALL = Effort(profiles=100, deviations=17, refinements=3, steps=30, max_nodes=1024, samples=1024, seconds=60.0)
FEW = Effort(profiles=30, deviations=17, refinements=1, steps=20, max_nodes=256, samples=256, seconds=60.0)
BEST = (12.0 + 2.0 * 2.0**0.5) / 27.0  # two goods, one buyer, values of U[0, 1]: Manelli and Vincent
SHARPNESS = 10.0


@pytest.fixture(scope="module")
def learned():
    """Entries and prices of a menu, by gradient ascent on the revenue of a buyer who chooses by softmax."""

    def shown(weights):
        return jax.nn.sigmoid(weights[0]), jax.nn.softplus(weights[1])

    def loss(weights, values):
        entries, prices = shown(weights)
        worth = jnp.concatenate([jnp.zeros((len(values), 1)), values @ entries.T - prices], axis=1)
        return -(jax.nn.softmax(SHARPNESS * worth, axis=1)[:, 1:] @ prices).mean()

    adam, key = optax.adam(0.03), jax.random.key(0)

    def step(carry, k):
        weights, state = carry
        updates, state = adam.update(jax.grad(loss)(weights, jax.random.uniform(k, (256, 2))), state)
        return (optax.apply_updates(weights, updates), state), None

    start = (jax.random.normal(key, (8, 2)), jnp.linspace(-1.0, 1.0, 8))
    (weights, _), _ = jax.jit(lambda w: jax.lax.scan(step, (w, adam.init(w)), jax.random.split(key, 400)))(start)
    return {name: np.asarray(w, dtype=np.float64) for name, w in zip(("entries", "prices"), shown(weights), strict=True)}


@pytest.fixture(scope="module")
def example():
    return runpy.run_path(str(Path(__file__).resolve().parents[2] / "examples" / "learned_auction.py"))


def one(mechanism, name, *, effort=SMALL, **more):
    (finding,) = audit(mechanism, [name], effort=effort, **more)
    return finding


def test_a_learned_menu_is_refuted_as_it_was_trained_and_proved_as_it_is_played(learned):
    soft, hard = menu(1, **learned, sharpness=SHARPNESS), menu(1, **learned)
    lie = one(soft, "DSIC")
    assert lie.verdict is Verdict.REFUTED
    assert lie.value > 0.05
    assert replay(soft, lie) == pytest.approx(lie.witness.gain)
    assert replay(hard, lie) <= 0.0  # the very same lie gains nothing where the argmax is played
    assert one(soft, "ex_post_IR").verdict is Verdict.REFUTED
    for name in ("DSIC", "ex_post_IR", "weak_budget_balance"):
        assert one(hard, name).verdict is Verdict.PROVED


def test_the_revenue_of_the_training_log_raises_the_alarm_and_what_is_played_does_not(learned):
    soft, hard = menu(1, **learned, sharpness=SHARPNESS), menu(1, **learned)
    alarm = one(soft, "revenue_within_bound", revenue_bound=BEST)
    assert alarm.verdict is Verdict.REFUTED
    assert alarm.reason.startswith("impossible claim")
    found = one(hard, "revenue_within_bound", revenue_bound=BEST)
    assert found.verdict is Verdict.NOT_REFUTED
    # by a second route: the mean over a fine grid of values
    axis = (np.arange(400) + 0.5) / 400
    values = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    worth = np.concatenate([np.zeros((len(values), 1)), values @ learned["entries"].T - learned["prices"]], axis=1)
    asked = np.concatenate([[0.0], learned["prices"]])
    chances = np.exp(SHARPNESS * (worth - worth.max(axis=1, keepdims=True)))
    assert alarm.value == pytest.approx(((chances / chances.sum(axis=1, keepdims=True)) @ asked).mean(), abs=0.03)
    exact = asked[worth.argmax(axis=1)].mean()
    assert exact < BEST < alarm.value
    assert found.value == pytest.approx(exact, abs=0.05)


def test_the_gain_shrinks_with_the_sharpness_and_is_found_as_long_as_it_is_there(learned):
    gains = [one(menu(1, **learned, sharpness=s), "DSIC").value for s in (10.0, 100.0, 1000.0)]
    assert gains[0] > 3.0 * gains[1] > 9.0 * gains[2] > 0.0


def test_the_largest_gain_of_a_softmax_menu_by_brute_force(learned):
    soft = menu(1, **learned, sharpness=SHARPNESS)
    axis = np.linspace(0.0, 1.0, 21)
    types = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    outcomes = soft.outcomes({"buyer 1": types})
    table = types @ outcomes.allocation["buyer 1"].T - outcomes.payments["buyer 1"]
    gain = (table - np.diag(table)[:, None]).max()
    found = one(soft, "DSIC").effort["best_gain"]
    assert gain - 0.01 < found < gain + 0.01


def test_a_softmax_that_calls_itself_a_menu_is_not_believed(learned):
    soft = menu(1, **learned, sharpness=1e4)  # so sharp that a gain is hard to find
    goods = np.concatenate([np.zeros((1, 2)), learned["entries"]])
    asked = np.concatenate([[0.0], learned["prices"]])
    said = menu(1, **learned).form
    assert isinstance(said, Menu)
    np.testing.assert_array_equal(said.offers("buyer 1", {})[0][0], goods)
    np.testing.assert_array_equal(said.offers("buyer 1", {})[1][0], asked)
    claimed = type(soft)(name="soft", rule=soft.rule, prior=soft.prior, form=said)
    assert one(claimed, "DSIC").verdict is not Verdict.PROVED


def test_a_network_with_little_regret_in_training_has_much_of_it_in_play(example):
    trained, played = example["as_trained"](), example["as_played"]()
    soft, hard = one(trained, "DSIC"), one(played, "DSIC")
    assert soft.verdict is hard.verdict is Verdict.REFUTED
    assert soft.effort["best_gain"] < 0.02
    assert hard.effort["best_gain"] > 0.1
    assert replay(played, hard) == pytest.approx(hard.witness.gain)
    assert replay(trained, hard) < 0.02  # in training nobody could see it


def test_the_networks_gains_by_brute_force(example):
    axis = np.linspace(0.0, 1.0, 101)
    for make, low, high in ((example["as_trained"], 0.0, 0.02), (example["as_played"], 0.1, 0.3)):
        mechanism = make()
        first, second = (v.ravel() for v in np.meshgrid(axis, axis, indexing="ij"))
        shares, paid = mechanism.decide(np.stack([first, second], axis=1))
        worst = 0.0
        for own, x, t in ((0, shares[:, 0], paid[:, 0]), (1, shares[:, 1], paid[:, 1])):
            got, price = (np.moveaxis(v.reshape(101, 101), own, 0) for v in (x, t))
            table = axis[:, None, None] * got[None] - price[None]  # type, report, other
            truth = axis[:, None] * got - price
            worst = max(worst, float((table - truth[:, None]).max()))
        assert low < worst < high
        assert one(mechanism, "DSIC").effort["best_gain"] > worst - 0.01


def test_payments_for_the_rule_as_it_is_played_repair_it(example):
    repaired, played = example["as_repaired"](), example["as_played"]()
    bids = np.random.default_rng(2).uniform(size=(500, 2))
    np.testing.assert_array_equal(repaired.decide(bids)[0], played.decide(bids)[0])  # the same winners
    for finding in audit(repaired, ["DSIC", "ex_post_IR"], effort=FEW):
        assert finding.verdict is Verdict.PROVED
    most = optimal_revenue(repaired.prior)
    collected = expected_revenue(repaired, effort=FEW)
    assert most - 0.05 - collected.error < collected.value < most + collected.error


def test_critical_payments_of_the_softmax_do_not_make_the_argmax_truthful(example):
    """The other half of a mixed pair: truthful payments, worked out for the shares of training, and the item to the highest score."""
    network, weights = example["network"], example["trained"](example["uniform"](("bidder 1", "bidder 2")))

    def soft(bids):
        return example["shared"](network(weights, bids, np)[0])

    nodes, weight = np.polynomial.legendre.leggauss(48)

    def paid(bids):  # b x(b) less the integral of x from 0 to b
        out = bids * soft(bids)
        for i in (0, 1):
            told = np.repeat(bids[:, None, :], len(nodes), axis=1)
            told[:, :, i] = 0.5 * bids[:, i : i + 1] * (1.0 + nodes)
            out[:, i] -= 0.5 * bids[:, i] * (soft(told)[..., i] @ weight)
        return out

    truthful = single_parameter("softmax at its own critical payments", lambda b: (soft(b), paid(b)), 2)
    mixed = single_parameter("argmax at the softmax's payments", lambda b: (example["awarded"](network(weights, b, np)[0]), paid(b)), 2)
    assert one(truthful, "DSIC", effort=FEW).verdict is Verdict.NOT_REFUTED
    found = one(mixed, "DSIC", effort=FEW)
    assert found.verdict is Verdict.REFUTED
    assert found.effort["best_gain"] > 0.05
