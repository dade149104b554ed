"""A beach with a bar, where every spot can have a price: the smallest market whose crowd a designer can move."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hurwicz._foundation import InputError
from hurwicz.meanfield.evaluation import Flow
from hurwicz.meanfield.game import Mass, MeanFieldGame, Round, Rules, counted


def beach_bar(
    places: int = 10,
    horizon: int = 10,
    *,
    bar: int | None = None,
    price_cap: float = 2.0,
    distance_cost: float = 1.0,
    still: float = 0.5,
    floor: float = 1e-20,
) -> MeanFieldGame:
    """Be near the bar, away from the crowd, move little, and pay for the spot.

    R(s, a) = -distance_cost d(s, bar) - |a| / places - log(mu(s) + floor) - p(s), d the distance round the beach, a in {-1, 0, 1}; the next
    place is s + a + noise, held at both ends, noise 0 with probability ``still``, else -1 or 1 alike. theta is None (every spot free), or
    a vector xi (places,) of prices p(s) = price_cap sigmoid(xi_s).

    Args:
        places: K, at least 2.
        horizon: rounds.
        bar: place of the bar; the middle if omitted.
        price_cap: p_max, at least 0.
        distance_cost: per place away from the bar.
        still: probability that nobody pushes.
        floor: added to the share whose logarithm is the crowd's cost; 1e-20 as MFGLib has it. Rewards are bounded by -log(floor).

    Raises:
        InputError: too few places, no round, a bar off the beach, a negative price or cost, or a chance outside [0, 1].

    Example:
        >>> beach_bar(4, 3).rewards(0, jnp.full((4, 3), 1 / 12), (), None)[2].round(4).tolist()
        [1.1363, 1.3863, 1.1363]

    Source: Perrin et al. (NeurIPS 2020), with the numbers of MFGLib at price 0 (distances round the beach, moves along it); prices by
        Corecco et al. (arXiv 2510.21442). How the price enters the reward, and p_max = 2, are reconstructed.
    """
    counted("beach bar", places=places, horizon=horizon)
    at = places // 2 if bar is None else bar
    if places < 2 or not 0 <= at < places:
        raise InputError(f"beach bar: expected at least 2 places and a bar on one of them, got {places} places and a bar at {at}")
    if not (min(price_cap, distance_cost) >= 0.0 and 0.0 <= still <= 1.0 and floor > 0.0):
        raise InputError(
            f"beach bar: expected price cap and distance cost >= 0, a chance in [0, 1] and a floor > 0, got {price_cap}, {distance_cost}, "
            f"{still} and {floor}"
        )
    around = np.abs(np.arange(places) - at)
    far = distance_cost * np.minimum(around, places - around)
    step = np.abs(np.asarray([-1.0, 0.0, 1.0])) / places
    pushes = ((-1, 0.5 * (1.0 - still)), (0, still), (1, 0.5 * (1.0 - still)))
    ends = np.stack([np.clip(np.arange(places) + total, 0, places - 1) for total in range(-2, 3)])

    def reward(h: Round, flow: Mass, theta: Rules) -> Mass:
        price = 0.0 if theta is None else spot_prices(theta, price_cap)
        return (-jnp.asarray(far) - jnp.log(flow.sum(axis=1) + floor) - price)[:, None] - jnp.asarray(step)

    def move(h: Round, mass: Mass, flow: Mass, theta: Rules) -> Float[Array, " states"]:
        went = jnp.zeros(places, mass.dtype)
        for a in range(3):
            for push, chance in pushes:
                went = went.at[jnp.asarray(ends[a - 1 + push + 2])].add(chance * mass[:, a])
        return went

    return MeanFieldGame(
        name="beach bar",
        states=places,
        actions=3,
        horizon=horizon,
        initial=np.full(places, 1.0 / places),
        reward=reward,
        move=move,
        action_labels=("left", "stay", "right"),
    )


def spot_prices(xi: Float[Array, " places"], price_cap: float) -> Float[Array, " places"]:
    """p(s) = price_cap sigmoid(xi_s): between 0 and the cap, whatever xi is.

    Example:
        >>> spot_prices(jnp.asarray([0.0]), 2.0).tolist()
        [1.0]
    """
    return price_cap * jax.nn.sigmoid(xi)


def softmax_congestion(flow: Flow, sharpness: float = 20.0) -> Float[Array, ""]:
    """How crowded the crowded spots are: mean over rounds of sum_s softmax(sharpness mu_h)_s mu_h(s).

    Between the mean share (sharpness 0) and the largest (sharpness to infinity).

    Args:
        flow: L, (horizon, states, actions).
        sharpness: of the softmax, per unit of share.

    Example:
        >>> round(float(softmax_congestion(jnp.full((2, 4, 1), 0.25))), 3)
        0.25

    Source: Corecco et al. (arXiv 2510.21442), the beach bar's objective; its sharpness is reconstructed.
    """
    shares = flow.sum(axis=2)
    return (jax.nn.softmax(sharpness * shares, axis=1) * shares).sum(axis=1).mean()
