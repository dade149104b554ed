"""Award by confidence, ties by order of calling: coarse confidences tie most of the time, and then being called first decides.

Agents report a confidence from a short list, as language models do, and the highest gets the task; the first that was called wins a tie.

    python examples/agents/confidence_by_order.py
"""

from __future__ import annotations

from typing import Any

import numpy as np
from _audited import audited, show

from hurwicz.mechanisms import TaskMechanism, task_mechanism, verified_vcg
from hurwicz.typespaces import FinitePrior

AGENTS = 3
LEVELS = np.array([0.2, 0.5, 0.8, 0.9, 0.95])
COSTS = (0.05, 0.3)
PRIOR = FinitePrior([[p, c] for p in LEVELS for c in COSTS])


def rule(agents: int = AGENTS) -> TaskMechanism:
    """The rule, restated: award to the highest confidence, the first of those that tie."""

    def award(confidence: np.ndarray, cost: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        del cost
        given = (np.arange(confidence.shape[1]) == confidence.argmax(axis=1)[:, None]).astype(np.float64)
        return given, given, np.zeros_like(given)

    return task_mechanism(
        "confidence, ties by order", award, agents, prior=PRIOR, formula="award to argmax confidence, the first of those that tie"
    )


def simulate(draws: int = 20_000, seed: int = 0) -> dict[str, Any]:
    """True chances uniform. Overconfident agents name one of the three highest levels, the higher the likelier they are to succeed."""
    rng = np.random.default_rng(seed)
    chance = rng.random((draws, AGENTS))
    told = LEVELS[2:][np.minimum((3.0 * chance).astype(int), 2)]
    winner = told.argmax(axis=1)
    tied = (told == told.max(axis=1, keepdims=True)).sum(axis=1) > 1
    everyone = np.arange(draws)
    bold = told.copy()
    bold[:, 0] = LEVELS[-1]  # the first called always names the highest level
    bold_winner = bold.argmax(axis=1)
    return {
        "draws": draws,
        "awards that are ties": float(tied.mean()),
        "awards to the first called": float((winner == 0).mean()),
        "awards to the last called": float((winner == AGENTS - 1).mean()),
        "awards to the first called once it always names the highest level": float((bold_winner == 0).mean()),
        "success rate, most likely agent": float(chance.max(axis=1).mean()),
        "success rate under the rule": float(chance[everyone, winner].mean()),
        "success rate, first called always at the highest level": float(chance[everyone, bold_winner].mean()),
    }


def main(draws: int = 20_000, seed: int = 0) -> dict[str, Any]:
    """Audit, measure, repair."""
    properties = ["DSIC", "BIC", "efficiency"]
    mine, better = rule(), verified_vcg(AGENTS, prior=PRIOR, ties="lottery")
    found, repaired, harm = audited(mine, properties, seed), audited(better, properties, seed), simulate(draws, seed)
    show(mine, found, harm, better, repaired, seed)
    return {"found": found, "repaired": repaired, "harm": harm}


if __name__ == "__main__":
    main()
