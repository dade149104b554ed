"""Price Newton on the narrowest aggregate: the default where a graph has a narrow waist.

With S(x) = f(A x + b), the planner keeps for every agent what its last answers revealed: a point x at which its marginal
cost is g, and the slope M of x with g. It solves its own small model

    y = A x(Aᵀ q) + b,    q = -grad f(y),    x(g) = x + M (g - g_last) or the curve through the answers,

by Newton in R^d, offers the prices Aᵀ q around the actions that the model foresees, and corrects the model by the answers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hurwicz._foundation import FloatArray
from hurwicz.prices.constraints import update_multipliers
from hurwicz.prices.dynamics.first_order import Accelerated
from hurwicz.prices.dynamics.protocol import Rule, relative, steepest_curvature
from hurwicz.prices.exchange import Exchange, Iterate

_WIDEST_BLOCK = 16
_KEPT = 8
_PATIENCE = 6
_PULL = 1e-6
_MODEL_STEPS = 30


@dataclass
class Revealed:
    """What the answers so far say of the agents: each is a point x and the marginal cost g at it.

    The points lie on x(u) with u = g + w x, w small: the resolvent of the marginal cost, which is monotone with slopes in
    [0, 1/w] even where costs are flat or linear and x(g) jumps. Between two of the last eight answers a scalar action's
    curve follows the secants on either side until they meet (their chord where they do not), so that a kink at a bound is
    seen at once. A vector's is x + M (u - u_last), M corrected by the symmetric rank-one update and kept with eigenvalues
    in [0, 1/w].
    """

    blocks: list[tuple[slice, int, int]]
    xs: list[FloatArray]
    us: list[FloatArray]
    slopes: list[FloatArray]
    guess: float
    pull: float
    curves: dict[int, tuple[FloatArray, FloatArray, FloatArray]] = field(default_factory=dict)

    @classmethod
    def first(cls, exchange: Exchange, x: FloatArray, marginal: FloatArray, guess: float) -> Revealed:
        """One answer, and a slope that is a guess."""
        blocks = []
        for name, shape in exchange.loss.agents.items():
            where = exchange.loss.slice_of(name)
            count = where.stop - where.start
            members = shape[0] if name in exchange.loss.populations else 1
            width = count // members
            blocks.append((where, members, width) if width <= _WIDEST_BLOCK else (where, count, 1))
        slopes = [guess * np.broadcast_to(np.eye(width), (members, width, width)).copy() for _, members, width in blocks]
        pull = _PULL / guess
        return cls(blocks, [x], [marginal + pull * x], slopes, guess, pull)

    def learn(self, x: FloatArray, marginal: FloatArray) -> Revealed:
        """The model after another answer."""
        u = marginal + self.pull * x
        slopes = []
        for (where, members, width), slope in zip(self.blocks, self.slopes, strict=True):
            dx = (x[where] - self.xs[-1][where]).reshape(members, width)
            du = (u[where] - self.us[-1][where]).reshape(members, width)
            slopes.append(slope if width == 1 else self._corrected(slope, dx, du))
        return Revealed(self.blocks, [*self.xs, x][-_KEPT:], [*self.us, u][-_KEPT:], slopes, self.guess, self.pull)

    def _corrected(self, slope: FloatArray, dx: FloatArray, du: FloatArray) -> FloatArray:
        gap = dx - np.einsum("mij,mj->mi", slope, du)
        along = np.einsum("mi,mi->m", gap, du)
        safe = np.abs(along) > 1e-9 * np.linalg.norm(gap, axis=1) * np.linalg.norm(du, axis=1)
        rank_one = np.einsum("mi,mj->mij", gap, gap) / np.where(safe, along, 1.0)[:, None, None]
        values, vectors = np.linalg.eigh(slope + np.where(safe[:, None, None], rank_one, 0.0))
        # Convex costs answer monotonely: M has no negative eigenvalue.
        return np.asarray(np.einsum("mij,mj,mkj->mik", vectors, np.clip(values, 0.0, 1.0 / self.pull), vectors))

    def foresee(self, u: FloatArray) -> tuple[FloatArray, list[FloatArray]]:
        """(x at ``u``, slopes dx/du there by block)."""
        x = np.empty_like(u)
        slopes = []
        for (where, members, width), slope in zip(self.blocks, self.slopes, strict=True):
            if width > 1:
                away = (u[where] - self.us[-1][where]).reshape(members, width)
                x[where] = self.xs[-1][where] + np.einsum("mij,mj->mi", slope, away).ravel()
                slopes.append(slope)
            else:
                x[where], rise = self._on_curve(where, u[where])
                slopes.append(rise[:, None, None])
        return x, slopes

    def _on_curve(self, where: slice, u: FloatArray) -> tuple[FloatArray, FloatArray]:
        us, xs, rises = self._curve(where)
        last, columns = len(us) - 1, np.arange(u.size)
        row = (us <= u).sum(axis=0) - 1
        left, right = np.maximum(row, 0), np.minimum(row + 1, last)
        # rises[k] leads to answer k, rises[k + 1] away from it.
        u0, x0, u1, x1 = us[left, columns], xs[left, columns], us[right, columns], xs[right, columns]
        before, chord, after = rises[left, columns], rises[right, columns], rises[np.minimum(right + 1, last + 1), columns]
        inside = (row >= 0) & (row < last)
        slope = np.where(row < 0, before, np.where(row >= last, after, chord))
        x = np.where(row < 0, x1 - before * (u1 - u), x0 + slope * (u - u0))
        ahead, back = x0 + before * (u - u0), x1 - after * (u1 - u)
        bends = inside & ((before - chord) * (chord - after) > 0)
        first = np.where(before > chord, ahead <= back, ahead >= back)
        x = np.where(bends, np.where(first, ahead, back), x)
        return x, np.where(bends, np.where(first, before, after), slope)

    def _curve(self, where: slice) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Answers (u, x) in order of u, and the secants between neighbours, with the outermost twice."""
        if where.start in self.curves:
            return self.curves[where.start]
        us, xs = np.stack([u[where] for u in self.us]), np.stack([x[where] for x in self.xs])
        order = np.argsort(us, axis=0, kind="stable")
        us, xs = np.take_along_axis(us, order, axis=0), np.take_along_axis(xs, order, axis=0)
        rises = np.full((len(us) + 1, us.shape[1]), self.guess)
        if len(us) > 1:
            h = np.diff(us, axis=0)
            apart = h > 1e-14 * np.abs(us).max(axis=0)
            inner = rises[1:-1]
            inner[...] = np.where(apart, np.clip(np.diff(xs, axis=0) / np.where(apart, h, 1.0), 0.0, 1.0 / self.pull), np.nan)
            # Answers that coincide tell nothing of the slope between them: a neighbour's is taken.
            for k in range(1, len(inner)):
                inner[k] = np.where(np.isnan(inner[k]), inner[k - 1], inner[k])
            for k in range(len(inner) - 2, -1, -1):
                inner[k] = np.where(np.isnan(inner[k]), inner[k + 1], inner[k])
            inner[...] = np.where(np.isnan(inner), self.guess, inner)
            rises[0], rises[-1] = inner[0], inner[-1]
        self.curves[where.start] = us, xs, rises
        return self.curves[where.start]

    def times(self, slopes: list[FloatArray], vector: FloatArray) -> FloatArray:
        """The block diagonal ``slopes`` times a flat vector, or times the rows of a matrix."""
        out = np.empty_like(vector)
        for (where, members, width), slope in zip(self.blocks, slopes, strict=True):
            part = vector[..., where]
            shaped = part.reshape(*part.shape[:-1], members, width)
            out[..., where] = np.einsum("mij,...mj->...mi", slope, shaped).reshape(part.shape)
        return out


def stiffness(slopes: list[FloatArray]) -> FloatArray:
    """1 / diagonal of the slopes, flat."""
    flat = np.concatenate([np.einsum("mii->mi", slope).ravel() for slope in slopes])
    return np.asarray(1.0 / np.maximum(flat, 1e-300))


@dataclass(frozen=True)
class PriceNewton(Rule):
    """Newton on the aggregate, with the agents' slopes learned from their answers.

    Quadratic costs are met exactly in three rounds, whatever N is; where agents jump (linear costs, bounds) and the model
    misleads, accelerated proximal rounds are put in between.
    """

    title: str = "price Newton on the aggregate"
    _fallback: Accelerated = field(default_factory=Accelerated, repr=False)

    def init(self, exchange: Exchange, start: FloatArray) -> Iterate:
        """One proximal round at the start, to see a first marginal cost of everyone."""
        steep = max(steepest_curvature(exchange, start), 1e-9)
        weight = steep / max(_coupling(exchange), 1.0)
        price = exchange.price(start)
        x = exchange.ask(price, anchor=start, weight=weight)
        model = Revealed.first(exchange, x, price + weight * (start - x), 1.0 / weight)
        memory = {"model": model, "steep": steep, "least": 1e-3 * weight, "best": np.inf, "best_x": x, "stalled": 0, "rescue": 4}
        return Iterate(x, relative(x - start, start), memory)

    def step(self, exchange: Exchange, iterate: Iterate) -> Iterate:
        """Solve the model, offer its prices around its actions, learn from the answers."""
        memory: dict[str, Any] = dict(iterate.memory)
        model: Revealed = memory["model"]
        if memory["stalled"] >= _PATIENCE:
            return self._rescue(exchange, iterate, memory)
        foreseen, slopes = _solve_model(exchange, model)
        if exchange.loss.constraints and exchange.loss.affine_constraints:
            foreseen, slopes = self._feasible(exchange, model, foreseen)
        # A model made of few answers is not believed far away from them.
        last = model.xs[-1]
        reach = 10.0 * (1.0 + float(np.max(np.abs(last), initial=0.0)))
        foreseen = last + np.clip(foreseen - last, -reach, reach)
        price = exchange.price(foreseen)
        # A weak pull is enough for smooth costs; it bounds the answers of agents whose costs are flat.
        weight = np.clip(0.1 * stiffness(slopes), memory["least"], memory["steep"])
        x = exchange.ask(price, anchor=foreseen, weight=weight)
        residual = relative(x - foreseen, x)
        if not (residual <= 1e2 * memory["best"] and np.max(np.abs(x - last)) <= 10.0 * reach):
            # The model has led far astray: back to where it was best, and descend from there.
            memory["stalled"] = _PATIENCE
            return Iterate(memory["best_x"], min(memory["best"], 1.0), memory)
        if residual < memory["best"]:
            memory["best_x"] = x
        memory["model"] = model.learn(x, price + weight * (foreseen - x))
        memory["stalled"] = 0 if residual < 0.5 * memory["best"] else memory["stalled"] + 1
        memory["best"] = min(memory["best"], residual)
        return Iterate(x, residual, memory)

    @staticmethod
    def _feasible(exchange: Exchange, model: Revealed, foreseen: FloatArray) -> tuple[FloatArray, list[FloatArray]]:
        """The method of multipliers on the model alone: no round is spent on it."""
        kept, before = exchange.terms, np.inf
        for _ in range(30):
            gap = update_multipliers(exchange, foreseen)
            foreseen, slopes = _solve_model(exchange, model)
            if gap <= 1e-12 * (1.0 + float(np.max(np.abs(foreseen), initial=0.0))):
                return foreseen, slopes
            if gap > before:
                # The model knows no feasible point yet; multipliers that chase one would only grow.
                exchange.terms = kept
                return _solve_model(exchange, model)
            before = gap
        return foreseen, slopes

    def _rescue(self, exchange: Exchange, iterate: Iterate, memory: dict[str, Any]) -> Iterate:
        inner = self._fallback.init(exchange, iterate.x)
        for _ in range(memory["rescue"]):
            rho, ahead, _momentum = inner.memory
            inner = self._fallback.step(exchange, inner)
            memory["model"] = memory["model"].learn(inner.x, exchange.price(ahead) + rho * (ahead - inner.x))
            if inner.residual <= 1e-3 * memory["best"]:
                break
        memory.update(stalled=0, rescue=min(2 * memory["rescue"], 256), best=max(1e-2, 10.0 * inner.residual), best_x=inner.x)
        return Iterate(inner.x, inner.residual, memory)


def _coupling(exchange: Exchange) -> float:
    """How many coordinates meet in a row of the aggregate, at most: the price of one is moved by all of them."""
    waist = exchange.loss.waist
    return 1.0 if waist is None else float(np.max((np.abs(waist.matrix) > 0).sum(axis=1), initial=1))


def _solve_model(exchange: Exchange, model: Revealed) -> tuple[FloatArray, list[FloatArray]]:
    """The actions that the model foresees at its own equilibrium, and the slopes there.

    By the proximal point method (Rockafellar 1976) with the model's small pull w: x <- R(Aᵀ q + w x), each step by Newton in R^d.
    """
    x = model.xs[-1]
    slopes: list[FloatArray] = []
    before = np.inf
    for _ in range(_MODEL_STEPS):
        found, slopes = _pulled(exchange, model, x)
        change = relative(found - x, found)
        x = found
        if change <= 1e-12 or change > 0.5 * before:
            break
        before = change
    return x, slopes


def _pulled(exchange: Exchange, model: Revealed, anchor: FloatArray) -> tuple[FloatArray, list[FloatArray]]:
    """Solve y = A R(Aᵀ q + w anchor) + b with q = -grad f(y)."""
    waist = exchange.loss.waist
    if waist is None:
        matrix, offset = np.eye(anchor.size), np.zeros(anchor.size)
    else:
        matrix, offset = waist.at(exchange.terms)

    def slope(y: FloatArray) -> FloatArray:
        return -exchange.price(y) if waist is None else waist.gradient(y, exchange.terms)

    def miss(y: FloatArray) -> tuple[FloatArray, FloatArray, list[FloatArray]]:
        x, slopes = model.foresee(model.pull * anchor - matrix.T @ slope(y))
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
    return x, slopes
