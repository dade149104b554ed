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
from hurwicz.scenarios.running import Progress

if TYPE_CHECKING:
    from hurwicz._foundation import Solution
    from hurwicz.designers import DesignProblem, MeanFieldDesign

_SCENARIO = "checkpoint.json"


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
        for seed in scenario.seeds:
            path = self.path(seed)
            if path is not None:
                path.unlink(missing_ok=True)
        beside = kept.with_name(f".{kept.name}.{os.getpid()}")
        beside.write_text(json.dumps(here, indent=2) + "\n", encoding="utf-8")
        beside.replace(kept)


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
        interrupted: whether Ctrl-C ended it.
    """

    designs: dict[int, MeanFieldDesign]
    steps: dict[int, int]
    interrupted: bool

    @property
    def best(self) -> MeanFieldDesign:
        """The design of the best seed."""
        return max(self.designs.values(), key=lambda design: design.objective)


def learn(
    scenario: Designed,
    design: Callable[..., Solution[MeanFieldDesign]],
    checkpoints: Checkpoints,
    progress: Progress,
    *,
    span: tuple[float, float],
) -> Learned:
    """Run the designer once for every seed.

    Args:
        scenario: with its seeds and steps.
        design: takes ``seed``, ``checkpoint``, ``resume`` and ``progress`` as :func:`hurwicz.designers.meanfield_adjoint` does.
        checkpoints: where to keep it.
        progress: told the step and the best objective.
        span: the part of the whole run that this is.

    Raises:
        KeyboardInterrupt: it was stopped before anything was learned.
    """
    designs: dict[int, MeanFieldDesign] = {}
    steps: dict[int, int] = {}
    for k, seed in enumerate(scenario.seeds):
        path = checkpoints.path(seed)

        def told(step: int, whole: int, best: float, k: int = k, seed: int = seed) -> None:
            done = (k + step / whole) / len(scenario.seeds)
            progress(f"seed {seed}: step {step} of {whole}, best {best:.5f}", span[0] + (span[1] - span[0]) * done)

        progress(f"seed {seed}: compiling the derivative", span[0] + (span[1] - span[0]) * k / len(scenario.seeds))
        try:
            solution = design(seed=seed, checkpoint=path, resume=checkpoints.resume and path is not None and path.exists(), progress=told)
        except KeyboardInterrupt:
            if not designs:
                raise
            return Learned(designs, steps, interrupted=True)
        if solution.stats["interrupted"] and solution.stats["steps"] == 0:
            if not designs:
                raise KeyboardInterrupt
            return Learned(designs, steps, interrupted=True)
        designs[seed], steps[seed] = solution.value, int(solution.stats["steps"])
        if solution.stats["interrupted"]:
            return Learned(designs, steps, interrupted=True)
    return Learned(designs, steps, interrupted=False)


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


def told_of(learned: Learned, checkpoints: Checkpoints) -> str:
    """What to say where it was interrupted; nothing where it was not."""
    if not learned.interrupted:
        return ""
    kept = "" if checkpoints.folder is None else f"; it is kept in {checkpoints.folder}, and --resume goes on from there"
    return f"interrupted after {sum(learned.steps.values())} steps: the result is the best so far{kept}"


def say_on(page: Page, learned: Learned, notes: Sequence[str]) -> None:
    """What the page says before all else: whether it was interrupted, and the notes."""
    if learned.interrupted:
        page.text(f"Stopped by hand after {sum(learned.steps.values())} steps; this is the best until then. --resume goes on.")
    for note in notes:
        page.text(f"Note: {note}.")


def learning_keys(learned: Learned, shape: dict[str, Any]) -> dict[str, Any]:
    """The part of ``result.json`` that says how it was learned."""
    import numpy as np

    objectives = np.asarray([design.objective for design in learned.designs.values()])
    return {
        "status": "interrupted" if learned.interrupted else "done",
        "objective": learned.best.objective,
        "exploitability": learned.best.exploitability,
        "seeds": [
            {"seed": seed, "objective": design.objective, "exploitability": design.exploitability, "steps": learned.steps[seed]}
            for seed, design in learned.designs.items()
        ],
        "mean": float(objectives.mean()),
        "deviation": float(objectives.std(ddof=1)) if len(objectives) > 1 else None,
        "history": {str(seed): [float(value) for value in design.history] for seed, design in learned.designs.items()},
        "equilibrium": shape,
    }
