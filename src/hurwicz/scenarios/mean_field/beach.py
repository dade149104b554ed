"""``kind = "beach_bar"``: tolls on the places of a beach, learned so that the crowd spreads."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from hurwicz._foundation import float64_scope
from hurwicz.reports import Page, number
from hurwicz.reports.mean_field import crowd_plot, learning_plot, toll_plot
from hurwicz.scenarios.mean_field.learning import (
    Checkpoints,
    Learned,
    by_gradient,
    equilibrium_keys,
    learn,
    learning_keys,
    nothing_yet,
    say_on,
    told_of,
)
from hurwicz.scenarios.mean_field.schema import BeachBarScenario
from hurwicz.scenarios.running import Progress, Run
from hurwicz.scenarios.tables import text_table

if TYPE_CHECKING:
    from hurwicz.designers import DesignProblem, MeanFieldDesign
    from hurwicz.designers.interruption import Interruption

_TAU, _RATE, _ITERATIONS = 0.1, 1.0, 100


def beach_problem(scenario: BeachBarScenario) -> DesignProblem:
    """Make minus the congestion large; theta are the tolls before they are squeezed under the cap."""
    import jax
    import jax.numpy as jnp

    from hurwicz.designers import DesignProblem
    from hurwicz.meanfield import beach_bar, softmax_congestion

    def start(key: Any) -> Any:
        return 0.1 * jax.random.normal(key, (scenario.places,), dtype=jnp.float64)

    return DesignProblem(
        name=f"beach bar, {scenario.places} places",
        game=beach_bar(scenario.places, scenario.rounds, price_cap=scenario.price_cap),
        objective=lambda _theta, flow: -softmax_congestion(flow, scenario.sharpness),
        start=start,
        **equilibrium_keys(scenario, tau=_TAU, rate=_RATE, iterations=_ITERATIONS),
    )


def run_beach_bar(scenario: BeachBarScenario, name: str, progress: Progress, checkpoints: Checkpoints) -> Run:
    """The crowd without a toll, tolls learned, the crowd with them."""
    import jax.numpy as jnp

    from hurwicz.designers import evaluate_design
    from hurwicz.designers.interruption import Interruption
    from hurwicz.meanfield import spot_prices

    began = time.perf_counter()
    checkpoints.begin(scenario)
    stop = Interruption()
    problem = beach_problem(scenario)
    progress("the crowd without a toll", 0.0)
    free = evaluate_design(problem, None)
    learned = learn(scenario, by_gradient(scenario, problem, rate=0.2), checkpoints, progress, stop, span=(0.1, 0.95))
    if not learned.designs:
        return nothing_yet(checkpoints)
    with float64_scope():
        tolls = np.asarray(spot_prices(jnp.asarray(learned.best.theta), scenario.price_cap), dtype=np.float64)
    before, after = free.flow.sum(axis=2), learned.best.flow.sum(axis=2)
    result = {
        **learning_keys(learned, learned.best, {"tau": problem.tau, "rate": problem.rate, "iterations": problem.iterations}, stop),
        "congestion": {"before": -free.objective, "after": -learned.best.objective},
        "most_crowded": {"before": float(before.max()), "after": float(after.max())},
        "exploitability_before": free.exploitability,
        "tolls": tolls.tolist(),
        "toll_paid": float((after @ tolls).sum()),
        "crowd": {"before": before.tolist(), "after": after.tolist()},
        "notes": [] if learned.best.objective > free.objective else ["the tolls learned do not lower the congestion: raise steps"],
        "seconds": time.perf_counter() - began,
    }
    page, tables = _page(name, scenario, free, learned, result, stop), _tables(name, scenario, free, learned, result)
    return Run(result, page, tables, message=told_of(learned, checkpoints, stop), interrupted=stop.stopped)


def _tables(name: str, scenario: BeachBarScenario, free: MeanFieldDesign, learned: Learned, result: dict[str, Any]) -> list[Any]:
    tolls = result["tolls"]
    rows: list[list[Any]] = [
        [what, values["before"], values["after"]]
        for what, values in (
            ("congestion", result["congestion"]),
            ("share of the people at the fullest place", result["most_crowded"]),
            ("exploitability", {"before": free.exploitability, "after": learned.best.exploitability}),
            ("tolls paid, a head", {"before": 0.0, "after": result["toll_paid"]}),
        )
    ]
    last = [free.flow[-1].sum(axis=1), learned.best.flow[-1].sum(axis=1)]
    places = [[k, tolls[k], *(f"{100 * shares[k]:.1f} %" for shares in last)] for k in range(scenario.places)][:30]
    return [
        text_table(
            f"{name}: {scenario.places} places, {scenario.rounds} rounds, bar at {scenario.places // 2}",
            ["", "no toll", "with the toll"],
            rows,
        ),
        text_table("Where people are in the last round", ["place", "toll", "no toll", "with the toll"], places),
        *(f"note: {note}" for note in result["notes"]),
    ]


def _page(
    name: str, scenario: BeachBarScenario, free: MeanFieldDesign, learned: Learned, result: dict[str, Any], stop: Interruption
) -> Page:
    bar, tolls = scenario.places // 2, np.asarray(result["tolls"])
    page = Page(
        name, f"A beach of {scenario.places} places with a bar at {bar}, {scenario.rounds} rounds; tolls of at most {scenario.price_cap:g}"
    )
    page.figures(
        {
            "congestion without a toll": number(-free.objective, 4),
            "congestion with the toll": number(-learned.best.objective, 4),
            "exploitability": learned.best.exploitability,
            "tolls paid, a head": number(result["toll_paid"], 4),
            "seconds": result["seconds"],
        }
    )
    say_on(page, learned, stop, result["notes"])
    page.heading("Where people are")
    page.plot(lambda: crowd_plot(free.flow.sum(axis=2), learned.best.flow.sum(axis=2), bar=bar))
    page.heading("The tolls")
    page.plot(lambda: toll_plot(tolls, bar=bar, most=scenario.price_cap))
    page.heading("How they were learned")
    histories = {f"seed {seed}": -design.history for seed, design in learned.designs.items()}
    page.plot(
        lambda: learning_plot(histories, {"without a toll": -free.objective}, ylabel="congestion", best=np.minimum),
        "Thin: every step. Thick: the least so far, which is kept.",
    )
    page.text(
        f"{scenario.differentiate} derivative through {result['equilibrium']['iterations']} iterations of mirror descent "
        f"(rate {result['equilibrium']['rate']:g}, entropy weight {result['equilibrium']['tau']:g})."
    )
    rows = [[k, float(tolls[k]), *(float(f[-1].sum(axis=1)[k]) for f in (free.flow, learned.best.flow))] for k in range(scenario.places)]
    page.table(["place", "toll", "share without", "share with"], rows, "Every place in the last round", folded=len(rows) > 20)
    return page
