"""What of the machine may be used, by affinity and by the limits of the control group."""

from __future__ import annotations

import mmap
import os
import sys

import pytest

from regionplot.system import machine
from regionplot.system.machine import available_memory, usable_cpus


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
def test_usable_cpus(affinity, limit, expected, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(affinity)), raising=False)
    monkeypatch.setattr(machine, "_CGROUP", tmp_path)
    if limit is not None:
        (tmp_path / "cpu.max").write_text(limit)
    assert usable_cpus() == expected


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
def test_available_memory_is_bounded_by_the_control_group(limit, used, stat, expected, tmp_path, monkeypatch):
    """Cached files count as available, there as in the machine as a whole."""
    monkeypatch.setattr(machine, "_CGROUP", tmp_path)
    monkeypatch.setattr(machine, "_MEMINFO", tmp_path / "meminfo")
    (tmp_path / "meminfo").write_text("MemTotal:  9000 kB\nMemFree:   100 kB\nMemAvailable:   2000 kB\n")
    (tmp_path / "memory.max").write_text(limit)
    (tmp_path / "memory.current").write_text(used)
    if stat is not None:
        (tmp_path / "memory.stat").write_text(stat)
    assert available_memory() == expected


def test_available_memory_without_proc_is_some(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "_CGROUP", tmp_path)
    monkeypatch.setattr(machine, "_MEMINFO", tmp_path / "none")
    assert available_memory() > 0


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_data_size_counts_what_is_asked_for():
    before = machine.data_size()
    asked = mmap.mmap(-1, 2**26, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    assert machine.data_size() >= before + 2**26
    asked.close()
