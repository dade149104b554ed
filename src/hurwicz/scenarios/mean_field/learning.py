"""Learn the rules of a scenario, seed by seed, with checkpoints that a later run goes on from."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hurwicz._foundation import InputError
from hurwicz.reports import Page
from hurwicz.scenarios.mean_field.schema import Designed
from hurwicz.scenarios.running import Progress, Run

if TYPE_CHECKING:
    from hurwicz._foundation import Solution
    from hurwicz.designers import DesignProblem, MeanFieldDesign
    from hurwicz.designers.interruption import Interruption

_SCENARIO, _SIMPLE = "checkpoint.json", "checkpoint-simple-rules.json"


@dataclass(frozen=True)
class Checkpoints:
    """Where a scenario keeps what it has learned.

    Attributes:
        folder: of the files; nothing is kept where it is ``None``.
        resume: whether to go on from the files there.
    """

    folder: Path | None
    resume: bool

    def path(self, seed: int) -> Path | None:
        """The file of a seed."""
        return None if self.folder is None else self.folder / f"checkpoint-seed{seed}.npz"

    @property
    def learned(self) -> bool:
        """Whether there is anything to learn on from."""
        return self.resume and self.folder is not None and any(self.folder.glob("checkpoint-seed*.npz"))

    def simple_rules(self) -> dict[str, Any]:
        """What :meth:`keep_simple_rule` has kept and a run that goes on need not search again: name → schedule.

        Raises:
            InputError: a file that is cut short.
        """
        path = None if self.folder is None else self.folder / _SIMPLE
        return _read(path) if self.resume and path is not None and path.exists() else {}

    def keep_simple_rule(self, name: str, schedule: Sequence[float]) -> None:
        """Keep what a search came to."""
        if self.folder is not None:
            path = self.folder / _SIMPLE
            there = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
            _write(path, there | {name: list(schedule)})

    def begin(self, scenario: Designed) -> None:
        """Look whether the files there are this scenario's, or clear them away for a new run.

        Raises:
            InputError: nothing to go on from, files of another scenario, or a file that is cut short.
        """
        if self.folder is None:
            return
        kept = self.folder / _SCENARIO
        here = json.loads(scenario.model_dump_json())
        if self.resume:
            there = _read(kept)
            other = [key for key in here if there.get(key, here[key]) != here[key]] + [key for key in there if key not in here]
            if other:
                differences = ", ".join(f"{key} = {there.get(key)!r} there and {here.get(key)!r} here" for key in other)
                raise InputError(
                    f"{kept}: the checkpoints are of another scenario ({differences}); leave --resume out, or name another folder"
                )
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        for old in (*self.folder.glob("checkpoint-seed*.npz"), self.folder / _SIMPLE):
            old.unlink(missing_ok=True)
        _write(kept, here)


def _write(path: Path, content: dict[str, Any]) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(
            f"{path.parent}: nothing to go on from: expected {path.name}, which a first run writes; run it without --resume"
        ) from error
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: expected the scenario of a checkpoint; the file is cut short or none; run it without --resume"
        ) from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected the scenario of a checkpoint, got {type(content).__name__}; run it without --resume")
    return content


@dataclass(frozen=True)
class Learned:
    """What the seeds came to.

    Attributes:
        designs: seed → the best of it, at its equilibrium; seeds that Ctrl-C did not let begin are missing.
        steps: seed → steps taken.
    """

    designs: dict[int, MeanFieldDesign]
    steps: dict[int, int]

    @property
    def best(self) -> MeanFieldDesign:
        """The design of the best seed."""
        return max(self.designs.values(), key=lambda design: design.objective)


def learn(
    scenario: Designed,
    design: Callable[..., Solution[MeanFieldDesign]],
    checkpoints: Checkpoints,
    progress: Progress,
    stop: Interruption,
    *,
    span: tuple[float, float],
) -> Learned:
    """Run the designer once for every seed, until somebody presses Ctrl-C.

    Args:
        scenario: with its seeds and steps.
        design: takes ``seed``, ``checkpoint``, ``resume`` and ``progress`` as :func:`hurwicz.designers.meanfield_adjoint` does.
        checkpoints: where to keep it.
        progress: told the step and the best objective.
        stop: whether it is stopped already; told where it is.
        span: the part of the whole run that this is.

    Returns:
        What was learned until then, which may be nothing.

    Raises:
        StoppedAgain: Ctrl-C while the best so far was evaluated.
    """
    designs: dict[int, MeanFieldDesign] = {}
    steps: dict[int, int] = {}
    for k, seed in enumerate(scenario.seeds):
        if stop.stopped:
            break
        path = checkpoints.path(seed)

        def told(step: int, whole: int, best: float, k: int = k, seed: int = seed) -> None:
            done = (k + step / whole) / len(scenario.seeds)
            progress(f"seed {seed}: step {step} of {whole}, best {best:.5f}", span[0] + (span[1] - span[0]) * done)

        solution = None
        with stop.ends():
            progress(f"seed {seed}: compiling the derivative", span[0] + (span[1] - span[0]) * k / len(scenario.seeds))
            solution = design(seed=seed, checkpoint=path, resume=checkpoints.resume and path is not None and path.exists(), progress=told)
        if solution is not None:
            designs[seed], steps[seed] = solution.value, int(solution.stats["steps"])
            if solution.stats["interrupted"]:
                stop.stopped = True
    return Learned(designs, steps)


def by_gradient(scenario: Designed, problem: DesignProblem, *, rate: float) -> Callable[..., Solution[MeanFieldDesign]]:
    """The ascent that the scenario asks for; what is left to give are seed, checkpoint, resumption and progress.

    Args:
        scenario: how.
        problem: what.
        rate: first rate of Adam where the scenario says none.
    """
    import optax

    from hurwicz.designers import falling_entropy, meanfield_adjoint

    # half of the steps are left for the weight that counts
    falling = None if scenario.tau_start is None else falling_entropy(scenario.tau_start, problem.tau, steps=scenario.steps, settled=0.5)
    return partial(
        meanfield_adjoint,
        problem,
        differentiate=scenario.differentiate,
        optimiser=optax.adam(optax.cosine_decay_schedule(scenario.learning_rate or rate, scenario.steps)),
        steps=scenario.steps,
        entropy=falling,
        smoothing=scenario.smoothing,
    )


def equilibrium_keys(scenario: Designed, *, tau: float, rate: float, iterations: int) -> dict[str, Any]:
    """tau, iterations and rate of the equilibrium: the scenario's where it says them, else the problem's own.

    Raises:
        InputError: a rate above 1 / tau.
    """
    weight = tau if scenario.tau is None else scenario.tau
    step = min(rate, 1.0 / weight) if scenario.mirror_rate is None else scenario.mirror_rate
    if step > 1.0 / weight:
        raise InputError(f"mirror_rate: expected at most 1/tau = {1.0 / weight:g}; got {step:g}")
    return {"tau": weight, "rate": step, "iterations": scenario.iterations or iterations}


def told_of(learned: Learned, checkpoints: Checkpoints, stop: Interruption, *, otherwise: str = "") -> str:
    """What to say where it was interrupted; nothing where it was not.

    Args:
        learned: what was learned until then.
        checkpoints: where it is kept.
        stop: whether it was interrupted.
        otherwise: what the result is where nothing was learned.
    """
    if not stop.stopped:
        return ""
    came = (
        f"after {sum(learned.steps.values())} steps: the result is the best so far"
        if learned.designs
        else f"before a first step: {otherwise}"
    )
    kept = "" if checkpoints.folder is None else f"; it is kept in {checkpoints.folder}, and --resume goes on from there"
    return f"interrupted {came}{kept}"


def nothing_yet(checkpoints: Checkpoints, *, again: bool = False) -> Run:
    """The run that was stopped before there was anything to show, or again while it was being shown: no file is written.

    Args:
        checkpoints: where a later run goes on from.
        again: whether Ctrl-C was pressed twice.
    """
    when = "interrupted again: what was under way is dropped" if again else "interrupted before anything new was found"
    message = f"{when}; no result was written"
    if checkpoints.folder is not None:
        message += f", --resume goes on from what is kept in {checkpoints.folder}"
    return Run({"status": "interrupted"}, Page("interrupted"), message=message, interrupted=True, kept=False)


def say_on(page: Page, learned: Learned, stop: Interruption, notes: Sequence[str]) -> None:
    """What the page says before all else: whether it was interrupted, and the notes."""
    if stop.stopped:
        what = "this is the best until then" if learned.designs else "nothing was learned yet"
        page.text(f"Stopped by hand after {sum(learned.steps.values())} steps; {what}. --resume goes on.")
    for note in notes:
        page.text(f"Note: {note}.")


def learning_keys(learned: Learned, shown: MeanFieldDesign, shape: dict[str, Any], stop: Interruption) -> dict[str, Any]:
    """The part of ``result.json`` that says how it was learned; ``shown`` is the design that is the result."""
    import numpy as np

    objectives = np.asarray([design.objective for design in learned.designs.values()])
    return {
        "status": "interrupted" if stop.stopped else "done",
        "objective": shown.objective,
        "exploitability": shown.exploitability,
        "seeds": [
            {"seed": seed, "objective": design.objective, "exploitability": design.exploitability, "steps": learned.steps[seed]}
            for seed, design in learned.designs.items()
        ],
        "mean": float(objectives.mean()) if len(objectives) else None,
        "deviation": float(objectives.std(ddof=1)) if len(objectives) > 1 else None,
        "history": {str(seed): [float(value) for value in design.history] for seed, design in learned.designs.items()},
        "equilibrium": shape,
    }
