"""Pivot payments: is what an agent pays, its own part apart, the best that the others could have had without it?"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from hurwicz._foundation import InputError
from hurwicz.audits.declared_form import Checked, total
from hurwicz.audits.evaluation import Evaluator
from hurwicz.audits.false_names import is_shared
from hurwicz.audits.profiles import Profiles, row_of
from hurwicz.settings import Outcomes, Property
from hurwicz.settings.forms import AffineMaximiser
from hurwicz.typespaces import Box, Interval

_Row = Float64[np.ndarray, " batch"]


def by_pivot(e: Evaluator, form: AffineMaximiser, name: str, seen: Checked) -> str:
    """What speaks against a declared pivot; empty where nothing does.

    w_i h_i, read off the payments, is compared with the greatest A without i: by i's report of the type to which everything is worth 0
    where there is one and the pivot is Clarke's, else by the mechanism for the others (``resized``).

    Args:
        e: evaluator.
        form: declared, and checked but for its pivot.
        name: ``"ex_post_IR"`` or ``"weak_budget_balance"``.
        seen: what it was checked at.
    """
    for agent in e.agents:
        known = _null_report(e, form, agent, seen) if form.pivot == "Clarke" else None
        known = _left_out(e, form, agent, seen) if known is None else known
        if known is None:
            return (
                f"the declared pivot of {agent} cannot be checked: it has no type to which all is worth 0, and there is no mechanism "
                "``resized`` for the others alone"
            )
        best, worth = known
        apart = np.abs(seen.pivots[agent] - best)
        k = int(np.argmax(apart))
        if apart[k] > 10.0 * e.tolerance:
            where = row_of(seen.profiles, k)
            return f"the declared pivot does not hold: {agent} is held to {seen.pivots[agent][k]:.6g}, not {best[k]:.6g}, at types {where}"
        if name == Property.EX_POST_IR and float(worth.min()) < -e.tolerance:
            where = row_of(seen.profiles, int(np.argmin(worth)))
            return f"what is best for the others is worth {worth.min():.3g} to {agent} at types {where}: the pivot proves no participation"
    return ""


def _null_report(e: Evaluator, form: AffineMaximiser, agent: str, seen: Checked) -> tuple[_Row, _Row] | None:
    """The greatest A without the agent, and what the outcome is worth to it, at the report to which everything is worth 0."""
    space = e.spaces[agent]
    own = seen.profiles[agent]
    if not isinstance(space, Interval | Box) or not space.contains(_plain(np.zeros(own.shape[1:]))):
        return None
    zeros = np.zeros_like(own)
    if float(np.abs(e.gross(agent, seen.truthful, zeros)).max()) > 0.0:
        return None
    types: Profiles = {**seen.profiles, agent: zeros}
    outcomes = e.outcomes(types)
    return total(e, form, outcomes, types), e.gross(agent, outcomes, own)


def _left_out(e: Evaluator, form: AffineMaximiser, agent: str, seen: Checked) -> tuple[_Row, _Row] | None:
    """The greatest A of the mechanism for the others, under which the agent gets nothing; of nobody's, that of nothing done."""
    make = getattr(e.mechanism, "resized", None)
    names = [name for name in e.agents if name != agent]
    if not names:
        return _nobody(e, form, agent, seen)
    if make is None:
        return None
    try:
        mechanism = make(names)
    except InputError:  # a mechanism needs so many
        return None
    theirs = getattr(mechanism, "form", None)
    if not isinstance(theirs, AffineMaximiser) or any(name not in theirs.weights for name in names):
        return None
    smaller = Evaluator(mechanism, e.effort, seed=e.seed)
    # one decision for all goes on without it, and is worth something to it; those that are left may all be served as well
    if len(names) > 1 and is_shared(smaller) and is_shared(e):
        return None
    types = {name: seen.profiles[name] for name in names}
    best = total(smaller, theirs, smaller.outcomes(types), types)
    e.evaluations += smaller.evaluations
    return best, np.zeros_like(best)


def _nobody(e: Evaluator, form: AffineMaximiser, agent: str, seen: Checked) -> tuple[_Row, _Row] | None:
    shares = np.asarray(seen.truthful.allocation[agent], dtype=np.float64)
    nothing = Outcomes({agent: np.zeros_like(shares)}, {agent: np.zeros(len(shares))})
    own = e.gross(agent, nothing, seen.profiles[agent])
    if bool(np.any(own != 0.0)):
        return None
    return own if form.boost is None else np.asarray(form.boost(nothing), dtype=np.float64), own


def _plain(value: NDArray[Any]) -> Any:
    return value.item() if value.ndim == 0 else value.tolist()
