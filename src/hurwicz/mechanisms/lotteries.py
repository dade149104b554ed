"""A draw among mechanisms, as the mechanism of its expectations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from hurwicz._foundation import InputError
from hurwicz.mechanisms.multi_parameter import Allocation, MultiParameterMechanism, PaymentsOf, Reports
from hurwicz.mechanisms.single_parameter import Bids, Payments, Shares, SingleParameterMechanism
from hurwicz.settings import JointPrior, Lottery
from hurwicz.typespaces.spaces import same_space

_Made = TypeVar("_Made", SingleParameterMechanism, MultiParameterMechanism)


def lottery_over(parts: Sequence[_Made], chances: Sequence[float] | None = None, *, name: str = "") -> _Made:
    """One of several mechanisms, by a draw that does not depend on the reports: its expected outcome and payments.

    x(r) = sum_k p_k x^k(r),  t(r) = sum_k p_k t^k(r)

    It is declared to be a :class:`hurwicz.settings.Lottery`, so that the auditor proves it where it proves every part. Supply, the greatest
    welfare and the bound on revenue are the first part's: parts are rules for one setting.

    Args:
        parts: for the same agents, types and sides, none with a planner's cost.
        chances: of each, above 0 and 1 in all; equal if omitted.
        name: of the mechanism; what it is drawn from if omitted.

    Raises:
        InputError: no parts, chances that are none, parts of different kinds, agents, types or sides, or with a cost.

    Example:
        >>> from hurwicz.mechanisms import posted_price
        >>> either = lottery_over([posted_price(1, price=0.2), posted_price(1, price=0.6)])
        >>> outcome = either.outcome({"bidder 1": 0.5})
        >>> outcome.allocation["bidder 1"].item(), outcome.payments["bidder 1"]
        (0.5, 0.1)

    Source:
        N. Nisan and A. Ronen, "Algorithmic mechanism design", Games and Economic Behavior 35 (2001), section 5.
    """
    if not parts:
        raise InputError("lottery_over: expected at least one mechanism, got none")
    weights = [1.0 / len(parts)] * len(parts) if chances is None else [float(p) for p in chances]
    if len(weights) != len(parts):
        raise InputError(f"lottery_over: expected a chance for each of {len(parts)} mechanisms, got {len(weights)}")
    form = Lottery(tuple(zip(weights, parts, strict=True)))
    for part in parts:
        _alike(parts[0], part)
    called = name or f"lottery over {' and '.join(dict.fromkeys(part.name for part in parts))}"
    makers = [part.resized for part in parts]

    def resized(names: Sequence[str]) -> _Made:
        return lottery_over([make(names) for make in makers if make is not None], weights, name=called)

    first: Any = parts[0]
    made: _Made = replace(
        first,
        rule=_Drawn(form.parts) if isinstance(first, SingleParameterMechanism) else _several(parts, weights),
        name=called,
        form=form,
        guarantees=(),
        formula="; ".join(f"with chance {p:.6g}: {part.formula}" for p, part in zip(weights, parts, strict=True)),
        source="; ".join(dict.fromkeys(part.source for part in parts)),
        resized=resized if all(make is not None for make in makers) else None,
    )
    return made


@dataclass(frozen=True)
class _Drawn:
    """Expected shares and payments of a draw among rules of one number each."""

    parts: Sequence[tuple[float, Any]]

    def over(self, prior: JointPrior) -> _Drawn:
        return _Drawn([(p, part.with_prior(prior)) for p, part in self.parts])

    def __call__(self, bids: Bids) -> tuple[Shares, Payments]:
        each = [(p, *part.decide(bids)) for p, part in self.parts]
        return np.asarray(sum(p * shares for p, shares, _ in each)), np.asarray(sum(p * paid for p, _, paid in each))


def _several(parts: Sequence[Any], weights: list[float]) -> Callable[[Reports], tuple[Allocation, PaymentsOf]]:
    def rule(reports: Reports) -> tuple[Allocation, PaymentsOf]:
        each = [part.rule(reports) for part in parts]
        return (
            {n: np.asarray(sum(p * goods[n] for p, (goods, _) in zip(weights, each, strict=True))) for n in reports},
            {n: np.asarray(sum(p * paid[n] for p, (_, paid) in zip(weights, each, strict=True))) for n in reports},
        )

    return rule


def _alike(first: Any, part: Any) -> None:
    if type(part) is not type(first):
        raise InputError(f"lottery_over: expected mechanisms of one kind, got {type(first).__name__} and {type(part).__name__}")
    if part.agents != first.agents or not all(same_space(first.type_spaces[n], part.type_spaces[n]) for n in first.agents):
        raise InputError(f"lottery_over: expected mechanisms for the same agents and types, got {first.name!r} and {part.name!r}")
    if isinstance(first, SingleParameterMechanism):
        differ = part.sides.tolist() != first.sides.tolist()
        if part.cost is not None:
            raise InputError(f"lottery_over: expected no planner's cost, which need not be that of an expected outcome, in {part.name!r}")
    else:
        differ = any(part.side(n) != first.side(n) for n in first.agents)
    if differ:
        raise InputError(f"lottery_over: expected agents on the same sides, got {first.name!r} and {part.name!r}")
