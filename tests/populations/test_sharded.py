"""Sharded populations: 2, 4 and 8 forced devices, and two processes on the loopback, against the one-process result."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hurwicz._foundation import InputError, ShapeError
from hurwicz.prices.populations import ArrayPopulation, GeneratedPopulation, ShardedPopulation, UniformTypes

SCRIPT = Path(__file__).with_name("sharded_run.py")
_LIMITS = {"sums": 1e-12, "price": 1e-10, "aggregate": 1e-10, "step": 1e-12, "step_x": 1e-13, "step32": 1e-7, "step32_x": 2e-7}


def start(*arguments: str) -> subprocess.Popen[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("XLA_", "JAX_"))}
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


def report(process: subprocess.Popen[str]) -> dict[str, Any]:
    try:
        out, error = process.communicate(timeout=240)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    assert process.returncode == 0, error[-3000:]
    return json.loads(out.strip().splitlines()[-1])


def within(figures: dict[str, Any]) -> None:
    assert figures["x64"] is False  # the sums were float64 in a program that computes in float32
    for name, limit in _LIMITS.items():
        if name in figures:
            assert figures[name] <= limit, (name, figures)
    assert {"sums", "price", "aggregate", "step", "step32"} <= figures.keys()


def test_two_four_and_eight_devices_give_the_same_result() -> None:
    figures = report(start())
    assert figures["devices"] == 8
    within(figures)


def test_two_processes_give_the_same_result() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    processes = [start(address, "2", str(rank)) for rank in range(2)]
    results = [report(process) for process in processes]
    for figures in results:
        assert figures["processes"] == 2
        assert figures["devices"] == 4
        within(figures)
    assert results[0] == results[1]  # every process has the whole answer


def test_one_device_in_this_process() -> None:
    rng = np.random.default_rng(1)
    agents = ArrayPopulation(rng.uniform(0.5, 1.5, 777), linear=rng.normal(0, 1, 777), lower=-1.0, upper=rng.uniform(0, 2, 777))
    spread = ShardedPopulation(agents)
    assert spread.aggregate_response(0.8) == pytest.approx(agents.aggregate_response(0.8), rel=1e-13)
    np.testing.assert_array_equal(spread.actions(0.8, 3, 9), agents.actions(0.8)[3:9])
    np.testing.assert_array_equal(spread.gather(spread.spread(agents.curvature)), agents.curvature)


def test_bad_input() -> None:
    agents = ArrayPopulation(np.ones(5))
    with pytest.raises(InputError, match="device"):
        ShardedPopulation(agents, devices=[])
    with pytest.raises(ShapeError, match="shape"):
        ShardedPopulation(agents).spread(np.ones(4))
    crowd = ShardedPopulation(GeneratedPopulation(5, UniformTypes((1.0, 2.0), (1.0, 2.0))))
    with pytest.raises(InputError, match="ArrayPopulation"):
        crowd.gradient_step(np.zeros((1, 5)), 1.0, 0.1)
    with pytest.raises(InputError, match="got ShardedPopulation"):
        ShardedPopulation(crowd)
