"""CATS files: combinatorial auctions as the Combinatorial Auction Test Suite writes them.

A file says how many goods, bids and dummy goods there are; each bid is one line: number, price, goods, ``#``, apart by tabs. Dummy goods
(numbers from ``goods`` on) are not for sale: bids that name the same one come from the same bidder, who wins at most one of them; every bid
without a dummy good is a bidder of its own (so the suite's authors on its home page).

Source: K. Leyton-Brown, M. Pearson and Y. Shoham, "Towards a Universal Test Suite for Combinatorial Auction Algorithms", EC 2000.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

from hurwicz._foundation import FormatError, InputError


@dataclass(frozen=True)
class CatsBid:
    """One line of a file: ``goods`` are numbers, from ``CatsFile.goods`` on dummies; ``line`` is 0 where it was not read from a file."""

    number: int
    price: float
    goods: tuple[int, ...]
    line: int = 0


@dataclass(frozen=True)
class CatsFile:
    """A combinatorial auction as a CATS file gives it.

    Attributes:
        goods: how many goods are for sale, numbered from 0.
        dummies: how many dummy goods there are, numbered after them.
        bids: in the file's order.
        comments: the lines that begin with ``%``, without it.
        dropped: bids left out because their price is no number (only where that was asked for).
        path: where it was read from ("" if it was not).
    """

    goods: int
    dummies: int
    bids: tuple[CatsBid, ...]
    comments: tuple[str, ...] = ()
    dropped: tuple[CatsBid, ...] = ()
    path: str = ""

    def bidders(self) -> tuple[tuple[int, ...], ...]:
        r"""Positions of the bids of each bidder, in order of their first bid: dummies tie bids together.

        Example:
            >>> parse_cats("goods 2\nbids 3\ndummy 1\n0\t5\t0\t2\t#\n1\t2\t1\t#\n2\t6\t1\t2\t#\n").bidders()
            ((0, 2), (1,))
        """
        head = list(range(len(self.bids)))

        def root(k: int) -> int:
            while head[k] != k:
                k = head[k]
            return k

        first: dict[int, int] = {}
        for k, bid in enumerate(self.bids):
            for dummy in (good for good in bid.goods if good >= self.goods):
                a, b = root(first.setdefault(dummy, k)), root(k)
                head[max(a, b)] = min(a, b)
        groups: dict[int, list[int]] = {}
        for k in range(len(self.bids)):
            groups.setdefault(root(k), []).append(k)
        return tuple(tuple(group) for group in groups.values())


def read_cats(path: str | Path, *, bad_prices: Literal["error", "drop"] = "error") -> CatsFile:
    """The auction in a CATS file, checked.

    Args:
        path: the file.
        bad_prices: what to do about a price that is NaN, infinite or negative: refuse the file, or leave the bid out
            (it is then in ``dropped``).

    Returns:
        The auction.

    Raises:
        FormatError: the file is cut short, names goods that are not there, numbers a bid twice, or has a price that cannot be bid.
            The message carries file and line.

    Example:
        >>> auction = packaged_auction("regions_g20_b200")
        >>> auction.goods, len(auction.bids), len(auction.bidders())
        (20, 202, 45)
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise FormatError(f"cannot be read ({error.strerror}); expected a CATS file", path=path) from error
    except UnicodeDecodeError as error:
        raise FormatError("is not text; expected a CATS file", path=path) from error
    return parse_cats(text, bad_prices=bad_prices, path=str(path))


def parse_cats(text: str, *, bad_prices: Literal["error", "drop"] = "error", path: str = "") -> CatsFile:
    r"""The auction in the text of a CATS file; ``path`` is for messages. Arguments and errors as in :func:`read_cats`.

    Example:
        >>> parse_cats("goods 2\nbids 1\ndummy 0\n\n0\t3.5\t0\t1\t#\n").bids[0].goods
        (0, 1)
    """
    if bad_prices not in ("error", "drop"):
        raise InputError(f'bad_prices: expected "error" or "drop", got {bad_prices!r}')
    header: dict[str, int] = {}
    comments: list[str] = []
    bids: list[CatsBid] = []
    dropped: list[CatsBid] = []
    numbered: dict[int, int] = {}
    lines = text.splitlines()
    for k, raw in enumerate(lines, start=1):
        words = raw.split()
        if raw.startswith("%"):
            comments.append(raw[1:].rstrip())
        elif words and words[0] in ("goods", "bids", "dummy"):
            header[words[0]] = _count(words, header, path or None, k)
        elif words:
            missing = [word for word in ("goods", "bids", "dummy") if word not in header]
            if missing:
                raise FormatError(f"expected {' and '.join(missing)} before the first bid, got {_short(raw)}", path=path or None, line=k)
            bid = _bid(words, header["goods"] + header["dummy"], header["goods"], path or None, k)
            if bid.number in numbered:
                raise FormatError(f"bid {bid.number} is there already, on line {numbered[bid.number]}", path=path or None, line=k)
            numbered[bid.number] = k
            if math.isfinite(bid.price) and bid.price >= 0:
                bids.append(bid)
            elif bad_prices == "drop":
                dropped.append(bid)
            else:
                raise FormatError(
                    f'bid {bid.number}: expected a price that is finite and not negative, got {words[1]}; correct it, or bad_prices="drop"',
                    path=path or None,
                    line=k,
                )
    missing = [word for word in ("goods", "bids", "dummy") if word not in header]
    if missing:
        raise FormatError(f"expected a line for {' and '.join(missing)}; got a file without", path=path or None, line=len(lines))
    if len(numbered) != header["bids"]:
        raise FormatError(
            f"expected {header['bids']} bids, as the header says, got {len(numbered)}"
            + ("; the file is cut short" if len(numbered) < header["bids"] else ""),
            path=path or None,
            line=len(lines),
        )
    return CatsFile(header["goods"], header["dummy"], tuple(bids), tuple(comments), tuple(dropped), path)


def write_cats(auction: CatsFile) -> str:
    r"""The text of a CATS file; reading it gives the same auction.

    Example:
        >>> text = write_cats(CatsFile(2, 0, (CatsBid(0, 3.5, (0, 1)),)))
        >>> text
        'goods 2\nbids 1\ndummy 0\n\n0\t3.5\t0\t1\t#\n'
        >>> parse_cats(text).bids[0].price
        3.5
    """
    lines = [*(f"%{comment}" for comment in auction.comments), f"goods {auction.goods}", f"bids {len(auction.bids)}"]
    lines += [f"dummy {auction.dummies}", ""]
    lines += ["\t".join([str(bid.number), repr(bid.price).removesuffix(".0"), *map(str, bid.goods), "#"]) for bid in auction.bids]
    return "\n".join(lines) + "\n"


def packaged_auctions() -> tuple[str, ...]:
    """Names of the auctions that come with the library.

    Example:
        >>> packaged_auctions()[:2]
        ('arbitrary_g20_b200', 'arbitrary_g50_b500')
    """
    folder = resources.files("hurwicz") / "data" / "cats"
    return tuple(sorted(item.name.removesuffix(".txt") for item in folder.iterdir() if item.name.endswith(".txt")))


def packaged_auction(name: str, *, bad_prices: Literal["error", "drop"] = "error") -> CatsFile:
    """An auction that comes with the library.

    Raises:
        InputError: no such auction; the message lists them.
        FormatError: as in :func:`read_cats`.
    """
    if name not in packaged_auctions():
        raise InputError(
            f"expected one of the packaged auctions {', '.join(packaged_auctions())}, got {name!r}; read other files with read_cats"
        )
    return read_cats(Path(str(resources.files("hurwicz") / "data" / "cats" / f"{name}.txt")), bad_prices=bad_prices)


def _count(words: list[str], header: dict[str, int], path: str | None, line: int) -> int:
    if words[0] in header:
        raise FormatError(f"{words[0]}: expected once, got it again", path=path, line=line)
    if len(words) != 2 or not words[1].isdecimal():
        raise FormatError(f"{words[0]}: expected one whole number, got {' '.join(words[1:]) or 'nothing'}", path=path, line=line)
    return int(words[1])


def _bid(words: list[str], all_goods: int, for_sale: int, path: str | None, line: int) -> CatsBid:
    if words[-1] != "#":
        raise FormatError(f"expected a bid (number, price, goods, #), got {_short(' '.join(words))}: cut short?", path=path, line=line)
    if len(words) < 4 or not words[0].isdecimal():
        raise FormatError(f"expected a bid (number, price, goods, #), got {_short(' '.join(words))}", path=path, line=line)
    try:
        price = float(words[1])
    except ValueError:
        raise FormatError(f"bid {words[0]}: expected a price, got {words[1]!r}", path=path, line=line) from None
    unknown = [word for word in words[2:-1] if not word.isdecimal() or int(word) >= all_goods]
    if unknown:
        raise FormatError(f"bid {words[0]}: expected goods from 0 to {all_goods - 1}, got {', '.join(unknown)}", path=path, line=line)
    goods = tuple(int(word) for word in words[2:-1])
    twice = sorted({good for good in goods if goods.count(good) > 1})
    if twice:
        raise FormatError(f"bid {words[0]}: expected each good once, got {twice} more than once", path=path, line=line)
    if all(good >= for_sale for good in goods):
        raise FormatError(f"bid {words[0]}: expected at least one good that is for sale, got dummies only", path=path, line=line)
    return CatsBid(int(words[0]), price, goods, line)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return repr(text if len(text) <= 40 else text[:37] + "...")
