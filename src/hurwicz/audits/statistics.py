"""Expected revenue, welfare and regret at truthful reports, from samples, with a confidence interval and a width at which to stop."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import InputError
from hurwicz.audits.deviation_search import best_lies
from hurwicz.audits.effort import Effort, effort_of
from hurwicz.audits.evaluation import Evaluator
from hurwicz.audits.executors import Checkpoint, Executor, executor_of, run_chunks
from hurwicz.audits.expectations import need_prior
from hurwicz.audits.profilewise import sum_of_payments
from hurwicz.settings import DirectMechanism, JointPrior

QUANTITIES = ("revenue", "welfare", "regret")


@dataclass(frozen=True)
class Estimate:
    """A mean over the prior, from samples.

    Attributes:
        quantity: what it is the mean of.
        value: the sample mean.
        low: lower end of the confidence interval.
        high: upper end.
        confidence: of the interval, over all the looks that the stopping rule took.
        bound: what the interval rests on: ``"empirical Bernstein"`` (holds for every sample size, given the range) or
            ``"central limit theorem"`` (large samples).
        samples: profiles drawn.
        status: ``"width reached"`` or ``"samples spent"``.
        seed: of the draws.
    """

    quantity: str
    value: float
    low: float
    high: float
    confidence: float
    bound: str
    samples: int
    status: str
    seed: int

    @property
    def width(self) -> float:
        """Upper less lower end."""
        return self.high - self.low

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        """``expected revenue 0.3333 in [0.3311, 0.3355] (95 %, ...)``."""
        return (
            f"expected {self.quantity} {self.value:.6g} in [{self.low:.6g}, {self.high:.6g}] "
            f"({100 * self.confidence:g} %, {self.bound}, {self.samples} profiles, {self.status})"
        )


@dataclass(frozen=True)
class ChunkOfProfiles:
    """One numbered chunk of the sample: drawn from its number, so that it is the same whoever works on it."""

    mechanism: DirectMechanism
    prior: JointPrior
    quantity: str
    agent: str | None
    size: int
    seed: int
    effort: Effort

    def __call__(self, number: int) -> list[float]:
        """[count, mean, sum of squared deviations, least, largest] of the chunk."""
        e = Evaluator(self.mechanism, self.effort, seed=self.seed)
        profiles = self.prior.sample(np.random.default_rng((self.seed, number)), self.size)
        values = self._values(e, profiles)
        mean = float(values.mean())
        return [float(self.size), mean, float(((values - mean) ** 2).sum()), float(values.min()), float(values.max())]

    def _values(self, e: Evaluator, profiles: dict[str, Any]) -> Float64[np.ndarray, " batch"]:
        if self.quantity == "regret":
            agents = e.agents if self.agent is None else (self.agent,)
            return np.asarray(np.mean([best_lies(e, name, profiles) for name in agents], axis=0), dtype=np.float64)
        outcomes = e.outcomes(profiles)
        return sum_of_payments(e, outcomes) if self.quantity == "revenue" else e.welfares(outcomes, profiles)


def estimate(
    mechanism: DirectMechanism,
    quantity: str,
    prior: JointPrior | None = None,
    *,
    width: float,
    confidence: float = 0.95,
    bounds: tuple[float, float] | None = None,
    agent: str | None = None,
    most: int = 4_000_000,
    chunk: int = 4096,
    seed: int = 0,
    effort: Effort | str = "quick",
    executor: Executor | str = "serial",
    workers: int | None = None,
    checkpoint: str | Path | None = None,
    progress: Callable[[str, float], None] | None = None,
) -> Estimate:
    """E[quantity] over the prior at truthful reports, sampled until the confidence interval is no wider than ``width``.

    With ``bounds`` the interval is |mean - E| <= sqrt(2 V ln(4/d) / n) + 7 R ln(4/d) / (3 (n - 1)) (empirical Bernstein, V the sample
    variance, R the range); without, z sqrt(V / n) (central limit theorem). It is looked at after 1, 2, 4, ... times sixteen chunks, the
    k-th time at confidence 1 - d with d = (1 - confidence) / (k (k + 1)), so that stopping early costs nothing. What is estimated does not
    depend on the number of workers. Regret is the gain of the best misreport that the search of ``effort`` finds, a mean over agents: no
    more than the true one.

    Args:
        mechanism: what to measure.
        quantity: ``"revenue"``, ``"welfare"`` or ``"regret"``.
        prior: common prior; the mechanism's own if omitted.
        width: of the interval at which to stop.
        confidence: above 0, below 1.
        bounds: least and largest value that the quantity can take at one profile.
        agent: whose regret; the mean over agents if omitted.
        most: profiles after which to stop in any case.
        chunk: profiles in a chunk.
        seed: of the draws.
        effort: how hard misreports are looked for.
        executor: ``"serial"``, ``"threads"``, ``"processes"`` or an :class:`Executor`.
        workers: how many, for threads and processes.
        checkpoint: a file for the chunks done, from which a stopped run goes on.
        progress: told the share of ``most``.

    Raises:
        InputError: an unknown quantity or agent, a width or confidence out of range, values outside ``bounds``.

    Example:
        >>> from hurwicz.mechanisms.single_item import second_price
        >>> found = estimate(second_price(2), "revenue", width=0.02, bounds=(0.0, 1.0))
        >>> found.low < 1 / 3 < found.high, found.bound
        (True, 'empirical Bernstein')

    Source:
        A. Maurer and M. Pontil, "Empirical Bernstein bounds and sample variance penalization", COLT 2009, Theorem 4.
    """
    if quantity not in QUANTITIES:
        raise InputError(f"estimate: expected a quantity among {list(QUANTITIES)}, got {quantity!r}")
    if not width > 0.0 or not 0.0 < confidence < 1.0 or most < chunk or chunk < 2:
        raise InputError(
            f"estimate: expected width > 0, 0 < confidence < 1 and most >= chunk >= 2, got {width}, {confidence}, {most}, {chunk}"
        )
    e = Evaluator(mechanism, effort_of(effort), seed=seed)
    if agent is not None and agent not in e.agents:
        raise InputError(f"estimate: expected an agent among {list(e.agents)}, got {agent!r}")
    common = need_prior(e, prior if prior is not None else getattr(mechanism, "prior", None), f"expected {quantity}")
    work = ChunkOfProfiles(mechanism, common, quantity, agent, chunk, seed, effort_of(effort))
    kept = None
    if checkpoint is not None:
        about = {"mechanism": str(getattr(mechanism, "name", type(mechanism).__name__)), "agents": list(e.agents)}
        kept = Checkpoint(checkpoint, about | {"quantity": quantity, "agent": agent, "chunk": chunk, "seed": seed})
    run = executor_of(executor, workers)
    total = [0.0, 0.0, 0.0, math.inf, -math.inf]
    done, look, stop = 0, 0, most // chunk
    while True:
        look += 1
        upto = min(stop, 16 * 2 ** (look - 1))
        for number, part in run_chunks(work, range(done, upto), run, checkpoint=kept):
            total = _merged(total, part)
            if progress is not None:
                progress(f"expected {quantity}", (number + 1) / stop)
        done = upto
        if bounds is not None and (total[3] < bounds[0] or total[4] > bounds[1]):
            raise InputError(f"estimate: expected {quantity} within {bounds} at every profile, got {total[3]:.6g} to {total[4]:.6g}")
        radius = _radius(total, (1.0 - confidence) / (look * (look + 1)), bounds)
        if 2.0 * radius <= width or done == stop:
            break
    status = "width reached" if 2.0 * radius <= width else "samples spent"
    how = "central limit theorem" if bounds is None else "empirical Bernstein"
    return Estimate(quantity, total[1], total[1] - radius, total[1] + radius, confidence, how, int(total[0]), status, seed)


def _merged(one: list[float], two: list[float]) -> list[float]:
    # means and sums of squared deviations of two samples as one (Chan, Golub and LeVeque 1979)
    count = one[0] + two[0]
    step = two[1] - one[1]
    mean = one[1] + step * two[0] / count
    return [count, mean, one[2] + two[2] + step * step * one[0] * two[0] / count, min(one[3], two[3]), max(one[4], two[4])]


def _radius(total: list[float], risk: float, bounds: tuple[float, float] | None) -> float:
    count, variance = total[0], total[2] / (total[0] - 1.0)
    if bounds is None:
        return normal_radius(variance, count, risk)
    log = math.log(4.0 / risk)
    return math.sqrt(2.0 * variance * log / count) + 7.0 * (bounds[1] - bounds[0]) * log / (3.0 * (count - 1.0))


def normal_radius(variance: float, count: float, risk: float) -> float:
    """Half the width of the central limit theorem's interval for a mean of ``count`` draws, missed with probability ``risk``."""
    from scipy.special import ndtri

    return float(ndtri(1.0 - risk / 2.0)) * math.sqrt(variance / count)
