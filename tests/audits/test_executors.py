"""One audit on several executors: the same findings, kept and gone on with."""

import importlib
import math
import subprocess
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from hurwicz._foundation import FormatError, InputError, MissingExtraError
from hurwicz.audits import Dask, Effort, Processes, Threads, audit, executors
from hurwicz.audits.executors import Executor, chunks_as_done, executor_of
from hurwicz.mechanisms import single_parameter
from hurwicz.mechanisms.single_item import first_price, second_price
from hurwicz.settings import PROPERTIES
from hurwicz.typespaces import FinitePrior

CLOCK = {"seconds", "deviations_per_second"}
SMALL = Effort(profiles=20, deviations=9, refinements=1, steps=10, samples=64, max_nodes=64, seconds=math.inf)


def without_the_clock(findings):
    return [{**f.to_dict(), "effort": {k: v for k, v in f.effort.items() if k not in CLOCK}} for f in findings]


@pytest.mark.parametrize("mechanism", [first_price(2), second_price(2, prior=FinitePrior(np.linspace(0.0, 1.0, 5)))], ids=["line", "grid"])
def test_findings_are_the_same_whatever_the_number_of_workers(mechanism):
    wanted = [p for p in PROPERTIES if p not in ("credible", "interim_IR", "revenue_within_bound")]
    alone = without_the_clock(audit(mechanism, wanted, effort=SMALL))
    assert without_the_clock(audit(mechanism, wanted, effort=SMALL, executor="threads", workers=2)) == alone
    backwards = without_the_clock(audit(mechanism, wanted[::-1], effort=SMALL, executor=Threads(5)))
    assert backwards[::-1] == alone  # nor on the order in which they are asked for


IN_A_SHELL = """
from hurwicz.audits import Effort, audit
from hurwicz.mechanisms.single_item import first_price

def plain(findings):
    return [{**f.to_dict(), "effort": {k: v for k, v in f.effort.items() if k != "seconds"}} for f in findings]

if __name__ == "__main__":
    effort, seen = Effort(profiles=20, deviations=9, refinements=1, steps=10, samples=64, max_nodes=64), []
    there = audit(first_price(2), effort=effort, executor="processes", workers=2, progress=lambda name, done: seen.append((name, done)))
    assert plain(there) == plain(audit(first_price(2), effort=effort))
    assert sorted(seen) == sorted((f.property, 1.0) for f in there), seen
"""


@pytest.mark.slow
def test_processes_give_the_same_findings_and_take_functions_inside_functions(tmp_path):
    # in an interpreter of its own: what checks annotations in tests wraps functions in what no process can be sent
    pytest.importorskip("cloudpickle")
    script = tmp_path / "in_a_shell.py"
    script.write_text(IN_A_SHELL)
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_processes_do_what_can_be_pickled():
    assert list(Processes(2).map(math.factorial, range(9))) == [math.factorial(k) for k in range(9)]
    assert sorted(Processes(2).as_done(math.factorial, range(9))) == [(k, math.factorial(k)) for k in range(9)]


def test_what_cannot_travel_is_refused_in_one_message(monkeypatch):
    lock = threading.Lock()
    with pytest.raises(InputError, match="use threads"):
        list(Processes(2).map(lambda k: lock, range(2)))
    real = importlib.import_module

    def bare(name, *more):
        if name == "cloudpickle":
            raise ImportError(name)
        return real(name, *more)

    monkeypatch.setattr(executors, "importlib", SimpleNamespace(import_module=bare))
    with pytest.raises(InputError, match=r"can be pickled.*install cloudpickle"):
        list(Processes(2).as_done(lambda k: k, range(2)))


def test_dask_by_name_makes_its_own_cluster(monkeypatch, client):
    made = {}

    class Client(client):
        def __init__(self, address=None, **options):
            made.update(options, address=address)

    monkeypatch.setattr(executors, "importlib", SimpleNamespace(import_module=lambda _: SimpleNamespace(Client=Client)))
    mechanism = second_price(2)
    (there,) = audit(mechanism, ["DSIC"], effort=SMALL, executor="dask", workers=3)
    assert made == {"n_workers": 3, "threads_per_worker": 1, "address": None}
    assert without_the_clock([there]) == without_the_clock(audit(mechanism, ["DSIC"], effort=SMALL))

    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(executors, "importlib", SimpleNamespace(import_module=missing))
    with pytest.raises(MissingExtraError, match="cluster"):
        executor_of("dask")
    assert isinstance(Dask(Client()).client, Client)


class Interrupted(Executor):
    """Does so many chunks and is then stopped."""

    shares_memory = True

    def __init__(self, most: int) -> None:
        self.most = most

    def map(self, work, numbers):
        for done, k in enumerate(numbers):
            if done == self.most:
                raise KeyboardInterrupt
            yield work(k)


def test_a_stopped_audit_goes_on_and_repeats_nothing(tmp_path):
    wanted = ["DSIC", "ex_post_IR", "weak_budget_balance", "feasibility"]
    mechanism, file = first_price(2), tmp_path / "audit.jsonl"
    whole = without_the_clock(audit(mechanism, wanted, effort=SMALL))
    with pytest.raises(KeyboardInterrupt):
        audit(mechanism, wanted, effort=SMALL, executor=Interrupted(2), checkpoint=file)
    seen = []
    rest = audit(mechanism, wanted, effort=SMALL, checkpoint=file, progress=lambda name, done: seen.append(name) if done < 1 else None)
    assert without_the_clock(rest) == whole
    assert set(seen) == {"weak_budget_balance", "feasibility"} & set(seen)
    with pytest.raises(KeyboardInterrupt):  # all is there: this executor would not do a single one
        audit(mechanism, [*wanted, "planner_IR"], effort=SMALL, executor=Interrupted(0), checkpoint=file)
    assert without_the_clock(audit(mechanism, wanted[::-1], effort=SMALL, executor=Interrupted(0), checkpoint=file)) == whole[::-1]


def test_a_partial_report_is_bound_to_mechanism_effort_and_seed(tmp_path):
    file = tmp_path / "audit.jsonl"
    mine = single_parameter("mine", lambda bids: (0.5 * bids, 0.25 * bids**2), 1)
    audit(mine, ["DSIC"], effort=SMALL, checkpoint=file)
    other = single_parameter("mine", lambda bids: (0.5 * bids, 0.3 * bids**2), 1)  # the same name, another rule
    for mechanism, effort, seed in ((other, SMALL, 0), (mine, "quick", 0), (mine, SMALL, 1)):
        with pytest.raises(FormatError, match="another audit"):
            audit(mechanism, ["DSIC"], effort=effort, seed=seed, checkpoint=file)


def test_work_is_kept_as_it_is_done_and_an_error_stops_the_rest():
    started = []

    def work(k):
        started.append(k)
        if k == 0:
            raise InputError("no")
        return k

    with pytest.raises(InputError, match="no"):
        list(chunks_as_done(work, range(200), Threads(1)))
    assert len(started) < 200


def test_a_cut_search_says_so():
    (finding,) = audit(second_price(6), ["efficiency"], effort=Effort(profiles=200_000, seconds=0.05))
    assert finding.effort["cut_by_time_limit"]
    (finding,) = audit(second_price(2), ["efficiency"], effort=SMALL)
    assert "cut_by_time_limit" not in finding.effort
