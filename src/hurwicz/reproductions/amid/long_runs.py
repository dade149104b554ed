"""A2 to A10 and the beach bar over several seeds: learned rules against the best simple ones, and a rule on markets it was not trained on.

``python -m hurwicz.reproductions.amid.long_runs --help`` runs them at any size.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import FloatArray, InputError, float64_scope
from hurwicz.meanfield import (
    AUCTION_SETTINGS,
    FirstPrice,
    Market,
    NetworkRule,
    PostedPrice,
    SellingRule,
    Setting,
    TableRule,
    auction_setting,
)
from hurwicz.reproductions.amid.beach import BEACH, beach_rows, price_the_beach
from hurwicz.reproductions.amid.claim import FIGURE_ONLY, Claim
from hurwicz.reproductions.amid.climbing import climb
from hurwicz.reproductions.amid.planned import SETTLED, best_planned_sale, shares_of
from hurwicz.reproductions.amid.size import SMALL, Say, Size, spread
from hurwicz.reproductions.paper import as_json

if TYPE_CHECKING:
    import optax

    from hurwicz.designers import MeanFieldDesign

_HELD_OUT = 10_000  # seed of the markets that no rule is trained on
_PLAIN, _WITHHELD = "first price, equal shares of all there is", "first price, best equal shares"
_POSTED, _PLANNED = "best posted prices", "best planned sale, blind to the bids"
LONG = "A8"  # whose horizon asks for a start and a search of its own: what a start loses and a step spoils adds up over the rounds
_LONG_SOFTNESS, _LONG_RATE = 1e-6, 0.5  # at most, and over that of the others
_PRICES = np.arange(80) / 80
_PARTS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)  # of the supply that first price may sell

SETTINGS = (*(name for name in AUCTION_SETTINGS if name != "A1"), BEACH)


@dataclass(frozen=True, eq=False)
class Comparison:
    """The rules of one setting, all at their equilibria.

    Attributes:
        setting: the setting, at the size that was run.
        simple: objective of first price and of the best simple rules found, by name.
        started: objective of the rule that learning begins at, seed by seed, as measured after T steps of mirror descent.
        learned: objective of the learned rule, seed by seed.
        exploitability: of its equilibrium, seed by seed.
        held_out: objectives on markets that were not trained on, by rule: (seeds, markets); None where the setting has one market.
        told: what each of those markets yields at the one price that is best for it, which a rule would have to be told.
    """

    setting: Setting
    simple: dict[str, float]
    started: Float64[np.ndarray, " seeds"]
    learned: Float64[np.ndarray, " seeds"]
    exploitability: Float64[np.ndarray, " seeds"]
    held_out: dict[str, Float64[np.ndarray, "seeds markets"]] | None = None
    told: Float64[np.ndarray, " markets"] | None = None

    @property
    def best_simple(self) -> str:
        """Which simple rule yields most."""
        return max(self.simple, key=lambda name: self.simple[name])


def compare(name: str, size: Size, *, say: Say = lambda _what: None) -> Comparison:
    """Learn a rule in one setting, ``size.seeds`` times, and measure it against the simple rules.

    Every search begins at the best posted prices, found by search, written as a table (A3: as a network that sees the bids; A10: as a
    table that does not, with the quantities of the best planned sale), so that what it learns is what a fixed price cannot do.

    Args:
        name: one of ``AUCTION_SETTINGS``.
        size: how long.
        say: told in words what was found.

    Raises:
        InputError: an unknown setting.
    """
    long = name == LONG
    setting = auction_setting(name, grid=size.long_grid if long else size.grid, rounds=size.rounds if long else None)
    with float64_scope():
        if setting.draw is not None:
            return _compare_markets(setting, size, say)
        simple = _simple_rules(setting, None, size, say)
        best = _best_of(setting, simple)
        learned = [_learned(setting, TableRule(setting.auction.grid), best, None, size, seed, say) for seed in range(size.seeds)]
    return Comparison(
        setting,
        {rule: design.objective for rule, design in simple.items()},
        np.asarray([design.history[0] for design in learned]),
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
        simple.append(_simple_rules(setting, markets, size, say))
        posted = simple[-1][_POSTED]
        learned.append(_learned(setting, rule, posted, markets, size, seed, say))
        tried["learned network"].append(_on_markets(setting, rule, learned[-1].theta, new))
        tried["best posted prices of the training markets"].append(_on_markets(setting, other, posted.theta, new))
    return Comparison(
        setting,
        {rule_name: float(np.mean([found[rule_name].objective for found in simple])) for rule_name in simple[0]},
        np.asarray([design.history[0] for design in learned]),
        np.asarray([design.objective for design in learned]),
        np.asarray([design.exploitability for design in learned]),
        {rule_name: np.stack(values) for rule_name, values in tried.items()},
        _each_its_price(setting, new),
    )


def _simple_rules(setting: Setting, markets: Market | None, size: Size, say: Say) -> dict[str, MeanFieldDesign]:
    import jax.numpy as jnp

    from hurwicz.designers import auction_problem, best_posted_prices, best_reserve_schedule, evaluate_design

    auction = setting.auction
    # one problem, so that it is compiled once
    first_price = auction_problem(setting, FirstPrice(auction.grid), markets=markets)
    shares = [jnp.full(auction.rounds, part * auction.supply / auction.rounds) for part in _PARTS]
    equal = [evaluate_design(first_price, {"quantity": share}) for share in shares]
    found = {
        _PLAIN: equal[-1],
        _WITHHELD: max(equal, key=lambda design: design.objective),
        "first price, best reserves": best_reserve_schedule(setting, markets=markets).value,
        _POSTED: best_posted_prices(setting, markets=markets).value,
    }
    if setting.static:
        found[_PLANNED] = best_planned_sale(setting, found[_POSTED], perturbations=size.perturbations)
    say(f"{setting.name}: " + ", ".join(f"{rule} {design.objective:.5f}" for rule, design in found.items()))
    return found


def _best_of(setting: Setting, simple: dict[str, MeanFieldDesign]) -> MeanFieldDesign:
    """The simple rule that learning begins at: one that may look at no more than the learned one."""
    return simple[_PLANNED if setting.static else _POSTED]


def _learned(
    setting: Setting, rule: TableRule | NetworkRule, best: MeanFieldDesign, markets: Market | None, size: Size, seed: int, say: Say
) -> MeanFieldDesign:
    import optax

    from hurwicz.designers import auction_problem, falling_entropy, meanfield_adjoint

    iterations = SETTLED * setting.iterations if setting.static else None
    problem = auction_problem(
        setting, rule, markets=markets, start=lambda key: _start(setting, rule, best, size, key), iterations=iterations
    )
    if setting.static:
        found = climb(problem, _slow_shares, steps=size.steps, rate=size.learning_rate, seed=seed)
    elif setting.name == LONG:
        found = climb(problem, optax.adam, steps=size.steps, rate=_LONG_RATE * size.learning_rate, seed=seed)
    else:
        network = isinstance(rule, NetworkRule)
        rate = size.network_rate / size.width if network else size.learning_rate
        adam = optax.adam(optax.cosine_decay_schedule(rate, size.steps))
        entropy = falling_entropy(size.network_entropy * setting.tau, setting.tau, steps=size.steps, settled=0.3) if network else None
        found = meanfield_adjoint(problem, steps=size.steps, seed=seed, optimiser=adam, entropy=entropy).value
    say(f"{setting.name}, seed {seed}: {found.history[0]:.5f} at the start, {found.objective:.5f} learned")
    return found


def _slow_shares(rate: float) -> optax.GradientTransformation:
    """Adam; the shares sold move fifty times more slowly, as the edge at which they are more than is asked for is near."""
    import optax

    parts = {name: optax.adam(speed * rate) for name, speed in (("steps", 1.0), ("share", 0.02))}
    return optax.partition(parts, {name: name for name in parts})


def _start(setting: Setting, rule: TableRule | NetworkRule, best: MeanFieldDesign, size: Size, key: Any) -> Any:
    """The posted prices, or the planned sale, as a table or network, a little shaken.

    A sale of a little less than is asked for at the price keeps the price; one of a little more adds up over the rounds of a long sale.
    """
    import jax
    import jax.numpy as jnp

    from hurwicz.meanfield import posted_price_head, static_head

    softness = size.network_softness if isinstance(rule, NetworkRule) else size.softness
    if setting.name == LONG:
        softness = min(softness, _LONG_SOFTNESS)
    head = posted_price_head(rule.grid, jnp.asarray(best.theta["price"]), softness=softness)
    if setting.static:
        head = static_head(head, jnp.asarray(shares_of(best.theta["quantity"], setting.auction.supply)))
    elif setting.name == LONG:
        # hence next to nothing for bids below the price
        head["asks"] = jnp.where(head["asks"] < 0.0, 3.0 * head["asks"], head["asks"])
    keys = jax.random.split(jax.random.fold_in(key, 1), len(head))
    # not the share that is sold: a little less or more of it is another posted price's demand
    scale = {"steps": size.noise, "asks": size.noise, "share": 0.0}
    shaken = {name: head[name] + scale[name] * jax.random.normal(k, head[name].shape) for name, k in zip(sorted(head), keys, strict=True)}
    return shaken if isinstance(rule, TableRule) else rule.init(key, head=shaken)


def _on_markets(setting: Setting, rule: SellingRule, theta: Any, markets: Market) -> Float64[FloatArray, " markets"]:
    import jax
    import jax.numpy as jnp

    from hurwicz.designers import auction_problem, evaluate_design

    weights = jax.tree.map(jnp.asarray, theta)
    settled = evaluate_design(auction_problem(setting, rule, markets=markets, start=lambda _key: weights), weights)
    return np.asarray(setting.worths(rule, jnp.asarray(settled.flow), weights, markets))


def _each_its_price(setting: Setting, markets: Market) -> Float64[FloatArray, " markets"]:
    """The best of eighty prices for every market, the same in all rounds."""
    import jax
    import jax.numpy as jnp

    from hurwicz.designers import auction_problem

    rule, rounds = PostedPrice(setting.auction.grid), setting.auction.rounds
    problem = auction_problem(setting, rule, markets=markets)

    @jax.jit
    def worths(price: Any) -> Any:
        weights = {"price": jnp.full(rounds, price)}
        return setting.worths(rule, problem.equilibrium()(problem.game, weights), weights, markets)

    best: Float64[FloatArray, " markets"] = np.stack([np.asarray(worths(price)) for price in _PRICES]).max(axis=0)
    return best


def rows_of(found: Comparison, size: Size) -> list[Claim]:
    """The claims that a comparison bears out, or does not."""
    setting, name = found.setting, found.setting.name
    objective = " + ".join(setting.objective)
    auction = setting.auction
    how = f"Grid {auction.grid}, {auction.rounds} rounds, {size.seeds} seeds, {size.steps} steps from the best posted prices. "
    mean, deviation = float(found.learned.mean()), spread(found.learned)
    best = found.best_simple
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
            f"({best}: {found.simple[best]:.5f}). Learning began at {found.started.mean():.5f}.",
        )
    )
    worst = float(found.exploitability.max())
    rows.append(
        Claim(name, "exploitability of the learned rule, worst seed", worst, None, 0.005, worst < 0.005, "E^tau. Agrees: below .005.")
    )
    if found.held_out is not None and found.told is not None:
        learned, posted = found.held_out.values()
        gain, told = learned - posted, float(found.told.mean())
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
                f"{100.0 * float((gain > 0.0).mean()):.0f} % of markets. A rule that is told the market and posts its best price earns "
                f"{told:.5f}. Agrees: more on average than the posted prices that are not.",
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
    for name in ("grid", "long-grid", "rounds", "seeds", "steps", "markets", "held-out", "width", "perturbations"):
        asked.add_argument(f"--{name}", type=int)
    for name in ("learning-rate", "network-rate", "softness", "network-softness", "network-entropy", "noise"):
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
            given["out"].write_text(as_json(rows), encoding="utf-8")
    if given["out"] is None:
        print(as_json(rows), end="")


if __name__ == "__main__":
    main()
