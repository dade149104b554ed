"""A2 to A10 and the beach bar, small: what `make reproduce-long` runs at the literature's sizes, at sizes that take seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from hurwicz.meanfield import AUCTION_SETTINGS, auction_setting
from hurwicz.reproductions.amid.beach import beach_rows, price_the_beach
from hurwicz.reproductions.amid.claim import Claim, Experiment
from hurwicz.reproductions.amid.long_runs import compare, rows_of
from hurwicz.reproductions.amid.size import Size
from hurwicz.reproductions.claim import Context, Plot

QUICK = Size(grid=10, rounds=6, seeds=1, steps=10, markets=3, held_out=6, width=16, softness=1e-3, perturbations=100)
"""Seconds a setting: the order of the rules, not their figures."""
_SIZES = {"A8": replace(QUICK, long_grid=40, steps=8)}  # a minute: its drift is narrower than the step of a coarser grid
_SMALL = " Small: `make reproduce-long` runs the literature's size over five seeds."


def _run(name: str, context: Context) -> tuple[Sequence[Claim], Sequence[Plot]]:
    size = _SIZES.get(name, QUICK)
    found = compare(name, size, say=lambda what: context.say(what, 0.5))
    return [replace(row, note=row.note.rstrip() + _SMALL) for row in rows_of(found, size)], []


def _beach(context: Context) -> tuple[Sequence[Claim], Sequence[Plot]]:
    size = replace(QUICK, steps=40)
    found = price_the_beach(size, say=lambda what: context.say(what, 0.5))
    return [replace(row, id="beach", note=row.note + _SMALL) for row in beach_rows(found, size)], []


def _experiment(name: str) -> Experiment:
    setting = auction_setting(name)
    auction = setting.auction
    made_up = "".join(f" Reconstructed: {what}." for what in setting.reconstructed)
    problem = f"{auction.rounds} rounds, {auction.supply:g} goods a head; objective: {' + '.join(setting.objective)}.{made_up}"
    return Experiment(name, setting.title, problem, partial(_run, name), 10.0)


SETTINGS = (
    *(_experiment(name) for name in AUCTION_SETTINGS if name != "A1"),
    Experiment(
        "beach",
        "tolls on a beach with a bar",
        "Ten places, ten rounds; people like the bar and shun the crowd; the toll of each place is learned so that the crowd spreads. "
        "Reconstructed: how the toll enters the reward, its cap of 2, and the sharpness of the congestion.",
        _beach,
        10.0,
    ),
)
