"""First-order dynamics: gradient response, proximal, accelerated, Jacobi."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray, InputError
from hurwicz.prices.dynamics.protocol import Rule, exceeds_model, proximal_weight, relative, steepest_curvature
from hurwicz.prices.exchange import Exchange, Iterate


def _positive(value: float | None, name: str) -> None:
    if value is not None and not (np.isfinite(value) and value > 0):
        raise InputError(f"{name}: expected a positive number (or None, to be chosen from the curvature), got {value!r}")


@dataclass(frozen=True)
class GradientResponse(Rule):
    """x_i <- P_X(x_i + eta (p_i - grad C_i)): the paper's cycle (section 4, appendix B.3).

    Converges for eta < 2 / L with L the largest eigenvalue of the total loss's Hessian, and diverges above.

    Args:
        step_size: eta; if omitted, 1 / L with L from Lanczos on the system loss plus the largest curvature seen in the agents' answers.

    Example:
        >>> from hurwicz.prices import DeclaredAgent, GradientResponse, PriceGraph, coordinate
        >>> from hurwicz.valuations import Quadratic
        >>> graph = PriceGraph.from_loss(lambda x: (x["a"] + x["b"] - 10.0) ** 2, {"a": (), "b": ()})
        >>> agents = [DeclaredAgent("a", Quadratic(), 0.5), DeclaredAgent("b", Quadratic(), 1.0)]
        >>> solution = coordinate(graph, agents, dynamics=GradientResponse())
        >>> round(float(solution.value.actions["a"]), 6), solution.value.rounds <= 100
        (5.0, True)
    """

    step_size: float | None = None
    memoryless = True
    title: str = "gradient response"

    def __post_init__(self) -> None:
        _positive(self.step_size, "GradientResponse: step_size")

    def init(self, exchange: Exchange, start: Float64[FloatArray, "dims"]) -> Iterate:
        """Steepness of S at the start."""
        bend = steepest_curvature(exchange, start)
        return Iterate(start, memory={"system": bend, "own": 0.0, "last": None, "count": 0})

    def step(self, exchange: Exchange, iterate: Iterate) -> Iterate:
        """One private gradient step for everyone."""
        memory = dict(iterate.memory)
        x, price = iterate.x, exchange.price(iterate.x)
        eta = self.step_size or 1.0 / max(memory["system"] + memory["own"], 1e-12)
        moved = exchange.ask(price, anchor=x, step=eta)
        if self.step_size is None:
            # An interior answer tells its agent's marginal cost at x; two of them tell its curvature.
            marginal = price - (moved - x) / eta
            if memory["last"] is not None:
                before, old = memory["last"]
                gap, rise = x - before, marginal - old
                seen = np.abs(gap) > 1e-7 * (1.0 + np.abs(x))
                if seen.any():
                    memory["own"] = max(memory["own"], float(np.max(np.abs(rise[seen] / gap[seen]))))
            memory["last"] = (x, marginal)
            if memory["count"] % 50 == 49:
                memory["system"] = max(memory["system"], steepest_curvature(exchange, moved))
        memory["count"] += 1
        scale = eta * max(memory["system"] + memory["own"], 1e-12)
        return Iterate(moved, relative(moved - x, x) / min(scale, 1.0), memory)


@dataclass(frozen=True)
class Proximal(Rule):
    """x_i <- argmin C_i(x) - p_i x + rho/2 |x - x_i|²: proximal gradient on the total loss, the agents doing the proximal part.

    Converges for rho >= half the largest eigenvalue of the system loss's Hessian, whatever the agents' own costs are.

    Args:
        weight: rho; if omitted, the largest eigenvalue, by Lanczos.

    Example:
        >>> from hurwicz.prices import DeclaredAgent, PriceGraph, Proximal, coordinate
        >>> from hurwicz.valuations import Quadratic
        >>> graph = PriceGraph.from_loss(lambda x: (x["a"] + x["b"] - 10.0) ** 2, {"a": (), "b": ()})
        >>> agents = [DeclaredAgent("a", Quadratic(), 0.5), DeclaredAgent("b", Quadratic(), 1.0)]
        >>> solution = coordinate(graph, agents, dynamics=Proximal())
        >>> round(float(solution.value.actions["a"]), 6), solution.value.rounds <= 100
        (5.0, True)
    """

    weight: float | None = None
    title: str = "proximal response"

    def __post_init__(self) -> None:
        _positive(self.weight, "Proximal: weight")

    def init(self, exchange: Exchange, start: Float64[FloatArray, "dims"]) -> Iterate:
        """Steepness of S at the start."""
        return Iterate(start, memory=(self.weight or proximal_weight(exchange, start), exchange.value(start)))

    def step(self, exchange: Exchange, iterate: Iterate) -> Iterate:
        """One proximal response for everyone; the weight grows where S turns out steeper than it was."""
        rho, value = iterate.memory
        x, price = iterate.x, exchange.price(iterate.x)
        moved = exchange.ask(price, anchor=x, weight=rho)
        gap, reached = moved - x, exchange.value(moved)
        if self.weight is None and exceeds_model(reached, value, price, gap, rho):
            # S is steeper between here and there than the weight says: the answer is not taken.
            return Iterate(x, relative(gap, x), (4.0 * rho, value))
        return Iterate(moved, relative(gap, x), (rho, reached))


@dataclass(frozen=True)
class Accelerated(Rule):
    """Nesterov's momentum on the proximal response, restarted when it points uphill (Beck and Teboulle 2009; O'Donoghue and Candes 2015).

    Args:
        weight: rho; if omitted, the largest eigenvalue of the system loss's Hessian, by Lanczos.

    Example:
        >>> from hurwicz.prices import Accelerated, DeclaredAgent, PriceGraph, coordinate
        >>> from hurwicz.valuations import Quadratic
        >>> graph = PriceGraph.from_loss(lambda x: (x["a"] + x["b"] - 10.0) ** 2, {"a": (), "b": ()})
        >>> agents = [DeclaredAgent("a", Quadratic(), 0.5), DeclaredAgent("b", Quadratic(), 1.0)]
        >>> solution = coordinate(graph, agents, dynamics=Accelerated())
        >>> round(float(solution.value.actions["a"]), 6), solution.value.rounds <= 50
        (5.0, True)
    """

    weight: float | None = None
    title: str = "accelerated proximal response"

    def __post_init__(self) -> None:
        _positive(self.weight, "Accelerated: weight")

    def init(self, exchange: Exchange, start: Float64[FloatArray, "dims"]) -> Iterate:
        """No momentum yet."""
        return Iterate(start, memory=(self.weight or proximal_weight(exchange, start), start, 1.0))

    def step(self, exchange: Exchange, iterate: Iterate) -> Iterate:
        """One proximal response at the point that the momentum leads to."""
        return self.answered(exchange, iterate)[0]

    def answered(self, exchange: Exchange, iterate: Iterate) -> tuple[Iterate, Float64[FloatArray, "dims"], float]:
        """A step; and what was answered to the price at the point ahead, at which weight, be the answer taken or not."""
        rho, ahead, momentum = iterate.memory
        price, value = exchange.price(ahead), exchange.value(ahead)
        moved = exchange.ask(price, anchor=ahead, weight=rho)
        gap = moved - ahead
        if self.weight is None and exceeds_model(exchange.value(moved), value, price, gap, rho):
            # S is steeper between here and there than the weight says: the answer is not taken, and the momentum dropped.
            return Iterate(iterate.x, relative(gap, ahead), (4.0 * rho, iterate.x, 1.0)), moved, rho
        following = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * momentum**2))
        if (ahead - moved) @ (moved - iterate.x) > 0:
            following, then = 1.0, moved
        else:
            then = moved + (momentum - 1.0) / following * (moved - iterate.x)
        return Iterate(moved, relative(gap, ahead), (rho, then, following)), moved, rho


@dataclass(frozen=True)
class Jacobi(Rule):
    """x <- (1 - damping) x + damping r(p(x)): everyone best-responds at once to a linear price.

    Diverges where the loss couples agents strongly (spectral radius of the response map above 1); here as the negative control,
    and for loosely coupled systems.

    Args:
        damping: share of the way that is gone, in (0, 1].

    Example:
        >>> from hurwicz.prices import DeclaredAgent, Jacobi, PriceGraph, coordinate
        >>> from hurwicz.valuations import Quadratic
        >>> graph = PriceGraph.from_loss(lambda x: (x["a"] + x["b"] - 10.0) ** 2, {"a": (), "b": ()})
        >>> agents = [DeclaredAgent("a", Quadratic(), 0.5), DeclaredAgent("b", Quadratic(), 1.0)]
        >>> solution = coordinate(graph, agents, dynamics=Jacobi(damping=0.3))
        >>> round(float(solution.value.actions["a"]), 6), solution.value.rounds <= 20
        (5.0, True)
    """

    damping: float = 1.0
    memoryless = True
    title: str = "simultaneous best response (Jacobi)"

    def __post_init__(self) -> None:
        if not 0 < self.damping <= 1:
            raise InputError(f"Jacobi: expected a damping in (0, 1], got {self.damping!r}")

    def init(self, exchange: Exchange, start: Float64[FloatArray, "dims"]) -> Iterate:
        """Nothing to remember."""
        del exchange
        return Iterate(start)

    def step(self, exchange: Exchange, iterate: Iterate) -> Iterate:
        """One best response for everyone."""
        answer = exchange.ask(exchange.price(iterate.x))
        gap = answer - iterate.x
        return Iterate(iterate.x + self.damping * gap, relative(gap, iterate.x))
