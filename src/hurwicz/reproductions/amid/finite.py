"""N bidders instead of a continuum: how far the revenue is from the mean field's, and how that shrinks with N."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray, float64_scope
from hurwicz.designers import auction_problem, evaluate_design
from hurwicz.meanfield import BatchedAuction, FirstPrice, PostedPrice, SellingRule, auction_setting, simulate
from hurwicz.reproductions.amid.claim import Claim, Experiment
from hurwicz.reproductions.claim import Context, Plot
from hurwicz.reproductions.mbi.plots import Line, lines

_PLAYERS = (10, 100, 1000, 10_000)
_SEEDS = 100
_GRID = 25


@dataclass(frozen=True)
class Gaps:
    """Revenue with N bidders less the mean field's.

    Attributes:
        players: N.
        mean: over the draws.
        error: standard error of the mean.
        spread: root of the mean square, the distance that the O(1/sqrt N) bound is about.
    """

    players: tuple[int, ...]
    mean: Float64[FloatArray, " sizes"]
    error: Float64[FloatArray, " sizes"]
    spread: Float64[FloatArray, " sizes"]

    @property
    def slope(self) -> float:
        """Of log spread against log N, by least squares."""
        return float(np.polyfit(np.log(self.players), np.log(self.spread), 1)[0])


def revenue_gaps(
    auction: BatchedAuction, rule: SellingRule, weights: Any, *, players: Sequence[int] = _PLAYERS, seeds: int = _SEEDS, seed: int = 0
) -> Gaps:
    """Draw populations of N bidders who play the mean-field equilibrium, and compare what is collected.

    Args:
        auction: the setting.
        rule: how it sells.
        weights: of the rule.
        players: N, several.
        seeds: populations drawn for each N.
        seed: of the draws.
    """
    import jax

    with float64_scope():
        weights = jax.tree.map(jax.numpy.asarray, weights)
        problem = auction_problem(auction, rule, start=lambda _key: weights)
        settled = evaluate_design(problem, weights)
        collected = jax.jit(jax.vmap(lambda flow: auction.revenue(rule, flow, weights)))
        runs = [simulate(problem.game, settled.policy, n, theta=weights, seeds=seeds, seed=seed + n) for n in players]
        gaps = np.stack([np.asarray(collected(run.flows)) for run in runs]) - settled.objective
    return Gaps(tuple(players), gaps.mean(axis=1), gaps.std(axis=1, ddof=1) / np.sqrt(seeds), np.sqrt((gaps**2).mean(axis=1)))


def _run(context: Context) -> tuple[Sequence[Claim], Sequence[Plot]]:
    auction = auction_setting("A1", grid=_GRID).auction
    kinds: dict[str, tuple[SellingRule, Any]] = {
        "first price": (FirstPrice(_GRID), {"quantity": np.full(auction.rounds, 0.2)}),
        "posted price .5": (PostedPrice(_GRID), {"price": np.full(auction.rounds, 0.5)}),
    }
    rows: list[Claim] = []
    curves = []
    for k, (name, (rule, weights)) in enumerate(kinds.items()):
        context.say(name, k / len(kinds))
        gaps = revenue_gaps(auction, rule, weights, seed=context.seed)
        told = "; ".join(f"{mean:+.1e} ± {error:.0e} at {n}" for n, mean, error in zip(gaps.players, gaps.mean, gaps.error, strict=True))
        rows.append(
            Claim(
                "finite",
                f"{name}: slope of the revenue's distance from the mean field in log N",
                gaps.slope,
                "at most -0.5",
                -0.5,
                gaps.slope <= -0.5 + 0.05,
                f"A1 on a grid of {_GRID}, {_SEEDS} populations of each N. Root mean square distance; agrees: at most -.5 + .05. "
                f"Mean gap, the bias of the mean field: {told}.",
            )
        )
        curves.append(Line(name, gaps.players, gaps.spread, "o-"))
    bound = [float(curves[0].y[0]) * (10 / n) ** 0.5 for n in _PLAYERS]
    curves.append(Line("1 / sqrt N", _PLAYERS, bound, "--"))
    plot = Plot(
        "Root mean square distance of the revenue of N bidders from the mean field's.",
        lambda: lines(curves, xlabel="bidders N", ylabel="distance of the revenue", log="xy"),
    )
    return rows, [plot]


FINITE = (
    Experiment(
        "finite",
        "Finitely many bidders",
        "Populations of N bidders are drawn and play the equilibrium of the mean field; what is collected is compared with its revenue.",
        _run,
        15.0,
    ),
)
