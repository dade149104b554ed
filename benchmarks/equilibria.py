"""Equilibria beside Gambit and OpenSpiel: ``python -m benchmarks.equilibria``.

Both sides of a row play the same game in the same run. Where both compute exactly, the answers are compared; where both learn, each runs to
the same exploitability (NashConv: the sum over players of ex ante gains), and the time to check it is left out on both sides.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from hurwicz.equilibria import (
    FiniteGame,
    LogitPath,
    RegretMatching,
    drive,
    exploitability,
    gains,
    nash_equilibria,
    sealed_bid_game,
    tabulate,
)
from hurwicz.mechanisms.single_item import first_price
from hurwicz.typespaces import FinitePrior


def best_of(work: Callable[[], Any], repeat: int = 3) -> tuple[float, Any]:
    """Least seconds of a few runs, and the last result."""
    least, result = float("inf"), None
    for _ in range(repeat):
        began = time.perf_counter()
        result = work()
        least = min(least, time.perf_counter() - began)
    return least, result


def pure_enumeration(sizes: tuple[int, ...]) -> dict[str, Any]:
    """All pure equilibria of a random game."""
    import pygambit

    rng = np.random.default_rng(0)
    tables = [rng.integers(0, 20, size=sizes).astype(float) for _ in sizes]
    game, peer = FiniteGame(tables), pygambit.Game.from_arrays(*tables)
    ours, found = best_of(game.pure_equilibria)
    theirs, other = best_of(lambda: pygambit.nash.enumpure_solve(peer).equilibria, 1)
    assert len(found) == len(other), (found, other)
    return {
        "what": f"all pure equilibria, {'x'.join(map(str, sizes))} ({len(found)} found)",
        "peer": "Gambit",
        "ours": ours,
        "theirs": theirs,
    }


def regret(size: int) -> dict[str, Any]:
    """Largest gain at a mixed profile of a random two-player game."""
    import pygambit

    rng = np.random.default_rng(1)
    tables = [rng.normal(size=(size, size)) for _ in range(2)]
    rows = [rng.dirichlet(np.ones(size)) for _ in range(2)]
    game, peer = FiniteGame(tables), pygambit.Game.from_arrays(*tables)
    profile = peer.mixed_strategy_profile([row.tolist() for row in rows])
    ours, mine = best_of(lambda: exploitability(game, [row[None] for row in rows]), 20)
    theirs, other = best_of(lambda: float(profile.copy().max_regret()))
    assert abs(mine - other) < 1e-9, (mine, other)
    return {"what": f"regret of a mixed profile, {size}x{size}", "peer": "Gambit", "ours": ours, "theirs": theirs}


def bayesian_first_price(types: int, bids: int, target: float = 1e-3) -> dict[str, Any]:
    """First price with a few values and bids: Gambit on the strategic form (exact), learning here (to an interim epsilon)."""
    import pygambit

    auction = first_price(2, prior=FinitePrior(np.linspace(1.0 / types, 1.0, types)))
    grid = np.linspace(0.0, 0.75, bids)
    table, _, _ = tabulate(auction, actions=dict.fromkeys(auction.agents, grid))

    def learn() -> float:
        game = sealed_bid_game(auction, bids=grid)
        rule = RegretMatching()
        state = rule.init(game)
        for _ in range(20_000):
            for _ in range(20):
                state = rule.step(game, state)
            if (left := rule.residual(game, state)) <= target:
                break
        return left

    def exact() -> Any:
        form, plans = table.strategic_form()
        peer = pygambit.Game.from_arrays(*form.payoffs)
        (each, *_) = pygambit.nash.lcp_solve(peer, stop_after=1, rational=False).equilibria
        mixed = [np.asarray([[float(each[s]) for s in player.strategies]]) for player in peer.players]
        return exploitability(table, table.behavioural(mixed, plans))

    ours, epsilon = best_of(learn)
    theirs, left = best_of(exact, 1)
    what = f"first price, {types} values x {bids} bids, interim epsilon {epsilon:.0e} (peer: {left:.0e})"
    return {"what": what, "peer": "Gambit", "ours": ours, "theirs": theirs}


def sealed_auction(highest: int, target: float) -> dict[str, Any]:
    """OpenSpiel's first-price auction (values 1..m, bids below the value, ties at random) by CFR+ there and regret matching here."""
    import pyspiel

    peer = pyspiel.load_game(f"first_sealed_auction(players=2,max_value={highest})")
    solver = pyspiel.CFRPlusSolver(peer)
    theirs, rounds_of_theirs = 0.0, 0
    reached = float("inf")
    while reached > target and theirs < 120.0:
        began = time.perf_counter()
        for _ in range(10):
            solver.evaluate_and_update_policy()
        theirs += time.perf_counter() - began
        rounds_of_theirs += 10
        reached = pyspiel.nash_conv(peer, solver.average_policy())
    auction = first_price(2, prior=FinitePrior(np.arange(1.0, highest + 1.0)))
    began = time.perf_counter()
    game = sealed_bid_game(auction, bids=np.arange(0.0, highest))
    rule = RegretMatching()
    state = rule.init(game)
    ours, rounds, mine = time.perf_counter() - began, 0, float("inf")
    while mine > target and rounds < 100_000:
        began = time.perf_counter()
        for _ in range(10):
            state = rule.step(game, state)
        ours += time.perf_counter() - began
        rounds += 10
        left = gains(game, state.mean)
        # One group of two identical bidders: its ex ante gain counts twice.
        mine = float(sum(len(g) * (w @ x) for g, w, x in zip(game.groups, game.weights, left, strict=True)))
    what = f"first price, values 1..{highest}, NashConv {max(mine, reached):.2g} ({rounds} and {rounds_of_theirs} rounds)"
    return {"what": what, "peer": "OpenSpiel", "ours": ours, "theirs": theirs, "reached": mine, "reached_by_peer": reached}


def own_search(bidders: int, target: float = 1e-4) -> dict[str, Any]:
    """The logit path against regret matching, both here: CPU seconds to one gain on 50 values and 101 bids, compiled beforehand."""
    game = sealed_bid_game(first_price(bidders), types=50, bids=101)
    drive(game, LogitPath(), steps=400, tolerance=target)
    began = time.process_time()
    path = drive(game, LogitPath(), steps=400, tolerance=target)
    ours = time.process_time() - began
    began = time.process_time()
    learned = drive(game, RegretMatching(), steps=4000, tolerance=target, every=25)
    theirs = time.process_time() - began
    what = f"first price, {bidders} bidders, 50 x 101: gain {path.stats['residual']:.1e}, and {learned.stats['residual']:.1e} by learning"
    return {"what": what, "peer": "learning", "ours": ours, "theirs": theirs}


def two_player_enumeration(size: int) -> dict[str, Any]:
    """All extreme equilibria: ours is Gambit's own, called from here, so that the row shows what verification costs."""
    import pygambit

    rng = np.random.default_rng(2)
    tables = [rng.normal(size=(size, size)) for _ in range(2)]
    game = FiniteGame(tables)
    ours, found = best_of(lambda: nash_equilibria(game))
    theirs, other = best_of(lambda: pygambit.nash.enummixed_solve(pygambit.Game.from_arrays(*tables), rational=False).equilibria)
    assert len(found) == len(other)
    return {"what": f"all extreme equilibria through Gambit, verified, {size}x{size}", "peer": "Gambit", "ours": ours, "theirs": theirs}


def run(*, quick: bool = False) -> list[dict[str, Any]]:
    """Print the table; rows of peers that are not installed are left out, and said to be."""
    work: list[Callable[[], dict[str, Any]]] = [
        lambda: pure_enumeration((40, 40) if quick else (100, 100)),
        lambda: pure_enumeration((6, 6, 6, 6)),
        lambda: regret(100 if quick else 200),
        lambda: two_player_enumeration(5),
        lambda: bayesian_first_price(3, 4),
        lambda: sealed_auction(6 if quick else 10, 0.01),
        lambda: own_search(2),
        lambda: own_search(5),
    ]
    if not quick:
        work.append(lambda: sealed_auction(20, 0.01))
    rows = []
    for name in ("pygambit", "open_spiel"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            print(f"{name} {importlib.metadata.version(name)}")
    print(f"{'what':<78} {'peer':<10} {'ours s':>10} {'peer s':>10} {'ratio':>8}")
    for each in work:
        try:
            row = each()
        except ImportError as error:
            missing = f"{error.name or error} is not installed; pip install 'hurwicz[bench,gambit]'"
            print(f"a row is left out: {missing} (on Python 3.11 Gambit is compiled: a C++ compiler and half an hour)")
            continue
        row["ratio"] = row["theirs"] / row["ours"]
        rows.append(row)
        print(f"{row['what']:<78} {row['peer']:<10} {row['ours']:10.5f} {row['theirs']:10.5f} {row['ratio']:8.1f}", flush=True)
    return rows


if __name__ == "__main__":
    from benchmarks import machine

    machine.show(machine.describe())
    run(quick="--quick" in sys.argv)
