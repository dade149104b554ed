"""One loop for every search over theta: best iterate kept, checkpoints, resumption, interruption, NaN."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

import jax
import numpy as np

from hurwicz._foundation import InputError, NotFiniteError, Solution, Status, float64_scope
from hurwicz.designers.checkpoints import load_checkpoint, save_checkpoint
from hurwicz.designers.interruption import Interruption
from hurwicz.designers.mean_field_problem import DesignProblem, MeanFieldDesign, Theta, as_rules, evaluate_design
from hurwicz.designers.non_finite import explain_non_finite
from hurwicz.meanfield.soundness import ensure_sound

Progress: TypeAlias = Callable[[int, int, float], None]
Visited: TypeAlias = Callable[[int, Theta], None]


class Move(NamedTuple):
    """What a step of a search did.

    Attributes:
        theta: where the search goes on.
        state: what it remembers.
        measured: the theta whose objective was measured.
        value: that objective.
        slope: norm of the gradient, where the search has one; NaN where it has none.
    """

    theta: Theta
    state: Any
    measured: Theta
    value: Any
    slope: Any


@runtime_checkable
class Search(Protocol):
    """A rule from one theta to the next."""

    @property
    def name(self) -> str:
        """What the field calls it, with what decides its result: a checkpoint is resumed by the same search only."""
        ...

    def init(self, problem: DesignProblem, theta: Theta) -> Any:
        """What it remembers at the start, a pytree of arrays."""
        ...

    def step(self, problem: DesignProblem, theta: Theta, state: Any, key: Any, k: int) -> Move:
        """Step ``k``; whatever is random comes from ``key``, which is made of the seed and ``k`` alone."""
        ...


@dataclass(frozen=True)
class _At:
    """Where a search stands; replaced as a whole, so that an interruption never sees a half of it."""

    done: int
    theta: Theta
    state: Any
    best: Theta
    value: float
    history: tuple[float, ...]


def run_search(
    problem: DesignProblem,
    search: Search,
    *,
    steps: int,
    seed: int = 0,
    start: Theta | None = None,
    tolerance: float = 0.0,
    checkpoint: Path | None = None,
    every: int = 10,
    resume: bool = False,
    progress: Progress | None = None,
    visited: Visited | None = None,
) -> Solution[MeanFieldDesign]:
    """Run a search and return the best theta that it measured, evaluated at its equilibrium; never one worth less than the start there.

    Args:
        problem: what is designed.
        search: how.
        steps: steps of the search, at least 1.
        seed: of the start and of every random choice.
        start: the first theta; the problem's own start if omitted.
        tolerance: norm of the gradient at which to stop; 0 for never.
        checkpoint: file to keep the run in; written whole or not at all.
        every: steps between two checkpoints.
        resume: go on from the checkpoint where there is one: the result is that of an uninterrupted run, bit for bit.
        progress: called with (step, steps, best objective so far).
        visited: called with (step, theta) for every theta that the search measured.

    Returns:
        The design; ``stats`` has ``steps``, ``interrupted``, ``seconds``, ``search``, ``exploitability``, and ``evaluated``: the objective
        as the search measured it.

    Raises:
        InputError: no steps, resumption without a file name, or a checkpoint of another run.
        KeyboardInterrupt: Ctrl-C before anything was measured, or again while the best so far was evaluated.
        NotFiniteError: NaN or infinity, with the round and state where it first happened.
    """
    if steps < 1 or every < 1:
        raise InputError(f"{problem.name}: expected steps >= 1 and every >= 1, got {steps} and {every}")
    if resume and checkpoint is None:
        raise InputError(f"{problem.name}: expected a checkpoint file to resume from, got none")
    began = time.perf_counter()
    with float64_scope():
        at = _begin(problem, search, seed, start)
        described, begun = _described(problem, search, at, seed), at.theta
        if resume and checkpoint is not None and checkpoint.exists():
            at = _restored(checkpoint, at, described)
        stop, settled = Interruption(), False
        key = jax.random.key(seed)
        with stop.ends():
            while at.done < steps and not settled:
                at, slope, measured = _advanced(problem, search, at, jax.random.fold_in(key, at.done + 1))
                settled = slope <= tolerance and tolerance > 0.0
                if checkpoint is not None and (at.done % every == 0 or at.done == steps):
                    _write(checkpoint, at, described)
                if progress is not None:
                    progress(at.done, steps, at.value)
                if visited is not None:
                    visited(at.done, measured)
        if at.done == 0:
            raise KeyboardInterrupt
        if stop.stopped and checkpoint is not None:
            stop.outlasted(lambda: _write(checkpoint, at, described))
        design = stop.outlasted(lambda: _settled_best(problem, begun, at, seed))
    status = Status.STATIONARY_POINT if settled else Status.STEP_LIMIT
    stats = {
        "search": search.name,
        "steps": at.done,
        "interrupted": stop.stopped,
        "evaluated": at.value,
        "exploitability": design.exploitability,
        "seconds": time.perf_counter() - began,
    }
    return Solution(design, status, stats)


def _settled_best(problem: DesignProblem, begun: Theta, at: _At, seed: int) -> MeanFieldDesign:
    # the search measured after T steps of mirror descent; a rule that only looked better before they had settled must not replace the start
    history = np.asarray(at.history)
    first = evaluate_design(problem, begun, history=history, seed=seed)
    if all(np.array_equal(*leaves) for leaves in zip(*map(jax.tree.leaves, (at.best, begun)), strict=True)):
        return first
    try:
        found = evaluate_design(problem, at.best, history=history, seed=seed)
    except NotFiniteError:  # finite after T steps, and not when settled
        return first
    return first if first.objective > found.objective or not np.isfinite(found.objective) else found


def first_theta(problem: DesignProblem, seed: int, start: Theta | None) -> Theta:
    """Where a search begins: at the given theta, or at the problem's own start for that seed."""
    return as_rules(problem, problem.start(jax.random.fold_in(jax.random.key(seed), 0)) if start is None else start)


def _begin(problem: DesignProblem, search: Search, seed: int, start: Theta | None) -> _At:
    theta = first_theta(problem, seed, start)
    state = search.init(problem, theta)  # a function that cannot be differentiated is named here
    ensure_sound(problem.game, theta)
    return _At(0, theta, state, theta, -np.inf, ())


def _advanced(problem: DesignProblem, search: Search, at: _At, key: Any) -> tuple[_At, float, Theta]:
    move = search.step(problem, at.theta, at.state, key, at.done)
    value = float(move.value)
    if not np.isfinite(value) or not all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(move.theta)):
        explain_non_finite(problem, move.measured)
    better = value > at.value
    after = _At(
        at.done + 1,
        move.theta,
        move.state,
        move.measured if better else at.best,
        value if better else at.value,
        (*at.history, value),
    )
    return after, float(move.slope), move.measured


def _kept(at: _At) -> dict[str, Any]:
    return {"theta": at.theta, "state": at.state, "best": at.best}


def _described(problem: DesignProblem, search: Search, at: _At, seed: int) -> dict[str, Any]:
    began = hashlib.sha256()
    for leaf in jax.tree.leaves(at.theta):
        began.update(np.asarray(leaf).tobytes())
    return {
        "problem": problem.name,
        "game": [problem.game.name, *problem.game.shape],
        "tau": problem.tau,
        "iterations": problem.iterations,
        "rate": problem.rate,
        "search": search.name,
        "seed": seed,
        "start": began.hexdigest()[:16],
    }


def _write(path: Path, at: _At, described: dict[str, Any]) -> None:
    save_checkpoint(path, _kept(at), {"run": described, "done": at.done, "value": at.value, "history": list(at.history)})


def _restored(path: Path, at: _At, described: dict[str, Any]) -> _At:
    arrays, meta = load_checkpoint(path, _kept(at))
    other = [what for what, here in described.items() if meta["run"].get(what) != here]
    if other:
        there = ", ".join(f"{what} {meta['run'].get(what)!r} there and {described[what]!r} here" for what in other)
        raise InputError(f"{path}: the checkpoint is of another run ({there}); give the same arguments, or another file")
    return _At(meta["done"], arrays["theta"], arrays["state"], arrays["best"], meta["value"], tuple(meta["history"]))
