"""Payments that follow from an allocation by Myerson's identity, computed for any monotone rule of one number each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Bool, Float64, Int64
from numpy.typing import NDArray

from hurwicz._foundation import NotConvergedError, ShapeError
from hurwicz.mechanisms._arguments import ends
from hurwicz.settings import JointPrior
from hurwicz.typespaces import TypeSpace

Allocation: TypeAlias = Callable[[Float64[np.ndarray, "batch agents"]], Float64[np.ndarray, "batch agents"]]

_HALVINGS = 56  # of the whole interval: what is left is rounding
_MOST_CELLS = 4096  # on one line, before an allocation is called too rough
_EXACT = 1e-13  # error of a cell, relative to the whole line's length times the larger share at its ends
_PARABOLA = 1e-3  # distance from the parabola through three points, relative to the step over a cell, below which it is no staircase
_GOLDEN = 0.3819660112501051
# Radau's nodes and weights beside the lower end's 1/9: even steps may lie on a line at evenly spaced points and at symmetric ones.
_WITHIN = (((6.0 - 6.0**0.5) / 10.0, (16.0 + 6.0**0.5) / 36.0), ((6.0 + 6.0**0.5) / 10.0, (16.0 - 6.0**0.5) / 36.0))


@dataclass(frozen=True)
class CriticalRule:
    """Shares by a function of the bids, and the payments that make the truth dominant where each share rises with the own bid.

    Who receives pays t_i = b_i x_i(b) - ∫ x_i(z, b_-i) dz over z from the lowest type to b_i, and who gives is paid
    b_i x_i(b) + ∫ x_i(z, b_-i) dz over z from b_i to the highest type: the type that gets the least ends at 0. Cells whose two ends get
    the same are flat, because the share is monotone; steps are halved down to rounding, and where the share is smooth Simpson's rule takes
    over. A share that falls is integrated as if it did not: no payments make such a rule truthful, and the auditor refutes it.

    Attributes:
        allocate: bids (batch, agents) → shares of the same shape; it is asked between the types as well where these are finite.
        sides: +1 for each who receives, -1 for each who gives.
        spaces: agent name → types; in the order of the bids.

    Raises:
        NotConvergedError: a share that is neither a staircase nor smooth within 4096 cells.
        ShapeError: shares of another shape than the bids.

    Example:
        >>> from hurwicz.typespaces import Interval
        >>> unit = Interval(0.0, 1.0)
        >>> highest = lambda b: (b == b.max(axis=1, keepdims=True)).astype(float)
        >>> shares, paid = CriticalRule(highest, np.ones(2), {"a": unit, "b": unit})(np.asarray([[0.3, 0.8]]))
        >>> paid.round(12).tolist()
        [[0.0, 0.3]]

    Source:
        R. Myerson, "Optimal auction design", Mathematics of Operations Research 6 (1981), Lemma 2; A. Archer and E. Tardos, "Truthful
        mechanisms for one-parameter agents", FOCS 2001, Theorem 4.2.
    """

    allocate: Allocation
    sides: Float64[np.ndarray, " agents"]
    spaces: Mapping[str, TypeSpace]

    def over(self, prior: JointPrior) -> CriticalRule:
        """The same shares, paid for over the types of another prior."""
        return replace(self, spaces=prior.spaces)

    def __call__(
        self, bids: Float64[np.ndarray, "batch agents"]
    ) -> tuple[Float64[np.ndarray, "batch agents"], Float64[np.ndarray, "batch agents"]]:
        """Shares and payments."""
        shares = self._asked(bids)
        paid = np.zeros(bids.shape)
        for i, space in enumerate(self.spaces.values()):
            least, most = ends(space)
            side, own = float(self.sides[i]), bids[:, i]
            # the line from the type that gets the least to the own bid, whichever way that lies
            start = np.full(len(bids), least if side > 0.0 else most)
            paid[:, i] = side * (own * shares[:, i] - self._area(bids, i, start, own, shares[:, i]))
        return shares, paid

    def _asked(self, bids: Float64[np.ndarray, "batch agents"]) -> Float64[np.ndarray, "batch agents"]:
        shares = np.asarray(self.allocate(bids))
        if np.shape(shares) != bids.shape:
            raise ShapeError(f"critical payments: expected shares alone, of shape {bids.shape} (batch, agents), got {np.shape(shares)}")
        return np.asarray(shares, dtype=np.float64)

    def _area(
        self,
        bids: Float64[np.ndarray, "batch agents"],
        i: int,
        start: Float64[np.ndarray, " batch"],
        stop: Float64[np.ndarray, " batch"],
        top: Float64[np.ndarray, " batch"],
    ) -> Float64[np.ndarray, " batch"]:
        """∫ x_i from ``start`` to ``stop`` on every line; ``top`` is the share at ``stop``."""
        rows = np.arange(len(bids))
        area = np.zeros(len(bids))
        low, high, x0, x1 = start, stop, self._at(bids, i, rows, start), top
        small = _EXACT * np.abs(stop - start) * np.maximum(np.abs(x0), np.abs(x1))
        for level in range(_HALVINGS):
            settled = np.abs((high - low) * (x1 - x0)) <= small[rows]  # flat, or a step that is halved down to rounding
            area += np.bincount(rows[settled], (0.5 * (x0 + x1) * (high - low))[settled], len(bids))
            rows, low, high, x0, x1 = (v[~settled] for v in (rows, low, high, x0, x1))
            if not len(rows):
                return area
            if len(rows) > _MOST_CELLS and int(np.bincount(rows).max()) > _MOST_CELLS:
                raise NotConvergedError(
                    f"critical payments: the share of agent {i + 1} is neither a staircase nor smooth within {_MOST_CELLS} cells of its "
                    "own bid; give the payments in closed form"
                )
            # first by the golden section: from there on no point is a round number, at which a fine staircase may meet a parabola
            middle = low + (0.5 if level else _GOLDEN) * (high - low)
            xm = self._at(bids, i, rows, middle)
            curved = np.flatnonzero((xm != x0) & (xm != x1) & (level > 0))
            if not len(curved):
                rows, low, high, x0, x1 = _halved(rows, low, middle, high, x0, xm, x1)
                continue
            smooth, over = self._smooth(bids, i, rows[curved], low[curved], high[curved], x0[curved], xm[curved], x1[curved], small)
            where = curved[smooth]
            area += np.bincount(rows[where], over[smooth], len(bids))
            left = np.setdiff1d(np.arange(len(rows)), where, assume_unique=True)
            rows, low, middle, high, x0, xm, x1 = (v[left] for v in (rows, low, middle, high, x0, xm, x1))
            rows, low, high, x0, x1 = _halved(rows, low, middle, high, x0, xm, x1)
        return area + np.bincount(rows, 0.5 * (x0 + x1) * (high - low), len(bids))

    def _at(
        self, bids: Float64[np.ndarray, "batch agents"], i: int, rows: Int64[np.ndarray, " cells"], points: Float64[np.ndarray, " cells"]
    ) -> Float64[np.ndarray, " cells"]:
        told = bids[rows]
        told[:, i] = points
        return self._asked(told)[:, i]

    def _smooth(
        self,
        bids: Float64[np.ndarray, "batch agents"],
        i: int,
        rows: Int64[np.ndarray, " cells"],
        low: Float64[np.ndarray, " cells"],
        high: Float64[np.ndarray, " cells"],
        x0: Float64[np.ndarray, " cells"],
        xm: Float64[np.ndarray, " cells"],
        x1: Float64[np.ndarray, " cells"],
        small: Float64[np.ndarray, " batch"],
    ) -> tuple[Bool[np.ndarray, " cells"], Float64[np.ndarray, " cells"]]:
        """Where Simpson's rule and Radau's agree on cell and halves, and no staircase shows; the integral with Richardson's correction."""
        width = high - low
        smooth = np.ones(len(rows), dtype=bool)
        radau = x0 / 9.0
        for part, weight in _WITHIN:
            fitted = x0 + part * (4.0 * xm - 3.0 * x0 - x1) + 2.0 * part**2 * (x0 + x1 - 2.0 * xm)
            x = self._at(bids, i, rows, low + part * width)
            smooth &= np.abs(x - fitted) <= _PARABOLA * np.abs(x1 - x0)
            radau = radau + weight * x
        before, after = (self._at(bids, i, rows, low + part * width) for part in (0.25, 0.75))
        one = (x0 + 4.0 * xm + x1) * width / 6.0
        two = (x0 + 4.0 * before + 2.0 * xm + 4.0 * after + x1) * width / 12.0
        over, most = two + (two - one) / 15.0, 15.0 * small[rows]
        return smooth & (np.abs(two - one) <= most) & (np.abs(radau * width - over) <= most), over


def _halved(
    rows: NDArray[Any],
    low: NDArray[Any],
    middle: NDArray[Any],
    high: NDArray[Any],
    x0: NDArray[Any],
    xm: NDArray[Any],
    x1: NDArray[Any],
) -> tuple[NDArray[Any], ...]:
    """Two cells of each: rows, lower and upper ends, shares there. A half whose ends get the same is closed when it is next looked at."""
    pairs = ((rows, rows), (low, middle), (middle, high), (x0, xm), (xm, x1))
    return tuple(np.concatenate(pair) for pair in pairs)
