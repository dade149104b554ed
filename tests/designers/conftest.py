"""Design problems whose optimum is known in closed form."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import lambertw

from hurwicz.designers import DesignProblem
from hurwicz.meanfield import MeanFieldGame


def _stay(h, mass, flow, theta):
    return mass.sum(axis=1)


def _one_state(name, reward, rounds=1):
    actions = 2
    return MeanFieldGame(name=name, states=1, actions=actions, horizon=rounds, initial=np.ones(1), reward=reward, move=_stay)


@functools.cache  # one problem object, one compilation for all tests
def _monopoly(tau=0.2, worth=1.0, start=0.3):
    """Buy at theta or not, values alike: demand is a logit, the best price tau (1 + W(exp(worth / tau - 1)))."""
    game = _one_state("monopoly", lambda h, flow, theta: jnp.stack([worth - theta, 0.0 * theta])[None])
    problem = DesignProblem(
        name="monopoly",
        game=game,
        objective=lambda theta, flow: theta * flow[0, 0, 0],
        tau=tau,
        start=lambda key: start + 0.0 * jax.random.normal(key),
        iterations=30,
        rate=0.9 / tau,
    )
    w = float(lambertw(math.exp(worth / tau - 1.0)).real)
    return problem, tau * (1.0 + w), tau * w


@functools.cache
def _pigou(tau=0.1):
    """A road that delays by its load, and one that delays by 1: total delay is least at a toll of 1/2, whatever tau is."""
    game = _one_state("two roads", lambda h, flow, theta: jnp.stack([-flow[0, 0] - theta["toll"], -1.0 + 0.0 * theta["toll"]])[None])
    return DesignProblem(
        name="toll",
        game=game,
        objective=lambda theta, flow: -(flow[0, 0, 0] ** 2 + flow[0, 0, 1]),
        tau=tau,
        start=lambda key: {"toll": jax.random.uniform(key)},
        iterations=60,
        rate=0.5,
    )


@pytest.fixture
def monopoly():
    return _monopoly


@pytest.fixture
def pigou():
    return _pigou


@pytest.fixture
def one_state():
    return _one_state
