"""A2 to A10 and the beach bar over several seeds: learned rules against the best simple ones, and a rule on markets it was not trained on.

``python -m hurwicz.reproductions.amid.long_runs --help`` runs them at any size.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray, InputError, float64_scope
from hurwicz.meanfield import AUCTION_SETTINGS, Market, NetworkRule, PostedPrice, SellingRule, Setting, TableRule, auction_setting
from hurwicz.reproductions.amid.beach import BEACH, beach_rows, price_the_beach
from hurwicz.reproductions.amid.claim import FIGURE_ONLY, Claim
from hurwicz.reproductions.amid.size import SMALL, Say, Size, spread

if TYPE_CHECKING:
    from hurwicz.designers import MeanFieldDesign

_HELD_OUT = 10_000  # seed of the markets that no rule is trained on
_PLAIN, _WITHHELD = "first price, equal shares of all there is", "first price, best equal shares"
_PARTS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)  # of the supply that first price may sell

SETTINGS = (*(name for name in AUCTION_SETTINGS if name != "A1"), BEACH)


@dataclass(frozen=True, eq=False)
class Comparison:
    """The rules of one setting, all at their equilibria.

    Attributes:
        setting: the setting, at the size that was run.
        simple: objective of first price and of the best simple rules found, by name.
        learned: objective of the learned rule, seed by seed.
        exploitability: of its equilibrium, seed by seed.
        held_out: objectives on markets that were not trained on, by rule: (seeds, markets); None where the setting has one market.
    """

    setting: Setting
    simple: dict[str, float]
    learned: Float64[np.ndarray, " seeds"]
    exploitability: Float64[np.ndarray, " seeds"]
    held_out: dict[str, Float64[np.ndarray, "seeds markets"]] | None = None

    @property
    def best_simple(self) -> str:
        """Which simple rule yields most; of those that do not look at the bids, where the learned one may not."""
        allowed = [name for name in self.simple if not self.setting.static or name in (_PLAIN, _WITHHELD)]
        return max(allowed, key=lambda name: self.simple[name])


def compare(name: str, size: Size, *, say: Say = lambda _what: None) -> Comparison:
    """Learn a rule in one setting, ``size.seeds`` times, and measure it against the simple rules.

    Every search begins at the best posted prices, found by search, written as a table (A3: as a network that sees the bids; A10: as a
    table that does not), so that what it learns is what a fixed price cannot do.

    Args:
        name: one of ``AUCTION_SETTINGS``.
        size: how long.
        say: told in words what was found.

    Raises:
        InputError: an unknown setting.
    """
    long = name == "A8"
    setting = auction_setting(name, grid=size.long_grid if long else size.grid, rounds=size.rounds if long else None)
    with float64_scope():
        if setting.draw is not None:
            return _compare_markets(setting, size, say)
        simple = _simple_rules(setting, None, say)
        posted = simple["best posted prices"]
        learned = [_learned(setting, TableRule(setting.auction.grid), posted, None, size, seed, say) for seed in range(size.seeds)]
    return Comparison(
        setting,
        {rule: design.objective for rule, design in simple.items()},
        np.asarray([design.objective for design in learned]),
        np.asarray([design.exploitability for design in learned]),
    )


def _compare_markets(setting: Setting, size: Size, say: Say) -> Comparison:
    import jax

    grid, rounds = setting.auction.grid, setting.auction.rounds
    rule, other = NetworkRule(grid, rounds, width=size.width), PostedPrice(grid)
    new = setting.markets(jax.random.key(_HELD_OUT), size.held_out)
    learned, simple, tried = [], [], {"learned network": [], "best posted prices of the training markets": []}  # type: ignore[var-annotated]
    for seed in range(size.seeds):
        markets = setting.markets(jax.random.key(seed), size.markets)
        simple.append(_simple_rules(setting, markets, say))
        posted = simple[-1]["best posted prices"]
        learned.append(_learned(setting, rule, posted, markets, size, seed, say))
        tried["learned network"].append(_on_markets(setting, rule, learned[-1].theta, new))
        tried["best posted prices of the training markets"].append(_on_markets(setting, other, posted.theta, new))
    return Comparison(
        setting,
        {rule_name: float(np.mean([found[rule_name].objective for found in simple])) for rule_name in simple[0]},
        np.asarray([design.objective for design in learned]),
        np.asarray([design.exploitability for design in learned]),
        {rule_name: np.stack(values) for rule_name, values in tried.items()},
    )


def _simple_rules(setting: Setting, markets: Market | None, say: Say) -> dict[str, MeanFieldDesign]:
    from hurwicz.designers import best_posted_prices, best_reserve_schedule, first_price_schedule

    auction = setting.auction
    equal = [
        first_price_schedule(setting, markets=markets, quantities=np.full(auction.rounds, part * auction.supply / auction.rounds)).value
        for part in _PARTS
    ]
    found = {
        _PLAIN: equal[-1],
        _WITHHELD: max(equal, key=lambda design: design.objective),
        "first price, best reserves": best_reserve_schedule(setting, markets=markets).value,
        "best posted prices": best_posted_prices(setting, markets=markets).value,
    }
    say(f"{setting.name}: " + ", ".join(f"{rule} {design.objective:.5f}" for rule, design in found.items()))
    return found


def _learned(
    setting: Setting, rule: TableRule | NetworkRule, posted: MeanFieldDesign, markets: Market | None, size: Size, seed: int, say: Say
) -> MeanFieldDesign:
    import optax

    from hurwicz.designers import auction_problem, meanfield_adjoint

    problem = auction_problem(setting, rule, markets=markets, start=lambda key: _start(setting, rule, posted, size, key))
    adam = optax.adam(optax.cosine_decay_schedule(size.learning_rate if isinstance(rule, TableRule) else 1e-2, size.steps))
    found = meanfield_adjoint(problem, steps=size.steps, seed=seed, optimiser=adam).value
    say(f"{setting.name}, seed {seed}: {found.history[0]:.5f} at the start, {found.objective:.5f} learned")
    return found


def _start(setting: Setting, rule: TableRule | NetworkRule, posted: MeanFieldDesign, size: Size, key: Any) -> Any:
    """The posted prices as a table or network, a little shaken."""
    import jax
    import jax.numpy as jnp

    from hurwicz.meanfield import posted_price_head, records_of, static_head

    prices = jnp.asarray(posted.theta["price"])
    head = posted_price_head(rule.grid, prices, softness=size.softness)
    if setting.static:
        own = setting.auction.game(PostedPrice(rule.grid))
        left = records_of(own, jnp.asarray(posted.flow), jax.tree.map(jnp.asarray, posted.theta))
        after = jnp.append(left[1:], left[-1] - _sold_last(setting, posted, left[-1]))
        head = static_head(head, (left - after) / jnp.maximum(left, 1e-12), softness=size.softness)
    keys = jax.random.split(jax.random.fold_in(key, 1), len(head))
    # not the share that is sold: a little less or more of it is another posted price's demand
    scale = {"steps": size.noise, "asks": size.noise, "share": 0.0}
    shaken = {name: head[name] + scale[name] * jax.random.normal(k, head[name].shape) for name, k in zip(sorted(head), keys, strict=True)}
    return shaken if isinstance(rule, TableRule) else rule.init(key, head=shaken)


def _sold_last(setting: Setting, posted: MeanFieldDesign, left: Any) -> Any:
    import jax.numpy as jnp

    from hurwicz.meanfield import winning_probability

    rule, last = PostedPrice(setting.auction.grid), setting.auction.rounds - 1
    bids = jnp.asarray(posted.flow)[last, :-1].sum(axis=0)
    return bids @ winning_probability(bids, rule.sell(last, bids, left, {"price": jnp.asarray(posted.theta["price"])}).quantity)


def _on_markets(setting: Setting, rule: SellingRule, theta: Any, markets: Market) -> Float64[FloatArray, " markets"]:
    import jax
    import jax.numpy as jnp

    from hurwicz.designers import auction_problem, evaluate_design

    weights = jax.tree.map(jnp.asarray, theta)
    settled = evaluate_design(auction_problem(setting, rule, markets=markets, start=lambda _key: weights), weights)
    return np.asarray(setting.worths(rule, jnp.asarray(settled.flow), weights, markets))


def rows_of(found: Comparison, size: Size) -> list[Claim]:
    """The claims that a comparison bears out, or does not."""
    setting, name = found.setting, found.setting.name
    objective = " + ".join(setting.objective)
    auction = setting.auction
    how = f"Grid {auction.grid}, {auction.rounds} rounds, {size.seeds} seeds, {size.steps} steps from the best posted prices. "
    mean, deviation = float(found.learned.mean()), spread(found.learned)
    best = found.best_simple
    blind = (
        " Reserves and posted prices sell what the bids ask for, which this rule may not see: they are not compared."
        if setting.static
        else ""
    )
    rows = [Claim(name, f"{objective}, {rule}", value, FIGURE_ONLY, setting.ceiling, None, how) for rule, value in found.simple.items()]
    rows.append(
        Claim(
            name,
            f"{objective}, learned, mean of {size.seeds} seeds",
            mean,
            f"above first price and the benchmarks ({FIGURE_ONLY})",
            setting.ceiling,
            mean > found.simple[best],
            f"{how}Standard deviation {deviation:.1e}; least {found.learned.min():.5f}. Agrees: above the best simple rule found "
            f"({best}: {found.simple[best]:.5f}).{blind}",
        )
    )
    worst = float(found.exploitability.max())
    rows.append(
        Claim(name, "exploitability of the learned rule, worst seed", worst, None, 0.005, worst < 0.005, "E^tau. Agrees: below .005.")
    )
    if found.held_out is not None:
        learned, posted = found.held_out.values()
        gain = learned - posted
        rows.append(
            Claim(
                name,
                f"{objective} on {size.held_out} markets not trained on, learned network",
                float(learned.mean()),
                FIGURE_ONLY,
                None,
                bool(gain.mean() > 0.0),
                f"Trained on {size.markets} other markets a seed. The posted prices that are best on those earn {posted.mean():.5f}; gain "
                f"{gain.mean():+.5f}, standard deviation over seeds {spread(gain.mean(axis=1)):.1e}; the network earns more on "
                f"{100.0 * float((gain > 0.0).mean()):.0f} % of markets. Agrees: more on average.",
            )
        )
    return rows


def long_runs(only: Sequence[str] = (), size: Size | None = None, *, say: Say = lambda _what: None) -> list[Claim]:
    """Run the settings, or some of them.

    Args:
        only: among A2 to A10 and ``"beach bar"``; all if empty.
        size: how long; the literature's sizes if omitted (hours).
        say: told in words what was found.

    Raises:
        InputError: an unknown setting.
    """
    known = ("A1", *SETTINGS)
    unknown = sorted(set(only) - set(known))
    if unknown:
        raise InputError(f"long runs: expected settings among {', '.join(known)}, got {', '.join(unknown)}")
    length = Size() if size is None else size
    rows: list[Claim] = []
    for name in only or SETTINGS:
        if name == BEACH:
            rows += beach_rows(price_the_beach(length, say=say), length)
        else:
            rows += rows_of(compare(name, length, say=say), length)
    return rows


def main() -> None:
    """Command line: sizes, settings, a file to write."""
    asked = argparse.ArgumentParser(description="A2 to A10 and the beach bar over several seeds.")
    asked.add_argument("--only", nargs="*", default=[], help="settings, say A2 A6 'beach bar'")
    asked.add_argument("--small", action="store_true", help="grid 20 and few steps")
    asked.add_argument("--out", type=Path, help="file for the rows, JSON")
    for name in ("grid", "long-grid", "rounds", "seeds", "steps", "markets", "held-out", "width"):
        asked.add_argument(f"--{name}", type=int)
    for name in ("learning-rate", "softness", "noise"):
        asked.add_argument(f"--{name}", type=float)
    given = vars(asked.parse_args())
    changes = {field: given[field] for field in Size.__dataclass_fields__ if given.get(field) is not None}
    size = replace(SMALL if given["small"] else Size(), **changes)
    rows: list[Claim] = []
    for name in given["only"] or SETTINGS:
        rows += long_runs([name], size, say=lambda what: print(what, flush=True))
        if given["out"] is not None:
            # after every setting: hours are not lost to Ctrl-C
            given["out"].parent.mkdir(parents=True, exist_ok=True)
            given["out"].write_text(_json(rows) + "\n", encoding="utf-8")
    if given["out"] is None:
        print(_json(rows))


def _json(rows: Sequence[Claim]) -> str:
    return json.dumps([row.to_dict() for row in rows], indent=2, ensure_ascii=False, allow_nan=False)


if __name__ == "__main__":
    main()
