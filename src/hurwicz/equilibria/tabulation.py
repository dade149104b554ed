"""Any direct mechanism over finitely many types, as a Bayesian game of reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64, Shaped
from numpy.typing import ArrayLike, NDArray

from hurwicz._foundation import FloatArray, InputError
from hurwicz.equilibria.games import TabularGame
from hurwicz.settings import BatchedDirectMechanism, DirectMechanism, JointPrior, Outcomes
from hurwicz.typespaces import CorrelatedPrior, ProductPrior

MOST_ENTRIES = 5_000_000


def tabulate(
    mechanism: DirectMechanism, *, actions: Mapping[str, ArrayLike] | None = None, prior: JointPrior | None = None
) -> tuple[TabularGame, dict[str, Shaped[NDArray[Any], "_types *type"]], dict[str, Shaped[NDArray[Any], "_actions *type"]]]:
    """The game in which every type chooses a report: payoffs u_i(t_i; a) = v_i(outcome(a); t_i) - payment_i(a).

    Args:
        mechanism: with finitely many types, numbers or vectors; types may be correlated.
        actions: reports open to each agent; its types if omitted.
        prior: common prior; the mechanism's own if omitted.

    Returns:
        The game, the types of each agent in the game's order, and the reports in the order of its actions.

    Raises:
        InputError: no prior, infinitely many types, or more than five million entries.

    Example:
        >>> from hurwicz.equilibria import exploitability
        >>> from hurwicz.mechanisms.single_item import second_price
        >>> from hurwicz.typespaces import FinitePrior
        >>> game, types, reports = tabulate(second_price(2, prior=FinitePrior([0.25, 0.5, 1.0])))
        >>> exploitability(game, [np.eye(3), np.eye(3)])  # everyone tells the truth
        0.0
    """
    game, types, reports, _ = with_outcomes(mechanism, actions, prior)
    return game, types, reports


def with_outcomes(
    mechanism: DirectMechanism, actions: Mapping[str, ArrayLike] | None = None, prior: JointPrior | None = None
) -> tuple[TabularGame, dict[str, Shaped[NDArray[Any], "_types *type"]], dict[str, Shaped[NDArray[Any], "_actions *type"]], Outcomes]:
    """What :func:`tabulate` gives, and the outcome of every profile of reports, the last agent's report changing fastest."""
    common = prior if prior is not None else getattr(mechanism, "prior", None)
    if not isinstance(common, ProductPrior | CorrelatedPrior):
        raise InputError("tabulate: expected a common prior (the mechanism has none); give prior=")
    if not common.finite:
        raise InputError("tabulate: expected finitely many types for each agent; give a FinitePrior, or use bayes_nash")
    names = list(mechanism.agents)
    marginals = {name: common.marginal(name) if isinstance(common, CorrelatedPrior) else common.marginals[name] for name in names}
    types = {name: np.asarray(marginals[name].quadrature(1)[0]) for name in names}
    reports = {name: types[name] if actions is None else np.asarray(actions[name]) for name in names}
    sizes = tuple(len(reports[name]) for name in names)
    entries = float(np.prod([float(s) for s in sizes])) * max(len(t) for t in types.values())
    if entries > MOST_ENTRIES or any(s == 0 for s in sizes):
        raise InputError(
            f"tabulate: expected at most {MOST_ENTRIES:.0e} entries and at least one report each, got {entries:.3g}; take fewer reports"
        )
    index = np.indices(sizes).reshape(len(names), -1)
    outcomes = _outcomes(mechanism, {name: reports[name][k] for name, k in zip(names, index, strict=True)}, names)
    payoffs = []
    for name in names:
        rows = [_values(mechanism, name, outcomes, np.stack([own] * index.shape[1])) - outcomes.payments[name] for own in types[name]]
        payoffs.append(np.stack(rows).reshape(len(rows), *sizes))
    return TabularGame(payoffs, _joint(common, names, types), names), types, reports, outcomes


def _outcomes(mechanism: DirectMechanism, profiles: Mapping[str, Shaped[NDArray[Any], "batch *type"]], names: Sequence[str]) -> Outcomes:
    if isinstance(mechanism, BatchedDirectMechanism):
        return mechanism.outcomes(profiles)
    count = len(next(iter(profiles.values())))
    each = [mechanism.outcome({name: profiles[name][k] for name in names}) for k in range(count)]
    return Outcomes(
        allocation={name: np.stack([np.asarray(o.allocation[name]) for o in each]) for name in names},
        payments={name: np.asarray([o.payments[name] for o in each], dtype=np.float64) for name in names},
    )


def _values(
    mechanism: DirectMechanism, name: str, outcomes: Outcomes, own: Shaped[NDArray[Any], "batch *type"]
) -> Float64[FloatArray, "batch"]:
    if isinstance(mechanism, BatchedDirectMechanism):
        return mechanism.values(name, outcomes, own)
    return np.asarray([mechanism.value(name, outcomes.one(k), t) for k, t in enumerate(own)], dtype=np.float64)


def _joint(
    common: JointPrior, names: Sequence[str], types: Mapping[str, Shaped[NDArray[Any], "_types *type"]]
) -> Float64[FloatArray, "*types"]:
    """P over profiles of types, one axis an agent."""
    if isinstance(common, ProductPrior):
        joint = np.ones(())
        for name in names:
            joint = np.multiply.outer(joint, common.marginals[name].quadrature(1)[1])
        return np.asarray(joint, dtype=np.float64)
    joint = np.zeros([len(types[name]) for name in names])
    places = []
    for name in names:
        same = (common.profiles[name][:, None] == types[name][None]).reshape(len(common.probabilities), len(types[name]), -1).all(axis=2)
        places.append(same.argmax(axis=1))
    np.add.at(joint, tuple(places), common.probabilities)
    return joint
