"""Proofs by the taxation principle: each agent gets the best of offers that its own report has no say in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from hurwicz._foundation import InputError
from hurwicz.audits.declared_form import Looked, looked_at, once
from hurwicz.audits.deviation_search import misreports
from hurwicz.audits.evaluation import Evaluator
from hurwicz.audits.finding import Finding, Verdict
from hurwicz.audits.profiles import Profiles, row_of, shown
from hurwicz.settings import Menu, Outcomes, Property

_TYPES = 6  # at which an outcome and an offer are compared, the liar's own among them
_MOST = 2_000_000  # entries of a table of outcomes against offers

_Offered = tuple[Float64[np.ndarray, "types batch offers"], Float64[np.ndarray, "batch offers"]]


@dataclass(frozen=True, kw_only=True)
class CheckedMenu(Looked):
    """What declared menus were checked at.

    Attributes:
        free: the most that an agent's cheapest way of staying out is worth or costs to any type looked at.
        lowest: the lowest price offered.
        priced: how far an outcome's payment is from that of the offer that it is.
    """

    free: float
    lowest: float
    priced: float


def by_menu(e: Evaluator, form: Menu, name: str, prior: Any = None) -> tuple[Finding | None, str]:
    """The proof, or None and why there is none.

    DSIC, for no report changes what one may choose from, and the truth gets the best of it; ex post IR where an offer is worth 0; weak
    budget balance where no offer has a price below 0.

    Args:
        e: evaluator.
        form: declared.
        name: the property: of truth, of participation or of the budget.
        prior: where profiles come from; uniform if ``None``.

    Source:
        P. Hammond, Review of Economic Studies 46 (1979); R. Guesnerie (1981).
    """
    seen = once(e, CheckedMenu, lambda alone: _check(alone, form, prior))
    if seen.why:
        return None, seen.why
    e.evaluations += seen.evaluations
    e.scale = max(e.scale, seen.scale)
    said = "each gets the best for it of offers that do not depend on its own report"
    if name == Property.EX_POST_IR:
        if not form.voluntary:
            return None, ""
        if seen.free > 10.0 * e.tolerance:
            return None, f"the declared form does not hold: no offer is worth 0 (the nearest is {seen.free:.3g} from it)"
        said += ", and one of them is worth 0 to every type"
    if name == Property.WEAK_BUDGET_BALANCE:
        if not form.paying:
            return None, ""
        if seen.lowest < -e.tolerance:
            return None, f"the declared form does not hold: an offer has a price of {seen.lowest:.6g}"
        if seen.priced > 10.0 * e.tolerance:
            return None, f"the declared form does not hold: an offer's price is {seen.priced:.3g} from the payment in the outcome"
        said += ", and none of them has a price below 0"
    effort = e.spent(profiles=seen.profiles, deviations=seen.misreports, scale=e.scale, given="the declared form")
    reason = (
        f"proved given the declared form (menu: {said}); the form holds at the {seen.profiles} profiles, corners and ties among them, and "
        f"{seen.misreports} misreports looked at"
    )
    return Finding(name, Verdict.PROVED, 0.0, None, "by form: menu", effort, reason), ""


def _check(e: Evaluator, form: Menu, prior: Any) -> CheckedMenu:
    profiles = looked_at(e, prior)
    truthful = e.outcomes(profiles)
    e.note_scale(truthful, profiles)
    rng = np.random.default_rng(e.seed)
    looked, free, lowest, priced, why = 0, 0.0, np.inf, 0.0, ""
    for done, agent in enumerate(e.agents):
        if why:
            break
        if e.late:
            why = f"the time limit came when the declared form had been looked at for {done} of {len(e.agents)} agents"
            break
        types = _types(profiles[agent])
        worth, prices = offered = _offered(e, form, agent, profiles, types)
        best, own = worth[0].max(axis=1), e.utilities(agent, truthful, profiles[agent])
        k = int(np.argmax(np.abs(best - own)))
        if abs(best[k] - own[k]) > 10.0 * e.tolerance:
            why = (
                f"the declared form does not hold: {agent} ends at {own[k]:.6g}, and the best of its offers is worth {best[k]:.6g} to it, "
                f"at types {shown(row_of(profiles, k))}"
            )
            break
        free, lowest = max(free, float(np.abs(worth).max(axis=0).min(axis=1).max())), min(lowest, float(prices.min()))
        lies = misreports(e.spaces[agent], min(e.effort.deviations, 17), profiles[agent], rng)
        apart, paid, told = _off_the_menu(e, agent, profiles, lies, types, offered)
        looked += lies.shape[0] * lies.shape[1]
        priced = max(priced, paid)
        if apart > 10.0 * e.tolerance:
            why = f"the declared form does not hold: what {agent} gets is none of its offers (by {apart:.3g} at reports {shown(told)})"
    return CheckedMenu(
        profiles=len(profiles[e.agents[0]]),
        misreports=looked,
        evaluations=e.evaluations,
        scale=e.scale,
        free=free,
        lowest=lowest,
        priced=priced,
        why=why,
    )


def _types(own: NDArray[Any]) -> list[NDArray[Any]]:
    # the true types, and those of other profiles: what is worth the same to all of these is the same
    return [own, *(np.roll(own, 1 + 7 * shift, axis=0) for shift in range(_TYPES - 1))]


def _offered(e: Evaluator, form: Menu, agent: str, profiles: Profiles, types: list[NDArray[Any]]) -> _Offered:
    """What each offer is worth to each of the types, and its price."""
    allocation, payments = form.offers(agent, {n: v for n, v in profiles.items() if n != agent})
    batch = len(profiles[agent])
    goods, prices = np.asarray(allocation, dtype=np.float64), np.asarray(payments, dtype=np.float64)
    if len(profiles) == 1 and len(prices) == len(goods) == 1:  # nobody else: the same offers whatever is reported
        goods, prices = np.repeat(goods, batch, axis=0), np.repeat(prices, batch, axis=0)
    if prices.ndim != 2 or len(prices) != batch or goods.shape[:2] != prices.shape or not prices.shape[1]:
        raise InputError(
            f"audit: expected from the menu's offers allocations of shape ({batch}, offers, ...) and payments of shape ({batch}, offers), "
            f"got {goods.shape} and {prices.shape} for {agent!r}"
        )
    if not bool(np.isfinite(goods).all() and np.isfinite(prices).all()):
        raise InputError(f"audit: expected finite offers, got NaN or infinity for {agent!r}")
    count = prices.shape[1]
    flat = Outcomes({agent: goods.reshape(batch * count, *goods.shape[2:])}, {agent: prices.ravel()})
    worth = [e.gross(agent, flat, np.repeat(own, count, axis=0)).reshape(batch, count) - prices for own in types]
    return np.stack(worth), prices


def _off_the_menu(
    e: Evaluator, agent: str, profiles: Profiles, lies: NDArray[Any], types: list[NDArray[Any]], offered: _Offered
) -> tuple[float, float, dict[str, Any]]:
    """How far an outcome is from the nearest offer, in worth and (at that offer or another as near) in payment, and the reports there."""
    worth, prices = offered
    batch, many = lies.shape[:2]
    reports = {n: np.repeat(v, many, axis=0) for n, v in profiles.items()}
    reports[agent] = lies.reshape(batch * many, *lies.shape[2:])
    outcomes = e.outcomes(reports)
    paid = np.asarray(outcomes.payments[agent], dtype=np.float64).reshape(batch, many)
    got = [e.gross(agent, outcomes, np.repeat(own, many, axis=0)).reshape(batch, many) - paid for own in types]
    step = max(1, _MOST // (many * prices.shape[1]))
    farthest, money, told = 0.0, 0.0, row_of(reports, 0)
    for start in range(0, batch, step):
        rows = slice(start, start + step)
        gap = np.zeros((len(paid[rows]), many, prices.shape[1]))
        for utility, worths in zip(got, worth, strict=True):
            gap = np.maximum(gap, np.abs(utility[rows, :, None] - worths[rows, None, :]))
        nearest = gap.min(axis=2)
        row, lie = (int(v) for v in np.unravel_index(int(np.argmax(nearest)), nearest.shape))
        if nearest[row, lie] > farthest:
            farthest, told = float(nearest[row, lie]), row_of(reports, (start + row) * many + lie)
        gap = np.maximum(gap, np.abs(paid[rows, :, None] - prices[rows, None, :]))
        money = max(money, float(gap.min(axis=2).max()))
    return farthest, money, told
