"""The reverse of a mechanism: buyers become sellers, values become costs, and everybody's strategic situation stays what it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, TypeVar, overload

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from hurwicz._foundation import InputError
from hurwicz.mechanisms.multi_parameter import Allocation, MultiParameterMechanism, PaymentsOf, Reports
from hurwicz.mechanisms.single_parameter import Bids, Payments, Shares, SingleParameterMechanism
from hurwicz.settings import AffineMaximiser, Claim, JointPrior, Lottery, Outcomes, PaymentIdentity, Property
from hurwicz.typespaces import Finite, TypeSpace, mirrored_jointly

_PROFILES = 256  # looked at for one at which the buyer pays
_ROUNDING = 1e-12
_Made = TypeVar("_Made", SingleParameterMechanism, MultiParameterMechanism)

# Utilities are the same numbers, and so is all that is said in them alone; welfare is, as the buyer's value of a unit is counted.
_CARRIED = {
    Property.DSIC,
    Property.BIC,
    Property.EX_POST_IC,
    Property.EX_POST_IR,
    Property.INTERIM_IR,
    Property.EX_ANTE_IR,
    Property.EFFICIENCY,
    Property.FEASIBILITY,
    Property.PLANNER_IR,
    Property.MONOTONICITY,
    Property.ENVY_FREENESS,
    Property.ANONYMITY,
    Property.COLLUSION_PROOF_PAIRS,
    Property.FALSE_NAME_PROOF,
    "optimal_revenue",
}


@overload
def reverse(mechanism: SingleParameterMechanism, *, about: float | None = None) -> SingleParameterMechanism: ...


@overload
def reverse(mechanism: MultiParameterMechanism, *, about: float | None = None) -> MultiParameterMechanism: ...


def reverse(
    mechanism: SingleParameterMechanism | MultiParameterMechanism, *, about: float | None = None
) -> SingleParameterMechanism | MultiParameterMechanism:
    """The reverse of an auction: one buyer, sellers with costs, the rule turned round.

    A seller of cost c plays the bidder of value p - c:  x'(c) = x(p - c),  t'(c) = t(p - c) - p x(p - c)

    It is paid p for each unit less what the bidder would have paid, so that p x - t - c x = (p - c) x - t: both have the same utility
    after every report. The buyer holds a unit to be worth p, so welfare and the planner's gain are the same too. Hence claims about
    truth, participation, efficiency, monotony, envy, anonymity, false names and pairs carry over as they are; "nobody is ever paid"
    becomes "the buyer never pays more than the units are worth"; claims about the auctioneer as a liar are dropped (an invented seller
    cannot deliver), and what is said of budgets is read off the reverse itself. The reverse of the reverse is the mechanism.

    Args:
        mechanism: one whose agents all receive or all give, with one number each, or one for each of several units of one good.
        about: p, in money for a unit: the highest price, and what a unit is worth to the buyer. The lowest type there may be plus the
            highest, so that the same numbers are types again, if omitted.

    Returns:
        A mechanism of the same kind with the sides turned and the types mirrored about p.

    Raises:
        InputError: buyers and sellers in one mechanism, or types that are bundles' values: see ``procurement_vcg`` for those.

    Example:
        >>> from hurwicz.mechanisms import first_price, second_price
        >>> paid = {make.__name__: reverse(make(["ann", "bob"])).outcome({"ann": 0.4, "bob": 0.7}).payments for make in
        ...     (first_price, second_price)}
        >>> [round(p["ann"], 9) for p in paid.values()]  # the lower ask wins: its own price, or the other's
        [-0.4, -0.7]

    Source:
        W. Vickrey, "Counterspeculation, auctions, and competitive sealed tenders", Journal of Finance 16 (1961), for tenders as auctions
        turned round; V. Krishna, Auction Theory, 2nd ed. (2010).
    """
    if isinstance(mechanism, SingleParameterMechanism):
        sides = set(mechanism.sides.tolist())
    else:
        sides = {mechanism.side(name) for name in mechanism.agents}
    if len(sides) > 1:
        raise InputError(f"reverse: expected agents who all receive or all give, got both sides in {mechanism.name!r}")
    pivot = _pivot(mechanism) if about is None else float(about)
    if not np.isfinite(pivot):
        raise InputError(f"reverse: expected a finite price to turn about, got {about!r}")
    side = float(sides.pop())
    prior = mirrored_jointly(mechanism.prior, pivot)
    if isinstance(mechanism, SingleParameterMechanism):
        made = _single(mechanism, pivot, side, prior)
        return replace(made, guarantees=(*_carried(mechanism.guarantees), *_planner(mechanism, side), *_budget(made)))
    _units_of_one_good(mechanism)
    several = _several(mechanism, pivot, side, prior)
    kept = [claim for claim in mechanism.guarantees if claim.property != Property.PLANNER_IR]
    return replace(several, guarantees=(*_carried(kept), *_budget(several)))


def _single(mechanism: SingleParameterMechanism, pivot: float, side: float, prior: JointPrior) -> SingleParameterMechanism:
    spaces, price = list(mechanism.type_spaces.values()), side * pivot

    def turned(costs: Bids) -> Bids:
        return np.stack([back(space, pivot - costs[:, i]) for i, space in enumerate(spaces)], axis=1)

    def rule(costs: Bids) -> tuple[Shares, Payments]:
        shares, payments = mechanism.decide(turned(costs))
        return shares, np.asarray(payments - price * shares, dtype=np.float64)

    def cost(shares: Shares) -> Float64[np.ndarray, " batch"]:
        own = 0.0 if mechanism.cost is None else mechanism.cost(shares)
        return np.asarray(own - price * shares.sum(axis=1), dtype=np.float64)

    efficient, form = mechanism.efficient, mechanism.form
    if isinstance(form, AffineMaximiser):
        form = _maximiser(form, price, lambda outcomes, name: np.asarray(outcomes.allocation[name], dtype=np.float64))
    elif isinstance(form, PaymentIdentity):
        form = replace(form, paying=False)
    else:
        form = _parts_turned(form, pivot)
    return replace(
        mechanism,
        name=_name(mechanism.name),
        rule=rule,
        prior=prior,
        sides=-mechanism.sides,
        cost=cost,
        efficient=None if efficient is None else lambda costs: efficient(turned(costs)),
        formula=_formula(mechanism.formula, pivot, side),
        resized=_resized(mechanism.resized, pivot),
        form=form,
        revenue_bound=None,
    )


def _several(mechanism: MultiParameterMechanism, pivot: float, side: float, prior: JointPrior) -> MultiParameterMechanism:
    price = side * pivot

    def turned(costs: Reports) -> Reports:
        return {name: back(space, pivot - np.asarray(costs[name], dtype=np.float64)) for name, space in mechanism.type_spaces.items()}

    def rule(costs: Reports) -> tuple[Allocation, PaymentsOf]:
        allocation, payments = mechanism.rule(turned(costs))
        return allocation, {name: np.asarray(paid - price * allocation[name].sum(axis=1)) for name, paid in payments.items()}

    efficient, form = mechanism.efficient, mechanism.form
    if isinstance(form, AffineMaximiser):
        form = _maximiser(form, price, lambda outcomes, name: np.asarray(outcomes.allocation[name], dtype=np.float64).sum(axis=1))
    else:
        form = _parts_turned(form, pivot)
    return replace(
        mechanism,
        name=_name(mechanism.name),
        rule=rule,
        prior=prior,
        sides=dict.fromkeys(mechanism.agents, -side),
        efficient=None if efficient is None else lambda costs: efficient(turned(costs)),
        formula=_formula(mechanism.formula, pivot, side),
        resized=_resized(mechanism.resized, pivot),
        form=form,
    )


def back(space: TypeSpace, types: NDArray[Any]) -> NDArray[Any]:
    """Types turned back, at the type of ``space`` that they are but for rounding."""
    if isinstance(space, Finite) and space.values.ndim == 1:
        known = np.sort(np.asarray(space.values, dtype=np.float64))
        place = np.clip(np.searchsorted(known, types), 1, max(1, len(known) - 1))
        near = known[np.minimum(place, len(known) - 1)]
        near = np.where(np.abs(known[place - 1] - types) <= np.abs(near - types), known[place - 1], near)
    else:
        near = space.clip(types)
    apart = np.abs(near - types) > _ROUNDING * np.maximum(1.0, np.abs(types))
    return np.asarray(np.where(apart, types, near), dtype=np.float64)


def _pivot(mechanism: SingleParameterMechanism | MultiParameterMechanism) -> float:
    ends = [np.asarray(space.grid(2), dtype=np.float64) for space in mechanism.type_spaces.values()]
    return min(float(end.min()) for end in ends) + max(float(end.max()) for end in ends)


def _units_of_one_good(mechanism: MultiParameterMechanism) -> None:
    # p - theta_k is a cost of the k-th unit only where theta_k is the value of one unit more
    for name, space in mechanism.type_spaces.items():
        for grid in (space.grid(3), (_pivot(mechanism) - space.grid(3))):
            if bool(np.all(np.diff(grid, axis=1) <= 0.0)) or bool(np.all(np.diff(grid, axis=1) >= 0.0)):
                break
        else:
            raise InputError(
                f"reverse: expected one number an agent or marginal values of units of one good, got types of {name!r} in {space!r}; "
                "for bundles see procurement_vcg"
            )


def _maximiser(form: AffineMaximiser, price: float, units: Callable[[Outcomes, str], Float64[np.ndarray, " batch"]]) -> AffineMaximiser:
    def boost(outcomes: Outcomes) -> Float64[np.ndarray, " batch"]:
        worth = sum(form.weights[name] * price * units(outcomes, name) for name in outcomes.allocation)
        return np.asarray(worth if form.boost is None else worth + form.boost(outcomes), dtype=np.float64)

    # who gets nothing of the best for the others still does; with its price counted, another outcome would be better
    return AffineMaximiser(form.weights, boost, "leave-one-out" if form.pivot else "")


def _parts_turned(form: Any, pivot: float) -> Lottery | None:
    # offers are written in terms of what was turned round: a menu is not carried over
    if not isinstance(form, Lottery):
        return None
    parts: list[tuple[float, Any]] = list(form.parts)
    return Lottery([(chance, reverse(part, about=pivot)) for chance, part in parts])


def _carried(claims: Iterable[Claim]) -> list[Claim]:
    kept = [claim for claim in claims if claim.property in _CARRIED]
    return [replace(claim, when=f"turned round: {claim.when}") if claim.when else claim for claim in kept]


def _planner(mechanism: SingleParameterMechanism, side: float) -> list[Claim]:
    if mechanism.cost is not None or side < 0.0 or any(claim.property == Property.PLANNER_IR for claim in mechanism.guarantees):
        return []
    return [
        Claim(Property.PLANNER_IR, claim.holds, "each unit is worth the price that all is turned about", claim.source)
        for claim in mechanism.guarantees
        if claim.property == Property.WEAK_BUDGET_BALANCE
    ]


def _budget(mechanism: SingleParameterMechanism | MultiParameterMechanism) -> list[Claim]:
    # a profile at which money leaves the buyer settles it; where none is seen nothing is said
    profiles = mechanism.prior.sample(np.random.default_rng(0), _PROFILES)
    payments = mechanism.outcomes(profiles).payments
    collected = np.asarray(sum(payments[name] for name in mechanism.agents), dtype=np.float64)
    source = mechanism.source or "shown by a profile"
    short, uneven = bool(np.any(collected < -1e-6)), bool(np.any(np.abs(collected) > 1e-6))
    return [
        *([Claim(Property.WEAK_BUDGET_BALANCE, False, "the buyer pays", source)] if short else []),
        *([Claim(Property.STRONG_BUDGET_BALANCE, False, "the buyer pays", source)] if uneven else []),
    ]


def _resized(resized: Callable[[Any], _Made] | None, pivot: float) -> Callable[[Any], _Made] | None:
    return None if resized is None else lambda names: reverse(resized(names), about=pivot)


def _name(name: str) -> str:
    return name.removesuffix(" (reverse)") if name.endswith(" (reverse)") else f"{name} (reverse)"


def _formula(formula: str, pivot: float, side: float) -> str:
    return f"with b = {pivot:g} - the report: {formula}; then t_i {'-' if side > 0.0 else '+'}= {pivot:g} x_i"
