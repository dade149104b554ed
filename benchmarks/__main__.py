"""``python -m benchmarks``: the tables that docs/benchmarks.md lists, from one run on this machine."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

NAMES = (
    "gradient_step",
    "rounds",
    "giant",
    "clarke",
    "dispatch",
    "equilibria",
    "ppo",
    "winner_determination",
    "audit",
    "audit_peers",
    "mean_field",
    "mean_field_cost",
    "mean_field_gradient",
    "mean_field_staircase",
)


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmarks named, print their tables, write their rows; 1 if one failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", choices=NAMES, help="run this one (may be given again)")
    parser.add_argument("--quick", action="store_true", help="smaller sizes: about twenty minutes in all")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write machine, versions, date and all rows")
    options = parser.parse_args(arguments)
    # One JAX device a core, so that shard_map has something to share out; must be set before JAX starts.
    os.environ.setdefault("XLA_FLAGS", f"--xla_force_host_platform_device_count={os.cpu_count() or 1}")
    from benchmarks import machine

    facts = machine.describe()
    machine.show(facts)
    results: dict[str, Any] = {"machine": facts, "quick": options.quick}
    failed = False
    for name in options.only or NAMES:
        if importlib.util.find_spec(f"benchmarks.{name}") is None:
            print(f"\n{name}: not in this checkout")
            continue
        began = time.perf_counter()
        print(f"\n== {name}", flush=True)
        try:
            results[name] = importlib.import_module(f"benchmarks.{name}").run(quick=options.quick)
        except ImportError as error:
            print(f"{name}: skipped, {error.name or error} is not installed; pip install 'hurwicz[bench]'")
        except Exception as error:  # one failure must not hide the other tables
            failed = True
            print(f"{name}: FAILED, {type(error).__name__}: {error}", file=sys.stderr)
        print(f"   ({name}: {time.perf_counter() - began:.1f} s)", flush=True)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(results, indent=1, default=float) + "\n")
        print(f"\nwritten: {options.json}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
