"""What of the machine this process may really use."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def usable_cpus() -> int:
    """CPUs by affinity, and by the CPU quota of the control group (a container's limit); at least 1."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(count, _quota()))


def _quota() -> int:
    """CPUs that cgroup v2's `cpu.max` (quota and period in microseconds) allows, rounded up."""
    try:
        quota, period = (_CGROUP / "cpu.max").read_text(encoding="ascii").split()
        return math.ceil(int(quota) / int(period))
    except (OSError, ValueError):
        return 1_000_000


def available_memory() -> int:
    """Bytes of memory that are free, by the machine and by the control group's limit."""
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 2**32
    try:
        limit, used = ((_CGROUP / name).read_text(encoding="ascii") for name in ("memory.max", "memory.current"))
        return min(free, max(0, int(limit) - int(used)))
    except (OSError, ValueError):
        return free


def peak_memory(*, children: bool = False) -> int:
    """Bytes that this process has had resident at most, what it shares with others included; 0 if that is not known.

    Parameters
    ----------
    children : bool
        Of it and of the processes that it has started and waited for, the largest.
    """
    try:
        import resource  # noqa: PLC0415 (not on every platform)
    except ImportError:
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    whose = [resource.RUSAGE_SELF, *([resource.RUSAGE_CHILDREN] if children else [])]
    return unit * max(resource.getrusage(who).ru_maxrss for who in whose)
