"""What the figures were measured on, and how a time is taken."""

from __future__ import annotations

import datetime
import gc
import importlib.metadata
import os
import platform
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_PACKAGES = ("hurwicz", "numpy", "scipy", "numba", "jax", "torch", "cvxpy", "clarabel", "highspy", "pandapower", "stable-baselines3")


def describe() -> dict[str, Any]:
    """Machine, versions and date."""
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(_memory() / 2**30, 1),
        "load": [round(x, 2) for x in os.getloadavg()] if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": versions,
    }


def show(facts: dict[str, Any]) -> None:
    """Print what ``describe`` found."""
    print(
        f"{facts['date']} · {facts['cpu']} · {facts['cores']} cores · {facts['memory_gib']} GiB · {facts['system']} · load {facts['load']}"
    )
    packages = " · ".join(f"{name} {version or 'not installed'}" for name, version in facts["versions"].items())
    print(f"Python {facts['python']} · {packages}")


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown processor"


def _memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return 0


def free_memory() -> int:
    """Bytes that can be had without swapping; all of memory where the system does not say."""
    info = Path("/proc/meminfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("MemAvailable"):
                return int(line.split()[1]) * 1024
    return _memory()


def peak_memory() -> int:
    """Largest resident size of this process so far, in bytes.

    Linux hands the high-water mark of ``getrusage`` on from the process that started this one; that of /proc begins anew.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else peak * 1024


def times(work: Callable[[], Any], *, repeats: int, seconds: float) -> list[float]:
    """Times of single calls after one warm-up: at most ``repeats``, at least two, stopping after ``seconds``."""
    work()
    gc.collect()
    taken: list[float] = []
    began = time.perf_counter()
    while len(taken) < repeats and (len(taken) < 2 or time.perf_counter() - began < seconds):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return taken
