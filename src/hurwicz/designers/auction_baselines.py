"""Simple selling rules to measure learned ones by: first price, the best reserves, the best posted prices."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray, InputError, Solution, Status, float64_array, float64_scope
from hurwicz.designers.interruption import Interruption
from hurwicz.designers.mean_field_problem import DesignProblem, MeanFieldDesign, auction_problem, evaluate_design, value_of
from hurwicz.designers.searching import Progress
from hurwicz.meanfield import BatchedAuction, FirstPrice, PostedPrice, ReservePrice, Setting

_COARSE = 0.05


def first_price_schedule(
    auction: BatchedAuction | Setting, *, quantities: Float64[FloatArray, " rounds"] | Sequence[float] | None = None, **options: Any
) -> Solution[MeanFieldDesign]:
    """First price that sells a fixed share of the population a round.

    Args:
        auction: an auction or a named setting.
        quantities: one a round; equal parts of the supply if omitted.
        options: of :func:`auction_problem`: ``objective``, ``markets``, ``tau``, ``iterations``, ``rate``.

    Returns:
        The design, with theta ``{"quantity": (rounds,)}``.

    Raises:
        InputError: quantities that are negative or more than the supply.

    Example:
        >>> from hurwicz.meanfield import BatchedAuction
        >>> auction = BatchedAuction(rounds=2, supply=0.5, grid=10)
        >>> round(first_price_schedule(auction, tau=0.01).value.objective, 3)
        0.2

    Source: Corecco et al. (arXiv 2510.21442), section 5, the first baseline.
    """
    inner = auction.auction if isinstance(auction, Setting) else auction
    equal = np.full(inner.rounds, inner.supply / inner.rounds)
    sold = equal if quantities is None else float64_array(quantities, "first price: quantities", shape=(inner.rounds,))
    if bool(np.any(sold < 0.0)) or float(sold.sum()) > inner.supply + 1e-9:
        raise InputError(
            f"first price: expected quantities >= 0 of at most the supply {inner.supply:g} in sum, got a sum of {sold.sum():g}"
        )
    problem = auction_problem(auction, FirstPrice(inner.grid), start=lambda _key: {"quantity": jnp.asarray(sold)}, **options)
    began = time.perf_counter()
    design = evaluate_design(problem, {"quantity": jnp.asarray(sold)})
    stats = {"evaluations": 1, "exploitability": design.exploitability, "seconds": time.perf_counter() - began}
    return Solution(design, Status.EQUILIBRIUM if design.exploitability <= 1e-3 else Status.STEP_LIMIT, stats)


def best_reserve_schedule(
    auction: BatchedAuction | Setting,
    *,
    pieces: int | None = None,
    evaluations: int = 400,
    progress: Progress | None = None,
    **options: Any,
) -> Solution[MeanFieldDesign]:
    """First price with the best reserves that a search finds: one reserve for all rounds first, then each piece of the rounds by itself.

    Reserves between two bids say the same as the higher one, so that the search stays on the grid.

    Args:
        auction: an auction or a named setting.
        pieces: runs of rounds that share a reserve; every round has its own, up to 4, if omitted.
        evaluations: most equilibria to compute.
        progress: called with (equilibria computed, most, best objective so far).
        options: of :func:`auction_problem`.

    Returns:
        The design, with theta ``{"reserve": (rounds,)}``; ``stats["resolution"]`` is the least step of the search, ``stats["interrupted"]``
        whether Ctrl-C ended it: the best until then is returned.

    Raises:
        InputError: no pieces, more than there are rounds, or no evaluations.
        KeyboardInterrupt: Ctrl-C before anything was measured, or again while the best until then was evaluated.
    """
    inner = auction.auction if isinstance(auction, Setting) else auction
    problem = auction_problem(auction, ReservePrice(inner.grid), **options)
    return _best_schedule(problem, "reserve", inner, 1.0 / inner.grid, pieces, evaluations, progress)


def best_posted_prices(
    auction: BatchedAuction | Setting,
    *,
    pieces: int | None = None,
    resolution: float | None = None,
    evaluations: int = 400,
    progress: Progress | None = None,
    **options: Any,
) -> Solution[MeanFieldDesign]:
    """The best posted prices that a search finds: one price for all rounds first, then each piece of the rounds by itself.

    A price between two bids is another rule than its neighbours on the grid: the same bidders are asked for less, and at tau > 0 the least
    of them buy more surely. The search therefore goes down to a fraction of the grid.

    Args:
        auction: an auction or a named setting.
        pieces: runs of rounds that share a price; every round has its own, up to 4, if omitted.
        resolution: least step of the search; a twentieth of the grid if omitted.
        evaluations: most equilibria to compute.
        progress: called with (equilibria computed, most, best objective so far).
        options: of :func:`auction_problem`.

    Returns:
        The design, with theta ``{"price": (rounds,)}``; ``stats`` as of :func:`best_reserve_schedule`.

    Raises:
        InputError: no pieces, more than there are rounds, no evaluations, or a resolution outside (0, 1).
        KeyboardInterrupt: Ctrl-C before anything was measured, or again while the best until then was evaluated.

    Example:
        >>> from hurwicz.meanfield import BatchedAuction
        >>> auction = BatchedAuction(rounds=1, supply=0.8, grid=10)
        >>> found = best_posted_prices(auction, tau=0.005, resolution=0.01)
        >>> found.value.theta["price"].round(2).tolist(), round(found.value.objective, 3)
        ([0.49], 0.239)
    """
    inner = auction.auction if isinstance(auction, Setting) else auction
    least = 0.05 / inner.grid if resolution is None else resolution
    if not 0.0 < least < 1.0:
        raise InputError(f"posted prices: expected a resolution in (0, 1), got {least}")
    problem = auction_problem(auction, PostedPrice(inner.grid), **options)
    return _best_schedule(problem, "price", inner, least, pieces, evaluations, progress)


def _best_schedule(
    problem: DesignProblem,
    name: str,
    auction: BatchedAuction,
    resolution: float,
    pieces: int | None,
    evaluations: int,
    progress: Progress | None,
) -> Solution[MeanFieldDesign]:
    count = min(auction.rounds, 4) if pieces is None else pieces
    if not 1 <= count <= auction.rounds or evaluations < 1:
        raise InputError(
            f"{problem.name}: expected pieces between 1 and the {auction.rounds} rounds and evaluations >= 1, got {count} and {evaluations}"
        )
    began = time.perf_counter()
    part = np.arange(auction.rounds) * count // auction.rounds
    seen: dict[tuple[int, ...], float] = {}
    history: list[float] = []
    stop = Interruption()
    with float64_scope():
        value = value_of(problem)

        def measured(ticks: tuple[int, ...]) -> float:
            if ticks not in seen:
                if len(history) >= evaluations:
                    return -np.inf  # spent: nothing more is found better
                found = float(value({name: jnp.asarray(np.asarray(ticks)[part] * resolution)}))
                seen[ticks] = found if np.isfinite(found) else -np.inf
                history.append(seen[ticks])
                if progress is not None:
                    progress(len(history), evaluations, max(history))
            return seen[ticks]

        with stop.ends():
            _climb_by_steps(measured, count, resolution, auction.grid)
        if not seen:
            raise KeyboardInterrupt
        best = max(seen, key=lambda ticks: seen[ticks])
        schedule = np.asarray(best)[part] * resolution
        design = stop.outlasted(lambda: evaluate_design(problem, {name: jnp.asarray(schedule)}, history=np.asarray(history)))
    stats = {
        "evaluations": len(history),
        "interrupted": stop.stopped,
        "resolution": resolution,
        "exploitability": design.exploitability,
        "seconds": time.perf_counter() - began,
    }
    whole = len(history) < evaluations and not stop.stopped
    return Solution(design, Status.LOCAL_OPTIMUM if whole else Status.STEP_LIMIT, stats)


def _climb_by_steps(measured: Callable[[tuple[int, ...]], float], count: int, resolution: float, grid: int) -> None:
    """One level for all by sweeps and ever smaller steps, then a compass search piece by piece; ticks are multiples of the resolution."""
    top = round(1.0 / resolution) - 1
    coarse, cell = max(1, round(_COARSE / resolution)), max(1, round(1.0 / grid / resolution))

    def best_of(levels: Iterable[int]) -> int:
        return max((t for t in levels if 0 <= t <= top), key=lambda t: measured((t,) * count))

    level = best_of(range(0, top + 1, coarse))
    # what pays is a price a little below a bid: the sweep of the neighbourhood looks there
    below = cell // 5
    level = best_of((level, *range(cell * ((level - coarse) // cell) - below, level + coarse + 1, cell)))
    fine = [size for size in (cell // 4, cell // 10, 1) if 1 <= size < cell]
    for size in fine:
        level = best_of((level, level - size, level + size))
    if count == 1:
        return
    here = (level,) * count
    for size in dict.fromkeys((coarse, max(cell, coarse // 3), cell, *fine)):
        moved = True
        while moved:
            moved = False
            for k in range(count):
                for t in (here[k] - size, here[k] + size):
                    there = (*here[:k], t, *here[k + 1 :])
                    if 0 <= t <= top and measured(there) > measured(here):
                        here, moved = there, True
