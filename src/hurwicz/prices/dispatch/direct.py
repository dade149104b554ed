"""A grid as a direct mechanism: generators report their cost multipliers, the planner dispatches and pays. What the auditor takes."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64, Shaped
from numpy.typing import NDArray

from hurwicz._foundation import FloatArray, InfeasibleError, InputError
from hurwicz.formats import MatpowerCase
from hurwicz.prices.dispatch.costs import PiecewiseLinear, Quadratic, unit_costs
from hurwicz.prices.dispatch.network import dc_network
from hurwicz.prices.dispatch.payments import RULES, balanced
from hurwicz.prices.dispatch.program import ProgramSolution, Segment, Supply, slack_limits
from hurwicz.prices.dispatch.resolver import Resolver, VariableCosts
from hurwicz.settings import Outcome, Outcomes
from hurwicz.typespaces import Interval, Prior, ProductPrior, TypeSpace, Uniform

_KNOTS = 5  # reports at which the expected externality is computed where types are a continuum; linear between
_EXACT = 512  # profiles of the others up to which an expectation over finite types is a sum over all of them


class DispatchModel:
    """A grid with every unit's cost family known and its multiplier theta reported: C_i(x; theta) = theta (C_i(x) - C_i(0)) + C_i(0).

    One model serves the four rules: it keeps what it has solved.

    Args:
        case: the grid.
        network: ``"powermodels"`` or ``"matpower"``.
        value_of_lost_load: $/MWh of load not served.
        prior: of each unit's theta, independent and the same for all; uniform on [0.8, 1.25] if omitted.
        samples: draws behind expectations where they are no short sum.
        seed: of those draws.

    Raises:
        InputError: a cost that is neither a parabola nor piecewise linear; units that have nothing to trade.
    """

    def __init__(
        self,
        case: MatpowerCase,
        *,
        network: str = "powermodels",
        value_of_lost_load: float = 10_000.0,
        prior: Prior | None = None,
        samples: int = 64,
        seed: int = 0,
    ) -> None:
        self.network = net = dc_network(case, network)
        self.lost_value = value_of_lost_load
        self.marginal_prior: Prior = Uniform(Interval(0.8, 1.25)) if prior is None else prior
        self.samples, self.seed = samples, seed
        curves: list[list[Segment]] = []
        least, fixed = np.zeros(len(net.units)), np.zeros(len(net.units))
        costs = unit_costs(case, net.unit_rows)
        for k, cost in enumerate(costs):
            low, high = float(net.pmin[k]), float(net.pmax[k])
            if isinstance(cost, Quadratic):
                curves.append([(low, high, cost.marginal(low), cost.marginal(high))] if high > low else [])
            elif isinstance(cost, PiecewiseLinear):
                knots = [low, *(x for x in cost.mw[1:-1] if low < x < high), high]
                curves.append([(a, b, cost.marginal(a), cost.marginal(a)) for a, b in itertools.pairwise(knots) if b > a])
            else:
                raise InputError(
                    f"{net.units[k]}: the direct mechanism takes parabolas and piecewise-linear costs, got a longer polynomial"
                )
            fixed[k] = cost.at(0.0)
            least[k] = cost.at(low) - fixed[k]
        self.fixed = fixed
        self.players = net.trading.tolist()
        if not self.players:
            raise InputError("the case has no unit with anything to trade; expected at least one with Pmax or Pmin other than 0")
        self.resolver = Resolver(net, value_of_lost_load)
        self.costs = VariableCosts(self.resolver, curves, least)
        self._solved: dict[tuple[int, bytes], ProgramSolution] = {}
        self._externality: dict[tuple[int, float], float] = {}
        self._error: dict[tuple[int, float], float] = {}
        self._least_loss: dict[tuple[int, bytes], float] = {}
        self._draws: Float64[FloatArray, "samples players"] | None = None
        self._deadline = math.inf

    def hurry(self, seconds: float | None) -> None:
        """From now on raise ``TimeoutError`` instead of solving once ``seconds`` have passed; None: take what time it needs."""
        self._deadline = math.inf if seconds is None else time.perf_counter() + seconds

    def _in_time(self) -> None:
        if time.perf_counter() > self._deadline:
            raise TimeoutError("the time that DispatchModel.hurry gave has passed")

    def solve(self, theta: Float64[FloatArray, "units"], without: int = -1) -> ProgramSolution:
        """The optimum for all units' multipliers, kept; the one left out does not matter to the key."""
        key_theta = theta
        if without >= 0:
            key_theta = theta.copy()
            key_theta[without] = 1.0
        key = (without, key_theta.tobytes())
        found = self._solved.get(key)
        if found is None:
            self._in_time()
            if len(self._solved) > 200_000:
                self._solved.clear()
            found = self._solved[key] = self.costs.solve(key_theta, without if without >= 0 else None)
        return found

    def lost(self, output: Float64[FloatArray, "units"]) -> float:
        """MW of load not served (or spilled), from the outputs alone."""
        net = self.network
        parts = int(net.island.max()) + 1
        short = np.bincount(net.island, net.withdrawal, parts) * net.base_mva - np.bincount(net.island[net.unit_bus], output, parts)
        return float(np.abs(short[np.abs(short) > 1e-6 * net.base_mva]).sum())

    def others_expected(self, unit: int, report: float) -> float:
        """xi_i(report) = minus the expected cost of the others and lost load, over the others' types."""
        key = (unit, report)
        if key not in self._externality:
            profiles, weights = self._profiles(unit)
            theta = np.ones(len(self.network.units))
            values = np.zeros(len(weights))
            for k, profile in enumerate(profiles):
                theta[self.players] = profile
                theta[unit] = report
                self._in_time()
                solution = self.costs.solve(theta)
                cost = theta * self.costs.of(solution.output)
                values[k] = -(cost.sum() - cost[unit]) - self.costs.lost(solution)
            self._externality[key] = float(weights @ values)
            sampled = self._sampled()
            self._error[key] = float(values.std() / np.sqrt(len(values))) if sampled else 0.0
        return self._externality[key]

    def _sampled(self) -> bool:
        size = self.marginal_prior.space.size
        return size is None or float(size) ** (len(self.players) - 1) > _EXACT

    def _profiles(self, unit: int) -> tuple[Float64[FloatArray, "profiles players"], Float64[FloatArray, "profiles"]]:
        """Types of all players (``unit``'s unused) and weights: every profile where they are few, else the same draws for everyone."""
        if not self._sampled():
            names = [str(k) for k in self.players]
            prior = ProductPrior(dict.fromkeys(names, self.marginal_prior))
            points, weights = prior.quadrature(1, without=str(unit))
            count = len(weights)
            columns = [points[name] if name in points else np.ones(count) for name in names]
            return np.column_stack(columns), weights
        if self._draws is None:
            rng = np.random.default_rng(self.seed)
            self._draws = self.marginal_prior.sample(rng, self.samples * len(self.players)).reshape(self.samples, len(self.players))
        return self._draws, np.full(self.samples, 1 / self.samples)

    def externality(self, unit: int, report: float) -> float:
        """xi_i; where types are a continuum, between its values at the two knots next to the report, computed when they are asked for."""
        space = self.marginal_prior.space
        if space.size is not None:
            return self.others_expected(unit, report)
        knots = space.grid(_KNOTS)
        right = min(max(int(np.searchsorted(knots, report)), 1), len(knots) - 1)
        ends = [float(knots[right - 1]), float(knots[right])]
        return float(np.interp(report, ends, [self.others_expected(unit, end) for end in ends]))

    @property
    def sampling_error(self) -> float:
        """Largest standard error of an expected externality so far, $/h."""
        return max(self._error.values(), default=0.0)

    def least_loss(self, unit: int, output: Float64[FloatArray, "units"]) -> float:
        """MW lost, at least, if ``unit`` went off and all others stayed at ``output``."""
        base = output.copy()
        base[unit] = 0.0
        key = (unit, np.round(base, 7).tobytes())
        if key not in self._least_loss:
            self._in_time()
            lost, spill = slack_limits(self.network, base, base)
            held = Supply(base, np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0), np.zeros(0))
            solution = self.resolver.program.solve(held, lost_value=self.lost_value, lost_limit=lost, spill_limit=spill)
            self._least_loss[key] = float(solution.lost.sum() + solution.spilled.sum())
        return self._least_loss[key]


class _Lazy(Mapping[str, FloatArray]):
    """Payments by agent, computed when they are looked at: an audit of one agent needs only its own."""

    def __init__(self, names: Sequence[str], compute: Callable[[str], Float64[FloatArray, "batch"]]) -> None:
        self._names, self._compute = names, compute
        self._done: dict[str, FloatArray] = {}

    def __getitem__(self, name: str) -> Float64[FloatArray, "batch"]:
        if name not in self._done:
            if name not in self._names:
                raise KeyError(name)
            self._done[name] = self._compute(name)
        return self._done[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class DispatchMechanism:
    """Reports of cost multipliers → least-cost dispatch for the reports → payments by one rule (a ``BatchedDirectMechanism``).

    Utility of generator i is tau_i - C_i(x_i; theta_i), counted net of being off; units that can trade nothing are no agents.

    Args:
        model: the grid; share one between rules.
        rule: ``"linear"``, ``"own_path"``, ``"clarke"`` or ``"expected_externality"``.

    Raises:
        InputError: no such rule.

    Example:
        >>> from hurwicz.formats import packaged_case
        >>> mechanism = DispatchMechanism(DispatchModel(packaged_case("case14_ieee")), "linear")
        >>> mechanism.agents
        ('gen 1 @ bus 1', 'gen 2 @ bus 2')
        >>> outcome = mechanism.outcome({name: 1.0 for name in mechanism.agents})
        >>> round(float(outcome.allocation["gen 1 @ bus 1"]), 6), round(outcome.payments["gen 1 @ bus 1"], 3)
        (259.0, -2051.526)
    """

    def __init__(self, model: DispatchModel, rule: str) -> None:
        if rule not in RULES:
            raise InputError(f"rule: expected one of {', '.join(RULES)}, got {rule!r}")
        self.model, self.rule = model, rule
        units = model.network.units
        net, output = model.network, model.solve(np.ones(len(units))).output
        room = np.minimum(output - net.pmin, net.pmax - output)
        moves = room > 1e-6 * net.base_mva
        self._unit = {units[k]: k for k in sorted(model.players, key=lambda k: not moves[k])}
        self._names = tuple(self._unit)
        self.prior = ProductPrior(dict.fromkeys(self._names, model.marginal_prior))
        size = float(np.abs(model.costs.of(output)).sum())
        self._numeric = 1e-8 * size

    @property
    def agents(self) -> Sequence[str]:
        """Names of the units that trade: those that the truth leaves between their limits first, each part in the file's order.

        What they report moves the plan, so an audit that is cut short has looked at them.
        """
        return self._names

    @property
    def type_spaces(self) -> Mapping[str, TypeSpace]:
        """The prior's space of multipliers, for every agent."""
        return dict.fromkeys(self._names, self.model.marginal_prior.space)

    @property
    def accuracy(self) -> float:
        """Error of the solver in values and payments, $/h.

        The expected externality is paid as tabulated, sampling error and all; what that error may do to truth-telling in expectation is
        ``model.sampling_error``, and a BIC audit may find it.
        """
        return self._numeric

    def _theta(self, reports: Mapping[str, Shaped[NDArray[Any], "batch ..."]]) -> Float64[FloatArray, "batch units"]:
        batch = len(np.atleast_1d(reports[self._names[0]]))
        theta = np.ones((batch, len(self.model.network.units)))
        for name, unit in self._unit.items():
            theta[:, unit] = np.asarray(reports[name], dtype=np.float64).reshape(-1)
        return theta

    def outcomes(self, reports: Mapping[str, Shaped[NDArray[Any], "batch ..."]]) -> Outcomes:
        """Dispatch for a batch of profiles; payments are computed for the agents that are looked at."""
        theta = self._theta(reports)
        solutions = [self.model.solve(row) for row in theta]
        allocation = {name: np.array([s.output[unit] for s in solutions]) for name, unit in self._unit.items()}
        return Outcomes(allocation, _Lazy(self._names, lambda name: -self._transfers(self._unit[name], theta, solutions)))

    def outcome(self, reports: Mapping[str, Any]) -> Outcome:
        """Dispatch and payments for one profile."""
        return self.outcomes({name: np.array([reports[name]], dtype=np.float64) for name in self._names}).one(0)

    def _transfers(
        self, unit: int, theta: Float64[FloatArray, "batch units"], solutions: list[ProgramSolution]
    ) -> Float64[FloatArray, "batch"]:
        """What ``unit`` receives at every profile, $/h."""
        model = self.model
        if self.rule == "linear":
            bus = model.network.unit_bus[unit]
            return np.array([float(np.nan_to_num(s.price[bus], nan=0.0)) * s.output[unit] for s in solutions])
        if self.rule == "own_path":
            return np.array([self._held(unit, s) for s in solutions])
        if self.rule == "clarke":
            return np.array([self._clarke(unit, row, s) for row, s in zip(theta, solutions, strict=True)])
        place = model.players.index(unit)
        return np.array([balanced(np.array([model.externality(u, float(row[u])) for u in model.players]))[place] for row in theta])

    def _held(self, unit: int, solution: ProgramSolution) -> float:
        """What load not served would cost more if ``unit`` went off and nobody else moved."""
        model = self.model
        if abs(solution.output[unit]) <= 1e-7 * model.network.base_mva:
            return 0.0
        return model.lost_value * model.least_loss(unit, solution.output) - model.costs.lost(solution)

    def _clarke(self, unit: int, theta: Float64[FloatArray, "units"], solution: ProgramSolution) -> float:
        model = self.model
        try:
            other = model.solve(theta, unit)
        except InfeasibleError as error:
            raise InfeasibleError(
                f"without {model.network.units[unit]}: {error}; lost load and spilled output cannot make it feasible"
            ) from error
        away = theta * (model.costs.of(other.output) - model.costs.of(solution.output))
        return float(away.sum() - away[unit]) + model.costs.lost(other) - model.costs.lost(solution)

    def values(self, agent: str, outcomes: Outcomes, true_types: Shaped[NDArray[Any], "batch"]) -> Float64[FloatArray, "batch"]:
        """-C_i(x_i; theta_i), fixed cost included, at every outcome of a batch."""
        unit = self._unit[agent]
        output = np.zeros(len(self.model.network.units)) + self.model.network.pmin
        out = np.empty(len(outcomes.allocation[agent]))
        theta = np.asarray(true_types, dtype=np.float64).reshape(-1)
        for k, x in enumerate(outcomes.allocation[agent].tolist()):
            output[unit] = x
            out[k] = -theta[k] * self.model.costs.of(output)[unit] - self.model.fixed[unit]
        return out

    def value(self, agent: str, outcome: Outcome, true_type: Any) -> float:
        """-C_i(x_i; theta_i) for one outcome."""
        return float(self.values(agent, _batch_of_one(outcome), np.array([true_type], dtype=np.float64))[0])

    def welfares(self, outcomes: Outcomes, true_types: Mapping[str, Shaped[NDArray[Any], "batch"]]) -> Float64[FloatArray, "batch"]:
        """Minus all costs and lost load, at every outcome of a batch."""
        total = np.zeros(len(outcomes.allocation[self._names[0]]))
        for name in self._names:
            total += self.values(name, outcomes, np.asarray(true_types[name]))
        welfare: FloatArray = total - self.model.lost_value * self._lost(outcomes)
        return welfare

    def welfare(self, outcome: Outcome, true_types: Mapping[str, Any]) -> float:
        """Minus all costs and lost load for one outcome."""
        return float(self.welfares(_batch_of_one(outcome), {name: np.array([true_types[name]]) for name in self._names})[0])

    def _lost(self, outcomes: Outcomes) -> Float64[FloatArray, "batch"]:
        output = np.tile(self.model.network.pmin, (len(outcomes.allocation[self._names[0]]), 1))
        for name, unit in self._unit.items():
            output[:, unit] = outcomes.allocation[name]
        return np.array([self.model.lost(row) for row in output])

    def planner_values(self, outcomes: Outcomes) -> Float64[FloatArray, "batch"]:
        """S(o) - S(x): demand that is served, at the value of lost load, $/h."""
        net = self.model.network
        demand = float(np.maximum(net.demand, 0.0).sum()) * net.base_mva
        return self.model.lost_value * (demand - self._lost(outcomes))


def _batch_of_one(outcome: Outcome) -> Outcomes:
    allocation = {name: np.asarray(x, dtype=np.float64).reshape(1) for name, x in outcome.allocation.items()}
    return Outcomes(allocation, {name: np.array([t]) for name, t in outcome.payments.items()})
