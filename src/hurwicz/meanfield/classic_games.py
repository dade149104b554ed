"""Test games of the field, with the figures published for them."""

from __future__ import annotations

import functools

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float64, Int64

from hurwicz._foundation import InputError
from hurwicz.meanfield.game import Mass, MeanFieldGame, Round, Rules, counted

_NO_LOG_OF_ZERO = 1e-25


def left_right() -> MeanFieldGame:
    """Everybody goes left or right at once; a side costs its crowd, the right one twice that.

    Round 0 chooses the side; in round 1 R(left) = -mu(left), R(right) = -2 mu(right). At equilibrium two thirds go left.

    Example:
        >>> left_right().shape
        (2, 3, 2)

    Source: Cui and Koeppl, "Approximately solving mean field games via entropy-regularized deep reinforcement learning" (AISTATS 2021).
    """

    def reward(h: Round, flow: Mass, theta: Rules) -> Mass:
        crowd = flow.sum(axis=1)
        return jnp.broadcast_to((-crowd * jnp.asarray([0.0, 1.0, 2.0]))[:, None], flow.shape)

    return MeanFieldGame(
        name="left-right",
        states=3,
        actions=2,
        horizon=2,
        initial=np.asarray([1.0, 0.0, 0.0]),
        reward=reward,
        move=_goes_where_it_says,
        state_labels=("start", "left", "right"),
        action_labels=("left", "right"),
    )


def rock_paper_scissors() -> MeanFieldGame:
    """Rock, paper or scissors against the crowd, with unequal stakes: fictitious play circles here.

    Round 0 chooses; in round 1 R(rock) = 2 mu(scissors) - mu(paper), R(paper) = 4 mu(rock) - 2 mu(scissors),
    R(scissors) = 6 mu(paper) - 3 mu(rock).

    Example:
        >>> rock_paper_scissors().state_labels
        ('start', 'rock', 'paper', 'scissors')

    Source: Cui and Koeppl (AISTATS 2021), after Shapley (1964).
    """

    def reward(h: Round, flow: Mass, theta: Rules) -> Mass:
        _, rock, paper, scissors = flow.sum(axis=1)
        gains = jnp.stack([0.0 * rock, 2.0 * scissors - paper, 4.0 * rock - 2.0 * scissors, 6.0 * paper - 3.0 * rock])
        return jnp.broadcast_to(gains[:, None], flow.shape)

    return MeanFieldGame(
        name="rock-paper-scissors",
        states=4,
        actions=3,
        horizon=2,
        initial=np.asarray([1.0, 0.0, 0.0, 0.0]),
        reward=reward,
        move=_goes_where_it_says,
        state_labels=("start", "rock", "paper", "scissors"),
        action_labels=("rock", "paper", "scissors"),
    )


def _goes_where_it_says(h: Round, mass: Mass, flow: Mass, theta: Rules) -> Float[Array, " states"]:
    # action a leads to state a + 1
    return jnp.concatenate([jnp.zeros(1, mass.dtype), mass.sum(axis=0)])


def susceptible_infected(horizon: int = 51, infected: float = 0.6) -> MeanFieldGame:
    """Go out, or keep one's distance, while an infection goes round.

    A susceptible who goes out is infected with probability .9² mu(infected); the infected recover with probability .3. Distance costs .5
    a round, being infected 1.

    Args:
        horizon: rounds.
        infected: share of the infected at the start.

    Raises:
        InputError: a share outside [0, 1], or no round.

    Example:
        >>> susceptible_infected(2).horizon
        2

    Source: Cui and Koeppl (AISTATS 2021).
    """
    if not 0.0 <= infected <= 1.0:
        raise InputError(f"susceptible-infected: expected a share of infected in [0, 1], got {infected}")

    def reward(h: Round, flow: Mass, theta: Rules) -> Mass:
        return jnp.asarray([[0.0, -0.5], [-1.0, -1.5]])

    def move(h: Round, mass: Mass, flow: Mass, theta: Rules) -> Float[Array, " states"]:
        caught = mass[0, 0] * 0.81 * flow[1].sum()
        recovered = 0.3 * mass[1].sum()
        return jnp.stack([mass[0].sum() - caught + recovered, mass[1].sum() - recovered + caught])

    return MeanFieldGame(
        name="susceptible-infected",
        states=2,
        actions=2,
        horizon=horizon,
        initial=np.asarray([1.0 - infected, infected]),
        reward=reward,
        move=move,
        state_labels=("susceptible", "infected"),
        action_labels=("go out", "keep distance"),
    )


def crowd_modelling(size: int = 10, horizon: int = 10, *, step_cost: Float64[np.ndarray, "horizon places"] | None = None) -> MeanFieldGame:
    """A ring with a bar in the middle: be near it, away from the crowd, and move little; noise moves everyone too.

    R_h(s, a) = 1 - |s - size//2| / (size//2) - log mu(s) - |a| / size, the cost of the last round's step left out; a step -1, 0, 1 each
    with probability 1/3 is added to the action's.

    Args:
        size: places, at least 3.
        horizon: rounds.
        step_cost: a cost of standing at a place in a round instead of |a| / size: :func:`first_path_costs` for OpenSpiel's figures.

    Raises:
        InputError: fewer than 3 places, or no round.

    Example:
        >>> crowd_modelling().shape
        (10, 10, 3)

    Source: Perrin et al., "Fictitious play for mean field games" (NeurIPS 2020), as OpenSpiel plays it.
    """
    counted("crowd modelling", size=size, horizon=horizon)
    if size < 3:
        raise InputError(f"crowd modelling: expected at least 3 places, got {size}")
    middle = size // 2
    near = 1.0 - np.abs(np.arange(size) - middle) / middle
    step = np.abs(np.asarray([-1.0, 0.0, 1.0])) / size

    def reward(h: Round, flow: Mass, theta: Rules) -> Mass:
        at_home = (jnp.asarray(near) - jnp.log(flow.sum(axis=1) + _NO_LOG_OF_ZERO))[:, None]
        if step_cost is not None:
            return jnp.broadcast_to(at_home - jnp.asarray(step_cost)[h][:, None], flow.shape)
        return at_home - jnp.where(h < horizon - 1, jnp.asarray(step), 0.0)

    def move(h: Round, mass: Mass, flow: Mass, theta: Rules) -> Float[Array, " states"]:
        arrived = sum(jnp.roll(mass[:, a], a - 1) for a in range(3))
        return (jnp.roll(arrived, -1) + arrived + jnp.roll(arrived, 1)) / 3.0

    return MeanFieldGame(
        name="crowd modelling",
        states=size,
        actions=3,
        horizon=horizon,
        initial=np.full(size, 1.0 / size),
        reward=reward,
        move=move,
        action_labels=("left", "stay", "right"),
    )


def first_path_costs(size: int, horizon: int) -> Float64[np.ndarray, "horizon places"]:
    """OpenSpiel keeps one step cost a place and round: that of the path its recursion meets first. Its published figures need that table.

    Raises:
        InputError: no place, or no round.

    Example:
        >>> first_path_costs(5, 2).tolist()
        [[0.0, 0.0, 0.0, 0.0, 0.0], [0.2, 0.0, 0.2, 0.2, 0.2]]
    """
    counted("first path costs", size=size, horizon=horizon)
    cost, arrived, seen = np.zeros((horizon, size)), set(), set()

    def decide(x: int, h: int, action: int) -> None:
        if h >= horizon or (x, h) in seen:
            return
        seen.add((x, h))
        cost[h, x] = abs(action - 1) / size
        for step in range(3):
            y = (x + step - 1) % size
            if (y, h) not in arrived:
                arrived.add((y, h))
                for push in range(3):
                    decide((y + push - 1) % size, h + 1, step)

    for x in range(size):
        decide(x, 0, 1)
    return cost


def crowd_motion(length: int = 20, width: int = 20, horizon: int = 4, *, seed: int = 0) -> MeanFieldGame:
    """A hall with a stage that moves: be near the stage, away from the crowd.

    R_h(s, a) = 10 (1 - |s - stage_h|_1 / (length + width)) - log mu(s); a step to one of four sides or none, then noise: none with
    probability 1/2, else one of the four, walls hold. The stage begins in the middle and steps diagonally at random in every second round.

    Args:
        length: places along the first side.
        width: places along the second side.
        horizon: rounds.
        seed: of the stage's steps.

    Raises:
        InputError: an empty hall, or no round.

    Example:
        >>> crowd_motion().shape
        (4, 400, 5)

    Source: Perolat et al., "Scaling up mean field games with online mirror descent" (AAMAS 2022), as MFGLib plays it.
    """
    counted("crowd motion", length=length, width=width, horizon=horizon)
    stages = _stages(length, width, horizon, np.random.default_rng(seed))
    rows, columns = np.meshgrid(np.arange(length), np.arange(width), indexing="ij")
    near = np.stack([1.0 - (np.abs(rows - x) + np.abs(columns - y)) / (length + width) for x, y in stages]).reshape(horizon, -1)

    def reward(h: Round, flow: Mass, theta: Rules) -> Mass:
        crowd = flow.sum(axis=1)
        return jnp.broadcast_to((10.0 * jnp.asarray(near)[h] - jnp.log(crowd + 1e-10))[:, None], flow.shape)

    # where each of the 5 actions followed by each of the 5 pushes leads to, walls included
    steps = np.asarray([(1, 0), (-1, 0), (0, 1), (0, -1), (0, 0)])
    ends = np.stack([[_ends(rows, columns, a + push, length, width) for push in steps] for a in steps])  # (5, 5, states)
    odds = np.asarray([0.125, 0.125, 0.125, 0.125, 0.5])

    def move(h: Round, mass: Mass, flow: Mass, theta: Rules) -> Float[Array, " states"]:
        spread = jnp.einsum("sa,e->aes", mass, jnp.asarray(odds))
        return jnp.zeros(length * width, mass.dtype).at[jnp.asarray(ends)].add(spread)

    return MeanFieldGame(
        name="crowd motion",
        states=length * width,
        actions=5,
        horizon=horizon,
        initial=np.full(length * width, 1.0 / (length * width)),
        reward=reward,
        move=move,
        action_labels=("down", "up", "right", "left", "stay"),
    )


def _ends(
    rows: Int64[np.ndarray, "length width"],
    columns: Int64[np.ndarray, "length width"],
    step: Int64[np.ndarray, "2"],
    length: int,
    width: int,
) -> Int64[np.ndarray, " states"]:
    reached = np.clip(rows + step[0], 0, length - 1) * width + np.clip(columns + step[1], 0, width - 1)
    return np.asarray(reached.ravel(), dtype=np.int64)


def _stages(length: int, width: int, horizon: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    place = (length // 2, width // 2)
    places = [place]
    for h in range(1, horizon):
        if h % 2 == 0:
            step = rng.choice([-1, 1], size=2)
            ahead = (place[0] + int(step[0]), place[1] + int(step[1]))
            place = ahead if 0 <= ahead[0] < length and 0 <= ahead[1] < width else place
        places.append(place)
    return places


CLASSIC_GAMES = {
    "left_right": left_right,
    "rock_paper_scissors": rock_paper_scissors,
    "susceptible_infected": susceptible_infected,
    "crowd_modelling": crowd_modelling,
    "crowd_motion": functools.partial(crowd_motion, 20, 20),
}
