"""How many profile–deviation checks a second an exhaustive audit makes on this machine, from the rule to the verdict."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np

from hurwicz._foundation import InputError
from hurwicz.audits.auditing import audit
from hurwicz.audits.effort import Effort
from hurwicz.typespaces import FinitePrior

SIZES = ((2, 400), (3, 150), (5, 20))


def exhaustive_speed(sizes: Sequence[tuple[int, int]] = SIZES, *, repeats: int = 5) -> list[dict[str, Any]]:
    """Wall and CPU time of DSIC of second price, every profile, type and misreport: making the table of outcomes included.

    Args:
        sizes: (bidders, values of each).
        repeats: audits of each size, after one that compiles.

    Returns:
        A row for each size: ``bidders``, ``values``, ``checks``, ``wall`` and ``cpu`` seconds (lists, sorted), ``checks_per_second`` by the
        least and by the median wall time.

    Raises:
        InputError: no repetition.

    Example:
        >>> (row,) = exhaustive_speed([(2, 5)], repeats=1)
        >>> row["checks"] == 2 * 5 * 5 * 5, row["checks_per_second"]["best"] > 0
        (True, True)
    """
    from hurwicz.mechanisms.single_item import second_price

    if repeats < 1:
        raise InputError(f"exhaustive_speed: expected repeats >= 1, got {repeats}")
    rows = []
    for bidders, values in sizes:
        mechanism = second_price(bidders, prior=FinitePrior(np.linspace(0.0, 1.0, values)))
        wall, cpu, checks = [], [], 0
        for k in range(repeats + 1):
            begun, busy = time.perf_counter(), time.process_time()
            (finding,) = audit(mechanism, ["DSIC"], effort=Effort(seconds=600.0))
            if k:
                wall.append(time.perf_counter() - begun)
                cpu.append(time.process_time() - busy)
            checks = int(finding.effort["deviations"])
        rate = {"best": checks / min(wall), "median": checks / float(np.median(wall))}
        rows.append(
            {"bidders": bidders, "values": values, "checks": checks, "wall": sorted(wall), "cpu": sorted(cpu), "checks_per_second": rate}
        )
    return rows


def print_speed(sizes: Sequence[tuple[int, int]] = SIZES, *, repeats: int = 5) -> None:
    """The same as a table, with the machine, the load on it, versions and the date."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    packages = ", ".join(f"{name} {version(name)}" for name in ("hurwicz", "numpy", "numba"))
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {load:.2f} before; Python {platform.python_version()}, {packages}")
    print(f"{datetime.now(UTC):%Y-%m-%d}: DSIC of second price, exhaustive, table of outcomes included, {repeats} audits of each size")
    print(f"{'bidders':>8}{'values':>8}{'checks':>16}{'wall s':>10}{'CPU s':>10}{'checks/s best':>16}{'median':>12}")
    for row in exhaustive_speed(sizes, repeats=repeats):
        rate = row["checks_per_second"]
        print(
            f"{row['bidders']:>8}{row['values']:>8}{row['checks']:>16,}{row['wall'][0]:>10.3f}{row['cpu'][0]:>10.3f}"
            f"{rate['best']:>16.3g}{rate['median']:>12.3g}"
        )
