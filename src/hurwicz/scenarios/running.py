"""A checked scenario → its run → ``result.json`` and ``report.html``, both written whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from hurwicz._foundation import InputError
from hurwicz.reports import Page
from hurwicz.scenarios.mean_field.schema import Designed
from hurwicz.scenarios.schema import Scenario

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Run:
    """A scenario that has run.

    Attributes:
        result: plain data, what ``result.json`` holds.
        page: the report.
        tables: what the command line prints, in order: rich tables and lines.
        converged: False where the method stopped early; ``message`` then says why, and ``result`` is what it reached.
        files: the files written.
        attachments: further files to write beside the result: name → content.
        replaces: pattern of the files that an earlier run may have attached; those not attached now are removed.
        interrupted: True where it was stopped by hand; ``result`` is then the best so far, and ``message`` says how to go on.
        kept: False where it was stopped before there was anything to write: files of an earlier run stay as they are.
    """

    result: dict[str, Any]
    page: Page
    tables: list[Any] = field(default_factory=list)
    converged: bool = True
    message: str = ""
    files: list[Path] = field(default_factory=list)
    attachments: dict[str, str] = field(default_factory=dict)
    replaces: str = ""
    interrupted: bool = False
    kept: bool = True


def run_scenario(
    scenario: Scenario, *, name: str = "scenario", out: Path | None = None, progress: Progress | None = None, resume: bool = False
) -> Run:
    """Run a scenario and, where ``out`` is given, write ``result.json`` and ``report.html`` there.

    Args:
        scenario: from :func:`load_scenario`, or built in Python.
        name: what the report calls it.
        out: folder for the files; made if need be.
        progress: called with what is being done and the fraction done.
        resume: go on from the checkpoints in ``out``; for scenarios that learn rules.

    Returns:
        The run; ``converged`` tells whether the result may be used, ``interrupted`` whether Ctrl-C ended the learning of rules.

    Raises:
        InputError: the scenario names data that cannot be used, ``out`` cannot be written, or there is nothing to resume.

    Example:
        >>> from hurwicz.scenarios import DispatchScenario
        >>> run = run_scenario(DispatchScenario(kind="dispatch", case="case14_ieee", payments=["linear"], audit={"enabled": False}))
        >>> round(run.result["objective"], 3)
        2051.526
    """
    made = [] if out is None else _writable(out)
    try:
        if resume:
            _resumable(scenario, out)
        run = _runner(scenario, out, resume)(scenario, name, progress or _silent)
    except BaseException:
        for folder in made:  # those in which something was kept are not empty, and stay
            with suppress(OSError):
                folder.rmdir()
        raise
    if out is not None and run.kept:
        run, html = _drawn(run, scenario)
        result = json.dumps(run.result, indent=2, allow_nan=False) + "\n"
        contents = {"result.json": result, **run.attachments, "report.html": html}
        run.files.extend(_write_whole(out, contents))
        for stale in set(out.glob(run.replaces) if run.replaces else ()) - set(run.files):
            stale.unlink(missing_ok=True)
    return run


def _drawn(run: Run, scenario: Scenario) -> tuple[Run, str]:
    """The page; where rules were learned, a first Ctrl-C does not lose them for a picture."""
    if not isinstance(scenario, Designed):
        return run, run.page.html()
    from hurwicz.designers.interruption import Interruption

    stop = Interruption(run.interrupted)
    html = stop.outlasted(run.page.html)
    if stop.stopped and not run.interrupted:
        run = replace(run, interrupted=True, message="interrupted while the report was drawn; it is whole, and so is the result")
    return run, html


def _runner(scenario: Scenario, out: Path | None, resume: bool) -> Callable[[Any, str, Progress], Run]:
    if isinstance(scenario, Designed):
        from hurwicz.scenarios.mean_field import run_designed

        return partial(run_designed, folder=out, resume=resume)
    if scenario.kind == "auction":
        from hurwicz.scenarios.auction import run_auction

        return run_auction
    if scenario.kind == "audit":
        from hurwicz.scenarios.mechanisms.audit import run_audit

        return run_audit
    if scenario.kind == "equilibrium":
        from hurwicz.scenarios.mechanisms.equilibrium import run_equilibrium

        return run_equilibrium
    if scenario.kind == "dispatch":
        from hurwicz.scenarios.dispatch import run_dispatch

        return run_dispatch
    from hurwicz.scenarios.target import run_target

    return run_target


def _resumable(scenario: Scenario, out: Path | None) -> None:
    if not isinstance(scenario, Designed):
        raise InputError(
            f"--resume: expected a scenario that learns rules, which keeps checkpoints; got kind {scenario.kind!r}; run it without --resume"
        )
    if out is None:
        raise InputError("resume: expected the folder of the checkpoints; got none; name it by out")


def _silent(what: str, fraction: float) -> None:
    """Progress that nobody watches."""


def _writable(folder: Path) -> list[Path]:
    """Find out before the work, not after it, that the result has nowhere to go; the folders made for it, the innermost first."""
    try:
        missing = [path for path in (folder, *folder.parents) if not path.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f"--out {folder}: cannot be written ({error.strerror}); name another folder") from error
    return missing


def _write_whole(folder: Path, contents: dict[str, str]) -> list[Path]:
    """Write all beside their targets and then rename: a reader sees the old files or the new ones, never half of one."""
    written: dict[Path, Path] = {}
    try:
        for name, text in contents.items():
            with tempfile.NamedTemporaryFile("w", dir=folder, prefix=f".{name}.", delete=False, encoding="utf-8") as file:
                written[folder / name] = Path(file.name)
                file.write(text)
            Path(file.name).chmod(0o644)
        for path, beside in written.items():
            os.replace(beside, path)  # noqa: PTH105
    finally:
        for beside in written.values():
            beside.unlink(missing_ok=True)
    return list(written)
