"""An auction that was learned, judged as it was trained and as it is played: the same weights, two rules.

A small network answers bids with a score for every bidder (and one for keeping the item) and with the part of its bid that a winner pays.
Gradients need smooth shares, so in training the item is shared out by a softmax of the scores, and the gain of lying to *that* rule is
held down. An item that cannot be shared goes to the highest score: another rule, to which lying pays.

    hurwicz audit examples/learned_auction.py:as_trained
    hurwicz audit examples/learned_auction.py:as_played
    hurwicz audit examples/learned_auction.py:as_repaired
    python examples/learned_auction.py
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

from hurwicz.audits import audit, expected_revenue
from hurwicz.mechanisms import optimal_revenue, single_parameter
from hurwicz.settings import JointPrior, beliefs, participants

HIDDEN, STEPS, BATCH, RATE, LIES, WEIGHT = 16, 800, 128, 0.01, 11, 20.0


def network(weights, bids, library):
    """Scores (batch, 1 + agents), the seller's first at 0, and the part of its bid that each would pay, (batch, agents)."""
    hidden = library.tanh(bids @ weights["in"] + weights["bias"])
    scores = hidden @ weights["score"] + weights["score bias"]
    parts = 1.0 / (1.0 + library.exp(-(hidden @ weights["part"] + weights["part bias"])))
    return library.concatenate([library.zeros_like(scores[..., :1]), scores], axis=-1), parts


def shared(scores, library=np):
    """The softmax: a share for everybody."""
    chances = library.exp(scores - scores.max(axis=-1, keepdims=True))
    return (chances / chances.sum(axis=-1, keepdims=True))[..., 1:]


def awarded(scores):
    """The argmax: all of it to the highest score."""
    return np.eye(scores.shape[-1])[scores.argmax(axis=-1)][..., 1:]


@functools.cache
def trained(prior: JointPrior, seed: int = 0):
    """Weights of the greatest revenue less ``WEIGHT`` times the mean gain of the best of some lies, both under the softmax."""
    agents = len(prior.agents)
    draws = prior.sample(np.random.default_rng(seed), STEPS * BATCH)
    values = jnp.asarray(np.stack([draws[n] for n in prior.agents], axis=1).reshape(STEPS, BATCH, agents))
    ends = [np.asarray(prior.spaces[n].grid(2), dtype=float) for n in prior.agents]
    lies = [jnp.linspace(end.min(), end.max(), LIES) for end in ends]

    def utilities(weights, types, bids):
        scores, parts = network(weights, bids, jnp)
        shares = shared(scores, jnp)
        return (types - parts * bids) * shares, (parts * bids * shares).sum(axis=-1)

    def loss(weights, types):
        truth, revenue = utilities(weights, types, types)
        gain = 0.0
        for i in range(agents):
            told = jnp.tile(types[:, None, :], (1, LIES, 1)).at[:, :, i].set(lies[i])
            lie, _ = utilities(weights, types[:, None, :], told)
            # by its place: the derivative of a maximum compares, and what is computed twice may differ in its last digit
            best = jnp.take_along_axis(lie[..., i], lie[..., i].argmax(axis=1)[:, None], axis=1)[:, 0]
            gain += jnp.maximum(best - truth[:, i], 0.0).mean()
        return WEIGHT * gain - revenue.mean()

    keys = jax.random.split(jax.random.key(seed), 3)
    first = {
        "in": jax.random.normal(keys[0], (agents, HIDDEN)),
        "bias": jnp.zeros(HIDDEN),
        "score": 0.3 * jax.random.normal(keys[1], (HIDDEN, agents)),
        "score bias": jnp.zeros(agents),
        "part": 0.3 * jax.random.normal(keys[2], (HIDDEN, agents)),
        "part bias": jnp.zeros(agents),
    }
    optimiser = optax.adam(RATE)

    def step(carry, types):
        weights, state = carry
        updates, state = optimiser.update(jax.grad(loss)(weights, types), state)
        return (optax.apply_updates(weights, updates), state), None

    (weights, _), _ = jax.jit(lambda start: jax.lax.scan(step, (start, optimiser.init(start)), values))(first)
    return {name: np.asarray(array, dtype=np.float64) for name, array in weights.items()}


@functools.cache
def uniform(names: tuple[str, ...]) -> JointPrior:
    """One object for the three rules, so that they share what was learned."""
    return beliefs(names, None)


def _made(name, play, agents, prior, seed, **how):
    names = participants(agents)
    common = uniform(names) if prior is None else beliefs(names, prior)
    weights = trained(common, seed)
    return single_parameter(name, lambda bids: play(*network(weights, bids, np), bids), common.agents, prior=common, **how)


def as_trained(agents=2, *, prior=None, seed: int = 0):
    """Shares by the softmax, a part of the bid for the share."""
    return _made("learned, shared by softmax", lambda scores, parts, b: (shared(scores), parts * b * shared(scores)), agents, prior, seed)


def as_played(agents=2, *, prior=None, seed: int = 0):
    """The item to the highest score, which pays its part of its bid: the same weights."""
    return _made("learned, to the highest", lambda scores, parts, b: (awarded(scores), parts * b * awarded(scores)), agents, prior, seed)


def as_repaired(agents=2, *, prior=None, seed: int = 0):
    """The item to the highest score, at the lowest bid that would have won it: the payments of the network are not asked for."""
    return _made("learned, at critical payments", lambda scores, _parts, _bids: awarded(scores), agents, prior, seed, payments="critical")


def main(seed: int = 0) -> dict[str, list]:
    """Audit all three and print what was found."""
    found = {}
    for make in (as_trained, as_played, as_repaired):
        mechanism = make(seed=seed)
        most = optimal_revenue(mechanism.prior)
        found[make.__name__] = audit(mechanism, ["DSIC", "ex_post_IR", "revenue_within_bound"], effort="quick", revenue_bound=most)
        print(f"{mechanism.name}: revenue at truthful reports {expected_revenue(mechanism)}, the most there is {most:.4f}")
        for finding in found[make.__name__]:
            print(f"  {finding.property}: {finding.verdict.value}; {finding.reason}")
    return found


if __name__ == "__main__":
    main()
