"""Tasks for agents: awards by score, pay on verified success, assignment, machines; payments by a second route each."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hurwicz._foundation import InputError, ShapeError
from hurwicz.audits import Verdict, audit, replay
from hurwicz.mechanisms import (
    MultiParameterMechanism,
    assignment_procurement,
    assignment_vcg,
    biased_assignment,
    biased_min_work,
    contract_net,
    expected_biased_makespan,
    least_makespan,
    lowest_ask_paid_on_pass,
    makespan,
    min_work,
    task_mechanism,
    verified_vcg,
    vickrey_tasks,
)
from hurwicz.typespaces import Box, FinitePrior, Interval, Uniform

TENTHS = st.integers(0, 10).map(lambda k: k / 10.0)
PAIRS = FinitePrior([[0.2, 0.1], [0.5, 0.3], [0.5, 0.1], [0.9, 0.6], [1.0, 0.0], [0.0, 0.2], [0.0, 0.0]])
VECTORS = FinitePrior([[0.0, 0.3], [0.4, 0.1], [0.5, 0.5], [1.0, 0.2]])


def matrices(rows: int, columns: int) -> st.SearchStrategy[np.ndarray]:
    whole = st.lists(TENTHS, min_size=rows * columns, max_size=rows * columns)
    real = st.lists(st.floats(0.0, 1.0), min_size=rows * columns, max_size=rows * columns)
    return (whole | real).map(lambda x: np.asarray(x).reshape(rows, columns))


# one task, chances and costs


@given(matrices(3, 2))
@settings(deadline=None, max_examples=40)
def test_verified_vcg_by_definition(types: np.ndarray) -> None:
    """Utilities at the true types: what the agent adds to the best that the others could do."""
    mechanism = verified_vcg(3)
    profile = dict(zip(mechanism.agents, types, strict=True))
    outcome = mechanism.outcome(profile)
    net = types[:, 0] - types[:, 1]
    for i, name in enumerate(mechanism.agents):
        without = max(0.0, np.delete(net, i).max())
        expected = max(0.0, net.max()) - without
        assert mechanism.value(name, outcome, types[i]) - outcome.payments[name] == pytest.approx(expected, abs=1e-9)
    assert mechanism.welfare(outcome, profile) == pytest.approx(max(0.0, net.max()), abs=1e-12)


@given(matrices(3, 2))
@settings(deadline=None, max_examples=30)
def test_what_is_expected_is_what_happens(types: np.ndarray) -> None:
    """Expected utility at a false report, drawn success by success: fee, bonus on success, cost."""
    mechanism = lowest_ask_paid_on_pass(3)
    told = {name: np.clip(t + 0.1, 0.0, 1.0) for name, t in zip(mechanism.agents, types, strict=True)}
    outcome = mechanism.outcome(told)
    asked = np.stack([told[n] for n in mechanism.agents])[None]
    award, fee, bonus = (part[0] for part in mechanism.decide(asked[..., 0], asked[..., 1]))
    for i, name in enumerate(mechanism.agents):
        chance, cost = types[i]
        if_passed, if_failed = fee[i] + bonus[i] - cost * award[i], fee[i] - cost * award[i]
        utility = mechanism.value(name, outcome, types[i]) - outcome.payments[name]
        assert utility == pytest.approx(chance * if_passed + (1.0 - chance) * if_failed, abs=1e-12)


@pytest.mark.parametrize("build", [contract_net, verified_vcg, lowest_ask_paid_on_pass])
@pytest.mark.parametrize("ties", ["lottery", "order"])
def test_ties_everywhere(build: object, ties: str) -> None:
    for level in ([0.0, 0.0], [0.5, 0.5], [1.0, 0.0], [0.0, 1.0], [0.8, 0.1]):
        mechanism = build(3, ties=ties)  # type: ignore[operator]
        outcome = mechanism.outcome(dict.fromkeys(mechanism.agents, level))
        awards = [float(outcome.allocation[n][0]) for n in mechanism.agents]
        assert sum(awards) <= 1.0 + 1e-12
        if ties == "lottery":
            assert max(awards) - min(awards) < 1e-12
        else:
            assert sorted(awards, reverse=True) == awards


def test_who_reports_certainty_at_no_cost_always_wins() -> None:
    rng = np.random.default_rng(1)
    chances, costs = rng.random((500, 4)), rng.random((500, 4))
    chances[:, 2], costs[:, 2] = 1.0, 0.0
    award, fee, bonus = contract_net(4).decide(chances, costs)
    assert award[:, 2].all()
    assert fee[:, 2].all()
    assert not bonus.any()


def test_verdicts_on_finite_types() -> None:
    for mechanism in (verified_vcg(2, prior=PAIRS), lowest_ask_paid_on_pass(2, prior=PAIRS)):
        assert {f.verdict for f in audit(mechanism, ["DSIC", "ex_post_IR", "planner_IR"])} == {Verdict.PROVED}
    assert audit(verified_vcg(3, prior=PAIRS), ["efficiency"])[0].verdict is Verdict.PROVED
    (by_form,) = audit(verified_vcg(2), ["DSIC"], effort="quick")
    assert (by_form.verdict, by_form.method) == (Verdict.PROVED, "by form: Groves' form")
    for mechanism in (contract_net(2, prior=PAIRS), contract_net(2, prior=PAIRS, score="confidence")):
        (finding,) = audit(mechanism, ["DSIC"])
        assert finding.verdict is Verdict.REFUTED
        assert replay(mechanism, finding) == pytest.approx(finding.witness.gain)  # type: ignore[union-attr]
    assert audit(lowest_ask_paid_on_pass(2, prior=PAIRS, pay="own ask"), ["DSIC"])[0].verdict is Verdict.REFUTED


def test_bad_tasks_are_refused() -> None:
    with pytest.raises(InputError, match="chance of success"):
        verified_vcg(2, prior=Uniform(Box([0.0, 0.0], [2.0, 1.0])))
    with pytest.raises(InputError, match="chance of success"):
        verified_vcg(2, prior=Uniform(Interval(0.0, 1.0)))
    with pytest.raises(InputError, match="score"):
        contract_net(2, score="charm")
    with pytest.raises(InputError, match="pay"):
        lowest_ask_paid_on_pass(2, pay="nothing")
    with pytest.raises(InputError, match="expected a report"):
        verified_vcg(2).outcome({"agent 1": [float("nan"), 0.1], "agent 2": [0.5, 0.5]})
    with pytest.raises(ShapeError, match="award"):
        task_mechanism("short", lambda p, c: (p[:, :1], p, p), 2).outcome({"agent 1": [0.1, 0.1], "agent 2": [0.5, 0.5]})


# several tasks


def welfare(values: np.ndarray) -> float:
    """The best assignment, by looking at all of them; leaving anybody or anything out is allowed."""
    rows, columns = values.shape
    padded = np.concatenate([values, np.zeros((rows, rows))], axis=1)
    return max(sum(padded[i, j] for i, j in enumerate(p)) for p in itertools.permutations(range(columns + rows), rows))


def check_assignment(mechanism: MultiParameterMechanism, reports: np.ndarray, values: np.ndarray) -> None:
    outcome = mechanism.outcome(dict(zip(mechanism.agents, reports, strict=True)))
    best = welfare(values)
    for i, name in enumerate(mechanism.agents):
        utility = mechanism.value(name, outcome, reports[i]) - outcome.payments[name]
        assert utility == pytest.approx(best - (welfare(np.delete(values, i, axis=0)) if len(values) > 1 else 0.0), abs=1e-9)


@pytest.mark.parametrize(("agents", "items"), [(1, 3), (2, 2), (3, 2), (2, 4), (3, 3)])
@given(data=st.data())
@settings(deadline=None, max_examples=12)
def test_assignment_prices_are_vcg(agents: int, items: int, data: st.DataObject) -> None:
    """Longest paths against one brute-force assignment without each agent."""
    reports = data.draw(matrices(agents, items))
    check_assignment(assignment_vcg(agents, items=items), reports, reports)
    worth = np.linspace(0.3, 0.8, items)
    check_assignment(assignment_procurement(agents, tasks=items, worth=worth), reports, worth - reports)


def test_assignment_verdicts_and_bad_input() -> None:
    assert {f.verdict for f in audit(assignment_vcg(3, prior=VECTORS), ["DSIC", "ex_post_IR", "efficiency"], effort="quick")} == {
        Verdict.PROVED
    }
    assert audit(assignment_procurement(3, prior=VECTORS, worth=0.6), ["DSIC"], effort="quick")[0].verdict is Verdict.PROVED
    with pytest.raises(InputError, match="each of 3 items"):
        assignment_vcg(2, items=3, prior=VECTORS)
    with pytest.raises(InputError, match="different names"):
        assignment_procurement(2, tasks=["a", "a"])
    with pytest.raises(InputError, match="worth"):
        assignment_procurement(2, worth=-1.0)


def test_a_single_agent_gets_what_the_work_is_worth() -> None:
    assert vickrey_tasks(1, worth=0.7).outcome({"agent 1": 0.2}).payments == {"agent 1": -0.7}
    assert vickrey_tasks(1, worth=0.7).outcome({"agent 1": 0.8}).payments == {"agent 1": 0.0}


# machines


@given(matrices(2, 3), st.booleans())
@settings(deadline=None, max_examples=40)
def test_min_work_task_by_task(times: np.ndarray, lottery: bool) -> None:
    mechanism = min_work(2, tasks=3, ties="lottery" if lottery else "order")
    outcome = mechanism.outcome(dict(zip(mechanism.agents, times, strict=True)))
    paid = -np.asarray([outcome.payments[n] for n in mechanism.agents])
    shares = np.stack([outcome.allocation[n] for n in mechanism.agents])
    np.testing.assert_allclose(shares.sum(axis=0), 1.0)
    np.testing.assert_allclose((shares * times).sum(), times.min(axis=0).sum(), atol=1e-12)
    np.testing.assert_allclose(paid, (shares * times[::-1]).sum(axis=1), atol=1e-12)
    whole = np.eye(2)[times.argmin(axis=0)].T
    assert makespan(times, whole) <= 2.0 * least_makespan(times) + 1e-12


@given(matrices(2, 4).filter(lambda t: t.max() > 0.0))
@settings(deadline=None, max_examples=40)
def test_biased_min_work_is_within_seven_quarters_and_its_shares_are_means_over_coins(times: np.ndarray) -> None:
    assert expected_biased_makespan(times) <= 1.75 * least_makespan(times) + 1e-9
    mechanism = biased_min_work(2, tasks=4)
    outcome = mechanism.outcome(dict(zip(mechanism.agents, times, strict=True)))
    has, paid = np.zeros(4), np.zeros(2)
    for coins in itertools.product((True, False), repeat=4):
        mine, each = biased_assignment(times, np.asarray(coins))
        has += mine / 16.0
        paid += each / 16.0
    np.testing.assert_allclose(outcome.allocation["machine 1"], has, atol=1e-12)
    np.testing.assert_allclose([-t for t in outcome.payments.values()], paid, atol=1e-12)


def test_the_bias_beats_min_work_where_min_work_is_worst() -> None:
    """One machine a little faster at everything: MinWork gives it all, twice the least makespan."""
    times = np.array([[1.0, 1.0], [1.001, 1.001]])
    assert makespan(times, np.array([[1.0, 1.0], [0.0, 0.0]])) == 2.0
    assert least_makespan(times) == 1.001
    assert expected_biased_makespan(times) == pytest.approx(1.5, abs=1e-3)


def test_machine_verdicts_and_bad_input() -> None:
    for mechanism in (min_work(3, prior=VECTORS), biased_min_work(2, prior=VECTORS)):
        assert {f.verdict for f in audit(mechanism, ["DSIC", "ex_post_IR"], effort="quick")} == {Verdict.PROVED}
    for build in (lambda: min_work(1), lambda: biased_min_work(3), lambda: min_work(2, tasks=0), lambda: min_work(2, tasks=["a", "a"])):
        with pytest.raises(InputError):
            build()
    with pytest.raises(InputError, match="4 million"):
        least_makespan(np.ones((3, 20)))
