from __future__ import annotations

import json

import numpy as np
import pytest

from hurwicz._foundation import FormatError, InputError
from hurwicz.audits import Effort, Threads, Verdict, bic_from_samples, estimate, replay
from hurwicz.audits.executors import Checkpoint, Dask, Serial, executor_of, run_chunks
from hurwicz.mechanisms import single_parameter
from hurwicz.mechanisms.single_item import first_price, second_price
from hurwicz.typespaces import CorrelatedPrior, FinitePrior

FAST = Effort(deviations=17, refinements=0, steps=1)


def top_level_rule(bids):
    wins = (np.arange(bids.shape[1]) == bids.argmax(axis=1)[:, None]) * 1.0
    return wins, wins * np.sort(bids, axis=1)[:, [-2]]


def test_revenue_and_welfare_lie_in_their_intervals_and_the_width_is_reached():
    for quantity, true in (("revenue", 1 / 3), ("welfare", 2 / 3)):
        for bounds in ((0.0, 1.0), None):
            found = estimate(second_price(2), quantity, width=0.01, bounds=bounds, seed=3)
            assert found.low <= true <= found.high
            assert found.width <= 0.01
            assert found.status == "width reached"
            assert found.bound == ("empirical Bernstein" if bounds else "central limit theorem")


def test_intervals_cover_as_often_as_they_say():
    missed = 0
    for seed in range(40):
        found = estimate(second_price(2), "revenue", width=1e-9, most=512, chunk=32, seed=seed, confidence=0.9)
        missed += not found.low <= 1 / 3 <= found.high
        assert found.status == "samples spent"
    assert missed <= 10  # P(more than 10 of 40 at risk .1 each) < 1e-3
    wide = estimate(second_price(2), "revenue", width=1e-9, most=512, chunk=32, bounds=(0.0, 1.0))
    narrow = estimate(second_price(2), "revenue", width=1e-9, most=512, chunk=32)
    assert wide.width > narrow.width  # a bound for every sample size is the wider one


def test_expected_regret_of_first_price_and_none_of_second_price():
    # two bidders, U[0, 1]: bidding the rival's value and a little more gains v - w where v > w, 1/6 in expectation for each
    found = estimate(first_price(2), "regret", width=0.02, effort=Effort(deviations=65, refinements=0), chunk=512)
    assert 0.9 / 6 < found.value <= 1 / 6 + 0.01
    assert estimate(second_price(2), "regret", width=0.02, chunk=256, effort=FAST).value == pytest.approx(0.0, abs=1e-12)


def test_results_do_not_depend_on_the_workers(tmp_path):
    mechanism = single_parameter("second", top_level_rule, 2)
    one = estimate(mechanism, "revenue", width=0.02, chunk=256)
    assert estimate(mechanism, "revenue", width=0.02, chunk=256, executor="threads", workers=3) == one
    file = tmp_path / "kept.jsonl"
    assert estimate(mechanism, "revenue", width=0.02, chunk=256, checkpoint=file) == one
    lines = file.read_text().splitlines()
    file.write_text("\n".join(lines[:7]) + '\n{"chunk": 7, "res')  # stopped in the middle of a line
    assert estimate(mechanism, "revenue", width=0.02, chunk=256, checkpoint=file) == one
    with pytest.raises(FormatError, match="another audit"):
        estimate(mechanism, "welfare", width=0.02, chunk=256, checkpoint=file)


def square(k):
    return k * k


def test_chunks_come_in_order_and_are_not_done_twice(tmp_path):
    done = []

    def work(k):
        done.append(k)
        return k

    kept = Checkpoint(tmp_path / "c", {"a": 1})
    kept.keep(2, 2)
    assert [n for n, _ in run_chunks(work, range(5), Threads(2), checkpoint=kept)] == [0, 1, 2, 3, 4]
    assert sorted(done) == [0, 1, 3, 4]
    assert sorted(Checkpoint(tmp_path / "c", {"a": 1}).done) == [0, 1, 2, 3, 4]
    (tmp_path / "broken").write_text("no json")
    with pytest.raises(FormatError, match="no checkpoint"):
        Checkpoint(tmp_path / "broken", {})
    assert isinstance(executor_of("serial"), Serial)
    with pytest.raises(InputError, match="expected one of"):
        executor_of("cluster")


def test_dask_goes_through_its_client(client):
    assert list(Dask(client()).map(square, range(4))) == [0, 1, 4, 9]


def test_estimates_refuse_nonsense():
    mechanism = second_price(2)
    for more in ({"width": 0.0}, {"width": 0.1, "confidence": 1.0}, {"width": 0.1, "most": 10}):
        with pytest.raises(InputError, match="expected width"):
            estimate(mechanism, "revenue", **more)
    with pytest.raises(InputError, match="quantity among"):
        estimate(mechanism, "profit", width=0.1)
    with pytest.raises(InputError, match="an agent among"):
        estimate(mechanism, "regret", width=0.1, agent="nobody")
    with pytest.raises(InputError, match=r"within \(0.0, 0.5\)"):
        estimate(mechanism, "revenue", width=0.1, bounds=(0.0, 0.5))
    json.dumps(estimate(mechanism, "revenue", width=0.1).to_dict())
    assert "expected revenue" in str(estimate(mechanism, "revenue", width=0.1))


def test_bic_from_samples_bounds_what_is_true_and_refutes_what_is_not():
    good = bic_from_samples(second_price(3), utility_range=(-1.0, 1.0), samples=4000, types=9)
    assert good.verdict is Verdict.NOT_REFUTED
    assert 0.0 < good.value < 0.25
    more = bic_from_samples(second_price(3), utility_range=(-1.0, 1.0), samples=16000, types=9)
    assert more.value < 0.7 * good.value
    bad = bic_from_samples(first_price(2), utility_range=(-1.0, 1.0), samples=4000, types=9)
    assert bad.verdict is Verdict.REFUTED
    assert bad.witness.details["gain_at_least"] > 0.0
    assert bad.value == pytest.approx(0.25, abs=0.02)  # worth 1, bids 1/2: wins half the time at half
    assert replay(first_price(2), bad) == pytest.approx(bad.witness.gain, abs=1e-12)
    # the bound is one: the exact expected gain over the same finite types lies below it
    grid = FinitePrior([0.0, 0.5, 1.0])
    assert bic_from_samples(second_price(2, prior=grid), utility_range=(-1.0, 1.0), samples=500).value >= 0.0


def test_bic_from_samples_refuses_what_it_cannot_bound():
    with pytest.raises(InputError, match="within utility_range"):
        bic_from_samples(second_price(2), utility_range=(-0.1, 0.1), samples=100)
    joint = CorrelatedPrior({"a": [0.0, 1.0], "b": [0.0, 1.0]}, [0.5, 0.5])
    with pytest.raises(InputError, match="independent types"):
        bic_from_samples(second_price(["a", "b"], prior=joint), utility_range=(-1.0, 1.0))
    with pytest.raises(InputError, match="finite range"):
        bic_from_samples(second_price(2), utility_range=(1.0, 1.0))
