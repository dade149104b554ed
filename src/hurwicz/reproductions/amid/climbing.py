"""Gradient ascent where the objective has cliffs: short legs, each from the best so far, at rates that fall where a leg fell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import optax

    from hurwicz.designers import DesignProblem, MeanFieldDesign

_UP, _DOWN, _BACK = 1.5, 0.5, 0.25  # what a leg that rose to its end, rose and fell, or never rose makes of the rate


def climb(
    problem: DesignProblem,
    optimiser: Callable[[float], optax.GradientTransformation],
    *,
    steps: int,
    rate: float,
    leg: int = 8,
    seed: int = 0,
) -> MeanFieldDesign:
    """Ascend in legs of ``leg`` gradients.

    Where a rule sells a little more than is asked for at its price, the price of the equilibrium falls by a whole bid: the gradient is
    right up to the edge and does not see it. A leg that went over it is given up, and the next one begins at the best design again, with
    smaller steps.

    Args:
        problem: what is designed.
        optimiser: rate → an optimiser, made anew for every leg.
        steps: gradients in all.
        rate: of the first leg; of later ones at most four times as much.
        leg: gradients a leg.
        seed: of the start.

    Returns:
        The best design; its history is that of all legs.
    """
    from hurwicz.designers import meanfield_adjoint

    best: MeanFieldDesign | None = None
    history: list[float] = []
    most = 4.0 * rate
    while len(history) < steps:
        length = min(leg, steps - len(history))
        start = None if best is None else best.theta
        found = meanfield_adjoint(problem, steps=length, optimiser=optimiser(rate), seed=seed, start=start).value
        history += found.history.tolist()
        if best is not None and found.objective <= best.objective:
            rate *= _BACK
        else:
            best = found
            rate = min(most, rate * (_UP if int(np.argmax(found.history)) >= length - 2 else _DOWN))
    if best is None:
        raise AssertionError("no leg was run")
    return replace(best, history=np.asarray(history))
