"""The long runs of mean-field incentive design, at no length: every row is there, and what is kept is never worse than the start."""

import json

import numpy as np
import pytest

from hurwicz._foundation import InputError
from hurwicz.reproductions.amid.beach import beach_rows, price_the_beach
from hurwicz.reproductions.amid.long_runs import Comparison, compare, long_runs, rows_of
from hurwicz.reproductions.amid.size import Size

TINY = Size(grid=4, long_grid=4, rounds=2, seeds=2, steps=2, markets=2, held_out=3, width=4)


@pytest.mark.slow
def test_a_static_rule_and_a_rule_for_many_markets_are_learned_and_reported():
    static = compare("A10", TINY)
    assert static.best_simple.startswith("first price")  # the others look at the bids
    assert static.learned.shape == static.exploitability.shape == (2,)
    assert static.learned.min() > 0.9 * static.simple[static.best_simple]
    many = compare("A3", Size(**{**vars(TINY), "seeds": 1}))
    assert {name: values.shape for name, values in many.held_out.items()} == {
        "learned network": (1, 3),
        "best posted prices of the training markets": (1, 3),
    }
    rows = rows_of(many, TINY)
    assert [row.id for row in rows] == ["A3"] * 7
    json.dumps([row.to_dict() for row in rows], allow_nan=False)


@pytest.mark.slow
def test_prices_on_the_beach_are_learned_and_reported():
    found = price_the_beach(Size(seeds=1, steps=8), places=5, horizon=4, looks=2)
    assert found.priced[0] < found.free
    assert found.exploitability.shape == (1, 3)
    assert np.all((found.prices >= 0.0) & (found.prices <= 2.0))
    assert [row.agrees for row in beach_rows(found, TINY)][:2] == [None, True]


def test_a_learned_rule_that_is_not_better_is_said_not_to_be():
    found = compare_nothing(np.asarray([0.20, 0.22]))
    learned = rows_of(found, TINY)[1]
    assert learned.ours == pytest.approx(0.21)
    assert learned.agrees is False
    assert rows_of(compare_nothing(np.asarray([0.30, 0.32])), TINY)[1].agrees is True


def compare_nothing(learned):
    from hurwicz.meanfield import auction_setting

    return Comparison(auction_setting("A1", grid=4), {"best posted prices": 0.25}, learned, np.zeros(2))


def test_bad_lengths_and_names_are_refused():
    with pytest.raises(InputError, match="counts >= 1"):
        Size(seeds=0)
    with pytest.raises(InputError, match="settings among A1, A2"):
        long_runs(["A11"], TINY)
