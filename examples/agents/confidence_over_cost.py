"""Award by self-reported confidence over cost, with nothing charged: the rule asks for honesty and pays for none.

Each agent says how sure it is and what it costs; the best ratio gets the task. Being awarded is worth 1 to an agent (a fee, usage,
standing). An agent that reports (1, 0) always wins.

    python examples/agents/confidence_over_cost.py
"""

from __future__ import annotations

from typing import Any

import numpy as np
from _audited import audited, show

from hurwicz.mechanisms import TaskMechanism, task_mechanism, verified_vcg

AGENTS = 5


def rule(agents: int = AGENTS) -> TaskMechanism:
    """The rule, restated: award to argmax confidence / max(cost, 1e-6)."""

    def award(confidence: np.ndarray, cost: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        score = confidence / np.maximum(cost, 1e-6)
        given = (np.arange(score.shape[1]) == score.argmax(axis=1)[:, None]).astype(np.float64)
        return given, given, np.zeros_like(given)

    return task_mechanism("confidence over cost", award, agents, formula="award to argmax confidence / max(cost, 1e-6)")


def simulate(draws: int = 20_000, seed: int = 0) -> dict[str, Any]:
    """One agent of five reports (1, 0) whatever it is; chances and costs uniform."""
    rng = np.random.default_rng(seed)
    chance, cost = rng.random((draws, AGENTS)), rng.random((draws, AGENTS))
    everyone = np.arange(draws)
    honest, _, _ = rule().decide(chance, cost)
    told_chance, told_cost = chance.copy(), cost.copy()
    told_chance[:, 0], told_cost[:, 0] = 1.0, 0.0
    with_liar, _, _ = rule().decide(told_chance, told_cost)
    best = np.maximum(chance - cost, 0.0).max(axis=1)
    repaired, fee, bonus = verified_vcg(AGENTS).decide(told_chance, told_cost)
    liar = fee[:, 0] + chance[:, 0] * bonus[:, 0] - cost[:, 0] * repaired[:, 0]
    honest_at, liar_at = honest.argmax(axis=1), with_liar.argmax(axis=1)
    return {
        "draws": draws,
        "tasks that the liar gets": float(with_liar[:, 0].mean()),
        "tasks taken from the honest winner": float((honest_at != liar_at).mean()),
        "success rate, all honest": float(chance[everyone, honest_at].mean()),
        "success rate, one liar": float(chance[everyone, liar_at].mean()),
        "welfare a task, at best": float(best.mean()),
        "welfare a task, all honest": float((chance - cost)[everyone, honest_at].mean()),
        "welfare a task, one liar": float((chance - cost)[everyone, liar_at].mean()),
        "what the same lie earns a task under the repair": float(liar.mean()),
    }


def main(draws: int = 20_000, seed: int = 0) -> dict[str, Any]:
    """Audit, measure, repair."""
    properties = ["DSIC", "BIC", "efficiency"]
    mine, better = rule(), verified_vcg(AGENTS)
    found, repaired, harm = audited(mine, properties, seed), audited(better, properties, seed), simulate(draws, seed)
    show(mine, found, harm, better, repaired, seed)
    return {"found": found, "repaired": repaired, "harm": harm}


if __name__ == "__main__":
    main()
