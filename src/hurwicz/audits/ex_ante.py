"""Before anybody knows a type: budget balance in expectation, expected revenue against a known bound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from hurwicz.audits.effort import Effort, effort_of
from hurwicz.audits.evaluation import Evaluator
from hurwicz.audits.expectations import ExpectationRule, choose_rule, lower_rules, need_prior, nodes, sampling
from hurwicz.audits.finding import Finding, Verdict, Witness
from hurwicz.audits.profiles import Profiles
from hurwicz.audits.profilewise import sum_of_payments
from hurwicz.settings import DirectMechanism, JointPrior, Outcomes, Property

Figure = Callable[[Evaluator, Profiles, Outcomes], Float64[np.ndarray, " batch"]]
EX_ANTE = frozenset(
    {
        Property.STRONG_BUDGET_BALANCE_IN_EXPECTATION.value,
        Property.WEAK_BUDGET_BALANCE_IN_EXPECTATION.value,
        Property.REVENUE_WITHIN_BOUND.value,
    }
)
_CHUNK = 200_000
_SETTLED = 1e-6


def revenue(e: Evaluator, _: Profiles, outcomes: Outcomes) -> Float64[np.ndarray, " batch"]:
    """Sum of payments."""
    return sum_of_payments(e, outcomes)


def expectation(
    e: Evaluator, prior: JointPrior, figure: Figure, rule: ExpectationRule | None = None
) -> tuple[float, float, dict[str, Any]]:
    """E over all types of a figure of truthful profiles, its error, and the rule that it rests on.

    Exact sums on finite types that fit, quadrature where a coarser one agrees, else samples: then the error is four standard errors and
    10/n of the range, for what the sample may have missed.
    """
    chosen = dict(choose_rule(e, prior, None)) if rule is None else dict(rule)
    mean, spread, span = _mean(e, prior, figure, chosen)
    if chosen["kind"] == "quadrature" and rule is None:
        apart = max((abs(_mean(e, prior, figure, lower)[0] - mean) for lower in lower_rules(chosen)), default=0.0)
        if apart <= _SETTLED * max(span, abs(mean)):
            return mean, 2.0 * apart, chosen
        chosen = sampling(e, once=True)
        mean, spread, span = _mean(e, prior, figure, chosen)
    if chosen["kind"] == "monte carlo":
        count = chosen["samples"]
        return mean, 4.0 * spread / float(np.sqrt(count)) + 10.0 / count * span, chosen
    if chosen["kind"] == "quadrature":
        apart = max((abs(_mean(e, prior, figure, lower)[0] - mean) for lower in lower_rules(chosen)), default=0.0)
        return mean, 2.0 * apart, chosen
    return mean, 0.0, chosen


def _mean(e: Evaluator, prior: JointPrior, figure: Figure, rule: ExpectationRule) -> tuple[float, float, float]:
    profiles, weights = nodes(prior, None, rule)
    values = np.empty(len(weights))
    for begin in range(0, len(weights), _CHUNK):
        part = {n: v[begin : begin + _CHUNK] for n, v in profiles.items()}
        outcomes = e.outcomes(part)
        e.note_scale(outcomes, part)
        values[begin : begin + _CHUNK] = figure(e, part, outcomes)
    mean = float(weights @ values)
    return mean, float(values.std(ddof=1)) if len(values) > 1 else 0.0, float(np.ptp(values))


@dataclass(frozen=True)
class Expected:
    """An expectation over the prior.

    Attributes:
        value: the expectation.
        error: of it: 0 where types are finite and summed over, else what two quadratures differ by, or four standard errors of a sample
            and 10/n of its range.
        method: ``"exact expectation"``, ``"quadrature of order 24"``, ``"1024 samples"``.
    """

    value: float
    error: float
    method: str

    @property
    def low(self) -> float:
        """Lower end of the interval."""
        return self.value - self.error

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return self.value + self.error

    def __str__(self) -> str:
        """``0.333333 (exact expectation)``."""
        return f"{self.value:.6g}" + (f" ± {self.error:.2g}" if self.error else "") + f" ({self.method})"


def expected_revenue(
    mechanism: DirectMechanism, *, prior: JointPrior | None = None, effort: Effort | str = "standard", seed: int = 0
) -> Expected:
    """What a mechanism collects in expectation when everybody reports the truth: E sum_i t_i(theta).

    Exact on finite types that fit the effort; on a continuum by quadrature, or from samples with a confidence interval.

    Args:
        mechanism: whose payments.
        prior: common prior; the mechanism's own if omitted.
        effort: how many nodes and samples.
        seed: of the draws.

    Raises:
        InputError: no prior, or one of other agents or types.

    Example:
        >>> from hurwicz.mechanisms.single_item import second_price
        >>> from hurwicz.typespaces import FinitePrior
        >>> expected_revenue(second_price(2, prior=FinitePrior([1.0, 3.0]))).value
        1.5
    """
    e = Evaluator(mechanism, effort_of(effort), seed=seed)
    e.probe()
    common = need_prior(e, prior if prior is not None else getattr(mechanism, "prior", None), "expected revenue")
    return _expected(e, common)


def _expected(e: Evaluator, prior: JointPrior) -> Expected:
    mean, error, rule = expectation(e, prior, revenue)
    return Expected(mean, error, _how(rule))


def _how(rule: ExpectationRule) -> str:
    named = {"exact": "exact expectation", "quadrature": f"quadrature of order {rule.get('order')}"}
    return named.get(rule["kind"], f"{rule.get('samples')} samples")


def budget_in_expectation(e: Evaluator, name: str, prior: JointPrior) -> Finding:
    """E[sum of payments] = 0 (strong) or >= 0 (weak)."""
    mean, error, rule = expectation(e, prior, revenue)
    strong = name == Property.STRONG_BUDGET_BALANCE_IN_EXPECTATION
    short = abs(mean) if strong else -mean
    said = f"payments sum to {mean:.6g} in expectation" + (f" ± {error:.2g}" if error else "")
    return _verdict(e, name, short, error, rule, said, {"expected_sum_of_payments": mean}, figure=mean)


def revenue_within_bound(e: Evaluator, prior: JointPrior, bound: float | None) -> Finding:
    """Is expected revenue at truthful reports at most what any mechanism of the class can earn?

    A learned or claimed mechanism that "earns" more at truthful reports than the proved optimum is not truthful: it is regret that is
    being counted as revenue.
    """
    name = Property.REVENUE_WITHIN_BOUND.value
    if bound is None:
        found = _expected(e, prior)
        reason = (
            f"expected revenue {found}, and no bound on it is known: pass revenue_bound= (the best revenue of any mechanism of the class), "
            "or give the mechanism one"
        )
        return Finding(name, Verdict.NOT_APPLICABLE, found.value, None, "none", {"error": found.error}, reason)
    mean, error, rule = expectation(e, prior, revenue)
    above = mean - bound
    said = f"expected revenue {mean:.6g}" + (f" ± {error:.2g}" if error else "") + f" against a bound of {bound:.6g}"
    if above - error > e.tolerance:
        said = f"impossible claim: {said}; truthful reports cannot be an equilibrium"
    return _verdict(e, name, above, error, rule, said, {"expected_revenue": mean, "bound": bound}, figure=mean)


def _verdict(
    e: Evaluator, name: str, short: float, error: float, rule: ExpectationRule, said: str, details: dict[str, Any], *, figure: float
) -> Finding:
    how = _how(rule)
    effort = e.spent(expectation=[how], error=error, scale=e.scale)
    if short - error > e.tolerance:
        witness = Witness(
            agent=None,
            true_type=None,
            misreport=None,
            others=None,
            gain=short,
            details={"property": name, **details, "error": error, "expectation": dict(rule)},
        )
        return Finding(name, Verdict.REFUTED, figure, witness, how, effort, said)
    surely = rule["kind"] == "exact"
    if not surely and short + error > e.tolerance:
        said += "; the error leaves it open"
    return Finding(name, Verdict.PROVED if surely else Verdict.NOT_REFUTED, figure, None, how, effort, said)


def replay_ex_ante(e: Evaluator, prior: JointPrior, details: Any) -> float:
    """By how much the property fails, computed afresh."""
    mean, _, _ = expectation(e, prior, revenue, details["expectation"])
    name = details["property"]
    if name == Property.STRONG_BUDGET_BALANCE_IN_EXPECTATION:
        return abs(mean)
    return -mean if name == Property.WEAK_BUDGET_BALANCE_IN_EXPECTATION else mean - float(details["bound"])
