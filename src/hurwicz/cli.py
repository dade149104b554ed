"""The command line: parse, call, print.

Exit codes: 0 done, 1 a witness that does not replay, 2 bad input, 3 a solver that did not converge, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from hurwicz._foundation.errors import AgentError, HurwiczError, InputError, MissingExtraError, SolverError


class _Commands(TyperGroup):
    """Commands that say so where they are stopped by hand: typer itself ends without a word."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            typer.echo("hurwicz: interrupted", err=True)
            raise typer.Exit(130) from None


app = typer.Typer(
    name="hurwicz",
    cls=_Commands,
    help="Mechanism design in multi-agent systems: coordinate self-interested agents by prices, pay them, audit what that guarantees.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
reproductions = typer.Typer(help="Run published experiments again and compare, claim by claim.", no_args_is_help=True)
app.add_typer(reproductions, name="reproduce")

_PRIOR_HELP = (
    "Prior of every agent's type: uniform, uniform:0,2, normal:MEAN,SD,LOW,HIGH, finite:1,2,3 or a CSV file; "
    "given once for all, or once for each agent."
)
_AgentsOption = Annotated[
    str | None, typer.Option("--agents", "--bidders", help="How many take part, or their names with commas; two if left out.")
]
_PriorOption = Annotated[list[str] | None, typer.Option("--prior", help=_PRIOR_HELP)]
_OptionOption = Annotated[
    list[str] | None, typer.Option("--option", help="An option of the mechanism, NAME=VALUE; may be given several times.")
]
_SeedOption = Annotated[int, typer.Option("--seed", help="Seed of every random draw.", min=0)]
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
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoints in the folder, where rules are learned.")] = False,
    explain_schema: Annotated[bool, typer.Option("--explain-schema", help="Print every key of a scenario file and exit.")] = False,
) -> None:
    """Run a scenario: coordinate its agents, pay them, audit the payments, or learn rules; write a result and a report."""
    if explain_schema:
        _print_schema(as_json)
        return
    if scenario is None:
        raise InputError("expected a scenario file; got none (example: hurwicz run examples/case118.toml)")
    from hurwicz.scenarios.loading import load_scenario

    _run(load_scenario(scenario), scenario.stem, out or Path("out", scenario.stem), as_json, resume=resume)


@app.command(epilog="Example: hurwicz audit second_price --bidders 5 --prior uniform")
def audit(
    mechanism: Annotated[
        str | None, typer.Argument(help="A mechanism by name (--list shows them), or FILE.py:FUNCTION.", show_default=False)
    ] = None,
    agents: _AgentsOption = None,
    prior: _PriorOption = None,
    grid: Annotated[int | None, typer.Option(help="Audit so many types an agent, exhaustively: the middles of as many cells.")] = None,
    option: _OptionOption = None,
    properties: Annotated[
        list[str] | None,
        typer.Option("--property", help="A property, or core (the default), beyond_one_liar, all; may be given several times."),
    ] = None,
    effort: Annotated[str, typer.Option(help="How hard to look: quick, standard or thorough.")] = "quick",
    revenue_bound: Annotated[
        float | None, typer.Option(help="The most that any mechanism of the class can earn: more is an alarm.", show_default=False)
    ] = None,
    equilibrium: Annotated[bool, typer.Option(help="Where the truth is no equilibrium, compute the one there is.")] = True,
    executor: Annotated[
        str | None, typer.Option(help="Who looks: serial, threads, processes or dask. Findings are the same.", show_default="threads")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="How many; as many as there are cores if left out.", show_default=False)] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="Keep each finding in this file, and go on from it.", show_default=False)] = None,
    seed: _SeedOption = 0,
    out: Annotated[Path | None, typer.Option(help="Folder for result.json, witness files and report.html; out/NAME if left out.")] = None,
    show_list: Annotated[bool, typer.Option("--list", help="List every mechanism of the library and exit.")] = False,
    every: Annotated[bool, typer.Option("--all", help="Audit every mechanism of the library, one word a property, and exit.")] = False,
    as_json: AsJson = False,
) -> None:
    """Audit a mechanism: which properties are proved, which refuted (with a witness that replays), which not refuted."""
    if show_list:
        _print_mechanisms(as_json)
        return
    if every:
        _print_survey(properties, effort, seed, as_json)
        return
    if mechanism is None:
        raise InputError("expected the name of a mechanism (hurwicz audit --list) or FILE.py:FUNCTION; got none")
    from hurwicz.scenarios.loading import build_scenario

    given = _mechanism_keys(mechanism, agents, prior, grid, option) | {"effort": effort, "equilibrium": equilibrium, "seed": seed}
    chosen: dict[str, Any] = {"properties": properties, "executor": executor, "workers": workers, "revenue_bound": revenue_bound}
    chosen["checkpoint"] = str(checkpoint) if checkpoint else None
    scenario = build_scenario("audit", given | {key: value for key, value in chosen.items() if value not in (None, [])})
    name = mechanism.rpartition(":")[2] if ".py:" in mechanism else mechanism
    _run(scenario, name, out or Path("out", name), as_json)


@app.command(epilog="Example: hurwicz equilibrium first_price --bidders 3")
def equilibrium(
    mechanism: Annotated[str, typer.Argument(help="A mechanism by name (hurwicz audit --list), or FILE.py:FUNCTION.", show_default=False)],
    agents: _AgentsOption = None,
    prior: _PriorOption = None,
    grid: Annotated[int | None, typer.Option(help="Finitely many types an agent: the middles of as many cells.")] = None,
    option: _OptionOption = None,
    tolerance: Annotated[float, typer.Option(help="Largest gain from another bid, as a share of the range of bids.")] = 1e-4,
    seconds: Annotated[float, typer.Option(help="Time that the search may take.")] = 300.0,
    bid_range: Annotated[
        tuple[float, float] | None,
        typer.Option(help="Least and greatest bid, e.g. 0 2; that of the types if left out, and more where bidders press on it."),
    ] = None,
    seed: _SeedOption = 0,
    out: Annotated[Path | None, typer.Option(help="Folder for result.json and report.html; out/NAME-equilibrium if left out.")] = None,
    as_json: AsJson = False,
) -> None:
    """Find the Bayes–Nash equilibrium of the bids: who bids what, the revenue, the price of anarchy."""
    from hurwicz.scenarios.loading import build_scenario

    given = _mechanism_keys(mechanism, agents, prior, grid, option)
    given |= {"tolerance": tolerance, "seconds": seconds, "seed": seed} | ({"bid_range": list(bid_range)} if bid_range else {})
    scenario = build_scenario("equilibrium", given)
    name = mechanism.rpartition(":")[2] if ".py:" in mechanism else mechanism
    _run(scenario, name, out or Path("out", f"{name}-equilibrium"), as_json)


@app.command(epilog="Example: hurwicz replay out/first_price/witness-DSIC.json")
def replay(
    witness: Annotated[Path, typer.Argument(help="A witness file that an audit wrote.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Replay a witness: recompute its gain from the mechanism alone, and tell it. Exit code 1 if it does not replay."""
    from hurwicz.scenarios.mechanisms import replay_file

    _prepare()
    replayed = replay_file(witness)
    if as_json:
        typer.echo(json.dumps(replayed.to_dict(), indent=2))
    else:
        typer.echo(replayed.told())
    if not replayed.holds:
        raise typer.Exit(1)


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
    _print_claims(mbi, claims, out, as_json)


@reproductions.command("amid", epilog="Example: hurwicz reproduce amid --only A1")
def reproduce_amid(
    only: Annotated[
        list[str] | None, typer.Option(help="One experiment: A1 to A10, beach, gradients, table2 or finite; may be given several times.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for claims.json and report.html.")] = Path("out/amid"),
    seed: _SeedOption = 0,
    as_json: AsJson = False,
) -> None:
    """Mean-field incentive design (arXiv 2510.21442): its settings, small enough for minutes, and what bounds each figure."""
    _prepare()
    from hurwicz.reproductions import amid

    with _progress() as progress:
        claims = amid.reproduce(only=only or None, out=out, progress=progress, seed=seed)
    _print_claims(amid, claims, out, as_json)


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


def _run(scenario: Any, name: str, out: Path, as_json: bool, *, resume: bool = False) -> None:
    """Run a checked scenario, print what it found, say which files it wrote."""
    from hurwicz.scenarios.running import run_scenario

    _prepare()
    try:
        with _progress() as progress:
            done = run_scenario(scenario, name=name, out=out, progress=progress, resume=resume)
    except KeyboardInterrupt:
        kept = getattr(scenario, "checkpoint", None)
        if kept is None:
            raise
        typer.echo(f"hurwicz: interrupted; what was found so far is in {kept}: the same command goes on from there", err=True)
        raise typer.Exit(130) from None
    if as_json:
        typer.echo(json.dumps(done.result, indent=2))
    else:
        _console().print(*done.tables, sep="\n")
        for path in done.files:
            typer.echo(f"wrote {path}")
    if done.interrupted:
        typer.echo(f"hurwicz: {done.message}", err=True)
        raise typer.Exit(130)
    if not done.converged:
        raise SolverError(f"did not converge: {done.message}")


def _print_claims(paper: Any, claims: list[Any], out: Path, as_json: bool) -> None:
    """What a reproduction found: every row as JSON, or a table and which files hold the rest."""
    if as_json:
        typer.echo(json.dumps([claim.to_dict() for claim in claims], indent=2))
        return
    _console().print(paper.claims_table(claims))
    typer.echo(f"wrote {out / 'claims.json'}\nwrote {out / 'report.html'}")


def _mechanism_keys(
    mechanism: str, agents: str | None, prior: list[str] | None, grid: int | None, option: list[str] | None
) -> dict[str, Any]:
    """The keys of a scenario that options of the command line give."""
    wrong = [text for text in option or [] if "=" not in text]
    if wrong:
        raise InputError(f"--option: expected NAME=VALUE, got {wrong[0]!r}")
    keys: dict[str, Any] = {"mechanism": mechanism}
    if agents is not None:
        keys["agents"] = _agents(agents)
    if prior:
        keys["prior"] = prior
    if grid is not None:
        keys["grid"] = grid
    if option:
        keys["options"] = {name.strip(): value.strip() for name, _, value in (text.partition("=") for text in option)}
    return keys


def _agents(text: str) -> int | list[str]:
    """``5``, or ``ann,bob``: one word without a comma is neither."""
    if text.strip().lstrip("-").isdigit():
        return int(text)
    if text.strip() and "," not in text:
        raise InputError(f"--agents: expected a whole number, or their names with commas (ann,bob); got {text!r}")
    return [name.strip() for name in text.split(",")]


def _print_mechanisms(as_json: bool) -> None:
    from hurwicz.scenarios.mechanisms.listing import listing

    rows = listing()
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    from rich.table import Table

    for family in dict.fromkeys(row["family"] for row in rows):
        table = Table("mechanism", "options", "what it does", title=family, title_justify="left")
        for row in (row for row in rows if row["family"] == family):
            table.add_row(row["name"], " ".join(row["options"]), row["summary"])
        _console().print(table)


def _print_survey(properties: list[str] | None, effort: str, seed: int, as_json: bool) -> None:
    from hurwicz.scenarios.mechanisms.survey import MAIN, survey, survey_table

    _prepare()
    with _progress() as progress:
        rows = survey(properties or MAIN, effort=effort, seed=seed, progress=progress)
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    _console().print(survey_table(rows))


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
    """Float64 and a compilation cache for this process: the program's to choose, where the library may not.

    By the environment, so that a command that needs no JAX does not load it.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "hurwicz", "jax")
    settings = {
        "JAX_ENABLE_X64": "1",
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.2",
    }
    os.environ.update(settings)
    if "jax" in sys.modules:  # it reads the environment only as it is loaded
        import jax

        for name, value in settings.items():
            read = value == "1" if name == "JAX_ENABLE_X64" else float(value) if name.endswith("SECS") else value
            jax.config.update(name.lower(), read)  # type: ignore[no-untyped-call]


def _console() -> Any:
    from rich.console import Console

    # Piped output is read by programs and kept in files: it must not be cut to 80 columns.
    return Console(width=None if sys.stdout.isatty() else 140, highlight=False)


@contextmanager
def _progress() -> Iterator[Callable[[str, float], None]]:
    """A bar on standard error, from a callback ``(what, fraction done)``; silent where that is not a terminal."""
    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
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
