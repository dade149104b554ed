"""Bayes–Nash equilibria of any mechanism in its reports: types and reports on a grid, learning, and the gain that is left, exactly."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float64, Shaped
from numpy.typing import ArrayLike, NDArray

from hurwicz._foundation import FloatArray, InputError, Solution, Status
from hurwicz.equilibria.games import MixedProfile, TabularGame, exploitability, gains
from hurwicz.equilibria.learning import FictitiousPlay, Hedge, RegretMatching
from hurwicz.equilibria.protocol import Dynamics, OutOfTimeError, Progress, drive
from hurwicz.equilibria.tabulation import MOST_ENTRIES, with_outcomes
from hurwicz.settings import DirectMechanism, ExpectedUtility, JointPrior, Outcomes
from hurwicz.typespaces import Box, CorrelatedPrior, DensityPrior, FinitePrior, Independent, Interval, Prior, ProductPrior, Uniform

_ENTRIES = 20_000  # of one agent's table, unless a grid is asked for: slow rules are asked a thousand times or two
_DRAWS = 1 << 14
_ROUNDING = 1e-12


@dataclass(frozen=True)
class ReportEquilibrium:
    """Strategies over reports, and what they leave to gain.

    Attributes:
        mechanism: whose equilibrium it is.
        types: agent name → its types, those of the grid where there was a continuum.
        weights: agent name → their probabilities.
        reports: agent name → reports open to it.
        strategies: agent name → probability of each report for each type.
        epsilon: the largest gain of any type of any agent from any other report of the grid, computed exactly, in units of utility.
        agent: who gains most, its ``type`` and the ``report`` that gains it.
        type: see ``agent``.
        report: see ``agent``.
        revenue: sum_i E[t_i].
        welfare: sum_i E[v_i], the planner's part left aside; where agents are not neutral to risk, the sum of expected utilities.
        ratio: welfare, the planner's part included, over the greatest there is, the price of anarchy of this equilibrium, from seeded
            draws; ``None`` where the greatest is not known, or not above 0.
        ratio_error: its standard error.
        gridded: who had a continuum of types.
    """

    mechanism: DirectMechanism
    types: Mapping[str, Shaped[NDArray[Any], "_types *type"]]
    weights: Mapping[str, Float64[FloatArray, "_types"]]
    reports: Mapping[str, Shaped[NDArray[Any], "_reports *type"]]
    strategies: Mapping[str, Float64[FloatArray, "_types _reports"]]
    epsilon: float
    agent: str
    type: Any
    report: Any
    revenue: float
    welfare: float
    ratio: float | None
    ratio_error: float | None
    gridded: tuple[str, ...]

    def bid(self, agent: str, types: ArrayLike) -> Float64[FloatArray, "*shape"]:
        """The mean report of ``agent`` at the nearest types of the grid; numbers, or vectors along the last axis."""
        known = np.asarray(self.types[agent], dtype=np.float64)
        asked = np.asarray(types, dtype=np.float64)
        flat = asked.reshape(-1, *known.shape[1:])
        apart = np.abs(flat.reshape(len(flat), 1, -1) - known.reshape(1, len(known), -1)).max(axis=2)
        mean = np.tensordot(self.strategies[agent], np.asarray(self.reports[agent], dtype=np.float64), axes=1)
        return np.asarray(mean[apart.argmin(axis=1)].reshape(asked.shape), dtype=np.float64)

    @property
    def certificate(self) -> str:
        """The epsilon in words."""
        where = "continuous types are on a grid, and so is what is said" if self.gridded else "all types are looked at"
        return (
            f"epsilon = {self.epsilon:.3g} among all reports of the grid, exactly ({where}); worst: {self.agent} of type "
            f"{_plain(self.type)}, reporting {_plain(self.report)}"
        )


def report_equilibrium(
    mechanism: DirectMechanism,
    *,
    types: int | None = None,
    reports: int | Mapping[str, ArrayLike] | None = None,
    dynamics: Dynamics[Any, Any, Any] | None = None,
    tolerance: float = 1e-4,
    steps: int = 20_000,
    time_limit: float | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Solution[ReportEquilibrium]:
    """A Bayes–Nash equilibrium of any direct mechanism, its agents choosing among reports on a grid.

    For agents with several numbers, correlated types, attitudes to risk, rules of one's own: whatever answers for a batch of reports. The
    truth is looked at first, then regret matching, fictitious play and Hedge; what leaves least to gain is kept, and judged by
    max_{i, t, r} sum P(t_-i | t) (u_i(t; r, sigma_-i) - u_i(t; sigma)) over every type and report of the grid.

    Args:
        mechanism: with a prior.
        types: cells of each component of a continuum of types; so many that a table has at most 20,000 entries if omitted.
        reports: of each component that is a number on an interval, how many equally spaced ones; or agent → reports; the types if omitted.
        dynamics: what to learn by, instead of the above.
        tolerance: largest gain wanted, as a share of the range of utilities.
        steps: most rounds of each dynamics.
        time_limit: seconds for learning; filling the tables comes before, and takes what the rule takes.
        seed: of the draws that put a continuum of vectors on a grid.
        progress: called with round and gain.

    Returns:
        The profile; ``stats`` say dynamics, rounds, residual, tolerance, ``kind`` (with the grid) and, where the gain is larger than
        wanted, ``why``. Status ``EQUILIBRIUM``, or ``STEP_LIMIT``.

    Raises:
        InputError: no prior, objects as types, or a grid with more than five million entries.

    Example:
        >>> from hurwicz.mechanisms import core_selecting_auction
        >>> local = {"global": ["AB"], "left": ["A"], "right": ["B"]}
        >>> thirds = FinitePrior([[0.0], [0.5], [1.0]])
        >>> found = report_equilibrium(core_selecting_auction(list(local), prior=thirds, interests=local), tolerance=1e-3)
        >>> found.status.ok, bool(found.value.epsilon <= found.stats["tolerance"])
        (True, True)

    Source:
        S. Hart and A. Mas-Colell, Econometrica 68 (2000), for regret matching; R. Myerson, Econometrica 47 (1979), for games of reports.
    """
    if not tolerance > 0.0:
        raise InputError(f"report_equilibrium: expected a tolerance above 0, got {tolerance!r}")
    if time_limit is not None and not time_limit > 0.0:
        raise InputError(f"report_equilibrium: expected a time limit above 0 seconds, got {time_limit!r}")
    began = time.perf_counter()
    common, gridded, count = _on_a_grid(mechanism, types, seed)
    actions = _reports(mechanism, reports)
    _check_size(mechanism, common, actions)
    game, own, open_to, outcomes = with_outcomes(mechanism, actions, common)
    values = [table.max() - table.min() for table in game.payoffs]
    limit = tolerance * max(float(max(values)), 1e-300)
    deadline = math.inf if time_limit is None else time.perf_counter() + time_limit
    run = _learned(game, [_truth(own[n], open_to[n]) for n in game.names], dynamics, limit, steps, deadline, progress)
    size = f"{count} cells a component" if gridded else f"{max(len(t) for t in own.values())} types"
    kind = f"mixed strategies over reports on a grid ({size}{', as types are continuous' if gridded else ''})"
    stats = run.stats | {"tolerance": limit, "kind": kind, "grid": count if gridded else None, "seconds": time.perf_counter() - began}
    stats["why"] = "" if run.status.ok else _why(run.stats)
    return Solution(_judged(mechanism, game, own, open_to, outcomes, run.value, gridded, seed), run.status, stats)


def _check_size(mechanism: DirectMechanism, common: JointPrior, actions: Mapping[str, ArrayLike] | None) -> None:
    types = {name: space.size or 0 for name, space in common.spaces.items()}
    reports = types if actions is None else {name: len(np.asarray(told)) for name, told in actions.items()}
    entries = float(np.prod([float(many) for many in reports.values()])) * max(types.values())
    if entries > MOST_ENTRIES:
        raise InputError(
            f"{getattr(mechanism, 'name', type(mechanism).__name__)}: a table of reports holds at most {MOST_ENTRIES:,} entries, "
            f"{len(reports)} agents with {min(reports.values())} reports or more make {entries:.3g}; take fewer agents, types or reports"
        )


def _learned(
    game: TabularGame,
    truth: Sequence[FloatArray | None],
    dynamics: Dynamics[Any, Any, Any] | None,
    limit: float,
    steps: int,
    deadline: float,
    progress: Progress | None,
) -> Solution[Any]:
    honest = [t for t in truth if t is not None]
    best: Solution[Any] | None = None
    if dynamics is None and len(honest) == len(truth):
        gain = exploitability(game, honest)
        stats = {"dynamics": "truth", "rounds": 0, "residual": gain, "stopped": "tolerance", "trace": []}
        best = Solution(honest, Status.EQUILIBRIUM if gain <= limit else Status.STEP_LIMIT, stats)
        if best.status.ok:
            return best
    plan: list[Dynamics[Any, Any, Any]] = [RegretMatching(), Hedge(recency=2.0), FictitiousPlay()] if dynamics is None else [dynamics]
    tried = []
    for k, rule in enumerate(plan):
        # each has a share of what is left, so that the last ones have their turn
        now = time.perf_counter()
        until = deadline if deadline == math.inf else now + (deadline - now) * (0.6 if k < len(plan) - 1 else 1.0)
        try:
            found = drive(game, rule, steps=steps, tolerance=limit, every=25, progress=progress, deadline=until)
        except OutOfTimeError:
            break
        tried.append({name: found.stats[name] for name in ("dynamics", "rounds", "residual", "stopped")})
        if best is None or found.stats["residual"] < best.stats["residual"]:
            best = found
        if found.status.ok or time.perf_counter() >= deadline:
            break
    if best is None:
        even = [np.full((len(w), size), 1.0 / size) for w, size in zip(game.weights, game.sizes, strict=True)]
        stats = {"dynamics": "none", "rounds": 0, "residual": exploitability(game, even), "stopped": "time limit", "trace": []}
        best = Solution(even, Status.STEP_LIMIT, stats)
    late = not best.status.ok and time.perf_counter() >= deadline
    return replace(best, stats=best.stats | {"tried": tried} | ({"stopped": "time limit"} if late else {}))


def _judged(
    mechanism: DirectMechanism,
    game: TabularGame,
    types: Mapping[str, NDArray[Any]],
    reports: Mapping[str, NDArray[Any]],
    outcomes: Outcomes,
    profile: MixedProfile,
    gridded: tuple[str, ...],
    seed: int,
) -> ReportEquilibrium:
    names, weights = list(game.names), game.weights
    left = [np.where(w > 0.0, g, -np.inf) for g, w in zip(gains(game, profile), weights, strict=True)]
    worst = int(np.argmax([g.max() for g in left]))
    row = int(left[worst].argmax())
    tables = game.utilities(profile)
    utility = sum(float(w @ (table * s).sum(axis=1)) for w, table, s in zip(weights, tables, profile, strict=True))
    mass = game.prior
    for strategy in profile:  # the first axis of types goes, one of reports comes last
        mass = np.tensordot(mass, strategy, axes=(0, 0))
    each = mass.ravel()
    if isinstance(mechanism, ExpectedUtility):
        revenue = sum(float(each @ (np.asarray(outcomes.allocation[n])[:, :, -1] @ mechanism.probabilities)) for n in names)
        welfare = utility
    else:
        revenue = sum(float(each @ np.asarray(outcomes.payments[n])) for n in names)
        welfare = utility + revenue
    ratio, error = _ratio(mechanism, game, types, outcomes, profile, seed)
    return ReportEquilibrium(
        mechanism=mechanism,
        types=types,
        weights=dict(zip(names, weights, strict=True)),
        reports=reports,
        strategies={n: np.asarray(s, dtype=np.float64) for n, s in zip(names, profile, strict=True)},
        epsilon=max(float(left[worst][row]), 0.0),
        agent=names[worst],
        type=types[names[worst]][row],
        report=reports[names[worst]][int(tables[worst][row].argmax())],
        revenue=revenue,
        welfare=welfare,
        ratio=ratio,
        ratio_error=error,
        gridded=gridded,
    )


def _ratio(
    mechanism: DirectMechanism,
    game: TabularGame,
    types: Mapping[str, NDArray[Any]],
    outcomes: Outcomes,
    profile: MixedProfile,
    seed: int,
) -> tuple[float | None, float | None]:
    """E[welfare] over E[greatest welfare] and its standard error, from the same seeded draws of types for both."""
    bounds, reached = getattr(mechanism, "welfare_bounds", None), getattr(mechanism, "welfares", None)
    if bounds is None or reached is None:
        return None, None
    rng = np.random.default_rng([seed, 13])
    rows = np.unravel_index(rng.choice(game.prior.size, size=_DRAWS, p=game.prior.ravel()), game.prior.shape)
    columns = []
    for row, strategy in zip(rows, profile, strict=True):
        cumulative = np.cumsum(strategy, axis=1)[row]
        columns.append(np.minimum((rng.random(_DRAWS)[:, None] >= cumulative).sum(axis=1), strategy.shape[1] - 1))
    flat = np.ravel_multi_index(tuple(columns), game.sizes)
    drawn = {n: types[n][row] for n, row in zip(game.names, rows, strict=True)}
    there = Outcomes({n: np.asarray(outcomes.allocation[n])[flat] for n in game.names}, {n: outcomes.payments[n][flat] for n in game.names})
    best, got = np.asarray(bounds(drawn), dtype=np.float64), np.asarray(reached(there, drawn), dtype=np.float64)
    if not np.all(np.isfinite(best)) or not best.mean() > 0.0:
        return None, None
    ratio = float(got.mean() / best.mean())
    return ratio, float((got - ratio * best).std() / best.mean() / np.sqrt(_DRAWS))


def _truth(types: NDArray[Any], reports: NDArray[Any]) -> FloatArray | None:
    """Each type reporting itself, where all of them may."""
    same = np.all((types[:, None] == reports[None]).reshape(len(types), len(reports), -1), axis=2)
    return np.asarray(same, dtype=np.float64) if bool(np.all(same.sum(axis=1) == 1)) else None


def _on_a_grid(mechanism: DirectMechanism, cells: int | None, seed: int) -> tuple[JointPrior, tuple[str, ...], int]:
    """Beliefs over finitely many types, who had a continuum, and the cells of each of its components."""
    common = getattr(mechanism, "prior", None)
    if not isinstance(common, ProductPrior | CorrelatedPrior):
        raise InputError(f"{getattr(mechanism, 'name', type(mechanism).__name__)}: expected a common prior, the mechanism has none")
    if isinstance(common, CorrelatedPrior) or common.finite:
        return common, (), 0
    if cells is not None and cells < 2:
        raise InputError(f"report_equilibrium: expected at least 2 cells of a continuum, got {cells}")
    gridded = tuple(name for name, own in common.marginals.items() if own.space.size is None)
    if cells is None:
        cells, most = 2, 64
        while cells < most and _entries(common, cells + 1) <= _ENTRIES:
            cells += 1
    made: dict[int, Prior] = {}
    for own in common.marginals.values():
        if id(own) not in made:
            made[id(own)] = own if own.space.size is not None else _cut(own, cells, seed)
    return ProductPrior({name: made[id(own)] for name, own in common.marginals.items()}), gridded, cells


def _entries(common: ProductPrior, cells: int) -> float:
    sizes = [float(own.space.size or len(_middles(own, cells))) for own in common.marginals.values()]
    return float(np.prod(sizes)) * max(sizes)


def _middles(own: Prior, cells: int) -> FloatArray:
    space: Any = own.space
    if isinstance(space, Interval):
        return np.asarray(space.low + (space.high - space.low) * (np.arange(cells) + 0.5) / cells, dtype=np.float64)
    if isinstance(space, Box):
        inset = 0.5 * (space.high - space.low) / cells
        return Box(space.low + inset, space.high - inset).grid(cells)
    return np.asarray(space.grid(cells), dtype=np.float64)


def _cut(own: Prior, cells: int, seed: int) -> FinitePrior:
    """A continuum as the middles of cells with the prior's mass; vectors that are no box, at the nearest point of their space's grid."""
    points, space = _middles(own, cells), own.space
    if isinstance(own, DensityPrior) and isinstance(space, Interval):
        mass = np.diff(np.asarray(own.cdf(np.linspace(space.low, space.high, cells + 1)), dtype=np.float64))
    elif isinstance(own, Independent):
        # a product of marginal masses, in the order of the grid: the last component fastest
        parts = [_cut(part, cells, seed) if part.space.size is None else part for part in own.components]
        return FinitePrior(*Independent(parts).quadrature(1))
    elif isinstance(own, Uniform) and isinstance(space, Box):
        mass = np.full(len(points), 1.0 / len(points))
    else:
        drawn = np.asarray(own.sample(np.random.default_rng([seed, 17]), _DRAWS), dtype=np.float64).reshape(_DRAWS, -1)
        nearest = np.concatenate(
            [np.abs(part[:, None] - points.reshape(1, len(points), -1)).max(axis=2).argmin(axis=1) for part in np.array_split(drawn, 64)]
        )
        mass = np.bincount(nearest, minlength=len(points)) / _DRAWS
    held = mass > _ROUNDING
    return FinitePrior(points[held], mass[held] / mass[held].sum())


def _reports(mechanism: DirectMechanism, reports: int | Mapping[str, ArrayLike] | None) -> Mapping[str, ArrayLike] | None:
    if not isinstance(reports, int):
        return reports
    out: dict[str, ArrayLike] = {}
    for name, space in mechanism.type_spaces.items():
        ends = np.asarray(space.grid(2), dtype=np.float64) if space.grid(2).dtype != object else np.zeros((0, 0))
        if ends.ndim != 1 or reports < 2:
            raise InputError(
                f"report_equilibrium: expected at least 2 reports, for types that are numbers; got {reports} for {name!r} in {space!r}"
            )
        out[name] = np.linspace(float(ends.min()), float(ends.max()), reports)
    return out


def _why(stats: Mapping[str, Any]) -> str:
    if stats["stopped"] == "time limit":
        return "the time limit came first; allow more seconds, a larger tolerance or a coarser grid"
    return "the step limit came first; allow more steps, a larger tolerance or a coarser grid"


def _plain(value: Any) -> str:
    array = np.asarray(value)
    return f"{float(array):.6g}" if array.ndim == 0 and array.dtype != object else str(array.round(6).tolist())
