"""Exact Nash equilibria of small finite games, through Gambit; and what equilibria cost in welfare."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray, InputError, MissingExtraError, SolverError
from hurwicz.equilibria.games import FiniteGame, MixedProfile, exploitability

_METHODS = ("enumeration", "linear complementarity", "linear program", "polynomial systems", "global Newton", "pure")


def _gambit() -> Any:
    try:
        import pygambit
    except ImportError as error:
        raise MissingExtraError("mixed equilibria are computed by Gambit, which is not installed; pip install 'hurwicz[gambit]'") from error
    return pygambit


def nash_equilibria(
    game: FiniteGame, *, method: str | None = None, tolerance: float = 1e-8
) -> list[list[Float64[FloatArray, "1 _actions"]]]:
    """Nash equilibria of a small game in strategic form, each verified here: what leaves a gain is not passed on.

    Args:
        game: strategic form.
        method: ``"enumeration"`` (two players: all extreme equilibria),
            ``"linear complementarity"`` (two players: Lemke–Howson), ``"linear program"`` (two players, zero sum), ``"polynomial systems"``
            (any number of players: supports one by one; isolated equilibria, and now and then it misses one), ``"global Newton"`` (any
            number of players: some equilibria, accurately) or ``"pure"`` (own enumeration, needs no Gambit). By default enumeration for
            two players, and what polynomial systems and global Newton find together for more: not always all of them.
        tolerance: largest gain of a deviation, as a share of the range of payoffs, for an equilibrium to be passed on.

    Returns:
        Profiles, one array (1, actions) a player.

    Raises:
        InputError: an unknown method, or one for other numbers of players.
        MissingExtraError: Gambit is not installed.
        SolverError: nothing that came back is an equilibrium.

    Example:
        >>> stag = FiniteGame([[[4.0, 1.0], [3.0, 3.0]], [[4.0, 3.0], [1.0, 3.0]]])
        >>> [[row.tolist() for row in profile] for profile in nash_equilibria(stag, method="pure")]
        [[[[1.0, 0.0]], [[1.0, 0.0]]], [[[0.0, 1.0]], [[0.0, 1.0]]]]

    Source:
        R. Savani and T. L. Turocy, Gambit: the package for computation in game theory (2025).
    """
    players = len(game.payoffs)
    if method is not None and method not in _METHODS:
        raise InputError(f"nash_equilibria: expected a method among {list(_METHODS)}, got {method!r}")
    if method == "pure":
        return [game.pure(actions) for actions in game.pure_equilibria()]
    if players != 2 and method in {"enumeration", "linear complementarity", "linear program"}:
        raise InputError(f"nash_equilibria: {method!r} is for two players, the game has {players}; use 'polynomial systems'")
    gambit = _gambit()
    table = gambit.Game.from_arrays(*game.payoffs)
    solvers = {
        "enumeration": lambda: gambit.nash.enummixed_solve(table, rational=False),
        "linear complementarity": lambda: gambit.nash.lcp_solve(table, rational=False),
        "linear program": lambda: gambit.nash.lp_solve(table, rational=False),
        "polynomial systems": lambda: gambit.nash.enumpoly_solve(table),
        "global Newton": lambda: gambit.nash.gnm_solve(table),
    }
    asked = (method,) if method is not None else ("enumeration",) if players == 2 else ("polynomial systems", "global Newton")
    span = max(float(np.ptp(u)) for u in game.payoffs) or 1.0
    out: list[list[FloatArray]] = []
    worst = 0.0
    for name in asked:
        for each in solvers[name]().equilibria:
            raw = [np.asarray([[float(each[strategy]) for strategy in player.strategies]]) for player in table.players]
            profile = [np.maximum(p, 0.0) / np.maximum(p, 0.0).sum() for p in raw]
            gain = exploitability(game, profile)
            worst = max(worst, gain)
            known = any(all(np.allclose(p, q, atol=1e-6) for p, q in zip(profile, other, strict=True)) for other in out)
            if gain <= tolerance * span and not known:
                out.append(profile)
    if not out:
        raise SolverError(
            f"nash_equilibria: {' and '.join(asked)} found no equilibrium that leaves no gain (at best {worst:.3g}); try another method",
        )
    return out


def welfare_ratios(game: FiniteGame, equilibria: Sequence[MixedProfile]) -> tuple[float, float]:
    """Price of anarchy and price of stability over the equilibria given, as shares of the greatest welfare.

    PoA = min over equilibria of W / max W, PoS = max over equilibria of W / max W (Koutsoupias and Papadimitriou 1999; Anshelevich and
    others 2004); over all equilibria only if all are given.

    Raises:
        InputError: no equilibria, or a greatest welfare that is not above 0.

    Example:
        >>> stag = FiniteGame([[[4.0, 1.0], [3.0, 3.0]], [[4.0, 3.0], [1.0, 3.0]]])
        >>> welfare_ratios(stag, nash_equilibria(stag, method="pure"))
        (0.75, 1.0)
    """
    if not equilibria:
        raise InputError("welfare_ratios: expected at least one equilibrium, got none")
    if not game.best_welfare > 0.0:
        raise InputError(f"welfare_ratios: expected a greatest welfare above 0, got {game.best_welfare:.6g}; there is no ratio")
    each = [game.welfare(profile) / game.best_welfare for profile in equilibria]
    return min(each), max(each)
