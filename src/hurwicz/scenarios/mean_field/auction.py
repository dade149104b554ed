"""``kind = "batched_auction"``: what an auction sells each round and what winners pay, learned through the bidders' equilibrium."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray, float64_scope
from hurwicz.scenarios.mean_field.auction_page import BEFORE, LEARNED, among_players, auction_page, auction_tables
from hurwicz.scenarios.mean_field.learning import (
    Checkpoints,
    Learned,
    by_gradient,
    equilibrium_keys,
    learn,
    learning_keys,
    nothing_yet,
    told_of,
)
from hurwicz.scenarios.mean_field.schema import BatchedAuctionScenario
from hurwicz.scenarios.running import Progress, Run

if TYPE_CHECKING:
    from hurwicz._foundation import Solution
    from hurwicz.audits import Finding
    from hurwicz.designers import DesignProblem, MeanFieldDesign
    from hurwicz.designers.interruption import Interruption
    from hurwicz.meanfield import SellingRule, Setting
    from hurwicz.reports.auction_outcome import AuctionOutcome

RESERVES, POSTED = "first price, best reserves", "best posted prices"
_SOFTNESS = 1e-3  # of the simple rule that a table or a network starts from: nearer to it, a gradient hardly moves it
_GRID = 100  # of the literature
_RATES = {"table": 0.2, "network": 0.01, "reserve": 0.01, "posted": 0.01}


@dataclass(frozen=True)
class Measured:
    """A rule at its equilibrium, and what it does there."""

    rule: SellingRule
    design: MeanFieldDesign
    outcome: AuctionOutcome


def run_batched_auction(scenario: BatchedAuctionScenario, name: str, progress: Progress, checkpoints: Checkpoints) -> Run:
    """Search the simple rules, learn from the best of them, and set all of it side by side."""
    from hurwicz.designers import auction_problem
    from hurwicz.designers.interruption import Interruption

    began = time.perf_counter()
    checkpoints.begin(scenario)
    stop = Interruption()
    setting = _setting(scenario)
    shape = equilibrium_keys(scenario, tau=setting.tau, rate=setting.rate, iterations=setting.iterations)
    cut: list[str] = []
    rules = _simple_rules(setting, shape, scenario.evaluations, checkpoints, stop, progress, cut)
    if not rules:
        return nothing_yet(checkpoints)
    top = max(rules, key=lambda label: rules[label].design.objective)
    learned, begun = Learned({}, {}), _begun(scenario, top)
    if not stop.stopped:
        rule = _rule(scenario, setting)
        problem = auction_problem(
            setting, rule, start=_start(begun, setting, rule, rules), name=f"{setting.name}, {type(rule).__name__}", **shape
        )
        learned = learn(scenario, _designer(scenario, problem), checkpoints, progress, stop, span=(0.4, 0.9))
    findings: list[Finding] = []
    if learned.designs:

        def measured() -> Measured:
            progress("measuring what was learned", 0.9)
            return _measured(setting, rule, learned.best)

        rules[LEARNED] = stop.outlasted(measured)
        findings = _audited(scenario, setting, rules[LEARNED], shape, stop=stop, progress=progress)
    elif checkpoints.learned:
        return nothing_yet(checkpoints)  # an earlier run has learned more than this one shows

    def shown() -> Run:
        result = _result(scenario, setting, learned, rules, shape, top=top, begun=begun, stop=stop)
        result["notes"] += [f"{label}: the search was interrupted, and these are the best until then" for label in cut]
        audit = {"audit": [finding.to_dict() for finding in findings], "among_players": among_players(findings)}
        result |= audit | {"seconds": time.perf_counter() - began}
        page = auction_page(name, scenario, setting, learned, rules, result, findings, stop)
        tables = auction_tables(name, setting, rules, result, findings)
        message = told_of(learned, checkpoints, stop, otherwise="the result is the best of the simple rules found")
        return Run(result, page, tables, message=message, interrupted=stop.stopped)

    return stop.outlasted(shown)


def _setting(scenario: BatchedAuctionScenario) -> Setting:
    from hurwicz.meanfield import (
        BatchedAuction,
        Setting,
        auction_setting,
        constant_absolute_risk,
        gaussian_drift,
        geometric_values,
        hyperbolic_discount,
    )

    grid = scenario.grid or _GRID
    objective = None if scenario.objective is None else {k: w for k, w in scenario.objective.model_dump().items() if w}
    if scenario.setting is not None:
        import dataclasses

        named = auction_setting(scenario.setting, grid=grid)
        return named if objective is None else dataclasses.replace(named, objective=objective)
    own = scenario.auction
    assert own is not None  # the schema has seen to it
    auction = BatchedAuction(
        rounds=own.rounds,
        supply=own.supply,
        grid=grid,
        initial=geometric_values(grid, own.ratio),
        drift=None if own.drift is None else gaussian_drift(grid, own.drift.factor, own.drift.sigma),
        re_entry=own.re_entry,
        utility=constant_absolute_risk(own.aversion) if own.aversion else None,
        discount=hyperbolic_discount(own.rounds, own.impatience) if own.impatience else None,
    )
    return Setting("own", "an auction of one's own", auction, objective=objective or {"revenue": 1.0})


def _rule(scenario: BatchedAuctionScenario, setting: Setting) -> SellingRule:
    from hurwicz.meanfield import NetworkRule, PostedPrice, ReservePrice, TableRule

    grid, rounds = setting.auction.grid, setting.auction.rounds
    if scenario.rule == "network":
        return NetworkRule(grid, rounds, width=scenario.width, sees_bids=not setting.static, asks=not setting.static)
    rules: dict[str, Callable[[int], SellingRule]] = {"table": TableRule, "reserve": ReservePrice, "posted": PostedPrice}
    return rules[scenario.rule](grid)


def _designer(scenario: BatchedAuctionScenario, problem: DesignProblem) -> Callable[..., Solution[MeanFieldDesign]]:
    """By the gradient; thresholds, which have none, by values at two points a step."""
    rate = scenario.learning_rate or _RATES[scenario.rule]
    if scenario.rule in {"table", "network"}:
        return by_gradient(scenario, problem, rate=rate)
    from hurwicz.designers import zeroth_order

    grid = scenario.grid or _GRID
    return partial(zeroth_order, problem, steps=scenario.steps, learning_rate=rate, radius=1.0 / grid)


def _measured(setting: Setting, rule: SellingRule, design: MeanFieldDesign) -> Measured:
    from hurwicz.reports.auction_outcome import auction_outcome

    return Measured(rule, design, auction_outcome(setting.auction, rule, design.flow, design.theta))


def _simple_rules(
    setting: Setting,
    shape: Mapping[str, Any],
    evaluations: int,
    checkpoints: Checkpoints,
    stop: Interruption,
    progress: Progress,
    cut: list[str],
) -> dict[str, Measured]:
    """First price as it is, and the best of each simple family that a search finds; as many of them as there was time for."""
    from hurwicz.designers import auction_problem, best_posted_prices, best_reserve_schedule, evaluate_design, first_price_schedule
    from hurwicz.meanfield import FirstPrice, PostedPrice, ReservePrice

    grid = setting.auction.grid
    found: dict[str, Measured] = {}
    progress(BEFORE, 0.0)
    with stop.ends():
        found[BEFORE] = _measured(setting, FirstPrice(grid), first_price_schedule(setting, **shape).value)
    searches: dict[str, tuple[SellingRule, str, Callable[..., Any]]] = {
        RESERVES: (ReservePrice(grid), "reserve", best_reserve_schedule),
        POSTED: (PostedPrice(grid), "price", best_posted_prices),
    }
    kept = checkpoints.simple_rules()
    for k, (label, (family, key, search)) in enumerate(searches.items()):

        def told(done: int, most: int, best: float, k: int = k, label: str = label) -> None:
            progress(f"{label}: equilibrium {done} of at most {most}, best {best:.5f}", 0.02 + 0.19 * (k + done / most))

        if stop.stopped:
            break
        design = None
        with stop.ends():
            if label in kept:
                problem = auction_problem(setting, family, **shape)
                design = evaluate_design(problem, {key: np.asarray(kept[label], dtype=np.float64)})
            else:
                solution = search(setting, evaluations=evaluations, progress=told, **shape)
                design, stop.stopped = solution.value, bool(solution.stats["interrupted"])
                cut.extend([label] if stop.stopped else [])
        if design is not None:
            if not stop.stopped:
                checkpoints.keep_simple_rule(label, design.theta[key].tolist())
            found[label] = stop.outlasted(partial(_measured, setting, family, design))
    return found


def _begun(scenario: BatchedAuctionScenario, top: str) -> str:
    """What learning starts from, where that is left to what was found: thresholds start from the best of their own family."""
    if scenario.start != "best":
        return scenario.start
    if scenario.rule in {"reserve", "posted"}:
        return scenario.rule
    return {RESERVES: "reserve", POSTED: "posted"}.get(top, "first_price")


def _start(begun: str, setting: Setting, rule: SellingRule, found: Mapping[str, Measured]) -> Callable[[Any], Any]:
    """Random key → the first weights: of a simple rule in the form of the family that is learned, or by chance."""
    import jax.numpy as jnp

    from hurwicz.meanfield import NetworkRule, ReservePrice, TableRule, first_price_head, posted_price_head, reserve_head, static_head

    auction = setting.auction
    if begun == "random":
        own: Any = rule
        return (lambda key: own.init(key)) if isinstance(rule, NetworkRule) else (lambda key: own.init(key, auction.rounds))
    if begun == "first_price":
        prices = np.zeros(auction.rounds)
    else:
        prices = found[RESERVES if begun == "reserve" else POSTED].design.theta["reserve" if begun == "reserve" else "price"]
    if not isinstance(rule, TableRule | NetworkRule):
        return lambda _key: {"reserve" if isinstance(rule, ReservePrice) else "price": jnp.asarray(prices)}
    with float64_scope():
        outcome = found[{"posted": POSTED, "reserve": RESERVES}.get(begun, BEFORE)].outcome
        shares = jnp.asarray(outcome.sold / np.maximum(outcome.left, 1e-9))
        if begun == "first_price":
            head = first_price_head(auction.grid, shares, softness=_SOFTNESS)
        else:
            begin = posted_price_head if begun == "posted" else reserve_head
            head = begin(auction.grid, jnp.asarray(prices), softness=_SOFTNESS)
        if setting.static:
            head = static_head(head, shares, softness=_SOFTNESS)
    return (lambda key: rule.init(key, head=head)) if isinstance(rule, NetworkRule) else (lambda _key: head)


def _audited(
    scenario: BatchedAuctionScenario,
    setting: Setting,
    learned: Measured,
    shape: Mapping[str, Any],
    *,
    stop: Interruption,
    progress: Progress,
) -> list[Finding]:
    """The learned rule before the auditor; populations of N are left out where somebody waits for the prompt."""
    import jax

    from hurwicz.audits import audit_mean_field_rule

    def audited() -> list[Finding]:
        with float64_scope():
            weights = jax.tree.map(jax.numpy.asarray, learned.design.theta)
            return audit_mean_field_rule(
                setting.auction,
                learned.rule,
                weights,
                learned.design.policy,
                players=() if stop.stopped else tuple(scenario.players),
                tau=shape["tau"],
                progress=lambda what, done: progress(f"audit: {what.replace('_', ' ')}", 0.92 + 0.08 * done),
            )

    return stop.outlasted(audited)


def _result(
    scenario: BatchedAuctionScenario,
    setting: Setting,
    learned: Learned,
    rules: Mapping[str, Measured],
    shape: Mapping[str, Any],
    *,
    top: str,
    begun: str,
    stop: Interruption,
) -> dict[str, Any]:
    """Plain data for ``result.json``; where nothing was learned, the result is the best simple rule."""
    best = rules.get(LEARNED, rules[top])
    ceiling = setting.ceiling
    notes = [f"reconstructed: {note}" for note in setting.reconstructed]
    if setting.draw is not None:
        notes.append(f"{setting.name} draws its market: this is the mean one; `hurwicz reproduce amid --only {setting.name}` draws many")
    missing = [label for label in (RESERVES, POSTED) if label not in rules]
    if missing:
        notes.append(f"{' and '.join(missing)}: not searched, since the run was interrupted")
    if not learned.designs:
        notes.append(f"nothing was learned before the run was interrupted: the result is {top}, the best of what was found until then")
    behind = rules[top].design.objective - best.design.objective
    if behind > 0.0:
        notes.append(f"the learned rule is {behind:.5f} behind {top}: raise steps, or start from another rule")
    return {
        **learning_keys(learned, best.design, dict(shape), stop),
        "setting": setting.name,
        "rule": scenario.rule,
        "start": begun,
        "shown": LEARNED if learned.designs else top,
        "objective_weights": dict(setting.objective),
        "revenue": best.outcome.revenue,
        "welfare": best.outcome.welfare,
        "ceiling": ceiling,
        "best_simple_rule": top,
        "rules": {
            name: {
                "objective": measured.design.objective,
                "revenue": measured.outcome.revenue,
                "welfare": measured.outcome.welfare,
                "exploitability": measured.design.exploitability,
                "sold": measured.outcome.sold.tolist(),
                "collected": measured.outcome.collected.tolist(),
            }
            for name, measured in rules.items()
        },
        "bids": {
            "values": setting.auction.values.tolist(),
            "before": _without_nan(rules[BEFORE].outcome.bids),
            "after": _without_nan(best.outcome.bids),
        },
        "payments": {"prices": best.outcome.prices.tolist(), "chances": best.outcome.chances.tolist()},
        "notes": notes,
    }


def _without_nan(rows: Float64[FloatArray, "rounds values"]) -> list[list[float | None]]:
    return [[None if np.isnan(value) else float(value) for value in row] for row in rows]
