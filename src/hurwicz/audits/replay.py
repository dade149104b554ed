"""Replay a witness: its gain, recomputed from the mechanism alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hurwicz._foundation import InputError
from hurwicz.audits.auctioneer import replay_shill, replay_stories
from hurwicz.audits.bayesian import ex_ante_utilities
from hurwicz.audits.collusion import replay_pair
from hurwicz.audits.correlated import replay_conditional
from hurwicz.audits.deviation_search import truth_and_lie
from hurwicz.audits.effort import Effort
from hurwicz.audits.evaluation import Evaluator
from hurwicz.audits.ex_ante import EX_ANTE, replay_ex_ante
from hurwicz.audits.expectations import interim_gain, interim_pairs, need_prior
from hurwicz.audits.false_names import Family, replay_two_names
from hurwicz.audits.finding import Finding, Witness
from hurwicz.audits.monotonicity import turn_of
from hurwicz.audits.profilewise import SHORTFALLS, columns
from hurwicz.settings import DirectMechanism, JointPrior, Property
from hurwicz.typespaces import CorrelatedPrior


def replay(
    mechanism: DirectMechanism, witness: Finding | Witness, *, prior: JointPrior | None = None, family: Family | None = None
) -> float:
    """The gain (or shortfall) of a witness, computed afresh.

    Args:
        mechanism: the mechanism that was audited.
        witness: a witness, or a refuted finding.
        family: names → mechanism, for witnesses with false names; the mechanism's own ``resized`` if it has one.
        prior: needed for witnesses in expectation, unless the mechanism carries one.

    Returns:
        The witness's gain: what the deviation earns, or by how much the property fails.

    Raises:
        InputError: a finding without a witness, a witness without its property or of other agents, a type or report outside its space, a
            prior missing.

    Example:
        >>> from hurwicz.prices.direct import PriceMechanism
        >>> from hurwicz.prices.payments import Linear, QuadraticAggregate
        >>> from hurwicz.typespaces import Interval
        >>> problem = QuadraticAggregate(7.461, 5)
        >>> mechanism = PriceMechanism(problem, Linear(), {name: Interval(0.01, 2.0) for name in problem.agents})
        >>> others = dict(zip(problem.agents[1:], (0.5, 0.2, 0.4, 0.6)))
        >>> witness = Witness("agent 1", 0.1, 0.182, others, 0.289477, {"property": "DSIC"})
        >>> round(replay(mechanism, witness), 6)
        0.289477
    """
    if isinstance(witness, Finding):
        if witness.witness is None:
            raise InputError(f"replay: expected a refuted finding, got {witness.property!r} {witness.verdict.value}, which has no witness")
        stated = witness.witness.details.get("property")
        if stated is not None and stated != witness.property:
            raise InputError(f"replay: expected a witness of the finding's own property {witness.property!r}, got one of {stated!r}")
        return replay(mechanism, witness.witness, prior=prior, family=family)
    name = witness.details.get("property")
    if name is None:
        raise InputError("replay: expected details['property'] in the witness, so that it is known what to recompute")
    e = Evaluator(mechanism, Effort(), seed=0)
    _fits(e, witness, name)
    common = prior if prior is not None else getattr(mechanism, "prior", None)
    agent = witness.agent
    if name in (Property.DSIC, Property.EX_POST_IC):
        assert agent is not None
        truth, lie = truth_and_lie(e, agent, _profile(witness), witness.misreport)
        return lie - truth
    if name in (Property.BIC, Property.INTERIM_IR) and isinstance(common, CorrelatedPrior):
        assert agent is not None
        need_prior(e, common, name)
        return replay_conditional(e, common, agent, witness.true_type, witness.misreport)
    if name in EX_ANTE:
        return replay_ex_ante(e, need_prior(e, common, name), witness.details)
    if name == Property.COLLUSION_PROOF_PAIRS:
        return replay_pair(e, witness)
    if name == Property.FALSE_NAME_PROOF:
        return replay_two_names(e, witness, family)
    if name == Property.SHILL_PROOF:
        return replay_shill(e, witness, family)
    if name == Property.CREDIBLE:
        return replay_stories(e, witness)
    if name == Property.MONOTONICITY:
        assert agent is not None
        return turn_of(e, agent, _profile(witness), witness.misreport)
    if name == Property.BIC:
        assert agent is not None
        told, lied, _ = interim_gain(
            e,
            need_prior(e, common, name),
            agent,
            e.one({agent: witness.true_type})[agent][0],
            e.one({agent: witness.misreport})[agent][0],
            witness.details["expectation"],
        )
        return lied - told
    if name == Property.INTERIM_IR:
        assert agent is not None
        one = e.one({agent: witness.true_type})[agent]
        return -float(interim_pairs(e, need_prior(e, common, name), agent, one, one, witness.details["expectation"])[0][0])
    if name == Property.EX_ANTE_IR:
        assert agent is not None
        means, _ = ex_ante_utilities(e, need_prior(e, common, name), witness.details["expectation"])
        return -float(means[e.agents.index(agent)])
    if name == Property.EFFICIENCY:
        profile = e.one(witness.true_type)
        other = (
            e.outcomes(e.one(witness.misreport)) if witness.misreport is not None else e.mechanism.efficient_outcomes(profile)  # type: ignore[attr-defined]
        )
        return float(e.welfares(other, profile)[0] - e.welfares(e.outcomes(profile), profile)[0])
    if name in SHORTFALLS:
        profile = e.one(_profile(witness))
        outcomes = e.outcomes(profile)
        if name == Property.EX_POST_IR:
            assert agent is not None
            return -float(e.among(agent, outcomes, profile)[0])
        return float(SHORTFALLS[name](e, profile, outcomes)[0, columns(e, name).index((agent, witness.details.get("other")))])
    # what only prices claim needs the price mechanism and its solvers: not loaded for any other witness
    from hurwicz.audits.price_claims import replay_claim

    claimed = replay_claim(mechanism, witness)
    if claimed is not None:
        return claimed
    raise InputError(f"replay: expected a witness of one of {[p.value for p in Property]}, got one of {name!r}")


_OF_ONE_AGENT = frozenset(
    p.value
    for p in (
        Property.DSIC,
        Property.EX_POST_IC,
        Property.BIC,
        Property.INTERIM_IR,
        Property.EX_ANTE_IR,
        Property.EX_POST_IR,
        Property.MONOTONICITY,
        Property.COLLUSION_PROOF_PAIRS,
        Property.FALSE_NAME_PROOF,
    )
)


def _fits(e: Evaluator, witness: Witness, name: str) -> None:
    # a gain by a report that nobody may make, or of a type that nobody has, refutes nothing
    agent, details = witness.agent, witness.details
    if agent is None and name in _OF_ONE_AGENT:
        raise InputError(f"replay: expected a witness of {name} to name the agent that it is about, got none")
    told: list[tuple[str, Any]] = []
    for some in (witness.true_type, witness.misreport) if agent is None else (witness.others,):
        if isinstance(some, Mapping):
            told += some.items()
    if agent is not None:
        told += [(agent, witness.true_type), (agent, witness.misreport), (agent, details.get("best_report_alone"))]
    if "partner" in details:
        told += [(details["partner"], details.get("partner_type")), (details["partner"], details.get("partner_report"))]
    for teller, story in dict(details.get("stories") or {}).items():
        told += [(teller, None), *dict(story).items()]
    for who, value in told:
        if who not in e.spaces:
            raise InputError(f"replay: expected a witness about agents among {list(e.agents)}, got one about {who!r}")
        if value is not None:
            e.one({who: value})


def _profile(witness: Witness) -> Mapping[str, Any]:
    if witness.agent is None:
        return dict(witness.true_type)
    if witness.others is None:
        raise InputError("replay: expected the others' reports in the witness, got none")
    return {**witness.others, witness.agent: witness.true_type}
