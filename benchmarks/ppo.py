"""Prices beside reinforcement learning on the paper's problem C.2: samples and seconds to +.1 %."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from hurwicz.reproductions.mbi import learning, ppo
from hurwicz.reproductions.mbi.instances import C2

_UNIFORM = "the paper's U[0, 2]"
_ALIKE = "x = 1 for all"


def run(quick: bool = False) -> list[dict[str, Any]]:
    """Price Newton, gradient responses and PPO in one run; PPO is boxed in time and says how far it came."""
    best = C2.optimal_loss()
    rows: list[dict[str, Any]] = []
    rounds, seconds, loss = learning.newton_to_gap()
    rows.append(_row("price Newton", "none needed", rounds, seconds, loss))
    starts = {_ALIKE: np.ones(100), _UNIFORM: np.random.default_rng(0).uniform(0, 2, 100)}
    for name, start in starts.items():
        needed, taken, reached = learning.gradient_to_gap(start, step=0.001)
        rows.append(_row("gradient responses, eta = .001", name, needed, taken, reached))
    boxes = [(_ALIKE, 40.0 if quick else 120.0, learning.ALIKE_SETTINGS), (_UNIFORM, 20.0 if quick else 240.0, learning.SPREAD_SETTINGS)]
    if not quick:
        boxes.append((_ALIKE, 60.0, ppo.LIBRARY_DEFAULTS))
    if not ppo.installed():
        print("PPO: skipped, stable-baselines3 is not installed; pip install 'hurwicz[bench]'")
        boxes = []
    for name, box, settings in boxes:
        defaults = settings is ppo.LIBRARY_DEFAULTS
        start = None if defaults else starts[name]
        result = ppo.train(box, start=start, gap=learning.GAP, settings=settings, stop_at_gap=True, progress=_tell)
        label = "PPO, library defaults" if defaults else "PPO, tuned"
        row = _row(label, name, result.samples_to_gap, result.seconds_to_gap, result.loss)
        rows.append(row | {"box_seconds": box, "samples": result.samples, "seconds": result.seconds, "below_clamp": result.below})
    _print(rows, best)
    return rows


def _row(method: str, start: str, to_gap: int | None, seconds: float | None, loss: float) -> dict[str, Any]:
    return {"method": method, "start": start, "rounds_or_samples_to_gap": to_gap, "seconds_to_gap": seconds, "loss": loss}


def _tell(text: str) -> None:
    if sys.stderr.isatty():
        print(f"   {text}", file=sys.stderr, flush=True)


def _print(rows: list[dict[str, Any]], best: float) -> None:
    print(f"C.2: (sum x - 10)² + .1 sum x², N = 100; L* = {best:.10f}; 'to +.1 %' counts price rounds or PPO's samples")
    print(f"{'method':32} {'start':22} {'to +.1 %':>12} {'seconds':>10} {'L reached':>13} {'over L*':>9}  ")
    for row in rows:
        count = "not reached" if row["rounds_or_samples_to_gap"] is None else f"{row['rounds_or_samples_to_gap']:,}"
        seconds = row["seconds_to_gap"]
        ran = f"{row['seconds']:.1f} (box)" if seconds is None else f"{seconds:.3g}"
        note = f"  {row['samples']:,} samples in all" if "samples" in row else ""
        print(f"{row['method']:32} {row['start']:22} {count:>12} {ran:>10} {row['loss']:13.8f} {row['loss'] / best - 1:9.2%}{note}")


if __name__ == "__main__":
    run()
