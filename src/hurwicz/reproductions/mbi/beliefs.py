"""C.14: an agent whose cost the planner gets wrong, and how one answer puts it right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hurwicz.reproductions.claim import Plot
from hurwicz.reproductions.mbi.claim import Claim, Context, Experiment, compare
from hurwicz.reproductions.mbi.instances import C4, Aggregate
from hurwicz.reproductions.mbi.markets import aggregate_market, declared, mechanism, types_of
from hurwicz.reproductions.mbi.paths import gradient_path


def revealed_type(price: float, action: float) -> float:
    """The lambda with marginal cost C'(x; lambda) = p at the answer x: one answer names a one-parameter type."""
    from hurwicz.prices.beliefs import identify
    from hurwicz.typespaces import Interval
    from hurwicz.valuations import Quadratic

    found = identify(Quadratic().gradient, price, action, Interval(0.01, 10.0))
    return 0.5 * (found.low + found.high)


def belief_losses(truth: Aggregate, expected: float, rounds: int = 2) -> list[float]:
    """Loss over the optimum round by round: a plan with a belief about agent 1 is carried out, its answer corrects the belief."""
    from hurwicz.prices import Offer, coordinate, total_loss

    market, data, agents = aggregate_market(truth.names), {"target": truth.target}, declared(truth)
    best, belief, losses = truth.optimal_loss(), expected, []
    for _ in range(rounds):
        plan = coordinate(market, declared(truth.with_type(0, belief)), data=data, tol=1e-12).value
        losses.append(total_loss(market, plan.actions, agents, data=data) - best)
        price = plan.prices["1"]
        belief = revealed_type(float(price), float(agents[0].respond(Offer(price), {})))
    return losses


def c14(context: Context) -> tuple[Sequence[Claim], Sequence[Plot]]:
    """lambda_1 is .3, the planner assumes .1."""
    from hurwicz.audits import audit
    from hurwicz.prices import coordinate, total_loss
    from hurwicz.prices.payments import Clarke, Linear
    from hurwicz.typespaces import Finite

    truth = C4.with_type(0, 0.3)
    market, data, agents = aggregate_market(truth.names), {"target": truth.target}, declared(truth)
    acted = coordinate(market, agents, data=data, tol=1e-12).value
    plan = coordinate(market, declared(C4), data=data, tol=1e-12).value
    short = gradient_path(C4, np.zeros(5), step=0.005, rounds=5000).actions
    losses = belief_losses(truth, 0.1)
    true, grid = types_of(truth), Finite([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    context.say("auditing answers that are used as reports")
    (shaded,) = audit(mechanism(truth, Linear()), ["DSIC"], effort="quick", seed=context.seed, at=[true])
    (closed,) = audit(mechanism(truth, Clarke(), grid), ["DSIC"], effort="quick")
    seen = shaded.witness
    explained = "The paper's text and its own run disagree, because they answer two questions."
    return [
        compare(
            "C.14",
            "x1 if agents act on their true costs",
            ours=float(acted.actions["1"]),
            paper=1.6046,
            truth=float(truth.optimum()[0]),
            relative=1e-4,
            note=f"{explained} Agents that answer prices by their true costs never use the planner's assumption, and reach the true "
            "optimum: the text's figure.",
        ),
        compare(
            "C.14",
            "loss if agents act on their true costs",
            ours=total_loss(market, acted.actions, agents, data=data),
            paper=3.591,
            truth=truth.optimal_loss(),
            relative=2e-4,
            note="The text's figure.",
        ),
        compare(
            "C.14",
            "x1 if the plan is obeyed",
            ours=float(plan.actions["1"]),
            paper=3.3655,
            truth=float(C4.optimum()[0]),
            relative=2e-4,
            note=f"What the paper's run prints. It stops before its end: 5000 gradient responses from 0 give {short[0]:.4f}.",
        ),
        compare(
            "C.14",
            "loss at the true costs if the plan is obeyed",
            ours=total_loss(market, plan.actions, agents, data=data),
            paper=4.7765,
            truth=truth.loss(C4.optimum()),
            relative=2e-4,
            note=f"What the paper's run prints; {truth.loss(short):.4f} after 5000 gradient responses from 0.",
        ),
        compare(
            "C.14",
            "loss over the optimum in round one, plan obeyed",
            ours=losses[0],
            paper=4.7765 - 3.591,
            truth=truth.loss(C4.optimum()) - truth.optimal_loss(),
            absolute=1e-3,
            note="The paper's figure is the difference of its two losses.",
        ),
        compare(
            "C.14",
            "loss over the optimum in round two, type learnt from agent 1's answer",
            ours=losses[1],
            paper=None,
            truth=0.0,
            note="Agent 1's answer to the plan's price reveals its marginal cost there, hence lambda_1; the next plan is the optimum. "
            "True of a "
            "myopic agent only. The paper has no second round.",
        ),
        compare(
            "C.14",
            "DSIC if that answer serves as a report and the plan pays linear prices",
            ours=shaded.verdict.value,
            paper=None,
            truth="refuted",
            note="An agent that looks ahead shades its answer"
            + ("" if seen is None else f": agent {seen.agent} of type {seen.true_type:g} answers as if it were {seen.misreport:g}")
            + ". The paper does not ask.",
        ),
        compare(
            "C.14",
            "DSIC if that answer serves as a report and the plan pays Clarke transfers",
            ours=closed.verdict.value,
            paper=None,
            truth="proved",
            note=f"On a grid of six types an agent, {closed.method}: Clarke payments close the gap. The paper does not ask.",
        ),
    ], []


BELIEFS = (
    Experiment(
        "C.14", "A cost that the planner gets wrong", "The problem of C.4 with lambda_1 = .3, which the planner takes for .1.", c14, 1.0
    ),
)
