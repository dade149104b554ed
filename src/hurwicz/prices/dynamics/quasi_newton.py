"""Accelerations that see answers only: Anderson on the actions, Broyden on the aggregate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray, InputError
from hurwicz.prices.dynamics.protocol import Rule, exceeds_model, proximal_weight, relative
from hurwicz.prices.exchange import Exchange, Iterate


@dataclass(frozen=True)
class Anderson(Rule):
    """Anderson acceleration (1965) of the proximal response: the least-squares mix of the last answers.

    Safeguarded: where the residual has grown twofold, the memory is dropped and plain proximal rounds go on.

    Args:
        memory: number of past answers in the mix.
        weight: rho of the proximal response; if omitted, from Lanczos.

    Example:
        >>> from hurwicz.prices import Anderson, DeclaredAgent, PriceGraph, coordinate
        >>> from hurwicz.valuations import Quadratic
        >>> graph = PriceGraph.from_loss(lambda x: (x["a"] + x["b"] - 10.0) ** 2, {"a": (), "b": ()})
        >>> agents = [DeclaredAgent("a", Quadratic(), 0.5), DeclaredAgent("b", Quadratic(), 1.0)]
        >>> solution = coordinate(graph, agents, dynamics=Anderson())
        >>> round(float(solution.value.actions["a"]), 6), solution.value.rounds <= 10
        (5.0, True)
    """

    memory: int = 8
    weight: float | None = None
    title: str = "Anderson acceleration"

    def __post_init__(self) -> None:
        if self.memory < 1:
            raise InputError(f"Anderson: expected a memory of at least 1, got {self.memory!r}")

    def init(self, exchange: Exchange, start: Float64[FloatArray, "dims"]) -> Iterate:
        """No history."""
        rho = self.weight or proximal_weight(exchange, start)
        return Iterate(start, memory={"rho": rho, "at": start, "points": [], "gaps": [], "best": np.inf})

    def step(self, exchange: Exchange, iterate: Iterate) -> Iterate:
        """One proximal response at the mixed point."""
        memory = dict(iterate.memory)
        at, rho = memory["at"], memory["rho"]
        price, value = exchange.price(at), exchange.value(at)
        answer = exchange.ask(price, anchor=at, weight=rho)
        gap = answer - at
        if self.weight is None and exceeds_model(exchange.value(answer), value, price, gap, rho):
            memory.update(rho=4.0 * rho, at=iterate.x, points=[], gaps=[], best=np.inf)
            return Iterate(iterate.x, relative(gap, at), memory)
        size = float(np.linalg.norm(gap))
        if size > 2.0 * memory["best"]:
            memory.update(points=[], gaps=[], best=np.inf)
        points = [*memory["points"], answer][-(self.memory + 1) :]
        gaps = [*memory["gaps"], gap][-(self.memory + 1) :]
        then = answer
        if len(gaps) > 1:
            changes = np.column_stack([gaps[k + 1] - gaps[k] for k in range(len(gaps) - 1)])
            moves = np.column_stack([points[k + 1] - points[k] for k in range(len(points) - 1)])
            mix = np.linalg.lstsq(changes, gap, rcond=1e-12)[0]
            trial = answer - moves @ mix
            then = trial if np.all(np.isfinite(trial)) else answer
        memory.update(rho=rho, at=then, points=points, gaps=gaps, best=min(memory["best"], size))
        return Iterate(answer, relative(gap, at), memory)


@dataclass(frozen=True)
class Broyden(Rule):
    """Broyden's method (1965) on the aggregate: y = sum_i A_i r_i(-A_iᵀ grad f(y)) + b, from linear prices alone.

    The first Jacobian is a multiple of the identity, seen from one small probing round; a step that makes the residual grow is halved.

    Example:
        >>> from hurwicz.prices import Broyden, DeclaredAgent, PriceGraph, coordinate
        >>> from hurwicz.valuations import Quadratic
        >>> graph = PriceGraph.from_loss(lambda x: (x["a"] + x["b"] - 10.0) ** 2, {"a": (), "b": ()})
        >>> agents = [DeclaredAgent("a", Quadratic(), 0.5), DeclaredAgent("b", Quadratic(), 1.0)]
        >>> solution = coordinate(graph, agents, dynamics=Broyden())
        >>> round(float(solution.value.actions["a"]), 6), solution.value.rounds <= 5
        (5.0, True)
    """

    title: str = "Broyden on the aggregate"

    def init(self, exchange: Exchange, start: Float64[FloatArray, "dims"]) -> Iterate:
        """One round at the start and one beside it."""
        y = self._aggregate(exchange, start)
        x, gap = self._miss(exchange, y)
        size = float(np.linalg.norm(gap))
        nudge = 1e-4 * gap * (1.0 + float(np.linalg.norm(y))) / max(size, 1e-300)
        _, beside = self._miss(exchange, y + nudge)
        rate = float((beside - gap) @ nudge) / max(float(nudge @ nudge), 1e-300)
        inverse = np.eye(y.size) / (rate if abs(rate) > 1e-12 else 1.0)
        short = 1.0 / max(abs(rate), 1e-12)
        return Iterate(x, relative(gap, y), {"y": y, "gap": gap, "inverse": inverse, "low": -np.inf, "high": np.inf, "short": short})

    @staticmethod
    def _aggregate(exchange: Exchange, x: Float64[FloatArray, "dims"]) -> Float64[FloatArray, "rows"]:
        matrix, offset = exchange.aggregate()
        return np.asarray(matrix @ x + offset)

    def _miss(self, exchange: Exchange, y: Float64[FloatArray, "rows"]) -> tuple[Float64[FloatArray, "dims"], Float64[FloatArray, "rows"]]:
        x = exchange.ask(-exchange.aggregate()[0].T @ exchange.aggregate_slope(y))
        return x, self._aggregate(exchange, x) - y

    def step(self, exchange: Exchange, iterate: Iterate) -> Iterate:
        """One linear price to everyone (more where the step must be shortened)."""
        memory = dict(iterate.memory)
        y, gap, inverse = memory["y"], memory["gap"], memory["inverse"]
        if y.size == 1:
            # Responses fall with the aggregate, so the sign of the gap tells on which side of y the answer lies.
            memory["low" if gap[0] > 0 else "high"] = float(y[0])
        move = -inverse @ gap
        for _ in range(6):
            if y.size == 1 and not memory["low"] < float((y + move)[0]) < memory["high"]:
                middle = 0.5 * (memory["low"] + memory["high"])
                move = np.array([middle]) - y if np.isfinite(middle) else 2.0 * np.sign(gap) * np.abs(move)
            x, after = self._miss(exchange, y + move)
            change = after - gap
            reach = inverse @ change
            scale = float(move @ reach)
            if abs(scale) > 1e-300:
                inverse = inverse + np.outer(move - reach, move @ inverse) / scale
            if y.size == 1 or np.linalg.norm(after) <= 2.0 * np.linalg.norm(gap):
                break
            move = 0.5 * move
        else:
            # The Jacobian misleads: forget it for a short step along the gap, shorter every time.
            memory["short"] *= 0.5
            inverse = -memory["short"] * np.eye(y.size)
        memory.update(y=y + move, gap=after, inverse=inverse)
        return Iterate(x, relative(after, y), memory)
