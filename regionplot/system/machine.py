"""Find the CPUs and the memory that this process may use."""

from __future__ import annotations

import math
import os
import sys
from contextlib import suppress
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
"""Limits of this process's control group (cgroup v2), such as the limits of a container."""

MEMINFO = Path("/proc/meminfo")
"""Memory statistics of the machine. Linux only."""
STATUS = Path("/proc/self/status")
"""Statistics of this process. Linux only."""

_NO_QUOTA = 1_000_000
"""Number of CPUs to assume if there is no quota. No machine has as many."""
_UNKNOWN_MEMORY = 2**32
"""Bytes of memory to assume if the system does not report its memory."""


def usable_cpus(cgroup: Path = CGROUP) -> int:
    """Return the number of CPUs that this process may use, limited by affinity and CPU quota; at least 1.

    Parameters
    ----------
    cgroup : path
        Folder of the control group.
    """
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(count, _quota(cgroup)))


def _quota(cgroup: Path) -> int:
    """Return the number of CPUs that `cpu.max` (quota and period in microseconds) allows, rounded up."""
    try:
        quota, period = (cgroup / "cpu.max").read_text(encoding="ascii").split()
        return math.ceil(int(quota) / int(period))
    except (OSError, ValueError):
        return _NO_QUOTA


def available_memory(cgroup: Path = CGROUP, meminfo: Path = MEMINFO) -> int:
    """Return the available memory in bytes, limited by the machine and by the control group.

    Pages of cached files count as available, because the system frees them when memory is needed.

    Parameters
    ----------
    cgroup : path
        Folder of the control group.
    meminfo : path
        File of the machine's memory statistics.
    """
    try:
        limit, used = (int((cgroup / name).read_text(encoding="ascii")) for name in ("memory.max", "memory.current"))
    except (OSError, ValueError):
        return _machine_memory(meminfo)
    cached = _read_number("inactive_file", cgroup / "memory.stat") or 0
    return min(_machine_memory(meminfo), max(0, limit - used + cached))


def _machine_memory(meminfo: Path) -> int:
    """Return the machine's available memory in bytes, or half of its memory if the system reports only the total."""
    available = _read_number("MemAvailable:", meminfo)
    if available is not None:
        return available * 1024
    free, total = _count_pages("SC_AVPHYS_PAGES"), _count_pages("SC_PHYS_PAGES")
    pages = free or (total or 0) // 2
    return pages * os.sysconf("SC_PAGE_SIZE") if pages else _UNKNOWN_MEMORY


def _count_pages(name: str) -> int | None:
    """Return a number of memory pages from sysconf(3); None if it is unknown. macOS has no SC_AVPHYS_PAGES."""
    with suppress(AttributeError, ValueError, OSError):
        return max(0, os.sysconf(name)) or None
    return None


def data_size(status: Path = STATUS) -> int | None:
    """Return the bytes of private memory that this process has allocated, used or not; None if unknown.

    Parameters
    ----------
    status : path
        File of the process's statistics.
    """
    kilobytes = _read_number("VmData:", status)
    return None if kilobytes is None else kilobytes * 1024


def _read_number(key: str, path: Path) -> int | None:
    """Return the number after a key in a file of `/proc` or `/sys`; None if there is no such file or key."""
    try:
        lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.split()[:1] == [key]), None)


def peak_memory() -> int:
    """Return the largest resident memory of this process so far in bytes, shared pages included; 0 if unknown."""
    return _peak("RUSAGE_SELF")


def peak_memory_with_children() -> int:
    """Return the largest resident memory in bytes of this process, or of one child that it waited for; 0 if unknown."""
    return max(_peak("RUSAGE_SELF"), _peak("RUSAGE_CHILDREN"))


def _peak(who: str) -> int:
    try:
        import resource  # noqa: PLC0415 (not on every platform)
    except ImportError:
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(getattr(resource, who)).ru_maxrss
