"""What cannot be designed by gradient is named: functions that cannot be differentiated, the place of the first NaN, bad arguments."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from hurwicz._foundation import InputError, NotFiniteError
from hurwicz.designers import DesignProblem, auction_problem, evaluate_design, meanfield_adjoint
from hurwicz.meanfield import BatchedAuction, ReservePrice, TableRule

SMALL = BatchedAuction(rounds=2, supply=0.8, grid=6)


def test_an_optimiser_that_cannot_be_traced_is_named(pigou):
    def update(updates, state, params=None):
        return updates, state + (float(updates["toll"]) > 0.0)

    with pytest.raises(InputError, match="expected an optimiser that JAX can trace"):
        meanfield_adjoint(pigou(), steps=1, optimiser=optax.GradientTransformation(lambda theta: jnp.zeros(()), update))


def root(theta):
    return jnp.where(theta > 0.0, jnp.sqrt(jnp.abs(theta)), 0.0)  # its derivative at 0 is 0 * inf


@pytest.mark.parametrize(
    ("reward", "objective", "message"),
    [
        (lambda h, flow, theta: jnp.where(h == 2, jnp.log(theta), 0.0) * jnp.ones((1, 2)), None, "reward is nan in round 2, state 0"),
        (lambda h, flow, theta: root(theta + h - 1) * jnp.ones((1, 2)), None, "derivative is not, in round 2, state 0"),
        (None, lambda theta, flow: jnp.log(theta), "objective is nan"),
        (None, lambda theta, flow: root(theta + 1.0), "objective is finite, but its derivative is not"),
    ],
    ids=["reward", "slope of the reward", "objective", "slope of the objective"],
)
def test_the_place_of_the_first_nan_is_named(one_state, reward, objective, message):
    game = one_state("broken", reward or (lambda h, flow, theta: theta * jnp.ones((1, 2))), rounds=4)
    problem = DesignProblem(
        name="broken",
        game=game,
        objective=objective or (lambda theta, flow: (flow[:, 0, 0] * theta).sum()),
        tau=0.1,
        start=lambda key: jnp.asarray(-1.0),
        iterations=5,
        rate=1.0,
    )
    with pytest.raises(NotFiniteError, match=message):
        meanfield_adjoint(problem, steps=2)


@pytest.mark.parametrize(
    ("reward", "objective", "message"),
    [
        (lambda h, flow, theta: np.sin(np.asarray(theta)) * np.ones((1, 2)), None, "the reward cannot be differentiated"),
        (lambda h, flow, theta: jnp.ones((1, 2)) if theta > 0 else jnp.zeros((1, 2)), None, "the reward cannot be differentiated"),
        (
            lambda h, flow, theta: jax.lax.while_loop(lambda x: x < 1.0, lambda x: 2.0 * x, jnp.exp(theta)) * jnp.ones((1, 2)),
            None,
            "the reward cannot be differentiated",
        ),
        (None, lambda theta, flow: float(theta), "the objective cannot be differentiated"),
        (None, lambda theta, flow: flow[0, 0], "a number from the objective"),
        (
            lambda h, flow, theta: jnp.stack([jnp.round(theta), 0.0 * theta])[None],
            None,
            "reward of round 0, state 0, action 0 changes with theta",
        ),
        (
            lambda h, flow, theta: jnp.stack([jnp.zeros(()), jnp.where(h == 1, jnp.round(theta), 0.0)])[None],
            None,
            "reward of round 1, state 0, action 1 changes with theta",
        ),
        (lambda h, flow, theta: jnp.zeros((1, 2)), lambda theta, flow: jnp.round(theta), "the objective changes with theta"),
        (lambda h, flow, theta: jnp.zeros((1, 2)), None, "does not depend on theta"),
    ],
    ids=["numpy", "if", "while", "float", "not a number", "rounding", "rounding later", "rounded objective", "constant"],
)
def test_a_function_that_cannot_be_differentiated_is_named(one_state, reward, objective, message):
    game = one_state("hard", reward or (lambda h, flow, theta: jnp.stack([theta, 0.0 * theta])[None]), rounds=2)
    worth = objective or (lambda theta, flow: flow[0, 0, 0])
    start = lambda key: jnp.asarray(0.4)  # noqa: E731
    problem = DesignProblem(name="hard", game=game, objective=worth, tau=0.1, start=start, iterations=5, rate=1.0)
    with pytest.raises(InputError, match=message):
        meanfield_adjoint(problem, steps=2)


def test_a_reserve_is_a_comparison_and_named():
    problem = auction_problem(SMALL, ReservePrice(6), tau=0.05, iterations=20, rate=5.0)
    with pytest.raises(InputError, match="changes with theta, but its derivative is 0"):
        meanfield_adjoint(problem, steps=2, start={"reserve": jnp.full(2, 0.4)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "steps >= 1"),
        ({"differentiate": "by hand"}, "differentiate among"),
        ({"start": jnp.asarray(1)}, "floating-point theta"),
        ({"smoothing": -1.0}, "smoothing >= 0"),
        ({"samples": 0}, "samples >= 1"),
        ({"entropy": lambda k: 0.0}, "entropy > 0"),
    ],
)
def test_bad_arguments_are_refused(monopoly, change, message):
    with pytest.raises(InputError, match=message):
        meanfield_adjoint(monopoly()[0], **{"steps": 2, **change})


def test_bad_problems_are_refused(monopoly):
    for change, message in (({"tau": 0.0}, "tau > 0"), ({"rate": 100.0}, "rate in"), ({"iterations": 0}, "steps >= 1")):
        with pytest.raises(InputError, match=message):
            monopoly_with(monopoly()[0], **change)
    for objective in ("fame", {}, {"revenue": float("inf")}):
        with pytest.raises(InputError, match="finite weights of 'revenue' and 'welfare'"):
            auction_problem(SMALL, TableRule(6), objective=objective)
    with pytest.raises(InputError, match="most >= 1"):
        evaluate_design(monopoly()[0], jnp.asarray(0.5), most=0)


def monopoly_with(problem, **change):
    fields = {name: getattr(problem, name) for name in ("name", "game", "objective", "tau", "start", "iterations", "rate")}
    return DesignProblem(**{**fields, **change})
