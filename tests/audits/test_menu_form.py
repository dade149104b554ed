"""The taxation principle: what is chosen from offers that do not depend on the own report is proved; a menu that moves is found out."""

from dataclasses import replace

import numpy as np
import pytest

from hurwicz._foundation import InputError
from hurwicz.audits import Effort, Verdict, audit, expected_revenue
from hurwicz.mechanisms import (
    first_price,
    generalized_second_price,
    lottery_over,
    lowest_ask_paid_on_pass,
    menu,
    moulin_shapley,
    posted_price,
    second_price,
    single_parameter,
)
from hurwicz.settings import Menu
from hurwicz.typespaces import Box, FinitePrior, Interval, Uniform

from .small_audits import ASKED, SMALL, judged, verdicts


def vickrey_offers(agent, others):
    """Nothing, or the item (a share of it, where bids tie) at the highest other bid."""
    price = np.max(list(others.values()), axis=0)
    share = np.tile([0.0, *(1.0 / k for k in range(1, len(others) + 2))], (len(price), 1))
    return share, share * price[:, None]


@pytest.mark.parametrize("ties", ["lottery", "order"])
@pytest.mark.parametrize("agents", [1, 2, 4])
def test_the_lowest_ask_paid_on_pass_is_proved(agents, ties):
    dsic, taking_part, budget = judged(lowest_ask_paid_on_pass(agents, ties=ties, worth=0.8))
    assert dsic.verdict is taking_part.verdict is Verdict.PROVED
    assert dsic.method == taking_part.method == "by form: menu"
    assert budget.verdict is Verdict.REFUTED


def test_its_own_ask_on_pass_is_no_menu():
    other = lowest_ask_paid_on_pass(2, pay="own ask")
    assert other.form is None
    said = replace(other, form=lowest_ask_paid_on_pass(2).form)
    (finding,) = judged(said, ["DSIC"])
    assert finding.verdict is Verdict.REFUTED


def test_asks_in_money_are_a_second_price_in_another_currency():
    """A second route: for agents who never fail it is the reverse second-price auction with a ceiling."""
    rng = np.random.default_rng(1)
    costs = rng.uniform(size=(40, 3))
    mechanism = lowest_ask_paid_on_pass(["a", "b", "c"], worth=0.7)
    outcomes = mechanism.outcomes({n: np.stack([np.ones(40), costs[:, i]], axis=1) for i, n in enumerate(mechanism.agents)})
    order = np.sort(np.concatenate([np.where(costs <= 0.7, costs, 0.7), np.full((40, 1), 0.7)], axis=1), axis=1)
    for i, n in enumerate(mechanism.agents):
        wins = (costs[:, i] == costs.min(axis=1)) & (costs[:, i] <= 0.7)
        np.testing.assert_allclose(-outcomes.payments[n], np.where(wins, order[:, 1], 0.0))


@pytest.mark.parametrize("mechanism", [second_price(2), second_price(3), second_price(3, ties="order")], ids=lambda m: m.name)
def test_a_second_price_is_a_menu_as_well(mechanism):
    again = replace(mechanism, form=Menu(vickrey_offers))
    findings = judged(again, [*ASKED, "planner_IR"])
    assert [f.verdict for f in findings] == [Verdict.PROVED] * 4
    assert {f.method for f in findings} == {"by form: menu"}


def changed(how):
    base = second_price(2)

    def rule(bids):
        shares, paid = base.rule(bids)
        return how(bids, shares, paid)

    return replace(base, rule=rule, form=Menu(vickrey_offers))


def test_what_is_on_nobodys_menu_is_found():
    fee = judged(changed(lambda b, x, t: (x, t + 0.05)), ["DSIC"])[0]  # truthful all the same: but not of this form
    assert fee.verdict is Verdict.NOT_REFUTED
    assert "ends at" in fee.reason
    assert "best of its offers" in fee.reason
    first = replace(first_price(2), form=Menu(vickrey_offers))
    assert verdicts(first, ["DSIC"]) == ["refuted"]
    at_the_top = judged(changed(lambda b, x, t: (x, np.where(b == 1.0, 2.0 * t + 0.3, t))), ["DSIC"])[0]
    assert at_the_top.verdict is not Verdict.PROVED


def test_a_lie_that_leads_to_what_is_on_no_menu_is_found_though_nobody_gains_by_it():
    fined = changed(lambda b, x, t: (x, t + 0.05 * (b == np.linspace(0.0, 1.0, 11)[3])))  # the audit makes this report as a lie only
    (finding,) = audit(fined, ["DSIC"], effort=replace(SMALL, refinements=0, deviations=11))
    assert finding.verdict is Verdict.NOT_REFUTED
    assert "is none of its offers (by 0.05 at reports" in finding.reason


def test_more_than_is_said_to_be_on_offer():
    nothing = Menu(lambda agent, others: tuple(part[:, :1] for part in vickrey_offers(agent, others)))
    (finding,) = judged(replace(second_price(2), form=nothing), ["DSIC"])
    assert finding.verdict is Verdict.NOT_REFUTED
    assert "the best of its offers is worth 0 to it" in finding.reason


def test_a_menu_that_moves_with_the_own_report_is_no_menu():
    """Offered at random-looking prices that the own report chooses: the truth gets the best of what *it* is offered, and a lie more."""

    def rule(bids):
        price = np.where(bids > 0.5, 0.4, 0.6)  # the higher the report, the cheaper
        wins = (bids >= price).astype(float)
        return wins, wins * price

    offers = Menu(lambda agent, others: (np.array([[0.0, 1.0]]), np.array([[0.0, 0.4]])))
    moving = single_parameter("moving", rule, 1, form=offers)
    (finding,) = judged(moving, ["DSIC"])
    assert finding.verdict is Verdict.REFUTED


def test_participation_and_budget_follow_from_offers_only_where_they_do():
    price = np.array([[0.1, 0.5]])  # to stay away costs .1

    def rule(bids):
        wins = (bids >= 0.4).astype(float)
        return wins, np.where(wins > 0.0, 0.5, 0.1)

    entry = single_parameter("a fee to stay away", rule, 1, form=Menu(lambda agent, others: (np.array([[0.0, 1.0]]), price)))
    assert verdicts(entry) == ["proved", "refuted", "proved"]
    subsidy = single_parameter(
        "paid to stay away",
        lambda b: ((b >= 0.4) * 1.0, np.where(b >= 0.4, 0.3, -0.1)),
        1,
        form=Menu(lambda agent, others: (np.array([[0.0, 1.0]]), np.array([[-0.1, 0.3]]))),
    )
    dsic, taking_part, budget = judged(subsidy)
    assert dsic.verdict is Verdict.PROVED
    assert taking_part.verdict is Verdict.NOT_REFUTED
    assert "no offer is worth 0" in taking_part.reason
    assert budget.verdict is Verdict.REFUTED
    modest = replace(second_price(2), form=Menu(vickrey_offers, voluntary=False, paying=False))
    assert verdicts(modest) == ["proved", "not_refuted", "not_refuted"]


def test_rules_that_are_not_chosen_from_a_menu_do_not_pass_for_one():
    three = replace(generalized_second_price(3), form=Menu(vickrey_offers))
    assert judged(three, ["DSIC"])[0].verdict is not Verdict.PROVED
    shared = replace(moulin_shapley(2), form=Menu(vickrey_offers))
    assert judged(shared, ["DSIC"])[0].method != "by form: menu"


def test_offers_in_a_wrong_shape_are_refused():
    for offers in (
        lambda agent, others: (np.zeros((3, 2)), np.zeros((3, 2))),
        lambda agent, others: (np.zeros((1, 2)), np.zeros(1)),
        lambda agent, others: (np.zeros((1, 0)), np.zeros((1, 0))),
        lambda agent, others: (np.full((1, 1), np.nan), np.zeros((1, 1))),
    ):
        with pytest.raises(InputError, match="offers"):
            judged(replace(posted_price(1, price=0.5), form=Menu(offers)), ["DSIC"])


def test_the_menu_of_the_library():
    assert verdicts(menu(2)) == ["proved"] * 3
    mixed = lottery_over([menu(1), menu(1, entries=[[1.0, 1.0]], prices=[0.8])])
    assert verdicts(mixed) == ["proved"] * 3
    grid = FinitePrior([[1.0, 2.0], [2.0, 1.0], [0.5, 0.5]])
    (finding,) = judged(menu(1, prior=grid, entries=[[1.0, 0.0], [0.0, 1.0]], prices=[1.5, 1.0]), ["DSIC"])
    assert finding.method == "exhaustive"


def test_the_menu_that_comes_without_being_told_earns_the_most_there_is():
    found = expected_revenue(menu(1), effort=Effort(samples=200_000, max_nodes=1))
    assert abs(found.value - (12.0 + 2.0 * 2.0**0.5) / 27.0) < max(found.error, 5e-3)
    small = menu(1, entries=[[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], prices=[2 / 3, 2 / 3, (4 - 2**0.5) / 3])
    types = np.random.default_rng(0).uniform(size=(2000, 2))
    best = np.max([0.0 * types[:, 0], types[:, 0] - 2 / 3, types[:, 1] - 2 / 3, types.sum(axis=1) - (4 - 2**0.5) / 3], axis=0)
    outcomes = small.outcomes({"buyer 1": types})
    np.testing.assert_allclose(small.values("buyer 1", outcomes, types) - outcomes.payments["buyer 1"], best, atol=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"entries": [[1.0]]}, "one without the other"),
        ({"entries": [[1.0]], "prices": [1.0, 2.0]}, "a price of each"),
        ({"entries": [[1.5]], "prices": [1.0]}, "shares between 0 and 1"),
        ({"entries": [[1.0]], "prices": [-1.0]}, "prices >= 0"),
        ({"entries": [[1.0]], "prices": [float("nan")]}, "prices >= 0"),
        ({"entries": [[1.0, 0.0]], "prices": [1.0], "prior": Uniform(Interval(0.0, 1.0))}, "a value for each of 2 goods"),
        ({"entries": [[1.0]], "prices": [1.0], "prior": Uniform(Box([0.0, 0.0], [1.0, 1.0]))}, "a value for each of 1 goods"),
        ({"sharpness": 0.0}, "sharpness"),
    ],
)
def test_menus_that_are_none_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        menu(1, **options)
