"""Bayes–Nash equilibria of mechanisms, within a tolerance and a time."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any, overload

from numpy.typing import ArrayLike

from hurwicz._foundation import InputError, NotConvergedError, Solution
from hurwicz.equilibria.certificate import bid_span
from hurwicz.equilibria.equilibrium import Equilibrium
from hurwicz.equilibria.interim import Route
from hurwicz.equilibria.protocol import Dynamics, Progress
from hurwicz.equilibria.reports_on_a_grid import ReportEquilibrium, report_equilibrium
from hurwicz.equilibria.sealed_bid_search import Search
from hurwicz.mechanisms import SingleParameterMechanism
from hurwicz.settings import DirectMechanism
from hurwicz.typespaces import FinitePrior, ProductPrior


@overload
def bayes_nash(  # type: ignore[overload-overlap]
    mechanism: SingleParameterMechanism,
    *,
    strategies: str = "auto",
    dynamics: Dynamics[Any, Any, Any] | None = None,
    knots: int = 201,
    types: int | None = None,
    bids: int | ArrayLike | Mapping[str, ArrayLike] | None = None,
    bid_range: tuple[float, float] | None = None,
    tolerance: float = 1e-4,
    steps: int | None = None,
    route: Route | None = None,
    seed: int = 0,
    strict: bool = True,
    time_limit: float | None = None,
    progress: Progress | None = None,
) -> Solution[Equilibrium]: ...


@overload
def bayes_nash(
    mechanism: DirectMechanism,
    *,
    strategies: str = "auto",
    dynamics: Dynamics[Any, Any, Any] | None = None,
    knots: int = 201,
    types: int | None = None,
    bids: int | ArrayLike | Mapping[str, ArrayLike] | None = None,
    bid_range: tuple[float, float] | None = None,
    tolerance: float = 1e-4,
    steps: int | None = None,
    route: Route | None = None,
    seed: int = 0,
    strict: bool = True,
    time_limit: float | None = None,
    progress: Progress | None = None,
) -> Solution[ReportEquilibrium]: ...


def bayes_nash(
    mechanism: SingleParameterMechanism | DirectMechanism,
    *,
    strategies: str = "auto",
    dynamics: Dynamics[Any, Any, Any] | None = None,
    knots: int = 201,
    types: int | None = None,
    bids: int | ArrayLike | Mapping[str, ArrayLike] | None = None,
    bid_range: tuple[float, float] | None = None,
    tolerance: float = 1e-4,
    steps: int | None = None,
    route: Route | None = None,
    seed: int = 0,
    strict: bool = True,
    time_limit: float | None = None,
    progress: Progress | None = None,
) -> Solution[Equilibrium] | Solution[ReportEquilibrium]:
    """A Bayes–Nash equilibrium of a mechanism, with a certified epsilon.

    For one number an agent, sealed bids; agents with several numbers, or who are not neutral to risk
    (:class:`hurwicz.settings.ExpectedUtility`), choose among reports on a grid: see :func:`report_equilibrium`, which takes over.

    Monotone strategies (types on intervals): the truth if it is one, else :class:`EnvelopeIteration` for identical buyers,
    :class:`BestResponse` and then :class:`Collocation` for the rest; over a continuum of bids. Mixed strategies (finite types, or
    intervals cut into cells) on a grid of bids: :class:`LogitPath`, and :class:`RegretMatching` where that loses its way or the tables
    would not fit. ``"auto"`` goes over to them where no monotone strategies were found, and begins with them where the rule answers a
    continuum of bids in steps, one bid a step. Whatever found it, the certificate is computed afterwards from the strategies alone.

    Args:
        mechanism: single-parameter, types independent; or any other with a prior.
        strategies: ``"monotone"``, ``"mixed"``, or ``"auto"``: mixed ones where a type space is finite, else monotone ones if any.
        dynamics: what to search by, instead of the above.
        knots: values at which monotone strategies are found.
        types: cells of an interval for mixed strategies, 50 if omitted; of each component of other mechanisms' types.
        bids: grid: how many, which, or which for each agent; 801 looked at first (monotone) or 101 (mixed) if omitted.
        bid_range: smallest and largest bid; if omitted the span of the type spaces, for monotone strategies from zero on, or twice and four
            times as high, where buyers press on an end of it (all-pay, third price).
        tolerance: largest gain wanted, as a share of the range of bids; over all bids, except with ``strategies="mixed"`` and finite
            types, where it is the gain among the bids of the grid.
        steps: most rounds of each dynamics.
        route: to interim shares and payments; the fastest that the rule allows if omitted.
        seed: of everything random.
        strict: raise where the tolerance is not met; otherwise the solution says so in its status.
        time_limit: seconds for the search, looked at whenever the rule is asked and between rounds; the certificate of what was reached
            comes on top, on a coarser look.
        progress: called with round and gain.

    Returns:
        The equilibrium; ``stats`` say the dynamics, rounds, seconds, route and gain, what ``tried`` before left, and, where the tolerance
        was not met, ``why``.

    Raises:
        InputError: a mechanism or grid that does not fit, or monotone strategies, a route or a range of bids for agents whose reports are
            not sealed bids of one number.
        NotConvergedError: the gain stayed above the tolerance; ``reached`` holds the solution as far as it got.

    Example:
        >>> from hurwicz.mechanisms import single_parameter
        >>> def pay_own(bids):
        ...     top = bids == bids.max(axis=1, keepdims=True)
        ...     return top / top.sum(axis=1, keepdims=True), bids * top / top.sum(axis=1, keepdims=True)
        >>> found = bayes_nash(single_parameter("first price", pay_own, 3), knots=51).value
        >>> round(float(found.bid("bidder 1", 0.6)), 4), round(found.revenue, 4)  # 2/3 of the value; (n - 1) / (n + 1)
        (0.4, 0.5)
    """
    if not isinstance(mechanism, SingleParameterMechanism):
        given = {"strategies": strategies == "monotone", "route": route is not None, "bid_range": bid_range is not None}
        if any(given.values()) or not (bids is None or isinstance(bids, int | Mapping)):
            raise InputError(
                "bayes_nash: this mechanism's agents choose among reports on a grid: expected types=, and bids= as a number or for each "
                f"agent by name, got {[name for name, is_given in given.items() if is_given] or 'one list of bids for all'}"
            )
        most = 20_000 if steps is None else steps
        options: dict[str, Any] = {"dynamics": dynamics, "tolerance": tolerance, "steps": most, "seed": seed, "progress": progress}
        reported = report_equilibrium(mechanism, types=types, reports=bids, time_limit=time_limit, **options)
        _demand(reported, strict, str(getattr(mechanism, "name", type(mechanism).__name__)))
        return reported
    types = 50 if types is None else types
    finite = isinstance(mechanism.prior, ProductPrior) and any(
        isinstance(p, FinitePrior) or p.space.size is not None for p in mechanism.prior.marginals.values()
    )
    if strategies not in {"auto", "monotone", "mixed"}:
        raise InputError(f"bayes_nash: expected strategies 'auto', 'monotone' or 'mixed', got {strategies!r}")
    if not tolerance > 0.0:
        raise InputError(f"bayes_nash: expected a tolerance above 0, got {tolerance!r}")
    if time_limit is not None and not time_limit > 0.0:
        raise InputError(f"bayes_nash: expected a time limit above 0 seconds, got {time_limit!r}")
    bid_span(mechanism, {}, bid_range)
    search = Search(
        mechanism=mechanism,
        dynamics=dynamics,
        bid_range=bid_range,
        tolerance=tolerance,
        steps=steps,
        route=route,
        seed=seed,
        progress=progress,
        deadline=math.inf if time_limit is None else time.perf_counter() + time_limit,
    )
    if strategies == "mixed" or (strategies == "auto" and finite):
        solution = search.mixed(types, 101 if bids is None else bids)
    else:
        looked = 801 if bids is None else bids
        if not isinstance(looked, int):
            raise InputError(
                "bayes_nash: monotone strategies bid from a continuum; give the number of bids to look at, or strategies='mixed'"
            )
        either = strategies == "auto" and dynamics is None
        solution = search.either(knots, types, looked) if either else search.widened(knots, looked)
    _demand(solution, strict, mechanism.name)
    return solution


def _demand(solution: Solution[Any], strict: bool, name: str) -> None:
    if strict and not solution.status.ok:
        raise NotConvergedError(
            f"{name}: {solution.stats['dynamics']} left a gain of {solution.stats['residual']:.3g} after "
            f"{solution.stats['rounds']} rounds, tolerance {solution.stats['tolerance']:.3g}: {solution.stats['why']}; or strict=False",
            reached=solution,
        )
