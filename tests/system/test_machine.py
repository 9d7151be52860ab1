"""Test the limits of CPUs and memory that affinity, the control group and the system set."""

from __future__ import annotations

import mmap
import os
import sys

import pytest

from regionplot.system.cgroups import ControlGroups
from regionplot.system.machine import (
    available_memory,
    data_size,
    peak_memory,
    peak_memory_with_children,
    usable_cpus,
)


def groups_in(folder):
    """Return the control groups in a folder, with the files `cgroup` and `mountinfo` of the process beside the tree."""
    return ControlGroups(folder, folder / "cgroup", folder / "mountinfo")


@pytest.mark.parametrize(
    ("affinity", "limit", "expected"),
    [
        (8, None, 8),
        (8, "max 100000\n", 8),
        (8, "250000 100000\n", 3),
        (8, "50000 100000\n", 1),
        (2, "400000 100000\n", 2),
        (4, "garbage", 4),
    ],
)
def test_affinity_and_quota_limit_the_usable_cpus(affinity, limit, expected, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(affinity)), raising=False)
    if limit is not None:
        (tmp_path / "cpu.max").write_text(limit)
    assert usable_cpus(groups_in(tmp_path)) == expected


@pytest.mark.parametrize(
    ("limit", "used", "stat", "expected"),
    [
        ("1000000", "400000", None, 600000),
        ("1000000", "400000", "anon 7\ninactive_file 300000\n", 900000),
        ("1000", "4000", None, 0),
        ("max", "5", None, 2048000),
        ("90000000", "5", None, 2048000),
    ],
)
def test_control_group_limits_the_available_memory(limit, used, stat, expected, tmp_path):
    """Cached files count as available in the control group and in the machine."""
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:  9000 kB\nMemFree:   100 kB\nMemAvailable:   2000 kB\n")
    (tmp_path / "memory.max").write_text(limit)
    (tmp_path / "memory.current").write_text(used)
    if stat is not None:
        (tmp_path / "memory.stat").write_text(stat)
    assert available_memory(groups_in(tmp_path), meminfo) == expected


PAGES = {"SC_PAGE_SIZE": 4096, "SC_AVPHYS_PAGES": 100, "SC_PHYS_PAGES": 1000}


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        ([], 100 * 4096),
        (["SC_AVPHYS_PAGES"], 500 * 4096),  # macOS
        (["SC_AVPHYS_PAGES", "SC_PHYS_PAGES"], 2**32),
    ],
    ids=str,
)
def test_available_memory_is_known_without_proc(missing, expected, tmp_path, monkeypatch):
    def sysconf(name):
        if name in missing:
            raise ValueError("unrecognized configuration name")
        return PAGES[name]

    monkeypatch.setattr(os, "sysconf", sysconf, raising=False)
    assert available_memory(groups_in(tmp_path), tmp_path / "none") == expected


def test_available_memory_is_a_guess_if_the_system_does_not_report_it(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "sysconf", raising=False)  # Windows
    assert available_memory(groups_in(tmp_path), tmp_path / "none") == 2**32
    monkeypatch.setattr(os, "sysconf", lambda _name: -1, raising=False)  # the value is unknown
    assert available_memory(groups_in(tmp_path), tmp_path / "none") == 2**32


def test_data_size_is_unknown_without_proc(tmp_path):
    assert data_size(tmp_path / "none") is None


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_data_size_counts_allocated_memory():
    before = data_size()
    allocated = mmap.mmap(-1, 2**26, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    assert data_size() >= before + 2**26
    allocated.close()


@pytest.mark.skipif(sys.platform == "win32", reason="needs getrusage")
def test_peak_memory_with_children_is_at_least_that_of_this_process():
    assert 2**20 < peak_memory() <= peak_memory_with_children()
