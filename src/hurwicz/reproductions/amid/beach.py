"""The beach bar: what learned prices do to the crowd, over several seeds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import float64_scope
from hurwicz.reproductions.amid.claim import FIGURE_ONLY, Claim
from hurwicz.reproductions.amid.size import Say, Size, spread

if TYPE_CHECKING:
    from hurwicz.designers import DesignProblem

BEACH = "beach bar"


@dataclass(frozen=True, eq=False)
class Beach:
    """What prices do to the crowd.

    Attributes:
        free: softmax congestion at price 0.
        priced: at the learned prices, seed by seed.
        exploitability: of every equilibrium on the way: without prices, at every gradient, and at the learned ones; seed by seed.
        prices: of the last seed, per place.
    """

    free: float
    priced: Float64[np.ndarray, " seeds"]
    exploitability: Float64[np.ndarray, "seeds visits"]
    prices: Float64[np.ndarray, " places"]


def price_the_beach(size: Size, *, places: int = 10, horizon: int = 10, say: Say = lambda _what: None) -> Beach:
    """Learn a price for every place of the beach, with the exploitability of every equilibrium that a gradient was taken through.

    Args:
        size: seeds and steps.
        places: K.
        horizon: rounds.
        say: told in words what was found.
    """
    import jax.numpy as jnp
    import optax

    from hurwicz.designers import evaluate_design, meanfield_adjoint
    from hurwicz.meanfield import spot_prices

    with float64_scope():
        problem = beach_problem(places, horizon)
        nothing = evaluate_design(problem, jnp.full(places, -40.0), tolerance=1e-3)
        priced, gaps, theta = [], [], jnp.zeros(places)
        for seed in range(size.seeds):
            visits: dict[int, Any] = {}
            adam = optax.adam(optax.cosine_decay_schedule(0.3, size.steps))
            found = meanfield_adjoint(problem, steps=size.steps, seed=seed, optimiser=adam, visited=visits.__setitem__).value
            theta = jnp.asarray(found.theta)
            # as the gradient saw it: after T steps of mirror descent, settled or not
            seen = [evaluate_design(problem, there, most=1).exploitability for there in visits.values()]
            gaps.append([nothing.exploitability, *seen, found.exploitability])
            priced.append(-found.objective)
            say(f"{BEACH}, seed {seed}: congestion {-nothing.objective:.5f} free, {priced[-1]:.5f} priced")
        prices = np.asarray(spot_prices(theta, 2.0))
    return Beach(-nothing.objective, np.asarray(priced), np.asarray(gaps), prices)


def beach_problem(places: int = 10, horizon: int = 10) -> DesignProblem:
    """The beach bar's prices as a design: as little softmax congestion as can be."""
    import jax

    from hurwicz.designers import DesignProblem
    from hurwicz.meanfield import beach_bar, softmax_congestion

    return DesignProblem(
        name=BEACH,
        game=beach_bar(places, horizon),
        objective=lambda _theta, flow: -softmax_congestion(flow),
        tau=0.1,
        start=lambda key: 0.5 * jax.random.normal(key, (places,)),
        iterations=200,
        rate=0.3,
    )


def beach_rows(found: Beach, size: Size) -> list[Claim]:
    """The claims of the beach bar."""
    mean, worst = float(found.priced.mean()), float(found.exploitability.max())
    return [
        Claim(BEACH, "softmax congestion, every place free", found.free, FIGURE_ONLY, None, None, "The ceiling of a fall: 1 / places."),
        Claim(
            BEACH,
            f"softmax congestion at learned prices, mean of {size.seeds} seeds",
            mean,
            f"falls ({FIGURE_ONLY})",
            1.0 / len(found.prices),
            mean < found.free,
            f"Standard deviation {spread(found.priced):.1e}. Agrees: below that of the free beach.",
        ),
        Claim(
            BEACH,
            "exploitability throughout, worst of all seeds and steps",
            worst,
            None,
            0.02,
            worst < 0.02,
            f"E^tau at tau = .1, at {found.exploitability.size} equilibria: unpriced, at every gradient, at the end. Agrees: below .02.",
        ),
    ]
