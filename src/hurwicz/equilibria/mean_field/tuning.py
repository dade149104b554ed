"""Which iteration with which step size arrives first."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hurwicz._foundation import InputError, Solution, Status, float64_scope
from hurwicz.equilibria.mean_field.advancing import advance, begin, first_look, why_diverged
from hurwicz.equilibria.mean_field.iterations import (
    DampedFixedPoint,
    FictitiousPlay,
    Iterate,
    Iteration,
    OnlineMirrorDescent,
    SoftmaxPolicyIteration,
)
from hurwicz.equilibria.mean_field.problem import MeanFieldProblem
from hurwicz.meanfield.soundness import ensure_sound

_HALF_DECADE = math.sqrt(10.0)


@dataclass(frozen=True)
class Trial:
    """One candidate, and how far it came.

    Attributes:
        iteration: the candidate.
        exploitability: at its last look; infinite where it diverged.
        steps: how many it took; if it arrived, to within ``every``.
        status: ``EQUILIBRIUM`` where it arrived, ``DIVERGED``, or ``STEP_LIMIT`` where it was given up.
    """

    iteration: Iteration
    exploitability: float
    steps: int
    status: Status


@dataclass(frozen=True)
class TunedIteration:
    """The candidate that arrived in the fewest steps, or came nearest where none arrived; and everything that was tried, best first."""

    iteration: Iteration
    trials: tuple[Trial, ...]


@dataclass
class _Runner:
    iteration: Iteration
    iterate: Iterate
    found: float = np.inf
    taken: int = 0
    diverged: bool = False
    last: int = 0  # steps in which it diverged

    def rank(self, tolerance: float) -> tuple[bool, float]:
        arrived = self.found <= tolerance
        return not arrived, self.taken if arrived else self.found


def tune(
    problem: MeanFieldProblem,
    *,
    candidates: Sequence[Iteration] = (),
    tolerance: float = 1e-3,
    most: int = 2000,
    every: int = 5,
) -> Solution[TunedIteration]:
    """The iteration and step size that reach a tolerance in the fewest steps.

    All candidates take 20 steps, then 40, 80 and so on from where they are, until one arrives: nobody is given up for a slow start, and
    all together take at most twice their number times the steps of the winner. Then step sizes half a decade, and a quarter, to both sides
    of the winner's are given as many steps as it needed.

    Args:
        problem: game, rules, weight of the entropy.
        candidates: who is tried; :func:`candidate_iterations` if none are given.
        tolerance: exploitability to reach, in units of reward.
        most: steps of any candidate at most.
        every: steps between two looks.

    Returns:
        The winner with the trace of trials; status ``EQUILIBRIUM`` where it arrived, ``STEP_LIMIT`` where none did (the winner is then the
        one that came nearest), ``DIVERGED`` where all did. ``stats["steps"]`` counts the steps of all together;
        ``stats["cause"]`` says why the first of them diverged, if all did.

    Raises:
        InputError: no step allowed, a tolerance that is not above 0, or a game that is none, as for :func:`solve_mean_field`.
        NotFiniteError: the game gives no finite value to the uniform policy; names the round and the state.

    Example:
        >>> from hurwicz.meanfield import left_right
        >>> tuned = tune(MeanFieldProblem(left_right()), candidates=[OnlineMirrorDescent(0.1), OnlineMirrorDescent(0.01)])
        >>> tuned.status.ok, tuned.value.iteration.name[:21]
        (True, 'online mirror descent')
    """
    if not 1 <= every <= most or not tolerance > 0.0:
        raise InputError(f"tune: expected 1 <= every <= most and a tolerance > 0, got every={every}, most={most}, tolerance={tolerance}")
    with float64_scope():
        ensure_sound(problem.game, problem.theta)
        tried = [_Runner(i, begin(problem, i)) for i in candidates or candidate_iterations(problem)]
        best = _race(problem, tried, tolerance, most, every)
        for factor in (_HALF_DECADE, math.sqrt(_HALF_DECADE)):
            known = {runner.iteration.name for runner in tried}
            near = [_Runner(i, begin(problem, i)) for i in _neighbours(best.iteration, factor, problem.tau) if i.name not in known]
            for runner in near:
                _run(problem, runner, best.taken if best.found <= tolerance else most, tolerance, every)
            tried += near
            best = min((best, *near), key=lambda runner: runner.rank(tolerance))
    tried.sort(key=lambda runner: runner.rank(tolerance))
    trials = tuple(Trial(r.iteration, r.found, r.taken, _status(r, tolerance)) for r in tried)
    stats: dict[str, Any] = {"steps": sum(t.steps for t in trials), "exploitability": best.found, "iterations": best.taken}
    if best.diverged:
        with float64_scope():
            stats["cause"] = why_diverged(problem, best.iteration, best.iterate, best.taken - best.last, best.last)
    return Solution(TunedIteration(best.iteration, trials), _status(best, tolerance), stats)


def candidate_iterations(problem: MeanFieldProblem) -> tuple[Iteration, ...]:
    """Mirror descent at rates from 1/100 to 100 over the reach of the action values, damped fixed points, fictitious play.

    At tau > 0 no rate passes 1 / tau, and softmax policy iteration at the temperature tau takes part with four dampings.
    """
    with float64_scope():
        reach = max(first_look(problem).reach, 1e-12)
    top = 1.0 / problem.tau if problem.tau > 0.0 else np.inf
    rates = dict.fromkeys(min(10.0 ** (k / 2) / reach, top) for k in range(4, -5, -1))
    soft = [SoftmaxPolicyIteration(problem.tau, d) for d in (1.0, 0.3, 0.1, 0.03)] if problem.tau > 0.0 else []
    return (*(OnlineMirrorDescent(rate) for rate in rates), *(DampedFixedPoint(d) for d in (0.3, 0.1, 0.03)), *soft, FictitiousPlay())


def _race(problem: MeanFieldProblem, runners: list[_Runner], tolerance: float, most: int, every: int) -> _Runner:
    until = min(20, most)
    while True:
        for runner in runners:
            _run(problem, runner, until, tolerance, every)
        best = min(runners, key=lambda runner: runner.rank(tolerance))
        if best.found <= tolerance or until >= most:
            return best
        until = min(2 * until, most)


def _run(problem: MeanFieldProblem, runner: _Runner, until: int, tolerance: float, every: int) -> None:
    while runner.taken < until and runner.found > tolerance and not runner.diverged:
        steps = min(every, until - runner.taken)
        after, _, found, _ = advance(problem, runner.iteration, runner.iterate, runner.taken, steps)
        runner.taken += steps
        runner.diverged = not np.isfinite(found)
        if runner.diverged:
            runner.found, runner.last = np.inf, steps  # the iterate stays the last that was finite
            return
        runner.iterate, runner.found = after, found


def _neighbours(iteration: Iteration, factor: float, tau: float) -> list[Iteration]:
    resized: Callable[[float], Iteration]
    if isinstance(iteration, OnlineMirrorDescent):
        now, top = iteration.rate, 1.0 / tau if tau > 0.0 else np.inf
        resized = lambda size: replace(iteration, rate=size)  # noqa: E731
    elif isinstance(iteration, DampedFixedPoint | SoftmaxPolicyIteration):
        now, top = iteration.damping, 1.0
        resized = lambda size: replace(iteration, damping=size)  # noqa: E731
    else:
        return []
    return [resized(size) for size in dict.fromkeys((min(now * factor, top), now / factor)) if size != now]


def _status(runner: _Runner, tolerance: float) -> Status:
    if runner.found <= tolerance:
        return Status.EQUILIBRIUM
    return Status.DIVERGED if runner.diverged else Status.STEP_LIMIT
