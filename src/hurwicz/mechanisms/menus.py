"""Menus: bundles or lotteries of goods at posted prices, of which every buyer takes what it likes best; and menus as they are trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy.typing import ArrayLike, NDArray

from hurwicz._foundation import InputError
from hurwicz.mechanisms._arguments import number, resizer
from hurwicz.mechanisms.multi_parameter import Allocation, MultiParameterMechanism, Reports
from hurwicz.mechanisms.registry import Entry
from hurwicz.settings import Beliefs, Claim, Menu, Participants, Property, beliefs, participants, strategyproof
from hurwicz.typespaces import Box, Uniform

_TWO_GOODS = (((1.0, 0.0), (0.0, 1.0), (1.0, 1.0)), (2.0 / 3.0, 2.0 / 3.0, (4.0 - 2.0**0.5) / 3.0))
_SOURCE = "P. Hammond, Review of Economic Studies 46 (1979); the taxation principle"


def menu(
    agents: Participants = 1,
    *,
    prior: Beliefs = None,
    entries: ArrayLike | None = None,
    prices: ArrayLike | None = None,
    sharpness: float | None = None,
) -> MultiParameterMechanism:
    """A menu: every buyer gets the entry that its report likes best, at the entry's price, or nothing at no price.

    With entries x_k and prices t_k (x_0 = 0, t_0 = 0):  k = argmax_k <b_i, x_k> - t_k;  with a sharpness s, as while a menu is trained,
    entry k with chance softmax_k s (<b_i, x_k> - t_k) instead.

    The two are different rules, whatever their weights: the first is truthful for every menu, the second for no menu that offers anything.
    There is enough of every good for all buyers.

    Args:
        agents: how many buyers, or their names.
        prior: over each buyer's values of the goods, shape (goods,); uniform on [0, 1] each if omitted.
        entries: shares of each good, between 0 and 1, shape (entries, goods); with the prices of the greatest revenue from two goods and
            U[0, 1] values if omitted.
        prices: of each entry, at least 0, shape (entries,).
        sharpness: s, above 0: play the softmax; ``None``: play the argmax.

    Raises:
        InputError: entries without prices or prices without entries, shapes that do not fit, shares outside [0, 1], prices below 0.

    Example:
        >>> offers = menu(1, entries=[[1.0, 0.0], [1.0, 1.0]], prices=[0.5, 0.8])
        >>> told = offers.outcome({"buyer 1": [0.7, 0.4]})
        >>> told.allocation["buyer 1"].tolist(), told.payments["buyer 1"]
        ([1.0, 1.0], 0.8)
        >>> soft = menu(1, entries=[[1.0, 0.0], [1.0, 1.0]], prices=[0.5, 0.8], sharpness=10.0)
        >>> soft.outcome({"buyer 1": [0.7, 0.4]}).allocation["buyer 1"].round(3).tolist()
        [0.965, 0.705]

    Source:
        P. Hammond (1979); P. Duetting, Z. Feng, H. Narasimhan, D. Parkes and S. Ravindranath, "Optimal auctions through deep learning",
        ICML 2019, for menus trained by a softmax; A. Manelli and D. Vincent, Journal of Economic Theory 127 (2006), for two goods.
    """
    names = participants(agents, "buyer")
    goods, asked = _menu(entries, prices)
    s = None if sharpness is None else number("menu", "sharpness", sharpness, above=True)
    dims = goods.shape[1]
    joint = beliefs(names, Uniform(Box(np.zeros(dims), np.ones(dims))) if prior is None else prior)
    for name, space in joint.spaces.items():
        one = np.asarray(space.sample(np.random.default_rng(0), 1), dtype=np.float64)
        if one.shape != (1, dims):
            raise InputError(f"menu: expected types with a value for each of {dims} goods, got {space!r} for {name!r}")

    def rule(reports: Reports) -> tuple[dict[str, Float64[np.ndarray, "batch goods"]], dict[str, Float64[np.ndarray, " batch"]]]:
        weights = {n: _taken(reports[n] @ goods.T - asked, s) for n in names}
        return {n: w @ goods for n, w in weights.items()}, {n: w @ asked for n, w in weights.items()}

    def offers(
        _: str, others: Mapping[str, NDArray[Any]]
    ) -> tuple[Float64[np.ndarray, "batch offers goods"], Float64[np.ndarray, "batch offers"]]:
        batch = len(next(iter(others.values()))) if others else 1
        return np.tile(goods, (batch, 1, 1)), np.tile(asked, (batch, 1))

    def efficient(types: Reports) -> dict[str, Float64[np.ndarray, "batch goods"]]:
        return {n: (np.asarray(types[n]) > 0.0).astype(np.float64) for n in names}

    softly = "what is worth less is taken as well, by chance: exaggerating helps"
    return MultiParameterMechanism(
        name="menu" if s is None else f"menu played by a softmax of sharpness {s:g}",
        rule=rule,
        prior=joint,
        excess=_more_than_all,
        efficient=efficient,
        guarantees=(
            *(strategyproof(_SOURCE) if s is None else (Claim(Property.DSIC, False, softly, "by audit"),)),
            Claim(Property.EX_POST_IR, s is None, "" if s is None else "a loss is taken as well, by chance", _SOURCE),
            Claim(Property.WEAK_BUDGET_BALANCE, True, "prices >= 0", _SOURCE),
        ),
        formula="argmax_k <b, x_k> - t_k, at t_k" if s is None else f"chances softmax_k {s:g} (<b, x_k> - t_k), at their mean t_k",
        source=_SOURCE,
        labels=dict.fromkeys(names, tuple(f"good {k + 1}" for k in range(dims))),
        resized=resizer(menu, prior, entries=entries, prices=prices, sharpness=sharpness),
        form=Menu(offers) if s is None else None,
    )


def _menu(
    entries: ArrayLike | None, prices: ArrayLike | None
) -> tuple[Float64[np.ndarray, "entries goods"], Float64[np.ndarray, " entries"]]:
    """The entries and prices, nothing at no price before them."""
    if (entries is None) != (prices is None):
        raise InputError("menu: expected entries and their prices, got one without the other")
    goods = np.asarray(_TWO_GOODS[0] if entries is None else entries, dtype=np.float64)
    asked = np.asarray(_TWO_GOODS[1] if prices is None else prices, dtype=np.float64)
    if goods.ndim != 2 or not goods.size or asked.shape != goods.shape[:1]:
        raise InputError(f"menu: expected entries of shape (entries, goods) and a price of each, got {goods.shape} and {asked.shape}")
    if not bool(np.all((goods >= 0.0) & (goods <= 1.0))) or not bool(np.all((asked >= 0.0) & np.isfinite(asked))):
        raise InputError(f"menu: expected shares between 0 and 1 and finite prices >= 0, got {goods.tolist()} at {asked.tolist()}")
    return np.concatenate([np.zeros((1, goods.shape[1])), goods]), np.concatenate([[0.0], asked])


def _taken(worth: Float64[np.ndarray, "batch entries"], sharpness: float | None) -> Float64[np.ndarray, "batch entries"]:
    if sharpness is None:
        return np.asarray(np.arange(worth.shape[1]) == worth.argmax(axis=1)[:, None], dtype=np.float64)
    weights = np.exp(sharpness * (worth - worth.max(axis=1, keepdims=True)))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _more_than_all(allocation: Allocation) -> Float64[np.ndarray, " batch"]:
    return np.asarray(np.max([np.asarray(x).max(axis=1) for x in allocation.values()], axis=0) - 1.0, dtype=np.float64)


ENTRIES: tuple[Entry, ...] = (Entry("menu", "combinatorial", menu, 1),)
