"""Utilities of a mechanism over batches of profiles, counted and timed."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from time import perf_counter, time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hurwicz._foundation import FloatArray, InputError
from hurwicz.audits.effort import Effort
from hurwicz.audits.executors import Executor, Serial
from hurwicz.audits.pace import Kept
from hurwicz.audits.profiles import CheckedPayments, Profiles, all_finite, column, corners, plain, rows_of, same_outcomes, stack_outcomes
from hurwicz.settings import DirectMechanism, Outcomes
from hurwicz.typespaces import Finite, TypeSpace

_DEAR = 5e-3  # seconds an outcome


class Evaluator:
    """One mechanism as the auditor sees it: batches in, utilities out. Uses the mechanism's batched members where it has them."""

    def __init__(self, mechanism: DirectMechanism, effort: Effort, *, seed: int) -> None:
        self.mechanism = mechanism
        self.effort = effort
        self.seed = seed
        lacking = [member for member in ("agents", "type_spaces", "outcome", "value", "welfare") if not hasattr(mechanism, member)]
        if lacking:
            raise InputError(
                f"audit: expected a mechanism (a DirectMechanism), got {type(mechanism).__name__} without {', '.join(lacking)}"
            )
        self.agents: tuple[str, ...] = tuple(mechanism.agents)
        missing = [name for name in self.agents if name not in mechanism.type_spaces]
        if not self.agents or missing or len(set(self.agents)) != len(self.agents):
            raise InputError(
                f"audit: expected at least one agent, different names and a type space for each, got agents {list(self.agents)}"
                + (f" without type spaces for {missing}" if missing else "")
            )
        self.spaces: dict[str, TypeSpace] = {name: mechanism.type_spaces[name] for name in self.agents}
        self.batched = all(hasattr(mechanism, name) for name in ("outcomes", "values", "welfares"))
        self.accuracy = float(getattr(mechanism, "accuracy", 0.0))
        self.evaluations = 0
        self.scale = 0.0
        self.seconds_per_outcome = 0.0
        self.seconds_per_value = 0.0
        self._spans: dict[str, tuple[float, float]] = {}
        self.interdependent = hasattr(mechanism, "interdependent_values")
        self.executor: Executor = Serial()
        self.kept = Kept()
        self.was_late = False
        self.pairs_cut = False
        self.lazy = False
        self._probes = 0
        self._asked: list[tuple[Profiles, Outcomes, tuple[str, ...]]] = []
        self._begun = perf_counter()
        self._limit = effort.seconds
        self._deadline = time() + effort.whole  # of the clock on the wall, which other processes share

    def afresh(self, *, part: float = 1.0 / 3.0, most: float | None = None) -> Evaluator:
        """The same mechanism and probes with the counts, the scale and the clock of a new property: nothing of another property enters.

        Tables of outcomes are shared, for they hold no more than what the mechanism answers.

        Args:
            part: of the time that is left to the whole audit, which is all that this may take.
            most: seconds that it may take beside; the effort's limit of a property if omitted.
        """
        new = copy.copy(self)
        new.evaluations, new.scale, new.was_late, new.pairs_cut = 0, 0.0, False, False
        new._spans, new._asked = {}, list(self._asked)
        new._begun = perf_counter()
        new._limit = min(self.effort.seconds if most is None else most, part * max(0.0, self.left))
        return new

    @property
    def left(self) -> float:
        """Seconds that are left to the whole audit; below 0 where none are."""
        return self._deadline - time()

    @property
    def seconds(self) -> float:
        """Since the property was begun."""
        return perf_counter() - self._begun

    @property
    def late(self) -> bool:
        """True once the soft time limit has passed; then the effort says so."""
        self.was_late = self.was_late or self.seconds > self._limit
        return self.was_late

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
        if self.kept.stopped:
            raise InterruptedError("audit: interrupted")
        batch = len(reports[self.agents[0]])
        self.evaluations += batch
        found: Outcomes
        try:
            if self.batched:
                found = self.mechanism.outcomes(reports)  # type: ignore[attr-defined]
            else:
                found = stack_outcomes(
                    [self.mechanism.outcome({name: reports[name][k] for name in self.agents}) for k in range(batch)],
                    self.agents,
                    self.agents,
                )
        except KeyError as error:
            raise InputError(f"audit: expected an allocation and a payment for every agent in each outcome, none for {error}") from error
        paid = CheckedPayments(found.payments, self.agents, reports, batch)
        self.lazy = not isinstance(found.payments, dict)
        if not self.lazy:
            for name in self.agents:
                paid[name]
        return Outcomes(found.allocation, paid)

    def utilities(self, agent: str, outcomes: Outcomes, true_types: NDArray[Any]) -> FloatArray:
        """v_i - t_i at every outcome of a batch."""
        gross = self.gross(agent, outcomes, true_types)
        utility = gross - np.asarray(outcomes.payments[agent], dtype=np.float64)
        if len(utility):
            low, high = self._spans.get(agent, (np.inf, -np.inf))
            self._spans[agent] = (min(low, float(utility.min())), max(high, float(utility.max())))
        return utility

    def among(self, agent: str, outcomes: Outcomes, types: Mapping[str, NDArray[Any]]) -> FloatArray:
        """u_i where the true types of all are ``types``: the others' enter where the mechanism has ``interdependent_values``."""
        if not self.interdependent:
            return self.utilities(agent, outcomes, types[agent])
        gross = np.asarray(self.mechanism.interdependent_values(agent, outcomes, types), dtype=np.float64)  # type: ignore[attr-defined]
        return all_finite(gross, f"value of {agent!r}", types) - np.asarray(outcomes.payments[agent], dtype=np.float64)

    def gross(self, agent: str, outcomes: Outcomes, true_types: NDArray[Any]) -> FloatArray:
        """v_i at every outcome of a batch."""
        gross: FloatArray
        if self.batched:
            gross = np.asarray(self.mechanism.values(agent, outcomes, true_types), dtype=np.float64)  # type: ignore[attr-defined]
        else:
            gross = np.asarray(
                [self.mechanism.value(agent, outcomes.one(k), true_types[k]) for k in range(len(true_types))], dtype=np.float64
            )
        if not bool(np.all(np.isfinite(gross))):
            where = int(np.argmax(~np.isfinite(gross)))
            raise InputError(
                f"audit: expected finite values of agent {agent!r}, got {gross[where]} (NaN or infinity) "
                f"for true type {plain(true_types[where])}"
            )
        return gross

    def span(self, agent: str) -> float:
        """Largest less smallest utility of an agent that this audit has seen, whatever was reported: the reach of one draw."""
        low, high = self._spans.get(agent, (0.0, 0.0))
        return high - low

    def welfares(self, outcomes: Outcomes, true_types: Mapping[str, NDArray[Any]]) -> FloatArray:
        """Welfare at every outcome of a batch."""
        if self.batched:
            found = np.asarray(self.mechanism.welfares(outcomes, true_types), dtype=np.float64)  # type: ignore[attr-defined]
        else:
            batch = len(true_types[self.agents[0]])
            found = np.asarray(
                [self.mechanism.welfare(outcomes.one(k), {name: true_types[name][k] for name in self.agents}) for k in range(batch)],
                dtype=np.float64,
            )
        return all_finite(found, "welfare", true_types)

    def optional(self, batched: str, single: str, count: int, *arguments: Any) -> FloatArray | None:
        """A batch of an optional member of the mechanism, ``None`` where it has neither form."""
        if hasattr(self.mechanism, batched):
            found = np.asarray(getattr(self.mechanism, batched)(*arguments), dtype=np.float64)
        elif hasattr(self.mechanism, single):
            member = getattr(self.mechanism, single)
            found = np.asarray([member(*(_row(a, k) for a in arguments)) for k in range(count)], dtype=np.float64)
        else:
            return None
        if bool(np.any(np.isnan(found))):
            raise InputError(f"audit: expected numbers from {single}, got NaN")
        return found

    def probe(self, named: Profiles | None = None) -> None:
        """Ask a few profiles twice and in another order: is the mechanism a function of the reports, and how long does it take?

        Two profiles where an outcome takes long, else sixteen. Every later call asks for those of the first once more (a state that has
        drifted shows), and where outcomes are cheap for new ones as well. Payments that are dear are asked for at the named profiles.

        Raises:
            UnsteadyError: other outcomes for the same reports.
            InputError: ``outcome`` and ``outcomes`` differ.
        """
        for profiles, before, looked in self._asked:
            self.compare(before, self.outcomes(profiles), profiles, looked)
        if self._asked and (self.dear or self.lazy):
            return
        agree = self._asked_twice(2, named)
        if not self.dear and not (self.lazy and named is not None):
            agree = self._asked_twice(16, None) and agree
            if self.batched and not self.lazy and self._probes <= 2:
                self._time_a_batch(256)
        if not agree:
            raise InputError("audit: expected outcome and outcomes of the mechanism to agree, they differ on a drawn profile")

    @property
    def probed(self) -> list[tuple[Profiles, Outcomes, tuple[str, ...]]]:
        """Profiles that the mechanism was asked about twice, its answers, and the agents whose payments were looked at."""
        return list(self._asked)

    @property
    def dear(self) -> bool:
        """True where an outcome takes long, or a payment that is computed when it is looked at."""
        return self.seconds_per_outcome >= _DEAR or (self.lazy and self.seconds_per_value >= 2e-3)

    def _asked_twice(self, count: int, named: Profiles | None) -> bool:
        # whether the single form agrees on the first profile
        self._probes += 1
        rng = np.random.default_rng((self.seed, self._probes))
        profiles = {name: self.spaces[name].sample(rng, count) for name in self.agents}
        if not self._asked:  # a mechanism that compiles does so before the clock runs
            self.outcomes({name: self.spaces[name].sample(rng, count) for name in self.agents})
        first = begun = perf_counter()
        outcomes = self.outcomes(profiles)
        self.seconds_per_outcome = (perf_counter() - begun) / count
        while self.seconds_per_outcome >= _DEAR and perf_counter() - first < 0.1:  # dear, or held up by what else the machine does?
            begun = perf_counter()
            self.outcomes(profiles)
            self.seconds_per_outcome = min(self.seconds_per_outcome, (perf_counter() - begun) / count)
        if not self.lazy:
            return self._repeats(profiles, outcomes, self.agents)
        if named is not None and self._probes == 1:
            one = {name: values[:1] for name, values in named.items()}
            agree = self._repeats(one, self.outcomes(one), self.agents[:1])
            # a mechanism that keeps what it has computed seems quick at these profiles and need not be at others
            return self._repeats(profiles, outcomes, ()) and agree
        return self._repeats(profiles, outcomes, self.agents)

    def _time_a_batch(self, count: int) -> None:
        # what one of many costs where a call has a price of its own, whatever the size of the batch; the best of a few tries, for a busy
        # machine is no reason to look less closely
        rng = np.random.default_rng((self.seed, 256))
        profiles = {name: self.spaces[name].sample(rng, count) for name in self.agents}
        first = perf_counter()
        for _ in range(8):
            begun = perf_counter()
            outcomes = self.outcomes(profiles)
            self.seconds_per_outcome = min(self.seconds_per_outcome, (perf_counter() - begun) / count)
            begun = perf_counter()
            self.utilities(self.agents[0], outcomes, profiles[self.agents[0]])
            self.seconds_per_value = min(self.seconds_per_value, (perf_counter() - begun) / count)
            if perf_counter() - first > 0.1:
                break

    def _repeats(self, profiles: Profiles, outcomes: Outcomes, looked: tuple[str, ...]) -> bool:
        count = len(profiles[self.agents[0]])
        begun = perf_counter()
        for k, name in enumerate(looked):
            self.utilities(name, outcomes, profiles[name])
            self.seconds_per_value = (perf_counter() - begun) / (count * (k + 1))
            if self.lazy and self.dear:
                looked = looked[: k + 1]
                break
        begun = perf_counter()
        again = self.outcomes({name: values[::-1] for name, values in profiles.items()})
        took = (perf_counter() - begun) / count
        if not self.dear:  # timed twice, for what is cheap may have been interrupted
            self.seconds_per_outcome = min(self.seconds_per_outcome, took)
            begun = perf_counter()
            self.utilities(self.agents[0], again, profiles[self.agents[0]][::-1])
            self.seconds_per_value = min(self.seconds_per_value, (perf_counter() - begun) / count)
        self.compare(outcomes, rows_of(again, np.arange(count)[::-1], looked), profiles, looked)
        if len(self._asked) < 2:
            self._asked.append((profiles, outcomes, looked))
        if not self.batched or (self.lazy and self.dear):  # one outcome holds all payments, and those are dear
            return True
        single = self.mechanism.outcome({n: v[0] for n, v in profiles.items()})
        return same_outcomes(
            rows_of(outcomes, np.arange(1), looked), stack_outcomes([single], self.agents, looked), self.agents, looked, 1e-6
        )

    def compare(self, one: Outcomes, two: Outcomes, profiles: Profiles, paid: Sequence[str] | None = None) -> None:
        """Raise :class:`UnsteadyError` where two answers to the same profiles differ, in payments of ``paid`` (all if left out)."""
        if not same_outcomes(
            one, two, self.agents, self.agents if paid is None else paid, max(1e-8, 10.0 * self.effort.tolerance), 4.0 * self.accuracy
        ):
            raise UnsteadyError(
                f"the mechanism gave two outcomes for the same reports (first seen among {len(profiles[self.agents[0]])} profiles): it "
                "draws at random or keeps a state; audit its expectation over its own draws, or fix its seed"
            )

    def repeat(self, profiles: Profiles, outcomes: Outcomes, most: int = 64) -> int:
        """Ask for some of the outcomes a second time; how many."""
        count = len(profiles[self.agents[0]])
        rows = np.random.default_rng(self.seed).permutation(count)[: most if not self.dear else 4]
        chosen = {name: values[rows] for name, values in profiles.items()}
        self.compare(rows_of(outcomes, rows, self.agents), self.outcomes(chosen), chosen)
        return len(rows)

    def exhaustible(self, work: float) -> bool:
        """Whether every profile can be looked at: within the effort's limit of utilities, and in about four times its seconds."""
        if not self.finite or work > self.effort.max_exhaustive:
            return False
        return self.profile_count * self.seconds_per_outcome + work * self.seconds_per_value <= 4.0 * self.effort.seconds or self.batched

    def affordable(self, most: int, *, least: int = 64) -> int:
        """As many profiles of the others in an expectation as the time limit allows a slow mechanism, from ``least`` to ``most``.

        A mechanism that takes less than .2 ms an outcome is not slow: what is found does not depend on the machine's mood.
        """
        each = self.seconds_per_outcome + self.seconds_per_value
        return most if each < 2e-4 else int(min(most, max(float(least), self.effort.seconds / (200.0 * len(self.agents) * each))))

    def one(self, profile: Mapping[str, Any]) -> Profiles:
        """A single profile as a batch of one; types that came back from JSON are found again among the space's own.

        Raises:
            InputError: a type outside its space.
        """
        own = {name: self._own(name, profile[name]) for name in profile}
        for name, value in own.items():
            if not self.spaces[name].contains(value):
                raise InputError(f"audit: expected a type or report of {name!r} in {self.spaces[name]!r}, got {plain(value)!r}")
        return {name: column([value]) for name, value in own.items()}

    def _own(self, name: str, value: Any) -> Any:
        space = self.spaces[name]
        if isinstance(space, Finite) and space.values.dtype == object:
            return next((v for v in space.values if plain(v) == plain(value)), value)
        return value

    def note_scale(self, truthful: Outcomes, true_types: Mapping[str, NDArray[Any]]) -> None:
        """Widen the value scale: the largest value or payment at truthful profiles."""
        for name in self.agents:
            self.scale = max(self.scale, float(np.abs(self.gross(name, truthful, true_types[name])).max(initial=0.0)))
            if not self.lazy:
                self.note_payments(name, truthful)

    def note_payments(self, agent: str, truthful: Outcomes) -> None:
        """Widen the value scale by an agent's payments; where they are dear, only those of agents that are looked at."""
        self.scale = max(self.scale, float(np.abs(truthful.payments[agent]).max(initial=0.0)))

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
        return corners(self.spaces, most)

    def spent(self, **more: Any) -> dict[str, Any]:
        """The effort so far, as a finding reports it."""
        spent = {**more, "evaluations": self.evaluations, "seconds": round(self.seconds, 3), "tolerance": self.tolerance, "seed": self.seed}
        return spent | {"cut_by_time_limit": True} if self.was_late else spent


def _row(argument: Any, k: int) -> Any:
    if isinstance(argument, Outcomes):
        return argument.one(k)
    return {name: values[k] for name, values in argument.items()}


class UnsteadyError(InputError):
    """The mechanism is not a function of the reports."""
