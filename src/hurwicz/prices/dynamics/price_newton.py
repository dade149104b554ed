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
from jaxtyping import Float64

from hurwicz._foundation import FloatArray
from hurwicz.prices.constraints import update_multipliers
from hurwicz.prices.dynamics.first_order import Accelerated
from hurwicz.prices.dynamics.protocol import Rule, coupling, relative, steepest_curvature
from hurwicz.prices.dynamics.revealed_curves import Revealed, Slopes, stiffness, tenth
from hurwicz.prices.exchange import Exchange, Iterate

# Rounds in a row without the residual halving before the model counts as misled.
_PATIENCE = 6
# w over the market's own push on one coordinate: far below it, so that the resolvent is the agents' answer to nine digits.
_PULL = 1e-9
# The model's pull is undone a step at a time; each gains nine digits on smooth costs, and flat ones settle in a few.
_MODEL_STEPS = 30
# Half the aggregate's size: the answers were a multiple of what was foreseen, or nothing of it.
_SURPRISE = 0.5
# A sum's error over its terms' sizes, with room for the model's own solution of it.
_ROUNDING = 1e-13


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

    def init(self, exchange: Exchange, start: Float64[FloatArray, "dims"]) -> Iterate:
        """One proximal round at the start, to see a first marginal cost of everyone."""
        steep = max(steepest_curvature(exchange, start), 1e-9)
        common = steep / coupling(exchange)
        price = exchange.price(start)
        x = exchange.ask(price, anchor=start, weight=steep)
        marginal = price + steep * (start - x)
        size = float(np.max(np.abs(x), initial=0.0)) or float(np.max(np.abs(start), initial=0.0))
        # A first guess at the slope is x / g, as if costs began at nothing; less where g is large, since a bound may push there.
        seen = np.abs(marginal) / size if size else np.full(x.size, common)
        typical = tenth(seen)
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
        moved = (x - foreseen) * (1.0 + weight / stiff)
        residual = relative(moved, x)
        memory["model"] = model.learn(x, price + weight * (foreseen - x))
        if not np.max(np.abs(x - last), initial=0.0) <= 10.0 * reach:
            memory["stalled"] = _PATIENCE
        elif not surprised:
            memory["stalled"] = 0 if residual < 0.5 * memory["best"] else memory["stalled"] + 1
            memory["best"] = min(memory["best"], residual)
        return Iterate(x, max(residual, _missed_total(exchange, moved, x)), memory)

    @staticmethod
    def _feasible(
        exchange: Exchange, model: Revealed, foreseen: Float64[FloatArray, "dims"]
    ) -> tuple[Float64[FloatArray, "dims"], Float64[FloatArray, "dims"], Slopes]:
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


def _surprise(exchange: Exchange, foreseen: Float64[FloatArray, "dims"], x: Float64[FloatArray, "dims"]) -> float:
    """How far the aggregate is from what was foreseen, between 0 and 1."""
    matrix, _ = exchange.aggregate()
    ahead, here = matrix @ foreseen, matrix @ x
    size = float(np.linalg.norm(ahead) + np.linalg.norm(here))
    return float(np.linalg.norm(here - ahead)) / size if size else 0.0


def _missed_total(exchange: Exchange, moved: Float64[FloatArray, "dims"], x: Float64[FloatArray, "dims"]) -> float:
    """What the aggregate moved by, in actions of its largest weight and relative as ``relative`` is, beyond what rounding makes of it.

    A million actions may be right to nine digits, and their total not to three of a price that is small against it.
    """
    matrix, offset = exchange.aggregate()
    largest = np.maximum(matrix.max(axis=1), -matrix.min(axis=1))
    seen = largest > 0
    rounding = _ROUNDING * (np.abs(x).sum() + np.abs(offset[seen]) / largest[seen])
    beyond = np.abs(matrix @ moved)[seen] / largest[seen] - rounding
    return float(np.max(beyond, initial=0.0) / (1.0 + np.max(np.abs(x), initial=0.0)))


def _solve_model(exchange: Exchange, model: Revealed) -> tuple[Float64[FloatArray, "dims"], Float64[FloatArray, "dims"], Slopes]:
    """The actions that the model foresees at its own equilibrium, the prices Aᵀ q and the slopes there.

    By the proximal point method (Rockafellar 1976) with the model's small pull w: x <- R(Aᵀ q + w x), each step by Newton in R^d.
    """
    x, price = model.xs[-1], np.zeros_like(model.xs[-1])
    slopes: Slopes = []
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


def _pulled(
    exchange: Exchange, model: Revealed, anchor: Float64[FloatArray, "dims"]
) -> tuple[Float64[FloatArray, "dims"], Float64[FloatArray, "dims"], Slopes]:
    """Solve y = A R(Aᵀ q + w anchor) + b with q = -grad f(y)."""
    matrix, offset = exchange.aggregate()
    pulled = model.pull * anchor

    def miss(y: FloatArray) -> tuple[FloatArray, FloatArray, Slopes]:
        x, slopes = model.foresee(pulled - matrix.T @ exchange.aggregate_slope(y))
        return y - matrix @ x - offset, x, slopes

    y = matrix @ anchor + offset
    gap, x, slopes = miss(y)
    for _ in range(50):
        size = float(np.linalg.norm(gap))
        if size <= 1e-14 * (1.0 + float(np.linalg.norm(y))):
            break
        jacobian = np.eye(y.size) + model.times(slopes, matrix) @ matrix.T @ exchange.aggregate_hessian(y)
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
    return x, -matrix.T @ exchange.aggregate_slope(y), slopes
