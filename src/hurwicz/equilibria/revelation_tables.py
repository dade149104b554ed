"""The revelation principle for finitely many types of any dimension: equilibria of tabulated games, played inside a direct mechanism."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float64, Shaped
from numpy.typing import NDArray

from hurwicz._foundation import FloatArray, InputError
from hurwicz.equilibria.games import MixedProfile, TabularGame, exploitability
from hurwicz.mechanisms import MultiParameterMechanism
from hurwicz.settings import Claim, Property

_MYERSON = "R. B. Myerson, Incentive compatibility and the bargaining problem, Econometrica 47 (1979)"


def reveal_table(
    mechanism: MultiParameterMechanism,
    game: TabularGame,
    profile: MixedProfile,
    types: Mapping[str, Shaped[NDArray[Any], "_types dims"]],
    reports: Mapping[str, Shaped[NDArray[Any], "_actions dims"]],
) -> MultiParameterMechanism:
    """The direct mechanism that asks for vectors of values and reports for the agents as they would in equilibrium.

    x'(theta) = E[x(a)], t'(theta) = E[t(a)], a_i drawn from sigma_i(. | theta_i); values are linear in the allocation, so that its mean
    says all. What a type gains by lying is at most the exploitability of ``profile``.

    Args:
        mechanism: the one tabulated.
        game: from :func:`tabulate`, with ``types`` and ``reports``.
        profile: what each type does, one array (types, actions) an agent.
        types: of each agent, in the game's order.
        reports: of each agent, in the order of its actions.

    Raises:
        InputError: another mechanism's agents, or a profile that does not fit.

    Example:
        >>> from hurwicz.equilibria import tabulate
        >>> from hurwicz.settings import beliefs
        >>> from hurwicz.typespaces import FinitePrior
        >>> def pay_your_bids(asked):
        ...     total = {name: bids.sum(axis=1) for name, bids in asked.items()}
        ...     return {name: np.ones_like(bids) for name, bids in asked.items()}, total
        >>> prior = beliefs(["ann"], FinitePrior([[1.0, 2.0], [3.0, 1.0]]))
        >>> gift = MultiParameterMechanism(name="gift", rule=pay_your_bids, prior=prior)
        >>> game, types, reports = tabulate(gift)
        >>> cheap = [np.array([[1.0, 0.0], [1.0, 0.0]])]  # both types say that they are the cheaper one
        >>> reveal_table(gift, game, cheap, types, reports).outcome({"ann": [3.0, 1.0]}).payments["ann"]
        3.0
    """
    names = list(mechanism.agents)
    if list(game.names) != names or set(types) != set(names) or set(reports) != set(names):
        raise InputError(f"reveal_table: expected a game of {names}, got one of {list(game.names)}")
    wanted = [(len(types[name]), len(reports[name])) for name in names]
    if [np.shape(p) for p in profile] != wanted:
        raise InputError(f"reveal_table: expected a profile of shapes {wanted}, got {[np.shape(p) for p in profile]}")
    sizes = tuple(shape[1] for shape in wanted)
    index = np.indices(sizes).reshape(len(names), -1)
    allocation, payments = mechanism.rule(
        {name: np.asarray(reports[name][k], dtype=np.float64) for name, k in zip(names, index, strict=True)}
    )
    shares = {name: _mixed(np.asarray(allocation[name]).reshape(*sizes, -1), profile) for name in names}
    paid = {name: _mixed(np.asarray(payments[name]).reshape(*sizes, 1), profile)[..., 0] for name in names}
    known = {name: np.asarray(types[name], dtype=np.float64) for name in names}

    def look_up(
        asked: Mapping[str, Float64[np.ndarray, "batch _dims"]],
    ) -> tuple[dict[str, Float64[np.ndarray, "batch _dims"]], dict[str, Float64[np.ndarray, "batch"]]]:
        where = tuple(np.abs(asked[name][:, None] - known[name]).max(axis=2).argmin(axis=1) for name in names)
        return {name: shares[name][where] for name in names}, {name: paid[name][where] for name in names}

    epsilon = exploitability(game, profile)
    return replace(
        mechanism,
        name=f"{mechanism.name}, revealed",
        rule=look_up,
        guarantees=(Claim(Property.BIC.value, True, f"up to the equilibrium's epsilon, {epsilon:.3g}", _MYERSON),),
        formula="outcome(types) = E[outcome of the first mechanism at the equilibrium reports]",
        source=_MYERSON,
        resized=None,
    )


def _mixed(table: Float64[FloatArray, "*actions last"], profile: MixedProfile) -> Float64[FloatArray, "*types last"]:
    """E of a table over actions, given types: the axes of actions go one by one, those of types come in their order."""
    for each in profile:
        table = np.moveaxis(np.tensordot(table, each, axes=(0, 1)), -1, -2)
    return table
