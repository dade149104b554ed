"""``kind = "target"``: agents bring a sum to a target; five with names, or ten thousand million without."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from hurwicz._foundation import Solution, SolverError, Status
from hurwicz.reports import Page
from hurwicz.scenarios import auditing
from hurwicz.scenarios.running import Progress, Run
from hurwicz.scenarios.schema import CLARKE_AGENTS, Population, TargetRule, TargetScenario, TypePrior
from hurwicz.scenarios.tables import text_table

if TYPE_CHECKING:
    from hurwicz.prices import Coordination
    from hurwicz.prices.payments import PaymentRule
    from hurwicz.typespaces import ProductPrior


def run_target(scenario: TargetScenario, name: str, progress: Progress) -> Run:
    """Coordinate, pay, audit; named agents or a population."""
    if scenario.population is not None:
        return _run_population(scenario, scenario.population, name, progress)
    return _run_named(scenario, list(scenario.types or ()), name, progress)


def _run_named(scenario: TargetScenario, types: list[float], name: str, progress: Progress) -> Run:
    import jax.numpy as jnp

    from hurwicz import prices
    from hurwicz.prices.direct import PriceMechanism
    from hurwicz.prices.payments import QuadraticAggregate
    from hurwicz.typespaces import Interval, ProductPrior, Uniform
    from hurwicz.valuations import Quadratic

    began = time.perf_counter()
    names = [f"agent {k + 1}" for k in range(len(types))]
    weight, target = scenario.weight, scenario.target
    graph = prices.PriceGraph()
    graph.source("target", target)
    for agent in names:
        graph.agent(agent, shape=())
    graph.function("total", lambda *actions: jnp.sum(jnp.stack(actions)), inputs=names)
    graph.loss("miss", lambda total, wanted: weight * (total - wanted) ** 2, inputs=["total", "target"])
    agents = [prices.DeclaredAgent(agent, Quadratic(), theta) for agent, theta in zip(names, types, strict=True)]

    def report(rounds: int, residual: float) -> None:
        progress(f"round {rounds}: residual {residual:.1e}", min(rounds / scenario.max_rounds, 1.0))

    converged, message = True, ""
    try:
        solution = prices.coordinate(
            graph,
            [prices.seal(agent) for agent in agents],
            dynamics=_dynamics(scenario.dynamics),
            tol=scenario.tolerance,
            max_rounds=scenario.max_rounds,
            progress=report,
        )
    except SolverError as error:
        if not isinstance(error.reached, Solution):
            raise
        solution, converged, message = error.reached, False, str(error)
    reached: Coordination = solution.value
    actions = {agent: float(reached.actions[agent]) for agent in names}
    spread = TypePrior(low=min(types) / 10, high=max(types) * 10) if scenario.prior is None else scenario.prior
    spaces = {agent: Interval(spread.low, spread.high) for agent in names}
    prior = None if scenario.prior is None else ProductPrior({agent: Uniform(space) for agent, space in spaces.items()})
    problem = QuadraticAggregate(target, names, weight=weight)
    rules = _rules(scenario, prior)
    mechanisms = {rule: PriceMechanism(problem, by, spaces, prior=prior) for rule, by in rules.items()}
    truth = dict(zip(names, types, strict=True))
    transfers = {rule: {a: -float(t) for a, t in m.outcome(truth).payments.items()} for rule, m in mechanisms.items()} if converged else {}
    findings: auditing.Findings = {}
    if scenario.audit and converged:
        wanted = ["DSIC", "ex_post_IR", "strong_budget_balance", "weak_budget_balance", "planner_IR", "efficiency"]
        wanted += ["BIC", "interim_IR"] if prior is not None else []
        findings, _ = auditing.audit_rules(
            mechanisms, wanted, prior=prior, effort=scenario.effort, at=[truth], seed=scenario.seed, progress=progress
        )
    best = float(problem.loss_bound(problem.solve([np.array([t]) for t in types]), [np.array([t]) for t in types])[0])
    result: dict[str, Any] = {
        "status": solution.status.value,
        "objective": prices.total_loss(graph, reached.actions, agents),
        "reference": best,
        "actions": actions,
        "prices": {agent: float(reached.prices[agent]) for agent in names},
        "price_rounds": reached.rounds,
        "residual": reached.residual,
        "dynamics": solution.stats["dynamics"],
        "payments": {rule: {a: -t for a, t in row.items()} for rule, row in transfers.items()},
        "transfers": transfers,
        "audit": auditing.as_data(findings),
        "seconds": time.perf_counter() - began,
    }
    costs = {agent.name: agent.cost_at(reached.actions[agent.name]) for agent in agents}
    columns = ["agent", "type", "action", "price", "own cost", *(f"receives, {rule.replace('_', ' ')}" for rule in transfers)]
    rows = [[a, truth[a], actions[a], result["prices"][a], costs[a], *(row[a] for row in transfers.values())] for a in names]
    page = Page(name, f"{len(names)} agents bring a sum to {target:g} by prices alone")
    page.figures({"total loss": result["objective"], "least possible": best, "price rounds": reached.rounds, "status": result["status"]})
    page.heading("Who does what, and is paid what").table(columns, rows)
    page.heading("Where the price comes from").plot(graph.svg(), "The price graph: prices flow against the arrows.")
    page.table(["from", "to", "part of the price"], _edges(graph, reached, names[0]), f"The price of {names[0]}, edge by edge")
    tables = [text_table(f"{name}: {result['status']} after {reached.rounds} price rounds", columns, rows)]
    if findings:
        auditing.add_section(page, findings, "of loss")
        tables.append(auditing.as_table(findings))
    return Run(result, page, tables, converged, message)


def _edges(graph: Any, reached: Coordination, agent: str) -> list[list[Any]]:
    from hurwicz.prices import explain

    return [[source, target, float(np.sum(share))] for source, target, share in explain(graph, reached.actions, agent).edges]


def _dynamics(name: str) -> Any:
    from hurwicz import prices

    makers = {
        "price_newton": prices.PriceNewton,
        "anderson": prices.Anderson,
        "broyden": prices.Broyden,
        "accelerated": prices.Accelerated,
        "admm": prices.SharingADMM,
        "proximal": prices.Proximal,
        "gradient": prices.GradientResponse,
    }
    return makers[name]()


def _rules(scenario: TargetScenario, prior: ProductPrior | None) -> dict[str, PaymentRule]:
    from hurwicz.prices.payments import Clarke, ExpectedExternality, Linear, OwnPath, PostedExpectation

    rules: dict[str, PaymentRule] = {"linear": Linear(), "own_path": OwnPath(), "clarke": Clarke()}
    if prior is not None:
        rules |= {"expected_externality": ExpectedExternality(prior), "posted_expectation": PostedExpectation(prior)}
    return {rule: rules[rule] for rule in (scenario.payments or rules)}


def _run_population(scenario: TargetScenario, crowd: Population, name: str, progress: Progress) -> Run:
    from hurwicz.prices.populations import GeneratedPopulation, QuadraticLoss, UniformTypes, clarke_transfers, price_newton

    began = time.perf_counter()
    population = GeneratedPopulation(crowd.size, UniformTypes(crowd.curvature, crowd.capacity), seed=scenario.seed)
    # The miss is counted per agent, so that the price does not depend on how many there are.
    loss = QuadraticLoss(target=scenario.target * crowd.size, weight=scenario.weight / crowd.size)

    def report(rounds: int, price: float, step: float) -> None:
        progress(f"round {rounds}: price {price:.10g}, relative step {step:.1e}", min(rounds / 10, 1.0))

    try:
        solution = price_newton(population, loss, tolerance=scenario.tolerance, max_rounds=scenario.max_rounds, progress=report)
        converged, message = True, ""
    except SolverError as error:
        if not isinstance(error.reached, Solution):
            raise
        solution, converged, message = error.reached, False, str(error)
    clearing = solution.value
    expected = population.types.mean_response(clearing.price, population.exponent)
    rules: list[TargetRule] = scenario.payments or (["linear", "clarke"] if crowd.size <= CLARKE_AGENTS else ["linear"])
    paid: dict[str, dict[str, float]] = {}
    if converged and "linear" in rules:
        total = clearing.price * clearing.aggregate
        paid["linear"] = {"total": total, "mean": total / crowd.size}
    if converged and "clarke" in rules:
        progress("Clarke transfers", 0.9)
        tau = clarke_transfers(population.part(0, crowd.size), loss, clearing=clearing).value
        levels = np.quantile(tau, [0.0, 0.25, 0.5, 0.75, 1.0])
        shares = dict(zip(("least", "lower quartile", "median", "upper quartile", "greatest"), levels.tolist(), strict=True))
        paid["clarke"] = {"total": float(tau.sum()), "mean": float(tau.mean())} | shares
    result: dict[str, Any] = {
        "status": Status.OPTIMUM.value if converged else solution.status.value,
        "agents": crowd.size,
        "price": clearing.price,
        "aggregate": clearing.aggregate,
        "mean_action": clearing.aggregate / crowd.size,
        "mean_action_of_infinitely_many": expected,
        "gap": clearing.gap,
        "price_rounds": solution.stats["rounds"],
        "transfers": paid,
        "payments": {rule: {key: -value for key, value in row.items()} for rule, row in paid.items()},
        "seconds": time.perf_counter() - began,
    }
    figures: dict[str, Any] = {
        "agents": crowd.size,
        "price": clearing.price,
        "mean action": result["mean_action"],
        "price rounds": result["price_rounds"],
        "seconds": result["seconds"],
    }
    page = Page(name, f"{crowd.size:,} agents with capacities bring their mean action to {scenario.target:g}").figures(figures)
    page.text(
        f"At this price infinitely many agents with these types would act {expected:.9f} on average; these {crowd.size:,} act "
        f"{result['mean_action']:.9f}. The bound on the excess of the total loss over its optimum is {clearing.gap:.2e}."
    )
    rows = [[rule, key, value] for rule, row in paid.items() for key, value in row.items()]
    page.heading("What the agents receive").table(["payment rule", "figure", "money"], rows)
    tables = [text_table(f"{name}: {result['status']}", ["figure", "value"], [[key, value] for key, value in figures.items()])]
    tables.append(text_table("What the agents receive", ["payment rule", "figure", "money"], rows))
    return Run(result, page, tables, converged, message)
