"""The planner's cycle: prices out, actions in, until they agree."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import (
    AgentError,
    DivergedError,
    FloatArray,
    InputError,
    NotConvergedError,
    NotFiniteError,
    Solution,
    SolverError,
    Status,
)
from hurwicz.prices.convexity import certify_convex, certify_convex_set
from hurwicz.prices.curvature import SecondOrder, second_order_test
from hurwicz.prices.dynamics import Accelerated, Dynamics, GradientResponse, PriceNewton, Proximal
from hurwicz.prices.dynamics.protocol import steepest_curvature
from hurwicz.prices.exchange import Exchange, Iterate, RoundLimit
from hurwicz.prices.graph import PriceGraph, as_actions
from hurwicz.prices.graph_loss import SystemLoss
from hurwicz.prices.offer import Respondent, Transcript
from hurwicz.valuations.numbers import Numbers

Problem = PriceGraph | SystemLoss
Progress = Callable[[int, float], None]
_NARROW = 256


@dataclass(frozen=True)
class Coordination:
    """What a run reached; everything here is known to the planner.

    Attributes:
        actions: by agent.
        prices: -dS/dx_i, the multipliers of hard constraints in them, by agent.
        system_loss: S; the agents' costs are not in it, nor known.
        residual: how far the last answers are from what they were offered around, relative.
        rounds: broadcasts.
        multipliers: of the hard constraints, by constraint.
        violation: largest violation of a hard constraint.
        saddles: stationary points that were found to be saddles and left, in order.
        second_order: the second-order test at the end, where one was made.
        transcript: every offer and answer.
    """

    actions: dict[str, Float64[FloatArray, "..."]]
    prices: dict[str, Float64[FloatArray, "..."]]
    system_loss: float
    residual: float
    rounds: int
    multipliers: dict[str, Float64[FloatArray, "..."]] = field(default_factory=dict)
    violation: float = 0.0
    saddles: list[dict[str, Float64[FloatArray, "..."]]] = field(default_factory=list)
    second_order: SecondOrder | None = None
    transcript: Transcript = field(default_factory=Transcript, repr=False)


def compiled(problem: Problem) -> SystemLoss:
    """The compiled loss of a graph (or the loss itself)."""
    if isinstance(problem, SystemLoss):
        return problem
    if isinstance(problem, PriceGraph):
        return problem.compile()
    raise InputError(
        f"problem: expected a PriceGraph or its compiled SystemLoss, got {type(problem).__name__}; wrap a JAX loss by PriceGraph.from_loss"
    )


def default_dynamics(loss: SystemLoss, convex: bool) -> Dynamics:
    """Price Newton where the loss has a narrow waist or is small and convex, accelerated proximal responses otherwise."""
    waist = loss.waist
    narrow = waist is not None and waist.dimension <= _NARROW
    return PriceNewton() if narrow or (convex and loss.size <= _NARROW) else Accelerated()


@dataclass
class _Reached:
    x: Float64[FloatArray, "dims"]
    residual: float
    status: Status
    cause: str = ""
    error: Exception | None = None


def drive(
    exchange: Exchange, dynamics: Dynamics, start: Float64[FloatArray, "dims"], tol: float, progress: Progress | None = None
) -> _Reached:
    """The one loop: step until the dynamics terminates, diverges, runs out of rounds or meets a NaN."""
    exchange.start_from(start)
    iterate = Iterate(start)
    best, best_at = np.inf, 0
    earlier: list[FloatArray] = []
    residuals: list[float] = []
    first_size = 1.0 + float(np.max(np.abs(start), initial=0.0))
    try:
        iterate = dynamics.init(exchange, start)
        while not dynamics.terminate(iterate, tol):
            iterate = dynamics.step(exchange, iterate)
            residual = iterate.residual
            residuals.append(residual)
            if progress is not None:
                progress(exchange.rounds, residual)
            if not (np.isfinite(residual) and np.all(np.isfinite(iterate.x))):
                return _Reached(dynamics.result(iterate), residual, Status.DIVERGED, f"{dynamics.title}: the actions overflowed")
            if residual < best:
                best, best_at = residual, len(residuals)
            size = float(np.max(np.abs(iterate.x), initial=0.0))
            # Only where the next actions depend on the last alone does a residual that grew so far tell that it will go on growing.
            grows = dynamics.memoryless and residual > 1e4 * best and residual > 1e-3 and len(residuals) > best_at + 5
            if size > 1e10 * first_size or grows:
                cause = f"{dynamics.title}: the residual grew from {best:.2g} to {residual:.2g} and the actions to {size:.2g}"
                return _Reached(dynamics.result(iterate), residual, Status.DIVERGED, cause)
            earlier = [*earlier, iterate.x][-3:]
            if dynamics.memoryless and len(earlier) == 3 and residual > 1e3 * tol and _cycles(earlier):
                cause = f"{dynamics.title}: the actions go back and forth between two points (residual {residual:.2g})"
                return _Reached(dynamics.result(iterate), residual, Status.DIVERGED, cause)
    except RoundLimit:
        status, cause = Status.STEP_LIMIT, f"{dynamics.title}: {exchange.max_rounds} rounds ended with a residual of {iterate.residual:.2g}"
        if len(residuals) >= 100 and residuals[-1] > 1e-3 and min(residuals[-50:]) >= 0.999 * min(residuals[: len(residuals) // 2]):
            status, cause = Status.DIVERGED, f"{dynamics.title}: the residual has not fallen in the last half of {len(residuals)} steps"
        return _Reached(dynamics.result(iterate), iterate.residual, status, cause)
    except NotFiniteError as error:
        return _Reached(iterate.x, iterate.residual, Status.NOT_FINITE, str(error), error)
    except AgentError as error:
        return _Reached(iterate.x, iterate.residual, Status.AGENT_FAILED, str(error), error)
    return _Reached(dynamics.result(iterate), iterate.residual, Status.STATIONARY_POINT)


def _cycles(points: list[Float64[FloatArray, "dims"]]) -> bool:
    """True where the last point repeats the one before the last, exactly enough, while the step between them is large."""
    apart = float(np.max(np.abs(points[2] - points[1]), initial=0.0))
    return apart > 0 and float(np.max(np.abs(points[2] - points[0]), initial=0.0)) <= 1e-9 * apart


def coordinate(
    problem: Problem,
    agents: Sequence[Respondent],
    *,
    dynamics: Dynamics | None = None,
    start: Mapping[str, Numbers] | None = None,
    data: Mapping[str, Numbers] | None = None,
    tol: float = 1e-9,
    max_rounds: int = 10_000,
    convex: bool | None = None,
    costs_convex: bool = True,
    escape_saddles: bool = True,
    starts: int = 1,
    on_failure: str | Mapping[str, str] | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
    seed: int = 0,
    raise_on_failure: bool = True,
) -> Solution[Coordination]:
    """Coordinate agents by prices: find x that minimises L(x) = S(x) + sum_i C_i(x_i), S known here, C_i known to agent i only.

    Args:
        problem: the price graph, or its compiled loss.
        agents: one respondent an agent node, in any order; the planner uses ``name``, ``shape`` and ``respond`` only.
        dynamics: how answers become offers; price Newton where the loss has a narrow waist, if omitted.
        start: first actions; zeros if omitted.
        data: values that replace those of sources, for this run.
        tol: relative change of actions at which offers and answers agree; price Newton asks the same of the aggregate, in actions.
        max_rounds: broadcasts allowed in all.
        convex: True claims that S is convex (not that hard constraints are, which are looked at all the same); None lets the library
            look for a certificate.
        costs_convex: the model's assumption that every C_i is convex; False withholds the word "optimum".
        escape_saddles: leave a saddle along its direction of negative curvature and go on.
        starts: for losses that are not convex, number of starting points; the best end is kept.
        on_failure: "stop", "skip" or "last", for all agents or by name; "stop" if an agent does not say.
        executor: asks agents concurrently, for slow ones.
        progress: called with (rounds, residual) after every step.
        seed: of the extra starting points.
        raise_on_failure: raise where the run did not end well; else return what was reached with its status.

    Returns:
        A ``Coordination``; ``status`` says what is claimed about it; ``stats`` has rounds, seconds, dynamics, certificate, causes.

    Raises:
        NotConvergedError, DivergedError, NotFiniteError, AgentError: as their names say; ``reached`` holds the solution so far.

    Example:
        >>> from hurwicz.prices import DeclaredAgent
        >>> from hurwicz.valuations import Quadratic
        >>> graph = PriceGraph.from_loss(lambda x: (x["a"] + x["b"] - 10.0) ** 2, {"a": (), "b": ()})
        >>> solution = coordinate(graph, [DeclaredAgent("a", Quadratic(), 0.5), DeclaredAgent("b", Quadratic(), 1.0)])
        >>> solution.status.value, {name: round(float(x), 6) for name, x in solution.value.actions.items()}
        ('optimum', {'a': 5.0, 'b': 2.5})
    """
    began = time.perf_counter()
    loss = compiled(problem)
    if not tol > 0:
        raise InputError(f"tol: expected a positive number, got {tol!r}")
    if max_rounds < 1 or starts < 1:
        raise InputError(f"max_rounds and starts: expected at least 1, got {max_rounds!r} and {starts!r}")
    terms = loss.terms(data)
    exchange = Exchange(loss, agents, terms, max_rounds=max_rounds, on_failure=on_failure, executor=executor)
    origin = np.zeros(loss.size) if start is None else loss.flatten(as_actions(start, loss.agents, "start"))
    if convex:
        certificate = "S convex: so the caller says" if certify_convex_set(loss, terms) else None
    else:
        certificate = certify_convex(loss, terms) if convex is None else None
    chosen: Dynamics = default_dynamics(loss, certificate is not None) if dynamics is None else dynamics
    run = _Run(exchange, chosen, tol, progress, escape_saddles, certificate if costs_convex else None)
    reached = run.multi_start(origin, starts, seed)
    return run.solution(reached, began, raise_on_failure)


class _Run:
    """One call of ``coordinate``: constraints, second-order test, saddles, several starts."""

    def __init__(
        self, exchange: Exchange, dynamics: Dynamics, tol: float, progress: Progress | None, escape: bool, certificate: str | None
    ) -> None:
        self.exchange = exchange
        self.dynamics = dynamics
        self.tol = tol
        self.progress = progress
        self.escape = escape
        self.certificate = certificate
        self.saddles: list[FloatArray] = []
        self.tested: SecondOrder | None = None
        self.violation = 0.0
        self.ends: list[FloatArray] = []

    def multi_start(self, origin: Float64[FloatArray, "dims"], starts: int, seed: int) -> _Reached:
        """The best of several runs; later starts are normal draws around the first, as wide as the first run went."""
        best = self.from_start(origin)
        spread = 1.0 + float(np.max(np.abs(best.x - origin), initial=0.0))
        generator = np.random.default_rng(seed)
        for _ in range(starts - 1):
            if self.certificate is not None or not best.status.ok:
                break
            tested = self.tested
            other = self.from_start(origin + spread * generator.standard_normal(origin.size))
            if other.status.ok and self.loss_change(best.x, other.x) < -1e-9 * (1.0 + abs(self.exchange.value(best.x))):
                best = other
            else:
                self.tested = tested
        return best

    def loss_change(self, here: Float64[FloatArray, "dims"], there: Float64[FloatArray, "dims"]) -> float:
        """L(there) - L(here), the agents' part integrated from the marginal costs that they reveal on the way (8 rounds)."""
        way = there - here
        if not np.any(way):
            return 0.0
        nodes, weights = np.polynomial.legendre.leggauss(8)
        weight = max(steepest_curvature(self.exchange, here), 1e-3)
        cost = 0.0
        for node, share in zip(0.5 * (nodes + 1.0), 0.5 * weights, strict=True):
            point = here + node * way
            # Offered its own point at a zero price and a strong pull, an agent moves by -grad C / weight.
            pull = 1e3 * weight
            cost += share * float(pull * (point - self.exchange.ask(np.zeros_like(point), anchor=point, weight=pull)) @ way)
        return self.exchange.value(there) - self.exchange.value(here) + cost

    def from_start(self, start: Float64[FloatArray, "dims"]) -> _Reached:
        """Run from one start; a saddle on the way is left along its negative curvature."""
        dynamics = self.dynamics
        for _ in range(20):
            reached = self.constrained(dynamics, start)
            if reached.status is not Status.STATIONARY_POINT:
                return reached
            if self.certificate is not None:
                reached.status = Status.OPTIMUM
                return reached
            try:
                self.tested = second_order_test(self.exchange, reached.x)
            except RoundLimit:
                reached.cause = "no round was left for the second-order test"
                return reached
            reached.status = self.tested.status
            if self.tested.status is not Status.SADDLE:
                return reached
            self.saddles.append(reached.x)
            if not self.escape or self.tested.direction is None:
                return reached
            start = reached.x + 1e-2 * (1.0 + float(np.max(np.abs(reached.x), initial=0.0))) * self.tested.direction
            # Newton is drawn to any stationary point; from here on a method that only descends.
            dynamics = dynamics if isinstance(dynamics, GradientResponse | Proximal | Accelerated) else Accelerated()
        return reached

    def constrained(self, dynamics: Dynamics, start: Float64[FloatArray, "dims"]) -> _Reached:
        """Plain run, or the method of multipliers around it (Hestenes and Powell 1969)."""
        from hurwicz.prices.constraints import method_of_multipliers

        if not self.exchange.loss.constraints:
            return drive(self.exchange, dynamics, start, self.tol, self.progress)
        reached, self.violation = method_of_multipliers(
            self.exchange, lambda x, tol: drive(self.exchange, dynamics, x, tol, self.progress), start, self.tol
        )
        return reached

    def solution(self, reached: _Reached, began: float, raise_on_failure: bool) -> Solution[Coordination]:
        """Everything the planner knows at the end, as data; raises where told to."""
        exchange, loss = self.exchange, self.exchange.loss
        actions = {name: value.copy() for name, value in loss.unflatten(reached.x).items()}
        try:
            prices = loss.unflatten(exchange.price(reached.x))
            system_loss = float(loss.call("nodes", reached.x, exchange.terms)[loss.loss_name])
        except NotFiniteError:
            prices, system_loss = {name: np.full(shape, np.nan) for name, shape in loss.agents.items()}, np.nan
        value = Coordination(
            actions=actions,
            prices=prices,
            system_loss=system_loss,
            residual=float(reached.residual),
            rounds=exchange.rounds,
            multipliers={name: np.asarray(exchange.terms.multipliers[name]) for name in loss.constraints},
            violation=self.violation,
            saddles=[loss.unflatten(saddle) for saddle in self.saddles],
            second_order=self.tested,
            transcript=exchange.transcript,
        )
        waist = loss.waist
        stats: dict[str, Any] = {
            "rounds": exchange.rounds,
            "residual": float(reached.residual),
            "seconds": time.perf_counter() - began,
            "dynamics": self.dynamics.title,
            "waist": None if waist is None else waist.dimension,
            "certificate": self.certificate,
        }
        if reached.cause:
            stats["cause"] = reached.cause
        if exchange.failures:
            stats["failures"] = list(exchange.failures)
        if exchange.skipped:
            stats["skipped"] = sorted(exchange.skipped)
        solution = Solution(value, reached.status, stats)
        if raise_on_failure and not reached.status.ok and reached.status is not Status.SADDLE:
            _raise(reached, solution)
        return solution


def _raise(reached: _Reached, solution: Solution[Coordination]) -> None:
    if reached.error is not None:
        reached.error.reached = solution  # type: ignore[attr-defined]
        raise reached.error
    message = f"{reached.cause}; {reached.status.message}"
    if reached.status is Status.DIVERGED:
        raise DivergedError(message, reached=solution)
    if reached.status is Status.STEP_LIMIT:
        raise NotConvergedError(message, reached=solution)
    raise SolverError(message, reached=solution)


def total_loss(problem: Problem, actions: Mapping[str, Numbers], agents: Sequence[Any], data: Mapping[str, Numbers] | None = None) -> float:
    """L(x) = S(x) + sum_i C_i(x_i), for a party that holds the declared agents; never used by the planner.

    Args:
        problem: the price graph or its compiled loss.
        actions: by agent.
        agents: agents with a ``cost_at(action, inputs)``.
        data: values that replace those of sources.

    Example:
        >>> from hurwicz.prices import DeclaredAgent
        >>> from hurwicz.valuations import Quadratic
        >>> graph = PriceGraph.from_loss(lambda x: (x["a"] - 3.0) ** 2, {"a": ()})
        >>> total_loss(graph, {"a": 2.0}, [DeclaredAgent("a", Quadratic(), 0.5)])  # (2 - 3)² + 0.5 · 2²
        3.0
    """
    loss = compiled(problem)
    values = loss.node_values(actions, data)
    held = as_actions(actions, loss.agents)
    total = float(values[loss.loss_name])
    for agent in agents:
        total += agent.cost_at(held[agent.name], {name: values[name] for name in loss.nodes[agent.name].inputs})
    return total
