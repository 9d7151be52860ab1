"""Find the CPUs and the memory that this process may use."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


_MEMINFO = Path("/proc/meminfo")


_STATUS = Path("/proc/self/status")


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
    """Bytes of memory that programs can still get, by the machine and by the control group's limit.

    Pages of cached files count as available, for the system gives them back when they are needed.
    """
    try:
        limit, used = (int((_CGROUP / name).read_text(encoding="ascii")) for name in ("memory.max", "memory.current"))
    except (OSError, ValueError):
        return _machine_memory()
    cached = _number_after("inactive_file", _CGROUP / "memory.stat") or 0
    return min(_machine_memory(), max(0, limit - used + cached))


def _machine_memory() -> int:
    available = _number_after("MemAvailable:", _MEMINFO)
    if available is not None:
        return available * 1024
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 2**32


def data_size() -> int | None:
    """Bytes of private memory, touched or not, that this process has asked for; None where the system does not say."""
    kilobytes = _number_after("VmData:", _STATUS)
    return None if kilobytes is None else kilobytes * 1024


def _number_after(key: str, path: Path) -> int | None:
    """The number in the line of a file of `/proc` or `/sys` that begins with a key."""
    try:
        lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.split()[:1] == [key]), None)


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
