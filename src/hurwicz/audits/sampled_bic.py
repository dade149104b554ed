"""BIC from a sample of the others' types, with a bound that holds for the sample size at hand."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from hurwicz._foundation import InputError
from hurwicz.audits.effort import Effort, effort_of
from hurwicz.audits.evaluation import Evaluator
from hurwicz.audits.expectations import need_prior, nodes
from hurwicz.audits.finding import Finding, Verdict, Witness
from hurwicz.audits.profiles import cover, plain
from hurwicz.settings import DirectMechanism, JointPrior, Property
from hurwicz.typespaces import CorrelatedPrior


def bic_from_samples(
    mechanism: DirectMechanism,
    prior: JointPrior | None = None,
    *,
    utility_range: tuple[float, float],
    samples: int = 10_000,
    types: int = 17,
    confidence: float = 0.95,
    seed: int = 0,
    effort: Effort | str = "standard",
) -> Finding:
    """Largest expected gain over a grid of types and misreports, with a bound that holds for all of them at once.

    For each of the M pairs (type, misreport) of all agents the mean gain over n draws of the others errs by at most
    min(R sqrt(ln(2M/d) / 2n), sqrt(2 V ln(4M/d) / n) + 7 R ln(4M/d) / 3(n-1)) with probability 1 - d (Hoeffding, or empirical Bernstein
    at half the risk each; union over the pairs). ``value`` of a finding that is not refuted is that upper bound: no type of the grid gains
    more by a misreport of the grid.

    Args:
        mechanism: what to audit.
        prior: independent types; the mechanism's own prior if omitted.
        utility_range: least and largest utility that an agent can have; gains lie within plus and minus its length.
        samples: draws of the others' types for each agent.
        types: points of the grid of true types and of misreports (all of a finite space).
        confidence: of the bound.
        seed: of the draws.
        effort: its tolerance counts.

    Raises:
        InputError: correlated types, a range that is none or that a utility leaves.

    Example:
        >>> from hurwicz.mechanisms.single_item import second_price
        >>> finding = bic_from_samples(second_price(2), utility_range=(-1.0, 1.0), samples=2000)
        >>> finding.verdict.value, 0.0 < finding.value < 0.2
        ('not_refuted', True)

    Source:
        W. Hoeffding, JASA 58 (1963), Theorem 2; A. Maurer and M. Pontil, COLT 2009, Theorem 4.
    """
    low, high = utility_range
    if not (math.isfinite(low) and math.isfinite(high) and low < high) or samples < 2 or not 0.0 < confidence < 1.0:
        raise InputError(f"bic_from_samples: expected a finite range, samples >= 2, 0 < confidence < 1, got {utility_range}, {samples}")
    name = Property.BIC.value
    e = Evaluator(mechanism, effort_of(effort), seed=seed)
    common = need_prior(e, prior if prior is not None else getattr(mechanism, "prior", None), name)
    if isinstance(common, CorrelatedPrior):
        raise InputError("bic_from_samples: expected independent types; a correlated prior is finite, and audit() weighs it exactly")
    rule = {"kind": "monte carlo", "samples": samples, "seed": seed}
    grids = {agent: cover(e.spaces[agent], types) for agent in e.agents}
    pairs = sum(len(g) * len(g) for g in grids.values())
    risk, reach = 1.0 - confidence, 2.0 * (high - low)
    hoeffding = reach * math.sqrt(math.log(4.0 * pairs / risk) / (2.0 * samples))
    log = math.log(8.0 * pairs / risk)
    most: tuple[float, str, int, int] | None = None  # upper bound, agent, true type, misreport
    surest: tuple[float, float, float, str, int, int] | None = None  # lower bound, mean, radius, ...
    for agent in e.agents:
        gains, spread = _gains(e, common, agent, grids[agent], rule, utility_range)
        radius = np.minimum(hoeffding, np.sqrt(2.0 * spread * log / samples) + 7.0 * reach * log / (3.0 * (samples - 1)))
        np.fill_diagonal(radius, 0.0)  # the truth against itself gains nothing, and that is certain
        k, r = (int(v) for v in np.unravel_index(int(np.argmax(gains + radius)), gains.shape))
        if most is None or gains[k, r] + radius[k, r] > most[0]:
            most = (float(gains[k, r] + radius[k, r]), agent, k, r)
        k, r = (int(v) for v in np.unravel_index(int(np.argmax(gains - radius)), gains.shape))
        if surest is None or gains[k, r] - radius[k, r] > surest[0]:
            surest = (float(gains[k, r] - radius[k, r]), float(gains[k, r]), float(radius[k, r]), agent, k, r)
    assert most is not None
    assert surest is not None
    effort_spent = e.spent(pairs=pairs, samples=samples, confidence=confidence, gain_possible=most[0], gain_found=max(0.0, surest[1]))
    how = f"{samples} samples, Hoeffding and empirical Bernstein, union over {pairs} pairs"
    if surest[0] > e.tolerance:
        lower, mean, error, agent, k, r = surest
        true, lie = plain(grids[agent][k]), plain(grids[agent][r])
        details = {"property": name, "error": error, "expectation": rule, "gain_at_least": lower, "confidence": confidence}
        told = _truth(e, common, agent, grids[agent][k : k + 1], rule)
        witness = Witness(agent, true, lie, None, mean, {**details, "utility_truthful": told, "utility_misreport": told + mean})
        reason = f"{agent} of type {true} expects {mean:.6g} (at least {lower:.6g}, {100 * confidence:g} %) more by reporting {lie}"
        return Finding(name, Verdict.REFUTED, mean, witness, how, effort_spent, reason)
    reason = f"with {100 * confidence:g} % confidence no type of the grid gains more than {most[0]:.6g} by a misreport of the grid"
    return Finding(name, Verdict.NOT_REFUTED, most[0], None, how, effort_spent, reason)


def _gains(
    e: Evaluator, prior: JointPrior, agent: str, grid: NDArray[np.float64], rule: dict[str, object], allowed: tuple[float, float]
) -> tuple[Float64[np.ndarray, "types reports"], Float64[np.ndarray, "types reports"]]:
    # mean and variance of u(report) - u(truth) over the draws, for each true type
    others, weights = nodes(prior, agent, rule)
    count = len(weights)
    mean, variance = np.empty((len(grid), len(grid))), np.empty((len(grid), len(grid)))
    outcomes = [e.outcomes({**others, agent: np.repeat(grid[r : r + 1], count, axis=0)}) for r in range(len(grid))]
    for k in range(len(grid)):
        true = np.repeat(grid[k : k + 1], count, axis=0)
        table = np.stack([e.utilities(agent, o, true) for o in outcomes])
        if float(table.min()) < allowed[0] - 1e-12 or float(table.max()) > allowed[1] + 1e-12:
            came = f"{table.min():.6g} to {table.max():.6g}"
            raise InputError(f"bic_from_samples: expected utilities of {agent!r} within utility_range {allowed}, got {came}")
        e.scale = max(e.scale, float(np.abs(table).max()))
        gains = table - table[k]
        mean[k], variance[k] = gains.mean(axis=1), gains.var(axis=1, ddof=1)
    return mean, variance


def _truth(e: Evaluator, prior: JointPrior, agent: str, one: NDArray[np.float64], rule: dict[str, object]) -> float:
    others, weights = nodes(prior, agent, rule)
    true = np.repeat(one, len(weights), axis=0)
    return float(e.utilities(agent, e.outcomes({**others, agent: true}), true).mean())
