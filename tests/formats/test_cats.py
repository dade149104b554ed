"""CATS files: read, written back, and every mistake named with its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hurwicz._foundation import FormatError, InputError
from hurwicz.formats import CatsBid, CatsFile, packaged_auction, packaged_auctions, parse_cats, read_cats, write_cats

GOOD = "% made by hand\ngoods 3\nbids 3\ndummy 1\n\n0\t5\t0\t1\t3\t#\n1\t4.5\t2\t3\t#\n2\t1\t2\t#\n"


@pytest.mark.parametrize("name", packaged_auctions())
def test_packaged_files_are_read_whole_and_written_back(name: str) -> None:
    case = packaged_auction(name, bad_prices="drop")
    goods, asked = (int(part[1:]) for part in name.split("_")[1:])
    assert case.goods == goods
    assert asked <= len(case.bids) + len(case.dropped) < 1.1 * asked
    again = parse_cats(write_cats(case))
    assert [(b.number, b.price, b.goods) for b in again.bids] == [(b.number, b.price, b.goods) for b in case.bids]
    assert (again.goods, again.dummies, again.comments) == (case.goods, case.dummies, case.comments)


def test_dummies_tie_bids_and_a_bid_without_is_a_bidder() -> None:
    assert parse_cats(GOOD).bidders() == ((0, 1), (2,))


def test_bidders_tied_through_two_dummies_are_one() -> None:
    case = CatsFile(2, 2, (CatsBid(0, 1.0, (0, 2)), CatsBid(1, 1.0, (1, 3)), CatsBid(2, 1.0, (0, 2, 3)), CatsBid(3, 1.0, (1,))))
    assert case.bidders() == ((0, 1, 2), (3,))


def test_the_nan_of_the_generator_is_an_error_with_its_line_or_dropped() -> None:
    with pytest.raises(FormatError, match="bid 451: expected a price that is finite and not negative, got -nan") as caught:
        packaged_auction("scheduling_g50_b500")
    assert caught.value.line == 470
    case = packaged_auction("scheduling_g50_b500", bad_prices="drop")
    assert len(case.bids) == 542
    assert [bid.number for bid in case.dropped] == [451]


MISTAKES = {
    "cut short between bids": (GOOD.rsplit("2\t1", 1)[0], 7, "expected 3 bids, as the header says, got 2; the file is cut short"),
    "cut short within a bid": (GOOD[:-3], 8, "cut short"),
    "too many bids": (GOOD + "3\t1\t0\t#\n", 9, "expected 3 bids, as the header says, got 4"),
    "no header": ("0\t5\t0\t#\n", 1, "expected goods and bids and dummy before the first bid"),
    "header only in part": ("goods 3\nbids 0\n", 2, "expected a line for dummy"),
    "empty": ("", 0, "expected a line for goods and bids and dummy"),
    "header twice": (GOOD.replace("bids 3", "goods 3\nbids 3"), 3, "goods: expected once"),
    "header without number": (GOOD.replace("goods 3", "goods many"), 2, "goods: expected one whole number, got many"),
    "unknown good": (GOOD.replace("\t2\t#", "\t4\t#"), 8, "bid 2: expected goods from 0 to 3, got 4"),
    "negative good": (GOOD.replace("\t2\t#", "\t-1\t#"), 8, "bid 2: expected goods from 0 to 3, got -1"),
    "number twice": (GOOD.replace("\n2\t1", "\n1\t1"), 8, "bid 1 is there already, on line 7"),
    "good twice": (GOOD.replace("0\t1\t3", "0\t0\t3"), 6, "bid 0: expected each good once, got [0] more than once"),
    "dummies only": (GOOD.replace("\t2\t#", "\t3\t#"), 8, "bid 2: expected at least one good that is for sale"),
    "nothing bid on": (GOOD.replace("\t2\t#", "\t#"), 8, "expected a bid (number, price, goods, #)"),
    "price no number": (GOOD.replace("4.5", "lots"), 7, "bid 1: expected a price, got 'lots'"),
    "negative price": (GOOD.replace("4.5", "-4.5"), 7, "bid 1: expected a price that is finite and not negative, got -4.5"),
    "infinite price": (GOOD.replace("4.5", "inf"), 7, "bid 1: expected a price that is finite and not negative, got inf"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_with_file_and_line(mistake: str, tmp_path: Path) -> None:
    text, line, message = MISTAKES[mistake]
    path = tmp_path / "bids.txt"
    path.write_text(text)
    with pytest.raises(FormatError) as caught:
        read_cats(path)
    assert message in str(caught.value)
    assert caught.value.line == line
    assert caught.value.path == str(path)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="cannot be read"):
        read_cats(tmp_path / "absent.txt")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FormatError, match="not text"):
        read_cats(tmp_path / "binary.txt")
    with pytest.raises(InputError, match="regions_g20_b200"):
        packaged_auction("regions_g21")


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.tuples(st.floats(0, 1e12), st.sets(st.integers(0, 4), min_size=1), st.sets(st.integers(5, 6))),
        max_size=8,
    )
)
def test_any_auction_is_read_as_it_was_written(rows: list[tuple[float, set[int], set[int]]]) -> None:
    bids = tuple(CatsBid(k, price, (*sorted(goods), *sorted(dummies))) for k, (price, goods, dummies) in enumerate(rows))
    again = parse_cats(write_cats(CatsFile(5, 2, bids)))
    assert [(b.number, b.price, b.goods) for b in again.bids] == [(b.number, b.price, b.goods) for b in bids]
