"""Find the equilibrium of a mean-field game: one iteration, or several in turn until one of them arrives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from hurwicz._foundation import InputError, Solution, Status, float64_scope
from hurwicz.equilibria.mean_field.adaptive import AdaptiveMirrorDescent
from hurwicz.equilibria.mean_field.advancing import advance, begin, first_look, last_look, why_diverged
from hurwicz.equilibria.mean_field.iterations import DampedFixedPoint, Iterate, Iteration, OnlineMirrorDescent
from hurwicz.equilibria.mean_field.problem import MeanFieldEquilibrium, MeanFieldProblem
from hurwicz.equilibria.protocol import Progress, drive

_BEHIND = 16  # who does not lead moves at every so many looks at least, and
_STALLED = 2.0 / 3.0  # whenever the leader's exploitability has not fallen to so much of what it was a look before


@dataclass
class _Racer:
    iteration: Iteration
    found: float  # exploitability of its present policy
    iterate: Iterate | None = None  # none before its first step: who is never needed is never compiled
    taken: int = 0


@dataclass
class _Race:
    racers: list[_Racer]
    looks: int
    best: float
    policy: Any  # of the least exploitability seen
    winner: str
    diverged: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class MeanFieldDynamics:
    """Iterations taken in turn, ``every`` steps each; what counts is the least exploitability of any policy seen.

    The one of least exploitability leads, at first the first of them, and moves at every look. The others move when the leader stalls,
    its exploitability not having fallen by a third since the look before, and at every sixteenth look: while the first goes on well the
    others cost nothing, not even their compilation, and whoever is overtaken may come back.

    Args:
        iterations: who takes part; :func:`default_iterations` where empty.
        every: steps between two looks at the exploitability.
        tolerance: exploitability at which an iteration that knows its own stops between two looks.

    Example:
        >>> MeanFieldDynamics((OnlineMirrorDescent(0.5),)).name
        'online mirror descent (rate 0.5)'
    """

    iterations: tuple[Iteration, ...] = ()
    every: int = 20
    tolerance: float = 0.0

    @property
    def name(self) -> str:
        """Who takes part."""
        return "; ".join(i.name for i in self.iterations) or "adaptive mirror descent, others where it stalls"

    def init(self, game: MeanFieldProblem) -> _Race:
        """Everyone at its start.

        Raises:
            InputError: the game is none (rows that do not sum to one, a reward out of its range, a function that JAX cannot trace, ...).
            NotFiniteError: the game gives no finite value to the uniform policy; names the round and the state.
        """
        with float64_scope():
            look = first_look(game)
            taking_part = self.iterations or _fitting(game, look.reach)
            return _Race([_Racer(i, look.exploitability) for i in taking_part], 0, look.exploitability, look.policy, "uniform policy")

    def step(self, game: MeanFieldProblem, state: _Race) -> _Race:
        """``every`` steps of whoever's turn it is, and a look at each."""
        best, policy, winner, diverged = state.best, state.policy, state.winner, list(state.diverged)
        lead = min(state.racers, key=lambda racer: racer.found)
        racers: dict[int, _Racer | None] = dict.fromkeys(range(len(state.racers)))
        with float64_scope():
            all_move = state.looks % _BEHIND == _BEHIND - 1
            for place, racer in sorted(enumerate(state.racers), key=lambda at: at[1] is not lead):
                if not (all_move or racer is lead):
                    racers[place] = racer
                    continue
                start = begin(game, racer.iteration) if racer.iterate is None else racer.iterate
                iterate, here, found, taken = advance(game, racer.iteration, start, racer.taken, self.every, self.tolerance)
                if racer is lead:
                    all_move |= not found <= max(_STALLED * racer.found, self.tolerance)
                if not np.isfinite(found):
                    diverged.append(why_diverged(game, racer.iteration, start, racer.taken, taken - racer.taken))
                    continue  # this one has diverged; the others go on
                racers[place] = _Racer(racer.iteration, found, iterate, taken)
                if found < best:
                    best, policy, winner = found, here, racer.iteration.name
                if best <= self.tolerance:
                    all_move = False
        left = [racer for racer in racers.values() if racer is not None]
        return replace(
            state,
            racers=left,
            looks=state.looks + 1,
            best=best if left else np.nan,
            policy=policy,
            winner=winner,
            diverged=diverged,
        )

    def residual(self, game: MeanFieldProblem, state: _Race) -> float:
        """The least exploitability seen; NaN once every iteration has diverged."""
        del game
        return state.best

    def terminate(self, game: MeanFieldProblem, state: _Race) -> bool:
        """Only by the exploitability."""
        del game, state
        return False

    def figures(self, game: MeanFieldProblem, state: _Race) -> Mapping[str, float]:
        """Steps of whoever took most, and where each of them stands."""
        del game
        most = max((racer.taken for racer in state.racers), default=state.looks * self.every)
        return {"iterations": most, **{racer.iteration.name: racer.found for racer in state.racers if racer.taken}}

    def result(self, game: MeanFieldProblem, state: _Race) -> MeanFieldEquilibrium:
        """The policy of least exploitability."""
        with float64_scope():
            look = last_look(game, state.policy)
        return MeanFieldEquilibrium(look.policy, look.flow, look.exploitability, game.tau, state.winner, tuple(state.diverged))


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
        Policy, flow, exploitability, the iteration that found it and those that diverged; status ``EQUILIBRIUM`` where the tolerance is
        met, ``STEP_LIMIT`` where not, ``DIVERGED`` where every iteration diverged (the value is then the best policy seen before).
        ``stats`` repeats the names as ``winner`` and ``diverged``; where nothing arrived, ``cause`` says why.

    Raises:
        InputError: no step allowed, a tolerance below 0 or NaN, or a game that is none along the flows of the uniform policy or of the one
            that was found: another shape, transition rows that do not sum to one, a negative probability, rewards out of the declared
            range, a function that JAX cannot trace, what ``inspect`` refuses; with the round and the state.
        NotFiniteError: the game gives no finite value to the uniform policy; names the round and the state. Where NaN appears later, the
            iterations that met it have diverged, and ``stats["cause"]`` names them.

    Example:
        >>> from hurwicz.meanfield import left_right
        >>> found = solve_mean_field(MeanFieldProblem(left_right()), tolerance=1e-9)
        >>> found.status.ok, round(float(found.value.policy[0, 0, 0]), 4)
        (True, 0.6667)

    Source: Perolat et al. (AAMAS 2022) and Lauriere et al. (2022) for the iterations; stopping by exploitability, in one definition.
    """
    if most < 1 or every < 1 or not tolerance >= 0.0:
        raise InputError(
            f"{problem.game.name}: expected most >= 1, every >= 1 and a tolerance >= 0, got most={most}, every={every} and "
            f"tolerance={tolerance}"
        )
    dynamics = MeanFieldDynamics(tuple(iterations), every, tolerance)
    found = drive(problem, dynamics, steps=-(-most // every), tolerance=tolerance, progress=progress)
    status = Status.DIVERGED if found.status is Status.NOT_FINITE else found.status
    stats = {**found.stats, "exploitability": found.value.exploitability, "winner": found.value.found_by, "diverged": found.value.diverged}
    if status is Status.DIVERGED:
        stats["cause"] = "; ".join(found.value.diverged)
    elif not status.ok:
        stats["cause"] = (
            f"{found.value.found_by}: exploitability {found.value.exploitability:.3g} after {stats['iterations']} steps, above the "
            f"tolerance {tolerance:g}; allow more steps, or ask tune() for a step size"
        )
    return Solution(found.value, status, stats)


def default_iterations(problem: MeanFieldProblem) -> tuple[Iteration, ...]:
    """Adaptive mirror descent with and without extrapolation, damped fixed points, mirror descent at a small constant rate.

    The first arrives soon where values are smooth in the flow (crowds, congestion, cycles), the second where they have kinks (auctions),
    the damped fixed points where the game is not monotone and the equilibrium is pure (an epidemic). Rates begin at 1 over the reach of
    the action values; at tau > 0 none passes 1 / tau.
    """
    with float64_scope():
        return _fitting(problem, first_look(problem).reach)


def _fitting(problem: MeanFieldProblem, reach: float) -> tuple[Iteration, ...]:
    top = 1.0 / problem.tau if problem.tau > 0.0 else np.inf
    first, small = (min(rate / max(reach, 1e-12), top) for rate in (1.0, 0.1))
    descents = AdaptiveMirrorDescent(first), AdaptiveMirrorDescent(first, patience=0.0)
    return (*descents, DampedFixedPoint(0.5), DampedFixedPoint(0.1), OnlineMirrorDescent(small))
