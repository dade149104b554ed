"""Attitudes to risk: inverses, aversion, and audits of expected utility."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

from hurwicz._foundation import InputError
from hurwicz.audits import Verdict, audit
from hurwicz.mechanisms import single_parameter
from hurwicz.settings import CARA, CRRA, ExpectedUtility, RiskNeutral, beliefs
from hurwicz.typespaces import FinitePrior

ATTITUDES = (RiskNeutral(), CARA(2.0), CARA(-1.0), CARA(0.0), CRRA(0.5, 2.0), CRRA(1.0, 2.0), CRRA(3.0, 2.0), CRRA(0.0))
lotteries = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=5)


@pytest.mark.parametrize("attitude", ATTITUDES, ids=repr)
def test_wealth_inverts_utility_and_utility_increases(attitude):
    wealth = np.linspace(-0.9, 3.0, 41)
    assert np.allclose(attitude.wealth(attitude.utility(wealth)), wealth, atol=1e-12)
    assert np.all(np.diff(attitude.utility(wealth)) > 0.0)
    assert attitude.utility(np.zeros(1))[0] == 0.0


@pytest.mark.parametrize("attitude", [CARA(2.0), CARA(-1.0), CRRA(0.5, 2.0), CRRA(1.0, 2.0)], ids=repr)
@given(wealths=lotteries)
def test_certainty_equivalent_is_the_root_and_lies_on_the_right_side_of_the_mean(attitude, wealths):
    odds = np.full(len(wealths), 1.0 / len(wealths))
    sure = attitude.certainty_equivalent(np.asarray(wealths), odds)
    mean_utility = np.mean([float(attitude.utility(np.asarray([w]))[0]) for w in wealths])
    root = brentq(lambda w: float(attitude.utility(np.asarray([w]))[0]) - mean_utility, -0.5, 1.5, xtol=1e-13)
    assert sure == pytest.approx(root, abs=1e-9)
    averse = not (isinstance(attitude, CARA) and attitude.aversion < 0)
    assert (sure <= np.mean(wealths) + 1e-12) if averse else (sure >= np.mean(wealths) - 1e-12)


@pytest.mark.parametrize("attitude", [CARA(1.7), CRRA(2.3, 1.5)], ids=repr)
def test_aversion_is_what_the_definition_says(attitude):
    w, h = np.asarray([0.4]), 1e-4
    first = (attitude.utility(w + h) - attitude.utility(w - h)) / (2 * h)
    second = (attitude.utility(w + h) - 2 * attitude.utility(w) + attitude.utility(w - h)) / h**2
    expected = attitude.aversion if isinstance(attitude, CARA) else attitude.aversion / (attitude.endowment + 0.4)
    assert float(-(second / first)[0]) == pytest.approx(expected, rel=1e-5)


def lottery_for_the_good(bids):
    """Everybody gets an equal chance and pays half of what it says, won or not."""
    return np.full(bids.shape, 1.0 / bids.shape[1]), 0.5 * bids / bids.shape[1]


def test_neutral_agents_see_the_mechanism_itself():
    mechanism = single_parameter("lottery", lottery_for_the_good, 2)
    seen = ExpectedUtility(mechanism, RiskNeutral())
    reports = {"bidder 1": 0.3, "bidder 2": 0.9}
    plain, risky = mechanism.outcome(reports), seen.outcome(reports)
    for name, theta in reports.items():
        assert seen.value(name, risky, theta) == pytest.approx(mechanism.value(name, plain, theta) - plain.payments[name])
    assert seen.welfare(risky, reports) == pytest.approx(mechanism.welfare(plain, reports) - sum(plain.payments.values()))


def test_a_coin_that_neutral_agents_accept_is_refused_by_the_averse():
    # Either wins the good or pays for nothing with equal odds: worth nothing to the neutral, less to who shuns risk.
    prior = beliefs(["a", "b"], FinitePrior([1.0, 2.0]))

    def takes(k):
        def rule(bids):
            shares = np.zeros(bids.shape)
            shares[:, k] = 1.0
            return shares, np.where(shares == 1.0, 0.0, bids)

        return single_parameter("coin", rule, ["a", "b"], prior=prior)

    coin = [(0.5, takes(0)), (0.5, takes(1))]
    neutral, averse = ExpectedUtility(coin, RiskNeutral()), ExpectedUtility(coin, CARA(1.0))
    (fine,) = audit(neutral, ["ex_post_IR"])
    (short,) = audit(averse, ["ex_post_IR"])
    assert fine.verdict is Verdict.PROVED
    assert short.verdict is Verdict.REFUTED
    # 1/2 u(theta) + 1/2 u(-theta) at theta = 2
    assert short.witness.gain == pytest.approx(-0.5 * (1 - np.exp(-2.0)) - 0.5 * (1 - np.exp(2.0)))


def test_dominance_needs_no_attitude():
    # A sealed second price is truthful whatever the attitude; a first price never is.
    prior = beliefs(["a", "b"], FinitePrior([0.0, 0.5, 1.0]))

    def highest(pay):
        def rule(bids):
            shares = np.eye(2)[bids.argmax(axis=1)]
            return shares, shares * pay(bids)[:, None]

        return single_parameter("auction", rule, ["a", "b"], prior=prior)

    for attitude in (CARA(3.0), CRRA(2.0, 3.0)):
        (truthful,) = audit(ExpectedUtility(highest(lambda b: b.min(axis=1)), attitude), ["DSIC"])
        (shaded,) = audit(ExpectedUtility(highest(lambda b: b.max(axis=1)), attitude), ["DSIC"])
        assert truthful.verdict is Verdict.PROVED
        assert shaded.verdict is Verdict.REFUTED


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CARA(np.nan), "finite aversion"),
        (lambda: CRRA(1.0, 0.0), "endowment > 0"),
        (lambda: CRRA(1.0, 1.0).utility(np.asarray([-1.0])), "raise the endowment"),
        (lambda: RiskNeutral().expected(np.asarray([1.0]), np.asarray([0.9])), "sum to 1"),
        (lambda: ExpectedUtility([], RiskNeutral()), "at least one mechanism"),
        (lambda: ExpectedUtility(single_parameter("m", lottery_for_the_good, 2), {"bidder 1": CARA(1.0)}), "attitude for each"),
        (lambda: ExpectedUtility([(0.9, single_parameter("m", lottery_for_the_good, 2))], RiskNeutral()), "sum to 1"),
    ],
)
def test_bad_input_is_told(make, message):
    with pytest.raises(InputError, match=message):
        make()
