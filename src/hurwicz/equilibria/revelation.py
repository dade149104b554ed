"""The revelation principle as a function: an equilibrium of any mechanism, played inside a direct one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray, InputError
from hurwicz.equilibria.equilibrium import Equilibrium
from hurwicz.equilibria.strategies import MixedStrategy, MonotoneStrategy
from hurwicz.mechanisms import SingleParameterMechanism
from hurwicz.settings import Claim, Property
from hurwicz.typespaces import FinitePrior

_MOST = 20_000_000
_MYERSON = "R. B. Myerson, Incentive compatibility and the bargaining problem, Econometrica 47 (1979)"


def reveal(mechanism: SingleParameterMechanism, equilibrium: Equilibrium) -> SingleParameterMechanism:
    """The direct mechanism that asks for types and bids for the agents as they would in equilibrium.

    x'(theta) = E[x(b)], t'(theta) = E[t(b)] with b_i drawn from sigma_i(. | theta_i): telling the truth to it is an equilibrium, with the
    same outcome, because lying to it is bidding as another type (the revelation principle). What types gain by lying is at most the
    equilibrium's epsilon. Types are those of the equilibrium: the grid, where strategies are mixed.

    Args:
        mechanism: the one whose equilibrium it is.
        equilibrium: from :func:`bayes_nash`, or made by hand.

    Returns:
        A single-parameter mechanism whose outcome at ``types`` is (in expectation over mixed bids) the first one's at the equilibrium bids.

    Raises:
        InputError: another mechanism's agents, or mixed strategies with too many combinations of types and bids.

    Example:
        >>> from hurwicz.equilibria import bayes_nash
        >>> from hurwicz.mechanisms.single_item import first_price
        >>> auction = first_price(2)
        >>> direct = reveal(auction, bayes_nash(auction, knots=51).value)
        >>> round(direct.outcome({"bidder 1": 0.8, "bidder 2": 0.5}).payments["bidder 1"], 4)  # half the value
        0.4
    """
    if set(equilibrium.strategies) != set(mechanism.agents):
        raise InputError(f"reveal: expected an equilibrium of {list(mechanism.agents)}, got strategies of {list(equilibrium.strategies)}")
    strategies = [equilibrium.strategies[name] for name in mechanism.agents]
    pure = [s for s in strategies if isinstance(s, MonotoneStrategy)]
    mixed = [s for s in strategies if isinstance(s, MixedStrategy)]
    if pure and mixed:
        raise InputError("reveal: expected strategies that are all monotone or all mixed")
    more = {
        "name": f"{mechanism.name}, revealed",
        "formula": "outcome(types) = E[outcome of the first mechanism at the equilibrium bids]",
        "source": _MYERSON,
        "resized": None,
        "guarantees": (Claim(Property.BIC.value, True, f"up to the equilibrium's epsilon, {equilibrium.epsilon:.3g}", _MYERSON),),
    }
    if pure:

        def bid_for_them(types: Float64[np.ndarray, "batch agents"]) -> tuple[FloatArray, FloatArray]:
            bids = np.stack([strategy(types[:, k]) for k, strategy in enumerate(pure)], axis=1)
            return mechanism.decide(bids)

        return replace(mechanism, rule=bid_for_them, **more)  # type: ignore[arg-type]
    shares, payments = _expected(mechanism, mixed)
    types_of = [s.types for s in mixed]

    def look_up(types: Float64[np.ndarray, "batch agents"]) -> tuple[FloatArray, FloatArray]:
        where = tuple(np.abs(types[:, k, None] - known).argmin(axis=1) for k, known in enumerate(types_of))
        return np.stack([x[where] for x in shares], axis=1), np.stack([t[where] for t in payments], axis=1)

    prior = {name: FinitePrior(s.types, s.weights) for name, s in zip(mechanism.agents, mixed, strict=True)}
    return replace(mechanism.with_prior(prior), rule=look_up, **more)  # type: ignore[arg-type]


def _expected(
    mechanism: SingleParameterMechanism, strategies: Sequence[MixedStrategy]
) -> tuple[list[Float64[FloatArray, "*types"]], list[Float64[FloatArray, "*types"]]]:
    """Expected share and payment of each agent at every profile of types, the bids that nobody makes left out."""
    made = [np.flatnonzero((s.probabilities > 0.0).any(axis=0)) for s in strategies]
    bids = [s.bids[m] for s, m in zip(strategies, made, strict=True)]
    chances = [s.probabilities[:, m] for s, m in zip(strategies, made, strict=True)]
    shape = tuple(len(b) for b in bids)
    largest = max(float(np.prod([float(max(c.shape[j] for j in (0, 1))) for c in chances])), 1.0)
    if largest * len(strategies) > _MOST:
        raise InputError(f"reveal: expected at most {_MOST:.0e} combinations of types or bids, got {largest:.3g}; use a coarser grid")
    index = np.indices(shape).reshape(len(shape), -1)
    x, t = mechanism.decide(np.stack([b[k] for b, k in zip(bids, index, strict=True)], axis=1))
    out: tuple[list[FloatArray], list[FloatArray]] = ([], [])
    for tables, values in zip(out, (x, t), strict=True):
        for k in range(len(shape)):
            table = values[:, k].reshape(shape)
            for chance in chances:  # the first axis of bids goes, an axis of types comes last
                table = np.tensordot(table, chance, axes=(0, 1))
            tables.append(table)
    return out
