"""Find the CPUs and the memory that this process may use."""

from __future__ import annotations

import math
import os
import sys
from contextlib import suppress
from pathlib import Path

from regionplot.system.cgroups import ControlGroups, read_number

GROUPS = ControlGroups()
"""The control groups of this process, such as those of a container or a systemd service."""

MEMINFO = Path("/proc/meminfo")
"""Memory statistics of the machine. Linux only."""
STATUS = Path("/proc/self/status")
"""Statistics of this process. Linux only."""

ROLLUP = Path("/proc/self/smaps_rollup")
"""Sums over the memory mappings of this process. Linux only."""
_UNKNOWN_MEMORY = 2**32
"""Bytes of memory to assume if the system does not report its memory."""


def usable_cpus(groups: ControlGroups = GROUPS) -> int:
    """Return the number of CPUs that this process may use, limited by affinity and control groups; at least 1.

    A quota below one CPU counts as one CPU.

    Parameters
    ----------
    groups : ControlGroups
        The control groups of this process.
    """
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(count, groups.cpus())))


def available_memory(groups: ControlGroups = GROUPS, meminfo: Path = MEMINFO) -> int:
    """Return the available memory in bytes, limited by the machine and by the control groups.

    Pages of cached files count as available, because the system frees them when memory is needed.

    Parameters
    ----------
    groups : ControlGroups
        The control groups of this process.
    meminfo : path
        File of the machine's memory statistics.
    """
    free = groups.available_memory()
    return _machine_memory(meminfo) if free is None else min(_machine_memory(meminfo), free)


def _machine_memory(meminfo: Path) -> int:
    """Return the machine's available memory in bytes, or half of its memory if the system reports only the total."""
    available = read_number(meminfo, "MemAvailable:")
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
    kilobytes = read_number(status, "VmData:")
    return None if kilobytes is None else kilobytes * 1024


def resident_memory(status: Path = STATUS) -> int:
    """Return the resident memory of this process in bytes, shared pages included. If it is unknown, return the peak.

    Parameters
    ----------
    status : path
        File of the process's statistics.
    """
    kilobytes = read_number(status, "VmRSS:")
    return peak_memory() if kilobytes is None else kilobytes * 1024


def private_memory(rollup: Path = ROLLUP) -> int:
    """Return the memory of this process that no other process shares, in bytes. If it is unknown, return the peak.

    Parameters
    ----------
    rollup : path
        File of the sums of the process's mappings.
    """
    parts = [read_number(rollup, key) for key in ("Private_Clean:", "Private_Dirty:")]
    return peak_memory() if None in parts else sum(part or 0 for part in parts) * 1024


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
