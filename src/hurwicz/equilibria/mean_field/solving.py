"""Find the equilibrium of a mean-field game: one iteration, or several in turn until one of them arrives."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hurwicz._foundation import Solution, Status, float64_scope
from hurwicz.equilibria.mean_field.iterations import DampedFixedPoint, Iterate, Iteration, OnlineMirrorDescent, Table
from hurwicz.equilibria.mean_field.problem import MeanFieldEquilibrium, MeanFieldProblem
from hurwicz.equilibria.protocol import Progress, drive
from hurwicz.meanfield import MeanFieldGame, action_values, exploitability, flow_of, uniform_policy


@dataclass
class _Racer:
    iteration: Iteration
    iterate: Iterate
    found: float = np.inf  # exploitability of its present policy


@dataclass
class _Race:
    racers: list[_Racer]
    taken: int
    best: float
    policy: Table
    winner: str


@dataclass(frozen=True)
class MeanFieldDynamics:
    """Iterations taken in turn, ``every`` steps each; what counts is the least exploitability of any policy seen.

    Args:
        iterations: who takes part; :func:`default_iterations` where empty.
        every: steps between two looks at the exploitability.

    Example:
        >>> MeanFieldDynamics((OnlineMirrorDescent(0.5),)).name
        'online mirror descent (rate 0.5)'
    """

    iterations: tuple[Iteration, ...] = ()
    every: int = 20

    @property
    def name(self) -> str:
        """Who takes part."""
        return "; ".join(i.name for i in self.iterations) or "mirror descent at three rates and a damped fixed point, in turn"

    def init(self, game: MeanFieldProblem) -> _Race:
        """Everyone at its start."""
        taking_part = self.iterations or default_iterations(game)
        with float64_scope():
            start = uniform_policy(game.game)
            found = float(exploitability(game.game, start, game.theta, game.tau))
            return _Race([_Racer(i, i.init(game.game)) for i in taking_part], 0, found, start, "uniform policy")

    def step(self, game: MeanFieldProblem, state: _Race) -> _Race:
        """``every`` steps of each, and a look at each."""
        best, policy, winner = state.best, state.policy, state.winner
        racers = []
        with float64_scope():
            for racer in state.racers:
                iterate, here, found = _advance(game.game, racer.iteration, self.every)(racer.iterate, state.taken, game.theta, game.tau)
                if not np.isfinite(float(found)):
                    continue  # this one has diverged; the others go on
                racers.append(_Racer(racer.iteration, iterate, float(found)))
                if float(found) < best:
                    best, policy, winner = float(found), here, racer.iteration.name
        return replace(state, racers=racers, taken=state.taken + self.every, best=best if racers else np.nan, policy=policy, winner=winner)

    def residual(self, game: MeanFieldProblem, state: _Race) -> float:
        """The least exploitability seen; NaN once every iteration has diverged."""
        del game
        return state.best

    def terminate(self, game: MeanFieldProblem, state: _Race) -> bool:
        """Only by the exploitability."""
        del game, state
        return False

    def figures(self, game: MeanFieldProblem, state: _Race) -> Mapping[str, float]:
        """Steps of each, and where each of them stands."""
        del game
        return {"iterations": state.taken, **{racer.iteration.name: racer.found for racer in state.racers}}

    def result(self, game: MeanFieldProblem, state: _Race) -> MeanFieldEquilibrium:
        """The policy of least exploitability."""
        with float64_scope():
            flow = flow_of(game.game, state.policy, game.theta)
            found = float(exploitability(game.game, state.policy, game.theta, game.tau))
        return MeanFieldEquilibrium(np.asarray(state.policy), np.asarray(flow), found, game.tau)


def solve_mean_field(
    problem: MeanFieldProblem,
    *,
    iterations: Sequence[Iteration] = (),
    tolerance: float = 1e-3,
    most: int = 20_000,
    every: int = 20,
    progress: Progress | None = None,
) -> Solution[MeanFieldEquilibrium]:
    """An equilibrium of a mean-field game, to a stated exploitability.

    Args:
        problem: game, rules, weight of the entropy.
        iterations: which to run, in turn; :func:`default_iterations` if none are given.
        tolerance: exploitability at which to stop, in units of reward.
        most: steps of each iteration at most.
        every: steps between two looks at the exploitability.
        progress: called with the look's number and the least exploitability so far.

    Returns:
        Policy, flow, exploitability; status ``EQUILIBRIUM`` where the tolerance is met, ``STEP_LIMIT`` where not, ``NOT_FINITE``
        where every iteration diverged (the value is then the best policy seen before). ``stats`` names the iteration that won.

    Raises:
        InputError: no step allowed.

    Example:
        >>> from hurwicz.meanfield import left_right
        >>> found = solve_mean_field(MeanFieldProblem(left_right()), tolerance=1e-9)
        >>> found.status.ok, round(float(found.value.policy[0, 0, 0]), 4)
        (True, 0.6667)

    Source: Perolat et al. (AAMAS 2022) and Lauriere et al. (2022) for the iterations; stopping by exploitability, in one definition.
    """
    dynamics = MeanFieldDynamics(tuple(iterations), every)
    found = drive(problem, dynamics, steps=-(-most // every), tolerance=tolerance, progress=progress)
    status = Status.DIVERGED if found.status is Status.NOT_FINITE else found.status
    return Solution(found.value, status, {**found.stats, "exploitability": found.value.exploitability})


def default_iterations(problem: MeanFieldProblem) -> tuple[Iteration, ...]:
    """Mirror descent at rates 10, 1 and 1/10 over the reach of the action values, and a damped fixed point.

    Mirror descent is fast on monotone games (crowds, congestion) if its rate fits; the damped fixed point arrives where they are not
    monotone and the equilibrium is pure (an epidemic). At tau > 0 no rate passes 1 / tau.
    """
    with float64_scope():
        uniform = uniform_policy(problem.game)
        q = action_values(problem.game, flow_of(problem.game, uniform, problem.theta), uniform, problem.theta)
        reach = float((q.max(axis=-1) - q.min(axis=-1)).max())
    top = 1.0 / problem.tau if problem.tau > 0.0 else np.inf
    rates = dict.fromkeys(min(rate / max(reach, 1e-12), top) for rate in (10.0, 1.0, 0.1))
    return (*(OnlineMirrorDescent(rate) for rate in rates), DampedFixedPoint(0.1))


@functools.lru_cache(maxsize=128)
def _advance(game: MeanFieldGame, iteration: Iteration, steps: int) -> Callable[..., Any]:
    import jax

    def advance(iterate: Iterate, taken: Any, theta: Any, tau: Any) -> tuple[Iterate, Table, Any]:
        after = jax.lax.fori_loop(taken, taken + steps, lambda t, x: iteration.step(game, x, t, theta, tau), iterate)
        policy = iteration.policy(game, after)
        return after, policy, exploitability(game, policy, theta, tau)

    return jax.jit(advance)
