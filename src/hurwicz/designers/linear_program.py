"""The best mechanism over finitely many types, by linear programming: constraints of truth are added as lies are found that pay."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray, InputError, Solution, SolverError, Status
from hurwicz.designers.linear_rows import Table, Tables
from hurwicz.mechanisms import MultiParameterMechanism, SingleParameterMechanism
from hurwicz.settings import Claim, JointPrior, Property

_CONITZER = "V. Conitzer and T. Sandholm, Complexity of mechanism design, UAI 2002"
_TOLERANCE = 1e-9  # of gains from lying, relative to the largest value
_OBJECTIVES = ("revenue", "welfare")
_PARTICIPATION = {"ex_post": Property.EX_POST_IR, "interim": Property.INTERIM_IR, "none": None}
_BUDGETS = {
    "none": None,
    "weak": Property.WEAK_BUDGET_BALANCE,
    "strong": Property.STRONG_BUDGET_BALANCE,
    "weak_in_expectation": Property.WEAK_BUDGET_BALANCE_IN_EXPECTATION,
}

Progress = Callable[[str, float], None]


def optimal_mechanism(
    prior: JointPrior,
    *,
    objective: str | Mapping[str, float] = "revenue",
    incentives: str = "DSIC",
    participation: str = "ex_post",
    budget: str = "none",
    supply: Sequence[float] | float = 1.0,
    demand: float | None = None,
    sides: Mapping[str, float] | None = None,
    name: str = "",
    progress: Progress | None = None,
) -> Solution[MultiParameterMechanism | SingleParameterMechanism]:
    """The mechanism of the greatest expected revenue or welfare among all, randomised ones included, over finitely many types.

    max E[sum_i a t_i + b side_i <theta_i, x_i>] over tables x(theta), t(theta), subject to incentives, participation, budget,
    sum_i side_i x_im ≤ supply_m and 0 ≤ x ≤ 1. Values are linear in types, so that shares of items say all that lotteries can.

    Constraints of truth are added where the mechanism so far is worth lying to, until it is nowhere. Agents that may exchange their names,
    and items that may, do so: an optimum averaged over such exchanges is one, and has fewer different entries.

    Args:
        prior: over finitely many types, numbers (one item) or vectors (a number an item), independent or correlated.
        objective: ``"revenue"``, ``"welfare"``, or weights of both.
        incentives: ``"DSIC"`` or ``"BIC"``.
        participation: ``"ex_post"``, ``"interim"``, or ``"none"`` (where revenue has no weight).
        budget: ``"none"``, ``"weak"`` (never a deficit), ``"strong"`` (payments sum to zero), ``"weak_in_expectation"``.
        supply: of each item, or of all; 0 where agents trade with each other only.
        demand: most items that an agent gets in total, in expectation; no limit if omitted.
        sides: agent name → +1 (receives) or -1 (gives); all +1 if omitted.
        name: of the mechanism.
        progress: called with what is going on and the fraction done.

    Returns:
        The mechanism; ``stats`` has ``objective``, ``revenue``, ``welfare``, ``variables`` (after exchanges of names), ``rows``,
        ``rounds``, ``gain`` (the largest from a lie, computed from the table itself, over all lies), ``loss`` (largest from taking part),
        ``seconds``.

    Raises:
        InputError: a prior over infinitely many types, an unknown word, or revenue without participation (it has no bound).
        SolverError: no mechanism satisfies the constraints, or the solver gave up.

    Example:
        >>> from hurwicz.settings import beliefs
        >>> from hurwicz.typespaces import FinitePrior
        >>> best = optimal_mechanism(beliefs(["ann", "bob"], FinitePrior([1.0, 2.0])))
        >>> round(best.stats["revenue"], 9), best.stats["gain"] < 1e-9
        (1.5, True)

    Source: V. Conitzer and T. Sandholm, "Complexity of mechanism design", UAI 2002.
    """
    began = time.perf_counter()
    weights = _weights(objective)
    _known("incentives", incentives, ("DSIC", "BIC"))
    _known("participation", participation, _PARTICIPATION)
    _known("budget", budget, _BUDGETS)
    if weights["revenue"] and participation == "none":
        raise InputError("optimal mechanism: revenue has no bound where nobody may stay away; ask for participation")
    tables = Tables.of(prior, supply, sides)
    program = _Program(tables, weights)
    program.feasible(demand)
    program.balanced(budget)
    program.individually_rational(participation)
    if incentives == "BIC":
        program.truthful_in_expectation()
    rounds, found = 0, program.solve()
    while True:
        rounds += 1
        gain, lies = tables.lies(found, incentives)
        if progress is not None:
            progress(f"round {rounds}: {program.rows} rows, a lie gains {gain:.2g}", min(0.95, rounds / (rounds + 5.0)))
        if gain <= _TOLERANCE * tables.scale:
            break
        if not program.truthful(lies):
            raise SolverError(
                f"optimal mechanism: HiGHS leaves a lie that gains {gain:.3g}, more than its tolerance; scale the values to about 1"
            )
        found = program.solve()
    if progress is not None:
        progress("done", 1.0)
    stats = {
        "objective": weights["revenue"] * tables.revenue(found) + weights["welfare"] * tables.welfare(found),
        "revenue": tables.revenue(found),
        "welfare": tables.welfare(found),
        "variables": tables.variables,
        "rows": program.rows,
        "rounds": rounds,
        "gain": gain,
        "loss": tables.losses(found, participation),
        "seconds": time.perf_counter() - began,
    }
    asked = (Property(incentives), _PARTICIPATION[participation], _BUDGETS[budget])
    claims = tuple(Claim(what, True, "by the constraints of the program", _CONITZER) for what in asked if what is not None)
    title = name or f"greatest {' and '.join(what for what, weight in weights.items() if weight)} by linear program"
    return Solution(tables.mechanism(found, title, claims, _CONITZER), Status.OPTIMUM, stats)


def _weights(objective: str | Mapping[str, float]) -> dict[str, float]:
    given = {objective: 1.0} if isinstance(objective, str) else dict(objective)
    unknown = sorted(set(given) - set(_OBJECTIVES))
    values = [float(weight) for weight in given.values()]
    if unknown or not values or not np.all(np.isfinite(values)) or min(values) < 0.0 or max(values) == 0.0:
        raise InputError(f"objective: expected weights >= 0 of {' and '.join(_OBJECTIVES)}, one of them above 0, got {objective!r}")
    return {what: float(given.get(what, 0.0)) for what in _OBJECTIVES}


def _known(what: str, given: str, words: Any) -> None:
    if given not in words:
        raise InputError(f"{what}: expected one of {', '.join(words)}, got {given!r}")


class _Program:
    """The linear program, in HiGHS, as far as it has been written down."""

    def __init__(self, tables: Tables, weights: Mapping[str, float]) -> None:
        import highspy

        self._highs, self._tables = highspy, tables
        cost = tables.objective(weights)
        # so that the solver's absolute tolerances mean the same whatever there are of profiles, and of money
        self._loudest = float(np.abs(cost).max()) or 1.0
        solver: Any = highspy.Highs()
        solver.setOptionValue("output_flag", False)
        solver.setOptionValue("threads", 1)
        for option in ("primal_feasibility_tolerance", "dual_feasibility_tolerance"):
            solver.setOptionValue(option, 1e-10)
        lower = np.where(tables.is_share, 0.0, -highspy.kHighsInf)
        upper = np.where(tables.is_share, 1.0, highspy.kHighsInf)
        none = np.zeros(0)
        solver.addCols(tables.variables, cost / self._loudest, lower, upper, 0, np.zeros(tables.variables, dtype=np.int32), none, none)
        solver.changeObjectiveSense(highspy.ObjSense.kMaximize)
        self._solver = solver
        self._written: set[tuple[int, ...]] = set()

    @property
    def rows(self) -> int:
        """How many constraints there are."""
        return int(self._solver.getNumRow())

    def feasible(self, demand: float | None) -> None:
        """No more given out than there is, nor to anybody than it may have."""
        self._add(*self._tables.supply_rows(), -np.inf)
        if demand is not None:
            if not demand > 0.0:
                raise InputError(f"demand: expected a number of items > 0, got {demand}")
            self._add(*self._tables.demand_rows(demand), -np.inf)

    def balanced(self, budget: str) -> None:
        """No deficit, as asked."""
        if budget == "none":
            return
        rows = self._tables.payment_rows(in_expectation=budget == "weak_in_expectation")
        self._add(rows, np.full(rows.shape[0], 0.0 if budget == "strong" else np.inf), 0.0)

    def individually_rational(self, participation: str) -> None:
        """Nobody loses by taking part."""
        if participation != "none":
            rows = self._tables.participation_rows(in_expectation=participation == "interim")
            self._add(rows, np.full(rows.shape[0], np.inf), 0.0)

    def truthful_in_expectation(self) -> None:
        """Every lie of every type at once: they are few, and long."""
        rows = self._tables.interim_truth_rows()
        self._add(rows, np.full(rows.shape[0], np.inf), 0.0)

    def truthful(self, lies: Any) -> bool:
        """Add the lies that pay; False where all of them are forbidden already."""
        rows = self._tables.truth_rows(lies)
        new = [k for k in range(rows.shape[0]) if self._remember(rows, k)]
        if new:
            self._add(rows[new], np.full(len(new), np.inf), 0.0)
        return bool(new)

    def solve(self) -> Table:
        """The optimum so far, as a table.

        Raises:
            SolverError: there is none.
        """
        self._solver.run()
        status = self._solver.getModelStatus()
        if status != self._highs.HighsModelStatus.kOptimal:
            said = self._solver.modelStatusToString(status)
            raise SolverError(
                f"optimal mechanism: no mechanism was found (HiGHS: {said}); if infeasible, no mechanism has all that is asked: "
                "relax the budget, participation, or incentives"
            )
        return self._tables.spread(np.asarray(self._solver.getSolution().col_value))

    def _remember(self, rows: Any, k: int) -> bool:
        key = (*rows.indices[rows.indptr[k] : rows.indptr[k + 1]].tolist(), *rows.data[rows.indptr[k] : rows.indptr[k + 1]].tolist())
        fresh = key not in self._written
        self._written.add(key)
        return fresh

    def _add(self, rows: Any, upper: Float64[FloatArray, " rows"], lower: float) -> None:
        infinity = self._highs.kHighsInf
        self._solver.addRows(
            rows.shape[0],
            np.full(rows.shape[0], lower if np.isfinite(lower) else -infinity),
            np.where(np.isfinite(upper), upper, infinity),
            rows.nnz,
            rows.indptr[:-1].astype(np.int32),
            rows.indices.astype(np.int32),
            rows.data.astype(np.float64),
        )
