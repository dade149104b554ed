"""Utilities of a mechanism over batches of profiles, counted and timed."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hurwicz._foundation import FloatArray, InputError
from hurwicz.audits.effort import Effort
from hurwicz.settings import DirectMechanism, Outcome, Outcomes
from hurwicz.typespaces import TypeSpace

Profiles = dict[str, NDArray[Any]]


class Evaluator:
    """One mechanism as the auditor sees it: batches in, utilities out. Uses the mechanism's batched members where it has them."""

    def __init__(self, mechanism: DirectMechanism, effort: Effort, *, seed: int) -> None:
        self.mechanism = mechanism
        self.effort = effort
        self.seed = seed
        self.agents: tuple[str, ...] = tuple(mechanism.agents)
        self.spaces: dict[str, TypeSpace] = {name: mechanism.type_spaces[name] for name in self.agents}
        self.batched = all(hasattr(mechanism, name) for name in ("outcomes", "values", "welfares"))
        self.accuracy = float(getattr(mechanism, "accuracy", 0.0))
        self.evaluations = 0
        self.scale = 0.0
        self._begun = time.perf_counter()

    def restart(self) -> None:
        """Begin the count and the clock of a new property."""
        self.evaluations = 0
        self._begun = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Since the property was begun."""
        return time.perf_counter() - self._begun

    @property
    def late(self) -> bool:
        """True once the soft time limit has passed."""
        return self.seconds > self.effort.seconds

    @property
    def tolerance(self) -> float:
        """Smallest gain that counts, in money."""
        self.accuracy = float(getattr(self.mechanism, "accuracy", 0.0))
        return self.effort.tolerance * max(self.scale, 1e-300) + 4.0 * self.accuracy

    @property
    def finite(self) -> bool:
        """True where every type space is finite."""
        return all(space.size is not None for space in self.spaces.values())

    @property
    def profile_count(self) -> float:
        """Number of profiles; infinite for a continuum."""
        return float(np.prod([float("inf") if s.size is None else float(s.size) for s in self.spaces.values()]))

    def outcomes(self, reports: Mapping[str, NDArray[Any]]) -> Outcomes:
        """Outcomes at a batch of profiles."""
        batch = len(reports[self.agents[0]])
        self.evaluations += batch
        if self.batched:
            found: Outcomes = self.mechanism.outcomes(reports)  # type: ignore[attr-defined]
            return found
        each = [self.mechanism.outcome({name: reports[name][k] for name in self.agents}) for k in range(batch)]
        return Outcomes(
            allocation={name: np.stack([np.asarray(o.allocation[name], dtype=np.float64) for o in each]) for name in self.agents},
            payments={name: np.asarray([o.payments[name] for o in each], dtype=np.float64) for name in self.agents},
        )

    def utilities(self, agent: str, outcomes: Outcomes, true_types: NDArray[Any]) -> FloatArray:
        """v_i - t_i at every outcome of a batch."""
        paid = np.asarray(outcomes.payments[agent], dtype=np.float64)
        if self.batched:
            gross: FloatArray = np.asarray(self.mechanism.values(agent, outcomes, true_types), dtype=np.float64)  # type: ignore[attr-defined]
        else:
            gross = np.asarray([self.mechanism.value(agent, outcomes.one(k), true_types[k]) for k in range(len(paid))], dtype=np.float64)
        if not bool(np.all(np.isfinite(gross)) and np.all(np.isfinite(paid))):
            raise InputError(f"audit: expected finite values and payments of agent {agent!r}, got NaN or infinity from the mechanism")
        return gross - paid

    def welfares(self, outcomes: Outcomes, true_types: Mapping[str, NDArray[Any]]) -> FloatArray:
        """Welfare at every outcome of a batch."""
        if self.batched:
            return np.asarray(self.mechanism.welfares(outcomes, true_types), dtype=np.float64)  # type: ignore[attr-defined]
        batch = len(true_types[self.agents[0]])
        return np.asarray(
            [self.mechanism.welfare(outcomes.one(k), {name: true_types[name][k] for name in self.agents}) for k in range(batch)],
            dtype=np.float64,
        )

    def optional(self, batched: str, single: str, count: int, *arguments: Any) -> FloatArray | None:
        """A batch of an optional member of the mechanism, ``None`` where it has neither form."""
        if hasattr(self.mechanism, batched):
            return np.asarray(getattr(self.mechanism, batched)(*arguments), dtype=np.float64)
        if hasattr(self.mechanism, single):
            member = getattr(self.mechanism, single)
            return np.asarray([member(*(_row(a, k) for a in arguments)) for k in range(count)], dtype=np.float64)
        return None

    def note_scale(self, truthful: Outcomes, true_types: Mapping[str, NDArray[Any]]) -> None:
        """Widen the value scale: the largest value or payment at truthful profiles."""
        for name in self.agents:
            paid = np.asarray(truthful.payments[name], dtype=np.float64)
            gross = self.utilities(name, truthful, true_types[name]) + paid
            self.scale = max(self.scale, float(np.abs(paid).max(initial=0.0)), float(np.abs(gross).max(initial=0.0)))

    def all_profiles(self) -> Profiles:
        """Every profile of finite type spaces, the last agent's type changing fastest."""
        grids = [self.spaces[name].grid(0) for name in self.agents]
        index = np.meshgrid(*[np.arange(len(g)) for g in grids], indexing="ij")
        return {name: grid[ix.ravel()] for name, grid, ix in zip(self.agents, grids, index, strict=True)}

    def drawn_profiles(self, count: int, prior: Any = None) -> Profiles:
        """Independent draws from the prior where there is one, else uniform on the type spaces."""
        rng = np.random.default_rng(self.seed)
        if prior is not None:
            drawn: Profiles = prior.sample(rng, count)
            return drawn
        return {name: self.spaces[name].sample(rng, count) for name in self.agents}

    def corner_profiles(self, most: int = 64) -> Profiles:
        """Profiles of extreme types (all corners of small settings, lowest and highest for each agent otherwise)."""
        ends = {name: self.spaces[name].grid(2) for name in self.agents}
        ends = {name: g[[0, len(g) - 1]] if len(g) > 1 else g[[0, 0]] for name, g in ends.items()}
        count = len(self.agents)
        if 2**count <= most:
            rows = list(itertools.product((0, 1), repeat=count))
        else:
            rows = [(0,) * count, (1,) * count]
            rows += [tuple(int(j == k) for j in range(count)) for k in range(count)]
            rows += [tuple(int(j != k) for j in range(count)) for k in range(count)]
            rows = rows[:most]
        return {name: ends[name][[row[k] for row in rows]] for k, name in enumerate(self.agents)}

    def spent(self, **more: Any) -> dict[str, Any]:
        """The effort so far, as a finding reports it."""
        return {**more, "evaluations": self.evaluations, "seconds": round(self.seconds, 3), "tolerance": self.tolerance, "seed": self.seed}


def _row(argument: Any, k: int) -> Any:
    if isinstance(argument, Outcomes):
        return argument.one(k)
    return {name: values[k] for name, values in argument.items()}


class Pace:
    """Batch sizes that grow while the mechanism is fast, so that a time limit is kept also where one outcome takes long.

    Args:
        most: largest batch.
        limited: begin with one profile; without a time limit, begin with the largest batch.
    """

    def __init__(self, most: int, *, limited: bool = True) -> None:
        self.size = 1 if limited else max(1, most)
        self._most = max(1, most)
        self._begun = time.perf_counter()

    def start(self) -> None:
        """A batch begins."""
        self._begun = time.perf_counter()

    def stop(self) -> None:
        """A batch has ended."""
        took = time.perf_counter() - self._begun
        if took < 0.5:
            self.size = min(8 * self.size, self._most)
        elif took > 3.0:
            self.size = max(1, self.size // 2)


def stacked(profiles: Sequence[Mapping[str, Any]], agents: Sequence[str]) -> Profiles:
    """Single profiles as a batch."""
    return {name: np.asarray([p[name] for p in profiles]) for name in agents}


def joined(first: Profiles, second: Profiles) -> Profiles:
    """Two batches as one."""
    return {name: np.concatenate([first[name], second[name]], axis=0) for name in first}


def row_of(profiles: Mapping[str, NDArray[Any]], k: int) -> dict[str, Any]:
    """One profile of a batch as plain data."""
    return {name: plain(values[k]) for name, values in profiles.items()}


def plain(value: Any) -> Any:
    """Numbers, lists and dicts that JSON knows, from numpy's."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.item() if value.ndim == 0 else value.tolist()
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return value


def one_profile(profile: Mapping[str, Any], agents: Sequence[str]) -> Profiles:
    """A single profile as a batch of one."""
    return stacked([profile], agents)


def outcome_details(outcome: Outcome) -> dict[str, Any]:
    """Allocation and payments of an outcome as plain data."""
    return {"allocation": plain(dict(outcome.allocation)), "payments": plain(dict(outcome.payments))}
