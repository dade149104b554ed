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
from hurwicz.scenarios.mean_field.auction_page import BEFORE, auction_page, auction_tables
from hurwicz.scenarios.mean_field.learning import Checkpoints, Learned, by_gradient, equilibrium_keys, learn, learning_keys, told_of
from hurwicz.scenarios.mean_field.schema import BatchedAuctionScenario
from hurwicz.scenarios.running import Progress, Run

if TYPE_CHECKING:
    from hurwicz._foundation import Solution
    from hurwicz.audits import Finding
    from hurwicz.designers import DesignProblem, MeanFieldDesign
    from hurwicz.meanfield import SellingRule, Setting
    from hurwicz.reports.auction_outcome import AuctionOutcome

RESERVES, POSTED = "first price, best reserves", "best posted prices"
_KEYS = {"posted": "price", "reserve": "reserve", "first_price": "price"}
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

    began = time.perf_counter()
    checkpoints.begin(scenario)
    setting = _setting(scenario)
    shape = equilibrium_keys(scenario, tau=setting.tau, rate=setting.rate, iterations=setting.iterations)
    rules = _simple_rules(setting, shape, scenario.evaluations, progress)
    rule = _rule(scenario, setting)
    name_of = f"{setting.name}, {type(rule).__name__}"
    problem = auction_problem(setting, rule, start=_start(scenario, setting, rule, rules), name=name_of, **shape)
    learned = learn(scenario, _designer(scenario, problem), checkpoints, progress, span=(0.4, 0.9))
    progress("measuring what was learned", 0.9)
    rules["learned"] = _measured(setting, rule, learned.best)
    findings = _audited(scenario, setting, rules["learned"], shape, interrupted=learned.interrupted, progress=progress)
    result = _result(scenario, setting, learned, rules, shape)
    result |= {"audit": [finding.to_dict() for finding in findings], "seconds": time.perf_counter() - began}
    page = auction_page(name, scenario, setting, learned, rules, result, findings)
    tables = auction_tables(name, setting, rules, result, findings)
    return Run(result, page, tables, message=told_of(learned, checkpoints), interrupted=learned.interrupted)


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


def _simple_rules(setting: Setting, shape: Mapping[str, Any], evaluations: int, progress: Progress) -> dict[str, Measured]:
    """First price as it is, and the best of each simple family that a search finds."""
    from hurwicz.designers import best_posted_prices, best_reserve_schedule, first_price_schedule
    from hurwicz.meanfield import FirstPrice, PostedPrice, ReservePrice

    grid = setting.auction.grid
    progress(BEFORE, 0.0)
    found = {BEFORE: _measured(setting, FirstPrice(grid), first_price_schedule(setting, **shape).value)}
    searches: dict[str, tuple[SellingRule, Callable[..., Any]]] = {
        RESERVES: (ReservePrice(grid), best_reserve_schedule),
        POSTED: (PostedPrice(grid), best_posted_prices),
    }
    for k, (label, (family, search)) in enumerate(searches.items()):

        def told(done: int, most: int, best: float, k: int = k, label: str = label) -> None:
            progress(f"{label}: equilibrium {done} of at most {most}, best {best:.5f}", 0.02 + 0.19 * (k + done / most))

        found[label] = _measured(setting, family, search(setting, evaluations=evaluations, progress=told, **shape).value)
    return found


def _start(scenario: BatchedAuctionScenario, setting: Setting, rule: SellingRule, found: Mapping[str, Measured]) -> Callable[[Any], Any]:
    """Random key → the first weights: of a simple rule in the form of the family that is learned, or by chance."""
    import jax.numpy as jnp

    from hurwicz.meanfield import NetworkRule, TableRule, first_price_head, posted_price_head, reserve_head, static_head

    auction = setting.auction
    if scenario.start == "random":
        own: Any = rule
        return (lambda key: own.init(key)) if isinstance(rule, NetworkRule) else (lambda key: own.init(key, auction.rounds))
    prices = found[RESERVES if scenario.start == "reserve" else POSTED].design.theta[_KEYS[scenario.start]]
    if not isinstance(rule, TableRule | NetworkRule):
        return lambda _key: {_KEYS[scenario.rule]: jnp.asarray(prices)}
    with float64_scope():
        outcome = found[{"posted": POSTED, "reserve": RESERVES}.get(scenario.start, BEFORE)].outcome
        shares = jnp.asarray(outcome.sold / np.maximum(outcome.left, 1e-9))
        if scenario.start == "first_price":
            head = first_price_head(auction.grid, shares, softness=_SOFTNESS)
        else:
            begin = posted_price_head if scenario.start == "posted" else reserve_head
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
    interrupted: bool,
    progress: Progress,
) -> list[Finding]:
    """The learned rule before the auditor; populations of N are left out where somebody waits for the prompt."""
    import jax

    from hurwicz.audits import audit_mean_field_rule

    with float64_scope():
        weights = jax.tree.map(jax.numpy.asarray, learned.design.theta)
        return audit_mean_field_rule(
            setting.auction,
            learned.rule,
            weights,
            learned.design.policy,
            players=() if interrupted else tuple(scenario.players),
            tau=shape["tau"],
            progress=lambda what, done: progress(f"audit: {what.replace('_', ' ')}", 0.92 + 0.08 * done),
        )


def _result(
    scenario: BatchedAuctionScenario,
    setting: Setting,
    learned: Learned,
    rules: Mapping[str, Measured],
    shape: Mapping[str, Any],
) -> dict[str, Any]:
    """Plain data for ``result.json``."""
    best = rules["learned"]
    ceiling = setting.ceiling
    simple = {name: measured for name, measured in rules.items() if name != "learned"}
    top = max(simple, key=lambda name: simple[name].design.objective)
    notes = [f"reconstructed: {note}" for note in setting.reconstructed]
    if setting.draw is not None:
        notes.append(f"{setting.name} draws its market: this is the mean one; `hurwicz reproduce amid --only {setting.name}` draws many")
    behind = simple[top].design.objective - best.design.objective
    if behind > 0.0:
        notes.append(f"the learned rule is {behind:.5f} behind {top}: raise steps, or start from another rule")
    return {
        **learning_keys(learned, dict(shape)),
        "setting": setting.name,
        "rule": scenario.rule,
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
