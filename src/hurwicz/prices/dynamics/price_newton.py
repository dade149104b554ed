"""Price Newton on the narrowest aggregate: the default where a graph has a narrow waist.

With S(x) = f(A x + b), the planner keeps for every agent what its last answers revealed: a point x at which its marginal
cost is g, and the slope M of x with g. It solves its own small model

    y = A x + b,    q = -grad f(y),    x = R(Aᵀ q + w x),    R = (g + w)^-1 the resolvent, w small,

R being x + M (u - u_last) or the curve through the answers, by Newton in R^d; offers the prices Aᵀ q around the actions that
the model foresees, and corrects the model by the answers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64

from hurwicz._foundation import FloatArray
from hurwicz.prices.constraints import update_multipliers
from hurwicz.prices.dynamics.first_order import Accelerated
from hurwicz.prices.dynamics.protocol import Rule, relative, steepest_curvature
from hurwicz.prices.exchange import Exchange, Iterate

_WIDEST_BLOCK = 16
_KEPT = 8
_PATIENCE = 6
_PULL = 1e-9
_MODEL_STEPS = 30
_SURPRISE = 0.5
# Members at a time: what is worked out of so many stays in the processor's cache.
_MEMBERS = 8192


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
    xs: list[Float64[np.ndarray, "coordinates"]]
    us: list[Float64[np.ndarray, "coordinates"]]
    slopes: list[FloatArray]
    guess: Float64[np.ndarray, "coordinates"]
    pull: float
    whole: bool = True
    scale: float = np.inf
    curves: dict[int, tuple[FloatArray, FloatArray, FloatArray]] = field(default_factory=dict)

    @classmethod
    def first(
        cls,
        exchange: Exchange,
        x: Float64[np.ndarray, "coordinates"],
        marginal: Float64[np.ndarray, "coordinates"],
        guess: Float64[np.ndarray, "coordinates"],
        pull: float,
    ) -> Revealed:
        """One answer, and slopes that are a guess."""
        blocks = []
        for name, shape in exchange.loss.agents.items():
            where = exchange.loss.slice_of(name)
            count = where.stop - where.start
            members = shape[0] if name in exchange.loss.populations else 1
            width = count // members
            blocks.append((where, members, width) if width <= _WIDEST_BLOCK else (where, count, 1))
        slopes = [guess[where].reshape(members, width)[:, :, None] * np.eye(width) for where, members, width in blocks]
        u = marginal + pull * x
        return cls(blocks, [x], [u], slopes, guess, pull, scale=_tenth(u))

    def learn(self, x: Float64[np.ndarray, "coordinates"], marginal: Float64[np.ndarray, "coordinates"]) -> Revealed:
        """The model after another answer."""
        u = marginal + self.pull * x
        slopes = []
        for (where, members, width), slope in zip(self.blocks, self.slopes, strict=True):
            if width > 1:
                dx = (x[where] - self.xs[-1][where]).reshape(members, width)
                du = (u[where] - self.us[-1][where]).reshape(members, width)
                slope = self._corrected(slope, dx, du)
            slopes.append(slope)
        whole, scale = self.whole and len(self.xs) < _KEPT, min(self.scale, _tenth(u))
        return Revealed(self.blocks, [*self.xs, x][-_KEPT:], [*self.us, u][-_KEPT:], slopes, self.guess, self.pull, whole, scale)

    def _corrected(
        self,
        slope: Float64[np.ndarray, "members width width"],
        dx: Float64[np.ndarray, "members width"],
        du: Float64[np.ndarray, "members width"],
    ) -> Float64[np.ndarray, "members width width"]:
        gap = dx - np.einsum("mij,mj->mi", slope, du)
        along = np.einsum("mi,mi->m", gap, du)
        safe = np.abs(along) > 1e-9 * np.linalg.norm(gap, axis=1) * np.linalg.norm(du, axis=1)
        rank_one = np.einsum("mi,mj->mij", gap, gap) / np.where(safe, along, 1.0)[:, None, None]
        values, vectors = np.linalg.eigh(slope + np.where(safe[:, None, None], rank_one, 0.0))
        # Convex costs answer monotonely: M has no negative eigenvalue.
        return np.asarray(np.einsum("mij,mj,mkj->mik", vectors, np.clip(values, 0.0, 1.0 / self.pull), vectors))

    def foresee(self, u: Float64[np.ndarray, "coordinates"]) -> tuple[Float64[np.ndarray, "coordinates"], list[FloatArray]]:
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
        self, where: slice, u: Float64[np.ndarray, "members"]
    ) -> tuple[Float64[np.ndarray, "members"], Float64[np.ndarray, "members"]]:
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

    def _curve(
        self, where: slice
    ) -> tuple[Float64[np.ndarray, "answers members"], Float64[np.ndarray, "answers members"], Float64[np.ndarray, "answers members"]]:
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
        us: Float64[np.ndarray, "answers members"],
        xs: Float64[np.ndarray, "answers members"],
        inner: Float64[np.ndarray, "secants members"],
        ends: Float64[np.ndarray, "answers members"],
        opening: Bool[np.ndarray, "answers members"],
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

    def times(self, slopes: list[FloatArray], vector: Float64[np.ndarray, "*rows coordinates"]) -> Float64[np.ndarray, "*rows coordinates"]:
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


def _tenth(u: Float64[np.ndarray, "coordinates"]) -> float:
    """The size that nine tenths of the entries exceed."""
    return float(np.quantile(np.abs(u), 0.1)) + 1e-300 if u.size else 1e-300


def stiffness(slopes: list[FloatArray]) -> Float64[np.ndarray, "coordinates"]:
    """1 / diagonal of the slopes, flat."""
    flat = np.concatenate([slope if slope.ndim == 1 else np.einsum("mii->mi", slope).ravel() for slope in slopes])
    return np.asarray(1.0 / np.maximum(flat, 1e-300))


@dataclass(frozen=True)
class PriceNewton(Rule):
    """Newton on the aggregate, with the agents' slopes learned from their answers.

    The first offer pulls each agent as the whole market would push back if all moved alike. For agents that are alike, from equal
    starts and where no bound is active, the answer is the market's own; else it tells everyone's marginal cost near the total.
    From then on the pull is a tenth of the agents' own stiffness, unless the last prices moved the aggregate by a multiple: then
    it is the market's again for one round. Where agents jump (linear costs) and the model misleads for long, accelerated proximal
    rounds are put in between.
    """

    title: str = "price Newton on the aggregate"
    _fallback: Accelerated = field(default_factory=Accelerated, repr=False)

    def init(self, exchange: Exchange, start: FloatArray) -> Iterate:
        """One proximal round at the start, to see a first marginal cost of everyone."""
        steep = max(steepest_curvature(exchange, start), 1e-9)
        common = steep / max(_coupling(exchange), 1.0)
        price = exchange.price(start)
        x = exchange.ask(price, anchor=start, weight=steep)
        marginal = price + steep * (start - x)
        size = float(np.max(np.abs(x), initial=0.0)) or float(np.max(np.abs(start), initial=0.0))
        # A first guess at the slope is x / g, as if costs began at nothing; less where g is large, since a bound may push there.
        seen = np.abs(marginal) / size if size else np.full(x.size, common)
        typical = _tenth(seen)
        stiff = np.maximum(seen, typical) * np.maximum(1.0, seen / typical)
        model = Revealed.first(exchange, x, marginal, 1.0 / np.clip(stiff, 1e-3 * common, 1e3 * steep), _PULL * common)
        memory = {
            "model": model,
            "steep": steep,
            "least": 1e-3 * common,
            "best": np.inf,
            "stalled": 0,
            "rescue": 4,
            "surprise": _surprise(exchange, start + price / steep, x),
        }
        return Iterate(x, relative(x - start, start), memory)

    def step(self, exchange: Exchange, iterate: Iterate) -> Iterate:
        """Solve the model, offer its prices around its actions, learn from the answers."""
        memory: dict[str, Any] = dict(iterate.memory)
        model: Revealed = memory["model"]
        if memory["stalled"] >= _PATIENCE:
            return self._rescue(exchange, iterate, memory)
        foreseen, price, slopes = _solve_model(exchange, model)
        if exchange.loss.constraints and exchange.loss.affine_constraints:
            foreseen, price, slopes = self._feasible(exchange, model, foreseen)
        # A model made of few answers is not believed far away from them.
        last = model.xs[-1]
        reach = 10.0 * (1.0 + float(np.max(np.abs(last), initial=0.0)))
        foreseen = last + np.clip(foreseen - last, -reach, reach)
        # A weak pull is enough for smooth costs; it bounds the answers of agents whose costs are flat. Agents at a bound look stiff
        # and are pulled like the others, so that they can leave it.
        stiff = stiffness(slopes)
        weight = np.clip(0.1 * np.minimum(stiff, 1.0 / np.mean(1.0 / stiff)), memory["least"], memory["steep"])
        surprised = memory["surprise"] > _SURPRISE
        if surprised:
            weight = np.maximum(weight, memory["surprise"] * memory["steep"])
        x = exchange.ask(price, anchor=foreseen, weight=weight)
        memory["surprise"] = _surprise(exchange, foreseen, x)
        # What the agents would have moved without the pull.
        residual = relative((x - foreseen) * (1.0 + weight / stiff), x)
        memory["model"] = model.learn(x, price + weight * (foreseen - x))
        if not np.max(np.abs(x - last), initial=0.0) <= 10.0 * reach:
            memory["stalled"] = _PATIENCE
        elif not surprised:
            memory["stalled"] = 0 if residual < 0.5 * memory["best"] else memory["stalled"] + 1
            memory["best"] = min(memory["best"], residual)
        return Iterate(x, residual, memory)

    @staticmethod
    def _feasible(exchange: Exchange, model: Revealed, foreseen: FloatArray) -> tuple[FloatArray, FloatArray, list[FloatArray]]:
        """The method of multipliers on the model alone: no round is spent on it."""
        kept, before = exchange.terms, np.inf
        for _ in range(30):
            gap = update_multipliers(exchange, foreseen)
            foreseen, price, slopes = _solve_model(exchange, model)
            if gap <= 1e-12 * (1.0 + float(np.max(np.abs(foreseen), initial=0.0))):
                return foreseen, price, slopes
            if gap > before:
                # The model knows no feasible point yet; multipliers that chase one would only grow.
                exchange.terms = kept
                return _solve_model(exchange, model)
            before = gap
        return foreseen, price, slopes

    def _rescue(self, exchange: Exchange, iterate: Iterate, memory: dict[str, Any]) -> Iterate:
        inner = self._fallback.init(exchange, iterate.x)
        for _ in range(memory["rescue"]):
            _, ahead, _ = inner.memory
            price = exchange.price(ahead)
            inner, answer, rho = self._fallback.answered(exchange, inner)
            memory["model"] = memory["model"].learn(answer, price + rho * (ahead - answer))
            if inner.residual <= 1e-3 * memory["best"]:
                break
        memory.update(stalled=0, rescue=min(2 * memory["rescue"], 256), best=max(1e-2, 10.0 * inner.residual))
        return Iterate(inner.x, inner.residual, memory)


def _coupling(exchange: Exchange) -> float:
    """How many coordinates meet in a row of the aggregate, at most: the price of one is moved by all of them."""
    waist = exchange.loss.waist
    return 1.0 if waist is None else float(np.max((np.abs(waist.matrix) > 0).sum(axis=1), initial=1))


def _surprise(exchange: Exchange, foreseen: FloatArray, x: FloatArray) -> float:
    """How far the aggregate is from what was foreseen, between 0 and 1."""
    waist = exchange.loss.waist
    matrix = None if waist is None else waist.at(exchange.terms)[0]
    ahead, here = (foreseen, x) if matrix is None else (matrix @ foreseen, matrix @ x)
    size = float(np.linalg.norm(ahead) + np.linalg.norm(here))
    return float(np.linalg.norm(here - ahead)) / size if size else 0.0


def _solve_model(exchange: Exchange, model: Revealed) -> tuple[FloatArray, FloatArray, list[FloatArray]]:
    """The actions that the model foresees at its own equilibrium, the prices Aᵀ q and the slopes there.

    By the proximal point method (Rockafellar 1976) with the model's small pull w: x <- R(Aᵀ q + w x), each step by Newton in R^d.
    """
    x, price = model.xs[-1], np.zeros_like(model.xs[-1])
    slopes: list[FloatArray] = []
    before = np.inf
    for _ in range(_MODEL_STEPS):
        found, price, slopes = _pulled(exchange, model, x)
        change = relative(found - x, found)
        # The next step would start from w (found - x) further on, and each agent's answer to that is its slope times it.
        further = relative(model.pull * model.times(slopes, found - x), found)
        x = found
        if min(change, further) <= 1e-13 or change > 0.5 * before:
            break
        before = change
    return x, price, slopes


def _pulled(exchange: Exchange, model: Revealed, anchor: FloatArray) -> tuple[FloatArray, FloatArray, list[FloatArray]]:
    """Solve y = A R(Aᵀ q + w anchor) + b with q = -grad f(y)."""
    waist = exchange.loss.waist
    if waist is None:
        matrix, offset = np.eye(anchor.size), np.zeros(anchor.size)
    else:
        matrix, offset = waist.at(exchange.terms)

    def slope(y: FloatArray) -> FloatArray:
        return -exchange.price(y) if waist is None else waist.gradient(y, exchange.terms)

    pulled = model.pull * anchor

    def miss(y: FloatArray) -> tuple[FloatArray, FloatArray, list[FloatArray]]:
        x, slopes = model.foresee(pulled - matrix.T @ slope(y))
        return y - matrix @ x - offset, x, slopes

    y = matrix @ anchor + offset
    gap, x, slopes = miss(y)
    for _ in range(50):
        size = float(np.linalg.norm(gap))
        if size <= 1e-14 * (1.0 + float(np.linalg.norm(y))):
            break
        bend = np.asarray(exchange.loss.call("hessian", y, exchange.terms)) if waist is None else waist.hessian(y, exchange.terms)
        jacobian = np.eye(y.size) + model.times(slopes, matrix) @ matrix.T @ bend
        try:
            move = np.linalg.solve(jacobian, gap)
        except np.linalg.LinAlgError:
            move = np.linalg.lstsq(jacobian, gap, rcond=None)[0]
        # With a steep f the gap is y's last digit, many times over: no nearer y can be written down.
        if np.all(np.abs(move) <= 2.0 * np.spacing(np.abs(y))):
            break
        length = 1.0
        while length > 1e-4:
            trial = y - length * move
            found = miss(trial)
            if np.all(np.isfinite(found[0])) and np.linalg.norm(found[0]) < (1.0 - 1e-4 * length) * size:
                break
            length *= 0.5
        else:
            break
        y, (gap, x, slopes) = trial, found
    return x, -matrix.T @ slope(y), slopes
