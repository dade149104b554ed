from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np
import pytest

from hurwicz._foundation import InputError
from hurwicz.audits import Effort, Verdict, audit
from hurwicz.settings import Outcomes
from hurwicz.typespaces import Interval

AGENTS = tuple(f"bidder {k}" for k in range(12))


class Lazy(Mapping):
    def __init__(self, names, compute):
        self.names, self.compute, self.done = names, compute, {}

    def __getitem__(self, name):
        if name not in self.done:
            self.done[name] = self.compute(name)
        return self.done[name]

    def __iter__(self):
        return iter(self.names)

    def __len__(self):
        return len(self.names)


class DearPayments:
    """Second or first price; every payment takes a while, and is only computed where it is looked at."""

    def __init__(self, *, second=True, broken=None, seconds=0.004):
        self.agents = AGENTS
        self.type_spaces = dict.fromkeys(AGENTS, Interval(0.0, 1.0))
        self.second, self.broken, self.seconds = second, broken, seconds
        self.computed = dict.fromkeys(AGENTS, 0)

    def outcomes(self, reports):
        bids = np.stack([reports[n] for n in AGENTS])
        winner = np.argmax(bids, axis=0)
        price = np.sort(bids, axis=0)[-2 if self.second else -1]

        def paid(name):
            self.computed[name] += len(price)
            time.sleep(self.seconds * len(price))
            out = np.where(winner == AGENTS.index(name), price, 0.0)
            return out * np.nan if name == self.broken else out

        return Outcomes({n: (winner == k).astype(float) for k, n in enumerate(AGENTS)}, Lazy(AGENTS, paid))

    def outcome(self, reports):
        return self.outcomes({n: np.array([reports[n]]) for n in AGENTS}).one(0)

    def values(self, agent, outcomes, true_types):
        return outcomes.allocation[agent] * true_types

    def value(self, agent, outcome, true_type):
        return float(outcome.allocation[agent]) * float(true_type)

    def welfares(self, outcomes, true_types):
        return sum(self.values(n, outcomes, true_types[n]) for n in AGENTS)

    def welfare(self, outcome, true_types):
        return sum(self.value(n, outcome, true_types[n]) for n in AGENTS)


EFFORT = Effort(profiles=1, deviations=3, refinements=1, steps=2, seconds=0.3)
TRUTH = {n: 0.3 + 0.05 * k for k, n in enumerate(AGENTS)}


def test_only_the_payments_of_agents_that_are_looked_at_are_computed():
    mechanism = DearPayments()
    (finding,) = audit(mechanism, ["DSIC"], effort=EFFORT, at=[TRUTH])
    assert finding.verdict is Verdict.NOT_REFUTED
    # a look at one agent takes about twenty outcomes; all twelve agents' payments of each would be twelve times as many
    assert finding.effort["agents"] < len(AGENTS)
    assert f"{finding.effort['agents']} of 12 agents" in finding.reason
    assert sum(n > 2 for n in mechanism.computed.values()) <= finding.effort["agents"] + 1


def test_dear_first_price_is_refuted_with_few_payments():
    mechanism = DearPayments(second=False)
    (finding,) = audit(mechanism, ["DSIC"], effort=EFFORT, at=[TRUTH | {AGENTS[0]: 0.95}])
    assert finding.verdict is Verdict.REFUTED
    assert finding.witness.agent == AGENTS[0]
    assert finding.witness.gain == pytest.approx(0.95 - 0.85, abs=0.02)


def test_efficiency_needs_no_payments_and_a_budget_needs_all():
    mechanism = DearPayments()
    (finding,) = audit(mechanism, ["efficiency"], effort=EFFORT, at=[TRUTH])
    # a type checker may look at one payment of every batch; an auditor that took all would be twelve times above
    assert sum(mechanism.computed.values()) <= 2 * finding.effort["evaluations"]
    (finding,) = audit(mechanism, ["strong_budget_balance"], effort=EFFORT, at=[TRUTH])
    assert finding.verdict is Verdict.REFUTED
    assert finding.effort["profiles"] == 1
    assert finding.value == pytest.approx(0.8)


def test_ex_post_ir_stops_in_time_between_agents():
    mechanism = DearPayments(seconds=0.05)
    (finding,) = audit(mechanism, ["ex_post_IR"], effort=EFFORT, at=[TRUTH])
    assert finding.verdict is Verdict.NOT_REFUTED
    assert sum(mechanism.computed.values()) < 60


def test_cheap_lazy_payments_are_all_checked():
    with pytest.raises(InputError, match=r"finite payments, got nan for agent 'bidder 7'"):
        audit(DearPayments(broken="bidder 7", seconds=0.0), ["ex_post_IR"], effort=EFFORT)
