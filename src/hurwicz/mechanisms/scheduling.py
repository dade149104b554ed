"""Scheduling tasks on machines that are selfish about their times: Nisan and Ronen's MinWork and its randomised bias."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float64

from hurwicz._foundation import InputError
from hurwicz.mechanisms._arguments import resizer, shared_out, ties_of
from hurwicz.mechanisms.multi_parameter import MultiParameterMechanism, Reports
from hurwicz.mechanisms.registry import Entry
from hurwicz.settings import Beliefs, Claim, JointPrior, Lottery, Participants, Property, beliefs, participants, strategyproof
from hurwicz.typespaces import Box, FinitePrior, Uniform

BIAS = 4.0 / 3.0
_MOST_TASKS = 16


def min_work(
    agents: Participants = 2, *, prior: Beliefs = None, tasks: int | Sequence[str] = 2, ties: str = "lottery"
) -> MultiParameterMechanism:
    """MinWork: every task to the machine that is fastest at it, which is paid the time of the second fastest.

    x_ij = 1 if t_ij < min_k t_kj,  -t_i = sum_j x_ij min_{k != i} t_kj. The makespan is at most n times the least.

    Args:
        agents: how many machines (at least 2), or their names.
        prior: over each machine's times, shape (tasks,), at least 0; uniform on [0, 1] each if omitted.
        tasks: how many, or their names.
        ties: ``"lottery"`` or ``"order"``.

    Raises:
        InputError: one machine, no task, or a prior over another number of them.

    Example:
        >>> outcome = min_work(["fast", "slow"]).outcome({"fast": [0.2, 0.5], "slow": [0.6, 0.4]})
        >>> outcome.allocation["fast"], outcome.payments["fast"]
        (array([1., 0.]), -0.6)

    Source:
        N. Nisan and A. Ronen, "Algorithmic mechanism design", Games and Economic Behavior 35 (2001), Theorem 4.1.
    """
    names = participants(agents, "machine", least=2)
    joint, labels = _times("MinWork", names, prior, tasks)
    resized = resizer(min_work, prior, tasks=tasks, ties=ties)
    ties_of("MinWork", ties)

    def rule(reports: Reports) -> tuple[dict[str, Float64[np.ndarray, "batch tasks"]], dict[str, Float64[np.ndarray, " batch"]]]:
        times = np.stack([reports[n] for n in names], axis=1)
        share = _fastest(times, ties)
        order = np.sort(times, axis=1)
        second = np.where(times <= order[:, :1], order[:, 1:2], order[:, :1])
        paid = (share * second).sum(axis=2)
        return {n: share[:, i] for i, n in enumerate(names)}, {n: 0.0 - paid[:, i] for i, n in enumerate(names)}

    source = "Nisan and Ronen 2001, Theorem 4.1"
    return MultiParameterMechanism(
        name="MinWork",
        rule=rule,
        prior=joint,
        sides=dict.fromkeys(names, -1.0),
        excess=_each_task_once,
        efficient=lambda reports: dict(
            zip(names, np.moveaxis(_fastest(np.stack([reports[n] for n in names], axis=1), ties), 1, 0), strict=True)
        ),
        guarantees=(
            *strategyproof(source),
            Claim(Property.EX_POST_IR, True, "", source),
            Claim(Property.EFFICIENCY, True, "least total time; the makespan is within a factor n", source),
            Claim(Property.WEAK_BUDGET_BALANCE, False, "machines are paid", source),
        ),
        formula="each task to its fastest machine, paid the second fastest time",
        source="N. Nisan and A. Ronen, Games and Economic Behavior 35 (2001)",
        labels=dict.fromkeys(names, labels),
        resized=None if resized is None else lambda left: resized(left) if len(left) > 1 else _alone(joint, labels, left, 1.0),
    ).in_groves_form(pivot="leave-one-out")


def biased_min_work(agents: Participants = 2, *, prior: Beliefs = None, tasks: int | Sequence[str] = 2) -> MultiParameterMechanism:
    """Randomly biased MinWork for two machines: a coin a task favours one by 4/3, and the makespan is within 7/4 of the best.

    With machine i favoured at task j: i has it if t_ij <= 4/3 t_kj and is paid 4/3 t_kj; else k has it and is paid 3/4 t_ij.

    Shares and payments are expectations over fair coins: truthful for each of them, hence in expectation. That is declared, as a lottery
    over the two rules that favour one machine at every task, weighted maximisers both: what is expected is the same for one coin as for
    one a task. For the coins as they fell, pass the reports to :func:`biased_assignment`.

    Args:
        agents: 2, or the names of two machines.
        prior: over each machine's times, shape (tasks,), at least 0; uniform on [0, 1] each if omitted.
        tasks: how many, or their names.

    Raises:
        InputError: another number of machines, no task, or a prior over another number of them.

    Example:
        >>> outcome = biased_min_work(["one", "two"], tasks=1).outcome({"one": [0.5], "two": [0.6]})  # closer than 4/3: half each
        >>> outcome.allocation["one"], [round(t, 9) for t in outcome.payments.values()]
        (array([0.5]), [-0.4, -0.333333333])

    Source:
        N. Nisan and A. Ronen, Games and Economic Behavior 35 (2001), Theorem 5.1.
    """
    names = participants(agents, "machine", least=2)
    if len(names) != 2:
        raise InputError(f"biased_min_work: expected two machines, got {len(names)}; for more, see min_work")
    joint, labels = _times("biased MinWork", names, prior, tasks)

    def rule(reports: Reports) -> tuple[dict[str, Float64[np.ndarray, "batch tasks"]], dict[str, Float64[np.ndarray, " batch"]]]:
        one, two = (reports[n] for n in names)
        share, paid = np.zeros_like(one), [np.zeros(len(one)), np.zeros(len(one))]
        for first_favoured in (True, False):
            coins = np.full(one.shape, first_favoured)
            has, to_one, to_two = _biased(one, two, coins)
            share += 0.5 * has
            paid = [paid[0] - 0.5 * to_one.sum(axis=1), paid[1] - 0.5 * to_two.sum(axis=1)]
        return {names[0]: share, names[1]: 1.0 - share}, dict(zip(names, paid, strict=True))

    source = "Nisan and Ronen 2001, Theorem 5.1"
    return MultiParameterMechanism(
        name="biased MinWork",
        rule=rule,
        prior=joint,
        sides=dict.fromkeys(names, -1.0),
        excess=_each_task_once,
        efficient=lambda reports: dict(
            zip(names, np.moveaxis(_fastest(np.stack([reports[n] for n in names], axis=1), "order"), 1, 0), strict=True)
        ),
        guarantees=(
            *strategyproof(source, "whatever the coins"),
            Claim(Property.EX_POST_IR, True, "", source),
            Claim(Property.EFFICIENCY, False, "the makespan is what it aims at, not the total time", source),
            Claim(Property.WEAK_BUDGET_BALANCE, False, "machines are paid", source),
        ),
        formula="favoured i has j if t_ij <= 4/3 t_kj, paid 4/3 t_kj; else k has it, paid 3/4 t_ij; fair coins",
        source="N. Nisan and A. Ronen, Games and Economic Behavior 35 (2001)",
        labels=dict.fromkeys(names, labels),
        resized=None,
        form=Lottery([(0.5, _favouring(names, joint, labels, favoured)) for favoured in names]),
    )


def _favouring(names: tuple[str, ...], joint: JointPrior, labels: tuple[str, ...], favoured: str) -> MultiParameterMechanism:
    """MinWork with the other machine's times counted 4/3 times at every task: the least weighted work, at critical payments."""
    weights = {name: 1.0 if name == favoured else BIAS for name in names}

    def rule(reports: Reports) -> tuple[dict[str, Float64[np.ndarray, "batch tasks"]], dict[str, Float64[np.ndarray, " batch"]]]:
        one, two = (reports[n] for n in names)
        has, *paid = _biased(one, two, np.full(one.shape, favoured == names[0]))
        return {names[0]: has, names[1]: 1.0 - has}, {n: 0.0 - to.sum(axis=1) for n, to in zip(names, paid, strict=True)}

    return MultiParameterMechanism(
        name=f"MinWork that favours {favoured}",
        rule=rule,
        prior=joint,
        sides=dict.fromkeys(names, -1.0),
        excess=_each_task_once,
        labels=dict.fromkeys(names, labels),
        resized=lambda left: _alone(joint, labels, left, weights[left[0]]),
    ).in_groves_form(weights=weights, pivot="leave-one-out")


def _alone(joint: JointPrior, labels: tuple[str, ...], names: Sequence[str], weight: float) -> MultiParameterMechanism:
    """What is left of a rule without its other machine: all tasks for the one there is, at no pay. Pivots are compared with its work."""
    (name,) = names
    space = joint.spaces[name]
    return MultiParameterMechanism(
        name="one machine",
        rule=lambda reports: ({name: np.ones_like(reports[name])}, {name: np.zeros(len(reports[name]))}),
        prior=beliefs(names, Uniform(space) if isinstance(space, Box) else FinitePrior(space.grid(0))),
        sides={name: -1.0},
        excess=_each_task_once,
        labels={name: labels},
    ).in_groves_form(weights={name: weight})


def biased_assignment(
    times: Float64[np.ndarray, "two tasks"], favoured: Bool[np.ndarray, " tasks"]
) -> tuple[Bool[np.ndarray, " tasks"], Float64[np.ndarray, " two"]]:
    """Biased MinWork for coins that fell: which tasks the first machine has, and what each is paid.

    Args:
        times: of both machines, shape (2, tasks), at least 0.
        favoured: whether the first machine is favoured at each task.

    Example:
        >>> has, paid = biased_assignment(np.array([[0.5, 0.9], [0.6, 0.6]]), np.array([True, False]))
        >>> has.tolist(), paid.round(6).tolist()
        ([True, False], [0.8, 1.2])
    """
    has, to_one, to_two = _biased(times[:1], times[1:], favoured[None])
    return has[0] > 0.5, np.asarray([to_one.sum(), to_two.sum()])


def makespan(times: Float64[np.ndarray, "machines tasks"], allocation: Float64[np.ndarray, "machines tasks"]) -> float:
    """When the last machine is done: max_i sum_j t_ij x_ij.

    Example:
        >>> makespan(np.array([[1.0, 2.0], [3.0, 1.0]]), np.array([[1.0, 0.0], [0.0, 1.0]]))
        1.0
    """
    return float((times * allocation).sum(axis=1).max())


def least_makespan(times: Float64[np.ndarray, "machines tasks"]) -> float:
    """The least makespan there is, by looking at every assignment.

    Raises:
        InputError: more than about 4 million assignments.

    Example:
        >>> least_makespan(np.array([[1.0, 1.0], [1.5, 1.5]]))
        1.5
    """
    machines, tasks = times.shape
    if float(machines) ** tasks > 4.2e6:
        raise InputError(f"least_makespan: expected at most 4 million assignments, got {machines} machines for {tasks} tasks")
    loads = np.zeros((1, machines))
    for j in range(tasks):
        step = np.diag(times[:, j])
        loads = (loads[:, None, :] + step[None]).reshape(-1, machines)
    return float(loads.max(axis=1).min())


def expected_biased_makespan(times: Float64[np.ndarray, "two tasks"]) -> float:
    """Expected makespan of :func:`biased_min_work` over its coins, exactly: at most 7/4 of the least.

    Raises:
        InputError: more than 16 tasks.

    Example:
        >>> expected_biased_makespan(np.array([[1.0, 1.0], [1.0, 1.0]]))
        1.5
    """
    tasks = times.shape[1]
    if tasks > _MOST_TASKS:
        raise InputError(f"expected_biased_makespan: expected at most {_MOST_TASKS} tasks, got {tasks}")
    total = 0.0
    for coins in itertools.product((True, False), repeat=tasks):
        has, _ = biased_assignment(times, np.asarray(coins))
        total += makespan(times, np.stack([has, ~has]).astype(np.float64))
    return total / float(2**tasks)


def _biased(
    one: Float64[np.ndarray, "batch tasks"], two: Float64[np.ndarray, "batch tasks"], favoured: Bool[np.ndarray, "batch tasks"]
) -> tuple[Float64[np.ndarray, "batch tasks"], Float64[np.ndarray, "batch tasks"], Float64[np.ndarray, "batch tasks"]]:
    # 1 where the first machine has the task, and what each is paid for it
    mine = np.where(favoured, one <= BIAS * two, two > BIAS * one)
    to_one = np.where(mine, np.where(favoured, BIAS * two, two / BIAS), 0.0)
    to_two = np.where(~mine, np.where(favoured, one / BIAS, BIAS * one), 0.0)
    return mine.astype(np.float64), to_one, to_two


def _fastest(times: Float64[np.ndarray, "batch machines tasks"], ties: str) -> Float64[np.ndarray, "batch machines tasks"]:
    flat = np.moveaxis(times, 1, 2).reshape(-1, times.shape[1])
    return np.moveaxis(shared_out(ties, -flat).reshape(len(times), times.shape[2], times.shape[1]), 2, 1)


def _times(name: str, names: Sequence[str], prior: Beliefs, tasks: int | Sequence[str]) -> tuple[JointPrior, tuple[str, ...]]:
    labels = tuple(f"task {k + 1}" for k in range(tasks)) if isinstance(tasks, int) else tuple(tasks)
    if not labels or len(set(labels)) != len(labels):
        raise InputError(f"{name}: expected at least one task and different names, got {tasks!r}")
    dims = len(labels)
    joint = beliefs(names, Uniform(Box(np.zeros(dims), np.ones(dims))) if prior is None else prior)
    for machine, space in joint.spaces.items():
        grid = np.asarray(space.grid(2), dtype=np.float64)
        if grid.ndim != 2 or grid.shape[1] != dims or bool((grid < 0.0).any()):
            raise InputError(f"{name}: expected types with a time of at least 0 for each of {dims} tasks, got {space!r} for {machine!r}")
    return joint, labels


def _each_task_once(allocation: Mapping[str, Float64[np.ndarray, "batch tasks"]]) -> Float64[np.ndarray, " batch"]:
    # every task has to be done, and once
    return np.asarray(np.abs(np.sum(list(allocation.values()), axis=0) - 1.0).max(axis=1) - 1e-12, dtype=np.float64)


ENTRIES: tuple[Entry, ...] = (
    Entry("min_work", "tasks", min_work),
    Entry("biased_min_work", "tasks", biased_min_work, most=2),
)
