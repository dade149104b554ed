"""(k) CPU time to an equilibrium of a mean-field game, beside MFGLib and OpenSpiel, one thread and one process each.

Before the race both sides are given the same policy and must find the same exploitability. Then the peer runs the iteration and step size
that ``hurwicz``'s ``tune`` found for the game, its own defaults (mirror descent at rate 1, fictitious play), and is credited with whichever
arrives first at each level; its clock stands while its policies are judged. Ours is ``solve_mean_field`` with its defaults, not tuned and
with everything counted but compilation, and once more with the one tuned iteration. Compilation is said apart. Of
five tries the fastest counts, on both sides where a try is short.

MFGLib 0.3 asks for older versions of rich and osqp than this project is pinned to. Where it is installed in an environment of its own, set
HURWICZ_PEERS_PYTHON to that environment's Python.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

LEVELS = (1e-2, 1e-3)
AIM = 20.0
_GAMES: tuple[tuple[str, str, str, dict[str, Any], int], ...] = (
    ("left-right", "mfglib", "left_right", {}, 1),
    ("rock-paper-scissors", "mfglib", "rock_paper_scissors", {}, 1),
    ("susceptible-infected, 51 rounds", "mfglib", "susceptible_infected", {}, 2),
    ("beach bar, 100 places, 16 rounds", "mfglib", "beach_bar", {"T": 15, "n": 100, "bar_loc": 50}, 2),
    ("crowd motion, 20 x 20, 4 rounds", "mfglib", "crowd_motion", {}, 2),
    ("crowd modelling, 10 places, 10 rounds", "openspiel", "mfg_crowd_modelling", {}, 5),
)
_SINGLE = {
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
}
_NAMES = {"mfglib": "MFGLib", "openspiel": "OpenSpiel"}


def ask(command: list[str], **question: Any) -> Any:
    """The answer of a process of its own, which has one thread."""
    done = subprocess.run(
        command, input=json.dumps(question), capture_output=True, text=True, check=False, env={**os.environ, **_SINGLE}
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[-2:])}: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout)


def _peer(peer: str, **question: Any) -> Any:
    python = os.environ.get("HURWICZ_PEERS_PYTHON", sys.executable) if peer == "mfglib" else sys.executable
    return ask([python, str(Path(__file__).with_name("mean_field_peer.py"))], peer=peer, **question)


def run(quick: bool = False) -> list[dict[str, Any]]:
    """Print the table; return its rows."""
    longest = 100.0 if quick else 300.0
    rows: list[dict[str, Any]] = []
    heads = ["game", "peer's iteration", "peer's ms a step"]
    for level in LEVELS:
        heads += [f"peer to {level:g}", "ours", "ratio", "ours, tuned", "ratio"]
    title = f"(k) CPU seconds to an exploitability, one thread each; a dash: the peer is not there after {longest:g} times ours"
    table = Table(*heads, "compiling", title=title)
    missing: dict[str, str] = {}
    for title, peer, game, options, every in _GAMES:
        if peer in missing:
            continue
        try:
            theirs = _peer(peer, ask="judge", game=game, options=options)
        except RuntimeError as error:
            missing[peer] = f"{_NAMES[peer]} cannot be run, its rows are missing: {error}"
            print(missing[peer], flush=True)
            continue
        told = {"near": theirs["near"]} if "near" in theirs else {}
        command = [sys.executable, "-m", "benchmarks.mean_field_racer"]
        mine = ask(command, game=game, levels=LEVELS, policy=theirs["policy"], **told)
        both = theirs["exploitability"], mine["exploitability"]
        if abs(both[0] - both[1]) > 1e-6 * max(1.0, abs(both[1])):
            raise RuntimeError(f"{title}: {_NAMES[peer]} finds an exploitability of {both[0]!r}, hurwicz {both[1]!r} at the same policy")
        algorithms = list(dict.fromkeys((tuple(mine["algorithm"]), ("mirror descent", 1.0), ("fictitious play", 0.0))))
        limit = max(0.5, longest * (mine["defaults"][str(min(LEVELS))]["seconds"] or 0.1))
        asked = {"game": game, "options": options, "algorithms": algorithms, "levels": LEVELS, "limit": limit, "every": every}
        found = _peer(peer, ask="races", **asked)
        runs = {f"{kind} ({parameter:.3g})": outcome for (kind, parameter), outcome in zip(algorithms, found, strict=True)}
        row = {"game": title, "peer": f"{_NAMES[peer]} {theirs['version']}", "exploitabilities": both, "ours": mine, "theirs": runs}
        cells = []
        for level in map(str, LEVELS):
            reached = {name: r["reached"][level]["seconds"] for name, r in runs.items() if r["reached"][level]}
            row[f"best to {level}"] = best = min(reached, key=reached.__getitem__) if reached else None
            cells.append(f"{reached[best]:.3g}" if best else "–")
            for way in ("defaults", "one"):
                seconds = mine[way][level]["seconds"]
                row[f"ratio to {level}, {way}"] = ratio = reached[best] / seconds if best and seconds else None
                cells += [f"{seconds:.3g}" if seconds else "–", f"{ratio:.3g}" if ratio else "–"]
        best = row[f"best to {min(LEVELS)}"] or min(runs, key=lambda name: runs[name]["exploitability"])
        compiling = mine["cold"] - (mine["defaults"][str(min(LEVELS))]["seconds"] or 0.0)
        table.add_row(f"{title} ({_NAMES[peer]})", best, f"{runs[best]['seconds_a_step'] * 1e3:.3g}", *cells, f"{compiling:.3g}")
        rows.append(row)
        print(f"{title}: peer {row['best to 0.001']}, ratio to 0.001 by default {row['ratio to 0.001, defaults']}", flush=True)
    Console(width=210).print(table)
    if rows:
        _summary(rows)
    return rows


def _summary(rows: list[dict[str, Any]]) -> None:
    print("exploitabilities of one common policy, peer and hurwicz: " + "; ".join(
        f"{row['game'].split(',')[0]} {row['exploitabilities'][0]:.10g} {row['exploitabilities'][1]:.10g}" for row in rows
    ))  # fmt: skip
    for level in map(str, LEVELS):
        for way, name in (("defaults", "defaults"), ("one", "the tuned iteration")):
            ratios = [row[f"ratio to {level}, {way}"] for row in rows]
            known = [ratio for ratio in ratios if ratio]
            over = sum(ratio >= AIM for ratio in known)
            alone = sum(1 for row in rows if row["ours"][way][level]["seconds"] and not row[f"best to {level}"])
            print(
                f"to {level}, {name}: at least {AIM:g} times less CPU time in {over} of {len(known)} games that both solve"
                + (f", least {min(known):.3g} times" if known else "")
                + f"; only hurwicz arrives within the limit in {alone}"
            )
