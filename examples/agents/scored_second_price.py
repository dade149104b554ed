"""Second price by a score of price and reputation, paying the runner-up's price: the payment is not the critical value.

The lowest w price + (1-w) (1 - reputation) wins and is paid what the runner-up asked. A winner with a better reputation may be paid less
than its cost, and a loser that is cheaper than the winner gains by asking less.

    python examples/agents/scored_second_price.py
"""

from __future__ import annotations

from typing import Any

import numpy as np
from _audited import audited, show

from hurwicz.mechanisms import SingleParameterMechanism, scored_second_price, single_parameter

REPUTATION = (0.95, 0.85, 0.7, 0.6, 0.5)
WEIGHT = 0.5


def paid(bids: np.ndarray, reputation: np.ndarray, weight: float = WEIGHT) -> tuple[np.ndarray, np.ndarray]:
    """Who wins and what it is paid, for bids and reputations (batch, agents)."""
    score = weight * bids + (1.0 - weight) * (1.0 - reputation)
    order = score.argsort(axis=1, kind="stable")
    wins = (np.arange(bids.shape[1]) == order[:, :1]).astype(np.float64)
    return wins, wins * np.take_along_axis(bids, order[:, 1:2], axis=1)


def rule() -> SingleParameterMechanism:
    """The rule, restated."""

    def decide(bids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        wins, price = paid(bids, np.broadcast_to(np.asarray(REPUTATION), bids.shape))
        return wins, -price

    count = len(REPUTATION)
    formula = "lowest w price + (1-w)(1 - reputation) wins, paid the runner-up's price"
    return single_parameter("scored second price, runner-up's price", decide, count, sides=[-1.0] * count, formula=formula)


def simulate(draws: int = 20_000, seed: int = 0, points: int = 101) -> dict[str, Any]:
    """Costs and reputations uniform, five agents: at how many profiles does some agent gain by some misreport on a grid?"""
    rng = np.random.default_rng(seed)
    cost, reputation = rng.random((draws, len(REPUTATION))), rng.random((draws, len(REPUTATION)))
    wins, price = paid(cost, reputation)
    utility = (price - cost) * wins
    gain = np.zeros_like(cost)
    for i in range(cost.shape[1]):
        for lie in np.linspace(0.0, 1.0, points):
            told = cost.copy()
            told[:, i] = lie
            lied, got = paid(told, reputation)
            gain[:, i] = np.maximum(gain[:, i], (got[:, i] - cost[:, i]) * lied[:, i] - utility[:, i])
    winner = wins.argmax(axis=1)
    everyone = np.arange(draws)
    return {
        "draws": draws,
        "profiles where somebody gains by a lie": float((gain.max(axis=1) > 1e-9).mean()),
        "profiles where the honest winner is paid less than its cost": float((utility.min(axis=1) < 0.0).mean()),
        "what the best lie gains there, on average": float(gain.max(axis=1)[gain.max(axis=1) > 1e-9].mean()),
        "profiles where the winner is not the cheapest": float((cost[everyone, winner] > cost.min(axis=1)).mean()),
    }


def main(draws: int = 20_000, seed: int = 0) -> dict[str, Any]:
    """Audit, measure, repair."""
    properties = ["DSIC", "BIC", "ex_post_IR"]
    mine, better = rule(), scored_second_price(len(REPUTATION), reputation=REPUTATION, weight=WEIGHT)
    found, repaired, harm = audited(mine, properties, seed), audited(better, properties, seed), simulate(draws, seed)
    show(mine, found, harm, better, repaired, seed)
    return {"found": found, "repaired": repaired, "harm": harm}


if __name__ == "__main__":
    main()
