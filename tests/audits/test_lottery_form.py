"""A draw among mechanisms each of which is proved is proved; one bad part, or other chances than those played, proves nothing."""

from dataclasses import replace

import numpy as np
import pytest

from hurwicz._foundation import InputError
from hurwicz.audits import Verdict
from hurwicz.mechanisms import (
    biased_min_work,
    first_price,
    lottery_over,
    min_work,
    multi_unit_vickrey,
    optimal_auction,
    posted_price,
    reverse,
    second_price,
    second_price_procurement,
    single_parameter,
)
from hurwicz.mechanisms.scheduling import biased_assignment
from hurwicz.settings import AffineMaximiser, Lottery
from hurwicz.typespaces import Box, FinitePrior, Interval, Uniform

from .small_audits import ASKED, judged, verdicts


def test_biased_min_work_is_proved_truthful_and_voluntary():
    dsic, taking_part, budget = judged(biased_min_work(tasks=3))
    assert dsic.verdict is taking_part.verdict is Verdict.PROVED
    assert dsic.method == "by form: lottery over affine maximiser"
    assert dsic.effort["parts"] == 2
    assert budget.verdict is Verdict.REFUTED


def test_one_coin_for_all_tasks_is_in_expectation_one_coin_a_task():
    """The second route to the declared form: every pattern of coins, one by one."""
    rng = np.random.default_rng(3)
    times = rng.uniform(size=(2, 3))
    coins = np.stack(np.meshgrid(*[[True, False]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    each = [biased_assignment(times, one) for one in coins]
    outcome = biased_min_work(["a", "b"], tasks=3).outcome({"a": times[0], "b": times[1]})
    np.testing.assert_allclose(outcome.allocation["a"], np.mean([has for has, _ in each], axis=0))
    np.testing.assert_allclose([-outcome.payments["a"], -outcome.payments["b"]], np.mean([paid for _, paid in each], axis=0))


@pytest.mark.parametrize("prior", [Uniform(Box([0.5, 0.5], [2.0, 3.0])), FinitePrior([[0.2, 0.4], [0.9, 0.3], [0.4, 0.4]])])
def test_over_other_times_as_well(prior):
    assert verdicts(biased_min_work(prior=prior)) == ["proved", "proved", "refuted"]


def test_two_machines_do_not_lose_by_min_work():
    """What is left without a machine is the other's work on all tasks."""
    assert verdicts(min_work(2)) == ["proved", "proved", "refuted"]
    assert verdicts(min_work(3)) == ["proved", "proved", "refuted"]


def test_a_draw_among_auctions():
    mixed = lottery_over([second_price(2), posted_price(2, price=0.4), optimal_auction(2)], [0.5, 0.3, 0.2])
    findings = judged(mixed, [*ASKED, "planner_IR", "BIC"])
    assert [f.verdict.value for f in findings] == ["proved"] * 5
    assert "Groves' form" in findings[0].method
    assert "payment identity" in findings[0].method


def test_a_part_at_ones_own_price_proves_nothing_and_is_found_out():
    first = replace(first_price(2), form=second_price(2).form)
    (finding,) = judged(lottery_over([second_price(2), first]), ["DSIC"])
    assert finding.verdict is Verdict.REFUTED


def test_what_is_played_is_not_what_is_declared():
    second_said_to_be_half_first = replace(second_price(2), form=Lottery([(0.5, second_price(2)), (0.5, first_price(2))]))
    (finding,) = judged(second_said_to_be_half_first, ["DSIC"])
    assert finding.verdict is Verdict.NOT_REFUTED
    assert "the payment of bidder 1 is not the draw's" in finding.effort["declared_form"]


def test_a_part_that_is_not_truthful_is_named_even_if_the_mixture_is():
    """Half the money back and half as much again: the expectation is Vickrey's, the parts are not. Nothing is proved by this form."""
    honest = second_price(2)

    def paying(factor):
        def rule(bids):
            shares, paid = honest.rule(bids)
            return shares, factor * paid

        return replace(honest, rule=rule)

    mixed = replace(honest, form=Lottery([(0.5, paying(0.5)), (0.5, paying(1.5))]))
    (finding,) = judged(mixed, ["DSIC"])
    assert finding.verdict is Verdict.NOT_REFUTED
    assert "part 1 of the declared lottery is not proved: the declared form does not hold" in finding.reason
    silent = replace(honest, form=Lottery([(1.0, replace(honest, form=None))]))
    assert "it declares no form" in judged(silent, ["DSIC"])[0].reason


def test_declared_chances_that_are_not_the_ones_played():
    prices = [posted_price(2, price=0.2), posted_price(2, price=0.6)]
    played = lottery_over(prices, [0.5, 0.5])
    said = replace(played, form=Lottery(list(zip([0.6, 0.4], prices, strict=True))))
    assert verdicts(played) == ["proved"] * 3
    for finding in judged(said):
        assert finding.verdict is Verdict.NOT_REFUTED
        assert "is not the draw's" in finding.reason


def test_a_fee_in_one_part_is_not_forgiven_by_the_other():
    honest = second_price(2)
    dear = replace(honest, rule=lambda bids: (honest.rule(bids)[0], honest.rule(bids)[1] + 0.1), resized=None)
    cheap = replace(honest, rule=lambda bids: (honest.rule(bids)[0], honest.rule(bids)[1] - 0.1), resized=None)
    dsic, taking_part, budget = judged(lottery_over([dear, cheap]))
    assert dsic.verdict is Verdict.PROVED
    assert taking_part.verdict is budget.verdict is Verdict.NOT_REFUTED  # true in expectation, but not of each part
    assert "pivot does not hold" in taking_part.reason


def test_parts_for_other_types_are_refused_or_prove_nothing():
    wide = second_price(2, prior=Uniform(Interval(0.0, 2.0)))
    with pytest.raises(InputError, match="same agents and types"):
        lottery_over([second_price(2), wide])
    (finding,) = judged(replace(second_price(2), form=Lottery([(1.0, wide)])), ["DSIC"])
    assert "other agents or types" in finding.reason


def test_bad_draws_are_refused():
    with pytest.raises(InputError, match="at least one"):
        lottery_over([])
    with pytest.raises(InputError, match="a chance for each"):
        lottery_over([second_price(2)], [0.5, 0.5])
    for chances in ([0.5, 0.6], [1.5, -0.5], [1.0, 0.0], [float("nan"), 1.0]):
        with pytest.raises(InputError, match="sum to 1"):
            lottery_over([second_price(2), posted_price(2)], chances)
    with pytest.raises(InputError, match="of one kind"):
        lottery_over([second_price(2), multi_unit_vickrey(2)])
    with pytest.raises(InputError, match="same sides"):
        lottery_over([posted_price(["a", "b"]), single_parameter("workers", lambda b: (b, b), ["a", "b"], sides=[-1.0, -1.0])])
    with pytest.raises(InputError, match="planner's cost"):
        lottery_over([second_price_procurement(2)])


def test_turned_round_resized_and_under_other_beliefs_it_is_still_proved():
    mixed = lottery_over([second_price(2), posted_price(2, price=0.4)])
    assert verdicts(mixed.with_prior(Uniform(Interval(0.0, 3.0)))) == ["proved"] * 3
    assert verdicts(reverse(mixed), ["DSIC"]) == ["proved"]
    assert verdicts(mixed.resized(["a", "b", "c"])) == ["proved"] * 3


def test_critical_payments_of_a_part_follow_the_prior():
    highest = single_parameter("highest or nobody", lambda b: np.eye(2)[b.argmax(axis=1)] * (b > 0.4), 2, payments="critical")
    moved = lottery_over([second_price(2), highest]).with_prior(Uniform(Interval(0.5, 3.0)))
    outcome = moved.outcome({"bidder 1": 0.5, "bidder 2": 2.0})
    assert outcome.payments["bidder 2"] == pytest.approx(0.5)  # the lowest type is above .4


def test_a_lottery_of_bundles():
    several = lottery_over([multi_unit_vickrey(2), multi_unit_vickrey(2, reserve=0.3)], [0.25, 0.75])
    assert verdicts(several) == ["proved"] * 3
    reports = {n: np.asarray([[0.9, 0.2]]) for n in several.agents}
    name = several.agents[0]
    expected = sum(p * part.outcomes(reports).payments[name] for p, part in several.form.parts)
    np.testing.assert_allclose(several.outcomes(reports).payments[name], expected)


def test_a_lottery_over_one_affine_maximiser_with_the_wrong_weights():
    base = biased_min_work()
    wrong = [(chance, replace(part, form=AffineMaximiser(dict.fromkeys(base.agents, 1.0)))) for chance, part in base.form.parts]
    (finding,) = judged(replace(base, form=Lottery(wrong)), ["DSIC"])
    assert finding.verdict is Verdict.NOT_REFUTED
    assert "part 1 of the declared lottery is not proved: the declared form does not hold: for machine" in finding.reason
