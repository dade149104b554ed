"""Lowest price, paid only if the work passes: who names its cost works at a loss, and a bid of nothing is free.

The agent that names the lowest price gets the task, and gets its price if the work passes a check. An honest price, the agent's cost, is
earned only with the chance of success, so it does not cover the cost; and an agent that can do nothing, at no cost, wins every task.

    python examples/agents/pay_on_pass.py
"""

from __future__ import annotations

from typing import Any

import numpy as np
from _audited import audited, show

from hurwicz.mechanisms import TaskMechanism, lowest_ask_paid_on_pass, task_mechanism, verified_vcg

AGENTS = 4


def rule(agents: int = AGENTS) -> TaskMechanism:
    """The rule, restated: the lowest price wins and is paid on success; the truth is a price equal to the cost."""

    def award(chance: np.ndarray, price: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        del chance
        given = (np.arange(price.shape[1]) == price.argmin(axis=1)[:, None]).astype(np.float64)
        return given, np.zeros_like(given), given * price

    return task_mechanism("lowest price, paid on pass", award, agents, formula="award to the lowest price, paid it on success")


def simulate(draws: int = 20_000, seed: int = 0) -> dict[str, Any]:
    """Chances and costs uniform; then one agent is an empty one: no chance, no cost, a price of 0."""
    rng = np.random.default_rng(seed)
    chance, cost = rng.random((draws, AGENTS)), rng.random((draws, AGENTS))
    given, _, bonus = rule().decide(chance, cost)
    earned = (chance * bonus - cost * given).sum(axis=1)
    empty_chance, empty_cost = chance.copy(), cost.copy()
    empty_chance[:, 0], empty_cost[:, 0] = 0.0, 0.0
    to_empty, _, _ = rule().decide(empty_chance, empty_cost)
    boast = empty_chance.copy()
    boast[:, 0] = 1.0  # under the repair its price alone does not win: it has to claim a chance
    repaired, fee, _ = verified_vcg(AGENTS).decide(boast, empty_cost)
    best = np.maximum(chance - cost, 0.0)
    return {
        "draws": draws,
        "what an honest winner earns a task": float(earned.mean()),
        "success rate": float((chance * given).sum(axis=1).mean()),
        "welfare a task, at best": float(best.max(axis=1).mean()),
        "welfare a task": float(((chance - cost) * given).sum(axis=1).mean()),
        "tasks that an empty agent gets": float(to_empty[:, 0].mean()),
        "success rate with an empty agent": float((empty_chance * to_empty).sum(axis=1).mean()),
        "what boasting earns the empty agent a task under the repair": float((fee[:, 0] * (repaired[:, 0] > 0.0)).mean()),
    }


def main(draws: int = 20_000, seed: int = 0) -> dict[str, Any]:
    """Audit, measure, repair: the second lowest ask makes it truthful, paying the whole worth of success makes it efficient too."""
    properties = ["DSIC", "BIC", "ex_post_IR", "efficiency"]
    mine, better = rule(), verified_vcg(AGENTS)
    found, repaired, harm = audited(mine, properties, seed), audited(better, properties, seed), simulate(draws, seed)
    show(mine, found, harm, better, repaired, seed)
    second = audited(lowest_ask_paid_on_pass(AGENTS), properties, seed)
    print("\nA smaller repair, lowest c/p paid the second lowest on success:")
    for name, finding in second.items():
        print(f"  {name}: {finding.verdict.value}. {finding.reason}")
    return {"found": found, "repaired": repaired, "second": second, "harm": harm}


if __name__ == "__main__":
    main()
