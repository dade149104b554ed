"""The command line in this process, and a file with mechanisms of one's own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hurwicz.cli import main

OWN = '''"""A mechanism of one's own."""

import numpy as np

from hurwicz.mechanisms import single_parameter


def highest(agents=2, *, prior=None, share: float = 1.0):
    def rule(bids):
        wins = (np.arange(bids.shape[1]) == bids.argmax(axis=1)[:, None]) * 1.0
        return wins, share * wins * bids

    return single_parameter("highest bid pays a share", rule, agents, prior=prior)


def forgetful(agents=2):
    def rule(bids):
        return bids[:, 0], bids[:, 0]

    return single_parameter("forgetful", rule, agents)


def falls(agents=2):
    return single_parameter("falls", lambda bids: 1 / 0, agents)


def nothing(agents=2):
    return 3


def everybody(agents=2):
    return single_parameter("everybody wins", lambda b: (np.ones_like(b), 0 * b), agents)


def unpayable(agents=2):
    return single_parameter("unpayable", lambda b: (np.ones_like(b), b * np.nan), agents)


def leaves(agents=2):
    raise SystemExit(0)


made = highest(3)

from hurwicz.settings import Outcome
from hurwicz.typespaces import Interval


class Bare:
    """No batches and no prior."""

    def __init__(self, names):
        self.agents = tuple(names)
        self.type_spaces = {name: Interval(0.0, 1.0) for name in names}

    def outcome(self, reports):
        winner = max(self.agents, key=lambda name: reports[name])
        return Outcome(
            {n: np.array(1.0 if n == winner else 0.0) for n in self.agents},
            {n: float(reports[n]) if n == winner else 0.0 for n in self.agents},
        )

    def value(self, agent, outcome, true_type):
        return true_type * outcome.allocation[agent]

    def welfare(self, outcome, true_types):
        return sum(self.value(n, outcome, true_types[n]) for n in self.agents)


def bare(agents=2):
    return Bare([f"x{k}" for k in range(agents)])
'''


@pytest.fixture
def hurwicz(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Call with the words of a command: exit code, standard output, standard error."""

    def run(*arguments: Any) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["hurwicz", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        return int(ended.value.code or 0), shown.out, shown.err

    return run


@pytest.fixture
def own(tmp_path: Path) -> str:
    (tmp_path / "mine.py").write_text(OWN)
    return str(tmp_path / "mine.py")
