"""A1: four rounds, uniform values that stay, .8 goods a head. The setting in which theory bounds every figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hurwicz._foundation import float64_scope
from hurwicz.designers import (
    MeanFieldDesign,
    auction_problem,
    best_posted_prices,
    best_reserve_schedule,
    evaluate_design,
    meanfield_adjoint,
)
from hurwicz.meanfield import FirstPrice, PostedPrice, ReservePrice, SellingRule, Setting, TableRule, auction_setting, posted_price_head
from hurwicz.reproductions.amid.claim import FIGURE_ONLY, Claim, Experiment
from hurwicz.reproductions.claim import Context, Plot

_GRID, _STEPS, _EVALUATIONS = 100, 30, 60
_SOFTNESS = 1e-3  # of the posted prices that the table starts from
_SLACK = 1e-3  # at tau > 0 bidders buy a little noise


def fixed_rules(grid: int, rounds: int) -> list[tuple[str, SellingRule, dict[str, Any], float, str]]:
    """Rules without a search: name, rule, weights, what bounds its revenue in A1, and why."""

    def same(key: str, value: float) -> dict[str, Any]:
        return {key: np.full(rounds, value)}

    return [
        ("first price, .2 a round", FirstPrice(grid), same("quantity", 0.2), 0.16, "Selling Q = .8 at one price earns Q (1 - Q) = .16."),
        ("first price, .125 a round", FirstPrice(grid), same("quantity", 0.125), 0.25, "Q (1 - Q) at Q = .5."),
        ("first price, reserve .49", ReservePrice(grid), same("reserve", 0.49), 0.25, "Q (1 - Q) is at most .25."),
        ("posted price .5", PostedPrice(grid), same("price", 0.5), 0.25, "Q (1 - Q) is at most .25; at tau > 0 some buy late or never."),
        ("posted price .498", PostedPrice(grid), same("price", 0.498), 0.25, "A little below .5, so that who has .5 gains by buying."),
    ]


def learned_table(
    setting: Setting, posted: MeanFieldDesign, *, steps: int, seed: int = 0, rate: float = 0.2, progress: Any = None
) -> MeanFieldDesign:
    """A payment and quantity table, learned by the gradient from posted prices on.

    Args:
        setting: the setting.
        posted: the posted prices to start from.
        steps: gradients.
        seed: of the search.
        rate: first rate of Adam, on logits.
        progress: told step, steps and the best so far.
    """
    import jax.numpy as jnp
    import optax

    rule = TableRule(setting.auction.grid)
    with float64_scope():
        head = posted_price_head(rule.grid, jnp.asarray(posted.theta["price"]), softness=_SOFTNESS)
    problem = auction_problem(setting, rule, start=lambda _key: head)
    adam = optax.adam(optax.cosine_decay_schedule(rate, steps))
    return meanfield_adjoint(problem, steps=steps, seed=seed, optimiser=adam, progress=progress).value


def _run(context: Context) -> tuple[Sequence[Claim], Sequence[Plot]]:
    from hurwicz.reports.mean_field import bars_plot, learning_plot

    setting = auction_setting("A1", grid=_GRID)
    ceiling = setting.ceiling
    assert ceiling is not None
    how = f"Grid {_GRID}, tau = {setting.tau:g}, eta = {setting.rate:g}, T = {setting.iterations}, and on until exploitability 1e-5. "
    rows: list[Claim] = []
    for k, (name, rule, weights, most, why) in enumerate(fixed_rules(_GRID, setting.auction.rounds)):
        context.say(name, 0.04 * k)
        found = evaluate_design(auction_problem(setting, rule, start=lambda _key, weights=weights: weights), weights)  # type: ignore[misc]
        within = found.objective <= most + _SLACK
        rows.append(Claim("A1", f"revenue, {name}", found.objective, FIGURE_ONLY, most, within, f"{how}{why} Agrees: not above."))
    first_price = rows[0].ours
    simple: dict[str, MeanFieldDesign] = {}
    for k, (name, search) in enumerate((("best reserves", best_reserve_schedule), ("best posted prices", best_posted_prices))):

        def searched(done: int, most: int, best: float, k: int = k, name: str = name) -> None:
            context.say(f"{name}: equilibrium {done} of {most}, best {best:.5f}", 0.2 + 0.15 * (k + done / most))

        simple[name] = search(setting, evaluations=_EVALUATIONS, progress=searched).value
        within = simple[name].objective <= ceiling + _SLACK
        note = f"{how}By a search of at most {_EVALUATIONS} equilibria. Agrees: not above."
        rows.append(Claim("A1", f"revenue, {name}", simple[name].objective, FIGURE_ONLY, ceiling, within, note))

    def told(step: int, steps: int, best: float) -> None:
        context.say(f"step {step} of {steps}, best {best:.5f}", 0.5 + 0.5 * step / steps)

    learned = learned_table(setting, simple["best posted prices"], steps=_STEPS, seed=context.seed, progress=told)
    best = max(simple, key=lambda name: simple[name].objective)
    ahead = isinstance(first_price, float) and learned.objective > first_price
    rows += [
        Claim(
            "A1",
            "revenue, learned table of payments and quantities",
            learned.objective,
            f"above first price and the benchmarks ({FIGURE_ONLY})",
            ceiling,
            ahead and learned.objective >= max(0.247, simple[best].objective - 5e-4),
            f"{_STEPS} steps of Adam from the best posted prices. Agrees: above first price, at least .247, no more than .0005 below the "
            f"best simple rule ({best}: {simple[best].objective:.5f}).",
        ),
        Claim(
            "A1",
            "exploitability of the learned rule's equilibrium",
            learned.exploitability,
            None,
            0.005,
            learned.exploitability < 0.005,
            "What a bidder could gain by another policy, per auction. Agrees: below .005.",
        ),
    ]
    bars = {row.claim.removeprefix("revenue, "): float(row.ours) for row in rows[:-1] if isinstance(row.ours, float)}
    levels = {best: simple[best].objective, "ceiling": ceiling}
    return rows, [
        Plot("A1: revenue by rule.", lambda: bars_plot(bars, xlabel="revenue a head", ceiling=ceiling, marked=[list(bars)[-1]])),
        Plot("A1: the learned table, step by step.", lambda: learning_plot({"table": learned.history}, levels, ylabel="revenue")),
    ]


FIRST_SETTING = (
    Experiment(
        "A1",
        "uniform values that stay",
        "Four rounds, .8 goods a head, values uniform on the grid; winners leave. No rule earns more than .25 (Myerson).",
        _run,
        60.0,
    ),
)
