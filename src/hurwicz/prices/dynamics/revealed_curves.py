"""What agents reveal: the curve of actions against marginal cost through an agent's answers, and its slopes.

The planner's model in price Newton. It holds answers only: points x, and the marginal cost g that an answer x to an offer tells.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float64
from numpy.typing import NDArray

from hurwicz._foundation import FloatArray
from hurwicz.prices.exchange import Exchange

# A vector's slopes are a matrix a member, updated by an eigendecomposition a round: wider ones are taken coordinate by coordinate.
_WIDEST_BLOCK = 16
# Answers kept: the error of the curve between neighbours that close is rounding's, and memory stays at eight words an agent.
_KEPT = 8
# Members at a time: what is worked out of so many stays in the processor's cache.
_MEMBERS = 8192

# By block: a number a coordinate, or a matrix a member. Blocks differ in size, so that their axes share no name.
Slopes = list[Float64[FloatArray, "_"] | Float64[FloatArray, "_ _ _"]]
# Answers (u, x) in order of u, and the derivatives at them; (answers, members), the members those of the block.
Curve = tuple[Float64[FloatArray, "answers _"], Float64[FloatArray, "answers _"], Float64[FloatArray, "answers _"]]


@dataclass
class Revealed:
    """What the answers so far say of the agents: each is a point x and the marginal cost g at it.

    The points lie on x(u) with u = g + w x, w small: the resolvent of the marginal cost, which is monotone with slopes in
    [0, 1/w] even where costs are flat or linear and x(g) jumps. Between a scalar action's last eight answers the curve is the
    monotone rational quadratic (Gregory and Delbourgo 1982) with the derivatives of the parabolas through three answers, which a
    kink at a bound cannot make swing; beyond them it goes on straight. A vector's is x + M (u - u_last), M corrected by the
    symmetric rank-one update and kept with eigenvalues in [0, 1/w].
    """

    blocks: list[tuple[slice, int, int]]
    xs: list[Float64[FloatArray, "dims"]]
    us: list[Float64[FloatArray, "dims"]]
    slopes: Slopes
    guess: Float64[FloatArray, "dims"]
    pull: float
    whole: bool = True
    scale: float = np.inf
    curves: dict[int, Curve] = field(default_factory=dict)

    @classmethod
    def first(
        cls,
        exchange: Exchange,
        x: Float64[FloatArray, "dims"],
        marginal: Float64[FloatArray, "dims"],
        guess: Float64[FloatArray, "dims"],
        pull: float,
    ) -> Revealed:
        """One answer, and slopes that are a guess."""
        blocks = []
        for name in exchange.loss.agents:
            where, members, width = exchange.loss.layout_of(name)
            blocks.append((where, members, width) if width <= _WIDEST_BLOCK else (where, members * width, 1))
        slopes = [guess[where].reshape(members, width)[:, :, None] * np.eye(width) for where, members, width in blocks]
        u = marginal + pull * x
        return cls(blocks, [x], [u], slopes, guess, pull, scale=tenth(u))

    def learn(self, x: Float64[FloatArray, "dims"], marginal: Float64[FloatArray, "dims"]) -> Revealed:
        """The model after another answer."""
        u = marginal + self.pull * x
        slopes = []
        for (where, members, width), slope in zip(self.blocks, self.slopes, strict=True):
            if width > 1:
                dx = (x[where] - self.xs[-1][where]).reshape(members, width)
                du = (u[where] - self.us[-1][where]).reshape(members, width)
                slope = self._corrected(slope, dx, du)
            slopes.append(slope)
        whole, scale = self.whole and len(self.xs) < _KEPT, min(self.scale, tenth(u))
        return Revealed(self.blocks, [*self.xs, x][-_KEPT:], [*self.us, u][-_KEPT:], slopes, self.guess, self.pull, whole, scale)

    def _corrected(
        self,
        slope: Float64[FloatArray, "members width width"],
        dx: Float64[FloatArray, "members width"],
        du: Float64[FloatArray, "members width"],
    ) -> Float64[FloatArray, "members width width"]:
        gap = dx - np.einsum("mij,mj->mi", slope, du)
        along = np.einsum("mi,mi->m", gap, du)
        safe = np.abs(along) > 1e-9 * np.linalg.norm(gap, axis=1) * np.linalg.norm(du, axis=1)
        rank_one = np.einsum("mi,mj->mij", gap, gap) / np.where(safe, along, 1.0)[:, None, None]
        values, vectors = np.linalg.eigh(slope + np.where(safe[:, None, None], rank_one, 0.0))
        # Convex costs answer monotonely: M has no negative eigenvalue.
        return np.asarray(np.einsum("mij,mj,mkj->mik", vectors, np.clip(values, 0.0, 1.0 / self.pull), vectors))

    def foresee(self, u: Float64[FloatArray, "dims"]) -> tuple[Float64[FloatArray, "dims"], Slopes]:
        """(x at ``u``, slopes dx/du there by block: a number a coordinate, or a matrix a member)."""
        x = np.empty_like(u)
        slopes = []
        for (where, members, width), slope in zip(self.blocks, self.slopes, strict=True):
            if width > 1:
                away = (u[where] - self.us[-1][where]).reshape(members, width)
                x[where] = self.xs[-1][where] + np.einsum("mij,mj->mi", slope, away).ravel()
                slopes.append(slope)
            else:
                rise = np.empty(where.stop - where.start)
                for first in range(where.start, where.stop, _MEMBERS):
                    part = slice(first, min(first + _MEMBERS, where.stop))
                    x[part], rise[first - where.start : part.stop - where.start] = self._on_curve(part, u[part])
                slopes.append(rise)
        return x, slopes

    def _on_curve(
        self, where: slice, u: Float64[FloatArray, "members"]
    ) -> tuple[Float64[FloatArray, "members"], Float64[FloatArray, "members"]]:
        us, xs, ends = self._curve(where)
        count, size = us.shape
        row = np.zeros(size, dtype=np.intp)
        for level in us:
            row += level <= u
        # Flat positions: np.take on them is several times faster than a gather by (row, column).
        left = np.clip(row - 1, 0, max(count - 2, 0)) * size + np.arange(size)
        right = left + (size if count > 1 else 0)
        u0, x0, u1, x1 = us.take(left), xs.take(left), us.take(right), xs.take(right)
        d0, d1 = ends.take(left), ends.take(right)
        low, high = row == 0, row == count
        beyond = low | high
        width, rise = u1 - u0, x1 - x0
        flat = beyond | (width <= 0) | (rise <= 0)
        width, chord = np.where(flat, 1.0, width), np.where(flat, 1.0, rise)
        t = np.where(flat, 0.0, (u - u0) / width)
        chord /= width
        d0_in, d1_in = np.where(flat, 0.0, d0), np.where(flat, 0.0, d1)
        mix = t * (1.0 - t)
        below = chord + (d0_in + d1_in - 2.0 * chord) * mix
        x = x0 + rise * (chord * t * t + d0_in * mix) / below
        slope = chord**2 * (d1_in * t * t + 2.0 * chord * mix + d0_in * (1.0 - t) ** 2) / below**2
        slope[flat] = 0.0
        x = np.where(low, x0 + d0 * (u - u0), np.where(high, x1 + d1 * (u - u1), np.where(flat, x0, x)))
        return x, np.where(low, d0, np.where(high, d1, slope))

    def _curve(self, where: slice) -> Curve:
        """Answers (u, x) in order of u, and the curve's derivatives at them."""
        if where.start in self.curves:
            return self.curves[where.start]
        us, xs = np.stack([u[where] for u in self.us]), np.stack([x[where] for x in self.xs])
        order = np.argsort(us, axis=0, kind="stable")
        us, xs = np.take_along_axis(us, order, axis=0), np.take_along_axis(xs, order, axis=0)
        ends = np.tile(self.guess[where], (len(us), 1))
        if len(us) > 1:
            h = np.diff(us, axis=0)
            apart = h > 1e-14 * np.abs(us).max(axis=0)
            inner = np.where(apart, np.clip(np.diff(xs, axis=0) / np.where(apart, h, 1.0), 0.0, 1.0 / self.pull), np.nan)
            # Answers that coincide tell nothing of the slope between them: a neighbour's is taken.
            for k in range(1, len(inner)):
                inner[k] = np.where(np.isnan(inner[k]), inner[k - 1], inner[k])
            for k in range(len(inner) - 2, -1, -1):
                inner[k] = np.where(np.isnan(inner[k]), inner[k + 1], inner[k])
            inner[...] = np.where(np.isnan(inner), self.guess[where], inner)
            parabola = (h[1:] * inner[:-1] + h[:-1] * inner[1:]) / np.maximum(h[1:] + h[:-1], 1e-300)
            # Two answers alike are a bound, and the curve leaves it without a slope.
            ends[1:-1] = np.where((inner[1:] <= 0) | (inner[:-1] <= 0), 0.0, parabola)
            ends[0], ends[-1] = inner[0], inner[-1]
            if self.whole:
                self._bend_at_bounds(us, xs, inner, ends, order == 0)
        self.curves[where.start] = us, xs, ends
        return self.curves[where.start]

    def _bend_at_bounds(
        self,
        us: Float64[FloatArray, "answers members"],
        xs: Float64[FloatArray, "answers members"],
        inner: Float64[FloatArray, "secants members"],
        ends: Float64[FloatArray, "answers members"],
        opening: Bool[NDArray[np.bool_], "answers members"],
    ) -> None:
        """The answer to the opening price, which is far from any equilibrium, may lie on a bound that pushes.

        Where its marginal cost is ten times the next one's, and their secant a tenth of that one's x / g, the curve is believed to
        bend: level at the bound, and from the other answer towards it with the slope seen beyond that one, or as if the cost began
        at nothing.
        """
        for k in range(len(inner)):
            for near, far, beyond in ((k, k + 1, k - 1), (k + 1, k, k + 1)):
                small = np.maximum(np.abs(us[near]), self.scale)
                bent = opening[far] & (np.abs(us[far]) > 10.0 * np.abs(us[near])) & (inner[k] < 0.1 * np.abs(xs[near]) / small)
                from_nothing = np.clip((xs[k + 1] - xs[k]) / small, inner[k], 1.0 / self.pull)
                slope = inner[beyond] if 0 <= beyond < len(inner) else from_nothing
                ends[near] = np.where(bent, slope, ends[near])
                ends[far] = np.where(bent, 0.0, ends[far])

    def times(self, slopes: Slopes, vector: Float64[FloatArray, "*rows dims"]) -> Float64[FloatArray, "*rows dims"]:
        """The block diagonal ``slopes`` times a flat vector, or times the rows of a matrix."""
        out = np.empty_like(vector)
        for (where, members, width), slope in zip(self.blocks, slopes, strict=True):
            part = vector[..., where]
            if width == 1:
                out[..., where] = part * slope
            else:
                shaped = part.reshape(*part.shape[:-1], members, width)
                out[..., where] = np.einsum("mij,...mj->...mi", slope, shaped).reshape(part.shape)
        return out


def tenth(u: Float64[FloatArray, "dims"]) -> float:
    """The size that nine tenths of the entries exceed."""
    return float(np.quantile(np.abs(u), 0.1)) + 1e-300 if u.size else 1e-300


def stiffness(slopes: Slopes) -> Float64[FloatArray, "dims"]:
    """1 / diagonal of the slopes, flat."""
    flat = np.concatenate([slope if slope.ndim == 1 else np.einsum("mii->mi", slope).ravel() for slope in slopes])
    return np.asarray(1.0 / np.maximum(flat, 1e-300))
