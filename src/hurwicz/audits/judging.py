"""One property of one mechanism, judged apart from all others: the work that executors share out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from hurwicz.audits.auctioneer import credible, shill_proof
from hurwicz.audits.bayesian import bic, ex_ante_ir, interim_ir
from hurwicz.audits.collusion import collusion_proof_pairs
from hurwicz.audits.declared_form import strengthened
from hurwicz.audits.efficiency import efficiency
from hurwicz.audits.evaluation import Evaluator, UnsteadyError
from hurwicz.audits.ex_ante import EX_ANTE, budget_in_expectation, revenue_within_bound
from hurwicz.audits.expectations import need_prior
from hurwicz.audits.false_names import Family, false_name_proof
from hurwicz.audits.finding import Finding, Verdict
from hurwicz.audits.incentives import dsic, ex_post_ic
from hurwicz.audits.monotonicity import monotonicity
from hurwicz.audits.payment_identity import taking_part
from hurwicz.audits.profiles import Profiles
from hurwicz.audits.profilewise import SHORTFALLS, inapplicable, profilewise
from hurwicz.audits.replay import replay
from hurwicz.audits.story import story
from hurwicz.settings import PROPERTIES, JointPrior, Property

NEED_PRIOR = EX_ANTE | {Property.BIC.value, Property.INTERIM_IR.value, Property.EX_ANTE_IR.value}


@dataclass(frozen=True)
class Judging:
    """What a property is judged from. Called with the property's place in :data:`hurwicz.settings.PROPERTIES`.

    Attributes:
        evaluator: of the mechanism, probed.
        at: profiles of interest.
        prior: common prior.
        bound: on expected revenue.
        family: names → mechanism.
        progress: told the property's name and the fraction done; None where the work is done in another process.
    """

    evaluator: Evaluator
    at: Profiles | None
    prior: JointPrior | None
    bound: float | None
    family: Family | None
    progress: Callable[[str, float], None] | None = None

    def __call__(self, number: int) -> dict[str, Any]:
        """The finding as plain data, or ``{"unsteady": why}`` where the mechanism turned out to be no function of the reports."""
        name, e = PROPERTIES[number], self.evaluator.afresh()
        if e.left <= 0.0:
            why = inapplicable(e, name) if name in SHORTFALLS else ""
            if why:
                return Finding(name, Verdict.NOT_APPLICABLE, None, None, "none", {}, why).to_dict()
            said = f"not looked at: the {e.effort.whole:g} seconds of the whole audit were over (more with a higher effort, or by itself)"
            return Finding(name, Verdict.NOT_REFUTED, None, None, "none", {"cut_by_time_limit": True}, said).to_dict()
        try:
            found = _replayed(e, self.family, self._one(e, name), self.prior)
            e.probe(self.at)
        except UnsteadyError as error:
            return {"unsteady": str(error)}
        return found.to_dict()

    def stop(self) -> None:
        """Whoever is at it ends at the next outcome that it asks for."""
        self.evaluator.kept.stopped = True

    def _tell(self, name: str) -> Callable[[float], None] | None:
        progress = self.progress
        return None if progress is None else lambda fraction: progress(name, fraction)

    def _one(self, e: Evaluator, name: str) -> Finding:
        at, prior, bound, family, progress = self.at, self.prior, self.bound, self.family, self._tell(name)
        if name == Property.DSIC:
            return dsic(e, at, prior, progress)
        if name == Property.EX_POST_IC:
            return ex_post_ic(e, at, prior, progress)
        if name == Property.BIC:
            return strengthened(e, bic(e, prior, at, progress), prior)
        if name == Property.INTERIM_IR:
            return interim_ir(e, prior, at, progress)
        if name == Property.EX_ANTE_IR:
            return ex_ante_ir(e, prior)
        if name == Property.EFFICIENCY:
            return strengthened(e, efficiency(e, at, prior, progress), prior)
        if name == Property.COLLUSION_PROOF_PAIRS:
            return collusion_proof_pairs(e, at, prior)
        if name == Property.FALSE_NAME_PROOF:
            return false_name_proof(e, at, prior, family)
        if name == Property.SHILL_PROOF:
            return shill_proof(e, at, prior, family)
        if name == Property.CREDIBLE:
            return credible(e, at, prior)
        if name == Property.MONOTONICITY:
            return monotonicity(e, at, prior)
        if name == Property.REVENUE_WITHIN_BOUND:
            return revenue_within_bound(e, need_prior(e, prior, name), bound)
        if name in EX_ANTE:
            return budget_in_expectation(e, name, need_prior(e, prior, name))
        assert name in SHORTFALLS
        found = profilewise(e, name, at, prior, progress)
        if name in (Property.WEAK_BUDGET_BALANCE, Property.PLANNER_IR):
            return strengthened(e, found, prior)
        return taking_part(e, found, prior) if name == Property.EX_POST_IR else found


def _replayed(e: Evaluator, family: Family | None, finding: Finding, prior: JointPrior | None) -> Finding:
    # no refutation leaves without its witness having been replayed from its plain form
    if finding.witness is None:
        return finding
    again = replay(e.mechanism, finding, prior=prior, family=family)
    if again <= 0.0 or abs(again - finding.witness.gain) > 1e-6 * abs(finding.witness.gain) + e.tolerance:
        raise UnsteadyError(
            f"a witness against it gained {finding.witness.gain:.6g} when found and {again:.6g} when replayed: the mechanism draws at "
            "random or keeps a state; audit its expectation over its own draws, or fix its seed"
        )
    told = {**finding.witness.details, "story": story(e, finding)}
    return replace(finding, witness=replace(finding.witness, details=told))
