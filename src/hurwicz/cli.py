"""The command line: parse, call, print. Exit codes: 0 done, 2 bad input, 3 a solver did not converge."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from hurwicz._foundation.errors import AgentError, HurwiczError, InputError, MissingExtraError, SolverError

app = typer.Typer(
    name="hurwicz",
    help="Mechanism design in multi-agent systems: coordinate self-interested agents by prices, pay them, audit what that guarantees.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
reproductions = typer.Typer(help="Run published experiments again and compare, claim by claim.", no_args_is_help=True)
app.add_typer(reproductions, name="reproduce")

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON to standard output, and nothing else there.")]


@app.callback(invoke_without_command=True)
def _options(version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
    if version:
        from importlib.metadata import version as installed

        typer.echo(f"hurwicz {installed('hurwicz')}")
        raise typer.Exit


@app.command(epilog="Example: hurwicz run examples/case118.toml --out out/case118")
def run(
    scenario: Annotated[Path | None, typer.Argument(help="A scenario file (TOML).", show_default=False)] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for result.json and report.html; out/NAME if left out.")] = None,
    as_json: AsJson = False,
    explain_schema: Annotated[bool, typer.Option("--explain-schema", help="Print every key of a scenario file and exit.")] = False,
) -> None:
    """Run a scenario: coordinate its agents, pay them, audit the payments, write a result and a report."""
    if explain_schema:
        _print_schema(as_json)
        return
    if scenario is None:
        raise InputError("expected a scenario file; got none (example: hurwicz run examples/case118.toml)")
    from hurwicz.scenarios import load_scenario, run_scenario

    checked = load_scenario(scenario)
    _prepare()
    with _progress() as progress:
        done = run_scenario(checked, name=scenario.stem, out=out or Path("out", scenario.stem), progress=progress)
    if as_json:
        typer.echo(json.dumps(done.result, indent=2))
    else:
        _console().print(*done.tables, sep="\n")
        for path in done.files:
            typer.echo(f"wrote {path}")
    if not done.converged:
        raise SolverError(f"did not converge: {done.message}")


@reproductions.command("mbi", epilog="Example: hurwicz reproduce mbi --only C.5 --only C.10")
def reproduce_mbi(
    only: Annotated[list[str] | None, typer.Option(help="One experiment by its id (C.1 to C.18); may be given several times.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for claims.json and report.html.")] = Path("out/mbi"),
    ppo_seconds: Annotated[float, typer.Option(help="Time that PPO may take in C.6, seconds.", min=1.0)] = 60.0,
    as_json: AsJson = False,
) -> None:
    """Mechanism-Based Intelligence (arXiv 2512.20688): its eighteen experiments, what is true of each."""
    _prepare()
    from hurwicz.reproductions import mbi

    with _progress() as progress:
        claims = mbi.reproduce(only=only or None, out=out, ppo_seconds=ppo_seconds, progress=progress)
    if as_json:
        typer.echo(json.dumps([claim.to_dict() for claim in claims], indent=2))
        return
    _console().print(mbi.claims_table(claims))
    typer.echo(f"wrote {out / 'claims.json'}\nwrote {out / 'report.html'}")


@app.command(epilog="Example: hurwicz info --json")
def info(as_json: AsJson = False) -> None:
    """Versions, machine, extras and the packaged grids: what a bug report should carry."""
    from hurwicz.scenarios.information import information

    facts = information()
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    from rich.table import Table

    table = Table("", "", show_header=False, box=None, pad_edge=False)
    for name, value in facts.items():
        parts = [f"{k} {v}" for k, v in value.items()] if isinstance(value, dict) else value if isinstance(value, list) else [str(value)]
        table.add_row(name, ", ".join(parts))
    _console().print(table)


def _print_schema(as_json: bool) -> None:
    from hurwicz.scenarios.explanation import explain_schema

    rows = explain_schema()
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    from rich.table import Table

    for kind in dict.fromkeys(row["kind"] for row in rows):
        table = Table("key", "type", "default", "meaning", title=f'kind = "{kind}"', title_justify="left", show_lines=False)
        for row in (row for row in rows if row["kind"] == kind):
            table.add_row(row["key"], row["type"], "required" if row["required"] else json.dumps(row["default"]), row["meaning"])
        _console().print(table)


def _prepare() -> None:
    """Float64 and a compilation cache for this process: the program's to choose, where the library may not."""
    import jax

    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "hurwicz", "jax")
    settings = {
        "jax_enable_x64": True,
        "jax_compilation_cache_dir": str(cache),
        "jax_persistent_cache_min_compile_time_secs": 0.2,
    }
    for name, value in settings.items():
        jax.config.update(name, value)  # type: ignore[no-untyped-call]


def _console() -> Any:
    from rich.console import Console

    # Piped output is read by programs and kept in files: it must not be cut to 80 columns.
    return Console(width=None if sys.stdout.isatty() else 140, highlight=False)


@contextmanager
def _progress() -> Iterator[Callable[[str, float], None]]:
    """A bar on standard error, from a callback ``(what, fraction done)``; silent where that is not a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    with bar:
        task = bar.add_task("", total=1.0)

        def report(what: str, fraction: float) -> None:
            bar.update(task, description=what, completed=fraction)

        yield report


def main() -> None:
    """Entry point: run the command, turn the library's errors into one message and an exit code."""
    try:
        app(standalone_mode=True)
    except HurwiczError as error:
        typer.echo(f"hurwicz: {error}", err=True)
        sys.exit(2 if isinstance(error, InputError | MissingExtraError) else 3 if isinstance(error, SolverError | AgentError) else 1)
    except KeyboardInterrupt:
        typer.echo("hurwicz: interrupted", err=True)
        sys.exit(130)
