"""What no selling rule can pass: the most that a batched auction yields, as the entropy of the bidders vanishes."""

from __future__ import annotations

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float64, Int64
from scipy.optimize import linprog
from scipy.sparse import coo_matrix, csr_matrix, vstack

from hurwicz._foundation import InputError, SolverError, float64_scope
from hurwicz.meanfield.auctions import BatchedAuction

_PRICES = 201  # of lotteries over prices, where utilities are not linear


def ceiling(auction: BatchedAuction, objective: Mapping[str, float] | None = None) -> float | None:
    """The most of ``objective`` that any selling rule yields in the auction at tau = 0; None where it is not known.

    Where values stay and nobody comes back, a bidder's play amounts to a lottery over rounds and prices, which any other type could
    have chosen. With linear utility and no discounting, the best menu of lotteries is Myerson's: the concave hull of
    Q -> revenue weight * v_Q Q + welfare weight * (values served), read at the best Q up to the supply. With another utility or with
    discounting, it is a linear program over lotteries in which no type gains by the lottery of the next one above or below.

    Args:
        auction: the setting.
        objective: weights of ``"revenue"`` and ``"welfare"``; revenue alone if omitted.

    Returns:
        Per head of the population; exact for linear utilities, and for others up to the grid of 201 prices that lotteries draw from.
        None where values move or bidders come back.

    Raises:
        InputError: an objective that is neither revenue nor welfare.

    Example:
        >>> round(ceiling(BatchedAuction(rounds=4, supply=0.8)), 6)
        0.25

    Source: Myerson, "Optimal auction design" (1981); Maskin and Riley, "Optimal auctions with risk averse buyers" (1984), for lotteries.
    """
    revenue, welfare = weights_of(objective)
    if auction.drift is not None or auction.re_entry > 0.0:
        return None
    if auction.utility is None and auction.discount is None:
        return _best_menu(auction, revenue, welfare)
    return _best_lotteries(auction, revenue, welfare)


def weights_of(objective: Mapping[str, float] | None) -> tuple[float, float]:
    """Weights of revenue and welfare in an objective.

    Raises:
        InputError: no name, another name, or a weight that is not finite.

    Example:
        >>> weights_of({"revenue": 1.0, "welfare": 0.5})
        (1.0, 0.5)
    """
    named = {"revenue": 1.0} if objective is None else dict(objective)
    if not named or not set(named) <= {"revenue", "welfare"} or not all(np.isfinite(w) for w in named.values()):
        raise InputError(f"objective: expected finite weights of 'revenue' and 'welfare', got {named}")
    return float(named.get("revenue", 0.0)), float(named.get("welfare", 0.0))


def _best_menu(auction: BatchedAuction, revenue: float, welfare: float) -> float:
    # threshold k sells to the types from k on
    quantity = np.append(np.cumsum(auction.begins[::-1])[::-1], 0.0)
    served = np.append(np.cumsum((auction.begins * auction.values)[::-1])[::-1], 0.0)
    worth = revenue * np.append(auction.values, 0.0) * quantity + welfare * served
    supply = min(auction.supply, float(quantity[0]))
    within = quantity <= supply + 1e-15
    best = float(worth[within].max())
    # between two thresholds on either side of the supply: a lottery
    for k in np.flatnonzero(~within):
        part = (supply - quantity[within]) / (quantity[k] - quantity[within])
        best = max(best, float((worth[within] + part * (worth[k] - worth[within])).max()))
    return best


def _best_lotteries(auction: BatchedAuction, revenue: float, welfare: float) -> float:
    """Maximise sum_v f(v) sum_hp x_v(h, p) (r p + w v), no type better off with its neighbour's lottery, none below 0."""
    values, grid = auction.values, auction.grid
    # with linear utility two prices span all others
    prices = np.linspace(0.0, values[-1], 2 if auction.utility is None else _PRICES)
    discount = np.ones(1) if auction.discount is None else np.asarray(auction.discount)
    gain = values[:, None] - prices[None, :]
    with float64_scope():
        felt = gain if auction.utility is None else np.asarray(auction.utility(jnp.asarray(gain)), dtype=np.float64)
    utility = (discount[None, :, None] * felt[:, None, :]).reshape(grid, -1)  # (types, lottery tickets)
    worth = revenue * np.tile(prices, len(discount))[None, :] + welfare * values[:, None]
    own, above, below = np.arange(grid), np.arange(1, grid), np.arange(grid - 1)

    def envies(who: Int64[np.ndarray, " pairs"], whom: Int64[np.ndarray, " pairs"]) -> csr_matrix:
        # what ``who`` feels of the lottery of ``whom``, less what it feels of its own: at most 0
        return csr_matrix(_rows(whom, utility[who], grid) - _rows(who, utility[who], grid))

    chances = _rows(own, np.ones_like(utility), grid)
    supply = _rows(own, np.broadcast_to(auction.begins[:, None], utility.shape), grid).sum(axis=0)
    constraints = vstack([chances, csr_matrix(supply), -_rows(own, utility, grid), envies(above, below), envies(below, above)])
    bounds = np.concatenate([np.ones(grid), [auction.supply], np.zeros(grid + 2 * (grid - 1))])
    # the stubs know no sparse constraints
    found = linprog(  # type: ignore[call-overload]
        -(auction.begins[:, None] * worth).ravel(), A_ub=constraints, b_ub=bounds, bounds=(0.0, 1.0), method="highs"
    )
    if found.status != 0:
        raise SolverError(f"ceiling of a batched auction: the linear program ended with {found.message!r}; try a coarser grid")
    return float(-found.fun)


def _rows(owners: Int64[np.ndarray, " rows"], entries: Float64[np.ndarray, "rows tickets"], types: int) -> csr_matrix:
    """One row each, in which the lottery of type ``owners[i]`` carries ``entries[i]`` and the others nothing."""
    rows, tickets = entries.shape
    columns = owners[:, None] * tickets + np.arange(tickets)
    places = (np.repeat(np.arange(rows), tickets), columns.ravel())
    return csr_matrix(coo_matrix((entries.ravel(), places), shape=(rows, types * tickets)))
