"""Price Newton on the narrowest aggregate: the default where a graph has a narrow waist.

With S(x) = f(A x + b), the planner keeps for every agent what its last answers revealed: a point x at which its marginal
cost is g, and the slope M of x with g. It solves its own small model

    y = A (x + M (Aᵀ q - g)) + b,    q = -grad f(y),

by Newton in R^d, offers the prices Aᵀ q around the actions that the model foresees, and corrects the model by the answers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hurwicz._foundation import FloatArray
from hurwicz.prices.dynamics.first_order import Accelerated
from hurwicz.prices.dynamics.protocol import Rule, relative, steepest_curvature
from hurwicz.prices.exchange import Exchange, Iterate

_WIDEST_BLOCK = 16


@dataclass
class Revealed:
    """What the answers so far say of the agents: x(g) ≈ x + M (g - g_last), M block diagonal and symmetric.

    One block a member of a population or an agent; each is corrected by the symmetric rank-one update, which for a scalar
    action is the secant through its last two answers.
    """

    blocks: list[tuple[slice, int, int]]
    x: FloatArray
    marginal: FloatArray
    slopes: list[FloatArray]
    largest: float

    @classmethod
    def first(cls, exchange: Exchange, x: FloatArray, marginal: FloatArray, slope: float, largest: float) -> Revealed:
        """One answer, and a slope that is a guess."""
        blocks = []
        for name, shape in exchange.loss.agents.items():
            where = exchange.loss.slice_of(name)
            count = where.stop - where.start
            members = shape[0] if name in exchange.loss.populations else 1
            width = count // members
            blocks.append((where, members, width) if width <= _WIDEST_BLOCK else (where, count, 1))
        slopes = [slope * np.broadcast_to(np.eye(width), (members, width, width)).copy() for _, members, width in blocks]
        return cls(blocks, x, marginal, slopes, largest)

    def learn(self, x: FloatArray, marginal: FloatArray) -> Revealed:
        """The model after another answer."""
        slopes = []
        for (where, members, width), slope in zip(self.blocks, self.slopes, strict=True):
            dx = (x[where] - self.x[where]).reshape(members, width)
            dg = (marginal[where] - self.marginal[where]).reshape(members, width)
            slopes.append(self._corrected(slope, dx, dg))
        return Revealed(self.blocks, x, marginal, slopes, self.largest)

    def _corrected(self, slope: FloatArray, dx: FloatArray, dg: FloatArray) -> FloatArray:
        tiny_x = np.linalg.norm(dx, axis=1) <= 1e-13 * (1.0 + np.max(np.abs(dx), initial=0.0))
        tiny_g = np.linalg.norm(dg, axis=1) <= 1e-14 * (1.0 + np.max(np.abs(dg), initial=0.0))
        if slope.shape[1] == 1:
            with np.errstate(divide="ignore", invalid="ignore"):
                secant = np.where(tiny_g[:, None], self.largest, np.clip(dx / dg, 0.0, self.largest))
            return np.where((tiny_x & tiny_g)[:, None, None], slope, secant[:, :, None])
        gap = dx - np.einsum("mij,mj->mi", slope, dg)
        along = np.einsum("mi,mi->m", gap, dg)
        safe = np.abs(along) > 1e-9 * np.linalg.norm(gap, axis=1) * np.linalg.norm(dg, axis=1)
        rank_one = np.einsum("mi,mj->mij", gap, gap) / np.where(safe, along, 1.0)[:, None, None]
        values, vectors = np.linalg.eigh(slope + np.where(safe[:, None, None], rank_one, 0.0))
        # Convex costs answer monotonely: M has no negative eigenvalue.
        return np.asarray(np.einsum("mij,mj,mkj->mik", vectors, np.clip(values, 0.0, self.largest), vectors))

    def times(self, vector: FloatArray) -> FloatArray:
        """M times a flat vector (or the rows of a matrix)."""
        out = np.empty_like(vector)
        for (where, members, width), slope in zip(self.blocks, self.slopes, strict=True):
            part = vector[..., where]
            shaped = part.reshape(*part.shape[:-1], members, width)
            out[..., where] = np.einsum("mij,...mj->...mi", slope, shaped).reshape(part.shape)
        return out

    def stiffness(self) -> FloatArray:
        """1 / diagonal of M, flat."""
        flat = np.concatenate([np.einsum("mii->mi", slope).ravel() for slope in self.slopes])
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
        model = Revealed.first(exchange, x, price + weight * (start - x), 1.0 / weight, 1e6 / weight)
        memory = {"model": model, "steep": steep, "least": 1e-3 * weight, "best": np.inf, "stalled": 0, "rescue": 4}
        return Iterate(x, relative(x - start, start), memory)

    def step(self, exchange: Exchange, iterate: Iterate) -> Iterate:
        """Solve the model, offer its prices around its actions, learn from the answers."""
        memory: dict[str, Any] = dict(iterate.memory)
        model: Revealed = memory["model"]
        if memory["stalled"] >= 3:
            return self._rescue(exchange, iterate, memory)
        foreseen = _solve_model(exchange, model)
        price = exchange.price(foreseen)
        # A weak pull is enough for smooth costs; it bounds the answers of agents whose costs are flat.
        weight = np.clip(0.1 * model.stiffness(), memory["least"], memory["steep"])
        x = exchange.ask(price, anchor=foreseen, weight=weight)
        residual = relative(x - foreseen, x)
        memory["model"] = model.learn(x, price + weight * (foreseen - x))
        memory["stalled"] = 0 if residual < 0.5 * memory["best"] else memory["stalled"] + 1
        memory["best"] = min(memory["best"], residual)
        return Iterate(x, residual, memory)

    def _rescue(self, exchange: Exchange, iterate: Iterate, memory: dict[str, Any]) -> Iterate:
        inner = self._fallback.init(exchange, iterate.x)
        for _ in range(memory["rescue"]):
            rho, ahead, _momentum = inner.memory
            inner = self._fallback.step(exchange, inner)
            memory["model"] = memory["model"].learn(inner.x, exchange.price(ahead) + rho * (ahead - inner.x))
            if inner.residual <= 1e-3 * memory["best"]:
                break
        memory.update(stalled=0, rescue=min(2 * memory["rescue"], 256), best=np.inf)
        return Iterate(inner.x, inner.residual, memory)


def _coupling(exchange: Exchange) -> float:
    """How many coordinates meet in a row of the aggregate, at most: the price of one is moved by all of them."""
    waist = exchange.loss.waist
    return 1.0 if waist is None else float(np.max((np.abs(waist.matrix) > 0).sum(axis=1), initial=1))


def _solve_model(exchange: Exchange, model: Revealed) -> FloatArray:
    """Formula: x + M (Aᵀ q - g) with q = -grad f at the aggregate that it gives."""
    waist = exchange.loss.waist
    if waist is None:
        matrix, offset = np.eye(model.x.size), np.zeros(model.x.size)
    else:
        matrix, offset = waist.at(exchange.terms)
    spread = model.times(matrix)
    response = spread @ matrix.T
    level = matrix @ (model.x - model.times(model.marginal)) + offset

    def slope(y: FloatArray) -> FloatArray:
        return -exchange.price(y) if waist is None else waist.gradient(y, exchange.terms)

    def miss(y: FloatArray) -> FloatArray:
        return y - level + response @ slope(y)

    y = matrix @ model.x + offset
    gap = miss(y)
    for _ in range(50):
        size = float(np.linalg.norm(gap))
        if size <= 1e-14 * (1.0 + float(np.linalg.norm(y))):
            break
        bend = np.asarray(exchange.loss.call("hessian", y, exchange.terms)) if waist is None else waist.hessian(y, exchange.terms)
        try:
            move = np.linalg.solve(np.eye(y.size) + response @ bend, gap)
        except np.linalg.LinAlgError:
            move = np.linalg.lstsq(np.eye(y.size) + response @ bend, gap, rcond=None)[0]
        length = 1.0
        while length > 1e-6:
            trial = y - length * move
            after = miss(trial)
            if np.all(np.isfinite(after)) and np.linalg.norm(after) < (1.0 - 1e-4 * length) * size:
                break
            length *= 0.5
        else:
            break
        y, gap = trial, after
    return np.asarray(model.x + model.times(matrix.T @ -slope(y) - model.marginal))
