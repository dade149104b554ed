"""The benchmark runner: what it prints is measured in the run, and its checks are made."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_quick_clarke_table_and_its_json(tmp_path: Path) -> None:
    out = tmp_path / "rows.json"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--only", "clarke", "--json", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    data = json.loads(out.read_text())
    assert data["quick"] is True
    assert {"date", "cpu", "cores", "versions"} <= data["machine"].keys()
    assert data["machine"]["versions"]["numba"] in done.stdout
    for row in data["clarke"]:
        assert row["worst_difference"] < 1e-8
        assert row["total"] > row["linear_total"]


def test_an_unknown_name_is_refused() -> None:
    done = subprocess.run([sys.executable, "-m", "benchmarks", "--only", "nothing"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "gradient_step" in done.stderr
