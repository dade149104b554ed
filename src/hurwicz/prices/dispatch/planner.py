"""Coordination by prices alone: the planner learns each agent's answers, solves the network on what it learned, and broadcasts its duals.

The planner holds :class:`~hurwicz.prices.offer.Respondent` handles and each agent's declared limits; it never sees a cost. The nearest
method in
print is ALADIN: B. Houska, J. Frasch and M. Diehl, "An Augmented Lagrangian Based Algorithm for Distributed Nonconvex Optimization",
SIAM Journal on Optimization 26(2), 2016.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float64

from hurwicz._foundation import AgentError, FloatArray, InfeasibleError, InputError
from hurwicz.prices.dispatch.curves import LearnedCurve
from hurwicz.prices.dispatch.network import DcNetwork, IntArray
from hurwicz.prices.dispatch.program import NetworkProgram, ProgramSolution, supply_of, why_infeasible
from hurwicz.prices.offer import Offer, Respondent, Transcript

_STEEP = 1e5  # $/MWh over an agent's whole range: weight of the very first offers, when the size of the prices is not known
_PROBE = 1e3  # times the price scale: the same once it is
_SOFT = 1e-2  # times the price scale: least weight of later offers
_SOFTER = 1e-5  # the same where the marginal cost rises, as far as is known, so that answers cannot run to the limits
_PATIENCE = 4  # rounds without a smaller gap before one is held near the last answers; each of them teaches more than that one does
_BOLDER = 1e-2  # times the weight for every answer in a row that taught nothing: the next one goes further
_LEAST_DEMAND = 1e-3  # p.u.: where nothing is to be served, what the excess cost is measured against
_PRICE = 1e-7  # relative error of the prices from which on further rounds are not worth their while
_EPS = 2.0**-52


@dataclass
class Knowledge:
    """What the planner knows of the agents: their handles, their declared limits, and the curves learned from their answers.

    ``heard_before`` names the agents whose last answer was a point of their curve already.
    """

    network: DcNetwork
    agents: Sequence[Respondent]
    curves: list[LearnedCurve]
    scale: float = 0.0
    transcript: Transcript = field(default_factory=Transcript)
    heard_before: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Only agents with something to decide are asked."""
        width = self.network.pmax - self.network.pmin
        self.free: IntArray = np.flatnonzero(width > 1e-9 * np.maximum(1.0, np.abs(self.network.pmax))).astype(np.int64)

    def ask(self, offers: dict[int, Offer]) -> Float64[FloatArray, "asked"]:
        """One round: put the offers, take the answers, learn from them. Answers in the order of ``offers``."""
        heard: dict[str, tuple[Offer, FloatArray]] = {}
        answers = np.empty(len(offers))
        net = self.network
        self.heard_before = set()
        for k, (unit, offer) in enumerate(offers.items()):
            agent = self.agents[unit]
            answer = agent.respond(offer, {})
            value = _checked(agent.name, answer, float(net.pmin[unit]), float(net.pmax[unit]))
            answers[k] = value
            heard[agent.name] = (offer, answer)
            anchor, weight = float(offer.anchor), float(offer.weight)
            noise = 4 * _EPS * (weight * (abs(anchor) + abs(value)) + abs(float(offer.price)))
            if not self.curves[unit].learn(value, float(offer.price) + weight * (anchor - value), noise):
                self.heard_before.add(unit)
        self.transcript.rounds.append(heard)
        return answers


def _checked(name: str, answer: Float64[FloatArray, "..."], low: float, high: float) -> float:
    value = np.asarray(answer, dtype=np.float64)
    if value.shape != ():
        raise AgentError(f"expected one number (MW), got an array of shape {value.shape}", agent=name)
    number = float(value)
    if not np.isfinite(number):
        raise AgentError(f"expected a finite output in MW, got {number}", agent=name)
    slack = 1e-9 * max(1.0, abs(low), abs(high))
    if not low - slack <= number <= high + slack:
        raise AgentError(f"expected an output between its declared limits {low:g} and {high:g} MW, got {number:g}", agent=name)
    return min(max(number, low), high)


@dataclass(frozen=True)
class Plan:
    """Where a coordination ended.

    Attributes:
        solution: outputs, prices, angles.
        gap: bound on how much the plan costs above the optimum, relative to the money that changes hands, as far as the answers tell.
        rounds: price rounds used.
        history: one row a round: ``round``, ``kind`` (``"probe"`` or ``"prices"``), ``asked``, ``gap``.
        converged: the gap is within the tolerance.
        seconds: in the ``network`` programs and with the ``agents``.
    """

    solution: ProgramSolution
    gap: float
    rounds: int
    history: list[dict[str, object]]
    converged: bool
    seconds: dict[str, float]


def learn_and_plan(
    network: DcNetwork,
    agents: Sequence[Respondent],
    *,
    max_rounds: int = 20,
    tol: float = 1e-9,
    progress: Callable[[str], None] | None = None,
) -> tuple[Plan, Knowledge]:
    """Coordinate the agents by prices.

    The first two rounds ask each agent for its marginal cost at a third and at two thirds of its range, by offers with a steep
    proximal weight. Then, each round: the network program on the learned curves; its duals as prices, its outputs as anchors; the
    answers. Where all answers are the anchors, each agent's output is its best at its price, and the plan is the optimum. Each answer
    that differs is a new point of a curve. Where the gap does not fall, the program is held near the last answers by a proximal term.

    An offer's weight lets the answer reach the ends of the piece of the curve that it lies on, so that a jump inside the piece is found
    at once: staircases (piecewise-linear costs) end in few rounds too. A jump that is known shows by answers that stay where they were;
    the next weight there is steeper, so that the answer leaves the place or shows how far the jump reaches. An answer that taught
    nothing is followed by a bolder offer.

    Args:
        network: the grid and the agents' declared limits.
        agents: handles, in the order of ``network.units``.
        max_rounds: broadcasts at most.
        tol: bound on the excess cost, relative to the money that changes hands. Rounds go on while they bring the prices nearer to the
            marginal costs that the answers reveal, until these agree to 1e-7.
        progress: called with one line a round.

    Raises:
        InfeasibleError: no dispatch meets demand.
        AgentError: an agent answered with something that is no output within its limits.

    Example:
        >>> from hurwicz.formats import packaged_case
        >>> from hurwicz.prices.dispatch import dc_network, generators, learn_and_plan
        >>> case = packaged_case("case14_ieee")
        >>> network = dc_network(case)
        >>> plan, known = learn_and_plan(network, generators(case, network))
        >>> plan.converged, plan.rounds, len(known.transcript.rounds)
        (True, 3, 3)
    """
    if len(agents) != len(network.units):
        raise InputError(f"agents: expected one a unit ({len(network.units)}), got {len(agents)}")
    if max_rounds < 1:
        raise InputError(f"max_rounds: expected at least 1, got {max_rounds}")
    curves = [LearnedCurve(a, b) for a, b in zip(network.pmin.tolist(), network.pmax.tolist(), strict=True)]
    known = Knowledge(network, agents, curves)
    seconds = {"network": 0.0, "agents": 0.0}
    history: list[dict[str, object]] = []
    started = time.perf_counter()
    probe(known, history, max_rounds - 1)
    seconds["agents"] += time.perf_counter() - started
    program = NetworkProgram(network)
    plan = iterate(known, program, history, max_rounds, tol, seconds, progress)
    return plan, known


def probe(known: Knowledge, history: list[dict[str, object]], limit: int) -> None:
    """Two points of each agent's marginal cost, inside its range; steeper offers to those that answer at a limit."""
    net = known.network
    low, width = net.pmin, net.pmax - net.pmin
    steep = np.full(len(low), _STEEP)
    wanted = known.free
    level = np.zeros(len(low))  # marginal costs heard, however roughly
    for turn in range(min(limit, 5)):
        if not len(wanted):
            break
        offers = {}
        for unit in wanted.tolist():
            curve = known.curves[unit]
            share = 1 / 3 if not curve.points else 2 / 3
            price = curve.points[0][1] if curve.points else level[unit]
            anchor = np.array(low[unit] + share * width[unit])
            offers[unit] = Offer(np.array(price), anchor, float(steep[unit] / width[unit]))
        known.ask(offers)
        history.append({"round": len(known.transcript.rounds), "kind": "probe", "asked": len(offers), "gap": None})
        seen = np.array([abs(m) for unit in known.free.tolist() for _, m in known.curves[unit].points])
        seen = seen[seen > 0]
        known.scale = float(np.median(seen)) if len(seen) else 1.0
        for unit in wanted.tolist():
            curve = known.curves[unit]
            if curve.points:
                level[unit] = curve.points[0][1]
                steep[unit] = _PROBE * max(known.scale, abs(level[unit]))
            else:
                steep[unit] *= 1e3
            if turn == 0:
                curve.forget_noisy(1e-9 * known.scale)
        wanted = np.array([unit for unit in wanted.tolist() if len(known.curves[unit].points) < 2], dtype=np.int64)
    known.scale = known.scale or 1.0


def iterate(
    known: Knowledge,
    program: NetworkProgram,
    history: list[dict[str, object]],
    max_rounds: int,
    tol: float,
    seconds: dict[str, float],
    progress: Callable[[str], None] | None = None,
) -> Plan:
    """Solve, broadcast, learn, until the answers confirm the plan or the rounds are spent."""
    net = known.network
    free = known.free.tolist()
    width = net.pmax - net.pmin
    best: tuple[float, float, ProgramSolution] | None = None
    stalled, last, last_miss = 0, np.inf, np.inf
    pull: tuple[FloatArray, FloatArray] | None = None
    stuck: dict[int, tuple[int, float]] = {}  # answers at a kink or a limit away from the anchor: how often, and where
    repeated: dict[int, int] = {}  # the same point of a curve again, short of the anchor: how often
    while True:
        started = time.perf_counter()
        supply = supply_of(net.pmin, [curve.segments(known.scale) for curve in known.curves])
        try:
            solution = program.solve(supply, pull=pull)
        except InfeasibleError as error:
            raise InfeasibleError(why_infeasible(program, supply)) from error
        seconds["network"] += time.perf_counter() - started
        started = time.perf_counter()
        price = solution.price[net.unit_bus]
        offers = {}
        for unit in free:
            curve, output = known.curves[unit], float(solution.output[unit])
            soft = known.scale / width[unit]
            soft *= _SOFT if curve.slope(output, known.scale) <= _SOFT * soft else _SOFTER
            weight = max(curve.reach(output, float(price[unit]), known.scale), soft)
            times, kink = stuck.get(unit, (0, 0.0))
            way = abs(solution.output[unit] - kink)
            if times and way > 1e-9 * width[unit]:
                weight = max(weight, 0.25 * 8 ** (times - 1) * known.scale / way)
            weight *= _BOLDER ** repeated.get(unit, 0)
            offers[unit] = Offer(np.array(price[unit]), np.array(solution.output[unit]), float(weight))
        answers = known.ask(offers)
        stuck = {
            unit: (stuck.get(unit, (0, 0.0))[0] + 1, answer)
            for unit, answer in zip(free, answers.tolist(), strict=True)
            if known.curves[unit].kink(answer)
            or (answer in (net.pmin[unit], net.pmax[unit]) and abs(answer - solution.output[unit]) > 1e-9 * width[unit])
        }
        repeated = {
            unit: repeated.get(unit, 0) + 1
            for unit, answer in zip(free, answers.tolist(), strict=True)
            if unit in known.heard_before and unit not in stuck and answer != solution.output[unit]
        }
        gap = excess(known, offers, answers) + solution.gap
        rounds = len(known.transcript.rounds)
        history.append({"round": rounds, "kind": "prices", "asked": len(offers), "gap": gap})
        seconds["agents"] += time.perf_counter() - started
        if progress is not None:
            progress(f"round {rounds}: excess cost at most {gap:.1e} of the money that changes hands")
        miss = mispricing(known, offers, answers)
        if best is None or (max(gap, tol), miss) < (max(best[0], tol), best[1]):
            best = (gap, miss, solution)
        settled = miss <= _PRICE or miss > 0.5 * last_miss  # at a kink no price is the right one, and the miss need not vanish
        last_miss = miss
        if (gap <= tol and settled) or rounds >= max_rounds:
            return Plan(best[2], best[0], rounds, history, best[0] <= tol, seconds)
        stalled = stalled + 1 if gap > 0.5 * last else 0
        last = gap
        if stalled >= _PATIENCE:
            centre = solution.output.copy()
            centre[free] = answers
            weight_all = np.zeros(len(centre))
            for unit in free:
                slope = known.curves[unit].slope(float(centre[unit]), known.scale)
                weight_all[unit] = max(slope, 0.1 * known.scale / width[unit])
            pull, stalled = (centre, weight_all), 0
        else:
            pull = None


def mispricing(known: Knowledge, offers: dict[int, Offer], answers: Float64[FloatArray, "asked"]) -> float:
    """The largest difference between a price and the marginal cost that the answer to it revealed, relative to the prices in play.

    What a plan costs above the optimum is of second order in this: a plan that is right to ten digits may carry prices of five.
    """
    worst = 0.0
    for (unit, offer), answer in zip(offers.items(), answers.tolist(), strict=True):
        if known.curves[unit].low < answer < known.curves[unit].high:
            worst = max(worst, float(offer.weight) * abs(float(offer.anchor) - answer) / max(known.scale, abs(float(offer.price))))
    return worst


def excess(known: Knowledge, offers: dict[int, Offer], answers: Float64[FloatArray, "asked"]) -> float:
    """Bound on sum_i [C_i(a_i) - p_i a_i - min_z (C_i(z) - p_i z)] over money: what the agents would still gain at these prices.

    Convexity bounds what an agent at its answer could still gain from the marginal costs that it revealed on either side; an answer at
    a limit away from the anchor is its best there. To that comes the modelled cost between answer and anchor.
    """
    net, scale = known.network, known.scale
    total, money = 0.0, scale * max(float(np.abs(net.demand).sum()), _LEAST_DEMAND) * net.base_mva
    at_stake = 0.0
    for (unit, offer), answer in zip(offers.items(), answers.tolist(), strict=True):
        anchor, price = float(offer.anchor), float(offer.price)
        low, high = float(net.pmin[unit]), float(net.pmax[unit])
        at_stake += abs(price * anchor)
        if answer == anchor:
            continue
        total += known.curves[unit].possible_gain(answer, price) if low < answer < high else 0.0
        total += abs(known.curves[unit].cost(answer, anchor, scale) - price * (anchor - answer))
    return total / max(at_stake, money, 1e-300)
