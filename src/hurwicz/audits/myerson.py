"""Single-parameter rules along lines: one agent's report moves over its whole interval, the others stay.

On a line truthfulness is two facts (Myerson's lemma): what the agent gets does not fall in its report, and its payment is
t(r) = t(r_0) + r y(r) - r_0 y(r_0) - integral of y from r_0 to r, with y = side x. Both are looked at on a grid that is refined where y
jumps; between two points monotone y and t are bracketed by their ends, which bounds the gain of every type by every report of the line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64

from hurwicz.audits.evaluation import Evaluator
from hurwicz.audits.exhaustive import side_of
from hurwicz.audits.profiles import Profiles, joined, plain, row_of
from hurwicz.typespaces import Interval

_POINTS = 129
_ROUNDS = 60
_JUMP = 1e-9  # cells narrower than this part of the interval hold a jump and are left out, with their length stated


@dataclass(frozen=True)
class LineCertificate:
    """What is known along lines, and what that rests on.

    Attributes:
        lines: lines looked at (an agent and a profile of the others each).
        points: points on each.
        monotone: whether y and t rise with the report at all points of all lines.
        gain_found: largest gain between two points.
        gain_possible: bound on the gain of any type by any report of these lines, outside the cells left out; infinite where not monotone.
        left_out: largest total length, on one line, of the cells that hold a jump, as a part of the interval.
        identity_gap: largest distance of a payment from the payment identity that the bracket of the integral does not explain.
        least_utility: least utility of the truth at any point.
        utility_possible: no type of these lines, outside the cells left out, ends below this; minus infinity where not monotone.
        least_payment: least payment at any point.
        agent: who gains ``gain_found``.
        profile: true types there.
        misreport: its report there.
    """

    lines: int
    points: int
    monotone: bool
    gain_found: float
    gain_possible: float
    left_out: float
    identity_gap: float
    least_utility: float
    utility_possible: float
    least_payment: float
    agent: str
    profile: dict[str, Any]
    misreport: float

    def said(self) -> str:
        """What is proved and what is not, in a sentence."""
        if not self.monotone:
            return f"along {self.lines} lines of {self.points} own reports the allocation or the payment falls: no bound between the points"
        out = f", but for types within {self.left_out:.1g} of the interval's length of a jump" if self.left_out else ""
        return (
            f"along {self.lines} lines every type gains at most {self.gain_possible:.3g} by every report{out}, given that what it gets "
            f"and pays rises with its report between the {self.points} points looked at, as it does at them"
        )

    def said_of_taking_part(self) -> str:
        """What is proved of participation, in a sentence."""
        if not self.monotone:
            return ""
        out = f", but within {self.left_out:.1g} of the interval's length of a jump" if self.left_out else ""
        return (
            f"along {self.lines} lines every truthful type ends at {self.utility_possible:.3g} or above{out}, given that what it gets and "
            f"pays rises with its report between the {self.points} points looked at, as it does at them"
        )


def applies(e: Evaluator) -> bool:
    """Whether every agent has one number from an interval and values linear in what it gets."""
    return e.batched and not e.lazy and all(isinstance(e.spaces[n], Interval) and side_of(e, n) is not None for n in e.agents)


def lines_of(e: Evaluator, lines: int, prior: Any = None) -> LineCertificate | None:
    """Certify lines through drawn profiles of the others; None where a mechanism's values are not linear after all.

    The time limit raises ``TimeoutError``: lines of some agents certify nothing of the others.

    Args:
        e: evaluator of a mechanism that :func:`applies` to.
        lines: how many profiles of the others, shared out over the agents.
        prior: where they come from; uniform if ``None``.

    Source:
        R. Myerson, "Optimal auction design", Mathematics of Operations Research 6 (1981), Lemma 2; A. Archer and E. Tardos, "Truthful
        mechanisms for one-parameter agents", FOCS 2001, Theorem 4.2.
    """
    each = max(2, lines // len(e.agents))
    worst: tuple[float, str, dict[str, Any], float] | None = None
    total = 0
    monotone, possible, out, gap, points = True, 0.0, 0.0, 0.0, 0
    ends, floor, least = np.inf, np.inf, np.inf
    for k, agent in enumerate(e.agents):
        if e.late:
            raise TimeoutError(f"the time limit came when lines of {k} of {len(e.agents)} agents had been looked at")
        rng = np.random.default_rng((e.seed, 77, k))
        drawn = {n: e.spaces[n].sample(rng, each) for n in e.agents} if prior is None else prior.sample(rng, each)
        rows = joined(e.corner_profiles(4), drawn)
        reports, got, paid = _refined(e, agent, rows)
        side = side_of(e, agent)
        assert side is not None
        truth = side * got * reports
        if not np.allclose(e.gross(agent, *_at(e, agent, rows, reports[:, 0])), truth[:, 0], rtol=1e-9, atol=1e-12 * e.scale):
            return None
        y, points = side * got, max(points, reports.shape[1])
        tiny = 1e-9 * max(float(np.abs(truth).max()), float(np.abs(paid).max()), 1e-300)
        gains = reports[:, :, None] * (y[:, None, :] - y[:, :, None]) - paid[:, None, :] + paid[:, :, None]
        row, i, j = (int(v) for v in np.unravel_index(int(np.argmax(gains)), gains.shape))
        ends, least = min(ends, float((reports * y - paid).min())), min(least, float(paid.min()))
        rising = bool(np.all(np.diff(y, axis=1) >= -1e-12 * np.abs(y).max(initial=0.0)) and np.all(np.diff(paid, axis=1) >= -tiny))
        monotone = monotone and rising
        if rising:
            bound, lowest, length = _bounds(reports, y, paid)
            possible, floor, out = max(possible, bound), min(floor, lowest), max(out, length)
            gap = max(gap, _identity_gap(reports, y, paid))
        if worst is None or gains[row, i, j] > worst[0]:
            profile = {**row_of(rows, row), agent: plain(reports[row, i])}
            found = float(gains[row, i, j])
            worst = (found, agent, profile, float(reports[row, j]))
        total += len(rows[agent])
    assert worst is not None
    bound = max(possible, worst[0]) if monotone else float("inf")
    floor = min(floor, ends) if monotone else -float("inf")
    return LineCertificate(total, points, monotone, worst[0], bound, out, gap, ends, floor, least, *worst[1:])


def _at(e: Evaluator, agent: str, rows: Profiles, reports: Float64[np.ndarray, " lines"]) -> tuple[Any, Float64[np.ndarray, " lines"]]:
    return e.outcomes({**rows, agent: reports}), reports


def _ask(
    e: Evaluator, agent: str, rows: Profiles, reports: Float64[np.ndarray, "lines points"]
) -> tuple[Float64[np.ndarray, "lines points"], Float64[np.ndarray, "lines points"]]:
    count = reports.shape[1]
    profile = {n: np.repeat(v, count, axis=0) for n, v in rows.items()}
    outcomes = e.outcomes({**profile, agent: reports.ravel()})
    got = np.asarray(outcomes.allocation[agent], dtype=np.float64).reshape(reports.shape)
    return got, np.asarray(outcomes.payments[agent], dtype=np.float64).reshape(reports.shape)


def _refined(
    e: Evaluator, agent: str, rows: Profiles
) -> tuple[Float64[np.ndarray, "lines points"], Float64[np.ndarray, "lines points"], Float64[np.ndarray, "lines points"]]:
    """Reports of each line in order, what the agent gets there and what it pays: an even grid, then the cell of the largest step halved."""
    space = e.spaces[agent]
    assert isinstance(space, Interval)
    lines = len(rows[agent])
    reports = np.tile(np.linspace(space.low, space.high, _POINTS), (lines, 1))
    got, paid = _ask(e, agent, rows, reports)
    width = space.high - space.low
    every = np.arange(lines)
    for _ in range(_ROUNDS):
        cells = np.diff(reports, axis=1)
        step = cells * (np.abs(np.diff(got, axis=1)) * max(abs(space.low), abs(space.high)) + np.abs(np.diff(paid, axis=1)))
        step[cells <= _JUMP * width] = 0.0
        k = np.argmax(step, axis=1)
        middle = 0.5 * (reports[every, k] + reports[every, k + 1])
        x, t = _ask(e, agent, rows, middle[:, None])
        reports, got, paid = (
            np.take_along_axis(np.concatenate([old, new], axis=1), _places(reports, middle), axis=1)
            for old, new in ((reports, middle[:, None]), (got, x), (paid, t))
        )
    return reports, got, paid


def _places(reports: Float64[np.ndarray, "lines points"], middle: Float64[np.ndarray, " lines"]) -> Any:
    return np.argsort(np.concatenate([reports, middle[:, None]], axis=1), axis=1, kind="stable")


def _bounds(
    reports: Float64[np.ndarray, "lines points"], y: Float64[np.ndarray, "lines points"], paid: Float64[np.ndarray, "lines points"]
) -> tuple[float, float, float]:
    """Largest possible gain between cells, least possible utility of the truth, and the largest total length of the cells left out."""
    cells = np.diff(reports, axis=1)
    width = reports[:, -1:] - reports[:, :1]
    jump: Bool[np.ndarray, "lines cells"] = (cells <= 2.0 * _JUMP * width) & ((np.diff(y, axis=1) > 0.0) | (np.diff(paid, axis=1) > 0.0))
    best, least = 0.0, np.inf
    for line in range(len(reports)):
        keep = ~jump[line]
        low, high = reports[line, :-1][keep], reports[line, 1:][keep]
        y0, y1 = y[line, :-1][keep], y[line, 1:][keep]
        t0, t1 = paid[line, :-1][keep], paid[line, 1:][keep]
        for theta in (low, high):  # linear in the type: the ends of its cell are the worst
            worth = np.maximum(theta[:, None] * y1[None], theta[:, None] * y0[None]) - t0[None]
            truth = np.minimum(theta * y0, theta * y1) - t1
            best, least = max(best, float((worth - truth[:, None]).max())), min(least, float(truth.min()))
    return best, least, float((np.where(jump, cells, 0.0).sum(axis=1) / width[:, 0]).max())


def _identity_gap(
    reports: Float64[np.ndarray, "lines points"], y: Float64[np.ndarray, "lines points"], paid: Float64[np.ndarray, "lines points"]
) -> float:
    cells = np.diff(reports, axis=1)
    lower = np.concatenate([np.zeros((len(reports), 1)), np.cumsum(cells * y[:, :-1], axis=1)], axis=1)
    upper = np.concatenate([np.zeros((len(reports), 1)), np.cumsum(cells * y[:, 1:], axis=1)], axis=1)
    area = reports * y - (reports * y)[:, :1] - (paid - paid[:, :1])  # what the integral has to be
    return float(np.maximum(np.maximum(lower - area, area - upper), 0.0).max())
