"""The main job: coordinate a grid's generators by prices, and pay them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from hurwicz._foundation import InfeasibleError, InputError, NotConvergedError, SolverError, Status
from hurwicz.formats import MatpowerCase
from hurwicz.prices.dispatch.agents import generators
from hurwicz.prices.dispatch.costs import unit_costs
from hurwicz.prices.dispatch.explanation import binding_lines
from hurwicz.prices.dispatch.network import dc_network
from hurwicz.prices.dispatch.payments import RULES, OutOfTimeError, Payer
from hurwicz.prices.dispatch.planner import learn_and_plan
from hurwicz.prices.dispatch.reference import reference_optimum
from hurwicz.prices.dispatch.result import DispatchResult, check_dispatch
from hurwicz.prices.offer import Respondent
from hurwicz.typespaces import Interval, Prior, Uniform


def coordinate(
    case: MatpowerCase,
    *,
    network: str = "powermodels",
    agents: Sequence[Respondent] | None = None,
    max_rounds: int = 20,
    tol: float = 1e-9,
    payments: Sequence[str] = (),
    payment_seconds: float | None = None,
    value_of_lost_load: float | None = None,
    prior: Prior | None = None,
    samples: int = 64,
    reference: bool = False,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> DispatchResult:
    """Least-cost dispatch of a DC grid by prices alone: min sum_i C_i(x_i) over dispatches that meet demand within the line limits.

    The planner sees what the case says of the grid and of each unit's limits, and the units' answers to offers; never a cost. What the
    answers give away is in ``revealed``: the marginal cost at a handful of points.

    Args:
        case: the grid.
        network: ``"powermodels"`` or ``"matpower"``; see :func:`dc_network`.
        agents: one handle a unit in service, in the file's order; the case's own units if omitted.
        max_rounds: broadcasts at most.
        tol: bound on the excess cost relative to the money that changes hands.
        payments: rules to pay by: ``"linear"``, ``"own_path"``, ``"clarke"``, ``"expected_externality"``.
        payment_seconds: that each rule may take; one that would take longer is left out, and a note says how long. None: no limit.
        value_of_lost_load: $/MWh of demand not served; ``own_path`` needs it, and ``clarke`` where a unit is pivotal.
        prior: of each unit's cost multiplier, for ``expected_externality``; uniform on [0.8, 1.25] if omitted.
        samples: draws of the others' types behind the expected externality.
        reference: also solve with every cost known, by an independent solver (None and a note where that one fails).
        seed: of those draws.
        progress: called with a line of text now and then.

    Raises:
        InfeasibleError: no dispatch meets demand; says how much is missing and where.
        FormatError: a line without reactance, or a cost that is not convex.
        InputError: an unknown rule, or a rule without the value of lost load that it needs.
        AgentError: an agent's answer is no output within its limits.
        NotConvergedError: the rounds ran out, of the coordination or of one without a unit (Clarke); ``reached`` holds the result so far.

    Example:
        >>> from hurwicz.formats import packaged_case
        >>> result = coordinate(packaged_case("case14_ieee"))
        >>> result.price_rounds, round(result.objective, 3)
        (3, 2051.526)

    Source: "Learning the answers"; the nearest method in print is ALADIN (Houska, Frasch and Diehl 2016).
    """
    unknown = [rule for rule in payments if rule not in RULES]
    if unknown:
        raise InputError(f"payments: expected rules among {', '.join(RULES)}, got {unknown[0]!r}")
    if payment_seconds is not None and not payment_seconds > 0:
        raise InputError(f"payment_seconds: expected a positive number of seconds or None, got {payment_seconds}")
    seconds: dict[str, float] = {}
    started = time.perf_counter()
    net = dc_network(case, network)
    handles = generators(case, net) if agents is None else list(agents)
    seconds["set-up"] = time.perf_counter() - started
    plan, known = learn_and_plan(net, handles, max_rounds=max_rounds, tol=tol, progress=progress)
    seconds.update(plan.seconds)
    output = plan.solution.output
    violation, flows = check_dispatch(net, output)
    objective = float(sum(cost.at(x) for cost, x in zip(unit_costs(case, net.unit_rows), output.tolist(), strict=True)))
    price = plan.solution.price
    notes = list(net.notes)
    transfers: dict[str, dict[str, float]] = {}
    pivotal: tuple[str, ...] = ()
    best: float | None = None
    unsettled = ""
    if plan.converged:
        belief = Uniform(Interval(0.8, 1.25)) if prior is None else prior
        payer = Payer(known, plan.solution, value_of_lost_load, belief, samples, seed, max_rounds, tol, progress, payment_seconds)
        for rule in payments:
            started = time.perf_counter()
            try:
                transfers[rule] = dict(zip(net.units, payer.transfers(rule).tolist(), strict=True))
            except OutOfTimeError as late:
                notes.append(str(late))
            except NotConvergedError as error:
                unsettled = f"{rule}: {error}"
                notes.append(f"{unsettled}; its payments are left out")
            seconds[f"payments: {rule}"] = time.perf_counter() - started
        pivotal = tuple(net.units[unit] for unit in sorted(payer.pivotal))
        notes.extend(payer.notes)
        if reference:
            started = time.perf_counter()
            try:
                best = reference_optimum(case, network).objective
            except (InfeasibleError, SolverError) as error:
                notes.append(f"no independent optimum to compare with: {error}")
            seconds["reference"] = time.perf_counter() - started
    result = DispatchResult(
        status=Status.OPTIMUM if plan.converged else Status.STEP_LIMIT,
        objective=objective,
        reference=best,
        actions=dict(zip(net.units, output.tolist(), strict=True)),
        prices=dict(zip(net.buses.tolist(), price.tolist(), strict=True)),
        price_rounds=plan.rounds,
        gap=plan.gap,
        violation=violation,
        transfers=transfers,
        payments={rule: {name: -amount for name, amount in row.items()} for rule, row in transfers.items()},
        pivotal=pivotal,
        flows={net.line_name(k): float(flow) for k, flow in enumerate(flows)},
        binding=binding_lines(net, plan.solution, flows),
        revealed={name: list(curve.points) for name, curve in zip(net.units, known.curves, strict=True)},
        rounds=plan.history,
        seconds=seconds,
        notes=tuple(notes),
        network=net,
        solution=plan.solution,
        knowledge=known,
    )
    if not plan.converged:
        raise NotConvergedError(
            f"{plan.rounds} price rounds left an excess cost of up to {plan.gap:.1e} of the money that changes hands "
            f"(asked for: {tol:.1e}); "
            "allow more rounds (max_rounds) or a larger tolerance",
            reached=result,
        )
    if unsettled:
        raise NotConvergedError(f"{unsettled}; allow more rounds (max_rounds) or a larger tolerance", reached=result)
    return result
