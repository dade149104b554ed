"""Coordination by prices against solvers that know every cost."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import multiprocessing
import sys
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hurwicz._foundation import AgentError, FloatArray, InputError, NotConvergedError, Status
from hurwicz.formats import MatpowerCase, packaged_case
from hurwicz.prices.dispatch import check_dispatch, coordinate, dc_network, generators, learn_and_plan, reference_optimum
from hurwicz.prices.dispatch.costs import PiecewiseLinear, unit_costs
from hurwicz.prices.dispatch.curves import LearnedCurve
from hurwicz.prices.offer import Offer, Respondent

_spec = importlib.util.spec_from_file_location("dispatch_grids", Path(__file__).with_name("grids.py"))
assert _spec is not None
assert _spec.loader is not None
grids = importlib.util.module_from_spec(_spec)
sys.modules["dispatch_grids"] = grids
_spec.loader.exec_module(grids)

# PGLib-OPF v23.07 BASELINE.md gives the first five digits of the PowerModels form; the rest by HiGHS and Clarabel, which agree
FIGURES = {
    ("case14_ieee", "powermodels"): 2051.526309,
    ("case14_ieee", "matpower"): 2051.526309,
    ("case30_as", "powermodels"): 767.602100,
    ("case30_as", "matpower"): 767.602100,
    ("case118_ieee", "powermodels"): 93100.729926,
    ("case118_ieee", "matpower"): 93132.679288,
    ("case200_activ", "powermodels"): 27479.643306,
    ("case200_activ", "matpower"): 27479.643306,
}


@pytest.mark.parametrize(("name", "form"), FIGURES)
def test_published_figures_and_duals(name: str, form: str) -> None:
    case = packaged_case(name)
    result = coordinate(case, network=form)
    assert result.status is Status.OPTIMUM
    assert result.objective == pytest.approx(FIGURES[name, form], rel=2e-9)
    assert result.price_rounds <= 5
    assert result.max_violation <= 1e-9
    price = np.array(list(result.prices.values()))
    for solver in ("highs", "clarabel"):
        best = reference_optimum(case, form, solver=solver)
        assert result.objective == pytest.approx(best.objective, rel=1e-9)
        np.testing.assert_allclose(price, best.price, atol=1e-4)
    assert list(result.prices) == case.bus.number.astype(int).tolist()


def test_result_is_plain_data() -> None:
    result = coordinate(packaged_case("case118_ieee"), reference=True, payments=["linear"])
    data = json.loads(json.dumps(result.to_dict()))
    for key in ("status", "objective", "reference", "actions", "prices", "price_rounds", "max_violation", "payments", "seconds"):
        assert key in data
    assert data["actions"]["gen 5 @ bus 10"] > 0
    assert data["payments"]["linear"]["gen 5 @ bus 10"] == -data["transfers"]["linear"]["gen 5 @ bus 10"] < 0
    assert len(data["binding"]) == 3
    assert all(abs(abs(row["flow"]) - row["rating"]) < 1e-6 for row in data["binding"])
    assert min(data["prices"].values()) == pytest.approx(24.61, abs=0.01)
    assert max(data["prices"].values()) == pytest.approx(28.65, abs=0.01)


def check_against_reference(case: MatpowerCase, form: str, scale: float) -> None:
    result = coordinate(case, network=form)
    assert result.price_rounds <= 20
    assert result.max_violation <= 1e-6
    best = reference_optimum(case, form, solver="highs")
    load = float(np.abs(case.bus.pd).sum())
    assert result.objective == pytest.approx(best.objective, rel=1e-8, abs=1e-9 * scale * load)
    # each unit's output is its best at its own price: what makes the prices duals, unique or not
    net = result.network
    for k, cost in enumerate(unit_costs(case, net.unit_rows)):
        price, output = result.prices[int(net.buses[net.unit_bus[k]])], result.actions[net.units[k]]
        low, high = float(net.pmin[k]), float(net.pmax[k])
        chosen = cost.best(price, output, 0.0, low, high)
        gain = (price * chosen - cost.at(chosen)) - (price * output - cost.at(output))
        assert gain <= 1e-7 * scale * load


KINDS = ("linear", "flat", "free", "quadratic", "piecewise")


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 10**6),
    kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=4),
    buses=st.integers(2, 9),
    form=st.sampled_from(["powermodels", "matpower"]),
)
def test_random_grids(seed: int, kinds: list[str], buses: int, form: str) -> None:
    check_against_reference(grids.random_grid(seed, kinds, buses=buses), form, 1.0)


@pytest.mark.parametrize("kinds", [["piecewise"], ["piecewise", "linear"], ["piecewise", "flat", "quadratic"]])
@pytest.mark.parametrize("seed", [1, 2, 5, 8, 9])
def test_marginal_costs_that_jump(seed: int, kinds: list[str]) -> None:
    for buses in (2, 6):
        check_against_reference(grids.random_grid(seed, kinds, buses=buses), "powermodels", 1.0)


PIECES = (["piecewise"], ["piecewise", "linear"], ["piecewise", "flat", "quadratic"])


@pytest.mark.parametrize(
    ("seed", "kinds", "buses"),
    # offers as steep as the learned curve took 20 to 40 rounds and more on these: each answer halved the shorter part of a piece, two
    # points at one jump made a curve go on upright to the limit, or a price off by rounding brought the same answer again and again
    [(7, 1, 2), (18, 1, 2), (0, 0, 6), (3, 0, 9), (6, 1, 9), (16, 1, 9), (17, 1, 9), (4, 0, 20), (15, 2, 20), (27, 0, 20), (119, 1, 20)],
)
def test_staircases_are_learned_in_few_rounds(seed: int, kinds: int, buses: int) -> None:
    case = grids.random_grid(seed, PIECES[kinds], buses=buses)
    check_against_reference(case, "powermodels", 1.0)
    assert coordinate(case).price_rounds <= 15


def test_a_jump_between_two_points_is_found_by_one_answer() -> None:
    curve, cost = LearnedCurve(0.0, 100.0), PiecewiseLinear((0.0, 61.0, 100.0), (0.0, 610.0, 1780.0))  # 10 up to 61 MW, then 30
    for answer, marginal in ((40.0, 10.0), (60.0, 10.0), (90.0, 30.0), (95.0, 30.0)):
        curve.learn(answer, marginal, 0.0)
    for output in (60.5, 75.0, 89.0):
        price = curve.marginal(output, 20.0)
        assert cost.best(price, output, curve.reach(output, price, 20.0), 0.0, 100.0) == 61.0
    assert cost.best(curve.marginal(60.2, 20.0), 60.2, curve.slope(60.2, 20.0), 0.0, 100.0) < 60.5  # an offer as steep as the piece


def test_a_curve_is_upright_at_a_jump_and_no_steeper_beyond() -> None:
    curve = LearnedCurve(0.0, 100.0)
    assert curve.learn(50.0, 10.0, 0.0)
    assert curve.learn(50.0 + 2e-14, 30.0, 0.0)
    assert not curve.learn(50.0, 30.0, 0.0)
    assert curve.segments(20.0) == [(0.0, 50.0, 10.0, 10.0), (50.0, 100.0, 30.0, 30.0)]
    near = LearnedCurve(0.0, 100.0)
    near.learn(50.0, 10.0, 0.0)
    near.learn(50.0 + 1e-9, 30.0, 0.0)
    assert abs(near.marginal(0.0, 20.0)) < 1e4


@pytest.mark.parametrize("scale", [1e-5, 1e-2, 1e3, 1e6])
@pytest.mark.parametrize("kinds", [["quadratic", "linear"], ["flat", "quadratic"]])
def test_scales_of_cost(scale: float, kinds: list[str]) -> None:
    for seed in range(3):
        check_against_reference(grids.random_grid(seed, kinds, scale=scale), "powermodels", scale)


def test_longer_polynomials_and_dispatchable_load() -> None:
    case = grids.grid(
        [0.0, 120.0, 40.0],
        [(1, 0.0, 200.0, "2 0 0 4 0.0001 0.001 10 0"), (2, 0.0, 80.0, "2 0 0 5 1e-6 0 0.01 12 3"), (3, -50.0, 0.0, "2 0 0 2 18 0")],
        [(1, 2, 0.1, 70.0), (2, 3, 0.1, 0.0), (1, 3, 0.2, 0.0)],
    )
    result = coordinate(case, tol=2e-12)
    net = result.network
    for k, cost in enumerate(unit_costs(case, net.unit_rows)):
        price, output = result.prices[int(net.buses[net.unit_bus[k]])], result.actions[net.units[k]]
        if net.pmin[k] + 1e-6 < output < net.pmax[k] - 1e-6:
            assert cost.marginal(output) == pytest.approx(price, abs=1e-4)
    assert result.max_violation <= 1e-9
    assert result.price_rounds <= 10


def test_marginal_costs_that_start_at_zero() -> None:
    case = grids.grid(
        [0.0, 60.0, 60.0],
        [(1, 0.0, 340.0, "2 0 0 3 0.05 0 0"), (3, 0.0, 59.0, "2 0 0 3 0.1 0 0")],
        [(1, 2, 0.1, 0.0), (2, 3, 0.1, 0.0), (1, 3, 0.2, 0.0)],
    )
    check_against_reference(case, "powermodels", 1.0)
    assert reference_optimum(case, solver="clarabel").objective == pytest.approx(0.05 * 80**2 + 0.1 * 40**2, rel=1e-9)


def test_phase_shifter_and_tap() -> None:
    case = grids.grid(
        [0.0, 60.0, 60.0],
        [(1, 0.0, 200.0, "2 0 0 2 10 0"), (3, 0.0, 200.0, "2 0 0 3 0.02 15 0")],
        [(1, 2, 0.1, 45.0, 0.95, 1.0), (2, 3, 0.1, 0.0), (1, 3, 0.2, 0.0, 0.0, -1.0)],
    )
    check_against_reference(case, "matpower", 1.0)
    result = coordinate(case, network="matpower")
    net = result.network
    assert net.shift_injection.sum() == pytest.approx(0.0, abs=1e-12)
    assert coordinate(case).objective != pytest.approx(result.objective, rel=1e-4)


def test_two_islands() -> None:
    case = grids.grid(
        [0.0, 50.0, 30.0, 0.0],
        [(1, 0.0, 100.0, "2 0 0 2 10 0"), (4, 0.0, 100.0, "2 0 0 2 30 0")],
        [(1, 2, 0.1, 0.0), (3, 4, 0.1, 0.0)],
    )
    result = coordinate(case)
    assert result.prices == pytest.approx({1: 10.0, 2: 10.0, 3: 30.0, 4: 30.0})


def test_bus_without_anything_has_no_price() -> None:
    case = grids.grid([0.0, 50.0, 0.0], [(1, 0.0, 100.0, "2 0 0 2 10 0")], [(1, 2, 0.1, 0.0)])
    result = coordinate(case)
    assert np.isnan(result.prices[3])
    assert result.to_dict()["prices"]["3"] is None


class Recorder:
    """A respondent that answers from a transcript and knows nothing else."""

    def __init__(self, name: str, answers: list[tuple[Offer, FloatArray]]) -> None:
        self.name, self.shape, self._answers = name, (), list(answers)

    def respond(self, offer: Offer, inputs: Mapping[str, FloatArray]) -> FloatArray:
        told, answer = self._answers.pop(0)
        assert (float(told.price), float(told.anchor), told.weight) == (float(offer.price), float(offer.anchor), offer.weight)  # type: ignore[arg-type]
        return answer


def test_replaying_the_transcript_gives_the_same_plan() -> None:
    case = packaged_case("case200_activ")
    net = dc_network(case)
    plan, known = learn_and_plan(net, generators(case, net))
    rounds = known.transcript.rounds
    echoes: list[Respondent] = [Recorder(name, [heard[name] for heard in rounds if name in heard]) for name in net.units]
    again, _ = learn_and_plan(net, echoes)
    np.testing.assert_array_equal(plan.solution.output, again.solution.output)
    np.testing.assert_array_equal(plan.solution.price, again.solution.price)


def serve(pipe: Connection, name: str) -> None:
    """The agents' side of the wire: all costs live in this process."""
    case = packaged_case(name)
    agents = {agent.name: agent for agent in generators(case, dc_network(case))}
    while (message := pipe.recv()) is not None:
        who, price, anchor, weight = message
        pipe.send(float(agents[who].respond(Offer(np.array(price), np.array(anchor), weight), {})))


class Remote:
    """A handle on an agent behind a pipe: numbers out, a number back."""

    def __init__(self, name: str, pipe: Any) -> None:
        self.name, self.shape, self._pipe = name, (), pipe

    def respond(self, offer: Offer, inputs: Mapping[str, FloatArray]) -> FloatArray:
        assert offer.anchor is not None
        self._pipe.send((self.name, float(offer.price), float(offer.anchor), float(offer.weight)))
        return np.array(self._pipe.recv())


def without_costs(case: MatpowerCase) -> MatpowerCase:
    """The case with every cost replaced by nonsense: a planner that read one would go wrong."""
    nonsense = np.where(np.arange(case.gencost.data.shape[1]) == 1, -1e6, 0.0)
    return dataclasses.replace(case, gencost=dataclasses.replace(case.gencost, data=np.tile(nonsense, (len(case.gen.bus), 1))))


def test_agents_in_another_process() -> None:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=serve, args=(theirs, "case118_ieee"), daemon=True)
    child.start()
    case = packaged_case("case118_ieee")
    blind = dc_network(without_costs(case))
    try:
        plan, _ = learn_and_plan(blind, [Remote(name, ours) for name in blind.units])
    finally:
        ours.send(None)
        child.join(30)
    here = coordinate(case)
    np.testing.assert_array_equal(plan.solution.output, list(here.actions.values()))
    assert plan.rounds == here.price_rounds


def test_planner_holds_handles_only() -> None:
    case = packaged_case("case14_ieee")
    result = coordinate(case, agents=generators(case, dc_network(case)))
    assert set(result.revealed["gen 1 @ bus 1"]) == set(result.knowledge.curves[0].points)
    # two points of a straight marginal cost and the confirming one at most
    assert all(len(points) <= 3 for points in result.revealed.values())


class Broken:
    """Answers as an agent should, until told otherwise."""

    def __init__(self, inner: Respondent, answer: Any) -> None:
        self.name, self.shape, self._answer = inner.name, (), answer

    def respond(self, offer: Offer, inputs: Mapping[str, FloatArray]) -> FloatArray:
        return self._answer  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (np.array(np.nan), "finite output"),
        (np.array([1.0, 2.0]), "shape"),
        (np.array(1e6), "declared limits"),
        (np.array(-5.0), "declared limits"),
    ],
)
def test_bad_answers_name_the_agent(answer: FloatArray, message: str) -> None:
    case = packaged_case("case14_ieee")
    agents: list[Respondent] = list(generators(case, dc_network(case)))
    agents[1] = Broken(agents[1], answer)
    with pytest.raises(AgentError, match=message) as caught:
        coordinate(case, agents=agents)
    assert caught.value.agent == "gen 2 @ bus 2"


def test_rounds_that_run_out_carry_what_was_reached() -> None:
    case = grids.random_grid(3, ["piecewise"], buses=8)
    with pytest.raises(NotConvergedError, match="max_rounds") as caught:
        coordinate(case, max_rounds=2, payments=["linear"])
    assert caught.value.reached.status is Status.STEP_LIMIT
    assert caught.value.reached.price_rounds == 2
    assert caught.value.reached.transfers == {}


def test_wrong_arguments() -> None:
    case = packaged_case("case14_ieee")
    with pytest.raises(InputError, match="clarke"):
        coordinate(case, payments=["clark"])
    with pytest.raises(InputError, match="powermodels, matpower"):
        coordinate(case, network="ac")
    with pytest.raises(InputError, match="expected one a unit"):
        coordinate(case, agents=[])
    with pytest.raises(InputError, match="max_rounds"):
        coordinate(case, max_rounds=0)
    with pytest.raises(InputError, match="auto, highs or clarabel"):
        reference_optimum(case, solver="simplex")


def test_violations_are_seen() -> None:
    case = packaged_case("case118_ieee")
    result = coordinate(case)
    output = np.array(list(result.actions.values()))
    assert check_dispatch(result.network, output)[0].worst < 1e-9
    output[4] += 50.0
    assert check_dispatch(result.network, output)[0].balance == pytest.approx(0.5)
    output[0] -= 50.0
    bad, flows = check_dispatch(result.network, output)
    assert bad.balance < 1e-9
    assert bad.limits > 0.1
    assert bad.lines > 1e-5
    assert len(flows) == 186
