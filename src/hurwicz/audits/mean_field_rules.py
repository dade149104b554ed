"""Rules that were designed for a mean field, before the auditor: supply, payments, what bidders play, revenue in the large."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray, float64_scope
from hurwicz.audits.finding import Finding, Verdict, Witness
from hurwicz.audits.mean_field import EQUILIBRIUM, Case, Progress, among, array, case_of, equilibrium_of, in_the_mean_field, participation
from hurwicz.settings import Property

if TYPE_CHECKING:
    from hurwicz.meanfield import BatchedAuction, SellingRule

REVENUE = "revenue_in_the_large"
RISING = "payments_rise_with_bids"


def audit_mean_field_rule(
    auction: BatchedAuction,
    rule: SellingRule,
    weights: Any,
    policy: Float64[FloatArray, "horizon states actions"],
    players: Sequence[int] = (10, 100, 1000),
    *,
    theta: Any = None,
    tau: float = 0.0,
    tolerance: float = 5e-3,
    episodes: int = 256,
    paths: int = 32,
    confidence: float = 0.95,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[Finding]:
    """A selling rule and what bidders play under it: supply, payments, equilibrium, participation, N players, revenue.

    Besides what :func:`deviation_gains` says: ``feasibility`` (never more sold than is left) and ``payments_rise_with_bids`` at drawn
    distributions of bids and goods left, and ``revenue_in_the_large``: revenue of N players against the mean field's, with the slope of
    log |gap| in log N. Theory bounds the gap by C / sqrt N, a slope of -1/2 or below; a slope whose interval lies above refutes.

    Args:
        auction: the setting.
        rule: what sells.
        weights: of the rule.
        policy: what bidders play, (rounds, grid + 1, grid).
        players: N, each at least 2; two or more different ones for a slope.
        theta: what the game's functions are given, where that is not the weights (``InMarket``, say).
        tau: weight of the bidders' entropy.
        tolerance: gain up to which a policy passes for an equilibrium, in units of money.
        episodes: a reply is judged in, and revenue is measured in, for each N.
        paths: of the others from which a reply is found.
        confidence: of the intervals.
        seed: of all draws.
        progress: told the property and the fraction done.

    Raises:
        InputError: as for :func:`deviation_gains`.

    Example:
        >>> import jax.numpy as jnp
        >>> from hurwicz.meanfield import BatchedAuction, PostedPrice
        >>> auction, rule = BatchedAuction(rounds=1, supply=0.8, grid=4), PostedPrice(4)
        >>> truth = np.vstack([np.eye(4), np.eye(4)[:1]])[None]
        >>> found = audit_mean_field_rule(auction, rule, {"price": jnp.asarray([0.5])}, truth, players=())
        >>> [(f.property, f.verdict.value) for f in found][2:4]
        [('mean_field_equilibrium', 'proved'), ('interim_IR', 'proved')]
    """
    given = weights if theta is None else theta
    # that more is sold than there is, is a finding here and no reason to stop
    case = case_of(auction.game(rule), policy, players, given, tau, tolerance, episodes, paths, confidence, seed, feasible=False)
    tell = progress if progress is not None else lambda _name, _done: None
    found = _sales(auction, rule, weights, seed)
    found.append(in_the_mean_field(case))
    tell(EQUILIBRIUM, 1.0)
    found.append(participation(case, 0.0))
    tell(Property.INTERIM_IR.value, 1.0)

    def revenue(flow: Any, theta: Any) -> Any:
        return auction.revenue(rule, flow, theta)

    gaps = {}
    for count in players:
        finding, collected = among(case, count, revenue)
        found.append(finding)
        gaps[count] = collected
        tell(equilibrium_of(count), 1.0)
    if gaps:
        from hurwicz.meanfield import flow_of

        with float64_scope():
            limit = float(revenue(flow_of(case.game, array(case.policy), given), given))
        found.append(_revenue(case, limit, gaps))
        tell(REVENUE, 1.0)
    return found


def _revenue(case: Case, limit: float, gaps: dict[int, Any]) -> Finding:
    from hurwicz.audits.finite_population import interval

    by_count = {n: interval(collected - limit, case.confidence) for n, collected in gaps.items()}
    spread = {n: float(np.sqrt(np.mean((collected - limit) ** 2))) for n, collected in gaps.items()}
    effort: dict[str, Any] = {
        "mean_field_revenue": limit,
        "gaps": {str(n): list(gap) for n, gap in by_count.items()},
        "root_mean_square": {str(n): value for n, value in spread.items()},
        "episodes": case.episodes,
        "confidence": case.confidence,
        "seed": case.seed,
    }
    shown = ", ".join(f"{gap[0]:+.2g} ± {gap[2] - gap[0]:.1g} (N = {n})" for n, gap in by_count.items())
    how = f"{case.episodes} episodes for each N"
    largest = max(gaps)
    if len(gaps) < 2 or min(spread.values()) == 0.0:
        reason = f"mean-field revenue {limit:.5g}, gap {shown}: no slope from these"
        return Finding(REVENUE, Verdict.NOT_REFUTED, by_count[largest][0], None, how, effort, reason)
    slope, low, high = _slope({n: collected - limit for n, collected in gaps.items()}, case.confidence, case.seed, np.mean)
    apart, *ends = _slope({n: collected - limit for n, collected in gaps.items()}, case.confidence, case.seed, _root_mean_square)
    effort |= {"slope": [slope, low, high], "slope_of_root_mean_square": [apart, *ends]}
    reason = (
        f"mean-field revenue {limit:.5g}; gap {shown}; its slope in N is {slope:.2f} in [{low:.2f}, {high:.2f}], that of one sale's "
        f"distance {apart:.2f} in [{ends[0]:.2f}, {ends[1]:.2f}]; the bound O(1/sqrt N) is -.5"
    )
    gap = by_count[largest]
    if low > -0.5 and (gap[1] > 0.0 or gap[2] < 0.0):
        details = {"property": REVENUE, "mean_field_revenue": limit, "revenue": limit + gap[0], "slope": slope}
        witness = Witness(None, None, None, None, abs(gap[0]), details)
        return Finding(REVENUE, Verdict.REFUTED, gap[0], witness, how, effort, f"the gap falls slower than 1/sqrt N: {reason}")
    return Finding(REVENUE, Verdict.NOT_REFUTED, gap[0], None, how, effort, reason)


def _root_mean_square(sample: Any) -> float:
    return float(np.sqrt(np.mean(np.square(sample))))


def _slope(gaps: dict[int, Any], confidence: float, seed: int, figure: Callable[[Any], Any]) -> tuple[float, float, float]:
    """Slope of log |figure| in log N by least squares, and its percentile interval over resampled episodes."""
    rng = np.random.default_rng(seed)
    x = np.log(np.asarray(list(gaps), dtype=np.float64))
    x = x - x.mean()

    def fitted(samples: Sequence[Any]) -> float:
        y = np.log(np.maximum([abs(float(figure(sample))) for sample in samples], 1e-300))
        return float(x @ y / (x @ x))

    again = [fitted([rng.choice(sample, len(sample)) for sample in gaps.values()]) for _ in range(400)]
    low, high = np.quantile(again, [0.5 - 0.5 * confidence, 0.5 + 0.5 * confidence])
    return fitted(list(gaps.values())), float(low), float(high)


def _sales(auction: BatchedAuction, rule: SellingRule, weights: Any, seed: int, draws: int = 32) -> list[Finding]:
    """Supply and payments at drawn distributions of bids (spread, crowded on few bids, on one) and goods left."""
    begun = perf_counter()
    rng = np.random.default_rng(seed)
    excess: tuple[float, dict[str, Any]] = (-np.inf, {})
    falls: tuple[float, dict[str, Any]] = (-np.inf, {})
    with float64_scope():
        for k in range(draws):
            shape = np.full(auction.grid, (1.0, 0.1, 0.01)[k % 3])
            bids = rng.dirichlet(shape) * rng.uniform()
            for h in range(auction.rounds):
                left = (0.0, auction.supply, float(auction.supply * rng.uniform()))[k % 3]
                sale = rule.sell(h, array(bids), array(left), weights)
                quantity, prices = float(sale.quantity), np.asarray(sale.prices, dtype=np.float64)
                where = {"round": h, "left": left, "bids": bids.tolist()}
                excess = max(excess, (max(quantity - left, -quantity), where | {"quantity": quantity}), key=lambda item: item[0])
                falls = max(
                    falls, (float(-np.diff(prices).min(initial=0.0)), where | {"prices": prices.tolist()}), key=lambda item: item[0]
                )
    effort = {"profiles": draws * auction.rounds, "seed": seed, "seconds": round(perf_counter() - begun, 3)}
    how, found = "search: drawn distributions of bids and goods left", []
    for name, (amount, where), says, fine in (
        (
            Property.FEASIBILITY.value,
            excess,
            "more is sold than is left, or less than nothing",
            "never less than nothing or more than is left",
        ),
        (RISING, falls, "a higher bid pays less", "no payment falls as the bid rises"),
    ):
        if amount <= 1e-9:
            found.append(Finding(name, Verdict.NOT_REFUTED, amount if amount > 0.0 else 0.0, None, how, effort, fine))
            continue
        witness = Witness(None, where, None, None, amount, {"property": name})
        found.append(Finding(name, Verdict.REFUTED, amount, witness, how, effort, f"{says}, by {amount:.4g}"))
    return found
