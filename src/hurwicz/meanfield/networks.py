"""A selling rule that is a residual network of what the mechanism sees."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from hurwicz._foundation import InputError
from hurwicz.meanfield.auctions import BidMass, Sale, Scalar
from hurwicz.meanfield.game import Round
from hurwicz.meanfield.selling_rules import Head, head_sale

Layers: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class NetworkRule:
    """A residual network of (one-hot h, the bids, goods left) that puts out a payment for every bid and how much is sold.

    x = W_in input + b; x <- x + W_2 gelu(W_1 x + b_1) + b_2 for each block; output = W_out gelu(x) + B_h, with a bias B_h of every round.
    Bids enter as the shares that bid at least a, sum_{a' >= a} nu(a'): a linear map of nu whose entries stay in [0, 1] when bids crowd on
    one point. The output is read as :class:`TableRule` reads its weights, so that payments rise in the bid and never pass it, and no
    more is sold than there is, whatever the weights are.

    Args:
        grid: number of bids.
        rounds: H.
        width: of the hidden layers; 256 makes about 2e5 weights at a grid of 100.
        blocks: residual blocks.
        sees_bids: whether the bids enter; without them the rule is static but for the goods left.
        asks: whether it may also hold goods back from low bids, as a reserve does.

    Raises:
        InputError: a size below 1, or fewer than 2 bids.

    Example:
        >>> rule = NetworkRule(4, 2, width=8)
        >>> weights = rule.init(jax.random.key(0))
        >>> sale = rule.sell(0, jnp.full(4, 0.25), jnp.asarray(0.8), weights)
        >>> bool(sale.quantity <= 0.8), bool(jnp.all(sale.prices <= jnp.arange(4) / 4))
        (True, True)

    Source: Corecco et al. (arXiv 2510.21442), section 5; biases by round, blocks and activation are reconstructed.
    """

    grid: int
    rounds: int
    width: int = 256
    blocks: int = 1
    sees_bids: bool = True
    asks: bool = True

    def __post_init__(self) -> None:
        """Refuse sizes without a meaning."""
        if self.grid < 2 or min(self.rounds, self.width) < 1 or self.blocks < 0:
            raise InputError(
                f"network rule: expected a grid >= 2, rounds and width >= 1 and blocks >= 0, got {self.grid}, {self.rounds}, {self.width} "
                f"and {self.blocks}"
            )

    @property
    def outputs(self) -> int:
        """Numbers that the network puts out: payment steps, share, and what bids are asked for."""
        return self.grid + (self.grid if self.asks else 0)

    def init(self, key: Key[Array, ""], rounds: int | None = None, *, head: Head | None = None) -> Layers:
        """Random weights.

        Args:
            key: of the draws.
            rounds: the network's own, if given.
            head: a simple rule to begin with, from :func:`posted_price_head`, :func:`reserve_head` or :func:`first_price_head`. The output
                layer then begins at zero and the biases at that rule: the network *is* the simple rule until it learns better.

        Raises:
            InputError: other rounds than the network's, or a head of another shape.
        """
        if rounds is not None and rounds != self.rounds:
            raise InputError(f"network rule: expected {self.rounds} rounds, for which it was made, got {rounds}")
        inputs = self.rounds + 1 + (self.grid if self.sees_bids else 0)
        keys = jax.random.split(key, 2 * self.blocks + 2)
        layers: Layers = {"in": _dense(keys[0], inputs, self.width), "blocks": []}
        for k in range(self.blocks):
            first = _dense(keys[2 * k + 1], self.width, self.width)
            layers["blocks"].append({"first": first, "second": _dense(keys[2 * k + 2], self.width, self.width, 0.1)})
        layers["out"] = _dense(keys[-1], self.width, self.outputs, 0.1)["matrix"] * (0.0 if head is not None else 1.0)
        layers["bias"] = jnp.zeros((self.rounds, self.outputs)) if head is None else self._packed(head)
        return layers

    def size(self, weights: Layers) -> int:
        """How many numbers the weights hold."""
        return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(weights))

    def sell(self, h: Round, bids: BidMass, left: Scalar, weights: Layers) -> Sale:
        """The sale that the network puts out."""
        seen = [jax.nn.one_hot(h, self.rounds, dtype=bids.dtype), jnp.reshape(left, (1,)).astype(bids.dtype)]
        if self.sees_bids:
            seen.append(jnp.cumsum(bids[::-1])[::-1])
        x = _applied(weights["in"], jnp.concatenate(seen))
        for block in weights["blocks"]:
            x = x + _applied(block["second"], jax.nn.gelu(_applied(block["first"], x)))
        out = jax.nn.gelu(x) @ weights["out"] + weights["bias"][h]
        head: Head = {"steps": out[: self.grid - 1], "share": out[self.grid - 1]}
        if self.asks:
            head["asks"] = out[self.grid :]
        return head_sale(head, bids, left)

    def _packed(self, head: Head) -> Float[Array, "rounds outputs"]:
        wanted = {
            "steps": (self.rounds, self.grid - 1),
            "share": (self.rounds,),
            **({"asks": (self.rounds, self.grid)} if self.asks else {}),
        }
        got = {name: tuple(part.shape) for name, part in head.items()}
        if got != wanted:
            raise InputError(f"network rule: expected a head of shapes {wanted}, got {got}")
        return jnp.concatenate([head["steps"], head["share"][:, None], *([head["asks"]] if self.asks else [])], axis=1)


def _dense(key: Key[Array, ""], inputs: int, outputs: int, scale: float = 1.0) -> Layers:
    return {"matrix": scale * jax.random.normal(key, (inputs, outputs)) / math.sqrt(inputs), "bias": jnp.zeros(outputs)}


def _applied(layer: Layers, x: Float[Array, " inputs"]) -> Float[Array, " outputs"]:
    out: Float[Array, " outputs"] = x @ layer["matrix"] + layer["bias"]
    return out
